"""What is said of the best model: calibration, sets, costs, ties; on disk and loaded again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.testing import assert_frame_equal
from sklearn.metrics import log_loss
from test_models_panel import made_up_panel

from models.artifact import load, manifest_hash
from models.assess import COVERAGE, Assessment, assess
from models.cell import Cell
from models.evaluate import RunResult, make_plan, run
from models.outputs import write_run
from models.panel import Floats, Panel
from models.protocols import Split
from models.search import Search, search
from warehouse.errors import InputError

FACTS: dict[str, Any] = {"command": "python -m models.train", "label_rule": "made up", "macro": {}}
TABLES = ("comparison", "quality", "reliability", "coverage", "costs")
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def result() -> RunResult:
    return run(made_up_panel(), make_plan("company", ("lr", "knn"), ("all",), seed=0))


@pytest.fixture(scope="module")
def untuned() -> RunResult:
    return run(made_up_panel(), make_plan("company", ("lr", "knn"), ("all",), "paper", seed=0))


def searched(panel: Panel, split: Split) -> Search:
    return search(panel, split, make_plan("company", ("lr",), ("all",), seed=0))


def assessed(panel: Panel, split: Split, found: Search) -> Assessment:
    return assess(panel, split, found.folds, found.cells, found.cells[0], 0)


# ---- ties


def cell(name: str, test: Floats) -> Cell:
    return Cell(name, "all", {}, "none", 1, (), test, 0.0, 0.0, 0.0, None)


def test_models_that_cannot_be_told_apart_are_tied() -> None:
    """The best errs on one row in five, its twin on another one in five, the last on all."""
    panel = made_up_panel()
    split = make_plan("company", ("lr",), ("all",)).protocol.split(panel, 0)
    truth = panel.y[split.test]
    wrong = np.roll(np.eye(3), 1, axis=0)[truth]
    right, rows = np.eye(3)[truth], np.arange(len(truth))
    best = cell("best", np.where((rows % 5 == 0)[:, None], wrong, right))
    twin = cell("twin", np.where((rows % 5 == 1)[:, None], wrong, right))
    last = cell("last", wrong)
    told = assess(panel, split, (), [last, twin, best], best, 0)
    assert told.tied == ("twin/all",)
    verdicts = dict(zip(told.comparison["name"], told.comparison["verdict"], strict=True))
    assert verdicts == {"best/all": "tied", "last/all": "behind", "twin/all": "tied"}
    # The last has an F1 of 0 in each class.
    by_name = told.comparison.set_index("name")["difference"]
    said = best.test.argmax(axis=1)
    hits = [2 * ((said == c) & (truth == c)).sum() for c in range(3)]
    f1 = [hits[c] / ((said == c).sum() + (truth == c).sum()) for c in range(3)]
    assert by_name["last/all"] == pytest.approx(-np.mean(f1))


def test_a_model_alone_is_tied_with_none() -> None:
    panel = made_up_panel()
    split = make_plan("company", ("lr",), ("all",)).protocol.split(panel, 0)
    alone = cell("alone", np.eye(3)[panel.y[split.test]])
    assert assess(panel, split, (), [alone], alone, 0).tied == ()


# ---- without tuning folds


def test_without_folds_there_is_a_note_and_nothing_else(untuned: RunResult) -> None:
    told = untuned.assessment
    note = "probabilities are not calibrated: there were no tuning folds"
    assert told.notices == (note,)
    assert note in untuned.notices
    assert (told.calibration, told.sets, told.proba) == (None, None, None)
    assert [len(getattr(told, name)) for name in TABLES] == [2, 0, 0, 0, 0]
    assert not [name for name in untuned.predictions if name.startswith("calibrated_")]
    assert "prediction_set" not in untuned.predictions


# ---- learnt from training rows alone


def test_nothing_of_the_test_rows_is_learnt() -> None:
    """The whole way from the panel: labels and features of the test rows change neither."""
    panel = made_up_panel()
    split = make_plan("company", ("lr",), ("all",)).protocol.split(panel, 0)
    before = assessed(panel, split, searched(panel, split))
    y, X = panel.y.copy(), panel.X.copy()
    y[split.test] = np.roll(y[split.test], 7)
    X.iloc[split.test] = X.iloc[split.test].to_numpy()[::-1] * 3
    other = replace(panel, y=y, X=X)
    after = assessed(other, split, searched(other, split))
    assert after.calibration == before.calibration
    assert after.sets == before.sets
    assert not after.quality.equals(before.quality)


def test_probabilities_of_the_test_rows_teach_nothing() -> None:
    panel = made_up_panel()
    split = make_plan("company", ("lr",), ("all",)).protocol.split(panel, 0)
    found = searched(panel, split)
    before = assessed(panel, split, found)
    odd = np.random.default_rng(0).dirichlet(np.ones(3), len(split.test))
    after = assessed(panel, split, replace(found, cells=(replace(found.cells[0], test=odd),)))
    assert (after.calibration, after.sets) == (before.calibration, before.sets)
    assert not np.allclose(after.proba, before.proba)
    # Those of the training rows do teach.
    worse = replace(found.cells[0], cv=tuple(part[:, ::-1] for part in found.cells[0].cv))
    taught = assessed(panel, split, replace(found, cells=(worse,)))
    assert taught.calibration != before.calibration
    assert taught.sets != before.sets


def test_calibrated_means_are_the_shares_of_the_training_rows() -> None:
    """As Platt's targets have them: one row more than there is, an equal part of each class."""
    panel = made_up_panel()
    split = make_plan("company", ("lr",), ("all",)).protocol.split(panel, 0)
    found = searched(panel, split)
    told = assessed(panel, split, found)
    assert told.calibration is not None
    assert told.sets is not None
    rows = np.concatenate(found.folds)
    assert sorted(rows) == sorted(split.train)
    y, size = panel.y[rows], len(rows)
    proba = told.calibration.apply(np.vstack(found.cells[0].cv))
    wanted = (np.bincount(y) + 1 / 3) / (size + 1)
    assert proba.mean(axis=0) == pytest.approx(wanted, abs=1e-4)
    # Each row stands beside its own label: they say more than the shares do.
    assert log_loss(y, proba) < 0.8 * log_loss(y, np.tile(wanted, (size, 1)))
    assert told.calibration.counts == tuple(np.bincount(y))
    assert panel.groups is not None
    companies = [len(set(panel.groups[rows][y == code])) for code in range(3)]
    assert told.sets.counts == tuple(companies)
    assert told.sets.coverage == COVERAGE == 0.9


