"""The page of the published scores, with a company worked through every term."""

from __future__ import annotations

from functools import cache
from typing import Final

import pyarrow as pa

from features import scores
from features.scores import SCORES, Score, Term
from reports.grid import escape
from reports.pieces import code, codes, table
from warehouse import formats, importers, store

# The made-up company worked by hand (INR crore). Its net profit of the year before is added here.
WORKED: Final[dict[str, dict[str, float]]] = {
    "2022-03-31": {"total_assets": 900, "net_profit": 40},
    "2023-03-31": {
        "equity_share_capital": 50, "shareholders_funds": 300, "minority_interest": 20,
        "non_current_liabilities": 280, "current_liabilities": 400, "current_assets": 420,
        "total_assets": 1000, "sales": 800, "finance_costs": 45, "depreciation": 55,
        "profit_before_tax": 66, "tax": 18, "net_profit": 48,
    },
}  # fmt: skip


def body() -> str:
    """The page, without its title."""
    inputs = "; ".join(
        f"to {end}: " + ", ".join(f"{code(item)} {value:,.0f}" for item, value in items.items())
        for end, items in WORKED.items()
    )
    conventions = (scores.__doc__ or "").split("\n\n", 1)[1].strip()
    return f"""Columns of the panel with `--features all`. A score is a constant and a sum of
coefficients times ratios; it is missing where a part of it is.

{conventions}

The worked company is made up. In INR crore, {inputs}. The column "its part" is what a term adds to
its score: the parts are computed by the program's own views, and the sums were worked by hand.

{"".join(_score(score) for score in SCORES)}"""


def _score(score: Score) -> str:
    parts = _parts()[score.code]
    rows = [("constant", "", "", "", f"{score.constant:g}", f"{score.constant:.6f}")]
    rows += [
        (
            *(escape(term.meaning), code(term.numerator), code(term.denominator)),
            *(f"{quotient:.6f}", f"{term.coefficient:g}", f"{term.coefficient * quotient:.6f}"),
        )
        for term, quotient in zip(score.terms, parts, strict=True)
    ]
    rows.append(("**score**", "", "", "", "", f"**{score.example:.6f}**"))
    head = "term|numerator|denominator|its ratio#|coefficient#|its part#"
    return f"""## {score.title}

{code(score.code)}. {_cut_offs(score)} {escape(score.reference)}.

{table(head, rows)}

Needs {codes(scores.score_inputs(score))}. The worked company: {scores.zone(score, score.example)}.

"""


def _cut_offs(score: Score) -> str:
    worse, better = ("below", "above") if score.safer == "above" else ("above", "below")
    if score.distress == score.safe:
        return f"Distressed at {score.distress:g} and {worse}, safe {better}."
    return (
        f"Distressed at {score.distress:g} and {worse}, safe at {score.safe:g} and {better};"
        " between them the grey zone."
    )


@cache
def _parts() -> dict[str, tuple[float, ...]]:
    """The quotient of every term of each score, for the worked company."""
    rows = [
        {"company_id": "worked", "fiscal_year_end": end, "item": item, "value": value}
        for end, items in WORKED.items()
        for item, value in items.items()
    ]
    with store.in_memory() as connection:
        told = pa.Table.from_pylist(rows)
        importers.import_table(connection, formats.STATEMENTS, told, "worked.csv")
        found = {}
        for score in SCORES:
            columns = ", ".join(_quotient(term) for term in score.terms)
            query = f"SELECT {columns} FROM statements WHERE fiscal_year = 2023"
            found[score.code] = tuple(store.one_row(connection, query) or ())
    return found


def _quotient(term: Term) -> str:
    return f"({term.numerator}) / ({term.denominator})"
