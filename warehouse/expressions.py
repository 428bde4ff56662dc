"""The arithmetic of the tables over NumPy columns: what their SQL says, without a database.

Items, ratios, scores and checks are declared as expressions (`warehouse.items.names_in` says what
may stand in one), from which the warehouse's SQL is made. For a few rows DuckDB takes longer to
plan that SQL than all else together, so the same expressions can be worked out here.

NaN stands for NULL. As in SQL, nothing comes of NULL or of a division by zero.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
from numpy.typing import NDArray

from warehouse.items import KNOWN_NAMES, names_in

Column = NDArray[np.float64]
Columns = Mapping[str, Column]

_BINARY: dict[type[ast.operator], Callable[[Column, Column], Column]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: lambda a, b: a / not_zero(b),
}
_FUNCTIONS: dict[str, Callable[[Column], Column]] = {
    "abs": np.abs,
    "ln": lambda x: np.log(np.where(x > 0, x, np.nan)),
    "sign": np.sign,
}


@cache
def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def not_zero(values: Column) -> Column:
    """The values, NaN for zero."""
    return np.where(values == 0, np.nan, values)


def evaluate(expression: str, columns: Columns) -> Column:
    """An expression of the tables over columns."""
    return _value(_parsed(expression), columns)


def summed(expression: str, optional: tuple[str, ...], columns: Columns) -> Column:
    """As `warehouse.items.sum_sql`: items in `optional` may be missing."""
    if not optional:
        return evaluate(expression, columns)
    names = names_in(expression, KNOWN_NAMES)
    filled = {n: np.nan_to_num(columns[n]) if n in optional else columns[n] for n in names}
    total = evaluate(expression, filled)
    if set(names) <= set(optional):
        none = np.all([np.isnan(columns[name]) for name in names], axis=0)
        return np.where(none, np.nan, total)
    return total


def _value(node: ast.expr, columns: Columns) -> Column:
    match node:
        case ast.Name(id=name):
            return columns[name]
        case ast.Constant(value=int() | float() as number):
            return np.asarray(number, dtype=np.float64)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, columns)
        case ast.BinOp(left=left, op=operator, right=right):
            return _BINARY[type(operator)](_value(left, columns), _value(right, columns))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return _FUNCTIONS[name](_value(argument, columns))
    raise ValueError(f"{ast.dump(node)} is not plain arithmetic")
