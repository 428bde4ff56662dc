"""What IBBI, the tribunals and the register of companies say in the replica: made-up cases.

Among them the traps of the real lists: names as each clerk writes them, CINs that are broken or
missing, private namesakes, repeated and withdrawn admissions, voluntary liquidations.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from replica_world import Company, World, cin_of

CIRP: Final = "Public Announcement of Corporate Insolvency Resolution Process"
LIQUIDATION: Final = "Public Announcement of Liquidation Process"
VOLUNTARY: Final = "Public Announcement of Voluntary Liquidation Process"
COURTS: Final = ("nclt", "nclat", "supreme-court", "high-courts")

_APPLICANTS = (
    "Konkan State Bank", "DECCAN ASSET RECONSTRUCTION CO LTD", "Aravalli Traders Pvt. Ltd.",
    "Malabar Bank Limited",
)  # fmt: skip
_PEOPLE = ("Mr. Arun Bhatt", "Ms. Charu Desai", "Emil Fernandes", "Mr. Girish  Hegde", "Isha Jain")
_ADDRESSES = (
    "12/4, Second Floor, Sample Road,, Mumbai City, Maharashtra, 400001",
    'Plot 7, "Shanti", Ring Road, New Delhi, National Capital Territory of Delhi, 110001',
    "3rd,Floor,,Sample,House,,Park,Street Kolkata, West Bengal, 700016",
)


@dataclass(frozen=True)
class Announcement:
    """A row of IBBI's list; names and numbers as the site prints them."""

    kind: str
    announced: date
    last_date: str
    debtor: str
    cin: str
    applicant: str
    professional: str
    address: str
    remarks: str = ""


@dataclass(frozen=True)
class Process:
    """A debtor's page: the admission (ICD) of each of its processes, newest first."""

    cin: str
    debtor: str
    admitted: tuple[date, ...]
    initiated: str
    applicant: str


@dataclass(frozen=True)
class Order:
    """An order on a debtor."""

    court: str
    ordered: date
    subject: str
    remarks: str


@dataclass(frozen=True)
class Registered:
    """A row of the register of companies."""

    cin: str
    name: str
    listing: str
    status: str


@dataclass(frozen=True)
class Cases:
    """All cases as of the world's day, newest first."""

    announcements: tuple[Announcement, ...]
    processes: dict[str, Process]
    orders: tuple[Order, ...]
    registered: tuple[Registered, ...]


def printed(name: str, at: int) -> str:
    """A company's name as one of several clerks types it."""
    short = name.removesuffix(" Limited")
    forms = (
        name.upper(),
        f"{short} Ltd.",
        name.replace("&", "and"),
        f"{name.upper().replace('&', 'AND')} ",
        f"M/s. {short} Limited",
        name,
    )
    return forms[at % len(forms)]


def cases(world: World) -> Cases:
    """All that has been announced and ordered by the world's day."""
    announced, processes, orders = [], {}, []
    for part in (_of_listed(world), _of_private(world)):
        for thing in part:
            if isinstance(thing, Announcement):
                announced.append(thing)
            elif isinstance(thing, Order):
                orders.append(thing)
            else:
                processes[thing.cin] = thing
    today = world.today
    return Cases(
        tuple(sorted((a for a in announced if a.announced <= today), key=_by_announced)),
        {cin: p for cin, p in processes.items() if min(p.admitted) <= today},
        tuple(sorted((o for o in orders if o.ordered <= today), key=_by_ordered)),
        tuple(_register(world, announced)),
    )


def _by_announced(row: Announcement) -> tuple[int, str]:
    return -row.announced.toordinal(), row.debtor


def _by_ordered(row: Order) -> tuple[int, str]:
    return -row.ordered.toordinal(), row.subject


Thing = Announcement | Process | Order


def repeat(world: World) -> Company:
    """The failed company that is admitted a second time."""
    return _failed(world)[0]


def misspelt(world: World) -> Company:
    """The failed company whose CIN has a letter too few on IBBI's list."""
    return _failed(world)[1]


def unnumbered(world: World) -> Company:
    """The failed company whose CIN IBBI's list does not have."""
    return _failed(world)[2]


def withdrawn(world: World) -> Company:
    """The healthy company whose admission was withdrawn."""
    return [c for c in world.listed if c.member and c.kind == "company"][-1]


def _failed(world: World) -> list[Company]:
    return sorted((c for c in world.listed if c.admitted), key=lambda c: c.admitted or date.max)


def _announcement(kind: str, on: date, debtor: str, cin: str, at: int) -> Announcement:
    voluntary = kind == VOLUNTARY
    until = on + timedelta(days=30 if kind != CIRP else 12 + at % 3)
    return Announcement(
        kind=kind,
        announced=on,
        last_date="N/E" if at % 11 == 5 else "" if at % 13 == 6 else until.strftime("%d-%m-%Y"),
        debtor=debtor,
        cin=cin,
        applicant=debtor if voluntary else _APPLICANTS[at % len(_APPLICANTS)],
        professional=_PEOPLE[at % len(_PEOPLE)],
        address=_ADDRESSES[at % len(_ADDRESSES)],
        remarks="No remarks published by IBBI." if at % 5 == 0 else "",
    )


