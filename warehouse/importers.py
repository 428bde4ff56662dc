"""User files into the warehouse: read, validate every row, then load all files or none."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import duckdb
import pyarrow as pa

from warehouse import formats, moneycontrol, readers, screener, xbrl
from warehouse.errors import InputError, printable
from warehouse.files import sha256_of
from warehouse.formats import Format
from warehouse.items import UNITS
from warehouse.store import one_row, transaction

# Documents that are no tables, told by their content: each is read into a statements table.
DocumentReader = Callable[[Path, str | None], tuple[pa.Table, tuple[str, ...]]]
DOCUMENTS: tuple[tuple[Callable[[Path], bool], DocumentReader], ...] = (
    (readers.is_workbook, screener.read_workbook),
    (xbrl.is_xbrl, xbrl.read_xbrl),
    (moneycontrol.is_page, moneycontrol.read_page),
    (moneycontrol.is_api, moneycontrol.read_page),
)


@dataclass(frozen=True)
class Imported:
    """What became of one file; `notices` are lines a user should read."""

    path: Path
    kind: str
    rows: int
    already_there: bool
    notices: tuple[str, ...]


@dataclass(frozen=True)
class Incoming:
    """A file as read: text columns, its format, the number of its first data row."""

    path: Path
    format: Format
    table: pa.Table
    first_row: int
    notices: tuple[str, ...]
    document: bool = False

    def row(self, number: int) -> int:
        """A row's number in the file, where a CSV may have blank lines that no row stands for."""
        csv = self.first_row > 1 and self.path.is_file()
        return readers.row_in_file(self.path, number) if csv else number

    def at(self, number: int) -> str:
        """The file and row that a message is about."""
        return f"{self.path}, row {self.row(number)}"


def import_files(
    connection: duckdb.DuckDBPyConnection,
    paths: Sequence[Path],
    company: str | None = None,
    progress: Callable[[Path], None] = lambda path: None,
) -> list[Imported]:
    """Load files of any format in one transaction; a file that was loaded before changes nothing.

    Args:
        connection: an open warehouse.
        paths: statements, events, companies, macro or corrections files (CSV, Parquet, JSON),
            Screener workbooks, XBRL filings, saved statement pages.
        company: company_id that the documents belong to; else that of the company that the
            warehouse knows by the ISIN or symbol inside, or one made from the name inside.
        progress: called with each path before it is read.

    Raises:
        InputError: any file is bad: then nothing is loaded.
    """
    with transaction(connection):
        done = []
        for path in paths:
            progress(path)
            done.append(_import_file(connection, path, company))
    return done


def _import_file(
    connection: duckdb.DuckDBPyConnection, path: Path, company: str | None
) -> Imported:
    readers.require_file(path)
    sha256 = sha256_of(path)
    known = one_row(
        connection, "SELECT kind, rows FROM snapshot WHERE source IS NULL AND sha256 = ?", [sha256]
    )
    if known:
        if company is not None and document_reader(path) is not None:
            _require_same_company(connection, path, sha256, company)
        return Imported(path, known[0], known[1], True, ())
    return _import(connection, read(path, company), sha256, company)


