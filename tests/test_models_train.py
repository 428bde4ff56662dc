"""The command: files it writes, exit codes, one line for each bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from test_models_panel import horizon_frame, made_up

import models.search
from features.dataset import feature_names, load_demo
from models.artifact import load
from models.outputs import whole_folder
from models.score import main as score
from models.train import main
from warehouse import store
from warehouse.exports import write_csv

FAST = ["--learners", "lr,lightgbm", "--selectors", "all,rf", "--jobs", "1"]
WRITTEN = {
    *("leaderboard.csv", "importance.csv", "results.parquet", "predictions.parquet"),
    *("test_predictions.parquet", "confusion.json", "features_kept.json", "run.json"),
    *("model_card.md", "model", "panel_summary.json", "report.html"),
}


def train(tmp_path: Path, *arguments: str, frame: pd.DataFrame | None = None) -> Result:
    path = tmp_path / "panel.csv"
    tmp_path.mkdir(exist_ok=True)
    (made_up() if frame is None else frame).to_csv(path, index=False)
    out = ["--out", str(tmp_path / "run")]
    return CliRunner().invoke(main, ["--panel", str(path), *FAST, *out, *arguments])


def test_a_run_writes_its_folder(tmp_path: Path) -> None:
    result = train(tmp_path, frame=made_up().assign(simulated=True))
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    assert {path.name for path in out.iterdir()} >= WRITTEN
    facts = json.loads((out / "run.json").read_text())
    assert facts["simulated"] is True
    assert facts["seed"] == 0
    assert facts["classes"].keys() == {"bankrupt", "distressed", "healthy"}
    assert "SIMULATED" in result.output
    card = (out / "model_card.md").read_text()
    assert "simulated companies" in card
    assert "optimistic" in card
    summary = json.loads((out / "panel_summary.json").read_text())
    assert sum(counts["companies"] for counts in summary["classes"].values()) == 60
    assert set(summary["sectors"]["healthy"]) == {"steel", "power"}
    assert set(summary["years"]["healthy"]) == {str(year) for year in range(2012, 2018)}
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert {"company_id", "fiscal_year", "truth", "proba_bankrupt"} <= set(predictions.columns)
    proba = load(out / "model").predict_proba(made_up()).to_numpy()
    assert np.allclose(proba.sum(axis=1), 1)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def warned(result: Result) -> list[str]:
    return [line for line in result.stdout.splitlines() if line.startswith("warning: ")]


def test_the_audit_is_printed_written_and_warns(tmp_path: Path) -> None:
    """Every second bankrupt row lacks r5 and r4, which others have: who lacks them is told."""
    frame = made_up()
    frame.loc[frame["label"] == "bankrupt", ["r4", "r5"]] = np.nan
    result = train(tmp_path, frame=frame)
    assert result.exit_code == 0, result.output
    board, audit = result.stdout.index("macro_f1"), result.stdout.index("Leak audit: what tells")
    assert board < audit < result.stdout.index("note: ")
    assert "warning: the pattern of missing values alone tells the classes apart" in result.stdout
    found = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert found["rows_total"] == len(frame)
    assert any("pattern of missing values" in line for line in found["warnings"])
    assert warned(train(tmp_path / "x", frame=made_up())) == []


def test_without_the_audit_the_outputs_say_so(tmp_path: Path) -> None:
    result = train(tmp_path, "--no-audit")
    assert result.exit_code == 0, result.output
    assert "note: no leak audit was made (--no-audit)" in result.stdout
    assert "Leak audit" not in result.stdout
    assert not (tmp_path / "run" / "audit.json").exists()
    assert "No leak audit was made" in (tmp_path / "run" / "model_card.md").read_text()


def test_the_audit_sees_whose_sector_is_not_known(tmp_path: Path) -> None:
    """Ratios relative to a sector let a model read who has none."""
    frame = made_up()
    frame["sector"] = frame["sector"].mask(frame["label"] == "bankrupt")
    said = "the pattern of missing values alone"
    assert said not in train(tmp_path, frame=frame).stdout
    result = train(tmp_path / "x", "--sector-relative", frame=frame)
    assert said in result.stdout
    assert "rows have no sector" in result.stdout


def test_sector_relative_features_stand_in_every_output(tmp_path: Path) -> None:
    result = train(tmp_path, "--sector-relative", "--no-audit")
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    names = [f"r{i}" for i in range(6)] + ["copy"]
    wanted = [*names, *(f"{name}_rel" for name in names)]
    kept = json.loads((out / "features_kept.json").read_text())
    assert kept["all"] == wanted
    assert set(kept["rf"]) < set(wanted)
    assert json.loads((out / "run.json").read_text())["features"] == 14
    board = pd.read_csv(out / "leaderboard.csv").set_index(["learner", "selector"])
    assert set(board.loc[("lr", "all"), ["n_features"]]) == {14}
    assert set(pd.read_csv(out / "importance.csv")["feature"]) <= set(wanted)
    table = (out / "tables" / "table4_features_kept.md").read_text()
    assert "r0\\_rel" in table or "r0_rel" in table
    assert list(load(out / "model").features) == wanted


def test_a_horizon_by_time(tmp_path: Path) -> None:
    options = ["--label", "fails_within_2y", "--protocol", "time", "--cut", "2015"]
    result = train(tmp_path, *options, "--no-audit", frame=horizon_frame())
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    facts = json.loads((out / "run.json").read_text())
    assert facts["classes"] == {"fails": 50, "survives": 150} or set(facts["classes"]) == {
        "fails",
        "survives",
    }
    assert facts["rows"] == 200
    assert facts["train_rows"] == 80  # 40 companies in 2012 and 2013
    assert "40 of 240 rows have no 'fails_within_2y'" in facts["notices"][0]
    assert "pr_auc_fails" in result.stdout
    truths = pd.read_parquet(out / "predictions.parquet")
    assert set(truths["truth"]) == {"fails", "survives"}
    assert {"proba_fails", "proba_survives"} <= set(truths.columns)


@pytest.fixture(scope="module")
def small_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of 80 simulated companies."""
    path = tmp_path_factory.mktemp("small") / "demo.duckdb"
    with store.connect(path, create=True) as connection:
        load_demo(connection, 80)
    return path


