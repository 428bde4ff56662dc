"""Watch: what new figures changed, against the same model's answer then and now."""

from __future__ import annotations

import csv
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from io import StringIO
from pathlib import Path

import duckdb
import pandas as pd
import pytest
from conftest import contents, loaded, write_csv, year_rows
from rich.console import Console

from features.dataset import demo_warehouse, panel
from models.artifact import Model, load
from models.drift import reference_of
from models.evaluate import make_plan, run
from models.panel import panel_from_frame
from models.saving import save
from models.scoring import Ask, score
from models.watch import (
    FORMATS,
    SCHEMA,
    NotScored,
    Standing,
    Watch,
    Watched,
    as_csv,
    as_frame,
    as_json,
    as_text,
    headline,
    watch,
)
from warehouse import store
from warehouse.dictionary import EXPORTED
from warehouse.formats import STATEMENTS
from warehouse.importers import import_files

COMPANIES = 40
SINCE = date(2018, 5, 1)  # before some of the simulated companies failed, and after others had
TODAY = date.today()  # as the warehouse's own clock, which is local
TOMORROW = TODAY + timedelta(days=1)
BANK = {
    "total_assets": 1000, "total_debt": 700, "equity_share_capital": 50, "shareholders_funds": 120,
    "fixed_assets": 10, "revenue": 90, "net_profit": 9,
}  # fmt: skip
NASTY = "=1+1 <!channel> @here\nLtd"


@dataclass(frozen=True)
class Demo:
    """The demo universe, a model that has learnt from it, and its statements as files have them."""

    connection: duckdb.DuckDBPyConnection
    model: Model
    statements: pd.DataFrame


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with demo_warehouse(COMPANIES, seed=0) as connection:
        data = panel_from_frame(panel(connection).to_pandas(), source="made up")
        folder = tmp_path_factory.mktemp("watch") / "model"
        save(folder, run(data, make_plan("paper", ("lr",), ("all",), "paper", seed=0)), {})
        model = load(folder)
        kept = reference_of(model.values(data.X))
        model = replace(model, manifest={**model.manifest, "reference": kept})
        sql = {table.name: table.sql for table in EXPORTED}["statements"]
        statements = connection.execute(sql).fetch_df()
        statements["fiscal_year_end"] = statements["fiscal_year_end"].astype(str)
        names = [n for n in statements if n in STATEMENTS.columns and n != "filed_at"]
        yield Demo(connection, model, statements[names])


def _newest(connection: duckdb.DuckDBPyConnection, model: Model) -> dict[str, Standing]:
    """The newest year of every company, by the scoring of a single file or company."""
    found = score(connection, model, ask=Ask("none")).companies
    return {
        one.company_id: Standing(
            one.years[-1].fiscal_year_end,
            one.years[-1].probabilities["bankrupt"],
            one.years[-1].prediction,
            one.years[-1].ratios,
        )
        for one in found
    }


def _close(one: Standing | None, other: Standing | None) -> bool:
    if one is None or other is None:
        return one is other
    return replace(one, risk=0) == replace(other, risk=0) and math.isclose(
        one.risk, other.risk, abs_tol=1e-9
    )


# ---- a warehouse that was filled since: by the day of publication


@pytest.fixture(scope="module")
def filled(demo: Demo) -> Watched:
    return watch(demo.connection, demo.model, SINCE)


def test_before_and_now_are_what_scoring_says_as_known_then_and_now(
    demo: Demo, filled: Watched
) -> None:
    now = _newest(demo.connection, demo.model)
    with store.known_on(demo.connection, SINCE - timedelta(days=1)):
        then = _newest(demo.connection, demo.model)
    published = {
        row[0]
        for row in demo.connection.execute(
            "SELECT company_id FROM ranked_cell GROUP BY ALL HAVING max(available_from) >= ?",
            [SINCE],
        ).fetchall()
    }
    told = {one.company_id: one for one in (*filled.changes, *filled.new)}
    assert filled.known_by == "publication"
    assert set(told) == published & set(now)
    assert len(told) > 20
    for company, one in told.items():
        assert _close(one.now, now[company]), company
        assert _close(one.before, then.get(company)), company
    assert {one.before is None for one in filled.changes} == {False}