def import_incoming(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> Imported:
    """Load a file that was read and was not loaded before.

    Raises:
        InputError: a row breaks the rules of the format.
    """
    with transaction(connection):
        return _import(connection, incoming, sha256_of(incoming.path), None)


def _import(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, sha256: str, company: str | None
) -> Imported:
    path, incoming = incoming.path, _under_known_id(connection, incoming, company)
    _load(connection, incoming, sha256, path.stat().st_size)
    return Imported(path, incoming.format.kind, incoming.table.num_rows, False, incoming.notices)


def document_reader(path: Path) -> DocumentReader | None:
    """The reader of a document that is no table; None for a table."""
    return next((read for is_one, read in DOCUMENTS if is_one(path)), None)


def _under_known_id(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, company: str | None
) -> Incoming:
    """A document's rows under the company_id that the warehouse has for its ISIN or symbol."""
    names = set(incoming.table.column_names)
    if company is not None or not incoming.document or not names & {"isin", "nse_symbol"}:
        return incoming
    first = incoming.table.slice(0, 1).to_pylist()[0]
    found = connection.execute(
        "SELECT DISTINCT company_id FROM alias WHERE (kind = 'isin' AND alias = $isin)"
        " OR (kind = 'nse_symbol' AND alias = $symbol)",
        {"isin": first.get("isin"), "symbol": first.get("nse_symbol")},
    ).fetchall()
    if len(found) != 1 or found[0][0] == first["company_id"]:
        return incoming
    at = incoming.table.column_names.index("company_id")
    ids = pa.array([found[0][0]] * incoming.table.num_rows, pa.string())
    table = incoming.table.set_column(at, "company_id", ids)
    known = f"known in the warehouse, and imported, as {found[0][0]}"
    return replace(incoming, table=table, notices=(*incoming.notices, known))


def _require_same_company(
    connection: duckdb.DuckDBPyConnection, path: Path, sha256: str, company: str
) -> None:
    """Refuse a document that was loaded before as another company's: one of the two is wrong."""
    other = one_row(
        connection,
        "SELECT company_id FROM statement_line JOIN snapshot USING (snapshot_id)"
        " WHERE sha256 = ? AND company_id <> ? LIMIT 1",
        [sha256, company],
    )
    if other:
        raise InputError(f"{path}: was loaded before as company {other[0]!r}, not {company!r}")


def import_table(
    connection: duckdb.DuckDBPyConnection, kind: Format, table: pa.Table, name: str
) -> None:
    """Load a table made in memory as if it stood in a file called `name`.

    Raises:
        InputError: a row breaks the rules of the format.
    """
    sha256 = hashlib.sha256(name.encode()).hexdigest()
    with transaction(connection):
        _load(connection, Incoming(Path(name), kind, table, 1, ()), sha256, table.nbytes)


def _load(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, sha256: str, size: int
) -> None:
    _stage(connection, incoming)
    _validate(connection, incoming)
    snapshot = _new_snapshot(connection, incoming, sha256, size)
    LOADERS[incoming.format.kind](connection, snapshot)
    connection.execute("DROP TABLE staged")


def read(path: Path, company: str | None = None) -> Incoming:
    """Read a file and tell its format by its content.

    Raises:
        InputError: not readable, or of no known format.
    """
    readers.require_file(path)
    reader = document_reader(path)
    if reader is not None:
        table, notices = reader(path, company)
        return Incoming(path, formats.STATEMENTS, table, 1, notices, document=True)
    table = readers.read_table(path)
    chosen = _format_of(path, table.column_names)
    names = [chosen.aliases.get(name, name) for name in table.column_names]
    # An alias gives way to the column whose name it stands for.
    names = [
        old if new != old and new in table.column_names else new
        for old, new in zip(table.column_names, names, strict=True)
    ]
    notices = _notices(chosen, table.column_names, names)
    kept = [name in chosen.columns for name in names]
    table = table.select([i for i, keep in enumerate(kept) if keep])
    table = table.rename_columns([n for n, keep in zip(names, kept, strict=True) if keep])
    header = not (readers.is_parquet(path) or readers.is_json(path))
    return Incoming(path, chosen, table, 2 if header else 1, notices)


def _format_of(path: Path, columns: list[str]) -> Format:
    for telltale, candidate in formats.FORMATS:
        if set(telltale) <= set(columns):
            missing = [name for name in candidate.mandatory if name not in columns]
            if missing:
                raise InputError(
                    f"{path}: looks like a {candidate.kind} file, but column {missing[0]!r} is"
                    f" missing; its columns are: {_listed(columns)}"
                )
            return candidate
    wanted = "; ".join(f"{f.kind}: {', '.join(f.mandatory)}" for _, f in formats.FORMATS)
    raise InputError(f"{path}: unknown columns {_listed(columns)}; expected {wanted}")


def _listed(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(printable(name[:80]) for name in names[:most]) + more


def _notices(chosen: Format, theirs: list[str], ours: list[str]) -> tuple[str, ...]:
    renamed = [f"{a} as {b}" for a, b in zip(theirs, ours, strict=True) if a != b]
    ignored = [name for name in ours if name not in chosen.columns]
    lines = [f"columns read under another name: {_listed(renamed)}"] if renamed else []
    lines += [f"columns ignored: {_listed(ignored, 20)}"] if ignored else []
    return tuple(lines)


def _stage(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """The rows as text in the temporary table `staged`, every column of the format present."""
    cells = [_cell_sql(incoming, name) for name in incoming.format.columns]
    connection.register("incoming", incoming.table)
    try:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE staged AS SELECT {', '.join(cells)},"
            f" row_number() OVER () + {incoming.first_row - 1} AS row_number FROM incoming"
        )
    except duckdb.OutOfMemoryException:
        raise InputError(f"{incoming.path}: takes more memory than there is") from None
    except duckdb.Error as error:
        raise InputError(f"{incoming.path}: {str(error).splitlines()[0]}") from None
    finally:
        with suppress(duckdb.Error):  # a connection that has failed; what it failed of is told
            connection.unregister("incoming")


def _cell_sql(incoming: Incoming, name: str) -> str:
    """A column as it is staged: trimmed text, or the number, date or flag that it already is."""
    if name not in incoming.table.column_names:
        return f"CAST(NULL AS VARCHAR) AS {_quoted(name)}"
    kind = incoming.table.schema.field(name).type
    plain = pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)
    if incoming.format.columns[name].typed and (plain or pa.types.is_date(kind)):
        return _quoted(name)
    return f"nullif(trim(CAST({_quoted(name)} AS VARCHAR)), '') AS {_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _validate(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """Raise an `InputError` for the first bad cell or the first row that repeats a key."""
    for column, rule in incoming.format.columns.items():
        empty = "x IS NULL" if rule.required else "false"
        row = one_row(
            connection,
            f"SELECT row_number, x FROM (SELECT row_number, {_quoted(column)} AS x FROM staged)"
            f" WHERE {empty} OR (x IS NOT NULL AND NOT coalesce({rule.ok}, false))"
            " ORDER BY row_number LIMIT 1",
        )
        if row:
            raise InputError(_bad_cell(incoming, column, row[0], row[1]))
    _validate_units(connection, incoming)
    _validate_corrections(connection, incoming)
    _validate_keys(connection, incoming)


def _bad_cell(incoming: Incoming, column: str, row: int, value: object) -> str:
    rule = incoming.format.columns[column]
    came = "an empty cell" if value is None else repr(str(value)[:80])
    near = get_close_matches(str(value or ""), rule.choices, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"{incoming.at(row)}, column {column}: expected {rule.expected}, got {came}{hint}"


def _validate_units(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    if incoming.format is not formats.STATEMENTS:
        return
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE unit_size AS SELECT * FROM (VALUES "
        + ", ".join(f"('{unit.name}', CAST({unit.per_crore} AS DOUBLE))" for unit in UNITS)
        + ") AS t(unit, per_crore)"
    )
    row = one_row(
        connection,
        "SELECT row_number, value, staged.unit FROM staged JOIN unit_size"
        " ON unit_size.unit = coalesce(staged.unit, 'INR crore')"
        " WHERE abs(CAST(value AS DOUBLE)) / per_crore > ? ORDER BY row_number LIMIT 1",
        [formats.LARGEST_CRORE],
    )
    if row:
        raise InputError(
            f"{incoming.at(row[0])}, column value: {row[1]} {row[2] or 'INR crore'} is more"
            " than India's economy; is the unit right?"
        )
    for column in ("filed_at", "available_from"):
        row = one_row(
            connection,
            f"SELECT row_number, {column}, fiscal_year_end FROM staged WHERE CAST({column} AS DATE)"
            " < CAST(fiscal_year_end AS DATE) ORDER BY row_number LIMIT 1",
        )
        if row:
            raise InputError(
                f"{incoming.at(row[0])}, column {column}: {row[1]} is before the year end {row[2]}"
            )


def _validate_corrections(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    """A figure is corrected by a number, for a year end; an event by a date."""
    if incoming.format is not formats.CORRECTIONS:
        return
    events = ", ".join(f"'{event}'" for event in formats.EVENT_TYPES)
    for column in ("wrong", "right"):
        row = one_row(
            connection,
            f'SELECT row_number, item, "{column}", item IN ({events}) AS is_event FROM staged'
            f' WHERE "{column}" IS NOT NULL AND CASE WHEN item IN ({events})'
            f' THEN TRY_CAST("{column}" AS DATE) IS NULL'
            f' ELSE NOT coalesce(isfinite(TRY_CAST("{column}" AS DOUBLE)), false) END'
            " ORDER BY row_number LIMIT 1",
        )
        if row:
            wanted = "a date YYYY-MM-DD" if row[3] else "an amount in INR crore"
            raise InputError(
                f"{incoming.at(row[0])}, column {column}: expected {wanted} for {row[1]}, got"
                f" {row[2]!r}"
            )
    row = one_row(
        connection,
        f"SELECT row_number, item FROM staged WHERE (item IN ({events})) = (fiscal_year_end IS"
        " NOT NULL) ORDER BY row_number LIMIT 1",
    )
    if row:
        raise InputError(
            f"{incoming.at(row[0])}, column fiscal_year_end: expected a year end for an item of a"
            f" statement and none for an event; the item is {row[1]}"
        )


def _validate_keys(connection: duckdb.DuckDBPyConnection, incoming: Incoming) -> None:
    key = incoming.format.key
    if not key:
        return
    row = one_row(
        connection,
        f"SELECT min(row_number), max(row_number), {', '.join(key.values())} FROM staged"
        " GROUP BY ALL HAVING count(*) > 1 ORDER BY 2 LIMIT 1",
    )
    if row:
        named = ", ".join(f"{k} {v}" for k, v in zip(key, row[2:], strict=True))
        raise InputError(
            f"{incoming.at(row[1])}: repeats row {incoming.row(row[0])} ({named}); expected one"
            " row each"
        )


def _new_snapshot(
    connection: duckdb.DuckDBPyConnection, incoming: Incoming, sha256: str, size: int
) -> int:
    row = one_row(
        connection,
        "INSERT INTO snapshot (sha256, kind, name, bytes, rows) VALUES (?, ?, ?, ?, ?)"
        " RETURNING snapshot_id",
        [
            sha256,
            incoming.format.kind,
            incoming.path.name,
            size,
            incoming.table.num_rows,
        ],
    )
    assert row is not None  # noqa: S101 - INSERT ... RETURNING gives the row
    return int(row[0])


def _load_statements(connection: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    connection.execute(
        """
        INSERT INTO statement_line
        SELECT company_id, CAST(fiscal_year_end AS DATE), coalesce(basis, $no_basis), item,
            CAST(value AS DOUBLE) / per_crore, unit_size.unit,
            coalesce(CAST(CAST(months AS DOUBLE) AS SMALLINT), 12), coalesce(source, $no_source),
            coalesce(note, 'reported'),
            coalesce(CAST(filed_at AS DATE), CASE WHEN known < 60 THEN CAST(available_from AS DATE)
                END), $snapshot, row_number,
            CASE WHEN filed_at IS NULL AND known > 60 THEN CAST(available_from AS DATE) END
        FROM (SELECT *, CAST(available_from AS DATE) - CAST(fiscal_year_end AS DATE) AS known
            FROM staged) staged
        JOIN unit_size ON unit_size.unit = coalesce(staged.unit, 'INR crore')
        """,
        {
            "snapshot": snapshot,
            "no_basis": formats.NO_BASIS,
            "no_source": formats.NO_SOURCE,
        },
    )
    # A company that no companies file has named yet; what is known of one is left alone.
    connection.execute(
        """
        INSERT INTO company (company_id, company_name, nse_symbol, isin, cin, snapshot_id)
        SELECT company_id, min(company_name), min(nse_symbol), min(isin), min(cin), $snapshot
        FROM staged GROUP BY company_id
        ON CONFLICT (company_id) DO NOTHING
        """,
        {"snapshot": snapshot},
    )
    _load_aliases(connection, snapshot)


def _load_companies(connection: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    connection.execute(
        """
        INSERT OR REPLACE INTO company
        SELECT company_id, company_name, nse_symbol, isin, cin, sector,
            CAST(is_financial AS BOOLEAN),
            coalesce(try_cast(in_nifty500 AS BOOLEAN), in_nifty500 IS NOT NULL), $snapshot
        FROM staged
        """,
        {"snapshot": snapshot},
    )
    connection.execute(
        """
        INSERT OR IGNORE INTO index_member
        SELECT company_id, 'nifty500', CAST(list_date AS DATE), $snapshot
        FROM (SELECT company_id, unnest(string_split(in_nifty500, ';')) AS list_date FROM staged
              WHERE try_cast(in_nifty500 AS BOOLEAN) IS NULL AND in_nifty500 IS NOT NULL)
        """,
        {"snapshot": snapshot},
    )
    _load_aliases(connection, snapshot)


def _load_aliases(connection: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    connection.execute(
        """
        INSERT OR REPLACE INTO alias
        SELECT DISTINCT kind, alias, company_id, $snapshot
        FROM (SELECT company_id, company_name, nse_symbol, isin, cin FROM staged)
        UNPIVOT (alias FOR kind IN (company_name, nse_symbol, isin, cin))
        """,
        {"snapshot": snapshot},
    )


def _load_events(connection: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    connection.execute(
        """
        INSERT INTO insolvency_event
        SELECT company_id, company_name, cin, event_type, CAST(event_date AS DATE), source,
            confidence, coalesce(CAST(usable AS BOOLEAN), true), $snapshot, row_number
        FROM staged
        """,
        {"snapshot": snapshot},
    )


def _load_corrections(connection: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    connection.execute(
        """
        INSERT INTO user_correction
        SELECT company_id, CAST(fiscal_year_end AS DATE), basis, item, source, "wrong", "right",
            reason, reference, status, $snapshot, row_number
        FROM staged
        """,
        {"snapshot": snapshot},
    )


def _load_macro(connection: duckdb.DuckDBPyConnection, snapshot: int) -> None:
    for series in formats.MACRO_SERIES:
        connection.execute(
            f"INSERT OR REPLACE INTO macro SELECT ?, CAST(CAST(year AS DOUBLE) AS SMALLINT),"
            f" CAST({series} AS DOUBLE), ? FROM staged WHERE {series} IS NOT NULL",
            [series, snapshot],
        )


LOADERS: dict[str, Callable[[duckdb.DuckDBPyConnection, int], None]] = {
    "statements": _load_statements,
    "companies": _load_companies,
    "events": _load_events,
    "corrections": _load_corrections,
    "macro": _load_macro,
}
