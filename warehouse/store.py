"""Open, create and migrate the DuckDB file; run the data checks."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import duckdb

from warehouse import items
from warehouse.errors import InputError
from warehouse.files import make_folder

# Entry k brings a warehouse from schema version k to k + 1: append, never edit.
MIGRATIONS: tuple[str, ...] = ("schema.sql", "schema_2.sql")

_CONFIG: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
}

_IN_TRANSACTION: set[int] = set()  # ids of open connections; DuckDB cannot be asked


@dataclass(frozen=True)
class Check:
    """One query of checks.sql; `sql` returns the years it judged, with `failed`."""

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


def _sql(name: str) -> str:
    return files("warehouse").joinpath(name).read_text(encoding="utf-8")


def views_sql() -> str:
    """The views, with the columns of items.py filled in."""
    return Template(_sql("views.sql")).substitute(
        item_statements=items.item_statements_sql(),
        item_columns=items.item_columns_sql(),
        derived_columns=items.derived_columns_sql(),
        previous_columns=items.previous_columns_sql(),
    )


def _open(target: str, read_only: bool) -> duckdb.DuckDBPyConnection:
    try:
        return duckdb.connect(target, read_only=read_only, config=_CONFIG)
    except duckdb.IOException as error:
        text = str(error)
        if "lock" in text.lower():
            raise InputError(
                f"{target}: another process holds this warehouse; wait for it or stop it"
            ) from None
        raise InputError(
            f"{target}: expected a DuckDB database file, got something else or a damaged file;"
            " restore a copy, or name another file with --db"
        ) from None
    except duckdb.Error as error:
        raise InputError(f"{target}: cannot be opened: {str(error).splitlines()[0]}") from None


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
    db: Path | None = None, *, create: bool = False, read_only: bool = False
) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the warehouse at its newest schema version.

    Args:
        db: the file, or None for the default one.
        create: make it if it is not there.
        read_only: open for reading beside other readers; never migrates.

    Raises:
        InputError: missing, locked, damaged, foreign or of a newer schema version.
    """
    path = warehouse_path(db)
    if not path.exists() and not create:
        raise InputError(f"{path}: no warehouse here; make one with: python -m warehouse init")
    make_folder(path.parent)
    connection = _open(str(path), read_only)
    try:
        version = _require_version(connection, str(path))
        if not read_only:
            _migrate(connection, version)
        elif version < len(MIGRATIONS):
            raise InputError(
                f"{path}: schema version {version}; bring it to {len(MIGRATIONS)} with:"
                " python -m warehouse init"
            )
        yield connection
    except (duckdb.IOException, duckdb.FatalException, duckdb.InternalException) as error:
        raise InputError(
            f"{path}: the database failed ({str(error).splitlines()[0][:200]}); is the disk full,"
            " or the file damaged? restore a copy, or name another file with --db"
        ) from None
    finally:
        connection.close()


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
    connection.execute("BEGIN")
    _IN_TRANSACTION.add(id(connection))
    try:
        yield
    except BaseException:
        with suppress(duckdb.Error):  # a database that failed has rolled back
            connection.execute("ROLLBACK")
        raise
    else:
        connection.execute("COMMIT")
    finally:
        _IN_TRANSACTION.discard(id(connection))


def one_row(
    connection: duckdb.DuckDBPyConnection, sql: str, parameters: list[object] | None = None
) -> tuple[Any, ...] | None:
    """First row of a query, or None. Reads the result to its end: it holds the connection."""
    rows = connection.execute(sql, parameters or []).fetchall()
    return tuple(rows[0]) if rows else None


def checks() -> tuple[Check, ...]:
    """The data checks of checks.sql, in order."""
    text = Template(_sql("checks.sql")).substitute(
        stated_and_parts=items.stated_and_parts_sql(),
        non_negative=", ".join(f"'{i.name}'" for i in items.ITEMS if not i.may_be_negative),
    )
    head = re.compile(r"^-- (\w+) \| (error|warning) \| (.+)$", re.MULTILINE)
    found = list(head.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    return tuple(
        Check(match[1], match[2], match[3], text[match.end() : end].strip().rstrip(";"))
        for match, end in zip(found, ends, strict=True)
    )


_TOLERANCE = """
CREATE OR REPLACE TEMP MACRO slack(a, b, whole_crores) AS greatest(
    0.01 * greatest(abs(a), abs(b)), CASE WHEN whole_crores THEN 2.5 ELSE 0.02 END);
CREATE OR REPLACE TEMP MACRO differs(a, b, whole) AS abs(a - b) > slack(a, b, whole);
CREATE OR REPLACE TEMP MACRO exceeds(a, b, whole) AS a - b > slack(a, b, whole);
CREATE OR REPLACE TEMP TABLE checked AS SELECT * FROM statement_year;
"""


def run_checks(connection: duckdb.DuckDBPyConnection) -> list[CheckResult]:
    """Run every check and replace the rows of `check_failure`."""
    results = []
    connection.execute(_TOLERANCE)
    with transaction(connection):
        connection.execute("DELETE FROM check_failure")
        for check in checks():
            connection.execute(f"CREATE OR REPLACE TEMP TABLE judged AS {check.sql}")
            connection.execute(
                "INSERT INTO check_failure SELECT ?, ?, company_id, fiscal_year_end, basis,"
                " actual, expected, detail FROM judged WHERE failed",
                [check.name, check.severity],
            )
            row = one_row(connection, "SELECT count(*), count(*) FILTER (WHERE failed) FROM judged")
            judged, failed = row if row else (0, 0)
            results.append(CheckResult(check, int(judged), int(failed)))
    connection.execute("DROP TABLE checked; DROP TABLE judged")
    return results


# Tables of which every row comes from a source, and those that users' files share with sources.
_SCRAPED = (
    "crawl", "security", "identity_change", "constituent", "registered_company",
    "moneycontrol_code", "filing", "announcement", "process", "insolvency_order",
    "published_ratio", "quarantine", "debtor_match",
)  # fmt: skip
_SHARED = (
    "statement_line", "insolvency_event", "macro", "alias", "index_member", "company", "snapshot",
)  # fmt: skip
# How and when a run went says nothing about the data.
_UNCOUNTED = ("schema_version", "run", "crawl", "check_failure", "snapshot")


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
