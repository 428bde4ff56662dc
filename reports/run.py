"""Write a run's report: figures, Markdown tables and one page that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from markupsafe import Markup

from models.metrics import METRICS
from reports import style, words
from reports.figures import PICTURES, Picture
from reports.folder import AbsentError, Run, read_run
from reports.grid import Cell, Grid, escape, markdown
from reports.page import Shown, drawn, template, write
from reports.tables import SHORT, TABLES, Table, page_board
from warehouse.errors import InputError

OPEN_ROWS = 15
# Columns of the leaderboard whose best value is the smallest: a first click sorts them upwards.
SMALL_IS_GOOD = {
    "#",
    "Fit s",
    *(SHORT.get(m.name, m.title) for m in METRICS if not m.higher_is_better),
}


@dataclass(frozen=True)
class Listed:
    """A table on the page, or why it is left out."""

    title: str
    grid: Grid | None = None
    absent: str = ""


@dataclass(frozen=True)
class Ranked:
    """A row of the leaderboard and what it is found by; `words` is all that `Find` looks in."""

    cells: tuple[Cell, ...]
    learner: str
    selection: str
    words: str
    best: bool


@dataclass(frozen=True)
class Board:
    """The leaderboard of the page.

    Attributes:
        grid: its columns and notes.
        rows: all of them, by rank.
        learners: values of its control and their titles, in order of the titles.
        selections: the same, of the selections of features.
        downward: titles of the columns that a first click sorts downwards.
        open_rows: how many are shown until one asks for all.
    """

    grid: Grid
    rows: tuple[Ranked, ...]
    learners: tuple[tuple[str, str], ...]
    selections: tuple[tuple[str, str], ...]
    downward: frozenset[str]
    open_rows: int


def write_report(out: Path, panel: pd.DataFrame | None = None) -> None:
    """Write `figures/`, `tables/` and `report.html` into a finished run's folder.

    `panel` gives the counts of sectors where the folder has no panel_summary.json. Raise
    InputError, one line, where the folder is not that of a run or cannot be written to.
    """
    run = read_run(out, panel)
    try:
        pictures = {p.name: _picture(run, p, out / "figures") for p in PICTURES}
        tables = {t.name: _table(run, t, out / "tables") for t in TABLES}
        write(out / "report.html", page(run, pictures, tables).encode())
    except OSError as error:
        raise InputError(f"{out}: the report cannot be written ({error.strerror})") from None


def page(run: Run, pictures: dict[str, Shown], tables: dict[str, Listed]) -> str:
    """The HTML page; every text from outside is escaped."""
    script = template("report.js.jinja").render()
    return template("report.html.jinja").render(
        run=run,
        pictures=pictures,
        tables=tables,
        board=_board(run),
        script=Markup(script),  # noqa: S704  # our own file: nothing from outside is in it
        script_hash=_hash(script),
        cards=_cards(run),
        facts=_facts(run),
        notices=_notices(run),
        words=words,
        light=list(style.class_colours(run.classes, style.LIGHT).values()),
        dark=list(style.class_colours(run.classes, style.DARK).values()),
    )


def _hash(script: str) -> str:
    """What a Content-Security-Policy allows this script by."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _board(run: Run) -> Board:
    grid = page_board(run)
    rows = tuple(
        Ranked(
            cells, learner, selection, _found_by(run, (learner, selection)), place == run.best_row
        )
        for place, ((learner, selection), cells) in enumerate(
            zip(run.cells, grid.rows, strict=True)
        )
    )
    numeric = {column.title for column in grid.columns if column.numeric}
    return Board(
        grid,
        rows,
        _choices((row.learner for row in rows), words.learner_title),
        _choices((row.selection for row in rows), words.selector_title),
        frozenset(numeric - SMALL_IS_GOOD),
        OPEN_ROWS,
    )


def _found_by(run: Run, cell: tuple[str, str]) -> str:
    """Names of a model and of its features, and how it stands against the best."""
    learner, selection = cell
    verdict = "best" if cell == run.best else run.verdicts.get(cell, "")
    names = (learner, words.learner_title(learner), selection, words.selector_title(selection))
    return " ".join(dict.fromkeys((*names, verdict))).strip()


def _choices(names: Iterable[str], title: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(((name, title(name)) for name in set(names)), key=lambda pair: pair[1]))


def _picture(run: Run, picture: Picture, folder: Path) -> Shown:
    path = folder / f"{picture.name}.png"
    try:
        return drawn(picture.title, lambda theme: picture.draw(run, theme), path)
    except AbsentError as reason:
        path.unlink(missing_ok=True)
        return Shown(picture.title, absent=str(reason))


def _table(run: Run, table: Table, folder: Path) -> Listed:
    path = folder / f"{table.name}.md"
    try:
        grid = table.build(run)
    except AbsentError as reason:
        path.unlink(missing_ok=True)
        return Listed(table.title, absent=str(reason))
    banner = "**SIMULATED companies: these figures say nothing about any real company.**\n\n"
    text = f"# {escape(table.title)}\n\n{banner if run.simulated else ''}{markdown(grid)}"
    write(path, text.encode())
    return Listed(table.title, grid)


def _cards(run: Run) -> list[tuple[str, str, str]]:
    """The figures that matter most: name, value, interval."""
    base = words.number(run.facts["classes"][run.focus] / run.facts["rows"], 2)
    shown = (
        ("Macro-F1", "macro_f1", ""),
        (f"Recall of {run.focus}", f"recall_{run.focus}", ""),
        (f"Precision of {run.focus}", f"precision_{run.focus}", ""),
        (f"PR AUC of {run.focus}", "pr_auc_bankrupt", f" (guessing: {base})"),
        ("ROC AUC, one against the rest", "roc_auc_ovr", ""),
        ("Accuracy", "accuracy", ""),
    )
    estimates = [(title, run.estimate(run.best, name), more) for title, name, more in shown]
    return [(t, words.number(e.value, 2), words.interval(e) + more) for t, e, more in estimates]


def _notices(run: Run) -> list[str]:
    """Notices that the page does not show elsewhere: the audit's warnings have a place above."""
    above = run.audit.warnings if run.audit else ()
    return [line for line in run.facts["notices"] if line not in above]


def _facts(run: Run) -> list[tuple[str, str]]:
    """What one must know to repeat or judge the run."""
    facts: Any = run.facts
    pairs: list[tuple[str, object]] = [
        ("Data", f"{facts['source']} (sha256 {facts['data_hash'][:16]}…)"),
        ("Rows", f"{facts['train_rows']:,} training, {facts['test_rows']:,} test"),
        ("Companies", "not named" if facts.get("companies") is None else facts["companies"]),
        ("Labels", facts["label_rule"]),
        ("Protocol", words.protocol_line(run)),
        ("Grid, seed, device", f"{facts['grid']}, {facts['seed']}, {facts['device']}"),
        ("Best parameters", run.leaderboard["params"].iloc[run.best_row]),
        ("Seconds", ", ".join(f"{k} {v:.1f}" for k, v in facts["timings_seconds"].items())),
        ("Versions", ", ".join(f"{k} {v}" for k, v in facts["versions"].items())),
        ("Command", facts["command"]),
    ]
    return [(name, str(value)) for name, value in pairs]
