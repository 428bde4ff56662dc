"""moneycontrol's pages and JSON: what is read, what is refused, and that nothing else escapes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from conftest import REPO, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import store
from warehouse.errors import InputError
from warehouse.formats import BASES, STATEMENTS
from warehouse.importers import import_table
from warehouse.items import ITEM_NAMES
from warehouse.moneycontrol import is_api, is_page, page_number, parse_page, read_page
from warehouse.moneycontrol_api import parse_api
from warehouse.moneycontrol_lines import LAYOUTS, key_of
from warehouse.moneycontrol_table import MAX_BYTES, Page

PAGES = REPO / "tests/fixtures/moneycontrol_pages"
ANSWERS = REPO / "tests/fixtures/moneycontrol_api"
BALANCE = "balance_sheet_consolidated.html"
PROFIT = "profit_loss_consolidated.html"
CASH = "cash_flow_standalone.html"

T = TypeVar("T")


def text_of(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")


def swapped(name: str, *swaps: tuple[str, str]) -> bytes:
    """A replica page with texts replaced; each of them must be there."""
    text = text_of(name)
    for old, new in swaps:
        assert old in text, old
        text = text.replace(old, new)
    return text.encode()


def table(
    title: str, rows: Iterable[str], years: str = "Mar 23|Mar 22", months: str = "12 mths|12 mths"
) -> bytes:
    """A page of a few rows, each given as 'label|value|value'."""
    lines = [f"{title}|{years}|", *([f"|{months}|"] if months else []), *rows]
    cells = "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in line.split("|")) + "</tr>" for line in lines
    )
    return f"<html><body><table class='mctable1'>{cells}</table></body></html>".encode()


def cash_flow(*rows: str, **head: str) -> Page:
    """A page with the least that a cash flow must have, and these rows below it."""
    least = ("Net CashFlow From Operating Activities|9.00|8.00|",)
    net = "Net Inc/Dec In Cash And Cash Equivalents"
    needed = least if any(net in row for row in rows) else (*least, f"{net}|1.00|2.00|")
    return parse_page(table("Cash Flow of X (in Rs. Cr.)", (*needed, *rows), **head), "page")


def balance(*rows: str) -> dict[str, float]:
    """Items of the first year of a balance sheet with these rows above its total."""
    lines = ["EQUITIES AND LIABILITIES|||", *rows, "ASSETS|||", "Total Assets|99.00|98.00|"]
    if "ASSETS|||" in rows:
        lines = [*rows, "Total Assets|99.00|98.00|"]
    return items(parse_page(table("Balance Sheet of X (in Rs. Cr.)", lines), "page"))


def profit(*rows: str) -> Page:
    least = ("Total Revenue|50.00|40.00|", "Profit/Loss For The Period|5.00|4.00|")
    return parse_page(table("Profit &amp; Loss account of X (in Rs. Cr.)", (*least, *rows)), "page")


def items(page: Page, year: date | None = None) -> dict[str, float]:
    chosen = year or (page.years[0] if page.years else None)
    return {cell.item: cell.value for cell in page.cells if cell.fiscal_year_end == chosen}


def notes(page: Page) -> dict[str, str]:
    return {c.item: c.note for c in page.cells if c.fiscal_year_end == page.years[0]}


# -- tables -----------------------------------------------------------------------------------

LABELS = json.loads((REPO.parent / "shared/facts/moneycontrol_labels.json").read_text()) if (
    REPO.parent / "shared/facts/moneycontrol_labels.json"
).is_file() else {}  # fmt: skip


def known(statement: str) -> set[str]:
    layout = LAYOUTS[statement]
    terms = {key_of(term.label) for line in layout.lines for term in line.terms}
    others = [*layout.ignored, *layout.ratios, *layout.sections]
    others += [line.doubted_by for line in layout.lines]
    return terms | {key_of(label) for label in others}


@pytest.mark.parametrize("statement", LAYOUTS)
def test_every_item_is_canonical_and_every_label_stands_once(statement: str) -> None:
    layout = LAYOUTS[statement]
    assert {line.item for line in layout.lines} <= ITEM_NAMES
    assert all(line.terms for line in layout.lines)
    mapped = {key_of(term.label) for line in layout.lines for term in line.terms}
    ignored = [key_of(label) for label in layout.ignored]
    assert not mapped & set(ignored)
    assert len(set(ignored)) == len(ignored)
    required = {key_of(label) for group in layout.required for label in group}
    assert required <= mapped | {key_of(label) for label in layout.ratios}
    assert set(layout.parts) <= set(layout.sections)


@pytest.mark.parametrize("statement", LAYOUTS)
def test_every_label_that_was_reported_is_known(statement: str, shared: Path) -> None:
    listed = LABELS[statement]
    labels = [entry["label"] if isinstance(entry, dict) else entry for entry in listed]
    labels += LABELS["sections"].get(statement, [])
    assert labels
    assert [label for label in labels if key_of(label) not in known(statement)] == []


def test_every_bank_label_that_was_reported_is_known(shared: Path) -> None:
    both = known("balance_sheet") | known("profit_loss")
    assert [label for label in LABELS["verified_bank_labels"] if key_of(label) not in both] == []


def test_json_keys_that_were_reported_are_found(shared: Path) -> None:
    for statement in ("balance_sheet", "profit_loss", "cash_flow"):
        lines = LAYOUTS[statement].lines
        keys = {key_of(term.label): {key_of(term.key), key_of(term.label)} for line in lines
                for term in line.terms}  # fmt: skip
        for entry in LABELS[statement]:
            if entry["key"] and key_of(entry["label"]) in keys:
                assert key_of(entry["key"]) in keys[key_of(entry["label"])], entry


# -- pages ------------------------------------------------------------------------------------


def test_page_says_what_it_is() -> None:
    page = parse_page((PAGES / BALANCE).read_bytes(), BALANCE)
    assert (page.company_name, page.statement, page.basis) == (
        "Nilgiri Alloys",
        "balance_sheet",
        "consolidated",
    )
    assert page.next_page == "/financials/nilgirialloys/consolidated-balance-sheetVI/NA99/2#NA99"
    assert page_number(page.next_page) == 2
    assert page.years[0] == date(2023, 3, 31)
    assert page.unknown_labels == ()
    assert page.notices == ()


def test_identities_of_the_warehouse_hold_on_the_replicas(db: Path) -> None:
    """The rows of both replica statements of one company load, and no check fails."""
    with store.connect(db, create=True) as connection:
        for name in (BALANCE, PROFIT):
            rows, _ = read_page(PAGES / name)
            import_table(connection, STATEMENTS, rows, name)
        failed = {r.check.name: r.failed for r in store.run_checks(connection) if r.failed}
        judged = {r.check.name: r.judged for r in store.run_checks(connection)}
        years = rows_of(connection, "SELECT * FROM statements ORDER BY fiscal_year_end")
    # Mar 20 and Dec 20 are both year ends; the replica's lengths of periods do not add up.
    assert failed == {"duplicate_year": 2, "period_overlap": 4}
    assert judged["shareholders_funds"] == judged["two_sides"] == 5
    assert judged["profit_after_tax"] == judged["expenses"] == judged["revenue"] == 5
    assert years[-1]["total_liabilities"] == 930.0
    assert years[-1]["net_profit"] == 261.0


@pytest.mark.parametrize(("months", "length"), [("9 mths", 9), ("15 mths", 15), ("18 mths", 18)])
def test_odd_lengths(months: str, length: int) -> None:
    page = cash_flow(months=f"{months}|12 mths")
    assert {c.months for c in page.cells if c.fiscal_year_end == date(2023, 3, 31)} == {length}
    assert {c.months for c in page.cells if c.fiscal_year_end == date(2022, 3, 31)} == {12}


@pytest.mark.parametrize("months", ["0 mths|12 mths", "25 mths|12 mths", "12|Q4", "|", "12 mths|"])
def test_a_period_that_is_none_is_refused(months: str) -> None:
    with pytest.raises(InputError, match="expected a period like '12 mths'"):
        cash_flow(months=months)


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Mar 23", date(2023, 3, 31)),
        ("Feb 20", date(2020, 2, 29)),
        ("Dec 99", date(1999, 12, 31)),
        ("JUN 04", date(2004, 6, 30)),
        ("Mar&nbsp;23", date(2023, 3, 31)),
        (" Mar\n 23 ", date(2023, 3, 31)),
    ],
)
def test_header_is_the_last_day_of_the_month(text: str, end: date) -> None:
    assert cash_flow(years=f"{text}|Mar 22").years[0] == end


@pytest.mark.parametrize("text", ["Mar '23", "March 2023", "FY23", "2023", "Mrz 23", "Mar 2023"])
def test_header_that_is_no_month_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="expected a header like 'Mar 23'"):
        cash_flow(years=f"{text}|Mar 22")


def test_a_header_without_any_year_is_quoted() -> None:
    with pytest.raises(InputError, match=r"'Cash Flow of X.*'Year 1', 'Year 2'"):
        cash_flow(years="Year 1|Year 2")


def test_fewer_than_five_years_leave_empty_cells() -> None:
    data = table(
        "Cash Flow of X (in Rs. Cr.)",
        [
            "Net CashFlow From Operating Activities|9.00|&nbsp;|&nbsp;|&nbsp;",
            "Net Inc/Dec In Cash And Cash Equivalents|1.00|&nbsp;|&nbsp;|&nbsp;",
        ],
        "Mar 23|&nbsp;|&nbsp;",
        "12 mths|&nbsp;|&nbsp;",
    )
    page = parse_page(data, "page")
    assert page.years == (date(2023, 3, 31),)
    assert items(page) == {"operating_cash_flow": 9.0, "net_cash_flow": 1.0}


def test_a_year_that_stands_twice_is_left_out_and_told() -> None:
    rows = [
        "Net CashFlow From Operating Activities|9.00|8.00|0.00|",
        "Net Inc/Dec In Cash And Cash Equivalents|1.00|2.00|0.00|",
    ]
    twice = table("Cash Flow of X (in Rs. Cr.)", rows, "Mar 23|Mar 12|Mar 12", "12|12|12")
    page = parse_page(twice, "page")
    assert {cell.fiscal_year_end for cell in page.cells} == {date(2023, 3, 31)}
    assert page.notices == ("Mar 12 stands twice in the header: left out",)


@pytest.mark.parametrize(
    "row",
    [
        "Foreign Exchange Gains / Losses|1.00|",
        "Foreign Exchange Gains / Losses|1.00",
        "Foreign Exchange Gains / Losses|1.00|2.00|3.00|",
        "Foreign Exchange Gains / Losses|1.00|2.00|3.00",
        "Foreign Exchange Gains / Losses||1.00|2.00|",
        "Something Unknown|1.00|",
    ],
)
def test_cells_that_are_too_many_or_too_few_are_refused(row: str) -> None:
    with pytest.raises(InputError, match="expected 2 values, got"):
        cash_flow(row)


def test_the_empty_cell_at_the_end_may_be_missing() -> None:
    page = cash_flow("Net Cash Used In Investing Activities|1.00|2.00")
    assert items(page, date(2022, 3, 31))["investing_cash_flow"] == 2.0


@pytest.mark.parametrize(
    ("printed", "value"),
    [
        ("1,234.50", 1234.5),
        ("1,23,456.78", 123456.78),
        ("-0.05", -0.05),
        ("0.00", 0.0),
        ("-0.00", 0.0),
        ("7", 7.0),
        (".5", 0.5),
        ("&nbsp;12.00&nbsp;", 12.0),
        ("<b>12.00</b>", 12.0),
        ("<!-- 99 -->12.00", 12.0),
        ("--", None),
        ("-", None),
        ("", None),
        ("&nbsp;", None),
        ("NA", None),
    ],
)
def test_amounts(printed: str, value: float | None) -> None:
    page = cash_flow(f"Net Cash Used In Investing Activities|{printed}|3.00|")
    assert items(page).get("investing_cash_flow") == value
    assert "-0.0," not in repr(page.cells)


@pytest.mark.parametrize(
    "printed",
    ["12.3.4", "1,2,3", "(12.00)", "12%", "nan", "inf", "1e5", "Rs. 5", "٣", "1.", "9" * 40, "- 1"],
)
def test_what_is_no_amount_is_refused(printed: str) -> None:
    with pytest.raises(InputError, match="'Net Cash Used In Investing Activities': expected a nu"):
        cash_flow(f"Net Cash Used In Investing Activities|{printed}|3.00|")


def test_an_amount_above_indias_economy_is_refused() -> None:
    with pytest.raises(InputError, match="more than India's economy"):
        cash_flow("Net Cash Used In Investing Activities|10,00,00,00,001.00|3.00|")


def test_a_line_that_is_not_known_is_told_and_costs_nothing() -> None:
    page = cash_flow("Net Cash Found Under Sofas|1.00|2.00|", "|3.00|4.00|", "NEW SECTION|||")
    assert page.unknown_labels == ("Net Cash Found Under Sofas", "(no label)", "NEW SECTION")
    assert len(page.cells) == 4


@pytest.mark.parametrize(
    ("name", "label", "complaint"),
    [
        (BALANCE, "<td>ASSETS</td>", ""),
        (PROFIT, "<td>Profit/Loss For The Period</td>", "'Profit/Loss For The Period'"),
        (CASH, "<td>Net CashFlow From Operating Activities</td>", "'Net CashFlow From Operating"),
        (CASH, "<td>Net Inc/Dec In Cash And Cash Equivalents</td>", "'Net Inc/Dec In Cash"),
        ("bank_profit_loss_standalone.html", "<td>Net Profit / Loss for The Year</td>", "'Profit"),
        ("ratios_consolidated.html", "<td>Basic EPS (Rs.)</td>", ""),
    ],
)
def test_mandatory_lines(name: str, label: str, complaint: str) -> None:
    data = swapped(name, (label, "<td>Renamed</td>"))
    if not complaint:  # there are others that will do
        assert "Renamed" in parse_page(data, name).unknown_labels
        return
    with pytest.raises(InputError, match=f"expected a line {re.escape(complaint)}"):
        parse_page(data, name)


def test_total_assets_must_stand_below_assets() -> None:
    swaps = [(f"<td>{s}</td>", "<td>RENAMED</td>") for s in ("ASSETS", "NON-CURRENT ASSETS")]
    data = swapped(BALANCE, *swaps, ("<td>CURRENT ASSETS</td>", "<td>RENAMED</td>"))
    with pytest.raises(InputError, match="expected a line 'Total Assets'"):
        parse_page(data, BALANCE)


def test_a_revenue_line_is_mandatory() -> None:
    swaps = [
        (f"<td>{label}</td>", "<td>Renamed</td>")
        for label in ("Total Revenue", "Total Operating Revenues")
    ]
    with pytest.raises(InputError, match="expected a line 'Total Revenue'"):
        parse_page(swapped(PROFIT, *swaps), PROFIT)


@pytest.mark.parametrize(
    "unit", ["Rs. Lakhs", "Rs. Lacs", "Rs. Million", "USD Million", "Rs. Bn", "Rs. in Lakhs"]
)
def test_another_unit_is_refused(unit: str) -> None:
    with pytest.raises(InputError, match=r"expected the unit 'Rs\. Cr\.', got"):
        parse_page(swapped(BALANCE, ("Rs. Cr.", unit)), BALANCE)


def test_no_unit_is_refused_and_one_beside_the_table_will_do() -> None:
    bare = (
        "Consolidated Balance Sheet of Nilgiri Alloys (in Rs. Cr.)",
        "Consolidated Balance Sheet",
    )
    with pytest.raises(InputError, match=r"expected the unit 'Rs\. Cr\.', got none"):
        parse_page(swapped(BALANCE, bare), BALANCE)
    beside = ('<table class="mctable1">', '<span>Rs. Cr.</span><table class="mctable1">')
    page = parse_page(swapped(BALANCE, bare, beside), BALANCE)
    assert page.company_name == "Nilgiri Alloys"  # of the heading
    wrong = ('<table class="mctable1">', '<span>Rs. Lakhs</span><table class="mctable1">')
    with pytest.raises(InputError, match="expected the unit"):
        parse_page(swapped(BALANCE, bare, wrong), BALANCE)


@pytest.mark.parametrize(
    ("asked", "told"),
    [({"basis": "standalone"}, "basis standalone"), ({"statement": "ratios"}, "statement ratios")],
)
def test_another_page_than_was_asked_for_is_refused(asked: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=f"expected the {told}, got"):
        parse_page((PAGES / BALANCE).read_bytes(), BALANCE, **cast("dict[str, Any]", asked))


def test_a_title_without_a_basis_is_believed_to_be_what_was_asked_for() -> None:
    data = swapped(
        "bank_balance_sheet_standalone.html", ("<title>", "<title>Consolidated Somethings, ")
    )
    assert parse_page(data, "page", basis="consolidated").basis == "consolidated"
    assert parse_page(data, "page").basis == "unstated"
    link = '<link rel="canonical" href="https://site/financials/x/balance-sheetVI/KVB99"><title>'
    assert parse_page(data.replace(b"<title>", link.encode()), "page").basis == "standalone"


def test_the_pager_tells_the_basis() -> None:
    text = text_of(CASH).encode()
    assert parse_page(text, CASH).basis == "standalone"
    with pytest.raises(InputError, match="expected the basis consolidated, got standalone"):
        parse_page(text, CASH, basis="consolidated")


def test_a_company_may_be_called_consolidated() -> None:
    title = "Balance Sheet of Consolidated Widgets (in Rs. Cr.)"
    data = table(title, ["EQUITIES AND LIABILITIES|||", "ASSETS|||", "Total Assets|1.00|2.00|"])
    page = parse_page(data, "page", basis="standalone")
    assert (page.company_name, page.basis) == ("Consolidated Widgets", "standalone")


def test_an_unknown_statement_is_refused() -> None:
    with pytest.raises(InputError, match="expected one of balance_sheet"):
        parse_page(b"<html></html>", "page", statement="shares")
    with pytest.raises(InputError, match="expected one of balance_sheet"):
        parse_api(b"{}", "answer", "shares")


def test_a_page_without_a_title_is_refused() -> None:
    data = table("(in Rs. Cr.)", ["Total Assets|1.00|2.00|"])
    with pytest.raises(InputError, match="expected a title like"):
        parse_page(data, "page")


# -- labels that mean two things --------------------------------------------------------------


def test_lines_below_other_information_are_not_read() -> None:
    page = parse_page((PAGES / BALANCE).read_bytes(), BALANCE)
    assert items(page)["total_assets"] == 2230.0
    assert items(page)["current_investments"] == 80.0
    assert "9,999.00" in text_of(BALANCE)


def test_no_heading_leads_back_from_other_information() -> None:
    page = parse_page(
        swapped(
            BALANCE,
            ("<td>BONUS DETAILS</td>", "<td>CURRENT ASSETS</td>"),
            ("<td>Cash And Cash Equivalents</td>", "<td>Renamed</td>"),
            ("<td>Bonus Equity Share Capital</td>", "<td>Cash And Cash Equivalents</td>"),
        ),
        BALANCE,
    )
    assert "cash" not in items(page)


def test_the_first_of_repeated_lines_counts() -> None:
    page = cash_flow(
        "Net Cash Used In Investing Activities|1.00|2.00|",
        "Net Cash Used In Investing Activities|7.00|8.00|",
    )
    assert items(page)["investing_cash_flow"] == 1.0


def test_minority_interest_among_the_assets_is_another_one() -> None:
    assert "minority_interest" not in balance(
        "EQUITIES AND LIABILITIES|||", "ASSETS|||", "Minority Interest|4.00|3.00|"
    )
    assert balance("Minority Interest|4.00|3.00|")["minority_interest"] == 4.0


def test_other_assets_alone_are_no_fixed_assets() -> None:
    found = balance("ASSETS|||", "Fixed Assets|20.00|19.00|", "Other Assets|30.00|29.00|")
    assert found["fixed_assets"] == 20.0


def test_fixed_assets_have_no_work_in_progress() -> None:
    rows = ("ASSETS|||", "Tangible Assets|--|1.00|", "Capital Work-In-Progress|5.00|4.00|",
            "Fixed Assets|20.00|19.00|")  # fmt: skip
    assert balance(*rows)["fixed_assets"] == 15.0


def test_a_missing_total_is_not_made_of_its_parts() -> None:
    assert "reserves_and_surplus" not in balance("Money Against Share Warrants|5.00|4.00|")
    assert "capital_work_in_progress" not in balance(
        "ASSETS|||", "Intangible Assets Under Development|5.00|4.00|"
    )


# -- profit and loss --------------------------------------------------------------------------


def test_exceptional_items_have_the_sign_of_the_checks() -> None:
    found = items(parse_page((PAGES / PROFIT).read_bytes(), PROFIT))
    left = found["total_expenses"] - found["exceptional_items"] + found["profit_before_tax"]
    assert found["exceptional_items"] == -25.0
    assert left == found["revenue"] == 2150.0


def test_tax_is_the_printed_total_else_its_parts() -> None:
    parts = ("Current Tax|5.00|4.00|", "Deferred Tax|-1.00|0.00|", "Tax For Earlier Years|0.50|--|",
             "Less: MAT Credit Entitlement|0.25|--|")  # fmt: skip
    assert items(profit(*parts, "Total Tax Expenses|9.00|9.00|"))["tax"] == 9.0
    page = profit(*parts, "Total Tax Expenses|--|9.00|")
    assert items(page)["tax"] == 4.25
    assert notes(page)["tax"] == "derived"
    assert items(page, date(2022, 3, 31))["tax"] == 9.0
    assert "tax" not in items(profit("Current Tax|5.00|4.00|"))


def test_associates_are_part_of_net_profit() -> None:
    share = "Share Of Profit/Loss Of Associates|{}|1.00|"
    page = profit(share.format("-2.00"))
    assert items(page)["net_profit"] == 3.0
    assert notes(page)["net_profit"] == "derived"
    assert notes(profit(share.format("0.00")))["net_profit"] == "reported"
    assert notes(profit(share.format("--")))["net_profit"] == "reported"
    assert "share_of_associates" not in items(profit(share.format("--")))


def test_dividends_of_zero_beside_a_dividend_rate_are_missing() -> None:
    rate = "Equity Dividend Rate (%)|{}|0.00|"
    zero = "Equity Share Dividend|0.00|0.00|"
    assert "dividends" not in items(profit(zero, rate.format("1,600.00")))
    assert items(profit(zero, rate.format("0.00")))["dividends"] == 0.0
    assert items(profit(zero, rate.format("--")))["dividends"] == 0.0
    assert items(profit("Equity Share Dividend|3.00|0.00|", rate.format("50.00")))["dividends"] == 3


def test_direct_costs_of_some_trades_are_operating_expenses() -> None:
    page = profit("Cost Of Fuel|30.00|20.00|")
    assert items(page)["operating_and_direct_expenses"] == 30.0
    assert notes(page)["operating_and_direct_expenses"] == "reported"
    both = profit("Cost Of Fuel|30.00|20.00|", "Operating And Direct Expenses|5.00|4.00|")
    assert items(both)["operating_and_direct_expenses"] == 35.0
    assert notes(both)["operating_and_direct_expenses"] == "derived"


def test_figures_that_a_user_of_the_site_published() -> None:
    """Standalone accounts of a real company for the year to March 2024, as its page showed them."""
    data = table(
        "Profit &amp; Loss account of Sun Pharmaceutical Industries (in Rs. Cr.)",
        [
            "Revenue From Operations [Net]|19843.53|", "Total Operating Revenues|20275.17|",
            "Other Income|465.76|", "Total Revenue|20740.93|",
            "Cost Of Materials Consumed|4429.38|", "Purchase Of Stock-In Trade|994.41|",
            "Operating And Direct Expenses|344.45|",
            "Changes In Inventories Of FG,WIP And Stock-In Trade|180.32|",
            "Employee Benefit Expenses|2373.95|", "Finance Costs|784.08|",
            "Depreciation And Amortisation Expenses|1600.62|", "Other Expenses|6365.05|",
            "Total Expenses|17072.26|", "Exceptional Items|-219.02|",
            "Profit/Loss Before Tax|3449.65|", "Total Tax Expenses|591.47|",
            "Profit/Loss For The Period|2858.18|", "Equity Share Dividend|2898.16|",
            "Equity Dividend Rate (%)|1350.00|",
        ],
        "Mar 24",
        "12 mths",
    )  # fmt: skip
    f = items(parse_page(data, "page"))
    assert f["sales"] + f["other_income"] == pytest.approx(f["revenue"])
    assert f["total_expenses"] - f["exceptional_items"] + f["profit_before_tax"] == pytest.approx(
        f["revenue"]
    )
    assert f["net_profit"] + f["tax"] == pytest.approx(f["profit_before_tax"])
    costs = ("cost_of_materials", "purchases_of_stock", "operating_and_direct_expenses",
             "changes_in_inventories", "employee_benefits", "finance_costs", "depreciation",
             "other_expenses")  # fmt: skip
    assert sum(f[item] for item in costs) == pytest.approx(f["total_expenses"])


# -- cash flows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("net", "exchange", "amalgamation", "expected", "note"),
    [
        ("6.00", "0.00", "0.00", 6.0, "reported"),
        ("7.50", "1.50", "0.00", 6.0, "derived"),
        ("10.00", "1.50", "2.50", 6.0, "derived"),
        ("6.00", "1.50", "0.00", 6.0, "reported"),  # where it is not in the net change
        ("9.99", "1.50", "0.00", 9.99, "reported"),  # explained by nothing: as printed
        ("--", "1.50", "0.00", None, None),
    ],
)
def test_net_cash_flow_is_what_the_activities_sum_to(
    net: str, exchange: str, amalgamation: str, expected: float | None, note: str | None
) -> None:
    page = cash_flow(  # 9 - 5 + 2 = 6
        "Net Cash Used In Investing Activities|-5.00|0.00|",
        "Net Cash Used From Financing Activities|2.00|0.00|",
        f"Foreign Exchange Gains / Losses|{exchange}|0.00|",
        f"Adjustments On Amalgamation Merger Demerger Others|{amalgamation}|0.00|",
        f"Net Inc/Dec In Cash And Cash Equivalents|{net}|8.00|",
    )
    assert items(page).get("net_cash_flow") == expected
    assert notes(page).get("net_cash_flow") == note


# -- pages that are none ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"   ",
        b"not a page",
        b"<",
        b"<html></html>",
        b"<html><head><title>Just a moment...</title></head><body>captcha</body></html>",
        b"<html><body><div id='__next'></div><script>'Data Not Available'</script></body></html>",
        b"<table class='mctable1'></table>",
        b"<table class='mctable1'><tr><td>Mar 23</td></tr></table>",
        b"%PDF-1.4 <<>>",
        b"\xff\xfe<\x00h\x00",
        b"<?xml version='1.0' encoding='utf-16'?><a/>",
        b"<html>\x00</html>",
        b"<!-- Data Not Available -->",
    ],
)
def test_what_is_no_statement_page_is_refused(data: bytes) -> None:
    with pytest.raises(InputError) as refused:
        parse_page(data, "page.html", statement="balance_sheet", basis="standalone")
    assert "page.html" in str(refused.value)
    assert len(str(refused.value)) < 600


def test_a_captcha_is_not_taken_for_a_company_without_data() -> None:
    captcha = b"<html><body><h1>Are you human?</h1>Please complete the captcha</body></html>"
    with pytest.raises(InputError, match="captcha"):
        parse_page(captcha, "page", statement="balance_sheet", basis="consolidated")


def test_two_statements_on_a_page_are_refused() -> None:
    text = text_of(CASH)
    found = re.search(r'<table class="mctable1">.*?</table>', text, re.DOTALL)
    assert found
    with pytest.raises(InputError, match="expected one table with years in its header, got 2"):
        parse_page(text.replace(found[0], found[0] * 2).encode(), CASH)


def test_pages_are_bounded() -> None:
    with pytest.raises(InputError, match="pages of up to"):
        parse_page(b"<" * (MAX_BYTES + 1), "page")
    with pytest.raises(InputError, match="answers of up to"):
        parse_api(b"[" * (MAX_BYTES + 1), "answer", "ratios")


def test_wrong_charset() -> None:
    latin = text_of(CASH).replace("&nbsp;", "\xa0").encode("latin-1")
    with pytest.raises(InputError, match="expected UTF-8"):
        parse_page(latin, CASH)
    declared = latin.replace(b'charset="utf-8"', b'charset="iso-8859-1"')
    assert parse_page(declared, CASH).cells == parse_page((PAGES / CASH).read_bytes(), CASH).cells
    # Read as Latin what was UTF-8, a saving program makes two letters of a non-breaking space.
    twice = text_of(CASH).replace("<td>--</td>", "").replace("200.00", "\xc2\xa0200.00").encode()
    with pytest.raises(InputError, match="expected a number"):
        parse_page(twice, CASH)


def test_deep_nesting_is_survived() -> None:
    page = text_of(CASH).replace("<body>", "<body>" + "<div>" * 3000)
    with suppress(InputError):
        parse_page(page.encode(), CASH)


# -- JSON -------------------------------------------------------------------------------------

ANSWER = json.loads((ANSWERS / "profit_loss.json").read_text(encoding="utf-8"))


def answer(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The replica answer with its `data` changed."""
    copy = json.loads(json.dumps(ANSWER))
    change(copy["data"])
    return json.dumps(copy).encode()


