"""The page's plain functions: search, history, sector, checks, runs, uploads; and its command."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import Ran, loaded, write_csv, year_rows

from features.dataset import demo_warehouse, load_demo, panel
from features.ratios import RATIOS
from models.artifact import Model, load
from models.evaluate import make_plan, run
from models.panel import panel_from_frame
from models.saving import save
from models.train import _macro
from reports import app, app_board, app_charts, app_data, app_quality, app_scoring, style
from reports.app_settings import Settings, streamlit_options
from reports.grid import Cell, Column, Grid
from warehouse import store
from warehouse.errors import InputError

EVIL = "![x](http://evil.example/a.png) :red[b] $c$ <script>"


@dataclass(frozen=True)
class World:
    """A warehouse file of simulated companies and a model that has learnt from them."""

    db: Path
    model: Model
    folder: Path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("app")
    with demo_warehouse(60) as connection:
        data = panel_from_frame(panel(connection).to_pandas(), source="made up")
    db = folder / "warehouse.duckdb"
    with store.connect(db, create=True) as connection:
        load_demo(connection, 60)
    result = run(data, make_plan("paper", ("lr",), ("all",), "paper", seed=0))
    save(folder / "model", result, {"label_rule": "made up", "macro": _macro(data)})
    return World(db, load(folder / "model"), folder / "model")


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A warehouse of three companies with every code."""
    companies = [
        {"company_id": "alpha", "company_name": "Alpha Textiles Limited", "nse_symbol": "ALPHATEX",
         "isin": "INE000A01010", "cin": "L17111MH1990PLC000001", "sector": "Textiles"},
        {"company_id": "beta", "company_name": "Beta Alphabet Mills Ltd", "nse_symbol": "BETA",
         "sector": "Textiles"},
        {"company_id": "gamma", "company_name": EVIL},
    ]  # fmt: skip
    rows = [
        row
        for place, one in enumerate(companies, start=1)
        for end in ("2020-03-31", "2021-03-31")
        for row in year_rows(
            str(one["company_id"]), end, {"current_assets": 100 * place, "current_liabilities": 50}
        )
    ]
    db = tmp_path / "named.duckdb"
    files = write_csv(tmp_path / "c.csv", companies), write_csv(tmp_path / "s.csv", rows)
    events = [{"company_id": "alpha", "event_type": "cirp_admission", "event_date": "2021-09-01"}]
    with loaded(db, *files, write_csv(tmp_path / "e.csv", events)):
        return db


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", ["gamma", "alpha", "beta"]),
        ("alpha", ["alpha", "beta"]),  # the id itself first, then the name that holds it
        ("ALPHATEX", ["alpha"]),
        ("ine000a01010", ["alpha"]),
        ("L17111MH1990PLC000001", ["alpha"]),
        ("mills beta", ["beta"]),
        ("100%_'; DROP TABLE company --", []),
        ("beta alphabet mils ltd", ["beta"]),  # misspelt
    ],
)
def test_a_company_is_found_by_any_of_its_names(named: Path, text: str, ids: list[str]) -> None:
    with store.connect(named, read_only=True) as connection:
        assert [c.company_id for c in app_data.search(connection, text)] == ids


def test_what_is_found_says_its_codes_and_years(named: Path) -> None:
    with store.connect(named, read_only=True) as connection:
        found = app_data.search(connection, "alphatex")[0]
    assert (found.symbol, found.sector, found.years) == ("ALPHATEX", "Textiles", 2)
    assert found.title == "Alpha Textiles Limited · ALPHATEX"


def test_a_history_has_ratios_labels_and_events(named: Path) -> None:
    with store.connect(named, read_only=True) as connection:
        past = app_data.history(connection, "alpha")
        with pytest.raises(InputError, match="no company 'nobody'"):
            app_data.history(connection, "nobody")
    assert list(past.ratios["fiscal_year"]) == [2020, 2021]
    assert list(past.ratios["X1"]) == [2, 2]  # 100 / 50
    assert list(past.labels["label"]) == ["bankrupt", "bankrupt"]  # t is 2021, t - 2 to t
    assert list(app_data.events_table(past.events)["Event"]) == ["cirp admission"]
    assert not past.simulated


