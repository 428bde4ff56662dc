"""NSE: all listed equities, and changes of symbols and of companies' names."""

from __future__ import annotations

from dataclasses import replace

from scraping.fetch import Fetch
from scraping.identifiers import isin_of
from scraping.parse import csv_records, day, quoted, required
from scraping.records import Record, distinct_rows, table_records, under
from scraping.source import Expect, Parsed, ParseError, Row, Snapshot, Source

HEADER = (
    "SYMBOL",
    "NAME OF COMPANY",
    "SERIES",
    "DATE OF LISTING",
    "PAID UP VALUE",
    "MARKET LOT",
    "ISIN NUMBER",
    "FACE VALUE",
)
NAME_CHANGE = ("NCH_SYMBOL", "NCH_PREV_NAME", "NCH_NEW_NAME", "NCH_DT")
SYMBOL_CHANGE = ("company", "old symbol", "new symbol", "date")  # ours: the file has no header
_CHANGE_KEY = ("kind", "symbol", "old", "new", "changed_on")

SOURCE = Source(
    name="nse_listings",
    publisher="National Stock Exchange of India",
    host="NSE_ARCHIVES",
    url="https://nsearchives.nseindia.com/content/equities/EQUITY_L.csv",
    terms="public files; no licence for reuse is known; NSE refuses hasty clients",
    cadence_days=7,
    stage=1,
    table="security",
    columns={
        "SYMBOL": "code",
        "NAME OF COMPANY": "security_name",
        "SERIES": "series",
        "DATE OF LISTING": "listed_on",
        "ISIN NUMBER": "isin",
    },
    ignored=("PAID UP VALUE", "MARKET LOT", "FACE VALUE"),
    # The real list has some 2,200 rows.
    expect=Expect(min_rows=1_500, unique=("exchange", "code")),
    standing="seen",
)


def crawl(fetch: Fetch) -> None:
    """The list, and the two files of changes, which are known by hearsay and may fail."""
    fetch.get("/content/equities/EQUITY_L.csv", kind="csv", about={"file": "EQUITY_L"})
    for name in ("symbolchange", "namechange"):
        with fetch.tolerate(f"{name}.csv"):
            fetch.get(f"/content/equities/{name}.csv", kind="csv", about={"file": name})


def parse(snapshot: Snapshot) -> Parsed:
    """One row per security, or one per change, for table identity_change.

    Raises:
        ParseError: the file is not what it is known to be.
    """
    file = snapshot.about.get("file")
    if file == "symbolchange":
        return _symbol_changes(_decodable(snapshot))
    if file == "namechange":
        return _name_changes(_decodable(snapshot))
    records, bad = table_records(snapshot, HEADER)
    parsed = distinct_rows(records, _security, SOURCE.expect.unique)
    return Parsed(parsed.rows, bad + parsed.bad)


def _security(record: Record) -> Row:
    symbol = required(record["SYMBOL"], "a symbol")
    return {
        "exchange": "NSE",
        "code": symbol,
        "symbol": symbol,
        "isin": isin_of(record["ISIN NUMBER"]),
        "security_name": required(record["NAME OF COMPANY"], "a company's name"),
        "issuer_name": None,
        "status": "Active",
        "series": required(record["SERIES"], "a series"),
        "industry": None,
        "listed_on": day(record["DATE OF LISTING"], "%d-%b-%Y"),
    }


def _decodable(snapshot: Snapshot) -> Snapshot:
    """The file as UTF-8; reported: names of long ago are in Windows' western encoding."""
    try:
        snapshot.body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = snapshot.body.decode("cp1252", "replace")
        return replace(snapshot, body=text.encode("utf-8"))
    return snapshot


def _symbol_changes(snapshot: Snapshot) -> Parsed:
    """Changes of symbols; the file is reported to have no header, so its first row is asserted."""
    first, others = csv_records(snapshot)
    records, bad = under(SYMBOL_CHANGE, [first, *others])
    try:
        if bad and bad[0].row_number == 1:
            raise ValueError(bad[0].reason)
        day(first[3], "%d-%b-%Y")
    except ValueError as error:
        raise ParseError(
            f"{snapshot.url}: the format has changed: expected rows of {', '.join(SYMBOL_CHANGE)}"
            f" without a header, got {quoted(first)}: {error}"
        ) from None
    parsed = distinct_rows(records, _symbol_change, _CHANGE_KEY)
    return Parsed(parsed.rows, bad + parsed.bad)


def _symbol_change(record: Record) -> Row | None:
    required(record["company"], "a company's name")
    new = record["new symbol"]
    return _change("symbol", new, record["old symbol"], new, record["date"])


def _name_changes(snapshot: Snapshot) -> Parsed:
    records, bad = table_records(snapshot, NAME_CHANGE)
    parsed = distinct_rows(records, _name_change, _CHANGE_KEY)
    return Parsed(parsed.rows, bad + parsed.bad)


def _name_change(record: Record) -> Row | None:
    symbol, old, new, changed_on = (record[name] for name in NAME_CHANGE)
    return _change("name", symbol, old, new, changed_on)


def _change(
    kind: str, symbol: str | None, old: str | None, new: str | None, changed_on: str | None
) -> Row | None:
    """A change; None where old and new are the same, as reported of some debt securities."""
    row: Row = {
        "_table": "identity_change",
        "kind": kind,
        "symbol": required(symbol, "a symbol"),
        "old": required(old, f"an old {kind}"),
        "new": required(new, f"a new {kind}"),
        "changed_on": day(changed_on, "%d-%b-%Y"),
    }
    return None if row["old"] == row["new"] else row
