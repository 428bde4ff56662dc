"""Where tasks run: processes of this machine, or a Dask cluster.

A task is a function and its arguments. Results depend on neither the engine nor the number of
processes: each task runs on one thread with its own fixed random state, and a Dask worker whose
code or libraries differ from this machine's refuses it.
"""

from __future__ import annotations

import importlib
import logging
import os
import platform
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cache, partial
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from warehouse.errors import InputError

LOCAL = "local"
SCHEMES = {"dask": "tcp", "dask+tls": "tls"}  # of --engine, and of Dask's own addresses
INSTALL = "install the extra `dask`: pip install '.[dask]'"
RESUME = "what is done is kept: go on with --resume"
CONNECT = 10  # seconds to find a scheduler
CONNECTIONS = 5  # to a scheduler that is there but sends more than a client expects
LOOK = 5  # seconds without a result after which workers are counted
PATIENCE = 600  # seconds without any worker after which a run gives up
RETURN = 60  # seconds that workers have to come back in after they were ended
LARGEST = "100GB"  # below this Dask does not warn that the data it is sent is large
LIBRARIES = (
    "catboost",
    "imbalanced-learn",
    "lightgbm",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "xgboost",
)

T = TypeVar("T")
Task = tuple[Callable[..., Any], tuple[Any, ...]]

_one_at_a_time = threading.Lock()


class ClusterError(InputError):
    """The cluster is in trouble: the run ends, and what is done is kept."""


