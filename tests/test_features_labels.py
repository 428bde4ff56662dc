"""Labels worked by hand on made-up companies, and what they must not depend on."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import duckdb
import pytest
from conftest import loaded, write_csv, year_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from features.labels import CLASSES, LabelRule, labels_sql
from warehouse import store
from warehouse.importers import import_files

Labels = dict[tuple[str, int], tuple[str, object, bool]]
B, D, H = CLASSES
CALENDAR, FISCAL = LabelRule(), LabelRule(year="fiscal")
ADMITTED, WITHDRAWN, RESTRUCTURED = "cirp_admission", "withdrawn", "restructuring"


def labels_of(connection: duckdb.DuckDBPyConnection, rule: LabelRule) -> Labels:
    """Labels of the table `years`: (label, label_known_from, post_event)."""
    rows = connection.execute(
        "SELECT company_id, fiscal_year, label, label_known_from, post_event"
        f" FROM ({labels_sql('years', rule)})"
    ).fetchall()
    keys = [row[:2] for row in rows]
    assert len(keys) == len(set(keys)), "one row per company and year"
    return {row[:2]: row[2:] for row in rows}


@dataclass(frozen=True)
class Case:
    """A company with accounts for March 2013 to 2022: its events, and its labels by initials."""

    name: str
    expected: str
    events: tuple[tuple[str, ...], ...] = ()
    member: str = ""
    rule: LabelRule = CALENDAR


NONE, HEALTHY = "..........", "hhhhhhhhhh"
CASES = (
    # t is the calendar year of the admission, or the year to March that contains it.
    Case("July", "dddbbbdddd", ((ADMITTED, "2018-07-20"),)),
    Case("July, fiscal", "ddddbbbddd", ((ADMITTED, "2018-07-20"),), rule=FISCAL),
    Case("February", "dddbbbdddd", ((ADMITTED, "2018-02-10"),)),
    Case("February, fiscal", "dddbbbdddd", ((ADMITTED, "2018-02-10"),), rule=FISCAL),
    Case("last of March, fiscal", "dddbbbdddd", ((ADMITTED, "2018-03-31"),), rule=FISCAL),
    Case("first of April, fiscal", "ddddbbbddd", ((ADMITTED, "2018-04-01"),), rule=FISCAL),
    Case("last of December", "dddbbbdddd", ((ADMITTED, "2018-12-31"),)),
    Case("first of January", "ddddbbbddd", ((ADMITTED, "2019-01-01"),)),
    Case("first of January, fiscal", "ddddbbbddd", ((ADMITTED, "2019-01-01"),), rule=FISCAL),
    Case("after the accounts", "dddddddddb", ((ADMITTED, "2024-06-01"),)),
    Case("long after the accounts", "dddddddddd", ((ADMITTED, "2025-06-01"),)),
    Case("narrow window", "dddddbdddd", ((ADMITTED, "2018-07-20"),), rule=LabelRule(window=0)),
    Case("member", "dddbbbdddd", ((ADMITTED, "2018-07-20"),), "true"),
    # More than one event.
    Case("twice", "ddbbbddddd", ((ADMITTED, "2019-05-15"), (ADMITTED, "2017-04-17"))),
    Case("withdrawn", NONE, ((ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-11-01")), "true"),
    Case("withdrawn at once", NONE, ((ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-07-20"))),
    Case(
        "withdrawn, admitted again", "dddddbbbdd",
        ((ADMITTED, "2016-12-20"), (WITHDRAWN, "2017-03-01"), (ADMITTED, "2020-02-01")),
    ),
    Case(
        "second withdrawn", "ddbbbddddd",
        (
            (ADMITTED, "2017-04-17"), ("liquidation", "2018-04-17"),
            (ADMITTED, "2019-05-15"), (WITHDRAWN, "2019-06-01"),
        ),
    ),
    Case(
        "withdrawn after other events", NONE,
        ((ADMITTED, "2018-07-20"), ("petition_only", "2018-09-01"), (WITHDRAWN, "2018-11-01")),
    ),
    Case(
        "told by two sources, withdrawn", NONE,
        ((ADMITTED, "2018-07-20"), (ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-11-01")),
    ),
    # Events that are kept but never label anything; the company is not healthy either.
    Case("unusable", NONE, ((ADMITTED, "2018-07-20", "false"),), "true"),
    Case("undated", NONE, ((ADMITTED, ""),), "true"),
    Case("petition", NONE, (("petition_only", "2018-07-20"),), "true"),
    Case("liquidation", NONE, (("liquidation", "2018-07-20"),), "true"),
    Case("plan", NONE, (("resolution_approved", "2018-07-20"),), "true"),
    Case("hearsay", NONE, (("insolvency_reported_undated", ""),), "true"),
    Case(
        "unusable withdrawal", "dddbbbdddd",
        ((ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-11-01", "false")),
    ),
    Case(
        "unusable first admission", "ddddbbbddd",
        ((ADMITTED, "2017-07-20", "false"), (ADMITTED, "2019-11-01")),
    ),
    # August 2014 is in the year to March 2015; a restructuring lasts three years.
    Case("restructured", "..ddd.....", ((RESTRUCTURED, "2014-08-01"),), "true"),
    Case("restructured in March", ".ddd......", ((RESTRUCTURED, "2014-03-31"),)),
    Case("restructured twice", ".dddd.....",
         ((RESTRUCTURED, "2014-03-31"), (RESTRUCTURED, "2014-04-01"))),
    Case("restructured for one year", ".d........", ((RESTRUCTURED, "2014-03-31"),),
         rule=LabelRule(restructured_years=1)),
    Case("unusable restructuring", NONE, ((RESTRUCTURED, "2014-08-01", "false"),)),
    Case("restructured, then bankrupt", "dddbbbdddd",
         ((RESTRUCTURED, "2016-05-01"), (ADMITTED, "2018-07-20"))),
    Case("restructured, then withdrawn", "...ddd....",
         ((RESTRUCTURED, "2015-05-01"), (ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-07-30"))),
    # Healthy needs the index and no event.
    Case("calm", HEALTHY, member="true"),
    Case("on two lists", HEALTHY, member="2019-10-08;2023-08-15"),
    Case("not listed", NONE, member="false"),
    Case("not said", NONE),
    Case("left the list", HEALTHY, member="2019-10-08"),
    Case("joined the list", HEALTHY, member="2023-08-15"),
)  # fmt: skip


def years_of(company: str, end: str = "03-31") -> list[dict[str, object]]:
    ends = [f"{year}-{end}" for year in range(2013, 2023)]
    return [row for on in ends for row in year_rows(company, on, {"cash": 1})]


@pytest.fixture(scope="module")
def warehouse(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("labels")
    years = [row for case in CASES for row in years_of(case.name)]
    events = [
        dict(zip(("event_type", "event_date", "usable"), event, strict=False), company_id=c.name)
        for c in CASES
        for event in c.events
    ]
    # Accounts to December: the admission of July 2018 lies within the year 2018.
    years += years_of("December", "12-31")
    events.append({"company_id": "December", "event_type": ADMITTED, "event_date": "2018-07-20"})
    # An event that nobody could match touches no company.
    events.append({"company_id": "", "event_type": ADMITTED, "event_date": "2018-07-20"})
    companies = [
        {"company_id": c.name, "company_name": c.name, "in_nifty500": c.member} for c in CASES
    ]
    files = [
        write_csv(folder / "statements.csv", years),
        write_csv(folder / "events.csv", events),
        write_csv(folder / "companies.csv", companies),
    ]
    with loaded(folder / "w.duckdb", *files) as connection:
        connection.execute("CREATE TEMP TABLE years AS FROM statements")
        yield connection


@pytest.fixture(scope="module")
def labels(warehouse: duckdb.DuckDBPyConnection) -> dict[LabelRule, Labels]:
    return {rule: labels_of(warehouse, rule) for rule in {case.rule for case in CASES}}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_label(case: Case, labels: dict[LabelRule, Labels]) -> None:
    found = labels[case.rule]
    keys = [(case.name, year) for year in range(2013, 2023)]
    assert "".join(found[key][0][0] if key in found else "." for key in keys) == case.expected


def test_known_from_and_post_event(labels: dict[LabelRule, Labels]) -> None:
    found, admitted = labels[CALENDAR], date(2018, 7, 20)
    assert found["July", 2016] == (B, admitted, False)
    assert found["July", 2018] == (B, admitted, False)  # March 2018 is before July 2018
    assert found["July", 2019] == (D, admitted, True)
    assert found["July", 2013] == (D, admitted, False)
    assert found["calm", 2018] == (H, None, False)
    assert found["restructured", 2015] == (D, date(2014, 8, 1), False)
    assert found["twice", 2014] == (D, date(2017, 4, 17), False)
    assert found["withdrawn, admitted again", 2018] == (B, date(2020, 2, 1), False)
    assert found["unusable first admission", 2018] == (B, date(2019, 11, 1), False)


def test_year_that_ends_within_t_after_the_admission(labels: dict[LabelRule, Labels]) -> None:
    found = labels[CALENDAR]
    assert found["December", 2017] == (B, date(2018, 7, 20), False)
    assert found["December", 2018] == (B, date(2018, 7, 20), True)


def test_year_end_on_the_day_of_the_admission_is_not_after_it(
    labels: dict[LabelRule, Labels],
) -> None:
    assert labels[FISCAL]["last of March, fiscal", 2018] == (B, date(2018, 3, 31), False)


@pytest.mark.parametrize(
    ("as_of", "healthy"),
    [
        (None, {"calm", "on two lists", "left the list", "joined the list"}),
        (date(2019, 10, 7), set()),  # no list yet
        (date(2019, 10, 8), {"on two lists", "left the list"}),
        (date(2023, 8, 14), {"on two lists", "left the list"}),
        (date(2023, 9, 29), {"on two lists", "joined the list"}),
    ],
)
def test_healthy_as_of_a_list(
    as_of: date | None, healthy: set[str], warehouse: duckdb.DuckDBPyConnection
) -> None:
    found = labels_of(warehouse, LabelRule(healthy_as_of=as_of))
    assert {company for (company, _), (label, *_) in found.items() if label == H} == healthy


def test_words_say_the_rule() -> None:
    assert "t-2 to t, t the fiscal year" in FISCAL.words()
    assert "as of 2023-09-29" in LabelRule(healthy_as_of=date(2023, 9, 29)).words()


EVENTS = st.lists(
    st.tuples(
        st.sampled_from(["cirp_admission", "cirp_admission", "withdrawn", "restructuring"]),
        st.dates(date(2012, 1, 1), date(2022, 12, 31)),
        st.booleans() | st.just(True),
    ),
    max_size=5,
)


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute(
            "CREATE TEMP TABLE years AS SELECT company_id, y AS fiscal_year,"
            " make_date(y, 3, 31) AS fiscal_year_end"
            " FROM (VALUES ('acme'), ('bolt'), ('cord')) c(company_id),"
            " (SELECT unnest(range(2010, 2025)) AS y)"
        )
        yield connection


def fill(
    connection: duckdb.DuckDBPyConnection,
    events: list[tuple[str, str, date, bool]],
    members: dict[str, bool],
) -> None:
    connection.execute("DELETE FROM insolvency_event; DELETE FROM company")
    for company, kind, on, usable in events:
        connection.execute(
            "INSERT INTO insolvency_event (company_id, event_type, event_date, usable, snapshot_id,"
            " row_number) VALUES (?, ?, ?, ?, 1, 1)",
            [company, kind, on, usable],
        )
    for company, member in members.items():
        connection.execute(
            "INSERT INTO company (company_id, in_nifty500, snapshot_id) VALUES (?, ?, 1)",
            [company, member],
        )


@settings(max_examples=20)
@given(
    events=st.fixed_dictionaries(dict.fromkeys(("acme", "bolt", "cord"), EVENTS)),
    members=st.fixed_dictionaries({c: st.booleans() for c in ("acme", "bolt", "cord")}),
    seed=st.integers(0, 99),
    fiscal=st.booleans(),
)
def test_labels_depend_on_no_other_company_and_no_order(
    events: dict[str, list[tuple[str, date, bool]]],
    members: dict[str, bool],
    seed: int,
    fiscal: bool,
    memory: duckdb.DuckDBPyConnection,
) -> None:
    rule = FISCAL if fiscal else CALENDAR
    flat = [(company, *each) for company, those in events.items() for each in those]
    fill(memory, flat, members)
    together = labels_of(memory, rule)
    random.Random(seed).shuffle(flat)
    fill(memory, flat, members)
    assert labels_of(memory, rule) == together
    fill(memory, [each for each in flat if each[0] == "acme"], {"acme": members["acme"]})
    alone = labels_of(memory, rule)
    assert alone == {key: value for key, value in together.items() if key[0] == "acme"}
    # What a label is: at most three bankrupt years in a row, and healthy never beside another.
    bankrupt = [year for (_, year), (label, *_) in alone.items() if label == B]
    assert max(bankrupt, default=0) - min(bankrupt, default=0) <= 2
    assert len({label == H for label, *_ in alone.values()}) <= 1


def test_a_later_load_of_an_event_goes_before_an_earlier_one(db: Path, tmp_path: Path) -> None:
    event = {"company_id": "acme", "event_type": ADMITTED, "event_date": "2018-07-20"}
    files = [
        write_csv(tmp_path / "statements.csv", year_rows("acme", "2018-03-31", {"cash": 1})),
        write_csv(tmp_path / "companies.csv", [{"company_id": "acme", "company_name": "Acme"}]),
        write_csv(tmp_path / "first.csv", [event]),
    ]
    with loaded(db, *files) as connection:
        query = labels_sql("statements", CALENDAR)
        assert [row[2] for row in connection.execute(query).fetchall()] == [B]
        import_files(connection, [write_csv(tmp_path / "later.csv", [{**event, "usable": "no"}])])
        assert connection.execute(query).fetchall() == []
        kept = connection.execute("SELECT usable FROM insolvency_event ORDER BY 1").fetchall()
        assert kept == [(False,), (True,)]
