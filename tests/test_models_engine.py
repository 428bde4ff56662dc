"""Tasks give the same results wherever they run, and a cluster in trouble says so."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import REPO
from test_models_panel import made_up_panel

import models.engine
from models.engine import Local, check_engine, environment, open_engine
from models.evaluate import make_plan, run
from models.kept import Kept
from warehouse.errors import InputError

TIMED = ["fit_seconds", "ms_per_company"]
POWERS = {at: 2**at for at in range(6)}
NAP = (time.sleep, (0.4,))
NAPS = 16  # enough that some are left when both workers are dead
ALONE = "no worker is there; waiting"


@pytest.mark.parametrize("jobs", [1, 2])
def test_local_tasks_give_the_same_whatever_the_jobs(jobs: int) -> None:
    engine = Local(jobs)
    shared = engine.share(np.arange(9.0))
    assert dict(engine.run([(pow, (2, at)) for at in range(6)])) == POWERS
    assert dict(engine.run([(np.sum, (shared,)), (np.max, (shared,))])) == {0: 36, 1: 8}
    assert list(engine.run([])) == []


NAMES = ("local", "dask://127.0.0.1:8786", "dask://host.example:1", "dask://[::1]:8786")
BAD_NAMES = (
    *("", "dask", "dask://", "dask://host", "dask://:8786", "dask://host:x", "dask://host:65536"),
    *("tcp://host:8786", "local://x:1", "dask://host:²", "LOCAL"),
)


@pytest.mark.parametrize("name", [*NAMES, "dask+tls://host:8786"])
def test_engines_that_there_are(name: str) -> None:
    check_engine(name)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_engines_that_there_are_not(name: str) -> None:
    with pytest.raises(InputError, match=r"expected local or dask://HOST:PORT"):
        check_engine(name)
    with pytest.raises(InputError, match="expected local"), open_engine(name, 1):
        pass


def test_without_dask_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(InputError, match=r"pip install '\.\[dask\]'"), open_engine(NAMES[1], 1):
        pass


@contextmanager
def quiet() -> Iterator[str]:
    """A server that never says a word: as a dashboard's port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_an_address_without_a_scheduler_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("distributed")
    monkeypatch.setattr(models.engine, "CONNECT", 0.3)
    with (
        quiet() as place,
        pytest.raises(InputError, match=r"no Dask scheduler answers there .*timed out"),
        open_engine(f"dask://{place}", 1),
    ):
        pass
    with (
        pytest.raises(InputError, match="no Dask scheduler answers there"),
        open_engine(f"dask://{place}", 1),  # nobody is there any more
    ):
        pass


def test_what_decides_results_is_named() -> None:
    found = environment()
    assert found["numpy"] == np.__version__
    assert {"code", "Python", "lightgbm", "xgboost", "catboost", "scikit-learn"} <= set(found)
    assert models.engine._other(found, dict(found)) == ""
    assert models.engine._other(found, {**found, "numpy": "1.0"}) == (
        f"numpy 1.0, not {np.__version__}"
    )


class Cluster:
    """A scheduler and workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        file = folder / "scheduler.json"
        self.scheduler = self._start(
            "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file
        )
        wait_for(lambda: file.exists() and file.read_text().strip().endswith("}"))
        self.address = json.loads(file.read_text())["address"]
        self.engine = self.address.replace("tcp", "dask")

    def _start(self, kind: str, *arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.dask_{kind}", "--no-dashboard"]
        with (self.folder / f"{kind}.log").open("ab") as log:
            return subprocess.Popen(
                [*command, *map(str, arguments)],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(REPO)},
                stdout=log,
                stderr=log,
            )

    def add(self, count: int = 1, threads: int = 1, nanny: str = "--no-nanny") -> None:
        """Start workers and wait until the scheduler knows them."""
        from distributed import Client

        options = ("--nthreads", threads, nanny, "--local-directory", self.folder)
        started = [self._start("worker", self.address, *options) for _ in range(count)]
        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(sum(w.poll() is None for w in self.workers) + count, 30)
        self.workers += started

    def kill(self, count: int) -> None:
        """SIGKILL the first workers that are alive."""
        for worker in [w for w in self.workers if w.poll() is None][:count]:
            worker.kill()
            worker.wait()

    def addresses(self) -> set[str]:
        """Of the workers that the scheduler knows."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            return set(client.nthreads())

    def kill_process(self, address: str) -> None:
        """SIGKILL the process of a worker, not that of its nanny."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            os.kill(client.run(os.getpid, workers=[address])[address], signal.SIGKILL)

    def close(self) -> None:
        """End all processes; a worker ends with its nanny."""
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def wait_for(true: object) -> None:
    limit = time.monotonic() + 30
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.02)


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    pytest.importorskip("distributed")
    found = Cluster(folder)
    try:
        yield found
    finally:
        found.close()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        found.add(2)
        yield found


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Cluster]:
    with cluster(tmp_path) as found:
        yield found


def plan(engine: str, learners: tuple[str, ...] = ("lr", "knn"), grid: str = "quick"):
    selectors = ("all",) if grid == "quick" else ("all", "rf")
    return make_plan("company", learners, selectors, grid, seed=3, engine=engine)


def assert_same_board(one: pd.DataFrame, other: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(one.drop(columns=TIMED), other.drop(columns=TIMED))


@pytest.mark.slow
def test_a_cluster_gives_the_same_leaderboard(two: Cluster) -> None:
    here = run(made_up_panel(), plan("local"))
    there = run(made_up_panel(), plan(two.engine))
    assert_same_board(here.leaderboard, there.leaderboard)
    pd.testing.assert_frame_equal(here.test_predictions, there.test_predictions)


def test_tasks_of_a_cluster(two: Cluster) -> None:
    with open_engine(two.engine, 1) as engine:
        shared = engine.share(np.arange(9.0))
        assert dict(engine.run([(pow, (2, at)) for at in range(6)])) == POWERS
        assert dict(engine.run([(np.sum, (shared,)), (np.max, (shared,))])) == {0: 36, 1: 8}
        assert list(engine.run([])) == []
        listed = engine.share([1, 2, 3])  # a list is one value, not three
        assert dict(engine.run([(len, (listed,))])) == {0: 3}


def test_a_worker_of_other_versions_refuses(two: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**environment(), "numpy": "1.0"}
    with open_engine(two.engine, 1) as engine:
        monkeypatch.setattr(models.engine, "environment", lambda: other)
        with pytest.raises(InputError, match=rf"has numpy {np.__version__}, not 1\.0; .* same ver"):
            list(engine.run([(pow, (2, 1))]))


def test_without_workers_it_waits_aloud_and_then_gives_up(
    mortal: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models.engine, "LOOK", 0.2)
    monkeypatch.setattr(models.engine, "PATIENCE", 1)
    with open_engine(mortal.engine, 1) as engine:
        shared = engine.share("abc")
        with pytest.raises(InputError, match=r"no worker came; .*--resume"):
            list(engine.run([(len, (shared,))]))
    assert capsys.readouterr().err.count(ALONE) == 1


@pytest.mark.slow
def test_killed_workers_cost_nothing_but_time(
    mortal: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One of two dies, and later all that hold what is shared; a new one takes over."""
    monkeypatch.setattr(models.engine, "LOOK", 0.2)
    mortal.add(2)
    with open_engine(mortal.engine, 1) as engine:
        shared = engine.share("abc")
        assert dict(engine.run([(len, (shared,))])) == {0: 3}
        results = engine.run([*[NAP] * NAPS, (len, (shared,))])
        found = dict([next(results)])
        mortal.kill(1)
        found |= dict([next(results)])
        mortal.kill(1)
        with relieved(mortal, capsys):
            found |= dict(results)
    assert found == {**dict.fromkeys(range(NAPS)), NAPS: 3}


