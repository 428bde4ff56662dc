"""One basis for all years of a company; and parts of the companies that add up to the whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import duckdb
import pytest
from conftest import rows_of
from histories import Cell, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import store
from warehouse.formats import BASES

ITEMS = ("total_assets", "cash", "sales", "tax", "inventories", "depreciation")
YEARS = tuple(date(year, 3, 31) for year in (2016, 2017, 2018, 2019))

# By basis, how many lines it has of each year; the years in order.
Lines = dict[str, tuple[int, ...]]


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute("SET threads = 1")  # the tables are tiny
        yield connection


def cells(company: str, lines: Lines) -> list[Cell]:
    """As many items of each year as `lines` says; the value tells the basis."""
    return [
        Cell(
            float(BASES.index(basis)),
            fiscal_year_end=end,
            item=item,
            company_id=company,
            basis=basis,
        )
        for basis, counts in lines.items()
        for end, count in zip(YEARS, counts, strict=False)
        for item in ITEMS[:count]
    ]


CASES: dict[str, tuple[Lines, str]] = {
    "consolidated, where all are as full": (
        {"consolidated": (6, 6), "standalone": (6, 6), "unstated": (6, 6)}, "consolidated",
    ),
    "standalone before unstated": ({"standalone": (6,), "unstated": (6,)}, "standalone"),
    "more years": ({"consolidated": (0, 6), "standalone": (6, 6)}, "standalone"),
    "more years unstated": ({"consolidated": (6,), "unstated": (6, 6)}, "unstated"),
    "as many years, others": (
        {"consolidated": (0, 0, 6, 6), "standalone": (6, 6)}, "consolidated",
    ),
    # Of 6 lines 3 are half.
    "half as full": ({"consolidated": (3, 3), "standalone": (6, 6)}, "consolidated"),
    "less than half as full": ({"consolidated": (2, 2), "standalone": (6, 0)}, "standalone"),
    # A summary of results for many years does not outweigh the accounts of a few.
    "many thin years": (
        {"consolidated": (1, 1, 1, 1), "standalone": (0, 0, 0, 6)}, "standalone",
    ),
    "one full and one thin year": (
        {"consolidated": (6, 1, 0), "standalone": (6, 0, 1)}, "consolidated",
    ),
    "nothing but thin years": ({"unstated": (1, 1)}, "unstated"),
}  # fmt: skip


@pytest.fixture(scope="module")
def worked(memory: duckdb.DuckDBPyConnection) -> list[dict[str, object]]:
    fill(memory, [cell for name, (lines, _) in CASES.items() for cell in cells(name, lines)])
    return rows_of(memory, "FROM statements")


@pytest.mark.parametrize("name", CASES)
def test_the_basis_with_most_full_years(name: str, worked: list[dict[str, object]]) -> None:
    lines, basis = CASES[name]
    found = [row for row in worked if row["company_id"] == name]
    assert {row["basis"] for row in found} == {basis}
    years = [str(end.year) for end, count in zip(YEARS, lines[basis], strict=False) if count]
    assert sorted(str(row["fiscal_year"]) for row in found) == years
    assert {row["total_assets"] for row in found} == {BASES.index(basis)}


COUNTS = st.lists(st.sampled_from([0, 0, 1, 2, 3, 4, 6]), min_size=4, max_size=4).map(tuple)
MIXED = st.lists(
    st.fixed_dictionaries(dict.fromkeys(BASES, COUNTS)).filter(
        lambda lines: any(any(counts) for counts in lines.values())
    ),
    min_size=25,
    max_size=25,
)


@settings(max_examples=8)
@given(companies=MIXED)
def test_all_years_of_a_company_are_of_one_basis(
    companies: list[Lines], memory: duckdb.DuckDBPyConnection
) -> None:
    """All years of a company are of one basis: the one with most years at least half as full as the
    company's fullest; of those with as many consolidated, then standalone, then unstated."""
    fill(memory, [cell for n, told in enumerate(companies) for cell in cells(f"c{n:02}", told)])
    expected = []
    for n, told in enumerate(companies):
        fullest = max(max(counts) for counts in told.values())
        full = {b: sum(2 * count >= fullest for count in told[b]) for b in BASES}
        basis = max(BASES, key=lambda b: (full[b], -BASES.index(b)))
        years = [end for end, count in zip(YEARS, told[basis], strict=True) if count]
        expected += [(f"c{n:02}", end, basis, float(BASES.index(basis))) for end in years]
    found = memory.execute(
        "SELECT company_id, fiscal_year_end, basis, total_assets FROM statements ORDER BY ALL"
    ).fetchall()
    assert found == expected
    assert memory.execute(
        "SELECT DISTINCT company_id, basis FROM one_basis ORDER BY ALL"
    ).fetchall() == sorted({(company, basis) for company, _, basis, _ in expected})


