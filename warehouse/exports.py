"""Tables out of the warehouse: files that other tools read, safe to open in a spreadsheet."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet

from warehouse.dictionary import EXPORTED, Column, Exported
from warehouse.errors import InputError
from warehouse.files import make_folder, sha256_of, write_whole
from warehouse.store import MIGRATIONS, PART, fingerprint, one_row, parts

# What makes a spreadsheet run the text of a cell that begins so.
FORMULA_PREFIXES = ("=", "+", "-", "@", "\t", "\r")

PACKAGE = "insolvency-radar-export"
DESCRIPTOR = "datapackage.json"
PROFILE = "https://datapackage.org/profiles/2.0/datapackage.json"
PANEL = "panel"
STAGED = "FORMAT parquet, COMPRESSION zstd, PRESERVE_ORDER true"
DESCRIPTION = (
    "Financial statements, insolvency events and the labelled panel of Indian listed companies,"
    " as one warehouse holds them.\n\n"
    "No licence is stated, because the program that wrote the files has none to give: each source"
    " states its own terms (docs/sources.md of the program), and who passes the data on must keep"
    " them.\n\n"
    "Each table stands in up to two files of the same rows: Parquet, and CSV. In CSV a text that a"
    " spreadsheet would run as a formula has a leading apostrophe, and a missing value is empty."
)


@dataclass(frozen=True)
class FileFormat:
    """A format of exported files; `copy` are the options of DuckDB's COPY.

    `guarded`: text that a spreadsheet would run is made inert.
    """

    name: str
    mediatype: str
    copy: str
    guarded: bool
    described: dict[str, object]


# PRESERVE_ORDER is spelt out: without it DuckDB 2.0 mixes the rows of a query with expressions.
FILE_FORMATS: tuple[FileFormat, ...] = (
    FileFormat(
        "parquet", "application/vnd.apache.parquet",
        "FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 122880, PRESERVE_ORDER true", False, {},
    ),
    FileFormat(
        "csv", "text/csv",
        "FORMAT csv, HEADER true, PRESERVE_ORDER true", True,
        {"encoding": "utf-8", "dialect": {"delimiter": ",", "lineTerminator": "\n"}},
    ),
)  # fmt: skip


def csv_safe(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with text that a spreadsheet would run as a formula made inert by a leading '."""
    safe = frame.copy()
    for name in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[name]):
            safe[name] = safe[name].map(_inert)
    safe.columns = pd.Index([_inert(str(name)) for name in safe.columns])
    return safe


def _inert(cell: object) -> object:
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA_PREFIXES) else cell


