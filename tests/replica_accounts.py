"""Accounts of the replica's made-up companies: the demo universe (simulated), moved two years on.

Moved, so that the newest fiscal year that can be seen is 2025 and one more lies ready for growth.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    import pandas as pd

Kind = Literal["company", "bank", "nbfc"]
Items = Mapping[str, float]

MOVED_ON: Final = 2
EXPENSES: Final = (
    "cost_of_materials", "purchases_of_stock", "operating_and_direct_expenses",
    "changes_in_inventories", "employee_benefits", "finance_costs", "depreciation",
    "other_expenses",
)  # fmt: skip
_SIDE: Final = (
    "shareholders_funds", "minority_interest", "non_current_liabilities", "current_liabilities",
)  # fmt: skip
# A total -> its parts. Where the accounts show no detail, the total stands alone.
_SUMS: Final = {
    "shareholders_funds": ("equity_share_capital", "reserves_and_surplus"),
    "current_liabilities": (
        "short_term_borrowings", "trade_payables", "other_current_liabilities",
    ),
    "revenue": ("sales", "other_income"),
    "total_expenses": EXPENSES,
}  # fmt: skip
_SPENT: Final = (  # by a lender
    "interest_expended", "employee_benefits", "depreciation", "other_expenses", "provisions",
)  # fmt: skip
_MAY_LACK: Final = frozenset(_SUMS["total_expenses"][1:4])  # lines that a company may not have


@dataclass(frozen=True)
class Year:
    """A fiscal year's accounts on one basis. Items are INR crore; one that is missing is unknown.

    `filed` is the day on which the annual result went to the exchanges.
    """

    end: date
    months: int
    items: Items
    filed: date


def later(day: date) -> date:
    """A day of the demo universe in the replica's time."""
    try:
        return day.replace(year=day.year + MOVED_ON)
    except ValueError:  # 29 February
        return day.replace(year=day.year + MOVED_ON, day=28)


def demo_years(statements: pd.DataFrame) -> dict[str, tuple[Year, ...]]:
    """Accounts of each simulated company, oldest first."""
    keys = ["company_id", "fiscal_year_end", "basis", "months", "filed_at"]
    names = [name for name in statements.columns if name not in keys]
    found: dict[str, list[Year]] = {}
    heads = statements[keys].itertuples(index=False)
    values = statements[names].to_numpy(dtype=float)
    for (company, end, _, months, filed), row in zip(heads, values, strict=True):
        items = {k: float(v) for k, v in zip(names, row, strict=True) if v == v}
        year = Year(later(end.date()), int(months), items, later(filed.date()))
        found.setdefault(company, []).append(year)
    return {company: tuple(sorted(y, key=lambda x: x.end)) for company, y in found.items()}


def tied(items: Items) -> dict[str, float]:
    """The same accounts rounded to INR lakh, with their totals added up anew from the parts."""
    new = {name: round(value, 2) for name, value in items.items()}
    for total, known in _SUMS.items():
        lends = total == "total_expenses" and "interest_expended" in new
        parts = _SPENT if lends else known
        if total in new and all(part in new or part in _MAY_LACK for part in parts):
            new[total] = round(sum(new.get(part, 0.0) for part in parts), 2)
    if "profit_before_tax" in new:
        before = new["revenue"] - new["total_expenses"] + new["exceptional_items"]
        new["profit_before_tax"] = round(before, 2)
        new["net_profit"] = round(before - new["tax"], 2)
    if "total_assets" in new and "current_liabilities" in new:
        new["total_assets"] = round(sum(new.get(part, 0.0) for part in _SIDE), 2)
        new["equity_and_liabilities"] = new["total_assets"]
    if "net_cash_flow" in new:
        other = new["operating_cash_flow"] + new["investing_cash_flow"]
        new["financing_cash_flow"] = round(new["net_cash_flow"] - other, 2)
    return new


def scaled(year: Year, share: float) -> Year:
    """The accounts at `share` of their size: of a parent alone, or of part of a year."""
    return replace(year, items=tied({name: share * value for name, value in year.items.items()}))


def parent(year: Year) -> Year:
    """Standalone accounts behind consolidated ones: smaller, and without outside owners."""
    own = dict(year.items)
    outside = own.pop("minority_interest", 0.0)
    for name in ("reserves_and_surplus", "shareholders_funds"):
        if name in own:
            own[name] += outside
    return scaled(replace(year, items=own), 0.85)


_LENDER: Final = {  # item -> share of total assets
    "equity_share_capital": 0.008, "deposits": 0.78, "borrowings": 0.08, "other_liabilities": 0.04,
    "cash": 0.06, "bank_balances": 0.03, "investments": 0.24, "fixed_assets": 0.01,
    "other_assets": 0.05, "interest_earned": 0.075, "other_income": 0.011,
    "interest_expended": 0.041, "employee_benefits": 0.010, "depreciation": 0.001,
    "other_expenses": 0.012, "provisions": 0.009, "tax": 0.0035, "operating_cash_flow": 0.02,
    "investing_cash_flow": -0.012, "net_cash_flow": 0.005, "dividends": 0.001,
}  # fmt: skip
_NBFC: Final = {"deposits": 0.05, "borrowings": 0.70, "investments": 0.08}
_HELD: Final = ("cash", "bank_balances", "investments", "fixed_assets", "other_assets")


def lender_years(number: int, kind: Kind) -> tuple[Year, ...]:
    """Accounts of a made-up bank or NBFC, fiscal years 2016 to 2026; they grow steadily."""
    years = []
    for year in range(2016, 2027):
        size = (40_000 if kind == "bank" else 9_000) * (1 + number % 5 / 10) * 1.11 ** (year - 2016)
        end = date(year, 3, 31)
        years.append(Year(end, 12, _lender(kind, size), end + timedelta(days=40 + number % 9)))
    return tuple(years)


def _lender(kind: Kind, size: float) -> dict[str, float]:
    shares = _LENDER | (_NBFC if kind == "nbfc" else {})
    items = {name: round(share * size, 2) for name, share in shares.items()}
    items["total_assets"] = items["equity_and_liabilities"] = round(size, 2)
    owed = items["deposits"] + items["borrowings"] + items["other_liabilities"]
    items["shareholders_funds"] = items["total_assets"] - owed
    items["reserves_and_surplus"] = items["shareholders_funds"] - items["equity_share_capital"]
    items["advances"] = items["total_assets"] - sum(items[name] for name in _HELD)
    items["sales"], items["finance_costs"] = items["interest_earned"], items["interest_expended"]
    items["revenue"] = items["sales"] + items["other_income"]
    items["total_expenses"] = sum(items[name] for name in _SPENT)
    items["exceptional_items"] = 0.0
    items["profit_before_tax"] = items["revenue"] - items["total_expenses"]
    items["net_profit"] = items["profit_before_tax"] - items["tax"]
    flows = items["operating_cash_flow"] + items["investing_cash_flow"]
    items["financing_cash_flow"] = items["net_cash_flow"] - flows
    return {name: round(value, 2) for name, value in items.items()}
