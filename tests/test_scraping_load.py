"""Documents into a real warehouse: only what is new or changed, whatever the order and batches."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from conftest import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from scraping import load as load_module
from scraping import run as run_module
from scraping.load import Loaded, load
from scraping.snapshots import Store, read
from scraping.source import ONCE, Bad, Expect, Parsed, ParseError, Row, Snapshot, Source
from warehouse import store as warehouse
from warehouse.errors import InputError
from warehouse.store import fingerprint, forget_scraped

NOW = datetime(2026, 10, 1, 6, 30, tzinfo=UTC)
LIST = Source(
    name="made_up_list",
    publisher="nobody",
    host="IBBI",
    url="https://example.org",
    terms="none",
    cadence_days=1,
    stage=1,
    table="security",
    columns={},
    ignored=(),
    expect=Expect(0, ("exchange", "code", "isin")),
    standing="reported",
)
STATEMENTS = replace(
    LIST,
    name="made_up_statements",
    table="statement_line",
    expect=Expect(0, ("fiscal_year_end", "basis", "item", "months", "filed_at")),
)
OTHER_LIST = replace(LIST, name="made_up_other_list")


def parse(snapshot: Snapshot) -> Parsed:
    """Rows as the document spells them in JSON: a text is a bad row, a document `!` is none."""
    if snapshot.body == b"!":
        raise ParseError(f"{snapshot.url}: expected rows, got '!'")
    rows: list[Row] = []
    bad: list[Bad] = []
    for at, item in enumerate(json.loads(snapshot.body), 1):
        if isinstance(item, str):
            bad.append(Bad(at, "not understood", item))
        else:
            rows.append(
                {k: date.fromisoformat(v) if k in DATES and v else v for k, v in item.items()}
            )
    return Parsed(rows, bad, snapshot.about.get("notices", "").split())


DATES = ("fiscal_year_end", "filed_at", "changed_on", "listed_on")


def security(code: str, status: str = "active", **columns: object) -> Row:
    """A row of table security as `parse` gives it."""
    given_ = {"symbol": None, "isin": None, "issuer_name": None, "series": None, "industry": None}
    row = {"exchange": "X", "code": code, "security_name": f"Name {code}", "status": status}
    return {**row, **given_, "listed_on": None, **columns}


def line(item: str, value: float | None, **columns: object) -> Row:
    """A row of table statement_line as `parse` gives it."""
    row: Row = {"isin": None, "nse_symbol": None, "bse_code": None, "item": item, "value": value}
    row |= {"fiscal_year_end": "2023-03-31", "basis": "standalone", "unit": "INR", "months": 12}
    return {**row, "source": "made up", "note": "reported", "filed_at": None, **columns}


@dataclass(frozen=True)
class Doc:
    """A document to be: the number of its URL, and its rows or bytes."""

    rows: Sequence[Any] = ()
    url: int = 0
    body: bytes | None = None
    about: dict[str, str] = field(default_factory=dict)

    def snapshot(self, source: str, at: datetime) -> Snapshot:
        body = json.dumps(self.rows).encode() if self.body is None else self.body
        sha256 = hashlib.sha256(body).hexdigest()
        url = f"https://example.org/{self.url}"
        return Snapshot(source, url, at, 200, {}, sha256, self.about, body)


@dataclass
class Lab:
    """A store and a warehouse, and crawls a day apart."""

    store: Store
    db: duckdb.DuckDBPyConnection
    source: Source = LIST
    days: int = 0

    def crawl(self, *documents: Doc, source: Source | None = None) -> Path:
        """A finished crawl of these documents."""
        name, at = (source or self.source).name, NOW + timedelta(days=self.days)
        self.days += 1
        crawl = self.store.open(name, at)
        for document in documents:
            crawl.save(document.snapshot(name, at))
        crawl.finish(ok=True)
        return crawl.folder

    def load(self, folder: Path, min_rows: int = 0) -> Loaded:
        return load(self.db, self.store, folder.parent.name, folder, min_rows)

    def brings(self, *documents: Doc) -> tuple[int, int]:
        """New and changed rows of a crawl of these documents."""
        loaded = self.load(self.crawl(*documents))
        return loaded.new, loaded.changed

    def replay(self) -> None:
        """Load all crawls again, into the emptied warehouse."""
        forget_scraped(self.db)
        for folder in self.store.crawls(self.source.name):
            self.load(folder)

    def all(self, sql: str) -> list[tuple[object, ...]]:
        return self.db.execute(sql).fetchall()

    def statuses(self) -> list[tuple[object, ...]]:
        """Codes and what was said of them, in order of loading."""
        return self.all("SELECT code, status FROM security ORDER BY snapshot_id, row_number")

    def companies(self, *known: tuple[str, str, str]) -> None:
        """Enter identifiers of companies: kind, alias, company_id."""
        for kind, alias, company in known:
            self.db.execute("INSERT INTO alias VALUES (?, ?, ?, 0)", [kind, alias, company])


@pytest.fixture(autouse=True)
def made_up_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sources of this file beside the real ones; and no wait for the disk after each document."""
    real = load_module.modules()
    ours = {s.name: SimpleNamespace(SOURCE=s, parse=parse) for s in (LIST, STATEMENTS, OTHER_LIST)}
    monkeypatch.setattr(load_module, "modules", lambda: {**real, **ours})
    monkeypatch.setattr("scraping.snapshots.os.fsync", lambda descriptor: None)


