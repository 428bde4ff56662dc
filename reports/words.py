"""Names and sentences for codes: features, learners, selectors, protocols, figures of quality."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from models import explain
from models.assess import COVERAGE
from models.extras import ENSEMBLES, NO_SELECTOR, TITLES
from models.leaderboard import CV
from models.learners import LEARNERS
from models.protocols import protocol_named
from models.selectors import SELECTORS
from reports.folder import Estimate, Run

_LEARNERS = {**{learner.name: learner.title for learner in LEARNERS}, **TITLES}
_SELECTORS = {selector.name: selector.title for selector in SELECTORS}
NO_FEATURES = "none: ensembles, scores, baselines"

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
    return NO_FEATURES if name == NO_SELECTOR else _SELECTORS.get(name, name)


def selection_line(name: str) -> str:
    """What a column of Table 4 stands for."""
    if name == "intersection":
        return "kept by every selection but the one of all features"
    return selector_title(name)


def cell_title(cell: tuple[str, str]) -> str:
    """A learner with its selection of features in words."""
    learner, selector = cell
    if selector == NO_SELECTOR:
        return learner_title(learner)
    return f"{learner_title(learner)}, {'all' if selector == 'all' else selector} features"


def kind_of(learner: str, selector: str, n_features: int) -> str:
    """What stands under a learner's name: its features, or what it is in place of a learner."""
    if selector != NO_SELECTOR:
        return f"{selector}, {count(n_features, 'feature')}"
    return "ensemble of the learners" if learner in ENSEMBLES else learner_title(learner)


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
    by = f"{rows}. " if not tuned(run) else f"the tuning folds; judged on {rows}. "
    notes = [
        f"Ranked by macro-F1 on {by}{protocol_line(run)}",
        f"Intervals are 95 %, from drawing the {run.unit} of the test side anew; they do not cover"
        " the choice of the best model.",
        *tie_notes(run),
        *above_notes(run),
    ]
    if picked_on_test(run):
        notes.insert(
            0,
            f"The best of {len(run.leaderboard)} models is picked on these same test rows, so its"
            " figures are optimistic: judge it on rows that it has never seen.",
        )
    return tuple(notes)


def tie_notes(run: Run) -> tuple[str, ...]:
    """What "tied" means, and which models do better than the best on the test rows."""
    if not run.verdicts:
        return ()
    notes = [
        f"Tied: the test rows cannot tell the model from the best, {'/'.join(run.best)}. Ahead,"
        f" behind: they can ({run.unit} drawn anew, the same for both models; at 5 %, corrected"
        f" for {count(len(run.verdicts), 'comparison')})."
    ]
    ahead = ["/".join(cell) for cell, verdict in run.verdicts.items() if verdict == "ahead"]
    if ahead and tuned(run):
        notes.append(
            f"Ahead on the test rows: {', '.join(ahead)}. The best was chosen without the test"
            " rows; to choose another by them now would make its figures flatter."
        )
    return tuple(notes)


def tie_line(run: Run) -> str:
    """How many models are tied with the best, or ahead of it, in one sentence."""
    said = list(run.verdicts.values())
    tied = count(said.count("tied"), "other model is", "other models are")
    ahead = f", {count(said.count('ahead'), 'is', 'are')} ahead" if "ahead" in said else ""
    return f"On the test rows {tied} tied with it{ahead} (of {len(said):,})."


def above_notes(run: Run) -> tuple[str, ...]:
    """Say why the model of the page is not the first of the leaderboard, where it is not."""
    above = [learner_title(learner) for learner, _ in run.cells[: run.best_row]]
    if not above:
        return ()
    return (
        f"Ranked above the best learner: {', '.join(above)}. Ensembles, published scores and"
        f" baselines are there to compare with and are not saved: the rest of this page is of"
        f" {cell_title(run.best)}.",
    )


def coverage_notes(run: Run) -> tuple[str, ...]:
    """What a prediction set is, and where the test rows say that its promise was not kept."""
    short = short_of(run)
    stated = share(COVERAGE, 1)
    notes = [
        "For each company the model names the classes that cannot be ruled out: one class is a"
        f" clear answer, all of them is none. In each class {stated} of the sets are meant to hold"
        " the truth.",
        "Truth in the set: share of the class's test rows, under it the 95 % interval. By company:"
        f" mean of the companies' shares, of which the {stated} are meant.",
    ]
    if short:
        notes.insert(
            0,
            f"Not kept on the test rows: {', '.join(short)}. There the truth is in the set less"
            f" often than {stated}, by more than chance.",
        )
    if run.facts["protocol"] == "time":
        notes.append("Later years are unlike earlier ones: under a split by time nothing is meant.")
    return tuple(notes)


def short_of(run: Run) -> list[str]:
    """Classes whose truth is in the prediction set less often than promised, beyond chance."""
    table = run.assessed.coverage
    if table is None:
        return []
    table = table.iloc[:-1]  # the last row is of all classes, of which nothing is promised
    return list(table.loc[(table["high"] < COVERAGE) & (table["by_company"] < COVERAGE), "class"])


def alarm_line(run: Run, row: Mapping[str, float]) -> str:
    """One row of the cost table as a sentence."""
    there = int(row["caught"] + row["missed"])
    return (
        f"If a missed {run.focus} row costs as much as {times(row['ratio'])}, raise the alarm from"
        f" a calibrated probability of {share(row['threshold'], 1)}. Of"
        f" {run.facts['test_rows']:,} test rows that flags {int(row['flagged']):,}: it finds"
        f" {int(row['caught']):,} of {there:,} {run.focus}, and"
        f" {count(int(row['false_alarms']), 'alarm is', 'alarms are')} false. {saved(row)}"
    )


