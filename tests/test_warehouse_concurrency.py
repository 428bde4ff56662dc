"""Two processes at one warehouse, a full disk, a killed import: real processes, real files."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from conftest import REPO, Command, Ran, contents, rows_of, write_csv, year_rows

from warehouse import opening, store
from warehouse.errors import InputError
from warehouse.importers import import_files

pytestmark = pytest.mark.slow

fcntl = pytest.importorskip("fcntl", reason="needs SIGKILL and the locks of POSIX")
resource = pytest.importorskip("resource", reason="needs SIGKILL and the locks of POSIX")

PATIENCE = 100  # seconds that a command waits for a held warehouse: the machine may be busy
ITEMS = ("cash", "sales", "total_assets", "inventories", "net_profit")
HOLD = """
import sys, duckdb
held = duckdb.connect(sys.argv[1], read_only=sys.argv[2] == "read")
print("held", flush=True)
while sys.stdin.read(1):
    print(held.execute("SELECT count(*) FROM statement_line").fetchone()[0], flush=True)
"""


def statements(path: Path, company: str, rows: int) -> Path:
    """A Parquet file of `rows` rows, five items a year."""
    each = range(rows)
    table = pa.table(
        {
            "company_id": [f"{company} {i // 50}" for i in each],
            "fiscal_year_end": [f"{2010 + i // 5 % 10}-03-31" for i in each],
            "item": [ITEMS[i % 5] for i in each],
            "value": [float(i) for i in each],
        }
    )
    pa_parquet.write_table(table, path)
    return path


def start(*arguments: object, wait: float = PATIENCE, **more: object) -> subprocess.Popen[str]:
    """Start `python -m ARGUMENT...`; it waits `wait` seconds for a held warehouse."""
    return subprocess.Popen(
        [sys.executable, *(str(a) for a in ("-m", *arguments))],
        env={**os.environ, "PYTHONPATH": str(REPO), "BANKRUPTCY_WAIT_SECONDS": str(wait)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **more,
    )  # type: ignore[call-overload]


def ended(process: subprocess.Popen[str]) -> Ran:
    """What a process did; it ended well, or with one line that says what is wrong."""
    out, err = process.communicate(timeout=2 * PATIENCE)
    assert "Traceback" not in err
    assert process.returncode in (0, 2), err
    told = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(told) == (process.returncode == 2), err
    return Ran(process.returncode, out, err)


@contextmanager
def held(db: Path, how: str) -> Iterator[subprocess.Popen[str]]:
    """A process that holds the file for writing or reading until its input is closed."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(db), how],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        yield holder


def first_line(process: subprocess.Popen[str]) -> str:
    """The first line that a process writes to its stderr."""
    assert process.stderr is not None
    return process.stderr.readline()


def let_go(holder: subprocess.Popen[str]) -> None:
    assert holder.stdin is not None
    holder.stdin.close()


def load(db: Path, *files: Path) -> None:
    """What `python -m warehouse import` does, in this process."""
    with store.connect(db, create=True) as connection, store.transaction(connection):
        import_files(connection, files)
        store.run_checks(connection)


def cells(db: Path) -> int:
    with store.connect(db, read_only=True) as connection:
        row = store.one_row(connection, "SELECT count(*) FROM statement_line")
    return int(row[0]) if row else -1


def fingerprint(db: Path) -> str:
    with store.connect(db, read_only=True) as connection:
        return store.fingerprint(connection)


