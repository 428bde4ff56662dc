"""One polite session for all hosts, and what a source's `crawl` is handed to fetch with."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
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
from requests.exceptions import InvalidSchema, InvalidURL
from urllib3.exceptions import HTTPError

from scraping.hosts import HOSTS, address, base_url, host_named, is_loopback
from scraping.parse import quoted
from scraping.snapshots import Crawl, read, redacted, secrets_of
from scraping.source import ONCE, FetchError, Host, Kind, ParseError, Snapshot, Source
from scraping.transport import Deadline, DeadlineAdapter

T = TypeVar("T")

AGENT = "insolvency-radar/0.1"
ATTEMPTS = 5
MAX_BYTES = 64 * 1024**2
MAX_REDIRECTS = 5
LONGEST_WAIT = 300.0
IN_A_ROW = 10
_CHUNK = 64 * 1024
_SMALL_PAGE = 30_000
_ROBOTS_BYTES = 512 * 1024  # as much as RFC 9309 asks to read
_PORTS = {"http": 80, "https": 443}
_PAGE = (b"<!doctype html", b"<html", b"<head", b"<body")
_STARTS: Mapping[Kind, tuple[bytes, ...]] = {
    "html": (b"<",),
    "xml": (b"<",),
    "json": (b"{", b"["),
}
_ENDS: Mapping[Kind, tuple[bytes, ...]] = {"xml": (b">",), "json": (b"}", b"]")}
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


class StoppedError(FetchError):
    """The run was interrupted."""


class GivenUpError(FetchError):
    """A source failed too often in a row."""


class _RedirectError(FetchError):
    """A redirect that is not followed."""


class _NoSecrets(logging.Filter):
    """Keeps the values of secret parameters out of what is logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redacted(record.getMessage()), ()
        return True


# They log the address of every request when debugging, and that of an odd answer always.
for _name in ("urllib3.connection", "urllib3.connectionpool"):
    logging.getLogger(_name).addFilter(_NoSecrets())


def user_agent() -> str:
    """Who we are, with `SCRAPING_CONTACT` (an address or page) for the sites' operators."""
    contact = os.environ.get("SCRAPING_CONTACT", "").strip()
    if not (contact.isprintable() and contact.isascii()):
        raise FetchError("SCRAPING_CONTACT: expected an e-mail address or URL, in ASCII, one line")
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


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Nowhere: redirects are followed by us.

        The base class would read all of a redirect's body here, whatever its size.
        """
        return None


class _Gate:
    """A host as this process uses it: one request at a time, spaced, with its cookies."""

    def __init__(self, host: Host) -> None:
        self.host, self.base = host, base_url(host)
        self.lock = threading.RLock()
        self.session = _Session()
        self.session.trust_env = not is_loopback(self.base)
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, DeadlineAdapter())
        self.session.headers.update({"User-Agent": user_agent(), **host.headers})
        self.robots: Protego | None = None
        self.warm = False
        self.seconds = 0.0 if is_loopback(self.base) else host.seconds
        self._limiter: Limiter | None = None

    def close(self) -> None:
        """Close the connections."""
        self.session.close()
        if self._limiter is not None:
            self._limiter.close()

    def obey(self, robots: Protego) -> None:
        """Keep to a site's rules; a delay it asks for is kept where it is longer than ours."""
        self.robots = robots
        asked = robots.crawl_delay(AGENT) or 0.0
        if asked > self.host.seconds and not is_loopback(self.base):
            self.seconds = min(asked, LONGEST_WAIT)
            self._limiter = None

    def require_allowed(self, url: str) -> None:
        """Refuse what robots.txt forbids; until that is there, it itself is asked for."""
        asked = self.host.base_url + url.removeprefix(self.base)
        if self.robots is not None and not self.robots.can_fetch(asked, AGENT):
            raise FetchError(f"{redacted(url)}: forbidden to us by the site's robots.txt")

    def wait(self) -> None:
        """Sleep until the host may be asked again."""
        if self.seconds and self._limiter is None:
            self._limiter = Limiter(Rate(1, max(int(self.seconds * 1000), 1)))
        if self._limiter is not None:
            self._limiter.try_acquire(self.host.name)


