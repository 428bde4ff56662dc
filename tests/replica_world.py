"""The made-up world behind the replica: companies, their accounts, their changes of name, macro.

Nothing here is real. Accounts and failures are those of the demo universe (simulated); identities
are drawn from a seed. `replica_cases` adds what tribunals and IBBI say about them.
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final, Literal

from replica_accounts import MOVED_ON, Kind, Year, demo_years, later, lender_years, parent

Status = Literal["Active", "Suspended", "Delisted"]

TODAY: Final = date(2025, 12, 31)
GROWN: Final = date(2026, 10, 31)
LENDERS: Final[tuple[Kind, ...]] = ("bank", "bank", "nbfc")

_FIRST = (
    "Ara", "Bel", "Chan", "Dev", "Eka", "Gir", "Hem", "Indra", "Jal", "Kav", "Lak", "Mah", "Nir",
    "Omk", "Prat", "Rav", "Sury", "Tar", "Uday", "Vas",
)  # fmt: skip
_SECOND = ("vex", "kora", "drix", "vanta", "dhar", "lon", "mira", "sya", "tola", "zeon")
_TRADES = (
    "Castings & Forgings", "Textile Mills", "Pharmaceuticals", "Infra Projects", "Power",
    "Steels", "Chemicals", "Auto Components", "Realty & Estates", "Foods", "Papers", "Cements",
    "Telecom", "Software", "Consumer Durables", "Sugars", "Media", "Logistics", "Petro Products",
    "Engineering",
)  # fmt: skip
_BASE36 = string.digits + string.ascii_uppercase
_STATES = ("MH", "DL", "TN", "KA", "GJ", "WB", "TG", "HR", "RJ", "UP")


@dataclass(frozen=True)
class Company:
    """A made-up listed company under the names and codes of every site.

    Attributes:
        symbol: at NSE; empty where it is listed at BSE only.
        code: at moneycontrol, as `slug`.
        member: of the Nifty 500.
        admitted: first day of its insolvency process, if there is one.
        outcome: how that ended, and when.
    """

    number: int
    name: str
    symbol: str
    bse_code: str
    isin: str
    cin: str
    sector: str
    code: str
    slug: str
    listed_on: date
    kind: Kind = "company"
    member: bool = False
    status: Status = "Active"
    admitted: date | None = None
    outcome: tuple[str, date] | None = None
    standalone: tuple[Year, ...] = ()
    consolidated: tuple[Year, ...] = ()

    @property
    def short(self) -> str:
        """The name without its ending, as moneycontrol prints it."""
        return self.name.removesuffix(" Limited")

    @property
    def ltd(self) -> str:
        """The name as BSE and the index list print it, without the full stop."""
        return f"{self.short} Ltd"


@dataclass(frozen=True)
class Change:
    """A change of an NSE symbol, or of a company's name."""

    symbol: str
    old: str
    new: str
    on: date


