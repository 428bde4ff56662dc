"""Connections that end when a document's time is up, however slowly its server drips."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.poolmanager import ProxyManager
from urllib3.response import HTTPResponse

_at_work = threading.local()


class Deadline:
    """Shuts the connection of this thread when the time is up.

    A read has a timeout of its own, but that starts anew with each byte: it never ends a server
    that sends one byte now and then, be it in the headers or within a compressed body.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def __enter__(self) -> Deadline:
        _at_work.deadline = self
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        _at_work.deadline = None

    def watch(self, line: socket.socket | None) -> None:
        """Name the connection that is to be shut."""
        self._socket = line
        if self.passed:
            self._cut()

    def _cut(self) -> None:
        self.passed = True
        if isinstance(self._socket, socket.socket):
            with suppress(OSError):  # that of the base class: TLS is not to be ended politely
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _watch(line: socket.socket | None) -> None:
    deadline = getattr(_at_work, "deadline", None)
    if deadline is not None:
        deadline.watch(line)


class _Connection(HTTPConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _watch(self.sock)
        return super().getresponse()


class _SecureConnection(HTTPSConnection):
    def getresponse(self) -> HTTPResponse:  # type: ignore[override]
        _watch(self.sock)
        return super().getresponse()


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_POOLS = {"http": _Pool, "https": _SecurePool}


class DeadlineAdapter(HTTPAdapter):
    """Makes the connections of a session such that a `Deadline` can end them."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """As the base class, with our connections."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> ProxyManager:
        """As the base class, with our connections."""
        manager: ProxyManager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager
