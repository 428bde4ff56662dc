"""A run: crawl → snapshot → parse → match → load → check → summary, stage by stage.

Sources of a stage crawl side by side; one that fails takes nothing of the others with it. A run
that was killed is taken up where it stopped: what it fetched is kept, what it loaded is not loaded
again.
"""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Protocol

import duckdb
from filelock import FileLock, Timeout

from scraping import snapshots
from scraping.fetch import Fetch, Progress, StoppedError, Web
from scraping.hosts import base_url, host_named
from scraping.load import Loaded, load, modules
from scraping.resolve import resolve
from scraping.review import write_review
from scraping.snapshots import Crawl, Store
from scraping.source import Source
from warehouse import store as warehouse_store
from warehouse.errors import InputError
from warehouse.files import make_folder, write_whole
from warehouse.store import data_dir, one_row, run_checks, transaction

STAGES = (1, 2, 3)
_KEPT_MESSAGES = 20
_FEW = 0.05  # share of documents that may fail in a crawl that counts as complete
_PATIENCE = 600  # seconds to wait for another process that holds the warehouse


@dataclass(frozen=True)
class Options:
    """What a run is asked to do.

    Attributes:
        sources: names, in the order of `modules`.
        db: the warehouse, or None for the default one.
        companies: only these (company_id, NSE symbol, ISIN or BSE code); None for the universe.
        since: earliest date of interest, or None for each source's own choice.
    """

    sources: tuple[str, ...]
    db: Path | None = None
    companies: tuple[str, ...] | None = None
    since: date | None = None


