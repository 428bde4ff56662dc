"""The leak audit: do the classes of a panel differ by what no model should live on?

Each entry of `PROBES` is something that a model can read out of a panel without reading any
accounts: which values are missing, the year, who wrote the row, the size. Where such a thing alone
tells the classes apart, or where rows of a company on both sides of a split raise the figures, the
figures of any model on that panel say less than they seem to.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd

from features import audit_figures as measure
from features.audit_figures import FOLDS, MOST_CATEGORIES, Floats, Ints, Predicted
from features.audit_result import (
    LARGE_AUC,
    LARGE_GAIN,
    Audit,
    Figures,
    Finding,
    Gain,
    audit_table,
    number,
    span,
)
from features.intervals import interval
from features.macro import MACRO
from warehouse.errors import InputError

__all__ = ["PROBES", "Audit", "Probe", "audit", "audit_table"]


CONSTANT = 0.98  # share of rows with their company's commonest label from which it is constant


class _CannotError(Exception):
    """Why a probe cannot be run: a few words for the table."""


@dataclass(frozen=True)
class Sample:
    """The rows that probes see, in a fixed order.

    `X` holds features as finite floats or NaN; `groups` codes of companies, or None; `roles` the
    columns that stand for time, source and size by the name that they have in the panel.
    """

    X: pd.DataFrame
    y: Ints
    groups: Ints | None
    roles: Mapping[str, tuple[str | None, pd.Series[Any] | None]]

    @property
    def units(self) -> Ints:
        """What is kept on one side of a split and drawn anew: companies, else rows."""
        return np.arange(len(self.y)) if self.groups is None else self.groups

    def column(self, role: str) -> tuple[str, pd.Series[Any]]:
        """Name and values of the column that has a role."""
        name, values = self.roles[role]
        if name is None or values is None:
            raise _CannotError(f"no column {name!r}" if name else f"no column for the {role}")
        return name, values


@dataclass(frozen=True)
class Probe:
    """One thing that a model could live on instead of the accounts.

    Attributes:
        name: key in `audit.json`.
        title: heading of its row.
        shows: what its figures show.
        needs: columns of the panel that it needs besides label and features.
        subject: beginning of its warning.
        meaning: end of its warning: what it means and what to do.
        columns: gives the columns to predict from.
        categorical: the columns are codes without order.
        compares: whether random rows are scored too; then the gain is judged, not the AUC.
    """

    name: str
    title: str
    shows: str
    needs: tuple[str, ...]
    subject: str
    meaning: str
    columns: Callable[[Sample], pd.DataFrame] = field(repr=False)
    categorical: bool = False
    compares: bool = False


def _missing_pattern(sample: Sample) -> pd.DataFrame:
    """A flag per feature, each pattern once, and the count; features never empty say nothing."""
    flags = sample.X.isna()
    patterns = flags.loc[:, ~flags.T.duplicated().to_numpy()].astype("float64")
    return patterns.assign(**{"count of missing": flags.sum(axis=1).astype("float64")})


def _years(sample: Sample) -> pd.DataFrame:
    name, values = sample.column("time")
    if pd.api.types.is_datetime64_any_dtype(values):
        values = values.dt.year
    return pd.DataFrame({name: _numbers_of(name, values)})


def _numbers_of(name: str, values: pd.Series[Any]) -> pd.Series[float]:
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    if (numbers.isna() & values.notna()).any():
        raise _CannotError(f"column {name!r} holds more than numbers")
    return numbers


def _source_codes(sample: Sample) -> pd.DataFrame:
    """Codes of the most frequent names; all others share one code, an empty name is missing."""
    name, values = sample.column("source")
    texts = values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
    counts = texts.value_counts().reset_index()
    counts.columns = pd.Index(["name", "rows"])
    names = counts.sort_values(["rows", "name"], ascending=[False, True])["name"]
    codes = {text: float(min(at, MOST_CATEGORIES)) for at, text in enumerate(names)}
    return pd.DataFrame({name: texts.map(codes).astype("float64")})


def _log_size(sample: Sample) -> pd.DataFrame:
    """Logarithm of the size; missing where it is not above zero."""
    name, values = sample.column("size")
    size = _numbers_of(name, values)
    return pd.DataFrame({name: np.log(size.where(size > 0))})


def _macro(sample: Sample) -> pd.DataFrame:
    names = [series.code for series in MACRO if series.code in sample.X.columns]
    if not names:
        raise _CannotError(f"none of {MACRO[0].code} to {MACRO[-1].code} is a feature")
    return sample.X[names]


def _all_features(sample: Sample) -> pd.DataFrame:
    return sample.X


PROBES: tuple[Probe, ...] = (
    Probe(
        "missing",
        "Missing values alone",
        "what can be told from which features are empty in a row, and how many",
        (),
        "the pattern of missing values alone tells the classes apart",
        "a model may read who was reported on in detail instead of who is failing; use years"
        " (--years) or ratios with even coverage over the classes",
        _missing_pattern,
    ),
    Probe(
        "year",
        "Fiscal year alone",
        "what can be told from the year of a row",
        ("time",),
        "the fiscal year alone tells the classes apart",
        "a model may read when a row was written instead of who is failing; use years in which"
        " every class has rows (--years)",
        _years,
    ),
    Probe(
        "source",
        "Source name alone",
        "what can be told from the name of the source that a row comes from",
        ("source",),
        "the name of the source alone tells the classes apart",
        "a model may read how a source writes its accounts instead of who is failing; use rows of"
        " one source, or of sources that cover every class alike",
        _source_codes,
        categorical=True,
    ),
    Probe(
        "size",
        "Size alone",
        "what can be told from total assets",
        ("size",),
        "size alone tells the classes apart",
        "a model may tell small companies from large ones instead of failing from sound ones;"
        " match the companies by size (--match)",
        _log_size,
    ),
    Probe(
        "macro",
        "Macro variables alone",
        "what can be told from the state of the economy, which is the same for all rows of a year",
        (),
        "the macro variables alone tell the classes apart",
        "they name the year of a row, so a model may read when it was written instead of who is"
        " failing; use years in which every class has rows (--years), or leave these features out",
        _macro,
    ),
    Probe(
        "split",
        "All features",
        "what rows of one company on both sides of a split add to the figures",
        ("group",),
        "random rows score above companies kept apart",
        "with years of a company on both sides a model recognises the company; judge by companies"
        " kept apart (--protocol company, the default) or by later years (--protocol time)",
        _all_features,
        compares=True,
    ),
)


def audit(
    frame: pd.DataFrame,
    features: Sequence[str],
    *,
    label: str = "label",
    group: str | None = "company_id",
    time: str | None = "fiscal_year",
    source: str | None = "source",
    size: str | None = "total_assets",
    seed: int = 0,
    most_rows: int = 20_000,
) -> Audit:
    """Run every probe on a panel: out-of-fold predictions over three folds, no company in two.

    The same panel and seed give the same audit, whatever the order of its company-years.

    Args:
        frame: one row per company and year; rows without a label or a company are left out.
        features: its columns that a model would be given, numbers.
        label: column of the class, any two or more.
        group: column of the company; without it rows are parted and drawn one by one.
        time: column of the year or a date.
        source: column with the name of a row's source.
        size: column of a size in any unit, as total assets.
        seed: of the folds, the draws and the subsample.
        most_rows: larger panels are audited on so many rows of whole companies drawn at random.

    Raises:
        InputError: a column named by `label` or `features` is absent or not what it must be.
    """
    group = group if group in frame.columns else None
    rows, notes = _usable(frame, label, group)
    rows = _ordered(rows, [name for name in (group, time) if name and name in rows.columns])
    drawn = _drawn(rows, group, most_rows, seed)
    if len(drawn) < len(rows):
        whole = "whole companies" if group else "rows"
        notes += (f"{len(drawn):,} of {len(rows):,} rows audited: {whole} drawn at random",)
    sample = _sample(drawn, features, label, group, {"time": time, "source": source, "size": size})
    classes = np.unique(sample.y)
    findings = _findings(sample, seed)
    return Audit(
        rows=findings,
        warnings=tuple(warning_of(finding) for finding in findings if finding.large),
        rows_used=len(drawn),
        rows_total=len(frame),
        companies=None if sample.groups is None else len(np.unique(sample.groups)),
        classes=len(classes),
        majority=float(np.bincount(sample.y).max() / len(drawn)) if len(drawn) else 0.0,
        notes=(*notes, *_constancy(sample)),
    )


def _constancy(sample: Sample) -> tuple[str, ...]:
    """How many companies have one label in all their years; companies of one row say nothing."""
    if sample.groups is None:
        return ()
    counts = pd.crosstab(sample.groups, sample.y)
    counts = counts[counts.sum(axis=1) > 1]
    if counts.empty:
        return ()
    one = int((counts.max(axis=1) == counts.sum(axis=1)).sum())
    said = f"the label is the same in all years of {one:,} of {len(counts):,} companies"
    if counts.max(axis=1).sum() < CONSTANT * counts.to_numpy().sum():
        return (said,)
    return (
        f"{said}: it tells companies apart and hardly years, so a model that recognises a company"
        " knows its label, and random rows flatter",
    )


def _usable(
    frame: pd.DataFrame, label: str, group: str | None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows with a label and a company, and lines that count the others."""
    if label not in frame.columns:
        raise InputError(f"leak audit: no label column {label!r}")
    unlabelled = frame[label].isna().to_numpy()
    nameless = np.zeros(len(frame), dtype=bool) if group is None else frame[group].isna().to_numpy()
    counts = (
        (f"{unlabelled.sum():,} rows without a label are left out", unlabelled.any()),
        (f"{(nameless & ~unlabelled).sum():,} rows without a company are left out", nameless.any()),
        ("no column for the company: rows are parted and drawn one by one", group is None),
    )
    notes = tuple(line for line, applies in counts if applies)
    return frame[~(unlabelled | nameless)], notes


