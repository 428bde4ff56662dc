"""Financial results as NSE and BSE publish them in XBRL, into canonical items in INR crore.

Both eras of the taxonomy (bseindia.com to 2024, sebi.gov.in from 2025) and all forms are read:
Ind-AS, old GAAP, NBFC, bank, life and general insurance. An instance states its figures several
times: for the quarter (context OneD), for the year to date (FourD), at the end of the period
(OneI), and split by dimensions. Taken are the year to date and the period's end, without
dimensions. Amounts are absolute rupees, whatever the level of rounding or `decimals` say.

The trap: FourD is *declared* with the quarter's dates. Its true period is, in this order:
1. what the facts DateOfStartOfReportingPeriod and DateOfEndOfReportingPeriod in FourD say, unless
   that is the quarter of OneD too while the figures of the two differ;
2. its declared dates, if they begin with the fiscal year, are longer than OneD's, span twelve
   months, or if its figures are those of OneD;
3. from the first day of the fiscal year, if the period ends on its last;
4. unknown: the file is refused.
Every other context is taken at the word of its facts, else of its declared dates. Of those that
end with the period the longest counts, whatever its id. A notice says where 1 does not hold.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
from lxml import etree

from warehouse.cells import Cell
from warehouse.errors import InputError, printable
from warehouse.formats import EARLIEST, LARGEST_CRORE, NO_BASIS
from warehouse.items import ITEMS
from warehouse.readers import require_file
from warehouse.screener import slug

MAX_BYTES = 64 * 1024**2
RUPEES_PER_CRORE = 1e7

_QUARTER, _YEAR_TO_DATE, _PERIOD_END = "OneD", "FourD", "OneI"
_PRIOR_YEAR = "PY"  # every context of the year before has an id that begins so
_BALANCE = "balance_sheet"
_CAPITAL = "PaidUp"  # share capital as the results repeat it, the same in every period


# --- what each form says of each item -------------------------------------------------------------


class Term(NamedTuple):
    """An element of a sum; one that is `optional` counts 0 where the file does not give it."""

    element: str
    sign: int
    optional: bool


@dataclass(frozen=True)
class Line:
    """How an item is read: by the first of the `sums` whose elements are all there.

    A sum that comes to 0 gives way to a later one that does not: filers leave totals at 0. The
    note is `reported` for a single element and `derived` for more, unless one is given here.
    """

    item: str
    sums: tuple[tuple[Term, ...], ...]
    note: str | None = None

    @cached_property
    def single(self) -> str | None:
        """The element, where there is but one to read."""
        terms = self.sums[0]
        return terms[0].element if len(self.sums) == len(terms) == 1 else None


# Paid dividends are mostly those declared for the year before. Net sales hold the excise on
# petroleum, tobacco and alcohol, and before July 2017 that on all goods.
_PROXIES = ("dividends", "net_sales")


def _sum(text: str) -> tuple[Term, ...]:
    words = f"+ {text}".split()
    return tuple(
        Term(name.rstrip("?"), -1 if sign == "-" else 1, name.endswith("?"))
        for sign, name in zip(words[::2], words[1::2], strict=True)
    )


def _lines(table: Mapping[str, str]) -> tuple[Line, ...]:
    """Lines of item: 'A + B? - C | D', the sums in order; what may be missing has a mark behind."""
    return tuple(
        Line(item, tuple(map(_sum, sums.split("|"))), "proxy" if item in _PROXIES else None)
        for item, sums in table.items()
    )


_CASH_FLOW = {
    "operating_cash_flow": "CashFlowsFromUsedInOperatingActivities",
    "investing_cash_flow": "CashFlowsFromUsedInInvestingActivities",
    "financing_cash_flow": "CashFlowsFromUsedInFinancingActivities",
    # Before the effect of exchange rates: then it is the sum of the three.
    "net_cash_flow": "IncreaseDecreaseInCashAndCashEquivalentsBeforeEffectOfExchangeRateChanges"
    " | IncreaseDecreaseInCashAndCashEquivalents",
    "dividends": "DividendsPaidClassifiedAsFinancingActivities",
}

_RESULTS = {
    "sales": "RevenueFromOperations",
    "net_sales": "RevenueFromOperations",
    "other_income": "OtherIncome",
    "cost_of_materials": "CostOfMaterialsConsumed",
    "purchases_of_stock": "PurchasesOfStockInTrade",
    # Opening less closing stock: the taxonomy adds it to expenses.
    "changes_in_inventories": "ChangesInInventoriesOfFinishedGoodsWorkInProgressAndStockInTrade",
    "employee_benefits": "EmployeeBenefitExpense",
    "finance_costs": "FinanceCosts",
    "other_expenses": "OtherExpenses",
    "total_expenses": "Expenses",
    "profit_before_tax": "ProfitBeforeTax",
    "tax": "TaxExpense | CurrentTax + DeferredTax",
}

_IND_AS_RESULTS = {
    **_RESULTS,
    "revenue": "Income | RevenueFromOperations + OtherIncome",
    "depreciation": "DepreciationDepletionAndAmortisationExpense",
    # Income less expense: profit before tax = profit before exceptional items + this.
    "exceptional_items": "ExceptionalItemsBeforeTax",
    "share_of_associates": "ShareOfProfitLossOfAssociatesAndJointVentures"
    "AccountedForUsingEquityMethod",
    "discontinued_operations": "ProfitLossFromDiscontinuedOperationsAfterTax",
    "net_profit": "ProfitLossForPeriod",
}

_IND_AS_BALANCE = {
    "equity_share_capital": "EquityShareCapital | PaidUpValueOfEquityShareCapital"
    " | PaidUpEquityShareCapital",
    "reserves_and_surplus": "OtherEquity",
    "shareholders_funds": "EquityAttributableToOwnersOfParent | EquityShareCapital + OtherEquity"
    " | Equity - NonControllingInterest | Equity",
    "minority_interest": "NonControllingInterest",
    "total_equity": "Equity",
    "total_liabilities": "Liabilities",
    "equity_and_liabilities": "EquityAndLiabilities",
    "total_assets": "Assets",
    # Right-of-use assets have no element and stand in the first. Investment property is left out:
    # it is held for rent, not for the business.
    "fixed_assets": "PropertyPlantAndEquipment + Goodwill? + OtherIntangibleAssets?",
    "capital_work_in_progress": "CapitalWorkInProgress + IntangibleAssetsUnderDevelopment?",
    "inventories": "Inventories",
    "cash": "CashAndCashEquivalents + BankBalanceOtherThanCashAndCashEquivalents?",
}

# What a disposal group owes is due within a year, and Ind AS 105 makes what it owns current; the
# form shows both beside the current items. Regulatory credit balances are settled over years.
_DISPOSAL = "LiabilitiesDirectlyAssociatedWithAssetsInDisposalGroupClassifiedAsHeldForSale"
_REGULATORY = "RegulatoryDeferralAccountCreditBalancesAndRelatedDeferredTaxLiability"

_IND_AS = {
    **_IND_AS_RESULTS,
    **_IND_AS_BALANCE,
    "long_term_borrowings": "BorrowingsNoncurrent",
    "non_current_liabilities": f"NoncurrentLiabilities + {_REGULATORY}?",
    "short_term_borrowings": "BorrowingsCurrent",
    "trade_payables": "TradePayablesCurrent"
    " | TotalOutstandingDuesOfMicroEnterpriseAndSmallEnterpriseCurrent"
    " + TotalOutstandingDuesOfCreditorsOtherThanMicroEnterpriseAndSmallEnterpriseCurrent",
    # The element of that name is narrower: provisions and other financial liabilities stand apart.
    "other_current_liabilities": f"CurrentLiabilities + {_DISPOSAL}?"
    " - BorrowingsCurrent - TradePayablesCurrent",
    "current_liabilities": f"CurrentLiabilities + {_DISPOSAL}?",
    "non_current_investments": "NoncurrentInvestments + InvestmentsAccountedForUsingEquityMethod?",
    "current_investments": "CurrentInvestments",
    # Those due after a year would not fit into current assets.
    "trade_receivables": "TradeReceivablesCurrent",
    "current_assets": "CurrentAssets + NoncurrentAssetsClassifiedAsHeldForSale?",
    **_CASH_FLOW,
}

_NBFC = {
    **_IND_AS_RESULTS,
    **_IND_AS_BALANCE,
    # Costs of lending have lines of their own in the form.
    "other_expenses": "OtherExpenses + FeesAndCommissionExpense? + NetLossOnFairValueChanges?"
    " + NetLossOnDerecognitionOfFinancialInstrumentsUnderAmortisedCostCategory?"
    " + ImpairmentOnFinancialInstruments?",
    "total_debt": "DebtSecurities? + Borrowings? + Deposits? + SubordinatedLiabilities?",
    "trade_payables": "TotalOutstandingDuesOfMicroEnterpriseAndSmallEnterprise"
    " + TotalOutstandingDuesOfCreditorsOtherThanMicroEnterpriseAndSmallEnterprise",
    "trade_receivables": "TradeReceivables",
    **_CASH_FLOW,
}

_OLD_WORK = "IntangibleAssetsUnderDevelopmentOrWorkInProgress? {0} PreproducingProperties?"

_OLD_GAAP = {
    **_RESULTS,
    "revenue": "Income | Revenue | RevenueFromOperations + OtherIncome",
    "depreciation": "DepreciationAndAmortisationExpense",
    "exceptional_items": "ExceptionalItems + ExtraordinaryItems?",
    "share_of_associates": "ShareOfProfitLossOfAssociates",
    "discontinued_operations": "ProfitLossFromDiscontinuingOperationAfterTax",
    # Of all owners: the last line of the form adds the minority's share, with its sign.
    "net_profit": "ProfitLossForPeriodBeforeMinorityInterest + ShareOfProfitLossOfAssociates?"
    " | ProfitLossForThePeriod - ProfitLossOfMinorityInterest?",
    # Preference shares included; the equity shares alone would not add up with the reserves.
    "equity_share_capital": "ShareCapital | PaidUpValueOfEquityShareCapital",
    "reserves_and_surplus": "ReservesAndSurplus + MoneyReceivedAgainstShareWarrants?",
    "shareholders_funds": "ShareholdersFunds",
    "minority_interest": "MinorityInterest",
    "long_term_borrowings": "LongTermBorrowings",
    "non_current_liabilities": "NoncurrentLiabilities + DeferredGovernmentGrants?",
    "short_term_borrowings": "ShortTermBorrowings",
    "trade_payables": "TradePayables"
    " | TotalOutstandingDuesOfMicroEnterprisesAndSmallEnterprises"
    " + TotalOutstandingDuesOfCreditorsOtherThanMicroEnterprisesAndSmallEnterprises"
    " | OutstandingDuesOfMicroEnterprisesAndSmallEnterprises"
    " + OutstandingDuesOfCreditorsOtherThanMicroEnterprisesAndSmallEnterprises",
    "other_current_liabilities": "CurrentLiabilities - ShortTermBorrowings - TradePayables"
    " | CurrentLiabilities - ShortTermBorrowings"
    " - TotalOutstandingDuesOfMicroEnterprisesAndSmallEnterprises"
    " - TotalOutstandingDuesOfCreditorsOtherThanMicroEnterprisesAndSmallEnterprises"
    " | CurrentLiabilities - ShortTermBorrowings"
    " - OutstandingDuesOfMicroEnterprisesAndSmallEnterprises"
    " - OutstandingDuesOfCreditorsOtherThanMicroEnterprisesAndSmallEnterprises",
    "current_liabilities": "CurrentLiabilities",
    "equity_and_liabilities": "EquityAndLiabilities",
    # The total of the form holds work in progress.
    "fixed_assets": "TangibleAssets + IntangibleAssets? + ProducingProperties?"
    " | PropertyPlantAndEquipment + IntangibleAssets? + ProducingProperties?"
    f" | FixedAssets - TangibleAssetsCapitalWorkInProgress - {_OLD_WORK.format('-')}",
    "capital_work_in_progress": f"TangibleAssetsCapitalWorkInProgress + {_OLD_WORK.format('+')}"
    f" | PropertyPlantAndEquipmentCapitalWorkInProgress + {_OLD_WORK.format('+')}",
    "non_current_investments": "NoncurrentInvestments",
    "current_investments": "CurrentInvestments",
    "inventories": "Inventories",
    "trade_receivables": "TradeReceivables",
    "cash": "CashAndCashEquivalents + BankBalanceOtherThanCashAndCashEquivalents?",
    "current_assets": "CurrentAssets",
    "total_assets": "Assets",
    **_CASH_FLOW,
}

# A bank's depreciation is among its other operating expenses, its minority interest among its
# other liabilities: neither has an element.
_BANK = {
    "sales": "InterestEarned",
    "other_income": "OtherIncome",
    "revenue": "Income | InterestEarned + OtherIncome",
    "employee_benefits": "EmployeesCost",
    "finance_costs": "InterestExpended",
    "other_expenses": "OtherOperatingExpenses + ProvisionsOtherThanTaxAndContingencies",
    "total_expenses": "ExpenditureExcludingProvisionsAndContingencies"
    " + ProvisionsOtherThanTaxAndContingencies",
    "exceptional_items": "ExceptionalItems",
    "profit_before_tax": "ProfitLossFromOrdinaryActivitiesBeforeTax",
    "tax": "TaxExpense",
    "share_of_associates": "ShareOfProfitLossOfAssociates",
    "net_profit": "ProfitLossForThePeriod + ShareOfProfitLossOfAssociates?"
    " | ProfitLossFromOrdinaryActivitiesAfterTax + ShareOfProfitLossOfAssociates?",
    "equity_share_capital": "Capital | PaidUpValueOfEquityShareCapital",
    "reserves_and_surplus": "ReservesAndSurplus",
    "shareholders_funds": "Capital + ReservesAndSurplus",
    # Deposits bear interest too; other sources count them as debt.
    "total_debt": "Borrowings + Deposits",
    "total_liabilities": "Borrowings + Deposits + OtherLiabilitiesAndProvisions",
    "equity_and_liabilities": "CapitalAndLiabilities",
    "fixed_assets": "FixedAssets",
    "cash": "CashAndBalancesWithReserveBankOfIndia + BalancesWithBanksAndMoneyAtCallAndShortNotice",
    "total_assets": "Assets",
    **_CASH_FLOW,
}

# An insurer's balance sheet nets current liabilities off its assets, and shows losses carried
# forward as an asset: the first are added back on both sides, the second are taken off.
_LOSSES = (
    "- MiscellaneousExpenditureToTheExtentNotWrittenOffOrAdjusted?"
    " - DebitBalanceInProfitAndLossAccountShareholdersAccount?"
)
_SHARE_MONEY = "ShareApplicationMoneyReceivedPendingAllotmentOfShares?"

_INSURER = {
    "employee_benefits": "EmployeesRemunerationAndWelfareExpenses",
    "equity_and_liabilities": f"SourcesOfFunds + CurrentLiabilitiesAndProvisions {_LOSSES}",
    "total_assets": f"ApplicationOfFunds + CurrentLiabilitiesAndProvisions {_LOSSES}",
    "total_debt": "Borrowings",
    "fixed_assets": "FixedAssets",
    "cash": "CashAndBankBalances",
    **_CASH_FLOW,
}

# The policyholders' account is not the company's: its income, expenses and tax are left out.
_LIFE = {
    "sales": "NetPremiumIncome",
    "profit_before_tax": "ProfitLossBeforeTax",
    "tax": "ProvisionsForTaxes",
    "net_profit": "ProfitLossAfterTaxAndExtraordinaryItems"
    " | ProfitLossAfterTaxBeforeExtraordinaryItems",
    "equity_share_capital": "ShareCapital | PaidUpEquityShareCapital",
    "reserves_and_surplus": f"ReservesAndSurplus + {_SHARE_MONEY}"
    f" + CreditDebitFairValueChangeAccount? {_LOSSES}",
    "shareholders_funds": f"ShareholdersFunds {_LOSSES}"
    f" | ShareCapital + ReservesAndSurplus + {_SHARE_MONEY}"
    f" + CreditDebitFairValueChangeAccount? {_LOSSES}",
    "total_liabilities": "PolicyholdersFunds + CurrentLiabilitiesAndProvisions"
    " + FundsForFutureAppropriations? + Borrowings?",
    **_INSURER,
}

# ShareholdersFunds and PolicyholdersFunds of this form are its fair value change accounts.
_GENERAL = {
    "sales": "PremiumEarned",
    "exceptional_items": "ExtraordinaryItems",
    "profit_before_tax": "ProfitOrLossBeforeTax",
    "tax": "ProvisionForTax",
    "net_profit": "ProfitLossAfterTax",
    "equity_share_capital": "ShareCapital | PaidUpEquityCapital",
    "reserves_and_surplus": f"ReservesAndSurplus + {_SHARE_MONEY} + ShareholdersFunds? {_LOSSES}",
    "shareholders_funds": f"ShareCapital + ReservesAndSurplus + {_SHARE_MONEY}"
    f" + ShareholdersFunds? {_LOSSES}",
    "minority_interest": "MinorityInterest",
    "total_liabilities": "CurrentLiabilitiesAndProvisions + PolicyholdersFunds? + Borrowings?",
    **_INSURER,
}


@dataclass(frozen=True)
class Form:
    """A form of the taxonomy.

    Attributes:
        name: as `Filing.form` gives it.
        template: its name in the entry point's namespace, from 2025.
        financial: whether it is that of a bank, NBFC or insurer.
        lines: how each item is read.
        own: elements that no other form has: one of them tells the form.
        unplaced: elements that no item holds but that stand between two that do.
    """

    name: str
    template: str
    financial: bool
    lines: tuple[Line, ...]
    own: tuple[str, ...]
    unplaced: tuple[str, ...] = ()


FORMS: tuple[Form, ...] = (
    Form(
        "bank", "Banking", True, _lines(_BANK),
        ("NameOfBank", "InterestExpended", "CapitalAndLiabilities", "EmployeesCost"),
        ("ExtraordinaryItems",),
    ),
    Form(
        "life insurance", "LI", True, _lines(_LIFE),
        ("NetPremiumIncome", "BenefitsPaidNet", "ProfitLossAfterTaxAndExtraordinaryItems"),
        ("ExtraordinaryItemsNetOfTaxExpenses",),
    ),
    Form(
        "general insurance", "GI", True, _lines(_GENERAL),
        ("PremiumEarned", "IncurredClaims", "ProfitLossAfterTax", "NetPremiumWritten"),
    ),
    Form(
        "NBFC", "NBFC", True, _lines(_NBFC),
        (
            "FinanicalAssets",  # so spelt in both taxonomies
            "NonFinancialAssets", "FinancialLiabilities", "DebtSecurities",
            "SubordinatedLiabilities", "ImpairmentOnFinancialInstruments",
            "FeesAndCommissionIncome", "FeesAndCommissionExpense", "NetGainOnFairValueChanges",
            "NetLossOnFairValueChanges",
        ),
    ),
    Form(
        "old GAAP", "OtherThanBank", False, _lines(_OLD_GAAP),
        (
            "DepreciationAndAmortisationExpense", "LongTermBorrowings", "ShortTermBorrowings",
            "ProfitBeforeExceptionalAndExtraordinaryItemsAndTax",
            "ProfitLossForPeriodBeforeMinorityInterest",
        ),
        ("ShareApplicationMoneyPendingAllotment",),
    ),
    Form(
        "Ind-AS", "IndAS", False, _lines(_IND_AS),
        ("BorrowingsCurrent", "BorrowingsNoncurrent", "CurrentFinancialAssets"),
        (
            "NetMovementInRegulatoryDeferralAccountBalancesRelatedToProfitOrLossAndTheRelated"
            "DeferredTaxMovement",
        ),
    ),
)  # fmt: skip
_FORM = {form.name: form for form in FORMS}
# Entry points to 2024 that name their form: the first was seen, the second reported.
_ENTRY_POINTS = (("ind-as_entry_point", "Ind-AS"), ("banking_entry_point", "bank"))
# Of Ind-AS and NBFC filings alone.
_EITHER_IND_AS = (
    "ProfitLossForPeriod", "ProfitBeforeExceptionalItemsAndTax", "EquityShareCapital",
    "OtherEquity", "DepreciationDepletionAndAmortisationExpense",
)  # fmt: skip
# (total, its parts, what the form shows beside them). Some filers count the last in the parts.
_BESIDE: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "Assets",
        ("NoncurrentAssets", "CurrentAssets"),
        ("NoncurrentAssetsClassifiedAsHeldForSale",),
    ),
    ("Liabilities", ("NoncurrentLiabilities", "CurrentLiabilities"), (_DISPOSAL, _REGULATORY)),
)

_START, _END = "DateOfStartOfReportingPeriod", "DateOfEndOfReportingPeriod"
_YEAR_START, _YEAR_END = "DateOfStartOfFinancialYear", "DateOfEndOfFinancialYear"
_AUDITED, _BASIS = "WhetherResultsAreAuditedOrUnaudited", "NatureOfReportStandaloneConsolidated"
_APPROVED = ("DateOfBoardMeetingWhenFinancialResultsWereApproved", "DateOfEndOfBoardMeeting")
_NAMES = ("NameOfTheCompany", "NameOfBank")
TEXTS: frozenset[str] = frozenset(
    (
        _START, _END, _YEAR_START, _YEAR_END, _AUDITED, _BASIS, *_APPROVED, *_NAMES,
        "Symbol", "ISIN", "ScripCode",
    )
)  # fmt: skip


def _elements(lines: Iterable[Line]) -> frozenset[str]:
    return frozenset(term.element for line in lines for terms in line.sums for term in terms)


def _statements(form: Form) -> dict[str, frozenset[str]]:
    """Elements by statement; what is derived is of the balance sheet. Without paid-up capital."""
    kinds = {item.name: item.statement for item in ITEMS}
    return {
        kind: frozenset(
            element
            for element in _elements(x for x in form.lines if kinds.get(x.item, _BALANCE) == kind)
            if not element.startswith(_CAPITAL)
        )
        for kind in dict.fromkeys(kinds.values())
    }


_BY_STATEMENT = {form.name: _statements(form) for form in FORMS}
_WANTED = {
    form.name: _elements(form.lines).union(
        form.unplaced, *((total, *parts, *beside) for total, parts, beside in _BESIDE)
    )
    for form in FORMS
}
AMOUNTS: frozenset[str] = frozenset().union(*_WANTED.values())
_NAMED = TEXTS.union(AMOUNTS, _EITHER_IND_AS, *(form.own for form in FORMS))


# --- what a filing is -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Filing:
    """What one filing says of one company, period and basis.

    Attributes:
        company_name, symbol, isin, bse_code, cin: who it is, as far as the file says.
        form: Ind-AS, old GAAP, NBFC, bank, life insurance or general insurance.
        is_financial: whether the form is that of a bank, NBFC or insurer.
        basis: consolidated, standalone or unstated.
        period_start, period_end: what the flows cover: the year to date where it is given.
        fiscal_year_start, fiscal_year_end: as stated; None where they are not or cannot be.
        months: length of the period.
        annual: whether the figures are known to be those of the whole fiscal year.
        audited: whether the results of the period are audited; None where not stated.
        approved_on: day of the board meeting.
        cells: the figures in INR crore; every note is `interim` unless the period is annual.
        notices: lines that a user should read.
    """

    company_name: str | None
    symbol: str | None
    isin: str | None
    bse_code: str | None
    cin: str | None
    form: str
    is_financial: bool
    basis: str
    period_start: date | None
    period_end: date
    fiscal_year_start: date | None
    fiscal_year_end: date | None
    months: int
    annual: bool
    audited: bool | None
    approved_on: date | None
    cells: tuple[Cell, ...]
    notices: tuple[str, ...]


class _Span(NamedTuple):
    """First and last day of a period."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"

    @property
    def months(self) -> int:
        """Whole months, a part of thirty days or so rounded."""
        after = self.end + timedelta(days=1)
        whole = (after.year - self.start.year) * 12 + after.month - self.start.month
        return round(whole + (after.day - self.start.day) / 30)


