"""A panel: one row per company and year, with its label and the keys that splits need."""

from __future__ import annotations

import hashlib
import math
import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.columns import COLUMNS
from features.dataset import Features, feature_names
from features.ratios import RATIOS
from warehouse.errors import InputError
from warehouse.files import sha256_of
from warehouse.readers import read_table

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLASS_ORDER = ("bankrupt", "distressed", "healthy", "fails", "survives")
FOCUS = ("bankrupt", "fails")
HORIZON = re.compile(r"fails_within_\d+y")
TRUTH = {"true": "fails", "1": "fails", "false": "survives", "0": "survives"}
MOST_CLASSES = 50
UNKNOWN = "unknown"  # sector
TELLING = 0.2  # between the shares of two classes
LARGEST = 1e100  # squares of larger values overflow
KEYS = ("company_id", "company_name", "nse_symbol", "fiscal_year", "fiscal_year_end", "sector")
# Columns that are never features: what the table of a panel's columns does not call a feature, and
# what else our files and older panels hold. `_is_known` adds names that follow a rule.
METADATA = frozenset(column.name for column in COLUMNS if column.role != "feature") | frozenset(
    (
        *("label", "label_reason", "rule_met", "post_event", "already_admitted", "event_date"),
        *("prev_fiscal_year_end", "available_from", "months", "odd_length_year", "simulated"),
        *("n_missing", "n_negative_denominators", "failed_checks", "proxies", "n_proxy"),
        *("basis", "source", "whole_crores", "date_confidence", "is_financial", "member_list"),
        *("in_nifty500", "state", "industry", "cin_reason", "isin", "cin"),
    )
)
# Company size, by which companies are matched. Where a panel of others has it, it is said.
SIZE = "total_assets"
LEVELS: tuple[Features, ...] = ("base", "trend", "all")  # of features that a panel of ours may have
SECTOR_KEY, YEAR_KEY, RELATIVE = "sector_key", "year_key", "_rel"


