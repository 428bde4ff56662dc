"""moneycontrol's annual statements: the pages "…VI", and the JSON behind its new pages.

No real saved page could be had: what is known of both formats was reported by others, so whatever
differs is refused with a message that quotes it. Amounts are INR crore.

How their lines become ours is in the tables below. Where the two count differently:

- `fixed_assets` has no work in progress, which their "Fixed Assets" holds.
- `shareholders_funds` is theirs: it holds preference capital, warrants and stock options. These
  are therefore added to `reserves_and_surplus`, the other equity.
- `other_current_liabilities` has the short-term provisions: they have no item of their own.
- `net_profit` is of all owners: their profit for the period, which is before minority interest and
  before associates, plus the share of associates.
- `net_cash_flow` is what the three activities sum to: where their net change holds exchange
  differences or cash of merged companies too, these are taken off.
- `dividends` of 0.00 beside a dividend rate are no dividends of zero, but missing.
- Share application money, hybrid securities and grants stand between equity and liabilities:
  they are in neither, so the check of the balance sheet tells of a year in which they are large.
- Extraordinary items come after tax and have no item: the check of profit after tax tells of them.
"""

from __future__ import annotations

import calendar
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from lxml import etree

from warehouse.cells import Cell
from warehouse.errors import InputError
from warehouse.formats import LARGEST_CRORE
from warehouse.readers import require_file
from warehouse.screener import slug

MAX_BYTES = 8 * 1024**2

PAGE_SOURCE = "moneycontrol"
API_SOURCE = "moneycontrol api"
NOTHING = frozenset({"", "-", "--", "NA", "N.A."})
_HEAD = 1024**2  # of a file, to tell what it is
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


@dataclass(frozen=True)
class Term:
    """A printed line as part of an item.

    Attributes:
        label: as printed; case, spaces and signs do not count.
        key: its field in the JSON, where that is not the label without spaces and signs.
        sign: +1 or -1.
        optional: counts 0 where it is missing. If all terms are optional, one must be there.
        part: part of the statement in which it must stand, for a label that means two things.
    """

    label: str
    key: str = ""
    sign: int = 1
    optional: bool = False
    part: str = ""


@dataclass(frozen=True)
class Line:
    """How an item follows from printed lines; of several for one item the first that can be had.

    Attributes:
        item: canonical name.
        terms: what is added up.
        equals: labels that must sum to the same, else the next line of the item is tried.
        doubted_by: label that must not be above 0 for a zero to be believed.
    """

    item: str
    terms: tuple[Term, ...]
    equals: tuple[str, ...] = ()
    doubted_by: str = ""


@dataclass(frozen=True)
class Layout:
    """What may stand in one statement.

    Attributes:
        required: labels of which one in each group must be there.
        lines: label -> item.
        ratios: labels that are kept as published ratios.
        ignored: labels that are known and not mapped.
        sections: headings.
        parts: those headings that begin a part, and its name; of the last, `end`, nothing is read.
    """

    required: tuple[tuple[str, ...], ...]
    lines: tuple[Line, ...] = ()
    ratios: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    sections: tuple[str, ...] = ()
    parts: Mapping[str, str] = field(default_factory=dict)


def _one(item: str, label: str, key: str = "") -> Line:
    return Line(item, (Term(label, key),))


def _also(label: str, key: str = "", sign: int = 1) -> Term:
    return Term(label, key, sign, optional=True)


def _below(part: str, *lines: Line) -> tuple[Line, ...]:
    """These lines, for which a label counts only in this part."""
    return tuple(
        replace(line, terms=tuple(replace(term, part=part) for term in line.terms))
        for line in lines
    )


_OWED, _OWNED, _END = "liabilities", "assets", "end"
_WORK_IN_PROGRESS = ("Capital Work-In-Progress", "Intangible Assets Under Development")
_ASSOCIATES = "Share Of Profit/Loss Of Associates"
_CASH_FLOWS = (
    "Net CashFlow From Operating Activities",
    "Net Cash Used In Investing Activities",
    "Net Cash Used From Financing Activities",
)
_NET_CASH_FLOW = Term("Net Inc/Dec In Cash And Cash Equivalents")

