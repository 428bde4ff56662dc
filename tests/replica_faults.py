"""How the replica's sites misbehave: every fault is one entry of `FAULTS`."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import socket
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final, Protocol

from replica_base import CSV, JSON, Ask, Reply, refused, whole_page
from replica_pages import warm
from replica_world import World

FOREVER: Final = 0
ELSEWHERE: Final = "https://elsewhere.invalid/"
BOMB_BYTES: Final = 10 * 1024**3
HUGE_BYTES: Final = 2 * 1024**3
DRIP_SECONDS: Final = 0.05
RETRY_AFTER: Final = 1


class Line(Protocol):
    """The connection that a fault writes to: it may break HTTP's rules."""

    connection: socket.socket

    def head(self, reply: Reply, *extra: tuple[str, str]) -> None:
        """Send status and headers."""

    def write(self, data: bytes) -> None:
        """Send bytes at once."""

    def stopping(self) -> bool:
        """Whether the replica is being shut down."""


@dataclass(frozen=True)
class Fault:
    """One way to misbehave.

    Attributes:
        instead: an answer in place of the document, or None to give the document after all.
        change: what becomes of the document.
        wire: sends the document in a way of its own.
        world: what happens to the world as soon as the fault is armed.
        stuck: pagers show their first page for ever.
        times: how often it strikes where that is not said; 0 is for ever.
    """

    name: str
    description: str
    instead: Callable[[Ask], Reply | None] | None = None
    change: Callable[[Reply], Reply] | None = None
    wire: Callable[[Line, Reply], None] | None = None
    world: Callable[[World], object] | None = None
    stuck: bool = False
    times: int = 1


# -- answers in place of the document -------------------------------------------------------------


def _until_warm(status: int) -> Callable[[Ask], Reply | None]:
    return lambda ask: None if warm(ask) else refused(status, "Access Denied")


def _always(reply: Reply) -> Callable[[Ask], Reply]:
    return lambda _: reply


def _to_itself(ask: Ask) -> Reply:
    hop = ask.number("hop", 0) + 1
    location = f"/{ask.site}{ask.path}?hop={hop}"
    return Reply(b"", status=302, headers=(("Location", location),))


def _keep_out(ask: Ask) -> Reply | None:
    if ask.path != "/robots.txt":
        return None
    return Reply(b"User-agent: *\nDisallow: /\n", "text/plain")


_CAPTCHA: Final = Reply(
    whole_page("Just a moment...", "<p>Are you a robot? Solve the captcha to go on.</p>")
)
_LOGIN: Final = Reply(
    whole_page("Sign in", '<form method="post"><input type="password" name="p"></form>')
)
_SLOW_DOWN: Final = replace(
    refused(429, "Too Many Requests"), headers=(("Retry-After", str(RETRY_AFTER)),)
)
_ELSEWHERE: Final = Reply(b"", status=302, headers=(("Location", ELSEWHERE),))


# -- changed documents ----------------------------------------------------------------------------

# The first of these that a document holds is renamed: a column, key or label of each source.
RENAMED: Final = (
    ("Name of Corporate Debtor", "Debtor Company"),
    ("Orders Date", "Date of Order"),
    ("Process with ICD", "Commenced on"),
    ("ISIN NUMBER", "INTERNATIONAL NUMBER"),
    ("ISIN Code", "International Code"),
    ("NCH_NEW_NAME", "NCH_NAME_NOW"),
    ('"toDate"', '"periodEnd"'),
    ('"qe_Date"', '"quarterEnd"'),
    ('"SCRIP_CD"', '"ScripCode"'),
    ('"fld_desc"', '"description"'),
    ('"sc_id"', '"stock_id"'),
    ('"standardResult"', '"standaloneResult"'),
    ('class="mctable1"', 'class="mctable2"'),
    ('"countryiso3code"', '"iso3"'),
    ('"CompanyName"', '"company_name"'),
    ("RevenueFromOperations", "RevenueOfOperations"),
)
_DATES: Final = (
    (r"\b(\d\d)-(\d\d)-(\d{4})\b", r"\3/\2/\1"),
    (r"\b(\d\d) ([A-Z][a-z]{2}), (\d{4})\b", r"\2 \1 \3"),
    (r"\b(\d\d)-([A-Za-z]{3})-(\d{4})\b", r"\3.\2.\1"),
    (r"\b(\d\d)-([A-Z][a-z]{2})-(\d\d)\b", r"\2 \1 \3"),
    (r"\b(\d{4})-(\d\d)-(\d\d)\b", r"\3/\2/\1"),
    (r"<td>([A-Z][a-z]{2}) (\d\d)</td>", r"<td>FY\2</td>"),
    (r'"yrc": (\d{4})(\d\d)', r'"yrc": "\2/\1"'),
    (r'"date": "(\d{4})"', r'"date": "YR\1"'),
)


