"""The strict readers: what is understood is read exactly, all else is refused in one line."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from scraping import parse
from scraping.parse import (
    clean,
    csv_records,
    day,
    json_of,
    moment,
    number,
    optional,
    optional_day,
    quoted,
    require_fields,
    required,
    rows_of,
    soup_of,
    storable,
    text_of,
)
from scraping.source import Bad, Expect, ParseError, Snapshot, Source
from warehouse.errors import InputError

URL = "https://example.org/a"
SOURCE = Source(
    name="made_up",
    publisher="nobody",
    host="IBBI",
    url=URL,
    terms="none",
    cadence_days=1,
    stage=1,
    table="macro",
    columns={"Name": "name", "Date": "date"},
    ignored=("Serial",),
    expect=Expect(0, ()),
    standing="reported",
)
DAY = ("%d-%m-%Y", "%d-%b-%Y", "%d %b, %Y")


def document(body: str | bytes) -> Snapshot:
    """A document of these bytes."""
    data = body.encode() if isinstance(body, str) else body
    return Snapshot("made_up", URL, datetime(2026, 10, 1, tzinfo=UTC), 200, {}, "", {}, data)


def refusal(kind: type[Exception], read: Callable[[], object]) -> str | None:
    """What the reader says against it, None if it reads it; no other kind of error is caught."""
    try:
        read()
    except kind as error:
        return str(error)
    return None


# Text.


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("", ""),
        ("  Tata   Steel \t Ltd.\r\n", "Tata Steel Ltd."),
        ("M&amp;M&nbsp;Ltd", "M&M Ltd"),
        ("a\u00a0\u2003b", "a b"),
        ("&lt;b&gt;", "<b>"),
        ("&#8377; 5", "₹ 5"),
        ("&amp;amp;", "&amp;"),  # resolved once, not until nothing is left
        ("&unknown; & so", "&unknown; & so"),
    ],
)
def test_clean_text(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(
    "text", [None, "", " ", "&nbsp;", "-", "--", " - ", "NA", "n/a", "N.A.", "Nil", "null", "N/E"]
)
def test_what_sites_print_for_nothing_is_none(text: str | None) -> None:
    assert optional(text) is None
    assert number(text) is None
    assert optional_day(text, *DAY) is None
    with pytest.raises(ValueError, match="expected a name, got "):
        required(text, "a name")


@pytest.mark.parametrize("text", ["0", "---", "None", "NaN", "NAN", "N", "nilgiri", "."])
def test_what_is_something_is_not_taken_for_nothing(text: str) -> None:
    assert optional(text) == text
    assert required(text, "a name") == text


def test_a_long_value_is_quoted_short_and_printable() -> None:
    assert quoted("a\x1b[2J\n") == "'a\\x1b[2J\\n'"
    assert len(quoted("x" * 10_000)) == 201
    assert quoted("\ud800") == "'\\ud800'"


# Dates.


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20-07-2022", date(2022, 7, 20)),
        ("1-4-2022", date(2022, 4, 1)),
        ("31-Dec-2024", date(2024, 12, 31)),
        ("31-DEC-2024", date(2024, 12, 31)),
        ("01-jan-2005", date(2005, 1, 1)),
        ("25 Sep, 2026", date(2026, 9, 25)),
        (" 25&nbsp;Sep,\n2026 ", date(2026, 9, 25)),
        ("29-02-2024", date(2024, 2, 29)),
        ("01-01-1980", date(1980, 1, 1)),
        ("31-12-2100", date(2100, 12, 31)),
    ],
)
def test_days(text: str, expected: date) -> None:
    assert day(text, *DAY) == expected
    assert optional_day(text, *DAY) == expected


@pytest.mark.parametrize(
    "text",
    [
        "29-02-2023",
        "31-04-2023",
        "00-01-2023",
        "13-13-2023",
        "2023-01-01",
        "01-01-23",
        "01-01-0022",
        "01-01-1979",
        "01-01-2101",
        "31-Mar-3036",
        "01-Foo-2023",
        "01-01-2023 10:00",
        "x01-01-2023",
        "01/01/2023",
        "today",
    ],
)
def test_no_days(text: str) -> None:
    for read in (day, optional_day):
        with pytest.raises(ValueError, match=r"^expected a date like .*, got "):
            read(text, *DAY)


def test_a_day_that_must_be_there_is_not_nothing() -> None:
    with pytest.raises(ValueError, match="expected a date like %d-%m-%Y, got None"):
        day(None, "%d-%m-%Y")


def test_moments() -> None:
    form = "%d-%b-%Y %H:%M:%S"
    assert moment("29-May-2024 18:05:59", form) == datetime(2024, 5, 29, 18, 5, 59)
    with pytest.raises(ValueError, match="expected a date"):
        moment("29-May-2024 24:00:00", form)


@given(st.text(), st.sampled_from([*DAY, "%d-%b-%Y %H:%M:%S", "%b %y"]))
@example("9" * 5000, "%d-%m-%Y")
@example("\x00", "%d-%m-%Y")
def test_a_day_is_read_or_refused(text: str, form: str) -> None:
    refused = refusal(ValueError, lambda: moment(text, form))
    if refused is None:
        assert 1980 <= moment(text, form).year <= 2100
    else:
        assert refused.startswith("expected a date like ")


@given(st.dates(date(1980, 1, 1), date(2100, 12, 31)), st.sampled_from(DAY))
def test_a_day_that_was_printed_is_read_back(printed: date, form: str) -> None:
    assert day(printed.strftime(form), *DAY) == printed


# Numbers.


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0.0),
        ("00", 0.0),
        ("5.", 5.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("1234567.891", 1234567.891),
        ("1,23,456.78", 123456.78),
        ("12,34,56,789", 123456789.0),
        ("1,00,000", 100000.0),
        ("1,234", 1234.0),
        ("12,345,678.9", 12345678.9),
        ("123,456,789", 123456789.0),
        ("-1,23,456", -123456.0),
        ("(1,23,456.78)", -123456.78),
        ("(5)", -5.0),
        ("(0.00)", 0.0),
        ("-0", 0.0),
        (" 1,234&nbsp;", 1234.0),
        ("1e3", 1000.0),
        ("-2.5E-05", -0.000025),
    ],
)
def test_numbers(text: str, value: float) -> None:
    read = number(text)
    assert read == value
    assert read is not None
    assert math.copysign(1, read) == (-1 if value < 0 else 1)  # no negative zero


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "5 %",
        "5%",
        "Rs. 5",
        "₹5",
        "1 234",
        "- 5",
        "--5",
        "+5",
        "5-",
        "−5",
        "1.2.3",
        "1,2,3",
        "1,23",
        "12,34",
        "1,2345",
        "1234,567",
        "1,234,56",
        "1,,234",
        ",",
        ",,,",
        "-,",
        ",123",
        "1,234,",
        "(5",
        "5)",
        "(-5)",
        "-(5)",
        "((5))",
        "()",
        "( 5 )",
        ".",
        "-.",
        "1.234,56",
        "inf",
        "nan",
        "0x10",
        "1_000",
        "1e",
        "e5",
        "1e5.5",
        "1e1000",
        "1e999",
        "९",
        "٣",
        "²",
        "5\x00",
        "True",
    ],
)
def test_no_numbers(text: str) -> None:
    with pytest.raises(ValueError, match="expected a number, got "):
        number(text)


def test_a_number_that_no_double_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        number("9" * 400)


@given(st.text() | st.text("0123456789,.-()eE &", max_size=12))
@example("1" * 5000)
def test_a_number_is_finite_or_refused(text: str) -> None:
    refused = refusal(ValueError, lambda: number(text))
    if refused is None:
        value = number(text)
        assert value is None or math.isfinite(value)
    else:
        assert refused.startswith("expected a number, got ")


def indian(amount: int) -> str:
    """A number with Indian commas: after the last three digits, every two."""
    digits = str(amount)
    head, tail = digits[:-3], digits[-3:]
    pairs = [head[max(at - 2, 0) : at] for at in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail])


def test_indian_commas_as_worked_by_hand() -> None:
    assert [indian(n) for n in (1, 999, 1000, 123456, 12345678)] == [
        "1",
        "999",
        "1,000",
        "1,23,456",
        "1,23,45,678",
    ]


@given(st.integers(0, 10**15), st.sampled_from(["", ".0", ".25"]), st.booleans())
def test_all_ways_to_print_an_amount_are_read_alike(
    amount: int, cents: str, negative: bool
) -> None:
    value = float(f"{amount}{cents}") * (-1 if negative else 1)
    for printed in (str(amount), f"{amount:,}", indian(amount)):
        text = printed + cents
        assert number(f"-{text}" if negative else text) == value
        assert number(f"({text})" if negative else text) == value


# Documents.


def test_text_is_read_without_its_mark() -> None:
    assert text_of(document(b"\xef\xbb\xbf\xe2\x82\xb9 5\r\n")) == "₹ 5\r\n"


@pytest.mark.parametrize("body", [b"ok \xff\xfe", "é".encode("latin-1"), b"\xed\xa0\x80"])
def test_text_that_is_not_utf_8_is_refused(body: bytes) -> None:
    for read in (text_of, json_of, soup_of, csv_records):
        with pytest.raises(ParseError, match=r"^https://example\.org/a: expected UTF-8 text, got"):
            read(document(body))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[]", []),
        ('{"a": [1, 2.5, null, true, "x"]}', {"a": [1, 2.5, None, True, "x"]}),
        ("\ufeff{}", {}),
        ('"\\u20b9"', "₹"),
        ("[" * 100 + "]" * 100, json.loads("[" * 100 + "]" * 100)),
    ],
)
def test_json(text: str, value: object) -> None:
    assert json_of(document(text)) == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[1,]",
        "{'a': 1}",
        "[] []",
        '{"a": NaN}',
        "[Infinity]",
        "[-Infinity]",
        "[1e999]",
        "[-1e999]",
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000,
        "[" + "9" * 5000 + "]",
        '["\n"]',
        "<html>",
    ],
)
def test_no_json(text: str) -> None:
    with pytest.raises(ParseError, match=r"^https://example\.org/a: expected JSON \("):
        json_of(document(text))


def test_a_page_and_its_parts() -> None:
    html = document(
        "<html><head><title>t</title></head><body><!-- <table id=0></table> -->"
        "<table id='1'><tr><th>A</th><td>1 &amp; 2<!----<td>no</td>----></td></tr></table>"
        "<p>so</p></body></html>"
    )
    page = soup_of(html)
    assert [cell.get_text() for cell in page.select("table th, table td")] == ["A", "1 & 2"]
    assert [paragraph.get_text() for paragraph in page.find_all("p")] == ["so"]
    part = soup_of(html, "table")
    assert [table["id"] for table in part.find_all("table")] == ["1"]
    assert part.find_all("p") == []


def test_a_page_that_nests_deep_loses_nothing() -> None:
    depth = 3000
    body = "<div>" * depth + "<table><tr><td>x</td></tr></table>" + "</div>" * depth + "<p>end</p>"
    page = soup_of(document(f"<html><body>{body}</body></html>"))
    assert len(page.find_all("td")) == len(page.find_all("p")) == 1


@pytest.mark.parametrize("text", ["", "no page", '{"a": 1}', "\ufeff"])
def test_no_page(text: str) -> None:
    with pytest.raises(ParseError, match=r"^https://example\.org/a: expected a page, got "):
        soup_of(document(text))


# Delimited text.


def test_delimited_text() -> None:
    came = csv_records(
        document(
            "\ufeffSYMBOL, NAME OF COMPANY\r\n"
            'A,"Tata, Sons ""x"""\r\n\r\n , \nB,line\nC,"two\nlines"'
        )
    )
    assert came == (
        ["SYMBOL", "NAME OF COMPANY"],
        [["A", 'Tata, Sons "x"'], ["B", "line"], ["C", "two\nlines"]],
    )


