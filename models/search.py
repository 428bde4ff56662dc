"""The tuning engine: every learner with every selector, racing over shared folds.

What cells share is computed once: folds are prepared, columns chosen and classes balanced for all
learners alike. Under `--grid full` the first selector's cell of a learner meets all points; the
other selectors' races start with the best two of that one.

Results depend on the seed only, never on the engine or the number of processes: each fit runs on
one thread with its own fixed random state, and rows come back in table order.
"""

from __future__ import annotations

import hashlib
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.cell import Cell, failed_cell
from models.engine import LOCAL, ClusterError, Engine, Task, environment, open_engine
from models.kept import Kept
from models.learner import Learner, Params
from models.learners import learner_named
from models.metrics import measure, metric_named
from models.panel import Floats, Ints, Panel
from models.pipeline import RESAMPLINGS, FoldData, Prepared, fold_data, prepare
from models.protocols import Protocol, Split, early_stop_split
from models.racing import Keeps, Point, Race, Try, keeps_of, race
from models.selectors import Mask
from models.spread import spread
from warehouse.errors import InputError

FOLDS = {"paper": 0, "quick": 3, "full": 5}
_MACRO_F1 = metric_named("macro_f1")
_LOG_LOSS = metric_named("log_loss")


CHEAP = 0.5  # cost of learners that try all points with every selection


@dataclass(frozen=True)
class Plan:
    """What to run: names from the tables, grid, seed, processes and device.

    `extras` are rows beside the learners (`models.extras`); of `keep` learners the best model is
    kept to be saved.
    """

    protocol: Protocol
    learners: tuple[str, ...]
    selectors: tuple[str, ...]
    grid: str = "quick"
    seed: int = 0
    jobs: int = 1
    device: str = "cpu"
    cut: int | None = None
    resamplings: tuple[str, ...] = RESAMPLINGS[:1]
    engine: str = LOCAL
    extras: tuple[str, ...] = ()
    keep: int = 1


@dataclass(frozen=True)
class Search:
    """All cells in table order, the rows of each fold, and the columns kept per selector."""

    cells: tuple[Cell, ...]
    folds: tuple[Ints, ...]
    masks: dict[str, Mask]
    notices: tuple[str, ...]
    timings: dict[str, float]


def decisive(panel: Panel, split: Split, plan: Plan) -> dict[str, str]:
    """All that decides a cell, by name: where one differs, cells kept of another run do not fit."""
    rows = hashlib.sha256()
    given = (panel.X.to_numpy(), panel.y, split.train, split.test, panel.times)
    for part in (*given, panel.groups, panel.known_from, panel.available_from):
        rows.update(b"" if part is None else np.ascontiguousarray(part).tobytes())
    return {
        "rows": rows.hexdigest(),
        "features": ",".join(panel.inputs),
        "classes": ",".join(panel.classes),
        "protocol": plan.protocol.name,
        "grid": plan.grid,
        "selectors": ",".join(plan.selectors),
        "resampling": ",".join(plan.resamplings),
        "seed": str(plan.seed),
        "device": plan.device,
        "relative": ",".join(panel.relative),
        "versions": " ".join(f"{name} {value}" for name, value in environment().items()),
    }


def search(panel: Panel, split: Split, plan: Plan, kept: Kept | None = None) -> Search:
    """Tune and fit every cell of the plan on the training rows; score the test rows once.

    Cells that are in `kept` are taken from there; those that are done are put there.
    """
    started = time.perf_counter()
    prepared, scored, notices = _prepare_all(panel, split, plan)
    with open_engine(plan.engine, plan.jobs) as engine:
        data, broken = _choose(engine, prepared, plan)
        middle = time.perf_counter()
        cells = _run_cells(engine, data, broken, plan, kept)
    timings = {"prepare": middle - started, "cells": time.perf_counter() - middle}
    masks = {name: folds[-1].mask for name, folds in data.items()}
    notes = dict.fromkeys(note for folds in data.values() for one in folds for note in one.notices)
    return Search(cells, scored, masks, notices + tuple(notes), timings)


def _choose(
    engine: Engine, prepared: list[Prepared], plan: Plan
) -> tuple[dict[str, list[FoldData]], dict[str, str]]:
    """The folds' rows by selector; and why a selector failed."""
    handles = [engine.share(fold) for fold in prepared]
    pairs = [(name, at) for name in plan.selectors for at in range(len(prepared))]
    tasks: list[Task] = [(_columns, (handles[at], name, plan.seed)) for name, at in pairs]
    made = dict(engine.run(tasks))
    data: dict[str, list[FoldData]] = {name: [] for name in plan.selectors}
    broken: dict[str, str] = {}
    for number, (name, _) in enumerate(pairs):
        found = made[number]
        if isinstance(found, str):
            broken.setdefault(name, found)
            data.pop(name, None)
        elif name in data:
            data[name].append(found)
    return data, broken


