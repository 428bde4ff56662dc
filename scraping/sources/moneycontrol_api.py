"""moneycontrol: annual statements out of the interface behind its new pages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from scraping.parse import quoted
from scraping.source import Parsed, ParseError, Snapshot, Source
from scraping.sources import moneycontrol_pages
from scraping.sources.moneycontrol_codes import CODE
from warehouse.errors import InputError
from warehouse.moneycontrol_api import API_SOURCE, parse_api

if TYPE_CHECKING:
    from scraping.fetch import Fetch

# Statement -> its part of an address. Annual, for all that the address says "quarterly".
ADDRESSES: Mapping[str, str] = {
    "balance_sheet": "balance-sheet",
    "profit_loss": "profit-loss",
    "cash_flow": "cash-flow",
    "ratios": "ratios",
}

SOURCE = Source(
    name="moneycontrol_api",
    publisher="moneycontrol",
    host="MONEYCONTROL_API",
    url="https://www.moneycontrol.com/markets/financials/",
    terms="no terms for reuse are published; for own research, not for redistribution",
    cadence_days=90,
    stage=3,
    table="statement_line",
    columns=moneycontrol_pages.SOURCE.columns,
    ignored=moneycontrol_pages.SOURCE.ignored,
    expect=moneycontrol_pages.SOURCE.expect,
    standing="reported",
    wants=moneycontrol_pages.SOURCE.wants,
)


def crawl(fetch: Fetch) -> None:
    """One answer per company and statement; it holds both bases and all years."""
    for wanted in fetch.each(fetch.wanted, "companies"):
        for statement, part in ADDRESSES.items():
            with fetch.tolerate(f"{statement} of {wanted['company_id']}"):
                code = str(wanted["moneycontrol_code"])
                if not CODE.fullmatch(code):
                    raise ParseError(f"{SOURCE.url}: expected a code, got {quoted(code)}")
                fetch.get(
                    f"/mcapi/v1/quarterly-earning/{part}",
                    {"sc_id": code, "deviceType": "W"},
                    kind="json",
                    about={**moneycontrol_pages.identifiers(wanted), "statement": statement},
                )


def parse(snapshot: Snapshot) -> Parsed:
    """One row per amount, in INR crore, or per published ratio, of both bases.

    Raises:
        ParseError: not an answer of the known form, or not of the statement that was asked for.
    """
    try:
        pages = parse_api(snapshot.body, snapshot.url, snapshot.about.get("statement", ""))
    except InputError as error:
        raise ParseError(str(error)) from None
    return moneycontrol_pages.parsed_pages(pages, snapshot.about, API_SOURCE)
