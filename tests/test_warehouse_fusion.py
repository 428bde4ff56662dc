"""Which source a statement is taken from: one for each statement, never a mixture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from itertools import combinations, permutations
from pathlib import Path

import duckdb
import pytest
from conftest import loaded, write_csv
from histories import Cell, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import store
from warehouse.formats import NO_SOURCE
from warehouse.fusion import PLACES
from warehouse.items import ITEMS

YEAR = "2024-03-31"
# The same costs, parted differently: a filing knows no direct expenses.
FILING = {"sales": 100, "employee_benefits": 10, "other_expenses": 60, "total_expenses": 70}
PAGE = {
    "sales": 100, "employee_benefits": 10, "operating_and_direct_expenses": 45,
    "other_expenses": 15, "total_expenses": 70,
}  # fmt: skip
SHEET = {"total_assets": 300, "current_assets": 120, "cash": 20}


def rows(source: str, items: Mapping[str, float], **more: str) -> list[dict[str, object]]:
    fixed = {"company_id": "acme", "fiscal_year_end": YEAR, "source": source, **more}
    return [{**fixed, "item": item, "value": value} for item, value in items.items()]


def one(tmp_path: Path, told: list[dict[str, object]], columns: str) -> tuple[object, ...]:
    with loaded(tmp_path / "w.duckdb", write_csv(tmp_path / "s.csv", told)) as connection:
        found = connection.execute(f"SELECT {columns} FROM statements").fetchall()
    assert len(found) == 1
    return tuple(found[0])


COSTS = "sales, operating_and_direct_expenses, other_expenses, operating_profit"


def test_a_filing_goes_before_a_page_and_is_not_mixed_with_it(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING) + rows("moneycontrol", PAGE)
    assert one(tmp_path, told, COSTS)[:3] == (100, None, 60)


def test_a_page_gives_the_statements_that_the_filing_has_not(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING) + rows("moneycontrol", {**PAGE, **SHEET})
    assert one(tmp_path, told, f"total_assets, cash, {COSTS}")[:5] == (300, 20, 100, None, 60)


def test_a_filing_with_hardly_a_line_gives_way(tmp_path: Path) -> None:
    told = rows("nse xbrl", {"sales": 99}) + rows("moneycontrol", PAGE)
    assert one(tmp_path, told, COSTS)[:3] == (100, 45, 15)


def test_a_users_table_goes_before_any_document(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING) + rows("my own reading", {"sales": 101})
    assert one(tmp_path, told, "sales, other_expenses") == (101, 60)


def test_of_two_filings_the_later_counts(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING, filed_at="2024-05-10")
    revised = rows("nse xbrl", {**FILING, "sales": 98}, filed_at="2024-08-01")
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    with loaded(
        tmp_path / "w.duckdb", write_csv(first, revised), write_csv(second, told)
    ) as connection:
        found = connection.execute("SELECT sales, filed_at::VARCHAR FROM statements").fetchall()
    assert found == [(98, "2024-08-01")]


def test_interim_figures_are_no_year(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING, note="interim", months="6")
    with loaded(tmp_path / "w.duckdb", write_csv(tmp_path / "s.csv", told)) as connection:
        assert connection.execute("SELECT * FROM statements").fetchall() == []
        assert connection.execute("SELECT count(*) FROM statement_line").fetchall() == [(4,)]


# The table of places.

SOURCES = tuple(place.source for place in PLACES)
ORDERED = tuple(combinations(SOURCES, 2))
# Of which a source is one of two, and whether the second one was filed and loaded last.
SECOND_IS_LATER = {True: (date(2024, 5, 1), date(2024, 6, 1)), False: (None, None)}


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute("SET threads = 1")  # the tables are tiny
        yield connection


@pytest.fixture(scope="module")
def chosen(memory: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], str]:
    """Company and item to the source taken: of two sources that tell the same items."""
    cells = []
    for pair in (*ORDERED, *((source, NO_SOURCE) for source in SOURCES)):
        for is_later, days in SECOND_IS_LATER.items():
            company = f"{' + '.join(pair)} {is_later}"
            for n, source in enumerate(pair if is_later else reversed(pair)):
                cell = Cell(1.0, days[n], company_id=company, source=source, snapshot_id=n)
                cells += [replace(cell, item=item) for item in ("cash", "sales", "tax")]
    fill(memory, cells)
    found = memory.execute("SELECT company_id, item, source FROM stg_cell").fetchall()
    return {(company, item): source for company, item, source in found}


def test_places_are_named_once_and_say_why() -> None:
    assert len(set(SOURCES)) == len(PLACES) > 1
    assert all(place.source and place.why for place in PLACES)
    assert NO_SOURCE not in SOURCES


@pytest.mark.parametrize("is_later", SECOND_IS_LATER)
@pytest.mark.parametrize(("first", "second"), ORDERED)
def test_of_two_places_the_earlier_is_taken(
    first: str, second: str, is_later: bool, chosen: dict[tuple[str, str], str]
) -> None:
    company = f"{first} + {second} {is_later}"
    assert {chosen[company, item] for item in ("cash", "sales", "tax")} == {first}


@pytest.mark.parametrize("is_later", SECOND_IS_LATER)
@pytest.mark.parametrize("source", SOURCES)
def test_a_users_own_table_goes_before_each_place(
    source: str, is_later: bool, chosen: dict[tuple[str, str], str]
) -> None:
    company = f"{source} + {NO_SOURCE} {is_later}"
    assert {chosen[company, item] for item in ("cash", "sales", "tax")} == {NO_SOURCE}


STATEMENT_OF = {item.name: item.statement for item in ITEMS}
NAMES = ("cash", "inventories", "total_assets", "sales", "tax", "depreciation", "net_profit")
TELLING = st.fixed_dictionaries(
    {}, optional={source: st.sets(st.sampled_from(NAMES), min_size=1) for source in SOURCES}
).filter(bool)


def fused(told: dict[str, set[str]]) -> dict[str, str]:
    """Item to source, in plain Python: of each statement the first that is half as full as any."""
    taken = {}
    for statement in sorted(set(STATEMENT_OF.values())):
        lines = {s: sorted(n for n in told.get(s, ()) if STATEMENT_OF[n] == statement)
                 for s in SOURCES}  # fmt: skip
        most = max(len(names) for names in lines.values())
        for source in SOURCES:
            if most and 2 * len(lines[source]) >= most:
                taken.update(dict.fromkeys(lines[source], source))
                break
    return taken


@settings(max_examples=8)
@given(companies=st.lists(TELLING, min_size=25, max_size=25))
def test_a_statement_is_taken_from_one_source(
    companies: list[dict[str, set[str]]], memory: duckdb.DuckDBPyConnection
) -> None:
    """A statement is taken whole from the first source in order that has at least half as many
    lines as the fullest, never a mixture."""
    fill(
        memory,
        [
            Cell(1.0, company_id=f"c{n}", item=item, source=source)
            for n, told in enumerate(companies)
            for source, items in told.items()
            for item in sorted(items)
        ],
    )
    found: dict[str, dict[str, str]] = {f"c{n}": {} for n in range(len(companies))}
    for company, item, source in memory.execute(
        "SELECT company_id, item, source FROM stg_cell"
    ).fetchall():
        assert item not in found[company]
        found[company][item] = source
    assert found == {f"c{n}": fused(told) for n, told in enumerate(companies)}


@pytest.mark.parametrize(
    ("cells", "value"),
    [
        ([Cell(1.0, source=NO_SOURCE, note="proxy"), Cell(2.0, source=SOURCES[-1])], 2),
        ([Cell(1.0, source=NO_SOURCE, note="derived"), Cell(2.0, source=SOURCES[-1])], 2),
        ([Cell(1.0, note="proxy"), Cell(2.0, source=SOURCES[0], note="derived")], 2),
        ([Cell(1.0, note="proxy"), Cell(2.0, source=SOURCES[0], note="proxy")], 1),
        ([Cell(1.0, snapshot_id=2), Cell(2.0, snapshot_id=1)], 1),  # a later load
        # A later filing, though loaded before.
        ([Cell(1.0, date(2018, 5, 2)), Cell(2.0, date(2018, 5, 1), snapshot_id=2)], 1),
        ([Cell(1.0, date(2018, 5, 1)), Cell(2.0, snapshot_id=2)], 1),  # a filing with a date
    ],
)  # fmt: skip
def test_what_was_reported_goes_before_what_was_not_then_place_filing_and_load(
    cells: list[Cell], value: float, memory: duckdb.DuckDBPyConnection
) -> None:
    for given_in in (cells, cells[::-1]):
        fill(memory, given_in)
        assert memory.execute("SELECT total_assets, n_items FROM statements").fetchall() == [
            (value, 1)
        ]


def test_the_source_of_a_year_does_not_rest_on_the_order_of_its_rows(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """Two sources that give as many cells of a year: one is named, and always the same."""
    told = {"nse xbrl": ("cash", "total_assets"), "moneycontrol": ("sales", "tax")}
    cells = [Cell(1.0, item=item, source=s) for s, items in told.items() for item in items]
    orders = [
        [replace(cell, company_id=f"c{n}") for cell in order]
        for n, order in enumerate(permutations(cells))
    ]
    fill(memory, [cell for order in orders for cell in order])
    assert memory.execute("SELECT DISTINCT source FROM statements").fetchall() == [("nse xbrl",)]
