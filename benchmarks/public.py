"""Our leaderboard on public bankruptcy sets, beside the figures in `published.csv`.

    python benchmarks/public.py --data DIR [--grid full]

DIR holds financial_distress.parquet, polish_1year.parquet and taiwan_subset.parquet. Of ours the
row is shown that ranks first by the tuning folds, and the soft vote; test rows choose nothing.
`paper` are random rows (75 % to train on), `company` keeps companies apart, `time` years.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
import time
import warnings
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

from models.evaluate import RunResult, make_plan, run  # noqa: E402
from models.extras import NO_SELECTOR, TITLES  # noqa: E402
from models.learners import DEFAULT_LEARNERS  # noqa: E402
from models.panel import read_panel  # noqa: E402
from models.selectors import DEFAULT_SELECTORS  # noqa: E402

SEED = 0
PUBLISHED = Path(__file__).with_name("published.csv")
SETS = (
    ("financial_distress", ("paper", "company", "time")),
    ("polish_1year", ("paper",)),
    ("taiwan_subset", ("paper",)),
)
FIGURES = ("accuracy", "macro_f1", "roc_auc_ovr", "log_loss")


def line(title: str, seconds: str, figures: list[str]) -> None:
    print(f"  {title:68s}{seconds:>8s}" + "".join(f"{one:>10s}" for one in figures), flush=True)


def published(name: str) -> None:
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["data"] == name:
                figures = [row[key] or "-" for key in ("accuracy", "macro_f1", "auc", "log_loss")]
                line(f"{row['protocol']}: {row['method']}", row["seconds"], [*figures, "-"])


def ours(result: RunResult, protocol: str, seconds: float) -> None:
    board = result.leaderboard
    focus = f"recall_{result.panel.classes[result.panel.focus]}"
    for row in (result.best_row, board[board["learner"] == "soft-vote"].iloc[0]):
        alone = row["selector"] == NO_SELECTOR
        name = TITLES[row["learner"]].lower() if alone else f"{row['learner']}/{row['selector']}"
        figures = [f"{row[key]:.3f}" for key in (*FIGURES, focus)]
        line(f"{protocol}: ours, {name}", f"{seconds:.0f}", figures)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--grid", default="quick", choices=("quick", "full"))
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    print(f"{platform.machine()}, {os.cpu_count()} cores; --grid {chosen.grid}")
    for name, protocols in SETS:
        panel = read_panel(chosen.data / f"{name}.parquet")
        print(
            f"\n{name}: {len(panel.y):,} rows × {len(panel.features)},"
            f" classes {', '.join(panel.classes)}"
        )
        line("", "seconds", [*("accuracy", "macro-F1", "AUC", "log-loss"), "recall*"])
        published(name)
        for protocol in protocols:
            plan = make_plan(
                protocol, (*DEFAULT_LEARNERS, "soft-vote"), DEFAULT_SELECTORS, chosen.grid, SEED, 2
            )
            began = time.perf_counter()
            result = run(panel, plan)
            ours(result, protocol, time.perf_counter() - began)
    print("\n* of the bankrupt; seconds of ours are for all 45 cells")


if __name__ == "__main__":
    main()