class Web:
    """All hosts. Safe to use from several threads: one request at a time per host."""

    def __init__(self) -> None:
        self._gates = {host.name: _Gate(host) for host in HOSTS}
        self._deadline = deadline()

    def close(self) -> None:
        """Close all connections."""
        for gate in self._gates.values():
            gate.close()

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def document(
        self, host: Host, url: str, kind: Kind, stop: threading.Event | None = None
    ) -> requests.Response:
        """A document that is whole and of its kind; `content` is decoded and bounded.

        Args:
            host: whose it is.
            url: its address.
            kind: what it must be.
            stop: when it is set, no more attempts are made.

        Raises:
            FetchError: it could not be had after retries, or robots.txt forbids it.
        """
        gate, stop = self._gates[host.name], stop or threading.Event()
        with gate.lock:
            if gate.robots is None:
                gate.obey(self._robots(gate, stop))
            return self._retried(gate, stop, lambda: self._attempt(gate, url, kind))

    def _retried(
        self, gate: _Gate, stop: threading.Event, attempt: Callable[[], requests.Response]
    ) -> requests.Response:
        start = 0.02 if is_loopback(gate.base) else 2.0
        backoff = tenacity.wait_combine(
            tenacity.wait_exponential(multiplier=start, max=60), tenacity.wait_random(0, start)
        )

        def pause(state: tenacity.RetryCallState) -> float:
            failure = state.outcome.exception() if state.outcome else None
            return max(backoff(state), failure.wait if isinstance(failure, PassingError) else 0.0)

        def unless_stopped() -> requests.Response:
            if stop.is_set():
                raise StoppedError(f"{gate.host.name}: stopped")
            return attempt()

        return tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(PassingError),
            stop=tenacity.stop_after_attempt(ATTEMPTS),
            wait=pause,
            sleep=tenacity.sleep_using_event(stop),
            reraise=True,
        )(unless_stopped)

    def _robots(self, gate: _Gate, stop: threading.Event) -> Protego:
        """The host's robots.txt; where it has none everything is allowed (RFC 9309).

        One that is elsewhere, or behind too many redirects, counts as none.
        """
        url = gate.base + "/robots.txt"

        def attempt() -> requests.Response:
            response = self._send(gate, url)
            if response.status_code >= 500 or response.status_code == 429:
                raise _refusal(url, response)
            return response

        try:
            response = self._retried(gate, stop, attempt)
        except _RedirectError:
            return Protego.parse("")
        rules = response.content[:_ROBOTS_BYTES] if response.status_code == 200 else b""
        return Protego.parse(rules.decode("utf-8-sig", "replace"))

    def _warm_up(self, gate: _Gate) -> None:
        """Fetch the page that sets the cookies, once per session."""
        if gate.host.warm_up and not gate.warm:
            self._send(gate, gate.base + gate.host.warm_up)
            gate.warm = True

    def _attempt(self, gate: _Gate, url: str, kind: Kind) -> requests.Response:
        gate.require_allowed(url)  # before a warm-up is fetched for nothing
        self._warm_up(gate)
        response = self._send(gate, url)
        _require_status(gate, url, response)
        _require_kind(url, response, kind)
        return response

    def _send(self, gate: _Gate, url: str) -> requests.Response:
        """One request, with redirects followed on the same host only."""
        for _ in range(MAX_REDIRECTS + 1):
            gate.require_allowed(url)
            gate.wait()
            response = self._bounded(gate, url)
            if not response.is_redirect:
                return response
            url = _same_host(url, response.headers["Location"])
        raise _RedirectError(f"{redacted(url)}: more than {MAX_REDIRECTS} redirects")

    def _bounded(self, gate: _Gate, url: str) -> requests.Response:
        """Request and body, within the deadline and the size limit."""
        timeout = min(30.0, self._deadline)
        broken: Exception | None = None
        with Deadline(self._deadline) as until:
            try:
                with gate.session.get(
                    url, stream=True, allow_redirects=False, timeout=timeout
                ) as response:
                    response._content = _body(url, response)
            except (InvalidURL, InvalidSchema) as error:
                raise FetchError(_said(url, _short(url, error))) from None
            except (requests.RequestException, HTTPError, OSError) as error:
                broken = error
        if until.passed:
            raise PassingError(_said(url, f"not whole after {self._deadline:g} s"))
        if broken is not None:
            raise PassingError(_said(url, f"broken off: {_short(url, _cause(broken))}"))
        return response


def _body(url: str, response: requests.Response) -> bytes:
    """The decoded body; reads no more of it than the limit."""
    body = bytearray()
    while chunk := response.raw.read1(_CHUNK, decode_content=True):
        body += chunk
        if len(body) > MAX_BYTES:
            raise FetchError(_said(url, f"more than {MAX_BYTES:,} bytes"))
    return bytes(body)


def _said(url: str, what: str) -> str:
    return f"{redacted(url)}: {what}"


