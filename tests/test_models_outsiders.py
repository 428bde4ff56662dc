"""Rows that are no learner: class shares, published scores, Cox; fitted on training rows alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_models_panel import made_up

from features.dataset import PanelRule, demo_warehouse, feature_names, panel
from features.ratios import RATIOS
from features.scores import SCORES, zone
from models import outsiders
from models.metrics import measure_all
from models.outsiders import (
    FROM_RATIOS,
    OUTSIDERS,
    Lifetimes,
    Zones,
    fit_cox,
    fit_slopes,
    known_until,
    lifetimes,
    outsider_named,
    score_values,
    zone_probabilities,
    zones,
)
from models.panel import Panel, panel_from_frame
from models.protocols import Split, protocol_named
from warehouse.errors import InputError

CLASSES = ("bankrupt", "distressed", "healthy")
ZONE_CLASS = {"distress": "bankrupt", "grey": "distressed", "safe": "healthy"}
X_NAMES = [ratio.code for ratio in RATIOS]


@pytest.fixture(scope="module")
def demo() -> pd.DataFrame:
    """A SIMULATED panel with every column that the program makes, but for the trends of years."""
    with demo_warehouse(80) as connection:
        frame = panel(connection, PanelRule(features="all")).to_pandas()
    trends = set(feature_names("trend")) - set(feature_names("base"))
    return frame.drop(columns=sorted(trends))


def of(frame: pd.DataFrame, label: str = "label") -> tuple[Panel, Split]:
    data = panel_from_frame(frame, label=label)
    return data, protocol_named("company").split(data, 0)


# ---- all of them


@pytest.mark.parametrize("label", ["label", "fails_within_3y"])
@pytest.mark.parametrize("outsider", OUTSIDERS, ids=lambda o: o.name)
def test_an_outsider_gives_probabilities_and_reads_no_label_of_a_test_row(
    outsider, label: str, demo: pd.DataFrame
) -> None:
    if outsider.name == "cox":
        pytest.importorskip("statsmodels")
    data, split = of(demo, label)
    proba = outsider.predict(data, split, 0)
    assert proba.shape == (len(split.test), len(data.classes))
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    assert (proba >= 0).all()
    # What is wrong of test rows, labels and dates included, changes nothing.
    details = data.details.copy()
    for name in (n for n in details if n.startswith(("fails_within", "label"))):
        details[name] = details[name].mask(np.isin(np.arange(len(details)), split.test))
    y = data.y.copy()
    y[split.test] = 1 - (y[split.test] > 0)
    blind = replace(data, y=y, details=details)
    if outsider.name != "cox" or label == "label":  # a horizon is known by its column
        np.testing.assert_allclose(outsider.predict(blind, split, 0), proba, atol=1e-9)


def test_names_are_unique_and_unknown_ones_are_refused() -> None:
    assert len({o.name for o in OUTSIDERS}) == len(OUTSIDERS)
    assert outsider_named("cox").needs
    with pytest.raises(InputError, match="unknown outsider 'nope'; one of majority, prior"):
        outsider_named("nope")


# ---- class shares


def shares() -> tuple[Panel, Split]:
    frame = made_up(10, 4)
    frame["label"] = ["bankrupt"] * 4 + ["distressed"] * 8 + ["healthy"] * 28
    data = panel_from_frame(frame)
    return data, Split(np.arange(0, 40, 2), np.arange(1, 40, 2))


def test_the_majority_has_the_training_shares() -> None:
    data, split = shares()
    proba = outsider_named("majority").predict(data, split, 0)
    np.testing.assert_allclose(proba, np.tile([0.1, 0.2, 0.7], (20, 1)))


def test_the_prior_draws_classes_by_the_training_shares() -> None:
    data, split = shares()
    split = replace(split, test=np.repeat(split.test, 500))
    proba = outsider_named("prior").predict(data, split, 0)
    drawn = np.bincount(proba.argmax(axis=1), minlength=3) / len(proba)
    np.testing.assert_allclose(drawn, [0.1, 0.2, 0.7], atol=0.015)  # standard error .005
    np.testing.assert_allclose(proba.mean(axis=0), [0.1, 0.2, 0.7], atol=0.01)


# ---- published scores


@pytest.mark.parametrize("score", SCORES, ids=lambda s: s.code)
@given(st.floats(-50, 50), st.floats(1e-3, 20), st.floats(1e-3, 20))
def test_the_class_is_that_of_the_published_cut_offs(
    score, value: float, one: float, other: float
) -> None:
    turned = 1.0 if score.safer == "above" else -1.0
    near = min(abs(value - score.distress), abs(value - score.safe))
    if near * min(one, other) < 1e-9:
        return  # at a cut-off two classes are as likely
    proba = zone_probabilities(
        np.array([turned * value]), zones(score, CLASSES), np.array([one, other])
    )
    assert CLASSES[int(proba[0].argmax())] == ZONE_CLASS[zone(score, value)]


@pytest.mark.parametrize("score", SCORES, ids=lambda s: s.code)
def test_on_a_cut_off_of_distress_a_company_is_bankrupt(score) -> None:
    turned = 1.0 if score.safer == "above" else -1.0
    at = zone_probabilities(np.array([turned * score.distress]), zones(score, CLASSES), np.ones(2))
    assert at[0].argmax() == 0


def test_two_classes_part_the_grey_zone_in_its_middle() -> None:
    altman = SCORES[0]
    placed = zones(altman, ("fails", "survives"))
    assert placed == Zones((0, 1), (5.0,))  # between 4.15 and 5.85
    proba = zone_probabilities(np.array([4.0, 5.0, 7.0]), placed, np.array([2.0]))
    np.testing.assert_allclose(proba[:, 1], 1 / (1 + np.exp([2.0, 0.0, -4.0])))


def test_probabilities_worked_by_hand() -> None:
    """Slopes 1 and 2, cut-offs 0 and 1, value 2: odds e^2 and e^2, so 1 : e^2 : e^4."""
    proba = zone_probabilities(np.array([2.0]), Zones((0, 1, 2), (0.0, 1.0)), np.array([1.0, 2.0]))
    whole = 1 + np.exp(2) + np.exp(4)
    np.testing.assert_allclose(proba[0], np.array([1, np.exp(2), np.exp(4)]) / whole)


def test_slopes_are_found_again_and_never_against_the_author() -> None:
    random = np.random.default_rng(0)
    values, placed = random.normal(0, 2, 20_000), Zones((0, 1, 2), (-1.0, 1.0))
    proba = zone_probabilities(values, placed, np.array([1.5, 0.5]))
    y = (random.random(len(values))[:, None] > np.cumsum(proba, axis=1)).sum(axis=1)
    np.testing.assert_allclose(fit_slopes(values, y, placed), [1.5, 0.5], atol=0.08)
    against = fit_slopes(-values, y, placed)
    assert (against > 0).all()
    assert against[0] < 0.01


@pytest.mark.parametrize("code", FROM_RATIOS)
def test_a_score_from_ratios_is_the_column(code: str, demo: pd.DataFrame) -> None:
    score = next(one for one in SCORES if one.code == code)
    whole = panel_from_frame(demo)
    without = panel_from_frame(demo.drop(columns=[s.code for s in SCORES]))
    expected = score_values(whole, score)
    found = score_values(without, score)
    both = ~np.isnan(expected) & ~np.isnan(found)
    assert both.mean() > 0.8
    np.testing.assert_allclose(found[both], expected[both], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("code", FROM_RATIOS)
def test_a_score_from_ratios_is_the_one_worked_by_hand(code: str, worked) -> None:
    score = next(one for one in SCORES if one.code == code)
    X = pd.DataFrame({name: [value] for name, value in worked["ratios"].items()})
    assert FROM_RATIOS[code](X)[0] == pytest.approx(score.example, abs=1e-6)


def test_a_panel_that_lacks_a_score_says_what_it_needs(demo: pd.DataFrame) -> None:
    bare, split = of(demo.drop(columns=[s.code for s in SCORES]))
    for name, code in (("z2-emerging", "altman_z_em"), ("ohlson", "ohlson_o")):
        with pytest.raises(InputError, match=f"needs the column '{code}', which the ratios cannot"):
            outsider_named(name).predict(bare, split, 0)
    other, split = of(made_up())
    with pytest.raises(InputError, match="needs the column 'grover_g' or the ratios X1 to X62"):
        outsider_named("grover").predict(other, split, 0)
    with pytest.raises(InputError, match=r"knows the classes bankrupt or fails.*are 0, 1"):
        zones(SCORES[0], ("0", "1"))


def test_missing_scores_take_the_median_of_training_rows(demo: pd.DataFrame) -> None:
    data, split = of(demo)
    X = data.X.copy()
    known = X["grover_g"].to_numpy()[split.train]
    X.loc[split.test, "grover_g"] = np.nan
    proba = outsider_named("grover").predict(replace(data, X=X), split, 0)
    assert (proba == proba[0]).all()
    X.loc[split.test, "grover_g"] = np.nanmedian(known)
    same = outsider_named("grover").predict(replace(data, X=X), split, 0)
    np.testing.assert_array_equal(same, proba)


# ---- Cox


def survival_panel(**columns: object) -> Panel:
    """Four companies, one row each, from 2020-01-01."""
    frame = pd.DataFrame(
        {
            "company_id": list("abcd"),
            "fiscal_year": 2019,
            "available_from": pd.Timestamp("2020-01-01"),
            "r": [1.0, 2.0, 3.0, 4.0],
            "label": ["bankrupt", "healthy", "healthy", "healthy"],
            **columns,
        }
    )
    return panel_from_frame(frame)


def horizons() -> dict[str, object]:
    """a is admitted after 100 days, b after two years and 9 days, c survives two years, d nothing.

    2020 is a leap year: 2022-01-01 is 731 days after 2020-01-01.
    """
    days = {
        "fails_within_1y": ["2020-04-10", "2021-01-01", "2021-01-01", None],
        "fails_within_2y": ["2020-04-10", "2022-01-01", "2022-01-01", None],
        "fails_within_3y": ["2020-04-10", "2022-01-10", None, None],
    }
    said: dict[str, object] = {
        "fails_within_1y": [True, False, False, None],
        "fails_within_2y": [True, False, False, None],
        "fails_within_3y": [True, True, None, None],
    }
    return said | {f"{name}_known_from": pd.to_datetime(when) for name, when in days.items()}


def test_lifetimes_by_horizons() -> None:
    data = survival_panel(**horizons())
    lived = lifetimes(data, None)
    assert lived.days.tolist() == [100, 740, 731, 0]
    assert lived.admitted.tolist() == [True, True, False, False]
    # On the last day of 2021 nothing of 2022 is known.
    then = lifetimes(data, date(2021, 12, 31))
    assert then.days.tolist() == [100, 730, 730, 0]
    assert then.admitted.tolist() == [True, False, False, False]
    assert lifetimes(data, date(2019, 1, 1)).days.tolist() == [0, 0, 0, 0]


def test_lifetimes_by_the_date_of_admission() -> None:
    dates = pd.to_datetime(["2020-04-10", "2021-01-01", "2019-12-31", None])
    lived = lifetimes(survival_panel(event_date=dates), None)
    assert lived.days.tolist() == [100, 366, 0, 366]  # c was admitted before; d is seen to the end
    assert lived.admitted.tolist() == [True, True, False, False]


def test_a_panel_without_dates_is_refused() -> None:
    with pytest.raises(InputError, match="dates of admission are not in it"):
        lifetimes(survival_panel(), None)
    frame = made_up()
    with pytest.raises(InputError, match="needs the column 'available_from' or 'fiscal_year_end'"):
        lifetimes(panel_from_frame(frame), None)


def test_only_years_before_the_test_years_bound_what_is_known() -> None:
    data = panel_from_frame(made_up())
    by_time = protocol_named("time").split(data, 0, 2014)
    assert known_until(data, by_time) == date(2014, 12, 31)
    assert known_until(data, protocol_named("company").split(data, 0)) is None


def test_cox_worked_by_hand() -> None:
    """Times 1, 2, 3 with x = 1, 0, 1: the likelihood t / ((2t + 1)(1 + t)), t = e^w, has t² = 1/2.

    Breslow's sums: 1/(2t + 1), then 1/(1 + t) more, then 1/t more.
    """
    pytest.importorskip("statsmodels")
    lived = Lifetimes(np.array([1.0, 2.0, 3.0]), np.array([True, True, True]))
    fitted = fit_cox(np.array([[1.0], [0.0], [1.0]]), lived, ridge=0.0)
    t = np.sqrt(0.5)
    assert fitted.weights[0] == pytest.approx(np.log(t), abs=1e-3)
    steps = np.cumsum([1 / (2 * t + 1), 1 / (1 + t), 1 / t])
    found = [fitted.summed(day) for day in (0.5, 1.0, 2.9, 3.0, 99.0)]
    assert found == pytest.approx([0, steps[0], steps[1], steps[2], steps[2]], rel=2e-3)


# Weeks to relapse of leukaemia, 6-MP against placebo; + is censored: Freireich and others (1963),
# as in D. R. Cox (1972), Regression models and life tables, JRSS B 34, 187-220. Its weight of the
# placebo with Efron's ties is 1.5721 (R, survival::coxph, of whose manual the set is).
TREATED = (6, 6, 6, 7, 10, 13, 16, 22, 23)
TREATED_CENSORED = (6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35)
PLACEBO = (1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23)


def test_cox_is_that_of_a_published_set() -> None:
    pytest.importorskip("statsmodels")
    days = np.array([*TREATED, *TREATED_CENSORED, *PLACEBO], dtype=float)
    admitted = np.array([True] * 9 + [False] * 12 + [True] * 21)
    X = np.repeat([0.0, 1.0], 21)[:, None]
    assert fit_cox(X, Lifetimes(days, admitted), ridge=0.0).weights[0] == pytest.approx(
        1.5721, abs=1e-3
    )
    assert 0 < fit_cox(X, Lifetimes(days, admitted), ridge=10.0).weights[0] < 1.2


def test_cox_gives_the_risk_of_the_horizon_that_is_asked() -> None:
    """Exponential lifetimes of known rates: within a year 1 - exp(-rate) fail."""
    pytest.importorskip("statsmodels")
    random = np.random.default_rng(0)
    size = 1500
    risky = np.arange(size) % 2
    lived = random.exponential(1 / np.where(risky, 0.6, 0.1)) * 365.25
    start = date(2015, 1, 1)
    frame = pd.DataFrame(
        {
            "company_id": [f"c{at}" for at in range(size)],
            "fiscal_year": 2014,
            "available_from": start,
            "r": risky + 0.0,
        }
    )
    for years in (1, 2, 3):
        end = date(2015 + years, 1, 1)
        fails = lived <= (end - start).days
        frame[f"fails_within_{years}y"] = fails
        frame[f"fails_within_{years}y_known_from"] = [
            start + timedelta(days=float(np.ceil(days))) if fail else end
            for days, fail in zip(lived, fails, strict=True)
        ]
    data, split = of(frame, "fails_within_1y")
    assert data.classes == ("fails", "survives")
    proba = outsider_named("cox").predict(data, split, 0)
    for rate, group in ((0.6, 1), (0.1, 0)):
        found = proba[risky[split.test] == group, 0]
        assert found == pytest.approx(np.full(len(found), 1 - np.exp(-rate)), abs=0.05)


def test_cox_tells_classes_apart_in_simulated_companies(demo: pd.DataFrame) -> None:
    pytest.importorskip("statsmodels")
    data, split = of(demo)
    proba = outsider_named("cox").predict(data, split, 0)
    figures = measure_all(data.y[split.test], proba, data.classes, data.focus)
    shares_only = outsider_named("majority").predict(data, split, 0)
    chance = measure_all(data.y[split.test], shares_only, data.classes, data.focus)
    assert figures["roc_auc_ovr"] > 0.6
    assert figures["log_loss"] < chance["log_loss"]


def test_without_the_library_cox_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outsiders, "SURVIVAL", "no_such_library.hazard")
    lived = Lifetimes(np.array([1.0, 2.0]), np.array([True, False]))
    with pytest.raises(InputError, match=r"pip install \.\[survival\]"):
        fit_cox(np.zeros((2, 1)), lived)
    nobody = Lifetimes(np.array([1.0, 2.0]), np.array([False, False]))
    with pytest.raises(InputError, match="no training row has an admission"):
        fit_cox(np.zeros((2, 1)), nobody)
