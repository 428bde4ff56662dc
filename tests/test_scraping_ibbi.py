"""IBBI's export, listings and pages of debtors: replicas worked by hand, and the real files."""

from __future__ import annotations

import csv
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import ModuleType
from urllib.parse import urlencode

import duckdb
import pytest
from conftest import REPO
from hypothesis import given
from hypothesis import strategies as st

from scraping import ibbi
from scraping.ibbi import Page, follow, known_cin
from scraping.source import FetchError, ParseError, Snapshot
from scraping.sources import ibbi_announcements, ibbi_orders, ibbi_processes
from scraping.sources.ibbi_announcements import EXPORT
from warehouse.errors import InputError

FIXTURES = REPO / "tests/fixtures"
MODULES = {m.SOURCE.name: m for m in (ibbi_announcements, ibbi_orders, ibbi_processes)}
CASES = sorted(path for name in MODULES for path in (FIXTURES / name).glob("*.expected.json"))
CAPTURED = datetime(2026, 10, 2, 6, tzinfo=UTC)  # when the real listings were captured
CIRP = "Public Announcement of Corporate Insolvency Resolution Process"
LIQUIDATION = "Public Announcement of Liquidation Process"


def snapshot(
    body: bytes | str, about: Mapping[str, str], at: datetime = CAPTURED, url: str = ""
) -> Snapshot:
    content = body.encode() if isinstance(body, str) else body
    return Snapshot("ibbi", url or "https://ibbi.gov.in/page", at, 200, {}, "", about, content)


def replica(path: Path) -> tuple[ModuleType, Snapshot, dict[str, object]]:
    """Module, document and expectation of a case."""
    expected = json.loads(path.read_text(encoding="utf-8"))
    case = path.name.removesuffix(".expected.json")
    (document,) = (p for p in path.parent.glob(f"{case}.*") if p != path)
    at = datetime.fromisoformat(expected["fetched_at"])
    found = snapshot(document.read_bytes(), expected["about"], at)
    return MODULES[path.parent.name], found, expected


def page(source: str, name: str) -> str:
    return (FIXTURES / source / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.name}/{p.name.split('.')[0]}")
def test_replicas_are_read_as_worked_by_hand(path: Path) -> None:
    module, document, expected = replica(path)
    parsed = module.parse(document)
    assert json.loads(json.dumps(parsed.rows, default=date.isoformat)) == expected["rows"]
    assert [[b.row_number, b.reason] for b in parsed.bad] == expected["bad"]
    assert all(len(b.content) > 2 for b in parsed.bad)
    assert list(parsed.notices) == expected["notices"]


def test_there_are_replicas_of_each_source() -> None:
    assert Counter(path.parent.name for path in CASES) == {
        "ibbi_announcements": 4,
        "ibbi_orders": 2,
        "ibbi_processes": 3,
    }