def _ordered(rows: pd.DataFrame, keys: list[str]) -> pd.DataFrame:
    if not keys:
        return rows
    texts = [rows[name].astype(str).to_numpy() for name in reversed(keys)]
    return rows.iloc[np.lexsort(texts)]


def _drawn(rows: pd.DataFrame, group: str | None, most_rows: int, seed: int) -> pd.DataFrame:
    """All rows, or those of whole companies in random order that fit into `most_rows`."""
    if len(rows) <= most_rows:
        return rows
    codes = np.arange(len(rows)) if group is None else _codes(rows[group])
    sizes = np.bincount(codes)
    order = np.random.default_rng(seed).permutation(len(sizes))
    kept = order[np.cumsum(sizes[order]) <= most_rows]
    return rows[np.isin(codes, kept)]


def _codes(values: pd.Series[Any]) -> Ints:
    return np.unique(values.astype(str).to_numpy(dtype=np.str_), return_inverse=True)[1]


def _sample(
    rows: pd.DataFrame,
    features: Sequence[str],
    label: str,
    group: str | None,
    roles: Mapping[str, str | None],
) -> Sample:
    rows = rows.reset_index(drop=True)
    return Sample(
        pd.DataFrame({name: _floats(rows, name) for name in features}, index=rows.index),
        _codes(rows[label]),
        None if group is None else _codes(rows[group]),
        {
            role: (name, rows[name] if name is not None and name in rows.columns else None)
            for role, name in roles.items()
        },
    )


