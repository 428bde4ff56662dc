"""Time and memory of the feature query, beside a plain copy by DuckDB, pandas and FinanceToolkit.

    python benchmarks/features.py [--years 10000 100000 1000000] [--memory 1GB]

Simulated companies (`features.demo`) are put into a warehouse file. Each task runs as a process of
its own, so that its peak of memory is its own:

- copy cells: CREATE TABLE … AS FROM statement_line, into another file: what it costs to read and
  write the reported cells.
- cells to panel: as `python -m features` does: cells to one best value each, to years, to X1 to
  X66, labels and horizons, to Parquet.
- copy years: the same copy of the wide table of years (all items, derived items, prev_).
- years to panel: one query over that table, out of core: X1 to X66, labels and horizons, to
  Parquet.

Then all 62 ratios as the reference paper's notebooks compute them (pandas, a company after the
other), and those that FinanceToolkit has too, by its functions, where it is installed. Values are
compared before times are.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))

import duckdb  # noqa: E402
import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from features import dataset, demo  # noqa: E402
from features.demo_files import to_long  # noqa: E402
from features.ratios import RATIOS, ratios_sql  # noqa: E402
from warehouse import formats, importers, store  # noqa: E402
from warehouse.exports import write_tables  # noqa: E402

YEARS_PER_COMPANY = 8.3
SAMPLE = 100_000
BY_COMPANY = 600


def generate(db: Path, years: int) -> int:
    """Fill a warehouse with about that many simulated company-years; how many it has."""
    companies = max(round(years / YEARS_PER_COMPANY), 20)
    with store.connect(db, create=True) as connection:
        for number, chunk in enumerate(demo.demo_chunks(companies)):
            tables = (
                (formats.COMPANIES, dataset._text_table(chunk.companies)),
                (formats.EVENTS, dataset._text_table(chunk.events)),
                (formats.STATEMENTS, to_long(chunk.statements)),
                (formats.MACRO, dataset._text_table(chunk.macro)),
            )
            for kind, table in tables[: 3 if number else 4]:
                importers.import_table(connection, kind, table, f"{number}-{kind.kind}")
        return int(connection.execute(
            "SELECT count(*) FROM (SELECT DISTINCT company_id, fiscal_year_end FROM statement_line)"
        ).fetchall()[0][0])  # fmt: skip


def copy_cells(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.execute(f"ATTACH '{folder / 'copy.duckdb'}' AS copied")
    connection.execute("CREATE TABLE copied.cells AS FROM statement_line")
    connection.execute("CHECKPOINT copied")


def cells_to_panel(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    tables = (batch.table for batch in dataset.batches(connection, dataset.PanelRule()))
    write_tables(tables, folder / "panel.parquet")


def make_years(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.execute(f"ATTACH '{folder / 'years.duckdb'}' AS kept")
    for number, _ in enumerate(store.parts(connection)):
        verb = "INSERT INTO kept.years" if number else "CREATE TABLE kept.years AS"
        connection.execute(f"{verb} FROM statements")
    connection.execute("CHECKPOINT kept")


def copy_years(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.execute(f"ATTACH '{folder / 'years.duckdb'}' AS kept (READ_ONLY)")
    connection.execute(f"ATTACH '{folder / 'copy.duckdb'}' AS copied")
    connection.execute("CREATE TABLE copied.years AS FROM kept.years")
    connection.execute("CHECKPOINT copied")


def years_to_panel(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    connection.execute(f"ATTACH '{folder / 'years.duckdb'}' AS kept (READ_ONLY)")
    connection.execute("CREATE TEMP VIEW yearly AS FROM kept.years")
    query = dataset.panel_sql(dataset.PanelRule())
    connection.execute(f"COPY ({query}) TO '{folder / 'panel.parquet'}' (COMPRESSION zstd)")


TASKS: dict[str, Callable[[duckdb.DuckDBPyConnection, Path], None]] = {
    "copy cells": copy_cells,
    "cells to panel": cells_to_panel,
    "make years": make_years,
    "copy years": copy_years,
    "years to panel": years_to_panel,
}


def run_task(name: str, db: Path, folder: Path, memory: str) -> None:
    """Do one task and print its seconds and the peak of this process."""
    with store.connect(db) as connection:
        connection.execute(f"SET memory_limit = '{memory}'")
        connection.execute(f"SET temp_directory = '{folder}'")
        began = time.perf_counter()
        TASKS[name](connection, folder)
        seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "peak": peak_megabytes()}))


def peak_megabytes() -> float:
    """The most memory that this process has held. getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


