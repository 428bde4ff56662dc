"""Every command that the README shows does what it says, on files of simulated companies."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import requests
from replica import replica

from features import dataset, demo
from features.demo_files import to_long

QUICKLY = ["--learners", "lr,lightgbm", "--selectors", "all", "--jobs", "1"]
SERVERS = {"models.serve": "/health", "reports.app": "/"}  # modules, and a page that answers
PATIENCE = 120  # seconds for a server to answer


def shown(repo: Path) -> list[str]:
    text = (repo / "README.md").read_text(encoding="utf-8")
    return re.findall(r"^\$ (python -m .+)$", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, repo: Path) -> Path:
    """A folder with the files that the README names."""
    here = tmp_path_factory.mktemp("readme")
    universe = demo.demo_universe(80)
    symbols = universe.companies["nse_symbol"].replace({"DEMO0001": "SYMBOL"})
    universe.companies.assign(nse_symbol=symbols).to_csv(here / "companies.csv", index=False)
    universe.events.to_csv(here / "events.csv", index=False)
    universe.macro.to_csv(here / "macro.csv", index=False)
    to_long(universe.statements).to_pandas().to_csv(here / "statements.csv", index=False)
    with dataset.demo_warehouse(80) as connection:
        panel = dataset.panel(connection).to_pandas()
    names = {"label": "status", "company_id": "firm", "fiscal_year": "year"}
    own = pd.concat([panel[list(names)].rename(columns=names), panel.filter(regex=r"^X\d")], axis=1)
    own.to_csv(here / "ratios.csv", index=False)
    shutil.copytree(repo / "docs", here / "docs")
    return here


def test_the_readme_shows_the_whole_path(repo: Path) -> None:
    modules = {shlex.split(line)[2] for line in shown(repo)}
    assert modules == {
        "scraping", "warehouse", "features", "models.train", "models.score", "reports", *SERVERS,
    }  # fmt: skip


@pytest.mark.slow
def test_every_command_of_scraping_works_on_the_replica(repo: Path, tmp_path: Path) -> None:
    with replica(companies=20, others=12, page_kilobytes=4) as site:
        for line in shown(repo):
            if "-m scraping" not in line:
                continue
            ran = subprocess.run(
                [sys.executable, *shlex.split(line)[1:]],
                cwd=tmp_path,
                env={"PYTHONPATH": str(repo), "OGD_API_KEY": "made-up", **site.env},
                capture_output=True, text=True, timeout=300,
            )  # fmt: skip
            assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"


@pytest.mark.slow
def test_every_command_works_in_the_order_shown(repo: Path, folder: Path) -> None:
    env = {"PYTHONPATH": str(repo), "PATH": "/usr/bin:/bin", "HOME": str(folder)}
    for line in shown(repo):
        if "-m scraping" in line:
            continue
        command = [sys.executable, *shlex.split(line)[1:]]
        if command[2] in SERVERS:
            serves(command, folder, env)
            continue
        command += QUICKLY if "models.train" in line else []
        ran = subprocess.run(
            command, cwd=folder, env=env, capture_output=True, text=True, timeout=300
        )
        assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"


def serves(command: list[str], folder: Path, env: dict[str, str]) -> None:
    """The server starts, answers, and ends when it is told to."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    address = f"http://127.0.0.1:{port}{SERVERS[command[2]]}"
    with subprocess.Popen([*command, "--port", str(port)], cwd=folder, env=env) as server:
        try:
            for _ in range(PATIENCE):
                assert server.poll() is None
                if answers(address):
                    return
                time.sleep(1)
            pytest.fail(f"{command[2]} did not answer")
        finally:
            server.terminate()
            server.wait(30)


def answers(address: str) -> bool:
    try:
        return requests.get(address, timeout=20).status_code == 200
    except (requests.ConnectionError, requests.Timeout):
        return False


def test_every_link_leads_somewhere(repo: Path) -> None:
    text = (repo / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert len(links) > 9
    assert [link for link in links if not (repo / link).exists()] == []
