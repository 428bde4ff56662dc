"""`models.serve`: real processes on a loopback port; every status, and answers as the command's."""

from __future__ import annotations

import csv
import http.client
import io
import json
import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import REPO, year_rows
from test_models_panel import made_up
from test_models_score import with_trees
from test_warehouse_screener import MILLS, workbook

from models import score
from models.answer import as_json
from models.artifact import load
from models.evaluate import make_plan, run
from models.panel import panel_from_frame
from models.saving import save
from models.scoring import score_file
from warehouse import store

pytest.importorskip("fastapi")
pytest.importorskip("schemathesis")

MAX_BYTES = 2_000_000
GOOD = {"total_assets": 100, "current_assets": 40, "inventories": 9, "net_profit": -3}


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def line(self) -> str:
        """Why there is no answer."""
        assert set(self.json) == {"detail"}
        return str(self.json["detail"])


@dataclass(frozen=True)
class Service:
    """A running `python -m models.serve`, its folder of temporary files and its log."""

    process: subprocess.Popen[str]
    port: int
    scratch: Path
    log: Path
    said: str

    def connect(self, timeout: float = 120) -> http.client.HTTPConnection:
        """A new connection."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """One request on a connection of its own."""
        with closing(self.connect()) as connection:
            with suppress(BrokenPipeError, ConnectionResetError):  # refused before all was sent
                connection.request(method, path, body, dict(headers or {}))
            got = connection.getresponse()
            return Reply(got.status, dict(got.headers), got.read())

    def post(self, body: Any, headers: Mapping[str, str] | None = None) -> Reply:
        """Score a file."""
        return self.ask("POST", "/score", body, headers)

    def processes(self) -> list[int]:
        """The service, then its workers."""
        own = self.process.pid
        tasks = Path(f"/proc/{own}/task").glob("*/children")
        return [own, *sorted(int(pid) for task in tasks for pid in task.read_text().split())]

    def files(self) -> list[Path]:
        """What lies in its temporary folder."""
        return [path for path in self.scratch.rglob("*") if path.is_file()]


@contextmanager
def serving(model: Path, folder: Path, *options: object) -> Iterator[Service]:
    """A service on a free port; at the end it is asked to end, and must."""
    folder.mkdir()
    log = folder / "log"
    said = folder / "said"
    scratch = folder / "tmp"
    scratch.mkdir()
    told = ("--model", model, "--port", 0, *options)
    with log.open("w") as out, said.open("w") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "models.serve", *(str(each) for each in told)],
            cwd=REPO,
            env={**os.environ, "TMPDIR": str(scratch), "PYTHONPATH": str(REPO)},
            stdout=out,
            stderr=err,
            text=True,
        )
    try:
        wait_for(lambda: "POST" in said.read_text() or process.poll() is not None)
        greeting = said.read_text()
        port = re.search(r"on http://127\.0\.0\.1:(\d+)", greeting)
        assert port, greeting
        yield Service(process, int(port[1]), scratch, log, greeting)
    finally:
        process.terminate()
        try:
            process.wait(60)
        finally:
            process.kill()


def wait_for(happened: Callable[[], bool], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that has learnt from made-up figures under the names of six ratios."""
    frame = made_up().rename(columns={f"r{i}": f"X{i + 1}" for i in range(6)}).drop(columns="copy")
    data = panel_from_frame(frame, source="made up", simulated=True)
    folder = tmp_path_factory.mktemp("world") / "model"
    base = run(data, make_plan("paper", ("lr",), ("all",), "paper", seed=0))
    save(folder, with_trees(base), {"label_rule": "made up", "macro": {}})
    return folder


