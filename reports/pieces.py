"""Pieces of Markdown that the generated docs are put together from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reports.grid import Column, escape, markdown_table


def table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    """A table of ready Markdown cells.

    Args:
        head: headings, parted by `|`; one that ends in `#` is of figures, set to the right.
        rows: as many cells each.
    """
    columns = tuple(Column(name.rstrip("#"), name.endswith("#")) for name in head.split("|"))
    return markdown_table(columns, tuple(rows))


def prose(text: str) -> str:
    """One line of text: what stands between backticks is code, names of pages are links."""
    parts = text.split("`")
    return "".join(f"`{part}`" if at % 2 else _escaped(part) for at, part in enumerate(parts))


def _escaped(part: str) -> str:
    """`escape` without losing the blanks that part the text from a code beside it."""
    before, after = " " * part.startswith(" "), " " * part.endswith(" ")
    linked = re.sub(r"\b(\w+\.md)\b", r"[\1](\1)", escape(part))
    return f"{before}{linked}{after}" if part.strip() else part


def code(text: str) -> str:
    """Code in a cell; nothing where there is none."""
    return f"`{text}`".replace("|", "\\|") if text else ""


def codes(names: Iterable[str]) -> str:
    """Several of them, parted by commas."""
    return ", ".join(code(name) for name in names)
