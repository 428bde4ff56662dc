"""Trends and volatilities of ratios: worked by hand, gaps, and that only the past is used."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import loaded, rows_of, write_csv, year_rows
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.ratios import RATIOS, ratios_sql
from features.trends import CODES, TRENDS, trend_features, trend_reasons_sql, trends_sql
from warehouse import store

SCHEMA = pa.schema(
    [
        ("company_id", "string"),
        ("fiscal_year", "int64"),
        ("fiscal_year_end", "date32"),
        ("prev_fiscal_year_end", "date32"),
        ("X1", "float64"),
        ("X2", "float64"),
    ]
)
Row = dict[str, object]


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        yield connection


def years(
    values: Mapping[int, float | None], company: str = "acme", other: float | None = None
) -> list[Row]:
    """March years with X1; each knows the one before it if that is there."""
    return [
        {
            "company_id": company,
            "fiscal_year": year,
            "fiscal_year_end": date(year, 3, 31),
            "prev_fiscal_year_end": date(year - 1, 3, 31) if year - 1 in values else None,
            "X1": value,
            "X2": other,
        }
        for year, value in values.items()
    ]


def computed(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[Row], codes: Sequence[str] = ("X1",)
) -> dict[tuple[str, int], Row]:
    """The rows with their trends, by company and year."""
    connection.register("made_up", pa.Table.from_pylist(list(rows), schema=SCHEMA))
    found = rows_of(connection, trends_sql("made_up", codes))
    assert len(found) == len(rows)
    return {(str(row["company_id"]), int(str(row["fiscal_year"]))): row for row in found}


def x1(
    found: Mapping[tuple[str, int], Row], year: int, company: str = "acme"
) -> tuple[object, ...]:
    row = found[company, year]
    return row["X1_trend2"], row["X1_vol3"]


def reasons(
    connection: duckdb.DuckDBPyConnection, rows: Sequence[Row]
) -> dict[tuple[int, str], str]:
    connection.register("made_up", pa.Table.from_pylist(list(rows), schema=SCHEMA))
    found = rows_of(connection, trend_reasons_sql("made_up", ["X1"]))
    return {(int(str(r["fiscal_year"])), str(r["code"])): str(r["reason"]) for r in found}


def test_worked_by_hand(memory: duckdb.DuckDBPyConnection) -> None:
    found = computed(memory, years({2020: 2.0, 2021: 3.0, 2022: 7.0, 2023: 5.0}))
    # 2022: trend (7 - 2)/2 = 2.5; mean 4, squares 4 + 1 + 9 = 14, 14/2 = 7.
    assert x1(found, 2022) == (2.5, pytest.approx(math.sqrt(7), rel=1e-15))
    # 2023: trend (5 - 3)/2 = 1; mean 5, squares 4 + 4 + 0 = 8, 8/2 = 4.
    assert x1(found, 2023) == (1.0, 2.0)
    assert x1(found, 2020) == x1(found, 2021) == (None, None)


def test_of_the_worked_example(tmp_path: Path) -> None:
    """Through the warehouse: X15, sales over assets, of three years; a year that follows a gap."""
    sales = {"2018-03-31": 900, "2020-03-31": 500, "2021-03-31": 800, "2022-03-31": 1100}
    rows = [
        row
        for end, value in sales.items()
        for row in year_rows("acme", end, {"sales": value, "total_assets": 1000.0})
    ]
    with loaded(tmp_path / "w.duckdb", write_csv(tmp_path / "s.csv", rows)) as connection:
        connection.execute("CREATE TEMP TABLE yearly AS FROM statements")
        ratios = f"({ratios_sql('yearly')})"
        found = {row["fiscal_year"]: row for row in rows_of(connection, trends_sql(ratios))}
    assert found[2022]["X15"] == 1.1
    assert found[2022]["X15_trend2"] == pytest.approx(0.3, rel=1e-12)  # (1.1 - 0.5)/2
    assert found[2022]["X15_vol3"] == pytest.approx(0.3, rel=1e-12)  # 0.5, 0.8, 1.1
    assert [found[year]["X15_trend2"] for year in (2018, 2020, 2021)] == [None] * 3
    added = list(found[2022])[-2 * len(RATIOS) :]
    assert tuple(added) == trend_features()


def test_a_gap_breaks_the_chain(memory: duckdb.DuckDBPyConnection) -> None:
    """'NULL unless all three years are there without a gap.'"""
    series = {2016: 1.0, 2017: 2.0, 2019: 4.0, 2020: 5.0, 2021: 7.0}
    found = computed(memory, years(series))
    assert [year for year in series if x1(found, year) != (None, None)] == [2021]
    assert x1(found, 2021)[0] == 1.5
    why = reasons(memory, years(series))
    assert why == {
        (year, name): "no three years in a row"
        for year in (2016, 2017, 2019, 2020)
        for name in ("X1_trend2", "X1_vol3")
    }


def test_periods_that_do_not_follow_each_other(memory: duckdb.DuckDBPyConnection) -> None:
    """Consecutive years whose periods leave days between them are no chain."""
    rows = years({2020: 1.0, 2021: 2.0, 2022: 4.0})
    rows[1]["prev_fiscal_year_end"] = None
    assert x1(computed(memory, rows), 2022) == (None, None)


def test_a_changed_year_end_is_no_gap(memory: duckdb.DuckDBPyConnection) -> None:
    ends = [date(2019, 12, 31), date(2021, 3, 31), date(2022, 3, 31)]  # one period of 15 months
    rows = years({2019: 1.0, 2021: 2.0, 2022: 4.0})
    for row, end, before in zip(rows, ends, [None, *ends], strict=False):
        row |= {"fiscal_year_end": end, "prev_fiscal_year_end": before}
    assert x1(computed(memory, rows), 2022)[0] == 1.5


@pytest.mark.parametrize("gone", [2020, 2021, 2022])
def test_missing_value_is_null_and_named(gone: int, memory: duckdb.DuckDBPyConnection) -> None:
    """'NULL unless … the values not NULL.'"""
    rows = years({2020: 1.0, 2021: 2.0, 2022: 4.0} | {gone: None}, other=3.0)
    found = computed(memory, rows, ["X1", "X2"])
    assert x1(found, 2022) == (None, None)
    assert (found["acme", 2022]["X2_trend2"], found["acme", 2022]["X2_vol3"]) == (0.0, 0.0)
    assert reasons(memory, rows)[2022, "X1_vol3"] == "missing X1 in one of three years"


def test_never_infinite(memory: duckdb.DuckDBPyConnection) -> None:
    rows = years({2020: -1e308, 2021: 0.0, 2022: 1e308})
    assert x1(computed(memory, rows), 2022) == (None, None)
    assert reasons(memory, rows)[2022, "X1_trend2"] == "overflow"
    # The difference is finite, its square is not.
    rows = years({2020: 0.0, 2021: 0.0, 2022: 1e200})
    assert x1(computed(memory, rows), 2022) == (5e199, None)


def test_companies_do_not_mix(memory: duckdb.DuckDBPyConnection) -> None:
    rows = years({2020: 1.0, 2021: 2.0, 2022: 4.0}) + years({2021: 9.0, 2022: 9.0}, "other")
    found = computed(memory, rows)
    assert x1(found, 2022)[0] == 1.5
    assert x1(found, 2022, "other") == (None, None)


def test_names() -> None:
    assert [trend.suffix for trend in TRENDS] == ["trend2", "vol3"]
    assert trend_features(["X7"]) == ("X7_trend2", "X7_vol3")
    assert len(trend_features()) == 124 == len(set(trend_features()))
    assert tuple(f"X{n}" for n in range(1, 63)) == CODES


# What ratios are, and where many steps of one size are added without rounding.
VALUES = st.floats(-1e6, 1e6, allow_nan=False) | st.none()
SERIES = st.dictionaries(st.integers(2000, 2012), VALUES, max_size=13)
WHOLE = st.dictionaries(st.integers(2000, 2012), st.integers(-1000, 1000), max_size=13)


def by_python(series: Mapping[int, float | None], year: int) -> tuple[object, ...]:
    three = [series.get(y) for y in (year - 2, year - 1, year)]
    first, before, now = three
    if first is None or before is None or now is None:
        return None, None
    deviation = statistics.stdev([first, before, now])
    return (now - first) / 2, pytest.approx(deviation, rel=1e-9, abs=1e-9)


@settings(max_examples=50)
@given(series=SERIES)
def test_as_computed_by_python(
    series: dict[int, float | None], memory: duckdb.DuckDBPyConnection
) -> None:
    """'(X_t − X_{t−2})/2'; 'sample standard deviation of X_t, X_{t−1}, X_{t−2}'."""
    rows = years(series)
    found = computed(memory, rows)
    null = {(year, c) for year in series for c in ("X1_trend2", "X1_vol3")} - set(
        reasons(memory, rows)
    )
    for year in series:
        assert x1(found, year) == by_python(series, year)
        assert ((year, "X1_vol3") in null) == (x1(found, year)[1] is not None)


@settings(max_examples=50)
@given(years_=st.sets(st.integers(2000, 2012)), value=st.floats(-1e150, 1e150))
def test_constant_series(years_: set[int], value: float, memory: duckdb.DuckDBPyConnection) -> None:
    """'Constant series → trend 0 and volatility 0.'"""
    found = computed(memory, years(dict.fromkeys(years_, value)))
    for year in years_:
        whole = {year - 2, year - 1} <= years_
        assert x1(found, year) == ((0.0, 0.0) if whole else (None, None))


@settings(max_examples=50)
@given(series=WHOLE, constant=st.integers(-1000, 1000))
def test_adding_a_constant_changes_neither(
    series: dict[int, int], constant: int, memory: duckdb.DuckDBPyConnection
) -> None:
    """Whole numbers, which are added without rounding: the results are the same bit for bit."""
    found = computed(memory, years({year: float(x) for year, x in series.items()}))
    moved = computed(memory, years({year: float(x + constant) for year, x in series.items()}))
    for year in series:
        assert x1(found, year) == x1(moved, year)


@settings(max_examples=50)
@given(series=SERIES, later=SERIES, cut=st.integers(2002, 2010))
def test_future_years_change_nothing(
    series: dict[int, float | None],
    later: dict[int, float | None],
    cut: int,
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """'Only years up to t are used.'"""
    past = {year: value for year, value in series.items() if year <= cut}
    future = {year: value for year, value in later.items() if year > cut}
    assume(past)
    short, long = computed(memory, years(past)), computed(memory, years(past | future))
    for year in past:
        assert short["acme", year] == long["acme", year]


@settings(max_examples=25)
@given(series=SERIES, data=st.data())
def test_order_of_rows_changes_nothing(
    series: dict[int, float | None], data: st.DataObject, memory: duckdb.DuckDBPyConnection
) -> None:
    rows = years(series) + years(series, "other")
    shuffled = data.draw(st.permutations(rows))
    assert computed(memory, rows) == computed(memory, shuffled)
