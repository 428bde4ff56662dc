"""One best value per cell: which source goes first, what is known of its errors, what differs."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from warehouse.formats import BASES
from warehouse.items import UNITS


@dataclass(frozen=True)
class Place:
    """A source of documents and why it stands where it does in the order."""

    source: str
    why: str


# In order: of two that tell a statement the earlier is taken. A user's own table goes before all.
PLACES: tuple[Place, ...] = (
    Place("nse xbrl", "the company's own filing, dated, tagged by a taxonomy"),
    Place("xbrl filing", "a filing that a user holds: the same form, from any exchange"),
    Place("moneycontrol", "a vendor's page: all lines, but retyped and undated"),
    Place("moneycontrol api", "the same vendor's interface: the same figures with fewer lines"),
    Place("screener.in workbook", "a vendor's export: ten years, in whole groups of lines"),
    Place("bse results", "a summary of results: few lines, no full balance sheet"),
)

# Mistakes of unit that turn one reported figure into another: between any two of the units that
# amounts are given in.
FACTORS: tuple[float, ...] = tuple(
    sorted({a.per_crore / b.per_crore for a in UNITS for b in UNITS if a.per_crore > b.per_crore})
)

KNOWN_ERRORS = Path(__file__).with_name("corrections.csv")
CORRECTION_COLUMNS = (
    "company_id", "fiscal_year_end", "basis", "item", "source", "wrong", "right", "reason",
    "reference", "status",
)  # fmt: skip


def places_sql() -> str:
    """The sources in order, as the items of an SQL list."""
    return ", ".join(_text(place.source) for place in PLACES)


def bases_sql() -> str:
    """The bases in the order in which they are preferred, as the items of an SQL list."""
    return ", ".join(_text(basis) for basis in BASES)


def factors_sql() -> str:
    """The mistakes of scale, as the items of an SQL list."""
    return ", ".join(f"{factor:.1f}" for factor in FACTORS)


def corrections_sql(path: Path = KNOWN_ERRORS) -> str:
    """Query of the corrections that come with the program; one row each, all text."""
    rows = _rows(path)
    columns = [f'"{name}"' for name in CORRECTION_COLUMNS]
    if not rows:
        nothing = ", ".join(f"CAST(NULL AS VARCHAR) AS {name}" for name in columns)
        return f"SELECT {nothing} WHERE false"
    values = ", ".join(
        "(" + ", ".join(_text(row[name]) for name in CORRECTION_COLUMNS) + ")" for row in rows
    )
    return f"SELECT * FROM (VALUES {values}) AS known({', '.join(columns)})"


def corrected_companies(path: Path = KNOWN_ERRORS) -> frozenset[str]:
    """Companies that the corrections which come with the program say something of."""
    return frozenset(row["company_id"] for row in _rows(path))


@cache
def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _text(value: str) -> str:
    return "NULL" if value == "" else "'" + value.replace("'", "''") + "'"
