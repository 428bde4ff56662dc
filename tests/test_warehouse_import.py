"""Import of the long files: what is loaded, what wins, and that it is all or nothing."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command, Row, contents, loaded, rows_of, write_csv, year_rows

from warehouse import store
from warehouse.importers import import_files

STATEMENTS: list[Row] = [
    *year_rows("acme", "2020-03-31", {"cash": 25, "sales": 800.5, "inventories": ""}),
    *year_rows("acme", "2021-03-31", {"cash": 0, "net_profit": -6.25}),
]
FULL: list[Row] = [
    {
        "company_id": "acme",
        "company_name": "Acme Mills Limited",
        "nse_symbol": "ACME",
        "isin": "INE000A01011",
        "cin": "L12345MH1990PLC000001",
        "fiscal_year_end": "2020-03-31",
        "basis": "consolidated",
        "item": item,
        "value": value,
        "unit": "INR lakh",
        "months": 9,
        "source": "annual report",
        "filed_at": "2020-08-15",
        "note": "reported",
    }
    for item, value in (("cash", 2500), ("sales", 80050), ("inventories", None))
]


def tables(db: Path, *files: Path) -> dict[str, list[tuple[object, ...]]]:
    """All rows of a warehouse of these files, without names, sizes and times of loading."""
    with loaded(db, *files) as connection:
        return {
            name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall()
            for name in ("statement_line", "company", "alias", "insolvency_event", "statements")
        }


def cells(db: Path, sql: str) -> list[tuple[object, ...]]:
    with store.connect(db, read_only=True) as connection:
        return connection.execute(sql).fetchall()


def test_csv_and_parquet_give_the_same(tmp_path: Path) -> None:
    text = write_csv(tmp_path / "s.csv", FULL)
    typed = pd.DataFrame(FULL).assign(
        fiscal_year_end=lambda f: pd.to_datetime(f["fiscal_year_end"]),
        filed_at=lambda f: pd.to_datetime(f["filed_at"]).dt.date,
        basis=lambda f: f["basis"].astype("category"),
    )
    typed.to_parquet(tmp_path / "s.parquet")
    from_csv = tables(tmp_path / "a.duckdb", text)
    from_parquet = tables(tmp_path / "b.duckdb", tmp_path / "s.parquet")
    # A Parquet file has no header: its first row is row 1.
    lines = from_parquet.pop("statement_line")  # the last column is restated_on
    assert [(*line[:-2], line[-2] + 1, None) for line in lines] == from_csv.pop("statement_line")
    assert len(lines) == 3
    assert from_parquet == from_csv


def test_values_units_and_provenance(db: Path, tmp_path: Path) -> None:
    with loaded(db, write_csv(tmp_path / "s.csv", FULL)) as connection:
        lines = rows_of(connection, "FROM statement_line ORDER BY row_number")
        company = rows_of(connection, "FROM company")
        (year,) = rows_of(connection, "FROM statements")
        aliases = connection.execute("SELECT kind, alias FROM alias ORDER BY kind").fetchall()
    # 2,500 lakh are 25 crore; the first data row of a CSV is row 2.
    assert [(r["item"], r["value"], r["row_number"]) for r in lines] == [
        ("cash", 25.0, 2),
        ("sales", 800.5, 3),
        ("inventories", None, 4),
    ]
    assert lines[0] | {"snapshot_id": 0} == {
        "company_id": "acme",
        "fiscal_year_end": date(2020, 3, 31),
        "basis": "consolidated",
        "item": "cash",
        "value": 25.0,
        "unit": "INR lakh",
        "months": 9,
        "source": "annual report",
        "note": "reported",
        "filed_at": date(2020, 8, 15),
        "snapshot_id": 0,
        "row_number": 2,
        "restated_on": None,
    }
    assert (company[0]["company_name"], company[0]["nse_symbol"]) == ("Acme Mills Limited", "ACME")
    assert (year["cash"], year["inventories"]) == (25.0, None)
    assert (year["months"], year["available_from"]) == (9, date(2020, 8, 15))
    assert aliases == [
        ("cin", "L12345MH1990PLC000001"),
        ("company_name", "Acme Mills Limited"),
        ("isin", "INE000A01011"),
        ("nse_symbol", "ACME"),
    ]


def test_what_is_not_said_has_the_documented_default(db: Path, tmp_path: Path) -> None:
    with loaded(db, write_csv(tmp_path / "s.csv", STATEMENTS)) as connection:
        rows = rows_of(connection, "SELECT DISTINCT basis, unit, months, filed_at, note"
                       " FROM statement_line")  # fmt: skip
        year = rows_of(connection, "FROM statements ORDER BY fiscal_year")
    assert rows == [
        {"basis": "unstated", "unit": "INR crore", "months": 12, "filed_at": None,
         "note": "reported"}
    ]  # fmt: skip
    # An empty cell is kept, and is never 0; a 0 is a 0.
    assert [(y["cash"], y["inventories"], y["net_profit"]) for y in year] == [
        (25, None, None),
        (0, None, -6.25),
    ]


def test_empty_cells_are_kept_as_null(db: Path, tmp_path: Path) -> None:
    with loaded(db, write_csv(tmp_path / "s.csv", STATEMENTS)) as connection:
        found = connection.execute(
            "SELECT item, value FROM statement_line WHERE fiscal_year_end = '2020-03-31'"
            " ORDER BY item"
        ).fetchall()
    assert found == [("cash", 25.0), ("inventories", None), ("sales", 800.5)]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("byte order mark", lambda text: "\ufeff" + text),
        ("CRLF", lambda text: text.replace("\n", "\r\n")),
        ("no newline at the end", lambda text: text.rstrip("\n")),
        ("spaces", lambda text: text.replace(",", " , ")),
        ("quotes", lambda text: "\n".join(
            ",".join(f'"{cell}"' for cell in line.split(",")) for line in text.splitlines())),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_ways_to_write_a_csv(tmp_path: Path, name: str, change: object) -> None:
    plain = write_csv(tmp_path / "plain.csv", STATEMENTS)
    text = plain.read_bytes().decode().replace("\r\n", "\n")
    other = tmp_path / "other.csv"
    other.write_bytes(change(text).encode())  # type: ignore[operator]
    with store.in_memory() as connection:
        import_files(connection, [plain])
        expected = connection.execute("FROM statement_line ORDER BY ALL").fetchall()
    with store.in_memory() as connection:
        import_files(connection, [other])
        assert connection.execute("FROM statement_line ORDER BY ALL").fetchall() == expected
    assert len(expected) == 5


def test_the_same_file_twice_changes_nothing(cli: Command, db: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "s.csv", STATEMENTS)
    copy = write_csv(tmp_path / "copy.csv", STATEMENTS)
    assert cli("warehouse", "import", file, "--db", db).code == 0
    before = {k: v for k, v in contents(db).items() if k != "run"}
    for again in (file, copy):
        ran = cli("warehouse", "import", again, "--db", db)
        assert ran.code == 0
        assert "nothing changed" in ran.out
    after = contents(db)
    assert {k: v for k, v in after.items() if k != "run"} == before
    assert len(after["statement_line"]) == 5
    assert len(after["run"]) == 3  # every run is on record


def test_the_same_file_twice_in_one_command(db: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "s.csv", STATEMENTS)
    with store.connect(db, create=True) as connection:
        done = import_files(connection, [file, file])
        assert [each.already_there for each in done] == [False, True]
        assert connection.execute("SELECT count(*) FROM statement_line").fetchone() == (5,)


def test_a_bad_second_file_leaves_nothing_of_the_first(
    cli: Command, db: Path, tmp_path: Path
) -> None:
    old = write_csv(tmp_path / "old.csv", STATEMENTS)
    good = write_csv(tmp_path / "good.csv", year_rows("bolt", "2020-03-31", {"cash": 1}))
    bad = write_csv(tmp_path / "bad.csv", year_rows("cord", "2020-03-31", {"cash": "many"}))
    assert cli("warehouse", "import", old, "--db", db).code == 0
    before = contents(db)
    ran = cli("warehouse", "import", good, bad, "--db", db)
    assert ran.code == 2
    assert str(bad) in ran.err
    assert contents(db) == before
    assert cli("warehouse", "import", good, "--db", db).code == 0  # and it can be loaded later
    assert len(contents(db)["statement_line"]) == 6


def test_a_bad_file_makes_no_warehouse(cli: Command, db: Path, tmp_path: Path) -> None:
    bad = write_csv(tmp_path / "bad.csv", year_rows("cord", "2020-03-31", {"cash": "many"}))
    assert cli("warehouse", "import", bad, "--db", db).code == 2
    assert not db.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]


def test_aliases_of_columns_and_ignored_columns_are_told(
    cli: Command, db: Path, tmp_path: Path
) -> None:
    companies = [
        {"company_id": "acme", "company_name": "Acme", "industry": "textiles", "mood": "good"}
    ]
    events = [
        {"company_id": "acme", "event_type": "petition_only", "event_date": "2020-01-01",
         "date_confidence": "B", "doubt": "none"}
    ]  # fmt: skip
    files = (write_csv(tmp_path / "c.csv", companies), write_csv(tmp_path / "e.csv", events))
    ran = cli("warehouse", "import", *files, "--db", db)
    assert ran.code == 0
    lines = ran.out.splitlines()
    assert "c.csv: columns read under another name: industry as sector" in lines
    assert "c.csv: columns ignored: mood" in lines
    assert "e.csv: columns read under another name: date_confidence as confidence" in lines
    assert "e.csv: columns ignored: doubt" in lines
    assert cells(db, "SELECT sector FROM company") == [("textiles",)]
    assert cells(db, "SELECT confidence FROM insolvency_event") == [("B",)]


def test_a_column_goes_before_its_alias(db: Path, tmp_path: Path) -> None:
    rows = [{"company_id": "acme", "company_name": "Acme", "industry": "a", "sector": "b"}]
    with loaded(db, write_csv(tmp_path / "c.csv", rows)) as connection:
        assert connection.execute("SELECT sector FROM company").fetchone() == ("b",)


@pytest.mark.parametrize("name", ["[/red]", "[bold]mine"])
def test_names_that_look_like_markup_are_printed_as_they_are(
    name: str, cli: Command, db: Path, tmp_path: Path
) -> None:
    file = write_csv(tmp_path / "s.csv", [{**row, name: 1} for row in STATEMENTS])
    ran = cli("warehouse", "import", file, "--db", db)
    assert ran.code == 0
    assert f"s.csv: columns ignored: {name}" in ran.out.splitlines()


# name: (columns of the first load, of the second, of cash 1 and 2; the one that is taken)
WINNERS: dict[str, tuple[dict[str, str], dict[str, str], float]] = {
    "later filing": ({"filed_at": "2020-08-01"}, {"filed_at": "2021-08-01"}, 2),
    "later filing, loaded first": ({"filed_at": "2021-08-01"}, {"filed_at": "2020-08-01"}, 1),
    "undated loses": ({"filed_at": "2020-08-01"}, {}, 1),
    "later load": ({}, {}, 2),
    "proxy loses": ({}, {"note": "proxy", "filed_at": "2022-08-01"}, 1),
    "proxy loses, loaded first": ({"note": "proxy"}, {"note": "reported"}, 2),
    "derived loses": ({"note": "reported"}, {"note": "derived", "filed_at": "2022-08-01"}, 1),
    "proxy loses to derived": ({"note": "derived"}, {"note": "proxy", "filed_at": "2022-08-01"}, 1),
    "empty says nothing": ({}, {"value": ""}, 1),
}


@pytest.fixture(scope="module")
def loaded_twice(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[object, object]]:
    """The cash that is taken and the count of cells, by case: one company each, two loads."""
    folder = tmp_path_factory.mktemp("twice")
    files = []
    for load in (0, 1):
        rows = [
            {"source": "", "note": "", "filed_at": "", **row, **case[load]}
            for name, case in WINNERS.items()
            for row in year_rows(name, "2020-03-31", {"cash": load + 1})
        ]
        files.append(write_csv(folder / f"{load}.csv", rows))
    with loaded(folder / "w.duckdb", *files) as connection:
        rows = connection.execute(
            "SELECT company_id, cash, n FROM statements JOIN (SELECT company_id, count(*) AS n"
            " FROM statement_line GROUP BY company_id) USING (company_id)"
        ).fetchall()
    return {name: (cash, count) for name, cash, count in rows}


@pytest.mark.parametrize("name", WINNERS)
def test_which_cell_wins(name: str, loaded_twice: dict[str, tuple[object, object]]) -> None:
    assert loaded_twice[name] == (WINNERS[name][2], 2)  # and both versions are kept


def test_statements_do_not_overwrite_a_company(db: Path, tmp_path: Path) -> None:
    companies = [
        {"company_id": "acme", "company_name": "Acme Mills Limited", "sector": "textiles",
         "is_financial": "false", "in_nifty500": "true"}
    ]  # fmt: skip
    named = [{**row, "company_name": "ACME MILL", "isin": "INE1"} for row in STATEMENTS]
    files = (write_csv(tmp_path / "c.csv", companies), write_csv(tmp_path / "s.csv", named))
    with loaded(db, *files) as connection:
        (row,) = rows_of(connection, "FROM company")
        aliases = connection.execute("SELECT alias FROM alias ORDER BY ALL").fetchall()
    assert (row["company_name"], row["sector"], row["in_nifty500"]) == (
        "Acme Mills Limited", "textiles", True,
    )  # fmt: skip
    assert aliases == [("ACME MILL",), ("Acme Mills Limited",), ("INE1",)]


def test_a_companies_file_overwrites_what_statements_said(db: Path, tmp_path: Path) -> None:
    named = [{**row, "company_name": "ACME MILL"} for row in STATEMENTS]
    companies = [
        {"company_id": "acme", "company_name": "Acme", "in_nifty500": "2019-10-08;2023-08-15"}
    ]
    files = (write_csv(tmp_path / "s.csv", named), write_csv(tmp_path / "c.csv", companies))
    with loaded(db, *files) as connection:
        (row,) = rows_of(connection, "FROM company")
        lists = connection.execute(
            "SELECT list_date::VARCHAR FROM index_member ORDER BY ALL"
        ).fetchall()
    assert (row["company_name"], row["in_nifty500"], row["is_financial"]) == ("Acme", True, None)
    assert lists == [("2019-10-08",), ("2023-08-15",)]


def test_events_without_a_company_are_kept(db: Path, tmp_path: Path) -> None:
    events = [
        {"company_id": "", "event_type": "cirp_admission", "event_date": "2018-07-20",
         "company_name": "Nobody Knows Limited", "cin": "U1", "usable": "True"},
        {"company_id": "acme", "event_type": "petition_only", "event_date": "", "usable": "no"},
    ]  # fmt: skip
    with loaded(db, write_csv(tmp_path / "e.csv", events)) as connection:
        found = rows_of(connection, "FROM insolvency_event ORDER BY row_number")
    assert [
        (r["company_id"], r["company_name"], r["event_date"], r["usable"], r["row_number"])
        for r in found
    ] == [
        (None, "Nobody Knows Limited", date(2018, 7, 20), True, 2),
        ("acme", None, None, False, 3),
    ]


def test_macro_by_our_names_and_the_source_s(db: Path, tmp_path: Path) -> None:
    ours = [{"year": 2018, "inflation": 4.5, "gdp_growth": ""}]
    theirs = [{"year": 2019, "wb_gdp_growth_pct": 6.5, "ilo_unemployment_pct_vintage2022": 5.5}]
    files = (write_csv(tmp_path / "a.csv", ours), write_csv(tmp_path / "b.csv", theirs))
    with loaded(db, *files) as connection:
        found = connection.execute(
            "SELECT series, year, value FROM macro ORDER BY year, series"
        ).fetchall()
    assert found == [
        ("inflation", 2018, 4.5),
        ("gdp_growth", 2019, 6.5),
        ("unemployment", 2019, 5.5),
    ]


def test_snapshot_and_run_are_recorded(cli: Command, db: Path, tmp_path: Path) -> None:
    file = write_csv(tmp_path / "s.csv", STATEMENTS)
    started = datetime.now()
    assert cli("warehouse", "import", file, "--db", db).code == 0
    ((kind, name, size, rows, loaded_at),) = cells(
        db, "SELECT kind, name, bytes, rows, loaded_at FROM snapshot"
    )
    assert (kind, name, size, rows) == ("statements", "s.csv", file.stat().st_size, 5)
    assert started <= loaded_at <= datetime.now()  # type: ignore[operator]
    ((command, summary),) = cells(db, "SELECT command, summary FROM run")
    assert (command, "s.csv" in str(summary)) == ("import", True)


def test_nested_and_odd_parquet_columns_are_ignored(db: Path, tmp_path: Path) -> None:
    table = pa.table(
        {
            "company_id": ["acme"],
            "fiscal_year_end": [date(2020, 3, 31)],
            "item": ["cash"],
            "value": pa.array([1.5], pa.float32()),
            "months": pa.array([12], pa.int8()),
            "extra": [[1, 2]],
        }
    )
    pq.write_table(table, tmp_path / "s.parquet")
    with loaded(db, tmp_path / "s.parquet") as connection:
        found = connection.execute("SELECT value, months FROM statement_line").fetchall()
    assert found == [(1.5, 12)]


def test_values_are_stored_to_the_last_digit(db: Path, tmp_path: Path) -> None:
    values = [0.1, 1 / 3, 123456789.123456789, 5e-324, -2.2250738585072014e-308, 1e9]
    rows = [
        {"company_id": f"c{n}", "fiscal_year_end": "2020-03-31", "item": "tax", "value": repr(v)}
        for n, v in enumerate(values)
    ]
    pq.write_table(
        pa.Table.from_pylist([{**row, "value": float(str(row["value"]))} for row in rows]),
        tmp_path / "s.parquet",
    )
    for file in (write_csv(tmp_path / "s.csv", rows), tmp_path / "s.parquet"):
        with store.in_memory() as connection:
            import_files(connection, [file])
            found = connection.execute("SELECT value FROM statement_line ORDER BY company_id")
            assert [value for (value,) in found.fetchall()] == values
