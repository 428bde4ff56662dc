"""Export: files, hashes, and that what is exported can be imported again; `info`."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from conftest import Command, loaded, rows_of, write_csv, year_rows

from warehouse.__main__ import main
from warehouse.exports import FORMULA_PREFIXES, csv_safe, without_guard, write_table

NAMES = ("statements", "events", "companies", "macro", "panel")


def source_files(folder: Path, year: dict[str, float]) -> list[Path]:
    rows = [
        *year_rows("calm", "2019-03-31", year, filed_at="2019-08-01", unit="INR crore"),
        *year_rows("calm", "2019-03-31", {"cash": 24}, filed_at="2019-05-01", source="draft"),
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
    return [
        write_csv(folder / "s.csv", rows),
        write_csv(folder / "e.csv", events),
        write_csv(folder / "c.csv", companies),
        write_csv(folder / "m.csv", macro),
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


def test_files(exported: Path) -> None:
    found = {path.name for path in (exported / "out").iterdir()}
    assert found == {f"{name}.parquet" for name in NAMES} | {"datapackage.json"}


def test_data_package(exported: Path) -> None:
    package = json.loads((exported / "out/datapackage.json").read_text(encoding="utf-8"))
    assert [resource["name"] for resource in package["resources"]] == list(NAMES)
    for resource in package["resources"]:
        data = (exported / "out" / resource["path"]).read_bytes()
        assert resource["hash"] == "sha256:" + hashlib.sha256(data).hexdigest()
        assert resource["bytes"] == len(data)
        names = pq.read_schema(exported / "out" / resource["path"]).names
        assert [field["name"] for field in resource["schema"]["fields"]] == names
    kinds = {f["name"]: f["type"] for f in package["resources"][0]["schema"]["fields"]}
    assert (kinds["value"], kinds["fiscal_year_end"], kinds["months"], kinds["item"]) == (
        "number", "date", "integer", "string",
    )  # fmt: skip


def test_contents(exported: Path) -> None:
    statements = pq.read_table(exported / "out/statements.parquet").to_pylist()
    keys = [(r["company_id"], r["fiscal_year_end"], r["item"]) for r in statements]
    assert len(keys) == len(set(keys)), "one best value per company, year and item"
    cash = [(r["value"], r["source"], r["unit"]) for r in statements
            if r["item"] == "cash" and r["company_id"] == "calm"]  # fmt: skip
    assert cash == [(25, "user file", "INR crore"), (25, "user file", "INR crore")]
    # Consolidated figures stand for all the years of a company.
    assert {r["basis"] for r in statements if r["company_id"] == "sick"} == {"consolidated"}
    events = pq.read_table(exported / "out/events.parquet").to_pylist()
    assert sorted((e["event_type"], e["company_id"], e["usable"]) for e in events) == [
        ("cirp_admission", "sick", True),
        ("petition_only", None, False),
    ]
    macro = pq.read_table(exported / "out/macro.parquet").to_pylist()
    assert macro == [
        {"year": 2018, "gdp_growth": None, "inflation": 4.5},
        {"year": 2019, "gdp_growth": 4.0, "inflation": None},
    ]
    panel = pq.read_table(exported / "out/panel.parquet").to_pylist()
    assert [(r["company_id"], r["fiscal_year"], r["label"]) for r in panel] == [
        ("calm", 2019, "healthy"),
        ("calm", 2020, "healthy"),
        ("sick", 2019, "bankrupt"),
    ]


def test_importing_the_export_gives_the_same_warehouse(exported: Path, tmp_path: Path) -> None:
    out = exported / "out"
    files = [out / f"{name}.parquet" for name in ("companies", "statements", "events", "macro")]
    queries = {
        "statements": "FROM statements ORDER BY company_id, fiscal_year",
        "companies": "SELECT * EXCLUDE snapshot_id FROM company ORDER BY company_id",
        "events": "SELECT * EXCLUDE (snapshot_id, row_number) FROM insolvency_event ORDER BY ALL",
        "macro": "SELECT * EXCLUDE snapshot_id FROM macro ORDER BY ALL",
    }
    with loaded(tmp_path / "again.duckdb", *files) as connection:
        again = {name: rows_of(connection, sql) for name, sql in queries.items()}
    with loaded(exported / "w.duckdb") as connection:
        first = {name: rows_of(connection, sql) for name, sql in queries.items()}
    assert again == first
    assert len(first["statements"]) == 3


def test_export_without_labels_says_so_and_exits_with_1(
    cli: Command, db: Path, tmp_path: Path
) -> None:
    rows = year_rows("calm", "2019-03-31", {"cash": 1})
    cli("warehouse", "import", write_csv(tmp_path / "s.csv", rows), "--db", db)
    out = tmp_path / "out"
    ran = cli("warehouse", "export", out, "--db", db)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("no panel.parquet: ")
    package = json.loads((out / "datapackage.json").read_text(encoding="utf-8"))
    assert [r["name"] for r in package["resources"]] == list(NAMES[:-1])
    assert not (out / "panel.parquet").exists()
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
        "failed checks": "0",
        "files loaded": "4",
    }
    assert {name: found[name] for name in expected} == expected
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", found["last load"])
