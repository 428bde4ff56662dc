"""moneycontrol's annual statements: the pages "…VI", and the JSON behind its new pages.

No real saved page could be had: what is known of both formats was reported by others, so whatever
differs is refused with a message that quotes it. Amounts are INR crore.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pyarrow as pa
from lxml import etree

from warehouse.cells import Cell
from warehouse.errors import InputError
from warehouse.moneycontrol_api import API_SOURCE, RESULTS, parse_api, statement_told
from warehouse.moneycontrol_lines import END, INDEXES, OWED, key_of
from warehouse.moneycontrol_table import (
    MAX_BYTES,
    Amounts,
    Page,
    Period,
    Table,
    amount_of,
    months_of,
    page_of,
    period_end,
    require_statement,
)
from warehouse.readers import require_file
from warehouse.screener import slug

PAGE_SOURCE = "moneycontrol"
_HEAD = 1024**2  # of a file, to tell what it is

# -- the page ---------------------------------------------------------------------------------


def parse_page(
    data: bytes, name: str, *, statement: str | None = None, basis: str | None = None
) -> Page:
    """A statement page. One that says that there is no data has no years.

    Args:
        data: its bytes.
        name: file or address, for messages.
        statement: what was asked for, if that is known.
        basis: consolidated or standalone, if that was asked for.

    Raises:
        InputError: not such a page; another statement or basis than was asked for; a changed
            layout, unit or header.
    """
    require_statement(name, statement)
    document = _document(data, name)
    rows = _statement_rows(document, name)
    titles = _titles(document, rows)
    statement = _agreed(name, "statement", statement, _first(map(_statement_named, titles)))
    told = _first(map(_basis_named, titles)) or _basis_linked(_next_link(document))
    basis = _agreed(name, "basis", basis, told) or _basis_linked(_own_address(document))
    if statement is None:
        raise InputError(f"{name}: expected a title like 'Balance Sheet of …', got {titles!r:.200}")
    company = _first(map(_company_named, titles)) or _company_headed(document)
    if rows is None:
        return Page(company, statement, basis or "unstated")
    if statement != "ratios":  # their units stand in their labels
        _require_crore(name, document, titles)
    table = _read_rows(name, statement, rows)
    return page_of(name, table, statement, basis or "unstated", company, _next_page(document, name))


def _first(values: Iterable[str | None]) -> str | None:
    return next(filter(None, values), None)


def _document(data: bytes, name: str) -> etree._Element:
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data):,} bytes; pages of up to {MAX_BYTES:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        text = _declared(data, name, error)
    if "<" not in text:
        raise InputError(f"{name}: expected a page, got {text[:80]!r}")
    try:  # not with BeautifulSoup, which takes seven times as long for a page of 150 KB
        document = etree.fromstring(text, etree.HTMLParser())
    except (etree.LxmlError, ValueError) as error:
        raise InputError(f"{name}: not a page that can be read: {error}") from None
    if document is None:
        raise InputError(f"{name}: expected a page, got {text[:80]!r}")
    return document


def _declared(data: bytes, name: str, error: UnicodeDecodeError) -> str:
    """Text that is not UTF-8, if the page says that it is Latin; nothing else is tried."""
    declared = re.search(rb"""charset=["']?([\w-]{1,40})""", data[:4096])
    if declared and declared[1].lower() in (b"iso-8859-1", b"latin-1", b"windows-1252"):
        return data.decode("cp1252", "replace")
    came = data[max(error.start - 20, 0) : error.start + 20]
    raise InputError(f"{name}: expected UTF-8 text, got {came!r}") from None


def _has_class(element: etree._Element, name: str) -> bool:
    return name in (element.get("class") or "").split()


def _text(element: etree._Element) -> str:
    """Text of an element, its white space, non-breaking too, made single spaces."""
    text = (element.text or "") if len(element) == 0 else "".join(map(str, element.itertext()))
    return " ".join(text.split())


def _statement_rows(document: etree._Element, name: str) -> list[list[str]] | None:
    """Rows of the one table with years in its header; None if the page says it has no data."""
    tables = [table for table in document.iter("table") if _has_class(table, "mctable1")]
    found = [_rows(table) for table in tables]
    statements = [rows for rows in found if rows and any(map(period_end, rows[0][1:]))]
    if len(statements) > 1:
        raise InputError(
            f"{name}: expected one table with years in its header, got {len(statements)}:"
            f" {[rows[0][:3] for rows in statements]!r:.200}"
        )
    if statements:
        return statements[0]
    etree.strip_elements(document, "script", "style", "template", with_tail=False)
    text = _text(document)
    if "data not available" in text.casefold():
        return None
    came = found[0][:1] if found else text
    raise InputError(
        f"{name}: expected a table 'mctable1' with a header like 'Mar 23', got {came!r:.200}"
    )


def _rows(table: etree._Element) -> list[list[str]]:
    rows = []
    for row in table.iter("tr"):
        cells = [_text(cell) for cell in row if cell.tag in ("td", "th")]
        if any(cells):
            rows.append(cells)
    return rows


