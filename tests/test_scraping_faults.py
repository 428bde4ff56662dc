"""Every way a site misbehaves, on the replica: the source recovers or fails loudly, the others
finish, nothing good is lost, the summary says it. Writes the table of docs/faults.md.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest
from replica import Replica, replica
from replica_faults import FAULTS

from scraping.load import modules
from scraping.run import Options, Outcome, Summary, run
from warehouse import store
from warehouse.store import one_row

HEAD = """<!-- Written by tests/test_scraping_faults.py (UPDATE_DOCS=1): do not edit. -->

# Faults and what becomes of them

Each line is a run against a replica of the sites (made-up companies) that misbehaves in that way,
after a run that was undisturbed. In every case the other sources finish, the warehouse keeps all
that it had, and the next run without the fault ends well. Addresses are those of the replica.

| fault | struck | outcome | the run says |
|---|---|---|---|
"""
BASE = ("bse_scrips", "ibbi_announcements", "nse_indices", "nse_listings", "worldbank")
ONE = ("INE9Z00",)  # statements of one company are enough here


@dataclass(frozen=True)
class Case:
    """A fault, where and how often it strikes, and what should become of it.

    `state` is that of the struck source; `says` is searched in its messages.
    """

    fault: str
    source: str
    match: str
    state: str
    says: str = ""
    times: int | None = None
    since: date | None = None

    @property
    def id(self) -> str:
        """Name of the test."""
        where = re.sub(r"[^A-Za-z_-]+", "", self.match)[-12:]
        return f"{self.fault}-{self.source}-{where}-{self.state}"


EXPORT = "/ibbi/public-announcement.*export"
LISTING = "/ibbi/public-announcement.*page="
SCRIPS = "/bse-api/.*ListofScripData"
EQUITY = "/nse-archives/content/equities/EQUITY_L"
INDEX = "/nse-archives/content/indices"
RESULTS = "/nse/api/corporates-financial-results"
PAGES = "/moneycontrol/financials/.*balance-sheet"
FOR_EVER = 0
LONG_AGO = date(2016, 1, 1)

CASES = (
    Case("401_until_warm_up", "nse_results", RESULTS, "done", times=2),
    Case("403_until_warm_up", "nse_results", RESULTS, "done", times=2),
    Case("429", "bse_scrips", SCRIPS, "done", times=1),
    Case("429", "bse_scrips", SCRIPS, "failed", "answered 429", times=FOR_EVER),
    Case("500", "bse_scrips", SCRIPS, "done", times=2),
    Case("500", "nse_indices", INDEX, "failed", "answered 500", times=FOR_EVER),
    Case("503", "worldbank", "/worldbank/", "done", times=1),
    Case("reset", "ibbi_announcements", EXPORT, "done", times=2),
    Case("reset", "nse_indices", INDEX, "failed", "broken off", times=FOR_EVER),
    Case("slow_drip", "nse_indices", INDEX, "failed", "not whole after", times=FOR_EVER),
    Case("truncated", "nse_listings", EQUITY, "done", times=1),
    Case("truncated", "nse_listings", EQUITY, "failed", "broken off", times=FOR_EVER),
    Case("truncated_chunked", "nse_indices", INDEX, "done", times=1),
    Case("gzip_bomb", "nse_indices", INDEX, "failed", "more than .* bytes", times=FOR_EVER),
    Case("huge", "nse_indices", INDEX, "failed", "more than .* bytes|not whole", times=FOR_EVER),
    Case("captcha", "bse_scrips", SCRIPS, "done", times=1),
    Case("captcha", "bse_scrips", SCRIPS, "failed", "page that blocks us", times=FOR_EVER),
    Case("captcha", "moneycontrol_pages", PAGES, "partial", "blocks us", times=FOR_EVER),
    Case("login", "ibbi_announcements", EXPORT, "partial", "blocks us", times=FOR_EVER),
    Case("empty", "nse_listings", EQUITY, "done", times=1),
    Case("empty", "nse_listings", EQUITY, "failed", "got nothing", times=FOR_EVER),
    Case("empty_json", "bse_scrips", SCRIPS, "failed", "", times=FOR_EVER),
    Case("redirect_loop", "nse_indices", INDEX, "failed", "redirects", times=FOR_EVER),
    Case("redirect_elsewhere", "nse_indices", INDEX, "failed", "another host", times=FOR_EVER),
    Case("robots_disallow", "bse_scrips", "/bse-api/", "failed", "robots.txt"),
    Case("changed_header", "bse_scrips", SCRIPS, "failed", "format has changed", times=FOR_EVER),
    Case("changed_header", "nse_indices", INDEX, "failed", "format has changed", times=FOR_EVER),
    Case("changed_header", "ibbi_announcements", EXPORT, "partial", "", times=FOR_EVER),
    Case("changed_header", "ibbi_announcements", LISTING, "partial", "", times=FOR_EVER),
    Case("changed_header", "moneycontrol_pages", PAGES, "partial", "", times=FOR_EVER),
    Case("changed_date_format", "ibbi_announcements", LISTING, "partial", "", times=FOR_EVER),
    Case("changed_date_format", "nse_listings", EQUITY, "failed", "", times=FOR_EVER),
    Case("repeating_page", "ibbi_announcements", LISTING, "partial", "the same", 0, LONG_AGO),
    Case("wrong_charset_utf16", "nse_indices", INDEX, "failed", "UTF-8", times=FOR_EVER),
    Case("wrong_charset_latin1", "nse_listings", EQUITY, "failed", "UTF-8", times=FOR_EVER),
    Case("duplicated", "nse_indices", INDEX, "done", times=FOR_EVER),
    Case("duplicated", "ibbi_announcements", EXPORT, "done", times=FOR_EVER),
    Case("symbol_renamed", "nse_listings", "", "done"),
)


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    """A replica with few companies and small pages."""
    with replica(companies=20, others=12, page_kilobytes=4) as running:
        yield running


@pytest.fixture(scope="module")
def undisturbed(site: Replica, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a run to which nothing happened."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        settings(patch, site, folder)
        more = ("nse_results", "moneycontrol_codes", "moneycontrol_pages")
        summary = run(Options((*BASE, *more), companies=ONE))
    assert [o.source for o in summary.sources if o.state != "done"] == []
    return folder


def settings(patch: pytest.MonkeyPatch, site: Replica, folder: Path) -> None:
    for name, url in site.env.items():
        patch.setenv(name, url)
    patch.setenv("BANKRUPTCY_DATA", str(folder))
    patch.setenv("OGD_API_KEY", "made-up")
    patch.setenv("SCRAPING_TIMEOUT_SECONDS", "0.7")


def told(db: Path) -> tuple[str, dict[str, int]]:
    """Fingerprint of a warehouse, and the rows of each table."""
    with store.connect(db, read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables()").fetchall()
        counts = {
            name: int((one_row(connection, f"SELECT count(*) FROM {name}") or (0,))[0])
            for (name,) in names
        }
        return store.fingerprint(connection), counts


def outcome_of(summary: Summary, source: str) -> Outcome:
    return next(o for o in summary.sources if o.source == source)


ROWS: dict[str, str] = {}


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_fault_is_survived_or_told(
    case: Case,
    site: Replica,
    undisturbed: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path / "data"
    shutil.copytree(undisturbed, data)
    settings(monkeypatch, site, data)
    db = data / "warehouse.duckdb"
    print_before, rows_before = told(db)
    sources = tuple(n for n in modules() if n in {"nse_indices", "worldbank", case.source})
    asked = len(site.requests)
    site.arm(case.fault, case.match, case.times)
    try:
        summary = run(Options(sources, companies=ONE, since=case.since))
    finally:
        site.disarm()
    struck = outcome_of(summary, case.source)
    assert struck.state == case.state, (struck, [o.messages for o in summary.sources])
    assert summary.ok == (case.state == "done")
    assert [o.source for o in summary.sources if o.state != "done"] in ([], [case.source])
    said = " ".join(struck.messages)
    assert re.search(case.says, said)
    assert case.state == "done" or said
    print_after, rows_after = told(db)
    lost = {name for name, count in rows_before.items() if rows_after[name] < count}
    assert not lost - {"check_failure"}
    requests = site.requests[asked:]
    if case.fault.endswith("_until_warm_up"):  # we warm up first: there is nothing to refuse
        assert any(r.path == "/nse/" for r in requests)
    elif case.fault == "symbol_renamed":  # the same company, under one symbol more
        assert rows_after["company"] == rows_before["company"]
        assert rows_after["alias"] > rows_before["alias"]
    else:
        assert any(r.fault == case.fault for r in requests)
    # A renamed symbol is news; without its export IBBI's whole listing is read, which tells more.
    if case.fault != "symbol_renamed" and not (case.match == EXPORT and struck.state != "done"):
        assert print_after == print_before
    if case.state != "done":
        again = run(Options((case.source,), companies=ONE))
        assert [o.source for o in again.sources if o.state != "done"] == []
    ROWS[case.id] = row_of(case, struck, site)


def row_of(case: Case, struck: Outcome, site: Replica) -> str:
    """The line of the table: only what does not change from run to run."""
    described = next(f.description for f in FAULTS if f.name == case.fault)
    often = {None: "", FOR_EVER: ", every time"}.get(case.times, f", {case.times} times")
    word = {"done": "recovered", "partial": "went on without it", "failed": "failed"}[struck.state]
    said = struck.messages[0].replace(site.root, "…") if struck.messages else ""
    said = re.sub(r"0x[0-9a-f]+", "0x…", said)[:260].replace("|", "\\|")
    return f"| {case.fault}: {described}{often} | {case.source} | {word} | {said} |"


def test_every_fault_of_the_replica_is_tried() -> None:
    assert len({case.id for case in CASES}) == len(CASES)
    assert {case.fault for case in CASES} == {fault.name for fault in FAULTS}


@pytest.mark.slow
def test_the_table_in_the_docs_is_what_happened(repo: Path) -> None:
    if len(ROWS) != len(CASES):
        pytest.skip("only some of the cases were run")
    path = repo / "docs" / "faults.md"
    text = HEAD + "\n".join(ROWS[case.id] for case in CASES) + "\n"
    if os.environ.get("UPDATE_DOCS"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert path.read_text(encoding="utf-8") == text
