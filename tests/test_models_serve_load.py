"""The service under load: fifty clients on loopback, bad input among the good, for a minute.

`SERVE_LOAD_SECONDS` makes it shorter.
"""

from __future__ import annotations

import http.client
import itertools
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from test_models_serve import (
    BAD,
    Service,
    company,
    model,  # noqa: F401  a fixture
    send_until_answered,
    serving,
    statements,
    wait_for,
)
from test_warehouse_screener import MILLS, workbook

pytestmark = pytest.mark.slow

SECONDS = float(os.environ.get("SERVE_LOAD_SECONDS", "60"))
CLIENTS = 50
MAX_BYTES = 2_000_000
# Memory that may be more at the end than after a third of the time, all processes together.
GROWTH = 64 * 2**20
GIGABYTE = 10**9
EARLY = 200 * 10**6  # of a gigabyte, sent before its refusal came


@dataclass(frozen=True)
class Shot:
    """A request and the status that it must get, where there is room for it."""

    name: str
    status: int
    fire: Callable[[Service], int]


@dataclass
class Seen:
    """What came of all requests."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, shot: Shot, status: int) -> None:
        """One answer."""
        with self.lock:
            self.statuses[shot.name, status] += 1
            if status not in {shot.status, 503}:
                self.faults.append(f"{shot.name}: {status} instead of {shot.status}")

    def broke(self, shot: Shot, error: Exception) -> None:
        """No answer."""
        with self.lock:
            self.faults.append(f"{shot.name}: {error!r}")


@dataclass(frozen=True)
class Usage:
    """What the service and its workers hold at a moment."""

    memory: int
    files: int
    threads: int


def usage(service: Service) -> Usage:
    memory = files = threads = 0
    for pid in service.processes():
        place = Path(f"/proc/{pid}")
        try:
            status = (place / "status").read_text()
            files += len(list((place / "fd").iterdir()))
        except (FileNotFoundError, ProcessLookupError):
            continue  # replaced at this moment
        found = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        memory += int(found.get("VmRSS", "0 kB").split()[0]) * 1024
        threads += int(found["Threads"])
    return Usage(memory, files, threads)


def gigabyte(service: Service) -> int:
    """Send a body without end; how much of it went is part of the test."""
    sent, answer = send_until_answered(service, GIGABYTE)
    status = int(answer.split()[1])
    assert status == 503 or sent < EARLY, f"{sent:,} bytes were taken before the refusal"
    return status


def declared_gigabyte(service: Service) -> int:
    """A head that announces a gigabyte, and none of it."""
    connection = service.connect()
    try:
        connection.putrequest("POST", "/score")
        connection.putheader("Content-Length", str(GIGABYTE))
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def posted(body: bytes) -> Callable[[Service], int]:
    return lambda service: service.post(body).status


def shots(folder: Path) -> tuple[Shot, ...]:
    """A round of requests: two good ones to each bad one."""
    good = [Shot(f"good {n}", 200, posted(statements(*company(n)))) for n in range(20)]
    book = workbook(folder / "m.xlsx", MILLS).read_bytes()
    bad = [
        Shot("gigabyte", 413, gigabyte),
        Shot("declared gigabyte", 413, declared_gigabyte),
        Shot("nowhere", 404, lambda service: service.ask("GET", "/nowhere").status),
        Shot("other method", 405, lambda service: service.ask("PUT", "/score", b"x").status),
        Shot("health", 200, lambda service: service.ask("GET", "/health").status),
        Shot("workbook", 200, posted(book)),
        Shot("formulas in a workbook", 422, posted(formulas(folder))),
        *(Shot(bad.name, bad.status, posted(bad.body())) for bad in BAD),
    ]
    mixed: list[Shot] = []
    for place, shot in enumerate(bad):
        mixed += [good[2 * place % len(good)], shot, good[(2 * place + 1) % len(good)]]
    return tuple(mixed)


def formulas(folder: Path) -> bytes:
    """A workbook whose figures are formulas that nobody has computed."""
    asked = {name: ["=1/0" for _ in values] for name, values in MILLS.items()}
    return workbook(folder / "f.xlsx", asked).read_bytes()


def shoot(service: Service, rounds: Iterator[Shot], seen: Seen, end: float) -> None:
    """One client: a request after the other."""
    while time.monotonic() < end:
        shot = next(rounds)
        try:
            status = shot.fire(service)
        except (OSError, http.client.HTTPException, AssertionError) as error:
            seen.broke(shot, error)
            continue
        seen.note(shot, status)
        if status == 503:
            time.sleep(0.5)


def watch(service: Service, end: float) -> list[Usage]:
    found = []
    while time.monotonic() < end:
        found.append(usage(service))
        time.sleep(0.25)
    return found


def test_fifty_clients_for_a_minute(
    model: Path,  # noqa: F811
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    options = ("--workers", 2, "--queue", 32, "--max-bytes", MAX_BYTES)
    with serving(model, tmp_path / "a", *options) as service:
        round_ = shots(tmp_path)
        for shot in round_:  # each once, alone: no 503 hides what it gets
            assert shot.fire(service) == shot.status, shot.name
        time.sleep(0.5)
        before, seen = usage(service), Seen()
        end = time.monotonic() + SECONDS
        with ThreadPoolExecutor(CLIENTS + 1) as clients:
            watching = clients.submit(watch, service, end)
            for number in range(CLIENTS):
                first = 7 * number % len(round_)  # each client begins elsewhere
                rounds = itertools.cycle(round_[first:] + round_[:first])
                clients.submit(shoot, service, rounds, seen, end)
        idle = calm(service, before)
        with capsys.disabled():
            print(summary(seen, before, watching.result(), idle))
        assert seen.faults == []
        assert service.process.poll() is None
        assert service.files() == []
        assert sum(n for (name, s), n in seen.statuses.items() if name[:4] == "good" and s == 200)
        assert {name for name, _ in seen.statuses} >= {shot.name for shot in round_}
        assert (idle.files, idle.threads) <= (before.files, before.threads + 2)
        middle, last = thirds(watching.result())
        assert last <= middle + GROWTH
        assert "Traceback" not in (tmp_path / "a" / "said").read_text()


def calm(service: Service, before: Usage) -> Usage:
    """Usage once connections that were kept open have been closed."""
    wait_for(lambda: usage(service).files <= before.files, 30)
    return usage(service)


def thirds(found: list[Usage]) -> tuple[int, int]:
    """The most memory held around the end of the first third, and in the last tenth."""
    memory = [each.memory for each in found]
    count = len(memory)
    return max(memory[count // 5 : count // 3 + 1]), max(memory[-(count // 10 + 1) :])


def summary(seen: Seen, before: Usage, during: list[Usage], idle: Usage) -> str:
    statuses: Counter[int] = Counter()
    for (_, status), count in seen.statuses.items():
        statuses[status] += count
    middle, last = thirds(during)
    return (
        f"\n{sum(statuses.values())} requests in {SECONDS:g} s: {dict(sorted(statuses.items()))};"
        f" MB before {before.memory >> 20}, after a third {middle >> 20}, at the end {last >> 20};"
        f" files {before.files} and {idle.files}, threads {before.threads} and {idle.threads}"
    )
