"""Cells that are done, kept while a run goes on, so that it can be taken up again.

Beside the run's folder `DIR` stands `DIR.part`: `plan.json` with all that decides results, and one
`.npz` a cell, of arrays and one JSON text. Nothing in it is ever unpickled.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from models.cell import Cell
from warehouse.errors import InputError
from warehouse.files import make_folder, write_whole

PLAN = "plan.json"
ARRAYS = ("cv", "test", "importance")
PLAIN = tuple(field.name for field in fields(Cell) if field.name not in ARRAYS)


class Kept:
    """The folder of done cells of one run; `begin` comes first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.stamp = ""

    def begin(self, plan: Mapping[str, str], resume: bool) -> None:
        """Start with an empty folder, or go on with one of the same plan.

        Raises:
            InputError: there is nothing to go on with, it was made from something else, or there
                is something and nobody asked to go on with it.
        """
        self.stamp = hashlib.sha256(_text(plan).encode()).hexdigest()
        if resume:
            self._compare(plan)
        else:
            self._start(plan)

    def _start(self, plan: Mapping[str, str]) -> None:
        if self.count():
            raise InputError(
                f"{self.folder} has {self.count()} cells of an interrupted run: go on with"
                " --resume, delete it, or give another --out"
            )
        make_folder(self.folder)
        text = _text(plan)
        write_whole(self.folder / PLAN, lambda draft: draft.write_text(text, encoding="utf-8"))

    def _compare(self, plan: Mapping[str, str]) -> None:
        before = _read_plan(self.folder / PLAN)
        for name in sorted({*before, *plan}):
            if before.get(name) != plan.get(name):
                raise InputError(
                    f"--resume: {self.folder} was made with {name} {before.get(name)}, this is"
                    f" {plan.get(name)}; use the same options and data, or give another --out"
                )

    def save(self, cell: Cell) -> None:
        """Write a cell, whole or not at all. One that failed is not kept: it is tried again."""
        if cell.error:
            return
        arrays: dict[str, Any] = {f"cv{at}": fold for at, fold in enumerate(cell.cv)}
        arrays["test"] = cell.test
        if cell.importance is not None:
            arrays["importance"] = cell.importance
        plain = {name: getattr(cell, name) for name in PLAIN}
        arrays["plain"] = np.array(_text({**plain, "stamp": self.stamp}))

        def write(draft: Path) -> None:
            with draft.open("wb") as file:
                np.savez(file, allow_pickle=False, **arrays)

        write_whole(self._path(cell.learner, cell.selector), write)

    def load(self, learner: str, selector: str) -> Cell | None:
        """The cell if it was done by a run of this plan, else None.

        A file that cannot be read, whatever the reason, counts as not done.
        """
        path = self._path(learner, selector)
        try:
            plain, arrays = _read_cell(path)
            wanted = (learner, selector, self.stamp)
            if (plain["learner"], plain["selector"], plain["stamp"]) != wanted:
                return None
            return _cell(plain, arrays)
        except Exception:
            return None

    def count(self) -> int:
        """How many cells are kept."""
        return len(list(self._cells()))

    def remove(self) -> None:
        """Delete what a run put there, and the folder if nothing else is in it."""
        for path in (*self._cells(), *self._cells(".part"), self.folder / PLAN):
            with suppress(OSError):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def _cells(self, more: str = "") -> Iterator[Path]:
        """Files of cells, or their drafts; none where no run was begun."""
        if (self.folder / PLAN).is_file():
            yield from self.folder.glob(f"*.*.npz{more}")

    def _path(self, learner: str, selector: str) -> Path:
        return self.folder / f"{learner}.{selector}.npz"


def _read_cell(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The plain fields and the arrays of a cell's file."""
    with zipfile.ZipFile(path) as file:
        if file.testzip() is not None:
            raise ValueError(f"{path} is damaged")
    with np.load(path, allow_pickle=False) as found:
        arrays = {name: found[name] for name in found.files}
    return json.loads(str(arrays.pop("plain"))), arrays


def _cell(plain: dict[str, Any], arrays: dict[str, Any]) -> Cell:
    folds = sum(name.startswith("cv") for name in arrays)
    params = {name: _tupled(value) for name, value in plain["params"].items()}
    return Cell(
        **{name: plain[name] for name in PLAIN}
        | {"params": params, "shortlist": tuple(plain["shortlist"])},
        cv=tuple(arrays[f"cv{at}"] for at in range(folds)),
        test=arrays["test"],
        importance=arrays.get("importance"),
    )


def _tupled(value: Any) -> Any:
    """JSON has no tuples; parameters have no lists."""
    return tuple(value) if isinstance(value, list) else value


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(dict(value), indent=1, sort_keys=True) + "\n"


def _read_plan(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise InputError(
            f"--resume: {path.parent} holds no interrupted run; leave --resume out"
        ) from None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"--resume: {path} is not readable; give another --out")
    return {str(name): str(value) for name, value in found.items()}
