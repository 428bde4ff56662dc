"""What the tests of sources share: documents as they are stored, and a site that is made up."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlencode

from conftest import REPO
from hypothesis import strategies as st

from scraping.fetch import Fetch
from scraping.source import FetchError, Parsed, Snapshot
from warehouse.errors import InputError

FIXTURES = REPO / "tests/fixtures"
NOW = datetime(2026, 10, 2, 6, tzinfo=UTC)
URL = "https://site.test/document"


def snapshot(
    body: bytes | str | list[Any] | dict[str, Any],
    about: Mapping[str, str] | None = None,
    at: datetime = NOW,
    url: str = URL,
) -> Snapshot:
    """A document as it is stored; a list or dictionary is served as JSON."""
    if isinstance(body, list | dict):
        body = json.dumps(body)
    content = body.encode() if isinstance(body, str) else body
    return Snapshot("test", url, at, 200, {}, "", about or {}, content)


def cases(*modules: ModuleType) -> list[Path]:
    """The expectations that stand beside these sources' documents."""
    names = [module.SOURCE.name for module in modules]
    return sorted(path for name in names for path in (FIXTURES / name).glob("*.expected.json"))


def case_id(path: Path) -> str:
    return f"{path.parent.name}/{path.name.split('.')[0]}"


def fixture(source: str, name: str) -> bytes:
    return (FIXTURES / source / name).read_bytes()


def case(path: Path) -> tuple[Snapshot, dict[str, Any]]:
    """Document and expectation of a case."""
    expected = json.loads(path.read_text(encoding="utf-8"))
    stem = path.name.removesuffix(".expected.json")
    (document,) = (p for p in path.parent.glob(f"{stem}.*") if p != path)
    at = datetime.fromisoformat(expected["fetched_at"])
    return snapshot(document.read_bytes(), expected["about"], at), expected


def told(parsed: Parsed) -> dict[str, Any]:
    """What was parsed, in the words of an expectation."""
    return {
        "rows": json.loads(json.dumps(parsed.rows, default=lambda day: day.isoformat())),
        "bad": [[bad.row_number, bad.reason] for bad in parsed.bad],
        "notices": list(parsed.notices),
    }


def agree(parsed: Parsed, expected: Mapping[str, Any]) -> None:
    """The document was read as worked by hand; an expected reason may be the start of the whole."""
    got = told(parsed)
    assert got["rows"] == expected["rows"]
    assert got["notices"] == expected["notices"]
    starts = [reason for _, reason in expected["bad"]] + [""] * len(got["bad"])
    begun = [
        [n, r if not s else r[: len(s)]] for (n, r), s in zip(got["bad"], starts, strict=False)
    ]
    assert begun == expected["bad"]
    assert all(bad.content for bad in parsed.bad)


class Site(Fetch):
    """A fetcher whose web is a function from path and parameters to a body; None is not found."""

    def __init__(
        self,
        module: ModuleType,
        answer: Callable[[str, dict[str, str]], object],
        wanted: list[dict[str, object]] | None = None,
        since: date | None = None,
    ) -> None:
        super().__init__(module.SOURCE, None, None, wanted or [], since)  # type: ignore[arg-type]
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.got: list[Snapshot] = []
        self.kept: list[bool] = []

    def get(self, path, params=None, *, host=None, kind, about=None, once=False):  # type: ignore[no-untyped-def]
        """The answer, or a failure as of a document that is not there."""
        asked = dict(params or {})
        self.asked.append((path, asked))
        body = self.answer(path, asked)
        if body is None:
            raise FetchError(f"{path}: answered 404")
        found = snapshot(body, about, url=f"https://site.test{path}?{urlencode(asked)}")
        self.got.append(found)
        self.kept.append(once)
        return found


# -- Damaged documents -----------------------------------------------------------------------------

_KEYS = st.sampled_from(["data", "records", "total", "table1", "page", "pages", "message", "x"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner),
    max_leaves=12,
)
WORDS = st.sampled_from(
    [
        "", "-", "NA", "31-Dec-2024", "30-FEB-2024", "31-Dec-3036", "INE9Q1Z01016", "Audited",
        "-0.0", "1e308", "9" * 400, "\ud800", "\x00", 10**400,
    ]
)  # fmt: skip


def damaged(body: bytes, data: st.DataObject) -> bytes:
    """A document with a few of its bytes changed."""
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 5))):
        at = data.draw(st.integers(0, len(changed) - 1))
        changed[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    return bytes(changed)


def only_told_errors(module: ModuleType, body: bytes, about: Mapping[str, str]) -> None:
    """It parses, or says in one line why not; and what it gives can be stored."""
    try:
        parsed = module.parse(snapshot(body, about))
    except InputError:
        return
    for row in parsed.rows:
        for value in row.values():
            str(value).encode()
            assert not isinstance(value, float) or math.isfinite(value)
    for bad in parsed.bad:
        (bad.reason + bad.content).encode()