def _titles(document: etree._Element, rows: list[list[str]] | None) -> list[str]:
    """What names the page, the nearest to the figures first."""
    heads = [_text(element) for tag in ("h1", "title") for element in document.iter(tag)]
    return [text for text in [rows[0][0] if rows else "", *heads] if text][:20]


_NAMES = (
    ("balance_sheet", r"balance\s*sheet"),
    ("profit_loss", r"profit\s*(?:&|and)\s*loss"),
    ("cash_flow", r"cash\s*flow"),
    ("ratios", r"(?:key\s+)?financial\s+ratios"),
)

_KINDS = "(?:" + "|".join(pattern for _, pattern in _NAMES) + r")(?:\s+account)?"


def _statement_named(title: str) -> str | None:
    """The statement that a title names; None if it names none, or several as a menu does."""
    found = [s for s, pattern in _NAMES if re.search(pattern, title, re.IGNORECASE)]
    return found[0] if len(found) == 1 else None


def _basis_named(title: str) -> str | None:
    """The word before the statement: there are companies called Consolidated Something, too."""
    found = re.search(rf"\b(consolidated|standalone)\s+{_KINDS}", title, re.IGNORECASE)
    return found[1].casefold() if found else None


def _basis_linked(address: str) -> str | None:
    """The basis of a page's address; the standalone ones have no word for it."""
    found = re.search(
        r"/(consolidated-)?(?:balance-sheet|profit-loss|cash-flow|ratios)VI/",
        address,
        re.IGNORECASE,
    )
    return ("consolidated" if found[1] else "standalone") if found else None


def _own_address(document: etree._Element) -> str:
    links = [e.get("href") or "" for e in document.iter("link") if e.get("rel") == "canonical"]
    return next(filter(None, links), "")


def _agreed(name: str, what: str, asked: str | None, told: str | None) -> str | None:
    """What was asked for, if the page does not say another thing; else what the page says."""
    if asked and told and asked != told:
        raise InputError(f"{name}: expected the {what} {asked}, got {told}")
    return asked or told


def _company_named(title: str) -> str | None:
    """The company in a title like 'Balance Sheet of Nilgiri Alloys (in Rs. Cr.)'."""
    found = re.search(rf"(?:{_KINDS})\s+of\s+([^(|,]+)", title, re.IGNORECASE)
    return (found[1].strip() or None) if found else None


def _company_headed(document: etree._Element) -> str | None:
    """The company in a heading of the page that says no more than it, or it and the statement."""
    for heading in document.iter("h1"):
        words = rf"(?:\b(?:consolidated|standalone)\s+)?{_KINDS}"
        name = re.split(r"[(|,]", re.sub(words, " ", _text(heading), flags=re.IGNORECASE))[0]
        if name.strip(" -:"):
            return " ".join(name.split()).strip(" -:")
    return None


_UNIT = re.compile(
    r"(?<![a-z])(rs|inr|usd|us\$|₹)\.?\s*(?:in\s+)?(cr|lakh|lac|million|mn|billion|bn|thousand)",
    re.IGNORECASE,
)


def _require_crore(name: str, document: etree._Element, titles: list[str]) -> None:
    """Refuse a page in another unit, or in none: a factor of 100 is not seen in ratios."""
    table = next(table for table in document.iter("table") if _has_class(table, "mctable1"))
    near = (_text(element)[:5000] for element in [table, *table.iterancestors()][:4])
    for place in itertools.chain(titles, near):
        units = {"".join(unit).casefold() for unit in _UNIT.findall(place)}
        if units:
            if units != {"rscr"}:
                raise InputError(f"{name}: expected the unit 'Rs. Cr.', got {place!r:.120}")
            return
    raise InputError(f"{name}: expected the unit 'Rs. Cr.', got none in {titles!r:.200}")


def _next_link(document: etree._Element) -> str:
    """Link around, or in, the sign for the next page; empty if there is none."""
    for sign in document.iter("span"):
        if _has_class(sign, "nextpaging"):
            links = [sign.getparent(), *sign.iter("a")]
            hrefs = [a.get("href") or "" for a in links if a is not None and a.tag == "a"]
            return next(filter(None, hrefs), "").strip()
    return ""


def _next_page(document: etree._Element, name: str) -> str | None:
    link = _next_link(document)
    if not link or link.startswith("#") or link.casefold().startswith("javascript:"):
        return None
    if page_number(link) is None:
        raise InputError(
            f"{name}: expected a link that ends in /2 or another page, got {link!r:.200}"
        )
    return link


def page_number(link: str) -> int | None:
    """Number of the page that a link leads to, None if it ends in no number."""
    found = re.search(r"/([0-9]{1,3})/?(?:#.*)?$", link)
    return int(found[1]) if found else None


# -- header and rows --------------------------------------------------------------------------


def _read_rows(name: str, statement: str, rows: list[list[str]]) -> Table:
    ends = _header(name, rows[0])
    width = len(rows[0])
    body = rows[1:]
    lengths: list[int] = [12] * len(ends)
    if statement != "ratios" or (body and not body[0][0]):
        if not body:
            raise InputError(f"{name}: expected a row like '12 mths' below the header, got nothing")
        lengths = _lengths(name, _values(name, body[0], len(ends), width))
        body = body[1:]
    periods = tuple(map(Period, ends, lengths))
    return _read_body(name, statement, body, periods, width)


