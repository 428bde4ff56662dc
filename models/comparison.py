"""Whether one model is better than another: a paired test, so that ties are called ties.

Companies are drawn anew (rows where there are none), the same draws for every model, and the
difference in macro-F1 is taken in each draw. Models that err on the same companies differ by less
than their own intervals suggest, and pairing keeps that. The two-sided p-value is twice the share
of draws on the other side of zero, (b + 1) / (B + 1), at most 1 (Davison, Hinkley, "Bootstrap
Methods and their Application", 1997, 4.2): it is below 5 % where the 95 % interval leaves zero out.
Holm's correction (1979) is for the number of models compared: among 44 that are equal, two would
seem different.

There are 10,000 draws, not the 1,000 of an interval: the least p-value that 1,000 can give, times
44 models, is 9 %, and no difference could ever be found.

The draws stand for other companies to test on, not for other training rows or seeds: of two models
that differ here, one is better as fitted, and another fit of the same learner may not be. With
fewer than some 20 companies of a class the intervals are rough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.intervals import interval
from models.calibration import checked_codes, checked_owners, checked_proba
from models.panel import Floats, Ints
from warehouse.errors import InputError

DRAWS = 10_000
LEVEL = 0.05
CHUNK = 1_000_000  # numbers held at a time for each array
COLUMNS = ("name", "difference", "low", "high", "p", "p_holm", "verdict")


def compare(
    y: Ints,
    probas: Mapping[str, Floats],
    classes: tuple[str, ...],
    groups: NDArray[np.str_] | None,
    seed: int,
    first: str,
) -> pd.DataFrame:
    """Compare every model with the one named `first`, on the same rows.

    Args:
        y: class codes of the rows.
        probas: per model the probabilities, rows x classes.
        classes: names of the classes.
        groups: company of each row, or None.
        seed: of the draws.
        first: the model to compare with, as the highest-ranked.

    Returns:
        One row per model, in the order given: `name`; `difference` in macro-F1, above 0 where the
        model is better than the first; `low`, `high`: its 95 % interval, not corrected; `p`;
        `p_holm`, corrected; `verdict`: `ahead` or `behind` where `p_holm` is below 0.05, else
        `tied`. The first is tied with itself and is not counted in the correction.

    Raises:
        InputError: `first` is not among the models, or rows, classes and companies do not fit.
    """
    if first not in probas:
        raise InputError(f"no model {first!r} to compare with; there are {', '.join(probas)}")
    tallies = _tallies(y, probas, classes, checked_owners(groups, len(y)))
    values = _macro_f1(tallies.sum(axis=0)[None])[0]
    drawn = np.vstack([_macro_f1(block) for block in _resampled(tallies, seed)])
    at = list(probas).index(first)
    apart = drawn - drawn[:, [at]]
    p = _two_sided(apart)
    others = np.arange(len(probas)) != at
    corrected = np.ones(len(probas))
    corrected[others] = holm(p[others])
    lines = [
        (name, gap, *interval(column), p_one, p_all, _verdict(gap, p_all))
        for name, gap, column, p_one, p_all in zip(
            probas, values - values[at], apart.T, p, corrected, strict=True
        )
    ]
    return pd.DataFrame(lines, columns=list(COLUMNS))


def holm(p: Floats) -> Floats:
    """P-values corrected for their number (Holm, "A simple sequentially rejective ...", 1979)."""
    order = np.argsort(p, kind="stable")
    scaled = p[order] * np.arange(len(p), 0, -1)
    corrected = np.empty(len(p))
    corrected[order] = np.minimum(np.maximum.accumulate(scaled), 1.0)
    return corrected


def _verdict(gap: float, p: float) -> str:
    if p >= LEVEL:
        return "tied"
    return "ahead" if gap > 0 else "behind"


def _two_sided(apart: Floats) -> Floats:
    below, above = (apart <= 0).sum(axis=0), (apart >= 0).sum(axis=0)
    return np.asarray(np.minimum(2 * (np.minimum(below, above) + 1) / (len(apart) + 1), 1.0))


def _tallies(
    y: Ints, probas: Mapping[str, Floats], classes: tuple[str, ...], owners: Ints
) -> Floats:
    """Companies x models x 2 x classes: rows rightly given the class, rows of it or given it.

    The second counts a row twice that is of the class and given it: F1 is 2 x first / second.
    """
    size = len(classes)
    tallies = np.zeros((int(owners.max(initial=-1)) + 1, len(probas), 2, size))
    for model, (name, proba) in enumerate(probas.items()):
        given = checked_proba(proba)
        if given.shape[1] != size:
            raise InputError(f"{name}: expected {size} classes, got {given.shape[1]}")
        codes = checked_codes(y, given)
        said = np.asarray(proba).argmax(axis=1)
        hit = said == codes
        np.add.at(tallies[:, model, 0], (owners[hit], codes[hit]), 1.0)
        np.add.at(tallies[:, model, 1], (owners, codes), 1.0)
        np.add.at(tallies[:, model, 1], (owners, said), 1.0)
    return tallies


def _resampled(tallies: Floats, seed: int) -> Iterator[Floats]:
    """Yield tallies of all companies, draws x models x 2 x classes, block by block."""
    companies, *shape = tallies.shape
    flat = tallies.reshape(companies, -1)
    random = np.random.default_rng(seed)
    block = max(1, CHUNK // max(flat.shape))
    for start in range(0, DRAWS, block):
        count = min(block, DRAWS - start)
        weights = random.multinomial(companies, np.full(companies, 1 / companies), size=count)
        yield (weights.astype(np.float64) @ flat).reshape(count, *shape)


def _macro_f1(tallies: Floats) -> Floats:
    """Draws x models: mean F1 over the classes that occur in truth or prediction.

    The figure of the leaderboard (a test compares them), from 2 numbers a class instead of a
    whole confusion: with 50 classes that is the difference between seconds and minutes.
    """
    hits, either = tallies[:, :, 0], tallies[:, :, 1]
    f1 = np.divide(2 * hits, either, out=np.zeros_like(hits), where=either > 0)
    return np.asarray(f1.sum(axis=2) / (either > 0).sum(axis=2))
