"""Known faults of each source and of the data set, as one declared table, and the page of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from reports.pieces import codes, prose, table

Standing = Literal["seen", "reported", "inherent"]


@dataclass(frozen=True)
class Area:
    """What faults are about, and their heading."""

    name: str
    title: str


@dataclass(frozen=True)
class KnownFault:
    """Something that is wrong or misleading in the data, and will be met again.

    Attributes:
        area: name of an `Area`.
        about: the sources that have it, named as in sources.md or in the column `source`; none
            where it is of no one source.
        fault: what is wrong.
        effect: what it does to whoever does not know of it.
        done: what this program does about it; says so where that is nothing.
        standing: "seen" in real files, "reported" by others' public code or write-ups, or
            "inherent" in how the data come about.
    """

    area: str
    about: tuple[str, ...]
    fault: str
    effect: str
    done: str
    standing: Standing


AREAS: tuple[Area, ...] = (
    Area("events", "Insolvency events and labels"),
    Area("filings", "Filings at the exchanges"),
    Area("vendors", "Vendors of statements"),
    Area("statements", "Statements of any source"),
    Area("companies", "Lists and registers of companies"),
    Area("macro", "Macro series"),
    Area("data set", "The data set as a whole"),
    Area("paper", "The reference paper and its published code"),
)

# fmt: off
KNOWN_FAULTS: tuple[KnownFault, ...] = (
    KnownFault(
        "events", ("ibbi_announcements",),
        "the listing of announcements has no CIN; its export has one, at times malformed",
        "a debtor can be matched to a listed company by its name only",
        "the export is read first; only a CIN or an exact name matches by itself, a similar name"
        " waits for a person's yes or no and labels nothing until then",
        "seen",
    ),
    KnownFault(
        "events", ("ibbi_announcements",),
        "the export is tab-separated text under another type, with HTML entities and rows with a"
        " wrong number of fields",
        "rows shift or are lost without a sign",
        "it is read as what it is; a row that does not fit is put into quarantine and counted",
        "reported",
    ),
    KnownFault(
        "events", ("ibbi_announcements",),
        "the announcement comes days after the admission",
        "near the turn of a year t is off by one",
        "the day of commencement is read from the debtor's own page; admissions of a company within"
        " 90 days of each other are one, of the first date",
        "seen",
    ),
    KnownFault(
        "events", ("ibbi_processes",),
        "a company without a process and a number that is not known get the same answer",
        "the answer proves nothing",
        "it takes no announcement back",
        "seen",
    ),
    KnownFault(
        "events", ("ibbi_orders",),
        "orders name the debtor in a line of free text",
        "a withdrawal that is not recognised leaves a company labelled bankrupt",
        "the first crawl reads all orders; one that matches no debtor for certain is listed for"
        " review",
        "seen",
    ),
    KnownFault(
        "events", ("ibbi_announcements", "ibbi_processes"),
        "some companies are admitted again years later",
        "t is ambiguous",
        "the first admission that was not withdrawn counts; each of them with the option"
        " `admissions` (labels.md)",
        "seen",
    ),
    KnownFault(
        "events", ("ibbi_announcements", "ibbi_orders"),
        "petitions and admissions are withdrawn, settled or stayed",
        "a company is called bankrupt that never was",
        "a withdrawn admission labels nothing by default, and its company is not healthy either"
        " (labels.md, option `withdrawn`)",
        "seen",
    ),
    KnownFault(
        "events", (),
        "the Insolvency and Bankruptcy Code has been in force since December 2016",
        "companies that failed before under older law have no event: their years look as any",
        "nothing: the years before 2014 hold hardly a bankrupt row; choose years with `--years`",
        "inherent",
    ),
    KnownFault(
        "events", (),
        "new filings were suspended from 25 March 2020 to 24 March 2021, and from 24 March 2020 on"
        " a default must be of INR 1 crore at least",
        "admissions dip: a company of those years may be healthy by law only",
        "nothing",
        "inherent",
    ),
    KnownFault(
        "events", (),
        "admission is a legal event: many companies in distress are merged, restructured, delisted"
        " or wound up without it",
        "`healthy` means no recorded event, not good health",
        "a restructuring makes years distressed; a rule by net worth and interest cover is an"
        " option (labels.md, `distress`)",
        "inherent",
    ),
    KnownFault(
        "filings", ("nse_results",),
        "lists of results name few annual ones; asked with dates they are empty or cut short"
        " without a sign",
        "most years are missing",
        "they are asked for by symbol, without dates; a year is taken out of the filing of its last"
        " quarter, which holds the year to date as well; where more than half of the companies have"
        " no result, the source fails",
        "seen",
    ),
    KnownFault(
        "filings", ("nse_integrated",),
        "a revision has no day of broadcast",
        "it seems to have been known with the first figures",
        "its day of revision is taken, else that of its creation; else it counts as available 60"
        " days after the year end",
        "reported",
    ),
    KnownFault(
        "filings", ("nse_xbrl", "xbrl filing"),
        "filings for periods before 30 September 2022 have no balance sheet, those before September"
        " 2020 no cash flow",
        "few ratios of the years before fiscal year 2023 can be computed from filings alone",
        "each statement of a year is taken from the first source that has it (fusion.md)",
        "reported",
    ),
    KnownFault(
        "filings", ("nse_xbrl", "xbrl filing"),
        "the context of the year to date is declared with the dates of the quarter",
        "a year's sales are taken for a quarter's",
        "the facts that state the period decide; where the two contexts hold the same figures the"
        " filing is kept as interim and is no year",
        "seen",
    ),
    KnownFault(
        "filings", ("nse_xbrl", "xbrl filing"),
        "cash stands twice in the cash flow statement, at the beginning and at the end; text facts"
        " of banks bear a currency; the rounding that is stated is for display only",
        "wrong cash, a thousandfold mistake of scale",
        "elements are read from one table of what each means; values are rupees whatever the"
        " rounding says",
        "seen",
    ),
    KnownFault(
        "filings", ("nse_results", "nse_integrated", "nse_xbrl"),
        "the site refuses hasty clients, and a file that is asked for twice",
        "gaps that look like companies that filed nothing",
        "each file is fetched once for ever, with seconds between two; a refusal fails the source",
        "reported",
    ),
    KnownFault(
        "filings", ("bse_results",),
        "standalone profit and loss only, in INR million; no list of past XBRL files and no balance"
        " sheet is known to be there",
        "hardly a ratio can be computed from it alone",
        "it goes last in the order of sources; a result of which income less expenses is not the"
        " profit is not taken",
        "reported",
    ),
    KnownFault(
        "vendors", ("moneycontrol_codes",),
        "the search for a company is fuzzy: another company may come first",
        "statements of another company",
        "an entry is taken only if it carries the ISIN that was asked for, or the symbol where"
        " there is no ISIN",
        "reported",
    ),
    KnownFault(
        "vendors", ("moneycontrol_pages", "moneycontrol_api"),
        "no real saved page could be had: the readers were written from others' code and tested on"
        " replicas of our own making",
        "a layout that is not as reported",
        "whatever differs is refused with a message that quotes it",
        "inherent",
    ),
    KnownFault(
        "vendors", ("moneycontrol", "moneycontrol api", "screener.in workbook"),
        "a vendor says neither when a company filed nor whether a figure was restated since",
        "a figure of today stands for a year as if it had been known then",
        "such a figure counts as available 60 days after the year end; one that is seen to change"
        " counts from the day of the crawl that saw it",
        "inherent",
    ),
    KnownFault(
        "vendors", ("moneycontrol", "moneycontrol api"),
        "labels and keys have misprints that come and go; banks and insurers have other layouts",
        "lines are dropped",
        "the misprints are in the table of lines; an unknown label is said",
        "reported",
    ),
    KnownFault(
        "vendors", ("screener.in workbook",),
        "it states neither current assets nor current liabilities",
        "nearly half of the ratios are missing",
        "current assets, total liabilities and investments are estimates, marked `proxy` and named"
        " in the panel's column `proxies`; what cannot be estimated stays missing",
        "seen",
    ),
    KnownFault(
        "vendors", ("screener.in workbook",),
        "it does not state its basis, and deposits are among a bank's borrowings",
        "accounts of the group and of the company are mixed up; a bank looks indebted",
        "its basis is `unstated`, which goes after the others; banks are left out of the panel",
        "seen",
    ),
    KnownFault(
        "statements", (),
        "a later statement gives other figures for a year than the first did",
        "a model learns from figures that nobody could know",
        "every filing's figure is kept with its day; `--as-of` and `--vintage` choose (fusion.md)",
        "inherent",
    ),
    KnownFault(
        "statements", (),
        "failing companies file late or not at all; the 60 days that stand in for an unknown day of"
        " filing are short for them",
        "their last accounts seem to be known before they were",
        "nothing beyond the day of filing where a source gives one",
        "inherent",
    ),
    KnownFault(
        "statements", (),
        "amounts in lakh, million and crore are mistaken for each other",
        "figures are off by a factor of 10 to 10 million",
        "an amount above India's economy is refused; a jump of 1,000 between years is a failed"
        " check; a disagreement of two sources by such a factor says so; corrections mend what is"
        " known",
        "seen",
    ),
    KnownFault(
        "statements", (),
        "sources print 0 or a dash for what is not reported",
        "a missing value is taken for nothing",
        "a dash or an empty cell is missing; a printed 0 stays 0, because it cannot be told apart",
        "seen",
    ),
    KnownFault(
        "statements", (),
        "sources part the same costs differently: direct and other expenses above all",
        "a mixture of two sources adds up to neither",
        "one statement of a year is taken from one source (fusion.md)",
        "seen",
    ),
    KnownFault(
        "statements", (),
        "years end in other months than March, and periods of 9, 15 or 18 months occur",
        "flows of such a period cannot be compared with a year's, growth least of all",
        "the length is in the column `months`; a value of the period before is used only where one"
        " ends as the other begins; `--flows annual` brings flows to twelve months",
        "seen",
    ),
    KnownFault(
        "statements", (),
        "of two year ends in one calendar year only one can be the fiscal year",
        "a period is left out",
        "the later one is used unless it is under nine months or much less complete; the check"
        " `duplicate_year` names both",
        "seen",
    ),
    KnownFault(
        "statements", (),
        "banks, NBFCs and insurers have no current assets, no inventories and other items",
        "most ratios are missing, the others mean something else",
        "they are kept, flagged and left out of the panel unless `--financial`; where no list says"
        " what a company is, the layout of its statements decides, which can be wrong",
        "inherent",
    ),
    KnownFault(
        "companies", ("nse_indices",),
        "only today's list of members is published; placeholder symbols stand on it",
        "the index of the past is made of today's members: of survivors",
        "lists are dated by their day and kept from the first crawl on; earlier ones can be"
        " imported with the companies file; placeholders are put into quarantine",
        "seen",
    ),
    KnownFault(
        "companies", ("nse_listings", "bse_scrips"),
        "companies change their symbols and names",
        "one company becomes two, or its events are not found",
        "changes are read from the exchange's lists; every identifier under which a company was"
        " seen is kept",
        "seen",
    ),
    KnownFault(
        "companies", ("bse_scrips",),
        "the list of scrips is cut short at times",
        "delisted companies are missing, which are those that failed",
        "a list shorter than the least, or than half of the last one, is a failure of the source",
        "reported",
    ),
    KnownFault(
        "companies", ("mca_companies",),
        "the sample key answers with ten rows at most; after some twenty quick calls it breaks off",
        "a debtor's CIN is not found in the register",
        "a key of one's own is asked for, and only debtors that look listed are looked up",
        "reported",
    ),
    KnownFault(
        "companies", ("mca_companies",),
        "the register is that of today: a company that moved or changed its objects got another"
        " CIN",
        "state and industry of the past are not those of the CIN; its industry is what the founders"
        " meant to do",
        "both are for description and matching and are no features; the year of incorporation does"
        " not change",
        "inherent",
    ),
    KnownFault(
        "macro", ("worldbank",),
        "past values are revised, and only the latest are published",
        "a model learns from a growth rate that nobody could know",
        "a year counts as known from its end on; revisions are not kept apart",
        "inherent",
    ),
    KnownFault(
        "macro", ("worldbank",),
        "an Indian fiscal year is not a calendar year, and the paper's own table shifts three of"
        " the four series by a year",
        "a value of the wrong year",
        "one rule for all four, with the paper's as an option (macro.md)",
        "seen",
    ),
    KnownFault(
        "macro", ("worldbank",),
        "unemployment is modelled by the ILO and changes with the vintage of the model",
        "figures cannot be compared with those of older publications",
        "nothing",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "healthy companies are members of an index, most of them on a recent list: large, and"
        " survivors",
        "a model can tell the classes by size and survival",
        "the audit says how far size alone gets (`python -m features --audit`); `--match` takes"
        " controls of the same sector and size; the option `members` takes the list in force",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "failed companies are covered by fewer and coarser sources",
        "what is missing, and the name of the source, tell the class",
        "rows with few ratios are left out; the audit says what the gaps and the source alone tell;"
        " the source is no feature",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "the macro variables are the same for all companies of a year",
        "they name the year, and shares of the classes differ between years",
        "the audit says what the year alone tells; the protocol `time` tests on later years",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "in the paper's rule `distressed` holds years long before an admission and years after it",
        "the class is no state of a company",
        "`label_reason` and `post_event` tell them apart; other rules are options (labels.md)",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "a company has up to ten rows that resemble each other",
        "with random rows a model recognises the company",
        "the protocol `company`, which is the default, keeps all rows of one on one side",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "one basis stands for all years of a company: consolidated accounts where they are as"
        " complete as the others",
        "groups and single companies stand side by side",
        "the basis is in the panel; it is never mixed within a company",
        "inherent",
    ),
    KnownFault(
        "data set", (),
        "a debtor that is matched to no listed company is in no panel; a listed one that is not"
        " matched stays healthy if it is on the index",
        "classes are smaller, and a few labels wrong",
        "events without a company are counted by `python -m warehouse info`, doubtful matches wait"
        " in a review file",
        "inherent",
    ),
    KnownFault(
        "paper", (),
        "its code takes employee cost off net sales and direct expenses off operating profit twice,"
        " never depreciation; revenue stands where gross profit should (X9)",
        "ratios that rest on these differ from their printed formulas",
        "formulas are computed as printed (ratios.md) and checked against values worked by hand",
        "seen",
    ),
    KnownFault(
        "paper", (),
        "in its code X8 is inverted and of total assets, X12 divides by sales, X13 is current"
        " liabilities to assets, X16 and X22 divide by the current year, quick assets of X31 are"
        " total assets less inventories, X58 divides by total assets, X45 is missing",
        "its figures for these ratios cannot be compared",
        "as above",
        "seen",
    ),
    KnownFault(
        "paper", (),
        "its code sets a ratio with a zero denominator to 0 and drops the last year",
        "0 looks like a value",
        "such a ratio is missing, and its reason is counted",
        "seen",
    ),
    KnownFault(
        "paper", (),
        "one company of its list has the figures of another one of the same name",
        "a wrong row",
        "companies are matched by identifiers",
        "seen",
    ),
    KnownFault(
        "paper", (),
        "it tests on random rows: 894 of 3,576, a quarter where the text says a fifth; of the four"
        " confusion matrices of its Table 6 only the last gives the stated accuracy of 91 %",
        "figures flatter, and three of them cannot be reproduced from what is printed",
        "its protocol is offered for comparison only, next to splits by company and by time",
        "seen",
    ),
)
# fmt: on

_WORDS = {
    "seen": "in real files",
    "reported": "reported by others",
    "inherent": "follows from how the data come about",
}


def body() -> str:
    """The page, without its title."""
    told = "\n".join(f"- **{name}**: {words}" for name, words in _WORDS.items())
    return f"""What is wrong or misleading in the data, what that does, and what is done about it.
Faults of single figures are in the table `corrections` of an export, differences between sources in
`disagreements`, failed checks in `check_failures` ([dictionary.md](dictionary.md)). What becomes of
a site that misbehaves is in [faults.md](faults.md). The last column says how a fault is known:

{told}

{"".join(_sections())}"""


def _sections() -> Iterator[str]:
    for area in AREAS:
        rows = (
            (codes(f.about) or "–", prose(f.fault), prose(f.effect), prose(f.done), f.standing)
            for f in KNOWN_FAULTS
            if f.area == area.name
        )
        head = "source|what is wrong|what that does|what is done about it|known"
        yield f"## {area.title}\n\n{table(head, rows)}\n\n"


_areas = {area.name for area in AREAS}
for _fault in KNOWN_FAULTS:
    if _fault.area not in _areas:
        raise ValueError(f"a fault is in no area: {_fault.area}")
