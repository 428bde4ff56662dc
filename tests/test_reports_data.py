"""The report on a data set: every figure in it counted anew, escaping, what it says of no one."""

from __future__ import annotations

import base64
import csv
import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import Command, loaded, write_csv, year_rows
from matplotlib.image import imread

from features import dataset, demo
from features.dataset import PanelRule
from features.labels import CLASSES, LabelRule
from features.ratios import RATIOS
from reports import style
from reports.__main__ import main
from reports.data import SECTIONS, gather, write_data_report
from warehouse import store
from warehouse.errors import InputError
from warehouse.fusion import KNOWN_ERRORS

pytestmark = pytest.mark.slow

CODES = [ratio.code for ratio in RATIOS]
BANNER = "SIMULATED companies: these figures say nothing about any real company."
SOURCE = "<img src=x onerror=alert(1)>"
OTHER, THIRD = "a|b [c](http://d.example) `e` *f*", "b <script>alert(2)</script>"
SECTOR = "<script>alert(3)</script> & $x$"
FILE = "w<b>&\"'`x`.duckdb"

Rows = list[list[str]]


@dataclass
class Page(HTMLParser):
    """Tags and addresses of the page, its text, and the table and pictures of each section."""

    page: str
    tags: Counter[str] = field(default_factory=Counter)
    fetched: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    title: str = ""
    text: str = ""
    sections: dict[str, Rows] = field(default_factory=dict)
    pictures: dict[str, list[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.section = ""
        self.feed(self.page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        assert not any(name.startswith("on") for name in named)
        self.tags[tag] += 1
        if tag not in ("meta", "img", "source", "br"):
            self.open.append(tag)
        found = [named[name] for name in ("src", "srcset") if name in named]
        self.fetched += found
        if found and self.section:
            self.pictures.setdefault(self.section, []).extend(found)
        self.links += [named["href"]] if "href" in named else []
        self.ids |= {named["id"]} if "id" in named else set()
        if tag == "h2":
            self.section = ""
        elif tag == "tr":
            self.sections.setdefault(self.section, []).append([])
        elif tag in ("td", "th"):
            self.sections[self.section][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data: str) -> None:
        inside = self.open[-1] if self.open else ""
        if inside == "style":
            return
        self.text += data
        if inside == "title":
            self.title += data
        elif inside == "h2":
            self.section += data
        elif inside in ("td", "th"):
            self.sections[self.section][-1][-1] += data


@dataclass
class Report:
    """A report that was written: its folder, text and page, and what it was written from."""

    out: Path
    connection: duckdb.DuckDBPyConnection

    def __post_init__(self) -> None:
        self.text = (self.out / "data_report.md").read_text(encoding="utf-8")
        self.page = Page((self.out / "data_report.html").read_text(encoding="utf-8"))
        self.parts = dict(part.split("\n", 1) for part in self.text.split("\n## ")[1:])

    def table(self, title: str) -> Rows:
        """The rows of a section's table in the Markdown, without the heading; cells as plain."""
        lines = [line for line in self.parts[title].splitlines() if line.startswith("|")]
        return [[_plain(cell) for cell in _cells(line)] for line in lines[2:]]

    def first_cells(self, title: str) -> dict[str, list[str]]:
        """The rows of a table by their first cell."""
        return {first: rest for first, *rest in self.table(title)}

    def said(self, title: str) -> str:
        """What a section says before its table."""
        return _plain(self.parts[title].strip().partition("\n\n")[0])


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _plain(text: str) -> str:
    """Markdown as a reader sees it."""
    return html.unescape(re.sub(r"\\(.)", r"\1", text))


def _number(cell: str) -> float:
    return float(cell.replace(",", "").removesuffix(" %"))


def _counts(cells: list[str]) -> list[int]:
    return [int(cell.replace(",", "")) for cell in cells]


# --- simulated companies -----------------------------------------------------------------------

COMPANIES, SEED = 30, 5


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Report]:
    """The report on a small demo universe."""
    out = tmp_path_factory.mktemp("simulated")
    with dataset.demo_warehouse(COMPANIES, SEED) as connection:
        write_data_report(connection, out, PanelRule(), "demo universe", "a test")
        yield Report(out, connection)


@pytest.fixture(scope="module")
def panel(simulated: Report) -> pd.DataFrame:
    return dataset.panel(simulated.connection).to_pandas()


@pytest.fixture(scope="module")
def universe() -> demo.DemoUniverse:
    """The files that the demo warehouse was made of."""
    (only,) = demo.demo_chunks(COMPANIES, SEED)
    return only


def test_every_section_has_a_table_or_says_that_there_is_nothing(simulated: Report) -> None:
    titles = [section.title for section in SECTIONS]
    assert list(simulated.parts) == titles
    without = [title for title in titles if not simulated.table(title)]
    assert without == ["Sources that disagree"]  # there is one source
    assert simulated.said(without[0]).startswith("Cells that two sources or more tell: 0.")
    assert list(simulated.page.sections) == [title for title in titles if title not in without]


def test_simulated_companies_are_called_so_everywhere(simulated: Report, small: Report) -> None:
    assert f"**{BANNER}**" in simulated.text
    assert simulated.page.title.startswith("SIMULATED")
    assert "SIMULATED COMPANIES" in simulated.page.text
    assert "simulated" not in (small.text + small.page.page).lower()
    for report, is_so in ((simulated, True), (small, False)):
        pictures = [p for found in report.page.pictures.values() for p in found]
        light, dark = (base64.b64decode(pictures[n].partition(",")[2]).decode() for n in (0, 1))
        assert (style.LIGHT.warn in light) == (style.DARK.warn in dark) == is_so
        files = sorted((report.out / "figures").iterdir())
        assert len(files) == 2
        assert [_has_warning(path) for path in files] == [is_so, is_so]


def _has_warning(path: Path) -> bool:
    """Whether the lowest strip of a picture has letters in the colour of the word SIMULATED."""
    pixels = imread(path)[..., :3]
    strip = pixels[-round(style.FOOT * style.DPI) :]
    colour = np.array([int(style.LIGHT.warn[n : n + 2], 16) / 255 for n in (1, 3, 5)])
    return int((np.abs(strip - colour).max(axis=2) < 0.05).sum()) > 200


def test_page_and_markdown_tell_the_same(simulated: Report, small: Report) -> None:
    for report in (simulated, small):
        for title, (_, *rows) in report.page.sections.items():
            assert rows == report.table(title), title


def test_rows_per_year_and_class_are_those_of_the_panel(
    simulated: Report, panel: pd.DataFrame
) -> None:
    found = simulated.first_cells("Rows per year and class")
    for year, rows in panel.groupby("fiscal_year"):
        counts = [int((rows["label"] == name).sum()) for name in CLASSES]
        assert _counts(found.pop(str(year))) == [*counts, len(rows)]
    totals = [int((panel["label"] == name).sum()) for name in CLASSES]
    assert _counts(found.pop("all")) == [*totals, len(panel)]
    companies = [panel[panel["label"] == name]["company_id"].nunique() for name in CLASSES]
    assert _counts(found.pop("companies")) == [*companies, COMPANIES]
    assert found == {}
    assert min(totals) > 0


def test_holdings_and_sources_are_those_of_the_files(
    simulated: Report, universe: demo.DemoUniverse, panel: pd.DataFrame
) -> None:
    items = universe.statements.columns.difference(
        ["company_id", "fiscal_year_end", "basis", "months", "filed_at"]
    )
    cells = int(universe.statements[items].notna().sum().sum())
    years = universe.statements["fiscal_year_end"].dt.year
    joined = universe.statements.query("basis == 'consolidated'")["company_id"].nunique()
    holdings = {name: cell for name, (cell,) in simulated.first_cells("What it holds").items()}
    wanted = {
        "companies": COMPANIES, "of them banks, NBFCs and insurers": 0, "reported cells": cells,
        "company-years": len(universe.statements), "index lists": 0,
        "companies whose years are consolidated": joined,
        "insolvency events": len(universe.events),
        "of them usable, with a date and a company": len(universe.events),
        "panel rows": len(panel), "panel companies": COMPANIES,
    }  # fmt: skip
    span = f"{years.min()} to {years.max()}"
    assert holdings.pop("first and last fiscal year") == span
    assert {name: int(cell.replace(",", "")) for name, cell in holdings.items()} == wanted
    ((source, *figures),) = simulated.table("Sources")
    assert source == "simulated"
    assert figures[2:4] == [str(years.min()), str(years.max())]
    assert _counts([*figures[:2], *figures[4:]]) == [cells, COMPANIES, 0, cells]


def test_coverage_is_that_of_the_panel(simulated: Report, panel: pd.DataFrame) -> None:
    share = {name: 100 * panel[panel["label"] == name][CODES].notna().mean() for name in CLASSES}
    gaps = pd.DataFrame(share).max(axis=1) - pd.DataFrame(share).min(axis=1)
    found = simulated.first_cells("Coverage by class")
    means = found.pop("all 62")
    assert [_number(cell) for cell in means[1:4]] == [
        pytest.approx(share[name].mean(), abs=0.5) for name in CLASSES
    ]
    assert len(found) == 15
    assert set(gaps[gaps > gaps[list(found)].min()].index) <= set(found)
    for code, (_, *cells, gap) in found.items():
        wanted = [pytest.approx(share[name][code], abs=0.5) for name in CLASSES]
        assert [_number(cell) for cell in cells] == wanted
        assert _number(gap) == pytest.approx(gaps[code], abs=0.5)


def test_coverage_by_year_is_that_of_the_panel(simulated: Report, panel: pd.DataFrame) -> None:
    found = simulated.first_cells("Coverage by year and class")
    assert list(found) == [str(year) for year in sorted(panel["fiscal_year"].unique())]
    for year, cells in found.items():
        for name, cell in zip(CLASSES, cells, strict=True):
            rows = panel[(panel["fiscal_year"] == int(year)) & (panel["label"] == name)]
            mean = 100 * rows[CODES].notna().to_numpy().mean() if len(rows) else None
            assert cell == "–" if mean is None else _number(cell) == pytest.approx(mean, abs=0.5)


def test_horizons_are_those_of_the_panel(simulated: Report, panel: pd.DataFrame) -> None:
    found = simulated.first_cells("Forecast horizons")
    for years in (1, 2, 3):
        answers = panel[f"fails_within_{years}y"].tolist()
        fails, survives = answers.count(True), answers.count(False)
        *counts, share = found[f"{years} y"]
        assert _counts(counts) == [fails, survives, len(panel) - fails - survives]
        assert _number(share) == pytest.approx(100 * fails / (fails + survives), abs=0.005)


def test_labels_under_other_rules_follow_from_the_admissions(
    simulated: Report, panel: pd.DataFrame, universe: demo.DemoUniverse
) -> None:
    """The demo universe has one admission a company, and no restructuring or withdrawal."""
    admissions = universe.events.query("event_type == 'cirp_admission'")
    assert set(universe.events["event_type"]) - {"liquidation", "resolution_approved"} == {
        "cirp_admission"
    }
    day = panel["company_id"].map(admissions.set_index("company_id")["event_date"])
    healthy = int(day.isna().sum())
    found = simulated.first_cells("Labels under other rules")
    rules = {"the paper's rule": 2, "window = 0": 0, "window = 1": 1, "window = 3": 3}
    for name, window in rules.items():
        after = day.dt.year - panel["fiscal_year"]
        bankrupt = int(after.between(0, window).sum())
        wanted = [bankrupt, len(panel) - healthy - bankrupt, healthy, len(panel)]
        assert _counts(found[name]) == wanted, name
    fiscal = day.dt.year + (day.dt.month > 3) - panel["fiscal_year"]
    assert _counts(found["year = fiscal"])[0] == int(fiscal.between(0, 2).sum())


def test_pass_rates_are_those_of_the_checks(simulated: Report, small: Report) -> None:
    for report in (simulated, small):
        results = store.run_checks(report.connection)
        found = report.first_cells("Data checks")
        assert list(found) == [result.check.name for result in results]
        for result in results:
            severity, asserts, judged, failed, rate = found[result.check.name]
            assert (severity, asserts) == (result.check.severity, result.check.asserts)
            assert _counts([judged, failed]) == [result.judged, result.failed]
            share = 100 * (result.judged - result.failed) / max(result.judged, 1)
            assert rate == (f"{share:.2f} %" if result.judged else "–")


def test_balance_and_audit_are_told(simulated: Report, panel: pd.DataFrame) -> None:
    title = "Failing companies and their controls"
    failing = panel[panel["label"] == "bankrupt"]["company_id"].nunique()
    said = re.search(r"([\d,]+) healthy companies matched to (\d+) of (\d+)", simulated.said(title))
    assert said
    assert int(said[3]) == failing
    assert 0 < int(said[1]) <= 3 * int(said[2])
    variables = list(simulated.first_cells(title))
    assert variables[:2] == ["log total assets", "fiscal year"]
    sectors = panel[panel["label"] == "bankrupt"]["sector"].unique()
    assert {f"sector: {name}" for name in sectors} <= set(variables)
    audit = simulated.first_cells("Leak audit")
    assert "Missing values alone" in audit
    assert audit["Source name alone"][-1] == "not run: the same in every row"
    assert all(0 <= _number(row[1]) <= 1 for row in audit.values() if row[1] != "–")
    largest = panel["label"].value_counts(normalize=True).max()
    assert f"The largest class holds {largest:.1%} of the rows." in simulated.text
    assert f"over {len(panel):,} rows of {COMPANIES} companies" in simulated.text


def test_no_company_is_named(simulated: Report, small: Report, universe: demo.DemoUniverse) -> None:
    texts = [simulated.text, simulated.page.page]
    for name in [*universe.companies["company_id"], *universe.companies["company_name"]]:
        assert not any(name in text for text in texts), name
    for name in (*NAMES, *NAMES.values()):
        assert name not in small.text
        assert name not in html.unescape(small.page.page)


# --- three made-up companies, worked by hand ---------------------------------------------------

NAMES = {"zq-alpha": "Zyqora & <i>Sons</i>", "zq-beta": "Belqora", "zq-gamma": "Gamqora"}
ENDS = {
    "zq-gamma": [f"{year}-03-31" for year in range(2014, 2019)],
    "zq-alpha": ["2016-03-31", "2018-03-31"],  # a gap
    "zq-beta": ["2015-03-31", "2016-03-31", "2017-06-30", "2018-06-30"],  # 15 months
}
SIZES = {"zq-gamma": 1.0, "zq-alpha": 2.0, "zq-beta": 1.1}
# What two other sources tell otherwise: 5 cells each. A factor of 100, 0.5 %, 25 %, a factor of 10
# twice; a factor of 1,000, 0.2 %, 1.02 %, a factor of 100 twice; and one cell that is the same.
TOLD = {
    (OTHER, "zq-alpha", "2018-03-31"): {
        "total_assets": 200_000, "sales": 1608, "net_profit": 120, "cash": 500,
        "trade_receivables": 24,
    },
    (THIRD, "zq-beta", "2018-06-30"): {
        "total_assets": 1.1, "net_profit": 52.9, "sales": 889, "cash": 2750,
        "trade_receivables": 13_200, "cost_of_materials": 330,
    },
}  # fmt: skip


def small_files(folder: Path, year: Mapping[str, float]) -> list[Path]:
    """Gamma is admitted in July 2018; Beta is on two lists of the index, Alpha on the later."""
    rows = [
        row
        for (source, company, end), items in TOLD.items()
        for row in year_rows(company, end, items, source=source)
    ]
    for company, ends in ENDS.items():
        items = {name: SIZES[company] * value for name, value in year.items()}
        for end in ends:
            months = 15 if end == "2017-06-30" else 12
            filed = "2018-05-20" if (company, end) == ("zq-gamma", "2018-03-31") else ""
            rows += year_rows(company, end, items, source=SOURCE, months=months, filed_at=filed)
    lacks = ("zq-alpha", "2016-03-31")
    rows = [
        row | {"note": "proxy"} if _is(row, *lacks, "cash") else row
        for row in rows
        if not _is(row, *lacks, "dividends")
    ]
    lists = {"zq-alpha": "2021-04-01", "zq-beta": "2019-04-01;2021-04-01", "zq-gamma": ""}
    companies = [
        {"company_id": name, "company_name": told, "sector": SECTOR, "in_nifty500": lists[name]}
        for name, told in NAMES.items()
    ]
    events = [
        {"company_id": "zq-gamma", "event_type": "cirp_admission", "event_date": "2018-07-02"},
        {"company_name": "Nobody", "event_type": "petition_only", "event_date": "2018-06-01"},
    ]
    correction = {
        "company_id": "zq-alpha", "fiscal_year_end": "2016-03-31", "item": "other_expenses",
        "source": SOURCE, "wrong": 2 * year["other_expenses"], "right": 259, "reason": "a misprint",
    }  # fmt: skip
    return [
        write_csv(folder / "statements.csv", rows),
        write_csv(folder / "companies.csv", companies),
        write_csv(folder / "events.csv", events),
        write_csv(folder / "corrections.csv", [correction]),
    ]


def _is(row: Mapping[str, object], company: str, end: str, item: str) -> bool:
    return (row["company_id"], row["fiscal_year_end"], row["item"]) == (company, end, item)


@pytest.fixture(scope="module")
def small(
    tmp_path_factory: pytest.TempPathFactory, worked: dict[str, dict[str, float]]
) -> Iterator[Report]:
    """The command's report on three made-up companies; file and sources have hostile names."""
    folder = tmp_path_factory.mktemp("small")
    with loaded(folder / FILE, *small_files(folder, worked["year"])):
        pass
    arguments = ["--data", str(folder / "report"), "--db", str(folder / FILE)]
    ran = CliRunner().invoke(main, arguments)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert "data_report.html: written" in ran.stdout
    with store.connect(folder / FILE) as connection:
        yield Report(folder / "report", connection)


def test_holdings_by_hand(small: Report, worked: dict[str, dict[str, float]]) -> None:
    cells = 11 * len(worked["year"]) - 1  # 11 years, one without dividends
    assert dict(map(tuple, small.table("What it holds"))) == {
        "companies": "3", "of them banks, NBFCs and insurers": "0",
        "reported cells": f"{cells + 11}", "company-years": "11",
        "first and last fiscal year": "2014 to 2018",
        "companies whose years are consolidated": "0", "insolvency events": "2",
        "of them usable, with a date and a company": "1", "index lists": "2", "panel rows": "11",
        "panel companies": "3",
    }  # fmt: skip
    filed = str(len(worked["year"]))
    assert small.table("Sources") == [
        [SOURCE, str(cells), "3", "2014", "2018", "1", filed],
        [THIRD, "6", "1", "2018", "2018", "0", "0"],
        [OTHER, "5", "1", "2018", "2018", "0", "0"],
    ]


def test_rows_per_year_and_class_by_hand(small: Report) -> None:
    assert small.table("Rows per year and class") == [
        ["2014", "0", "1", "0", "1"],
        ["2015", "0", "1", "1", "2"],
        ["2016", "1", "0", "2", "3"],
        ["2017", "1", "0", "1", "2"],
        ["2018", "1", "0", "2", "3"],
        ["all", "3", "2", "6", "11"],
        ["companies", "1", "1", "2", "3"],
    ]


def test_disagreements_by_hand(small: Report) -> None:
    assert small.table("Sources that disagree") == [
        [SOURCE, OTHER, "5", "1", "1", "3", "10, 100"],
        [SOURCE, THIRD, "5", "1", "1", "3", "100, 1000"],
    ]
    with KNOWN_ERRORS.open(encoding="utf-8", newline="") as file:
        known = len(list(csv.DictReader(file))) + 1
    said = small.said("Sources that disagree")
    assert "Cells that two sources or more tell: 11." in said
    assert f"Known errors of sources (corrections): {known}; figures that still were wrong and" in (
        said
    )
    assert said.endswith("replaced: 1.")


def test_periods_by_hand(small: Report) -> None:
    # No period ends where the first of each company begins, and none in the gap of Alpha.
    assert small.table("Periods") == [
        ["12 months", "10", "3", "4", "2"],
        ["15 months", "1", "1", "0", "1"],
    ]


def test_coverage_and_reasons_by_hand(small: Report) -> None:
    found = small.table("Coverage by class")
    # Of Gamma's two distressed years the first has none before it; so have three of six healthy.
    assert [[code, *shares] for code, _, *shares in found[:5]] == [
        ["X7", "100 %", "50 %", "50 %", "50"],
        ["X8", "100 %", "50 %", "50 %", "50"],
        ["X16", "100 %", "50 %", "50 %", "50"],
        ["X22", "100 %", "50 %", "50 %", "50"],
        ["X32", "100 %", "100 %", "83 %", "17"],
    ]
    assert found[-1] == ["all 62", "mean", "100 %", "97 %", "97 %", ""]
    assert small.table("Coverage by year and class")[0] == ["2014", "–", "94 %", "–"]
    # Four rows without a year before them; 11 * 62 = 682 cells.
    assert small.table("Why values are missing") == [
        ["missing prev_total_assets", "2", "8", "1.17 %"],
        ["missing prev_current_assets", "1", "4", "0.59 %"],
        ["missing prev_inventories", "1", "4", "0.59 %"],
        ["missing dividends", "1", "1", "0.15 %"],
    ]


def test_labels_under_other_rules_by_hand(small: Report) -> None:
    found = {name: _counts(cells) for name, *cells in small.table("Labels under other rules")}
    usual = [3, 2, 6, 11]
    assert found == {
        "the paper's rule": usual,
        "window = 0": [1, 4, 6, 11],
        "window = 1": [2, 3, 6, 11],
        "window = 3": [4, 1, 6, 11],
        "year = fiscal": [2, 3, 6, 11],  # t is 2019, of which there is no row
        "admissions = each": usual,
        "restructured_years = 1": usual,
        "distress = rule": [3, 0, 8, 11],  # the accounts are sound, and none is of later
        "withdrawn = distressed": usual,
        "resolution = recovers": usual,
        "healthy_as_of = 2021-12-31": usual,
        "members = year": [3, 2, 4, 9],  # the first list, of 2019, has Beta alone
    }


def test_horizons_by_hand(small: Report) -> None:
    # The last event known is of 2 July 2018.
    assert small.table("Forecast horizons") == [
        ["1 y", "1", "7", "3", "12.50 %"],
        ["2 y", "2", "6", "3", "25.00 %"],
        ["3 y", "3", "3", "5", "50.00 %"],
    ]


def test_balance_and_audit_of_too_few_companies_say_so(small: Report) -> None:
    title = "Failing companies and their controls"
    assert "2 healthy companies matched to 1 of 1 failing ones" in small.said(title)
    balance = small.first_cells(title)
    # ln 1000; ln 2000 and ln 1100; no spread within one company.
    assert balance["log total assets"][1:] == ["6.908", "7.302", "–", "7.302", "–"]
    assert balance[f"sector: {SECTOR}"][1:] == ["1.000", "1.000", "–", "1.000", "–"]
    assert "- 1 failing companies: fewer candidates than controls wanted" in small.text
    rows = small.table("Leak audit")
    assert {row[-1] for row in rows[1:]} == {"not run: a class with 1 companies, and 3 are needed"}
    assert small.said("Leak audit").startswith("No probe could be run")


def test_names_from_outside_are_text_and_nothing_else(small: Report) -> None:
    page = small.page
    assert not {"script", "link", "iframe", "object", "embed", "form", "b:"} & set(page.tags)
    assert page.tags["img"] == 2
    assert page.tags["b"] == 5  # one for each card
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.fetched)
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    for name in (SOURCE, OTHER, THIRD, SECTOR, FILE):
        assert name in page.text
    assert page.title == f"Report on a data set: {FILE}"
    assert "<" not in small.text
    assert not re.search(r"(?<!\\)\]\((?!figures/)", small.text)  # no link but to our pictures


def test_pictures_fetch_nothing_and_name_no_path(small: Report) -> None:
    assert set(small.page.pictures) == {"Rows per year and class", "Coverage by class"}
    for address in set(small.page.fetched):
        drawing = base64.b64decode(address.partition(",")[2]).decode()
        assert not re.search(r'(href|src)="(?!#|data:image/png)', drawing)
        assert "<script" not in drawing
    for title, path in re.findall(r"!\[(.+?)\]\((.+?)\)", small.text):
        assert title in small.parts
        pixels = imread(small.out / path)
        assert pixels.shape[1] == round(style.WIDTH * style.DPI)
        assert pixels[..., :3].std() > 0.05
    assert str(small.out.parent) not in small.text + small.page.page


def test_the_same_warehouse_gives_the_same_bytes_in_one_thread_and_in_many(
    small: Report, tmp_path: Path
) -> None:
    small.connection.execute("SET threads = 1")
    command = "python -m reports --data DIR --db FILE"
    write_data_report(small.connection, tmp_path, PanelRule(), FILE, command)
    small.connection.execute("RESET threads")
    first, second = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (small.out, tmp_path)
    )
    assert len(first) == 4
    assert first == second


