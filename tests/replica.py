"""A replica of the scraped sites: one local server with made-up companies, for tests and by hand.

    python tests/replica.py --companies 60 --port 8765

prints the settings that point the scrapers at it. Nothing that it serves is real. It misbehaves on
demand: `Replica.arm`, or `/_control/arm?fault=reset&match=/ibbi/&times=2` from another process.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from replica_base import JSON, Ask, Reply, Sites, as_json, refused
from replica_faults import FAULTS, FOREVER, Fault, fault_named
from replica_pages import SITES, answer
from replica_world import World

CONTROL: Final = "_control"


@dataclass(frozen=True)
class Asked:
    """A request that came: when (seconds of the clock), for what, and how it was answered."""

    at: float
    site: str
    path: str
    headers: dict[str, str]
    status: int
    fault: str


@dataclass
class Armed:
    """A fault that waits for requests; `left` is how often it still strikes, None for ever."""

    fault: Fault
    match: str
    left: int | None
    skip: int

    def fits(self, target: str) -> bool:
        """Whether the request is meant: robots.txt and home pages only by a match of the whole."""
        if self.left == 0:
            return False
        aside = target.endswith("/robots.txt") or target.strip("/").count("/") == 0
        if aside and self.fault.name != "robots_disallow":
            return re.fullmatch(self.match, target) is not None
        return re.search(self.match, target) is not None

    def strikes(self) -> bool:
        """Count a request that fits; false for those that are to be let through first."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.left is not None:
            self.left -= 1
        return True


