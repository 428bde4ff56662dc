"""The datasheet of the data set, after Gebru et al., with the counts that the tables give."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from features.columns import COLUMNS
from features.labels import CLASSES, HORIZONS, OPTIONS
from features.macro import MACRO
from features.ratios import RATIOS
from features.scores import SCORES
from features.trends import TRENDS
from models.protocols import PROTOCOLS
from reports.known_faults import KNOWN_FAULTS
from reports.pieces import codes
from scraping.load import modules
from scraping.source import Source
from warehouse.dictionary import EXPORTED
from warehouse.formats import EVENT_TYPES
from warehouse.fusion import PLACES
from warehouse.items import DERIVED, ITEMS
from warehouse.store import checks


@dataclass(frozen=True)
class Answer:
    """A question in brief, and what is true of this data set."""

    question: str
    text: str


@dataclass(frozen=True)
class Section:
    """Questions on one stage of a data set's life."""

    title: str
    answers: tuple[Answer, ...]


def body() -> str:
    """The page, without its title."""
    parts = "\n\n".join(
        f"## {section.title}\n\n"
        + "\n\n".join(f"**{a.question}** {a.text}" for a in section.answers)
        for section in sections()
    )
    return f"""The questions are those of T. Gebru, J. Morgenstern, B. Vecchione, J. W. Vaughan,
H. Wallach, H. Daumé III and K. Crawford (2021), Datasheets for datasets, Communications of the ACM
64(12), 86-92, in brief. The data set is what this program builds out of what its user loads or
fetches. **The repository ships no real data**: counts of companies and years are those of a user's
own warehouse (`python -m warehouse info`); counts below are of the program's tables.

{parts}"""


def sections() -> tuple[Section, ...]:
    """All sections, in the order of the paper."""
    return (
        _motivation(), _composition(), _collection(), _preprocessing(), _uses(), _distribution(),
        _maintenance(),
    )  # fmt: skip


def _sources() -> list[Source]:
    return [module.SOURCE for module in modules().values()]


def _motivation() -> Section:
    return Section(
        "Motivation",
        (
            Answer(
                "For what purpose?",
                "To predict which Indian listed companies are heading for insolvency, and to"
                " reproduce and test Chaithra, Sharma and Mohan, \"Machine Learning Solutions for"
                ' Predicting Bankruptcy in Indian Firms" (ICPR 2024), by joining statements with'
                " admissions to the corporate insolvency resolution process (CIRP), each figure"
                " with the document that it was read from.",
            ),
            Answer(
                "Who made it, and who paid?",
                "Whoever runs the program makes a data set. Nothing is stated about money.",
            ),
        ),
    )  # fmt: skip


def _composition() -> Section:
    return Section("Composition", (*_instances(), *_quality()))


def _instances() -> tuple[Answer, ...]:
    features = sum(1 for column in COLUMNS if column.role == "feature")
    return (
        Answer(
            "What is an instance?",
            "A fiscal year of a listed company (table `panel`). Behind it stand"
            f" {len(EXPORTED)} tables, described in [dictionary.md](dictionary.md):"
            f" {codes(table.name for table in EXPORTED)}.",
        ),
        Answer(
            "How many?",
            "As many as the user's sources give. The paper has 118 bankrupt and 310 healthy"
            " companies and 3,576 company-years. Coverage by year and class is part of the"
            " report on a warehouse's own data, not of this sheet.",
        ),
        Answer(
            "Is it a sample?",
            "Yes, and not a random one. Failing companies are those admitted to the CIRP that"
            " can be matched to a listed company and have statements; healthy ones are members"
            " of the Nifty 500 without any recorded event, so large companies and survivors."
            " Companies between the two (listed, small, no event) are in neither class.",
        ),
        Answer(
            "What does an instance consist of?",
            f"Up to {len(COLUMNS)} columns, {features} of them features: {len(RATIOS)} ratios"
            f" ([ratios.md](ratios.md)), {len(MACRO)} macro variables ([macro.md](macro.md)),"
            f" {len(TRENDS)} trends of each ratio, {len(SCORES)} published scores"
            " ([scores.md](scores.md)) and the company's age. They are computed from"
            f" {len(ITEMS)} items of the statements and {len(DERIVED)} items derived from"
            " these ([items.md](items.md)).",
        ),
        Answer(
            "Is there a label?",
            f"Three classes, {codes(CLASSES)}, by a rule of {len(OPTIONS)} options of which the"
            " paper's is the default; and whether the company is admitted within"
            f" {', '.join(map(str, HORIZONS[:-1]))} or {HORIZONS[-1]} years"
            " ([labels.md](labels.md)). A label is what the law recorded, not an opinion on a"
            " company.",
        ),
    )


