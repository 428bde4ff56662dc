"""moneycontrol's sources, on replica documents: the search for codes, the pages, the interface."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlencode

import pytest
from documents import (
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
from hypothesis import given, settings
from hypothesis import strategies as st

from scraping.source import ParseError, Snapshot, Source
from scraping.sources import moneycontrol_api, moneycontrol_codes, moneycontrol_pages
from warehouse.items import ITEM_NAMES
from warehouse.moneycontrol_lines import LAYOUTS

MODULES = (moneycontrol_codes, moneycontrol_pages, moneycontrol_api)
BY_NAME = {module.SOURCE.name: module for module in MODULES}


# -- documents --------------------------------------------------------------------------------


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_document_gives_what_was_worked_out_by_hand(path: Path) -> None:
    document, expected = case(path)
    agree(BY_NAME[path.parent.name].parse(document), expected)


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_replicas_say_that_they_are_replicas(path: Path) -> None:
    document, _ = case(path)
    assert b"replica" in document.body.lower()


@pytest.mark.parametrize("source", [module.SOURCE for module in MODULES], ids=lambda s: s.name)
def test_declarations(source: Source) -> None:
    assert source.standing == "reported"
    assert source.cadence_days == 90
    assert not set(source.columns) & set(source.ignored)
    assert "company_id" in source.wants


def test_pages_declare_the_lines_that_are_read() -> None:
    columns = moneycontrol_pages.SOURCE.columns
    assert columns["Total Shareholders Funds"] == "shareholders_funds"
    assert columns["Profit/Loss For The Period"] == "net_profit"
    assert columns["Equity Share Capital"] == "equity_share_capital"
    assert set(columns.values()) <= ITEM_NAMES
    assert set(moneycontrol_pages.ADDRESSES) == set(moneycontrol_api.ADDRESSES) == set(LAYOUTS)


# -- codes ------------------------------------------------------------------------------------

FUZZY: list[dict[str, object]] = json.loads(fixture("moneycontrol_codes", "fuzzy.json"))


def answer(*entries: Mapping[str, object], **about: str) -> Snapshot:
    return snapshot(list(entries), about)


def entry(**changes: object) -> dict[str, object]:
    """The matching entry of the fuzzy answer."""
    return {**FUZZY[1], **changes}


def codes(document: Snapshot) -> list[object]:
    return [row["code"] for row in moneycontrol_codes.parse(document).rows]


def test_the_first_hit_is_not_taken() -> None:
    assert FUZZY[0]["sc_id"] == "BF99"
    assert codes(answer(*FUZZY, isin="INE000B01017", nse_symbol="KOFORJA")) == ["KF99"]
    # Not by the name, not by a part of a symbol, and not by the symbol beside another ISIN.
    assert codes(answer(*FUZZY, isin="INE999Z01011", nse_symbol="KOFORJA")) == []
    assert codes(answer(*FUZZY, nse_symbol="KOFORJ")) == []
    assert codes(answer(*FUZZY, nse_symbol="koforja")) == []
    assert codes(answer(*FUZZY)) == []


def test_symbol_counts_where_one_side_has_no_isin() -> None:
    assert codes(answer(entry(), nse_symbol="KOFORJA")) == ["KF99"]
    bare = entry(pdt_dis_nm="Koforja&nbsp;<span>KOFORJA, 599912</span>")
    assert codes(answer(bare, isin="INE000B01017", nse_symbol="KOFORJA")) == ["KF99"]
    assert codes(answer(bare, isin="INE000B01017")) == []


def test_one_company_under_two_codes_is_quarantined() -> None:
    link = "https://www.moneycontrol.com/india/stockpricequote/x/koforja/KF98"
    parsed = moneycontrol_codes.parse(
        answer(entry(), entry(sc_id="KF98", link_src=link), isin="INE000B01017")
    )
    assert parsed.rows == []
    assert [bad.row_number for bad in parsed.bad] == [1, 2]
    assert "KF98, KF99" in parsed.bad[0].reason


def test_the_same_entry_twice_is_one() -> None:
    assert codes(answer(entry(), entry(), isin="INE000B01017")) == ["KF99"]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"link_src": "https://www.moneycontrol.com/x/koforja/KF98"}, "ends in the name"),
        ({"link_src": "https://www.moneycontrol.com/x/../KF99"}, "ends in the name"),
        ({"link_src": ""}, "ends in the name"),
        ({"sc_id": "../../admin"}, "ends in the name"),
        ({"surprise": 1}, "format has changed"),
    ],
)
def test_entry_that_is_not_as_known_is_refused(changes: dict[str, object], complaint: str) -> None:
    with pytest.raises(ParseError, match=complaint):
        moneycontrol_codes.parse(answer(entry(**changes), isin="INE000B01017"))


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"null", b'["x"]', b"suggest1([])", b"[NaN]", b"\xff"]
)
def test_answer_that_is_no_list_of_entries_is_refused(body: bytes) -> None:
    with pytest.raises(ParseError):
        moneycontrol_codes.parse(snapshot(body, {"isin": "INE000B01017"}))


# -- crawls -----------------------------------------------------------------------------------


def crawled(
    module: Any, documents: Mapping[str, bytes], wanted: list[dict[str, object]]
) -> tuple[Site, list[str]]:
    """The crawl of a site that has these documents, and the addresses that it asked for."""
    site = Site(module, lambda path, asked: documents.get(address(path, asked)), wanted)
    module.crawl(site)
    assert all(isinstance(value, str) for got in site.got for value in got.about.values())
    assert not any(site.kept)
    return site, [address(*asked) for asked in site.asked]


def address(path: str, asked: Mapping[str, str]) -> str:
    return path + (f"?{urlencode(asked)}" if asked else "")


def search(query: str) -> str:
    asked = {"classic": "true", "query": query, "type": "1", "format": "json"}
    return address("/mccode/common/autosuggestion_solr.php", asked)


def test_codes_are_asked_by_isin_then_by_symbol() -> None:
    nothing = fixture("moneycontrol_codes", "nothing.json")
    documents = {
        search("INE000B01017"): fixture("moneycontrol_codes", "fuzzy.json"),
        search("INE000F01017"): nothing,
        search("A&B"): nothing,
        search("ONLYSYM"): nothing,
    }
    site, asked = crawled(
        moneycontrol_codes,
        documents,
        [
            {"company_id": "a", "isin": "INE000B01017", "nse_symbol": "KOFORJA"},
            {"company_id": "b", "isin": "INE000F01017", "nse_symbol": "A&B"},
            {"company_id": "c", "isin": None, "nse_symbol": "ONLYSYM"},
            {"company_id": "d", "isin": "INE000G01015", "nse_symbol": None},
        ],
    )
    assert asked == [*documents, search("INE000G01015")]
    assert len(site.failures) == 1
    assert "code of d" in site.failures[0]
    assert site.got[0].about["company_id"] == "a"
    assert "isin" not in site.got[3].about


NILGIRI: dict[str, object] = {
    "company_id": "NILGIRI",
    "isin": "INE000X01019",
    "nse_symbol": "NILGIRI",
    "bse_code": None,
    "moneycontrol_code": "NA99",
    "moneycontrol_slug": "nilgirialloys",
}
NAMES = ("balance-sheetVI", "profit-lossVI", "cash-flowVI", "ratiosVI")
TITLES = ("Balance Sheet", "Profit & Loss account", "Cash Flow", "Key Financial Ratios")


def nothing_for(title: str) -> bytes:
    return f"<html><h1>Nilgiri Alloys</h1><p>Data Not Available for {title}</p></html>".encode()


def site_without_data() -> dict[str, bytes]:
    return {
        f"/financials/nilgirialloys/{prefix}{name}/NA99": nothing_for(title)
        for prefix in ("", "consolidated-")
        for name, title in zip(NAMES, TITLES, strict=True)
    }


CASH = "/financials/nilgirialloys/cash-flowVI/NA99"


def cash_page(number: int, years: tuple[int, ...], following: str = "") -> bytes:
    """The replica page of cash flows with other years, and another link to the next page."""
    text = fixture("moneycontrol_pages", "cash_flow_standalone.html").decode()
    for old, new in zip((23, 22, 21, 20, 19), years, strict=True):
        text = text.replace(f"<td>Mar {old:02}</td>", f"<td>MAR {new:02}</td>")
    old_link = f"{CASH}/2#NA99"
    assert old_link in text
    return text.replace(old_link, following or f"{CASH}/{number + 1}#NA99").encode()


FIRST, SECOND = (23, 22, 21, 20, 19), (18, 17, 16, 15, 14)


def test_a_company_without_data_is_no_failure() -> None:
    site, asked = crawled(moneycontrol_pages, site_without_data(), [NILGIRI])
    assert site.failures == []
    assert asked == [
        f"/financials/nilgirialloys/{prefix}{name}/NA99"
        for prefix in ("consolidated-", "")
        for name in NAMES
    ]
    assert [moneycontrol_pages.parse(got).rows for got in site.got] == [[]] * 8
    assert "bse_code" not in site.got[0].about


def test_all_pages_are_followed_until_the_pager_ends() -> None:
    documents = {
        **site_without_data(),
        CASH: cash_page(1, FIRST),
        f"{CASH}/2": cash_page(2, SECOND, "#"),
    }
    site, asked = crawled(moneycontrol_pages, documents, [NILGIRI])
    assert site.failures == []
    assert [url for url in asked if url.startswith(CASH)] == [CASH, f"{CASH}/2"]
    rows = [row for got in site.got for row in moneycontrol_pages.parse(got).rows]
    years = {cast("Any", row["fiscal_year_end"]).year for row in rows}
    assert years == {2000 + year for year in FIRST + SECOND}
    assert len(rows) == 40


@pytest.mark.parametrize(
    ("second", "following", "complaint"),
    [
        (FIRST, "", "page repeated"),
        (SECOND, f"{CASH}/7", "link to page 3"),
        (SECOND, "https://elsewhere/next", "ends in /2"),
    ],
    ids=["repeats", "leaps", "leads nowhere"],
)
def test_a_pager_that_misleads_is_a_failure(
    second: tuple[int, ...], following: str, complaint: str
) -> None:
    documents = {
        **site_without_data(),
        CASH: cash_page(1, FIRST),
        f"{CASH}/2": cash_page(2, second, following),
    }
    site, _ = crawled(moneycontrol_pages, documents, [NILGIRI])
    assert len(site.failures) == 1
    assert complaint in site.failures[0]
    assert "standalone cash_flow of NILGIRI" in site.failures[0]


def test_a_last_page_that_leads_to_itself_ends_it() -> None:
    documents = {
        **site_without_data(),
        CASH: cash_page(1, FIRST),
        f"{CASH}/2": cash_page(2, SECOND, f"{CASH}/2#NA99"),
    }
    site, _ = crawled(moneycontrol_pages, documents, [NILGIRI])
    assert site.failures == []


def test_never_more_than_ten_pages() -> None:
    documents = site_without_data()
    for number in range(1, 30):
        years = tuple((79 - 5 * number - k) % 80 for k in range(5))
        documents[CASH if number == 1 else f"{CASH}/{number}"] = cash_page(number, years)
    site, asked = crawled(moneycontrol_pages, documents, [NILGIRI])
    assert len([url for url in asked if url.startswith(CASH)]) == 10
    assert "at most 10 pages" in site.failures[0]


@pytest.mark.parametrize("changes", [{"moneycontrol_slug": "../x"}, {"moneycontrol_code": "A/B"}])
@pytest.mark.parametrize("module", [moneycontrol_pages, moneycontrol_api])
def test_nothing_but_names_and_codes_is_put_into_an_address(
    module: Any, changes: dict[str, object]
) -> None:
    site, asked = crawled(module, {}, [{**NILGIRI, **changes}])
    used = module is moneycontrol_pages or "moneycontrol_code" in changes
    assert (asked == []) == used
    assert site.failures


def test_a_name_with_an_ampersand_is_asked_for() -> None:
    _, asked = crawled(moneycontrol_pages, {}, [{**NILGIRI, "moneycontrol_slug": "old&newmills"}])
    assert asked[0] == "/financials/old&newmills/consolidated-balance-sheetVI/NA99"


def test_interface_is_asked_once_per_statement() -> None:
    path = "/mcapi/v1/quarterly-earning/{}?sc_id=NA99&deviceType=W"
    documents = {
        path.format(part): fixture("moneycontrol_api", f"{statement}.json")
        for statement, part in moneycontrol_api.ADDRESSES.items()
        if statement != "cash_flow"
    }
    site, asked = crawled(moneycontrol_api, documents, [NILGIRI])
    assert asked == [
        path.format(part) for part in ("balance-sheet", "profit-loss", "cash-flow", "ratios")
    ]
    assert len(site.failures) == 1
    rows = [row for got in site.got for row in moneycontrol_api.parse(got).rows]
    assert len(rows) == 12 + 42 + 3


# -- whatever comes ---------------------------------------------------------------------------


@given(st.binary(max_size=200), st.sampled_from(MODULES))
@settings(max_examples=150)
def test_only_input_errors_escape(body: bytes, module: Any) -> None:
    about = {"isin": "INE000B01017", "statement": "cash_flow", "basis": "standalone"}
    for text in (body, b"<html>" + body, b"[" + body + b"]", b'{"data":' + body + b"}"):
        only_told_errors(module, text, about)


@given(st.data(), st.sampled_from(cases(*MODULES)))
@settings(max_examples=150)
def test_only_input_errors_escape_from_damaged_documents(data: st.DataObject, path: Path) -> None:
    document, _ = case(path)
    module = BY_NAME[path.parent.name]
    only_told_errors(module, damaged(document.body, data), document.about)


def test_nothing_is_known_of_the_statement_asked_for() -> None:
    with pytest.raises(ParseError, match="expected one of"):
        moneycontrol_api.parse(snapshot(fixture("moneycontrol_api", "ratios.json")))