class _Server(ThreadingHTTPServer):
    """A server whose threads all end when it is closed, even if clients keep connections open."""

    daemon_threads = False
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port: int, replica: Replica) -> None:
        self.replica = replica
        self.stopping = threading.Event()
        self.failures: list[BaseException] = []
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._guard:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._guard:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        error = sys.exc_info()[1]
        if error is not None and not isinstance(error, OSError):
            self.failures.append(error)

    def stop(self) -> None:
        """End all connections and threads."""
        self.stopping.set()
        self.shutdown()
        with self._guard:
            for connection in self._open:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "replica"
    sys_version = ""
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: requests are kept in `Replica.requests`."""

    def do_GET(self) -> None:
        """Answer as the site, or as the control."""
        parts = urlsplit(self.path)
        site, _, rest = parts.path.lstrip("/").partition("/")
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        ask = Ask(site, f"/{unquote(rest)}", query, dict(self.headers.items()))
        if site == CONTROL:
            self.send(self.server.replica.control(ask))
        else:
            self.server.replica.serve(ask, self)

    def send(self, reply: Reply) -> None:
        """Send a whole answer, packed where that is asked for."""
        body, extra = reply.body, []
        if len(body) > 2000 and "gzip" in self.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body, 1, mtime=0)
            extra.append(("Content-Encoding", "gzip"))
        self._head(reply, [*extra, ("Content-Length", str(len(body)))])
        self.wfile.write(body)
        self.wfile.flush()

    def head(self, reply: Reply, *extra: tuple[str, str]) -> None:
        """Send status and headers of a body that a fault will write; then the connection ends."""
        self._head(reply, [*extra, ("Connection", "close")])
        self.close_connection = True
        self.wfile.flush()

    def _head(self, reply: Reply, extra: list[tuple[str, str]]) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.kind)
        self.send_header("X-Replica", "made-up companies")
        for name, value in (*reply.headers, *extra):
            self.send_header(name, value)
        self.end_headers()

    def write(self, data: bytes) -> None:
        """Send bytes at once."""
        self.wfile.write(data)
        self.wfile.flush()

    def stopping(self) -> bool:
        """Whether the replica is being shut down."""
        return self.server.stopping.is_set()


class Replica:
    """A running replica.

    Attributes:
        world: what it tells of; change it under `grow` and `rename` only.
        requests: all requests that came, in order; those to the control are left out.
    """

    def __init__(self, world: World, port: int = 0, page_kilobytes: int = 110) -> None:
        self.world = world
        self.requests: list[Asked] = []
        self._armed: list[Armed] = []
        self._lock = threading.RLock()
        self._server = _Server(port, self)
        self.root = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._sites = Sites(world, self.root, page_kilobytes)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def env(self) -> dict[str, str]:
        """The settings that point the scrapers here."""
        return {f"SCRAPING_BASE_URL_{name}": f"{self.root}/{path}" for name, path in SITES.items()}

    def url(self, host: str, path: str = "/") -> str:
        """Address of a path on a host named as in the settings."""
        return f"{self.root}/{SITES[host]}{path}"

    def arm(self, fault: str, match: str = "", times: int | None = None, skip: int = 0) -> None:
        """Let a fault strike.

        Args:
            fault: a name of `FAULTS`.
            match: regular expression searched in "/site/path?query"; robots.txt and home pages are
                struck only where it matches all of that.
            times: how often; 0 is for ever. By default what the fault says.
            skip: requests that fit and are let through first.

        Raises:
            ValueError: there is no such fault.
        """
        known = fault_named(fault)
        count = known.times if times is None else times
        with self._lock:
            if known.world:
                known.world(self.world)
            else:
                left = None if count == FOREVER else count
                self._armed.append(Armed(known, match, left, skip))

    def disarm(self) -> None:
        """Call all faults off."""
        with self._lock:
            self._armed.clear()

    def grow(self) -> None:
        """Let time pass: see `World.grow`."""
        with self._lock:
            self.world.grow()

    def serve(self, ask: Ask, handler: _Handler) -> None:
        """Answer a request to a site, with the fault that is armed for it."""
        target = handler.path
        with self._lock:
            fault, reply = self._reply(ask, target)
            name = fault.name if fault else ""
            asked = Asked(time.time(), ask.site, target, dict(ask.headers), reply.status, name)
            self.requests.append(asked)
        if fault and fault.wire:
            handler.close_connection = True
            fault.wire(handler, reply)
        else:
            handler.send(reply)

    def _reply(self, ask: Ask, target: str) -> tuple[Fault | None, Reply]:
        if ask.site not in SITES.values():
            return None, refused(404, "no such site in the replica")
        for armed in self._armed:
            if not armed.fits(target):
                continue
            instead = armed.fault.instead(ask) if armed.fault.instead else None
            if armed.fault.instead and instead is None:
                continue
            if armed.strikes():
                return armed.fault, instead or self._changed(ask, armed.fault)
        return None, answer(self._sites, ask)

    def _changed(self, ask: Ask, fault: Fault) -> Reply:
        reply = answer(self._sites, replace(ask, stuck=fault.stuck))
        return fault.change(reply) if fault.change else reply

    def control(self, ask: Ask) -> Reply:
        """`/_control/…`: arm, disarm, faults, requests, grow."""
        query = ask.query
        if ask.path == "/arm":
            try:
                times = int(query["times"]) if "times" in query else None
                skip = int(query.get("skip", "0"))
                self.arm(query.get("fault", ""), query.get("match", ""), times, skip)
            except ValueError as error:
                return Reply(json.dumps({"error": str(error)}).encode(), JSON, 400)
        elif ask.path == "/disarm":
            self.disarm()
        elif ask.path == "/grow":
            self.grow()
        elif ask.path == "/faults":
            return as_json({fault.name: fault.description for fault in FAULTS})
        elif ask.path == "/requests":
            with self._lock:
                return as_json([asdict(asked) for asked in self.requests])
        else:
            return refused(404, "arm, disarm, grow, faults or requests")
        return as_json({"ok": True})

    def stop(self) -> None:
        """End the server, its threads and connections.

        Raises:
            Exception: one that a request met inside the replica: a fault of the replica itself.
        """
        self._server.stop()
        self._thread.join()
        for failure in self._server.failures:
            raise failure


@contextmanager
def replica(
    companies: int = 60, seed: int = 0, others: int = 30, port: int = 0, page_kilobytes: int = 110
) -> Iterator[Replica]:
    """A replica of all sites, running until the block is left."""
    running = Replica(World(companies, seed, others), port, page_kilobytes)
    try:
        yield running
    finally:
        running.stop()


def main() -> None:
    """Run the replica until it is interrupted or terminated."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--companies", type=int, default=60, help="listed companies with accounts")
    parser.add_argument("--others", type=int, default=30, help="further securities on the lists")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    chosen = parser.parse_args()
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background jobs ignore the first
        signal.signal(number, lambda *_: over.set())
    sys.path.append(str(Path(__file__).resolve().parents[1]))  # for the demo universe
    try:
        running = Replica(World(chosen.companies, chosen.seed, chosen.others), chosen.port)
    except (OSError, ValueError) as error:
        parser.error(f"cannot start on port {chosen.port}: {error}")
    try:
        for name, url in running.env.items():
            print(f"export {name}={url}")
        print(f"# made-up companies; faults: {running.root}/{CONTROL}/faults", flush=True)
        over.wait()
    finally:
        running.stop()


if __name__ == "__main__":
    main()
