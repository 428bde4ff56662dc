"""Names and sentences for codes: features, learners, selectors, protocols, figures of quality."""

from __future__ import annotations

import math

from models import explain
from models.learners import LEARNERS
from models.protocols import protocol_named
from models.selectors import SELECTORS
from reports.folder import Estimate, Run

_LEARNERS = {learner.name: learner.title for learner in LEARNERS}
_SELECTORS = {selector.name: selector.title for selector in SELECTORS}

MEANING = {
    "paper": (
        "Years of one company stand on both sides, so a model may recognise the company: these"
        " figures flatter, and are for comparison with the paper only."
    ),
    "company": "The figures say what to expect of companies that the model has never seen.",
    "time": "The figures say what to expect of years after those that the model was made from.",
}


def feature_name(code: str) -> str:
    """Name of a feature of ours; empty for one of an outside panel."""
    name = explain.feature_name(code)
    return "" if name == code else name


def feature_title(code: str) -> str:
    """Code and name of a feature."""
    name = feature_name(code)
    return f"{code}  {name}" if name else code


def learner_title(name: str) -> str:
    """Full name of a learner; the short one where this version does not know it."""
    return _LEARNERS.get(name, name)


def selector_title(name: str) -> str:
    """Full name of a selection; the short one where this version does not know it."""
    return _SELECTORS.get(name, name)


def selection_line(name: str) -> str:
    """What a column of Table 4 stands for."""
    if name == "intersection":
        return "kept by every selection but the one of all features"
    return selector_title(name)


def cell_title(cell: tuple[str, str]) -> str:
    """A learner with its selection of features in words."""
    learner, selector = cell
    return f"{learner_title(learner)}, {'all' if selector == 'all' else selector} features"


def number(value: float, digits: int = 3) -> str:
    """A figure with a fixed number of digits; a dash where it is not defined."""
    return f"{value:.{digits}f}" if math.isfinite(value) else "–"


def interval(estimate: Estimate, digits: int = 2) -> str:
    """The 95 % interval as low–high; empty where there is none."""
    if not (math.isfinite(estimate.low) and math.isfinite(estimate.high)):
        return ""
    return f"{estimate.low:.{digits}f}–{estimate.high:.{digits}f}"


def share(part: float, whole: float) -> str:
    """A share in per cent, whole number; a dash of nothing."""
    return f"{100 * part / whole:.0f}\N{NO-BREAK SPACE}%" if whole else "–"


def count(number: int, one: str, many: str = "") -> str:
    """A number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def source_line(run: Run) -> str:
    """What a figure rests on, for its foot; that companies are simulated is said beside it."""
    source = "" if run.simulated else f"{run.facts['source']}, "
    return f"{source}{run.facts['rows']:,} rows, protocol {run.facts['protocol']}"


def protocol_line(run: Run) -> str:
    """The protocol in words and what it means for the figures."""
    protocol = protocol_named(str(run.facts["protocol"]))
    return f"{protocol.title}: {protocol.description}. {MEANING[protocol.name]}"


def leaderboard_notes(run: Run) -> tuple[str, ...]:
    """What a reader of the leaderboard must know."""
    rows = count(run.facts["test_rows"], "test row")
    notes = [
        f"Ranked by macro-F1 on {rows}. {protocol_line(run)}",
        f"Intervals are 95 %, from drawing the {run.unit} of the test side anew; they do not cover"
        " the choice of the best model.",
    ]
    if len(run.leaderboard) > 1:
        notes.insert(
            0,
            f"The best of {len(run.leaderboard)} models is picked on these same test rows, so its"
            " figures are optimistic: judge it on rows that it has never seen.",
        )
    return tuple(notes)


def headline(run: Run) -> str:
    """What the best model does with the class that matters most, in one sentence."""
    matrix, at = run.best_confusion(), run.classes.index(run.focus)
    hits, there = matrix[at][at], sum(matrix[at])
    called = sum(row[at] for row in matrix)
    return (
        f"It finds {hits:,} of {there:,} {run.focus} test rows ({share(hits, there)});"
        f" of {called:,} rows that it calls {run.focus}, {hits:,} are ({share(hits, called)})."
    )
