"""Peak memory of training XGBoost and LightGBM on a panel of a million rows.

    python benchmarks/memory.py [--rows 1000000] [--learners xgboost,lightgbm] [--grid quick]

Rows are SIMULATED: those of `features.demo` drawn anew with noise, companies of ten years. The
panel is written as Parquet and trained on as a user would, in a process of its own:
`python -m models.train --selectors all --jobs 1`, with SMOTE, tuning, test figures and report.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(REPO), str(REPO / "benchmarks")]

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402
from grid import read  # noqa: E402

SEED = 0
YEARS = 10
NOISE = 0.3  # of each feature's standard deviation
BLOCK = 100_000


def write(path: Path, rows: int) -> None:
    """Write the panel in blocks."""
    panel = read(None)
    values = panel.X.to_numpy()
    spread = np.nanstd(np.clip(values, *np.nanpercentile(values, (1, 99), axis=0)), axis=0)
    random = np.random.default_rng(SEED)
    writer = None
    for start in range(0, rows, BLOCK):
        at = np.arange(start, min(start + BLOCK, rows))
        drawn = random.integers(0, len(values), len(at))
        made = values[drawn] + random.normal(0, NOISE, (len(at), values.shape[1])) * spread
        columns = {
            "company_id": pa.array([f"S{one:07d}" for one in at // YEARS]),
            "fiscal_year": pa.array(2014 + at % YEARS),
            **{name: pa.array(made[:, i]) for i, name in enumerate(panel.features)},
            "label": pa.array(np.array(panel.classes, dtype=object)[panel.y[drawn]]),
        }
        table = pa.table(columns)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer:
        writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--learners", default="xgboost,lightgbm")
    parser.add_argument("--grid", default="quick", choices=("paper", "quick", "full"))
    chosen = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores; {chosen.rows:,} SIMULATED rows × 66")
    print(f"\n{'learner':12s}{'grid':>7s}{'seconds':>9s}{'peak GiB':>10s}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "panel.parquet")
        write(path, chosen.rows)
        for learner in chosen.learners.split(","):
            command = [
                *(sys.executable, "-m", "models.train", "--panel", str(path)),
                *("--learners", learner, "--selectors", "all", "--jobs", "1"),
                *("--grid", chosen.grid, "--out", str(Path(folder, learner))),
            ]
            began = time.perf_counter()
            with subprocess.Popen(command, cwd=REPO, stdout=subprocess.DEVNULL) as process:
                _, status, usage = os.wait4(process.pid, 0)
                process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.perf_counter() - began
            if process.returncode:
                raise SystemExit(f"{learner}: exit {process.returncode}")
            peak = usage.ru_maxrss / 2**20
            print(f"{learner:12s}{chosen.grid:>7s}{seconds:9.0f}{peak:10.1f}", flush=True)


if __name__ == "__main__":
    main()
