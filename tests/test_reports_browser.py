"""The report in a real browser: the leaderboard sorts and filters; prints, narrow, dark, axe."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from test_reports_run import CELLS, make_run, not_drawn

from reports.figures import PICTURES
from reports.folder import AbsentError, Run, read_run
from reports.page import drawn
from reports.run import OPEN_ROWS, Listed, page
from reports.tables import TABLES, Table
from warehouse.exports import write_csv

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra dev brings playwright")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium")

COPIES = 4  # of each learner, so that there are more rows than are shown at first
ROWS = len(CELLS) * (1 + COPIES)


def _longer(out: Path) -> None:
    """Give a made-up run more rows than stand open, with figures that ties and gaps are among."""
    board = pd.read_csv(out / "leaderboard.csv")
    more = [
        board.assign(learner=[f"{name}{n}" for name in board["learner"]]) for n in range(COPIES)
    ]
    many = pd.concat([board, *more], ignore_index=True)
    many["rank"] = range(1, ROWS + 1)
    # As text 9 comes after 10, and 1000 before 9.
    many["fit_seconds"] = [9.0, 10.0, 1000.0, None, 9.0] * (1 + COPIES)
    write_csv(many, out / "leaderboard.csv")
    names = [f"{row.learner}/{row.selector}" for row in many.itertuples()]
    compared = pd.DataFrame({"name": names, "verdict": "tied"})
    write_csv(compared.assign(difference=0.0, low=-0.1, high=0.1), out / "comparison.csv")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a longer run; of the pictures, which take most of the time, one is drawn."""
    out = make_run(tmp_path_factory.mktemp("runs") / "run", simulated=True)
    _longer(out)
    run, pictures = read_run(out), not_drawn()
    one = next(picture for picture in PICTURES if picture.name == "confusion")
    shown = drawn(one.title, lambda theme: one.draw(run, theme), out / "confusion.png")
    tables = {table.name: _listed(table, run) for table in TABLES}
    path = out / "report.html"
    path.write_text(page(run, pictures | {one.name: shown}, tables), encoding="utf-8")
    return path


