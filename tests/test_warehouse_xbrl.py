"""XBRL filings: each form and both eras, the true period, what is taken and what is refused.

The files in fixtures/xbrl hold made-up companies; the figures here are worked from them by hand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from conftest import REPO

from warehouse import store, xbrl_instance
from warehouse.errors import InputError
from warehouse.formats import STATEMENTS
from warehouse.importers import import_table
from warehouse.items import DERIVED_NAMES, ITEM_NAMES
from warehouse.xbrl import Filing, is_xbrl, parse_xbrl, read_xbrl
from warehouse.xbrl_lines import AMOUNTS, FORMS, TEXTS

FILES = REPO / "tests/fixtures/xbrl"
FORM_FILES = ("indas", "old_gaap", "nbfc", "bank", "life", "general")
BSE = "http://www.bseindia.com/xbrl/fin/2020-03-31/in-bse-fin"
SEBI = "http://www.sebi.gov.in/xbrl/2025-01-31/in-capmkt"

# Items by what their note must be; INR crore.
Expected = dict[str, dict[str, float]]
EXPECTED: dict[str, Expected] = {
    "indas": {
        "reported": {
            "sales": 1000, "other_income": 20, "revenue": 1020, "cost_of_materials": 500,
            "purchases_of_stock": 50, "changes_in_inventories": -10, "employee_benefits": 120,
            "finance_costs": 40, "depreciation": 60, "other_expenses": 160, "total_expenses": 920,
            "exceptional_items": -30, "profit_before_tax": 70, "tax": 18,
            "share_of_associates": 3, "discontinued_operations": 5, "net_profit": 60,
            "equity_share_capital": 50, "reserves_and_surplus": 380, "shareholders_funds": 430,
            "minority_interest": 20, "total_equity": 450, "long_term_borrowings": 150,
            "non_current_liabilities": 180, "short_term_borrowings": 90, "trade_payables": 110,
            "total_liabilities": 470, "equity_and_liabilities": 920, "current_investments": 40,
            "inventories": 150, "trade_receivables": 130, "total_assets": 920,
            "operating_cash_flow": 130, "investing_cash_flow": -70, "financing_cash_flow": -55,
            "net_cash_flow": 5,
        },
        "derived": {
            "fixed_assets": 400 + 15 + 5,
            "capital_work_in_progress": 30 + 2,
            "non_current_investments": 25 + 20,
            "cash": 25 + 15,
            "current_assets": 390 + 10,
            "current_liabilities": 284 + 6,
            "other_current_liabilities": 290 - 90 - 110,
        },
        "proxy": {"net_sales": 1000, "dividends": 12},
    },
    "old_gaap": {
        "reported": {
            "sales": 80, "other_income": 1, "revenue": 81, "cost_of_materials": 40,
            "purchases_of_stock": 5, "changes_in_inventories": 2, "employee_benefits": 8,
            "finance_costs": 6, "depreciation": 4, "other_expenses": 10, "total_expenses": 75,
            "profit_before_tax": 7, "tax": 2, "share_of_associates": 0.5,
            "equity_share_capital": 10, "shareholders_funds": 33, "minority_interest": 2,
            "long_term_borrowings": 15, "non_current_liabilities": 17,
            "short_term_borrowings": 12, "current_liabilities": 28,
            "equity_and_liabilities": 80, "non_current_investments": 3,
            "current_investments": 1, "inventories": 14, "trade_receivables": 16,
            "current_assets": 39, "total_assets": 80, "operating_cash_flow": 9,
            "investing_cash_flow": -5, "financing_cash_flow": -3, "net_cash_flow": 1,
        },
        "derived": {
            "exceptional_items": -1 + 2,
            "net_profit": 5 + 0.5,
            "reserves_and_surplus": 22 + 1,
            "trade_payables": 2 + 9,
            "other_current_liabilities": 28 - 12 - 2 - 9,
            "fixed_assets": 30 + 2,
            "capital_work_in_progress": 3 + 1,
            "cash": 3 + 1,
        },
        "proxy": {"net_sales": 80},
    },
    "nbfc": {
        "reported": {
            "sales": 330, "other_income": 5, "revenue": 335, "employee_benefits": 40,
            "finance_costs": 150, "depreciation": 6, "total_expenses": 255,
            "exceptional_items": 0, "profit_before_tax": 80, "tax": 20, "net_profit": 60,
            "equity_share_capital": 20, "reserves_and_surplus": 500, "total_equity": 520,
            "total_liabilities": 1730, "equity_and_liabilities": 2250, "total_assets": 2250,
            "trade_receivables": 8, "operating_cash_flow": -110, "investing_cash_flow": -6,
            "financing_cash_flow": 128, "net_cash_flow": 12,
        },
        "derived": {
            "other_expenses": 25 + 4 + 30,
            "shareholders_funds": 20 + 500,  # the total is left at 0
            "fixed_assets": 30 + 5,
            "cash": 50 + 20,
            "total_debt": 700 + 850 + 100,
            "trade_payables": 1 + 9,
        },
        "proxy": {"net_sales": 330},
    },
    "bank": {
        "reported": {
            "sales": 800, "other_income": 120, "revenue": 920, "employee_benefits": 130,
            "finance_costs": 450, "exceptional_items": 0, "profit_before_tax": 170, "tax": 45,
            "share_of_associates": 4, "equity_share_capital": 100, "reserves_and_surplus": 900,
            "equity_and_liabilities": 10000, "fixed_assets": 120, "total_assets": 10000,
            "operating_cash_flow": -40, "investing_cash_flow": -15, "financing_cash_flow": 75,
            "net_cash_flow": 20,
        },
        "derived": {
            "other_expenses": 110 + 60,
            "total_expenses": 690 + 60,
            "net_profit": 125 + 4,  # before the minority's share
            "shareholders_funds": 100 + 900,
            "total_debt": 700 + 8000,
            "total_liabilities": 700 + 8000 + 300,
            "cash": 500 + 300,
        },
    },
    "life": {
        "reported": {
            "sales": 900, "employee_benefits": 60, "profit_before_tax": 50, "tax": 5,
            "net_profit": 45, "equity_share_capital": 100, "total_debt": 40, "fixed_assets": 15,
            "cash": 25, "operating_cash_flow": 210, "investing_cash_flow": -190,
            "financing_cash_flow": -12, "net_cash_flow": 8,
        },
        "derived": {
            "reserves_and_surplus": 150 + 10 - 65,
            "shareholders_funds": 260 - 65,
            "total_liabilities": 4000 + 70 + 30 + 40,
            "equity_and_liabilities": 4330 + 70 - 65,
            "total_assets": 4330 + 70 - 65,
        },
    },
    "general": {
        "reported": {
            "sales": 400, "employee_benefits": 30, "exceptional_items": 0,
            "profit_before_tax": 40, "tax": 10, "net_profit": 30, "equity_share_capital": 80,
            "total_debt": 25, "fixed_assets": 10, "cash": 20, "operating_cash_flow": 70,
            "investing_cash_flow": -55, "financing_cash_flow": -9, "net_cash_flow": 6,
        },
        "derived": {
            "reserves_and_surplus": 300 + 4,
            "shareholders_funds": 80 + 300 + 4,
            "total_liabilities": 650 + 6 + 25,
            "equity_and_liabilities": 415 + 650,
            "total_assets": 415 + 650,
        },
    },
}  # fmt: skip
NAMES = {
    "indas": "Ind-AS", "old_gaap": "old GAAP", "nbfc": "NBFC", "bank": "bank",
    "life": "life insurance", "general": "general insurance",
}  # fmt: skip


def made_up(name: str) -> bytes:
    return (FILES / f"{name}.xml").read_bytes()


def by_note(filing: Filing) -> Expected:
    notes: Expected = {}
    for cell in filing.cells:
        notes.setdefault(cell.note, {})[cell.item] = cell.value
    return notes


def values(filing: Filing) -> dict[str, float]:
    assert len({cell.item for cell in filing.cells}) == len(filing.cells)
    return {cell.item: cell.value for cell in filing.cells}


# --- the forms ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FORM_FILES)
def test_every_figure_of_every_form(name: str) -> None:
    filing = parse_xbrl(made_up(name), name)
    assert by_note(filing) == EXPECTED[name]
    assert filing.form == NAMES[name]
    assert filing.is_financial is (name not in ("indas", "old_gaap"))
    assert (filing.annual, filing.months, filing.audited) == (True, 12, True)
    assert {(c.fiscal_year_end, c.basis, c.months) for c in filing.cells} == {
        (filing.period_end, filing.basis, 12)
    }


@pytest.mark.parametrize("name", FORM_FILES)
def test_both_eras_say_the_same(name: str) -> None:
    """Prefixes and addresses are swapped: neither may matter."""
    data = made_up(name)
    here, there = (b"in-bse-fin", b"in-capmkt") if b"bseindia" in data else (b"in-capmkt", b"x")
    address = SEBI if b"bseindia" in data else BSE
    swapped = re.sub(rb'xmlns:in-(bse-fin|capmkt)="[^"]*"', b'xmlns:Q="A"', data)
    swapped = re.sub(rb"<(/?)" + here + rb":", rb"<\1" + there + b":", swapped)
    swapped = swapped.replace(b'xmlns:Q="A"', f'xmlns:{there.decode()}="{address}"'.encode())
    swapped = re.sub(rb'\n.*in-capmkt-ent="[^"]*"', b"", swapped)  # the era to 2024 has none
    assert address.encode() in swapped
    first, second = parse_xbrl(data, name), parse_xbrl(swapped, name)
    assert (first.cells, first.form) == (second.cells, second.form)


def test_the_old_form_with_the_names_of_2025() -> None:
    data = made_up("old_gaap").decode()
    for old, new in {
        "TangibleAssetsCapitalWorkInProgress": "PropertyPlantAndEquipmentCapitalWorkInProgress",
        "TangibleAssets ": "PropertyPlantAndEquipment ",
        "TangibleAssets>": "PropertyPlantAndEquipment>",
        "FixedAssets": "PropertyPlantAndEquipmentAndIntangibleAssets",
        ":Revenue ": ":Income ",
        ":Revenue>": ":Income>",
        "OutstandingDues": "TotalOutstandingDues",
    }.items():
        assert old in data
        data = data.replace(old, new)
    # 'IntangibleAssets' holds 'TangibleAssets' in another case: it must have stayed.
    assert "in-bse-fin:IntangibleAssets " in data
    assert by_note(parse_xbrl(data.encode(), "old")) == EXPECTED["old_gaap"]


def identities(v: Mapping[str, float]) -> dict[str, float]:
    """What must be 0, of the identities whose parts are given."""
    sums = {
        "two sides": v["total_assets"] - v["equity_and_liabilities"],
        "balance": v["total_assets"]
        - (v["shareholders_funds"] + v.get("minority_interest", 0) + v["total_liabilities"])
        if "total_liabilities" in v
        else 0.0,
        "capital": v["equity_share_capital"] + v["reserves_and_surplus"] - v["shareholders_funds"],
        "tax": v["net_profit"] + v["tax"] - v["profit_before_tax"]
        - v.get("share_of_associates", 0) - v.get("discontinued_operations", 0),
        "cash": v["operating_cash_flow"] + v["investing_cash_flow"] + v["financing_cash_flow"]
        - v["net_cash_flow"],
    }  # fmt: skip
    if "revenue" in v:
        sums["profit"] = (
            v["revenue"] - v["total_expenses"] + v["exceptional_items"] - v["profit_before_tax"]
        )
    if "current_liabilities" in v:
        sums["liabilities"] = (
            v["total_assets"] - v["shareholders_funds"] - v.get("minority_interest", 0)
            - v["non_current_liabilities"] - v["current_liabilities"]
        )  # fmt: skip
    return {name: round(value, 9) for name, value in sums.items()}


@pytest.mark.parametrize("name", FORM_FILES)
def test_the_accounts_tie(name: str) -> None:
    found = identities(values(parse_xbrl(made_up(name), name)))
    assert len(found) >= 5
    assert set(found.values()) == {0.0}


# --- the mapping against the taxonomies -----------------------------------------------------------

LISTS = {
    "Ind-AS": ("indas2020", "cap_indas"),
    "old GAAP": ("other2019", "cap_other_than_bank"),
    "NBFC": ("nbfc2020", "cap_nbfc_indas"),
    "bank": ("bank2019", "cap_banking"),
    "life insurance": ("cap_li",),
    "general insurance": ("cap_gi",),
}


@pytest.fixture(scope="module")
def elements(shared: Path) -> dict[str, set[str]]:
    """Names of every form's elements, of both eras."""
    lists = json.loads((shared / "facts/element_names_by_taxonomy.json").read_text())
    return {form: set().union(*(lists[name] for name in names)) for form, names in LISTS.items()}


