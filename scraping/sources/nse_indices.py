"""NSE Indices: members of the Nifty 500, as listed on the day."""

from __future__ import annotations

from datetime import date

from scraping.fetch import Fetch
from scraping.identifiers import isin_of
from scraping.parse import optional, required
from scraping.records import Record, distinct_rows, table_records
from scraping.source import Expect, Parsed, Row, Snapshot, Source

HEADER = ("Company Name", "Industry", "Symbol", "Series", "ISIN Code")

SOURCE = Source(
    name="nse_indices",
    publisher="NSE Indices Limited",
    host="NSE_ARCHIVES",
    url="https://nsearchives.nseindia.com/content/indices/ind_nifty500list.csv",
    terms="public file; no licence for reuse is known; NSE refuses hasty clients",
    cadence_days=7,
    stage=1,
    table="constituent",
    columns={
        "Company Name": "security_name",
        "Industry": "industry",
        "Symbol": "symbol",
        "ISIN Code": "isin",
    },
    ignored=("Series",),
    # The real list has 499 to 502 rows, some of them placeholders.
    expect=Expect(min_rows=480, unique=("index_name", "list_date", "isin")),
    standing="seen",
)


def crawl(fetch: Fetch) -> None:
    """The one file."""
    fetch.get("/content/indices/ind_nifty500list.csv", kind="csv", about={"index": "nifty500"})


def parse(snapshot: Snapshot) -> Parsed:
    """One row per member; the list carries no date, so it has that of its fetching.

    Raises:
        ParseError: the header is another.
    """
    records, bad = table_records(snapshot, HEADER)
    day = snapshot.fetched_at.date()
    parsed = distinct_rows(records, lambda record: _member(record, day), SOURCE.expect.unique)
    few = () if 490 <= len(records) <= 510 else (f"expected some 500 members, got {len(records)}",)
    return Parsed(parsed.rows, bad + parsed.bad, few)


def _member(record: Record, day: date) -> Row:
    symbol = required(record["Symbol"], "a symbol")
    if symbol.startswith("DUMMY"):
        raise ValueError(f"{symbol}: a placeholder of the index provider, not a company")
    return {
        "index_name": "nifty500",
        "list_date": day,
        "security_name": required(record["Company Name"], "a company's name"),
        "industry": optional(record["Industry"]),
        "symbol": symbol,
        "isin": isin_of(record["ISIN Code"]),
    }