class _Context(NamedTuple):
    """A context without dimensions; one that the file refers to but lacks has no dates."""

    declared: _Span | None = None
    instant: date | None = None
    identifier: str = ""
    scheme: str = ""


@dataclass(frozen=True)
class _Instance:
    """What the instance holds that we may want, untouched; `notices` grows as it is read."""

    name: str
    contexts: Mapping[str, _Context]
    units: Mapping[str, bool]
    texts: Mapping[str, Mapping[str, list[str]]]
    amounts: Mapping[str, list[tuple[str, etree._Element]]]
    elements: frozenset[str]
    template: str | None
    notices: list[str]


# --- bytes to instance ----------------------------------------------------------------------------

_XBRLI = "{http://www.xbrl.org/2003/instance}"
_ROOT, _CONTEXT, _UNIT = f"{_XBRLI}xbrl", f"{_XBRLI}context", f"{_XBRLI}unit"
_MEASURE, _ENTITY, _PERIOD = f"{_XBRLI}measure", f"{_XBRLI}entity", f"{_XBRLI}period"
_SEGMENT, _SCENARIO = f"{_XBRLI}segment", f"{_XBRLI}scenario"
_IDENTIFIER, _INSTANT = f"{_XBRLI}identifier", f"{_XBRLI}instant"
_FIRST_DAY, _LAST_DAY = f"{_XBRLI}startDate", f"{_XBRLI}endDate"
_SCHEMA_REF = "{http://www.xbrl.org/2003/linkbase}schemaRef"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_ISO4217 = "http://www.xbrl.org/2003/iso4217"
_XINCLUDE = "{http://www.w3.org/2001/XInclude}*"
# Namespaces of facts, with a date and a name behind it that change from year to year.
_TAXONOMY = re.compile(
    r"\{https?://(?:www\.)?(?:bseindia\.com/xbrl/fin|sebi\.gov\.in/xbrl)(?:/[^}]*)?\}(.+)"
)
# What `_fact_name` said of each qualified name: filings share some 500 of them.
_SEEN: dict[object, str | None] = {}
_MOST_SEEN, _LONGEST_SEEN = 4096, 400
_TEMPLATE = re.compile(r"/IntegratedFinance_(\w+)/")
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"']*)["']""")
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "us-ascii",
    "ascii": "us-ascii",
    "iso-8859-1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "windows-1252",
    "cp1252": "windows-1252",
}
_ROOT_TAG = re.compile(rb"<(?:[\w.-]+:)?xbrl[\s>/]")
_SPACE = re.compile(rb"\s*+")
_MISC = re.compile(rb"\s*+(<!--|<\?)")
_HEAD = 2**16
# Filings have some 15 namespaces and 4 units: a unit is checked against all namespaces.
_MOST_SETTINGS = 1_000


