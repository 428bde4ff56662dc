"""Run a plan on a panel and gather everything that tables, figures and the artifact need."""

from __future__ import annotations

import time
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.leaderboard import leaderboard
from models.learners import learner_named, resolve_device
from models.metrics import batch, bootstrap, measure_all
from models.panel import Floats, Ints, Panel
from models.pipeline import build_pipeline
from models.protocols import Split, protocol_named
from models.search import Cell, Plan, Search, params_json, search
from models.selectors import intersection, selector_named
from warehouse.errors import InputError

RESULT_COLUMNS = ("learner", "selector", "protocol", "fold", "metric", "value", "low", "high")
TOP_FEATURES = 20


@dataclass(frozen=True)
class RunResult:
    """All that one run found.

    `results` is long; `confusion` maps learner/selector to truth x predicted counts on test rows;
    `predictions` has the best model's probabilities, `test_predictions` those of every cell;
    `pipeline` is the best one, fitted on the training rows; `importance` has total gain.
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

    @property
    def selected(self) -> list[str]:
        """Features that the best model uses."""
        mask = self.pipeline.named_steps["select"].mask_
        return [name for name, kept in zip(self.panel.features, mask, strict=True) if kept]


def run(
    panel: Panel,
    protocol: str,
    learners: tuple[str, ...],
    selectors: tuple[str, ...],
    grid: str = "quick",
    seed: int = 0,
    jobs: int = 1,
    device: str = "cpu",
    cut: int | None = None,
) -> RunResult:
    """Split, tune, fit, score and rank; raise InputError on bad input or if no cell succeeds."""
    plan = Plan(
        protocol_named(protocol),
        tuple(learner_named(name).name for name in dict.fromkeys(learners)),
        tuple(selector_named(name).name for name in dict.fromkeys(selectors)),
        grid,
        seed,
        jobs,
        resolve_device(device),
        cut,
    )
    started = time.perf_counter()
    split = plan.protocol.split(panel, seed, cut)
    found = search(panel, split, plan)
    cells = [cell for cell in found.cells if not cell.error]
    failed = tuple(f"{cell.name}: {cell.error}" for cell in found.cells if cell.error)
    if not cells:
        raise InputError(f"no cell could be fitted; the first failed with {failed[0]}")
    return _gather(panel, plan, split, found, cells, failed, started)


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
    params = {(cell.learner, cell.selector): params_json(cell.params) for cell in cells}
    board = leaderboard(results, params, panel.classes)
    best = _cell_at(cells, board, 0)
    refitted = time.perf_counter()
    pipeline, notices = _refit(panel, split, plan, best)
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
        _predictions(panel, split.test, best.test),
        _all_predictions(panel, split.test, cells),
        best,
        pipeline,
        _kept(panel, found),
        _importance(panel, found, cells, board),
        _unique((*panel.notices, *split.notices, *found.notices, *notices)),
        failed,
        timings,
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
    learner = learner_named(best.learner)
    pipeline = build_pipeline(
        learner, best.params, best.selector, plan.seed, plan.device, panel.relative_at
    )
    values = panel.X.to_numpy()
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the same fit as before, judged by its figures
        pipeline.fit(values[split.train], panel.y[split.train])
        proba = np.asarray(pipeline.predict_proba(values[split.test]))
    apart = float(np.abs(proba - best.test).max())
    if apart > 1e-6:
        return pipeline, (f"the refitted best model differs by up to {apart:.1g} from the scored",)
    return pipeline, ()


def _predictions(panel: Panel, rows: Ints, proba: Floats) -> pd.DataFrame:
    """Keys, truth, prediction and a probability per class, one row per test row."""
    frame = panel.keys.iloc[rows].reset_index(drop=True)
    names = np.array(panel.classes, dtype=object)
    frame["truth"] = names[panel.y[rows]]
    frame["prediction"] = names[proba.argmax(axis=1)]
    for code, name in enumerate(panel.classes):
        frame[f"proba_{name}"] = proba[:, code]
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
