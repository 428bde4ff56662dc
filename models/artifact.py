"""A saved model, loaded without pickle and checked: `model/` of a run, written by `models.saving`.

`prepare.npz` holds what prepares rows (`models.preparation`); `learner.*` the classifier in its
library's own format, scikit-learn's through skops; `history.parquet`, in the best model's folder,
training rows to compare with (`models.history`); `model.json` what a reader of a prediction needs
to know, and the hashes of the other files. Libraries of learners are imported when a model of
theirs is read: a score should not wait for all of them, nor for scikit-learn where no step of its
is used.
"""

from __future__ import annotations

import hashlib
import json
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from models.calibration import Calibration
from models.conformal import ConformalSets
from models.history import HISTORY, History, read_history
from models.panel import Floats
from models.preparation import MOST_BYTES, PREPARE, Preparation, read_preparation
from warehouse.errors import InputError
from warehouse.files import sha256_of, unpacked_bytes

FORMAT = 3
MANIFEST = "model.json"
MAX_MANIFEST = 50 * 2**20
OTHERS = "others"  # folder of the models beside the best, one folder each
MOST_OTHERS = 20
AGAIN = "train again with `python -m models.train`"

# All that a model file may hold beyond the types skops trusts itself.
TRUSTED = (
    "models.rivals.Probit",
    "models.svm.SoftmaxLinearSVC",
    "models.svm.SoftmaxSVC",
    "numpy.dtype",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.metrics._dist_metrics.EuclideanDistance64",
    "sklearn.neighbors._kd_tree.KDTree",
    "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
    "sklearn.tree._tree.Tree",
)
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
    """A LightGBM or XGBoost booster, without the estimator that scikit-learn knows."""

    predict: Callable[[Floats], Any]

    def predict_proba(self, X: Floats) -> Floats:
        """Return rows x classes."""
        values = self.predict(X)
        both = np.column_stack([1 - values, values]) if values.ndim == 1 else values
        return np.asarray(both, dtype=np.float64)


