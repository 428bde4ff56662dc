"""Which debtor is which listed company: companies, matches and events out of what was loaded.

All of it is a function of the warehouse's tables and of a person's decisions: it does not depend on
the order of loads or on the day, and a second run changes nothing.
"""

from __future__ import annotations

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeVar

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from rapidfuzz import fuzz, process

from scraping.identifiers import cin_of, isin_of, issuer_of
from scraping.names import PRIVATE_FORMS, Name, likeness, name_of
from scraping.parse import quoted
from warehouse.errors import InputError
from warehouse.exports import csv_safe
from warehouse.files import write_whole
from warehouse.readers import require_file

K = TypeVar("K")
V = TypeVar("V")
Certainty = Literal["certain", "probable", "ambiguous"]

CERTAINTIES: tuple[Certainty, ...] = ("ambiguous", "probable", "certain")
ALIKE = 88.0  # least likeness of two names that a person is asked about
CANDIDATES = 3  # most companies that a person is asked about for one debtor
# A name that NSE says was given up longer ago than this may be another company's by now.
GIVEN_UP = timedelta(days=730)
_PRIVATE_KINDS = frozenset({"PTC", "FTC", "OPC"})  # in a CIN: private companies, also of foreigners


@dataclass(frozen=True)
class Resolved:
    """What came of it.

    Attributes:
        companies: companies in the warehouse, a user's among them.
        certain: debtors as printed that are certainly one of them.
        probable: debtors that probably are.
        ambiguous: debtors of which a person is asked, or has said, who they are.
        events: insolvency events from scraped sources, of all debtors.
        notices: lines to be read.
    """

    companies: int
    certain: int
    probable: int
    ambiguous: int
    events: int
    notices: tuple[str, ...]


def resolve(connection: duckdb.DuckDBPyConnection, review: Path | None = None) -> Resolved:
    """Rewrite company, alias, index_member, debtor_match and insolvency_event, as far as scraped.

    To be called in a transaction, after the loads. A user's rows stay, and a company that a user
    has named keeps the user's company_id.

    Args:
        connection: an open warehouse.
        review: decisions of a person, as `write_review` writes them; without the file, none.

    Raises:
        InputError: the file of decisions is not what it must be.
    """
    decisions = read_review(review) if review is not None and review.exists() else ()
    _prepare(connection)
    connection.execute(_sql("resolve.sql"))
    book = _book(connection)
    debtors = _debtors(connection)
    decided = _by_debtor(decisions)
    matches = {d: _decide(d, found, decided, book) for d, found in match(debtors, book).items()}
    _write_matches(connection, matches)
    connection.execute(_sql("events.sql"))
    notices = (*_claim_notices(connection), *_debtor_notices(debtors, decisions, matches, book))
    best = Counter(found[0].certainty for found in matches.values() if found)
    companies, events = _count(connection, "company"), _count(connection, "told")
    connection.execute("".join(f"DROP TABLE {name};" for name in _TEMPORARY))
    return Resolved(
        companies, best["certain"], best["probable"], best["ambiguous"], events, notices
    )


_TEMPORARY = (
    *("share_isin", "spelling", "age", "announced", "share", "ranked", "found", "held", "named"),
    *("registered", "own", "claim", "identity", "coded", "best", "renamed", "debtor", "kind"),
    *("remark", "said", "ordered", "dated", "once", "told"),
)


def _sql(name: str) -> str:
    return files("scraping").joinpath(name).read_text(encoding="utf-8")


def _count(connection: duckdb.DuckDBPyConnection, table: str) -> int:
    rows = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
    return int(rows[0][0])


# What SQL cannot tell: which ISIN is right, and which spellings are one name.

_ISINS = """
SELECT isin FROM security UNION SELECT isin FROM constituent UNION
SELECT isin FROM moneycontrol_code UNION SELECT isin FROM company UNION
SELECT alias FROM alias WHERE kind = 'isin' ORDER BY ALL
"""
_NAMES = """
SELECT security_name FROM security UNION SELECT issuer_name FROM security UNION
SELECT security_name FROM constituent UNION SELECT company_name FROM company UNION
SELECT alias FROM alias WHERE kind = 'company_name' UNION
SELECT unnest([old, new]) FROM identity_change WHERE kind = 'name' UNION
SELECT company_name FROM registered_company
WHERE cin LIKE 'L%' AND lower(listing_status) = 'listed' ORDER BY ALL
"""


