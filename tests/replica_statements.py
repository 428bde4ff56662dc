"""How the replica prints accounts: moneycontrol's layouts and BSE's results.

Labels and keys are those of the real sites; the companies are made up. Each layout is a table of
lines, and each line tells how its figure follows from the items of a `Year`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple

from replica_accounts import Items, Year
from replica_world import Company

Figure = Callable[[Items], float | None]


class Line(NamedTuple):
    """A line of a statement: label, key or element, figure. A section has none."""

    label: str
    key: str = ""
    figure: Figure | None = None


def _since(lines: tuple[Line, ...], label: str) -> tuple[Line, ...]:
    return lines[[line.label for line in lines].index(label) :]


def _until(lines: tuple[Line, ...], label: str) -> tuple[Line, ...]:
    return lines[: [line.label for line in lines].index(label)]


# -- figures: how a line follows from the items ---------------------------------------------------


def item(name: str) -> Figure:
    """The item itself."""
    return lambda items: items.get(name)


def zero(_: Items) -> float | None:
    """A line that these companies do not have."""
    return 0.0


def part(name: str, share: float) -> Figure:
    """A share of the item."""
    return lambda items: round(share * items[name], 2) if name in items else None


def remainder(name: str, share: float) -> Figure:
    """What `part` leaves of the item."""
    return lambda items: items[name] - round(share * items[name], 2) if name in items else None


def rest(whole: str, *parts: str) -> Figure:
    """A total less those of its parts that are known; unknown where no part is."""

    def figure(items: Items) -> float | None:
        known = [items[part] for part in parts if part in items]
        return items[whole] - sum(known) if whole in items and known else None

    return figure


def total(*names: str) -> Figure:
    """The sum of those that are known."""

    def figure(items: Items) -> float | None:
        known = [items[name] for name in names if name in items]
        return sum(known) if known else None

    return figure


def less(first: str, second: str) -> Figure:
    """The first less the second."""
    return lambda items: (
        items[first] - items[second] if first in items and second in items else None
    )


def per(over: str, under: str, factor: float) -> Figure:
    """A ratio of two items."""
    return lambda items: (
        round(factor * items[over] / items[under], 2)
        if over in items and items.get(under)
        else None
    )


def minus(figure: Figure) -> Figure:
    """The figure with the other sign."""

    def negative(items: Items) -> float | None:
        value = figure(items)
        return None if value is None else -value

    return negative


QUICK = ("current_investments", "inventories", "trade_receivables", "cash")
LONG = ("current_assets", "fixed_assets", "capital_work_in_progress", "non_current_investments")
OUTSIDE = part("net_profit", 0.02)  # share of the minority in a group's profit
OWNERS = remainder("net_profit", 0.02)

# -- moneycontrol ---------------------------------------------------------------------------------

_BALANCE: Final = (
    Line("EQUITIES AND LIABILITIES"),
    Line("SHAREHOLDER'S FUNDS"),
    Line("Equity Share Capital", "EquityCapital", item("equity_share_capital")),
    Line("Preference Share Capital", "PreferenceCapital", zero),
    Line("Total Share Capital", "TotalShareCapital", item("equity_share_capital")),
    Line("Revaluation Reserves", "RevaluationReserves", zero),
    Line("Reserves and Surplus", "ReservesAndSurplus", item("reserves_and_surplus")),
    Line("Total Reserves and Surplus", "TotalReservesAndSurplus", item("reserves_and_surplus")),
    Line("Total Shareholders Funds", "TotalShareHoldersFunds", item("shareholders_funds")),
    Line("Minority Interest", "MinorityInterest", item("minority_interest")),
    Line("NON-CURRENT LIABILITIES"),
    Line("Long Term Borrowings", "LongTermBorrowings", item("long_term_borrowings")),
    Line("Deferred Tax Liabilities [Net]", "DeferredTaxLiabilities", zero),
    Line(
        "Other Long Term Liabilities", "OtherLongTermLiabilities",
        rest("non_current_liabilities", "long_term_borrowings"),
    ),
    Line("Long Term Provisions", "LongTermProvisions", zero),
    Line(
        "Total Non-Current Liabilities", "TotalNonCurrentLiabilities",
        item("non_current_liabilities"),
    ),
    Line("CURRENT LIABILITIES"),
    Line("Short Term Borrowings", "ShortTermBorrowings", item("short_term_borrowings")),
    Line("Trade Payables", "TradePayables", item("trade_payables")),
    Line(
        "Other Current Liabilities", "OtherCurrentLiabilities",
        part("other_current_liabilities", 0.9),
    ),
    Line(
        "Short Term Provisions", "ShortTermProvisions",
        remainder("other_current_liabilities", 0.9),
    ),
    Line("Total Current Liabilities", "TotalCurrentLiabilities", item("current_liabilities")),
    Line("Total Capital And Liabilities", "TotalCapitalAndLiabilities", item("total_assets")),
    Line("ASSETS"),
    Line("NON-CURRENT ASSETS"),
    Line("Tangible Assets", "TangibleAssets", part("fixed_assets", 0.92)),
    Line("Intangible Assets", "IntangibleAssets", remainder("fixed_assets", 0.92)),
    Line("Capital Work-In-Progress", "CapitalWorkInProgress", item("capital_work_in_progress")),
    Line("Other Assets", "OtherAssets", zero),
    Line("Fixed Assets", "TotalFixedAssets", total("fixed_assets", "capital_work_in_progress")),
    Line("Non-Current Investments", "NonCurrentInvestments", item("non_current_investments")),
    Line("Deferred Tax Assets [Net]", "DeferredTaxAssets", zero),
    Line("Long Term Loans And Advances", "LongTermLoansAndAdvances", zero),
    Line("Other Non-Current Assets", "OtherNonCurrentAssets", rest("total_assets", *LONG)),
    Line(
        "Total Non-Current Assets", "TotalNonCurrentAssets",
        less("total_assets", "current_assets"),
    ),
    Line("CURRENT ASSETS"),
    Line("Current Investments", "CurrentInvestments", item("current_investments")),
    Line("Inventories", "Inventories", item("inventories")),
    Line("Trade Receivables", "TradeReceivables", item("trade_receivables")),
    Line("Cash And Cash Equivalents", "CashAndCashEquivalents", item("cash")),
    Line("Short Term Loans And Advances", "ShortTermLoansAndAdvances", zero),
    Line("OtherCurrentAssets", "OtherCurrentAssets", rest("current_assets", *QUICK)),
    Line("Total Current Assets", "TotalCurrentAssets", item("current_assets")),
    Line("Total Assets", "TotalAssets", item("total_assets")),
    Line("OTHER ADDITIONAL INFORMATION"),
    Line("CONTINGENT LIABILITIES, COMMITMENTS"),
    Line("Contingent Liabilities", "ContingentLiabilities", part("total_assets", 0.03)),
)  # fmt: skip

_PROFIT: Final = (
    Line("INCOME"),
    Line(
        "Revenue From Operations [Gross]", "RevenueFromOperationsGross",
        item("net_sales"),
    ),
    Line("Less: Excise/Sevice Tax/Other Levies", "LessExciseServiceTaxOtherLevies", zero),
    Line("Revenue From Operations [Net]", "RevenueFromOperationsNet", item("net_sales")),
    Line("Other Operating Revenues", "OtherOperatingRevenues", less("sales", "net_sales")),
    Line("Total Operating Revenues", "TotalOperatingRevenues", item("sales")),
    Line("Other Income", "OtherIncome", item("other_income")),
    Line("Total Revenue", "TotalRevenue", item("revenue")),
    Line("EXPENSES"),
    Line("Cost Of Materials Consumed", "CostOfMaterialsConsumed", item("cost_of_materials")),
    Line("Purchase Of Stock-In Trade", "PurchaseOfStockInTrade", item("purchases_of_stock")),
    Line(
        "Operating And Direct Expenses", "OperatingAndDirectExpenses",
        item("operating_and_direct_expenses"),
    ),
    Line(
        "Changes In Inventories Of FG,WIP And Stock-In Trade",
        "ChangesInInventoriesOfFGWIPAndStockInTrade", item("changes_in_inventories"),
    ),
    Line("Employee Benefit Expenses", "EmployeeBenefitExpenses", item("employee_benefits")),
    Line("Finance Costs", "FinanceCosts", item("finance_costs")),
    Line(
        "Depreciation And Amortisation Expenses", "DepreciationAndAmortisationExpenses",
        item("depreciation"),
    ),
    Line("Other Expenses", "OtherExpenses", item("other_expenses")),
    Line("Total Expenses", "TotalExpenses", item("total_expenses")),
    Line(
        "Profit/Loss Before Exceptional, ExtraOrdinary Items And Tax",
        "ProfitLossBeforeExceptionalExtraordinaryItemsAndTax", less("revenue", "total_expenses"),
    ),
    Line("Exceptional Items", "ExceptionalItems", item("exceptional_items")),
    Line("Profit/Loss Before Tax", "ProfitLossBeforeTax", item("profit_before_tax")),
    Line("Tax Expenses-Continued Operations"),
    Line("Current Tax", "CurrentTax", part("tax", 1.1)),
    Line("Less: MAT Credit Entitlement", "LessMatCredit", zero),
    Line("Deferred Tax", "DeferredTax", remainder("tax", 1.1)),
    Line("Total Tax Expenses", "TotalTaxExpensesContinuedOperations", item("tax")),
    Line(
        "Profit/Loss After Tax And Before ExtraOrdinary Items",
        "ProfitLossAfterTaxAndBeforeExtraordinaryItems", item("net_profit"),
    ),
    Line(
        "Profit/Loss From Continuing Operations", "ProfitLossFromContinuingOperations",
        item("net_profit"),
    ),
    Line("Profit/Loss For The Period", "ProfitLossForThePeriod", item("net_profit")),
)  # fmt: skip
_PER_SHARE: Final = (
    Line("OTHER ADDITIONAL INFORMATION"),
    Line("EARNINGS PER SHARE"),
    Line("Basic EPS (Rs.)", "BasicEPS", per("net_profit", "equity_share_capital", 10)),
    Line("Diluted EPS (Rs.)", "DilutedEPS", per("net_profit", "equity_share_capital", 10)),
    Line("DIVIDEND AND DIVIDEND PERCENTAGE"),
    Line("Equity Share Dividend", "EquityShareDividend", item("dividends")),
    Line("Tax On Dividend", "TaxOnDividend", zero),
    Line(
        "Equity Dividend Rate (%)", "EquityDividendRate",
        per("dividends", "equity_share_capital", 100),
    ),
)  # fmt: skip
_GROUP: Final = (  # after the profit of a group
    Line("Minority Interest", "MinorityInterestProfit", minus(OUTSIDE)),
    Line("Share Of Profit/Loss Of Associates", "ShareOfProfitLossOfAssociates", zero),
    Line(
        "Consolidated Profit/Loss After MI And Associates", "ConsolidatedProfitLossAfterMI", OWNERS
    ),
)
_CASH: Final = (
    Line(
        "Net Profit/Loss Before Extraordinary Items And Tax",
        "NetProfitLossBeforeExtraordinaryItemsAndTax", item("profit_before_tax"),
    ),
    Line(
        "Net CashFlow From Operating Activities", "NetCashFlowFromOperatingActivities",
        item("operating_cash_flow"),
    ),
    Line(
        "Net Cash Used In Investing Activities", "NetCashUsedInInvestingActivities",
        item("investing_cash_flow"),
    ),
    Line(
        "Net Cash Used From Financing Activities", "NetCashUsedFromFinancingActivities",
        item("financing_cash_flow"),
    ),
    Line("Foreign Exchange Gains / Losses", "ForeignExchangeGainsLosses", zero),
    Line(
        "Net Inc/Dec In Cash And Cash Equivalents", "NetIncDecInCashAndCashEquivalents",
        item("net_cash_flow"),
    ),
    Line(
        "Cash And Cash Equivalents Begin of Year", "CashAndCashEquivalentBeginOfYear",
        less("cash", "net_cash_flow"),
    ),
    Line(
        "Cash And Cash Equivalents End Of Year", "CashAndCashEquivalentEndOfYear", item("cash")
    ),
)  # fmt: skip
_RATIOS: Final = (
    Line("Per Share Ratios"),
    Line("Basic EPS (Rs.)", "BasicEPS", per("net_profit", "equity_share_capital", 10)),
    Line("Dividend / Share(Rs.)", "DividendShare", per("dividends", "equity_share_capital", 10)),
    Line("Profitability Ratios"),
    Line("PBT Margin (%)", "PBTMargin", per("profit_before_tax", "sales", 100)),
    Line("Net Profit Margin (%)", "NetProfitMargin", per("net_profit", "sales", 100)),
    Line(
        "Return on Networth/Equity (%)", "ReturnOnNetworthEquity",
        per("net_profit", "shareholders_funds", 100),
    ),
    Line("Return on Assets (%)", "ReturnOnAssets", per("net_profit", "total_assets", 100)),
    Line("Asset Turnover Ratio (%)", "AssetTurnoverRatio", per("sales", "total_assets", 1)),
    Line("Liquidity Ratios"),
    Line("Current Ratio (X)", "CurrentRatio", per("current_assets", "current_liabilities", 1)),
    Line("Inventory Turnover Ratio (X)", "InventoryTurnoverRatio", per("sales", "inventories", 1)),
    Line("Valuation Ratios"),
    Line("Enterprise Value (Cr.)", "EnterpriseValue", zero),
)  # fmt: skip

_BANK_BALANCE: Final = (
    Line("EQUITIES AND LIABILITIES"),
    Line("SHAREHOLDER'S FUNDS"),
    Line("Equity Share Capital", "EquityCapital", item("equity_share_capital")),
    Line("Total Share Capital", "TotalShareCapital", item("equity_share_capital")),
    Line("Reserves and Surplus", "ReservesAndSurplus", item("reserves_and_surplus")),
    Line("Total Reserves and Surplus", "TotalReservesAndSurplus", item("reserves_and_surplus")),
    Line("Total ShareHolders Funds", "TotalShareHoldersFunds", item("shareholders_funds")),
    Line("Deposits", "Deposits", item("deposits")),
    Line("Borrowings", "Borrowings", item("borrowings")),
    Line(
        "Other Liabilities and Provisions", "OtherLiabilitiesAndProvisions",
        item("other_liabilities"),
    ),
    Line("Total Capital and Liabilities", "TotalCapitalAndLiabilities", item("total_assets")),
    Line("ASSETS"),
    Line(
        "Cash and Balances with Reserve Bank of India", "CashAndBalancesWithReserveBankOfIndia",
        item("cash"),
    ),
    Line(
        "Balances with Banks Money at Call and Short Notice",
        "BalancesWithBanksMoneyAtCallAndShortNotice", item("bank_balances"),
    ),
    Line("Investments", "Investments", item("investments")),
    Line("Advances", "Advances", item("advances")),
    Line("Fixed Assets", "FixedAssets", item("fixed_assets")),
    Line("Other Assets", "OtherAssets", item("other_assets")),
    Line("Total Assets", "TotalAssets", item("total_assets")),
)  # fmt: skip
OUTLAY = ("employee_benefits", "depreciation", "other_expenses")
_BANK_PROFIT: Final = (
    Line("INCOME"),
    Line(
        "Interest / Discount on Advances / Bills", "InterestDiscountOnAdvancesBills",
        part("interest_earned", 0.75),
    ),
    Line("Income from Investments", "IncomeFromInvestments", remainder("interest_earned", 0.75)),
    Line("Total Interest Earned", "InterestEarned", item("interest_earned")),
    Line("Other Income", "OtherIncome", item("other_income")),
    Line("Total Income", "TotalIncome", item("revenue")),
    Line("EXPENDITURE"),
    Line("Interest Expended", "InterestExpended", item("interest_expended")),
    Line(
        "Payments to and Provisions for Employees", "PaymentsToAndProvisionsForEmployees",
        item("employee_benefits"),
    ),
    Line("Depreciation", "Depreciation", item("depreciation")),
    Line(
        "Operating Expenses (excludes Employee Cost & Depreciation)", "OperatingExpenses",
        item("other_expenses"),
    ),
    Line("Total Operating Expenses", "TotalOperatingExpenses", total(*OUTLAY)),
    Line("Provision Towards Income Tax", "ProvisionTowardsIncomeTax", item("tax")),
    Line("Other Provisions and Contingencies", "OtherProvisions", item("provisions")),
    Line("Total Provisions and Contingencies", "TotalProvisions", total("provisions", "tax")),
    Line("Total Expenditure", "TotalExpenditure", total("total_expenses", "tax")),
    Line("Net Profit / Loss for The Year", "NetProfitLossForTheYear", item("net_profit")),
)  # fmt: skip
_NBFC_BALANCE: Final = (
    *_until(_BALANCE, "Minority Interest"),
    Line("NON-CURRENT LIABILITIES"),
    Line("Long Term Borrowings", "LongTermBorrowings", total("borrowings", "deposits")),
    Line("Total Non-Current Liabilities", "TotalNonCurrentLiabilities",
         total("borrowings", "deposits")),
    Line("CURRENT LIABILITIES"),
    Line("Other Current Liabilities", "OtherCurrentLiabilities", item("other_liabilities")),
    Line("Total Current Liabilities", "TotalCurrentLiabilities", item("other_liabilities")),
    Line("Total Capital And Liabilities", "TotalCapitalAndLiabilities", item("total_assets")),
    Line("ASSETS"),
    Line("NON-CURRENT ASSETS"),
    Line("Tangible Assets", "TangibleAssets", item("fixed_assets")),
    Line("Fixed Assets", "TotalFixedAssets", item("fixed_assets")),
    Line("Non-Current Investments", "NonCurrentInvestments", item("investments")),
    Line("Long Term Loans And Advances", "LongTermLoansAndAdvances", item("advances")),
    Line("Total Non-Current Assets", "TotalNonCurrentAssets",
         total("fixed_assets", "investments", "advances")),
    Line("CURRENT ASSETS"),
    Line("Cash And Cash Equivalents", "CashAndCashEquivalents", total("cash", "bank_balances")),
    Line("OtherCurrentAssets", "OtherCurrentAssets", item("other_assets")),
    Line("Total Current Assets", "TotalCurrentAssets",
         total("cash", "bank_balances", "other_assets")),
    Line("Total Assets", "TotalAssets", item("total_assets")),
)  # fmt: skip
_NBFC_PROFIT: Final = (
    Line("INCOME"),
    Line("Revenue From Operations [Gross]", "RevenueFromOperationsGross", item("sales")),
    Line("Revenue From Operations [Net]", "RevenueFromOperationsNet", item("sales")),
    Line("Total Operating Revenues", "TotalOperatingRevenues", item("sales")),
    Line("Other Income", "OtherIncome", item("other_income")),
    Line("Total Revenue", "TotalRevenue", item("revenue")),
    Line("EXPENSES"),
    Line("Employee Benefit Expenses", "EmployeeBenefitExpenses", item("employee_benefits")),
    Line("Finance Costs", "FinanceCosts", item("finance_costs")),
    Line("Provisions And Contingencies", "ProvisionsAndContingencies", item("provisions")),
    Line(
        "Depreciation And Amortisation Expenses", "DepreciationAndAmortisationExpenses",
        item("depreciation"),
    ),
    Line("Other Expenses", "OtherExpenses", item("other_expenses")),
    *_since(_PROFIT, "Total Expenses"),
)  # fmt: skip

STATEMENTS: Final = ("balance-sheet", "profit-loss", "cash-flow", "ratios")
TITLES: Final = dict(
    zip(STATEMENTS, ("Balance Sheet", "Profit & Loss account", "Cash Flow", "Key Financial Ratios"),
        strict=True)
)  # fmt: skip


def layout(company: Company, statement: str, basis: str) -> tuple[Line, ...]:
    """The lines of one of moneycontrol's statements."""
    if statement == "cash-flow":
        return _CASH
    if statement == "ratios":
        return _RATIOS
    if statement == "balance-sheet":
        plain = {"company": _BALANCE, "bank": _BANK_BALANCE, "nbfc": _NBFC_BALANCE}[company.kind]
        return plain if basis == "consolidated" else _without(plain, "Minority Interest")
    if company.kind == "bank":
        return _BANK_PROFIT
    body = _PROFIT if company.kind == "company" else _NBFC_PROFIT
    return body + (_GROUP if basis == "consolidated" else ()) + _PER_SHARE


