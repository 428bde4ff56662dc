"""The polite session against a server on this machine that misbehaves in every known way."""

from __future__ import annotations

import dataclasses
import gzip
import logging
import re
import socket
import struct
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from pathlib import Path

import pytest

from scraping import fetch as fetch_module
from scraping import hosts as hosts_module
from scraping.fetch import ATTEMPTS, IN_A_ROW, Fetch, GivenUpError, StoppedError, Web
from scraping.hosts import HOSTS, address, host_named
from scraping.snapshots import Store, read
from scraping.source import ONCE, Expect, FetchError, Kind, ParseError, Source
from scraping.transport import Deadline
from warehouse.errors import InputError

NOW = datetime(2026, 10, 1, 6, 30, tzinfo=UTC)
PAGE = b"<!DOCTYPE html><html><body><table><tr><td>1</td></tr></table></body></html>"
SOURCE = Source(
    name="made_up",
    publisher="nobody",
    host="IBBI",
    url="https://example.org",
    terms="none",
    cadence_days=1,
    stage=1,
    table="macro",
    columns={},
    ignored=(),
    expect=Expect(0, ()),
    standing="reported",
)


@dataclass
class Asked:
    """A request as it reached the server, and when."""

    path: str
    headers: dict[str, str]
    began: float
    ended: float = 0.0


Answer = bytes | Callable[[socket.socket, Asked], None]


@dataclass
class Site:
    """A server: the answers of a path are given one after the other, the last for ever."""

    answers: dict[str, list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while not self.closed.is_set():
            with suppress(OSError):
                connection, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(connection,)))
                self._threads[-1].start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            received = b""
            while b"\r\n\r\n" not in received and (part := connection.recv(65536)):
                received += part
            if not received:
                return
            lines = received.decode("latin-1").split("\r\n")
            headers = dict(line.split(": ", 1) for line in lines[1:] if ": " in line)
            request = Asked(lines[0].split(" ")[1], headers, time.monotonic())
            self.asked.append(request)
            waiting = self.answers.get(request.path, [answer(404)])
            chosen = waiting.pop(0) if len(waiting) > 1 else waiting[0]
            if callable(chosen):
                chosen(connection, request)
            else:
                connection.sendall(chosen)
            request.ended = time.monotonic()

    def times(self, path: str) -> int:
        """How often a path was asked for."""
        return sum(request.path == path for request in self.asked)

    def close(self) -> None:
        """End all threads."""
        self.closed.set()
        with suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port)).close()
        self._accepting.join()
        self._listener.close()
        for thread in self._threads:
            thread.join()