def test_every_element_is_one_of_its_form(elements: dict[str, set[str]]) -> None:
    assert {form.name for form in FORMS} == set(elements)
    for form in FORMS:
        used = {t.element for line in form.lines for terms in line.sums for t in terms}
        # Of life insurance, but seen in simple files of Ind-AS companies.
        unknown = used.union(form.unplaced) - elements[form.name] - {"PaidUpEquityShareCapital"}
        assert not unknown, form.name
    assert set().union(*elements.values()) >= TEXTS
    assert set().union(*elements.values()) >= AMOUNTS


def test_what_tells_a_form_is_in_no_other(elements: dict[str, set[str]]) -> None:
    for form in FORMS:
        assert form.own
        for other, names in elements.items():
            assert names.isdisjoint(form.own) is (other != form.name), (form.name, other)


def test_signs_are_those_of_the_taxonomy(shared: Path) -> None:
    """Calculation weights: exceptional items add to profit, stock changes to expenses."""
    arcs = {}
    for name in ("indas", "other_than_bank", "banking"):
        text = (shared / f"fixtures/taxonomy/{name}.json").read_text()
        for role in json.loads(text)["calculation"].values():
            arcs |= {(name, arc["from"], arc["to"]): arc["weight"] for arc in role}
    stock = "ChangesInInventoriesOfFinishedGoodsWorkInProgressAndStockInTrade"
    assert arcs["indas", "ProfitBeforeTax", "ExceptionalItemsBeforeTax"] == 1
    assert arcs["indas", "Expenses", stock] == 1
    assert arcs["other_than_bank", "ProfitBeforeTax", "ExtraordinaryItems"] == 1
    assert arcs["other_than_bank", "ProfitLossForThePeriod", "ProfitLossOfMinorityInterest"] == 1
    assert arcs["banking", "ProfitLossFromOrdinaryActivitiesBeforeTax", "ExceptionalItems"] == 1