def _short(url: str, text: object, length: int = 160) -> str:
    """What came from outside, short, printable, and without the secrets of the address."""
    told = redacted(str(text))
    for secret in secrets_of(url):
        told = told.replace(secret, "***")
    return quoted(told)[:length]


def _cause(error: Exception) -> object:
    """What is behind an error that says only that no more attempts are made."""
    return getattr(error.args[0] if error.args else error, "reason", None) or error


def _came(url: str, body: bytes) -> str:
    return _short(url, body[:400].decode("utf-8", "replace"), 80)


def _same_host(url: str, location: str) -> str:
    """Where a redirect leads.

    Raises:
        FetchError: to another host, or out of https.
    """
    try:
        target = urljoin(url, location)
        here, there = urlsplit(url), urlsplit(target)
        ports = [parts.port or _PORTS.get(parts.scheme) for parts in (here, there)]
    except ValueError:
        raise _RedirectError(_said(url, f"redirects to {_short(url, location)}")) from None
    if here.scheme == "https" and there.scheme != "https":
        raise _RedirectError(_said(url, f"redirects from https to {there.scheme}; refused"))
    upgraded = (here.scheme, there.scheme, *ports) == ("http", "https", 80, 443)
    if here.hostname != there.hostname or not (ports[0] == ports[1] or upgraded):
        raise _RedirectError(_said(url, f"redirects to another host, {there.netloc}; refused"))
    return target


def _asked_wait(response: requests.Response) -> float:
    """Seconds of a Retry-After header, in either of its forms."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        return max((parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds(), 0.0)
    except (TypeError, ValueError, OverflowError):
        return 0.0


def _refusal(url: str, response: requests.Response, why: str = "") -> FetchError:
    """The error for an answer after which another attempt may succeed, if it is not too far off."""
    where, wait = f"answered {response.status_code}{why}", _asked_wait(response)
    if wait > LONGEST_WAIT:
        return FetchError(_said(url, f"{where}, and asks to come back in {wait:.0f} s"))
    return PassingError(_said(url, where), wait)


def _require_status(gate: _Gate, url: str, response: requests.Response) -> None:
    status = response.status_code
    if status == 200:
        return
    if status in (401, 403):
        gate.warm = False  # the cookies may have run out: get new ones before trying again
        gate.session.cookies.clear()
        raise _refusal(url, response, ": the site refuses us; try later, or from another network")
    if status in (408, 425, 429) or status >= 500:
        raise _refusal(url, response)
    raise FetchError(_said(url, f"answered {status}"))


def _require_kind(url: str, response: requests.Response, kind: Kind) -> None:
    """Refuse what is no document of the kind, such as a captcha that answers 200."""
    body = response.content.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not body:
        raise PassingError(_said(url, f"expected {kind}, got nothing"))
    if _looks_blocked(body) if kind == "html" else body[:200].lower().startswith(_PAGE):
        came = f"a page that blocks us: {_came(url, body)}"
        raise PassingError(_said(url, f"expected {kind}, got {came}"))
    starts = _STARTS.get(kind)
    if (starts and not body.startswith(starts)) or (kind == "csv" and body.startswith(b"<")):
        raise PassingError(_said(url, f"expected {kind}, got {_came(url, body)}"))
    if not _is_framed(response) and not _ends_well(body, kind):
        raise PassingError(_said(url, f"the {kind} breaks off before its end"))


def _is_framed(response: requests.Response) -> bool:
    """Whether the answer said how long it is, so that a shorter one was noticed."""
    chunked = "chunked" in response.headers.get("Transfer-Encoding", "").lower()
    return chunked or "Content-Length" in response.headers


def _ends_well(body: bytes, kind: Kind) -> bool:
    tail = body[-2000:].rstrip(b" \t\r\n\0")
    if kind == "html":
        return b"</html" in tail.lower()
    return tail.endswith(_ENDS.get(kind, b""))


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
        first: no crawl of this source was complete yet: nothing of its past is known.
        failures: one line per document that was tolerated as failed.
    """

    source: Source
    web: Web
    crawl: Crawl
    wanted: list[dict[str, object]] = field(default_factory=list)
    since: date | None = None
    first: bool = False
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
        stored = self.crawl.find(url, once=once)
        if stored is not None:
            snapshot = read(stored)
            self.progress.documents += 1
            self.progress.reused += 1
            return snapshot
        response = self.web.document(known, url, kind, self.stop)
        self.progress.documents += 1
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
        except (StoppedError, GivenUpError):
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