def answer(status: int, body: bytes = b"", framed: bool = True, **headers: str) -> bytes:
    """An answer of a server; in names of headers `_` stands for `-`."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if framed:
        named.setdefault("Content-Length", str(len(body)))
    head = [f"HTTP/1.1 {status} X", "Connection: close", *(f"{n}: {v}" for n, v in named.items())]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def page(body: bytes = PAGE, **headers: str) -> bytes:
    return answer(200, body, **headers)


def reset_after(sent: bytes) -> Answer:
    """Send this, then break the connection off without an end."""

    def broken(connection: socket.socket, _: Asked) -> None:
        connection.sendall(sent)
        time.sleep(0.02)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return broken


def drip(first: bytes, drop: bytes = b"x") -> Answer:
    """Send this, then a drop at a time for as long as anyone listens."""

    def dripping(connection: socket.socket, request: Asked) -> None:
        connection.sendall(first)
        for _ in range(400):
            time.sleep(0.02)
            connection.sendall(drop)

    return dripping


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    started = Site()
    for host in HOSTS:
        prefix = "" if host.name == "IBBI" else "/" + host.name.lower()
        monkeypatch.setenv(f"SCRAPING_BASE_URL_{host.name}", started.url + prefix)
    monkeypatch.delenv("SCRAPING_CONTACT", raising=False)
    monkeypatch.delenv("SCRAPING_TIMEOUT_SECONDS", raising=False)
    yield started
    started.close()


Make = Callable[..., Fetch]


@pytest.fixture
def make(site: Site, tmp_path: Path) -> Iterator[Make]:
    """Makes what a crawl fetches with, after the test has set the environment."""
    webs: list[Web] = []

    def made(host: str = "IBBI", web: Web | None = None, now: datetime = NOW) -> Fetch:
        if web is None:
            web = Web()
            webs.append(web)
        source = dataclasses.replace(SOURCE, host=host)
        return Fetch(source, web, Store(tmp_path / "raw").open(source.name, now))

    yield made
    for web in webs:
        web.close()


def stored(tmp_path: Path) -> list[Path]:
    """Every file of the store."""
    return [path for path in (tmp_path / "raw").rglob("*") if path.is_file()]


# Who we are.


@pytest.mark.parametrize(
    ("contact", "agent"),
    [
        ("", "insolvency-radar/0.1"),
        ("crawler@example.org", "insolvency-radar/0.1 (+crawler@example.org)"),
        ("https://example.org/us", "insolvency-radar/0.1 (+https://example.org/us)"),
    ],
)
def test_each_request_says_who_asks(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch, contact: str, agent: str
) -> None:
    monkeypatch.setenv("SCRAPING_CONTACT", contact)
    site.answers["/a"] = [page()]
    make().get("/a", kind="html")
    assert [(each.path, each.headers["User-Agent"]) for each in site.asked] == [
        ("/robots.txt", agent),
        ("/a", agent),
    ]


@pytest.mark.parametrize("contact", ["a@b\r\nX-Evil: 1", "a\x1bb", "अ@example.org"])
def test_a_contact_that_no_header_can_hold_is_refused(
    monkeypatch: pytest.MonkeyPatch, contact: str
) -> None:
    monkeypatch.setenv("SCRAPING_CONTACT", contact)
    with pytest.raises(FetchError, match="SCRAPING_CONTACT"):
        Web()


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "3601", "1e9", "soon"])
def test_an_impossible_timeout_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SCRAPING_TIMEOUT_SECONDS", text)
    with pytest.raises(FetchError, match="SCRAPING_TIMEOUT_SECONDS"):
        Web()


def test_a_host_gets_the_headers_its_interface_asks_for(site: Site, make: Make) -> None:
    site.answers["/bse_api/x"] = [page(b"{}")]
    make("BSE_API").get("/x", kind="json")
    assert site.asked[-1].headers["Referer"] == "https://www.bseindia.com/"


# robots.txt.


def test_without_robots_txt_all_is_allowed_and_it_is_asked_for_once(site: Site, make: Make) -> None:
    site.answers |= {"/a": [page()], "/b": [page()]}
    fetch = make()
    fetch.get("/a", kind="html")
    fetch.get("/b", kind="html")
    assert [request.path for request in site.asked] == ["/robots.txt", "/a", "/b"]


@pytest.mark.parametrize("agent", ["*", "insolvency-radar", "Insolvency-Radar"])
def test_what_robots_txt_forbids_is_never_asked_for(site: Site, make: Make, agent: str) -> None:
    rules = f"User-agent: {agent}\nDisallow: /secret\n".encode()
    site.answers |= {"/robots.txt": [page(rules)], "/secret/a": [page()], "/b": [page()]}
    fetch = make()
    with pytest.raises(FetchError, match=r"/secret/a: forbidden to us by the site's robots\.txt"):
        fetch.get("/secret/a", kind="html")
    fetch.get("/b", kind="html")
    assert [request.path for request in site.asked] == ["/robots.txt", "/b"]


def test_rules_for_others_are_not_for_us(site: Site, make: Make) -> None:
    rules = b"User-agent: Googlebot\nDisallow: /\n"
    site.answers |= {"/robots.txt": [page(rules)], "/a": [page()]}
    assert make().get("/a", kind="html").body == PAGE


def test_robots_txt_binds_a_redirect_and_a_warm_up_too(site: Site, make: Make) -> None:
    site.answers |= {
        "/robots.txt": [page(b"User-agent: *\nDisallow: /secret\n")],
        "/a": [answer(302, Location="/secret/a")],
        "/secret/a": [page()],
        "/nse/robots.txt": [page(b"User-agent: *\nDisallow: /\nAllow: /api/\n")],
        "/nse/": [page()],
        "/nse/api/x": [page(b"[]")],
    }
    with pytest.raises(FetchError, match=r"robots\.txt"):
        make().get("/a", kind="html")
    with pytest.raises(FetchError, match=r"robots\.txt"):
        make("NSE").get("/api/x", kind="json")
    assert not {"/secret/a", "/nse/", "/nse/api/x"} & {request.path for request in site.asked}


def test_a_replica_below_a_folder_keeps_the_rules_of_the_site(site: Site, make: Make) -> None:
    rules = b"User-agent: *\nDisallow: /api/x\n"
    site.answers["/nse_archives/robots.txt"] = [page(rules)]
    with pytest.raises(FetchError, match=r"robots\.txt"):
        make("NSE_ARCHIVES").get("/api/x", kind="json")


def test_where_robots_txt_fails_nothing_is_fetched(site: Site, make: Make) -> None:
    site.answers |= {"/robots.txt": [answer(500)], "/a": [page()]}
    with pytest.raises(FetchError, match=r"/robots\.txt: answered 500"):
        make().get("/a", kind="html")
    assert (site.times("/robots.txt"), site.times("/a")) == (ATTEMPTS, 0)


def test_robots_txt_that_fails_once_is_asked_for_again(site: Site, make: Make) -> None:
    rules = page(b"User-agent: *\nDisallow: /a")
    site.answers |= {"/robots.txt": [answer(503), reset_after(b""), rules], "/a": [page()]}
    with pytest.raises(FetchError, match="forbidden"):
        make().get("/a", kind="html")
    assert site.times("/robots.txt") == 3


@pytest.mark.parametrize(
    "robots",
    [
        page(b"<!doctype html><html>not found</html>"),
        page(b"\xff\xfe\x00garbage"),
        answer(403),
        answer(302, Location="https://elsewhere.example/robots.txt"),
        answer(302, Location="/robots.txt"),
    ],
    ids=["a page", "bytes", "403", "elsewhere", "a loop"],
)
def test_robots_txt_that_is_none_forbids_nothing(site: Site, make: Make, robots: bytes) -> None:
    site.answers |= {"/robots.txt": [robots], "/a": [page()]}
    assert make().get("/a", kind="html").body == PAGE


# How often is asked.


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server taken for a host of the web that is to be asked every 0.15 seconds."""
    spaced = tuple(dataclasses.replace(host, seconds=0.15) for host in HOSTS)
    monkeypatch.setattr(fetch_module, "is_loopback", lambda url: False)
    monkeypatch.setattr(fetch_module, "HOSTS", spaced)
    monkeypatch.setattr(hosts_module, "HOSTS", spaced)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


def gaps(site: Site) -> list[float]:
    began = [request.began for request in site.asked]
    return [after - before for before, after in pairwise(began)]


@pytest.mark.usefixtures("far")
def test_requests_to_a_host_are_spaced_whoever_asks(site: Site, make: Make) -> None:
    paths = [f"/{number}" for number in range(4)]
    site.answers |= {path: [page()] for path in paths}
    one = make()
    two = make(web=one.web)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda p: (one, two)[int(p[1]) % 2].get(p, kind="html"), paths))
    assert len(gaps(site)) == 4  # robots.txt counts too
    assert min(gaps(site)) >= 0.14