def test_every_line_is_of_an_item_and_stands_once() -> None:
    for form in FORMS:
        items = [line.item for line in form.lines]
        assert len(items) == len(set(items)), form.name
        assert set(items) <= ITEM_NAMES | DERIVED_NAMES, form.name


# --- real files -----------------------------------------------------------------------------------


def real(shared: Path, start: str) -> Filing:
    (path,) = (shared / "fixtures/xbrl").glob(f"{start}*.xml")
    return parse_xbrl(path.read_bytes(), path.name)


def test_asian_paints_half_year(shared: Path) -> None:
    filing = real(shared, "INDAS_ASIANPAINT")
    assert (filing.company_name, filing.symbol) == ("Asian Paints Limited", "ASIANPAINT")
    assert (filing.bse_code, filing.isin, filing.basis) == ("500820", None, "consolidated")
    assert (filing.period_start, filing.period_end) == (date(2023, 4, 1), date(2023, 9, 30))
    assert (filing.months, filing.annual, filing.audited) == (6, False, False)
    assert (filing.fiscal_year_end, filing.approved_on) == (date(2024, 3, 31), date(2023, 10, 26))
    v = values(filing)
    assert (v["sales"], v["total_assets"], v["net_profit"]) == (17660.88, 27422.01, 2807.23)
    assert (v["cash"], v["inventories"], v["minority_interest"]) == (758.46, 6081.56, 615.96)
    assert {cell.note for cell in filing.cells} == {"interim"}
    assert set(identities(v).values()) == {0.0}


def test_coromandel_year(shared: Path) -> None:
    filing = real(shared, "INDAS_COROMANDEL")
    assert (filing.annual, filing.months, filing.basis) == (True, 12, "consolidated")
    assert (filing.period_start, filing.period_end) == (date(2023, 4, 1), date(2024, 3, 31))
    assert (filing.audited, filing.approved_on) == (True, date(2024, 4, 25))
    v = values(filing)
    assert v["sales"] == 22058.39  # of the year; the quarter's are 3912.72
    debt = v["long_term_borrowings"] + v["short_term_borrowings"]
    assert (debt, v["total_equity"]) == (51.79, 9446.83)
    assert round(debt / v["total_equity"], 4) == 0.0055
    assert len(identities(v)) == 7
    assert set(identities(v).values()) == {0.0}
    assert filing.notices == (
        "FourD is declared 2024-01-01..2024-03-31; its facts say 2023-04-01..2024-03-31",
    )


def test_simple_files_of_others(shared: Path) -> None:
    """Minimal files with other ids and bare namespaces."""
    old, new = real(shared, "in-bse-fin_legacy"), real(shared, "in-capmkt_integrated")
    wanted = {"sales": 9022.6, "net_sales": 9022.6, "equity_share_capital": 934.219573}
    assert (values(old), old.annual, old.months) == (wanted, True, 12)
    wanted = {"sales": 2713.82, "net_sales": 2713.82, "equity_share_capital": 521.842}
    assert (values(new), new.annual, new.months) == (wanted, False, 9)
    assert "nothing tells the form of the filing: read as Ind-AS" in old.notices
    third = real(shared, "IFINDAS")
    assert (third.form, third.bse_code, third.months) == ("Ind-AS", "500001", 9)
    v = values(third)
    assert (v["revenue"], v["tax"], v["current_liabilities"]) == (37700, 2200, 22000)
    assert "dividends" not in v  # its sign contradicts the taxonomy
    assert "dividends paid are below 0: their sign is unclear, left out" in third.notices


