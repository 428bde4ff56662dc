"""The replica itself: each site answers in the format of the real one, and misbehaves as asked."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import lxml.html
import pytest
import requests
from bs4 import BeautifulSoup
from lxml import etree
from replica import Replica, replica
from replica_cases import CIRP, misspelt, repeat, unnumbered, withdrawn
from replica_exchanges import quarter_id
from replica_faults import BOMB_BYTES, ELSEWHERE, FAULTS, bomb
from replica_filings import filings, misstated, revised
from replica_pages import SITES
from replica_statements import STATEMENTS
from replica_world import Company, isin_of

pytestmark = pytest.mark.slow

REPO = Path(__file__).resolve().parents[1]
BSE_HEADERS = {"Referer": "https://www.bseindia.com/", "Origin": "https://www.bseindia.com"}
SCRIPS = "/BseIndiaAPI/api/ListofScripData/w?Group=&Scripcode=&industry=&segment=Equity&status="
RESULT = "/BseIndiaAPI/api/Corp_detailedResult_Transpose_ng/w"
EQUITIES = "/content/equities/EQUITY_L.csv"
MACRO = "/v2/country/IND/indicator/FP.CPI.TOTL.ZG?format=json"
EXPORT = "/public-announcement?ann=&title=&date=&export_excel=export_excel"
PIECES = 2  # pages of moneycontrol for ten years


@pytest.fixture(scope="module")
def shared_site() -> Iterator[Replica]:
    with replica(companies=40, others=8, page_kilobytes=2) as running:
        yield running


@pytest.fixture
def site(shared_site: Replica) -> Iterator[Replica]:
    """A replica that behaves; what a test arms is called off after it."""
    yield shared_site
    shared_site.disarm()


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        yield session


@pytest.fixture
def get(site: Replica, session: requests.Session) -> Callable[..., requests.Response]:
    """Ask a host of the replica; BSE's interface is asked as from its own pages."""

    def ask(host: str, path: str, **more: Any) -> requests.Response:
        headers = BSE_HEADERS if host == "BSE_API" else {}
        return session.get(site.url(host, path), headers=headers, timeout=10, **more)

    return ask


Get = Callable[..., requests.Response]


def first(site: Replica, fits: Callable[[Company], object]) -> Company:
    return next(company for company in site.world.listed if fits(company))


def member(site: Replica) -> Company:
    """A plain company with ten years of consolidated accounts, every line of them known."""
    return first(
        site,
        lambda c: (
            c.member
            and c.kind == "company"
            and len(site.world.years(c, "consolidated")) == 10
            and all("other_expenses" in y.items and "cash" in y.items for y in c.consolidated)
        ),
    )


def table(text: str, kind: str) -> list[list[str]]:
    """Cells of the rows of a table, as a real HTML parser sees them."""
    found = lxml.html.fromstring(text).find_class(kind)[0]
    assert found.tag == "table"
    rows = [row.findall("td") for row in found.iter("tr")]
    return [[" ".join(cell.text_content().split()) for cell in cells] for cells in rows]


# -- the world ------------------------------------------------------------------------------------


@pytest.mark.parametrize("real", ["INE253B01015", "INE470A01017", "INE618L01018"])
def test_isin_has_the_check_digit_of_real_ones(real: str) -> None:
    assert isin_of(real[3:7]) == real


def test_identities_are_unique_and_of_the_right_shape(site: Replica) -> None:
    companies = [*site.world.listed, *site.world.further]
    assert len(companies) == 48
    for name in ("isin", "cin", "bse_code", "code", "slug", "name"):
        assert len({getattr(c, name) for c in companies}) == len(companies), name
    symbols = [c.symbol for c in companies if c.symbol]
    assert len(set(symbols)) == len(symbols)
    assert any("&" in s for s in symbols)
    assert any("-" in s for s in symbols)
    for company in companies:
        assert re.fullmatch(r"L\d{5}[A-Z]{2}\d{4}PLC\d{6}", company.cin)
        assert re.fullmatch(r"INE[0-9A-Z]{8}\d", company.isin)
        assert re.fullmatch(r"\d{6}", company.bse_code)


def test_the_world_has_what_scrapers_stumble_over(site: Replica) -> None:
    listed = site.world.listed
    failed = [c for c in listed if c.admitted]
    assert len(failed) >= 8
    assert not any(c.member for c in failed)
    assert {c.status for c in failed} == {"Active", "Suspended", "Delisted"}
    assert any(not c.symbol for c in failed)
    assert [c.kind for c in listed[-3:]] == ["bank", "bank", "nbfc"]
    assert {c.outcome[0] for c in failed if c.outcome} == {"liquidation", "resolution_approved"}


def test_the_same_seed_gives_the_same_documents(site: Replica) -> None:
    with replica(companies=40, others=8) as again, requests.Session() as session:
        for host, path in (("IBBI", EXPORT), ("NSE_ARCHIVES", EQUITIES)):
            text = session.get(again.url(host, path), timeout=10).text
            assert text == session.get(site.url(host, path), timeout=10).text
    with replica(companies=40, seed=1) as other:
        assert [c.name for c in other.world.listed] != [c.name for c in site.world.listed]


# -- every site -----------------------------------------------------------------------------------


def test_settings_name_all_hosts(site: Replica) -> None:
    assert set(site.env) == {
        f"SCRAPING_BASE_URL_{name}"
        for name in (
            "IBBI", "NSE", "NSE_ARCHIVES", "BSE", "BSE_API", "MONEYCONTROL", "MONEYCONTROL_API",
            "WORLDBANK", "OGD",
        )
    }  # fmt: skip


@pytest.mark.parametrize("host", SITES)
def test_home_sets_a_cookie_and_robots_are_plain(get: Get, host: str) -> None:
    assert get(host, "/").cookies
    robots = get(host, "/robots.txt")
    if host == "IBBI":
        assert robots.status_code == 404
    else:
        assert robots.text.startswith("User-agent: *\n")
    assert get(host, "/no/such/page").status_code == 404
    assert robots.headers["X-Replica"] == "made-up companies"


# -- IBBI -----------------------------------------------------------------------------------------


