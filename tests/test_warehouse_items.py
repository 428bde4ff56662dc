"""Items: expressions that are refused, every null rule of the derived items, the period before."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import loaded, rows_of, write_csv, year_rows

from warehouse import store
from warehouse.items import DERIVED, DERIVED_NAMES, ITEM_NAMES, ITEMS, UNITS, names_in

KNOWN = frozenset({"sales", "cash", "total_assets"})


@pytest.mark.parametrize(
    "expression",
    [
        "abs(sales)",
        "__import__('os')",
        "sales.real",
        "sales[0]",
        "'sales'",
        "b'sales'",
        "sales < cash",
        "sales == cash",
        "sales and cash",
        "not sales",
        "sales if cash else 0",
        "lambda: sales",
        "[sales]",
        "(sales, cash)",
        "{sales}",
        "sales ** 2",
        "sales // cash",
        "sales % cash",
        "~sales",
        "True",
        "None",
        "...",
        "2j * sales",
        "(x := sales)",
        "f'{sales}'",
        "",
        "sales cash",
        "sales; cash",
        "sales +",
    ],
)
def test_anything_but_arithmetic_is_refused(expression: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        names_in(expression, KNOWN)


@pytest.mark.parametrize("expression", ["sales --cash", "sales - cash # net"])
def test_what_reads_otherwise_in_sql_is_refused(expression: str) -> None:
    with pytest.raises((ValueError, SyntaxError)):
        names_in(expression, KNOWN)


@pytest.mark.parametrize("expression", ["profit", "sales - profit", "Sales", "prev_sales"])
def test_unknown_items_are_refused_by_name(expression: str) -> None:
    with pytest.raises(ValueError, match=r"unknown item '(profit|Sales|prev_sales)'"):
        names_in(expression, KNOWN)


def test_names_are_found_once_and_in_order() -> None:
    assert names_in("total_assets - (sales + 2) / 3 * sales", KNOWN) == ("total_assets", "sales")
    assert names_in("-cash", KNOWN) == ("cash",)


def test_names_are_unique() -> None:
    names = [item.name for item in ITEMS] + [derived.name for derived in DERIVED]
    assert len(names) == len(set(names))
    assert not ITEM_NAMES & DERIVED_NAMES


def test_derived_items_use_only_those_above_them() -> None:
    above = set(ITEM_NAMES)
    for derived in DERIVED:
        names = names_in(derived.definition, ITEM_NAMES | DERIVED_NAMES)
        assert set(names) <= above, derived.name
        assert set(derived.optional) <= set(names), derived.name
        above.add(derived.name)


def test_units_in_rupees() -> None:
    rupees = {unit.name: 10_000_000 / unit.per_crore for unit in UNITS}
    assert rupees == {
        "INR": 1,
        "INR thousand": 1_000,
        "INR lakh": 100_000,
        "INR million": 1_000_000,
        "INR crore": 10_000_000,
    }


# name: (what is reported, what follows)
CASES: dict[str, tuple[dict[str, float], dict[str, float | None]]] = {
    "minority interest counts 0": ({"shareholders_funds": 300}, {"total_equity": 300}),
    "minority interest is added": (
        {"shareholders_funds": 300, "minority_interest": 20},
        {"total_equity": 320},
    ),
    "no funds": ({"minority_interest": 20}, {"total_equity": None}),
    "negative funds": (
        {"shareholders_funds": -70, "minority_interest": -5},
        {"total_equity": -75},
    ),
    "long debt": ({"long_term_borrowings": 210}, {"total_debt": 210}),
    "short debt": ({"short_term_borrowings": 90}, {"total_debt": 90}),
    "all debt": ({"long_term_borrowings": 210, "short_term_borrowings": 90}, {"total_debt": 300}),
    "no debt is 0": ({"long_term_borrowings": 0}, {"total_debt": 0}),
    "debt unknown": ({"cash": 1}, {"total_debt": None}),
    "cash": ({"cash": 25}, {"quick_assets": 25}),
    "cash and investments": ({"cash": 25, "current_investments": 15}, {"quick_assets": 40}),
    "quick assets": (
        {"cash": 25, "current_investments": 15, "trade_receivables": 120},
        {"quick_assets": 160},
    ),
    "quick assets without cash": (
        {"current_investments": 15, "trade_receivables": 120},
        {"quick_assets": None},
    ),
    "materials": ({"cost_of_materials": 300}, {"cost_of_goods_sold": 300, "gross_profit": None}),
    "purchases": ({"purchases_of_stock": 80}, {"cost_of_goods_sold": 80}),
    "direct": ({"operating_and_direct_expenses": 40}, {"cost_of_goods_sold": 40}),
    "stock": ({"changes_in_inventories": -20}, {"cost_of_goods_sold": -20}),
    "cost of goods": (
        {
            "sales": 800,
            "cost_of_materials": 300,
            "purchases_of_stock": 80,
            "operating_and_direct_expenses": 40,
            "changes_in_inventories": -20,
        },
        {"cost_of_goods_sold": 400, "gross_profit": 400, "operating_profit": None},
    ),
    "no cost of goods": ({"sales": 800}, {"cost_of_goods_sold": None, "gross_profit": None}),
    "operating": (
        {
            "sales": 800,
            "cost_of_materials": 400,
            "employee_benefits": 120,
            "other_expenses": 130,
            "depreciation": 55,
        },
        {"operating_profit": 150, "operating_income": 95},
    ),
    "operating without wages": (
        {"sales": 800, "cost_of_materials": 400, "other_expenses": 130, "depreciation": 55},
        {"gross_profit": 400, "operating_profit": None, "operating_income": None},
    ),
    "operating without wear": (
        {"sales": 8, "cost_of_materials": 4, "employee_benefits": 1, "other_expenses": 1},
        {"operating_profit": 2, "operating_income": None},
    ),
    "expenses": ({"total_expenses": 750, "finance_costs": 45}, {"operating_expenses": 705}),
    "expenses without interest": ({"total_expenses": 750}, {"operating_expenses": None}),
    "ebit": ({"profit_before_tax": -66, "finance_costs": 45}, {"ebit": -21}),
    "ebit without interest": ({"profit_before_tax": 66}, {"ebit": None}),
    "current": (
        {"current_assets": 420, "current_liabilities": 400},
        {"working_capital": 20, "short_term_liabilities": 400, "total_liabilities": None},
    ),
    "no current liabilities": (
        {"current_assets": 420, "total_assets": 1000, "non_current_liabilities": 280},
        {
            "working_capital": None,
            "short_term_liabilities": None,
            "total_liabilities": None,
            "capital_employed": None,
        },
    ),
    "liabilities": (
        {"non_current_liabilities": 280, "current_liabilities": 400, "total_assets": 1000},
        {"total_liabilities": 680, "capital_employed": 600},
    ),
    # Stated by the file where the parts do not give it.
    "stated": (
        {"total_liabilities": 680, "quick_assets": 160, "trade_receivables": 1},
        {"total_liabilities": 680, "quick_assets": 160},
    ),
    "stated goes on": (
        {"operating_profit": 150, "depreciation": 55},
        {"operating_profit": 150, "operating_income": 95},
    ),
    "stated cost": (
        {"sales": 800, "cost_of_goods_sold": 400},
        {"cost_of_goods_sold": 400, "gross_profit": 400},
    ),
    # Both and different: the parts win.
    "stated otherwise": (
        {"total_liabilities": 700, "non_current_liabilities": 280, "current_liabilities": 400},
        {"total_liabilities": 680},
    ),
    "stated debt, one part": (
        {"total_debt": 500, "long_term_borrowings": 210},
        {"total_debt": 210},
    ),
    "stated the same": (
        {"total_debt": 300, "long_term_borrowings": 210, "short_term_borrowings": 90},
        {"total_debt": 300},
    ),
    "stated profit otherwise": (
        {
            "sales": 800,
            "cost_of_materials": 400,
            "employee_benefits": 120,
            "other_expenses": 130,
            "operating_profit": 210,
            "depreciation": 55,
        },
        {"operating_profit": 150, "operating_income": 95},
    ),
}
FAIL_THE_CHECK = {
    ("stated otherwise", "total_liabilities", 700.0, 680.0),
    ("stated debt, one part", "total_debt", 500.0, 210.0),
    ("stated profit otherwise", "operating_profit", 210.0, 150.0),
}


@pytest.fixture(scope="module")
def derived(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[dict[object, dict[str, object]], set[tuple[object, ...]]]:
    """The row of each case, and what fails the check of stated items."""
    folder = tmp_path_factory.mktemp("derived")
    rows = [
        row for name, (items, _) in CASES.items() for row in year_rows(name, "2020-03-31", items)
    ]
    with loaded(folder / "w.duckdb", write_csv(folder / "s.csv", rows)) as connection:
        store.run_checks(connection)
        failures = connection.execute(
            "SELECT company_id, detail, actual, expected FROM check_failure"
            " WHERE check_name = 'derived_items'"
        ).fetchall()
        years = {row["company_id"]: row for row in rows_of(connection, "FROM statements")}
        return years, set(failures)


@pytest.mark.parametrize("case", CASES)
def test_derived_item(
    case: str, derived: tuple[dict[object, dict[str, object]], set[tuple[object, ...]]]
) -> None:
    row = derived[0][case]
    assert {name: row[name] for name in CASES[case][1]} == CASES[case][1]


def test_stated_and_different_fails_the_check(
    derived: tuple[dict[object, dict[str, object]], set[tuple[object, ...]]],
) -> None:
    assert derived[1] == FAIL_THE_CHECK


def test_the_cases_cover_every_derived_item_with_and_without_a_value() -> None:
    results = [result for _, result in CASES.values()]
    for name in DERIVED_NAMES:
        assert any(result.get(name) is not None for result in results), name
        assert any(name in result and result[name] is None for result in results), name


def years_of(db: Path, file: Path) -> list[dict[str, object]]:
    with loaded(db, file) as connection:
        return rows_of(connection, "FROM statements ORDER BY company_id, fiscal_year_end")


def test_year_before(db: Path, tmp_path: Path) -> None:
    rows = [
        *year_rows("acme", "2018-03-31", {"total_assets": 100, "inventories": 10}),
        *year_rows("acme", "2019-03-31", {"total_assets": 110}),
        *year_rows("acme", "2020-03-31", {"total_assets": 120, "current_assets": 7}),
        # No accounts for 2021.
        *year_rows("acme", "2022-03-31", {"total_assets": 140}),
        *year_rows("acme", "2023-03-31", {"total_assets": 150}),
        # Another company does not lend its years.
        *year_rows("bolt", "2021-03-31", {"total_assets": 9}),
    ]
    found = years_of(db, write_csv(tmp_path / "s.csv", rows))
    assert [
        (r["company_id"], r["fiscal_year"], r["prev_total_assets"], r["prev_inventories"])
        for r in found
    ] == [
        ("acme", 2018, None, None),
        ("acme", 2019, 100, 10),
        ("acme", 2020, 110, None),  # not the inventories of two years before
        ("acme", 2022, None, None),
        ("acme", 2023, 140, None),
        ("bolt", 2021, None, None),
    ]
    assert [r["prev_current_assets"] for r in found] == [None] * 6


def test_other_year_ends_and_months(db: Path, tmp_path: Path) -> None:
    rows = [
        *year_rows("acme", "2019-06-30", {"total_assets": 100, "sales": 8}),
        *year_rows("acme", "2020-12-31", {"total_assets": 110, "sales": 12}, months=18),
        *year_rows("acme", "2021-12-31", {"total_assets": 120}, months=12),
    ]
    found = years_of(db, write_csv(tmp_path / "s.csv", rows))
    assert [(r["fiscal_year"], r["months"], r["prev_total_assets"]) for r in found] == [
        (2019, 12, None),  # 12 where the file does not say
        (2020, 18, 100),
        (2021, 12, 110),
    ]
    assert [r["sales"] for r in found] == [8, 12, None]  # 18 months stay 18 months


def test_two_year_ends_in_one_calendar_year(db: Path, tmp_path: Path) -> None:
    rows = [
        *year_rows("acme", "2018-03-31", {"total_assets": 90}),
        *year_rows("acme", "2019-03-31", {"total_assets": 100, "inventories": 5}),
        *year_rows("acme", "2019-12-31", {"total_assets": 110}, months=9),
        *year_rows("acme", "2020-12-31", {"total_assets": 120}),
    ]
    with loaded(db, write_csv(tmp_path / "s.csv", rows)) as connection:
        found = rows_of(connection, "FROM statements ORDER BY fiscal_year")
        store.run_checks(connection)
        failed = connection.execute(
            "SELECT fiscal_year_end::VARCHAR FROM check_failure"
            " WHERE check_name = 'duplicate_year' ORDER BY ALL"
        ).fetchall()
    assert [(r["fiscal_year"], r["total_assets"], r["prev_total_assets"]) for r in found] == [
        (2018, 90, None),
        (2019, 110, 100),  # the later of the two; its nine months follow the earlier one
        (2020, 120, 110),
    ]
    assert found[1]["inventories"] is None  # the two are not mixed
    assert failed == [("2019-03-31",), ("2019-12-31",)]


def test_one_basis_for_all_years_of_a_company(db: Path, tmp_path: Path) -> None:
    rows = [
        # More years standalone than consolidated.
        *year_rows("acme", "2019-03-31", {"total_assets": 1}, basis="standalone"),
        *year_rows("acme", "2020-03-31", {"total_assets": 2}, basis="standalone"),
        *year_rows("acme", "2020-03-31", {"total_assets": 20}, basis="consolidated"),
        *year_rows("bolt", "2020-03-31", {"total_assets": 3}, basis="standalone"),
        *year_rows("cord", "2020-03-31", {"total_assets": 4}),
        # As many of each.
        *year_rows("dyes", "2019-03-31", {"total_assets": 5}, basis="standalone"),
        *year_rows("dyes", "2020-03-31", {"total_assets": 6}, basis="consolidated"),
        *year_rows("dyes", "2021-03-31", {"total_assets": 7}),
        # As many years, but the consolidated ones are less than half as full.
        *year_rows("elms", "2020-03-31", {"total_assets": 8, "cash": 1, "sales": 1}),
        *year_rows("elms", "2020-03-31", {"total_assets": 9}, basis="consolidated"),
    ]
    found = years_of(db, write_csv(tmp_path / "s.csv", rows))
    assert [(r["company_id"], r["fiscal_year"], r["basis"], r["total_assets"]) for r in found] == [
        ("acme", 2019, "standalone", 1),
        ("acme", 2020, "standalone", 2),
        ("bolt", 2020, "standalone", 3),
        ("cord", 2020, "unstated", 4),
        ("dyes", 2020, "consolidated", 6),
        ("elms", 2020, "unstated", 8),
    ]


def test_an_empty_consolidated_cell_does_not_hide_standalone_figures(
    db: Path, tmp_path: Path
) -> None:
    rows = [
        *year_rows("acme", "2020-03-31", {"total_assets": 2}, basis="standalone"),
        *year_rows("acme", "2020-03-31", {"total_assets": ""}, basis="consolidated"),
    ]
    found = years_of(db, write_csv(tmp_path / "s.csv", rows))
    assert [(r["basis"], r["total_assets"]) for r in found] == [("standalone", 2)]


def test_a_short_period_does_not_stand_for_the_year(db: Path, tmp_path: Path) -> None:
    rows = year_rows("acme", "2018-03-31", {"cash": 12}, months=12)
    rows += year_rows("acme", "2018-06-30", {"cash": 3}, months=3)
    rows += year_rows("bolt", "2018-03-31", {"cash": 12}, months=12)
    rows += year_rows("bolt", "2018-12-31", {"cash": 9}, months=9)
    with loaded(db, write_csv(tmp_path / "s.csv", rows)) as connection:
        kept = rows_of(connection, "SELECT company_id, cash FROM statements ORDER BY 1")
    assert kept == [{"company_id": "acme", "cash": 12}, {"company_id": "bolt", "cash": 9}]
