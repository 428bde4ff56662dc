"""The outermost layer of the service: what is logged of a request, and how one is turned away."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER = 2.0  # seconds that a body is read and forgotten after its refusal
LONGEST_PATH = 200  # characters of a path that are logged
GONE = 499  # logged where the client left before it was answered; nothing is sent
HEADERS = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))

log = logging.getLogger("models.serve")


@dataclass
class Exchange:
    """One request and its answer as they pass."""

    scope: Scope
    receive_from: Receive
    send_to: Send
    unread: bool
    received: int = 0
    status: int = GONE
    gone: bool = False

    async def receive(self) -> Message:
        """The next part of the body, counted."""
        message = await self.receive_from()
        if message["type"] == "http.disconnect":
            self.gone, self.unread = True, False
        else:
            self.received += len(message.get("body", b""))
            self.unread = bool(message.get("more_body"))
        return message

    async def send(self, message: Message) -> None:
        """Pass an answer on; one that comes before the end of the body also ends the connection.

        A client that is still sending would be cut off, and see that instead of the answer: what
        it sends is read for a moment longer.
        """
        if message["type"] == "http.response.start":
            self.status = message["status"]
            end = ((b"connection", b"close"),) if self.unread else ()
            await self.send_to({**message, "headers": [*message["headers"], *HEADERS, *end]})
        elif self.unread and not message.get("more_body"):
            await self.send_to({**message, "more_body": True})
            await self._linger()
            await self.send_to({"type": "http.response.body", "body": b""})
        else:
            await self.send_to(message)

    async def _linger(self) -> None:
        if b"expect" in dict(self.scope["headers"]):
            return  # the client has sent nothing and now will not
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                while self.unread:
                    await self.receive()


@dataclass(frozen=True)
class Edge:
    """ASGI middleware: one line of JSON per request, and answers before the end of a body."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request through."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        exchange = Exchange(scope, receive, send, has_body(scope))
        began = time.perf_counter()
        try:
            await self.app(scope, exchange.receive, exchange.send)
        finally:
            log.info(json.dumps(_line(exchange, time.perf_counter() - began)))


def has_body(scope: MutableMapping[str, Any]) -> bool:
    """Whether a request says that it has a body."""
    headers = dict(scope["headers"])
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"


def _line(exchange: Exchange, seconds: float) -> dict[str, Any]:
    scope = exchange.scope
    return {
        "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
        "client": (scope.get("client") or ("",))[0],
        "method": scope["method"],
        "path": scope["path"][:LONGEST_PATH],
        "status": GONE if exchange.gone else exchange.status,
        "bytes": exchange.received,
        "ms": round(seconds * 1000, 1),
    }
