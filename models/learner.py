"""What a learner of the leaderboard is: `models.learners` and `models.rivals` list them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from models.panel import Floats, Ints

Params = dict[str, Any]
Slice = tuple[Floats, Ints]
Fit = Callable[[Any, Floats, Ints, Slice | None], int | None]


def fit_plain(model: Any, X: Floats, y: Ints, stop: Slice | None) -> int | None:
    """Fit a model that has no rounds to stop; None, as there is no number of them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "did not converge" is settled by the tuning score
        model.fit(X, y)
    return None


@dataclass(frozen=True)
class Learner:
    """One classifier: how to build and fit it, the paper's values and two grids around them.

    `trees` names the parameter that early stopping chooses: rounds, or epochs; `lean` makes all
    fits of `full` cheaper than the library's own settings do, at no loss that could be measured
    (fewer bins, columns to split by, trees); `tuning` makes fits on its tuning folds cheaper still
    (fewer trees) and leaves the final fit alone; `cost` is a rough relative time of one fit, used
    to start the long ones first; `save` names the format of the fitted model.
    """

    name: str
    title: str
    build: Callable[[Params, int, str], Any] = field(repr=False)
    paper: Params
    quick: tuple[Params, ...]
    full: tuple[Params, ...]
    cost: float
    trees: str | None = None
    lean: Params = field(default_factory=dict)
    tuning: Params = field(default_factory=dict)
    fit: Callable[[Any, Floats, Ints, Slice | None], int | None] = field(
        default=fit_plain, repr=False
    )
    save: str = "skops"
    default: bool = True

    def points(self, grid: str) -> tuple[Params, ...]:
        """Parameter points of `paper`, `quick` or `full`."""
        full = tuple({**params, **self.lean} for params in self.full)
        return {"paper": (self.paper,), "quick": self.quick, "full": full}[grid]
