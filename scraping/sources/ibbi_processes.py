"""IBBI: the insolvency processes of a debtor and the day each of them commenced."""

from __future__ import annotations

import re
from datetime import date

from bs4 import BeautifulSoup, Tag
from bs4.element import Comment, NavigableString

from scraping.fetch import Fetch
from scraping.ibbi import BAD_DAY, india_day, known_cin, possible_day
from scraping.parse import clean, optional, quoted, soup_of
from scraping.source import Bad, Expect, Parsed, ParseError, Row, Snapshot, Source

SOURCE = Source(
    name="ibbi_processes",
    publisher="Insolvency and Bankruptcy Board of India",
    host="IBBI",
    url="https://ibbi.gov.in/claims/corporate-personals",
    terms="its policy permits reproduction with acknowledgement; open, no captcha is reported",
    cadence_days=30,
    stage=2,
    table="process",
    columns={"Process with ICD": "commenced_on", "Process Initiated": "state"},
    ignored=(),
    # At least one per debtor that is asked for; without any there is no crawl.
    expect=Expect(min_rows=1, unique=("cin", "commenced_on")),
    standing="seen",
    wants="""
        SELECT DISTINCT m.cin, m.company_id FROM debtor_match m
        WHERE m.cin <> '' AND m.decision IS DISTINCT FROM 'no'
            AND (m.certainty IN ('certain', 'probable') OR m.decision = 'yes')
        ORDER BY ALL
    """,
)

# What IBBI prints for a company without a process, and for any number that it does not know.
NOT_ASSIGNED = "ASSIGNMENT NOT APPROVED YET"

_PROCESS = re.compile(r"\s*Process with ICD\s*:(.*)", re.DOTALL)


def crawl(fetch: Fetch) -> None:
    """The page of each debtor that is matched to a company."""
    wanted = dict.fromkeys(str(row["cin"]) for row in fetch.wanted)
    for text in fetch.each(wanted, "debtors"):
        with fetch.tolerate(f"processes of {quoted(text)}"):
            cin = known_cin(text, date.today().year)
            if cin is None:  # nothing else is ever put into a path
                raise ParseError(f"{SOURCE.url}: expected a CIN to ask for, got {quoted(text)}")
            fetch.get(f"/claims/inner-process/{cin}", kind="html", about={"cin": cin})


def parse(snapshot: Snapshot) -> Parsed:
    """One row per process of the debtor: CIN, day of commencement (the admission) and state.

    A debtor without one has one row of state "not assigned", which says no more than that IBBI
    has no process page for this number. `state` is who holds the assignment as the page puts it
    ("LIQUIDATOR"); it is the state today, also in the row of a process that has ended.

    Raises:
        ParseError: not the page of this CIN, or neither a process nor the words for none.
    """
    cin = known_cin(snapshot.about.get("cin"), india_day(snapshot).year)
    soup = soup_of(snapshot, "div")
    if cin is None or not _is_of(soup, cin):
        raise ParseError(
            f"{snapshot.url}: expected the page of {quoted(snapshot.about.get('cin'))},"
            f" got {quoted(clean(soup.get_text())[:150])}"
        )
    found = [text for text in soup.find_all(string=_PROCESS) if not isinstance(text, Comment)]
    if not found:
        if NOT_ASSIGNED not in clean(soup.get_text()):
            raise ParseError(
                f"{snapshot.url}: expected 'Process with ICD' or {NOT_ASSIGNED!r},"
                f" got {quoted(clean(soup.get_text())[-150:])}"
            )
        return Parsed([{"cin": cin, "commenced_on": None, "state": "not assigned"}])
    return _processes(cin, found, india_day(snapshot))


def _is_of(soup: BeautifulSoup, cin: str) -> bool:
    links = (str(link.get("href") or "") for link in soup.find_all("a"))
    return any(link.endswith(f"/claims/inner-process/{cin}") for link in links)


def _processes(cin: str, found: list[NavigableString], today: date) -> Parsed:
    rows: list[Row] = []
    bad: list[Bad] = []
    for number, text in enumerate(found, 1):
        printed = optional(_PROCESS.sub(r"\1", text))
        try:
            commenced = possible_day(printed, "%d-%m-%Y", today) if printed else None
        except ValueError:
            bad.append(Bad(number, BAD_DAY, clean(text)[:2000]))
            continue
        rows.append({"cin": cin, "commenced_on": commenced, "state": _state(text)})
    return Parsed(rows, bad)


def _state(process: NavigableString) -> str:
    """The cell beside "Process Initiated" that stands last before a process."""
    for label in process.find_all_previous("td"):
        if clean(label.get_text()) == "Process Initiated":
            cell = label.find_next_sibling("td")
            return (optional(cell.get_text()) if isinstance(cell, Tag) else None) or "not stated"
    return "not stated"