def _columns(prepared: Prepared, selector: str, seed: int) -> FoldData | str:
    """Choose columns and balance; a failure comes back as its reason."""
    try:
        return fold_data(prepared, selector, seed)
    except Exception as error:
        return _reason(error)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _prepare_all(
    panel: Panel, split: Split, plan: Plan
) -> tuple[list[Prepared], tuple[Ints, ...], tuple[str, ...]]:
    """Prepare the tuning folds, then all training rows; name the rows each fold scores."""
    wanted = FOLDS[plan.grid]
    folds = plan.protocol.folds(panel, split.train, wanted, plan.seed) if wanted else []
    prepared, unstopped = [], 0
    with threadpool_limits(1):
        for fit, score in folds:
            keep, stop = early_stop_split(panel, fit, plan.seed, plan.protocol)
            unstopped += len(stop) == 0
            prepared.append(prepare(panel, keep, stop, score))
        prepared.append(prepare(panel, split.train, split.train[:0], split.test))
    notices = []
    if len(folds) < wanted:
        notices.append(f"tuned on {len(folds)} folds, not {wanted}: the others lack a class")
    if unstopped:
        notices.append(f"{unstopped} folds are too small to set rows aside for early stopping")
    return prepared, tuple(score for _, score in folds), tuple(notices)


def _run_cells(
    engine: Engine,
    data: dict[str, list[FoldData]],
    broken: dict[str, str],
    plan: Plan,
    kept: Kept | None,
) -> tuple[Cell, ...]:
    """Run one cell per learner and distinct choice of columns; equal choices share the result."""
    twins = _twins({name: [fold.mask for fold in folds] for name, folds in data.items()})
    selectors = list(dict.fromkeys(twins.values()))
    found: dict[tuple[str, str], Cell] = {}
    with _progress(len(plan.learners) * len(selectors)) as advance:
        # Under `full` the others wait for the shortlists of the first.
        for names in (selectors[:1], selectors[1:]) if plan.grid == "full" else (selectors,):
            for cell in _stage(engine, {name: data[name] for name in names}, found, plan, kept):
                found[cell.learner, cell.selector] = cell
                advance(cell.name)
    return tuple(
        failed_cell(learner, name, broken[name])
        if name in broken
        else replace(found[learner, twins[name]], selector=name)
        for learner in plan.learners
        for name in plan.selectors
    )


def _stage(
    engine: Engine,
    data: dict[str, list[FoldData]],
    found: dict[tuple[str, str], Cell],
    plan: Plan,
    kept: Kept | None,
) -> Iterator[Cell]:
    """Yield the cells of these selectors as they are done; `found` has those done before."""
    todo: list[tuple[Learner, str]] = []
    for learner, name in [(learner, name) for name in data for learner in plan.learners]:
        before = kept.load(learner, name) if kept else None
        if before is None:
            todo.append((learner_named(learner), name))
        else:
            yield before
    for cell in _made(engine, data, todo, found, plan):
        if kept:
            kept.save(cell)
        yield cell


def _made(
    engine: Engine,
    data: dict[str, list[FoldData]],
    todo: list[tuple[Learner, str]],
    found: dict[tuple[str, str], Cell],
    plan: Plan,
) -> Iterator[Cell]:
    """Yield these cells: those whose fits are for all workers one by one, then the others."""
    shortlists = {cell.learner: cell.shortlist for cell in found.values()}
    handles: dict[str, Any] = {}
    tasks: list[tuple[float, Task]] = []
    for learner, name in todo:
        shortlist = shortlists.get(learner.name, ()) if learner.cost >= CHEAP else ()
        spreading = spread(learner, engine, len(data[name][-1].whole.y))
        if spreading is not learner:
            yield run_cell(spreading, name, data[name], plan, shortlist)
            continue
        if name not in handles:
            handles[name] = engine.share(data[name])
        tasks.append((learner.cost, (run_cell, (learner, name, handles[name], plan, shortlist))))
    tasks.sort(key=lambda task: -task[0])  # long ones first: no lone straggler
    for _, cell in engine.run([task for _, task in tasks]):
        yield cell


def _twins(masks: dict[str, list[Mask]]) -> dict[str, str]:
    """Map each selector to the first that keeps the same columns in every fold."""
    first: dict[bytes, str] = {}
    return {
        name: first.setdefault(b"".join(mask.tobytes() for mask in folds), name)
        for name, folds in masks.items()
    }


def run_cell(
    learner: Learner,
    selector: str,
    folds: list[FoldData],
    plan: Plan,
    shortlist: tuple[int, ...] = (),
) -> Cell:
    """Tune, fit and score one cell; a failure becomes the cell's `error`, others go on.

    Raises:
        ClusterError: not this cell failed, but the cluster that fits it.
    """
    try:
        with threadpool_limits(1):
            return _cell(learner, selector, folds, plan, shortlist)
    except ClusterError:
        raise
    except Exception as error:
        return failed_cell(learner.name, selector, _reason(error))


