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
from features.dataset import Features, feature_names, load_demo, training_data
from models import scoring
from models.artifact import Model, load, load_others
from models.outputs import whole_folder
from models.panel import LEVELS, panel_from_frame, sector_columns
from models.score import main as score
from models.train import Columns, _audit, _label_rule, _panel, is_relative, main
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
    assert "the test rows had\nno part in the choice" in card
    summary = json.loads((out / "panel_summary.json").read_text())
    assert sum(counts["companies"] for counts in summary["classes"].values()) == 60
    assert set(summary["sectors"]["healthy"]) == {"steel", "power"}
    assert set(summary["years"]["healthy"]) == {str(year) for year in range(2012, 2018)}
    predictions = pd.read_parquet(out / "predictions.parquet")
    assert {"company_id", "fiscal_year", "truth", "proba_bankrupt"} <= set(predictions.columns)
    proba = load(out / "model").predict_proba(made_up()).to_numpy()
    assert np.allclose(proba.sum(axis=1), 1)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_best_of_each_learner_is_kept_as_asked(tmp_path: Path) -> None:
    """Beside the best model, best first, each as it was scored on the test rows."""
    names = ("--learners", "lr,knn,xgboost", "--selectors", "all,correlation", "--keep", "3")
    result = train(tmp_path, *names)
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    board = pd.read_csv(out / "leaderboard.csv").drop_duplicates("learner")
    best, *others = (f"{row.learner}/{row.selector}" for row in board.itertuples())
    assert load(out / "model").name == best
    found = load_others(out / "model")
    assert [model.name for model in found] == others
    scored = pd.read_parquet(out / "test_predictions.parquet").set_index(["learner", "selector"])
    for model in found:
        rows = scored.loc[tuple(model.name.split("/"))]
        keys = rows[["company_id", "fiscal_year"]].astype({"fiscal_year": int}).merge(made_up())
        told = [f"proba_{name}" for name in model.classes]
        np.testing.assert_allclose(model.predict_proba(keys), rows[told], atol=1e-6)
        assert model.calibration is not None
        assert model.history is None


def sectorless() -> pd.DataFrame:
    """No bankrupt company has a sector: ratios relative to it let a model read who has none."""
    frame = made_up()
    return frame.assign(sector=frame["sector"].mask(frame["label"] == "bankrupt"))


MISSING = "the pattern of missing values alone tells the classes apart"


@pytest.mark.slow
def test_audit_and_relative_features_stand_in_every_output(tmp_path: Path) -> None:
    result = train(tmp_path, "--sector-relative", "--learners", "lr", frame=sectorless())
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    board, audit = result.stdout.index("macro_f1"), result.stdout.index("Leak audit: what tells")
    assert board < audit < result.stdout.index(f"warning: {MISSING}")
    assert "rows have no sector and are compared with all sectors" in result.stdout
    found = json.loads((out / "audit.json").read_text())
    assert found["rows_total"] == len(made_up())
    assert any(MISSING in line for line in found["warnings"])
    names = [*(f"r{i}" for i in range(6)), "copy"]
    wanted = [*names, *(f"{name}_rel" for name in names)]
    kept = json.loads((out / "features_kept.json").read_text())
    assert kept["all"] == wanted
    assert set(kept["rf"]) < set(wanted)
    assert json.loads((out / "run.json").read_text())["features"] == len(wanted)
    leaders = pd.read_csv(out / "leaderboard.csv").set_index("selector")
    assert leaders.loc["all", "n_features"] == len(wanted)
    assert "_rel" in (out / "tables" / "table4_features_kept.md").read_text()
    assert list(load(out / "model").features) == wanted


def test_the_audit_sees_no_sectors_where_no_ratio_is_compared_with_them() -> None:
    columns = Columns("label", "company_id", "fiscal_year")
    found = _audit(panel_from_frame(sectorless()), columns, 0)
    assert not any(MISSING in line for line in found.warnings)
    assert (found.rows_total, found.companies, found.classes) == (360, 60, 3)
    reasons = {row.probe: row.reason for row in found.rows}
    assert (reasons["year"], reasons["split"]) == ("", "")
    assert reasons["source"] == "no column 'source'"
    assert reasons["size"] == "no column 'total_assets'"


