"""The report of a run: pictures, tables, the page; escaping; what is left out and why."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import Command
from matplotlib.collections import PathCollection
from matplotlib.image import imread

from features.audit_result import Audit, Figures, Finding, Gain
from models.calibration import reliability
from models.metrics import columns, measure_all
from reports import style, words
from reports.figures import PICTURES
from reports.folder import AbsentError, Run, read_run
from reports.page import Shown
from reports.run import OPEN_ROWS, Listed, page, write_report
from reports.tables import TABLES, best_cells, chosen_rows
from warehouse.errors import InputError
from warehouse.exports import write_csv

CLASSES = ("bankrupt", "distressed", "healthy")
CELLS = (
    ("rf", "all"),
    ("xgboost", "kbest"),
    ("xgboost", "all"),
    ("lr", "kbest"),
    ("stack", "none"),
)
SCRIPT = "<script>alert(1)</script>"
FORMULA = '=HYPERLINK("http://example.com")|x'
SECTOR = "<img src=http://example.com/x.png>"
YEARS = 3
WARNING = f"size alone {SCRIPT} tells the classes apart | it does"
FIGURES = Figures(0.8125, 0.75, 0.875, 0.5, 0.4)
AUDIT = Audit(
    rows=(
        Finding("missing", "Missing values alone", reason="the same in every row"),
        Finding("size", f"Size {SCRIPT}", figures=FIGURES, large=True),
        Finding("split", "All", "", FIGURES, FIGURES, Gain(0.06, 0.01, 0.11, 0.1, -0.1, 0.2)),
    ),
    warnings=(WARNING,),
    rows_used=50,
    rows_total=54,
    companies=17,
    classes=3,
    majority=0.5,
    notes=("4 rows without a label are left out",),
)


def _companies(classes: tuple[str, ...], each: int) -> pd.DataFrame:
    """`each` companies of each class, three years; those of the first class have odd names."""
    rows = [
        {"company_id": f"{label}{n}", "company_name": f"{label} {n} Ltd", "fiscal_year": year}
        | {"truth": label}
        for label in classes
        for n in range(each)
        for year in range(2020, 2020 + YEARS)
    ]
    frame = pd.DataFrame(rows)
    odd = {f"{classes[0]}{n}": SCRIPT if n % 2 else FORMULA for n in range(each)}
    frame["company_name"] = frame["company_id"].map(odd).fillna(frame["company_name"])
    return frame


def _probabilities(frame: pd.DataFrame, classes: tuple[str, ...], seed: int) -> np.ndarray:
    truth = np.array([classes.index(label) for label in frame["truth"]])
    weight = np.random.default_rng(seed).random((len(frame), len(classes)))
    weight[np.arange(len(frame)), truth] += 0.7
    return weight / weight.sum(axis=1, keepdims=True)


def _predictions(keys: pd.DataFrame, proba: np.ndarray, classes: tuple[str, ...]) -> pd.DataFrame:
    named = pd.DataFrame(proba, columns=[f"proba_{name}" for name in classes])
    said = np.array(classes)[proba.argmax(axis=1)]
    return pd.concat([keys.assign(prediction=said), named], axis=1)


def _scores(
    keys: pd.DataFrame, classes: tuple[str, ...]
) -> tuple[dict[tuple[str, str], dict[str, float]], dict[tuple[str, str], pd.DataFrame]]:
    truth = np.array([classes.index(label) for label in keys["truth"]])
    probas = {cell: _probabilities(keys, classes, at) for at, cell in enumerate(CELLS)}
    scores = {cell: measure_all(truth, proba, classes, 0) for cell, proba in probas.items()}
    return scores, {cell: _predictions(keys, p, classes) for cell, p in probas.items()}


def _write_tables(
    out: Path,
    scores: dict[tuple[str, str], dict[str, float]],
    said: dict[tuple[str, str], pd.DataFrame],
    classes: tuple[str, ...],
    first: int,
) -> tuple[str, str]:
    """Write the tables of a run, best row first; return the best learner.

    The ensemble is no learner: it stands at `first`, whatever its figures.
    """
    ranked = sorted(CELLS[:-1], key=lambda cell: -scores[cell]["macro_f1"])
    best = ranked[0]
    ranked.insert(first, CELLS[-1])
    extra = {"protocol": "company", "n_features": 3, "fit_seconds": 1.5, "params": '{"C": 1}'}
    board = [
        {"rank": at + 1, "learner": cell[0], "selector": cell[1], **extra, **scores[cell]}
        for at, cell in enumerate(ranked)
    ]
    write_csv(pd.DataFrame(board), out / "leaderboard.csv")
    results = [
        (*cell, "company", "test", name, value, max(value - 0.1, 0), min(value + 0.1, 1))
        for cell in ranked
        for name, value in scores[cell].items()
    ]
    names = ["learner", "selector", "protocol", "fold", "metric", "value", "low", "high"]
    pd.DataFrame(results, columns=names).to_parquet(out / "results.parquet")
    said[best].to_parquet(out / "predictions.parquet")
    everything = [said[c].assign(learner=c[0], selector=c[1]) for c in CELLS]
    pd.concat(everything, ignore_index=True).to_parquet(out / "test_predictions.parquet")
    confusion = {
        "/".join(cell): [
            [int(((f["truth"] == a) & (f["prediction"] == b)).sum()) for b in classes]
            for a in classes
        ]
        for cell, f in said.items()
    }
    _json(out / "confusion.json", {"classes": classes, "cells": confusion})
    return best


def _write_assessment(
    out: Path, best: tuple[str, str], said: pd.DataFrame, classes: tuple[str, ...]
) -> None:
    """What a run with tuning folds adds: the second learner is ahead, the ensemble behind."""
    others = [cell for cell in CELLS if cell != best]
    verdicts = dict.fromkeys(others, "tied") | {others[0]: "ahead", CELLS[-1]: "behind"}
    rows = [
        ("/".join(cell), verdicts.get(cell, "tied"), 0.0, -0.1, 0.1) for cell in (best, *others)
    ]
    names = ["name", "verdict", "difference", "low", "high"]
    write_csv(pd.DataFrame(rows, columns=names), out / "comparison.csv")
    quality = [("log_loss", 0.5, 0.25), ("brier", 0.3, 0.3), ("ece", 0.1, 0.15)]
    frame = pd.DataFrame(quality, columns=["figure", "as_given", "calibrated"])
    write_csv(frame, out / "quality.csv")
    y = np.array([classes.index(label) for label in said["truth"]])
    proba = said[[f"proba_{name}" for name in classes]].to_numpy()
    parts = (("as_given", proba), ("calibrated", proba**2 / (proba**2).sum(axis=1, keepdims=True)))
    bins = [reliability(y, values, classes, 4).assign(kind=kind) for kind, values in parts]
    write_csv(pd.concat(bins), out / "reliability.csv")
    covered = [0.5, *[0.95] * len(classes)]
    coverage = {
        "class": [*classes, "all"], "rows": 18, "companies": 6, "covered": covered,
        "low": [c - 0.25 for c in covered], "high": [min(c + 0.25, 1) for c in covered],
        "by_company": covered, "set_size": 1.5, "empty": 0.0, "singletons": 0.5,
    }  # fmt: skip
    write_csv(pd.DataFrame(coverage), out / "coverage.csv")
    costs = {
        "ratio": [1, 10, 50], "threshold": [0.5, 1 / 11, 1 / 51], "flagged": [4, 20, 54],
        "caught": [3, 15, 18], "missed": [15, 3, 0], "false_alarms": [1, 5, 36],
        "cost_per_row": 0.0, "cost_flag_all": 0.0, "cost_flag_none": 0.0,
        "saving": [-0.25, 0.75, float("nan")],
    }  # fmt: skip
    write_csv(pd.DataFrame(costs), out / "costs.csv")
    curve = {
        "share": [0.5, 0.5, 1.0], "repeat": [0, 1, 0], "companies": [9, 9, 18],
        "rows": [27, 27, 54], "macro_f1": [0.4, 0.5, 0.6], "recall_focus": [0.2, 0.4, 0.5],
        "log_loss": [0.9, 0.8, 0.7],
    }  # fmt: skip
    write_csv(pd.DataFrame(curve), out / "learning_curve.csv")


def _json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value), encoding="utf-8")


def _facts(best: tuple[str, str], keys: pd.DataFrame, classes: tuple[str, ...]) -> dict[str, Any]:
    counts = keys["truth"].value_counts()
    return {
        "source": "made_up.parquet", "data_hash": "0" * 64, "simulated": False,
        "rows": len(keys), "features": 3, "companies": len(classes) * 6,
        "classes": {name: int(counts[name]) for name in classes},
        "train_rows": 100, "test_rows": len(keys), "protocol": "company", "grid": "quick",
        "seed": 0, "device": "cpu", "best": {"learner": best[0], "selector": best[1]},
        "command": "python -m models.train", "label_rule": "made up", "notices": ["a <b>notice"],
        "failed": [], "timings_seconds": {"total": 1.0}, "versions": {"xgboost": "3"},
    }  # fmt: skip


def make_run(
    out: Path,
    *,
    classes: tuple[str, ...] = CLASSES,
    keys: bool = True,
    sectors: bool = True,
    audit: Audit | None = AUDIT,
    assessed: bool = True,
    first: int = 1,
    **facts: object,
) -> Path:
    """A small made-up run folder whose files agree with each other."""
    out.mkdir()
    frame = _companies(classes, 6)
    if not keys:
        frame = frame[["truth"]]
    scores, said = _scores(frame, classes)
    best = _write_tables(out, scores, said, classes, first)
    if assessed:
        _write_assessment(out, best, said[best], classes)
    kept = {"all": ["X1", "X12", "$x$|y"], "kbest": ["X12"], "intersection": ["X12"]}
    _json(out / "features_kept.json", kept)
    gains = pd.DataFrame({"feature": ["X12", "$x$|y"], "gain": [3.0, 1.0], "share": [0.75, 0.25]})
    write_csv(gains.assign(learner="xgboost", selector="all"), out / "importance.csv")
    _json(out / "run.json", _facts(best, frame, classes) | facts)
    counts = {name: {"rows": 18, "companies": 6} for name in classes}
    by_sector = {name: {SECTOR: 3, "Textiles $": 2, "unknown": 1} for name in classes}
    summary = {"classes": counts, "sectors": by_sector if sectors else {}, "years": {}}
    _json(out / "panel_summary.json", summary)
    if audit is not None:
        _json(out / "audit.json", audit.to_json())
    return out


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = make_run(tmp_path_factory.mktemp("runs") / "run", simulated=True)
    write_report(out)
    return out


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_run(tmp_path / "run")


class _Page(HTMLParser):
    """Tags, and the addresses that a page would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        self.fetched += [named[n] for n in ("src", "srcset", "data", "action") if n in named]
        self.links += [named["href"]] if "href" in named else []
        self.ids |= {named["id"]} if "id" in named else set()
        assert not any(name.startswith("on") for name in named)


