"""`python -m warehouse`: make, fill, check, export and describe the warehouse."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import click
import duckdb
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from warehouse import exports, store
from warehouse.console import console as make_console
from warehouse.errors import InputError, exits_with_2
from warehouse.importers import Imported, import_files

FILE = click.Path(path_type=Path)
DB = click.option("--db", type=FILE, help="Warehouse file. [data/warehouse.duckdb]")


@click.group(epilog="\b\nExample:\n  python -m warehouse import statements.csv events.csv")
def main() -> None:
    """The DuckDB warehouse of statements, companies and insolvency events."""


@main.command(epilog="\b\nExample:\n  python -m warehouse init --db india.duckdb")
@DB
@exits_with_2
def init(db: Path | None) -> None:
    """Make an empty warehouse, or bring one to the newest schema version."""
    path = store.warehouse_path(db)
    there = path.exists()
    with store.connect(db, create=True):
        pass
    state = "is at" if there else "made at"
    click.echo(f"{path}: {state} schema version {len(store.MIGRATIONS)}")


@main.command(
    "import",
    epilog="\b\nExample:\n  python -m warehouse import companies.csv events.csv statements.parquet",
)
@click.argument("files", nargs=-1, required=True, type=FILE)
@click.option(
    "--company",
    help="company_id of the documents. [found by ISIN or symbol, or made from the name]",
)
@DB
@exits_with_2
def import_(files: tuple[Path, ...], company: str | None, db: Path | None) -> None:
    """Load statements, events, companies and macro files, and documents that hold statements.

    Documents are Screener workbooks, XBRL filings, saved moneycontrol pages and their JSON.
    All files or none: a bad row is named and nothing changes. The data checks run after the load.
    """
    console, started = make_console(), _now()
    for file in files:
        store.refuse_warehouse(file, db)
    with store.connect(db, create=True) as connection, _progress() as progress:
        task = progress.add_task("reading", total=None)
        with store.transaction(connection):
            done = import_files(
                connection,
                files,
                company,
                lambda path: progress.update(task, description=f"loading {path.name}"),
            )
            progress.update(task, description="checking")
            results = store.run_checks(connection)
            _record_run(connection, started, done)
    _print_imported(console, done)
    _print_checks(console, results, only_failing=True)


def _progress() -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=make_console(stderr=True),
        transient=True,
        disable=not os.isatty(2),
    )


def _now() -> datetime:
    """UTC, without saying so, as the table `run` has it."""
    return datetime.now(UTC).replace(tzinfo=None)


def _record_run(
    connection: duckdb.DuckDBPyConnection, started: datetime, done: list[Imported]
) -> None:
    summary = [{"file": i.path.name, "rows": i.rows, "new": not i.already_there} for i in done]
    connection.execute(
        "INSERT INTO run VALUES (?, ?, 'import', ?)",
        [started, _now(), json.dumps(summary)],
    )


def _print_imported(console: Console, done: list[Imported]) -> None:
    view = Table("file", "kind")
    view.add_column("rows", justify="right")
    view.add_column("")
    for each in done:
        state = "loaded before: nothing changed" if each.already_there else "loaded"
        view.add_row(each.path.name, each.kind, f"{each.rows:,}", state)
    console.print(view)
    for each in done:
        for notice in each.notices:
            console.print(f"{each.path.name}: {notice}", style="dim", highlight=False)


@main.command(epilog="\b\nExample:\n  python -m warehouse check --rows 20")
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Failing rows to list per check.",
)
@DB
@exits_with_2
def check(rows: int, db: Path | None) -> None:
    """Run every data check; exit 1 if a check of severity error fails anywhere."""
    console = make_console()
    with store.connect(db) as connection:
        results = store.run_checks(connection)
        _print_checks(console, results, only_failing=False)
        _print_disagreements(console, connection)
        _print_corrections(console, connection)
        if rows:
            _print_failures(console, connection, rows)
    if any(result.failed for result in results if result.check.severity == "error"):
        raise SystemExit(1)


def _print_checks(
    console: Console, results: list[store.CheckResult], *, only_failing: bool
) -> None:
    view = Table("check", "severity", "asserts", title="Data checks", title_justify="left")
    for name in ("judged", "failed", "pass rate"):
        view.add_column(name, justify="right")
    for r in results:
        if r.failed or not only_failing:
            rate = f"{100 * (1 - r.failed / r.judged):.2f} %" if r.judged else "-"
            cells = (f"{r.judged:,}", f"{r.failed:,}", rate)
            view.add_row(r.check.name, r.check.severity, r.check.asserts, *cells)
    if view.row_count:
        console.print(view)
        console.print("Rows that fail are kept and flagged (table check_failure).", style="dim")


def _print_disagreements(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """How often two sources differ, how much, and by which mistake of scale."""
    found = connection.execute(
        "SELECT source, other_source, count(*), count(*) FILTER (WHERE abs(relative) <= 0.01),"
        " array_to_string(list_sort(list(DISTINCT factor::BIGINT)), ', ')"
        " FROM disagreement GROUP BY source, other_source"
        " ORDER BY count(*) DESC, source, other_source"
    ).fetchall()
    if not found:
        return
    view = Table(title="Sources that differ by more than rounding", title_justify="left")
    for name in ("source", "other source", "cells", "by up to 1 %", "factors"):
        view.add_column(name, justify="right" if name in ("cells", "by up to 1 %") else "left")
    for source, other, cells, small, factors in found:
        view.add_row(source, other, f"{cells:,}", f"{small:,}", factors or "")
    console.print(view)
    console.print("Each pair of cells is in the table disagreement.", style="dim")


def _print_corrections(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """Which corrections still find the wrong figure or date; one that does not is out of date."""
    found = connection.execute(
        """
        SELECT c.company_id, c.fiscal_year_end, c.item, c.source, c."wrong", c."right",
            EXISTS (FROM statement_line s WHERE s.company_id = c.company_id AND s.item = c.item
                AND s.source = c.source AND s.fiscal_year_end = c.fiscal_year_end
                AND (c.basis IS NULL OR s.basis = c.basis)
                AND round(s.value, 2) = round(TRY_CAST(c."wrong" AS DOUBLE), 2))
            OR EXISTS (FROM insolvency_event e WHERE e.company_id = c.company_id
                AND e.event_type = c.item AND e.source = c.source
                AND e.event_date = TRY_CAST(c."wrong" AS DATE)) AS stands
        FROM correction c ORDER BY ALL
        """
    ).fetchall()
    if not found:
        return
    view = Table(title="Corrections", title_justify="left")
    for name in ("company", "year end", "item", "source", "wrong", "right", "state"):
        view.add_column(name)
    for *cells, stands in found:
        state = "applied" if stands else "out of date: the wrong one is no longer there"
        view.add_row(*("" if cell is None else str(cell) for cell in cells), state)
    console.print(view)


def _print_failures(console: Console, connection: duckdb.DuckDBPyConnection, rows: int) -> None:
    view = Table("check", "company", "year end", "basis", "actual", "expected", "detail")
    found = connection.execute(
        "SELECT check_name, company_id, fiscal_year_end, basis, round(actual, 2),"
        " round(expected, 2), detail FROM check_failure"
        " QUALIFY row_number() OVER (PARTITION BY check_name"
        " ORDER BY abs(actual - expected) DESC, company_id, fiscal_year_end) <= ?",
        [rows],
    )
    for row in found.fetchall():
        view.add_row(*("" if cell is None else str(cell) for cell in row))
    console.print(view)


FORMATS = {kind.name: (kind,) for kind in exports.FILE_FORMATS} | {"both": exports.FILE_FORMATS}


@main.command(epilog="\b\nExample:\n  python -m warehouse export out/")
@click.argument("folder", type=FILE)
@click.option(
    "--format",
    "formats",
    type=click.Choice(list(FORMATS)),
    default="both",
    show_default=True,
    help="Files to write for each table.",
)
@DB
@exits_with_2
def export(folder: Path, formats: str, db: Path | None) -> None:
    """Write statements, events, companies, macro, the panel and what is doubted about them.

    Each table as Parquet and CSV, all described by datapackage.json (docs/dictionary.md). A file
    that no export wrote is not replaced.
    """
    # A command may look up the layers, a library module may not.
    dataset, columns = import_module("features.dataset"), import_module("features.columns")
    told = columns.COLUMNS, FORMATS[formats]
    with store.connect(db, read_only=True) as connection:
        panel = (batch.table for batch in dataset.batches(connection, dataset.PanelRule()))
        try:
            written, reason = exports.export(connection, folder, panel, *told), ""
        except InputError as error:
            written, reason = exports.export(connection, folder, None, *told), str(error)
    for path, count in written:
        click.echo(f"{path}: {count:,} rows")
    if reason:
        click.echo(f"no panel: {reason}", err=True)
        raise SystemExit(1)


INFO = (
    ("companies", "SELECT count(*) FROM company"),
    ("of them financial", "SELECT count(*) FROM company_kind('statements') WHERE is_financial"),
    ("company-years", "SELECT count(*) FROM statements"),
    ("reported cells", "SELECT count(*) FROM statement_line"),
    ("fiscal years", "SELECT min(fiscal_year) || ' to ' || max(fiscal_year) FROM statements"),
    ("insolvency events", "SELECT count(*) FROM insolvency_event"),
    ("of them usable", "SELECT count(*) FROM insolvency_event WHERE usable"),
    ("of them unmatched", "SELECT count(*) FROM insolvency_event WHERE company_id IS NULL"),
    ("macro values", "SELECT count(*) FROM macro"),
    ("failed checks", "SELECT count(*) FROM check_failure"),
    ("files loaded", "SELECT count(*) FROM snapshot WHERE source IS NULL"),
    ("documents scraped", "SELECT count(*) FROM snapshot WHERE source IS NOT NULL"),
    ("rows in quarantine", "SELECT count(*) FROM quarantine"),
    (
        "matches to review",
        "SELECT count(*) FROM debtor_match WHERE certainty = 'ambiguous' AND decision IS NULL",
    ),
    ("last load", "SELECT max(loaded_at) FROM snapshot"),
)


@main.command(epilog="\b\nExample:\n  python -m warehouse info --db india.duckdb")
@DB
@exits_with_2
def info(db: Path | None) -> None:
    """Say what the warehouse holds."""
    view = Table("", str(store.warehouse_path(db)))
    with store.connect(db, read_only=True) as connection:
        for name, sql in INFO:
            value = connection.execute(sql).fetchall()[0][0]
            shown = f"{value:,}" if isinstance(value, int) else str(value or "-")[:19]
            view.add_row(name, shown)
    make_console().print(view)


if __name__ == "__main__":
    main()
