"""`features.arrays`: the panel's ratios, scores and reasons again, without its query."""

from __future__ import annotations

import math
from collections.abc import Iterator

import duckdb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features import arrays
from features.dataset import demo_warehouse, materialise
from features.ratios import RATIOS, inputs, ratios_sql, reasons_sql, reported_parts
from features.scores import SCORES, score_inputs, score_reasons_sql, scores_sql

NAMES = sorted(
    {
        leaf
        for made in [*map(inputs, RATIOS), *map(score_inputs, SCORES)]
        for name in made
        for leaf in (name, *reported_parts(name))
    }
)
NUMBERS = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, 1.0, -1.0, 1e-300, 1e300, -1e300, 1e200]),
    st.floats(-1e9, 1e9, allow_nan=False),
)


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect() as connection:
        yield connection


def same(connection: duckdb.DuckDBPyConnection, years: pd.DataFrame) -> None:
    """Both say the same of these rows: values, and why there is none."""
    columns, rows = arrays.item_columns(years), len(years)
    for made, sql, gaps, why in (
        (arrays.ratios(columns, rows), ratios_sql, arrays.ratio_gaps, reasons_sql),
        (arrays.scores(columns, rows), scores_sql, arrays.score_gaps, score_reasons_sql),
    ):
        codes = ", ".join(made.columns)
        wanted = connection.sql(
            f"SELECT {codes} FROM ({sql('years')}) ORDER BY company_id, fiscal_year"
        ).fetchall()
        got = made.to_numpy().tolist()
        for row, (mine, theirs) in enumerate(zip(got, wanted, strict=True)):
            for code, a, b in zip(made.columns, mine, theirs, strict=True):
                assert math.isnan(a) if b is None else math.isclose(a, b, rel_tol=1e-12), (
                    row,
                    code,
                )
        keys = list(zip(years["company_id"], years["fiscal_year"], strict=True))
        said = {(*keys[gap.row], gap.code, gap.reason) for gap in gaps(made, columns)}
        assert said == set(connection.sql(why("years")).fetchall())


def test_the_same_for_every_year_of_the_demo() -> None:
    with demo_warehouse(60, seed=3) as connection:
        materialise(connection)
        years = connection.sql("FROM yearly ORDER BY company_id, fiscal_year").df()
        connection.register("years", years)
        same(connection, years)


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.lists(NUMBERS, min_size=len(NAMES), max_size=len(NAMES)), min_size=1, max_size=3)
)
def test_the_same_for_any_numbers(
    database: duckdb.DuckDBPyConnection, rows: list[list[float | None]]
) -> None:
    years = pd.DataFrame(rows, columns=NAMES, dtype="float64")
    years.insert(0, "company_id", "one")
    years.insert(1, "fiscal_year", np.arange(2000, 2000 + len(rows)))
    years = years.astype({"company_id": "str"}).replace({np.nan: None})
    database.register("given_years", years)
    told = ", ".join(f"CAST({name} AS DOUBLE) AS {name}" for name in NAMES)
    database.execute(
        f"CREATE OR REPLACE TEMP TABLE years AS SELECT company_id, fiscal_year, {told}"
        " FROM given_years"
    )
    same(database, database.sql("FROM years ORDER BY company_id, fiscal_year").df())


def test_anything_but_arithmetic_is_refused() -> None:
    with pytest.raises(ValueError, match="not plain arithmetic"):
        arrays.evaluate("[1, 2]", {})
