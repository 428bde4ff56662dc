"""Feature selection, fitted on training rows only: the table `SELECTORS`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_selection import RFE, f_classif, mutual_info_classif
from sklearn.linear_model import LogisticRegression

from models.panel import Floats, Ints
from warehouse.errors import InputError

Mask = NDArray[np.bool_]

KEPT = 55
CORRELATED = 0.9
TARGETS = 1000  # rows that ReliefF looks around
POOL = 10_000  # rows of each class among which it looks for neighbours
NEIGHBOURS = 10


@dataclass(frozen=True)
class Selector:
    """One way to choose columns: `fit(X scaled, y, seed)` returns a mask over the columns."""

    name: str
    title: str
    fit: Callable[[Floats, Ints, int], Mask] = field(repr=False)
    default: bool = True


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
    return _highest(mutual_info_classif(X, y, random_state=seed))


def _highest(merit: Floats) -> Mask:
    """The `KEPT` columns of highest merit; of equal ones the first."""
    mask = np.zeros(len(merit), dtype=np.bool_)
    mask[np.argsort(-merit, kind="stable")[:KEPT]] = True
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


def _relieff(X: Floats, y: Ints, seed: int) -> Mask:
    if X.shape[1] <= KEPT:
        return _all(X, y, seed)
    return _highest(relieff_weights(X, y, seed))


def relieff_weights(
    X: Floats, y: Ints, seed: int, targets: int = TARGETS, neighbours: int = NEIGHBOURS
) -> Floats:
    """ReliefF weight of each column: how much more misses differ in it than hits, from -1 to 1.

    Around each target row its nearest rows of its own class (hits) and of each other class
    (misses, weighted by the class's share among the others) are sought by the sum of differences
    over the columns, each divided by the column's range. Fewer neighbours than asked are taken
    where a class has no more.

    Args:
        X: rows x columns, without NaN.
        y: class codes.
        seed: of the rows drawn as targets, and of neighbours to choose from where a class has
            more than `POOL` rows.
        targets: rows to look around; all, in order, where there are no more.
        neighbours: hits and misses of each class, k.

    Sources: I. Kononenko (1994), Estimating attributes: analysis and extensions of RELIEF, ECML-94,
    171-182; M. Robnik-Šikonja and I. Kononenko (2003), Theoretical and empirical analysis of
    ReliefF and RReliefF, Machine Learning 53, 23-69, equation of figure 2.
    """
    random = np.random.default_rng(seed)
    spread = np.ptp(X, axis=0)
    unit = X / np.where(spread > 0, spread, 1.0)  # a constant column differs nowhere
    drawn = _drawn(np.arange(len(y)), targets, random)
    codes, counts = np.unique(y, return_counts=True)
    weights = np.zeros(X.shape[1])
    for code, share in zip(codes, counts / len(y), strict=True):
        pool = _drawn(np.flatnonzero(y == code), POOL, random)
        for own in codes:
            rows = drawn[y[drawn] == own]
            prior = counts[codes == own][0] / len(y)
            sign = -1.0 if own == code else float(share / (1 - prior))
            weights += sign * _differences(unit, rows, pool, neighbours)
    return weights / len(drawn)


def _drawn(rows: Ints, most: int, random: np.random.Generator) -> Ints:
    """These rows, or so many of them drawn and in order."""
    return rows if len(rows) <= most else np.sort(random.choice(rows, most, replace=False))


def _differences(unit: Floats, rows: Ints, pool: Ints, neighbours: int) -> Floats:
    """Sum over rows of the mean difference, by column, from their nearest rows of the pool."""
    total = np.zeros(unit.shape[1])
    for start in range(0, len(rows), 100):
        part = rows[start : start + 100]
        apart = cdist(unit[part], unit[pool], "cityblock")
        itself = part[:, None] == pool
        apart[itself] = np.inf  # a row is no neighbour of itself
        k = min(neighbours, len(pool) - int(itself.any()))
        if k < 1:
            continue
        near = pool[np.argsort(apart, axis=1, kind="stable")[:, :k]]
        total += np.abs(unit[part][:, None, :] - unit[near]).mean(axis=1).sum(axis=0)
    return total


SELECTORS: tuple[Selector, ...] = (
    Selector("all", "All features", _all),
    Selector("correlation", f"One of each pair with |r| ≥ {CORRELATED}", _correlation),
    Selector("kbest", f"{KEPT} with most mutual information", _kbest),
    Selector("rfe", f"{KEPT} by recursive elimination", _rfe),
    Selector("rf", "Random-forest importance ≥ median", _forest),
    Selector("relieff", f"{KEPT} by ReliefF, {NEIGHBOURS} neighbours", _relieff, default=False),
)
DEFAULT_SELECTORS = tuple(selector.name for selector in SELECTORS if selector.default)
