"""Ratios against their sector: what the rule says, that it learns from training rows only."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_models_panel import made_up, made_up_panel
from test_models_pipeline import small

from features.dataset import FEATURES, feature_names
from features.ratios import RATIOS
from models.artifact import Model, load, manifest_hash
from models.evaluate import RunResult, make_plan, run
from models.explain import explain, feature_name
from models.learners import learner_named
from models.panel import Panel, panel_from_frame, sector_columns, with_sector_relative
from models.pipeline import SectorRelative, build_pipeline, fold_data, prepare
from models.protocols import protocol_named
from models.saving import save
from warehouse.errors import InputError

NAN = float("nan")
STEEL, POWER, NEW = 1.0, 2.0, 3.0


def rows(*cells: tuple[float, float, float]) -> np.ndarray:
    """Rows of one ratio, its sector's key and the year."""
    return np.array(cells, dtype=np.float64)


def fitted(*cells: tuple[float, float, float]) -> SectorRelative:
    return SectorRelative((0,)).fit(rows(*cells))


# Steel: 1 to 5 in 2015 (median 3), 10 to 50 in 2016 (median 30), one row in 2018.
# Power: four rows in 2015, one in 2018. All sectors: nine values in 2015, five in 2016.
TRAINING = (
    *((v, STEEL, 2015) for v in (1, 2, 3, 4, 5)),
    *((v, STEEL, 2016) for v in (10, 20, 30, 40, 50)),
    (7, STEEL, 2018),
    *((v, POWER, 2015) for v in (100, 200, 300, 400)),
    (60, POWER, 2018),
)
CASES = {
    "five of the sector and year": ((8, STEEL, 2015), 8 - 3),
    # Steel in 2018 has one value: the median of its eleven, 1 2 3 4 5 7 10 20 30 40 50, is 7.
    "too few of the year: the sector's of all years": ((8, STEEL, 2018), 8 - 7),
    # Power in 2015 has four values, five in all: 60 100 200 300 400.
    "four are too few": ((100, POWER, 2015), 100 - 200),
    "a year between two: the latest training year before": ((31, STEEL, 2017), 31 - 30),
    # 2018 has one value of steel only, so 2016 is the latest that has five.
    "a later year: the latest with five": ((31, STEEL, 2024), 31 - 30),
    "power has no year with five: its five of all years": ((100, POWER, 2024), 100 - 200),
    "before all training years: the sector's of all years": ((8, STEEL, 2001), 8 - 7),
    # 1 2 3 4 5 100 200 300 400
    "a sector not in training: all sectors of the year": ((9, NEW, 2015), 9 - 5),
    "no sector: all sectors of the year": ((9, NAN, 2015), 9 - 5),
    "no sector, later year: all sectors of the latest with five": ((31, NAN, 2024), 31 - 30),
    "no sector, a year with two values": ((31, NAN, 2018), NAN),
    "no sector, before all training years": ((9, NAN, 2001), NAN),
    "no year: the sector's of all years": ((8, STEEL, NAN), 8 - 7),
    "neither": ((9, NAN, NAN), NAN),
    "the ratio is missing": ((NAN, STEEL, 2015), NAN),
}


@pytest.mark.parametrize("case", CASES)
def test_difference_from_the_median_worked_by_hand(case: str) -> None:
    row, expected = CASES[case]
    (found,) = fitted(*TRAINING).transform(rows(row))
    np.testing.assert_array_equal(found, [row[0], expected])


def test_values_are_counted_and_not_rows() -> None:
    """ "each must rest on 5 values of that ratio": a row without the ratio is no value."""
    known = [(float(v), STEEL, 2015.0) for v in (1, 2, 3, 4, 5)]
    empty = [(NAN, POWER, 2015.0)] * 9
    found = fitted(*known, *empty, (6.0, POWER, 2015.0)).transform(rows((6, POWER, 2015)))
    assert found.tolist() == [[6, 6 - 3.5]]  # of 1 to 6, all sectors


def test_training_without_any_sector_or_value() -> None:
    nothing = SectorRelative((0,)).fit(rows(*[(NAN, NAN, 2015.0)] * 6))
    np.testing.assert_array_equal(nothing.transform(rows((1, STEEL, 2015))), [[1, NAN]])