# --- small instances ------------------------------------------------------------------------------

HEAD = (
    '<xbrli:xbrl xmlns:xbrli="http://www.xbrl.org/2003/instance"'
    ' xmlns:xbrldi="http://xbrl.org/2006/xbrldi" xmlns:iso4217="http://www.xbrl.org/2003/iso4217"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    f' xmlns:f="{SEBI}">'
    '<xbrli:unit id="INR"><xbrli:measure>iso4217:INR</xbrli:measure></xbrli:unit>'
    '<xbrli:unit id="USD"><xbrli:measure>iso4217:USD</xbrli:measure></xbrli:unit>'
    '<xbrli:unit id="fake"><xbrli:measure>xsi:INR</xbrli:measure></xbrli:unit>'
    '<xbrli:unit id="INRPerShare"><xbrli:divide><xbrli:unitNumerator>'
    "<xbrli:measure>iso4217:INR</xbrli:measure></xbrli:unitNumerator></xbrli:divide></xbrli:unit>"
)
QUARTER = ("2024-01-01", "2024-03-31")
YEAR = ("2023-04-01", "2024-03-31")
FISCAL = {"DateOfStartOfFinancialYear": YEAR[0], "DateOfEndOfFinancialYear": YEAR[1]}


def context(
    key: str, *days: str, who: tuple[str, str] = ("scheme", "who"), inside: str = ""
) -> str:
    tags = ("instant",) if len(days) == 1 else ("startDate", "endDate")
    dates = "".join(f"<xbrli:{t}>{d}</xbrli:{t}>" for t, d in zip(tags, days, strict=True))
    return (
        f'<xbrli:context id="{key}"><xbrli:entity><xbrli:identifier scheme="{who[0]}">{who[1]}'
        f"</xbrli:identifier></xbrli:entity><xbrli:period>{dates}</xbrli:period>{inside}"
        "</xbrli:context>"
    )


def facts(key: str, amounts: Mapping[str, object], attributes: str = ' unitRef="INR"') -> str:
    """Amounts in crore, or texts as they are."""
    return "".join(
        f'<f:{name} contextRef="{key}"{attributes}>'
        f"{int(v * 10**7) if isinstance(v, int | float) else v}</f:{name}>"
        for name, v in amounts.items()
    )


def dated(key: str, start: str, end: str) -> str:
    return facts(key, {"DateOfStartOfReportingPeriod": start, "DateOfEndOfReportingPeriod": end})


def small(*parts: str) -> bytes:
    return "".join((HEAD, *parts, "</xbrli:xbrl>")).encode()


def read(*parts: str) -> Filing:
    return parse_xbrl(small(*parts), "small.xml")


SALES = {"RevenueFromOperations": 100, "ProfitLossForPeriod": 10}
LESS = {"RevenueFromOperations": 30, "ProfitLossForPeriod": 3}
BOTH = (context("OneD", *QUARTER), context("FourD", *QUARTER))


def span(filing: Filing) -> tuple[str, str]:
    return str(filing.period_start), str(filing.period_end)


def test_rule_1_the_facts_of_the_year_to_date() -> None:
    filing = read(*BOTH, dated("FourD", *YEAR), facts("FourD", SALES), facts("OneD", LESS))
    assert (span(filing), filing.annual, values(filing)["sales"]) == (YEAR, True, 100)
    assert filing.notices == (
        "FourD is declared 2024-01-01..2024-03-31; its facts say 2023-04-01..2024-03-31",
    )


@pytest.mark.parametrize(
    ("declared", "more", "annual"),
    [
        (("2023-10-01", "2024-03-31"), "", False),  # longer than the quarter
        (YEAR, facts("OneD", FISCAL), True),
        (("2024-01-01", "2024-06-30"), "", False),
    ],
)
def test_rule_2_declared_dates_that_are_longer(
    declared: tuple[str, str], more: str, annual: bool
) -> None:
    filing = read(
        context("OneD", *QUARTER), context("FourD", *declared), facts("FourD", SALES),
        facts("OneD", LESS), more,
    )  # fmt: skip
    assert (span(filing), filing.annual) == (declared, annual)
    assert f"taken as declared, {'..'.join(declared)}" in filing.notices[0]


def test_rule_2_a_first_quarter_is_the_year_to_date() -> None:
    first = ("2023-04-01", "2023-06-30")
    filing = read(
        context("OneD", *first), context("FourD", *first),
        facts("OneD", FISCAL), facts("OneD", SALES), facts("FourD", SALES),
    )  # fmt: skip
    assert (span(filing), filing.months, filing.annual) == (first, 3, False)
    assert values(filing)["sales"] == 100


def test_rule_2_the_figures_of_the_quarter() -> None:
    filing = read(*BOTH, facts("OneD", FISCAL), facts("OneD", SALES), facts("FourD", SALES))
    assert (span(filing), filing.annual) == (QUARTER, False)


@pytest.mark.parametrize("own", ["", dated("FourD", *QUARTER) + dated("OneD", *QUARTER)])
def test_rule_3_the_period_ends_the_fiscal_year(own: str) -> None:
    filing = read(*BOTH, own, facts("OneD", FISCAL), facts("OneD", LESS), facts("FourD", SALES))
    assert (span(filing), filing.annual, values(filing)["sales"]) == (YEAR, True, 100)
    assert "taken to begin with it, on 2023-04-01" in filing.notices[0]


@pytest.mark.parametrize(
    "parts",
    [
        (*BOTH, facts("OneD", LESS), facts("FourD", SALES)),  # no fiscal year
        (
            *BOTH, facts("OneD", LESS), facts("FourD", SALES),
            facts("OneD", FISCAL | {"DateOfEndOfFinancialYear": "2024-06-30"}),
        ),
        (*BOTH, dated("FourD", *QUARTER), facts("OneD", LESS), facts("FourD", SALES)),
        (context("FourD", "2023-10-01", "2024-03-31"), facts("FourD", SALES)),  # of a half-year?
        (facts("FourD", SALES),),  # neither declared nor dated
        (facts("FourD", SALES), facts("FourD", {"DateOfStartOfReportingPeriod": YEAR[0]})),
    ],
)  # fmt: skip
def test_rule_4_a_period_that_cannot_be_known_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"small.xml: the period of context FourD cannot be known"):
        read(*parts)


