"""The database file: missing, damaged, foreign, newer, held by another, and killed in a load."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from conftest import REPO, Command, contents, loaded, write_csv, year_rows

from warehouse import store

pytestmark = pytest.mark.slow

COMMANDS = ("import", "check", "info", "init", "export")


def arguments(command: str, folder: Path) -> list[object]:
    if command == "import":
        return [write_csv(folder / "s.csv", year_rows("acme", "2020-03-31", {"cash": 1}))]
    return [folder / "out"] if command == "export" else []


def filled(db: Path) -> None:
    with store.connect(db, create=True) as connection:
        connection.execute(
            "INSERT INTO statement_line BY NAME SELECT 'calm' || i AS company_id,"
            " DATE '2019-03-31' AS fiscal_year_end, 'unstated' AS basis, 'cash' AS item,"
            " i AS value, 'INR' AS unit, 12 AS months, 'file' AS source, 'reported' AS note,"
            " 1 AS snapshot_id, i AS row_number FROM range(2000) t(i)"
        )


def newer(db: Path) -> None:
    filled(db)
    with duckdb.connect(str(db)) as connection:
        connection.execute("INSERT INTO schema_version VALUES (99, NULL)")


def foreign(db: Path) -> None:
    with duckdb.connect(str(db)) as connection:
        connection.execute("CREATE TABLE recipe (name VARCHAR)")


def foreign_schema(db: Path) -> None:
    with duckdb.connect(str(db)) as connection:
        connection.execute("CREATE SCHEMA kitchen; CREATE TABLE kitchen.recipe (name VARCHAR)")


def cut_short(db: Path) -> None:
    filled(db)
    data = db.read_bytes()
    db.write_bytes(data[: len(data) // 2])


def data_cut_off(db: Path) -> None:
    """What is left of it opens; rows of a table are gone."""
    rows = year_rows("calm", "2019-03-31", {"cash": 1})
    with loaded(db, write_csv(db.with_name("calm.csv"), rows)) as connection:
        store.run_checks(connection)
    data = db.read_bytes()
    db.write_bytes(data[: len(data) * 9 // 10])


def scrambled(db: Path) -> None:
    filled(db)
    data = bytearray(db.read_bytes())
    data[20_000::100] = bytes(byte ^ 0x55 for byte in data[20_000::100])
    db.write_bytes(data)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "text": (lambda db: db.write_text("hello " * 1000), "expected a DuckDB database file"),
    "empty": (lambda db: db.touch(), "expected a DuckDB database file"),
    "folder": (lambda db: db.mkdir(), "expected a DuckDB database file"),
    "another program's": (foreign, "not a warehouse of this program"),
    "another program's, in a schema": (foreign_schema, "not a warehouse of this program"),
    "newer": (newer, "schema version 99, but this program knows versions up to 3"),
    "cut short": (cut_short, ""),
    "data cut off": (data_cut_off, ""),
    "scrambled": (scrambled, ""),
}


def one_line(err: str, db: Path, said: str) -> None:
    assert len(err.splitlines()) == 1
    assert err.startswith("error: ")
    assert str(db) in err
    assert said in err


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_database_is_named_and_left_alone(
    kind: str, cli: Command, db: Path, tmp_path: Path
) -> None:
    make, said = BROKEN[kind]
    make(db)
    before = db.read_bytes() if db.is_file() else None
    for command in COMMANDS:
        if (kind, command) == ("data cut off", "init"):
            continue  # it reads nothing of what is gone
        ran = cli("warehouse", command, *arguments(command, tmp_path), "--db", db)
        assert ran.code == 2, command
        one_line(ran.err, db, said)
    assert (db.read_bytes() if db.is_file() else None) == before


@pytest.mark.parametrize("command", ["check", "info", "export"])
def test_missing_database_is_not_made(command: str, cli: Command, db: Path, tmp_path: Path) -> None:
    ran = cli("warehouse", command, *arguments(command, tmp_path), "--db", db)
    assert ran.code == 2
    one_line(ran.err, db, "make one with: python -m warehouse init")
    assert not db.exists()


def test_database_below_a_file(cli: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    db = file / "w.duckdb"
    for command in ("init", "import"):
        ran = cli("warehouse", command, *arguments(command, tmp_path), "--db", db)
        assert ran.code == 2
        one_line(ran.err, file, "")


def test_init_makes_and_says_so(cli: Command, db: Path) -> None:
    ran = cli("warehouse", "init", "--db", db)
    assert (ran.code, ran.out) == (0, f"{db}: made at schema version 3\n")
    ran = cli("warehouse", "init", "--db", db)
    assert (ran.code, ran.out) == (0, f"{db}: is at schema version 3\n")


@pytest.mark.parametrize("version", [1, 2])
def test_a_warehouse_of_an_older_version_keeps_its_rows(
    version: int, cli: Command, db: Path, repo: Path
) -> None:
    with duckdb.connect(str(db)) as old:
        for script in ("schema.sql", "schema_2.sql")[:version]:
            old.execute((repo / "warehouse" / script).read_text(encoding="utf-8"))
        # What is a macro now was a view then.
        old.execute("CREATE VIEW company_kind AS SELECT company_id FROM company")
        old.execute("CREATE TABLE schema_version (version INTEGER, views_sha256 VARCHAR)")
        old.execute("INSERT INTO schema_version VALUES (?, '')", [version])
        old.execute(
            "INSERT INTO snapshot (sha256, kind, name, bytes, rows)"
            " VALUES ('ab', 'statements', 's.csv', 9, 1)"
        )
        old.execute(
            "INSERT INTO statement_line VALUES ('calm', '2019-03-31', 'unstated', 'cash', 7,"
            " 'INR', 12, 'file', 'reported', NULL, 1, 2)"
        )
    assert cli("warehouse", "init", "--db", db).out == f"{db}: is at schema version 3\n"
    with store.connect(db, read_only=True) as connection:
        assert store.one_row(
            connection,
            "SELECT s.cash, n.sha256, n.source FROM statements s, snapshot n",
        ) == (7, "ab", None)
        assert store.one_row(connection, "SELECT restated_on FROM statement_line") == (None,)
        assert store.one_row(connection, "SELECT count(*) FROM company_kind('statements')") == (0,)
    more = write_csv(db.parent / "more.csv", year_rows("calm", "2020-03-31", {"cash": 8}))
    assert cli("warehouse", "import", "--db", db, more).code == 0
    with store.connect(db, read_only=True) as connection:
        found = store.one_row(connection, "SELECT list(snapshot_id ORDER BY 1) FROM snapshot")
    assert found == ([1, 2],)


def test_default_place_is_the_data_folder(
    cli: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_DATA", str(tmp_path / "elsewhere"))
    assert cli("warehouse", "init").code == 0
    assert (tmp_path / "elsewhere" / "warehouse.duckdb").is_file()
    monkeypatch.delenv("BANKRUPTCY_DATA")
    assert store.warehouse_path(None) == Path("data/warehouse.duckdb")
    assert store.warehouse_path(Path("x.duckdb")) == Path("x.duckdb")


def test_database_held_by_another_process(
    cli: Command, db: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_WAIT_SECONDS", "0")
    filled(db)
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, duckdb; c = duckdb.connect(sys.argv[1]); print('held', flush=True);"
            " sys.stdin.read()",
            str(db),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with holder:
        assert holder.stdout.readline() == "held\n"
        for command in COMMANDS:
            ran = cli("warehouse", command, *arguments(command, tmp_path), "--db", db)
            assert ran.code == 2, command
            one_line(ran.err, db, "another process holds this warehouse")
        holder.stdin.close()
        holder.wait(timeout=20)
    assert cli("warehouse", "info", "--db", db).code == 0


def test_two_readers_at_once(db: Path) -> None:
    filled(db)
    code = (
        "import sys; from pathlib import Path; from warehouse import store\n"
        "with store.connect(Path(sys.argv[1]), read_only=True) as c:\n"
        "    print(c.execute('SELECT count(*) FROM statements').fetchone()[0])"
    )
    with store.connect(db, read_only=True):
        done = subprocess.run(
            [sys.executable, "-c", code, str(db)],
            cwd=REPO, capture_output=True, text=True, check=True,
        )  # fmt: skip
    assert done.stdout == "2000\n"


# The load stops itself by SIGKILL right before the statement of this number is executed; every
# statement of the program goes through the connection that it opens.
KILLED_LOAD = """
import os, signal, sys
import duckdb
from pathlib import Path

