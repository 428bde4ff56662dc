"""NSE: statements in the XBRL files of the filed results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from scraping.fetch import Fetch
from scraping.identifiers import issuer_of
from scraping.parse import quoted
from scraping.source import Expect, Parsed, ParseError, Row, Snapshot, Source
from warehouse.errors import InputError
from warehouse.xbrl import Filing, parse_xbrl

STATED = ("consolidated", "standalone")

SOURCE = Source(
    name="nse_xbrl",
    publisher="National Stock Exchange of India",
    host="NSE_ARCHIVES",
    url="https://www.nseindia.com/companies-listing/corporate-filings-financial-results",
    terms="public files of companies; reported: a file fetched twice may be refused, so each is"
    " fetched once for ever",
    cadence_days=7,
    stage=3,
    table="statement_line",
    # Elements of XBRL: which is which item, warehouse/xbrl_lines.py says.
    columns={},
    ignored=(),
    expect=Expect(min_rows=1, unique=("fiscal_year_end", "basis", "item", "months", "filed_at")),
    standing="seen",
    # Files that may hold a whole year; one file may stand in several filings (of a quarter and of
    # the year), the first of which made it known.
    wants="""
        SELECT u.company_id, u.nse_symbol, coalesce(f.isin, u.isin) AS isin, f.basis, f.revision,
            f.period_end, f.broadcast_at, f.xbrl_path
        FROM filing f JOIN universe u
            ON f.symbol = u.nse_symbol OR left(f.isin, 7) = left(u.isin, 7)
        WHERE f.xbrl_path IS NOT NULL
            AND (f.audited OR f.period_end = f.fiscal_year_end OR month(f.period_end) = 3)
        QUALIFY row_number() OVER (
            PARTITION BY f.xbrl_path
            ORDER BY f.symbol = u.nse_symbol DESC, f.broadcast_at, f.filing_id, u.company_id) = 1
        ORDER BY f.period_end DESC, f.broadcast_at DESC, f.xbrl_path""",
)


def crawl(fetch: Fetch) -> None:
    """Each file once for ever, the newest first."""
    for filing in fetch.each(fetch.wanted, "files"):
        path = str(filing["xbrl_path"])
        with fetch.tolerate(path):
            fetch.get(path, kind="xml", once=True, about=_about(filing))


def _about(filing: Mapping[str, object]) -> dict[str, str]:
    """What the list says of a file, as texts; empty for what it does not say."""
    told = filing["broadcast_at"]
    return {
        "company_id": str(filing["company_id"]),
        "symbol": str(filing["nse_symbol"] or ""),
        "isin": str(filing["isin"] or ""),
        "basis": str(filing["basis"]),
        "period_end": str(filing["period_end"]),
        "revision": str(filing["revision"]).lower(),
        "broadcast_at": told.isoformat() if isinstance(told, datetime) else "",
    }


def parse(snapshot: Snapshot) -> Parsed:
    """One row per figure, in INR crore.

    Raises:
        ParseError: it is no filing that can be read, or that of another company or basis than the
            list says.
    """
    about = snapshot.about
    try:
        filing = parse_xbrl(snapshot.body, snapshot.url)
    except InputError as error:
        raise ParseError(str(error)) from None
    _require_listed(filing, snapshot)
    rows: list[Row] = [
        {
            "isin": about.get("isin") or filing.isin,
            "nse_symbol": about.get("symbol") or filing.symbol,
            "bse_code": None,
            "fiscal_year_end": cell.fiscal_year_end,
            "basis": cell.basis if cell.basis in STATED else about.get("basis", cell.basis),
            "item": cell.item,
            "value": cell.value,
            "unit": "INR",
            "months": cell.months,
            "source": "nse xbrl",
            "note": cell.note,
            "filed_at": _filed_at(filing, about),
        }
        for cell in sorted(filing.cells, key=lambda c: (c.fiscal_year_end, c.months, c.item))
    ]
    none = () if rows else ("an XBRL file without any figure that is known",)
    return Parsed(rows, [], (*filing.notices, *none))


def _require_listed(filing: Filing, snapshot: Snapshot) -> None:
    """Refuse a document that is not what the list said.

    A change of the ISIN's end, by a split of shares for example, is no other company.
    """
    basis, isin = snapshot.about.get("basis"), snapshot.about.get("isin")
    if basis in STATED and filing.basis in STATED and basis != filing.basis:
        raise ParseError(f"{snapshot.url}: expected a {basis} result, got a {filing.basis} one")
    if isin and filing.isin and issuer_of(isin) != issuer_of(filing.isin):
        raise ParseError(
            f"{snapshot.url}: expected a result of {isin}, got one of {quoted(filing.isin)}"
        )


def _filed_at(filing: Filing, about: Mapping[str, str]) -> date | None:
    """Day on which the figures became known: of the broadcast, else of the board's approval."""
    told = about.get("broadcast_at")
    return datetime.fromisoformat(told).date() if told else filing.approved_on
