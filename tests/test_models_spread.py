"""XGBoost and LightGBM fitted by all workers of a cluster together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import log_loss
from test_models_engine import Cluster, cluster, wait_for
from test_models_panel import made_up_panel

import models.engine
import models.spread
from models.engine import ClusterError, Dask, Local, in_background, open_engine
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


@pytest.fixture
def two_here() -> Iterator[Dask]:
    """A cluster of two workers in this process."""
    distributed = pytest.importorskip("distributed")
    with (
        distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=False,
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
        ) as here,
        distributed.Client(here, set_as_default=False) as client,
    ):
        yield Dask(client, "dask://here:1")


def test_only_large_fits_of_two_learners_are_spread(two_here: Dask) -> None:
    for name in BOTH:
        learner = learner_named(name)
        assert spread(learner, two_here, ROWS - 1) is learner
        assert spread(learner, Local(1), ROWS) is learner
        assert spread(learner, two_here, ROWS) is not learner
    other = learner_named("rf")
    assert spread(other, two_here, ROWS) is other


def test_a_fit_that_fails_by_itself_is_not_tried_again(
    two_here: Dask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models.spread, "LOOK", 0.1)
    tries = []

    def fit(*_: Any) -> None:
        tries.append(1)
        raise ValueError("not so")

    with pytest.raises(ValueError, match="not so"):
        _with_those_left(fit, two_here, None, np.ones((1, 1)), np.ones(1, dtype=int), None)
    assert len(tries) == 1


def test_what_ends_a_fit_ends_its_wait(two_here: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    """As Ctrl-C does: nobody waits for the fit, which gets an error."""
    errors = SimpleQueue[BaseException]()

    def fit(client: Any, *_: Any) -> int:
        try:
            return int(client.submit(time.sleep, 2).result())
        except BaseException as error:
            errors.put(error)
            raise

    def ended(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(models.spread, "wait", ended)
    with pytest.raises(KeyboardInterrupt):
        _with_those_left(fit, two_here, None, np.ones((1, 1)), np.ones(1, dtype=int), None)
    assert isinstance(errors.get(timeout=10), Exception)


@pytest.mark.filterwarnings("ignore:coroutine", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_connects_while_others_cancel(two_here: Dask) -> None:
    """Dask tells all clients of each cancelled task, at times with a client's first message."""
    client = two_here.client
    for _ in range(20):
        for _ in range(20):
            client.cancel([client.submit(abs, 1, pure=False)])
        with two_here.client_of_its_own() as own:
            assert own.submit(abs, -7).result(timeout=10) == 7


@pytest.mark.parametrize(("least", "holders"), [(9, 2), (2, 2), (1, 1)])
def test_each_worker_holds_rows_of_each_class(two_here: Dask, least: int, holders: int) -> None:
    """Whatever their order; unless a class has fewer rows than there are workers."""
    client = two_here.client
    y = np.repeat([0, 2, 1], (20, 11, least))
    X = np.column_stack([y, np.arange(len(y))]).astype(float)
    rows, truth = _shares(client, sorted(client.nthreads()), X, y)
    with client.as_current():
        parts = [part.compute() for part in rows.to_delayed().ravel()]
        told = [part.compute() for part in truth.to_delayed().ravel()]
    assert [sorted(set(part)) for part in told] == [[0, 1, 2]] * holders
    assert all((part[:, 0] == said).all() for part, said in zip(parts, told, strict=True))
    assert sorted(np.concatenate(parts)[:, 1]) == list(range(len(y)))
    assert len(set(client.who_has(rows).values())) == holders


def fitted(learner: Learner, classes: int, stop: bool) -> tuple[int | None, Floats, float]:
    X, y = rows(20_000, classes, 0)
    as_by_smote = np.argsort(y, kind="stable")
    X, y = X[as_by_smote], y[as_by_smote]
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
        there = fitted(spread(learner, engine, ROWS), classes, stop)
    assert (here[0] is None) == (there[0] is None) == (not stop)
    if stop:
        assert 1 <= there[0] <= 60
    assert there[1].shape == (2_000, classes)
    assert there[1].sum(axis=1) == pytest.approx(np.ones(2_000), abs=1e-6)
    assert there[2] == pytest.approx(here[2], rel=0.03)
    assert np.abs(there[1] - here[1]).mean() < 0.03


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


