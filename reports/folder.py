"""Read a finished run's folder, checked, into one value that figures and tables are drawn from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow

from features.audit_result import Audit
from models.calibration import reliability
from models.extras import TITLES
from models.outputs import panel_summary
from models.panel import FOCUS, panel_from_frame
from warehouse.errors import InputError
from warehouse.exports import without_guard

KEYS = ("learner", "selector")
NEEDED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("leaderboard.csv", ("rank", *KEYS, "n_features", "macro_f1", "params")),
    ("importance.csv", ("feature", "gain", "share", *KEYS)),
    ("results.parquet", (*KEYS, "fold", "metric", "value", "low", "high")),
    ("predictions.parquet", ("truth", "prediction")),
    ("test_predictions.parquet", (*KEYS, "truth", "prediction")),
)
# Of the assessment: text and numbers of each file; all are absent of older runs, and all but the
# first of runs without tuning folds.
ASSESSED: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("comparison", ("name", "verdict"), ("difference", "low", "high")),
    ("quality", ("figure",), ("as_given", "calibrated")),
    ("reliability", ("class", "kind"), ("predicted", "observed", "rows", "low", "high")),
    ("learning_curve", (), ("share", "companies", "macro_f1", "recall_focus")),
    (
        "coverage",
        ("class",),
        ("rows", "companies", "covered", "low", "high", "by_company", "set_size", "singletons"),
    ),
    (
        "costs",
        (),
        ("ratio", "threshold", "flagged", "caught", "missed", "false_alarms", "saving"),
    ),
)
GIVEN, CALIBRATED = "as_given", "calibrated"
VERDICTS = ("ahead", "tied", "behind")
TEXT = (*KEYS, "params", "feature", "name", "verdict", "figure", "class", "kind")
FACTS: tuple[tuple[str, type], ...] = (
    ("source", str),
    ("data_hash", str),
    ("simulated", bool),
    ("rows", int),
    ("features", int),
    ("classes", dict),
    ("train_rows", int),
    ("test_rows", int),
    ("protocol", str),
    ("grid", str),
    ("seed", int),
    ("device", str),
    ("best", dict),
    ("command", str),
    ("label_rule", str),
    ("notices", list),
    ("failed", list),
    ("timings_seconds", dict),
    ("versions", dict),
)


class AbsentError(Exception):
    """Why a figure or table cannot be drawn from this run: one line for the reader."""


@dataclass(frozen=True)
class Estimate:
    """A figure on the test rows with its 95 % interval (NaN where there is none)."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Summary:
    """What a panel holds, by class; `sectors` is empty where the panel names none."""

    classes: Mapping[str, Mapping[str, int | None]]
    sectors: Mapping[str, Mapping[str, int | None]]
    years: Mapping[str, Mapping[str, int | None]]


@dataclass(frozen=True)
class Assessed:
    """What is said of the best model beyond its figures, of `models.assess`; None: no such file."""

    comparison: pd.DataFrame | None = None
    quality: pd.DataFrame | None = None
    reliability: pd.DataFrame | None = None
    coverage: pd.DataFrame | None = None
    costs: pd.DataFrame | None = None
    learning_curve: pd.DataFrame | None = None


