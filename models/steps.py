"""The steps that prepare rows for a learner, as a saved model holds them.

They stand apart from `models.pipeline`, which fits them, so that scoring needs nothing of training.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from models.panel import Floats, Ints

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
        from models.selectors import selector_named  # not needed to score

        self.mask_ = selector_named(self.selector).fit(X, y, self.seed)
        return self

    def transform(self, X: Floats) -> Floats:
        """Return the chosen columns."""
        return np.asarray(X[:, self.mask_])
