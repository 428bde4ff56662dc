"""Made-up filing histories: cells put straight into a warehouse in memory."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import date, timedelta

import duckdb
import pyarrow as pa

_SCHEMA = pa.schema(
    [
        ("company_id", pa.string()),
        ("fiscal_year_end", pa.date32()),
        ("basis", pa.string()),
        ("item", pa.string()),
        ("value", pa.float64()),
        ("unit", pa.string()),
        ("months", pa.int16()),
        ("source", pa.string()),
        ("note", pa.string()),
        ("filed_at", pa.date32()),
        ("restated_on", pa.date32()),
        ("snapshot_id", pa.int32()),
        ("row_number", pa.int64()),
    ]
)


@dataclass(frozen=True)
class Cell:
    """One row of table statement_line."""

    value: float | None
    filed_at: date | None = None
    fiscal_year_end: date = date(2018, 3, 31)
    item: str = "total_assets"
    company_id: str = "acme"
    source: str = "user file"
    basis: str = "unstated"
    months: int = 12
    note: str = "reported"
    restated_on: date | None = None
    snapshot_id: int = 1
    unit: str = "INR crore"


def add(connection: duckdb.DuckDBPyConnection, cells: Iterable[Cell]) -> None:
    """Add these cells, numbered in this order, and their companies."""
    rows = [{**asdict(cell), "row_number": n} for n, cell in enumerate(cells, 1)]
    connection.register("cells", pa.Table.from_pylist(rows, _SCHEMA))
    connection.execute("INSERT INTO statement_line BY NAME FROM cells")
    connection.execute(
        "INSERT OR IGNORE INTO company BY NAME SELECT DISTINCT company_id, 1 AS snapshot_id"
        " FROM cells"
    )
    connection.unregister("cells")


def fill(connection: duckdb.DuckDBPyConnection, cells: Iterable[Cell]) -> None:
    """Leave nothing in the warehouse but these cells and their companies."""
    for table in ("statement_line", "company", "user_correction", "insolvency_event"):
        connection.execute(f"DELETE FROM {table}")
    add(connection, cells)


def later(day: date, months: int, days: int = 0) -> date:
    """The last day of the month so many months after `day`, and some days more."""
    years, month = divmod(day.month - 1 + months, 12)
    year, month = day.year + years, month + 1
    end = date(year, month, calendar.monthrange(year, month)[1])
    return end + timedelta(days)
