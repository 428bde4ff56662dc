"""The command: files it writes, exit codes, one line for each bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from test_models_panel import made_up

import models.search
from models.artifact import load
from models.outputs import whole_folder
from models.train import main
from warehouse.exports import write_csv

FAST = ["--learners", "lr,lightgbm", "--selectors", "all,rf", "--jobs", "1"]
WRITTEN = {
    *("leaderboard.csv", "importance.csv", "results.parquet", "predictions.parquet"),
    *("test_predictions.parquet", "confusion.json", "features_kept.json", "run.json"),
    *("model_card.md", "model", "panel_summary.json", "report.html"),
}


def train(tmp_path: Path, *arguments: str, frame: pd.DataFrame | None = None) -> Result:
    path = tmp_path / "panel.csv"
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
