"""Point in time: what the views say on a day is what was filed, listed or over by that day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby
from pathlib import Path

import duckdb
import pytest
from conftest import Row, loaded, write_csv, year_rows
from histories import Cell, add, fill
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import store
from warehouse.errors import InputError
from warehouse.importers import import_files
from warehouse.store import Vintage, known_on

FIRST, RESTATED = date(2018, 5, 20), date(2019, 8, 14)


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute("SET threads = 1")  # the tables are tiny
        yield connection


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """Two years of a company, whose total assets of 2018 were restated in August 2019."""
    folder = tmp_path_factory.mktemp("history")
    statements = [
        *year_rows("acme", "2018-03-31", {"total_assets": 100, "cash": 10}, filed_at="2018-05-20"),
        *year_rows("acme", "2018-03-31", {"total_assets": 90}, filed_at="2019-08-14"),
        *year_rows("acme", "2019-03-31", {"total_assets": 120}, filed_at="2019-05-10"),
    ]
    events = [
        {"company_id": "acme", "event_type": "petition_only", "event_date": "2019-06-30"},
        {"company_id": "acme", "event_type": "cirp_admission", "event_date": "2019-07-01"},
    ]
    companies = [
        {"company_id": "acme", "company_name": "Acme", "in_nifty500": "2019-06-30;2019-07-01"}
    ]
    macro = [{"year": year, "inflation": year - 2000} for year in (2017, 2018, 2019, 2020)]
    files: dict[str, Sequence[Row]] = {"s": statements, "e": events, "c": companies, "m": macro}
    paths = [write_csv(folder / f"{name}.csv", rows) for name, rows in files.items()]
    with loaded(folder / "w.duckdb", *paths) as connection:
        yield connection


# Day, vintage: total assets of 2018, from when on they are known; the same of 2019, whose row holds
# the total assets of the year before too.
TOLD: list[tuple[date | None, Vintage, list[tuple[float, date, float | None]]]] = [
    (date(2018, 5, 19), "latest", []),
    (FIRST, "latest", [(100, FIRST, None)]),
    (date(2019, 5, 9), "latest", [(100, FIRST, None)]),
    (date(2019, 6, 30), "latest", [(100, FIRST, None), (120, date(2019, 5, 10), 100)]),
    (date(2019, 8, 13), "latest", [(100, FIRST, None), (120, date(2019, 5, 10), 100)]),
    (RESTATED, "latest", [(90, RESTATED, None), (120, RESTATED, 90)]),
    (None, "latest", [(90, RESTATED, None), (120, RESTATED, 90)]),
    (date(2019, 6, 30), "first", [(100, FIRST, None), (120, date(2019, 5, 10), 100)]),
    (RESTATED, "first", [(100, FIRST, None), (120, date(2019, 5, 10), 100)]),
    (None, "first", [(100, FIRST, None), (120, date(2019, 5, 10), 100)]),
]


@pytest.mark.parametrize(("day", "vintage", "told"), TOLD, ids=lambda x: str(x)[:10])
def test_a_restated_year(
    day: date | None,
    vintage: Vintage,
    told: list[tuple[float, date, float | None]],
    history: duckdb.DuckDBPyConnection,
) -> None:
    with known_on(history, day, vintage):
        found = history.execute(
            "SELECT total_assets, available_from, prev_total_assets FROM statements"
            " ORDER BY fiscal_year"
        ).fetchall()
        cash = history.execute("SELECT cash FROM statements WHERE fiscal_year = 2018").fetchall()
    assert found == told
    assert cash == [(10,)] * bool(told)  # a figure that was not restated stays


def hidden(connection: duckdb.DuckDBPyConnection) -> tuple[object, ...]:
    """Event types, lists of the index and macro years that can be seen."""
    row = store.one_row(
        connection,
        "SELECT (SELECT list(event_type ORDER BY event_date) FROM event),"
        " (SELECT list(list_date ORDER BY list_date) FROM member),"
        " (SELECT list(year ORDER BY year) FROM known_macro)",
    )
    assert row is not None
    return row


@pytest.mark.parametrize(
    ("day", "events", "lists", "years"),
    [
        (date(2017, 12, 31), None, None, None),
        (date(2018, 1, 1), None, None, [2017]),
        (date(2019, 6, 29), None, None, [2017, 2018]),
        (date(2019, 6, 30), ["petition_only"], [date(2019, 6, 30)], [2017, 2018]),
        (
            date(2019, 7, 1), ["petition_only", "cirp_admission"],
            [date(2019, 6, 30), date(2019, 7, 1)], [2017, 2018],
        ),
        (
            None, ["petition_only", "cirp_admission"],
            [date(2019, 6, 30), date(2019, 7, 1)], [2017, 2018, 2019, 2020],
        ),
    ],
    ids=lambda x: str(x)[:10],
)  # fmt: skip
def test_events_lists_and_macro_years_after_the_day_are_hidden(
    day: date | None,
    events: object,
    lists: object,
    years: object,
    history: duckdb.DuckDBPyConnection,
) -> None:
    with known_on(history, day):
        assert hidden(history) == (events, lists, years)


# The variables.


def variables(connection: duckdb.DuckDBPyConnection) -> tuple[object, ...] | None:
    return store.one_row(connection, "SELECT getvariable('as_of'), getvariable('vintage')")


def test_the_day_holds_within_the_block_and_not_after_it(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    with known_on(memory, date(2019, 6, 30), "first"):
        assert variables(memory) == (date(2019, 6, 30), "first")
    assert variables(memory) == (None, None)


def test_the_day_does_not_outlive_an_error(memory: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(duckdb.BinderException), known_on(memory, date(2019, 6, 30)):
        memory.execute("SELECT no_such_column FROM statements")
    assert variables(memory) == (None, None)


def test_the_day_does_not_outlive_a_transaction_that_fails_and_the_error_is_told(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    fill(memory, [Cell(1.0)])
    with (
        pytest.raises(duckdb.ConstraintException),
        store.transaction(memory),
        known_on(memory, date(2019, 6, 30)),
    ):
        memory.execute("INSERT INTO company (company_id, snapshot_id) VALUES ('acme', 1)")
    assert variables(memory) == (None, None)


# Figures without a day of filing.


def values(
    connection: duckdb.DuckDBPyConnection, day: date | None, vintage: Vintage = "latest"
) -> list[tuple[object, ...]]:
    with known_on(connection, day, vintage):
        return connection.execute(
            "SELECT total_assets, available_from FROM statements ORDER BY fiscal_year"
        ).fetchall()


def test_undated_figures_count_from_60_days_after_the_year_end(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    fill(memory, [Cell(7.0)])
    known = date(2018, 5, 30)  # 30 days of April and 30 of May
    assert values(memory, date(2018, 5, 29)) == []
    assert values(memory, known) == values(memory, None) == [(7.0, known)]


def test_a_figure_that_was_seen_changed_counts_from_that_day(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    changed = date(2021, 2, 3)
    fill(memory, [Cell(7.0), Cell(8.0, restated_on=changed, snapshot_id=2)])
    before = [(7.0, date(2018, 5, 30))]
    assert values(memory, date(2021, 2, 2)) == before
    assert values(memory, changed) == values(memory, None) == [(8.0, changed)]
    assert values(memory, None, "first") == before


@pytest.mark.parametrize(
    ("columns", "known"),
    [
        ({"available_from": "2018-04-20"}, date(2018, 4, 20)),
        ({"available_from": "2020-01-01"}, date(2020, 1, 1)),
        ({"available_from": "2018-05-30"}, date(2018, 5, 30)),
        ({"available_from": ""}, date(2018, 5, 30)),
        # The day of filing is the better word.
        ({"available_from": "2020-01-01", "filed_at": "2018-05-20"}, date(2018, 5, 20)),
    ],
    ids=str,
)
def test_a_users_file_may_say_from_when_on_a_figure_is_known(
    columns: dict[str, str],
    known: date,
    memory: duckdb.DuckDBPyConnection,
    tmp_path: Path,
) -> None:
    fill(memory, [])
    memory.execute("DELETE FROM snapshot")
    rows = year_rows("acme", "2018-03-31", {"total_assets": 7}, **columns)
    import_files(memory, [write_csv(tmp_path / "s.csv", rows)])
    assert values(memory, known - timedelta(1)) == []
    assert values(memory, known) == [(7, known)]


def test_no_figure_is_known_before_its_year_ends(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    rows = year_rows("acme", "2018-03-31", {"cash": 7}, available_from="2018-03-30")
    path = write_csv(tmp_path / "s.csv", rows)
    with pytest.raises(InputError, match="row 2, column available_from: 2018-03-30 is before"):
        import_files(memory, [path])


def test_a_figure_that_was_seen_changed_within_60_days_is_not_the_first(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    fill(memory, [Cell(7.0), Cell(8.0, restated_on=date(2018, 5, 1), snapshot_id=2)])
    assert [value for value, _ in values(memory, None)] == [8.0]
    assert [value for value, _ in values(memory, None, "first")] == [7.0]


def test_a_figure_filed_60_days_after_the_year_end_replaces_an_undated_one(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """Two rows of one cell that are known from the same day are still one cell."""
    fill(memory, [Cell(7.0), Cell(8.0, filed_at=date(2018, 5, 30)), Cell(1.0, item="cash")])
    row = store.one_row(memory, "SELECT total_assets, cash, n_items FROM statements")
    assert row == (8.0, 1.0, 2)


# Random histories. Several companies an example: each query costs as much for one as for twenty.

ITEMS = ("total_assets", "inventories", "cash")
ENDS = tuple(date(year, 3, 31) for year in (2016, 2017, 2018))
AMOUNTS = st.integers(-50, 50).map(float)
AFTER = st.integers(0, 900)  # days after the year end


@st.composite
def dated_cells(draw: st.DrawFn, company: str) -> list[Cell]:
    """A cell's filings, in any order, or a figure that was seen to change."""
    end, item = draw(st.sampled_from(ENDS)), draw(st.sampled_from(ITEMS))
    cell = Cell(0.0, fiscal_year_end=end, item=item, company_id=company)
    days = draw(st.lists(AFTER, min_size=1, max_size=3, unique=True))
    amounts = draw(st.lists(AMOUNTS, min_size=3, max_size=3))
    if draw(st.booleans()):
        return [
            Cell(**{**vars(cell), "value": value, "filed_at": end + timedelta(n)})
            for n, value in zip(days, amounts, strict=False)
        ]
    seen = [None, *(end + timedelta(61 + n) for n in sorted(days)[1:])]
    return [
        Cell(**{**vars(cell), "value": value, "restated_on": day, "snapshot_id": n})
        for n, (day, value) in enumerate(zip(seen, amounts, strict=False), 1)
    ]


