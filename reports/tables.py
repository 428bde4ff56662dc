"""The tables of a run, one entry each in `TABLES`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from features.audit_result import HEADINGS, audit_notes, lines
from models.extras import NO_SELECTOR
from models.leaderboard import CV
from models.metrics import columns
from reports import words
from reports.folder import AbsentError, Estimate, Run
from reports.grid import Cell, Column, Grid

COMPANIES = 10
MOST_SAYING = 10  # learners side by side
EXAMPLE = 10  # false alarms that a missed failure costs, of the cost table's sentence
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
# Figures of models.assess: their names and what they say of probabilities; lower is better.
QUALITY = {
    "log_loss": ("Log-loss", "sure and wrong weighs most"),
    "brier": ("Brier score", "squared distance from what came true"),
    "ece": (
        "Calibration error (ECE)",
        "how sure it is, against how often it is right",
    ),
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
    if words.tuned(run):
        yield CV, "Macro F1, folds"
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
        *_against(run),
        *(Column(title, True) for _, title in metrics),
        *(Column("Fit s", True), Column("Parameters")),
    )
    rows = [_leaderboard_row(run, row, [name for name, _ in metrics]) for row in _records(run)]
    return Grid(head, tuple(rows), words.leaderboard_notes(run))


def _against(run: Run) -> tuple[Column, ...]:
    """The column of ties, where models were compared."""
    return (Column("Against best"),) if run.verdicts else ()


def _verdict(run: Run, row: dict[str, Any]) -> tuple[Cell, ...]:
    if not run.verdicts:
        return ()
    cell = (str(row["learner"]), str(row["selector"]))
    return (Cell("best", style="strong") if cell == run.best else Cell(run.verdicts[cell]),)


def _records(run: Run) -> list[dict[str, Any]]:
    return [{str(k): v for k, v in row.items()} for row in run.leaderboard.to_dict("records")]


def _leaderboard_row(run: Run, row: dict[str, Any], metrics: list[str]) -> tuple[Cell, ...]:
    head = (str(row["rank"]), str(row["learner"]), str(row["selector"]), str(row["n_features"]))
    seconds = words.number(float(row.get("fit_seconds", np.nan)), 1)
    return (
        *(Cell(text) for text in head),
        *_verdict(run, row),
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
    first = ["macro_f1", CV, f"recall_{focus}", f"precision_{focus}", "pr_auc_bankrupt"]
    more = ["balanced_accuracy", "accuracy", "f1", "roc_auc_ovr", "mcc"]
    others = [f"recall_{name}" for name in run.classes if name != focus]
    titles = dict(_metrics(run))
    names = [*first, *more, *others, "log_loss", "brier", "ece"]
    names = [name for name in names if name in run.leaderboard.columns]
    first_columns = (Column("#", True), Column("Model"), *_against(run))
    head = (*first_columns, *(Column(titles[n], True) for n in names))
    rows = [_page_row(run, row, names) for row in _records(run)]
    return Grid((*head, Column("Fit s", True)), tuple(rows), words.leaderboard_notes(run))


def _page_row(run: Run, row: dict[str, Any], names: list[str]) -> tuple[Cell, ...]:
    under = words.kind_of(str(row["learner"]), str(row["selector"]), int(row["n_features"]))
    seconds = words.number(float(row.get("fit_seconds", np.nan)), 1)
    figures = (_figure(run, row, name) for name in names)
    model = (Cell(str(row["rank"])), Cell(str(row["learner"]), under), *_verdict(run, row))
    return (*model, *figures, Cell(seconds))


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
    """The highest-ranked row of each learner, ensemble, score or baseline, best first."""
    first: dict[str, tuple[str, str]] = {}
    for cell in run.cells:
        first.setdefault(cell[0], cell)
    return list(first.values())


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
    rows, cells, keys = chosen_rows(run), best_cells(run)[:MOST_SAYING], _shown_keys(run)
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
    head += [Column(a if b == NO_SELECTOR else f"{a} ({b})") for a, b in cells]
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


UNASSESSED = "the run has no {name}.csv: its models were not tuned, or it is an older one"


def _needed(table: pd.DataFrame | None, name: str) -> list[dict[str, Any]]:
    """The rows of a table of the assessment."""
    if table is None:
        raise AbsentError(UNASSESSED.format(name=name))
    return [{str(k): v for k, v in row.items()} for row in table.to_dict("records")]


def _quality(run: Run) -> Grid:
    """Figures of the best model's probabilities, as given and calibrated."""
    rows = []
    for row in _needed(run.assessed.quality, "quality"):
        title = QUALITY[row["figure"]][0] if row["figure"] in QUALITY else str(row["figure"])
        given, calibrated = row["as_given"], row["calibrated"]
        better = "better" if calibrated < given else "worse" if calibrated > given else "the same"
        values = (Cell(words.number(given)), Cell(words.number(calibrated), better, "strong"))
        rows.append((Cell(title), *values))
    head = (Column("Figure"), Column("As given", True), Column("Calibrated", True))
    notes = (
        f"{words.cell_title(run.best)}, test rows; lower is better.",
        " ".join(f"{title}: {meaning}." for title, meaning in QUALITY.values()),
        "Calibration is fitted on training rows, on what models said of rows that they were not"
        " fitted on.",
    )
    return Grid(head, tuple(rows), notes)