def _order(court: str, on: date, debtor: str, remarks: str, at: int) -> Order:
    number = f"CP(IB){' No. ' if at % 2 else ' '}{100 + at} of {on.year - 1}"
    if remarks == "Approval of Resolution Plan":
        return Order(court, on, f"{remarks} - {debtor} [IA/{at} in {number}]", remarks)
    return Order(court, on, f"In the matter of {debtor} [{number}]", remarks)


def _of_listed(world: World) -> Iterator[Thing]:
    for company in _failed(world):
        yield from _case(world, company)
    company, on = withdrawn(world), date(2022, 5, 16)
    name = company.name.upper()
    yield _announcement(CIRP, on + timedelta(days=3), name, company.cin, company.number)
    yield Process(company.cin, name, (on,), "IRP", _APPLICANTS[0])
    yield _order("nclt", on, name, "Admission - Final Order", company.number)
    yield _order("nclt", on + timedelta(days=41), name, "CIRP Withdrawn", company.number)
    yield _order("nclat", on + timedelta(days=20), name, "Others", company.number)


def _cin_as_listed(world: World, company: Company) -> str:
    if company == misspelt(world):
        return company.cin[:-1]
    return "N/A" if company == unnumbered(world) else company.cin


def _case(world: World, company: Company) -> Iterator[Thing]:
    """A failed company's way through its process."""
    on, at = company.admitted or date.max, company.number
    name, cin = printed(company.name, at), _cin_as_listed(world, company)
    twice = company == repeat(world)
    again = on + timedelta(days=392)
    yield _announcement(CIRP, on + timedelta(days=2 + at % 5), name, cin, at)
    yield _order("nclt", on, name, "ADMITTED" if at % 4 == 1 else "Admission - Final Order", at)
    if twice:
        yield _announcement(CIRP, again + timedelta(days=4), company.name.upper(), cin, at + 1)
        yield _order("nclat", on + timedelta(days=80), name, "Appeal allowed", at)
        yield _order("nclt", again, name, "Admission - Final Order", at + 1)
    kind, ended = company.outcome or ("", date.max)
    if kind == "liquidation":
        yield _announcement(LIQUIDATION, ended + timedelta(days=9), name, cin, at + 2)
        yield _order("nclt", ended, name, "Appointment - Appointment of Liquidator", at)
    elif kind == "resolution_approved":
        yield _order("nclt", ended, name, "Approval of Resolution Plan", at)
    dates = tuple(d for d in ((again, on) if twice else (on,)) if d <= world.today)
    over = kind == "liquidation" and ended <= world.today
    if at % 6 != 5 and dates:  # of some debtors the page says nothing
        yield Process(
            company.cin, company.name.upper(), dates, "LIQUIDATOR" if over else "RP", _APPLICANTS[0]
        )


def _of_private(world: World) -> Iterator[Thing]:
    """Cases of unlisted companies; many bear the name of a listed one."""
    healthy = [c for c in world.listed if c.member]
    remarks = ("Admission - Final Order", "Others", "Dismissed", "Rejected", "Dissolution")
    for at in range(2 * world.companies):
        like = healthy[at % len(healthy)]
        name = _unlisted(like, at)
        form = "PTC" if name.upper().endswith(("PRIVATE LIMITED", "PVT. LTD.")) else "PLC"
        cin = cin_of(20_000 + at, "U", form)
        on = date(2019, 1, 7) + timedelta(days=2500 * at // (2 * world.companies))
        kind = (CIRP, VOLUNTARY, CIRP, LIQUIDATION, CIRP)[at % 5]
        broken = {17: "N/A", 18: "", 19: f"{cin[:7]} {cin[7:]}"}
        yield _announcement(kind, on, name, broken.get(at % 20, cin), at)
        if kind == CIRP:
            admitted = on - timedelta(days=4)
            yield _order("nclt", admitted, name, remarks[at % len(remarks)], at)
            yield Process(cin, name.upper(), (admitted,), "IRP", _APPLICANTS[at % 4])
        if at % 9 == 0:
            yield _order(COURTS[1 + at // 9 % 3], on + timedelta(days=33), name, "Dismissed", at)


def _unlisted(like: Company, at: int) -> str:
    """A private namesake, a near namesake, or an unlisted public company of the same stem."""
    stem, *rest = like.short.split()
    forms = (
        f"{like.short.upper()} PRIVATE LIMITED",
        f"{stem}a {' '.join(rest)} Private Limited",
        f"{stem} {rest[0]} (Exports) Pvt. Ltd.",
        f"{stem.upper()} VENTURES NO {at} LIMITED",
        f"{stem} Trading {at} Pvt. Ltd.",
    )
    return forms[at % len(forms)] if at < 60 else f"{stem} Agro {at} Private Limited"


def _register(world: World, announced: list[Announcement]) -> Iterator[Registered]:
    """Every listed company, and every unlisted debtor with a whole number."""
    for company in (*world.listed, *world.further):
        status = "Under CIRP" if company.admitted else "Active"
        if company.outcome and company.outcome[0] == "liquidation":
            status = "Under Liquidation"
        yield Registered(company.cin, company.name.upper(), "listed", status)
    known = {}
    for row in announced:
        if len(row.cin) == 21 and row.cin[0] == "U":
            known[row.cin] = row
    for row in known.values():
        yield Registered(row.cin, row.debtor.upper().strip(), "unlisted", "Under CIRP")
