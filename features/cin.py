"""What the identification number of an Indian company (CIN) says: its age, state and industry.

A CIN is L (listed) or U, five digits of industry, two letters of state, four digits of the year of
incorporation, three letters of the kind of company and the six digits of its registration. Numbers
were given from November 2000 on, to companies that existed before as well.

The company's register of today is read, not that of the fiscal year: a company that was listed,
moved to another state or changed its objects since then got another CIN. The year of incorporation
stays what it was. State and industry are therefore for description and matching, not features.

The industry is coded by the National Industrial Classification (NIC), of which two vintages are in
use: those of 1998 and 2004 have the same divisions (ISIC revision 3), that of 2008 has others
(revision 4). The Ministry of Corporate Affairs did not change over in 2008: numbers given until
2022 hold codes that only the older vintage has (34100, 52390, 67190, 72900, 74999, 93090), those
given since its new forms of January 2023 hold codes that only the newer one has (47411, 62099). So
a company's year of incorporation decides:

* a division (the first two digits) that exists in one vintage only is read by that vintage;
* any other is read by NIC-2004 for companies incorporated before 2023, by NIC-2008 from then on.

Weak points: a company from before 2023 that got a new number later may have a code of 2008 that is
read as one of 2004 (62 is computing in 2008, air transport in 2004); one of January 2023 may be
read the wrong way round; and a CIN says what the founders meant to do, or 74999 (business services
not named otherwise) where nobody looked. 00000, 99999 and 74899 say nothing and are no industry.
"""

from __future__ import annotations

from dataclasses import dataclass

from features.ratios import long_reasons_sql
from warehouse.cin import PATTERN

# From this year of incorporation on, a division that both vintages have is read by NIC-2008.
FIRST_YEAR_OF_NIC_2008 = 2023
# Diversified or unknown (circular of 2000); 74899 is in no vintage: Delhi's register gave it to
# companies of all kinds.
NO_INDUSTRY: tuple[str, ...] = ("00000", "99999", "74899")


@dataclass(frozen=True)
class State:
    """A state or union territory and the codes that registers have used for it."""

    name: str
    codes: tuple[str, ...]


@dataclass(frozen=True)
class Industry:
    """A broad industry: its divisions in the vintages of 1998 and 2004, and of 2008."""

    name: str
    nic_2004: tuple[int, ...]
    nic_2008: tuple[int, ...]


# fmt: off
STATES: tuple[State, ...] = (
    State("Andaman and Nicobar Islands", ("AN",)),
    State("Andhra Pradesh", ("AP",)),
    State("Arunachal Pradesh", ("AR",)),
    State("Assam", ("AS",)),
    State("Bihar", ("BR",)),
    State("Chandigarh", ("CH",)),
    State("Chhattisgarh", ("CT", "CG")),
    State("Dadra and Nagar Haveli and Daman and Diu", ("DN", "DD", "DH")),
    State("Delhi", ("DL",)),
    State("Goa", ("GA",)),
    State("Gujarat", ("GJ",)),
    State("Haryana", ("HR",)),
    State("Himachal Pradesh", ("HP",)),
    State("Jammu and Kashmir", ("JK",)),
    State("Jharkhand", ("JH",)),
    State("Karnataka", ("KA",)),
    State("Kerala", ("KL",)),
    State("Ladakh", ("LA",)),
    State("Lakshadweep", ("LD",)),
    State("Madhya Pradesh", ("MP",)),
    State("Maharashtra", ("MH", "PN")),  # PN: the register in Pune
    State("Manipur", ("MN",)),
    State("Meghalaya", ("ML",)),
    State("Mizoram", ("MZ",)),
    State("Nagaland", ("NL",)),
    State("Odisha", ("OR", "OD")),
    State("Puducherry", ("PY",)),
    State("Punjab", ("PB",)),
    State("Rajasthan", ("RJ",)),
    State("Sikkim", ("SK",)),
    State("Tamil Nadu", ("TN", "TZ")),  # TZ: the register in Coimbatore
    State("Telangana", ("TG", "TS")),
    State("Tripura", ("TR",)),
    State("Uttar Pradesh", ("UP",)),
    State("Uttarakhand", ("UR", "UK", "UT", "UA")),
    State("West Bengal", ("WB",)),
)

