"""Labels worked by hand on made-up companies, and what they must not depend on."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import pytest
from conftest import loaded, write_csv, year_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from features.labels import (
    CLASSES,
    HORIZONS,
    OPTIONS,
    LabelRule,
    horizon_reasons_sql,
    horizons_sql,
    labels_sql,
)
from reports import timelines
from warehouse import store
from warehouse.errors import InputError
from warehouse.importers import import_files

Labels = dict[tuple[str, int], tuple[str, object, bool]]
B, D, H = CLASSES
CALENDAR, FISCAL = LabelRule(), LabelRule(year="fiscal")
ADMITTED, WITHDRAWN, RESTRUCTURED = "cirp_admission", "withdrawn", "restructuring"
PLAN, LIQUIDATED = "resolution_approved", "liquidation"
EACH, RECOVERS = LabelRule(admissions="each"), LabelRule(resolution="recovers")
TAKEN_BACK, BY_RULE = LabelRule(withdrawn="distressed"), LabelRule(distress="rule")
# Accounts of a year: net worth; interest cover of 3, 1, and a half.
FINE = {"shareholders_funds": 50, "finance_costs": 10, "profit_before_tax": 20}
COVERED, LOSS = {**FINE, "profit_before_tax": 0}, {**FINE, "profit_before_tax": -5}
NEGATIVE, NOTHING_LEFT = {**FINE, "shareholders_funds": -1}, {**FINE, "shareholders_funds": 0}
NO_DEBT = {**LOSS, "finance_costs": 0}
ABSENT: dict[str, int] = {}  # no accounts for the year
Accounts = Mapping[int, Mapping[str, int]]


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
    """A company with accounts for March 2013 to 2022: its events, and its labels by initials.

    Its accounts are fine but for the years in `accounts`.
    """

    name: str
    expected: str
    events: tuple[tuple[str, ...], ...] = ()
    member: str = ""
    rule: LabelRule = CALENDAR
    accounts: Accounts = field(default_factory=dict)


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
    # The window stands before each admission.
    Case("twice, each", "ddbbbbbddd", ((ADMITTED, "2017-04-17"), (ADMITTED, "2019-05-15")),
         rule=EACH),
    Case("twice within 90 days, each", "dbbbdddddd",
         ((ADMITTED, "2016-12-20"), (ADMITTED, "2017-03-01")), rule=EACH),
    Case("second withdrawn, each", "ddbbbddddd",
         ((ADMITTED, "2017-04-17"), (ADMITTED, "2019-05-15"), (WITHDRAWN, "2019-06-01")),
         rule=EACH),
    # A withdrawn admission: its year and the window before it.
    Case("withdrawn, told", "...ddd....", ((ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-11-01")),
         "true", TAKEN_BACK),
    Case("withdrawn, told, fiscal", "....ddd...",
         ((ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-11-01")),
         rule=LabelRule(withdrawn="distressed", year="fiscal")),
    Case("withdrawn, told, narrow", ".....d....",
         ((ADMITTED, "2018-07-20"), (WITHDRAWN, "2018-11-01")),
         rule=LabelRule(withdrawn="distressed", window=0)),
    Case("both withdrawn, told", ".ddd.ddd..",
         ((ADMITTED, "2016-07-20"), (WITHDRAWN, "2016-11-01"),
          (ADMITTED, "2020-07-20"), (WITHDRAWN, "2020-11-01")), rule=TAKEN_BACK),
    # A plan of May 2018: the years to March 2019 and 2020 are distressed, then it has recovered.
    Case("recovers", "dbbbddddhh", ((ADMITTED, "2016-07-20"), (PLAN, "2018-05-10")),
         rule=RECOVERS),
    Case("plan on a year end", "dbbbddddhh", ((ADMITTED, "2016-07-20"), (PLAN, "2018-03-31")),
         rule=RECOVERS),
    Case("plan on the day before", "dbbbdddhhh", ((ADMITTED, "2016-07-20"), (PLAN, "2018-03-30")),
         rule=RECOVERS),
    Case("plan told twice", "dbbbdddhhh",
         ((ADMITTED, "2016-07-20"), (PLAN, "2018-03-30"), (PLAN, "2018-04-20")), rule=RECOVERS),
    Case("unusable plan", "dbbbdddddd", ((ADMITTED, "2016-07-20"), (PLAN, "2018-03-30", "false")),
         rule=RECOVERS),
    Case("plan before the admission", "dddddbbbdd",
         ((PLAN, "2013-05-10"), (ADMITTED, "2020-02-01")), rule=RECOVERS),
    Case("recovers, admitted again", "dbbbdddhhd",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"), (ADMITTED, "2021-06-01")),
         rule=RECOVERS),
    Case("recovers, admitted on a year end", "dbbbdddhhd",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"), (ADMITTED, "2021-03-31")),
         rule=RECOVERS),
    Case("recovers, each", "dbbbdddbbb",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"), (ADMITTED, "2022-06-01")),
         rule=LabelRule(resolution="recovers", admissions="each")),
    Case("recovers, liquidated", "dbbbdddhhd",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"), (LIQUIDATED, "2021-06-01")),
         rule=RECOVERS),
    Case("recovers, admission withdrawn", "dbbbdddhhh",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"),
          (ADMITTED, "2020-06-01"), (WITHDRAWN, "2020-08-01")), rule=RECOVERS),
    Case("recovers, restructured for a year", "dbbbdddhdh",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"), (RESTRUCTURED, "2020-06-01")),
         rule=LabelRule(resolution="recovers", restructured_years=1)),
    Case("recovers, each, plan again", "dbbbbbdddh",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10"),
          (ADMITTED, "2018-06-01"), (PLAN, "2019-05-10")),
         rule=LabelRule(resolution="recovers", admissions="each")),
    # The accounts say whether a year is distressed.
    Case("negative", "hhdhhhhhhh", member="true", rule=BY_RULE, accounts={2015: NEGATIVE}),
    Case("nothing left", HEALTHY, member="true", rule=BY_RULE, accounts={2015: NOTHING_LEFT}),
    Case("one loss", HEALTHY, member="true", rule=BY_RULE, accounts={2015: LOSS}),
    Case("two losses", "hhhdhhhhhh", member="true", rule=BY_RULE,
         accounts={2015: LOSS, 2016: LOSS}),
    Case("just covered", HEALTHY, member="true", rule=BY_RULE,
         accounts={2015: COVERED, 2016: COVERED}),
    Case("covered about a loss", HEALTHY, member="true", rule=BY_RULE,
         accounts={2014: COVERED, 2015: LOSS, 2016: COVERED}),
    Case("losses without debt", HEALTHY, member="true", rule=BY_RULE,
         accounts={2015: NO_DEBT, 2016: LOSS}),
    Case("losses about a gap", "hhh.hdhhhh", member="true", rule=BY_RULE,
         accounts={2015: LOSS, 2016: ABSENT, 2017: LOSS, 2018: LOSS}),
    Case("nothing told", HEALTHY, member="true", rule=BY_RULE, accounts={2015: {"cash": 1}}),
    Case("failing, negative", "hdhbbbdddd", ((ADMITTED, "2018-07-20"),), rule=BY_RULE,
         accounts={2014: NEGATIVE, 2017: NEGATIVE}),
    Case("failing, recovers, negative", "hbbbdddhdh",
         ((ADMITTED, "2016-07-20"), (PLAN, "2017-05-10")), accounts={2021: NEGATIVE},
         rule=LabelRule(distress="rule", resolution="recovers")),
    Case("restructured, negative", "..ddd.....", ((RESTRUCTURED, "2014-08-01"),), "true", BY_RULE,
         {2020: NEGATIVE}),
    Case("petition, negative", NONE, (("petition_only", "2018-07-20"),), "true", BY_RULE,
         {2020: NEGATIVE}),
    Case("withdrawn, told, admitted again, by rule", "hdddhbbbdd",
         ((ADMITTED, "2016-12-20"), (WITHDRAWN, "2017-03-01"), (ADMITTED, "2020-02-01")),
         rule=LabelRule(distress="rule", withdrawn="distressed")),
)  # fmt: skip


def years_of(
    company: str, end: str = "03-31", accounts: Accounts | None = None
) -> list[dict[str, object]]:
    told = {year: (accounts or {}).get(year, FINE) for year in range(2013, 2023)}
    return [row for y, items in told.items() for row in year_rows(company, f"{y}-{end}", items)]


@pytest.fixture(scope="module")
def warehouse(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("labels")
    years = [row for c in CASES for row in years_of(c.name, accounts=c.accounts)]
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
    asked = {case.name for case in CASES if case.rule == CALENDAR}
    assert {c for (c, _), (label, *_) in found.items() if label == H and c in asked} == healthy


def test_words_say_the_rule() -> None:
    assert "t-2 to t, t the fiscal year" in FISCAL.words()
    assert "as of 2023-09-29" in LabelRule(healthy_as_of=date(2023, 9, 29)).words()


def test_words_differ_wherever_two_rules_do() -> None:
    names = [option.name for option in OPTIONS]
    rules = [
        LabelRule(**dict(zip(names, values, strict=True)))  # type: ignore[arg-type]
        for values in product(*(option.values for option in OPTIONS))
    ]
    assert len({rule.words() for rule in rules}) == len(set(rules)) == len(rules) > 500


def test_options_are_the_fields_of_the_rule_with_the_same_defaults() -> None:
    assert {option.name: option.default for option in OPTIONS} == asdict(LabelRule())


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", 4), ("window", -1), ("window", True), ("window", "2"), ("year", "Calendar"),
        ("year", None), ("distress", "law"), ("admissions", "last"), ("withdrawn", "healthy"),
        ("resolution", ""), ("members", "all"), ("restructured_years", 0),
        ("restructured_years", 2.0), ("restructured_years", True),
        ("healthy_as_of", "2023-09-29"), ("healthy_as_of", datetime(2023, 9, 29)),
    ],
)  # fmt: skip
def test_a_value_that_an_option_cannot_have_is_refused(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"label rule: {name}: expected .*, got "):
        LabelRule(**{name: value})  # type: ignore[arg-type]


def known_from(connection: duckdb.DuckDBPyConnection, rule: LabelRule, company: str) -> object:
    """Per year: why it has its label, from when that is known, whether the accounts meet the rule.

    Only years in which that differs from the year before.
    """
    rows = connection.execute(
        "SELECT fiscal_year, label_reason, label_known_from, rule_met"
        f" FROM ({labels_sql('years', rule)}) WHERE company_id = ? ORDER BY 1",
        [company],
    ).fetchall()
    return {y: tuple(t) for (y, *t), (_, *u) in zip(rows, [[0, 0], *rows], strict=False) if t != u}


def test_reasons_and_from_when_they_are_known(warehouse: duckdb.DuckDBPyConnection) -> None:
    admitted = date(2018, 7, 20)
    assert known_from(warehouse, BY_RULE, "failing, negative") == {
        2013: ("before the admission", admitted, False),
        2014: ("net worth below zero", admitted, True),  # in May 2014, of a company not in the data
        2015: ("before the admission", admitted, False),
        2016: ("window of an admission", admitted, False),
        2017: ("window of an admission", admitted, True),
        2018: ("window of an admission", admitted, False),
        2019: ("other year of a failing company", admitted, False),
    }
    assert known_from(warehouse, BY_RULE, "two losses") == {
        2013: ("index member", None, False),  # covered: the year before does not matter
        2016: ("interest cover below one twice", date(2016, 5, 30), True),
        2017: ("index member", None, False),
    }


def test_known_from_of_plans_withdrawals_and_later_admissions(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    admitted, other = date(2016, 7, 20), "other year of a failing company"
    assert known_from(warehouse, RECOVERS, "recovers") == {
        2013: (other, admitted, None),
        2014: ("window of an admission", admitted, None),
        2017: (other, admitted, None),
        2021: ("after a resolution plan", date(2018, 5, 10), None),
    }
    assert known_from(warehouse, TAKEN_BACK, "withdrawn, told") == {
        2016: ("window of a withdrawn admission", date(2018, 11, 1), None)
    }
    assert known_from(warehouse, EACH, "twice, each") == {
        2013: (other, date(2017, 4, 17), None),
        2015: ("window of an admission", date(2017, 4, 17), None),  # of both: the first tells it
        2018: ("window of an admission", date(2019, 5, 15), None),
        2020: (other, date(2017, 4, 17), None),
    }


def test_a_year_that_its_accounts_cannot_judge_can_be_counted(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    assert known_from(warehouse, BY_RULE, "nothing told") == {
        2013: ("index member", None, False),
        2015: ("index member", None, None),
        2016: ("index member", None, False),  # covered: the year before does not matter
    }


@contextmanager
def as_of(connection: duckdb.DuckDBPyConnection, day: date | None) -> Iterator[None]:
    """What was known on this day."""
    connection.execute("SET VARIABLE as_of = CAST(? AS DATE)", [day])
    yield
    connection.execute("RESET VARIABLE as_of")


def test_as_of_a_day_before_its_withdrawal_an_admission_counts(
    warehouse: duckdb.DuckDBPyConnection,
) -> None:
    def initials(day: date) -> str:
        with as_of(warehouse, day):
            found = labels_of(warehouse, CALENDAR)
        return "".join(found.get(("withdrawn", y), ".")[0][0] for y in range(2013, 2023))

    assert initials(date(2018, 7, 19)) == HEALTHY
    assert initials(date(2018, 7, 20)) == "dddbbbdddd"
    assert initials(date(2018, 10, 31)) == "dddbbbdddd"
    assert initials(date(2018, 11, 1)) == NONE


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


# The index has three lists; accounts are available 60 days after March, on 30 May.
LISTS = ("2016-06-30", "2018-05-30", "2020-06-30")
ON_LISTS = {
    "always": ";".join(LISTS),
    "from 2018": ";".join(LISTS[1:]),
    "until 2018": LISTS[0],
    "only 2018": LISTS[1],
    "flagged": "true",
    "never": "false",
    "troubled": ";".join(LISTS),
    "struck off": ";".join(LISTS),  # a later file says that it is no member
}
# The list in force for the years to March 2013 to 2016 is the first there is, though of after them;
# for 2017 it is that list too; for 2018, available on its very day, to 2020 the second; then the
# third.
BY_YEAR = {
    "always": HEALTHY,
    "from 2018": ".....hhhhh",
    "until 2018": "hhhhh.....",
    "only 2018": ".....hhh..",
    "flagged": HEALTHY,
    "never": NONE,
    "troubled": NONE,
    "struck off": HEALTHY,
}


@pytest.fixture(scope="module")
def listed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("members")
    files = [
        write_csv(folder / "s.csv", [row for name in ON_LISTS for row in years_of(name)]),
        write_csv(
            folder / "c.csv",
            [
                {"company_id": name, "company_name": name, "in_nifty500": on}
                for name, on in ON_LISTS.items()
            ],
        ),
        write_csv(
            folder / "e.csv",
            [{"company_id": "troubled", "event_type": "petition_only", "event_date": "2021-01-01"}],
        ),
        write_csv(
            folder / "later.csv",
            [{"company_id": "struck off", "company_name": "struck off", "in_nifty500": "false"}],
        ),
    ]
    with loaded(folder / "w.duckdb", *files) as connection:
        connection.execute("CREATE TEMP TABLE years AS FROM statements")
        yield connection


def initials_of(connection: duckdb.DuckDBPyConnection, rule: LabelRule) -> dict[str, str]:
    found = labels_of(connection, rule)
    return {
        name: "".join(found.get((name, year), ".")[0][0] for year in range(2013, 2023))
        for name in ON_LISTS
    }


def test_members_of_the_list_in_force(listed: duckdb.DuckDBPyConnection) -> None:
    assert initials_of(listed, LabelRule(members="year")) == BY_YEAR


def test_members_of_any_list(listed: duckdb.DuckDBPyConnection) -> None:
    none = dict.fromkeys(("never", "troubled", "struck off"), NONE)
    assert initials_of(listed, LabelRule()) == dict.fromkeys(ON_LISTS, HEALTHY) | none


def test_members_of_a_list_in_the_years_in_which_they_are_on_it(
    listed: duckdb.DuckDBPyConnection,
) -> None:
    rule = LabelRule(members="year", healthy_as_of=date(2019, 1, 1))
    on_it = ("always", "from 2018", "only 2018", "struck off")
    assert initials_of(listed, rule) == dict.fromkeys(ON_LISTS, NONE) | {
        name: BY_YEAR[name] for name in on_it
    }


def test_the_list_of_each_year_is_told_and_years_before_the_first_can_be_counted(
    listed: duckdb.DuckDBPyConnection,
) -> None:
    rows = listed.execute(
        "SELECT company_id, fiscal_year, member_list, member_list > available_from"
        f" FROM ({labels_sql('years', LabelRule(members='year'))})"
        " JOIN years USING (company_id, fiscal_year)"
    ).fetchall()
    found = {row[:2]: row[2:] for row in rows}
    first, second, third = (date.fromisoformat(day) for day in LISTS)
    told = [found["always", year] for year in range(2013, 2023)]
    assert (
        told
        == [(first, True)] * 4 + [(first, False)] + [(second, False)] * 3 + [(third, False)] * 2
    )
    assert {found["flagged", year] for year in range(2013, 2023)} == {(None, None)}


def test_lists_of_after_as_of_make_no_members(listed: duckdb.DuckDBPyConnection) -> None:
    with as_of(listed, date(2017, 1, 1)):
        any_year, by_year = (initials_of(listed, LabelRule(members=m)) for m in ("any", "year"))
    assert {name for name, found in any_year.items() if "h" in found} == {
        "always", "until 2018", "flagged", "troubled",
    }  # fmt: skip
    del by_year["struck off"]
    assert by_year.items() <= any_year.items()  # all years take the only list there was


# Whether a company fails within a year, two, three: accounts available on 30 May 2017.
@dataclass(frozen=True)
class Ahead:
    """Events of a company; answers for 1, 2 and 3 years, and from when they are known."""

    name: str
    events: tuple[tuple[str, ...], ...]
    answers: str
    known_from: tuple[str, str, str] = ("", "", "")
    available: str = "2017-05-30"


ENDS = ("2018-05-30", "2019-05-30", "2020-05-30")
AHEAD = (
    Ahead("nothing", (), "NN?", (*ENDS[:2], "")),
    Ahead("on the day", ((ADMITTED, "2017-05-30"),), "AAA"),
    Ahead("before", ((ADMITTED, "2016-05-30"),), "AAA"),
    Ahead("a day after", ((ADMITTED, "2017-05-31"),), "YYY", ("2017-05-31",) * 3),
    Ahead("on the last day", ((ADMITTED, "2018-05-30"),), "YYY", ("2018-05-30",) * 3),
    Ahead("a day later", ((ADMITTED, "2018-05-31"),), "NYY",
          (ENDS[0], "2018-05-31", "2018-05-31")),
    Ahead("in the third year", ((ADMITTED, "2020-01-01"),), "NNY", (*ENDS[:2], "2020-01-01")),
    Ahead("unusable", ((ADMITTED, "2017-07-01", "false"),), "NN?", (*ENDS[:2], "")),
    Ahead("liquidated only", ((LIQUIDATED, "2017-07-01"),), "NN?", (*ENDS[:2], "")),
    Ahead("withdrawn", ((ADMITTED, "2017-08-01"), (WITHDRAWN, "2017-10-01")), "NN?",
          (*ENDS[:2], "")),
    Ahead("withdrawn after a year", ((ADMITTED, "2017-08-01"), (WITHDRAWN, "2018-10-01")), "NN?",
          ("2018-10-01", ENDS[1], "")),
    Ahead("withdrawn, again", ((ADMITTED, "2017-08-01"), (WITHDRAWN, "2018-10-01"),
          (ADMITTED, "2019-01-01")), "NYY", ("2018-10-01", "2019-01-01", "2019-01-01")),
    Ahead("withdrawn since", ((ADMITTED, "2017-03-01"), (WITHDRAWN, "2018-10-01")), "NN?",
          ("2018-10-01", ENDS[1], "")),
    Ahead("plan since", ((ADMITTED, "2015-01-01"), (PLAN, "2017-05-30")), "NN?", (*ENDS[:2], "")),
    Ahead("all on the day", ((ADMITTED, "2017-05-30"), (PLAN, "2017-05-30")), "NN?",
          (*ENDS[:2], "")),
    Ahead("plan later", ((ADMITTED, "2015-01-01"), (PLAN, "2017-05-31")), "AAA"),
    Ahead("plan and again", ((ADMITTED, "2015-01-01"), (PLAN, "2016-05-31"),
          (ADMITTED, "2019-05-30")), "NYY", (ENDS[0], "2019-05-30", "2019-05-30")),
    Ahead("plan and liquidated", ((ADMITTED, "2015-01-01"), (PLAN, "2016-05-31"),
          (LIQUIDATED, "2017-01-01")), "AAA"),
    Ahead("liquidated, then admitted", ((LIQUIDATED, "2016-05-31"), (ADMITTED, "2019-05-30")),
          "NYY", (ENDS[0], "2019-05-30", "2019-05-30")),
    Ahead("told twice", ((ADMITTED, "2018-05-20"), (ADMITTED, "2018-06-20")), "YYY",
          ("2018-05-20",) * 3),
    Ahead("leap day", ((ADMITTED, "2017-03-01"),), "NYY",
          ("2017-02-28", "2017-03-01", "2017-03-01"), "2016-02-29"),
)  # fmt: skip


def ask(connection: duckdb.DuckDBPyConnection, cases: tuple[Ahead, ...] = AHEAD) -> None:
    """Put the cases, and one event of nobody on 29 May 2020, into an empty warehouse."""
    told = [(c.name, *event) for c in cases for event in c.events]
    events = [(name, kind, on, not usable) for name, kind, on, *usable in told]
    connection.execute("CREATE TEMP TABLE ahead (company_id VARCHAR, available_from DATE,"
                       " fiscal_year INTEGER)")  # fmt: skip
    connection.executemany("INSERT INTO ahead VALUES (?, ?, 2017)",
                           [(c.name, c.available) for c in cases])  # fmt: skip
    connection.executemany(
        "INSERT INTO insolvency_event (company_id, event_type, event_date, usable, snapshot_id,"
        " row_number) VALUES (?, ?, ?, ?, 1, 1)",
        [*events, (None, "petition_only", "2020-05-29", False)],
    )


@pytest.fixture(scope="module")
def forecast() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        ask(connection)
        yield connection


Answers = dict[str, tuple[str, tuple[str, ...]]]


def answers(connection: duckdb.DuckDBPyConnection) -> Answers:
    """Letters per company as in `Ahead`, and the dates from which they are known."""
    columns = ", ".join(f"fails_within_{n}y, fails_within_{n}y_known_from" for n in HORIZONS)
    rows = connection.execute(
        f"SELECT company_id, already_admitted, {columns} FROM ({horizons_sql('ahead')})"
    ).fetchall()
    letters = {True: "Y", False: "N"}
    return {
        name: (
            "".join(letters.get(answer, "A" if already else "?") for answer in found[::2]),
            tuple(str(day or "") for day in found[1::2]),
        )
        for name, already, *found in rows
    }


def test_whether_a_company_fails_within_years(forecast: duckdb.DuckDBPyConnection) -> None:
    assert answers(forecast) == {case.name: (case.answers, case.known_from) for case in AHEAD}


def test_events_are_known_up_to_the_latest_of_any_company_or_as_of(
    forecast: duckdb.DuckDBPyConnection,
) -> None:
    def nothing(day: str) -> str:
        with as_of(forecast, date.fromisoformat(day)):
            return answers(forecast)["nothing"][0]

    assert nothing("2018-05-29") == "???"
    assert nothing("2018-05-30") == "N??"
    assert nothing("2020-05-29") == answers(forecast)["nothing"][0] == "NN?"
    assert nothing("2020-05-30") == "NNN"


def test_as_of_a_day_before_its_withdrawal_an_admission_is_a_failure(
    forecast: duckdb.DuckDBPyConnection,
) -> None:
    with as_of(forecast, date(2018, 9, 30)):
        before = answers(forecast)
    with as_of(forecast, date(2018, 10, 1)):
        after = answers(forecast)
    assert before["withdrawn after a year"] == ("YYY", ("2017-08-01",) * 3)
    assert after["withdrawn after a year"] == ("N??", ("2018-10-01", "", ""))
    assert (before["withdrawn since"][0], after["withdrawn since"][0]) == ("AAA", "N??")


def test_why_an_answer_is_missing_can_be_counted(forecast: duckdb.DuckDBPyConnection) -> None:
    rows = forecast.execute(
        f"SELECT code, reason, count(*) FROM ({horizon_reasons_sql('ahead')}) GROUP BY ALL"
    ).fetchall()
    already = sum(case.answers == "AAA" for case in AHEAD)
    unseen = sum(case.answers[2] == "?" for case in AHEAD)
    assert sorted(rows) == [
        ("fails_within_1y", "already admitted", already),
        ("fails_within_2y", "already admitted", already),
        ("fails_within_3y", "already admitted", already),
        ("fails_within_3y", "not yet observed", unseen),
    ]


# The examples of docs/labels.md, worked by hand: a letter for each year to March of 2012 to 2025.
NOTHING, STEADY = "–" * 14, "H" * 14
ARUNA, BANYAN, DEODAR = "DDDBBBDDDDDDDD", "DDDDDDDBBBDDDD", "––DDD–––––––––"
BY_ITS_ACCOUNTS = ("HHDBBBDDDDDDDD", "HHDDDHDBBBDDDD", "HHHHHHDDDHHHHH", DEODAR)
WORKED = {
    "the paper's rule": (ARUNA, BANYAN, STEADY, DEODAR),
    "window = 0": ("DDDDDBDDDDDDDD", "DDDDDDDDDBDDDD", STEADY, DEODAR),
    "window = 1": ("DDDDBBDDDDDDDD", "DDDDDDDDBBDDDD", STEADY, DEODAR),
    "window = 3": ("DDBBBBDDDDDDDD", "DDDDDDBBBBDDDD", STEADY, DEODAR),
    "year = fiscal": ("DDDDBBBDDDDDDD", "DDDDDDDDBBBDDD", STEADY, DEODAR),
    "admissions = each": ("DDDBBBDDDDBBBD", BANYAN, STEADY, DEODAR),
    "restructured_years = 1": (ARUNA, BANYAN, STEADY, "––D–––––––––––"),
    "distress = rule": BY_ITS_ACCOUNTS,
    "withdrawn = distressed": (ARUNA, BANYAN, STEADY, "––DDDDDD––––––"),
    "resolution = recovers": ("DDDBBBDDDHHHHD", BANYAN, STEADY, DEODAR),
    "healthy_as_of = 2021-12-31": (ARUNA, BANYAN, NOTHING, DEODAR),
    "members = year": (ARUNA, BANYAN, "HHHHHHHHHH––––", DEODAR),
    "admissions = each, resolution = recovers": ("DDDBBBDDDHBBBD", BANYAN, STEADY, DEODAR),
    "distress = rule, resolution = recovers": ("HHDBBBDDDHHHHD", *BY_ITS_ACCOUNTS[1:]),
    "distress = rule, withdrawn = distressed": (
        "HHDBBBDDDDDDDD", "HHDDDDDBBBDDDD", "HHHHHHDDDHHHHH", "––DDDDDD––––––",
    ),
    "distress = rule, members = year": (*BY_ITS_ACCOUNTS[:2], "HHHHHHDDDH––––", DEODAR),
    "fails within 1 year": ("NNNNNYANNNNYAA", "NNNNNNNNNYAAAA", *["NNNNNNNNNNN???"] * 2),
    "fails within 2 years": ("NNNNYYANNNYYAA", "NNNNNNNNYYAAAA", *["NNNNNNNNNN????"] * 2),
    "fails within 3 years": ("NNNYYYANNYYYAA", "NNNNNNNYYYAAAA", *["NNNNNNNNN?????"] * 2),
}  # fmt: skip


@pytest.fixture(scope="module")
def pictures() -> dict[str, str]:
    return timelines.pictures()


def test_the_worked_examples_are_as_worked_by_hand() -> None:
    found = timelines.labelled()
    rows = [(*each.labels, *each.horizons) for each in found]
    assert {
        same[0].name: tuple(row.letters for row in same) for same in zip(*rows, strict=True)
    } == WORKED


def test_every_value_of_every_option_has_an_example_that_differs_from_the_paper() -> None:
    paper = WORKED["the paper's rule"]
    for option in OPTIONS:
        for value in option.values:
            name = f"{option.name} = {value}"
            assert value == option.default or WORKED[name] != paper, name


def test_the_settled_withdrawal_that_the_page_tells_of() -> None:
    with store.in_memory() as connection:
        ask(connection, (Ahead(
            "Deodar Papers", timelines_events("Deodar Papers"), "N", available="2019-05-30",
        ),))  # fmt: skip
        assert answers(connection)["Deodar Papers"][1][0] == "2021-02-14"
    assert "settled not on 2020-05-30, when that year is over, but on 2021-02-14" in " ".join(
        timelines.body().split()
    )


def timelines_events(name: str) -> tuple[tuple[str, str], ...]:
    (example,) = [e for e in timelines.EXAMPLES if e.name == name]
    return tuple((kind, str(day)) for kind, day in example.events)


def test_the_page_says_every_option_and_shows_every_picture(pictures: dict[str, str]) -> None:
    page = timelines.body()
    for option in OPTIONS:
        assert f"- `{option.name}`: " in page
        assert all(f"| `{option.name}` | `{str(v).lower()}` | " in page for v in option.values)
    assert all(f"]({file})" in page for file in pictures)
    assert len(pictures) == len(timelines.EXAMPLES)


def test_pictures_hold_the_letters_of_the_examples(pictures: dict[str, str]) -> None:
    svg = "{http://www.w3.org/2000/svg}"
    for found in timelines.labelled():
        text = pictures[found.example.file]
        root = ElementTree.fromstring(text)
        letters = [e.text or "" for e in root.iter(f"{svg}text") if e.get("class") == "letter"]
        rows = "".join(row.letters for row in (*found.labels, *found.horizons))
        assert "".join(letters).startswith(rows)
        width, height = (float(root.get(side) or 0) for side in ("width", "height"))
        for e in root.iter(f"{svg}text"):
            assert 0 < float(e.get("x") or 0) < width, e.text
            assert 0 < float(e.get("y") or 0) < height, e.text