def test_listing_has_eight_columns_and_a_pager(get: Get, site: Replica) -> None:
    seen, url = [], "/public-announcement?ann=&title=&date=&page=1&sort=X&direction=desc"
    pages = 0
    while url:
        text = get("IBBI", url).text
        assert "<!----<td>" in text
        rows = [row for row in table(text, "cols-4") if row]
        assert {len(row) for row in rows} == {8}
        assert len(rows) == 20 or "next" not in text
        seen += rows
        pages += 1
        following = BeautifulSoup(text, "lxml").select_one("ul.pagination.my-2 li.next a[rel=next]")
        url = ""
        if following:
            target = str(following["href"])
            assert target.startswith(site.env["SCRAPING_BASE_URL_IBBI"])
            assert "sort" not in target
            url = target.removeprefix(site.env["SCRAPING_BASE_URL_IBBI"])
    assert pages == -(-len(seen) // 20) > 2
    assert len(seen) == len(site.world.listed) * 2 + _announced_of_listed(site)
    dates = [row[1].split("-")[::-1] for row in seen]
    assert dates == sorted(dates, reverse=True)


def _announced_of_listed(site: Replica) -> int:
    """An admission of each that failed, a second one, a withdrawn one; and the liquidations."""
    today = site.world.today
    known = [c for c in site.world.listed if c.admitted and (today - c.admitted).days > 6]
    ended = [c for c in known if c.outcome and c.outcome[0] == "liquidation"]
    closed = [c for c in ended if c.outcome and (today - c.outcome[1]).days >= 9]
    return len(known) + 2 + len(closed)


def test_listing_is_filtered_by_type(get: Get) -> None:
    rows = [r for r in table(get("IBBI", f"/public-announcement?ann={CIRP}").text, "cols-4") if r]
    assert {row[0] for row in rows} == {CIRP}


def test_old_address_is_redirected(get: Get) -> None:
    reply = get("IBBI", "/en/public-announcement?page=2", allow_redirects=False)
    assert reply.status_code == 301
    assert reply.headers["Location"].endswith("/ibbi/public-announcement?page=2")


def test_export_is_tab_separated_and_has_broken_rows(get: Get, site: Replica) -> None:
    reply = get("IBBI", EXPORT)
    head, *rows = [line.split("\t") for line in reply.text.splitlines()]
    assert [name.strip() for name in head] == [
        "Announcement Type", "Date of Announcement", "Last date of Submission",
        "Name of Corporate Debtor", "CIN No.", "Name of Applicant",
        "Name of Insolvency Professional", "Address of Insolvency Professional", "Remarks",
    ]  # fmt: skip
    assert head[1].startswith(" ")
    assert {len(row) for row in rows} >= {7, 9, 10}
    assert any("&amp;" in row[3] for row in rows)
    numbers = [row[4] for row in rows]
    assert "N/A" in numbers
    assert "" in numbers
    world = site.world
    assert misspelt(world).cin not in numbers
    assert misspelt(world).cin[:-1] in numbers
    assert unnumbered(world).cin not in numbers
    admissions = [r for r in rows if r[4] == repeat(world).cin and r[0] == CIRP]
    assert len(admissions) == 2
    assert sum(number.startswith("L") for number in numbers) >= 8
    private = [row for row in rows if row[4].startswith("U") and "PTC" in row[4]]
    listed = {c.short.upper() for c in world.listed}
    assert any(r[3].removesuffix(" PRIVATE LIMITED") in listed for r in private)


def test_process_page_of_a_debtor_and_of_an_unknown_one(get: Get, site: Replica) -> None:
    company = repeat(site.world)
    soup = BeautifulSoup(get("IBBI", f"/claims/inner-process/{company.cin}").text, "lxml")
    told = [box.get_text(strip=True) for box in soup.select("div.processbx")]
    assert told[-1] == f"Process with ICD: {company.admitted:%d-%m-%Y}"
    assert len(told) == 2
    assert company.cin in soup.select_one("div.cinDetl").get_text()  # type: ignore[union-attr]
    unknown = get("IBBI", "/claims/inner-process/L00000XX0000PLC000000").text
    assert "ASSIGNMENT NOT APPROVED YET" in unknown


@pytest.mark.parametrize("court", ["nclt", "nclat", "supreme-court", "high-courts"])
def test_orders(get: Get, site: Replica, court: str) -> None:
    text = get("IBBI", f"/orders/{court}?page=1").text
    rows = [row for row in table(text, "reporttable") if row]
    assert rows
    for row in rows:
        assert len(row) == 4
        assert re.fullmatch(r"\d\d [A-Z][a-z]{2}, \d{4}", row[1])
    assert ('rel="next"' in text) == (court == "nclt")
    assert BeautifulSoup(text, "lxml").select_one("table.cols-4.tb_abg.reporttable")


def test_withdrawn_case_has_an_order(get: Get, site: Replica) -> None:
    name, told = withdrawn(site.world).name.upper(), []
    for page in range(1, 9):
        reply = get("IBBI", f"/orders/nclt?page={page}")
        if reply.ok:
            told += [r[3] for r in table(reply.text, "reporttable") if r and f" {name} [" in r[2]]
    assert told == ["CIRP Withdrawn", "Admission - Final Order"]


# -- NSE ------------------------------------------------------------------------------------------


def test_results_have_the_fields_of_the_real_ones(get: Get, site: Replica, shared: Path) -> None:
    file = shared / "fixtures/nse/corporates-financial-results_annual.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    company = member(site)
    path = "/api/corporates-financial-results"
    asked = {"index": "equities", "symbol": company.symbol, "period": "Quarterly"}
    rows = get("NSE", path, params=asked).json()
    assert {tuple(row) for row in rows} == {tuple(known[0])}
    assert {row["relatingTo"] for row in rows} == {
        "First Quarter", "Second Quarter", "Third Quarter", "Fourth Quarter",
    }  # fmt: skip
    files = {row["toDate"][-4:]: row["xbrl"].rsplit("/", 1)[1] for row in rows[::-1]}
    assert files["2016"] == "-"
    assert files["2023"].startswith("INDAS_")
    assert get("NSE", path, params={**asked, "from_date": "01-01-2024"}).json() == []
    assert get("NSE", path, params={**asked, "symbol": "NOSUCH"}).json() == []
    window = {"index": "equities", "from_date": "01-05-2024", "to_date": "31-05-2024"}
    assert len({row["symbol"] for row in get("NSE", path, params=window).json()}) > 5


def test_annual_rows_are_rare(get: Get, site: Replica) -> None:
    path = "/api/corporates-financial-results?index=equities&period=Annual"
    found = [
        get("NSE", path, params={"symbol": c.symbol}).json() for c in site.world.listed if c.symbol
    ]
    assert 0 < sum(map(bool, found)) < 8


def test_integrated_filings_are_paged(get: Get, site: Replica, shared: Path) -> None:
    file = shared / "fixtures/nse/integrated-filing-results.retyped.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    company = member(site)
    asked = {"index": "equities", "symbol": company.symbol, "size": "2", "page": "1"}
    seen: list[str] = []
    while True:
        answer = get("NSE", "/api/integrated-filing-results", params=asked).json()
        assert list(answer) == list(known)
        if not answer["data"]:
            break
        assert {tuple(row) for row in answer["data"]} == {tuple(known["data"][0])}
        seen += [row["seq_Id"] for row in answer["data"]]
        asked["page"] = str(int(asked["page"]) + 1)
    assert len(seen) == len(set(seen)) == answer["totalCount"] >= 6


def test_lists_of_the_archives(get: Get, site: Replica) -> None:
    def rows(path: str) -> list[list[str]]:
        return list(csv.reader(io.StringIO(get("NSE_ARCHIVES", path).text)))

    index = rows("/content/indices/ind_nifty500list.csv")
    assert index[0] == ["Company Name", "Industry", "Symbol", "Series", "ISIN Code"]
    assert len(index) - 2 == sum(c.member for c in site.world.listed)
    assert sum(row[2].startswith("DUMMY") for row in index) == 1
    equities = rows(EQUITIES)
    assert equities[0] == [
        "SYMBOL", "NAME OF COMPANY", " SERIES", " DATE OF LISTING", " PAID UP VALUE",
        " MARKET LOT", " ISIN NUMBER", " FACE VALUE",
    ]  # fmt: skip
    assert re.fullmatch(r"\d\d-[A-Z]{3}-\d{4}", equities[1][3])
    assert {row[2] for row in equities[1:]} == {"EQ", "BZ"}
    changes = rows("/content/equities/symbolchange.csv")
    assert changes[0][2] == changes[1][1]  # one symbol was changed twice
    assert rows("/content/equities/namechange.csv")[0] == [
        "NCH_SYMBOL", "NCH_PREV_NAME", "NCH_NEW_NAME", "NCH_DT",
    ]  # fmt: skip


# -- BSE ------------------------------------------------------------------------------------------


def test_scrips_by_status(get: Get, site: Replica, shared: Path) -> None:
    file = shared / "fixtures/bse/ListofScripData.retyped.json"
    known = json.loads(file.read_text(encoding="utf-8"))
    counts = {}
    for status in ("Active", "Suspended", "Delisted", ""):
        rows = get("BSE_API", SCRIPS + status).json()
        assert {tuple(row) for row in rows} == {tuple(known[0])}
        counts[status] = len(rows)
    assert counts[""] == 48 == sum(counts.values()) - counts[""]


def test_bse_refuses_whoever_does_not_come_from_its_pages(
    site: Replica, session: requests.Session
) -> None:
    assert session.get(site.url("BSE_API", SCRIPS), timeout=10).status_code == 403
    half = {"Referer": "https://www.bseindia.com/"}
    assert session.get(site.url("BSE_API", SCRIPS), headers=half, timeout=10).status_code == 403


def test_annual_result_is_in_million_with_expenses_below_zero(get: Get, site: Replica) -> None:
    company = member(site)
    year = site.world.years(company, "standalone")[-1]
    asked = {"scrip_cd": company.bse_code, "qtr": f"{quarter_id(year.end)}.50"}
    rows = get("BSE_API", RESULT, params=asked).json()["table1"]
    told = {row["fld_desc"]: row["Value"] for row in rows}
    assert told["Date End"] == year.end.strftime("%d-%b-%y")
    assert float(told["Net Profit"]) == pytest.approx(10 * year.items["net_profit"])
    assert float(told["Expenditure"]) == pytest.approx(-10 * year.items["total_expenses"])
    income = float(told["Net Sales/Revenue From Operations"]) + float(told["Other Income"])
    assert float(told["Total Income"]) == pytest.approx(income)
    asked["qtr"] = "60.50"
    assert len(get("BSE_API", RESULT, params=asked).json()["table1"]) == 3


def test_quarter_numbers_are_those_of_the_real_interface() -> None:
    # 85 is March 2015, 121 March 2024, 130 June 2026
    assert quarter_id(date(2015, 3, 31)) == 85
    assert quarter_id(date(2024, 3, 31)) == 121
    assert quarter_id(date(2026, 6, 30)) == 130


# -- moneycontrol ---------------------------------------------------------------------------------


def pages_of(get: Get, company: Company, statement: str, basis: str) -> list[list[list[str]]]:
    """The tables of all pages of a statement."""
    group = "consolidated-" if basis == "consolidated" else ""
    path = f"/financials/{company.slug}/{group}{statement}VI/{company.code}"
    found: list[list[list[str]]] = []
    while path:
        text = get("MONEYCONTROL", path).text
        if "mctable1" not in text:
            return found
        found.append(table(text, "mctable1"))
        span = lxml.html.fromstring(text).find_class("nextpaging")
        link = span[0].getparent() if span else None
        target = "" if link is None else link.get("href", "")
        path = target.partition("/moneycontrol")[2]
    return found


def columns_of(tables: list[list[list[str]]]) -> dict[str, dict[str, float | None]]:
    """Year -> label -> figure."""
    found: dict[str, dict[str, float | None]] = {}
    for rows in tables:
        for at, year in enumerate(rows[0][1:-1], 1):
            cells = {row[0]: row[at] for row in rows[2:] if len(row) > 1}
            found[year] = {
                k: None if v == "--" else float(v.replace(",", "")) for k, v in cells.items()
            }
    return found


def test_statement_pages_hold_five_years_each(get: Get, site: Replica) -> None:
    company = member(site)
    for statement in STATEMENTS:
        tables = pages_of(get, company, statement, "consolidated")
        assert [len(rows[0]) for rows in tables] == [7] * PIECES
        for rows in tables:
            assert all(re.fullmatch(r"[A-Z][a-z]{2} \d\d", cell) for cell in rows[0][1:-1])
            assert {row[-1] for row in rows if len(row) > 1} == {""}
            assert set(rows[1][1:-1]) <= {"12 mths", "9 mths", "15 mths"}
        sections = [row for row in tables[0] if len(row) == 1]  # a label and nothing else
        assert (statement == "cash-flow") == (not sections)
    assert "(in Rs. Cr.)" in pages_of(get, company, "balance-sheet", "standalone")[0][0][0]


def test_pages_are_as_large_as_wanted() -> None:
    with replica(companies=20, others=0, page_kilobytes=110) as big:
        company = big.world.listed[-1]
        url = big.url("MONEYCONTROL", f"/financials/{company.slug}/cash-flowVI/{company.code}")
        assert len(requests.get(url, timeout=10).content) > 110 * 1024


BALANCE = {
    "Total Capital And Liabilities": (
        "Total Shareholders Funds", "Minority Interest", "Total Non-Current Liabilities",
        "Total Current Liabilities",
    ),
    "Total Shareholders Funds": ("Total Share Capital", "Total Reserves and Surplus"),
    "Total Current Liabilities": (
        "Short Term Borrowings", "Trade Payables", "Other Current Liabilities",
        "Short Term Provisions",
    ),
    "Total Current Assets": (
        "Current Investments", "Inventories", "Trade Receivables", "Cash And Cash Equivalents",
        "Short Term Loans And Advances", "OtherCurrentAssets",
    ),
    "Total Non-Current Assets": (
        "Fixed Assets", "Non-Current Investments", "Deferred Tax Assets [Net]",
        "Long Term Loans And Advances", "Other Non-Current Assets",
    ),
    "Total Assets": ("Total Current Assets", "Total Non-Current Assets"),
}  # fmt: skip
PROFIT = {
    "Total Revenue": ("Total Operating Revenues", "Other Income"),
    "Total Expenses": (
        "Cost Of Materials Consumed", "Purchase Of Stock-In Trade",
        "Operating And Direct Expenses", "Changes In Inventories Of FG,WIP And Stock-In Trade",
        "Employee Benefit Expenses", "Finance Costs", "Depreciation And Amortisation Expenses",
        "Other Expenses",
    ),
    "Profit/Loss Before Tax": (
        "Profit/Loss Before Exceptional, ExtraOrdinary Items And Tax", "Exceptional Items",
    ),
    "Profit/Loss For The Period": ("Profit/Loss Before Tax", "-Total Tax Expenses"),
}  # fmt: skip
CASH = {
    "Net Inc/Dec In Cash And Cash Equivalents": (
        "Net CashFlow From Operating Activities", "Net Cash Used In Investing Activities",
        "Net Cash Used From Financing Activities",
    ),
    "Cash And Cash Equivalents End Of Year": (
        "Cash And Cash Equivalents Begin of Year", "Net Inc/Dec In Cash And Cash Equivalents",
    ),
}  # fmt: skip
# Lines that a company's source may not show though it shows the rest of the statement.
PATCHY = {
    "Minority Interest", "Current Investments", "Inventories", "Purchase Of Stock-In Trade",
    "Operating And Direct Expenses", "Changes In Inventories Of FG,WIP And Stock-In Trade",
    "Capital Work-In-Progress",
}  # fmt: skip


@pytest.mark.parametrize(
    ("statement", "identities"),
    [("balance-sheet", BALANCE), ("profit-loss", PROFIT), ("cash-flow", CASH)],
)
@pytest.mark.parametrize("basis", ["standalone", "consolidated"])
def test_identities_hold_in_what_is_served(
    get: Get, site: Replica, statement: str, identities: dict[str, tuple[str, ...]], basis: str
) -> None:
    checked = dict.fromkeys(identities, 0)
    for company in site.world.listed[:14]:
        years = columns_of(pages_of(get, company, statement, basis))
        for year, lines in years.items():
            for total, parts in identities.items():
                values = [_signed(lines, part) for part in parts]
                missing = [p for p, v in zip(parts, values, strict=True) if v is None]
                if lines.get(total) is None or set(missing) - PATCHY:
                    continue
                added = sum(value for value in values if value is not None)
                assert added == pytest.approx(lines[total], abs=0.006), (company.name, year, total)
                checked[total] += 1
    assert min(checked.values()) > 30, checked


def _signed(lines: dict[str, float | None], part: str) -> float | None:
    value = lines.get(part.removeprefix("-"))
    return -value if value is not None and part.startswith("-") else value


def test_most_figures_are_known(get: Get, site: Replica) -> None:
    cells = [
        value
        for company in site.world.listed[:14]
        for lines in columns_of(pages_of(get, company, "balance-sheet", "standalone")).values()
        for value in lines.values()
    ]
    assert 0.01 < sum(value is None for value in cells) / len(cells) < 0.25


def test_bank_page_has_the_labels_of_banks(get: Get, site: Replica) -> None:
    bank = first(site, lambda c: c.kind == "bank")
    lines = columns_of(pages_of(get, bank, "balance-sheet", "consolidated"))["Mar 25"]
    held = (
        "Cash and Balances with Reserve Bank of India",
        "Balances with Banks Money at Call and Short Notice", "Investments", "Advances",
        "Fixed Assets", "Other Assets",
    )  # fmt: skip
    assert sum(lines[name] or 0 for name in held) == pytest.approx(lines["Total Assets"], abs=0.01)
    owed = (
        "Total ShareHolders Funds", "Deposits", "Borrowings", "Other Liabilities and Provisions",
    )  # fmt: skip
    assert sum(lines[name] or 0 for name in owed) == pytest.approx(lines["Total Assets"], abs=0.01)
    profit = columns_of(pages_of(get, bank, "profit-loss", "consolidated"))["Mar 25"]
    left = (profit["Total Income"] or 0) - (profit["Total Expenditure"] or 0)
    assert left == pytest.approx(profit["Net Profit / Loss for The Year"], abs=0.01)


def test_company_without_a_group_has_no_consolidated_table(get: Get, site: Replica) -> None:
    single = first(site, lambda c: not c.consolidated)
    assert pages_of(get, single, "balance-sheet", "consolidated") == []
    assert pages_of(get, single, "balance-sheet", "standalone")


def test_suggestions_are_fuzzy(get: Get, site: Replica) -> None:
    path = "/mccode/common/autosuggestion_solr.php?classic=true&type=1&format=json"
    company = first(site, lambda c: c.number % 3 == 1 and c.symbol)
    rows = get("MONEYCONTROL", path, params={"query": company.symbol}).json()
    assert company.isin not in rows[0]["pdt_dis_nm"]
    assert rows[1]["sc_id"] == company.code
    assert f"<span>{company.isin}, {company.symbol}, {company.bse_code}<" in rows[1]["pdt_dis_nm"]
    slug, code = rows[1]["link_src"].split("/")[-2:]
    assert (slug, code) == (company.slug, company.code)
    missing = get("MONEYCONTROL", path, params={"query": "no such company"}).json()
    assert missing[0]["pdt_dis_nm"] == "No Result Available"
    unknown = site.world.listed[24]
    answer = get("MONEYCONTROL", path, params={"query": unknown.isin}).json()
    assert answer[0]["pdt_dis_nm"] == "No Result Available"


@pytest.mark.parametrize("statement", STATEMENTS)
def test_json_says_what_the_pages_say(get: Get, site: Replica, statement: str) -> None:
    company = member(site)
    path = f"/mcapi/v1/quarterly-earning/{statement}"
    answer = get("MONEYCONTROL_API", path, params={"sc_id": company.code, "deviceType": "W"}).json()
    data = answer["data"]
    assert set(data) == {"headers", "standardResult", "consolidatedResult"}
    pages = columns_of(pages_of(get, company, statement, "consolidated"))
    for row in data["consolidatedResult"]:
        assert row["noofmonths"] == "12 mths"
        assert str(row["yrc"])[:4] == row["str_year"]
        for label, (key, _) in data["headers"].items():
            shown = pages[row["yrc0"]].get(label)
            if key and shown is not None:
                assert float(row[key]) == pytest.approx(shown), label


def test_labels_are_those_that_are_known(get: Get, site: Replica, shared: Path) -> None:
    known = json.loads((shared / "facts/moneycontrol_labels.json").read_text(encoding="utf-8"))
    names = {
        "balance-sheet": "balance_sheet", "profit-loss": "profit_loss", "cash-flow": "cash_flow",
    }  # fmt: skip
    company = member(site)
    for statement, name in names.items():
        labels = {row["label"] for row in known[name]} | set(known["sections"].get(name, ()))
        for rows in pages_of(get, company, statement, "consolidated"):
            assert {row[0] for row in rows[2:]} <= labels
    keys = {row["label"]: row["key"] for name in names.values() for row in known[name]}
    for statement in names:
        path = f"/mcapi/v1/quarterly-earning/{statement}?deviceType=W&sc_id={company.code}"
        for label, (key, _) in get("MONEYCONTROL_API", path).json()["data"]["headers"].items():
            assert not key or keys[label] in (None, key), label


# -- XBRL -----------------------------------------------------------------------------------------

TOTALS = {  # element -> label of moneycontrol
    "Assets": "Total Assets", "EquityAndLiabilities": "Total Capital And Liabilities",
    "CurrentAssets": "Total Current Assets", "CurrentLiabilities": "Total Current Liabilities",
    "NoncurrentLiabilities": "Total Non-Current Liabilities", "Inventories": "Inventories",
    "Income": "Total Revenue", "Expenses": "Total Expenses",
    "ProfitBeforeTax": "Profit/Loss Before Tax", "TaxExpense": "Total Tax Expenses",
    "ProfitLossForPeriod": "Profit/Loss For The Period",
    "IncreaseDecreaseInCashAndCashEquivalents": "Net Inc/Dec In Cash And Cash Equivalents",
}  # fmt: skip
BANK_TOTALS = {
    "CapitalAndLiabilities": "Total Assets", "Deposits": "Deposits", "Advances": "Advances",
    "InterestEarned": "Total Interest Earned", "InterestExpended": "Interest Expended",
    "ProfitLossForThePeriod": "Net Profit / Loss for The Year",
}  # fmt: skip


def facts(content: bytes) -> dict[tuple[str, str], list[str]]:
    """(element, context) -> texts."""
    found: dict[tuple[str, str], list[str]] = {}
    for element in etree.fromstring(content):
        context = element.get("contextRef") if isinstance(element.tag, str) else None
        if context:
            name = etree.QName(element).localname
            found.setdefault((name, context), []).append(element.text or "")
    return found


def annual_files(get: Get, company: Company) -> Iterator[tuple[str, str, bytes]]:
    """Year, basis and XBRL file of each fourth quarter, as the two lists name them."""
    asked = {"index": "equities", "symbol": company.symbol}
    old = get("NSE", "/api/corporates-financial-results?period=Quarterly", params=asked).json()
    new = get("NSE", "/api/integrated-filing-results?size=100", params=asked).json()["data"]
    rows = [(r["toDate"], r["consolidated"], r["xbrl"]) for r in old if "Fourth" in r["relatingTo"]]
    rows += [(r["qe_Date"], r["consolidated"], r["xbrl"]) for r in new if r["audited"] == "Audited"]
    for last, group, url in rows:
        if not url.endswith("/-"):
            basis = "consolidated" if group == "Consolidated" else "standalone"
            month = f"{last[3:6].title()} {last[-2:]}"
            yield month, basis, get("NSE_ARCHIVES", url.partition("/nse-archives")[2]).content


def test_xbrl_totals_are_those_of_moneycontrol(get: Get, site: Replica) -> None:
    compared: dict[str, int] = {}
    skipped = revised(site.world)
    chosen = [c for c in site.world.listed if c.symbol and c != skipped and c.number % 25 != 24]
    for company in [*chosen[:4], *chosen[-3:]]:
        shown = {
            basis: [
                columns_of(pages_of(get, company, statement, basis))
                for statement in ("balance-sheet", "profit-loss", "cash-flow")
            ]
            for basis in ("standalone", "consolidated")
        }
        for month, basis, content in annual_files(get, company):
            lines: dict[str, float | None] = {}
            for years in shown[basis]:
                lines |= years[month]
            told = facts(content)
            for element, label in (BANK_TOTALS if company.kind == "bank" else TOTALS).items():
                texts = told.get((element, "OneI")) or told.get((element, "FourD"))
                value = lines.get(label)
                if texts and value is not None:
                    assert float(texts[0]) / 1e7 == pytest.approx(value, abs=0.0051), (
                        company.name, month, basis, element,
                    )  # fmt: skip
                    compared[element] = compared.get(element, 0) + 1
    assert set(compared) == set(TOTALS) | set(BANK_TOTALS)
    assert min(compared.values()) >= 4, compared


def test_xbrl_says_what_the_real_files_say(get: Get, site: Replica) -> None:
    company = member(site)
    files = {(m, b): content for m, b, content in annual_files(get, company)}
    early, middle, late = (files[f"Mar {y}", "consolidated"] for y in (19, 22, 25))
    assert b"xmlns:in-bse-fin=" in middle
    assert b"xmlns:in-capmkt=" in late
    told = facts(late)
    assert told["DateOfStartOfReportingPeriod", "FourD"] == ["2024-04-01"]
    assert told["NatureOfReportStandaloneConsolidated", "OneD"] == ["Consolidated"]
    assert told["Symbol", "OneD"] == [company.symbol]
    assert len(told["CashAndCashEquivalentsCashFlowStatement", "FourD"]) == 2
    assert re.fullmatch(r"-?\d+\.00", told["Assets", "OneI"][0])
    tree = etree.fromstring(late)
    four = tree.xpath(
        "//*[local-name()='context'][@id='FourD']//*[local-name()='startDate']/text()"
    )
    assert four == ["2025-01-01"]  # the quarter's, though the figures are the year's
    assert ("Assets", "OneI") not in facts(middle)  # no balance sheet before September 2022
    assert ("CashFlowsFromUsedInOperatingActivities", "FourD") in facts(middle)
    assert ("CashFlowsFromUsedInOperatingActivities", "FourD") not in facts(early)


def test_xbrl_elements_are_those_of_the_taxonomies(site: Replica, get: Get, shared: Path) -> None:
    text = (shared / "facts/element_names_by_taxonomy.json").read_text(encoding="utf-8")
    known = json.loads(text)
    forms = {
        "company": ("indas2020", "cap_indas"), "bank": ("bank2019", "cap_banking"),
        "nbfc": ("nbfc2020", "cap_nbfc_indas"),
    }  # fmt: skip
    for kind, (before, after) in forms.items():
        company = first(site, lambda c, kind=kind: c.kind == kind and c.member)  # type: ignore[misc]
        for month, _, content in annual_files(get, company):
            names = {name for name, _ in facts(content)}
            taxonomy = after if month.endswith("25") else before
            assert names <= set(known[taxonomy]), (kind, month)


def test_a_filing_was_revised(get: Get, site: Replica) -> None:
    company = revised(site.world)
    asked = {"symbol": company.symbol, "size": "100"}
    rows = get("NSE", "/api/integrated-filing-results", params=asked).json()["data"]
    march = [r for r in rows if r["qe_Date"] == "31-MAR-2025" and r["consolidated"] == "Standalone"]
    assert [row["type_Sub"] for row in march] == ["Revision", "Original"]
    assert march[0]["broadcast_Date"] is None
    assert march[0]["revised_Date"]
    late, soon = (
        facts(get("NSE_ARCHIVES", row["xbrl"].partition("/nse-archives")[2]).content)
        for row in march
    )
    year = next(y for y in company.standalone if y.end == date(2025, 3, 31))
    profit = ("ProfitLossForPeriod", "FourD")
    assert float(late[profit][0]) / 1e7 == pytest.approx(year.items["net_profit"])
    wrong = misstated(year).items["net_profit"]
    assert float(soon[profit][0]) / 1e7 == pytest.approx(wrong)
    assert wrong != pytest.approx(year.items["net_profit"])


def test_context_of_the_quarter_is_at_times_undeclared(get: Get, site: Replica) -> None:
    declared = set()
    for company in site.world.listed[:6]:
        for filing in filings(site.world, company)[:1]:
            content = get("NSE_ARCHIVES", f"/corporate/xbrl/{filing.file()}").content
            declared.add(b'context id="OneD"' in content)
    assert declared == {True, False}


# -- World Bank and data.gov.in -------------------------------------------------------------------


def test_world_bank_series_are_paged(get: Get, site: Replica) -> None:
    rows: list[dict[str, Any]] = []
    for page in (1, 2):
        head, part = get("WORLDBANK", f"{MACRO}&per_page=50&page={page}").json()
        assert (head["page"], head["pages"], head["per_page"]) == (page, 2, 50)
        rows += part
    assert len(rows) == head["total"] == 65
    values = {int(row["date"]): row["value"] for row in rows if row["value"] is not None}
    assert values == {y: v for y, v in site.world.macro["inflation"].items() if y < 2025}
    assert len(values) == 12
    assert rows[0]["countryiso3code"] == "IND"


def test_register_is_filtered_and_needs_a_key(get: Get, site: Replica) -> None:
    path = "/resource/4dbe5667-7b6b-41d7-82af-211562424d9a"
    company = site.world.listed[0]
    asked = {"api-key": "any", "format": "json", "filters[CIN]": company.cin}
    answer = get("OGD", path, params=asked).json()
    assert answer["records"][0]["CompanyName"] == company.name.upper()
    assert answer["records"][0]["Listingstatus"] == "listed"
    assert answer["total"] == 1
    everything = get("OGD", path, params={"api-key": "any", "limit": "10000"}).json()
    assert everything["count"] == everything["total"] > 60
    second = get("OGD", path, params={"api-key": "any", "limit": "7", "offset": "7"}).json()
    assert second["records"] == everything["records"][7:14]
    assert get("OGD", path).status_code == 403


# -- growth and renaming --------------------------------------------------------------------------


def test_growth_adds_a_year_and_cases() -> None:
    with replica(companies=40, others=0, page_kilobytes=2) as site, requests.Session() as session:

        def ask(host: str, path: str, **more: Any) -> requests.Response:
            return session.get(site.url(host, path), timeout=10, **more)

        company = member(site)
        before = columns_of(pages_of(ask, company, "balance-sheet", "consolidated"))
        listed = len(ask("IBBI", EXPORT).text.splitlines())
        assert ask("MONEYCONTROL", "/_control/grow").status_code == 404  # not below a site
        session.get(f"{site.root}/_control/grow", timeout=10)
        after = columns_of(pages_of(ask, company, "balance-sheet", "consolidated"))
        assert next(iter(after)) == "Mar 26"
        assert set(before) == set(after) - {"Mar 26"}
        assert len(pages_of(ask, company, "balance-sheet", "consolidated")) == 3
        assert len(ask("IBBI", EXPORT).text.splitlines()) > listed
        asked = {"symbol": company.symbol, "size": "100"}
        rows = ask("NSE", "/api/integrated-filing-results", params=asked).json()["data"]
        assert "31-MAR-2026" in {row["qe_Date"] for row in rows}
        assert ask("WORLDBANK", MACRO).json()[1][0]["date"] == "2025"


def test_symbol_is_renamed_between_runs() -> None:
    with replica(companies=20, others=0) as site, requests.Session() as session:
        company = first(site, lambda c: c.member)
        asked = {"symbol": company.symbol, "size": "100"}
        path = site.url("NSE", "/api/integrated-filing-results")
        assert session.get(path, params=asked, timeout=10).json()["data"]
        site.arm("symbol_renamed")
        renamed = site.world.listed[company.number]
        assert renamed.symbol != company.symbol
        assert renamed.isin == company.isin
        text = session.get(
            site.url("NSE_ARCHIVES", "/content/equities/symbolchange.csv"), timeout=10
        ).text
        assert f"{company.symbol},{renamed.symbol},31-DEC-2025" in text
        assert session.get(path, params=asked, timeout=10).json()["data"] == []
        equities = session.get(site.url("NSE_ARCHIVES", EQUITIES), timeout=10).text
        assert f"\n{renamed.symbol}," in equities
        assert f"\n{company.symbol}," not in equities


# -- faults: each does what it says ---------------------------------------------------------------


def refused_until_warm(site: Replica, session: requests.Session, status: int) -> None:
    url = site.url("NSE", "/api/integrated-filing-results?symbol=X")
    assert [session.get(url, timeout=10).status_code for _ in range(2)] == [status, status]
    session.get(site.url("NSE"), timeout=10)
    assert session.get(url, timeout=10).status_code == 200


def status_once(site: Replica, session: requests.Session, status: int) -> requests.Response:
    url = site.url("NSE_ARCHIVES", EQUITIES)
    reply = session.get(url, timeout=10)
    assert reply.status_code == status
    assert session.get(url, timeout=10).status_code == 200  # once, then all is well
    return reply


def slow_down(site: Replica, session: requests.Session) -> None:
    assert 0 < int(status_once(site, session, 429).headers["Retry-After"]) <= 2


def broken_off(site: Replica, session: requests.Session) -> None:
    url = site.url("NSE_ARCHIVES", EQUITIES)
    broken = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    with pytest.raises(broken):
        _ = session.get(url, timeout=10, headers={"Accept-Encoding": "identity"}).content
    assert session.get(url, timeout=10).ok


def endless_drip(site: Replica, session: requests.Session) -> None:
    url = site.url("NSE_ARCHIVES", EQUITIES)
    began = time.monotonic()
    with session.get(url, timeout=5, stream=True) as reply:
        got = b""
        for data in reply.iter_content(1):
            got += data
            if time.monotonic() - began > 0.3:
                break
    assert b"SYMBOL".startswith(got[:6])
    assert 1 < len(got) < 20


def bomb_goes_off(site: Replica, session: requests.Session) -> None:
    with session.get(site.url("NSE_ARCHIVES", EQUITIES), timeout=10, stream=True) as reply:
        assert reply.headers["Content-Encoding"] == "gzip"
        got = 0
        while got < 64 * 1024**2:
            got += len(reply.raw.read1(1 << 20, decode_content=True))
    wire = sum(map(len, bomb()))
    assert wire < 16 * 1024**2
    blocks = list(bomb())[1:3]
    packer = zlib.decompressobj(-zlib.MAX_WBITS)
    assert len(packer.decompress(blocks[0] + blocks[1])) == 2 * 16 * 1024**2
    assert 16 * 1024**2 * (sum(1 for _ in bomb()) - 1) == BOMB_BYTES >= 10 * 1024**3


def never_ends(site: Replica, session: requests.Session) -> None:
    with session.get(site.url("NSE_ARCHIVES", EQUITIES), timeout=10, stream=True) as reply:
        assert "Content-Length" not in reply.headers
        assert "Transfer-Encoding" not in reply.headers
        got = 0
        for data in reply.iter_content(1 << 20):
            got += len(data)
            if got > 32 * 1024**2:
                return
    pytest.fail("it ended")


def page_instead(site: Replica, session: requests.Session, words: str) -> None:
    reply = status_once(site, session, 200)
    assert reply.text.startswith("<!DOCTYPE html>")
    assert words in reply.text


def nothing_at_all(site: Replica, session: requests.Session) -> None:
    assert status_once(site, session, 200).content == b""


def no_rows(site: Replica, session: requests.Session) -> None:
    assert status_once(site, session, 200).json() == []


def round_and_round(site: Replica, session: requests.Session) -> None:
    with pytest.raises(requests.TooManyRedirects):
        session.get(site.url("NSE_ARCHIVES", EQUITIES), timeout=10)


def sent_elsewhere(site: Replica, session: requests.Session) -> None:
    url = site.url("NSE_ARCHIVES", EQUITIES)
    reply = session.get(url, timeout=10, allow_redirects=False)
    assert (reply.status_code, reply.headers["Location"]) == (302, ELSEWHERE)


def kept_out(site: Replica, session: requests.Session) -> None:
    text = session.get(site.url("NSE_ARCHIVES", "/robots.txt"), timeout=10).text
    assert text == "User-agent: *\nDisallow: /\n"
    assert session.get(site.url("NSE_ARCHIVES", EQUITIES), timeout=10).ok


def other_header(site: Replica, session: requests.Session) -> None:
    head = status_once(site, session, 200).text.splitlines()[0]
    assert "ISIN NUMBER" not in head
    assert head.count(",") == 7


def other_dates(site: Replica, session: requests.Session) -> None:
    row = status_once(site, session, 200).text.splitlines()[1].split(",")
    assert re.fullmatch(r"\d{4}\.[A-Z]{3}\.\d\d", row[3])


def all_twice(site: Replica, session: requests.Session) -> None:
    url = site.url("NSE_ARCHIVES", EQUITIES)
    doubled, plain = (session.get(url, timeout=10).text.splitlines() for _ in range(2))
    assert doubled[0] == plain[0]
    assert sorted(doubled[1:]) == sorted([*plain[1:], *plain[1:]])
    assert doubled[len(plain) : len(plain) + 2] != plain[1:3]


def same_page(site: Replica, session: requests.Session) -> None:
    pages = [
        session.get(site.url("IBBI", f"/public-announcement?page={n}"), timeout=10).text
        for n in (1, 2, 99)
    ]
    assert len({str(table(text, "cols-4")) for text in pages}) == 1
    assert 'rel="next" href="' in pages[2]
    assert "page=100" in pages[2]
    one, two = (
        session.get(site.url("WORLDBANK", f"{MACRO}&page={n}"), timeout=10).json() for n in (1, 9)
    )
    assert one[1] == two[1]
    assert two[0]["pages"] == 10


def not_utf8(site: Replica, session: requests.Session) -> None:
    path = f"/mcapi/v1/quarterly-earning/cash-flow?sc_id={site.world.listed[0].code}"
    reply = session.get(site.url("MONEYCONTROL_API", path), timeout=10)
    assert "utf-8" in reply.headers["Content-Type"]
    with pytest.raises(UnicodeDecodeError):
        reply.content.decode("utf-8")


def renamed_at_once(site: Replica, session: requests.Session) -> None:
    assert site.world.symbol_changes[-1].new.startswith("NEW")


Check = Callable[[Replica, requests.Session], object]
CHECKS: dict[str, Check] = {
    "403_until_warm_up": lambda site, session: refused_until_warm(site, session, 403),
    "401_until_warm_up": lambda site, session: refused_until_warm(site, session, 401),
    "429": slow_down,
    "500": lambda site, session: status_once(site, session, 500),
    "503": lambda site, session: status_once(site, session, 503),
    "reset": broken_off,
    "truncated": broken_off,
    "truncated_chunked": broken_off,
    "slow_drip": endless_drip,
    "gzip_bomb": bomb_goes_off,
    "huge": never_ends,
    "captcha": lambda site, session: page_instead(site, session, "captcha"),
    "login": lambda site, session: page_instead(site, session, 'type="password"'),
    "empty": nothing_at_all,
    "empty_json": no_rows,
    "redirect_loop": round_and_round,
    "redirect_elsewhere": sent_elsewhere,
    "robots_disallow": kept_out,
    "changed_header": other_header,
    "changed_date_format": other_dates,
    "duplicated": all_twice,
    "repeating_page": same_page,
    "wrong_charset_utf16": not_utf8,
    "wrong_charset_latin1": not_utf8,
    "symbol_renamed": renamed_at_once,
}


def test_every_fault_has_a_check() -> None:
    assert set(CHECKS) == {fault.name for fault in FAULTS}
    assert all(fault.description for fault in FAULTS)


@pytest.mark.parametrize("name", sorted(set(CHECKS) - {"symbol_renamed"}))
def test_fault(name: str, site: Replica, session: requests.Session) -> None:
    site.arm(name)
    CHECKS[name](site, session)


def test_fault_that_changes_the_world(session: requests.Session) -> None:
    with replica(companies=20, others=2) as site:
        site.arm("symbol_renamed")
        CHECKS["symbol_renamed"](site, session)


@pytest.mark.parametrize(
    ("host", "path", "pattern"),
    [
        ("IBBI", "/public-announcement", "Debtor Company"),
        ("IBBI", "/orders/nclt", "Date of Order"),
        ("NSE", "/api/integrated-filing-results?from_date=01-05-2025", '"quarterEnd"'),
        ("BSE_API", SCRIPS, '"ScripCode"'),
        ("BSE_API", f"{RESULT}?scrip_cd=1&qtr=1", '"description"'),
        ("MONEYCONTROL", "/mccode/common/autosuggestion_solr.php?query=x", '"stock_id"'),
        ("WORLDBANK", MACRO, '"iso3"'),
    ],
)
def test_header_changes_in_each_source(
    get: Get, site: Replica, host: str, path: str, pattern: str
) -> None:
    assert pattern not in get(host, path).text
    site.arm("changed_header")
    assert pattern in get(host, path).text


@pytest.mark.parametrize(
    ("host", "path", "pattern"),
    [
        ("IBBI", "/public-announcement", r"\d{4}/\d\d/\d\d"),
        ("IBBI", "/orders/nclt", r"[A-Z][a-z]{2} \d\d \d{4}"),
        ("NSE", "/api/integrated-filing-results?from_date=01-05-2025", r"2025\.SEP\.30"),
        ("WORLDBANK", MACRO, r'"date": "YR\d{4}"'),
    ],
)
def test_dates_change_in_each_source(
    get: Get, site: Replica, host: str, path: str, pattern: str
) -> None:
    assert not re.search(pattern, get(host, path).text)
    site.arm("changed_date_format")
    assert re.search(pattern, get(host, path).text)


def test_rows_are_doubled_in_each_kind_of_document(get: Get, site: Replica) -> None:
    for host, path, marker in (
        ("IBBI", "/public-announcement", "<tr>"),
        ("IBBI", EXPORT, "\nPublic"),
        ("BSE_API", SCRIPS, '"SCRIP_CD"'),
    ):
        plain = get(host, path).text.count(marker)
        site.arm("duplicated")
        head = 1 if marker == "<tr>" else 0
        assert get(host, path).text.count(marker) == 2 * (plain - head) + head


def test_fault_is_counted_and_matched(get: Get, site: Replica) -> None:
    site.arm("500", match="/ibbi/orders", times=2, skip=1)
    asked = ["/robots.txt", "/", "/orders/nclt", "/public-announcement"] + ["/orders/nclt"] * 3
    codes = [get("IBBI", path).status_code for path in asked]
    assert codes == [404, 200, 200, 200, 500, 500, 200]


def test_robots_are_struck_only_by_a_match_of_the_whole(get: Get, site: Replica) -> None:
    site.arm("503", match="/nse/robots.txt", times=0)
    assert get("NSE", "/robots.txt").status_code == 503
    assert get("NSE", "/").status_code == 200


def test_unknown_fault_is_refused(site: Replica, get: Get) -> None:
    with pytest.raises(ValueError, match="unknown fault 'flood'; known: 403_until_warm_up"):
        site.arm("flood")
    reply = requests.get(f"{site.root}/_control/arm?fault=flood", timeout=10)
    assert reply.status_code == 400
    assert "unknown fault" in reply.json()["error"]


def test_control_from_another_process(site: Replica, get: Get) -> None:
    asked = {"fault": "503", "match": "/worldbank/", "times": "1"}
    assert requests.get(f"{site.root}/_control/arm", params=asked, timeout=10).json() == {
        "ok": True
    }
    assert get("WORLDBANK", MACRO).status_code == 503
    assert get("WORLDBANK", MACRO).status_code == 200
    known = requests.get(f"{site.root}/_control/faults", timeout=10).json()
    assert list(known) == [fault.name for fault in FAULTS]
    site.arm("500", times=0)
    requests.get(f"{site.root}/_control/disarm", timeout=10)
    assert get("WORLDBANK", MACRO).ok


def test_requests_are_kept(site: Replica, get: Get) -> None:
    before = len(site.requests)
    get("NSE", "/api/integrated-filing-results?symbol=M%26M")
    site.arm("429")
    get("OGD", "/resource/x")
    plain, struck = site.requests[before:]
    assert (plain.site, plain.path) == ("nse", "/nse/api/integrated-filing-results?symbol=M%26M")
    assert plain.headers["User-Agent"].startswith("python-requests")
    assert (plain.status, plain.fault) == (200, "")
    assert (struck.status, struck.fault) == (429, "429")
    assert plain.at <= struck.at <= time.time()
    told = requests.get(f"{site.root}/_control/requests", timeout=10).json()
    assert told[-1]["fault"] == "429"


def test_nothing_is_left_behind() -> None:
    before = set(threading.enumerate())
    with requests.Session() as session:
        with replica(companies=20, others=0) as site:
            session.get(site.url("NSE"), timeout=10)  # stays open: keep-alive
            site.arm("slow_drip")
            dripping = session.get(site.url("NSE_ARCHIVES", EQUITIES), timeout=10, stream=True)
            dripping.raw.read1(1)
            assert len(set(threading.enumerate()) - before) >= 2
        dripping.close()
        with pytest.raises(requests.ConnectionError):
            session.get(site.url("NSE"), timeout=2)
    assert not set(threading.enumerate()) - before


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_by_hand(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, str(REPO / "tests/replica.py"), "--companies", "20"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        lines = [running.stdout.readline().strip() for _ in SITES]
        settings = dict(line.removeprefix("export ").split("=", 1) for line in lines)
        assert set(settings) == {f"SCRAPING_BASE_URL_{name}" for name in SITES}
        url = settings["SCRAPING_BASE_URL_WORLDBANK"] + MACRO
        assert requests.get(url, timeout=10).json()[0]["total"] == 65
        running.send_signal(end)
        assert running.wait(timeout=10) == 0


def test_port_in_use_is_told_in_a_line(site: Replica, tmp_path: Path) -> None:
    port = site.root.rpartition(":")[2]
    command = [sys.executable, str(REPO / "tests/replica.py"), "--companies", "20", "--port", port]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"cannot start on port {port}: " in done.stderr
    assert "Traceback" not in done.stderr


def test_few_companies_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 20 companies"), replica(companies=5):
        pass
