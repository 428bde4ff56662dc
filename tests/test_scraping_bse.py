"""BSE's scrips and results: replicas worked by hand, retyped rows, and damaged documents."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date
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

from scraping.source import ParseError
from scraping.sources import bse_results, bse_scrips
from scraping.sources.bse_results import LABELS, last_completed, quarter_id
from warehouse import store
from warehouse.items import ITEM_NAMES

MODULES = (bse_scrips, bse_results)
BY_NAME = {module.SOURCE.name: module for module in MODULES}
ABOUT = {"bse_code": "599001", "isin": "INE9Q1Z01016", "symbol": "ARAVLOOM", "fiscal_year": "2023"}
PROFIT = "Profit (+)/ Loss (-) from Ordinary Activities before Tax"
REVENUE = "Net Sales/Revenue From Operations"


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_replicas_are_read_as_worked_by_hand(path: Path) -> None:
    document, expected = case(path)
    agree(BY_NAME[path.parent.name].parse(document), expected)


def test_there_are_replicas_of_each_source() -> None:
    assert Counter(path.parent.name for path in cases(*MODULES)) == {
        "bse_scrips": 1,
        "bse_results": 5,
    }


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_rows_fit_their_table(path: Path, db: Path) -> None:
    document, _ = case(path)
    module = BY_NAME[path.parent.name]
    with store.connect(db, create=True) as connection:
        for row in module.parse(document).rows:
            assert set(module.SOURCE.expect.unique) <= set(row)
            if module is bse_results:
                row["company_id"] = row.pop("bse_code")
                del row["isin"], row["nse_symbol"]
            row |= {"snapshot_id": 1, "row_number": 1, "source": module.SOURCE.name}
            marks = ", ".join("?" for _ in row)
            connection.execute(
                f"INSERT INTO {module.SOURCE.table} ({', '.join(row)}) VALUES ({marks})",
                [*row.values()],
            )
        if bse_results.SOURCE.wants:
            assert connection.execute(bse_results.SOURCE.wants).fetchall() == []


# -- Scrips ----------------------------------------------------------------------------------------


def scrips() -> list[dict[str, Any]]:
    return json.loads(fixture("bse_scrips", "delisted.json"))


def test_retyped_scrips(shared: Path) -> None:
    body = (shared / "fixtures/bse/ListofScripData.retyped.json").read_bytes()
    parsed = bse_scrips.parse(snapshot(body, {"status": "Active"}))
    assert (parsed.bad, parsed.notices) == ([], ())
    found = [(row["code"], row["symbol"], row["isin"], row["issuer_name"]) for row in parsed.rows]
    assert found == [
        ("500002", "ABB", "INE117A01022", "ABB India Limited"),
        ("500008", "ARE&M", "INE885A01032", "Amara Raja Energy & Mobility Limited"),
        ("500013", "ANSALAPI", "INE436A01026", "Ansal Properties & Infrastructure Ltd."),
        ("500023", "ASIANHOTNR", "INE363A01022", "Asian Hotels (North) Limited"),
        ("500034", "BAJFINANCE", "INE296A01032", "Bajaj Finance Limited"),
    ]


def test_the_three_lists_are_asked_for_and_the_active_one_comes_last() -> None:
    rows = scrips()[:1]

    def answer(_: str, asked: dict[str, str]) -> object:
        return [rows[0] | {"Status": asked["status"]}]

    site = Site(bse_scrips, answer)
    bse_scrips.crawl(site)
    path = "/BseIndiaAPI/api/ListofScripData/w"
    fixed = {"Group": "", "Scripcode": "", "industry": "", "segment": "Equity"}
    assert site.asked == [
        (path, {**fixed, "status": status}) for status in ("Delisted", "Suspended", "Active")
    ]
    assert [row["status"] for got in site.got for row in bse_scrips.parse(got).rows] == [
        "Delisted",
        "Suspended",
        "Active",
    ]


def test_a_number_is_a_scrip_code_too() -> None:
    (row,) = bse_scrips.parse(snapshot([scrips()[0] | {"SCRIP_CD": 599001, "Mktcap": 1.5}])).rows
    assert row["code"] == "599001"


@pytest.mark.parametrize("body", [[], {"Table": []}, "<html>", [1], "null"])
def test_what_is_no_list_of_scrips_is_refused(body: Any) -> None:
    with pytest.raises(ParseError, match="expected"):
        bse_scrips.parse(snapshot(body))


@pytest.mark.parametrize("field", bse_scrips.SOURCE.columns)
def test_a_field_that_is_not_there_is_named(field: str) -> None:
    rows = scrips()
    del rows[2][field]
    with pytest.raises(ParseError, match=rf"row 3: the format has changed.*missing \['{field}'\]"):
        bse_scrips.parse(snapshot(rows))


def test_another_field_is_refused() -> None:
    rows = [row | {"SCRIP_GRP": "A"} for row in scrips()]
    with pytest.raises(ParseError, match=r"row 1: .*unknown \['SCRIP_GRP'\]"):
        bse_scrips.parse(snapshot(rows))


# -- Results ---------------------------------------------------------------------------------------


def lines(case_name: str = "ind_as") -> dict[str, str]:
    """Lines of a replica, by their names."""
    table = json.loads(fixture("bse_results", f"{case_name}.json"))["table1"]
    return {line["fld_desc"]: line["Value"] for line in table}


def table(said: dict[str, Any]) -> dict[str, Any]:
    return {"table1": [{"fld_desc": name, "Value": value} for name, value in said.items()]}


def items(said: dict[str, Any], **about: str) -> dict[str, Any]:
    """Item → INR crore."""
    parsed = bse_results.parse(snapshot(table(said), {**ABOUT, **about}))
    return {str(row["item"]): row["value"] for row in parsed.rows}


def unsound(said: dict[str, Any]) -> str:
    """Why the whole result is quarantined."""
    parsed = bse_results.parse(snapshot(table(said), ABOUT))
    assert parsed.rows == []
    (bad,) = parsed.bad
    assert (bad.row_number, bad.content[:12]) == (0, "2023-03-31: ")
    return bad.reason


def notices(said: dict[str, Any]) -> tuple[str, ...]:
    return bse_results.parse(snapshot(table(said), ABOUT)).notices


def test_every_line_is_of_a_canonical_item_and_named_once() -> None:
    assert {key for key in LABELS if not key.startswith("_")} <= ITEM_NAMES
    assert set(bse_results.COSTS) <= set(LABELS)
    names = [label.casefold() for labels in LABELS.values() for label in labels]
    assert len(names) == len(set(names))
    kept_out = [name for name in names if bse_results.NOT_KEPT.fullmatch(name)]
    assert kept_out == []


@pytest.mark.parametrize(
    ("year", "month", "number"),
    [(2007, 12, 56), (2008, 3, 57), (2015, 3, 85), (2015, 6, 86), (2024, 3, 121), (2026, 6, 130)],
)
def test_numbers_of_quarters_are_those_that_are_reported(
    year: int, month: int, number: int
) -> None:
    assert quarter_id(year, month) == number


@pytest.mark.parametrize(
    ("day", "year"),
    [(date(2026, 3, 31), 2025), (date(2026, 4, 1), 2026), (date(2026, 12, 31), 2026)],
)
def test_last_completed_fiscal_year(day: date, year: int) -> None:
    assert last_completed(day) == year


def test_figures_that_are_quoted_in_public_code() -> None:
    # A quarter of a large company, as other programs' code quotes it: INR million.
    said = {
        "Type": "Un-Audited",
        "Date Begin": "01-Apr-26",
        "Date End": "30-Jun-26",
        REVENUE: "1660130.0000",
        "Other Income": "41080.0000",
        "Expenditure": "-1525210.0000",
        "Depreciation and amortisation expense": "-41960.0000",
        "Finance Costs": "-18380.0000",
        PROFIT: "176000.0000",
        "Net Profit": "132720.0000",
    }
    found = items(said, fiscal_year="")
    assert found["sales"] == pytest.approx(166_013)
    assert found["total_expenses"] == pytest.approx(152_521)
    assert found["depreciation"] == pytest.approx(4_196)
    assert found["finance_costs"] == pytest.approx(1_838)
    assert found["net_profit"] == pytest.approx(13_272)
    assert "tax" not in found  # not printed, and not made up


def test_expenses_may_stand_without_their_minus() -> None:
    said = lines()
    minus = {name: value.lstrip("-") for name, value in said.items()}
    stock = "Changes in inventories of finished goods, work-in-progress and stock-in-trade"
    changed = minus | {stock: "-100.0000", "Exceptional Item": "-300.0000"}
    assert items(changed) == items(said)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Expenditure": "-8500.0000"}, "10200 less 8500 to be the profit"),
        (
            {REVENUE: "1000.0000", "Total Income": "1200.0000"},
            "1200 less 9000 to be the profit",
        ),
        ({"Total Income": "10500.0000"}, "a total income of 10200, as sales and other income"),
        (
            {"Profit after Interest but before Exceptional Items": "1400.0000"},
            "10200 less 9000 to be the profit",
        ),
    ],
)
def test_income_less_expenses_must_be_the_profit(change: dict[str, str], expected: str) -> None:
    assert unsound(lines() | change) == f"the whole result: expected {expected}"


def test_rounding_is_no_contradiction() -> None:
    assert items(lines() | {"Expenditure": "-9050.0000"})["total_expenses"] == 905.0


@pytest.mark.parametrize("missing", [REVENUE, "Net Profit"])
def test_revenue_and_net_profit_are_mandatory(missing: str) -> None:
    said = lines()
    del said[missing]
    said.pop("Net Profit (+)/ Loss (-) from Ordinary Activities after Tax")
    expected = "a line of revenue" if missing == REVENUE else "a line Net Profit"
    assert unsound(said) == f"the whole result: expected {expected}"


def test_lines_that_are_all_unknown_are_no_missing_result() -> None:
    said = {"Date Begin": "01-Apr-22", "Date End": "31-Mar-23", "Umsatz": "1.0"}
    with pytest.raises(ParseError, match=r"expected lines of a result, got \['Umsatz'\]"):
        items(said)


def test_zeros_alone_are_no_result() -> None:
    zeros = {name: "0.0000" for name in lines() if name not in ("Type", "Date Begin", "Date End")}
    said = lines() | zeros
    assert items(said) == {}
    assert notices(said) == ("no result of a year that was asked for",)


def test_zero_in_the_last_line_gives_way_to_the_one_before() -> None:
    assert items(lines() | {"Net Profit": "0.0000"})["net_profit"] == 67.5


@pytest.mark.parametrize(
    "name",
    [
        "Total Income From Operations",
        "Other Operating Income",
        "Operating Profit Before Provisions and Contingencies",
        "Extraordinary Items",
        "Current tax",
    ],
)
def test_a_line_that_is_filled_with_zero_changes_nothing(name: str) -> None:
    assert items(lines() | {name: "0.0000"}) == items(lines())


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("Total Income", {"revenue"}),
        ("Profit after Interest but before Exceptional Items", set()),
        ("Net Profit (+)/ Loss (-) from Ordinary Activities after Tax", set()),
        ("Equity Capital", {"equity_share_capital"}),
    ],
)
def test_a_zero_in_place_of_a_figure_is_no_figure(name: str, lost: set[str]) -> None:
    found, whole = items(lines() | {name: "0.0000"}), items(lines())
    assert found == {item: value for item, value in whole.items() if item not in lost}


def test_a_profit_before_tax_of_zero_is_believed_if_it_fits() -> None:
    said = {
        "Date Begin": "01-Apr-22",
        "Date End": "31-Mar-23",
        REVENUE: "500.0000",
        "Expenditure": "-500.0000",
        PROFIT: "0.0000",
        "Tax": "0.0000",
        "Net Profit": "0.0000",
    }
    assert (items(said)["profit_before_tax"], items(said)["tax"]) == (0.0, 0.0)
    filled = said | {"Net Profit": "40.0000", "Expenditure": "-460.0000"}
    assert not {"profit_before_tax", "tax", "total_expenses"} & set(items(filled))


def test_a_company_without_sales_has_them_as_zero() -> None:
    said = {
        "Date Begin": "01-Apr-22",
        "Date End": "31-Mar-23",
        REVENUE: "0.0000",
        "Expenditure": "-50.0000",
        "Employee benefit expense": "-20.0000",
        "Other Expenses": "-30.0000",
        "Finance Costs": "0.0000",
        PROFIT: "-50.0000",
        "Net Profit": "-50.0000",
    }
    assert items(said) == {
        "sales": 0.0,
        "total_expenses": 5.0,
        "employee_benefits": 2.0,
        "other_expenses": 3.0,
        "finance_costs": 0.0,  # a true zero: the lines sum up without it
        "profit_before_tax": -5.0,
        "net_profit": -5.0,
    }


def test_without_the_sum_of_expenses_none_is_taken() -> None:
    said = lines()
    del said["Expenditure"]
    found = items(said)
    assert not {"total_expenses", "finance_costs", "employee_benefits"} & set(found)
    assert found["net_profit"] == 67.5
    assert "expenses left out: no lines to check them by" in notices(said)


def test_exceptional_items_without_the_profit_before_them() -> None:
    said = lines()
    del said["Profit after Interest but before Exceptional Items"]
    assert items(said)["exceptional_items"] == -30.0
    assert items(said | {"Exceptional Item": "300.0000"})["exceptional_items"] == -30.0


def test_exceptional_items_that_lead_nowhere_are_left_out() -> None:
    said = lines() | {"Exceptional Item": "-500.0000"}
    assert "exceptional_items" not in items(said)
    assert "exceptional items left out: they do not lead to the profit" in notices(said)


def test_a_bank_whose_expenditure_ends_before_provisions() -> None:
    said = lines("bank") | {"Expenditure": "-18000.0000"}
    found = items(said)
    assert "total_expenses" not in found
    assert (found["finance_costs"], found["profit_before_tax"]) == (1200.0, 300.0)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"Date End": "31-Mar-22"}, "expected the year to March 2023"),
        ({"Date End": "30-Jun-23"}, "expected the year to March 2023"),
        ({"Date End": "31-Mar-3023"}, "Date Begin and Date End: expected a date"),
        ({"Date End": ""}, "Date Begin and Date End: expected a date"),
        ({"Date Begin": "2022-04-01"}, "Date Begin and Date End: expected a date"),
        ({"Date Begin": "15-Apr-22"}, "expected a fiscal year"),
        ({"Date Begin": "01-Apr-23"}, "expected a fiscal year"),
        ({"Date Begin": "01-Mar-21"}, "expected a fiscal year"),
    ],
)
def test_a_document_of_another_time_is_refused(change: dict[str, str], expected: str) -> None:
    with pytest.raises(ParseError, match=expected):
        items(lines() | change)


@pytest.mark.parametrize("body", [[], {}, {"table": []}, "null", {"table1": {"a": 1}}])
def test_what_is_no_result_is_refused(body: Any) -> None:
    with pytest.raises(ParseError, match="expected"):
        bse_results.parse(snapshot(body, ABOUT))


def test_another_field_of_a_result_is_refused() -> None:
    with pytest.raises(ParseError, match=r"row 1: .*unknown \['Unit'\]"):
        bse_results.parse(snapshot({"table1": [{"fld_desc": "Type", "Value": "", "Unit": "Cr"}]}))


def test_a_mistake_of_scale_is_noticed() -> None:
    parsed = bse_results.parse(snapshot(table(lines() | {"Equity Capital": "5e99"}), ABOUT))
    assert [b.reason for b in parsed.bad] == ["Equity Capital: expected INR million, got '5e99'"]
    parsed = bse_results.parse(snapshot(table(lines() | {"Equity Capital": "9" * 30}), ABOUT))
    assert parsed.bad[0].reason.startswith("Equity Capital: expected INR million, got '999")


def test_without_a_table_there_is_no_result() -> None:
    assert bse_results.parse(snapshot({"table1": None}, ABOUT)).rows == []


# -- The crawl of results --------------------------------------------------------------------------

COMPANY: dict[str, object] = {"company_id": "C1", "nse_symbol": None, "isin": None}


def crawl_years(years: set[int], since: date | None = None) -> tuple[Site, list[int]]:
    """A company with results of these years; the years that were asked for, in order."""

    def answer(_: str, asked: dict[str, str]) -> object:
        year = 2015 + (int(asked["qtr"].removesuffix(".50")) - 85) // 4
        head = {"Date Begin": f"01-Apr-{year - 2001:02}", "Date End": f"31-Mar-{year - 2000:02}"}
        return table(lines() | head if year in years else head)

    site = Site(bse_results, answer, [COMPANY | {"bse_code": "599001"}], since)
    bse_results.crawl(site)
    return site, [int(got.about["fiscal_year"]) for got in site.got]


def test_results_of_a_company_are_asked_for_back_to_where_they_begin() -> None:
    last = last_completed(date.today())
    site, asked = crawl_years({2019, 2020, 2022})
    assert asked == list(range(last, 2015, -1))  # 2018, 2017 and 2016 have none
    assert site.asked[asked.index(2019)] == (
        "/BseIndiaAPI/api/Corp_detailedResult_Transpose_ng/w",
        {"scrip_cd": "599001", "qtr": "101.50"},
    )
    ends = [row["fiscal_year_end"] for got in site.got for row in bse_results.parse(got).rows]
    assert set(ends) == {date(year, 3, 31) for year in (2019, 2020, 2022)}


def test_a_company_that_was_delisted_long_ago_is_asked_for_to_the_end() -> None:
    _, asked = crawl_years({2009})
    assert asked[-1] == 2008


def test_old_years_are_fetched_once_for_ever() -> None:
    site, asked = crawl_years({2009})
    assert site.kept == [year <= asked[0] - 2 for year in asked]
    assert site.kept[:3] == [False, False, True]


def test_earlier_years_than_asked_for_are_left_alone() -> None:
    _, asked = crawl_years(set(), since=date(2020, 5, 1))
    assert asked[-1] == 2020


def test_a_company_that_fails_does_not_stop_the_others() -> None:
    body = table(lines("no_result"))
    wanted = [COMPANY | {"bse_code": code} for code in ("599001", "599002")]
    site = Site(
        bse_results, lambda _, asked: body if asked["scrip_cd"] == "599002" else None, wanted
    )
    bse_results.crawl(site)
    assert [failure.split(":")[0] for failure in site.failures] == ["599001"]
    assert {got.about["bse_code"] for got in site.got} == {"599002"}


# -- Damaged documents -----------------------------------------------------------------------------

FILES = [(bse_scrips, "delisted", {})] + [
    (bse_results, name, ABOUT | {"fiscal_year": year})
    for name, year in [("ind_as", "2023"), ("before_2012", "2009"), ("bank", "2023")]
]


@pytest.mark.parametrize(("module", "name", "about"), FILES)
@given(data=st.data())
def test_any_change_of_a_document(module: Any, name: str, about: Any, data: st.DataObject) -> None:
    only_told_errors(module, damaged(fixture(module.SOURCE.name, f"{name}.json"), data), about)


@pytest.mark.parametrize("module", MODULES)
@given(body=st.binary(max_size=300) | ANYTHING.map(lambda answer: json.dumps(answer).encode()))
def test_any_bytes(module: Any, body: bytes) -> None:
    only_told_errors(module, body, {})


@given(data=st.data())
def test_any_value_of_any_line(data: st.DataObject) -> None:
    said: dict[str, Any] = lines(data.draw(st.sampled_from(["ind_as", "before_2012", "bank"])))
    amounts = st.integers(-20_000, 20_000).map(lambda number: f"{number}.0000")
    for _ in range(data.draw(st.integers(1, 5))):
        said[data.draw(st.sampled_from(sorted(said)))] = data.draw(amounts | WORDS | ANYTHING)
    only_told_errors(bse_results, json.dumps(table(said)).encode(), {})


@given(data=st.data())
def test_any_value_of_a_scrip(data: st.DataObject) -> None:
    rows = scrips()
    for _ in range(data.draw(st.integers(1, 6))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.sampled_from(sorted(row)))] = data.draw(WORDS | ANYTHING)
    only_told_errors(bse_scrips, json.dumps(rows).encode(), {})
