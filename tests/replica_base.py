"""What the replica's sites have in common: request, answer, and how documents are made."""

from __future__ import annotations

import csv
import html
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from replica_cases import Cases, cases
from replica_world import World

T = TypeVar("T")

HTML: Final = "text/html; charset=UTF-8"
JSON: Final = "application/json; charset=utf-8"
CSV: Final = "text/csv"


@dataclass(frozen=True)
class Ask:
    """A request to a site; with `stuck` a pager shows its first page for ever."""

    site: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    stuck: bool = False

    def number(self, name: str, default: int) -> int:
        """A whole number of the query."""
        text = self.query.get(name, "")
        return int(text) if text.lstrip("-").isdigit() else default


@dataclass(frozen=True)
class Reply:
    """An answer, before anything is done to it on its way."""

    body: bytes
    kind: str = HTML
    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()


@dataclass
class Sites:
    """All sites of one world, under the address `root`.

    Attributes:
        page_kilobytes: least size of moneycontrol's pages: menus and scripts around the table.
        kept: documents as they were rendered; emptied when the world changes.
    """

    world: World
    root: str
    page_kilobytes: int = 110
    kept: dict[tuple[object, ...], Reply] = field(default_factory=dict)
    _cases: tuple[int, Cases] | None = None

    def base(self, site: str) -> str:
        """Address of a site."""
        return f"{self.root}/{site}"

    @property
    def cases(self) -> Cases:
        """The cases as of the world's day."""
        if self._cases is None or self._cases[0] != self.world.version:
            self._cases = (self.world.version, cases(self.world))
        return self._cases[1]


def whole_page(title: str, body: str, furniture: str = "") -> bytes:
    """A page with what a site puts around its content."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{html.escape(title)}</title>\n"
        "<!-- replica of a site: the companies are made up -->\n</head>\n"
        f'<body class="noJS ">\n{furniture}\n{body}\n</body>\n</html>\n'
    ).encode()


def refused(status: int, words: str) -> Reply:
    """A page that only says why there is nothing."""
    return Reply(whole_page(words, f"<h1>{words}</h1>"), status=status)


def as_json(value: object) -> Reply:
    """A JSON document."""
    return Reply(json.dumps(value, indent=1).encode(), JSON)


def as_csv(rows: Iterable[Sequence[object]]) -> Reply:
    """A CSV document."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return Reply(text.getvalue().encode(), CSV)


def paged(ask: Ask, rows: Sequence[T], size: int) -> tuple[list[T], int, int, bool]:
    """Rows of the page asked for, its number, the number of pages, and whether there is a next."""
    number, pages = ask.number("page", 1), max(math.ceil(len(rows) / size), 1)
    if ask.stuck:
        return list(rows[:size]), number, max(pages, number + 1), True
    first = (max(number, 1) - 1) * size
    return list(rows[first : first + size]), number, pages, number < pages
