"""The tuning engine: every learner with every selector, racing over shared folds.

Results depend on the seed only, never on the number of processes: each fit runs on one thread
with its own fixed random state, and rows come back in table order.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.learners import Learner, Params, learner_named
from models.metrics import METRICS, measure
from models.panel import Floats, Ints, Panel
from models.pipeline import FoldData, Prepared, fold_data, prepare
from models.protocols import Protocol, Split, early_stop_split
from models.selectors import Mask
from warehouse.errors import InputError

FOLDS = {"paper": 0, "quick": 3, "full": 5}
_MACRO_F1 = next(metric for metric in METRICS if metric.name == "macro_f1")
_LOG_LOSS = next(metric for metric in METRICS if metric.name == "log_loss")

T = TypeVar("T")


@dataclass(frozen=True)
class Plan:
    """What to run: names from the tables, grid, seed, processes and device."""

    protocol: Protocol
    learners: tuple[str, ...]
    selectors: tuple[str, ...]
    grid: str = "quick"
    seed: int = 0
    jobs: int = 1
    device: str = "cpu"
    cut: int | None = None


@dataclass(frozen=True)
class Cell:
    """One learner with one selector: chosen parameters, probabilities on folds and test rows.

    `error` is the reason where it failed, and then all else is empty.
    """

    learner: str
    selector: str
    params: Params
    n_features: int
    cv: tuple[Floats, ...]
    test: Floats
    fit_seconds: float
    tune_seconds: float
    ms_per_company: float
    importance: Floats | None
    error: str = ""

    @property
    def name(self) -> str:
        """Learner and selector, as printed."""
        return f"{self.learner}/{self.selector}"


@dataclass(frozen=True)
class Search:
    """All cells in table order, the rows of each fold, and the columns kept per selector."""

    cells: tuple[Cell, ...]
    folds: tuple[Ints, ...]
    masks: dict[str, Mask]
    notices: tuple[str, ...]
    timings: dict[str, float]


def search(panel: Panel, split: Split, plan: Plan) -> Search:
    """Tune and fit every cell of the plan on the training rows; score the test rows once."""
    started = time.perf_counter()
    prepared, scored, notices = _prepare_all(panel, split, plan)
    pairs = [(name, at) for name in plan.selectors for at in range(len(prepared))]
    made = _parallel(plan.jobs, [(_columns, (prepared[at], name, plan.seed)) for name, at in pairs])
    data: dict[str, list[FoldData]] = {name: [] for name in plan.selectors}
    broken: dict[str, str] = {}
    for (name, _), found in zip(pairs, made, strict=True):
        if isinstance(found, str):
            broken.setdefault(name, found)
            data.pop(name, None)
        elif name in data:
            data[name].append(found)
    middle = time.perf_counter()
    cells = _run_cells(data, broken, plan)
    timings = {"prepare": middle - started, "cells": time.perf_counter() - middle}
    masks = {name: folds[-1].mask for name, folds in data.items()}
    notes = dict.fromkeys(note for folds in data.values() for one in folds for note in one.notices)
    return Search(cells, scored, masks, notices + tuple(notes), timings)


def _columns(prepared: Prepared, selector: str, seed: int) -> FoldData | str:
    """Choose columns and balance; a failure comes back as its reason."""
    try:
        return fold_data(prepared, selector, seed)
    except Exception as error:
        return _reason(error)


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def _failed(learner: str, selector: str, reason: str) -> Cell:
    return Cell(learner, selector, {}, 0, (), np.empty((0, 0)), 0.0, 0.0, 0.0, None, reason)


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
    data: dict[str, list[FoldData]], broken: dict[str, str], plan: Plan
) -> tuple[Cell, ...]:
    """Run one cell per learner and distinct choice of columns; equal choices share the result."""
    twins = _twins({name: [fold.mask for fold in folds] for name, folds in data.items()})
    todo = [(learner, name) for name in dict.fromkeys(twins.values()) for learner in plan.learners]
    todo.sort(key=lambda cell: -learner_named(cell[0]).cost)  # long ones first: no lone straggler
    tasks = [(run_cell, (learner, name, data[name], plan)) for learner, name in todo]
    labels = [f"{learner}/{name}" for learner, name in todo]
    found = dict(zip(todo, _parallel(plan.jobs, tasks, labels), strict=True))
    return tuple(
        _failed(learner, name, broken[name])
        if name in broken
        else replace(found[learner, twins[name]], selector=name)
        for learner in plan.learners
        for name in plan.selectors
    )


def _twins(masks: dict[str, list[Mask]]) -> dict[str, str]:
    """Map each selector to the first that keeps the same columns in every fold."""
    first: dict[bytes, str] = {}
    return {
        name: first.setdefault(b"".join(mask.tobytes() for mask in folds), name)
        for name, folds in masks.items()
    }


def run_cell(learner: str, selector: str, folds: list[FoldData], plan: Plan) -> Cell:
    """Tune, fit and score one cell; a failure becomes the cell's `error`, others go on."""
    try:
        with threadpool_limits(1):
            return _cell(learner_named(learner), selector, folds, plan)
    except Exception as error:
        return _failed(learner, selector, _reason(error))


