"""`python -m features`: the labelled panel of a warehouse, of files, or of simulated companies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any

import click
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console, JustifyMethod
from rich.table import Table

from features import dataset
from features.audit import audit, audit_table
from features.audit_result import audit_notes
from features.dataset import PanelRule
from features.labels import CLASSES, HORIZONS, OPTIONS, LabelRule, Option
from features.macro import MACRO
from features.matching import Matching
from warehouse import store
from warehouse.console import console, year_range
from warehouse.errors import InputError, exits_with_2
from warehouse.exports import write_tables

EPILOG = """\b
Examples:
  python -m features --out panel.parquet
  python -m features --from statements.csv events.csv companies.csv --years 2010-2023
  python -m features --as-of 2019-06-30 --features all --out known_2019.parquet
  python -m features --match 3 --audit --out matched.parquet
  python -m features --demo --companies 1000 --out simulated.parquet
"""
DAY = click.DateTime(["%Y-%m-%d"])
MOST_NAMED = 12


def _date(context: click.Context, option: click.Parameter, value: datetime | None) -> date | None:
    return value.date() if value else None


def _label_option(option: Option) -> Callable[[Any], Any]:
    """The command-line option of an option of the label rule."""
    name = {"year": "label-year"}.get(option.name, option.name.replace("_", "-"))
    facts: dict[str, Any] = {"type": DAY, "callback": _date}
    if option.choices and not option.other:
        kinds = {str(choice.value): choice.value for choice in option.choices}
        facts = {"type": click.Choice(list(kinds)), "callback": lambda c, o, v: kinds[v]}
    elif isinstance(option.default, int):
        facts = {"type": click.IntRange(min=1)}
    if option.default is not None:
        facts |= {"default": str(option.default), "show_default": True}
    return click.option(f"--{name}", f"label_{option.name}", help=option.decides, **facts)


def _label_options(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(OPTIONS):
        command = _label_option(option)(command)
    return command


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
    "--seed", type=click.IntRange(0, 2**31 - 1), default=0, show_default=True,
    help="Seed of the simulation (--demo) and of the audit's folds.",
)  # fmt: skip
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("panel.parquet"), show_default=True,
    help="Panel to write: Parquet, or CSV if the name ends in .csv.",
)  # fmt: skip
@click.option(
    "--features", type=click.Choice(["base", "trend", "all"]), default="base", show_default=True,
    help="base: X1 to X66; trend: also trend and volatility of each ratio; all: also published"
    " scores and the company's age.",
)  # fmt: skip
@click.option(
    "--years", default="1980-2100", callback=year_range, help="Fiscal years, as 2010-2023."
)
@click.option(
    "--as-of", type=DAY, callback=_date,
    help="The panel as it was known on this day: filings, events and lists until then. [today]",
)  # fmt: skip
@click.option(
    "--vintage", type=click.Choice(["latest", "first"]), default="latest", show_default=True,
    help="Of figures that were restated: the latest known, or as first filed.",
)  # fmt: skip
@click.option(
    "--flows", type=click.Choice(["reported", "annual"]), default="reported", show_default=True,
    help="Income, expenses and cash flows of 9-, 15- or 18-month periods: as reported, or brought"
    " to 12 months.",
)  # fmt: skip
@_label_options
@click.option(
    "--match", "matched", type=click.IntRange(min=0), default=0, show_default=True,
    help="Healthy controls per failing company, matched by sector and size; 0 keeps all.",
)  # fmt: skip
@click.option(
    "--macro", type=click.Choice(["year-before", "paper"]), default="year-before",
    show_default=True, help="Calendar year of the macro values.",
)  # fmt: skip
@click.option(
    "--most-years", type=click.IntRange(1, 1000), default=10, show_default=True,
    help="Latest years per company.",
)  # fmt: skip
@click.option(
    "--least-ratios", type=click.IntRange(0, 62), default=15, show_default=True,
    help="Ratios a row must have.",
)  # fmt: skip
@click.option("--financial", is_flag=True, help="Keep banks, NBFCs and insurers.")
@click.option(
    "--audit", "audited", is_flag=True,
    help="How well missing values, year, source or size alone tell the classes apart.",
)  # fmt: skip
@exits_with_2
def main(
    db: Path | None,
    from_files: tuple[Path, ...],
    more_files: tuple[Path, ...],
    demo: bool,
    companies: int,
    seed: int,
    out: Path,
    audited: bool,
    **options: Any,
) -> None:
    """Build the labelled panel: X1 to X66 for each company and fiscal year."""
    files = [*from_files, *more_files]
    if more_files and not from_files:
        raise InputError(f"{more_files[0]}: name files after --from")
    if sum((bool(files), demo, db is not None)) > 1:
        raise InputError("--db, --from and --demo exclude each other: name one")
    store.refuse_warehouse(out, db)
    label = {name.removeprefix("label_"): value for name, value in options.items()
             if name.startswith("label_")}  # fmt: skip
    others = {name: value for name, value in options.items() if not name.startswith("label_")}
    rule = PanelRule(label=LabelRule(**label), **others)
    with _source(db, files, demo, companies, seed) as connection:
        built = _build(connection, rule, out, keep=audited)
    screen = console()
    _print_summary(screen, built, rule, out)
    if audited:
        frame = pa.concat_tables(built.kept).to_pandas()
        found = audit(frame, dataset.feature_names(rule.features), seed=seed)
        screen.print(audit_table(found))
        for note in audit_notes(found):
            screen.print(note, style="dim")
        for warning in found.warnings:
            screen.print(f"warning: {warning}", style="yellow")


def _source(
    db: Path | None, files: list[Path], demo: bool, companies: int, seed: int
) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    if demo:
        return dataset.demo_warehouse(companies, seed)
    if files:
        return dataset.warehouse_of_files(files)
    return store.connect(db, read_only=True)


@dataclass
class Built:
    """What was written: counts for the summary, and the tables themselves where they are kept."""

    rows: int = 0
    cells: int = 0
    simulated: bool = False
    failing: int = 0
    before_lists: int = 0
    classes: Counter[str] = field(default_factory=Counter)
    companies: Counter[str] = field(default_factory=Counter)
    horizons: Counter[tuple[int, bool | None]] = field(default_factory=Counter)
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    kept: list[pa.Table] = field(default_factory=list)
    matching: Matching | None = None

    def count(self, table: pa.Table) -> None:
        """Add the rows of one part of the companies."""
        self.rows += table.num_rows
        self.simulated |= bool(pc.any(table["simulated"]).as_py())
        self.failing += pc.sum(pc.greater(table["failed_checks"], 0)).as_py() or 0
        lists, known = table["member_list"], table["available_from"]
        self.before_lists += pc.sum(pc.greater(lists, known)).as_py() or 0
        labels = table["label"].to_pylist()
        self.classes.update(labels)
        pairs = set(zip(table["company_id"].to_pylist(), labels, strict=True))
        self.companies.update(label for _, label in pairs)
        for years in HORIZONS:
            answers = table[f"fails_within_{years}y"].to_pylist()
            self.horizons.update((years, answer) for answer in answers)


def _build(
    connection: duckdb.DuckDBPyConnection, rule: PanelRule, out: Path, *, keep: bool
) -> Built:
    """Write the panel, a part of the companies after the other where nothing needs all of it."""
    built = Built()
    parts = _parts(connection, rule, built)
    if rule.matched:
        table, built.matching = dataset.matched(pa.concat_tables(list(parts)), rule)
        parts = iter([table])
    write_tables(_counted(parts, built, keep), out)
    return built


def _parts(
    connection: duckdb.DuckDBPyConnection, rule: PanelRule, built: Built
) -> Iterator[pa.Table]:
    columns = len(dataset.feature_names(rule.features)) - len(MACRO)
    for batch in dataset.batches(connection, rule, with_reasons=True):
        for row in batch.reasons.to_pylist():
            built.reasons[row["code"], row["reason"]] += row["rows"]
        built.cells += batch.table.num_rows * columns
        yield batch.table


def _counted(tables: Iterator[pa.Table], built: Built, keep: bool) -> Iterator[pa.Table]:
    for table in tables:
        built.count(table)
        if keep:
            built.kept.append(table)
        yield table


def _print_summary(screen: Console, built: Built, rule: PanelRule, out: Path) -> None:
    kind = "SIMULATED companies" if built.simulated else "companies"
    matching = f", {built.matching.words()}" if built.matching else ""
    screen.print(f"{out}: {built.rows:,} rows of {kind}{matching}")
    screen.print(f"Labels: {rule.words()}", style="dim", highlight=False)
    screen.print(_classes(built))
    screen.print(_horizons(built))
    if built.matching:
        screen.print(_balance(built.matching))
    screen.print(_reasons(built))
    if built.before_lists:
        screen.print(
            f"{built.before_lists:,} healthy rows are older than the first list of the index:"
            " that list stands in",
            style="yellow",
        )
    if built.failing:
        screen.print(
            f"{built.failing:,} rows fail a data check and are kept, flagged in failed_checks:"
            " see python -m warehouse check",
            style="yellow",
        )


def _classes(built: Built) -> Table:
    view = Table("class", title="Classes", title_justify="left")
    view.add_column("rows", justify="right")
    view.add_column("companies", justify="right")
    for label in CLASSES:
        view.add_row(label, f"{built.classes[label]:,}", f"{built.companies[label]:,}")
    return view


def _horizons(built: Built) -> Table:
    """Whether companies fail within N years of the day on which a row was available."""
    view = Table("horizon", title="Forecasts: admitted within … of available_from")
    view.title_justify = "left"
    for name in ("fails", "survives", "not known"):
        view.add_column(name, justify="right")
    for years in HORIZONS:
        counts = [built.horizons[years, answer] for answer in (True, False, None)]
        view.add_row(f"{years} y", *(f"{count:,}" for count in counts))
    return view


def _balance(matching: Matching) -> Table:
    """How alike failing companies and controls are: standardised mean differences."""
    view = Table(title="Balance: standardised mean differences", title_justify="left")
    for name in matching.balance.columns:
        side: JustifyMethod = "left" if name in ("variable", "role") else "right"
        view.add_column(str(name).replace("_", " "), justify=side)
    for row in matching.balance.itertuples(index=False):
        cells = [cell if isinstance(cell, str) else "–" if cell != cell else f"{cell:.3f}"
                 for cell in row]  # fmt: skip
        view.add_row(*cells)
    return view


def _reasons(built: Built) -> Table:
    """NULL cells by reason: most frequent first."""
    cells: Counter[str] = Counter()
    codes: dict[str, list[str]] = {}
    for (code, reason), rows in built.reasons.items():
        cells[reason] += rows
        codes.setdefault(reason, []).append(code)
    view = Table(
        "why a feature is NULL", "features",
        title=f"NULL features: {cells.total():,} of {built.cells:,} (most frequent reasons)",
        title_justify="left",
    )  # fmt: skip
    view.add_column("cells", justify="right")
    for reason, count in cells.most_common(10):
        named = sorted(codes[reason], key=_order)
        more = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
        view.add_row(reason, ", ".join(named[:MOST_NAMED]) + more, f"{count:,}")
    return view


def _order(code: str) -> tuple[int, str]:
    """X2 before X10, and what is no ratio last."""
    digits = code[1:].partition("_")[0]
    return (int(digits) if digits.isdecimal() else 10_000, code)


if __name__ == "__main__":
    main()
