"""The ratios: the worked example, the null rule, units, and that the table is sound."""

from __future__ import annotations

import csv
import itertools
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import Row, loaded, rows_of, write_csv, year_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from features.labels import LabelRule, labels_sql
from features.ratios import RATIOS, Ratio, inputs, ratios_sql, reasons_sql
from features.scores import SCORES, score_inputs
from warehouse import formats, store
from warehouse.importers import import_table
from warehouse.items import DERIVED, DERIVED_NAMES, ITEM_NAMES, ITEMS, PREVIOUS, names_in

BEFORE, END = "2022-03-31", "2023-03-31"
COGS = (
    "cost_of_materials",
    "purchases_of_stock",
    "operating_and_direct_expenses",
    "changes_in_inventories",
)
# Reported items without which a derived item is missing, by the definitions of the paper.
PARTS_OF = {
    "total_liabilities": ("non_current_liabilities",),
    "total_equity": ("shareholders_funds",),
    "total_debt": ("long_term_borrowings", "short_term_borrowings"),
    "working_capital": ("current_assets",),
    "quick_assets": ("cash",),
    "short_term_liabilities": ("current_liabilities",),
    "gross_profit": COGS,
    "operating_profit": ("employee_benefits",),
    "operating_income": ("depreciation",),
    "operating_expenses": ("total_expenses",),
    "ebit": ("finance_costs",),
    "capital_employed": ("total_assets",),
}
UNITS = {"INR": 1e7, "INR thousand": 1e4, "INR lakh": 100, "INR million": 10, "INR crore": 1}
PAIRS = [(ratio, name) for ratio in RATIOS for name in inputs(ratio)]


def ratio_id(value: object) -> str:
    return value.code if isinstance(value, Ratio) else str(value)


@dataclass(frozen=True)
class Computed:
    """Rows by company; reasons by company and code."""

    rows: dict[str, dict[str, object]]
    reasons: dict[tuple[str, str], str]


def without(items: dict[str, float], gone: tuple[str, ...]) -> dict[str, float]:
    assert set(gone) <= set(items)
    return {name: value for name, value in items.items() if name not in gone}


def companies(before: dict[str, float], year: dict[str, float]) -> Iterator[Row]:
    """The worked company, and it with an item missing, with zeros, and in other units."""

    def company(name: str, was: dict[str, float], now: dict[str, float], **more: object) -> None:
        rows.extend(year_rows(name, BEFORE, was, **more) + year_rows(name, END, now, **more))

    rows: list[Row] = []
    company("whole", before, year)
    for name in year:
        company(f"no {name}", before, without(year, (name,)))
    for name, gone in PARTS_OF.items():
        company(f"no {name}", before, without(year, gone))
    for name in before:
        company(f"no prev_{name}", without(before, (name,)), year)
    company("zeros", dict.fromkeys(before, 0), dict.fromkeys(year, 0))
    company("no slack", before, year | {"current_assets": 400, "current_liabilities": 400})
    for unit, size in UNITS.items():
        was, now = ({k: v * size for k, v in items.items()} for items in (before, year))
        company(unit, was, now, unit=unit)
    return iter(rows)


@pytest.fixture(scope="module")
def computed(
    tmp_path_factory: pytest.TempPathFactory, worked: dict[str, dict[str, float]]
) -> Computed:
    folder = tmp_path_factory.mktemp("ratios")
    file = write_csv(folder / "made_up.csv", companies(worked["previous_year"], worked["year"]))
    with loaded(folder / "w.duckdb", file) as connection:
        connection.execute("CREATE TEMP TABLE years AS FROM statements")
        rows = rows_of(connection, f"FROM ({ratios_sql('years')}) WHERE fiscal_year = 2023")
        reasons = rows_of(connection, f"FROM ({reasons_sql('years')}) WHERE fiscal_year = 2023")
    return Computed(
        {str(row["company_id"]): row for row in rows},
        {(str(row["company_id"]), str(row["code"])): str(row["reason"]) for row in reasons},
    )