@pytest.mark.usefixtures("far")
def test_a_longer_delay_that_robots_txt_asks_for_is_kept(site: Site, make: Make) -> None:
    rules = b"User-agent: *\nCrawl-delay: 0.4\n"
    site.answers |= {"/robots.txt": [page(rules)], "/a": [page()], "/b": [page()]}
    fetch = make()
    fetch.get("/a", kind="html")
    fetch.get("/b", kind="html")
    assert gaps(site)[1] >= 0.39


@pytest.mark.usefixtures("far")
def test_a_shorter_delay_of_robots_txt_changes_nothing(site: Site, make: Make) -> None:
    rules = b"User-agent: *\nCrawl-delay: 0.01\n"
    site.answers |= {"/robots.txt": [page(rules)], "/a": [page()], "/b": [page()]}
    fetch = make()
    fetch.get("/a", kind="html")
    fetch.get("/b", kind="html")
    assert min(gaps(site)) >= 0.14


def test_a_replica_needs_no_sparing(site: Site, make: Make) -> None:
    paths = [f"/{number}" for number in range(40)]
    site.answers |= {path: [page()] for path in paths}
    site.answers["/robots.txt"] = [page(b"User-agent: *\nCrawl-delay: 60\n")]
    fetch, began = make(), time.monotonic()
    for path in paths:
        fetch.get(path, kind="html")
    assert time.monotonic() - began < 3


def test_one_request_at_a_time_per_host_and_hosts_beside_each_other(site: Site, make: Make) -> None:
    def slow(connection: socket.socket, _: Asked) -> None:
        time.sleep(0.1)
        connection.sendall(page())

    names = ("IBBI", "NSE_ARCHIVES")
    paths = [f"{prefix}/{number}" for prefix in ("", "/nse_archives") for number in range(3)]
    site.answers |= {path: [slow] for path in paths}
    first = make(names[0])
    fetches = dict(zip(names, (first, make(names[1], web=first.web)), strict=True))
    with ThreadPoolExecutor(6) as pool:
        asked = [(name, f"/{number}") for name in names for number in range(3)]
        list(pool.map(lambda each: fetches[each[0]].get(each[1], kind="html"), asked))
    of = {
        name: sorted(
            (each.began, each.ended)
            for each in site.asked
            if each.path in paths and each.path.startswith("/nse_archives") == (name != "IBBI")
        )
        for name in names
    }
    for spans in of.values():
        assert len(spans) == 3
        # Each answer takes 0.1 seconds, so that is how far apart requests of one host begin.
        assert all(b[0] - a[0] > 0.09 for a, b in pairwise(spans))
    assert of["IBBI"][0][0] < of["NSE_ARCHIVES"][-1][1]
    assert of["NSE_ARCHIVES"][0][0] < of["IBBI"][-1][1]  # they overlapped


# Cookies.


def needs_cookie(value: str) -> Answer:
    """Refuse whoever does not bring this cookie."""

    def judged(connection: socket.socket, request: Asked) -> None:
        good = f"nsit={value}" in request.headers.get("Cookie", "")
        connection.sendall(page(b"[]") if good else answer(403))

    return judged


def cookie(value: str) -> bytes:
    return page(PAGE, Set_Cookie=f"nsit={value}; Path=/")


def test_a_site_that_needs_cookies_is_warmed_up_once(site: Site, make: Make) -> None:
    site.answers |= {"/nse/": [cookie("1")]}
    site.answers |= {f"/nse/api/{n}": [needs_cookie("1")] for n in range(3)}
    fetch = make("NSE")
    for n in range(3):
        fetch.get(f"/api/{n}", kind="json")
    assert [request.path for request in site.asked] == [
        "/nse/robots.txt",
        "/nse/",
        "/nse/api/0",
        "/nse/api/1",
        "/nse/api/2",
    ]


@pytest.mark.parametrize("status", [401, 403])
def test_after_a_refusal_new_cookies_are_fetched(site: Site, make: Make, status: int) -> None:
    site.answers |= {
        "/nse/": [cookie("old"), cookie("new")],
        "/nse/api/a": [page(b"[]")],
        "/nse/api/b": [answer(status), needs_cookie("new")],
    }
    fetch = make("NSE")
    fetch.get("/api/a", kind="json")
    fetch.get("/api/b", kind="json")
    assert [request.path for request in site.asked[1:]] == [
        "/nse/",
        "/nse/api/a",
        "/nse/api/b",
        "/nse/",
        "/nse/api/b",
    ]
    assert "Cookie" not in site.asked[4].headers  # the old one is forgotten


def test_a_site_that_goes_on_refusing_is_given_up_with_advice(site: Site, make: Make) -> None:
    site.answers |= {"/nse/": [cookie("1")], "/nse/api/a": [answer(403)]}
    with pytest.raises(FetchError, match="answered 403: the site refuses us; try later"):
        make("NSE").get("/api/a", kind="json")
    assert (site.times("/nse/api/a"), site.times("/nse/")) == (ATTEMPTS, ATTEMPTS)


def test_a_host_without_a_warm_up_gets_none(site: Site, make: Make) -> None:
    site.answers |= {"/a": [page()], "/": [page()]}
    make().get("/a", kind="html")
    assert site.times("/") == 0


# Failures that pass, and those that do not.


@pytest.mark.parametrize("status", [408, 425, 429, 500, 599])
def test_a_server_that_fails_twice_is_asked_a_third_time(
    site: Site, make: Make, status: int
) -> None:
    site.answers["/a"] = [answer(status), answer(status), page()]
    assert make().get("/a", kind="html").body == PAGE
    assert site.times("/a") == 3


def test_a_server_that_goes_on_failing_is_given_up(site: Site, make: Make, tmp_path: Path) -> None:
    site.answers["/a"] = [answer(502)]
    with pytest.raises(FetchError, match=rf"^{re.escape(site.url)}/a: answered 502$"):
        make().get("/a", kind="html")
    assert site.times("/a") == ATTEMPTS
    assert stored(tmp_path) == []


