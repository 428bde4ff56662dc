"""IBBI: public announcements of insolvency processes, from its export and its listing.

The export has the CIN, the listing the link to the document; a row of one may be the same
announcement as a row of the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import partial

from bs4 import Tag

from scraping.fetch import Fetch
from scraping.ibbi import (
    WRONG_FIELDS,
    Page,
    content_of,
    follow,
    india_day,
    known_cin,
    must,
    page_of,
    pdf_of,
    possible_day,
    table_of,
)
from scraping.parse import clean, optional, optional_day, quoted
from scraping.source import Bad, Expect, Parsed, ParseError, Row, Snapshot, Source

EXPORT = (
    "Announcement Type",
    "Date of Announcement",
    "Last date of Submission",
    "Name of Corporate Debtor",
    "CIN No.",
    "Name of Applicant",
    "Name of Insolvency Professional",
    "Address of Insolvency Professional",
    "Remarks",
)
LISTING = (
    "Type of PA",
    "Date of Announcement",
    "Last date of Submission",
    "Name of Corporate Debtor",
    "Name of Applicant",
    "Name of Insolvency Professional",
    "Public Announcement",
    "Remarks",
)
# 2019: no type; by public code of that year, the address stood where it is a comment today.
OLDER = (LISTING[1:], (*LISTING[1:6], "Address of Insolvency Professional", *LISTING[6:]))

# The types that were seen. Another is kept as it is printed, and told.
TYPES = frozenset(
    {
        "Public Announcement of Corporate Insolvency Resolution Process",
        "Public Announcement of Liquidation Process",
        "Public Announcement of Voluntary Liquidation Process",
    }
)

SOURCE = Source(
    name="ibbi_announcements",
    publisher="Insolvency and Bankruptcy Board of India",
    host="IBBI",
    url="https://ibbi.gov.in/public-announcement",
    terms=(
        "its policy permits reproduction with acknowledgement; no captcha is reported; some report"
        " that addresses of cloud providers are refused"
    ),
    cadence_days=1,
    stage=1,
    table="announcement",
    columns={
        "Announcement Type": "announcement_type",
        "Type of PA": "announcement_type",
        "Date of Announcement": "announced_on",
        "Last date of Submission": "claims_until",
        "Name of Corporate Debtor": "debtor_name",
        "CIN No.": "cin",
        "Name of Applicant": "applicant",
        "Name of Insolvency Professional": "professional",
        "Public Announcement": "pdf_url",
        "Remarks": "remarks",
    },
    ignored=("Address of Insolvency Professional",),
    # 14,835 announcements in September 2026: a much shorter export was cut.
    # The address is in the key so that a row of the listing is no change of one of the export.
    expect=Expect(
        min_rows=10_000,
        unique=("announcement_type", "announced_on", "debtor_name", "professional", "pdf_url"),
    ),
    standing="reported",
)

RECENT = timedelta(days=90)  # how far the listing is read where the export brought the rest

# Reasons in the quarantine, the same text for each row, so that they can be counted.
NOT_UTF8 = "not UTF-8 text"
NO_TYPE = "no announcement type"
NO_DEBTOR = "no debtor name"
# With these the row is kept and the field is NULL.
MALFORMED_CIN = "malformed CIN"
MALFORMED_DEADLINE = "malformed last date of submission"


def crawl(fetch: Fetch) -> None:
    """The export; then the listing, newest first, back to `fetch.since`.

    Without `fetch.since` the listing is read for the 90 days before its newest announcement, or
    whole if the export failed.
    """
    exported: list[Snapshot] = []
    with fetch.tolerate("the export of announcements"):
        exported.append(_export(fetch))
    with fetch.tolerate("the listing of announcements"):
        back = RECENT if exported else None
        follow(fetch, "pages of announcements", partial(_page, fetch), fetch.since, back)


def _export(fetch: Fetch) -> Snapshot:
    query = {"ann": "", "title": "", "date": "", "export_excel": "export_excel"}
    snapshot = fetch.get("/public-announcement", query, kind="text", about={"document": "export"})
    if not parse(snapshot).rows:
        raise ParseError(f"{snapshot.url}: expected announcements, got none that can be read")
    return snapshot


def _page(fetch: Fetch, number: int) -> Page:
    # The pager's own links drop `sort` and `direction`, so each address is built here.
    query = {
        "ann": "",
        "title": "",
        "date": "",
        "page": str(number),
        "sort": "FLD_PA_ANNOUNCE_DATE",
        "direction": "desc",
    }
    snapshot = fetch.get("/public-announcement", query, kind="html", about={"document": "listing"})
    return page_of(snapshot, parse(snapshot), "announced_on")


def parse(snapshot: Snapshot) -> Parsed:
    """One row per announcement of the export or of a page of the listing.

    `about["document"]` says which of the two; `about["type"]` gives the type for a page of 2019's
    layout, which does not print it. A malformed CIN or last date is NULL in its row, and noted.

    Raises:
        ParseError: neither document, or not in a known layout.
    """
    document = snapshot.about.get("document")
    if document == "export":
        return _parse_export(snapshot)
    if document == "listing":
        return _parse_listing(snapshot)
    raise ParseError(f"{snapshot.url}: expected export or listing, got {quoted(document)}")


def _parse_export(snapshot: Snapshot) -> Parsed:
    # The text is not quoted, so no reader of CSV is needed, and one line that is not UTF-8 or
    # holds a stray line break costs that line only.
    lines = [line for line in snapshot.body.splitlines() if line.strip()]
    first = lines[0] if lines else b""
    header = _cells(first.removeprefix(b"\xef\xbb\xbf"))
    if header is None or tuple(map(clean, header)) != EXPORT:
        raise ParseError(
            f"{snapshot.url}: expected the tab-separated columns {', '.join(EXPORT)},"
            f" got {quoted(first[:150])}"
        )
    good: list[tuple[int, list[str]]] = []
    broken: list[Bad] = []
    for number, line in enumerate(lines[1:], 1):
        if (cells := _cells(line)) is None:
            broken.append(Bad(number, NOT_UTF8, repr(line)[:2000]))
        else:
            good.append((number, cells))
    parsed = _collect(EXPORT, good, snapshot)
    return Parsed(parsed.rows, broken + parsed.bad, parsed.notices)


def _cells(line: bytes) -> list[str] | None:
    """Fields of a line of the export; None if it is not UTF-8."""
    try:
        return line.decode().split("\t")
    except UnicodeDecodeError:
        return None


def _parse_listing(snapshot: Snapshot) -> Parsed:
    header, rows = table_of(snapshot, "table.cols-4", (LISTING, *OLDER))
    named = enumerate((_listed(header, row) for row in rows), 1)
    if header == LISTING:
        return _collect(LISTING, named, snapshot)
    kind = snapshot.about.get("type", "")
    return _collect(("Type of PA", *header), ((n, [kind, *cells]) for n, cells in named), snapshot)


def _listed(header: Sequence[str], row: Sequence[Tag]) -> list[str]:
    """Texts of a row's cells; of the cell of the document, its address."""
    at = header.index("Public Announcement")
    cells = [cell.get_text() for cell in row]
    if len(row) == len(header):
        cells[at] = pdf_of(row[at], SOURCE.url) or ""
    return cells


