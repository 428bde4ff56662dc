"""NSE: list of the integrated filings of results, from 2025 on, with their revisions."""

from __future__ import annotations

from collections.abc import Mapping

from scraping.fetch import Fetch
from scraping.parse import day, json_of, moment, optional, quoted, required
from scraping.records import Record, distinct_rows, json_records
from scraping.source import Expect, Parsed, ParseError, Row, Snapshot, Source
from scraping.sources.nse_results import (
    AUDITED,
    DAY,
    chosen,
    form_of_file,
    number_of,
    require_asked,
    require_order,
    unknown_forms,
    xbrl_path,
)

TYPE = "Integrated Filing- Financials"
OTHER_TYPE = "Integrated Filing- Governance"
BASES = {"Consolidated": "consolidated", "Standalone": "standalone"}
REVISIONS = {"Original": False, "Revision": True}
SIZE = 100
_MAX_PAGES = 100
_FEW = 10

SOURCE = Source(
    name="nse_integrated",
    publisher="National Stock Exchange of India",
    host="NSE",
    url="https://www.nseindia.com/companies-listing/corporate-integrated-filing",
    terms="public interface of the site; no licence for reuse is known; NSE refuses hasty clients",
    cadence_days=7,
    stage=2,
    table="filing",
    columns={
        "seq_Id": "filing_id",
        "symbol": "symbol",
        "cmName": "company_name",
        "consolidated": "basis",
        "qe_Date": "period_end",
        "audited": "audited",
        "type_Sub": "revision",
        "broadcast_Date": "broadcast_at",
        "revised_Date": "broadcast_at",
        "creation_Date": "broadcast_at",
        "xbrl": "xbrl_path",
    },
    ignored=(
        "attFileSize",
        "diff",
        "ixbrl",
        "ixbrlFileSize",
        "pdf_attach",
        "revision_Remark",
        "smName",
        "type",
        "xbrlFileSize",
    ),
    # How many there are depends on the companies asked for; `crawl` judges empty answers.
    expect=Expect(min_rows=1, unique=("filing_id",)),
    standing="reported",
    wants="SELECT company_id, nse_symbol FROM universe WHERE nse_symbol IS NOT NULL"
    " ORDER BY company_id",
)


def crawl(fetch: Fetch) -> None:
    """All pages of each company's list.

    Raises:
        ParseError: not one of the companies has a filing. Those that were delisted before 2025
            have none, so many may.
    """
    asked = filings = 0
    for company in fetch.each(fetch.wanted, "companies"):
        symbol = str(company["nse_symbol"])
        with fetch.tolerate(symbol):
            filings += _filings(fetch, symbol)
            asked += 1
    if asked >= _FEW and not filings:
        raise ParseError(f"{SOURCE.name}: expected filings, got none of any of {asked} companies")


def _filings(fetch: Fetch, symbol: str) -> int:
    """Fetch pages until there are as many rows as the list says it has.

    Raises:
        ParseError: a page repeats rows of an earlier one, or the pages end before.
    """
    seen: set[str | None] = set()
    for page in range(1, _MAX_PAGES + 1):
        snapshot = fetch.get(
            "/api/integrated-filing-results",
            {
                "index": "equities",
                "symbol": symbol,
                "type": TYPE,
                "size": str(SIZE),
                "page": str(page),
            },
            kind="json",
            about={"symbol": symbol},
        )
        total, records = _page(snapshot)
        ids = {record["seq_Id"] for _, record in records}
        if seen & ids:
            raise ParseError(
                f"{snapshot.url}: expected new rows, got {quoted(min(seen & ids, key=str))} again"
            )
        seen |= ids
        if len(seen) >= total:
            return len(seen)
        if not ids:
            break
    raise ParseError(f"{snapshot.url}: expected {total} rows in all, got {len(seen)}")


def _page(snapshot: Snapshot) -> tuple[int, list[tuple[int, Record]]]:
    """Number of rows on all pages, and those of this one."""
    answer = json_of(snapshot)
    known = {"data", "size", "page", "totalCount"}
    if not isinstance(answer, dict) or set(answer) != known:
        raise ParseError(
            f"{snapshot.url}: expected an object with {', '.join(sorted(known))}, got"
            f" {quoted(sorted(answer) if isinstance(answer, dict) else answer)}"
        )
    total = answer["totalCount"]
    if isinstance(total, bool) or not isinstance(total, int) or total < 0:
        raise ParseError(f"{snapshot.url}: totalCount: expected a number, got {quoted(total)}")
    return total, json_records(snapshot, answer["data"], SOURCE)


def parse(snapshot: Snapshot) -> Parsed:
    """One row per filed result; filings on governance are left out.

    Raises:
        ParseError: it is no page of the list.
    """
    _, records = _page(snapshot)
    parsed = distinct_rows(records, lambda record: _filing(record, snapshot), SOURCE.expect.unique)
    return Parsed(parsed.rows, parsed.bad, unknown_forms(parsed.rows))


def _filing(record: Record, snapshot: Snapshot) -> Row | None:
    if record["type"] == OTHER_TYPE:
        return None
    if record["type"] != TYPE:
        raise ValueError(f"type: expected {TYPE!r}, got {quoted(record['type'])}")
    require_asked(record, None, snapshot)
    end = day(record["qe_Date"], DAY)
    require_order(None, end, snapshot.fetched_at.date())
    revision = chosen(REVISIONS, record["type_Sub"], "type_Sub")
    path = xbrl_path(record["xbrl"], snapshot.url)
    return {
        "filing_id": f"nse-integrated-{number_of(record['seq_Id'])}",
        "symbol": required(record["symbol"], "a symbol"),
        "isin": None,
        "company_name": required(record["cmName"], "a company's name"),
        "basis": chosen(BASES, record["consolidated"], "consolidated"),
        "period_start": None,
        "period_end": end,
        "fiscal_year_start": None,
        "fiscal_year_end": None,
        "audited": chosen(AUDITED, record["audited"], "audited"),
        "form": form_of_file(path),
        "revision": revision,
        "broadcast_at": moment(_told(record, bool(revision)), f"{DAY} %H:%M:%S"),
        "xbrl_path": path,
    }


def _told(record: Mapping[str, str | None], revision: bool) -> str | None:
    """When the filing became known: a revision when it was revised, not when the first one was."""
    revised = record["revised_Date"] if revision else None
    for moment_of in (revised, record["broadcast_Date"], record["creation_Date"]):
        if optional(moment_of) is not None:
            return moment_of
    return None
