"""screener.in "Export to Excel" workbooks into the rows of a statements file.

The layout is that of the sheet "Data Sheet": a label in column A, up to ten years to its right,
INR crore, newest last. The workbook states neither current assets nor current liabilities nor
whether it is consolidated. What it cannot give stays missing or is marked as a proxy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import pyarrow as pa
from python_calamine import CalamineError, CalamineWorkbook

from warehouse.errors import InputError
from warehouse.readers import require_safe_workbook

Amount = float | None
Year = dict[str, Amount]
SHEET = "Data Sheet"


@dataclass(frozen=True)
class Line:
    """How an item is read off one year of the sheet, and how far it is to be trusted."""

    item: str
    value: Callable[[Year], Amount]
    note: str = "reported"


def _sum(*terms: Amount) -> Amount:
    """Sum of what is given; None if nothing is."""
    given = [term for term in terms if term is not None]
    return sum(given) if given else None


def _all(*terms: Amount) -> Amount:
    """Sum of the terms; None if one is missing."""
    return None if None in terms else sum(term for term in terms if term is not None)


def _minus(term: Amount) -> Amount:
    return None if term is None else -term


def _row(label: str) -> Callable[[Year], Amount]:
    return lambda year: year[label]


LINES: tuple[Line, ...] = (
    Line("sales", _row("Sales")),
    Line("net_sales", _row("Sales")),
    Line("cost_of_materials", _row("Raw Material Cost")),
    # Theirs is closing less opening stock, a deduction from expenses.
    Line("changes_in_inventories", lambda y: _minus(y["Change in Inventory"])),
    Line("operating_and_direct_expenses", lambda y: _sum(y["Power and Fuel"], y["Other Mfr. Exp"])),
    Line("employee_benefits", _row("Employee Cost")),
    Line("other_expenses", lambda y: _sum(y["Selling and admin"], y["Other Expenses"])),
    Line("other_income", _row("Other Income")),
    Line("revenue", lambda y: _all(y["Sales"], y["Other Income"]), "derived"),
    Line(
        "total_expenses",
        lambda y: _all(y["Sales"], y["Other Income"], _minus(y["Profit before tax"])),
        "derived",
    ),
    Line("depreciation", _row("Depreciation")),
    Line("finance_costs", _row("Interest")),
    Line("profit_before_tax", _row("Profit before tax")),
    Line("tax", _row("Tax")),
    Line("net_profit", _row("Net profit")),
    Line("dividends", _row("Dividend Amount")),
    Line("equity_share_capital", _row("Equity Share Capital")),
    Line("reserves_and_surplus", _row("Reserves")),
    Line("shareholders_funds", lambda y: _all(y["Equity Share Capital"], y["Reserves"]), "derived"),
    Line("total_debt", _row("Borrowings")),
    # "Other Liabilities" holds minority interest, which total liabilities should not.
    Line("total_liabilities", lambda y: _all(y["Borrowings"], y["Other Liabilities"]), "proxy"),
    Line("equity_and_liabilities", _row("Total")),
    Line("fixed_assets", _row("Net Block")),
    Line("capital_work_in_progress", _row("Capital Work in Progress")),
    # Current investments are among them and are not told apart.
    Line("non_current_investments", _row("Investments"), "proxy"),
    # All assets but fixed assets and investments: on 7,791 Indian company-years with reported
    # current assets the median of proxy / reported is 1.04, the quartiles 0.99 and 1.15.
    Line("current_assets", _row("Other Assets"), "proxy"),
    Line("total_assets", _row("Total assets")),
    Line("trade_receivables", _row("Receivables")),
    Line("inventories", _row("Inventory")),
    Line("cash", _row("Cash & Bank")),
    Line("operating_cash_flow", _row("Cash from Operating Activity")),
    Line("investing_cash_flow", _row("Cash from Investing Activity")),
    Line("financing_cash_flow", _row("Cash from Financing Activity")),
    Line("net_cash_flow", _row("Net Cash Flow")),
)

# (heading, last label) of the three annual blocks; "Total" stands twice in the balance sheet.
_BLOCKS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "PROFIT & LOSS",
        (
            "Sales", "Raw Material Cost", "Change in Inventory", "Power and Fuel",
            "Other Mfr. Exp", "Employee Cost", "Selling and admin", "Other Expenses",
            "Other Income", "Depreciation", "Interest", "Profit before tax", "Tax", "Net profit",
            "Dividend Amount",
        ),
    ),
    (
        "BALANCE SHEET",
        (
            "Equity Share Capital", "Reserves", "Borrowings", "Other Liabilities", "Total",
            "Net Block", "Capital Work in Progress", "Investments", "Other Assets", "Total assets",
            "Receivables", "Inventory", "Cash & Bank",
        ),
    ),
    (
        "CASH FLOW:",
        (
            "Cash from Operating Activity", "Cash from Investing Activity",
            "Cash from Financing Activity", "Net Cash Flow",
        ),
    ),
)  # fmt: skip


def read_workbook(path: Path, company: str | None = None) -> tuple[pa.Table, tuple[str, ...]]:
    """Rows of a statements file out of a workbook, and lines that say what it could not give.

    Raises:
        InputError: not such a workbook, a changed layout, or a cell that is no number or date.
    """
    name, years = _years(path)
    company_id = company or slug(name)
    rows = [
        {
            "company_id": company_id,
            "company_name": name,
            "fiscal_year_end": str(end),
            "months": str(months),
            "basis": "unstated",
            "unit": "INR crore",
            "item": line.item,
            "value": repr(value),
            "note": line.note,
            "source": "screener.in workbook",
        }
        for end, months, year in years
        for line in LINES
        if (value := line.value(year)) is not None
    ]
    if not rows:
        raise InputError(f"{path}: the sheet {SHEET!r} holds no annual figures")
    proxies = ", ".join(sorted(line.item for line in LINES if line.note == "proxy"))
    notices = (
        f"company {name} imported as {company_id}; basis not stated by the workbook",
        f"estimated from broader lines (proxies): {proxies}",
        "not in such a workbook: current liabilities and all that needs them",
    )
    return pa.Table.from_pylist(rows), notices


def slug(name: str) -> str:
    """A company_id out of a name: lower-case words joined by hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:100] or "unnamed"