def one_history_each(cells: Iterable[list[Cell]]) -> list[Cell]:
    """The cells, with but one history for each company, year end and item."""
    by_key = {(c[0].company_id, c[0].fiscal_year_end, c[0].item): c for c in cells}
    return [cell for history in by_key.values() for cell in history]


@st.composite
def histories(draw: st.DrawFn) -> list[Cell]:
    companies = [f"c{n:02}" for n in range(12)]
    return one_history_each(
        history
        for company in companies
        for history in draw(st.lists(dated_cells(company), min_size=1, max_size=5))
    )


def known_from(cell: Cell) -> date:
    return cell.filed_at or cell.restated_on or cell.fiscal_year_end + timedelta(60)


def reference(cells: list[Cell], day: date | None, vintage: Vintage) -> list[tuple[object, ...]]:
    """The rows of `statements` in plain Python: of each cell the last filing until the day."""

    def key(cell: Cell) -> tuple[str, date]:
        return cell.company_id, cell.fiscal_year_end

    known = [cell for cell in cells if day is None or known_from(cell) <= day]
    years: dict[tuple[str, date], dict[str, Cell]] = {}
    for cell in sorted(known, key=known_from, reverse=vintage == "first"):
        years.setdefault(key(cell), {})[cell.item] = cell  # the last one stays
    rows: list[tuple[object, ...]] = []
    for (company, end), told in sorted(years.items()):
        before = years.get((company, end.replace(year=end.year - 1)), {})
        days = [known_from(cell) for cell in (*told.values(), *before.values())]
        figures = [told[item].value if item in told else None for item in ITEMS]
        earlier = [before[item].value if item in before else None for item in ITEMS[:2]]
        rows.append((company, end, max(days), *figures, *earlier))
    return rows


