"""A run is logged to a real MLflow store; what cannot be logged is one line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_models_panel import made_up

from models.train import main

FAST = ["--learners", "lr", "--selectors", "all", "--grid", "paper", "--no-audit", "--jobs", "1"]


def train(folder: Path, uri: str) -> tuple[int, str]:
    panel = folder / "panel.csv"
    made_up().to_csv(panel, index=False)
    told = ["--panel", str(panel), *FAST, "--mlflow", uri, "--out", str(folder / "run")]
    ran = CliRunner().invoke(main, told)
    return ran.exit_code, ran.output


def test_a_run_is_logged_with_its_figures_and_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    code, said = train(tmp_path, (tmp_path / "store").as_uri())
    assert code == 0, said
    runs = mlflow.search_runs(experiment_names=["insolvency-radar"], output_format="list")
    assert len(runs) == 1
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert runs[0].data.params["data_hash"] == facts["data_hash"]
    assert runs[0].data.params["learner"] == "lr"
    manifest = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert runs[0].data.metrics["macro_f1"] == pytest.approx(manifest["metrics"]["macro_f1"])
    logged = Path(runs[0].info.artifact_uri.removeprefix("file://"))
    assert (logged / "model" / "model.json").read_bytes() == (
        tmp_path / "run" / "model" / "model.json"
    ).read_bytes()


def test_a_store_that_takes_nothing_is_named_and_the_run_stays(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    code, said = train(tmp_path, "nonsense://nowhere")
    assert code == 1
    assert "failed: --mlflow nonsense://nowhere: the run was not logged" in said
    assert (tmp_path / "run" / "report.html").is_file()
