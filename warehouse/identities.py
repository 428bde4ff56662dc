"""Data checks that compare two sums of a year, and by how much sums may differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from warehouse.items import sum_sql

Severity = Literal["error", "warning"]
Relation = Literal["differs", "exceeds"]

# Sums may differ by 1 % of the larger side or by INR 2 lakh; by INR 2.5 crore where most of what
# was reported for the year is in whole crores, because rounding adds up to that.
SHARE, LEAST, LEAST_WHOLE = 0.01, 0.02, 2.5

TOLERANCE_SQL = f"""
CREATE OR REPLACE TEMP MACRO slack(a, b, whole_crores) AS greatest(
    {SHARE} * greatest(abs(a), abs(b)), CASE WHEN whole_crores THEN {LEAST_WHOLE} ELSE {LEAST} END);
CREATE OR REPLACE TEMP MACRO differs(a, b, whole) AS abs(a - b) > slack(a, b, whole);
CREATE OR REPLACE TEMP MACRO exceeds(a, b, whole) AS a - b > slack(a, b, whole);
"""

# Totals of which none jumps a thousandfold from one year to the next.
TOTALS: tuple[str, ...] = (
    "total_assets", "sales", "revenue", "current_assets", "current_liabilities",
)  # fmt: skip
JUMP = 1000


@dataclass(frozen=True)
class Identity:
    """Two sums of a year that must not differ, or of which one must not exceed the other.

    A year without one of the two is not judged. Names in `optional` count 0 where they are missing;
    a sum of nothing but these needs one of them.
    """

    name: str
    severity: Severity
    asserts: str
    actual: str
    expected: str
    relation: Relation = "differs"
    optional: tuple[str, ...] = ()

    @property
    def sql(self) -> str:
        """One row per year of the table `checked` that can be judged."""
        actual, expected = (sum_sql(e, self.optional) for e in (self.actual, self.expected))
        return (
            "SELECT company_id, fiscal_year_end, basis,\n"
            f"    {actual} AS actual,\n    {expected} AS expected,\n"
            f"    {self.relation}(actual, expected, whole_crores) AS failed, '' AS detail\n"
            "FROM checked WHERE actual IS NOT NULL AND expected IS NOT NULL"
        )


IDENTITIES: tuple[Identity, ...] = (
    Identity(
        "balance_sheet",
        "error",
        "total assets = shareholders' funds + minority interest + liabilities",
        "total_assets",
        "total_equity + total_liabilities",
    ),
    Identity(
        "two_sides",
        "error",
        "total assets = equity and liabilities",
        "total_assets",
        "equity_and_liabilities",
    ),
    Identity(
        "shareholders_funds",
        "error",
        "share capital + reserves = shareholders' funds",
        "equity_share_capital + reserves_and_surplus",
        "shareholders_funds",
    ),
    Identity(
        "current_assets",
        "warning",
        "cash, investments, receivables and inventories fit in current assets",
        "cash + current_investments + trade_receivables + inventories",
        "current_assets",
        "exceeds",
        ("cash", "current_investments", "trade_receivables", "inventories"),
    ),
    Identity(
        "current_liabilities",
        "warning",
        "payables, short-term debt and others fit in current liabilities",
        "trade_payables + short_term_borrowings + other_current_liabilities",
        "current_liabilities",
        "exceeds",
        ("trade_payables", "short_term_borrowings", "other_current_liabilities"),
    ),
    Identity(
        "non_current_liabilities",
        "warning",
        "long-term borrowings fit in non-current liabilities",
        "long_term_borrowings",
        "non_current_liabilities",
        "exceeds",
    ),
    Identity(
        "assets",
        "warning",
        "current assets, fixed assets and work in progress fit in total assets",
        "current_assets + fixed_assets + capital_work_in_progress",
        "total_assets",
        "exceeds",
        ("capital_work_in_progress",),
    ),
    Identity(
        "revenue", "error", "sales + other income = revenue", "sales + other_income", "revenue"
    ),
    Identity(
        "expenses",
        "error",
        "the expense lines, where all are given, sum to total expenses",
        "cost_of_goods_sold + employee_benefits + other_expenses + depreciation + finance_costs",
        "total_expenses",
    ),
    Identity(
        "profit_before_tax",
        "error",
        "total expenses - exceptional items + profit before tax = revenue",
        "total_expenses - exceptional_items + profit_before_tax",
        "revenue",
        optional=("exceptional_items",),
    ),
    Identity(
        "profit_after_tax",
        "error",
        "net profit + tax = profit before tax + share of associates + discontinued operations",
        "net_profit + tax",
        "profit_before_tax + share_of_associates + discontinued_operations",
        optional=("share_of_associates", "discontinued_operations"),
    ),
    Identity(
        "cash_flows",
        "error",
        "operating + investing + financing = net cash flow",
        "operating_cash_flow + investing_cash_flow + financing_cash_flow",
        "net_cash_flow",
    ),
)
