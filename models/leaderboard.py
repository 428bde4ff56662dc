"""The leaderboard: a pure function of the long results table."""

from __future__ import annotations

import numpy as np
import pandas as pd

from models.metrics import columns
from warehouse.errors import InputError

KEYS = ("learner", "selector", "protocol")
FACTS = ("n_features", "fit_seconds", "ms_per_company")
EXTRA = ("macro_f1_low", "macro_f1_high", "ms_per_company", "resampling")
CV = "cv_macro_f1"  # last column, where there were tuning folds


Chosen = dict[tuple[str, str], tuple[str, str]]


def leaderboard_columns(classes: tuple[str, ...]) -> tuple[str, ...]:
    """Column names in order: the published ones up to `params`, then ours."""
    names = tuple(name for name, _, _ in columns(classes, 0))
    return ("rank", *KEYS, "n_features", *names, "fit_seconds", "params", *EXTRA)


def leaderboard(results: pd.DataFrame, chosen: Chosen, classes: tuple[str, ...]) -> pd.DataFrame:
    """Rank learners and selectors, one row each, by mean macro-F1 on the tuning folds.

    So the test rows judge what was chosen without them. Without tuning folds they rank as well.

    Args:
        results: learner, selector, protocol, fold, metric, value, low, high.
        chosen: parameters as JSON and resampling of each (learner, selector).
        classes: names in the order of their codes.

    Raises:
        InputError: there is a hole, a NaN or a duplicate; it is named.
    """
    test = results[results["fold"] == "test"]
    _refuse_duplicates(test)
    metrics = [name for name, _, _ in columns(classes, 0)]
    wide = test.pivot(index=list(KEYS), columns="metric", values="value")
    wide = wide.reindex(columns=[*metrics, *FACTS])
    folds = results[(results["fold"] != "test") & (results["metric"] == "macro_f1")]
    if len(folds):
        wide[CV] = folds.groupby(list(KEYS))["value"].mean()
    _refuse_holes(wide, set(chosen))
    macro = test[test["metric"] == "macro_f1"].set_index(list(KEYS))
    wide["macro_f1_low"], wide["macro_f1_high"] = macro["low"], macro["high"]
    board = wide.reset_index()
    cells = list(zip(board["learner"], board["selector"], strict=True))
    board["params"] = [chosen[cell][0] for cell in cells]
    board["resampling"] = [chosen[cell][1] for cell in cells]
    board["n_features"] = board["n_features"].astype("int64")
    return _ranked(board)[[*leaderboard_columns(classes), *([CV] if len(folds) else [])]]


def _ranked(board: pd.DataFrame) -> pd.DataFrame:
    first = [CV] if CV in board.columns else []
    order = [*first, "macro_f1", "balanced_accuracy", "learner", "selector"]
    ascending = [name in ("learner", "selector") for name in order]
    board = board.sort_values(order, ascending=ascending, ignore_index=True)
    board["rank"] = np.arange(1, len(board) + 1)
    board.columns.name = None
    return board


def _refuse_duplicates(test: pd.DataFrame) -> None:
    twice = test[test.duplicated([*KEYS, "metric"])]
    if len(twice):
        first = twice.iloc[0]
        raise InputError(
            f"leaderboard: {first['metric']} of {first['learner']}/{first['selector']} is given"
            " more than once"
        )


def _refuse_holes(wide: pd.DataFrame, wanted: set[tuple[str, str]]) -> None:
    found = {(str(learner), str(selector)) for learner, selector, _ in wide.index}
    if found != wanted:
        learner, selector = sorted(found ^ wanted)[0]
        raise InputError(f"leaderboard: {learner}/{selector} has results or parameters, not both")
    rows, at = np.nonzero(~np.isfinite(wide.to_numpy(dtype=np.float64)))
    if len(rows):
        learner, selector, _ = wide.index[rows[0]]
        raise InputError(
            f"leaderboard: {wide.columns[at[0]]} of {learner}/{selector} is missing or not a number"
        )
