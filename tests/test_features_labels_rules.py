"""Sentences of the label rule, each held against made-up histories of six companies."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import pairwise

import duckdb
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from features.labels import (
    CLASSES,
    HORIZONS,
    OPTIONS,
    REASONS,
    LabelRule,
    horizons_sql,
    labels_sql,
)
from warehouse import store

B, D, H = CLASSES
# Each company's last month; three end their years in March.
YEAR_ENDS = {
    "acme": "03-31", "bolt": "12-31", "cord": "06-30", "dune": "03-31", "emir": "09-30",
    "fern": "03-31",
}  # fmt: skip
LISTED = {"dune": ("2014-09-30",), "fern": ("2014-09-30", "2018-09-30")}  # of three lists
FLAGGED = ("bolt", "cord", "dune", "emir", "fern")
KINDS = (
    "cirp_admission", "cirp_admission", "cirp_admission", "withdrawn", "restructuring",
    "resolution_approved", "liquidation", "petition_only",
)  # fmt: skip
Event = tuple[str, date, bool]
World = dict[str, list[Event]]
DAYS = st.dates(date(2012, 1, 1), date(2022, 12, 31))
EVENTS = st.lists(st.tuples(st.sampled_from(KINDS), DAYS, st.just(True) | st.booleans()),
                  max_size=6)  # fmt: skip
WORLDS = st.fixed_dictionaries(dict.fromkeys(YEAR_ENDS, EVENTS))
# Every option with every value that it names: one that joins the table is tried too.
RULES = st.fixed_dictionaries({o.name: st.sampled_from(o.values) for o in OPTIONS}).map(
    lambda values: LabelRule(**values)  # type: ignore[arg-type]
)
few = settings(max_examples=7)


@dataclass(frozen=True)
class Label:
    """One labelled row."""

    label: str
    known_from: date | None
    post_event: bool
    reason: str
    rule_met: bool | None
    member_list: date | None


Key = tuple[str, int]
Labels = dict[Key, Label]


def _accounts() -> Iterator[tuple[str, int, date, int | None, int, int]]:
    """Years 2010 to 2024 of each company, the same in every run: a third of them in trouble."""
    dice = random.Random(7)
    for company, end in YEAR_ENDS.items():
        for year in range(2010, 2025):
            worth, ebit, cost = (
                dice.choice([None, -5, 5, 5, 50, 50]),
                *dice.choices([1, 8, 9], k=2),
            )
            if dice.random() > 0.04:  # a gap now and then
                yield company, year, date.fromisoformat(f"{year}-{end}"), worth, ebit, cost


ACCOUNTS = tuple(_accounts())


def ends(company: str) -> dict[int, date]:
    """The year ends of a company's accounts."""
    return {year: end for name, year, end, *_ in ACCOUNTS if name == company}


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        connection.execute("SET threads = 1")
        connection.execute(
            "CREATE TEMP TABLE told (company_id VARCHAR, fiscal_year INTEGER, fiscal_year_end DATE,"
            " shareholders_funds DOUBLE, ebit DOUBLE, finance_costs DOUBLE)"
        )
        connection.executemany("INSERT INTO told VALUES (?, ?, ?, ?, ?, ?)", ACCOUNTS)
        connection.execute(
            "CREATE TEMP TABLE years AS SELECT t.*, t.fiscal_year_end + 60 AS available_from,"
            " p.ebit AS prev_ebit, p.finance_costs AS prev_finance_costs FROM told t"
            " LEFT JOIN told p ON p.company_id = t.company_id AND p.fiscal_year = t.fiscal_year - 1"
        )
        connection.execute("CREATE TEMP TABLE backwards AS FROM years ORDER BY fiscal_year DESC")
        for company in YEAR_ENDS:
            flag = company in FLAGGED
            connection.execute(
                "INSERT INTO company (company_id, in_nifty500, snapshot_id) VALUES (?, ?, 1)",
                [company, flag],
            )
        lists = [(name, day) for name, days in LISTED.items() for day in days]
        for name, day in [*lists, ("nobody", "2021-12-31")]:
            connection.execute("INSERT INTO index_member VALUES (?, 'nifty500', ?, 1)", [name, day])
        yield connection


def fill(connection: duckdb.DuckDBPyConnection, events: list[tuple[str, Event]]) -> None:
    """Make these the only events of the warehouse, in this order."""
    connection.execute("DELETE FROM insolvency_event")
    if events:
        rows = ", ".join(
            f"('{company}', '{kind}', DATE '{day}', {usable}, 1, {number})"
            for number, (company, (kind, day, usable)) in enumerate(events)
        )
        connection.execute(
            "INSERT INTO insolvency_event (company_id, event_type, event_date, usable, snapshot_id,"
            f" row_number) VALUES {rows}"
        )


