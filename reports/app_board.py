"""The leaderboard of a training run as the page shows it: figures that sort, intervals beside."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

from reports.folder import Run
from reports.grid import Cell, Column, Grid

NOTES = "95 %"
MOST_RUNS = 50


def run_folders(runs: Path) -> tuple[Path, ...]:
    """Folders of finished runs, the newest first; a hidden one is of a run that has not ended."""
    if not runs.is_dir():
        return ()
    found = [path.parent for path in runs.glob("[!.]*/run.json")]
    found.sort(key=lambda path: (path / "run.json").stat().st_mtime, reverse=True)
    return tuple(found[:MOST_RUNS])


def run_title(folder: Path) -> str:
    """What a run is called in a list: its folder's name and what it says of its data."""
    try:
        facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{folder.name}: not readable"
    if not isinstance(facts, dict):
        return f"{folder.name}: not readable"
    return f"{folder.name}: {facts.get('source')}, protocol {facts.get('protocol')}"


def frame_of(grid: Grid) -> pd.DataFrame:
    """A table of a report as a frame: figures as numbers, notes in a column of their own."""
    columns: dict[str, list[object]] = {}
    for at, column in enumerate(grid.columns):
        cells = [row[at] for row in grid.rows]
        columns[column.title] = [_value(cell, column) for cell in cells]
        notes = [cell.note for cell in cells]
        if any(notes):
            title = f"{column.title}, {NOTES}" if column.numeric else "Features"
            columns[title] = list(notes)
    return pd.DataFrame(columns)


def formats(board: pd.DataFrame) -> dict[str, str]:
    """How its figures are written: whole numbers as they are, seconds with one digit, others three.

    Of a frame that `frame_of` made.
    """
    own = {"#": "%d", "Features": "%d", "Fit s": "%.1f"}
    figures = board.select_dtypes("number").columns
    return {str(name): own.get(str(name), "%.3f") for name in figures}


def _value(cell: Cell, column: Column) -> object:
    if not column.numeric:
        return cell.text
    try:
        return float(cell.text.replace(",", ""))
    except ValueError:
        return np.nan


def intervals(run: Run, most: int = 15) -> pd.DataFrame:
    """Macro-F1 on the test rows of the first models, with its interval, for a chart."""
    rows = []
    for place, cell in enumerate(run.cells[:most], start=1):
        found = run.estimate(cell, "macro_f1")
        name = f"{place}  {cell[0]} / {cell[1]}"
        rows.append((place, name, found.value, found.low, found.high, cell == run.best))
    return pd.DataFrame(rows, columns=["rank", "model", "macro_f1", "low", "high", "best"])
