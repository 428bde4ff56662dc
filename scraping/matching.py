"""Which company a debtor may be: the rules, from what is certain to what a person is asked.

Nothing here reads the warehouse: debtors and companies come in, matches go out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from rapidfuzz import fuzz, process

from scraping.names import PRIVATE_FORMS, Name, likeness, name_of

K = TypeVar("K")
V = TypeVar("V")
Certainty = Literal["certain", "probable", "ambiguous"]

CERTAINTIES: tuple[Certainty, ...] = ("ambiguous", "probable", "certain")
ALIKE = 88.0  # least likeness of two names that a person is asked about
CANDIDATES = 3  # most companies that a person is asked about for one debtor
# A name that NSE says was given up longer ago than this may be another company's by now.
GIVEN_UP = timedelta(days=730)
_PRIVATE_KINDS = frozenset({"PTC", "FTC", "OPC"})  # in a CIN: private companies, also of foreigners

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
        return grouped((known.name.key, known) for known in public)

    @cached_property
    def by_company(self) -> Mapping[str, tuple[Known, ...]]:
        """Names of each company."""
        return grouped((known.company_id, known) for known in self.names)

    @cached_property
    def by_number(self) -> Mapping[str, tuple[str, ...]]:
        """Companies by state, year and number of registration."""
        return grouped((number_of(cin), c) for cin, ids in self.cins.items() for c in ids)

    @cached_property
    def numbers(self) -> Mapping[str, tuple[str, ...]]:
        """State, year and number of registration of each company whose CIN is known."""
        return grouped((c, number_of(cin)) for cin, ids in self.cins.items() for c in ids)


def grouped(pairs: Iterable[tuple[K, V]]) -> Mapping[K, tuple[V, ...]]:
    """The values of each key, in the order of the pairs."""
    groups: dict[K, list[V]] = defaultdict(list)
    for key, value in pairs:
        groups[key].append(value)
    return {key: tuple(values) for key, values in groups.items()}


def number_of(cin: str) -> str:
    """State, year and number of a CIN: they stay when a company is listed or changes its trade."""
    return cin[6:12] + cin[15:]


def cins_of_kin(debtors: Iterable[Debtor]) -> Mapping[tuple[str, str], list[str]]:
    """The CINs of all debtors of one name, sorted; of a name without one, none."""
    cins: dict[tuple[str, str], set[str]] = defaultdict(set)
    for debtor in debtors:
        cins[debtor.kin] |= {debtor.cin} - {""}
    return {kin: sorted(found) for kin, found in cins.items()}


# The rules.


def match(debtors: Sequence[Debtor], book: Book) -> dict[Debtor, tuple[Match, ...]]:
    """Companies that each debtor may be, best first: one if accepted, several to be asked about.

    A wrong match is worse than none, so doubt of any kind makes it ambiguous.
    """
    cins = cins_of_kin(debtors)
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
    scored = [(best_likeness(debtor.name, c, book), c) for c in sorted(set(companies))]
    if len(scored) == 1 and scored[0][0] >= ALIKE:
        score, company = scored[0]
        return (Match(company, "probable", score, "number of registration and similar name"),)
    how = "number of registration, another name"
    return tuple(Match(c, "ambiguous", score, how) for score, c in sorted(scored, reverse=True))


def best_likeness(name: Name, company_id: str, book: Book) -> float:
    """How alike a name and the most similar name of a company are, from 0 to 100."""
    known = book.by_company.get(company_id, ())
    return max((likeness(name, k.name) for k in known), default=0.0)


def _by_shared_cin(
    found: Mapping[Debtor, tuple[Match, ...]], book: Book
) -> dict[Debtor, tuple[Match, ...]]:
    """What one spelling of a name tells of the others that are printed with the same CIN.

    Names of two companies under one CIN make each doubtful. A name that is like no name of the
    company may stand under its CIN by mistake: debtors of one group share a professional.
    """
    by_cin = grouped((d.cin, m[0]) for d, m in found.items() if d.cin and _standing(m) > 0)
    told = {d: m for d, m in found.items() if d.cin in by_cin and d.cin not in book.cins}
    return {**found, **{d: _shared(d, m, by_cin[d.cin], book) for d, m in told.items()}}


def _shared(
    debtor: Debtor, matches: tuple[Match, ...], accepted: Sequence[Match], book: Book
) -> tuple[Match, ...]:
    companies = sorted({match.company_id for match in accepted})
    if len(companies) > 1:
        how = f"CIN printed with names of {len(companies)} companies"
        scored = ((c, best_likeness(debtor.name, c, book)) for c in companies)
        return tuple(Match(c, "ambiguous", score, how) for c, score in scored)
    if _standing(matches) > 0:
        return matches
    score = best_likeness(debtor.name, companies[0], book)
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


def accepted_company(matches: Sequence[Match]) -> str | None:
    """The company that a debtor is; None if that is not known."""
    for found in matches:
        if found.decision == "yes" or (found.certainty != "ambiguous" and found.decision is None):
            return found.company_id
    return None