def isin_of(issuer: str) -> str:
    """The ISIN of an issuer's first equity share, with the check digit of ISO 6166."""
    body = f"INE{issuer}0101"
    digits = "".join(str(int(letter, 36)) for letter in body)
    weighed = [int(d) * (2 - at % 2) for at, d in enumerate(reversed(digits))]
    return body + str(-sum(d // 10 + d % 10 for d in weighed) % 10)


def cin_of(number: int, first: str = "L", form: str = "PLC") -> str:
    """A company identification number of the right shape; a listed company's begins with L."""
    state, year = _STATES[number % len(_STATES)], 1980 + number % 37
    return f"{first}{10_000 + number * 37 % 89_999:05}{state}{year}{form}{100_000 + number:06}"


def names(seed: int) -> Iterator[str]:
    """Made-up names without an ending, each once: 4,000 of them."""
    stems = [first + second for first in _FIRST for second in _SECOND]
    random.Random(seed).shuffle(stems)
    for shift in range(len(_TRADES)):
        for at, stem in enumerate(stems):
            yield f"{stem} {_TRADES[(at + shift) % len(_TRADES)]}"


def _symbol(name: str, number: int) -> str:
    """An NSE symbol: mostly letters, some with &, - or a leading digit, as real ones have."""
    words = name.replace(" & ", " ").upper().split()
    plain = (words[0][:7] + "".join(word[:3] for word in words[1:]))[:10]
    forms = {7: f"{words[0][:5]}&{words[-1][0]}", 8: f"{words[0][:6]}-{words[-1][:3]}"}
    return forms.get(number % 20, f"3{plain[:8]}" if number % 20 == 9 else plain)


def identity(number: int, name: str, **more: Any) -> Company:
    """The company of this number: every code of it follows from the number and the name.

    Issuers of real ISINs are not of the form 9Z00, and BSE has no codes in the 585,000s.
    """
    slug = "".join(letter for letter in name.lower() if letter.isalnum())
    known: dict[str, Any] = {
        "symbol": _symbol(name, number),
        "bse_code": str(585_003 + 3 * number),
        "isin": isin_of(f"{9 - number // 1296}Z{_BASE36[number // 36 % 36]}{_BASE36[number % 36]}"),
        "cin": cin_of(number),
        "sector": "Capital Goods",
        "code": f"{slug[:2].upper()}{number:02}",
        "slug": slug,
        "listed_on": date(1995 + number % 20, 1 + number % 12, 1 + number % 28),
    }
    return Company(number=number, name=f"{name} Limited", **(known | more))


@dataclass
class World:
    """All companies as of `today`; the same for the same size and seed.

    Args:
        companies: listed companies with accounts; the last three are two banks and an NBFC.
        seed: of the names and of the demo universe.
        others: further securities on the lists of the exchanges, without accounts.
    """

    companies: int = 60
    seed: int = 0
    others: int = 30
    today: date = TODAY
    version: int = 0  # rises with every change, so that documents are rendered anew
    listed: list[Company] = field(init=False)
    further: list[Company] = field(init=False)
    macro: dict[str, dict[int, float]] = field(init=False)
    symbol_changes: list[Change] = field(init=False)
    name_changes: list[Change] = field(init=False)

    def __post_init__(self) -> None:
        if self.companies < 20:
            raise ValueError("the replica needs at least 20 companies")
        drawn = names(self.seed)
        self.listed, self.macro = _listed(self.companies, self.seed, drawn)
        start = self.companies
        self.further = [identity(start + at, next(drawn)) for at in range(self.others)]
        self.spare_names = drawn
        self.symbol_changes, self.name_changes = _changes(self.listed)

    def years(self, company: Company, basis: str) -> tuple[Year, ...]:
        """The accounts on this basis that were filed by today, oldest first."""
        known = company.consolidated if basis == "consolidated" else company.standalone
        return tuple(year for year in known if year.filed <= self.today)

    def of_symbol(self, symbol: str) -> Company | None:
        """The company that has this NSE symbol today."""
        return next((c for c in self.listed if symbol and c.symbol == symbol), None)

    def grow(self) -> None:
        """Let ten months pass: one more fiscal year is filed, further companies are admitted."""
        self.today = GROWN
        self.version += 1

    def rename(self, number: int | None = None) -> Change:
        """Give a company (by default the first index member) a new NSE symbol, effective today."""
        fits = [c for c in self.listed if (c.member if number is None else c.number == number)]
        old = fits[0]
        new = replace(old, symbol=f"NEW{old.symbol[:7]}".replace("&", ""))
        self.listed[self.listed.index(old)] = new
        change = Change(new.name, old.symbol, new.symbol, self.today)
        self.symbol_changes.append(change)
        self.version += 1
        return change


def _listed(
    count: int, seed: int, drawn: Iterator[str]
) -> tuple[list[Company], dict[str, dict[int, float]]]:
    """The demo universe under made-up identities, and its macro series; lenders come last."""
    from features.demo import demo_universe  # here, because it is slow to import

    demo = demo_universe(count - len(LENDERS), seed=seed, years=11)
    years = demo_years(demo.statements)
    events: dict[str, dict[str, date]] = {}
    for row in demo.events.to_dict("records"):
        events.setdefault(row["company_id"], {})[row["event_type"]] = later(
            row["event_date"].date()
        )
    joined = set(demo.statements.loc[demo.statements["basis"] == "consolidated", "company_id"])
    listed = []
    for number, row in enumerate(demo.companies.to_dict("records")):
        key = row["company_id"]
        known, fate = years.get(key, ()), events.get(key, {})
        group = key in joined
        company = identity(
            number,
            next(drawn),
            sector=row["sector"],
            member=bool(row["in_nifty500"]),
            standalone=tuple(parent(year) for year in known) if group else known,
            consolidated=known if group else (),
        )
        listed.append(_fated(company, fate))
    for kind in LENDERS:
        listed.append(_lender(len(listed), kind, next(drawn)))
    macro = demo.macro.set_index("year").to_dict()
    return listed, {
        str(name): {int(year) + MOVED_ON: float(value) for year, value in series.items()}
        for name, series in macro.items()
    }


def _fated(company: Company, events: dict[str, date]) -> Company:
    """What follows from its insolvency: some are listed at BSE only, suspended or delisted."""
    if "cirp_admission" not in events:
        return company
    ended = [(kind, on) for kind, on in events.items() if kind != "cirp_admission"]
    statuses: tuple[Status, ...] = ("Suspended", "Active", "Delisted", "Suspended", "Active")
    status = statuses[company.number % 5]
    if ended and ended[0][0] == "liquidation":
        status = "Delisted" if company.number % 2 else "Suspended"
    return replace(
        company,
        symbol="" if company.number % 4 == 3 else company.symbol,
        status=status,
        admitted=events["cirp_admission"],
        outcome=ended[0] if ended else None,
    )


def _lender(number: int, kind: Kind, name: str) -> Company:
    stem = name.split()[0]
    title = f"{stem} Bank" if kind == "bank" else f"{stem} Finance"
    years = lender_years(number, kind)
    company = identity(number, title, kind=kind, member=True, sector="Financial Services")
    return replace(company, standalone=tuple(parent(y) for y in years), consolidated=years)


def _changes(listed: list[Company]) -> tuple[list[Change], list[Change]]:
    """Older symbols and names of some companies; one symbol was changed twice."""
    quoted = [c for c in listed if c.symbol]
    symbols, older = [], []
    for at, company in enumerate(quoted[:3]):
        first, on = f"OLD{at}{company.symbol[:4]}".replace("&", ""), date(2012 + at, 6, 10 + at)
        if at == 0:
            symbols.append(Change(company.name, f"{first}0", first, date(2009, 2, 3)))
        symbols.append(Change(company.name, first, company.symbol, on))
    failed = next(c for c in quoted if c.admitted)
    for at, company in enumerate([failed, *quoted[3:5]]):
        old = company.name.replace(" Limited", " (India) Limited")
        older.append(Change(company.symbol, old, company.name, date(2014 + at, 9, 1 + at)))
    return symbols, older
