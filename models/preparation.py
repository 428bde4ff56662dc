"""How a saved model prepares rows: what the fitted steps have learnt, as plain numbers.

`prepare.npz` holds one array per name below and nothing else, read without pickle. The steps are
those of `models.pipeline`, in its order, for the selected columns alone; a test proves that both
give the same columns. Plain arrays are read and applied in a fraction of the time that the steps
take, do not depend on a version of scikit-learn, and cannot run anything.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.panel import Floats
from warehouse.errors import InputError
from warehouse.files import unpacked_bytes

if TYPE_CHECKING:
    from models.steps import SectorRelative

PREPARE = "prepare.npz"
MOST_BYTES = 1024 * 2**20  # unpacked
BLOCK = 4096  # rows prepared at once, which then stay in the cache from step to step
# Of the medians of sectors: the arrays of `SectorRelative`, and which part of which it is.
TABLES: dict[str, tuple[str, ...]] = {
    "years_": ("years",),
    "sector_year_": ("sector_year_keys", "sector_year_medians", "sector_year_latest"),
    "sector_": ("sector_keys", "sector_medians"),
    "year_": ("year_keys", "year_medians", "year_latest"),
}
COLUMNS = "relative_columns"


@dataclass(frozen=True)
class Preparation:
    """What the fitted steps have learnt, per feature; `mask` tells the selected ones.

    Attributes:
        median: stands in for a missing value.
        low, high: the limits that values are pulled back to.
        mean, scale: taken off, then divided by.
        mask: selected features.
        relative: adds differences from medians of sectors to the inputs; None where there are none.
    """

    median: Floats
    low: Floats
    high: Floats
    mean: Floats
    scale: Floats
    mask: NDArray[np.bool_]
    relative: SectorRelative | None = None

    @classmethod
    def of(cls, steps: Mapping[str, Any]) -> Preparation:
        """Out of the fitted steps of a pipeline, by name."""
        return cls(
            steps["impute"].statistics_,
            steps["winsorise"].low_,
            steps["winsorise"].high_,
            steps["scale"].mean_,
            steps["scale"].scale_,
            steps["select"].mask_,
            steps.get("relative"),
        )

    def values(self, given: Floats) -> Floats:
        """All features of rows of inputs, NaN where missing."""
        return given if self.relative is None else self.relative.transform(given)

    def columns(self, values: Floats) -> Floats:
        """The selected features of rows of features, prepared."""
        median, low, high, mean, scale = (
            part[self.mask] for part in (self.median, self.low, self.high, self.mean, self.scale)
        )
        made = np.empty((len(values), len(median)))
        for start in range(0, len(values), BLOCK):
            block = values[start : start + BLOCK, self.mask]
            np.copyto(block, median, where=np.isnan(block))
            np.clip(block, low, high, out=block)
            block -= mean
            np.divide(block, scale, out=made[start : start + BLOCK])
        return made

    def write(self, path: Path) -> None:
        """Write the arrays."""
        arrays = {name: getattr(self, name) for name in (*_NUMBERS, "mask")}
        if self.relative is not None:
            arrays[COLUMNS] = np.array(self.relative.columns, dtype=np.int64)
            for name, parts in TABLES.items():
                table = getattr(self.relative, name)
                arrays |= zip(parts, (table,) if len(parts) == 1 else table, strict=True)
        np.savez(path, **arrays)


_NUMBERS = ("median", "low", "high", "mean", "scale")


def read_preparation(path: Path, features: int, *, relative: bool) -> Preparation:
    """Read and check what `write` wrote.

    Raises:
        InputError: not readable, or not of this many features.
    """
    try:
        if unpacked_bytes(path) > MOST_BYTES:
            raise InputError(f"{path}: unpacks to more than any model")
        with np.load(path, allow_pickle=False) as found:
            arrays = {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, NotImplementedError) as error:
        raise InputError(f"{path}: not readable ({type(error).__name__})") from None
    if not _fits(arrays, features, relative):
        raise InputError(f"{path}: not the preparation of a model")
    own = {name: arrays[name] for name in (*_NUMBERS, "mask")}
    return Preparation(**own, relative=_relative(arrays) if relative else None)


def _fits(arrays: dict[str, NDArray[Any]], features: int, relative: bool) -> bool:
    tables = [name for parts in TABLES.values() for name in parts]
    names = {*_NUMBERS, "mask"} | ({COLUMNS, *tables} if relative else set())
    if set(arrays) != names or arrays["mask"].dtype != np.bool_:
        return False
    numbers = [arrays[name] for name in _NUMBERS]
    own = all(one.shape == (features,) for one in (*numbers, arrays["mask"]))
    kinds = all(arrays[name].dtype == np.float64 for name in names & {*_NUMBERS, *tables})
    if not own or not kinds or not all(np.isfinite(one).all() for one in numbers):
        return False
    return bool((arrays["scale"] > 0).all()) and (not relative or _tables_fit(arrays))


def _tables_fit(arrays: dict[str, NDArray[Any]]) -> bool:
    """One row of medians per key, one column per ratio that is compared."""
    columns = arrays[COLUMNS]
    if columns.dtype != np.int64 or columns.ndim != 1 or arrays["years"].ndim != 1:
        return False
    return all(
        arrays[keys].ndim == 1
        and all(arrays[name].shape == (len(arrays[keys]), len(columns)) for name in rest)
        for keys, *rest in TABLES.values()
    )


def _relative(arrays: dict[str, NDArray[Any]]) -> SectorRelative:
    from models.steps import SectorRelative  # scikit-learn: most models need none to prepare

    step = SectorRelative(tuple(int(at) for at in arrays[COLUMNS]))
    for name, parts in TABLES.items():
        table = tuple(arrays[part] for part in parts)
        setattr(step, name, table[0] if len(parts) == 1 else table)
    return step