@dataclass(frozen=True)
class Panel:
    """Features, labels and keys of the same rows, in file order.

    `X` holds floats (NaN where missing), `y` codes into `classes`; `groups`, `times` (years),
    `known_from` and `available_from` (dates) and `sector` are None where the file has none.
    `details` has every column that is known and no feature. `relative` names the features that
    the pipeline compares with their sector; then the last two columns of `X` are the keys for it.
    """

    X: pd.DataFrame
    y: Ints
    classes: tuple[str, ...]
    groups: NDArray[np.str_] | None
    times: Ints | None
    keys: pd.DataFrame
    details: pd.DataFrame
    known_from: NDArray[np.datetime64] | None
    available_from: NDArray[np.datetime64] | None
    sector: NDArray[np.str_] | None
    data_hash: str
    source: str
    simulated: bool
    notices: tuple[str, ...] = ()
    relative: tuple[str, ...] = ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the columns of `X`: what a pipeline takes."""
        return tuple(str(name) for name in self.X.columns)

    @property
    def own(self) -> tuple[str, ...]:
        """The features of the file, in its order."""
        return tuple(name for name in self.inputs if name not in self._sector_columns)

    @property
    def features(self) -> tuple[str, ...]:
        """What a learner may take: the features of the file, then those relative to a sector."""
        return self.own + tuple(f"{name}{RELATIVE}" for name in self.relative)

    @property
    def relative_at(self) -> tuple[int, ...]:
        """Positions in `X` of the features that are compared with their sector."""
        return tuple(self.inputs.index(name) for name in self.relative)

    @property
    def _sector_columns(self) -> tuple[str, ...]:
        return (SECTOR_KEY, YEAR_KEY) if self.relative else ()

    @property
    def focus(self) -> int:
        """Code of the class whose precision-recall area is reported: failure, else the rarest."""
        for name in FOCUS:
            if name in self.classes:
                return self.classes.index(name)
        return int(np.argmin(np.bincount(self.y, minlength=len(self.classes))))


def read_panel(
    path: Path, label: str = "label", group: str = "company_id", time: str = "fiscal_year"
) -> Panel:
    """Read a CSV or Parquet panel; raise InputError with one line that says what is wrong."""
    table = read_table(path)
    return panel_from_frame(
        table.to_pandas(), label, group, time, source=path.name, data_hash=sha256_of(path)
    )


def panel_from_frame(
    frame: pd.DataFrame,
    label: str = "label",
    group: str = "company_id",
    time: str = "fiscal_year",
    *,
    source: str = "frame",
    data_hash: str | None = None,
    simulated: bool = False,
) -> Panel:
    """Check a frame and split it into features, label and keys; raise InputError on bad input.

    Rows without a label are refused, but for a label that is true or false, as `fails_within_2y`:
    there nobody knows yet, so they are left out, counted in a notice.
    """
    frame = frame.reset_index(drop=True)
    labels = _labels(frame, label, source)
    classes = _classes(labels, label, source)
    features, notices = _features(frame, {label, group, time}, source)
    groups, (times, time_notices) = _groups(frame, group, source), _times(frame, time, source)
    _refuse_repeated(groups, times, source)
    panel = Panel(
        X=features,
        y=np.asarray(pd.Categorical(labels, categories=list(classes)).codes, dtype=np.int64),
        classes=classes,
        groups=groups,
        times=times,
        keys=frame[_key_columns(frame, group, time)].copy(),
        details=frame[[n for n in frame.columns if _is_known(n, {label, group, time})]].copy(),
        known_from=_dates(frame, _known_from(frame, label), source),
        available_from=_dates(frame, "available_from", source),
        sector=_texts(frame, "sector"),
        data_hash=data_hash or _frame_hash(frame),
        source=source,
        simulated=simulated or _any_true(frame, "simulated"),
        notices=notices + time_notices,
    )
    return _labelled(panel, label)


def _known_from(frame: pd.DataFrame, label: str) -> str:
    """The column of the dates at which that label could be known; it may not be there.

    The date of the ordinary label says nothing of another label beside it.
    """
    own = f"{label}_known_from"
    if own in frame.columns or (label != "label" and "label" in frame.columns):
        return own
    return "label_known_from"


def _labelled(panel: Panel, label: str) -> Panel:
    """The rows that have a label; how many have none becomes a notice."""
    kept = np.flatnonzero(panel.y >= 0)
    without = len(panel.y) - len(kept)
    if not without:
        return panel
    why = " (not yet observed, or already admitted)" if HORIZON.fullmatch(label) else ""
    said = f"{without:,} of {len(panel.y):,} rows have no {label!r}{why} and are left out"
    return replace(_take(panel, kept), notices=(*panel.notices, said))


def _take(panel: Panel, rows: Ints) -> Panel:
    """The panel of these rows, in this order."""
    return replace(
        panel,
        X=panel.X.iloc[rows].reset_index(drop=True),
        y=panel.y[rows],
        groups=None if panel.groups is None else panel.groups[rows],
        times=None if panel.times is None else panel.times[rows],
        keys=panel.keys.iloc[rows].reset_index(drop=True),
        details=panel.details.iloc[rows].reset_index(drop=True),
        known_from=None if panel.known_from is None else panel.known_from[rows],
        available_from=None if panel.available_from is None else panel.available_from[rows],
        sector=None if panel.sector is None else panel.sector[rows],
    )


def with_sector_relative(panel: Panel) -> Panel:
    """The panel with each ratio compared with its sector's median of the year, by the pipeline.

    In a panel whose features are all ours these are the ratios X1 to X62; else every feature is.

    Raises:
        InputError: there is no column of sectors or of years, or a name is taken.
    """
    if panel.sector is None:
        raise InputError(f"{panel.source}: --sector-relative needs a column 'sector'")
    if panel.times is None:
        raise InputError(
            f"{panel.source}: --sector-relative needs a column of whole years; name it with"
            " --time COL"
        )
    ratios = {ratio.code for ratio in RATIOS}
    ours = set(panel.features) <= set(feature_names("all"))
    relative = tuple(name for name in panel.features if name in ratios or not ours)
    made = {SECTOR_KEY, YEAR_KEY, *(f"{name}{RELATIVE}" for name in relative)}
    taken = sorted(made & {*panel.features, *map(str, panel.details.columns)})
    if taken:
        raise InputError(
            f"{panel.source}: --sector-relative makes a column {taken[0]!r}; the panel has one"
        )
    keys = sector_columns(panel.sector, panel.times)
    return replace(
        panel,
        X=panel.X.assign(**keys),
        relative=relative,
        notices=panel.notices + _compared(panel, relative, keys[SECTOR_KEY]),
    )


def _compared(panel: Panel, relative: tuple[str, ...], keys: Floats) -> tuple[str, ...]:
    """Say what is compared with sectors, and which classes have rows of no known sector."""
    made = f"{len(relative)} features are given as the difference from their sector's median too"
    without = np.isnan(keys)
    if not without.any():
        return (made,)
    shares = [float(without[panel.y == code].mean()) for code in range(len(panel.classes))]
    named = ", ".join(f"{s:.0%} of {c}" for s, c in zip(shares, panel.classes, strict=True))
    telling = (
        "; who has no sector tells the classes apart, and a model may read it:"
        " --no-sector-relative leaves it out"
    )
    return (
        made,
        f"{without.sum():,} of {len(keys):,} rows have no sector and are compared with all sectors"
        f" ({named}){telling if max(shares) - min(shares) > TELLING else ''}",
    )


def sector_columns(sectors: Iterable[object], years: Iterable[object]) -> dict[str, Floats]:
    """The columns `sector_key` and `year_key` that the pipeline tells sectors and years by.

    A key is the CRC-32 of the sector's name, whatever its case: the same in every run and on every
    machine. It is NaN where the sector is not known.
    """
    names = pd.Series(list(sectors), dtype="object").map(_sector_key)
    return {
        SECTOR_KEY: names.to_numpy(dtype=np.float64),
        YEAR_KEY: pd.Series(list(years)).to_numpy(dtype=np.float64, na_value=np.nan),
    }


def _sector_key(name: object) -> float:
    known = "" if name is None or name != name else " ".join(str(name).split()).casefold()
    return float("nan") if known in ("", UNKNOWN) else float(zlib.crc32(known.encode()))


def _refuse_duplicates(names: list[str], source: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{source}: column {twice[0]!r} appears more than once; names must differ")


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _labels(frame: pd.DataFrame, label: str, source: str) -> pd.Series[str]:
    if label not in frame.columns:
        raise InputError(f"{source}: no label column {label!r}; {_nearest(label, frame)}")
    if frame.empty:
        raise InputError(f"{source}: a header but no rows")
    column = frame[label]
    missing = column.isna()
    if missing.all():
        raise InputError(f"{source}: no row has a {label!r}")
    if HORIZON.fullmatch(label):
        return _outcomes(column, source)
    if missing.any() and not _is_boolean(column):
        first = int(np.flatnonzero(missing.to_numpy())[0]) + 1
        raise InputError(
            f"{source}: {int(missing.sum())} rows have no {label!r}, the first is data row {first}"
        )
    return column.map(_class_name, na_action="ignore").astype("str")


def _is_boolean(column: pd.Series[Any]) -> bool:
    return {str(value).strip().casefold() for value in column.dropna().unique()} <= {
        "true",
        "false",
    }


def _outcomes(column: pd.Series[Any], source: str) -> pd.Series[str]:
    """True and false as `fails` and `survives`; missing stays missing."""
    said = column.map(lambda value: _class_name(value).casefold(), na_action="ignore")
    wrong = (said.notna() & ~said.isin([*TRUTH, *TRUTH.values()])).to_numpy()
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{source}, data row {first + 1}, column {column.name!r}: expected true or false, got"
            f" {str(column.iloc[first])[:80]!r}"
        )
    return said.map(lambda value: TRUTH.get(value, value), na_action="ignore").astype("str")


def _class_name(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value).strip()


def _nearest(name: str, frame: pd.DataFrame) -> str:
    names = [str(column) for column in frame.columns]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "nearest: " + ", ".join(near)
    return "columns are " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _classes(labels: pd.Series[str], label: str, source: str) -> tuple[str, ...]:
    """The classes in order; InputError where they are too few or too many to compare."""
    classes = _class_order(labels)
    if len(classes) < 2:
        raise InputError(f"{source}: only one class ({classes[0]!r}) in {label!r}; two are needed")
    if len(classes) > MOST_CLASSES:
        raise InputError(
            f"{source}: {len(classes)} classes in {label!r}; up to {MOST_CLASSES} are compared;"
            " is --label the right column?"
        )
    return classes


def _class_order(labels: pd.Series[str]) -> tuple[str, ...]:
    found = set(labels.dropna())
    known = tuple(name for name in CLASS_ORDER if name in found)
    return known + tuple(sorted(found - set(known)))


def _features(
    frame: pd.DataFrame, keys: set[str], source: str
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Return the numeric columns that are not keys, and lines naming the columns left out."""
    names = [str(column) for column in frame.columns]
    _refuse_duplicates(names, source)
    columns = {name: _numbers(frame[name], source) for name in names if not _is_known(name, keys)}
    numeric = {name: values for name, values in columns.items() if values is not None}
    if not numeric:
        raise InputError(f"{source}: no numeric feature column besides label and keys")
    features = pd.DataFrame(numeric)
    _refuse_extreme(features, source)
    notices = _left_out("not numeric", [name for name in columns if name not in numeric])
    if SIZE in names and "X1" not in names:
        notices += _left_out("a size by which companies are matched", [SIZE])
    return features, notices + _empty(features, source)