def _quality() -> tuple[Answer, ...]:
    severities = Counter(check.severity for check in checks())
    return (
        Answer(
            "Is anything missing?",
            "Much. Sources differ in detail; a Screener workbook gives about half of the"
            " ratios. A value that cannot be computed is missing, never 0, and"
            " `python -m features` counts the reasons.",
        ),
        Answer(
            "Do instances depend on each other?",
            "Years of a company do, companies of a group do, and all companies of a year share"
            " its economy. Groups of companies are not marked.",
        ),
        Answer(
            "Are there recommended splits?",
            f"Those of [protocols.md](protocols.md): {codes(p.name for p in PROTOCOLS)}."
            " `company` is the default; random rows flatter.",
        ),
        Answer(
            "Are there errors, noise, redundancies?",
            f"{len(KNOWN_FAULTS)} known faults are listed in"
            f" [known_faults.md](known_faults.md). {severities['error']} data checks of"
            f" severity error and {severities['warning']} warnings run after every load"
            " ([checks.md](checks.md)); a row that fails is kept and flagged. Ratios of the"
            f" paper that are one quantity under several codes: {_alike()}.",
        ),
        Answer(
            "Does it rest on outside resources?",
            "The warehouse keeps every document that was fetched as it came, so it can be"
            " rebuilt without the sites; nothing is promised about the sites themselves.",
        ),
        Answer(
            "Is there anything confidential, or about persons?",
            "All of it is published by the sources. The tables of announcements in the"
            " warehouse hold names of insolvency professionals and of applicants, who may be"
            " persons, as the Board publishes them; exported tables hold neither. What is said"
            " of a company may be wrong (a match, a date): treat it so.",
        ),
    )


def _alike() -> str:
    found: dict[tuple[str, str], list[str]] = {}
    for ratio in RATIOS:
        found.setdefault((ratio.numerator, ratio.denominator), []).append(ratio.code)
    return "; ".join(" and ".join(same) for same in found.values() if len(same) > 1)


def _collection() -> Section:
    found = _sources()
    standing = Counter(source.standing for source in found)
    return Section(
        "Collection",
        (
            Answer(
                "How were the data acquired?",
                f"By {len(found)} scrapers of publications of"
                f" {len({source.publisher for source in found})} publishers"
                " ([sources.md](sources.md)), and from files of users: statements, events,"
                " companies, macro series and corrections as tables, XBRL filings, Screener"
                " workbooks, saved moneycontrol pages.",
            ),
            Answer(
                "By what mechanism, and how was it validated?",
                "**The scrapers were never run against the real sites** by those who wrote them: no"
                " machine that builds or tests this project reaches the sites. The formats of"
                f" {standing['seen']} sources were read in real files, those of"
                f" {standing['reported']} are known from others' public code only. All are tested"
                " on replicas of our own making, which can only be as right as what is known; what"
                " a document says otherwise is refused with a message.",
            ),
            Answer(
                "Who collected, and were they paid?",
                "A program on a schedule. No persons were asked, observed or paid.",
            ),
            Answer(
                "Over what time?",
                f"Admissions since December 2016, when the Code came into force, and events of"
                f" {len(EVENT_TYPES) - 1} other types; statements as far back as a source goes."
                " Every cell names the day from which it was known, or the day that stands in for"
                " it.",
            ),
            Answer(
                "Was there a review of ethics?",
                "None. The data are public records of companies. robots.txt, terms, spacing"
                " between requests and a contact in the User-Agent are kept.",
            ),
        ),
    )