@pytest.fixture(scope="module")
def shared_db() -> Iterator[duckdb.DuckDBPyConnection]:
    """One warehouse for all tests of this file; each starts by emptying it."""
    with warehouse.in_memory() as db:
        db.execute("SET threads = 1")  # the tables are tiny
        views = db.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall()
        for (view,) in views:  # none is used here, and each look at the catalogue reads them all
            db.execute(f"DROP VIEW IF EXISTS {view}")
        yield db


@contextmanager
def example(db: duckdb.DuckDBPyConnection) -> Iterator[Lab]:
    """A laboratory with an empty store and an empty warehouse."""
    folder = tempfile.mkdtemp()
    forget_scraped(db)
    for table in ("alias", "macro", "snapshot", "run"):
        db.execute(f"DELETE FROM {table}")
    try:
        yield Lab(Store(Path(folder)), db)
    finally:
        shutil.rmtree(folder)


@pytest.fixture
def lab(shared_db: duckdb.DuckDBPyConnection) -> Iterator[Lab]:
    with example(shared_db) as made:
        yield made


# New, changed, the same.


def test_rows_arrive_with_their_source_document_and_number(lab: Lab) -> None:
    rows = [security("A", isin="INE0A"), security("B", listed_on="2020-02-29")]
    lab.load(lab.crawl(Doc(rows, url=7)))
    same = {"exchange": "X", "symbol": None, "issuer_name": None, "status": "active"}
    same |= {"series": None, "industry": None, "source": "made_up_list"}
    a = {"code": "A", "isin": "INE0A", "security_name": "Name A", "listed_on": None}
    b = {"code": "B", "isin": None, "security_name": "Name B", "listed_on": date(2020, 2, 29)}
    assert rows_of(lab.db, "SELECT * EXCLUDE (snapshot_id) FROM security ORDER BY row_number") == [
        {**same, **a, "row_number": 1},
        {**same, **b, "row_number": 2},
    ]


def test_a_document_is_entered_with_where_and_when_it_is_from(lab: Lab) -> None:
    body = json.dumps([security("A")]).encode()
    lab.load(lab.crawl(Doc(body=body, url=7)))
    (entered,) = rows_of(lab.db, "SELECT * EXCLUDE (snapshot_id, loaded_at) FROM snapshot")
    assert entered == {
        "sha256": hashlib.sha256(body).hexdigest(),
        "kind": "security",
        "name": "https://example.org/7",
        "url": "https://example.org/7",
        "bytes": len(body),
        "rows": 1,
        "source": "made_up_list",
        "fetched_at": NOW.replace(tzinfo=None),
    }


def test_the_same_document_again_brings_nothing(lab: Lab) -> None:
    document = Doc([security("A"), security("B")])
    assert lab.brings(document) == (2, 0)
    assert lab.brings(document) == (0, 0)
    assert len(lab.statuses()) == 2
    assert lab.all("SELECT count(*) FROM snapshot") == [(1,)]


