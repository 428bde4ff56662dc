"""NSE's lists, results and XBRL: replicas worked by hand, the real files, and damaged ones."""

from __future__ import annotations

import csv
import gzip
import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from documents import (
    ANYTHING,
    WORDS,
    Site,
    agree,
    case,
    case_id,
    cases,
    damaged,
    fixture,
    only_told_errors,
    snapshot,
)
from hypothesis import given
from hypothesis import strategies as st

from scraping.identifiers import cin_of, isin_of, issuer_of
from scraping.records import distinct_rows
from scraping.source import ParseError
from scraping.sources import nse_indices, nse_integrated, nse_listings, nse_results, nse_xbrl
from scraping.sources.nse_results import xbrl_path
from warehouse import store

MODULES = (nse_indices, nse_listings, nse_results, nse_integrated, nse_xbrl)
BY_NAME = {module.SOURCE.name: module for module in MODULES}
JSON = (nse_results, nse_integrated)


def read(source: str, name: str) -> Any:
    return json.loads(fixture(source, name))


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_replicas_are_read_as_worked_by_hand(path: Path) -> None:
    document, expected = case(path)
    public = replace(document, url="https://www.nseindia.com/api/a-list")
    agree(BY_NAME[path.parent.name].parse(public), expected)


def test_there_are_replicas_of_each_source() -> None:
    assert Counter(path.parent.name for path in cases(*MODULES)) == {
        "nse_indices": 1,
        "nse_listings": 3,
        "nse_results": 1,
        "nse_integrated": 1,
        "nse_xbrl": 1,
    }


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_rows_fit_their_table(path: Path, db: Path) -> None:
    document, _ = case(path)
    module = BY_NAME[path.parent.name]
    with store.connect(db, create=True) as connection:
        for row in module.parse(document).rows:
            table = str(row.pop("_table", module.SOURCE.table))
            if table == "statement_line":
                row["company_id"] = row.pop("nse_symbol")
                del row["isin"], row["bse_code"]
            row |= {"snapshot_id": 1, "row_number": 1}
            row.setdefault("source", module.SOURCE.name)
            columns = ", ".join(row)
            marks = ", ".join("?" for _ in row)
            connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", [*row.values()])
        missing = set(module.SOURCE.expect.unique) - set(row)
    assert not missing or table == "identity_change"


# -- Identifiers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "isin",
    [
        "US0378331005",  # the examples of ISO 6166
        "AU0000XVGZA3",
        "GB0002634946",
        "INE002A01018",
        "INE009A01021",
        "INE467B01029",
    ],
)
def test_real_isins_are_valid(isin: str) -> None:
    assert isin_of(f" {isin.lower()} ") == isin


@given(st.sampled_from(["INE002A01018", "US0378331005"]), st.integers(0, 11), st.integers(1, 9))
def test_a_wrong_digit_is_noticed(isin: str, at: int, by: int) -> None:
    if isin[at].isdigit():
        wrong = isin[:at] + str((int(isin[at]) + by) % 10) + isin[at + 1 :]
        with pytest.raises(ValueError, match="check digit is wrong"):
            isin_of(wrong)


@pytest.mark.parametrize("text", [None, "", "INE002A0101", "INE002A010188", "1NE002A01018", "-"])
def test_what_is_no_isin_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError, match="expected an ISIN, got"):
        isin_of(text)


def test_isins_of_one_issuer() -> None:
    assert issuer_of("INE9Q3Z01012") == issuer_of("INE9Q3Z01020") != issuer_of("INE9Q1Z01016")


def test_a_company_number() -> None:
    assert cin_of(" l17110gj1992plc999801\n") == "L17110GJ1992PLC999801"


@pytest.mark.parametrize(
    "text", [None, "", "AAA-1234", "F01234", "L17110GJ3036PLC999801", "L17110GJ1992PLC99980"]
)
def test_what_is_no_company_number_is_refused(text: str | None) -> None:
    with pytest.raises(ValueError, match="expected a CIN"):
        cin_of(text)


