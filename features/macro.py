"""The four macro variables X63 to X66 and the calendar year that belongs to a fiscal year."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Alignment = Literal["year-before", "paper"]


@dataclass(frozen=True)
class MacroSeries:
    """A yearly World Bank series of India, in per cent.

    `paper_lag` is how many years the reference paper's own table goes back from the fiscal year.
    """

    code: str
    series: str
    name: str
    indicator: str
    paper_lag: int


MACRO: tuple[MacroSeries, ...] = (
    MacroSeries("X63", "inflation", "consumer price inflation", "FP.CPI.TOTL.ZG", 1),
    MacroSeries("X64", "unemployment", "unemployment rate", "SL.UEM.TOTL.ZS", 0),
    MacroSeries("X65", "real_interest", "real interest rate", "FR.INR.RINR", 1),
    MacroSeries("X66", "gdp_growth", "growth of gross domestic product", "NY.GDP.MKTP.KD.ZG", 1),
)


def macro_sql(alignment: Alignment = "year-before") -> str:
    """Scalar subqueries for X63 to X66 of a row with `fiscal_year`.

    A fiscal year that ends in year Y takes calendar year Y - 1: right for GDP, whose Indian year is
    named by its first year, and nine of twelve months of a March year for the others. "paper" takes
    unemployment of the year Y itself, as the reference paper's table does.
    """
    return ",\n    ".join(
        f"(SELECT value FROM known_macro WHERE series = '{m.series}'"
        f" AND year = fiscal_year - {m.paper_lag if alignment == 'paper' else 1}) AS {m.code}"
        for m in MACRO
    )
