"""What a leak audit found: its values, their JSON, and their lines for a terminal, card or page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from rich.table import Table

from warehouse.errors import InputError

# Of two rows of different classes, a model that has seen no accounts puts two of three in the right
# order. Uneven counts over years give some 0.6 in an honest panel, so the lower end must be above.
LARGE_AUC = 0.65
# Learners on one leaderboard lie within some hundredths of each other: with more than this, the way
# of splitting decides more than the choice of the learner.
LARGE_GAIN = 0.05


@dataclass(frozen=True)
class Figures:
    """Out-of-fold figures; the interval is 95 %, from companies drawn anew. None: not defined.

    The fits are not made anew for each draw: in a panel of 90 companies in which nothing tells the
    classes apart, the interval held one half in 83 to 90 of 100 permutations of the labels.
    """

    auc: float | None
    auc_low: float | None
    auc_high: float | None
    balanced_accuracy: float | None
    macro_f1: float | None


@dataclass(frozen=True)
class Gain:
    """What random rows score above companies kept apart, with 95 % intervals on the same draws."""

    macro_f1: float | None
    low: float | None
    high: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None


@dataclass(frozen=True)
class Finding:
    """What one probe found.

    `figures` is None where `reason` says why it was not run. `by_row` (the same columns scored on
    random rows) and `gain` are set by a probe that compares splits. `large` goes with a warning.
    """

    probe: str
    title: str
    reason: str = ""
    figures: Figures | None = None
    by_row: Figures | None = None
    gain: Gain | None = None
    large: bool = False


@dataclass(frozen=True)
class Audit:
    """All findings on one panel.

    Attributes:
        rows: one finding per entry of `PROBES`, in that order.
        warnings: one sentence per large finding.
        rows_used: rows that the probes saw.
        rows_total: rows of the panel.
        companies: companies among the rows used; None where the panel names none.
        classes: number of classes.
        majority: share of the largest class among the rows used, the accuracy of always naming it.
        notes: what was left out and how rows were parted.
    """

    rows: tuple[Finding, ...]
    warnings: tuple[str, ...]
    rows_used: int
    rows_total: int
    companies: int | None
    classes: int
    majority: float
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The audit as plain data for JSON; `from_dict` reads it back."""
        plain = asdict(self).items()
        return {name: list(v) if isinstance(v, tuple) else v for name, v in plain}

    @staticmethod
    def from_dict(value: Mapping[str, Any]) -> Audit:
        """Read what `to_json` gave; raise InputError, one line, where it is something else."""
        try:
            return Audit(
                tuple(_finding_from(row) for row in _of(list, value["rows"])),
                tuple(_of(str, line) for line in _of(list, value["warnings"])),
                _of(int, value["rows_used"]),
                _of(int, value["rows_total"]),
                None if value["companies"] is None else _of(int, value["companies"]),
                _of(int, value["classes"]),
                _of(float, value["majority"]),
                tuple(_of(str, line) for line in _of(list, value["notes"])),
            )
        except KeyError as error:
            raise InputError(f"not a leak audit: no {error.args[0]!r}") from None
        except TypeError as error:
            raise InputError(f"not a leak audit: {error}") from None


def _of(kind: type[Any], value: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"expected {kind.__name__}, got {str(value)[:80]!r}")
    return value


def _finding_from(value: Mapping[str, Any]) -> Finding:
    return Finding(
        probe=_of(str, value["probe"]),
        title=_of(str, value["title"]),
        reason=_of(str, value["reason"]),
        figures=_numbers_from(Figures, value["figures"]),
        by_row=_numbers_from(Figures, value["by_row"]),
        gain=_numbers_from(Gain, value["gain"]),
        large=_of(bool, value["large"]),
    )


def _numbers_from(kind: type[Any], value: Mapping[str, Any] | None) -> Any:
    if value is None:
        return None
    names = [field.name for field in fields(kind)]
    return kind(*(None if value[name] is None else _of(float, value[name]) for name in names))


def number(value: float | None, digits: int = 3) -> str:
    """A figure with a fixed number of digits; a dash where it is not defined."""
    return "–" if value is None else f"{value:.{digits}f}"


def span(figures: Figures) -> str:
    """The interval of the AUC as low–high; empty where there is none."""
    if figures.auc_low is None or figures.auc_high is None:
        return ""
    return f"{figures.auc_low:.2f}–{figures.auc_high:.2f}"


@dataclass(frozen=True)
class Line:
    """One line of the audit as texts, for a terminal, a card and a page.

    `span` is the 95 % interval of the AUC, empty where there is none; `remark` why a probe was not
    run, how much random rows gain, and that it is large.
    """

    title: str
    auc: str
    span: str
    balanced_accuracy: str
    macro_f1: str
    remark: str
    large: bool = False


HEADINGS = ("Predicted from", "ROC AUC", "Balanced accuracy", "Macro-F1", "Remark")


def lines(found: Audit) -> tuple[Line, ...]:
    """The audit line by line: what guessing gives, then every probe."""
    guess = 2 * found.majority / (1 + found.majority) / max(found.classes, 1)
    even = 1 / max(found.classes, 1)
    first = Line("Nothing: the largest class", "0.500", "", number(even), number(guess), "")
    return (first, *(line for row in found.rows for line in _lines_of(row)))


def _lines_of(row: Finding) -> tuple[Line, ...]:
    if row.figures is None:
        return (Line(row.title, "–", "", "–", "–", f"not run: {row.reason}"),)
    if row.by_row is None or row.gain is None:
        return (_line(row.title, row.figures, "large" if row.large else "", row.large),)
    interval = f"{number(row.gain.low, 2)} to {number(row.gain.high, 2)}"
    gain = f"gains {number(row.gain.macro_f1)} macro-F1 ({interval})"
    remark = f"large: {gain}" if row.large else gain
    return (
        _line(f"{row.title}, companies kept apart", row.figures, "", False),
        _line(f"{row.title}, random rows", row.by_row, remark, row.large),
    )


def _line(title: str, figures: Figures, remark: str, large: bool) -> Line:
    return Line(
        title,
        number(figures.auc),
        span(figures),
        number(figures.balanced_accuracy),
        number(figures.macro_f1),
        remark,
        large,
    )


def audit_notes(found: Audit) -> tuple[str, ...]:
    """What a reader of the table must know."""
    unit = "rows" if found.companies is None else "companies"
    of = "" if found.companies is None else f" of {found.companies:,} companies"
    return (
        f"How well each thing alone predicts the label, out of fold, over {found.rows_used:,}"
        f" rows{of}: a small gradient boosting, no SMOTE. ROC AUC is the mean of one class against"
        f" the rest; its 95 % interval comes from drawing {unit} anew, with the fits as they are.",
        f"Large: an interval above {LARGE_AUC}, or random rows gaining more than {LARGE_GAIN}"
        f" macro-F1. The largest class holds {found.majority:.1%} of the rows.",
        *found.notes,
    )


def audit_table(found: Audit) -> Table:
    """The audit as a table for a terminal; large findings stand out."""
    used = f"{found.rows_used:,} rows"
    table = Table(title=f"Leak audit: what tells the classes apart ({used})", title_justify="left")
    for at, heading in enumerate(HEADINGS):
        table.add_column(heading, justify="right" if 0 < at < len(HEADINGS) - 1 else "left")
    for line in lines(found):
        auc = f"{line.auc} ({line.span})" if line.span else line.auc
        cells = (line.title, auc, line.balanced_accuracy, line.macro_f1, line.remark)
        table.add_row(*cells, style="yellow" if line.large else None)
    return table
