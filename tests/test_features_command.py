"""`python -m features`: known on a day, flows of odd periods, features, labels, matching, parts."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Command, loaded, write_csv, year_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from features import dataset
from features.__main__ import main
from features.dataset import PanelRule, feature_names
from features.labels import OPTIONS, LabelRule, Option
from features.ratios import RATIOS, ratios_sql
from warehouse import store
from warehouse.importers import import_files

pytestmark = pytest.mark.slow

CODES = [ratio.code for ratio in RATIOS]
# What a period of other months changes in a ratio, sorted by hand: a flow over a stock grows with
# the period, a stock over a flow shrinks; flow over flow and stock over stock stay.
FLOW_OVER_STOCK = {
    "X7", "X8", "X12", "X15", "X28", "X29", "X33", "X35", "X36", "X37", "X41", "X42", "X47", "X60",
    "X61", "X62",
}  # fmt: skip
STOCK_OVER_FLOW = {"X23", "X25", "X46", "X49"}

Items = Mapping[str, float]


def words(out: str) -> str:
    """What a command printed, with the line breaks of its tables gone."""
    return " ".join(out.split())


def by_year(path: Path, company: str) -> dict[int, dict[str, object]]:
    """A company's rows of a written panel by fiscal year."""
    rows = pq.read_table(path).to_pylist()
    return {row["fiscal_year"]: row for row in rows if row["company_id"] == company}


# --- what was known on a day -------------------------------------------------------------------


OTHERS = ("banyan", "coral", "deodar")


def _history(folder: Path, year: Items) -> list[Path]:
    """Four filed years of a company that fails in 2020; one of them was restated after that.

    Aruna is on the list of 2017; the three others, with the same years, on the list of 2021.
    """
    filed = {2017: "2017-05-30", 2018: "2018-05-30", 2019: "2019-05-28", 2020: "2020-07-31"}
    rows = [
        row
        for company in ("aruna", *OTHERS)
        for y, day in filed.items()
        for row in year_rows(company, f"{y}-03-31", year, filed_at=day)
    ]
    rows += year_rows("aruna", "2018-03-31", {"current_assets": 300}, filed_at="2020-08-01")
    event = {"company_id": "aruna", "event_type": "cirp_admission", "event_date": "2020-02-10"}
    lists = {"aruna": "2017-04-01", **dict.fromkeys(OTHERS, "2021-04-01")}
    companies = [
        {"company_id": name, "company_name": name.title(), "in_nifty500": day}
        for name, day in lists.items()
    ]
    return [
        write_csv(folder / "statements.csv", rows),
        write_csv(folder / "events.csv", [event]),
        write_csv(folder / "companies.csv", companies),
    ]


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory, worked: dict[str, dict[str, float]]) -> Path:
    """A warehouse file that holds that history."""
    folder = tmp_path_factory.mktemp("history")
    with loaded(folder / "w.duckdb", *_history(folder, worked["year"])) as connection:
        store.run_checks(connection)
    return folder / "w.duckdb"


def test_as_of_gives_figures_events_and_lists_until_that_day(
    history: Path, tmp_path: Path, process: Command
) -> None:
    """'The panel as it was known on this day: filings, events and lists until then.'"""
    out = tmp_path / "known.parquet"
    arguments = ("--db", history, "--as-of", "2019-06-30", "--out", out)
    ran = process("-m", "features", *arguments)
    assert (ran.code, ran.err) == (0, "")
    rows = by_year(out, "aruna")
    assert list(rows) == [2017, 2018, 2019]  # 2020 was filed later
    assert rows[2018]["X1"] == pytest.approx(1.05)  # 420 / 400, as first filed
    assert rows[2019]["X8"] == pytest.approx(760 / 420)
    assert rows[2018]["available_from"] == date(2018, 5, 30)
    assert rows[2019]["available_from"] == date(2019, 5, 28)
    # The admission of February 2020 labels nothing yet, and nobody knows what comes.
    assert {row["label"] for row in rows.values()} == {"healthy"}
    assert not any(row["post_event"] for row in rows.values())
    assert rows[2017]["fails_within_2y"] is False  # survived until 30 May 2019
    assert rows[2018]["fails_within_2y"] is None
    assert by_year(out, "banyan") == {}  # the list of 2021 was not there
    assert "as known on 2019-06-30" in words(ran.out)