def is_xbrl(path: Path) -> bool:
    """Whether a file is an XML document whose root is `xbrl`, told by its first bytes."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    at = _prolog_end(head)
    if head.startswith(b"<!", at):  # a DOCTYPE: `parse_xbrl` says why it is refused
        return _ROOT_TAG.search(head, at) is not None
    return _ROOT_TAG.match(head, at) is not None


def _prolog_end(data: bytes) -> int:
    """Where the declaration, comments and processing instructions before the root end."""
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while found := _MISC.match(data, at):
        closing = b"-->" if found[1] == b"<!--" else b"?>"
        end = data.find(closing, found.end())
        if end < 0:
            break
        at = end + len(closing)
    blank = _SPACE.match(data, at)
    return blank.end() if blank else at


def _encoding(data: bytes, name: str) -> str:
    declared = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf")[:1000])
    said = declared[1].decode("latin-1").strip().lower() if declared else "utf-8"
    if said not in _ENCODINGS:
        raise InputError(
            f"{name}: expected the encoding UTF-8, ASCII, Latin-1 or windows-1252, got {said!r:.60}"
        )
    return _ENCODINGS[said]


def _root(data: bytes, name: str) -> etree._Element:
    """The root of the document; nothing outside it is read and no entity is expanded."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data):,} bytes; files of up to {MAX_BYTES:,} are read")
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0")) or data[1:2] == b"\0":
        raise InputError(f"{name}: expected the encoding UTF-8, got UTF-16 or UTF-32")
    at = _prolog_end(data)
    if data.startswith(b"<!", at):
        raise InputError(f"{name}: expected no DOCTYPE and no entities, got {data[at : at + 40]!r}")
    if not data.startswith(b"<", at):
        raise InputError(f"{name}: expected XML, got {data[at : at + 40]!r}")
    parser = etree.XMLParser(
        encoding=_encoding(data, name),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"{name}: not well-formed XML: {str(error)[:200]}") from None
    if root.tag != _ROOT:
        raise InputError(f"{name}: expected the root {_ROOT}, got {root.tag!r:.80}")
    if root.getroottree().docinfo.doctype or next(root.iter(_XINCLUDE), None) is not None:
        raise InputError(f"{name}: expected one self-contained document, got DOCTYPE or XInclude")
    return root