def flat(world: World) -> list[tuple[str, Event]]:
    return [(company, event) for company, events in world.items() for event in events]


def labels_of(
    connection: duckdb.DuckDBPyConnection, rule: LabelRule, source: str = "years"
) -> Labels:
    rows = connection.execute(
        "SELECT company_id, fiscal_year, label, label_known_from, post_event, label_reason,"
        f" rule_met, member_list FROM ({labels_sql(source, rule)})"
    ).fetchall()
    found = {(company, year): Label(*rest) for company, year, *rest in rows}
    assert len(found) == len(rows), "one row per company and year"
    return found


def labelled(connection: duckdb.DuckDBPyConnection, world: World, rule: LabelRule) -> Labels:
    fill(connection, flat(world))
    return labels_of(connection, rule)


def of_class(found: Labels, label: str) -> set[Key]:
    return {key for key, row in found.items() if row.label == label}


@contextmanager
def as_of(connection: duckdb.DuckDBPyConnection, day: date) -> Iterator[None]:
    connection.execute("SET VARIABLE as_of = CAST(? AS DATE)", [day])
    yield
    connection.execute("RESET VARIABLE as_of")


def admitted(day: date) -> list[Event]:
    return [("cirp_admission", day, True)]


def year_of(day: date, rule: LabelRule) -> int:
    return day.year + (rule.year == "fiscal" and day.month >= 4)


@few
@given(days=st.fixed_dictionaries(dict.fromkeys(YEAR_ENDS, DAYS)), rule=RULES)
def test_window(days: dict[str, date], rule: LabelRule, memory: duckdb.DuckDBPyConnection) -> None:
    """Bankrupt: fiscal years t - window to t, t the year of the admission; and no others."""
    found = labelled(memory, {name: admitted(day) for name, day in days.items()}, rule)
    for name, day in days.items():
        t = year_of(day, rule)
        expected = {y for y in ends(name) if t - rule.window <= y <= t}
        assert {year for company, year in of_class(found, B) if company == name} == expected


@few
@given(world=WORLDS, rule=RULES, window=st.integers(0, 2))
def test_larger_window(
    world: World, rule: LabelRule, window: int, memory: duckdb.DuckDBPyConnection
) -> None:
    """A larger window only adds bankrupt years."""
    narrow = labelled(memory, world, replace(rule, window=window))
    wide = labels_of(memory, replace(rule, window=window + 1))
    assert of_class(narrow, B) <= of_class(wide, B)
    assert set(narrow) <= set(wide)


@few
@given(world=WORLDS, rule=RULES)
def test_each_admission(world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection) -> None:
    """The window stands before each admission: that before the first one among them."""
    first = labelled(memory, world, replace(rule, admissions="first"))
    each = labels_of(memory, replace(rule, admissions="each"))
    assert of_class(first, B) <= of_class(each, B)
    assert set(first) == set(each)


@few
@given(days=st.fixed_dictionaries(dict.fromkeys(YEAR_ENDS, DAYS)), later=st.integers(0, 900),
       rule=RULES)  # fmt: skip
def test_withdrawn(
    days: dict[str, date], later: int, rule: LabelRule, memory: duckdb.DuckDBPyConnection
) -> None:
    """A withdrawn admission labels nothing, or its year and the window before it distressed."""
    end = timedelta(days=later)
    world = {n: [*admitted(day), ("withdrawn", day + end, True)] for n, day in days.items()}
    ignored = labelled(memory, world, replace(rule, withdrawn="ignored"))
    assert ignored == {}, "and the company is not healthy either"
    told = labels_of(memory, replace(rule, withdrawn="distressed"))
    assert of_class(told, D) == set(told)
    assert {row.known_from for (name, _), row in told.items() if name == "acme"} <= {
        days["acme"] + end
    }
    admissions = {name: admitted(day) for name, day in days.items()}
    assert set(told) == of_class(labelled(memory, admissions, rule), B)


@few
@given(world=WORLDS, rule=RULES, seed=st.integers(0, 99))
def test_order_and_duplicates(
    world: World, rule: LabelRule, seed: int, memory: duckdb.DuckDBPyConnection
) -> None:
    """An event told twice counts once; a petition labels nothing; no order matters."""
    # Of an event that is told both usable and not, the later load counts: here is none such.
    assume(len({(n, *e[:2]) for n, e in flat(world)}) == len(set(flat(world))))
    once = labelled(memory, world, rule)
    petition = ("petition_only", date(2019, 2, 3), True)
    more = flat(world) + flat(world)
    more += [(name, petition) for name, events in world.items() if events]
    random.Random(seed).shuffle(more)
    fill(memory, more)
    assert labels_of(memory, rule, "backwards") == once