@pytest.mark.parametrize("ratio", RATIOS, ids=ratio_id)
def test_worked_example(
    ratio: Ratio, computed: Computed, worked: dict[str, dict[str, float]]
) -> None:
    by_hand = worked["ratios"][ratio.code]
    assert computed.rows["whole"][ratio.code] == pytest.approx(by_hand, rel=1e-9, abs=1e-9)
    assert ratio.example == by_hand
    assert ("whole", ratio.code) not in computed.reasons


def test_worked_example_has_every_ratio(
    computed: Computed, worked: dict[str, dict[str, float]]
) -> None:
    codes = [f"X{n}" for n in range(1, 63)]
    assert [ratio.code for ratio in RATIOS] == codes == list(worked["ratios"])
    assert computed.rows["whole"]["n_missing"] == 0
    assert computed.rows["whole"]["n_negative_denominators"] == 0


@pytest.mark.parametrize(("ratio", "name"), PAIRS, ids=ratio_id)
def test_missing_input_is_null_and_named(ratio: Ratio, name: str, computed: Computed) -> None:
    company = f"no {name}"
    assert computed.rows[company][ratio.code] is None
    # The reason names the input or the reported item behind it that is not there.
    named = {name, *PARTS_OF.get(name, ())}
    assert computed.reasons[company, ratio.code] in {f"missing {item}" for item in named}


def test_missing_item_leaves_the_other_ratios_alone(
    computed: Computed, worked: dict[str, dict[str, float]]
) -> None:
    row = computed.rows["no dividends"]
    assert [ratio.code for ratio in RATIOS if row[ratio.code] is None] == ["X32"]
    assert row["n_missing"] == 1
    row = computed.rows["no prev_inventories"]
    assert [ratio.code for ratio in RATIOS if row[ratio.code] is None] == ["X22"]


@pytest.mark.parametrize("ratio", RATIOS, ids=ratio_id)
def test_zero_denominator_is_null_and_says_so(ratio: Ratio, computed: Computed) -> None:
    assert computed.rows["zeros"][ratio.code] is None
    assert computed.reasons["zeros", ratio.code] == "zero denominator"


def test_only_the_ratios_over_a_zero_are_null(computed: Computed) -> None:
    row = computed.rows["no slack"]
    null = [ratio.code for ratio in RATIOS if row[ratio.code] is None]
    assert null == ["X53", "X62"]  # those over working capital
    assert row["n_missing"] == 2
    assert row["X14"] == 0  # a zero numerator is a value


@pytest.mark.parametrize("unit", UNITS)
def test_same_values_in_every_unit(
    unit: str, computed: Computed, worked: dict[str, dict[str, float]]
) -> None:
    row = computed.rows[unit]
    found = {ratio.code: row[ratio.code] for ratio in RATIOS}
    assert found == pytest.approx(worked["ratios"], rel=1e-9, abs=1e-9)
    # 1,000 crore of assets, whatever they were written in.
    assert row["total_assets"] == pytest.approx(1000, rel=1e-12)


def test_negative_denominators_are_kept_and_counted(db: Path, tmp_path: Path) -> None:
    items = {"shareholders_funds": -50, "current_liabilities": 40, "non_current_liabilities": 60}
    file = write_csv(tmp_path / "s.csv", year_rows("acme", END, items))
    with loaded(db, file) as connection:
        (row,) = rows_of(connection, ratios_sql("statements"))
    assert row["X4"] == -2  # 100 / -50
    assert row["X50"] == pytest.approx(-1.2)  # 60 / -50
    assert row["n_negative_denominators"] == 2


AMOUNTS = st.none() | st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, -1e-300, 1e-12, 1.0, 1e9, -1e9]),
    st.floats(-1e9, 1e9, allow_nan=False),
)
YEARS = st.lists(st.fixed_dictionaries({i.name: AMOUNTS for i in ITEMS}), min_size=2, max_size=6)
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        yield connection


