"""Log a finished run to an MLflow tracking server or folder (extra `mlflow`)."""

from __future__ import annotations

import importlib
import json
import math
from pathlib import Path
from typing import Any

from models.evaluate import RunResult
from models.metrics import columns
from warehouse.errors import InputError

EXPERIMENT = "insolvency-radar"
INSTALL = "install the extra `mlflow`: pip install '.[mlflow]'"


def tracker() -> Any:
    """The MLflow module; InputError where it is not installed."""
    try:
        return importlib.import_module("mlflow")
    except ImportError:
        raise InputError(f"--mlflow: {INSTALL}") from None


def log_run(uri: str, result: RunResult, out: Path) -> str:
    """Log the best model's parameters and figures and all files of the run; return the run's id.

    Raises:
        InputError: MLflow is not installed or does not take the run.
    """
    mlflow = tracker()
    try:
        mlflow.set_tracking_uri(uri)
        mlflow.set_experiment(EXPERIMENT)
        with mlflow.start_run(run_name=result.best.name) as run:
            mlflow.log_params(_params(result))
            mlflow.log_metrics(_metrics(result))
            mlflow.set_tag("simulated", str(result.panel.simulated).lower())
            mlflow.log_artifacts(str(out))
            return str(run.info.run_id)
    except Exception as error:
        raise InputError(
            f"--mlflow {uri}: the run was not logged ({type(error).__name__}:"
            f" {' '.join(str(error).split())[:200]}); its folder is whole: {out}"
        ) from None


def _params(result: RunResult) -> dict[str, str]:
    plan, best = result.plan, result.best
    return {
        "learner": best.learner,
        "selector": best.selector,
        "resampling": best.resampling,
        "params": json.dumps(best.params, sort_keys=True),
        "protocol": plan.protocol.name,
        "grid": plan.grid,
        "seed": str(plan.seed),
        "source": result.panel.source,
        "data_hash": result.panel.data_hash,
    }


def _metrics(result: RunResult) -> dict[str, float]:
    names = [name for name, _, _ in columns(result.panel.classes, 0)]
    values = {name: float(result.best_row[name]) for name in names}
    return {name: value for name, value in values.items() if math.isfinite(value)}
