"""BSE: all equity scrips, also the suspended and the delisted ones."""

from __future__ import annotations

import json
import re

from scraping.fetch import Fetch
from scraping.identifiers import isin_of
from scraping.parse import json_of, optional, quoted, required
from scraping.records import Numbered, Record, distinct_rows, json_records
from scraping.source import Bad, Expect, Parsed, ParseError, Row, Snapshot, Source

# The last one wins where a scrip stands in several lists: one that is traded again is active.
STATUSES = ("Delisted", "Suspended", "Active")

SOURCE = Source(
    name="bse_scrips",
    publisher="BSE Limited",
    host="BSE_API",
    url="https://www.bseindia.com/corporates/List_Scrips.html",
    terms="public interface of the site; no licence for reuse is known; reported: addresses of data"
    " centres are refused",
    cadence_days=7,
    stage=1,
    table="security",
    columns={
        "SCRIP_CD": "code",
        "scrip_id": "symbol",
        "ISIN_NUMBER": "isin",
        "Scrip_Name": "security_name",
        "Issuer_Name": "issuer_name",
        "Status": "status",
        "GROUP": "series",
        "INDUSTRY": "industry",
    },
    ignored=("FACE_VALUE", "Segment", "NSURL", "Mktcap"),
    # Reported: some 5,000.
    expect=Expect(min_rows=4_000, unique=("exchange", "code")),
    standing="reported",
)


def crawl(fetch: Fetch) -> None:
    """One list per status."""
    for status in fetch.each(STATUSES, "lists"):
        fetch.get(
            "/BseIndiaAPI/api/ListofScripData/w",
            {
                "Group": "",
                "Scripcode": "",
                "industry": "",
                "segment": "Equity",
                "status": status,
            },
            kind="json",
            about={"status": status},
        )


def parse(snapshot: Snapshot) -> Parsed:
    """One row per scrip. One whose ISIN is wrong is kept without it, and said to be bad.

    Raises:
        ParseError: it is no list of scrips, or an empty one.
    """
    records = json_records(snapshot, json_of(snapshot), SOURCE)
    if not records:
        raise ParseError(f"{snapshot.url}: expected scrips, got none")
    status = snapshot.about.get("status")
    parsed = distinct_rows(records, lambda record: _scrip(record, status), SOURCE.expect.unique)
    known = {row["code"] for row in parsed.rows}
    wrong = [b for r in records if r[1]["SCRIP_CD"] in known and (b := _wrong_isin(r)) is not None]
    return Parsed(parsed.rows, parsed.bad + wrong)


def _scrip(record: Record, status: str | None) -> Row:
    code = required(record["SCRIP_CD"], "a scrip code")
    if not re.fullmatch("[0-9]{6}", code):
        raise ValueError(f"expected a scrip code of six digits, got {quoted(code)}")
    if record["Status"] != (status or record["Status"]) or record["Segment"] != "Equity":
        came = f"{quoted(record['Status'])}, {quoted(record['Segment'])}"
        raise ValueError(f"expected an equity scrip of status {status}, got {came}")
    return {
        "exchange": "BSE",
        "code": code,
        "symbol": optional(record["scrip_id"]),
        "isin": _isin(record),
        "security_name": required(record["Scrip_Name"], "a scrip's name"),
        "issuer_name": optional(record["Issuer_Name"]),
        "status": required(record["Status"], "a status"),
        "series": optional(record["GROUP"]),
        "industry": optional(record["INDUSTRY"]),
        "listed_on": None,
    }


def _isin(record: Record) -> str | None:
    try:
        return isin_of(record["ISIN_NUMBER"])
    except ValueError:
        return None


def _wrong_isin(numbered: Numbered) -> Bad | None:
    """What is wrong with a record's ISIN, if it has one."""
    at, record = numbered
    if optional(record["ISIN_NUMBER"]) is None:
        return None
    try:
        isin_of(record["ISIN_NUMBER"])
    except ValueError as error:
        content = json.dumps(dict(record), ensure_ascii=False)[:2000]
        return Bad(at, f"kept without its ISIN: {error}", content)
    return None