def test_rows_that_contradict_each_other_are_all_quarantined() -> None:
    records = [(1, {"k": "a", "v": "1"}), (2, {"k": "a", "v": "2"}), (3, {"k": "b", "v": "3"})]
    parsed = distinct_rows([*records, records[2]], dict, ("k",))
    assert parsed.rows == [{"k": "b", "v": "3"}]
    assert [bad.row_number for bad in parsed.bad] == [1, 2]


# -- A format that changed -------------------------------------------------------------------------

TABLES = [
    (nse_indices, "members.csv", "index", "nifty500", 0),
    (nse_listings, "equity_l.csv", "file", "EQUITY_L", 3),
    (nse_listings, "namechange.csv", "file", "namechange", 2),
]


@pytest.mark.parametrize(("module", "name", "key", "value", "column"), TABLES)
@pytest.mark.parametrize("change", ["renamed", "added", "taken away", "moved"])
def test_another_header_is_refused(
    module: Any, name: str, key: str, value: str, column: int, change: str
) -> None:
    text = fixture(module.SOURCE.name, name).decode("cp1252")
    header, _, rows = text.partition("\n")
    cells = header.split(",")
    cells = {
        "renamed": [*cells[:column], "Ticker", *cells[column + 1 :]],
        "added": [*cells, "Ticker"],
        "taken away": [*cells[:column], *cells[column + 1 :]],
        "moved": [*cells[1:], cells[0]],
    }[change]
    with pytest.raises(ParseError, match="expected the header") as caught:
        module.parse(snapshot(",".join(cells) + "\n" + rows, {key: value}))
    assert str(cells[-1].strip()) in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "SM_KEY_SYMBOL,SM_NEW,SM_OLD,SM_DATE\nA,B,C,01-JAN-2020\n",
        "A Limited,OLD,NEW\n",
        "A Limited,OLD,NEW,2020-01-01\n",
    ],
)
def test_another_table_of_symbols_is_refused(text: str) -> None:
    with pytest.raises(ParseError, match="the format has changed: expected rows of company"):
        nse_listings.parse(snapshot(text, {"file": "symbolchange"}))


def rows_in(module: Any) -> tuple[Any, list[dict[str, Any]]]:
    """A JSON answer of the source, and the list of rows inside it."""
    if module is nse_results:
        answer = read("nse_results", "annual.json")
        return answer, answer
    answer = read("nse_integrated", "page.json")
    return answer, answer["data"]


@pytest.mark.parametrize("module", JSON)
def test_another_field_is_refused(module: Any) -> None:
    answer, rows = rows_in(module)
    rows[3]["marketCap"] = "1"
    with pytest.raises(ParseError, match=r"row 4: the format has changed: unknown \['marketCap'\]"):
        module.parse(snapshot(answer))


@pytest.mark.parametrize(
    ("module", "field"), [(m, field) for m in JSON for field in m.SOURCE.columns]
)
def test_a_field_that_is_not_there_is_named(module: Any, field: str) -> None:
    answer, rows = rows_in(module)
    del rows[1][field]
    with pytest.raises(ParseError, match=rf"row 2: the format has changed.*missing \['{field}'\]"):
        module.parse(snapshot(answer))


@pytest.mark.parametrize("module", JSON)
def test_every_field_is_declared_once(module: Any) -> None:
    _, rows = rows_in(module)
    declared = [*module.SOURCE.columns, *module.SOURCE.ignored]
    assert sorted(declared) == sorted(rows[0])


@pytest.mark.parametrize(
    "body",
    [
        {"data": [], "msg": "no data found"},
        {"data": [], "size": 20, "page": 1, "totalCount": "6"},
        {"data": [], "size": 20, "page": 1, "totalCount": -1},
        {"data": [], "size": 20, "page": 1, "totalCount": True},
        {"data": {}, "size": 20, "page": 1, "totalCount": 1},
        {"data": ["x"], "size": 20, "page": 1, "totalCount": 1},
        [],
        "[1",
        "null",
    ],
)
def test_another_page_of_filings_is_refused(body: Any) -> None:
    with pytest.raises(ParseError):
        nse_integrated.parse(snapshot(body))


