"""What holds for every source, found by a walk over the package: the next one too."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scraping.hosts import HOSTS
from scraping.load import modules
from warehouse import store

FIXTURES = Path(__file__).parent / "fixtures"


@pytest.mark.parametrize("name", list(modules()))
def test_a_source_is_declared_whole(name: str) -> None:
    module = modules()[name]
    source = module.SOURCE
    assert source.name == name
    assert source.host in {host.name for host in HOSTS}
    assert source.url.startswith("https://")
    assert source.publisher
    assert len(source.terms) > 20, "what is known of reuse and access"
    assert 1 <= source.cadence_days <= 366
    assert source.expect.min_rows >= 0
    assert not set(source.columns) & set(source.ignored)
    assert callable(module.crawl)
    assert callable(module.parse)


@pytest.mark.parametrize("name", list(modules()))
def test_its_rows_fit_its_table(name: str) -> None:
    source = modules()[name].SOURCE
    with store.in_memory() as connection:
        found = connection.execute(
            "SELECT column_name FROM duckdb_columns() WHERE table_name = ?", [source.table]
        ).fetchall()
        columns = {column for (column,) in found}
        assert columns, f"no table {source.table}"
        assert set(source.expect.unique) <= columns
        if source.wants:
            connection.execute(source.wants).fetchall()


@pytest.mark.parametrize("name", list(modules()))
def test_it_has_a_page_and_what_the_page_should_give(name: str) -> None:
    expected = sorted((FIXTURES / name).glob("*.expected.json"))
    assert expected, f"tests/fixtures/{name}: put a page and <case>.expected.json there"
    for path in expected:
        stem = path.name.removesuffix(".expected.json")
        pages = [p for p in path.parent.glob(f"{stem}.*") if p != path]
        assert pages, f"{path.name} stands alone"
        content = json.loads(path.read_text(encoding="utf-8"))
        assert content, "an expectation says something"


def test_a_module_that_shares_a_table_with_another_names_itself() -> None:
    """Rows of two sources in one table are kept apart by their column source."""
    tables = [module.SOURCE.table for module in modules().values()]
    shared = {table for table in tables if tables.count(table) > 1}
    with store.in_memory() as connection:
        for table in shared:
            found = connection.execute(
                "SELECT 1 FROM duckdb_columns() WHERE table_name = ? AND column_name = 'source'",
                [table],
            ).fetchall()
            assert found, table