def test_the_audit_is_given_the_columns_of_the_panel_by_their_names() -> None:
    """A year that tells all, under another name; and a size that does."""
    frame = made_up().rename(columns={"label": "state of it", "company_id": "firm"})
    kind = frame["state of it"].map({"bankrupt": 1, "distressed": 2, "healthy": 3})
    year = frame.groupby("firm").cumcount() + kind * 10
    frame = frame.assign(total_assets=10.0**kind, source="a", when=year)
    columns = Columns("state of it", "firm", "when")
    panel = panel_from_frame(frame.drop(columns="fiscal_year"), *vars(columns).values())
    large = {row.probe for row in _audit(panel, columns, 0).rows if row.large}
    assert large >= {"year", "size"}


@pytest.mark.slow
def test_a_horizon_by_time(tmp_path: Path) -> None:
    options = ["--label", "fails_within_2y", "--protocol", "time", "--cut", "2015"]
    one = ["--learners", "lr", "--selectors", "all", "--grid", "paper", "--no-audit"]
    result = train(tmp_path, *options, *one, frame=horizon_frame())
    assert result.exit_code == 0, result.output
    out = tmp_path / "run"
    facts = json.loads((out / "run.json").read_text())
    assert set(facts["classes"]) == {"fails", "survives"}
    assert facts["rows"] == 200
    # 2012 and 2013: two years after March 2014 the cut, December 2015, has passed.
    assert facts["train_rows"] == 80
    assert "40 of 240 rows have no 'fails_within_2y'" in facts["notices"][0]
    assert "pr_auc_fails" in result.stdout
    truths = pd.read_parquet(out / "predictions.parquet")
    assert set(truths["truth"]) == {"fails", "survives"}
    assert {"proba_fails", "proba_survives"} <= set(truths.columns)


