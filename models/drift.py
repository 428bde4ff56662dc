"""Drift: whether rows that are scored are still like the rows that a model was trained on.

Per feature the population stability index over the deciles of the training rows,

    PSI = sum over bins of (now - training) * ln(now / training),  shares of the rows with a value,

with the usual reading (Siddiqi, "Credit Risk Scorecards", 2006): below 0.10 no change, to 0.25
some, from 0.25 on a large one. Without any drift PSI is about chi-squared with bins - 1 degrees of
freedom, over the number of rows (Yurdakul, "Statistical Properties of Population Stability Index",
2018): of 200 rows in ten bins it is above 0.10 by chance once in fifty times, of 100 rows every
third time. So below `FEW_ROWS` it is not told. For few rows there is the Kolmogorov-Smirnov
distance at the deciles, which is told apart from chance at any number of rows (Massart, "The Tight
Constant in the Dvoretzky-Kiefer-Wolfowitz Inequality", 1990).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from models.panel import Floats

SOME, LARGE = 0.10, 0.25  # PSI
FEW_ROWS = 200
MISSING = 0.10  # points by which a share of missing values must differ to be told
CHANCE = 0.01  # of any feature being named by its distance where nothing has changed

Verdict = Literal["large", "some", "none", "too few rows to tell", "no training values"]


@dataclass(frozen=True)
class FeatureDrift:
    """One feature of the rows against the training rows.

    Attributes:
        feature: its code.
        rows: with a value.
        psi: None where there are too few of them.
        ks: largest difference of the two distributions at the training deciles, None of no row.
        beyond_chance: whether that is more than chance explains, all features together.
        missing: share of the rows without a value.
        missing_training: the same of the training rows.
        verdict: what PSI says.
    """

    feature: str
    rows: int
    psi: float | None
    ks: float | None
    beyond_chance: bool
    missing: float
    missing_training: float
    verdict: Verdict

    @property
    def shifted(self) -> bool:
        """Whether its values have changed: by PSI, or beyond chance where rows are too few."""
        few = self.verdict == "too few rows to tell"
        return self.verdict in ("large", "some") or (few and self.beyond_chance)


@dataclass(frozen=True)
class Drift:
    """All features, those that changed most first; `rows` are those that were compared."""

    rows: int
    features: tuple[FeatureDrift, ...]

    @property
    def enough(self) -> bool:
        """Whether there are rows enough for a verdict."""
        return self.rows >= FEW_ROWS

    @property
    def shifted(self) -> tuple[FeatureDrift, ...]:
        """Features whose values have changed."""
        return tuple(one for one in self.features if one.shifted)

    @property
    def gaps(self) -> tuple[FeatureDrift, ...]:
        """Features that are missing more or less often than in training; none of too few rows."""
        if not self.enough:
            return ()
        return tuple(f for f in self.features if abs(f.missing - f.missing_training) >= MISSING)

    def words(self, most: int = 5) -> str:
        """The drift in one line."""
        shifted = ", ".join(_said(one) for one in self.shifted[:most])
        more = f" and {len(self.shifted) - most} more" if len(self.shifted) > most else ""
        if not self.enough:
            few = f"too few rows to tell ({self.rows}; {FEW_ROWS} are needed)"
            return few + (f", but beyond chance: {shifted}{more}" if shifted else "")
        size = len(self.features)
        said = f"{len(self.shifted)} of {size} features shifted" if shifted else "none shifted"
        gaps = f"; {len(self.gaps)} missing more or less often" if self.gaps else ""
        return said + (f" ({shifted}{more})" if shifted else "") + gaps


def _said(one: FeatureDrift) -> str:
    return f"{one.feature} KS {one.ks:.2f}" if one.psi is None else f"{one.feature} {one.psi:.2f}"


def reference_of(X: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What to keep of training rows to measure drift by.

    Args:
        X: rows x features, NaN where missing.

    Returns:
        Of each feature `deciles` (9 numbers; none where it is never there), `missing` (share of the
        rows) and `shares` (of the rows with a value in each bin that the deciles make).
    """
    return {str(name): _reference(X[name].to_numpy(dtype=np.float64)) for name in X.columns}


