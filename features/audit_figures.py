"""How well columns predict a label out of fold, with intervals: the arithmetic of the leak audit.

`y` holds class codes 0 … k-1 with a row of each; a weighting holds one weight per row. Each figure
is written once, for a batch of weightings: all ones give its value, companies drawn anew its
interval.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FOLDS = 3
DRAWS = 200
# Small and fixed, so that the figures of two panels compare. On 3,700 rows of real ratios they come
# out within 0.005 of those of 300 iterations with 31 leaves and 255 bins, in a tenth of the time.
LEARNER = {
    "max_iter": 40,
    "learning_rate": 0.15,
    "max_leaf_nodes": 15,
    "max_bins": 63,
    "early_stopping": False,
}
MOST_CATEGORIES = 60  # below the number of bins, which the learner demands


@dataclass(frozen=True)
class Predicted:
    """Out-of-fold probabilities (rows x classes) and, per row, the fold that scored it."""

    proba: Floats
    fold: Ints

    @property
    def said(self) -> Ints:
        """Code of the class of highest probability."""
        return np.asarray(self.proba.argmax(axis=1), dtype=np.int64)


def company_folds(y: Ints, groups: Ints, seed: int) -> Ints:
    """Number of the fold of each row; rows of a group share it, classes are spread evenly."""
    parts = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warning on rare classes: the caller counts them
        return _numbered(len(y), parts.split(y, y, groups))


def row_folds(y: Ints, seed: int) -> Ints:
    """Number of the fold of each row, whatever its company; classes are spread evenly."""
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=seed)
    return _numbered(len(y), parts.split(y, y))


def _numbered(rows: int, parts: Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]) -> Ints:
    fold = np.empty(rows, dtype=np.int64)
    for number, (_, scored) in enumerate(parts):
        fold[scored] = number
    return fold


def out_of_fold(X: Floats, y: Ints, fold: Ints, seed: int, categorical: bool = False) -> Predicted:
    """Score each fold by a fit on the others; NaN in `X` is a value of its own.

    `categorical` takes every column as codes without order. One thread: sums in one order, so the
    same figures on every machine, and no contest with fits that run beside it.
    """
    proba = np.zeros((len(y), int(y.max()) + 1))
    with threadpool_limits(1):
        for number in range(FOLDS):
            scored, known = fold == number, y[fold != number]
            if len(np.unique(known)) < 2:
                proba[scored, known[0]] = 1.0
                continue
            model = HistGradientBoostingClassifier(
                **LEARNER,
                random_state=seed,
                categorical_features=np.full(X.shape[1], categorical),
            ).fit(X[~scored], known)
            proba[np.ix_(scored, model.classes_)] = model.predict_proba(X[scored])
    return Predicted(proba, fold)


def draws(groups: Ints, seed: int) -> Floats:
    """Weightings (draws x rows) of a bootstrap over groups: one drawn twice counts twice."""
    size = int(groups.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=DRAWS)
    return np.asarray(drawn[:, groups], dtype=np.float64)


def roc_auc(y: Ints, predicted: Predicted, weights: Floats) -> Floats:
    """ROC AUC of each class against the rest, unweighted mean over the classes, per weighting.

    Pairs are compared within a fold only: probabilities of two fits have no common scale, and
    pooling them pulls the figure of a useless column below one half. NaN where a class has no pair.
    """
    size = predicted.proba.shape[1]
    codes = range(1, 2) if size == 2 else range(size)  # of two classes both have the same figure
    return np.asarray(np.mean([_auc_of(code, y, predicted, weights) for code in codes], axis=0))


def _auc_of(code: int, y: Ints, predicted: Predicted, weights: Floats) -> Floats:
    won, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for number in np.unique(predicted.fold):
        rows = np.flatnonzero(predicted.fold == number)
        score = -predicted.proba[rows, code]
        order = np.argsort(score, kind="stable")
        ties = np.flatnonzero(np.r_[True, np.diff(score[order]) > 0])
        ranked = weights[:, rows[order]]
        member = y[rows[order]] == code
        members = np.add.reduceat(ranked * member, ties, axis=1)
        others = np.add.reduceat(ranked * ~member, ties, axis=1)
        total = others.sum(axis=1, keepdims=True)
        won += (members * (total - np.cumsum(others, axis=1) + others / 2)).sum(axis=1)
        pairs += members.sum(axis=1) * total[:, 0]
    return np.asarray(np.divide(won, pairs, out=np.full_like(won, np.nan), where=pairs > 0))


def balanced_accuracy(y: Ints, predicted: Predicted, weights: Floats) -> Floats:
    """Mean recall over the classes that a weighting holds."""
    hits, truths, _ = _tallies(y, predicted, weights)
    return np.asarray(_share(hits, truths).sum(axis=1) / (truths > 0).sum(axis=1))


def macro_f1(y: Ints, predicted: Predicted, weights: Floats) -> Floats:
    """Mean F1 over the classes that occur in truth or prediction."""
    hits, truths, guesses = _tallies(y, predicted, weights)
    occurs = (truths + guesses > 0).sum(axis=1)
    return np.asarray(_share(2 * hits, truths + guesses).sum(axis=1) / occurs)


def _tallies(y: Ints, predicted: Predicted, weights: Floats) -> tuple[Floats, Floats, Floats]:
    """Weight of right answers, of truths and of guesses: weightings x classes each."""
    one_hot = np.eye(predicted.proba.shape[1])
    truths, guesses = one_hot[y], one_hot[predicted.said]
    return weights @ (truths * guesses), weights @ truths, weights @ guesses


def _share(part: Floats, whole: Floats) -> Floats:
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)
