"""Run a plan on a panel and gather everything that tables, figures and the artifact need."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.assess import Assessment, assess, fitted
from models.calibration import Calibration
from models.cell import Cell
from models.conformal import ConformalSets
from models.engine import LOCAL, check_engine
from models.extras import TITLES, extra_cells
from models.kept import Kept
from models.leaderboard import leaderboard
from models.learners import (
    DEFAULT_LEARNERS,
    device_notices,
    learner_named,
    resolve_device,
)
from models.learning_curve import learning_curve
from models.metrics import batch, bootstrap, measure_all
from models.panel import Floats, Ints, Panel
from models.pipeline import RESAMPLINGS, build_pipeline
from models.protocols import Split, protocol_named
from models.rivals import RIVALS
from models.search import FOLDS, Plan, Search, decisive, params_json, search
from models.selectors import intersection, selector_named
from warehouse.errors import InputError

RESULT_COLUMNS = ("learner", "selector", "protocol", "fold", "metric", "value", "low", "high")
TOP_FEATURES = 20
GROUPS = {
    "default": DEFAULT_LEARNERS,
    "rivals": (*(rival.name for rival in RIVALS), *TITLES),
}


@dataclass(frozen=True)
class Fitted:
    """A cell's pipeline, fitted on the training rows, and what corrects its probabilities.

    `calibration` and `sets` are None without tuning folds.
    """

    cell: Cell
    pipeline: Any
    calibration: Calibration | None
    sets: ConformalSets | None

    def selected(self, features: tuple[str, ...]) -> list[str]:
        """Those of the features that it uses."""
        mask = self.pipeline.named_steps["select"].mask_
        return [name for name, kept in zip(features, mask, strict=True) if kept]


@dataclass(frozen=True)
class RunResult:
    """All that one run found.

    `results` is long; `confusion` maps learner/selector to truth x predicted counts on test rows;
    `predictions` has the best model's probabilities, `test_predictions` those of every cell;
    `pipeline` is the best one, fitted on the training rows; `importance` has total gain; `others`
    are the best of other learners, as many as the plan keeps.
    """

    panel: Panel
    plan: Plan
    split: Split
    results: pd.DataFrame
    leaderboard: pd.DataFrame
    confusion: dict[str, list[list[int]]]
    predictions: pd.DataFrame
    test_predictions: pd.DataFrame
    best: Cell
    pipeline: Any
    kept: dict[str, list[str]]
    importance: pd.DataFrame
    notices: tuple[str, ...]
    failed: tuple[str, ...]
    timings: dict[str, float]
    assessment: Assessment
    others: tuple[Fitted, ...] = ()

    @property
    def best_row(self) -> pd.Series:
        """The row of the best model in the leaderboard: not the first where an extra row leads."""
        return self.row_of(self.best)

    def row_of(self, cell: Cell) -> pd.Series:
        """The row of a cell in the leaderboard."""
        board = self.leaderboard
        mine = (board["learner"] == cell.learner) & (board["selector"] == cell.selector)
        return board[mine].iloc[0]

    @property
    def fitted(self) -> Fitted:
        """The best model."""
        told = self.assessment
        return Fitted(self.best, self.pipeline, told.calibration, told.sets)

    @property
    def selected(self) -> list[str]:
        """Features that the best model uses."""
        return self.fitted.selected(self.panel.features)


def make_plan(
    protocol: str,
    learners: tuple[str, ...],
    selectors: tuple[str, ...],
    grid: str = "quick",
    seed: int = 0,
    jobs: int = 1,
    device: str = "cpu",
    cut: int | None = None,
    resamplings: tuple[str, ...] = RESAMPLINGS[:1],
    engine: str = LOCAL,
    keep: int = 1,
) -> Plan:
    """A plan by names; raise InputError where one is unknown or does not go with another."""
    if cut is not None and protocol != "time":
        raise InputError(f"--cut is for --protocol time, not {protocol}")
    for name in resamplings:
        if name not in RESAMPLINGS:
            raise InputError(f"--resampling {name}: one of {', '.join(RESAMPLINGS)}, or both")
    check_engine(engine)
    names, extras = _rows_named(learners)
    return Plan(
        protocol_named(protocol),
        names,
        tuple(selector_named(name).name for name in dict.fromkeys(selectors)),
        grid,
        seed,
        jobs,
        resolve_device(device),
        cut,
        resamplings,
        engine,
        extras,
        keep,
    )


def _rows_named(names: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Learners, and the rows beside them; `default` and `rivals` stand for several."""
    wanted: dict[str, None] = {}
    for name in names:
        wanted |= dict.fromkeys(GROUPS.get(name, (name,)))
    learners = tuple(learner_named(name).name for name in wanted if name not in TITLES)
    if not learners:
        raise InputError(f"--learners {','.join(names)}: name one learner or more besides")
    return learners, tuple(name for name in wanted if name in TITLES)