def _cell(learner: Learner, selector: str, folds: list[FoldData], plan: Plan) -> Cell:
    started = time.perf_counter()
    params, cv = _tune(learner, folds[:-1], plan)
    tuned = time.perf_counter()
    final = folds[-1]
    model = learner.build(params, plan.seed, plan.device)
    learner.fit(model, final.X, final.y, None)
    fitted = time.perf_counter()
    test = _proba(model, final)
    scored = time.perf_counter()
    return Cell(
        learner.name,
        selector,
        params,
        int(final.mask.sum()),
        cv,
        test,
        fit_seconds=fitted - tuned,
        tune_seconds=tuned - started,
        ms_per_company=(scored - fitted) * 1000 / len(test),
        importance=gain(learner, model),
    )


@dataclass(frozen=True)
class _Try:
    proba: Floats
    trees: int | None
    macro_f1: float
    log_loss: float


def _tune(learner: Learner, folds: list[FoldData], plan: Plan) -> tuple[Params, tuple[Floats, ...]]:
    """Choose a point by mean macro-F1 over folds; under `quick` only the best runs them all."""
    points = learner.points(plan.grid)
    if not folds:
        return points[0], ()
    tries = [[_try(learner, point, folds[0], plan)] for point in points]
    if plan.grid == "quick":
        points, tries = _leader(points, tries)
    for point, done in zip(points, tries, strict=True):
        done.extend(_try(learner, point, fold, plan) for fold in folds[1:])
    (params,), (best,) = _leader(points, tries)
    trees = [one.trees for one in best if one.trees is not None]
    if learner.trees and trees:
        params = {**params, learner.trees: int(np.median(trees))}
    return params, tuple(one.proba for one in best)


def _leader(
    points: Sequence[Params], tries: Sequence[list[_Try]]
) -> tuple[tuple[Params, ...], list[list[_Try]]]:
    """Keep the point of highest mean macro-F1; ties go to the lower log loss, then the first."""

    def merit(at: int) -> tuple[float, float, int]:
        done = tries[at]
        return (
            float(np.mean([one.macro_f1 for one in done])),
            -float(np.mean([one.log_loss for one in done])),
            -at,
        )

    best = max(range(len(points)), key=merit)
    return (points[best],), [tries[best]]


def _try(learner: Learner, params: Params, fold: FoldData, plan: Plan) -> _Try:
    model = learner.build(params, plan.seed, plan.device)
    trees = learner.fit(model, fold.X, fold.y, fold.stop if learner.trees else None)
    proba, y = _proba(model, fold), fold.score[1]
    return _Try(proba, trees, measure(_MACRO_F1, y, proba, 0), measure(_LOG_LOSS, y, proba, 0))


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


def _parallel(
    jobs: int, tasks: list[tuple[Callable[..., T], tuple[Any, ...]]], labels: Sequence[str] = ()
) -> list[T]:
    """Run tasks in processes (in this one if jobs is 1); results in the order of the tasks."""
    done: dict[int, T] = {}
    workers = Parallel(
        n_jobs=min(jobs, len(tasks)), return_as="generator_unordered", pre_dispatch="2*n_jobs"
    )
    with _progress(labels) as advance:
        for at, value in workers(delayed(_numbered)(i, *task) for i, task in enumerate(tasks)):
            done[at] = value
            advance(at)
    return [done[at] for at in range(len(tasks))]


def _numbered(at: int, work: Callable[..., T], arguments: tuple[Any, ...]) -> tuple[int, T]:
    with threadpool_limits(1):
        return at, work(*arguments)


@contextmanager
def _progress(labels: Sequence[str]) -> Iterator[Callable[[int], None]]:
    """Show cells done and time left: a bar on a terminal, else a line per tenth of the work."""
    if not labels:
        yield lambda at: None
    elif sys.stderr.isatty():
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task("cells", total=len(labels))
            yield lambda at: bar.update(task, advance=1, description=labels[at])
    else:
        yield _plain_lines(labels)


def _plain_lines(labels: Sequence[str]) -> Callable[[int], None]:
    started, count = time.perf_counter(), 0

    def advance(at: int) -> None:
        nonlocal count
        count += 1
        if count % max(1, len(labels) // 10) and count < len(labels):
            return
        left = (time.perf_counter() - started) / count * (len(labels) - count)
        print(f"{count}/{len(labels)} cells, about {left:.0f} s left", file=sys.stderr)

    return advance


def params_json(params: Params) -> str:
    """Parameters as one JSON object with sorted keys."""
    return json.dumps(params, sort_keys=True)