def _prepare(connection: duckdb.DuckDBPyConnection) -> None:
    """Temporary tables share_isin and spelling."""
    isins = [_share_isin(text) for text in _texts(connection, _ISINS)]
    _make(
        connection,
        "share_isin",
        [row for row in isins if row],
        "printed VARCHAR, isin VARCHAR, issuer VARCHAR, equity BOOLEAN",
    )
    spelt = [(text, name_of(text)) for text in _texts(connection, _NAMES)]
    _make(
        connection,
        "spelling",
        [(text, n.key, n.form in PRIVATE_FORMS) for text, n in spelt],
        "name VARCHAR, key VARCHAR, private BOOLEAN",
    )


def _texts(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    return [text for (text,) in connection.execute(sql).fetchall() if text is not None]


def _share_isin(printed: str) -> tuple[str, str, str, bool] | None:
    """ISIN, issuer and whether it is a share; None if it is no ISIN.

    IN9 stands for the shares of an INE issuer that are partly paid or have other votes; 01 after
    the issuer for shares, other numbers for debt, rights and units.
    """
    try:
        isin = isin_of(printed)
    except ValueError:
        return None
    equity = isin[:3] in ("INE", "IN9") and isin[7:9] == "01"
    return printed, isin, issuer_of("INE" + isin[3:] if equity else isin), equity


def _make(
    connection: duckdb.DuckDBPyConnection,
    table: str,
    rows: Sequence[tuple[object, ...]],
    columns: str,
) -> None:
    """A temporary table of these rows."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({columns})")
    if rows:
        names = [column.split()[0] for column in columns.split(", ")]
        _insert(connection, table, [dict(zip(names, row, strict=True)) for row in rows])


def _insert(
    connection: duckdb.DuckDBPyConnection, table: str, rows: list[dict[str, object]]
) -> None:
    connection.register("incoming_rows", pa.Table.from_pylist(rows))
    try:
        connection.execute(f"INSERT INTO {table} BY NAME FROM incoming_rows")
    finally:
        connection.unregister("incoming_rows")


# What is known of companies and debtors.


@dataclass(frozen=True)
class Known:
    """A name of a company; `given_up`: the day from which it no longer was."""

    company_id: str
    name: Name
    given_up: date | None = None


@dataclass(frozen=True)
class Debtor:
    """A debtor as printed.

    Attributes:
        printed: the name.
        printed_cin: its CIN, "" without.
        cin: the same if it is one, "" otherwise.
        since: the first announcement of this debtor or a namesake; None if only orders name it.
    """

    printed: str
    printed_cin: str
    cin: str
    since: date | None = None

    @cached_property
    def name(self) -> Name:
        """The name as it is compared."""
        return name_of(self.printed)

    @property
    def kin(self) -> tuple[str, str]:
        """What debtors have in common that are spelled differently: key and legal form."""
        return self.name.key, self.name.form

    @property
    def is_private(self) -> bool:
        """Whether its shares cannot be listed, by its name or by its CIN."""
        return self.name.form in PRIVATE_FORMS or self.cin[12:15] in _PRIVATE_KINDS


@dataclass(frozen=True)
class Match:
    """A company that a debtor may be; `how` says by what, `score` how alike the names are."""

    company_id: str
    certainty: Certainty
    score: float
    how: str
    decision: str | None = None


@dataclass(frozen=True)
class Book:
    """All companies, to look debtors up in.

    Attributes:
        names: every name of every company.
        cins: CIN -> companies.
        listed_on: company -> first day on an exchange, where known.
        delisted: companies that every list that has them calls delisted.
        titles: company -> name, of all companies.
    """

    names: tuple[Known, ...]
    cins: Mapping[str, tuple[str, ...]]
    listed_on: Mapping[str, date]
    delisted: frozenset[str]
    titles: Mapping[str, str]

    @cached_property
    def by_key(self) -> Mapping[str, tuple[Known, ...]]:
        """Names by what makes spellings equal; a private company's name is not looked up."""
        public = [k for k in self.names if k.name.form not in PRIVATE_FORMS]
        return _grouped((known.name.key, known) for known in public)

    @cached_property
    def by_company(self) -> Mapping[str, tuple[Known, ...]]:
        """Names of each company."""
        return _grouped((known.company_id, known) for known in self.names)

    @cached_property
    def by_number(self) -> Mapping[str, tuple[str, ...]]:
        """Companies by state, year and number of registration."""
        return _grouped((number_of(cin), c) for cin, ids in self.cins.items() for c in ids)

    @cached_property
    def numbers(self) -> Mapping[str, tuple[str, ...]]:
        """State, year and number of registration of each company whose CIN is known."""
        return _grouped((c, number_of(cin)) for cin, ids in self.cins.items() for c in ids)


def _grouped(pairs: Iterable[tuple[K, V]]) -> Mapping[K, tuple[V, ...]]:
    groups: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}