def _fact_name(tag: object) -> str | None:
    """Local name of a fact that we may want; empty for other facts, None for what is no fact."""
    found = _TAXONOMY.fullmatch(tag) if isinstance(tag, str) else None
    local = (found[1] if found[1] in _NAMED else "") if found else None
    if len(_SEEN) < _MOST_SEEN and len(str(tag)) < _LONGEST_SEEN:
        _SEEN[tag] = local
    return local


def _read(data: bytes, name: str) -> _Instance:
    """One walk over the children of the root; only what may be wanted is kept."""
    root = _root(data, name)
    namespaces = root.nsmap.values()
    if len(namespaces) > _MOST_SETTINGS:
        raise InputError(f"{name}: expected at most {_MOST_SETTINGS:,} namespaces")
    contexts: dict[str, etree._Element] = {}
    units: dict[str, bool] = {}
    texts: dict[str, dict[str, list[str]]] = defaultdict(dict)
    amounts: dict[str, list[tuple[str, etree._Element]]] = defaultdict(list)
    elements: set[str] = set()
    seen = _SEEN
    schema = ""
    for element in root.iterchildren("*"):
        tag = element.tag
        local = seen[tag] if tag in seen else _fact_name(tag)
        if local is None:
            schema = _setting(name, element, contexts, units) or schema
        elif local:
            elements.add(local)
            if local in TEXTS:
                said = " ".join((element.text or "").split())
                if said:
                    key = element.get("contextRef", "")
                    texts[local].setdefault(key, []).append(said)
            else:
                amounts[element.get("contextRef", "")].append((local, element))
    return _Instance(
        name,
        _plain(contexts, amounts.keys() | {key for said in texts.values() for key in said}),
        units,
        dict(texts),
        dict(amounts),
        frozenset(elements),
        _template(namespaces, schema),
        [],
    )


