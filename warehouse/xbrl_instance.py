"""The bytes of an XBRL instance, into its contexts, units, texts and amounts, untouched.

Nothing outside the document is read, no entity is expanded, and only what the forms of
`warehouse.xbrl_lines` take is kept.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import NamedTuple

from lxml import etree

from warehouse.errors import InputError
from warehouse.formats import EARLIEST, LARGEST_CRORE
from warehouse.xbrl_lines import ENTRY_POINTS, FORMS, NAMED, TEXTS

MAX_BYTES = 64 * 1024**2
RUPEES_PER_CRORE = 1e7

QUARTER, YEAR_TO_DATE, PERIOD_END = "OneD", "FourD", "OneI"
_PRIOR_YEAR = "PY"  # every context of the year before has an id that begins so


class Span(NamedTuple):
    """First and last day of a period."""

    start: date
    end: date

    def __str__(self) -> str:
        return f"{self.start}..{self.end}"

    @property
    def months(self) -> int:
        """Whole months, a part of thirty days or so rounded."""
        after = self.end + timedelta(days=1)
        whole = (after.year - self.start.year) * 12 + after.month - self.start.month
        return round(whole + (after.day - self.start.day) / 30)


class Context(NamedTuple):
    """A context without dimensions; one that the file refers to but lacks has no dates."""

    declared: Span | None = None
    instant: date | None = None
    identifier: str = ""
    scheme: str = ""


@dataclass(frozen=True)
class Instance:
    """What the instance holds that we may want, untouched; `notices` grows as it is read."""

    name: str
    contexts: Mapping[str, Context]
    units: Mapping[str, bool]
    texts: Mapping[str, Mapping[str, list[str]]]
    amounts: Mapping[str, list[tuple[str, etree._Element]]]
    elements: frozenset[str]
    template: str | None
    notices: list[str]


_XBRLI = "{http://www.xbrl.org/2003/instance}"
_ROOT, _CONTEXT, _UNIT = f"{_XBRLI}xbrl", f"{_XBRLI}context", f"{_XBRLI}unit"
_MEASURE, _ENTITY, _PERIOD = f"{_XBRLI}measure", f"{_XBRLI}entity", f"{_XBRLI}period"
_SEGMENT, _SCENARIO = f"{_XBRLI}segment", f"{_XBRLI}scenario"
_IDENTIFIER, _INSTANT = f"{_XBRLI}identifier", f"{_XBRLI}instant"
_FIRST_DAY, _LAST_DAY = f"{_XBRLI}startDate", f"{_XBRLI}endDate"
_SCHEMA_REF = "{http://www.xbrl.org/2003/linkbase}schemaRef"
_HREF = "{http://www.w3.org/1999/xlink}href"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_ISO4217 = "http://www.xbrl.org/2003/iso4217"
_XINCLUDE = "{http://www.w3.org/2001/XInclude}*"
# Namespaces of facts, with a date and a name behind it that change from year to year.
_TAXONOMY = re.compile(
    r"\{https?://(?:www\.)?(?:bseindia\.com/xbrl/fin|sebi\.gov\.in/xbrl)(?:/[^}]*)?\}(.+)"
)
# What `_fact_name` said of each qualified name: filings share some 500 of them.
_SEEN: dict[object, str | None] = {}
_MOST_SEEN, _LONGEST_SEEN = 4096, 400
_TEMPLATE = re.compile(r"/IntegratedFinance_(\w+)/")
_ENCODING = re.compile(rb"""<\?xml\s[^>]*?\bencoding\s*=\s*["']([^"']*)["']""")
_ENCODINGS = {
    "utf-8": "utf-8",
    "utf8": "utf-8",
    "us-ascii": "us-ascii",
    "ascii": "us-ascii",
    "iso-8859-1": "iso-8859-1",
    "latin-1": "iso-8859-1",
    "latin1": "iso-8859-1",
    "windows-1252": "windows-1252",
    "cp1252": "windows-1252",
}
_SPACE = re.compile(rb"\s*+")
_MISC = re.compile(rb"\s*+(<!--|<\?)")
# Filings have some 15 namespaces and 4 units: a unit is checked against all namespaces.
_MOST_SETTINGS = 1_000


def prolog_end(data: bytes) -> int:
    """Where the declaration, comments and processing instructions before the root end."""
    at = 3 if data.startswith(b"\xef\xbb\xbf") else 0
    while found := _MISC.match(data, at):
        closing = b"-->" if found[1] == b"<!--" else b"?>"
        end = data.find(closing, found.end())
        if end < 0:
            break
        at = end + len(closing)
    blank = _SPACE.match(data, at)
    return blank.end() if blank else at


def _encoding(data: bytes, name: str) -> str:
    declared = _ENCODING.match(data.removeprefix(b"\xef\xbb\xbf")[:1000])
    said = declared[1].decode("latin-1").strip().lower() if declared else "utf-8"
    if said not in _ENCODINGS:
        raise InputError(
            f"{name}: expected the encoding UTF-8, ASCII, Latin-1 or windows-1252, got {said!r:.60}"
        )
    return _ENCODINGS[said]


def _root(data: bytes, name: str) -> etree._Element:
    """The root of the document; nothing outside it is read and no entity is expanded."""
    if len(data) > MAX_BYTES:
        raise InputError(f"{name}: {len(data):,} bytes; files of up to {MAX_BYTES:,} are read")
    if data.startswith((b"\xff\xfe", b"\xfe\xff", b"\0\0")) or data[1:2] == b"\0":
        raise InputError(f"{name}: expected the encoding UTF-8, got UTF-16 or UTF-32")
    at = prolog_end(data)
    if data.startswith(b"<!", at):
        raise InputError(f"{name}: expected no DOCTYPE and no entities, got {data[at : at + 40]!r}")
    if not data.startswith(b"<", at):
        raise InputError(f"{name}: expected XML, got {data[at : at + 40]!r}")
    parser = etree.XMLParser(
        encoding=_encoding(data, name),
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = etree.fromstring(data, parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        raise InputError(f"{name}: not well-formed XML: {str(error)[:200]}") from None
    if root.tag != _ROOT:
        raise InputError(f"{name}: expected the root {_ROOT}, got {root.tag!r:.80}")
    if root.getroottree().docinfo.doctype or next(root.iter(_XINCLUDE), None) is not None:
        raise InputError(f"{name}: expected one self-contained document, got DOCTYPE or XInclude")
    return root


def _fact_name(tag: object) -> str | None:
    """Local name of a fact that we may want; empty for other facts, None for what is no fact."""
    found = _TAXONOMY.fullmatch(tag) if isinstance(tag, str) else None
    local = (found[1] if found[1] in NAMED else "") if found else None
    if len(_SEEN) < _MOST_SEEN and len(str(tag)) < _LONGEST_SEEN:
        _SEEN[tag] = local
    return local


def read_instance(data: bytes, name: str) -> Instance:
    """One walk over the children of the root; only what may be wanted is kept."""
    root = _root(data, name)
    namespaces = root.nsmap.values()
    if len(namespaces) > _MOST_SETTINGS:
        raise InputError(f"{name}: expected at most {_MOST_SETTINGS:,} namespaces")
    contexts: dict[str, etree._Element] = {}
    units: dict[str, bool] = {}
    texts: dict[str, dict[str, list[str]]] = defaultdict(dict)
    amounts: dict[str, list[tuple[str, etree._Element]]] = defaultdict(list)
    elements: set[str] = set()
    seen = _SEEN
    schema = ""
    for element in root.iterchildren("*"):
        tag = element.tag
        local = seen[tag] if tag in seen else _fact_name(tag)
        if local is None:
            schema = _setting(name, element, contexts, units) or schema
        elif local:
            elements.add(local)
            if local in TEXTS:
                said = " ".join((element.text or "").split())
                if said:
                    key = element.get("contextRef", "")
                    texts[local].setdefault(key, []).append(said)
            else:
                amounts[element.get("contextRef", "")].append((local, element))
    return Instance(
        name,
        _plain(contexts, amounts.keys() | {key for said in texts.values() for key in said}),
        units,
        dict(texts),
        dict(amounts),
        frozenset(elements),
        _template(namespaces, schema),
        [],
    )


def _setting(
    name: str,
    element: etree._Element,
    contexts: dict[str, etree._Element],
    units: dict[str, bool],
) -> str:
    """Note a context or unit; the address of the taxonomy, if the element is that."""
    tag, key = element.tag, element.get("id", "")
    if tag == _CONTEXT:
        other = contexts.setdefault(key, element)
        if other is not element and _context(other) != _context(element):
            raise InputError(
                f"{name}, line {element.sourceline}: the context {key!r:.60} is declared twice"
            )
    elif tag == _UNIT:
        if key in units or len(units) == _MOST_SETTINGS:
            raise InputError(
                f"{name}, line {element.sourceline}: the unit {key!r:.60} is declared twice, or is"
                f" one of more than {_MOST_SETTINGS:,}"
            )
        units[key] = _is_inr(element)
    return element.get(_HREF, "") if tag == _SCHEMA_REF else ""


def _is_inr(unit: etree._Element) -> bool:
    """Whether a unit is one measure, the rupee of ISO 4217; a prefix may be called anything."""
    if len(unit) != 1 or unit[0].tag != _MEASURE:
        return False
    prefix, _, currency = (unit[0].text or "").strip().rpartition(":")
    return currency == "INR" and unit.nsmap.get(prefix or None) == _ISO4217


def _plain(contexts: Mapping[str, etree._Element], used: Iterable[str]) -> dict[str, Context]:
    """The contexts in use that have no dimensions and are not of the year before."""
    plain = {}
    for key in sorted(used):
        if key.startswith(_PRIOR_YEAR):
            continue
        if key in contexts:
            context = _context(contexts[key])
            if context is not None:
                plain[key] = context
        elif key in (QUARTER, YEAR_TO_DATE, PERIOD_END):
            plain[key] = Context()
    return plain


def _context(element: etree._Element) -> Context | None:
    """A context as declared; None if it has dimensions."""
    if not len(element) or (element[-1].tag == _SCENARIO and len(element[-1])):
        return None
    dates: dict[object, str | None] = {}
    identifier = scheme = ""
    for child in element:
        tag = child.tag
        if tag == _PERIOD:
            dates = {part.tag: part.text for part in child}
        elif tag == _ENTITY:
            for part in child:
                if part.tag == _IDENTIFIER:
                    identifier, scheme = (part.text or "").strip(), part.get("scheme", "")
                elif part.tag == _SEGMENT and len(part):
                    return None
        elif tag == _SCENARIO and len(child):
            return None
    start, end, instant = (day_of(dates.get(part)) for part in (_FIRST_DAY, _LAST_DAY, _INSTANT))
    span = Span(start, end) if start and end and start <= end else None
    return Context(span, instant, identifier, scheme)


_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def day_of(text: str | None) -> date | None:
    """A date YYYY-MM-DD that statements can have; None for anything else."""
    said = (text or "").strip()
    if not _ISO_DATE.fullmatch(said):
        return None
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return None
    return day if day >= EARLIEST and day.year <= 2100 else None


def _template(namespaces: Iterable[str], schema: str) -> str | None:
    """Name of the form as the entry point tells it; None if it does not."""
    found = _TEMPLATE.search(" ".join(namespaces))
    if found:
        return next((form.name for form in FORMS if form.template == found[1]), None)
    entry = schema.rsplit("/", 1)[-1].lower()
    return next((form for begin, form in ENTRY_POINTS if entry.startswith(begin)), None)


def texts_of(instance: Instance, element: str, contexts: Iterable[str]) -> list[str]:
    """What a text element says in these contexts, each saying once."""
    said = instance.texts.get(element)
    if not said:
        return []
    return list(dict.fromkeys(text for key in contexts if key in said for text in said[key]))


_LARGEST = LARGEST_CRORE * RUPEES_PER_CRORE


def decimal_of(text: str) -> float | None:
    """A finite decimal number; None for anything else."""
    if len(text) > 60 or text.strip("0123456789.+-eE"):  # float would take 1_000, nan and more
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if -_LARGEST <= number <= _LARGEST else None


def amount_of(instance: Instance, local: str, element: etree._Element) -> float | None:
    """Rupees of a fact; None if it is nil or empty.

    Raises:
        InputError: it is no number.
    """
    if element.get(_NIL) in ("true", "1"):
        return None
    text = (element.text or "").strip()
    amount = decimal_of(text)
    if len(element) or (text and amount is None):
        raise InputError(
            f"{instance.name}, line {element.sourceline}: {local}: expected a number of rupees of"
            f" at most {LARGEST_CRORE:,.0f} crore, got {text!r:.60}"
        )
    return amount