def _preprocessing() -> Section:
    return Section(
        "Preprocessing, cleaning, labelling",
        (
            Answer(
                "What was done to the data?",
                "Amounts are brought to INR crore. Of what several sources tell, one value per"
                f" cell is chosen by an order of {len(PLACES)} sources of documents and fixed"
                " rules, never averaged ([fusion.md](fusion.md)). Known errors are mended by a"
                " table of corrections with reason and reference. Debtors are matched to listed"
                " companies by CIN or exact name; doubtful matches wait for a person. Imputation,"
                " scaling, selection and resampling are no part of the data: a model fits them on"
                " its training rows.",
            ),
            Answer(
                "Was the raw data kept?",
                "Yes: documents as WARC files, written once, and every reported cell with its file"
                " and row, also where another value is preferred.",
            ),
            Answer(
                "Is the software available?",
                "It is this repository. The same documents give the same warehouse, and the same"
                " warehouse gives the same exported bytes.",
            ),
        ),
    )


def _uses() -> Section:
    return Section(
        "Uses",
        (
            Answer(
                "What has it been used for?",
                "For this program's own models, and for tests on samples of real data that are not"
                " distributed.",
            ),
            Answer(
                "What else could it be used for?",
                "Studies of disclosure, of restatements, of differences between vendors; panels as"
                " of a day (`--as-of`).",
            ),
            Answer(
                "What might harm later uses?",
                "Classes differ by size, survival, detail of the source and year, not by distress"
                " alone. `python -m features --audit` measures how far each of these gets by"
                " itself. Admissions dip with the suspension of 2020 and 2021.",
            ),
            Answer(
                "What should it not be used for?",
                "To grant or refuse credit, to buy or sell, or to call a company insolvent, without"
                " a person's judgement of its own accounts. Not for banks, NBFCs and insurers,"
                " unlisted companies or other countries. Figures on simulated companies say that"
                " the program works and nothing about companies.",
            ),
        ),
    )


def _distribution() -> Section:
    return Section(
        "Distribution",
        (
            Answer(
                "Is it given to others?",
                "Not by this project. A user may export a warehouse as a Data Package.",
            ),
            Answer(
                "Under what licence?",
                "The program's licence (MIT) is for the program, not for the data. Each source"
                " states its own terms ([sources.md](sources.md)); for several no licence for reuse"
                " is known, and moneycontrol's statements are for own research only. An exported"
                " package therefore states no licence.",
            ),
            Answer(
                "Do others restrict it?",
                "The publishers may; so may law on export and regulation where the user is.",
            ),
        ),
    )


def _maintenance() -> Section:
    return Section(
        "Maintenance",
        (
            Answer(
                "Who maintains it?",
                "The program: its contributors ([CONTRIBUTING.md](../CONTRIBUTING.md)). A data set:"
                " whoever built it.",
            ),
            Answer(
                "Is it updated, and are there errata?",
                "`python -m scraping --due` fetches what is due. Corrections are rows with a"
                " reason; a formula, label rule or period that changes is named in CHANGELOG.md. An"
                " export's version ends in a fingerprint of what the warehouse says.",
            ),
            Answer(
                "Are older versions kept?",
                "Documents and reported cells are not deleted, so that a data set as of an earlier"
                " day can be built again, but for events, whose day of recording is not kept, and"
                " macro series, whose revisions replace each other.",
            ),
            Answer(
                "How can others add to it?",
                "A source, item, ratio or check is one entry in a table"
                " ([CONTRIBUTING.md](../CONTRIBUTING.md)); a known error is one row of"
                " `warehouse/corrections.csv`.",
            ),
        ),
    )
