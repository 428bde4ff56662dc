"""The panel: one labelled row per company and fiscal year, X1 to X66 and what goes beyond."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import duckdb
import pandas as pd
import pyarrow as pa

from features import demo
from features.cin import cin_columns_sql, cin_reasons_sql
from features.demo_files import to_long
from features.labels import HORIZONS, LabelRule, horizons_sql, labels_sql
from features.macro import MACRO, Alignment, macro_sql
from features.ratios import RATIOS, ratios_sql, reasons_sql
from features.scores import SCORES, score_reasons_sql, scores_sql
from features.trends import trend_features, trend_reasons_sql, trends_sql
from warehouse import formats, importers, store
from warehouse.errors import InputError
from warehouse.items import DERIVED, ITEMS, PREVIOUS, names_in

if TYPE_CHECKING:
    from features.matching import Matching

Features = Literal["base", "trend", "all"]

FEATURES: tuple[str, ...] = tuple(r.code for r in RATIOS) + tuple(m.code for m in MACRO)
SIMULATED = "simulated"


@dataclass(frozen=True)
class PanelRule:
    """Which rows and columns a panel holds, and as known on what day.

    Attributes:
        label: how years are labelled.
        macro: which calendar year's macro values a fiscal year takes.
        years: first and last fiscal year, both included.
        most_years: the most recent years kept per company.
        least_ratios: ratios that a row must have.
        financial: keep banks, NBFCs and insurers, whose statements lack what ratios need.
        features: "base" X1 to X66; "trend" with trend and volatility of each ratio; "all" with
            the published scores and the company's age as well.
        flows: income, expenses and cash flows of a period that is not 12 months, as "reported" or
            brought to 12 months ("annual").
        matched: healthy controls per failing company, by sector and size; 0 keeps all.
        as_of: build the panel as it was known on this day; None for today.
        vintage: of a figure that was restated by then, the latest or the first.
    """

    label: LabelRule = field(default_factory=LabelRule)
    macro: Alignment = "year-before"
    years: tuple[int, int] = (1980, 2100)
    most_years: int = 10
    least_ratios: int = 15
    financial: bool = False
    features: Features = "base"
    flows: Literal["reported", "annual"] = "reported"
    matched: int = 0
    as_of: date | None = None
    vintage: store.Vintage = "latest"

    def words(self) -> str:
        """The rule in one line, for model cards and reports."""
        known = f"; as known on {self.as_of}" if self.as_of else ""
        known += "; as first filed" if self.vintage == "first" else ""
        known += "; flows brought to 12 months" if self.flows == "annual" else ""
        known += f"; {self.matched} healthy controls matched" if self.matched else ""
        return self.label.words() + known


def feature_names(features: Features = "base") -> tuple[str, ...]:
    """Columns of a panel that a model may learn from, in order."""
    trends = trend_features([r.code for r in RATIOS]) if features != "base" else ()
    more = (*(s.code for s in SCORES), "company_age") if features == "all" else ()
    return (*FEATURES, *trends, *more)


def _keys(features: Features) -> str:
    horizons = [f"fails_within_{n}y{more}" for n in HORIZONS for more in ("", "_known_from")]
    names = [
        *("company_id", "company_name", "fiscal_year", "fiscal_year_end", "available_from"),
        *("label", "label_known_from", "label_reason", "post_event", *horizons, "member_list"),
        *("sector", "state", "industry", "basis", "source", "months", "total_assets", "proxies"),
        *("failed_checks", "simulated", *feature_names(features)),
        *("n_missing", "n_negative_denominators"),
    ]
    return ", ".join(names)


# Whose a row `r` of a company and year is, and how many data checks of it failed.
_WHOSE = """LEFT JOIN company c USING (company_id)
LEFT JOIN company_kind('yearly') k USING (company_id)
LEFT JOIN (
    SELECT company_id, fiscal_year_end, basis, count(*) AS failed_checks
    FROM check_failure WHERE severity = 'error'
    GROUP BY company_id, fiscal_year_end, basis
) f ON f.company_id = r.company_id AND f.fiscal_year_end = r.fiscal_year_end
    AND f.basis = r.basis
