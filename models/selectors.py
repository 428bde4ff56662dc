"""Feature selection, fitted on training rows only: the table `SELECTORS`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, f_classif, mutual_info_classif
from sklearn.linear_model import LogisticRegression

from models.panel import Floats, Ints
from warehouse.errors import InputError

Mask = NDArray[np.bool_]

KEPT = 55
CORRELATED = 0.9


@dataclass(frozen=True)
class Selector:
    """One way to choose columns: `fit(X scaled, y, seed)` returns a mask over the columns."""

    name: str
    title: str
    fit: Callable[[Floats, Ints, int], Mask] = field(repr=False)


def selector_named(name: str) -> Selector:
    """Return the selector of that name; raise InputError with the names there are."""
    for selector in SELECTORS:
        if selector.name == name:
            return selector
    raise InputError(f"unknown selector {name!r}; one of {', '.join(s.name for s in SELECTORS)}")


def intersection(masks: Mapping[str, Mask]) -> Mask:
    """Columns that every selector but `all` keeps (all columns where there is none)."""
    chosen = [mask for name, mask in masks.items() if name != "all"]
    size = len(next(iter(masks.values())))
    return np.logical_and.reduce(chosen) if chosen else np.ones(size, dtype=np.bool_)


def _all(X: Floats, y: Ints, seed: int) -> Mask:
    return np.ones(X.shape[1], dtype=np.bool_)


def _correlation(X: Floats, y: Ints, seed: int) -> Mask:
    """Walk from the column closest to the target; keep what correlates with none kept so far."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # constant columns have no F and no correlation
        closeness = np.nan_to_num(f_classif(X, y)[0], nan=-1.0, posinf=np.inf)
        related = np.nan_to_num(np.abs(np.atleast_2d(np.corrcoef(X, rowvar=False))))
    mask = np.zeros(X.shape[1], dtype=np.bool_)
    for column in np.argsort(-closeness, kind="stable"):
        mask[column] = not (related[column, mask] >= CORRELATED).any()
    return mask


def _kbest(X: Floats, y: Ints, seed: int) -> Mask:
    if X.shape[1] <= KEPT:
        return _all(X, y, seed)
    information = mutual_info_classif(X, y, random_state=seed)
    mask = np.zeros(X.shape[1], dtype=np.bool_)
    mask[np.argsort(-information, kind="stable")[:KEPT]] = True
    return mask


def _rfe(X: Floats, y: Ints, seed: int) -> Mask:
    if X.shape[1] <= KEPT:
        return _all(X, y, seed)
    # Ranking needs the order of the weights, not their last digits.
    model = LogisticRegression(max_iter=100, tol=1e-3, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = RFE(model, n_features_to_select=KEPT, step=5).fit(X, y)
    return np.asarray(fitted.support_, dtype=np.bool_)


def _forest(X: Floats, y: Ints, seed: int) -> Mask:
    forest = RandomForestClassifier(
        100, max_depth=10, max_samples=0.6, min_samples_leaf=3, n_jobs=1, random_state=seed
    )
    importance = forest.fit(X, y).feature_importances_
    return np.asarray(importance >= np.median(importance), dtype=np.bool_)


SELECTORS: tuple[Selector, ...] = (
    Selector("all", "All features", _all),
    Selector("correlation", f"One of each pair with |r| ≥ {CORRELATED}", _correlation),
    Selector("kbest", f"{KEPT} with most mutual information", _kbest),
    Selector("rfe", f"{KEPT} by recursive elimination", _rfe),
    Selector("rf", "Random-forest importance ≥ median", _forest),
)
