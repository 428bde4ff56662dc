"""Strict readers of what pages say: what is not understood raises, nothing is guessed."""

from __future__ import annotations

import csv
import html
import io
import json
import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import date, datetime

from bs4 import BeautifulSoup
from bs4.exceptions import ParserRejectedMarkup
from bs4.filter import SoupStrainer

from scraping.source import Bad, Parsed, ParseError, Row, Snapshot, Source

_WHOLE = r"(?:[0-9]+|[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,2}(?:,[0-9]{2})*,[0-9]{3})"
_AMOUNT = rf"(?:{_WHOLE}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{{1,3}})?"
_NUMBER = re.compile(rf"-?{_AMOUNT}|\({_AMOUNT}\)")
NOTHING = frozenset({"", "-", "--", "NA", "N/A", "N.A.", "NIL", "NULL", "N/E"})
MAX_ROWS = 2_000_000
_QUOTED = 200


def quoted(value: object) -> str:
    """A value from outside, short and printable, for a message."""
    text = repr(value)
    return text if len(text) <= _QUOTED else text[:_QUOTED] + "…"


def storable(text: str) -> str:
    """Text with halves of characters, which JSON can spell and no database stores, spelt out."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def clean(text: str) -> str:
    """Text with entities resolved and runs of white space, also non-breaking, made one space."""
    return " ".join(html.unescape(text).split())


def optional(text: str | None) -> str | None:
    """Clean text; None for what sites print where they have nothing (`-`, `N/A`)."""
    cleaned = clean(text or "")
    return None if cleaned.upper() in NOTHING else cleaned


def required(text: str | None, what: str) -> str:
    """Clean text that must be there.

    Raises:
        ValueError: it is empty, or a sign for nothing.
    """
    cleaned = optional(text)
    if cleaned is None:
        raise ValueError(f"expected {what}, got {quoted(text)}")
    return cleaned


def moment(text: str | None, *formats: str) -> datetime:
    """Date and time in one of these formats, month names in any case.

    Raises:
        ValueError: it is in none of them, or not between 1980 and 2100.
    """
    cleaned = clean(text or "")
    for form in formats:
        try:
            parsed = datetime.strptime(cleaned, form)  # sites state Indian time
        except ValueError:
            continue
        if 1980 <= parsed.year <= 2100:
            return parsed
    raise ValueError(f"expected a date like {' or '.join(formats)}, got {quoted(text)}")


def day(text: str | None, *formats: str) -> date:
    """Date in one of these formats; as `moment`."""
    return moment(text, *formats).date()


def optional_day(text: str | None, *formats: str) -> date | None:
    """Date, or None where the site prints nothing."""
    return None if optional(text) is None else day(text, *formats)


def number(text: str | None) -> float | None:
    """Number with Indian or Western thousands commas, a minus or parentheses; None for nothing.

    Raises:
        ValueError: it is something else, or too large for a number.
    """
    cleaned = optional(text)
    if cleaned is None:
        return None
    if not _NUMBER.fullmatch(cleaned):
        raise ValueError(f"expected a number, got {quoted(text)}")
    value = _finite(cleaned.strip("()").replace(",", ""))
    return (-value if cleaned.startswith("(") else value) + 0.0  # no negative zero


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"expected a number, got {quoted(text)}: too large")
    return value


def text_of(snapshot: Snapshot) -> str:
    """The document as UTF-8 text, without a byte-order mark.

    Raises:
        ParseError: it is not UTF-8.
    """
    try:
        return snapshot.body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        came = quoted(snapshot.body[max(error.start - 20, 0) : error.start + 20])
        raise ParseError(f"{snapshot.url}: expected UTF-8 text, got {came}") from None


def json_of(snapshot: Snapshot) -> object:
    """The document as JSON.

    Raises:
        ParseError: it is not JSON, nests too deep, or holds a number that is not finite.
    """

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not a number")

    try:
        return json.loads(text_of(snapshot), parse_constant=refuse, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        came = quoted(snapshot.body[:80])
        raise ParseError(f"{snapshot.url}: expected JSON ({error}), got {came}") from None


def soup_of(snapshot: Snapshot, *tags: str) -> BeautifulSoup:
    """The page; with `tags`, only these elements and what is in them, which is faster.

    Raises:
        ParseError: not UTF-8, or not a page at all.
    """
    text = text_of(snapshot)
    if "<" not in text:
        raise ParseError(f"{snapshot.url}: expected a page, got {quoted(text[:80])}")
    only = SoupStrainer(list(tags)) if tags else None
    try:
        return BeautifulSoup(text, "lxml", parse_only=only)
    except (ValueError, RecursionError, AssertionError, ParserRejectedMarkup) as error:
        raise ParseError(f"{snapshot.url}: not a page that can be read: {error}") from None


def require_fields(
    where: str, source: Source, fields: Iterable[str], optional_fields: Collection[str] = ()
) -> None:
    """Refuse a document whose fields are not the declared ones.

    Raises:
        ParseError: a field is unknown or stands twice, or a declared one is missing.
    """
    came = list(fields)
    unknown = sorted(set(came) - set(source.columns) - set(source.ignored))
    missing = sorted(set(source.columns) - set(came) - set(optional_fields))
    twice = sorted(name for name, times in Counter(came).items() if times > 1)
    if unknown or missing or twice:
        raise ParseError(
            f"{where}: the format has changed: unknown {quoted(unknown)}, missing"
            f" {quoted(missing)}, more than once {quoted(twice)}; expected"
            f" {quoted(sorted(source.columns))}"
        )


def csv_records(snapshot: Snapshot, delimiter: str = ",") -> tuple[list[str], list[list[str]]]:
    """Header, stripped, and data rows of a delimited text; blank lines are left out.

    Raises:
        ParseError: no header, more than 2 million rows, a field of over 128 KiB, or a quote that
            is not closed.
    """
    lines = io.StringIO(text_of(snapshot), newline="")
    if delimiter == "\t":  # quotes in it are part of names
        reader = csv.reader(lines, delimiter=delimiter, quoting=csv.QUOTE_NONE)
    else:
        reader = csv.reader(lines, delimiter=delimiter, strict=True)
    try:
        rows = [row for row in reader if any(cell.strip() for cell in row)]
    except csv.Error as error:
        raise ParseError(f"{snapshot.url}: not delimited text: {error}") from None
    if not rows or len(rows) > MAX_ROWS:
        raise ParseError(f"{snapshot.url}: expected 1 to {MAX_ROWS:,} rows, got {len(rows):,}")
    return [cell.strip() for cell in rows[0]], rows[1:]


def rows_of(
    records: Iterable[tuple[int, Mapping[str, str | None]]],
    convert: Callable[[Mapping[str, str | None]], Row | None],
) -> Parsed:
    """Convert numbered records; one that raises a ValueError is quarantined, None is left out."""
    rows: list[Row] = []
    bad: list[Bad] = []
    for at, record in records:
        try:
            row = convert(record)
        except ValueError as error:
            content = json.dumps(dict(record), ensure_ascii=False)[:2000]
            bad.append(Bad(at, storable(str(error)), storable(content)))
            continue
        if row is not None:
            rows.append(row)
    return Parsed(rows, bad)