class Counting:
    left = int(sys.argv[3])

    def __init__(self, connection):
        self.connection = connection

    def execute(self, sql, *parameters):
        Counting.left -= 1
        if Counting.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        if "COMMIT" in sql:
            print(os.linesep.join(("commit", str(int(sys.argv[3]) - Counting.left))), flush=True)
        return self.connection.execute(sql, *parameters)

    def __getattr__(self, name):
        return getattr(self.connection, name)

opened = duckdb.connect
duckdb.connect = lambda *a, **k: Counting(opened(*a, **k))
from warehouse import importers, store
with store.connect(Path(sys.argv[1])) as connection:
    importers.import_files(connection, [Path(sys.argv[2])])
"""


def load_and_die(db: Path, file: Path, at: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", KILLED_LOAD, str(db), str(file), str(at)],
        cwd=REPO, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_killed_load_leaves_the_old_state(tmp_path: Path, cli: Command) -> None:
    rows = [
        row
        for company in range(1000)
        for row in year_rows(f"new {company}", "2020-03-31", {"cash": 1, "sales": company})
    ]
    file = write_csv(tmp_path / "large.csv", rows)
    db = tmp_path / "w.duckdb"
    filled(db)
    before = contents(db)
    old = db.read_bytes()

    # Undisturbed: where the load commits. The last commit is that of the file.
    done = load_and_die(db, file, 10**6)
    assert done.returncode == 0, done.stderr
    commit = int(done.stdout.split()[-1])
    assert len(contents(db)["statement_line"]) == 2000 + 2000
    assert commit > 8

    # Killed early in the load, among the inserts, and right before the commit.
    for at in (commit - 6, commit - 3, commit):
        db.write_bytes(old)
        db.with_suffix(".duckdb.wal").unlink(missing_ok=True)
        done = load_and_die(db, file, at)
        assert done.returncode == -9, done.stderr
        assert contents(db) == before, f"killed before statement {at}"
    assert cli("warehouse", "import", file, "--db", db).code == 0
    assert len(contents(db)["statement_line"]) == 2000 + 2000
