"""Classifiers and the parameter points tried for each: the table `LEARNERS`."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, early_stopping
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC
from xgboost import XGBClassifier

from models.panel import Floats, Ints
from warehouse.errors import InputError

Params = dict[str, Any]
Slice = tuple[Floats, Ints]

PATIENCE = 20  # rounds without a better loss on the early-stopping slice


class SoftmaxSVC(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """RBF support vector machine with probabilities by a fixed softmax of its decision values.

    They rank rows and sum to one but are not calibrated: the inner cross-validation that would
    calibrate them costs seven fits and is leaving scikit-learn.
    """

    def __init__(self, C: float = 1.0, gamma: float | str = "scale") -> None:
        self.C = C
        self.gamma = gamma

    def fit(self, X: Floats, y: Ints) -> SoftmaxSVC:
        """Fit on rows and class codes."""
        self.svc_ = SVC(C=self.C, gamma=self.gamma, cache_size=500).fit(X, y)
        self.classes_ = self.svc_.classes_
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Return rows x classes; each row sums to one."""
        values = self.svc_.decision_function(X)
        if values.ndim == 1:
            values = np.column_stack([np.zeros(len(values)), values])
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True))

    def predict(self, X: Floats) -> Ints:
        """Return the class of highest probability."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])


@dataclass(frozen=True)
class Learner:
    """One classifier: how to build and fit it, the paper's values and two grids around them.

    `trees` names the parameter that early stopping chooses; `cost` is a rough relative time of
    one fit, used to start the long ones first; `save` names the format of the fitted model.
    """

    name: str
    title: str
    build: Callable[[Params, int, str], Any] = field(repr=False)
    paper: Params
    quick: tuple[Params, ...]
    full: tuple[Params, ...]
    cost: float
    trees: str | None = None
    fit: Callable[[Any, Floats, Ints, Slice | None], int | None] = field(
        default=lambda model, X, y, stop: _fit_plain(model, X, y, stop), repr=False
    )
    save: str = "skops"
    default: bool = True

    def points(self, grid: str) -> tuple[Params, ...]:
        """Parameter points of `paper`, `quick` or `full`."""
        return {"paper": (self.paper,), "quick": self.quick, "full": self.full}[grid]


def learner_named(name: str) -> Learner:
    """Return the learner of that name; raise InputError with the names there are."""
    for learner in LEARNERS:
        if learner.name == name:
            return learner
    raise InputError(f"unknown learner {name!r}; one of {', '.join(e.name for e in LEARNERS)}")


def resolve_device(asked: str) -> str:
    """Turn auto|cpu|cuda into cpu or cuda; raise InputError if cuda is asked and there is none."""
    there = bool(xgboost.build_info().get("USE_CUDA")) and _gpu_visible()
    if asked == "cuda" and not there:
        raise InputError("--device cuda: no CUDA device here; use --device auto or cpu")
    return "cuda" if asked != "cpu" and there else "cpu"


def _gpu_visible() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev", name).exists() for name in ("nvidia0", "dxg"))


def _fit_plain(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "did not converge" is settled by the tuning score
        model.fit(X, y)
    return None


def _fit_hist(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    if stop is None:
        model.set_params(early_stopping=False).fit(X, y)
        return None
    model.set_params(early_stopping=True, n_iter_no_change=PATIENCE)
    model.fit(X, y, X_val=stop[0], y_val=stop[1])
    # The first score is of the constant model, before any tree.
    return max(1, int(np.argmax(model.validation_score_)))


def _fit_xgboost(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    if stop is None:
        model.fit(X, y)
        return None
    model.set_params(early_stopping_rounds=PATIENCE)
    model.fit(X, y, eval_set=[stop], verbose=False)
    return int(model.best_iteration) + 1


def _fit_lightgbm(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    if stop is None:
        model.fit(X, y)
        return None
    patience = early_stopping(PATIENCE, verbose=False)
    model.fit(X, y, eval_X=stop[0], eval_y=stop[1], callbacks=[patience])
    return int(model.best_iteration_)


def _fit_catboost(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    if stop is None:
        model.fit(X, y)
        return None
    model.fit(X, y, eval_set=stop, early_stopping_rounds=PATIENCE, use_best_model=True)
    return int(model.best_iteration_) + 1


def _lr(params: Params, seed: int, device: str) -> Any:
    return LogisticRegression(random_state=seed, **{"max_iter": 300, **params})


def _svm(params: Params, seed: int, device: str) -> Any:
    return SoftmaxSVC(**params)


def _rf(params: Params, seed: int, device: str) -> Any:
    return RandomForestClassifier(n_jobs=1, random_state=seed, **params)


def _gb(params: Params, seed: int, device: str) -> Any:
    return HistGradientBoostingClassifier(early_stopping=False, random_state=seed, **params)


def _gb_exact(params: Params, seed: int, device: str) -> Any:
    return GradientBoostingClassifier(random_state=seed, **params)


def _xgboost(params: Params, seed: int, device: str) -> Any:
    fixed: Params = {"tree_method": "hist", "n_jobs": 1, "verbosity": 0}
    return XGBClassifier(device=device, random_state=seed, **fixed, **params)


def _lightgbm(params: Params, seed: int, device: str) -> Any:
    fixed: Params = {"n_jobs": 1, "verbosity": -1, "deterministic": True, "force_row_wise": True}
    return LGBMClassifier(random_state=seed, **fixed, **params)


def _catboost(params: Params, seed: int, device: str) -> Any:
    fixed: Params = {"thread_count": 1, "allow_writing_files": False, "verbose": False}
    return CatBoostClassifier(random_seed=seed, **fixed, **params)


def _knn(params: Params, seed: int, device: str) -> Any:
    return KNeighborsClassifier(n_jobs=1, **params)


def _ann(params: Params, seed: int, device: str) -> Any:
    return MLPClassifier(random_state=seed, **params)


def _grid(base: Params, *changes: Params) -> tuple[Params, ...]:
    return tuple({**base, **change} for change in changes)


_RF = {"n_estimators": 500, "max_depth": 7}
_RF_QUICK = {"n_estimators": 100, "max_samples": 0.4, "max_features": "sqrt"}
_GB = {"max_iter": 500, "max_depth": 7, "learning_rate": 0.1}
_GB_QUICK = {"max_iter": 120, "max_bins": 63, "max_features": 0.3, "learning_rate": 0.12}
_XGB = {"n_estimators": 500, "max_depth": 7, "learning_rate": 0.1}
_XGB_QUICK = {"n_estimators": 250, "max_bin": 64, "colsample_bynode": 0.3, "learning_rate": 0.08}
_LGB = {"n_estimators": 500, "max_depth": 7, "learning_rate": 0.1}
_LGB_QUICK = {"n_estimators": 250, "max_bin": 63, "colsample_bytree": 0.3, "learning_rate": 0.08}
_CAT = {"iterations": 500, "depth": 7, "learning_rate": 0.1}
_CAT_QUICK = {"iterations": 250, "border_count": 32, "rsm": 0.3, "learning_rate": 0.15}
_ANN = {"hidden_layer_sizes": (64, 32), "activation": "relu", "solver": "adam", "max_iter": 200}

_TREE_CHANGES: tuple[Params, ...] = (
    {},
    {"max_depth": 4},
    {"max_depth": 5, "learning_rate": 0.05},
    {"max_depth": 9},
    {"learning_rate": 0.03},
    {"learning_rate": 0.2, "max_depth": 5},
)

LEARNERS: tuple[Learner, ...] = (
    Learner(
        "lr",
        "Logistic regression",
        _lr,
        paper={"C": 1.0},
        quick=({"C": 1.0, "max_iter": 100}, {"C": 0.05, "max_iter": 100}),
        full=tuple({"C": c} for c in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)),
        cost=0.2,
    ),
    Learner(
        "svm",
        "Support vector machine",
        _svm,
        paper={"C": 10.0, "gamma": 10.0},
        quick=({"C": 3.0, "gamma": "scale"}, {"C": 3.0, "gamma": 0.05}),
        full=_grid(
            {"C": 10.0, "gamma": 10.0},
            {},
            *({"C": c, "gamma": g} for c in (1.0, 10.0) for g in ("scale", 0.005, 0.05)),
        ),
        cost=1.5,
    ),
    Learner(
        "rf",
        "Random forest",
        _rf,
        paper=_RF,
        quick=_grid(_RF_QUICK, {"max_depth": 8}, {"max_depth": 12}),
        full=_grid(
            _RF,
            *({"max_depth": d, "min_samples_leaf": m} for d in (5, 7, 12) for m in (1, 5)),
            {"max_depth": None, "min_samples_leaf": 1},
        ),
        cost=2.0,
    ),
    Learner(
        "gb",
        "Gradient boosting (histogram)",
        _gb,
        paper=_GB,
        quick=_grid(_GB_QUICK, {"max_depth": 4}, {"max_depth": 7, "max_leaf_nodes": 15}),
        full=_grid(_GB, *_TREE_CHANGES),
        cost=1.2,
        trees="max_iter",
        fit=_fit_hist,
    ),
    Learner(
        "xgboost",
        "XGBoost",
        _xgboost,
        paper=_XGB,
        quick=_grid(_XGB_QUICK, {"max_depth": 5}, {"max_depth": 7}),
        full=_grid(_XGB, *_TREE_CHANGES),
        cost=1.0,
        trees="n_estimators",
        fit=_fit_xgboost,
        save="xgboost",
    ),
    Learner(
        "lightgbm",
        "LightGBM",
        _lightgbm,
        paper=_LGB,
        quick=_grid(_LGB_QUICK, {"max_depth": 5}, {"max_depth": 7, "num_leaves": 31}),
        full=_grid(_LGB, *_TREE_CHANGES),
        cost=0.8,
        trees="n_estimators",
        fit=_fit_lightgbm,
        save="lightgbm",
    ),
    Learner(
        "catboost",
        "CatBoost",
        _catboost,
        paper=_CAT,
        quick=_grid(_CAT_QUICK, {"depth": 5}, {"depth": 6, "l2_leaf_reg": 6.0}),
        full=_grid(
            _CAT,
            {},
            {"depth": 4},
            {"depth": 5, "learning_rate": 0.05},
            {"depth": 8},
            {"learning_rate": 0.03},
            {"depth": 6, "learning_rate": 0.2},
        ),
        cost=1.1,
        trees="iterations",
        fit=_fit_catboost,
        save="catboost",
    ),
    Learner(
        "knn",
        "K nearest neighbours",
        _knn,
        paper={"n_neighbors": 3, "weights": "distance"},
        quick=_grid({"weights": "distance"}, {"n_neighbors": 3}, {"n_neighbors": 9}),
        full=tuple(
            {"n_neighbors": n, "weights": w}
            for n in (3, 7, 15, 31)
            for w in ("distance", "uniform")
        ),
        cost=0.3,
    ),
    Learner(
        "ann",
        "Neural network 64-32",
        _ann,
        paper=_ANN,
        quick=_grid({**_ANN, "max_iter": 25}, {"alpha": 1e-4}, {"alpha": 1.0}),
        full=_grid(
            _ANN,
            *({"alpha": a, "max_iter": m} for a in (1e-4, 0.1, 1.0) for m in (50, 200)),
        ),
        cost=1.4,
    ),
    Learner(
        "gb-exact",
        "Gradient boosting (exact, slow)",
        _gb_exact,
        paper={"n_estimators": 500, "max_depth": 7, "learning_rate": 0.1},
        quick=({"n_estimators": 50, "max_depth": 4, "learning_rate": 0.2, "subsample": 0.5},),
        full=_grid(
            {"n_estimators": 200, "max_depth": 5, "learning_rate": 0.1}, {}, {"max_depth": 7}
        ),
        cost=20.0,
        default=False,
    ),
)
DEFAULT_LEARNERS = tuple(learner.name for learner in LEARNERS if learner.default)