def _setting(
    name: str,
    element: etree._Element,
    contexts: dict[str, etree._Element],
    units: dict[str, bool],
) -> str:
    """Note a context or unit; the address of the taxonomy, if the element is that."""
    tag, key = element.tag, element.get("id", "")
    if tag == _CONTEXT:
        other = contexts.setdefault(key, element)
        if other is not element and _context(other) != _context(element):
            raise InputError(
                f"{name}, line {element.sourceline}: the context {key!r:.60} is declared twice"
            )
    elif tag == _UNIT:
        if key in units or len(units) == _MOST_SETTINGS:
            raise InputError(
                f"{name}, line {element.sourceline}: the unit {key!r:.60} is declared twice, or is"
                f" one of more than {_MOST_SETTINGS:,}"
            )
        units[key] = _is_inr(element)
    return element.get(_HREF, "") if tag == _SCHEMA_REF else ""


def _is_inr(unit: etree._Element) -> bool:
    """Whether a unit is one measure, the rupee of ISO 4217; a prefix may be called anything."""
    if len(unit) != 1 or unit[0].tag != _MEASURE:
        return False
    prefix, _, currency = (unit[0].text or "").strip().rpartition(":")
    return currency == "INR" and unit.nsmap.get(prefix or None) == _ISO4217


def _plain(contexts: Mapping[str, etree._Element], used: Iterable[str]) -> dict[str, _Context]:
    """The contexts in use that have no dimensions and are not of the year before."""
    plain = {}
    for key in sorted(used):
        if key.startswith(_PRIOR_YEAR):
            continue
        if key in contexts:
            context = _context(contexts[key])
            if context is not None:
                plain[key] = context
        elif key in (_QUARTER, _YEAR_TO_DATE, _PERIOD_END):
            plain[key] = _Context()
    return plain


def _context(element: etree._Element) -> _Context | None:
    """A context as declared; None if it has dimensions."""
    if not len(element) or (element[-1].tag == _SCENARIO and len(element[-1])):
        return None
    dates: dict[object, str | None] = {}
    identifier = scheme = ""
    for child in element:
        tag = child.tag
        if tag == _PERIOD:
            dates = {part.tag: part.text for part in child}
        elif tag == _ENTITY:
            for part in child:
                if part.tag == _IDENTIFIER:
                    identifier, scheme = (part.text or "").strip(), part.get("scheme", "")
                elif part.tag == _SEGMENT and len(part):
                    return None
        elif tag == _SCENARIO and len(child):
            return None
    start, end, instant = (_day(dates.get(part)) for part in (_FIRST_DAY, _LAST_DAY, _INSTANT))
    span = _Span(start, end) if start and end and start <= end else None
    return _Context(span, instant, identifier, scheme)


_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _day(text: str | None) -> date | None:
    """A date YYYY-MM-DD that statements can have; None for anything else."""
    said = (text or "").strip()
    if not _ISO_DATE.fullmatch(said):
        return None
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return None
    return day if day >= EARLIEST and day.year <= 2100 else None


