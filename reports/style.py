"""How every figure looks: palettes for light and dark, type, size, footer and file formats."""

from __future__ import annotations

import io
import textwrap
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

WIDTH = 5.5
DPI = 150
HEAD = 0.8  # inches for the title and the line under it
FOOT = 0.34
LONGEST = 32  # characters of a label


@dataclass(frozen=True)
class Theme:
    """Colours on one background; the hues stay apart for colour-blind eyes on both."""

    name: str
    paper: str
    ink: str
    quiet: str
    rule: str
    warn: str
    heat: str
    classes: tuple[str, str, str]
    others: tuple[str, ...]


LIGHT = Theme(
    "light", "#ffffff", "#1c2330", "#5b6472", "#dfe3e8", "#b3261e", "Blues",
    ("#d55e00", "#e69f00", "#1f7a8c"),
    ("#332288", "#d55e00", "#117733", "#aa4499", "#0072b2", "#8a8f98"),
)  # fmt: skip
DARK = Theme(
    "dark", "#171b22", "#e8eaee", "#a3acb9", "#323945", "#ff8a80", "Blues_r",
    ("#ff7b33", "#f2b84b", "#4db6c6"),
    ("#b3a8ff", "#ff9a5c", "#66c28a", "#e394d0", "#6bb7f0", "#a3acb9"),
)  # fmt: skip
KNOWN = ("bankrupt", "distressed", "healthy")


def class_colours(classes: tuple[str, ...], theme: Theme) -> dict[str, str]:
    """Colour of each class: fixed for the three known ones, else from the other hues in turn."""
    fixed = dict(zip(KNOWN, theme.classes, strict=True))
    rest = [name for name in classes if name not in fixed]
    turn = {name: theme.others[at % len(theme.others)] for at, name in enumerate(rest)}
    return {name: fixed.get(name) or turn[name] for name in classes}


def short(text: object, longest: int = LONGEST) -> str:
    """One line of at most `longest` characters; what was cut ends in an ellipsis."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    return line if len(line) <= longest else line[: longest - 1].rstrip() + "…"


@contextmanager
def drawn_in(theme: Theme) -> Iterator[None]:
    """Draw in a theme. Text is taken as it stands: a `$` in a name is no formula."""
    settings = {
        "figure.facecolor": theme.paper, "axes.facecolor": theme.paper,
        "savefig.facecolor": theme.paper, "text.color": theme.ink, "axes.labelcolor": theme.quiet,
        "axes.edgecolor": theme.rule, "xtick.color": theme.quiet, "ytick.color": theme.ink,
        "grid.color": theme.rule, "font.family": "DejaVu Sans", "font.size": 10,
        "axes.labelsize": 9.5, "xtick.labelsize": 9.5, "ytick.labelsize": 10,
        "axes.spines.top": False, "axes.spines.right": False, "axes.spines.left": False,
        "xtick.major.size": 0, "ytick.major.size": 0, "axes.axisbelow": True,
        "text.parse_math": False, "svg.hashsalt": "report", "legend.frameon": False,
        "legend.fontsize": 9.5,
    }  # fmt: skip
    with mpl.rc_context(settings), warnings.catch_warnings():  # type: ignore[arg-type]
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        yield


def canvas(height: float) -> Figure:
    """An empty figure whose axes lie between room for a title and room for a footer."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    rest = 1 - (HEAD + FOOT) / height
    engine = figure.get_layout_engine()
    assert engine is not None  # noqa: S101
    engine.set(rect=(0.01, FOOT / height, 0.97, rest))  # type: ignore[call-arg]
    return figure


def dress(figure: Figure, title: str, under: str, source: str, simulated: bool, t: Theme) -> None:
    """Write the title, the line under it and the footer, which says SIMULATED where it is so."""
    height = float(figure.get_figheight())
    figure.text(0.02, 1 - 0.12 / height, short(title, 46), weight="bold", size=12, va="top")
    lines = textwrap.fill(under, 72, max_lines=2, placeholder="…")
    figure.text(0.02, 1 - 0.37 / height, lines, size=9, color=t.quiet, va="top", linespacing=1.25)
    foot = {"y": 0.10 / height, "size": 8.5, "va": "bottom"}
    if simulated:
        figure.text(0.02, s="SIMULATED companies", color=t.warn, weight="bold", **foot)  # type: ignore[arg-type]
    where = 0.98 if simulated else 0.02
    side = "right" if simulated else "left"
    line = short(source, 50 if simulated else 70)
    figure.text(where, s=line, color=t.quiet, ha=side, **foot)  # type: ignore[arg-type]


def only_grid(axes: Axes, along: str) -> None:
    """Faint lines along one axis ("x", "y" or "both"), nothing else."""
    axes.grid(axis=along, linewidth=0.8)  # type: ignore[arg-type]


def settle(figure: Figure) -> None:
    """Lay out once and for all; rounded, for the solver's last digits differ from run to run."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    for axes in figure.axes:
        left, bottom, width, height = axes.get_position(original=True).bounds
        places = (round(left, 6), round(bottom, 6), round(width, 6), round(height, 6))
        axes.set_position(places)


def png(figure: Figure) -> bytes:
    """The figure as PNG, without a date, so that the same run gives the same bytes."""
    target = io.BytesIO()
    figure.savefig(target, format="png", dpi=DPI, metadata={"Software": None})
    return target.getvalue()


def svg(figure: Figure) -> bytes:
    """The figure as SVG with outlines for letters: no font is needed to read it."""
    target = io.BytesIO()
    figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    return target.getvalue()