def measured(name: str, db: Path, folder: Path, memory: str) -> dict[str, float]:
    """Run a task as a process of its own; its seconds and peak of memory in MB."""
    for left in ("copy.duckdb", "panel.parquet"):
        (folder / left).unlink(missing_ok=True)
    done = subprocess.run(
        [sys.executable, __file__, "--task", name, "--db", str(db), "--folder", str(folder),
         "--memory", memory],
        check=True, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    return dict(json.loads(done.stdout.splitlines()[-1]))


def scale(sizes: list[int], memory: str) -> None:
    """Print the table of times and peaks for each size."""
    head = f"{'task':<16} {'seconds':>8} {'of copy':>8} {'us/year':>8} {'peak MB':>8}"
    for size in sizes:
        with tempfile.TemporaryDirectory() as temporary:
            folder, db = Path(temporary), Path(temporary) / "warehouse.duckdb"
            years = generate(db, size)
            print(f"\n{years:,} simulated company-years, memory_limit {memory}\n{head}")
            copies = 1.0
            for name in TASKS:
                found = measured(name, db, folder, memory)
                if name == "make years":
                    continue
                copies = found["seconds"] if name.startswith("copy") else copies
                print(
                    f"{name:<16} {found['seconds']:>8.2f} {found['seconds'] / copies:>8.2f}"
                    f" {1e6 * found['seconds'] / years:>8.1f} {found['peak']:>8,.0f}",
                    flush=True,
                )


def value_of(node: ast.expr, frame: pd.DataFrame) -> Any:
    """An arithmetic expression over a frame's columns, in pandas."""
    if isinstance(node, ast.Name):
        return frame[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.UnaryOp):
        return -value_of(node.operand, frame)
    assert isinstance(node, ast.BinOp)
    left, right = value_of(node.left, frame), value_of(node.right, frame)
    if isinstance(node.op, ast.Add):
        return left + right
    if isinstance(node.op, ast.Sub):
        return left - right
    return left * right if isinstance(node.op, ast.Mult) else left / right


PARSED = [(r.code, *(ast.parse(part, mode="eval").body for part in (r.numerator, r.denominator)))
          for r in RATIOS]  # fmt: skip


def like_the_notebooks(years: pd.DataFrame) -> pd.DataFrame:
    """A company after the other, a column a ratio, as the paper's notebooks do; NULLs stay."""
    frames = []
    for _, company in years.groupby("company_id", sort=False):
        columns = {code: value_of(above, company) / value_of(below, company)
                   for code, above, below in PARSED}  # fmt: skip
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames).replace([np.inf, -np.inf], np.nan)


AVERAGE_ASSETS = "(total_assets + prev_total_assets) / 2"
# Ratios that FinanceToolkit has too: our code, its module and function, our items in its order.
TOOLKIT: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("X1", "liquidity_model", "get_current_ratio", ("current_assets", "current_liabilities")),
    ("X3", "liquidity_model", "get_cash_ratio", ("cash", "0", "current_liabilities")),
    ("X7", "efficiency_model", "get_asset_turnover_ratio", ("net_sales", AVERAGE_ASSETS)),
    ("X9", "profitability_model", "get_gross_margin", ("sales", "cost_of_goods_sold")),
    ("X10", "profitability_model", "get_operating_margin", ("operating_profit", "net_sales")),
    ("X11", "profitability_model", "get_net_profit_margin", ("net_profit", "net_sales")),
    ("X12", "profitability_model", "get_return_on_assets", ("net_profit", "total_assets")),
    ("X13", "solvency_model", "get_debt_to_assets_ratio", ("total_debt", "total_assets")),
    ("X15", "efficiency_model", "get_asset_turnover_ratio", ("sales", "total_assets")),
    (
        "X33", "profitability_model", "get_return_on_capital_employed",
        ("ebit", "total_assets", "current_liabilities"),
    ),
    ("X62", "efficiency_model", "get_working_capital_turnover_ratio", ("sales", "working_capital")),
)  # fmt: skip
SHARED = tuple(row[0] for row in TOOLKIT)


