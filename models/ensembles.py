"""Ensembles of tuned cells, without leakage: a soft vote and a stack, as pure functions on arrays.

Both use what the search has found already. A member's probabilities of a fold's scored rows come
from a fit that has not seen these rows, and so the ensembles' own do: they can be ranked and
calibrated as a cell's. No test row chooses or weighs anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.metrics import measure, metric_named
from models.panel import Floats, Ints
from warehouse.errors import InputError

LEAST = 1e-3  # least probability whose logarithm is taken: a member's zero is no certainty
SHRINK = 0.01  # C of the stack's logistic regression: the logarithms of members are much alike
_MACRO_F1 = metric_named("macro_f1")


class Member(Protocol):
    """What is asked of a cell of the search."""

    @property
    def name(self) -> str:
        """Learner and selector."""

    @property
    def learner(self) -> str:
        """Name of the learner."""

    @property
    def cv(self) -> tuple[Floats, ...]:
        """Rows x classes of each fold."""

    @property
    def test(self) -> Floats:
        """Rows x classes of the test rows."""

    @property
    def error(self) -> str:
        """Why it failed, else empty."""


M = TypeVar("M", bound=Member)


@dataclass(frozen=True)
class Ensemble:
    """Probabilities of each fold's rows and of the test rows, and of which cells they are made."""

    name: str
    title: str
    members: tuple[str, ...]
    cv: tuple[Floats, ...]
    test: Floats


def best_members(cells: Sequence[M], y_folds: Sequence[Ints]) -> tuple[M, ...]:
    """The cell of each learner with the highest mean macro-F1 over the folds; of equals the first.

    Args:
        cells: of one search; failed ones are left out.
        y_folds: class codes of each fold's scored rows.

    Raises:
        InputError: fewer than two learners remain, or there are no folds, as with --grid paper.
    """
    if not y_folds:
        raise InputError("an ensemble needs tuning folds; use --grid quick or full")
    best: dict[str, tuple[float, M]] = {}
    for cell in cells:
        if cell.error or not cell.cv:
            continue
        pairs = zip(y_folds, cell.cv, strict=True)
        merit = float(np.mean([measure(_MACRO_F1, y, proba, 0) for y, proba in pairs]))
        if cell.learner not in best or merit > best[cell.learner][0]:
            best[cell.learner] = (merit, cell)
    if len(best) < 2:
        raise InputError(f"an ensemble needs two learners or more, and {len(best)} could be fitted")
    return tuple(cell for _, cell in best.values())


def soft_vote(cells: Sequence[Member], y_folds: Sequence[Ints]) -> Ensemble:
    """The plain mean of the probabilities of each learner's best cell.

    Args, Raises: as `best_members`.
    """
    members = best_members(cells, y_folds)
    cv = tuple(_mean([m.cv[at] for m in members]) for at in range(len(y_folds)))
    names = tuple(member.name for member in members)
    return Ensemble("soft-vote", "Soft vote", names, cv, _mean([m.test for m in members]))


def stack(cells: Sequence[Member], y_folds: Sequence[Ints], *, by_time: bool = False) -> Ensemble:
    """A multinomial logistic regression on the log probabilities of each learner's best cell.

    For the test rows it is fitted on all folds; for a fold's rows on the other folds or, where
    folds follow time, on those before it, the first fold having the soft vote.

    Its rows weigh by the root of one over their class's count: half way between the classes as they
    are, where the rare ones are hardly ever predicted, and classes of equal weight, where they are
    predicted too often. That, `LEAST` and `SHRINK` had the highest macro-F1 of a few values tried
    on folds of training rows of an Indian panel; no test row was asked.

    Args:
        cells: as `best_members`.
        y_folds: as `best_members`.
        by_time: whether each fold's rows are later than those of the folds before it.

    Raises:
        InputError: as `best_members`; or there are fewer than two folds.
    """
    members = best_members(cells, y_folds)
    if len(y_folds) < 2:
        raise InputError("stacking needs two tuning folds or more")
    folds, classes = range(len(y_folds)), members[0].test.shape[1]
    logs = [_logs([member.cv[at] for member in members]) for at in folds]
    cv = []
    for at in folds:
        others = [one for one in folds if one < at or (one > at and not by_time)]
        if others:
            y = np.concatenate([y_folds[i] for i in others])
            cv.append(_fitted(np.vstack([logs[i] for i in others]), y, logs[at], classes))
        else:
            cv.append(_mean([member.cv[at] for member in members]))
    wanted = _logs([member.test for member in members])
    test = _fitted(np.vstack(logs), np.concatenate(y_folds), wanted, classes)
    names = tuple(member.name for member in members)
    return Ensemble("stack", "Stacking", names, tuple(cv), test)


def _mean(parts: Sequence[Floats]) -> Floats:
    total = np.mean(parts, axis=0)
    return np.asarray(total / total.sum(axis=1, keepdims=True))


def _logs(parts: Sequence[Floats]) -> Floats:
    return np.hstack([np.log(np.clip(part, LEAST, 1.0)) for part in parts])


def _fitted(X: Floats, y: Ints, wanted: Floats, classes: int) -> Floats:
    """Fit on these rows and return rows x classes of the wanted ones."""
    proba = np.zeros((len(wanted), classes))
    found = np.unique(y)
    if len(found) == 1:  # rows of one class teach nothing else
        proba[:, found[0]] = 1.0
        return proba
    weight = np.bincount(y)[y] ** -0.5
    model = LogisticRegression(C=SHRINK, max_iter=1000)
    with threadpool_limits(1), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "did not converge" is settled by the figures
        proba[:, found] = model.fit(X, y, weight / weight.mean()).predict_proba(wanted)
    return proba