@pytest.fixture(scope="module")
def small_db(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of 60 simulated companies."""
    path = tmp_path_factory.mktemp("small") / "demo.duckdb"
    with store.connect(path, create=True) as connection:
        load_demo(connection, 60)
    return path


def score_example(repo: Path, model: Path) -> list[dict[str, str]]:
    """Score the example of the docs: of each of its four years why features are missing."""
    file = repo / "docs" / "example_statements.csv"
    result = CliRunner().invoke(score, [str(file), "--model", str(model), "--format", "json"])
    assert result.exit_code == 0, result.output
    assert "no sector is known of madeup-mills: compared with the medians of all" in result.stderr
    (company,) = json.loads(result.stdout)["companies"]
    assert len(company["years"]) == 4
    for year in company["years"]:
        assert sum(year["probabilities"].values()) == pytest.approx(1)
        assert len(year["explanation"]["reasons"]) == 5
    return [{gap["feature"]: gap["reason"] for gap in year["missing"]} for year in company["years"]]


@pytest.mark.slow
def test_all_features_of_a_warehouse_then_a_score(
    small_db: Path, tmp_path: Path, repo: Path
) -> None:
    options = ["--db", str(small_db), "--out", str(tmp_path / "run"), "--jobs", "1", "--no-audit"]
    options += ["--learners", "lr", "--selectors", "rf", "--grid", "paper"]
    result = CliRunner().invoke(main, [*options, "--features", "all"])
    assert result.exit_code == 0, result.output
    wanted = (*feature_names("all"), *(f"X{i}_rel" for i in range(1, 63)))
    assert load(tmp_path / "run" / "model").features == wanted
    first, *_, last = score_example(repo, tmp_path / "run" / "model")
    assert first["X1_trend2"] == "no three years in a row"
    assert first["ohlson_o"] == "missing prev_net_profit"
    assert first["X16_rel"] == first["X16"] == "missing prev_total_assets"
    assert "X1_rel" not in first
    assert not {"X1_trend2", "ohlson_o", "X16", "X16_rel"} & set(last)
    assert last["company_age"] == "no CIN"
    of_the_panel_and_of_the_score(small_db, load(tmp_path / "run" / "model"))


def of_the_panel_and_of_the_score(db: Path, model: Model) -> None:
    """A company in the warehouse gets the probabilities that its rows of the panel get."""
    frame = training_data(db, 0, "all").frame
    rows = frame.assign(**sector_columns(frame["sector"], frame["fiscal_year"]))
    expected = model.predict_proba(rows).to_numpy()
    with store.connect(db, read_only=True) as connection:
        found = scoring.score(connection, model, ask=scoring.Ask("none"))
    said = {
        (company.company_id, year.fiscal_year): tuple(year.as_given.values())
        for company in found.companies
        for year in company.years
    }
    keys = zip(frame["company_id"], frame["fiscal_year"].astype(int), strict=True)
    np.testing.assert_allclose([said[key] for key in keys], expected, atol=1e-12)
    assert not any("no sector" in line for line in found.notices)


@pytest.mark.slow
@pytest.mark.parametrize("level", LEVELS[:2])  # the last: in the run above
def test_levels_of_features(level: Features, small_db: Path) -> None:
    columns = Columns("fails_within_3y", "company_id", "fiscal_year")
    data, rule = _panel(None, small_db, columns, level, 0)
    assert data.features == feature_names(level)
    assert data.classes == ("fails", "survives")
    assert data.known_from is not None
    assert not np.isnat(data.known_from).any()
    assert data.notices[-1].endswith("(not yet observed, or already admitted) and are left out")
    assert rule.startswith("fails_within_3y: whether the company is admitted within 3 years")
    assert _label_rule("label", "the rule") == "the rule"


@pytest.mark.parametrize(
    ("level", "asked", "wanted"),
    [
        ("base", None, False), ("trend", None, False), ("all", None, True),
        ("base", True, True), ("all", False, False),
    ],
)  # fmt: skip
def test_sectors_are_compared_with_all_features_or_as_asked(
    level: Features, asked: bool | None, wanted: bool
) -> None:
    assert is_relative(level, asked) is wanted


@pytest.mark.slow
def test_all_features_of_the_demo_then_a_score(tmp_path: Path, repo: Path) -> None:
    options = ["--features", "all", "--learners", "lightgbm,lr", "--selectors", "all,rf"]
    result = CliRunner().invoke(main, [*options, "--out", str(tmp_path / "run")])
    assert result.exit_code == 0, result.output
    assert "SIMULATED" in result.stdout
    assert "Leak audit" in result.stdout
    score_example(repo, tmp_path / "run" / "model")


@pytest.mark.slow
def test_failed_cell_is_named_with_exit_code_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = models.search._cell

    def broken(learner, *rest):
        if learner.name == "lr":
            raise ValueError("no")
        return whole(learner, *rest)

    monkeypatch.setattr(models.search, "_cell", broken)
    result = train(tmp_path, "--no-audit", "--grid", "paper")
    assert result.exit_code == 1
    assert "note: no leak audit was made (--no-audit)" in result.stdout
    assert not (tmp_path / "run" / "audit.json").exists()
    assert "No leak audit was made" in (tmp_path / "run" / "model_card.md").read_text()
    assert "failed: lr/all: ValueError: no" in result.output
    assert (tmp_path / "run" / "leaderboard.csv").exists()


BAD = {
    "learner": (["--learners", "lr,oracle"], "unknown learner 'oracle'; one of lr, svm"),
    "nothing": (["--learners", " , "], "--learners names nothing"),
    "selector": (["--selectors", "best"], "unknown selector 'best'"),
    "engine": (["--engine", "spark://host:7077"], "expected local or dask://HOST:PORT"),
    "port": (["--engine", "dask://host"], "expected local or dask://HOST:PORT"),
    "resampling": (["--resampling", "smote,adasyn"], "--resampling adasyn: one of smote, none"),
    "resume": (["--resume", "--out", "x"], "holds no interrupted run"),
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
