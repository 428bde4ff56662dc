"""`python -m scraping`: its options, what it refuses, and that it says so in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Command
from replica import Replica, replica

from scraping.load import modules


@pytest.fixture(scope="module")
def site() -> Iterator[Replica]:
    with replica(companies=20, others=12, page_kilobytes=4) as running:
        yield running


@pytest.fixture
def data(site: Replica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder of its own, and the replica as all sites."""
    for name, url in site.env.items():
        monkeypatch.setenv(name, url)
    monkeypatch.setenv("BANKRUPTCY_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def test_help_has_an_example(cli: Command) -> None:
    ran = cli("scraping", "--help")
    assert ran.code == 0
    assert "Examples:" in ran.out
    assert "python -m scraping --due" in ran.out


def test_the_list_names_every_source_and_writes_nothing(cli: Command, data: Path) -> None:
    ran = cli("scraping", "--list")
    assert ran.code == 0
    assert [name for name in modules() if name not in ran.out] == []
    assert "never" in ran.out
    assert not data.exists()


def test_a_dry_run_asks_no_one_and_writes_nothing(cli: Command, data: Path, site: Replica) -> None:
    asked = len(site.requests)
    ran = cli("scraping", "nse_indices", "--dry-run")
    assert ran.code == 0
    assert site.env["SCRAPING_BASE_URL_NSE_ARCHIVES"] in ran.out
    assert "dry run" in ran.out
    assert len(site.requests) == asked
    assert not data.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nse"], "no source 'nse'; there are: bse_scrips"),
        (["--since", "01-02-2024"], "--since: expected a date YYYY-MM-DD, got '01-02-2024'"),
        (["--since", "2199-01-01"], "--since: expected a date between 1990-01-01 and today"),
        (["--companies", " , "], "names no company"),
        (["--companies", "none.csv"], "none.csv: no such file"),
        (["--replay", "worldbank"], "--replay rebuilds from all stored documents"),
        (["--replay", "--due"], "--replay rebuilds from all stored documents"),
    ],
)
def test_wrong_use_is_one_line_and_exit_code_2(
    cli: Command, data: Path, arguments: list[str], said: str
) -> None:
    ran = cli("scraping", *arguments)
    assert ran.code == 2
    assert ran.err.startswith("error: ")
    assert len(ran.err.splitlines()) == 1
    assert said in ran.err
    assert not (data / "warehouse.duckdb").exists()


def test_a_setting_that_is_no_address_is_refused(
    cli: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SCRAPING_BASE_URL_IBBI", "file:///etc/passwd")
    ran = cli("scraping", "worldbank")
    assert ran.code == 2
    assert "SCRAPING_BASE_URL_IBBI: expected an address" in ran.err


def test_due_once_and_then_not(cli: Command, data: Path) -> None:
    assert cli("scraping", "worldbank", "nse_indices", "--due").code == 0
    ran = cli("scraping", "worldbank", "nse_indices", "--due")
    assert (ran.code, ran.out) == (0, "nothing is due\n")
    assert len(list((data / "runs").glob("scraping-*.json"))) == 1


def test_a_failure_is_named_with_exit_code_1(cli: Command, data: Path, site: Replica) -> None:
    site.arm("500", "/worldbank/", 0)
    try:
        ran = cli("scraping", "worldbank", "nse_indices")
    finally:
        site.disarm()
    assert ran.code == 1
    assert "worldbank: " in ran.out
    assert "answered 500" in ran.out
    assert "Traceback" not in ran.out + ran.err


def test_companies_by_id_symbol_or_file(cli: Command, data: Path, tmp_path: Path) -> None:
    lists = ("nse_indices", "nse_listings", "bse_scrips")
    assert cli("scraping", *lists).code == 0
    chosen = tmp_path / "chosen.csv"
    chosen.write_text("company_id\nINE9Z00\nINE9Z01\n", encoding="utf-8")
    ran = cli("scraping", "moneycontrol_codes", "--companies", chosen)
    assert ran.code == 0
    assert "moneycontrol_codes │ done │    2 │" in ran.out
    ran = cli("scraping", "moneycontrol_codes", "--companies", "INE9Z02,NOSUCH")
    assert ran.code == 2
    assert "'NOSUCH': expected one company of the warehouse" in ran.err