@pytest.mark.parametrize("status", [201, 204, 206, 304, 400, 404, 410, 418])
def test_an_answer_that_will_not_change_is_not_asked_for_again(
    site: Site, make: Make, status: int
) -> None:
    site.answers["/a"] = [answer(status)]
    with pytest.raises(FetchError, match=f"answered {status}"):
        make().get("/a", kind="html")
    assert site.times("/a") == 1


def in_seconds(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(("status", "how"), [(429, "seconds"), (503, "date")])
def test_a_server_may_say_when_to_come_back(site: Site, make: Make, status: int, how: str) -> None:
    def busy(connection: socket.socket, _: Asked) -> None:
        # A date has whole seconds: this one is 0.4 to 1.4 seconds from now.
        told = "1" if how == "seconds" else in_seconds(1.4)
        connection.sendall(answer(status, Retry_After=told))

    site.answers["/a"] = [busy, page()]
    make().get("/a", kind="html")
    first, second = (request.began for request in site.asked if request.path == "/a")
    assert (0.95 if how == "seconds" else 0.35) <= second - first < 3


@pytest.mark.parametrize(
    "told",
    ["301", "99999999999999999999", "9" * 400, 900.0, 1e9],
    ids=["seconds", "many seconds", "no number", "a quarter of an hour", "thirty years"],
)
@pytest.mark.parametrize("path", ["/a", "/robots.txt"])
def test_a_server_that_is_busy_for_long_is_given_up_at_once(
    site: Site, make: Make, path: str, told: str | float
) -> None:
    # A date is counted from now, not from when the tests were collected.
    said = told if isinstance(told, str) else in_seconds(told)
    site.answers |= {"/a": [page()], path: [answer(429, Retry_After=said)]}
    began = time.monotonic()
    with pytest.raises(FetchError, match="answered 429, and asks to come back in"):
        make().get("/a", kind="html")
    assert time.monotonic() - began < 60
    assert site.times(path) == 1


@pytest.mark.parametrize(
    "told",
    [
        "",
        "soon",
        "-5",
        "1.5",
        "²",
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Wed, 21 Oct 2015 07:28:00 -0000",
        "Wed, 21 Oct 2015 07:28:00 +99999999999999",
        "Wed, 21 Oct 99999 07:28:00 GMT",
    ],
)
def test_an_odd_time_to_come_back_is_no_time(site: Site, make: Make, told: str) -> None:
    site.answers["/a"] = [answer(503, Retry_After=told), page()]
    began = time.monotonic()
    make().get("/a", kind="html")
    assert time.monotonic() - began < 1


def chunked(*chunks: bytes) -> bytes:
    """An answer in chunks, without the last one that says that it is whole."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    return answer(200, body, framed=False, Transfer_Encoding="chunked")


LONG_PAGE = b"<html><table>%s</table></html>" % b"".join(b"<tr><td>%d" % n for n in range(999))
PACKED = gzip.compress(LONG_PAGE, mtime=0)
BROKEN: dict[str, Answer] = {
    "no answer": b"",
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "reset before the answer": reset_after(b""),
    "reset in the headers": reset_after(b"HTTP/1.1 200 OK\r\nContent-Le"),
    "reset in the body": reset_after(answer(200, PAGE, Content_Length="9999")),
    "shorter than its length": answer(200, PAGE, Content_Length=str(len(PAGE) + 1)),
    "no end of chunks": chunked(PAGE),
    "end within a chunk": chunked(PAGE)[:-20],
    "end before a chunk": chunked(PAGE) + b"\r\n",
    "a chunk of no length": chunked(PAGE) + b"zz\r\n",
    "no gzip": page(PAGE, Content_Encoding="gzip"),
    "gzip cut, length wrong": answer(
        200, PACKED[:-30], Content_Length=str(len(PACKED)), Content_Encoding="gzip"
    ),
    "gzip cut, length unknown": answer(200, PACKED[:-30], framed=False, Content_Encoding="gzip"),
    "a page without its end": answer(200, PAGE[:-7], framed=False),
    "100 headers": answer(200, PAGE, **{f"X{n}": "x" for n in range(120)}),
    "too long a header": answer(200, PAGE, X="x" * 70_000),
}


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_document_that_is_not_whole_is_asked_for_again(
    site: Site, make: Make, tmp_path: Path, broken: Answer
) -> None:
    site.answers["/a"] = [broken, page()]
    assert make().get("/a", kind="html").body == PAGE
    assert (site.times("/a"), len(stored(tmp_path))) == (2, 1)


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
def test_a_document_that_is_never_whole_fails_in_one_line_and_is_not_stored(
    site: Site, make: Make, tmp_path: Path, broken: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    site.answers["/a"] = [broken]
    with pytest.raises(FetchError, match=rf"^{re.escape(site.url)}/a: [^\n]+$"):
        make().get("/a", kind="html")
    assert (site.times("/a"), stored(tmp_path)) == (1, [])


CUT: dict[Kind, tuple[bytes, bytes]] = {
    "json": (b'[{"a": 1}, {"a"', b'[{"a": 1}]\n'),
    "html": (b"<html><body><p>so", b"<html><body></body></HTML>\r\n<!-- end -->"),
    "xml": (b"<?xml version='1.0'?><a><b>1</b", b"<?xml version='1.0'?><a/>\n"),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_document_of_no_stated_length_must_have_an_end(
    site: Site, make: Make, kind: Kind
) -> None:
    cut, whole = CUT[kind]
    site.answers["/a"] = [answer(200, cut, framed=False), answer(200, whole, framed=False)]
    assert make().get("/a", kind=kind).body == whole
    assert site.times("/a") == 2


def test_packed_documents_are_stored_unpacked(site: Site, make: Make) -> None:
    site.answers |= {
        "/a": [page(PACKED, Content_Encoding="gzip")],
        "/b": [page(zlib.compress(PAGE), Content_Encoding="deflate")],
        "/c": [
            chunked(PACKED[:10], PACKED[10:]).replace(
                b"chunked", b"chunked\r\nContent-Encoding: gzip"
            )
            + b"0\r\n\r\n"
        ],
    }
    fetch = make()
    assert fetch.get("/a", kind="html").body == LONG_PAGE
    assert fetch.get("/b", kind="html").body == PAGE
    assert fetch.get("/c", kind="html").body == LONG_PAGE


# Hostile answers.


GZIP_WITH_NAME = b"\x1f\x8b\x08\x08\x00\x00\x00\x00\x00\xff"  # the name goes on until a zero byte


@pytest.mark.parametrize(
    "first",
    [
        answer(200, PAGE, Content_Length="9999"),
        answer(200, b"", framed=False),
        answer(200, b"", framed=False, Transfer_Encoding="chunked"),
        answer(200, GZIP_WITH_NAME, Content_Length="9999", Content_Encoding="gzip"),
        b"HTTP/1.1 200 OK\r\nX-Slow: ",
        b"",
    ],
    ids=["body", "body of no length", "chunk", "gzip", "header", "status"],
)
def test_a_server_that_drips_is_cut_off_in_time(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, first: bytes
) -> None:
    monkeypatch.setenv("SCRAPING_TIMEOUT_SECONDS", "0.15")
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    site.answers["/a"] = [drip(first)]
    fetch, began = make(), time.monotonic()
    with pytest.raises(FetchError, match=r"/a: not whole after 0\.15 s"):
        fetch.get("/a", kind="html")
    assert 0.14 < time.monotonic() - began < 1.5
    assert stored(tmp_path) == []


def test_a_server_that_says_nothing_is_cut_off_in_time(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRAPING_TIMEOUT_SECONDS", "0.2")
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 2)
    site.answers["/a"] = [lambda connection, _: site.closed.wait(1)]
    fetch, began = make(), time.monotonic()
    with pytest.raises(FetchError, match="/a: "):
        fetch.get("/a", kind="html")
    assert 0.4 < time.monotonic() - began < 1.5


def test_a_connection_that_is_made_too_late_is_cut_at_once() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, Deadline(0.0) as until:
        while not until.passed:
            time.sleep(0.001)
        until.watch(ours)
        assert theirs.recv(1) == b""


def test_after_a_cut_the_next_document_comes(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRAPING_TIMEOUT_SECONDS", "0.3")
    site.answers["/a"] = [drip(b"HTTP/1.1 200 OK\r\n"), page()]
    assert make().get("/a", kind="html").body == PAGE


def bomb(megabytes: int) -> bytes:
    """Gzip that unpacks to so many megabytes: the same block over and over."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS + 16)
    first = packer.compress(bytes(1024**2)) + packer.flush(zlib.Z_FULL_FLUSH)
    block = packer.compress(bytes(1024**2)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + block * (megabytes - 1)


@pytest.mark.parametrize("layers", ["gzip", "gzip, gzip"])
def test_a_gzip_bomb_is_refused_without_being_unpacked(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch, layers: str, tmp_path: Path
) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 4 * 1024**2)
    body = bomb(1024)
    if layers != "gzip":
        body = gzip.compress(body, mtime=0)
    assert len(body) < 2 * 1024**2
    site.answers["/a"] = [page(body, Content_Encoding=layers)]
    fetch = make()
    tracemalloc.start()
    try:
        with pytest.raises(FetchError, match=r"/a: more than 4,194,304 bytes"):
            fetch.get("/a", kind="html")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 24 * 1024**2
    assert (site.times("/a"), stored(tmp_path)) == (1, [])


def test_the_body_of_a_redirect_is_bounded_too(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 4 * 1024**2)
    there = answer(302, bomb(64), Content_Encoding="gzip", Location="/b")
    site.answers |= {"/a": [there], "/b": [page()]}
    with pytest.raises(FetchError, match="/a: more than 4,194,304 bytes"):
        make().get("/a", kind="html")


@pytest.mark.parametrize("framed", [True, False])
def test_a_document_that_is_too_large_is_refused(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch, framed: bool
) -> None:
    monkeypatch.setattr(fetch_module, "MAX_BYTES", 100_000)
    exact = b"<html>" + b" " * (100_000 - 13) + b"</html>"
    site.answers |= {"/a": [answer(200, exact + b" ", framed)], "/b": [answer(200, exact, framed)]}
    fetch = make()
    with pytest.raises(FetchError, match="/a: more than 100,000 bytes"):
        fetch.get("/a", kind="html")
    assert fetch.get("/b", kind="html").body == exact
    assert site.times("/a") == 1


BLOCKS = {
    "captcha": b"<!DOCTYPE html><html><body>Please solve the CAPTCHA</body></html>",
    "comment first": b"<!-- x --><html><body>Please solve the captcha</body></html>",
    "denied": b"<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY>Reference #18</BODY></HTML>",
    "login": b'<html><body><form><input name=p type="password"></form></body></html>',
    "incapsula": b"<html><body>Request unsuccessful. Incapsula incident</body></html>",
    "cloudflare": b"\xef\xbb\xbf\r\n<!doctype html><html>Just a moment...</html>",
}


KINDS: tuple[Kind, ...] = ("html", "json", "csv", "xml", "text")


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (kind, name)
        for kind in KINDS
        for name in BLOCKS
        if name != "comment first" or kind not in ("xml", "text")  # it begins as these may
    ],
)
def test_a_page_that_blocks_us_is_no_document(
    site: Site, make: Make, tmp_path: Path, kind: Kind, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    site.answers["/a"] = [page(BLOCKS[name])]
    with pytest.raises(FetchError, match=f"expected {kind}, got "):
        make().get("/a", kind=kind)
    assert stored(tmp_path) == []


WRONG: list[tuple[Kind, bytes]] = [
    ("html", b'{"a": 1}'),
    ("html", b"plain text"),
    ("json", b"<?xml version='1.0'?><a/>"),
    ("json", b"error 17"),
    ("json", b'"text"'),
    ("xml", b"{}"),
    ("csv", b"<?xml version='1.0'?><Error/>"),
    *((kind, b"") for kind in KINDS),
    *((kind, b"\xef\xbb\xbf \r\n") for kind in KINDS),
]


@pytest.mark.parametrize(("kind", "body"), WRONG)
def test_a_document_of_another_kind_or_none_is_refused(
    site: Site, make: Make, kind: Kind, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 1)
    site.answers["/a"] = [page(body)]
    with pytest.raises(FetchError, match=f"expected {kind}, got "):
        make().get("/a", kind=kind)
    assert site.times("/a") == 1


def test_a_block_may_pass(site: Site, make: Make) -> None:
    site.answers["/a"] = [page(BLOCKS["captcha"]), page(b""), page(b"[]")]
    assert make().get("/a", kind="json").body == b"[]"


GOOD: list[tuple[Kind, bytes]] = [
    ("html", b"<div>a part of a page</div>"),
    ("html", b"<html><p>No captcha needed</p><table></table></html>"),
    ("html", b"<html>" + b"captcha " * 5000 + b"</html>"),
    ("json", b"\xef\xbb\xbf []"),
    ("json", b'{"a": "<html>"}'),
    ("csv", b"SYMBOL,NAME\nA,<b>\n"),
    ("text", b"a\tb\n"),
    ("xml", b"\xef\xbb\xbf<?xml version='1.0'?><html/>"),
]


@pytest.mark.parametrize(("kind", "body"), GOOD)
def test_a_document_of_its_kind_is_stored_byte_for_byte(
    site: Site, make: Make, kind: Kind, body: bytes
) -> None:
    site.answers["/a"] = [page(body)]
    assert make().get("/a", kind=kind).body == body


@pytest.mark.parametrize("name", ["inner-process_future-retail", "inner-process_not-assigned"])
def test_the_real_pages_of_ibbi_are_not_taken_for_a_block(
    site: Site, make: Make, shared: Path, name: str
) -> None:
    body = (shared / f"fixtures/ibbi/{name}.html").read_bytes()
    site.answers["/a"] = [answer(200, body, framed=False)]
    assert make().get("/a", kind="html").body == body


# Redirects.


def test_redirects_on_the_same_host_are_followed_and_the_asked_address_is_kept(
    site: Site, make: Make
) -> None:
    site.answers |= {
        "/a": [answer(301, Location="/b?x=1")],
        "/b?x=1": [answer(302, Location=f"{site.url}/c/d")],
        "/c/d": [answer(307, Location="e")],
        "/c/e": [page()],
    }
    snapshot = make().get("/a", kind="html")
    assert (snapshot.url, snapshot.body) == (f"{site.url}/a", PAGE)


def test_redirects_without_end_are_refused(site: Site, make: Make) -> None:
    site.answers |= {"/a": [answer(302, Location="/b")], "/b": [answer(302, Location="/a")]}
    with pytest.raises(FetchError, match="more than 5 redirects"):
        make().get("/a", kind="html")
    assert site.times("/a") + site.times("/b") == 6


@pytest.mark.parametrize(
    "target",
    [
        "https://evil.example/a",
        "//evil.example/a",
        "http://127.0.0.1.evil.example/a",
        "http://127.0.0.1:1/a",
        "http://127.0.0.1:99999/a",
        "http://[::1/a",
        "ftp://127.0.0.1/a",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "\\\\evil.example\\a",
    ],
)
def test_redirects_to_elsewhere_are_refused(
    site: Site, make: Make, tmp_path: Path, target: str
) -> None:
    site.answers["/a"] = [answer(302, Location=target)]
    with pytest.raises(FetchError, match=r"/a: redirects|answered 404|No connection adapters"):
        make().get("/a", kind="html")
    assert site.times("/a") == 1
    assert stored(tmp_path) == []


@pytest.mark.parametrize(
    ("here", "there", "allowed"),
    [
        ("https://ibbi.gov.in/a", "https://ibbi.gov.in:443/b", True),
        ("https://ibbi.gov.in/a", "https://IBBI.gov.in/b", True),
        ("https://ibbi.gov.in/a", "/en/b", True),
        ("http://ibbi.gov.in/a", "https://ibbi.gov.in/a", True),
        ("https://ibbi.gov.in/a", "http://ibbi.gov.in/a", False),
        ("https://ibbi.gov.in:8443/a", "http://ibbi.gov.in:8443/a", False),
        ("https://ibbi.gov.in/a", "https://ibbi.gov.in:8443/a", False),
        ("https://ibbi.gov.in/a", "https://ibbi.gov.in@evil.example/a", False),
        ("http://ibbi.gov.in:80/a", "https://evil.example/a", False),
    ],
)
def test_a_redirect_stays_on_its_host_and_in_its_encryption(
    here: str, there: str, allowed: bool
) -> None:
    if allowed:
        assert fetch_module._same_host(here, there).endswith(there[-2:])
    else:
        with pytest.raises(FetchError, match="redirects"):
            fetch_module._same_host(here, there)


# Addresses.


@pytest.mark.parametrize("name", ["NSE", "NSE_ARCHIVES", "IBBI"])
def test_a_public_address_is_fetched_from_where_its_host_is_pointed_at(
    site: Site, make: Make, name: str
) -> None:
    prefix = "" if name == "IBBI" else f"/{name.lower()}"
    site.answers[f"{prefix}/corporate/xbrl/a.xml"] = [page(b"<a/>")]
    public = host_named(name).base_url + "/corporate/xbrl/a.xml"
    snapshot = make("OGD").get(public, kind="xml")
    assert snapshot.url == f"{site.url}{prefix}/corporate/xbrl/a.xml"


def test_an_address_of_the_replica_itself_belongs_to_the_host_it_stands_for(site: Site) -> None:
    ibbi = host_named("IBBI")
    assert address(ibbi, f"{site.url}/nse_archives/x") == (
        host_named("NSE_ARCHIVES"),
        f"{site.url}/nse_archives/x",
    )
    assert address(ibbi, f"{site.url}/x")[0] == ibbi


def test_a_fragment_is_no_part_of_a_request(site: Site) -> None:
    assert address(host_named("IBBI"), "/a?b=1#c")[1] == f"{site.url}/a?b=1"


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//evil.example/a",
        "https://evil.example/a",
        "http://nsearchives.nseindia.com/a",
        "https://nsearchives.nseindia.com",
        "https://nsearchives.nseindia.com.evil.example/a",
        "http://nsearchives.nseindia.com@evil/",
        "https://nsearchives.nseindia.com@evil/",
        "https://nsearchives.nseindia.com:8443/a",
        "http://127.0.0.1.evil/",
        "http://127.0.0.1/",
        "file:///etc/passwd",
        "ftp://ibbi.gov.in/a",
        "javascript:alert(1)",
        "/../a",
        "/a/../../b",
        "/a/%2e%2e/b",
        "/a/..%2fb/../c",
        "/a/..%5cb",
        "https://ibbi.gov.in/a/../b",
        "/a\r\nX-Evil: 1",
        "/a\nb",
        "/a\tb",
        "/a\x00b",
        "/a\u2028b",
        "\\\\evil.example\\a",
        "/\\evil.example/a",
        " /a",
        "/a ",
        "https://ibbi.gov.in/a\r\nHost: evil.example",
    ],
)
def test_an_address_that_is_not_plain_or_of_no_known_host_is_never_asked_for(
    site: Site, make: Make, path: str
) -> None:
    fetch = make()
    with pytest.raises(FetchError, match=r"refused$"):
        fetch.get(path, kind="html")
    assert site.asked == []