"""


def features_sql(macro: Alignment = "year-before", features: Features = "base") -> str:
    """Query with one row per company and fiscal year of `yearly`: ratios, macro values and more."""
    rows = f"({ratios_sql('yearly')})"
    if features != "base":
        rows = f"({trends_sql(rows)})"
    if features == "all":
        rows = f"({scores_sql(rows)})"
    return f"""
SELECT r.*, {macro_sql(macro)},
    c.company_name, c.sector, {cin_columns_sql("c.cin", "r.fiscal_year")},
    k.is_financial, coalesce(f.failed_checks, 0) AS failed_checks,
    r.source = '{SIMULATED}' AS simulated
FROM {rows} r
{_WHOSE}"""


def years_sql() -> str:
    """Query with one row per company and fiscal year of `yearly`: its items and whose it is."""
    return f"""
SELECT r.*, c.company_name, c.sector, k.is_financial, coalesce(f.failed_checks, 0) AS failed_checks
FROM yearly r
{_WHOSE}"""


def materialise(connection: duckdb.DuckDBPyConnection, flows: str = "reported") -> None:
    """Put the view `statements`, which pivots every cell, into the temporary table `yearly`."""
    rows = "FROM statements" if flows == "reported" else _annual_sql()
    connection.execute(f"CREATE OR REPLACE TEMP TABLE yearly AS {rows}")


def flow_items() -> tuple[str, ...]:
    """Items, and items derived from them, that grow with the length of the period."""
    flows = {item.name for item in ITEMS if item.statement != "balance_sheet"}
    known = frozenset({item.name for item in ITEMS} | {d.name for d in DERIVED})
    for derived in DERIVED:
        if set(names_in(derived.definition, known)) <= flows:
            flows.add(derived.name)
    return tuple(
        name for name in [*(i.name for i in ITEMS), *(d.name for d in DERIVED)] if name in flows
    )


def _annual_sql() -> str:
    """Query of `statements` with flows brought to 12 months, those of the period before by its own.

    That period may be the earlier of two in a calendar year, which `statements` leaves out.
    """
    flows = flow_items()
    now = [f"{name} * 12 / s.months AS {name}" for name in flows]
    before = [
        f"prev_{name} * 12 / prev_months AS prev_{name}" for name in PREVIOUS if name in flows
    ]
    return f"""
SELECT s.* REPLACE ({", ".join([*now, *before])})
FROM statements s
LEFT JOIN (
    SELECT company_id, basis, fiscal_year_end AS prev_fiscal_year_end, max(months) AS prev_months
    FROM stg_cell GROUP BY ALL
) USING (company_id, basis, prev_fiscal_year_end)"""


def panel_sql(rule: PanelRule) -> str:
    """Query of the panel's rows, before matching, ordered by company and year.

    Years of a company differ, so their rank is their number; DuckDB sorts for a rank, out of core,
    but keeps the first rows by number in memory.
    """
    first, last = rule.years
    financial = "true" if rule.financial else "NOT is_financial"
    return f"""
SELECT {_keys(rule.features)}
FROM ({features_sql(rule.macro, rule.features)})
JOIN ({labels_sql("yearly", rule.label)}) USING (company_id, fiscal_year)
JOIN ({horizons_sql("yearly")}) USING (company_id, fiscal_year)
WHERE fiscal_year BETWEEN {first} AND {last} AND {financial}
    AND {len(RATIOS)} - n_missing >= {rule.least_ratios}