# --- what there is nothing of, and wrong use ---------------------------------------------------


def test_where_no_company_failed_matching_and_audit_say_so_in_a_line(
    tmp_path: Path, worked: dict[str, dict[str, float]]
) -> None:
    statements, companies, *_ = small_files(tmp_path, worked["year"])
    with dataset.warehouse_of_files([statements, companies]) as connection:
        facts = gather(connection, PanelRule(), "made up", seed=0)
        said = {section.title: section.says(facts) for section in SECTIONS}
        grids = {section.title: section.grid(facts) for section in SECTIONS}
    title = "Failing companies and their controls"
    assert said[title].startswith("No controls could be matched: matching: no company of the panel")
    assert grids[title] is None
    assert said["Leak audit"] == "No probe could be run: one class only."
    classes = grids["Rows per year and class"]
    assert classes is not None
    assert [cell.text for cell in classes.rows[-1]] == ["companies", "0", "0", "2", "2"]


def test_a_warehouse_that_cannot_be_labelled_is_one_line(
    tmp_path: Path, db: Path, cli: Command, worked: dict[str, dict[str, float]]
) -> None:
    statements, *_ = small_files(tmp_path, worked["year"])
    with loaded(db, statements):
        pass
    out = tmp_path / "report"
    ran = cli("reports", "--data", out, "--db", db)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith("error: no row of the warehouse can be labelled (11 statements rows")
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--demo", "--db", "w.duckdb"), "--db and --demo exclude each other"),
        (("--check",), "--data and --check exclude each other"),
        (("--run", "."), "--data and --run exclude each other"),
        (("--db", "absent.duckdb"), "no warehouse here"),
        ((), "no warehouse here"),
        (("--years", "2012-2010"), "'--years'"),
    ],
)
def test_wrong_use_is_refused_and_writes_nothing(
    arguments: tuple[str, ...], said: str, tmp_path: Path, cli: Command
) -> None:
    out = tmp_path / "report"
    ran = cli("reports", "--data", out, *arguments)
    assert (ran.code, ran.out) == (2, "")
    last = ran.err.splitlines()[-1]
    assert last.lower().startswith("error: ")
    assert said in last
    assert not out.exists()


