"""Classifiers of the related work, off by default: the table `RIVALS`.

They are the methods that the paper's related work names, so that a leaderboard can hold them
beside ours: discriminant analysis (Altman 1968), logit (Ohlson 1980), probit (Zmijewski 1984), the
lasso, a decision tree, AdaBoost and a linear support vector machine. Each goes through the same
pipeline, folds and search as the learners of `models.learners`, and is saved through skops.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_ndtr, logsumexp
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import AdaBoostClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from models.learner import Learner, Params
from models.panel import Floats, Ints
from models.svm import SoftmaxLinearSVC

_LOG_ROOT_TAU = 0.5 * float(np.log(2 * np.pi))


class Probit(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """Probit regression: P(class) = Φ(intercept + weights · row), Φ the normal distribution.

    Two classes take one probit. More take one of each class against the rest, their probabilities
    divided by their sum. An ordered probit would lay the classes on one line, but "distressed" has
    years long before an admission and years after it; a multinomial probit needs an integral for
    every row and pair of classes, and no library that is well kept offers it.

    Args:
        ridge: half of it times the squared weights is added to the mean loss of a row; 0 is the
            plain probit, whose weights may grow without end where a class stands apart.
        max_iter: most steps of the minimiser.
    """

    def __init__(self, ridge: float = 0.0, max_iter: int = 500) -> None:
        self.ridge = ridge
        self.max_iter = max_iter

    def fit(self, X: Floats, y: Ints) -> Probit:
        """Fit on rows and class codes by maximum likelihood."""
        rows = np.column_stack([np.ones(len(X)), X])
        self.classes_ = np.unique(y)
        modelled = self.classes_[1:] if len(self.classes_) == 2 else self.classes_
        weights = [self._weights(rows, np.where(y == code, 1.0, -1.0)) for code in modelled]
        self.intercept_ = np.array([one[0] for one in weights])
        self.coef_ = np.array([one[1:] for one in weights])
        return self

    def predict_proba(self, X: Floats) -> Floats:
        """Return rows x classes; each row sums to one."""
        values = X @ self.coef_.T + self.intercept_
        if values.shape[1] == 1:
            values = np.hstack([-values, values])
        logs = log_ndtr(values)
        return np.asarray(np.exp(logs - logsumexp(logs, axis=1, keepdims=True)))

    def predict(self, X: Floats) -> Ints:
        """Return the class of highest probability."""
        return np.asarray(self.classes_[self.predict_proba(X).argmax(axis=1)])

    def _weights(self, rows: Floats, sign: Floats) -> Floats:
        shrunk = np.full(rows.shape[1], self.ridge)
        shrunk[0] = 0.0

        def loss(weights: Floats) -> tuple[float, Floats]:
            values = rows @ weights
            logs = log_ndtr(sign * values)
            slope = sign * np.exp(-0.5 * values**2 - _LOG_ROOT_TAU - logs)
            penalty = shrunk * weights
            mean = -float(logs.mean()) + 0.5 * float(penalty @ weights)
            return mean, penalty - rows.T @ slope / len(rows)

        options = {"maxiter": self.max_iter, "ftol": 1e-12, "gtol": 1e-6}
        found = minimize(
            loss, np.zeros(rows.shape[1]), jac=True, method="L-BFGS-B", options=options
        )
        return np.asarray(found.x, dtype=np.float64)


def _lda(params: Params, seed: int, device: str) -> Any:
    return LinearDiscriminantAnalysis(**params)


def _logit(params: Params, seed: int, device: str) -> Any:
    return LogisticRegression(C=np.inf, random_state=seed, **params)


def _probit(params: Params, seed: int, device: str) -> Any:
    return Probit(**params)


def _lasso(params: Params, seed: int, device: str) -> Any:
    fixed: Params = {"l1_ratio": 1.0, "solver": "saga", "tol": 1e-3}
    return LogisticRegression(random_state=seed, **{**fixed, "max_iter": 200, **params})


def _tree(params: Params, seed: int, device: str) -> Any:
    return DecisionTreeClassifier(random_state=seed, **params)


def _adaboost(params: Params, seed: int, device: str) -> Any:
    boosted = {name: value for name, value in params.items() if name != "max_depth"}
    stump = DecisionTreeClassifier(max_depth=params.get("max_depth", 1))
    return AdaBoostClassifier(stump, random_state=seed, **boosted)


def _linear_svm(params: Params, seed: int, device: str) -> Any:
    return SoftmaxLinearSVC(**params)


RIVALS: tuple[Learner, ...] = (
    Learner(
        "lda",
        "Linear discriminant analysis",
        _lda,
        paper={"solver": "svd"},
        quick=({"solver": "svd"}, {"solver": "lsqr", "shrinkage": "auto"}),
        full=(
            {"solver": "svd"},
            {"solver": "lsqr", "shrinkage": "auto"},
            *({"solver": "lsqr", "shrinkage": s} for s in (0.01, 0.03, 0.1, 0.3, 0.6)),
        ),
        cost=0.1,
        default=False,
    ),
    # Without a penalty the one thing left to choose is when the fit stops.
    Learner(
        "logit",
        "Logit (logistic regression without penalty)",
        _logit,
        paper={"max_iter": 1000},
        quick=({"max_iter": 300}, {"max_iter": 30}),
        full=tuple({"max_iter": n} for n in (10, 30, 100, 300, 1000, 3000)),
        cost=0.5,
        default=False,
    ),
    Learner(
        "probit",
        "Probit",
        _probit,
        paper={"ridge": 0.0},
        quick=({"ridge": 0.0, "max_iter": 100}, {"ridge": 0.01, "max_iter": 100}),
        full=tuple({"ridge": r} for r in (0.0, 1e-5, 1e-4, 1e-3, 0.01, 0.1)),
        cost=0.6,
        default=False,
    ),
    Learner(
        "lasso",
        "Lasso (logistic regression with an absolute penalty)",
        _lasso,
        paper={"C": 1.0},
        quick=({"C": 0.3, "max_iter": 50}, {"C": 0.02, "max_iter": 50}),
        full=tuple({"C": c} for c in (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)),
        cost=1.0,
        default=False,
    ),
    Learner(
        "tree",
        "Decision tree",
        _tree,
        paper={"max_depth": 7},
        quick=({"max_depth": 5, "min_samples_leaf": 5}, {"max_depth": 9, "min_samples_leaf": 5}),
        full=(
            *({"max_depth": d, "min_samples_leaf": m} for d in (3, 5, 8) for m in (1, 20)),
            {"max_depth": 12, "min_samples_leaf": 20},
            {"ccp_alpha": 0.002},
        ),
        cost=0.1,
        default=False,
    ),
    Learner(
        "adaboost",
        "AdaBoost",
        _adaboost,
        paper={"n_estimators": 50, "max_depth": 1},
        quick=({"n_estimators": 50, "max_depth": 1}, {"n_estimators": 50, "max_depth": 3}),
        full=(
            *({"n_estimators": n, "max_depth": d} for d in (1, 2, 3) for n in (50, 100)),
            {"n_estimators": 200, "max_depth": 1},
        ),
        cost=4.0,
        default=False,
    ),
    Learner(
        "linear-svm",
        "Linear support vector machine",
        _linear_svm,
        paper={"C": 1.0},
        quick=({"C": 1.0}, {"C": 0.01}),
        full=tuple({"C": c} for c in (0.001, 0.003, 0.01, 0.03, 0.1, 1.0, 10.0)),
        cost=0.4,
        default=False,
    ),
)