def fitted_in_trouble(name: str, found: Cluster, trouble: Callable[[], None]) -> float:
    """Log-loss of a spread fit, and in mid-fit something happens; it fails where it hangs."""
    X, y = rows(60_000, 3, 0)
    learner = learner_named(name)
    model = learner.build({**POINTS[name], "n_estimators": 150}, 0, "cpu")
    with open_engine(found.engine, 1) as engine, ThreadPoolExecutor(1) as pool:
        assert isinstance(engine, Dask)

        def happens() -> None:
            wait_for(lambda: any(engine.client.processing().values()))
            time.sleep(1)
            trouble()

        happening = pool.submit(happens)
        task = in_background(
            lambda: spread(learner, engine, ROWS).fit(model, X, y, None)  # type: ignore[no-any-return]
        )
        task.result(timeout=150)
        happening.result()
    score, truth = rows(2_000, 3, 2)
    return float(log_loss(truth, model.predict_proba(score)))


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
@pytest.mark.parametrize("with_nanny", [True, False])
def test_a_machine_lost_in_a_spread_fit_leaves_it_to_the_others(
    tmp_path: Path, name: str, with_nanny: bool
) -> None:
    with cluster(tmp_path) as found:
        found.add(2, nanny="--nanny" if with_nanny else "--no-nanny")
        addresses = found.addresses()

        def trouble() -> None:
            found.kill(1)
            if not with_nanny:  # the other ends as well, and whoever runs it starts it again
                wait_for(lambda: not addresses & found.addresses())
                found.add(1)

        assert fitted_in_trouble(name, found, trouble) < 0.9
        assert len(found.addresses()) == 1
        assert not addresses & found.addresses()


@pytest.mark.slow
@pytest.mark.parametrize("name", BOTH)
def test_a_process_lost_in_a_spread_fit_is_back_for_the_next_try(tmp_path: Path, name: str) -> None:
    with cluster(tmp_path) as found:
        found.add(2, nanny="--nanny")
        addresses = found.addresses()
        assert fitted_in_trouble(name, found, lambda: found.kill_process(min(addresses))) < 0.9
        assert len(found.addresses()) == 2
        assert not addresses & found.addresses()


@pytest.mark.slow
def test_a_fit_waits_where_no_worker_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with cluster(tmp_path) as found:
        found.add(1)
        with open_engine(found.engine, 1) as engine, ThreadPoolExecutor(1) as pool:
            found.kill(1)
            wait_for(lambda: not found.addresses())
            task = pool.submit(
                _with_those_left, lambda *_: 7, engine, None, np.ones((1, 1)), np.ones(1), None
            )
            time.sleep(1)
            assert not task.done()
            found.add(1)
            assert task.result(timeout=60) == 7
    assert "no worker is there; waiting 10 minutes for one" in capsys.readouterr().err


@pytest.mark.slow
def test_a_worker_that_cannot_be_ended_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a machine that stands still: it neither answers nor hangs up."""
    monkeypatch.setattr(models.engine, "RETURN", 2)
    with cluster(tmp_path) as found:
        found.add(1)
        with open_engine(found.engine, 1) as engine:
            found.workers[0].send_signal(signal.SIGSTOP)
            with pytest.raises(ClusterError, match=r"cannot be ended from here.*--resume"):
                engine.end_workers(found.addresses())


@pytest.mark.slow
def test_a_fit_that_ends_workers_each_time_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(client: Any, *_: Any) -> None:
        client.submit(os._exit, 1, pure=False).result()

    with cluster(tmp_path) as found:
        found.add(2, nanny="--nanny")
        with (
            open_engine(found.engine, 1) as engine,
            pytest.raises(ClusterError, match=r"lost in each of 3 tries.*--resume"),
        ):
            _with_those_left(fit, engine, None, np.ones((1, 1)), np.ones(1, dtype=int), None)