@dataclass
class Outcome:
    """What became of one source in a run.

    `state` is done, partial (some documents failed), failed, or skipped (nothing was wanted).
    """

    source: str
    state: str = "done"
    rows: int = 0
    new: int = 0
    changed: int = 0
    quarantined: int = 0
    failed_documents: int = 0
    failed_checks: int = 0
    snapshots: int = 0
    reused: int = 0
    seconds: float = 0.0
    messages: list[str] = field(default_factory=list)
    notices: dict[str, int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether the crawl need not be repeated before its time: hardly a document failed."""
        few = self.failed_documents <= _FEW * (self.snapshots + self.reused)
        return self.state == "done" or (self.state == "partial" and few)

    def failed(self, message: str) -> None:
        """Note a failure of the whole source."""
        self.state = "failed"
        self.messages.append(message)

    def took(self, loaded: Loaded) -> None:
        """Add what a load brought."""
        self.rows += loaded.rows
        self.new += loaded.new
        self.changed += loaded.changed
        self.quarantined += loaded.quarantined
        self._documents_failed(loaded.failures)
        for notice, times in loaded.notices.items():
            self.notices[notice] = self.notices.get(notice, 0) + times

    def crawled(self, fetch: Fetch) -> None:
        """Add what a crawl brought."""
        self.snapshots = fetch.progress.documents - fetch.progress.reused
        self.reused = fetch.progress.reused
        self._documents_failed(fetch.failures)

    def _documents_failed(self, failures: Sequence[str]) -> None:
        self.failed_documents += len(failures)
        self.messages += failures[: _KEPT_MESSAGES - len(self.messages)]
        if failures and self.state == "done":
            self.state = "partial"


@dataclass
class Summary:
    """What a run did: written to `runs/`, and to the table run."""

    command: str
    started_at: datetime
    seconds: float = 0.0
    sources: list[Outcome] = field(default_factory=list)
    matched: dict[str, int] = field(default_factory=dict)
    notices: tuple[str, ...] = ()
    failed_checks: dict[str, int] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def ok(self) -> bool:
        """Whether every source did what it should."""
        return all(outcome.state in ("done", "skipped") for outcome in self.sources)

    def as_json(self) -> str:
        """The summary as it is written."""
        content = {**asdict(self), "ok": self.ok}
        content["started_at"] = self.started_at.isoformat(timespec="seconds")
        return json.dumps(content, indent=1, ensure_ascii=False)


class Display(Protocol):
    """Where a run says how far it is."""

    def watch(self, source: str, progress: Progress) -> None:
        """Show this source until it is over."""

    def over(self, outcome: Outcome) -> None:
        """Say what became of a source."""

    def say(self, text: str) -> None:
        """Say one line."""


class Quiet:
    """A display that shows nothing."""

    def watch(self, source: str, progress: Progress) -> None:
        """Nothing."""

    def over(self, outcome: Outcome) -> None:
        """Nothing."""

    def say(self, text: str) -> None:
        """Nothing."""


def raw_store() -> Store:
    """The store of documents in the data folder."""
    return Store(data_dir() / "raw")


def due(store: Store, names: Sequence[str], now: datetime) -> tuple[str, ...]:
    """Those sources whose last complete crawl is older than their cadence."""
    chosen = []
    for name in names:
        last = store.last_complete(name)
        # Half a day of grace: a daily job does not start at the same second every day.
        age = timedelta(days=modules()[name].SOURCE.cadence_days) - timedelta(hours=12)
        if last is None or now - last >= age:
            chosen.append(name)
    return tuple(chosen)


@contextmanager
def only_run() -> Iterator[None]:
    """Hold the lock of the data folder; freed by the system if the process is killed.

    Raises:
        InputError: another run holds it.
    """
    folder = data_dir()
    make_folder(folder)
    lock = FileLock(folder / "scraping.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError(
            f"{folder / 'scraping.lock'}: another run of python -m scraping is at work; wait for"
            " it to end"
        ) from None
    try:
        yield
    finally:
        lock.release()


def _warehouse(db: Path | None) -> AbstractContextManager[duckdb.DuckDBPyConnection]:
    """The warehouse, waiting for another process that reads it; short: a crawl holds it not."""
    return warehouse_store.connect(db, create=True, wait=_PATIENCE)


class _Mark:
    """The file that stands while a run is not over: who finds it goes on with that run."""

    def __init__(self, options: Options, now: datetime) -> None:
        self.path = data_dir() / "scraping-run.json"
        asked = [*options.sources, str(options.companies), str(options.since)]
        self.started = self._found(asked, now) or now
        content = json.dumps({"started": self.started.isoformat(), "asked": asked}).encode()
        write_whole(self.path, lambda draft: draft.write_bytes(content))

    def _found(self, asked: list[str], now: datetime) -> datetime | None:
        try:
            content = json.loads(self.path.read_text(encoding="utf-8"))
            started = datetime.fromisoformat(content["started"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        fresh = now - started < snapshots.RESUME_WITHIN
        return started if content.get("asked") == asked and fresh else None

    def remove(self) -> None:
        """The run is over."""
        self.path.unlink(missing_ok=True)


def run(options: Options, display: Display | None = None) -> Summary:
    """Crawl and load the sources, stage by stage.

    Raises:
        InputError: wrong use; another run is at work; the warehouse cannot be opened.
    """
    display = display or Quiet()
    now, began = datetime.now(UTC), time.monotonic()
    with only_run():
        mark = _Mark(options, now)
        if mark.started != now:
            display.say(f"going on with the run of {mark.started:%Y-%m-%d %H:%M} UTC")
        summary = Summary("scraping", now)
        stop = threading.Event()
        with Web() as web:
            for stage in STAGES:
                _stage(options, stage, mark, web, stop, display, summary)
        _finish(options.db, summary, began)
        mark.remove()
    return summary


def _of_stage(stage: int) -> list[str]:
    return [name for name, module in modules().items() if module.SOURCE.stage == stage]


def _stage(
    options: Options,
    stage: int,
    mark: _Mark,
    web: Web,
    stop: threading.Event,
    display: Display,
    summary: Summary,
) -> None:
    store, now = raw_store(), datetime.now(UTC)
    names = [name for name in options.sources if name in _of_stage(stage)]
    outcomes = {name: Outcome(name) for name in _of_stage(stage)}
    with _warehouse(options.db) as connection:
        fetches = {
            name: _prepare(connection, options, store, name, mark, now, web, stop) for name in names
        }
    _crawl_all(fetches, outcomes, display, stop)
    with _warehouse(options.db) as connection:
        # Of sources that were not asked for too: an earlier run may have been killed in between.
        for name, outcome in outcomes.items():
            least = _least_rows(connection, options, modules()[name].SOURCE)
            _load_source(connection, store, name, least, outcome, display)
        told = [o for o in outcomes.values() if o.source in names or o.rows or o.messages]
        if told:
            _match(connection, summary)
    for outcome in told:
        display.over(outcome)
    summary.sources += told


def _prepare(
    connection: duckdb.DuckDBPyConnection,
    options: Options,
    store: Store,
    name: str,
    mark: _Mark,
    now: datetime,
    web: Web,
    stop: threading.Event,
) -> Fetch | None:
    """What a source is to crawl; None if an earlier attempt at this run has done it."""
    source = modules()[name].SOURCE
    last = store.last_complete(name)
    if last is not None and last >= mark.started:
        return None
    wanted = _wanted(connection, source.wants, options.companies) if source.wants else []
    crawl = store.open(name, now)
    return Fetch(source, web, crawl, wanted, options.since, last is None, stop=stop)


def _wanted(
    connection: duckdb.DuckDBPyConnection, wants: str, companies: Sequence[str] | None
) -> list[dict[str, object]]:
    found = connection.execute(wants)
    names = [column[0] for column in found.description]
    rows = [dict(zip(names, row, strict=True)) for row in found.fetchall()]
    if companies is None or "company_id" not in names:
        return rows
    chosen = {company_of(connection, given) for given in companies}
    return [row for row in rows if row["company_id"] in chosen]


def company_of(connection: duckdb.DuckDBPyConnection, given: str) -> str:
    """The company_id of a company_id, NSE symbol, ISIN or BSE code.

    Raises:
        InputError: none or several companies have it.
    """
    found = connection.execute(
        "SELECT company_id FROM company WHERE company_id = $given UNION SELECT company_id FROM"
        " alias WHERE alias = $given AND kind IN ('nse_symbol', 'isin', 'bse_code') ORDER BY 1",
        {"given": given},
    ).fetchall()
    if len(found) != 1:
        raise InputError(
            f"--companies: {given!r}: expected one company of the warehouse with this id, NSE"
            f" symbol, ISIN or BSE code, found {len(found)}"
        )
    return str(found[0][0])


def _crawl_all(
    fetches: dict[str, Fetch | None],
    outcomes: dict[str, Outcome],
    display: Display,
    stop: threading.Event,
) -> None:
    at_work = {name: fetch for name, fetch in fetches.items() if fetch is not None}
    with ThreadPoolExecutor(max_workers=max(len(at_work), 1)) as pool:
        futures: list[Future[None]] = []
        for name, fetch in at_work.items():
            display.watch(name, fetch.progress)
            futures.append(pool.submit(_crawl, fetch, outcomes[name]))
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()  # a Ctrl-C, or a mistake of ours: let the threads end, keep what they have
            raise


def _crawl(fetch: Fetch, outcome: Outcome) -> None:
    """Crawl one source; what fails is noted in its outcome."""
    began = time.monotonic()
    source = fetch.source
    try:
        if source.wants and not fetch.wanted:
            outcome.state = "skipped"
            outcome.messages.append("nothing wanted: no company of the warehouse calls for it")
        else:
            modules()[source.name].crawl(fetch)
    except StoppedError:
        return
    except InputError as error:
        outcome.failed(str(error))
    except Exception as mistake:  # in the source's program: it takes nothing of the others with it
        outcome.failed(f"{source.name}: cannot be crawled: {type(mistake).__name__}: {mistake}")
    outcome.crawled(fetch)
    outcome.seconds += time.monotonic() - began
    fetch.progress.label = "crawled"
    if outcome.state != "skipped":
        fetch.crawl.finish(ok=outcome.complete)


def _load_source(
    connection: duckdb.DuckDBPyConnection,
    store: Store,
    name: str,
    min_rows: int,
    outcome: Outcome,
    display: Display,
    *,
    replaying: bool = False,
) -> None:
    """Load the crawls of a source that are not loaded to their end.

    Raises:
        InputError: in a replay, which is all or nothing: a document is damaged.
    """
    began = time.monotonic()
    progress = Progress("loading")

    def show(done: int, of: int) -> None:
        if not progress.done:
            display.watch(name, progress)
        progress.done = progress.documents = done
        progress.total = of

    folders = store.crawls(name)
    for folder in folders:
        whole = folder != folders[-1] or outcome.state != "failed"
        try:
            loaded = load(
                connection, store, name, folder, min_rows, show, whole=whole, aside=not replaying
            )
            outcome.took(loaded)
        except InputError as error:
            if replaying:
                raise
            outcome.failed(str(error))
    if folders and outcome.state in ("failed", "partial") and not replaying:
        Crawl(folders[-1], {}).finish(ok=outcome.complete)
    outcome.seconds = round(outcome.seconds + time.monotonic() - began, 2)


def _least_rows(connection: duckdb.DuckDBPyConnection, options: Options, source: Source) -> int:
    """How many rows a crawl must bring: what is declared, and for a list half of the last time.

    None are asked for where only a part was wanted; of a replica, which may be small, one row.
    """
    if options.since is not None or (options.companies is not None and source.stage > 1):
        return 0
    host = host_named(source.host)
    least = source.expect.min_rows if base_url(host) == host.base_url else 1
    if source.stage > 1 or not source.expect.whole:
        return least
    last = one_row(
        connection,
        "SELECT rows FROM crawl WHERE source = ? ORDER BY crawl DESC LIMIT 1",
        [source.name],
    )
    return max(least, last[0] // 2) if last else least


def _match(connection: duckdb.DuckDBPyConnection, summary: Summary) -> None:
    review = data_dir() / "review" / "matches.csv"
    with transaction(connection):
        resolved = resolve(connection, review)
    write_review(connection, review)
    summary.notices = resolved.notices
    summary.matched = {
        "companies": resolved.companies,
        "certain": resolved.certain,
        "probable": resolved.probable,
        "ambiguous": resolved.ambiguous,
        "events": resolved.events,
    }


def _finish(db: Path | None, summary: Summary, began: float) -> None:
    """Check the data, and write the summary to `runs/` and to the table run."""
    with _warehouse(db) as connection:
        if any(o.new or o.changed for o in summary.sources):  # else the last results stand
            run_checks(connection)
        failed = connection.execute(
            "SELECT check_name, count(*) FROM check_failure GROUP BY ALL ORDER BY ALL"
        )
        summary.failed_checks = dict(failed.fetchall())
        by_source = _failed_checks(connection)
        for outcome in summary.sources:
            outcome.failed_checks = by_source.get(outcome.source, 0)
        summary.fingerprint = warehouse_store.fingerprint(connection)
        summary.seconds = round(time.monotonic() - began, 2)
        connection.execute(
            "INSERT INTO run VALUES (?, ?, ?, ?)",
            [
                summary.started_at.replace(tzinfo=None),
                datetime.now(UTC).replace(tzinfo=None),
                summary.command,
                summary.as_json(),
            ],
        )
    content = summary.as_json().encode()
    name = f"scraping-{summary.started_at:%Y%m%dT%H%M%SZ}.json"
    write_whole(data_dir() / "runs" / name, lambda draft: draft.write_bytes(content))


def _failed_checks(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    """Failed data checks of company-years to which a source gave a figure, by source."""
    found = connection.execute(
        "SELECT told.source, count(*) FROM check_failure JOIN ("
        "SELECT DISTINCT snapshot.source, company_id, fiscal_year_end, basis"
        " FROM statement_line JOIN snapshot USING (snapshot_id)"
        " WHERE snapshot.source IS NOT NULL) told USING (company_id, fiscal_year_end, basis)"
        " GROUP BY told.source"
    )
    return dict(found.fetchall())


def replay(options: Options, display: Display | None = None) -> Summary:
    """Rebuild what came from sources out of the stored documents, without a network.

    What users imported stays. It is done on a copy that takes the warehouse's place at the end: all
    or nothing, and memory does not grow with the data.

    Raises:
        InputError: another run is at work; the warehouse cannot be opened; a document is damaged.
    """
    display = display or Quiet()
    began, summary = time.monotonic(), Summary("scraping --replay", datetime.now(UTC))
    path = warehouse_store.warehouse_path(options.db)
    draft = path.with_name(f"{path.name}.replay")
    with only_run():
        with _warehouse(options.db) as connection:  # held, so that nobody writes meanwhile
            connection.execute("CHECKPOINT")
            shutil.copyfile(path, draft)
            try:
                _rebuild(draft, display, summary)
                _finish(draft, summary, began)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise
        draft.replace(path)
    return summary


def _rebuild(draft: Path, display: Display, summary: Summary) -> None:
    """Load every stored document into a warehouse from which all scraped rows are deleted."""
    store = raw_store()
    with _warehouse(draft) as connection:
        with transaction(connection):
            warehouse_store.forget_scraped(connection)
        for stage in STAGES:
            for name in _of_stage(stage):
                outcome = Outcome(name)
                # A crawl of too few rows was put aside when it was made.
                _load_source(connection, store, name, 0, outcome, display, replaying=True)
                display.over(outcome)
                summary.sources.append(outcome)
            _match(connection, summary)
