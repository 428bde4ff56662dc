"""Save models of a run, as `models.artifact` reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.artifact import FORMAT, FORMATS, MANIFEST, manifest_hash
from models.calibration import Calibration
from models.conformal import ConformalSets
from models.drift import reference_of
from models.engine import LIBRARIES
from models.evaluate import Fitted, RunResult
from models.history import HISTORY, make_history, write_history
from models.learners import learner_named
from models.preparation import PREPARE, Preparation
from warehouse.files import sha256_of

SECTOR_ROWS = 20  # a sector's median of fewer rows says little


def save(
    directory: Path, result: RunResult, extra: Mapping[str, Any], fitted: Fitted | None = None
) -> None:
    """Write a model of a run; `extra` may hold `label_rule` (text) and `macro` ({year: values}).

    The best one, with training rows to compare with, or another that the run `fitted`.
    """
    directory.mkdir(parents=True, exist_ok=True)
    one = fitted or result.fitted
    steps = one.pipeline.named_steps
    prepare = Preparation.of(steps)
    prepare.write(directory / PREPARE)
    kind = learner_named(one.cell.learner).save
    learner_file = f"learner.{FORMATS[kind].suffix}"
    FORMATS[kind].write(steps["learn"], directory / learner_file)
    names = [PREPARE, learner_file]
    if fitted is None:
        write_history(_history(result, prepare), directory / HISTORY)
        names.append(HISTORY)
    files = {name: sha256_of(directory / name) for name in names}
    manifest = {"format": FORMAT, **_facts(result, one), **extra, "files": files}
    manifest.setdefault("label_rule", "labels as given in the panel")
    manifest.setdefault("macro", {})
    manifest["sha256"] = manifest_hash(manifest)
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _history(result: RunResult, prepare: Preparation) -> pd.DataFrame:
    panel, train = result.panel, result.split.train
    prepared = prepare.columns(prepare.values(panel.X.to_numpy()[train]))
    return make_history(panel, train, prepared, result.plan.seed)


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that make a model."""
    return {name: version(name) for name in (*LIBRARIES, "skops")}


def _facts(result: RunResult, fitted: Fitted) -> dict[str, Any]:
    panel, best = result.panel, fitted.cell
    metrics = {
        str(name): float(value)
        for name, value in result.row_of(best).items()
        if name not in ("rank", "learner", "selector", "protocol", "params", "resampling")
    }
    return {
        "rank": int(result.row_of(best)["rank"]),
        "learner": best.learner,
        "selector": best.selector,
        "params": best.params,
        "resampling": best.resampling,
        "protocol": result.plan.protocol.name,
        "grid": result.plan.grid,
        "seed": result.plan.seed,
        "inputs": list(panel.inputs),
        "features": list(panel.features),
        "selected": fitted.selected(panel.features),
        "classes": list(panel.classes),
        "data_hash": panel.data_hash,
        "source": panel.source,
        "simulated": panel.simulated,
        "rows": {"train": len(result.split.train), "test": len(result.split.test)},
        "versions": library_versions(),
        "metrics": metrics,
        "medians": _medians(result),
        "reference": reference_of(_features(result).iloc[result.split.train]),
        "calibration": _json_of(fitted.calibration),
        "sets": _json_of(fitted.sets),
    }


def _json_of(value: Calibration | ConformalSets | None) -> dict[str, Any] | None:
    return None if value is None else value.to_json()


def _medians(result: RunResult) -> dict[str, Any]:
    """Training medians of each feature, over all rows and per sector that has enough of them."""
    panel, train = result.panel, result.split.train
    rows = _features(result).iloc[train]
    sectors = {}
    if panel.sector is not None:
        names = panel.sector[train]
        for sector, count in zip(*np.unique(names, return_counts=True), strict=True):
            if count >= SECTOR_ROWS:
                sectors[str(sector)] = _median(rows[names == sector])
    return {"overall": _median(rows), "sectors": sectors}


def _features(result: RunResult) -> pd.DataFrame:
    """Every feature of the panel's rows, those relative to a sector included."""
    panel = result.panel
    if not panel.relative:
        return panel.X
    values = result.pipeline.named_steps["relative"].transform(panel.X.to_numpy())
    return pd.DataFrame(values, columns=list(panel.features))


def _median(rows: pd.DataFrame) -> dict[str, float | None]:
    medians = rows.median()
    return {str(n): None if pd.isna(v) else float(v) for n, v in medians.items()}
