"""The demo universe: identities, failure out of the state, calibration, gaps, chunks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources

import duckdb
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from features import dataset, demo, demo_files, demo_firm
from warehouse.items import ITEMS

COLUMNS = list(demo_files.COLUMNS)
CLASSES = ("bankrupt", "distressed", "healthy")
# The median of each lies between the quartiles of the class it imitates.
CALIBRATED = (
    "X1", "X2", "X3", "X5", "X7", "X8", "X9", "X10", "X11", "X12", "X13", "X14", "X15", "X16",
    "X22", "X23", "X25", "X26", "X29", "X30", "X33", "X35", "X36", "X38", "X44", "X47", "X51",
    "X52", "X59", "X60",
)  # fmt: skip
# total, its parts, those counted 0 where the accounts have no such line
SUMS = (
    ("total_assets", "equity_and_liabilities", ""),
    (
        "equity_and_liabilities",
        "shareholders_funds + minority_interest + non_current_liabilities + current_liabilities",
        "minority_interest",
    ),
    ("shareholders_funds", "equity_share_capital + reserves_and_surplus", ""),
    (
        "current_liabilities",
        "short_term_borrowings + trade_payables + other_current_liabilities",
        "",
    ),
    ("revenue", "sales + other_income", ""),
    ("sales", "net_sales", ""),
    (
        "total_expenses",
        "cost_of_materials + purchases_of_stock + operating_and_direct_expenses"
        " + changes_in_inventories + employee_benefits + finance_costs + depreciation"
        " + other_expenses",
        "purchases_of_stock operating_and_direct_expenses",
    ),
    ("profit_before_tax", "revenue - total_expenses + exceptional_items", ""),
    ("net_profit", "profit_before_tax - tax", ""),
    ("net_cash_flow", "operating_cash_flow + investing_cash_flow + financing_cash_flow", ""),
)
FITS = (
    ("current_assets", "cash + current_investments + inventories + trade_receivables"),
    ("non_current_liabilities", "long_term_borrowings"),
    (
        "total_assets",
        "current_assets + fixed_assets + capital_work_in_progress + non_current_investments",
    ),
)


@pytest.fixture(scope="module")
def universe() -> demo.DemoUniverse:
    return demo.demo_universe()


@pytest.fixture(scope="module")
def large() -> demo.DemoUniverse:
    return demo.demo_universe(3_000, seed=5)


@pytest.fixture(scope="module")
def warehouse() -> Iterator[duckdb.DuckDBPyConnection]:
    with dataset.demo_warehouse() as connection:
        yield connection


@pytest.fixture(scope="module")
def panel(warehouse: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    return dataset.panel(warehouse).to_pandas()


def admissions(universe: demo.DemoUniverse) -> pd.Series:
    rows = universe.events[universe.events["event_type"] == "cirp_admission"]
    return rows.set_index("company_id")["event_date"]


@pytest.mark.parametrize(("total", "parts", "optional"), SUMS, ids=lambda v: str(v)[:24])
def test_sums_hold_to_the_paisa(large, total, parts, optional):
    rows = large.statements.fillna(dict.fromkeys(optional.split(), 0.0))
    gap = (rows[total] - rows.eval(parts)).dropna()
    assert len(gap) > 0.5 * len(rows)
    assert gap.abs().max() < 1e-6


@pytest.mark.parametrize(("total", "parts"), FITS, ids=lambda v: v[:24])
def test_parts_fit_in_their_total(large, total, parts):
    room = (large.statements[total] - large.statements.eval(parts)).dropna()
    assert len(room) > 0.5 * len(large.statements)
    assert room.min() > -1e-6


@pytest.mark.parametrize("item", [i.name for i in ITEMS if not i.may_be_negative])
def test_what_cannot_be_negative_is_not(large, item):
    assert not (large.statements[item] < 0).any()


def test_years_follow_from_each_other(large):
    rows = large.statements.sort_values(["company_id", "fiscal_year_end"])
    rows = rows.fillna({"minority_interest": 0.0})
    joined = rows["basis"] == "consolidated"
    before = rows.groupby("company_id").shift(1)
    equity = rows["shareholders_funds"] + rows["minority_interest"]
    was = before["shareholders_funds"] + before["minority_interest"]
    earned = (equity - was - rows["net_profit"] + rows["dividends"])[joined].dropna()
    cash = (rows["cash"] - before["cash"] - rows["net_cash_flow"]).dropna()
    assert min(len(earned), len(cash)) > 3_000
    assert max(earned.abs().max(), cash.abs().max()) < 1e-6


def test_hidden_positions_of_the_firm_tie_too():
    rng = np.random.default_rng(1)
    n = 2_000
    traits = demo_firm.traits_of(n, rng)
    book = demo_firm.opening(traits)
    for _ in range(10):
        book, run = demo_firm.step(book, traits, 0.0, np.ones(n), np.zeros(n), rng)
        own = demo_firm.total(book, ("capital", "reserves", "minority"))
        gap = demo_firm.total(book, demo_firm.ASSETS) - demo_firm.total(book, demo_firm.DEBTS) - own
        assert np.abs(gap).max() < 1e-6
        assert min(book[name].min() for name in demo_firm.ASSETS + demo_firm.DEBTS) >= 0
        assert run["sales"].min() > 0


def test_counts_are_exact_and_all_is_called_simulated(universe):
    failed = admissions(universe)
    assert (len(universe.companies), failed.index.nunique(), len(failed)) == (428, 118, 118)
    assert (~universe.companies["in_nifty500"]).sum() == 118
    assert set(universe.companies.loc[~universe.companies["in_nifty500"], "company_id"]) == set(
        failed.index
    )
    assert universe.companies["company_name"].str.contains("(simulated)", regex=False).all()
    assert (universe.events["source"] == "simulated").all()
    assert set(universe.statements["company_id"]) == set(universe.companies["company_id"])


def test_labels_come_in_the_shares_of_the_paper(panel):
    share = panel["label"].value_counts(normalize=True)
    assert 3_000 < len(panel) <= 4_280
    assert 0.09 < share["bankrupt"] < 0.15
    assert 0.10 < share["distressed"] < 0.18
    assert panel["post_event"].any()


def test_the_same_seed_gives_the_same_universe(universe):
    again = demo.demo_universe()
    other = demo.demo_universe(seed=1)
    for name in ("companies", "statements", "events", "macro"):
        pd.testing.assert_frame_equal(getattr(universe, name), getattr(again, name))
        assert not getattr(universe, name).equals(getattr(other, name))


def test_one_chunk_is_the_universe(universe):
    (only,) = demo.demo_chunks(428)
    pd.testing.assert_frame_equal(only.statements, universe.statements)


def test_failing_may_be_chosen():
    assert len(admissions(demo.demo_universe(20, failing=0))) == 0
    assert len(admissions(demo.demo_universe(20, failing=20, years=4, seed=3))) == 20


@pytest.mark.parametrize("bad", [{"companies": 0}, {"failing": 500}, {"years": 2}])
def test_counts_out_of_range_are_refused(bad):
    with pytest.raises(ValueError, match="must be"):
        demo.demo_universe(**bad)
    with pytest.raises(ValueError, match="chunk"):
        next(demo.demo_chunks(10, chunk=0))


def test_admissions_keep_to_the_calendar_of_the_code(large):
    dates = admissions(large)
    suspended = (dates >= "2020-03-25") & (dates <= "2021-03-24")
    assert dates.between("2017-01-01", "2024-12-31").all()
    assert not suspended.any()
    assert (dates < "2020-03-25").any()
    assert (dates > "2021-03-24").any()
    later = large.events[large.events["event_type"] != "cirp_admission"]
    assert (later["event_date"] > later["company_id"].map(dates)).all()


def test_statements_are_filed_after_the_year_end(large):
    rows = large.statements
    lag = (rows["filed_at"] - rows["fiscal_year_end"]).dt.days
    assert lag.between(30, 150).all()
    assert rows["fiscal_year_end"].dt.year.between(2015, 2024).all()
    assert set(rows["months"]) == {9, 12, 15}
    assert (rows["fiscal_year_end"].dt.month == 3).mean() > 0.85
    year = [rows["company_id"], rows["fiscal_year_end"].dt.year]
    assert rows.groupby(year).size().max() == 1


def worst_state(universe: demo.DemoUniverse) -> pd.DataFrame:
    """Leverage, return and liquidity of the last year that ended before the admission."""
    rows = universe.statements.sort_values("fiscal_year_end")
    admitted = rows["company_id"].map(admissions(universe))
    last = rows[admitted.isna() | (rows["fiscal_year_end"] < admitted)].groupby("company_id").last()
    debts = last["non_current_liabilities"] + last["current_liabilities"]
    return pd.DataFrame(
        {
            "leverage": debts / last["total_assets"],
            "loss": -last["net_profit"] / last["total_assets"],
            "illiquid": -last["current_assets"] / last["current_liabilities"],
            "failed": last.index.isin(admissions(universe).index),
        }
    )


@pytest.mark.parametrize("state", ["leverage", "loss", "illiquid"])
def test_failure_follows_from_the_state(universe, state):
    rows = worst_state(universe)
    assert 0.7 < roc_auc_score(rows["failed"], rows[state]) < 0.999
    shuffled = np.random.default_rng(0).permutation(rows["failed"])
    assert 0.4 < roc_auc_score(shuffled, rows[state]) < 0.6


@pytest.mark.parametrize(
    ("worse", "step"),
    [("leverage", 0.2), ("cover", -1.0), ("liquidity", -0.05), ("margin", -0.1), ("growth", -5.0)],
)
def test_each_part_of_the_state_moves_the_hazard(worse, step):
    state = {"leverage": 0.7, "cover": 2.0, "liquidity": 0.1, "margin": 0.1, "growth": 6.0}
    before, after = (
        demo_firm.failure_hazard(**{name: np.array([value]) for name, value in values.items()})
        for values in (state, state | {worse: state[worse] + step})
    )
    assert 0 < before[0] < after[0] < 1


@pytest.mark.parametrize("label", CLASSES)
def test_medians_lie_between_the_quartiles_of_the_class(panel, label):
    table = demo.quantile_gaps(panel)
    rows = table[table["label"] == label].pivot(index="feature", columns="q")
    median = rows["simulated"][0.5]
    fits = (median >= rows["target"][0.25]) & (median <= rows["target"][0.75])
    assert fits[list(CALIBRATED)].all(), rows["simulated"][~fits]
    assert fits.mean() > 0.9


def test_quantile_gaps_of_the_targets_themselves_are_zero():
    text = resources.files("features").joinpath("demo_quantiles.json").read_text(encoding="utf-8")
    targets = json.loads(text)["quantiles"]
    assert {len(v) for v in targets.values()} == {62}
    steps = np.arange(0, 1.0001, 0.05)
    frames = [
        pd.DataFrame(
            {f: np.interp(steps, (0.05, 0.25, 0.5, 0.75, 0.95), q) for f, q in features.items()}
        ).assign(label=label)
        for label, features in targets.items()
    ]
    gaps = demo.quantile_gaps(pd.concat(frames))
    assert len(gaps) == 3 * 62 * 5
    assert (gaps["simulated"] - gaps["target"]).abs().max() < 1e-9


def test_gaps_do_not_tell_the_class(large):
    rows = large.statements.drop(columns="minority_interest")
    missing = rows[[name for name in COLUMNS if name in rows]].isna()
    failed = rows["company_id"].isin(admissions(large).index)
    year = rows["fiscal_year_end"].dt.year
    by_year = missing.mean(axis=1).groupby([year, failed]).mean().unstack()
    assert (by_year[True] - by_year[False]).abs().mean() < 0.03
    assert 0.05 < missing["inventories"].mean() < 0.25
    assert missing["current_investments"].mean() > missing["cash"].mean()
    assert not missing["total_assets"].any()


def test_the_statements_pass_the_checks_of_the_warehouse(warehouse):
    failures = warehouse.sql("SELECT check_name, count(*) FROM check_failure GROUP BY 1").fetchall()
    assert failures == []


def test_chunks_are_bounded_and_ids_run_through():
    chunks = list(demo.demo_chunks(1_000, seed=2, chunk=300))
    ids = pd.concat([c.companies["company_id"] for c in chunks])
    assert [len(c.companies) for c in chunks] == [300, 300, 300, 100]
    assert ids.is_unique
    assert sum(len(admissions(c)) for c in chunks) == round(1_000 * 118 / 428)
    for chunk in chunks[1:]:
        pd.testing.assert_frame_equal(chunk.macro, chunks[0].macro)
        assert not chunk.statements["total_assets"].isin(chunks[0].statements["total_assets"]).all()


def test_to_long_has_a_row_per_known_item(universe):
    table = demo_files.to_long(universe.statements)
    wide = universe.statements
    assert list(wide.columns[5:]) == COLUMNS
    assert len(table) == int(wide[COLUMNS].notna().sum().sum())
    assert table["value"].null_count == 0
    assert set(table["unit"].unique().to_pylist()) == {"INR crore"}
    assert set(table["source"].unique().to_pylist()) == {"simulated"}
    back = table.to_pandas().pivot(
        index=["company_id", "fiscal_year_end"], columns="item", values="value"
    )
    sales = wide.set_index(["company_id", wide["fiscal_year_end"].dt.date])["sales"].dropna()
    assert (back["sales"].dropna().sort_index().to_numpy() == sales.sort_index().to_numpy()).all()
