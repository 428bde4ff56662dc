"""The replicas of NSE, its archives, and BSE: lists of securities, filings, results."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from replica_base import Ask, Reply, Sites, as_csv, as_json, paged, refused
from replica_filings import Filing, filed_by, filings, of_file, same_market
from replica_statements import bse_rows
from replica_world import Company, World, isin_of
from replica_xbrl import xbrl


def results(sites: Sites, ask: Ask) -> Reply:
    """A bare array; a symbol together with dates gives nothing."""
    symbol, annual = ask.query.get("symbol", ""), ask.query.get("period") == "Annual"
    dated = "from_date" in ask.query
    if bool(symbol) == dated:
        return as_json([])
    found = [f for f in _found(sites, ask, symbol) if not f.integrated]
    if annual:
        found = [f for f in found if f.quarter == 4 and _annually(f)]
    return as_json([f.listed(sites.base("nse-archives"), annual) for f in found])


def _annually(filing: Filing) -> bool:
    """Whether the result is in the list of annual ones, which is short."""
    return filing.year.end.month == 12 or filing.company.number % 13 == 6


def _found(sites: Sites, ask: Ask, symbol: str) -> list[Filing]:
    """Filings of a symbol or of a window of days, newest first."""
    world = sites.world
    company = world.of_symbol(symbol)
    known = filings(world, company) if company else [] if symbol else same_market(world)
    first, last = (_day(ask.query.get(name, "")) for name in ("from_date", "to_date"))
    return [f for f in known if filed_by(f, first, last)]


def _day(text: str) -> date | None:
    return datetime.strptime(text, "%d-%m-%Y").date() if text else None


def integrated(sites: Sites, ask: Ask) -> Reply:
    found = [f for f in _found(sites, ask, ask.query.get("symbol", "")) if f.integrated]
    if ask.query.get("type", "Integrated Filing- Financials") != "Integrated Filing- Financials":
        found = []
    size = max(ask.number("size", 20), 1)
    shown, _, _, _ = paged(ask, found, size)
    base = sites.base("nse-archives")
    return as_json(
        {
            "data": [f.integrated_row(base) for f in shown],
            "size": size,
            "page": ask.number("page", -1),
            "totalCount": len(found) + (10 * size if ask.stuck else 0),
        }
    )


def index_list(sites: Sites, _: Ask) -> Reply:
    """The Nifty 500, with one of the placeholders that occur."""
    members = sorted((c for c in sites.world.listed if c.member), key=lambda c: c.name)
    rows = [(f"{c.ltd}.", c.sector, c.symbol, "EQ", c.isin) for c in members]
    placeholder = ("Demerged Works Ltd.", "Capital Goods", "DUMMYDEMRG", "EQ", isin_of("9ZZZ"))
    head = ("Company Name", "Industry", "Symbol", "Series", "ISIN Code")
    return as_csv([head, *rows, placeholder])


def equities(sites: Sites, _: Ask) -> Reply:
    head = (
        "SYMBOL", "NAME OF COMPANY", " SERIES", " DATE OF LISTING", " PAID UP VALUE",
        " MARKET LOT", " ISIN NUMBER", " FACE VALUE",
    )  # fmt: skip
    listed = [c for c in _all(sites.world) if c.symbol and c.status != "Delisted"]
    rows = [
        (
            c.symbol, c.name, "EQ" if c.status == "Active" else "BZ",
            c.listed_on.strftime("%d-%b-%Y").upper(), 10, 1, c.isin, 10,
        )
        for c in sorted(listed, key=lambda c: c.symbol)
    ]  # fmt: skip
    return as_csv([head, *rows])


def _all(world: World) -> list[Company]:
    return [*world.listed, *world.further]


def symbol_changes(sites: Sites, _: Ask) -> Reply:
    changes = sites.world.symbol_changes
    return as_csv([(c.symbol, c.old, c.new, f"{c.on:%d-%b-%Y}".upper()) for c in changes])


def name_changes(sites: Sites, _: Ask) -> Reply:
    head = ("NCH_SYMBOL", "NCH_PREV_NAME", "NCH_NEW_NAME", "NCH_DT")
    changes = sites.world.name_changes
    return as_csv([head, *((c.symbol, c.old, c.new, f"{c.on:%d-%b-%Y}".upper()) for c in changes)])


def xbrl_file(sites: Sites, _: Ask, name: str) -> Reply:
    filing = of_file(sites.world, name)
    if filing is None:
        return refused(404, "Not Found")
    return Reply(xbrl(filing.company, filing.period).encode(), "application/xml")


def from_bse(headers: Mapping[str, str]) -> bool:
    return all("bseindia.com" in headers.get(name, "") for name in ("Referer", "Origin"))


def scrips(sites: Sites, ask: Ask) -> Reply:
    status = ask.query.get("status", "")
    rows = [c for c in _all(sites.world) if status in ("", c.status)]
    base = sites.base("bse")
    return as_json([_scrip(base, c) for c in rows])


def _scrip(base: str, company: Company) -> dict[str, str | None]:
    scrip_id = company.symbol or company.slug[:10].upper()
    return {
        "SCRIP_CD": company.bse_code,
        "Scrip_Name": company.ltd,
        "Status": company.status,
        "GROUP": "A" if company.member else "Z" if company.status != "Active" else "B",
        "FACE_VALUE": "10.00",
        "ISIN_NUMBER": company.isin,
        "INDUSTRY": None,
        "scrip_id": scrip_id,
        "Segment": "Equity",
        "NSURL": f"{base}/stock-share-price/x/{scrip_id.lower()}/{company.bse_code}/",
        "Issuer_Name": company.name if company.number % 3 else f"{company.ltd}.",
        "Mktcap": f"{100 + 7.31 * company.number:.2f}",
    }


def detailed_result(sites: Sites, ask: Ask) -> Reply:
    """An annual result (`qtr` ends in .50), standalone; quarters are left out of the replica."""
    query = {name.lower(): text for name, text in ask.query.items()}
    code, period = query.get("scrip_cd", ""), query.get("qtr", "")
    company = next((c for c in sites.world.listed if c.bse_code == code), None)
    known = sites.world.years(company, "standalone") if company else ()
    told = (year for year in known if "sales" in year.items)
    year = next((y for y in told if f"{quarter_id(y.end)}.50" == period), None)
    blank = company or sites.world.listed[0]
    return as_json({"table1": bse_rows(blank, year)})


def quarter_id(end: date) -> int:
    """BSE's number of the quarter that ends on this day."""
    return 85 + 4 * (end.year - 2015) + {3: 0, 6: 1, 9: 2, 12: 3}[end.month]
