"""The replica's filings at NSE: which there are, and the rows by which its lists name them."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from replica_accounts import Year, tied
from replica_statements import first_day
from replica_world import Company, World
from replica_xbrl import FORMS, Period

QUARTERS = ("First Quarter", "Second Quarter", "Third Quarter", "Fourth Quarter")
FIRST_XBRL = date(2018, 6, 30)  # results before have no file
FIRST_INTEGRATED = date(2025, 1, 1)  # results from here on are in the other list


@dataclass(frozen=True)
class Filing:
    """A result of a quarter that a company filed on one basis.

    `revision` files the fiscal year's result again, with other values.
    """

    company: Company
    year: Year
    quarter: int
    basis: str
    at: datetime
    revision: bool = False

    @property
    def period(self) -> Period:
        """What its XBRL file is about."""
        return Period(self.year, self.quarter, self.basis)

    @property
    def integrated(self) -> bool:
        """Whether it is in the list of integrated filings, else in that of financial results."""
        return self.period.last >= FIRST_INTEGRATED

    @property
    def serial(self) -> int:
        """A number of its own, out of which `of_file` finds it."""
        place = (self.year.end.year - 2010) * 8 + (self.quarter - 1) * 2
        group = self.basis == "consolidated"
        return 200 * (self.company.number + 500) + place + group

    def file(self) -> str:
        """Name of its XBRL file. The clock in it runs to 12."""
        form = FORMS[self.company.kind][0]
        stamp = f"{self.at:%d%m%Y%I%M%S}"
        if not self.integrated:
            return f"{form}_{self.serial}_{self.serial + 1_300_000}_{stamp}.xml"
        shift = 11_500_000 if self.revision else 1_500_000
        return f"INTEGRATED_FILING_{form}_{self.serial + shift}_{stamp}_WEB.xml"

    def listed(self, archives: str, annual: bool = False) -> dict[str, Any]:
        """Its row in corporates-financial-results."""
        period, company = self.period, self.company
        start = first_day(period.last, self.year.months if annual else 3)
        whole = first_day(self.year.end, self.year.months)
        lends = company.kind != "company"
        bank = {"company": "N", "bank": "B", "nbfc": "F"}[company.kind]
        form = {"company": "N", "bank": "A", "nbfc": "F"}[company.kind]
        told = period.last >= FIRST_XBRL and not (self.quarter == 3 and company.number % 9 == 2)
        audited = self.quarter == 4
        group = self.basis == "consolidated"
        letters = (
            f"{'AN' if annual else f'Q{self.quarter}'}{'A' if audited else 'U'}{bank}"
            f"{'C' if annual else 'N'}{'C' if group else 'N'}{form}E{company.symbol}"
        )
        return {
            "symbol": company.symbol,
            "companyName": company.name,
            "industry": "-",
            "audited": "Audited" if audited else "Un-Audited",
            "cumulative": "Cumulative" if annual else "Non-cumulative",
            "indAs": {"N": "Ind-AS New", "A": "Non-Ind-AS", "F": "NBFC-IND"}[form],
            "reInd": form,
            "period": "Annual" if annual else "Quarterly",
            "relatingTo": "Annual" if annual else QUARTERS[self.quarter - 1],
            "financialYear": f"{whole:%d-%b-%Y} To {self.year.end:%d-%b-%Y}",
            "filingDate": f"{self.at:%d-%b-%Y %H:%M}",
            "seqNumber": str(self.serial + 1_000_000),
            "bank": bank,
            "fromDate": f"{start:%d-%b-%Y}",
            "toDate": f"{period.last:%d-%b-%Y}",
            "oldNewFlag": None if lends else "N",
            "xbrl": f"{archives}/corporate/xbrl/{self.file() if told else '-'}",
            "format": "New",
            "params": f"{start:%d-%b-%Y}{period.last:%d-%b-%Y}{letters}",
            "resultDescription": None,
            "resultDetailedDataLink": None,
            "exchdisstime": f"{self.at + timedelta(seconds=42):%d-%b-%Y %H:%M:%S}",
            "difference": "00:00:42",
            "consolidated": "Consolidated" if group else "Non-Consolidated",
            "broadCastDate": f"{self.at:%d-%b-%Y %H:%M:%S}",
            "isin": company.isin,
        }

    def integrated_row(self, archives: str) -> dict[str, Any]:
        """Its row in integrated-filing-results: a revision has no broadcast date."""
        stamp = f"{self.at:%d-%b-%Y %H:%M:%S}"
        number, form = self.serial + 50_000, FORMS[self.company.kind][0]
        page = f"INTEGRATED_FILING_{form}_{number}_{self.at:%d%m%Y%H%M%S}_iXBRL_WEB.html"
        return {
            "attFileSize": "0 Bytes",
            "audited": "Audited" if self.quarter == 4 else "Un-Audited",
            "broadcast_Date": None if self.revision else stamp,
            "cmName": self.company.name,
            "consolidated": "Consolidated" if self.basis == "consolidated" else "Standalone",
            "creation_Date": f"{self.at + timedelta(seconds=2):%d-%b-%Y %H:%M:%S}",
            "diff": "00:00:02",
            "ixbrl": f"{archives}/corporate/ixbrl/{page}",
            "ixbrlFileSize": "50.49 KB",
            "pdf_attach": f"{archives}/corporate/null",
            "qe_Date": f"{self.period.last:%d-%b-%Y}".upper(),
            "revised_Date": stamp.upper() if self.revision else None,
            "revision_Remark": "Query Received" if self.revision else None,
            "seq_Id": str(number + (500_000 if self.revision else 0)),
            "smName": self.company.name,
            "symbol": self.company.symbol,
            "type": "Integrated Filing- Financials",
            "type_Sub": "Revision" if self.revision else "Original",
            "xbrl": f"{archives}/corporate/xbrl/{self.file()}",
            "xbrlFileSize": "45.41 KB",
        }


def filings(world: World, company: Company) -> list[Filing]:
    """All results that a company has filed by the world's day, newest first.

    Years of which totals alone are known are left out: a result always has a profit and loss.
    """
    found = []
    for basis, years in (
        ("standalone", company.standalone),
        ("consolidated", company.consolidated),
    ):
        for year in (year for year in years if "sales" in year.items):
            for quarter in range(1, 5):
                if year.months > 3 * (4 - quarter):
                    found += _of_quarter(world, company, basis, year, quarter)
    known = [f for f in found if f.at.date() <= world.today]
    return sorted(known, key=lambda f: (f.at, f.basis), reverse=True)


def _of_quarter(
    world: World, company: Company, basis: str, year: Year, quarter: int
) -> list[Filing]:
    period = Period(year, quarter, basis)
    day = year.filed if quarter == 4 else period.last + timedelta(days=38)
    clock = time(9 + company.number % 10, 7 * quarter, company.number % 60)
    filing = Filing(company, year, quarter, basis, datetime.combine(day, clock))
    if not (quarter == 4 and basis == "standalone" and year.end == date(2025, 3, 31)):
        return [filing]
    if company != revised(world):
        return [filing]
    at = filing.at + timedelta(days=120)
    return [replace(filing, year=misstated(year)), replace(filing, at=at, revision=True)]


def revised(world: World) -> Company:
    """The company whose standalone result of fiscal year 2025 was wrong at first."""
    last = date(2025, 3, 31)
    return next(
        c
        for c in world.listed
        if c.member and any(y.end == last and "other_expenses" in y.items for y in c.standalone)
    )


def misstated(year: Year) -> Year:
    """The accounts as first filed: other expenses are too low, and with them all that follows."""
    items = {**year.items, "other_expenses": year.items["other_expenses"] * 0.5}
    return replace(year, items=tied(items))


def same_market(world: World) -> list[Filing]:
    """The filings of all companies, newest first."""
    found = [f for company in world.listed if company.symbol for f in filings(world, company)]
    return sorted(found, key=lambda f: f.at, reverse=True)


def filed_by(filing: Filing, first: date | None, last: date | None) -> bool:
    """Whether it was filed in a window of days; an end that is None is open."""
    day = filing.at.date()
    return (first is None or first <= day) and (last is None or day <= last)


def of_file(world: World, name: str) -> Filing | None:
    """The filing that has this XBRL file."""
    number = re.match(r"(?:INTEGRATED_FILING_)?[A-Z_]+?_(\d+)_", name)
    if number is None:
        return None
    shift = 1_500_000 if name.startswith("INTEGRATED") else 0
    serial = int(number[1]) % 10_000_000 - shift
    place = serial // 200 - 500
    if not 0 <= place < len(world.listed):
        return None
    found = (f for f in filings(world, world.listed[place]) if f.file() == name)
    return next(found, None)