@settings(max_examples=4)
@given(companies=MIXED)
def test_consolidated_unless_another_basis_has_more_full_years(
    companies: list[Lines], memory: duckdb.DuckDBPyConnection
) -> None:
    """A company is taken as a group, from consolidated accounts, unless another basis has more full
    years: with consolidated accounts as full as any, of all years, it always is."""
    fill(
        memory,
        [
            cell
            for n, told in enumerate(companies)
            for cell in cells(f"c{n}", {**told, "consolidated": (6, 6, 6, 6)})
        ],
    )
    found = memory.execute("SELECT basis, count(*) FROM statements GROUP BY basis").fetchall()
    assert found == [("consolidated", 4 * len(companies))]


# Parts.

NAMES = [
    "acme", "Acme", "ACME", "acme ltd", "b", "bolt", "é", "zebra", "0", "000", "the 'quoted'", "Ω",
    "a-1",
]  # fmt: skip


@pytest.fixture
def companies(memory: duckdb.DuckDBPyConnection) -> list[Cell]:
    """Companies with and without statements, some with failures of checks and disagreements."""
    told = []
    for n, name in enumerate(NAMES):
        for source, assets in (("nse xbrl", 100.5), ("moneycontrol", 100.5 + n)):
            for end in YEARS[: 1 + n % 3]:
                cell = Cell(assets, fiscal_year_end=end, company_id=name, source=source)
                sides = replace(cell, item="equity_and_liabilities", value=100.5 + n % 2 * 50)
                told += [cell, sides, replace(cell, item="cash", value=float(n % 4 - 1))]
    fill(memory, told)
    memory.execute("INSERT INTO company (company_id, snapshot_id) VALUES ('c empty', 1)")
    return told


SIZES = st.integers(1, len(NAMES) + 3)


@pytest.mark.slow
@settings(max_examples=6)
@given(size=SIZES)
def test_parts_add_up_to_the_whole(size: int, memory: duckdb.DuckDBPyConnection) -> None:
    """The parts of any size together are exactly the rows of `statements`, each once, and none has
    more companies than that."""
    fill(memory, [Cell(float(n), company_id=name) for n, name in enumerate(NAMES)])
    query = "SELECT company_id, total_assets, n_items FROM statements"
    whole = memory.execute(query).fetchall()
    parts = [memory.execute(query).fetchall() for _ in store.parts(memory, size=size)]
    assert Counter(row for part in parts for row in part) == Counter(whole)
    assert len(whole) == len(NAMES)
    assert max(len(part) for part in parts) <= size
    assert variables(memory) == (None, None)


def variables(connection: duckdb.DuckDBPyConnection) -> tuple[object, ...] | None:
    return store.one_row(
        connection, "SELECT getvariable('first_company'), getvariable('next_company')"
    )


def test_a_part_does_not_outlive_its_loop(
    memory: duckdb.DuckDBPyConnection, companies: list[Cell]
) -> None:
    for _ in store.parts(memory, size=2):
        assert variables(memory) != (None, None)
        break
    assert variables(memory) == (None, None)
    with pytest.raises(duckdb.BinderException):
        fail_in_a_part(memory)
    assert variables(memory) == (None, None)


def fail_in_a_part(connection: duckdb.DuckDBPyConnection) -> None:
    with store.transaction(connection):
        for _ in store.parts(connection, size=2):
            connection.execute("SELECT no_such_column FROM statements")


def test_one_company_is_one_and_no_other(
    memory: duckdb.DuckDBPyConnection, companies: list[Cell]
) -> None:
    """Limited to one company, the views say of it what they say of it among all, and nothing of
    those whose names begin alike."""
    whole = memory.execute("SELECT company_id, total_assets FROM statements").fetchall()
    for name in ("acme", "Acme", "the 'quoted'", "Ω"):
        with store.one_company(memory, name):
            found = memory.execute("SELECT company_id, total_assets FROM statements").fetchall()
        assert Counter(found) == Counter(row for row in whole if row[0] == name) != Counter()
        assert variables(memory) == (None, None)


def test_a_part_of_no_companies_at_all() -> None:
    with store.in_memory() as connection:
        found = [connection.execute("FROM statements").fetchall() for _ in store.parts(connection)]
    assert found == [[]]


def checked(connection: duckdb.DuckDBPyConnection) -> tuple[list[tuple[object, ...]], ...]:
    """What the checks count and keep."""
    results: list[tuple[object, ...]] = [
        (r.check.name, r.judged, r.failed) for r in store.run_checks(connection)
    ]
    kept = [
        sorted(connection.execute(f"FROM {table}").fetchall(), key=repr)
        for table in ("check_failure", "disagreement")
    ]
    return (results, *kept)


@pytest.mark.slow
def test_checks_give_the_same_whatever_the_size_of_a_part(
    memory: duckdb.DuckDBPyConnection, companies: list[Cell], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that the checks say of a company rests on its own rows."""
    results, failures, disagreements = checked(memory)
    assert len(failures) > 5
    assert len(disagreements) > 5
    for size in (2, 5, len(NAMES)):
        monkeypatch.setattr(store, "PART", size)
        assert sum(1 for _ in store.parts(memory)) == -(-(len(NAMES) + 1) // size)
        assert checked(memory) == (results, failures, disagreements)