def created(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    """The warehouse's own table, in an empty database."""
    schema = (REPO / "warehouse/schema_2.sql").read_text(encoding="utf-8")
    found = re.search(rf"CREATE TABLE {table} \(.*?\n\);", schema, re.DOTALL)
    assert found, table
    connection.execute(found[0])


@pytest.mark.parametrize("name", MODULES)
def test_rows_fit_their_table(name: str) -> None:
    source = MODULES[name].SOURCE
    with duckdb.connect() as connection:
        created(connection, source.table)
        for path in (path for path in CASES if path.parent.name == name):
            module, document, _ = replica(path)
            for at, row in enumerate(module.parse(document).rows, 1):
                whole = {**row, "source": name, "snapshot_id": 1, "row_number": at}
                listed = connection.execute(f"DESCRIBE {source.table}").fetchall()
                assert set(whole) == {column[0] for column in listed}
                marks = ", ".join(f"${key}" for key in whole)
                connection.execute(
                    f"INSERT INTO {source.table} ({', '.join(whole)}) VALUES ({marks})", whole
                )
        counted = connection.execute(f"SELECT count(*) FROM {source.table}").fetchone()
    assert counted is not None
    assert counted[0] >= 5
    assert set(source.columns.values()) | set(source.expect.unique) <= set(whole)


# The export


def export(*rows: Sequence[str], header: Sequence[str] = EXPORT) -> str:
    return "\r\n".join("\t".join(row) for row in [header, *rows]) + "\r\n"


def line(**given_: str) -> list[str]:
    values = {
        "Announcement Type": CIRP,
        "Date of Announcement": "05-03-2024",
        "Name of Corporate Debtor": "ASHWATTHA LOOMS LIMITED",
        **{name.replace("_", " "): value for name, value in given_.items()},
    }
    return [values.get(name.rstrip("."), values.get(name, "")) for name in EXPORT]


def read_export(text: bytes | str, at: datetime = CAPTURED) -> ibbi_announcements.Parsed:
    return ibbi_announcements.parse(snapshot(text, {"document": "export"}, at))


@pytest.mark.parametrize(
    ("text", "cin"),
    [
        ("L17110GJ1992PLC999801", "L17110GJ1992PLC999801"),
        (" l17110gj1992 plc999801\xa0", "L17110GJ1992PLC999801"),
        ("U17110GJ1850PTC999801", "U17110GJ1850PTC999801"),
        ("U17110GJ1849PTC999801", None),
        ("U17110GJ2026PTC999801", "U17110GJ2026PTC999801"),
        ("U17110GJ2027PTC999801", None),
        ("F17110GJ1992PLC999801", None),
        ("L17110GJ1992PLC99980", None),
        ("L17110GJ1992PLC9998011", None),
        ("L17110GJ1992PLC99980१", None),
        ("L17110GJ1992PLC999801\n../x", None),
        ("AAB-1234", None),
        ("N/A", None),
        ("", None),
        (None, None),
    ],
)
def test_what_is_a_cin(text: str | None, cin: str | None) -> None:
    assert known_cin(text, 2026) == cin


def test_a_malformed_cin_loses_the_number_and_not_the_announcement() -> None:
    rows = [line(CIN_No=cin) for cin in ("AAB-1234", "N/A", "-", "", "FC 123")]
    parsed = read_export(export(*rows))
    assert [row["cin"] for row in parsed.rows] == [None] * 5
    assert [(b.row_number, b.reason) for b in parsed.bad] == [
        (1, "malformed CIN"),
        (5, "malformed CIN"),
    ]
    assert "AAB-1234" in parsed.bad[0].content


def test_a_day_is_of_india_and_from_the_code_on() -> None:
    days = ("30-11-2016", "01-12-2016", "02-10-2026", "03-10-2026", "2026-10-01", "")
    text = export(*(line(Date_of_Announcement=day) for day in days))
    before, after = read_export(text), read_export(text, datetime(2026, 10, 2, 18, 30, tzinfo=UTC))
    assert [b.row_number for b in before.bad] == [1, 4, 5, 6]
    assert {b.reason for b in before.bad} == {"impossible date"}
    assert [b.row_number for b in after.bad] == [1, 5, 6], "it is 3 October in India"


def test_one_line_that_is_not_utf8_costs_that_line() -> None:
    good = export(line(), line(Name_of_Applicant="Bänk")).encode()
    bad = b"\t".join([b"x"] * 8 + [b"caf\xe9"]) + b"\r\n"
    parsed = read_export(b"\xef\xbb\xbf" + good + bad + b"\r\n \r\n")
    assert [row["applicant"] for row in parsed.rows] == [None, "Bänk"]
    assert [(b.row_number, b.reason) for b in parsed.bad] == [(3, "not UTF-8 text")]


def test_quotes_in_the_export_are_text() -> None:
    parsed = read_export(export(line(Name_of_Applicant='"Open'), line(Remarks='end"')))
    assert [(row["applicant"], row["remarks"]) for row in parsed.rows] == [
        ('"Open', None),
        (None, 'end"'),
    ]


def test_unknown_types_are_told_once_per_row() -> None:
    parsed = read_export(export(*[line(Announcement_Type="Of Another Kind")] * 3, line()))
    assert len(parsed.rows) == 4
    assert parsed.notices == ("announcement type not known: 'Of Another Kind'",) * 3


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        export(line(), header=EXPORT[:-1]),
        export(line(), header=[*EXPORT, "New"]),
        export(line(), header=[EXPORT[1], EXPORT[0], *EXPORT[2:]]),
        ",".join(EXPORT),
        "<!DOCTYPE html><html>Access denied</html>",
        b"\xff\xfe\x00",
    ],
)
def test_what_is_no_export_is_refused(text: bytes | str) -> None:
    with pytest.raises(ParseError, match="expected the tab-separated columns Announcement Type"):
        read_export(text)


# The listing


def read_listing(text: str, **about: str) -> ibbi_announcements.Parsed:
    return ibbi_announcements.parse(snapshot(text, {"document": "listing", **about}))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("Type of PA", "Type", "the format has changed: expected the columns Type of PA"),
        ("<th>Remarks</th>", "", "the format has changed"),
        ("<!-- <th>S. No.</th> -->", "<th>S. No.</th>", "the format has changed"),
        ('class="cols-4"', 'class="cols-5"', "expected one table.cols-4, got 0"),
        ("</table>", '</table><table class="cols-4"></table>', "expected one .*, got 2"),
        ("<tbody>", "</table><table>", "expected rows in table.cols-4, got none"),
    ],
)
def test_a_changed_listing_is_refused(old: str, new: str, message: str) -> None:
    text = page("ibbi_announcements", "listing.html")
    assert old in text
    with pytest.raises(ParseError, match=message):
        read_listing(text.replace(old, new, 1))


def test_the_layout_without_type_needs_the_type_that_was_asked_for() -> None:
    text = page("ibbi_announcements", "listing_2019.html")
    assert [row["announcement_type"] for row in read_listing(text, type=CIRP).rows] == [CIRP]
    without = read_listing(text)
    assert not without.rows
    assert [b.reason for b in without.bad] == ["no announcement type"]
    address = "<th>Address of Insolvency Professional</th>", "<td>3, Lake View, Pune</td>"
    seven = text.replace(address[0], "").replace(address[1], "")
    assert read_listing(seven, type=CIRP).rows == read_listing(text, type=CIRP).rows


def test_only_the_two_documents_are_read() -> None:
    with pytest.raises(ParseError, match="expected export or listing, got None"):
        ibbi_announcements.parse(snapshot("x", {}))


