"""moneycontrol: up to twenty years of balance sheet, profit and loss, cash flow and ratios."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING
from urllib.parse import quote

from scraping.parse import quoted
from scraping.source import Expect, Parsed, ParseError, Row, Snapshot, Source
from scraping.sources.moneycontrol_codes import CODE, SLUG
from warehouse.errors import InputError
from warehouse.moneycontrol import PAGE_SOURCE, page_number, parse_page
from warehouse.moneycontrol_lines import LAYOUTS
from warehouse.moneycontrol_table import Page

if TYPE_CHECKING:
    from scraping.fetch import Fetch

MAX_PAGES = 10
MAX_NOTICES = 20
# Statement -> its part of an address; a consolidated one has "consolidated-" before it.
ADDRESSES: Mapping[str, str] = {
    "balance_sheet": "balance-sheetVI",
    "profit_loss": "profit-lossVI",
    "cash_flow": "cash-flowVI",
    "ratios": "ratiosVI",
}
BASES: Mapping[str, str] = {"consolidated": "consolidated-", "standalone": ""}

_MAPPED = {
    line.terms[0].label: line.item for layout in LAYOUTS.values() for line in reversed(layout.lines)
}
_IGNORED = [label for layout in LAYOUTS.values() for label in layout.ignored]

SOURCE = Source(
    name="moneycontrol_pages",
    publisher="moneycontrol",
    host="MONEYCONTROL",
    url="https://www.moneycontrol.com/stocksmarketsindia/",
    terms="no terms for reuse are published; for own research, not for redistribution",
    cadence_days=90,
    stage=3,
    table="statement_line",
    columns=_MAPPED,
    # A label may be mapped in one statement and not in another.
    ignored=tuple(dict.fromkeys(label for label in _IGNORED if label not in _MAPPED)),
    expect=Expect(min_rows=40, unique=("company_id", "fiscal_year_end", "basis", "item")),
    standing="reported",
    wants="""
        SELECT company_id, isin, nse_symbol, bse_code, moneycontrol_code, moneycontrol_slug
        FROM universe
        WHERE moneycontrol_code IS NOT NULL
        ORDER BY company_id
    """,
)


def crawl(fetch: Fetch) -> None:
    """All pages of all statements of each company, consolidated and standalone."""
    for wanted in fetch.each(fetch.wanted, "companies"):
        for basis in BASES:
            for statement in ADDRESSES:
                with fetch.tolerate(f"{basis} {statement} of {wanted['company_id']}"):
                    _crawl_statement(fetch, wanted, statement, basis)


def _crawl_statement(
    fetch: Fetch, wanted: Mapping[str, object], statement: str, basis: str
) -> None:
    """The pages of a statement, as far as the pager leads.

    Raises:
        ParseError: a page repeats years, or the pager leads nowhere or on for ever.
    """
    path = _path(wanted, statement, basis)
    about = {**identifiers(wanted), "statement": statement, "basis": basis}
    seen: set[date] = set()
    for number in range(1, MAX_PAGES + 1):
        address = path if number == 1 else f"{path}/{number}"
        snapshot = fetch.get(address, kind="html", about=about)
        page = _page(snapshot)
        if page.years and seen.issuperset(page.years):
            raise ParseError(
                f"{snapshot.url}: expected years before {min(seen)}, got the page repeated with"
                f" {', '.join(map(str, page.years))}"
            )
        seen.update(page.years)
        following = page_number(page.next_page) if page.next_page else None
        if following is None or following <= number:
            return
        if following != number + 1:
            raise ParseError(
                f"{snapshot.url}: expected a link to page {number + 1}, got"
                f" {quoted(page.next_page)}"
            )
    raise ParseError(f"{snapshot.url}: expected at most {MAX_PAGES} pages, got a link to more")


def _path(wanted: Mapping[str, object], statement: str, basis: str) -> str:
    slug, code = str(wanted["moneycontrol_slug"]), str(wanted["moneycontrol_code"])
    if not SLUG.fullmatch(slug) or not CODE.fullmatch(code):  # nothing else is put into a path
        raise ParseError(f"expected a name and a code to ask for, got {quoted((slug, code))}")
    part = BASES[basis] + ADDRESSES[statement]
    return f"/financials/{quote(slug, safe='&()')}/{part}/{quote(code, safe='&')}"


def identifiers(row: Mapping[str, object]) -> dict[str, str]:
    """By what the company that was asked for is known; what is missing is left out."""
    names = ("company_id", "isin", "nse_symbol", "bse_code")
    return {name: str(row[name]) for name in names if row.get(name) is not None}


def _page(snapshot: Snapshot) -> Page:
    about = snapshot.about
    try:
        return parse_page(
            snapshot.body,
            snapshot.url,
            statement=about.get("statement"),
            basis=about.get("basis"),
        )
    except InputError as error:
        raise ParseError(str(error)) from None


def parse(snapshot: Snapshot) -> Parsed:
    """One row per amount of a statement, in INR crore, or per published ratio.

    Raises:
        ParseError: not the statement and basis that were asked for, or a changed layout.
    """
    return parsed_pages([_page(snapshot)], snapshot.about, PAGE_SOURCE)


def parsed_pages(pages: Iterable[Page], about: Mapping[str, str], source: str) -> Parsed:
    """Rows of pages for the loader: of statement_line, and of published_ratio where marked."""
    ids: Row = {name: about.get(name) for name in ("isin", "nse_symbol", "bse_code")}
    rows: list[Row] = []
    notices: dict[str, None] = {}
    for page in pages:
        rows += [
            {**ids, **cell._asdict(), "unit": "INR crore", "source": source, "filed_at": None}
            for cell in page.cells
        ]
        rows += [{"_table": "published_ratio", **ids, **r._asdict()} for r in page.ratios]
        unknown = [f"line not known: {quoted(label[:100])}" for label in page.unknown_labels]
        notices.update(dict.fromkeys(f"{page.statement}: {n}" for n in (*page.notices, *unknown)))
    return Parsed(rows, notices=tuple(notices)[:MAX_NOTICES])