def test_quartiles_are_those_of_the_sector(tmp_path: Path) -> None:
    # X1 of the sector A: 1, 2, 3, 4, 5, so that its quartiles are 2, 3, 4; of all six, 10 more.
    companies = [{"company_id": f"c{n}", "company_name": f"C {n}", "sector": "A" if n < 6 else "B"}
                 for n in range(1, 7)]  # fmt: skip
    rows = [
        row
        for n in range(1, 7)
        for row in year_rows(
            f"c{n}", "2020-03-31",
            {"current_assets": 10 * (n if n < 6 else 10), "current_liabilities": 10},
        )
    ]  # fmt: skip
    files = write_csv(tmp_path / "c.csv", companies), write_csv(tmp_path / "s.csv", rows)
    with loaded(tmp_path / "w.duckdb", *files) as connection:
        quartiles = app_data.peers(connection)
        past = app_data.history(connection, "c1")
    own = app_data.against_sector(past.ratios, quartiles, "A", "X1").iloc[0]
    assert (own["value"], own["low"], own["median"], own["high"], own["companies"]) == (
        1, 2, 3, 4, 5,
    )  # fmt: skip
    few = app_data.against_sector(past.ratios, quartiles, "B", "X1").iloc[0]
    assert few["companies"] == 1  # of fewer than five a median says little
    assert np.isnan(few["median"])
    everyone = app_data.against_sector(past.ratios, quartiles, "Z", "X1").iloc[0]
    assert (everyone["median"], everyone["companies"]) == (3.5, 6)
    assert app_data.compared_with(quartiles, "Z").startswith("all sectors")
    table = app_data.ratio_table([pd.DataFrame([own]).assign(ratio="X1 current ratio")])
    assert list(table["Median"]) == [3]


