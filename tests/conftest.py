"""What all tests share: paths, made-up files, warehouses, commands; and no network."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

# Several test processes share the cores; threads of each would wait for one another.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import duckdb
import pytest
from click.testing import CliRunner
from hypothesis import settings
from pytest_socket import socket_allow_hosts

from warehouse import store
from warehouse.importers import import_files

REPO = Path(__file__).resolve().parents[1]
SHARED = REPO.parent / "shared"
Row = Mapping[str, object]

# The same examples on every machine and in every run; nothing is kept between runs.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Only this machine can be reached: tests run local servers, and never call a source."""
    if item.get_closest_marker("enable_socket") is None:
        socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def _data_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the `data` folder of the checkout: each has a name of its own."""
    folder = tmp_path_factory.getbasetemp() / "data" / uuid.uuid4().hex
    monkeypatch.setenv("BANKRUPTCY_DATA", str(folder))


@pytest.fixture(scope="session")
def repo() -> Path:
    """Root of the repository."""
    return REPO


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the repository; tests that need it skip without it."""
    if not SHARED.is_dir():
        pytest.skip("no folder 'shared' beside the repository: real data is not distributed")
    return SHARED


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Path of a warehouse that is not there yet."""
    return tmp_path / "warehouse.duckdb"


@pytest.fixture(scope="session")
def worked() -> dict[str, dict[str, float]]:
    """The made-up company worked by hand: `previous_year`, `year` and `ratios`."""
    text = (REPO / "tests/fixtures/worked_example.json").read_text(encoding="utf-8")
    example = json.loads(text)
    return {
        "previous_year": example["inputs"]["previous_year"],
        "year": example["inputs"]["year"],
        "ratios": example["ratios"],
    }


def write_csv(path: Path, rows: Iterable[Row]) -> Path:
    """A CSV file of these rows; a key that a row lacks is an empty cell."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)
    return path


def year_rows(
    company: str, end: str, items: Mapping[str, object], **columns: object
) -> list[dict[str, object]]:
    """Rows of a statements file for one made-up company and year."""
    return [
        {"company_id": company, "fiscal_year_end": end, "item": item, "value": value, **columns}
        for item, value in items.items()
    ]


@contextmanager
def loaded(db: Path, *files: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """An open warehouse file that holds these files."""
    with store.connect(db, create=True) as connection:
        import_files(connection, files)
        yield connection


def rows_of(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, object]]:
    """The rows of a query as dictionaries."""
    cursor = connection.execute(sql)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def contents(db: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table of a warehouse file, in a fixed order."""
    with store.connect(db, read_only=True) as connection:
        names = connection.execute("SELECT table_name FROM duckdb_tables() ORDER BY ALL").fetchall()
        return {
            name: sorted(connection.execute(f"FROM {name}").fetchall(), key=repr)
            for (name,) in names
        }


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture
def cli() -> Command:
    """Run `python -m PACKAGE ARGUMENT...` inside this process; an escaped exception fails."""

    def run(package: str, *arguments: object) -> Ran:
        main = importlib.import_module(f"{package}.__main__").main
        result = CliRunner().invoke(main, [str(a) for a in arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return run


@pytest.fixture
def process(tmp_path: Path) -> Command:
    """Run `python ARGUMENT...` as a process of its own, away from the checkout."""

    def run(*arguments: object) -> Ran:
        done = subprocess.run(
            [sys.executable, *(str(a) for a in arguments)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(REPO)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run