def by_python(ratio: Ratio, row: dict[str, object]) -> float | None:
    """The value of a ratio by Python's arithmetic instead of the database's."""
    if any(row[name] is None for name in inputs(ratio)):
        return None
    over = eval(ratio.denominator, {"__builtins__": {}}, row)
    value = eval(ratio.numerator, {"__builtins__": {}}, row) / over if over else math.nan
    return value if math.isfinite(value) else None


@settings(max_examples=7)
@given(years=YEARS)
def test_never_infinite_and_the_same_in_python(
    years: list[dict[str, float | None]], memory: duckdb.DuckDBPyConnection
) -> None:
    rows = [
        row
        for n, items in enumerate(years)
        for row in year_rows("acme", f"{2001 + n}-03-31", items)
        if row["value"] is not None
    ] + year_rows("acme", "2000-03-31", {"cash": 1.0})
    memory.execute("DELETE FROM statement_line")
    table = pa.Table.from_pylist(rows)
    import_table(memory, formats.STATEMENTS, table, f"example {next(NUMBERS)}")
    memory.execute("CREATE OR REPLACE TEMP TABLE years AS FROM statements")
    for row in rows_of(memory, ratios_sql("years")):
        expected = {ratio.code: by_python(ratio, row) for ratio in RATIOS}
        for code, value in expected.items():
            found = row[code]
            assert (found is None) == (value is None), code
            assert found is None or math.isfinite(found)
            assert found is None or math.isclose(found, value, rel_tol=1e-12)
        assert row["n_missing"] == sum(value is None for value in expected.values())


def test_inputs_exist_and_previous_is_what_ratios_scores_and_labels_use() -> None:
    ratios = {name for ratio in RATIOS for name in inputs(ratio)}
    scores = {name for score in SCORES for name in score_inputs(score)}
    labels = set(re.findall(r"\bprev_\w+", labels_sql("statements", LabelRule(distress="rule"))))
    used = ratios | scores | labels
    previous = {name.removeprefix("prev_") for name in used if name.startswith("prev_")}
    assert previous == set(PREVIOUS)
    assert previous <= ITEM_NAMES | DERIVED_NAMES
    assert {n for n in used if not n.startswith("prev_")} <= ITEM_NAMES | DERIVED_NAMES


def test_every_derived_item_is_used() -> None:
    used = {name for ratio in RATIOS for name in inputs(ratio)}
    for derived in DERIVED:
        used |= set(names_in(derived.definition, ITEM_NAMES | DERIVED_NAMES))
    assert used >= DERIVED_NAMES


def test_ratios_are_those_of_the_specification(shared: Path) -> None:
    with (shared / "spec/ratios.csv").open(newline="", encoding="utf-8") as file:
        theirs = [
            (
                row["code"],
                row["numerator"],
                row["denominator"],
                row["category"],
                row["formula_as_printed"],
                row["references_in_paper"],
            )
            for row in csv.DictReader(file)
        ]
    ours = [
        (r.code, r.numerator, r.denominator, r.category, r.printed, r.references) for r in RATIOS
    ]
    assert ours == theirs


def test_derived_items_are_those_of_the_specification(shared: Path) -> None:
    with (shared / "spec/derived_items.csv").open(newline="", encoding="utf-8") as file:
        theirs = [(row["item"], row["definition"]) for row in csv.DictReader(file)]
    assert [(d.name, d.definition) for d in DERIVED] == theirs


def test_worked_example_is_that_of_the_specification(
    shared: Path, worked: dict[str, dict[str, float]]
) -> None:
    theirs = json.loads((shared / "spec/worked_example_inputs.json").read_text(encoding="utf-8"))
    assert worked["year"] == theirs["year"]
    assert worked["previous_year"] == theirs["previous_year"]
    text = (shared / "spec/worked_example_ratios.json").read_text(encoding="utf-8")
    assert worked["ratios"] == json.loads(text)