def test_those_that_moved_toward_bankrupt_come_first(filled: Watched) -> None:
    ways = [one.way for one in filled.changes]
    steps = [one.step for one in filled.changes]
    assert ways[0] == "toward"
    assert steps == sorted(steps, reverse=True)
    for step in set(steps):
        rises = [one.rise for one in filled.changes if one.step == step]
        assert rises == sorted(rises, reverse=True)
    for one in filled.toward:
        assert one.step > 0 or (one.step == 0 and one.rise > 0)


def test_parts_add_up_to_the_whole(demo: Demo, filled: Watched) -> None:
    parts = watch(demo.connection, demo.model, SINCE, size=15)
    assert rounded(parts) == rounded(filled)


def rounded(found: Watched) -> object:
    """All of it, without the last bits that the number of rows worked out at once decides."""
    return json.loads(as_json(found), parse_float=lambda text: round(float(text), 12))


def test_companies_are_counted_both_ways(demo: Demo, filled: Watched) -> None:
    assert (filled.companies, filled.arrived) == (COMPANIES, COMPANIES)
    assert filled.published == len(filled.changes) + len(filled.new) + len(filled.refused)
    later = watch(demo.connection, demo.model, TOMORROW, known_by="publication")
    assert (later.arrived, later.published, later.changes, later.drift) == (0, 0, (), None)
    assert headline(later).endswith(f"no company of {COMPANIES} has new figures.")
    # Filled today with figures of long ago: nothing is new, and it says why.
    old = headline(watch(demo.connection, demo.model, TODAY))
    assert old.endswith(f"has new figures ({COMPANIES} arrived, published before).")


def test_drift_is_of_the_newest_years_and_says_nothing_of_macro_values(filled: Watched) -> None:
    assert filled.drift is not None
    assert filled.drift.rows == len(filled.changes) + len(filled.new)
    names = {one.feature for one in filled.drift.features}
    assert "X1" in names
    assert not names & {"X63", "X64", "X65", "X66"}
    assert "too few rows to tell" in headline(filled)


def test_a_model_that_keeps_nothing_to_compare_with_tells_no_drift(demo: Demo) -> None:
    bare = {k: v for k, v in demo.model.manifest.items() if k != "reference"}
    found = watch(demo.connection, replace(demo.model, manifest=bare), date(2024, 5, 1))
    assert found.changes
    assert found.drift is None
    assert "Inputs" not in headline(found)


# ---- a warehouse that was there before: by the day of arrival


def _years(demo: Demo, company: str, last: int | None = None) -> pd.DataFrame:
    """Statements of a company, without days of filing, up to a year."""
    rows = demo.statements[demo.statements["company_id"] == company]
    ends = pd.to_datetime(rows["fiscal_year_end"])
    return rows if last is None else rows[ends.dt.year <= last]


def _aged(connection: duckdb.DuckDBPyConnection, days: int) -> None:
    """As if all that is there had been loaded so many days ago."""
    connection.execute(
        "UPDATE snapshot SET loaded_at = loaded_at - to_days(CAST(? AS INT))", [days]
    )


@dataclass(frozen=True)
class Grown:
    """A warehouse of three companies ten days ago, to which others and a year were added today."""

    db: Path
    model: Model
    then: dict[str, Standing]


