"""XBRL filings that are damaged or hostile: an `InputError` or a sound filing, nothing else."""

from __future__ import annotations

import math
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import REPO
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse import xbrl_instance
from warehouse.errors import InputError
from warehouse.formats import LARGEST_CRORE
from warehouse.items import DERIVED_NAMES, ITEM_NAMES
from warehouse.xbrl import Filing, parse_xbrl

FILES = {
    path.name: path.read_bytes() for path in sorted((REPO / "tests/fixtures/xbrl").glob("*.xml"))
}
GOOD = FILES["indas.xml"]
START, _, BODY = GOOD.partition(b"<link:schemaRef")
EMPTY = START + b"</xbrli:xbrl>"  # the root and its namespaces


def outcome(data: bytes) -> Filing | None:
    """What became of the bytes: a filing that holds what it promises, or a refusal."""
    refusal = ""
    try:
        filing = parse_xbrl(data, "file.xml")
    except InputError as error:
        refusal = str(error)
    if refusal:
        assert refusal.startswith("file.xml")
        assert refusal.isprintable()
        return None
    assert 1 <= filing.months <= 24
    assert filing.period_start is not None
    assert filing.period_start <= filing.period_end
    items = [cell.item for cell in filing.cells]
    assert len(set(items)) == len(items)
    assert set(items) <= ITEM_NAMES | DERIVED_NAMES
    notes = {"reported", "derived", "proxy"} if filing.annual else {"interim"}
    for cell in filing.cells:
        assert math.isfinite(cell.value)
        assert abs(cell.value) <= 10 * LARGEST_CRORE
        assert cell.note in notes
        assert (cell.fiscal_year_end, cell.months) == (filing.period_end, filing.months)
    assert all(notice.isprintable() for notice in filing.notices)
    return filing


def test_the_files_to_be_mangled_are_good() -> None:
    assert len(FILES) == 7
    assert all(outcome(data) for data in FILES.values())


@given(st.binary(max_size=400), st.sampled_from([b"", b"<", b"<?xml ", START, START + b"<"]))
def test_any_bytes(data: bytes, start: bytes) -> None:
    outcome(start + data)


@pytest.mark.slow
@settings(max_examples=200)
@given(st.data())
def test_flipped_and_cut_bytes(data: st.DataObject) -> None:
    whole = bytearray(data.draw(st.sampled_from(list(FILES.values()))))
    places = st.integers(0, len(whole) - 1)
    for at in data.draw(st.lists(places, min_size=1, max_size=4)):
        whole[at] = data.draw(st.integers(0, 255))
    outcome(bytes(whole[: data.draw(st.sampled_from([len(whole), len(whole) - 14, 900]))]))


SNIPPETS = [
    "&lol;", "&#0;", "&#x41;", "&amp;", "<!DOCTYPE a>", "<![CDATA[5]]>", "<!-- x -->", "<?pi?>",
    "<a>", "</a>", "<xbrli:xbrl>", "</xbrli:xbrl>", "\x00", "\x0b", "\ufffe", "\u202e",
    "<xi:include xmlns:xi='http://www.w3.org/2001/XInclude' href='file:///etc/hostname'/>",
    "<xbrli:context/>", "<xbrli:context id='FourD'/>", "<xbrli:unit/>", "<xbrli:unit id='INR'/>",
    "\U0001f4a9",
    "<xbrli:period/>", "<xbrli:scenario><a/></xbrli:scenario>", " ", "\n",
]  # fmt: skip
SWAPS = [
    ("OneD", "FourD"), ("FourD", "OneD"), ("OneI", "FourD"), ("FourD", "OneI"), ("PY_I", "OneI"),
    ("FourD", "PY_D"), ("FourD", ""), ("2023-03-31", "2022-04-01"), ("2022-04-01", "9999-12-31"),
    ("2023-01-01", "0001-01-01"), ("2023-03-31", "31-Mar-2023"), ("2022", "-2022"),
    ("iso4217", "xbrli"), ("INR", "USD"), ("contextRef", "contextref"), ("unitRef", "unit"),
    ("xbrli:period", "xbrli:instant"), ("instant", "startDate"), ("endDate", "startDate"),
    ("www.bseindia.com", "www.bseindia.com.example"), ("in-bse-fin", "xbrli"), ("00.00", "e308"),
    ("0000000.00", "9" * 400), (".00", ",00"), ("0.00", "NaN"), ("Assets", "Equity"),
    ("Consolidated", "\u0661"), ("Audited", ""), ("scheme", "id"), ("id=", "xml:id="),
]  # fmt: skip


