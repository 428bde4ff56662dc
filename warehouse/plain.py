"""The years of one plain file without a database: what the views say of it, for a few rows.

DuckDB plans the views and checks over a statement for longer than it takes to answer with all else
(`benchmarks/scoring.py`), whether there are four years or forty thousand. So a file in which there
is nothing to choose is worked out here: one source and filing of each year, no correction, no
interim figure to weigh against another, nothing that is not as its format says. Any other file, and
every file with a fault, is for the warehouse, which is the one that judges and explains. A test
proves both equal.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import groupby, pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds

from warehouse import formats, fusion, periods
from warehouse.expressions import Column, summed
from warehouse.identities import IDENTITIES, JUMP, LEAST, LEAST_WHOLE, SHARE, TOTALS
from warehouse.items import DERIVED, ITEM_NAMES, ITEMS, KNOWN_NAMES, PREVIOUS, UNITS

MOST_ROWS = 20_000  # of a file; DuckDB is the quicker one beyond
FILING, SLACK = timedelta(days=periods.FILING_DAYS), timedelta(days=periods.GAP_DAYS)

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,300}(\.\d{0,300})?([eE][+-]?\d{1,3})?", re.ASCII)
_SIZES = {unit.name: unit.per_crore for unit in UNITS} | {None: 1.0}
_TEXTS = ("company_name", "nse_symbol", "isin", "cin", "source", "note")
_NEVER = date(1900, 1, 1)
_Fullest = dict[tuple[str, int], int]  # lines, by company and fiscal year


class _NotPlainError(Exception):
    """A file for the warehouse."""


@dataclass(frozen=True)
class _Cell:
    """One figure, in INR crore, None where the cell is empty."""

    company: str
    year_end: date
    basis: str
    item: str
    value: float | None
    months: int
    source: str
    note: str
    filed_at: date | None
    available_from: date


@dataclass(frozen=True)
class _Year:
    """All figures of a company, year end and basis."""

    company: str
    year_end: date
    basis: str
    months: int
    whole_crores: bool
    proxies: str | None
    items: dict[str, float]

    @property
    def fiscal_year(self) -> int:
        """The calendar year of its end."""
        return self.year_end.year


def plain_years(table: pa.Table) -> pd.DataFrame | None:
    """What `features.dataset.years_sql` says of a statements file in an empty warehouse.

    Args:
        table: as its reader gives it.

    Returns:
        One row per company and fiscal year, in that order, with what scoring needs: whose it is,
        items, derived items and those of the period before; None for a file that is not plain.
    """
    if table.num_rows > MOST_ROWS:
        return None
    try:
        names, cells = _cells(table)
        years = list(_years(cells))
        columns = _item_columns(years)
        chosen = _chosen(years)
        fullest = _fullest(years, chosen)
        before = _before(years, chosen, fullest)
        rows = _one_a_year(years, chosen, fullest)
        return _frame(rows, years, columns, before, names) if rows else None
    except _NotPlainError:
        return None


def _require(fine: bool) -> None:
    if not fine:
        raise _NotPlainError


def _cells(table: pa.Table) -> tuple[dict[str, str | None], list[_Cell]]:
    """Names of the companies, and all figures."""
    lists = {name: _values(table, name) for name in formats.STATEMENTS.columns}
    texts = {text for name in _TEXTS for text in lists[name] if text is not None}
    _require(all(len(text) <= 500 for text in texts))
    names: dict[str, str | None] = {}
    cells, keys = list[_Cell](), set[tuple[object, ...]]()
    today = date.today()
    for row in zip(*lists.values(), strict=True):
        given = dict(zip(lists, row, strict=True))
        cell = _cell(given, today)
        key = (cell.company, cell.year_end, cell.basis, cell.item, cell.source, given["filed_at"])
        _require(key not in keys)
        keys.add(key)
        name, known = given["company_name"], names.get(cell.company)
        names[cell.company] = min(filter(None, (name, known)), default=None)
        if cell.value is not None and cell.note != "interim":
            cells.append(cell)
    _require(not fusion.corrected_companies() & names.keys())
    return names, cells


def _values(table: pa.Table, name: str) -> list[Any]:
    """A column, trimmed if it is text, as `warehouse.importers` stages it."""
    if name not in table.column_names:
        return [None] * table.num_rows
    column = table.column(name)
    if kinds.is_null(column.type):
        return [None] * table.num_rows
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        return [None if text is None else text.strip(" ") or None for text in column.to_pylist()]
    number = kinds.is_floating(column.type) or kinds.is_integer(column.type)
    _require((number and name in ("value", "months")) or kinds.is_date(column.type))
    _require(number or formats.STATEMENTS.columns[name].typed)
    return list(column.to_pylist())


def _cell(given: dict[str, Any], today: date) -> _Cell:
    company, item, unit = given["company_id"], given["item"], given["unit"]
    _require(company is not None and len(company) <= 200 and item in KNOWN_NAMES)
    year_end = _date(given["fiscal_year_end"], today)
    filed, known_from = _date(given["filed_at"], today), _date(given["available_from"], today)
    if year_end is None or unit not in _SIZES:
        raise _NotPlainError
    _require(all(day is None or day >= year_end for day in (filed, known_from)))
    value = _number(given["value"])
    value = None if value is None else value / _SIZES[unit]
    _require(value is None or abs(value) <= formats.LARGEST_CRORE)
    months = _number(given["months"])
    _require(months is None or (months == int(months) and 1 <= months <= 24))
    basis = given["basis"] or formats.NO_BASIS
    _require(basis in formats.BASES)
    usual = year_end + FILING
    restated = None
    if filed is None and known_from is not None:
        filed = known_from if known_from < usual else None
        restated = known_from if known_from > usual else None
    return _Cell(
        company,
        year_end,
        basis,
        item,
        value,
        12 if months is None else int(months),
        given["source"] or formats.NO_SOURCE,
        given["note"] or "reported",
        filed,
        filed or max(usual, restated or usual),
    )


@lru_cache(maxsize=1024)
def _date(given: Any, today: date) -> date | None:
    if given is None:
        return None
    if isinstance(given, str) and _DATE.fullmatch(given):
        try:
            given = date.fromisoformat(given)
        except ValueError:
            raise _NotPlainError from None
    _require(type(given) is date and formats.EARLIEST <= given < today)
    return given  # type: ignore[no-any-return]


def _number(given: Any) -> float | None:
    if given is None:
        return None
    _require(type(given) in (int, float) or (type(given) is str and bool(_NUMBER.fullmatch(given))))
    value = float(given)
    _require(bool(np.isfinite(value)))
    return value


def _years(cells: list[_Cell]) -> Iterator[_Year]:
    """The figures by company, year end and basis; none of them told twice."""
    key = attrgetter("company", "year_end", "basis")
    for (company, year_end, basis), group in groupby(sorted(cells, key=key), key):
        own = list(group)
        _require(len({(c.source, c.available_from, c.filed_at is None) for c in own}) == 1)
        items = {cell.item: float(cell.value or 0) for cell in own}
        _require(len(items) == len(own))
        whole = [c.value == round(c.value or 0) for c in own if c.note == "reported"]
        yield _Year(
            company,
            year_end,
            basis,
            max(cell.months for cell in own),
            2 * sum(whole) > len(whole),
            ", ".join(sorted(cell.item for cell in own if cell.note == "proxy")) or None,
            items,
        )


def _item_columns(years: list[_Year]) -> dict[str, Column]:
    """Items and derived items of each year, and what it states of these, NaN where missing."""

    def stated(name: str) -> Column:
        return np.array([year.items.get(name, np.nan) for year in years], dtype=np.float64)

    columns = {item.name: stated(item.name) for item in ITEMS}
    with np.errstate(all="ignore"):
        for one in DERIVED:
            given, parts = stated(one.name), summed(one.definition, one.optional, columns)
            columns[f"stated_{one.name}"] = given
            columns[one.name] = np.where(np.isnan(parts), given, parts)
    return columns


def _chosen(years: list[_Year]) -> list[int]:
    """Positions of the years of each company's one basis, as the view `one_basis` chooses it."""
    by_company = defaultdict[str, list[int]](list)
    for n, year in enumerate(years):
        by_company[year.company].append(n)
    chosen = []
    for own in by_company.values():
        fullest = max(len(years[n].items) for n in own)
        full = dict.fromkeys(formats.BASES, 0)
        for n in own:
            full[years[n].basis] += 2 * len(years[n].items) >= fullest
        there = {years[n].basis for n in own}
        best = max((basis for basis in formats.BASES if basis in there), key=full.__getitem__)
        chosen += [n for n in own if years[n].basis == best]
    return chosen