def number_of(cin: str) -> str:
    """State, year and number of a CIN: they stay when a company is listed or changes its trade."""
    return cin[6:12] + cin[15:]


_BOOK_NAMES = """
SELECT company_id, name, min(given_up) AS given_up FROM (
    SELECT i.company_id, n.name, n.given_up FROM named n JOIN identity i USING (found_id)
    UNION ALL SELECT company_id, alias, NULL FROM own WHERE kind = 'company_name'
) GROUP BY ALL ORDER BY ALL
"""
_BOOK_CINS = """
SELECT i.company_id, r.cin FROM registered r JOIN identity i USING (found_id)
UNION SELECT company_id, alias FROM own WHERE kind = 'cin' ORDER BY ALL
"""
_BOOK_FACTS = """
SELECT i.company_id, min(f.listed_on), bool_and(f.delisted)
FROM found f JOIN identity i USING (found_id) GROUP BY ALL ORDER BY ALL
"""


def _book(connection: duckdb.DuckDBPyConnection) -> Book:
    names = []
    for company_id, text, given_up in connection.execute(_BOOK_NAMES).fetchall():
        name = name_of(text)
        names += [Known(company_id, n, given_up) for n in (name, *name.others) if n.key]
    pairs = connection.execute(_BOOK_CINS).fetchall()
    facts = connection.execute(_BOOK_FACTS).fetchall()
    return Book(
        names=tuple(names),
        cins=_grouped((cin, company_id) for company_id, text in pairs if (cin := _cin(text))),
        listed_on={company_id: day for company_id, day, _ in facts if day is not None},
        delisted=frozenset(company_id for company_id, _, delisted in facts if delisted),
        titles=dict(connection.execute("SELECT company_id, company_name FROM company").fetchall()),
    )


def _cin(text: str) -> str:
    """The CIN, or "" if it is none."""
    try:
        return cin_of(text)
    except ValueError:
        return ""


_DEBTORS = """
SELECT debtor_name, cin, min(since) FROM (
    SELECT debtor_name, coalesce(cin, '') AS cin, announced_on AS since FROM announced
    UNION ALL
    SELECT debtor_name, '', NULL FROM insolvency_order WHERE debtor_name IS NOT NULL
) GROUP BY ALL ORDER BY ALL
"""


def _debtors(connection: duckdb.DuckDBPyConnection) -> list[Debtor]:
    """Every debtor as printed. One without a CIN has that of its namesakes, if it is one."""
    printed = connection.execute(_DEBTORS).fetchall()
    debtors = [Debtor(name, text, _cin(text), since) for name, text, since in printed]
    cins = _cins_of_kin(debtors)
    days = _grouped((d.kin, d.since) for d in debtors if d.since is not None)
    return [
        replace(
            debtor,
            cin=debtor.cin or (cins[debtor.kin][0] if len(cins[debtor.kin]) == 1 else ""),
            since=debtor.since or min(days.get(debtor.kin, ()), default=None),
        )
        if debtor.name.key
        else debtor
        for debtor in debtors
    ]