ACTS = ["delete", "double", "move", "swap", "insert", "everywhere"]


@settings(max_examples=250)
@given(st.data())
def test_mangled_filings(data: st.DataObject) -> None:
    """Lines deleted, doubled and moved, names and numbers swapped, hostile pieces put in."""
    lines = data.draw(st.sampled_from(list(FILES.values()))).decode().splitlines()
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(lines) - 1))
        to = data.draw(st.integers(0, len(lines) - 1))
        act = data.draw(st.sampled_from(ACTS))
        if act == "delete" and len(lines) > 1:
            del lines[at]
        elif act == "double":
            lines.insert(to, lines[at])
        elif act == "move":
            lines.insert(min(to, len(lines) - 1), lines.pop(at))
        elif act == "insert":
            cut = data.draw(st.integers(0, len(lines[at])))
            lines[at] = lines[at][:cut] + data.draw(st.sampled_from(SNIPPETS)) + lines[at][cut:]
        else:
            old, new = data.draw(st.sampled_from(SWAPS))
            if act == "swap":
                lines[at] = lines[at].replace(old, new)
            else:
                lines = [line.replace(old, new) for line in lines]
    outcome("\n".join(lines).encode("utf-8", "surrogatepass"))


REAL = [
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7", "cp037", "cp1252", "latin-1",
    "shift_jis",
]  # fmt: skip
SAID = [
    "UTF-8", "UTF-16", "UTF-7", "IBM037", "windows-1252", "ISO-8859-1", "Shift_JIS", "US-ASCII",
    "ucs4", "x",
]  # fmt: skip


@settings(max_examples=150)
@given(
    st.sampled_from(list(FILES.values())),
    st.sampled_from(REAL),
    st.sampled_from(SAID),
    st.booleans(),
)
def test_any_encoding_under_any_name(data: bytes, real: str, said: str, marked: bool) -> None:
    text = data.decode().replace('encoding="UTF-8"', f'encoding="{said}"')
    outcome((b"\xef\xbb\xbf" if marked else b"") + text.encode(real, "replace"))


@given(st.text(max_size=40) | st.floats().map(repr) | st.decimals().map(str))
def test_any_text_as_a_number(text: str) -> None:
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    data = GOOD.replace(b">5000000000.00<", f">{escaped}<".encode("utf-8", "replace"))
    assert data != GOOD
    filing = outcome(data)
    if filing:
        cost = [cell.value for cell in filing.cells if cell.item == "cost_of_materials"]
        assert cost == [] or cost == [float(text) / 1e7]


# --- bombs ----------------------------------------------------------------------------------------


def fact(body: str, attributes: str = "") -> bytes:
    return f'<in-bse-fin:OtherIncome contextRef="FourD" {attributes}>{body}</in-bse-fin:OtherIncome>'.encode()  # noqa: E501


def within(piece: bytes) -> bytes:
    """A good filing with a piece put in before its end."""
    return GOOD.replace(b"</xbrli:xbrl>", piece + b"</xbrli:xbrl>")


def laughs() -> bytes:
    lines = "".join(
        f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 12)
    )  # 10^11 copies of the first
    return f'<!DOCTYPE x [<!ENTITY l0 "lol">{lines}]>'.encode() + within(fact("&l11;"))


UNIT = b'<xbrli:unit id="u%d"><xbrli:measure>iso4217:INR</xbrli:measure></xbrli:unit>'


def crowded(namespaces: int) -> bytes:
    more = b" ".join(b'xmlns:n%d="u%d"' % (i, i) for i in range(namespaces))
    return GOOD.replace(b"xmlns:link", more + b" xmlns:link")