def without_guard(cell: str) -> str:
    """The text of a cell before `csv_safe`. One that began with ' and a formula loses the ' too."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(FORMULA_PREFIXES) else cell


def write_csv(frame: pd.DataFrame, out: Path) -> None:
    """Write a CSV that is safe to open in a spreadsheet."""
    csv_safe(frame).to_csv(out, index=False, lineterminator="\n")


def write_table(table: pa.Table, out: Path) -> None:
    """Write Parquet, or CSV by the name of the file, in one step: whole or not at all.

    Raises:
        InputError: the file cannot be written there.
    """
    write_tables([table], out)


def write_tables(tables: Iterable[pa.Table], out: Path) -> None:
    """As `write_table`, of the rows of one table that come in parts: one part is held at a time."""
    write_whole(out, _write_csv_parts(tables) if out.suffix == ".csv" else _write_parquet(tables))


def _write_parquet(tables: Iterable[pa.Table]) -> Callable[[Path], None]:
    def write(draft: Path) -> None:
        writer = None
        try:
            for table in tables:
                writer = writer or pa_parquet.ParquetWriter(draft, table.schema, compression="zstd")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()

    return write


def _write_csv_parts(tables: Iterable[pa.Table]) -> Callable[[Path], None]:
    def write(draft: Path) -> None:
        with draft.open("w", encoding="utf-8", newline="") as file:
            for number, table in enumerate(tables):
                frame = csv_safe(table.to_pandas())
                frame.to_csv(file, index=False, lineterminator="\n", header=number == 0)

    return write


def export(
    connection: duckdb.DuckDBPyConnection,
    folder: Path,
    panel: Iterable[pa.Table] | None = None,
    panel_columns: Sequence[Column] = (),
    formats: Sequence[FileFormat] = FILE_FORMATS,
    companies: int = PART,
) -> list[tuple[Path, int]]:
    """Write every table in each format, with a Frictionless `datapackage.json`.

    The files are written beside the folder's own and put in place together, the descriptor last.

    Args:
        connection: an open warehouse; it may be read-only.
        folder: where to; files of an earlier export are replaced, or removed where this one has
            none of that name.
        panel: the panel of features in parts, in order; None where there is none.
        panel_columns: description of every column of the panel.
        formats: entries of `FILE_FORMATS`.
        companies: how many are worked out and held in memory at a time; the files are the same.

    Returns:
        Paths and row counts.

    Raises:
        InputError: a file stands there that no export wrote, or nothing can be written there.
    """
    make_folder(folder)
    whole = [table.name for table in EXPORTED] + ([] if panel is None else [PANEL])
    names = [f"{table}.{kind.name}" for table in whole for kind in formats]
    earlier = _earlier(folder)
    _refuse_to_replace(folder, names, earlier)
    with TemporaryDirectory(prefix="export-", suffix=".part", dir=folder) as part:
        drafts, tables = Path(part), list(EXPORTED)
        if panel is not None:
            tables.append(_stage_panel(connection, panel, panel_columns, drafts))
        for table in EXPORTED:
            _stage(connection, table, drafts, companies)
        counts = [n for table in tables for n in _write(connection, table, formats, drafts)]
        package = _package(connection, tables, formats, drafts)
        text = json.dumps(package, indent=1, ensure_ascii=False) + "\n"
        (drafts / DESCRIPTOR).write_text(text, encoding="utf-8", newline="\n")
        for name in names:
            (drafts / name).replace(folder / name)
        for name in earlier - {*names, DESCRIPTOR}:
            (folder / name).unlink(missing_ok=True)
        (drafts / DESCRIPTOR).replace(folder / DESCRIPTOR)
    return [(folder / name, count) for name, count in zip(names, counts, strict=True)]


def _earlier(folder: Path) -> set[str]:
    """Files in the folder that an earlier export wrote: by our names only, whatever it lists."""
    try:
        package = json.loads((folder / DESCRIPTOR).read_text(encoding="utf-8"))
        listed = {resource["path"] for resource in package["resources"]}
        ours = package["name"] == PACKAGE
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    tables = [*(table.name for table in EXPORTED), PANEL]
    names = {f"{table}.{kind.name}" for table in tables for kind in FILE_FORMATS}
    return {DESCRIPTOR, *(names & listed)} if ours else set()


def _refuse_to_replace(folder: Path, names: Sequence[str], earlier: set[str]) -> None:
    """A folder may hold files to import that are named as exported ones are."""
    for name in (*names, DESCRIPTOR):
        if name not in earlier and (folder / name).exists():
            raise InputError(
                f"{folder / name}: expected no file or one of an earlier export, got another one;"
                " name another folder, or move the file away"
            )


def _stage_panel(
    connection: duckdb.DuckDBPyConnection,
    panel: Iterable[pa.Table],
    columns: Sequence[Column],
    folder: Path,
) -> Exported:
    """Put the rows of the panel into the folder, a file for each part; what the table is."""
    known = {column.name: column for column in columns}
    table = None
    for number, part in enumerate(panel):
        strange = [name for name in part.column_names if name not in known]
        if strange:
            raise ValueError(f"a column of the panel is not described: {strange[0]}")
        connection.register("exported_panel", part)
        table = Exported(
            PANEL,
            "Labelled panel of ratios",
            "one company and fiscal year, with its label, ratios and macro variables",
            "SELECT * FROM exported_panel",
            tuple(known[name] for name in part.column_names),
        )
        _copy(connection, _ordered(table), _staged(table, folder, number), STAGED)
        connection.unregister("exported_panel")
    if table is None:
        raise InputError("the panel has no part at all")
    return table


def _stage(
    connection: duckdb.DuckDBPyConnection, table: Exported, folder: Path, companies: int
) -> None:
    """Put the rows of a table into the folder, in order: memory stays that of one part of them."""
    if not table.parted:
        _copy(connection, _ordered(table), _staged(table, folder), STAGED)
        return
    for number, _ in enumerate(parts(connection, companies)):
        _copy(connection, _ordered(table), _staged(table, folder, number), STAGED)


def _staged(table: Exported, folder: Path, number: int = 0) -> Path:
    return folder / f"{table.name}-{number:06}.rows"


def _ordered(table: Exported) -> str:
    columns = ", ".join(_quoted(column.name) for column in table.columns)
    return f"SELECT {columns} FROM ({table.sql}) ORDER BY {', '.join(map(_quoted, table.order))}"


def _write(
    connection: duckdb.DuckDBPyConnection,
    table: Exported,
    formats: Sequence[FileFormat],
    folder: Path,
) -> Iterator[int]:
    """Write the staged rows of a table in each format; how many there are."""
    staged = sorted(folder.glob(f"{table.name}-*.rows"))
    rows = f"read_parquet([{', '.join(_literal(str(path)) for path in staged)}])"
    for kind in formats:
        columns = ", ".join(
            _guarded(column.name)
            if kind.guarded and column.type == "string"
            else _quoted(column.name)
            for column in table.columns
        )
        out = folder / f"{table.name}.{kind.name}"
        yield _copy(connection, f"SELECT {columns} FROM {rows}", out, kind.copy)
    for path in staged:
        path.unlink()


def _copy(connection: duckdb.DuckDBPyConnection, query: str, out: Path, options: str) -> int:
    """Rows that were written. A failed disk is an OSError, as it is everywhere else."""
    try:
        row = one_row(connection, f"COPY ({query}) TO {_literal(str(out))} ({options})")
    except duckdb.IOException as error:
        raise OSError(f"{out.name}: cannot be written: {str(error).splitlines()[0]}") from None
    return int(row[0]) if row else 0


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _guarded(name: str) -> str:
    """A text column as `csv_safe` makes it."""
    prefixes = ", ".join(f"chr({ord(prefix)})" for prefix in FORMULA_PREFIXES)
    column, mark = _quoted(name), _literal("'")
    guarded = f"CASE WHEN {column}[1] IN ({prefixes}) THEN {mark} || {column} ELSE {column} END"
    return f"{guarded} AS {column}"


def _package(
    connection: duckdb.DuckDBPyConnection,
    tables: Sequence[Exported],
    formats: Sequence[FileFormat],
    folder: Path,
) -> dict[str, object]:
    """The descriptor of a Data Package, version 2. The same warehouse gives the same one."""
    simulated = one_row(
        connection, "SELECT 1 FROM statement_line WHERE source = 'simulated' LIMIT 1"
    )
    title = "Statements, insolvency events and ratio panel of Indian listed companies"
    package: dict[str, object] = {
        "$schema": PROFILE,
        "name": PACKAGE,
        "title": f"SIMULATED: {title}" if simulated else title,
        "description": ("Holds SIMULATED companies.\n\n" if simulated else "") + DESCRIPTION,
        # Major: the layout. After the plus: what the warehouse says, whenever it was loaded.
        "version": f"{len(MIGRATIONS)}.0.0+{fingerprint(connection)}",
        "keywords": ["bankruptcy", "insolvency", "India", "financial ratios"],
    }
    newest = one_row(connection, "SELECT max(fetched_at) FROM snapshot")
    if newest and isinstance(newest[0], datetime):  # a user's file has no time of its own
        package["created"] = newest[0].replace(microsecond=0).isoformat() + "Z"
    sources = _sources(connection)
    if sources:
        package["sources"] = sources
    package["resources"] = [
        _resource(table, kind, folder / f"{table.name}.{kind.name}")
        for table in tables
        for kind in formats
    ]
    return package


def _sources(connection: duckdb.DuckDBPyConnection) -> list[dict[str, str]]:
    """A scraped source and where its documents are from; a user's file and its hash."""
    found = connection.execute(
        "SELECT DISTINCT coalesce(source, name), regexp_extract(url, '^https?://[^/?#]+'),"
        " CASE WHEN source IS NULL THEN 'sha256:' || sha256 END FROM snapshot ORDER BY ALL"
    ).fetchall()
    keys = ("title", "path", "version")
    return [{key: text for key, text in zip(keys, row, strict=True) if text} for row in found]


def _resource(table: Exported, kind: FileFormat, path: Path) -> dict[str, object]:
    """One file: a Data Resource is of one format, so a table in two formats is two resources."""
    return {
        "name": f"{table.name}-{kind.name}",
        "type": "table",
        "path": path.name,
        "title": table.title,
        "description": f"One row: {table.grain}.",
        "format": kind.name,
        "mediatype": kind.mediatype,
        **kind.described,
        "bytes": path.stat().st_size,
        "hash": f"sha256:{sha256_of(path)}",
        "schema": _schema(table),
    }


def _schema(table: Exported) -> dict[str, object]:
    schema: dict[str, object] = {
        "fields": [_field(column) for column in table.columns],
        "missingValues": [""],
    }
    if table.key:
        schema["primaryKey"] = list(table.key)
    return schema


def _field(column: Column) -> dict[str, object]:
    field: dict[str, object] = {
        "name": column.name,
        "type": column.type,
        "description": column.meaning,
    }
    if column.unit:
        field["unit"] = column.unit
    if column.constraints:
        field["constraints"] = column.constraints
    return field