def _cins_of_kin(debtors: Iterable[Debtor]) -> Mapping[tuple[str, str], list[str]]:
    cins: dict[tuple[str, str], set[str]] = defaultdict(set)
    for debtor in debtors:
        cins[debtor.kin] |= {debtor.cin} - {""}
    return {kin: sorted(found) for kin, found in cins.items()}


# The rules: from what is certain to what a person is asked.


def match(debtors: Sequence[Debtor], book: Book) -> dict[Debtor, tuple[Match, ...]]:
    """Companies that each debtor may be, best first: one if accepted, several to be asked about.

    A wrong match is worse than none, so doubt of any kind makes it ambiguous.
    """
    cins = _cins_of_kin(debtors)
    found: dict[Debtor, tuple[Match, ...] | None] = {}
    for debtor in debtors:
        # A name without a CIN that announcements give several CINs is as doubtful as the worst.
        as_if = [replace(debtor, cin=cin) for cin in cins[debtor.kin]] if not debtor.cin else []
        found[debtor] = min((judge(d, book) for d in as_if or [debtor]), key=_standing)
    alike = _alike([d for d, matches in found.items() if matches is None], book)
    judged = {d: alike.get(d, ()) if m is None else m for d, m in found.items()}
    return _worth_asking(_by_shared_cin(judged, book))


def _worth_asking(found: Mapping[Debtor, tuple[Match, ...]]) -> dict[Debtor, tuple[Match, ...]]:
    """The same without doubts about debtors that only orders name, as any party's name may be.

    An order tells of a process that was announced, so only the companies of announced debtors are
    worth a person's time.
    """
    announced = {m.company_id for d, ms in found.items() if d.since is not None for m in ms}
    return {
        d: ms
        if d.since is not None or _standing(ms) > 0
        else tuple(m for m in ms if m.company_id in announced)
        for d, ms in found.items()
    }


def _standing(matches: tuple[Match, ...] | None) -> int:
    return CERTAINTIES.index(matches[0].certainty) if matches else -1


def judge(debtor: Debtor, book: Book) -> tuple[Match, ...] | None:
    """What CIN and exact name tell of a debtor; None where only likeness is left to look at."""
    if debtor.cin in book.cins:
        return _by_cin(debtor, book)
    listed = debtor.cin.startswith("L")
    if not debtor.name.key or (debtor.is_private and not listed):
        return ()
    if named := _named(debtor.name, book):
        return _by_name(debtor, named, book)
    if debtor.is_private:
        return ()
    if debtor.cin and (same := book.by_number.get(number_of(debtor.cin))):
        return _by_number(debtor, same, book)
    return None


def _by_cin(debtor: Debtor, book: Book) -> tuple[Match, ...]:
    companies = book.cins[debtor.cin]
    certainty: Certainty = "ambiguous"
    if len(companies) > 1:
        how = f"CIN of {len(companies)} companies"
    elif debtor.name.form in PRIVATE_FORMS:
        how = "CIN, but a private company's name"  # a creditor's CIN may stand in its place
    else:
        certainty, how = "certain", "CIN"
    return tuple(Match(c, certainty, 100.0, how) for c in companies)


def _named(name: Name, book: Book) -> tuple[Known, ...]:
    return tuple(known for n in (name, *name.others) for known in book.by_key.get(n.key, ()))


def _by_name(debtor: Debtor, named: tuple[Known, ...], book: Book) -> tuple[Match, ...]:
    companies = sorted({known.company_id for known in named})
    if len(companies) > 1:
        how = f"name of {len(companies)} companies"
        return tuple(Match(c, "ambiguous", 100.0, how) for c in companies)
    certainty, how = _of_one_name(debtor, named, book)
    return (Match(companies[0], certainty, 100.0, how),)


