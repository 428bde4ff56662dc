"""`python -m reports`: write the generated docs, check them, or render a run's report anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from features import dataset
from features.dataset import PanelRule
from reports import docs
from reports.data import write_data_report
from reports.run import write_report
from warehouse import store
from warehouse.console import year_range
from warehouse.errors import InputError, exits_with_2

ALL_YEARS = (1980, 2100)
EPILOG = """\b
Examples:
  python -m reports
  python -m reports --check
  python -m reports --run data/runs/2024-05-01T093000Z
  python -m reports --data data/report --db india.duckdb --years 2010-2024

\b
Exit codes: 0 done, 1 with --check some docs are stale (named), 2 wrong use or bad input.
"""


@click.command(epilog=EPILOG)
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if a file differs from this.")
@click.option(
    "--run", type=click.Path(path_type=Path), help="Write the report of this run folder anew."
)
@click.option(
    "--docs", "folder", type=click.Path(path_type=Path), default=Path("docs"), show_default=True,
    help="Folder of the generated docs.",
)  # fmt: skip
@click.option(
    "--data", type=click.Path(path_type=Path),
    help="Write a report on the data set of the warehouse into this folder.",
)  # fmt: skip
@click.option("--db", type=click.Path(path_type=Path), help="Warehouse file (--data).")
@click.option("--demo", is_flag=True, help="Simulated companies instead of a warehouse (--data).")
@click.option(
    "--years", default="1980-2100", callback=year_range, help="Fiscal years, as 2010-2023 (--data)."
)
@exits_with_2
def main(
    check: bool,
    run: Path | None,
    folder: Path,
    data: Path | None,
    db: Path | None,
    demo: bool,
    years: tuple[int, int],
) -> None:
    """Generate the reference docs, render a run's report, or report on a data set."""
    _one_task(check, run, data, {"--demo": demo, "--db": db, "--years": years != ALL_YEARS})
    if data is not None:
        _report_on(data, db, demo, years)
        return
    if run is not None:
        write_report(run)
        click.echo(f"{run / 'report.html'}: written, with figures/ and tables/ beside it")
        return
    if check:
        _check(folder)
        return
    written = docs.write(folder)
    for path in written:
        click.echo(f"{path}: written")
    count = len(docs.files())
    click.echo(f"{folder}: {count} files, {count - len(written)} as they were")


def _one_task(check: bool, run: Path | None, data: Path | None, given: dict[str, Any]) -> None:
    """Refuse two tasks at once, and what is `given` for a data report without one."""
    tasks = [n for n, on in (("--data", data), ("--run", run), ("--check", check)) if on]
    if len(tasks) > 1:
        raise InputError(f"{' and '.join(tasks)} exclude each other")
    for name, value in given.items():
        if value and data is None:
            raise InputError(f"{name} belongs to --data DIR")


def _report_on(out: Path, db: Path | None, demo: bool, years: tuple[int, int]) -> None:
    if demo and db is not None:
        raise InputError("--db and --demo exclude each other: name one")
    command = "python -m reports --data DIR"
    command += " --demo" if demo else " --db FILE" if db is not None else ""
    command += f" --years {years[0]}-{years[1]}" if years != ALL_YEARS else ""
    name = "demo universe: SIMULATED companies" if demo else store.warehouse_path(db).name
    with dataset.demo_warehouse() if demo else store.connect(db) as connection:
        write_data_report(connection, out, PanelRule(years=years), name, command)
    click.echo(f"{out / 'data_report.html'}: written, with data_report.md and figures/ beside it")


def _check(folder: Path) -> None:
    paths = docs.stale(folder)
    for path in paths:
        click.echo(f"{path}: stale; run python -m reports", err=True)
    if paths:
        raise SystemExit(1)
    click.echo(f"{folder}: {len(docs.files())} files, all as the tables say")


if __name__ == "__main__":
    main()
