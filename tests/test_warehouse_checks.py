"""Data checks: each has a row that passes and one that fails, and rows at the tolerance."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import Command, loaded, rows_of, write_csv, year_rows

from warehouse import store

Items = dict[str, float]
# check: (items of a year that passes, items of a year that fails, what the failure says)
PAIRS: dict[str, tuple[Items, Items, tuple[float, float, str]]] = {
    "balance_sheet": (
        {"shareholders_funds": 300.5, "minority_interest": 19.5, "total_assets": 1000.5,
         "non_current_liabilities": 280.3, "current_liabilities": 400.2},
        {"shareholders_funds": 300.5, "total_assets": 1000.5,
         "non_current_liabilities": 280.3, "current_liabilities": 300.2},
        (1000.5, 881.0, ""),
    ),
    "two_sides": (
        {"total_assets": 1000.5, "equity_and_liabilities": 1000.5},
        {"total_assets": 1000.5, "equity_and_liabilities": 900.5},
        (1000.5, 900.5, ""),
    ),
    "shareholders_funds": (
        {"equity_share_capital": 50.5, "reserves_and_surplus": -70.25,
         "shareholders_funds": -19.75},
        {"equity_share_capital": 50.5, "reserves_and_surplus": 70.25,
         "shareholders_funds": 50.5},
        (120.75, 50.5, ""),
    ),
    "current_assets": (
        {"cash": 10.5, "inventories": 20.5, "current_assets": 40.5},
        {"cash": 10.5, "inventories": 20.5, "trade_receivables": 30.5,
         "current_investments": 1.5, "current_assets": 40.5},
        (63.0, 40.5, ""),
    ),
    "current_liabilities": (
        {"trade_payables": 10.5, "current_liabilities": 40.5},
        {"trade_payables": 10.5, "short_term_borrowings": 20.5,
         "other_current_liabilities": 20.5, "current_liabilities": 40.5},
        (51.5, 40.5, ""),
    ),
    "non_current_liabilities": (
        {"long_term_borrowings": 10.5, "non_current_liabilities": 40.5},
        {"long_term_borrowings": 50.5, "non_current_liabilities": 40.5},
        (50.5, 40.5, ""),
    ),
    "assets": (
        {"current_assets": 40.5, "fixed_assets": 30.5, "total_assets": 100.5},
        {"current_assets": 40.5, "fixed_assets": 50.5, "capital_work_in_progress": 20.5,
         "total_assets": 100.5},
        (111.5, 100.5, ""),
    ),
    "revenue": (
        {"sales": 800.5, "other_income": -16.25, "revenue": 784.25},
        {"sales": 800.5, "other_income": 16.25, "revenue": 800.5},
        (816.75, 800.5, ""),
    ),
    "expenses": (
        {"cost_of_materials": 400.5, "employee_benefits": 120.5, "other_expenses": 130.5,
         "depreciation": 55.5, "finance_costs": 45.5, "total_expenses": 752.5},
        {"cost_of_materials": 400.5, "employee_benefits": 120.5, "other_expenses": 130.5,
         "depreciation": 55.5, "finance_costs": 45.5, "total_expenses": 652.5},
        (752.5, 652.5, ""),
    ),
    "profit_before_tax": (
        {"total_expenses": 750.5, "exceptional_items": -20.5, "profit_before_tax": 45.5,
         "revenue": 816.5},
        {"total_expenses": 750.5, "profit_before_tax": 45.5, "revenue": 816.5},
        (796.0, 816.5, ""),
    ),
    "profit_after_tax": (
        {"net_profit": -48.5, "tax": -17.5, "profit_before_tax": -66.0},
        {"net_profit": 48.5, "tax": 17.5, "profit_before_tax": 48.5},
        (66.0, 48.5, ""),
    ),
    "cash_flows": (
        {"operating_cash_flow": 72.5, "investing_cash_flow": -50.5,
         "financing_cash_flow": -28.5, "net_cash_flow": -6.5},
        {"operating_cash_flow": 72.5, "investing_cash_flow": -50.5,
         "financing_cash_flow": -28.5, "net_cash_flow": 6.5},
        (-6.5, 6.5, ""),
    ),
    "derived_items": (
        {"total_debt": 300.5, "long_term_borrowings": 210.25, "short_term_borrowings": 90.25},
        {"total_debt": 400.5, "long_term_borrowings": 210.25, "short_term_borrowings": 90.25},
        (400.5, 300.5, "total_debt"),
    ),
    "sign": (
        {"inventories": 0.0, "tax": -1.5},
        {"inventories": -0.5},
        (-0.5, 0.0, "inventories"),
    ),
    # Against the year before, which has INR 1 crore of each total.
    "scale_jump": (
        {"total_assets": 999.5},
        {"total_assets": 1000.5},
        (1000.5, 1.0, "total_assets"),
    ),
    # The failing company has a second year end in 2020, of the nine months after the first.
    "duplicate_year": ({"cash": 1.5}, {"cash": 1.5}, (2.0, 1.0, "2020")),
    # Twelve months that end 6 and 24 months after the period before: the passing ones 12 months
    # after it. Days between are counted in months of 30.44 days: 183 and 731 days.
    "period_overlap": ({"cash": 1.5}, {"cash": 1.5}, (12.0, 6.0, "")),
    "period_gap": ({"cash": 1.5}, {"cash": 1.5}, (12.0, 24.0, "")),
}  # fmt: skip
ERRORS = set(PAIRS) - {
    "current_assets", "current_liabilities", "non_current_liabilities", "assets", "sign",
    "duplicate_year", "period_overlap", "period_gap",
}  # fmt: skip
# check: the year ends of the passing and of the failing company before and after 2020.
OTHER_YEARS: dict[str, tuple[str, str]] = {
    "scale_jump": ("2019-03-31", "2019-03-31"),
    "period_overlap": ("2019-03-31", "2019-09-30"),
    "period_gap": ("2019-03-31", "2018-03-31"),
}


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, object]]:
    """Every failure of a warehouse with the two years of each pair, and the results."""
    folder = tmp_path_factory.mktemp("checks")
    rows = []
    for name, (good, bad, _) in PAIRS.items():
        rows += year_rows(f"{name} good", "2020-03-31", good)
        rows += year_rows(f"{name} bad", "2020-03-31", bad)
    for name, ends in OTHER_YEARS.items():
        for kind, end in zip(("good", "bad"), ends, strict=True):
            rows += year_rows(f"{name} {kind}", end, {"total_assets": 1})
    rows += year_rows("duplicate_year bad", "2020-12-31", {"cash": 1.5}, months=9)
    with loaded(folder / "w.duckdb", write_csv(folder / "s.csv", rows)) as connection:
        store.run_checks(connection)
        return rows_of(connection, "FROM check_failure ORDER BY ALL")


def test_every_check_has_a_pair() -> None:
    assert [check.name for check in store.checks()] == list(PAIRS)
    assert {check.name for check in store.checks() if check.severity == "error"} == ERRORS
    assert all(check.asserts for check in store.checks())


@pytest.mark.parametrize("name", PAIRS)
def test_failing_row_is_found_and_the_passing_one_is_not(
    name: str, failures: list[dict[str, object]]
) -> None:
    actual, expected, detail = PAIRS[name][2]
    found = [f for f in failures if f["check_name"] == name and f["company_id"] == f"{name} bad"]
    assert len(found) == (2 if name == "duplicate_year" else 1)
    failure = found[0]
    assert failure["severity"] == ("error" if name in ERRORS else "warning")
    assert str(failure["fiscal_year_end"]) == "2020-03-31"
    assert (failure["actual"], failure["expected"]) == pytest.approx((actual, expected))
    assert failure["detail"] == detail
    assert not [f for f in failures if f["company_id"] == f"{name} good"]


def test_no_pair_fails_another_check(failures: list[dict[str, object]]) -> None:
    found = {(f["check_name"], str(f["company_id"]).removesuffix(" bad")) for f in failures}
    assert found == {(name, name) for name in PAIRS}


def test_judged_counts_only_years_with_the_figures(db: Path, tmp_path: Path) -> None:
    good, bad, _ = PAIRS["two_sides"]
    rows = [
        *year_rows("acme", "2019-03-31", good),
        *year_rows("acme", "2020-03-31", bad),
        *year_rows("acme", "2021-03-31", {"total_assets": 1000.5}),
    ]
    with loaded(db, write_csv(tmp_path / "s.csv", rows)) as connection:
        results = {r.check.name: (r.judged, r.failed) for r in store.run_checks(connection)}
        again = {r.check.name: (r.judged, r.failed) for r in store.run_checks(connection)}
        kept = connection.execute("SELECT count(*) FROM check_failure").fetchone()
    assert results["two_sides"] == (2, 1)
    assert results["cash_flows"] == (0, 0)
    assert again == results
    assert kept == (1,)  # replaced, not added to


# total assets, the other side, whether 1 %, INR 2 lakh or INR 2.5 crore allow the difference
TOLERANCE = [
    (1000.5, 990.6, True),  # 9.9 < 1 % of 1,000.5
    (1000.5, 990.4, False),  # 10.1 > 10.005
    (990.4, 1000.5, False),
    (0.5, 0.519, True),  # 0.019 < 0.02 crore, which is INR 2 lakh
    (0.5, 0.521, False),
    (0.0, 0.019, True),
    (5.0, 7.0, True),  # whole crores: rounding may add up to 2.5
    (5.0, 8.0, False),
    (5.5, 7.5, False),  # not in whole crores
    (1000.0, 1009.0, True),
    (1000.0, 1011.0, False),
]


def test_tolerance(db: Path, tmp_path: Path) -> None:
    rows = [
        row
        for n, (assets, other, _) in enumerate(TOLERANCE)
        for row in year_rows(
            f"c{n:02}", "2020-03-31", {"total_assets": assets, "equity_and_liabilities": other}
        )
    ]
    with loaded(db, write_csv(tmp_path / "s.csv", rows)) as connection:
        store.run_checks(connection)
        failed = connection.execute(
            "SELECT company_id FROM check_failure WHERE check_name = 'two_sides'"
        ).fetchall()
    assert {name for (name,) in failed} == {
        f"c{n:02}" for n, (_, _, fine) in enumerate(TOLERANCE) if not fine
    }


def test_whole_crores_are_told_by_what_was_reported(db: Path, tmp_path: Path) -> None:
    sides = {"total_assets": 5, "equity_and_liabilities": 7}
    fractions = {"cash": 0.25, "tax": 0.75, "sales": 1.25}
    rows = [
        *year_rows("whole", "2020-03-31", {**sides, "cash": 0.25}),  # most are whole
        *year_rows("fine", "2020-03-31", {**sides, **fractions}),  # most are not
        # What was derived from others does not tell.
        *year_rows("derived", "2020-03-31", sides),
        *year_rows("derived", "2020-03-31", fractions, note="derived"),
    ]
    with loaded(db, write_csv(tmp_path / "s.csv", rows)) as connection:
        store.run_checks(connection)
        failed = connection.execute("SELECT company_id FROM check_failure").fetchall()
    assert failed == [("fine",)]


def test_command_exits_with_1_only_for_errors(cli: Command, db: Path, tmp_path: Path) -> None:
    def write(name: str, check: str) -> Path:
        return write_csv(tmp_path / name, year_rows(name, "2020-03-31", PAIRS[check][1]))

    assert cli("warehouse", "import", write("warned.csv", "sign"), "--db", db).code == 0
    ran = cli("warehouse", "check", "--db", db)
    assert ran.code == 0
    assert all(name in ran.out for name in PAIRS)
    ran = cli("warehouse", "import", write("wrong.csv", "two_sides"), "--db", db)
    assert ran.code == 0  # a row that fails is kept
    assert "two_sides" in ran.out
    assert "balance_sheet" not in ran.out
    ran = cli("warehouse", "check", "--rows", "5", "--db", db)
    assert ran.code == 1
    words = ran.out.split()
    assert {"wrong.csv", "1000.5", "900.5", "warned.csv", "inventories"} <= set(words)
    with store.connect(db, read_only=True) as connection:
        assert connection.execute("SELECT count(*) FROM statements").fetchone() == (2,)