@few
@given(world=WORLDS, rule=RULES)
def test_healthy(world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection) -> None:
    """Healthy: index members without any recorded event; else only where an option says so."""
    found = labelled(memory, world, rule)
    for (name, _), row in found.items():
        if row.reason == "index member":
            assert name in FLAGGED
            assert world[name] == []
        elif row.label == H:
            assert rule.distress == "rule" or rule.resolution == "recovers"
    plain = labels_of(memory, replace(rule, distress="paper", resolution="distressed"))
    assert {row.reason for row in plain.values() if row.label == H} <= {"index member"}


@few
@given(world=WORLDS, rule=RULES)
def test_list_in_force(world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection) -> None:
    """Years of a member count if the list in force names it; if only flagged, all its years do."""
    quiet = {**world, "fern": [], "emir": []}
    rule = replace(rule, healthy_as_of=None)
    every = labelled(memory, quiet, replace(rule, members="any"))
    some = labels_of(memory, replace(rule, members="year"))
    assert {k: replace(v, member_list=None) for k, v in some.items()}.items() <= every.items()
    assert {key for key in every if key[0] == "emir"} == {key for key in some if key[0] == "emir"}
    # On the lists of September 2014 and 2018, and off that of December 2021.
    fern = {year for name, year in some if name == "fern"}
    assert fern == {year for year in ends("fern") if year <= 2021}


@few
@given(world=WORLDS, rule=RULES)
def test_distress_by_rule(world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection) -> None:
    """Net worth below zero or low cover twice is distressed; who is labelled stays the same."""
    paper = labelled(memory, world, replace(rule, distress="paper"))
    found = labels_of(memory, replace(rule, distress="rule"))
    assert set(found) == set(paper)
    assert of_class(found, B) == of_class(paper, B)
    assert {row.rule_met for row in paper.values()} <= {None}
    for (name, year), row in found.items():
        if row.rule_met:
            assert row.label != H
        elif row.label == D:
            assert row.reason in {r.name for r in REASONS[1:4]}, (name, year)


@few
@given(day=DAYS, plans=st.fixed_dictionaries(dict.fromkeys(YEAR_ENDS, st.integers(0, 2000))),
       rule=RULES)  # fmt: skip
def test_recovers(
    day: date, plans: dict[str, int], rule: LabelRule, memory: duckdb.DuckDBPyConnection
) -> None:
    """The first two fiscal years that end after the plan's date are distressed, later ones not."""
    world = {
        name: [*admitted(day), ("resolution_approved", day + timedelta(days=days), True)]
        for name, days in plans.items()
    }
    found = labelled(memory, world, replace(rule, resolution="recovers", distress="paper"))
    for name, days in plans.items():
        # By the calendar, also where the accounts of a year are missing.
        on = [date.fromisoformat(f"{year}-{YEAR_ENDS[name]}") for year in range(2010, 2032)]
        third = [end for end in on if end > day + timedelta(days=days)][2]
        outside = {k: row for k, row in found.items() if k[0] == name and row.label != B}
        for (_, year), row in outside.items():
            end = ends(name)[year]
            assert (row.label == H) == (end >= third), (name, year)


@few
@given(world=WORLDS, rule=RULES)
def test_until_another_admission(
    world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection
) -> None:
    """After a plan a company recovers until another admission: years that end after it do not."""
    last = date(2020, 1, 15)
    again = {name: [e for e in events if e[1] < last - timedelta(days=91)] + admitted(last)
             for name, events in world.items()}  # fmt: skip
    found = labelled(memory, again, replace(rule, resolution="recovers"))
    after = {key for key in found if ends(key[0])[key[1]] > last}
    assert after
    assert not after & of_class(found, H)


@few
@given(world=WORLDS, rule=RULES, years=st.integers(1, 4))
def test_restructured_years(
    world: World, rule: LabelRule, years: int, memory: duckdb.DuckDBPyConnection
) -> None:
    """A longer restructuring only adds distressed years, and takes no bankrupt one."""
    short = labelled(memory, world, replace(rule, restructured_years=years))
    long = labels_of(memory, replace(rule, restructured_years=years + 1))
    assert of_class(short, D) <= of_class(long, D)
    assert of_class(short, B) == of_class(long, B)


