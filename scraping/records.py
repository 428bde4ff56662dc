"""Records of tables and JSON lists: their shape is asserted here, once for all sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence

from scraping.parse import csv_records, quoted, require_fields, rows_of, storable
from scraping.source import Bad, Parsed, ParseError, Row, Snapshot, Source

Record = Mapping[str, str | None]
Numbered = tuple[int, Record]


def table_records(snapshot: Snapshot, header: Sequence[str]) -> tuple[list[Numbered], list[Bad]]:
    """Rows of a comma-separated table below exactly this header, numbered from 1.

    Rows with a wrong number of cells are bad.

    Raises:
        ParseError: it is no such table.
    """
    came, rows = csv_records(snapshot)
    if came != list(header):
        raise ParseError(
            f"{snapshot.url}: the format has changed: expected the header {quoted(list(header))},"
            f" got {quoted(came)}"
        )
    return under(header, rows)


def under(header: Sequence[str], rows: Iterable[Sequence[str]]) -> tuple[list[Numbered], list[Bad]]:
    """Rows as records of these fields, numbered from 1; bad where the number of cells is wrong."""
    records: list[Numbered] = []
    bad: list[Bad] = []
    for at, row in enumerate(rows, 1):
        if len(row) == len(header):
            records.append((at, dict(zip(header, row, strict=True))))
            continue
        reason = f"expected {len(header)} cells, got {len(row)}"
        bad.append(Bad(at, reason, json.dumps(list(row), ensure_ascii=False)[:2000]))
    return records, bad


def json_records(snapshot: Snapshot, answer: object, source: Source) -> list[Numbered]:
    """Objects of a JSON list with the source's fields, numbered from 1; numbers become texts.

    Raises:
        ParseError: not a list of such objects.
    """
    if not isinstance(answer, list):
        raise ParseError(f"{snapshot.url}: expected a list of rows, got {quoted(answer)}")
    return [
        (at, _texts(f"{snapshot.url}: row {at}", item, source)) for at, item in enumerate(answer, 1)
    ]


def _texts(where: str, item: object, source: Source) -> Record:
    if not isinstance(item, dict):
        raise ParseError(f"{where}: expected an object, got {quoted(item)}")
    require_fields(where, source, item)
    return {name: _text(where, name, value) for name, value in item.items()}


def _text(where: str, name: str, value: object) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ParseError(f"{where}: {name}: expected a text or number, got {quoted(value)}")
    return storable(str(value))


def distinct_rows(
    records: Iterable[Numbered],
    convert: Callable[[Record], Row | None],
    key: Sequence[str],
) -> Parsed:
    """Convert records; a row that is said twice is kept once.

    Rows of one key that say different things are all quarantined: which is right is not known.
    """
    records = list(records)
    told: dict[tuple[object, ...], list[Row]] = {}
    converted: dict[int, Row | None] = {}  # by record; one that is bad is converted anew

    def tell(record: Record) -> None:
        row = converted[id(record)] = convert(record)
        if row is not None:
            versions = told.setdefault(tuple(row[name] for name in key), [])
            if row not in versions:
                versions.append(row)

    rows_of(records, tell)
    seen: set[tuple[object, ...]] = set()

    def once(record: Record) -> Row | None:
        row = converted[id(record)] if id(record) in converted else convert(record)
        if row is None:
            return None
        name = tuple(row[column] for column in key)
        if len(told[name]) > 1:
            raise ValueError(f"contradicts another row of the same {', '.join(key)}")
        if name in seen:
            return None
        seen.add(name)
        return row

    return rows_of(records, once)