LAYOUTS: dict[str, Layout] = {
    "balance_sheet": Layout(
        lines=_below(
            _OWED,
            _one("equity_share_capital", "Equity Share Capital", "EquityCapital"),
            Line(
                "reserves_and_surplus",
                (
                    Term("Total Reserves and Surplus"),
                    _also("Preference Share Capital", "PreferenceCapital"),
                    _also("Money Against Share Warrants"),
                    _also("Employees Stock Options"),
                ),
            ),
            _one("shareholders_funds", "Total Shareholders Funds"),
            _one("minority_interest", "Minority Interest"),
            _one("long_term_borrowings", "Long Term Borrowings"),
            _one("non_current_liabilities", "Total Non-Current Liabilities"),
            _one("short_term_borrowings", "Short Term Borrowings"),
            _one("trade_payables", "Trade Payables"),
            Line(  # all that is not named otherwise
                "other_current_liabilities",
                (Term("Other Current Liabilities"), _also("Short Term Provisions")),
            ),
            _one("current_liabilities", "Total Current Liabilities"),
            _one("equity_and_liabilities", "Total Capital And Liabilities"),
        )
        + _below(
            _OWNED,
            Line(
                "fixed_assets",
                (Term("Tangible Assets"), _also("Intangible Assets"), _also("Other Assets")),
            ),
            # Banks print this one line only.
            Line(
                "fixed_assets",
                (
                    Term("Fixed Assets", "TotalFixedAssets"),
                    *(_also(label, sign=-1) for label in _WORK_IN_PROGRESS),
                ),
            ),
            Line(
                "capital_work_in_progress",
                (Term(_WORK_IN_PROGRESS[0]), _also(_WORK_IN_PROGRESS[1])),
            ),
            _one("non_current_investments", "Non-Current Investments"),
            _one("current_investments", "Current Investments"),
            _one("inventories", "Inventories"),
            _one("trade_receivables", "Trade Receivables"),
            _one("cash", "Cash And Cash Equivalents"),
            Line(
                "cash",
                (
                    Term("Cash and Balances with Reserve Bank of India"),
                    Term("Balances with Banks Money at Call and Short Notice"),
                ),
            ),
            _one("current_assets", "Total Current Assets"),
            _one("total_assets", "Total Assets"),
        ),
        ignored=(
            "Total Share Capital", "Revaluation Reserves", "Reserves and Surplus",
            "Deferred Tax Liabilities [Net]", "Other Long Term Liabilities",
            "Long Term Provisions", "Goodwill On Consolidation",
            "Deferred Tax Assets [Net]", "Long Term Loans And Advances",
            "Other Non-Current Assets", "Total Non-Current Assets",
            "Short Term Loans And Advances", "OtherCurrentAssets", "Contingent Liabilities",
            # Neither equity nor liabilities.
            "Equity Share Application Money", "Preference Share Application Money",
            "Hybrid/Debt/Other Securities", "Share Capital Suspense", "Government/Other Grants",
            "Policy Holders Funds",
            # Banks. Deposits are due when the depositor wants them, and are no borrowings.
            "Deposits", "Borrowings", "Other Liabilities and Provisions", "Investments",
            "Advances",
            # Below "OTHER ADDITIONAL INFORMATION".
            "CIF Value of Raw Materials", "CIF Value of Stores, Spares And Loose Tools",
            "CIF Value of Other Goods", "CIF Value of Capital Goods",
            "Expenditure In Foreign Currency", "Dividend Remittance In Foreign Currency",
            "FOB Value Of Goods", "Other Earnings", "Bonus Equity Share Capital",
            "Non-Current Investments Quoted Market Value",
            "Non-Current Investments Unquoted Book Value",
            "Current Investments Quoted Market Value", "Current Investments Unquoted Book Value",
            "Number of Branches", "Number of Employees", "Capital Adequacy Ratios (%)",
            "Tier 1 (%)", "Tier 2 (%)", "Gross NPA (%)", "Net NPA (%)",
            "Net NPA To Advances (%)", "Bills for Collection",
        ),
        sections=(
            "EQUITIES AND LIABILITIES", "SHAREHOLDER'S FUNDS", "NON-CURRENT LIABILITIES",
            "CURRENT LIABILITIES", "ASSETS", "NON-CURRENT ASSETS", "CURRENT ASSETS",
            "OTHER ADDITIONAL INFORMATION", "CONTINGENT LIABILITIES, COMMITMENTS",
            "CIF VALUE OF IMPORTS", "EXPENDITURE IN FOREIGN EXCHANGE",
            "REMITTANCES IN FOREIGN CURRENCIES FOR DIVIDENDS", "EARNINGS IN FOREIGN EXCHANGE",
            "BONUS DETAILS", "NON-CURRENT INVESTMENTS", "CURRENT INVESTMENTS",
            "KEY PERFORMANCE INDICATORS", "ASSETS QUALITY",
        ),
        required=(("Total Assets",),),
        parts={
            "EQUITIES AND LIABILITIES": _OWED,
            "ASSETS": _OWNED,
            "NON-CURRENT ASSETS": _OWNED,
            "CURRENT ASSETS": _OWNED,
            "OTHER ADDITIONAL INFORMATION": _END,
            "CONTINGENT LIABILITIES, COMMITMENTS": _END,
        },
    ),
    "profit_loss": Layout(
        lines=(
            _one("net_sales", "Revenue From Operations [Net]"),
            _one("net_sales", "Total Interest Earned"),
            _one("sales", "Total Operating Revenues"),
            _one("sales", "Total Interest Earned"),
            _one("other_income", "Other Income"),
            _one("revenue", "Total Revenue"),
            _one("revenue", "Total Income"),
            _one("cost_of_materials", "Cost Of Materials Consumed"),
            _one("purchases_of_stock", "Purchase Of Stock-In Trade"),
            # With the lines of refiners, power companies and airlines: the vendor's column names.
            Line(
                "operating_and_direct_expenses",
                (
                    _also("Operating And Direct Expenses"),
                    _also("Purchase Of Crude Oil And Others"),
                    _also("Cost Of Power Purchased"),
                    _also("Cost Of Fuel"),
                    _also("Aircraft Fuel Expenses"),
                    _also("Aircraft Lease Rentals"),
                ),
            ),
            _one("changes_in_inventories", "Changes In Inventories Of FG,WIP And Stock-In Trade"),
            _one("employee_benefits", "Employee Benefit Expenses"),
            _one("employee_benefits", "Payments to and Provisions for Employees"),
            _one("finance_costs", "Finance Costs"),
            _one("finance_costs", "Interest Expended"),
            _one("depreciation", "Depreciation And Amortisation Expenses"),
            _one("depreciation", "Depreciation"),
            Line(
                "other_expenses",
                (
                    Term("Other Expenses"),
                    _also("Provisions And Contingencies"),
                    _also("Misc. Expenses W/Off"),
                ),
            ),
            _one("total_expenses", "Total Expenses"),
            _one("exceptional_items", "Exceptional Items"),
            _one("profit_before_tax", "Profit/Loss Before Tax"),
            _one("tax", "Total Tax Expenses", "TotalTaxExpensesContinuedOperations"),
            Line(
                "tax",
                (
                    Term("Current Tax"),
                    Term("Deferred Tax"),
                    _also("Other Direct Taxes"),
                    _also("Tax For Earlier Years"),
                    _also("Less: MAT Credit Entitlement", "LessMatCredit", -1),
                ),
            ),
            _one("share_of_associates", _ASSOCIATES),
            _one(
                "discontinued_operations", "Net Profit/Loss From Discontinuing Operations"
            ),
            Line("net_profit", (Term("Profit/Loss For The Period"), _also(_ASSOCIATES))),
            Line("net_profit", (Term("Net Profit / Loss for The Year"), _also(_ASSOCIATES))),
            Line(
                "dividends",
                (Term("Equity Share Dividend"),),
                doubted_by="Equity Dividend Rate (%)",
            ),
        ),
        ignored=(
            "Revenue From Operations [Gross]", "Less: Excise/Sevice Tax/Other Levies",
            "Other Operating Revenues",
            "Profit/Loss Before Exceptional, ExtraOrdinary Items And Tax",
            "Profit/Loss After Tax And Before ExtraOrdinary Items", "Prior Period Items",
            "Extraordinary Items", "Profit/Loss From Continuing Operations",
            "Profit/Loss From Discontinuing Operations",
            "Total Tax Expenses Discontinuing Operations", "Minority Interest",
            "Consolidated Profit/Loss After MI And Associates", "Basic EPS (Rs.)",
            "Diluted EPS (Rs.)", "Imported Raw Materials", "Indigenous Raw Materials",
            "Imported Stores And Spares", "Indigenous Stores And Spares",
            "Preference Share Dividend", "Tax On Dividend",
            # Taken off the expenses; whether printed with a minus is not known.
            "Less: Inter Unit / Segment / Division Transfer",
            "Less: Amounts Transfer To Capital Accounts",
            "Less: Transfer to / From Investment / Fixed Assets / Others",
            "Less: Share Of Loss From Partnership Firm",
            # Banks: their total expenditure and provisions hold taxes.
            "Interest / Discount on Advances / Bills", "Income from Investments",
            "Interest on Balance with RBI and Other Inter-Bank funds", "Others",
            "Operating Expenses (excludes Employee Cost & Depreciation)",
            "Total Operating Expenses", "Provision Towards Income Tax",
            "Provision Towards Deferred Tax", "Provision Towards Other Taxes",
            "Other Provisions and Contingencies", "Total Provisions and Contingencies",
            "Total Expenditure", "Net Profit / Loss After EI & Prior Year Items",
            "Profit / Loss Brought Forward", "Transferred on Amalgamation",
            "Total Profit / Loss available for Appropriations",
            "Transfer To / From Statutory Reserve", "Transfer To / From Reserve Fund",
            "Transfer To / From Special Reserve", "Transfer To / From Capital Reserve",
            "Transfer To / From General Reserve", "Transfer To / From Investment Reserve",
            "Transfer To / From Revenue And Other Reserves",
            "Dividend and Dividend Tax for The Previous Year",
            "Balance Carried Over To Balance Sheet", "Total Appropriations",
        ),
        sections=(
            "INCOME", "EXPENSES", "Tax Expenses-Continued Operations",
            "OTHER ADDITIONAL INFORMATION", "EARNINGS PER SHARE",
            "VALUE OF IMPORTED AND INDIGENIOUS RAW MATERIALS", "STORES, SPARES AND LOOSE TOOLS",
            "DIVIDEND AND DIVIDEND PERCENTAGE", "Interest Earned", "EXPENDITURE",
            "APPROPRIATIONS", "OTHER INFORMATION", "DIVIDEND PERCENTAGE",
        ),
        required=(
            ("Total Revenue", "Total Operating Revenues", "Total Income", "Total Interest Earned"),
            ("Profit/Loss For The Period", "Net Profit / Loss for The Year"),
        ),
    ),
    "cash_flow": Layout(
        lines=(
            _one("operating_cash_flow", _CASH_FLOWS[0]),
            _one("investing_cash_flow", _CASH_FLOWS[1]),
            _one("financing_cash_flow", _CASH_FLOWS[2]),
            Line("net_cash_flow", (_NET_CASH_FLOW,), equals=_CASH_FLOWS),
            Line(
                "net_cash_flow",
                (
                    _NET_CASH_FLOW,
                    _also("Foreign Exchange Gains / Losses", sign=-1),
                    _also("Adjustments On Amalgamation Merger Demerger Others", sign=-1),
                ),
                equals=_CASH_FLOWS,
            ),
            Line("net_cash_flow", (_NET_CASH_FLOW,)),
        ),
        ignored=(
            "Net Profit/Loss Before Extraordinary Items And Tax",
            "Cash And Cash Equivalents Begin of Year", "Cash And Cash Equivalents End Of Year",
        ),
        required=((_CASH_FLOWS[0],), (_NET_CASH_FLOW.label,)),
    ),
    "ratios": Layout(
        ratios=(
            "Basic EPS (Rs.)", "Diluted EPS (Rs.)", "Cash EPS (Rs.)",
            "Book Value [ExclRevalReserve]/Share (Rs.)",
            "Book Value [InclRevalReserve]/Share (Rs.)", "Dividend / Share(Rs.)",
            "Revenue from Operations/Share (Rs.)", "PBDIT/Share (Rs.)", "PBIT/Share (Rs.)",
            "PBT/Share (Rs.)", "Net Profit/Share (Rs.)", "NP After MI And SOA / Share (Rs.)",
            "PBDIT Margin (%)", "PBIT Margin (%)", "PBT Margin (%)", "Net Profit Margin (%)",
            "NP After MI And SOA Margin (%)", "Return on Networth/Equity (%)",
            "Return on Capital Employed (%)", "Return on Assets (%)", "Total Debt/Equity (X)",
            "Asset Turnover Ratio (%)", "Current Ratio (X)", "Quick Ratio (X)",
            "Inventory Turnover Ratio (X)", "Dividend Payout Ratio (NP) (%)",
            "Dividend Payout Ratio (CP) (%)", "Earnings Retention Ratio (%)",
            "Cash Earnings Retention Ratio (%)", "Interest Coverage Ratios (%)",
            "Interest Coverage Ratios (Post Tax) (%)", "Enterprise Value (Cr.)",
            "EV/Net Operating Revenue (X)", "EV/EBITDA (X)",
            "MarketCap/Net Operating Revenue (X)", "Retention Ratios (%)", "Price/BV (X)",
            "Price/Net Operating Revenue", "Earnings Yield",
        ),
        sections=(
            "Per Share Ratios", "Profitability Ratios", "Liquidity Ratios", "Coverage Ratios",
            "Valuation Ratios",
        ),
        required=(("Basic EPS (Rs.)", "Net Profit Margin (%)", "Return on Assets (%)"),),
    ),
}  # fmt: skip