def _text(change: Callable[[str], str]) -> Callable[[Reply], Reply]:
    return lambda reply: replace(reply, body=change(reply.body.decode()).encode())


def _renamed(text: str) -> str:
    old, new = next(((o, n) for o, n in RENAMED if o in text), ("", ""))
    return text.replace(old, new) if old else text


def _redated(text: str) -> str:
    for pattern, form in _DATES:
        text = re.sub(pattern, form, text)
    return text


def _doubled(reply: Reply) -> Reply:
    """Every row twice, in another order; which rows there are follows from the kind of document."""
    text = reply.body.decode()
    if reply.kind == JSON:
        return replace(reply, body=json.dumps(_doubled_json(json.loads(text))).encode())
    if reply.kind == CSV:
        header, *records = csv.reader(io.StringIO(text))
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows([header, *records, *records[::-1]])
        return replace(reply, body=out.getvalue().encode())
    if "<tbody>" in text:
        return replace(reply, body=_doubled_table(text).encode())
    head, *rows = text.rstrip("\n").split("\n")
    return replace(reply, body="\n".join([head, *rows, *rows[::-1], ""]).encode())


def _doubled_json(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
        return value[::-1] + value
    if isinstance(value, list):
        return [_doubled_json(part) for part in value]
    if isinstance(value, dict):
        return {name: _doubled_json(part) for name, part in value.items()}
    return value


def _doubled_table(text: str) -> str:
    start, end = text.index("<tbody>") + len("<tbody>"), text.index("</tbody>")
    rows = re.findall(r"<tr\b.*?</tr>\n?", text[start:end], re.DOTALL)
    return text[:start] + "".join(rows[::-1] + rows) + text[end:]


def _latin(text: str) -> bytes:
    return text.replace("a", "\xe9", 40).encode("latin-1", "replace")


# -- broken transport -----------------------------------------------------------------------------


def _reset(line: Line, reply: Reply) -> None:
    """Half of the document, then a reset of the connection."""
    line.head(reply, ("Content-Length", str(len(reply.body))))
    line.write(reply.body[: len(reply.body) // 2])
    time.sleep(0.02)
    line.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    os.close(line.connection.detach())


def _truncated(line: Line, reply: Reply) -> None:
    line.head(reply, ("Content-Length", str(len(reply.body))))
    line.write(reply.body[: len(reply.body) // 2])


def _truncated_chunked(line: Line, reply: Reply) -> None:
    line.head(reply, ("Transfer-Encoding", "chunked"))
    line.write(_chunk(reply.body[: len(reply.body) // 2]))


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def _drip(line: Line, reply: Reply) -> None:
    """A byte every now and then, the document over and over, until the other side hangs up."""
    line.head(reply, ("Transfer-Encoding", "chunked"))
    at = 0
    while not line.stopping():
        line.write(_chunk(reply.body[at : at + 1] or b" "))
        at = (at + 1) % max(len(reply.body), 1)
        time.sleep(DRIP_SECONDS)


def _huge(line: Line, reply: Reply) -> None:
    """A document without a length that goes on for 2 GiB."""
    line.head(reply)
    line.write(reply.body[: len(reply.body) // 2])
    block = b" " * 65_536
    for _ in range(HUGE_BYTES // len(block)):
        if line.stopping():
            return
        line.write(block)


@cache
def _zeros() -> bytes:
    """Compressed zeros, 16 MiB, that may be repeated within one stream."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = packer.compress(bytes(16 * 1024**2))
    return packed + packer.flush(zlib.Z_FULL_FLUSH)


def bomb() -> Iterator[bytes]:
    """A gzip stream of 10 GiB that takes 10 MiB on the wire."""
    yield b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    for _ in range(BOMB_BYTES // (16 * 1024**2)):
        yield _zeros()


def _bomb(line: Line, reply: Reply) -> None:
    line.head(reply, ("Transfer-Encoding", "chunked"), ("Content-Encoding", "gzip"))
    for data in bomb():
        line.write(_chunk(data))
    with suppress(OSError):
        line.write(b"0\r\n\r\n")


FAULTS: Final = (
    Fault(
        "403_until_warm_up", "403 until the cookies of the site's home page are presented",
        instead=_until_warm(403), times=FOREVER,
    ),
    Fault(
        "401_until_warm_up", "401 until the cookies of the site's home page are presented",
        instead=_until_warm(401), times=FOREVER,
    ),
    Fault("429", "429 that asks to come back in a second", instead=_always(_SLOW_DOWN)),
    Fault("500", "500", instead=_always(refused(500, "Internal Server Error"))),
    Fault("503", "503", instead=_always(refused(503, "Service Unavailable"))),
    Fault("reset", "connection reset in the middle of the body", wire=_reset),
    Fault("slow_drip", "a byte every now and then, without end", wire=_drip),
    Fault("truncated", "half of the body, then a clean close", wire=_truncated),
    Fault("truncated_chunked", "chunks that end without the last one", wire=_truncated_chunked),
    Fault("gzip_bomb", "gzip that expands to 10 GiB", wire=_bomb),
    Fault("huge", "a body without a length that does not end", wire=_huge),
    Fault("captcha", "a captcha page with status 200", instead=_always(_CAPTCHA)),
    Fault("login", "a login page with status 200", instead=_always(_LOGIN)),
    Fault("empty", "nothing, with status 200", change=lambda reply: replace(reply, body=b"")),
    Fault("empty_json", "[] with status 200", instead=_always(Reply(b"[]", JSON))),
    Fault(
        "redirect_loop", "redirects to itself for ever", instead=_to_itself, times=FOREVER,
    ),
    Fault("redirect_elsewhere", "redirects to another host", instead=_always(_ELSEWHERE)),
    Fault("robots_disallow", "robots.txt forbids all", instead=_keep_out, times=FOREVER),
    Fault("changed_header", "a column, key or label is renamed", change=_text(_renamed)),
    Fault("changed_date_format", "dates are written in another way", change=_text(_redated)),
    Fault("duplicated", "every row twice, in another order", change=_doubled),
    Fault(
        "repeating_page", "pagers show the first page for ever and offer a next one", stuck=True,
        times=FOREVER,
    ),
    Fault(
        "wrong_charset_utf16", "UTF-16 declared as UTF-8",
        change=lambda reply: replace(reply, body=reply.body.decode().encode("utf-16")),
    ),
    Fault(
        "wrong_charset_latin1", "Latin-1 with accents declared as UTF-8",
        change=lambda reply: replace(reply, body=_latin(reply.body.decode())),
    ),
    Fault(
        "symbol_renamed", "a company's NSE symbol changes, at once", world=World.rename,
    ),
)  # fmt: skip


def fault_named(name: str) -> Fault:
    """The fault of this name.

    Raises:
        ValueError: there is none.
    """
    for fault in FAULTS:
        if fault.name == name:
            return fault
    raise ValueError(f"unknown fault {name!r}; known: {', '.join(f.name for f in FAULTS)}")
