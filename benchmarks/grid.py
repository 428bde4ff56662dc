"""`--grid full` beside scikit-learn's GridSearchCV: seconds and macro-F1, in one run.

    python benchmarks/grid.py [--panel FILE] [--selector correlation] [--learners a,b] [--jobs 2]

Both search the same points on the same five folds (companies kept apart) for the same learners:

- plain: `GridSearchCV(n_jobs=2)` over one imblearn pipeline per learner and selection, which
  imputes, winsorises, scales, selects and balances anew for every point and fold, fits every point
  to its end and refits the best.
- ours: `models.evaluate.run` with `--grid full`: all learners with all five selections.

The plain search is timed on one selection, by default one that costs hardly anything to choose
columns by; times five is what it takes for all, and rather less than it would. Without --panel the
companies are simulated (`features.demo`).
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import tempfile
import time
import warnings
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))
# One thread a fit, in the processes of both: two fits at once beat two threads in one.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

import numpy as np  # noqa: E402
from sklearn.metrics import f1_score  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

from features.dataset import training_data  # noqa: E402
from models.evaluate import RunResult, make_plan, run  # noqa: E402
from models.learners import DEFAULT_LEARNERS, learner_named  # noqa: E402
from models.panel import Panel, panel_from_frame, read_panel  # noqa: E402
from models.pipeline import build_pipeline  # noqa: E402
from models.protocols import Split  # noqa: E402
from models.search import FOLDS  # noqa: E402
from models.selectors import DEFAULT_SELECTORS  # noqa: E402

SEED = 0


def read(path: Path | None) -> Panel:
    """The panel of that file, else of simulated companies."""
    if path is not None:
        return read_panel(path)
    with tempfile.TemporaryDirectory() as empty:
        os.environ["BANKRUPTCY_DATA"] = empty  # whatever warehouse there is, the demo is meant
        made = training_data(None, SEED)
    return panel_from_frame(made.frame, source=made.description)


def plain(panel: Panel, split: Split, name: str, selector: str, jobs: int) -> tuple[float, float]:
    """Seconds of GridSearchCV and the macro-F1 of its choice on the test rows."""
    learner = learner_named(name)
    places = {int(row): at for at, row in enumerate(split.train)}
    plan = make_plan("company", (name,), (selector,), "full")
    folds = [
        tuple(np.array([places[int(row)] for row in part]) for part in pair)
        for pair in plan.protocol.folds(panel, split.train, FOLDS["full"], SEED)
    ]
    pipeline = build_pipeline(learner, {}, selector, SEED, "cpu", panel.relative_at)
    grid = [{f"learn__{key}": [value] for key, value in p.items()} for p in learner.full]
    search = GridSearchCV(pipeline, grid, scoring="f1_macro", cv=folds, n_jobs=jobs)
    values = panel.X.to_numpy()
    began = time.perf_counter()
    search.fit(values[split.train], panel.y[split.train])
    seconds = time.perf_counter() - began
    said = search.predict(values[split.test])
    return seconds, float(f1_score(panel.y[split.test], said, average="macro"))


def macro_f1(result: RunResult, learner: str, selector: str) -> float:
    board = result.leaderboard.set_index(["learner", "selector"])
    return float(board.loc[(learner, selector), "macro_f1"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--panel", type=Path)
    parser.add_argument("--selector", default="correlation", choices=DEFAULT_SELECTORS)
    parser.add_argument("--learners", default=",".join(DEFAULT_LEARNERS))
    parser.add_argument("--jobs", type=int, default=2)
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    names = tuple(chosen.learners.split(","))
    panel = read(chosen.panel)
    said = "SIMULATED companies" if panel.simulated else panel.source
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {said}, {len(panel.y):,} rows ×"
        f" {len(panel.features)}, {len(panel.classes)} classes, {FOLDS['full']} folds by company"
    )
    plan = make_plan("company", names, DEFAULT_SELECTORS, "full", SEED, chosen.jobs)
    began = time.perf_counter()
    ours = run(panel, plan)
    whole = time.perf_counter() - began
    print(f"ours: {len(ours.leaderboard)} cells in {whole:.0f} s", flush=True)
    report(panel, ours, whole, names, chosen.selector, chosen.jobs)


def report(
    panel: Panel, ours: RunResult, whole: float, names: tuple[str, ...], selector: str, jobs: int
) -> None:
    """Run the plain search learner by learner and print both."""
    print(
        f"\n{'learner':10s}{'points':>7s}{'plain s':>9s}{'× 5':>8s}"
        f"{'plain F1':>10s}{'our F1':>8s}{'apart':>8s}"
    )
    total, gaps = 0.0, []
    for name in names:
        seconds, theirs = plain(panel, ours.split, name, selector, jobs)
        total += seconds
        mine = macro_f1(ours, name, selector)
        gaps.append(mine - theirs)
        points = len(learner_named(name).full)
        print(
            f"{name:10s}{points:7d}{seconds:9.1f}{seconds * 5:8.0f}"
            f"{theirs:10.4f}{mine:8.4f}{mine - theirs:+8.4f}",
            flush=True,
        )
    ratio = total * len(DEFAULT_SELECTORS) / whole
    print(
        f"{'all':10s}{'':7s}{total:9.1f}{total * 5:8.0f}{'':10s}{'mean':>8s}{np.mean(gaps):+8.4f}"
    )
    print(
        f"\nplain, {selector} × {len(DEFAULT_SELECTORS)}: {total * 5:.0f} s; ours, all"
        f" selections: {whole:.0f} s; {ratio:.1f} times faster"
    )


if __name__ == "__main__":
    main()
