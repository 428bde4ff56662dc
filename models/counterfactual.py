"""What would have to change: the smallest change of ratios that takes a company out of a class.

A plausible one, so: only ratios move, as the year's economy, the company's age and its past do not;
each moves towards the median of training rows of the other classes and stays among their values
between the two tenths; of several that do, the one that passes fewest training rows is taken. Where
no single ratio does, up to three move together.

Ratios share items, so that one seldom moves alone: it is a direction, not a plan. It says what the
model answers to, not what would save a company.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from features.ratios import RATIOS
from models.artifact import Model
from models.explain import feature_name, risk_class, risk_of
from models.history import History
from models.panel import Floats, Ints

MOST_CHANGES = 3
GRID = np.linspace(0.1, 0.9, 17)  # quantiles of the other classes' training rows


@dataclass(frozen=True)
class Change:
    """A ratio that would have to change.

    Attributes:
        feature: its code.
        name: its name in words.
        now: its value.
        then: the value that it would have to have.
    """

    feature: str
    name: str
    now: float
    then: float


@dataclass(frozen=True)
class Counterfactual:
    """Changes that take a row out of the risk class together, and what the model then says.

    Attributes:
        changes: one to three.
        prediction: the label then.
        probability: of the risk class then, calibrated where the model is.
    """

    changes: tuple[Change, ...]
    prediction: str
    probability: float

    def words(self) -> str:
        """The changes as a sentence."""
        said = " and ".join(
            f"{change.name} {change.then:z,.2f} instead of {change.now:z,.2f}"
            for change in self.changes
        )
        return f"{said} would make it {self.prediction} ({100 * self.probability:.0f} %)"


@dataclass(frozen=True)
class Moves:
    """Values, prepared, that features may take: one row per move.

    Attributes:
        feature: position of the feature among the selected.
        value: prepared.
        passed: share of training rows between the present value and this one.
    """

    feature: Ints
    value: Floats
    passed: Floats


def counterfactual(model: Model, prepared: Floats, values: Floats) -> Counterfactual | None:
    """The smallest plausible change that takes a row out of the risk class; None if none does.

    Args:
        model: one that keeps training rows.
        prepared: the row's prepared columns.
        values: the same features as computed, NaN where missing.
    """
    moves = _moves(model, prepared, values)
    row, changed = prepared.copy(), dict[int, float]()
    for _ in range(MOST_CHANGES if len(moves.feature) else 0):
        asked = np.tile(row, (len(moves.feature), 1))
        asked[np.arange(len(asked)), moves.feature] = moves.value
        at, out = _best(model, asked, moves)
        row = asked[at]
        changed[int(moves.feature[at])] = float(moves.value[at])
        if out:
            return _told(model, row, changed, values)
    return None


def _best(model: Model, asked: Floats, moves: Moves) -> tuple[int, bool]:
    """The smallest move out of the risk class, else the one that lowers its score most."""
    risk = risk_class(model)
    proba = model.given(asked)
    out = proba.argmax(axis=1) != risk
    if out.any():
        return int(np.where(out, moves.passed, np.inf).argmin()), True
    return int(proba[:, risk].argmin()), False


def _moves(model: Model, prepared: Floats, values: Floats) -> Moves:
    assert model.history is not None  # noqa: S101 - asked for by the caller
    known, targets, middles = _targets(model.history, risk_class(model))
    found: list[tuple[int, float, float]] = []
    for at in _movable(model, values):
        now, middle, own = float(prepared[at]), float(middles[at]), targets[:, at]
        between = own[(own > min(now, middle)) & (own < max(now, middle))].tolist()
        wanted = sorted({*between, middle} - {now})
        ranks = np.searchsorted(known[:, at], [now, *wanted])
        passed = np.abs(ranks[1:] - ranks[0]) / len(known)
        found += zip([at] * len(wanted), wanted, passed.tolist(), strict=True)
    columns = list(zip(*found, strict=True)) or [(), (), ()]
    return Moves(np.array(columns[0], dtype=np.int64), np.array(columns[1]), np.array(columns[2]))


@lru_cache(maxsize=8)
def _targets(history: History, risk: int) -> tuple[Floats, Floats, Floats]:
    """Each feature's training values in order; of the other classes the grid, and the median."""
    others = history.prepared[(history.rows["class_code"] != risk).to_numpy()]
    grid = np.quantile(others, GRID, axis=0)
    return np.sort(history.prepared, axis=0), grid, np.median(others, axis=0)


def _movable(model: Model, values: Floats) -> list[int]:
    """Positions of the features that have a value and are ratios, or of an outside panel."""
    codes = {ratio.code for ratio in RATIOS}
    own = bool(codes & set(model.selected))
    there = zip(model.selected, values, strict=True)
    return [
        at
        for at, (name, value) in enumerate(there)
        if not np.isnan(value) and (name in codes or not own)
    ]


def _told(model: Model, row: Floats, changed: dict[int, float], values: Floats) -> Counterfactual:
    proba = model.given(row[None, :])
    raw = model.unscaled(row)
    changes = tuple(
        Change(
            model.selected[at],
            feature_name(model.selected[at]),
            float(values[at]),
            float(raw[at]),
        )
        for at in changed
    )
    return Counterfactual(
        changes, model.classes[int(proba.argmax())], float(risk_of(model, row[None, :])[0])
    )