def _is_known(name: object, keys: set[str]) -> bool:
    """Whether a column is label, date, key or count, and so no feature."""
    text = str(name)
    return (
        text in METADATA | keys | {*KEYS, SIZE}
        or text.endswith("_known_from")
        or HORIZON.fullmatch(text) is not None
    )


def _numbers(column: pd.Series[Any], source: str) -> pd.Series[float] | None:
    """A column as floats, or None if it is flags, dates or text; text in numbers is refused."""
    if pd.api.types.is_bool_dtype(column) or pd.api.types.is_datetime64_any_dtype(column):
        return None
    if pd.api.types.is_numeric_dtype(column):
        return column.astype("float64")
    values = pd.to_numeric(column, errors="coerce").astype("float64")
    wrong = (values.isna() & column.notna()).to_numpy()
    if 2 * wrong.sum() >= column.notna().sum() > 0:
        return None
    if wrong.any():
        first = int(np.flatnonzero(wrong)[0])
        raise InputError(
            f"{source}, data row {first + 1}, column {column.name!r}: expected a number, got"
            f" {str(column.iloc[first])[:80]!r}"
        )
    return values


def _empty(features: pd.DataFrame, source: str) -> tuple[str, ...]:
    """Name the features without a value; refuse a panel in which none varies."""
    if not (features.nunique() > 1).any():
        raise InputError(f"{source}: no feature has two different values: nothing to learn from")
    empty = [str(name) for name in features.columns if features[name].isna().all()]
    return (f"features without any value: {', '.join(empty)}",) if empty else ()