@pytest.fixture(scope="module")
def grown_once(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Grown:
    """demo-0001 gets its last years; demo-0003 is told again; demo-0004 and a bank are new."""
    folder = tmp_path_factory.mktemp("grown")
    first = pd.concat(
        [_years(demo, "demo-0001", 2019), _years(demo, "demo-0002"), _years(demo, "demo-0003")]
    )
    first.to_csv(folder / "first.csv", index=False)
    bank = pd.DataFrame(year_rows("a-bank", "2019-03-31", BANK))
    more = [_years(demo, "demo-0001"), _years(demo, "demo-0003"), _years(demo, "demo-0004"), bank]
    named = pd.concat(more).assign(company_name=None)
    named.loc[named["company_id"] == "demo-0004", "company_name"] = NASTY
    named.to_csv(folder / "second.csv", index=False)
    db = folder / "w.duckdb"
    with loaded(db, folder / "first.csv") as connection:
        then = _newest(connection, demo.model)
        _aged(connection, 10)
        import_files(connection, [folder / "second.csv"])
    return Grown(db, demo.model, then)


@pytest.fixture
def grown(grown_once: Grown, tmp_path: Path) -> Grown:
    """A copy of it, to change."""
    return replace(grown_once, db=Path(shutil.copy(grown_once.db, tmp_path / "w.duckdb")))


def _watch(grown: Grown, since: date = TODAY) -> Watched:
    with store.connect(grown.db, read_only=True) as connection:
        return watch(connection, grown.model, since)


def test_old_years_that_arrive_today_are_news(grown: Grown) -> None:
    """Their figures have no day of filing, and their years ended long ago."""
    before = contents(grown.db)
    found = _watch(grown)
    assert found.known_by == "arrival"
    told = {one.company_id: one for one in found.changes}
    assert set(told) == {"demo-0001", "demo-0003"}
    with store.connect(grown.db, read_only=True) as connection:
        now = _newest(connection, grown.model)
    for company, one in told.items():
        assert _close(one.before, grown.then[company])
        assert _close(one.now, now[company])
    assert told["demo-0001"].before is not None
    assert told["demo-0001"].before.fiscal_year_end.startswith("2019-")
    assert told["demo-0001"].now.fiscal_year_end > "2020"
    assert told["demo-0003"].way == "same"
    assert contents(grown.db) == before


def test_new_companies_and_those_not_scored_are_groups_of_their_own(grown: Grown) -> None:
    found = _watch(grown)
    assert [(one.company_id, one.way) for one in found.new] == [("demo-0004", "new")]
    assert math.isnan(found.new[0].rise)
    assert [one.company_id for one in found.refused] == ["a-bank"]
    assert found.refused[0].reason.startswith("a bank, NBFC or insurer")
    assert (found.companies, found.arrived) == (5, 4)


def test_what_was_fetched_earlier_is_no_news_when_it_is_loaded_again(grown: Grown) -> None:
    """As after a rebuild: loaded today, fetched ten days ago."""
    with store.connect(grown.db) as connection:
        ago = TODAY - timedelta(days=10)
        connection.execute("UPDATE snapshot SET fetched_at = CAST(? AS TIMESTAMP)", [ago])
    found = _watch(grown)
    assert (found.changes, found.new, found.refused) == ((), (), ())


def test_figures_of_the_future_and_of_interim_periods(grown: Grown, tmp_path: Path) -> None:
    """What has not arrived is unknown, and a quarter is no year: neither is news."""
    assert _watch(grown, TOMORROW).changes == ()
    with store.connect(grown.db) as connection:
        _aged(connection, 10)
        rows = year_rows("demo-0002", "2025-09-30", {"revenue": 5}, months=3)
        import_files(connection, [write_csv(tmp_path / "quarter.csv", rows)])
        connection.execute("UPDATE statement_line SET note = 'interim' WHERE months = 3")
    assert _watch(grown).changes == ()


def test_figures_that_make_no_year_are_named(grown: Grown, tmp_path: Path) -> None:
    """A year of a lone figure comes to nothing only where it is corrected away."""
    with store.connect(grown.db) as connection:
        _aged(connection, 10)
        rows = year_rows("lone", "2020-03-31", {"revenue": 5}, source="x")
        import_files(connection, [write_csv(tmp_path / "lone.csv", rows)])
        source = connection.execute(
            "SELECT source FROM statement_line WHERE company_id = 'lone'"
        ).fetchall()[0][0]
        connection.execute(
            "INSERT INTO user_correction VALUES ('lone', '2020-03-31', NULL, 'revenue', ?, '5',"
            " NULL, 'made up', NULL, NULL, 1, 1)",
            [source],
        )
    found = _watch(grown)
    assert [(one.company_id, one.reason) for one in found.refused] == [
        ("lone", "its figures make no fiscal year with a ratio")
    ]


# ---- what is written


def _made(name: str, before: float | None, now: float, step: int = 0, label: str = "") -> Watch:
    years = ("2024-03-31", "2025-03-31")
    then = None if before is None else Standing(years[0], before, "healthy", 60)
    said = label or ("bankrupt" if step else "healthy")
    return Watch(name.lower(), name, None, 40, then, Standing(years[1], now, said, 60), step)


MADE = Watched(
    date(2026, 11, 1), "arrival", "lr/all", False, "bankrupt", 500, 7, 6,
    changes=(
        _made("Alpha", 0.04, 0.31, 2), _made("Beta", 0.02, 0.08), _made("Gamma", 0.05, 0.05),
        _made("Delta", 0.5, 0.25),
    ),
    new=(_made("Omega", None, 0.4, label="bankrupt"), _made("Zeta", None, 0.01)),
    refused=(NotScored("bank", "Bank", "a bank"),),
    drift=None,
    notices=("macro values missing for 2026",),
)  # fmt: skip


def test_the_first_line_of_a_text_says_it_all() -> None:
    assert as_text(MADE).splitlines() == [
        "Since 2026-11-01: 7 companies with new figures; 2 of 4 that had a score moved toward"
        " bankrupt, 1 into it; 2 new; 1 not scored.",
        "- Alpha (alpha): bankrupt 4% to 31%, healthy to bankrupt; 2024-03-31 to 2025-03-31",
        "- Beta (beta): bankrupt 2% to 8%, healthy; 2024-03-31 to 2025-03-31",
        "- Omega (omega): new, bankrupt 40%, bankrupt; 2025-03-31",
    ]
    assert as_text(MADE, most=1).splitlines()[-1] == "- and 2 more"


def test_few_ratios_and_a_restated_year_are_said() -> None:
    one = MADE.changes[1]
    assert one.before is not None
    thin = replace(one, now=replace(one.now, fiscal_year_end="2024-03-31", ratios=9))
    line = as_text(replace(MADE, changes=(thin,), new=())).splitlines()[1]
    assert line.endswith("; 2024-03-31 restated or completed, of 9 of 62 ratios only")


def test_a_name_can_neither_call_anyone_nor_start_a_formula(grown: Grown) -> None:
    found = _watch(grown)
    (one,) = found.new
    risky = replace(one, now=replace(one.now, prediction="bankrupt"))
    text = as_text(replace(found, new=(risky,)))
    assert "=1+1 _!channel_ _here Ltd (demo-0004)" in text
    assert not set("<>@") & set(text)
    cells = [row["company_name"] for row in csv.DictReader(StringIO(as_csv(found)))]
    assert f"'{NASTY}" in cells
    assert "<!channel>" in json.loads(as_json(found))["new"][0]["company_name"]


def test_json_has_a_version_and_all_that_the_answer_holds() -> None:
    answer = json.loads(as_json(MADE))
    assert answer["schema"] == SCHEMA == "insolvency-radar/watch/1"
    assert set(answer) == {
        *("schema", "headline", "since", "known_by", "model", "simulated", "risk_class"),
        *("companies", "arrived", "published", "changes", "new", "refused", "drift", "notices"),
    }
    assert (answer["since"], answer["headline"]) == ("2026-11-01", headline(MADE))
    first = answer["changes"][0]
    assert (first["way"], first["rise"]) == ("toward", pytest.approx(0.27))
    assert first["before"] == {
        "fiscal_year_end": "2024-03-31", "risk": 0.04, "prediction": "healthy", "ratios": 60,
    }  # fmt: skip
    assert answer["new"][0]["rise"] is None
    assert answer["new"][0]["before"] is None


def test_csv_has_a_row_a_company_and_whole_numbers() -> None:
    rows = list(csv.DictReader(StringIO(as_csv(MADE))))
    ways = ["toward", "toward", "same", "away", "new", "new", "not scored"]
    assert [row["way"] for row in rows] == ways
    assert (rows[0]["figures"], rows[0]["ratios_now"], rows[-1]["figures"]) == ("40", "60", "")
    assert rows[-1]["reason"] == "a bank"
    assert {row["model_simulated"] for row in rows} == {"False"}
    empty = replace(MADE, changes=(), new=(), refused=())
    assert list(as_frame(empty).columns) == list(as_frame(MADE).columns)


def _written(found: Watched, form: str) -> str:
    written = FORMATS[form](found)
    if isinstance(written, str):
        return written
    screen = Console(file=StringIO(), width=140, markup=False)
    with screen.capture() as captured:
        screen.print(written)
    return captured.get()


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_says_simulated_and_names_who_moved(filled: Watched, form: str) -> None:
    text = _written(filled, form)
    assert "simulated" in text.lower()
    assert filled.changes[0].company_id in text
    assert "NaN" not in text


def test_table_shows_groups_notices_and_drift(demo: Demo, filled: Watched) -> None:
    text = _written(MADE, "table")
    for said in ("Companies that had a score", "New", "Not scored:", "+0.270", "-0.250"):
        assert said in text
    assert "when they arrived in the warehouse" in text
    assert "macro values missing for 2026" in text
    assert "when they were published" in _written(filled, "table")
    assert filled.drift is not None
    moved = replace(filled.drift.features[0], psi=0.4, verdict="large")
    shifted = replace(filled, drift=replace(filled.drift, features=(moved,), rows=300))
    text = _written(shifted, "table")
    assert "Inputs against training" in text
    assert "0.40" in text