def _of_one_name(debtor: Debtor, named: Sequence[Known], book: Book) -> tuple[Certainty, str]:
    """How sure an exact name that one company alone has makes it: the first rule that holds."""
    company, cin = named[0].company_id, debtor.cin
    numbers = book.numbers.get(company, ())
    listed_on = book.listed_on.get(company)
    late = bool(cin and listed_on and int(cin[8:12]) > listed_on.year)
    delisted = company in book.delisted and listed_on is not None
    rules: tuple[tuple[bool, Certainty, str], ...] = (
        (debtor.is_private, "ambiguous", "name, listed CIN, but a private company"),
        (
            bool(cin and numbers and number_of(cin) not in numbers),
            "ambiguous",
            "name, but not the company's CIN",
        ),
        (late, "ambiguous", "name, but registered after the listing"),
        (_long_given_up(debtor, named), "ambiguous", "name that the company had given up"),
        (cin.startswith("L"), "certain", "name and listed CIN"),
        (bool(cin and numbers), "probable", "name and number of registration"),
        # A company that is delisted gets a U in its CIN, so this may well be the one that was on
        # the exchange: no two companies have one name at one time. But a name is free again when
        # its company is merged or dissolved. Only a namesake that was registered before the
        # listing can be told from a later one; without the day of the listing a person is asked.
        (bool(cin) and delisted, "probable", "name, unlisted CIN, company delisted"),
        (bool(cin), "ambiguous", "name, but unlisted CIN"),
        (debtor.name.form == "public", "probable", "name, no CIN"),
        (True, "ambiguous", "name without legal form, no CIN"),
    )
    return next((certainty, how) for holds, certainty, how in rules if holds)


def _long_given_up(debtor: Debtor, named: Iterable[Known]) -> bool:
    since = debtor.since
    return since is not None and all(
        known.given_up is not None and known.given_up < since - GIVEN_UP for known in named
    )


def _by_number(debtor: Debtor, companies: Sequence[str], book: Book) -> tuple[Match, ...]:
    """Another letter or trade in the CIN, the same registration; the name must be alike too."""
    scored = [(_best_likeness(debtor.name, c, book), c) for c in sorted(set(companies))]
    if len(scored) == 1 and scored[0][0] >= ALIKE:
        score, company = scored[0]
        return (Match(company, "probable", score, "number of registration and similar name"),)
    how = "number of registration, another name"
    return tuple(Match(c, "ambiguous", score, how) for score, c in sorted(scored, reverse=True))


def _best_likeness(name: Name, company_id: str, book: Book) -> float:
    known = book.by_company.get(company_id, ())
    return max((likeness(name, k.name) for k in known), default=0.0)


def _by_shared_cin(
    found: Mapping[Debtor, tuple[Match, ...]], book: Book
) -> dict[Debtor, tuple[Match, ...]]:
    """What one spelling of a name tells of the others that are printed with the same CIN.

    Names of two companies under one CIN make each doubtful. A name that is like no name of the
    company may stand under its CIN by mistake: debtors of one group share a professional.
    """
    by_cin = _grouped((d.cin, m[0]) for d, m in found.items() if d.cin and _standing(m) > 0)
    told = {d: m for d, m in found.items() if d.cin in by_cin and d.cin not in book.cins}
    return {**found, **{d: _shared(d, m, by_cin[d.cin], book) for d, m in told.items()}}


def _shared(
    debtor: Debtor, matches: tuple[Match, ...], accepted: Sequence[Match], book: Book
) -> tuple[Match, ...]:
    companies = sorted({match.company_id for match in accepted})
    if len(companies) > 1:
        how = f"CIN printed with names of {len(companies)} companies"
        scored = ((c, _best_likeness(debtor.name, c, book)) for c in companies)
        return tuple(Match(c, "ambiguous", score, how) for c, score in scored)
    if _standing(matches) > 0:
        return matches
    score = _best_likeness(debtor.name, companies[0], book)
    if score >= ALIKE and debtor.name.form not in PRIVATE_FORMS:
        certainty = min((m.certainty for m in accepted), key=CERTAINTIES.index)
        return (Match(companies[0], certainty, score, "CIN of a spelling that is matched"),)
    how = "CIN of a debtor that is matched, another name"
    return (Match(companies[0], "ambiguous", score, how),)


_BATCH = 1000