def _left_out(reason: str, names: list[str]) -> tuple[str, ...]:
    return (f"columns left out ({reason}): {', '.join(names)}",) if names else ()


def _refuse_extreme(features: pd.DataFrame, source: str) -> None:
    rows, columns = np.nonzero(np.abs(features.to_numpy()) > LARGEST)
    if len(rows):
        value = features.iat[rows[0], columns[0]]
        raise InputError(
            f"{source}, data row {rows[0] + 1}, column {features.columns[columns[0]]!r}:"
            f" {value!s}"
            " is infinite or beyond all measure; a value that cannot be computed is left empty"
        )


def _refuse_repeated(groups: NDArray[np.str_] | None, times: Ints | None, source: str) -> None:
    """A company-year that stands twice would stand on both sides of a split."""
    if groups is None or times is None:
        return
    pairs = pd.DataFrame({"group": groups, "time": times})
    again = np.flatnonzero(pairs.duplicated().to_numpy())
    if len(again):
        group, time = pairs.iloc[again[0]]
        raise InputError(
            f"{source}, data row {again[0] + 1}: company {group} has another row for {time};"
            " expected one row per company and year"
        )


def _groups(frame: pd.DataFrame, group: str, source: str) -> NDArray[np.str_] | None:
    if group not in frame.columns:
        _refuse_unknown("--group", group, "company_id", frame, source)
        return None
    if frame[group].isna().any():
        first = int(np.flatnonzero(frame[group].isna().to_numpy())[0]) + 1
        raise InputError(f"{source}: {group!r} is empty in data row {first}")
    return frame[group].astype(str).str.strip().to_numpy(dtype=np.str_)