@pytest.fixture(scope="module")
def service(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With room for all that the tests ask at once."""
    folder = tmp_path_factory.mktemp("service") / "a"
    options = ("--workers", 2, "--queue", 16, "--max-bytes", MAX_BYTES)
    with serving(model, folder, *options) as running:
        yield running


@pytest.fixture(scope="module")
def strict(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """With one process, no queue and little time."""
    folder = tmp_path_factory.mktemp("service") / "b"
    with serving(model, folder, "--workers", 1, "--queue", 0, "--timeout", 3) as running:
        yield running


def statements(*rows: Mapping[str, object]) -> bytes:
    """A statements file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def file_with(value: object, end: str = "2019-03-31") -> bytes:
    """A file with one cell in question."""
    return statements(*year_rows("example", end, {**GOOD, "cash": value}))


def company(number: int) -> list[dict[str, object]]:
    """Two years of a company; each has figures of its own."""
    items = {**GOOD, "current_liabilities": 20 + 3 * number, "inventories": 5 + number}
    return [
        row
        for year in (2018, 2019)
        for row in year_rows(f"example-{number}", f"{year}-03-31", items)
    ]


def years(first: int, last: int) -> bytes:
    """A year after the other of one company."""
    rows = [year_rows("example", f"{y:04d}-03-31", GOOD) for y in range(first, last + 1)]
    return statements(*(row for year in rows for row in year))


def command(path: Path, model: Path) -> Any:
    """What `python -m models.score` says of a file."""
    ran = CliRunner().invoke(
        score.main, [str(path), "--model", str(model), "--format", "json"], catch_exceptions=False
    )
    assert ran.exit_code == 0
    return json.loads(ran.stdout)


def test_the_answer_is_that_of_the_command(service: Service, model: Path, tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_bytes(statements(*company(1), *company(2)))
    pd.read_csv(tmp_path / "s.csv", dtype=str).to_parquet(tmp_path / "s.parquet")
    expected = command(tmp_path / "s.csv", model)
    assert len(expected["companies"]) == 2
    rows = [{**row, "value": float(str(row["value"]))} for row in (*company(1), *company(2))]
    (tmp_path / "s.json").write_text(json.dumps(rows))
    for name in ("s.csv", "s.parquet", "s.json"):
        reply = service.post((tmp_path / name).read_bytes())
        assert reply.status == 200
        assert reply.headers["content-type"] == "application/json"
        assert reply.json == expected
    assert reply.json["model"]["simulated"] is True
    assert any("SIMULATED" in notice for notice in reply.json["notices"])


def test_less_is_said_where_less_is_asked(service: Service, tmp_path: Path) -> None:
    body = statements(*company(1))
    year = service.ask("POST", "/score?explain=none", body).json["companies"][0]["years"][-1]
    assert (year["explanation"], year["neighbours"]) == (None, [])
    both = service.ask("POST", "/score?explain=latest&compare=no", body).json
    told = [year["explanation"] is not None for year in both["companies"][0]["years"]]
    assert told == [False, True]
    reply = service.ask("POST", "/score?explain=much", body)
    assert (reply.status, reply.line.split(":")[0]) == (422, "explain")


def test_formats_are_told_by_content_not_by_name(service: Service, tmp_path: Path) -> None:
    ends = (datetime(2018, 3, 31), datetime(2019, 3, 31))
    body = workbook(tmp_path / "m.xlsx", MILLS, ends).read_bytes()
    reply = service.post(body, {"Content-Type": "text/csv"})
    (company,) = reply.json["companies"]
    assert [year["fiscal_year_end"] for year in company["years"]] == ["2018-03-31", "2019-03-31"]


def test_health_and_version(service: Service, model: Path) -> None:
    assert service.ask("GET", "/health").json == {"status": "ok", "workers": 2, "requests": 0}
    said = service.ask("GET", "/version").json
    assert said["schema"] == "insolvency-radar/score/2"
    declared = (REPO / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{said["program"]}"' in declared
    manifest = json.loads((model / "model.json").read_text())
    assert said["model"]["data_hash"] == manifest["data_hash"]
    assert said["model"]["simulated"] is True
    assert str(model) not in json.dumps(said)


def test_it_says_who_can_reach_it(service: Service) -> None:
    assert "reachable from this machine only" in service.said
    assert "SIMULATED" in service.said


@dataclass(frozen=True)
class Bad:
    """A body that is refused, and what the refusal says."""

    name: str
    body: Callable[[], bytes]
    status: int
    says: str


def bomb() -> bytes:
    """A workbook of a megabyte that unpacks to 220."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
        with archive.open("xl/worksheets/sheet1.xml", "w") as sheet:
            for _ in range(210):
                sheet.write(bytes(2**20))
    return packed.getvalue()


def laughs() -> bytes:
    """XML of a kilobyte that entities would make a gigabyte of."""
    names = "abcdefghij"
    told = "".join(f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in pairwise(names))
    return f'<!DOCTYPE xbrl [<!ENTITY a "ha">{told}]><xbrl>&j;</xbrl>'.encode()


BAD: tuple[Bad, ...] = (
    Bad("nothing", lambda: b"", 422, "upload: the file is empty"),
    Bad("bytes", lambda: bytes(range(128, 256)), 422, "expected UTF-8 text"),
    Bad("other columns", lambda: b"a,b\n1,2\n", 422, "upload: unknown columns a, b"),
    Bad("nan", lambda: file_with("nan"), 422, "row 6, column value: expected a finite number"),
    Bad("inf", lambda: file_with("-inf"), 422, "row 6, column value: expected a finite number"),
    Bad("NaN in JSON", lambda: b'[{"value": NaN}]', 422, "upload: not readable as JSON"),
    Bad("deep JSON", lambda: b"[" * 10**6, 422, "upload: not readable as JSON"),
    Bad("formula", lambda: file_with("=1+1"), 422, "row 6, column value: expected a finite number"),
    Bad("ten thousand years", lambda: years(1, 9999), 422, "between 1980-01-01 and today"),
    Bad("years to come", lambda: years(1990, 9999), 422, "between 1980-01-01 and today"),
    Bad("entities", laughs, 422, "expected no DOCTYPE and no entities"),
    Bad("zip bomb", bomb, 422, "upload: unpacks to 220,200,971 bytes"),
    Bad("half a zip", lambda: bomb()[:5000], 422, "upload"),
    Bad("PDF", lambda: b"%PDF-1.7\n", 415, "upload: a PDF document; expected a statements file"),
    Bad("picture", lambda: b"\x89PNG\r\n\x1a\n", 415, "upload: a picture"),
    Bad("gzip", lambda: b"\x1f\x8b\x08", 415, "upload: gzip data"),
    Bad("too large", lambda: b"a" * (MAX_BYTES + 1), 413, "more than 2,000,000 bytes"),
)


@pytest.mark.parametrize("bad", BAD, ids=lambda bad: bad.name)
def test_bad_files_are_refused_in_one_line(service: Service, bad: Bad) -> None:
    reply = service.post(bad.body())
    assert reply.status == bad.status, reply.line
    assert bad.says in reply.line
    assert "\n" not in reply.line
    assert str(service.scratch) not in reply.line
    assert "Traceback" not in reply.line
    assert service.files() == []


def test_all_years_that_there_can_be_are_scored(service: Service) -> None:
    reply = service.post(years(1980, 2025))
    assert reply.status == 200
    assert len(reply.json["companies"][0]["years"]) == 46


def test_paths_and_methods(service: Service) -> None:
    for method, path, status in (
        ("GET", "/", 404), ("GET", "/docs", 404), ("POST", "/score/", 404), ("GET", "/score", 405),
        ("DELETE", "/score", 405), ("POST", "/health", 405),
    ):  # fmt: skip
        reply = service.ask(method, path)
        assert (reply.status, bool(reply.line)) == (status, True)
    assert service.ask("GET", "/score").headers["allow"] == "POST"


def test_heads_that_are_refused_before_the_body(service: Service) -> None:
    for headers, status, says in (
        ({"Content-Encoding": "gzip"}, 415, "packed by 'gzip'"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "--data-binary"),
        ({"Content-Length": "9" * 18}, 413, "more than 2,000,000 bytes"),
    ):
        with closing(service.connect()) as connection:
            connection.putrequest("POST", "/score", skip_accept_encoding=True)
            for name, value in {"Content-Length": "10", **headers}.items():
                connection.putheader(name, value)
            connection.endheaders()  # and no byte of the body
            reply = connection.getresponse()
            assert reply.status == status
            assert reply.headers["connection"] == "close"
            assert says in json.loads(reply.read())["detail"]


def test_a_body_without_end_is_refused_while_it_comes(service: Service) -> None:
    sent, answer = send_until_answered(service, 10**9)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert sent < 100 * 10**6


def send_until_answered(service: Service, most: int) -> tuple[int, bytes]:
    """Send parts of a body until the service says something; bytes sent, and what it said."""
    part = b"%x\r\n%s\r\n" % (2**16, b"a" * 2**16)
    sent = 0
    with socket.create_connection(("127.0.0.1", service.port), 60) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        while sent < most and not select.select([connection], [], [], 0)[0]:
            connection.sendall(part)
            sent += 2**16
        return sent, connection.recv(2**16)


def test_what_is_no_http_is_refused(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 60) as connection:
        connection.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    assert service.ask("GET", "/health").status == 200


def test_a_client_that_leaves_leaves_nothing(service: Service) -> None:
    with socket.create_connection(("127.0.0.1", service.port), 60) as connection:
        connection.sendall(
            b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf"
        )
        wait_for(lambda: service.ask("GET", "/health").json["requests"] == 1)
    wait_for(lambda: service.ask("GET", "/health").json["requests"] == 0)
    assert service.files() == []
    wait_for(lambda: logged(service, "/score")[-1]["status"] == 499)


def logged(service: Service, path: str) -> list[dict[str, Any]]:
    """Lines of the log, each written when its answer has been sent."""
    whole = service.log.read_text().rpartition("\n")[0]
    lines = [json.loads(line) for line in whole.splitlines()]
    return [line for line in lines if line["path"] == path]


def test_a_request_is_one_line_of_the_log(service: Service) -> None:
    before = len(logged(service, "/score"))
    service.ask("GET", "/a%0Ab%22")
    body = file_with(1)
    assert service.post(body).status == 200
    wait_for(lambda: len(logged(service, "/score")) > before)
    assert logged(service, '/a\nb"')[-1]["status"] == 404
    line = logged(service, "/score")[-1]
    assert set(line) == {"time", "client", "method", "path", "status", "bytes", "ms"}
    assert (line["client"], line["method"], line["status"]) == ("127.0.0.1", "POST", 200)
    assert line["bytes"] == len(body)
    assert datetime.fromisoformat(line["time"]).tzinfo is not None


def test_answers_do_not_mix(service: Service, model: Path, tmp_path: Path) -> None:
    """Eight clients at once, each with companies of its own."""
    loaded = load(model)
    bodies = [statements(*company(number)) for number in range(8)]
    with ThreadPoolExecutor(8) as clients:
        replies = list(clients.map(service.post, bodies))
    with store.in_memory() as desk:
        for number, (body, reply) in enumerate(zip(bodies, replies, strict=True)):
            (tmp_path / "s.csv").write_bytes(body)
            assert reply.status == 200
            assert [c["company_id"] for c in reply.json["companies"]] == [f"example-{number}"]
            alone = score_file(tmp_path / "s.csv", loaded, desk=desk)
            assert reply.json == json.loads(as_json(alone, loaded))
    assert len({json.dumps(reply.json["companies"][0]["years"]) for reply in replies}) == 8
    assert service.files() == []


@pytest.mark.slow
def test_no_more_than_there_is_place_for(strict: Service) -> None:
    body = file_with(1)
    with closing(strict.connect()) as first:
        first.putrequest("POST", "/score")
        first.putheader("Content-Length", str(len(body)))
        first.endheaders(body[:10])
        wait_for(lambda: strict.ask("GET", "/health").json["requests"] == 1)
        busy = strict.post(body)
        first.send(body[10:])
        assert first.getresponse().status == 200
    assert (busy.status, busy.line) == (503, "too many requests at once; try again")
    assert int(busy.headers["retry-after"]) > 0
    assert strict.post(body).status == 200


def test_a_body_that_does_not_come(strict: Service) -> None:
    with closing(strict.connect()) as connection:
        connection.putrequest("POST", "/score")
        connection.putheader("Content-Length", "100")
        connection.endheaders(b"half")
        reply = connection.getresponse()
        assert reply.status == 408
        assert "did not arrive within 3 seconds" in json.loads(reply.read())["detail"]
    assert strict.files() == []


@pytest.mark.slow
def test_work_that_takes_too_long_is_ended(strict: Service) -> None:
    """The process that was at it is gone, and another stands in its place."""
    before = strict.processes()
    head, *rows = statements(*year_rows("example", "2019-03-31", GOOD)).decode().splitlines()
    many = "\n".join([head, *(f"{n}{row}" for n in range(40_000) for row in rows)]).encode()
    reply = strict.post(many)
    assert (reply.status, "took more than 3 seconds" in reply.line) == (504, True)
    assert strict.files() == []
    wait_for(lambda: not set(before[1:]) & set(strict.processes()), 10)
    wait_for(lambda: strict.ask("GET", "/health").json["workers"] == 1)
    assert strict.post(file_with(1)).status == 200


@pytest.mark.slow
def test_a_process_that_is_killed_is_replaced(strict: Service) -> None:
    _, worker = strict.processes()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: worker not in strict.processes())
    assert strict.post(file_with(1)).status in {200, 503}
    wait_for(lambda: strict.post(file_with(1)).status == 200)


@pytest.mark.slow
def test_a_signal_ends_it_when_the_last_answer_is_given(
    model: Path,
    tmp_path: Path,
) -> None:
    body = file_with(1)
    with serving(model, tmp_path / "c", "--workers", 1) as running:
        everyone = running.processes()
        with closing(running.connect()) as client:
            client.putrequest("POST", "/score")
            client.putheader("Content-Length", str(len(body)))
            client.endheaders(body[:10])
            wait_for(lambda: running.ask("GET", "/health").json["requests"] == 1)
            running.process.send_signal(signal.SIGTERM)
            wait_for(lambda: refuses(running))
            client.send(body[10:])
            assert client.getresponse().status == 200
        assert running.process.wait(60) == 0
        assert list(running.scratch.iterdir()) == []
        assert not [pid for pid in everyone if Path(f"/proc/{pid}").exists()]
        assert "Traceback" not in (tmp_path / "c" / "said").read_text()


def refuses(service: Service) -> bool:
    """Whether no new connection is taken."""
    with closing(service.connect(1)) as connection:
        try:
            connection.connect()
        except OSError:
            return True
        return False


@pytest.mark.slow
def test_no_process_outlives_the_service(model: Path, tmp_path: Path) -> None:
    with serving(model, tmp_path / "d", "--workers", 2) as running:
        everyone = running.processes()
        assert len(everyone) == 3
        running.process.kill()
        running.process.wait(60)
        wait_for(lambda: not [pid for pid in everyone if Path(f"/proc/{pid}").exists()], 60)


@pytest.mark.slow
def test_a_file_takes_no_more_memory_than_it_may(model: Path, tmp_path: Path) -> None:
    """A Parquet file of a few kilobytes with 40 million rows."""
    pyarrow = pytest.importorskip("pyarrow")
    row = {"company_id": "c", "fiscal_year_end": "2019-03-31", "item": "cash", "value": "1"}
    index = pyarrow.repeat(pyarrow.scalar(0, pyarrow.int32()), 40_000_000)
    table = pyarrow.table(
        {n: pyarrow.DictionaryArray.from_arrays(index, pyarrow.array([v])) for n, v in row.items()}
    )
    path = tmp_path / "bomb.parquet"
    import pyarrow.parquet as parquet

    parquet.write_table(table, path, compression="zstd")
    assert path.stat().st_size < 10**6
    with serving(model, tmp_path / "e", "--workers", 1, "--memory", 700) as running:
        reply = running.post(path.read_bytes())
        assert reply.status == 422
        assert "memory" in reply.line
        wait_for(lambda: running.ask("GET", "/health").json["workers"] == 1)
        assert running.post(file_with(1)).status == 200


def refused(arguments: list[str], *words: str) -> None:
    """The command ends with 2 and one line."""
    ran = subprocess.run(
        [sys.executable, "-m", "models.serve", *arguments],
        cwd=REPO, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("error: ")
    assert ran.stderr.count("\n") == 1
    for word in words:
        assert word in ran.stderr


@pytest.mark.slow
def test_a_model_or_a_port_that_is_not_there(service: Service, tmp_path: Path) -> None:
    refused(["--model", str(tmp_path / "none"), "--port", "0"], "none: no such model folder")
    refused(["--model", str(tmp_path), "--port", str(service.port)], "cannot listen there")


# What a statements file is cannot be said in a schema: no body that is made up is one.
SCHEMATHESIS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "415", "422"]
"""


@pytest.mark.slow
def test_it_does_what_its_openapi_says(service: Service, tmp_path: Path) -> None:
    config = tmp_path / "schemathesis.toml"
    config.write_text(SCHEMATHESIS)
    url = f"http://127.0.0.1:{service.port}/openapi.json"
    told = ("--config-file", str(config), "run", url, "--max-examples", "10")
    fixed = ("--generation-deterministic", "--no-color")
    ran = subprocess.run(
        [Path(sys.executable).with_name("schemathesis"), *told, *fixed],
        cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "3 selected / 3 total" in ran.stdout
    assert service.files() == []


def test_openapi_names_every_status(service: Service) -> None:
    told = service.ask("GET", "/openapi.json").json
    assert set(told["paths"]) == {"/score", "/health", "/version"}
    statuses = set(told["paths"]["/score"]["post"]["responses"])
    assert statuses == {"200", "400", "408", "413", "415", "422", "500", "503", "504"}
