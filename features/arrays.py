"""Ratios and published scores of a few company-years, from the tables that also make the panel.

`features.ratios.ratios_sql` computes the panel: one query over any number of rows, which DuckDB
plans for a fifth of a second. To score one company that is too long, so the same expressions are
worked out here with NumPy. A test proves both equal, values and reasons.

NaN stands for NULL. As in SQL, nothing comes of NULL, of a division by zero or of an overflow.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.ratios import RATIOS, Ratio, inputs, reported_parts
from features.scores import SCORES, Score, logarithms, score_inputs

Column = NDArray[np.float64]
Columns = Mapping[str, Column]

_BINARY: dict[type[ast.operator], Callable[[Column, Column], Column]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: lambda a, b: a / _not_zero(b),
}
_FUNCTIONS: dict[str, Callable[[Column], Column]] = {
    "abs": np.abs,
    "ln": lambda x: np.log(np.where(x > 0, x, np.nan)),
    "sign": np.sign,
}


@dataclass(frozen=True)
class Gap:
    """A feature of a row that could not be computed, and why."""

    row: int
    code: str
    reason: str


@cache
def _parsed(expression: str) -> ast.expr:
    return ast.parse(expression, mode="eval").body


def _not_zero(values: Column) -> Column:
    return np.where(values == 0, np.nan, values)


def evaluate(expression: str, columns: Columns) -> Column:
    """An expression of the tables (checked by `warehouse.items.names_in`) over columns."""
    return _value(_parsed(expression), columns)


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


def item_columns(years: pd.DataFrame) -> dict[str, Column]:
    """The items of rows of the view `statements`, NaN where NULL."""
    names = {name for ratio in RATIOS for name in inputs(ratio)}
    names |= {name for score in SCORES for name in score_inputs(score)}
    names |= {part for name in names for part in reported_parts(name)}
    return {name: years[name].to_numpy(dtype=np.float64, na_value=np.nan) for name in names}


def _finite(values: Column, rows: int) -> Column:
    return np.broadcast_to(np.where(np.isfinite(values), values, np.nan), (rows,))


def _quotient(ratio: Ratio, columns: Columns) -> Column:
    return evaluate(ratio.numerator, columns) / _not_zero(evaluate(ratio.denominator, columns))


def _score(score: Score, columns: Columns) -> Column:
    total = np.asarray(score.constant, dtype=np.float64)
    for term in score.terms:
        share = evaluate(term.numerator, columns) / _not_zero(evaluate(term.denominator, columns))
        total = total + term.coefficient * share
    return total


def ratios(columns: Columns, rows: int) -> pd.DataFrame:
    """X1 to X62, NaN where they cannot be computed."""
    with np.errstate(all="ignore"):
        return pd.DataFrame({r.code: _finite(_quotient(r, columns), rows) for r in RATIOS})


def scores(columns: Columns, rows: int) -> pd.DataFrame:
    """The published scores, NaN where they cannot be computed."""
    with np.errstate(all="ignore"):
        return pd.DataFrame({s.code: _finite(_score(s, columns), rows) for s in SCORES})


def ratio_gaps(values: pd.DataFrame, columns: Columns) -> Iterator[Gap]:
    """Why ratios are NaN, as `features.ratios.reasons_sql` says it."""
    for ratio in RATIOS:
        faults = ((ratio.denominator, "zero denominator"),)
        yield from _gaps(ratio.code, inputs(ratio), faults, (), values, columns)


def score_gaps(values: pd.DataFrame, columns: Columns) -> Iterator[Gap]:
    """Why scores are NaN, as `features.scores.score_reasons_sql` says it."""
    for score in SCORES:
        faults = tuple((term.denominator, "zero denominator") for term in score.terms)
        items = score_inputs(score)
        yield from _gaps(score.code, items, faults, logarithms(score), values, columns)


def _gaps(
    code: str,
    items: Iterable[str],
    faults: tuple[tuple[str, str], ...],
    positive: tuple[str, ...],
    values: pd.DataFrame,
    columns: Columns,
) -> Iterator[Gap]:
    absent = np.flatnonzero(values[code].isna().to_numpy())
    for row in absent:
        one = {name: column[row : row + 1] for name, column in columns.items()}
        yield Gap(int(row), code, _reason(items, faults, positive, one))


def _reason(
    items: Iterable[str],
    faults: tuple[tuple[str, str], ...],
    positive: tuple[str, ...],
    one: Columns,
) -> str:
    """The first missing item, else what is wrong with the values."""
    for item in items:
        if np.isnan(one[item][0]):
            parts = [part for part in reported_parts(item) if part != item]
            lacking = next((part for part in parts if np.isnan(one[part][0])), item)
            return f"missing {lacking}"
    with np.errstate(all="ignore"):
        for expression, reason in faults:
            if np.all(evaluate(expression, one) == 0):
                return reason
        for item in positive:
            if one[item][0] <= 0:
                return f"logarithm of {item} not above zero"
    return "overflow"
