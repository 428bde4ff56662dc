"""What each form of the XBRL taxonomy says of each canonical item, and which elements that takes.

Elements have the same names in both eras of the taxonomy (bseindia.com to 2024, sebi.gov.in from
2025); each form has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from warehouse.items import ITEMS

_BALANCE = "balance_sheet"
CAPITAL = "PaidUp"  # share capital as the results repeat it, the same in every period


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
# Entry points to 2024 that name their form: the first was seen, the second reported.
ENTRY_POINTS = (("ind-as_entry_point", "Ind-AS"), ("banking_entry_point", "bank"))
# Of Ind-AS and NBFC filings alone.
EITHER_IND_AS = (
    "ProfitLossForPeriod", "ProfitBeforeExceptionalItemsAndTax", "EquityShareCapital",
    "OtherEquity", "DepreciationDepletionAndAmortisationExpense",
)  # fmt: skip
# (total, its parts, what the form shows beside them). Some filers count the last in the parts.
BESIDE: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    (
        "Assets",
        ("NoncurrentAssets", "CurrentAssets"),
        ("NoncurrentAssetsClassifiedAsHeldForSale",),
    ),
    ("Liabilities", ("NoncurrentLiabilities", "CurrentLiabilities"), (_DISPOSAL, _REGULATORY)),
)

START_DATE, END_DATE = "DateOfStartOfReportingPeriod", "DateOfEndOfReportingPeriod"
YEAR_START_DATE, YEAR_END_DATE = "DateOfStartOfFinancialYear", "DateOfEndOfFinancialYear"
AUDITED, BASIS = "WhetherResultsAreAuditedOrUnaudited", "NatureOfReportStandaloneConsolidated"
APPROVED = ("DateOfBoardMeetingWhenFinancialResultsWereApproved", "DateOfEndOfBoardMeeting")
COMPANY_NAMES = ("NameOfTheCompany", "NameOfBank")
TEXTS: frozenset[str] = frozenset(
    (
        START_DATE, END_DATE, YEAR_START_DATE, YEAR_END_DATE, AUDITED, BASIS, *APPROVED,
        *COMPANY_NAMES, "Symbol", "ISIN", "ScripCode",
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
            if not element.startswith(CAPITAL)
        )
        for kind in dict.fromkeys(kinds.values())
    }


BY_STATEMENT = {form.name: _statements(form) for form in FORMS}
WANTED = {
    form.name: _elements(form.lines).union(
        form.unplaced, *((total, *parts, *beside) for total, parts, beside in BESIDE)
    )
    for form in FORMS
}
AMOUNTS: frozenset[str] = frozenset().union(*WANTED.values())
NAMED = TEXTS.union(AMOUNTS, EITHER_IND_AS, *(form.own for form in FORMS))
