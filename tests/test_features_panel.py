"""The panel: which rows it holds, when they could be known, macro values, and the command."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command, loaded, write_csv, year_rows

from features.dataset import PanelRule, panel
from features.macro import MACRO, macro_sql
from warehouse import store

# No stock, no materials, hardly any fixed assets, more debt than equity: looks like a lender.
LENDER = {
    "cash": 30,
    "current_assets": 500,
    "current_liabilities": 300,
    "non_current_liabilities": 400,
    "long_term_borrowings": 350,
    "shareholders_funds": 300,
    "equity_share_capital": 50,
    "fixed_assets": 10,
    "total_assets": 1000,
    "sales": 90,
    "net_sales": 90,
    "net_profit": 10,
    "profit_before_tax": 12,
    "revenue": 90,
    "total_expenses": 78,
}
KEPT = {"calm", "sick", "holding", "wrong", "odd", "service", "investor"}
WIDE = PanelRule(years=(2012, 2019), most_years=3, least_ratios=1, financial=True)
# Two years of CPI inflation before, one of unemployment; made up.
MACRO_ROWS = [
    {"year": 2017, "inflation": 4.1, "unemployment": 7.1, "gdp_growth": 6.7},
    {"year": 2018, "inflation": 4.2, "unemployment": 7.2, "real_interest": 5.2},
    {"year": 2019, "unemployment": 7.3},
]
COMPANIES = [
    {"company_id": "calm", "company_name": "Calm Mills", "sector": "textiles"},
    {"company_id": "bank", "company_name": "A Bank", "is_financial": "true"},
    {"company_id": "lender", "company_name": "B Finance"},
    {"company_id": "holding", "company_name": "C Holding", "is_financial": "false"},
    {"company_id": "service", "company_name": "D Services"},
    {"company_id": "investor", "company_name": "E Investments"},
    {"company_id": "thin", "company_name": "Thin"},
    {"company_id": "wrong", "company_name": "Wrong Sums"},
    {"company_id": "odd", "company_name": "Odd Signs"},
]


@dataclass
class Panels:
    """Panels of one warehouse, each made once."""

    connection: duckdb.DuckDBPyConnection
    made: dict[PanelRule, pa.Table] = field(default_factory=dict)

    def table(self, rule: PanelRule = PanelRule()) -> pa.Table:  # noqa: B008 - frozen
        if rule not in self.made:
            self.made[rule] = panel(self.connection, rule)
        return self.made[rule]

    def years(self, rule: PanelRule = PanelRule()) -> dict[str, list[int]]:  # noqa: B008 - frozen
        years: dict[str, list[int]] = {}
        for row in self.table(rule).select(["company_id", "fiscal_year"]).to_pylist():
            years.setdefault(row["company_id"], []).append(row["fiscal_year"])
        return years

    def row(self, company: str, year: int, rule: PanelRule = PanelRule()) -> dict[str, object]:  # noqa: B008 - frozen
        (row,) = [
            row
            for row in self.table(rule).to_pylist()
            if (row["company_id"], row["fiscal_year"]) == (company, year)
        ]
        return row


def source_files(folder: Path, year: dict[str, float]) -> list[Path]:
    rows = [
        row for y in range(2008, 2021) for row in year_rows("calm", f"{y}-03-31", year, filed_at="")
    ]
    rows += year_rows("sick", "2019-03-31", year, filed_at="2019-09-14")
    rows += year_rows("sick", "2018-03-31", {k: v for k, v in year.items() if k != "dividends"})
    rows += [row for name in ("bank",) for row in year_rows(name, "2019-03-31", year)]
    rows += [r for name in ("lender", "holding") for r in year_rows(name, "2019-03-31", LENDER)]
    # A tenth of its assets is fixed; less debt than equity: neither is a lender.
    rows += year_rows("service", "2019-03-31", LENDER | {"fixed_assets": 100})
    rows += year_rows("investor", "2019-03-31", LENDER | {"long_term_borrowings": 290})
    rows += year_rows("thin", "2019-03-31", {"current_assets": 2, "current_liabilities": 1})
    # The balance sheet does not balance: an error. A negative stock: a warning.
    rows += year_rows("wrong", "2019-03-31", year | {"total_assets": 1200})
    rows += year_rows("odd", "2019-03-31", year | {"inventories": -1})
    events = [{"company_id": "sick", "event_type": "cirp_admission", "event_date": "2019-02-01"}]
    return [
        write_csv(folder / "statements.csv", rows),
        write_csv(folder / "events.csv", events),
        write_csv(folder / "companies.csv", [{**c, "in_nifty500": "true"} for c in COMPANIES]),
        write_csv(folder / "macro.csv", MACRO_ROWS),
    ]


@pytest.fixture(scope="module")
def panels(
    tmp_path_factory: pytest.TempPathFactory, worked: dict[str, dict[str, float]]
) -> Iterator[Panels]:
    folder = tmp_path_factory.mktemp("panel")
    files = source_files(folder, worked["year"])
    with loaded(folder / "w.duckdb", *files) as connection:
        store.run_checks(connection)
        yield Panels(connection)


def test_columns_of_the_specification(panels: Panels) -> None:
    names = panels.table().column_names
    wanted = (
        "company_id fiscal_year fiscal_year_end available_from label post_event sector n_missing"
    )
    assert set(wanted.split()) <= set(names)
    assert [n for n in names if n[0] == "X"] == [f"X{k}" for k in range(1, 67)]


def test_one_row_per_company_and_year_in_order(panels: Panels) -> None:
    keys = [(r["company_id"], r["fiscal_year"]) for r in panels.table().to_pylist()]
    assert keys == sorted(set(keys))


def test_ratios_sector_and_missing_count(panels: Panels) -> None:
    row = panels.row("calm", 2015)
    assert row["X1"] == pytest.approx(1.05)  # 420 / 400
    assert row["X16"] == 0  # assets as the year before
    assert (row["label"], row["sector"], row["n_missing"], row["simulated"]) == (
        "healthy", "textiles", 0, False,
    )  # fmt: skip
    row = panels.row("sick", 2018)
    # The first year: X7, X8, X16 and X22 need the year before; X32 needs dividends.
    assert [f"X{k}" for k in range(1, 63) if row[f"X{k}"] is None] == [
        "X7", "X8", "X16", "X22", "X32",
    ]  # fmt: skip
    assert row["n_missing"] == 5


def test_available_from_is_the_filing_or_60_days_after_the_year_end(panels: Panels) -> None:
    assert panels.row("sick", 2019)["available_from"] == date(2019, 9, 14)
    assert panels.row("sick", 2018)["available_from"] == date(2018, 5, 30)  # 31 March + 60
    assert panels.row("calm", 2015)["available_from"] == date(2015, 5, 30)


def test_post_event(panels: Panels) -> None:
    assert panels.row("sick", 2019)["post_event"] is True  # March 2019, admitted in February
    assert panels.row("sick", 2018)["post_event"] is False
    assert panels.row("calm", 2015)["post_event"] is False
    assert panels.row("sick", 2019)["label"] == "bankrupt"


def test_financial_companies_are_left_out(panels: Panels) -> None:
    assert set(panels.years()) == KEPT


def test_how_a_company_was_found_to_be_financial(panels: Panels) -> None:
    rows = panels.connection.execute(
        "SELECT company_id, is_financial, how FROM company_kind('statements')"
        " WHERE company_id NOT IN ('sick', 'thin', 'wrong', 'odd') ORDER BY company_id"
    ).fetchall()
    assert rows == [
        ("bank", True, "companies file"),
        ("calm", False, "statement layout"),
        ("holding", False, "companies file"),
        ("investor", False, "statement layout"),
        ("lender", True, "statement layout"),
        ("service", False, "statement layout"),
    ]


def test_financial_companies_and_thin_rows_are_kept_on_request(panels: Panels) -> None:
    assert set(panels.years(WIDE)) == KEPT | {"bank", "lender", "thin"}
    row = panels.row("thin", 2019, WIDE)
    assert (row["X1"], row["n_missing"]) == (2, 61)


def test_rows_that_fail_a_check_are_kept_and_counted(panels: Panels) -> None:
    # 1,200 of assets against 1,000 of the other side: balance_sheet and two_sides.
    assert panels.row("wrong", 2019)["failed_checks"] == 2
    assert panels.row("odd", 2019)["failed_checks"] == 0  # only warnings
    assert panels.row("calm", 2019)["failed_checks"] == 0


def test_ten_latest_years_by_default(panels: Panels) -> None:
    assert panels.years()["calm"] == list(range(2011, 2021))


def test_years_and_most_years(panels: Panels) -> None:
    assert panels.years(WIDE)["calm"] == [2017, 2018, 2019]
    assert panels.years(WIDE)["sick"] == [2018, 2019]


def test_macro_of_the_year_before(panels: Panels) -> None:
    row = panels.row("calm", 2019)
    assert [row[f"X{k}"] for k in (63, 64, 65, 66)] == [4.2, 7.2, 5.2, None]
    row = panels.row("calm", 2018)
    assert [row[f"X{k}"] for k in (63, 64, 65, 66)] == [4.1, 7.1, None, 6.7]
    row = panels.row("calm", 2015)  # no macro values at all
    assert [row[f"X{k}"] for k in (63, 64, 65, 66)] == [None] * 4


def test_macro_as_the_paper_has_it(panels: Panels) -> None:
    found = panels.connection.execute(
        f"SELECT fiscal_year, {macro_sql('paper')} FROM statements"
        " WHERE company_id = 'calm' AND fiscal_year IN (2019, 2020, 2021) ORDER BY fiscal_year"
    ).fetchall()
    # Unemployment of the year itself, the others of the year before.
    assert found == [(2019, 4.2, 7.3, 5.2, None), (2020, None, None, None, None)]


def test_macro_series_are_those_of_the_format() -> None:
    assert [(m.code, m.series, m.indicator) for m in MACRO] == [
        ("X63", "inflation", "FP.CPI.TOTL.ZG"),
        ("X64", "unemployment", "SL.UEM.TOTL.ZS"),
        ("X65", "real_interest", "FR.INR.RINR"),
        ("X66", "gdp_growth", "NY.GDP.MKTP.KD.ZG"),
    ]
    assert macro_sql().count("fiscal_year - 1") == 4


def test_command_writes_a_panel_of_files(
    cli: Command, tmp_path: Path, worked: dict[str, dict[str, float]]
) -> None:
    statements, events, companies, macro = source_files(tmp_path, worked["year"])
    out = tmp_path / "new" / "panel.parquet"
    ran = cli("features", "--from", statements, events, companies, macro, "--out", out)
    assert (ran.code, ran.err) == (0, "")
    table = pq.read_table(out)
    assert set(table["company_id"].to_pylist()) == KEPT
    words = " ".join(ran.out.split())
    assert "17 rows of companies" in words  # 10 + 2 and five of one
    assert "1 rows fail a data check" in words
    assert not list(out.parent.glob("*.part"))


@pytest.mark.parametrize(
    "years", ["x", "2010-2005", "-2010", "2010-2011-2012", "2010-", "²", "20x0-2012", ""]
)
def test_bad_years_are_refused(years: str, cli: Command, tmp_path: Path) -> None:
    out = tmp_path / "panel.parquet"
    ran = cli("features", f"--years={years}", "--out", out)
    assert ran.code == 2
    assert "'--years'" in ran.err
    assert not out.exists()


@pytest.mark.parametrize(
    "arguments",
    [
        ("--healthy-as-of", "2020-13-01"),
        ("--label-year", "lunar"),
        ("--macro", "none"),
        ("--most-years", "ten"),
        ("--demo", "--db", "w.duckdb"),
        ("--demo", "--companies", "0"),
        ("statements.csv",),
    ],
)
def test_wrong_use_is_refused(arguments: tuple[str, ...], cli: Command, tmp_path: Path) -> None:
    out = tmp_path / "panel.parquet"
    ran = cli("features", *arguments, "--out", out)
    assert ran.code == 2
    assert ran.err.splitlines()[-1].lower().startswith("error: ")
    assert not out.exists()


def labelled(folder: Path, year: dict[str, float]) -> tuple[Path, Path]:
    company = {"company_id": "calm", "company_name": "Calm Mills", "in_nifty500": "true"}
    return (
        write_csv(folder / "s.csv", year_rows("calm", "2019-03-31", year)),
        write_csv(folder / "c.csv", [company]),
    )


def test_out_that_cannot_be_written_is_one_line(
    cli: Command, tmp_path: Path, worked: dict[str, dict[str, float]]
) -> None:
    files = labelled(tmp_path, worked["year"])
    out = tmp_path / "taken"
    out.mkdir()
    ran = cli("features", "--from", *files, "--out", out)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: ")
    assert str(out) in ran.err
    assert not list(tmp_path.glob("*.part"))


def test_without_any_label_says_what_is_missing(
    cli: Command, tmp_path: Path, worked: dict[str, dict[str, float]]
) -> None:
    statements, _ = labelled(tmp_path, worked["year"])
    out = tmp_path / "panel.parquet"
    macro = write_csv(tmp_path / "m.csv", MACRO_ROWS)
    ran = cli("features", "--from", statements, "--from", macro, "--out", out)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: no row")
    assert "events file" in ran.err
    assert "in_nifty500" in ran.err
    assert not out.exists()