def test_a_changed_row_is_one_change(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A"), security("B"), security("C")])))
    assert lab.brings(Doc([security("A"), security("B", "suspended"), security("C")])) == (0, 1)
    assert lab.statuses() == [
        ("A", "active"),
        ("B", "active"),
        ("C", "active"),
        ("B", "suspended"),
    ]


def test_there_and_back_again_is_three_rows(lab: Lab) -> None:
    for status in ("active", "suspended", "active", "active"):
        lab.load(lab.crawl(Doc([security("A", status)])))
    assert [status for _, status in lab.statuses()] == ["active", "suspended", "active"]


def test_rows_in_another_order_and_twice_bring_nothing(lab: Lab) -> None:
    rows = [security(code) for code in "ABCD"]
    lab.load(lab.crawl(Doc(rows)))
    assert lab.brings(Doc([*reversed(rows), rows[2], rows[0]])) == (0, 0)
    assert lab.brings(Doc([rows[1], rows[1]])) == (0, 0)
    assert [code for code, _ in lab.statuses()] == list("ABCD")


def test_a_row_that_is_left_out_once_is_not_new_when_it_comes_back(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A"), security("B")])))
    lab.load(lab.crawl(Doc([security("A")])))
    assert lab.brings(Doc([security("A"), security("B")])) == (0, 0)


def test_nothing_is_a_value_of_a_key(lab: Lab) -> None:
    rows = [security("A", isin=None), security("A", isin="INE0A"), security("A", isin="INE0B")]
    assert lab.brings(Doc(rows)) == (3, 0)
    assert lab.brings(Doc(rows[::-1])) == (0, 0)
    changed = security("A", "suspended", isin=None)
    assert lab.brings(Doc([changed, *rows[1:]])) == (0, 1)


def test_nothing_is_a_value_that_may_change(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A", industry="Steel"), security("B")])))
    assert lab.brings(Doc([security("A"), security("B", industry="Steel")])) == (0, 2)


def test_the_same_bytes_from_two_addresses_are_told_once(lab: Lab) -> None:
    assert lab.brings(Doc([security("A")], url=1), Doc([security("A")], url=2)) == (1, 0)
    assert lab.all("SELECT count(*) FROM snapshot") == [(2,)]


def test_two_sources_may_say_the_same(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A")], url=1)))
    other = lab.load(lab.crawl(Doc([security("A")], url=2), source=OTHER_LIST))
    assert (other.new, other.changed) == (1, 0)
    assert lab.all("SELECT source FROM security ORDER BY 1") == [
        ("made_up_list",),
        ("made_up_other_list",),
    ]


def test_a_crawl_is_loaded_once(lab: Lab) -> None:
    folder = lab.crawl(Doc([security("A")]))
    assert lab.load(folder).documents == 1
    assert lab.load(folder).documents == 0


def test_a_crawl_that_goes_on_is_loaded_from_where_it_was(lab: Lab) -> None:
    first = lab.store.open(LIST.name, NOW)
    first.save(Doc([security("A")], url=1).snapshot(LIST.name, NOW))
    assert lab.load(first.folder).new == 1
    again = lab.store.open(LIST.name, NOW)
    again.save(Doc([security("B")], url=2).snapshot(LIST.name, NOW))
    loaded = lab.load(again.folder, min_rows=1)
    assert (loaded.documents, loaded.new) == (1, 1)


def test_progress_is_told(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(load_module, "BATCH", 2)
    folder = lab.crawl(*(Doc([security("A")], url=n) for n in range(5)))
    seen: list[tuple[int, int]] = []
    load(lab.db, lab.store, LIST.name, folder, 0, lambda done, of: seen.append((done, of)))
    assert seen == [(2, 5), (4, 5), (5, 5)]


def test_notices_are_counted(lab: Lab) -> None:
    documents = [Doc([security("A")], n, about={"notices": "odd " * n}) for n in range(3)]
    assert lab.load(lab.crawl(*documents)).notices == {"odd": 3}


def test_whole_numbers_and_dates_of_a_narrower_type_are_no_change(lab: Lab) -> None:
    lab.companies(("nse_symbol", "A", "c1"))
    rows = [line("Assets", 5.0, nse_symbol="A", filed_at="2023-05-01")]
    first, second = (
        lab.load(lab.crawl(Doc(again), source=STATEMENTS)) for again in (rows, [*rows, *rows])
    )
    assert (first.new, second.new, second.changed) == (1, 0, 0)


def test_macro_keeps_what_was_said_last(lab: Lab) -> None:
    macro = replace(LIST, table="macro", expect=Expect(0, ("series", "year")))
    with pytest.MonkeyPatch.context() as patch:
        ours = SimpleNamespace(SOURCE=macro, parse=parse)
        patch.setattr(load_module, "modules", lambda: {LIST.name: ours})

        def told(*values: float) -> Doc:
            return Doc([{"series": "gdp_growth", "year": 2020, "value": v} for v in values])

        assert lab.brings(told(1.0)) == (1, 0)
        assert lab.brings(told(1.0, 2.0)) == (0, 1)
        assert lab.brings(told(3.0, 1.0)) == (0, 1)  # the last of what one document says
        assert lab.brings(told(1.0)) == (0, 0)
        assert lab.all("SELECT year, value FROM macro") == [(2020, 1.0)]


# What is not understood.


def test_bad_rows_are_quarantined_once_however_often_they_come(lab: Lab) -> None:
    more = [security(code) for code in "BCD"]
    lab.load(lab.crawl(Doc([security("A"), "broken 1", "broken 2", "broken 1", *more])))
    assert rows_of(lab.db, "FROM quarantine SEMI JOIN snapshot USING (snapshot_id) ORDER BY 3") == [
        {
            "source": "made_up_list",
            "snapshot_id": lab.all("SELECT max(snapshot_id) FROM snapshot")[0][0],
            "row_number": at,
            "reason": "not understood",
            "content": content,
        }
        for at, content in [(2, "broken 1"), (3, "broken 2")]
    ]
    loaded = lab.load(lab.crawl(Doc([security("C"), "broken 2", "broken 3"])))
    assert loaded.quarantined == 2
    assert lab.all("SELECT content FROM quarantine ORDER BY 1") == [
        ("broken 1",),
        ("broken 2",),
        ("broken 3",),
    ]


def test_the_same_broken_row_of_another_source_is_its_own(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A"), "broken"])))
    lab.load(lab.crawl(Doc([security("A"), "broken"], url=2), source=OTHER_LIST))
    assert lab.all("SELECT count(*) FROM quarantine") == [(2,)]


def test_a_document_that_cannot_be_read_takes_no_other_with_it(lab: Lab) -> None:
    good = [Doc([security(code)], url=n) for n, code in enumerate("ABC")]
    folder = lab.crawl(good[0], Doc(body=b"!", url=9), good[1], good[2])
    loaded = lab.load(folder)
    assert (loaded.documents, loaded.new) == (4, 3)
    assert loaded.failures == ["https://example.org/9: expected rows, got '!'"]
    assert [code for code, _ in lab.statuses()] == ["A", "B", "C"]


def test_a_document_that_cannot_be_read_is_put_aside_and_fetched_again(lab: Lab) -> None:
    folder = lab.crawl(Doc([security("A")]), Doc(body=b"!", url=9))
    lab.load(folder)
    assert len(lab.store.documents(folder)) == 1
    (aside,) = (folder / "refused").iterdir()
    (folder / "complete.json").unlink()
    crawl = lab.store.open(LIST.name, NOW)
    assert crawl.find("https://example.org/9", once=False) is None
    crawl.save(Doc([security("B")], url=9).snapshot(LIST.name, NOW))
    assert lab.load(crawl.folder).new == 1
    assert aside.exists()


def test_one_that_is_fetched_once_for_ever_is_kept_for_a_later_program(lab: Lab) -> None:
    folder = lab.crawl(Doc(body=b"!", url=9, about={ONCE: "true"}))
    assert len(lab.load(folder).failures) == 1
    assert len(lab.store.documents(folder)) == 1
    assert lab.load(folder).documents == 0


def test_a_document_most_of_which_is_broken_is_refused(lab: Lab) -> None:
    loaded = lab.load(lab.crawl(Doc([security("A"), "x", "y", "z"])))
    assert (loaded.new, len(loaded.failures)) == (0, 1)
    assert "3 rows not understood and 1 understood" in loaded.failures[0]


def test_too_few_rows_load_nothing_and_the_last_good_load_stays(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A"), security("B")])), min_rows=2)
    before = fingerprint(lab.db)
    folder = lab.crawl(Doc([security("A", "suspended")], url=1), Doc([], url=2))
    with pytest.raises(
        InputError, match="expected at least 2 rows, got 1 in 2 documents; the last"
    ):
        lab.load(folder, min_rows=2)
    assert fingerprint(lab.db) == before
    assert lab.store.documents(folder) == []
    assert len(list((folder / "refused").iterdir())) == 2
    assert lab.load(folder, min_rows=2).documents == 0


def test_too_few_rows_where_some_documents_cannot_be_read(lab: Lab) -> None:
    folder = lab.crawl(Doc([security("A")], url=1), Doc(body=b"!", url=2))
    with pytest.raises(
        InputError, match=r"expected at least 5 rows, got 1 .*expected rows, got '!'"
    ):
        lab.load(folder, min_rows=5)
    assert lab.all("SELECT (SELECT count(*) FROM security), (SELECT count(*) FROM crawl)") == [
        (0, 0)
    ]
    assert len(list((folder / "refused").iterdir())) == 2


def test_after_too_few_rows_the_next_crawl_is_loaded(lab: Lab) -> None:
    with pytest.raises(InputError):
        lab.load(lab.crawl(Doc([])), min_rows=1)
    assert lab.load(lab.crawl(Doc([security("A")])), min_rows=1).new == 1


def test_a_damaged_document_loads_nothing_of_its_crawl(lab: Lab) -> None:
    folder = lab.crawl(Doc([security("A")], url=1), Doc([security("B")], url=2))
    path = lab.store.documents(folder)[1].path
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(InputError, match="damaged snapshot"):
        lab.load(folder)
    assert lab.statuses() == []


# Companies.


KNOWN = (
    ("isin", "INE081A01012", "tata"),
    ("nse_symbol", "TATASTEEL", "tata"),
    ("bse_code", "500470", "tata"),
    ("nse_symbol", "TWICE", "one"),
    ("nse_symbol", "TWICE", "two"),
)


@pytest.mark.parametrize(
    ("ids", "company"),
    [
        ({"isin": "INE081A01012"}, "tata"),
        ({"isin": "INE081A01020"}, "tata"),  # after a split of its shares
        ({"nse_symbol": "TATASTEEL"}, "tata"),
        ({"bse_code": "500470"}, "tata"),
        ({"isin": "INE000A01011", "bse_code": "500470"}, "tata"),
        ({"isin": "INE081B01012"}, None),
        ({"nse_symbol": "tatasteel"}, None),
        ({"nse_symbol": "500470"}, None),
        ({"nse_symbol": "TWICE"}, None),
        ({}, None),
    ],
)
def test_a_statement_finds_its_company(lab: Lab, ids: dict[str, str], company: str | None) -> None:
    lab.companies(*KNOWN)
    rows = [line("Assets", 1.0, **ids), line("Equity", None, **ids)]
    loaded = lab.load(lab.crawl(Doc(rows), source=STATEMENTS))
    found = lab.all("SELECT company_id, item, value FROM statement_line ORDER BY row_number")
    if company is None:
        assert found == []
        assert loaded.quarantined == 1
        ((reason, content),) = lab.all("SELECT reason, content FROM quarantine")
        assert reason == "company not known"
        assert '"rows": 2' in str(content)
    else:
        assert found == [(company, "Assets", 1.0), (company, "Equity", None)]
        assert loaded.quarantined == 0


def test_statements_of_two_companies_are_apart(lab: Lab) -> None:
    lab.companies(("nse_symbol", "A", "a"), ("nse_symbol", "B", "b"))
    rows = [line("Assets", 1.0, nse_symbol=symbol) for symbol in ("A", "B", "A", "unknown")]
    loaded = lab.load(lab.crawl(Doc(rows), source=STATEMENTS))
    assert lab.all("SELECT company_id FROM statement_line ORDER BY 1") == [("a",), ("b",)]
    assert (loaded.new, loaded.quarantined) == (2, 1)


def test_a_restated_figure_is_a_row_of_its_own_day(lab: Lab) -> None:
    lab.companies(("nse_symbol", "A", "a"))

    def told(value: float, filed_at: str) -> Doc:
        return Doc([line("Assets", value, nse_symbol="A", filed_at=filed_at)])

    for document in (told(1.0, "2023-05-01"), told(2.0, "2023-06-01"), told(2.5, "2023-06-01")):
        lab.load(lab.crawl(document, source=STATEMENTS))
    assert lab.all("SELECT value, filed_at FROM statement_line ORDER BY snapshot_id") == [
        (1.0, date(2023, 5, 1)),
        (2.0, date(2023, 6, 1)),
        (2.5, date(2023, 6, 1)),
    ]


def test_of_what_one_document_says_twice_the_last_counts(lab: Lab) -> None:
    assert lab.brings(Doc([security("A", "s0")])) == (1, 0)
    assert lab.brings(Doc([security("A", "s1"), security("A", "s0")])) == (0, 0)
    assert lab.brings(Doc([security("A", "s0"), security("A", "s2")])) == (0, 1)
    assert lab.statuses() == [("A", "s0"), ("A", "s2")]


def test_an_undated_figure_that_changed_is_known_from_the_day_it_was_seen_changed(lab: Lab) -> None:
    lab.companies(("nse_symbol", "A", "a"))

    def told(value: float | None, **columns: object) -> Doc:
        return Doc([line("Assets", value, nse_symbol="A", **columns)])

    dated = {"filed_at": "2023-06-01"}
    days = [told(1.0), told(1.0, **dated), told(2.0), told(2.0, **dated), told(2.0), told(None)]
    for document in days:  # the first on 1 October 2026
        lab.load(lab.crawl(document, source=STATEMENTS))
    sql = "SELECT value, filed_at, restated_on FROM statement_line ORDER BY snapshot_id"
    assert lab.all(sql) == [
        (1.0, None, None),  # the first figure counts from the year end, not from being seen
        (1.0, date(2023, 6, 1), None),
        (2.0, None, date(2026, 10, 3)),
        (2.0, date(2023, 6, 1), None),  # a filing has its own day
        (None, None, date(2026, 10, 6)),
    ]


def test_a_first_figure_that_its_document_says_twice_has_not_changed(lab: Lab) -> None:
    lab.companies(("nse_symbol", "A", "a"))
    twice = Doc([line("Assets", value, nse_symbol="A") for value in (1.0, 2.0)])
    loaded = lab.load(lab.crawl(twice, source=STATEMENTS))
    assert lab.all("SELECT value, restated_on FROM statement_line") == [(2.0, None)]
    assert (loaded.new, loaded.changed) == (1, 0)


def test_a_replay_gives_the_same_days(lab: Lab) -> None:
    lab.source = STATEMENTS
    lab.companies(("nse_symbol", "A", "a"))
    for value in (1.0, 2.0, 1.0):
        lab.load(lab.crawl(Doc([line("Assets", value, nse_symbol="A")])))
    sql = "SELECT value, restated_on FROM statement_line ORDER BY snapshot_id"
    before = lab.all(sql)
    assert before == [(1.0, None), (2.0, date(2026, 10, 2)), (1.0, date(2026, 10, 3))]
    lab.replay()
    assert lab.all(sql) == before


def test_a_source_may_give_rows_of_a_second_table(lab: Lab) -> None:
    change = {
        "_table": "identity_change",
        "kind": "symbol",
        "symbol": "NEW",
        "old": "OLD",
        "new": "NEW",
        "changed_on": "2024-01-31",
    }
    assert lab.brings(Doc([security("A"), change])) == (2, 0)
    assert lab.brings(Doc([change, security("A"), change])) == (0, 0)
    assert lab.all("SELECT old, changed_on, source, row_number FROM identity_change") == [
        ("OLD", date(2024, 1, 31), "made_up_list", 2)
    ]


# Properties: order, batches, replay.


ROW = st.tuples(st.sampled_from("ABC"), st.sampled_from(["s0", "s1", "s2"]))
DOCUMENT = st.builds(
    lambda url, rows: Doc([security(code, status) for code, status in rows], url),
    st.integers(0, 2),
    st.lists(ROW, max_size=4),
)
CRAWLS = st.lists(st.lists(DOCUMENT, min_size=1, max_size=3), min_size=2, max_size=4)


def expected(crawls: list[list[Doc]]) -> dict[object, list[object]]:
    """What the table should hold of each code, in order: the definition of new and changed."""
    bytes_of: dict[int, str] = {}
    rows: dict[object, list[object]] = {}
    for document in (document for crawl in crawls for document in crawl):
        if bytes_of.get(document.url) == (text := json.dumps(document.rows)):
            continue
        bytes_of[document.url] = text
        # Of what one document says twice the last counts.
        for code, status in {row["code"]: row["status"] for row in document.rows}.items():
            if (said := rows.setdefault(code, [])) == [] or said[-1] != status:
                said.append(status)
    return rows


@settings(max_examples=8)
@given(crawls=CRAWLS)
def test_the_table_is_what_its_definition_says(
    crawls: list[list[Doc]], shared_db: duckdb.DuckDBPyConnection
) -> None:
    with example(shared_db) as lab:
        brought = [lab.brings(*documents) for documents in crawls]
        found: dict[object, list[object]] = {}
        for code, status in lab.statuses():
            found.setdefault(code, []).append(status)
        assert found == expected(crawls)
        assert sum(new for new, _ in brought) == len({code for code, _ in lab.statuses()})
        assert sum(map(sum, brought)) == len(lab.statuses())


@settings(max_examples=3)
@given(crawls=CRAWLS, batch=st.integers(1, 3))
def test_batches_and_a_replay_give_the_same_warehouse(
    crawls: list[list[Doc]], batch: int, shared_db: duckdb.DuckDBPyConnection
) -> None:
    with example(shared_db) as lab, pytest.MonkeyPatch.context() as patch:
        for documents in crawls:
            lab.load(lab.crawl(*documents))
        one_by_one, rows = fingerprint(lab.db), lab.statuses()
        lab.replay()
        assert (fingerprint(lab.db), lab.statuses()) == (one_by_one, rows)
        patch.setattr(load_module, "BATCH", batch)
        lab.replay()
        assert (fingerprint(lab.db), lab.statuses()) == (one_by_one, rows)


@settings(max_examples=4)
@given(documents=st.lists(DOCUMENT, min_size=2, max_size=6), stop=st.integers(1, 5))
def test_a_crawl_that_was_loaded_in_two_parts_is_the_crawl_loaded_at_once(
    documents: list[Doc], stop: int, shared_db: duckdb.DuckDBPyConnection
) -> None:
    with example(shared_db) as lab:
        crawl = lab.store.open(LIST.name, NOW)
        for at, document in enumerate(documents):
            if at == stop:
                lab.load(crawl.folder)
            crawl.save(document.snapshot(LIST.name, NOW))
        lab.load(crawl.folder)
        parts = fingerprint(lab.db)
        lab.replay()
        assert fingerprint(lab.db) == parts


def test_a_replay_into_another_warehouse_file_gives_the_same_fingerprint(
    lab: Lab, tmp_path: Path
) -> None:
    lab.companies(("nse_symbol", "A", "a"))
    for value in (1.0, 2.0):
        figures = [line("Assets", value, nse_symbol="A"), line("Assets", value, nse_symbol="?")]
        lab.load(lab.crawl(Doc([*figures, f"broken {value}"]), source=STATEMENTS))
        lab.load(lab.crawl(Doc([security("A", f"s{value}"), "broken"])))
    with warehouse.connect(tmp_path / "other.duckdb", create=True) as db:
        other = Lab(lab.store, db)
        other.companies(("nse_symbol", "A", "a"))
        for source in (LIST, STATEMENTS):  # another order of the sources
            for folder in lab.store.crawls(source.name):
                other.load(folder)
        assert fingerprint(db) == fingerprint(lab.db)
        assert other.statuses() == lab.statuses()


@pytest.mark.slow
def test_processes_give_what_one_process_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a real source, as other processes know none that is made up."""
    world = load_module.modules()["worldbank"].SOURCE
    lab_store = Store(tmp_path / "raw")
    crawl = lab_store.open(world.name, NOW)
    for number in range(9):
        crawl.save(indicator(number).snapshot(world.name, NOW))
    found = []
    monkeypatch.setattr(load_module, "BATCH", 2)
    for many in (1, 1000):
        monkeypatch.setattr(load_module, "_MANY", many)
        with warehouse.in_memory() as db:
            loaded = load(db, lab_store, world.name, crawl.folder, 9)
            found.append(
                (fingerprint(db), loaded.new, db.execute("FROM macro ORDER BY ALL").fetchall())
            )
    assert found[0] == found[1]
    assert found[0][1] == 9


def indicator(number: int) -> Doc:
    """A made-up page of the World Bank: GDP growth of one year."""
    row = {
        "indicator": {"id": "NY.GDP.MKTP.KD.ZG", "value": "GDP growth (annual %)"},
        "country": {"id": "IN", "value": "India"},
        "countryiso3code": "IND",
        "date": str(2000 + number),
        "value": number / 2,
        "unit": "",
        "obs_status": "",
        "decimal": 1,
    }
    head = {"page": 1, "pages": 1, "per_page": 50, "total": 1, "sourceid": "2"}
    about = {"indicator": "NY.GDP.MKTP.KD.ZG", "page": "1"}
    return Doc([{**head, "lastupdated": "2026-09-01"}, [row]], number, about=about)


# The fingerprint.


def test_the_order_of_loading_and_the_time_do_not_count(lab: Lab) -> None:
    documents = [Doc([security(code, isin="INE0A")], url=n) for n, code in enumerate("ABC")]
    found = set()
    for order in ((0, 1, 2), (2, 0, 1), (1, 2, 0)):
        forget_scraped(lab.db)
        shutil.rmtree(lab.store.root, ignore_errors=True)
        lab.days += 100
        for at in order:
            lab.load(lab.crawl(documents[at]))
        found.add(fingerprint(lab.db))
    assert len(found) == 1


def test_runs_and_checks_do_not_count(lab: Lab) -> None:
    before = fingerprint(lab.db)
    lab.db.execute("INSERT INTO run VALUES (now(), now(), 'x', '{}')")
    lab.load(lab.crawl(Doc([])))  # a crawl and a document, but no row
    lab.db.execute("CREATE TEMP TABLE anything AS SELECT 1 AS x")
    assert fingerprint(lab.db) == before


@pytest.fixture
def full(lab: Lab) -> Lab:
    """A laboratory whose warehouse has rows of several tables."""
    lab.companies(("nse_symbol", "A", "a"))
    figures = [line("Assets", 1.0, nse_symbol="A", filed_at="2023-05-01"), "broken"]
    lab.load(lab.crawl(Doc(figures), source=STATEMENTS))
    every = {"symbol": "S", "isin": "I", "issuer_name": "N", "series": "EQ", "industry": "Steel"}
    lab.load(lab.crawl(Doc([security("A", **every, listed_on="2020-01-01"), security("B")])))
    return lab


def test_any_changed_value_counts(full: Lab) -> None:
    before = fingerprint(full.db)
    values = {"DATE": "DATE '1999-01-01'", "VARCHAR": "'~'"}
    for table in ("security", "quarantine"):
        for name, kind in full.all(f"SELECT column_name, column_type FROM (DESCRIBE {table})"):
            full.db.execute("BEGIN")
            full.db.execute(
                f"UPDATE {table} SET {name} = {values.get(str(kind), '77')}"
                f" WHERE rowid = (SELECT min(rowid) FROM {table})"
            )
            assert fingerprint(full.db) != before, f"{table}.{name}"
            full.db.execute("ROLLBACK")
    assert fingerprint(full.db) == before


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM security WHERE code = 'A'",
        "INSERT INTO security SELECT * FROM security WHERE code = 'A'",
        "UPDATE security SET isin = symbol, symbol = isin WHERE code = 'A'",
        "UPDATE security SET symbol = 'x' WHERE code = 'B'",
        "UPDATE statement_line SET value = NULL",
        "UPDATE statement_line SET value = 0",
        "UPDATE statement_line SET value = 1.0000000000000002",
        "INSERT INTO statement_line SELECT * FROM statement_line",
        "UPDATE snapshot SET sha256 = 'x' WHERE kind = 'security'",
        "UPDATE snapshot SET name = 'x' WHERE kind = 'security'",
        "UPDATE alias SET company_id = 'b'",
    ],
)
def test_any_change_counts(full: Lab, change: str) -> None:
    before = fingerprint(full.db)
    full.db.execute(change)
    assert fingerprint(full.db) != before


def test_two_swapped_rows_do_not_cancel_each_other_out(lab: Lab) -> None:
    lab.load(lab.crawl(Doc([security("A", "s1"), security("B", "s2")])))
    before = fingerprint(lab.db)
    lab.db.execute("UPDATE security SET status = CASE status WHEN 's1' THEN 's2' ELSE 's1' END")
    assert fingerprint(lab.db) != before


def test_to_forget_what_was_scraped_leaves_what_users_gave(full: Lab) -> None:
    full.db.execute(
        "INSERT INTO snapshot (snapshot_id, sha256, kind, name, bytes, rows)"
        " VALUES (-1, 'x', 'macro', 'mine.csv', 1, 1)"
    )
    full.db.execute("INSERT INTO macro VALUES ('gdp_growth', 2020, 1.0, -1)")
    forget_scraped(full.db)
    assert full.all("FROM macro") == [("gdp_growth", 2020, 1.0, -1)]
    for table in ("security", "statement_line", "quarantine", "crawl"):
        assert full.all(f"FROM {table}") == []
    assert full.all("SELECT name FROM snapshot") == [("mine.csv",)]


# A parser that is mistaken. (These need the changes of load_run.patch.)


def test_two_sources_may_read_one_document(lab: Lab) -> None:
    document = Doc([security("A")])
    assert lab.load(lab.crawl(document)).new == 1
    assert lab.load(lab.crawl(document, source=OTHER_LIST)).new == 1


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({**security("A"), "statsu": "x"}, "row 1: security has no column statsu"),
        ({**security("A"), "code": None}, "code must be given in each row"),
        ({k: v for k, v in security("A").items() if k != "status"}, "status must be given"),
        ({**security("A"), "series": 5}, "ArrowTypeError"),
        ({**security("A"), "series": "\ud800"}, "UnicodeEncodeError"),
        ({**security("A"), "_table": "company"}, "KeyError: 'company'"),
        ({**security("A"), "exchange": []}, "cannot be parsed"),
    ],
)
def test_a_row_that_no_table_can_hold_costs_its_document_only(lab: Lab, row: Row, why: str) -> None:
    loaded = lab.load(lab.crawl(Doc([row]), Doc([security("B")], url=2)))
    assert (loaded.new, lab.statuses()) == (1, [("B", "active")])
    assert len(loaded.failures) == 1
    assert loaded.failures[0].startswith("https://example.org/0: cannot be parsed: ")
    assert why in loaded.failures[0]


@pytest.mark.parametrize(
    "wrong", [{"months": 10**6}, {"value": float("nan")}, {"value": float("inf")}]
)
def test_a_figure_that_is_none_costs_its_document_only(lab: Lab, wrong: Row) -> None:
    lab.companies(("nse_symbol", "A", "a"))
    bad = Doc([{**line("Assets", 1.0, nse_symbol="A"), **wrong}])
    good = Doc([line("Assets", 1.0, nse_symbol="A")], url=2)
    loaded = lab.load(lab.crawl(bad, good, source=STATEMENTS))
    assert (loaded.new, len(loaded.failures)) == (1, 1)


def test_a_mistake_of_a_parser_costs_its_document_only(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def mistaken(snapshot: Snapshot) -> Parsed:
        return Parsed([{}["no such key"]]) if snapshot.url.endswith("9") else parse(snapshot)

    ours = SimpleNamespace(SOURCE=LIST, parse=mistaken)
    monkeypatch.setattr(load_module, "modules", lambda: {LIST.name: ours})
    loaded = lab.load(lab.crawl(Doc([security("A")], 1), Doc([], 9)))
    assert loaded.new == 1
    assert loaded.failures == ["https://example.org/9: cannot be parsed: KeyError: 'no such key'"]


def test_a_ratio_of_a_second_table_may_change_and_change_back(lab: Lab) -> None:
    lab.companies(("nse_symbol", "A", "a"))
    ratio = {"_table": "published_ratio", "isin": None, "nse_symbol": "A", "bse_code": None}
    ratio |= {"fiscal_year_end": "2023-03-31", "basis": "standalone", "ratio": "Quick Ratio"}
    for value in (1.0, 2.0, 2.0, 1.0):
        lab.load(lab.crawl(Doc([{**ratio, "value": value}]), source=STATEMENTS))
    told = lab.all("SELECT value FROM published_ratio ORDER BY snapshot_id")
    assert told == [(1.0,), (2.0,), (1.0,)]


def test_a_crawl_that_is_not_over_keeps_its_documents(lab: Lab) -> None:
    folder = lab.crawl(Doc([security("A")], url=1), Doc(body=b"!", url=2))
    with pytest.raises(InputError, match="expected at least 5 rows"):
        load(lab.db, lab.store, LIST.name, folder, 5, whole=False)
    assert [read(each).url for each in lab.store.documents(folder)] == ["https://example.org/1"]
    assert lab.statuses() == []
    loaded = load(lab.db, lab.store, LIST.name, folder, 1, whole=False)  # there were more to come
    assert loaded.new == 1


def test_a_replay_puts_nothing_aside(lab: Lab) -> None:
    folder = lab.crawl(Doc([security("A")], url=1), Doc(body=b"!", url=2))
    load(lab.db, lab.store, LIST.name, folder, 0, aside=False)
    assert len(lab.store.documents(folder)) == 2


def test_a_replay_over_a_damaged_document_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_DATA", str(tmp_path))
    ours = {LIST.name: SimpleNamespace(SOURCE=LIST, parse=parse)}
    for module in (run_module, load_module):
        monkeypatch.setattr(module, "modules", lambda: ours)
    monkeypatch.setattr(load_module, "BATCH", 1)
    crawl = Store(tmp_path / "raw").open(LIST.name, NOW)
    for number, code in enumerate("AB"):
        crawl.save(Doc([security(code)], number).snapshot(LIST.name, NOW))
    crawl.finish(ok=True)
    options = run_module.Options((LIST.name,))
    assert run_module.replay(options).ok
    path = Store(tmp_path / "raw").documents(crawl.folder)[1].path
    path.write_bytes(path.read_bytes()[:-9])
    with warehouse.connect(read_only=True) as db:
        before = fingerprint(db)
    with pytest.raises(InputError, match="damaged snapshot"):
        run_module.replay(options)
    with warehouse.connect(read_only=True) as db:
        assert fingerprint(db) == before
    assert '"ok": true' in (crawl.folder / "complete.json").read_text()
