"""The replica's XBRL filings, as NSE serves them: Ind-AS, bank and NBFC forms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta
from typing import Final, NamedTuple

from replica_accounts import Year, scaled
from replica_statements import (
    LONG,
    OUTLAY,
    OUTSIDE,
    OWNERS,
    QUICK,
    first_day,
    item,
    less,
    part,
    remainder,
    rest,
    total,
)
from replica_world import Company

_GROUP_ONLY = frozenset({
    "NonControllingInterest", "ProfitOrLossAttributableToOwnersOfParent",
    "ProfitOrLossAttributableToNonControllingInterests", "EquityAttributableToOwnersOfParent",
})  # fmt: skip
_PROFIT: Final = (
    ("RevenueFromOperations", item("sales")),
    ("OtherIncome", item("other_income")),
    ("Income", item("revenue")),
    ("CostOfMaterialsConsumed", item("cost_of_materials")),
    ("PurchasesOfStockInTrade", item("purchases_of_stock")),
    (
        "ChangesInInventoriesOfFinishedGoodsWorkInProgressAndStockInTrade",
        item("changes_in_inventories"),
    ),
    ("EmployeeBenefitExpense", item("employee_benefits")),
    ("FinanceCosts", item("finance_costs")),
    ("DepreciationDepletionAndAmortisationExpense", item("depreciation")),
    ("OtherExpenses", total("other_expenses", "operating_and_direct_expenses")),
    ("Expenses", item("total_expenses")),
    ("ProfitBeforeExceptionalItemsAndTax", less("revenue", "total_expenses")),
    ("ExceptionalItemsBeforeTax", item("exceptional_items")),
    ("ProfitBeforeTax", item("profit_before_tax")),
    ("CurrentTax", part("tax", 1.1)),
    ("DeferredTax", remainder("tax", 1.1)),
    ("TaxExpense", item("tax")),
    ("ProfitLossForPeriodFromContinuingOperations", item("net_profit")),
    ("ProfitLossForPeriod", item("net_profit")),
    ("ProfitOrLossAttributableToOwnersOfParent", OWNERS),
    ("ProfitOrLossAttributableToNonControllingInterests", OUTSIDE),
    ("PaidUpValueOfEquityShareCapital", item("equity_share_capital")),
)
_BALANCE: Final = (
    ("PropertyPlantAndEquipment", part("fixed_assets", 0.92)),
    ("OtherIntangibleAssets", remainder("fixed_assets", 0.92)),
    ("CapitalWorkInProgress", item("capital_work_in_progress")),
    ("NoncurrentInvestments", item("non_current_investments")),
    ("OtherNoncurrentAssets", rest("total_assets", *LONG)),
    ("NoncurrentAssets", less("total_assets", "current_assets")),
    ("Inventories", item("inventories")),
    ("CurrentInvestments", item("current_investments")),
    ("TradeReceivablesCurrent", item("trade_receivables")),
    ("CashAndCashEquivalents", part("cash", 0.7)),
    ("BankBalanceOtherThanCashAndCashEquivalents", remainder("cash", 0.7)),
    ("OtherCurrentAssets", rest("current_assets", *QUICK)),
    ("CurrentAssets", item("current_assets")),
    ("Assets", item("total_assets")),
    ("EquityShareCapital", item("equity_share_capital")),
    ("OtherEquity", item("reserves_and_surplus")),
    ("EquityAttributableToOwnersOfParent", item("shareholders_funds")),
    ("NonControllingInterest", item("minority_interest")),
    ("Equity", total("shareholders_funds", "minority_interest")),
    ("BorrowingsNoncurrent", item("long_term_borrowings")),
    ("OtherNoncurrentLiabilities", rest("non_current_liabilities", "long_term_borrowings")),
    ("NoncurrentLiabilities", item("non_current_liabilities")),
    ("BorrowingsCurrent", item("short_term_borrowings")),
    ("TradePayablesCurrent", item("trade_payables")),
    ("OtherCurrentLiabilities", part("other_current_liabilities", 0.9)),
    ("ProvisionsCurrent", remainder("other_current_liabilities", 0.9)),
    ("CurrentLiabilities", item("current_liabilities")),
    ("Liabilities", total("non_current_liabilities", "current_liabilities")),
    ("EquityAndLiabilities", item("total_assets")),
)
_CASH: Final = (
    ("CashFlowsFromUsedInOperatingActivities", item("operating_cash_flow")),
    ("CashFlowsFromUsedInInvestingActivities", item("investing_cash_flow")),
    ("DividendsPaidClassifiedAsFinancingActivities", item("dividends")),
    ("CashFlowsFromUsedInFinancingActivities", item("financing_cash_flow")),
    ("IncreaseDecreaseInCashAndCashEquivalents", item("net_cash_flow")),
    ("CashAndCashEquivalentsCashFlowStatement", less("cash", "net_cash_flow")),
    ("CashAndCashEquivalentsCashFlowStatement", item("cash")),
)
_BANK_PROFIT: Final = (
    ("InterestOrDiscountOnAdvancesOrBills", part("interest_earned", 0.75)),
    ("RevenueOnInvestments", remainder("interest_earned", 0.75)),
    ("InterestEarned", item("interest_earned")),
    ("OtherIncome", item("other_income")),
    ("Income", item("revenue")),
    ("InterestExpended", item("interest_expended")),
    ("EmployeesCost", item("employee_benefits")),
    ("OtherOperatingExpenses", total("other_expenses", "depreciation")),
    ("OperatingExpenses", total(*OUTLAY)),
    ("ExpenditureExcludingProvisionsAndContingencies", less("total_expenses", "provisions")),
    ("ProvisionsOtherThanTaxAndContingencies", item("provisions")),
    ("ProfitLossFromOrdinaryActivitiesBeforeTax", item("profit_before_tax")),
    ("TaxExpense", item("tax")),
    ("ProfitLossFromOrdinaryActivitiesAfterTax", item("net_profit")),
    ("ProfitLossForThePeriod", item("net_profit")),
)
_BANK_BALANCE: Final = (
    ("Capital", item("equity_share_capital")),
    ("ReservesAndSurplus", item("reserves_and_surplus")),
    ("Deposits", item("deposits")),
    ("Borrowings", item("borrowings")),
    ("OtherLiabilitiesAndProvisions", item("other_liabilities")),
    ("CapitalAndLiabilities", item("total_assets")),
    ("CashAndBalancesWithReserveBankOfIndia", item("cash")),
    ("BalancesWithBanksAndMoneyAtCallAndShortNotice", item("bank_balances")),
    ("Investments", item("investments")),
    ("Advances", item("advances")),
    ("FixedAssets", item("fixed_assets")),
    ("OtherAssets", item("other_assets")),
    ("Assets", item("total_assets")),
)
_GOODS = {
    "CostOfMaterialsConsumed", "PurchasesOfStockInTrade",
    "ChangesInInventoriesOfFinishedGoodsWorkInProgressAndStockInTrade",
}  # fmt: skip
_NBFC_PROFIT: Final = (
    *(line for line in _PROFIT if line[0] not in _GOODS),
    ("ImpairmentOnFinancialInstruments", item("provisions")),
)  # fmt: skip
_NBFC_BALANCE: Final = (
    ("CashAndCashEquivalents", item("cash")),
    ("BankBalanceOtherThanCashAndCashEquivalents", item("bank_balances")),
    ("Loans", item("advances")),
    ("Investments", item("investments")),
    ("FinanicalAssets", total("cash", "bank_balances", "advances", "investments")),
    ("PropertyPlantAndEquipment", item("fixed_assets")),
    ("OtherNonFinancialAssets", item("other_assets")),
    ("NonFinancialAssets", total("fixed_assets", "other_assets")),
    ("Assets", item("total_assets")),
    ("EquityShareCapital", item("equity_share_capital")),
    ("OtherEquity", item("reserves_and_surplus")),
    ("Equity", item("shareholders_funds")),
    ("DebtSecurities", part("borrowings", 0.4)),
    ("Borrowings", remainder("borrowings", 0.4)),
    ("Deposits", item("deposits")),
    ("FinancialLiabilities", total("borrowings", "deposits")),
    ("OtherNonFinancialLiabilities", item("other_liabilities")),
    ("NonFinancialLiabilities", item("other_liabilities")),
    ("Liabilities", total("borrowings", "deposits", "other_liabilities")),
    ("EquityAndLiabilities", item("total_assets")),
)
_BANK_CASH: Final = tuple(line for line in _CASH if "Dividends" not in line[0])[:4]
FORMS: Final = {  # kind -> name in the file's name, profit and loss, balance sheet, cash flow
    "company": ("INDAS", _PROFIT, _BALANCE, _CASH),
    "bank": ("BANKING", _BANK_PROFIT, _BANK_BALANCE, _BANK_CASH),
    "nbfc": ("NBFC_INDAS", _NBFC_PROFIT, _NBFC_BALANCE, _BANK_CASH),
}


class Period(NamedTuple):
    """What an XBRL file is about: a quarter, and the fiscal year it lies in.

    `quarter` counts from 1; the fourth file carries the whole year's accounts.
    """

    year: Year
    quarter: int
    basis: str

    @property
    def last(self) -> date:
        """Last day of the quarter."""
        back = first_day(self.year.end, 3 * (4 - self.quarter)) if self.quarter < 4 else None
        return self.year.end if back is None else back - timedelta(days=1)

    @property
    def months(self) -> int:
        """Months from the start of the fiscal year to the end of the quarter."""
        return self.year.months - 3 * (4 - self.quarter)


def xbrl(company: Company, period: Period) -> str:
    """A filing: in-bse-fin for periods that end before 2025, in-capmkt after."""
    old = period.last < date(2025, 1, 1)
    prefix = "in-bse-fin" if old else "in-capmkt"
    parts = [_head(prefix, old), *_contexts(company, period), *_UNITS]
    parts += _general(prefix, company, period, old)
    parts += _figures(prefix, company, period)
    return "\n".join([*parts, "</xbrli:xbrl>", ""])


_UNITS: Final = (
    '<xbrli:unit id="INR"><xbrli:measure>iso4217:INR</xbrli:measure></xbrli:unit>',
    '<xbrli:unit id="pure"><xbrli:measure>xbrli:pure</xbrli:measure></xbrli:unit>',
)


def _head(prefix: str, old: bool) -> str:
    space = (
        "http://www.bseindia.com/xbrl/fin/2020-03-31/in-bse-fin"
        if old
        else "http://www.sebi.gov.in/xbrl/2025-01-31"
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<!-- replica: a made-up company -->\n'
        f'<xbrli:xbrl xmlns:{prefix}="{space}" xmlns:link="http://www.xbrl.org/2003/linkbase"'
        ' xmlns:xlink="http://www.w3.org/1999/xlink"'
        ' xmlns:iso4217="http://www.xbrl.org/2003/iso4217"'
        ' xmlns:xbrldi="http://xbrl.org/2006/xbrldi"'
        ' xmlns:xbrli="http://www.xbrl.org/2003/instance">\n'
        f'<link:schemaRef xlink:type="simple" xlink:href="replica_{prefix}.xsd"/>'
    )


def _contexts(company: Company, period: Period) -> Iterable[str]:
    """Contexts; FourD is declared with the quarter's dates, as real files do."""
    start, end = first_day(period.last, 3), period.last
    who = (
        '<xbrli:entity><xbrli:identifier scheme="http://www.nseindia.com/NSESymbol">'
        f"{company.symbol.replace('&', '&amp;')}</xbrli:identifier></xbrli:entity>"
    )
    span = f"<xbrli:startDate>{start}</xbrli:startDate><xbrli:endDate>{end}</xbrli:endDate>"
    for name in ("OneD", "FourD") if company.number % 10 != 4 else ("FourD",):
        yield (
            f'<xbrli:context id="{name}">{who}<xbrli:period>{span}</xbrli:period></xbrli:context>'
        )
    yield (
        f'<xbrli:context id="OneI">{who}<xbrli:period><xbrli:instant>{end}</xbrli:instant>'
        "</xbrli:period></xbrli:context>"
    )


