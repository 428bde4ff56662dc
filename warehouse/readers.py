"""Files from outside into Arrow tables of text columns: bounded, strict, nothing executed."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pa_parquet

from warehouse.errors import InputError

MAX_FILE_BYTES = 4 * 1024**3
MAX_WORKBOOK_BYTES = 20 * 1024**2
MAX_UNZIPPED_BYTES = 200 * 1024**2
MAX_COLUMNS = 2_000


def require_file(path: Path, limit: int = MAX_FILE_BYTES) -> None:
    """Raise an `InputError` unless `path` is a file with something in it, of at most `limit`."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    size = path.stat().st_size
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
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return "xl/workbook.xml" in archive.namelist()


def require_safe_workbook(path: Path) -> None:
    """Refuse a workbook that would unpack to more than we are willing to hold."""
    require_file(path, MAX_WORKBOOK_BYTES)
    with zipfile.ZipFile(path) as archive:
        total = sum(info.file_size for info in archive.infolist())
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
        return pa_parquet.read_table(path, partitioning=None)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path}: damaged Parquet file: {_first_line(error)}") from None


def _csv_header(path: Path) -> list[str]:
    with path.open("rb") as file:
        line = file.readline(1024**2)
    try:
        text = line.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected UTF-8 text, got other bytes in row 1") from None
    if "\x00" in text:
        raise InputError(f"{path}: expected CSV or Parquet, got a binary file")
    header = pa_csv.read_csv(
        io.BytesIO(text.encode()), read_options=pa_csv.ReadOptions(autogenerate_column_names=True)
    )
    return [str(value) for value in header.slice(0, 1).to_pylist()[0].values()]


def _read_csv(path: Path) -> pa.Table:
    ragged: list[pa_csv.InvalidRow] = []

    def remember(row: pa_csv.InvalidRow) -> str:
        ragged.append(row)
        return "error"

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
