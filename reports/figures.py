"""The pictures of a run, one entry each in `PICTURES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.extras import NO_SELECTOR
from reports import style, words
from reports.folder import CALIBRATED, GIVEN, AbsentError, Run
from reports.style import Theme

TOP_SECTORS = 15
UNKNOWN = "unknown"
LONGEST_TITLE = 33
MARKS = "osD^vP"
MOST_PANELS = 4


@dataclass(frozen=True)
class Picture:
    """One figure: `draw(run, theme)` returns it or raises AbsentError with the reason."""

    name: str
    number: str
    subject: str
    draw: Callable[[Run, Theme], Figure] = field(repr=False)

    @property
    def title(self) -> str:
        """Number and subject."""
        return f"{self.number}. {self.subject}" if self.number else self.subject


def _finish(figure: Figure, run: Run, theme: Theme, title: str, under: str) -> Figure:
    style.dress(figure, title, under, words.source_line(run), run.simulated, theme)
    return figure


def _bars(
    axes: Axes, names: list[str], values: list[float], notes: list[str], colours: list[str]
) -> None:
    """Horizontal bars, the first on top, each with its value written at its end."""
    places = np.arange(len(names))
    axes.barh(places, values, color=colours, height=0.72)
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, max(values) * 1.2)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    for place, value, note in zip(places, values, notes, strict=True):
        axes.annotate(
            note, (value, place), (4, 0), textcoords="offset points", va="center", size=9.5
        )


def _sectors(run: Run, label: str) -> dict[str, int]:
    if label not in run.classes:
        raise AbsentError(f"the panel has no class named {label}")
    if run.summary is None:
        raise AbsentError("the run folder has no panel_summary.json, which counts sectors")
    counts = {k: int(v) for k, v in run.summary.sectors.get(label, {}).items() if v}
    if not counts:
        raise AbsentError("the panel has no sector column, or no company column to count by")
    if set(counts) <= {UNKNOWN}:
        raise AbsentError(f"no {label} company has a known sector")
    return counts


def top_sectors(counts: dict[str, int], most: int = TOP_SECTORS) -> list[tuple[str, int]]:
    """The largest sectors, then the others as one, then the companies of unknown sector."""
    known = sorted(((n, -c) for n, c in counts.items() if n != UNKNOWN), key=lambda x: (x[1], x[0]))
    shown = [(name, -negative) for name, negative in known[:most]]
    rest = known[most:]
    if rest:
        shown.append((f"{len(rest)} other sectors", -sum(negative for _, negative in rest)))
    if UNKNOWN in counts:
        shown.append(("sector not known", counts[UNKNOWN]))
    return shown


def _draw_sectors(run: Run, theme: Theme, label: str) -> Figure:
    counts = _sectors(run, label)
    shown = top_sectors(counts)
    total, top = sum(counts.values()), len(counts.keys() - {UNKNOWN})
    figure = style.canvas(1.6 + 0.27 * len(shown))
    axes = figure.subplots()
    colour = style.class_colours(run.classes, theme)[label]
    plain = [n for n, _ in shown if n not in counts]
    colours = [theme.quiet if name in plain else colour for name, _ in shown]
    notes = [f"{n} ({words.share(n, total)})" for _, n in shown]
    _bars(axes, [style.short(n) for n, _ in shown], [float(n) for _, n in shown], notes, colours)
    axes.set_xlabel(f"companies with at least one {label} year")
    under = f"{words.count(total, 'company', 'companies')} in {words.count(top, 'sector')}"
    return _finish(figure, run, theme, f"Sectors of {label} companies", under)


def _healthy_sectors(run: Run, theme: Theme) -> Figure:
    return _draw_sectors(run, theme, "healthy")


def _bankrupt_sectors(run: Run, theme: Theme) -> Figure:
    return _draw_sectors(run, theme, "bankrupt")


def _class_note(run: Run, label: str, rows: int) -> str:
    total = run.facts["rows"]
    note = f"{rows:,} rows ({100 * rows / total:.1f} %)"
    facts = {} if run.summary is None else run.summary.classes.get(label, {})
    companies = facts.get("companies")
    return note if companies is None else f"{note}\n{companies:,} companies"


def _class_distribution(run: Run, theme: Theme) -> Figure:
    counts = [int(run.facts["classes"][name]) for name in run.classes]
    figure = style.canvas(1.7 + 0.5 * len(counts))
    axes = figure.subplots()
    colours = style.class_colours(run.classes, theme)
    notes = [_class_note(run, name, n) for name, n in zip(run.classes, counts, strict=True)]
    names = [style.short(name) for name in run.classes]
    _bars(axes, names, [float(n) for n in counts], notes, list(colours.values()))
    axes.set_xlim(0, max(counts) * 1.5)
    axes.set_xlabel("company-years (rows of the panel)")
    focus = run.facts["classes"][run.focus]
    one_in = run.facts["rows"] / focus
    under = f"One row in {one_in:.0f} is {run.focus}"
    return _finish(figure, run, theme, "Rows of each class", under)


def _confusion(run: Run, theme: Theme) -> Figure:
    matrix = np.array(run.best_confusion(), dtype=float)
    size = len(run.classes)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = style.canvas(1.75 + 0.72 * size)
    axes = figure.subplots()
    image = axes.imshow(shares, cmap=theme.heat, vmin=0, vmax=1, aspect="auto")
    names = [style.short(name, 16) for name in run.classes]
    axes.set_xticks(range(size), names)
    truths = [f"{n}\n({int(row.sum()):,} rows)" for n, row in zip(names, matrix, strict=True)]
    axes.set_yticks(range(size), truths)
    for (row, column), part in np.ndenumerate(shares):
        red, green, blue, _ = image.to_rgba(np.array([[part]]))[0, 0]
        light = 0.299 * red + 0.587 * green + 0.114 * blue > 0.55
        text = f"{int(matrix[row, column]):,}\n{100 * part:.0f} %"
        ink, weight = ("#10151d" if light else "#ffffff"), "bold" if row == column else "normal"
        axes.text(column, row, text, ha="center", va="center", color=ink, weight=weight)
    axes.set(xlabel="what the model says", ylabel="what was true")
    axes.spines[:].set_visible(False)
    under = "Test rows, and their share of the row: each row sums to 100 %"
    return _finish(figure, run, theme, f"{words.cell_title(run.best)}: hits and misses", under)


def _gains(run: Run, theme: Theme) -> Figure:
    table = run.importance.head(20)
    if table.empty:
        raise AbsentError("no gradient-boosting learner was trained, and only these have gains")
    cell = (str(table["learner"].iloc[0]), str(table["selector"].iloc[0]))
    titles = [style.short(words.feature_title(str(code)), 40) for code in table["feature"]]
    values = [100 * float(part) for part in table["share"]]
    figure = style.canvas(1.6 + 0.27 * len(titles))
    axes = figure.subplots()
    notes = [f"{value:.1f}" for value in values]
    _bars(axes, titles, values, notes, [theme.classes[2]] * len(titles))
    axes.tick_params(axis="y", labelsize=9)
    own = cell[0] == "catboost"
    axes.set_xlabel("share of CatBoost's own importance (%)" if own else "share of total gain (%)")
    under = (
        f"{words.cell_title(cell)}: the highest-ranked boosting model."
        " Gain says what the trees split on, not what causes failure."
    )
    title = f"The {len(titles)} features that weigh most"
    return _finish(figure, run, theme, title, under)


def _one_reliability(axes: Axes, run: Run, label: str, theme: Theme) -> None:
    """Share that came true by the probability said: calibrated in colour, as given in grey."""
    colour = style.class_colours(run.classes, theme)[label]
    table = run.bins[run.bins["class"] == label]
    kinds = [kind for kind in (GIVEN, CALIBRATED) if (table["kind"] == kind).any()]
    axes.plot([0, 1], [0, 1], color=theme.quiet, linewidth=1, linestyle=(0, (4, 3)))
    for kind in kinds:
        bins = table[table["kind"] == kind]
        ink = colour if kind == kinds[-1] else theme.quiet
        mark = "o" if kind == kinds[-1] else "D"
        said, low, high = bins["predicted"], bins["low"], bins["high"]
        axes.vlines(said, low, high, color=ink, linewidth=1.2, alpha=0.6)
        axes.plot(said, bins["observed"], color=ink, linewidth=1.2)
        axes.scatter(said, bins["observed"], s=20, color=ink, marker=mark, zorder=3)
    axes.set_title(style.short(label, 18), size=10, color=theme.ink, loc="left")
    ticks, names = (0, 0.5, 1), ("0", "50", "100")
    axes.set_xticks(ticks, names)
    axes.set_yticks(ticks, names)
    axes.set(xlim=(-0.04, 1.04), ylim=(-0.04, 1.04), aspect="equal")
    style.only_grid(axes, "both")


def _reliability(run: Run, theme: Theme) -> Figure:
    shown = sorted(run.classes, key=lambda name: name != run.focus)[:MOST_PANELS]
    figure = style.canvas(1.3 + 6.0 / max(len(shown), 2))
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    for axes, label in zip(panels, shown, strict=True):
        _one_reliability(axes, run, label, theme)
    panels[0].set_ylabel("truly of the class (%)")
    panels[len(panels) // 2].set_xlabel("probability that the model gave the class (%)")
    both = run.assessed.reliability is not None
    under = (
        f"{'Colour, round: calibrated; grey: as given. ' if both else ''}Below the dashed line:"
        " rarer than said. A point is a tenth of the test rows; whiskers: 95 %, of rows."
    )
    return _finish(figure, run, theme, "Do the probabilities hold?", under)


def _places(run: Run) -> tuple[list[str], list[str]]:
    """Learners by rank; selectors in the order that the run names them, at last that of none."""
    there = {selector for _, selector in run.cells}
    selectors = [name for name in (*run.kept, NO_SELECTOR) if name in there]
    return list(dict.fromkeys(learner for learner, _ in run.cells)), selectors


def _leaderboard_dots(run: Run, theme: Theme) -> Figure:
    learners, selectors = _places(run)
    turns = max(1, len(selectors) - (NO_SELECTOR in selectors))
    figure = style.canvas(2.0 + len(learners) * max(0.34, 0.13 * turns))
    axes = figure.subplots()
    for turn, selector in enumerate(selectors):
        named = [learner for learner, other in run.cells if other == selector]
        spans = [run.estimate((learner, selector), "macro_f1") for learner in named]
        alone = selector == NO_SELECTOR  # the only row of its learner
        shift = 0.0 if alone else (turn - (turns - 1) / 2) * 0.74 / turns
        places = [learners.index(learner) + shift for learner in named]
        colour = theme.quiet if alone else theme.others[turn % len(theme.others)]
        mark = "X" if alone else MARKS[turn % len(MARKS)]
        label = "no learner" if alone else selector
        lows, highs = [s.low for s in spans], [s.high for s in spans]
        axes.hlines(places, lows, highs, color=colour, alpha=0.55)
        values = [s.value for s in spans]
        axes.scatter(values, places, s=26, color=colour, marker=mark, label=label, zorder=3)
    titles = [style.short(words.learner_title(name), LONGEST_TITLE) for name in learners]
    axes.set_yticks(range(len(learners)), titles)
    axes.set_ylim(len(learners) - 0.4, -0.6)
    axes.set_xlabel("macro-F1 on the test rows, 95 % interval")
    style.only_grid(axes, "x")
    axes.legend(
        loc="lower right", bbox_to_anchor=(1.02, 1), ncols=4, handletextpad=0.0, columnspacing=1
    )
    under = (
        "Colour and shape: selection of features. Where whiskers overlap widely, other test"
        f" {run.unit} could turn the order."
    )
    return _finish(figure, run, theme, "Macro-F1 of each learner", under)


def _learning_curve(run: Run, theme: Theme) -> Figure:
    table = run.assessed.learning_curve
    if table is None:
        raise AbsentError("the run was made without --learning-curve")
    figure = style.canvas(3.6)
    axes = figure.subplots()
    means = table.groupby("share", sort=True)[["companies", "macro_f1", "recall_focus"]].mean()
    lines = (("macro_f1", "macro-F1", "o"), ("recall_focus", f"recall of {run.focus}", "D"))
    for turn, (name, title, mark) in enumerate(lines):
        ink = theme.others[turn]
        axes.scatter(table["companies"], table[name], s=14, color=ink, marker=mark, alpha=0.45)
        axes.plot(means["companies"], means[name], color=ink, marker=mark, label=title)
    axes.set_xlim(left=0)
    axes.set_ylim(0, 1)
    axes.set_xlabel("training companies" if run.unit == "companies" else "training rows")
    style.only_grid(axes, "y")
    axes.legend(loc="lower right", bbox_to_anchor=(1.02, 1), ncols=2)
    under = (
        f"{words.cell_title(run.best)}, the same test rows each time; lines: means."
        " While they rise, more companies help."
    )
    return _finish(figure, run, theme, "What more companies would bring", under)


PICTURES: tuple[Picture, ...] = (
    Picture("fig3_sectors_healthy", "Fig. 3", "Sectors of healthy companies", _healthy_sectors),
    Picture("fig4_sectors_bankrupt", "Fig. 4", "Sectors of bankrupt companies", _bankrupt_sectors),
    Picture("fig5_classes", "Fig. 5", "Class distribution", _class_distribution),
    Picture("fig6_gains", "Fig. 6", "Features by gain", _gains),
    Picture("leaderboard", "", "Leaderboard with intervals", _leaderboard_dots),
    Picture("confusion", "", "Confusion matrix of the best model", _confusion),
    Picture("reliability", "", "Reliability of the probabilities", _reliability),
    Picture("learning_curve", "", "Learning curve of the best model", _learning_curve),
)
