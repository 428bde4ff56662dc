"""Reasons: shares that add up to what the model says, and their words."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_models_panel import made_up
from test_models_pipeline import small

from models.artifact import Model, load
from models.calibration import Calibration
from models.evaluate import RunResult, make_plan, run
from models.explain import Reason, explain, risk_class, risk_words, shares
from models.history import History
from models.learners import LEARNERS, learner_named
from models.panel import Floats, panel_from_frame
from models.pipeline import build_pipeline
from models.preparation import Preparation
from models.saving import save

NAMES = {2: ("bankrupt", "healthy"), 3: ("bankrupt", "distressed", "healthy")}
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


def probability(model: Model, rows: pd.DataFrame) -> Floats:
    """Of bankruptcy, as a reader of a score sees it."""
    told = model.told(model.predict_proba(rows).to_numpy())
    return told[:, model.classes.index("bankrupt")]


def contributions(model: Model, rows: pd.DataFrame) -> Floats:
    return shares(model, model.columns(rows))[1]


def reasons(
    model: Model, rows: pd.DataFrame, sectors: list[str | None], most: int = 5
) -> list[tuple[Reason, ...]]:
    return [found.reasons for found in explain(model, model.prepared(rows), sectors, most)]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("learner", [e.name for e in LEARNERS])
def test_base_and_shares_sum_to_the_probability(learner: str, classes: int, make: Make) -> None:
    model = make(learner, classes)
    wanted = probability(model, frame())
    base, found = shares(model, model.columns(frame()))
    assert found.shape == (len(frame()), len(model.selected))
    assert np.ptp(wanted) > 0.05
    np.testing.assert_allclose(base + found.sum(axis=1), wanted, atol=1e-6)
    explained = explain(model, model.prepared(frame()), [None] * len(frame()), 2)
    for said, value in zip(explained, wanted, strict=True):
        assert len(said.reasons) <= 2
        assert said.probability == pytest.approx(value, abs=1e-6)


def test_they_sum_to_the_calibrated_probability(make: Make) -> None:
    calibration = Calibration(((0.5, 0.1), (0.0, 0.7)), (0.3, -0.3), (40, 60))
    plain = make("xgboost", 2)
    model = replace(plain, calibration=calibration)
    base, found = shares(model, model.columns(frame()))
    np.testing.assert_allclose(base + found.sum(axis=1), probability(model, frame()), atol=1e-6)
    assert np.abs(probability(model, frame()) - probability(plain, frame())).max() > 0.05


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
    assert bad["r0"].count("raises the probability of bankruptcy by ") == 1
    assert learner == "knn" or "lowers the probability of bankruptcy by " in good["r0"]


def test_an_exchange_of_one_feature_gives_the_exact_shapley_values(make: Make) -> None:
    """Two features that interact share what only both together bring."""

    class Both:
        def predict_proba(self, X: Floats) -> Floats:
            both = ((X[:, 0] > 0) & (X[:, 1] > 0)) * 0.5
            return np.column_stack([both, 1 - both])

    model = make("lr", 2)
    prepare = plain(len(model.features))
    model = replace(model, learner=Both(), selected=("r0", "r1"), prepare=prepare)
    model = replace(model, history=None, calibration=None)
    rows = pd.DataFrame(1.0, index=range(3), columns=list(model.features))
    shares = contributions(model, rows)
    np.testing.assert_allclose(shares[:, :2], 0.25)
    np.testing.assert_allclose(shares[:, 2:], 0)
    # What moves nothing is no reason, however many are asked for.
    assert [r.feature for r in reasons(model, rows, [None] * 3, most=2)[0]] == ["r0", "r1"]


def plain(width: int) -> Preparation:
    """Preparation that changes nothing and takes the first two features."""
    zeros, ends = np.zeros(width), np.full(width, 1e9)
    return Preparation(zeros, -ends, ends, zeros, np.ones(width), np.arange(width) < 2)


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
        order = order[shares[row, order] != 0]
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
    assert said["r0"].words().startswith("r0 missing, taken as the training median; ")
    assert all(r.value is not None for name, r in said.items() if name != "r0")


def test_tenth_is_that_of_the_sector_where_enough_of_it_is_known(make: Make) -> None:
    """Training rows from 1 to 100; steel has the lowest 20, jute one too few."""
    plain = make("xgboost", 3)
    assert plain.history is not None
    known = pd.DataFrame({name: np.arange(1.0, 101.0) for name in plain.selected})
    rows = pd.DataFrame({"sector": ["steel"] * 20 + ["jute"] * 19 + [None] * 61})
    model = replace(plain, history=History(rows, known, np.zeros((100, len(plain.selected)))))
    asked = pd.concat([frame().iloc[:1]] * 4, ignore_index=True)
    asked[list(plain.features)] = np.tile([[0.0], [15.0], [100.0], [57.5]], 6)
    said = explain(model, model.prepared(asked), ["steel", "steel", "jute", None], most=9)
    found = (
        {(r.tenth, r.peers) for r in said[0].reasons},
        {(r.tenth, r.peers) for r in said[1].reasons},
    )
    assert found == ({(1, "steel")}, {(8, "steel")})
    assert {(r.tenth, r.peers) for r in said[2].reasons} == {(10, None)}
    assert {(r.tenth, r.peers) for r in said[3].reasons} == {(6, None)}


def test_words() -> None:
    reason = Reason(
        "X1", "current ratio", 1234.5, 1, "Steel", 1.2, "Steel", -0.14, "probability of bankruptcy"
    )
    lowers = "lowers the probability of bankruptcy by 14 points"
    assert reason.words() == f"current ratio 1,234.50, lowest tenth of Steel; {lowers}"
    assert replace(reason, contribution=1e-9).words().endswith("by less than 0.1 points")
    assert replace(reason, tenth=10, peers=None).standing() == "1,234.50, highest tenth of all"
    assert replace(reason, tenth=2).standing() == "1,234.50, 2nd tenth from below of Steel"
    assert replace(reason, tenth=9).standing() == "1,234.50, 2nd highest tenth of Steel"
    assert replace(reason, tenth=None).standing() == "1,234.50"
    assert replace(reason, value=-0.0, tenth=None).standing() == "0.00"
    bare = replace(reason, value=None, median=None, contribution=0.0312)
    raises = "raises the probability of bankruptcy by 3.1 points"
    assert bare.words() == f"current ratio missing, taken as the training median; {raises}"


@pytest.mark.parametrize(
    ("classes", "at", "words"),
    [
        (("bankrupt", "healthy"), 0, "probability of bankruptcy"),
        (("alive", "bankrupt"), 1, "probability of bankruptcy"),
        (("fails", "survives"), 0, "probability of failure"),
        (("0", "1"), 1, "probability of class '1'"),
        (("bad", "good"), 0, "probability of class 'bad'"),
    ],
)
def test_risk_class(classes: tuple[str, ...], at: int, words: str, make: Make) -> None:
    model = replace(make("xgboost", 2), classes=classes)
    assert (risk_class(model), risk_words(model)) == (at, words)
