"""Why a model says what it says: shares of the risk class's probability, put into words.

What is explained is the probability that a reader sees: of the risk class, calibrated where the
model is. Features are exchanged one by one, from the average training company's value to the row's
own, in a few orders, each there and back; the mean change is the feature's share: SHAP values by
permutation (Lundberg and Lee, "A Unified Approach to Interpreting Model Predictions", 2017), with
the average company as background. For every learner they are in the same unit, and they sum to the
row's probability less that of the average company, exactly. Exact tree SHAP of boosters would be in
log-odds of the balanced model, before calibration, which nobody reads as points.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from features.macro import MACRO
from features.ratios import RATIOS
from features.scores import SCORES
from features.trends import TRENDS
from models.artifact import Model, Prepared
from models.panel import RELATIVE, Floats, Ints

RISKS = {"bankrupt": "probability of bankruptcy", "fails": "probability of failure"}
ORDERS = 4  # in which features are exchanged, each there and back
BATCH = 50_000  # rows that a classifier is asked for at once
LEAST_PEERS = 20  # training rows of a sector that a tenth of it is told by
NAMES: dict[str, str] = (
    {ratio.code: ratio.name for ratio in RATIOS}
    | {series.code: series.name for series in MACRO}
    | {f"{r.code}_{t.suffix}": f"{r.name}, {t.title}" for r in RATIOS for t in TRENDS}
    | {score.code: score.title for score in SCORES}
    | {"company_age": "years since incorporation"}
)


@dataclass(frozen=True)
class Reason:
    """A feature's share in the probability of the risk class.

    Attributes:
        feature: its code, as X1.
        name: its name in words.
        value: as computed, None where it was missing and the training median was taken.
        tenth: in which tenth of the peers' values it lies, 1 the lowest; None where it is missing
            or the model keeps no training rows.
        peers: whose tenths: a sector, None for all training companies.
        median: of the company's sector in the training rows, else of all of them.
        sector: whose median it is; None for that of all companies.
        contribution: share in the probability, from -1 to 1; above 0 it raises it.
        risk: of what, as "probability of bankruptcy".
    """

    feature: str
    name: str
    value: float | None
    tenth: int | None
    peers: str | None
    median: float | None
    sector: str | None
    contribution: float
    risk: str

    def words(self) -> str:
        """The reason as a sentence."""
        way = "raises" if self.contribution > 0 else "lowers"
        size = abs(100 * self.contribution)
        points = f"{size:.1f}".removesuffix(".0") if size >= 0.05 else "less than 0.1"
        return f"{self.name} {self.standing()}; {way} the {self.risk} by {points} points"

    def standing(self) -> str:
        """Its value and where that lies among the peers'."""
        if self.value is None:
            return "missing, taken as the training median"
        tenth = "" if self.tenth is None else f", {_tenth(self.tenth)} of {self.peers or 'all'}"
        return f"{self.value:z,.2f}{tenth}"


def _tenth(tenth: int) -> str:
    if tenth in (1, 10):
        return "lowest tenth" if tenth == 1 else "highest tenth"
    return (
        f"{_ordinal(tenth)} tenth from below"
        if tenth <= 5
        else f"{_ordinal(11 - tenth)} highest tenth"
    )


def _ordinal(number: int) -> str:
    return {2: "2nd", 3: "3rd"}.get(number, f"{number}th")


@dataclass(frozen=True)
class Explanation:
    """A row's probability taken apart: `base`, its reasons and `rest` sum to it.

    Attributes:
        base: probability of the average training company.
        reasons: the largest shares, largest first.
        rest: sum of the shares of all other features.
    """

    base: float
    reasons: tuple[Reason, ...]
    rest: float

    @property
    def probability(self) -> float:
        """Of the risk class."""
        return self.base + sum(reason.contribution for reason in self.reasons) + self.rest


def feature_name(code: str) -> str:
    """Name of a feature in words: its code where it is one of an outside panel."""
    if code.endswith(RELATIVE):
        return f"{feature_name(code.removesuffix(RELATIVE))}, less the sector's median"
    return NAMES.get(code, code)


