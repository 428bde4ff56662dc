"""What a CIN says: age, state and industry, and why one of them is not known."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from features.cin import (
    INDUSTRIES,
    NO_INDUSTRY,
    STATES,
    cin_columns_sql,
    cin_reasons_sql,
    industry_of,
)
from warehouse import store

COLUMNS = ("company_age", "state", "industry")
UNKNOWN = (None, None, None)
STATE_OF = {code: state.name for state in STATES for code in state.codes}
NAMES = {industry.name for industry in INDUSTRIES}
# All divisions of ISIC revision 3.1 (NIC-2004) and revision 4 (NIC-2008) but 99, embassies.
ISIC_3 = {
    1, 2, 5, *range(10, 15), *range(15, 38), 40, 41, 45, 50, 51, 52, 55, *range(60, 65), 65, 66,
    67, *range(70, 75), 75, 80, 85, *range(90, 94), 95, 96, 97,
}  # fmt: skip
ISIC_4 = {
    1, 2, 3, *range(5, 10), *range(10, 34), 35, *range(36, 40), 41, 42, 43, 45, 46, 47,
    *range(49, 54), 55, 56, *range(58, 64), 64, 65, 66, 68, *range(69, 76), *range(77, 83), 84, 85,
    86, 87, 88, *range(90, 94), 94, 95, 96, 97, 98,
}  # fmt: skip


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        yield connection


Said = tuple[object, object, object]


def read(
    connection: duckdb.DuckDBPyConnection, cins: Sequence[str | None], year: int
) -> list[tuple[Said, dict[str, str]]]:
    """What each CIN says in that fiscal year, and the reasons by column for what it does not."""
    rows = [{"company_id": str(n), "fiscal_year": year, "cin": c} for n, c in enumerate(cins)]
    schema = pa.schema([("company_id", "string"), ("fiscal_year", "int64"), ("cin", "string")])
    connection.register("numbered", pa.Table.from_pylist(rows, schema=schema))
    reasons: dict[str, dict[str, str]] = {row["company_id"]: {} for row in rows}
    for row in rows_of(connection, cin_reasons_sql("numbered")):
        reasons[str(row["company_id"])][str(row["code"])] = str(row["reason"])
    columns = cin_columns_sql("cin", "fiscal_year")
    said = rows_of(
        connection, f"SELECT company_id, {columns} FROM numbered ORDER BY company_id::INTEGER"
    )
    return [
        ((row["company_age"], row["state"], row["industry"]), reasons[str(row["company_id"])])
        for row in said
    ]


# Numbers of well-known companies as they print them themselves; what they do and where their
# registered office is, is general knowledge.
@pytest.mark.parametrize(
    ("cin", "expected"),
    [
        ("L17110MH1973PLC019786", (50.0, "Maharashtra", "manufacturing")),  # Reliance, textiles
        ("L40101DL1975GOI007966", (48.0, "Delhi", "electricity, water and waste")),  # NTPC
        ("L65923PN2007PLC130075", (16.0, "Maharashtra", "finance")),  # Bajaj Finserv, Pune
        ("L34300DL1981PLC011375", (42.0, "Delhi", "manufacturing")),  # Maruti
        ("L24230GJ1993PLC019050", (30.0, "Gujarat", "manufacturing")),  # Sun Pharmaceutical
        ("L15140MH1933PLC002030", (90.0, "Maharashtra", "manufacturing")),  # Hindustan Unilever
        ("L74999TZ1984PLC001456", (39.0, "Tamil Nadu", "business services")),  # Titan, Hosur
        ("U74899DL2000GOI107739", (23.0, "Delhi", None)),  # BSNL: a code of no vintage
        ("U64990MH2023PLC399485", (0.0, "Maharashtra", "finance")),  # A. B. Capital Digital
        # Software houses and a web shop of Bengaluru and Delhi.
        ("U72200KA2022PTC158631", (1.0, "Karnataka", "information and communication")),
        ("U62099DL2023PTC420571", (0.0, "Delhi", "information and communication")),
        ("U47411DL2023PTC422329", (0.0, "Delhi", "trade")),
    ],
)
def test_known_companies(
    cin: str, expected: tuple[object, ...], memory: duckdb.DuckDBPyConnection
) -> None:
    ((said, reasons),) = read(memory, [cin], 2023)
    assert said == expected
    assert set(reasons) == {n for n, value in zip(COLUMNS, said, strict=True) if value is None}


@pytest.mark.parametrize(
    ("cin", "said", "reasons"),
    [
        (None, UNKNOWN, dict.fromkeys(COLUMNS, "no CIN")),
        ("", UNKNOWN, dict.fromkeys(COLUMNS, "no CIN")),
        ("  ", UNKNOWN, dict.fromkeys(COLUMNS, "no CIN")),
        ("N/A", UNKNOWN, dict.fromkeys(COLUMNS, "malformed CIN")),
        ("AAB-1234", UNKNOWN, dict.fromkeys(COLUMNS, "malformed CIN")),  # of a partnership
        ("L17110MH1773PLC019786", UNKNOWN, dict.fromkeys(COLUMNS, "malformed CIN")),
        (
            "L17110XX2030PLC019786",
            (None, None, "manufacturing"),
            {"company_age": "incorporated after the year", "state": "unknown state code XX"},
        ),
        ("L99999MH1973PLC019786", (50.0, "Maharashtra", None),
         {"industry": "unknown industry code 99999"}),
        ("L44110MH1973PLC019786", (50.0, "Maharashtra", None),
         {"industry": "unknown industry code 44110"}),
        (" l17110mh1973plc019786 ", (50.0, "Maharashtra", "manufacturing"), {}),
    ],
)  # fmt: skip
def test_what_is_not_known_has_a_reason(
    cin: str | None, said: Said, reasons: dict[str, str], memory: duckdb.DuckDBPyConnection
) -> None:
    assert read(memory, [cin], 2023) == [(said, reasons)]


def test_age_is_the_fiscal_year_less_the_year_of_incorporation(
    memory: duckdb.DuckDBPyConnection,
) -> None:
    ages = [read(memory, ["L17110MH1973PLC019786"], year)[0][0][0] for year in (1972, 1973, 2010)]
    assert ages == [None, 0.0, 37.0]
    (row,) = memory.execute(
        f"SELECT typeof(company_age) FROM (SELECT {cin_columns_sql('cin', 'fiscal_year')}"
        " FROM numbered)"
    ).fetchall()
    assert row == ("DOUBLE",)


def test_vintages() -> None:
    """'A division that exists in one vintage only is read by that vintage; any other …'."""
    assert industry_of(62, before=True) == "transport"  # air, in 2004
    assert industry_of(62, before=False) == "information and communication"
    assert industry_of(72, before=True) == "information and communication"
    assert industry_of(72, before=False) == "business services"  # research, in 2008
    for before in (True, False):
        assert industry_of(34, before) == "manufacturing" == industry_of(24, before)
        assert industry_of(67, before) == "finance"
        assert industry_of(46, before) == "trade"
        assert industry_of(44, before) is None
        assert industry_of(99, before) is None
        assert industry_of(0, before) is None


def test_the_year_decides_between_the_vintages(memory: duckdb.DuckDBPyConnection) -> None:
    said = read(memory, ["U62010KA2022PTC000001", "U62010KA2023PTC000001"], 2024)
    assert [industry for (_, _, industry), _ in said] == [
        "transport",
        "information and communication",
    ]


@pytest.mark.parametrize(("vintage", "divisions"), [("nic_2004", ISIC_3), ("nic_2008", ISIC_4)])
def test_every_division_is_in_one_industry(vintage: str, divisions: set[int]) -> None:
    declared = [code for industry in INDUSTRIES for code in getattr(industry, vintage)]
    assert sorted(declared) == sorted(divisions)


def test_every_state_code_is_of_one_state() -> None:
    codes = [code for state in STATES for code in state.codes]
    assert len(codes) == len(set(codes))
    assert all(len(code) == 2 and code.isalpha() and code.isupper() for code in codes)
    # 28 states and eight union territories.
    assert len({state.name for state in STATES}) == len(STATES) == 36
    assert {"OR", "OD", "UR", "UK", "UT", "CT", "CG", "TG", "TS", "AP"} <= set(codes)


DIGITS = st.integers(0, 9).map(str)
LETTERS = st.sampled_from("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def digits(count: int) -> st.SearchStrategy[str]:
    return st.lists(DIGITS, min_size=count, max_size=count).map("".join)


def letters(count: int) -> st.SearchStrategy[str]:
    return st.lists(LETTERS, min_size=count, max_size=count).map("".join)


PARTS = st.tuples(
    st.sampled_from("LU"),
    digits(5),
    st.sampled_from(sorted(STATE_OF)) | letters(2),
    st.integers(1800, 2099),
    letters(3),
    digits(6),
)


@settings(max_examples=20)
@given(many=st.lists(PARTS, min_size=5, max_size=20), year=st.integers(1990, 2030))
def test_well_formed_numbers_parse(
    many: list[tuple[str, str, str, int, str, str]], year: int, memory: duckdb.DuckDBPyConnection
) -> None:
    """'L or U, five digits, two letters, four digits of the year, three letters, six digits.'"""
    cins = ["".join(map(str, parts)) for parts in many]
    for parts, (said, reasons) in zip(many, read(memory, cins, year), strict=True):
        _, code, state, incorporated, _, _ = parts
        known = int(code[:2]) in ISIC_3 | ISIC_4 and code not in NO_INDUSTRY
        assert said[0] == (float(year - incorporated) if incorporated <= year else None)
        assert said[1] == STATE_OF.get(state)
        assert (said[2] in NAMES) if known else said[2] is None
        assert set(reasons) == {n for n, value in zip(COLUMNS, said, strict=True) if value is None}


def deleted(cin: str, place: int) -> str:
    return cin[:place] + cin[place + 1 :]


def inserted(cin: str, place: int) -> str:
    return cin[:place] + "1" + cin[place:]


def other_kind(cin: str, place: int) -> str:
    """A letter where a digit belongs, or the other way round."""
    return cin[:place] + ("7" if cin[place].isalpha() else "Q") + cin[place + 1 :]


def strange(cin: str, place: int) -> str:
    return cin[:place] + "é०' \n\0"[place % 6] + cin[place + 1 :]


@settings(max_examples=20)
@given(parts=PARTS, places=st.lists(st.integers(0, 20), min_size=5, max_size=10))
def test_mutated_numbers_are_null(
    parts: tuple[object, ...], places: list[int], memory: duckdb.DuckDBPyConnection
) -> None:
    """'Malformed → NULL, never a guess.'"""
    cin = "".join(map(str, parts))
    mutated = [
        mutate(cin, place)
        for place in places
        for mutate in (deleted, inserted, other_kind, strange)
    ] + [cin + cin, "CIN: " + cin]
    malformed = dict.fromkeys(COLUMNS, "malformed CIN")
    assert read(memory, mutated, 2023) == [(UNKNOWN, malformed)] * len(mutated)


@pytest.mark.slow
@settings(max_examples=30)
@given(texts=st.lists(st.text(max_size=25), min_size=5, max_size=20))
def test_any_text_can_be_asked(texts: list[str], memory: duckdb.DuckDBPyConnection) -> None:
    """'Do not crash': every NULL has a reason, whatever stands there."""
    for said, reasons in read(memory, texts, 2023):
        assert set(reasons) == {n for n, value in zip(COLUMNS, said, strict=True) if value is None}


def test_real_numbers_parse(shared: Path, memory: duckdb.DuckDBPyConnection) -> None:
    with (shared / "fixtures/ibbi/export_rows.csv").open(newline="", encoding="utf-8") as file:
        cins = sorted({row["cin"] for row in csv.DictReader(file)} - {"", "N/A"})
    assert len(cins) == 66
    for cin, (said, reasons) in zip(cins, read(memory, cins, 2026), strict=True):
        assert said[0] == 2026 - int(cin[8:12])
        assert said[1] is not None, cin
        assert (said[2] is None) == (cin[1:6] in NO_INDUSTRY), cin
        assert set(reasons) <= {"industry"}