class Engine(Protocol):
    """Runs tasks."""

    def share(self, value: Any) -> Any:
        """Send a large argument once; what comes back stands for it among a task's arguments."""

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield (position of the task, its result) as they are done."""


class Local:
    """Processes of this machine; this one alone where `jobs` is 1."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def share(self, value: Any) -> Any:
        """Nothing to send: joblib maps large arrays into its processes."""
        return value

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield results as they are done."""
        workers = Parallel(
            n_jobs=max(1, min(self.jobs, len(tasks))),
            return_as="generator_unordered",
            pre_dispatch="2*n_jobs",
        )
        yield from workers(delayed(_numbered)(at, *task) for at, task in enumerate(tasks))


class Dask:
    """Workers of a Dask cluster; one lost in mid-run costs its tasks' time alone.

    What is shared lies in the scheduler's graph, as the result of a task that returns it: where
    all workers that hold it die, the scheduler sends it again.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def share(self, value: Any) -> Any:
        """Send the value to the scheduler; workers take it from there or from one another."""
        import dask

        with dask.config.set({"distributed.admin.large-graph-warning-threshold": LARGEST}):
            return self.client.submit(_same, value, pure=False)

    def run(self, tasks: Sequence[Task]) -> Iterator[tuple[int, Any]]:
        """Yield results as they are done; the first task has priority.

        Raises:
            InputError: the scheduler is gone, there are no workers for long, a task killed
                several, or one of them is not like this machine.
        """
        here = environment()
        waiting = {
            self.client.submit(_checked, here, work, *arguments, pure=False, priority=-at): at
            for at, (work, arguments) in enumerate(tasks)
        }
        try:
            while waiting:
                for future in self._done(list(waiting)):
                    yield waiting.pop(future), self._result(future)
        finally:
            if waiting:
                with suppress(Exception):  # where the scheduler is gone there is nothing to cancel
                    self.client.cancel(list(waiting))

    def check_workers(self) -> None:
        """Look at the workers there are; those that come later refuse what they cannot do.

        Raises:
            InputError: one lacks the project, has other versions, or runs several tasks in one
                process at a time.
        """
        for worker, threads in self.workers().items():
            if threads > 1:
                raise InputError(
                    f"--engine {self.name}: the worker {worker} has {threads} threads, and fits"
                    f" need a process each; start it with: dask worker --nworkers {threads}"
                    " --nthreads 1"
                )
        answers = self.client.run(environment, on_error="return")
        for worker, found in answers.items():
            if not isinstance(found, dict):
                raise self._unfit(f"the worker {worker}: {type(found).__name__}: {found}")
            if reason := _other(environment(), found):
                raise self._unfit(f"the worker {worker} has {reason}")

    def _unfit(self, reason: str) -> InputError:
        return InputError(
            f"--engine {self.name}: {reason[:300]}; the scheduler and all workers need this"
            " project and its libraries in the same versions"
        )

    def _done(self, waiting: list[Any]) -> set[Any]:
        """Wait for the next that are done, whether well or not."""
        dask = _distributed()
        while True:
            with suppress(TimeoutError):
                try:
                    with self.client.as_current():
                        return set(
                            dask.wait(waiting, timeout=LOOK, return_when="FIRST_COMPLETED").done
                        )
                except dask.CancelledError:
                    raise self._gone() from None
            self.some_workers()

    @contextmanager
    def client_of_its_own(self) -> Iterator[Any]:
        """A client whose tasks are given up when it is closed; who waits for them gets an error.

        Raises:
            ClusterError: the scheduler is gone.
        """
        try:
            client = _client(
                self.client.scheduler.address,
                loop=self.client.loop,  # lives on when this one is closed
            )
        except (AssertionError, OSError, RuntimeError, TimeoutError):
            raise self._gone() from None
        try:
            yield client
        finally:
            with suppress(Exception):  # where the scheduler is gone there is nothing to give up
                client.close()

    def some_workers(self) -> set[str]:
        """Addresses of the workers there are; where there is none, say so once and wait for one.

        Raises:
            ClusterError: the scheduler is gone, or no worker comes for long.
        """
        if found := set(self.workers()):
            return found
        command = f"dask worker {self.client.scheduler.address} --nthreads 1"
        print(
            f"--engine {self.name}: no worker is there; waiting {PATIENCE // 60} minutes for"
            f" one; start it with: {command}",
            file=sys.stderr,
        )
        until = time.monotonic() + PATIENCE
        while not (found := set(self.workers())):
            if time.monotonic() > until:
                raise ClusterError(f"--engine {self.name}: no worker came; {RESUME}")
            time.sleep(LOOK)
        return found

    def end_workers(self, workers: Iterable[str]) -> None:
        """End the processes of these workers, whatever they are at, and wait until they are back.

        Dask's nannies, which `dask worker` starts by itself, start a worker again that has ended.
        Without them it does not come back, and the wait is in vain.

        Raises:
            ClusterError: the scheduler is gone, or a worker cannot be ended.
        """
        before = self.workers()
        old = set(workers) & set(before)
        in_background(partial(self.client.run, os._exit, 1, workers=sorted(old), on_error="ignore"))
        until = time.monotonic() + RETURN
        while old & set(there := self.workers()) or len(there) < len(before):
            if time.monotonic() > until:
                break
            time.sleep(LOOK / 10)
        if stuck := old & set(there):
            raise ClusterError(
                f"--engine {self.name}: the worker {min(stuck)} waits for one that was lost, and"
                f" cannot be ended from here: end it there; {RESUME}"
            )

    def workers(self) -> dict[str, int]:
        """Threads of each worker that the scheduler knows, by address.

        Raises:
            ClusterError: the scheduler is gone.
        """
        try:
            return dict(self.client.nthreads())
        except (OSError, RuntimeError, TimeoutError):
            raise self._gone() from None

    def _gone(self) -> ClusterError:
        return ClusterError(f"--engine {self.name}: the scheduler is gone; {RESUME}")

    def _result(self, future: Any) -> Any:
        """What a task returned, computed anew where its worker died before it was sent.

        Tasks return their own failures, so an error is the cluster's. Each attempt to fetch a
        result takes twice as long, as it may be large.
        """
        unreached = (_distributed().CancelledError, OSError)
        patience: float = LOOK
        while True:
            try:
                return future.result(timeout=patience)
            except Exception as error:
                if future.status == "error" or not isinstance(error, unreached):
                    raise self._failed(error) from None
                if not isinstance(error, TimeoutError) or patience > PATIENCE:
                    raise self._gone() from None
            self._done([future])
            patience *= 2

    def _failed(self, error: Exception) -> InputError:
        if not isinstance(error, _distributed().KilledWorker):
            return self._unfit(f"{type(error).__name__}: {error}")
        return InputError(
            f"--engine {self.name}: one task ended several workers, the last at"
            f" {error.last_worker.address}: most often they lack memory (--memory-limit of"
            f" dask worker); {RESUME}"
        )