def _floats(rows: pd.DataFrame, name: str) -> Floats:
    if name not in rows.columns:
        raise InputError(f"leak audit: no feature column {name!r}")
    try:
        values = rows[name].to_numpy(dtype=np.float64, na_value=np.nan)
    except (TypeError, ValueError):
        raise InputError(f"leak audit: feature column {name!r} does not hold numbers") from None
    return np.where(np.isfinite(values), values, np.nan)


def _findings(sample: Sample, seed: int) -> tuple[Finding, ...]:
    reason = _too_few(sample)
    if reason:
        return tuple(Finding(probe.name, probe.title, reason) for probe in PROBES)
    fold = measure.company_folds(sample.y, sample.units, seed)
    weights = measure.draws(sample.units, seed)
    return tuple(_finding(probe, sample, fold, weights, seed) for probe in PROBES)


def _too_few(sample: Sample) -> str:
    """Why no probe can be run on these rows; empty where they can."""
    units = "rows" if sample.groups is None else "companies"
    pairs = np.unique(np.column_stack([sample.y, sample.units]), axis=0)
    counts = np.bincount(pairs[:, 0])
    if len(counts) < 2:
        return "one class only" if len(counts) else "no row with a label"
    if counts.min() < FOLDS:
        return f"a class with {counts.min()} {units}, and {FOLDS} are needed"
    return ""


