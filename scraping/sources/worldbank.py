"""World Bank: the four macro series of India, annual."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping

from scraping.fetch import Fetch
from scraping.parse import json_of, quoted, require_fields
from scraping.records import Record, distinct_rows
from scraping.source import Expect, Parsed, ParseError, Row, Snapshot, Source

SERIES = {
    "FP.CPI.TOTL.ZG": "inflation",
    "SL.UEM.TOTL.ZS": "unemployment",
    "FR.INR.RINR": "real_interest",
    "NY.GDP.MKTP.KD.ZG": "gdp_growth",
}
COUNTRY = "IND"
_LARGEST = 1000.0  # per cent; a level in place of a rate is far above
_MAX_PAGES = 100
_CSV_HEADER = ["Country Name", "Country Code", "Indicator Name", "Indicator Code"]
_CSV_PREAMBLE = 6  # lines that may stand before the header of a bulk download

SOURCE = Source(
    name="worldbank",
    publisher="World Bank, World Development Indicators",
    host="WORLDBANK",
    url="https://data.worldbank.org/country/IN",
    terms="CC BY 4.0; open interface, no key",
    cadence_days=30,
    stage=1,
    table="macro",
    columns={"indicator": "series", "date": "year", "value": "value"},
    ignored=("country", "countryiso3code", "unit", "obs_status", "decimal"),
    expect=Expect(min_rows=40, unique=("series", "year")),
    standing="reported",
)


def crawl(fetch: Fetch) -> None:
    """All pages of each series."""
    for indicator in fetch.each(SERIES, "series"):
        page, pages = 1, 1
        while page <= pages:
            snapshot = fetch.get(
                f"/v2/country/{COUNTRY}/indicator/{indicator}",
                {"format": "json", "per_page": "500", "page": str(page)},
                kind="json",
                about={"indicator": indicator, "page": str(page)},
            )
            pages, _ = _page(snapshot)
            page += 1


def _page(snapshot: Snapshot) -> tuple[int, list[Mapping[str, object]]]:
    """Number of pages, and the records of this one.

    Raises:
        ParseError: an error, which answers 200 with a message; no data; another page.
    """
    answer = json_of(snapshot)
    if not isinstance(answer, list) or not answer or not isinstance(answer[0], dict):
        raise ParseError(f"{snapshot.url}: expected [head, rows], got {quoted(answer)}")
    head = answer[0]
    if "message" in head:
        raise ParseError(f"{snapshot.url}: the site refuses: {quoted(head['message'])}")
    if len(answer) != 2 or not isinstance(answer[1], list) or not answer[1]:
        raise ParseError(f"{snapshot.url}: expected rows, got {quoted(answer)}")
    pages = _whole(snapshot, head, "pages")
    asked = snapshot.about.get("page", "1")
    if str(_whole(snapshot, head, "page")) != asked or not int(asked) <= pages <= _MAX_PAGES:
        raise ParseError(f"{snapshot.url}: expected page {asked} of its pages, got {quoted(head)}")
    for at, record in enumerate(answer[1], 1):
        if not isinstance(record, dict):
            raise ParseError(f"{snapshot.url}: row {at}: expected an object, got {quoted(record)}")
        require_fields(f"{snapshot.url}: row {at}", SOURCE, record)
    if pages == 1 and _whole(snapshot, head, "total") != len(answer[1]):
        raise ParseError(f"{snapshot.url}: expected {head['total']} rows, got {len(answer[1])}")
    return pages, answer[1]


def _whole(snapshot: Snapshot, head: Mapping[str, object], name: str) -> int:
    value = head.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ParseError(
            f"{snapshot.url}: {name}: expected a number of 1 or more, got {quoted(head)}"
        )
    return value


def parse(snapshot: Snapshot) -> Parsed:
    """One row per year that has a value: series, year, value in per cent.

    Raises:
        ParseError: no rows of the series that was asked for, or none with a value.
    """
    pages, records = _page(snapshot)
    asked = snapshot.about.get("indicator")
    parsed = distinct_rows(
        enumerate(records, 1),  # type: ignore[arg-type]
        lambda record: _observation(record, asked),
        SOURCE.expect.unique,
    )
    if pages == 1 and not parsed.rows:
        why = parsed.bad[0].reason if parsed.bad else f"{len(records)} empty rows"
        raise ParseError(f"{snapshot.url}: expected values, got none: {why}")
    return parsed


def _observation(record: Mapping[str, object], asked: str | None) -> Row | None:
    """One year of a series; None where it has no value."""
    indicator = record["indicator"]
    code = str(indicator.get("id")) if isinstance(indicator, dict) else ""
    if code not in SERIES or code != (asked or code) or record["countryiso3code"] != COUNTRY:
        raise ValueError(f"expected {asked or 'a series'} of {COUNTRY}, got {quoted(dict(record))}")
    value = record["value"]
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"expected a number, got {quoted(value)}")
    return _row(code, str(record["date"]), value)


def _row(code: str, year: str, value: float) -> Row:
    if not re.fullmatch("(19|20)[0-9]{2}", year):
        raise ValueError(f"expected a year, got {quoted(year)}")
    if not abs(value) <= _LARGEST:
        raise ValueError(f"expected a rate in per cent, got {quoted(value)}")
    return {"series": SERIES[code], "year": int(year), "value": float(value)}


def parse_csv(data: bytes, name: str) -> Parsed:
    """The same rows from a file of the site's bulk download: one line per country and series.

    Lines of other countries and series are left out.

    Args:
        data: the file `API_<series>_DS2_en_csv_v2_<number>.csv`, with or without its preamble.
        name: what to call it in messages.

    Raises:
        ParseError: it is no such file, or holds none of the series for India.
    """
    try:
        lines = list(csv.reader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    except (UnicodeDecodeError, csv.Error) as error:
        raise ParseError(f"{name}: expected a UTF-8 table: {error}") from None
    at = next((n for n, line in enumerate(lines[:_CSV_PREAMBLE]) if line[:4] == _CSV_HEADER), None)
    if at is None:
        raise ParseError(f"{name}: expected the header {_CSV_HEADER}, got {quoted(lines[:1])}")
    years = lines[at][4:]
    india = [line for line in lines[at + 1 :] if line[1:2] == [COUNTRY] and len(line) > 3]
    ours = [line for line in india if line[3] in SERIES]
    if not ours:
        held = sorted({line[3] for line in india})
        raise ParseError(f"{name}: expected one of {', '.join(SERIES)}, got {quoted(held)}")
    return distinct_rows(enumerate(_cells(ours, years), 1), _cell, SOURCE.expect.unique)


def _cells(lines: Iterable[list[str]], years: list[str]) -> Iterator[Record]:
    """The cells below the years, and what is not empty beyond them: a comma ends each line."""
    for line in lines:
        values = line[4:]
        for at in range(max(len(values), len(years))):
            year = years[at] if at < len(years) else ""
            value = values[at] if at < len(values) else None
            if year or value:
                yield {"series": line[3], "year": year, "value": value}


def _cell(cell: Record) -> Row | None:
    value = cell["value"]
    if value == "":
        return None
    if value is None or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?", value):
        raise ValueError(f"expected a number, got {quoted(value)}")
    return _row(str(cell["series"]), str(cell["year"]), float(value))
