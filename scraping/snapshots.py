"""The write-once store of documents as they came, one gzipped WARC file (ISO 28500) each.

`raw/<source>/<crawl>/<sha256>-<request>-<microseconds>.warc.gz`: the crawl is named by the UTC time
of its start, the request by the start of its URL's SHA-256. A file is written whole or not at all,
so that a crawl that was killed goes on with what it has.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import unquote_plus

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.recordloader import ArcWarcRecord
from warcio.statusandheaders import StatusAndHeaders, StatusAndHeadersParserException
from warcio.warcwriter import WARCWriter

from scraping.source import Snapshot
from warehouse.errors import InputError, printable
from warehouse.files import make_folder, write_whole

ABOUT = "X-Asked-For"
SECRETS = ("api-key",)
MAX_BYTES = 256 * 1024**2
RESUME_WITHIN = timedelta(hours=24)
_CRAWL = "%Y%m%dT%H%M%S.%fZ"
_DATE = "%Y-%m-%dT%H:%M:%S.%fZ"
_HEAD_BYTES = 1024**2
_KEPT_HEADERS = frozenset({"content-type", "last-modified", "etag", "date", "content-disposition"})
_SECRET = re.compile(rf"\b({'|'.join(SECRETS)})=([^&#\s'\")]*)", re.IGNORECASE)


def redacted(text: str) -> str:
    """A URL, or text with one, without the values of secret parameters: so stored and printed."""
    return _SECRET.sub(r"\1=***", text)


def secrets_of(url: str) -> tuple[str, ...]:
    """The values of secret parameters of a URL, as they stand there and as they are meant."""
    values = {value for _, value in _SECRET.findall(url) if value}
    return tuple(sorted(values | {unquote_plus(value) for value in values}))


def _request(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:16]


@dataclass(frozen=True, order=True)
class Stored:
    """A document in the store, in order of its fetching."""

    microseconds: int
    path: Path

    @property
    def request(self) -> str:
        """Start of the SHA-256 of the URL that was asked for."""
        return self.path.name.split("-")[1]


def _stored(folder: Path) -> list[Stored]:
    found = []
    for path in folder.glob("*.warc.gz"):
        parts = path.name.removesuffix(".warc.gz").split("-")
        if len(parts) == 3 and parts[2].isascii() and parts[2].isdigit():
            found.append(Stored(int(parts[2]), path))
    return sorted(found)


class Crawl:
    """One crawl of one source: its folder, open until `finish`."""

    def __init__(self, folder: Path, ever: dict[str, Stored]) -> None:
        self.folder = folder
        self._ever = ever
        self._mine = {stored.request: stored for stored in _stored(folder)}
        # One that was refused has a time that another document must not have.
        told = [*ever.values(), *_stored(folder / "refused")]
        self._last = max((s.microseconds for s in told), default=0)

    @property
    def name(self) -> str:
        """UTC time of the crawl's start."""
        return self.folder.name

    def find(self, url: str, *, once: bool) -> Stored | None:
        """The document of this URL: in this crawl, or with `once` in any."""
        request = _request(redacted(url))
        return self._mine.get(request) or (self._ever.get(request) if once else None)

    def save(self, snapshot: Snapshot) -> Snapshot:
        """Store a document, and give it as `read` will: with the headers that are kept.

        Its time is made later than that of any before it.

        Raises:
            InputError: the file cannot be written; or the URL has characters that no URL has.
        """
        if not snapshot.url.isprintable():
            raise InputError(f"{snapshot.url}: expected a URL of printable characters")
        micros = max(_micros(snapshot.fetched_at), self._last + 1)
        self._last = micros
        stamped = replace(
            snapshot,
            url=redacted(snapshot.url),
            fetched_at=_time(micros),
            headers=_kept(snapshot.headers),
        )
        name = _file_name(stamped.sha256, stamped.url, micros)
        content = _warc(stamped)
        write_whole(self.folder / name, lambda draft: _write(draft, content))
        stored = Stored(micros, self.folder / name)
        self._mine[stored.request] = stored
        self._ever[stored.request] = stored
        return stamped

    def refuse(self, stored: Stored) -> None:
        """Put aside a document that could not be read, so that it is fetched again."""
        put_aside(stored)
        for known in (self._mine, self._ever):
            if known.get(stored.request) == stored:
                del known[stored.request]

    def finish(self, *, ok: bool) -> None:
        """Mark the crawl as over; one that is not `ok` is taken up again within a day."""
        mark = json.dumps({"ok": ok, "documents": len(self._mine)}).encode()
        write_whole(self.folder / "complete.json", lambda draft: draft.write_bytes(mark))


class Store:
    """All documents of all sources below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def crawls(self, source: str) -> list[Path]:
        """Folders of a source's crawls, oldest first."""
        folder = self.root / source
        return sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []

    def open(self, source: str, now: datetime) -> Crawl:
        """The crawl to go on with, or a new one."""
        folders = self.crawls(source)
        ever = {s.request: s for folder in folders for s in _stored(folder)}
        if folders and not finished(folders[-1]) and now - started(folders[-1]) < RESUME_WITHIN:
            folder = folders[-1]
        else:
            # Later than the one before it also where the clock was set back.
            after = [started(folder) + timedelta(microseconds=1) for folder in folders[-1:]]
            folder = self.root / source / max([now.astimezone(UTC), *after]).strftime(_CRAWL)
            make_folder(folder)
        for draft in folder.glob("*.part"):  # left by a kill in mid-write
            draft.unlink()
        return Crawl(folder, ever)

    def documents(self, folder: Path) -> list[Stored]:
        """A crawl's documents in the order of their fetching."""
        return _stored(folder)

    def last_complete(self, source: str) -> datetime | None:
        """Start of the newest crawl that was finished without a failure."""
        done = [folder for folder in self.crawls(source) if finished(folder)]
        return started(done[-1]) if done else None