def _sheet(path: Path) -> list[list[object]]:
    require_safe_workbook(path)
    try:
        workbook = CalamineWorkbook.from_path(path)
        if SHEET not in workbook.sheet_names:
            raise InputError(
                f"{path}: expected a Screener workbook with a sheet {SHEET!r}, got the sheets"
                f" {', '.join(workbook.sheet_names[:6])}"
            )
        rows = workbook.get_sheet_by_name(SHEET).to_python(skip_empty_area=False, nrows=200)
    except CalamineError as error:
        raise InputError(f"{path}: damaged workbook: {str(error)[:200]}") from None
    return [list(row[:11]) for row in rows]


def _years(path: Path) -> tuple[str, list[tuple[date, int, Year]]]:
    """Company name, and per year: its end, its months and every labelled amount."""
    rows = _sheet(path)
    labels = [str(row[0]).strip() if row else "" for row in rows]
    name = str(rows[0][1]).strip() if rows and len(rows[0]) > 1 else ""
    if not labels or labels[0] != "COMPANY NAME" or not name:
        raise InputError(f"{path}, sheet {SHEET!r}, cell A1: expected 'COMPANY NAME' and a name")
    by_year: dict[date, Year] = {}
    for heading, wanted in _BLOCKS:
        _read_block(path, rows, labels, heading, wanted, by_year)
    every = [label for _, wanted in _BLOCKS for label in wanted]
    ends = sorted(by_year)
    return name, [
        (end, _months(ends, i), {label: by_year[end].get(label) for label in every})
        for i, end in enumerate(ends)
    ]


def _months(ends: list[date], i: int) -> int:
    """Months from the year end before; 12 for the first year and across a gap."""
    if i == 0:
        return 12
    months = (ends[i].year - ends[i - 1].year) * 12 + ends[i].month - ends[i - 1].month
    return months if 1 <= months <= 18 else 12


def _read_block(
    path: Path,
    rows: list[list[object]],
    labels: list[str],
    heading: str,
    wanted: tuple[str, ...],
    by_year: dict[date, Year],
) -> None:
    """Read one block into `by_year`; its labels must stand in the order that we know."""
    if heading not in labels:
        raise InputError(f"{path}, sheet {SHEET!r}: expected the heading {heading!r}, found none")
    top = labels.index(heading) + 1
    if labels[top : top + 1] != ["Report Date"]:
        raise InputError(f"{path}, sheet {SHEET!r}, row {top + 1}: expected 'Report Date'")
    dates = [_date(path, top, cell) for cell in rows[top][1:]]
    for at, label in enumerate(wanted, start=top + 1):
        printed = labels[at] if at < len(labels) else ""
        if printed != ("Total" if label == "Total assets" else label):
            raise InputError(
                f"{path}, sheet {SHEET!r}, row {at + 1}: expected {label!r}, got {printed!r}"
            )
        for end, cell in zip(dates, rows[at][1:], strict=False):
            if end is not None:
                by_year.setdefault(end, {})[label] = _amount(path, at, cell)


def _date(path: Path, row: int, cell: object) -> date | None:
    if cell in ("", None):
        return None
    if isinstance(cell, datetime):
        return cell.date()
    if isinstance(cell, date):
        return cell
    raise InputError(f"{path}, sheet {SHEET!r}, row {row + 1}: expected a date, got {cell!r:.60}")


def _amount(path: Path, row: int, cell: object) -> Amount:
    if cell in ("", None):
        return None
    if isinstance(cell, bool) or not isinstance(cell, int | float):
        raise InputError(
            f"{path}, sheet {SHEET!r}, row {row + 1}: expected a number, got {cell!r:.60}"
        )
    return float(cell)
