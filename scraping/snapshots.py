"""The write-once store of documents as they came, one gzipped WARC file (ISO 28500) each.

`raw/<source>/<crawl>/<sha256>-<request>-<microseconds>.warc.gz`: the crawl is named by the UTC time
of its start, the request by the start of its URL's SHA-256. A file is written whole or not at all,
so that a crawl that was killed goes on with what it has.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from warcio.archiveiterator import ArchiveIterator
from warcio.exceptions import ArchiveLoadFailed
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from scraping.source import Snapshot
from warehouse.errors import InputError
from warehouse.files import make_folder, write_whole

ABOUT = "X-Asked-For"
SECRETS = frozenset({"api-key"})
RESUME_WITHIN = timedelta(hours=24)
_CRAWL = "%Y%m%dT%H%M%S.%fZ"
_KEPT_HEADERS = frozenset(
    {"content-type", "last-modified", "etag", "date", "content-disposition", "location"}
)


def redacted(url: str) -> str:
    """The URL without the values of secret parameters: what is stored and printed."""
    parts = urlsplit(url)
    query = [(k, "***" if k in SECRETS else v) for k, v in parse_qsl(parts.query, True)]
    return urlunsplit(parts._replace(query=urlencode(query)))


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
        if len(parts) == 3 and parts[2].isdigit():
            found.append(Stored(int(parts[2]), path))
    return sorted(found)


class Crawl:
    """One crawl of one source: its folder, open until `finish`."""

    def __init__(self, folder: Path, ever: dict[str, Stored]) -> None:
        self.folder = folder
        self._ever = ever
        self._mine = {stored.request: stored for stored in _stored(folder)}
        self._last = max((s.microseconds for s in ever.values()), default=0)

    @property
    def name(self) -> str:
        """UTC time of the crawl's start."""
        return self.folder.name

    def find(self, url: str, *, once: bool) -> Stored | None:
        """The document of this URL: in this crawl, or with `once` in any."""
        request = _request(redacted(url))
        return self._mine.get(request) or (self._ever.get(request) if once else None)

    def save(self, snapshot: Snapshot) -> Snapshot:
        """Store a document; its time is made later than that of any before it."""
        micros = max(_micros(snapshot.fetched_at), self._last + 1)
        self._last = micros
        stamped = Snapshot(**{**vars(snapshot), "fetched_at": _time(micros)})
        name = f"{stamped.sha256}-{_request(stamped.url)}-{micros}.warc.gz"
        content = _warc(stamped)
        write_whole(self.folder / name, lambda draft: _write(draft, content))
        stored = Stored(micros, self.folder / name)
        self._mine[stored.request] = stored
        self._ever[stored.request] = stored
        return stamped

    def refuse(self, stored: Stored) -> None:
        """Put aside a document that could not be read, so that it is fetched again."""
        make_folder(self.folder / "refused")
        stored.path.replace(self.folder / "refused" / stored.path.name)
        self._mine.pop(stored.request, None)

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
            folder = self.root / source / now.strftime(_CRAWL)
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


def read(stored: Stored, limit: int = 256 * 1024**2) -> Snapshot:
    """A document out of the store, its bytes checked against their SHA-256.

    Raises:
        InputError: the file is damaged, or its content is larger than `limit` bytes.
    """
    try:
        with stored.path.open("rb") as file:
            record = next(iter(ArchiveIterator(file)))
            body = record.content_stream().read(limit + 1)
    except (OSError, StopIteration, ArchiveLoadFailed, ValueError, EOFError) as error:
        raise InputError(f"{stored.path}: damaged snapshot: {error}") from None
    sha256 = hashlib.sha256(body).hexdigest()
    if len(body) > limit or not stored.path.name.startswith(sha256):
        raise InputError(f"{stored.path}: damaged snapshot: its bytes are not those of its name")
    head = record.rec_headers
    return Snapshot(
        source=stored.path.parent.parent.name,
        url=head.get_header("WARC-Target-URI"),
        fetched_at=_time(stored.microseconds),
        status=int(record.http_headers.get_statuscode()),
        headers=dict(record.http_headers.headers),
        sha256=sha256,
        about=json.loads(head.get_header(ABOUT) or "{}"),
        body=body,
    )


def _warc(snapshot: Snapshot) -> bytes:
    out = io.BytesIO()
    kept = [(k, v) for k, v in snapshot.headers.items() if k.lower() in _KEPT_HEADERS]
    http = StatusAndHeaders(f"{snapshot.status} ", kept, protocol="HTTP/1.1")
    writer = WARCWriter(out, gzip=True)
    record = writer.create_warc_record(
        snapshot.url,
        "response",
        payload=io.BytesIO(snapshot.body),
        http_headers=http,
        warc_headers_dict={
            "WARC-Date": snapshot.fetched_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
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
