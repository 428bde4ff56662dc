"""The panel: one labelled row per company and fiscal year, X1 to X66."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow as pa

from features import demo
from features.demo_files import to_long
from features.labels import LabelRule, labels_sql
from features.macro import MACRO, Alignment, macro_sql
from features.ratios import RATIOS, ratios_sql, reasons_sql
from warehouse import formats, importers, store
from warehouse.errors import InputError

FEATURES: tuple[str, ...] = tuple(r.code for r in RATIOS) + tuple(m.code for m in MACRO)
SIMULATED = "simulated"


@dataclass(frozen=True)
class PanelRule:
    """Which rows a panel holds.

    Attributes:
        label: how years are labelled.
        macro: which calendar year's macro values a fiscal year takes.
        years: first and last fiscal year, both included.
        most_years: the most recent years kept per company.
        least_ratios: ratios that a row must have.
        financial: keep banks, NBFCs and insurers, whose statements lack what ratios need.
    """

    label: LabelRule = field(default_factory=LabelRule)
    macro: Alignment = "year-before"
    years: tuple[int, int] = (1980, 2100)
    most_years: int = 10
    least_ratios: int = 15
    financial: bool = False


KEYS = (
    "company_id, company_name, fiscal_year, fiscal_year_end, available_from, label,"
    " label_known_from, post_event, sector, basis, source, months, proxies, failed_checks,"
    f" simulated, {', '.join(FEATURES)}, n_missing, n_negative_denominators"
)


def features_sql(macro: Alignment = "year-before") -> str:
    """Query with one row per company and fiscal year of `yearly`: ratios and macro values."""
    return f"""
SELECT r.*, {macro_sql(macro)},
    c.company_name, c.sector, k.is_financial, coalesce(f.failed_checks, 0) AS failed_checks,
    r.source = '{SIMULATED}' AS simulated
FROM ({ratios_sql("yearly")}) r
LEFT JOIN company c USING (company_id)
LEFT JOIN company_kind k USING (company_id)
LEFT JOIN (
    SELECT company_id, fiscal_year_end, basis, count(*) AS failed_checks
    FROM check_failure WHERE severity = 'error'
    GROUP BY company_id, fiscal_year_end, basis
) f ON f.company_id = r.company_id AND f.fiscal_year_end = r.fiscal_year_end
    AND f.basis = r.basis
"""


def materialise(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the view `statements`, which pivots every cell, into the temporary table `yearly`."""
    connection.execute("CREATE OR REPLACE TEMP TABLE yearly AS FROM statements")


def panel_sql(rule: PanelRule) -> str:
    """Query of the panel, ordered by company and year."""
    first, last = rule.years
    financial = "true" if rule.financial else "NOT is_financial"
    return f"""
SELECT {KEYS}
FROM ({features_sql(rule.macro)}) JOIN ({labels_sql("yearly", rule.label)})
    USING (company_id, fiscal_year)
WHERE fiscal_year BETWEEN {first} AND {last} AND {financial}
    AND {len(RATIOS)} - n_missing >= {rule.least_ratios}
QUALIFY row_number() OVER (PARTITION BY company_id ORDER BY fiscal_year DESC) <= {rule.most_years}
ORDER BY company_id, fiscal_year
"""


def panel(connection: duckdb.DuckDBPyConnection, rule: PanelRule | None = None) -> pa.Table:
    """The labelled panel of a warehouse.

    Raises:
        InputError: no row can be labelled; says what is missing.
    """
    materialise(connection)
    table = connection.sql(panel_sql(rule or PanelRule())).to_arrow_table()
    if table.num_rows == 0:
        raise InputError(_why_empty(connection))
    return table


def _why_empty(connection: duckdb.DuckDBPyConnection) -> str:
    counts = {
        name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        for name in ("statements", "insolvency_event", "company")
    }
    have = ", ".join(f"{count:,} {name.replace('_', ' ')} rows" for name, count in counts.items())
    return (
        f"no row of the warehouse can be labelled ({have}); import statements, an events file and a"
        " companies file with in_nifty500: python -m warehouse import FILE..."
    )


def missing_reasons(connection: duckdb.DuckDBPyConnection, table: pa.Table) -> pa.Table:
    """Why ratios of a panel just made are NULL: code, reason, rows; most frequent first."""
    connection.register("panel_rows", table.select(["company_id", "fiscal_year"]))
    reasons = connection.sql(
        f"SELECT code, reason, count(*) AS rows FROM ({reasons_sql('yearly')})"
        " SEMI JOIN panel_rows USING (company_id, fiscal_year)"
        " GROUP BY code, reason ORDER BY rows DESC, code"
    ).to_arrow_table()
    connection.unregister("panel_rows")
    return reasons


@contextmanager
def warehouse_of_files(files: list[Path]) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory that holds these files and nothing else, checked."""
    with store.in_memory() as connection:
        importers.import_files(connection, files)
        store.run_checks(connection)
        yield connection


def load_demo(connection: duckdb.DuckDBPyConnection, companies: int = 428, seed: int = 0) -> None:
    """Load the demo universe: simulated companies, marked so by their source."""
    for number, chunk in enumerate(demo.demo_chunks(companies, seed)):
        name = f"simulated-{companies}-{seed}-{number}"
        tables = (
            (formats.COMPANIES, _text_table(chunk.companies)),
            (formats.EVENTS, _text_table(chunk.events)),
            (formats.STATEMENTS, to_long(chunk.statements)),
        )
        for kind, table in tables:
            importers.import_table(connection, kind, table, f"{name}-{kind.kind}")
        if number == 0:
            importers.import_table(
                connection, formats.MACRO, _text_table(chunk.macro), f"{name}-macro"
            )
    store.run_checks(connection)


def _text_table(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


@contextmanager
def demo_warehouse(companies: int = 428, seed: int = 0) -> Iterator[duckdb.DuckDBPyConnection]:
    """The demo universe in a warehouse in memory."""
    with store.in_memory() as connection:
        load_demo(connection, companies, seed)
        yield connection


@dataclass(frozen=True)
class TrainingData:
    """A panel, where it comes from, and its label rule in words."""

    frame: pd.DataFrame
    description: str
    label_rule: str


def training_data(db: Path | None, seed: int = 0) -> TrainingData:
    """The panel of the warehouse or, where there is none to speak of, of the demo universe.

    Raises:
        InputError: a warehouse was named that is not there or cannot be labelled.
    """
    path = store.warehouse_path(db)
    if db is not None or path.exists():
        with store.connect(db, read_only=True) as connection:
            if db is not None or _is_filled(connection):
                return _training_data(connection, f"warehouse {path.name}")
    with demo_warehouse(seed=seed) as connection:
        return _training_data(connection, "demo universe: SIMULATED companies")


def _is_filled(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT count(*) > 0 FROM statement_line").fetchall()[0][0])


def _training_data(connection: duckdb.DuckDBPyConnection, description: str) -> TrainingData:
    rule = PanelRule()
    table = panel(connection, rule)
    return TrainingData(table.to_pandas(), description, rule.label.words())