BOMBS: dict[str, Callable[[], bytes]] = {
    "billion laughs": laughs,
    "entities without a DOCTYPE": lambda: within(fact("&a;" * 1000)),
    "deep nesting": lambda: within(b"<a>" * 100_000 + b"</a>" * 100_000),
    "a million attributes": lambda: within(
        b"<a " + b" ".join(b'a%d=""' % i for i in range(1_000_000)) + b"/>"
    ),
    "a million attributes of one name": lambda: within(b"<a " + b'a="" ' * 1_000_000 + b"/>"),
    "many namespaces on the root": lambda: crowded(20_000),
    "many namespaces and units": lambda: crowded(900).replace(
        b"</xbrli:xbrl>", b"".join(UNIT % i for i in range(20_000)) + b"</xbrli:xbrl>"
    ),
    "many namespaces and a unit many times": lambda: crowded(900).replace(
        b"</xbrli:xbrl>", UNIT % 0 * 20_000 + b"</xbrli:xbrl>"
    ),
    "many contexts of one id": lambda: within(
        b'<xbrli:context id="FourD"/>' * 100_000
    ),
    "many contexts": lambda: within(
        b"".join(b'<xbrli:context id="c%d"/>' % i for i in range(100_000))
    ),
    "many facts in many contexts": lambda: within(
        b"".join(
            b'<in-bse-fin:Assets contextRef="c%d" unitRef="INR">1</in-bse-fin:Assets>' % i
            for i in range(100_000)
        )
    ),
    "a fact many times": lambda: within(fact("1", 'unitRef="INR"') * 100_000),
    "a name many times": lambda: within(
        b'<in-bse-fin:Symbol contextRef="OneD">A</in-bse-fin:Symbol>' * 100_000
    ),
    "a long number": lambda: within(fact("1" * 5_000_000, 'unitRef="INR"')),
    "a long text": lambda: within(
        b'<in-bse-fin:NameOfTheCompany contextRef="OneD">' + b"a " * 4_000_000
        + b"</in-bse-fin:NameOfTheCompany>"
    ),
    "a long tag": lambda: within(b"<in-bse-fin:" + b"a" * 5_000_000 + b"/>"),
    "many tags": lambda: within(b"".join(b"<in-bse-fin:A%d/>" % i for i in range(100_000))),
    "spaces before the root": lambda: b" " * 20_000_000 + GOOD[GOOD.index(b"<xbrli:xbrl") :],
    "comments before the root": lambda: b"<!---->" * 500_000 + GOOD[GOOD.index(b"<xbrli:xbrl") :],
    "a comment that does not end": lambda: b"<!--" * 1_000_000,
    "an XML declaration that does not end": lambda: b"<?xml " + b'encoding="' * 1_000_000,
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_end_soon(name: str) -> None:
    data = BOMBS[name]()
    assert len(data) <= xbrl_instance.MAX_BYTES
    start = time.perf_counter()
    outcome(data)
    assert time.perf_counter() - start < 20  # seconds; each takes well under two


# --- nothing outside the bytes --------------------------------------------------------------------


def reaching_out(address: str) -> list[bytes]:
    """The ways in which a document can ask for another."""
    external = f'<!DOCTYPE x [<!ENTITY a SYSTEM "{address}">]>'.encode()
    parameter = f'<!DOCTYPE x [<!ENTITY % a SYSTEM "{address}"> %a;]>'.encode()
    subset = f'<!DOCTYPE x SYSTEM "{address}">'.encode()
    using = within(fact("&a;"))
    bare = using[using.index(b"<xbrli:xbrl") :]
    include = (
        f'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="{address}" parse="text"/>'
    )
    return [
        external + bare,
        parameter + bare,
        subset + bare,
        within(include.encode()),
        within(fact(include, 'unitRef="INR"')),
        GOOD.replace(b"Ind-AS_entry_point_2020-03-31.xsd", address.encode()),
        b'<?xml-stylesheet href="%s" type="text/xsl"?>' % address.encode() + bare,
        START.replace(
            b"xmlns:link",
            b'xsi:schemaLocation="%s %s" xmlns:link' % (address.encode(), address.encode()),
        )
        + b"<link:schemaRef" + BODY,
    ]  # fmt: skip


@pytest.mark.parametrize("guarded", [True, False], ids=["", "without the look at the prolog"])
def test_no_file_and_no_address_is_read(
    guarded: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither by the refusal of a DOCTYPE nor, if that failed, by the parser itself."""
    if not guarded:
        monkeypatch.setattr(xbrl_instance, "prolog_end", lambda data: data.index(b"<xbrli:xbrl"))
    secret = tmp_path / "secret.txt"
    secret.write_text("7777770000000")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        web = f"http://127.0.0.1:{server.getsockname()[1]}/a.dtd"
        for address in (secret.as_uri(), web):
            for data in reaching_out(address):
                filing = outcome(data)
                assert "777777" not in repr(filing)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert [path.name for path in tmp_path.iterdir()] == ["secret.txt"]


def test_the_ways_out_are_real(tmp_path: Path) -> None:
    """A parser that is allowed to does read that file: the test above could fail."""
    from lxml import etree

    secret = tmp_path / "secret.txt"
    secret.write_text("7777770000000")
    parser = etree.XMLParser(resolve_entities=True, load_dtd=True)
    root = etree.fromstring(reaching_out(secret.as_uri())[0], parser)
    assert b"7777770000000" in etree.tostring(root)