def test_a_key_changes_with_the_file_and_its_log(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    nothing = app_data.stamp(path)
    path.write_bytes(b"1")
    first = app_data.stamp(path)
    (tmp_path / "a.duckdb.wal").write_bytes(b"22")
    assert len({nothing, first, app_data.stamp(path)}) == 3


def test_checks_without_writing_say_what_checks_say(world: World, tmp_path: Path) -> None:
    copy = tmp_path / "copy.duckdb"
    copy.write_bytes(world.db.read_bytes())
    with store.connect(copy) as connection:
        connection.execute("UPDATE statement_line SET value = value * 3 WHERE item = 'revenue'")
        expected = store.run_checks(connection)
    with store.connect(copy, read_only=True) as connection:
        table = app_quality.pass_rates(connection)
    assert [(r.check.name, r.judged, r.failed) for r in expected] == list(
        table[["Check", "Judged", "Failed"]].itertuples(index=False, name=None)
    )
    row = table.set_index("Check").loc["revenue"]
    assert row["Failed"] > 0
    assert row["Passed"] == pytest.approx(100 * (1 - row["Failed"] / row["Judged"]))


def test_gaps_add_up(named: Path) -> None:
    with store.connect(named, read_only=True) as connection:
        found = app_quality.gaps(connection)
        by_year = app_quality.coverage_by_year(connection)
        empty = connection.sql("SELECT count(*) FROM company_kind('statements')").fetchall()
    assert empty == [(3,)]
    assert found.years == 6
    ratios = found.ratios.set_index("Ratio")["Computed"]
    assert ratios["X1"] == 100
    assert ratios["X12"] == 0
    computed = round(sum(ratios) / 100 * 6)
    assert found.reasons["Cells"].sum() == 6 * len(RATIOS) - computed
    assert list(by_year["Fiscal year"]) == [2020, 2021]
    assert by_year["Ratios computed"].mean() == pytest.approx(100 * computed / (6 * len(RATIOS)))


def test_holdings_and_sources(named: Path) -> None:
    with store.connect(named, read_only=True) as connection:
        held = dict(app_quality.holdings(connection))
        told = app_quality.sources(connection)
        assert app_quality.disagreements(connection).empty
        assert app_data.size(connection) == (3, False)
    assert held == {
        "Companies": 3, "Company-years": 6, "Reported figures": 12, "Insolvency events": 1,
    }  # fmt: skip
    assert list(told["Figures"]) == [12]


SUMMARY = {
    "sources": [
        {"source": "ibbi", "state": "done", "rows": 5, "new": 5, "messages": []},
        {"source": "nse", "state": "failed", "rows": 0, "new": 0, "messages": ["a captcha"]},
    ],
    "notices": ["two debtors wait for a decision"],
}


def test_runs_crawls_and_quarantine(named: Path) -> None:
    with store.connect(named) as connection:
        insert = "INSERT INTO run VALUES (?, ?, ?, ?)"
        for day, command, text in (
            (1, "import", json.dumps([{"file": "s.csv", "rows": 12, "new": True}])),
            (2, "scraping", json.dumps(SUMMARY)),
            (3, "broken", "{not json"),
        ):
            times = f"2026-01-0{day} 10:00:00", f"2026-01-0{day} 10:00:30"
            connection.execute(insert, [*times, command, text])
        connection.execute("INSERT INTO crawl VALUES ('ibbi', 'a', 1700000000000000, 3),"
                           " ('ibbi', 'b', 1800000000000000, 5)")  # fmt: skip
        connection.execute("INSERT INTO quarantine VALUES ('nse', 1, 4, 'no ISIN', ?)", [EVIL])
    with store.connect(named, read_only=True) as connection:
        lines = app_quality.runs(connection)
        crawls = app_quality.crawls(connection)
        counts, rows = app_quality.quarantine(connection)
    assert [line.command for line in lines] == ["broken", "scraping", "import"]
    assert [line.state for line in lines] == ["done", "1 of 2 not whole", "done"]
    assert lines[0].notices == ("{not json",)
    table = app_quality.runs_table(lines)
    assert list(table["Rows"]) == [0, 5, 12]
    assert list(table["Seconds"]) == [30, 30, 30]
    told = app_quality.outcomes_table(lines[1])
    assert list(told.columns) == ["Source", "State", "Rows", "New", "Messages"]
    assert list(told["Messages"]) == ["", "a captcha"]
    assert crawls.iloc[0][["Source", "Crawls", "Last crawl", "Rows of the last"]].tolist() == [
        "ibbi", 2, "b", 5,
    ]  # fmt: skip
    assert counts.iloc[0].tolist() == ["nse", "no ISIN", 1]
    assert rows.iloc[0]["Content"] == EVIL


def test_a_company_of_the_warehouse_is_scored(world: World) -> None:
    with store.connect(world.db, read_only=True) as connection:
        company, lines = app_scoring.scored_company(connection, world.model, "demo-0001")
        past = app_data.history(connection, "demo-0001")
        nothing, why = app_scoring.scored_company(connection, world.model, "nobody")
    assert company is not None
    assert past.simulated
    assert any("SIMULATED" in line for line in lines)
    assert nothing is None
    assert "no company 'nobody'" in why[0]
    table = app_scoring.years_table(company, past, world.model.classes)
    assert len(table) == len(past.ratios)
    assert table["Year end"].is_monotonic_decreasing
    total = table[list(world.model.classes)].sum(axis=1)
    assert np.allclose(total, 100)
    latest = company.years[-1]
    assert table["Prediction"].iloc[0] == latest.prediction
    chances = app_scoring.probabilities(company, world.model.classes)
    assert len(chances) == 3 * len(app_scoring.last_years(company))
    strip = app_scoring.strip(company, past, world.model.classes)
    assert set(strip["row"]) <= {"label", "prediction"}
    assert app_scoring.missing_table(latest)["Features"].sum() == len(latest.missing)
    assert app_scoring.reason_lines(latest)[:-2] == [r.words() for r in latest.reasons]


def test_a_company_without_a_model_still_has_its_years(world: World) -> None:
    with store.connect(world.db, read_only=True) as connection:
        past = app_data.history(connection, "demo-0001")
    table = app_scoring.years_table(None, past, ())
    assert "Prediction" not in table
    assert len(table) == len(past.ratios)


def test_an_uploaded_file_is_scored_and_gone(
    world: World, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    content = (repo / "docs/example_statements.csv").read_bytes()
    shown = app_scoring.score_bytes(content, "../../etc/passwd", world.model, 1)
    assert [past.company.company_id for past in shown.histories] == ["madeup-mills"]
    score = shown.score_of("madeup-mills")
    assert score is not None
    assert len(score.years) == 4
    assert shown.score_of("nobody") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "unknown columns"),
        (b"\x00\x01\x02" * 50, "bad"),
        (b"PAR1 is no parquet", "bad"),
        (b"x" * (2**20 + 1), "larger than the 1 MB"),
    ],
)
def test_a_bad_upload_is_one_line_that_names_the_file(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, said: str
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with pytest.raises(InputError) as caught:
        app_scoring.score_bytes(content, "bad\n.csv", world.model, 1)
    message = str(caught.value)
    assert said in message
    assert "\n" not in message
    assert str(tmp_path) not in message
    assert "bad\\x0a.csv" in message
    assert list(tmp_path.iterdir()) == []


def test_an_upload_of_too_many_companies_is_refused(world: World, tmp_path: Path) -> None:
    count = app_scoring.MOST_COMPANIES + 1
    rows = [
        row for n in range(count) for row in year_rows(f"c{n}", "2020-03-31", {"total_assets": 5})
    ]
    content = write_csv(tmp_path / "many.csv", rows).read_bytes()
    with pytest.raises(InputError, match=rf"many: holds {count} companies"):
        app_scoring.score_bytes(content, "many", world.model, 5)


def test_the_newest_model_is_taken(world: World, tmp_path: Path) -> None:
    assert app_scoring.newest_model(tmp_path / "nothing") is None
    assert app_scoring.newest_model(tmp_path) is None
    for name in ("one", ".unfinished"):
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "model/model.json").write_text("{}", encoding="utf-8")
    assert app_scoring.newest_model(tmp_path) == tmp_path / "one" / "model"
    model, others = app_scoring.load_models(world.folder)
    assert model.classes == world.model.classes
    assert others == ()


