"""ReliefF: against a hand-worked example and a literal loop."""

from __future__ import annotations

import numpy as np
import pytest

from models import selectors
from models.selectors import (
    DEFAULT_SELECTORS,
    KEPT,
    SELECTORS,
    relieff_weights,
    selector_named,
)


def literal(X: np.ndarray, y: np.ndarray, neighbours: int) -> np.ndarray:
    """The pseudo-code of Robnik-Šikonja and Kononenko (2003), every row once a target."""
    size, columns = X.shape
    low, high = X.min(axis=0), X.max(axis=0)
    weights = [0.0] * columns

    def diff(column: int, one: int, other: int) -> float:
        if high[column] == low[column]:
            return 0.0
        return abs(X[one, column] - X[other, column]) / (high[column] - low[column])

    def apart(one: int, other: int) -> float:
        return sum(diff(column, one, other) for column in range(columns))

    for target in range(size):
        own = y[target]
        for code in sorted(set(y)):
            rows = [row for row in range(size) if y[row] == code and row != target]
            near = sorted(rows, key=lambda row: apart(target, row))[:neighbours]
            for column in range(columns):
                for row in near:
                    part = diff(column, target, row) / (size * len(near))
                    if code == own:
                        weights[column] -= part
                    else:
                        weights[column] += np.mean(y == code) / (1 - np.mean(y == own)) * part
    return np.array(weights)


def test_relieff_by_hand() -> None:
    """Two columns, k = 1. Rows (0, 0) and (0, 1) are of class 0, (1, 0) and (1, 1) of class 1.

    Each row's nearest hit differs by 1 in the second column alone, its nearest miss by 1 in the
    first alone: the weights are +1 and -1.
    """
    X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
    weights = relieff_weights(X, np.array([0, 0, 1, 1]), 0, neighbours=1)
    assert weights.tolist() == [1.0, -1.0]
    # Columns are compared by their own range, and a constant one says nothing.
    wide = np.column_stack([X * [7.0, 100.0], np.full(4, 3.0)])
    assert relieff_weights(wide, np.array([0, 0, 1, 1]), 0, neighbours=1).tolist() == [1, -1, 0]


def test_misses_weigh_by_the_share_of_their_class() -> None:
    """One column, k = 1: rows 0, 0.1 of class 0; 0.5, 0.6 of class 1; 1 of class 2.

    Shares .4, .4, .2; the range is 1; a miss weighs its class's share of the others'.
    Row 0: hit .1; misses .5 (2/3) and 1 (1/3). Row 0.1: .1; .4 (2/3), .9 (1/3). Row 0.5: .1; .4
    (2/3), .5 (1/3). Row 0.6: .1; .5 (2/3), .4 (1/3). Row 1: no hit; .9 (1/2), .4 (1/2).
    Sum: (.5 + .4 + .4 + .5) 2/3 + (1 + .9 + .5 + .4)/3 + .65 - .4 = 1.2 + 2.8/3 + .25; over five.
    """
    X = np.array([[0.0], [0.1], [0.5], [0.6], [1.0]])
    weights = relieff_weights(X, np.array([0, 0, 1, 1, 2]), 0, neighbours=1)
    assert weights[0] == pytest.approx((1.2 + 2.8 / 3 + 0.25) / 5)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.15, 0.25, 0.6], [0.04, 0.96]])
def test_relieff_is_the_literal_loop(shares: list[float]) -> None:
    random = np.random.default_rng(len(shares))
    X = random.normal(size=(90, 5))
    y = random.choice(len(shares), 90, p=shares)
    y[:2] = [0, 1]
    X[:, 0] += y
    X[:, 4] = 2.0
    np.testing.assert_allclose(relieff_weights(X, y, 0), literal(X, y, 10), atol=1e-12)


def test_relieff_sees_two_columns_that_only_tell_together() -> None:
    """Exclusive or: neither column says anything alone, as a test of each by itself finds."""
    random = np.random.default_rng(0)
    X = random.uniform(-1, 1, size=(600, 10))
    y = (X[:, 2] * X[:, 7] > 0).astype(np.int64)
    weights = relieff_weights(X, y, 0)
    assert set(np.argsort(-weights)[:2]) == {2, 7}
    assert np.sort(weights)[-2] > 3 * np.sort(weights)[-3]


def test_drawn_targets_and_pools_give_nearly_the_weights_of_all(monkeypatch) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(1500, 6))
    y = random.choice(3, 1500, p=[0.1, 0.2, 0.7])
    X[:, :2] += y[:, None]
    whole = relieff_weights(X, y, 0, targets=1500)
    drawn = relieff_weights(X, y, 3, targets=500)
    np.testing.assert_allclose(drawn, whole, atol=0.02)
    assert (drawn == relieff_weights(X, y, 3, targets=500)).all()
    assert (drawn != relieff_weights(X, y, 4, targets=500)).all()
    monkeypatch.setattr(selectors, "POOL", 400)
    few = relieff_weights(X, y, 0, targets=1500)
    assert set(np.argsort(-few)[:2]) == {0, 1}


def test_relieff_keeps_the_columns_that_tell_and_no_more_than_the_others_keep() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 70))
    y = (X[:, 60] + X[:, 65] > 0).astype(np.int64)
    mask = selector_named("relieff").fit(X, y, 0)
    assert mask.sum() == KEPT
    assert mask[[60, 65]].all()
    assert selector_named("relieff").fit(X[:, :KEPT], y, 0).all()


def test_relieff_is_off_by_default() -> None:
    assert DEFAULT_SELECTORS == ("all", "correlation", "kbest", "rfe", "rf")
    assert {s.name for s in SELECTORS} == {*DEFAULT_SELECTORS, "relieff"}