def _alike(debtors: Sequence[Debtor], book: Book) -> dict[Debtor, tuple[Match, ...]]:
    """Companies of a similar name, to be asked about.

    Only for names of public companies, and not for short ones: of "KSS" and "KSL" nobody
    can tell by likeness.
    """
    known = [k for ks in book.by_key.values() for k in ks if not k.name.is_short]
    asked = [
        d
        for d in debtors
        if not d.name.is_short and (d.name.form == "public" or d.cin.startswith("L"))
    ]
    texts = [k.name.sorted_words for k in known]
    found: dict[Debtor, dict[str, float]] = {}
    for at in range(0, len(asked), _BATCH):
        batch = asked[at : at + _BATCH]
        scores = process.cdist(
            [d.name.sorted_words for d in batch],
            texts,
            scorer=fuzz.ratio,
            score_cutoff=ALIKE,
            dtype=np.uint8,
            workers=-1,
        )
        for row, column in zip(*np.nonzero(scores), strict=True):
            _keep(found.setdefault(batch[row], {}), batch[row], known[column], book)
    return {d: _best_alike(companies) for d, companies in found.items()}


def _keep(companies: dict[str, float], debtor: Debtor, known: Known, book: Book) -> None:
    score = likeness(debtor.name, known.name)
    numbers = book.numbers.get(known.company_id, ())
    another = debtor.cin and numbers and number_of(debtor.cin) not in numbers
    if score >= ALIKE and not another:
        companies[known.company_id] = max(score, companies.get(known.company_id, 0.0))


def _best_alike(companies: Mapping[str, float]) -> tuple[Match, ...]:
    best = sorted(companies.items(), key=lambda item: (-item[1], item[0]))[:CANDIDATES]
    return tuple(Match(c, "ambiguous", score, "similar name") for c, score in best)


# What a person decided.

COLUMNS = (
    "debtor_name",
    "cin",
    "company_id",
    "company_name",
    "score",
    "how",
    "decision",
    "note",
)
_RUN_BY_SPREADSHEETS = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True)
class Decision:
    """A row of the file of decisions: its number in the file and its cells, without the guard."""

    number: int
    cells: Mapping[str, str]

    @property
    def answer(self) -> str:
        """yes, no, or "" where nothing is decided."""
        return self.cells["decision"].strip().lower()

    @property
    def debtor(self) -> tuple[str, str, str]:
        """Key and legal form of the debtor's name, and its CIN."""
        name = name_of(self.cells["debtor_name"])
        return name.key, name.form, _cin(self.cells["cin"])

    @property
    def company_id(self) -> str:
        """The company that it is about."""
        return self.cells["company_id"].strip()


def read_review(review: Path) -> tuple[Decision, ...]:
    """The rows of a file of decisions.

    Raises:
        InputError: not the known columns, an unknown decision, a row that contradicts another.
    """
    require_file(review)
    try:
        text = review.read_bytes().decode("utf-8-sig")
        records = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except UnicodeDecodeError:
        raise InputError(f"{review}: expected UTF-8 text; save it as CSV UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{review}: not readable as CSV: {error}") from None
    if tuple(records[0]) != COLUMNS:
        raise InputError(
            f"{review}, row 1: expected the columns {', '.join(COLUMNS)},"
            f" got {quoted(', '.join(records[0]))}"
        )
    rows = tuple(_decision(review, n, r) for n, r in enumerate(records[1:], 2) if any(r))
    _require_consistent(review, rows)
    return rows


def _decision(review: Path, number: int, record: list[str]) -> Decision:
    if len(record) != len(COLUMNS):
        raise InputError(
            f"{review}, row {number}: expected {len(COLUMNS)} columns, got {len(record)}"
        )
    cells = dict(zip(COLUMNS, map(_without_guard, record), strict=True))
    for name in ("debtor_name", "company_id"):
        if not cells[name].strip():
            raise InputError(f"{review}, row {number}, column {name}: expected one, got nothing")
    if cells["cin"].strip() and not _cin(cells["cin"]):
        raise InputError(
            f"{review}, row {number}, column cin: expected a CIN or nothing, got"
            f" {quoted(cells['cin'])}"
        )
    decision = Decision(number, cells)
    if decision.answer not in ("", "yes", "no"):
        raise InputError(
            f"{review}, row {number}, column decision: expected yes, no or nothing, got"
            f" {quoted(cells['decision'])}"
        )
    return decision


