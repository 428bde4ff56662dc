"""Impute → winsorise → scale → select → SMOTE → learn, everything fitted on training rows only.

Where asked, a step before all these compares ratios with their sector.

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
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from models.learner import Learner, Params, Slice
from models.panel import Floats, Ints, Panel
from models.selectors import Mask
from models.steps import SectorRelative, Select, Winsorizer

NEIGHBOURS = 5
RESAMPLINGS = ("smote", "none")  # how classes of the training rows are balanced


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


def build_pipeline(
    learner: Learner,
    params: Params,
    selector: str,
    seed: int,
    device: str,
    relative_at: tuple[int, ...] = (),
    resampling: str = RESAMPLINGS[0],
) -> Any:
    """Return the whole unfitted pipeline; SMOTE acts in `fit` and never on rows to be scored.

    `relative_at` are the positions of ratios to compare with their sector, as the panel has them.
    """
    return Pipeline(
        [
            *_preparation(relative_at),
            ("select", Select(selector, seed)),
            *([("balance", Balance(seed))] if resampling == "smote" else []),
            ("learn", learner.build(params, seed, device)),
        ]
    )


def _preparation(relative_at: tuple[int, ...]) -> list[tuple[str, Any]]:
    relative = [("relative", SectorRelative(relative_at))] if relative_at else []
    return [
        *relative,
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
class Balanced:
    """Rows to fit on with those that SMOTE made up; `given` of them, the first, are real."""

    X: Floats
    y: Ints
    given: int

    def rows(self, resampling: str) -> Slice:
        """Balanced, or as they are."""
        if resampling == "smote":
            return self.X, self.y
        return self.X[: self.given], self.y[: self.given]


@dataclass(frozen=True)
class FoldData:
    """What a learner gets: chosen columns, rows to fit on, untouched rows to score.

    A learner that is stopped early fits on `kept` and stops by `stop`; others fit on the `whole`
    of both.
    """

    kept: Balanced
    whole: Balanced
    stop: Slice | None
    score: Slice
    mask: Mask
    notices: tuple[str, ...]


def prepare(panel: Panel, fit: Ints, stop: Ints, score: Ints) -> Prepared:
    """Impute, winsorise and scale; every statistic comes from the `fit` rows alone."""
    values = panel.X.to_numpy()
    steps = Pipeline(_preparation(panel.relative_at)).fit(values[fit])
    return Prepared(
        (steps.transform(values[fit]), panel.y[fit]),
        (steps.transform(values[stop]), panel.y[stop]) if len(stop) else None,
        (steps.transform(values[score]), panel.y[score]),
    )


def fold_data(prepared: Prepared, selector: str, seed: int) -> FoldData:
    """Choose columns and balance classes of the fit rows; other rows only lose columns."""
    select = Select(selector, seed).fit(*prepared.fit)
    X, y = select.transform(prepared.fit[0]), prepared.fit[1]
    kept, notices = _balanced(X, y, seed)
    stop = prepared.stop and (select.transform(prepared.stop[0]), prepared.stop[1])
    whole = _balanced(np.vstack([X, stop[0]]), np.append(y, stop[1]), seed)[0] if stop else kept
    score = (select.transform(prepared.score[0]), prepared.score[1])
    return FoldData(kept, whole, stop, score, select.mask_, notices)


def _balanced(X: Floats, y: Ints, seed: int) -> tuple[Balanced, tuple[str, ...]]:
    balance = Balance(seed)
    return Balanced(*balance.fit_resample(X, y), len(y)), balance.notes_
