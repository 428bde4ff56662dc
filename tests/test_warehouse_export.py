"""Export: files, hashes, and that what is exported can be imported again; `info`."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import Command, loaded, rows_of, write_csv, year_rows

from features.columns import COLUMNS
from warehouse import exports, store
from warehouse.__main__ import main
from warehouse.dictionary import EXPORTED, Column, Exported
from warehouse.exports import FORMULA_PREFIXES, csv_safe, without_guard, write_table

pytestmark = pytest.mark.slow

NAMES = (*(table.name for table in EXPORTED), "panel")
FORMATS = ("parquet", "csv")
FILES = {f"{name}.{kind}" for name in NAMES for kind in FORMATS}

Package = dict[str, dict[str, object]]


def source_files(folder: Path, year: dict[str, float]) -> list[Path]:
    rows = [
        *year_rows("calm", "2019-03-31", year, filed_at="2019-08-01", unit="INR crore"),
        *year_rows("calm", "2019-03-31", {"cash": 30}, filed_at="2019-05-01", source="draft"),
        *year_rows("calm", "2020-12-31", {**year, "dividends": ""}, months=9),
        *year_rows("sick", "2018-03-31", {"cash": 2500}, unit="INR lakh", basis="standalone"),
        *year_rows("sick", "2018-03-31", {"current_assets": 90}, note="proxy", basis="standalone"),
        *year_rows("sick", "2019-03-31", year, basis="consolidated"),
    ]
    events = [
        {"company_id": "sick", "event_type": "cirp_admission", "event_date": "2019-02-01"},
        {"company_id": "", "event_type": "petition_only", "event_date": "", "usable": "false"},
    ]
    companies = [
        {"company_id": "calm", "company_name": "=Calm Mills", "in_nifty500": "true"},
        {"company_id": "sick", "company_name": "Sick Mills", "sector": "textiles"},
    ]
    macro = [{"year": 2018, "inflation": 4.5}, {"year": 2019, "gdp_growth": 4}]
    corrections = [
        {"company_id": "calm", "fiscal_year_end": "2019-03-31", "item": "net_cash_flow",
         "source": "user file", "wrong": -6, "right": -5.5, "reason": "a made-up misprint"},
    ]  # fmt: skip
    return [
        write_csv(folder / "s.csv", rows),
        write_csv(folder / "e.csv", events),
        write_csv(folder / "c.csv", companies),
        write_csv(folder / "m.csv", macro),
        write_csv(folder / "k.csv", corrections),
    ]


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, worked: dict[str, dict[str, float]]) -> Path:
    """A folder with a warehouse and what `export` made of it."""
    folder = tmp_path_factory.mktemp("export")
    db = folder / "w.duckdb"
    files = source_files(folder, worked["year"])
    for arguments in (["import", *files], ["export", folder / "out"]):
        result = CliRunner().invoke(main, [*(str(a) for a in arguments), "--db", str(db)])
        assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="module")
def package(exported: Path) -> Package:
    return json.loads((exported / "out/datapackage.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def resources(package: Package) -> Package:
    """Resources of the data package by name."""
    return {resource["name"]: resource for resource in package["resources"]}


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files(exported: Path) -> None:
    assert {path.name for path in (exported / "out").iterdir()} == FILES | {"datapackage.json"}


def test_data_package(exported: Path, package: Package) -> None:
    assert package["$schema"] == "https://datapackage.org/profiles/2.0/datapackage.json"
    assert re.fullmatch(r"[-a-z0-9._]+", package["name"])
    assert re.fullmatch(rf"{len(store.MIGRATIONS)}\.0\.0\+[0-9a-f]{{16}}", package["version"])
    assert "licenses" not in package, "the program has no licence to give for others' data"
    assert "each source states its own terms" in package["description"]
    assert "SIMULATED" not in package["title"] + package["description"]
    assert [set(source) for source in package["sources"]] == [{"title", "version"}] * 5
    assert package["sources"][0] == {
        "title": "c.csv",
        "version": "sha256:" + hashlib.sha256((exported / "c.csv").read_bytes()).hexdigest(),
    }


def test_resources(exported: Path, resources: Package) -> None:
    assert list(resources) == [f"{name}-{kind}" for name in NAMES for kind in FORMATS]
    assert {resource["path"] for resource in resources.values()} == FILES
    for resource in resources.values():
        data = (exported / "out" / resource["path"]).read_bytes()
        assert resource["hash"] == "sha256:" + hashlib.sha256(data).hexdigest()
        assert resource["bytes"] == len(data)
        assert resource["type"] == "table"
        assert resource["schema"]["missingValues"] == [""]
    keys = {name: resources[f"{name}-csv"]["schema"].get("primaryKey") for name in NAMES}
    assert keys == {
        "statements": ["company_id", "fiscal_year_end", "item"],
        "events": None,
        "companies": ["company_id"],
        "macro": ["year"],
        "disagreements": [
            "company_id", "fiscal_year_end", "basis", "item", "source", "other_source",
        ],
        "corrections": None,
        "check_failures": None,
        "panel": ["company_id", "fiscal_year"],
    }  # fmt: skip


# What the standard says of the text of a value: https://datapackage.org/standard/table-schema/
READ: dict[str, Callable[[str], object]] = {
    "string": str,
    "any": str,
    "date": date.fromisoformat,
    "boolean": {"true": True, "false": False}.__getitem__,
    "integer": int,
    "number": float,
}
ARROW = {
    "string": pa.string(), "any": pa.string(), "date": pa.date32(), "boolean": pa.bool_(),
    "number": pa.float64(),
}  # fmt: skip


def read_as_described(folder: Path, resource: dict[str, object]) -> list[dict[str, object]]:
    """Rows of a CSV resource by nothing but its description."""
    fields = resource["schema"]["fields"]
    with (folder / resource["path"]).open(encoding=resource["encoding"], newline="") as file:
        lines = list(csv.reader(file, **{"delimiter": resource["dialect"]["delimiter"]}))
    assert lines[0] == [field["name"] for field in fields]
    missing = set(resource["schema"]["missingValues"])
    return [
        {
            field["name"]: None if cell in missing else READ[field["type"]](cell)
            for field, cell in zip(fields, line, strict=True)
        }
        for line in lines[1:]
    ]


@pytest.mark.parametrize("name", NAMES)
def test_the_files_are_as_described_and_say_the_same(
    exported: Path, resources: Package, name: str
) -> None:
    """Types, constraints and key of datapackage.json hold; CSV and Parquet have the same rows."""
    resource = resources[f"{name}-csv"]
    assert resource["schema"] == resources[f"{name}-parquet"]["schema"]
    rows = read_as_described(exported / "out", resource)
    table = pq.read_table(exported / "out" / resources[f"{name}-parquet"]["path"])
    for field in resource["schema"]["fields"]:
        cells, rules = [row[field["name"]] for row in rows], field.get("constraints", {})
        kind = table.schema.field(field["name"]).type
        assert kind == ARROW.get(field["type"], kind)
        assert (field["type"] == "integer") == pa.types.is_integer(kind)
        assert len(field["description"]) > 3
        assert not rules.get("required") or None not in cells, field["name"]
        assert set(cells) <= {*rules.get("enum", cells), None}, field["name"]
    key = resource["schema"].get("primaryKey", [])
    assert len({tuple(row[k] for k in key) for row in rows}) == len(rows) or not key
    unguarded = [
        {k: without_guard(v) if isinstance(v, str) else v for k, v in row.items()} for row in rows
    ]
    assert unguarded == table.to_pylist()
    assert rows, f"no {name}: nothing is shown"


def test_contents(exported: Path) -> None:
    statements = pq.read_table(exported / "out/statements.parquet").to_pylist()
    keys = [(r["company_id"], r["fiscal_year_end"], r["item"]) for r in statements]
    assert keys == sorted(set(keys)), "one best value per company, year and item"
    cash = [(r["value"], r["source"], r["unit"], str(r["available_from"])) for r in statements
            if r["item"] == "cash" and r["company_id"] == "calm"]  # fmt: skip
    assert cash == [
        (25, "user file", "INR crore", "2019-08-01"),
        (25, "user file", "INR crore", "2021-03-01"),  # 60 days after the year end
    ]
    # One basis stands for all the years of a company.
    assert {r["basis"] for r in statements if r["company_id"] == "sick"} == {"consolidated"}
    corrected = [(r["item"], r["value"]) for r in statements if r["corrected"]]
    assert corrected == [("net_cash_flow", -5.5)]
    events = pq.read_table(exported / "out/events.parquet").to_pylist()
    assert sorted((e["event_type"], e["company_id"], e["usable"]) for e in events) == [
        ("cirp_admission", "sick", True),
        ("petition_only", None, False),
    ]
    macro = pq.read_table(exported / "out/macro.parquet").to_pylist()
    nothing = {"inflation": None, "unemployment": None, "real_interest": None, "gdp_growth": None}
    assert macro == [
        {**nothing, "year": 2018, "inflation": 4.5},
        {**nothing, "year": 2019, "gdp_growth": 4.0},
    ]
    panel = pq.read_table(exported / "out/panel.parquet").to_pylist()
    assert [(r["company_id"], r["fiscal_year"], r["label"]) for r in panel] == [
        ("calm", 2019, "healthy"),
        ("calm", 2020, "healthy"),
        ("sick", 2019, "bankrupt"),
    ]


def test_what_is_doubted_is_exported(exported: Path) -> None:
    out = exported / "out"
    (told,) = pq.read_table(out / "disagreements.parquet").to_pylist()
    assert {told["source"]: told["value"], told["other_source"]: told["other_value"]} == {
        "draft": 30,
        "user file": 25,
    }
    assert abs(told["difference"]) == 5
    assert told["factor"] is None
    (correction,) = (out / "corrections.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert correction.startswith("calm,2019-03-31,,net_cash_flow,user file,-6,-5.5,")
    # Calm's nine months to December 2020 do not begin where the year to March 2019 ends.
    failures = pq.read_table(out / "check_failures.parquet").to_pylist()
    assert [(f["company_id"], str(f["fiscal_year_end"]), f["check_name"]) for f in failures] == [
        ("calm", "2020-12-31", "period_gap")
    ]


def test_importing_the_export_gives_the_same_warehouse(exported: Path, tmp_path: Path) -> None:
    out = exported / "out"
    names = ("companies", "statements", "events", "macro", "corrections")
    queries = {
        "statements": "FROM statements ORDER BY company_id, fiscal_year",
        "companies": "SELECT * EXCLUDE snapshot_id FROM company ORDER BY company_id",
        "events": "SELECT * EXCLUDE (snapshot_id, row_number) FROM insolvency_event ORDER BY ALL",
        "macro": "SELECT * EXCLUDE snapshot_id FROM macro ORDER BY ALL",
        "corrections": "FROM correction ORDER BY ALL",
    }
    files = [out / f"{name}.parquet" for name in names]
    with loaded(tmp_path / "again.duckdb", *files) as connection:
        again = {name: rows_of(connection, sql) for name, sql in queries.items()}
    with loaded(exported / "w.duckdb") as connection:
        first = {name: rows_of(connection, sql) for name, sql in queries.items()}
    assert again == first
    assert len(first["statements"]) == 3


def test_importing_statements_csv_gives_the_same_statements(exported: Path, tmp_path: Path) -> None:
    query = "FROM statements ORDER BY company_id, fiscal_year"
    with loaded(tmp_path / "again.duckdb", exported / "out/statements.csv") as connection:
        again = rows_of(connection, query)
    with loaded(exported / "w.duckdb") as connection:
        assert again == rows_of(connection, query)


def test_export_without_labels_says_so_and_exits_with_1(
    cli: Command, db: Path, tmp_path: Path
) -> None:
    rows = year_rows("calm", "2019-03-31", {"cash": 1})
    cli("warehouse", "import", write_csv(tmp_path / "s.csv", rows), "--db", db)
    out = tmp_path / "out"
    ran = cli("warehouse", "export", out, "--db", db)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("no panel: ")
    package = json.loads((out / "datapackage.json").read_text(encoding="utf-8"))
    assert {r["path"] for r in package["resources"]} == {f for f in FILES if "panel" not in f}
    assert not list(out.glob("panel*"))
    assert f"{out / 'statements.parquet'}: 1 rows" in ran.out.splitlines()


def test_export_into_a_file_is_one_line(cli: Command, exported: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    ran = cli("warehouse", "export", file, "--db", exported / "w.duckdb")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: ")
    assert str(file) in ran.err
    assert file.read_text() == "mine"


def test_the_same_warehouse_gives_the_same_bytes(exported: Path, tmp_path: Path) -> None:
    """Whatever else is written; and the same rows whatever part of the companies is held at a time,
    though rows of Parquet are then grouped otherwise."""
    first = bytes_of(exported / "out")
    panel = [pq.read_table(exported / "out/panel.parquet")]
    with store.connect(exported / "w.duckdb", read_only=True) as connection:
        exports.export(connection, tmp_path / "one", panel, COLUMNS, companies=1)
        csv_only = [kind for kind in exports.FILE_FORMATS if kind.name == "csv"]
        exports.export(connection, tmp_path / "csv", panel, COLUMNS, csv_only)
    by_one = bytes_of(tmp_path / "one")
    assert set(by_one) == set(first)
    for name in by_one:
        if name.endswith(".csv"):
            assert by_one[name] == first[name], name
        if name.endswith(".parquet"):
            whole, parts = (pq.read_table(f / name) for f in (exported / "out", tmp_path / "one"))
            assert parts.to_pylist() == whole.to_pylist(), name
    again = tmp_path / "again"
    with store.connect(exported / "w.duckdb", read_only=True) as connection:
        exports.export(connection, again, panel, COLUMNS)
    assert bytes_of(again) == first
    again = bytes_of(tmp_path / "csv")
    assert set(again) == {name for name in FILES if name.endswith(".csv")} | {"datapackage.json"}
    assert {name: data for name, data in first.items() if name.endswith(".csv")} == {
        name: data for name, data in again.items() if name.endswith(".csv")
    }


def test_rows_keep_their_order_in_large_files(tmp_path: Path) -> None:
    """More rows than a row group of Parquet has: still in the order of the key."""
    with store.in_memory() as connection:
        connection.execute(
            "INSERT INTO company (company_id, snapshot_id)"
            " SELECT 'c' || n, 1 FROM range(200_000) t(n)"
        )
        exports.export(connection, tmp_path, companies=300_000)
    ids = sorted(f"c{n}" for n in range(200_000))
    assert pq.read_table(tmp_path / "companies.parquet")["company_id"].to_pylist() == ids
    with (tmp_path / "companies.csv").open(encoding="utf-8") as file:
        assert [line.split(",", 1)[0] for line in file][1:] == ids


def test_formats_and_what_becomes_of_an_earlier_export(
    cli: Command, exported: Path, tmp_path: Path
) -> None:
    out, db = tmp_path / "out", exported / "w.duckdb"
    out.mkdir()
    (out / "mine.csv").write_text("mine")
    with store.connect(db, read_only=True) as connection:
        exports.export(connection, out)
    both = {name for name in FILES if not name.startswith("panel")}
    assert set(bytes_of(out)) == both | {"datapackage.json", "mine.csv"}
    assert cli("warehouse", "export", out, "--format", "parquet", "--db", db).code == 0
    parquet = {name for name in FILES if name.endswith(".parquet")}
    assert set(bytes_of(out)) == parquet | {"datapackage.json", "mine.csv"}


@pytest.mark.parametrize("name", ["events.csv", "datapackage.json"])
def test_a_file_that_no_export_wrote_is_not_replaced(
    cli: Command, exported: Path, tmp_path: Path, name: str
) -> None:
    """Files to import bear the names of exported ones: `export .` must not write over them."""
    (tmp_path / name).write_text("mine")
    ran = cli("warehouse", "export", tmp_path, "--db", exported / "w.duckdb")
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert str(tmp_path / name) in ran.err
    assert bytes_of(tmp_path) == {name: b"mine"}


def test_an_export_that_fails_leaves_the_last_one(exported: Path, tmp_path: Path) -> None:
    with store.connect(exported / "w.duckdb", read_only=True) as connection:
        exports.export(connection, tmp_path)
        before = bytes_of(tmp_path)
        strange = pa.table({"company_id": ["calm"], "column_of_nobody": [1]})
        with pytest.raises(ValueError, match="column_of_nobody"):
            exports.export(connection, tmp_path, [strange], COLUMNS)
    assert bytes_of(tmp_path) == before


def test_simulated_companies_and_scraped_sources_are_said(tmp_path: Path) -> None:
    with store.in_memory() as connection:
        connection.execute(
            "INSERT INTO snapshot (sha256, kind, name, url, bytes, rows, source, fetched_at)"
            " SELECT 'x' || n, 'html', 'page ' || n, 'https://a.example/page/' || n || '?q=1',"
            " 1, 1, 'made_up', make_timestamp(2024, 5, n, 1, 2, 3.5) FROM range(1, 3) t(n)"
        )
        connection.execute(
            "INSERT INTO statement_line (company_id, fiscal_year_end, basis, item, value, unit,"
            " months, source, note, snapshot_id, row_number) VALUES"
            " ('x', '2020-03-31', 'unstated', 'cash', 1, 'INR', 12, 'simulated', 'reported', 1, 1)"
        )
        exports.export(connection, tmp_path)
    package = json.loads((tmp_path / "datapackage.json").read_text(encoding="utf-8"))
    assert package["title"].startswith("SIMULATED: ")
    assert "SIMULATED" in package["description"]
    assert package["sources"] == [{"title": "made_up", "path": "https://a.example"}]
    assert package["created"] == "2024-05-02T01:02:03Z"


KINDS = {"VARCHAR": {"string", "any"}, "DOUBLE": {"number"}, "BOOLEAN": {"boolean"},
         "DATE": {"date"}, "SMALLINT": {"integer"}}  # fmt: skip


@pytest.mark.parametrize("table", EXPORTED, ids=lambda table: table.name)
def test_every_exported_column_is_described(table: Exported) -> None:
    with store.in_memory() as connection:
        found = connection.execute(f"DESCRIBE {table.sql}").fetchall()
    assert [name for name, *_ in found] == [column.name for column in table.columns]
    for (_, kind, *_), column in zip(found, table.columns, strict=True):
        assert column.type in KINDS[kind], column.name
        assert bool(column.unit) == (column.type == "number" or column.name == "months")


def test_constraints_say_required_and_choices() -> None:
    assert Column("a", "string", "text").constraints == {}
    assert Column("a", "string", "text", role="key").constraints == {"required": True}
    assert Column("a", "string", "text", choices=("x",)).constraints == {"enum": ["x"]}


def test_the_guard_of_exported_files_is_that_of_csv_safe(tmp_path: Path) -> None:
    """In CSV a text that a spreadsheet would run as a formula has a leading apostrophe."""
    led = [f"{lead}{rest}" for lead in FORMULA_PREFIXES for rest in ("", "1", "cmd|' /C'!A0")]
    names = [*led, "plain", "a=1", "'=1", " =1", "\n=1", '"=1"', "é=1", "−1", "x,y", "two\nlines"]
    with store.in_memory() as connection:
        connection.executemany(
            "INSERT INTO company (company_id, company_name, snapshot_id) VALUES (?, ?, 1)",
            [(f"{n:03}", name) for n, name in enumerate(names)],
        )
        exports.export(connection, tmp_path)
    with (tmp_path / "companies.csv").open(encoding="utf-8", newline="") as file:
        found = [row["company_name"] for row in csv.DictReader(file)]
    assert found == csv_safe(pd.DataFrame({"name": names}))["name"].tolist()
    assert found[0] == "'="
    assert pq.read_table(tmp_path / "companies.parquet")["company_name"].to_pylist() == names


@pytest.mark.parametrize("lead", ["=", "+", "-", "@", "\t", "\r"])
def test_text_that_a_spreadsheet_would_run_is_made_inert(lead: str, tmp_path: Path) -> None:
    text = lead + 'HYPERLINK("http://example.invalid")'
    table = pa.table({"name": [text, "plain", None], "value": [-1.5, 2.0, None]})
    write_table(table, tmp_path / "t.csv")
    frame = pd.read_csv(tmp_path / "t.csv", keep_default_na=False)
    assert frame["name"].tolist() == ["'" + text, "plain", ""]
    assert frame["value"].tolist() == ["-1.5", "2.0", ""]  # a number is no formula
    write_table(table, tmp_path / "t.parquet")
    assert pq.read_table(tmp_path / "t.parquet").equals(table)


def test_formulas_in_categories_and_headers_are_made_inert() -> None:
    frame = pd.DataFrame({"=1+1": ["a"], "kind": pd.Categorical(["@SUM(A1)"])})
    safe = csv_safe(frame)
    assert safe["kind"].tolist() == ["'@SUM(A1)"]
    assert not [name for name in safe.columns if name.startswith("=")]


def test_the_guard_against_formulas_can_be_taken_off() -> None:
    cells = [*(f"{prefix}1+1" for prefix in FORMULA_PREFIXES), "'quoted'", "'", "", "a=1"]
    safe = csv_safe(pd.DataFrame({"text": cells}))["text"].tolist()
    assert safe[0] == "'=1+1"
    assert [without_guard(cell) for cell in safe] == cells


def test_a_panel_in_csv_has_no_formula(exported: Path, cli: Command, tmp_path: Path) -> None:
    out = tmp_path / "panel.csv"
    ran = cli("features", "--db", exported / "w.duckdb", "--years", "2019", "--out", out)
    assert ran.code == 0
    text = out.read_text(encoding="utf-8")
    header, *rows = text.splitlines()
    assert header.startswith("company_id,")
    assert [row.split(",")[0] for row in rows] == ["calm", "sick"]
    assert "'=Calm Mills" in text
    assert not re.search(r"(^|,)\"?=", text, re.MULTILINE)


def test_info(exported: Path, cli: Command) -> None:
    ran = cli("warehouse", "info", "--db", exported / "w.duckdb")
    assert ran.code == 0
    found = {
        cells[0].strip(): cells[1].strip()
        for line in ran.out.splitlines()
        if len(cells := [c for c in re.split("[│┃|]", line) if c.strip()]) == 2
    }
    expected = {
        "companies": "2",
        "of them financial": "0",
        "company-years": "3",
        # 35 items of calm and a draft of one, 35 again, 2 and 35 of sick
        "reported cells": "108",
        "fiscal years": "2019 to 2020",
        "insolvency events": "2",
        "of them usable": "1",
        "of them unmatched": "1",
        "macro values": "2",
        "failed checks": "1",  # a gap between two periods
        "files loaded": "5",
    }
    assert {name: found[name] for name in expected} == expected
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found["last load"])
