"""A table as plain data, and its Markdown. The page renders the same data as HTML."""

from __future__ import annotations

from dataclasses import dataclass

# `&` first: the others bring ampersands of their own.
_ESCAPES = (
    ("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("\\", "\\\\"), ("|", "\\|"), ("`", "\\`"),
    ("*", "\\*"), ("[", "\\["), ("]", "\\]"), ("~", "\\~"), ("$", "\\$"),
)  # fmt: skip


@dataclass(frozen=True)
class Cell:
    """One cell: its text, a smaller note under it, and a style word for the page.

    `style` is "" or some of: `c0`, `c1` … (colour of a class), `yes`, `miss`, `strong`.
    """

    text: str
    note: str = ""
    style: str = ""


@dataclass(frozen=True)
class Column:
    """A column's heading and whether it holds figures (set to the right)."""

    title: str
    numeric: bool = False


@dataclass(frozen=True)
class Grid:
    """A table: columns, rows of as many cells, and lines of explanation."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def escape(text: object) -> str:
    """One line of Markdown that shows the text as it stands: no HTML, link, image or new cell."""
    line = " ".join(str(text).split())
    for plain, escaped in _ESCAPES:
        line = line.replace(plain, escaped)
    return line


def markdown_table(columns: tuple[Column, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    """A Markdown table of cells that are already Markdown."""
    head = [" | ".join(escape(column.title) for column in columns)]
    rule = ["|".join("---:" if column.numeric else "---" for column in columns)]
    body = [" | ".join(row) for row in rows]
    return "\n".join([f"| {head[0]} |", f"|{rule[0]}|", *(f"| {line} |" for line in body)])


def markdown(grid: Grid) -> str:
    """A grid as Markdown: the table, then its notes as a list."""
    rows = tuple(tuple(_cell(cell) for cell in row) for row in grid.rows)
    table = markdown_table(grid.columns, rows)
    notes = "".join(f"- {escape(note)}\n" for note in grid.notes)
    return f"{table}\n" + (f"\n{notes}" if notes else "")


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    return f"{text} ({escape(cell.note)})" if cell.note else text
