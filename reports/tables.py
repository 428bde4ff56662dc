"""The tables of a run, one entry each in `TABLES`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from features.audit_result import HEADINGS, audit_notes, lines
from models.metrics import columns
from reports import words
from reports.folder import AbsentError, Estimate, Run
from reports.grid import Cell, Column, Grid

COMPANIES = 10
# Heading of a metric where its title is too long for a column.
SHORT = {
    "precision": "Precision (weighted)",
    "recall": "Recall (weighted)",
    "f1": "F1 (weighted)",
    "macro_f1": "Macro-F1",
    "balanced_accuracy": "Balanced acc.",
    "mcc": "MCC",
    "roc_auc_ovr": "ROC AUC",
    "brier": "Brier",
    "ece": "ECE",
}
WITH_INTERVAL = ("accuracy", "macro_f1", "balanced_accuracy")


@dataclass(frozen=True)
class Table:
    """One table: `build(run)` returns it or raises AbsentError with the reason."""

    name: str
    number: str
    subject: str
    build: Callable[[Run], Grid] = field(repr=False)

    @property
    def title(self) -> str:
        """Number and subject."""
        return f"{self.number}. {self.subject}" if self.number else self.subject


def _kept(run: Run) -> Grid:
    """One row per feature, one column per selection, a tick where it is kept."""
    if "all" in run.kept:
        features = run.kept["all"]
    else:
        features = sorted({name for names in run.kept.values() for name in names}, key=_by_number)
    sets = {name: set(names) for name, names in run.kept.items()}
    head = (Column("Feature"), Column("Name"), *(Column(name) for name in run.kept))
    size = len(features)
    counts = (Cell(f"{len(kept)} of {size}", style="strong") for kept in sets.values())
    rows = [
        (
            Cell(code),
            Cell(words.feature_name(code)),
            *(Cell("✓", style="yes") if code in kept else Cell("") for kept in sets.values()),
        )
        for code in features
    ]
    first = (Cell("kept", style="strong"), Cell(""), *counts)
    notes = (f"{name}: {words.selection_line(name)}." for name in run.kept)
    return Grid(head, (first, *rows), tuple(notes))


def _by_number(code: str) -> tuple[int, str]:
    return (int(code[1:]) if code[1:].isdigit() else 0, code)


def _metrics(run: Run) -> Iterator[tuple[str, str]]:
    """Column name and heading of each figure of quality, in the order of the leaderboard."""
    for name, metric, at in columns(run.classes, 0):
        if metric.per_class:
            yield name, f"{metric.name.capitalize()} {run.classes[at]}"
        elif name == "pr_auc_bankrupt":
            yield name, f"PR AUC {run.focus}"
        else:
            yield name, SHORT.get(name, metric.title)


def leaderboard_grid(run: Run) -> Grid:
    """All rows and columns of the leaderboard, with intervals."""
    metrics = [(n, title) for n, title in _metrics(run) if n in run.leaderboard.columns]
    head = (
        *(Column("#", True), Column("Learner"), Column("Selector"), Column("Features", True)),
        *(Column(title, True) for _, title in metrics),
        *(Column("Fit s", True), Column("Parameters")),
    )
    rows = [_leaderboard_row(run, row, [name for name, _ in metrics]) for row in _records(run)]
    return Grid(head, tuple(rows), words.leaderboard_notes(run))


def _records(run: Run) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in run.leaderboard.to_dict("records")]


def _leaderboard_row(run: Run, row: dict[str, Any], metrics: list[str]) -> tuple[Cell, ...]:
    head = (str(row["rank"]), str(row["learner"]), str(row["selector"]), str(row["n_features"]))
    seconds = words.number(float(row.get("fit_seconds", np.nan)), 1)
    return (
        *(Cell(text) for text in head),
        *(_figure(run, row, name) for name in metrics),
        *(Cell(seconds), Cell(str(row["params"]))),
    )


def _figure(run: Run, row: dict[str, Any], name: str) -> Cell:
    spanned = (*WITH_INTERVAL, f"recall_{run.focus}", f"precision_{run.focus}")
    estimate = run.estimate((str(row["learner"]), str(row["selector"])), name)
    note = words.interval(estimate) if name in spanned else ""
    return Cell(words.number(float(row[name])), note, "strong" if name == "macro_f1" else "")


def page_board(run: Run) -> Grid:
    """The leaderboard for the page: what matters most first, one column for the model."""
    focus = run.focus
    first = ["macro_f1", f"recall_{focus}", f"precision_{focus}", "pr_auc_bankrupt"]
    more = ["balanced_accuracy", "accuracy", "f1", "roc_auc_ovr", "mcc"]
    others = [f"recall_{name}" for name in run.classes if name != focus]
    titles = dict(_metrics(run))
    names = [*first, *more, *others, "log_loss", "brier", "ece"]
    names = [name for name in names if name in run.leaderboard.columns]
    head = (Column("#", True), Column("Model"), *(Column(titles[n], True) for n in names))
    rows = [_page_row(run, row, names) for row in _records(run)]
    return Grid((*head, Column("Fit s", True)), tuple(rows), words.leaderboard_notes(run))


def _page_row(run: Run, row: dict[str, Any], names: list[str]) -> tuple[Cell, ...]:
    under = f"{row['selector']}, {row['n_features']} features"
    seconds = words.number(float(row.get("fit_seconds", np.nan)), 1)
    figures = (_figure(run, row, name) for name in names)
    return (Cell(str(row["rank"])), Cell(str(row["learner"]), under), *figures, Cell(seconds))


def _per_class(run: Run) -> Grid:
    """Precision, recall and F1 of the best model per class, with intervals of the first two."""
    matrix = np.array(run.best_confusion(), dtype=float)
    hits, truths, guesses = np.diagonal(matrix), matrix.sum(axis=1), matrix.sum(axis=0)
    f1 = 2 * hits / np.maximum(truths + guesses, 1)
    names = ("Class", "Precision", "Recall", "F1", "Test rows")
    rows: list[tuple[Cell, ...]] = [
        (
            Cell(label, style=f"c{at}"),
            _estimated(run.estimate(run.best, f"precision_{label}")),
            _estimated(run.estimate(run.best, f"recall_{label}")),
            Cell(words.number(f1[at])),
            Cell(f"{int(truths[at]):,}"),
        )
        for at, label in enumerate(run.classes)
    ]
    rows.append(_mean_row(run, ("precision", "recall", "f1"), "weighted by rows", truths.sum()))
    head = tuple(Column(name, at > 0) for at, name in enumerate(names))
    note = f"Best model: {words.cell_title(run.best)}. {words.headline(run)}"
    return Grid(head, tuple(rows), (note,))


def _mean_row(run: Run, names: tuple[str, ...], title: str, total: float) -> tuple[Cell, ...]:
    means = (_estimated(run.estimate(run.best, name)) for name in names)
    return (Cell(title), *means, Cell(f"{int(total):,}"))


def _estimated(estimate: Estimate) -> Cell:
    return Cell(words.number(estimate.value), words.interval(estimate))


def _confusion(run: Run) -> Grid:
    says = (Column(f"says {name}", True) for name in run.classes)
    rows = []
    for at, (label, counts) in enumerate(zip(run.classes, run.best_confusion(), strict=True)):
        total = sum(counts)
        cells = (
            Cell(f"{n:,}", words.share(n, total), "strong" if at == to else "")
            for to, n in enumerate(counts)
        )
        rows.append((Cell(label, style=f"c{at}"), *cells, Cell(f"{total:,}")))
    note = f"{words.cell_title(run.best)}: test rows, and their share of the truth's row."
    return Grid((Column("Truth"), *says, Column("Rows", True)), tuple(rows), (note,))


def best_cells(run: Run) -> list[tuple[str, str]]:
    """The highest-ranked row of each learner, best first."""
    board = run.leaderboard.drop_duplicates("learner")
    pairs = zip(board["learner"].astype(str), board["selector"].astype(str), strict=True)
    return list(pairs)


def chosen_rows(run: Run, most: int = COMPANIES) -> list[int]:
    """Row numbers of some test companies: classes in turn, one row of a company, the same always.

    Companies come in the order of a hash of their name, so no result decides who is shown; of a
    company the latest row of the class is taken.
    """
    if not run.keys:
        raise AbsentError("the panel has no column that names a company")
    names = run.predictions[run.keys[0]].astype(str)
    ranked = run.predictions.assign(
        _order=names.map(lambda name: hashlib.sha256(name.encode()).hexdigest()),
        _row=np.arange(len(names)),
    )
    queues = []
    for label in sorted(run.classes, key=lambda name: name != run.focus):
        rows = ranked[ranked["truth"].astype(str) == label]
        rows = rows.sort_values(["_order", *run.keys[1:2], "_row"])
        queues.append([int(row) for row in rows.groupby("_order", sort=True)["_row"].last()])
    return _in_turn(queues, list(names), most)


def _in_turn(queues: list[list[int]], names: list[str], most: int) -> list[int]:
    """Take one row of each queue in turn, no company twice."""
    taken: dict[str, int] = {}
    while any(queues) and len(taken) < most:
        for queue in queues:
            while queue and names[queue[0]] in taken:
                queue.pop(0)
            if queue and len(taken) < most:
                row = queue.pop(0)
                taken[names[row]] = row
    return list(taken.values())


def _named_companies(run: Run) -> Grid:
    """Test companies down, the best row of each learner across."""
    rows, cells, keys = chosen_rows(run), best_cells(run), _shown_keys(run)
    said = [_of_cell(run, cell) for cell in cells]
    truths = list(run.predictions["truth"].astype(str))
    rows.sort(key=lambda row: run.classes.index(truths[row]))
    body = [
        (
            *(Cell(str(run.predictions[key].iloc[row]), style="name") for key in keys[:1]),
            *(Cell(str(run.predictions[key].iloc[row])) for key in keys[1:]),
            Cell(truths[row], style=_colour(run, truths[row])),
            *(_said(run, frame.iloc[row], truths[row]) for frame in said),
        )
        for row in rows
    ]
    head = [Column(_key_title(key)) for key in keys] + [Column("truth")]
    head += [Column(f"{learner} ({selector})") for learner, selector in cells]
    return Grid(tuple(head), tuple(body), _company_notes(run))


def _leak_audit(run: Run) -> Grid:
    """What tells the classes apart without any accounts; warnings come first under it."""
    if run.audit is None:
        raise AbsentError("the run has no audit.json, as it was made without a leak audit")
    rows = tuple(
        (
            Cell(line.title, style="strong" if line.large else ""),
            Cell(line.auc, line.span, "strong" if line.large else ""),
            Cell(line.balanced_accuracy),
            Cell(line.macro_f1),
            Cell(line.remark, style="strong" if line.large else ""),
        )
        for line in lines(run.audit)
    )
    last = len(HEADINGS) - 1
    head = tuple(Column(name, 0 < at < last) for at, name in enumerate(HEADINGS))
    warnings = (f"Warning: {warning}." for warning in run.audit.warnings)
    return Grid(head, rows, (*warnings, *audit_notes(run.audit)))


def _colour(run: Run, label: str) -> str:
    return f"c{run.classes.index(label)}"


def _said(run: Run, row: pd.Series[Any], truth: str) -> Cell:
    guess = str(row["prediction"])
    chance = words.number(float(row[f"proba_{run.focus}"]), 2)
    return Cell(guess if guess == truth else f"{guess} ✗", chance, _colour(run, guess))


def _company_notes(run: Run) -> tuple[str, ...]:
    return (
        f"Each learner's best selection. Under the class that it says: the probability of"
        f" {run.focus} that it gives. ✗: not the truth.",
        "Companies of the test side, drawn by a hash of their name and not by result; of each the"
        " latest year of the class.",
    )


def _of_cell(run: Run, cell: tuple[str, str]) -> pd.DataFrame:
    """Predictions of one learner and selection, in the order of the test rows."""
    frame = run.test_predictions
    mine = frame[(frame["learner"] == cell[0]) & (frame["selector"] == cell[1])]
    if len(mine) != len(run.predictions):
        raise AbsentError(f"test_predictions.parquet lacks rows of {'/'.join(cell)}")
    return mine.reset_index(drop=True)


def _shown_keys(run: Run) -> list[str]:
    """The company's name, else its key, and the year."""
    keys = run.keys
    company = "company_name" if "company_name" in keys else keys[0]
    others = [key for key in keys[1:] if key not in ("company_name", "nse_symbol", "sector")]
    return [company, *others[:1]]


def _key_title(key: str) -> str:
    return {"company_id": "company", "company_name": "company"}.get(key, key.replace("_", " "))


TABLES: tuple[Table, ...] = (
    Table("table4_features_kept", "Table 4", "Features kept by each selection", _kept),
    Table("table5_leaderboard", "Table 5", "Leaderboard", leaderboard_grid),
    Table("table6_per_class", "Table 6", "The best model per class", _per_class),
    Table("table6_confusion", "Table 6", "Confusion matrix of the best model", _confusion),
    Table("table7_companies", "Table 7", "What the learners say of companies", _named_companies),
    Table(
        "leak_audit",
        "",
        "Leak audit: what tells the classes apart",
        _leak_audit,
    ),
)