@pytest.mark.parametrize(
    ("link", "address"),
    [
        ('<a href="https://ibbi.gov.in//u/a.pdf" download>', "https://ibbi.gov.in//u/a.pdf"),
        ("<a href=/u/a.pdf download>", "https://ibbi.gov.in/u/a.pdf"),
        ('<a href="/u/a.PDF">', "https://ibbi.gov.in/u/a.PDF"),
        ("<a onclick=\"f('/u/b c.pdf')\">", "https://ibbi.gov.in/u/b c.pdf"),
        ("<a onclick='f(\"http://x.in/b.pdf\", 1)' href='#'>", "http://x.in/b.pdf"),
        ("<a href='#'></a><a download href='/u/c.xls'>", "https://ibbi.gov.in/u/c.xls"),
        ("<a onclick=\"f('/u/King's.pdf')\">", None),
        ("<a onclick=\"f('somewhere')\">", None),
        ('<a href="javascript:steal(1)" download>', None),
        ('<a href="data:text/html,x" download>', None),
        ('<a href="http://[x" download>', None),
        ('<a href="" download>', None),
        ("<a download>", None),
        ("none", None),
    ],
)
def test_which_address_a_document_has(link: str, address: str | None) -> None:
    text = page("ibbi_announcements", "listing_last.html")
    cell = '<a href="/uploads/announcement/old.pdf" download="">'
    assert cell in text
    (row,) = read_listing(text.replace(cell, link)).rows
    assert row["pdf_url"] == address


def test_the_export_and_the_listing_do_not_change_each_other() -> None:
    unique = ibbi_announcements.SOURCE.expect.unique
    keys = []
    for name in ("export.xls", "listing.html"):
        about = {"document": name.split(".")[0]}
        rows = ibbi_announcements.parse(snapshot(page("ibbi_announcements", name), about)).rows
        keys.append({tuple(row[column] for column in unique) for row in rows})
    assert not keys[0] & keys[1]
    assert {key[:4] for key in keys[0]} & {key[:4] for key in keys[1]}, "one stands in both"


def row_of(day: date, name: str) -> str:
    return (
        f"<tr><td>{CIRP}</td><td>{day:%d-%m-%Y}</td><td></td><td>{name}</td><td></td><td></td>"
        "<!----<td>address</td>----><td></td><td></td></tr>"
    )


def listing(days: Iterable[date], *, more: bool, pager: bool = True) -> str:
    """A page of the listing with an announcement on each of these days."""
    text = page("ibbi_announcements", "listing.html" if more else "listing_last.html")
    if not pager:
        text = text.replace("pagination", "changed")
    head, rest = text.split("<tbody>")
    rows = "".join(row_of(day, f"DEBTOR {at} LIMITED") for at, day in enumerate(days))
    return head + "<tbody>" + rows + "</tbody>" + rest.split("</tbody>")[1]


def days_from(newest: date, count: int = 20) -> list[date]:
    return [newest - timedelta(days=at) for at in range(count)]


def test_twenty_rows_take_less_than_20_ms() -> None:
    text = listing(days_from(date(2026, 9, 29)), more=True)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        assert len(read_listing(text).rows) == 20
        times.append(time.perf_counter() - began)
    assert min(times) < 0.020


# Crawls: what is asked for


class Site:
    """Pages by address, served to `crawl` as `Fetch` serves them; others cannot be had."""

    def __init__(
        self,
        pages: Mapping[str, bytes | str],
        since: date | None = None,
        wanted: Sequence[dict[str, object]] = (),
    ) -> None:
        self.pages = pages
        self.since = since
        self.first = False
        self.wanted = list(wanted)
        self.asked: list[str] = []
        self.got: list[Snapshot] = []
        self.failures: list[str] = []
        self._row = 0

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
        kind: str,
        about: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Snapshot:
        assert host is None
        assert not once
        url = path + (f"?{urlencode(params)}" if params else "")
        assert kind == ("text" if "export_excel" in url else "html")
        self.asked.append(url)
        if url not in self.pages:
            raise FetchError(f"{url}: answered 404")
        found = snapshot(self.pages[url], about or {}, url=url)
        self.got.append(found)
        return found

    def each(self, items: Iterable[object], label: str) -> Iterator[object]:
        assert label
        yield from items

    @contextmanager
    def tolerate(self, what: str) -> Iterator[None]:
        try:
            yield
        except (FetchError, ParseError) as error:
            self.failures.append(f"{what}: {error}")
            self._row += 1
            if self._row == 10:
                raise FetchError("given up") from None
        else:
            self._row = 0


EXPORT_URL = "/public-announcement?ann=&title=&date=&export_excel=export_excel"


def page_url(number: int) -> str:
    return (
        f"/public-announcement?ann=&title=&date=&page={number}"
        "&sort=FLD_PA_ANNOUNCE_DATE&direction=desc"
    )


def pages_back(newest: date, count: int) -> dict[str, str]:
    """A listing of pages of 20 days each."""
    return {
        page_url(n + 1): listing(days_from(newest - timedelta(days=20 * n)), more=n < count - 1)
        for n in range(count)
    }


EXPORTED = {EXPORT_URL: export(line())}
NEWEST = date(2026, 9, 30)


def announcements(pages: Mapping[str, str], since: date | None = None) -> Site:
    site = Site(pages, since)
    ibbi_announcements.crawl(site)
    return site


def test_the_listing_is_read_for_90_days_where_there_is_an_export() -> None:
    site = announcements({**EXPORTED, **pages_back(NEWEST, 9)})
    # Page n ends 20n - 1 days before the newest: page 5 is the first to end more than 90 before.
    assert site.asked == [EXPORT_URL, *map(page_url, range(1, 6))]
    assert site.failures == []
    assert [s.about for s in site.got] == [{"document": "export"}] + [{"document": "listing"}] * 5


