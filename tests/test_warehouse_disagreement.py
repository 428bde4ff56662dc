"""What sources tell differently is recorded; what is known to be wrong is corrected."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

import duckdb
import pytest
from conftest import Command, rows_of, write_csv, year_rows
from histories import Cell, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import fusion, store
from warehouse.errors import InputError
from warehouse.fusion import CORRECTION_COLUMNS, FACTORS, corrections_sql
from warehouse.importers import import_files
from warehouse.items import UNITS

FILING, PAGE, API = "nse xbrl", "moneycontrol", "moneycontrol api"
END = date(2018, 3, 31)


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute("SET threads = 1")  # the tables are tiny
        yield connection


def disagreements(
    connection: duckdb.DuckDBPyConnection, cells: Sequence[Cell]
) -> list[dict[str, object]]:
    fill(connection, cells)
    store.run_checks(connection)
    return rows_of(connection, "FROM disagreement ORDER BY ALL")


# What is recorded: value of the filing and of the page, then whether they differ by more than
# rounding and the mistake of scale that explains it.
PAIRS: dict[str, tuple[float, float, bool, float | None]] = {
    "the same": (123.45, 123.45, False, None),
    "whole crores and two decimals": (123.45, 123, False, None),
    "rounded up": (123.55, 124, False, None),
    "a crore, both in whole crores": (123, 124, False, None),
    "two crores": (123, 125, True, None),
    "more than a crore": (123.45, 125, True, None),
    "small, in whole crores": (0.4, 1, False, None),
    "a lakh": (1.12, 1.13, False, None),
    "a lakh that is more in binary": (100.25, 100.26, False, None),
    "three lakh": (1.12, 1.15, True, None),
    "another sign": (123.45, -123.45, True, None),
    "nothing and something": (0, 12.5, True, None),
    "something and nothing": (12.5, 0, True, None),
    "no factor": (123.45, 300.5, True, None),
    "nearly ten": (123.45, 1228.4, True, 10),  # 9.9506: within half a per cent
    "not quite ten": (123.45, 1228.2, True, None),  # 9.949
    **{f"{f:,.0f} times": (123.45, 123.45 * f, True, f) for f in FACTORS},
    **{f"a {f:,.0f}th": (123.45, 123.45 / f, True, f) for f in FACTORS},
}


FILED, REFILED = date(2018, 5, 1), date(2018, 9, 1)
TOLD = Cell(100.5, source=FILING)
OTHER = replace(TOLD, value=200.5, source=PAGE)
# Cells that are not two sources' word on one figure.
QUIET: dict[str, list[Cell]] = {
    "two filings": [replace(TOLD, filed_at=FILED), replace(OTHER, source=FILING, filed_at=REFILED)],
    "another basis": [TOLD, replace(OTHER, basis="standalone")],
    "another year": [TOLD, replace(OTHER, fiscal_year_end=date(2019, 3, 31))],
    "another item": [TOLD, replace(OTHER, item="cash")],
    "interim": [TOLD, replace(OTHER, note="interim", months=6)],
    "empty": [TOLD, replace(OTHER, value=None)],
    # What was filed last is what a source says.
    "restated": [
        replace(OTHER, source=FILING, filed_at=FILED),
        replace(TOLD, filed_at=REFILED),
        replace(TOLD, source=PAGE),
    ],
}
THREE = [Cell(100.5, source=FILING), Cell(110.5, source=PAGE), Cell(120.5, source=API)]
ITEMS = [
    Cell(value + (source == PAGE) * 5, source=source, item=item)
    for source in (FILING, PAGE)
    for item, value in (("cash", 1.5), ("sales", 2.5), ("tax", 3.5))
]
WORKED: dict[str, list[Cell]] = {
    **{name: [Cell(a, source=FILING), Cell(b, source=PAGE)] for name, (a, b, *_) in PAIRS.items()},
    **QUIET,
    "three sources": THREE,
    "three items": ITEMS,
}


@pytest.fixture(scope="module")
def recorded(memory: duckdb.DuckDBPyConnection) -> dict[object, list[dict[str, object]]]:
    """What is recorded of each hand-worked company; companies do not meddle with each other."""
    cells = [replace(c, company_id=name) for name, cells in WORKED.items() for c in cells]
    found: dict[object, list[dict[str, object]]] = {name: [] for name in WORKED}
    for row in disagreements(memory, cells):
        found[row["company_id"]].append(row)
    return found


@pytest.mark.parametrize("name", PAIRS)
def test_two_sources_differ_by_more_than_rounding(
    name: str, recorded: dict[object, list[dict[str, object]]]
) -> None:
    filed, told, differ, factor = PAIRS[name]
    row = {
        "company_id": name, "fiscal_year_end": END, "basis": "unstated", "item": "total_assets",
        "source": FILING, "value": filed, "other_source": PAGE, "other_value": told,
        "difference": pytest.approx(told - filed),
        "relative": pytest.approx((told - filed) / filed) if filed else None, "factor": factor,
    }  # fmt: skip
    assert recorded[name] == ([row] if differ else [])


@pytest.mark.parametrize("name", QUIET)
def test_no_disagreement(name: str, recorded: dict[object, list[dict[str, object]]]) -> None:
    assert recorded[name] == []


def test_three_sources_give_three_pairs(
    recorded: dict[object, list[dict[str, object]]],
) -> None:
    # In each pair first the source that goes before.
    pairs = {(r["source"], r["other_source"], r["difference"]) for r in recorded["three sources"]}
    assert pairs == {(FILING, PAGE, 10), (FILING, API, 20), (PAGE, API, 10)}
    assert len(recorded["three sources"]) == 3


def test_each_item_is_a_pair_of_its_own(
    recorded: dict[object, list[dict[str, object]]],
) -> None:
    found = [(r["item"], r["difference"]) for r in recorded["three items"]]
    assert found == [("cash", 5), ("sales", 5), ("tax", 5)]


def test_factors_are_those_between_units() -> None:
    assert {10, 100, 1e5, 1e7} <= set(FACTORS)
    sizes = [unit.per_crore for unit in UNITS]
    assert set(FACTORS) == {a / b for a in sizes for b in sizes if a > b}


def test_a_check_replaces_what_the_last_one_found(memory: duckdb.DuckDBPyConnection) -> None:
    assert len(disagreements(memory, [TOLD, OTHER])) == 1
    store.run_checks(memory)
    assert store.one_row(memory, "SELECT count(*) FROM disagreement") == (1,)
    assert disagreements(memory, [TOLD]) == []


AMOUNTS = st.lists(st.integers(-(10**13), 10**13), min_size=60, max_size=60)  # rupees


@settings(max_examples=2)
@given(rupees=AMOUNTS)
def test_rounding_is_no_disagreement(rupees: list[int], memory: duckdb.DuckDBPyConnection) -> None:
    """One amount in rupees, in crores with two decimals and in whole crores is one amount."""
    cells = []
    for n, amount in enumerate(rupees):
        exact = Cell(amount / 1e7, company_id=f"c{n}", source=FILING)
        crore = amount / 1e7
        cells += [
            exact,
            replace(exact, value=round(crore, 2), source=PAGE),
            replace(exact, value=float(round(crore)), source=API),
        ]
    assert disagreements(memory, cells) == []


@settings(max_examples=2)
@given(
    told=st.lists(
        st.tuples(st.integers(-(10**6), 10**6), st.integers(2, 10**6), st.booleans()),
        min_size=40,
        max_size=40,
    )
)
def test_more_than_a_crore_is_always_a_disagreement(
    told: list[tuple[int, int, bool]], memory: duckdb.DuckDBPyConnection
) -> None:
    """Two sources that differ by more than rounding are recorded, with the difference and its size
    relative to what the first one says."""
    cells, expected = [], []
    for n, (value, more, less) in enumerate(told):
        other = value - more if less else value + more
        cells += [Cell(float(value), company_id=f"c{n:02}", source=PAGE)]
        cells += [Cell(float(other), company_id=f"c{n:02}", source=API)]
        relative = (other - value) / abs(value) if value else None
        expected.append((f"c{n:02}", other - value, relative))
    found = [
        (r["company_id"], r["difference"], r["relative"]) for r in disagreements(memory, cells)
    ]
    assert found == expected


# Corrections.


def correction(**columns: object) -> dict[str, object]:
    """A row of a corrections file: the page's 1000 should be 100."""
    row: dict[str, object] = {
        "company_id": "acme", "fiscal_year_end": "2018-03-31", "basis": "standalone",
        "item": "total_assets", "source": PAGE, "wrong": "1000", "right": "100",
        "reason": "a made-up misprint", "reference": "page 7", "status": "",
    }  # fmt: skip
    return row | columns


