"""The pipeline: shared pieces equal the plain one, and planted leaks are seen."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from test_models_panel import made_up, made_up_panel

from models.learners import LEARNERS, learner_named
from models.metrics import measure_all
from models.panel import panel_from_frame
from models.pipeline import Balance, Select, Winsorizer, build_pipeline, fold_data, prepare
from models.protocols import protocol_named
from models.selectors import SELECTORS, intersection, selector_named


def small(learner) -> dict:
    """The first quick point with few trees, so that a smoke test stays one."""
    params = dict(learner.quick[0])
    for name in ("n_estimators", "max_iter", "iterations"):
        if name in params:
            params[name] = min(params[name], 12)
    return params


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda e: e.name)
def test_shared_pieces_equal_the_plain_pipeline(learner, classes: int) -> None:
    panel = made_up_panel(classes=classes)
    split = protocol_named("company").split(panel, 1)
    plain = build_pipeline(learner, small(learner), "kbest", 7, "cpu")
    values = panel.X.to_numpy()
    expected = plain.fit(values[split.train], panel.y[split.train]).predict_proba(
        values[split.test]
    )

    fold = fold_data(prepare(panel, split.train, split.train[:0], split.test), "kbest", 7)
    model = learner.build(small(learner), 7, "cpu")
    learner.fit(model, fold.kept.X, fold.kept.y, None)
    proba = model.predict_proba(fold.score[0])
    np.testing.assert_array_equal(proba, expected)
    np.testing.assert_allclose(proba.sum(axis=1), 1, atol=1e-5)
    assert proba.shape == (len(split.test), classes)


@pytest.mark.parametrize("learner", [e for e in LEARNERS if e.trees], ids=lambda e: e.name)
def test_early_stopping_returns_a_count_of_trees(learner) -> None:
    panel = made_up_panel()
    rows = np.arange(len(panel.y))
    fold = fold_data(prepare(panel, rows[60:], rows[:30], rows[30:60]), "all", 0)
    model = learner.build(learner.quick[0], 0, "cpu")
    trees = learner.fit(model, fold.kept.X, fold.kept.y, fold.stop)
    assert 1 <= trees < learner.quick[0][learner.trees]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda e: e.name)
def test_every_point_of_every_grid_can_be_built(learner) -> None:
    for grid in ("paper", "quick", "full"):
        for point in learner.points(grid):
            clone(learner.build(point, 0, "cpu"))
    assert learner.title
    if learner.default:
        assert len(learner.quick) == 2
        assert 6 <= len(learner.full) <= 8


@pytest.mark.parametrize("selector", SELECTORS, ids=lambda s: s.name)
def test_every_selector_gives_a_mask_and_the_same_one_again(selector) -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 70))
    y = (X[:, 0] + X[:, 1] > 0).astype(np.int64)
    X[:, 2] = X[:, 0] + 0.1 * random.normal(size=300)
    X[:, 3] = 0.0
    mask = selector.fit(X, y, 0)
    assert mask.dtype == bool
    assert mask.shape == (70,)
    assert mask[0]
    assert mask[1]
    assert (mask == selector.fit(X, y, 0)).all()
    expected = {"all": 70, "correlation": 69, "kbest": 55, "rfe": 55}
    assert mask.sum() == expected.get(selector.name, mask.sum())


def test_correlation_keeps_the_column_closer_to_the_target() -> None:
    random = np.random.default_rng(0)
    y = np.repeat([0, 1], 2000)
    near = y + 0.5 * random.normal(size=4000)
    far = near + 0.2 * random.normal(size=4000)
    for X in (np.column_stack([far, near]), np.column_stack([near, far])):
        mask = selector_named("correlation").fit(X, y, 0)
        assert mask.sum() == 1
        assert X[0, mask][0] == near[0]


def test_intersection_ignores_all() -> None:
    masks = {
        "all": np.ones(3, bool),
        "a": np.array([1, 1, 0], bool),
        "b": np.array([0, 1, 1], bool),
    }
    assert intersection(masks).tolist() == [False, True, False]
    assert intersection({"all": np.ones(2, bool)}).all()


def test_winsorizer_and_select_follow_the_training_rows() -> None:
    X = np.arange(101, dtype=float)[:, None]
    assert Winsorizer().fit(X).transform(np.array([[-5.0], [500.0], [50.0]])).ravel().tolist() == [
        1.0,
        99.0,
        50.0,
    ]
    assert Select("all").fit(X, np.zeros(101)).transform(X).shape == (101, 1)


@pytest.mark.parametrize(("rare", "note"), [(1, "copied"), (2, "1 neighbours"), (5, "4 neighb")])
def test_rare_classes_are_filled_up_and_said(rare: int, note: str) -> None:
    X = np.random.default_rng(0).normal(size=(60 + rare, 3))
    y = np.array([0] * rare + [1] * 20 + [2] * 40)
    balance = Balance()
    _, filled = balance.fit_resample(X, y)
    assert np.bincount(filled).tolist() == [40, 40, 40]
    assert note in balance.notes_[0]


def test_statistics_come_from_fit_rows_alone() -> None:
    """Planted leak: wild values in test rows must not move anything learned."""
    frame = made_up()
    split = protocol_named("company").split(panel_from_frame(frame), 0)
    wild = frame.copy()
    wild.loc[split.test, ["r0", "r1", "copy"]] *= 1e6
    wild.loc[split.test, "label"] = "healthy"
    calm = fold_data(prepare(panel_from_frame(frame), *args(split)), "rf", 0)
    stormy = fold_data(prepare(panel_from_frame(wild), *args(split)), "rf", 0)
    np.testing.assert_array_equal(calm.kept.X, stormy.kept.X)
    np.testing.assert_array_equal(calm.mask, stormy.mask)
    # The same with everything fitted on all rows, test included, does move.
    rows = np.arange(len(frame))
    leaked = [prepare(panel_from_frame(f), rows, rows[:0], rows) for f in (frame, wild)]
    assert not np.array_equal(leaked[0].fit[0], leaked[1].fit[0])


def figure_with(panel, split, column) -> float:
    """Macro-F1 on the test rows of boosting with one column added."""
    learner = learner_named("lightgbm")
    plain = build_pipeline(learner, small(learner), "all", 0, "cpu")
    values = panel.X.assign(leak=column).to_numpy()
    plain.fit(values[split.train], panel.y[split.train])
    proba = plain.predict_proba(values[split.test])
    return measure_all(panel.y[split.test], proba, panel.classes, 0)["macro_f1"]


def args(split) -> tuple:
    return split.train, split.train[:0], split.test


def test_feature_that_copies_the_label_in_training_gives_bad_test_figures() -> None:
    panel = made_up_panel(120)
    split = protocol_named("company").split(panel, 0)
    random = np.random.default_rng(0)
    leak = random.integers(0, 3, len(panel.y)).astype(float)
    leak[split.train] = panel.y[split.train]

    honest = figure_with(panel, split, leak)
    assert honest < 0.5
    # Had the copy been made with test rows in view, the figure would be perfect.
    assert figure_with(panel, split, panel.y.astype(float)) > 0.99
    assert figure_with(panel, split, random.normal(size=len(panel.y))) > honest


def test_scored_rows_are_the_original_ones() -> None:
    """SMOTE before the split would put made-up rows among the scored; count and compare."""
    panel = made_up_panel()
    split = protocol_named("company").split(panel, 0)
    seen = []
    for fit, score in protocol_named("company").folds(panel, split.train, 3, 0):
        prepared = prepare(panel, fit, fit[:0], score)
        fold = fold_data(prepared, "all", 0)
        assert len(fold.kept.X) > len(fit)
        assert np.bincount(fold.kept.y).tolist() == [np.bincount(panel.y[fit]).max()] * 3
        np.testing.assert_array_equal(fold.score[0], prepared.score[0])
        np.testing.assert_array_equal(fold.score[1], panel.y[score])
        made = fold.kept.X[len(fit) :]
        assert not pd.DataFrame(fold.score[0]).merge(pd.DataFrame(made)).size
        seen.extend(score)
    assert sorted(seen) == sorted(split.train)


def test_rows_to_stop_by_are_fitted_on_where_nothing_is_stopped() -> None:
    panel = made_up_panel()
    rows = np.arange(len(panel.y))
    fold = fold_data(prepare(panel, rows[120:], rows[:30], rows[30:120]), "rf", 0)
    assert (fold.kept.given, fold.whole.given) == (len(rows) - 120, len(rows) - 90)
    np.testing.assert_array_equal(fold.whole.X[fold.kept.given : fold.whole.given], fold.stop[0])
    np.testing.assert_array_equal(fold.whole.rows("none")[1], panel.y[np.r_[120 : len(rows), :30]])
    counts = np.bincount(fold.whole.rows("smote")[1])
    assert counts.tolist() == [np.bincount(fold.whole.rows("none")[1]).max()] * 3
    whole = fold_data(prepare(panel, rows[90:], rows[:0], rows[:90]), "all", 0)
    assert whole.stop is None
    assert whole.whole is whole.kept


def test_smote_before_the_split_would_flatter() -> None:
    """What the pipeline refuses: neighbours made from test rows, scored as if they were new."""
    panel = made_up_panel(60, seed=4)
    rows = np.arange(len(panel.y))
    X = prepare(panel, rows, rows[:0], rows).fit[0]
    filled, y = Balance().fit_resample(X, panel.y)
    learner = learner_named("knn")
    odd = np.arange(len(y)) % 4 == 0
    model = learner.build({"n_neighbors": 3}, 0, "cpu").fit(filled[~odd], y[~odd])
    flattered = measure_all(y[odd], model.predict_proba(filled[odd]), panel.classes, 0)["macro_f1"]

    split = protocol_named("company").split(panel, 0)
    fold = fold_data(prepare(panel, *args(split)), "all", 0)
    model = learner.build({"n_neighbors": 3}, 0, "cpu").fit(fold.kept.X, fold.kept.y)
    figures = measure_all(fold.score[1], model.predict_proba(fold.score[0]), panel.classes, 0)
    assert flattered > figures["macro_f1"] + 0.1


def test_predict_never_resamples() -> None:
    panel = made_up_panel()
    plain = build_pipeline(learner_named("lr"), {"C": 1.0}, "all", 0, "cpu")
    plain.fit(panel.X.to_numpy(), panel.y)
    assert len(plain.predict_proba(panel.X.to_numpy()[:5])) == 5