def _header(name: str, cells: list[str]) -> list[date]:
    """Year ends of the header; what stands after them must be empty."""
    texts = cells[1:]
    while texts and not texts[-1]:
        texts.pop()
    ends = []
    for text in texts:
        end = period_end(text)
        if end is None:
            raise InputError(f"{name}: expected a header like 'Mar 23', got {text!r:.60}")
        ends.append(end)
    return ends


def _lengths(name: str, texts: list[str]) -> list[int]:
    lengths = []
    for text in texts:
        months = months_of(text)
        if months is None:
            raise InputError(f"{name}: expected a period like '12 mths', got {text!r:.60}")
        lengths.append(months)
    return lengths


def _values(name: str, cells: list[str], count: int, width: int) -> list[str]:
    """The cells of a row below the years; an empty cell after them is usual.

    One cell less than the header has may be that empty one, or a value: the last one tells.
    """
    fits = len(cells) == width or (len(cells) == count + 1 and cells[-1])
    if not fits or any(cells[count + 1 :]):
        raise InputError(
            f"{name}, line {cells[0]!r:.80}: expected {count} values, got {cells[1:]!r:.200}"
        )
    return cells[1 : count + 1]


def _read_body(
    name: str, statement: str, rows: list[list[str]], periods: tuple[Period, ...], width: int
) -> Table:
    index = INDEXES[statement]
    part = OWED if statement == "balance_sheet" else ""
    amounts: dict[str, Amounts] = {}
    unknown: dict[str, None] = {}
    for cells in rows:
        label, key = cells[0], key_of(cells[0])
        if not any(cells[1:]):
            if part != END:
                part = index.parts.get(key, part)
            if key not in index.sections and key not in index.known and not _is_source(label):
                unknown[label] = None
            continue
        values = _values(name, cells, len(periods), width)
        if key not in index.known:
            unknown[label or "(no label)"] = None
        elif index.takes(key, part) and key not in amounts:  # some stand again further down
            amounts[key] = tuple(amount_of(name, label, text) for text in values)
    return Table(periods, amounts, tuple(unknown))


def _is_source(label: str) -> bool:
    return label.casefold().startswith("source")


# -- files of a user --------------------------------------------------------------------------


def is_page(path: Path) -> bool:
    """Whether a file is a saved statement page; told by its first megabyte."""
    head = _head(path)
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") and b"mctable1" in head


def is_api(path: Path) -> bool:
    """Whether a file is a saved answer of the interface; told by its first megabyte."""
    head = _head(path)
    opens = head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    return opens and any(f'"{result}"'.encode() in head for _, result in RESULTS)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_HEAD)


def read_page(path: Path, company: str | None = None) -> tuple[pa.Table, tuple[str, ...]]:
    """Rows of a statements file out of a saved page or answer, and lines to be read.

    Args:
        path: the file.
        company: company_id; else made from the name on the page. An answer has none.

    Raises:
        InputError: as `parse_page` and `parse_api`; an answer without `company`; no amounts.
    """
    require_file(path, MAX_BYTES)
    data, from_api = path.read_bytes(), is_api(path)
    name = str(path)
    if from_api:
        pages = parse_api(data, name, statement_told(data, name))
    else:
        pages = (parse_page(data, name),)
    named = next((page.company_name for page in pages if page.company_name), None)
    company_id = company or (slug(named) if named else None)
    if company_id is None:
        raise InputError(f"{path}: does not name its company; say which it is with --company ID")
    rows = [
        _row(cell, company_id, named or company_id, API_SOURCE if from_api else PAGE_SOURCE)
        for page in pages
        for cell in page.cells
    ]
    if not rows:
        kinds = " and ".join(dict.fromkeys(page.statement for page in pages)) or "nothing"
        raise InputError(f"{path}: expected amounts of a statement, got {kinds} without any")
    return pa.Table.from_pylist(rows), _notices(pages, company_id)


def _row(cell: Cell, company_id: str, company: str, source: str) -> dict[str, str]:
    return {
        "company_id": company_id,
        "company_name": company,
        "fiscal_year_end": str(cell.fiscal_year_end),
        "months": str(cell.months),
        "basis": cell.basis,
        "unit": "INR crore",
        "item": cell.item,
        "value": repr(cell.value),
        "note": cell.note,
        "source": source,
    }


def _notices(pages: Iterable[Page], company_id: str) -> tuple[str, ...]:
    lines = []
    for page in pages:
        what = f"{page.basis} {page.statement.replace('_', ' ')}"
        years = f"{min(page.years):%b %Y} to {max(page.years):%b %Y}"
        lines.append(f"{what}, {years}, imported as company {company_id}")
        lines += [f"{what}: {notice}" for notice in page.notices]
        if page.unknown_labels:
            listed = ", ".join(repr(label[:60]) for label in page.unknown_labels[:8])
            lines.append(f"{what}: {len(page.unknown_labels)} lines not known: {listed}")
    return tuple(lines)