def run(panel: Panel, plan: Plan, kept: Kept | None = None, resume: bool = False) -> RunResult:
    """Split, tune, fit, score and rank; raise InputError on bad input or if no cell succeeds.

    Cells that are done are put in `kept`; with `resume`, those of an interrupted run are taken
    from there.
    """
    started = time.perf_counter()
    split = plan.protocol.split(panel, plan.seed, plan.cut)
    if kept:
        kept.begin(decisive(panel, split, plan), resume)
    found = search(panel, split, plan, kept)
    tried = (*found.cells, *_extras(panel, split, plan, found))
    cells = [cell for cell in tried if not cell.error]
    failed = tuple(f"{cell.name}: {cell.error}" for cell in tried if cell.error)
    if all(cell.error for cell in found.cells):
        raise InputError(f"no cell could be fitted; the first failed with {failed[0]}")
    return _gather(panel, plan, split, found, cells, failed, started)


def _extras(panel: Panel, split: Split, plan: Plan, found: Search) -> list[Cell]:
    if not plan.extras:
        return []
    wanted = FOLDS[plan.grid]
    folds = plan.protocol.folds(panel, split.train, wanted, plan.seed) if wanted else []
    by_time = "time" in plan.protocol.needs
    return extra_cells(plan.extras, panel, split, folds, found.cells, plan.seed, by_time)


def _gather(
    panel: Panel,
    plan: Plan,
    split: Split,
    found: Search,
    cells: list[Cell],
    failed: tuple[str, ...],
    started: float,
) -> RunResult:
    measured = time.perf_counter()
    results = _results(panel, plan, split, found, cells)
    chosen = {(c.learner, c.selector): (params_json(c.params), c.resampling) for c in cells}
    board = leaderboard(results, chosen, panel.classes)
    ranked = [_cell_at(cells, board, row) for row in range(len(board))]
    # Only learners are saved: of an ensemble or a published score the next best is.
    best = next(cell for cell in ranked if cell.learner not in TITLES)
    assessment = assess(panel, split, found.folds, cells, best, plan.seed)
    refitted = time.perf_counter()
    pipeline, notices = _refit(panel, split, plan, best)
    others = _others(panel, split, plan, found, ranked)
    ended = time.perf_counter()
    timings = {
        **found.timings,
        "metrics": refitted - measured,
        "refit": ended - refitted,
        "total": ended - started,
    }
    return RunResult(
        panel,
        plan,
        split,
        results,
        board,
        {cell.name: _confusion(panel.y[split.test], cell.test) for cell in cells},
        _predictions(panel, split.test, best.test, assessment),
        _all_predictions(panel, split.test, cells),
        best,
        pipeline,
        _kept(panel, found),
        _importance(panel, found, cells, board),
        _unique(
            (
                *panel.notices,
                *split.notices,
                *device_notices(plan.learners, plan.device),
                *found.notices,
                *notices,
                *assessment.notices,
            )
        ),
        failed,
        timings,
        assessment,
        others,
    )


def _unique(lines: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(lines))


def _results(
    panel: Panel, plan: Plan, split: Split, found: Search, cells: list[Cell]
) -> pd.DataFrame:
    rows: list[tuple[object, ...]] = []
    groups = None if panel.groups is None else panel.groups[split.test]
    y = panel.y[split.test]
    for cell in cells:
        key = (cell.learner, cell.selector, plan.protocol.name)
        for at, (scored, proba) in enumerate(zip(found.folds, cell.cv, strict=True)):
            values = measure_all(panel.y[scored], proba, panel.classes, panel.focus)
            rows += [(*key, f"cv{at}", name, v, np.nan, np.nan) for name, v in values.items()]
        values = measure_all(y, cell.test, panel.classes, panel.focus)
        spans = bootstrap(y, cell.test, panel.classes, panel.focus, groups, plan.seed)
        rows += [(*key, "test", name, value, *spans[name]) for name, value in values.items()]
        rows += [(*key, "test", name, value, np.nan, np.nan) for name, value in _facts(cell)]
    return pd.DataFrame(rows, columns=list(RESULT_COLUMNS))


def _facts(cell: Cell) -> tuple[tuple[str, float], ...]:
    return (
        ("n_features", float(cell.n_features)),
        ("fit_seconds", cell.fit_seconds),
        ("ms_per_company", cell.ms_per_company),
    )


def _cell_at(cells: list[Cell], board: pd.DataFrame, row: int) -> Cell:
    wanted = f"{board['learner'].iloc[row]}/{board['selector'].iloc[row]}"
    return next(cell for cell in cells if cell.name == wanted)


def _confusion(y: Ints, proba: Floats) -> list[list[int]]:
    return [[int(count) for count in row] for row in batch(y, proba).confusion[0]]


