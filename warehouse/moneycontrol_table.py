"""A statement of moneycontrol as it stands, on a page or in JSON, and the items it comes to."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

from warehouse.cells import Cell
from warehouse.errors import InputError
from warehouse.formats import LARGEST_CRORE
from warehouse.moneycontrol_lines import INDEXES, KEYS, LAYOUTS, Line, key_of

MAX_BYTES = 8 * 1024**2
NOTHING = frozenset({"", "-", "--", "NA", "N.A."})
_ROUNDING = 0.05  # a few printed amounts of two decimals


class PublishedRatio(NamedTuple):
    """A ratio as the site prints it: to compare with, never a feature."""

    fiscal_year_end: date
    basis: str
    ratio: str
    value: float


@dataclass(frozen=True)
class Page:
    """What one page, or one basis of a JSON answer, says.

    Attributes:
        company_name: as the page names it; None in JSON, which does not say.
        statement: balance_sheet, profit_loss, cash_flow or ratios.
        basis: consolidated or standalone; unstated where neither page nor caller says.
        cells: amounts, in INR crore.
        ratios: of a page of ratios.
        next_page: link to the page with the five years before, if there is one.
        unknown_labels: lines and headings that are neither mapped nor known.
        years: the year ends that stand in the header.
        notices: what was left out, and why.
    """

    company_name: str | None
    statement: str
    basis: str
    cells: tuple[Cell, ...] = ()
    ratios: tuple[PublishedRatio, ...] = ()
    next_page: str | None = None
    unknown_labels: tuple[str, ...] = ()
    years: tuple[date, ...] = ()
    notices: tuple[str, ...] = ()


Amounts = tuple[float | None, ...]


class Period(NamedTuple):
    """A column of a statement: its last day and its length."""

    end: date
    months: int


@dataclass(frozen=True)
class Table:
    """A statement as it stands: the amounts of each known label, one per period."""

    periods: tuple[Period, ...]
    amounts: dict[str, Amounts]
    unknown: tuple[str, ...]


def require_statement(name: str, statement: str | None) -> None:
    """Refuse a statement that has no layout; None stands for any.

    Raises:
        InputError: it has none.
    """
    if statement is not None and statement not in LAYOUTS:
        raise InputError(f"{name}: expected one of {', '.join(LAYOUTS)}, got {statement!r:.60}")


# -- years and numbers ------------------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def last_day(year: int, month: int) -> date:
    """The last day of a month."""
    return date(year, month, calendar.monthrange(year, month)[1])


def period_end(text: str) -> date | None:
    """Last day of a month like 'Mar 23'; None if it is something else."""
    found = re.fullmatch(r"([A-Za-z]{3}) ([0-9]{2})", text)
    if found is None or found[1].lower() not in _MONTHS:
        return None
    year = int(found[2])
    return last_day(year + (2000 if year < 80 else 1900), _MONTHS.index(found[1].lower()) + 1)


def months_of(text: str) -> int | None:
    """Months of a period like '12 mths'; None if it is something else."""
    found = re.fullmatch(r"([0-9]{1,2})(?: ?mths?\.?)?", text.strip().casefold())
    return int(found[1]) if found and 1 <= int(found[1]) <= 24 else None


_NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{2,3})+|[0-9]{1,15})?(?:\.[0-9]{1,12})?")


def amount_of(name: str, label: str, text: str) -> float | None:
    """A printed number; None where nothing is printed. A printed 0.00 is 0.

    Raises:
        InputError: it is no number, or too large.
    """
    if text in NOTHING:
        return None
    if len(text) > 30 or not _NUMBER.fullmatch(text) or not text[-1].isdigit():
        raise InputError(f"{name}, line {label!r:.80}: expected a number, got {text!r:.60}")
    return bounded(name, label, float(text.replace(",", "")))


def bounded(name: str, label: str, value: float) -> float:
    """An amount in INR crore that a company can have.

    Raises:
        InputError: it is too large.
    """
    if not abs(value) <= LARGEST_CRORE:
        raise InputError(
            f"{name}, line {label!r:.80}: {value!r:.60} INR crore is more than India's economy"
        )
    return value + 0.0  # no negative zero


# -- from lines to items ----------------------------------------------------------------------


def page_of(
    name: str,
    table: Table,
    statement: str,
    basis: str,
    company: str | None = None,
    next_page: str | None = None,
) -> Page:
    """A page with the items and published ratios that its table comes to.

    A year that stands twice in the header is left out, and a notice says so.

    Args:
        name: file or address, for messages.
        table: the statement as it stands.
        statement: balance_sheet, profit_loss, cash_flow or ratios.
        basis: consolidated, standalone or unstated.
        company: as the page names it.
        next_page: link to the five years before.

    Raises:
        InputError: a line that the statement must have is not there.
    """
    for group in LAYOUTS[statement].required:
        if not any(key_of(label) in table.amounts for label in group):
            raise InputError(
                f"{name}: expected a line {' or '.join(map(repr, group[:4]))}, got"
                f" {[*table.amounts, *table.unknown]!r:.200}"
            )
    ends = [period.end for period in table.periods]
    twice = sorted({end for end in ends if ends.count(end) > 1})
    once = [at for at, end in enumerate(ends) if end not in twice]
    return Page(
        company_name=company,
        statement=statement,
        basis=basis,
        cells=tuple(_cells(table, statement, basis, once)),
        ratios=tuple(_ratios(table, statement, basis, once)),
        next_page=next_page,
        unknown_labels=table.unknown,
        years=tuple(dict.fromkeys(ends)),
        notices=tuple(f"{end:%b %y} stands twice in the header: left out" for end in twice),
    )


def _cells(table: Table, statement: str, basis: str, columns: list[int]) -> Iterator[Cell]:
    for at in columns:
        period, given = table.periods[at], set[str]()
        for line in LAYOUTS[statement].lines:
            if line.item in given:
                continue
            total = _total(line, table.amounts, at)
            if total is not None:
                given.add(line.item)
                yield Cell(period.end, basis, line.item, total[0], period.months, total[1])


def _total(line: Line, amounts: dict[str, Amounts], at: int) -> tuple[float, str] | None:
    """Sum of a line's terms in one year, and whether it was printed as such or is derived."""
    moved, given = [], []
    for term in line.terms:
        value = _at(amounts, term.label, at)
        if value is not None:
            given.append(term.sign * value)
            moved += [term.sign] if value else []
        elif not term.optional:
            return None
    if not given or not _believed(line, given, amounts, at):
        return None
    return round(sum(given), 6) + 0.0, "reported" if moved in ([], [1]) else "derived"


def _believed(line: Line, given: list[float], amounts: dict[str, Amounts], at: int) -> bool:
    if line.doubted_by and not any(given):
        return not (_at(amounts, line.doubted_by, at) or 0.0) > 0
    others = [_at(amounts, label, at) for label in line.equals]
    stated = [value for value in others if value is not None]
    return not others or (len(stated) == len(others) and abs(sum(stated) - sum(given)) <= _ROUNDING)


def _at(amounts: dict[str, Amounts], label: str, at: int) -> float | None:
    values = amounts.get(KEYS[label])
    return values[at] if values is not None else None


def _ratios(
    table: Table, statement: str, basis: str, columns: list[int]
) -> Iterator[PublishedRatio]:
    for at in columns:
        for key, ratio in INDEXES[statement].ratios.items():
            value = table.amounts[key][at] if key in table.amounts else None
            if value is not None:
                yield PublishedRatio(table.periods[at].end, basis, ratio, value)
