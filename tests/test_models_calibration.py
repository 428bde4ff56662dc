"""Calibration against simulated truths, by hand, and on rows no honest model would give."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from pandas.testing import assert_frame_equal
from scipy.special import softmax
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.impute import SimpleImputer
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedGroupKFold, cross_val_predict
from sklearn.preprocessing import StandardScaler

from models.calibration import FLOOR, PENALTY, Calibration, reliability
from models.metrics import measure_all
from models.panel import read_panel
from models.protocols import protocol_named
from warehouse.errors import InputError

PRIORS = {2: (0.05, 0.95), 3: (0.05, 0.15, 0.8), 20: (0.43, *(0.03,) * 19)}


def simulated(size: int, rows: int, seed: int):
    """Classes, their true probabilities, and those of one who takes the classes as equally many."""
    random = np.random.default_rng(seed)
    prior = np.array(PRIORS[size])
    means = np.random.default_rng(size).normal(size=(size, 4))
    y = random.choice(size, rows, p=prior)
    x = means[y] + random.normal(size=(rows, 4))
    scores = -0.5 * ((x[:, None] - means) ** 2).sum(axis=2)
    return y, softmax(scores + np.log(prior), axis=1), softmax(scores, axis=1)


def loss(y, proba) -> float:
    return log_loss(y, proba, labels=range(proba.shape[1]))


@pytest.mark.parametrize("size", [2, 3, 20])
@pytest.mark.parametrize("sharper", [1.0, 2.0])
def test_a_shift_of_priors_and_false_certainty_are_undone(size: int, sharper: float) -> None:
    def told(proba):
        return softmax(sharper * np.log(proba), axis=1)

    y, _, balanced = simulated(size, 4000, seed=1)
    unseen, true, given_ = simulated(size, 4000, seed=2)
    found = Calibration.fit(told(balanced), y).apply(told(given_))
    best, before, after = (loss(unseen, p) for p in (true, told(given_), found))
    assert abs(after - best) < 0.15 * (before - best)


@pytest.mark.parametrize("size", [2, 3, 20])
def test_mean_probability_is_the_share_of_the_class(size: int) -> None:
    y, _, balanced = simulated(size, 500, seed=3)
    found = Calibration.fit(balanced, y).apply(balanced).mean(axis=0)
    assert found == pytest.approx((np.bincount(y, minlength=size) + 1 / size) / 501, abs=2e-4)


def test_no_other_parameters_have_a_lower_loss() -> None:
    """The problem is convex, so it is enough to look around the solution."""
    y, _, balanced = simulated(3, 300, seed=4)
    fitted = Calibration.fit(balanced, y)
    logs = np.log((balanced + FLOOR) / (1 + 3 * FLOOR))
    targets = (300 * np.eye(3)[y] + 1 / 3) / 301

    def total(weights, bias) -> float:
        off = weights - np.diag(np.diag(weights))
        # The best temperature for a matrix is the mean of its diagonal.
        centred = np.diag(weights) - np.diag(weights).mean()
        said = np.log(softmax(logs @ weights.T + bias, axis=1))
        return -(targets * said).sum() + PENALTY / 2 * ((off**2).sum() + (centred**2).sum())

    weights, bias = np.array(fitted.weights), np.array(fitted.bias)
    least = total(weights, bias)
    random = np.random.default_rng(0)
    for scale in (0.3, 0.03, 0.01):
        for _ in range(30):
            step = random.normal(size=(3, 4)) * scale
            assert total(weights + step[:, :3], bias + step[:, 3]) > least - 1e-4


def test_few_rows_are_not_fitted_perfectly() -> None:
    y = np.array([0, 1] * 5)
    found = Calibration.fit(np.eye(2)[y], y).apply(np.eye(2))
    assert 0.8 < found[0, 0] < 0.96  # 10 rows and half of one more: 10.5 / 11 = 0.955
    one = Calibration.fit(np.array([[1.0, 0.0]]), np.array([0])).apply(np.eye(2))
    assert one[0, 0] < 0.8


def test_a_class_without_rows_stays_possible_and_is_told() -> None:
    y, _, balanced = simulated(3, 200, seed=5)
    fitted = Calibration.fit(balanced[y != 1], y[y != 1])
    assert fitted.counts[1] == 0
    found = fitted.apply(balanced)
    assert (found[:, 1] > 0).all()
    assert found[y != 1, 1].mean() == pytest.approx(1 / 3 / (1 + (y != 1).sum()), rel=0.1)


@settings(max_examples=20)
@given(
    st.integers(2, 50), st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([0.02, 0.3, 5])
)
def test_any_rows_give_probabilities(size: int, rows: int, seed: int, spread: float) -> None:
    random = np.random.default_rng(seed)
    proba = random.dirichlet(np.full(size, spread), rows)
    proba[random.random(rows) < 0.3] = np.eye(size)[random.integers(size)]  # exactly 0 and 1
    y = random.integers(0, size, rows)
    fitted = Calibration.fit(proba, y)
    found = fitted.apply(proba)
    assert found.shape == proba.shape
    assert np.isfinite(found).all()
    assert (found > 0).all()
    assert found.sum(axis=1) == pytest.approx(1.0)
    order = random.permutation(rows)
    again = Calibration.fit(proba[order], y[order]).apply(proba)
    assert again == pytest.approx(found, abs=1e-3)
    assert Calibration.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted


GOOD = {"weights": [[1.0, 0.0], [0.0, 1.0]], "bias": [0.5, -0.5], "counts": [3, 4]}
BAD = [
    ("weights", [[1.0, 0.0]]),
    ("weights", [[1.0, 0.0], [0.0]]),
    ("weights", [[1.0, 0.0], [0.0, float("nan")]]),
    ("weights", [[1.0, 0.0], [0.0, 1e7]]),
    ("weights", [[1.0, 0.0], [0.0, True]]),
    ("weights", [[1.0, 0.0], [0.0, "1"]]),
    ("weights", "ab"),
    ("bias", [0.5]),
    ("bias", [0.5] * 51),
    ("bias", [float("inf"), 0.0]),
    ("bias", None),
    ("bias", [10**400, 0.0]),
    ("counts", [3]),
    ("counts", [3, -1]),
    ("counts", [3, 4.0]),
    ("counts", [3, True]),
    ("counts", {"0": 3}),
]


def test_plain_numbers_are_read() -> None:
    fitted = Calibration.from_json(GOOD)
    # weights one, bias ±0.5: odds times e, but for the floor.
    assert fitted.apply(np.array([[0.5, 0.5]]))[0, 0] == pytest.approx(np.e / (1 + np.e))


@pytest.mark.parametrize(("field", "value"), BAD, ids=str)
def test_nonsense_is_refused(field: str, value: object) -> None:
    with pytest.raises(InputError, match="calibration"):
        Calibration.from_json({**copy.deepcopy(GOOD), field: value})


@pytest.mark.parametrize("value", [None, [], "x", {}, {**GOOD, "more": 1}, {"bias": [0.0, 0.0]}])
def test_other_fields_are_refused(value: object) -> None:
    with pytest.raises(InputError, match="expected an object"):
        Calibration.from_json(value)


@pytest.mark.parametrize(
    ("proba", "y", "said"),
    [
        ([[0.5, 0.4]], [0], "row 1: expected probabilities"),
        ([[0.5, 0.5], [1.2, -0.2]], [0, 1], "row 2"),
        ([[np.nan, 1.0]], [0], "row 1"),
        ([[np.inf, 0.0]], [0], "row 1"),
        ([[1.0]], [0], "2 to 50 classes"),
        (np.full((1, 51), 1 / 51), [0], "2 to 50 classes"),
        (np.empty((0, 2)), np.empty(0, dtype=int), "1 row or more"),
        ([[0.5, 0.5]], [2], "codes 0 to 1"),
        ([[0.5, 0.5]], [-1], "codes 0 to 1"),
        ([[0.5, 0.5]], [0, 1], "1 class codes"),
        ([[0.5, 0.5]], [0.0], "class codes"),
    ],
)
def test_rows_that_do_not_fit_are_refused(proba, y, said: str) -> None:
    with pytest.raises(InputError, match=said):
        Calibration.fit(np.array(proba), np.array(y))


def test_other_classes_than_it_was_fitted_on_are_refused() -> None:
    fitted = Calibration.from_json(GOOD)
    assert fitted.apply(np.empty((0, 2))).shape == (0, 2)
    with pytest.raises(InputError, match="2 classes, probabilities of 3"):
        fitted.apply(np.full((1, 3), 1 / 3))


def test_reliability_by_hand() -> None:
    said = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
    y = np.array([1, 1, 0, 1, 0, 1, 0, 0])
    table = reliability(y, np.column_stack([said, 1 - said]), ("bankrupt", "healthy"), bins=2)
    first = table[table["class"] == "bankrupt"].set_index("bin")
    assert list(table["class"]) == ["bankrupt"] * 2 + ["healthy"] * 2
    assert list(first["rows"]) == [4, 4]
    assert list(first["predicted"]) == pytest.approx([0.25, 0.75])
    assert list(first["observed"]) == [0.25, 0.75]
    # Wilson's interval of 1 in 4, worked by hand with z = 1.959964; that of 3 in 4 mirrors it.
    assert tuple(first.loc[0, ["low", "high"]]) == pytest.approx((0.045587, 0.699358), abs=1e-5)
    assert tuple(first.loc[1, ["low", "high"]]) == pytest.approx((0.300642, 0.954413), abs=1e-5)


@settings(max_examples=50)
@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1)), min_size=1, max_size=60),
    st.integers(1, 12),
)
def test_bins_hold_each_row_once_and_keep_equal_rows_together(rows, bins: int) -> None:
    said = np.array([value / 4 for value, _ in rows])
    y = np.array([code for _, code in rows])
    proba = np.column_stack([said, 1 - said])
    table = reliability(y, proba, ("a", "b"), bins)
    one = table[table["class"] == "a"]
    assert one["rows"].sum() == len(rows)
    assert len(one) <= min(bins, len(set(said)))
    assert one["predicted"].is_monotonic_increasing
    assert (one["observed"] * one["rows"]).sum() == pytest.approx((y == 0).sum())
    mixed = reliability(y[::-1], proba[::-1], ("a", "b"), bins)
    assert_frame_equal(table, mixed)  # but for rounding


def test_bins_of_quantiles_are_even() -> None:
    y, _, balanced = simulated(3, 1000, seed=6)
    table = reliability(y, balanced, ("a", "b", "c"))
    assert set(table["rows"]) == {100}
    assert ((table["low"] <= table["observed"]) & (table["observed"] <= table["high"])).all()


def test_names_must_fit() -> None:
    with pytest.raises(InputError, match="names of classes"):
        reliability(np.array([0]), np.array([[0.5, 0.5]]), ("a",))


def test_on_real_rows_kept_apart(shared) -> None:
    """Discriminant analysis of balanced rows is far too sure, and gives failures too much."""
    panel = read_panel(shared / "data/india/panel_dev.parquet")
    split = protocol_named("company").split(panel, 0)
    model = make_pipeline(
        SimpleImputer(strategy="median"),
        StandardScaler(),
        SMOTE(random_state=0),
        LinearDiscriminantAnalysis(),
    )
    X, y = panel.X.to_numpy(), panel.y
    folds = StratifiedGroupKFold(3).split(X[split.train], y[split.train], panel.groups[split.train])
    out = cross_val_predict(
        model, X[split.train], y[split.train], cv=list(folds), method="predict_proba"
    )
    before = model.fit(X[split.train], y[split.train]).predict_proba(X[split.test])
    after = Calibration.fit(out, y[split.train]).apply(before)
    truth = y[split.test]
    was = measure_all(truth, before, panel.classes, panel.focus)
    now = measure_all(truth, after, panel.classes, panel.focus)
    assert now["log_loss"] < 0.75 * was["log_loss"]
    assert now["brier"] < was["brier"]
    share = np.bincount(truth) / len(truth)
    assert abs(after.mean(axis=0) - share).max() < 0.05
    assert abs(before.mean(axis=0) - share).max() > 0.08
