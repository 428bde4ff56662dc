"""One figure of a company's annual statements, as a document gives it."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple


class Cell(NamedTuple):
    """A reported figure.

    Attributes:
        fiscal_year_end: last day of the period, or the day of the balance sheet.
        basis: consolidated, standalone or unstated.
        item: canonical name of `items.py`.
        value: INR crore.
        months: length of the period.
        note: reported, derived (exact arithmetic from lines of the same document), proxy (an
            estimate) or interim (the period is not a whole fiscal year).
    """

    fiscal_year_end: date
    basis: str
    item: str
    value: float
    months: int
    note: str = "reported"