def test_both_bases_are_read() -> None:
    pages = parse_api(json.dumps(ANSWER).encode(), "answer", "profit_loss")
    assert [(page.basis, len(page.years)) for page in pages] == [
        ("standalone", 2),
        ("consolidated", 1),
    ]
    assert {page.company_name for page in pages} == {None}


@pytest.mark.parametrize("empty", [[], None, "", {}])
def test_a_basis_without_years_is_left_out(empty: object) -> None:
    pages = parse_api(
        answer(lambda data: data.update(consolidatedResult=empty)), "answer", "profit_loss"
    )
    assert [page.basis for page in pages] == ["standalone"]


def _row(**changes: object) -> Callable[[dict[str, Any]], object]:
    return lambda data: data["consolidatedResult"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (_row(yrc=202313), "'yrc' like 202303, got 202313"),
        (_row(yrc=30360331), "got 30360331"),
        (_row(yrc=202303.0), "got 202303.0"),
        (_row(yrc=None), "got None"),
        (_row(yrc=["202303"]), "got a list"),
        (_row(yrc=202203), "differ"),
        (_row(noofmonths="Q4"), "'noofmonths' like"),
        (_row(noofmonths=None), "'noofmonths' like"),
        (_row(noofmonths={}), "'noofmonths' like"),
        (_row(TotalRevenue=True), "expected a number, got True"),
        (_row(TotalRevenue="12 Cr"), "expected a number"),
        (_row(TotalRevenue=[1]), "expected a number, got a list"),
        (_row(TotalRevenue=10**300), "more than India"),
        (lambda data: data.update(headers=[]), "expected 'headers'"),
        (lambda data: data.update(headers={"Total Revenue": 7}), "expected a .key, style."),
        (lambda data: data.update(headers={}), "expected a line 'Total Revenue'"),
        (lambda data: data.update(standardResult=["x"]), "expected a list of years"),
        (lambda data: data.update(standardResult=7), "expected a list of years"),
        (lambda data: (data.pop("standardResult"), data.pop("consolidatedResult")), "expected 'da"),
        (
            lambda data: data["headers"].update({"Total Revenue": ["Gone", ""],
                                                 "Total Operating Revenues": ["Gone2", ""]}),
            "expected a line 'Total Revenue'",
        ),
    ],
)  # fmt: skip
def test_answers_that_have_changed_are_refused(
    change: Callable[[dict[str, Any]], object], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        parse_api(answer(change), "answer", "profit_loss")


@pytest.mark.parametrize(
    "data",
    [b"", b"null", b"[]", b"7", b'{"data":[]}', b'{"data":{}}', b'{"success":0,"data":null}',
     b"<html>captcha</html>", b"\xff", b'{"data":NaN}', b"[" * 5000, b'{"data":' * 5000,
     b"1" * 5000, b'{"data":{"standardResult":' + b"[" * 900 + b"]" * 900 + b',"headers":{}}}'],
)  # fmt: skip
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(InputError, match="answer"):
        parse_api(data, "answer", "balance_sheet")


def test_an_answer_of_another_statement_is_refused() -> None:
    with pytest.raises(InputError, match="expected a line 'Total Assets'"):
        parse_api(json.dumps(ANSWER).encode(), "answer", "balance_sheet")


def test_a_year_twice_in_an_answer_is_left_out() -> None:
    pages = parse_api(
        answer(lambda data: data["standardResult"].append(data["standardResult"][0])),
        "answer",
        "profit_loss",
    )
    assert {cell.fiscal_year_end for cell in pages[0].cells} == {date(2021, 12, 31)}
    assert pages[0].notices == ("Mar 23 stands twice in the header: left out",)


# -- files of a user --------------------------------------------------------------------------


def test_files_are_told_by_their_content(tmp_path: Path) -> None:
    other = tmp_path / "page.html"
    other.write_bytes(b"company_id,item,value\n")
    empty = tmp_path / "empty"
    empty.touch()
    for path in sorted(PAGES.glob("*.html")):
        assert is_page(path) == (path.stem != "no_data_consolidated")
        assert not is_api(path)
    for path in (p for p in ANSWERS.glob("*.json") if ".expected" not in p.name):
        assert is_api(path)
        assert not is_page(path)
    assert not any(is_page(path) or is_api(path) for path in (other, empty))


def test_a_saved_page_is_a_statements_file(tmp_path: Path) -> None:
    rows, notices = read_page(PAGES / BALANCE)
    assert set(rows.column_names) <= set(STATEMENTS.columns)
    assert rows.num_rows == 98
    first = rows.to_pylist()[0]
    assert first == {
        "company_id": "nilgiri-alloys",
        "company_name": "Nilgiri Alloys",
        "fiscal_year_end": "2023-03-31",
        "months": "12",
        "basis": "consolidated",
        "unit": "INR crore",
        "item": "equity_share_capital",
        "value": "50.0",
        "note": "reported",
        "source": "moneycontrol",
    }
    assert notices == (
        "consolidated balance sheet, Mar 2019 to Mar 2023, imported as company nilgiri-alloys",
    )
    assert set(rows.column("basis").to_pylist()) <= set(BASES)
    named, _ = read_page(PAGES / BALANCE, "mine")
    assert set(named.column("company_id").to_pylist()) == {"mine"}
    strange = tmp_path / "page.html"
    strange.write_bytes(swapped(BALANCE, ("<td>Trade Payables</td>", "<td>Owed To\x1b Us</td>")))
    assert "1 lines not known: 'Owed To\\x1b Us'" in read_page(strange)[1][1]


def test_a_saved_answer_needs_a_company() -> None:
    path = ANSWERS / "profit_loss.json"
    with pytest.raises(InputError, match="--company ID"):
        read_page(path)
    rows, notices = read_page(path, "mine")
    assert rows.num_rows == 42
    assert set(rows.column("source").to_pylist()) == {"moneycontrol api"}
    assert set(rows.column("basis").to_pylist()) == {"standalone", "consolidated"}
    assert "'Colour Of Accounts'" in " ".join(notices)


@pytest.mark.parametrize("name", ["ratios_consolidated.html", "no_data_consolidated.html"])
def test_a_page_without_amounts_is_refused(name: str) -> None:
    with pytest.raises(InputError, match="expected amounts of a statement"):
        read_page(PAGES / name)


def test_answers_of_users_tell_their_statement(tmp_path: Path) -> None:
    rows, _ = read_page(ANSWERS / "balance_sheet.json", "mine")
    assert "total_assets" in rows.column("item").to_pylist()
    with pytest.raises(InputError, match="expected amounts of a statement, got ratios"):
        read_page(ANSWERS / "ratios.json", "mine")
    other = tmp_path / "answer.json"
    other.write_text('{"data": {"standardResult": [], "headers": {"x": "y"}}}')
    with pytest.raises(InputError, match="expected the lines of a statement"):
        read_page(other, "mine")


# -- whatever comes ---------------------------------------------------------------------------


def refusal(parse: Callable[..., T], *args: object, **asked: Any) -> tuple[T | None, str]:
    """What was parsed, or why it was refused; whatever else is raised fails the test."""
    try:
        return parse(*args, **asked), ""
    except InputError as refused:
        return None, str(refused)


PIECES = st.sampled_from(
    ["<table class='mctable1'>", "<tr>", "<td>", "</td>", "</tr>", "</table>", "Mar 23", "12 mths",
     "Balance Sheet of X (in Rs. Cr.)", "Total Assets", "ASSETS", "1.00", "--", "&nbsp;", "&#0;",
     "&#xD800;", "<span class='nextpaging'>", "<a href='/2'>", "<td colspan=9>", "<!--", "]]>",
     "Data Not Available", "<h1>", "\ud7ff", "\x00", "<svg><title>"]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=300), st.lists(PIECES, max_size=40).map(
    lambda pieces: "".join(pieces).encode())))  # fmt: skip
@settings(max_examples=300)
def test_only_input_errors_escape_from_pages(data: bytes) -> None:
    for asked in ({}, {"statement": "balance_sheet", "basis": "consolidated"}):
        page, message = refusal(parse_page, data, "page", **asked)
        assert "\n" not in message
        assert page is None or {cell.item for cell in page.cells} <= ITEM_NAMES


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner,
                                                                max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(headers=JSON, rows=JSON, value=JSON, place=st.sampled_from(["yrc", "noofmonths", "yrc0",
       "TotalRevenue", "ProfitLossForThePeriod"]))  # fmt: skip
@settings(max_examples=200)
def test_only_input_errors_escape_from_answers(
    headers: object, rows: object, value: object, place: str
) -> None:
    changes: list[Callable[[dict[str, Any]], object]] = [
        _row(**{place: value}),
        lambda data: data.update(headers=headers),
        lambda data: data.update(standardResult=rows),
        lambda data: data["headers"].update({"Total Revenue": headers}),
    ]
    for change in changes:
        _, message = refusal(parse_api, answer(change), "answer", "profit_loss")
        assert "\n" not in message