@contextmanager
def relieved(mortal: Cluster, capsys: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Start a worker once it is said that there is none."""
    said: list[str] = []

    def relieve() -> None:
        wait_for(lambda: said.append(capsys.readouterr().err) or ALONE in "".join(said))
        mortal.add()

    with ThreadPoolExecutor() as pool:
        relief = pool.submit(relieve)
        yield
        relief.result()


@pytest.mark.slow
def test_a_result_that_dies_with_its_worker_is_computed_anew(
    mortal: Cluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Done, but not fetched yet."""
    monkeypatch.setattr(models.engine, "LOOK", 0.2)
    done = models.engine.Dask._done

    def done_in_vain(self: models.engine.Dask, waiting: list[object]) -> set[object]:
        found = done(self, waiting)
        mortal.kill(len(mortal.workers) == 1)
        return found

    monkeypatch.setattr(models.engine.Dask, "_done", done_in_vain)
    mortal.add()
    with open_engine(mortal.engine, 1) as engine, relieved(mortal, capsys):
        assert dict(engine.run([(len, ("abc",))])) == {0: 3}


@pytest.mark.slow
def test_a_failure_that_no_task_returned_is_not_waited_for(two: Cluster) -> None:
    def late() -> None:
        raise TimeoutError("late")

    with open_engine(two.engine, 1) as engine:
        with pytest.raises(InputError, match="TimeoutError: late; the scheduler and all workers"):
            list(engine.run([(late, ())]))
        with pytest.raises(InputError, match=r"TypeError: .*; the scheduler and all workers need"):
            list(engine.run([(threading.Lock, ())]))  # which cannot be sent back


@pytest.mark.slow
def test_a_worker_of_several_threads_is_refused(mortal: Cluster) -> None:
    mortal.add(threads=3)
    wanted = "has 3 threads, .* --nworkers 3 --nthreads 1"
    with pytest.raises(InputError, match=wanted), open_engine(mortal.engine, 1):
        pass


@pytest.mark.slow
def test_a_worker_killed_in_a_run_leaves_the_leaderboard(mortal: Cluster, tmp_path: Path) -> None:
    mortal.add(2)
    learners = ("rf", "lightgbm", "xgboost", "ann", "lr", "knn")
    kept = Kept(tmp_path / "run.part")

    def kill() -> None:
        wait_for(lambda: kept.count() >= 2)
        mortal.kill(1)

    killer = threading.Thread(target=kill)
    killer.start()
    there = run(made_up_panel(), plan(mortal.engine, learners, "full"), kept)
    killer.join()
    assert [worker.poll() for worker in mortal.workers] == [-9, None]
    assert not there.failed
    assert_same_board(
        there.leaderboard, run(made_up_panel(), plan("local", learners, "full")).leaderboard
    )


@pytest.mark.slow
def test_a_task_that_kills_workers_ends_the_run_in_one_line(mortal: Cluster) -> None:
    mortal.add(nanny="--nanny")  # which starts a new worker each time
    with (
        open_engine(mortal.engine, 1) as engine,
        pytest.raises(InputError, match=r"one task ended several workers.*lack memory"),
    ):
        list(engine.run([(os._exit, (1,))]))


@pytest.mark.slow
def test_a_scheduler_that_dies_ends_the_run_in_one_line(mortal: Cluster) -> None:
    mortal.add()
    with open_engine(mortal.engine, 1) as engine:
        results = engine.run([NAP] * 5)
        next(results)
        mortal.scheduler.kill()
        with pytest.raises(InputError, match=r"the scheduler is gone; .*--resume"):
            list(results)
