"""One polite session for all hosts, and what a source's `crawl` is handed to fetch with."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

import requests
import tenacity
from protego import Protego
from pyrate_limiter import Limiter, Rate
from urllib3.exceptions import HTTPError

from scraping.hosts import HOSTS, address, base_url, host_named, is_loopback
from scraping.parse import quoted
from scraping.snapshots import Crawl, read, redacted
from scraping.source import ONCE, FetchError, Host, Kind, ParseError, Snapshot, Source

T = TypeVar("T")

AGENT = "insolvency-radar/0.1"
ATTEMPTS = 5
MAX_BYTES = 64 * 1024**2
MAX_REDIRECTS = 5
LONGEST_WAIT = 300.0
IN_A_ROW = 10
_CHUNK = 64 * 1024
_SMALL_PAGE = 30_000
_BLOCKED = (
    "captcha",
    "access denied",
    "are you a robot",
    "are you human",
    "unusual traffic",
    "just a moment",
    "request unsuccessful",
    "pardon our interruption",
    'type="password"',
    "type='password'",
)


class PassingError(FetchError):
    """A failure that may pass: `wait` is what the host asked for, in seconds."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message)
        self.wait = wait


def user_agent() -> str:
    """Who we are, with `SCRAPING_CONTACT` (an address or page) for the sites' operators."""
    contact = os.environ.get("SCRAPING_CONTACT", "").strip()
    if not contact.isprintable():
        raise FetchError("SCRAPING_CONTACT: expected an e-mail address or URL on one line")
    return f"{AGENT} (+{contact})" if contact else AGENT


def deadline() -> float:
    """Seconds that one document may take: `SCRAPING_TIMEOUT_SECONDS`, else 60."""
    text = os.environ.get("SCRAPING_TIMEOUT_SECONDS") or "60"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 3600:
        raise FetchError(f"SCRAPING_TIMEOUT_SECONDS: expected 1 to 3600, got {text!r}")
    return seconds


class _Gate:
    """A host as this process uses it: one request at a time, spaced, with its cookies."""

    def __init__(self, host: Host) -> None:
        self.host, self.base = host, base_url(host)
        self.lock = threading.RLock()
        self.session = requests.Session()
        self.session.trust_env = not is_loopback(self.base)
        self.session.headers.update({"User-Agent": user_agent(), **host.headers})
        self.robots: Protego | None = None
        self.warm = False
        self.limiter = self._limiter(0.0 if is_loopback(self.base) else host.seconds)

    def _limiter(self, seconds: float) -> Limiter | None:
        return Limiter(Rate(1, int(seconds * 1000))) if seconds else None

    def obey(self, robots: Protego) -> None:
        """Keep to a site's rules; a delay it asks for is kept where it is longer than ours."""
        self.robots = robots
        asked = robots.crawl_delay(AGENT) or 0.0
        if asked > self.host.seconds and not is_loopback(self.base):
            self.limiter = self._limiter(min(asked, LONGEST_WAIT))

    def wait(self) -> None:
        """Sleep until the host may be asked again."""
        if self.limiter is not None:
            self.limiter.try_acquire(self.host.name)


