"""Files from outside into Arrow tables of text columns: bounded, strict, nothing executed."""

from __future__ import annotations

import codecs
import csv
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from warehouse.errors import InputError

MAX_FILE_BYTES = 4 * 1024**3
MAX_JSON_BYTES = 200 * 1024**2
MAX_WORKBOOK_BYTES = 20 * 1024**2
MAX_UNZIPPED_BYTES = 200 * 1024**2
MAX_COLUMNS = 2_000
MAX_CELLS = 1_000_000_000


def require_file(path: Path, limit: int = MAX_FILE_BYTES) -> None:
    """Raise an `InputError` unless `path` is a file with something in it, of at most `limit`."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise InputError(f"{path}: no such file: {error.strerror}") from None
    if not path.is_file():
        raise InputError(f"{path}: expected a file, got a folder or device")
    if size == 0:
        raise InputError(f"{path}: the file is empty")
    if size > limit:
        raise InputError(f"{path}: {size:,} bytes; files of up to {limit:,} bytes are read")


def is_parquet(path: Path) -> bool:
    """Told by its first bytes, not by its name."""
    with path.open("rb") as file:
        return file.read(4) == b"PAR1"


def is_workbook(path: Path) -> bool:
    """Told by its first bytes, not by its name: a zip with a workbook part."""
    return zipfile.is_zipfile(path) and "xl/workbook.xml" in _parts(path)


def _parts(path: Path) -> dict[str, int]:
    """Names in a zip and their unpacked sizes as the zip declares them."""
    try:
        with zipfile.ZipFile(path) as archive:
            return {info.filename: info.file_size for info in archive.infolist()}
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path}: damaged workbook: {_first_line(error)}") from None


def require_safe_workbook(path: Path) -> None:
    """Refuse a workbook that would unpack to more than we are willing to hold."""
    require_file(path, MAX_WORKBOOK_BYTES)
    total = sum(_parts(path).values())
    if total > MAX_UNZIPPED_BYTES:
        raise InputError(
            f"{path}: unpacks to {total:,} bytes; up to {MAX_UNZIPPED_BYTES:,} are read"
        )


def is_json(path: Path) -> bool:
    """Told by its first character: an array, or an object."""
    with path.open("rb") as file:
        return file.read(2**10).removeprefix(codecs.BOM_UTF8).lstrip()[:1] in (b"[", b"{")


def read_table(path: Path) -> pa.Table:
    """A CSV, Parquet or JSON file as an Arrow table; the columns of a CSV are all text.

    JSON is an array of objects, one a row, or an object whose one value is that array.

    Raises:
        InputError: missing, empty, not UTF-8, a ragged row, a damaged file, no rows, or columns
            that are unnamed or named twice.
    """
    require_file(path)
    _require_table(path)
    read = _read_parquet if is_parquet(path) else _read_json if is_json(path) else _read_csv
    table = read(path)
    names = [name.strip() for name in table.column_names]
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{path}: {len(names):,} columns; up to {MAX_COLUMNS:,} are read")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} appears {names.count(twice[0])} times")
    if table.num_rows == 0:
        raise InputError(f"{path}: expected rows below the header, got none")
    return table.rename_columns(names)


# What a file that is no table begins with, and what it is.
_OTHERS: tuple[tuple[bytes, str], ...] = (
    (b"\x1f\x8b", "a file packed by gzip; unpack it first"),
    (b"PK\x03\x04", "a zip that is no workbook; unpack it first"),
    (b"%PDF", "a PDF; statements are read from XBRL, workbooks, saved pages and tables"),
    (b"<", "a web page or XML document, but no statement page and no XBRL filing"),
)


def _require_table(path: Path) -> None:
    """Raise an `InputError` for a file that is plainly something else."""
    with path.open("rb") as file:
        first = file.read(2**10).removeprefix(codecs.BOM_UTF8).lstrip()
    for begins, what in _OTHERS:
        if first.startswith(begins):
            raise InputError(f"{path}: expected CSV, Parquet or JSON, got {what}")


def _read_parquet(path: Path) -> pa.Table:
    try:
        facts = pa_parquet.read_metadata(path)
        if facts.num_rows * facts.num_columns > MAX_CELLS:
            raise InputError(f"{path}: more than {MAX_CELLS:,} cells, which is more than is read")
        table = pa_parquet.read_table(path, partitioning=None)
        table.validate(full=True)  # text that is not UTF-8 would end the database's process
        return table
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged Parquet file: {_first_line(error)}") from None


def _read_json(path: Path) -> pa.Table:
    require_file(path, MAX_JSON_BYTES)
    try:
        found = json.loads(
            path.read_text(encoding="utf-8-sig"),
            object_pairs_hook=_no_key_twice,
            parse_constant=_no_constant,
        )
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not readable as JSON: {_first_line(error)}") from None
    rows = next(iter(found.values())) if isinstance(found, dict) and len(found) == 1 else found
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected an array of rows, got an object of several keys")
    names: dict[str, None] = {}
    for number, row in enumerate(rows, start=1):
        _require_flat(path, number, row)
        names |= dict.fromkeys(row)
    return pa.table({name: _json_column([row.get(name) for row in rows]) for name in names})


def _no_key_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a row has a key twice")
    return found


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def _require_flat(path: Path, number: int, row: object) -> None:
    if not isinstance(row, dict):
        raise InputError(f"{path}, row {number}: expected an object, got {type(row).__name__}")
    for name, value in row.items():
        if isinstance(value, dict | list):
            raise InputError(f"{path}, row {number}, {name!r}: expected a value, got a nested one")


def _json_column(values: list[Any]) -> pa.Array:
    """Numbers as they are; anything else, and a mixture, as text."""
    given = [value for value in values if value is not None]
    if given and all(type(value) in (int, float) for value in given):
        with suppress(OverflowError):
            return pa.array([None if v is None else float(v) for v in values], pa.float64())
    return pa.array([_json_text(value) for value in values], pa.string())


def _json_text(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)


def _require_utf8(path: Path) -> None:
    decoder, row = codecs.getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        while chunk := file.read(2**20):
            try:
                decoder.decode(chunk)
            except UnicodeDecodeError as error:
                row += error.object[: error.start].count(b"\n")
                raise InputError(
                    f"{path}, row {row}: expected UTF-8 text, got byte"
                    f" 0x{error.object[error.start]:02x}"
                ) from None
            row += chunk.count(b"\n")


def _csv_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig") as file:
        line = file.readline(2**20)
    if "\0" in line:
        raise InputError(f"{path}: expected CSV or Parquet, got a binary file")
    options = pa_csv.ReadOptions(use_threads=False, autogenerate_column_names=True)
    header = pa_csv.read_csv(io.BytesIO(line.encode()), read_options=options)
    return [str(value) for value in header.slice(0, 1).to_pylist()[0].values()]


def row_in_file(path: Path, row: int) -> int:
    """Number of a CSV row with the blank lines above it counted, which the reader passes over."""
    full = 0
    with path.open(encoding="utf-8-sig", newline="") as file, suppress(csv.Error):
        for number, record in enumerate(csv.reader(file), start=1):
            full += bool(record)
            if full == row:
                return number
    return row


def _read_csv(path: Path) -> pa.Table:
    ragged: list[pa_csv.InvalidRow] = []

    def remember(row: pa_csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

    _require_utf8(path)
    try:
        columns = _csv_header(path)
        table = pa_csv.read_csv(
            path,
            # One thread: only then does Arrow know the number of a bad row.
            read_options=pa_csv.ReadOptions(use_threads=False, encoding="utf8"),
            parse_options=pa_csv.ParseOptions(
                invalid_row_handler=remember, newlines_in_values=True
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(columns, pa.string()),
                strings_can_be_null=True,
                null_values=[""],
            ),
        )
    except pa.ArrowException as error:
        if ragged:
            row = ragged[0]
            raise InputError(
                f"{path}, row {row.number}: expected {row.expected_columns} columns,"
                f" got {row.actual_columns}"
            ) from None
        raise InputError(f"{path}: not readable as CSV: {_first_line(error)}") from None
    return table


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or ["unknown fault"])[0][:300]
