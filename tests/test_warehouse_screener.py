"""Screener workbooks: a made-up one checked by hand, changed layouts, and real ones if there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
from conftest import Command, loaded, rows_of

from features.dataset import PanelRule, panel_sql
from warehouse import store
from warehouse.errors import InputError
from warehouse.importers import import_files
from warehouse.screener import slug

pytestmark = pytest.mark.slow

Figures = Mapping[str, Sequence[object]]
# Label: row of the sheet.
PROFIT_LOSS = {
    "Sales": 17, "Raw Material Cost": 18, "Change in Inventory": 19, "Power and Fuel": 20,
    "Other Mfr. Exp": 21, "Employee Cost": 22, "Selling and admin": 23, "Other Expenses": 24,
    "Other Income": 25, "Depreciation": 26, "Interest": 27, "Profit before tax": 28, "Tax": 29,
    "Net profit": 30, "Dividend Amount": 31,
}  # fmt: skip
BALANCE_SHEET = {
    "Equity Share Capital": 57, "Reserves": 58, "Borrowings": 59, "Other Liabilities": 60,
    "Total liabilities": 61, "Net Block": 62, "Capital Work in Progress": 63, "Investments": 64,
    "Other Assets": 65, "Total assets": 66, "Receivables": 67, "Inventory": 68, "Cash & Bank": 69,
}  # fmt: skip
CASH_FLOW = {
    "Cash from Operating Activity": 82, "Cash from Investing Activity": 83,
    "Cash from Financing Activity": 84, "Net Cash Flow": 85,
}  # fmt: skip
ROWS = PROFIT_LOSS | BALANCE_SHEET | CASH_FLOW
# March 2019, and December 2019: a year of nine months. Made up; both balance.
MILLS: dict[str, list[object]] = {
    "Sales": [1000, 780],
    "Raw Material Cost": [520, 400],
    "Change in Inventory": [15, -20],
    "Power and Fuel": [40, 30],
    "Other Mfr. Exp": [25, 20],
    "Employee Cost": [110, 90],
    "Selling and admin": [60, 50],
    "Other Expenses": [20, 15],
    "Other Income": [12, -5],
    "Depreciation": [70, 55],
    "Interest": [80, 65],
    # 1000 + 12 - (520 - 15 + 65 + 110 + 80 + 70 + 80) = 102
    "Profit before tax": [102, 30],
    "Tax": [30, 8],
    "Net profit": [72, 22],
    "Dividend Amount": [10, None],
    "Equity Share Capital": [50, 50],
    "Reserves": [300, 322],
    "Borrowings": [400, 420],
    "Other Liabilities": [250, 248],
    "Total liabilities": [1000, 1040],
    "Net Block": [450, 440],
    "Capital Work in Progress": [20, 30],
    "Investments": [80, 90],
    "Other Assets": [450, 480],
    "Total assets": [1000, 1040],
    "Receivables": [160, 170],
    "Inventory": [140, 120],
    "Cash & Bank": [35, 45],
    "Cash from Operating Activity": [120, 90],
    "Cash from Investing Activity": [-60, -50],
    "Cash from Financing Activity": [-45, -30],
    "Net Cash Flow": [15, 10],
}
ENDS = (datetime(2019, 3, 31), datetime(2019, 12, 31))


def workbook(
    path: Path,
    figures: Figures,
    ends: Sequence[object] = ENDS,
    name: object = "EXAMPLE MILLS LTD",
    changes: Mapping[str, object] | None = None,
) -> Path:
    """A workbook in the layout of the export; the years stand at the right, the newest last."""
    book = openpyxl.Workbook()
    book.active.title = "Profit & Loss"
    sheet = book.create_sheet("Data Sheet")
    sheet["A1"], sheet["B1"] = "COMPANY NAME", name
    sheet["A2"], sheet["B2"], sheet["A8"], sheet["B8"] = "LATEST VERSION", 2.1, "Current Price", 99
    for row, text in ((15, "PROFIT & LOSS"), (40, "Quarters"), (55, "BALANCE SHEET")):
        sheet.cell(row, 1, text)
    sheet.cell(80, 1, "CASH FLOW:")
    for row in (16, 41, 56, 81):
        sheet.cell(row, 1, "Report Date")
    for label, row in ROWS.items():
        sheet.cell(row, 1, "Total" if label.startswith("Total ") else label)
    first = 12 - len(ends)
    for column, end in enumerate(ends, start=first):
        for row in (16, 56, 81):
            sheet.cell(row, column, end)
        for label, values in figures.items():
            sheet.cell(ROWS[label], column, values[column - first])
    sheet["A42"], sheet["K41"], sheet["K42"] = "Sales", datetime(2020, 3, 31), 260
    for cell, value in (changes or {}).items():
        sheet[cell] = value
    book.save(path)
    return path


def test_every_item_by_hand(db: Path, tmp_path: Path) -> None:
    with loaded(db, workbook(tmp_path / "m.xlsx", MILLS)) as connection:
        march, december = rows_of(connection, "FROM stg_statement ORDER BY fiscal_year_end")
        lines = connection.execute(
            "SELECT DISTINCT company_id, source, basis, unit FROM statement_line"
        ).fetchall()
    assert lines == [("example-mills-ltd", "screener.in workbook", "unstated", "INR crore")]
    given = {name: value for name, value in march.items() if isinstance(value, float)}
    assert given == {
        "sales": 1000, "net_sales": 1000, "other_income": 12, "revenue": 1012,
        "cost_of_materials": 520,
        "changes_in_inventories": -15,  # the stock rose by 15: less cost
        "operating_and_direct_expenses": 65,  # 40 + 25
        "employee_benefits": 110,
        "other_expenses": 80,  # 60 + 20
        "depreciation": 70, "finance_costs": 80,
        "total_expenses": 910,  # 1000 + 12 - 102
        "profit_before_tax": 102, "tax": 30, "net_profit": 72, "dividends": 10,
        "equity_share_capital": 50, "reserves_and_surplus": 300, "shareholders_funds": 350,
        "stated_total_debt": 400,
        "stated_total_liabilities": 650,  # 400 + 250
        "equity_and_liabilities": 1000, "fixed_assets": 450, "capital_work_in_progress": 20,
        "non_current_investments": 80, "current_assets": 450, "total_assets": 1000,
        "trade_receivables": 160, "inventories": 140, "cash": 35,
        "operating_cash_flow": 120, "investing_cash_flow": -60, "financing_cash_flow": -45,
        "net_cash_flow": 15,
    }  # fmt: skip
    assert march["proxies"] == "current_assets, non_current_investments, total_liabilities"
    assert (march["months"], december["months"]) == (12, 9)
    assert december["fiscal_year_end"] == date(2019, 12, 31)
    assert (december["changes_in_inventories"], december["other_income"]) == (20, -5)
    assert december["dividends"] is None  # not 0
    assert december["current_liabilities"] is None  # not in such a workbook


def test_made_up_workbook_passes_the_checks(db: Path, tmp_path: Path) -> None:
    with loaded(db, workbook(tmp_path / "m.xlsx", MILLS)) as connection:
        results = {r.check.name: (r.judged, r.failed) for r in store.run_checks(connection)}
    for name in ("balance_sheet", "two_sides", "profit_before_tax", "profit_after_tax",
                 "cash_flows", "expenses", "revenue"):  # fmt: skip
        judged, failed = results[name]
        assert failed == 0, name
        assert judged == 2, name


def test_command_tells_proxies_and_takes_a_company_id(
    cli: Command, db: Path, tmp_path: Path
) -> None:
    file = workbook(tmp_path / "m.xlsx", MILLS)
    ran = cli("warehouse", "import", file, "--company", "mills", "--db", db)
    assert ran.code == 0
    words = " ".join(ran.out.split())
    assert "company EXAMPLE MILLS LTD imported as mills" in words
    assert "proxies): current_assets, non_current_investments, total_liabilities" in words
    with store.connect(db, read_only=True) as connection:
        found = connection.execute("SELECT company_id, company_name FROM company").fetchall()
    assert found == [("mills", "EXAMPLE MILLS LTD")]
    assert cli("warehouse", "import", file, "--company", "mills", "--db", db).code == 0
    other = cli("warehouse", "import", file, "--company", "other", "--db", db)
    assert other.code == 2
    assert other.err.strip().endswith("was loaded before as company 'mills', not 'other'")


def test_lender_is_flagged_by_its_layout(db: Path, tmp_path: Path) -> None:
    lender = MILLS | {
        "Raw Material Cost": [None, None],
        "Change in Inventory": [None, None],
        "Inventory": [None, None],
        "Receivables": [None, None],
        "Borrowings": [560, 580],
        "Other Liabilities": [90, 88],
        "Net Block": [8, 9],
        "Capital Work in Progress": [0, 0],
        "Investments": [400, 400],
        "Other Assets": [592, 631],
    }
    files = (
        workbook(tmp_path / "b.xlsx", lender, name="EXAMPLE BANK LTD"),
        workbook(tmp_path / "m.xlsx", MILLS),
    )
    with loaded(db, *files) as connection:
        kinds = connection.execute("FROM company_kind('statements') ORDER BY company_id").fetchall()
        assert kinds == [
            ("example-bank-ltd", True, "statement layout"),
            ("example-mills-ltd", False, "statement layout"),
        ]
        assert "NOT is_financial" in panel_sql(PanelRule())


def test_months_are_12_for_the_first_year_and_across_a_gap(db: Path, tmp_path: Path) -> None:
    ends = (datetime(2015, 3, 31), datetime(2018, 3, 31), datetime(2019, 9, 30))
    figures = {"Sales": [1, 2, 3], "Total assets": [4, 5, 6]}
    with loaded(db, workbook(tmp_path / "m.xlsx", figures, ends)) as connection:
        found = connection.execute(
            "SELECT year(fiscal_year_end), months, sales FROM stg_statement ORDER BY ALL"
        ).fetchall()
    assert found == [(2015, 12, 1), (2018, 12, 2), (2019, 18, 3)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"A19": "Power and Fuel"}, "row 19: expected 'Change in Inventory', got 'Power and Fuel'"),
        ({"A66": "Grand Total"}, "row 66: expected 'Total assets', got 'Grand Total'"),
        ({"A85": None}, "row 85: expected 'Net Cash Flow', got ''"),
        ({"A55": "Balance"}, "expected the heading 'BALANCE SHEET', found none"),
        ({"A16": "Dates"}, "row 16: expected 'Report Date'"),
        ({"A1": "Company"}, "cell A1: expected 'COMPANY NAME' and a name"),
        ({"B1": None}, "cell A1: expected 'COMPANY NAME' and a name"),
        ({"K17": "1,000"}, "row 17: expected a number, got '1,000'"),
        ({"K69": "n.a."}, "row 69: expected a number, got 'n.a.'"),
        ({"K17": True}, "row 17: expected a number, got True"),
        ({"K17": datetime(2020, 1, 1)}, "row 17: expected a number, got"),
        ({"K16": "Dec 2019"}, "row 16: expected a date, got 'Dec 2019'"),
        ({"K17": "=1/0"}, ""),
    ],
)
def test_changed_layout_is_refused(changes: dict[str, object], said: str, tmp_path: Path) -> None:
    path = workbook(tmp_path / "m.xlsx", MILLS, changes=changes)
    with store.in_memory() as connection:
        if not said:  # a formula without a stored result is an empty cell
            import_files(connection, [path])
            found = connection.execute("SELECT count(*) FROM stg_cell WHERE item = 'sales'")
            assert found.fetchone() == (1,)
            return
        with pytest.raises(InputError) as caught:
            import_files(connection, [path])
        assert str(caught.value).startswith(f"{path}, sheet 'Data Sheet'")
        assert said in str(caught.value)
        assert connection.execute("SELECT count(*) FROM snapshot").fetchone() == (0,)


def test_workbook_without_figures_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path / "m.xlsx", {}, ends=())
    with store.in_memory() as connection, pytest.raises(InputError, match="no annual figures"):
        import_files(connection, [path])


def test_year_end_in_the_future_is_refused(tmp_path: Path) -> None:
    ends = (datetime(2019, 3, 31), datetime(2203, 3, 31))
    path = workbook(tmp_path / "m.xlsx", MILLS, ends)
    with store.in_memory() as connection, pytest.raises(InputError, match="2203-03-31"):
        import_files(connection, [path])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EXAMPLE MILLS LTD", "example-mills-ltd"),
        ("  A & B (India) Ltd. ", "a-b-india-ltd"),
        ("...", "unnamed"),
        ("x" * 300, "x" * 100),
    ],
)
def test_slug(name: str, expected: str) -> None:
    assert slug(name) == expected


def test_real_workbooks(shared: Path, db: Path) -> None:
    files = sorted((shared / "fixtures/screener").glob("*.xlsx"))
    assert len(files) == 13
    with loaded(db, *files) as connection:
        results = {r.check.name: r for r in store.run_checks(connection)}
        years = connection.execute(
            "SELECT count(*), count(total_assets) FROM statements"
        ).fetchone()
        financial = connection.execute(
            "SELECT company_id FROM company_kind('statements') WHERE is_financial ORDER BY 1"
        ).fetchall()
        companies = connection.execute("SELECT count(*) FROM company").fetchone()
    assert companies == (13,)
    assert years is not None
    assert years[0] == years[1] >= 100
    assert results["balance_sheet"].judged >= 100
    assert results["balance_sheet"].failed == 0
    assert results["two_sides"].failed == 0
    # Two banks and a holding company of insurers and lenders.
    names = {name for (name,) in financial}
    assert len(names) == 3
    assert sum(any(word in name for word in ("bank", "finserv")) for name in names) == 3