def _template(namespaces: Iterable[str], schema: str) -> str | None:
    """Name of the form as the entry point tells it; None if it does not."""
    found = _TEMPLATE.search(" ".join(namespaces))
    if found:
        return next((form.name for form in FORMS if form.template == found[1]), None)
    entry = schema.rsplit("/", 1)[-1].lower()
    return next((form for begin, form in _ENTRY_POINTS if entry.startswith(begin)), None)


# --- form, period, identity -----------------------------------------------------------------------


def _form(instance: _Instance) -> Form:
    """The form by the elements that only one form has, else by the entry point.

    Raises:
        InputError: neither tells, and there is no revenue from operations.
    """
    elements = instance.elements
    told = next((form.name for form in FORMS if not elements.isdisjoint(form.own)), None)
    if told and instance.template and told != instance.template:
        instance.notices.append(
            f"the entry point says {instance.template}, the elements say {told}: read as {told}"
        )
    told = told or instance.template
    if told:
        return _FORM[told]
    if elements.isdisjoint(_EITHER_IND_AS):
        if "RevenueFromOperations" not in elements:
            raise InputError(
                f"{instance.name}: expected financial results of NSE or BSE: no element tells one"
                f" of the forms {', '.join(form.name for form in FORMS)}"
            )
        instance.notices.append("nothing tells the form of the filing: read as Ind-AS")
    return _FORM["Ind-AS"]


def _said(instance: _Instance, element: str, contexts: Iterable[str]) -> list[str]:
    """What a text element says in these contexts, each saying once."""
    said = instance.texts.get(element)
    if not said:
        return []
    return list(dict.fromkeys(text for key in contexts if key in said for text in said[key]))


def _date_in(instance: _Instance, element: str, context: str) -> date | None:
    """The date that a fact of the period states in a context.

    Raises:
        InputError: it is no date, or there are two.
    """
    said = _said(instance, element, (context,))
    if not said:
        return None
    day = _day(said[0])
    if day is None or len(said) > 1:
        raise InputError(
            f"{instance.name}: {element} in context {context}: expected one date YYYY-MM-DD"
            f" from {EARLIEST} to 2100, got {', '.join(said):.60}"
        )
    return day


def _stated(instance: _Instance, key: str) -> _Span | None:
    """The period of a context as its facts state it; the declared end serves if they lack it."""
    start = _date_in(instance, _START, key)
    declared = instance.contexts[key].declared
    end = _date_in(instance, _END, key) or (declared.end if declared else None)
    if start is None or end is None:
        return None
    if start > end:
        raise InputError(
            f"{instance.name}: the reporting period of context {key} begins on {start} and ends"
            f" on {end}"
        )
    return _Span(start, end)


def _fiscal_year(instance: _Instance) -> tuple[date | None, date | None]:
    """First and last day of the fiscal year as stated; None where two are, or none can be."""
    days = []
    for element in (_YEAR_START, _YEAR_END):
        said = _said(instance, element, instance.contexts)
        day = _day(said[0]) if len(said) == 1 else None
        if said and day is None:
            instance.notices.append(f"{element} is not one date: {printable(', '.join(said))[:80]}")
        days.append(day)
    start, end = days
    if start and end and not (start < end and 9 <= _Span(start, end).months <= 18):
        instance.notices.append(f"the fiscal year is said to be {start}..{end}: not believed")
        return None, None
    return start, end


def _periods(instance: _Instance, year: tuple[date | None, date | None]) -> dict[str, _Span]:
    """The true period of every context of flows; FourD last, for it is told by the others."""
    periods = {}
    for key, context in instance.contexts.items():
        if key != _YEAR_TO_DATE and context.instant is None:
            span = _stated(instance, key) or context.declared
            if span:
                periods[key] = span
    if _YEAR_TO_DATE in instance.contexts and instance.amounts.get(_YEAR_TO_DATE):
        periods[_YEAR_TO_DATE] = _year_to_date(instance, periods.get(_QUARTER), year)
    return periods


def _year_to_date(
    instance: _Instance, quarter: _Span | None, year: tuple[date | None, date | None]
) -> _Span:
    """The true period of FourD, by the rules at the head of this module."""
    stated = _stated(instance, _YEAR_TO_DATE)
    declared = instance.contexts[_YEAR_TO_DATE].declared
    begin, finish = year
    if stated and (
        stated != quarter
        or stated.start == begin
        or stated.months >= 12
        or _same_figures(instance) is not False
    ):
        if declared and stated != declared:
            instance.notices.append(f"FourD is declared {declared}; its facts say {stated}")
        return stated
    if declared and not stated and _trusted(instance, declared, quarter, begin):
        instance.notices.append(f"FourD has no dates of its own: taken as declared, {declared}")
        return declared
    end = stated.end if stated else declared.end if declared else None
    if begin and end and end == finish:
        instance.notices.append(
            f"FourD is dated as the quarter {quarter or declared}; it ends the fiscal year and is"
            f" taken to begin with it, on {begin}"
        )
        return _Span(begin, end)
    raise InputError(
        f"{instance.name}: the period of context FourD cannot be known: it is declared"
        f" {declared}, its facts say {stated}, the quarter is {quarter}"
    )


def _trusted(
    instance: _Instance, declared: _Span, quarter: _Span | None, begin: date | None
) -> bool:
    """Whether the declared dates of FourD are those of the year to date."""
    if declared.start == begin or declared.months >= 12:
        return True
    if quarter is None:
        return False
    return declared.months > quarter.months or _same_figures(instance) is True


def _same_figures(instance: _Instance) -> bool | None:
    """Whether FourD and OneD hold the same figures; None if they share none but zeros."""
    quarter = dict(instance.amounts.get(_QUARTER, ()))
    shared = False
    for local, element in instance.amounts.get(_YEAR_TO_DATE, ()):
        if local in quarter and not local.startswith(_CAPITAL):
            one, other = (_number((e.text or "").strip()) for e in (element, quarter[local]))
            if one != other:
                return False
            shared = shared or bool(one)
    return True if shared else None


@dataclass(frozen=True)
class _Period:
    """The period of a filing, and which contexts hold its flows and its balance sheet."""

    span: _Span
    year: tuple[date | None, date | None]
    annual: bool
    flows: tuple[str, ...]
    instants: tuple[str, ...]


def _period(instance: _Instance) -> _Period:
    """The longest period that ends with the filing's.

    Raises:
        InputError: the file does not say which period it covers, or it is none of 1 to 24 months.
    """
    year = _fiscal_year(instance)
    periods = _periods(instance, year)
    pool = {key: span for key, span in periods.items() if instance.amounts.get(key)} or periods
    if not pool:
        raise InputError(f"{instance.name}: expected a reporting period, got none")
    leading = next((key for key in (_YEAR_TO_DATE, _QUARTER) if key in pool), None)
    end = pool[leading].end if leading else max(span.end for span in pool.values())
    span = min(span for span in pool.values() if span.end == end)
    if not 1 <= span.months <= 24:
        raise InputError(f"{instance.name}: expected a period of 1 to 24 months, got {span}")
    annual = _annual(span, year)
    if annual and pool.get(_QUARTER, span) != span and _same_figures(instance):
        instance.notices.append(f"OneD and FourD hold the same figures: perhaps not of {span}")
        annual = False
    if not annual:
        instance.notices.append(
            f"interim: {span.months} months, {span}; not used as annual statements"
        )
    flows = tuple(key for key, other in pool.items() if other == span)
    if {_YEAR_TO_DATE, _QUARTER} <= set(flows) and _same_figures(instance) is False:
        instance.notices.append(f"OneD is dated as FourD, {span}, but differs: left out")
        flows = tuple(key for key in flows if key != _QUARTER)
    return _Period(span, year, annual, flows, _instants(instance, end))