def _key(label: str) -> str:
    """A label without what varies: case, spaces, signs. Most of their JSON keys are this too."""
    return re.sub(r"[\W_]+", "", label.casefold())


@dataclass(frozen=True)
class _Index:
    """A layout ready for looking up by `_key`. `used` are the labels whose amounts count."""

    known: frozenset[str]
    used: frozenset[str]
    sections: frozenset[str]
    parts: Mapping[str, str]
    renamed: Mapping[str, str]
    part_of: Mapping[str, str]
    ratios: Mapping[str, str]

    def takes(self, key: str, part: str) -> bool:
        """Whether the amounts of a line that stands in this part count."""
        return key in self.used and self.part_of.get(key, "") in ("", part)


def _indexed(layout: Layout) -> _Index:
    terms = [term for line in layout.lines for term in line.terms]
    used = list(_labels(layout))
    return _Index(
        known=frozenset(map(_key, (*used, *layout.ignored))),
        used=frozenset(map(_key, used)),
        sections=frozenset(map(_key, layout.sections)),
        parts={_key(section): part for section, part in layout.parts.items()},
        renamed={_key(term.key): _key(term.label) for term in terms if term.key},
        part_of={_key(term.label): term.part for term in terms},
        ratios={_key(ratio): ratio for ratio in layout.ratios},
    )


