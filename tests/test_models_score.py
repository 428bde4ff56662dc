"""`models.score`: the panel's own numbers from any file, and one clear line on bad input."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from conftest import REPO, Ran, loaded, write_csv, year_rows
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console
from test_models_panel import made_up
from test_warehouse_screener import MILLS, workbook

from features.dataset import FEATURES, demo_warehouse, panel
from models.answer import AnswerYear
from models.artifact import Model, load
from models.evaluate import RunResult, make_plan, run
from models.learners import learner_named
from models.panel import panel_from_frame
from models.pipeline import build_pipeline
from models.saving import save
from models.score import FORMATS, _gap_lines, main, newest_model
from models.scoring import FEW_RATIOS, Ask, Missing, level_of, score, score_file, titled
from models.train import _macro
from warehouse import store
from warehouse.console import LOG_WIDTH
from warehouse.dictionary import EXPORTED
from warehouse.errors import InputError
from warehouse.formats import STATEMENTS
from warehouse.importers import import_files
from warehouse.items import UNITS

PER_CRORE = {unit.name: unit.per_crore for unit in UNITS}
PARAMS = {"n_estimators": 15, "max_depth": 3, "learning_rate": 0.3}
BANK = {
    "total_assets": 1000, "total_debt": 700, "equity_share_capital": 50, "shareholders_funds": 120,
    "fixed_assets": 10, "revenue": 90, "net_profit": 9,
}  # fmt: skip


@dataclass(frozen=True)
class World:
    """A trained model, the panel it has learnt from, and the statements behind both."""

    folder: Path
    model: Model
    panel: pd.DataFrame
    statements: pd.DataFrame
    companies: pd.DataFrame

    def of(self, *companies: str) -> pd.DataFrame:
        """Statements of these companies."""
        return self.statements[self.statements["company_id"].isin(companies)]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    with demo_warehouse(80, seed=0) as connection:
        frame = panel(connection).to_pandas()
        tables = {table.name: table.sql for table in EXPORTED}
        statements, companies = (
            connection.execute(tables[name]).fetch_df() for name in ("statements", "companies")
        )
    data = panel_from_frame(frame, source="made up")
    folder = tmp_path_factory.mktemp("world") / "model"
    base = run(data, make_plan("paper", ("lr",), ("all",), "paper", seed=0))
    save(folder, with_trees(base), {"label_rule": "made up", "macro": _macro(data)})
    statements["fiscal_year_end"] = statements["fiscal_year_end"].astype(str)
    named = companies.set_index("company_id")["company_name"]
    statements["company_name"] = statements["company_id"].map(named)
    read = [name for name in statements if name in STATEMENTS.columns and name != "filed_at"]
    return World(folder, load(folder), frame, statements[read], companies)


def with_trees(base: RunResult) -> RunResult:
    """The run as if a small XGBoost had won it."""
    pipeline = build_pipeline(learner_named("xgboost"), PARAMS, "all", 0, "cpu")
    pipeline.fit(base.panel.X.to_numpy(), base.panel.y)
    best = replace(base.best, learner="xgboost", params=PARAMS)
    board = base.leaderboard.assign(learner="xgboost")
    return replace(base, best=best, pipeline=pipeline, leaderboard=board)


Score = Callable[..., Ran]


@pytest.fixture
def scored(world: World) -> Score:
    """Run `python -m models.score` with the model; an escaped exception fails."""

    def called(*arguments: object, model: Path | None = world.folder) -> Ran:
        given = [] if model is None else ["--model", str(model)]
        result = CliRunner().invoke(main, [*(str(a) for a in arguments), *given])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return Ran(result.exit_code, result.stdout, result.stderr)

    return called


@pytest.fixture(scope="module")
def two(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Statements of two companies."""
    path = tmp_path_factory.mktemp("two") / "two.csv"
    world.of("demo-0001", "demo-0002").to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def answer(world: World, two: Path) -> dict[str, str]:
    """What those two get, in each format."""
    return in_all_formats(two, world.model)


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (("Mills Ltd", "mills"), "Mills Ltd (mills)"),
        (("532744", "532744"), "532744"),
        (("532744", "532744", "Textiles"), "532744 (Textiles)"),
        (("Mills Ltd", "mills", "Textiles"), "Mills Ltd (mills, Textiles)"),
    ],
)
def test_a_company_is_named_once(given: tuple[str, ...], shown: str) -> None:
    assert titled(*given) == shown