def risk_class(model: Model) -> int:
    """Position of the class whose probability is the risk: failure, else 1 of 0 and 1, else 0."""
    for name in RISKS:
        if name in model.classes:
            return model.classes.index(name)
    return 1 if model.classes == ("0", "1") else 0


def risk_words(model: Model) -> str:
    """What the reasons raise and lower."""
    name = model.classes[risk_class(model)]
    return RISKS.get(name, f"probability of class {name!r}")


def risk_of(model: Model, prepared: Floats) -> Floats:
    """Probability of the risk class of prepared rows, calibrated where the model is."""
    return model.told(model.given(prepared))[:, risk_class(model)]


@cache
def _orders(width: int) -> tuple[Ints, ...]:
    """A few orders of the features, each forwards and backwards; the same in every run."""
    random = np.random.default_rng(0)
    forwards = [random.permutation(width) for _ in range(ORDERS)]
    return tuple(np.array(order) for order in (*forwards, *(order[::-1] for order in forwards)))


def shares(model: Model, prepared: Floats) -> tuple[float, Floats]:
    """Base, and each feature's share in the probability of the risk class, rows x features.

    Prepared columns are centred, so the average company is all zeros.
    """
    rows, width = prepared.shape
    orders = _orders(width)
    at_once = max(1, BATCH // (width + 1) // len(orders))
    total = np.zeros_like(prepared)
    base = float(risk_of(model, np.zeros((1, width)))[0])
    for start in range(0, rows, at_once):
        part = slice(start, start + at_once)
        total[part] = _steps(model, prepared[part], orders).mean(axis=0)
    return base, total


def _steps(model: Model, prepared: Floats, orders: tuple[Ints, ...]) -> Floats:
    """Change of the probability as features get the rows' own values: orders x rows x features."""
    rows, width = prepared.shape
    places = [np.argsort(order) for order in orders]
    # Step k has the first k features of the order.
    own = [np.arange(width + 1)[:, None] > place for place in places]
    asked = np.where(np.array(own)[:, None], prepared[None, :, None, :], 0.0)
    risks = risk_of(model, asked.reshape(-1, width)).reshape(len(orders), rows, width + 1)
    steps = np.diff(risks, axis=2)
    return np.array([one[:, place] for one, place in zip(steps, places, strict=True)])


def explain(
    model: Model, prepared: Prepared, sectors: list[str | None], most: int = 5
) -> list[Explanation]:
    """The `most` largest reasons of each row, largest first; what moves nothing is no reason."""
    base, found = shares(model, prepared.columns)
    return [
        _explanation(model, base, found[row], prepared.values[row], sector, most)
        for row, sector in enumerate(sectors)
    ]


def _explanation(
    model: Model, base: float, row: Floats, values: Floats, sector: str | None, most: int
) -> Explanation:
    largest = [k for k in np.argsort(-np.abs(row), kind="stable")[:most] if row[k] != 0]
    reasons = tuple(
        _reason(model, str(model.selected[k]), values[k], sector, row[k]) for k in largest
    )
    return Explanation(base, reasons, float(row.sum() - row[largest].sum()))


def _reason(
    model: Model, feature: str, value: float, sector: str | None, contribution: float
) -> Reason:
    medians = model.manifest["medians"]
    own = medians["sectors"].get(sector, {}).get(feature)
    tenth, peers = _standing(model, feature, value, sector)
    return Reason(
        feature,
        feature_name(feature),
        None if np.isnan(value) else float(value),
        tenth,
        peers,
        medians["overall"].get(feature) if own is None else own,
        None if own is None else sector,
        float(contribution),
        risk_words(model),
    )


def _standing(
    model: Model, feature: str, value: float, sector: str | None
) -> tuple[int | None, str | None]:
    """The tenth of training rows that a value lies in, and whose: its sector's where known."""
    if model.history is None or np.isnan(value):
        return None, None
    values = model.history.values[feature].to_numpy()
    there = ~np.isnan(values)
    own = there & (model.history.rows["sector"] == sector).to_numpy()
    peers = sector if own.sum() >= LEAST_PEERS else None
    known = values[own if peers else there]
    if not len(known):
        return None, None
    below = (known < value).mean() + (known == value).mean() / 2
    return min(int(10 * below), 9) + 1, peers
