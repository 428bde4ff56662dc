"""What a model has seen: training company-years, kept with it to compare a new company with.

`history.parquet` of a model folder holds one row per training company-year: who, when, which class,
what became of the company, the model's inputs, and how far the row lies from its nearest rows of
other companies. Of many rows a part is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from models.panel import Floats, Ints, Panel
from warehouse.errors import InputError

HISTORY = "history.parquet"
MOST_ROWS = 20_000
NEAREST = 5  # rows whose mean distance is how far a row lies from the others
BLOCK = 500  # rows compared at once
COLUMNS = ("company", "name", "year", "sector", "class_code", "last_failed", "last_year", "apart")


@dataclass(frozen=True)
class Neighbour:
    """A training company-year that looks like the one asked about, and what became of it.

    Attributes:
        company_id: the company.
        company_name: its name, or its id where the panel has none.
        fiscal_year: of the row; None in a panel without years.
        label: class of that row.
        last_failed: last year in which the company has the risk class; None if it never does.
        last_year: last year of the company in the panel.
        distance: root mean square difference of the model's features, in training deviations.
    """

    company_id: str
    company_name: str
    fiscal_year: int | None
    label: str
    last_failed: int | None
    last_year: int | None
    distance: float

    def fate(self, risk: str) -> str:
        """What became of the company, in words; `risk` is the name of the risk class."""
        if self.last_failed is not None:
            return f"{risk} in {self.last_failed}"
        known = "" if self.last_year is None else f" up to {self.last_year}"
        return f"never {risk}{known}"


@dataclass(frozen=True)
class Outside:
    """How far a company-year lies outside what the model has seen.

    Attributes:
        percentile: share, in per cent, of training company-years that lie nearer to their nearest
            ones of other companies than this one does.
        beyond: features with a value beyond the 1 % or 99 % quantile of the training rows.
    """

    percentile: float
    beyond: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class History:
    """Training rows: `COLUMNS` and the model's inputs, its selected features, these prepared."""

    rows: pd.DataFrame
    values: pd.DataFrame
    prepared: Floats

    @cached_property
    def _squares(self) -> Floats:
        return np.asarray((self.prepared**2).sum(axis=1))

    @cached_property
    def _companies(self) -> Any:
        return self.rows["company"].to_numpy(dtype=object)

    def distances(self, prepared: Floats, company: str) -> Floats:
        """Distance of a company's prepared rows to every training row; infinite to its own."""
        own = (prepared**2).sum(axis=1)[:, None]
        squares = own + self._squares - 2 * prepared @ self.prepared.T
        apart = np.sqrt(np.maximum(squares, 0) / prepared.shape[1])
        apart[:, self._companies == company] = np.inf
        return np.asarray(apart, dtype=np.float64)

    def percentile(self, distances: Floats) -> float:
        """Of one row's distances: see `Outside.percentile`."""
        found = _nearest_mean(distances[None, :])[0]
        return float(100 * (self.rows["apart"].to_numpy() < found).mean())

    def nearest(self, distances: Floats, classes: tuple[str, ...], most: int) -> list[Neighbour]:
        """The nearest companies by one row's distances, each by its nearest row."""
        found: dict[str, Neighbour] = {}
        for at in np.argsort(distances, kind="stable"):
            if len(found) == most or not np.isfinite(distances[at]):
                break
            row = self.rows.iloc[int(at)]
            found.setdefault(str(row["company"]), _neighbour(row, classes, distances[at]))
        return list(found.values())


def _neighbour(row: pd.Series[Any], classes: tuple[str, ...], distance: float) -> Neighbour:
    years = [None if pd.isna(row[n]) else int(row[n]) for n in ("year", "last_failed", "last_year")]
    return Neighbour(
        str(row["company"]),
        str(row["name"]),
        years[0],
        classes[int(row["class_code"])],
        years[1],
        years[2],
        float(distance),
    )