def told_by_views(
    connection: duckdb.DuckDBPyConnection, day: date | None, vintage: Vintage
) -> list[tuple[object, ...]]:
    with known_on(connection, day, vintage):
        return connection.execute(
            "SELECT company_id, fiscal_year_end, available_from, total_assets, inventories, cash,"
            " prev_total_assets, prev_inventories FROM statements"
            " ORDER BY company_id, fiscal_year_end"
        ).fetchall()


DAYS = st.dates(date(2016, 3, 1), date(2021, 1, 1))


@settings(max_examples=8)
@given(cells=histories(), day=st.none() | DAYS, vintage=st.sampled_from(["latest", "first"]))
def test_a_value_is_that_of_the_last_filing_until_the_day(
    cells: list[Cell],
    day: date | None,
    vintage: Vintage,
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """As of a day a value is that of the last filing on or before it; in the first vintage that of
    the first. The row is available from the latest day of its cells and of the year before's."""
    fill(memory, cells)
    assert told_by_views(memory, day, vintage) == reference(cells, day, vintage)


@settings(max_examples=2)
@given(cells=histories())
def test_the_days_of_filing_themselves(
    cells: list[Cell], memory: duckdb.DuckDBPyConnection
) -> None:
    """A filing counts from its own day on: nothing is known on the day before the first."""
    fill(memory, cells)
    days = sorted({known_from(cell) for cell in cells})
    middle = days[len(days) // 2]
    assert told_by_views(memory, days[0] - timedelta(1), "latest") == []
    assert told_by_views(memory, days[0], "latest") == reference(cells, days[0], "latest") != []
    assert told_by_views(memory, middle, "latest") == reference(cells, middle, "latest")
    assert told_by_views(memory, days[-1], "latest") == told_by_views(memory, None, "latest")


@st.composite
def any_cells(draw: st.DrawFn, first: date, last: date) -> list[Cell]:
    """Filings between two days, of any source and basis; of each key one a day."""
    cells = draw(
        st.lists(
            st.builds(
                Cell,
                value=AMOUNTS,
                filed_at=st.dates(first, last),
                fiscal_year_end=st.sampled_from([*ENDS, date(2016, 12, 31)]),
                item=st.sampled_from([*ITEMS, "sales", "net_profit"]),
                company_id=st.sampled_from(["a", "b", "c", "d", "e"]),
                source=st.sampled_from(["user file", "nse xbrl", "moneycontrol", "bse results"]),
                basis=st.sampled_from(["consolidated", "standalone", "unstated"]),
                months=st.sampled_from([12, 12, 9, 3]),
                note=st.sampled_from(["reported", "reported", "derived", "proxy", "interim"]),
            ),
            min_size=10,
            max_size=60,
        )
    )
    return list(
        {(c.company_id, c.fiscal_year_end, c.item, c.source, c.basis, c.filed_at): c for c in cells}
        .values()
    )  # fmt: skip


@settings(max_examples=4)
@given(
    before=any_cells(date(2018, 4, 1), date(2019, 6, 30)),
    after=any_cells(date(2019, 7, 1), date(2021, 12, 31)),
    vintage=st.sampled_from(["latest", "first"]),
)
def test_what_is_filed_later_does_not_change_what_was_known(
    before: list[Cell],
    after: list[Cell],
    vintage: Vintage,
    memory: duckdb.DuckDBPyConnection,
) -> None:
    """As-of results never change when later filings are added: no choice of a source, a basis or a
    year end rests on what was filed after the day."""
    fill(memory, before)
    with known_on(memory, date(2019, 6, 30), vintage):
        old = memory.execute("FROM statements ORDER BY company_id, fiscal_year").fetchall()
        add(memory, after)
        new = memory.execute("FROM statements ORDER BY company_id, fiscal_year").fetchall()
    assert [key for key, _ in groupby(old, key=lambda row: row[0])] != []
    assert new == old
