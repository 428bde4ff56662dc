"""Parts of the training companies: nested, whole, of every class; figures by scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

from models.learning_curve import SHARES, learning_curve
from warehouse.errors import InputError


def panel(companies: int = 80, seed: int = 0):
    """Rows of companies that differ; the rare class 0 is in every tenth company."""
    random = np.random.default_rng(seed)
    groups = np.repeat(np.arange(companies), random.integers(1, 6, companies))
    y = np.where(groups % 10 == 0, 0, np.where(groups % 3 == 0, 1, 2))
    y[random.random(len(y)) < 0.1] = 2
    X = np.eye(3)[y] + random.normal(size=(len(y), 3))
    train = np.flatnonzero(groups < companies * 3 // 4)
    test = np.flatnonzero(groups >= companies * 3 // 4)
    return X, y, groups.astype(str), train, test


class Recorder:
    """Fits a logistic regression and remembers the rows."""

    def __init__(self, X, y, test) -> None:
        self.X, self.y, self.test = X, y, test
        self.fitted: list[np.ndarray] = []

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        self.fitted.append(rows)
        return LogisticRegression().fit(self.X[rows], self.y[rows]).predict_proba(self.X[self.test])


def test_figures_are_those_of_scikit_learn() -> None:
    X, y, groups, train, test = panel()
    model = Recorder(X, y, test)
    table = learning_curve(model, groups, y, train, test, 0, shares=(0.3, 1.0), repeats=2)
    assert list(table["share"]) == [0.3, 0.3, 1.0]
    assert list(table["repeat"]) == [0, 1, 0]
    full = table.iloc[-1]
    proba = Recorder(X, y, test)(train)
    guess = proba.argmax(axis=1)
    assert (full["companies"], full["rows"]) == (60, len(train))
    assert full["macro_f1"] == pytest.approx(sk.f1_score(y[test], guess, average="macro"))
    assert full["recall_focus"] == pytest.approx(
        sk.recall_score(y[test], guess, average=None, labels=[0, 1, 2])[0]
    )
    assert full["log_loss"] == pytest.approx(sk.log_loss(y[test], proba, labels=[0, 1, 2]))


@settings(max_examples=15)
@given(st.integers(0, 10**6), st.booleans())
def test_parts_are_nested_whole_and_of_every_class(seed: int, grouped: bool) -> None:
    X, y, groups, train, test = panel(seed=seed % 7)
    model = Recorder(X, y, test)
    of = groups if grouped else None
    table = learning_curve(model, of, y, train, test, 0, seed=seed, repeats=1)
    assert list(table["share"]) == list(SHARES)
    names = groups if grouped else np.arange(len(y)).astype(str)
    total = len(set(names[train]))
    for smaller, larger in zip(model.fitted, model.fitted[1:], strict=False):
        assert set(smaller) < set(larger)
    for rows, line in zip(model.fitted, table.itertuples(), strict=True):
        assert set(y[rows]) == {0, 1, 2}
        inside = set(names[rows])
        assert set(rows) == {row for row in train if names[row] in inside}
        assert (line.rows, line.companies) == (len(rows), len(inside))
        # Three strata are rounded up, and one company of each class is there in any case.
        assert line.share * total - 1e-9 <= line.companies < line.share * total + 6
    assert list(model.fitted[-1]) == list(train)


def test_same_seed_same_companies() -> None:
    X, y, groups, train, test = panel()
    runs = []
    for seed in (0, 0, 1):
        model = Recorder(X, y, test)
        runs.append((learning_curve(model, groups, y, train, test, 0, seed=seed), model.fitted))
    assert runs[0][0].equals(runs[1][0])
    assert not runs[0][0].equals(runs[2][0])
    # Repeats draw anew.
    by_repeat = np.array_split(np.arange(len(runs[0][1])), [5, 9])
    assert [len(part) for part in by_repeat] == [5, 4, 4]
    assert set(runs[0][1][0]) != set(runs[0][1][5])


def test_a_class_hidden_behind_a_rarer_one_is_kept() -> None:
    """Class 1 occurs only in companies that have the rarer class 0 too."""
    groups = np.repeat(np.arange(30), 2).astype(str)
    y = np.full(60, 2)
    y[:8] = [0, 0, 0, 1, 0, 1, 0, 1]
    train = np.arange(60)
    for seed in range(10):
        seen: list[np.ndarray] = []

        def score(rows, seen=seen):
            seen.append(rows)
            return np.full((60, 3), 1 / 3)

        learning_curve(score, groups, y, train, train, 0, (0.01,), seed, 1)
        assert set(y[seen[0]]) == {0, 1, 2}


@pytest.mark.parametrize(
    ("shares", "repeats", "rows"),
    [((), 1, 9), ((0.0,), 1, 9), ((1.1,), 1, 9), ((1.0,), 0, 9), ((1.0,), 1, 0)],
)
def test_what_cannot_be_is_refused(shares, repeats: int, rows: int) -> None:
    X, y, groups, train, test = panel()
    with pytest.raises(InputError, match="expected training rows"):
        learning_curve(
            Recorder(X, y, test), groups, y, train[:rows], test, 0, shares, repeats=repeats
        )


def test_probabilities_of_other_rows_are_refused() -> None:
    _, y, groups, train, test = panel()
    with pytest.raises(InputError, match="class codes"):
        learning_curve(lambda rows: np.full((2, 3), 1 / 3), groups, y, train, test, 0)
