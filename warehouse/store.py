"""Open, create and migrate the DuckDB file; run the data checks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import date
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from string import Template
from typing import Any, Literal

import duckdb

from warehouse import fusion, items, periods
from warehouse.errors import InputError
from warehouse.files import make_folder
from warehouse.identities import IDENTITIES, JUMP, TOLERANCE_SQL, TOTALS
from warehouse.opening import open_database, seconds_to_wait, use_fault

# Entry k brings a warehouse from schema version k to k + 1: append, never edit.
MIGRATIONS: tuple[str, ...] = ("schema.sql", "schema_2.sql", "schema_3.sql")

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}

Vintage = Literal["latest", "first"]

# What DuckDB raises when a disk or file fails: the third is a COMMIT that cannot be written.
_FAILED = (
    duckdb.IOException, duckdb.FatalException, duckdb.TransactionException,
    duckdb.InternalException,
)  # fmt: skip

_IN_TRANSACTION: set[int] = set()  # ids of open connections; DuckDB cannot be asked


@dataclass(frozen=True)
class Check:
    """A data check; `sql` returns the years it judged, with `failed`."""

    name: str
    severity: str
    asserts: str
    sql: str


@dataclass(frozen=True)
class CheckResult:
    """How many years a check could judge and how many failed it."""

    check: Check
    judged: int
    failed: int


def data_dir() -> Path:
    """Folder of generated data: `BANKRUPTCY_DATA`, else `data`."""
    return Path(os.environ.get("BANKRUPTCY_DATA") or "data")


def warehouse_path(db: Path | None) -> Path:
    """The warehouse file: `--db`, else `warehouse.duckdb` in the data folder."""
    return db if db is not None else data_dir() / "warehouse.duckdb"


def refuse_warehouse(path: Path, db: Path | None) -> None:
    """Raise InputError where a file to read or write is the warehouse itself.

    Opening it beside its connection would end the lock on it; writing it would end the warehouse.
    """
    warehouse = warehouse_path(db)
    if path.exists() and warehouse.exists() and path.samefile(warehouse):
        raise InputError(f"{path}: is the warehouse itself; name another file")


def _sql(name: str) -> str:
    return files("warehouse").joinpath(name).read_text(encoding="utf-8")


def views_sql() -> str:
    """The views, with what the tables and numbers of other modules say filled in."""
    return Template(_sql("views.sql")).substitute(
        corrections=fusion.corrections_sql(),
        places=fusion.places_sql(),
        bases=fusion.bases_sql(),
        item_statements=items.item_statements_sql(),
        item_columns=items.item_columns_sql(),
        derived_columns=items.derived_columns_sql(),
        previous_columns=items.previous_columns_sql(),
        filing_days=periods.FILING_DAYS,
        gap_days=periods.GAP_DAYS,
        whole_months=periods.WHOLE_MONTHS,
        bank_fixed_assets=periods.BANK_FIXED_ASSETS,
        bank_debt=periods.BANK_DEBT,
    )


def _open(target: str, read_only: bool, wait: float | None = None) -> duckdb.DuckDBPyConnection:
    seconds = seconds_to_wait() if wait is None else wait
    return open_database(target, read_only=read_only, config=_CONFIG, wait=seconds)


def _version(connection: duckdb.DuckDBPyConnection) -> int:
    """Schema version; 0 for an empty database, -1 for one that is no warehouse."""
    found = connection.execute("SELECT table_name FROM duckdb_tables() WHERE NOT internal")
    tables = {row[0] for row in found.fetchall()}
    if "schema_version" not in tables:
        return -1 if tables else 0
    row = one_row(connection, "SELECT max(version) FROM schema_version")
    return int(row[0]) if row and row[0] is not None else -1


def _migrate(connection: duckdb.DuckDBPyConnection, version: int) -> None:
    """Bring schema and views to this program's, all or nothing; write nothing if they are."""
    views = views_sql()
    mark = hashlib.sha256(views.encode()).hexdigest()
    if version == len(MIGRATIONS) and one_row(
        connection, "SELECT 1 FROM schema_version WHERE views_sha256 = ?", [mark]
    ):
        return
    with transaction(connection):
        connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER, views_sha256 VARCHAR)"
        )
        for script in MIGRATIONS[version:]:
            connection.execute(_sql(script))
        connection.execute(views)
        connection.execute("DELETE FROM schema_version")
        connection.execute("INSERT INTO schema_version VALUES (?, ?)", [len(MIGRATIONS), mark])