def test_tabbed_text_has_no_quotes() -> None:
    header, rows = csv_records(document(' Name\t CIN\n"A" Ltd\tL1\n"B\tL2\n'), "\t")
    assert (header, rows) == (["Name", "CIN"], [['"A" Ltd', "L1"], ['"B', "L2"]])


def test_rows_of_any_length_are_given() -> None:
    assert csv_records(document("a,b\n1\n1,2,3\n"))[1] == [["1"], ["1", "2", "3"]]


def test_a_zero_character_is_a_character() -> None:
    assert csv_records(document("a,b\n\x00,1\n"))[1] == [["\x00", "1"]]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        " , ,\n",
        "a,b\n1," + "x" * 200_000,
        'a,b\n1,"never closed\n2,3\n4,5\n',
        'a,b\n1,"closed" too early\n',
    ],
)
def test_no_delimited_text(text: str) -> None:
    with pytest.raises(ParseError, match=r"^https://example\.org/a: "):
        csv_records(document(text))


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parse, "MAX_ROWS", 3)
    assert len(csv_records(document("a\n1\n2\n"))[1]) == 2
    with pytest.raises(ParseError, match="expected 1 to 3 rows, got 4"):
        csv_records(document("a\n1\n2\n3\n"))


@pytest.mark.parametrize(
    ("name", "columns", "rows"),
    [
        ("EQUITY_L_2025-11", 8, 2200),
        ("ind_nifty500list_2025-09-03", 5, 499),
        ("ind_nifty500list_2019-10-08", 5, 501),
    ],
)
def test_real_lists_are_read_whole(shared: Path, name: str, columns: int, rows: int) -> None:
    body = (shared / f"fixtures/listings/{name}.csv").read_bytes()
    lines = [line for line in body.decode("utf-8-sig").splitlines() if line.strip()]
    header, records = csv_records(document(body))
    assert (len(header), len(records)) == (columns, rows)
    assert len(lines) == rows + 1  # counted another way: no quoted line breaks in them
    assert all(len(record) == columns for record in records)