def in_background(work: Callable[[], T]) -> Future[T]:
    """Start the work in a thread that nobody has to wait for, should it never end."""
    task: Future[T] = Future()

    def run() -> None:
        try:
            task.set_result(work())
        except BaseException as error:
            task.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return task


def _numbered(at: int, work: Callable[..., Any], arguments: tuple[Any, ...]) -> tuple[int, Any]:
    with threadpool_limits(1):
        return at, work(*arguments)


def _same(value: Any) -> Any:
    return value


def _checked(here: dict[str, str], work: Callable[..., Any], *arguments: Any) -> Any:
    """Run a task on a worker, unless the worker is another environment than the sender's.

    One at a time, as the limit of threads is one of the whole process.
    """
    if reason := _other(here, environment()):
        raise RuntimeError(f"the worker at {platform.node()} has {reason}")
    with _one_at_a_time, threadpool_limits(1):
        return work(*arguments)


def _other(here: dict[str, str], there: dict[str, str]) -> str:
    """The first thing that differs, which makes results depend on who computes them."""
    apart = (name for name in here if here[name] != there.get(name))
    return next((f"{name} {there.get(name)}, not {here[name]}" for name in apart), "")


@cache
def environment() -> dict[str, str]:
    """Versions of what decides results: Python, libraries, and a hash of this package's code."""
    code = sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        code.update(path.read_text(encoding="utf-8").encode())  # whatever the line endings
    return {
        "code": code.hexdigest()[:12],
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        **{name: version(name) for name in LIBRARIES},
    }


def _distributed() -> Any:
    """Dask's package, an optional one; its log is quiet, as what matters is said here."""
    found = importlib.import_module("distributed")
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    return found


def _address(name: str) -> str | None:
    """The address as Dask writes it, or None where it is none."""
    scheme, _, place = name.partition("://")
    host, _, port = place.rpartition(":")
    return f"{SCHEMES[scheme]}://{place}" if scheme in SCHEMES and host and _is_port(port) else None


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and int(text) < 2**16


def check_engine(name: str) -> None:
    """Raise InputError unless the name is `local` or dask://HOST:PORT."""
    if name != LOCAL and _address(name) is None:
        raise InputError(f"--engine {name}: expected local or dask://HOST:PORT")


@contextmanager
def open_engine(name: str, jobs: int) -> Iterator[Engine]:
    """Give the engine of that name.

    Raises:
        InputError: no such engine, Dask is not installed, no cluster answers there, or its workers
            run several threads.
    """
    address = _address(name)
    if name == LOCAL or address is None:
        check_engine(name)
        yield Local(jobs)
        return
    try:
        _distributed()
    except ImportError:
        raise InputError(f"--engine {name}: {INSTALL}") from None
    client = _connected(name, address)
    try:
        engine = Dask(client, name)
        engine.check_workers()
        yield engine
    finally:
        with suppress(Exception):  # what was to be done with it is done
            client.close()


def _client(address: str, **settings: Any) -> Any:
    """A new client; it fails where a message to all clients comes with its first, and so anew."""
    made = partial(_distributed().Client, address, timeout=CONNECT, set_as_default=False)
    for _ in range(CONNECTIONS - 1):
        with suppress(AssertionError):
            return made(**settings)
    return made(**settings)


def _connected(name: str, address: str) -> Any:
    try:
        _listen(address)
        return _client(address)
    except Exception as error:  # of whatever kind: Dask names none
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise InputError(
            f"--engine {name}: no Dask scheduler answers there ({reason}); start one with:"
            " dask scheduler"
        ) from None


def _listen(address: str) -> None:
    """Raise OSError unless something is there and, as a scheduler does, speaks first.

    Dask itself would try again where it is refused, and wait for ever where nothing is said.
    """
    scheme, _, place = address.partition("://")
    host, _, port = place.rpartition(":")
    with socket.create_connection((host.strip("[]"), int(port)), timeout=CONNECT) as found:
        if scheme == SCHEMES["dask"] and not found.recv(1):
            raise ConnectionError("it hangs up")