def _labels(layout: Layout) -> Iterator[str]:
    """The labels whose amounts count."""
    for line in layout.lines:
        yield from (term.label for term in line.terms)
        yield from (label for label in (*line.equals, line.doubted_by) if label)
    yield from layout.ratios


_INDEXES = {statement: _indexed(layout) for statement, layout in LAYOUTS.items()}
_KEYS = {label: _key(label) for layout in LAYOUTS.values() for label in _labels(layout)}

Amounts = tuple[float | None, ...]


class _Period(NamedTuple):
    end: date
    months: int


@dataclass(frozen=True)
class _Table:
    """A statement as it stands: the amounts of each known label, one per period."""

    periods: tuple[_Period, ...]
    amounts: dict[str, Amounts]
    unknown: tuple[str, ...]


# -- the page ---------------------------------------------------------------------------------


def parse_page(
    data: bytes, name: str, *, statement: str | None = None, basis: str | None = None
) -> Page:
    """A statement page. One that says that there is no data has no years.

    Args:
        data: its bytes.
        name: file or address, for messages.
        statement: what was asked for, if that is known.
        basis: consolidated or standalone, if that was asked for.

    Raises:
        InputError: not such a page; another statement or basis than was asked for; a changed
            layout, unit or header.
    """
    _require_statement(name, statement)
    document = _document(data, name)
    rows = _statement_rows(document, name)
    titles = _titles(document, rows)
    statement = _agreed(name, "statement", statement, _first(map(_statement_named, titles)))
    told = _first(map(_basis_named, titles)) or _basis_linked(_next_link(document))
    basis = _agreed(name, "basis", basis, told) or _basis_linked(_own_address(document))
    if statement is None:
        raise InputError(f"{name}: expected a title like 'Balance Sheet of …', got {titles!r:.200}")
    company = _first(map(_company_named, titles)) or _company_headed(document)
    if rows is None:
        return Page(company, statement, basis or "unstated")
    if statement != "ratios":  # their units stand in their labels
        _require_crore(name, document, titles)
    table = _read_rows(name, statement, rows)
    return _page(name, table, statement, basis or "unstated", company, _next_page(document, name))