def _fullest(years: list[_Year], chosen: list[int]) -> _Fullest:
    """Lines of the fullest year end of each company and fiscal year."""
    found = defaultdict[tuple[str, int], int](int)
    for n in chosen:
        key = (years[n].company, years[n].fiscal_year)
        found[key] = max(found[key], len(years[n].items))
    return found


def _before(years: list[_Year], chosen: list[int], fullest: _Fullest) -> dict[int, int]:
    """The year that each begins where it ends, within `GAP_DAYS`, as the view `period` finds it."""
    by_company = defaultdict[str, list[tuple[date, int]]](list)
    for n in chosen:
        year = years[n]
        thin = 2 * len(year.items) < fullest[year.company, year.fiscal_year]
        by_company[year.company].append((_NEVER if thin else year.year_end, n))
    found = {}
    for own in by_company.values():
        for key, n in own:
            began = _months_before(key, years[n].months)
            near = [one for one in own if began - SLACK <= one[0] <= began + SLACK]
            if near:
                found[n] = max(near)[1]
    return found


def _months_before(day: date, months: int) -> date:
    at = day.year * 12 + day.month - 1 - months
    year, month = at // 12, at % 12 + 1
    return date(year, month, min(day.day, monthrange(year, month)[1]))


def _one_a_year(years: list[_Year], chosen: list[int], fullest: _Fullest) -> list[int]:
    """The year end of each company and fiscal year that the view `statements` takes, in order."""
    best: dict[tuple[str, int], tuple[tuple[bool, bool, date], int]] = {}
    for n in chosen:
        year = years[n]
        key = (year.company, year.fiscal_year)
        rank = (
            year.months >= periods.WHOLE_MONTHS,
            2 * len(year.items) >= fullest[key],
            year.year_end,
        )
        if key not in best or rank > best[key][0]:
            best[key] = (rank, n)
    return [best[key][1] for key in sorted(best)]


