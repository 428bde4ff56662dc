"""Why a model says what it says: SHAP values of the risk class, put into words.

Boosters give exact tree SHAP values themselves; scikit-learn's trees go through `shap`; any other
classifier is explained against the median company by permuting features (Lundberg and Lee,
"A Unified Approach to Interpreting Model Predictions", 2017).
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
from models.artifact import Model
from models.panel import Floats

FOCUS = "bankrupt"
NAMES: dict[str, str] = {r.code: r.name for r in RATIOS} | {m.code: m.name for m in MACRO}


@dataclass(frozen=True)
class Reason:
    """A feature's share in the score of the risk class.

    Attributes:
        feature: its code, as X1.
        name: its name in words.
        value: as computed, None where it was missing and the training median was taken.
        median: of the company's sector in the training rows, else of all of them.
        sector: whose median it is; None for that of all companies.
        contribution: SHAP value; above 0 it raises the risk. Log-odds for boosters and logistic
            regression; probability for the others.
    """

    feature: str
    name: str
    value: float | None
    median: float | None
    sector: str | None
    contribution: float

    def words(self) -> str:
        """The reason as a sentence."""
        value = "missing" if self.value is None else f"{self.value:,.2f}"
        whose = f"{self.sector} median" if self.sector else "median"
        median = "" if self.median is None else f" ({whose} {self.median:,.2f})"
        way = "raises" if self.contribution > 0 else "lowers"
        return f"{self.name} {value}{median} {way} the risk"


def risk_class(model: Model) -> int:
    """Position of the class whose probability is the risk: bankrupt, else the first."""
    return model.classes.index(FOCUS) if FOCUS in model.classes else 0


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
    import shap  # slow to import, and needed for some learners only

    if kind in ("RandomForestClassifier", "HistGradientBoostingClassifier"):
        return np.asarray(shap.TreeExplainer(learner).shap_values(columns), dtype=np.float64)
    # Prepared columns are centred, so zeros are the average company.
    average = np.zeros((1, columns.shape[1]))
    explainer = shap.explainers.Permutation(
        learner.predict_proba, shap.maskers.Independent(average, max_samples=1), seed=0
    )
    found = explainer(columns, max_evals=2 * columns.shape[1] + 1, silent=True)
    return np.asarray(found.values, dtype=np.float64)


def reasons(
    model: Model, frame: pd.DataFrame, sectors: list[str | None], most: int = 5
) -> list[list[Reason]]:
    """The `most` largest reasons of each row, largest first."""
    values = contributions(model, frame)
    return [
        [
            _reason(model, str(model.selected[k]), frame.iloc[row], sectors[row], values[row, k])
            for k in np.argsort(-np.abs(values[row]), kind="stable")[:most]
        ]
        for row in range(len(frame))
    ]


def _reason(
    model: Model, feature: str, row: pd.Series[Any], sector: str | None, contribution: float
) -> Reason:
    medians = model.manifest["medians"]
    own = medians["sectors"].get(sector)
    value = row[feature]
    return Reason(
        feature,
        NAMES.get(feature, feature),
        None if pd.isna(value) else float(value),
        (own or medians["overall"]).get(feature),
        sector if own else None,
        float(contribution),
    )