def _without(lines: tuple[Line, ...], label: str) -> tuple[Line, ...]:
    return tuple(line for line in lines if line.label != label)


# -- BSE: INR million, expenses with a minus ------------------------------------------------------

_BSE: Final = (
    ("Net Sales/Revenue From Operations", item("sales")),
    ("Other Income", item("other_income")),
    ("Total Income", item("revenue")),
    ("Expenditure", minus(item("total_expenses"))),
    ("Cost of Materials Consumed", minus(item("cost_of_materials"))),
    ("Purchases of stock-in-trade", minus(item("purchases_of_stock"))),
    (
        "Changes in inventories of finished goods, work-in-progress and stock-in-trade",
        minus(item("changes_in_inventories")),
    ),
    ("Employee benefit expense", minus(item("employee_benefits"))),
    ("Finance Costs", minus(item("finance_costs"))),
    ("Depreciation and amortisation expense", minus(item("depreciation"))),
    ("Other Expenses", minus(total("other_expenses", "operating_and_direct_expenses"))),
    ("Profit after Interest but before Exceptional Items", less("revenue", "total_expenses")),
    ("Exceptional Item", item("exceptional_items")),
    ("Profit (+)/ Loss (-) from Ordinary Activities before Tax", item("profit_before_tax")),
    ("Tax", minus(item("tax"))),
    ("Net Profit (+)/ Loss (-) from Ordinary Activities after Tax", item("net_profit")),
    ("Net Profit", item("net_profit")),
    ("Equity Capital", item("equity_share_capital")),
)
_BSE_BANK: Final = (
    ("Interest Earned/Net Income from sales/services", item("interest_earned")),
    ("Other Income", item("other_income")),
    ("Total Income", item("revenue")),
    ("Interest Expended", minus(item("interest_expended"))),
    ("Operating Expenses", minus(total(*OUTLAY))),
    ("Provisions and contingencies", minus(item("provisions"))),
    ("Profit (+)/ Loss (-) from Ordinary Activities before Tax", item("profit_before_tax")),
    ("Tax", minus(item("tax"))),
    ("Net Profit (+)/ Loss (-) from Ordinary Activities after Tax", item("net_profit")),
    ("Net Profit", item("net_profit")),
    ("Equity Capital", item("equity_share_capital")),
)


def bse_rows(company: Company, year: Year | None) -> list[dict[str, str]]:
    """Rows of BSE's detailed result; where it has none, a stub of three."""
    if year is None:
        empty = ("Type", "Date Begin", "Date End")
        return [{"fld_desc": name, "Value": ""} for name in empty]
    heads = (
        ("Type", "Audited"),
        ("Date Begin", first_day(year.end, year.months).strftime("%d-%b-%y")),
        ("Date End", year.end.strftime("%d-%b-%y")),
    )
    rows = [{"fld_desc": name, "Value": text} for name, text in heads]
    for name, figure in _BSE_BANK if company.kind == "bank" else _BSE:
        value = figure(year.items)
        if value is not None:
            rows.append({"fld_desc": name, "Value": f"{10 * value:.4f}"})
    return [*rows, {"fld_desc": "Face Value (in Rs)", "Value": "10.0000"}]


def first_day(end: date, months: int) -> date:
    """First day of the period of so many months that ends on the last day of a month."""
    at = end.year * 12 + end.month - months
    return date(at // 12, at % 12 + 1, 1)