@pytest.mark.parametrize("arguments", [("--demo",), ("--db", "w.duckdb"), ("--years", "2010-2012")])
def test_options_of_the_data_report_are_refused_without_it(
    arguments: tuple[str, ...], tmp_path: Path, cli: Command
) -> None:
    """Else one that forgets --data gets the reference docs and no word about it."""
    docs = tmp_path / "docs"
    ran = cli("reports", "--docs", docs, *arguments)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == f"error: {arguments[0]} belongs to --data DIR\n"
    assert not docs.exists()


def test_a_file_in_the_place_of_the_folder_is_one_line(tmp_path: Path, small: Report) -> None:
    taken = tmp_path / "taken"
    taken.write_text("a file", encoding="utf-8")
    with pytest.raises(InputError, match=re.escape(str(taken))):
        write_data_report(small.connection, taken, PanelRule(), "made up", "a test")
    assert taken.read_text(encoding="utf-8") == "a file"


# --- all of the demo universe, and real companies ----------------------------------------------


def test_the_command_on_the_demo_universe(tmp_path: Path, process: Command) -> None:
    out = tmp_path / "report"
    ran = process("-m", "reports", "--data", out, "--demo", "--years", "2016-2020")
    assert (ran.code, ran.err) == (0, "")
    text = (out / "data_report.md").read_text(encoding="utf-8")
    assert BANNER in text
    assert "Made by: python -m reports --data DIR --demo --years 2016-2020" in text
    years = re.findall(r"^\| (20\d\d) \| \d", text, re.MULTILINE)
    assert set(years) == {"2016", "2017", "2018", "2019", "2020"}


