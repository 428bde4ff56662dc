"""Cells that are kept: read back as they were, or not at all; an interrupted run goes on."""

from __future__ import annotations

import io
import json
import os
import pickle
import random
import shlex
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPO
from test_models_panel import made_up

from models.cell import Cell, failed_cell
from models.kept import Kept
from models.learners import LEARNERS
from warehouse.errors import InputError

PLAN = {"rows": "abc", "grid": "quick", "seed": "0"}
TIMED = ["fit_seconds", "ms_per_company"]


def cell(**changes: object) -> Cell:
    rows = np.random.default_rng(0)
    whole = Cell(
        "ann", "rf",
        params={"hidden_layer_sizes": (64, 32), "alpha": 1e-4, "solver": "adam", "w": None},
        resampling="none",
        n_features=7,
        cv=tuple(rows.random((n, 3)) for n in (5, 4)),
        test=rows.random((6, 3)),
        fit_seconds=0.1 + 0.2,
        tune_seconds=1e-17,
        ms_per_company=3.0,
        importance=rows.random(7),
        shortlist=(4, 0, 2),
    )  # fmt: skip
    return replace(whole, **changes)


def begun(tmp_path: Path, resume: bool = False, **changes: str) -> Kept:
    kept = Kept(tmp_path / "run.part")
    kept.begin({**PLAN, **changes}, resume)
    return kept


def file_of(kept: Kept) -> Path:
    return kept.folder / "ann.rf.npz"


def assert_same(one: Cell | None, other: Cell) -> None:
    assert one is not None
    for field in fields(Cell):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "cv":
            assert len(a) == len(b)
            assert all(
                x.dtype == y.dtype and np.array_equal(x, y) for x, y in zip(a, b, strict=True)
            )
        elif isinstance(b, np.ndarray):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)
        else:
            assert (a, type(a)) == (b, type(b))


@pytest.mark.parametrize("changes", [{}, {"importance": None}, {"cv": (), "shortlist": ()}])
def test_a_cell_comes_back_as_it_was(tmp_path: Path, changes: dict[str, object]) -> None:
    begun(tmp_path).save(cell(**changes))
    again = begun(tmp_path, resume=True)
    assert_same(again.load("ann", "rf"), cell(**changes))
    assert again.count() == 1
    assert again.load("ann", "all") is None