def _failed(years: list[_Year], columns: dict[str, Column]) -> list[int]:
    """Checks of severity error that each year fails."""
    whole = np.array([year.whole_crores for year in years])
    total = np.zeros(len(years), dtype=np.int64)
    pairs = [
        (summed(one.actual, one.optional, columns), summed(one.expected, one.optional, columns))
        for one in IDENTITIES
        if one.severity == "error"
    ]
    pairs += [
        (columns[f"stated_{one.name}"], summed(one.definition, one.optional, columns))
        for one in DERIVED
    ]
    with np.errstate(all="ignore"):
        for a, b in pairs:
            largest = np.maximum(np.abs(a), np.abs(b))
            slack = np.maximum(SHARE * largest, np.where(whole, LEAST_WHOLE, LEAST))
            total += np.abs(a - b) > slack  # never true of NaN
    failed: list[int] = total.tolist()
    for n in _jumps(years):
        failed[n] += 1
    return failed


def _jumps(years: list[_Year]) -> Iterator[int]:
    """Years of which a total is a thousand times that of the year before, or its thousandth."""
    series = defaultdict[tuple[str, str, str], list[tuple[date, float, int]]](list)
    for n, year in enumerate(years):
        for name in TOTALS:
            if year.items.get(name, 0) > 0:
                series[year.company, year.basis, name].append((year.year_end, year.items[name], n))
    for points in series.values():
        for (_, before, _), (_, value, n) in pairwise(sorted(points)):
            if max(value / before, before / value) >= JUMP:
                yield n


def _financial(rows: list[int], years: list[_Year], columns: dict[str, Column]) -> set[str]:
    """Companies laid out as a bank, NBFC or insurer, as `company_kind` tells them."""
    found = set()
    for company, group in groupby(rows, key=lambda n: years[n].company):
        own = list(group)
        part = {name: columns[name][own] for name in ITEM_NAMES | {"total_debt"}}
        if any(np.any(part[name] > 0) for name in ("inventories", "cost_of_materials")):
            continue
        fixed = _ratios(part["fixed_assets"], part["total_assets"])
        debt = _ratios(part["total_debt"], part["shareholders_funds"])
        few = len(fixed) and fixed.mean() < periods.BANK_FIXED_ASSETS
        if few and len(debt) and debt.mean() > periods.BANK_DEBT:
            found.add(company)
    return found


def _ratios(above: Column, below: Column) -> Column:
    """Of the years that have both."""
    there = ~(np.isnan(above) | np.isnan(below))
    _require(bool(np.all(below[there] != 0)))
    return above[there] / below[there]


def _frame(
    rows: list[int],
    years: list[_Year],
    columns: dict[str, Column],
    before: dict[int, int],
    names: dict[str, str | None],
) -> pd.DataFrame:
    own = [years[n] for n in rows]
    failed, financial = _failed(years, columns), _financial(rows, years, columns)
    last = np.array([before.get(n, -1) for n in rows])
    previous = {
        f"prev_{name}": np.where(last < 0, np.nan, columns[name][last]) for name in PREVIOUS
    }
    facts = pd.DataFrame(
        {
            "company_id": [year.company for year in own],
            "company_name": [names[year.company] for year in own],
            "sector": np.full(len(own), None, dtype=object),
            "is_financial": [year.company in financial for year in own],
            "fiscal_year": [year.fiscal_year for year in own],
            "fiscal_year_end": np.array([year.year_end for year in own], dtype="datetime64[us]"),
            "basis": [year.basis for year in own],
            "proxies": np.array([year.proxies for year in own], dtype=object),
            "failed_checks": [failed[n] for n in rows],
        }
    )
    numbers = {name: column[rows] for name, column in columns.items()} | previous
    table = pd.DataFrame(np.column_stack(list(numbers.values())), columns=list(numbers))
    return pd.concat([facts, table], axis=1)
