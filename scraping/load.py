"""Documents of a crawl into the warehouse: parse, match to companies, keep what is new or changed.

A row that says the same as the last one of its key is not stored again, so that years of daily
crawls leave only what changed. Rows are judged in the order in which their documents were fetched,
whatever the batches: a replay of all documents gives the tables that the runs gave.
"""

from __future__ import annotations

import importlib
import json
import multiprocessing
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, cast

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

import scraping.sources
from scraping.fetch import Fetch
from scraping.snapshots import Store, Stored, put_aside, read
from scraping.source import ONCE, Parsed, ParseError, Row, Snapshot, Source
from warehouse.errors import InputError
from warehouse.store import one_row, transaction

BATCH = 250  # documents that are parsed and loaded together: bounds memory
WORKERS = 2
_MANY = 500  # documents from which on a second process pays for its start
_TYPES = {
    "VARCHAR": pa.string(),
    "DATE": pa.date32(),
    "TIMESTAMP": pa.timestamp("us"),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
}
_IDENTITY = ("isin", "nse_symbol", "bse_code")
_OURS = ("snapshot_id", "row_number", "company_id")


class SourceModule(Protocol):
    """A module of `scraping.sources`."""

    SOURCE: Source
    crawl: Callable[[Fetch], None]
    parse: Callable[[Snapshot], Parsed]


@cache
def modules() -> dict[str, SourceModule]:
    """All source modules by name, in order of stage and name."""
    names = [found.name for found in pkgutil.iter_modules(scraping.sources.__path__)]
    found = {n: importlib.import_module(f"scraping.sources.{n}") for n in names}
    loaded = cast("dict[str, SourceModule]", found)
    return dict(sorted(loaded.items(), key=lambda item: (item[1].SOURCE.stage, item[0])))


@dataclass
class Loaded:
    """What a load brought."""

    documents: int = 0
    rows: int = 0
    new: int = 0
    changed: int = 0
    quarantined: int = 0
    failures: list[str] = field(default_factory=list)
    notices: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A parsed document without its bytes: rows as Arrow tables, one per warehouse table."""

    stored: Stored
    url: str
    sha256: str
    size: int
    tables: dict[str, pa.Table]
    bad: list[tuple[int, str, str]]
    notices: tuple[str, ...]
    error: str | None
    once: bool


Schemas = dict[str, pa.Schema]


def parse_documents(name: str, documents: Sequence[Stored], schemas: Schemas) -> list[Document]:
    """Parse documents of a source; a pure function of the files, run in any process."""
    return [_parsed(modules()[name], stored, schemas) for stored in documents]


def _parsed(module: SourceModule, stored: Stored, schemas: Schemas) -> Document:
    snapshot = read(stored)
    tables: dict[str, pa.Table] = {}
    try:
        parsed, error = module.parse(snapshot), None
        _require_most(snapshot, parsed)
        tables = _tables(module.SOURCE, parsed.rows, schemas)
    except InputError as refused:
        parsed, error = Parsed([]), str(refused)
    except Exception as mistake:  # in the parser: it costs this document, not the run
        why = f"{type(mistake).__name__}: {mistake}"
        parsed, error = Parsed([]), str(ParseError(f"{snapshot.url}: cannot be parsed: {why}"))
    return Document(
        stored=stored,
        url=snapshot.url,
        sha256=snapshot.sha256,
        size=len(snapshot.body),
        tables=tables,
        bad=[(b.row_number, b.reason[:500], b.content[:2000]) for b in parsed.bad],
        notices=parsed.notices,
        error=error,
        once=ONCE in snapshot.about,
    )


def _tables(source: Source, rows: Sequence[Row], schemas: Schemas) -> dict[str, pa.Table]:
    """Rows as typed tables, their columns proved: a misspelt one would be lost in silence.

    Raises:
        ValueError: a column is unknown, has nothing where it must, or a number is not finite.
    """
    grouped: dict[str, list[Row]] = {}
    for at, row in enumerate(rows, 1):
        target = str(row.get("_table", source.table))
        if unknown := set(row) - {"_table"} - set(schemas[target].names):
            raise ValueError(f"row {at}: {target} has no column {', '.join(sorted(unknown))}")
        grouped.setdefault(target, []).append({"row_number": at, **row})
    tables = {t: pa.Table.from_pylist(rows, schemas[t]) for t, rows in grouped.items()}
    for table in tables.values():
        for column in table.schema:
            values = table[column.name]
            if values.null_count and not column.nullable:
                raise ValueError(f"{column.name} must be given in each row")
            if pa.types.is_floating(column.type) and pc.all(pc.is_finite(values)).as_py() is False:
                raise ValueError(f"{column.name}: a number is not finite")
    return tables


def _require_most(snapshot: Snapshot, parsed: Parsed) -> None:
    """Refuse a document most of which is not understood: its format has changed, not a few rows."""
    if len(parsed.bad) > max(len(parsed.rows), 2):
        first = parsed.bad[0]
        raise ParseError(
            f"{snapshot.url}: {len(parsed.bad):,} rows not understood and {len(parsed.rows):,}"
            f" understood; the first, row {first.row_number}: {first.reason}"
        )


# By table: each column, in order, with its type and whether it may be NULL.
Columns = dict[str, dict[str, tuple[str, bool]]]


def _columns(connection: duckdb.DuckDBPyConnection, source: Source) -> Columns:
    """The tables that a source's rows may go to. Asked once: it binds every view."""
    tables = sorted({source.table, "identity_change", "published_ratio"})
    found = connection.execute(
        "SELECT table_name, column_name, data_type, is_nullable FROM duckdb_columns()"
        " WHERE table_name IN (SELECT unnest(?)) ORDER BY table_name, column_index",
        [tables],
    )
    columns: Columns = {table: {} for table in tables}
    for table, name, kind, nullable in found.fetchall():
        columns[table][name] = (kind, nullable)
    return columns