@dataclass(frozen=True)
class Prepared:
    """Rows as a model takes them.

    Attributes:
        values: the selected features as computed, NaN where missing, rows x selected.
        absent: which of all features are missing, rows x features.
        columns: the selected features prepared: filled, limited and scaled.
    """

    values: Floats
    absent: NDArray[np.bool_]
    columns: Floats


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
    prepare: Preparation
    learner: Classifier
    manifest: dict[str, Any]
    calibration: Calibration | None = None
    sets: ConformalSets | None = None
    history: History | None = None
    # Made once: it looks at every library of the process, which takes as long as a prediction.
    threads: ThreadpoolController = field(
        default_factory=ThreadpoolController, repr=False, compare=False
    )

    @property
    def name(self) -> str:
        """Learner and selector, as the leaderboard has them."""
        return f"{self.manifest['learner']}/{self.manifest['selector']}"

    def values(self, frame: pd.DataFrame) -> pd.DataFrame:
        """All `features` of a frame with all `inputs`, NaN where missing, with its index."""
        values = self.prepare.values(self._given(frame))
        return pd.DataFrame(values, index=frame.index, columns=list(self.features))

    def columns(self, frame: pd.DataFrame) -> Floats:
        """Prepared columns (`selected`) of a frame with all `inputs`, NaN where missing."""
        return self.prepare.columns(self.prepare.values(self._given(frame)))

    def prepared(self, frame: pd.DataFrame) -> Prepared:
        """Rows of a frame with all `inputs`, NaN where missing."""
        values, mask = self.prepare.values(self._given(frame)), self.prepare.mask
        return Prepared(values[:, mask], np.isnan(values), self.prepare.columns(values))

    def unscaled(self, prepared: Floats) -> Floats:
        """Values of the selected features that the preparation would turn into these."""
        mask, scale, mean = self.prepare.mask, self.prepare.scale, self.prepare.mean
        return np.asarray(prepared * scale[mask] + mean[mask])

    def limits(self) -> tuple[Floats, Floats]:
        """The 1 % and 99 % quantiles of the selected features in the training rows."""
        return self.prepare.low[self.prepare.mask], self.prepare.high[self.prepare.mask]

    def _given(self, frame: pd.DataFrame) -> Floats:
        absent = [name for name in self.inputs if name not in frame.columns]
        if absent:
            raise InputError(f"the model needs the column {absent[0]!r} ({len(absent)} are absent)")
        try:
            values = frame[list(self.inputs)].astype("float64").to_numpy()
        except (ValueError, TypeError) as error:
            raise InputError(f"a feature is not a number: {error}") from None
        if np.isinf(values).any():
            row, at = np.argwhere(np.isinf(values))[0]
            raise InputError(f"infinite value in {self.inputs[at]!r}, row {row + 1}")
        return np.asarray(values, dtype=np.float64)

    def given(self, columns: Floats) -> Floats:
        """Probability per class of prepared columns, as the learner gives it."""
        with self.threads.limit(limits=1):
            return np.asarray(self.learner.predict_proba(columns), dtype=np.float64)

    def told(self, proba: Floats) -> Floats:
        """The same calibrated, with the shares of classes as they are; as given without that."""
        return proba if self.calibration is None else self.calibration.apply(proba)

    def predict_proba(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Probability per class as given, one row per row of the frame, with its index."""
        proba = self.given(self.columns(frame))
        return pd.DataFrame(proba, index=frame.index, columns=list(self.classes))


def load(directory: Path, *, lean: bool = False) -> Model:
    """Read a saved model; `lean` for a process that only scores: see `_without_scikit_learn`.

    Raises:
        InputError: says what is wrong with it and what to do.
    """
    manifest = _manifest(directory)
    kind = _kind(manifest, directory)
    _check_files(directory, manifest, (PREPARE, f"learner.{FORMATS[kind].suffix}"))
    _check_versions(manifest, FORMATS[kind].libraries, directory)
    features = tuple(manifest["features"])
    inputs = tuple(manifest.get("inputs", features))
    model = Model(
        inputs,
        features,
        tuple(manifest["selected"]),
        tuple(manifest["classes"]),
        _read_preparation(directory / PREPARE, len(features), relative=inputs != features),
        _read_learner(FORMATS[kind], directory / f"learner.{FORMATS[kind].suffix}", lean),
        manifest,
        *_calibrated(manifest, directory / MANIFEST),
    )
    _try(model, directory)
    if HISTORY not in manifest["files"]:
        return model
    return replace(model, history=_read_history(model, directory / HISTORY))


def newest(runs: Path) -> Path | None:
    """Model folder of the newest of these runs that has one; None where nothing was trained."""
    # A hidden folder is a run that has not ended.
    found = list(runs.glob(f"[!.]*/model/{MANIFEST}")) if runs.is_dir() else []
    return max(found, key=lambda path: path.stat().st_mtime).parent if found else None


def load_others(directory: Path, *, lean: bool = False) -> tuple[Model, ...]:
    """The models that were saved beside the best one of a run, best first; none if there are none.

    Raises:
        InputError: one of them is not as it was saved.
    """
    folder = directory.parent / OTHERS
    found = sorted(folder.glob(f"*/{MANIFEST}")) if folder.is_dir() else []
    models = [load(path.parent, lean=lean) for path in found[:MOST_OTHERS]]
    return tuple(sorted(models, key=lambda one: int(one.manifest.get("rank", 0))))


def _read_preparation(path: Path, features: int, *, relative: bool) -> Preparation:
    try:
        return read_preparation(path, features, relative=relative)
    except InputError as error:
        raise InputError(f"{error}; {AGAIN}") from None


def _read_history(model: Model, path: Path) -> History:
    try:
        rows = read_history(path, model.inputs, len(model.classes))
    except InputError as error:
        raise InputError(f"{error}; {AGAIN}") from None
    values = model.values(rows)[list(model.selected)]
    return History(rows, values, model.columns(rows))


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
        fits &= model.prepare.mask.sum() == len(model.selected)
    except Exception as error:
        raise InputError(
            f"{directory}: its parts do not fit each other ({type(error).__name__}); {AGAIN}"
        ) from None
    if not fits or not np.isfinite(proba.to_numpy()).all():
        raise InputError(f"{directory}: its parts do not fit its {MANIFEST}; {AGAIN}")


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
    """Of the learner's file, by its name: one of `FORMATS`."""
    kinds = [
        kind for kind, form in FORMATS.items() if f"learner.{form.suffix}" in manifest["files"]
    ]
    if len(kinds) != 1:
        raise InputError(f"{directory / MANIFEST}: 'files' must name one learner file; {AGAIN}")
    return kinds[0]


def _check_files(directory: Path, manifest: dict[str, Any], names: tuple[str, ...]) -> None:
    """Refuse files beyond those that the format has, so no manifest can name another path."""
    odd = (set(manifest["files"]) - {HISTORY}) ^ set(names)
    if odd:
        raise InputError(
            f"{directory / MANIFEST}: 'files' must name {names}; {odd} differ; {AGAIN}"
        )
    for name in manifest["files"]:
        path = directory / name
        if not path.is_file() or path.is_symlink():
            raise InputError(f"{path}: missing; copy the whole model folder, or {AGAIN}")
        if path.stat().st_size > MOST_BYTES:
            raise InputError(f"{path}: larger than any model file; {AGAIN}")
        if sha256_of(path) != manifest["files"][name]:
            raise InputError(f"{path}: changed since it was saved (sha256 differs); {AGAIN}")


def _check_versions(manifest: dict[str, Any], libraries: tuple[str, ...], directory: Path) -> None:
    for name in libraries:
        saved, here = str(manifest["versions"].get(name, "")), version(name)
        if saved.split(".")[0] != here.split(".")[0]:
            raise InputError(
                f"{directory}: saved with {name} {saved or 'unknown'}, here is {here};"
                f" install {name}=={saved or '?'} or {AGAIN}"
            )


def _read_skops(path: Path) -> Classifier:
    import skops.io

    try:
        if unpacked_bytes(path) > MOST_BYTES:
            raise InputError(f"{path}: unpacks to more than any model; {AGAIN}")
        unknown = sorted(set(skops.io.get_untrusted_types(file=path)) - set(TRUSTED))
        if unknown:
            raise InputError(f"{path}: holds {unknown[0]!r}, which no model of ours does; {AGAIN}")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a minor version: majors are checked before
            model: Classifier = skops.io.load(path, trusted=list(TRUSTED))
            return model
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not readable ({type(error).__name__}); {AGAIN}") from None


@contextmanager
def _without_scikit_learn() -> Iterator[None]:
    """Import as if scikit-learn were not installed, unless it is imported already.

    LightGBM and XGBoost then leave out the estimators they make of their boosters, for the rest of
    the process, and with them scikit-learn and the parts of SciPy that it imports: nearly half the
    time from process start to a score.
    """
    if "sklearn" in sys.modules:
        yield
        return
    sys.modules["sklearn"] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules["sklearn"]


def _read_learner(form: Format, path: Path, lean: bool) -> Classifier:
    bare = lean and "scikit-learn" not in form.libraries
    try:
        with _without_scikit_learn() if bare else nullcontext():
            learner = form.read(path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"{path}: not readable ({type(error).__name__}); {AGAIN}") from None
    if not hasattr(learner, "predict_proba"):
        raise InputError(f"{path}: not a classifier; {AGAIN}")
    return learner


def _read_xgboost(path: Path) -> Classifier:
    from xgboost import Booster

    booster = Booster({"nthread": 1, "device": "cpu"}, model_file=path)
    stopped = booster.attr("best_iteration")
    rounds = (0, 0 if stopped is None else int(stopped) + 1)  # 0: all
    return BoosterClassifier(partial(booster.inplace_predict, iteration_range=rounds))


def _read_lightgbm(path: Path) -> Classifier:
    from lightgbm import Booster

    return BoosterClassifier(partial(Booster(model_file=path).predict, num_threads=1))


def _read_catboost(path: Path) -> Classifier:
    from catboost import CatBoostClassifier

    model: Classifier = CatBoostClassifier().load_model(str(path))
    return model


def _write_skops(model: Any, path: Path) -> None:
    import skops.io

    skops.io.dump(model, path)


@dataclass(frozen=True)
class Format:
    """How a library's fitted classifier is written and read, and whose versions it hangs on."""

    suffix: str
    libraries: tuple[str, ...]
    write: Callable[[Any, Path], object]
    read: Callable[[Path], Classifier]


FORMATS = {
    "skops": Format("skops", ("scikit-learn", "skops"), _write_skops, _read_skops),
    "xgboost": Format(
        "ubj", ("xgboost",), lambda model, path: model.save_model(path), _read_xgboost
    ),
    "lightgbm": Format(
        "txt",
        ("lightgbm",),
        lambda model, path: model.booster_.save_model(path),
        _read_lightgbm,
    ),
    "catboost": Format(
        "cbm", ("catboost",), lambda model, path: model.save_model(str(path)), _read_catboost
    ),
}
