"""Why a model says what it says: SHAP values of the risk class, put into words.

Boosters give exact tree SHAP values themselves; scikit-learn's trees go through `shap`; any other
classifier is explained against the average company by exchanging features one by one (Lundberg and
Lee, "A Unified Approach to Interpreting Model Predictions", 2017).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xgboost
from catboost import Pool
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from features.macro import MACRO
from features.ratios import RATIOS
from features.scores import SCORES
from features.trends import TRENDS
from models.artifact import Model
from models.panel import RELATIVE, Floats

RISKS = {"bankrupt": "risk of bankruptcy", "fails": "risk of failure"}
ORDERS = 4  # in which features are exchanged, each there and back
BATCH = 50_000  # rows that a classifier is asked for at once
LOG_ODDS = (
    "XGBClassifier",
    "BoosterClassifier",
    "CatBoostClassifier",
    "HistGradientBoostingClassifier",
)
NAMES: dict[str, str] = (
    {ratio.code: ratio.name for ratio in RATIOS}
    | {series.code: series.name for series in MACRO}
    | {f"{r.code}_{t.suffix}": f"{r.name}, {t.title}" for r in RATIOS for t in TRENDS}
    | {score.code: score.title for score in SCORES}
    | {"company_age": "years since incorporation"}
)


@dataclass(frozen=True)
class Reason:
    """A feature's share in the score of the risk class.

    Attributes:
        feature: its code, as X1.
        name: its name in words.
        value: as computed, None where it was missing and the training median was taken.
        median: of the company's sector in the training rows, else of all of them.
        sector: whose median it is; None for that of all companies.
        contribution: SHAP value, in the unit of `unit`; above 0 it raises the risk.
        risk: of what, as "risk of bankruptcy".
    """

    feature: str
    name: str
    value: float | None
    median: float | None
    sector: str | None
    contribution: float
    risk: str

    def words(self) -> str:
        """The reason as a sentence."""
        value = "missing" if self.value is None else f"{self.value:,.2f}"
        whose = f"{self.sector} median" if self.sector else "median"
        median = "" if self.median is None else f" ({whose} {self.median:,.2f})"
        way = "raises" if self.contribution > 0 else "lowers"
        return f"{self.name} {value}{median} {way} the {self.risk}"


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


def unit(model: Model) -> str:
    """What contributions are measured in: `log-odds` or `probability`."""
    return "log-odds" if type(model.learner).__name__ in LOG_ODDS else "probability"


def contributions(model: Model, frame: pd.DataFrame) -> Floats:
    """SHAP values of the risk class: rows x selected features."""
    columns, at = model.columns(frame), risk_class(model)
    with threadpool_limits(1):
        values = _values(model, columns)
    # A booster of two classes has one output: the score of the second class.
    if values.ndim == 2:
        return values if at == 1 else -values
    return values[:, :, at]


def _values(model: Model, columns: Floats) -> Floats:
    """SHAP values: rows x features, or rows x features x classes."""
    learner, width = model.learner, columns.shape[1]
    kind = type(learner).__name__
    if kind == "XGBClassifier":
        matrix = xgboost.DMatrix(columns)
        return _per_class(learner.get_booster().predict(matrix, pred_contribs=True), width)  # type: ignore[attr-defined]
    if kind == "BoosterClassifier":
        return _per_class(learner.booster.predict(columns, pred_contrib=True), width)  # type: ignore[attr-defined]
    if kind == "CatBoostClassifier":
        pool = Pool(columns)
        return _per_class(learner.get_feature_importance(pool, type="ShapValues"), width)  # type: ignore[attr-defined]
    return _shap_values(learner, kind, columns)


def _per_class(raw: Any, width: int) -> Floats:
    """Drop the bias column: (n, k, f+1) or (n, k*(f+1)) or (n, f+1) to (n, f, k) or (n, f)."""
    values = np.asarray(raw, dtype=np.float64)
    if values.ndim == 2 and values.shape[1] > width + 1:
        values = values.reshape(len(values), -1, width + 1)
    return values[:, :-1] if values.ndim == 2 else values[:, :, :-1].transpose(0, 2, 1)


def _shap_values(learner: Any, kind: str, columns: Floats) -> Floats:
    if kind not in ("RandomForestClassifier", "HistGradientBoostingClassifier"):
        return _exchanged(learner, columns)
    import shap  # slow to import, and needed for these only

    return np.asarray(shap.TreeExplainer(learner).shap_values(columns), dtype=np.float64)


def _exchanged(learner: Any, columns: Floats) -> Floats:
    """What each feature adds as it goes from the average company's value to the row's own.

    Prepared columns are centred, so the average company is all zeros. Mean over a few orders, each
    forwards and backwards, the same in every run: SHAP by permutation, whose sum is exact. The
    package's own is the same but compiles for ten seconds first.
    """
    rows, width = columns.shape
    random = np.random.default_rng(0)
    orders = [random.permutation(width) for _ in range(ORDERS)]
    total: Floats | None = None
    at_once = max(1, BATCH // (width + 1))
    for order in (*orders, *(order[::-1] for order in orders)):
        place = np.argsort(order)
        # Step k has the row's own values in the first k features of the order.
        own = np.arange(width + 1)[:, None] > place
        parts = [
            _steps(learner, columns[start : start + at_once], own)[:, place]
            for start in range(0, rows, at_once)
        ]
        total = np.concatenate(parts) + (0 if total is None else total)
    assert total is not None  # noqa: S101 - ORDERS is above 0
    return total / (2 * ORDERS)


def _steps(learner: Any, columns: Floats, own: Any) -> Floats:
    """Change of the probabilities at each step: rows x steps x classes."""
    rows, width = columns.shape
    asked = np.where(own, columns[:, None, :], 0.0).reshape(-1, width)
    proba = np.asarray(learner.predict_proba(asked), dtype=np.float64)
    return np.diff(proba.reshape(rows, width + 1, -1), axis=1)


def reasons(
    model: Model, frame: pd.DataFrame, sectors: list[str | None], most: int = 5
) -> list[list[Reason]]:
    """The `most` largest reasons of each row, largest first; what moves nothing is no reason."""
    shares = contributions(model, frame)
    values = model.values(frame)[list(model.selected)].to_numpy(dtype=np.float64)
    return [
        [
            _reason(model, str(model.selected[k]), values[row, k], sectors[row], shares[row, k])
            for k in np.argsort(-np.abs(shares[row]), kind="stable")[:most]
            if shares[row, k] != 0
        ]
        for row in range(len(frame))
    ]


def _reason(
    model: Model, feature: str, value: float, sector: str | None, contribution: float
) -> Reason:
    medians = model.manifest["medians"]
    own = medians["sectors"].get(sector, {}).get(feature)
    return Reason(
        feature,
        feature_name(feature),
        None if np.isnan(value) else float(value),
        medians["overall"].get(feature) if own is None else own,
        None if own is None else sector,
        float(contribution),
        risk_words(model),
    )
