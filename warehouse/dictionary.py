"""What is exported: every table with its grain, its query, and the meaning of each column."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warehouse.formats import BASES, EVENT_TYPES, MACRO_SERIES
from warehouse.items import DERIVED, ITEMS

# The types of a Frictionless Table Schema that occur here.
Type = Literal["string", "number", "integer", "boolean", "date", "any"]
Role = Literal["key", "label", "feature", "metadata", "value"]

CRORE = "INR crore"
SEVERITIES = ("error", "warning")
MACRO_MEANING = {
    "inflation": "consumer price inflation of India",
    "unemployment": "unemployment rate of India",
    "real_interest": "real interest rate of India",
    "gdp_growth": "growth of India's gross domestic product",
}


@dataclass(frozen=True)
class Column:
    """A column: its type, what it means, its unit, and what its values must be.

    Attributes:
        name: as in the files.
        type: of the Frictionless Table Schema; `any` for text that is a number or a date.
        meaning: one line; says when the value is missing where that is not plain.
        unit: of a number; empty for a count, a code or a name.
        role: `key` columns together name a row. A panel also has labels, features and metadata.
        required: never missing. Columns of a key never are.
        choices: all values that occur, where they are few.
    """

    name: str
    type: Type
    meaning: str
    unit: str = ""
    role: Role = "value"
    required: bool = False
    choices: tuple[str, ...] = ()

    @property
    def constraints(self) -> dict[str, object]:
        """Constraints of a Table Schema field."""
        found: dict[str, object] = {}
        if self.required or self.role == "key":
            found["required"] = True
        if self.choices:
            found["enum"] = list(self.choices)
        return found


@dataclass(frozen=True)
class Exported:
    """A table of the export.

    Attributes:
        name: of its files.
        title: in a few words.
        grain: what one row is.
        sql: query of exactly `columns`, in any order of rows.
        columns: all of them.
        parted: it rests on views that are worked out for a part of the companies at a time.
    """

    name: str
    title: str
    grain: str
    sql: str
    columns: tuple[Column, ...]
    parted: bool = False

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that together name a row; none where two rows may say the same."""
        return tuple(column.name for column in self.columns if column.role == "key")

    @property
    def order(self) -> tuple[str, ...]:
        """Columns to sort by so that the data alone decides the order of the rows."""
        return self.key or tuple(column.name for column in self.columns)


_COMPANY = "our name of the company: its NSE symbol where it has one"
_YEAR_END = "last day of the fiscal year"
_BASIS = "whether the accounts are those of the group or of the company alone"
_ITEM = "line of the statements: a name of items.md"
_ITEMS = (*(item.name for item in ITEMS), *(item.name for item in DERIVED))

STATEMENTS = Exported(
    "statements",
    "Statements, long",
    "one best value per company, year end and item, with the source that it was taken from",
    """
    SELECT company_id, fiscal_year_end, basis, item, value, 'INR crore' AS unit, months,
        source, note, filed_at, available_from, corrected
    FROM stg_cell SEMI JOIN one_basis USING (company_id, fiscal_year_end, basis)""",
    (
        Column("company_id", "string", _COMPANY, role="key"),
        Column("fiscal_year_end", "date", _YEAR_END, role="key"),
        Column("basis", "string", _BASIS, required=True, choices=BASES),
        Column("item", "string", _ITEM, role="key", choices=_ITEMS),
        Column("value", "number", "the amount", CRORE, required=True),
        Column("unit", "string", "unit of the amount", required=True, choices=(CRORE,)),
        Column("months", "integer", "length of the period", "months", required=True),
        Column("source", "string", "where the value was taken from", required=True),
        Column(
            "note", "string",
            "reported: printed by the source; derived: exact arithmetic from printed lines;"
            " proxy: an estimate; else the source's own word",
            required=True,
        ),
        Column("filed_at", "date", "day on which it was filed; missing where no source says"),
        Column(
            "available_from", "date",
            "day from which the value may be used: the filing, else the day on which it was seen"
            " to have changed, else 60 days after the year end",
            required=True,
        ),
        Column(
            "corrected", "boolean", "whether a correction stands in for the source's own figure",
            required=True,
        ),
    ),
    parted=True,
)  # fmt: skip

EVENTS = Exported(
    "events",
    "Insolvency events",
    "one reported event of one debtor; what two sources report is two rows",
    """
    SELECT company_id, event_type, event_date, company_name, cin, source, confidence, usable
    FROM insolvency_event""",
    (
        Column("company_id", "string", f"{_COMPANY}; missing until the debtor is matched to one"),
        Column("event_type", "string", "what happened", required=True, choices=EVENT_TYPES),
        Column("event_date", "date", "day of it; missing where it is not known"),
        Column("company_name", "string", "the debtor as the source names it"),
        Column("cin", "string", "the debtor's Corporate Identification Number"),
        Column("source", "string", "who reports it"),
        Column("confidence", "string", "the source's own grade of its date"),
        Column("usable", "boolean", "whether it may label a company", required=True),
    ),
)

