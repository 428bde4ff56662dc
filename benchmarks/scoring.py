"""How long a score takes: one file, with and without reasons, from process start, and in bulk.

    python benchmarks/scoring.py [--model DIR] [--repeats 30] [--rows 100000]

One file: docs/example_statements.csv (a SIMULATED company of four years) from path to answer, the
model and an empty warehouse ready, as in the service; and the same with its latest year from two
sources, which only the warehouse can fuse. Process: `python -m models.score` on the same
file. Bulk: preparation, probabilities and calibration of training rows of the model drawn anew,
against the learner's own `predict_proba` on columns that are prepared already. Without --model one
is trained on the demo universe (XGBoost, all features, the paper's values).
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

import numpy as np  # noqa: E402

from models import artifact  # noqa: E402
from models.artifact import Model  # noqa: E402
from models.scoring import Ask, score_file  # noqa: E402
from warehouse import store  # noqa: E402

EXAMPLE = REPO / "docs" / "example_statements.csv"
TRAIN = ("--learners", "xgboost", "--selectors", "all", "--grid", "quick", "--no-audit")
PROCESSES = 5


def trained(folder: Path) -> Path:
    """A model of simulated companies."""
    command = [sys.executable, "-m", "models.train", *TRAIN, "--out", str(folder / "run")]
    empty = {**os.environ, "BANKRUPTCY_DATA": str(folder / "none")}
    subprocess.run(command, check=True, cwd=REPO, stdout=subprocess.DEVNULL, env=empty)
    return folder / "run" / "model"


def two_sources(folder: Path) -> Path:
    """The example with its latest year told by another source too, which takes the warehouse."""
    rows = EXAMPLE.read_text(encoding="utf-8").splitlines(keepends=True)
    again = [line.replace(",simulated,", ",simulated_too,") for line in rows[1:]]
    latest = max(line.split(",")[2] for line in again)
    path = folder / "two_sources.csv"
    path.write_text("".join([*rows, *(line for line in again if latest in line)]), encoding="utf-8")
    return path


def timed(task: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 95th percentile, milliseconds; the first run, which warms up, does not count."""
    task()
    taken = []
    for _ in range(repeats):
        began = time.perf_counter()
        task()
        taken.append(1000 * (time.perf_counter() - began))
    return statistics.median(taken), float(np.quantile(taken, 0.95))


def process(folder: Path, *options: str) -> None:
    command = [sys.executable, "-m", "models.score", str(EXAMPLE), "--model", str(folder)]
    subprocess.run([*command, *options], check=True, cwd=REPO, capture_output=True)


def bulk(model: Model, rows: int) -> tuple[float, float]:
    """Rows a second of the whole model and of the learner alone, the better of three each."""
    assert model.history is not None
    drawn = np.random.default_rng(0).integers(0, len(model.history.rows), rows)
    frame = model.history.rows.iloc[drawn].reset_index(drop=True)
    prepared = model.columns(frame)
    whole = min(_seconds(lambda: model.told(model.given(model.columns(frame)))) for _ in range(3))
    alone = min(_seconds(lambda: model.given(prepared)) for _ in range(3))
    return rows / whole, rows / alone


def _seconds(task: Callable[[], object]) -> float:
    began = time.perf_counter()
    task()
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--rows", type=int, default=100_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.model or trained(Path(folder))
        model = artifact.load(path)
        said = "SIMULATED" if model.manifest["simulated"] else "real"
        machine = f"{platform.machine()}, {os.cpu_count()} cores"
        print(f"{machine}; {model.name} trained on {said} companies")
        print(f"\n{'one file to answer, model loaded':44s}{'median ms':>10s}{'p95 ms':>9s}")
        twice = two_sources(Path(folder))
        with store.in_memory() as desk:
            for name, file, ask in (
                ("without reasons", EXAMPLE, Ask("none")),
                ("with those of the latest year", EXAMPLE, Ask("latest")),
                ("with those of all four years", EXAMPLE, Ask("all")),
                ("from two sources, without reasons", twice, Ask("none")),
                ("from two sources, reasons of all years", twice, Ask("all")),
            ):
                middle, high = timed(partial(score_file, file, model, ask, desk), chosen.repeats)
                print(f"{name:44s}{middle:10.0f}{high:9.0f}", flush=True)
        for name, options in (
            ("process start to answer, no reasons", ("--no-compare", "--explain", "none")),
            ("process start to answer, as it comes", ()),
        ):
            middle, high = timed(partial(process, path, *options), PROCESSES)
            print(f"{name:44s}{middle:10.0f}{high:9.0f}", flush=True)
        whole, alone = bulk(model, chosen.rows)
    print(
        f"\nbulk, {chosen.rows:,} rows: {whole:,.0f} rows/s; the learner alone on prepared columns"
        f" {alone:,.0f} rows/s; {whole / alone:.2f} of its speed"
    )


if __name__ == "__main__":
    main()