class Web:
    """All hosts. Safe to use from several threads: one request at a time per host."""

    def __init__(self) -> None:
        self._gates = {host.name: _Gate(host) for host in HOSTS}
        self._deadline = deadline()

    def close(self) -> None:
        """Close all connections."""
        for gate in self._gates.values():
            gate.session.close()

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def document(self, host: Host, url: str, kind: Kind) -> requests.Response:
        """A document that is whole and of its kind; `content` is decoded and bounded.

        Raises:
            FetchError: it could not be had after retries, or robots.txt forbids it.
        """
        gate = self._gates[host.name]
        with gate.lock:
            self._require_allowed(gate, url)
            return self._retried(gate, lambda: self._attempt(gate, url, kind))

    def _retried(self, gate: _Gate, attempt: Callable[[], requests.Response]) -> requests.Response:
        start = 0.02 if is_loopback(gate.base) else 2.0
        backoff = tenacity.wait_exponential_jitter(initial=start, max=60, jitter=start)

        def pause(state: tenacity.RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            return max(backoff(state), failure.wait if isinstance(failure, PassingError) else 0.0)

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=pause,
            reraise=True,
        )(attempt)

    def _require_allowed(self, gate: _Gate, url: str) -> None:
        if gate.robots is None:
            gate.obey(self._retried_robots(gate))
        if gate.robots is not None and not gate.robots.can_fetch(url, AGENT):
            raise FetchError(f"{redacted(url)}: forbidden to us by the site's robots.txt")

    def _retried_robots(self, gate: _Gate) -> Protego:
        """The host's robots.txt; where it has none everything is allowed (RFC 9309)."""
        url = gate.base + "/robots.txt"

        def attempt() -> requests.Response:
            response = self._send(gate, url)
            if response.status_code >= 500 or response.status_code == 429:
                raise PassingError(f"{url}: answered {response.status_code}", _asked_wait(response))
            return response

        response = self._retried(gate, attempt)
        return Protego.parse(response.text if response.status_code == 200 else "")

    def _warm_up(self, gate: _Gate) -> None:
        """Fetch the page that sets the cookies, once per session."""
        if gate.host.warm_up and not gate.warm:
            self._send(gate, gate.base + gate.host.warm_up)
            gate.warm = True

    def _attempt(self, gate: _Gate, url: str, kind: Kind) -> requests.Response:
        self._warm_up(gate)
        response = self._send(gate, url)
        _require_status(gate, url, response)
        _require_kind(url, response, kind)
        return response

    def _send(self, gate: _Gate, url: str) -> requests.Response:
        """One request, with redirects followed on the same host only."""
        for _ in range(MAX_REDIRECTS + 1):
            gate.wait()
            response = self._bounded(gate, url)
            if not response.is_redirect:
                return response
            url = _same_host(url, urljoin(url, response.headers["Location"]))
        raise FetchError(f"{redacted(url)}: more than {MAX_REDIRECTS} redirects")

    def _bounded(self, gate: _Gate, url: str) -> requests.Response:
        """Request and body, within the deadline and the size limit."""
        began = time.monotonic()
        try:
            with gate.session.get(
                url, stream=True, allow_redirects=False, timeout=min(30.0, self._deadline)
            ) as response:
                body = bytearray()
                while chunk := response.raw.read1(_CHUNK, decode_content=True):
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise FetchError(f"{redacted(url)}: more than {MAX_BYTES:,} bytes")
                    if time.monotonic() - began > self._deadline:
                        raise PassingError(f"{redacted(url)}: not whole after {self._deadline:g} s")
                response._content = bytes(body)
                return response
        except (requests.ConnectionError, requests.Timeout, HTTPError, OSError) as error:
            raise PassingError(f"{redacted(url)}: broken off: {_short(error)}") from None
        except requests.RequestException as error:
            raise FetchError(f"{redacted(url)}: {_short(error)}") from None


def _short(error: Exception) -> str:
    return quoted(str(error))[:160]


def _same_host(url: str, target: str) -> str:
    here, there = urlsplit(url), urlsplit(target)
    if (here.hostname, here.port) != (there.hostname, there.port):
        raise FetchError(f"{redacted(url)}: redirects to another host, {there.hostname}; refused")
    if here.scheme == "https" and there.scheme != "https":
        raise FetchError(f"{redacted(url)}: redirects from https to {there.scheme}; refused")
    return target


