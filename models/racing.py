"""Racing: poor parameter points are dropped early, by one rule for all learners."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.learner import Params
from models.panel import Floats

SETTLED = 2  # folds, after which the points left are the shortlist
CHEAP = 0.3  # `Learner.cost` up to which nothing is dropped: all points meet all folds
# After each fold so many points go on, the last of these alone: all points meet the first fold.
KEEPS: dict[str, tuple[int, ...]] = {"paper": (), "quick": (1,), "full": (3, 2, 1)}


@dataclass(frozen=True)
class Point:
    """What is tried: a learner's parameters and how classes of the training rows are balanced."""

    params: Params
    resampling: str = "smote"


@dataclass(frozen=True)
class Try:
    """One point fitted on one fold: probabilities of the scored rows and their figures.

    `trees` is the number of rounds that early stopping chose, None for learners without rounds.
    """

    proba: Floats
    trees: int | None
    macro_f1: float
    log_loss: float


@dataclass(frozen=True)
class Race:
    """The point that won, its tries fold by fold, and the shortlist that was left."""

    winner: Point
    tries: tuple[Try, ...]
    shortlist: tuple[Point, ...]


def keeps_of(grid: str, cost: float) -> tuple[int, ...]:
    """How many points of a learner go on after each fold; where it ends, all do."""
    return () if cost <= CHEAP else KEEPS[grid]


def race(
    points: Sequence[Point],
    folds: int,
    keeps: Sequence[int],
    attempt: Callable[[Point, int], Try],
) -> Race:
    """Try points fold by fold and keep the best so far; the one left runs all folds.

    Points are ordered by mean macro-F1 over the folds done, then by lower mean log loss, then as
    given. Without folds the first point wins.

    Args:
        points: at least one.
        folds: how many there are.
        keeps: how many points go on after the first fold, the second …, as of `keeps_of`.
        attempt: fits a point on a fold.
    """
    left: list[tuple[Point, list[Try]]] = [(point, []) for point in points]
    shortlist = tuple(points)
    for fold in range(folds):
        for point, tries in left:
            tries.append(attempt(point, fold))
        left = sorted(left, key=lambda one: _demerit(one[1]))
        if fold < len(keeps):
            left = left[: keeps[fold]]
        if fold < SETTLED:
            shortlist = tuple(point for point, _ in left)
    winner, tries = left[0]
    return Race(winner, tuple(tries), shortlist)


def _demerit(tries: Sequence[Try]) -> tuple[float, float]:
    """The lower, the better; sorting is stable, so that ties keep the order of the table."""
    return (
        -float(np.mean([one.macro_f1 for one in tries])),
        float(np.mean([one.log_loss for one in tries])),
    )