# ---- what the tables hold


def test_quality_is_that_of_the_test_rows(result: RunResult) -> None:
    told, y = result.assessment, result.panel.y[result.split.test]
    assert told.proba is not None
    quality = told.quality.set_index("figure")
    for kind, proba in (("as_given", result.best.test), ("calibrated", told.proba)):
        brier = ((proba - np.eye(3)[y]) ** 2).sum(axis=1).mean()
        assert quality.loc["log_loss", kind] == pytest.approx(log_loss(y, proba))
        assert quality.loc["brier", kind] == pytest.approx(brier)
    assert list(quality.index) == ["log_loss", "brier", "ece"]


def test_every_test_row_is_counted(result: RunResult) -> None:
    told, y = result.assessment, result.panel.y[result.split.test]
    counts = np.bincount(y)
    rows = told.reliability.groupby(["kind", "class"])["rows"].sum()
    assert set(rows) == {len(y)}
    assert len(rows) == 2 * 3
    assert list(told.coverage["class"]) == [*result.panel.classes, "all"]
    assert list(told.coverage["rows"]) == [*counts, len(y)]
    focus = counts[result.panel.focus]
    assert set(told.costs["caught"] + told.costs["missed"]) == {focus}
    assert (told.costs["flagged"] == told.costs["caught"] + told.costs["false_alarms"]).all()


def test_sets_hold_the_classes_whose_probability_reaches_their_threshold(
    result: RunResult,
) -> None:
    told, said = result.assessment, result.predictions
    assert told.sets is not None
    names = result.panel.classes
    proba = said[[f"calibrated_{name}" for name in names]].to_numpy()
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    np.testing.assert_array_equal(proba, told.proba)
    for row, written in zip(proba, said["prediction_set"], strict=True):
        pairs = zip(names, row, told.sets.thresholds, strict=True)
        assert written == "|".join(name for name, p, least in pairs if p >= least)
    truth = said["truth"].to_numpy()
    held = said["prediction_set"].str.split("|")
    covered = [one in some for one, some in zip(truth, held, strict=True)]
    assert told.coverage["covered"].iloc[-1] == pytest.approx(np.mean(covered))


# ---- on disk