def copied(db: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return Path(shutil.copy(db, folder / db.name))


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BANKRUPTCY_WAIT_SECONDS", str(PATIENCE))


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Made-up statements: two small files and one whose import takes a second."""
    folder = tmp_path_factory.mktemp("files")
    return {
        "small": statements(folder / "small.parquet", "small", 2_000),
        "other": statements(folder / "other.parquet", "other", 3_000),
        "large": statements(folder / "large.parquet", "large", 60_000),
        "bad": write_csv(folder / "bad.csv", year_rows("bad", "2020-03-31", {"cash": "much"})),
    }


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]) -> Path:
    """A warehouse that holds the small file: tests copy it."""
    db = tmp_path_factory.mktemp("made") / "warehouse.duckdb"
    load(db, files["small"])
    return db


@pytest.fixture
def old(made: Path, tmp_path: Path) -> Path:
    """A copy of the warehouse that holds the small file."""
    return copied(made, tmp_path)


# Waiting for a process that holds the warehouse.


@pytest.mark.parametrize("how", ["write", "read"])
def test_a_command_waits_for_the_holder_and_says_so_once(how: str, old: Path) -> None:
    """A reader waits for a writer, which is killed: its lock is gone; a writer for a reader."""
    with held(old, how) as holder:
        waiting = start("warehouse", "info" if how == "write" else "init", "--db", old)
        said = first_line(waiting)
        if how == "write":
            holder.kill()
        else:
            let_go(holder)
    assert said == f"another process (PID {holder.pid}) holds {old}; waiting up to {PATIENCE} s\n"
    ran = ended(waiting)
    assert (ran.code, ran.err) == (0, "")


@pytest.mark.parametrize(("wait", "said"), [("0.5", " after 0.5 s; "), ("0", "; ")])
def test_waiting_is_bounded(
    wait: str, said: str, old: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_WAIT_SECONDS", wait)
    with held(old, "write") as holder:
        began = time.monotonic()
        ran = cli("warehouse", "info", "--db", old)
        took = time.monotonic() - began
        let_go(holder)
    assert ran.code == 2
    *waiting, last = ran.err.splitlines()
    assert len(waiting) == (wait != "0")
    assert last == (
        f"error: {old}: another process holds this warehouse (PID {holder.pid}){said}wait for it"
        " or stop it, or set BANKRUPTCY_WAIT_SECONDS to wait longer"
    )
    assert took < float(wait) + 5


@pytest.mark.parametrize("given", ["a while", "-1", "nan", "inf", "1e9", "30s"])
def test_nonsense_seconds_are_refused(
    given: str, old: Path, cli: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_WAIT_SECONDS", given)
    ran = cli("warehouse", "info", "--db", old)
    assert ran.code == 2
    assert ran.err == (
        f"error: BANKRUPTCY_WAIT_SECONDS: expected seconds from 0 to 86,400, got {given!r}\n"
    )


def test_seconds_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for given, seconds in (("0", 0), ("2.5", 2.5), ("86400", 86_400), ("", 30)):
        monkeypatch.setenv("BANKRUPTCY_WAIT_SECONDS", given)
        assert opening.seconds_to_wait() == seconds
    monkeypatch.delenv("BANKRUPTCY_WAIT_SECONDS")
    assert opening.seconds_to_wait() == 30


# DuckDB's words on other systems, as users of them reported them; the PID of the last is ours.
WINDOWS = 'IO Error: Cannot open file "E:\\w.duckdb": {said}\n\n\nFile is already open in \n{by}'
ELSEWHERE = (
    WINDOWS.format(said="进程无法访问。", by="D:\\Program Files (x86)\\DBX\\dbx.exe (PID 3528)"),
    'IO Error: Could not set lock on file "/tmp/some.db": Conflicting lock is held in'
    " /opt/homebrew/Cellar/duckdb/0.9.2/bin/duckdb (PID 3528) by user hannes. See also https://d",
)


def test_the_words_of_other_systems_are_understood() -> None:
    for text in ELSEWHERE:
        fault = opening.opening_fault("w.duckdb", duckdb.IOException(text))
        assert isinstance(fault, opening.HeldError), text
        assert fault.pid == 3528
    by = f"C:\\ruby.exe (PID {os.getpid()})"
    text = WINDOWS.format(said="It is being used by another process.", by=by)
    fault = opening.opening_fault("w.duckdb", duckdb.IOException(text))
    assert not isinstance(fault, opening.HeldError)
    assert "this process has the warehouse open already" in str(fault)


@pytest.mark.parametrize("name", ["warehouse.duckdb", "link.duckdb"])
def test_one_process_that_opens_a_file_in_two_ways_is_told(name: str, old: Path) -> None:
    (old.parent / "link.duckdb").symlink_to(old)
    with (
        store.connect(old),
        pytest.raises(InputError, match="this process has the warehouse open already") as caught,
        store.connect(old.parent / name, read_only=True),
    ):
        pass
    assert not isinstance(caught.value, opening.HeldError)
    with store.connect(old.parent / name, read_only=True):
        pass


def test_the_words_of_a_path_are_no_fault(tmp_path: Path, cli: Command) -> None:
    folder = tmp_path / "Conflicting lock is held in (PID 12)" / "No space left, WAL file"
    folder.mkdir(parents=True)
    db = folder / "warehouse.duckdb"
    db.write_text("hello " * 1000)
    ran = cli("warehouse", "info", "--db", db)
    assert ran.code == 2
    assert ran.err.startswith(f"error: {db}: expected a DuckDB database file, got something else")


# Readers beside a writer, and two writers.


def wait_until_held(db: Path) -> None:
    """Return when another process holds the file for writing."""
    until = time.monotonic() + PATIENCE
    with db.open("rb") as file:
        while time.monotonic() < until:
            try:
                fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return
            fcntl.lockf(file, fcntl.LOCK_UN)
            time.sleep(0.02)
    raise AssertionError("nobody came to hold the file")


def test_readers_beside_an_import(
    old: Path, files: dict[str, Path], tmp_path: Path, cli: Command
) -> None:
    writer = start("warehouse", "import", files["large"], "--db", old)
    panel = start("features", "--db", old, "--out", tmp_path / "panel.parquet")
    wait_until_held(old)
    info = cli("warehouse", "info", "--db", old)
    assert info.err.startswith(f"another process (PID {writer.pid}) holds {old}; waiting")
    assert "62,000" in info.out
    assert cells(old) == 62_000
    assert ended(writer).code == 0
    # The made-up companies cannot be labelled: the command says so, having read them.
    assert "statements rows" in ended(panel).err


def test_an_import_waits_for_a_long_read(old: Path, files: dict[str, Path]) -> None:
    with held(old, "read") as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        writer = start("warehouse", "import", files["other"], "--db", old)
        assert f"waiting up to {PATIENCE} s" in first_line(writer)
        # Readers go on reading, and more of them come.
        for _ in range(3):
            reader.stdin.write("?")
            reader.stdin.flush()
            assert reader.stdout.readline() == "2000\n"
            assert cells(old) == 2_000
        assert writer.poll() is None
        let_go(reader)
        assert ended(writer).code == 0
    assert cells(old) == 5_000


def test_two_imports_at_once_are_both_loaded(
    files: dict[str, Path], tmp_path: Path, old: Path
) -> None:
    """Into a new warehouse; the file that both load is there once."""
    db = tmp_path / "new" / "warehouse.duckdb"
    both = [
        start("warehouse", "import", files[first], files[second], "--db", db)
        for first, second in (("other", "small"), ("small", "small"))
    ]
    assert [ended(each).code for each in both] == [0, 0]
    load(old, files["other"])
    assert fingerprint(db) == fingerprint(old)


def test_of_two_imports_that_do_not_wait_one_may_be_refused(
    old: Path, files: dict[str, Path]
) -> None:
    names = ("large", "other")
    both = [start("warehouse", "import", files[f], "--db", old, wait=0) for f in names]
    ran = [ended(each) for each in both]
    assert 0 in [each.code for each in ran]
    for each in ran:
        assert (each.code == 2) == ("another process holds this warehouse (PID" in each.err)
    new = {"large": 60_000, "other": 3_000}
    assert cells(old) == 2_000 + sum(
        new[name] for name, each in zip(names, ran, strict=True) if each.code == 0
    )


# Puts a warehouse that it holds where none is, as soon as there is the folder for it.
APPEAR = """
import os, sys, duckdb
held = duckdb.connect(sys.argv[1])
held.execute("SELECT 1").fetchall()
print("ready", flush=True)
while True:
    try:
        os.link(sys.argv[1], sys.argv[2])
        break
    except FileNotFoundError:
        pass
    except FileExistsError:
        sys.exit("late")
sys.stdin.read()
"""


@pytest.mark.parametrize(("wait", "file"), [("0", "other"), ("100", "bad")])
def test_a_failed_import_deletes_no_warehouse_of_another_process(
    wait: str, file: str, old: Path, files: dict[str, Path], cli: Command, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """None was there when the import began; one is when it fails: another import made it."""
    monkeypatch.setenv("BANKRUPTCY_WAIT_SECONDS", wait)
    for turn in range(20):
        db = tmp_path / f"turn {turn}" / "warehouse.duckdb"
        other = subprocess.Popen(
            [sys.executable, "-c", APPEAR, str(old), str(db)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == "ready\n"
        later = threading.Timer(1, let_go, [other])
        later.start()
        ran = cli("warehouse", "import", files[file], "--db", db)
        later.join()
        said = other.stderr.read() if other.stderr else ""
        with other:
            pass
        if said != "late\n" and "another process" in ran.err:
            assert ran.code == 2
            assert cells(db) == 2_000
            return
    pytest.skip("the other process was always late: too busy a machine")


class Replacing(Mapping[str, str]):
    """Settings that, read for the first time, put another file in the place of the database."""

    def __init__(self, db: Path) -> None:
        self.db, self.read = db, 0

    def __getitem__(self, name: str) -> str:
        return "1"

    def __len__(self) -> int:
        return 1

    def __iter__(self) -> Iterator[str]:
        self.read += 1
        if self.read == 1:
            self.db.with_name("other").replace(self.db)
        return iter(["threads"])


def test_a_file_replaced_while_it_is_opened_is_opened_anew(made: Path, tmp_path: Path) -> None:
    """Rows written to a file that has no name any more would be lost without a word."""
    db = copied(made, tmp_path)
    shutil.copy(made, tmp_path / "other")
    settings = Replacing(db)
    opening.open_database(str(db), read_only=False, config=settings, wait=5).close()
    assert settings.read == 2


# A full disk.


def exclusive_disk(folder: Path, size: str) -> None:
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 24 MB of its own."""
    if shutil.which("mount") is None:
        pytest.skip("no small disk can be mounted here: there is no mount")
    folder = tmp_path / "disk"
    folder.mkdir()
    exclusive_disk(folder, "24m")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def fill(disk: Path, leave: int) -> Path:
    """A file that leaves so many bytes of a disk free."""
    ballast = disk / "ballast"
    free = shutil.disk_usage(disk).free
    ballast.write_bytes(bytes(max(free - leave, 0)))
    return ballast


def one_line(ran: Ran, *said: str) -> None:
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1, ran.err
    assert ran.err.startswith("error: ")
    for words in said:
        assert words in ran.err


@pytest.mark.parametrize("leave", [0, 40_000, 1_000_000])
def test_import_on_a_full_disk_changes_nothing(
    leave: int, disk: Path, made: Path, files: dict[str, Path], cli: Command
) -> None:
    """Full before the log is written, amid it, and amid the rows of a large file."""
    file = files["large" if leave > 100_000 else "other"]
    db = copied(made, disk)
    before = contents(db)
    ballast = fill(disk, leave)
    one_line(cli("warehouse", "import", file, "--db", db), f"{db}: the disk is full")
    assert contents(db) == before  # opens while the disk is full, too
    ballast.unlink()
    assert contents(db) == before
    assert cli("warehouse", "import", file, "--db", db).code == 0
    assert cells(db) == (62_000 if leave > 100_000 else 5_000)


def test_import_into_a_new_warehouse_on_a_full_disk(
    disk: Path, files: dict[str, Path], cli: Command
) -> None:
    db = disk / "warehouse.duckdb"
    for leave in (0, 40_000, 90_000):
        ballast = fill(disk, leave)
        one_line(cli("warehouse", "import", files["other"], "--db", db), "the disk is full")
        ballast.unlink()
        assert not db.exists()
    assert cli("warehouse", "import", files["other"], "--db", db).code == 0
    assert cells(db) == 3_000


def no_larger_than(size: int) -> Callable[[], None]:
    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize(
    ("size", "code"),
    [(0, 2), (100_000, 2), (1_000_000, 0)],
)
def test_import_that_may_write_no_more(
    size: int, code: int, old: Path, files: dict[str, Path], cli: Command
) -> None:
    """No byte; half of the log; all of the log, but not its rows into the file when it closes."""
    before = contents(old)
    assert old.stat().st_size > size
    ran = ended(
        start("warehouse", "import", files["other"], "--db", old, preexec_fn=no_larger_than(size))
    )
    assert ran.code == code, ran.err
    if code:
        one_line(ran, f"{old}: the disk is full or a limit on file sizes is reached")
        assert contents(old) == before
        assert cli("warehouse", "import", files["other"], "--db", old).code == 0
    else:
        assert old.with_name("warehouse.duckdb.wal").stat().st_size > 100_000
    assert cells(old) == 5_000


def whole(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_export_on_a_full_disk_leaves_whole_files(
    disk: Path, old: Path, files: dict[str, Path], cli: Command
) -> None:
    out = disk / "out"
    assert cli("warehouse", "export", out, "--db", old).err.startswith("no panel")
    before = whole(out)
    load(old, files["other"])
    ballast = fill(disk, 8_192)
    one_line(cli("warehouse", "export", out, "--db", old), str(out), "No space left on device")
    assert whole(out) == before
    ballast.unlink()
    assert cli("warehouse", "export", out, "--db", old).err.startswith("no panel")
    after = whole(out)
    assert set(after) == set(before)
    assert after["statements.parquet"] != before["statements.parquet"]


@pytest.mark.parametrize("name", ["panel.parquet", "panel.csv"])
def test_panel_on_a_full_disk_leaves_the_old_one(name: str, disk: Path, cli: Command) -> None:
    out = disk / name
    out.write_text("the panel of yesterday")
    fill(disk, 8_192)
    demo = ("--demo", "--companies", "20")
    one_line(cli("features", *demo, "--out", out), str(out), "No space left on device")
    assert sorted(path.name for path in disk.iterdir()) == sorted(["ballast", name])
    assert out.read_text() == "the panel of yesterday"


@pytest.mark.parametrize("command", [["warehouse", "export"], ["features", "--out"]])
def test_output_that_may_write_no_more(command: list[str], old: Path, tmp_path: Path) -> None:
    out = tmp_path / "out" / "x"
    more = ["--db", old] if command[0] == "warehouse" else ["--demo", "--companies", "20"]
    process = start(*command, out, *more, preexec_fn=no_larger_than(2_000))
    one_line(ended(process), str(out), "File too large")
    assert not [path for path in out.parent.rglob("*") if path.is_file()]


# A killed process, and what it leaves.

# Kills itself so many seconds after a step has begun, or says how long the step takes.
KILLED = """
import os, signal, sys, threading, time
from pathlib import Path
from warehouse import store
from warehouse.importers import import_files

db, file, step, after = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], float(sys.argv[4])

def begin():
    if after >= 0:
        killer = threading.Timer(after, os.kill, (os.getpid(), signal.SIGKILL))
        killer.daemon = True
        killer.start()
    return time.monotonic()

began = begin() if step == "migration" else 0
with store.connect(db) as connection:
    if step == "migration":
        print(time.monotonic() - began)
        sys.exit()
    import_files(connection, [file])
    began = begin()
    connection.execute("CHECKPOINT")
    print(time.monotonic() - began)
"""


def killed(db: Path, file: Path, step: str, after: float) -> float:
    """Run the step, killed after so many seconds; how long it took where it was not killed."""
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(db), str(file), step, str(after)],
        cwd=REPO, capture_output=True, text=True, timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return float(done.stdout or -1)


def version_1(db: Path) -> None:
    with duckdb.connect(str(db)) as connection:
        connection.execute((REPO / "warehouse/schema.sql").read_text(encoding="utf-8"))
        connection.execute(
            "CREATE TABLE schema_version (version INTEGER, views_sha256 VARCHAR);"
            "INSERT INTO schema_version VALUES (1, '');"
            "INSERT INTO snapshot (sha256, kind, name, bytes, rows)"
            " VALUES ('ab', 'statements', 's.csv', 9, 1);"
            "INSERT INTO statement_line SELECT 'calm', '2019-03-31', 'unstated', 'cash', i, 'INR',"
            " 12, 'file', 'reported', NULL, 1, i FROM range(5000) t(i)"
        )


def moments(parts: int, seed: int) -> list[float]:
    """One random share of a duration in each of so many equal parts of it."""
    rng = random.Random(seed)
    return [(part + rng.random()) / parts for part in range(parts)]


OFTEN = pytest.mark.parametrize("often", [12])


@OFTEN
def test_killed_amid_a_migration(often: int, tmp_path: Path, files: dict[str, Path]) -> None:
    first = tmp_path / "version 1"
    first.mkdir()
    version_1(first / "warehouse.duckdb")
    whole_one = copied(first / "warehouse.duckdb", tmp_path / "undisturbed")
    lasts = killed(whole_one, files["small"], "migration", -1)
    for turn, share in enumerate(moments(often, seed=1)):
        db = copied(first / "warehouse.duckdb", tmp_path / str(turn))
        killed(db, files["small"], "migration", share * lasts)
        with store.connect(db) as connection:
            assert rows_of(connection, "SELECT version FROM schema_version") == [
                {"version": len(store.MIGRATIONS)}
            ]
        assert fingerprint(db) == fingerprint(whole_one)
        assert cells(db) == 5_000


@OFTEN
def test_killed_amid_a_checkpoint(
    often: int, tmp_path: Path, made: Path, files: dict[str, Path]
) -> None:
    """What is committed stays, wherever its way from the log to the file was cut short."""
    whole_one = copied(made, tmp_path / "undisturbed")
    lasts = killed(whole_one, files["other"], "checkpoint", -1)
    for turn, share in enumerate(moments(often, seed=2)):
        db = copied(made, tmp_path / str(turn))
        killed(db, files["other"], "checkpoint", share * lasts)
        assert fingerprint(db) == fingerprint(whole_one)
        with store.connect(db) as connection:  # a writer, to whom both files are known
            done = import_files(connection, [files["other"], files["small"]])
            assert [each.already_there for each in done] == [True, True]
            assert store.fingerprint(connection) == fingerprint(whole_one)


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory, made: Path, files: dict[str, Path]) -> Path:
    """A warehouse of which the last import is in the log alone: its process was killed then."""
    db = copied(made, tmp_path_factory.mktemp("logged"))
    killed(db, files["other"], "checkpoint", 0)
    if not db.with_name("warehouse.duckdb.wal").exists():
        pytest.skip("the checkpoint was quicker than the kill")
    return db


