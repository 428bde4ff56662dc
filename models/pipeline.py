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
import pandas as pd
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import Pipeline
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import StandardScaler

from models.learner import Learner, Params, Slice
from models.panel import Floats, Ints, Panel
from models.selectors import Mask, selector_named

NEIGHBOURS = 5
RESAMPLINGS = ("smote", "none")  # how classes of the training rows are balanced
TAIL = 0.01
LEAST_VALUES = 5  # that a median of a sector rests on
SPAN = 20_000  # years, counted from -10,000: sector key times this, plus the year, is one number

Yearly = tuple[Floats, Floats, Floats]


class SectorRelative(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Add each ratio's difference from the median of its sector in that year.

    Medians are of training rows, and each must rest on 5 values of that ratio. The first of these
    that is there is taken:

    1. that of the sector in the year; where no training row is of the year, that of the sector in
       the latest training year before it;
    2. that of the sector over all training years;
    3. that of all sectors in the year; where no training row is of it, in the latest year before.

    Where none is there, or the ratio is missing, the difference is NaN. Rows of no known sector
    (key NaN) count for the third alone.

    Args:
        columns: positions of the ratios. The last two columns of the rows are the sector's key
            and the year; they give way to the differences, in the order of `columns`.
    """

    def __init__(self, columns: tuple[int, ...] = ()) -> None:
        self.columns = columns

    def fit(self, X: Floats, y: Ints | None = None) -> SectorRelative:
        """Learn the medians."""
        values, sector, year = self._parts(X)
        known = ~np.isnan(sector)
        self.years_ = np.unique(year[~np.isnan(year)])
        self.sector_year_ = _yearly(values[known], sector[known], year[known])
        self.sector_ = _medians(values[known], sector[known])
        self.year_ = _yearly(values, np.zeros(len(values)), year)
        return self

    def transform(self, X: Floats) -> Floats:
        """Return the rows without the two keys and with the differences."""
        values, sector, year = self._parts(X)
        median = _of_year(self.sector_year_, sector, year, self.years_)
        for other in (
            _found(*self.sector_, sector),
            _of_year(self.year_, np.zeros(len(values)), year, self.years_),
        ):
            median = np.where(np.isnan(median), other, median)
        return np.hstack([X[:, :-2], values - median])

    def _parts(self, X: Floats) -> tuple[Floats, Floats, Floats]:
        return X[:, list(self.columns)], X[:, -2], X[:, -1]


def _medians(values: Floats, keys: Floats) -> tuple[Floats, Floats]:
    """The distinct keys in order, and of each the medians of the columns: NaN of few values."""
    groups = pd.DataFrame(values).groupby(keys)
    medians = groups.median().where(groups.count() >= LEAST_VALUES)
    return medians.index.to_numpy(dtype=np.float64), medians.to_numpy(dtype=np.float64)


def _yearly(values: Floats, sector: Floats, year: Floats) -> Yearly:
    """Keys of sector and year in order, their medians, and the latest medians up to that year."""
    keys, medians = _medians(values, _pair(sector, year))
    latest = pd.DataFrame(medians).groupby(keys // SPAN).ffill()
    return keys, medians, latest.to_numpy(dtype=np.float64)


def _pair(sector: Floats, year: Floats) -> Floats:
    return sector * SPAN + (year + SPAN / 2)


def _found(keys: Floats, table: Floats, wanted: Floats) -> Floats:
    """The row of the table for each key that is wanted, NaN where there is none."""
    return _rows(table, np.searchsorted(keys, wanted), np.isin(wanted, keys))


def _of_year(yearly: Yearly, sector: Floats, year: Floats, years: Floats) -> Floats:
    """Medians of the year or, where it is not among `years`, of the latest year before it."""
    keys, medians, latest = yearly
    wanted = _pair(sector, year)
    before = np.searchsorted(keys, wanted) - 1
    same = (before >= 0) & (np.append(keys, np.nan)[before] // SPAN == sector) & ~np.isnan(wanted)
    earlier = _rows(latest, before, same)
    return np.where(np.isin(year, years)[:, None], _found(keys, medians, wanted), earlier)


def _rows(table: Floats, at: Ints, there: NDArray[np.bool_]) -> Floats:
    return np.vstack([table, np.full(table.shape[1], np.nan)])[np.where(there, at, len(table))]


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