def _require_version(connection: duckdb.DuckDBPyConnection, target: str) -> int:
    version, newest = _version(connection), len(MIGRATIONS)
    if version < 0:
        raise InputError(f"{target}: a DuckDB database, but not a warehouse of this program")
    if version > newest:
        raise InputError(
            f"{target}: schema version {version}, but this program knows versions up to"
            f" {newest}; update the program or name another file with --db"
        )
    return version


@contextmanager
def connect(
    db: Path | None = None,
    *,
    create: bool = False,
    read_only: bool = False,
    wait: float | None = None,
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse at its newest schema version.

    Args:
        db: the file, or None for the default one.
        create: make it if it is not there.
        read_only: open for reading beside other readers; never migrates.
        wait: seconds to wait for another process that holds it; None for the default
            (`warehouse.opening.seconds_to_wait`).

    Raises:
        InputError: missing, locked, damaged, foreign or of a newer schema version.
    """
    path = warehouse_path(db)
    there = path.exists()
    if not there and not create:
        raise InputError(f"{path}: no warehouse here; make one with: python -m warehouse init")
    make_folder(path.parent)
    connection = _open(str(path), read_only, wait)
    try:
        version = _require_version(connection, str(path))
        if read_only and version < len(MIGRATIONS):
            raise InputError(
                f"{path}: schema version {version}; bring it to {len(MIGRATIONS)} with:"
                " python -m warehouse init"
            )
        made = not there and version == 0
        with _discarded_if_empty(connection, path) if made else nullcontext():
            if not read_only:
                _migrate(connection, version)
            yield connection
    except _FAILED as error:
        raise use_fault(str(path), error) from None
    finally:
        connection.close()


@contextmanager
def _discarded_if_empty(connection: duckdb.DuckDBPyConnection, path: Path) -> Iterator[None]:
    """A failure of the block deletes the new warehouse, if nothing was loaded into it.

    It is deleted while it is locked: once it is not, another process may have filled it.
    """
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error, OSError):
            used = "SELECT 1 FROM snapshot UNION ALL SELECT 1 FROM run LIMIT 1"
            if _version(connection) == 0 or not one_row(connection, used):
                connection.execute("CHECKPOINT")  # closing must not touch the .wal of the next
                path.unlink()
        raise


@contextmanager
def in_memory() -> Iterator[duckdb.DuckDBPyConnection]:
    """An empty warehouse in memory: the same schema and views, gone at the end."""
    connection = _open(":memory:", read_only=False)
    try:
        _migrate(connection, 0)
        yield connection
    finally:
        connection.close()


@contextmanager
def transaction(connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """All or nothing: an exception leaves the warehouse as it was. An inner one joins the outer."""
    if id(connection) in _IN_TRANSACTION:
        yield
        return
    known = _known(connection)
    connection.execute("BEGIN")
    _IN_TRANSACTION.add(id(connection))
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # a database that failed has rolled back
            connection.execute("ROLLBACK")
            # What was to be reset within the transaction could not be, once that had failed.
            _know(connection, known)
        _forget_part(connection)
        raise
    else:
        connection.execute("COMMIT")
    finally:
        _IN_TRANSACTION.discard(id(connection))


@contextmanager
def undone(connection: duckdb.DuckDBPyConnection) -> Iterator[duckdb.DuckDBPyConnection]:
    """The warehouse as it is, and as it was again at the end, whatever was done to it."""
    known = _known(connection)
    connection.execute("BEGIN")
    _IN_TRANSACTION.add(id(connection))
    try:
        yield connection
    finally:
        _IN_TRANSACTION.discard(id(connection))
        with suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        _know(connection, known)
        _forget_part(connection)


def one_row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[object] | None = None
) -> tuple[Any, ...] | None:
    """First row of a query, or None. Reads the result to its end: it holds the connection."""
    rows = connection.execute(sql, parameters or []).fetchall()
    return tuple(rows[0]) if rows else None


def checks() -> tuple[Check, ...]:
    """The data checks, those of identities.py first, then those of checks.sql."""
    text = Template(_sql("checks.sql")).substitute(
        stated_and_parts=items.stated_and_parts_sql(),
        non_negative=", ".join(f"'{i.name}'" for i in items.ITEMS if not i.may_be_negative),
        totals=", ".join(f"'{name}'" for name in TOTALS),
        jump=JUMP,
        gap_days=periods.GAP_DAYS,
    )
    head = re.compile(r"^-- (\w+) \| (error|warning) \| (.+)$", re.MULTILINE)
    found = list(head.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return (
        *(Check(one.name, one.severity, one.asserts, one.sql) for one in IDENTITIES),
        *(
            Check(match[1], match[2], match[3], text[match.end() : end].strip().rstrip(";"))
            for match, end in zip(found, ends, strict=True)
        ),
    )


@contextmanager
def known_on(
    connection: duckdb.DuckDBPyConnection, as_of: date | None, vintage: Vintage = "latest"
) -> Iterator[None]:
    """The views as they were on a day: figures, events, index lists and macro years until then.

    Args:
        connection: an open warehouse.
        as_of: the day; None for today.
        vintage: of a figure that was restated by then, the latest or the first.
    """
    before = _known(connection)
    connection.execute("SET VARIABLE as_of = CAST(? AS DATE)", [as_of])
    connection.execute("SET VARIABLE vintage = ?", [vintage])
    try:
        yield
    finally:
        with suppress(duckdb.Error):  # a generator that nobody finished outlives its connection
            _know(connection, before)


Known = tuple[date | None, str | None]


def _known(connection: duckdb.DuckDBPyConnection) -> Known:
    """The day and the vintage that the views are limited to."""
    row = one_row(connection, "SELECT getvariable('as_of'), getvariable('vintage')")
    return (row[0], row[1]) if row else (None, None)


def _know(connection: duckdb.DuckDBPyConnection, known: Known) -> None:
    connection.execute("SET VARIABLE as_of = CAST(? AS DATE)", [known[0]])
    connection.execute("SET VARIABLE vintage = CAST(? AS VARCHAR)", [known[1]])


PART = 10_000  # companies; some 4 million cells, which are pivoted in half a GB


def parts(connection: duckdb.DuckDBPyConnection, size: int | None = None) -> Iterator[None]:
    """Limit the views over statements to one part of the companies after the other.

    All that they say of a company rests on its own rows, so the parts add up to the whole; but
    memory stays that of a part, however large the warehouse.
    """
    found = connection.execute(
        "SELECT company_id FROM (SELECT company_id, row_number() OVER (ORDER BY company_id) AS n"
        " FROM company) WHERE (n - 1) % ? = 0 AND n > 1 ORDER BY company_id",
        [size or PART],
    )
    bounds = [None, *(row[0] for row in found.fetchall()), None]
    try:
        for first, following in pairwise(bounds):
            connection.execute("SET VARIABLE first_company = ?", [first])
            connection.execute("SET VARIABLE next_company = ?", [following])
            yield
    finally:
        _forget_part(connection)


@contextmanager
def one_company(connection: duckdb.DuckDBPyConnection, company_id: str) -> Iterator[None]:
    """Limit the views over statements to one company."""
    connection.execute("SET VARIABLE first_company = ?", [company_id])
    connection.execute("SET VARIABLE next_company = ? || chr(1)", [company_id])
    try:
        yield
    finally:
        _forget_part(connection)


def _forget_part(connection: duckdb.DuckDBPyConnection) -> None:
    with suppress(duckdb.Error):  # within a transaction that failed: its end does it
        connection.execute("RESET VARIABLE first_company; RESET VARIABLE next_company")


def run_checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Run every check and replace the rows of `check_failure` and `disagreement`."""
    with transaction(connection):
        connection.execute("DELETE FROM check_failure; DELETE FROM disagreement")
        found = _check(connection, keep=True)
    connection.execute("DROP TABLE IF EXISTS judged")
    return found


def count_checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Run every check and write nothing."""
    return _check(connection, keep=False)


def _check(connection: duckdb.DuckDBPyConnection, *, keep: bool) -> list[CheckResult]:
    declared = checks()
    counts = [(0, 0)] * len(declared)
    connection.execute(TOLERANCE_SQL)
    for _ in parts(connection):
        connection.execute("CREATE OR REPLACE TEMP TABLE checked AS SELECT * FROM statement_year")
        if keep:
            connection.execute(_sql("disagreement.sql").replace("$factors", fusion.factors_sql()))
        for n, check in enumerate(declared):
            judged, failed = (_judge if keep else _count)(connection, check)
            counts[n] = (counts[n][0] + judged, counts[n][1] + failed)
    connection.execute("DROP TABLE IF EXISTS checked")
    return [CheckResult(check, *count) for check, count in zip(declared, counts, strict=True)]


def _judge(connection: duckdb.DuckDBPyConnection, check: Check) -> tuple[int, int]:
    """Run a check over `checked` and keep its failures; how many years judged, how many failed."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE judged AS {check.sql}")
    connection.execute(
        "INSERT INTO check_failure SELECT ?, ?, company_id, fiscal_year_end, basis,"
        " actual, expected, detail FROM judged WHERE failed",
        [check.name, check.severity],
    )
    return _count(connection, replace(check, sql="FROM judged"))


