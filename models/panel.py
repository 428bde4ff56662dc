"""A panel: one row per company and year, with its label and the keys that splits need."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow
import pyarrow.parquet
from numpy.typing import NDArray

from warehouse.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

CLASS_ORDER = ("bankrupt", "distressed", "healthy")
RATIO_CODES = tuple(f"X{number}" for number in range(1, 63))
CANONICAL = (*RATIO_CODES, "X63", "X64", "X65", "X66")
KEYS = ("company_id", "company_name", "nse_symbol", "fiscal_year", "fiscal_year_end", "sector")
METADATA = frozenset(
    (
        *("label", "company_id", "fiscal_year", "fiscal_year_end", "available_from"),
        *("label_known_from", "post_event", "n_missing", "failed_checks", "months"),
        *("n_negative_denominators", "odd_length_year", "simulated", "event_date"),
        *("basis", "source", "proxies", "date_confidence", "is_financial"),
    )
)


@dataclass(frozen=True)
class Panel:
    """Features, labels and keys of the same rows, in file order.

    `X` holds floats (NaN where missing), `y` codes into `classes`; `groups`, `times` (years),
    `known_from` and `available_from` (dates) and `sector` are None where the file has none.
    """

    X: pd.DataFrame
    y: Ints
    classes: tuple[str, ...]
    groups: NDArray[np.str_] | None
    times: Ints | None
    keys: pd.DataFrame
    known_from: NDArray[np.datetime64] | None
    available_from: NDArray[np.datetime64] | None
    sector: NDArray[np.str_] | None
    data_hash: str
    source: str
    simulated: bool
    notices: tuple[str, ...] = ()

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features, in file order."""
        return tuple(str(name) for name in self.X.columns)

    @property
    def focus(self) -> int:
        """Code of the class whose precision-recall area is reported: bankrupt, else the rarest."""
        if "bankrupt" in self.classes:
            return self.classes.index("bankrupt")
        return int(np.argmin(np.bincount(self.y, minlength=len(self.classes))))


def read_panel(
    path: Path, label: str = "label", group: str = "company_id", time: str = "fiscal_year"
) -> Panel:
    """Read a CSV or Parquet panel; raise InputError with one line that says what is wrong."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; --panel takes a CSV or Parquet file")
    content = path.read_bytes()
    if not content.strip():
        raise InputError(f"{path}: the file is empty; expected a header line and rows")
    try:
        frame = _read_parquet(path) if content[:4] == b"PAR1" else _read_csv(path)
    except (ValueError, UnicodeDecodeError, OSError, csv.Error, pyarrow.ArrowException) as error:
        raise InputError(f"{path}: not readable as CSV or Parquet ({_first_line(error)})") from None
    digest = hashlib.sha256(content).hexdigest()
    return panel_from_frame(frame, label, group, time, source=path.name, data_hash=digest)


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
    """Check a frame and split it into features, label and keys; raise InputError on bad input."""
    frame = frame.reset_index(drop=True)
    labels = _labels(frame, label, source)
    classes = _class_order(labels)
    if len(classes) < 2:
        raise InputError(f"{source}: only one class ({classes[0]!r}) in {label!r}; two are needed")
    names, notices = _feature_names(frame, {label, group, time}, source)
    features = frame[list(names)].astype("float64")
    _refuse_infinite(features, source)
    times, time_notices = _times(frame, time)
    return Panel(
        X=features,
        y=np.asarray(pd.Categorical(labels, categories=list(classes)).codes, dtype=np.int64),
        classes=classes,
        groups=_groups(frame, group, source),
        times=times,
        keys=frame[_key_columns(frame, group, time)].copy(),
        known_from=_dates(frame, "label_known_from", source),
        available_from=_dates(frame, "available_from", source),
        sector=_texts(frame, "sector"),
        data_hash=data_hash or _frame_hash(frame),
        source=source,
        simulated=simulated or _any_true(frame, "simulated"),
        notices=notices + time_notices,
    )


def _read_parquet(path: Path) -> pd.DataFrame:
    table = pyarrow.parquet.read_table(path)
    _refuse_duplicates(list(table.column_names), path.name)
    frame: pd.DataFrame = table.to_pandas()
    return frame


def _read_csv(path: Path) -> pd.DataFrame:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file))
    _refuse_duplicates(header, path.name)
    return pd.read_csv(path, encoding="utf-8-sig", low_memory=False)


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
    if missing.any():
        first = int(np.flatnonzero(missing.to_numpy())[0]) + 1
        raise InputError(
            f"{source}: {int(missing.sum())} rows have no {label!r}, the first is data row {first}"
        )
    return column.map(_class_name).astype("str")


def _class_name(value: object) -> str:
    if isinstance(value, float) and math.isfinite(value) and value == int(value):
        return str(int(value))
    return str(value)


def _nearest(name: str, frame: pd.DataFrame) -> str:
    names = [str(column) for column in frame.columns]
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return "nearest: " + ", ".join(near)
    return "columns are " + ", ".join(names[:8]) + (" …" if len(names) > 8 else "")


def _class_order(labels: pd.Series[str]) -> tuple[str, ...]:
    found = set(labels)
    known = tuple(name for name in CLASS_ORDER if name in found)
    return known + tuple(sorted(found - set(known)))


def _feature_names(
    frame: pd.DataFrame, keys: set[str], source: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the numeric columns that are not keys, and a line naming each group left out."""
    names = [str(column) for column in frame.columns]
    _refuse_duplicates(names, source)
    candidates = [name for name in names if name not in METADATA | keys | set(KEYS)]
    numeric = [name for name in candidates if _is_number(frame[name])]
    notices = _left_out("not numeric", [name for name in candidates if name not in numeric])
    if set(RATIO_CODES) <= set(numeric):
        extra = [name for name in numeric if name not in CANONICAL]
        notices += _left_out("not among X1..X66", extra)
        numeric = [name for name in numeric if name in CANONICAL]
    if not numeric:
        raise InputError(f"{source}: no numeric feature column besides label and keys")
    return tuple(numeric), notices


