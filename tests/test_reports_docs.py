"""The generated docs: complete, repeatable, and `--check` catches a change."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from conftest import Command

from features.macro import MACRO
from features.ratios import RATIOS
from models.learners import LEARNERS
from models.metrics import METRICS
from models.protocols import PROTOCOLS
from models.selectors import SELECTORS
from reports import docs
from warehouse.items import DERIVED, ITEMS, UNITS
from warehouse.store import checks

NAMES = (
    *(("ratios.md", f"| {ratio.code} | ") for ratio in RATIOS),
    *(("items.md", f"| `{item.name}` |") for item in (*ITEMS, *DERIVED)),
    *(("items.md", f"| {unit.name} |") for unit in UNITS),
    *(("macro.md", f"| {series.code} |") for series in MACRO),
    *(("checks.md", f"## {check.name}\n") for check in checks()),
    *(("learners.md", f"## {learner.title}\n") for learner in LEARNERS),
    *(("selectors.md", f"| `{selector.name}` |") for selector in SELECTORS),
    *(("protocols.md", f"| `{protocol.name}` |") for protocol in PROTOCOLS),
    *(("metrics.md", f"| {metric.title} |") for metric in METRICS),
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("docs")
    docs.write(folder)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}


def test_every_entry_of_every_table_is_in_the_docs(written: dict[str, str]) -> None:
    absent = [(file, text) for file, text in NAMES if text not in written[file]]
    assert not absent


@pytest.mark.parametrize("doc", docs.DOCS, ids=lambda doc: doc.file)
def test_every_file_says_that_it_is_generated_and_by_what(
    written: dict[str, str], doc: docs.Doc
) -> None:
    first, _, third, *_ = written[doc.file].split("\n")
    assert "python -m reports" in first
    assert third == f"# {doc.title}"
    assert written[doc.file].endswith("\n")
    assert "\n\n\n" not in written[doc.file]


def test_no_machine_path_is_in_the_docs(written: dict[str, str], repo: Path) -> None:
    assert not [file for file, text in written.items() if str(repo) in text or "/tmp" in text]


def test_help_of_commands_and_subcommands() -> None:
    @click.group()
    def top() -> None:
        """Do things."""

    @top.command()
    def one() -> None:
        """Do one thing."""

    sections = docs.help_of(top, "python -m top")
    assert [section.split("\n")[0] for section in sections] == [
        "## python -m top",
        "### python -m top one",
    ]
    assert "Do one thing." in sections[1]


def test_help_does_not_depend_on_the_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    command = docs.import_module("features.__main__").main
    monkeypatch.setenv("COLUMNS", "40")
    narrow = docs.help_of(command, "x")
    monkeypatch.setenv("COLUMNS", "400")
    assert docs.help_of(command, "x") == narrow


def test_check_catches_a_change(process: Command, cli: Command, tmp_path: Path) -> None:
    folder = tmp_path / "docs"  # the default, from the working folder of the process
    assert process("-m", "reports").code == 0
    assert cli("reports", "--check", "--docs", folder).code == 0
    ratios = folder / "ratios.md"
    ratios.write_text(ratios.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    changed = process("-m", "reports", "--check")
    assert changed.code == 1
    assert "ratios.md: stale" in changed.err
    assert len(changed.err.splitlines()) == 1


def test_check_names_every_absent_file(cli: Command, tmp_path: Path) -> None:
    ran = cli("reports", "--check", "--docs", tmp_path)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == len(docs.DOCS)
    assert not list(tmp_path.iterdir())


def test_only_stale_files_are_written(cli: Command, tmp_path: Path) -> None:
    assert "0 as they were" in cli("reports", "--docs", tmp_path / "docs").out
    (tmp_path / "docs" / "macro.md").unlink()
    again = cli("reports", "--docs", tmp_path / "docs").out
    assert "macro.md: written" in again
    assert f"{len(docs.DOCS) - 1} as they were" in again


def test_a_file_in_the_place_of_the_folder_is_refused(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "docs").write_text("a file", encoding="utf-8")
    ran = cli("reports", "--docs", tmp_path / "docs")
    assert ran.code == 2
    assert ran.err.count("\n") == 1
