"""Matching of healthy controls: who may be paired, the best pairs, balance, and bad input."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from features.assignment import Group, assign
from features.dataset import PanelRule, demo_warehouse
from features.dataset import panel as panel_of
from features.matching import (
    ALL_TAKEN,
    NO_CANDIDATE_OF_SECTOR,
    NO_CANDIDATE_OF_YEAR,
    NO_YEAR,
    OTHERS_TAKEN,
    TOO_FEW,
    Matching,
    apply,
    match,
    standardised_difference,
)
from warehouse.errors import InputError

pytestmark = pytest.mark.slow

Row = dict[str, Any]
Pair = tuple[str, str]
Cost = dict[Pair, float]  # of a pair that may be made: |log difference|


def row(company: str, year: int, label: str, assets: float | None, **others: Any) -> Row:
    """A row of a made-up panel; ratios of no importance unless they are given."""
    fixed = {"company_name": company.title(), "label_known_from": None, "post_event": False}
    ratios = {"X1": 1.0, "X12": 0.1, "X13": 0.3}
    key = {"company_id": company, "fiscal_year": year, "label": label, "total_assets": assets}
    return fixed | ratios | key | {"sector": "steel"} | others


def frame(*rows: Row) -> pd.DataFrame:
    return pd.DataFrame(rows).astype({"total_assets": float})


def failing(company: str, assets: float | None, year: int = 2019, **others: Any) -> Row:
    return row(company, year, "bankrupt", assets, **others)


def healthy(company: str, assets: float | None, year: int = 2019, **others: Any) -> Row:
    return row(company, year, "healthy", assets, **others)


def pairs_of(matching: Matching) -> list[Pair]:
    pairs = matching.pairs
    return list(zip(pairs["failing_id"], pairs["control_id"], strict=True))


def reasons_of(matching: Matching) -> dict[str, tuple[int, str]]:
    return {
        company: (controls, reason)
        for company, controls, reason in matching.unmatched.itertuples(index=False)
    }


# Few values, so that ties, competition and missing values are frequent.
SIZES = st.sampled_from([1.0, 2.0, 3.0, 5.0, 8.0, 50.0, 100.0] * 2 + [None, 0.0, -5.0])
SECTORS = st.sampled_from(["a", "b", None])
YEARS = st.lists(st.integers(2017, 2019), min_size=1, max_size=3, unique=True)


@st.composite
def panels(draw: st.DrawFn) -> pd.DataFrame:
    """One to three failing companies and one to five others, in a random order of rows."""
    rows = []
    for number in range(draw(st.integers(1, 3))):
        sector, years = draw(SECTORS), draw(YEARS)
        for at, year in enumerate(years):
            label = "bankrupt" if at == 0 else draw(st.sampled_from(["bankrupt", "distressed"]))
            others = {"sector": sector, "post_event": draw(st.sampled_from([False] * 3 + [True]))}
            rows.append(row(f"f{number}", year, label, draw(SIZES), **others))
    for number in range(draw(st.integers(1, 5))):
        sector = draw(SECTORS)
        for year in draw(YEARS):
            label = draw(st.sampled_from(["healthy"] * 9 + ["distressed"]))
            rows.append(row(f"h{number}", year, label, draw(SIZES), sector=sector))
    return frame(*draw(st.permutations(rows)))


def matched(panel: pd.DataFrame, k: int) -> Matching:
    try:
        return match(panel, k)
    except InputError:
        assume(False)
        raise


# --- an oracle that shares no code: plain dictionaries, every assignment tried -------------------


def reference_rows(panel: pd.DataFrame) -> dict[str, Row]:
    found: dict[str, Row] = {}
    rows = panel.to_dict("records")
    for company in {r["company_id"] for r in rows if r["label"] == "bankrupt"}:
        usable = [
            r
            for r in rows
            if r["company_id"] == company and not r["post_event"] and r["total_assets"] > 0
        ]
        preferred = [r for r in usable if r["label"] == "bankrupt"] or usable
        if preferred:
            found[company] = max(preferred, key=lambda r: r["fiscal_year"])
    return found


def candidate_rows(panel: pd.DataFrame, wanted: Row) -> dict[str, Row]:
    rows = panel.to_dict("records")
    others = {r["company_id"] for r in rows if r["label"] != "healthy"}
    return {
        r["company_id"]: r
        for r in rows
        if r["company_id"] not in others
        and r["fiscal_year"] == wanted["fiscal_year"]
        and r["total_assets"] > 0
        and (pd.isna(wanted["sector"]) or r["sector"] == wanted["sector"])
    }


def all_pairs(panel: pd.DataFrame) -> Cost:
    """Every pair that may be made, and its difference in log total assets."""
    return {
        (company, control): abs(math.log(other["total_assets"] / wanted["total_assets"]))
        for company, wanted in reference_rows(panel).items()
        for control, other in candidate_rows(panel, wanted).items()
    }


def value(pairs: list[Pair], k: int, cost: float) -> tuple[float, ...]:
    """Pairs, then companies with a first, second… control, all the more the better; then cost."""
    got = Counter(company for company, _ in pairs)
    served = [-sum(n >= place for n in got.values()) for place in range(1, k + 1)]
    return (-len(pairs), *served, round(cost, 5))


def best_value(cost: Cost, k: int) -> tuple[float, ...]:
    """Of every way to give each control to one that may have it, or to nobody: the best."""
    controls = sorted({control for _, control in cost})
    options = [[None, *(f for f, h in cost if h == control)] for control in controls]
    found = []
    for choice in product(*options):
        pairs = [(f, h) for f, h in zip(choice, controls, strict=True) if f is not None]
        if max(Counter(f for f, _ in pairs).values(), default=0) <= k:
            found.append(value(pairs, k, sum(cost[pair] for pair in pairs)))
    return min(found)


# --- the sentences of the rule -------------------------------------------------------------------


def without_replacement(panel: pd.DataFrame, k: int, matching: Matching) -> None:
    """No two failing companies share a control."""
    assert matching.pairs["control_id"].is_unique


def every_pair_may_be_made(panel: pd.DataFrame, k: int, matching: Matching) -> None:
    """Candidates are all-healthy companies with total assets above 0 in the reference year and the
    failing company's sector; of any sector where the failing company's is unknown."""
    wanted = reference_rows(panel)
    for pair in matching.pairs.to_dict("records"):
        mine = wanted[pair["failing_id"]]
        control = candidate_rows(panel, mine)[pair["control_id"]]
        assert pair["fiscal_year"] == mine["fiscal_year"] == control["fiscal_year"]
        if pd.isna(mine["sector"]):
            assert pd.isna(pair["sector"])
        else:
            assert pair["sector"] == mine["sector"] == control["sector"]
        assert pair["log_difference"] == pytest.approx(
            math.log(control["total_assets"]) - math.log(mine["total_assets"])
        )


def at_most_k_and_whoever_has_fewer_is_told(
    panel: pd.DataFrame, k: int, matching: Matching
) -> None:  # fmt: skip
    """Up to k for each; unmatched has one row per failing company with fewer than k controls."""
    got = Counter(matching.pairs["failing_id"])
    all_failing = set(panel.loc[panel["label"] == "bankrupt", "company_id"])
    assert matching.failing == len(all_failing)
    assert max(got.values()) <= k
    told = {company: controls for company, (controls, _) in reasons_of(matching).items()}
    assert told == {company: got[company] for company in all_failing if got[company] < k}


def rank_is_by_nearness(panel: pd.DataFrame, k: int, matching: Matching) -> None:
    """rank: 1 is the nearest in size."""
    for _, pairs in matching.pairs.groupby("failing_id"):
        assert list(pairs["rank"]) == list(range(1, len(pairs) + 1))
        assert pairs["log_difference"].abs().is_monotonic_increasing


def no_other_choice_is_better(panel: pd.DataFrame, k: int, matching: Matching) -> None:
    """As many pairs as possible, shared out evenly, with the least sum of |log difference|."""
    cost = matching.pairs["log_difference"].abs().sum()
    best = best_value(all_pairs(panel), k)
    assert value(pairs_of(matching), k, cost) == pytest.approx(best, abs=1e-4)


def only_unmatched_healthy_companies_are_left_out(
    panel: pd.DataFrame, k: int, matching: Matching
) -> None:  # fmt: skip
    """The panel without the healthy companies that were not chosen; every other row stays."""
    mixed = set(panel.loc[panel["label"] != "healthy", "company_id"])
    kept = panel[[company in mixed | matching.controls for company in panel["company_id"]]]
    pd.testing.assert_frame_equal(apply(panel, matching), kept)


RULES = (
    without_replacement,
    every_pair_may_be_made,
    at_most_k_and_whoever_has_fewer_is_told,
    rank_is_by_nearness,
    no_other_choice_is_better,
    only_unmatched_healthy_companies_are_left_out,
)


@settings(max_examples=30)
@given(panels(), st.integers(1, 3))
def test_the_rules_hold_on_any_panel(panel: pd.DataFrame, k: int) -> None:
    matching = matched(panel, k)
    for rule in RULES:
        rule(panel, k, matching)


@settings(max_examples=12)
@given(panels(), st.integers(1, 3), st.randoms(use_true_random=False), st.integers(0, 2**31))
def test_neither_the_order_of_rows_nor_a_ratio_changes_a_pair(
    panel: pd.DataFrame, k: int, random: Any, seed: int
) -> None:
    """One row per company and year, in any order; chosen by fiscal year, sector and size, never by
    outcome: it looks at no ratio."""
    order = list(range(len(panel)))
    random.shuffle(order)
    rng = np.random.default_rng(seed)
    ratios = {code: rng.normal(size=len(panel)) for code in ("X1", "X12", "X13")}
    one, other = matched(panel, k), match(panel.iloc[order].assign(**ratios), k)
    pd.testing.assert_frame_equal(one.pairs, other.pairs)
    pd.testing.assert_frame_equal(one.unmatched, other.unmatched)
    matched_on = one.balance["role"] == "matched on"
    pd.testing.assert_frame_equal(one.balance[matched_on], other.balance[matched_on])


SIZE = st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.5, 9.0])


@settings(max_examples=200)
@given(st.data(), st.integers(1, 3), st.sampled_from([1, 2, 50]))
def test_no_other_assignment_is_better(data: st.DataObject, k: int, nearest: int) -> None:
    """Places filled, evenly, then the least sum; however few candidates it begins with."""
    groups, cost = [], {}
    for number in range(data.draw(st.integers(1, 3))):
        ours = [2 * number + n for n in range(data.draw(st.integers(1, 2)))]
        theirs = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=5, unique=True))
        sizes = [data.draw(SIZE) for _ in ours], [data.draw(SIZE) for _ in theirs]
        groups.append(Group(*(np.array(each) for each in (ours, theirs, *sizes))))
        for f, mine in zip(ours, sizes[0], strict=True):
            cost |= {(f, h): abs(mine - b) for h, b in zip(theirs, sizes[1], strict=True)}
    assume(len(cost) <= 16)
    pairs = list(zip(*(side.tolist() for side in assign(groups, k, nearest)), strict=True))
    assert len({h for _, h in pairs}) == len(pairs)
    found = value(pairs, k, sum(cost[pair] for pair in pairs))
    assert found == pytest.approx(best_value(cost, k), abs=1e-4)


@settings(max_examples=12)
@given(
    st.lists(st.floats(0.5, 50_000), min_size=3, max_size=12, unique=True),
    st.integers(1, 3),
    st.lists(st.sampled_from([2018, 2019]), min_size=12, max_size=12),
)
def test_with_twins_for_all_nothing_differs_after(
    sizes: list[float], k: int, years: list[int]
) -> None:
    """With k exact twins for each failing company and strangers enough, SMD after is 0."""
    rows = [failing(f"f{n}", size, years[n]) for n, size in enumerate(sizes)]
    rows += [healthy(f"t{n}{j}", s, years[n]) for n, s in enumerate(sizes) for j in range(k)]
    rows += [healthy(f"s{n}", 2e6 + n, year) for n, year in enumerate([2018, 2019] * k)]
    matching = match(frame(*rows), k)
    size = matching.balance.set_index("variable").loc["log total assets"]
    assert size["smd_after"] == pytest.approx(0, abs=1e-6)
    assert size["smd_before"] < 0
    assert not any(control.startswith("s") for control in matching.controls)


# --- by hand -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("years", "expected"),
    [
        # Its last bankrupt year that is not post_event, though a later distressed one is there.
        ([(2017, "bankrupt", 9, False), (2018, "bankrupt", 9, False),
          (2019, "distressed", 9, False)], 2018),
        ([(2017, "bankrupt", 9, False), (2018, "bankrupt", 9, True)], 2017),
        ([(2017, "bankrupt", 9, False), (2018, "bankrupt", 0, False)], 2017),
        ([(2017, "bankrupt", 9, False), (2018, "bankrupt", None, False)], 2017),
        # Without one, its last other such year.
        ([(2016, "distressed", 9, False), (2017, "distressed", 9, False),
          (2018, "bankrupt", 9, True), (2019, "distressed", 9, True)], 2017),
    ],
)  # fmt: skip
def test_reference_year(
    years: list[tuple[int, str, float | None, bool]], expected: int
) -> None:  # fmt: skip
    rows = [row("sick", y, label, assets, post_event=post) for y, label, assets, post in years]
    rows += [healthy("fit", 10, year) for year in range(2015, 2021)]
    assert list(match(frame(*rows), 1).pairs["fiscal_year"]) == [expected]


def test_the_sum_counts_and_not_the_nearest_of_each() -> None:
    # f1 is nearest to h2, but then f2 had to take h1: log 4 + log 16 against log 2 + log 2 … by
    # hand, in powers of two: f1 4, f2 16; h1 1, h2 8. (f1,h2),(f2,h1): 1 + 4; the other: 2 + 1.
    panel = frame(
        failing("f1", 2.0**2), failing("f2", 2.0**4), healthy("h1", 2.0**0), healthy("h2", 2.0**3)
    )
    matching = match(panel, 1)
    assert pairs_of(matching) == [("f1", "h1"), ("f2", "h2")]
    assert list(matching.pairs["log_difference"] / math.log(2)) == pytest.approx([-2, -1])


def test_more_pairs_come_before_nearer_ones() -> None:
    # h1 is f1's twin, and the only one in f2's sector: f1 of unknown sector goes far to h2.
    panel = frame(
        failing("f1", 100, sector=None),
        failing("f2", 900, sector="cotton"),
        healthy("h1", 100, sector="cotton"),
        healthy("h2", 1e9, sector="steel"),
    )
    matching = match(panel, 1)
    assert pairs_of(matching) == [("f1", "h2"), ("f2", "h1")]
    assert matching.sector_unknown == 1
    assert "1 of unknown sector matched by year and size only" in matching.words()


def test_each_gets_a_first_control_before_any_gets_a_second() -> None:
    # All three are f1's twins; f2 is far from all, and still gets one.
    panel = frame(
        failing("f1", 10), failing("f2", 1e6),
        healthy("h1", 10), healthy("h2", 10), healthy("h3", 11),
    )  # fmt: skip
    matching = match(panel, 2)
    assert pairs_of(matching) == [("f1", "h1"), ("f1", "h2"), ("f2", "h3")]
    assert reasons_of(matching) == {"f2": (1, OTHERS_TAKEN)}


def test_a_healthy_company_of_two_years_serves_once() -> None:
    # h1 is the twin of f1 in 2018 and of f2 in 2019. f1 would have to go 3 doublings to h2,
    # f2 only 1: f2 gives way.
    panel = frame(
        failing("f1", 10, 2018), failing("f2", 20, 2019),
        healthy("h1", 10, 2018), healthy("h1", 20, 2019),
        healthy("h2", 80, 2018), healthy("h2", 40, 2019),
    )  # fmt: skip
    assert pairs_of(match(panel, 1)) == [("f1", "h1"), ("f2", "h2")]


@pytest.mark.parametrize("ids", [("h1", "h2", "h3"), ("h3", "h1", "h2")])
def test_of_equal_choices_the_first_ids_win(ids: tuple[str, ...]) -> None:
    panel = frame(failing("f2", 10), failing("f1", 10), *(healthy(name, 10) for name in ids))
    assert pairs_of(match(panel, 1)) == [("f1", "h1"), ("f2", "h2")]
    assert pairs_of(match(panel, 3)) == [("f1", "h1"), ("f1", "h2"), ("f2", "h3")]


def test_why_some_have_fewer() -> None:
    panel = frame(
        failing("a_none", None),
        failing("b_late", 10, post_event=True),
        failing("c_sector", 10, sector="tea"),
        failing("d_year", 10, 1999, sector=None),
        failing("e_served", 10, sector="steel"),
        failing("f_twice", 1000, sector="steel"),
        failing("g_few", 10, sector="paper"),
        failing("h_lost", 10, sector="silk"),
        failing("i_won", 20, sector="silk"),
        *(healthy(f"s{n}", 10, sector="steel") for n in range(3)),
        healthy("p", 10, sector="paper"),
        healthy("silk", 20, sector="silk"),
    )
    matching = match(panel, 2)
    assert reasons_of(matching) == {
        "a_none": (0, NO_YEAR),
        "b_late": (0, NO_YEAR),
        "c_sector": (0, NO_CANDIDATE_OF_SECTOR),
        "d_year": (0, NO_CANDIDATE_OF_YEAR),
        "f_twice": (1, OTHERS_TAKEN),
        "g_few": (1, TOO_FEW),
        "h_lost": (0, ALL_TAKEN),
        "i_won": (1, TOO_FEW),
    }
    assert matching.words().startswith(
        "5 healthy companies matched to 4 of 9 failing ones by fiscal year, sector and log total"
        " assets, each used once, up to 2 for each; sizes differ 1.00-fold at the median, 100.0 at"
        " most; 8 have fewer (1 all candidates taken, 2 fewer candidates than controls wanted, 1"
        " its other candidates taken, 1 no healthy company of its sector and year, 1 no healthy"
        " company of its year, 2 no year with total assets)"
    )


def crowd(seed: int) -> pd.DataFrame:
    """Failing companies of nearly one size, far more of them than of healthy ones near it."""
    rng = np.random.default_rng(seed)
    rows = [
        failing(f"f{n:03d}", math.exp(rng.normal(3, 0.2)), 2018 + n % 2, sector=None)
        for n in range(110)
    ]
    for n in range(260):
        size = rng.normal(7, 2)
        rows += [healthy(f"h{n:03d}", math.exp(size + y / 9), 2018 + y) for y in (0, 1)]
    return frame(*rows)


@pytest.mark.parametrize(("seed", "k"), [(0, 1), (2, 3)])
def test_a_crowd_goes_beyond_the_nearest_candidates(seed: int, k: int) -> None:
    # The reference: one dense problem over all pairs. Places after the first cost 1e4 more.
    panel = crowd(seed)
    cost = all_pairs(panel)
    rows, columns = (sorted({pair[side] for pair in cost}) for side in (0, 1))
    dense = np.array([[cost[f, h] for h in columns] for f in rows])
    places = np.concatenate([dense + 1e4 * place for place in range(k)])
    taken = linear_sum_assignment(places)
    assert len(taken[0]) == min(110 * k, 260)
    pairs = match(panel, k).pairs
    assert len(pairs) == len(taken[0])
    assert pairs["log_difference"].abs().sum() == pytest.approx(
        (places[taken] % 1e4).sum(), abs=1e-3
    )


# --- balance -------------------------------------------------------------------------------------


def test_standardised_difference_by_hand() -> None:
    some = np.array([1.0, 2.0, 3.0, np.nan])
    # Means 2 and 4, variances 1 and 4: -2 / sqrt(2.5).
    assert standardised_difference(some, np.array([2.0, 4.0, 6.0])) == pytest.approx(-1.26491106)
    # Shares of 1/2 and 1/4: variances 0.25 and 0.1875, 0.25 / sqrt(0.21875).
    assert standardised_difference(
        np.array([0.0, 1.0]), np.array([0.0, 0.0, 0.0, 1.0]), share=True
    ) == pytest.approx(0.53452248)
    one, none = np.array([5.0]), np.array([np.nan])
    assert math.isnan(standardised_difference(some, one))  # one value has no variance
    assert math.isnan(standardised_difference(some, none))
    assert math.isnan(standardised_difference(np.ones(3), np.ones(3)))  # no spread at all
    assert math.isnan(standardised_difference(none, one, share=True))


def test_balance_by_hand() -> None:
    e = math.e
    panel = frame(
        failing("f1", e**1, X12=-0.1, X13=0.8, X1=0.5),
        failing("f2", e**3, X12=-0.3, X13=None, X1=0.7, sector="tea"),
        # Not the reference year: nothing of it is looked at.
        row("f1", 2015, "distressed", e**9),
        healthy("h1", e**2, X12=0.2, X13=0.4, X1=2.0),
        healthy("h2", e**4, X12=0.4, X13=0.2, X1=3.0, sector="tea"),
        healthy("h3", e**6, X12=0.6, X13=0.0, X1=4.0, sector="silk"),
        healthy("h1", e**9, 2015),
        healthy("h4", None, X12=9.0),
    )
    balance = match(panel, 1).balance.set_index("variable")
    assert list(balance["role"].unique()) == ["matched on", "outcome-like"]
    assert list(balance.index[balance["role"] != "matched on"]) == [
        "X12 return on assets", "X13 debt to assets", "X1 current ratio",
    ]  # fmt: skip
    numbers = balance.drop(columns="role")
    # Failing 1, 3; before 2, 4, 6; after 2, 4. Variances 2, 4, 2.
    assert list(numbers.loc["log total assets"]) == pytest.approx(
        [2, 4, -2 / math.sqrt(3), 3, -1 / math.sqrt(2)]
    )
    assert list(numbers.loc["X12 return on assets"]) == pytest.approx(
        [-0.2, 0.4, -0.6 / math.sqrt((0.02 + 0.04) / 2), 0.3, -0.5 / math.sqrt(0.02)]
    )
    # One value among the failing: a mean, no variance.
    assert list(numbers.loc["X13 debt to assets"]) == pytest.approx(
        [0.8, 0.2, math.nan, 0.3, math.nan], nan_ok=True
    )
    assert list(numbers.loc["fiscal year"]) == pytest.approx(
        [2019, 2019, math.nan, 2019, math.nan], nan_ok=True
    )
    # Shares: variances p (1 - p) are 1/4, 2/9 and 1/4.
    assert list(numbers.loc["sector: tea"]) == pytest.approx(
        [1 / 2, 1 / 3, (1 / 6) / math.sqrt((1 / 4 + 2 / 9) / 2), 1 / 2, 0]
    )
    assert list(numbers.loc["sector: another"]) == pytest.approx(
        [0, 1 / 3, (-1 / 3) / math.sqrt((2 / 9) / 2), 0, math.nan], nan_ok=True
    )
    assert "sector not known" not in numbers.index


def test_sectors_are_compared_where_they_are_known() -> None:
    panel = frame(
        failing("f1", 10), failing("f2", 20, sector=None), failing("f3", 30, sector=None),
        healthy("h1", 10), healthy("h2", 20, sector="tea"), healthy("h3", 30, sector="tea"),
    )  # fmt: skip
    balance = match(panel, 1).balance.set_index("variable")
    assert list(balance.loc["sector: steel", ["failing_mean", "healthy_mean_after"]]) == [1, 1]
    assert balance.at["sector: steel", "healthy_mean_before"] == pytest.approx(1 / 3)
    unknown = balance.loc["sector not known"]
    assert list(unknown[["failing_mean", "healthy_mean_after"]]) == pytest.approx([2 / 3, 0])


def test_matching_the_demo_universe_makes_sizes_more_alike() -> None:
    # Simulated companies: those that fail are smaller than members of the index.
    with demo_warehouse(companies=120) as connection:
        panel = panel_of(connection, PanelRule()).to_pandas()
    matching = match(panel, 1)
    size = matching.balance.iloc[0]
    assert size["variable"] == "log total assets"
    assert abs(size["smd_after"]) < 0.8 * abs(size["smd_before"])
    labels = apply(panel, matching).groupby("label")["company_id"].nunique()
    assert labels["healthy"] == len(matching.pairs) == len(matching.controls)
    assert labels["bankrupt"] == matching.failing


# --- bad input -----------------------------------------------------------------------------------

GOOD = (failing("f", 10), healthy("h", 20))


@pytest.mark.parametrize(
    ("panel", "k", "told"),
    [
        (frame(*GOOD), 0, "0 controls for each failing company; expected 1 or more"),
        (frame(*GOOD).drop(columns=["total_assets", "X12"]), 1, "no column total_assets, X12"),
        (frame(*GOOD, failing("f", 11)), 1, "several rows of company f and fiscal year 2019"),
        (frame(GOOD[0]), 1, "no company of the panel is healthy in all its years"),
        (frame(GOOD[1]), 1, "no company of the panel has a year labelled bankrupt"),
        (frame(GOOD[0], row("h", 2018, "distressed", 9), GOOD[1]), 1, "healthy in all its years"),
        (frame(*GOOD).iloc[:0], 1, "no company of the panel has a year labelled bankrupt"),
        (frame(*GOOD).assign(total_assets="10"), 1, "total_assets of the panel is"),
        (frame(*GOOD).assign(X13="low"), 1, "X13 of the panel is"),
        (frame(*GOOD).assign(post_event="no"), 1, "post_event of the panel is not true or false"),
        (frame(*GOOD).assign(label=[None, "healthy"]), 1, "1 rows of the panel lack label"),
        (frame(failing("f", None), GOOD[1]), 1, "can be given a control (1 no year with total"),
        (frame(GOOD[0], healthy("h", 0)), 1, "(1 no healthy company of its sector and year)"),
    ],
)
def test_bad_input_is_told(panel: pd.DataFrame, k: int, told: str) -> None:
    with pytest.raises(InputError) as raised:
        match(panel, k)
    assert told in str(raised.value)
    assert str(raised.value).startswith("matching: ")
