"""What is said of the best model beyond its figures: calibration, sets, costs, ties.

All that is fitted here is fitted on out-of-fold probabilities of the training rows, by the folds
that tuned the model; the test rows judge it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from models.calibration import Calibration, reliability
from models.cell import Cell
from models.comparison import compare
from models.conformal import ConformalSets, coverage_table
from models.decision import cost_table
from models.metrics import METRICS, measure
from models.panel import Floats, Ints, Panel
from models.protocols import Split

COVERAGE = 0.9
CALIBRATED = ("log_loss", "brier", "ece")


@dataclass(frozen=True)
class Assessment:
    """Of the best model, on the test rows; tables are empty where there were no tuning folds.

    Attributes:
        calibration: of its probabilities, None without tuning folds.
        sets: prediction sets of the calibrated probabilities, None without tuning folds.
        proba: calibrated probabilities of the test rows, rows x classes.
        quality: `figure`, and its value `as_given` and `calibrated`.
        reliability: of `models.calibration.reliability`, with `kind` as_given or calibrated.
        coverage: of `models.conformal.coverage_table`.
        costs: of `models.decision.cost_table`.
        comparison: every model against the best: of `models.comparison.compare`.
        notices: what a reader should know.
    """

    calibration: Calibration | None
    sets: ConformalSets | None
    proba: Floats | None
    quality: pd.DataFrame
    reliability: pd.DataFrame
    coverage: pd.DataFrame
    costs: pd.DataFrame
    comparison: pd.DataFrame
    notices: tuple[str, ...]

    @property
    def tied(self) -> tuple[str, ...]:
        """Models that the test rows cannot tell from the best, without the best itself."""
        rows = self.comparison.iloc[1:]
        return tuple(rows.loc[rows["verdict"] == "tied", "name"])


def assess(
    panel: Panel,
    split: Split,
    folds: Sequence[Ints],
    cells: Sequence[Cell],
    best: Cell,
    seed: int,
) -> Assessment:
    """Assess the best of the cells.

    Args:
        panel: all rows.
        split: training and test rows.
        folds: rows that each tuning fold scored, in the order of the cells' `cv`.
        cells: all that could be fitted.
        best: one of them.
        seed: of draws.
    """
    groups = None if panel.groups is None else panel.groups[split.test]
    y = panel.y[split.test]
    ranked = {best.name: best.test, **{cell.name: cell.test for cell in cells}}
    comparison = compare(y, ranked, panel.classes, groups, seed, best.name)
    none = pd.DataFrame()
    if not folds:
        note = "probabilities are not calibrated: there were no tuning folds"
        return Assessment(None, None, None, none, none, none, none, comparison, (note,))
    rows = np.concatenate(folds)
    calibration, sets = fitted(panel, rows, np.vstack(best.cv))
    proba = calibration.apply(best.test)
    return Assessment(
        calibration,
        sets,
        proba,
        _quality(y, best.test, proba),
        _reliability(y, best.test, proba, panel.classes),
        coverage_table(y, sets.sets(proba), panel.classes, groups, seed),
        cost_table(y, proba, panel.focus),
        comparison,
        sets.notices(panel.classes),
    )


def fitted(panel: Panel, rows: Ints, proba: Floats) -> tuple[Calibration, ConformalSets]:
    """Calibration and prediction sets by out-of-fold probabilities of these training rows."""
    y = panel.y[rows]
    groups = None if panel.groups is None else panel.groups[rows]
    calibration = Calibration.fit(proba, y)
    return calibration, ConformalSets.fit(calibration.apply(proba), y, COVERAGE, groups)


def _quality(y: Ints, given: Floats, calibrated: Floats) -> pd.DataFrame:
    lines = [
        (metric.name, measure(metric, y, given, 0), measure(metric, y, calibrated, 0))
        for metric in METRICS
        if metric.name in CALIBRATED
    ]
    return pd.DataFrame(lines, columns=["figure", "as_given", "calibrated"])


def _reliability(
    y: Ints, given: Floats, calibrated: Floats, classes: tuple[str, ...]
) -> pd.DataFrame:
    parts = (("as_given", given), ("calibrated", calibrated))
    frames = [reliability(y, proba, classes).assign(kind=kind) for kind, proba in parts]
    return pd.concat(frames, ignore_index=True)