def _asked_wait(response: requests.Response) -> float:
    """Seconds of a Retry-After header, in either of its forms."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdigit():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError):
        return 0.0


def _require_status(gate: _Gate, url: str, response: requests.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    where = f"{redacted(url)}: answered {status}"
    wait = _asked_wait(response)
    if wait > LONGEST_WAIT:
        raise FetchError(f"{where} and asks to come back in {wait:.0f} s")
    if status in (401, 403):
        gate.warm = False  # the cookies may have run out: get new ones before trying again
        gate.session.cookies.clear()
        raise PassingError(
            f"{where}: the site refuses us; try later, or from another network", wait
        )
    if status in (408, 425, 429) or status >= 500:
        raise PassingError(where, wait)
    raise FetchError(where)


def _require_kind(url: str, response: requests.Response, kind: Kind) -> None:
    """Refuse what is no document of the kind, such as a captcha that answers 200."""
    body = response.content.lstrip(b"\xef\xbb\xbf \t\r\n")
    head = body[:200].lower()
    is_page = head.startswith((b"<!doctype html", b"<html", b"<head", b"<body"))
    starts = {"json": (b"{", b"["), "xml": (b"<",), "html": (b"<",)}.get(kind)
    came = quoted(body[:80])
    if not body:
        raise PassingError(f"{redacted(url)}: expected {kind}, got nothing")
    if is_page and (kind != "html" or _looks_blocked(body)):
        raise PassingError(f"{redacted(url)}: expected {kind}, got a page that blocks us: {came}")
    if starts and not body.startswith(starts):
        raise PassingError(f"{redacted(url)}: expected {kind}, got {came}")
    framed = "Content-Length" in response.headers or "Transfer-Encoding" in response.headers
    if kind == "html" and not framed and b"</html" not in body[-2000:].lower():
        raise PassingError(f"{redacted(url)}: the page breaks off before its end")


def _looks_blocked(body: bytes) -> bool:
    text = body.decode("utf-8", "replace").lower()
    return len(body) < _SMALL_PAGE and "<table" not in text and any(m in text for m in _BLOCKED)


@dataclass
class Progress:
    """How far a source's crawl is; read by the display, written by the crawl's thread."""

    label: str = "waiting"
    done: int = 0
    total: int | None = None
    documents: int = 0
    reused: int = 0


@dataclass
class Fetch:
    """What a `crawl` fetches with.

    Attributes:
        wanted: rows of the source's query `wants`.
        since: earliest date that is of interest, or None for the source's own choice.
        failures: one line per document that was tolerated as failed.
    """

    source: Source
    web: Web
    crawl: Crawl
    wanted: list[dict[str, object]] = field(default_factory=list)
    since: date | None = None
    progress: Progress = field(default_factory=Progress)
    failures: list[str] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)
    _row: int = 0

    def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        host: str | None = None,
        kind: Kind,
        about: Mapping[str, str] | None = None,
        once: bool = False,
    ) -> Snapshot:
        """A document, from the store if this crawl has it, else from the web into the store.

        Args:
            path: below the host's base address, or an absolute address of a known host.
            params: query of the address.
            host: name of the host, if not the source's own.
            kind: what the document must be.
            about: what is asked for, for `parse`; kept with the document.
            once: it never changes: fetched once for ever.

        Raises:
            FetchError: not to be had; the crawl was stopped.
        """
        if self.stop.is_set():
            raise StoppedError(f"{self.source.name}: stopped")
        known, url = address(host_named(host or self.source.host), path)
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params)
        self.progress.documents += 1
        stored = self.crawl.find(url, once=once)
        if stored is not None:
            self.progress.reused += 1
            return read(stored)
        response = self.web.document(known, url, kind)
        body = response.content
        return self.crawl.save(
            Snapshot(
                source=self.source.name,
                url=redacted(url),
                fetched_at=datetime.now(UTC),
                status=response.status_code,
                headers=dict(response.headers),
                sha256=hashlib.sha256(body).hexdigest(),
                about={**(about or {}), **({ONCE: "true"} if once else {})},
                body=body,
            )
        )

    def each(self, items: Iterable[T], label: str) -> Iterator[T]:
        """Go through `items` and show how far it is."""
        listed = list(items)
        self.progress.label, self.progress.total, self.progress.done = label, len(listed), 0
        for item in listed:
            yield item
            self.progress.done += 1

    @contextmanager
    def tolerate(self, what: str) -> Iterator[None]:
        """Let one document fail and go on; ten in a row give the source up.

        Raises:
            FetchError: too many failures in a row.
        """
        try:
            yield
        except StoppedError:
            raise
        except (FetchError, ParseError) as error:
            self.failures.append(f"{what}: {error}")
            self._row += 1
            if self._row >= IN_A_ROW:
                raise GivenUpError(
                    f"given up after {IN_A_ROW} failures in a row: {error}"
                ) from None
        else:
            self._row = 0


class StoppedError(FetchError):
    """The run was interrupted."""


class GivenUpError(FetchError):
    """A source failed too often in a row."""
