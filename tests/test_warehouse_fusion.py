"""Which source a statement is taken from: one for each statement, never a mixture."""

from __future__ import annotations

from pathlib import Path

from conftest import loaded, write_csv

YEAR = "2024-03-31"
# The same costs, parted differently: a filing knows no direct expenses.
FILING = {"sales": 100, "employee_benefits": 10, "other_expenses": 60, "total_expenses": 70}
PAGE = {
    "sales": 100, "employee_benefits": 10, "operating_and_direct_expenses": 45,
    "other_expenses": 15, "total_expenses": 70,
}  # fmt: skip
SHEET = {"total_assets": 300, "current_assets": 120, "cash": 20}


def rows(source: str, items: dict[str, float], **more: str) -> list[dict[str, object]]:
    fixed = {"company_id": "acme", "fiscal_year_end": YEAR, "source": source, **more}
    return [{**fixed, "item": item, "value": value} for item, value in items.items()]


def one(tmp_path: Path, told: list[dict[str, object]], columns: str) -> tuple[object, ...]:
    with loaded(tmp_path / "w.duckdb", write_csv(tmp_path / "s.csv", told)) as connection:
        found = connection.execute(f"SELECT {columns} FROM statements").fetchall()
    assert len(found) == 1
    return tuple(found[0])


COSTS = "sales, operating_and_direct_expenses, other_expenses, operating_profit"


def test_a_filing_goes_before_a_page_and_is_not_mixed_with_it(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING) + rows("moneycontrol", PAGE)
    assert one(tmp_path, told, COSTS)[:3] == (100, None, 60)


def test_a_page_gives_the_statements_that_the_filing_has_not(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING) + rows("moneycontrol", {**PAGE, **SHEET})
    assert one(tmp_path, told, f"total_assets, cash, {COSTS}")[:5] == (300, 20, 100, None, 60)


def test_a_filing_with_hardly_a_line_gives_way(tmp_path: Path) -> None:
    told = rows("nse xbrl", {"sales": 99}) + rows("moneycontrol", PAGE)
    assert one(tmp_path, told, COSTS)[:3] == (100, 45, 15)


def test_a_users_table_goes_before_any_document(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING) + rows("my own reading", {"sales": 101})
    assert one(tmp_path, told, "sales, other_expenses") == (101, 60)


def test_of_two_filings_the_later_counts(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING, filed_at="2024-05-10")
    revised = rows("nse xbrl", {**FILING, "sales": 98}, filed_at="2024-08-01")
    first, second = tmp_path / "a.csv", tmp_path / "b.csv"
    with loaded(
        tmp_path / "w.duckdb", write_csv(first, revised), write_csv(second, told)
    ) as connection:
        found = connection.execute("SELECT sales, filed_at::VARCHAR FROM statements").fetchall()
    assert found == [(98, "2024-08-01")]


def test_interim_figures_are_no_year(tmp_path: Path) -> None:
    told = rows("nse xbrl", FILING, note="interim", months="6")
    with loaded(tmp_path / "w.duckdb", write_csv(tmp_path / "s.csv", told)) as connection:
        assert connection.execute("SELECT * FROM statements").fetchall() == []
        assert connection.execute("SELECT count(*) FROM statement_line").fetchall() == [(4,)]
