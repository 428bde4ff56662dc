"""NSE: list of the financial results that companies filed, 2005 to about early 2025."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date

from scraping.fetch import Fetch
from scraping.hosts import host_named
from scraping.identifiers import isin_of, issuer_of
from scraping.parse import day, json_of, moment, optional, optional_day, quoted, required
from scraping.records import Record, distinct_rows, json_records
from scraping.source import Expect, Parsed, ParseError, Row, Snapshot, Source

DAY = "%d-%b-%Y"
PERIODS = ("Annual", "Quarterly")
BASES = {"Consolidated": "consolidated", "Non-Consolidated": "standalone"}
AUDITED = {"Audited": True, "Un-Audited": False}
# The form of a result by (reInd, bank), named as in warehouse/xbrl_lines.py.
FORMS = {
    ("N", "N"): "Ind-AS",
    ("F", "F"): "NBFC",
    ("A", "B"): "bank",
    ("A", "N"): "old GAAP",
}
# The same by how the name of its XBRL file begins.
FORMS_OF_FILES = {
    "INDAS": "Ind-AS",
    "NBFC_INDAS": "NBFC",
    "BANKING": "bank",
    "NONINDAS": "old GAAP",
    "LI": "life insurance",
    "GI": "general insurance",
}
NO_ISIN = "IN0000000000"
_FEW = 10

SOURCE = Source(
    name="nse_results",
    publisher="National Stock Exchange of India",
    host="NSE",
    url="https://www.nseindia.com/companies-listing/corporate-filings-financial-results",
    terms="public interface of the site; no licence for reuse is known; NSE refuses hasty clients",
    cadence_days=90,
    stage=2,
    table="filing",
    columns={
        "seqNumber": "filing_id",
        "symbol": "symbol",
        "isin": "isin",
        "companyName": "company_name",
        "consolidated": "basis",
        "fromDate": "period_start",
        "toDate": "period_end",
        "financialYear": "fiscal_year_end",
        "audited": "audited",
        "reInd": "form",
        "bank": "form",
        "broadCastDate": "broadcast_at",
        "filingDate": "broadcast_at",
        "xbrl": "xbrl_path",
    },
    ignored=(
        "industry",
        "cumulative",
        "indAs",
        "period",
        "relatingTo",
        "oldNewFlag",
        "format",
        "params",
        "resultDescription",
        "resultDetailedDataLink",
        "exchdisstime",
        "difference",
    ),
    # How many there are depends on the companies asked for; `crawl` judges empty answers.
    # Lists of years and of quarters number their results apart, as far as is seen: should they not,
    # a year and its last quarter are two results still.
    expect=Expect(min_rows=1, unique=("filing_id", "period_start")),
    standing="seen",
    wants="SELECT company_id, nse_symbol, isin FROM universe WHERE nse_symbol IS NOT NULL"
    " ORDER BY company_id",
)


_FILE = r"/corporate/xbrl/[A-Za-z0-9_-]+\.xml"


def crawl(fetch: Fetch) -> None:
    """Two lists per company.

    Raises:
        ParseError: more than half of the companies have no result at all: the site is known to
            answer with an empty list where it refuses.
    """
    asked = empty = 0
    for company in fetch.each(fetch.wanted, "companies"):
        with fetch.tolerate(str(company["nse_symbol"])):
            results = [_results(fetch, company, period) for period in PERIODS]
            asked += 1
            empty += not any(results)
    if asked >= _FEW and empty > asked / 2:
        raise ParseError(
            f"{SOURCE.name}: {empty} of {asked} companies have no result: expected that of at most"
            " half of them; the site answers with nothing"
        )


def _results(fetch: Fetch, company: Mapping[str, object], period: str) -> int:
    """How many results the list of one company and period has."""
    symbol = str(company["nse_symbol"])
    snapshot = fetch.get(
        "/api/corporates-financial-results",
        {"index": "equities", "symbol": symbol, "period": period},
        kind="json",
        about={"symbol": symbol, "isin": str(company["isin"] or ""), "period": period},
    )
    return len(json_records(snapshot, json_of(snapshot), SOURCE))


def parse(snapshot: Snapshot) -> Parsed:
    """One row per filed result; an empty list is legal.

    Raises:
        ParseError: it is no list of results.
    """
    records = json_records(snapshot, json_of(snapshot), SOURCE)
    parsed = distinct_rows(records, lambda record: _filing(record, snapshot), SOURCE.expect.unique)
    return Parsed(parsed.rows, parsed.bad, unknown_forms(parsed.rows))


def unknown_forms(rows: Iterable[Row]) -> tuple[str, ...]:
    """A notice, if results have an XBRL file but no form that is known."""
    unknown = [row["filing_id"] for row in rows if row["xbrl_path"] and not row["form"]]
    return (f"results of a form that is not known, such as {unknown[0]}",) if unknown else ()


def _filing(record: Record, snapshot: Snapshot) -> Row:
    isin = None if record["isin"] == NO_ISIN else optional(record["isin"])
    require_asked(record, isin, snapshot)
    start = optional_day(record["fromDate"], DAY)
    end = day(record["toDate"], DAY)
    year_start, year_end = _fiscal_year(record["financialYear"])
    require_order(start, end, snapshot.fetched_at.date())
    told = optional(record["broadCastDate"])
    path = xbrl_path(record["xbrl"], snapshot.url)
    return {
        "filing_id": f"nse-{number_of(record['seqNumber'])}",
        "symbol": required(record["symbol"], "a symbol"),
        "isin": None if isin is None else isin_of(isin),
        "company_name": required(record["companyName"], "a company's name"),
        "basis": chosen(BASES, record["consolidated"], "consolidated"),
        "period_start": start,
        "period_end": end,
        "fiscal_year_start": year_start,
        "fiscal_year_end": year_end,
        "audited": chosen(AUDITED, record["audited"], "audited"),
        "form": FORMS.get((record["reInd"] or "", record["bank"] or "")) or form_of_file(path),
        "revision": False,
        "broadcast_at": moment(told or record["filingDate"], f"{DAY} %H:%M:%S", f"{DAY} %H:%M"),
        "xbrl_path": path,
    }


def _fiscal_year(text: str | None) -> tuple[date | None, date | None]:
    """First and last day of `01-Apr-2024 To 31-Mar-2025`."""
    if optional(text) is None:
        return None, None
    first, to, last = (text or "").partition(" To ")
    start, end = day(first, DAY), day(last, DAY)
    if not to or not 0 < (end - start).days < 2 * 366:
        raise ValueError(f"expected a fiscal year, got {quoted(text)}")
    return start, end


def require_asked(record: Record, isin: str | None, snapshot: Snapshot) -> None:
    """Refuse a row of another company than was asked for.

    A company that changed its symbol is known by its ISIN.

    Raises:
        ValueError: it is of another.
    """
    symbol, asked = snapshot.about.get("symbol"), snapshot.about.get("isin")
    if symbol in (None, record["symbol"]):
        return
    if not (isin and asked and issuer_of(isin) == issuer_of(asked)):
        raise ValueError(f"expected rows of {symbol}, got one of {quoted(record['symbol'])}")


def require_order(start: date | None, end: date, today: date) -> None:
    """Refuse a period that ends before it starts, or that is not over.

    Raises:
        ValueError: it is one.
    """
    if (start is not None and start >= end) or end > today:
        raise ValueError(f"expected a period that is over, got {start} to {end}")


def number_of(text: str | None) -> str:
    """The site's number of a filing.

    Raises:
        ValueError: it is no number.
    """
    number = required(text, "the number of a filing")
    if not re.fullmatch("[0-9]{1,12}", number):
        raise ValueError(f"expected the number of a filing, got {quoted(text)}")
    return number


def chosen(choices: Mapping[str, bool | str], text: str | None, what: str) -> bool | str:
    """What a word of the site means.

    Raises:
        ValueError: it is none of the known words.
    """
    if text is None or text not in choices:
        raise ValueError(f"{what}: expected {' or '.join(choices)}, got {quoted(text)}")
    return choices[text]


def xbrl_path(link: str | None, told_by: str) -> str | None:
    """Path of an XBRL file below the archive's address; None where there is no file.

    The site writes `-` or `…/xbrl/-` for none. A list that came from elsewhere than the site, from
    a replica, names files of the replica: those addresses are kept whole, and whether their host is
    known is for `Fetch` to tell.

    Args:
        link: what the list says.
        told_by: address that the list came from.

    Raises:
        ValueError: the link leads elsewhere.
    """
    cleaned = optional(link)
    if cleaned is None or cleaned.rsplit("/", 1)[-1] in ("-", "null"):
        return None
    archive, site = host_named("NSE_ARCHIVES"), host_named("NSE")
    path = cleaned.removeprefix(archive.base_url)
    if path != cleaned and re.fullmatch(_FILE, path):
        return path
    if not told_by.startswith(site.base_url + "/") and re.fullmatch(
        rf"https?://[\w.:-]+(/[\w-]+)*{_FILE}", cleaned
    ):
        return cleaned
    raise ValueError(f"expected an XBRL file of {archive.base_url}, got {quoted(link)}")


def form_of_file(path: str | None) -> str | None:
    """Form of the result in an XBRL file, as its name tells; None if it is not known.

    Files are named `<form>_<numbers>`, of integrated filings `INTEGRATED_FILING_<form>_<numbers>`.
    """
    name = (path or "").rsplit("/", 1)[-1].removeprefix("INTEGRATED_FILING_")
    found = re.match(r"([A-Z_]+)_[0-9]", name)
    return FORMS_OF_FILES.get(found[1]) if found else None
