"""On a GPU boosting gives what it gives on the CPU, within noise; without one that is said."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import log_loss
from test_models_panel import made_up_panel
from test_models_spread import POINTS, rows

from models.evaluate import make_plan, run
from models.learners import (
    ON_GPU,
    device_notices,
    learner_named,
    lightgbm_has_cuda,
    resolve_device,
)
from warehouse.errors import InputError

GPU = resolve_device("auto") == "cuda"
needs_gpu = pytest.mark.skipif(not GPU, reason="no CUDA device here: nothing was tried on a GPU")
TREES = {**POINTS, "catboost": {"iterations": 60, "depth": 4, "learning_rate": 0.1}}


def test_a_device_that_is_hidden_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert resolve_device("auto") == resolve_device("cpu") == "cpu"
    with pytest.raises(InputError, match="--device cuda: no CUDA device here; use --device auto"):
        make_plan("company", ("xgboost",), ("all",), device="cuda")


def test_what_runs_where_is_said() -> None:
    assert device_notices(("lr", "xgboost"), "cpu") == ()
    (said,) = device_notices(("lr", "xgboost", "catboost", "svm"), "cuda")
    assert said == (
        "on the GPU: xgboost, catboost; on the CPU, for want of an implementation: lr, svm"
    )
    (said,) = device_notices(("lightgbm",), "cuda")
    gpu, cpu = ("lightgbm", "none") if lightgbm_has_cuda() else ("none", "lightgbm")
    assert said == f"on the GPU: {gpu}; on the CPU, for want of an implementation: {cpu}"


@needs_gpu
@pytest.mark.parametrize("name", ON_GPU)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("stop", [False, True])
def test_a_fit_on_the_gpu_is_that_of_the_cpu_within_noise(
    name: str, classes: int, stop: bool
) -> None:
    learner = learner_named(name)
    X, y = rows(4_000, classes, 0)
    slice_, (score, truth) = rows(1_000, classes, 1), rows(2_000, classes, 2)
    losses = []
    for device in ("cpu", "cuda"):
        model = learner.build(TREES[name], 0, device)
        trees = learner.fit(model, X, y, slice_ if stop else None)
        assert (trees is None) == (not stop)
        proba = np.asarray(model.predict_proba(score))
        assert proba.shape == (2_000, classes)
        losses.append(log_loss(truth, proba))
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@needs_gpu
def test_a_run_on_the_gpu_is_that_of_the_cpu_within_noise() -> None:
    learners = ("lr", *ON_GPU)
    boards = []
    for device in ("cpu", "cuda"):
        found = run(made_up_panel(), make_plan("company", learners, ("all",), device=device))
        assert not found.failed
        boards.append(found.leaderboard.set_index("learner"))
    for name in learners:
        apart = boards[1].loc[name, "log_loss"] - boards[0].loc[name, "log_loss"]
        assert abs(apart) < 0.15, name
    assert any("on the GPU: xgboost" in notice for notice in found.notices)
