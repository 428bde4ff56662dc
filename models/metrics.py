"""Quality figures and their intervals: the table `METRICS`.

Each figure is written once, for a batch of weightings of the same rows: all ones gives the value,
resampled companies give its bootstrap interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from features.intervals import interval
from models.panel import Floats, Ints

BINS = 15
RESAMPLES = 1000
RANK_RESAMPLES = 300
CHUNK = 2_000_000  # weights held at a time: 16 MB


@dataclass(frozen=True)
class Batch:
    """Rows with class probabilities under B weightings; `confusion` is B x truth x predicted."""

    y: Ints
    proba: Floats
    weights: Floats
    confusion: Floats


Figure = Callable[[Batch, int], Floats]


@dataclass(frozen=True)
class Metric:
    """One figure; `fn(batch, focus)` returns a value per weighting, focus being a class code."""

    name: str
    title: str
    higher_is_better: bool
    needs_proba: bool
    fn: Figure = field(repr=False)
    per_class: bool = False
    by_rank: bool = False


def batch(y: Ints, proba: Floats, weights: Floats | None = None) -> Batch:
    """Tally predictions (the class of highest probability) under each row of `weights`."""
    size = proba.shape[1]
    weights = np.ones((1, len(y))) if weights is None else weights
    cells = np.zeros((len(y), size * size))
    cells[np.arange(len(y)), y * size + proba.argmax(axis=1)] = 1.0
    return Batch(y, proba, weights, (weights @ cells).reshape(-1, size, size))


def measure(metric: Metric, y: Ints, proba: Floats, focus: int) -> float:
    """Value of one figure on plain rows; NaN where it is not defined."""
    return float(metric.fn(batch(y, proba), focus)[0])


def measure_all(y: Ints, proba: Floats, classes: tuple[str, ...], focus: int) -> dict[str, float]:
    """Every figure by its column name, `recall_<class>` included."""
    rows = batch(y, proba)
    return {name: float(m.fn(rows, at)[0]) for name, m, at in columns(classes, focus)}


def columns(classes: tuple[str, ...], focus: int) -> Iterator[tuple[str, Metric, int]]:
    """Yield (column name, metric, class code it looks at), in table order."""
    for metric in METRICS:
        if metric.per_class:
            yield from ((f"{metric.name}_{c}", metric, at) for at, c in enumerate(classes))
        else:
            yield metric.name, metric, focus


def bootstrap(
    y: Ints,
    proba: Floats,
    classes: tuple[str, ...],
    focus: int,
    groups: NDArray[np.str_] | None,
    seed: int,
) -> dict[str, tuple[float, float]]:
    """95 % interval of every figure, by drawing companies (rows where groups is None) anew.

    Rank figures use the first 300 of the 1,000 draws; draws without a class are left out of
    the figures that are not defined on them.
    """
    draws: dict[str, list[Floats]] = {}
    done = 0
    for weights in _draws(len(y), groups, seed):
        rows = batch(y, proba, weights)
        few = batch(y, proba, weights[: max(0, RANK_RESAMPLES - done)])
        for name, metric, at in columns(classes, focus):
            values = metric.fn(few if metric.by_rank else rows, at)
            if metric.per_class:  # of a class that was not drawn nothing can be said
                values = np.where(_truths(rows)[:, at] > 0, values, np.nan)
            draws.setdefault(name, []).append(values)
        done += len(weights)
    return {name: interval(np.concatenate(values)) for name, values in draws.items()}


def _draws(rows: int, groups: NDArray[np.str_] | None, seed: int) -> Iterator[Floats]:
    """Yield blocks of row weights; a company drawn twice counts twice with all its rows."""
    codes = np.arange(rows) if groups is None else np.unique(groups, return_inverse=True)[1]
    size = int(codes.max()) + 1
    random = np.random.default_rng(seed)
    block = max(1, CHUNK // max(rows, size))
    for start in range(0, RESAMPLES, block):
        count = min(block, RESAMPLES - start)
        drawn = random.multinomial(size, np.full(size, 1 / size), size=count)
        yield drawn[:, codes].astype(np.float64)


def _share(part: Floats, whole: Floats) -> Floats:
    """Divide, with 0 for 0/0 as scikit-learn has it: a class never predicted has precision 0."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _or_nan(part: Floats, whole: Floats) -> Floats:
    empty = np.full(part.shape, np.nan)
    return np.asarray(np.divide(part, whole, out=empty, where=whole > 0), dtype=np.float64)


def _hits(b: Batch) -> Floats:
    return np.diagonal(b.confusion, axis1=1, axis2=2).copy()


def _truths(b: Batch) -> Floats:
    return np.asarray(b.confusion.sum(axis=2))


def _guesses(b: Batch) -> Floats:
    return np.asarray(b.confusion.sum(axis=1))


def _recalls(b: Batch) -> Floats:
    return _share(_hits(b), _truths(b))


def _precisions(b: Batch) -> Floats:
    return _share(_hits(b), _guesses(b))


def _f1s(b: Batch) -> Floats:
    return _share(2 * _hits(b), _truths(b) + _guesses(b))


def _by_support(values: Floats, b: Batch) -> Floats:
    return _share((values * _truths(b)).sum(axis=1), _truths(b).sum(axis=1))


def _accuracy(b: Batch, focus: int) -> Floats:
    return _share(_hits(b).sum(axis=1), _truths(b).sum(axis=1))