@dataclass(frozen=True)
class Run:
    """A finished run; `confusion` maps learner/selector to truth x predicted counts.

    `audit` is None where the run has no audit.json: older ones have none.
    """

    facts: Mapping[str, Any]
    classes: tuple[str, ...]
    confusion: Mapping[str, list[list[int]]]
    kept: Mapping[str, list[str]]
    leaderboard: pd.DataFrame
    importance: pd.DataFrame
    results: pd.DataFrame
    predictions: pd.DataFrame
    test_predictions: pd.DataFrame
    summary: Summary | None
    audit: Audit | None = None
    assessed: Assessed = Assessed()

    @property
    def simulated(self) -> bool:
        """Whether the companies are simulated."""
        return bool(self.facts["simulated"])

    @property
    def best(self) -> tuple[str, str]:
        """Learner and selector of the model that was saved: the highest-ranked learner."""
        return str(self.facts["best"]["learner"]), str(self.facts["best"]["selector"])

    @property
    def cells(self) -> list[tuple[str, str]]:
        """Learner and selector of each row of the leaderboard, best first."""
        board = self.leaderboard
        return list(zip(board["learner"].astype(str), board["selector"].astype(str), strict=True))

    @property
    def best_row(self) -> int:
        """Where in the leaderboard the best is; ensembles, which are not saved, may be above."""
        return self.cells.index(self.best)

    @property
    def focus(self) -> str:
        """The class that matters most: failure, else the rarest."""
        counts: dict[str, int] = dict(self.facts["classes"])
        known = [name for name in FOCUS if name in self.classes]
        return known[0] if known else min(counts, key=lambda c: counts[c])

    @property
    def keys(self) -> list[str]:
        """Columns of the predictions that name a row: the company first, where there is one."""
        names = [str(name) for name in self.predictions.columns]
        return names[: names.index("truth")]

    @property
    def unit(self) -> str:
        """What the intervals draw anew: companies, or rows where the panel names none."""
        return "rows" if self.facts.get("companies") is None else "companies"

    @cached_property
    def _estimates(self) -> dict[tuple[str, str, str], Estimate]:
        rows = self.results[self.results["fold"] == "test"]
        columns = [rows[name] for name in (*KEYS, "metric", "value", "low", "high")]
        found = zip(*columns, strict=True)
        return {(a, b, m): Estimate(float(v), float(p), float(q)) for a, b, m, v, p, q in found}

    def estimate(self, cell: tuple[str, str], metric: str) -> Estimate:
        """A figure of one learner and selector on the test rows."""
        nothing = Estimate(np.nan, np.nan, np.nan)
        return self._estimates.get((*cell, metric), nothing)

    @cached_property
    def verdicts(self) -> dict[tuple[str, str], str]:
        """Of each model but the best: ahead of it, tied or behind; empty where none was compared.

        In the order of the leaderboard.
        """
        table = self.assessed.comparison
        if table is None:
            return {}
        said = dict(zip(table["name"], table["verdict"], strict=True))
        return {cell: str(said["/".join(cell)]) for cell in self.cells if cell != self.best}

    @cached_property
    def bins(self) -> pd.DataFrame:
        """Of `models.calibration.reliability` for the best model, with `kind`.

        Only of the probabilities as given where the run has no reliability.csv.
        """
        if self.assessed.reliability is not None:
            return self.assessed.reliability
        codes = {name: code for code, name in enumerate(self.classes)}
        truth = np.array([codes[name] for name in self.predictions["truth"].astype(str)])
        proba = self.predictions[[f"proba_{name}" for name in self.classes]].to_numpy()
        return reliability(truth, proba, self.classes).assign(kind=GIVEN)

    def best_confusion(self) -> list[list[int]]:
        """Truth x predicted counts of the best model."""
        return self.confusion["/".join(self.best)]


def read_run(out: Path, panel: pd.DataFrame | None = None) -> Run:
    """Read a run's folder; raise InputError, one line, where it is not one or is damaged.

    `panel`, the one that was trained on, stands in for an absent panel_summary.json.
    """
    if not out.is_dir():
        raise InputError(f"{out}: no such run folder; python -m models.train writes one with --out")
    facts = _facts(out / "run.json")
    confusion = _json(out / "confusion.json")
    frames = {name: _frame(out / name, columns) for name, columns in NEEDED}
    run = Run(
        facts,
        tuple(str(name) for name in _field(confusion, "classes", list, out / "confusion.json")),
        _field(confusion, "cells", dict, out / "confusion.json"),
        _kept(out / "features_kept.json"),
        frames["leaderboard.csv"],
        frames["importance.csv"],
        frames["results.parquet"],
        frames["predictions.parquet"],
        frames["test_predictions.parquet"],
        _summary(out / "panel_summary.json", panel),
        _audit(out / "audit.json"),
        Assessed(**{name: _assessed(out / f"{name}.csv", *kinds) for name, *kinds in ASSESSED}),
    )
    _check(run, out)
    _check_assessed(run, out)
    return run


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise InputError(f"{path.parent}: no {path.name}, so not the folder of a finished run")
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        raise InputError(f"{path}: not valid JSON") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: expected a JSON object, got a {type(value).__name__}")
    return value


def _field(value: Mapping[str, Any], name: str, kind: type, path: Path) -> Any:
    if not isinstance(value.get(name), kind):
        raise InputError(f"{path}: {name!r} is missing or not a {kind.__name__}")
    return value[name]


def _facts(path: Path) -> dict[str, Any]:
    facts = _json(path)
    for name, kind in FACTS:
        _field(facts, name, kind, path)
    for name in KEYS:
        _field(facts["best"], name, str, path)
    for name, count in facts["classes"].items():
        _field(facts["classes"], name, int, path)
        if count < 1:
            raise InputError(f"{path}: class {name!r} has {count} rows")
    return facts


def _kept(path: Path) -> dict[str, list[str]]:
    kept = _json(path)
    for name in kept:
        if not all(isinstance(feature, str) for feature in _field(kept, name, list, path)):
            raise InputError(f"{path}: {name!r} must hold texts")
    return kept