def test_an_unknown_host_is_refused(make: Make) -> None:
    with pytest.raises(FetchError, match="unknown host 'EVIL'"):
        make().get("/a", host="EVIL", kind="html")


@pytest.mark.parametrize(
    "base",
    [
        "evil",
        "ftp://127.0.0.1",
        "file:///tmp",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999",
        "http://user:word@127.0.0.1",
        "http://127.0.0.1/?a=1",
        "http://127.0.0.1/#a",
        "http://127.0.0.1/a b\\c",
    ],
)
def test_a_base_address_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, base: str) -> None:
    monkeypatch.setenv("SCRAPING_BASE_URL_IBBI", base)
    with pytest.raises(InputError, match="SCRAPING_BASE_URL_IBBI: expected an address like"):
        Web()


def test_parameters_are_escaped(site: Site, make: Make) -> None:
    site.answers["/a?x=1&title=A+%26+B%23%0D%0A"] = [page()]
    make().get("/a?x=1", {"title": "A & B#\r\n"}, kind="html")
    assert site.asked[-1].path == "/a?x=1&title=A+%26+B%23%0D%0A"


# Secrets.

KEY = "k3y-Of/ours+123"
QUOTED_KEY = "k3y-Of%2Fours%2B123"


def refuse(connection: socket.socket, _: Asked) -> None:
    echo = f'<html>captcha: the key "{KEY}" ({QUOTED_KEY}) is not known</html>'
    connection.sendall(page(echo.encode()))