def _listed(table: Table, run: Run) -> Listed:
    """A table as `write_report` has it: one of predictions lacks those of the copies."""
    try:
        return Listed(table.title, table.build(run))
    except AbsentError as reason:
        return Listed(table.title, absent=str(reason))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # Root, which containers run as, has no sandbox; the page is our own.
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Opened:
    """A page in its own context, with all that it complained of and asked for."""

    def __init__(self, browser: Any, report: Path, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(report.as_uri())

    def column(self, title: str) -> list[str]:
        """Texts of a column in the rows in sight, without the notes under them."""
        heads = self.page.locator("#board th").all_inner_texts()
        at = heads.index(title) + 1
        cells = self.page.locator(f"#board tbody tr:visible td:nth-child({at})")
        return [text.split("\n")[0].strip() for text in cells.all_inner_texts()]

    def head(self, title: str) -> Any:
        return self.page.locator("#board th", has_text=title).first

    def sort(self, title: str) -> None:
        self.page.get_by_role("button", name=title, exact=True).click()

    @property
    def said(self) -> str:
        return str(self.page.get_by_role("status").inner_text())


@pytest.fixture
def opened(browser: Any, report: Path) -> Iterator[Opened]:
    one = Opened(browser, report)
    yield one
    one.context.close()
    assert one.faults == []
    assert [url for url in one.asked if not url.startswith(("file:", "data:"))] == []


def test_at_first_the_rows_are_by_rank_and_the_first_are_shown(opened: Opened) -> None:
    assert opened.column("#") == [str(n) for n in range(1, OPEN_ROWS + 1)]
    assert opened.head("#").get_attribute("aria-sort") == "ascending"
    assert opened.said == f"{ROWS} rows, the first {OPEN_ROWS} shown."
    opened.page.get_by_label(f"Show all {ROWS} rows").check()
    assert opened.column("#") == [str(n) for n in range(1, ROWS + 1)]
    assert opened.said == f"{ROWS} rows."


def test_a_click_sorts_numbers_as_numbers_and_a_second_turns_them(opened: Opened) -> None:
    opened.page.get_by_label("Show all").check()
    opened.sort("Fit s")
    assert opened.head("Fit s").get_attribute("aria-sort") == "ascending"
    up = opened.column("Fit s")
    assert up == ["9.0"] * 10 + ["10.0"] * 5 + ["1000.0"] * 5 + ["–"] * 5
    opened.sort("Fit s")
    # Rows without a figure stay last, and only one column is said to be sorted.
    assert opened.column("Fit s") == ["1000.0"] * 5 + ["10.0"] * 5 + ["9.0"] * 10 + ["–"] * 5
    assert opened.page.locator("#board th[aria-sort]").count() == 1
    assert opened.said == f"{ROWS} rows, sorted by Fit s, descending."


def test_equal_rows_keep_the_order_that_they_have(opened: Opened) -> None:
    """By hand: places 1 and 5 of each five took 9.0 seconds."""
    opened.page.get_by_label("Show all").check()
    nines = [n for n in range(1, ROWS + 1) if n % 5 in (1, 0)]
    opened.sort("Fit s")
    assert opened.column("#")[: len(nines)] == [str(n) for n in nines]
    opened.sort("#")
    opened.sort("#")
    opened.sort("Fit s")
    assert opened.column("#")[: len(nines)] == [str(n) for n in reversed(nines)]


def test_a_figure_that_should_be_high_sorts_downwards_first(opened: Opened) -> None:
    opened.sort("Macro-F1")
    values = [float(text) for text in opened.column("Macro-F1")]
    assert len(values) == OPEN_ROWS
    assert values == sorted(values, reverse=True)
    assert opened.head("Macro-F1").get_attribute("aria-sort") == "descending"


def test_the_table_is_sorted_by_keyboard_alone(opened: Opened) -> None:
    opened.page.locator("#shown").evaluate("shown => shown.tabIndex = -1")
    opened.page.locator("#shown").focus()
    for _ in range(3):  # the scrolling region, then the buttons of "#" and "Model"
        opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "Model"
    opened.page.keyboard.press("Enter")
    names = opened.column("Model")
    assert names == sorted(names)
    opened.page.keyboard.press("Space")
    assert opened.head("Model").get_attribute("aria-sort") == "descending"
    assert opened.page.evaluate("document.activeElement.textContent") == "Model"


def test_rows_are_found_by_words_learner_and_features(opened: Opened) -> None:
    find = opened.page.get_by_label("Find")
    find.fill("  FOREST ")
    assert opened.column("Model") == ["rf"]
    assert opened.said == f"1 of {ROWS} rows found."
    find.fill("kbest xgboost")
    assert set(opened.column("Model")) == {"xgboost", *(f"xgboost{n}" for n in range(COPIES))}
    find.fill("nothing at all")
    assert opened.column("Model") == []
    assert opened.said == f"0 of {ROWS} rows found."
    opened.page.get_by_role("button", name="Clear").click()
    assert find.input_value() == ""
    assert len(opened.column("Model")) == OPEN_ROWS
    opened.page.get_by_label("Learner").select_option("xgboost")
    assert opened.column("Model") == ["xgboost", "xgboost"]
    opened.page.get_by_label("Features", exact=True).select_option("kbest")
    assert opened.column("Model") == ["xgboost"]
    assert opened.page.get_by_role("button", name="Clear").is_enabled()


def test_a_filtered_table_still_sorts_and_opens(opened: Opened) -> None:
    opened.page.get_by_label("Find").fill("tied")  # all but the best
    assert opened.said == f"{ROWS - 1} of {ROWS} rows found, the first {OPEN_ROWS} shown."
    opened.page.get_by_label("Find").fill("")
    opened.page.get_by_label("Features", exact=True).select_option("none")
    opened.sort("#")
    places = [int(text) for text in opened.column("#")]
    assert len(places) == 1 + COPIES
    assert places == sorted(places, reverse=True)
    assert opened.said == f"{1 + COPIES} of {ROWS} rows found, sorted by #, descending."


def test_changes_are_announced_politely(opened: Opened) -> None:
    status = opened.page.get_by_role("status")
    assert status.count() == 1
    assert status.get_attribute("aria-live") in (None, "polite")  # the role alone is polite


def test_without_scripts_the_page_reads_by_rank(browser: Any, report: Path) -> None:
    plain = Opened(browser, report, java_script_enabled=False)
    assert plain.page.locator("#board button:visible, #board select:visible").count() == 0
    assert not plain.page.locator("#shown").is_visible()
    rows = plain.page.locator("#board tbody tr:visible")
    assert rows.count() == OPEN_ROWS
    plain.page.get_by_label(f"Show all {ROWS} rows").check()
    assert rows.count() == ROWS
    plain.context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_nothing_and_no_page_scrolls_sideways(
    browser: Any, report: Path, scheme: str, width: int
) -> None:
    size = {"width": width, "height": 844}
    one = Opened(browser, report, viewport=size, color_scheme=scheme, bypass_csp=True)
    found = axe_api.Axe().run(one.page)
    assert found.violations_count == 0, found.generate_report()
    assert one.page.evaluate("document.documentElement.scrollWidth") <= width
    paper = one.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == ("rgb(255, 255, 255)" if scheme == "light" else "rgb(23, 27, 34)")
    one.context.close()


def test_the_model_stays_in_sight_on_a_narrow_screen(browser: Any, report: Path) -> None:
    narrow = Opened(browser, report, viewport={"width": 390, "height": 844})
    narrow.page.locator("#board .scroll").evaluate("region => region.scrollLeft = 400")
    cell = narrow.page.locator("#board tbody tr").first.locator("td").nth(1).bounding_box()
    assert 0 <= cell["x"] < 100
    narrow.context.close()


def test_paper_has_all_rows_and_no_controls(opened: Opened, tmp_path: Path) -> None:
    if shutil.which("pdftotext") is None:
        pytest.skip("no pdftotext here: apt install poppler-utils")
    opened.page.get_by_label("Learner").select_option("xgboost")  # paper has the others too
    printed = tmp_path / "report.pdf"
    opened.page.pdf(path=printed, prefer_css_page_size=True)
    done = subprocess.run(
        ["pdftotext", "-layout", printed, "-"], capture_output=True, text=True, check=True
    )
    table = done.stdout.split("Table 5. Leaderboard")[1].split("leaderboard.csv")[0]
    places = re.findall(r"^ *(\d+) [a-z]", table, re.MULTILINE)
    assert sorted(map(int, places)) == list(range(1, ROWS + 1))
    assert not {"Find", "Clear", "Show"} & set(done.stdout.split())
    assert "simulated" in done.stdout.lower()
    # What is folded on the screen cannot be unfolded on paper.
    assert "says bankrupt" in done.stdout


def test_a_script_from_outside_does_not_run(browser: Any, report: Path, tmp_path: Path) -> None:
    """The policy holds where escaping failed: a planted script is refused by the browser."""
    planted = "<script>document.title = 'taken'</script>"
    page = tmp_path / "planted.html"
    text = report.read_text(encoding="utf-8").replace("</main>", f"{planted}</main>")
    page.write_text(text, encoding="utf-8")
    one = Opened(browser, page)
    assert one.page.title() != "taken"
    assert any("Content Security Policy" in fault for fault in one.faults)
    assert one.said.startswith(f"{ROWS} rows")
    one.context.close()