@few
@given(world=WORLDS, rule=RULES)
def test_reasons(world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection) -> None:
    """The reason makes the label; a label is known from its event or accounts, else at once."""
    classes = {reason.name: reason.label for reason in REASONS}
    for (name, year), row in labelled(memory, world, rule).items():
        assert row.label == classes[row.reason]
        assert (row.known_from is None) == (row.reason == "index member")
        happened = {day for _, day, _ in world[name]}
        own = ends(name)[year] + timedelta(days=60)
        assert row.known_from is None or row.known_from in happened | {own}


@few
@given(world=WORLDS, rule=RULES, day=DAYS)
def test_nothing_of_after_as_of(
    world: World, rule: LabelRule, day: date, memory: duckdb.DuckDBPyConnection
) -> None:
    """With as_of set, nothing that happened after that day is used."""
    with as_of(memory, day):
        found, ahead = labelled(memory, world, rule), fails(memory)
        past = {name: [e for e in events if e[1] <= day] for name, events in world.items()}
        assert labelled(memory, past, rule) == found
        assert fails(memory) == ahead


@few
@given(world=WORLDS, rule=RULES, day=DAYS)
def test_a_known_label_stays(
    world: World, rule: LabelRule, day: date, memory: duckdb.DuckDBPyConnection
) -> None:
    """A label that an event made is the same in the data set as of any day from label_known_from.

    A withdrawal of after that day would change it; members are those of the lists of that day.
    """
    kept = {
        name: [e for e in events if e[0] != "withdrawn" or e[1] <= day]
        for name, events in world.items()
    }
    found = labelled(memory, kept, rule)
    with as_of(memory, day):
        then = labels_of(memory, rule)
    for (name, year), row in found.items():
        known = row.known_from is not None and row.known_from <= day
        if known and ends(name)[year] <= day and kept[name]:
            assert then[name, year].label == row.label, (name, year)


Answer = tuple[bool | None, date | None]


def fails(connection: duckdb.DuckDBPyConnection) -> dict[Key, tuple[bool, tuple[Answer, ...]]]:
    """Per row: whether it is admitted already; the answers for each horizon and their dates."""
    columns = ", ".join(f"fails_within_{n}y, fails_within_{n}y_known_from" for n in HORIZONS)
    rows = connection.execute(
        f"SELECT company_id, fiscal_year, already_admitted, {columns}"
        f" FROM ({horizons_sql('years')})"
    ).fetchall()
    return {
        (name, year): (already, tuple(zip(rest[::2], rest[1::2], strict=True)))
        for name, year, already, *rest in rows
    }


@few
@given(world=WORLDS)
def test_horizons(world: World, memory: duckdb.DuckDBPyConnection) -> None:
    """Who fails within a year fails within two; an answer that is there is known from a day."""
    fill(memory, flat(world))
    found = fails(memory)
    assert set(found) == {(name, year) for name in YEAR_ENDS for year in ends(name)}
    last = max((day for events in world.values() for _, day, _ in events), default=date.min)
    for (name, year), (already, asked) in found.items():
        available = ends(name)[year] + timedelta(days=60)
        answers = [answer for answer, _ in asked]
        if already:
            assert answers == [None] * len(HORIZONS)
        for near, far in pairwise(answers):
            assert not near or far
            assert far is not False or near is False
        for answer, known in asked:
            assert (answer is None) == (known is None)
            assert known is None or available < known <= last
            assert not answer or ("cirp_admission", known, True) in world[name]


@few
@given(world=WORLDS, rule=RULES)
def test_horizons_and_labels(
    world: World, rule: LabelRule, memory: duckdb.DuckDBPyConnection
) -> None:
    """Both count the same admissions: who fails within N years has bankrupt years by "each"."""
    found = labelled(memory, world, replace(rule, admissions="each", window=3, year="calendar"))
    for key, (_, asked) in fails(memory).items():
        answer, known = asked[0]
        if answer and known and known.year - 3 <= key[1] <= known.year:
            assert found[key].label == B


@few
@given(world=WORLDS, day=DAYS)
def test_a_known_answer_stays(world: World, day: date, memory: duckdb.DuckDBPyConnection) -> None:
    """A row whose answer is known from a date on or before a day says the same as of that day."""
    fill(memory, flat(world))
    found = fails(memory)
    with as_of(memory, day):
        then = fails(memory)
    for key, (_, asked) in found.items():
        for now, before in zip(asked, then[key][1], strict=True):
            assert now[1] is None or now[1] > day or now == before, key
