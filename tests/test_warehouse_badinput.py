"""Bad files: one line that says file, row, what was expected and what came; nothing changes."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Command, contents, write_csv, year_rows
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from warehouse import readers, store
from warehouse.errors import InputError
from warehouse.importers import import_files

# What a callback cannot raise would be printed beside the one line.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")

HEAD = "company_id,fiscal_year_end,item,value"
GOOD = "acme,2020-03-31,cash,1"


def lines(*rows: str, head: str = HEAD) -> bytes:
    return ("\n".join([head, *rows]) + "\n").encode()


def cell(column: str, value: str) -> bytes:
    """A statements file whose third row has a bad cell in `column`."""
    good = {column: ""} | dict(zip(HEAD.split(","), GOOD.split(","), strict=True))
    bad = good | {"company_id": "bolt", column: value}
    return lines(",".join(good.values()), ",".join(bad.values()), head=",".join(bad))


def parquet(**columns: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink)
    return sink.getvalue()


EVENT = "company_id,event_type,event_date"
COMPANY = "company_id,company_name,in_nifty500,is_financial"
ROW_3 = ", row 3, column "
DATE = "expected a date YYYY-MM-DD between 1980-01-01 and today, got "
# name: (bytes of the file, what the one line must say besides the path)
CASES: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "empty file": (b"", ("the file is empty",)),
    "header only": (lines(), ("expected rows below the header, got none",)),
    "blank": (b"\n\n\n", ("not readable as CSV",)),
    "wrong columns": (
        lines("1,2", head="alpha,beta"),
        ("unknown columns alpha, beta", "expected statements: company_id, fiscal_year_end, item"),
    ),
    "semicolons": (lines("a;b", head="company_id;item"), ("unknown columns company_id;item",)),
    "no year end": (
        lines("acme,cash,1", head="company_id,item,value"),
        ("looks like a statements file", "column 'fiscal_year_end' is missing"),
    ),
    "no event date": (
        lines("acme,withdrawn", head="company_id,event_type"),
        ("looks like a events file", "column 'event_date' is missing"),
    ),
    "column twice": (
        lines(GOOD + ",2", head=HEAD + ",value"),
        ("column 'value' appears 2 times",),
    ),
    "ragged row": (lines(GOOD, GOOD + ",9,9"), (", row 3: expected 4 columns, got 6",)),
    "short row": (lines(GOOD, "acme,2020-03-31"), (", row 3: expected 4 columns, got 2",)),
    "text": (cell("value", "many"), (ROW_3 + "value: expected a finite number, got 'many'",)),
    "comma": (
        lines(GOOD, 'bolt,2020-03-31,cash,"1,000"'),
        (ROW_3 + "value: expected a finite number, got '1,000'",),
    ),
    "brackets": (cell("value", "(5)"), (ROW_3 + "value", "got '(5)'")),
    "infinite": (cell("value", "inf"), (ROW_3 + "value: expected a finite number, got 'inf'",)),
    "too large": (cell("value", "1e400"), (ROW_3 + "value", "got '1e400'")),
    "not a number": (cell("value", "NaN"), (ROW_3 + "value", "got 'NaN'")),
    "zero byte": (cell("value", "1\x00"), (ROW_3 + "value: expected a finite number",)),
    "unknown item": (
        cell("item", "inventory"),
        (ROW_3 + "item: expected a known name, got 'inventory'; did you mean 'inventories'?",),
    ),
    "no item": (cell("item", ""), (ROW_3 + "item: expected a known name, got an empty cell",)),
    "no company": (
        lines(GOOD, ",2020-03-31,cash,1"),
        (ROW_3 + "company_id: expected a name of 1 to 200 characters, got an empty cell",),
    ),
    "unknown unit": (
        cell("unit", "INR crores"),
        (ROW_3 + "unit: expected one of INR, INR thousand", "did you mean 'INR crore'?"),
    ),
    "unit in other letters": (cell("unit", "inr lakh"), ("did you mean 'INR lakh'?",)),
    "unknown basis": (
        cell("basis", "consolidate"),
        (ROW_3 + "basis: expected one of consolidated, standalone, unstated", "did you mean"),
    ),
    "no months": (cell("months", "0"), (ROW_3 + "months: expected whole months from 1 to 24",)),
    "many months": (cell("months", "25"), ("got '25'",)),
    "half months": (cell("months", "7.5"), ("got '7.5'",)),
    "words for months": (cell("months", "twelve"), ("got 'twelve'",)),
    "no date": (lines(GOOD, "bolt,,cash,1"), (ROW_3 + "fiscal_year_end: " + DATE,)),
    "Indian date": (lines(GOOD, "bolt,31-03-2020,cash,1"), (DATE + "'31-03-2020'",)),
    "no such day": (lines(GOOD, "bolt,2020-02-30,cash,1"), (DATE + "'2020-02-30'",)),
    "only a year": (lines(GOOD, "bolt,2020,cash,1"), (DATE + "'2020'",)),
    "future": (lines(GOOD, "bolt,2203-03-31,cash,1"), (DATE + "'2203-03-31'",)),
    "long ago": (lines(GOOD, "bolt,1979-12-31,cash,1"), (DATE + "'1979-12-31'",)),
    "end of days": (lines(GOOD, "bolt,infinity,cash,1"), (DATE + "'infinity'",)),
    "filed too early": (
        cell("filed_at", "2020-03-30"),
        (", row 3, column filed_at: 2020-03-30 is before the year end 2020-03-31",),
    ),
    "filed in the future": (cell("filed_at", "2203-01-01"), (ROW_3 + "filed_at", "2203-01-01")),
    "twice": (
        lines(GOOD, GOOD.replace("acme", "bolt"), GOOD),
        (", row 4: repeats row 2", "company_id acme", "fiscal_year_end 2020-03-31", "item cash"),
    ),
    "twice, the date written otherwise": (
        lines(GOOD, "acme,2020-3-31,cash,2"),
        (", row 3", "fiscal_year_end 2020-03-31"),
    ),
    "twice, the basis once not said": (
        lines(GOOD + ",", "acme,2020-03-31,cash,2,unstated", head=HEAD + ",basis"),
        (", row 3: repeats row 2",),
    ),
    "absurd amount": (
        lines(GOOD, "bolt,2020-03-31,sales,2e9"),
        (", row 3, column value: 2e9 INR crore is more than India's economy",),
    ),
    "absurd amount in rupees": (
        lines("bolt,2020-03-31,sales,-2e16,INR", head=HEAD + ",unit"),
        (", row 2, column value: -2e16 INR is more than India's economy",),
    ),
    "UTF-16": (lines(GOOD).decode().encode("utf-16"), ("expected UTF-8 text",)),
    "Latin-1": (
        lines("acme,2020-03-31,cash,1,Soci\u00e9t\u00e9", head=HEAD + ",company_name")
        .decode()
        .encode("latin-1"),
        ("UTF",),
    ),
    "ragged row that is not UTF-8": (
        lines(GOOD) + b"bolt,\xe9\n",
        (", row 3: expected UTF-8 text",),
    ),
    "binary": (b"\x00\x01\x02\x03" * 100, ("binary",)),
    "more binary": (bytes(range(255, 0, -1)), ("expected UTF-8 text",)),
    "corrupt Parquet": (b"PAR1" + b"\x15" * 400 + b"PAR1", ("damaged Parquet file",)),
    "Parquet cut short": (
        parquet(company_id=["acme"] * 50, company_name=["Acme"] * 50)[:-20],
        ("damaged Parquet file",),
    ),
    "Parquet without rows": (
        parquet(company_id=pa.array([], pa.string()), company_name=pa.array([], pa.string())),
        ("expected rows below the header, got none",),
    ),
    "NaN in Parquet": (
        parquet(
            company_id=["a", "b"],
            fiscal_year_end=["2020-03-31"] * 2,
            item=["cash"] * 2,
            value=[1.0, float("nan")],
        ),
        (", row 2, column value: expected a finite number, got 'nan'",),
    ),
    "unknown event": (
        lines("acme,cirp_admision,2020-01-01", head=EVENT),
        (", row 2, column event_type", "did you mean 'cirp_admission'?"),
    ),
    "event in the future": (
        lines("acme,cirp_admission,2203-01-01", head=EVENT),
        (", row 2, column event_date", "not in the future, got '2203-01-01'"),
    ),
    "maybe usable": (
        lines("acme,withdrawn,2020-01-01,maybe", head=EVENT + ",usable"),
        (", row 2, column usable: expected true or false, got 'maybe'",),
    ),
    "maybe financial": (
        lines("acme,Acme,true,maybe", head=COMPANY),
        (", row 2, column is_financial: expected true or false, got 'maybe'",),
    ),
    "nameless company": (
        lines("acme,,true,", head=COMPANY),
        (", row 2, column company_name", "got an empty cell"),
    ),
    "company twice": (
        lines("acme,Acme,,", "acme,Acme Ltd,,", head=COMPANY),
        (", row 3: repeats row 2 (company_id acme)",),
    ),
    "index dates in words": (
        lines("acme,Acme,August 2023,", head=COMPANY),
        (", row 2, column in_nifty500", "got 'August 2023'"),
    ),
    "index on no such day": (
        lines("acme,Acme,2023-08-15;2023-13-45,", head=COMPANY),
        (", row 2, column in_nifty500", "2023-13-45"),
    ),
    "macro without a year": (lines(",4.5", head="year,inflation"), (", row 2, column year",)),
    "macro of a far year": (
        lines("12018,4.5", head="year,inflation"),
        (", row 2, column year: expected a whole year from 1950 to 2100, got '12018'",),
    ),
    "macro of half a year": (
        lines("2018.5,4.5", head="year,inflation"),
        (", row 2, column year", "got '2018.5'"),
    ),
    "macro year twice": (lines("2018,4", "2018,5", head="year,inflation"), ("repeats row 2",)),
    "quote left open": (lines('bolt,2020-03-31,cash,"1', GOOD), ("row 2",)),
    "bad cell below a blank line": (
        lines(GOOD, "", "bolt,2020-03-31,cash,x"),
        (", row 4, column value", "got 'x'"),
    ),
    "thousands of columns": (
        lines(",".join("1" * 2001), head=",".join(f"c{n}" for n in range(2001))),
        ("2,001 columns; up to 2,000 are read",),
    ),
    "endless name": (
        lines("a" * 201 + ",2020-03-31,cash,1"),
        ("expected a name of 1 to 200 characters",),
    ),
}


@pytest.fixture(scope="module")
def memory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse that holds one good file."""
    file = tmp_path_factory.mktemp("good") / "good.csv"
    write_csv(file, year_rows("calm", "2019-03-31", {"cash": 1, "sales": 2}))
    with store.in_memory() as connection:
        import_files(connection, [file])
        yield connection


