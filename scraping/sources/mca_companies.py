"""data.gov.in: the register of companies (MCA), asked for the debtors that look listed."""

from __future__ import annotations

import os

from scraping.fetch import Fetch
from scraping.identifiers import cin_of
from scraping.parse import json_of, optional, quoted, required
from scraping.records import Record, distinct_rows, json_records
from scraping.source import Expect, FetchError, Parsed, ParseError, Row, Snapshot, Source

RESOURCE = "/resource/4dbe5667-7b6b-41d7-82af-211562424d9a"
KEY = "OGD_API_KEY"
LIMIT = 10  # what a key without registration gives
_MAX_PAGES = 100
_FEW = 10

SOURCE = Source(
    name="mca_companies",
    publisher="Ministry of Corporate Affairs, on data.gov.in",
    host="OGD",
    url="https://www.data.gov.in/apis/4dbe5667-7b6b-41d7-82af-211562424d9a",
    terms="Government Open Data License - India; needs a free key; reported: 502 after some twenty"
    " quick calls",
    cadence_days=90,
    stage=2,
    table="registered_company",
    columns={
        "CIN": "cin",
        "CompanyName": "company_name",
        "Listingstatus": "listing_status",
        "CompanyStatus": "company_status",
    },
    ignored=(
        "CompanyROCcode",
        "CompanyCategory",
        "CompanySubCategory",
        "CompanyClass",
        "AuthorizedCapital",
        "PaidupCapital",
        "CompanyRegistrationdate_date",
        "Registered_Office_Address",
        "CompanyStateCode",
        "CompanyIndian/Foreign Company",
        "nic_code",
        "CompanyIndustrialClassification",
    ),
    expect=Expect(min_rows=1, unique=("cin",)),
    standing="reported",
    wants="SELECT DISTINCT cin FROM announcement WHERE cin LIKE 'L%' ORDER BY cin",
)


def crawl(fetch: Fetch) -> None:
    """One question per company number; numbers that are none are not asked for.

    Raises:
        FetchError: there is no key.
        ParseError: not one of the companies is in the register: the filter is not obeyed.
    """
    key = os.environ.get(KEY, "").strip()
    if not key:
        raise FetchError(f"{SOURCE.name}: set {KEY} (free, from data.gov.in)")
    asked = found = 0
    for cin in fetch.each(_numbers(fetch.wanted), "companies"):
        with fetch.tolerate(cin):
            found += _ask(fetch, cin, key)
            asked += 1
    if asked >= _FEW and not found:
        raise ParseError(f"{SOURCE.name}: none of {asked} companies is in the register")


def _numbers(wanted: list[dict[str, object]]) -> list[str]:
    """The company numbers that are well formed."""
    numbers = []
    for row in wanted:
        try:
            numbers.append(cin_of(str(row["cin"])))
        except ValueError:
            continue  # what the announcement says is kept there
    return list(dict.fromkeys(numbers))


def _ask(fetch: Fetch, cin: str, key: str) -> int:
    """Number of records of one company, on all pages."""
    for page in range(_MAX_PAGES):
        snapshot = fetch.get(
            RESOURCE,
            {
                "api-key": key,
                "format": "json",
                "offset": str(page * LIMIT),
                "limit": str(LIMIT),
                "filters[CIN]": cin,
            },
            kind="json",
            about={"cin": cin},
        )
        total, records = _page(snapshot)
        if page * LIMIT + len(records) >= total:
            return total
        if not records:
            break
    raise ParseError(f"{snapshot.url}: expected {total} records in all, the pages end before")


def _page(snapshot: Snapshot) -> tuple[int, list[tuple[int, Record]]]:
    """Number of records on all pages, and those of this one."""
    answer = json_of(snapshot)
    if not isinstance(answer, dict) or "records" not in answer or "total" not in answer:
        raise ParseError(
            f"{snapshot.url}: expected an object with total and records, got {quoted(answer)}"
        )
    total = str(answer["total"])  # a number, or the same as a text
    if not (total.isascii() and total.isdigit()) or len(total) > 9:
        raise ParseError(f"{snapshot.url}: total: expected a number, got {quoted(total)}")
    return int(total), json_records(snapshot, answer["records"], SOURCE)


def parse(snapshot: Snapshot) -> Parsed:
    """One row per company that is in the register; none is legal.

    Raises:
        ParseError: it is no answer of the register, or one on another company.
    """
    _, records = _page(snapshot)
    asked = snapshot.about.get("cin")
    for at, record in records:
        if asked and (record["CIN"] or "").strip().upper() != asked:
            raise ParseError(
                f"{snapshot.url}: row {at}: expected {asked}, got {quoted(record['CIN'])}:"
                " the filter is not obeyed"
            )
    return distinct_rows(records, _company, SOURCE.expect.unique)


def _company(record: Record) -> Row:
    return {
        "cin": cin_of(record["CIN"]),
        "company_name": required(record["CompanyName"], "a company's name"),
        "listing_status": optional(record["Listingstatus"]),
        "company_status": optional(record["CompanyStatus"]),
    }
