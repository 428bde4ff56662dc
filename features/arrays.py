"""Ratios and published scores of a few company-years, from the tables that also make the panel.

`features.ratios.ratios_sql` computes the panel: one query over any number of rows, which DuckDB
plans for a fifth of a second. To score one company that is too long, so the same expressions are
worked out here with NumPy. A test proves both equal, values and reasons.

NaN stands for NULL. As in SQL, nothing comes of NULL, of a division by zero or of an overflow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import repeat

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.ratios import RATIOS, Ratio, inputs, reported_parts
from features.scores import SCORES, Score, logarithms, score_inputs
from warehouse.expressions import Column, Columns, evaluate, not_zero


@dataclass(frozen=True)
class Gap:
    """A feature of a row that could not be computed, and why."""

    row: int
    code: str
    reason: str


@cache
def _items() -> tuple[str, ...]:
    """All that ratios and scores, and the reasons for gaps in them, are worked out from."""
    names = {name for ratio in RATIOS for name in inputs(ratio)}
    names |= {name for score in SCORES for name in score_inputs(score)}
    return tuple(sorted(names | {part for name in names for part in reported_parts(name)}))


def item_columns(years: pd.DataFrame) -> dict[str, Column]:
    """The items of rows of the view `statements`, NaN where NULL."""
    values = years[list(_items())].to_numpy(dtype=np.float64, na_value=np.nan)
    return dict(zip(_items(), np.ascontiguousarray(values.T), strict=True))


def _finite(values: Column, rows: int) -> Column:
    return np.broadcast_to(np.where(np.isfinite(values), values, np.nan), (rows,))


def _quotient(ratio: Ratio, columns: Columns) -> Column:
    return evaluate(ratio.numerator, columns) / not_zero(evaluate(ratio.denominator, columns))


def _score(score: Score, columns: Columns) -> Column:
    total = np.asarray(score.constant, dtype=np.float64)
    for term in score.terms:
        share = evaluate(term.numerator, columns) / not_zero(evaluate(term.denominator, columns))
        total = total + term.coefficient * share
    return total


def ratios(columns: Columns, rows: int) -> pd.DataFrame:
    """X1 to X62, NaN where they cannot be computed."""
    with np.errstate(all="ignore"):
        found = {r.code: _finite(_quotient(r, columns), rows) for r in RATIOS}
    return pd.DataFrame(np.column_stack(list(found.values())), columns=list(found))


def scores(columns: Columns, rows: int) -> pd.DataFrame:
    """The published scores, NaN where they cannot be computed."""
    with np.errstate(all="ignore"):
        return pd.DataFrame({s.code: _finite(_score(s, columns), rows) for s in SCORES})


def ratio_gaps(values: pd.DataFrame, columns: Columns) -> Iterator[Gap]:
    """Why ratios are NaN, as `features.ratios.reasons_sql` says it."""
    for ratio, rows in zip(RATIOS, _absent(values), strict=True):
        faults = ((ratio.denominator, "zero denominator"),)
        yield from _gaps(ratio.code, rows, inputs(ratio), faults, (), columns)


def score_gaps(values: pd.DataFrame, columns: Columns) -> Iterator[Gap]:
    """Why scores are NaN, as `features.scores.score_reasons_sql` says it."""
    for score, rows in zip(SCORES, _absent(values), strict=True):
        faults = tuple((term.denominator, "zero denominator") for term in score.terms)
        yield from _gaps(score.code, rows, score_inputs(score), faults, logarithms(score), columns)


Rows = NDArray[np.intp]


def _absent(values: pd.DataFrame) -> list[Rows]:
    """The rows of each column that are NaN."""
    absent = np.isnan(values.to_numpy())
    return [np.flatnonzero(column) for column in absent.T]


def _gaps(
    code: str,
    rows: Rows,
    items: Iterable[str],
    faults: tuple[tuple[str, str], ...],
    positive: tuple[str, ...],
    columns: Columns,
) -> Iterator[Gap]:
    """For each row the first item that is missing, else what is wrong with the values."""
    reasons, untold = np.full(len(rows), "overflow", dtype=object), np.ones(len(rows), dtype=bool)

    def tell(where: NDArray[np.bool_], reason: str) -> None:
        first = where & untold
        reasons[first] = reason
        untold[first] = False

    own: dict[str, Column] = {}
    for item in items:
        own[item] = columns[item][rows]
        absent = np.isnan(own[item])
        if absent.any():
            for part in reported_parts(item):
                tell(absent & np.isnan(columns[part][rows]), f"missing {part}")
            tell(absent, f"missing {item}")
    if untold.any():
        with np.errstate(all="ignore"):
            for expression, reason in faults:
                tell(evaluate(expression, own) == 0, reason)
        for item in positive:
            tell(own[item] <= 0, f"logarithm of {item} not above zero")
    yield from map(Gap, rows.tolist(), repeat(code), reasons.tolist())
