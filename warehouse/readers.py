"""Files from outside into Arrow tables of text columns: bounded, strict, nothing executed."""

from __future__ import annotations

import codecs
import csv
import io
import zipfile
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from warehouse.errors import InputError

MAX_FILE_BYTES = 4 * 1024**3
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


def read_table(path: Path) -> pa.Table:
    """A CSV or Parquet file as an Arrow table; the columns of a CSV are all text.

    Raises:
        InputError: missing, empty, not UTF-8, a ragged row, a damaged file, no rows, or columns
            that are unnamed or named twice.
    """
    require_file(path)
    table = _read_parquet(path) if is_parquet(path) else _read_csv(path)
    names = [name.strip() for name in table.column_names]
    if len(names) > MAX_COLUMNS:
        raise InputError(f"{path}: {len(names):,} columns; up to {MAX_COLUMNS:,} are read")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"{path}: column {twice[0]!r} appears {names.count(twice[0])} times")
    if table.num_rows == 0:
        raise InputError(f"{path}: expected rows below the header, got none")
    return table.rename_columns(names)


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
    header = pa_csv.read_csv(
        io.BytesIO(line.encode()), read_options=pa_csv.ReadOptions(autogenerate_column_names=True)
    )
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