def test_undeclared_contexts_of_the_usual_ids_are_taken() -> None:
    filing = read(
        dated("FourD", *YEAR), facts("FourD", SALES), dated("OneD", *QUARTER), facts("OneD", LESS),
        facts("OneI", {"Assets": 70}), facts("Other", {"Equity": 5}),
        facts("OneD_SegmentA", {"Equity": 6}), facts("PY_I", {"Equity": 7}),
    )  # fmt: skip
    assert values(filing) == {"sales": 100, "net_sales": 100, "net_profit": 10, "total_assets": 70}


def test_a_year_in_one_d_counts_where_there_is_no_four_d() -> None:
    filing = read(context("OneD", *YEAR), facts("OneD", SALES), facts("OneD", FISCAL))
    assert (span(filing), filing.annual, values(filing)["sales"]) == (YEAR, True, 100)
    # An empty FourD is none.
    filing = read(
        context("OneD", *YEAR), facts("OneD", SALES), facts("OneD", FISCAL),
        context("FourD", *QUARTER), dated("FourD", *QUARTER),
    )  # fmt: skip
    assert (span(filing), filing.annual) == (YEAR, True)


def test_a_quarter_alone_is_interim() -> None:
    filing = read(context("OneD", *QUARTER), facts("OneD", SALES), facts("OneD", FISCAL))
    assert (span(filing), filing.annual, filing.months) == (QUARTER, False, 3)
    assert {cell.note for cell in filing.cells} == {"interim"}
    assert "interim: 3 months, 2024-01-01..2024-03-31; not used as annual statements" in (
        filing.notices
    )


def test_a_quarter_that_is_dated_as_the_year() -> None:
    alike = (*BOTH, dated("OneD", *YEAR), dated("FourD", *YEAR), facts("FourD", SALES))
    other = read(*alike, facts("OneD", LESS | {"OtherIncome": 4}))
    assert values(other) == {"sales": 100, "net_sales": 100, "net_profit": 10}
    assert "OneD is dated as FourD, 2023-04-01..2024-03-31, but differs: left out" in other.notices
    same = read(*alike, facts("OneD", SALES | {"OtherIncome": 4}))
    assert values(same)["other_income"] == 4


def test_same_figures_in_quarter_and_year_are_not_known_to_be_the_year_s() -> None:
    filing = read(*BOTH, dated("FourD", *YEAR), facts("OneD", SALES), facts("FourD", SALES))
    assert (span(filing), filing.annual) == (YEAR, False)
    assert {cell.note for cell in filing.cells} == {"interim"}
    assert any(n.startswith("OneD and FourD hold the same figures") for n in filing.notices)
    # Zeros in both say nothing.
    none = dict.fromkeys(SALES, 0)
    zeros = read(
        *BOTH, dated("FourD", *YEAR), facts("OneD", none), facts("FourD", none | {"Expenses": 2})
    )
    assert zeros.annual is True


def test_other_ids_are_told_by_their_period() -> None:
    filing = parse_xbrl(made_up("indas_default_namespace"), "x")
    assert filing.company_name == "Indus Made-up Bearings Limited"
    assert (span(filing), filing.annual) == (("2025-01-01", "2025-12-31"), True)
    assert values(filing) == {
        "sales": 400, "net_sales": 400, "net_profit": 32.50000005, "total_assets": 275,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("days", "fiscal", "months", "annual"),
    [
        (("2022-01-01", "2023-03-31"), ("2022-01-01", "2023-03-31"), 15, True),
        (("2023-07-01", "2024-03-31"), ("2023-07-01", "2024-03-31"), 9, True),
        (("2023-07-10", "2024-03-31"), ("2023-07-10", "2024-03-31"), 9, True),
        (("2023-04-01", "2023-12-31"), YEAR, 9, False),
        (QUARTER, QUARTER, 3, False),  # no fiscal year is so short
        (("2023-01-01", "2023-12-31"), YEAR, 12, False),
        (("2023-04-01", "2024-03-31"), None, 12, True),
        (("2023-07-01", "2024-03-31"), None, 9, False),  # it could be either
    ],
)
def test_annual_is_the_whole_fiscal_year(
    days: tuple[str, str], fiscal: tuple[str, str] | None, months: int, annual: bool
) -> None:
    year = dict(zip(FISCAL, fiscal, strict=True)) if fiscal else {}
    filing = read(context("FourD", *days), dated("FourD", *days), facts("FourD", SALES | year))
    assert (filing.months, filing.annual) == (months, annual)
    assert {cell.note for cell in filing.cells if cell.item == "sales"} == {
        "reported" if annual else "interim"
    }


@pytest.mark.parametrize(
    "parts",
    [
        (dated("FourD", "2023-04-01", "31-03-2024"), facts("FourD", SALES)),
        (dated("FourD", *YEAR), dated("FourD", *QUARTER), facts("FourD", SALES)),
        (dated("FourD", "2024-04-01", "2024-03-31"), facts("FourD", SALES)),
        (dated("FourD", "3036-04-01", "3037-03-31"), facts("FourD", SALES)),
        (dated("FourD", "2023-04-01", "2023-02-30"), facts("FourD", SALES)),
        (dated("FourD", "2021-04-01", "2024-03-31"), facts("FourD", SALES)),  # 36 months
        (dated("FourD", "2024-03-31", "2024-03-31"), facts("FourD", SALES)),
        (facts("OneI", {"Equity": 5, "ProfitLossForPeriod": 1}),),  # no period at all
        (context("OneD", "2024-03-31", "2024-01-01"), facts("OneD", SALES)),
    ],
)
def test_bad_periods_are_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(InputError, match=r"^small\.xml"):
        read(*parts)


def test_a_context_that_is_declared_twice_must_be_the_same() -> None:
    year = (dated("FourD", *YEAR), facts("FourD", SALES))
    read(context("FourD", *QUARTER), context("FourD", *QUARTER), *year)
    with pytest.raises(InputError, match="'FourD' is declared twice"):
        read(context("FourD", *QUARTER), context("FourD", *YEAR), *year)