def test_without_a_day_the_restated_figure_counts_from_when_it_was_filed(
    history: Path, tmp_path: Path, cli: Command
) -> None:
    out = tmp_path / "now.parquet"
    ran = cli("features", "--db", history, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    rows = by_year(out, "aruna")
    assert rows[2018]["X1"] == pytest.approx(0.75)  # 300 / 400
    assert rows[2019]["X8"] == pytest.approx(760 / 360)  # the mean of 420 and 300
    assert [row["available_from"] for row in rows.values()] == [
        date(2017, 5, 30), date(2020, 8, 1), date(2020, 8, 1), date(2020, 7, 31),
    ]  # fmt: skip
    assert [row["label"] for row in rows.values()] == ["distressed", *["bankrupt"] * 3]
    assert rows[2018]["fails_within_2y"] is None  # known in August 2020: admitted before
    assert set(by_year(out, "banyan")) == {2017, 2018, 2019, 2020}
    assert "as known on" not in ran.out


def test_first_vintage_takes_the_figure_and_the_day_of_the_first_filing(
    history: Path, tmp_path: Path, cli: Command
) -> None:
    """'Of figures that were restated: the latest known, or as first filed.'"""
    out = tmp_path / "first.parquet"
    ran = cli("features", "--db", history, "--vintage", "first", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    rows = by_year(out, "aruna")
    assert rows[2018]["X1"] == pytest.approx(1.05)
    assert [row["available_from"] for row in rows.values()] == [
        date(2017, 5, 30), date(2018, 5, 30), date(2019, 5, 28), date(2020, 7, 31),
    ]  # fmt: skip
    # Today's events label; only the figures are as first filed.
    assert [row["label"] for row in rows.values()] == ["distressed", *["bankrupt"] * 3]
    assert rows[2018]["fails_within_2y"] is True
    assert "as first filed" in words(ran.out)


def test_a_day_before_anything_was_filed_is_one_line(
    history: Path, tmp_path: Path, cli: Command
) -> None:
    out = tmp_path / "nothing.parquet"
    ran = cli("features", "--db", history, "--as-of", "2017-05-29", "--out", out)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: no row of the warehouse can be labelled")
    assert "2017-05-29" in ran.err  # else one looks for files that are there
    assert not out.exists()


# --- flows of odd periods ----------------------------------------------------------------------


def _annual(code: str, value: float, months: int) -> float:
    """A reported ratio as it is with flows brought to 12 months."""
    if code in FLOW_OVER_STOCK:
        return value * 12 / months
    return value * months / 12 if code in STOCK_OVER_FLOW else value


def test_flows_of_15_months_are_brought_to_12(
    tmp_path: Path, cli: Command, worked: dict[str, dict[str, float]]
) -> None:
    before, year = worked["previous_year"], worked["year"]
    rows = year_rows("deodar", "2015-03-31", before)
    rows += year_rows("deodar", "2016-06-30", year, months=15)
    company = {"company_id": "deodar", "company_name": "Deodar Papers", "in_nifty500": "true"}
    files = [write_csv(tmp_path / "s.csv", rows), write_csv(tmp_path / "c.csv", [company])]
    out = tmp_path / "annual.parquet"
    ran = cli("features", "--from", *files, "--flows", "annual", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    assert "flows brought to 12 months" in words(ran.out)
    annual, reported = by_year(out, "deodar")[2016], worked["ratios"]
    assert annual["X7"] == pytest.approx(0.64)  # 760 * 12 / 15 = 608, over (1000 + 900) / 2
    assert annual["X25"] == pytest.approx(0.625)  # 400 over 640
    assert (annual["X1"], annual["X13"]) == pytest.approx((1.05, 0.3))  # balance sheet only
    assert annual["X11"] == pytest.approx(48 / 760)  # two flows
    expected = {code: _annual(code, value, 15) for code, value in reported.items()}
    assert {code: annual[code] for code in CODES} == pytest.approx(expected)
    assert (annual["months"], annual["total_assets"]) == (15, 1000)


@pytest.fixture(scope="module")
def empty() -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that the examples of a property fill, one after the other."""
    with store.in_memory() as connection:
        yield connection


def _fill(connection: duckdb.DuckDBPyConnection, folder: Path, rows: list[Any]) -> None:
    connection.execute("DELETE FROM statement_line; DELETE FROM snapshot")
    import_files(connection, [write_csv(folder / "s.csv", rows)])


def _yearly(connection: duckdb.DuckDBPyConnection, flows: str, sql: str) -> pd.DataFrame:
    dataset.materialise(connection, flows)
    return connection.sql(f"SELECT * FROM ({sql}) ORDER BY company_id, fiscal_year").df()


def test_every_length_of_period_changes_ratios_by_12_over_its_months(
    empty: duckdb.DuckDBPyConnection, tmp_path: Path, worked: dict[str, dict[str, float]]
) -> None:
    rows = []
    for months in range(1, 25):
        before = pd.Timestamp(2020, 6, 30) - pd.offsets.MonthEnd(months)
        name = f"{months:02}"
        rows += year_rows(name, str(before.date()), worked["previous_year"])
        rows += year_rows(name, "2020-06-30", worked["year"], months=months)
    _fill(empty, tmp_path, rows)
    found = _yearly(empty, "annual", ratios_sql("yearly")).query("fiscal_year == 2020")
    # Of two year ends in 2020 the one of a period under nine months goes.
    found = found[found["fiscal_year_end"] == pd.Timestamp(2020, 6, 30)]
    assert list(found["months"]) == list(range(6, 25))
    for row in found.to_dict("records"):
        expected = {c: _annual(c, v, row["months"]) for c, v in worked["ratios"].items()}
        assert {code: row[code] for code in CODES} == pytest.approx(expected)


FLOWS = ("net_sales", "sales", "revenue", "finance_costs", "profit_before_tax", "net_profit")
STOCKS = ("total_assets", "current_assets", "current_liabilities", "cash", "shareholders_funds")
PERIOD = st.fixed_dictionaries(
    {"months": st.integers(9, 24)},
    optional={name: st.integers(0, 10**6) for name in (*FLOWS, *STOCKS)},
)


@given(periods=st.lists(PERIOD.filter(lambda period: len(period) > 1), min_size=1, max_size=8))
@settings(max_examples=4)
def test_annual_flows_are_12_over_the_months_and_of_12_months_as_reported(
    periods: list[dict[str, int]],
    empty: duckdb.DuckDBPyConnection,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """'Income, expenses and cash flows of 9-, 15- or 18-month periods: as reported, or brought to
    12 months.' What a balance sheet tells stays, and so does what is missing.
    """
    rows = []
    for n, period in enumerate(periods):
        told = {name: value for name, value in period.items() if name != "months"}
        rows += year_rows(str(n), "2020-06-30", told, months=period["months"])
    _fill(empty, tmp_path_factory.mktemp("flows"), rows)
    reported, annual = (_yearly(empty, kind, "FROM yearly") for kind in ("reported", "annual"))
    told = pd.DataFrame(periods).reindex(columns=[*FLOWS, *STOCKS]).astype(float)
    pd.testing.assert_frame_equal(reported[[*FLOWS, *STOCKS]], told)
    twelve = reported["months"] == 12
    pd.testing.assert_frame_equal(annual[twelve], reported[twelve])
    flows = [*FLOWS, "ebit"]
    for name in flows:
        product = annual[name] * reported["months"]
        np.testing.assert_allclose(product, 12 * reported[name], rtol=1e-12, err_msg=name)
    others = reported.columns.difference(flows)
    pd.testing.assert_frame_equal(annual[others], reported[others])


def test_flows_of_the_period_before_are_brought_to_12_months_too(
    empty: duckdb.DuckDBPyConnection, tmp_path: Path, worked: dict[str, dict[str, float]]
) -> None:
    """Else a year after a long period looks like a fall. The two year ends are of one year."""
    rows = year_rows("deodar", "2020-03-31", worked["year"], months=18)
    rows += year_rows("deodar", "2020-12-31", worked["year"], months=9)
    _fill(empty, tmp_path, rows)
    (found,) = _yearly(empty, "annual", "FROM yearly").to_dict("records")
    # 48 of net profit, 66 + 45 of earnings, 45 of interest: in 9 months, and before in 18.
    assert (found["net_profit"], found["ebit"], found["finance_costs"]) == (64, 148, 60)
    before = [found[f"prev_{name}"] for name in ("net_profit", "ebit", "finance_costs")]
    assert before == [32, 74, 30]
    assert (found["total_assets"], found["prev_total_assets"]) == (1000, 1000)


# --- features, labels, matching, the audit -----------------------------------------------------


TRENDS = [f"{code}_{trend}" for code in CODES for trend in ("trend2", "vol3")]
SCORES = ["altman_z_em", "springate_s", "zmijewski_x", "grover_g", "ohlson_o"]


def test_features_all_adds_exactly_the_columns_of_that_name(
    history: Path, tmp_path: Path, cli: Command
) -> None:
    """'base: X1 to X66; trend: also trend and volatility of each ratio; all: also published scores
    and the company's age.'
    """
    out = tmp_path / "panel.parquet"
    ran = cli("features", "--db", history, "--features", "all", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    _has_features(out, "all", [*TRENDS, *SCORES, "company_age"])
    rows = by_year(out, "aruna")  # X1: 1.05, 0.75 as restated, 1.05, 1.05
    assert [rows[y]["X1_trend2"] for y in (2017, 2018)] == [None, None]
    assert rows[2019]["X1_trend2"] == pytest.approx(0)
    assert rows[2020]["X1_trend2"] == pytest.approx((1.05 - 0.75) / 2)


def _has_features(out: Path, features: Literal["trend", "all"], more: list[str]) -> None:
    """The panel has X1 to X66, then these columns, and no other that a model learns from."""
    names = pq.read_schema(out).names
    base = [f"X{n}" for n in range(1, 67)]
    assert feature_names("base") == tuple(base)
    assert feature_names(features) == (*base, *more)
    assert [name for name in names if name in feature_names(features)] == [*base, *more]
    others = {name for name in names if name not in feature_names(features)}
    assert not others & {*TRENDS, *SCORES, "company_age"}
    assert not [name for name in others if name.startswith("X")]


def _named(option: Option) -> str:
    return "--label-year" if option.name == "year" else "--" + option.name.replace("_", "-")


@pytest.mark.parametrize(
    ("option", "value"),
    [(o, v) for o in OPTIONS for v in o.values if v is not None],
    ids=lambda x: x.name if isinstance(x, Option) else str(x),
)
def test_every_value_of_a_label_option_can_be_given(option: Option, value: object) -> None:
    context = main.make_context("features", [_named(option), str(value)])
    given = {n.removeprefix("label_"): v for n, v in context.params.items() if "label_" in n}
    assert given == {o.name: o.default for o in OPTIONS} | {option.name: value}
    assert type(given[option.name]) is type(value)


def test_every_label_option_reaches_the_rule_and_trend_adds_trends(
    history: Path, tmp_path: Path, cli: Command
) -> None:
    rule = LabelRule(
        year="fiscal", window=0, restructured_years=1, healthy_as_of=date(2021, 6, 30),
        distress="rule", admissions="each", withdrawn="distressed", resolution="recovers",
        members="year",
    )  # fmt: skip
    values = {option: getattr(rule, option.name) for option in OPTIONS}
    assert all(value != option.default for option, value in values.items())
    given = [text for option, value in values.items() for text in (_named(option), str(value))]
    out = tmp_path / "panel.parquet"
    ran = cli("features", "--db", history, *given, "--features", "trend", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    _has_features(out, "trend", TRENDS)
    assert f"Labels: {rule.words()}" in words(ran.out)
    # Banyan is on a list that was not in force when its years were available. Aruna failed in the
    # fiscal year 2020, of which alone the window is; before that its accounts are sound.
    assert by_year(out, "banyan") == {}
    labels = {year: row["label"] for year, row in by_year(out, "aruna").items()}
    assert labels == {2017: "healthy", 2018: "healthy", 2019: "healthy", 2020: "bankrupt"}


SICK = [f"sick{n:02}" for n in range(20)]
FIT = [f"fit{n:02}" for n in range(50)]


def _matchable(folder: Path, year: Items) -> list[Path]:
    """Two years of companies of one sector that differ in size only: the failing are the smaller.

    Failing: 1,000 to 2,900 crore of assets. Healthy: 11,000 to 60,000, in order of their names.
    """
    sizes = {name: 1 + n / 10 for n, name in enumerate(SICK)}
    sizes |= {name: float(11 + n) for n, name in enumerate(FIT)}
    rows = [
        row
        for name, size in sizes.items()
        for y in (2017, 2018)
        for row in year_rows(name, f"{y}-03-31", {k: size * v for k, v in year.items()})
    ]
    companies = [
        {"company_id": name, "company_name": f"=HYPERLINK({name})", "sector": "@textiles",
         "in_nifty500": "true"}
        for name in sizes
    ]  # fmt: skip
    event = {"event_type": "cirp_admission", "event_date": "2018-09-01"}
    return [
        write_csv(folder / "s.csv", rows),
        write_csv(folder / "c.csv", companies),
        write_csv(folder / "e.csv", [{"company_id": name, **event} for name in SICK]),
    ]


def _runs_nothing(path: Path) -> None:
    """No cell of the CSV that is no number begins as a formula does."""
    with path.open(encoding="utf-8", newline="") as file:
        head, *rows = csv.reader(file)
    name, sector = head.index("company_name"), head.index("sector")
    assert {row[sector] for row in rows} == {"'@textiles"}
    assert all(row[name].startswith("'=HYPERLINK(") for row in rows)
    texts = [cell for row in [head, *rows] for cell in row if not _is_number(cell)]
    assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in texts)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def test_match_and_audit_print_their_tables_and_what_they_warn_of(
    tmp_path: Path, cli: Command, worked: dict[str, dict[str, float]]
) -> None:
    """'Healthy controls per failing company, matched by sector and size.'"""
    files = _matchable(tmp_path, worked["year"])
    out = tmp_path / "matched.csv"
    ran = cli("features", "--from", *files, "--match", 2, "--audit", "--out", out)
    assert (ran.code, ran.err) == (0, "")
    kept = pd.read_csv(out)
    # Every healthy company is larger than every failing one: the least sum of differences is that
    # of the forty smallest, whoever stands beside whom.
    assert set(kept["company_id"]) == {*SICK, *FIT[:40]}
    assert len(kept) == 120
    _runs_nothing(out)
    printed = words(ran.out)
    assert "120 rows of companies, 40 healthy companies matched to 20 of 20 failing" in printed
    assert "Balance: standardised mean differences" in printed
    assert "log total assets" in printed
    # Everything but the size is the same, so the size alone tells the classes apart.
    assert "Leak audit: what tells the classes apart (120 rows)" in printed
    assert "The largest class holds 66.7% of the rows" in printed
    warnings = [line for line in ran.out.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "size alone tells the classes apart" in warnings[0]


def test_match_without_a_healthy_company_is_one_line(
    history: Path, tmp_path: Path, cli: Command
) -> None:
    out = tmp_path / "panel.parquet"
    day = ("--healthy-as-of", "2016-01-01")
    ran = cli("features", "--db", history, *day, "--match", 1, "--out", out)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: matching: ")
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--as-of", "2019-02-30"),
        ("--as-of", "30.6.2019"),
        ("--vintage", "second"),
        ("--flows", "monthly"),
        ("--features", "X1"),
        ("--match", "-1"),
        ("--match", "two"),
        ("--window", "4"),
        ("--window", "-1"),
        ("--restructured-years", "0"),
        ("--distress", "both"),
        ("--admissions", "last"),
        ("--withdrawn", "healthy"),
        ("--resolution", "never"),
        ("--members", "month"),
        ("--least-ratios", "63"),
        ("--seed", "-1"),
    ],
    ids=" ".join,
)
def test_bad_values_are_refused(arguments: tuple[str, str], cli: Command, tmp_path: Path) -> None:
    out = tmp_path / "panel.parquet"
    ran = cli("features", "--demo", *arguments, "--out", out)
    assert (ran.code, ran.out) == (2, "")
    said = [line for line in ran.err.splitlines() if "error" in line.lower()]
    assert len(said) == 1
    assert arguments[0] in said[0]
    assert not out.exists()


# --- in parts ----------------------------------------------------------------------------------


def test_companies_in_parts_of_three_give_the_same_panel(
    history: Path, tmp_path: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    """'Memory stays that of a part, however many companies.'"""
    whole, parted = tmp_path / "whole.parquet", tmp_path / "parted.parquet"
    first = cli("features", "--db", history, "--out", whole)
    monkeypatch.setattr(store, "parts", partial(store.parts, size=3))
    second = cli("features", "--db", history, "--out", parted)
    assert (first.code, second.code) == (0, 0)
    assert (pq.ParquetFile(whole).num_row_groups, pq.ParquetFile(parted).num_row_groups) == (1, 2)
    assert pq.read_table(parted).equals(pq.read_table(whole), check_metadata=True)
    assert len(set(pq.read_table(whole)["company_id"].to_pylist())) == 4
    assert second.out == first.out.replace("whole.parquet", "parted.parquet")


def test_the_rule_in_words_names_what_is_not_usual() -> None:
    rule = PanelRule(as_of=date(2019, 6, 30), vintage="first", flows="annual", matched=2)
    usual = PanelRule().words()
    assert usual == LabelRule().words()
    assert rule.words() == (
        f"{usual}; as known on 2019-06-30; as first filed; flows brought to 12 months;"
        " 2 healthy controls matched"
    )
    assert replace(rule, as_of=None).words().startswith(f"{usual}; as first filed")
