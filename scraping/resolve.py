"""Which debtor is which listed company: companies, matches and events out of what was loaded.

All of it is a function of the warehouse's tables and of a person's decisions: it does not depend on
the order of loads or on the day, and a second run changes nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path

import duckdb
import pyarrow as pa

from scraping.identifiers import cin_or_blank, isin_of, issuer_of
from scraping.matching import (
    Book,
    Debtor,
    Known,
    Match,
    accepted_company,
    cins_of_kin,
    grouped,
    match,
)
from scraping.names import PRIVATE_FORMS, name_of
from scraping.parse import quoted
from scraping.review import Decision, by_debtor, decide, read_review


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
    decided = by_debtor(decisions)
    matches = {d: decide(d, found, decided, book) for d, found in match(debtors, book).items()}
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


# What the rules are given.

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
        cins=grouped(
            (cin, company_id) for company_id, text in pairs if (cin := cin_or_blank(text))
        ),
        listed_on={company_id: day for company_id, day, _ in facts if day is not None},
        delisted=frozenset(company_id for company_id, _, delisted in facts if delisted),
        titles=dict(connection.execute("SELECT company_id, company_name FROM company").fetchall()),
    )


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
    debtors = [Debtor(name, text, cin_or_blank(text), since) for name, text, since in printed]
    cins = cins_of_kin(debtors)
    days = grouped((d.kin, d.since) for d in debtors if d.since is not None)
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


# What came of them.


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
        [_debtor_row(debtor, accepted_company(several)) for debtor, several in matches.items()],
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
    listed = {d.cin: accepted_company(matches[d]) for d in debtors if d.printed_cin.startswith("L")}
    if listed:
        found = sum(company is not None for company in listed.values())
        yield f"{found:,} of {len(listed):,} debtors with a listed company's CIN are matched"
    for decision in decisions:
        if decision.answer == "yes" and decision.company_id not in book.titles:
            yield (
                f"decision on {quoted(decision.cells['debtor_name'])}: no company"
                f" {quoted(decision.company_id)} in the warehouse; not used"
            )