def naive(training: list[tuple[float, float, int]], row: tuple[float, float, int]) -> float:
    """The rule as its docstring says it, for one row; sector 0 is none."""
    value, sector, year = row

    def median(kept: list[float]) -> float | None:
        there = [v for v in kept if not np.isnan(v)]
        return float(np.median(there)) if len(there) >= 5 else None

    years = sorted({y for _, _, y in training})
    asked = [year] if year in years else [y for y in reversed(years) if y < year]
    own = [(v, y) for v, s, y in training if s == sector != 0]
    tries = [median([v for v, y in own if y == at]) for at in asked]
    tries += [median([v for v, _ in own])]
    tries += [median([v for v, _, y in training if y == at]) for at in asked]
    return value - next((found for found in tries if found is not None), NAN)


ROW = st.tuples(
    st.one_of(st.just(NAN), st.integers(-9, 9).map(float)),
    st.sampled_from([0.0, STEEL, POWER]),
    st.integers(2015, 2019),
)


@settings(max_examples=60)
@given(st.lists(ROW, min_size=1, max_size=60), st.lists(ROW, min_size=1, max_size=9))
def test_as_the_rule_says(
    training: list[tuple[float, float, int]], others: list[tuple[float, float, int]]
) -> None:
    """ "The first of these that is there is taken", on any rows."""

    def keyed(cells: list[tuple[float, float, int]]) -> np.ndarray:
        return rows(*((v, s or NAN, float(y)) for v, s, y in cells))

    found = SectorRelative((0,)).fit(keyed(training)).transform(keyed(others))
    np.testing.assert_array_equal(found[:, 1], [naive(training, row) for row in others])


def test_each_ratio_has_medians_of_its_own_and_others_pass() -> None:
    X = np.column_stack([np.arange(6.0), np.arange(6.0) * 10, np.ones(6), np.full(6, 2015)])
    X = np.insert(X, 1, 99.0, axis=1)  # a column that is compared with nothing
    found = SectorRelative((2, 0)).fit(X).transform(X[:1])
    assert found.tolist() == [[0, 99, 0, 0 - 25, 0 - 2.5]]


def relative_panel(companies: int = 60, classes: int = 3) -> Panel:
    return with_sector_relative(made_up_panel(companies, classes=classes))


def test_planted_leak_in_test_rows_moves_nothing_that_training_rows_get() -> None:
    """Wild values, sectors and years of test rows change no median and no training row."""
    frame = made_up()
    panel = with_sector_relative(panel_from_frame(frame))
    split = protocol_named("company").split(panel, 0)
    wild = frame.copy()
    ratios = list(panel.own)
    wild.loc[split.test, ratios] = wild.loc[split.test, ratios] * 1e6 + 5
    wild.loc[split.test, "sector"] = "steel"
    wild_panel = with_sector_relative(panel_from_frame(wild))
    steps = []
    for one in (panel, wild_panel):
        X = one.X.to_numpy()
        step = SectorRelative(one.relative_at).fit(X[split.train])
        steps.append((step, step.transform(X[split.train])))
    (calm, calm_rows), (stormy, stormy_rows) = steps
    np.testing.assert_array_equal(calm_rows, stormy_rows)
    for name in ("sector_year_", "sector_", "year_"):
        for one, other in zip(getattr(calm, name), getattr(stormy, name), strict=True):
            np.testing.assert_array_equal(one, other)
    args = (split.train, split.train[:0], split.test)
    one, other = (fold_data(prepare(p, *args), "rf", 0) for p in (panel, wild_panel))
    np.testing.assert_array_equal(one.kept.X, other.kept.X)
    # The same with every row in view does move: the test can see a leak.
    leaked = [
        SectorRelative(p.relative_at).fit(p.X.to_numpy()).transform(p.X.to_numpy()[split.train])
        for p in (panel, wild_panel)
    ]
    assert not np.array_equal(leaked[0], leaked[1], equal_nan=True)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learner", ["lr", "lightgbm"])
def test_shared_pieces_equal_the_plain_pipeline(learner: str) -> None:
    panel = relative_panel()
    split = protocol_named("company").split(panel, 1)
    found = learner_named(learner)
    plain = build_pipeline(found, small(found), "rf", 7, "cpu", panel.relative_at)
    values = panel.X.to_numpy()
    plain.fit(values[split.train], panel.y[split.train])
    fold = fold_data(prepare(panel, split.train, split.train[:0], split.test), "rf", 7)
    model = found.build(small(found), 7, "cpu")
    found.fit(model, fold.kept.X, fold.kept.y, None)
    expected = plain.predict_proba(values[split.test])
    np.testing.assert_array_equal(model.predict_proba(fold.score[0]), expected)
    assert len(fold.mask) == len(panel.features) == 14