@pytest.mark.parametrize(
    "bad",
    [
        answer(500),
        answer(404),
        answer(429, Retry_After="9999"),
        answer(302, Location=f"https://evil.example/?api-key={QUOTED_KEY}"),
        answer(302, Location=f"ftp://127.0.0.1/?api-key={QUOTED_KEY}"),
        answer(302, Location=f"http://[/{KEY}"),
        b"",
        b"HTTP/1.1 200 OK\r\nbad header line\r\n\r\n",
        refuse,
        page(KEY.encode()),
    ],
)
def test_a_key_stands_in_no_error_and_no_log(
    site: Site,
    make: Make,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    bad: Answer,
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 2)
    url = f"/ogd/resource/1?api-key={QUOTED_KEY}&format=json"
    site.answers[url] = [bad]
    with caplog.at_level(logging.DEBUG), pytest.raises(FetchError) as caught:
        make("OGD").get("/resource/1", {"api-key": KEY, "format": "json"}, kind="json")
    assert site.times(url) >= 1  # the server was given it
    told = str(caught.value) + caplog.text
    assert "/ogd/resource/1?api-key=***" in told
    assert KEY not in told
    assert QUOTED_KEY not in told
    assert KEY[:8] not in told


def test_a_key_stands_in_no_error_where_nobody_answers(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch_module, "ATTEMPTS", 2)
    site.answers["/ogd/robots.txt"] = [answer(404)]
    fetch = make("OGD")
    with suppress(FetchError):
        fetch.get("/first", kind="json")  # for robots.txt
    site.close()
    with pytest.raises(FetchError, match=r"broken off") as caught:
        fetch.get("/resource/1", {"api-key": KEY}, kind="json")
    assert "***" in str(caught.value)
    assert KEY[:8] not in str(caught.value)