def test_a_balance_sheet_of_another_day_is_left_out() -> None:
    filing = read(
        dated("FourD", *YEAR), facts("FourD", SALES), context("OneI", "2023-09-30"),
        facts("OneI", {"Assets": 70}),
    )  # fmt: skip
    assert "total_assets" not in values(filing)
    assert "the period ends on 2024-03-31; figures of 2023-09-30 are left out" in filing.notices


# --- facts ----------------------------------------------------------------------------------------

BASE = (context("FourD", *QUARTER), dated("FourD", *YEAR), facts("FourD", SALES))
MEMBER = '<xbrldi:explicitMember dimension="f:Axis">f:Member</xbrldi:explicitMember>'


@pytest.mark.parametrize("where", ["scenario", "segment"])
def test_dimensions_are_ignored(where: str) -> None:
    split = context("Part", *YEAR, inside=f"<xbrli:scenario>{MEMBER}</xbrli:scenario>")
    if where == "segment":
        split = context("Part", *YEAR).replace(
            "</xbrli:entity>", f"<xbrli:segment>{MEMBER}</xbrli:segment></xbrli:entity>"
        )
    filing = read(*BASE, split, facts("Part", {"RevenueFromOperations": 7, "OtherIncome": 2}))
    assert values(filing) == {"sales": 100, "net_sales": 100, "net_profit": 10}


def test_equal_duplicates_are_one_and_unequal_ones_none() -> None:
    filing = read(*BASE, facts("FourD", SALES), facts("FourD", {"OtherIncome": "20000000.00"}))
    assert values(filing)["other_income"] == 2
    filing = read(*BASE, facts("FourD", {"RevenueFromOperations": 99}))
    assert values(filing) == {"net_profit": 10}
    assert (
        "left out, given twice with different values: RevenueFromOperations (1000000000 and"
        " 990000000)" in filing.notices
    )


def test_a_sum_with_an_unclear_part_is_left_out() -> None:
    balance = {"CurrentAssets": 50, "NoncurrentAssetsClassifiedAsHeldForSale": 5, "Assets": 90}
    filing = read(
        *BASE, facts("OneI", balance), facts("OneI", {"NoncurrentAssetsClassifiedAsHeldForSale": 6})
    )
    assert "current_assets" not in values(filing)
    assert values(filing)["total_assets"] == 90


@pytest.mark.parametrize(
    "fact",
    [
        '<f:OtherIncome contextRef="FourD" unitRef="INR"/>',
        '<f:OtherIncome contextRef="FourD" unitRef="INR">  \n </f:OtherIncome>',
        '<f:OtherIncome contextRef="FourD" unitRef="INR" xsi:nil="true"/>',
        '<f:OtherIncome contextRef="FourD" unitRef="INR" xsi:nil="1">5</f:OtherIncome>',
        '<f:OtherIncome contextRef="FourD" unitRef="INR" xsi:nil="true">n.a.</f:OtherIncome>',
        '<f:OtherIncome unitRef="INR">5</f:OtherIncome>',  # of no context
        '<OtherIncome contextRef="FourD" unitRef="INR">5</OtherIncome>',  # of no taxonomy
        '<x:OtherIncome xmlns:x="http://example.org/xbrl" contextRef="FourD">5</x:OtherIncome>',
    ],
)
def test_what_is_not_given_is_not_0(fact: str) -> None:
    assert "other_income" not in values(read(*BASE, fact))


@pytest.mark.parametrize("unit", ["USD", "fake", "INRPerShare", "none of the declared", None])
def test_what_is_not_in_rupees_is_left_out(unit: str | None) -> None:
    attribute = "" if unit is None else f' unitRef="{unit}"'
    filing = read(*BASE, facts("FourD", {"OtherIncome": 5}, attribute))
    assert "other_income" not in values(filing)
    shown = "none" if unit is None else unit
    assert f"left out, not in rupees: OtherIncome ('{shown}')" in filing.notices


def test_rounding_and_decimals_scale_nothing() -> None:
    filing = read(
        *BASE, facts("FourD", {"OtherIncome": 5}, ' unitRef="INR" decimals="-7" scale="7"'),
        facts("FourD", {"LevelOfRounding": "Crores"}),
    )  # fmt: skip
    assert values(filing)["other_income"] == 5


@pytest.mark.parametrize(
    "text",
    ["N/A", "1,234", "(5)", "1_000", "0x10", "inf", "-Infinity", "nan", "1e999", "9" * 50, "٣",
     "1 2", "--5", "1e", "<b/>5", "5<b/>", "<b>5</b>", "9" * 5000],
)  # fmt: skip
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"small.xml, line 1: OtherIncome: expected a number"):
        read(*BASE, facts("FourD", {"OtherIncome": text}))


@pytest.mark.parametrize(
    ("text", "crore"),
    [("-50000000.00", -5), (" 1.5e8\n", 15), ("+10000000", 1), (".5", 5e-8), ("-0.00", 0)],
)
def test_numbers(text: str, crore: float) -> None:
    assert values(read(*BASE, facts("FourD", {"OtherIncome": text})))["other_income"] == crore


def test_opening_and_closing_cash_under_one_name_are_no_conflict() -> None:
    filing = parse_xbrl(made_up("indas"), "x")
    assert not [notice for notice in filing.notices if "twice" in notice]


def test_a_statement_of_zeros_was_not_filled_in() -> None:
    balance = dict.fromkeys(("Assets", "Equity", "EquityShareCapital", "CurrentAssets"), 0)
    capital = {"PaidUpValueOfEquityShareCapital": 9}
    filing = read(*BASE, facts("OneI", balance), facts("FourD", capital))
    assert values(filing) == {
        "sales": 100, "net_sales": 100, "net_profit": 10, "equity_share_capital": 9,
    }  # fmt: skip
    assert "every figure of the balance sheet is 0: taken as not given" in filing.notices


