"""Classifiers and the parameter points tried for each: the table `LEARNERS`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import xgboost
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier, early_stopping
from lightgbm.basic import LightGBMError
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from xgboost import XGBClassifier

from models.learner import Learner, Params, Slice, fit_plain
from models.panel import Floats, Ints
from models.rivals import RIVALS
from models.svm import SoftmaxSVC
from warehouse.errors import InputError

ON_GPU = ("xgboost", "catboost", "lightgbm")
PATIENCE = 20  # rounds without a better loss on the early-stopping slice


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


@cache
def lightgbm_has_cuda() -> bool:
    """Whether this build of LightGBM can fit on a GPU; most wheels cannot."""
    rows = np.arange(40.0).reshape(20, 2)
    try:
        LGBMClassifier(n_estimators=1, device_type="cuda", verbosity=-1).fit(
            rows, np.arange(20) % 2
        )
    except LightGBMError:
        return False
    return True


def device_notices(names: Sequence[str], device: str) -> tuple[str, ...]:
    """Which of the learners run where."""
    if device != "cuda":
        return ()
    there = [name for name in names if name in ON_GPU]
    if "lightgbm" in there and not lightgbm_has_cuda():
        there.remove("lightgbm")
    others = [name for name in names if name not in there]
    return (
        f"on the GPU: {', '.join(there) or 'none'}; on the CPU, for want of an implementation:"
        f" {', '.join(others) or 'none'}",
    )


def _gpu_visible() -> bool:
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    return not hidden and any(Path("/dev", name).exists() for name in ("nvidia0", "dxg"))


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


def _fit_ann(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    """Epoch by epoch, as `fit` does, but stopped where the loss on the slice is least."""
    if stop is None:
        return fit_plain(model, X, y, None)
    classes, best, at = np.unique(y), np.inf, 0
    kept: list[Any] = []
    for epoch in range(1, model.max_iter + 1):
        model.partial_fit(X, y, classes=classes)
        loss = log_loss(stop[1], model.predict_proba(stop[0]), labels=classes)
        if loss < best:
            best, at = loss, epoch
            kept = [[part.copy() for part in parts] for parts in (model.coefs_, model.intercepts_)]
        elif epoch - at >= PATIENCE:
            break
    model.coefs_, model.intercepts_ = kept
    return at


def _lr(params: Params, seed: int, device: str) -> Any:
    return LogisticRegression(solver="newton-cholesky", **params)


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
    if device == "cuda" and lightgbm_has_cuda():
        fixed = {"n_jobs": 1, "verbosity": -1, "device_type": "cuda"}
    return LGBMClassifier(random_state=seed, **fixed, **params)


def _catboost(params: Params, seed: int, device: str) -> Any:
    fixed: Params = {"thread_count": 1, "allow_writing_files": False, "verbose": False}
    if device == "cuda":
        fixed |= {"task_type": "GPU", "devices": "0"}
        params = {name: value for name, value in params.items() if name != "rsm"}  # CPU only
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

OWN: tuple[Learner, ...] = (
    Learner(
        "lr",
        "Logistic regression",
        _lr,
        paper={"C": 1.0},
        quick=({"C": 1.0}, {"C": 0.05}),
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
        cost=3.0,
        lean={"n_estimators": 200},
        tuning={"n_estimators": 50},
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
        lean={"max_bins": 63, "max_features": 0.3},
        fit=_fit_hist,
    ),
    Learner(
        "xgboost",
        "XGBoost",
        _xgboost,
        paper=_XGB,
        quick=_grid(_XGB_QUICK, {"max_depth": 5}, {"max_depth": 7}),
        full=_grid(_XGB, *_TREE_CHANGES),
        cost=2.0,
        trees="n_estimators",
        lean={"max_bin": 64, "colsample_bynode": 0.3},
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
        lean={"max_bin": 63, "colsample_bytree": 0.3},
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
        cost=4.0,
        trees="iterations",
        lean={"border_count": 32, "rsm": 0.2},
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
        trees="max_iter",
        fit=_fit_ann,
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
LEARNERS = (*OWN, *RIVALS)
DEFAULT_LEARNERS = tuple(learner.name for learner in LEARNERS if learner.default)