def by_toolkit(years: pd.DataFrame) -> pd.DataFrame:
    """The shared ratios by FinanceToolkit's functions, whole columns at a time."""
    columns = {}
    for code, module, function, items in TOOLKIT:
        ratio = getattr(import_module(f"financetoolkit.ratios.{module}"), function)
        parts = [value_of(ast.parse(item, mode="eval").body, years) for item in items]
        columns[code] = ratio(*parts)
    return pd.DataFrame(columns).replace([np.inf, -np.inf], np.nan)


def by_toolkit_each(years: pd.DataFrame) -> pd.DataFrame:
    """The same, a company after the other, as its users call it."""
    return pd.concat([by_toolkit(part) for _, part in years.groupby("company_id", sort=False)])


def timed(function: Callable[[], pd.DataFrame], rounds: int) -> tuple[float, pd.DataFrame]:
    """Least seconds of some rounds, and what came."""
    seconds = []
    for _ in range(rounds):
        began = time.perf_counter()
        found = function()
        seconds.append(time.perf_counter() - began)
    return min(seconds), found


def agrees(ours: pd.DataFrame, theirs: pd.DataFrame) -> None:
    """Stop where values differ, or where one side has none."""
    for code in theirs.columns:
        a, b = ours[code].to_numpy(dtype=float), theirs[code].to_numpy(dtype=float)
        apart = ~np.isclose(a, b, rtol=1e-9, atol=0, equal_nan=True)
        if apart.any():
            raise SystemExit(f"{code}: {apart.sum()} values differ")


def ours(connection: duckdb.DuckDBPyConnection, codes: Sequence[str]) -> pd.DataFrame:
    query = f"SELECT {', '.join(codes)} FROM ({ratios_sql('yearly')})"
    return connection.sql(query).to_df()


def peers() -> None:
    """Print times per company-year of ours, of pandas by company, and of FinanceToolkit."""
    with tempfile.TemporaryDirectory() as temporary:
        db = Path(temporary) / "warehouse.duckdb"
        generate(db, SAMPLE)
        with store.connect(db) as connection:
            dataset.materialise(connection)
            connection.execute("CREATE OR REPLACE TEMP TABLE yearly AS FROM yearly ORDER BY ALL")
            years = connection.sql("FROM yearly").to_df()
            every = tuple(r.code for r in RATIOS)
            rows = [
                ("ours", *timed(lambda: ours(connection, every), 3)),
                ("ours", *timed(lambda: ours(connection, SHARED), 3)),
            ]
    few = years[years["company_id"].isin(years["company_id"].unique()[:BY_COMPANY])]
    rows.append(("pandas, company by company", *timed(lambda: like_the_notebooks(few), 1)))
    if find_spec("financetoolkit") is None:
        print("FinanceToolkit is not installed and left out")
    else:
        rows.append(("FinanceToolkit, whole columns", *timed(lambda: by_toolkit(years), 3)))
        rows.append(("FinanceToolkit, by company", *timed(lambda: by_toolkit_each(few), 1)))
    print(f"\n{'':<30} {'ratios':>6} {'years':>8} {'us/year':>8} {'of ours':>8}")
    least = {found.shape[1]: seconds / len(found) for _, seconds, found in rows[:2]}
    for name, seconds, found in rows:
        agrees(rows[0][2].loc[found.index], found)
        each, ratios = seconds / len(found), found.shape[1]
        print(
            f"{name:<30} {ratios:>6} {len(found):>8,} {1e6 * each:>8.2f}"
            f" {each / least[ratios]:>8.1f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--years", type=int, nargs="*", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--task", choices=list(TASKS), help=argparse.SUPPRESS)
    parser.add_argument("--db", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.task:
        run_task(chosen.task, chosen.db, chosen.folder, chosen.memory)
        return
    print(f"{platform.machine()}, {os.cpu_count()} cores, DuckDB {duckdb.__version__}")
    scale(chosen.years, chosen.memory)
    peers()


if __name__ == "__main__":
    main()