def _cell(
    learner: Learner,
    selector: str,
    folds: list[FoldData],
    plan: Plan,
    shortlist: tuple[int, ...],
) -> Cell:
    started = time.perf_counter()
    points = points_of(learner, plan, all(fold.stop is not None for fold in folds[:-1]))
    listed = [points[at] for at in shortlist]
    keeps = keeps_of(plan.grid, learner.trees is not None, bool(listed))
    raced = _race(learner, listed or points, folds[:-1], plan, keeps)
    params = _with_trees(learner, raced)
    tuned = time.perf_counter()
    final = folds[-1]
    model = learner.build(params, plan.seed, plan.device)
    learner.fit(model, *final.whole.rows(raced.winner.resampling), None)
    fitted = time.perf_counter()
    test = _proba(model, final)
    scored = time.perf_counter()
    return Cell(
        learner.name,
        selector,
        params,
        raced.winner.resampling,
        int(final.mask.sum()),
        tuple(one.proba for one in raced.tries),
        test,
        fit_seconds=fitted - tuned,
        tune_seconds=tuned - started,
        ms_per_company=(scored - fitted) * 1000 / len(test),
        importance=gain(learner, model),
        shortlist=tuple(points.index(point) for point in raced.shortlist),
    )


def points_of(learner: Learner, plan: Plan, stopped: bool) -> list[Point]:
    """The points of the plan's grid.

    Where fits are `stopped` early, points that differ in their number of rounds alone are one: one
    fit answers for all.
    """
    found: dict[str, Point] = {}
    for resampling in plan.resamplings:
        for params in learner.points(plan.grid):
            told = {
                name: v for name, v in params.items() if not (stopped and name == learner.trees)
            }
            # The last of a row has most rounds.
            found[params_json({**told, "": resampling})] = Point(params, resampling)
    return list(found.values())


def _race(
    learner: Learner,
    points: list[Point],
    folds: list[FoldData],
    plan: Plan,
    keeps: Keeps,
) -> Race:
    cheap = learner.tuning if plan.grid == "full" else {}

    def attempt(point: Point, fold: int) -> Try:
        cheaper = replace(point, params={**point.params, **cheap})
        return _attempt(learner, cheaper, folds[fold], plan)

    return race(points, len(folds), keeps, attempt)


def _attempt(learner: Learner, point: Point, fold: FoldData, plan: Plan) -> Try:
    model = learner.build(point.params, plan.seed, plan.device)
    stop = fold.stop if learner.trees else None
    X, y = (fold.kept if stop else fold.whole).rows(point.resampling)
    trees = learner.fit(model, X, y, stop)
    proba, truth = _proba(model, fold), fold.score[1]
    figures = [measure(metric, truth, proba, 0) for metric in (_MACRO_F1, _LOG_LOSS)]
    return Try(proba, trees, *figures)


def _with_trees(learner: Learner, raced: Race) -> Params:
    """The winner's parameters, with as many rounds as its folds were stopped at: the median."""
    trees = [one.trees for one in raced.tries if one.trees is not None]
    if learner.trees is None or not trees:
        return raced.winner.params
    return {**raced.winner.params, learner.trees: int(np.median(trees))}


def _proba(model: Any, fold: FoldData) -> Floats:
    proba = np.asarray(model.predict_proba(fold.score[0]), dtype=np.float64)
    if not np.isfinite(proba).all():
        raise InputError("the model gives probabilities that are not numbers")
    return proba


def gain(learner: Learner, model: Any) -> Floats | None:
    """Total loss reduction per column; CatBoost's own measure there; None for other learners."""
    if learner.save == "lightgbm":
        return np.asarray(model.booster_.feature_importance("gain"), dtype=np.float64)
    if learner.save == "catboost":
        return np.asarray(model.get_feature_importance(), dtype=np.float64)
    if learner.save == "xgboost":
        found = model.get_booster().get_score(importance_type="total_gain")
        return np.array([found.get(f"f{i}", 0.0) for i in range(model.n_features_in_)])
    return None


@contextmanager
def _progress(count: int) -> Iterator[Callable[[str], None]]:
    """Show cells done and time left: a bar on a terminal, else a line per tenth of the work."""
    if sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task("cells", total=count)
            yield lambda name: bar.update(task, advance=1, description=name)
    else:
        yield _plain_lines(count)


def _plain_lines(count: int) -> Callable[[str], None]:
    started, done = time.perf_counter(), 0

    def advance(name: str) -> None:
        nonlocal done
        done += 1
        if done % max(1, count // 10) and done < count:
            return
        left = (time.perf_counter() - started) / done * (count - done)
        print(f"{done}/{count} cells, about {left:.0f} s left", file=sys.stderr)

    return advance


def params_json(params: Params) -> str:
    """Parameters as one JSON object with sorted keys."""
    return json.dumps(params, sort_keys=True)
