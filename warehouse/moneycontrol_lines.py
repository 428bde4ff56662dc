"""How the lines of moneycontrol's statements become ours.

Where the two count differently:

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

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace


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


OWED, OWNED, END = "liabilities", "assets", "end"
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
            OWED,
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
            OWNED,
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
            "EQUITIES AND LIABILITIES": OWED,
            "ASSETS": OWNED,
            "NON-CURRENT ASSETS": OWNED,
            "CURRENT ASSETS": OWNED,
            "OTHER ADDITIONAL INFORMATION": END,
            "CONTINGENT LIABILITIES, COMMITMENTS": END,
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


def key_of(label: str) -> str:
    """A label without what varies: case, spaces, signs. Most of their JSON keys are this too."""
    return re.sub(r"[\W_]+", "", label.casefold())


@dataclass(frozen=True)
class Index:
    """A layout ready for looking up by `key_of`. `used` are the labels whose amounts count."""

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


def _indexed(layout: Layout) -> Index:
    terms = [term for line in layout.lines for term in line.terms]
    used = list(_labels(layout))
    return Index(
        known=frozenset(map(key_of, (*used, *layout.ignored))),
        used=frozenset(map(key_of, used)),
        sections=frozenset(map(key_of, layout.sections)),
        parts={key_of(section): part for section, part in layout.parts.items()},
        renamed={key_of(term.key): key_of(term.label) for term in terms if term.key},
        part_of={key_of(term.label): term.part for term in terms},
        ratios={key_of(ratio): ratio for ratio in layout.ratios},
    )


def _labels(layout: Layout) -> Iterator[str]:
    """The labels whose amounts count."""
    for line in layout.lines:
        yield from (term.label for term in line.terms)
        yield from (label for label in (*line.equals, line.doubted_by) if label)
    yield from layout.ratios


INDEXES = {statement: _indexed(layout) for statement, layout in LAYOUTS.items()}
KEYS = {label: key_of(label) for layout in LAYOUTS.values() for label in _labels(layout)}
