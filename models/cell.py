"""One cell of the leaderboard: a learner with a selector."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.learner import Params
from models.panel import Floats


@dataclass(frozen=True)
class Cell:
    """One learner with one selector: chosen point, probabilities on folds and test rows.

    `shortlist` has the numbers of the best two points of its race. `error` is the reason where the
    cell failed, and then all else is empty.
    """

    learner: str
    selector: str
    params: Params
    resampling: str
    n_features: int
    cv: tuple[Floats, ...]
    test: Floats
    fit_seconds: float
    tune_seconds: float
    ms_per_company: float
    importance: Floats | None
    shortlist: tuple[int, ...] = ()
    error: str = ""

    @property
    def name(self) -> str:
        """Learner and selector, as printed."""
        return f"{self.learner}/{self.selector}"


def failed_cell(learner: str, selector: str, reason: str) -> Cell:
    """The cell that failed for that reason."""
    none = np.empty((0, 0))
    return Cell(learner, selector, {}, "", 0, (), none, 0.0, 0.0, 0.0, None, error=reason)