def saved(row: Mapping[str, float]) -> str:
    """What the alarms of a row of the cost table save, as a sentence."""
    part = row["saving"]
    if not math.isfinite(part):
        return "Without a model it would cost nothing."
    if part <= 0:
        return "It saves nothing: without a model it would cost as little."
    return f"It costs {share(part, 1)} less than without a model."


def times(ratio: float) -> str:
    """A cost ratio in false alarms."""
    return f"{ratio:g} false alarm{'' if ratio == 1 else 's'}"


def tuned(run: Run) -> bool:
    """Whether the ranks come from tuning folds of the training rows."""
    return CV in run.leaderboard.columns


def balanced(run: Run) -> bool:
    """Whether the best model learnt from rows whose classes were made equally frequent."""
    board = run.leaderboard
    if "resampling" not in board.columns:
        return True  # older runs always did
    return str(board["resampling"].iloc[run.best_row]) == "smote"


def picked_on_test(run: Run) -> bool:
    """Whether the best model was picked by the rows that its figures are of."""
    return len(run.leaderboard) > 1 and not tuned(run)


def headline(run: Run) -> str:
    """What the best model does with the class that matters most, in one sentence."""
    matrix, at = run.best_confusion(), run.classes.index(run.focus)
    hits, there = matrix[at][at], sum(matrix[at])
    called = sum(row[at] for row in matrix)
    return (
        f"It finds {hits:,} of {there:,} {run.focus} test rows ({share(hits, there)});"
        f" of {called:,} rows that it calls {run.focus}, {hits:,} are ({share(hits, called)})."
    )


def data_sources(run: Run) -> list[tuple[str, str]]:
    """Where the rows are from, as far as the run knows: name and what is said of it."""
    facts = run.facts
    found = [
        ("Rows from", str(facts["source"])),
        ("What they rest on", _rests_on(run)),
        ("Fiscal years", _years(run)),
        ("Exactly these rows", f"sha256 {facts['data_hash']}"),
    ]
    return [(name, said) for name, said in found if said]


def _rests_on(run: Run) -> str:
    if run.simulated:
        return (
            "a random generator that comes with the program: no statement, event or name is of a"
            " real company"
        )
    if str(run.facts["source"]).startswith("warehouse "):
        return (
            "statements, insolvency events, index lists and macro figures that were imported or"
            " gathered into the warehouse; python -m reports --data counts them by source, with"
            " the known faults and the terms of each"
        )
    return "a table that was given as it is: the run does not know who made it, or from what"


def _years(run: Run) -> str:
    """First and last fiscal year; empty where the panel names none."""
    if run.summary is None:
        return ""
    years = sorted({int(year) for counts in run.summary.years.values() for year in counts})
    return f"{years[0]} to {years[-1]}" if years else ""


@dataclass(frozen=True)
class Misuse:
    """Something that a model must not be used for; `why` says it of a run, empty: it may be."""

    what: str
    why: Callable[[Run], str] = field(repr=False)


@dataclass(frozen=True)
class Warned:
    """A misuse and the reason, for one run."""

    what: str
    why: str


def misuses(run: Run) -> tuple[Warned, ...]:
    """What the model of a run must not be used for, and why."""
    said = ((misuse.what, misuse.why(run)) for misuse in MISUSES)
    return tuple(Warned(what, why) for what, why in said if why)


def _simulated(run: Run) -> str:
    if not run.simulated:
        return ""
    return (
        "It was trained on SIMULATED companies. The figures show that the software works. They say"
        " nothing about any real company, and the model must not be used to judge one."
    )


def _no_proof(run: Run) -> str:
    return f"{headline(run)} A company that it names may be sound, and one that it clears may fail."


def _unlike(run: Run) -> str:
    return (
        "Banks, insurers, other countries, other accounting rules: the model has learnt nothing of"
        " them."
    )


def _thin(run: Run) -> str:
    return (
        "Missing values are replaced by the training median: a company with many of them looks"
        " average, whatever its state."
    )


def _no_rate(run: Run) -> str:
    as_given = "Those as given lean towards the rare classes. " if balanced(run) else ""
    if run.assessed.quality is None:
        return f"{as_given}Compare them with each other, not with a default rate."
    return (
        f"{as_given}Calibrated ones hold as far as the figures above say, and for such companies."
    )


def _optimistic(run: Run) -> str:
    if not picked_on_test(run):
        return ""
    return (
        f"It is the best of {len(run.leaderboard)} on these same test rows. Judge a use of it on"
        " rows that it has never seen."
    )


def _known_companies(run: Run) -> str:
    return MEANING["paper"] if run.facts["protocol"] == "paper" else ""


def _leaks(run: Run) -> str:
    if run.audit is None:
        return (
            "No leak audit was made: whether missing values, years, sources or sizes give the"
            " classes away is not known."
        )
    found = count(len(run.audit.warnings), "warning")
    return f"The leak audit gives {found}: read the section above first." * bool(run.audit.warnings)


MISUSES: tuple[Misuse, ...] = (
    Misuse("To judge a real company", _simulated),
    Misuse(
        "To decide on credit automatically",
        lambda run: (
            "To grant, refuse, price or call in a loan takes a person who has read the"
            " company’s statements; a score is a reason to read them."
        ),
    ),
    Misuse("As proof that a company will fail, or that it will not", _no_proof),
    Misuse("For companies unlike the training rows", _unlike),
    Misuse("For companies of which little is known", _thin),
    Misuse("To read probabilities as default rates", _no_rate),
    Misuse("To quote these figures as what to expect", _optimistic),
    Misuse("To say how well it does on new companies", _known_companies),
    Misuse("Without a look at the leak audit", _leaks),
)