def _schemas(tables: Columns) -> Schemas:
    """Arrow schemas of the rows that a source's `parse` may give, by table."""
    schemas = {}
    for table, columns in tables.items():
        ids = [name for name in _IDENTITY if "company_id" in columns]
        ours = {"source"} if table != "statement_line" else set()
        schemas[table] = pa.schema(
            [pa.field("row_number", pa.int64())]
            + [pa.field(name, pa.string()) for name in ids]
            + [
                pa.field(name, _TYPES[kind], nullable=nullable or name in ours)
                for name, (kind, nullable) in columns.items()
                if name not in _OURS
            ]
        )
    return schemas


def load(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    name: str,
    folder: Path,
    min_rows: int,
    progress: Callable[[int, int], None] = lambda done, of: None,
    *,
    whole: bool = True,
    aside: bool = True,
) -> Loaded:
    """Load those documents of a crawl that were not loaded before: all or none of a list.

    Args:
        connection: an open warehouse.
        store: where the documents are.
        name: the source.
        folder: its crawl.
        min_rows: fewer rows in the whole crawl are a failure: then nothing of it is loaded.
        progress: called with the number of documents done, and of all.
        whole: the crawl came to its end; if not, too few rows put nothing aside: it goes on.
        aside: put documents aside that cannot be read; not in a replay, which is no judgement.

    Raises:
        InputError: too few rows, or a document of the store is damaged.
    """
    source = modules()[name].SOURCE
    until = one_row(
        connection,
        "SELECT loaded_until FROM crawl WHERE source = ? AND crawl = ?",
        [name, folder.name],
    )
    documents = [d for d in store.documents(folder) if until is None or d.microseconds > until[0]]
    loaded = Loaded()
    if not documents:
        return loaded
    # Documents of stage 3 stand for themselves: a batch at a time keeps memory flat.
    with transaction(connection) if source.stage < 3 else nullcontext():
        columns = _columns(connection, source)
        _known_companies(connection)
        for parsed in _parse_all(name, documents, _schemas(columns)):
            before = loaded.rows
            with transaction(connection):
                _load_batch(connection, source, columns, parsed, loaded, aside)
                _mark(connection, name, folder, parsed[-1].stored, loaded.rows - before)
            loaded.documents += len(parsed)
            progress(loaded.documents, len(documents))
        if until is None and loaded.rows < min_rows:
            if whole and source.stage < 3:
                for stored in documents:
                    put_aside(stored)
            raise InputError(
                f"{name}: expected at least {min_rows:,} rows, got {loaded.rows:,} in"
                f" {loaded.documents:,} documents; the last good load stays"
                + (f" ({loaded.failures[0]})" if loaded.failures else "")
            )
    return loaded


def _mark(
    connection: duckdb.DuckDBPyConnection, name: str, folder: Path, last: Stored, rows: int
) -> None:
    """Note up to which document a crawl is loaded."""
    connection.execute(
        "INSERT INTO crawl VALUES ($source, $crawl, $until, $rows) ON CONFLICT DO UPDATE"
        " SET loaded_until = $until, rows = rows + $rows",
        {"source": name, "crawl": folder.name, "rows": rows, "until": last.microseconds},
    )


def _parse_all(name: str, documents: list[Stored], schemas: Schemas) -> Iterator[list[Document]]:
    batches = [documents[at : at + BATCH] for at in range(0, len(documents), BATCH)]
    if len(documents) < _MANY:
        yield from (parse_documents(name, batch, schemas) for batch in batches)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(WORKERS, mp_context=spawn) as pool:
        # A few ahead and no more: parsed batches that wait are memory.
        ahead = [pool.submit(parse_documents, name, b, schemas) for b in batches[: WORKERS + 1]]
        for following in [*batches[WORKERS + 1 :], *[None] * len(ahead)]:
            done = ahead.pop(0).result()
            if following is not None:
                ahead.append(pool.submit(parse_documents, name, following, schemas))
            yield done