def _general(prefix: str, company: Company, period: Period, old: bool) -> Iterable[str]:
    """General information, in the quarter's context; banks put a unit on texts."""
    bank = company.kind == "bank"
    last = period.year.end
    basis = "Consolidated" if period.basis == "consolidated" else "Standalone"
    facts = [
        ("ScripCode", company.bse_code),
        ("Symbol", company.symbol),
        ("ISIN", company.isin),
        ("NameOfBank" if bank else "NameOfTheCompany", company.name),
        ("ClassOfSecurity", "Equity"),
        ("DateOfStartOfFinancialYear", first_day(last, period.year.months)),
        ("DateOfEndOfFinancialYear", last),
        ("DescriptionOfPresentationCurrency", "INR"),
        ("LevelOfRoundingUsedInFinancialStatements" if old else "LevelOfRounding", "Lakhs"),
        ("ReportingQuarter", "Yearly" if period.quarter == 4 else f"Quarter {period.quarter}"),
        ("WhetherResultsAreAuditedOrUnaudited", "Audited" if period.quarter == 4 else "Unaudited"),
        ("NatureOfReportStandaloneConsolidated", basis),
    ]
    unit = ' unitRef="INR"' if bank else ""
    starts = (("OneD", first_day(period.last, 3)), ("FourD", first_day(period.last, period.months)))
    for name, text in facts:
        value = str(text).replace("&", "&amp;")
        yield f'<{prefix}:{name} contextRef="OneD"{unit}>{value}</{prefix}:{name}>'
    for context, start in starts:
        for name, day in (("Start", start), ("End", period.last)):
            element = f"{prefix}:DateOf{name}OfReportingPeriod"
            yield f'<{element} contextRef="{context}">{day}</{element}>'


def _figures(prefix: str, company: Company, period: Period) -> Iterable[str]:
    """Amounts in rupees. NSE's files have cash flows since September 2020, balances since 2022."""
    _, profit, balance, cash = FORMS[company.kind]
    whole = period.quarter == 4
    so_far = period.year if whole else scaled(period.year, period.months / period.year.months)
    told = [
        (profit, "OneD", scaled(period.year, 3 / period.year.months)),
        (profit, "FourD", so_far),
    ]
    if whole and period.last >= date(2022, 9, 30):
        told.append((balance, "OneI", period.year))
    if whole and period.last >= date(2020, 9, 30):
        told.append((cash, "FourD", period.year))
    group = period.basis == "consolidated"
    for lines, context, year in told:
        for name, figure in lines:
            value = figure(year.items)
            if value is not None and (group or name not in _GROUP_ONLY):
                amount = f"{round(value * 100) * 100_000}.00"
                head = f'{prefix}:{name} contextRef="{context}" unitRef="INR" decimals="-5"'
                yield f"<{head}>{amount}</{prefix}:{name}>"