@pytest.mark.parametrize(
    ("since", "last"), [(NEWEST, 1), (NEWEST - timedelta(days=19), 2), (date(2016, 1, 1), 9)]
)
def test_the_listing_is_read_until_a_page_is_before_since(since: date, last: int) -> None:
    site = announcements({**EXPORTED, **pages_back(NEWEST, 9)}, since)
    assert site.asked == [EXPORT_URL, *map(page_url, range(1, last + 1))]


@pytest.mark.parametrize(
    "broken",
    [None, "<!DOCTYPE html><html>maintenance</html>", export(["one field"])],
    ids=["absent", "a page", "no row"],
)
def test_without_the_export_the_whole_listing_is_read(broken: str | None) -> None:
    pages = {} if broken is None else {EXPORT_URL: broken}
    site = announcements({**pages, **pages_back(NEWEST, 9)})
    assert site.asked == [EXPORT_URL, *map(page_url, range(1, 10))]
    assert len(site.failures) == 1
    assert site.failures[0].startswith("the export of announcements: ")


def test_a_page_that_fails_is_passed_over() -> None:
    pages = pages_back(NEWEST, 9)
    del pages[page_url(2)]
    pages[page_url(3)] = pages[page_url(3)].replace("Type of PA", "Kind")
    site = announcements({**EXPORTED, **pages})
    assert site.asked == [EXPORT_URL, *map(page_url, range(1, 6))]
    assert [f.split(":")[0] for f in site.failures] == [
        "pages of announcements, page 2",
        "pages of announcements, page 3",
    ]


def test_only_three_failures_in_a_row_end_a_listing() -> None:
    pages = pages_back(NEWEST, 9)
    for number in (1, 2, 4, 5):
        del pages[page_url(number)]
    site = announcements({**EXPORTED, **pages}, date(2016, 12, 1))
    assert site.asked == [EXPORT_URL, *map(page_url, range(1, 10))]
    assert len(site.failures) == 4


def test_the_export_stays_where_the_listing_fails() -> None:
    site = announcements(EXPORTED)
    assert [s.about["document"] for s in site.got] == ["export"]
    assert site.asked == [EXPORT_URL, *map(page_url, (1, 2, 3))]
    assert len(site.failures) == 3


def test_a_listing_that_repeats_is_told_and_left() -> None:
    pages = pages_back(NEWEST, 9)
    pages[page_url(3)] = pages[page_url(2)]
    site = announcements({**EXPORTED, **pages})
    assert site.asked == [EXPORT_URL, *map(page_url, (1, 2, 3))]
    (failure,) = site.failures
    assert "page 3 is the same as the one before it" in failure


def test_a_listing_that_does_not_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ibbi, "MAX_PAGES", 4)
    site = announcements(pages_back(NEWEST, 9))
    assert site.asked == [EXPORT_URL, *map(page_url, (1, 2, 3, 4))]
    assert "expected at most 4 pages, got a next one" in site.failures[-1]


def test_follow_raises_what_crawl_tolerates() -> None:
    same = Page(read_listing(listing([NEWEST], more=True)), (NEWEST,), more=True)
    with pytest.raises(ParseError, match="page 2 is the same"):
        follow(Site({}), "pages", lambda number: same, None, None)


def test_a_full_page_without_a_pager_is_a_changed_format() -> None:
    full = listing(days_from(NEWEST), more=False, pager=False)
    site = announcements({**EXPORTED, page_url(1): full})
    assert "expected ul.pagination on a full page" in site.failures[0]
    short = listing(days_from(NEWEST, 19), more=False, pager=False)
    assert announcements({**EXPORTED, page_url(1): short}).failures == []


def orders_page(days: Iterable[date], *, more: bool) -> str:
    text = page("ibbi_orders", "nclt.html" if more else "nclat.html")
    head, rest = text.split("<tbody>")
    rows = "".join(
        f"<tr><td>1</td><td>{day:%d %b, %Y}</td><td>In the matter of X</td><td>Others</td></tr>"
        for day in days
    )
    return head + "<tbody>" + rows + "</tbody>" + rest.split("</tbody>")[1]


def orders_pages(court: str, newest: date, count: int) -> dict[str, str]:
    """A listing of pages of 73 days each."""
    return {
        f"/orders/{court}?page={n + 1}": orders_page(
            [newest - timedelta(days=73 * n + at) for at in (0, 72)], more=n < count - 1
        )
        for n in range(count)
    }


def orders(pages: Mapping[str, str], since: date | None = None) -> Site:
    site = Site(pages, since)
    ibbi_orders.crawl(site)
    return site


def test_orders_are_read_for_a_year_of_each_court() -> None:
    pages = {
        **orders_pages("nclt", NEWEST, 9),
        **orders_pages("nclat", NEWEST - timedelta(days=50), 9),
        **orders_pages("supreme-court", NEWEST, 2),
    }
    site = orders(pages)
    # Page n ends 73n - 1 days before the court's newest: page 6 is the first beyond 365.
    assert site.asked == [
        *(f"/orders/nclt?page={n}" for n in range(1, 7)),
        *(f"/orders/nclat?page={n}" for n in range(1, 7)),
        *(f"/orders/supreme-court?page={n}" for n in (1, 2)),
        *(f"/orders/high-courts?page={n}" for n in (1, 2, 3)),
    ]
    assert len(site.failures) == 3, "the high courts are not there, and cost nothing else"
    assert {s.about["court"] for s in site.got} == {"nclt", "nclat", "supreme-court"}