def correct(
    connection: duckdb.DuckDBPyConnection,
    tmp_path: Path,
    cells: Sequence[Cell],
    *corrections: dict[str, object],
) -> None:
    """Fill the warehouse with cells and corrections, each correction from a file of its own."""
    fill(connection, cells)
    for n, row in enumerate(corrections):
        path = write_csv(tmp_path / f"corrections {n}.csv", [row])
        # A file's content is loaded once, and the warehouse is shared by tests.
        connection.execute("DELETE FROM snapshot WHERE kind = 'corrections'")
        import_files(connection, [path])


def assets(connection: duckdb.DuckDBPyConnection) -> list[tuple[object, ...]]:
    """Value and source of the chosen total assets."""
    return connection.execute(
        "SELECT value, source FROM stg_cell WHERE item = 'total_assets' ORDER BY company_id"
    ).fetchall()


WRONG = Cell(1000.0, source=PAGE, basis="standalone")


@pytest.mark.parametrize(
    ("columns", "value"),
    [
        ({}, 100),
        ({"basis": ""}, 100),
        ({"wrong": "1000.004"}, 100),  # as exact as two decimals tell
        ({"wrong": "1e3"}, 100),
        ({"right": "-0.5"}, -0.5),
        ({"wrong": "1000.02"}, 1000),
        ({"wrong": "999"}, 1000),
        ({"basis": "consolidated"}, 1000),
        ({"source": API}, 1000),
        ({"source": FILING}, 1000),
        ({"fiscal_year_end": "2019-03-31"}, 1000),
        ({"item": "total_liabilities"}, 1000),
        ({"item": "cash"}, 1000),
        ({"company_id": "bolt"}, 1000),
        ({"company_id": "ACME"}, 1000),
    ],
    ids=str,
)
def test_a_correction_changes_its_own_figure_only(
    columns: dict[str, object],
    value: float,
    memory: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    correct(memory, tmp_path, [WRONG], correction(**columns))
    assert assets(memory) == [(value, PAGE)]
    # What was reported stays in the table of what was reported.
    assert store.one_row(memory, "SELECT value FROM statement_line") == (1000,)


@pytest.mark.parametrize("later", [100.0, 120.0])
def test_a_correction_holds_while_the_wrong_figure_is_there(
    later: float, memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A later filing with the right or another value is untouched; as of a day before it the
    corrected figure stands."""
    filed = replace(WRONG, filed_at=FILED)
    refiled = replace(WRONG, value=later, filed_at=REFILED)
    correct(memory, tmp_path, [filed, refiled], correction(right="99"))
    assert assets(memory) == [(later, PAGE)]
    with store.known_on(memory, date(2018, 8, 31)):
        assert assets(memory) == [(99, PAGE)]
    with store.known_on(memory, None, "first"):
        assert assets(memory) == [(99, PAGE)]


def test_a_figure_that_was_seen_changed_is_no_longer_corrected(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    changed = replace(WRONG, value=101.0, restated_on=date(2020, 1, 1), snapshot_id=2)
    correct(memory, tmp_path, [WRONG, changed], correction())
    assert assets(memory) == [(101, PAGE)]


def test_without_a_right_figure_the_next_source_is_taken(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    next_one = replace(WRONG, value=105.0, source=API)
    correct(memory, tmp_path, [WRONG, next_one], correction(right=""))
    assert assets(memory) == [(105, API)]
    store.run_checks(memory)
    assert memory.execute("FROM disagreement").fetchall() == []


def test_without_a_right_figure_and_another_source_it_is_missing(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    cash = replace(WRONG, value=7.0, item="cash")
    correct(memory, tmp_path, [WRONG, cash], correction(right=""))
    row = store.one_row(memory, "SELECT total_assets, cash, n_items FROM statements")
    assert row == (None, 7, 1)


def test_corrected_figures_are_compared(memory: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    other = replace(WRONG, value=105.0, source=API)
    correct(memory, tmp_path, [WRONG, other], correction())
    store.run_checks(memory)
    found = memory.execute("SELECT value, other_value FROM disagreement").fetchall()
    assert found == [(100, 105)]


@pytest.mark.parametrize(
    "later",
    [
        correction(right="90"),
        correction(right=""),
        correction(right="90", wrong="1e3"),
        correction(right="90", wrong="1000.004"),
        correction(right="90", reason="another reason"),
    ],
    ids=lambda row: f"{row['wrong']} is {row['right']}, {row['reason']}",
)
def test_of_two_corrections_of_one_figure_the_later_file_counts(
    later: dict[str, object], memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A figure stays one figure, however many corrections name it."""
    correct(memory, tmp_path, [WRONG], correction(), later)
    assert assets(memory) == ([(90, PAGE)] if later["right"] else [])


def test_a_correction_of_one_basis_goes_before_one_of_any(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    correct(memory, tmp_path, [WRONG], correction(), correction(basis="", right="90"))
    assert assets(memory) == [(100, PAGE)]


MISPRINTS = [
    correction(basis="consolidated", right="200"),
    correction(basis="standalone", right="100"),
]


@pytest.mark.parametrize("files", [[MISPRINTS], [MISPRINTS[:1], MISPRINTS[1:]]], ids=["one", "two"])
def test_both_bases_may_have_the_same_misprint(
    files: list[list[dict[str, object]]], memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """A correction of one basis leaves the other alone, in one file or in two."""
    correct(memory, tmp_path, [WRONG, replace(WRONG, basis="consolidated")])
    for n, rows in enumerate(files):
        memory.execute("DELETE FROM snapshot WHERE kind = 'corrections'")
        import_files(memory, [write_csv(tmp_path / f"k{n}.csv", rows)])
    found = memory.execute("SELECT basis, value FROM stg_cell ORDER BY basis").fetchall()
    assert found == [("consolidated", 200), ("standalone", 100)]


# Events.

ADMITTED = {
    "company_id": "acme", "event_type": "cirp_admission", "event_date": "2018-06-04",
    "source": "IBBI",
}  # fmt: skip


def events(
    connection: duckdb.DuckDBPyConnection, tmp_path: Path, *corrections: dict[str, object]
) -> list[tuple[object, ...]]:
    """The events of one admission and one withdrawal, with these corrections."""
    correct(connection, tmp_path, [], *corrections)
    path = write_csv(tmp_path / "e.csv", [ADMITTED, {**ADMITTED, "event_type": "withdrawn"}])
    connection.execute("DELETE FROM snapshot WHERE kind = 'events'")
    import_files(connection, [path])
    return connection.execute(
        "SELECT event_type, event_date, usable FROM event ORDER BY event_type"
    ).fetchall()


MISDATED = correction(
    fiscal_year_end="", basis="", item="cirp_admission", source="IBBI", wrong="2018-06-04",
    right="2018-04-06",
)  # fmt: skip
JUNE = ("cirp_admission", date(2018, 6, 4), True)
WITHDRAWN = ("withdrawn", date(2018, 6, 4), True)


@pytest.mark.parametrize(
    ("columns", "admission"),
    [
        ({}, ("cirp_admission", date(2018, 4, 6), True)),
        ({"right": ""}, ("cirp_admission", None, False)),  # dropped: it labels nothing
        ({"wrong": "2018-06-05"}, JUNE),
        ({"source": "BSE"}, JUNE),
        ({"company_id": "bolt"}, JUNE),
        ({"item": "liquidation"}, JUNE),
    ],
    ids=str,
)
def test_a_date_of_an_event_is_corrected_or_dropped(
    columns: dict[str, object],
    admission: tuple[object, ...],
    memory: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    assert events(memory, tmp_path, MISDATED | columns) == [admission, WITHDRAWN]


def test_as_of_a_day_the_corrected_date_counts(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    events(memory, tmp_path, MISDATED)
    with store.known_on(memory, date(2018, 5, 1)):
        found = memory.execute("SELECT event_type, event_date FROM event").fetchall()
    assert found == [("cirp_admission", date(2018, 4, 6))]


def test_two_corrections_do_not_make_two_events(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """Of two corrections of one event that of the later file counts."""
    found = events(memory, tmp_path, MISDATED, {**MISDATED, "right": "2018-04-07"})
    assert found == [("cirp_admission", date(2018, 4, 7), True), WITHDRAWN]


# A bad file.


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"company_id": ""}, "column company_id: expected a name of 1 to 200 characters"),
        ({"fiscal_year_end": "31.03.2018"}, "column fiscal_year_end: expected a date YYYY-MM-DD"),
        ({"fiscal_year_end": "2203-03-31"}, "column fiscal_year_end: expected a date YYYY-MM-DD"),
        ({"fiscal_year_end": ""}, "column fiscal_year_end: expected a year end for an item"),
        ({"item": "cirp_admission", "wrong": "2018-06-04", "right": ""},
         "column fiscal_year_end: expected a year end for an item"),
        ({"basis": "group"}, "column basis: expected one of consolidated, standalone, unstated"),
        ({"item": "total_asset"}, "did you mean 'total_assets'?"),
        ({"item": ""}, "column item: expected a known name, got an empty cell"),
        ({"source": ""}, "column source: expected a name"),
        ({"wrong": ""}, "column wrong: expected the wrong amount (INR crore) or date, got an"),
        ({"wrong": "1,000"}, "column wrong: expected an amount in INR crore for total_assets"),
        ({"wrong": "nan"}, "column wrong: expected an amount in INR crore for total_assets"),
        ({"right": "inf"}, "column right: expected an amount in INR crore for total_assets"),
        ({"right": "2018-03-31"}, "column right: expected an amount in INR crore"),
        ({"item": "cirp_admission", "fiscal_year_end": "", "wrong": "1000"},
         "column wrong: expected a date YYYY-MM-DD for cirp_admission, got '1000'"),
        ({"item": "cirp_admission", "fiscal_year_end": "", "wrong": "2018-06-04", "right": "100"},
         "column right: expected a date YYYY-MM-DD for cirp_admission, got '100'"),
        ({"reason": ""}, "column reason: expected text of 1 to 2,000 characters"),
        ({"reason": "x" * 2001}, "column reason: expected text of 1 to 2,000 characters"),
        ({}, "repeats row 2"),
    ],
    ids=lambda x: str(x)[:60],
)  # fmt: skip
def test_a_bad_corrections_file_is_one_line_with_row_and_column(
    columns: dict[str, object],
    said: str,
    memory: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    fill(memory, [])
    path = write_csv(tmp_path / "k.csv", [correction(), correction() | columns])
    with pytest.raises(InputError) as caught:
        import_files(memory, [path])
    assert str(caught.value).startswith(f"{path}, row 3")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert store.one_row(memory, "SELECT count(*) FROM user_correction") == (0,)


@pytest.mark.parametrize("column", ["company_id", "source", "reason"])
def test_a_corrections_file_without_a_column(
    column: str, memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    row = {k: v for k, v in correction().items() if k != column}
    path = write_csv(tmp_path / "k.csv", [row])
    with pytest.raises(InputError, match=f"corrections file, but column '{column}' is missing"):
        import_files(memory, [path])


def test_the_command_refuses_a_bad_corrections_file(cli: Command, db: Path, tmp_path: Path) -> None:
    path = write_csv(tmp_path / "k.csv", [correction(wrong="1,000")])
    ran = cli("warehouse", "import", path, "--db", db)
    assert (ran.code, len(ran.err.splitlines())) == (2, 1)
    assert ran.err.startswith(f"error: {path}, row 2, column wrong: expected an amount")
    assert not db.exists()


def test_the_command_tells_disagreements_and_corrections(
    cli: Command, db: Path, tmp_path: Path
) -> None:
    told = [
        *year_rows("acme", "2018-03-31", {"total_assets": 1000}, source=PAGE),
        *year_rows("acme", "2018-03-31", {"total_assets": 10}, source=API),
        *year_rows("bolt", "2018-03-31", {"total_assets": 1000}, source=PAGE),
    ]
    fixes = [correction(company_id="bolt", basis=""), correction(company_id="bolt", wrong=5)]
    files = (write_csv(tmp_path / "s.csv", told), write_csv(tmp_path / "k.csv", fixes))
    assert cli("warehouse", "import", *files, "--db", db).code == 0
    ran = cli("warehouse", "check", "--db", db)
    words = " ".join(ran.out.split())
    assert ran.code == 0
    assert "Sources that differ by more than rounding" in words
    assert "applied" in words
    assert "out of date" in words


# Corrections that come with the program.

NASTY = (
    "plain",
    "it's",
    "''",
    "'",
    "a 'quoted' word",
    'a "quoted" word',
    "', '', '', '') AS t; DROP TABLE statement_line; --",
    "1'); DELETE FROM company; SELECT ('1",
    "x' OR '1'='1",
    "-- no comment",
    "/* no comment */",
    "a, comma",
    "two\nlines",
    "$places",
    "$$",
    "%s {0} ?",
    "\\'",
    "\\x00 \\n",
    "NULL",
    "रुपये ₹",
    " spaces ",
)


@pytest.mark.parametrize("text", NASTY)
@pytest.mark.parametrize("columns", [CORRECTION_COLUMNS, ("reason",), ("company_id", "wrong")])
def test_text_of_the_corrections_stays_text(
    text: str,
    columns: tuple[str, ...],
    memory: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    rows = [{**correction(), **dict.fromkeys(columns, text)}, correction()]
    path = write_csv(tmp_path / "corrections.csv", rows)
    found = rows_of(memory, corrections_sql(path))
    assert found == [{k: str(v) or None for k, v in row.items()} for row in rows]


def test_no_corrections_are_a_query_without_rows(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "corrections.csv"
    path.write_text(",".join(CORRECTION_COLUMNS) + "\n", encoding="utf-8")
    assert rows_of(memory, corrections_sql(path)) == []


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A corrections file in the place of the program's own."""
    path = tmp_path / "corrections.csv"
    monkeypatch.setattr(corrections_sql, "__defaults__", (path,))
    return path


@pytest.mark.parametrize("text", NASTY)
def test_the_views_take_corrections_with_any_text(text: str, shipped: Path) -> None:
    event = correction(
        fiscal_year_end="", basis="", item="withdrawn", source="IBBI", wrong="2018-06-04",
        right="", reason=text,
    )  # fmt: skip
    write_csv(shipped, [correction(reason=text, reference=text), event])
    with duckdb.connect() as connection:
        for script in store.MIGRATIONS:
            connection.execute((Path(store.__file__).parent / script).read_text(encoding="utf-8"))
        # The first view alone: it holds the text, and the others take two seconds.
        views = store.views_sql()
        connection.execute(views[: views.index("-- ranked_cell")])
        found = connection.execute("SELECT reason FROM correction").fetchall()
    assert found == [(text,), (text,)]


def test_corrections_of_the_program_are_applied_as_those_of_users(shipped: Path) -> None:
    write_csv(shipped, [correction(basis="")])
    with store.in_memory() as connection:
        fill(connection, [WRONG])
        assert assets(connection) == [(100, PAGE)]


def test_corrections_that_come_with_the_program_keep_the_rules_of_a_file() -> None:
    """The program's own file could be imported as a user's."""
    if fusion.KNOWN_ERRORS.read_text(encoding="utf-8").count("\n") < 2:
        return  # there are none yet
    with store.in_memory() as connection:
        assert import_files(connection, [fusion.KNOWN_ERRORS])[0].kind == "corrections"