def train_db(db: Path, out: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--db", str(db), "--out", str(out), "--jobs", "1", *arguments])


def score_example(repo: Path, model: Path) -> dict[str, list[dict[str, float]]]:
    file = repo / "docs" / "example_statements.csv"
    result = CliRunner().invoke(score, [str(file), "--model", str(model), "--format", "json"])
    assert result.exit_code == 0, result.output
    (company,) = json.loads(result.stdout)["companies"]
    assert len(company["years"]) == 4
    for year in company["years"]:
        assert sum(year["probabilities"].values()) == pytest.approx(1)
    return {"years": company["years"]}


def test_all_features_of_a_warehouse_then_a_score(
    small_db: Path, tmp_path: Path, repo: Path
) -> None:
    options = ["--features", "all", "--learners", "lightgbm,lr", "--selectors", "all,rf"]
    result = train_db(small_db, tmp_path / "run", *options, "--grid", "paper")
    assert result.exit_code == 0, result.output
    kept = json.loads((tmp_path / "run" / "features_kept.json").read_text())
    ratios = [f"X{i}_rel" for i in range(1, 63)]
    assert kept["all"] == [*feature_names("all"), *ratios]
    years = score_example(repo, tmp_path / "run" / "model")["years"]
    first, last = (
        {gap["feature"]: gap["reason"] for gap in y["missing"]} for y in (years[0], years[-1])
    )
    assert first["X1_trend2"] == "no three years in a row"
    assert first["ohlson_o"] == "missing prev_net_profit"
    assert "X1_trend2" not in last
    assert last["company_age"] == "no CIN"
    assert first["X16_rel"] == first["X16"] == "missing prev_total_assets"
    assert "X1_rel" not in first


@pytest.mark.parametrize(("level", "relative"), [("base", False), ("trend", False), ("all", True)])
def test_levels_of_features(level: str, relative: bool, small_db: Path, tmp_path: Path) -> None:
    options = ["--learners", "lr", "--selectors", "all", "--grid", "paper", "--no-audit"]
    run = tmp_path / "run"
    result = train_db(small_db, run, *options, "--features", level, "--label", "fails_within_3y")
    assert result.exit_code == 0, result.output
    model = load(run / "model")
    assert [n for n in model.features if not n.endswith("_rel")] == list(feature_names(level))
    assert (model.inputs[-2:] == ("sector_key", "year_key")) is relative
    assert model.classes == ("fails", "survives")
    assert model.manifest["label_rule"].startswith("fails_within_3y: whether the company is")


def test_sector_relative_can_be_left_out(small_db: Path, tmp_path: Path) -> None:
    options = ["--learners", "lr", "--selectors", "all", "--grid", "paper", "--no-audit"]
    run = tmp_path / "run"
    result = train_db(small_db, run, *options, "--features", "all", "--no-sector-relative")
    assert result.exit_code == 0, result.output
    assert load(run / "model").features == feature_names("all")


@pytest.mark.slow
def test_all_features_of_the_demo_then_a_score(tmp_path: Path, repo: Path) -> None:
    options = ["--features", "all", "--learners", "lightgbm,lr", "--selectors", "all,rf"]
    result = CliRunner().invoke(main, [*options, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "SIMULATED" in result.stdout
    score_example(repo, tmp_path / "run" / "model")


def test_failed_cell_is_named_with_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = models.search._cell

    def broken(learner, selector, folds, plan):
        if learner.name == "lr":
            raise ValueError("no")
        return whole(learner, selector, folds, plan)

    monkeypatch.setattr(models.search, "_cell", broken)
    result = train(tmp_path)
    assert result.exit_code == 1
    assert "failed: lr/all: ValueError: no" in result.output
    assert (tmp_path / "run" / "leaderboard.csv").exists()


BAD = {
    "learner": (["--learners", "lr,oracle"], "unknown learner 'oracle'; one of lr, svm"),
    "nothing": (["--learners", " , "], "--learners names nothing"),
    "selector": (["--selectors", "best"], "unknown selector 'best'"),
    "engine": (["--engine", "dask://host:8786"], "only `local` is built so far"),
    "label": (["--label", "lable"], "nearest: label"),
    "group": (["--group", "firm"], "no column 'firm' (--group)"),
    "time": (
        ["--time", "year", "--protocol", "time"],
        "no column 'year' (--time); nearest: fiscal_year",
    ),
    "both": (["--db", "x.duckdb"], "exclude each other"),
    "features": (["--features", "trend"], "panel.csv has the columns that it has"),
    "no years": (
        ["--sector-relative", "--time", "company_id"],
        "--sector-relative needs a column of whole years; name it with --time COL",
    ),
    "panel": (["--panel", "absent.csv"], "no such file"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exit_code_2(case: str, tmp_path: Path) -> None:
    arguments, message = BAD[case]
    result = train(tmp_path, *arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("option", [["--grid", "huge"], ["--protocol", "x"], ["--jobs", "0"]])
def test_wrong_use_is_exit_code_2(option: list[str], tmp_path: Path) -> None:
    assert train(tmp_path, *option).exit_code == 2


def test_a_used_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").write_text("mine")
    result = train(tmp_path)
    assert result.exit_code == 2
    assert "not an empty folder" in result.stderr


def test_help_has_an_example() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "python -m models.train --panel" in result.output


def test_a_crash_leaves_nothing_half_written(tmp_path: Path) -> None:
    def crash() -> None:
        with whole_folder(tmp_path / "run") as folder:
            (folder / "a").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crash()
    assert list(tmp_path.iterdir()) == []


def test_csv_cells_cannot_be_formulas(tmp_path: Path) -> None:
    frame = pd.DataFrame({"=name": ["=1+1", "@x", "fine", None], "value": [-1.5, 2.0, 3.0, 4.0]})
    write_csv(frame, tmp_path / "a.csv")
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines == ["'=name,value", "'=1+1,-1.5", "'@x,2.0", "fine,3.0", ",4.0"]
