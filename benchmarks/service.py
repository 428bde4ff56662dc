"""Requests a second and latency of `python -m models.serve` for good files, on this machine.

    python benchmarks/service.py [--model DIR] [--file FILE] [--seconds 20] [--clients 1 2 4 16]
                                 [--workers 1 2]

For each number of worker processes a service is started on a loopback port; for each number of
clients, each client sends the file again as soon as it has its answer. Printed are requests a
second and percentiles of the time from a request to the last byte of its answer. Clients and
service share the cores. Threads instead of processes are measured beside them (`--threads`): the
same function called by as many threads in one process, without HTTP.
"""

from __future__ import annotations

import argparse
import http.client
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO))


@contextmanager
def service(model: Path | None, workers: int) -> Iterator[int]:
    """A running service; its port."""
    told = [] if model is None else ["--model", str(model)]
    with tempfile.TemporaryFile("w+") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "models.serve", "--port", "0", "--workers", str(workers),
             "--queue", "1000", *told],
            cwd=REPO, stdout=subprocess.DEVNULL, stderr=said,
        )  # fmt: skip
        try:
            yield port_of(said, process)
        finally:
            process.terminate()
            process.wait(60)


def port_of(said: object, process: subprocess.Popen[bytes]) -> int:
    while process.poll() is None:
        said.seek(0)
        found = re.search(r" on http://[^ ]*:(\d+):", text := said.read())
        if found:
            return int(found[1])
        time.sleep(0.05)
    sys.exit(text)


def client(port: int, body: bytes, end: float) -> list[float]:
    """Seconds of each request on one connection."""
    took = []
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=300)) as connection:
        while time.perf_counter() < end:
            began = time.perf_counter()
            connection.request("POST", "/score", body)
            reply = connection.getresponse()
            reply.read()
            if reply.status != 200:
                sys.exit(f"status {reply.status}")
            took.append(time.perf_counter() - began)
    return took


def by_threads(model: Path | None, file: Path) -> Callable[[int, float], list[float]]:
    """The worker's own function, called by threads of this process."""
    from models import artifact
    from models.score import newest_model
    from models.service_pool import Question
    from models.service_worker import Desk, answer
    from warehouse import store

    folder = model or newest_model()
    loaded, others = artifact.load(folder), artifact.load_others(folder)

    def one(end: float) -> list[float]:
        took = []
        with store.in_memory() as warehouse:
            desk = Desk(loaded, others, warehouse)
            while time.perf_counter() < end:
                began = time.perf_counter()
                if answer(Question(str(file)), desk).status != 200:
                    sys.exit(f"{file}: not scored")
                took.append(time.perf_counter() - began)
        return took

    return lambda clients, seconds: together(clients, seconds, one)


def together(clients: int, seconds: float, one: Callable[[float], list[float]]) -> list[float]:
    end = time.perf_counter() + seconds
    with ThreadPoolExecutor(clients) as pool:
        found = pool.map(one, [end] * clients)
        return [each for took in found for each in took]


def row(what: str, clients: int, took: list[float], seconds: float) -> str:
    p50, p90, p99 = np.percentile(took, [50, 90, 99]) * 1000
    rate = len(took) / seconds
    return f"| {what} | {clients} | {rate:.1f} | {p50:.0f} | {p90:.0f} | {p99:.0f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path)
    parser.add_argument("--file", type=Path, default=REPO / "docs/example_statements.csv")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 2, 4, 16])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--threads", type=int, nargs="*", default=[1, 2])
    args = parser.parse_args()
    model = args.model.resolve() if args.model else None
    body = args.file.read_bytes()
    print(f"{platform.machine()}, {os.cpu_count()} cores; {args.file.name}, {len(body):,} bytes")
    print("| what | clients | requests/s | median ms | 90 % | 99 % |")
    print("|---|---:|---:|---:|---:|---:|")
    for workers in args.workers:
        with service(model, workers) as port:
            client(port, body, time.perf_counter() + 2)
            for clients in args.clients:
                took = together(clients, args.seconds, lambda end: client(port, body, end))
                print(row(f"{workers} processes", clients, took, args.seconds), flush=True)
    if args.threads:
        call = by_threads(model, args.file)
        for threads in args.threads:
            took = call(threads, args.seconds)
            print(row("threads, no HTTP", threads, took, args.seconds), flush=True)


if __name__ == "__main__":
    main()
