"""The data dictionary of the panel describes what the panel has, and nothing else."""

from __future__ import annotations

import pyarrow as pa
import pytest

from features import dataset
from features.columns import COLUMNS
from warehouse.dictionary import Column

BY_NAME = {column.name: column for column in COLUMNS}


@pytest.fixture(scope="module")
def panel() -> pa.Table:
    """A panel with every feature of 40 simulated companies."""
    with dataset.demo_warehouse(companies=40) as connection:
        return dataset.panel(connection, dataset.PanelRule(features="all"))


def test_every_column_of_the_panel_is_described_and_no_other(panel: pa.Table) -> None:
    assert [column.name for column in COLUMNS] == panel.column_names


def test_a_smaller_panel_has_described_columns_only() -> None:
    with dataset.demo_warehouse(companies=10) as connection:
        smaller = dataset.panel(connection)
    assert set(smaller.column_names) < set(BY_NAME)


TYPES = {
    "string": pa.types.is_string, "number": pa.types.is_floating, "integer": pa.types.is_integer,
    "boolean": pa.types.is_boolean, "date": pa.types.is_date,
}  # fmt: skip


def test_types_constraints_and_key_hold(panel: pa.Table) -> None:
    for column in COLUMNS:
        cells = panel[column.name]
        assert TYPES[column.type](cells.type), column.name
        assert not column.constraints.get("required") or cells.null_count == 0, column.name
        known = set(cells.to_pylist()) - {None}
        assert known <= set(column.choices or known), column.name
    key = [column.name for column in COLUMNS if column.role == "key"]
    assert key == ["company_id", "fiscal_year"]
    assert panel.group_by(key).aggregate([]).num_rows == panel.num_rows


@pytest.mark.parametrize("features", ["base", "trend", "all"])
def test_features_are_what_a_model_may_learn_from(features: dataset.Features) -> None:
    """All but X*, trend, score and company_age columns are metadata, never features."""
    names = dataset.feature_names(features)
    assert all(BY_NAME[name].role == "feature" for name in names)
    if features == "all":
        assert tuple(c.name for c in COLUMNS if c.role == "feature") == names


def test_labels_are_told_from_the_rest() -> None:
    assert [c.name for c in COLUMNS if c.role == "label"] == [
        "label", "fails_within_1y", "fails_within_2y", "fails_within_3y",
    ]  # fmt: skip


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.name)
def test_a_column_says_what_it_is(column: Column) -> None:
    assert len(column.meaning) > 3
    assert "|" not in column.meaning
    assert bool(column.unit) == (column.type == "number" or column.name == "months")
