"""`warehouse.plain`: the years of a plain file, as the warehouse's views and checks tell them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from features.dataset import materialise, years_sql
from warehouse import formats, importers, store
from warehouse.errors import InputError
from warehouse.items import DERIVED, ITEMS, UNITS
from warehouse.plain import MOST_ROWS, plain_years

EXAMPLE = Path(__file__).resolve().parents[1] / "docs" / "example_statements.csv"
NAMES = [*(item.name for item in ITEMS), *(derived.name for derived in DERIVED)]


@pytest.fixture(scope="module")
def desk() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse."""
    with store.in_memory() as connection:
        yield connection


def by_warehouse(table: pa.Table, desk: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The same by the warehouse."""
    with store.undone(desk) as connection:
        importers.import_table(connection, formats.STATEMENTS, table, "file.csv")
        store.run_checks(connection)
        materialise(connection)
        order = "ORDER BY company_id, fiscal_year"
        return connection.execute(f"FROM ({years_sql()}) {order}").fetch_df()


def assert_same(mine: pd.DataFrame, theirs: pd.DataFrame) -> None:
    assert set(mine.columns) <= set(theirs.columns)
    assert len(mine) == len(theirs)
    for name in mine.columns:
        for row, (a, b) in enumerate(zip(mine[name], theirs[name], strict=True)):
            where = (name, row, a, b)
            if pd.isna(a) or pd.isna(b):
                assert pd.isna(a) == pd.isna(b), where
            elif isinstance(a, float):
                assert math.isclose(a, float(b), rel_tol=1e-12, abs_tol=1e-300), where
            else:
                assert a == b, where


def test_the_example_is_plain_and_the_same(desk: duckdb.DuckDBPyConnection) -> None:
    table = importers.read(EXAMPLE).table
    found = plain_years(table)
    assert found is not None
    assert found["fiscal_year"].tolist() == [2015, 2016, 2017, 2018]
    assert_same(found, by_warehouse(table, desk))


@pytest.mark.slow
def test_real_documents_are_the_same(shared: Path, desk: duckdb.DuckDBPyConnection) -> None:
    paths = [*(shared / "fixtures/screener").glob("*.xlsx"), *(shared / "fixtures/xbrl").glob("*")]
    plain = 0
    for path in paths:
        try:
            incoming = importers.read(path)
        except InputError:
            continue
        found = plain_years(incoming.table)
        if found is not None:
            plain += 1
            assert_same(found, by_warehouse(incoming.table, desk))
    assert plain >= 14


@pytest.mark.slow
def test_real_long_statements_are_the_same(shared: Path, desk: duckdb.DuckDBPyConnection) -> None:
    path = shared / "data/india/statements.parquet"
    table = importers.read(path).table
    names = table.column("company_id").unique().to_pylist()
    for name in names[:: max(1, len(names) // 12)]:
        one = table.filter(pc.equal(table.column("company_id"), name))
        found = plain_years(one)
        if found is not None:
            assert_same(found, by_warehouse(one, desk))


def row(**cells: Any) -> dict[str, Any]:
    usual = {"company_id": "a", "fiscal_year_end": "2019-03-31", "item": "cash", "value": "7"}
    return usual | cells


def made(*rows: dict[str, Any]) -> pa.Table:
    names = dict.fromkeys(name for one in rows for name in one)
    return pa.table({name: [one.get(name) for one in rows] for name in names})


ODD = {
    "two sources": (row(source="a"), row(item="sales", source="b")),
    "two filings": (row(filed_at="2019-06-01"), row(item="sales", filed_at="2019-07-01")),
    "filed and not": (row(filed_at="2019-06-01"), row(item="sales")),
    "the same twice": (row(), row()),
    "an item twice": (row(filed_at="2019-05-01"), row(available_from="2019-05-01")),
    "an unknown item": (row(item="goodwill"),),
    "no number": (row(value="1,000"),),
    "infinite": (row(value="1e999"),),
    "underscores": (row(value="1_000"),),
    "no date": (row(fiscal_year_end="31-03-2019"),),
    "no such day": (row(fiscal_year_end="2019-02-30"),),
    "long ago": (row(fiscal_year_end="1979-03-31"),),
    "tomorrow": (row(fiscal_year_end=str(date.today() + timedelta(1))),),
    "filed before the end": (row(filed_at="2019-01-01"),),
    "no company": (row(company_id=" "),),
    "a long name": (row(company_name="x" * 501),),
    "no such unit": (row(unit="USD"),),
    "no such basis": (row(basis="group"),),
    "half a month": (row(months="11.5"),),
    "no months": (row(months="0"),),
    "more than the economy": (row(value="1e10"),),
    "nothing but interim figures": (row(note="interim"),),
    "nothing at all": (row(value=None),),
    "a zero to divide by": (
        row(item="total_assets", value="0"),
        row(item="fixed_assets", value="1"),
    ),
}


@pytest.mark.parametrize("rows", ODD.values(), ids=ODD)
def test_an_odd_file_is_for_the_warehouse(rows: tuple[dict[str, Any], ...]) -> None:
    assert plain_years(made(*rows)) is None


def test_a_company_with_a_known_error_is_for_the_warehouse(monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain_years(made(row())) is not None
    monkeypatch.setattr("warehouse.fusion.corrected_companies", lambda: frozenset({"a"}))
    assert plain_years(made(row())) is None


def test_a_large_file_is_for_the_warehouse() -> None:
    names = [f"c{n}" for n in range(MOST_ROWS + 1)]
    columns = {"company_id": names, "fiscal_year_end": "2019-03-31", "item": "cash", "value": "1"}
    table = pa.Table.from_pandas(pd.DataFrame(columns), preserve_index=False)
    assert plain_years(table) is None
    found = plain_years(table.slice(1))
    assert found is not None
    assert len(found) == MOST_ROWS


def test_columns_with_types_are_the_same(desk: duckdb.DuckDBPyConnection) -> None:
    table = pa.table(
        {
            "company_id": ["a", "a"],
            "fiscal_year_end": pa.array([date(2019, 3, 31)] * 2, pa.date32()),
            "item": ["cash", "total_assets"],
            "value": pa.array([7, 100], pa.int64()),
            "months": pa.array([12.0, None], pa.float64()),
            "note": pa.nulls(2),
        }
    )
    found = plain_years(table)
    assert found is not None
    assert_same(found, by_warehouse(table, desk))
    assert plain_years(table.set_column(3, "value", pa.array([True, False]))) is None


VALUES = st.one_of(
    st.none(),
    st.sampled_from(["0", "-0.0", "100", "1e5", " 12.50 ", "99.99", "100000"]),
    st.integers(-2_000, 200_000).map(str),
    st.floats(-1e4, 1e4, allow_nan=False).map(repr),
)
ENDS = [
    date(2016, 3, 31), date(2017, 3, 31), date(2018, 3, 31), date(2018, 12, 31), date(2019, 3, 31),
    date(2016, 2, 29), date(2017, 2, 28), date(2020, 6, 30), date(2017, 4, 12),
]  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> pa.Table:
    """Files of two companies: mostly plain, with every thing that a view has an opinion on."""
    rows = []
    for company in draw(st.sampled_from([["a"], ["b", "A"]])):
        for end in draw(st.lists(st.sampled_from(ENDS), min_size=1, max_size=6, unique=True)):
            filed = draw(st.sampled_from([None, str(end + timedelta(50))]))
            shared = {
                "company_id": company,
                "company_name": draw(st.sampled_from([None, "Zeta", "Alpha"])),
                "fiscal_year_end": str(end),
                "unit": draw(st.sampled_from([None, *(unit.name for unit in UNITS)])),
                "months": draw(st.sampled_from([None, "12", "9", "6", "15"])),
                "filed_at": filed,
                "available_from": draw(
                    st.sampled_from([None, *(str(end + timedelta(n)) for n in (10, 60, 200))])
                ),
            }
            for basis in draw(st.sampled_from([[None], ["consolidated"], ["standalone", None]])):
                chosen = draw(st.lists(st.sampled_from(NAMES), max_size=25, unique=True))
                note = draw(st.sampled_from([None, "proxy", "derived", "interim"]))
                rows += [
                    shared
                    | {"basis": basis, "item": item, "value": draw(VALUES)}
                    | {"note": note if draw(st.booleans()) else None}
                    for item in chosen
                ]
    return made(*rows, row(company_id="c"))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(table=files())
def test_any_file_is_the_same_or_for_the_warehouse(
    desk: duckdb.DuckDBPyConnection, table: pa.Table
) -> None:
    found = plain_years(table)
    event("plain" if found is not None else "for the warehouse")
    if found is not None:
        assert_same(found, by_warehouse(table, desk))