def test_real_companies(shared: Path, tmp_path: Path) -> None:
    india = shared / "data/india"
    files = [india / name for name in ("companies.csv", "events.csv", "statements.parquet")]
    files.append(shared / "data/macro_india.csv")
    # The list as of the paper's date; the independent panel has the same rule and years.
    rule = PanelRule(label=LabelRule(healthy_as_of=date(2023, 9, 29)), years=(2010, 2024))
    with loaded(tmp_path / "w.duckdb", *files) as connection:
        write_data_report(connection, tmp_path / "report", rule, "real", "a test")
        report = Report(tmp_path / "report", connection)
        results = store.run_checks(connection)
        ours = dataset.panel(connection, rule).to_pandas()
    assert "SIMULATED" not in report.text + report.page.page
    assert "(the list as of 2023-09-29)" in report.text
    found = report.first_cells("Data checks")
    for result in results:
        assert _counts(found[result.check.name][2:4]) == [result.judged, result.failed]
        rate = found[result.check.name][4]
        assert not result.judged or _number(rate) == pytest.approx(
            100 * (1 - result.failed / result.judged), abs=0.005
        )
    assert _number(found["balance_sheet"][4]) > 99
    _agrees(report, pd.read_parquet(india / "panel_dev.parquet"))
    variables = report.first_cells("Failing companies and their controls")
    before, after = (abs(_number(variables["log total assets"][n])) for n in (3, 5))
    assert after < before / 2
    audit = report.first_cells("Leak audit")
    # The README: missingness alone 0.83, source alone 0.68, years 0.64, by company.
    assert _number(audit["Missing values alone"][0].split()[0]) == pytest.approx(0.826, abs=0.03)
    assert _number(audit["Source name alone"][0].split()[0]) == pytest.approx(0.682, abs=0.05)
    assert audit["Missing values alone"][-1] == "large"
    names = [name for name in ours["company_name"].unique() if len(name) > 12]
    assert len(names) > 100
    assert not [name for name in names if name in report.text]


def _agrees(report: Report, theirs: pd.DataFrame) -> None:
    """Class counts per year are those of the independent panel.

    That leaves out three rows of shells with less than a million rupees of assets, in 2015 and 2016
    (tests/test_features_real.py looks at them one by one).
    """
    found = report.first_cells("Rows per year and class")
    wanted = pd.crosstab(theirs["fiscal_year"], theirs["label"])[list(CLASSES)]
    more = {}
    for year, row in wanted.iterrows():
        bankrupt, distressed, healthy, total = _counts(found[str(year)])
        assert (bankrupt, distressed) == tuple(row[:2]), year
        assert total == bankrupt + distressed + healthy
        more[year] = healthy - row["healthy"]
    assert {year: n for year, n in more.items() if n} == {2015: 2, 2016: 1}
