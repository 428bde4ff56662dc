"""Canonical line items, derived items and units: the vocabulary of the warehouse.

Every amount inside the warehouse is in INR crore (1 crore = 10,000,000 rupees).
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeGuard

Statement = Literal["balance_sheet", "profit_loss", "cash_flow"]


@dataclass(frozen=True)
class Item:
    """A line of a financial statement, in INR crore."""

    name: str
    statement: Statement
    description: str
    may_be_negative: bool = False


@dataclass(frozen=True)
class Derived:
    """An item that follows from others; what a file states is used where the parts do not give it.

    `optional` names the parts that count 0 when they are not reported. If every part is optional,
    at least one must be reported.
    """

    name: str
    definition: str
    description: str
    optional: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unit:
    """A unit of amounts; a value divided by `per_crore` is in INR crore."""

    name: str
    per_crore: float


ITEMS: tuple[Item, ...] = (
    Item("equity_share_capital", "balance_sheet", "paid-up equity share capital"),
    Item("reserves_and_surplus", "balance_sheet", "reserves and surplus (other equity)", True),
    Item("shareholders_funds", "balance_sheet", "equity share capital and reserves", True),
    Item("minority_interest", "balance_sheet", "non-controlling interest in subsidiaries", True),
    Item("long_term_borrowings", "balance_sheet", "borrowings due after one year"),
    Item("non_current_liabilities", "balance_sheet", "all liabilities due after one year"),
    Item("short_term_borrowings", "balance_sheet", "borrowings due within one year"),
    Item("trade_payables", "balance_sheet", "owed to suppliers"),
    Item("other_current_liabilities", "balance_sheet", "current liabilities not named otherwise"),
    Item("current_liabilities", "balance_sheet", "all liabilities due within one year"),
    Item("equity_and_liabilities", "balance_sheet", "total of the liabilities side"),
    Item("fixed_assets", "balance_sheet", "tangible and intangible assets after depreciation"),
    Item("capital_work_in_progress", "balance_sheet", "fixed assets under construction"),
    Item("non_current_investments", "balance_sheet", "investments held for over one year"),
    Item("current_investments", "balance_sheet", "investments held for less than one year"),
    Item("inventories", "balance_sheet", "raw materials, work in progress and finished goods"),
    Item("trade_receivables", "balance_sheet", "owed by customers"),
    Item("cash", "balance_sheet", "cash, cash equivalents and bank balances"),
    Item("current_assets", "balance_sheet", "all assets to be realised within one year"),
    Item("total_assets", "balance_sheet", "total of the assets side"),
    Item("net_sales", "profit_loss", "sales after excise and returns"),
    Item("sales", "profit_loss", "revenue from operations"),
    Item("other_income", "profit_loss", "income not from operations", True),
    Item("revenue", "profit_loss", "sales and other income", True),
    Item("cost_of_materials", "profit_loss", "materials consumed"),
    Item("purchases_of_stock", "profit_loss", "goods bought for resale"),
    Item("operating_and_direct_expenses", "profit_loss", "power, freight, direct costs"),
    Item(
        "changes_in_inventories",
        "profit_loss",
        "opening less closing stock of finished goods and work in progress",
        True,
    ),
    Item("employee_benefits", "profit_loss", "salaries, wages and benefits"),
    Item("finance_costs", "profit_loss", "interest and other costs of borrowing"),
    Item("depreciation", "profit_loss", "depreciation and amortisation"),
    Item("other_expenses", "profit_loss", "expenses not named otherwise", True),
    Item("total_expenses", "profit_loss", "all expenses before exceptional items and tax", True),
    Item("exceptional_items", "profit_loss", "exceptional income less expense", True),
    Item("profit_before_tax", "profit_loss", "profit before tax", True),
    Item("tax", "profit_loss", "current and deferred tax", True),
    Item("share_of_associates", "profit_loss", "share of associates' profit, after tax", True),
    Item("discontinued_operations", "profit_loss", "their profit after tax", True),
    Item("net_profit", "profit_loss", "profit for the period, of all owners", True),
    Item("dividends", "profit_loss", "dividends declared for the period"),
    Item("operating_cash_flow", "cash_flow", "net cash from operating activities", True),
    Item("investing_cash_flow", "cash_flow", "net cash from investing activities", True),
    Item("financing_cash_flow", "cash_flow", "net cash from financing activities", True),
    Item("net_cash_flow", "cash_flow", "change in cash and cash equivalents", True),
)

_COGS_PARTS = (
    "cost_of_materials",
    "purchases_of_stock",
    "operating_and_direct_expenses",
    "changes_in_inventories",
)

# In dependency order: a derived item may use those above it.
DERIVED: tuple[Derived, ...] = (
    Derived(
        "total_liabilities",
        "non_current_liabilities + current_liabilities",
        "owed to others; excludes equity and minority interest",
    ),
    Derived(
        "total_equity",
        "shareholders_funds + minority_interest",
        "equity of all owners",
        optional=("minority_interest",),
    ),
    Derived(
        "total_debt",
        "long_term_borrowings + short_term_borrowings",
        "interest-bearing debt",
        optional=("long_term_borrowings", "short_term_borrowings"),
    ),
    Derived("working_capital", "current_assets - current_liabilities", "net current assets"),
    Derived(
        "quick_assets",
        "cash + current_investments + trade_receivables",
        "strict quick assets: excludes every other current asset",
        optional=("current_investments", "trade_receivables"),
    ),
    Derived(
        "short_term_liabilities",
        "current_liabilities",
        "the Polish data set's short-term liabilities",
    ),
    Derived(
        "cost_of_goods_sold",
        " + ".join(_COGS_PARTS),
        "direct cost of what was sold",
        optional=_COGS_PARTS,
    ),
    Derived("gross_profit", "sales - cost_of_goods_sold", "sales less direct cost"),
    Derived(
        "operating_profit",
        "sales - cost_of_goods_sold - employee_benefits - other_expenses",
        "before depreciation, finance costs and other income (PBDIT excluding other income)",
    ),
    Derived("operating_income", "operating_profit - depreciation", "operating profit after wear"),
    Derived("operating_expenses", "total_expenses - finance_costs", "all but finance costs"),
    Derived("ebit", "profit_before_tax + finance_costs", "earnings before interest and tax"),
    Derived("capital_employed", "total_assets - current_liabilities", "long-term capital in use"),
)

# Items of the period before that ratios, scores and labels need, as prev_<name>.
PREVIOUS: tuple[str, ...] = (
    "total_assets", "current_assets", "inventories", "net_profit", "ebit", "finance_costs",
)  # fmt: skip

UNITS: tuple[Unit, ...] = (
    Unit("INR", 1e7),
    Unit("INR thousand", 1e4),
    Unit("INR lakh", 1e2),
    Unit("INR million", 1e1),
    Unit("INR crore", 1.0),
)

ITEM_NAMES: frozenset[str] = frozenset(item.name for item in ITEMS)
DERIVED_NAMES: frozenset[str] = frozenset(derived.name for derived in DERIVED)
KNOWN_NAMES: frozenset[str] = ITEM_NAMES | DERIVED_NAMES

_ARITHMETIC = (
    ast.Expression,
    ast.BinOp,
    ast.UnaryOp,
    ast.Name,
    ast.Load,
    ast.Constant,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.USub,
)


@cache
def names_in(
    expression: str, known: frozenset[str], functions: frozenset[str] = frozenset()
) -> tuple[str, ...]:
    """Names used by an arithmetic expression, in order of appearance.

    The expression is Python and SQL at once: names, numbers, + - * / and parentheses only, and
    calls of `functions` with one argument.

    Raises:
        ValueError: anything else stands in the expression, or a name is not in `known`.
    """
    if "--" in expression or "#" in expression:
        raise ValueError(f"{expression!r}: SQL or Python would read a comment")
    tree = ast.parse(expression, mode="eval")
    called = [node.func for node in ast.walk(tree) if _is_call_of(node, functions)]
    for node in ast.walk(tree):
        if not (isinstance(node, _ARITHMETIC) or _is_call_of(node, functions)):
            raise ValueError(f"{expression!r}: {type(node).__name__} is not plain arithmetic")
        if isinstance(node, ast.Constant) and type(node.value) not in (int, float):
            raise ValueError(f"{expression!r}: {node.value!r} is not a number")
    found = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n not in called]
    names = {node.id for node in found}
    unknown = sorted(names - known)
    if unknown:
        raise ValueError(f"{expression!r}: unknown item {unknown[0]!r}")
    return tuple(sorted(names, key=expression.find))


def _is_call_of(node: ast.AST, functions: frozenset[str]) -> TypeGuard[ast.Call]:
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in functions
        and len(node.args) == 1
        and not node.keywords
    )


def sum_sql(expression: str, optional: tuple[str, ...] = ()) -> str:
    """SQL of an expression of items: NULL where one that it needs is missing.

    Those in `optional` count 0 then; an expression of nothing but these needs one of them.
    """
    names = names_in(expression, KNOWN_NAMES)
    sql = " ".join(
        f"coalesce({word}, 0)" if word in optional else word for word in expression.split()
    )
    if set(names) <= set(optional):
        return f"CASE WHEN coalesce({', '.join(names)}) IS NOT NULL THEN {sql} END"
    return sql


def item_columns_sql() -> str:
    """One column per item, and `stated_<name>` per derived item, out of lists of a year's cells.

    Looking 60 names up in lists takes a third of the time of 60 filtered aggregates.
    """
    plain = [f"figures[list_position(items, '{i.name}')] AS {i.name}" for i in ITEMS]
    stated = [f"figures[list_position(items, '{d.name}')] AS stated_{d.name}" for d in DERIVED]
    return ",\n    ".join(plain + stated)


def derived_columns_sql() -> str:
    """Every derived item: from its parts, else as the file states it."""
    return ",\n    ".join(
        f"coalesce({sum_sql(d.definition, d.optional)}, stated_{d.name}) AS {d.name}"
        for d in DERIVED
    )


def item_statements_sql() -> str:
    """Pairs of an item and its statement; derived items, which few documents state, are one."""
    pairs = [(i.name, i.statement) for i in ITEMS] + [(d.name, "derived") for d in DERIVED]
    return ", ".join(f"('{item}', '{statement}')" for item, statement in pairs)


def previous_columns_sql() -> str:
    """`prev_<item>`: of the period that ends where this one begins, by the window `before`."""
    return ",\n    ".join(f"last_value({name}) OVER before AS prev_{name}" for name in PREVIOUS)


def stated_and_parts_sql() -> str:
    """Long comparison of each derived item that a file states with what its parts give."""
    # A part that is itself derived is taken from `checked`, which already resolved it.
    return "\nUNION ALL\n".join(
        f"SELECT company_id, fiscal_year_end, basis, '{d.name}' AS item, whole_crores,"
        f" stated_{d.name} AS stated, {sum_sql(d.definition, d.optional)} AS parts FROM checked"
        f" WHERE stated_{d.name} IS NOT NULL"
        for d in DERIVED
    )


for _derived in DERIVED:
    names_in(_derived.definition, KNOWN_NAMES)
