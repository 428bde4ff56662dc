"""Tables out of the warehouse: files that other tools read, safe to open in a spreadsheet."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from warehouse.files import make_folder, sha256_of, write_whole

# What makes a spreadsheet run the text of a cell that begins so.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")

TABLES: dict[str, str] = {
    "statements": """
        SELECT company_id, fiscal_year_end, basis, item, value, 'INR crore' AS unit, months,
            source, note, filed_at
        FROM stg_cell JOIN company_basis USING (company_id, basis)
        ORDER BY company_id, fiscal_year_end, item""",
    "events": """
        SELECT company_id, event_type, event_date, company_name, cin, source, confidence, usable
        FROM insolvency_event ORDER BY event_date, company_id, event_type""",
    "companies": """
        SELECT company_id, company_name, nse_symbol, isin, cin, sector, is_financial,
            coalesce(lists.dates, CAST(in_nifty500 AS VARCHAR)) AS in_nifty500
        FROM company LEFT JOIN (
            SELECT company_id, string_agg(CAST(list_date AS VARCHAR), ';' ORDER BY list_date)
                AS dates
            FROM index_member WHERE index_name = 'nifty500' GROUP BY company_id
        ) lists USING (company_id)
        ORDER BY company_id""",
    "macro": "PIVOT macro ON series USING first(value) GROUP BY year ORDER BY year",
}


def csv_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with text that a spreadsheet would run as a formula made inert by a leading '."""
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_inert)
    safe.columns = pd.Index([_inert(str(name)) for name in safe.columns])
    return safe


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_PREFIXES) else cell


def without_guard(cell: str) -> str:
    """The text of a cell before `csv_safe`. One that began with ' and a formula loses the ' too."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_PREFIXES) else cell


def write_csv(frame: pd.DataFrame, out: Path) -> None:
    """Write a CSV that is safe to open in a spreadsheet."""
    csv_safe(frame).to_csv(out, index=False, lineterminator="\n")


def write_table(table: pa.Table, out: Path) -> None:
    """Write Parquet, or CSV by the name of the file, in one step: whole or not at all.

    Raises:
        InputError: the file cannot be written there.
    """

    def write(draft: Path) -> None:
        if out.suffix == ".csv":
            write_csv(table.to_pandas(), draft)
        else:
            pa_parquet.write_table(table, draft, compression="zstd")

    write_whole(out, write)


def export(
    connection: duckdb.DuckDBPyConnection, folder: Path, panel: pa.Table | None
) -> list[tuple[Path, int]]:
    """Write the tables as Parquet with a Frictionless `datapackage.json`; paths and row counts."""
    make_folder(folder)
    tables = {name: connection.sql(sql).to_arrow_table() for name, sql in TABLES.items()}
    if panel is not None:
        tables["panel"] = panel
    else:
        (folder / "panel.parquet").unlink(missing_ok=True)
    written = []
    for name, table in tables.items():
        write_table(table, folder / f"{name}.parquet")
        written.append((folder / f"{name}.parquet", table.num_rows))
    package = {
        "name": "insolvency-radar-export",
        "title": "Statements, insolvency events and ratio panel of Indian listed companies",
        "resources": [
            _resource(folder / f"{name}.parquet", table) for name, table in tables.items()
        ],
    }
    (folder / "datapackage.json").write_text(json.dumps(package, indent=1) + "\n", encoding="utf-8")
    return written


def _resource(path: Path, table: pa.Table) -> dict[str, object]:
    return {
        "name": path.stem,
        "path": path.name,
        "format": "parquet",
        "mediatype": "application/vnd.apache.parquet",
        "bytes": path.stat().st_size,
        "hash": "sha256:" + sha256_of(path),
        "schema": {
            "fields": [{"name": f.name, "type": _frictionless(f.type)} for f in table.schema]
        },
    }


def _frictionless(kind: pa.DataType) -> str:
    tests = (
        (pa.types.is_boolean, "boolean"),
        (pa.types.is_integer, "integer"),
        (pa.types.is_floating, "number"),
        (pa.types.is_date, "date"),
        (pa.types.is_timestamp, "datetime"),
    )
    return next((name for test, name in tests if test(kind)), "string")