def _load_batch(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    columns: Columns,
    documents: list[Document],
    loaded: Loaded,
    aside: bool,
) -> None:
    good = []
    for document in documents:
        if document.error is None:
            good.append(document)
            loaded.rows += sum(table.num_rows for table in document.tables.values())
            loaded.quarantined += len(document.bad)
            for notice in document.notices:
                loaded.notices[notice] = loaded.notices.get(notice, 0) + 1
            continue
        loaded.failures.append(document.error)
        if aside and not document.once:  # one that is fetched once may be read by a later program
            put_aside(document.stored)
    numbered = _new_snapshots(connection, source, _changed(connection, source, good))
    _quarantine(connection, source, numbered)
    tables: dict[str, list[pa.Table]] = {}
    for snapshot, document in numbered:
        for table, rows in document.tables.items():
            ids = pa.array([snapshot] * rows.num_rows, pa.int64())
            tables.setdefault(table, []).append(rows.append_column("snapshot_id", ids))
    for table, parts in tables.items():
        _load_rows(connection, source, table, list(columns[table]), pa.concat_tables(parts), loaded)


def _changed(
    connection: duckdb.DuckDBPyConnection, source: Source, documents: list[Document]
) -> list[Document]:
    """Those whose bytes are not what their address gave the last time."""
    found = connection.execute(
        "SELECT name, arg_max(sha256, snapshot_id) FROM snapshot"
        " WHERE source = ? AND name IN (SELECT unnest(?)) GROUP BY name",
        [source.name, [document.url for document in documents]],
    )
    last = dict(found.fetchall())
    changed = []
    for document in documents:
        if last.get(document.url) != document.sha256:
            changed.append(document)
            last[document.url] = document.sha256
    return changed


def _new_snapshots(
    connection: duckdb.DuckDBPyConnection, source: Source, documents: list[Document]
) -> list[tuple[int, Document]]:
    """The documents with the numbers under which they are entered in table snapshot."""
    found = connection.execute("SELECT nextval('snapshot_id_seq') FROM range(?)", [len(documents)])
    numbered = list(zip(sorted(row[0] for row in found.fetchall()), documents, strict=True))
    entries = [
        {
            "snapshot_id": number,
            "sha256": document.sha256,
            "kind": source.table,
            "name": document.url,
            "url": document.url,
            "bytes": document.size,
            "rows": sum(table.num_rows for table in document.tables.values()),
            "source": source.name,
            "fetched_at": document.stored.microseconds,
        }
        for number, document in numbered
    ]
    if entries:
        connection.register("entries", pa.Table.from_pylist(entries))
        connection.execute(
            "INSERT INTO snapshot BY NAME"
            " SELECT * REPLACE (make_timestamp(fetched_at) AS fetched_at) FROM entries"
        )
        connection.unregister("entries")
    return numbered


def _quarantine(
    connection: duckdb.DuckDBPyConnection, source: Source, numbered: list[tuple[int, Document]]
) -> None:
    """Keep the rows that were not understood, each once however often it comes."""
    entries = [
        {"source": source.name, "snapshot_id": n, "row_number": at, "reason": r, "content": c}
        for n, document in numbered
        for at, r, c in document.bad
    ]
    if not entries:
        return
    connection.register("entries", pa.Table.from_pylist(entries))
    connection.execute(
        "INSERT INTO quarantine BY NAME FROM entries ANTI JOIN quarantine"
        " USING (source, reason, content) QUALIFY row_number() OVER ("
        "PARTITION BY source, reason, content ORDER BY snapshot_id, row_number) = 1"
    )
    connection.unregister("entries")


def _known_companies(connection: duckdb.DuckDBPyConnection) -> None:
    """Temporary table known_company: which identifier is whose, where only one company has it."""
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE known_company AS"
        " SELECT kind, CASE kind WHEN 'isin' THEN left(alias, 7) ELSE alias END AS id,"
        " min(company_id) AS company_id FROM alias WHERE kind IN ('isin', 'nse_symbol', 'bse_code')"
        " GROUP BY ALL HAVING count(DISTINCT company_id) = 1"
    )


_COMPANY = """
CREATE OR REPLACE TEMP TABLE incoming AS
SELECT i.* EXCLUDE (isin, nse_symbol, bse_code), coalesce(a.company_id, b.company_id, c.company_id)
    AS company_id
FROM arrived i
LEFT JOIN known_company a ON a.kind = 'isin' AND a.id = left(i.isin, 7)
LEFT JOIN known_company b ON b.kind = 'nse_symbol' AND b.id = i.nse_symbol
LEFT JOIN known_company c ON c.kind = 'bse_code' AND c.id = i.bse_code
"""