def test_the_first_crawl_reads_all_orders() -> None:
    """A withdrawal that is not known would make a company bankrupt that was not."""
    pages = {k: v for c in ibbi_orders.COURTS for k, v in orders_pages(c, NEWEST, 9).items()}
    site = Site(pages)
    site.first = True
    ibbi_orders.crawl(site)  # type: ignore[arg-type]
    assert len(site.asked) == 4 * 9
    assert not site.failures


def test_orders_are_read_until_since() -> None:
    pages = {
        k: v for court in ibbi_orders.COURTS for k, v in orders_pages(court, NEWEST, 9).items()
    }
    site = orders(pages, NEWEST - timedelta(days=100))
    assert Counter(url.split("?")[0] for url in site.asked) == {
        f"/orders/{court}": 2 for court in ibbi_orders.COURTS
    }
    assert site.failures == []


def test_only_a_cin_gets_into_a_path() -> None:
    good, other = "L17110GJ1992PLC999801", "U72200KA2011PTC999803"
    wanted = [good.lower(), "../../admin", f"{other}/../x", "AAB-1234", other, good.lower()]
    pages = {f"/claims/inner-process/{cin}": "<html></html>" for cin in (good, other)}
    site = Site(pages, wanted=[{"cin": cin, "company_id": "x"} for cin in wanted])
    ibbi_processes.crawl(site)
    assert site.asked == [f"/claims/inner-process/{good}", f"/claims/inner-process/{other}"]
    assert [s.about for s in site.got] == [{"cin": good}, {"cin": other}]
    assert len(site.failures) == 3


def test_processes_are_wanted_of_matched_debtors() -> None:
    rows = [
        ("a", "C1", "certain", None, True),
        ("b", "C1", "certain", None, True),
        ("c", "C2", "probable", None, True),
        ("d", "", "certain", None, False),
        ("e", "C3", "ambiguous", None, False),
        ("f", "C4", "ambiguous", "yes", True),
        ("g", "C5", "probable", "no", False),
    ]
    with duckdb.connect() as connection:
        created(connection, "debtor_match")
        for name, cin, certainty, decision, _ in rows:
            connection.execute(
                "INSERT INTO debtor_match VALUES (?, ?, 'company', ?, 1, 'name', ?)",
                [name, cin, certainty, decision],
            )
        found = connection.execute(ibbi_processes.SOURCE.wants)
        assert [column[0] for column in found.description] == ["cin", "company_id"]
        assert [row[0] for row in found.fetchall()] == sorted({r[1] for r in rows if r[4]})


# Orders and processes


@pytest.mark.parametrize(
    ("subject", "debtor"),
    [
        ("In the matter of ASHWATTHA LLP [CP(IB) 188 of 2026]", "ASHWATTHA LLP"),
        ("In the matter of Ashwattha Ltd.", "Ashwattha Ltd."),
        ("in the Matter of: M/s Ashwattha Multi-Tech Ltd., [CP 1]", "Ashwattha Multi-Tech Ltd."),
        ("In the matter of M/S.Ashwattha Ltd [CP 1]", "Ashwattha Ltd"),
        ("  In the matter of\nAshwattha Ltd [CP 1] ", "Ashwattha Ltd"),
        ("In the matter of RP Info Systems Limited [CP 1]", "RP Info Systems Limited"),
        ("Approval of Resolution Plan - Kadamba (India) Ltd [IA 1]", "Kadamba (India) Ltd"),
        ("Approval of Resolution Plan – Messrs Kadamba [IA 1]", "Kadamba"),
        ("In the matter of Approval of Resolution Plan - Kadamba Ltd [IA 1]", "Kadamba Ltd"),
        ("In the matter of Gomti vs. Kadamba [CA 1]", None),
        ("In the matter of Gomti Vs Kadamba [CA 1]", None),
        ("In the matter of Gomti v. Kadamba [CA 1]", None),
        ("In the matter of Gomti V/s Kadamba [CA 1]", None),
        ("In the matter of Gomti versus Kadamba [CA 1]", None),
        ("In the matter of Gomti vs, Kadamba [CA 1]", None),
        ("Gomti Limited Vs. Kadamba Limited", None),
        ("In the matter of Gomti Traders & Ors. [CA 1]", None),
        ("In the matter of Gomti Traders and Anr. [CA 1]", None),
        ("In the matter of Mr. Om Example, RP of Kadamba Ltd [IA 1]", None),
        ("In the matter of Om Example, Liquidator [IA 1]", None),
        ("In the matter of Kadamba Ltd through its director [IA 1]", None),
        ("In the matter of Kadamba Limited CP(IB) No. 12 of 2019", None),
        ("In the matter of Kadamba Limited CP(IB) 12/2019", None),
        ("In the matter of Kadamba [formerly Kadam] [CP 1]", None),
        ("In the matter of Kadamba [CP 1", None),
        ("In the matter of Gomti - Kadamba [CP 1]", None),
        ("IA 12/2026 for extension of time", None),
        ("Kadamba Limited [CP 1]", None),
        ("In the matter of [CP 1]", None),
        ("In the matter of NA [CP 1]", None),
        ("", None),
    ],
)
def test_a_debtor_is_read_only_where_the_subject_is_plain(subject: str, debtor: str | None) -> None:
    assert ibbi_orders.debtor_of(subject) == debtor


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<th>Subject</th>", "<th>Title</th>", "the format has changed"),
        ("<th>Sr.No.</th>", "", "the format has changed"),
        ("reporttable", "report", "expected one table.cols-4.reporttable, got 0"),
    ],
)
def test_changed_orders_are_refused(old: str, new: str, message: str) -> None:
    text = page("ibbi_orders", "nclt.html")
    assert old in text
    with pytest.raises(ParseError, match=message):
        ibbi_orders.parse(snapshot(text.replace(old, new, 1), {"court": "nclt"}))
    with pytest.raises(ParseError, match="expected a court"):
        ibbi_orders.parse(snapshot(text, {"court": "drt"}))