def test_parameters_of_every_learner_come_back(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    for learner in LEARNERS:
        for params in {
            grid: p for grid in ("paper", "quick", "full") for p in learner.points(grid)
        }.values():
            kept.save(cell(learner=learner.name, params=params))
            found = kept.load(learner.name, "rf")
            assert found is not None
            assert found.params == params


def test_a_failed_cell_is_not_kept(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    kept.save(failed_cell("ann", "rf", "ValueError: no"))
    assert kept.count() == 0
    assert kept.load("ann", "rf") is None


def test_files_cut_short_count_as_not_done(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    kept.save(cell())
    whole = file_of(kept).read_bytes()
    for size in {0, 1, 4, 100, *range(0, len(whole), 97), len(whole) - 1}:
        file_of(kept).write_bytes(whole[:size])
        assert kept.load("ann", "rf") is None, size


def test_a_damaged_file_gives_the_cell_or_nothing(tmp_path: Path) -> None:
    kept = begun(tmp_path)
    kept.save(cell())
    whole = file_of(kept).read_bytes()
    chance = random.Random(5)
    lost = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        file_of(kept).write_bytes(damaged)
        found = kept.load("ann", "rf")
        lost += found is None
        if found is not None:
            assert_same(found, cell())
    assert lost > 200


def npz(**arrays: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def npy(array: object) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


FOREIGN = {
    "text": b"learner,selector\n",
    "one array": npy(np.zeros(3)),
    "another npz": npz(x=np.zeros(3)),
    "a list": npz(plain=np.array("[1]"), test=np.zeros((1, 2))),
    "no JSON": npz(plain=np.array("{"), test=np.zeros((1, 2))),
    "a zip": None,
}


@pytest.mark.parametrize("name", FOREIGN)
def test_foreign_files_count_as_not_done(tmp_path: Path, name: str) -> None:
    kept = begun(tmp_path)
    if FOREIGN[name] is None:
        with zipfile.ZipFile(file_of(kept), "w") as file:
            file.writestr("plain.npy", "hello")
    else:
        file_of(kept).write_bytes(FOREIGN[name])
    assert kept.load("ann", "rf") is None


def test_cells_of_another_plan_or_name_count_as_not_done(tmp_path: Path) -> None:
    """Two runs may be pointed at one folder: the file says what it is."""
    kept = begun(tmp_path)
    kept.save(cell())
    other = begun(tmp_path / "other", seed="1")
    file_of(other).write_bytes(file_of(kept).read_bytes())
    assert other.load("ann", "rf") is None
    (kept.folder / "lr.rf.npz").write_bytes(file_of(kept).read_bytes())
    assert kept.load("lr", "rf") is None
    assert kept.load("ann", "rf") is not None


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> object:
        return Path.touch, (self.path,)


@pytest.mark.parametrize("field", ["plain", "test", "cv0", "importance", "more"])
def test_nothing_is_unpickled(tmp_path: Path, field: str) -> None:
    mark = tmp_path / "unpickled"
    bomb = np.empty(1, dtype=object)
    bomb[0] = Bomb(mark)
    kept = begun(tmp_path)
    kept.save(cell())
    with np.load(file_of(kept)) as file:
        arrays = dict(file)
    file_of(kept).write_bytes(npz(**{**arrays, field: bomb}))
    assert kept.load("ann", "rf") is None
    file_of(kept).write_bytes(pickle.dumps(Bomb(mark)))
    assert kept.load("ann", "rf") is None
    assert not mark.exists()
    np.load(io.BytesIO(npy(bomb)), allow_pickle=True)
    assert mark.exists(), "the bomb is one"


@pytest.mark.parametrize(
    ("before", "now", "message"),
    [
        ({}, {"seed": "1"}, "made with seed 0, this is 1"),
        ({}, {"grid": "full"}, "made with grid quick, this is full"),
        ({"old": "x"}, {}, "made with old x, this is None"),
        ({}, {"new": "x"}, "made with new None, this is x"),
    ],
)
def test_another_plan_is_refused(
    tmp_path: Path, before: dict[str, str], now: dict[str, str], message: str
) -> None:
    begun(tmp_path, **before).save(cell())
    with pytest.raises(InputError, match=message):
        begun(tmp_path, resume=True, **now)
    assert begun(tmp_path, resume=True, **before).count() == 1


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_plan_that_cannot_be_read_is_refused(tmp_path: Path, text: str) -> None:
    (begun(tmp_path).folder / "plan.json").write_text(text, encoding="latin-1")
    with pytest.raises(InputError, match=r"plan\.json is not readable"):
        begun(tmp_path, resume=True)


def test_nothing_to_go_on_with_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no interrupted run"):
        begun(tmp_path, resume=True)
    assert not (tmp_path / "run.part").exists()


def test_a_new_run_does_not_throw_kept_cells_away(tmp_path: Path) -> None:
    begun(tmp_path).save(cell())
    with pytest.raises(InputError, match="has 1 cells of an interrupted run: go on with --resume"):
        begun(tmp_path)
    assert begun(tmp_path, resume=True).count() == 1
    begun(tmp_path, resume=True).remove()
    assert begun(tmp_path).count() == 0


def test_only_what_a_run_put_there_is_removed(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "run.part")
    kept.remove()
    kept.folder.mkdir()
    mine = kept.folder / "my.own.npz"
    mine.write_bytes(b"mine")
    kept.remove()
    assert mine.exists()
    mine.rename(kept.folder / "thesis.txt")
    kept.begin(PLAN, False)
    kept.save(cell())
    file_of(kept).with_suffix(".npz.part").write_bytes(b"of a run that was killed")
    kept.remove()
    assert [path.name for path in kept.folder.iterdir()] == ["thesis.txt"]
    (kept.folder / "thesis.txt").unlink()
    kept.remove()
    assert not kept.folder.exists()


ARGUMENTS = [
    "--panel", "panel.csv", "--learners", "rf,lightgbm,xgboost,ann,lr,knn",
    "--selectors", "all,rf,rfe", "--no-audit", "--seed", "4",
]  # fmt: skip
CELLS = 18


def train(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "models.train", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_hear_interrupts,
    )


def _hear_interrupts() -> None:
    """A shell's background jobs, and what they start, would ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def interrupted(folder: Path, number: int, group: bool, *more: str) -> tuple[int, str]:
    """Start a run, send it the signal once cells are kept, return its exit code and stderr."""
    started = train(folder, *ARGUMENTS, "--jobs", "2", *more)
    limit = time.monotonic() + 90
    while len(list((folder / "run.part").glob("*.npz"))) < 2:
        assert started.poll() is None, started.communicate()
        assert time.monotonic() < limit
        time.sleep(0.02)
    os.killpg(started.pid, number) if group else os.kill(started.pid, number)
    _, err = started.communicate(timeout=60)
    return started.returncode, err


def seconds_of_kept(folder: Path) -> dict[str, float]:
    found = {}
    for path in (folder / "run.part").glob("*.npz"):
        with np.load(path) as file:
            plain = json.loads(str(file["plain"]))
        found[f"{plain['learner']}/{plain['selector']}"] = plain["fit_seconds"]
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    folder = tmp_path_factory.mktemp("undisturbed")
    made_up().to_csv(folder / "panel.csv", index=False)
    run = train(folder, *ARGUMENTS, "--out", "run", "--jobs", "2")
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    assert not (folder / "run.part").exists()
    return pd.read_csv(folder / "run" / "leaderboard.csv")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="signals are those of POSIX")
@pytest.mark.parametrize(
    ("name", "group"),
    [("SIGINT", True), ("SIGINT", False), ("SIGTERM", False), ("SIGKILL", True)],
)
def test_an_interrupted_run_goes_on_to_the_same_leaderboard(
    tmp_path: Path, undisturbed: pd.DataFrame, name: str, group: bool
) -> None:
    made_up().to_csv(tmp_path / "panel.csv", index=False)
    code, err = interrupted(tmp_path, getattr(signal, name), group, "--out", "run")
    kept = seconds_of_kept(tmp_path)
    assert 2 <= len(kept) < CELLS
    again = ["-m", "models.train", *ARGUMENTS, "--jobs", "2", "--out", "run", "--resume"]
    if name != "SIGKILL":
        assert code == {"SIGINT": 130, "SIGTERM": 143}[name]
        assert "Traceback" not in err
        assert {path.name for path in tmp_path.iterdir()} == {"panel.csv", "run.part"}
    if name == "SIGINT":
        assert f"ended early; {len(kept)} cells are kept in run.part" in err
        assert shlex.split(err.strip().splitlines()[-1]) == ["python", *again]
    run = train(tmp_path, *again[2:])
    _, err = run.communicate(timeout=120)
    assert run.returncode == 0, err
    board = pd.read_csv(tmp_path / "run" / "leaderboard.csv")
    pd.testing.assert_frame_equal(board.drop(columns=TIMED), undisturbed.drop(columns=TIMED))
    rows = board.set_index(board["learner"] + "/" + board["selector"])["fit_seconds"]
    for cell_name, seconds in kept.items():
        assert rows[cell_name] == pytest.approx(seconds, rel=1e-9), "it was run again"
    assert not (tmp_path / "run.part").exists()
