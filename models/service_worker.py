"""A process that scores files for `models.service`, one after the other, and does nothing else.

The service starts some of these and ends one that is stuck, so that a file can cost no more than
its share of time and memory, whichever library reads it. What they say to each other: a line of
standard input is the path of a file and what to say of it, as JSON; the answer on standard output
is a line `{"status": 200, "size": 123, "spent": false}` and that many bytes. The first answer,
before any question, holds the facts of the model and the schema of answers. The process ends when
standard input does, so none outlives the service.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import traceback
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import duckdb
from pydantic import TypeAdapter

from models import artifact
from models.answer import SCHEMA, Answer, as_json
from models.artifact import Model
from models.scoring import Ask, score_file
from models.service_pool import UPLOAD, Question
from warehouse import store
from warehouse.errors import InputError

FACTS = (
    "learner", "selector", "params", "protocol", "simulated", "label_rule", "data_hash", "seed",
    "classes", "rows", "metrics",
)  # fmt: skip
KEPT = 4  # a process that keeps this part of a file's memory after the answer is replaced
# Read once before the first question: libraries load what they load late, and a model that does
# not take statements is refused before the service starts.
TRIAL = """company_id,fiscal_year_end,item,value,source
trial,2019-03-31,total_assets,100,a
trial,2019-03-31,current_assets,40,a
trial,2019-03-31,inventories,9,a
trial,2019-03-31,net_profit,-3,a
"""
RETOLD = "trial,2019-03-31,total_assets,100,b\n"  # a second source: the file needs the warehouse


@dataclass(frozen=True)
class Desk:
    """What is made once and used for every file: the models, and an empty warehouse."""

    model: Model
    others: tuple[Model, ...]
    warehouse: duckdb.DuckDBPyConnection


@dataclass(frozen=True)
class Told:
    """What became of a file: an HTTP status, and JSON for 200 or one line of text.

    `spent` after a fault: what it has left behind is not known, so the process is replaced.
    """

    status: int
    body: bytes
    spent: bool = False


def answer(question: Question, desk: Desk) -> Told:
    """Score a file; whatever is wrong with it is a status and one line, never an exception."""
    path = Path(question.path)
    try:
        return Told(200, _nameless(_scored(question, desk), path).encode())
    except InputError as error:
        line = _nameless(str(error), path)
        return Told(422, line.encode(), spent=_out_of_memory(error))
    except Exception as error:
        if _out_of_memory(error):
            line = f"{UPLOAD}: takes more memory than a request may have"
            return Told(422, line.encode(), spent=True)
        traceback.print_exc()  # the log of whoever runs the service; nothing of it is answered
        return Told(500, b"internal fault; the log of the service says more", spent=True)


def _out_of_memory(error: BaseException) -> bool:
    """Whether this, or what it came of, is that there was no more memory."""
    if isinstance(error, MemoryError | duckdb.OutOfMemoryException):
        return True
    return error.__context__ is not None and _out_of_memory(error.__context__)


def _scored(question: Question, desk: Desk) -> str:
    """The answer for a file, as `python -m models.score FILE --format json` prints it."""
    ask = Ask(question.explain, others=desk.others if question.compare else ())
    scored = score_file(Path(question.path), desk.model, ask, desk.warehouse)
    return as_json(scored, desk.model)


def _nameless(text: str, path: Path) -> str:
    """The text without the path on this machine, also where JSON has escaped it."""
    for written in (str(path), json.dumps(str(path))[1:-1]):
        text = text.replace(written, UPLOAD)
    return text


def facts(model: Model) -> dict[str, Any]:
    """What `GET /version` says of the model, not `source`, which may be a path; and the schema."""
    said = {name: model.manifest.get(name) for name in FACTS}
    return {
        "schema": SCHEMA,
        "model": said | {"features": len(model.features)},
        "answer": TypeAdapter(Answer).json_schema(
            ref_template="#/components/schemas/{model}", mode="serialization"
        ),
    }


def limit_memory(megabytes: int) -> None:
    """Let this process take that much more memory than it has now. Linux only: elsewhere nothing.

    What asks for more gets none and fails in its own way: an exception, or the end of the process.
    """
    if sys.platform != "linux":
        return
    import resource

    status = Path("/proc/self/status").read_text(encoding="ascii")
    used = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    most = used * 1024 + megabytes * 2**20
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not say so."""
    if sys.platform != "linux":
        return 0
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _reply(out: IO[bytes], told: Told) -> None:
    head = {"status": told.status, "size": len(told.body), "spent": told.spent}
    out.write(json.dumps(head).encode() + b"\n" + told.body)
    out.flush()


def _own_output() -> IO[bytes]:
    """Standard output for answers alone: what a library prints goes to standard error."""
    own = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return own


def _ready(folder: Path, scratch: Path, warehouse: duckdb.DuckDBPyConnection) -> Desk:
    """The models, after they have scored something.

    Raises:
        InputError: not a model, or one that does not take statements.
    """
    others = artifact.load_others(folder, lean=True)
    desk = Desk(artifact.load(folder, lean=True), others, warehouse)
    trial = scratch / f"trial-{os.getpid()}"
    try:
        for text in (TRIAL, TRIAL + RETOLD):
            trial.write_text(text, encoding="utf-8")
            _scored(Question(str(trial)), desk)
    finally:
        trial.unlink(missing_ok=True)
    return desk


def main(folder: str, scratch: str, megabytes: str, seconds: str) -> None:
    """Answer until standard input ends.

    Args:
        folder: of the model.
        scratch: working folder, for whatever a library writes where it stands.
        megabytes: that a file may take beyond what the loaded model takes.
        seconds: that a file may take; the service ends the process before, if it still lives.
    """
    out = _own_output()
    with store.in_memory() as warehouse:
        warehouse.execute("SET threads = 1")  # as all libraries here: see `service_pool`
        try:
            desk = _ready(Path(folder).resolve(), Path(scratch), warehouse)
        except InputError as error:
            _reply(out, Told(422, str(error).encode()))
            raise SystemExit(2) from None
        os.chdir(scratch)
        limit_memory(int(megabytes))
        _reply(out, Told(200, json.dumps(facts(desk.model)).encode()))
        most = resident() + int(megabytes) * 2**20 // KEPT
        for line in sys.stdin.buffer:
            faulthandler.dump_traceback_later(float(seconds), exit=True)
            told = answer(Question(**json.loads(line)), desk)
            _reply(out, replace(told, spent=told.spent or resident() > most))
            faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(*sys.argv[1:])