def test_the_label_and_the_size_of_a_document_are_no_subject() -> None:
    text = page("ibbi_orders", "nclt.html")
    image, label = '<img src="/img/pdf.jpg" width="15">', '<span class="file-type-label"'
    assert image in text
    changed = text.replace(image, "<b>PDF</b>").replace(label, "<span")
    changed = changed.replace("(548.55 KB)", " (548.55 kb) ")
    rows = [ibbi_orders.parse(snapshot(t, {"court": "nclt"})).rows for t in (text, changed)]
    assert rows[0][:2] == rows[1][:2]
    unsized = text.replace("(548.55 KB)", "")
    assert ibbi_orders.parse(snapshot(unsized, {"court": "nclt"})).rows == rows[0]


def test_a_quarantined_order_says_the_same_wherever_it_stands() -> None:
    text = page("ibbi_orders", "nclt.html")
    later = text.replace("<td>6</td><td>06 Aug", "<td>9</td><td>06 Aug")
    assert later != text
    bad = [ibbi_orders.parse(snapshot(t, {"court": "nclt"})).bad for t in (text, later)]
    assert bad[0] == bad[1]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("inner-process/L17110", "inner-process/L17111", "expected the page of 'L17110GJ1992"),
        ("/claims/inner-process/", "/claims/", "expected the page of"),
        ("Process with ICD", "Process since", "expected 'Process with ICD' or 'ASSIGNMENT NOT"),
        ("<div class=\"processbx\">Process with ICD: 10-08-2026 </div>",
         "<!-- ASSIGNMENT NOT APPROVED YET -->", "expected 'Process with ICD' or"),
    ],
)  # fmt: skip
def test_a_changed_page_of_a_debtor_is_refused(old: str, new: str, message: str) -> None:
    text = page("ibbi_processes", "one_process.html")
    assert old in text
    about = {"cin": "L17110GJ1992PLC999801"}
    with pytest.raises(ParseError, match=message):
        ibbi_processes.parse(snapshot(text.replace(old, new, 1), about))
    with pytest.raises(ParseError, match="expected the page of 'U72200KA2011PTC999803'"):
        ibbi_processes.parse(snapshot(text, {"cin": "U72200KA2011PTC999803"}))


def test_links_to_the_page_may_be_absolute() -> None:
    text = page("ibbi_processes", "one_process.html")
    changed = text.replace('href="/claims', 'href="https://ibbi.gov.in/claims')
    assert changed != text
    found = [
        ibbi_processes.parse(snapshot(t, {"cin": "L17110GJ1992PLC999801"})) for t in (text, changed)
    ]
    assert found[0] == found[1]


def test_the_state_is_that_of_the_panel_before_or_not_stated() -> None:
    text = page("ibbi_processes", "one_process.html")
    about = {"cin": "L17110GJ1992PLC999801"}
    (row,) = ibbi_processes.parse(snapshot(text.replace("<td>IRP<", "<td> <"), about)).rows
    assert row["state"] == "not stated"
    panel = text.split('<div class="sv-tab-panel">')[1].split("</div>\n</body>")[0]
    other = panel.replace("<td>IRP<", "<td>LIQUIDATOR<").replace("10-08-2026", "01-02-2018")
    both = text.replace("</body>", f'<div class="sv-tab-panel">{other}</div></body>')
    rows = ibbi_processes.parse(snapshot(both, about)).rows
    assert [(row["commenced_on"], row["state"]) for row in rows] == [
        (date(2026, 8, 10), "IRP"),
        (date(2018, 2, 1), "LIQUIDATOR"),
    ]


# The real files


