"""The page in real headless Chromium: what a visitor finds, drops, reads, and cannot break.

Set APP_SCREENSHOTS to a folder to keep the pictures.
"""

from __future__ import annotations

import http.client
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from conftest import REPO, write_csv, year_rows

from features.dataset import load_demo
from models.train import main as train
from warehouse import store
from warehouse.importers import import_files

playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev: playwright")
pytest.importorskip("streamlit", reason="needs the extra app")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra dev")

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="no chromium on this machine: apt install chromium"
    ),
]

PATIENCE = 60_000  # milliseconds; a test machine may be busy
WIDE, PHONE = (1200, 1000), (390, 844)
PAGES = ("Find a company", "Score a file", "Leaderboard", "Data quality", "Scrape runs")
EVIL = "![x](http://evil.example/a.png) <img src=x onerror=alert(1)> :red[b] $c$"
# A page opened by its own address: Streamlit looks below it first for where its server is.
LOOKS = re.compile(r"^/(score|leaderboard|quality|runs)/_stcore/(health|host-config)$")


@dataclass(frozen=True)
class Served:
    """A running page and what it serves."""

    url: str
    db: Path
    runs: Path
    process: subprocess.Popen[str]


@dataclass
class Visit:
    """A browser's tab, and what went wrong in it."""

    page: Any
    base: str
    outside: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, title: str = PAGES[0], address: str = "/") -> None:
        """The page at an address, or, from the first one, by its link."""
        self.page.goto(self.base + address, wait_until="commit")
        self.settled()
        if title != PAGES[0]:
            self.go(title)

    def go(self, title: str) -> None:
        """Another page by its link."""
        self.page.get_by_role("link", name=title).click()
        self.page.get_by_role("heading", name=title, level=1).wait_for()
        self.settled()

    def settled(self) -> None:
        """Wait until the server has said all it had to say."""
        self.page.get_by_role("heading", level=1).wait_for()
        self.page.locator("[data-test-script-state=notRunning]").wait_for(state="attached")
        self.page.wait_for_timeout(300)

    def search(self, text: str, until: str) -> None:
        """Look for a company, until something that is said of it is there."""
        box = self.page.get_by_label("Company", exact=True)
        box.fill(text)
        box.press("Enter")
        self.page.get_by_text(until).first.wait_for()
        self.settled()

    def cells(self, role: str = "gridcell") -> list[str]:
        """Texts in tables: they are painted, and told to a screen reader beside the painting."""
        told = self.page.locator(f"[data-testid=stDataFrame] [role={role}]")
        told.first.wait_for(state="attached")
        self.page.wait_for_timeout(500)
        return [str(text) for text in told.all_text_contents()]

    def text(self) -> str:
        """What can be read in the main part."""
        return str(self.page.get_by_test_id("stMain").inner_text())

    def shoot(self, name: str, folder: Path) -> None:
        """A picture of the whole page."""
        size = self.page.viewport_size
        tall = self.page.get_by_test_id("stMain").evaluate("e => e.scrollHeight")
        self.page.set_viewport_size({"width": size["width"], "height": min(tall + 60, 6000)})
        self.page.wait_for_timeout(500)
        self.page.screenshot(path=folder / f"{name}.png")
        self.page.set_viewport_size(size)

    def violations(self) -> list[str]:
        """Rules of axe that are broken seriously, with the first place of each."""
        found = axe.Axe().run(self.page).response["violations"]
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    db, runs = folder / "warehouse.duckdb", folder / "data" / "runs"
    rows = year_rows("evil", "2022-03-31", {"total_assets": 100, "net_profit": 5})
    rows = [{**row, "company_name": EVIL} for row in rows]
    with store.connect(db, create=True) as connection:
        load_demo(connection, 60)
        import_files(connection, [write_csv(folder / "evil.csv", rows)])
        connection.execute(
            "INSERT INTO run VALUES ('2026-01-02 10:00', '2026-01-02 10:01', 'python -m scraping',"
            ' \'{"sources": [{"source": "ibbi", "state": "failed", "rows": 0,'
            ' "messages": ["expected a table, got a captcha"]}], "notices": []}\')'
        )
        connection.execute("INSERT INTO quarantine VALUES ('ibbi', 1, 4, 'no date', ?)", [EVIL])
    made = CliRunner().invoke(
        train,
        f"--db {db} --selectors all --learners lr,xgboost --grid paper --jobs 1"
        f" --out {runs / 'small'}",
    )
    assert made.exit_code == 0, made.output
    yield from _serve(folder, db, runs)