def _instants(instance: _Instance, end: date) -> tuple[str, ...]:
    """Contexts of the balance sheet: dated the last day of the period."""
    undated = instance.contexts.get(_PERIOD_END) == _Context()
    keys = [key for key, context in instance.contexts.items() if context.instant == end]
    for key, context in instance.contexts.items():
        if context.instant and context.instant != end and instance.amounts.get(key):
            instance.notices.append(
                f"the period ends on {end}; figures of {context.instant} are left out"
            )
    return (*keys, _PERIOD_END) if undated else tuple(keys)


def _annual(span: _Span, year: tuple[date | None, date | None]) -> bool:
    """Whether a period is the whole fiscal year.

    Without a stated fiscal year twelve months to date are one; a shorter one could not be told.
    """
    stated = [(said, ours) for said, ours in zip(year, span, strict=True) if said]
    return all(said == ours for said, ours in stated) and (len(stated) == 2 or span.months >= 12)


_NAME = re.compile(r"(?=.*\w).{1,200}")
_SYMBOL = re.compile(r"(?!(?:NOTLISTED|NA|NIL)$)[A-Z0-9][A-Z0-9&._-]{0,19}")
_ISIN = re.compile(r"IN[A-Z0-9]{9}[0-9]")
_BSE_CODE = re.compile(r"(?!000000)[0-9]{6}")
_CIN = re.compile(r"[LU][0-9]{5}[A-Z]{2}[0-9]{4}[A-Z]{3}[0-9]{6}")


class _Identity(NamedTuple):
    """Who filed, as far as the file says."""

    company_name: str | None
    symbol: str | None
    isin: str | None
    bse_code: str | None
    cin: str | None


def _identity(instance: _Instance, period: _Period) -> _Identity:
    """The facts, else the entity of the contexts, whose scheme or shape tells what it is."""
    known = [instance.contexts[key] for key in (*period.flows, *period.instants)]
    entities = [c.identifier for c in known]
    symbols = [c.identifier for c in known if c.scheme.lower().endswith("nsesymbol")]
    isin = _first(instance, _ISIN, ("ISIN",), entities)
    if isin and not _isin_checks(isin):
        instance.notices.append(f"ISIN {isin} has a wrong check digit: left out")
        isin = None
    return _Identity(
        company_name=_first(instance, _NAME, _NAMES, ()),
        symbol=_first(instance, _SYMBOL, ("Symbol",), symbols),
        isin=isin,
        bse_code=_first(instance, _BSE_CODE, ("ScripCode",), entities),
        cin=_first(instance, _CIN, (), entities),
    )


def _first(
    instance: _Instance, shape: re.Pattern[str], elements: Iterable[str], others: Iterable[str]
) -> str | None:
    """The first of what these elements, then the others, say that has the shape."""
    said = [text for name in elements for text in _said(instance, name, instance.contexts)]
    return next((text for text in (*said, *others) if shape.fullmatch(text)), None)


