"""What a person decided about doubtful debtors: the file of decisions, read and kept up to date."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pandas as pd

from scraping.identifiers import cin_or_blank
from scraping.matching import Book, Debtor, Match, best_likeness, grouped
from scraping.names import name_of
from scraping.parse import quoted
from warehouse.errors import InputError
from warehouse.exports import csv_safe, without_guard
from warehouse.files import write_whole
from warehouse.readers import require_file

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
        return name.key, name.form, cin_or_blank(self.cells["cin"])

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
    cells = dict(zip(COLUMNS, map(without_guard, record), strict=True))
    for name in ("debtor_name", "company_id"):
        if not cells[name].strip():
            raise InputError(f"{review}, row {number}, column {name}: expected one, got nothing")
    if cells["cin"].strip() and not cin_or_blank(cells["cin"]):
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


def by_debtor(decisions: Iterable[Decision]) -> Decided:
    """The answers of each debtor by company; rows without an answer are left out."""
    pairs = ((d.debtor, (d.company_id, d.answer)) for d in decisions if d.answer)
    return {debtor: dict(said) for debtor, said in grouped(pairs).items()}


def decide(
    debtor: Debtor, found: tuple[Match, ...], decided: Decided, book: Book
) -> tuple[Match, ...]:
    """The companies found, with what a person decided: a yes puts all others aside.

    A decision holds for every spelling of the debtor's name that is the same name.
    """
    said: dict[str, str] = {}
    for cin in (
        cin_or_blank(debtor.printed_cin),
        debtor.cin,
    ):  # the latter may be that of its namesakes
        said |= decided.get((*debtor.kin, cin), {})
    yes = [c for c, answer in sorted(said.items()) if answer == "yes" and c in book.titles]
    if yes:
        score = best_likeness(debtor.name, yes[0], book)
        chosen = [m for m in found if m.company_id == yes[0]]
        match = chosen[0] if chosen else Match(yes[0], "ambiguous", score, "decision")
        return (replace(match, decision="yes"),)
    return tuple(replace(m, decision=said.get(m.company_id)) for m in found)


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
        cells["cin"] = cin_or_blank(cells["cin"])
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
