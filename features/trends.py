"""Features over three years of any ratio: where it is going and how much it swings.

A period's value is joined with those of the period that immediately precedes it and the one before
that, by `prev_fiscal_year_end`: nothing after the period is used, and where a period is missing
there is no chain. A period has one predecessor at most, so no row is doubled. Window functions,
which move both earlier values of every ratio through a sort, took half as long again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from features.ratios import RATIOS, finite_sql, long_reasons_sql


@dataclass(frozen=True)
class Trend:
    """A feature made of three years of one ratio, NULL unless all three have a value.

    Attributes:
        suffix: what follows the ratio's code in the name of the column: X1_trend2.
        title: what it is.
        formula: an expression over {now}, {before} and {first}: the period, the one before it, and
            the one before that. Periods count as years, whatever their months.
    """

    suffix: str
    title: str
    formula: str


TRENDS: tuple[Trend, ...] = (
    Trend("trend2", "change per year over two years", "({now} - {first}) / 2"),
    # The variance of three values is the sum of the three squared differences over 6. This form is
    # exactly zero where nothing changes, which that by the mean is not.
    Trend(
        "vol3",
        "sample standard deviation of three years",
        "sqrt((({now} - {before}) * ({now} - {before})"
        " + ({before} - {first}) * ({before} - {first})"
        " + ({now} - {first}) * ({now} - {first})) / 6)",
    ),
)

CODES: tuple[str, ...] = tuple(ratio.code for ratio in RATIOS)

# Each period with its two predecessors. Whatever `source` is, it is computed once.
_CHAIN = """WITH trend_period AS MATERIALIZED (FROM {source})
SELECT {columns}
FROM trend_period AS this
LEFT JOIN trend_period AS before ON before.company_id = this.company_id
    AND before.fiscal_year_end = this.prev_fiscal_year_end
LEFT JOIN trend_period AS first ON first.company_id = before.company_id
    AND first.fiscal_year_end = before.prev_fiscal_year_end"""


def trend_features(codes: Sequence[str] = CODES) -> tuple[str, ...]:
    """Names of the columns that `trends_sql` adds for these ratios, in order."""
    return tuple(f"{code}_{trend.suffix}" for code in codes for trend in TRENDS)


def trends_sql(source: str, codes: Sequence[str] = CODES) -> str:
    """Query with every column of `source` and two per code.

    `source` has one row per company and period, with company_id, fiscal_year_end,
    prev_fiscal_year_end and the columns `codes`. Leave out no period of a company before this: it
    would look like a gap.
    """
    names = trend_features(codes)
    values = [_value_sql(trend, code) for code in codes for trend in TRENDS]
    named = [f"{value} AS {name}" for value, name in zip(values, names, strict=True)]
    chain = _CHAIN.format(source=source, columns=",\n    ".join(["this.*", *named]))
    # A column is asked for its value and whether it is finite in less time than an expression.
    finite = ",\n    ".join(finite_sql(name, name) for name in names)
    return f"SELECT * REPLACE (\n    {finite}\n)\nFROM ({chain})"


def _value_sql(trend: Trend, code: str) -> str:
    value = trend.formula.format(now=f"this.{code}", before=f"before.{code}", first=f"first.{code}")
    return f"CASE WHEN before.{code} IS NOT NULL THEN {value} END"


def trend_reasons_sql(source: str, codes: Sequence[str] = CODES) -> str:
    """Query with one row per NULL of those columns: company_id, fiscal_year, code, reason.

    `source` as in `trends_sql`, with fiscal_year.
    """
    reasons = ",\n    ".join(
        f"{_reason_sql(trend, code)} AS {code}_{trend.suffix}" for code in codes for trend in TRENDS
    )
    columns = f"this.company_id, this.fiscal_year,\n    {reasons}"
    chain = _CHAIN.format(source=source, columns=columns)
    return long_reasons_sql(trend_features(codes), f"({chain})")


def _reason_sql(trend: Trend, code: str) -> str:
    missing = " ".join(
        f"WHEN {period}.{code} IS NULL THEN 'missing {code} in one of three years'"
        for period in ("this", "before", "first")
    )
    return (
        "CASE WHEN first.company_id IS NULL THEN 'no three years in a row'"
        f" {missing} WHEN NOT isfinite({_value_sql(trend, code)}) THEN 'overflow' END"
    )