def _refit(panel: Panel, split: Split, plan: Plan, best: Cell) -> tuple[Any, tuple[str, ...]]:
    """Fit the winner as one plain pipeline and check that it says what was scored."""
    pipeline = _pipeline_of(panel, plan, best)
    values = panel.X.to_numpy()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same fit as before, judged by its figures
        pipeline.fit(values[split.train], panel.y[split.train])
        proba = np.asarray(pipeline.predict_proba(values[split.test]))
    apart = float(np.abs(proba - best.test).max())
    if apart > 1e-6:
        return pipeline, (f"the refitted best model differs by up to {apart:.1g} from the scored",)
    return pipeline, ()


def _others(
    panel: Panel, split: Split, plan: Plan, found: Search, ranked: list[Cell]
) -> tuple[Fitted, ...]:
    """The best cell of each learner after the first, best first, as many as are kept."""
    learners: dict[str, Cell] = {}
    for cell in ranked:
        if cell.learner not in TITLES:
            learners.setdefault(cell.learner, cell)
    wanted = list(learners.values())[1 : plan.keep]
    fits = []
    for cell in wanted:
        pipeline, _ = _refit(panel, split, plan, cell)
        corrections = (
            fitted(panel, np.concatenate(found.folds), np.vstack(cell.cv))
            if found.folds
            else (None, None)
        )
        fits.append(Fitted(cell, pipeline, *corrections))
    return tuple(fits)


def learning_curve_of(result: RunResult) -> pd.DataFrame:
    """The best model fitted anew on parts of the training companies: `models.learning_curve`."""
    panel, plan, best, split = result.panel, result.plan, result.best, result.split
    values = panel.X.to_numpy()

    def fit_and_score(rows: Ints) -> Floats:
        pipeline = _pipeline_of(panel, plan, best)
        with threadpool_limits(1), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of few rows, as everything here
            pipeline.fit(values[rows], panel.y[rows])
            return np.asarray(pipeline.predict_proba(values[split.test]), dtype=np.float64)

    return learning_curve(
        fit_and_score, panel.groups, panel.y, split.train, split.test, panel.focus, seed=plan.seed
    )


def _pipeline_of(panel: Panel, plan: Plan, cell: Cell) -> Any:
    """The unfitted pipeline of a cell."""
    return build_pipeline(
        learner_named(cell.learner),
        cell.params,
        cell.selector,
        plan.seed,
        plan.device,
        panel.relative_at,
        cell.resampling,
    )


def _predictions(
    panel: Panel, rows: Ints, proba: Floats, assessment: Assessment | None = None
) -> pd.DataFrame:
    """Keys, truth, prediction and a probability per class, one row per test row.

    Of the best model also calibrated probabilities and the prediction set, classes with a bar.
    """
    frame = panel.keys.iloc[rows].reset_index(drop=True)
    names = np.array(panel.classes, dtype=object)
    frame["truth"] = names[panel.y[rows]]
    frame["prediction"] = names[proba.argmax(axis=1)]
    for code, name in enumerate(panel.classes):
        frame[f"proba_{name}"] = proba[:, code]
    if assessment and assessment.proba is not None and assessment.sets is not None:
        for code, name in enumerate(panel.classes):
            frame[f"calibrated_{name}"] = assessment.proba[:, code]
        sets = assessment.sets.sets(assessment.proba)
        frame["prediction_set"] = ["|".join(names[row]) for row in sets]
    return frame


def _all_predictions(panel: Panel, rows: Ints, cells: list[Cell]) -> pd.DataFrame:
    frames = []
    for cell in cells:
        frame = _predictions(panel, rows, cell.test)
        frame.insert(0, "learner", cell.learner)
        frame.insert(1, "selector", cell.selector)
        frames.append(frame)
    return pd.concat(frames, ignore_index=True)


def _kept(panel: Panel, found: Search) -> dict[str, list[str]]:
    masks = {**found.masks, "intersection": intersection(found.masks)}
    names = np.array(panel.features, dtype=object)
    return {name: [str(feature) for feature in names[mask]] for name, mask in masks.items()}


def _importance(
    panel: Panel, found: Search, cells: list[Cell], board: pd.DataFrame
) -> pd.DataFrame:
    """Top features of the highest-ranked boosting model: feature, gain, share, and which model."""
    ranked = (_cell_at(cells, board, row) for row in range(len(board)))
    cell = next((cell for cell in ranked if cell.importance is not None), None)
    if cell is None or cell.importance is None:
        return pd.DataFrame(columns=["feature", "gain", "share", "learner", "selector"])
    frame = pd.DataFrame(
        {
            "feature": np.array(panel.features, dtype=object)[found.masks[cell.selector]],
            "gain": cell.importance,
            "share": cell.importance / max(float(cell.importance.sum()), 1e-300),
            "learner": cell.learner,
            "selector": cell.selector,
        }
    )
    frame = frame.sort_values(["gain", "feature"], ascending=[False, True], ignore_index=True)
    return frame.head(TOP_FEATURES)
