"""What the pages of IBBI have in common: tables, pagers, dates, numbers and links to documents."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta, timezone
from typing import cast
from urllib.parse import urljoin, urlsplit

from bs4 import Tag

from scraping.fetch import Fetch
from scraping.identifiers import cin_of
from scraping.parse import clean, day, optional, quoted, soup_of
from scraping.source import Parsed, ParseError, Snapshot

FIRST_DAY = date(2016, 12, 1)  # the Code's provisions on companies are in force from here
MAX_PAGES = 2_000
PAGE_ROWS = 20

# Reasons in the quarantine, the same text for each row, so that they can be counted.
WRONG_FIELDS = "wrong number of fields"
BAD_DAY = "impossible date"

_INDIA = timezone(timedelta(hours=5, minutes=30))
_QUOTED_PDF = re.compile(r"""['"]((?:https?:/)?/[^'"]+\.pdf)['"]""", re.IGNORECASE)


def known_cin(text: str | None, year: int) -> str | None:
    """A company's identification number in capitals without spaces; None if it is not one.

    Args:
        text: as printed.
        year: the latest year in which the company may have been registered.
    """
    try:
        cin = cin_of("".join((text or "").split()))
    except ValueError:
        return None
    return cin if 1850 <= int(cin[8:12]) <= year else None


def india_day(snapshot: Snapshot) -> date:
    """The day in India on which a document was fetched."""
    return snapshot.fetched_at.astimezone(_INDIA).date()


def possible_day(text: str, form: str, today: date) -> date:
    """A date from the start of the Code to today.

    Raises:
        ValueError: it is another, or none; its text is `BAD_DAY`.
    """
    try:
        found = day(text, form)
    except ValueError:
        raise ValueError(BAD_DAY) from None
    if not FIRST_DAY <= found <= today:
        raise ValueError(BAD_DAY)
    return found


def must(text: str, reason: str) -> str:
    """Clean text that must be there.

    Raises:
        ValueError: it is not; its text is `reason`.
    """
    cleaned = optional(text)
    if cleaned is None:
        raise ValueError(reason)
    return cleaned


def content_of(cells: Iterable[str]) -> str:
    """Cells as the quarantine keeps them."""
    return json.dumps([clean(cell) for cell in cells], ensure_ascii=False)[:2000]


def table_of(
    snapshot: Snapshot, selector: str, layouts: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], list[list[Tag]]]:
    """Header and rows of cells of a page's one table.

    Raises:
        ParseError: no such table or several, a header that is none of `layouts`, or no rows.
    """
    tables = soup_of(snapshot, "table").select(selector)
    if len(tables) != 1:
        raise ParseError(f"{snapshot.url}: expected one {selector}, got {len(tables)}")
    header = tuple(clean(cell.get_text()) for cell in tables[0].find_all("th"))
    if header not in layouts:
        raise ParseError(
            f"{snapshot.url}: the format has changed: expected the columns"
            f" {', '.join(layouts[0])}, got {quoted(header)}"
        )
    cells = (row.find_all("td", recursive=False) for row in tables[0].find_all("tr"))
    rows = [list(row) for row in cells if row]
    if not rows:
        raise ParseError(f"{snapshot.url}: expected rows in {selector}, got none")
    return header, rows


def pdf_of(cell: Tag, page: str) -> str | None:
    """Address of the document that a cell links to, by `href` or in an `onclick`; http(s) only."""
    for link in cell.find_all("a"):
        href = str(link.get("href") or "").strip()
        if not (link.has_attr("download") or href.lower().endswith(".pdf")):
            found = _QUOTED_PDF.search(str(link.get("onclick") or ""))
            href = found[1] if found else ""
        if href and (address := _absolute(page, href)):
            return address
    return None


def _absolute(page: str, href: str) -> str | None:
    try:
        address = urljoin(page, href)
        parts = urlsplit(address)
    except ValueError:  # as "http://[x"
        return None
    return address if parts.scheme in {"http", "https"} and parts.netloc else None


@dataclass(frozen=True)
class Page:
    """A page of a listing that is sorted newest first.

    Attributes:
        parsed: its rows.
        days: their dates.
        more: whether there is a next page.
    """

    parsed: Parsed
    days: tuple[date, ...]
    more: bool


def page_of(snapshot: Snapshot, parsed: Parsed, dated: str) -> Page:
    """The page, with the dates of its column `dated`.

    Raises:
        ParseError: a full page without a pager: the format has changed.
    """
    soup = soup_of(snapshot, "ul")
    if len(parsed.rows) >= PAGE_ROWS and not soup.select("ul.pagination"):
        raise ParseError(f"{snapshot.url}: expected ul.pagination on a full page, got none")
    more = bool(soup.select("ul.pagination li.next:not(.disabled) a[rel~=next]"))
    return Page(parsed, tuple(cast("date", row[dated]) for row in parsed.rows), more)


def follow(
    fetch: Fetch,
    label: str,
    ask: Callable[[int], Page],
    since: date | None,
    back: timedelta | None,
) -> None:
    """Fetch a listing's pages until one reaches back before `since`, or the last.

    A page that fails is recorded and passed over; three in a row end the listing.

    Args:
        fetch: the crawl.
        label: what is listed, for progress and messages.
        ask: fetches and reads the page of this number.
        since: the earliest day that is wanted.
        back: without `since`, how far before the first date; None for all there is.

    Raises:
        ParseError: a page is the same as the one before, or they do not end.
    """
    before: Page | None = None
    failures = 0
    for number in fetch.each(range(1, MAX_PAGES + 1), label):
        asked: list[Page] = []
        with fetch.tolerate(f"{label}, page {number}"):
            asked.append(ask(number))
        if not asked:
            failures += 1
            if failures == 3:
                return
            continue
        failures, page = 0, asked[0]
        if before is not None and page.parsed == before.parsed:
            raise ParseError(f"{label}: page {number} is the same as the one before it")
        if since is None and back is not None and page.days:
            since = max(page.days) - back
        if not page.more or (since and page.days and min(page.days) < since):
            return
        before = page
    raise ParseError(f"{label}: expected at most {MAX_PAGES:,} pages, got a next one")
