"""Periods: which one precedes another, which stands for a calendar year, and what is flagged."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import pytest
from conftest import rows_of
from histories import Cell, fill, later
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import store
from warehouse.items import PREVIOUS

CHECKS = ("duplicate_year", "period_gap", "period_overlap")


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute("SET threads = 1")  # the tables are tiny
        yield connection


@dataclass(frozen=True)
class Period:
    """A period and the value of its total assets; `lines` other items are reported too."""

    end: date
    months: int = 12
    total_assets: float | None = None
    lines: int = 0

    def cells(self, company: str) -> list[Cell]:
        items = ["inventories", "cash", "sales", "tax", "depreciation", "revenue"][: self.lines]
        cell = Cell(1.0, fiscal_year_end=self.end, months=self.months, company_id=company)
        told = [] if self.total_assets is None else [replace(cell, value=self.total_assets)]
        return told + [replace(cell, item=item) for item in items]


def flagged(connection: duckdb.DuckDBPyConnection) -> set[tuple[str, str, date]]:
    """Check, company and year end of what the checks of periods name."""
    store.run_checks(connection)
    found = connection.execute(
        "SELECT check_name, company_id, fiscal_year_end FROM check_failure"
        " WHERE check_name IN (SELECT unnest(?))",
        [list(CHECKS)],
    )
    return set(found.fetchall())


def day(text: str) -> date:
    return date.fromisoformat(text)


# name: year end, months, total assets of each period; of each year in `statements`, in order, the
# year end and the year end before it; what the checks name.
Told = tuple[list[tuple[str, int, float]], list[tuple[str, str | None]], dict[str, tuple[str, ...]]]
COMPANIES: dict[str, Told] = {
    "years": (
        [("2018-03-31", 12, 1), ("2019-03-31", 12, 2), ("2020-03-31", 12, 3)],
        [("2018-03-31", None), ("2019-03-31", "2018-03-31"), ("2020-03-31", "2019-03-31")],
        {},
    ),
    # From December to March and back: both of 2015 are whole years or nearly.
    "there and back": (
        [("2013-12-31", 12, 1), ("2015-03-31", 15, 2), ("2015-12-31", 9, 3), ("2016-12-31", 12, 4)],
        [("2013-12-31", None), ("2015-12-31", "2015-03-31"), ("2016-12-31", "2015-12-31")],
        {"duplicate_year": ("2015-03-31", "2015-12-31")},
    ),
    "eighteen months": (
        [("2012-09-30", 12, 1), ("2014-03-31", 18, 2), ("2015-03-31", 12, 3)],
        [("2012-09-30", None), ("2014-03-31", "2012-09-30"), ("2015-03-31", "2014-03-31")],
        {},
    ),
    "nine months": (
        [("2012-06-30", 12, 1), ("2013-03-31", 9, 2), ("2014-03-31", 12, 3)],
        [("2012-06-30", None), ("2013-03-31", "2012-06-30"), ("2014-03-31", "2013-03-31")],
        {},
    ),
    # Three months that are part of the year of 2014 neither stand for it nor precede it.
    "three months": (
        [("2014-12-31", 12, 1), ("2014-03-31", 3, 0), ("2013-12-31", 12, 2)],
        [("2013-12-31", None), ("2014-12-31", "2013-12-31")],
        {"duplicate_year": ("2014-03-31", "2014-12-31"), "period_overlap": ("2014-12-31",)},
    ),
    "a year is missing": (
        [("2017-03-31", 12, 1), ("2019-03-31", 12, 2), ("2020-03-31", 12, 3)],
        [("2017-03-31", None), ("2019-03-31", None), ("2020-03-31", "2019-03-31")],
        {"period_gap": ("2019-03-31",)},
    ),
    # Calendar years without a hole, and yet nine months are not accounted for.
    "nine months are missing": (
        [("2017-03-31", 12, 1), ("2018-12-31", 12, 2), ("2019-12-31", 12, 3)],
        [("2017-03-31", None), ("2018-12-31", None), ("2019-12-31", "2018-12-31")],
        {"period_gap": ("2018-12-31",)},
    ),
    # Fifteen months that were given as twelve.
    "three months overlap": (
        [("2018-03-31", 12, 1), ("2018-12-31", 12, 2), ("2019-12-31", 12, 3)],
        [("2018-12-31", None), ("2019-12-31", "2018-12-31")],
        {
            "period_overlap": ("2018-12-31",),
            "duplicate_year": ("2018-03-31", "2018-12-31"),
        },
    ),
    # Days of grace: accounts that close on a Saturday, or a day early; 20 and no more.
    "20 days late": (
        [("2018-03-31", 12, 1), ("2019-04-20", 12, 2)],
        [("2018-03-31", None), ("2019-04-20", "2018-03-31")],
        {},
    ),
    "21 days late": (
        [("2018-03-31", 12, 1), ("2019-04-21", 12, 2)],
        [("2018-03-31", None), ("2019-04-21", None)],
        {"period_gap": ("2019-04-21",)},
    ),
    "20 days early": (
        [("2018-03-31", 12, 1), ("2019-03-11", 12, 2)],
        [("2018-03-31", None), ("2019-03-11", "2018-03-31")],
        {},
    ),
    "21 days early": (
        [("2018-03-31", 12, 1), ("2019-03-10", 12, 2)],
        [("2018-03-31", None), ("2019-03-10", None)],
        {"period_overlap": ("2019-03-10",)},
    ),
    # A leap day.
    "February": (
        [("2019-02-28", 12, 1), ("2020-02-29", 12, 2), ("2021-02-28", 12, 3)],
        [("2019-02-28", None), ("2020-02-29", "2019-02-28"), ("2021-02-28", "2020-02-29")],
        {},
    ),
}


@pytest.fixture(scope="module")
def worked(
    memory: duckdb.DuckDBPyConnection,
) -> tuple[list[dict[str, object]], set[tuple[str, str, date]]]:
    """The rows of `statements` of all these companies, and what the checks name."""
    fill(
        memory,
        [
            cell
            for company, (periods, _, _) in COMPANIES.items()
            for end, months, assets in periods
            for cell in Period(day(end), months, assets).cells(company)
        ],
    )
    return rows_of(memory, "FROM statements ORDER BY company_id, fiscal_year"), flagged(memory)


@pytest.mark.parametrize("company", COMPANIES)
def test_the_period_before(
    company: str, worked: tuple[list[dict[str, object]], set[tuple[str, str, date]]]
) -> None:
    periods, told, checks = COMPANIES[company]
    assets = {end: value for end, _, value in periods}
    found = [row for row in worked[0] if row["company_id"] == company]
    assert [
        (row["fiscal_year_end"], row["total_assets"], row["prev_fiscal_year_end"],
         row["prev_total_assets"])
        for row in found
    ] == [
        (day(end), assets[end], day(before) if before else None, assets.get(before or ""))
        for end, before in told
    ]  # fmt: skip
    named = {(check, company, day(end)) for check, ends in checks.items() for end in ends}
    assert {each for each in worked[1] if each[1] == company} == named


def test_all_previous_items_are_of_the_period_before(memory: duckdb.DuckDBPyConnection) -> None:
    """`prev_` of an item that the period before lacks is missing, not that of an earlier one."""
    ends = [date(2017, 3, 31), date(2018, 3, 31), date(2019, 3, 31)]
    told = {
        "total_assets": (1.0, 2.0, 3.0),
        "current_assets": (4.0, None, 5.0),
        "inventories": (6.0, None, None),
        "net_profit": (-7.0, -8.0, -9.0),
        "profit_before_tax": (10.0, 11.0, 12.0),
        "finance_costs": (13.0, 14.0, None),
    }
    fill(
        memory,
        [
            Cell(value, fiscal_year_end=end, item=item)
            for item, values in told.items()
            for end, value in zip(ends, values, strict=True)
        ],
    )
    columns = ", ".join(f"prev_{name}" for name in PREVIOUS)
    found = memory.execute(f"SELECT {columns} FROM statements ORDER BY fiscal_year").fetchall()
    assert PREVIOUS == (
        "total_assets", "current_assets", "inventories", "net_profit", "ebit", "finance_costs",
    )  # fmt: skip
    assert found == [
        (None,) * 6,
        (1, 4, 6, -7, 23, 13),  # ebit: 10 + 13
        (2, None, None, -8, 25, 14),
    ]


# Two year ends in one calendar year.


MARCH, DECEMBER = date(2019, 3, 31), date(2019, 12, 31)
# The earlier one, the later one, and which of them stands for 2019.
PAIRS = [
    (Period(MARCH, 12, 1, 4), Period(DECEMBER, 9, 2, 4), DECEMBER),
    (Period(MARCH, 12, 1, 4), Period(DECEMBER, 8, 2, 4), MARCH),
    (Period(MARCH, 12, 1, 0), Period(DECEMBER, 8, 2, 6), MARCH),
    (Period(MARCH, 6, 1, 4), Period(DECEMBER, 9, 2, 4), DECEMBER),
    # Of 6 lines: 3 are half, 2 are less.
    (Period(MARCH, 12, 1, 5), Period(DECEMBER, 9, 2, 2), DECEMBER),
    (Period(MARCH, 12, 1, 5), Period(DECEMBER, 9, 2, 1), MARCH),
    (Period(MARCH, 12, 1, 1), Period(DECEMBER, 9, 2, 5), DECEMBER),
    (Period(MARCH, 15, 1, 4), Period(DECEMBER, 24, 2, 4), DECEMBER),
]


def test_which_of_two_year_ends_stands_for_the_calendar_year(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """Of two year ends in one calendar year the later one, unless it ends a period of under nine
    months or has less than half the lines of the other."""
    fill(
        memory,
        [
            cell
            for n, pair in enumerate(PAIRS)
            for period in pair[:2]
            for cell in period.cells(f"c{n}")
        ],
    )
    found = memory.execute("SELECT company_id, fiscal_year_end FROM statements ORDER BY company_id")
    assert found.fetchall() == [(f"c{n}", wins) for n, (_, _, wins) in enumerate(PAIRS)]


def test_a_thin_mislabelled_year_end_neither_wins_nor_precedes(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """The period before a year is the one that stands for its calendar year, where two end within
    the days of grace."""
    thin = Period(date(2019, 4, 10), 12, None, 1)
    years = [Period(date(year, 3, 31), 12, float(year), 4) for year in (2018, 2019, 2020)]
    fill(memory, [cell for period in (*years, thin) for cell in period.cells("acme")])
    found = memory.execute(
        "SELECT fiscal_year_end, prev_fiscal_year_end, prev_total_assets FROM statements"
        " ORDER BY fiscal_year"
    ).fetchall()
    one, two, three = (year.end for year in years)
    assert found == [(one, None, None), (two, one, 2018), (three, two, 2019)]
    assert ("duplicate_year", "acme", thin.end) in flagged(memory)


# Random chains of periods.


@dataclass(frozen=True)
class Chain:
    """Periods one after the other; `gaps` are the months between the end of one and the begin of
    the next, below zero where they overlap."""

    periods: tuple[Period, ...]
    gaps: tuple[int, ...]


@st.composite
def chains(draw: st.DrawFn) -> Chain:
    """Periods from the end of any month; accounts may close up to three days off it."""
    end = later(date(2001, 1, 31), draw(st.integers(0, 11)))
    periods, gaps = [Period(end, 12, 1.0)], []
    for n in range(draw(st.integers(1, 5))):
        months = draw(st.sampled_from([6, 9, 12, 12, 12, 15, 18, 24]))
        gap = draw(st.sampled_from([0, 0, 0, 0, 2, -2, 3, 12, 27]))
        end = later(end, months + gap)
        off = draw(st.sampled_from([0, 0, 0, 1, 3, -1, -3]))
        periods.append(Period(end + timedelta(off), months, float(n + 2)))
        gaps.append(gap)
    return Chain(tuple(periods), tuple(gaps))


def companies(found: list[Chain]) -> dict[str, Chain]:
    return {f"c{n:02}": chain for n, chain in enumerate(found)}


def fill_chains(connection: duckdb.DuckDBPyConnection, found: dict[str, Chain]) -> None:
    fill(
        connection,
        [
            cell
            for company, chain in found.items()
            for period in chain.periods
            for cell in period.cells(company)
        ],
    )


MANY = st.lists(chains(), min_size=15, max_size=15).map(companies)


@settings(max_examples=6)
@given(found=MANY)
def test_prev_is_of_the_period_that_ends_where_this_one_begins(
    found: dict[str, Chain], memory: duckdb.DuckDBPyConnection
) -> None:
    """The prev_ values of a period are those of the one that ends where this one begins, whatever
    its months and its month of the year; across a gap or an overlap there are none."""
    fill_chains(memory, found)
    expected = []
    for company, chain in found.items():
        for n, period in enumerate(chain.periods):
            linked = n > 0 and chain.gaps[n - 1] == 0
            before = chain.periods[n - 1] if linked else None
            told = (before.end, before.total_assets) if before else (None, None)
            expected.append((company, period.end, *told))
    assert (
        expected
        == memory.execute(
            "SELECT company_id, fiscal_year_end, prev_fiscal_year_end, prev_total_assets"
            " FROM period ORDER BY company_id, fiscal_year_end"
        ).fetchall()
    )


@settings(max_examples=3)
@given(found=MANY)
def test_the_checks_name_each_gap_overlap_and_second_year_end(
    found: dict[str, Chain], memory: duckdb.DuckDBPyConnection
) -> None:
    """period_gap: each period begins where the one before it ends; period_overlap: none begins
    before that; duplicate_year: one year end in each calendar year."""
    fill_chains(memory, found)
    expected = set()
    for company, chain in found.items():
        for period, gap in zip(chain.periods[1:], chain.gaps, strict=True):
            if gap:
                check = "period_gap" if gap > 0 else "period_overlap"
                expected.add((check, company, period.end))
        for one, other in pairwise(chain.periods):
            if one.end.year == other.end.year:
                expected |= {("duplicate_year", company, end) for end in (one.end, other.end)}
    assert flagged(memory) == expected


@settings(max_examples=4)
@given(found=MANY)
def test_one_row_per_calendar_year_and_no_year_is_lost(
    found: dict[str, Chain], memory: duckdb.DuckDBPyConnection
) -> None:
    """`statements` has one row per company and calendar year of a year end: of two year ends the
    later one, unless its period is under nine months and that of the other is not."""
    fill_chains(memory, found)
    expected: dict[tuple[str, int], Period] = {}
    for company, chain in found.items():
        for period in chain.periods:
            before = expected.get((company, period.end.year))
            if before is None or period.months >= 9 or before.months < 9:
                expected[company, period.end.year] = period
    rows = memory.execute(
        "SELECT company_id, fiscal_year, fiscal_year_end, months FROM statements"
    ).fetchall()
    assert {(company, year): told for company, year, *told in rows} == {
        key: [period.end, period.months] for key, period in expected.items()
    }
    assert len(rows) == len(expected)


def test_later_is_the_last_day_of_the_month() -> None:
    """The reckoning of these tests itself, by hand."""
    assert later(date(2013, 12, 31), 15) == date(2015, 3, 31)
    assert later(date(2019, 2, 28), 12) == date(2020, 2, 29)
    assert later(date(2015, 3, 31), 9, 2) == date(2015, 12, 31) + timedelta(2)
    assert later(date(2018, 6, 30), 24) == date(2020, 6, 30)