def _frame(path: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not path.is_file():
        raise InputError(f"{path.parent}: no {path.name}, so not the folder of a finished run")
    try:
        frame = _csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError, pyarrow.ArrowException):
        raise InputError(f"{path}: not readable as {path.suffix[1:]}") from None
    absent = [name for name in columns if name not in frame.columns]
    if absent:
        raise InputError(f"{path}: no column {absent[0]!r}")
    return frame


def _csv(path: Path) -> pd.DataFrame:
    """A CSV of `warehouse.exports.write_csv`: names stay text, as they were before its guard."""
    texts = dict.fromkeys(TEXT, str)
    frame = pd.read_csv(path, dtype=texts, keep_default_na=False, na_values=[""])
    for name in set(TEXT) & set(frame.columns):
        frame[name] = frame[name].map(without_guard, na_action="ignore")
    return frame


def _assessed(path: Path, texts: tuple[str, ...], numbers: tuple[str, ...]) -> pd.DataFrame | None:
    if not path.is_file():
        return None
    frame = _frame(path, (*texts, *numbers))
    if frame.empty:
        raise InputError(f"{path}: no row")
    for name in numbers:
        if not pd.api.types.is_numeric_dtype(frame[name]):
            raise InputError(f"{path}: {name!r} holds something that is not a number")
    return frame


def _summary(path: Path, panel: pd.DataFrame | None) -> Summary | None:
    if path.is_file():
        value = _json(path)
        return Summary(*(_counts(value, name, path) for name in ("classes", "sectors", "years")))
    return None if panel is None else Summary(**panel_summary(panel_from_frame(panel)))


def _audit(path: Path) -> Audit | None:
    if not path.is_file():
        return None
    value = _json(path)
    try:
        return Audit.from_dict(value)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None


def _counts(value: Mapping[str, Any], name: str, path: Path) -> dict[str, dict[str, Any]]:
    """A dict of dicts of whole numbers, or None where there is nothing to count by."""
    table: dict[str, dict[str, Any]] = _field(value, name, dict, path)
    for label in table:
        for count in _field(table, label, dict, path).values():
            if not (count is None or isinstance(count, int)):
                raise InputError(f"{path}: {name!r} of {label!r} holds {count!r}, not a number")
    return table


def _check(run: Run, out: Path) -> None:
    """Refuse a folder whose parts do not belong together."""
    size = len(run.classes)
    board = run.leaderboard
    saved = board[~board["learner"].isin(list(TITLES))]  # of the others none is saved
    first = (str(saved["learner"].iloc[0]), str(saved["selector"].iloc[0])) if len(saved) else ()
    matrix = run.confusion.get("/".join(run.best))
    if set(run.classes) != set(run.facts["classes"]):
        raise InputError(f"{out}: run.json and confusion.json name different classes")
    if first != run.best:
        raise InputError(f"{out / 'leaderboard.csv'}: its first learner is not run.json's best")
    if not _is_square(matrix, size):
        raise InputError(f"{out / 'confusion.json'}: no {size} x {size} table of the best model")
    absent = [c for c in run.classes if f"proba_{c}" not in run.test_predictions.columns]
    if absent:
        raise InputError(f"{out / 'test_predictions.parquet'}: no column 'proba_{absent[0]}'")


def _check_assessed(run: Run, out: Path) -> None:
    """Refuse an assessment of other models or classes than the run's."""
    told = run.assessed
    if told.comparison is not None:
        absent = {"/".join(cell) for cell in run.cells} - set(told.comparison["name"])
        odd = set(told.comparison["verdict"]) - set(VERDICTS)
        if absent or odd:
            what = f"no row of {min(absent)}" if absent else f"unknown verdict {odd.pop()!r}"
            raise InputError(f"{out / 'comparison.csv'}: {what}")
    if told.coverage is not None and list(told.coverage["class"]) != [*run.classes, "all"]:
        raise InputError(f"{out / 'coverage.csv'}: its rows are not the run's classes and all")
    if told.reliability is not None:
        pairs = zip(told.reliability["kind"], told.reliability["class"], strict=True)
        if set(pairs) != {(kind, name) for kind in (GIVEN, CALIBRATED) for name in run.classes}:
            raise InputError(f"{out / 'reliability.csv'}: its classes and kinds are not the run's")


def _is_square(matrix: object, size: int) -> bool:
    return (
        isinstance(matrix, list)
        and len(matrix) == size
        and all(isinstance(row, list) and len(row) == size for row in matrix)
        and all(isinstance(count, int) for row in matrix for count in row)
    )