def test_what_is_held_for_sale_is_counted_once() -> None:
    """The form shows it beside the current items, but some filers count it among them."""
    beside = {
        "NoncurrentLiabilities": 30, "CurrentLiabilities": 50, "Liabilities": 84,
        "LiabilitiesDirectlyAssociatedWithAssetsInDisposalGroupClassifiedAsHeldForSale": 4,
    }  # fmt: skip
    first = read(*BASE, facts("OneI", beside))
    within = read(*BASE, facts("OneI", beside | {"CurrentLiabilities": 54}))
    for filing in (first, within):
        v = values(filing)
        assert v["current_liabilities"] == 54
        assert v["non_current_liabilities"] + v["current_liabilities"] == v["total_liabilities"]
    assert any("CurrentLiabilities hold" in notice for notice in within.notices)


def test_what_no_item_holds_is_said() -> None:
    movement = (
        "NetMovementInRegulatoryDeferralAccountBalancesRelatedToProfitOrLossAndTheRelated"
        "DeferredTaxMovement"
    )
    filing = read(*BASE, facts("FourD", {movement: 6, "ProfitBeforeTax": 5}))
    assert f"no item holds {movement}, 6.00 crore: sums around it differ by that" in filing.notices


def test_a_template_that_the_elements_contradict() -> None:
    data = made_up("nbfc").replace(b"IntegratedFinance_NBFC", b"IntegratedFinance_IndAS")
    filing = parse_xbrl(data, "x")
    assert filing.form == "NBFC"
    assert filing.notices[0] == ("the entry point says Ind-AS, the elements say NBFC: read as NBFC")


def test_the_template_tells_where_the_elements_do_not() -> None:
    data = small(*BASE).replace(
        b"<xbrli:unit", b'<xbrli:unit xmlns:e="x"', 1
    ).replace(
        b"<xbrli:xbrl ",
        b'<xbrli:xbrl xmlns:e="http://www.sebi.gov.in/xbrl/IntegratedFinance_NBFC/2025-01-31/e" ',
    )  # fmt: skip
    assert parse_xbrl(data, "x").form == "NBFC"
    assert read(*BASE).form == "Ind-AS"


# --- who, when ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scheme", "identifier", "field"),
    [
        ("http://www.nseindia.com/NSESymbol", "M&amp;M", "symbol"),
        ("http://www.sebi.gov.in/xbrl", "INE002A01018", "isin"),
        ("http://www.bseindia.com", "500325", "bse_code"),
        ("http://www.mca.gov.in/CIN", "L99999MH2001PLC123456", "cin"),
    ],
)
def test_the_entity_is_told_by_scheme_or_shape(scheme: str, identifier: str, field: str) -> None:
    filing = read(
        context("FourD", *QUARTER, who=(scheme, identifier)), dated("FourD", *YEAR),
        facts("FourD", SALES),
    )  # fmt: skip
    told = {name: getattr(filing, name) for name in ("symbol", "isin", "bse_code", "cin")}
    assert told.pop(field) == identifier.replace("&amp;", "&")
    assert set(told.values()) == {None}


def test_placeholders_are_no_identity() -> None:
    said = {"Symbol": "NOTLISTED", "ScripCode": "000000", "ISIN": "INE002A01019"}
    filing = read(*BASE, facts("FourD", said))
    assert (filing.symbol, filing.bse_code, filing.isin) == (None, None, None)
    assert "ISIN INE002A01019 has a wrong check digit: left out" in filing.notices


@pytest.mark.parametrize(
    ("said", "basis", "audited"),
    [
        (("Consolidated", "Audited"), "consolidated", True),
        (("Standalone", "Unaudited"), "standalone", False),
        (("Non-Consolidated", "Un-Audited"), "standalone", False),
        (("Combined", "Reviewed"), "unstated", None),
        ((None, None), "unstated", None),
    ],
)
def test_basis_and_audit(
    said: tuple[str | None, str | None], basis: str, audited: bool | None
) -> None:
    names = ("NatureOfReportStandaloneConsolidated", "WhetherResultsAreAuditedOrUnaudited")
    given = {name: text for name, text in zip(names, said, strict=True) if text}
    filing = read(*BASE, facts("FourD", given))
    assert (filing.basis, filing.audited) == (basis, audited)
    assert {cell.basis for cell in filing.cells} == {basis}
    unclear = [notice for notice in filing.notices if "is not understood" in notice]
    assert len(unclear) == (2 if "Combined" in said else 0)


def test_march_files_say_audited_of_the_year_and_unaudited_of_the_quarter() -> None:
    word = "WhetherResultsAreAuditedOrUnaudited"
    filing = read(*BASE, facts("OneD", {word: "Unaudited"}), facts("FourD", {word: "Audited"}))
    assert filing.audited is True
    assert read(*BASE, facts("OneD", {word: "Unaudited"})).audited is False


@pytest.mark.parametrize("day", ["2024-02-10", "2024-03-31", "soon"])
def test_a_meeting_before_the_period_ended_is_not_believed(day: str) -> None:
    said = {"DateOfBoardMeetingWhenFinancialResultsWereApproved": day}
    filing = read(*BASE, facts("FourD", said))
    assert filing.approved_on is None
    assert any("the board meeting is dated" in notice for notice in filing.notices)


def test_the_end_of_the_meeting_serves_where_approval_is_not_dated() -> None:
    said = {"DateOfEndOfBoardMeeting": "2024-05-20"}
    assert read(*BASE, facts("FourD", said)).approved_on == date(2024, 5, 20)


# --- what is refused ------------------------------------------------------------------------------