@pytest.mark.parametrize(
    "body", [{"data": [], "msg": "no data found"}, "<html>", "", ["x"], [[]], "[NaN]", "[1e999"]
)
def test_another_list_of_results_is_refused(body: Any) -> None:
    with pytest.raises(ParseError, match=r"expected (JSON|a list of rows|an object)"):
        nse_results.parse(snapshot(body))


def test_a_company_without_results_is_legal() -> None:
    assert nse_results.parse(snapshot("[]")).rows == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"toDate": "31/12/2024"}, "expected a date like %d-%b-%Y, got '31/12/2024'"),
        ({"fromDate": "31-Mar-2024"}, "expected a period that is over"),
        ({"financialYear": "2024-2025"}, "expected a date like %d-%b-%Y, got '2024-2025'"),
        ({"financialYear": "01-Apr-2023 To 31-Mar-2026"}, "expected a fiscal year"),
        ({"financialYear": "31-Mar-2024 To 01-Apr-2023"}, "expected a fiscal year"),
        ({"broadCastDate": "24-05-2024"}, "expected a date like %d-%b-%Y %H:%M:%S or"),
        ({"audited": None}, "audited: expected Audited or Un-Audited, got None"),
        ({"seqNumber": ""}, "expected the number of a filing, got ''"),
        ({"seqNumber": "12x"}, "expected the number of a filing, got '12x'"),
        ({"isin": "INE9Q1Z01017"}, "expected an ISIN, got 'INE9Q1Z01017'"),
        ({"companyName": "-"}, "expected a company's name, got '-'"),
    ],
)
def test_a_wrong_result_is_quarantined(change: dict[str, Any], reason: str) -> None:
    row = read("nse_results", "annual.json")[0] | change
    parsed = nse_results.parse(snapshot([row]))
    assert parsed.rows == []
    assert parsed.bad[0].reason.startswith(reason)


def test_a_result_may_come_without_its_fiscal_year() -> None:
    row = read("nse_results", "annual.json")[0] | {"financialYear": "-", "isin": None}
    (parsed,) = nse_results.parse(snapshot([row])).rows
    assert (parsed["fiscal_year_start"], parsed["fiscal_year_end"], parsed["isin"]) == (None,) * 3


# -- Links to XBRL files ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "link", [None, "", "-", "https://nsearchives.nseindia.com/corporate/xbrl/-", "x/null"]
)
def test_there_is_no_file(link: str | None) -> None:
    assert xbrl_path(link, "https://www.nseindia.com/api/x") is None


