"""The generated docs: complete, repeatable, and `--check` catches a change."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click
import jsonschema
import pytest
from conftest import Command

from features import dataset
from features.columns import COLUMNS
from features.labels import OPTIONS
from features.macro import MACRO
from features.ratios import RATIOS
from features.scores import SCORES, Score
from models.answer import as_json
from models.artifact import load, load_others
from models.evaluate import make_plan, run
from models.learners import LEARNERS
from models.metrics import METRICS
from models.panel import panel_from_frame
from models.protocols import PROTOCOLS
from models.saving import save
from models.scoring import Ask, score
from models.selectors import SELECTORS
from reports import answer_page, docs, known_faults, scores_page
from reports.known_faults import KNOWN_FAULTS
from reports.pieces import prose
from scraping.load import modules
from warehouse.dictionary import EXPORTED
from warehouse.fusion import PLACES
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
    *(("fusion.md", f"| `{place.source}` |") for place in PLACES),
    *(("labels.md", f"- `{option.name}`: ") for option in OPTIONS),
    *(("scores.md", f"\n`{score.code}`. ") for score in SCORES),
    *(("dictionary.md", f"## {table.name}\n") for table in EXPORTED),
    *(("dictionary.md", f"| `{c.name}` |") for table in EXPORTED for c in table.columns),
    *(("dictionary.md", f"| `{column.name}` |") for column in COLUMNS),
    *(("known_faults.md", f"## {area.title}\n") for area in known_faults.AREAS),
    *(("known_faults.md", f"| {prose(fault.fault)} |") for fault in KNOWN_FAULTS),
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


def test_every_link_and_picture_leads_somewhere(written: dict[str, str], repo: Path) -> None:
    """Links between the pages: to another page, or to a file of the repository that is by hand."""
    found = [
        (file, link)
        for file, text in written.items()
        for link in re.findall(r"\]\(([^)#]+)\)", text)
        if file.endswith(".md") and "://" not in link
    ]
    assert len(found) > 20
    by_hand = {"faults.md"}  # written by tests
    lost = [
        (file, link)
        for file, link in found
        if link not in written and not (link in by_hand or link.startswith("../"))
    ]
    assert not lost
    outside = {link for _, link in found if link not in written}
    assert [link for link in outside if not (repo / "docs" / link).exists()] == []


def test_every_file_is_shown_by_its_page(written: dict[str, str]) -> None:
    shown = {name: doc.file for doc in docs.DOCS for name in doc.beside()}
    assert shown
    for name, page in shown.items():
        assert f"]({name})" in written[page]
        assert written[name].startswith("<svg " if name.endswith(".svg") else "{")


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


@pytest.mark.slow
def test_check_catches_a_change(process: Command, cli: Command, tmp_path: Path) -> None:
    folder = tmp_path / "docs"  # the default, from the working folder of the process
    assert process("-m", "reports").code == 0
    assert cli("reports", "--check", "--docs", folder).code == 0
    ratios = folder / "ratios.md"
    ratios.write_text(ratios.read_text(encoding="utf-8") + "more\n", encoding="utf-8")
    picture = next(folder.glob("*.svg"))
    picture.write_text(picture.read_text(encoding="utf-8")[:-2], encoding="utf-8")
    changed = cli("reports", "--check", "--docs", folder)
    assert changed.code == 1
    assert "ratios.md: stale" in changed.err
    assert f"{picture.name}: stale" in changed.err
    assert len(changed.err.splitlines()) == 2


def test_check_names_every_absent_file(cli: Command, tmp_path: Path) -> None:
    ran = cli("reports", "--check", "--docs", tmp_path)
    assert ran.code == 1
    assert len(ran.err.splitlines()) == len(docs.files()) > len(docs.DOCS)
    assert not list(tmp_path.iterdir())


def test_only_stale_files_are_written(cli: Command, tmp_path: Path) -> None:
    assert "0 as they were" in cli("reports", "--docs", tmp_path / "docs").out
    (tmp_path / "docs" / "macro.md").unlink()
    again = cli("reports", "--docs", tmp_path / "docs").out
    assert "macro.md: written" in again
    assert f"{len(docs.files()) - 1} as they were" in again


def test_a_file_in_the_place_of_the_folder_is_refused(cli: Command, tmp_path: Path) -> None:
    (tmp_path / "docs").write_text("a file", encoding="utf-8")
    ran = cli("reports", "--docs", tmp_path / "docs")
    assert ran.code == 2
    assert ran.err.count("\n") == 1


def test_every_scraped_source_has_a_known_fault_and_every_fault_a_known_source() -> None:
    sources = {module.SOURCE.name for module in modules().values()}
    named = {name for fault in KNOWN_FAULTS for name in fault.about}
    assert sources <= named
    assert named <= sources | {place.source for place in PLACES}
    assert len({fault.fault for fault in KNOWN_FAULTS}) == len(KNOWN_FAULTS)


def test_prose_shows_code_and_links_and_nothing_else() -> None:
    assert prose("take `a_b` of labels.md") == "take `a_b` of [labels.md](labels.md)"
    assert prose("<b> *x* | `--all`") == "&lt;b&gt; \\*x\\* \\| `--all`"


def test_the_worked_company_of_the_scores_is_the_one_worked_by_hand(repo: Path) -> None:
    text = (repo / "tests/fixtures/worked_example.json").read_text(encoding="utf-8")
    inputs = json.loads(text)["inputs"]
    year, before = scores_page.WORKED["2023-03-31"], scores_page.WORKED["2022-03-31"]
    assert year == {item: inputs["year"][item] for item in year}
    added = {"net_profit": 40}  # the example has none of the year before
    assert before == {"total_assets": inputs["previous_year"]["total_assets"]} | added


@pytest.mark.parametrize("score", SCORES, ids=lambda score: score.code)
def test_the_parts_shown_of_a_score_add_up_to_the_value_worked_by_hand(
    written: dict[str, str], score: Score
) -> None:
    section = written["scores.md"].split(f"`{score.code}`. ")[1].split("\n## ")[0]
    parts = re.findall(r"\| (-?\d+\.\d{6}) \|$", section, re.MULTILINE)
    assert len(parts) == len(score.terms) + 1
    assert sum(map(float, parts)) == pytest.approx(score.example, abs=1e-5)
    assert f"**{score.example:.6f}**" in section
    assert score.reference.split(",")[0] in section


def test_the_schema_holds_what_a_score_says(tmp_path: Path) -> None:
    """By a validator that is not ours, and it refuses an answer that lacks or mistypes a field."""
    with dataset.demo_warehouse(40) as connection:
        panel = dataset.panel(connection).to_pandas()
        plan = make_plan("company", ("lr", "xgboost"), ("all",), "quick", keep=2)
        result = run(panel_from_frame(panel), plan)
        save(tmp_path / "run" / "model", result, {})
        other = result.others[0]
        save(tmp_path / "run" / "others" / "other", result, {}, other)
        model = load(tmp_path / "run" / "model")
        ask = Ask("latest", others=load_others(tmp_path / "run" / "model"))
        said = json.loads(as_json(score(connection, model, "demo-0001", ask), model))
    check = jsonschema.Draft202012Validator(answer_page.schema())
    check.check_schema(answer_page.schema())
    check.validate(said)
    year = said["companies"][0]["years"][-1]
    assert year["explanation"]
    assert len(year["opinions"]) == 2
    for broken in ({**said, "schema": "other"}, {k: v for k, v in said.items() if k != "model"}):
        assert not check.is_valid(broken)
    year["probabilities"]["bankrupt"] = "many"
    assert not check.is_valid(said)
