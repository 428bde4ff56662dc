"""IBBI: orders of tribunals and courts on insolvencies, as it lists them."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
    must,
    page_of,
    pdf_of,
    possible_day,
    table_of,
)
from scraping.parse import clean, optional, quoted
from scraping.source import Bad, Expect, Parsed, ParseError, Row, Snapshot, Source

COURTS = ("nclt", "nclat", "supreme-court", "high-courts")
LISTING = ("Sr.No.", "Orders Date", "Subject", "Orders Remarks")

# The first crawl reads all there is, some 2,000 pages in 2026: a withdrawal that is not known makes
# a company bankrupt that was not. Later ones, without --since, read the year before each court's
# newest order, some 220 pages: orders are listed by their own date and often weeks after it.
DEFAULT_REACH = timedelta(days=365)

NO_SUBJECT = "no subject"
NO_REMARKS = "no remarks"

SOURCE = Source(
    name="ibbi_orders",
    publisher="Insolvency and Bankruptcy Board of India",
    host="IBBI",
    url="https://ibbi.gov.in/orders/nclt",
    terms=(
        "its policy permits reproduction with acknowledgement; the orders are not certified copies;"
        " open, no captcha is reported"
    ),
    cadence_days=7,
    stage=1,
    table="insolvency_order",
    columns={"Orders Date": "ordered_on", "Subject": "subject", "Orders Remarks": "remarks"},
    ignored=("Sr.No.",),
    # The first page of one court is 20. One order is at times listed twice, with two addresses.
    expect=Expect(
        min_rows=20, unique=("court", "ordered_on", "subject", "remarks", "pdf_url"), whole=False
    ),
    standing="seen",
)

_SIZE = re.compile(r"\s*(?:PDF\s*)?\(\s*[0-9.,]+\s*[KMG]?B\s*\)$", re.IGNORECASE)
_CASE = re.compile(r"\s*\[[^\[\]]*\]$")
_LEAD = re.compile(r"(in the matter of[\s:]+)?(approval of resolution plan\s+[-–—]\s+)?", re.I)
_MESSRS = re.compile(r"(?:m/s\.?|messrs\.?)\s*(?=\S)", re.IGNORECASE)
# Two sides, several persons, one who acts for the debtor, a case number, more than a name.
_UNCLEAR = re.compile(
    r"\s(?:vs?|v/s|versus)(?:[.,]|\s)"
    r"|(?:&|\band)\s+(?:ors|anr|others|another)\b"
    r"|\b(?:i?rp|liquidator|resolution professional|director|promoter)s?\s+(?:of|for|in)\b"
    r"|,\s*(?:i?rp|liquidator|resolution professional|applicant|petitioner)\b"
    r"|\b(?:through|against|on behalf of)\b"
    r"|\b(?:19|20)[0-9]{2}\b|\bno\.?\s*[0-9]"
    r"|\s[-–—]\s|[\[\]]",
    re.IGNORECASE,
)


def crawl(fetch: Fetch) -> None:
    """The listing of each court, newest first: all of it, later back to `fetch.since` or a year."""
    back = None if fetch.first else DEFAULT_REACH
    for court in COURTS:
        with fetch.tolerate(f"orders of {court}"):
            label = f"pages of orders, {court}"
            follow(fetch, label, partial(_page, fetch, court), fetch.since, back)


def _page(fetch: Fetch, court: str, number: int) -> Page:
    snapshot = fetch.get(
        f"/orders/{court}", {"page": str(number)}, kind="html", about={"court": court}
    )
    return page_of(snapshot, parse(snapshot), "ordered_on")


def parse(snapshot: Snapshot) -> Parsed:
    """One row per order; the debtor only where the subject is plain about who it is.

    Raises:
        ParseError: not a court's listing, or not in the known layout.
    """
    court = snapshot.about.get("court")
    if court not in COURTS:
        raise ParseError(f"{snapshot.url}: expected a court of {COURTS}, got {quoted(court)}")
    _, rows = table_of(snapshot, "table.cols-4.reporttable", (LISTING,))
    good: list[Row] = []
    bad: list[Bad] = []
    for number, cells in enumerate(rows, 1):
        try:
            good.append({"court": court, **_convert(cells, india_day(snapshot))})
        except ValueError as error:
            # Without the serial number, which changes with every order above it.
            content = content_of(cell.get_text() for cell in cells[1:])
            bad.append(Bad(number, str(error), content))
    return Parsed(good, bad)


def _convert(cells: Sequence[Tag], today: date) -> Row:
    if len(cells) != len(LISTING):
        raise ValueError(WRONG_FIELDS)
    _, ordered, subject, remarks = cells
    text = must(_subject(subject), NO_SUBJECT)
    return {
        "ordered_on": possible_day(ordered.get_text(), "%d %b, %Y", today),
        "subject": text,
        "debtor_name": debtor_of(text),
        "remarks": must(remarks.get_text(), NO_REMARKS),
        "pdf_url": pdf_of(subject, SOURCE.url),
    }


def _subject(cell: Tag) -> str:
    """The subject without the label and the size of its document, which stand in the link."""
    texts = (
        text
        for text in cell.strings
        if text.parent is None or "file-type-label" not in (text.parent.get("class") or ())
    )
    return _SIZE.sub("", clean("".join(texts)))


def debtor_of(subject: str) -> str | None:
    """The debtor's name where a subject names one and nobody else, without M/s; else None.

    "In the matter of X [CP(IB) 1 of 2026]" and "Approval of Resolution Plan - X [IA 1 of 2026]"
    name X. "A vs. B" does not say which of the two is the debtor.
    """
    text = _CASE.sub("", clean(subject))
    lead = _LEAD.match(text)
    if lead is None or not lead[0]:
        return None
    name = text[lead.end() :].strip(" ,;:")
    if _UNCLEAR.search(name):
        return None
    return optional(_MESSRS.sub("", name, count=1) if _MESSRS.match(name) else name)