def test_a_key_is_not_stored_and_another_key_gets_the_same_document(
    site: Site, make: Make, tmp_path: Path
) -> None:
    site.answers[f"/ogd/r?api-key={QUOTED_KEY}&format=json"] = [
        page(b"{}", Location=f"/?api-key={QUOTED_KEY}", ETag='"1"')
    ]
    fetch = make("OGD")
    snapshot = fetch.get("/r", {"api-key": KEY, "format": "json"}, kind="json")
    assert snapshot.url == f"{site.url}/ogd/r?api-key=***&format=json"
    again = fetch.get("/r", {"api-key": "another", "format": "json"}, kind="json")
    assert again == snapshot
    for path in stored(tmp_path):
        content = gzip.decompress(path.read_bytes()).decode()
        assert "k3y" not in content + str(path)


# What is not asked for again.


def test_a_document_is_fetched_once_per_crawl(site: Site, make: Make) -> None:
    site.answers["/a"] = [page(), page(PAGE + b" ")]
    fetch = make()
    first = fetch.get("/a", kind="html", about={"page": "1"})
    assert fetch.get("/a", kind="html") == first
    assert first.about == {"page": "1"}
    assert (fetch.progress.documents, fetch.progress.reused) == (2, 1)
    fetch.crawl.finish(ok=True)
    second = make(now=NOW + timedelta(days=1)).get("/a", kind="html")
    assert second.body == PAGE + b" "
    assert site.times("/a") == 2