def test_without_it_the_pipeline_has_no_such_step() -> None:
    plain = build_pipeline(learner_named("lr"), {"C": 1.0}, "all", 0, "cpu")
    assert [n for n, _ in plain.steps] == [
        *("impute", "winsorise", "scale", "select", "balance", "learn")
    ]


def test_names_of_an_outside_panel_and_of_ours() -> None:
    """ "In a panel whose features are all ours these are the ratios X1 to X62; else every one"."""
    panel = relative_panel()
    assert panel.inputs == ("r0", "r1", "r2", "r3", "r4", "r5", "copy", "sector_key", "year_key")
    own = ("r0", "r1", "r2", "r3", "r4", "r5", "copy")
    assert panel.features == (*own, *(f"{name}_rel" for name in own))
    frame = made_up(20)[["company_id", "fiscal_year", "sector", "label"]]
    numbers = np.random.default_rng(0).normal(size=(len(frame), len(feature_names("all"))))
    ours = pd.concat([frame, pd.DataFrame(numbers, columns=list(feature_names("all")))], axis=1)
    found = with_sector_relative(panel_from_frame(ours))
    assert found.relative == tuple(ratio.code for ratio in RATIOS)
    assert found.features == (*feature_names("all"), *(f"{r.code}_rel" for r in RATIOS))
    beside = with_sector_relative(
        panel_from_frame(ours[[*frame, *FEATURES]].assign(own=numbers[:, 0]))
    )
    assert beside.relative == (*FEATURES, "own")