@pytest.fixture(scope="module")
def written(result: RunResult, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("written")
    write_run(out, result, FACTS)
    return out


@pytest.fixture
def model_dir(written: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(written / "model", tmp_path / "model"))


@pytest.mark.parametrize("name", TABLES)
def test_the_files_hold_what_the_result_holds(name: str, result: RunResult, written: Path) -> None:
    table = getattr(result.assessment, name)
    assert len(table) > 1
    assert_frame_equal(pd.read_csv(written / f"{name}.csv"), table, check_dtype=False)


def test_predictions_on_disk_are_calibrated(result: RunResult, written: Path) -> None:
    assert_frame_equal(pd.read_parquet(written / "predictions.parquet"), result.predictions)
    everyone = pd.read_parquet(written / "test_predictions.parquet")
    assert not [name for name in everyone if name.startswith("calibrated_")]


def test_without_folds_no_empty_file_is_written(untuned: RunResult, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_run(tmp_path / "run", untuned, FACTS)
    there = {name for name in TABLES if (tmp_path / "run" / f"{name}.csv").exists()}
    assert there == {"comparison"}
    model = load(tmp_path / "run" / "model")
    assert (model.calibration, model.sets) == (None, None)
    proba = model.predict_proba(untuned.panel.X).to_numpy()
    assert model.told(proba) is proba


def test_a_loaded_model_has_the_same_calibration_and_sets(result: RunResult, written: Path) -> None:
    model, told = load(written / "model"), result.assessment
    assert model.calibration == told.calibration
    assert model.sets == told.sets
    rows = result.panel.X.iloc[result.split.test].set_axis(
        [f"row {at}" for at in range(len(result.split.test))]
    )
    proba = model.predict_proba(rows)
    assert list(proba.index) == list(rows.index)
    assert list(proba.columns) == list(result.panel.classes)
    np.testing.assert_allclose(model.told(proba.to_numpy()), told.proba, atol=1e-9)
    np.testing.assert_allclose(proba.to_numpy(), result.best.test, atol=1e-9)


DAMAGE: dict[str, tuple[Edit, str]] = {
    "no object": (lambda m: m.update(calibration=[1]), "calibration: expected an object of"),
    "no weights": (lambda m: m["calibration"].pop("weights"), "calibration: expected an object"),
    "odd field": (lambda m: m["calibration"].update(more=1), "calibration: expected an object"),
    "text": (lambda m: m["calibration"].update(bias=["a", 0, 0]), "'bias': expected a number"),
    "not finite": (lambda m: m["calibration"].update(bias=[float("nan")] * 3), "'bias'"),
    "ragged": (lambda m: m["calibration"]["weights"][1].pop(), "'weights': expected a list of 3"),
    "few rows": (lambda m: m["calibration"]["weights"].pop(), "'weights': expected 3 lists"),
    "two classes": (
        lambda m: m.update(
            calibration={"weights": [[1, 0], [0, 1]], "bias": [0, 0], "counts": [1, 1]}
        ),
        "its calibration is of 2 classes",
    ),
    "level": (lambda m: m["sets"].update(thresholds=[2.0, 0, 0]), "prediction sets, 'thresholds'"),
    "coverage": (lambda m: m["sets"].update(coverage=1), "must lie between 0 and 1"),
    "counts": (lambda m: m["sets"].update(counts=[1.5, 1, 1]), "expected a count"),
}  # fmt: skip


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_calibration_is_refused_in_one_line(case: str, model_dir: Path) -> None:
    damage, message = DAMAGE[case]
    path = model_dir / "model.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    damage(manifest)
    path.write_text(json.dumps({**manifest, "sha256": manifest_hash(manifest)}), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        load(model_dir)
    assert "\n" not in str(caught.value)
    assert "model.json" in str(caught.value)
    assert "python -m models.train" in str(caught.value)


def test_a_calibration_that_was_changed_by_chance_is_refused(model_dir: Path) -> None:
    path = model_dir / "model.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["calibration"]["bias"][0] += 0.5
    path.write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(InputError, match="changed since it was saved"):
        load(model_dir)


def test_a_model_of_before_has_no_calibration(model_dir: Path) -> None:
    path = model_dir / "model.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    del manifest["calibration"], manifest["sets"]
    path.write_text(json.dumps({**manifest, "sha256": manifest_hash(manifest)}), encoding="utf-8")
    assert load(model_dir).calibration is None
