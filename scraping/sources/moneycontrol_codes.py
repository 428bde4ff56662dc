"""moneycontrol: the code and address part under which it keeps a company's statements."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scraping.parse import clean, json_of, quoted, require_fields
from scraping.source import Bad, Expect, Parsed, ParseError, Row, Snapshot, Source

if TYPE_CHECKING:
    from scraping.fetch import Fetch

SOURCE = Source(
    name="moneycontrol_codes",
    publisher="moneycontrol",
    host="MONEYCONTROL",
    url="https://www.moneycontrol.com/stocksmarketsindia/",
    terms="no terms for reuse are published; for own research, not for redistribution",
    cadence_days=90,
    stage=2,
    table="moneycontrol_code",
    columns={"sc_id": "code", "link_src": "slug", "stock_name": "security_name",
             "pdt_dis_nm": "isin"},
    ignored=("link_track", "name", "sc_sector_id", "sc_sector", "forum_topics_url"),
    # None is no failure: the companies that are left are those that the site does not have.
    expect=Expect(min_rows=0, unique=("code",)),
    standing="reported",
    wants="""
        SELECT company_id, isin, nse_symbol FROM universe
        WHERE moneycontrol_code IS NULL AND coalesce(isin, nse_symbol) IS NOT NULL
        ORDER BY company_id
    """,
)  # fmt: skip

CODE = re.compile(r"[A-Za-z0-9&_-]{1,12}")
SLUG = re.compile(r"[A-Za-z0-9&_][A-Za-z0-9&_.'()-]{0,120}")
_ISIN = re.compile(r"IN[A-Z0-9]{9}[0-9]")
_BSE_CODE = re.compile(r"[0-9]{6}")
_OPTIONAL = ("stock_name",)
NO_MATCH = "no entry with the ISIN or symbol that was asked for"


def crawl(fetch: Fetch) -> None:
    """Ask for each company by its ISIN, and by its NSE symbol where that finds nothing."""
    for row in fetch.each(fetch.wanted, "companies"):
        with fetch.tolerate(f"code of {row['company_id']}"):
            about = {key: str(value) for key, value in row.items() if value is not None}
            for query in (about.get("isin"), about.get("nse_symbol")):
                if query and _found(fetch, query, about):
                    break


def _found(fetch: Fetch, query: str, about: Mapping[str, str]) -> bool:
    snapshot = fetch.get(
        "/mccode/common/autosuggestion_solr.php",
        {"classic": "true", "query": query, "type": "1", "format": "json"},
        kind="json",
        about=about,
    )
    return bool(parse(snapshot).rows)


def parse(snapshot: Snapshot) -> Parsed:
    """The one entry of the company that was asked for: code, slug, name, ISIN, symbol, BSE code.

    The search is fuzzy and answers with other companies first. An entry is taken only if it
    carries the ISIN that was asked for; where either side has none, if the NSE symbol is the same.

    Raises:
        ParseError: not a list of entries; the entry's fields or forms are not the known ones.
    """
    entries = json_of(snapshot)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ParseError(
            f"{snapshot.url}: expected a list of entries, got {quoted(snapshot.body[:120])}"
        )
    mine = [(at, entry) for at, entry in enumerate(entries, 1) if _is_of(entry, snapshot.about)]
    rows = {str(row["code"]): row for row in (_row(snapshot, entry) for _, entry in mine)}
    if len(rows) > 1:
        reason = f"several codes for one company: {', '.join(sorted(rows))}"
        return Parsed([], [Bad(at, reason, str(entry)[:2000]) for at, entry in mine])
    if not rows:
        return Parsed([], notices=(NO_MATCH,))
    return Parsed(list(rows.values()))


def _is_of(entry: Mapping[str, object], about: Mapping[str, str]) -> bool:
    isin, symbol, _ = _identifiers(entry)
    wanted = about.get("isin")
    if wanted and isin:
        return wanted == isin
    return symbol is not None and symbol == about.get("nse_symbol")


def _identifiers(entry: Mapping[str, object]) -> tuple[str | None, str | None, str | None]:
    """ISIN, NSE symbol and BSE code out of 'Name&nbsp;<span>ISIN, SYMBOL, CODE</span>'."""
    shown = re.search(r"<span>([^<]*)</span>", str(entry.get("pdt_dis_nm")), re.IGNORECASE)
    parts = [clean(part) for part in shown[1].split(",")] if shown else []
    isins = [part for part in parts if _ISIN.fullmatch(part)]
    codes = [part for part in parts if _BSE_CODE.fullmatch(part)]
    symbols = [part for part in parts if part not in {*isins, *codes, "", "-", "NA"}]
    one = [found[0] if len(set(found)) == 1 else None for found in (isins, symbols, codes)]
    return one[0], one[1], one[2]


def _row(snapshot: Snapshot, entry: Mapping[str, object]) -> Row:
    require_fields(snapshot.url, SOURCE, entry, _OPTIONAL)
    isin, symbol, bse_code = _identifiers(entry)
    code, link = str(entry["sc_id"]), str(entry["link_src"])
    parts = urlsplit(link).path.strip("/").split("/")
    slug = parts[-2] if len(parts) >= 2 else ""
    if not CODE.fullmatch(code) or not SLUG.fullmatch(slug) or parts[-1].upper() != code.upper():
        raise ParseError(
            f"{snapshot.url}: expected a link that ends in the name and the code {quoted(code)},"
            f" got {quoted(link)}"
        )
    shown = clean(str(entry["pdt_dis_nm"]).split("<", 1)[0])
    return {
        "code": code,
        "slug": slug,
        "security_name": clean(str(entry.get("stock_name") or "")) or shown,
        "isin": isin,
        "symbol": symbol,
        "bse_code": bse_code,
    }