GOOD = small(*BASE)
DOCTYPE = b'<!DOCTYPE x [<!ENTITY a "5">]>'


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "expected XML"),
        (b"   \n", "expected XML"),
        (b"Dear Sir", "expected XML"),
        (b"\x89PNG\r\n", "expected XML"),
        (b"<html><body/></html>", "expected the root"),
        (b"<xbrl/>", "expected the root"),
        (GOOD[:-5], "not well-formed XML"),
        (GOOD + b"<more/>", "not well-formed XML"),
        (DOCTYPE + GOOD, "no DOCTYPE"),
        (b'<?xml version="1.0"?>\n<!-- a --><?pi?>\n' + DOCTYPE + GOOD, "no DOCTYPE"),
        (GOOD.replace(b"1000000000", b"&a;"), "not well-formed XML"),
        (GOOD.decode().encode("utf-16"), "got UTF-16"),
        (GOOD.decode().encode("utf-16-le"), "got UTF-16"),
        (GOOD.decode().encode("utf-32"), "got UTF-16 or UTF-32"),
        (b'<?xml version="1.0" encoding="UTF-16"?>' + GOOD, "got 'utf-16'"),
        (b"<?xml version='1.0' encoding = 'utf-7'?>" + GOOD, "got 'utf-7'"),
        (b'<?xml version="1.0" encoding="IBM037"?>' + GOOD, "got 'ibm037'"),
        (b"<!-- \xff -->" + GOOD, "not well-formed XML"),
        (
            GOOD.replace(
                b"</xbrli:xbrl>",
                b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/hostname"/>'
                b"</xbrli:xbrl>",
            ),
            "XInclude",
        ),
        (small(context("D", *YEAR), facts("D", {"EnergyUse": 5})), "expected financial results"),
    ],
)
def test_what_is_refused(data: bytes, expected: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_xbrl(data, "page.xml")
    assert str(caught.value).startswith("page.xml: ")
    assert expected in str(caught.value)


def test_large_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    assert xbrl_instance.MAX_BYTES == 64 * 1024**2
    monkeypatch.setattr(xbrl_instance, "MAX_BYTES", len(GOOD))
    parse_xbrl(GOOD, "x")
    with pytest.raises(InputError, match="bytes; files of up to"):
        parse_xbrl(GOOD + b"\n", "x")


@pytest.mark.parametrize("encoding", ["UTF-8", "iso-8859-1", "windows-1252", "US-ASCII", "Latin1"])
def test_encodings(encoding: str) -> None:
    name = "Plain" if "ASCII" in encoding else "Café"
    body = facts("FourD", {"NameOfTheCompany": name})
    data = f'<?xml version="1.0" encoding="{encoding}"?>' + small(*BASE, body).decode()
    assert parse_xbrl(data.encode(encoding), "x").company_name == name


def test_a_byte_order_mark_and_declared_utf_8() -> None:
    assert parse_xbrl(b"\xef\xbb\xbf" + GOOD, "x").months == 12


def test_an_entity_reads_no_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("123450000000")
    entity = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{secret.as_uri()}">]>'.encode()
    data = entity + GOOD.replace(b">1000000000<", b">&a;<")
    with pytest.raises(InputError) as caught:
        parse_xbrl(data, "x")
    assert "12345" not in str(caught.value)


# --- the file as rows of statements ---------------------------------------------------------------


def test_rows_load_and_pass_the_checks(db: Path) -> None:
    tables = {name: read_xbrl(FILES / f"{name}.xml")[0] for name in FORM_FILES}
    with store.connect(db, create=True) as connection:
        for name, table in tables.items():
            assert set(table.column_names) <= set(STATEMENTS.columns)
            import_table(connection, STATEMENTS, table, name)
        results = store.run_checks(connection)
        loaded = connection.execute("SELECT count(*) FROM statement_line").fetchone()
    assert loaded == (sum(table.num_rows for table in tables.values()),)
    assert [result.check.name for result in results if result.failed] == []
    judged = {result.check.name for result in results if result.judged}
    assert judged >= {"balance_sheet", "two_sides", "profit_after_tax", "cash_flows", "expenses"}


def column(table: pa.Table, name: str) -> set[object]:
    return set(table.column(name).to_pylist())


def test_rows_say_who_when_and_whence() -> None:
    table, notices = read_xbrl(FILES / "indas.xml")
    assert {name: column(table, name) for name in table.column_names[:9]} == {
        "company_id": {"merupaper"},
        "company_name": {"Meru Paper Mills Limited"},
        "nse_symbol": {"MERUPAPER"},
        "isin": {"INE99ZA01018"},
        "cin": {None},
        "fiscal_year_end": {"2023-03-31"},
        "months": {"12"},
        "basis": {"consolidated"},
        "unit": {"INR crore"},
    }
    assert column(table, "filed_at") == {"2023-05-18"}
    assert column(table, "source") == {"xbrl filing"}
    assert table.num_rows == sum(map(len, EXPECTED["indas"].values()))
    assert notices[0] == (
        "company MERUPAPER imported as merupaper: Ind-AS, consolidated, 12 months to 2023-03-31"
    )
    named, _ = read_xbrl(FILES / "indas.xml", company="mine")
    assert column(named, "company_id") == {"mine"}


def test_a_file_that_names_no_company_needs_one(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(GOOD)
    with pytest.raises(InputError, match="names no company"):
        read_xbrl(path)
    table, _ = read_xbrl(path, company="acme")
    assert column(table, "company_id") == {"acme"}


def test_a_file_without_figures_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.xml"
    path.write_bytes(small(dated("FourD", *YEAR), facts("FourD", {"RevenueFromOperations": ""})))
    with pytest.raises(InputError, match="holds no figure of the period to 2024-03-31"):
        read_xbrl(path, company="acme")


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (GOOD, True),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- x -->\n" + GOOD, True),
        (b"<xbrl xmlns='http://www.xbrl.org/2003/instance'>", True),
        (DOCTYPE + GOOD, True),  # so that it is refused for what it is
        (b"<!-- <xbrli:xbrl> --><html/>", False),
        (b"<html><xbrl/></html>", False),
        (b"<xbrlx/>", False),
        (b"company_id,item,value\n", False),
        (b"PK\x03\x04", False),
        (b"", False),
        (b"<!-- never closed", False),
    ],
)
def test_told_by_content_not_by_name(data: bytes, told: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(data)
    assert is_xbrl(path) is told


def test_our_files_are_told(tmp_path: Path) -> None:
    paths: Iterable[Path] = sorted(FILES.glob("*.xml"))
    assert [path.name for path in paths if is_xbrl(path)] == [
        "bank.xml", "general.xml", "indas.xml", "indas_default_namespace.xml", "life.xml",
        "nbfc.xml", "old_gaap.xml",
    ]  # fmt: skip