def put_aside(stored: Stored) -> None:
    """Move a document out of its crawl, so that it is fetched again and no replay meets it."""
    if stored.path.exists():  # else it was put aside before
        make_folder(stored.path.parent / "refused")
        stored.path.replace(stored.path.parent / "refused" / stored.path.name)


def started(folder: Path) -> datetime:
    """When a crawl was begun.

    Raises:
        InputError: the folder is not named by a time.
    """
    try:
        return datetime.strptime(folder.name, _CRAWL).replace(tzinfo=UTC)
    except ValueError:
        raise InputError(f"{folder}: expected a folder named by the time of a crawl") from None


def finished(folder: Path) -> bool:
    """Whether a crawl ended without a failure."""
    mark = folder / "complete.json"
    try:
        return bool(json.loads(mark.read_text(encoding="utf-8"))["ok"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def read(stored: Stored, limit: int = MAX_BYTES) -> Snapshot:
    """A document out of the store, checked against the name of its file.

    Raises:
        InputError: the file is damaged or not of this store, or its content is larger than `limit`
            bytes.
    """
    try:
        return _snapshot(stored, _unpacked(stored.path, limit), limit)
    except (
        OSError,
        EOFError,
        ValueError,
        AttributeError,  # from warcio, for a record without a URL
        StopIteration,
        zlib.error,
        ArchiveLoadFailed,
        StatusAndHeadersParserException,
    ) as error:
        what = str(error) or type(error).__name__
        raise InputError(f"{stored.path}: damaged snapshot: {what}") from None


def _unpacked(path: Path, limit: int) -> bytes:
    """The record; unpacking it to its end proves the check sum of the file."""
    with gzip.open(path) as file:
        content = file.read(limit + _HEAD_BYTES + 1)
    if len(content) > limit + _HEAD_BYTES:
        raise ValueError(f"expected at most {limit:,} bytes")
    return content


def _snapshot(stored: Stored, content: bytes, limit: int) -> Snapshot:
    record: ArcWarcRecord = next(iter(ArchiveIterator(io.BytesIO(content))))
    head, http = record.rec_headers, record.http_headers
    url, date = head.get_header("WARC-Target-URI"), head.get_header("WARC-Date")
    if record.rec_type != "response" or http is None or not url:
        raise ValueError("expected an answer of a web server")
    body = record.content_stream().read()
    if len(body) > limit:
        raise ValueError(f"expected at most {limit:,} bytes, got {len(body):,}")
    sha256 = hashlib.sha256(body).hexdigest()
    fetched_at = _time(stored.microseconds)
    if stored.path.name != _file_name(sha256, url, stored.microseconds):
        raise ValueError("its bytes or its URL are not those of its name")
    if date != fetched_at.strftime(_DATE):
        raise ValueError("its time is not that of its name")
    return Snapshot(
        source=stored.path.parent.parent.name,
        url=url,
        fetched_at=fetched_at,
        status=int(http.get_statuscode()),
        headers=dict(http.headers),
        sha256=sha256,
        about=_about(head.get_header(ABOUT)),
        body=body,
    )


def _about(text: str | None) -> dict[str, str]:
    about = json.loads(text or "{}")
    if not (isinstance(about, dict) and all(isinstance(value, str) for value in about.values())):
        raise ValueError("expected an object of texts in what was asked for")
    return about


def _file_name(sha256: str, url: str, microseconds: int) -> str:
    return f"{sha256}-{_request(url)}-{microseconds}.warc.gz"


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that say what a document is, in characters that a header may have."""
    return {
        name: printable(" ".join(value.split())).encode("ascii", "backslashreplace").decode()
        for name, value in headers.items()
        if name.lower() in _KEPT_HEADERS
    }


def _warc(snapshot: Snapshot) -> bytes:
    out = io.BytesIO()
    http = StatusAndHeaders(
        f"{snapshot.status} ", list(snapshot.headers.items()), protocol="HTTP/1.1"
    )
    writer = WARCWriter(out, gzip=True, warc_version="1.1")
    record = writer.create_warc_record(
        snapshot.url,
        "response",
        payload=io.BytesIO(snapshot.body),
        length=len(snapshot.body),
        http_headers=http,
        warc_headers_dict={
            "WARC-Date": snapshot.fetched_at.strftime(_DATE),
            ABOUT: json.dumps(dict(snapshot.about), sort_keys=True),
        },
    )
    writer.write_record(record)
    return out.getvalue()


def _write(draft: Path, content: bytes) -> None:
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _micros(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def _time(micros: int) -> datetime:
    return datetime.fromtimestamp(micros // 1_000_000, tz=UTC).replace(
        microsecond=micros % 1_000_000
    )


def all_crawls(store: Store, names: Iterator[str] | list[str]) -> Iterator[tuple[str, Path]]:
    """Every crawl of these sources, oldest first."""
    found = [(folder.name, name, folder) for name in names for folder in store.crawls(name)]
    yield from ((name, folder) for _, name, folder in sorted(found))