def _without_guard(cell: str) -> str:
    """A cell without the apostrophe that keeps a spreadsheet from running it."""
    return cell[1:] if cell[:1] == "'" and cell[1:2] in _RUN_BY_SPREADSHEETS else cell


def _require_consistent(review: Path, rows: Iterable[Decision]) -> None:
    said: dict[tuple[tuple[str, str, str], str], Decision] = {}
    yes: dict[tuple[str, str, str], Decision] = {}
    for row in rows:
        if not row.answer:
            continue
        before = said.setdefault((row.debtor, row.company_id), row)
        if row.answer == "yes" and before.answer == "yes":
            before = yes.setdefault(row.debtor, row)
        if (before.answer, before.company_id) != (row.answer, row.company_id):
            raise InputError(
                f"{review}, row {row.number}: {row.answer} for {quoted(row.company_id)}, but row"
                f" {before.number} says {before.answer} for {quoted(before.company_id)} of the"
                f" debtor {quoted(row.cells['debtor_name'])}; expected one company at most"
            )


Decided = Mapping[tuple[str, str, str], Mapping[str, str]]


def _by_debtor(decisions: Iterable[Decision]) -> Decided:
    pairs = ((d.debtor, (d.company_id, d.answer)) for d in decisions if d.answer)
    return {debtor: dict(said) for debtor, said in _grouped(pairs).items()}


def _decide(
    debtor: Debtor, found: tuple[Match, ...], decided: Decided, book: Book
) -> tuple[Match, ...]:
    """The companies found, with what a person decided: a yes puts all others aside.

    A decision holds for every spelling of the debtor's name that is the same name.
    """
    said: dict[str, str] = {}
    for cin in (_cin(debtor.printed_cin), debtor.cin):  # the latter may be that of its namesakes
        said |= decided.get((*debtor.kin, cin), {})
    yes = [c for c, answer in sorted(said.items()) if answer == "yes" and c in book.titles]
    if yes:
        score = _best_likeness(debtor.name, yes[0], book)
        chosen = [m for m in found if m.company_id == yes[0]]
        match = chosen[0] if chosen else Match(yes[0], "ambiguous", score, "decision")
        return (replace(match, decision="yes"),)
    return tuple(replace(m, decision=said.get(m.company_id)) for m in found)


def _accepted(matches: Sequence[Match]) -> str | None:
    """The company that a debtor is; None if that is not known."""
    for found in matches:
        if found.decision == "yes" or (found.certainty != "ambiguous" and found.decision is None):
            return found.company_id
    return None


def _write_matches(
    connection: duckdb.DuckDBPyConnection, matches: Mapping[Debtor, Sequence[Match]]
) -> None:
    """Table debtor_match, and for the events the temporary table debtor."""
    connection.execute("DELETE FROM debtor_match")
    rows: list[dict[str, object]] = [
        {
            "debtor_name": debtor.printed,
            "cin": debtor.printed_cin,
            "company_id": found.company_id,
            "certainty": found.certainty,
            "score": round(found.score, 1),
            "how": found.how,
            "decision": found.decision,
        }
        for debtor, several in matches.items()
        for found in several
    ]
    if rows:
        _insert(connection, "debtor_match", rows)
    _make(
        connection,
        "debtor",
        [_debtor_row(debtor, _accepted(several)) for debtor, several in matches.items()],
        "debtor_name VARCHAR, printed VARCHAR, cin VARCHAR, name VARCHAR, ident VARCHAR,"
        " company_id VARCHAR",
    )


def _debtor_row(debtor: Debtor, company_id: str | None) -> tuple[object, ...]:
    """A row of the temporary table debtor: `ident` puts together what is told of one debtor."""
    name = "|".join(debtor.kin) if debtor.name.key else debtor.printed
    ident = f"company {company_id}" if company_id else debtor.cin or f"name {name}"
    return debtor.printed, debtor.printed_cin, debtor.cin, name, ident, company_id