def test_a_grid_becomes_a_frame_that_sorts() -> None:
    columns = Column("#", True), Column("Model"), Column("Macro-F1", True)
    first = Cell("1"), Cell("lr", "all, 66 features"), Cell("0.600", "0.47–0.68")
    second = Cell("2"), Cell("svm", "all, 66 features"), Cell("–")
    frame = app_board.frame_of(Grid(columns, (first, second)))
    assert list(frame) == ["#", "Model", "Features", "Macro-F1", "Macro-F1, 95 %"]
    assert frame["Macro-F1"].tolist()[0] == 0.6
    assert np.isnan(frame["Macro-F1"].tolist()[1])
    assert app_board.formats(frame) == {"#": "%d", "Macro-F1": "%.3f"}


def test_runs_are_listed_newest_first(tmp_path: Path) -> None:
    assert app_board.run_folders(tmp_path / "nothing") == ()
    for name in ("a", "b", ".c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text('{"source": "demo"}', encoding="utf-8")
    assert {path.name for path in app_board.run_folders(tmp_path)} == {"a", "b"}
    assert app_board.run_title(tmp_path / "a") == "a: demo, protocol None"
    (tmp_path / "a" / "run.json").write_text("[", encoding="utf-8")
    assert app_board.run_title(tmp_path / "a") == "a: not readable"


def test_a_class_has_its_colour_in_both_themes() -> None:
    classes = ("bankrupt", "fails", "healthy")
    at = app_charts.places(classes)
    domain = app_charts.scale(at).to_dict()["domain"]
    for theme in (style.LIGHT, style.DARK):
        hues = (*theme.classes, *theme.others)
        wanted = style.class_colours(classes, theme)
        assert {name: hues[domain.index(name)] for name in classes} == wanted


def test_the_time_line_holds_year_ends_and_later_events() -> None:
    ends = pd.Series(pd.to_datetime(["2019-12-31", "2020-03-31"]))
    at = app_charts.year_of(ends)
    assert [int(value) for value in at] == [2019, 2020]  # 31 December is not the year after
    placed = app_charts.with_place(pd.DataFrame({"fiscal_year_end": ends}))
    events = pd.DataFrame({"event_date": ["2022-01-01", None, "2040-01-01"]})
    assert app_charts.span(placed, events)[1] == 2022.5
    assert app_charts.span(placed)[1] == pytest.approx(at[1] + 0.5)


def test_settings_survive_a_command_line(tmp_path: Path) -> None:
    for model in (None, tmp_path / "model"):
        given = Settings(tmp_path / "a b.duckdb", tmp_path, model, 5, demo=True)
        assert Settings.from_argument(given.as_argument()) == given


def test_streamlit_is_private_and_closed() -> None:
    options = streamlit_options("127.0.0.1", 8501, 7)
    for wanted in (
        "--server.address=127.0.0.1", "--server.headless=true", "--server.maxUploadSize=7",
        "--server.fileWatcherType=none", "--server.enableCORS=true",
        "--server.enableXsrfProtection=true", "--browser.gatherUsageStats=false",
        "--client.showErrorDetails=none", "--server.allowedHosts=127.0.0.1",
    ):  # fmt: skip
        assert wanted in options
    assert not any("allowedHosts" in o for o in streamlit_options("0.0.0.0", 8501, 7))


def test_another_origin_makes_nobody_ask_for_our_address() -> None:
    server_util = pytest.importorskip("streamlit.web.server.server_util")
    app.ask_nobody_for_our_address("127.0.0.1")
    assert not server_util.is_url_from_allowed_origins("http://evil.example")
    assert server_util.net_util.get_external_ip() == ""  # else it were None: no network in tests
    assert server_util.net_util.get_internal_ip() == ""


def command(*arguments: object) -> Ran:
    result = CliRunner().invoke(app.main, [str(a) for a in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


def test_wrong_use_is_one_line(tmp_path: Path) -> None:
    pytest.importorskip("streamlit")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for arguments, said in (
            (("--db", tmp_path / "no.duckdb", "--port", 0), "no warehouse here"),
            (("--model", tmp_path / "no"), "no such model folder"),
            (("--port", port), f"port {port}: cannot be listened on"),
            (("--host", "192.0.2.1", "--port", 0), "cannot be listened on"),
        ):
            ran = command(*arguments)
            assert ran.code == 2
            assert ran.err.startswith("error: ")
            assert said in ran.err
            assert ran.err.count("\n") == 1
    assert "Examples:" in command("--help").out