def test_a_process_that_only_scores_does_not_wait_for_scikit_learn(world: World, two: Path) -> None:
    """The same answer as in this process, which has it imported."""
    here = in_all_formats(two, world.model)["csv"]
    command = ("-m", "models.score", str(two), "--model", str(world.folder), "--format", "csv")
    ran = subprocess.run(
        [sys.executable, "-X", "importtime", *command], cwd=REPO, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    imported = {line.rpartition("|")[2].strip() for line in ran.stderr.splitlines()}
    assert "xgboost" in imported
    assert not {"sklearn.base", "scipy.stats"} & imported
    there, here = (pd.read_csv(StringIO(text)) for text in (ran.stdout, here))
    pd.testing.assert_frame_equal(there, here)


def in_all_formats(path: Path, model: Model) -> dict[str, str]:
    found = score_file(path, model)
    texts = {}
    for form, write in FORMATS.items():
        screen = Console(file=StringIO(), width=LOG_WIDTH, markup=False, highlight=False)
        written = write(found, model)
        if not isinstance(written, str):
            with screen.capture() as captured:
                screen.print(written)
            written = captured.get()
        texts[form] = "\n".join(line.rstrip() for line in written.rstrip().splitlines())
    return texts


def refused(ran: Ran, *words: str) -> None:
    """Bad input: exit 2, one line, which says this."""
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    for word in words:
        assert word in ran.err


def probabilities(path: Path, model: Model) -> dict[tuple[str, int], tuple[float, ...]]:
    answer = score_file(path, model, Ask("none"))
    return {
        (c.company_id, y.fiscal_year): tuple(y.probabilities.values())
        for c in answer.companies
        for y in c.years
    }


def test_a_file_gives_the_numbers_of_the_panel(world: World, tmp_path: Path) -> None:
    ids = [f"demo-{i:04d}" for i in range(1, 21)]
    world.of(*ids).to_parquet(tmp_path / "s.parquet")
    found = probabilities(tmp_path / "s.parquet", world.model)
    rows = world.panel[world.panel["company_id"].isin(ids)]
    expected = world.model.predict_proba(rows).to_numpy()
    keys = list(zip(rows["company_id"], rows["fiscal_year"].astype(int), strict=True))
    assert len(keys) > 100
    assert np.ptp(expected[:, 0]) > 0.3
    np.testing.assert_allclose([found[key] for key in keys], expected, atol=1e-12)
    np.testing.assert_allclose([sum(p) for p in found.values()], 1, atol=1e-6)


@pytest.mark.slow
@settings(max_examples=4)
@given(
    unit=st.sampled_from(sorted(PER_CRORE)),
    others=st.sets(st.integers(3, 12), max_size=4),
    columns=st.permutations(range(9)),
    seed=st.integers(0, 9),
)
def test_unit_order_and_other_companies_change_nothing(
    world: World, answer: dict[str, str], tmp_path_factory: pytest.TempPathFactory, unit: str,
    others: set[int], columns: list[int], seed: int,
) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("same")
    ids = ["demo-0001", "demo-0002", *(f"demo-{i:04d}" for i in others)]
    changed = world.of(*ids).sample(frac=1, random_state=seed)
    changed = changed.assign(unit=unit, value=changed["value"] * PER_CRORE[unit])
    names = list(changed.columns)
    changed[[names[i] for i in columns] + names[9:]].to_csv(folder / "other.csv", index=False)
    found = probabilities(folder / "other.csv", world.model)
    assert {company for company, _ in found} == set(ids)
    for company in json.loads(answer["json"])["companies"]:
        for year in company["years"]:
            expected = tuple(year["probabilities"].values())
            assert found[company["company_id"], year["fiscal_year"]] == pytest.approx(expected)


def test_json_has_the_keys_that_it_promises(
    scored: Score, two: Path, answer: dict[str, str]
) -> None:
    ran = scored(two, "--format", "json")
    assert (ran.code, ran.out) == (0, answer["json"] + "\n")
    assert ran.err.count("\n") == 1
    assert "SIMULATED" in ran.err
    check_json(json.loads(ran.out))


def check_json(answer: dict[str, Any]) -> None:
    assert answer["schema"] == "insolvency-radar/score/2"
    assert set(answer) == {
        *("schema", "model", "classes", "risk_class", "risk", "companies", "refused", "notices"),
    }
    assert answer["model"]["simulated"] is True
    assert answer["model"]["label_rule"] == "made up"
    assert (answer["risk_class"], answer["risk"]) == ("bankrupt", "probability of bankruptcy")
    first, second = answer["companies"]
    assert (first["company_id"], second["company_id"]) == ("demo-0001", "demo-0002")
    for year in first["years"] + second["years"]:
        assert set(year) == {field.name for field in fields(AnswerYear)}
        assert sum(year["probabilities"].values()) == pytest.approx(1, abs=1e-6)
        assert year["prediction"] == max(year["as_given"], key=year["as_given"].get)
        why = year["explanation"]
        total = why["base"] + sum(one["contribution"] for one in why["reasons"]) + why["rest"]
        assert total == pytest.approx(year["probabilities"]["bankrupt"], abs=1e-6)
        assert len(why["reasons"]) == 5
        assert {"text", "feature", "value", "median", "sector", "tenth"} < set(why["reasons"][0])
        assert len(year["neighbours"]) == 3
        assert (year["counterfactual"] is None) or year["prediction"] == "bankrupt"


def test_simulated_is_said_in_every_format(answer: dict[str, str]) -> None:
    assert answer["table"].count("SIMULATED model · ") == 2
    assert '<p class="banner">SIMULATED' in answer["html"]
    rows = list(csv.DictReader(StringIO(answer["csv"])))
    assert {row["model_simulated"] for row in rows} == {"True"}
    assert len(rows) > 10


def test_model_of_real_companies_is_not_called_simulated(world: World, two: Path) -> None:
    real = replace(world.model, manifest={**world.model.manifest, "simulated": False})
    assert score_file(two, real, Ask("none")).notices == ()


def test_table_has_a_row_a_year_and_the_reasons_of_the_last(answer: dict[str, str]) -> None:
    rest = answer["table"]
    for company in json.loads(answer["json"])["companies"]:
        rest = rest[rest.index(company["company_name"]) :]
        for year in company["years"]:
            line = next(part for part in rest.splitlines() if year["fiscal_year_end"] in part)
            assert f"{year['ratios']} of 62 ratios" in line
        for reason in company["years"][-1]["explanation"]["reasons"]:
            assert f"{100 * reason['contribution']:+.1f}" in rest
    assert rest.count("points sum from") == 1


@pytest.mark.parametrize("form", ["table", "html"])
def test_out_holds_what_is_printed(
    form: str, scored: Score, two: Path, answer: dict[str, str], tmp_path: Path
) -> None:
    out = tmp_path / "new" / "answer"
    ran = scored(two, "--format", form, "--out", out)
    assert (ran.code, ran.out) == (0, "")
    written = out.read_text(encoding="utf-8")
    assert "\n".join(line.rstrip() for line in written.rstrip().splitlines()) == answer[form]
    assert [path.name for path in out.parent.iterdir()] == ["answer"]


def test_csv_and_parquet_files_agree(
    scored: Score, world: World, answer: dict[str, str], tmp_path: Path
) -> None:
    world.of("demo-0001", "demo-0002").to_parquet(tmp_path / "two.parquet")
    assert scored(tmp_path / "two.parquet", "--format", "csv").out == answer["csv"] + "\n"


def test_screener_workbook(scored: Score, tmp_path: Path) -> None:
    ran = scored(workbook(tmp_path / "m.xlsx", MILLS), "--format", "json")
    assert ran.code == 0
    (company,) = json.loads(ran.out)["companies"]
    assert company["company_name"] == "EXAMPLE MILLS LTD"
    assert [year["fiscal_year_end"] for year in company["years"]] == ["2019-03-31", "2019-12-31"][
        1:
    ]
    year = company["years"][0]
    assert "current_assets" in year["proxies"]
    gaps = {gap["feature"]: gap["reason"] for gap in year["missing"]}
    assert gaps["X1"] == "missing current_liabilities"
    assert "not in such a workbook: current liabilities" in ran.err


@pytest.fixture(scope="module")
def filled(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A warehouse of three companies; two of them bear one name, and one the other's symbol."""
    ids = ["demo-0001", "demo-0002", "demo-0003"]
    names = [
        {"company_name": "Example Mills Ltd", "nse_symbol": "MILLS", "isin": "INE000A01010"},
        {"company_name": "Example Twin Ltd", "nse_symbol": "TWINA", "sector": "Capital Goods"},
        {"company_name": "Example Twin Ltd", "nse_symbol": "demo-0001"},
    ]
    rows = [{"company_id": i, **name} for i, name in zip(ids, names, strict=True)]
    tmp_path = tmp_path_factory.mktemp("filled")
    statements = tmp_path / "s.csv"
    world.of(*ids).drop(columns="company_name").to_csv(statements, index=False)
    db = tmp_path / "w.duckdb"
    with loaded(db, write_csv(tmp_path / "c.csv", rows), statements):
        return db


def test_company_by_id_symbol_isin_or_name(world: World, filled: Path) -> None:
    """An id goes before another company's symbol that reads the same."""
    with store.connect(filled, read_only=True) as connection:
        for name in ("demo-0001", "mills", "INE000A01010", "Example Mills Ltd"):
            found = score(connection, world.model, name, Ask("none")).companies
            assert [company.company_id for company in found] == ["demo-0001"]
        with pytest.raises(InputError, match=r"names 2 companies \(demo-0002, demo-0003\)"):
            score(connection, world.model, "Example Twin Ltd")


def test_sector_of_the_company_gives_the_medians(scored: Score, filled: Path, world: World) -> None:
    ran = scored("--company", "TWINA", "--db", filled, "--format", "json")
    year = json.loads(ran.out)["companies"][0]["years"][-1]
    reason = year["explanation"]["reasons"][0]
    known = world.model.manifest["medians"]["sectors"]["Capital Goods"]
    assert (reason["sector"], reason["median"]) == ("Capital Goods", known[reason["feature"]])


def test_ambiguous_and_unknown_companies_are_refused(scored: Score, filled: Path) -> None:
    ran = scored("--company", "example twin ltd", "--db", filled)
    refused(ran, "names 2 companies (demo-0002, demo-0003); give a company_id")
    refused(scored("--company", "Nobody", "--db", filled), "no company 'Nobody' with statements")


def test_bank_alone_is_refused(scored: Score, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "b.csv", year_rows("example-bank", "2019-03-31", BANK))
    refused(scored(path), "example-bank: a bank, NBFC or insurer", "not scored")


def test_bank_beside_another_company_is_named(scored: Score, two: Path, tmp_path: Path) -> None:
    rows = [*csv.DictReader(StringIO(two.read_text())), *year_rows("b", "2019-03-31", BANK)]
    path = write_csv(tmp_path / "three.csv", rows)
    ran = scored(path, "--format", "json")
    assert ran.code == 1
    answer = json.loads(ran.out)
    assert [c["company_id"] for c in answer["companies"]] == ["demo-0001", "demo-0002"]
    assert len(answer["refused"]) == 1
    assert f"note: {answer['refused'][0]}\n" in ran.err


def few(tmp_path: Path, name: str, year: int = 2019) -> Path:
    items = {"total_assets": 100, "current_assets": 40, "inventories": 9, "net_profit": -3}
    rows = year_rows("few", f"{year}-03-31", items, company_name=name)
    return write_csv(tmp_path / "few.csv", rows)


def test_few_ratios_are_marked_and_each_gap_has_a_reason(world: World, tmp_path: Path) -> None:
    said = in_all_formats(few(tmp_path, "Example Ltd"), world.model)
    year = json.loads(said["json"])["companies"][0]["years"][0]
    assert 0 < year["ratios"] < FEW_RATIOS
    assert year["few_ratios"] is True
    assert len(year["missing"]) == len(FEATURES) - 4 - year["ratios"]
    gaps = {gap["feature"]: gap for gap in year["missing"]}
    assert gaps["X1"]["reason"] == "missing current_liabilities"
    assert gaps["X1"]["name"] == "current ratio"
    assert gaps["X16"]["reason"] == "missing prev_total_assets"
    (row,) = csv.DictReader(StringIO(said["csv"]))
    assert (row["few_ratios"], row["missing"]) == ("True", " ".join(gaps))
    assert f"{year['ratios']} of 62 ratios (few)" in said["table"]
    assert "  missing current_liabilities: X1, " in said["table"]
    assert f"{year['ratios']} of 62 (few)" in said["html"]


def test_macro_values_of_an_unknown_year_are_noted(scored: Score, tmp_path: Path) -> None:
    ran = scored(few(tmp_path, "Example Ltd", year=1985), "--format", "json")
    assert "note: macro values missing for 1985: the training median stands in" in ran.err
    answer = json.loads(ran.out)
    gaps = {g["feature"]: g["reason"] for g in answer["companies"][0]["years"][0]["missing"]}
    assert [gaps[code] for code in ("X63", "X66")] == ["no macro value"] * 2
    assert "macro values missing for 1985" in answer["notices"][0]


def test_names_are_text_and_nothing_else(scored: Score, world: World, tmp_path: Path) -> None:
    names = ("<script>alert(1)</script>", "=1+1", "[red]x[/red]", "a\x1b[31mb")
    items = {"total_assets": 100, "current_assets": 40, "inventories": 9}
    rows = [row for n in names for row in year_rows(n, "2019-03-31", items, company_name=n)]
    path = write_csv(tmp_path / "names.csv", rows)
    said, ran = in_all_formats(path, world.model), scored(path)
    for name in names:
        assert name.replace("\x1b", r"\x1b") in ran.out
    assert "\x1b" not in ran.out + ran.err
    assert "<script" not in said["html"]
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in said["html"]
    cells = {row["company_name"] for row in csv.DictReader(StringIO(said["csv"]))}
    assert cells == {f"'{name}" if name.startswith("=") else name for name in names}
    told = {company["company_name"] for company in json.loads(said["json"])["companies"]}
    assert told == set(names)


def test_wrong_use(scored: Score, two: Path, filled: Path) -> None:
    refused(scored(), "name a FILE, a --company or --all")
    refused(scored(two, "--company", "demo-0001"), "only one of them")
    refused(scored("--all"), "--all and --since DATE go together")
    refused(scored(two, "--format", "text"), "--format text is for --all")
    refused(scored(two, "--db", filled), "--db is the warehouse of --company")


def test_bad_files(scored: Score, tmp_path: Path) -> None:
    refused(scored(tmp_path / "none.csv"), "none.csv: no such file")
    (tmp_path / "empty.csv").touch()
    refused(scored(tmp_path / "empty.csv"), "empty.csv: the file is empty")
    header = write_csv(tmp_path / "h.csv", year_rows("a", "2019-03-31", {"cash": 1}))
    header.write_text(header.read_text().splitlines()[0] + "\n")
    refused(scored(header))
    event = {"company_id": "a", "event_type": "liquidation", "event_date": "2019-01-01"}
    path = write_csv(tmp_path / "e.csv", [event])
    refused(scored(path), "e.csv: holds events; expected statements, a Screener workbook")


def test_no_warehouse(scored: Score, tmp_path: Path) -> None:
    refused(scored("--company", "a", "--db", tmp_path / "w.duckdb"), "no warehouse here")
    refused(scored("--company", "a"), "no warehouse here")


def test_no_model(
    scored: Score, two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_DATA", str(tmp_path))
    refused(scored(two, model=None), "no trained model under", "python -m models.train")
    refused(scored(two, model=tmp_path / "nowhere"), "nowhere: no such model folder")


def test_the_newest_whole_run_is_taken(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BANKRUPTCY_DATA", str(tmp_path))
    wanted = tmp_path / "runs/2026-01-31/model"
    shutil.copytree(world.folder, wanted)
    for name in ("2026-01-30", ".2026-02-01.77.tmp"):
        shutil.copytree(world.folder, tmp_path / "runs" / name / "model")
    later = (wanted / "model.json").stat().st_mtime + 60
    os.utime(wanted / "model.json", (later, later))
    os.utime(tmp_path / "runs/.2026-02-01.77.tmp/model/model.json", (later + 60, later + 60))
    assert newest_model() == wanted


def test_tampered_model_is_refused(scored: Score, world: World, two: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(world.folder, tmp_path / "m"))
    manifest = folder / "model.json"
    manifest.write_text(manifest.read_text().replace("bankrupt", "healthier"))
    refused(scored(two, model=folder), "changed since it was saved")


def test_model_of_other_columns_is_refused(scored: Score, two: Path, tmp_path: Path) -> None:
    frame = made_up(20).rename(columns={f"r{i}": f"Attr{i + 1}" for i in range(6)})
    result = run(panel_from_frame(frame), make_plan("paper", ("lr",), ("all",), "paper", seed=0))
    save(tmp_path / "m", result, {})
    refused(scored(two, model=tmp_path / "m"), "Attr1, Attr2, Attr3, ...", "X1 to X66")


@pytest.mark.parametrize(
    ("inputs", "level"),
    [
        (("X1", "X66"), "base"),
        (("X1", "sector_key", "year_key"), "base"),
        (("X1_trend2", "X62_vol3"), "trend"),
        (("X1", "altman_z_em"), "all"),
        (("X1_vol3", "company_age", "sector_key", "year_key"), "all"),
    ],
)
def test_as_many_features_are_computed_as_the_model_takes(
    inputs: tuple[str, ...], level: str, world: World
) -> None:
    assert level_of(replace(world.model, inputs=inputs)) == level


def test_features_that_no_level_has_are_refused(world: World) -> None:
    with pytest.raises(InputError, match=r"\(X67, X1_trend9\); name a model"):
        level_of(replace(world.model, inputs=("X1", "X67", "X1_trend9")))


def test_a_long_list_of_gaps_is_cut(world: World, two: Path) -> None:
    company = score_file(two, world.model, Ask("none")).companies[0]
    gaps = tuple(Missing(f"X{i}", "no three years in a row") for i in range(1, 100))
    lines = _gap_lines(replace(company.years[-1], missing=gaps, needs=()))
    assert lines[1].startswith("  no three years in a row: X1, X2, ")
    assert lines[1].endswith(", X62 and 37 more")


def test_few_columns_of_ours_are_enough(
    world: World, two: Path, answer: dict[str, str], tmp_path: Path
) -> None:
    """Ratios are counted of all 62, whatever the model takes of them."""
    frame = world.panel[["company_id", "fiscal_year", "label", "X1", "X12", "X26"]]
    save(
        tmp_path / "m",
        run(panel_from_frame(frame), make_plan("paper", ("lr",), ("all",), "paper")),
        {},
    )
    said = json.loads(in_all_formats(two, load(tmp_path / "m"))["json"])
    mine, whole = (
        [year["ratios"] for company in one["companies"] for year in company["years"]]
        for one in (said, json.loads(answer["json"]))
    )
    assert mine == whole


@pytest.mark.slow
def test_out_that_cannot_be_written_is_one_line(scored: Score, two: Path, tmp_path: Path) -> None:
    for out, words in (
        (two / "answer.json", "cannot be made"),
        (tmp_path, "cannot be written"),
        (tmp_path / ("x" * 300), "cannot be written"),
    ):
        ran = scored(two, "--format", "json", "--out", out)
        assert (ran.code, ran.out) == (2, "")
        assert ran.err.splitlines()[-1].startswith("error: ")
        assert words in ran.err
        assert "Traceback" not in ran.err
    assert not list(tmp_path.parent.glob("*.part"))


FINANCIAL = ("BAJAJFINSV", "INDUSINDBK", "KOTAKBANK")


@pytest.mark.slow
def test_real_workbooks(shared: Path, world: World) -> None:
    files = sorted((shared / "fixtures/screener").glob("*.xlsx"))
    assert len(files) == 13
    with store.in_memory() as connection:
        for path in files:
            import_files(connection, [path], company=path.stem)
        store.run_checks(connection)
        found = score(connection, world.model)
    expected = tuple(f"{name}: a bank, NBFC or insurer" for name in FINANCIAL)
    assert len(found.refused) == 3
    assert all(map(str.startswith, found.refused, expected))
    assert len(found.companies) == 10
    for company in found.companies:
        assert len(company.years) >= 8
        assert all(year.ratios >= FEW_RATIOS and len(year.reasons) == 5 for year in company.years)


# What becomes of each real file: years that are scored, or why there is none.
INTERIM = "interim figures, of no whole fiscal year"
REAL: dict[str, int | str] = {
    "ADANIPORTS.xlsx": 10, "BHARTIARTL.xlsx": 10, "COALINDIA.xlsx": 10, "HCLTECH.xlsx": 10,
    "HINDALCO.xlsx": 10, "POWERGRID.xlsx": 10, "TATACONSUM.xlsx": 10, "TATASTEEL.xlsx": 10,
    "TECHM.xlsx": 10, "WIPRO.xlsx": 10,
    **dict.fromkeys((f"{name}.xlsx" for name in FINANCIAL), "a bank, NBFC or insurer"),
    "IFINDAS_sample.synthetic.xml": INTERIM,
    "INDAS_ASIANPAINT_H1FY24_consolidated.xml": INTERIM,
    "INDAS_COROMANDEL_FY2024_consolidated_annual.retyped.xml": 1,
    "in-bse-fin_legacy_2021.synthetic.xml": "none of the 62 ratios can be computed",
    "in-capmkt_integrated_2025.synthetic.xml": INTERIM,
    "ibbi-nclt-page1.html": "a web page or XML document, but no statement page",
    "corporates-financial-results_quarterly.json.gz": "packed by gzip; unpack it first",
    "ind_nifty500list_2023-01-18.csv": "unknown columns",
    "quote-equity_BEL.json": "expected an array of rows",
}  # fmt: skip


def test_each_real_file_is_scored_or_refused_with_its_reason(shared: Path, world: World) -> None:
    fixtures = shared / "fixtures"
    told: dict[str, int | str] = {}
    documents = {*(path.name for path in fixtures.glob("screener/*"))}
    documents |= {path.name for path in fixtures.glob("xbrl/*")}
    assert documents <= set(REAL)
    for path in fixtures.rglob("*"):
        if path.name not in REAL:
            continue
        try:
            found = score_file(path, world.model, Ask("latest"))
        except InputError as error:
            why = REAL[path.name]
            told[path.name] = why if isinstance(why, str) and why in str(error) else str(error)
        else:
            (company,) = found.companies
            assert all(year.ratios >= FEW_RATIOS for year in company.years)
            told[path.name] = len(company.years)
    assert told == REAL


def test_json_statements_are_read_like_any_table(
    scored: Score, world: World, answer: dict[str, str], tmp_path: Path
) -> None:
    text = world.of("demo-0001", "demo-0002").to_csv(index=False)
    rows: list[dict[str, Any]] = list(csv.DictReader(StringIO(text)))
    rows = [{**row, "value": float(row["value"])} for row in rows]
    for name, held in (("rows", rows), ("wrapped", {"statements": rows})):
        path = tmp_path / f"{name}.csv"  # told by its content
        path.write_text(json.dumps(held))
        assert scored(path, "--format", "csv").out == answer["csv"] + "\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[{"company_id": NaN}]', "NaN is not a number"),
        ('[{"a": 1, "a": 2}]', "a row has a key twice"),
        ('[{"company_id": {"x": 1}}]', "row 1, 'company_id': expected a value, got a nested one"),
        ("[1]", "row 1: expected an object, got int"),
        ("[" * 100_000, "not readable as JSON"),
        ('{"a": [], "b": []}', "expected an array of rows"),
        ("[]", "expected rows below the header, got none"),
        ('[{"company_id": "a", "fiscal_year_end": "2019-03-31", "item": "cash", "value": "x"}]',
         "row 1, column value: expected a finite number, got 'x'"),
    ],
)  # fmt: skip
def test_bad_json_is_one_line(text: str, words: str, scored: Score, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(text)
    refused(scored(path), "s.json", words)


def test_a_folder_is_scored_whatever_else_lies_there(
    scored: Score, world: World, tmp_path: Path, answer: dict[str, str]
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    world.of("demo-0001").to_csv(folder / "a.csv", index=False)
    world.of("demo-0002").to_parquet(folder / "b.bin")
    workbook(folder / "c.dat", MILLS)
    (folder / "d.csv").write_text("not,a,table\n1,2,3\n")
    (folder / ".hidden").write_text("x")
    ran = scored(folder, "--format", "json")
    assert ran.code == 1
    told = json.loads(ran.out)
    companies = [company["company_id"] for company in told["companies"]]
    assert companies == ["demo-0001", "demo-0002", "example-mills-ltd"]
    assert len(told["refused"]) == 1
    assert "d.csv: unknown columns" in told["refused"][0]
    wanted = json.loads(answer["json"])["companies"]
    assert told["companies"][:2] == wanted
    (folder / "a.csv").unlink(), (folder / "b.bin").unlink(), (folder / "c.dat").unlink()
    refused(scored(folder), "no file could be read")
    (folder / "d.csv").unlink()
    refused(scored(folder), "0 files; expected 1 to")


def test_a_desk_is_left_as_it_was(world: World, two: Path, tmp_path: Path) -> None:
    wanted = score_file(two, world.model)
    bad = write_csv(tmp_path / "b.csv", year_rows("b", "2019-03-31", BANK))
    with store.in_memory() as desk:
        before = store.fingerprint(desk)
        for _ in range(2):
            assert score_file(two, world.model, desk=desk) == wanted
            with pytest.raises(InputError, match="not scored"):
                score_file(bad, world.model, desk=desk)
            with pytest.raises(InputError, match="no such file"):
                score_file(tmp_path / "none", world.model, desk=desk)
        assert store.fingerprint(desk) == before


def test_years_explained_are_those_asked_for(world: World, two: Path) -> None:
    for explain, wanted in (("all", {True}), ("latest", {False}), ("none", {False})):
        for company in score_file(two, world.model, Ask(explain)).companies:
            assert {year.explanation is not None for year in company.years[:-1]} == wanted
            assert (company.years[-1].explanation is not None) == (explain != "none")


def test_needs_name_the_items_that_would_fill_most(world: World, tmp_path: Path) -> None:
    (company,) = score_file(few(tmp_path, "Example Ltd"), world.model).companies
    year = company.years[0]
    assert [len(need.features) for need in year.needs] == sorted(
        (len(need.features) for need in year.needs), reverse=True
    )
    found = {need.item: need.features for need in year.needs}
    assert "X1" in found["current_liabilities"]
    gaps = {gap.feature for gap in year.missing if gap.reason.startswith("missing ")}
    assert {feature for need in year.needs for feature in need.features} == gaps


def test_several_models_stand_side_by_side(world: World, two: Path, scored: Score) -> None:
    flipped = Turned(world.model.learner)
    other = replace(world.model, learner=flipped)
    found = score_file(two, world.model, Ask("none", others=(world.model, other)))
    for company in found.companies:
        for year in company.years:
            mine, same, turned = year.opinions
            assert mine.probabilities == same.probabilities == year.probabilities
            assert list(turned.probabilities.values()) == pytest.approx(
                list(year.probabilities.values())[::-1]
            )
            assert year.agreement == (2 + (turned.prediction == year.prediction)) / 3
    strange = replace(world.model, classes=("a", "b", "c"))
    with pytest.raises(InputError, match="of other classes"):
        score_file(two, world.model, Ask(others=(strange,)))


@dataclass(frozen=True)
class Turned:
    """A classifier that takes the classes in the opposite order."""

    learner: Any

    def predict_proba(self, X: Any) -> Any:
        return self.learner.predict_proba(X)[:, ::-1]


def test_workbook_years_are_dated_as_in_the_book(scored: Score, tmp_path: Path) -> None:
    ends = (datetime(2018, 3, 31), datetime(2019, 3, 31))
    ran = scored(workbook(tmp_path / "m.xlsx", MILLS, ends), "--format", "csv")
    rows = list(csv.DictReader(StringIO(ran.out)))
    assert [row["fiscal_year_end"] for row in rows] == ["2018-03-31", "2019-03-31"]
    assert int(rows[1]["ratios"]) > int(rows[0]["ratios"])
