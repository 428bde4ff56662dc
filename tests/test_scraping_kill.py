"""Killed at any moment and started again, a run ends as if nothing had happened."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from replica import Replica, replica

from warehouse import exports, store
from warehouse.store import one_row

pytestmark = pytest.mark.slow

SOURCES = (
    "ibbi_announcements", "nse_indices", "nse_listings", "bse_scrips", "worldbank",
    "ibbi_processes", "moneycontrol_codes", "nse_results", "moneycontrol_pages", "nse_xbrl",
)  # fmt: skip
COMPANIES = "INE9Z00,INE9Z01"


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with replica(companies=20, others=12, page_kilobytes=4) as running:
        yield running


def start(site: Replica, data: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "scraping", *SOURCES, "--companies", COMPANIES, *more],
        env={
            **os.environ, **site.env, "BANKRUPTCY_DATA": str(data), "OGD_API_KEY": "made-up",
            "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )  # fmt: skip


def to_its_end(site: Replica, data: Path, *more: str) -> str:
    run = start(site, data, *more)
    out, _ = run.communicate(timeout=120)
    assert run.returncode == 0, out
    return out


KILLS = 20


def fingerprint(data: Path) -> str:
    with store.connect(data / "warehouse.duckdb", read_only=True) as connection:
        row = one_row(connection, "SELECT count(*) FROM statement_line")
        assert row is not None
        assert row[0] > 500, "there must be something to lose"
        return store.fingerprint(connection)


def test_kills_leave_the_warehouse_of_an_undisturbed_run(site: Replica, tmp_path: Path) -> None:
    """Up to five kills in a row, at random moments, then a run to its end."""
    began = time.monotonic()
    to_its_end(site, tmp_path / "undisturbed")
    lasts = time.monotonic() - began
    expected = fingerprint(tmp_path / "undisturbed")
    moments = random.Random(KILLS)
    for turn in range(0, KILLS, 5):
        data = tmp_path / str(turn)
        killed = 0
        while killed < 5:
            run = start(site, data)
            try:
                run.wait(timeout=moments.uniform(0.2, 0.7) * lasts)
            except subprocess.TimeoutExpired:
                os.killpg(run.pid, signal.SIGKILL)  # the processes of the run that we started
                killed += 1
            run.communicate()
            assert run.returncode in (-signal.SIGKILL, 0)
        out = to_its_end(site, data)
        assert fingerprint(data) == expected, out


def test_a_replay_gives_the_same_warehouse_and_asks_no_one(site: Replica, tmp_path: Path) -> None:
    data = tmp_path / "data"
    to_its_end(site, data)
    before, asked = fingerprint(data), len(site.requests)
    for _ in range(2):  # into a new warehouse, and into one that has it all
        ran = subprocess.run(
            [sys.executable, "-m", "scraping", "--replay", "--db", str(tmp_path / "again.duckdb")],
            env={
                **os.environ, "BANKRUPTCY_DATA": str(data),
                "PYTHONPATH": str(Path(__file__).resolve().parents[1]),
            },
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr
        with store.connect(tmp_path / "again.duckdb", read_only=True) as connection:
            assert store.fingerprint(connection) == before
    assert len(site.requests) == asked
    first = exported(data / "warehouse.duckdb", tmp_path / "first")
    assert exported(tmp_path / "again.duckdb", tmp_path / "again") == first
    assert {"statements.parquet", "events.parquet", "companies.parquet"} <= set(first)


def exported(db: Path, folder: Path) -> dict[str, bytes]:
    """The files of an export, byte for byte."""
    with store.connect(db, read_only=True) as connection:
        exports.export(connection, folder, None)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_two_runs_at_once_are_refused(site: Replica, tmp_path: Path) -> None:
    data = tmp_path / "data"
    site.arm("slow_drip", "EQUITY_L", 1)
    first = start(site, data)
    try:
        lock = data / "scraping.lock"
        for _ in range(300):
            if lock.exists() and (data / "raw" / "nse_listings").exists():
                break
            time.sleep(0.05)
        second = start(site, data)
        out, _ = second.communicate(timeout=60)
        assert second.returncode == 2
        assert "another run of python -m scraping is at work" in out
        assert "Traceback" not in out
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.communicate()
        site.disarm()
    third = start(site, data, "--dry-run")
    out, _ = third.communicate(timeout=60)
    assert third.returncode == 0, out
