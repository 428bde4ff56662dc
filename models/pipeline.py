"""Impute → winsorise → scale → select → SMOTE → learn, everything fitted on training rows only.

The same steps exist twice on purpose: `build_pipeline` is the one imblearn Pipeline that is saved
and tested; `prepare` and `fold_data` compute the parts before the learner once, for all learners.
A test proves that both give the same probabilities.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from models.learners import Learner, Params, Slice
from models.panel import Floats, Ints, Panel
from models.selectors import Mask, selector_named

NEIGHBOURS = 5
TAIL = 0.01


class Winsorizer(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Pull values beyond the 1 % and 99 % quantiles of the training rows back to these."""

    def fit(self, X: Floats, y: Ints | None = None) -> Winsorizer:
        """Learn the two quantiles of each column."""
        self.low_, self.high_ = np.quantile(X, [TAIL, 1 - TAIL], axis=0)
        return self

    def transform(self, X: Floats) -> Floats:
        """Return the rows with every value inside its column's limits."""
        return np.clip(X, self.low_, self.high_)


class Select(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Keep the columns that the named selector chooses on the training rows."""

    def __init__(self, selector: str = "all", seed: int = 0) -> None:
        self.selector = selector
        self.seed = seed

    def fit(self, X: Floats, y: Ints) -> Select:
        """Choose columns by rows and class codes; the choice is `mask_`."""
        self.mask_ = selector_named(self.selector).fit(X, y, self.seed)
        return self

    def transform(self, X: Floats) -> Floats:
        """Return the chosen columns."""
        return np.asarray(X[:, self.mask_])


class Balance(BaseEstimator):  # type: ignore[misc]
    """Fill every minority class up to the majority: SMOTE, or copies where a class has one row."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def fit_resample(self, X: Floats, y: Ints) -> tuple[Floats, Ints]:
        """Return the rows with made-up ones appended; a pipeline calls it in `fit` only."""
        codes, counts = np.unique(y, return_counts=True)
        short = {int(c): int(n) for c, n in zip(codes, counts, strict=True) if n < counts.max()}
        wanted = dict.fromkeys(short, int(counts.max()))
        single = {code: wanted[code] for code, size in short.items() if size == 1}
        several = {code: wanted[code] for code, size in short.items() if size > 1}
        self.notes_ = balance_notes(counts)
        if several:
            k = min(NEIGHBOURS, min(short[code] for code in several) - 1)
            smote = SMOTE(sampling_strategy=several, k_neighbors=k, random_state=self.seed)
            X, y = smote.fit_resample(X, y)
        if single:
            copies = RandomOverSampler(sampling_strategy=single, random_state=self.seed)
            X, y = copies.fit_resample(X, y)
        return X, y


def balance_notes(counts: Ints) -> tuple[str, ...]:
    """Say what `Balance` does with classes of so few rows that SMOTE cannot work as usual."""
    notes = []
    if counts.min() == 1:
        notes.append("a class has one training row: it is copied, SMOTE needs two")
    several = counts[(counts > 1) & (counts < counts.max())]
    if len(several) and several.min() <= NEIGHBOURS:
        k = int(several.min()) - 1
        notes.append(f"a class has {k + 1} training rows: SMOTE uses {k} neighbours for all")
    return tuple(notes)


def build_pipeline(learner: Learner, params: Params, selector: str, seed: int, device: str) -> Any:
    """Return the whole unfitted pipeline; SMOTE acts in `fit` and never on rows to be scored."""
    return Pipeline(
        [
            *_preparation(),
            ("select", Select(selector, seed)),
            ("balance", Balance(seed)),
            ("learn", learner.build(params, seed, device)),
        ]
    )


def _preparation() -> list[tuple[str, Any]]:
    return [
        ("impute", SimpleImputer(strategy="median", keep_empty_features=True)),
        ("winsorise", Winsorizer()),
        ("scale", StandardScaler()),
    ]


@dataclass(frozen=True)
class Prepared:
    """Scaled rows of one fold, all columns: to fit on, to stop early by, to score."""

    fit: Slice
    stop: Slice | None
    score: Slice


@dataclass(frozen=True)
class FoldData:
    """What a learner gets: chosen columns, balanced rows to fit on, untouched rows to score."""

    X: Floats
    y: Ints
    stop: Slice | None
    score: Slice
    mask: Mask
    notices: tuple[str, ...]


def prepare(panel: Panel, fit: Ints, stop: Ints, score: Ints) -> Prepared:
    """Impute, winsorise and scale; every statistic comes from the `fit` rows alone."""
    values = panel.X.to_numpy()
    steps = Pipeline(_preparation()).fit(values[fit])
    return Prepared(
        (steps.transform(values[fit]), panel.y[fit]),
        (steps.transform(values[stop]), panel.y[stop]) if len(stop) else None,
        (steps.transform(values[score]), panel.y[score]),
    )


def fold_data(prepared: Prepared, selector: str, seed: int) -> FoldData:
    """Choose columns and balance classes of the fit rows; other rows only lose columns."""
    select = Select(selector, seed).fit(*prepared.fit)
    balance = Balance(seed)
    X, y = balance.fit_resample(select.transform(prepared.fit[0]), prepared.fit[1])
    stop = prepared.stop and (select.transform(prepared.stop[0]), prepared.stop[1])
    score = (select.transform(prepared.score[0]), prepared.score[1])
    return FoldData(X, y, stop, score, select.mask_, balance.notes_)
