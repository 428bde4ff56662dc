"""The worker processes of the service: a few that score, and as many requests that may wait."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from warehouse.errors import InputError

UPLOAD = "upload"  # what a file is called in answers, whatever its path is
START = 300.0  # seconds for a process to load the model
RETRY = 5.0  # seconds before a process that could not be started is tried again
# A process for each core: more threads would wait for one another, and take the cores to do so.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
SPARE = 5.0  # seconds after its time that a process ends by itself, should the service be gone


@dataclass(frozen=True)
class Limits:
    """What a request may cost, and how many there may be.

    Attributes:
        max_bytes: of a body.
        timeout: seconds for a body to arrive, again for its turn to come, again to score it.
        workers: processes that score.
        queue: requests that may be under way beyond one for each process.
        memory: megabytes that a process may take for a file, beyond those of the model.
    """

    max_bytes: int
    timeout: float
    workers: int
    queue: int
    memory: int


@dataclass(frozen=True)
class Question:
    """A file, and what to say of it: see `models.scoring.Ask`; `compare` with the run's others."""

    path: str
    explain: Literal["all", "latest", "none"] = "all"
    compare: bool = True


class BusyError(Exception):
    """No place or no turn for this request now."""


class TooSlowError(Exception):
    """The file was not scored in time; the process that tried was ended."""


class LostError(Exception):
    """The process that scored the file ended before it answered."""


@dataclass
class Worker:
    """One process.

    Attributes:
        process: it.
        fit: for another file: not while it owes an answer, nor after it has kept much memory.
    """

    process: Process
    fit: bool = True

    async def ask(self, question: Question) -> tuple[int, bytes]:
        """Status and body of the answer for a file.

        Raises:
            LostError: the process has ended.
        """
        self.fit = False
        try:
            if self.process.stdin is not None:
                self.process.stdin.write(json.dumps(asdict(question)).encode() + b"\n")
                await self.process.stdin.drain()
            return await self.told()
        except (OSError, asyncio.IncompleteReadError, ValueError):
            raise LostError from None

    async def told(self) -> tuple[int, bytes]:
        """The next answer of the process."""
        out = self.process.stdout
        assert out is not None  # noqa: S101  it was started with a pipe
        head = json.loads(await out.readuntil(b"\n"))
        body = await out.readexactly(int(head["size"]))
        self.fit = not head["spent"]
        return int(head["status"]), body

    async def end(self) -> None:
        """Kill the process and wait for its end."""
        with suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()


@dataclass
class Pool:
    """Worker processes that all have the model of `folder`; `scratch` is their working folder."""

    folder: Path
    scratch: Path
    limits: Limits
    facts: dict[str, Any] = field(default_factory=dict)
    inside: int = 0
    workers: list[Worker] = field(default_factory=list)
    _idle: asyncio.LifoQueue[Worker] = field(default_factory=asyncio.LifoQueue)
    _replacing: set[asyncio.Task[None]] = field(default_factory=set)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place for a request, from before its body is read until it is answered.

        Raises:
            BusyError: there is none.
        """
        if self.inside >= self.limits.workers + self.limits.queue:
            raise BusyError
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Worker]:
        """A process of one's own; one that is not fit afterwards is replaced.

        Raises:
            BusyError: none was free in time.
        """
        try:
            async with asyncio.timeout(self.limits.timeout):
                worker = await self._living()
        except TimeoutError:
            raise BusyError from None
        try:
            yield worker
        finally:
            if worker.fit:
                self._idle.put_nowait(worker)
            else:
                self._discard(worker)

    async def _living(self) -> Worker:
        """The next idle process; those that something else has ended are replaced."""
        while (worker := await self._idle.get()).process.returncode is not None:
            self._discard(worker)
        return worker

    async def ask(self, worker: Worker, question: Question) -> tuple[int, bytes]:
        """Status and body for a file.

        Raises:
            TooSlowError: not within the time limit.
            LostError: the process has ended.
        """
        try:
            async with asyncio.timeout(self.limits.timeout):
                return await worker.ask(question)
        except TimeoutError:
            raise TooSlowError from None

    def _discard(self, worker: Worker) -> None:
        with suppress(ProcessLookupError):
            worker.process.kill()  # at once: nothing may work on after the answer is given up
        self.workers.remove(worker)
        task = asyncio.create_task(self._replace(worker))
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self, lost: Worker) -> None:
        await lost.end()
        while True:
            try:
                await self._add()
                return
            except (InputError, OSError) as error:
                print(f"a worker could not be started: {error}", file=sys.stderr, flush=True)
                await asyncio.sleep(RETRY)

    async def _add(self) -> None:
        """Start a process; raise InputError where it cannot be."""
        worker = Worker(await self._started())
        try:
            async with asyncio.timeout(START):
                status, body = await worker.told()
        except (TimeoutError, asyncio.IncompleteReadError):
            await worker.end()
            raise InputError("a process that scores ended or hung while it started") from None
        except BaseException:
            await worker.end()
            raise
        if status != 200:
            await worker.end()
            raise InputError(body.decode())
        self.facts = json.loads(body)
        self.workers.append(worker)
        self._idle.put_nowait(worker)

    async def _started(self) -> Process:
        told = (self.folder, self.scratch, self.limits.memory, self.limits.timeout + SPARE)
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "models.service_worker", *(str(each) for each in told),
            stdin=PIPE,
            stdout=PIPE,
            env=os.environ | ONE_THREAD,
            start_new_session=True,  # Ctrl-C is for the service, which lets requests end
        )  # fmt: skip

    async def __aenter__(self) -> Pool:
        """Start all processes.

        Raises:
            InputError: the model cannot be loaded, or does not take statements.
        """
        started = await asyncio.gather(
            *(self._add() for _ in range(self.limits.workers)), return_exceptions=True
        )
        for fault in started:
            if isinstance(fault, BaseException):
                await self.__aexit__()
                raise fault
        return self

    async def __aexit__(self, *_: object) -> None:
        """End all processes."""
        for task in self._replacing:
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        await asyncio.gather(*(worker.end() for worker in self.workers))
        self.workers.clear()