CELL = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(str.strip)


@given(st.lists(st.lists(CELL, min_size=2, max_size=2), min_size=1, max_size=6))
def test_what_was_written_as_delimited_text_is_read_back(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["name", "value"], *rows])
    assert csv_records(document("\ufeff" + out.getvalue())) == (["name", "value"], rows)


# Fields and rows.


@pytest.mark.parametrize(
    ("fields", "optional_fields"),
    [
        (["Name", "Date"], ()),
        (["Date", "Serial", "Name"], ()),
        (["Name"], ("Date",)),
        ({"Name": 1, "Date": 2}, ()),
    ],
)
def test_declared_fields_are_fine(fields: list[str], optional_fields: tuple[str, ...]) -> None:
    require_fields("here", SOURCE, fields, optional_fields)


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        (["Name", "Date", "New"], r"unknown \['New'\], missing \[\]"),
        (["Name"], r"unknown \[\], missing \['Date'\]"),
        (["name", "Date"], r"unknown \['name'\], missing \['Name'\]"),
        (["Name", "Date", "Name"], r"more than once \['Name'\]"),
        ([], r"missing \['Date', 'Name'\]"),
    ],
)
def test_other_fields_are_a_changed_format(fields: list[str], what: str) -> None:
    with pytest.raises(ParseError, match=rf"^here: the format has changed: .*{what}"):
        require_fields("here", SOURCE, fields)