def _finding(probe: Probe, sample: Sample, fold: Ints, weights: Floats, seed: int) -> Finding:
    try:
        X = _telling(probe, sample)
    except _CannotError as reason:
        return Finding(probe.name, probe.title, str(reason))
    apart = measure.out_of_fold(X, sample.y, fold, seed, probe.categorical)
    found = Finding(probe.name, probe.title, figures=_figures(sample.y, apart, weights))
    if probe.compares:
        found = _compared(found, X, sample.y, apart, weights, seed)
    return judged(found)


def _telling(probe: Probe, sample: Sample) -> Floats:
    """The probe's columns that hold two different values, an empty one counted."""
    if "group" in probe.needs and sample.groups is None:
        raise _CannotError("no column for the company")
    columns = probe.columns(sample)
    varied = [name for name in columns.columns if columns[name].nunique(dropna=False) > 1]
    if not varied:
        raise _CannotError("the same in every row")
    return columns[varied].to_numpy(dtype=np.float64)


def _compared(
    found: Finding, X: Floats, y: Ints, apart: Predicted, weights: Floats, seed: int
) -> Finding:
    """Add what random rows score, and the gain on the same rows and draws."""
    mixed = measure.out_of_fold(X, y, measure.row_folds(y, seed), seed)
    once = np.ones((1, len(y)))
    gains: list[float | None] = []
    for figure in (measure.macro_f1, measure.roc_auc):
        more = [figure(y, mixed, w) - figure(y, apart, w) for w in (once, weights)]
        gains += [_defined(value) for value in (more[0][0], *interval(more[1]))]
    return replace(found, by_row=_figures(y, mixed, weights), gain=Gain(*gains))


def _figures(y: Ints, predicted: Predicted, weights: Floats) -> Figures:
    once = np.ones((1, len(y)))
    low, high = interval(measure.roc_auc(y, predicted, weights))
    return Figures(
        _defined(measure.roc_auc(y, predicted, once)[0]),
        _defined(low),
        _defined(high),
        _defined(measure.balanced_accuracy(y, predicted, once)[0]),
        _defined(measure.macro_f1(y, predicted, once)[0]),
    )


def _defined(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def judged(found: Finding) -> Finding:
    """Set `large` by the lower end of the AUC or, where splits are compared, by the gain.

    A gain counts where its intervals, of macro-F1 and of the AUC, lie above zero as well: from one
    way of parting to the next macro-F1 moves by more than the limit in a small panel, and in one
    in which nothing tells the classes apart.
    """
    if found.gain is not None:
        gain, lows = found.gain.macro_f1 or 0.0, (found.gain.low, found.gain.auc_low)
        large = gain > LARGE_GAIN and all((low or 0.0) > 0 for low in lows)
    else:
        large = found.figures is not None and (found.figures.auc_low or 0.0) > LARGE_AUC
    return replace(found, large=large)


def warning_of(found: Finding) -> str:
    """One sentence on a large finding: what it is, what it means, what to do."""
    probe = next(probe for probe in PROBES if probe.name == found.probe)
    assert found.figures is not None  # noqa: S101  -- nothing is large that was not run
    if found.by_row is not None and found.gain is not None:
        size = (
            f"by {number(found.gain.macro_f1)} macro-F1: {number(found.by_row.macro_f1)} against"
            f" {number(found.figures.macro_f1)}"
        )
    else:
        size = f"ROC AUC {number(found.figures.auc, 2)}, 95 %: {span(found.figures)}"
    return f"{probe.subject} ({size}): {probe.meaning}"
