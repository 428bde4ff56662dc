"""`python -m features`: the labelled panel of a warehouse, of files, or of simulated companies."""

from __future__ import annotations

from collections import Counter
from contextlib import AbstractContextManager
from datetime import date, datetime
from pathlib import Path

import click
import duckdb
import pyarrow as pa
from rich.table import Table

from features import dataset
from features.labels import CLASSES, LabelRule
from features.ratios import RATIOS
from warehouse import store
from warehouse.console import console
from warehouse.errors import InputError, exits_with_2
from warehouse.exports import write_table

EPILOG = """\b
Examples:
  python -m features --out panel.parquet
  python -m features --from statements.csv events.csv companies.csv --years 2010-2023
  python -m features --demo --companies 1000 --out simulated.parquet
"""


def _years(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    first, dash, last = value.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise click.BadParameter(f"expected YYYY-YYYY or YYYY, got {value!r}")
    years = (int(first), int(last if dash else first))
    if years[0] > years[1]:
        raise click.BadParameter(f"the first year is after the last in {value!r}")
    return years


@click.command(epilog=EPILOG)
@click.option("--db", type=click.Path(path_type=Path), help="Warehouse file.")
@click.option(
    "--from", "from_files", multiple=True, type=click.Path(path_type=Path),
    help="Statements, events, companies and macro files to use instead of a warehouse.",
)  # fmt: skip
@click.argument("more_files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
@click.option("--demo", is_flag=True, help="Simulated companies instead of a warehouse.")
@click.option(
    "--companies", type=click.IntRange(min=1), default=428, show_default=True,
    help="Simulated companies (--demo).",
)  # fmt: skip
@click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    help="Seed of the simulation (--demo).",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("panel.parquet"), show_default=True,
    help="Panel to write: Parquet, or CSV if the name ends in .csv.",
)  # fmt: skip
@click.option("--years", default="1980-2100", callback=_years, help="Fiscal years, as 2010-2023.")
@click.option(
    "--label-year", type=click.Choice(["calendar", "fiscal"]), default="calendar",
    show_default=True, help="Whether t is the calendar or the fiscal year of the admission.",
)  # fmt: skip
@click.option(
    "--healthy-as-of", type=click.DateTime(["%Y-%m-%d"]),
    help="Healthy companies are on the last Nifty 500 list of or before this date. [any list]",
)  # fmt: skip
@click.option(
    "--macro", type=click.Choice(["year-before", "paper"]), default="year-before",
    show_default=True, help="Calendar year of the macro values.",
)  # fmt: skip
@click.option(
    "--most-years",
    type=click.IntRange(1, 1000),
    default=10,
    show_default=True,
    help="Latest years per company.",
)
@click.option(
    "--least-ratios",
    type=click.IntRange(0, 62),
    default=15,
    show_default=True,
    help="Ratios a row must have.",
)
@click.option("--financial", is_flag=True, help="Keep banks, NBFCs and insurers.")
@exits_with_2
def main(
    db: Path | None,
    from_files: tuple[Path, ...],
    more_files: tuple[Path, ...],
    demo: bool,
    companies: int,
    seed: int,
    out: Path,
    years: tuple[int, int],
    label_year: str,
    healthy_as_of: datetime | None,
    macro: str,
    most_years: int,
    least_ratios: int,
    financial: bool,
) -> None:
    """Build the labelled panel: X1 to X66 for each company and fiscal year."""
    files = [*from_files, *more_files]
    if more_files and not from_files:
        raise InputError(f"{more_files[0]}: name files after --from")
    if sum((bool(files), demo, db is not None)) > 1:
        raise InputError("--db, --from and --demo exclude each other: name one")
    label = LabelRule(
        year="fiscal" if label_year == "fiscal" else "calendar",
        healthy_as_of=_date(healthy_as_of),
    )
    rule = dataset.PanelRule(
        label=label,
        macro="paper" if macro == "paper" else "year-before",
        years=years,
        most_years=most_years,
        least_ratios=least_ratios,
        financial=financial,
    )
    with _source(db, files, demo, companies, seed) as connection:
        table = dataset.panel(connection, rule)
        reasons = dataset.missing_reasons(connection, table)
    write_table(table, out)
    _print_summary(table, reasons, rule, out)


def _date(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def _source(
    db: Path | None, files: list[Path], demo: bool, companies: int, seed: int
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    if demo:
        return dataset.demo_warehouse(companies, seed)
    if files:
        return dataset.warehouse_of_files(files)
    return store.connect(db, read_only=True)


def _print_summary(table: pa.Table, reasons: pa.Table, rule: dataset.PanelRule, out: Path) -> None:
    out_to = console()
    simulated = any(table["simulated"].to_pylist())
    kind = "SIMULATED companies" if simulated else "companies"
    out_to.print(
        f"{out}: {table.num_rows:,} rows of {len(set(table['company_id'].to_pylist())):,} {kind}"
    )
    out_to.print(f"Labels: {rule.label.words()}", style="dim", highlight=False)
    out_to.print(_classes(table))
    out_to.print(_reasons(reasons, table.num_rows))
    failing = sum(1 for count in table["failed_checks"].to_pylist() if count)
    if failing:
        out_to.print(
            f"{failing:,} rows fail a data check and are kept, flagged in failed_checks:"
            " see python -m warehouse check",
            style="yellow",
        )


def _classes(table: pa.Table) -> Table:
    labels = table["label"].to_pylist()
    pairs = set(zip(table["company_id"].to_pylist(), labels, strict=True))
    rows, companies = Counter(labels), Counter(label for _, label in pairs)
    view = Table("class", title="Classes", title_justify="left")
    view.add_column("rows", justify="right")
    view.add_column("companies", justify="right")
    for label in CLASSES:
        view.add_row(label, f"{rows[label]:,}", f"{companies[label]:,}")
    return view


def _reasons(reasons: pa.Table, rows: int) -> Table:
    """NULL cells by reason: most frequent first."""
    cells: Counter[str] = Counter()
    codes: dict[str, list[str]] = {}
    for row in reasons.to_pylist():
        cells[row["reason"]] += row["rows"]
        codes.setdefault(row["reason"], []).append(row["code"])
    view = Table(
        "why a ratio is NULL", "ratios",
        title=f"NULL ratios: {cells.total():,} of {rows * len(RATIOS):,} (most frequent reasons)",
        title_justify="left",
    )  # fmt: skip
    view.add_column("cells", justify="right")
    for reason, count in cells.most_common(10):
        view.add_row(reason, ", ".join(sorted(codes[reason], key=_number)), f"{count:,}")
    return view


def _number(code: str) -> int:
    return int(code[1:])


if __name__ == "__main__":
    main()