def _serve(folder: Path, db: Path, runs: Path) -> Iterator[Served]:
    command = [sys.executable, "-m", "reports.app", "--db", db, "--runs", runs, "--port", "0"]
    process = subprocess.Popen(
        [*map(str, command), "--upload-mb", "1"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPO), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = ""
        while (found := re.search(r"http://127\.0\.0\.1:\d+", said)) is None:
            line = process.stdout.readline()
            assert line, f"the server ended: {said}"
            said += line
        yield Served(found[0], db, runs, process)
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 0
    assert "Traceback" not in said


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def shots(tmp_path: Path) -> Path:
    folder = Path(os.environ.get("APP_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def visit(served: Served, browser: Any, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """A tab: wide and light, or as the test's parameter (size, scheme) says."""
    size, scheme = getattr(request, "param", (WIDE, "light"))
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, locale="en-GB"
    )
    context.set_default_timeout(PATIENCE)
    tab = Visit(context.new_page(), served.url)

    def only_home(route: Any) -> None:
        if route.request.url.startswith(served.url):
            route.continue_()
        else:
            tab.outside.append(route.request.url)
            route.abort()

    def heard(message: Any) -> None:
        path = str(message.location.get("url", "")).removeprefix(served.url)
        if message.type == "error" and not LOOKS.match(path):
            tab.errors.append(message.text)

    context.route("**/*", only_home)
    tab.page.on("console", heard)
    tab.page.on("pageerror", lambda error: tab.errors.append(str(error)))
    yield tab
    context.close()
    assert tab.outside == []
    assert tab.errors == []


EVERY_WAY = pytest.mark.parametrize(
    "visit",
    [(WIDE, "light"), (WIDE, "dark"), (PHONE, "light"), (PHONE, "dark")],
    ids=["wide-light", "wide-dark", "phone-light", "phone-dark"],
    indirect=True,
)


def test_a_company_is_found_and_shown(visit: Visit, shots: Path) -> None:
    visit.open()
    visit.search("demo0001", "id demo-0001")
    text = visit.text()
    assert "SIMULATED companies." in text
    assert "SIMULATED model." in text
    for heading in ("Probability of each class", "Year by year", "Ratios against the sector",
                    "Reasons", "Missing"):  # fmt: skip
        assert visit.page.get_by_role("heading", name=heading).is_visible(), heading
    assert "probability of bankruptcy" in text
    charts = visit.page.get_by_test_id("stVegaLiteChart")
    assert charts.count() >= 4
    assert {"Year end", "Prediction", "bankrupt"} <= set(visit.cells("columnheader"))
    visit.shoot("company", shots)
    visit.search("nobody of that name", "No company found for nobody of that name.")
    assert "Reasons" not in visit.text()


def test_a_name_from_outside_is_only_text(visit: Visit) -> None:
    visit.open(address="/?q=evil")
    visit.settled()
    heading = visit.page.get_by_role("heading", level=2)
    assert heading.inner_text().replace("\u2060", "") == EVIL
    assert heading.locator("img, a, .stMarkdownColoredText").count() == 0
    assert visit.page.get_by_test_id("stMain").locator("img").count() == 0


def test_a_file_is_scored(visit: Visit, repo: Path, shots: Path) -> None:
    visit.open("Score a file")
    visit.page.set_input_files("input[type=file]", repo / "docs/example_statements.csv")
    visit.page.get_by_role("heading", name="Made-up Mills Limited (simulated)").wait_for()
    visit.settled()
    assert "the model says" in visit.text()
    assert visit.page.get_by_role("heading", name="Reasons").is_visible()
    visit.shoot("score", shots)


def test_a_bad_file_is_one_line(visit: Visit, tmp_path: Path, shots: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("company,amount\n![x](http://evil.example/b.png),1\n", encoding="utf-8")
    visit.open("Score a file")
    visit.page.set_input_files("input[type=file]", bad)
    alert = visit.page.get_by_role("alert").filter(has_text="bad.csv")
    alert.wait_for()
    said = alert.inner_text()
    assert said.startswith("bad.csv: unknown columns")
    assert "\n" not in said.strip()
    assert "Traceback" not in visit.text()
    assert "/tmp" not in said
    visit.shoot("bad_file", shots)


def test_a_file_too_large_is_refused(visit: Visit, tmp_path: Path) -> None:
    large = tmp_path / "large.csv"
    large.write_bytes(b"x" * (2 * 2**20))
    visit.open("Score a file")
    visit.page.set_input_files("input[type=file]", large)
    visit.page.get_by_text(re.compile("must be 1.0MB or smaller|exceeds|too large")).wait_for()
    assert "Reasons" not in visit.text()


def test_the_leaderboard_has_figures_and_intervals(visit: Visit, shots: Path) -> None:
    visit.open("Leaderboard")
    assert {"#", "Model", "Macro-F1", "Macro-F1, 95 %"} <= set(visit.cells("columnheader"))
    assert {"lr", "xgboost"} <= set(visit.cells())
    assert "picked on these same test rows" in visit.text()
    with visit.page.expect_download() as started:
        visit.page.get_by_role("button", name="Whole report").click()
    assert Path(started.value.path()).read_bytes().startswith(b"<!")
    visit.shoot("leaderboard", shots)


def test_data_quality_says_what_checks_say(visit: Visit, shots: Path) -> None:
    visit.open("Data quality")
    visit.page.get_by_role("heading", name="Sources that disagree").wait_for()
    visit.settled()
    assert {"balance_sheet", "100"} <= set(visit.cells())  # per cent passed
    assert re.search(r"Companies\s+61", visit.text())
    visit.shoot("quality", shots)


def test_scrape_runs_say_what_failed(visit: Visit, shots: Path) -> None:
    visit.open("Scrape runs")
    visit.page.get_by_role("heading", name="Quarantine").wait_for()
    visit.settled()
    cells = visit.cells()
    assert "python -m scraping" in cells
    assert "expected a table, got a captcha" in cells
    visit.shoot("runs", shots)


@EVERY_WAY
def test_every_page_fits_and_is_accessible(
    visit: Visit, shots: Path, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.id
    visit.open()
    visit.search("demo0001", "id demo-0001")
    for title in PAGES:
        if title != PAGES[0]:
            visit.go(title)
        main = visit.page.get_by_test_id("stMain")
        assert main.evaluate("e => e.scrollWidth <= e.clientWidth"), title
        assert "SIMULATED companies." in visit.text()
        assert visit.violations() == [], title
        visit.shoot(f"{name}-{title.split()[-1].lower()}", shots)


@EVERY_WAY
def test_the_theme_is_the_visitors(visit: Visit, request: pytest.FixtureRequest) -> None:
    visit.open()
    paper = visit.page.get_by_test_id("stApp").evaluate("e => getComputedStyle(e).backgroundColor")
    dark = "dark" in request.node.callspec.id
    assert paper == ("rgb(23, 27, 34)" if dark else "rgb(255, 255, 255)")


def test_all_of_it_is_reached_by_keyboard(visit: Visit) -> None:
    visit.open()
    reached = []
    for _ in range(25):
        visit.page.keyboard.press("Tab")
        reached.append(
            visit.page.evaluate(
                "(e => e.innerText || e.getAttribute('aria-label') || '')(document.activeElement)"
            ).strip()
        )
        if reached[-1] == "Company":
            break
    assert [name for name in reached if name in PAGES] == list(PAGES)
    assert reached[-1] == "Company"
    visit.page.keyboard.type("demo0002")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_role("heading", level=2).first.wait_for()
    assert "demo-0002" in visit.text()


def test_an_address_can_be_kept(visit: Visit) -> None:
    visit.open(address="/?q=demo-0003")
    visit.page.get_by_role("heading", level=2).first.wait_for()
    assert "demo-0003" in visit.text()
    visit.open(address="/quality")
    visit.page.get_by_role("heading", name="Data quality", level=1).wait_for()


def test_a_warehouse_that_is_held_is_one_line(visit: Visit, served: Served) -> None:
    code = (
        "import sys, pathlib; from warehouse import store\n"
        "with store.connect(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(served.db)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(REPO)},
    )  # fmt: skip
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        visit.open()
        box = visit.page.get_by_label("Company", exact=True)
        box.fill("an answer that is not kept yet")
        box.press("Enter")
        alert = visit.page.get_by_role("alert").filter(has_text="another process holds")
        alert.wait_for()
        assert "\n" not in alert.inner_text().strip()
    finally:
        holder.communicate("")


def test_only_our_host_and_origin_are_served(served: Served) -> None:
    def status(headers: dict[str, str]) -> int:
        host, port = served.url.removeprefix("http://").split(":")
        line = http.client.HTTPConnection(host, int(port), timeout=30)
        line.putrequest("GET", "/_stcore/stream", skip_host="Host" in headers)
        for name, value in headers.items():
            line.putheader(name, value)
        line.endheaders()
        found = line.getresponse().status
        line.close()
        return found

    upgrade = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    assert status({**upgrade, "Origin": served.url}) == 101
    assert status({**upgrade, "Origin": "http://evil.example"}) == 403
    assert status({**upgrade, "Host": "evil.example", "Origin": served.url}) == 403


def test_without_a_warehouse_it_shows_simulated_companies(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(REPO), "TMPDIR": str(tmp_path / "tmp"),
                   "BANKRUPTCY_DATA": str(tmp_path / "data"), "PYTHONUNBUFFERED": "1"}  # fmt: skip
    (tmp_path / "tmp").mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "reports.app", "--port", "0"],
        cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    said = ""
    while "http://127.0.0.1" not in said:
        line = process.stdout.readline()
        assert line, said
        said += line
    assert "showing SIMULATED companies" in said
    assert list((tmp_path / "tmp").glob("reports-app-*/simulated.duckdb"))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert not list((tmp_path / "tmp").glob("reports-app-*"))
