"""Published scores of distress as one declared table, and the one query that computes them.

The coefficients and cut-offs are the authors': they were fitted on other companies, in other
countries and decades. Here they are features and yardsticks, not probabilities.

Where Indian statements lack what an author used, another item stands in:

* retained earnings: `shareholders_funds - equity_share_capital`, which is reserves and surplus made
  of two items that the ratios need anyway. It holds share premium too, so it is more than what was
  retained.
* book equity: `total_equity`, with the minority interest.
* Ohlson's size: the natural logarithm of total assets in INR crore without the GNP price-level
  index. Unit and index move all companies of one year by the same amount, so that scores of one
  year can be ranked; the author's cut-off means nothing in this unit.
* Ohlson's funds from operations: profit before tax and depreciation.
* Ohlson's change and losses of two years: of this period and the one that immediately precedes it;
  NULL across a gap.

A dummy that is 1 where x is below zero is written (abs(sign(x)) - sign(x)) / 2, which is NULL where
x is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Literal

from features.ratios import KNOWN, finite_sql, long_reasons_sql, why_null_sql
from warehouse.items import names_in

Zone = Literal["distress", "grey", "safe"]

FUNCTIONS = frozenset({"abs", "ln", "sign"})
_LOGARITHM = re.compile(r"\bln\((\w+)\)")


@dataclass(frozen=True)
class Term:
    """A coefficient times a quotient of two expressions over items: Python and SQL at once.

    `ln` takes one item only; where that is not above zero the term is not finite.
    """

    coefficient: float
    numerator: str
    denominator: str
    meaning: str


@dataclass(frozen=True)
class Score:
    """A constant and a sum of terms; NULL where a term is NULL or not finite.

    Attributes:
        code: name of the column.
        safer: whether companies are safer above or below.
        distress: a company with this score, or on the unsafe side of it, is called distressed.
        safe: one with this, or on the safe side of it, is called safe; between lies the grey zone.
        reference: author, year, title, where it was published, pages.
        example: the value worked by hand for the company of tests/fixtures.
    """

    code: str
    title: str
    constant: float
    terms: tuple[Term, ...]
    safer: Literal["above", "below"]
    distress: float
    safe: float
    reference: str
    example: float


# fmt: off
SCORES: tuple[Score, ...] = (
    Score(
        "altman_z_em", "Altman's Z'' for emerging markets", 3.25,
        (
            Term(6.56, "working_capital", "total_assets", "liquidity"),
            Term(
                3.26, "shareholders_funds - equity_share_capital", "total_assets",
                "retained earnings: profits kept so far",
            ),
            Term(6.72, "ebit", "total_assets", "profitability"),
            Term(1.05, "total_equity", "total_liabilities", "book equity over what is owed"),
        ),
        "above", 4.15, 5.85,
        "E. I. Altman (2005), An emerging market credit scoring system for corporate bonds,"
        " Emerging Markets Review 6(4), 311-323. Safe from a bond rating of BBB, distressed below"
        " B; 4.35, which is the 1.1 of Z'' without the constant, is quoted as well",
        5.436237647059,
    ),
    Score(
        "springate_s", "Springate's S", 0.0,
        (
            Term(1.03, "working_capital", "total_assets", "liquidity"),
            Term(3.07, "ebit", "total_assets", "profitability"),
            Term(
                0.66, "profit_before_tax", "current_liabilities",
                "profit over what is due within a year",
            ),
            Term(0.4, "sales", "total_assets", "turnover"),
        ),
        "above", 0.862, 0.862,
        "G. L. V. Springate (1978), Predicting the possibility of failure in a Canadian firm,"
        " unpublished M.B.A. research project, Simon Fraser University (no pages); printed in E. G."
        " Sands, G. L. V. Springate and T. Var (1983), Predicting business failures, CGA Magazine,"
        " May, 24-27",
        0.79027,
    ),
    Score(
        "zmijewski_x", "Zmijewski's X", -4.336,
        (
            Term(-4.513, "net_profit", "total_assets", "return on assets"),
            Term(5.679, "total_liabilities", "total_assets", "leverage"),
            Term(0.004, "current_assets", "current_liabilities", "liquidity"),
        ),
        "below", 0.0, 0.0,
        "M. E. Zmijewski (1984), Methodological issues related to the estimation of financial"
        " distress prediction models, Journal of Accounting Research 22 (supplement), 59-82:"
        " unweighted probit of 40 bankrupt and 800 other firms, distressed from a probability of a"
        " half. Some later works print the liquidity term with a minus",
        -0.686704,
    ),
    Score(
        "grover_g", "Grover's G", 0.057,
        (
            Term(1.650, "working_capital", "total_assets", "liquidity"),
            Term(3.404, "ebit", "total_assets", "profitability"),
            Term(-0.016, "net_profit", "total_assets", "return on assets"),
        ),
        "above", -0.02, 0.01,
        "J. S. Grover and A. M. Lavin (2001), Financial ratios, discriminant analysis and the"
        " prediction of corporate bankruptcy: a service industry extension of Altman's Z-score"
        " model, working paper, Southern Finance Association annual meeting (no pages)",
        0.467076,
    ),
    Score(
        "ohlson_o", "Ohlson's O, model 1 (failure within a year)", -1.32,
        (
            Term(-0.407, "ln(total_assets)", "1", "size"),
            Term(6.03, "total_liabilities", "total_assets", "leverage"),
            Term(-1.43, "working_capital", "total_assets", "liquidity"),
            Term(0.0757, "current_liabilities", "current_assets", "current ratio upside down"),
            Term(
                -1.72,
                "abs(sign(total_liabilities - total_assets)) + sign(total_liabilities"
                " - total_assets)", "2",
                "1 if more is owed than owned (OENEG)",
            ),
            Term(-2.37, "net_profit", "total_assets", "return on assets"),
            Term(
                -1.83, "profit_before_tax + depreciation", "total_liabilities",
                "funds from operations over what is owed",
            ),
            Term(
                0.285,
                "(abs(sign(net_profit)) - sign(net_profit))"
                " * (abs(sign(prev_net_profit)) - sign(prev_net_profit))", "4",
                "1 if this year and the one before made a loss (INTWO)",
            ),
            Term(
                -0.521, "net_profit - prev_net_profit", "abs(net_profit) + abs(prev_net_profit)",
                "change in net profit, from -1 to 1 (CHIN)",
            ),
        ),
        "below", -3.2314, -3.2314,
        "J. A. Ohlson (1980), Financial ratios and the probabilistic prediction of bankruptcy,"
        " Journal of Accounting Research 18(1), 109-131, table 4. Fewest errors at a probability of"
        " 0.038, whose logit is the cut-off, with size in dollars over a GNP price index of 1968",
        -0.474317149755,
    ),
)
# fmt: on


@cache
def score_inputs(score: Score) -> tuple[str, ...]:
    """Items that a score needs, in order of appearance, each once.

    Raises:
        ValueError: an expression is not arithmetic over items, or has a logarithm of more than one.
    """
    expressions = [text for term in score.terms for text in (term.numerator, term.denominator)]
    for text in expressions:
        if "ln(" in _LOGARITHM.sub("", text):
            raise ValueError(f"{text!r}: a logarithm of anything but one item")
    names = [name for text in expressions for name in names_in(text, KNOWN, FUNCTIONS)]
    return tuple(dict.fromkeys(names))


def logarithms(score: Score) -> tuple[str, ...]:
    """Items whose logarithm a score takes."""
    return tuple(item for term in score.terms for item in _LOGARITHM.findall(term.numerator))


def zone(score: Score, value: float) -> Zone:
    """What the author calls a company with this score."""
    side = 1 if score.safer == "above" else -1
    if side * value <= side * score.distress:
        return "distress"
    return "safe" if side * value >= side * score.safe else "grey"


def scores_sql(source: str) -> str:
    """Query with every column of `source` (as the view `statements`) and one per score."""
    columns = ",\n    ".join(finite_sql(_value_sql(score), score.code) for score in SCORES)
    return f"SELECT *,\n    {columns}\nFROM {source}"


def _value_sql(score: Score) -> str:
    terms = (
        f"{t.coefficient} * (({t.numerator}) / nullif({t.denominator}, 0))" for t in score.terms
    )
    return " + ".join([str(score.constant), *terms])


def score_reasons_sql(source: str) -> str:
    """Query with one row per NULL score: company_id, fiscal_year, code, reason.

    Reasons are those of `features.ratios.reasons_sql`.
    """
    return long_reasons_sql([_reason_sql(score) for score in SCORES], source)


def _reason_sql(score: Score) -> str:
    zero = [f"WHEN ({t.denominator}) = 0 THEN 'zero denominator'" for t in score.terms]
    positive = [
        f"WHEN {item} <= 0 THEN 'logarithm of {item} not above zero'" for item in logarithms(score)
    ]
    faults = " ".join([*zero, *positive])
    return why_null_sql(score_inputs(score), faults, _value_sql(score), score.code)


for _score in SCORES:
    score_inputs(_score)
