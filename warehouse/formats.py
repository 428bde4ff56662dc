"""The file formats that `import` takes: their columns and what each value must be."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date

from warehouse.items import DERIVED_NAMES, ITEM_NAMES, UNITS

EVENT_TYPES: tuple[str, ...] = (
    "cirp_admission",
    "liquidation",
    "resolution_approved",
    "restructuring",
    "withdrawn",
    "petition_only",
    "voluntary_liquidation",
    "insolvency_reported_undated",
)
BASES: tuple[str, ...] = ("consolidated", "standalone", "unstated")
NO_BASIS = "unstated"
NO_SOURCE = "user file"
MACRO_SERIES: tuple[str, ...] = ("inflation", "unemployment", "real_interest", "gdp_growth")
EARLIEST = date(1980, 1, 1)
# India's GDP is some 3.5e7 crore: an amount above this is a mistake of scale.
LARGEST_CRORE = 1e9


@dataclass(frozen=True)
class Rule:
    """What a column's value must be: `ok` is SQL over the cell `x`, true if it is fine.

    An empty cell is judged by `required` alone. `typed` rules also judge a cell that is a number,
    date or flag already; for the others it is turned into text first.
    """

    expected: str
    ok: str
    required: bool = False
    choices: tuple[str, ...] = ()
    typed: bool = False


@dataclass(frozen=True)
class Format:
    """A kind of file, told by its columns.

    `key` gives the columns of which a file has one row each, and as what SQL they are loaded.
    """

    kind: str
    columns: dict[str, Rule]
    mandatory: tuple[str, ...]
    key: dict[str, str] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)


def _one_of(choices: tuple[str, ...], required: bool = False) -> Rule:
    listed = ", ".join(f"'{choice}'" for choice in choices)
    what = "one of " + ", ".join(choices) if len(choices) < 10 else "a known name"
    return Rule(what, f"x IN ({listed})", required, choices)


_TEXT = Rule("text of at most 500 characters", "length(x) <= 500")
_NAME = Rule("a name of 1 to 200 characters", "length(x) BETWEEN 1 AND 200", required=True)
_NUMBER = Rule("a finite number", "isfinite(try_cast(x AS DOUBLE))", typed=True)
_FLAG = Rule("true or false", "try_cast(x AS BOOLEAN) IS NOT NULL", typed=True)
_EVENT_DATE = Rule(
    "a date YYYY-MM-DD, not in the future",
    f"try_cast(x AS DATE) BETWEEN DATE '{EARLIEST}' AND current_date",
    typed=True,
)
_PAST_DATE = Rule(
    f"a date YYYY-MM-DD between {EARLIEST} and today",
    f"try_cast(x AS DATE) BETWEEN DATE '{EARLIEST}' AND current_date",
    required=True,
    typed=True,
)

STATEMENTS = Format(
    kind="statements",
    columns={
        "company_id": _NAME,
        "fiscal_year_end": _PAST_DATE,
        "item": _one_of(tuple(sorted(ITEM_NAMES | DERIVED_NAMES)), required=True),
        "value": _NUMBER,
        "company_name": _TEXT,
        "nse_symbol": _TEXT,
        "isin": _TEXT,
        "cin": _TEXT,
        "basis": _one_of(BASES),
        "unit": _one_of(tuple(unit.name for unit in UNITS)),
        "months": Rule(
            "whole months from 1 to 24", "list_contains(range(1, 25), try_cast(x AS DOUBLE))"
        ),
        "source": _TEXT,
        "filed_at": _EVENT_DATE,
        "available_from": _EVENT_DATE,
        "note": _TEXT,
    },
    mandatory=("company_id", "fiscal_year_end", "item", "value"),
    key={
        "company_id": "company_id",
        "fiscal_year_end": "CAST(fiscal_year_end AS DATE)",
        "basis": f"coalesce(basis, '{NO_BASIS}')",
        "item": "item",
        "source": f"coalesce(source, '{NO_SOURCE}')",
        "filed_at": "CAST(filed_at AS DATE)",  # of a figure that was restated: one row a filing
    },
)

EVENTS = Format(
    kind="events",
    columns={
        "company_id": _TEXT,
        "event_type": _one_of(EVENT_TYPES, required=True),
        "event_date": _EVENT_DATE,
        "company_name": _TEXT,
        "cin": _TEXT,
        "source": Rule("text of at most 5,000 characters", "length(x) <= 5000"),
        "confidence": _TEXT,
        "usable": _FLAG,
    },
    mandatory=("company_id", "event_type", "event_date"),
    aliases={"date_confidence": "confidence"},
)

COMPANIES = Format(
    kind="companies",
    columns={
        "company_id": _NAME,
        "company_name": _NAME,
        "nse_symbol": _TEXT,
        "isin": _TEXT,
        "cin": _TEXT,
        "sector": _TEXT,
        "is_financial": _FLAG,
        "in_nifty500": Rule(
            "true, false, or the dates of the lists as YYYY-MM-DD;YYYY-MM-DD",
            "try_cast(x AS BOOLEAN) IS NOT NULL OR list_bool_and(list_transform("
            "string_split(x, ';'), lambda day: try_cast(day AS DATE) IS NOT NULL))",
        ),
    },
    mandatory=("company_id", "company_name"),
    key={"company_id": "company_id"},
    aliases={"industry": "sector"},
)

MACRO = Format(
    kind="macro",
    columns={
        "year": Rule(
            "a whole year from 1950 to 2100",
            "list_contains(range(1950, 2101), try_cast(x AS DOUBLE))",
            True,
        ),
        **dict.fromkeys(MACRO_SERIES, _NUMBER),
    },
    mandatory=("year",),
    key={"year": "CAST(year AS DOUBLE)"},
    aliases={
        "wb_cpi_inflation_pct": "inflation",
        "ilo_unemployment_pct_vintage2022": "unemployment",
        "wb_real_interest_pct": "real_interest",
        "wb_gdp_growth_pct": "gdp_growth",
    },
)

_SAID = Rule("text of 1 to 2,000 characters", "length(x) BETWEEN 1 AND 2000", required=True)

CORRECTIONS = Format(
    kind="corrections",
    columns={
        "company_id": _NAME,
        "fiscal_year_end": Rule(_PAST_DATE.expected, _PAST_DATE.ok, typed=True),
        "basis": _one_of(BASES),
        "item": _one_of((*sorted(ITEM_NAMES | DERIVED_NAMES), *EVENT_TYPES), required=True),
        "source": _NAME,
        "wrong": Rule("the wrong amount (INR crore) or date", "true", required=True),
        "right": Rule("an amount (INR crore), a date, or nothing", "true"),
        "reason": _SAID,
        "reference": Rule("text of at most 2,000 characters", "length(x) <= 2000"),
        "status": _TEXT,
    },
    mandatory=("company_id", "item", "source", "wrong", "right", "reason"),
    key={
        "company_id": "company_id",
        "fiscal_year_end": "CAST(fiscal_year_end AS DATE)",
        "basis": "basis",
        "item": "item",
        "source": "source",
        "wrong": '"wrong"',
    },
)

# Order matters: the first whose tell-tale columns are all there is taken.
FORMATS: tuple[tuple[tuple[str, ...], Format], ...] = (
    (("item", "value"), STATEMENTS),
    (("wrong", "right"), CORRECTIONS),
    (("event_type",), EVENTS),
    (("company_name",), COMPANIES),
    (("year",), MACRO),
)