INDUSTRIES: tuple[Industry, ...] = (
    Industry("agriculture", (1, 2, 5), (1, 2, 3)),
    Industry("mining", (*range(10, 15),), (*range(5, 10),)),
    # 22 holds publishers too: 2004 has one division for them and for printers.
    Industry("manufacturing", (*range(15, 37),), (*range(10, 34),)),
    Industry("electricity, water and waste", (37, 40, 41, 90), (*range(35, 40),)),
    Industry("construction", (45,), (41, 42, 43)),
    Industry("trade", (50, 51, 52), (45, 46, 47)),
    Industry("transport", (60, 61, 62, 63), (*range(49, 54),)),
    Industry("hotels and restaurants", (55,), (55, 56)),
    # 64 holds couriers too: 2004 has one division for post and telecommunications.
    Industry("information and communication", (64, 72), (*range(58, 64),)),
    Industry("finance", (65, 66, 67), (64, 65, 66)),
    Industry("real estate", (70,), (68,)),
    Industry("business services", (71, 73, 74), (*range(69, 76), *range(77, 83))),
    # 92 holds film and broadcasting too, which 2008 counts as information.
    Industry(
        "public and personal services", (75, 80, 85, 91, 92, 93, 95, 96, 97),
        (*range(84, 89), *range(90, 99)),
    ),
)
# fmt: on


def cin_columns_sql(cin: str, fiscal_year: str) -> str:
    """Select expressions `company_age`, `state` and `industry` of a row.

    `company_age` is the fiscal year minus the year of incorporation, in whole years as a DOUBLE;
    NULL where that is below zero. All three are NULL where the CIN is missing or malformed; blanks
    around it and small letters do no harm. `state` and `industry` are NULL where the code is in no
    table. `cin` and `fiscal_year` are expressions over the row.
    """
    return (
        f"{_age_sql(cin, fiscal_year)} AS company_age,\n"
        f"    {_state_sql(cin)} AS state,\n"
        f"    {_industry_sql(cin)} AS industry"
    )


def cin_reasons_sql(source: str) -> str:
    """Query with one row per NULL of those columns: company_id, fiscal_year, code, reason.

    `source` has company_id, fiscal_year and cin; `code` is the name of the column.
    """
    year = f"{_incorporated_sql('cin')} > fiscal_year"
    columns = (
        _reason_sql(f"{year} THEN 'incorporated after the year'", "company_age"),
        _reason_sql(
            f"{_state_sql('cin')} IS NULL THEN 'unknown state code ' || {_state_code_sql('cin')}",
            "state",
        ),
        _reason_sql(
            f"{_industry_sql('cin')} IS NULL"
            f" THEN 'unknown industry code ' || {_industry_code_sql('cin')}",
            "industry",
        ),
    )
    return long_reasons_sql(columns, source)


def _reason_sql(case: str, name: str) -> str:
    return (
        "CASE WHEN coalesce(trim(cin), '') = '' THEN 'no CIN'"
        f" WHEN NOT {_is_cin_sql('cin')} THEN 'malformed CIN' WHEN {case} END AS {name}"
    )


def _clean_sql(cin: str) -> str:
    return f"upper(trim({cin}))"


def _is_cin_sql(cin: str) -> str:
    return f"regexp_full_match({_clean_sql(cin)}, '{PATTERN}')"


def _incorporated_sql(cin: str) -> str:
    return f"TRY_CAST(substr({_clean_sql(cin)}, 9, 4) AS INTEGER)"


def _state_code_sql(cin: str) -> str:
    return f"substr({_clean_sql(cin)}, 7, 2)"


def _industry_code_sql(cin: str) -> str:
    return f"substr({_clean_sql(cin)}, 2, 5)"


def _age_sql(cin: str, fiscal_year: str) -> str:
    age = f"({fiscal_year}) - {_incorporated_sql(cin)}"
    return f"CASE WHEN {_is_cin_sql(cin)} AND {age} >= 0 THEN CAST({age} AS DOUBLE) END"


def _state_sql(cin: str) -> str:
    names = ", ".join(f"'{code}': '{state.name}'" for state in STATES for code in state.codes)
    return f"CASE WHEN {_is_cin_sql(cin)} THEN MAP {{{names}}}[{_state_code_sql(cin)}] END"


def _industry_sql(cin: str) -> str:
    """Look-up of the division in one list of a hundred names per vintage."""
    place = f"TRY_CAST(substr({_clean_sql(cin)}, 2, 2) AS INTEGER) + 1"
    none = ", ".join(f"'{code}'" for code in NO_INDUSTRY)
    return (
        f"CASE WHEN {_is_cin_sql(cin)} AND {_industry_code_sql(cin)} NOT IN ({none}) THEN"
        f" CASE WHEN {_incorporated_sql(cin)} < {FIRST_YEAR_OF_NIC_2008}"
        f" THEN {_list_sql(before=True)}[{place}] ELSE {_list_sql(before=False)}[{place}] END END"
    )


def _list_sql(before: bool) -> str:
    names = (industry_of(division, before) for division in range(100))
    return "[" + ", ".join(f"'{name}'" if name else "NULL" for name in names) + "]"


def industry_of(division: int, before: bool) -> str | None:
    """Industry of a two-digit division; `before`: of a company incorporated before NIC-2008."""
    old = {code: industry.name for industry in INDUSTRIES for code in industry.nic_2004}
    new = {code: industry.name for industry in INDUSTRIES for code in industry.nic_2008}
    first, second = (old, new) if before else (new, old)
    return first.get(division, second.get(division))
