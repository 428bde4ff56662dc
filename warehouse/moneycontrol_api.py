"""The JSON behind moneycontrol's new pages: a statement of several years, for one or both bases."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from warehouse.errors import InputError
from warehouse.moneycontrol_lines import INDEXES, LAYOUTS, key_of
from warehouse.moneycontrol_table import (
    MAX_BYTES,
    Amounts,
    Page,
    Period,
    Table,
    amount_of,
    bounded,
    last_day,
    months_of,
    page_of,
    period_end,
    require_statement,
)

API_SOURCE = "moneycontrol api"

RESULTS = (("standalone", "standardResult"), ("consolidated", "consolidatedResult"))
_ABOUT_THE_PERIOD = frozenset(
    {"year", "months", "ent_date", "yrc0", "yrc", "str_month", "str_year", "noofmonths"}
)


def parse_api(data: bytes, name: str, statement: str) -> tuple[Page, ...]:
    """The annual statements in one answer: one page for each basis that has any year.

    Raises:
        InputError: not such an answer, or not of this statement.
    """
    require_statement(name, statement)
    content = _content(data, name)
    headers = _headers(content, name)
    pages = []
    for basis, result in RESULTS:
        rows = content.get(result)
        if not rows:
            continue
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{name}: expected a list of years in {result!r}, got {_came(rows)}")
        pages.append(page_of(name, _api_table(name, statement, headers, rows), statement, basis))
    return tuple(pages)


def statement_told(data: bytes, name: str) -> str:
    """The statement of an answer, by the lines that only this one has."""
    labels = {key_of(label) for label in _headers(_content(data, name), name)}
    for statement in LAYOUTS:
        groups = LAYOUTS[statement].required
        if all(any(key_of(label) in labels for label in group) for group in groups):
            return statement
    raise InputError(f"{name}: expected the lines of a statement, got {sorted(labels)!r:.200}")


def _content(data: bytes, name: str) -> dict[str, object]:
    """The object `data` of an answer."""

    def refuse(constant: str) -> object:
        raise ValueError(f"{constant} is not a number")

    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data):,} bytes; answers of up to {MAX_BYTES:,} are read")
    try:
        answer = json.loads(data.decode("utf-8-sig"), parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{name}: expected JSON ({error!s:.80}), got {data[:80]!r}") from None
    content = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(content, dict) or not any(result in content for _, result in RESULTS):
        raise InputError(
            f"{name}: expected 'data' with 'standardResult' or 'consolidatedResult', got"
            f" {data[:120]!r}"
        )
    return content


def _headers(content: Mapping[str, object], name: str) -> dict[str, str]:
    """Label -> key of its field; a heading has no key."""
    headers = content.get("headers")
    if not isinstance(headers, dict):
        raise InputError(f"{name}: expected 'headers' of label and key, got {_came(headers)}")
    keys = {}
    for label, entry in headers.items():
        key = entry[0] if isinstance(entry, list) and entry else entry
        if key is not None and not isinstance(key, str):
            raise InputError(
                f"{name}: expected a [key, style] for {label!r:.80}, got {_came(entry)}"
            )
        keys[label] = key or ""
    return keys


def _api_table(
    name: str, statement: str, headers: Mapping[str, str], rows: list[dict[str, object]]
) -> Table:
    index = INDEXES[statement]
    periods = tuple(_api_period(name, statement, row) for row in rows)
    amounts: dict[str, Amounts] = {}
    unknown: dict[str, None] = {}
    for label, own in headers.items():
        key = key_of(label)
        if own in _ABOUT_THE_PERIOD or (not own and key in index.sections | {""}):
            continue
        if own and key not in index.known:
            key = index.renamed.get(key_of(own), key_of(own))
        if key not in index.known:
            unknown[label or f"({own})"] = None
        elif key in index.used and key not in amounts and any(own in row for row in rows):
            amounts[key] = tuple(_api_amount(name, label, row.get(own)) for row in rows)
    return Table(periods, amounts, tuple(unknown))


def _api_period(name: str, statement: str, row: Mapping[str, object]) -> Period:
    code = row.get("yrc")
    found = re.fullmatch(r"((?:19|20)[0-9]{2})(0[1-9]|1[0-2])", _came(code).strip("'"))
    if found is None:
        raise InputError(f"{name}: expected a year 'yrc' like 202303, got {_came(code)}")
    end = last_day(int(found[1]), int(found[2]))
    printed = row.get("yrc0")
    shown = period_end(" ".join(printed.split())) if isinstance(printed, str) else None
    if shown not in (None, end):
        raise InputError(f"{name}: 'yrc' {code!r} and 'yrc0' {printed!r:.60} differ")
    length = row.get("noofmonths")
    missing = length is None and statement == "ratios"
    months = 12 if missing else months_of(_came(length).strip("'"))
    if months is None:
        raise InputError(f"{name}: expected 'noofmonths' like '12 mths', got {_came(length)}")
    return Period(end, months)


def _api_amount(name: str, label: str, value: object) -> float | None:
    if value is None:
        return None
    if isinstance(value, str):
        return amount_of(name, label, " ".join(value.split()))
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(f"{name}, line {label!r:.80}: expected a number, got {_came(value)}")
    return bounded(name, label, value)


def _came(value: object) -> str:
    """A JSON value for a message. What nests is named only: to spell it out may go too deep."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else f"{value!r:.80}"