def test_the_real_listing(shared: Path) -> None:
    body = (shared / "fixtures/ibbi/ibbi-pa-cirp-page1.html").read_bytes()
    document = snapshot(body, {"document": "listing"})
    parsed = ibbi_announcements.parse(document)
    common = {"announcement_type": CIRP, "cin": None, "remarks": None}
    folder = "https://ibbi.gov.in//uploads/announcement/"
    assert parsed.rows == [
        {
            **common,
            "announced_on": date(2026, 9, 29),
            "claims_until": date(2026, 10, 9),
            "debtor_name": "TAKSHASHILA RESICOM PRIVATE LIMITED",
            "applicant": "SHETH FINCAP SERVICES PRIVATE LIMITED",
            "professional": "Chetan Patel",
            "pdf_url": folder + "2026-09-29-123607-uc9g6-5c06ce6c0111806ecfd4fbad7e27f559.pdf",
        },
        {
            **common,
            "announced_on": date(2026, 9, 27),
            "claims_until": date(2026, 10, 7),
            "debtor_name": "SHREESATYA SPONGE & POWER PRIVATE LIMITED",
            "applicant": "Pratim Bayal",
            "professional": "Mr. Pratim Bayal",
            "pdf_url": folder + "6689066707c9ea6e3771ac1146f45290.pdf",
        },
        {
            **common,
            "announced_on": date(2026, 9, 19),
            "claims_until": date(2026, 10, 1),
            "debtor_name": "GEPDEC INFRATECH LIMITED",
            "applicant": "Powertech Engineers",
            "professional": "Mr. Anurag Nirbhaya",
            "pdf_url": folder + "147bbda0e5969ee71347f24e969b5bb6.pdf",
        },
    ]
    assert (parsed.bad, parsed.notices) == ([], ())
    assert ibbi.page_of(document, parsed, "announced_on") == Page(
        parsed, (date(2026, 9, 29), date(2026, 9, 27), date(2026, 9, 19)), more=True
    )


def real_lines(shared: Path) -> list[list[str]]:
    """The real values, back in the export's layout."""
    theirs = (
        "announcement_type", "date_of_announcement", "last_date_of_submission", "corporate_debtor",
        "cin", "applicant", "insolvency_professional", "ip_address", "remarks",
    )  # fmt: skip
    path = shared / "fixtures/ibbi/export_rows.csv"
    with path.open(encoding="utf-8", newline="") as file:
        return [[row[name] for name in theirs] for row in csv.DictReader(file)]


def real_export(shared: Path, change: Callable[[list[list[str]]], None] = lambda r: None) -> str:
    lines = real_lines(shared)
    change(lines)
    header = [EXPORT[0], *(f" {name}" for name in EXPORT[1:])]
    return export(*lines, header=header)


def test_the_real_rows_of_the_export(shared: Path) -> None:
    parsed = read_export(real_export(shared))
    # Counted in the file by hand: 123 rows; row 38 has no type; the CIN is N/A in rows 5 and 38
    # and empty in the last 27; the last date is N/E in rows 13 and 57 and empty in row 26.
    assert [(b.row_number, b.reason) for b in parsed.bad] == [(38, "no announcement type")]
    assert "PSL LIMITED" in parsed.bad[0].content
    assert len(parsed.rows) == 122
    assert sum(row["cin"] is None for row in parsed.rows) == 28
    assert sum(row["claims_until"] is None for row in parsed.rows) == 3
    # 75, 26 and 21 of the three types, and nothing else.
    assert Counter(row["announcement_type"] for row in parsed.rows) == {
        CIRP: 75,
        "Public Announcement of Voluntary Liquidation Process": 26,
        LIQUIDATION: 21,
    }
    assert parsed.notices == ()
    assert parsed.rows[11] == {
        "announcement_type": CIRP,
        "announced_on": date(2021, 12, 7),
        "claims_until": date(2021, 12, 20),
        "debtor_name": "Reliance Capital Limited",
        "cin": "L65910MH1986PLC165645",
        "applicant": "Reserve Bank of India",
        "professional": "Nageshwara Rao Y",
        "remarks": "No remarks published by IBBI.",
        "pdf_url": None,
    }


def test_real_rows_with_damage_are_quarantined_and_the_others_kept(shared: Path) -> None:
    def damage(lines: list[list[str]]) -> None:
        lines[0][3] = "Tata\tProjects"  # a tab in a name
        lines[1].pop()  # a field lost
        lines[2][4] = lines[2][4].replace("PLC", "PL")  # a letter of the CIN lost
        lines[3][1] = "22-02-2029"

    whole, damaged = read_export(real_export(shared)), read_export(real_export(shared, damage))
    assert [(b.row_number, b.reason) for b in damaged.bad] == [
        (1, "wrong number of fields"),
        (2, "wrong number of fields"),
        (3, "malformed CIN"),
        (4, "impossible date"),
        (38, "no announcement type"),
    ]
    assert damaged.rows == [{**whole.rows[2], "cin": None}, *whole.rows[4:]]


def test_the_real_pages_of_debtors(shared: Path) -> None:
    for name, cin, day, state in (
        ("future-retail", "L51909MH2007PLC268269", date(2022, 7, 20), "LIQUIDATOR"),
        ("not-assigned", "L29150PN1989PLC054143", None, "not assigned"),
    ):
        body = (shared / f"fixtures/ibbi/inner-process_{name}.html").read_bytes()
        parsed = ibbi_processes.parse(snapshot(body, {"cin": cin}))
        assert parsed.rows == [{"cin": cin, "commenced_on": day, "state": state}]
        assert parsed.bad == []
        with pytest.raises(ParseError, match="expected the page of 'L65910MH1986PLC165645'"):
            ibbi_processes.parse(snapshot(body, {"cin": "L65910MH1986PLC165645"}))