def _is_number(column: pd.Series[float]) -> bool:
    return pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)


def _left_out(reason: str, names: list[str]) -> tuple[str, ...]:
    return (f"columns left out ({reason}): {', '.join(names)}",) if names else ()


def _refuse_infinite(features: pd.DataFrame, source: str) -> None:
    rows, columns = np.nonzero(np.isinf(features.to_numpy()))
    if len(rows):
        raise InputError(
            f"{source}: infinite value in column {features.columns[columns[0]]!r}, data row"
            f" {rows[0] + 1}; a value that cannot be computed must be left empty"
        )


def _groups(frame: pd.DataFrame, group: str, source: str) -> NDArray[np.str_] | None:
    if group not in frame.columns:
        return None
    if frame[group].isna().any():
        first = int(np.flatnonzero(frame[group].isna().to_numpy())[0]) + 1
        raise InputError(f"{source}: {group!r} is empty in data row {first}")
    return frame[group].astype(str).to_numpy(dtype=np.str_)


def _times(frame: pd.DataFrame, time: str) -> tuple[Ints | None, tuple[str, ...]]:
    if time not in frame.columns:
        return None, ()
    column = frame[time]
    if pd.api.types.is_datetime64_any_dtype(column):
        column = column.dt.year
    years = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    if not np.isfinite(years).all() or (years != np.round(years)).any():
        return None, (f"column {time!r} does not hold whole years, so --protocol time is off",)
    return years.astype(np.int64), ()


def _dates(frame: pd.DataFrame, name: str, source: str) -> NDArray[np.datetime64] | None:
    if name not in frame.columns:
        return None
    try:
        dates = pd.to_datetime(frame[name])
    except (ValueError, TypeError) as error:
        reason = _first_line(error)
        raise InputError(f"{source}: column {name!r} is not a date ({reason})") from None
    if dates.dt.tz is not None:
        dates = dates.dt.tz_localize(None)
    return dates.to_numpy(dtype="datetime64[D]")


def _texts(frame: pd.DataFrame, name: str) -> NDArray[np.str_] | None:
    if name not in frame.columns:
        return None
    return frame[name].astype(object).fillna("unknown").astype(str).to_numpy(dtype=np.str_)


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
