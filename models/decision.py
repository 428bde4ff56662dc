"""When to raise the alarm: a threshold from what a missed failure costs against a false alarm.

Costs are counted in false alarms: a false alarm costs 1, a missed failure `ratio`, all else
nothing. The expected cost of not flagging a row is p x ratio, that of flagging it 1 - p, so a row
is flagged where p >= 1 / (1 + ratio) (Elkan, "The foundations of cost-sensitive learning", IJCAI
2001). That holds for calibrated probabilities (`models.calibration`); those of a model that was
fitted on balanced rows flag far too much.
"""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.calibration import checked_codes, checked_proba
from models.panel import Floats, Ints
from warehouse.errors import InputError

RATIOS = (1, 5, 10, 20, 50)
COLUMNS = (
    "ratio",
    "threshold",
    "flagged",
    "caught",
    "missed",
    "false_alarms",
    "cost_per_row",
    "cost_flag_all",
    "cost_flag_none",
    "saving",
)


def threshold(ratio: float) -> float:
    """The calibrated probability from which on a row is flagged; InputError if ratio is not > 0."""
    if not (math.isfinite(ratio) and ratio > 0):
        raise InputError(f"expected a cost ratio above 0, got {ratio}")
    return 1 / (1 + ratio)


def decide(proba: Floats, focus: int, ratio: float) -> NDArray[np.bool_]:
    """Whether each row is flagged, by its calibrated probability of the class `focus`."""
    given = checked_proba(proba, least=0)
    if not 0 <= focus < given.shape[1]:
        raise InputError(f"expected a class code 0 to {given.shape[1] - 1}, got {focus}")
    return np.asarray(given[:, focus] >= threshold(ratio))


def cost_table(
    y: Ints, proba: Floats, focus: int, ratios: tuple[float, ...] = RATIOS
) -> pd.DataFrame:
    """What flagging by the threshold of each ratio catches and costs on rows of known class.

    Returns:
        One row per ratio: `ratio`, `threshold`; counts `flagged`, `caught`, `missed`,
        `false_alarms`; `cost_per_row`, beside it the cost per row of flagging all and of flagging
        none; and `saving`, the share saved against the cheaper of these two. It is below 0 where
        the model costs more than no model, NaN where one of them costs nothing.
    """
    truth = checked_codes(y, checked_proba(proba)) == focus
    rows = [_costs(truth, decide(proba, focus, ratio), ratio) for ratio in ratios]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _costs(truth: NDArray[np.bool_], flagged: NDArray[np.bool_], ratio: float) -> tuple[float, ...]:
    rows = len(truth)
    caught = int((truth & flagged).sum())
    missed, alarms = int(truth.sum()) - caught, int(flagged.sum()) - caught
    cost = (missed * ratio + alarms) / rows
    everyone, nobody = float((~truth).mean()), float(truth.mean()) * ratio
    least = min(everyone, nobody)
    saving = 1 - cost / least if least > 0 else float("nan")
    counts = (int(flagged.sum()), caught, missed, alarms)
    return (ratio, threshold(ratio), *counts, cost, everyone, nobody, saving)