def test_the_real_orders(shared: Path) -> None:
    body = (shared / "fixtures/ibbi/ibbi-nclt-page1.html").read_bytes()
    parsed = ibbi_orders.parse(snapshot(body, {"court": "nclt"}))
    assert parsed.bad == []
    told = ("ordered_on", "debtor_name", "remarks", "pdf_url")
    folder = "https://ibbi.gov.in/uploads/order/"
    assert [tuple(row[name] for name in told) for row in parsed.rows] == [
        (date(2026, 9, 25), "TAKSHASHILA CORPORATION LLP", "Admission - Final Order",
         folder + "2026-09-29-115640-houbm-a240fa27925a635b08dc28c9e4f9216d.pdf"),
        (date(2026, 9, 25), "TAKSHASHILA RESICOM PRIVATE LIMITED", "Admission - Final Order",
         folder + "2026-09-26-161944-atwbp-70a17ffa722a3985b86d30b034ad06d7.pdf"),
        (date(2026, 9, 24), "Raninga Paper Mills Private Limited", "Others",
         folder + "1f193f7f47c61c76db9e7f02dd52fd62.pdf"),
        (date(2026, 9, 24), "Zicom Electronic Security Systems Limited",
         "Approval of Resolution Plan", folder + "5ff832d9bca8241d653279756f3ccd11.pdf"),
        (date(2026, 9, 24), "Spright Agro Limited", "Admission - Final order",
         folder + "977a5fbd415fd056e45ef55218c546db.pdf"),
        (date(2026, 9, 24), "MAGICSTONE TRADERS PRIVATE LIMITED",
         "Appointment - Appointment of Liquidator",
         folder + "750805cc2d07b0cd8f75a9b433203318.pdf"),
    ]  # fmt: skip
    assert [row["subject"] for row in parsed.rows] == [
        "In the matter of TAKSHASHILA CORPORATION LLP [CP(IB) 188 of 2026]",
        "In the matter of TAKSHASHILA RESICOM PRIVATE LIMITED [CP(IB)192 of 2026]",
        "In the matter of Raninga Paper Mills Private Limited [IA/1037(AHM) 2026 in IA (Plan)/"
        "9(AHM) 2026 in CP (IB)/271(AHM)2025]",
        "Approval of Resolution Plan - Zicom Electronic Security Systems Limited [IA(IBC)(Plan)/"
        "32/MB/2026 in IA(I.B.C)/1566(MB)2026 in CP(IB) No. 610 of 2021]",
        "In the matter of Spright Agro Limited [?? (IB)86(AHM)2026]",
        "In the matter of MAGICSTONE TRADERS PRIVATE LIMITED [C.P. (IB)/507/MB/2021]",
    ]
    assert {row["court"] for row in parsed.rows} == {"nclt"}


# Whatever comes


def sound(module: ModuleType, document: Snapshot) -> int:
    """Rows of a document that may be damaged: each is whole, or the document is refused."""
    try:
        parsed = module.parse(document)
    except InputError:
        return 0
    for row in parsed.rows:
        json.dumps(row, default=date.isoformat, ensure_ascii=False).encode()
        assert set(module.SOURCE.expect.unique) <= set(row)
        for name in ("announced_on", "ordered_on"):
            assert name not in row or date(2016, 12, 1) <= row[name] <= date(2026, 10, 2)
        assert row.get("cin") is None or known_cin(row["cin"], 2026) == row["cin"]
        assert (row.get("pdf_url") or "http://").startswith(("http://", "https://"))
    for bad in parsed.bad:
        (bad.reason + bad.content).encode()
        assert bad.reason
    return len(parsed.rows)


DOCUMENTS = [replica(path)[:2] for path in CASES]


@given(body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_arbitrary_bytes_are_refused(body: bytes) -> None:
    for module, document in DOCUMENTS:
        assert sound(module, snapshot(body, document.about)) == 0


PIECES = st.sampled_from(
    [b"", b"<td>", b"</td>", b"</tr><tr>", b"<table>", b"</table>", b"<!--", b"-->", b"\t", b"\n",
     b"\r", b"\x00", b"\xff", b"&#0;", b"&#xD800;", b"&amp", b"<th>",
     b"<a href='http://[' download>", b'"', b"-", b"99", b"<div>" * 300, b"<script>", b"]", b"[",
     "\u0967\u202e".encode()]
)  # fmt: skip
CUTS = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), PIECES), min_size=1, max_size=6)


def test_damaged_documents_give_whole_rows_or_are_refused() -> None:
    readable: Counter[str] = Counter()

    @given(chosen=st.sampled_from(DOCUMENTS), cuts=CUTS)
    def check(chosen: tuple[ModuleType, Snapshot], cuts: list[tuple[float, int, bytes]]) -> None:
        module, document = chosen
        body = document.body
        for where, length, piece in cuts:
            at = int(where * len(body))
            body = body[:at] + piece + body[at + length :]
        found = sound(module, snapshot(body, document.about))
        readable[module.SOURCE.name, found > 0] += 1

    check()
    assert set(readable) >= {(name, True) for name in MODULES}, "all was refused"
    assert any(not read for _, read in readable), "nothing was damaged"


FIELDS = st.lists(st.text(max_size=8), min_size=1, max_size=12) | st.just(line(CIN_No="?"))


@given(lines=st.lists(FIELDS, max_size=6))
def test_each_line_of_an_export_is_kept_or_quarantined(lines: list[list[str]]) -> None:
    body = export(*lines).encode("utf-8", "surrogatepass")
    parsed = read_export(body)
    lost = [b for b in parsed.bad if not b.reason.startswith("malformed")]
    assert len(parsed.rows) + len(lost) == sum(bool(at.strip()) for at in body.splitlines()[1:])
    assert len(parsed.rows) >= lines.count(line(CIN_No="?"))