def _refuse_unknown(option: str, name: str, default: str, frame: pd.DataFrame, source: str) -> None:
    """A column that was asked for by name must be there."""
    if name != default:
        raise InputError(f"{source}: no column {name!r} ({option}); {_nearest(name, frame)}")


def _times(frame: pd.DataFrame, time: str, source: str) -> tuple[Ints | None, tuple[str, ...]]:
    if time not in frame.columns:
        _refuse_unknown("--time", time, "fiscal_year", frame, source)
        return None, ()
    column = frame[time]
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.dt.year
    years = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(years).all() or (years != np.round(years)).any():
        return None, (f"column {time!r} does not hold whole years, so --protocol time is off",)
    if (np.abs(years) > 9999).any():
        first = int(np.flatnonzero(np.abs(years) > 9999)[0])
        raise InputError(f"{source}, data row {first + 1}: {years[first]:.0f} is not a year")
    return years.astype(np.int64), ()


def _dates(frame: pd.DataFrame, name: str, source: str) -> NDArray[np.datetime64] | None:
    if name not in frame.columns:
        return None
    column = frame[name]
    try:
        if pd.api.types.is_numeric_dtype(column) and column.notna().any():
            raise ValueError("expected YYYY-MM-DD, got numbers")
        if not pd.api.types.is_datetime64_any_dtype(column):
            column = pd.to_datetime(column.astype("string"), format="ISO8601")
    except (ValueError, TypeError) as error:
        reason = _first_line(error)
        raise InputError(f"{source}: column {name!r} is not a date ({reason})") from None
    dates = pd.to_datetime(column)
    if dates.dt.tz is not None:
        dates = dates.dt.tz_localize(None)
    return dates.to_numpy(dtype="datetime64[D]")


def _texts(frame: pd.DataFrame, name: str) -> NDArray[np.str_] | None:
    if name not in frame.columns:
        return None
    return frame[name].astype(object).fillna(UNKNOWN).astype(str).to_numpy(dtype=np.str_)


def _key_columns(frame: pd.DataFrame, group: str, time: str) -> list[str]:
    wanted = dict.fromkeys((group, time, *KEYS))
    return [name for name in wanted if name in frame.columns]


def _any_true(frame: pd.DataFrame, name: str) -> bool:
    if name not in frame.columns:
        return False
    return bool(frame[name].astype(str).str.lower().isin(["true", "1", "1.0", "yes"]).any())


def _frame_hash(frame: pd.DataFrame) -> str:
    digest = hashlib.sha256("\x1f".join(str(name) for name in frame.columns).encode())
    digest.update(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()
