"""Parts of the report on their own: sums by hand, Markdown, names."""

from __future__ import annotations

import pytest

from models.protocols import PROTOCOLS
from reports import words
from reports.figures import PICTURES, top_sectors
from reports.grid import Cell, Column, Grid, escape, markdown
from reports.tables import TABLES


def test_top_sectors_by_hand() -> None:
    counts = {"a": 1, "b": 5, "c": 5, "unknown": 9, "d": 2}
    assert top_sectors(counts, 2) == [
        ("b", 5), ("c", 5), ("2 other sectors", 3), ("sector not known", 9)
    ]  # fmt: skip
    assert top_sectors({"a": 1}) == [("a", 1)]


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", "a\\|b"),
        ("![x](http://h)", "!\\[x\\](http://h)"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("two\nlines", "two lines"),
        ("`c` *d*", "\\`c\\` \\*d\\*"),
    ],
)
def test_markdown_shows_text_as_it_stands(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_a_grid_as_markdown() -> None:
    grid = Grid((Column("a"), Column("b", True)), ((Cell("x"), Cell("1", "0–2")),), ("a note",))
    assert markdown(grid) == "| a | b |\n|---|---:|\n| x | 1 (0–2) |\n\n- a note\n"


def test_every_protocol_has_a_meaning() -> None:
    assert set(words.MEANING) == {protocol.name for protocol in PROTOCOLS}


def test_picture_names_and_table_names_are_unique() -> None:
    names = [entry.name for entry in (*PICTURES, *TABLES)]
    assert len(names) == len(set(names))