def _isin_checks(isin: str) -> bool:
    """Whether the last digit of an ISIN is the one that the others give."""
    digits = "".join(str(int(character, 36)) for character in isin)[::-1]
    doubled = (int(d) * (1 + i % 2) for i, d in enumerate(digits))
    return sum(n // 10 + n % 10 for n in doubled) % 10 == 0


def _choice(
    instance: _Instance, element: str, flows: tuple[str, ...], meanings: Mapping[str, str]
) -> str | None:
    """What a text element means, by the flows' contexts first: March files say both of a kind."""
    said = _said(instance, element, flows) or _said(instance, element, instance.contexts)
    meant = {meanings.get(re.sub(r"[^a-z]", "", text.lower())) for text in said}
    if len(meant) == 1 and None not in meant:
        return meant.pop()
    if said:
        instance.notices.append(f"{element} is not understood: {printable(', '.join(said))[:80]}")
    return None


def _approved_on(instance: _Instance, end: date) -> date | None:
    """Day of the board meeting; one before the period's end would date figures too early."""
    said = [text for name in _APPROVED for text in _said(instance, name, instance.contexts)]
    days = [day for day in map(_day, said) if day and day > end]
    if said and not days:
        instance.notices.append(
            f"the board meeting is dated {printable(said[0])[:40]}, not after the period's end:"
            " left out"
        )
    return days[0] if days else None


# --- figures --------------------------------------------------------------------------------------


_LARGEST = LARGEST_CRORE * RUPEES_PER_CRORE


def _number(text: str) -> float | None:
    """A finite decimal number; None for anything else."""
    if len(text) > 60 or text.strip("0123456789.+-eE"):  # float would take 1_000, nan and more
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if -_LARGEST <= number <= _LARGEST else None


def _amount(instance: _Instance, local: str, element: etree._Element) -> float | None:
    """Rupees of a fact; None if it is nil or empty.

    Raises:
        InputError: it is no number.
    """
    if element.get(_NIL) in ("true", "1"):
        return None
    text = (element.text or "").strip()
    amount = _number(text)
    if len(element) or (text and amount is None):
        raise InputError(
            f"{instance.name}, line {element.sourceline}: {local}: expected a number of rupees of"
            f" at most {LARGEST_CRORE:,.0f} crore, got {text!r:.60}"
        )
    return amount


def _amounts(
    instance: _Instance, period: _Period, wanted: frozenset[str]
) -> tuple[dict[str, float], frozenset[str]]:
    """Rupees by element in the period's contexts, and the elements that are not to be used."""
    values: dict[str, float] = {}
    twice: dict[str, str] = {}
    units: dict[str, str] = {}
    for key in (*period.flows, *period.instants):
        for local, element in instance.amounts.get(key, ()):
            amount = _amount(instance, local, element) if local in wanted else None
            if amount is None:
                continue
            unit = element.get("unitRef", "none")
            if not instance.units.get(unit):
                units[local] = f"{local} ({unit[:40]!r})"
            elif values.setdefault(local, amount) != amount:
                twice[local] = f"{local} ({values[local]:.15g} and {amount:.15g})"
    for what, found in (("not in rupees", units), ("given twice with different values", twice)):
        if found:
            instance.notices.append(f"left out, {what}: {printable(_listed(list(found.values())))}")
    dropped = frozenset(units) | frozenset(twice)
    for local in dropped:
        values.pop(local, None)
    return values, dropped


def _listed(found: list[str], most: int = 8) -> str:
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return ", ".join(found[:most]) + more


def _beside(instance: _Instance, values: dict[str, float]) -> None:
    """Drop what the form shows beside a total's parts where the parts hold it already."""
    for total, parts, beside in _BESIDE:
        extra = sum(values.get(element, 0.0) for element in beside)
        if extra and total in values and all(part in values for part in parts):
            rest = values[total] - sum(values[part] for part in parts)
            if abs(rest) < abs(rest - extra):
                for element in beside:
                    values.pop(element, None)
                instance.notices.append(f"{' and '.join(parts)} hold {_listed(list(beside))}")


def _evaluate(terms: tuple[Term, ...], values: Mapping[str, float]) -> tuple[float, bool] | None:
    """A sum in rupees and whether one element alone gives it; None if an element is missing."""
    total, counted, given, negated = 0.0, 0, False, False
    for element, sign, optional in terms:
        value = values.get(element)
        if value is not None:
            given = True
            total += sign * value
            counted += value != 0
            negated = negated or (sign < 0 and value != 0)
        elif not optional:
            return None
    return (total, counted <= 1 and not negated) if given else None


def _choose(
    instance: _Instance, line: Line, values: Mapping[str, float]
) -> tuple[float, bool] | None:
    """The first sum that can be made, or the first that is not 0 where that one is."""
    zero: tuple[float, bool] | None = None
    for terms in line.sums:
        found = _evaluate(terms, values)
        if found and found[0]:
            if zero:
                instance.notices.append(
                    f"a total stands as 0; {line.item} is taken from"
                    f" {_listed([term.element for term in terms])}"
                )
            return found
        zero = zero or found
    return zero


def _cells(instance: _Instance, form: Form, period: _Period, basis: str) -> tuple[Cell, ...]:
    """Every item that the filing gives."""
    values, dropped = _amounts(instance, period, _WANTED[form.name])
    _drop_zeros(instance, form, values)
    _beside(instance, values)
    end, months = period.span.end, period.span.months
    cells = []
    for line in form.lines:
        if line.single:
            value = values.get(line.single)
            found = None if value is None else (value, True)
        elif dropped and any(term.element in dropped for terms in line.sums for term in terms):
            continue
        else:
            found = _choose(instance, line, values)
        if found is None:
            continue
        if found[0] < 0 and line.item == "dividends":
            instance.notices.append("dividends paid are below 0: their sign is unclear, left out")
            continue
        note = line.note or ("reported" if found[1] else "derived")
        crore = found[0] / RUPEES_PER_CRORE
        cells.append(
            Cell(end, basis, line.item, crore, months, note if period.annual else "interim")
        )
    _say_unplaced(instance, form, values)
    return tuple(cells)


def _say_unplaced(instance: _Instance, form: Form, values: Mapping[str, float]) -> None:
    for element in form.unplaced:
        if values.get(element):
            instance.notices.append(
                f"no item holds {element}, {values[element] / RUPEES_PER_CRORE:,.2f} crore: sums"
                " around it differ by that"
            )


def _drop_zeros(instance: _Instance, form: Form, values: dict[str, float]) -> None:
    """Drop a statement that is nothing but zeros: it was not filled in."""
    for statement, elements in _BY_STATEMENT[form.name].items():
        given = elements & values.keys()
        if len(given) > 1 and not any(values[element] for element in given):
            for element in given:
                del values[element]
            instance.notices.append(
                f"every figure of the {statement.replace('_', ' ')} is 0: taken as not given"
            )


# --- the whole ------------------------------------------------------------------------------------


def parse_xbrl(data: bytes, name: str) -> Filing:
    """What a filing says, from the bytes of its XBRL instance.

    Args:
        data: the file.
        name: its path or address, for messages.

    Raises:
        InputError: not such an instance, a period that cannot be known, or a figure that is no
            number.
    """
    instance = _read(data, name)
    form = _form(instance)
    period = _period(instance)
    basis = _choice(
        instance,
        _BASIS,
        period.flows,
        {name: name for name in ("consolidated", "standalone")} | {"nonconsolidated": "standalone"},
    )
    audited = _choice(
        instance, _AUDITED, period.flows, {"audited": "audited", "unaudited": "unaudited"}
    )
    identity = _identity(instance, period)
    approved_on = _approved_on(instance, period.span.end)
    cells = _cells(instance, form, period, basis or NO_BASIS)
    return Filing(
        *identity,
        form=form.name,
        is_financial=form.financial,
        basis=basis or NO_BASIS,
        period_start=period.span.start,
        period_end=period.span.end,
        fiscal_year_start=period.year[0],
        fiscal_year_end=period.year[1],
        months=period.span.months,
        annual=period.annual,
        audited=None if audited is None else audited == "audited",
        approved_on=approved_on,
        cells=cells,
        notices=tuple(instance.notices),
    )


def read_xbrl(path: Path, company: str | None = None) -> tuple[pa.Table, tuple[str, ...]]:
    """Rows of a statements file out of an instance, and lines that a user should read.

    Args:
        path: the file.
        company: company_id; else made from the symbol, the name, the ISIN or the BSE code.

    Raises:
        InputError: as `parse_xbrl`; or the file holds no figure, or names no company.
    """
    require_file(path, MAX_BYTES)
    filing = parse_xbrl(path.read_bytes(), str(path))
    label = filing.symbol or filing.company_name or filing.isin or filing.bse_code
    if company is None and label is None:
        raise InputError(f"{path}: names no company; give its company_id with --company")
    if not filing.cells:
        raise InputError(f"{path}: holds no figure of the period to {filing.period_end}")
    company_id = company or slug(label or "")
    rows = [
        {
            "company_id": company_id,
            "company_name": filing.company_name,
            "nse_symbol": filing.symbol,
            "isin": filing.isin,
            "cin": filing.cin,
            "fiscal_year_end": str(cell.fiscal_year_end),
            "months": str(cell.months),
            "basis": cell.basis,
            "unit": "INR crore",
            "item": cell.item,
            "value": repr(cell.value),
            "note": cell.note,
            "source": "xbrl filing",
            "filed_at": str(filing.approved_on) if filing.approved_on else None,
        }
        for cell in filing.cells
    ]
    read = f"{filing.form}, {filing.basis}, {filing.months} months to {filing.period_end}"
    return pa.Table.from_pylist(rows, schema=_SCHEMA), (
        f"company {label or company} imported as {company_id}: {read}",
        *filing.notices,
    )


_SCHEMA = pa.schema(
    [
        (column, pa.string())
        for column in (
            "company_id", "company_name", "nse_symbol", "isin", "cin", "fiscal_year_end",
            "months", "basis", "unit", "item", "value", "note", "source", "filed_at",
        )
    ]
)  # fmt: skip