def _precision(b: Batch, focus: int) -> Floats:
    return _by_support(_precisions(b), b)


def _recall(b: Batch, focus: int) -> Floats:
    return _by_support(_recalls(b), b)


def _f1(b: Batch, focus: int) -> Floats:
    return _by_support(_f1s(b), b)


def _macro_f1(b: Batch, focus: int) -> Floats:
    """Mean over the classes that occur in truth or prediction."""
    occurs = (_truths(b) + _guesses(b)) > 0
    return _share(_f1s(b).sum(axis=1), occurs.sum(axis=1).astype(np.float64))


def _balanced_accuracy(b: Batch, focus: int) -> Floats:
    occurs = _truths(b) > 0
    return _share(_recalls(b).sum(axis=1), occurs.sum(axis=1).astype(np.float64))


def _mcc(b: Batch, focus: int) -> Floats:
    truths, guesses, total = _truths(b), _guesses(b), b.weights.sum(axis=1)
    covariance = _hits(b).sum(axis=1) * total - (truths * guesses).sum(axis=1)
    spread = (total**2 - (truths**2).sum(axis=1)) * (total**2 - (guesses**2).sum(axis=1))
    return _share(covariance, np.sqrt(np.maximum(spread, 0.0)))


def _recall_class(b: Batch, focus: int) -> Floats:
    return _recalls(b)[:, focus]


def _precision_class(b: Batch, focus: int) -> Floats:
    return _precisions(b)[:, focus]


def _ranked(b: Batch, code: int) -> tuple[Floats, Floats]:
    """Weight of members and of others at each distinct score, highest score first."""
    score = -b.proba[:, code]
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
    weights = b.weights[:, order]
    member = (b.y[order] == code).astype(np.float64)
    return (
        np.add.reduceat(weights * member, starts, axis=1),
        np.add.reduceat(weights * (1 - member), starts, axis=1),
    )


def _roc_auc(b: Batch, code: int) -> Floats:
    members, others = _ranked(b, code)
    below = others.sum(axis=1, keepdims=True) - np.cumsum(others, axis=1) + others / 2
    pairs = members.sum(axis=1) * others.sum(axis=1)
    won = (members * below).sum(axis=1)
    return _or_nan(won, pairs)


def _roc_auc_ovr(b: Batch, focus: int) -> Floats:
    """Unweighted mean over the classes; with two classes they are equal."""
    codes = range(1, 2) if b.proba.shape[1] == 2 else range(b.proba.shape[1])
    return np.asarray(np.mean([_roc_auc(b, code) for code in codes], axis=0))


def _pr_auc(b: Batch, focus: int) -> Floats:
    members, others = _ranked(b, focus)
    found = np.cumsum(members, axis=1)
    precision = _share(found, found + np.cumsum(others, axis=1))
    total = members.sum(axis=1)
    area = (members * precision).sum(axis=1)
    return _or_nan(area, total)


def _weighted_mean(b: Batch, values: Floats) -> Floats:
    return np.asarray(b.weights @ values / b.weights.sum(axis=1))


def _log_loss(b: Batch, focus: int) -> Floats:
    proba = np.clip(b.proba, np.finfo(np.float64).eps, None)
    own = proba[np.arange(len(b.y)), b.y] / proba.sum(axis=1)
    return _weighted_mean(b, -np.log(own))


def _brier(b: Batch, focus: int) -> Floats:
    truth = np.eye(b.proba.shape[1])[b.y]
    return _weighted_mean(b, ((b.proba - truth) ** 2).sum(axis=1))


def _ece(b: Batch, focus: int) -> Floats:
    """Expected calibration error: 15 equal-width bins of the top class's probability."""
    top = b.proba.max(axis=1)
    bins = np.clip(np.ceil(top * BINS).astype(int) - 1, 0, BINS - 1)
    gap = (b.proba.argmax(axis=1) == b.y) - top
    placed = np.zeros((len(top), BINS))
    placed[np.arange(len(top)), bins] = gap
    return np.asarray(np.abs(b.weights @ placed).sum(axis=1) / b.weights.sum(axis=1))


METRICS: tuple[Metric, ...] = (
    Metric("accuracy", "Accuracy", True, False, _accuracy),
    Metric("precision", "Precision, support-weighted", True, False, _precision),
    Metric("recall", "Recall, support-weighted", True, False, _recall),
    Metric("f1", "F1, support-weighted", True, False, _f1),
    Metric("macro_f1", "Macro F1", True, False, _macro_f1),
    Metric("balanced_accuracy", "Balanced accuracy", True, False, _balanced_accuracy),
    Metric("mcc", "Matthews correlation", True, False, _mcc),
    Metric("roc_auc_ovr", "ROC AUC, one against the rest", True, True, _roc_auc_ovr, by_rank=True),
    Metric("pr_auc_bankrupt", "PR AUC of bankrupt", True, True, _pr_auc, by_rank=True),
    Metric("recall", "Recall of a class", True, False, _recall_class, per_class=True),
    Metric("precision", "Precision of a class", True, False, _precision_class, per_class=True),
    Metric("log_loss", "Log loss", False, True, _log_loss),
    Metric("brier", "Brier score, summed over classes", False, True, _brier),
    Metric("ece", "Expected calibration error", False, True, _ece),
)


def metric_named(name: str, per_class: bool = False) -> Metric:
    """The entry of that name; `recall` and `precision` stand twice, once for single classes."""
    return next(m for m in METRICS if m.name == name and m.per_class == per_class)
