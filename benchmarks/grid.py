"""`--grid full` beside scikit-learn's GridSearchCV: seconds and macro-F1, in one run.

    python benchmarks/grid.py [--panel FILE] [--selector correlation] [--learners a,b] [--jobs 2]
    python benchmarks/grid.py --splits 1,2,3 [--learners a,b] ...  # macro-F1 alone, on these splits

Both search the same points on the same five folds (companies kept apart) for the same learners:

- plain: `GridSearchCV(n_jobs=2)` over one imblearn pipeline per learner and selection, which
  imputes, winsorises, scales, selects and balances anew for every point and fold, fits every point
  to its end with the library's own number of bins and all columns, and refits the best.
- ours: `models.evaluate.run` with `--grid full`: all learners with all five selections.

The plain search is timed on one selection, by default one that costs hardly anything to choose
columns by, and taken times five; what choosing them by the other four costs more, anew for every
fit, is timed once and added in a second figure. Macro-F1 of the folds is the mean of each search's
own best; "lost" is what our short cuts cost the choice: that of the plain search's best point less
that of the point which ours chose, both by its fits. "test" is macro-F1 of what each chose and
fitted, on companies that neither has seen, with the interval of the difference (companies drawn
anew). With --splits both search again on other test companies and folds, each number a seed of
them, with --selector alone, and no seconds are told. Without --panel the companies are simulated
(`features.demo`).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))
# One thread a fit, in the processes of both: two fits at once beat two threads in one.
os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}

import numpy as np  # noqa: E402
from sklearn.metrics import f1_score  # noqa: E402
from sklearn.model_selection import GridSearchCV  # noqa: E402

from features.dataset import training_data  # noqa: E402
from models.comparison import compare  # noqa: E402
from models.evaluate import RunResult, make_plan, run  # noqa: E402
from models.leaderboard import CV  # noqa: E402
from models.learner import Params  # noqa: E402
from models.learners import DEFAULT_LEARNERS, learner_named  # noqa: E402
from models.panel import Floats, Panel, panel_from_frame, read_panel  # noqa: E402
from models.pipeline import Select, build_pipeline, prepare  # noqa: E402
from models.protocols import Split  # noqa: E402
from models.search import FOLDS, params_json  # noqa: E402
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


@dataclass(frozen=True)
class Plain:
    """What GridSearchCV found: seconds, mean macro-F1 per point, probabilities of test rows."""

    seconds: float
    folds: list[float]
    test: Floats


def plain(
    panel: Panel, split: Split, name: str, selector: str, jobs: int, seed: int = SEED
) -> Plain:
    """Search the points of a learner with one selection."""
    learner = learner_named(name)
    places = {int(row): at for at, row in enumerate(split.train)}
    plan = make_plan("company", (name,), (selector,), "full")
    folds = [
        tuple(np.array([places[int(row)] for row in part]) for part in pair)
        for pair in plan.protocol.folds(panel, split.train, FOLDS["full"], seed)
    ]
    pipeline = build_pipeline(learner, {}, selector, seed, "cpu", panel.relative_at)
    grid = [{f"learn__{key}": [value] for key, value in p.items()} for p in learner.full]
    search = GridSearchCV(pipeline, grid, scoring="f1_macro", cv=folds, n_jobs=jobs)
    values = panel.X.to_numpy()
    began = time.perf_counter()
    search.fit(values[split.train], panel.y[split.train])
    seconds = time.perf_counter() - began
    means = [float(mean) for mean in search.cv_results_["mean_test_score"]]
    return Plain(seconds, means, search.predict_proba(values[split.test]))


def ours_of(result: RunResult, learner: str, selector: str) -> tuple[set[int], float, Floats]:
    """Points that our choice stands for (it settles the rounds itself), its folds and test rows."""
    board = result.leaderboard.set_index(["learner", "selector"])
    chosen = json.loads(board.loc[(learner, selector), "params"])
    entry = learner_named(learner)

    def told(params: Params) -> str:
        return params_json(
            {k: v for k, v in params.items() if k != entry.trees and k not in entry.lean}
        )

    points = {at for at, params in enumerate(entry.full) if told(params) == told(chosen)}
    rows = result.test_predictions.query("learner == @learner and selector == @selector")
    folds = float(board.loc[(learner, selector), CV])
    return points, folds, rows[[f"proba_{name}" for name in result.panel.classes]].to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--panel", type=Path)
    parser.add_argument("--selector", default="correlation", choices=DEFAULT_SELECTORS)
    parser.add_argument("--learners", default=",".join(DEFAULT_LEARNERS))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--splits", default="", help="seeds of other splits: 1,2,3")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore")
    names = tuple(chosen.learners.split(","))
    panel = read(chosen.panel)
    said = "SIMULATED companies" if panel.simulated else panel.source
    print(
        f"{platform.machine()}, {os.cpu_count()} cores; {said}, {len(panel.y):,} rows ×"
        f" {len(panel.features)}, {len(panel.classes)} classes, {FOLDS['full']} folds by company"
    )
    if chosen.splits:
        seeds = tuple(int(seed) for seed in chosen.splits.split(","))
        over_splits(panel, names, chosen.selector, chosen.jobs, seeds)
        return
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
    print(f"\n{'':35s}{'macro-F1, folds':>24s}{'macro-F1, test rows':>40s}")
    print(
        f"{'learner':10s}{'points':>7s}{'plain s':>9s}{'× 5':>9s}{'plain':>8s}{'ours':>8s}"
        f"{'lost':>8s}"
        f"{'plain':>8s}{'ours':>8s}{'apart':>8s}  95 % interval"
    )
    rows = ours.split.test
    total, above, lost, apart = 0.0, [], [], []
    for name in names:
        theirs = plain(panel, ours.split, name, selector, jobs)
        points, folds, proba = ours_of(ours, name, selector)
        above.append(folds - max(theirs.folds))
        lost.append(max(theirs.folds) - max(theirs.folds[at] for at in points))
        y, groups = panel.y[rows], None if panel.groups is None else panel.groups[rows]
        both = {"plain": theirs.test, "ours": proba}
        found = compare(y, both, panel.classes, groups, SEED, "plain").iloc[1]
        apart.append(found["difference"])
        figures = [f1_score(y, one.argmax(axis=1), average="macro") for one in both.values()]
        total += theirs.seconds
        print(
            f"{name:10s}{len(theirs.folds):7d}{theirs.seconds:9.1f}{theirs.seconds * 5:9.0f}"
            f"{max(theirs.folds):8.3f}{folds:8.3f}{-lost[-1]:+8.3f}{figures[0]:8.3f}{figures[1]:8.3f}"
            f"{apart[-1]:+8.3f}  {found['low']:+.3f} to {found['high']:+.3f}",
            flush=True,
        )
    print(
        f"{'mean apart':10s}{'':7s}{total:9.1f}{total * 5:9.0f}{np.mean(above):+16.3f}"
        f"{-np.mean(lost):+8.3f}{np.mean(apart):+24.3f}"
    )
    more, said = choosing(panel, ours.split, names, selector, jobs)
    print(
        f"\nplain, {selector} × {len(DEFAULT_SELECTORS)}: {total * 5:.0f} s; ours, all"
        f" selections: {whole:.0f} s; {total * 5 / whole:.1f} times faster"
        f"\n{said}: {more:.0f} s more; {(total * 5 + more) / whole:.1f} times faster"
    )


def over_splits(
    panel: Panel, names: tuple[str, ...], selector: str, jobs: int, seeds: tuple[int, ...]
) -> None:
    """Print macro-F1 of test rows of both, split by split.

    Ours searches "all" first, as a whole run does, and goes on from its points.
    """
    selectors = tuple(dict.fromkeys(("all", selector)))
    made = {}
    for seed in seeds:
        plan = make_plan("company", names, selectors, "full", seed, jobs)
        made[seed] = run(panel, plan)
    print(f"\nmacro-F1 of test rows, {selector}, of {len(seeds)} splits (seeds)")
    print(f"{'learner':10s}" + "".join(f"{f'plain, ours {seed}':>16s}" for seed in seeds))
    for name in names:
        pairs = []
        for seed, ours in made.items():
            truth = panel.y[ours.split.test]
            theirs = plain(panel, ours.split, name, selector, jobs, seed).test
            both = (theirs, ours_of(ours, name, selector)[2])
            pairs.append([f1_score(truth, one.argmax(axis=1), average="macro") for one in both])
        apart = [own - other for other, own in pairs]
        error = np.std(apart, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.nan
        print(
            f"{name:10s}"
            + "".join(f"{f'{other:.3f} {own:.3f}':>16s}" for other, own in pairs)
            + f"   apart {np.mean(apart):+.3f}, standard error {error:.3f}",
            flush=True,
        )


def choosing(
    panel: Panel, split: Split, names: tuple[str, ...], selector: str, jobs: int
) -> tuple[float, str]:
    """Seconds by which the four other selections choose columns longer, in all fits; and how."""
    plan = make_plan("company", names, DEFAULT_SELECTORS, "full")
    fit, score = plan.protocol.folds(panel, split.train, FOLDS["full"], SEED)[0]
    rows = prepare(panel, fit, fit[:0], score).fit
    once = {}
    for name in DEFAULT_SELECTORS:
        began = time.perf_counter()
        Select(name, SEED).fit(*rows)
        once[name] = time.perf_counter() - began
    fits = sum(len(learner_named(name).full) * FOLDS["full"] + 1 for name in names)
    more = sum(once[name] - once[selector] for name in DEFAULT_SELECTORS) * fits / jobs
    each = ", ".join(f"{name} {seconds:.1f}" for name, seconds in once.items())
    return more, f"choosing columns ({each} s a fit, {fits} fits a selection)"


if __name__ == "__main__":
    main()
