"""`python -m models.serve`: the answer of `models.score` over HTTP."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from ipaddress import ip_address
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

import click

from models.service_pool import Limits, Pool
from warehouse.errors import InputError, exits_with_2, printable

INSTALL = "install the extra `serve`: pip install '.[serve]'"
CONNECTIONS = 500  # open at once, those that ask for nothing among them

EPILOG = """\b
Examples:
  python -m models.serve
  curl --data-binary @statements.csv http://127.0.0.1:8000/score
  curl --data-binary "@Company Ltd.xlsx" http://127.0.0.1:8000/score

\b
Also: GET /health, /version, /openapi.json. One line of JSON per request on standard output.
Exit codes: 0 ended by a signal, 2 wrong use or bad input.
"""


@click.command(epilog=EPILOG)
@click.option("--model", "folder", type=click.Path(path_type=Path), help="[the newest run's]")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=min(os.cpu_count() or 1, 64),
    help="Processes that score.  [one per core]",
)
@click.option(
    "--queue",
    type=click.IntRange(0, 10_000),
    default=16,
    show_default=True,
    help="Requests that may wait; more are told to come again.",
)
@click.option(
    "--max-bytes",
    type=click.IntRange(1),
    default=20 * 2**20,
    show_default=True,
    help="Of a request's body.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.01, 3600),
    default=30.0,
    show_default=True,
    help="Seconds for a body to arrive, again to wait, again to score it.",
)
@click.option(
    "--memory",
    type=click.IntRange(64),
    default=2048,
    show_default=True,
    help="MB that a file may take in a process, beyond the model (Linux).",
)
@exits_with_2
def main(
    folder: Path | None,
    host: str,
    port: int,
    workers: int,
    queue: int,
    max_bytes: int,
    timeout: float,
    memory: int,
) -> None:  # fmt: skip
    """Score statements files over HTTP. Listens on this machine alone unless --host says else."""
    limits = Limits(max_bytes, timeout, workers, queue, memory)
    signal.signal(signal.SIGTERM, _stop)
    _log_to(sys.stdout)
    model = (folder or _newest()).resolve()
    with (
        TemporaryDirectory(prefix="insolvency-radar-") as scratch,
        _listening(host, port) as listener,
    ):
        asyncio.run(_serve(Pool(model, Path(scratch), limits), listener))


def _log_to(stream: TextIO) -> None:
    """One line per request there and nothing else; what libraries warn of goes to stderr."""
    log = logging.getLogger("models.serve")
    log.addHandler(logging.StreamHandler(stream))
    log.setLevel(logging.INFO)
    log.propagate = False


def _newest() -> Path:
    """Of the newest run; what looks for it loads every library of a model, as we do not."""
    from models.score import newest_model

    return newest_model()


def _stop(*_: object) -> None:
    """End as if the program had come to its end: temporary folders go, processes end."""
    raise SystemExit(0)


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket; the port is taken before the model is loaded, which takes seconds."""
    try:
        kind, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=kind)
        # Connections inherit it, and asyncio does not set it for them: without, the end of an
        # answer waits up to 40 ms for the client to acknowledge its beginning.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        raise InputError(f"{host}:{port}: cannot listen there: {error.strerror}") from None


async def _serve(pool: Pool, listener: socket.socket) -> None:
    try:
        import uvicorn

        from models.service import make_app
    except ModuleNotFoundError:
        raise InputError(INSTALL) from None
    async with pool:
        for line in _greeting(pool, listener):
            print(printable(line), file=sys.stderr, flush=True)
        config = uvicorn.Config(
            make_app(pool),
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # the log names who is connected, not who it says it is
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=ceil(pool.limits.timeout),
        )
        await uvicorn.Server(config).serve([listener])


def _greeting(pool: Pool, listener: socket.socket) -> list[str]:
    """What a user should know before the first request."""
    host, port = listener.getsockname()[:2]
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    lines = [f"serving {pool.folder} on {url}: POST a statements file to /score"]
    if ip_address(host).is_loopback:
        lines += ["reachable from this machine only"]
    else:
        lines += ["reachable from other machines: there is no password and no encryption"]
    if pool.facts["model"]["simulated"]:
        lines += [
            "the model was trained on SIMULATED companies: it says nothing about a real company"
        ]
    return lines


if __name__ == "__main__":
    main()