def _collect(
    names: Sequence[str], rows: Iterable[tuple[int, list[str]]], snapshot: Snapshot
) -> Parsed:
    """Convert numbered rows of cells; what is not understood is quarantined."""
    today = india_day(snapshot)
    good: list[Row] = []
    bad: list[Bad] = []
    for number, cells in rows:
        record = {
            SOURCE.columns[name]: cell
            for name, cell in zip(names, cells, strict=False)
            if name in SOURCE.columns
        }
        try:
            if len(cells) != len(names):
                raise ValueError(WRONG_FIELDS)
            row, notes = _convert(record, today)
        except ValueError as error:
            notes = [str(error)]
        else:
            good.append(row)
        bad += (Bad(number, note, content_of(cells)) for note in notes)
    return Parsed(good, bad, tuple(_unknown_types(good)))


def _convert(record: Mapping[str, str], today: date) -> tuple[Row, list[str]]:
    """A row, and what is to be noted about it.

    Raises:
        ValueError: no type, no debtor or an impossible date; its text is the reason.
    """
    row: Row = {
        "announcement_type": must(record["announcement_type"], NO_TYPE),
        "announced_on": possible_day(record["announced_on"], "%d-%m-%Y", today),
        "debtor_name": must(record["debtor_name"], NO_DEBTOR),
        "applicant": optional(record["applicant"]),
        "professional": optional(record["professional"]),
        "remarks": optional(record["remarks"]),
        "pdf_url": record.get("pdf_url") or None,
    }
    notes = []
    printed = optional(record.get("cin"))
    row["cin"] = known_cin(printed, today.year)
    if printed and row["cin"] is None:
        notes.append(MALFORMED_CIN)
    try:
        row["claims_until"] = optional_day(record["claims_until"], "%d-%m-%Y")
    except ValueError:
        row["claims_until"] = None
        notes.append(MALFORMED_DEADLINE)
    return row, notes


def _unknown_types(rows: Iterable[Row]) -> Iterator[str]:
    """One line per row of an unknown type: the same lines are counted where they are shown."""
    for row in rows:
        if row["announcement_type"] not in TYPES:
            yield f"announcement type not known: {quoted(row['announcement_type'])}"
