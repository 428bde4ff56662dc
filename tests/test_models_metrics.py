"""Figures against scikit-learn and against values worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from models.metrics import METRICS, batch, bootstrap, columns, measure_all

CLASSES = ("bankrupt", "distressed", "healthy")


def sample(size: int = 3, rows: int = 400, seed: int = 0):
    random = np.random.default_rng(seed)
    y = random.choice(size, rows, p=[0.2, 0.3, 0.5] if size == 3 else [0.2, 0.8])
    raw = random.random((rows, size)) + 0.6 * np.eye(size)[y]
    proba = np.round(raw / raw.sum(axis=1, keepdims=True), 2)  # rounded, so that scores tie
    proba[:, -1] = 1 - proba[:, :-1].sum(axis=1)
    return y, proba


def by_sklearn(y, proba, classes, weights=None) -> dict[str, float]:
    guess, codes = proba.argmax(axis=1), list(range(len(classes)))
    kw = {"sample_weight": weights}
    weighted = {**kw, "average": "weighted", "zero_division": 0}
    binary = len(classes) == 2
    ranked = (y, proba[:, 1]) if binary else (y, proba)
    found = {
        "accuracy": sk.accuracy_score(y, guess, **kw),
        "precision": sk.precision_score(y, guess, **weighted),
        "recall": sk.recall_score(y, guess, **weighted),
        "f1": sk.f1_score(y, guess, **weighted),
        "macro_f1": sk.f1_score(y, guess, average="macro", **kw),
        "balanced_accuracy": sk.balanced_accuracy_score(y, guess, **kw),
        "mcc": sk.matthews_corrcoef(y, guess, **kw),
        "roc_auc_ovr": np.mean([sk.roc_auc_score(y == c, proba[:, c], **kw) for c in codes])
        if binary or weights is not None
        else sk.roc_auc_score(*ranked, multi_class="ovr"),
        "pr_auc_bankrupt": sk.average_precision_score(y == 0, proba[:, 0], **kw),
        "log_loss": sk.log_loss(y, proba, labels=codes, **kw),
        "brier": np.average(((proba - np.eye(len(classes))[y]) ** 2).sum(axis=1), weights=weights),
    }
    recalls = sk.recall_score(y, guess, average=None, **kw)
    precisions = sk.precision_score(y, guess, average=None, zero_division=0, **kw)
    for code, name in enumerate(classes):
        found[f"recall_{name}"] = recalls[code]
        found[f"precision_{name}"] = precisions[code]
    return found


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_figures_agree_with_scikit_learn(size: int, seed: int) -> None:
    classes = CLASSES[:size]
    y, proba = sample(size, seed=seed)
    ours = measure_all(y, proba, classes, 0)
    for name, value in by_sklearn(y, proba, classes).items():
        assert ours[name] == pytest.approx(value, abs=1e-12), name


@pytest.mark.parametrize("size", [2, 3])
def test_weighted_figures_agree_with_scikit_learn(size: int) -> None:
    classes = CLASSES[:size]
    y, proba = sample(size)
    weights = np.random.default_rng(1).integers(0, 4, (3, len(y))).astype(float)
    rows = batch(y, proba, weights)
    for at, row in enumerate(weights):
        expected = by_sklearn(y, proba, classes, row)
        for name, metric, code in columns(classes, 0):
            if name != "ece":
                assert metric.fn(rows, code)[at] == pytest.approx(expected[name], abs=1e-10), name


def test_hand_worked_case() -> None:
    y = np.array([0, 0, 1, 1])
    proba = np.array([[0.9, 0.1], [0.4, 0.6], [0.2, 0.8], [0.6, 0.4]])
    figures = measure_all(y, proba, ("bankrupt", "healthy"), 0)
    assert figures["accuracy"] == 0.5
    assert figures["macro_f1"] == 0.5
    assert figures["mcc"] == 0.0
    # Of the four pairs (bankrupt, healthy) .9 wins both, .4 beats .2 and loses to .6.
    assert figures["roc_auc_ovr"] == 0.75
    # Ranked .9 (hit, 1/1), .6, .4 (hit, 2/3), .2.
    assert figures["pr_auc_bankrupt"] == pytest.approx((1 + 2 / 3) / 2)
    assert figures["log_loss"] == pytest.approx(-np.log([0.9, 0.4, 0.8, 0.4]).mean())
    assert figures["brier"] == pytest.approx((0.02 + 0.72 + 0.08 + 0.72) / 4)
    # Bins: .9 right, .8 right alone in theirs; two of .6, both wrong, share one.
    assert figures["ece"] == pytest.approx((0.1 + 0.2 + 2 * 0.6) / 4)


@pytest.mark.parametrize("metric", METRICS, ids=lambda m: f"{m.name}-{m.per_class}")
def test_every_metric_takes_a_batch_and_prefers_the_truth(metric) -> None:
    y, proba = sample()
    perfect = np.eye(3)[y]
    good, poor = metric.fn(batch(y, perfect), 0), metric.fn(batch(y, proba), 0)
    assert good.shape == (1,)
    assert (good[0] > poor[0]) == metric.higher_is_better


def test_intervals_hold_the_value_and_widen_with_companies() -> None:
    y, proba = sample(rows=600)
    by_row = bootstrap(y, proba, CLASSES, 0, None, 0)
    # Thirty companies whose rows share their luck.
    order = np.argsort(proba[np.arange(600), y])
    groups = np.array([f"c{i // 20}" for i in np.argsort(order)])
    by_company = bootstrap(y, proba, CLASSES, 0, groups, 0)
    values = measure_all(y, proba, CLASSES, 0)
    for name in ("accuracy", "macro_f1", "roc_auc_ovr", "pr_auc_bankrupt", "log_loss"):
        low, high = by_row[name]
        assert low < values[name] < high
        assert by_company[name][1] - by_company[name][0] > 1.5 * (high - low)
    assert bootstrap(y, proba, CLASSES, 0, groups, 0) == by_company


def test_interval_width_is_that_of_theory() -> None:
    y, proba = sample(rows=900)
    accuracy = measure_all(y, proba, CLASSES, 0)["accuracy"]
    low, high = bootstrap(y, proba, CLASSES, 0, None, 5)["accuracy"]
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(accuracy * (1 - accuracy) / 900), rel=0.1)


def test_a_class_never_predicted_or_absent_is_not_an_error() -> None:
    y = np.array([0, 0, 2, 2])
    proba = np.tile([0.7, 0.2, 0.1], (4, 1))
    figures = measure_all(y, proba, CLASSES, 0)
    assert figures["precision_healthy"] == 0.0
    assert figures["mcc"] == 0.0
    assert np.isnan(figures["roc_auc_ovr"])


def test_draws_without_a_class_say_nothing_of_it() -> None:
    y = np.array([0] * 3 + [1] * 57)
    proba = np.eye(2)[y]
    groups = np.array([f"c{i}" for i in range(60)])
    spans = bootstrap(y, proba, ("bankrupt", "healthy"), 0, groups, 0)
    assert spans["recall_bankrupt"] == (1.0, 1.0)
    assert spans["precision_bankrupt"] == (1.0, 1.0)