REFUSED = {
    "no sector": (lambda f: f.drop(columns="sector"), "needs a column 'sector'"),
    "no year": (lambda f: f.drop(columns="fiscal_year"), "needs a column of whole years"),
    "key taken": (lambda f: f.assign(year_key=1.0), "makes a column 'year_key'; the panel has one"),
    "name taken": (lambda f: f.assign(r1_rel=f["r0"]), "makes a column 'r1_rel'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_missing_is_said_in_one_line(case: str) -> None:
    change, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as caught:
        with_sector_relative(panel_from_frame(change(made_up(20))))
    assert "\n" not in str(caught.value)


def test_a_key_is_the_name_whatever_its_case_and_nothing_where_there_is_none() -> None:
    names = ["Iron  Ore", " iron ORE", "123456789", None, NAN, "", "unknown"]
    keys = sector_columns(names, [2015] * 7)
    first, second, check, *none = keys["sector_key"]
    assert first == second != check
    assert check == 0xCBF43926  # the check value that is published with CRC-32
    assert np.isnan(none).all()
    assert keys["year_key"].tolist() == [2015.0] * 7


def test_rows_of_no_sector_are_counted_by_class() -> None:
    frame = made_up()
    bankrupt = (frame["label"] == "bankrupt") & (frame["fiscal_year"] % 2 == 0)
    said = with_sector_relative(
        panel_from_frame(frame.assign(sector=frame["sector"].mask(bankrupt)))
    ).notices
    assert said[0] == "7 features are given as the difference from their sector's median too"
    assert f"{bankrupt.sum()} of {len(frame)} rows have no sector" in said[1]
    assert "(50% of bankrupt, 0% of distressed, 0% of healthy)" in said[1]
    assert "tells the classes apart" in said[1]
    some = frame["fiscal_year"] == 2013
    said = with_sector_relative(
        panel_from_frame(frame.assign(sector=frame["sector"].mask(some)))
    ).notices
    assert said[1].endswith("(17% of bankrupt, 17% of distressed, 17% of healthy)")


@pytest.fixture(scope="module")
def base() -> RunResult:
    return run(relative_panel(), make_plan("company", ("lightgbm",), ("rf",), "paper", seed=0))


@pytest.fixture(scope="module")
def saved(base: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("relative") / "model"
    save(folder, base, {})
    return folder


@pytest.fixture(scope="module")
def model(saved: Path) -> Model:
    return load(saved)


def test_a_loaded_model_says_the_same_and_names_what_it_takes(
    base: RunResult, model: Model, saved: Path
) -> None:
    panel, test = base.panel, base.split.test
    expected = base.pipeline.predict_proba(panel.X.to_numpy()[test])
    found = model.predict_proba(panel.X.iloc[test]).to_numpy()
    np.testing.assert_array_equal(found, expected)
    best = base.predictions[[f"proba_{name}" for name in panel.classes]].to_numpy()
    np.testing.assert_allclose(found, best, atol=1e-9)
    assert (model.inputs, model.features) == (panel.inputs, panel.features)
    assert model.selected == tuple(base.selected) == tuple(base.kept["rf"])
    assert set(base.importance["feature"]) <= set(base.selected)
    assert any(name.endswith("_rel") for name in model.selected)
    assert not list(saved.glob("*.pkl"))


def test_values_are_those_of_the_features_before_anything_is_filled_in(model: Model) -> None:
    """A company whose r0 is its sector's median of the year differs from it by nothing."""
    panel = relative_panel()
    train = protocol_named("company").split(panel, 0).train
    frame = made_up().iloc[train]
    steel = frame[(frame["sector"] == "steel") & (frame["fiscal_year"] == 2014)]
    row = panel.X.iloc[[0]].assign(r0=steel["r0"].median() + 0.25, r1=NAN)
    row = row.assign(**sector_columns(["steel"], [2014]))
    values = model.values(row)
    assert values.columns.tolist() == list(panel.features)
    assert values["r0_rel"].item() == pytest.approx(0.25)
    assert np.isnan(values["r1_rel"].item())
    medians = model.manifest["medians"]
    assert set(medians["overall"]) == set(panel.features)
    found = explain(model, model.prepared(row), ["steel"], most=20)
    said = {reason.feature: reason for reason in found[0].reasons}
    known = [r for name, r in said.items() if name.endswith("_rel")]
    assert known
    for reason in known:
        assert reason.median == medians["sectors"]["steel"][reason.feature]
        assert reason.name == f"{reason.feature[:-4]}, less the sector's median"


def test_names_in_words() -> None:
    assert feature_name("X1_rel") == "current ratio, less the sector's median"
    assert feature_name("X1_trend2") == "current ratio, change per year over two years"
    assert feature_name("altman_z_em") == "Altman's Z'' for emerging markets"
    assert all(feature_name(name) != name for name in feature_names("all"))


def test_a_model_of_before_has_features_as_inputs(tmp_path: Path) -> None:
    save(tmp_path / "m", run(made_up_panel(40), make_plan("paper", ("lr",), ("all",), "paper")), {})
    path = tmp_path / "m" / "model.json"
    manifest = json.loads(path.read_text())
    del manifest["inputs"]
    path.write_text(json.dumps({**manifest, "sha256": manifest_hash(manifest)}))
    assert load(tmp_path / "m").inputs == tuple(manifest["features"])


@pytest.mark.parametrize("inputs", [["r0"], 7, [1, 2]])
def test_inputs_that_do_not_fit_are_refused(
    inputs: object, saved: Path, tmp_path: Path, base: RunResult
) -> None:
    folder = Path(shutil.copytree(saved, tmp_path / "m"))
    manifest = {**json.loads((folder / "model.json").read_text()), "inputs": inputs}
    (folder / "model.json").write_text(json.dumps({**manifest, "sha256": manifest_hash(manifest)}))
    with pytest.raises(InputError, match=r"inputs|do not fit") as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_a_year_that_was_not_trained_on_is_scored(model: Model) -> None:
    later = made_up_panel(12).X.assign(**sector_columns(["power"] * 72, [2031] * 72))
    values = model.values(later)
    assert values["r0_rel"].notna().sum() == later["r0"].notna().sum()
    assert np.isfinite(model.predict_proba(later).to_numpy()).all()


def test_time_protocol_compares_later_years_with_the_latest_trained_on() -> None:
    panel = relative_panel()
    result = run(panel, make_plan("time", ("lr",), ("all",), "paper", cut=2015))
    step = result.pipeline.named_steps["relative"]
    assert step.years_.tolist() == [2012, 2013, 2014, 2015]
    test = panel.X.iloc[result.split.test]
    found = pd.DataFrame(step.transform(test.to_numpy()), columns=list(panel.features))
    frame = made_up()
    last = frame[frame["fiscal_year"] == 2015].groupby("sector")["r3"].median()
    sectors = frame.loc[result.split.test, "sector"].map(last).to_numpy()
    np.testing.assert_allclose(found["r3_rel"], test["r3"].to_numpy() - sectors)
