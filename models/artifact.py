"""Save and load the best model without pickle: `model/` with a checked manifest.

`prepare.skops` holds medians of sectors (where the model compares with them), imputer, limits,
scaler and column choice; `learner.*` the classifier in its
library's own format, scikit-learn's through skops; `model.json` what a reader of a prediction
needs to know, and the hash of both files.
"""

from __future__ import annotations

import hashlib
import json
import warnings
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import skops.io
from catboost import CatBoostClassifier
from lightgbm import Booster
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
from xgboost import XGBClassifier

from models.calibration import Calibration
from models.conformal import ConformalSets
from models.engine import LIBRARIES
from models.evaluate import RunResult
from models.learners import learner_named
from models.panel import Floats
from models.rivals import TRUSTED_RIVALS
from warehouse.errors import InputError
from warehouse.files import sha256_of

FORMAT = 1
MANIFEST = "model.json"
PREPARE = "prepare.skops"
STEPS = ("impute", "winsorise", "scale", "select")
RELATIVE_STEP = "relative"  # before these, where ratios are compared with their sector
MAX_MANIFEST = 50 * 2**20
MAX_FILE = 1024 * 2**20  # bytes, unpacked
SECTOR_ROWS = 20  # a sector's median of fewer rows says little
AGAIN = "train again with `python -m models.train`"

