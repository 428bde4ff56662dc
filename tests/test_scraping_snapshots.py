"""The write-once store of documents: what goes in comes out, and damage is told."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from warcio.archiveiterator import ArchiveIterator
from warcio.checker import Checker

from scraping.snapshots import (
    ABOUT,
    RESUME_WITHIN,
    Crawl,
    Store,
    Stored,
    all_crawls,
    finished,
    read,
    redacted,
    secrets_of,
    started,
)
from scraping.source import Snapshot
from warehouse.errors import InputError

NOW = datetime(2026, 10, 1, 6, 30, tzinfo=UTC)
URL = "https://ibbi.gov.in/orders/nclt?page=1"


def snapshot(
    body: bytes = b"<html></html>",
    url: str = URL,
    about: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    at: datetime = NOW,
    status: int = 200,
) -> Snapshot:
    """A document as it is handed to the store."""
    return Snapshot(
        source="made_up",
        url=url,
        fetched_at=at,
        status=status,
        headers=headers or {},
        sha256=hashlib.sha256(body).hexdigest(),
        about=about or {},
        body=body,
    )


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "raw")


@contextmanager
def temporary_store() -> Iterator[Store]:
    """A store of its own for each example of a property."""
    folder = tempfile.mkdtemp()
    try:
        yield Store(Path(folder))
    finally:
        shutil.rmtree(folder)


def only(store: Store, crawl: Crawl) -> Stored:
    (document,) = store.documents(crawl.folder)
    return document


# Round trip.

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
HEADER = st.sampled_from(["Content-Type", "ETag", "Date", "last-modified", "CONTENT-DISPOSITION"])


@settings(max_examples=50)
@given(
    body=st.binary(max_size=3000),
    about=st.dictionaries(TEXT, TEXT, max_size=4),
    headers=st.dictionaries(HEADER, TEXT, max_size=3),
    status=st.integers(100, 599),
    micros=st.integers(0, 10**6 - 1),
)
def test_what_is_saved_is_what_is_read(
    body: bytes, about: dict[str, str], headers: dict[str, str], status: int, micros: int
) -> None:
    given_ = snapshot(body, URL, about, headers, NOW + timedelta(microseconds=micros), status)
    with temporary_store() as store:
        crawl = store.open("made_up", NOW)
        saved = crawl.save(given_)
        assert read(only(store, crawl)) == saved
    assert (saved.body, saved.about, saved.status) == (body, about, status)
    assert (saved.url, saved.fetched_at, saved.source) == (URL, given_.fetched_at, "made_up")
    assert saved.headers.keys() == headers.keys()
    assert all(value.isascii() and value.isprintable() for value in saved.headers.values())


@settings(max_examples=50)
@given(st.text(st.characters(min_codepoint=33, exclude_categories=["Cs"]), max_size=300))
def test_any_url_of_printable_characters_comes_back(path: str) -> None:
    url = f"https://ibbi.gov.in/{path}"
    with temporary_store() as store:
        crawl = store.open("made_up", NOW)
        if not url.isprintable():
            with pytest.raises(InputError, match="printable"):
                crawl.save(snapshot(url=url))
            return
        saved = crawl.save(snapshot(url=url))
        assert read(only(store, crawl)) == saved
        assert saved.url == url == redacted(url)
        assert crawl.find(url, once=False) == only(store, crawl)


@pytest.mark.parametrize(
    "url", ["https://a/b\r\nWARC-Type: x", "https://a/\x00", "https://a/\ud800"]
)
def test_a_url_that_could_forge_a_header_is_refused(store: Store, url: str) -> None:
    crawl = store.open("made_up", NOW)
    with pytest.raises(InputError, match="printable"):
        crawl.save(snapshot(url=url))
    assert store.documents(crawl.folder) == []


def test_headers_that_say_what_a_document_is_are_kept_and_no_others(store: Store) -> None:
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": 'attachment; filename="ind_nifty500list.csv"',
        "Set-Cookie": "nsit=secret",
        "Content-Encoding": "gzip",
        "Transfer-Encoding": "chunked",
        "Content-Length": "12",
        "Location": "/?api-key=secret",
    }
    saved = store.open("made_up", NOW).save(snapshot(headers=headers))
    assert saved.headers == dict(list(headers.items())[:2])


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        ("a\r\nX-Forged: 1", "a X-Forged: 1"),
        ("  a \t b ", "a b"),
        ("résumé.pdf", "r\\xe9sum\\xe9.pdf"),
        ("a\x00b\x1b[2J", "a\\x00b\\x1b[2J"),
    ],
)
def test_a_header_is_kept_in_characters_that_a_header_may_have(
    store: Store, value: str, kept: str
) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot(headers={"ETag": value}))
    assert read(only(store, crawl)).headers == {"ETag": kept}


def test_a_very_long_url_and_a_very_long_about(store: Store) -> None:
    url = "https://ibbi.gov.in/" + "a" * 60_000 + "?b=" + "%20" * 20_000
    crawl = store.open("made_up", NOW)
    saved = crawl.save(snapshot(url=url, about={"query": "b" * 60_000}))
    assert read(only(store, crawl)) == saved
    assert len(only(store, crawl).path.name) < 128


def test_a_large_document(store: Store) -> None:
    body = bytes(range(256)) * 40_000
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot(body))
    assert read(only(store, crawl)).body == body


def test_a_body_that_looks_like_a_record_is_only_a_body(store: Store) -> None:
    inner = store.open("other", NOW)
    inner.save(snapshot(b"inner"))
    packed = only(store, inner).path.read_bytes()
    for body in (
        packed,
        gzip.decompress(packed),
        b"HTTP/1.1 500 X\r\n\r\n",
        b"\r\n\r\nWARC/1.1\r\n",
    ):
        crawl = store.open(f"made_up_{len(body)}", NOW)
        crawl.save(snapshot(body))
        assert read(only(store, crawl)).body == body


def test_the_file_is_a_warc_that_others_can_read(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    at = NOW + timedelta(microseconds=123)
    crawl.save(snapshot(b"a,b\n1,2\n", URL, {"court": "nclt"}, {"Content-Type": "text/csv"}, at))
    path = only(store, crawl).path
    with path.open("rb") as file:
        (record,) = (
            (r, r.content_stream().read()) for r in ArchiveIterator(file, check_digests=True)
        )
    head, body = record[0].rec_headers, record[1]
    assert head.protocol == "WARC/1.1"
    assert record[0].rec_type == "response"
    assert head.get_header("WARC-Target-URI") == URL
    assert head.get_header("WARC-Date") == "2026-10-01T06:30:00.000123Z"
    assert json.loads(head.get_header(ABOUT)) == {"court": "nclt"}
    assert record[0].http_headers.get_statuscode() == "200"
    assert record[0].http_headers.get_header("Content-Type") == "text/csv"
    assert body == b"a,b\n1,2\n"
    # Of the same bytes the header says SHA-1, the file's name SHA-256.
    assert path.name.split("-")[0] == hashlib.sha256(body).hexdigest()


def test_the_check_of_warcio_finds_nothing(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot(b"\x00\xff" * 100, about={"company": "टाटा"}))

    class Command:
        inputs = (str(only(store, crawl).path),)
        verbose = True

    checker = Checker(Command())
    checker.process_all()
    out = capsys.readouterr().out
    assert checker.exit_value == 0
    assert "digest pass" in out


# Secrets.


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("https://a/?api-key=abc&b=1", "https://a/?api-key=***&b=1"),
        ("https://a/?b=1&api-key=abc", "https://a/?b=1&api-key=***"),
        ("https://a/?API-KEY=abc#x", "https://a/?API-KEY=***#x"),
        ("https://a/?api-key=", "https://a/?api-key=***"),
        ("https://a/?api-key=a%20b%26c+d&e", "https://a/?api-key=***&e"),
        ("with url: /r?api-key=abc (Caused by 'x')", "with url: /r?api-key=*** (Caused by 'x')"),
        ("https://a/?b=%ff&c&d=1%202+3;e", "https://a/?b=%ff&c&d=1%202+3;e"),
        ("https://a/?my_api-keys=1", "https://a/?my_api-keys=1"),
    ],
)
def test_secret_parameters_are_blanked_and_nothing_else_is_touched(url: str, told: str) -> None:
    assert redacted(url) == told == redacted(told)


def test_the_secrets_of_a_url_are_known_as_written_and_as_meant() -> None:
    assert secrets_of("https://a/?api-key=a%2Fb+c&d=1") == ("a%2Fb+c", "a/b c")
    assert secrets_of("https://a/?d=1&api-key=") == ()


def test_a_secret_is_never_written_even_if_it_is_handed_over(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    url = "https://a/r?api-key=s3cret&format=json"
    assert crawl.save(snapshot(url=url)).url == "https://a/r?api-key=***&format=json"
    assert b"s3cret" not in gzip.decompress(only(store, crawl).path.read_bytes())
    assert crawl.find(url, once=False) == only(store, crawl)


# Order, and what is found again.


@settings(max_examples=15)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=12))
def test_times_only_grow_whatever_the_clock_does(steps: list[int]) -> None:
    with temporary_store() as store:
        crawl = store.open("made_up", NOW)
        at = NOW
        saved = []
        for number, step in enumerate(steps):
            at += timedelta(microseconds=step)
            saved.append(crawl.save(snapshot(url=f"https://a/{number}", at=at)))
        assert all(a.fetched_at < b.fetched_at for a, b in pairwise(saved))
        assert [read(each) for each in store.documents(crawl.folder)] == saved


def test_times_grow_from_crawl_to_crawl_also_if_the_clock_was_set_back(store: Store) -> None:
    first = store.open("made_up", NOW)
    late = first.save(snapshot(at=NOW + timedelta(hours=1)))
    first.finish(ok=True)
    second = store.open("made_up", NOW - timedelta(days=2))
    assert second.folder > first.folder
    assert store.crawls("made_up") == [first.folder, second.folder]
    again = second.save(snapshot(at=NOW - timedelta(days=2)))
    assert again.fetched_at == late.fetched_at + timedelta(microseconds=1)


def test_two_urls_with_the_same_bytes_are_two_documents(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    saved = [crawl.save(snapshot(url=f"https://a/{n}")) for n in range(2)]
    assert [read(each).url for each in store.documents(crawl.folder)] == [s.url for s in saved]
    assert saved[0].sha256 == saved[1].sha256


def test_a_url_asked_for_twice_is_found_as_it_came_last(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot(b"1"))
    crawl.save(snapshot(b"2"))
    found = crawl.find(URL, once=False)
    assert found is not None
    assert read(found).body == b"2"
    assert len(store.documents(crawl.folder)) == 2  # write once: the first is still there


def test_only_what_is_fetched_once_for_ever_is_found_in_an_older_crawl(store: Store) -> None:
    first = store.open("made_up", NOW)
    first.save(snapshot())
    first.finish(ok=True)
    second = store.open("made_up", NOW + timedelta(days=30))
    assert second.find(URL, once=False) is None
    assert second.find(URL, once=True) == only(store, first)
    assert second.find(URL + "0", once=True) is None


def test_documents_of_another_source_are_not_found(store: Store) -> None:
    store.open("made_up", NOW).save(snapshot())
    assert store.open("other", NOW).find(URL, once=True) is None


def test_a_document_is_never_written_over(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot())
    before = {each.path: each.path.read_bytes() for each in store.documents(crawl.folder)}
    for _ in range(3):
        crawl.save(snapshot())
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(store.documents(crawl.folder)) == 4


# Crawls: one that is not over is gone on with.


def test_an_unfinished_crawl_is_gone_on_with_for_a_day(store: Store) -> None:
    first = store.open("made_up", NOW)
    saved = first.save(snapshot())
    soon = store.open("made_up", NOW + RESUME_WITHIN - timedelta(seconds=1))
    assert soon.folder == first.folder
    found = soon.find(URL, once=False)
    assert found is not None
    assert read(found) == saved
    assert store.open("made_up", NOW + RESUME_WITHIN).folder != first.folder


def test_a_crawl_with_failures_is_gone_on_with_too(store: Store) -> None:
    first = store.open("made_up", NOW)
    first.finish(ok=False)
    assert not finished(first.folder)
    assert store.last_complete("made_up") is None
    again = store.open("made_up", NOW + timedelta(hours=1))
    assert again.folder == first.folder
    again.finish(ok=True)
    assert finished(first.folder)
    assert store.last_complete("made_up") == NOW


def test_after_a_finished_crawl_a_new_one_begins(store: Store) -> None:
    first = store.open("made_up", NOW)
    first.finish(ok=True)
    second = store.open("made_up", NOW + timedelta(seconds=1))
    assert second.folder != first.folder
    assert (started(first.folder), started(second.folder)) == (NOW, NOW + timedelta(seconds=1))
    assert store.last_complete("made_up") == NOW


def test_two_crawls_of_one_moment_have_folders_of_their_own(store: Store) -> None:
    first = store.open("made_up", NOW)
    first.finish(ok=True)
    assert store.open("made_up", NOW).folder != first.folder


def test_a_crawl_is_named_by_utc_wherever_it_was_started(store: Store) -> None:
    india = datetime.fromisoformat("2026-10-01T12:00:00+05:30")
    assert store.open("made_up", india).name == "20261001T063000.000000Z"


@pytest.mark.parametrize("mark", ["", "{", "[]", "null", '{"ok": 0}', '{"documents": 1}'])
def test_a_mark_that_cannot_be_read_is_none(store: Store, mark: str) -> None:
    crawl = store.open("made_up", NOW)
    (crawl.folder / "complete.json").write_text(mark)
    assert not finished(crawl.folder)


def test_crawls_of_all_sources_come_oldest_first(store: Store) -> None:
    b = store.open("b", NOW)
    a = store.open("a", NOW + timedelta(minutes=1))
    b.finish(ok=True)
    c = store.open("b", NOW + timedelta(minutes=2))
    assert list(all_crawls(store, ["a", "b", "none"])) == [
        ("b", b.folder),
        ("a", a.folder),
        ("b", c.folder),
    ]


def test_a_folder_that_is_no_crawl_is_told(store: Store) -> None:
    (store.root / "made_up" / "notes").mkdir(parents=True)
    with pytest.raises(InputError, match="expected a folder named by the time of a crawl"):
        store.open("made_up", NOW)


def test_names_of_folders_come_from_the_source_only(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    for url in ("https://a/../../../etc/passwd", "https://a/x/y?z=/..", "https://a/%00/C:\\x"):
        crawl.save(snapshot(url=url))
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert all(path.parent == store.root / "made_up" / "20261001T063000.000000Z" for path in files)


# A kill, and damage.


def test_what_a_kill_left_half_written_is_removed_and_fetched_again(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot())
    whole = only(store, crawl)
    half = whole.path.with_name(whole.path.name.replace(whole.request, "0" * 16) + ".part")
    half.write_bytes(whole.path.read_bytes()[:50])
    assert store.documents(crawl.folder) == [whole]
    resumed = store.open("made_up", NOW + timedelta(minutes=1))
    assert not half.exists()
    assert store.documents(resumed.folder) == [whole]


def test_a_document_is_written_whole_or_not_at_all(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    crawl = store.open("made_up", NOW)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("scraping.snapshots.os.fsync", full)
    with pytest.raises(InputError, match="No space left on device"):
        crawl.save(snapshot())
    assert list(crawl.folder.iterdir()) == []
    assert crawl.find(URL, once=False) is None


def test_a_refused_document_is_not_seen_again_but_kept(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot())
    document = only(store, crawl)
    crawl.refuse(document)
    assert store.documents(crawl.folder) == []
    assert crawl.find(URL, once=False) is None
    assert crawl.find(URL, once=True) is None
    resumed = store.open("made_up", NOW)
    assert resumed.find(URL, once=True) is None
    aside = crawl.folder / "refused" / document.path.name
    assert gzip.decompress(aside.read_bytes()).endswith(b"<html></html>\r\n\r\n")


def test_to_refuse_a_document_does_not_hide_a_later_one(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot(b"bad"))
    bad = only(store, crawl)
    crawl.save(snapshot(b"good"))
    crawl.refuse(bad)
    found = crawl.find(URL, once=True)
    assert found is not None
    assert read(found).body == b"good"


def test_a_document_gets_a_later_time_than_one_that_was_refused(store: Store) -> None:
    crawl = store.open("made_up", NOW)
    late = crawl.save(snapshot(at=NOW + timedelta(hours=1)))
    crawl.refuse(only(store, crawl))
    again = store.open("made_up", NOW).save(snapshot(at=NOW))
    assert again.fetched_at > late.fetched_at


def saved_file(store: Store, body: bytes = b"<html>" + b"x" * 200) -> Stored:
    crawl = store.open("made_up", NOW)
    crawl.save(snapshot(body, about={"cin": "L1"}, headers={"ETag": "1"}))
    return only(store, crawl)


def repacked(document: Stored, change: tuple[bytes, bytes]) -> Stored:
    """The file with a changed record, whole as a gzip file."""
    content = gzip.decompress(document.path.read_bytes())
    assert content.count(change[0]) == 1
    document.path.write_bytes(gzip.compress(content.replace(*change), mtime=0))
    return document


@pytest.mark.parametrize("length", [0, 1, 10, 100, -20, -8, -1])
def test_a_file_that_was_cut_is_told(store: Store, length: int) -> None:
    document = saved_file(store)
    document.path.write_bytes(document.path.read_bytes()[:length])
    with pytest.raises(InputError, match=rf"{document.path.name}: damaged snapshot: "):
        read(document)


def test_any_changed_byte_is_told_or_changes_nothing() -> None:
    with temporary_store() as store:
        document = saved_file(store)
        whole, good = document.path.read_bytes(), read(document)
        harmless = set()
        for at in range(len(whole)):
            document.path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x11]) + whole[at + 1 :])
            try:
                assert read(document) == good
                harmless.add(at)
            except InputError:
                pass
    # Flags, time and system in the head of a gzip file say nothing of its content.
    assert harmless <= set(range(3, 10))


@pytest.mark.parametrize(
    "change",
    [
        (b"xxxx\r\n\r\n", b"xxxy\r\n\r\n"),
        (b"page=1", b"page=2"),
        (b"WARC-Date: 2026", b"WARC-Date: 2025"),
        (b"WARC-Type: response", b"WARC-Type: resource"),
        (b"WARC-Target-URI:", b"X-Target-URI:"),
        (b"WARC/1.1", b"WARC?1.1"),
        (b"HTTP/1.1 200", b"HTTP/1.1 ?"),
        (b'{"cin": "L1"}', b'{"cin": "L1"'),
        (b'{"cin": "L1"}', b"[1]"),
        (b'{"cin": "L1"}', b'{"cin": 1}'),
    ],
)
def test_a_file_whose_record_was_changed_is_told(store: Store, change: tuple[bytes, bytes]) -> None:
    document = repacked(saved_file(store), change)
    with pytest.raises(InputError, match="damaged snapshot"):
        read(document)


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_file_that_was_renamed_is_told(store: Store, part: int) -> None:
    document = saved_file(store)
    parts = document.path.name.removesuffix(".warc.gz").split("-")
    parts[part] = ("1" if parts[part][0] != "1" else "2") + parts[part][1:]
    document.path.rename(document.path.with_name("-".join(parts) + ".warc.gz"))
    (renamed,) = Store(store.root).documents(document.path.parent)
    with pytest.raises(InputError, match="damaged snapshot: its"):
        read(renamed)


def test_no_content_of_a_file_raises_anything_else(store: Store) -> None:
    document = saved_file(store)
    whole = gzip.decompress(document.path.read_bytes())

    @given(
        st.sampled_from([b"", b"WARC/1.1\r\n", b"WARC/1.1\r\nWARC-Type: response\r\n", whole]),
        st.integers(0, len(whole)),
        st.binary(max_size=400),
    )
    def never(head: bytes, at: int, content: bytes) -> None:
        record = head[:at] + b"\x00" + content + head[at + 1 :]
        for packed in (record, gzip.compress(record, mtime=0)):
            document.path.write_bytes(packed)
            # A byte in what no one reads, such as the number of the record, does no harm.
            with suppress(InputError):
                assert read(document).sha256 == document.path.name.split("-")[0]

    never()


def test_a_file_that_unpacks_to_too_much_is_refused(store: Store) -> None:
    body = b"x" * 3_000_000
    document = saved_file(store, body)
    assert read(document, limit=3_000_000).body == body
    with pytest.raises(InputError, match="expected at most 2,999,999 bytes"):
        read(document, limit=2_999_999)
    with pytest.raises(InputError, match="expected at most 1,000 bytes"):
        read(document, limit=1_000)


def test_what_follows_a_record_is_bounded_too(store: Store) -> None:
    document = saved_file(store)
    document.path.write_bytes(document.path.read_bytes() + gzip.compress(bytes(3 * 1024**2)))
    with pytest.raises(InputError, match="expected at most 1,000 bytes"):
        read(document, limit=1_000)


def test_a_file_that_is_gone_is_told(store: Store) -> None:
    document = saved_file(store)
    document.path.unlink()
    with pytest.raises(InputError, match="damaged snapshot"):
        read(document)


def test_files_of_others_in_a_crawl_are_passed_over(store: Store) -> None:
    document = saved_file(store)
    for name in ("a.warc.gz", "a-b-c.warc.gz", "a-b-².warc.gz", "notes.txt", "a-b-1.warc"):
        (document.path.parent / name).write_bytes(b"x")
    assert store.documents(document.path.parent) == [document]


def test_a_store_that_is_not_there_is_empty(store: Store) -> None:
    assert store.crawls("made_up") == []
    assert store.last_complete("made_up") is None


def test_a_store_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(b"a file")
    with pytest.raises(InputError, match="cannot be made"):
        Store(tmp_path / "raw").open("made_up", NOW)


def test_the_bytes_of_a_file_are_a_stream_of_one_record(store: Store) -> None:
    content = saved_file(store).path.read_bytes()
    records = list(ArchiveIterator(io.BytesIO(content)))
    assert len(records) == 1
