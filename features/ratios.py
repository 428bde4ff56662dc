"""The 62 financial ratios as one declared table, and the one SQL query that computes them.

Formulas are those of Chaithra, Sharma and Mohan, "Machine Learning Solutions for Predicting
Bankruptcy in Indian Firms" (ICPR 2024), Table 2; `references` are the works that the paper cites
for each. `example` is the value worked by hand for the company of tests/fixtures.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from warehouse.items import DERIVED, DERIVED_NAMES, ITEM_NAMES, PREVIOUS, names_in

Category = Literal["liquidity", "solvency", "profitability", "efficiency", "activity"]


@dataclass(frozen=True)
class Ratio:
    """A ratio of two arithmetic expressions over items: Python and SQL at once.

    It is NULL where an item is missing or the denominator is zero; a negative denominator stays.
    """

    code: str
    name: str
    category: Category
    numerator: str
    denominator: str
    printed: str
    references: str
    example: float


# fmt: off
RATIOS: tuple[Ratio, ...] = (
    Ratio(
        "X1", "current ratio", "liquidity",
        "current_assets",
        "current_liabilities",
        "Current Assets/Current Liabilities",
        "9-11,13,16,18,22; Polish; Taiwanese", 1.05,
    ),
    Ratio(
        "X2", "quick ratio (current assets less inventories)", "liquidity",
        "current_assets - inventories",
        "current_liabilities",
        "(Current Assets - Inventories)/Current Liabilities",
        "13,16,22; Taiwanese", 0.7,
    ),
    Ratio(
        "X3", "cash ratio", "liquidity",
        "cash",
        "current_liabilities",
        "Cash and Cash Equivalents/Current Liabilities",
        "11,13", 0.0625,
    ),
    Ratio(
        "X4", "liabilities to equity", "solvency",
        "total_liabilities",
        "total_equity",
        "Total Liabilities/Total Equity",
        "11,13", 2.125,
    ),
    Ratio(
        "X5", "share of liabilities due within a year", "solvency",
        "current_liabilities",
        "total_liabilities",
        "Current Liabilities/Total Liabilities",
        "13", 0.588235294118,
    ),
    Ratio(
        "X6", "share capital to fixed assets", "solvency",
        "equity_share_capital",
        "fixed_assets",
        "Equity Share Capital/Fixed Assets",
        "13; Polish", 0.111111111111,
    ),
    Ratio(
        "X7", "net sales to average assets", "efficiency",
        "net_sales",
        "(total_assets + prev_total_assets) / 2",
        "Net Sales/Average Total Assets",
        "13,16", 0.8,
    ),
    Ratio(
        "X8", "net sales to average current assets", "efficiency",
        "net_sales",
        "(current_assets + prev_current_assets) / 2",
        "Net Sales/Average Current Assets",
        "13", 1.9,
    ),
    Ratio(
        "X9", "gross margin", "profitability",
        "gross_profit",
        "net_sales",
        "Gross Profit/Net Sales",
        "11,13,16,22", 0.526315789474,
    ),
    Ratio(
        "X10", "operating margin", "profitability",
        "operating_profit",
        "net_sales",
        "Operating Profit/Net Sales",
        "13; Polish", 0.197368421053,
    ),
    Ratio(
        "X11", "net margin", "profitability",
        "net_profit",
        "net_sales",
        "Net Profit/Net Sales",
        "9,10,13; Polish", 0.063157894737,
    ),
    Ratio(
        "X12", "return on assets", "profitability",
        "net_profit",
        "total_assets",
        "Net Profit/Total Assets",
        "10,11,13,22; Polish", 0.048,
    ),
    Ratio(
        "X13", "debt to assets", "solvency",
        "total_debt",
        "total_assets",
        "Total Debt/Total Assets",
        "9-11,13,22", 0.3,
    ),
    Ratio(
        "X14", "working capital to assets", "liquidity",
        "working_capital",
        "total_assets",
        "Working Capital/Total Assets",
        "4,9,10,13,16,22; Polish", 0.02,
    ),
    Ratio(
        "X15", "asset turnover", "efficiency",
        "sales",
        "total_assets",
        "Sales/Total Assets",
        "4,9,10", 0.8,
    ),
    Ratio(
        "X16", "growth of assets", "activity",
        "total_assets - prev_total_assets",
        "prev_total_assets",
        "(Total Assets - Total Assets Previous Year)/Total Assets Previous Year",
        "4", 0.111111111111,
    ),
    Ratio(
        "X17", "net profit margin", "profitability",
        "net_profit",
        "net_sales",
        "Net Profit/Net Sales",
        "16", 0.063157894737,
    ),
    Ratio(
        "X18", "cash and short-term investments to assets", "liquidity",
        "cash + current_investments",
        "total_assets",
        "Cash & Short Term Investment/Total Assets",
        "9,10", 0.04,
    ),
    Ratio(
        "X19", "cash and short-term investments to share capital and liabilities", "liquidity",
        "cash + current_investments",
        "equity_share_capital + total_liabilities",
        "Cash & Short Term Investment/(Equity Share Capital + Total Liability)",
        "9,10", 0.054794520548,
    ),
    Ratio(
        "X20", "cash to assets", "liquidity",
        "cash",
        "total_assets",
        "Cash/Total Assets",
        "9,10", 0.025,
    ),
    Ratio(
        "X21", "cash to current liabilities", "liquidity",
        "cash",
        "current_liabilities",
        "Cash/Current Liabilities",
        "9,10", 0.0625,
    ),
    Ratio(
        "X22", "growth of inventories", "activity",
        "inventories - prev_inventories",
        "prev_inventories",
        "(Inventory - Inventory Previous Year)/Inventory Previous Year",
        "9", 0.272727272727,
    ),
    Ratio(
        "X23", "inventories to sales", "activity",
        "inventories",
        "sales",
        "Inventory/Sales",
        "9", 0.175,
    ),
    Ratio(
        "X24", "current liabilities less cash to assets", "solvency",
        "current_liabilities - cash",
        "total_assets",
        "(Current Liabilities - Cash)/Total Asset",
        "9,10", 0.375,
    ),
    Ratio(
        "X25", "current liabilities to sales", "solvency",
        "current_liabilities",
        "sales",
        "Current Liabilities/Sales",
        "9,10", 0.5,
    ),
    Ratio(
        "X26", "liabilities to assets", "solvency",
        "total_liabilities",
        "total_assets",
        "Total Liabilities/Total Assets",
        "9,10; Polish", 0.68,
    ),
    Ratio(
        "X27", "liabilities to share capital and liabilities", "solvency",
        "total_liabilities",
        "equity_share_capital + total_liabilities",
        "Total Liabilities/(Equity Share Capital + Total Liabilities)",
        "9,10", 0.931506849315,
    ),
    Ratio(
        "X28", "net income to share capital and liabilities", "profitability",
        "net_profit",
        "equity_share_capital + total_liabilities",
        "Net Income/(Equity Share Capital + Total Liabilities)",
        "9", 0.065753424658,
    ),
    Ratio(
        "X29", "operating income to assets", "profitability",
        "operating_income",
        "total_assets",
        "Operating Income/Total Assets",
        "9,10", 0.095,
    ),
    Ratio(
        "X30", "operating income margin", "profitability",
        "operating_income",
        "sales",
        "Operating Income/Sales",
        "9,10", 0.11875,
    ),
    Ratio(
        "X31", "strict quick ratio", "liquidity",
        "quick_assets",
        "current_liabilities",
        "Quick Assets/Current Liabilities",
        "9,10", 0.4,
    ),
    Ratio(
        "X32", "dividend payout", "profitability",
        "dividends",
        "net_profit",
        "Dividends/Net Income",
        "15", 0.25,
    ),
    Ratio(
        "X33", "return on capital employed", "profitability",
        "ebit",
        "capital_employed",
        "EBIT/Overall Capital Employed",
        "15", 0.185,
    ),
    Ratio(
        "X34", "net cash flow to revenue", "efficiency",
        "net_cash_flow",
        "revenue",
        "Net Cash Flow/Revenue",
        "11", -0.007352941176,
    ),
    Ratio(
        "X35", "operating cash flow to debt", "liquidity",
        "operating_cash_flow",
        "total_debt",
        "Cash Flow from Operations/Total Debt",
        "11,13", 0.24,
    ),
    Ratio(
        "X36", "pre-tax profit to current liabilities", "profitability",
        "profit_before_tax",
        "current_liabilities",
        "EBT/Current Liabilities",
        "13", 0.165,
    ),
    Ratio(
        "X37", "pre-tax return on equity", "profitability",
        "profit_before_tax",
        "total_equity",
        "EBT/Total Equity",
        "13", 0.20625,
    ),
    Ratio(
        "X38", "equity to liabilities", "solvency",
        "total_equity",
        "total_liabilities",
        "Equity/Total Liabilities",
        "13", 0.470588235294,
    ),
    Ratio(
        "X39", "gross profit and depreciation to sales", "profitability",
        "gross_profit + depreciation",
        "sales",
        "(Gross Profit + Depreciation)/Sales",
        "Polish", 0.56875,
    ),
    Ratio(
        "X40", "quick assets to assets", "liquidity",
        "quick_assets",
        "total_assets",
        "Quick Assets/Total Assets",
        "Polish", 0.16,
    ),
    Ratio(
        "X41", "gross profit to assets", "profitability",
        "gross_profit",
        "total_assets",
        "Gross Profit/Total Assets",
        "Polish", 0.4,
    ),
    Ratio(
        "X42", "operating expenses to liabilities", "solvency",
        "operating_expenses",
        "total_liabilities",
        "Operating Expenses/Total Liabilities",
        "Polish", 1.036764705882,
    ),
    Ratio(
        "X43", "quick ratio over short-term liabilities", "liquidity",
        "current_assets - inventories",
        "short_term_liabilities",
        "(Current Assets - Inventory)/Short term Liabilities",
        "Polish", 0.7,
    ),
    Ratio(
        "X44", "current assets to liabilities", "liquidity",
        "current_assets",
        "total_liabilities",
        "Current Assets/Total Liabilities",
        "Polish", 0.617647058824,
    ),
    Ratio(
        "X45", "short-term liabilities to assets", "solvency",
        "short_term_liabilities",
        "total_assets",
        "Short Term Liabilities/Total Assets",
        "Polish", 0.4,
    ),
    Ratio(
        "X46", "quick funds less short-term liabilities to cash costs", "liquidity",
        "current_assets - inventories - short_term_liabilities",
        "sales - gross_profit - depreciation",
        "(Current Assets - Inventory - Short Term Liabilities)/(Sales - Gross Profit - Depreciation)",
        "Polish", -0.347826086957,
    ),
    Ratio(
        "X47", "net profit and depreciation to liabilities", "solvency",
        "net_profit + depreciation",
        "total_liabilities",
        "(Net Profit + Depreciation)/Total Liabilities",
        "Polish", 0.151470588235,
    ),
    Ratio(
        "X48", "working capital to fixed assets", "liquidity",
        "working_capital",
        "fixed_assets",
        "Working Capital/Fixed Assets",
        "Polish", 0.044444444444,
    ),
    Ratio(
        "X49", "liabilities less cash to sales", "solvency",
        "total_liabilities - cash",
        "sales",
        "(Total Liabilities - Cash)/Sales",
        "Polish", 0.81875,
    ),
    Ratio(
        "X50", "long-term liabilities to equity", "solvency",
        "non_current_liabilities",
        "total_equity",
        "Long Term Liability/Equity Capital",
        "Polish", 0.875,
    ),
    Ratio(
        "X51", "current assets to assets", "liquidity",
        "current_assets",
        "total_assets",
        "Current Assets/Total Assets",
        "Taiwanese", 0.42,
    ),
    Ratio(
        "X52", "current liabilities to assets", "solvency",
        "current_liabilities",
        "total_assets",
        "Current Liabilities/Assets",
        "Taiwanese", 0.4,
    ),
    Ratio(
        "X53", "inventories to working capital", "activity",
        "inventories",
        "working_capital",
        "Inventory/Working Capital",
        "Taiwanese", 7.0,
    ),
    Ratio(
        "X54", "inventories to current liabilities", "activity",
        "inventories",
        "current_liabilities",
        "Inventory/Current Liability",
        "Taiwanese", 0.35,
    ),
    Ratio(
        "X55", "current share of liabilities", "solvency",
        "current_liabilities",
        "total_liabilities",
        "Current Liabilities/Total Liability",
        "Taiwanese", 0.588235294118,
    ),
    Ratio(
        "X56", "working capital to share capital", "liquidity",
        "working_capital",
        "equity_share_capital",
        "Working Capital/Equity Share Capital",
        "Taiwanese", 0.4,
    ),
    Ratio(
        "X57", "current liabilities to share capital", "liquidity",
        "current_liabilities",
        "equity_share_capital",
        "Current Liabilities/Equity Share Capital",
        "Taiwanese", 8.0,
    ),
    Ratio(
        "X58", "long-term liabilities to current assets", "solvency",
        "non_current_liabilities",
        "current_assets",
        "Long Term Liability/Current Assets",
        "Taiwanese", 0.666666666667,
    ),
    Ratio(
        "X59", "total income to total expenses", "efficiency",
        "revenue",
        "total_expenses",
        "Total Income/Total Expense",
        "Taiwanese", 1.088,
    ),
    Ratio(
        "X60", "total expenses to assets", "efficiency",
        "total_expenses",
        "total_assets",
        "Total Expense/Assets",
        "Taiwanese", 0.75,
    ),
    Ratio(
        "X61", "net sales to quick assets", "efficiency",
        "net_sales",
        "quick_assets",
        "Net Sales/Quick Assets",
        "Taiwanese", 4.75,
    ),
    Ratio(
        "X62", "sales to working capital", "efficiency",
        "sales",
        "working_capital",
        "Sales/Working Capital",
        "Taiwanese", 40.0,
    ),
)
# fmt: on

# What an expression may name.
KNOWN: frozenset[str] = ITEM_NAMES | DERIVED_NAMES | {f"prev_{name}" for name in PREVIOUS}


@cache
def inputs(ratio: Ratio) -> tuple[str, ...]:
    """Items that a ratio needs, numerator first, each once."""
    both = names_in(ratio.numerator, KNOWN) + names_in(ratio.denominator, KNOWN)
    return tuple(dict.fromkeys(both))


def ratios_sql(source: str) -> str:
    """Query with every column of `source` (as the view `statements`) and X1 to X62.

    It adds `n_missing`, the count of NULL ratios, and `n_negative_denominators`.
    """
    values = ",\n    ".join(_value_sql(ratio) for ratio in RATIOS)
    missing = " + ".join(f"CAST({r.code} IS NULL AS INTEGER)" for r in RATIOS)
    negative = " + ".join(
        f"CAST(coalesce({r.code} IS NOT NULL AND ({r.denominator}) < 0, false) AS INTEGER)"
        for r in RATIOS
    )
    return (
        f"SELECT *,\n    {values},\n    {missing} AS n_missing,\n"
        f"    {negative} AS n_negative_denominators\nFROM {source}"
    )


def _value_sql(ratio: Ratio) -> str:
    return finite_sql(_quotient(ratio), ratio.code)


def _quotient(ratio: Ratio) -> str:
    return f"({ratio.numerator}) / nullif({ratio.denominator}, 0)"


def finite_sql(value: str, name: str) -> str:
    """The one null rule for all computed features: NULL where the value is NULL or not finite."""
    return f"CASE WHEN isfinite({value}) THEN {value} END AS {name}"


def reasons_sql(source: str) -> str:
    """Query with one row per NULL ratio: company_id, fiscal_year, code, reason.

    The reason names the first missing item, a reported one where a derived item lacks a part, or
    says that the denominator is zero.
    """
    return long_reasons_sql([_reason_sql(ratio) for ratio in RATIOS], source)


def _reason_sql(ratio: Ratio) -> str:
    zero = f"WHEN ({ratio.denominator}) = 0 THEN 'zero denominator'"
    return why_null_sql(inputs(ratio), zero, _quotient(ratio), ratio.code)


def why_null_sql(items: Iterable[str], faults: str, value: str, name: str) -> str:
    """Why a value made of `items` is NULL: NULL where it is not.

    `faults` are the WHENs of what else may be wrong than a missing item and an overflow.
    """
    missing = " ".join(_missing_sql(item) for item in items)
    return f"CASE {missing} {faults} WHEN NOT isfinite({value}) THEN 'overflow' END AS {name}"


def long_reasons_sql(reasons: Iterable[str], source: str) -> str:
    """Query with one row per reason that is not NULL: company_id, fiscal_year, code, reason."""
    columns = ",\n    ".join(reasons)
    return (
        "SELECT company_id, fiscal_year, code, reason FROM (UNPIVOT (\n"
        f"SELECT company_id, fiscal_year,\n    {columns}\nFROM {source}\n)"
        " ON COLUMNS(* EXCLUDE (company_id, fiscal_year)) INTO NAME code VALUE reason)"
    )


def _missing_sql(name: str) -> str:
    parts = [part for part in reported_parts(name) if part != name]
    cases = [f"WHEN {name} IS NULL AND {part} IS NULL THEN 'missing {part}'" for part in parts]
    return " ".join([*cases, f"WHEN {name} IS NULL THEN 'missing {name}'"])


@cache
def reported_parts(name: str) -> tuple[str, ...]:
    """Reported items that an item cannot do without: itself, or the parts of a derived one."""
    derived = next((d for d in DERIVED if d.name == name), None)
    if derived is None:
        return (name,)
    needed = [part for part in names_in(derived.definition, KNOWN) if part not in derived.optional]
    return tuple(dict.fromkeys(leaf for part in needed for leaf in reported_parts(part)))


for _ratio in RATIOS:
    inputs(_ratio)