def test_many_unknown_fields_make_no_endless_message() -> None:
    with pytest.raises(ParseError) as caught:
        require_fields("here", SOURCE, [f"field {n}" for n in range(10_000)])
    assert len(str(caught.value)) < 1000


def test_rows_that_are_not_understood_are_set_aside_with_their_number() -> None:
    records = [(1, {"a": "1"}), (2, {"a": "x", "b": "é"}), (4, {"a": None}), (7, {"a": "2,000"})]

    def convert(record: object) -> dict[str, object] | None:
        value = number(dict(record)["a"])  # type: ignore[call-overload]
        return None if value is None else {"value": value}

    parsed = rows_of(records, convert)
    assert parsed.rows == [{"value": 1.0}, {"value": 2000.0}]
    assert parsed.bad == [Bad(2, "expected a number, got 'x'", '{"a": "x", "b": "é"}')]


def test_a_mistake_in_a_parser_is_no_bad_row() -> None:
    with pytest.raises(KeyError):
        rows_of([(1, {})], lambda record: {"a": record["a"]})


def test_half_a_character_is_spelt_out_in_the_quarantine() -> None:
    def convert(record: object) -> None:
        raise ValueError("what is \udc80")

    (bad,) = rows_of([(1, {"a": "\ud83d"})], convert).bad
    assert (bad.reason, bad.content) == ("what is \\udc80", '{"a": "\\ud83d"}')
    assert storable("टाटा 😀\x00") == "टाटा 😀\x00"


def test_a_long_row_is_cut_in_the_quarantine() -> None:
    (bad,) = rows_of([(1, {"a": "x" * 10_000})], lambda record: number(record["a"])).bad  # type: ignore[arg-type,return-value]
    assert len(bad.content) == 2000


# Nothing else escapes, whatever comes.


ANY = st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace"))
MARKUP = st.text('<>/"=!-[]{}&;#tabledivscrp \n\x00', max_size=200).map(str.encode)


@given(ANY | MARKUP)
@example(b"<![CDATA[")
@example(b"<!doctype")
@example(b"<?")
@example(b"<!DOCTYPE html [<!ENTITY a '&a;&a;'>]><p>&a;")
@example(b"<\x00>")
def test_a_document_is_read_or_refused(body: bytes) -> None:
    given_ = document(body)
    for read in (text_of, json_of, soup_of, csv_records, lambda each: csv_records(each, "\t")):
        refused = refusal(InputError, lambda read=read: read(given_))  # type: ignore[misc]
        assert refused is None or (refused.startswith(URL) and "\n" not in refused)


@given(st.text() | st.none())
def test_a_cell_is_read_or_refused(text: str | None) -> None:
    for read in (optional, number, lambda t: required(t, "x"), lambda t: optional_day(t, *DAY)):
        refused = refusal(ValueError, lambda read=read: read(text))  # type: ignore[misc]
        assert refused is None or refused.startswith("expected ")


@given(st.lists(st.sampled_from(["Name", "Date", "Serial"]) | st.text(), max_size=6))
def test_fields_are_declared_or_refused(fields: list[str]) -> None:
    refused = refusal(InputError, lambda: require_fields("here", SOURCE, fields))
    fine = set(fields) - {"Serial"} == {"Name", "Date"} and len(set(fields)) == len(fields)
    assert (refused is None) == fine