def with_log(logged: Path, folder: Path) -> tuple[Path, Path]:
    db = copied(logged, folder)
    return db, Path(shutil.copy(f"{logged}.wal", f"{db}.wal"))


def test_a_reader_sees_what_only_the_log_holds_and_leaves_it(logged: Path, tmp_path: Path) -> None:
    db, log = with_log(logged, tmp_path)
    before = db.read_bytes(), log.read_bytes()
    assert cells(db) == 5_000
    assert (db.read_bytes(), log.read_bytes()) == before
    load(db)  # a writer
    assert cells(db) == 5_000


def test_a_torn_log_ends_at_its_last_commit(logged: Path, tmp_path: Path) -> None:
    size = Path(f"{logged}.wal").stat().st_size
    for cut in (0, 1, size // 2, size - 1):
        db, log = with_log(logged, tmp_path / str(cut))
        os.truncate(log, cut)
        assert cells(db) == 2_000
        with store.connect(db):
            pass
        assert cells(db) == 2_000


@pytest.mark.parametrize("fault", ["damaged", "of another file"])
def test_a_log_that_cannot_be_read_is_named_and_kept(
    fault: str, logged: Path, made: Path, tmp_path: Path, cli: Command, files: dict[str, Path]
) -> None:
    db, log = with_log(logged, tmp_path)
    if fault == "damaged":
        data = bytearray(log.read_bytes())
        data[1000:2000] = bytes(byte ^ 0x55 for byte in data[1000:2000])
        log.write_bytes(data)
    else:
        db.unlink()
        load(db, files["large"])
        shutil.copy(f"{logged}.wal", log)
    before = db.read_bytes(), log.read_bytes()
    for command in (["info"], ["import", files["small"]]):
        ran = cli("warehouse", *command, "--db", db)
        one_line(ran, f"{log}: the log that a stopped process left cannot be read", "move the .wal")
    assert (db.read_bytes(), log.read_bytes()) == before
    log.rename(tmp_path / "away")
    assert cells(db) == (2_000 if fault == "damaged" else 60_000)


def test_a_log_without_its_file_is_not_taken_for_the_next(
    logged: Path, tmp_path: Path, cli: Command, files: dict[str, Path]
) -> None:
    db, log = with_log(logged, tmp_path)
    db.unlink()
    assert cli("warehouse", "info", "--db", db).code == 2
    assert cli("warehouse", "import", files["small"], "--db", db).code == 0
    assert not log.exists()
    assert cells(db) == 2_000


@pytest.mark.parametrize("written", [0, 4096, 8192])
def test_a_file_of_which_the_making_was_cut_short(
    written: int, old: Path, cli: Command, files: dict[str, Path]
) -> None:
    """A new file gets three headers; killed amid them, an import leaves fewer."""
    os.truncate(old, written)
    one_line(
        cli("warehouse", "import", files["small"], "--db", old),
        f"{old}: expected a DuckDB database file, got one that was never finished and holds",
        "nothing; delete it",
    )
    assert old.stat().st_size == written


def test_an_import_killed_at_any_moment_leaves_all_or_nothing(
    tmp_path: Path, made: Path, files: dict[str, Path]
) -> None:
    """Twelve moments of an import of two files; then it is run again."""
    both = (files["large"], files["other"])
    undisturbed = copied(made, tmp_path / "undisturbed")
    began = time.monotonic()
    assert ended(start("warehouse", "import", *both, "--db", undisturbed)).code == 0
    lasts = time.monotonic() - began
    expected, states = fingerprint(undisturbed), set()
    for turn, share in enumerate(moments(12, seed=3)):
        db = copied(made, tmp_path / str(turn))
        run = start("warehouse", "import", *both, "--db", db, start_new_session=True)
        try:
            run.wait(timeout=(0.2 + 0.8 * share) * lasts)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)  # the process that we started
        run.communicate()
        states.add(cells(db))
        assert states <= {2_000, 65_000}
        load(db, *both)
        assert fingerprint(db) == expected
    assert 2_000 in states, "no kill came before the commit"