def _count(connection: duckdb.DuckDBPyConnection, check: Check) -> tuple[int, int]:
    """How many years a check over `checked` judges, and how many of them fail it."""
    row = one_row(connection, f"SELECT count(*), count(*) FILTER (WHERE failed) FROM ({check.sql})")
    return (int(row[0]), int(row[1])) if row else (0, 0)


# Tables of which every row comes from a source, and those that users' files share with sources.
_SCRAPED = (
    "crawl", "security", "identity_change", "constituent", "registered_company",
    "moneycontrol_code", "filing", "announcement", "process", "insolvency_order",
    "published_ratio", "quarantine", "debtor_match",
)  # fmt: skip
_SHARED = (
    "statement_line", "user_correction", "insolvency_event", "macro", "alias", "index_member",
    "company", "snapshot",
)  # fmt: skip
# How and when a run went says nothing about the data.
_UNCOUNTED = ("schema_version", "run", "crawl", "check_failure", "disagreement", "snapshot")


def forget_scraped(connection: duckdb.DuckDBPyConnection) -> None:
    """Delete every row that came from a source; what users imported stays."""
    for table in _SCRAPED:
        connection.execute(f"DELETE FROM {table}")
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE scraped AS"
        " SELECT snapshot_id FROM snapshot WHERE source IS NOT NULL"
    )
    for table in _SHARED:
        connection.execute(
            f"DELETE FROM {table} WHERE snapshot_id IN (SELECT snapshot_id FROM scraped)"
        )


def fingerprint(connection: duckdb.DuckDBPyConnection) -> str:
    """A short hash of what the warehouse says, whenever and in whatever order it was loaded.

    Two warehouses with the same rows have the same one, under one version of DuckDB. Numbers of
    snapshots are replaced by what the snapshots are; times of loading do not count.
    """
    found = connection.execute(
        "SELECT table_name, list(column_name ORDER BY column_index) FROM duckdb_columns()"
        " WHERE NOT internal AND database_name = current_database() AND schema_name = 'main'"
        " AND table_name IN (SELECT table_name FROM duckdb_tables() WHERE NOT temporary)"
        " GROUP BY table_name ORDER BY table_name"
    ).fetchall()
    parts = []
    for table, columns in found:
        if table in _UNCOUNTED:
            continue
        told = [f"t.{c}" for c in columns if c != "snapshot_id"]
        from_ = f"FROM {table} t"
        if "snapshot_id" in columns:
            told += ["s.sha256", "s.name"]
            from_ += " LEFT JOIN snapshot s USING (snapshot_id)"
        row = one_row(
            connection,
            f"SELECT count(*), coalesce(sum(hash({', '.join(told)})::HUGEINT), 0) {from_}",
        )
        parts.append(f"{table} {row}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
