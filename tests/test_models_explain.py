"""Reasons: SHAP values that add up to what the model says, and their words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xgboost
from test_models_panel import made_up
from test_models_pipeline import small

from models.artifact import Model, load, save
from models.evaluate import RunResult, make_plan, run
from models.explain import Reason, contributions, reasons, risk_class, risk_words, unit
from models.learners import LEARNERS, learner_named
from models.panel import Floats, panel_from_frame
from models.pipeline import build_pipeline

BOOSTERS = ("xgboost", "lightgbm", "catboost", "gb")
OTHERS = ("lr", "svm", "knn", "ann", "gb-exact")
NAMES = {2: ("bankrupt", "healthy"), 3: ("bankrupt", "distressed", "healthy")}
# Of shap, about the colours of its plots.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
Make = Callable[[str, int], Model]


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Make:
    """Models as loaded from disk, by learner and count of classes; each is made once."""
    runs: dict[int, RunResult] = {}
    models: dict[tuple[str, int], Model] = {}

    def made(learner: str, classes: int) -> Model:
        if classes not in runs:
            panel = panel_from_frame(made_up(40, classes=classes).drop(columns="copy"))
            panel = replace(panel, classes=NAMES[classes])
            runs[classes] = run(panel, make_plan("paper", ("lr",), ("rf",), "paper", seed=0))
        if (learner, classes) not in models:
            folder = tmp_path_factory.mktemp("model") / "model"
            save(folder, _fitted(runs[classes], learner), {})
            models[learner, classes] = load(folder)
        return models[learner, classes]

    return made


def _fitted(base: RunResult, name: str) -> RunResult:
    """The run as if that learner had won it."""
    learner = learner_named(name)
    pipeline = build_pipeline(learner, small(learner), "rf", 0, "cpu")
    pipeline.fit(base.panel.X.to_numpy(), base.panel.y)
    best = replace(base.best, learner=name, params=small(learner))
    board = base.leaderboard.assign(learner=name)
    return replace(base, best=best, pipeline=pipeline, leaderboard=board)


def frame() -> pd.DataFrame:
    return made_up(12, seed=3)[[f"r{i}" for i in range(6)]]


def raw(learner: Any, columns: Floats) -> Floats:
    """The margins as the library itself gives them: rows, or rows x classes."""
    match type(learner).__name__:
        case "XGBClassifier":
            booster = learner.get_booster()
            return booster.predict(xgboost.DMatrix(columns), output_margin=True)
        case "BoosterClassifier":
            return learner.booster.predict(columns, raw_score=True)
        case "CatBoostClassifier":
            return learner.predict(columns, prediction_type="RawFormulaVal")
        case _:
            return learner.decision_function(columns)


def bias(learner: Any, columns: Floats) -> float:
    """The expected margin of the first of three classes, as the library tells it."""
    if type(learner).__name__ == "XGBClassifier":
        matrix = xgboost.DMatrix(columns)
        return float(learner.get_booster().predict(matrix, pred_contribs=True)[0, 0, -1])
    return float(learner.booster.predict(columns, pred_contrib=True)[0, columns.shape[1]])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("learner", BOOSTERS)
def test_shares_and_one_bias_make_the_margin_of_the_risk_class(
    learner: str, classes: int, make: Make
) -> None:
    model = make(learner, classes)
    columns = model.columns(frame())
    margin = raw(model.learner, columns)
    # Two classes have one margin, that of the second: healthy.
    margin = -margin if margin.ndim == 1 else margin[:, 0]
    shares = contributions(model, frame())
    assert shares.shape == (len(columns), len(model.selected))
    assert np.ptp(margin) > 0.5
    rest = margin - shares.sum(axis=1)
    np.testing.assert_allclose(rest, rest[0], atol=1e-4)
    if classes == 3 and learner in ("xgboost", "lightgbm"):
        assert rest[0] == pytest.approx(bias(model.learner, columns), abs=1e-4)
    assert unit(model) == "log-odds"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("learner", OTHERS)
def test_shares_sum_to_the_distance_from_the_average_company(
    learner: str, classes: int, make: Make
) -> None:
    model = make(learner, classes)
    shares = contributions(model, frame())
    assert shares.shape == (len(frame()), len(model.selected))
    proba = model.predict_proba(frame())["bankrupt"]
    average = model.learner.predict_proba(np.zeros((1, len(model.selected))))[0, 0]
    assert np.ptp(proba) > 0.05
    np.testing.assert_allclose(shares.sum(axis=1), proba - average, atol=1e-9)
    assert unit(model) == "probability"


@pytest.mark.parametrize("classes", [2, 3])
def test_shares_of_a_forest_and_one_bias_make_the_probability(classes: int, make: Make) -> None:
    model = make("rf", classes)
    shares = contributions(model, frame())
    proba = model.predict_proba(frame())["bankrupt"].to_numpy()
    rest = proba - shares.sum(axis=1)
    assert shares.shape == (len(frame()), len(model.selected))
    np.testing.assert_allclose(rest, rest[0], atol=1e-9)
    assert unit(model) == "probability"


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("learner", [e.name for e in LEARNERS])
def test_a_low_r0_raises_the_risk_and_a_high_one_lowers_it(
    learner: str, classes: int, make: Make
) -> None:
    """In the made-up panel a low r0 is what tells bankrupt companies apart."""
    model = make(learner, classes)
    middle = made_up(40, classes=classes)[list(model.features)].median()
    rows = pd.DataFrame([middle, middle]).reset_index(drop=True)
    rows["r0"] = [-1.5, 3.0]
    shares = contributions(model, rows)[:, model.selected.index("r0")]
    assert shares[0] > 0 >= shares[1]
    bad, good = ({r.feature: r.words() for r in row} for row in reasons(model, rows, [None] * 2))
    assert bad["r0"].endswith("raises the risk of bankruptcy")
    assert learner == "knn" or good["r0"].endswith("lowers the risk of bankruptcy")


def test_an_exchange_of_one_feature_gives_the_exact_shapley_values(make: Make) -> None:
    """Two features that interact share what only both together bring."""

    class Both:
        def predict_proba(self, X: Floats) -> Floats:
            both = ((X[:, 0] > 0) & (X[:, 1] > 0)) * 0.5
            return np.column_stack([both, 1 - both])

    model = replace(make("lr", 2), learner=Both(), selected=("r0", "r1"), prepare=Plain())
    rows = pd.DataFrame(1.0, index=range(3), columns=list(model.features))
    shares = contributions(model, rows)
    np.testing.assert_allclose(shares[:, :2], 0.25)
    np.testing.assert_allclose(shares[:, 2:], 0)
    # What moves nothing is no reason, however many are asked for.
    assert [r.feature for r in reasons(model, rows, [None] * 3, most=2)[0]] == ["r0", "r1"]


class Plain:
    """Preparation that changes nothing."""

    def transform(self, X: Floats) -> Floats:
        return X[:, :2]


def test_rows_do_not_depend_on_how_many_are_asked_at_once(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make("lr", 3)
    whole = contributions(model, frame())
    monkeypatch.setattr("models.explain.BATCH", 11)
    np.testing.assert_allclose(contributions(model, frame()), whole, atol=1e-12)


def test_the_largest_come_first_and_are_the_same_again(make: Make) -> None:
    model = make("xgboost", 3)
    shares = contributions(model, frame())
    found = reasons(model, frame(), [None] * len(frame()), most=2)
    for row, said in enumerate(found):
        order = np.argsort(-np.abs(shares[row]), kind="stable")[:2]
        assert [r.feature for r in said] == [model.selected[k] for k in order]
        assert [r.contribution for r in said] == [shares[row, k] for k in order]
    assert found == reasons(model, frame(), [None] * len(frame()), most=2)
    five = reasons(model, frame(), [None] * len(frame()))
    assert max(map(len, five)) == min(5, len(model.selected))


def test_median_is_that_of_the_sector_where_it_is_known(make: Make) -> None:
    model = make("xgboost", 3)
    medians = json.loads(json.dumps(model.manifest["medians"]))
    medians["sectors"]["steel"]["r0"] = None
    model = replace(model, manifest={**model.manifest, "medians": medians})
    rows = pd.concat([frame().iloc[:1]] * 4, ignore_index=True)
    said = reasons(model, rows, ["power", "steel", "jute", None], most=9)
    power, steel, jute, none = ({r.feature: r for r in row} for row in said)
    own = {name: medians["sectors"]["power"][name] for name in power}
    overall = {name: medians["overall"][name] for name in power}
    assert own != overall
    assert {name: (r.sector, r.median) for name, r in power.items()} == {
        name: ("power", value) for name, value in own.items()
    }
    assert (steel["r0"].sector, steel["r0"].median) == (None, overall["r0"])
    for row in (jute, none):
        assert {n: (r.sector, r.median) for n, r in row.items()} == {
            n: (None, value) for n, value in overall.items()
        }


def test_missing_value_is_said(make: Make) -> None:
    model = make("xgboost", 3)
    rows = frame().iloc[:1].assign(r0=np.nan)
    said = {r.feature: r for r in reasons(model, rows, [None], most=9)[0]}
    assert said["r0"].value is None
    assert said["r0"].words().startswith("r0 missing (median ")
    assert all(r.value is not None for name, r in said.items() if name != "r0")


def test_words() -> None:
    reason = Reason("X1", "current ratio", 1234.5, 1.2, "steel", -0.1, "risk of bankruptcy")
    expected = "current ratio 1,234.50 (steel median 1.20) lowers the risk of bankruptcy"
    assert reason.words() == expected
    bare = replace(reason, value=None, median=None, contribution=0.1)
    assert bare.words() == "current ratio missing raises the risk of bankruptcy"


@pytest.mark.parametrize(
    ("classes", "at", "words"),
    [
        (("bankrupt", "healthy"), 0, "risk of bankruptcy"),
        (("alive", "bankrupt"), 1, "risk of bankruptcy"),
        (("fails", "survives"), 0, "risk of failure"),
        (("0", "1"), 1, "probability of class '1'"),
        (("bad", "good"), 0, "probability of class 'bad'"),
    ],
)
def test_risk_class(classes: tuple[str, ...], at: int, words: str, make: Make) -> None:
    model = replace(make("xgboost", 2), classes=classes)
    assert (risk_class(model), risk_words(model)) == (at, words)