def _nearest_mean(distances: Floats) -> Floats:
    """Mean of the few smallest finite distances of each row."""
    few = np.partition(distances, min(NEAREST, distances.shape[1] - 1), axis=1)[:, :NEAREST]
    few = np.where(np.isfinite(few), few, np.nan)
    with np.errstate(all="ignore"):
        return np.asarray(np.nansum(few, axis=1) / np.maximum((~np.isnan(few)).sum(axis=1), 1))


def make_history(panel: Panel, train: Ints, prepared: Floats, seed: int) -> pd.DataFrame:
    """The rows to keep of the training rows; `prepared` are their columns, in that order."""
    kept = _kept(panel.y[train], panel.focus, seed)
    rows, prepared = train[kept], prepared[kept]
    companies = _companies(panel)
    facts = pd.DataFrame({"company": companies, "class_code": panel.y})
    facts["name"] = panel.keys["company_name"].to_numpy() if "company_name" in panel.keys else None
    facts["name"] = facts["name"].fillna(facts["company"]).astype(str)
    facts["sector"] = panel.sector if panel.sector is not None else None
    facts["year"] = panel.times if panel.times is not None else np.nan
    failed = facts["year"].where(facts["class_code"] == panel.focus)
    facts["last_failed"] = failed.groupby(facts["company"]).transform("max")
    facts["last_year"] = facts["year"].groupby(facts["company"]).transform("max")
    found = facts.iloc[rows].reset_index(drop=True)
    found["apart"] = _apart(prepared, found["company"].to_numpy())
    inputs = panel.X.iloc[rows].reset_index(drop=True)
    return pd.concat([found[list(COLUMNS)], inputs], axis=1)


def _companies(panel: Panel) -> Any:
    """Whose each row is; a panel without companies has one a row."""
    if panel.groups is not None:
        return panel.groups
    return np.array([f"row {at + 1}" for at in range(len(panel.y))])


def _kept(y: Ints, risk: int, seed: int) -> Ints:
    """All rows or, of too many, those of the risk class up to a half and a draw of the others."""
    if len(y) <= MOST_ROWS:
        return np.arange(len(y))
    random = np.random.default_rng(seed)
    risky, others = np.flatnonzero(y == risk), np.flatnonzero(y != risk)
    first = random.permutation(risky)[: MOST_ROWS // 2]
    return np.sort(np.append(first, random.permutation(others)[: MOST_ROWS - len(first)]))


def _apart(prepared: Floats, companies: Any) -> Floats:
    """Distance of each row to its nearest ones of other companies."""
    from sklearn.metrics import pairwise_distances  # to train alone: a score should not wait

    parts = []
    for start in range(0, len(prepared), BLOCK):
        block = slice(start, start + BLOCK)
        apart = pairwise_distances(prepared[block], prepared) / np.sqrt(prepared.shape[1])
        apart[companies[block][:, None] == companies[None, :]] = np.inf
        parts.append(_nearest_mean(apart))
    return np.concatenate(parts)


def write_history(rows: pd.DataFrame, path: Path) -> None:
    """Write them as Parquet."""
    pa_parquet.write_table(pa.Table.from_pandas(rows, preserve_index=False), path)


def read_history(path: Path, inputs: tuple[str, ...], classes: int) -> pd.DataFrame:
    """Read and check them.

    Raises:
        InputError: not readable, or not of this model.
    """
    try:
        if pa_parquet.read_metadata(path).num_rows > MOST_ROWS:
            raise InputError(f"{path}: more rows than any model keeps")
        table = pa_parquet.read_table(path, partitioning=None)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: not readable ({type(error).__name__})") from None
    rows: pd.DataFrame = table.to_pandas()
    if list(rows.columns) != [*COLUMNS, *inputs]:
        raise InputError(f"{path}: its columns are not those of the model")
    numbers = rows.drop(columns=["company", "name", "sector"])
    if not all(pd.api.types.is_numeric_dtype(kind) for kind in numbers.dtypes):
        raise InputError(f"{path}: holds something that is not a number")
    if not rows["class_code"].between(0, classes - 1).all():
        raise InputError(f"{path}: holds a class that the model does not know")
    return rows