# A figure that changed without a date of filing: known from the day on which it was seen changed.
_RESTATED = """CASE WHEN before IS NOT NULL AND filed_at IS NULL THEN CAST(
    (SELECT fetched_at FROM snapshot WHERE snapshot.snapshot_id = judged.snapshot_id) AS DATE)
    END AS restated_on"""


def _load_rows(
    connection: duckdb.DuckDBPyConnection,
    source: Source,
    table: str,
    columns: list[str],
    rows: pa.Table,
    loaded: Loaded,
) -> None:
    connection.register("arrived", rows)
    try:
        if "company_id" in columns:
            connection.execute(_COMPANY)
            _unknown_companies(connection, source, loaded)
        else:
            connection.execute("CREATE OR REPLACE TEMP TABLE incoming AS FROM arrived")
    finally:
        connection.unregister("arrived")
    if "source" in columns and table != "statement_line":
        connection.execute("UPDATE incoming SET source = ?", [source.name])
    unique = source.expect.unique if table == source.table else _key(columns)
    connection.execute(_judged_sql(table, columns, unique))
    counted = one_row(
        connection,
        "SELECT count(*) FILTER (WHERE before IS NULL), count(before) FROM judged",
    )
    new, changed = counted or (0, 0)
    loaded.new += int(new)
    loaded.changed += int(changed)
    listed = ", ".join(_RESTATED if name == "restated_on" else name for name in columns)
    verb = "INSERT OR REPLACE" if table == "macro" else "INSERT"
    last = " QUALIFY row_number() OVER (PARTITION BY series, year ORDER BY place DESC) = 1"
    connection.execute(
        f"{verb} INTO {table} BY NAME SELECT {listed} FROM judged"
        + (last if table == "macro" else " ORDER BY snapshot_id, row_number")
    )
    connection.execute("DROP TABLE incoming; DROP TABLE judged")


def _key(columns: Iterable[str]) -> tuple[str, ...]:
    """What names a row of a second table: all of it but its figure, which may be restated."""
    return tuple(name for name in columns if name != "value")


def _judged_sql(table: str, columns: list[str], unique: tuple[str, ...]) -> str:
    """Temporary table judged: the incoming rows that say another thing than the row before them.

    `before` is the hash of what was said before, NULL for a key that is new. Of what one document
    says twice the last counts.
    """
    stated = [n for n in columns if n not in ("snapshot_id", "row_number", "restated_on")]
    key = [n for n in stated if n in unique or n in ("company_id", "source")]
    said = [n for n in stated if n not in key]
    key_hash = f"hash({', '.join(key)})"
    said_hash = f"hash({', '.join(said)})" if said else "0"
    order = "snapshot_id DESC, row_number" if "row_number" in columns else "snapshot_id"
    return f"""
CREATE OR REPLACE TEMP TABLE judged AS
WITH here AS (
    SELECT *, {key_hash} AS k, {said_hash} AS said, true AS fresh,
        row_number() OVER (ORDER BY snapshot_id, row_number) AS place
    FROM incoming
    QUALIFY row_number() OVER (PARTITION BY k, snapshot_id ORDER BY row_number DESC) = 1
), there AS (
    SELECT *, {key_hash} AS k, {said_hash} AS said, false AS fresh, 0 AS place
    FROM {table}
    WHERE {key_hash} IN (SELECT k FROM here)
    QUALIFY row_number() OVER (PARTITION BY k ORDER BY {order} DESC) = 1
), told AS (
    SELECT *, lag(said) OVER (PARTITION BY k ORDER BY place) AS before
    FROM (FROM here UNION ALL BY NAME FROM there)
)
SELECT * FROM told WHERE fresh AND before IS DISTINCT FROM said
"""


def _unknown_companies(
    connection: duckdb.DuckDBPyConnection, source: Source, loaded: Loaded
) -> None:
    """Quarantine the documents whose company the warehouse does not know, and count them."""
    lost = connection.execute(
        "SELECT snapshot_id, count(*) FROM incoming WHERE company_id IS NULL GROUP BY snapshot_id"
        " ORDER BY snapshot_id"
    ).fetchall()
    for snapshot, rows in lost:
        connection.execute(
            "INSERT INTO quarantine VALUES (?, ?, 0, 'company not known', ?)",
            [source.name, snapshot, json.dumps({"rows": rows})],
        )
        loaded.quarantined += 1
    if lost:
        connection.execute("DELETE FROM incoming WHERE company_id IS NULL")
