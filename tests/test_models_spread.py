"""XGBoost and LightGBM fitted by all workers of a cluster together."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss
from test_models_engine import Cluster, cluster, wait_for
from test_models_panel import made_up_panel

import models.spread
from models.engine import Dask, open_engine
from models.evaluate import make_plan, run
from models.learner import Learner
from models.learners import learner_named
from models.panel import Floats, Ints
from models.spread import ROWS, _shares, _with_those_left, spread

BOTH = ("xgboost", "lightgbm")
POINTS: dict[str, dict[str, Any]] = {
    "xgboost": {"n_estimators": 60, "max_depth": 4, "learning_rate": 0.1},
    "lightgbm": {"n_estimators": 60, "num_leaves": 15, "learning_rate": 0.1},
}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        found.add(2)
        yield found


def rows(count: int, classes: int, seed: int) -> tuple[Floats, Ints]:
    random = np.random.default_rng(seed)
    X = random.normal(size=(count, 8))
    pulls = np.stack([X[:, 0] + X[:, 1] * X[:, 2], X[:, 3] - X[:, 0], 0.5 * X[:, 4]])[:classes]
    return X, (pulls + random.gumbel(size=pulls.shape)).argmax(axis=0)


def test_only_large_fits_of_two_learners_are_spread() -> None:
    somebody = object()
    for name in BOTH:
        learner = learner_named(name)
        assert spread(learner, somebody, ROWS - 1) is learner
        assert spread(learner, None, ROWS) is learner
        assert spread(learner, somebody, ROWS) is not learner
    other = learner_named("rf")
    assert spread(other, somebody, ROWS) is other


def test_a_fit_that_fails_by_itself_is_not_tried_again() -> None:
    client = SimpleNamespace(nthreads=lambda: {"tcp://here": 1}, as_current=nullcontext)
    tries = []

    def fit(*_: Any) -> None:
        tries.append(1)
        raise ValueError("not so")

    with pytest.raises(ValueError, match="not so"):
        _with_those_left(fit, client, None, np.ones((1, 1)), np.ones(1, dtype=int), None)
    assert len(tries) == 1


def fitted(learner: Learner, classes: int, stop: bool) -> tuple[int | None, Floats, float]:
    X, y = rows(20_000, classes, 0)
    slice_, (score, truth) = rows(1_000, classes, 1), rows(2_000, classes, 2)
    model = learner.build(POINTS[learner.name], 0, "cpu")
    trees = learner.fit(model, X, y, slice_ if stop else None)
    proba = model.predict_proba(score)
    return trees, proba, log_loss(truth, proba)


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("stop", [False, True])
def test_a_spread_fit_is_that_of_one_process_within_noise(
    two: Cluster, name: str, classes: int, stop: bool
) -> None:
    learner = learner_named(name)
    here = fitted(learner, classes, stop)
    with open_engine(two.engine, 1) as engine:
        there = fitted(spread(learner, engine.client, ROWS), classes, stop)
    assert (here[0] is None) == (there[0] is None) == (not stop)
    if stop:
        assert 1 <= there[0] <= 60
    assert there[1].shape == (2_000, classes)
    assert there[1].sum(axis=1) == pytest.approx(np.ones(2_000), abs=1e-6)
    assert there[2] == pytest.approx(here[2], rel=0.03)
    assert np.abs(there[1] - here[1]).mean() < 0.03


@pytest.mark.slow
def test_each_worker_holds_a_share_of_the_rows(two: Cluster) -> None:
    with open_engine(two.engine, 1) as engine, engine.client.as_current():
        shares = _shares(engine.client, np.arange(10.0).reshape(5, 2))
        wait_for(lambda: all(engine.client.has_what().values()))
        assert [len(held) for held in engine.client.has_what().values()] == [1, 1]
        assert shares.compute().tolist() == np.arange(10.0).reshape(5, 2).tolist()


@pytest.mark.slow
def test_a_run_with_spread_fits_is_within_noise(
    two: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    learners = ("lr", *BOTH)
    here = run(made_up_panel(), make_plan("company", learners, ("all",), seed=3))
    monkeypatch.setattr(models.spread, "ROWS", 100)
    there = run(
        made_up_panel(), make_plan("company", learners, ("all",), seed=3, engine=two.engine)
    )
    assert not there.failed
    boards = [one.leaderboard.set_index("learner") for one in (here, there)]
    for name in learners:
        apart = boards[1].loc[name, "log_loss"] - boards[0].loc[name, "log_loss"]
        assert abs(apart) < (0.1 if name in BOTH else 1e-9), name


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_worker_lost_in_a_spread_fit_leaves_it_to_the_others(tmp_path: Path, name: str) -> None:
    X, y = rows(60_000, 3, 0)
    learner = learner_named(name)
    model = learner.build({**POINTS[name], "n_estimators": 150}, 0, "cpu")
    with cluster(tmp_path) as found:
        found.add(2)
        with open_engine(found.engine, 1) as engine:
            assert isinstance(engine, Dask)

            def kill() -> None:
                wait_for(lambda: any(engine.client.processing().values()))
                time.sleep(1)
                found.kill(1)

            killer = threading.Thread(target=kill)
            killer.start()
            spread(learner, engine.client, ROWS).fit(model, X, y, None)
            killer.join()
            assert len(engine.client.nthreads()) == 1
    score, truth = rows(2_000, 3, 2)
    assert log_loss(truth, model.predict_proba(score)) < 0.9
