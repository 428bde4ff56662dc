"""From the sites to a leaderboard without a hand, on the replica: simulated figures throughout."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from replica import Replica, replica
from replica_cases import withdrawn

from warehouse import store
from warehouse.store import one_row

REPO = Path(__file__).resolve().parents[1]


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with replica(companies=40, others=20, page_kilobytes=10) as running:
        yield running


@pytest.fixture(scope="module")
def data(site: Replica, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder after one full run of all sources."""
    folder = tmp_path_factory.mktemp("pipeline")
    ran = command(site, folder, "scraping")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return folder


def command(
    site: Replica, data: Path, module: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        cwd=data,
        env={
            **os.environ, **site.env, "BANKRUPTCY_DATA": str(data), "OGD_API_KEY": "made-up",
            "PYTHONPATH": str(REPO), "SCRAPING_CONTACT": "tests@example.org",
        },
        capture_output=True, text=True, timeout=280, check=False,
    )  # fmt: skip


def value(data: Path, sql: str) -> int:
    with store.connect(data / "warehouse.duckdb", read_only=True) as connection:
        row = one_row(connection, sql)
    assert row is not None
    return int(row[0])


def test_every_source_brings_something(data: Path) -> None:
    newest = sorted((data / "runs").glob("scraping-*.json"))[-1]
    summary = json.loads(newest.read_text(encoding="utf-8"))
    assert summary["ok"]
    assert {o["source"]: o["rows"] for o in summary["sources"] if not o["rows"]} == {}
    assert all(o["snapshots"] and o["seconds"] for o in summary["sources"])
    assert summary["matched"]["certain"] > 5
    assert value(data, "SELECT count(*) FROM run WHERE command = 'scraping'") == 1


def test_what_was_scraped_holds_together(site: Replica, data: Path) -> None:
    checked = command(site, data, "warehouse", "check")
    assert checked.returncode == 0, checked.stdout
    assert value(data, "SELECT count(*) FROM statements") > 250


def test_only_companies_that_failed_are_matched(site: Replica, data: Path) -> None:
    """Private namesakes and voluntary liquidations are no listed company's insolvency."""
    admitted = {
        c.isin[:7]
        for c in site.world.listed
        if c.admitted is not None and c.admitted <= site.world.today
    }
    with store.connect(data / "warehouse.duckdb", read_only=True) as connection:
        found = connection.execute(
            "SELECT DISTINCT company_id FROM event WHERE usable AND company_id IS NOT NULL"
            " AND event_type = 'cirp_admission'"
        ).fetchall()
        taken_back = connection.execute(
            "SELECT company_id FROM event WHERE usable AND event_type = 'withdrawn'"
        ).fetchall()
    assert taken_back == [(withdrawn(site.world).isin[:7],)]
    matched = {company for (company,) in found} - {taken_back[0][0]}
    assert len(admitted) > 5
    assert matched == admitted, "a wrong match is worse than none"


def test_a_second_run_changes_nothing_and_fetches_no_filing_twice(
    site: Replica, data: Path
) -> None:
    asked = len(site.requests)
    before = value(data, "SELECT count(*) FROM statement_line")
    ran = command(site, data, "scraping", "nse_listings", "nse_xbrl", "ibbi_announcements")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    again = [r.path for r in site.requests[asked:]]
    assert not [path for path in again if "/corporate/xbrl/" in path]
    assert value(data, "SELECT count(*) FROM statement_line") == before
    assert command(site, data, "scraping", "--due", "--dry-run").returncode == 0


@pytest.mark.slow
def test_features_and_a_leaderboard_come_of_it(site: Replica, data: Path) -> None:
    features = command(site, data, "features", "--out", "panel.parquet")
    assert features.returncode == 0, features.stdout + features.stderr
    trained = command(
        site, data, "models.train", "--learners", "lr,lightgbm", "--selectors", "all",
        "--jobs", "1", "--out", str(data / "leaderboard"),
    )  # fmt: skip
    assert trained.returncode == 0, trained.stdout + trained.stderr
    with (data / "leaderboard" / "leaderboard.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["learner"] for row in rows] in (["lr", "lightgbm"], ["lightgbm", "lr"])
    assert all(0 < float(row["macro_f1"]) <= 1 for row in rows)
    symbol = next(c for c in site.world.listed if c.admitted is None).symbol
    scored = command(
        site, data, "models.score", "--company", symbol, "--model", str(data / "leaderboard/model")
    )
    assert scored.returncode == 0, scored.stdout + scored.stderr
    assert symbol in scored.stdout or "bankrupt" in scored.stdout


@pytest.mark.slow
def test_a_year_later_there_is_more(site: Replica, data: Path) -> None:
    years = value(data, "SELECT max(fiscal_year) FROM statements")
    events = value(data, "SELECT count(*) FROM announcement")
    site.grow()
    ran = command(site, data, "scraping")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert value(data, "SELECT max(fiscal_year) FROM statements") > years
    assert value(data, "SELECT count(*) FROM announcement") > events