# All that a model file may hold beyond the types skops trusts itself.
TRUSTED = (
    *TRUSTED_RIVALS,
    "models.pipeline.SectorRelative",
    "models.pipeline.Select",
    "models.pipeline.Winsorizer",
    "models.svm.SoftmaxSVC",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
NEEDED = {"skops": "scikit-learn", "xgboost": "xgboost", "lightgbm": "lightgbm"}
FIELDS: tuple[tuple[str, type], ...] = (
    ("learner", str),
    ("selector", str),
    ("params", dict),
    ("features", list),
    ("selected", list),
    ("classes", list),
    ("label_rule", str),
    ("data_hash", str),
    ("source", str),
    ("simulated", bool),
    ("seed", int),
    ("versions", dict),
    ("metrics", dict),
    ("medians", dict),
    ("macro", dict),
    ("files", dict),
)


class Classifier(Protocol):
    """What is asked of a fitted classifier."""

    def predict_proba(self, X: Floats) -> Any:
        """Return rows x classes."""


@dataclass(frozen=True)
class BoosterClassifier:
    """A LightGBM booster read from its own text format."""

    booster: Booster

    def predict_proba(self, X: Floats) -> Floats:
        """Return rows x classes."""
        values = np.asarray(self.booster.predict(X, num_threads=1), dtype=np.float64)
        return np.column_stack([1 - values, values]) if values.ndim == 1 else values


@dataclass(frozen=True)
class Model:
    """A loaded model: `prepare` turns `inputs` into columns that `learner` takes.

    Inputs are the features themselves or, where some are relative to a sector, the others and the
    keys of sector and year (`models.panel.sector_columns`).
    """

    inputs: tuple[str, ...]
    features: tuple[str, ...]
    selected: tuple[str, ...]
    classes: tuple[str, ...]
    prepare: Any
    learner: Classifier
    manifest: dict[str, Any]
    calibration: Calibration | None = None
    sets: ConformalSets | None = None

    def values(self, frame: pd.DataFrame) -> pd.DataFrame:
        """All `features` of a frame with all `inputs`, NaN where missing, with its index."""
        values = self._given(frame)
        if self.inputs != self.features:
            values = self.prepare.named_steps[RELATIVE_STEP].transform(values)
        return pd.DataFrame(values, index=frame.index, columns=list(self.features))

    def columns(self, frame: pd.DataFrame) -> Floats:
        """Prepared columns (`selected`) of a frame with all `inputs`, NaN where missing."""
        return np.asarray(self.prepare.transform(self._given(frame)))

    def _given(self, frame: pd.DataFrame) -> Floats:
        absent = [name for name in self.inputs if name not in frame.columns]
        if absent:
            raise InputError(f"the model needs the column {absent[0]!r} ({len(absent)} are absent)")
        try:
            values = frame[list(self.inputs)].astype("float64").to_numpy()
        except (ValueError, TypeError) as error:
            raise InputError(f"a feature is not a number: {error}") from None
        rows, at = np.nonzero(np.isinf(values))
        if len(rows):
            raise InputError(f"infinite value in {self.inputs[at[0]]!r}, row {rows[0] + 1}")
        return np.asarray(values, dtype=np.float64)

    def predict_proba(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Probability per class, one row per row of the frame, with its index."""
        with threadpool_limits(1):
            proba = np.asarray(self.learner.predict_proba(self.columns(frame)), dtype=np.float64)
        return pd.DataFrame(proba, index=frame.index, columns=list(self.classes))

    def calibrated(self, proba: pd.DataFrame) -> pd.DataFrame | None:
        """The same with the shares of classes as they are; None for a model not calibrated."""
        if self.calibration is None:
            return None
        values = self.calibration.apply(proba.to_numpy())
        return pd.DataFrame(values, index=proba.index, columns=proba.columns)


def save(directory: Path, result: RunResult, extra: Mapping[str, Any]) -> None:
    """Write the best model; `extra` may hold `label_rule` (text) and `macro` ({year: values})."""
    directory.mkdir(parents=True, exist_ok=True)
    steps = result.pipeline.named_steps
    prepare = Pipeline([(name, steps[name]) for name in _steps(bool(result.panel.relative))])
    skops.io.dump(prepare, directory / PREPARE)
    kind = learner_named(result.best.learner).save
    learner_file = f"learner.{FORMATS[kind].suffix}"
    FORMATS[kind].write(steps["learn"], directory / learner_file)
    files = {name: sha256_of(directory / name) for name in (PREPARE, learner_file)}
    manifest = {"format": FORMAT, **_facts(result), **extra, "files": files}
    manifest.setdefault("label_rule", "labels as given in the panel")
    manifest.setdefault("macro", {})
    manifest["sha256"] = manifest_hash(manifest)
    text = json.dumps(manifest, indent=1, sort_keys=True, allow_nan=False)
    (directory / MANIFEST).write_text(text + "\n", encoding="utf-8")


def _steps(relative: bool) -> tuple[str, ...]:
    return (RELATIVE_STEP, *STEPS) if relative else STEPS


def load(directory: Path) -> Model:
    """Read a saved model; raise InputError that says what is wrong with it and what to do."""
    manifest = _manifest(directory)
    kind = _kind(manifest, directory)
    _check_files(directory, manifest, (PREPARE, f"learner.{FORMATS[kind].suffix}"))
    _check_versions(manifest, NEEDED.get(kind, "catboost"), directory)
    prepare = _read_skops(directory / PREPARE)
    names = tuple(name for name, _ in prepare.steps) if isinstance(prepare, Pipeline) else ()
    features = tuple(manifest["features"])
    inputs = tuple(manifest.get("inputs", features))
    if names != _steps(inputs != features):
        raise InputError(f"{directory / PREPARE}: not the preparation of a model; {AGAIN}")
    model = Model(
        inputs,
        features,
        tuple(manifest["selected"]),
        tuple(manifest["classes"]),
        prepare,
        _read_learner(kind, directory / f"learner.{FORMATS[kind].suffix}"),
        manifest,
        *_calibrated(manifest, directory / MANIFEST),
    )
    _try(model, directory)
    return model


def _calibrated(
    manifest: dict[str, Any], path: Path
) -> tuple[Calibration | None, ConformalSets | None]:
    """Calibration and prediction sets; None for models that were not tuned, or of before."""
    given, sets = manifest.get("calibration"), manifest.get("sets")
    try:
        found = None if given is None else Calibration.from_json(given)
        levels = None if sets is None else ConformalSets.from_json(sets)
    except InputError as error:
        raise InputError(f"{path}: {error}; {AGAIN}") from None
    sizes = {len(part.counts) for part in (found, levels) if part is not None}
    other = sizes - {len(manifest["classes"])}
    if other:
        raise InputError(f"{path}: its calibration is of {other.pop()} classes; {AGAIN}")
    return found, levels


def _try(model: Model, directory: Path) -> None:
    """Score one row without values: the parts of a model must fit its manifest and each other."""
    try:
        nothing = pd.DataFrame(np.nan, [0], list(model.inputs))
        proba = model.predict_proba(nothing)
        fits = model.values(nothing).shape[1] == len(model.features)
        fits &= model.prepare.named_steps["select"].mask_.sum() == len(model.selected)
    except Exception as error:
        raise InputError(
            f"{directory}: its parts do not fit each other ({type(error).__name__}); {AGAIN}"
        ) from None
    if not fits or not np.isfinite(proba.to_numpy()).all():
        raise InputError(f"{directory}: its parts do not fit its {MANIFEST}; {AGAIN}")


def library_versions() -> dict[str, str]:
    """Installed versions of the libraries that make a model."""
    return {name: version(name) for name in (*LIBRARIES, "skops")}


def _facts(result: RunResult) -> dict[str, Any]:
    panel, best = result.panel, result.best
    metrics = {
        str(name): float(value)
        for name, value in result.best_row.items()
        if name not in ("rank", "learner", "selector", "protocol", "params", "resampling")
    }
    return {
        "learner": best.learner,
        "selector": best.selector,
        "params": best.params,
        "resampling": best.resampling,
        "protocol": result.plan.protocol.name,
        "grid": result.plan.grid,
        "seed": result.plan.seed,
        "inputs": list(panel.inputs),
        "features": list(panel.features),
        "selected": result.selected,
        "classes": list(panel.classes),
        "data_hash": panel.data_hash,
        "source": panel.source,
        "simulated": panel.simulated,
        "rows": {"train": len(result.split.train), "test": len(result.split.test)},
        "versions": library_versions(),
        "metrics": metrics,
        "medians": _medians(result),
        "calibration": _json_of(result.assessment.calibration),
        "sets": _json_of(result.assessment.sets),
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
    values = result.pipeline.named_steps[RELATIVE_STEP].transform(panel.X.to_numpy())
    return pd.DataFrame(values, columns=list(panel.features))


def _median(rows: pd.DataFrame) -> dict[str, float | None]:
    medians = rows.median()
    return {str(n): None if pd.isna(v) else float(v) for n, v in medians.items()}


def manifest_hash(manifest: Mapping[str, Any]) -> str:
    """Hash of all that the manifest says, but for the hash itself."""
    said = {name: value for name, value in manifest.items() if name != "sha256"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def _manifest(directory: Path) -> dict[str, Any]:
    path = directory / MANIFEST
    if not directory.is_dir():
        raise InputError(f"{directory}: no such model folder; {AGAIN}, or give --model DIR")
    if not path.is_file():
        raise InputError(f"{directory}: no {MANIFEST}, so not a model folder; {AGAIN}")
    if path.stat().st_size > MAX_MANIFEST:
        raise InputError(f"{path}: larger than any manifest; {AGAIN}")
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not valid JSON; {AGAIN}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise InputError(f"{path}: not of model format {FORMAT}; {AGAIN}")
    _check_fields(manifest, path)
    return manifest


def _check_fields(manifest: dict[str, Any], path: Path) -> None:
    if manifest.get("sha256") != manifest_hash(manifest):
        raise InputError(f"{path}: changed since it was saved (sha256 differs); {AGAIN}")
    for name, kind in FIELDS:
        if not isinstance(manifest.get(name), kind):
            raise InputError(f"{path}: {name!r} is missing or not a {kind.__name__}; {AGAIN}")
    for name in ("inputs", "features", "selected", "classes"):
        named = manifest.get(name, [])  # models of before have no inputs
        if not isinstance(named, list) or not all(isinstance(item, str) for item in named):
            raise InputError(f"{path}: {name!r} must hold texts; {AGAIN}")
    if not set(manifest["selected"]) <= set(manifest["features"]):
        raise InputError(f"{path}: a selected feature is not among the features; {AGAIN}")


def _kind(manifest: dict[str, Any], directory: Path) -> str:
    try:
        return learner_named(manifest["learner"]).save
    except InputError as error:
        raise InputError(f"{directory / MANIFEST}: {error}; {AGAIN}") from None


def _check_files(directory: Path, manifest: dict[str, Any], names: tuple[str, ...]) -> None:
    """Refuse files beyond the two that the format has, so no manifest can name another path."""
    odd = set(manifest["files"]) ^ set(names)
    if odd:
        raise InputError(
            f"{directory / MANIFEST}: 'files' must name {names}; {odd} differ; {AGAIN}"
        )
    for name in names:
        path = directory / name
        if not path.is_file() or path.is_symlink():
            raise InputError(f"{path}: missing; copy the whole model folder, or {AGAIN}")
        if path.stat().st_size > MAX_FILE:
            raise InputError(f"{path}: larger than any model file; {AGAIN}")
        if sha256_of(path) != manifest["files"][name]:
            raise InputError(f"{path}: changed since it was saved (sha256 differs); {AGAIN}")


def _check_versions(manifest: dict[str, Any], library: str, directory: Path) -> None:
    for name in dict.fromkeys((library, "scikit-learn", "skops")):
        saved, here = str(manifest["versions"].get(name, "")), version(name)
        if saved.split(".")[0] != here.split(".")[0]:
            raise InputError(
                f"{directory}: saved with {name} {saved or 'unknown'}, here is {here};"
                f" install {name}=={saved or '?'} or {AGAIN}"
            )


def _read_skops(path: Path) -> Any:
    try:
        with zipfile.ZipFile(path) as packed:
            if sum(item.file_size for item in packed.infolist()) > MAX_FILE:
                raise InputError(f"{path}: unpacks to more than any model; {AGAIN}")
        unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        if unknown:
            raise InputError(f"{path}: holds {unknown[0]!r}, which no model of ours does; {AGAIN}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a minor version: majors are checked before
            return skops.io.load(path, trusted=list(TRUSTED))
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not readable ({type(error).__name__}); {AGAIN}") from None


def _read_learner(kind: str, path: Path) -> Classifier:
    try:
        learner: Classifier = FORMATS[kind].read(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not readable ({type(error).__name__}); {AGAIN}") from None
    if not hasattr(learner, "predict_proba"):
        raise InputError(f"{path}: not a classifier; {AGAIN}")
    return learner


def _read_xgboost(path: Path) -> Classifier:
    model = XGBClassifier(n_jobs=1, device="cpu")
    model.load_model(path)
    model.set_params(n_jobs=1, device="cpu")
    return model


def _read_catboost(path: Path) -> Classifier:
    model: Classifier = CatBoostClassifier().load_model(str(path))
    return model


@dataclass(frozen=True)
class Format:
    """How a library's fitted classifier is written and read."""

    suffix: str
    write: Callable[[Any, Path], object]
    read: Callable[[Path], Classifier]


FORMATS = {
    "skops": Format("skops", lambda model, path: skops.io.dump(model, path), _read_skops),
    "xgboost": Format("ubj", lambda model, path: model.save_model(path), _read_xgboost),
    "lightgbm": Format(
        "txt",
        lambda model, path: model.booster_.save_model(path),
        lambda path: BoosterClassifier(Booster(model_file=path)),
    ),
    "catboost": Format("cbm", lambda model, path: model.save_model(str(path)), _read_catboost),
}