LOADED = " UNION ALL ".join(
    f"SELECT '{name}', count(*), sum(hash({name})) FROM {name}"
    for name in ("snapshot", "statement_line", "company", "alias", "index_member",
                 "insolvency_event", "macro")
)  # fmt: skip


def everything(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    names = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE NOT temporary ORDER BY ALL"
    ).fetchall()
    return {name: connection.execute(f"FROM {name} ORDER BY ALL").fetchall() for (name,) in names}


def refusal(connection: duckdb.DuckDBPyConnection, path: Path) -> str:
    """The line for a bad file; nothing in the warehouse may have changed."""
    before = connection.execute(LOADED).fetchall()
    with pytest.raises(InputError) as caught:
        import_files(connection, [path])
    assert connection.execute(LOADED).fetchall() == before
    message = str(caught.value)
    assert str(path) in message
    assert len(message) < 700 + len(str(path))
    return " ".join(message.split())


@pytest.mark.parametrize("case", CASES)
def test_bad_file(case: str, memory: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    data, said = CASES[case]
    path = tmp_path / "bad file"
    path.write_bytes(data)
    message = refusal(memory, path)
    for words in said:
        assert words in message


def test_missing_file_and_folder(memory: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    assert "none.csv: no such file" in refusal(memory, tmp_path / "none.csv")
    assert refusal(memory, tmp_path).endswith("expected a file, got a folder or device")
    assert "File name too long" in refusal(memory, tmp_path / ("x" * 300))


def test_too_large_a_file(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert readers.MAX_FILE_BYTES == 4 * 1024**3
    path = tmp_path / "huge.csv"
    with path.open("wb") as file:
        file.truncate(4 * 1024**3 + 1)  # a hole: takes no room
    assert "4,294,967,297 bytes; files of up to 4,294,967,296" in refusal(memory, path)


def test_nothing_of_a_terminal_s_control_codes_is_repeated(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    path = tmp_path / "bad.csv"
    path.write_bytes(b"\x1b[2Jalpha,be\x07ta\n1,2\n")
    message = refusal(memory, path)
    assert not [char for char in message if ord(char) < 32]


def screener_zip(parts: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return sink.getvalue()


def other_workbook() -> bytes:
    book, sink = openpyxl.Workbook(), io.BytesIO()
    book.active.title = "Budget"
    book.save(sink)
    return sink.getvalue()


def bomb() -> bytes:
    """A workbook of a few kilobytes that says it unpacks to more than 200 MiB."""
    data = bytearray(screener_zip({"xl/workbook.xml": b"x", "xl/big.bin": b"\0" * 1000}))
    at = data.rindex(b"PK\x01\x02")  # the directory entry of the second part
    struct.pack_into("<I", data, at + 24, 201 * 1024**2)
    return bytes(data)


def broken_directory() -> bytes:
    data = bytearray(other_workbook())
    data[data.index(b"PK\x01\x02")] = 0
    return bytes(data)


WORKBOOKS = {
    "not of Screener": (other_workbook(), ("sheet 'Data Sheet'", "got the sheets Budget")),
    "declares too much": (bomb(), ("unpacks to 210,", "up to 209,715,200 are read")),
    "cut short": (other_workbook()[:-100], ()),
    "directory broken": (broken_directory(), ()),
    "no workbook inside": (screener_zip({"xl/workbook.xml": b"<a/>"}), ()),
    "a zip of something else": (screener_zip({"readme.txt": b"hello"}), ()),
}


@pytest.mark.parametrize("case", WORKBOOKS)
def test_bad_workbook(case: str, memory: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    data, said = WORKBOOKS[case]
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    message = refusal(memory, path)
    for words in said:
        assert words in message


def test_bomb_that_lies_about_its_size_is_not_unpacked(
    memory: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    """The sizes in the directory say 1 kB, the parts are larger: an error, not a large table."""
    book, sink = openpyxl.Workbook(), io.BytesIO()
    book.active.title = "Data Sheet"
    for row in range(2000):
        book.active.append([f"text {row}"] * 8)
    book.save(sink)
    data = bytearray(sink.getvalue())
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        struct.pack_into("<I", data, at + 24, 10)
        at = data.find(b"PK\x01\x02", at + 1)
    path = tmp_path / "book.xlsx"
    path.write_bytes(data)
    refusal(memory, path)


def test_workbook_over_the_size_limit(memory: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("xl/workbook.xml", b"x")
        archive.writestr("xl/media.bin", b"\0" * (20 * 1024**2 + 1))
    path = tmp_path / "book.xlsx"
    path.write_bytes(sink.getvalue())
    assert "files of up to 20,971,520 bytes are read" in refusal(memory, path)


SEEDS = {
    "csv": lines(GOOD, "bolt,2021-03-31,sales,5.5"),
    "parquet": parquet(
        company_id=["acme"], fiscal_year_end=["2020-03-31"], item=["cash"], value=[1.0]
    ),
    "xlsx": other_workbook(),
}


@pytest.fixture
def fresh() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        yield connection


@pytest.mark.parametrize("kind", SEEDS)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
@example(changes=[])
def test_damaged_bytes_are_loaded_or_refused_and_never_crash(
    changes: list[tuple[int, int]], kind: str, fresh: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    data = bytearray(SEEDS[kind])
    for position, byte in changes:
        data[position % len(data)] = byte
    path = tmp_path / "damaged"
    path.write_bytes(data)
    before, refused = everything(fresh), None
    try:
        import_files(fresh, [path])
    except InputError as error:
        refused = str(error)
    if refused is not None:
        assert str(path) in refused
        assert everything(fresh) == before


def test_text_in_parquet_that_is_not_utf8(fresh: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    name = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 5)), pa.py_buffer(b"Soci\xe9")]
    )
    path = tmp_path / "c.parquet"
    path.write_bytes(parquet(company_id=["acme"], company_name=name))
    assert "UTF" in refusal(fresh, path)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (cell("value", "many"), ", row 3, column value: expected a finite number, got 'many'"),
        (lines(GOOD, 'bolt,2020-03-31,cash,"a\nb"'), "got 'a"),
    ],
    ids=["cell", "cell of two lines"],
)
def test_command_says_it_in_one_line_and_exits_with_2(
    data: bytes, said: str, cli: Command, db: Path, tmp_path: Path
) -> None:
    good, bad = tmp_path / "good.csv", tmp_path / "bad.csv"
    good.write_bytes(lines(GOOD))
    bad.write_bytes(data)
    assert cli("warehouse", "import", good, "--db", db).code == 0
    before = contents(db)
    ran = cli("warehouse", "import", bad, "--db", db)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith(f"error: {bad}")
    assert said in ran.err
    assert contents(db) == before


def test_real_process_exits_with_2_and_shows_no_traceback(
    process: Command, db: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_bytes(cell("item", "inventory"))
    ran = process("-m", "warehouse", "import", bad, "--db", db)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        f"error: {bad}, row 3, column item: expected a known name, got 'inventory';"
        " did you mean 'inventories'?\n"
    )
    assert not db.exists()


def test_features_of_a_bad_file(cli: Command, tmp_path: Path) -> None:
    bad, out = tmp_path / "bad.csv", tmp_path / "panel.parquet"
    bad.write_bytes(cell("value", "many"))
    ran = cli("features", "--from", bad, "--out", out)
    assert ran.code == 2
    assert len(ran.err.splitlines()) == 1
    assert ran.err.startswith(f"error: {bad}, row 3")
    assert not out.exists()