def _coverage(run: Run) -> Grid:
    """What the prediction sets of the best model hold, by class."""
    names = ("Class", "Truth in the set", "By company", "Classes in a set")
    more = ("One class only", "Test rows", run.unit.capitalize())
    rows = []
    for row in _needed(run.assessed.coverage, "coverage"):
        label = str(row["class"])
        estimate = Estimate(row["covered"], row["low"], row["high"])
        kept = label not in words.short_of(run)
        rows.append(
            (
                Cell(label, style=_colour(run, label) if label in run.classes else "strong"),
                Cell(_percent(estimate.value), _span(estimate), "" if kept else "strong"),
                Cell(_percent(row["by_company"])),
                Cell(words.number(row["set_size"], 1)),
                Cell(_percent(row["singletons"])),
                Cell(f"{int(row['rows']):,}"),
                Cell(f"{int(row['companies']):,}"),
            )
        )
    head = tuple(Column(name, at > 0) for at, name in enumerate((*names, *more)))
    return Grid(head, tuple(rows), words.coverage_notes(run))


def _percent(part: float) -> str:
    return words.share(part, 1) if np.isfinite(part) else "–"


def _span(estimate: Estimate) -> str:
    if not np.isfinite(estimate.low + estimate.high):
        return ""
    return f"{100 * estimate.low:.0f}–{100 * estimate.high:.0f}\N{NO-BREAK SPACE}%"


def _costs(run: Run) -> Grid:
    """What alarms by the calibrated probability find and cost, by the price of a missed failure."""
    focus, table = run.focus, _needed(run.assessed.costs, "costs")
    rows = [
        (
            Cell(words.times(row["ratio"])),
            Cell(_percent(row["threshold"])),
            Cell(f"{int(row['flagged']):,}", _of_all(row["flagged"], run.facts["test_rows"])),
            Cell(f"{int(row['caught']):,}", _of_all(row["caught"], row["caught"] + row["missed"])),
            Cell(f"{int(row['missed']):,}"),
            Cell(f"{int(row['false_alarms']):,}"),
            Cell(_percent(row["saving"]) if not row["saving"] <= 0 else "nothing", style="strong"),
        )
        for row in table
    ]
    figures = (
        "Alarm from",
        "Flagged",
        f"{focus} found",
        f"{focus} missed",
        "False alarms",
        "Saved",
    )
    first = f"A missed {focus} row costs"
    head = (Column(first), *(Column(name, True) for name in figures))
    example = min(table, key=lambda row: abs(row["ratio"] - EXAMPLE))
    notes = (
        words.alarm_line(run, example),
        "Alarm from: the least calibrated probability that is flagged. Saved: against the"
        " cheaper of flagging every row and flagging none; in costs of the test rows.",
    )
    return Grid(head, tuple(rows), notes)


def _of_all(part: float, whole: float) -> str:
    return f"{words.share(part, whole)} of {int(whole):,}"


def _colour(run: Run, label: str) -> str:
    return f"c{run.classes.index(label)}"


def _said(run: Run, row: pd.Series[Any], truth: str) -> Cell:
    guess = str(row["prediction"])
    chance = words.number(float(row[f"proba_{run.focus}"]), 2)
    return Cell(guess if guess == truth else f"{guess} ✗", chance, _colour(run, guess))


def _company_notes(run: Run) -> tuple[str, ...]:
    return (
        f"Each learner's best selection, the {MOST_SAYING} highest-ranked at most. Under the class"
        f" that it says: the probability of {run.focus} that it gives. ✗: not the truth.",
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
    Table("quality", "", "Probabilities as given and calibrated", _quality),
    Table("coverage", "", "Prediction sets: which classes cannot be ruled out", _coverage),
    Table("costs", "", "When to raise the alarm", _costs),
    Table("table7_companies", "Table 7", "What the learners say of companies", _named_companies),
    Table(
        "leak_audit",
        "",
        "Leak audit: what tells the classes apart",
        _leak_audit,
    ),
)