# What a user should read.


def _claim_notices(connection: duckdb.DuckDBPyConnection) -> Iterator[str]:
    shared = connection.execute(
        "SELECT f.company_name, list(company_id ORDER BY rank, company_id) FROM claim"
        " JOIN found f USING (found_id) GROUP BY f.found_id, f.company_name"
        " HAVING count(*) > 1 ORDER BY ALL"
    ).fetchall()
    for name, (first, *others) in shared:
        yield f"{name} is named {len(others) + 1} times in your files: {first} is taken, not" + (
            f" {', '.join(others)}"
        )
    by_name = connection.execute(
        "SELECT DISTINCT company_id FROM claim WHERE rank = 5 ORDER BY ALL"
    ).fetchall()
    if by_name:
        listed = ", ".join(company_id for (company_id,) in by_name[:5])
        yield (
            f"{len(by_name)} companies of your files are taken for listed companies by their name"
            f" alone ({listed}{' …' if len(by_name) > 5 else ''}); a companies file with their ISIN"
            " makes it sure"
        )


def _debtor_notices(
    debtors: Sequence[Debtor],
    decisions: Iterable[Decision],
    matches: Mapping[Debtor, Sequence[Match]],
    book: Book,
) -> Iterator[str]:
    listed = {d.cin: _accepted(matches[d]) for d in debtors if d.printed_cin.startswith("L")}
    if listed:
        found = sum(company is not None for company in listed.values())
        yield f"{found:,} of {len(listed):,} debtors with a listed company's CIN are matched"
    for decision in decisions:
        if decision.answer == "yes" and decision.company_id not in book.titles:
            yield (
                f"decision on {quoted(decision.cells['debtor_name'])}: no company"
                f" {quoted(decision.company_id)} in the warehouse; not used"
            )


_UNDECIDED = """
SELECT m.debtor_name, m.cin, m.company_id, coalesce(c.company_name, '') AS company_name,
    CAST(m.score AS VARCHAR) AS score, m.how
FROM debtor_match m LEFT JOIN company c USING (company_id)
WHERE m.certainty = 'ambiguous' AND m.decision IS NULL
ORDER BY m.cin = '', m.debtor_name, m.cin, m.company_id
"""


def write_review(connection: duckdb.DuckDBPyConnection, review: Path) -> None:
    """Bring the file of decisions up to date: the one file by which a person settles doubts.

    Rows with a decision or a note stay as they are; undecided ones are those of today. Spellings of
    one debtor are one row. A file that would not change is not written, nor an empty one made.

    Raises:
        InputError: the file there is not what it must be, or it cannot be written.
    """
    there = read_review(review) if review.exists() else ()
    rows = {(d.debtor, d.company_id): dict(d.cells) for d in there if d.answer or _note(d)}
    cursor = connection.execute(_UNDECIDED)
    names = [column[0] for column in cursor.description]
    seen: set[tuple[str, str, str]] = set()
    for values in cursor.fetchall():
        cells = {**dict.fromkeys(COLUMNS, ""), **dict(zip(names, values, strict=True))}
        cells["cin"] = _cin(cells["cin"])
        found = Decision(0, cells)
        key, form, cin = found.debtor
        if not cin and (key, form, found.company_id) in seen:
            continue  # the same debtor has a row with its CIN
        seen.add((key, form, found.company_id))
        rows.setdefault((found.debtor, found.company_id), cells)
    if rows or there:
        _write_rows(review, rows.values())


def _note(decision: Decision) -> str:
    return decision.cells["note"].strip()


def _write_rows(review: Path, rows: Iterable[Mapping[str, str]]) -> None:
    ordered = sorted(rows, key=lambda r: (r["debtor_name"].casefold(), *(r[c] for c in COLUMNS)))
    frame = pd.DataFrame(ordered, columns=list(COLUMNS), dtype=str)
    content = csv_safe(frame).to_csv(index=False, lineterminator="\n").encode()
    if not (review.exists() and review.read_bytes() == content):
        write_whole(review, lambda draft: draft.write_bytes(content))
