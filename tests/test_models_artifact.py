"""Saved models: the same probabilities after loading, and refusal of anything tampered with."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import skops.io
from test_models_panel import made_up_panel
from test_models_pipeline import small

from models.artifact import FORMATS, load, manifest_hash
from models.evaluate import RunResult, make_plan, run
from models.learner import Learner
from models.learners import LEARNERS, learner_named
from models.pipeline import build_pipeline
from models.saving import save
from warehouse.errors import InputError


@pytest.fixture(scope="module", params=[2, 3])
def base(request: pytest.FixtureRequest) -> RunResult:
    panel = made_up_panel(40, classes=request.param)
    return run(panel, make_plan("paper", ("lr",), ("kbest",), "paper", seed=0))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda e: e.name)
def test_loaded_model_gives_identical_probabilities(
    learner: Learner, base: RunResult, tmp_path: Path
) -> None:
    params = small(learner)
    pipeline = build_pipeline(learner, params, "kbest", 0, "cpu")
    pipeline.fit(base.panel.X.to_numpy(), base.panel.y)
    best = replace(base.best, learner=learner.name, params=params)
    board = base.leaderboard.assign(learner=learner.name)
    result = replace(base, best=best, pipeline=pipeline, leaderboard=board)
    save(tmp_path / "model", result, {"label_rule": "made up", "macro": {"2015": [1.0] * 4}})
    model = load(tmp_path / "model")
    expected = pipeline.predict_proba(base.panel.X.to_numpy())
    found = model.predict_proba(base.panel.X).to_numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-12)  # sums in another order
    assert model.predict_proba(base.panel.X).columns.tolist() == list(base.panel.classes)
    assert model.selected == tuple(result.selected)
    assert not list((tmp_path / "model").glob("*.pkl"))


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", ["xgboost", "lightgbm"])
def test_a_booster_stopped_early_keeps_its_best_rounds(
    name: str, classes: int, tmp_path: Path
) -> None:
    random = np.random.default_rng(0)
    X, y = random.normal(size=(400, 4)), random.integers(classes, size=400)  # nothing to learn
    learner = learner_named(name)
    model = learner.build({**small(learner), "n_estimators": 60}, 0, "cpu")
    kept = learner.fit(model, X[:200], y[:200], (X[200:], y[200:]))
    form = FORMATS[learner.save]
    form.write(model, tmp_path / f"learner.{form.suffix}")
    read = form.read(tmp_path / f"learner.{form.suffix}")
    assert kept in range(1, 10)
    np.testing.assert_allclose(read.predict_proba(X), model.predict_proba(X), rtol=1e-12)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "model"
    save(folder, run(made_up_panel(), make_plan("company", ("lr",), ("all",), "paper", seed=0)), {})
    return folder


@pytest.fixture
def model_dir(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "model"))


def edit(folder: Path, **changes: object) -> None:
    """Change the manifest and its own hash with it, as somebody with intent would."""
    path = folder / "model.json"
    manifest = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({**manifest, "sha256": manifest_hash(manifest)}))


def test_an_edited_manifest_is_refused(model_dir: Path) -> None:
    path = model_dir / "model.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "classes": manifest["classes"][::-1]}))
    with pytest.raises(InputError, match="changed since it was saved"):
        load(model_dir)


def test_manifest_says_what_a_reader_needs(model_dir: Path) -> None:
    manifest = load(model_dir).manifest
    assert manifest["simulated"] is False
    assert set(manifest["medians"]["sectors"]) == {"steel", "power"}
    assert set(manifest["medians"]["overall"]) == set(manifest["features"])
    assert 0 < manifest["metrics"]["macro_f1"] < 1


def test_missing_values_are_scored_and_missing_columns_refused(model_dir: Path) -> None:
    model = load(model_dir)
    frame = pd.DataFrame(np.nan, index=["a"], columns=list(model.features))
    assert model.predict_proba(frame).to_numpy().sum() == pytest.approx(1)
    with pytest.raises(InputError, match="needs the column 'r3'"):
        model.predict_proba(frame.drop(columns="r3"))
    with pytest.raises(InputError, match="infinite value in 'r3'"):
        model.predict_proba(frame.assign(r3=np.inf))
    with pytest.raises(InputError, match="not a number"):
        model.predict_proba(frame.assign(r3="much"))


def flip(folder: Path) -> None:
    path = folder / "learner.skops"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def foreign_type(folder: Path) -> None:
    skops.io.dump(Path, folder / "learner.skops")
    name, digest = "learner.skops", hashlib.sha256((folder / "learner.skops").read_bytes())
    files = json.loads((folder / "model.json").read_text())["files"]
    edit(folder, files={**files, name: digest.hexdigest()})


def other_path(folder: Path) -> None:
    shutil.copy(folder / "learner.skops", folder.parent / "x")
    files = json.loads((folder / "model.json").read_text())["files"]
    edit(folder, files={"prepare.npz": files["prepare.npz"], "../x": files["learner.skops"]})


def linked(folder: Path) -> None:
    (folder / "learner.skops").rename(folder.parent / "x")
    (folder / "learner.skops").symlink_to(folder.parent / "x")


def swapped(folder: Path) -> None:
    shutil.copy(folder / "learner.skops", folder / "prepare.npz")
    files = json.loads((folder / "model.json").read_text())["files"]
    edit(folder, files={**files, "prepare.npz": files["learner.skops"]})


def old(folder: Path) -> None:
    versions = json.loads((folder / "model.json").read_text())["versions"]
    edit(folder, versions={**versions, "scikit-learn": "0.24.2"})


WIDTH = made_up_panel().X.shape[1]


def prepared(**changes: object) -> Callable[[Path], None]:
    """Other arrays in the preparation, None for one left out, with their hash."""

    def damage(folder: Path) -> None:
        path = folder / "prepare.npz"
        with np.load(path) as found:
            arrays = {name: found[name] for name in found.files} | changes
        there = {name: value for name, value in arrays.items() if value is not None}
        np.savez(path, **there)  # type: ignore[arg-type]
        files = json.loads((folder / "model.json").read_text())["files"]
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        edit(folder, files={**files, "prepare.npz": digest})

    return damage


DAMAGE = {
    "an array less": (prepared(low=None), "not the preparation"),
    "an array more": (prepared(other=np.zeros(WIDTH)), "not the preparation"),
    "a shorter array": (prepared(mean=np.zeros(WIDTH - 1)), "not the preparation"),
    "divided by zero": (prepared(scale=np.zeros(WIDTH)), "not the preparation"),
    "not a number": (prepared(median=np.full(WIDTH, np.nan)), "not the preparation"),
    "of another kind": (prepared(mask=np.ones(WIDTH)), "not the preparation"),
    "pickled": (prepared(mask=np.array([Path()] * WIDTH)), "not readable"),
    "fewer selected": (prepared(mask=np.arange(WIDTH) > 0), "do not fit"),
    "no folder": (shutil.rmtree, "no such model folder"),
    "no manifest": (lambda d: (d / "model.json").unlink(), "not a model folder"),
    "not json": (lambda d: (d / "model.json").write_text("{"), "not valid JSON"),
    "other format": (lambda d: edit(d, format=99), "not of model format"),
    "no classes": (lambda d: edit(d, classes=None), "'classes' is missing"),
    "odd classes": (lambda d: edit(d, classes=[1, 2]), "must hold texts"),
    "odd selection": (lambda d: edit(d, selected=["zz"]), "not among the features"),
    "odd learner": (lambda d: edit(d, learner=7), "'learner' is missing or not a str"),
    "missing file": (lambda d: (d / "learner.skops").unlink(), "missing; copy the whole"),
    "flipped byte": (flip, "sha256 differs"),
    "other path": (other_path, "'files' must name"),
    "link": (linked, "missing"),
    "unknown type": (foreign_type, "which no model of ours does"),
    "swapped": (swapped, "not the preparation"),
    "old version": (old, "saved with scikit-learn 0.24.2"),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_refused_in_one_line(case: str, model_dir: Path) -> None:
    damage, message = DAMAGE[case]
    damage(model_dir)
    with pytest.raises(InputError, match=message) as caught:
        load(model_dir)
    assert "\n" not in str(caught.value)
    assert "python -m models.train" in str(caught.value)
