"""The service over HTTP: a statements file in, the answer of `models.score` as JSON out.

A body is written to a file of a fixed name in a private temporary folder, because the importers
take paths, and given to a worker process (`models.service_pool`). Its format is told by what it
holds; the content type and any name are not looked at.
"""

from __future__ import annotations

import asyncio
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any, Literal, cast

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp

from models.service_edge import Edge
from models.service_pool import (
    UPLOAD,
    BusyError,
    Limits,
    LostError,
    Pool,
    Question,
    TooSlowError,
)
from warehouse.errors import printable

AGAIN = {"Retry-After": "2"}  # seconds
EXPECTED = "expected a statements file (CSV, Parquet, JSON), a Screener workbook, XBRL or a page"


@dataclass(frozen=True)
class Foreign:
    """A kind of file that cannot hold statements we read, told by its first bytes."""

    begins: bytes
    name: str


FOREIGN: tuple[Foreign, ...] = (
    Foreign(b"%PDF", "a PDF document"),
    Foreign(b"\x89PNG", "a picture"),
    Foreign(b"\xff\xd8\xff", "a picture"),
    Foreign(b"GIF8", "a picture"),
    Foreign(b"\x1f\x8b", "gzip data"),
    Foreign(b"BZh", "bzip2 data"),
    Foreign(b"\xfd7zXZ\x00", "xz data"),
    Foreign(b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    Foreign(b"Rar!", "a RAR archive"),
    Foreign(b"\xd0\xcf\x11\xe0", "an Excel workbook of before 2007 or another OLE file"),
    Foreign(b"\x7fELF", "a program"),
    Foreign(b"MZ", "a program"),
    Foreign(b"SQLite format 3", "a SQLite database"),
)


class Problem(BaseModel):
    """Why there is no answer, in one line."""

    detail: str


class Health(BaseModel):
    """Whether files can be scored."""

    status: str = Field(description="`ok`, or `starting` while no process can score")
    workers: int = Field(description="Processes that can score")
    requests: int = Field(description="Requests under way")


class Version(BaseModel):
    """What answers."""

    program: str
    schema_version: str = Field(alias="schema")
    model: dict[str, Any] = Field(description="Facts; `simulated`: learnt from SIMULATED companies")


PROBLEMS: dict[int, str] = {
    400: "Not HTTP, or it broke off",
    408: "The body did not arrive in time",
    413: "The body is too large",
    415: "Not a kind of file that holds statements, or packed",
    422: "Not statements that can be scored; one line says which row and why",
    500: "A fault of the service",
    503: "Too many requests at once: try again after as many seconds as Retry-After says",
    504: "It took too long to score, and was ended",
}
RETRY_HEADER = {"Retry-After": {"schema": {"type": "string"}, "description": "Seconds"}}
Explain = Literal["all", "latest", "none"]
EXPLAIN = "Years with reasons, similar companies and what would have to change"
COMPARE = "Show what the run's other saved models say beside the best"
SCORED = {
    "description": "Companies with their scored years, as `python -m models.score` writes them",
    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
}
BODY = {
    "required": True,
    "description": "The file as it is. Its format is told by what it holds.",
    "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
}


def make_app(pool: Pool) -> ASGIApp:
    """The application over a pool of worker processes."""
    app = FastAPI(
        title="insolvency-radar",
        version=program_version(),
        description="Probabilities of bankruptcy, year by year, from a company's statements.",
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )

    @app.post(
        "/score",
        response_model=None,
        responses={200: SCORED, **_problems()},
        openapi_extra={"requestBody": BODY},
    )
    async def score(
        request: Request,
        explain: Annotated[Explain, Query(description=EXPLAIN)] = "all",
        compare: Annotated[bool, Query(description=COMPARE)] = True,
    ) -> Response:
        """Score the companies of a statements file."""
        return await _score(request, pool, explain, compare)

    @app.get("/health", response_model=Health, responses={503: {"model": Health}})
    async def health(response: Response) -> dict[str, Any]:
        """Whether files can be scored."""
        living = len(pool.workers)
        response.status_code = 200 if living else 503
        status = "ok" if living else "starting"
        return {"status": status, "workers": living, "requests": pool.inside}

    @app.get("/version", response_model=Version)
    async def version_() -> dict[str, Any]:
        """The program, the version of the answer's schema and the model."""
        return {"program": program_version(), **pool.facts}  # the response model drops the rest

    app.openapi = _described(app, pool)  # type: ignore[method-assign]

    @app.exception_handler(RequestValidationError)
    async def wrong(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        line = f"{first['loc'][-1]}: {first['msg']}"
        return JSONResponse({"detail": printable(line)}, 422)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": "internal fault; the log of the service says more"}, 500)

    return cast(ASGIApp, Edge(app))


def _described(app: FastAPI, pool: Pool) -> Callable[[], dict[str, Any]]:
    """The OpenAPI with the schema of the answer, which the processes that score know."""
    described = FastAPI.openapi

    def openapi() -> dict[str, Any]:
        said = described(app)
        schemas = said["components"]["schemas"]
        answer = dict(pool.facts["answer"])
        schemas |= answer.pop("$defs", {})
        schemas["Answer"] = answer
        return said

    return openapi


def program_version() -> str:
    """Version of this program, installed or run from its folder."""
    try:
        return version("insolvency-radar")
    except PackageNotFoundError:
        declared = Path(__file__).resolve().parents[1] / "pyproject.toml"
        return str(tomllib.loads(declared.read_text(encoding="utf-8"))["project"]["version"])


def _problems() -> dict[int | str, dict[str, Any]]:
    told: dict[int | str, dict[str, Any]] = {
        status: {"model": Problem, "description": why} for status, why in PROBLEMS.items()
    }
    told[503]["headers"] = RETRY_HEADER
    return told


async def _score(request: Request, pool: Pool, explain: Explain, compare: bool) -> Response:
    """Refuse what can be refused unread, keep the body for as long as it is needed, and score."""
    _check_head(request, pool.limits)
    try:
        with pool.place(), TemporaryDirectory(dir=pool.scratch) as folder:
            path = Path(folder) / UPLOAD
            await _receive(request, path, pool.limits)
            _check_kind(path)
            return await _answer(request, Question(str(path), explain, compare), pool)
    except ClientDisconnect:
        return Response(status_code=400)  # to nobody
    except BusyError:
        raise HTTPException(503, "too many requests at once; try again", AGAIN) from None
    except TooSlowError:
        line = f"{UPLOAD}: took more than {pool.limits.timeout:g} seconds to score, and was ended"
        raise HTTPException(504, line) from None
    except LostError:
        line = f"{UPLOAD}: ended the process that read it: damaged, or takes too much memory"
        raise HTTPException(422, line) from None


def _check_head(request: Request, limits: Limits) -> None:
    """Refuse by the head of a request alone; the body is then never asked for."""
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:18]) > limits.max_bytes:
        raise _too_large(limits)
    packed = request.headers.get("content-encoding", "identity").strip().lower()
    if packed not in ("", "identity"):
        raise HTTPException(415, f"a body packed by {packed[:20]!r}; send the file as it is")
    if request.headers.get("content-type", "").lower().startswith("multipart/"):
        raise HTTPException(
            415, "a form; send the file itself as the body: curl --data-binary @FILE URL"
        )


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(413, f"{UPLOAD}: more than {limits.max_bytes:,} bytes, the most taken")


async def _receive(request: Request, path: Path, limits: Limits) -> None:
    """Write the body to a file, part by part, and no more of it than the limit."""
    size = 0
    try:
        async with asyncio.timeout(limits.timeout):
            with path.open("xb") as file:
                async for part in request.stream():
                    size += len(part)
                    if size > limits.max_bytes:
                        raise _too_large(limits)
                    file.write(part)  # some 64 KB into the page cache: no thread is worth it
    except TimeoutError:
        line = f"the body did not arrive within {limits.timeout:g} seconds"
        raise HTTPException(408, line) from None


def _check_kind(path: Path) -> None:
    with path.open("rb") as file:
        head = file.read(16)
    for foreign in FOREIGN:
        if head.startswith(foreign.begins):
            raise HTTPException(415, f"{UPLOAD}: {foreign.name}; {EXPECTED}")


async def _answer(request: Request, question: Question, pool: Pool) -> Response:
    async with pool.worker() as worker:
        if await request.is_disconnected():  # gave up while others had their turn
            raise ClientDisconnect
        status, body = await pool.ask(worker, question)
    if status != 200:
        raise HTTPException(status, body.decode())
    return Response(body, media_type="application/json")
