"""World Bank series and the register of companies: replicas, the real files, and damaged ones."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from documents import (
    ANYTHING,
    WORDS,
    Site,
    agree,
    case,
    case_id,
    cases,
    damaged,
    fixture,
    only_told_errors,
    snapshot,
)
from hypothesis import given
from hypothesis import strategies as st

from scraping.source import FetchError, ParseError
from scraping.sources import mca_companies, worldbank
from scraping.sources.worldbank import SERIES, parse_csv
from warehouse import store
from warehouse.errors import InputError

MODULES = (worldbank, mca_companies)
BY_NAME = {module.SOURCE.name: module for module in MODULES}
ABOUT = {"indicator": "FR.INR.RINR", "page": "1"}


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_replicas_are_read_as_worked_by_hand(path: Path) -> None:
    document, expected = case(path)
    agree(BY_NAME[path.parent.name].parse(document), expected)


def test_there_are_replicas_of_each_source() -> None:
    assert Counter(path.parent.name for path in cases(*MODULES)) == {
        "worldbank": 1,
        "mca_companies": 2,
    }


@pytest.mark.parametrize("path", cases(*MODULES), ids=case_id)
def test_rows_fit_their_table(path: Path, db: Path) -> None:
    document, _ = case(path)
    module = BY_NAME[path.parent.name]
    with store.connect(db, create=True) as connection:
        for row in module.parse(document).rows:
            assert set(module.SOURCE.expect.unique) <= set(row)
            row["snapshot_id"] = 1
            if module is mca_companies:
                row |= {"row_number": 1, "source": module.SOURCE.name}
            marks = ", ".join("?" for _ in row)
            connection.execute(
                f"INSERT INTO {module.SOURCE.table} ({', '.join(row)}) VALUES ({marks})",
                [*row.values()],
            )


# -- World Bank ------------------------------------------------------------------------------------


def observation(year: int, value: float | None, code: str = "FR.INR.RINR") -> dict[str, Any]:
    return {
        "indicator": {"id": code, "value": "a series"},
        "country": {"id": "IN", "value": "India"},
        "countryiso3code": "IND",
        "date": str(year),
        "value": value,
        "unit": "",
        "obs_status": "",
        "decimal": 1,
    }


def page(rows: list[dict[str, Any]], number: int = 1, pages: int = 1) -> list[Any]:
    head = {"page": number, "pages": pages, "per_page": 500, "total": len(rows), "sourceid": "2"}
    return [head | {"lastupdated": "2026-07-13"}, rows]


ERROR = [
    {"message": [{"id": "120", "key": "Invalid value", "value": "The parameter is not valid"}]}
]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (ERROR, "the site refuses: .*The parameter is not valid"),
        ([{"message": "gone"}], "the site refuses: 'gone'"),
        ([{"page": 0, "pages": 0, "per_page": 0, "total": 0}, None], "expected rows, got"),
        (page([]), "expected rows, got"),
        ([], r"expected \[head, rows\]"),
        ({"message": "x"}, r"expected \[head, rows\]"),
        (page([observation(2020, 1.0)], number=2), "expected page 1 of its pages"),
        (page([observation(2020, 1.0)], pages=1000), "expected page 1 of its pages"),
        ([page([])[0] | {"pages": "1"}, [observation(2020, 1.0)]], "pages: expected a number"),
        ([page([])[0] | {"total": 5}, [observation(2020, 1.0)]], "expected 5 rows, got 1"),
        (page([observation(2020, 1.0) | {"scale": ""}]), r"row 1: .*unknown \['scale'\]"),
        (page([{"date": "2020", "value": 1.0}]), r"row 1: .*missing \['indicator'\]"),
        ([page([])[0] | {"total": 1}, ["x"]], "row 1: expected an object, got 'x'"),
        (page([observation(2020, None)]), "expected values, got none: 1 empty rows"),
        (page([observation(2020, 1.0, "SP.POP.TOTL")]), "got none: expected FR.INR.RINR of IND"),
        ("[NaN]", "expected JSON"),
    ],
)
def test_an_answer_without_the_series_is_refused(body: Any, expected: str) -> None:
    with pytest.raises(ParseError, match=expected):
        worldbank.parse(snapshot(body, ABOUT))


def test_all_pages_of_each_series_are_fetched() -> None:
    def answer(path: str, asked: dict[str, str]) -> object:
        code, number = path.rsplit("/", 1)[-1], int(asked["page"])
        pages = 2 if code == "FR.INR.RINR" else 1
        return page([observation(2019 + number, 1.5, code)], number, pages)

    site = Site(worldbank, answer)
    worldbank.crawl(site)
    paths = [path.rsplit("/", 1)[-1] for path, _ in site.asked]
    assert paths == [
        "FP.CPI.TOTL.ZG",
        "SL.UEM.TOTL.ZS",
        "FR.INR.RINR",
        "FR.INR.RINR",
        "NY.GDP.MKTP.KD.ZG",
    ]
    assert site.asked[3][1] == {"format": "json", "per_page": "500", "page": "2"}
    rows = [row for got in site.got for row in worldbank.parse(got).rows]
    assert [(row["series"], row["year"]) for row in rows] == [
        ("inflation", 2020),
        ("unemployment", 2020),
        ("real_interest", 2020),
        ("real_interest", 2021),
        ("gdp_growth", 2020),
    ]


def test_an_error_stops_the_crawl() -> None:
    with pytest.raises(ParseError, match="the site refuses"):
        worldbank.crawl(Site(worldbank, lambda *_: ERROR))


HEADER = '"Country Name","Country Code","Indicator Name","Indicator Code","2020","2021",\r\n'


def table(*lines: str) -> bytes:
    return "\r\n".join(["﻿" + HEADER.strip(), *lines, ""]).encode()


def test_a_bulk_download_may_begin_with_a_preamble() -> None:
    preamble = (
        '"Data Source","World Development Indicators",\r\n\r\n"Last Updated Date","x",\r\n\r\n'
    )
    india = 'India,IND,"Real interest rate (%)",FR.INR.RINR,"-1.5","",\r\n'
    body = ("﻿" + preamble + HEADER + india).encode()
    assert parse_csv(body, "x.csv").rows == [
        {"series": "real_interest", "year": 2020, "value": -1.5}
    ]


def test_other_countries_and_series_of_a_file_are_left_out() -> None:
    body = table(
        "Aruba,ABW,x,FR.INR.RINR,1,2,",
        "India,IND,x,SP.POP.TOTL,1400000000,1400000000,",
        "India,IND,x,FP.CPI.TOTL.ZG,6.6,5E-1,",
    )
    assert parse_csv(body, "x.csv").rows == [
        {"series": "inflation", "year": 2020, "value": 6.6},
        {"series": "inflation", "year": 2021, "value": 0.5},
    ]


@pytest.mark.parametrize(
    ("line", "number", "reason"),
    [
        ("India,IND,x,FR.INR.RINR,n.a.,2,", 1, "expected a number, got 'n.a.'"),
        ("India,IND,x,FR.INR.RINR,1", 2, "expected a number, got None"),
        ("India,IND,x,FR.INR.RINR,1,2,3", 3, "expected a year, got ''"),
        ("India,IND,x,FR.INR.RINR,1,2000000", 2, "expected a rate in per cent, got 2000000.0"),
    ],
)
def test_a_cell_that_is_not_understood_is_quarantined(line: str, number: int, reason: str) -> None:
    parsed = parse_csv(table(line), "x.csv")
    assert [(bad.row_number, bad.reason) for bad in parsed.bad] == [(number, reason)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"\xff\xfe", "x.csv: expected a UTF-8 table"),
        (b"", "x.csv: expected the header"),
        (b"a,b\n1,2\n", "x.csv: expected the header"),
        (table("India,IND,x,NY.GDP.DEFL.KD.ZG,1,2,"), "expected one of .*'NY.GDP.DEFL.KD.ZG'"),
        (table("Aruba,ABW,x,FR.INR.RINR,1,2,"), "expected one of"),
    ],
)
def test_what_is_no_file_of_a_series_is_refused(body: bytes, expected: str) -> None:
    with pytest.raises(ParseError, match=expected):
        parse_csv(body, "x.csv")


REAL = {
    "API_NY.GDP.MKTP.KD.ZG_DS2_en_csv_v2_5728939.csv": ("NY.GDP.MKTP.KD.ZG", "wb_gdp_growth_pct"),
    "API_FR.INR.RINR_DS2_en_csv_v2_5728810.csv": ("FR.INR.RINR", "wb_real_interest_pct"),
    "FP.CPI.TOTL.ZG.csv": ("FP.CPI.TOTL.ZG", "wb_cpi_inflation_pct"),
}


def india(body: bytes) -> dict[str, str]:
    """Year → cell of India, read independently."""
    reader = csv.DictReader(io.StringIO(body.decode("utf-8-sig")))
    (line,) = (line for line in reader if line["Country Code"] == "IND")
    return {year: cell for year, cell in line.items() if year and year.isdigit()}


@pytest.mark.parametrize(("name", "code", "column"), [(n, *rest) for n, rest in REAL.items()])
def test_real_files_of_series(shared: Path, name: str, code: str, column: str) -> None:
    body = (shared / "fixtures/worldbank" / name).read_bytes()
    parsed = parse_csv(body, name)
    assert parsed.bad == []
    found = {row["year"]: row["value"] for row in parsed.rows}
    cells = india(body)
    assert found == {int(year): float(cell) for year, cell in cells.items() if cell}
    # The interface serves the same figures, newest first and empty years as null.
    served = [
        observation(int(year), float(cell) if cell else None, code)
        for year, cell in sorted(cells.items(), reverse=True)
    ]
    by_json = worldbank.parse(snapshot(page(served), {"indicator": code}))
    assert by_json.bad == []
    assert sorted(by_json.rows, key=str) == sorted(parsed.rows, key=str)
    assert {row["series"] for row in parsed.rows} == {SERIES[code]}
    # And they are those that the paper's years are compared with.
    with (shared / "data/macro_india.csv").open(encoding="utf-8", newline="") as file:
        known = {
            int(row["year"]): float(row[column]) for row in csv.DictReader(file) if row[column]
        }
    assert len(known) >= 22
    assert {year: found[year] for year in known} == pytest.approx(known, abs=1e-9)


def test_a_real_file_of_another_series_is_refused(shared: Path) -> None:
    name = "NY.GDP.DEFL.KD.ZG.csv"
    with pytest.raises(ParseError, match=r"expected one of FP.CPI.TOTL.ZG.*'NY.GDP.DEFL.KD.ZG'"):
        parse_csv((shared / "fixtures/worldbank" / name).read_bytes(), name)


# -- The register of companies ---------------------------------------------------------------------

CIN = "L17110GJ1992PLC999801"


def answer_of(*records: dict[str, Any], total: object = None) -> dict[str, Any]:
    answer = json.loads(fixture("mca_companies", "listed.json"))
    return answer | {"records": list(records), "total": len(records) if total is None else total}


def registered(cin: str = CIN, **more: str) -> dict[str, Any]:
    answer = json.loads(fixture("mca_companies", "listed.json"))
    return answer["records"][0] | {"CIN": cin} | more


def register(monkeypatch: pytest.MonkeyPatch, answer: Any, *numbers: object) -> Site:
    monkeypatch.setenv("OGD_API_KEY", " secret ")
    site = Site(mca_companies, answer, [{"cin": number} for number in numbers])
    mca_companies.crawl(site)
    return site


@pytest.mark.parametrize("key", [None, "", "  "])
def test_without_a_key_the_source_says_how_to_get_one(
    monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    monkeypatch.delenv("OGD_API_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("OGD_API_KEY", key)
    site = Site(mca_companies, lambda *_: None, [{"cin": CIN}])
    with pytest.raises(FetchError, match=r"set OGD_API_KEY \(free, from data.gov.in\)"):
        mca_companies.crawl(site)
    assert site.asked == []


def test_each_company_is_asked_for_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    other = "L17110GJ1992PLC999802"
    site = register(
        monkeypatch,
        lambda _, asked: answer_of(registered(asked["filters[CIN]"])),
        *(CIN, CIN.lower(), "L1711 broken", None, other),
    )
    assert site.asked[0] == (
        "/resource/4dbe5667-7b6b-41d7-82af-211562424d9a",
        {
            "api-key": "secret",
            "format": "json",
            "offset": "0",
            "limit": "10",
            "filters[CIN]": CIN,
        },
    )
    rows = [row for got in site.got for row in mca_companies.parse(got).rows]
    assert [row["cin"] for row in rows] == [CIN, other]


def test_all_pages_of_an_answer_are_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"0": [registered()] * 10, "10": [registered()]}
    site = register(
        monkeypatch, lambda _, asked: answer_of(*pages[asked["offset"]], total="11"), CIN
    )
    assert not site.failures
    assert [asked["offset"] for _, asked in site.asked] == ["0", "10"]


def test_pages_that_end_early_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {"0": [registered()] * 10, "10": []}
    site = register(monkeypatch, lambda _, asked: answer_of(*pages[asked["offset"]], total=11), CIN)
    assert "expected 11 records in all" in site.failures[0]


def test_a_filter_that_is_not_obeyed_is_noticed() -> None:
    body = answer_of(registered("L17110GJ1992PLC999802"))
    with pytest.raises(ParseError, match=f"row 1: expected {CIN}, got .*the filter is not obeyed"):
        mca_companies.parse(snapshot(body, {"cin": CIN}))


def numbers(count: int) -> list[str]:
    return [f"L17110GJ1992PLC{at:06}" for at in range(count)]


def test_a_register_that_knows_no_one_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ParseError, match="none of 10 companies is in the register"):
        register(monkeypatch, lambda *_: answer_of(), *numbers(10))
    assert not register(monkeypatch, lambda *_: answer_of(), *numbers(9)).failures


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"error": "Key not authorised"}, "expected an object with total and records.*Key not"),
        ([], "expected an object with total and records"),
        ({"total": "many", "records": []}, "total: expected a number, got 'many'"),
        ({"total": -1, "records": []}, "total: expected a number, got '-1'"),
        ({"total": 1, "records": {}}, "expected a list of rows"),
        ({"total": 1, "records": [{"CIN": CIN}]}, r"row 1: .*missing \['CompanyName'"),
    ],
)
def test_what_is_no_answer_of_the_register_is_refused(body: Any, expected: str) -> None:
    with pytest.raises(ParseError, match=expected):
        mca_companies.parse(snapshot(body))


def test_another_field_of_the_register_is_refused() -> None:
    with pytest.raises(ParseError, match=r"row 1: .*unknown \['LEI'\]"):
        mca_companies.parse(snapshot(answer_of(registered(LEI="x"))))


def test_a_number_that_is_none_and_records_that_contradict_are_quarantined() -> None:
    body = answer_of(registered("ABD-0345"), registered(), registered(CompanyStatus="Active"))
    parsed = mca_companies.parse(snapshot(body))
    assert parsed.rows == []
    assert [bad.reason for bad in parsed.bad] == [
        "expected a CIN such as L12345MH1994PLC012345, got 'ABD-0345'",
        "contradicts another row of the same cin",
        "contradicts another row of the same cin",
    ]


def test_only_numbers_of_listed_companies_are_wanted(db: Path) -> None:
    with store.connect(db, create=True) as connection:
        for number in (CIN, CIN, "U17110GJ1992PLC999803", None):
            connection.execute(
                "INSERT INTO announcement (announcement_type, announced_on, debtor_name, cin,"
                " source, snapshot_id, row_number) VALUES ('x', '2020-01-01', 'x', ?, 'x', 1, 1)",
                [number],
            )
        assert connection.execute(mca_companies.SOURCE.wants).fetchall() == [(CIN,)]


# -- Damaged documents -----------------------------------------------------------------------------

FILES = [(worldbank, "real_interest.json", ABOUT), (mca_companies, "listed.json", {"cin": CIN})]


@pytest.mark.parametrize(("module", "name", "about"), FILES)
@given(data=st.data())
def test_any_change_of_a_document(module: Any, name: str, about: Any, data: st.DataObject) -> None:
    only_told_errors(module, damaged(fixture(module.SOURCE.name, name), data), about)


@pytest.mark.parametrize("module", MODULES)
@given(body=st.binary(max_size=300) | ANYTHING.map(lambda answer: json.dumps(answer).encode()))
def test_any_bytes(module: Any, body: bytes) -> None:
    only_told_errors(module, body, {})


@given(data=st.data())
def test_any_value_in_any_field(data: st.DataObject) -> None:
    rows = [observation(2000 + at, 1.5) for at in range(5)]
    for _ in range(data.draw(st.integers(1, 5))):
        row = data.draw(st.sampled_from(rows))
        row[data.draw(st.sampled_from(sorted(row)))] = data.draw(WORDS | ANYTHING)
    only_told_errors(worldbank, json.dumps(page(rows)).encode(), ABOUT)
    record = registered()
    record[data.draw(st.sampled_from(sorted(record)))] = data.draw(WORDS | ANYTHING)
    only_told_errors(mca_companies, json.dumps(answer_of(record)).encode(), {})


@given(body=st.binary(max_size=200), data=st.data())
def test_any_file(body: bytes, data: st.DataObject) -> None:
    whole = table("India,IND,x,FR.INR.RINR,1.5,2.5,", "India,IND,x,FR.INR.RINR,1.5,2.5,")
    for file in (body, table() + body, damaged(whole, data)):
        try:
            parse_csv(file, "x.csv")
        except InputError:
            continue
