"""Rows beside the learners: outsiders, which take no chosen columns, and ensembles of cells."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.cell import Cell, failed_cell
from models.ensembles import soft_vote, stack
from models.outsiders import OUTSIDERS, Outsider, outsider_named
from models.panel import Floats, Ints, Panel
from models.protocols import Split
from warehouse.errors import InputError

ENSEMBLES = {"soft-vote": "Soft vote", "stack": "Stacking"}
TITLES = {**{outsider.name: outsider.title for outsider in OUTSIDERS}, **ENSEMBLES}
NO_SELECTOR = "none"


def extra_cells(
    names: Sequence[str],
    panel: Panel,
    split: Split,
    folds: Sequence[tuple[Ints, Ints]],
    cells: Sequence[Cell],
    seed: int,
    by_time: bool,
) -> list[Cell]:
    """Rows of these names; one that cannot be made is a failed cell with the reason.

    Args:
        names: of outsiders and ensembles.
        panel: all rows.
        split: training and test rows.
        folds: tuning folds, rows to fit on and rows that were scored.
        cells: of the learners, which ensembles are made of.
        seed: of what draws.
        by_time: whether folds follow time.
    """
    made = []
    for name in names:
        try:
            with threadpool_limits(1):
                if name in ENSEMBLES:
                    made.append(_ensemble(name, panel, folds, cells, by_time))
                else:
                    made.append(_outsider(outsider_named(name), panel, split, folds, seed))
        except Exception as error:  # whatever a library raises: the other rows are done
            made.append(failed_cell(name, NO_SELECTOR, _reason(error)))
    return made


def _reason(error: Exception) -> str:
    said = " ".join(str(error).split())
    return said if isinstance(error, InputError) else f"{type(error).__name__}: {said[:200]}"


def _outsider(
    outsider: Outsider,
    panel: Panel,
    split: Split,
    folds: Sequence[tuple[Ints, Ints]],
    seed: int,
) -> Cell:
    cv = tuple(outsider.predict(panel, Split(fit, score), seed) for fit, score in folds)
    began = time.perf_counter()
    test = outsider.predict(panel, split, seed)
    return _cell(outsider.name, cv, test, time.perf_counter() - began)


def _ensemble(
    name: str,
    panel: Panel,
    folds: Sequence[tuple[Ints, Ints]],
    cells: Sequence[Cell],
    by_time: bool,
) -> Cell:
    y_folds = [panel.y[score] for _, score in folds]
    began = time.perf_counter()
    if name == "soft-vote":
        made = soft_vote(cells, y_folds)
    else:
        made = stack(cells, y_folds, by_time=by_time)
    return _cell(name, made.cv, made.test, time.perf_counter() - began)


def _cell(name: str, cv: tuple[Floats, ...], test: Floats, seconds: float) -> Cell:
    if not all(np.isfinite(part).all() for part in (*cv, test)):
        raise InputError("it gives probabilities that are not numbers")
    each = seconds * 1000 / len(test)
    return Cell(name, NO_SELECTOR, {}, "none", 0, cv, test, seconds, 0.0, each, None)