def _require_statement(name: str, statement: str | None) -> None:
    if statement is not None and statement not in LAYOUTS:
        raise InputError(f"{name}: expected one of {', '.join(LAYOUTS)}, got {statement!r:.60}")


def _first(values: Iterable[str | None]) -> str | None:
    return next(filter(None, values), None)


def _document(data: bytes, name: str) -> etree._Element:
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data):,} bytes; pages of up to {MAX_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = _declared(data, name, error)
    if "<" not in text:
        raise InputError(f"{name}: expected a page, got {text[:80]!r}")
    try:  # not with BeautifulSoup, which takes seven times as long for a page of 150 KB
        document = etree.fromstring(text, etree.HTMLParser())
    except (etree.LxmlError, ValueError) as error:
        raise InputError(f"{name}: not a page that can be read: {error}") from None
    if document is None:
        raise InputError(f"{name}: expected a page, got {text[:80]!r}")
    return document


def _declared(data: bytes, name: str, error: UnicodeDecodeError) -> str:
    """Text that is not UTF-8, if the page says that it is Latin; nothing else is tried."""
    declared = re.search(rb"""charset=["']?([\w-]{1,40})""", data[:4096])
    if declared and declared[1].lower() in (b"iso-8859-1", b"latin-1", b"windows-1252"):
        return data.decode("cp1252", "replace")
    came = data[max(error.start - 20, 0) : error.start + 20]
    raise InputError(f"{name}: expected UTF-8 text, got {came!r}") from None


def _has_class(element: etree._Element, name: str) -> bool:
    return name in (element.get("class") or "").split()


def _text(element: etree._Element) -> str:
    """Text of an element, its white space, non-breaking too, made single spaces."""
    text = (element.text or "") if len(element) == 0 else "".join(map(str, element.itertext()))
    return " ".join(text.split())


def _statement_rows(document: etree._Element, name: str) -> list[list[str]] | None:
    """Rows of the one table with years in its header; None if the page says it has no data."""
    tables = [table for table in document.iter("table") if _has_class(table, "mctable1")]
    found = [_rows(table) for table in tables]
    statements = [rows for rows in found if rows and any(map(_period_end, rows[0][1:]))]
    if len(statements) > 1:
        raise InputError(
            f"{name}: expected one table with years in its header, got {len(statements)}:"
            f" {[rows[0][:3] for rows in statements]!r:.200}"
        )
    if statements:
        return statements[0]
    etree.strip_elements(document, "script", "style", "template", with_tail=False)
    text = _text(document)
    if "data not available" in text.casefold():
        return None
    came = found[0][:1] if found else text
    raise InputError(
        f"{name}: expected a table 'mctable1' with a header like 'Mar 23', got {came!r:.200}"
    )


def _rows(table: etree._Element) -> list[list[str]]:
    rows = []
    for row in table.iter("tr"):
        cells = [_text(cell) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            rows.append(cells)
    return rows


def _titles(document: etree._Element, rows: list[list[str]] | None) -> list[str]:
    """What names the page, the nearest to the figures first."""
    heads = [_text(element) for tag in ("h1", "title") for element in document.iter(tag)]
    return [text for text in [rows[0][0] if rows else "", *heads] if text][:20]


_NAMES = (
    ("balance_sheet", r"balance\s*sheet"),
    ("profit_loss", r"profit\s*(?:&|and)\s*loss"),
    ("cash_flow", r"cash\s*flow"),
    ("ratios", r"(?:key\s+)?financial\s+ratios"),
)


_KINDS = "(?:" + "|".join(pattern for _, pattern in _NAMES) + r")(?:\s+account)?"


def _statement_named(title: str) -> str | None:
    """The statement that a title names; None if it names none, or several as a menu does."""
    found = [s for s, pattern in _NAMES if re.search(pattern, title, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def _basis_named(title: str) -> str | None:
    """The word before the statement: there are companies called Consolidated Something, too."""
    found = re.search(rf"\b(consolidated|standalone)\s+{_KINDS}", title, re.IGNORECASE)
    return found[1].casefold() if found else None


def _basis_linked(address: str) -> str | None:
    """The basis of a page's address; the standalone ones have no word for it."""
    found = re.search(
        r"/(consolidated-)?(?:balance-sheet|profit-loss|cash-flow|ratios)VI/",
        address,
        re.IGNORECASE,
    )
    return ("consolidated" if found[1] else "standalone") if found else None


def _own_address(document: etree._Element) -> str:
    links = [e.get("href") or "" for e in document.iter("link") if e.get("rel") == "canonical"]
    return next(filter(None, links), "")


def _agreed(name: str, what: str, asked: str | None, told: str | None) -> str | None:
    """What was asked for, if the page does not say another thing; else what the page says."""
    if asked and told and asked != told:
        raise InputError(f"{name}: expected the {what} {asked}, got {told}")
    return asked or told


def _company_named(title: str) -> str | None:
    """The company in a title like 'Balance Sheet of Nilgiri Alloys (in Rs. Cr.)'."""
    found = re.search(rf"(?:{_KINDS})\s+of\s+([^(|,]+)", title, re.IGNORECASE)
    return (found[1].strip() or None) if found else None


def _company_headed(document: etree._Element) -> str | None:
    """The company in a heading of the page that says no more than it, or it and the statement."""
    for heading in document.iter("h1"):
        words = rf"(?:\b(?:consolidated|standalone)\s+)?{_KINDS}"
        name = re.split(r"[(|,]", re.sub(words, " ", _text(heading), flags=re.IGNORECASE))[0]
        if name.strip(" -:"):
            return " ".join(name.split()).strip(" -:")
    return None


_UNIT = re.compile(
    r"(?<![a-z])(rs|inr|usd|us\$|₹)\.?\s*(?:in\s+)?(cr|lakh|lac|million|mn|billion|bn|thousand)",
    re.IGNORECASE,
)


def _require_crore(name: str, document: etree._Element, titles: list[str]) -> None:
    """Refuse a page in another unit, or in none: a factor of 100 is not seen in ratios."""
    table = next(table for table in document.iter("table") if _has_class(table, "mctable1"))
    near = (_text(element)[:5000] for element in [table, *table.iterancestors()][:4])
    for place in itertools.chain(titles, near):
        units = {"".join(unit).casefold() for unit in _UNIT.findall(place)}
        if units:
            if units != {"rscr"}:
                raise InputError(f"{name}: expected the unit 'Rs. Cr.', got {place!r:.120}")
            return
    raise InputError(f"{name}: expected the unit 'Rs. Cr.', got none in {titles!r:.200}")


def _next_link(document: etree._Element) -> str:
    """Link around, or in, the sign for the next page; empty if there is none."""
    for sign in document.iter("span"):
        if _has_class(sign, "nextpaging"):
            links = [sign.getparent(), *sign.iter("a")]
            hrefs = [a.get("href") or "" for a in links if a is not None and a.tag == "a"]
            return next(filter(None, hrefs), "").strip()
    return ""


def _next_page(document: etree._Element, name: str) -> str | None:
    link = _next_link(document)
    if not link or link.startswith("#") or link.casefold().startswith("javascript:"):
        return None
    if page_number(link) is None:
        raise InputError(
            f"{name}: expected a link that ends in /2 or another page, got {link!r:.200}"
        )
    return link


def page_number(link: str) -> int | None:
    """Number of the page that a link leads to, None if it ends in no number."""
    found = re.search(r"/([0-9]{1,3})/?(?:#.*)?$", link)
    return int(found[1]) if found else None


# -- header and rows --------------------------------------------------------------------------

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def _last_day(year: int, month: int) -> date:
    return date(year, month, calendar.monthrange(year, month)[1])


def _period_end(text: str) -> date | None:
    """Last day of a month like 'Mar 23'; None if it is something else."""
    found = re.fullmatch(r"([A-Za-z]{3}) ([0-9]{2})", text)
    if found is None or found[1].lower() not in _MONTHS:
        return None
    year = int(found[2])
    return _last_day(year + (2000 if year < 80 else 1900), _MONTHS.index(found[1].lower()) + 1)


def _months(text: str) -> int | None:
    """Months of a period like '12 mths'; None if it is something else."""
    found = re.fullmatch(r"([0-9]{1,2})(?: ?mths?\.?)?", text.strip().casefold())
    return int(found[1]) if found and 1 <= int(found[1]) <= 24 else None


def _read_rows(name: str, statement: str, rows: list[list[str]]) -> _Table:
    ends = _header(name, rows[0])
    width = len(rows[0])
    body = rows[1:]
    lengths: list[int] = [12] * len(ends)
    if statement != "ratios" or (body and not body[0][0]):
        if not body:
            raise InputError(f"{name}: expected a row like '12 mths' below the header, got nothing")
        lengths = _lengths(name, _values(name, body[0], len(ends), width))
        body = body[1:]
    periods = tuple(map(_Period, ends, lengths))
    return _read_body(name, statement, body, periods, width)


def _header(name: str, cells: list[str]) -> list[date]:
    """Year ends of the header; what stands after them must be empty."""
    texts = cells[1:]
    while texts and not texts[-1]:
        texts.pop()
    ends = []
    for text in texts:
        end = _period_end(text)
        if end is None:
            raise InputError(f"{name}: expected a header like 'Mar 23', got {text!r:.60}")
        ends.append(end)
    return ends


def _lengths(name: str, texts: list[str]) -> list[int]:
    lengths = []
    for text in texts:
        months = _months(text)
        if months is None:
            raise InputError(f"{name}: expected a period like '12 mths', got {text!r:.60}")
        lengths.append(months)
    return lengths


def _values(name: str, cells: list[str], count: int, width: int) -> list[str]:
    """The cells of a row below the years; an empty cell after them is usual.

    One cell less than the header has may be that empty one, or a value: the last one tells.
    """
    fits = len(cells) == width or (len(cells) == count + 1 and cells[-1])
    if not fits or any(cells[count + 1 :]):
        raise InputError(
            f"{name}, line {cells[0]!r:.80}: expected {count} values, got {cells[1:]!r:.200}"
        )
    return cells[1 : count + 1]


def _read_body(
    name: str, statement: str, rows: list[list[str]], periods: tuple[_Period, ...], width: int
) -> _Table:
    index = _INDEXES[statement]
    part = _OWED if statement == "balance_sheet" else ""
    amounts: dict[str, Amounts] = {}
    unknown: dict[str, None] = {}
    for cells in rows:
        label, key = cells[0], _key(cells[0])
        if not any(cells[1:]):
            if part != _END:
                part = index.parts.get(key, part)
            if key not in index.sections and key not in index.known and not _is_source(label):
                unknown[label] = None
            continue
        values = _values(name, cells, len(periods), width)
        if key not in index.known:
            unknown[label or "(no label)"] = None
        elif index.takes(key, part) and key not in amounts:  # some stand again further down
            amounts[key] = tuple(_amount(name, label, text) for text in values)
    return _Table(periods, amounts, tuple(unknown))


def _is_source(label: str) -> bool:
    return label.casefold().startswith("source")


_NUMBER = re.compile(r"-?(?:[0-9]{1,3}(?:,[0-9]{2,3})+|[0-9]{1,15})?(?:\.[0-9]{1,12})?")


def _amount(name: str, label: str, text: str) -> float | None:
    """A printed number; None where nothing is printed. A printed 0.00 is 0."""
    if text in NOTHING:
        return None
    if len(text) > 30 or not _NUMBER.fullmatch(text) or not text[-1].isdigit():
        raise InputError(f"{name}, line {label!r:.80}: expected a number, got {text!r:.60}")
    return _bounded(name, label, float(text.replace(",", "")))


def _bounded(name: str, label: str, value: float) -> float:
    if not abs(value) <= LARGEST_CRORE:
        raise InputError(
            f"{name}, line {label!r:.80}: {value!r:.60} INR crore is more than India's economy"
        )
    return value + 0.0  # no negative zero


# -- from lines to items ----------------------------------------------------------------------


def _page(
    name: str,
    table: _Table,
    statement: str,
    basis: str,
    company: str | None = None,
    next_page: str | None = None,
) -> Page:
    for group in LAYOUTS[statement].required:
        if not any(_key(label) in table.amounts for label in group):
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


def _cells(table: _Table, statement: str, basis: str, columns: list[int]) -> Iterator[Cell]:
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
    values = amounts.get(_KEYS[label])
    return values[at] if values is not None else None


def _ratios(
    table: _Table, statement: str, basis: str, columns: list[int]
) -> Iterator[PublishedRatio]:
    for at in columns:
        for key, ratio in _INDEXES[statement].ratios.items():
            value = table.amounts[key][at] if key in table.amounts else None
            if value is not None:
                yield PublishedRatio(table.periods[at].end, basis, ratio, value)


# -- the JSON of the new pages ----------------------------------------------------------------

_RESULTS = (("standalone", "standardResult"), ("consolidated", "consolidatedResult"))
_ABOUT_THE_PERIOD = frozenset(
    {"year", "months", "ent_date", "yrc0", "yrc", "str_month", "str_year", "noofmonths"}
)


def parse_api(data: bytes, name: str, statement: str) -> tuple[Page, ...]:
    """The annual statements in one answer: one page for each basis that has any year.

    Raises:
        InputError: not such an answer, or not of this statement.
    """
    _require_statement(name, statement)
    content = _content(data, name)
    headers = _headers(content, name)
    pages = []
    for basis, result in _RESULTS:
        rows = content.get(result)
        if not rows:
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{name}: expected a list of years in {result!r}, got {_came(rows)}")
        pages.append(_page(name, _api_table(name, statement, headers, rows), statement, basis))
    return tuple(pages)


def _content(data: bytes, name: str) -> dict[str, object]:
    """The object `data` of an answer."""

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not a number")

    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data):,} bytes; answers of up to {MAX_BYTES:,} are read")
    try:
        answer = json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: expected JSON ({error!s:.80}), got {data[:80]!r}") from None
    content = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(content, dict) or not any(result in content for _, result in _RESULTS):
        raise InputError(
            f"{name}: expected 'data' with 'standardResult' or 'consolidatedResult', got"
            f" {data[:120]!r}"
        )
    return content


def _headers(content: Mapping[str, object], name: str) -> dict[str, str]:
    """Label -> key of its field; a heading has no key."""
    headers = content.get("headers")
    if not isinstance(headers, dict):
        raise InputError(f"{name}: expected 'headers' of label and key, got {_came(headers)}")
    keys = {}
    for label, entry in headers.items():
        key = entry[0] if isinstance(entry, list) and entry else entry
        if key is not None and not isinstance(key, str):
            raise InputError(
                f"{name}: expected a [key, style] for {label!r:.80}, got {_came(entry)}"
            )
        keys[label] = key or ""
    return keys


def _api_table(
    name: str, statement: str, headers: Mapping[str, str], rows: list[dict[str, object]]
) -> _Table:
    index = _INDEXES[statement]
    periods = tuple(_api_period(name, statement, row) for row in rows)
    amounts: dict[str, Amounts] = {}
    unknown: dict[str, None] = {}
    for label, own in headers.items():
        key = _key(label)
        if own in _ABOUT_THE_PERIOD or (not own and key in index.sections | {""}):
            continue
        if own and key not in index.known:
            key = index.renamed.get(_key(own), _key(own))
        if key not in index.known:
            unknown[label or f"({own})"] = None
        elif key in index.used and key not in amounts and any(own in row for row in rows):
            amounts[key] = tuple(_api_amount(name, label, row.get(own)) for row in rows)
    return _Table(periods, amounts, tuple(unknown))


def _api_period(name: str, statement: str, row: Mapping[str, object]) -> _Period:
    code = row.get("yrc")
    found = re.fullmatch(r"((?:19|20)[0-9]{2})(0[1-9]|1[0-2])", _came(code).strip("'"))
    if found is None:
        raise InputError(f"{name}: expected a year 'yrc' like 202303, got {_came(code)}")
    end = _last_day(int(found[1]), int(found[2]))
    printed = row.get("yrc0")
    shown = _period_end(" ".join(printed.split())) if isinstance(printed, str) else None
    if shown not in (None, end):
        raise InputError(f"{name}: 'yrc' {code!r} and 'yrc0' {printed!r:.60} differ")
    length = row.get("noofmonths")
    missing = length is None and statement == "ratios"
    months = 12 if missing else _months(_came(length).strip("'"))
    if months is None:
        raise InputError(f"{name}: expected 'noofmonths' like '12 mths', got {_came(length)}")
    return _Period(end, months)


def _api_amount(name: str, label: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        return _amount(name, label, " ".join(value.split()))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name}, line {label!r:.80}: expected a number, got {_came(value)}")
    return _bounded(name, label, value)


def _came(value: object) -> str:
    """A JSON value for a message. What nests is named only: to spell it out may go too deep."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else f"{value!r:.80}"


# -- files of a user --------------------------------------------------------------------------


def is_page(path: Path) -> bool:
    """Whether a file is a saved statement page; told by its first megabyte."""
    head = _head(path)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"mctable1" in head


def is_api(path: Path) -> bool:
    """Whether a file is a saved answer of the interface; told by its first megabyte."""
    head = _head(path)
    opens = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return opens and any(f'"{result}"'.encode() in head for _, result in _RESULTS)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def read_page(path: Path, company: str | None = None) -> tuple[pa.Table, tuple[str, ...]]:
    """Rows of a statements file out of a saved page or answer, and lines to be read.

    Args:
        path: the file.
        company: company_id; else made from the name on the page. An answer has none.

    Raises:
        InputError: as `parse_page` and `parse_api`; an answer without `company`; no amounts.
    """
    require_file(path, MAX_BYTES)
    data, from_api = path.read_bytes(), is_api(path)
    name = str(path)
    if from_api:
        pages = parse_api(data, name, _statement_told(data, name))
    else:
        pages = (parse_page(data, name),)
    named = next((page.company_name for page in pages if page.company_name), None)
    company_id = company or (slug(named) if named else None)
    if company_id is None:
        raise InputError(f"{path}: does not name its company; say which it is with --company ID")
    rows = [
        _row(cell, company_id, named or company_id, API_SOURCE if from_api else PAGE_SOURCE)
        for page in pages
        for cell in page.cells
    ]
    if not rows:
        kinds = " and ".join(dict.fromkeys(page.statement for page in pages)) or "nothing"
        raise InputError(f"{path}: expected amounts of a statement, got {kinds} without any")
    return pa.Table.from_pylist(rows), _notices(pages, company_id)


def _row(cell: Cell, company_id: str, company: str, source: str) -> dict[str, str]:
    return {
        "company_id": company_id,
        "company_name": company,
        "fiscal_year_end": str(cell.fiscal_year_end),
        "months": str(cell.months),
        "basis": cell.basis,
        "unit": "INR crore",
        "item": cell.item,
        "value": repr(cell.value),
        "note": cell.note,
        "source": source,
    }


def _notices(pages: Iterable[Page], company_id: str) -> tuple[str, ...]:
    lines = []
    for page in pages:
        what = f"{page.basis} {page.statement.replace('_', ' ')}"
        years = f"{min(page.years):%b %Y} to {max(page.years):%b %Y}"
        lines.append(f"{what}, {years}, imported as company {company_id}")
        lines += [f"{what}: {notice}" for notice in page.notices]
        if page.unknown_labels:
            listed = ", ".join(repr(label[:60]) for label in page.unknown_labels[:8])
            lines.append(f"{what}: {len(page.unknown_labels)} lines not known: {listed}")
    return tuple(lines)


def _statement_told(data: bytes, name: str) -> str:
    """The statement of an answer, by the lines that only this one has."""
    labels = {_key(label) for label in _headers(_content(data, name), name)}
    for statement in LAYOUTS:
        groups = LAYOUTS[statement].required
        if all(any(_key(label) in labels for label in group) for group in groups):
            return statement
    raise InputError(f"{name}: expected the lines of a statement, got {sorted(labels)!r:.200}")
