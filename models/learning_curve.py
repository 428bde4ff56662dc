"""Would more companies help? The same model fitted on growing parts of the training companies."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.calibration import checked_codes, checked_proba
from models.metrics import measure, metric_named
from models.panel import Floats, Ints
from warehouse.errors import InputError

SHARES = (0.1, 0.2, 0.4, 0.7, 1.0)
COLUMNS = ("share", "repeat", "companies", "rows", "macro_f1", "recall_focus", "log_loss")
_FIGURES = (
    metric_named("macro_f1"),
    metric_named("recall", per_class=True),
    metric_named("log_loss"),
)


def learning_curve(
    fit_and_score: Callable[[Ints], Floats],
    groups: NDArray[np.str_] | None,
    y: Ints,
    train: Ints,
    test: Ints,
    focus: int,
    shares: tuple[float, ...] = SHARES,
    seed: int = 0,
    repeats: int = 3,
) -> pd.DataFrame:
    """Quality on the test rows after a fit on part of the training companies.

    The parts of one repeat are nested: who is in a smaller part is in every larger one, so that
    a step of the curve is made by companies added and none taken away. Companies are drawn in
    equal shares from each class (the rarest that a company has), and one company of each class is
    in every part.

    Args:
        fit_and_score: fits on the rows of these numbers alone and returns the probabilities of
            the test rows, rows x classes.
        groups: company of each row of the panel, or None: then every row counts as a company.
        y: class code of each row of the panel.
        train: numbers of the training rows.
        test: numbers of the test rows.
        focus: code of the class whose recall is told.
        shares: of the training companies, above 0 and up to 1.
        seed: of the order in which companies are added.
        repeats: orders to try; the whole of the companies is fitted once.

    Returns:
        One row per share and repeat: `share` as asked for, `repeat`, `companies` and `rows` fitted
        on, `macro_f1`, `recall_focus`, `log_loss`.

    Raises:
        InputError: shares or repeats out of range, or no training row.
    """
    if not shares or not all(0 < share <= 1 for share in shares) or repeats < 1 or not len(train):
        raise InputError(
            f"expected training rows, shares above 0 and up to 1, and 1 repeat or more; got"
            f" {len(train)} rows, {shares}, {repeats}"
        )
    names = train if groups is None else groups[train]
    owners = np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)
    random = np.random.default_rng(seed)
    lines = []
    for repeat in range(repeats):
        due = _due(owners, y[train], random)
        for share in sorted(set(shares)):
            if share == 1 and repeat:
                continue
            chosen = due < share
            proba = checked_proba(fit_and_score(train[chosen[owners]]))
            truth = checked_codes(y[test], proba)
            figures = [measure(figure, truth, proba, focus) for figure in _FIGURES]
            rows = int(chosen[owners].sum())
            lines.append((share, repeat, int(chosen.sum()), rows, *figures))
    frame = pd.DataFrame(lines, columns=list(COLUMNS))
    return frame.sort_values(["share", "repeat"], ignore_index=True)


def _due(owners: Ints, y: Ints, random: np.random.Generator) -> Floats:
    """For each company the share above which it is in: 0 for the one of each class that always is.

    A company stands in the stratum of the rarest class it has (counted in companies), and those of
    a stratum are in line in random order.
    """
    holds = np.zeros((int(owners.max()) + 1, int(y.max()) + 1), dtype=bool)
    holds[owners, y] = True
    counts = holds.sum(axis=0)
    stratum = np.where(holds, counts, len(holds) + 1).argmin(axis=1)
    due = np.empty(len(holds))
    for code in np.unique(stratum):
        members = np.flatnonzero(stratum == code)
        due[members] = random.permutation(len(members)) / len(members)
    for code in np.flatnonzero(counts):
        due[random.choice(np.flatnonzero(holds[:, code]))] = 0.0
    return due