QUALIFY rank() OVER (PARTITION BY company_id ORDER BY fiscal_year DESC) <= {rule.most_years}
ORDER BY company_id, fiscal_year
"""


@dataclass(frozen=True)
class Batch:
    """The panel's rows of a part of the companies, and why ratios of them are NULL.

    `reasons` has code, reason and rows; it is empty where it was not asked for.
    """

    table: pa.Table
    reasons: pa.Table


def batches(
    connection: duckdb.DuckDBPyConnection, rule: PanelRule, *, with_reasons: bool = False
) -> Iterator[Batch]:
    """The panel, before matching, in parts: memory stays that of a part, however many companies.

    Raises:
        InputError: no row can be labelled; says what is missing.
    """
    rows = 0
    with store.known_on(connection, rule.as_of, rule.vintage):
        for _ in store.parts(connection):
            materialise(connection, rule.flows)
            table = connection.sql(panel_sql(rule)).to_arrow_table()
            reasons = NO_REASONS
            if with_reasons:
                reasons = missing_reasons(connection, table, rule.features)
            rows += table.num_rows
            yield Batch(table, reasons)
        if rows == 0:
            raise InputError(_why_empty(connection, rule))


def panel(connection: duckdb.DuckDBPyConnection, rule: PanelRule | None = None) -> pa.Table:
    """The labelled panel of a warehouse.

    Raises:
        InputError: no row can be labelled, or no controls can be matched; says what is missing.
    """
    rule = rule or PanelRule()
    table = pa.concat_tables([batch.table for batch in batches(connection, rule)])
    return matched(table, rule)[0] if rule.matched else table


def matched(table: pa.Table, rule: PanelRule) -> tuple[pa.Table, Matching]:
    """A panel with `rule.matched` healthy controls per failing company, and how they were found."""
    from features.matching import apply, match  # a score should not wait for scipy

    frame = table.to_pandas()
    found = match(frame, rule.matched)
    kept = apply(frame, found)
    return table.take(pa.array(kept.index.to_numpy())), found


def _why_empty(connection: duckdb.DuckDBPyConnection, rule: PanelRule) -> str:
    counts = {
        name: connection.execute(f"SELECT count(*) FROM {name}").fetchall()[0][0]
        for name in ("statements", "insolvency_event", "company")
    }
    have = ", ".join(f"{count:,} {name.replace('_', ' ')} rows" for name, count in counts.items())
    if rule.as_of:
        have += f", as known on {rule.as_of}"
    if rule.years != PanelRule.years:
        have += ", fiscal years {}-{}".format(*rule.years)
    return (
        f"no row of the warehouse can be labelled ({have}); import statements, an events file and a"
        " companies file with in_nifty500: python -m warehouse import FILE..."
    )


NO_REASONS = pa.table({"code": [""], "reason": [""], "rows": [0]}).slice(1)


def null_reasons_sql(features: Features = "base") -> str:
    """Query with one row per NULL feature of `features_sql`, but for macro values.

    Columns: company_id, fiscal_year, code, reason.
    """
    queries = [reasons_sql("yearly")]
    if features != "base":
        queries.append(trend_reasons_sql(f"({ratios_sql('yearly')})"))
    if features == "all":
        known = "(SELECT company_id, fiscal_year, cin FROM yearly JOIN company USING (company_id))"
        age = f"SELECT * FROM ({cin_reasons_sql(known)}) WHERE code = 'company_age'"
        queries += [score_reasons_sql("yearly"), age]
    return " UNION ALL ".join(f"FROM ({query})" for query in queries)


def missing_reasons(
    connection: duckdb.DuckDBPyConnection, table: pa.Table, features: Features = "base"
) -> pa.Table:
    """Why features of a panel just made are NULL: code, reason, rows; most frequent first."""
    connection.register("panel_rows", table.select(["company_id", "fiscal_year"]))
    reasons = connection.sql(
        f"SELECT code, reason, count(*) AS rows FROM ({null_reasons_sql(features)})"
        " SEMI JOIN panel_rows USING (company_id, fiscal_year)"
        " GROUP BY code, reason ORDER BY rows DESC, code, reason"
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


def training_data(db: Path | None, seed: int = 0, features: Features = "base") -> TrainingData:
    """The panel of the warehouse or, where there is none to speak of, of the demo universe.

    Raises:
        InputError: a warehouse was named that is not there or cannot be labelled.
    """
    path = store.warehouse_path(db)
    if db is not None or path.exists():
        with store.connect(db, read_only=True) as connection:
            if db is not None or _is_filled(connection):
                return _training_data(connection, f"warehouse {path.name}", features)
    with demo_warehouse(seed=seed) as connection:
        return _training_data(connection, "demo universe: SIMULATED companies", features)


def _is_filled(connection: duckdb.DuckDBPyConnection) -> bool:
    return bool(connection.execute("SELECT count(*) > 0 FROM statement_line").fetchall()[0][0])


def _training_data(
    connection: duckdb.DuckDBPyConnection, description: str, features: Features
) -> TrainingData:
    rule = PanelRule(features=features)
    table = panel(connection, rule)
    return TrainingData(table.to_pandas(), description, rule.words())