def _reference(values: Floats) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    missing = 1 - len(known) / len(values) if len(values) else 0.0
    if not len(known):
        return {"deciles": [], "missing": missing, "shares": []}
    deciles = np.quantile(known, np.arange(1, 10) / 10)
    shares = _counts(known, _edges(deciles)) / len(known)
    return {"deciles": deciles.tolist(), "missing": missing, "shares": shares.tolist()}


def _edges(deciles: Floats) -> Floats:
    """Upper ends of the bins but the last; a value that several deciles share is a bin by itself.

    Else a feature that is mostly 0 could fall below 0 and stay in the bin of "at most 0".
    """
    edges, times = np.unique(deciles, return_counts=True)
    return np.unique(np.concatenate([edges, np.nextafter(edges[times > 1], -np.inf)]))


def _counts(values: Floats, edges: Floats) -> Floats:
    places = np.searchsorted(edges, values, side="left")
    return np.bincount(places, minlength=len(edges) + 1).astype(np.float64)


def _shares(reference: Mapping[str, Any], edges: Floats, deciles: Floats) -> Floats:
    """Training shares of the bins; a tenth between two deciles where they were not kept."""
    shares = reference.get("shares")
    if shares is not None and len(shares) == len(edges) + 1:
        return np.asarray(shares, dtype=np.float64)
    below = np.searchsorted(np.sort(deciles), edges, side="right") / 10
    return np.diff(np.concatenate([[0.0], below, [1.0]]))


def psi(now: Floats, training: Floats, least: float) -> float:
    """Population stability index of two sets of shares; an empty bin counts as `least`."""
    a, b = np.maximum(now, least), np.maximum(training, least)
    return float(np.sum((a - b) * np.log(a / b)))


def drift(reference: Mapping[str, Mapping[str, Any]], frame: pd.DataFrame) -> Drift:
    """Compare rows with the training rows.

    Args:
        reference: of `reference_of`.
        frame: rows x features, NaN where missing; features without a reference are left out.

    Returns:
        Every feature that both have, by how much it shifted.
    """
    names = [str(name) for name in frame.columns if name in reference]
    level = CHANCE / max(1, len(names))
    found = [_feature(n, reference[n], frame[n].to_numpy(np.float64), level) for n in names]
    order = sorted(found, key=lambda one: (one.psi is None, -(one.psi or 0), -(one.ks or 0)))
    return Drift(len(frame), tuple(order))


def _feature(name: str, kept: Mapping[str, Any], values: Floats, level: float) -> FeatureDrift:
    known = values[np.isfinite(values)]
    rows, deciles = len(known), np.asarray(kept["deciles"], dtype=np.float64)
    missing = 1 - rows / len(values) if len(values) else 0.0
    before = float(kept["missing"])
    if not len(deciles):
        return FeatureDrift(name, rows, None, None, False, missing, before, "no training values")
    if not rows:
        few: Verdict = "too few rows to tell"
        return FeatureDrift(name, 0, None, None, False, missing, before, few)
    edges = _edges(deciles)
    training, now = _shares(kept, edges, deciles), _counts(known, edges) / rows
    ks = float(np.abs(np.cumsum(now - training)).max())
    index = None if rows < FEW_ROWS else psi(now, training, 0.5 / rows)
    beyond = ks > math.sqrt(math.log(2 / level) / (2 * rows))
    return FeatureDrift(name, rows, index, ks, beyond, missing, before, _verdict(index))


def _verdict(index: float | None) -> Verdict:
    if index is None:
        return "too few rows to tell"
    return "large" if index >= LARGE else "some" if index >= SOME else "none"