@pytest.mark.parametrize(
    "link",
    [
        "https://example.com/corporate/xbrl/A_1.xml",
        "http://nsearchives.nseindia.com/corporate/xbrl/A_1.xml",
        "https://nsearchives.nseindia.com.example.com/corporate/xbrl/A_1.xml",
        "https://nsearchives.nseindia.com/corporate/xbrl/../../A_1.xml",
        "https://nsearchives.nseindia.com/corporate/xbrl/A_1.xml?x=1",
        "https://nsearchives.nseindia.com/corporate/other/A_1.xml",
        "/corporate/xbrl/A_1.xml",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused(link: str) -> None:
    with pytest.raises(ValueError, match="expected an XBRL file of"):
        xbrl_path(link, "https://www.nseindia.com/api/corporates-financial-results?symbol=A")


def test_a_replica_may_name_its_own_files_whatever_the_settings() -> None:
    link = "http://127.0.0.1:8001/archives/corporate/xbrl/A_1.xml"
    assert xbrl_path(link, "http://127.0.0.1:8000/nse/api/x") == link
    with pytest.raises(ValueError, match="expected an XBRL file of"):
        xbrl_path(link, "https://www.nseindia.com/api/x")
    public = "https://nsearchives.nseindia.com/corporate/xbrl/A_1.xml"
    assert xbrl_path(public, "http://127.0.0.1:8000/nse/api/x") == "/corporate/xbrl/A_1.xml"


# -- Crawls ----------------------------------------------------------------------------------------


def companies(number: int) -> list[dict[str, object]]:
    return [
        {"company_id": f"C{at}", "nse_symbol": f"S{at}", "isin": "INE9Q1Z01016"}
        for at in range(number)
    ]


def result_of(symbol: str) -> dict[str, Any]:
    return read("nse_results", "annual.json")[0] | {"symbol": symbol}


def crawl_results(number: int, empty: int) -> Site:
    """A crawl of companies of which the last ones have no result."""
    some = {f"S{at}" for at in range(number - empty)}

    def answer(_: str, asked: dict[str, str]) -> object:
        has = asked["symbol"] in some and asked["period"] == "Quarterly"
        return [result_of(asked["symbol"])] if has else []

    site = Site(nse_results, answer, companies(number))
    nse_results.crawl(site)
    return site


def test_both_lists_of_each_company_are_asked_for() -> None:
    site = crawl_results(2, 1)
    path = "/api/corporates-financial-results"
    assert site.asked == [
        (path, {"index": "equities", "symbol": symbol, "period": period})
        for symbol in ("S0", "S1")
        for period in ("Annual", "Quarterly")
    ]
    assert dict(site.got[1].about) == {
        "symbol": "S0",
        "isin": "INE9Q1Z01016",
        "period": "Quarterly",
    }
    assert [len(nse_results.parse(got).rows) for got in site.got] == [0, 1, 0, 0]


@pytest.mark.parametrize(("number", "empty"), [(10, 5), (9, 9), (11, 5)])
def test_some_companies_may_have_no_result(number: int, empty: int) -> None:
    assert not crawl_results(number, empty).failures


@pytest.mark.parametrize(("number", "empty"), [(10, 6), (10, 10), (11, 6)])
def test_a_site_that_answers_with_nothing_is_noticed(number: int, empty: int) -> None:
    with pytest.raises(ParseError, match=f"{empty} of {number} companies have no result"):
        crawl_results(number, empty)


def test_a_company_that_fails_does_not_stop_the_others() -> None:
    def answer(_: str, asked: dict[str, str]) -> object:
        return {"S0": None, "S1": {"error": 1}}.get(asked["symbol"], [result_of("S2")])

    site = Site(nse_results, answer, companies(3))
    nse_results.crawl(site)
    assert [failure.split(":")[0] for failure in site.failures] == ["S0", "S1"]
    assert len(nse_results.parse(site.got[-1]).rows) == 1


def test_without_the_lists_of_changes_there_is_still_the_list() -> None:
    body = fixture("nse_listings", "equity_l.csv")
    site = Site(nse_listings, lambda path, _: body if path.endswith("EQUITY_L.csv") else None)
    nse_listings.crawl(site)
    assert [failure.split(":")[0] for failure in site.failures] == [
        "symbolchange.csv",
        "namechange.csv",
    ]
    assert len(nse_listings.parse(site.got[0]).rows) == 2


def test_the_index_is_one_file() -> None:
    site = Site(nse_indices, lambda *_: fixture("nse_indices", "members.csv"))
    nse_indices.crawl(site)
    assert site.asked == [("/content/indices/ind_nifty500list.csv", {})]
    assert len(nse_indices.parse(site.got[0]).rows) == 4


def page_of(ids: list[int], total: int) -> dict[str, Any]:
    row = read("nse_integrated", "page.json")["data"][0]
    data = [row | {"symbol": "S0", "seq_Id": str(number)} for number in ids]
    return {"data": data, "size": 100, "page": -1, "totalCount": total}


def crawl_pages(*pages: dict[str, Any]) -> Site:
    site = Site(nse_integrated, lambda _, asked: pages[int(asked["page"]) - 1], companies(1))
    nse_integrated.crawl(site)
    return site


def test_pages_are_fetched_until_all_rows_are_there() -> None:
    site = crawl_pages(page_of([1, 2], 5), page_of([3, 4], 5), page_of([5], 5), page_of([], 5))
    assert not site.failures
    assert [asked["page"] for _, asked in site.asked] == ["1", "2", "3"]
    assert site.asked[0][1] == {
        "index": "equities",
        "symbol": "S0",
        "type": "Integrated Filing- Financials",
        "size": "100",
        "page": "1",
    }
    parsed = [row["filing_id"] for got in site.got for row in nse_integrated.parse(got).rows]
    assert parsed == [f"nse-integrated-{number}" for number in range(1, 6)]


@pytest.mark.parametrize(
    ("pages", "failure"),
    [
        ((page_of([1, 2], 4), page_of([1, 2], 4)), "expected new rows, got '1' again"),
        ((page_of([1, 2], 4), page_of([3, 2], 4)), "expected new rows, got '2' again"),
        ((page_of([1, 2], 4), page_of([], 4)), "expected 4 rows in all, got 2"),
        ((page_of([], 4),), "expected 4 rows in all, got 0"),
    ],
)
def test_pages_that_repeat_or_end_early_are_noticed(pages: Any, failure: str) -> None:
    (told,) = crawl_pages(*pages).failures
    assert failure in told


def test_one_company_without_integrated_filings_is_legal() -> None:
    assert not crawl_pages(page_of([], 0)).failures


def test_no_integrated_filing_of_anyone_is_noticed() -> None:
    site = Site(nse_integrated, lambda *_: page_of([], 0), companies(10))
    with pytest.raises(ParseError, match="got none of any of 10 companies"):
        nse_integrated.crawl(site)


# -- XBRL ------------------------------------------------------------------------------------------

ABOUT = {"symbol": "ARAVLOOM", "isin": "INE9Q1Z01016", "basis": "consolidated"}


def xbrl(about: dict[str, str], *changes: tuple[str, str]) -> Any:
    text = fixture("nse_xbrl", "annual.xml").decode()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    return nse_xbrl.parse(snapshot(text, about))


def test_a_file_of_another_basis_is_refused() -> None:
    with pytest.raises(ParseError, match="expected a standalone result, got a consolidated one"):
        xbrl({**ABOUT, "basis": "standalone"})


def test_a_file_of_another_company_is_refused() -> None:
    with pytest.raises(ParseError, match="expected a result of INE9Q2Z01014, got one of 'INE9Q1Z"):
        xbrl({**ABOUT, "isin": "INE9Q2Z01014"})


def test_a_file_of_the_shares_before_a_split_is_the_companys() -> None:
    rows = xbrl({**ABOUT, "isin": "INE9Q3Z01020"}, ("INE9Q1Z01016", "INE9Q3Z01012")).rows
    assert {row["isin"] for row in rows} == {"INE9Q3Z01020"}


def test_a_file_that_names_no_basis_has_that_of_the_list() -> None:
    stated = ">Consolidated</in-bse-fin:NatureOfReportStandaloneConsolidated>"
    nothing = "></in-bse-fin:NatureOfReportStandaloneConsolidated>"
    rows = xbrl({**ABOUT, "basis": "standalone"}, (stated, nothing)).rows
    assert {row["basis"] for row in rows} == {"standalone"}


def test_a_file_without_broadcast_is_known_from_its_approval() -> None:
    assert {row["filed_at"] for row in xbrl(ABOUT).rows} == {date(2023, 5, 19)}


def test_what_is_no_xbrl_is_refused() -> None:
    with pytest.raises(ParseError):
        nse_xbrl.parse(snapshot("<html></html>", ABOUT))


def test_real_file_of_a_half_year(shared: Path) -> None:
    body = (shared / "fixtures/xbrl/INDAS_ASIANPAINT_H1FY24_consolidated.xml").read_bytes()
    about = {"symbol": "ASIANPAINT", "isin": "INE021A01026", "basis": "consolidated"}
    parsed = nse_xbrl.parse(snapshot(body, {**about, "broadcast_at": "2023-10-26T15:00:00"}))
    found = {row["item"]: row for row in parsed.rows}
    # As the file has it: RevenueFromOperations in FourD 176,608,800,000 rupees, Assets in OneI.
    assert found["sales"]["value"] == pytest.approx(17660.88)
    assert {row["note"] for row in parsed.rows} == {"interim"}
    assert {row["months"] for row in parsed.rows} == {6}
    assert found["sales"]["filed_at"] == date(2023, 10, 26)
    with pytest.raises(ParseError, match="expected a standalone result"):
        nse_xbrl.parse(snapshot(body, {**about, "basis": "standalone"}))


A, B, C = "INE9Q1Z01016", "INE9Q3Z01012", "INE9Q5Z01017"
FILINGS = [
    # filing, symbol, ISIN, period end, year end, audited, broadcast, path
    ("q4", "AAA", A, "2024-03-31", "2024-03-31", False, "2024-05-01 10:00", "/a24.xml"),
    ("year", "AAA", A, "2024-03-31", "2024-03-31", True, "2024-05-01 10:01", "/a24.xml"),
    ("again", "AAA", None, "2024-03-31", None, True, "2024-07-01 10:00", "/a24-revised.xml"),
    ("q1", "AAA", A, "2024-06-30", "2025-03-31", False, "2024-08-01 10:00", "/q1.xml"),
    ("none", "AAA", A, "2023-03-31", "2023-03-31", True, "2023-05-01 10:00", None),
    ("dec", "AAA", A, "2022-12-31", "2022-12-31", False, "2023-02-01 10:00", "/d.xml"),
    ("old", "OLDB", B, "2020-03-31", "2020-03-31", True, "2020-06-01 10:00", "/b20.xml"),
    ("other", "CCC", C, "2024-03-31", "2024-03-31", True, "2024-05-02 10:00", "/c.xml"),
]


def test_files_are_wanted_that_may_hold_a_year_of_a_company_of_the_universe(db: Path) -> None:
    with store.connect(db, create=True) as connection:
        for company, symbol, isin in [("A", "AAA", "INE9Q1Z01016"), ("B", "BBB", "INE9Q3Z01020")]:
            connection.execute(
                "INSERT INTO company (company_id, nse_symbol, isin, in_nifty500, snapshot_id)"
                " VALUES (?, ?, ?, true, 1)",
                [company, symbol, isin],
            )
        for name, symbol, isin, end, year_end, audited, at, path in FILINGS:
            connection.execute(
                "INSERT INTO filing BY NAME SELECT ? AS filing_id, ? AS symbol, ? AS isin,"
                " 'x' AS company_name, 'consolidated' AS basis, CAST(? AS DATE) AS period_end,"
                " CAST(? AS DATE) AS fiscal_year_end, ? AS audited, ? = 'again' AS revision,"
                " CAST(? AS TIMESTAMP) AS broadcast_at, ? AS xbrl_path, 'x' AS source,"
                " 1 AS snapshot_id, 1 AS row_number",
                [name, symbol, isin, end, year_end, audited, name, at, path],
            )
        cursor = connection.execute(nse_xbrl.SOURCE.wants)
        names = [column[0] for column in cursor.description]
        wanted = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
    site = Site(nse_xbrl, lambda *_: fixture("nse_xbrl", "annual.xml"), wanted)
    nse_xbrl.crawl(site)
    assert [path for path, _ in site.asked] == [
        "/a24-revised.xml",
        "/a24.xml",
        "/d.xml",
        "/b20.xml",
    ]
    assert site.kept == [True] * 4
    assert [got.about["company_id"] for got in site.got] == ["A", "A", "A", "B"]
    # The revision has no ISIN of its own; the quarter's filing made the file known first.
    assert dict(site.got[0].about) == {
        "company_id": "A",
        "symbol": "AAA",
        "isin": "INE9Q1Z01016",
        "basis": "consolidated",
        "period_end": "2024-03-31",
        "revision": "true",
        "broadcast_at": "2024-07-01T10:00:00",
    }
    assert site.got[1].about["broadcast_at"] == "2024-05-01T10:00:00"


def test_queries_of_what_is_wanted_run_on_an_empty_warehouse(db: Path) -> None:
    with store.connect(db, create=True) as connection:
        for module in MODULES:
            if module.SOURCE.wants:
                assert connection.execute(module.SOURCE.wants).fetchall() == []


# -- The real files --------------------------------------------------------------------------------


def test_real_quarterly_results(shared: Path) -> None:
    path = shared / "fixtures/nse/corporates-financial-results_quarterly.json.gz"
    body = gzip.decompress(path.read_bytes())
    real = json.loads(body)
    parsed = nse_results.parse(snapshot(body))
    assert (len(real), len(parsed.rows), parsed.bad, parsed.notices) == (3809, 3809, [], ())
    assert Counter(row["form"] for row in parsed.rows) == {
        "Ind-AS": 3528,
        "NBFC": 212,
        "bank": 65,
        "old GAAP": 4,
    }
    assert Counter(row["basis"] for row in parsed.rows) == {
        "standalone": 2181,
        "consolidated": 1628,
    }
    assert sum(row["audited"] is True for row in parsed.rows) == 217
    assert sum(row["xbrl_path"] is None for row in parsed.rows) == 13
    assert sum(row["isin"] is None for row in parsed.rows) == 2  # IN0000000000
    for row, theirs in zip(parsed.rows, real, strict=True):
        assert row["filing_id"] == f"nse-{theirs['seqNumber']}"
        name = str(row["xbrl_path"] or "").rsplit("/", 1)[-1]
        assert theirs["xbrl"].endswith(name or "-")
        if name:  # the form that the fields say is the one that the file is named by
            assert nse_results.form_of_file(name) == row["form"]
        told = row["broadcast_at"].strftime("%d-%b-%Y %H:%M:%S")
        assert (told, row["period_end"]) == (theirs["broadCastDate"], date(2024, 12, 31))


def test_real_annual_results(shared: Path) -> None:
    body = (shared / "fixtures/nse/corporates-financial-results_annual.json").read_bytes()
    parsed = nse_results.parse(snapshot(body))
    assert (len(parsed.rows), parsed.bad, parsed.notices) == (29, [], ())
    assert {(row["period_start"], row["period_end"]) for row in parsed.rows} == {
        (date(2024, 1, 1), date(2024, 12, 31))
    }
    assert {(row["fiscal_year_start"], row["fiscal_year_end"]) for row in parsed.rows} == {
        (date(2024, 1, 1), date(2024, 12, 31))
    }
    assert all(row["audited"] and row["xbrl_path"] for row in parsed.rows)
    assert len({row["symbol"] for row in parsed.rows}) == 17


def test_retyped_integrated_filings(shared: Path) -> None:
    body = (shared / "fixtures/nse/integrated-filing-results.retyped.json").read_bytes()
    parsed = nse_integrated.parse(snapshot(body))
    assert (parsed.bad, parsed.notices) == ([], ())
    found = [
        (row["filing_id"], row["symbol"], row["basis"], row["revision"], row["broadcast_at"])
        for row in parsed.rows
    ]
    at = datetime
    assert found == [
        ("nse-integrated-175608", "RELIANCE", "consolidated", False, at(2026, 7, 17, 19, 50, 3)),
        ("nse-integrated-175606", "RELIANCE", "standalone", False, at(2026, 7, 17, 19, 49, 4)),
        ("nse-integrated-152826", "RELIANCE", "consolidated", False, at(2026, 4, 24, 22, 57, 12)),
        ("nse-integrated-152825", "RELIANCE", "standalone", False, at(2026, 4, 24, 22, 56, 47)),
        ("nse-integrated-194882", "INTERARCH", "standalone", True, at(2026, 9, 19, 15, 17, 4)),
        ("nse-integrated-194881", "HARSHA", "standalone", True, at(2026, 9, 19, 15, 5, 18)),
    ]
    assert {row["form"] for row in parsed.rows} == {"Ind-AS"}


@pytest.mark.parametrize(
    ("name", "members", "day"),
    [
        ("ind_nifty500list_2019-10-08.csv", 501, date(2019, 10, 8)),
        ("ind_nifty500list_2023-01-18.csv", 501, date(2023, 1, 18)),
        ("ind_nifty500list_2023-08-15.csv", 501, date(2023, 8, 15)),
        ("ind_nifty500list_2025-09-03.csv", 499, date(2025, 9, 3)),
    ],
)
def test_real_lists_of_the_index(shared: Path, name: str, members: int, day: date) -> None:
    path = shared / "fixtures/listings" / name
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    parsed = nse_indices.parse(snapshot(path.read_bytes(), at=at))
    assert (len(parsed.rows), parsed.bad, parsed.notices) == (members, [], ())
    with path.open(encoding="utf-8", newline="") as file:
        theirs = {(row["Symbol"], row["ISIN Code"]) for row in csv.DictReader(file)}
    assert {(row["symbol"], row["isin"]) for row in parsed.rows} == theirs
    assert {row["list_date"] for row in parsed.rows} == {day}


def test_real_list_of_equities(shared: Path) -> None:
    body = (shared / "fixtures/listings/EQUITY_L_2025-11.csv").read_bytes()
    parsed = nse_listings.parse(snapshot(body, {"file": "EQUITY_L"}))
    assert (len(parsed.rows), parsed.bad) == (2200, [])
    assert Counter(row["series"] for row in parsed.rows) == {"EQ": 2025, "BE": 141, "BZ": 34}
    found = {row["code"]: row for row in parsed.rows}
    assert found["20MICRONS"]["listed_on"] == date(2008, 10, 6)
    assert found["ARE&M"]["isin"] == "INE885A01032"


# -- Damaged documents -----------------------------------------------------------------------------

FILES = {
    nse_indices: [{}],
    nse_listings: [{"file": name} for name in ("EQUITY_L", "symbolchange", "namechange")],
    nse_results: [{}, {"symbol": "ARAVLOOM", "isin": "INE9Q1Z01016"}],
    nse_integrated: [{}, {"symbol": "ARAVLOOM"}],
    nse_xbrl: [ABOUT],
}
ASKED = [(module, about) for module, abouts in FILES.items() for about in abouts]


@pytest.mark.parametrize(("module", "about"), ASKED)
@given(body=st.binary(max_size=300))
def test_any_bytes(module: Any, about: dict[str, str], body: bytes) -> None:
    only_told_errors(module, body, about)


@pytest.mark.parametrize(("module", "about"), ASKED)
@given(answer=ANYTHING)
def test_any_json(module: Any, about: dict[str, str], answer: Any) -> None:
    only_told_errors(module, json.dumps(answer).encode(), about)


@pytest.mark.parametrize("module", JSON)
@given(data=st.data())
def test_any_value_in_any_field(module: Any, data: st.DataObject) -> None:
    answer, rows = rows_in(module)
    for _ in range(data.draw(st.integers(1, 6))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.sampled_from(sorted(row)))] = data.draw(WORDS | ANYTHING)
    only_told_errors(module, json.dumps(answer).encode(), {"symbol": "ARAVLOOM"})


@pytest.mark.parametrize(
    ("module", "name", "about"),
    [
        (nse_indices, "members.csv", {}),
        (nse_listings, "equity_l.csv", {"file": "EQUITY_L"}),
        (nse_listings, "symbolchange.csv", {"file": "symbolchange"}),
        (nse_listings, "namechange.csv", {"file": "namechange"}),
        (nse_xbrl, "annual.xml", ABOUT),
    ],
)
@given(data=st.data())
def test_any_change_of_a_file(module: Any, name: str, about: Any, data: st.DataObject) -> None:
    only_told_errors(module, damaged(fixture(module.SOURCE.name, name), data), about)