COMPANIES = Exported(
    "companies",
    "Companies",
    "one company",
    """
    SELECT company_id, company_name, nse_symbol, isin, cin, sector, is_financial,
        coalesce(lists.dates, CAST(in_nifty500 AS VARCHAR)) AS in_nifty500
    FROM company LEFT JOIN (
        SELECT company_id, string_agg(CAST(list_date AS VARCHAR), ';' ORDER BY list_date)
            AS dates
        FROM member WHERE index_name = 'nifty500' GROUP BY company_id
    ) lists USING (company_id)""",
    (
        Column("company_id", "string", _COMPANY, role="key"),
        Column("company_name", "string", "name"),
        Column("nse_symbol", "string", "symbol at the National Stock Exchange, the latest known"),
        Column("isin", "string", "International Securities Identification Number"),
        Column("cin", "string", "Corporate Identification Number of the register of companies"),
        Column("sector", "string", "industry of the list that names the company"),
        Column(
            "is_financial", "boolean",
            "bank, NBFC or insurer; missing where no companies file says, then judged by layout",
        ),
        Column(
            "in_nifty500", "string",
            "dates of the Nifty 500 lists that it is on, parted by semicolons, else true or false",
        ),
    ),
)  # fmt: skip


def _macro_sql() -> str:
    values = ", ".join(
        f"max(value) FILTER (WHERE series = '{series}') AS {series}" for series in MACRO_SERIES
    )
    return f"SELECT year, {values} FROM known_macro GROUP BY year"


MACRO = Exported(
    "macro",
    "Macro series of India",
    "one calendar year",
    _macro_sql(),
    (
        Column("year", "integer", "calendar year", role="key"),
        *(
            Column(series, "number", MACRO_MEANING[series], "per cent")
            for series in MACRO_SERIES
        ),
    ),
)  # fmt: skip

CHECK_FAILURES = Exported(
    "check_failures",
    "Rows that fail a data check",
    "one figure of one year that a check of checks.md refused when the checks last ran",
    """
    SELECT company_id, fiscal_year_end, basis, check_name, severity, actual, expected,
        nullif(detail, '') AS detail
    FROM check_failure""",
    (
        Column("company_id", "string", _COMPANY, required=True),
        Column("fiscal_year_end", "date", _YEAR_END, required=True),
        Column("basis", "string", _BASIS, required=True, choices=BASES),
        Column("check_name", "string", "a name of checks.md", required=True),
        Column(
            "severity", "string", "error: counted in the panel; warning: listed only",
            required=True, choices=SEVERITIES,
        ),
        Column("actual", "number", "what was found; a count for duplicate_year", CRORE),
        Column("expected", "number", "what was expected; a count for duplicate_year", CRORE),
        Column("detail", "string", "the item or year that it is about, where there are several"),
    ),
)  # fmt: skip

DISAGREEMENTS = Exported(
    "disagreements",
    "Cells that two sources tell differently",
    "one cell and pair of sources that differ by more than rounding when the checks last ran",
    """
    SELECT company_id, fiscal_year_end, basis, item, source, value, other_source, other_value,
        difference, relative, factor
    FROM disagreement""",
    (
        Column("company_id", "string", _COMPANY, role="key"),
        Column("fiscal_year_end", "date", _YEAR_END, role="key"),
        Column("basis", "string", _BASIS, role="key", choices=BASES),
        Column("item", "string", _ITEM, role="key", choices=_ITEMS),
        Column("source", "string", "the source that goes before the other", role="key"),
        Column("value", "number", "its amount", CRORE, required=True),
        Column("other_source", "string", "the source that gives way", role="key"),
        Column("other_value", "number", "its amount", CRORE, required=True),
        Column("difference", "number", "other_value less value", CRORE, required=True),
        Column(
            "relative", "number", "difference over the size of value; missing where that is zero",
            "ratio",
        ),
        Column(
            "factor", "number",
            "the mistake of unit that would explain it: one value is this many times the other;"
            " missing where none does",
            "ratio",
        ),
    ),
)  # fmt: skip

CORRECTIONS = Exported(
    "corrections",
    "Known errors of sources",
    "one known error: where and as long as the wrong value stands, the right one replaces it",
    """
    SELECT company_id, fiscal_year_end, basis, item, source, "wrong", "right", reason, reference,
        status
    FROM correction""",
    (
        Column("company_id", "string", _COMPANY, required=True),
        Column("fiscal_year_end", "date", f"{_YEAR_END}; missing for an event"),
        Column("basis", "string", f"{_BASIS}; missing for both", choices=BASES),
        Column(
            "item", "string", f"{_ITEM}, or a type of event", required=True,
            choices=(*_ITEMS, *EVENT_TYPES),
        ),
        Column("source", "string", "whose error it is", required=True),
        Column("wrong", "any", "what the source says: INR crore, or a date", required=True),
        Column("right", "any", "what is right; missing where the value is left out"),
        Column("reason", "string", "how it is known", required=True),
        Column("reference", "string", "where that can be read"),
        Column("status", "string", "whether the source was told, or has mended it"),
    ),
)  # fmt: skip

EXPORTED: tuple[Exported, ...] = (
    STATEMENTS, EVENTS, COMPANIES, MACRO, DISAGREEMENTS, CORRECTIONS, CHECK_FAILURES,
)  # fmt: skip

_names = [(table.name, column.name) for table in EXPORTED for column in table.columns]
if len(_names) != len(set(_names)):
    raise ValueError("a column of an exported table is described twice")
