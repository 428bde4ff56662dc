"""Support vector machines with probabilities by a fixed softmax, and no inner cross-validation."""

from __future__ import annotations

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.svm import SVC, LinearSVC

from models.panel import Floats, Ints


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


class SoftmaxLinearSVC(SoftmaxSVC):
    """Linear support vector machine, one class against the rest, probabilities as `SoftmaxSVC`."""

    def __init__(self, C: float = 1.0) -> None:
        self.C = C

    def fit(self, X: Floats, y: Ints) -> SoftmaxLinearSVC:
        """Fit on rows and class codes."""
        self.svc_ = LinearSVC(C=self.C, dual=False).fit(X, y)
        self.classes_ = self.svc_.classes_
        return self
