"""Racing: poor parameter points are dropped early.

A point far behind the best is dropped after any fold. With the full grid only the best few go on
as well: after each fold of learners whose rounds are stopped early, whose points stopping evens
out, so that they differ by less than folds do; after two folds of other learners.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from models.learner import Params
from models.panel import Floats

SHORT = 2  # points that the races of other selections start with
BEHIND = 0.1  # of macro-F1, mean of the folds done, below the best: dropped
# After each fold so many points go on, None for all; after the last of these none is dropped.
Keeps = tuple[int | None, ...]
KEEPS: dict[str, Keeps] = {"paper": (), "quick": (1,), "full": (3, 2, 1)}
KEEPS_WITHOUT_ROUNDS: dict[str, Keeps] = {"paper": (), "quick": (), "full": (None, 4, 2)}


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
    """The point that won, its tries fold by fold, and the best of those last left together."""

    winner: Point
    tries: tuple[Try, ...]
    shortlist: tuple[Point, ...]


def keeps_of(grid: str, rounds: bool, listed: bool) -> Keeps:
    """How many points go on after each fold; where it ends, all do.

    Args:
        grid: its name.
        rounds: whether fits of the learner are stopped early.
        listed: whether the race starts with the shortlist of another, and so where that had it.
    """
    keeps = (KEEPS if rounds else KEEPS_WITHOUT_ROUNDS)[grid]
    return (
        tuple(count for count in keeps if count is not None and count < SHORT) if listed else keeps
    )


def race(
    points: Sequence[Point],
    folds: int,
    keeps: Keeps,
    attempt: Callable[[Point, int], Try],
) -> Race:
    """Try points fold by fold and keep the best so far; what is left runs all folds.

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
        best = _demerit(left[0][1])[0]
        left = [one for one in left if _demerit(one[1])[0] <= best + BEHIND]
        if fold < len(keeps):
            left = left[: keeps[fold]]
        if len(left) >= SHORT:
            shortlist = tuple(point for point, _ in left[:SHORT])
    winner, tries = left[0]
    return Race(winner, tuple(tries), shortlist)


def _demerit(tries: Sequence[Try]) -> tuple[float, float]:
    """The lower, the better; sorting is stable, so that ties keep the order of the table."""
    return (
        -float(np.mean([one.macro_f1 for one in tries])),
        float(np.mean([one.log_loss for one in tries])),
    )