def _undrawn(out: Path) -> str:
    """The page of a run without its pictures, which take most of the time."""
    run = read_run(out)
    tables = {one.name: Listed(one.title, one.build(run)) for one in TABLES}
    return page(run, not_drawn(), tables)


def not_drawn() -> dict[str, Shown]:
    return {one.name: Shown(one.title, absent="not drawn") for one in PICTURES}


def _page(out: Path) -> str:
    return (out / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_picture_is_written_and_not_blank(rendered: Path, picture: Any) -> None:
    pixels = imread(rendered / "figures" / f"{picture.name}.png")
    assert pixels.shape[1] == round(style.WIDTH * style.DPI)
    assert pixels[..., :3].std() > 0.05


@pytest.mark.parametrize("theme", [style.LIGHT, style.DARK], ids=lambda theme: theme.name)
@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_every_picture_says_simulated(rendered: Path, picture: Any, theme: Any) -> None:
    with style.drawn_in(theme):
        figure = picture.draw(read_run(rendered), theme)
    assert "SIMULATED" in " ".join(text.get_text() for text in figure.texts)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_table_is_whole_markdown(rendered: Path, table: Any) -> None:
    text = (rendered / "tables" / f"{table.name}.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
    assert text.startswith(f"# {table.title}\n\n**SIMULATED")
    assert len(rows) > 2
    assert len(cells) == 1
    assert "<" not in text


def test_the_page_fetches_nothing(rendered: Path) -> None:
    page = _Page(_page(rendered))
    assert page.fetched
    assert all(address.startswith("data:image/svg+xml;base64,") for address in page.fetched)
    assert {link.removeprefix("#") for link in page.links} <= page.ids
    assert not {"link", "iframe", "object", "embed", "form"} & set(page.tags)
    assert not re.search(r"@import|url\(", _page(rendered))
    assert "default-src 'none'" in _page(rendered)


def test_the_one_script_is_the_one_that_the_page_allows(rendered: Path) -> None:
    scripts = re.findall(r"<script([^>]*)>(.*?)</script>", _page(rendered), re.DOTALL)
    allowed = re.findall(r"script-src ([^;\"]+)", _page(rendered))
    assert len(scripts) == len(allowed) == 1
    about, text = scripts[0]
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    assert (about, allowed[0]) == ("", f"'sha256-{digest}'")


def test_pictures_on_the_page_fetch_nothing(rendered: Path) -> None:
    for address in set(_Page(_page(rendered)).fetched):
        drawing = base64.b64decode(address.split(",", 1)[1]).decode()
        assert not re.search(r'(href|src)="(?!#|data:image/png)', drawing)
        assert "<script" not in drawing
        assert not re.search(r"[A-Z]:\\|/home/|/tmp/", drawing)


def test_text_from_outside_is_escaped(rendered: Path) -> None:
    page = _page(rendered)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "=HYPERLINK(&#34;http://example.com&#34;)|x" in page
    assert "a &lt;b&gt;notice" in page
    assert SCRIPT not in page
    named = (rendered / "tables" / "table7_companies.md").read_text(encoding="utf-8")
    assert "| &lt;script&gt;alert(1)&lt;/script&gt; |" in named
    assert '=HYPERLINK("http://example.com")\\|x |' in named


@pytest.mark.slow
def test_banner_only_where_simulated(rendered: Path, folder: Path) -> None:
    write_report(folder)
    assert "SIMULATED COMPANIES" in _page(rendered)
    assert "<title>SIMULATED" in _page(rendered)
    assert "simulated" not in _page(folder).lower()
    tables = (folder / "tables").glob("*.md")
    assert not any("SIMULATED" in path.read_text(encoding="utf-8") for path in tables)


@pytest.mark.slow
def test_the_same_run_gives_the_same_files(folder: Path) -> None:
    write_report(folder)
    first = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    write_report(folder)
    assert first == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _reason(page: str, subject: str) -> str:
    found = re.search(rf"{subject}: left out, because (.+?)\.</p>", page)
    assert found, subject
    return found[1]


@pytest.mark.slow
def test_pictures_without_sectors_are_left_out_with_the_reason(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", sectors=False)
    (out / "figures").mkdir()
    (out / "figures" / "fig3_sectors_healthy.png").write_bytes(b"of an earlier run")
    write_report(out)
    assert "no sector column" in _reason(_page(out), "Fig. 3. Sectors of healthy companies")
    assert "no sector column" in _reason(_page(out), "Fig. 4. Sectors of bankrupt companies")
    assert not list((out / "figures").glob("*sectors*"))


def test_a_panel_stands_in_for_the_summary(folder: Path) -> None:
    (folder / "panel_summary.json").unlink()
    picture = next(picture for picture in PICTURES if picture.name == "fig3_sectors_healthy")
    with pytest.raises(AbsentError, match="panel_summary"):
        picture.draw(read_run(folder), style.LIGHT)
    panel = _companies(CLASSES, 6).rename(columns={"truth": "label"}).assign(sector="Power")
    panel["X1"] = range(len(panel))
    assert picture.draw(read_run(folder, panel), style.LIGHT).axes


@pytest.mark.slow
def test_gains_are_left_out_without_a_boosting_model(folder: Path) -> None:
    header = "feature,gain,share,learner,selector\n"
    (folder / "importance.csv").write_text(header, encoding="utf-8")
    write_report(folder)
    assert "no gradient-boosting learner" in _reason(_page(folder), "Fig. 6. Features by gain")


def test_an_outside_panel_without_keys_and_with_other_classes(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", classes=("0", "1"), keys=False, companies=None)
    write_report(out)
    page = _page(out)
    assert "no class named healthy" in _reason(page, "Fig. 3. Sectors of healthy companies")
    assert "names a company" in _reason(page, "Table 7. What the learners say of companies")
    assert "drawing the rows of the test side" in page


def _box(page: str) -> str:
    """The warnings of the leak audit near the top of the page; empty where there are none."""
    found = re.search(r'<div class="care".+?</div>', page, re.DOTALL)
    return found[0] if found else ""


def test_warnings_of_the_leak_audit_stand_near_the_top_escaped(rendered: Path) -> None:
    page = _page(rendered)
    said = "ize alone &lt;script&gt;alert(1)&lt;/script&gt; tells the classes apart | it does."
    assert f"<li>S{said}</li>" in _box(page)
    assert "1 warning." in _box(page)
    assert page.index('class="care"') < page.index('<section id="leaderboard">')
    assert SCRIPT not in page


def test_the_leak_audit_has_a_section_with_every_probe(rendered: Path) -> None:
    section = _page(rendered).split('<section id="audit">')[1].split("</section>")[0]
    assert "not run: the same in every row" in section
    assert "Size &lt;script&gt;" in section
    assert "0.812<small>0.75–0.88</small>" in section
    assert "gains 0.060 macro-F1 (0.01 to 0.11)" in section
    assert "4 rows without a label are left out" in section
    # Always naming a class of half the rows: F1 of it 2 * 0.5 / 1.5, of the two others 0.
    assert "0.222" in section
    text = (rendered / "tables" / "leak_audit.md").read_text(encoding="utf-8")
    assert "- Warning: size alone &lt;script&gt;" in text


@pytest.mark.slow
def test_a_run_without_a_leak_audit_says_so(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", audit=None)
    write_report(out)
    assert "no audit.json" in _reason(_page(out), "Leak audit: what tells the classes apart")
    assert _box(_page(out)) == ""
    assert not (out / "tables" / "leak_audit.md").exists()


@pytest.mark.slow
def test_a_clean_leak_audit_is_listed_without_a_box(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", audit=replace(AUDIT, warnings=()))
    write_report(out)
    assert _box(_page(out)) == ""
    assert (out / "tables" / "leak_audit.md").is_file()


@pytest.mark.slow
def test_a_warning_is_not_repeated_among_the_notices(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", notices=["another notice", WARNING])
    notices = _undrawn(out).split("<h3>Notices</h3>")[1]
    assert "another notice" in notices
    assert "tells the classes apart" not in notices.split("</ul>")[0]


def test_the_notes_warn_of_optimism_where_a_best_row_was_picked(folder: Path) -> None:
    assert "so its figures are optimistic" in words.leaderboard_notes(read_run(folder))[0]
    board = pd.read_csv(folder / "leaderboard.csv").head(1)
    board.to_csv(folder / "leaderboard.csv", index=False)
    assert "optimistic" not in " ".join(words.leaderboard_notes(read_run(folder)))


# ---- rows beside the learners


def test_a_row_without_a_selector_stands_in_every_place(rendered: Path) -> None:
    board = _section(_page(rendered), "leaderboard")
    assert re.search(r"stack<small>ensemble of the learners</small>", board)
    companies = (rendered / "tables" / "table7_companies.md").read_text(encoding="utf-8")
    assert "| stack |" in companies.splitlines()[4]
    picture = next(picture for picture in PICTURES if picture.name == "leaderboard")
    with style.drawn_in(style.LIGHT):
        axes = picture.draw(read_run(rendered), style.LIGHT).axes[0]
    dots = {marks.get_label(): np.asarray(marks.get_offsets()) for marks in axes.collections}
    # The only row of its learner stands in the middle of its line, the second.
    assert dots["no learner"][:, 1].tolist() == [1.0]
    assert sum(len(dots[name]) for name in ("all", "kbest", "no learner")) == len(CELLS)
    assert axes.get_yticklabels()[1].get_text() == "Stacking"


def test_the_page_is_of_the_best_learner_where_an_ensemble_ranks_first(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", first=0)
    board = pd.read_csv(out / "leaderboard.csv")
    board["params"] = [f'{{"row": {at}}}' for at in range(len(board))]
    board.to_csv(out / "leaderboard.csv", index=False)
    run, page = read_run(out), _undrawn(out)
    assert run.cells[0] == ("stack", "none")
    assert run.best_row == 1
    assert "Ranked above the best learner: Stacking." in page
    marked = re.findall(r'<tr class="first [^>]+><td class=" n">(\d+)</td>', page)
    assert marked == ["2"]
    assert "<dt>Best parameters</dt><dd>{&#34;row&#34;: 1}</dd>" in page


def test_without_an_ensemble_above_it_nothing_is_said_of_one(rendered: Path) -> None:
    assert "Ranked above" not in _page(rendered)


# ---- what is said of the best model beyond its figures


def _section(page: str, name: str) -> str:
    return page.split(f'<section id="{name}">')[1].split("</section>")[0]


def _grid(run: Run, name: str) -> list[list[str]]:
    grid = next(table for table in TABLES if table.name == name).build(run)
    return [[cell.text for cell in row] for row in grid.rows]


def test_models_tied_with_the_best_are_marked(rendered: Path) -> None:
    run = read_run(rendered)
    verdicts = {(row[1], row[2]): row[4] for row in _grid(run, "table5_leaderboard")}
    others = [cell for cell in CELLS if cell != run.best]
    assert verdicts[run.best] == "best"
    assert [verdicts[cell] for cell in others] == ["ahead", "tied", "tied", "behind"]
    board = _section(_page(rendered), "leaderboard")
    assert '<th scope="col">Against best</th>' in board
    assert board.count('<td class="">tied</td>') == 2
    assert "2 other models are tied with it, 1 is ahead (of 4)." in _page(rendered)


def test_models_ahead_on_the_test_rows_are_named_only_where_folds_ranked(folder: Path) -> None:
    assert "Ahead on the test rows" not in " ".join(words.leaderboard_notes(read_run(folder)))
    board = pd.read_csv(folder / "leaderboard.csv")
    write_csv(board.assign(cv_macro_f1=0.5), folder / "leaderboard.csv")
    run = read_run(folder)
    ahead = "/".join(next(cell for cell, said in run.verdicts.items() if said == "ahead"))
    assert f"Ahead on the test rows: {ahead}." in " ".join(words.leaderboard_notes(run))


def test_the_page_says_whether_probabilities_can_be_relied_on(rendered: Path) -> None:
    section = _section(_page(rendered), "probabilities")
    assert "Do the probabilities" not in section  # drawn, not written
    assert section.count("<figure>") == 1
    assert "all classes are made equally frequent" in section
    assert "left out" not in section
    found = re.findall(r'class="strong n">([\d.]+)<small>(\w[\w ]+)</small>', section)
    assert found == [("0.250", "better"), ("0.300", "the same"), ("0.150", "worse")]


def test_a_promise_that_was_not_kept_is_named(rendered: Path) -> None:
    run = read_run(rendered)
    # bankrupt: interval 0.25 to 0.75, below 0.9; the others' intervals hold it.
    assert words.coverage_notes(run)[0].startswith("Not kept on the test rows: bankrupt.")
    assert _grid(run, "coverage")[0][:2] == ["bankrupt", "50\N{NO-BREAK SPACE}%"]
    told = run.assessed.coverage
    assert told is not None
    fine = replace(run, assessed=replace(run.assessed, coverage=told.assign(high=0.95)))
    assert "Not kept" not in " ".join(words.coverage_notes(fine))


def test_under_a_split_by_time_nothing_is_promised(folder: Path) -> None:
    run = read_run(folder)
    late = replace(run, facts={**run.facts, "protocol": "time"})
    assert not any("Later years" in note for note in words.coverage_notes(run))
    assert any("Later years" in note for note in words.coverage_notes(late))


def test_costs_in_words(rendered: Path) -> None:
    run = read_run(rendered)
    rows = _grid(run, "costs")
    blank = "\N{NO-BREAK SPACE}"
    assert rows[0] == ["1 false alarm", f"50{blank}%", "4", "3", "15", "1", "nothing"]
    assert rows[1] == ["10 false alarms", f"9{blank}%", "20", "15", "3", "5", f"75{blank}%"]
    assert rows[2][-1] == "–"
    section = _section(_page(rendered), "probabilities").replace(blank, " ")
    assert (
        "If a missed bankrupt row costs as much as 10 false alarms, raise the alarm from a"
        " calibrated probability of 9 %. Of 54 test rows that flags 20: it finds 15 of 18 bankrupt,"
        " and 5 alarms are false. It costs 75 % less than without a model."
    ) in section
    assert words.saved({"saving": -0.25}).startswith("It saves nothing")
    assert words.saved({"saving": float("nan")}) == "Without a model it would cost nothing."


def _reliability_marks(run: Run) -> list[int]:
    picture = next(picture for picture in PICTURES if picture.name == "reliability")
    with style.drawn_in(style.LIGHT):
        figure = picture.draw(run, style.LIGHT)
    return [sum(isinstance(c, PathCollection) for c in axes.collections) for axes in figure.axes]


def test_reliability_is_drawn_as_given_and_calibrated(folder: Path) -> None:
    assert _reliability_marks(read_run(folder)) == [2, 2, 2]
    (folder / "reliability.csv").unlink()
    assert _reliability_marks(read_run(folder)) == [1, 1, 1]


def test_bins_without_a_file_are_of_the_probabilities_as_given(folder: Path) -> None:
    """By hand: 18 of 54 rows are of each class; their mean probability is that of the column."""
    (folder / "reliability.csv").unlink()
    run = read_run(folder)
    for name in CLASSES:
        bins = run.bins[run.bins["class"] == name]
        assert (bins["observed"] * bins["rows"]).sum() == pytest.approx(18)
        mean = (bins["predicted"] * bins["rows"]).sum() / 54
        assert mean == pytest.approx(run.predictions[f"proba_{name}"].mean())
    assert set(run.bins["kind"]) == {"as_given"}


def test_the_learning_curve_is_drawn_where_there_is_one(folder: Path) -> None:
    """By hand: of two fits on 9 companies the mean, and the one on 18."""
    picture = next(picture for picture in PICTURES if picture.name == "learning_curve")
    with style.drawn_in(style.LIGHT):
        lines = picture.draw(read_run(folder), style.LIGHT).axes[0].get_lines()
    assert [line.get_xdata().tolist() for line in lines] == [[9, 18], [9, 18]]
    assert [line.get_ydata().tolist() for line in lines] == [
        pytest.approx([0.45, 0.6]),
        pytest.approx([0.3, 0.5]),
    ]
    assert "Learning curve" in _undrawn(folder)
    (folder / "learning_curve.csv").unlink()
    assert "Learning curve" not in _undrawn(folder)


@pytest.mark.slow
def test_an_older_run_without_an_assessment_still_renders(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", assessed=False)
    (out / "tables").mkdir()
    (out / "tables" / "costs.md").write_text("of an earlier run", encoding="utf-8")
    write_report(out)
    page = _page(out)
    assert "no quality.csv" in _reason(page, "Probabilities as given and calibrated")
    assert "no coverage.csv" in _reason(page, "Prediction sets: which classes cannot be ruled out")
    assert "no costs.csv" in _reason(page, "When to raise the alarm")
    assert not (out / "tables" / "costs.md").exists()
    assert "tied" not in page
    assert "Against best" not in page
    assert "no calibrated ones were made" in _section(page, "probabilities")
    assert _section(page, "probabilities").count("<figure>") == 1


def test_classes_that_look_like_numbers_or_like_nothing_stay_text(tmp_path: Path) -> None:
    out = make_run(tmp_path / "run", classes=("1", "NA", "-x"), companies=None)
    run = read_run(out)
    assert run.assessed.coverage is not None
    assert list(run.assessed.coverage["class"]) == ["1", "NA", "-x", "all"]
    assert _reliability_marks(run) == [2, 2, 2]
    assert '<span class="tag">-x</span>' in _section(_undrawn(out), "probabilities")


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def _damage(name: str, change: Callable[[Path], object]) -> Any:
    return pytest.param(name, change, id=name)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        _damage("run.json", Path.unlink),
        _damage("run.json", lambda path: path.write_text("{")),
        _damage("run.json", lambda path: path.write_text('{"source": 1}')),
        _damage("confusion.json", lambda path: path.write_text('{"classes": [], "cells": {}}')),
        _damage("features_kept.json", lambda path: path.write_text('{"all": [1]}')),
        _damage("leaderboard.csv", lambda path: path.write_text("rank,learner\n")),
        _damage("leaderboard.csv", lambda path: path.write_bytes(b"\xff\xfe\x00")),
        _damage("results.parquet", lambda path: path.write_bytes(b"PAR1")),
        _damage("test_predictions.parquet", Path.unlink),
        _damage("audit.json", lambda path: path.write_text('{"rows": [1]}')),
        _damage("audit.json", lambda path: path.write_text("[]")),
        _damage("panel_summary.json", lambda path: path.write_text('{"classes": {"a": 1}}')),
        _damage("comparison.csv", lambda path: path.write_text("name\n")),
        _damage("comparison.csv", lambda path: _edit(path, "lr/kbest", "lr/other")),
        _damage("comparison.csv", lambda path: _edit(path, "tied", "equal")),
        _damage("quality.csv", lambda path: path.write_text("figure,as_given,calibrated\n")),
        _damage("quality.csv", lambda path: _edit(path, "0.25", "much")),
        _damage("reliability.csv", lambda path: _edit(path, "calibrated", "as_given")),
        _damage("reliability.csv", lambda path: path.write_bytes(b"\xff\xfe\x00")),
        _damage("coverage.csv", lambda path: _edit(path, "healthy", "hale")),
        _damage("costs.csv", lambda path: _edit(path, "threshold", "level")),
        _damage("learning_curve.csv", lambda path: _edit(path, "0.4", "low")),
    ],
)
def test_a_folder_that_is_no_run_is_refused_in_one_line(
    folder: Path, name: str, change: Callable[[Path], object], cli: Command
) -> None:
    change(folder / name)
    ran = cli("reports", "--run", folder)
    assert ran.code == 2
    assert ran.err.count("\n") == 1
    assert name in ran.err
    assert not (folder / "report.html").exists()


@pytest.mark.slow
def test_the_command_renders_and_refuses(folder: Path, cli: Command, tmp_path: Path) -> None:
    assert cli("reports", "--run", folder).code == 0
    assert (folder / "report.html").is_file()
    assert cli("reports", "--run", tmp_path / "none").code == 2
    assert cli("reports", "--run", folder, "--check").code == 2
    assert "python -m reports --check" in cli("reports", "--help").out


def test_shown_companies_are_of_every_class_and_each_once(folder: Path) -> None:
    run = read_run(folder)
    rows = chosen_rows(run)
    shown = run.predictions.iloc[rows]
    assert len(shown) == 10
    assert shown["company_id"].is_unique
    assert shown["truth"].value_counts().to_dict() == {"bankrupt": 4, "distressed": 3, "healthy": 3}
    assert set(shown["fiscal_year"]) == {2020 + YEARS - 1}
    assert rows == chosen_rows(read_run(folder))


def test_no_result_decides_which_companies_are_shown(folder: Path) -> None:
    run = read_run(folder)
    before = chosen_rows(run)
    for name in CLASSES:
        run.predictions[f"proba_{name}"] = 1 / 3
    run.predictions["prediction"] = "healthy"
    assert chosen_rows(run) == before


def test_each_learner_is_shown_by_its_highest_row(folder: Path) -> None:
    run = read_run(folder)
    cells = best_cells(run)
    assert [learner for learner, _ in cells] == list(dict.fromkeys(run.leaderboard["learner"]))
    assert cells[0] == run.best


def test_per_class_figures_follow_from_the_confusion_matrix(folder: Path) -> None:
    best = "/".join(read_run(folder).best)
    cells = {best: [[3, 1, 0], [1, 5, 0], [2, 0, 8]]}
    _json(folder / "confusion.json", {"classes": CLASSES, "cells": cells})
    run = read_run(folder)
    table = next(table for table in TABLES if table.name == "table6_per_class").build(run)
    # F1 by hand: 2 * 3 / (4 + 6), 2 * 5 / (6 + 6), 2 * 8 / (10 + 8)
    assert [row[3].text for row in table.rows[:3]] == ["0.600", "0.833", "0.889"]
    assert "finds 3 of 4 bankrupt" in words.headline(run)
    assert "of 6 rows that it calls bankrupt, 3 are" in words.headline(run)


def test_the_leaderboard_has_every_metric_of_the_table(folder: Path) -> None:
    run = read_run(folder)
    table = next(table for table in TABLES if table.name == "table5_leaderboard").build(run)
    assert len(table.columns) == 7 + len(list(columns(run.classes, 0)))
    assert [len(row) for row in table.rows] == [len(table.columns)] * len(CELLS)


@pytest.mark.slow
def test_unknown_protocol_and_missing_rows(folder: Path) -> None:
    run = read_run(folder)
    partial = run.test_predictions.drop(index=run.test_predictions.index[:1])
    partial.to_parquet(folder / "test_predictions.parquet")
    table = next(table for table in TABLES if table.name == "table7_companies")
    with pytest.raises(AbsentError, match="lacks rows"):
        table.build(read_run(folder))
    facts = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    _json(folder / "run.json", facts | {"protocol": "other"})
    with pytest.raises(InputError, match="unknown protocol"):
        write_report(folder)


# ---- the leaderboard's controls, and what the model is not for


def test_all_rows_stand_in_one_table_and_those_beyond_wait(folder: Path) -> None:
    board = pd.read_csv(folder / "leaderboard.csv")
    whole = _section(_undrawn(folder), "leaderboard")
    assert (whole.count("data-learner="), whole.count(' more"')) == (len(CELLS), 0)
    assert 'id="every"' not in whole
    more = [board.assign(learner=board["learner"] + f"-{n}") for n in range(4)]
    many = pd.concat([board, *more], ignore_index=True)
    run = read_run(folder)
    run = replace(run, leaderboard=many, assessed=replace(run.assessed, comparison=None))
    tables = {one.name: Listed(one.title, absent="not made") for one in TABLES}
    section = _section(page(run, not_drawn(), tables), "leaderboard")
    assert section.count("data-learner=") == 25
    assert len(re.findall(r'<tr class="(?:first )?more"', section)) == 25 - OPEN_ROWS
    assert "Show all 25 rows" in section


def test_columns_whose_least_is_best_sort_upwards_first(folder: Path) -> None:
    heads = re.findall(r"<th ([^>]*)>([^<]+)</th>", _section(_undrawn(folder), "leaderboard"))
    down = {title for about, title in heads if "descending" in about}
    assert {"Macro-F1", "Recall bankrupt", "MCC", "Accuracy"} < down
    assert {title for _, title in heads} - down == {
        *("#", "Model", "Against best", "Log loss", "Brier", "ECE", "Fit s"),
    }


def _misuses(run: Run) -> dict[str, str]:
    return {said.what: said.why for said in words.misuses(run)}


@pytest.mark.parametrize("misuse", words.MISUSES, ids=lambda misuse: misuse.what)
def test_every_misuse_is_said_of_some_run(folder: Path, misuse: words.Misuse) -> None:
    run = read_run(folder)
    paper = {**run.facts, "protocol": "paper", "simulated": True}
    assert misuse.why(replace(run, facts=paper)).endswith(".")


def test_what_the_model_is_not_for_is_said_of_this_run(folder: Path) -> None:
    run = read_run(folder)
    said = _misuses(run)
    assert "To judge a real company" not in said
    assert "To say how well it does on new companies" not in said
    assert words.headline(run) in said["As proof that a company will fail, or that it will not"]
    assert "Calibrated ones hold" in said["To read probabilities as default rates"]
    bare = _misuses(replace(run, audit=None, assessed=replace(run.assessed, quality=None)))
    assert "No leak audit was made" in bare["Without a look at the leak audit"]
    assert "not with a default rate" in bare["To read probabilities as default rates"]
    assert run.audit is not None
    clean = replace(run, audit=replace(run.audit, warnings=()))
    assert "Without a look at the leak audit" not in _misuses(clean)
    section = _section(_undrawn(folder), "not-for")
    assert [*re.findall(r"<dt>([^<]+)</dt>", section)] == list(said)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"source": "demo", "simulated": True}, "no statement, event or name is of a real company"),
        ({"source": "warehouse w.duckdb"}, "python -m reports --data counts them by source"),
        ({"source": "panel.csv"}, "the run does not know who made it"),
    ],
)
def test_where_the_data_are_from(folder: Path, facts: dict[str, object], expected: str) -> None:
    run = read_run(folder)
    said = dict(words.data_sources(replace(run, facts={**run.facts, **facts})))
    assert said["Rows from"] == facts["source"]
    assert expected in said["What they rest on"]
    assert said["Exactly these rows"] == "sha256 " + "0" * 64
    assert "Fiscal years" not in said  # the made-up summary names none
    assert run.summary is not None
    years = {"healthy": {"2020": 3}, "bankrupt": {"2018": 1, "2019": 1}}
    dated = replace(run, summary=replace(run.summary, years=years))
    assert dict(words.data_sources(dated))["Fiscal years"] == "2018 to 2020"
