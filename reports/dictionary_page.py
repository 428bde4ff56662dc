"""The data dictionary: every column of every exported table and of the panel."""

from __future__ import annotations

from features.columns import COLUMNS
from features.ratios import RATIOS
from features.trends import TRENDS
from reports.pieces import code, codes, prose, table
from warehouse.dictionary import EXPORTED, Column, Exported
from warehouse.exports import PANEL

HEAD = "column|type|unit|what it is|never missing"
MOST_CHOICES = 12
_TRENDS = {f"{r.code}_{t.suffix}" for r in RATIOS for t in TRENDS}


def body() -> str:
    """The page, without its title."""
    parts = "\n\n".join(_exported(exported) for exported in EXPORTED)
    return f"""What `python -m warehouse export DIR` writes: each table as Parquet and as CSV, with
the same words in `datapackage.json`. That is a Data Package, version 2, which tools of the
Frictionless standard read (`frictionless validate` passes the CSV files; it cannot count the bytes
of Parquet files and reports those). The columns of a key together name a row.

Amounts are in INR crore (1 crore = 10,000,000 rupees). A missing value is NULL in Parquet and an
empty cell in CSV, never 0. In CSV a text that a spreadsheet would run as a formula has a leading
apostrophe.

{parts}

{_panel()}"""


def _exported(exported: Exported) -> str:
    key = f" Key: {codes(exported.key)}." if exported.key else " No key: two rows may be alike."
    rows = ((*_cells(column), _never_missing(column)) for column in exported.columns)
    return (
        f"## {exported.name}\n\n{prose(exported.title)}. One row: {prose(exported.grain)}.{key}"
        f"\n\n{table(HEAD, rows)}"
    )


def _never_missing(column: Column) -> str:
    return "key" if column.role == "key" else "yes" if column.required else ""


def _cells(column: Column) -> tuple[str, str, str, str]:
    choices = column.choices if len(column.choices) <= MOST_CHOICES else ()
    values = f". One of {codes(choices)}" if choices else ""
    return code(column.name), column.type, column.unit, prose(column.meaning) + values


def _panel() -> str:
    listed = [column for column in COLUMNS if column.name not in _TRENDS]
    counts = {
        role: sum(1 for column in COLUMNS if column.role == role)
        for role in ("key", "label", "feature", "metadata")
    }
    told = ", ".join(f"{number} of role {role}" for role, number in counts.items())
    rows = ((*_cells(column), _never_missing(column), column.role) for column in listed)
    return f"""## {PANEL}

One row: one company and fiscal year, with its label, ratios and macro variables. Key:
{codes(column.name for column in COLUMNS if column.role == "key")}. `python -m features` writes the
same table by other rules. It has up to {len(COLUMNS)} columns: {told}. A model learns from columns
of the role **feature** only. `--features base`, the default, has X1 to X66; `trend` adds the table
below; `all` adds the published scores and the company's age.

{table(f"{HEAD}|role", rows)}

### Trends

Of each ratio over three periods in a row; missing where one of them is missing or they are not in a
row. Numbers, of role feature.

{_trends()}"""


def _trends() -> str:
    rows = (
        (f"{r.code} {prose(r.name)}", *(code(f"{r.code}_{t.suffix}") for t in TRENDS))
        for r in RATIOS
    )
    return table("|".join(["ratio", *(trend.title for trend in TRENDS)]), rows)
