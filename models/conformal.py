"""Prediction sets: for each company the classes that cannot be ruled out at a stated coverage.

A class is in the set of a row if its probability reaches the class's threshold. The threshold is
a low quantile of the out-of-fold probabilities that training rows of that class got for their own
class (split conformal prediction with 1 - p as score, one quantile per class: "Mondrian" or
label-conditional; Vovk, Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005; Sadinle,
Lei, Wasserman, JASA 2019). So coverage is meant to hold within each class: sets that cover 90 % of
all rows may well miss every bankrupt one, of which there are 5 %.

Companies. Rows of one company are alike, so 5 years of 50 companies are not 250 independent rows
and their plain quantile promises too much. Each company has one vote, parted evenly among its
rows of the class, and the company to be judged has one more, at the worst place: the hierarchical
conformal prediction of Lee, Barber, Willett ("Distribution-free inference with hierarchical data",
2023). Against one row drawn per company (Dunn, Wasserman, Ramdas, JASA 2023) it promises the same,
uses all rows and does not hang on a draw. Without companies each row has a vote, and the threshold
is the usual one of (n + 1) x coverage. Measured on one split by company with eight calibrated
learners, coverage .9: of a test company's rows .91 were covered with votes of companies and .88
with votes of rows on the public set of three classes (105 companies), .88 and .87 on the real
Indian panel (99), where the failing classes were covered at .97 and more and the healthy at .85.

What is promised. If the thresholds were applied to probabilities of the very model that gave
those they were fitted on, and companies of the class were exchangeable, then a random row of a new
company would be covered with at least the stated probability, for each class, whatever the model.
Two things are weaker here:

* Out-of-fold probabilities come from the models of the folds, and sets from the one fitted on all
  training rows. For that there is no finite-sample guarantee (that of CV+ and cross-conformal
  prediction, 1 - 2 x (1 - coverage), needs the models of all folds at prediction). The model of
  all rows has more to learn from, so coverage tends to be at least the stated one, but this
  rests on the model being stable. What was chosen on the same folds (parameters, calibration)
  pulls slightly the other way. `coverage_table` on test rows says what came of it.
* Later years are not exchangeable with earlier ones: under a split by time nothing is promised.

And the promise is for a row drawn from a company drawn: companies of many years do not count more,
as they do in a share of rows. It says nothing of a set's being right given what it holds.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.intervals import interval
from models.calibration import (
    checked_codes,
    checked_counts,
    checked_fields,
    checked_number,
    checked_numbers,
    checked_owners,
    checked_proba,
    wilson,
)
from models.metrics import _draws
from models.panel import MOST_CLASSES, Floats, Ints
from warehouse.errors import InputError

Groups = NDArray[np.str_]
Sets = NDArray[np.bool_]

TINY = 1e-9  # sums of equal parts are compared with the coverage


@dataclass(frozen=True)
class ConformalSets:
    """The least probability with which each class is in a set.

    Attributes:
        coverage: share of rows, within each class, whose set is to hold the true class.
        thresholds: per class; 0 where there are too few to rule the class out, ever.
        counts: companies (rows where there are none) of each class behind its threshold.
    """

    coverage: float
    thresholds: tuple[float, ...]
    counts: tuple[int, ...]

    @classmethod
    def fit(
        cls, proba: Floats, y: Ints, coverage: float = 0.9, groups: Groups | None = None
    ) -> ConformalSets:
        """Fit on out-of-fold probabilities (rows x classes), class codes and companies.

        Give calibrated probabilities if the sets are to be of calibrated ones.

        Raises:
            InputError: a coverage that is not between 0 and 1, or rows that do not fit together.
        """
        if not 0 < coverage < 1:
            raise InputError(f"expected a coverage between 0 and 1, got {coverage}")
        given = checked_proba(proba)
        codes = checked_codes(y, given)
        owners = checked_owners(groups, len(codes))
        found = [
            _threshold(given[codes == code, code], owners[codes == code], coverage)
            for code in range(given.shape[1])
        ]
        return cls(float(coverage), tuple(t for t, _ in found), tuple(n for _, n in found))

    def sets(self, proba: Floats) -> Sets:
        """Rows x classes: whether the class is in the row's set.

        A set may be empty: the row is like none of the classes at this coverage.
        """
        given = checked_proba(proba, least=0)
        if given.shape[1] != len(self.thresholds):
            raise InputError(
                f"sets of {len(self.thresholds)} classes, probabilities of {given.shape[1]}"
            )
        return np.asarray(given >= np.array(self.thresholds))

    def notices(self, classes: tuple[str, ...]) -> tuple[str, ...]:
        """Say which classes are in every set because too few rows or companies are known."""
        needed = math.ceil(self.coverage / (1 - self.coverage) - TINY)
        return tuple(
            f"class {name!r} is in every prediction set: a coverage of {self.coverage:.0%} needs"
            f" {needed} companies of it (rows where there are none), here are {count}"
            for name, count in zip(classes, self.counts, strict=True)
            if count < needed
        )

    def to_json(self) -> dict[str, Any]:
        """Plain numbers for a manifest."""
        return {
            "coverage": self.coverage,
            "thresholds": list(self.thresholds),
            "counts": list(self.counts),
        }

    @classmethod
    def from_json(cls, value: object) -> ConformalSets:
        """Read what `to_json` gave; raise InputError if any value is not what it must be."""
        what = "prediction sets"
        fields = checked_fields(value, ("coverage", "thresholds", "counts"), what)
        coverage = checked_number(fields["coverage"], f"{what}, 'coverage'", 1.0)
        thresholds = checked_numbers(fields["thresholds"], f"{what}, 'thresholds'", largest=1.0)
        size = len(thresholds)
        if not 0 < coverage < 1 or min(thresholds, default=0.0) < 0:
            raise InputError(f"{what}: coverage and thresholds must lie between 0 and 1")
        if not 2 <= size <= MOST_CLASSES:
            raise InputError(f"{what}: 2 to {MOST_CLASSES} classes expected, got {size}")
        return cls(coverage, thresholds, checked_counts(fields["counts"], what, size))


def _threshold(own: Floats, owners: Ints, coverage: float) -> tuple[float, int]:
    """The largest probability that enough votes reach, and how many companies vote.

    One vote more than there are companies is counted, and that one reaches nothing.
    """
    _, at, rows = np.unique(owners, return_inverse=True, return_counts=True)
    order = np.argsort(-own, kind="stable")
    votes = np.cumsum(1 / rows[at][order]) / (len(rows) + 1)
    enough = np.flatnonzero(votes >= coverage - TINY)
    return (float(own[order][enough[0]]) if len(enough) else 0.0), len(rows)


def coverage_table(
    y: Ints,
    sets: Sets,
    classes: tuple[str, ...],
    groups: Groups | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """What prediction sets do on rows that neither model nor thresholds have seen.

    Returns:
        One row per class and one for `all`: `class`; `rows`; `companies` (rows where there are
        none); `covered`, the share of rows whose set holds the truth, with its 95 % interval `low`
        to `high` by drawing companies anew, by Wilson's formula where there are none; `by_company`,
        the mean of the companies' shares, of which the coverage is promised; `set_size`, the mean
        number of classes; `empty` and `singletons`, shares of rows. NaN where there is no row. The
        interval of companies that are all covered has no width, which says little of few.
    """
    given = np.asarray(sets, dtype=bool)
    if given.ndim != 2 or given.shape[1] != len(classes):
        raise InputError(f"expected sets of {len(classes)} classes, got a table of {given.shape}")
    codes = checked_codes(y, given.astype(np.float64))
    owners = checked_owners(groups, len(codes))
    hit = given[np.arange(len(codes)), codes]
    members = np.column_stack(
        [*(codes == code for code in range(len(classes))), np.ones(len(codes), dtype=bool)]
    )
    spans = _spans(hit, members, groups, seed)
    lines = [
        (name, *_line(hit[at], given[at].sum(axis=1), owners[at], span))
        for name, at, span in zip((*classes, "all"), members.T, spans, strict=True)
    ]
    names = ["rows", "companies", "covered", "low", "high", "by_company", "set_size"]
    return pd.DataFrame(lines, columns=["class", *names, "empty", "singletons"])


def _line(hit: Sets, sizes: Ints, owners: Ints, span: tuple[float, float]) -> tuple[float, ...]:
    if len(hit) == 0:
        return 0, 0, *(float("nan"),) * 7
    shares = pd.Series(hit.astype(np.float64)).groupby(owners).mean()
    return (
        len(hit),
        len(shares),
        float(hit.mean()),
        *span,
        float(shares.mean()),
        float(sizes.mean()),
        float((sizes == 0).mean()),
        float((sizes == 1).mean()),
    )


def _spans(hit: Sets, members: Sets, groups: Groups | None, seed: int) -> list[tuple[float, float]]:
    """The 95 % interval of the share of hits in each column of `members`."""
    nothing = (float("nan"), float("nan"))
    if groups is None:
        return [wilson(int(hit[m].sum()), int(m.sum())) if m.any() else nothing for m in members.T]
    there = members.astype(np.float64)
    found = there * hit[:, None]
    parts = []
    for weights in _draws(len(hit), groups, seed):
        whole = weights @ there
        empty = np.full(whole.shape, np.nan)
        parts.append(np.divide(weights @ found, whole, out=empty, where=whole > 0))
    return [interval(column) for column in np.vstack(parts).T]