def test_a_document_that_never_changes_is_fetched_once_for_ever(site: Site, make: Make) -> None:
    site.answers["/a"] = [page(b"<a/>"), answer(403)]
    fetch = make()
    first = fetch.get("/a", kind="xml", once=True)
    assert first.about == {ONCE: "true"}
    fetch.crawl.finish(ok=True)
    later = make(now=NOW + timedelta(days=400))
    assert later.get("/a", kind="xml", once=True) == first
    assert site.times("/a") == 1
    assert later.progress.reused == 1


def test_a_crawl_that_was_killed_goes_on_with_what_it_has(site: Site, make: Make) -> None:
    site.answers |= {"/a": [page()], "/b": [page()]}
    make().get("/a", kind="html")
    resumed = make(now=NOW + timedelta(hours=2))
    resumed.get("/a", kind="html")
    resumed.get("/b", kind="html")
    assert (site.times("/a"), site.times("/b"), resumed.progress.reused) == (1, 1, 1)


def test_what_get_gives_is_what_the_store_holds(site: Site, make: Make) -> None:
    site.answers["/a"] = [page(PAGE, Content_Type="text/html; charset=utf-8", X_Other="1")]
    fetch = make()
    got = fetch.get("/a", kind="html", about={"cin": "L1"})
    kept = fetch.crawl.find(got.url, once=False)
    assert kept is not None
    assert read(kept) == got
    assert got.headers == {"Content-Type": "text/html; charset=utf-8"}
    assert (got.status, got.source) == (200, "made_up")
    assert abs(got.fetched_at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_failure_is_no_document_of_the_progress(site: Site, make: Make) -> None:
    fetch = make()
    with pytest.raises(FetchError):
        fetch.get("/missing", kind="html")
    assert fetch.progress.documents == 0


# What a crawl does with failures.


def fail(fetch: Fetch, times: int) -> None:
    for number in range(times):
        with fetch.tolerate(f"document {number}"):
            raise (FetchError if number % 2 else ParseError)("nothing")


def test_ten_failures_in_a_row_give_a_source_up(make: Make) -> None:
    fetch = make()
    with pytest.raises(GivenUpError, match="given up after 10 failures in a row: nothing"):
        fail(fetch, 100)
    assert len(fetch.failures) == IN_A_ROW == 10
    assert fetch.failures[3] == "document 3: nothing"


def test_a_success_between_failures_keeps_a_source_going(make: Make) -> None:
    fetch = make()
    for number in range(100):
        with fetch.tolerate(str(number)):
            if number % 10:
                raise FetchError("nothing")
    assert len(fetch.failures) == 90


def test_giving_up_is_not_tolerated_by_an_outer_tolerance(make: Make) -> None:
    fetch = make()
    with pytest.raises(GivenUpError), fetch.tolerate("a company"):
        fail(fetch, 100)
    assert len(fetch.failures) == IN_A_ROW


@pytest.mark.parametrize("error", [StoppedError("stop"), KeyError("x"), InputError("x")])
def test_what_is_no_failure_of_a_document_is_not_tolerated(make: Make, error: Exception) -> None:
    fetch = make()
    with pytest.raises(type(error)), fetch.tolerate("x"):
        raise error
    assert fetch.failures == []


def test_a_stopped_crawl_fetches_nothing_more(site: Site, make: Make) -> None:
    site.answers |= {"/a": [page()], "/b": [page()]}
    fetch = make()
    fetch.get("/a", kind="html")
    fetch.stop.set()
    with pytest.raises(StoppedError, match="made_up: stopped"):
        fetch.get("/b", kind="html")
    assert site.times("/b") == 0


def test_a_stop_ends_the_wait_for_a_busy_server(site: Site, make: Make) -> None:
    site.answers["/a"] = [answer(429, Retry_After="200")]
    fetch, began = make(), time.monotonic()
    stopper = threading.Timer(0.3, fetch.stop.set)
    stopper.start()
    with pytest.raises(StoppedError):
        fetch.get("/a", kind="html")
    stopper.join()
    assert time.monotonic() - began < 2
    assert site.times("/a") == 1


def test_each_says_how_far_a_crawl_is(make: Make) -> None:
    fetch = make()
    seen = [(item, fetch.progress.done) for item in fetch.each("abc", "letters")]
    assert seen == [("a", 0), ("b", 1), ("c", 2)]
    assert (fetch.progress.label, fetch.progress.done, fetch.progress.total) == ("letters", 3, 3)


# The machine around us.


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_replica_is_not_asked_through_a_proxy(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for unset in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(unset, raising=False)
    monkeypatch.setenv(name, "http://127.0.0.1:9")
    site.answers["/a"] = [page()]
    assert make().get("/a", kind="html").body == PAGE


def test_no_credentials_of_the_machine_are_sent_to_a_replica(
    site: Site, make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    site.answers["/a"] = [page()]
    make().get("/a", kind="html")
    assert all("Authorization" not in request.headers for request in site.asked)
