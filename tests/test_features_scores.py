"""The published scores: worked by hand, the null rule, units, and that the table is sound."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import Row, loaded, rows_of, write_csv, year_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from features.ratios import reported_parts
from features.scores import (
    FUNCTIONS,
    SCORES,
    Score,
    score_inputs,
    score_reasons_sql,
    scores_sql,
    zone,
)
from warehouse import store
from warehouse.items import DERIVED, ITEMS, names_in

BEFORE, END = "2022-03-31", "2023-03-31"
BY_CODE = {score.code: score for score in SCORES}
CODES = list(BY_CODE)
PAIRS = [(score, name) for score in SCORES for name in score_inputs(score)]

# The worked company (INR crore): total assets 1000, current assets 420, current liabilities 400,
# other liabilities 280, shareholders' funds 300 of which share capital 50, minority interest 20,
# profit before tax 66, finance costs 45, depreciation 55, net profit 48, sales 800. So
#   working capital  420 - 400 = 20      total liabilities  280 + 400 = 680
#   ebit             66 + 45   = 111     total equity       300 + 20  = 320
#   retained         300 - 50  = 250     funds from operations  66 + 55 = 121
# The example has no net profit of the year before; 40 is added to it here.
NET_PROFIT_BEFORE = 40.0
BY_HAND = {
    # 3.25
    #   + 6.56 x 20/1000  = 0.1312
    #   + 3.26 x 250/1000 = 0.815
    #   + 6.72 x 111/1000 = 0.74592
    #   + 1.05 x 320/680  = 336/680 = 0.494117647059
    "altman_z_em": 3.25 + 0.1312 + 0.815 + 0.74592 + 0.494117647059,
    #   1.03 x 20/1000  = 0.0206
    # + 3.07 x 111/1000 = 0.34077
    # + 0.66 x 66/400   = 0.66 x 0.165 = 0.1089
    # + 0.4 x 800/1000  = 0.32
    "springate_s": 0.0206 + 0.34077 + 0.1089 + 0.32,
    # -4.336
    #   - 4.513 x 48/1000  = 0.216624
    #   + 5.679 x 680/1000 = 3.86172
    #   + 0.004 x 420/400  = 0.004 x 1.05 = 0.0042
    "zmijewski_x": -4.336 - 0.216624 + 3.86172 + 0.0042,
    # 0.057
    #   + 1.650 x 20/1000  = 0.033
    #   + 3.404 x 111/1000 = 0.377844
    #   - 0.016 x 48/1000  = 0.000768
    "grover_g": 0.057 + 0.033 + 0.377844 - 0.000768,
    # -1.32
    #   - 0.407 x ln 1000 = 0.407 x 6.907755278982 = 2.811456398546
    #   + 6.03 x 680/1000 = 4.1004
    #   - 1.43 x 20/1000  = 0.0286
    #   + 0.0757 x 400/420 = 30.28/420 = 0.072095238095
    #   - 1.72 x 0, as 680 is less than 1000
    #   - 2.37 x 48/1000  = 0.11376
    #   - 1.83 x 121/680  = 221.43/680 = 0.325632352941
    #   + 0.285 x 0, as both years made a profit
    #   - 0.521 x (48 - 40)/(48 + 40) = 0.521/11 = 0.047363636364
    "ohlson_o": (
        -1.32 - 2.811456398546 + 4.1004 - 0.0286 + 0.072095238095 - 0.11376 - 0.325632352941
        - 0.047363636364
    ),
}  # fmt: skip
ZONES = {
    "altman_z_em": "grey",  # 5.44 lies between 4.15 and 5.85
    "springate_s": "distress",  # 0.79 is below 0.862
    "zmijewski_x": "safe",  # -0.69 is below 0
    "grover_g": "safe",  # 0.47 is above 0.01
    "ohlson_o": "distress",  # -0.47 is above -3.23
}
# Reported items without which a derived one is missing.
PARTS_OF = {
    "working_capital": "current_assets",
    "ebit": "finance_costs",
    "total_equity": "shareholders_funds",
    "total_liabilities": "non_current_liabilities",
}


def score_id(value: object) -> str:
    return value.code if isinstance(value, Score) else str(value)


Items = Mapping[str, float]


@pytest.fixture(scope="module")
def items(worked: dict[str, dict[str, float]]) -> tuple[Items, Items]:
    """The worked company's year before and year."""
    return worked["previous_year"] | {"net_profit": NET_PROFIT_BEFORE}, worked["year"]


@dataclass(frozen=True)
class Computed:
    """Rows by company; reasons by company and code."""

    rows: dict[str, dict[str, object]]
    reasons: dict[tuple[str, str], str]


def without(values: Items, name: str) -> Items:
    assert name in values
    return {item: value for item, value in values.items() if item != name}


def companies(before: Items, year: Items) -> Iterator[Row]:
    """The worked company, and it with an item missing, with zeros, and otherwise changed."""

    def company(name: str, was: Items, now: Items, unit: str = "INR crore") -> Iterator[Row]:
        yield from year_rows(name, BEFORE, was, unit=unit)
        yield from year_rows(name, END, now, unit=unit)

    yield from company("whole", before, year)
    for name in year:
        yield from company(f"no {name}", before, without(year, name))
    yield from company("no prev_net_profit", without(before, "net_profit"), year)
    yield from company("zeros", dict.fromkeys(before, 0), dict.fromkeys(year, 0))
    yield from company("no debt", before, {**year, **dict.fromkeys(LIABILITIES, 0)})
    yield from company("no assets", before, {**year, "total_assets": 0})
    yield from company("below zero", before, {**year, "total_assets": -1000})
    yield from company("no profits", {**before, "net_profit": 0}, {**year, "net_profit": 0})
    yield from company("losses", {**before, "net_profit": -5}, {**year, "net_profit": -15})
    yield from company("one loss", before, {**year, "net_profit": -40})
    yield from company("owes more", before, {**year, "non_current_liabilities": 680})
    yield from year_rows("gap", "2021-03-31", before) + year_rows("gap", END, year)
    rupees = ({k: v * 1e7 for k, v in each.items()} for each in (before, year))
    yield from company("rupees", *rupees, unit="INR")


LIABILITIES = ("non_current_liabilities", "current_liabilities")


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory, items: tuple[Items, Items]) -> Computed:
    folder = tmp_path_factory.mktemp("scores")
    file = write_csv(folder / "made_up.csv", companies(*items))
    with loaded(folder / "w.duckdb", file) as connection:
        connection.execute("CREATE TEMP TABLE years AS FROM statements")
        rows = rows_of(connection, f"FROM ({scores_sql('years')}) WHERE fiscal_year = 2023")
        reasons = rows_of(connection, f"FROM ({score_reasons_sql('years')})")
    return Computed(
        {str(row["company_id"]): row for row in rows},
        {
            (str(row["company_id"]), str(row["code"])): str(row["reason"])
            for row in reasons
            if row["fiscal_year"] == 2023
        },
    )


@pytest.mark.parametrize("score", SCORES, ids=score_id)
def test_worked_by_hand(score: Score, computed: Computed) -> None:
    by_hand = BY_HAND[score.code]
    assert computed.rows["whole"][score.code] == pytest.approx(by_hand, abs=1e-9)
    assert score.example == pytest.approx(by_hand, abs=1e-11)
    assert ("whole", score.code) not in computed.reasons


def test_the_codes() -> None:
    assert list(BY_HAND) == CODES


@pytest.mark.parametrize("score", SCORES, ids=score_id)
def test_zone_of_the_worked_example(score: Score) -> None:
    assert zone(score, score.example) == ZONES[score.code]


@pytest.mark.parametrize("score", SCORES, ids=score_id)
def test_cut_offs_and_references(score: Score) -> None:
    side = 1 if score.safer == "above" else -1
    assert side * score.distress <= side * score.safe
    assert zone(score, score.distress) == "distress"
    assert zone(score, score.distress - side) == "distress"
    assert zone(score, score.safe + side) == "safe"
    between = (score.distress + score.safe) / 2
    assert zone(score, between) == ("distress" if score.distress == score.safe else "grey")
    # Author, year, and pages; two of the works were never published and have none.
    assert re.match(r"[A-Z]\. [^()]+ \((19|20)\d\d\), \w+", score.reference)
    assert re.search(r"\d+-\d+|\(no pages\)", score.reference)


@pytest.mark.parametrize(
    ("code", "constant", "coefficients", "cut_offs"),
    [
        ("altman_z_em", 3.25, [6.56, 3.26, 6.72, 1.05], (4.15, 5.85)),
        ("springate_s", 0, [1.03, 3.07, 0.66, 0.4], (0.862, 0.862)),
        ("zmijewski_x", -4.336, [-4.513, 5.679, 0.004], (0, 0)),
        ("grover_g", 0.057, [1.65, 3.404, -0.016], (-0.02, 0.01)),
        (
            "ohlson_o", -1.32,
            [-0.407, 6.03, -1.43, 0.0757, -1.72, -2.37, -1.83, 0.285, -0.521],
            (pytest.approx(math.log(0.038 / 0.962), abs=1e-4),) * 2,
        ),
    ],
)  # fmt: skip
def test_figures_as_published(
    code: str, constant: float, coefficients: list[float], cut_offs: tuple[float, float]
) -> None:
    score = BY_CODE[code]
    assert score.constant == constant
    assert [term.coefficient for term in score.terms] == coefficients
    assert (score.distress, score.safe) == cut_offs


@pytest.mark.parametrize(("score", "name"), PAIRS, ids=score_id)
def test_missing_input_is_null_and_named(score: Score, name: str, computed: Computed) -> None:
    gone = PARTS_OF.get(name, name)
    assert computed.rows[f"no {gone}"][score.code] is None
    assert computed.reasons[f"no {gone}", score.code] in {
        f"missing {item}" for item in (gone, name)
    }


def test_missing_item_leaves_the_other_scores_alone(computed: Computed) -> None:
    row = computed.rows["no equity_share_capital"]
    assert [code for code in CODES if row[code] is None] == ["altman_z_em"]
    for company in ("no prev_net_profit", "no depreciation", "gap"):
        row = computed.rows[company]
        assert [code for code in CODES if row[code] is None] == ["ohlson_o"], company


def test_previous_period_is_null_across_a_gap(computed: Computed) -> None:
    assert computed.reasons["gap", "ohlson_o"] == "missing prev_net_profit"


@pytest.mark.parametrize("score", SCORES, ids=score_id)
def test_zero_denominator_is_null_and_says_so(score: Score, computed: Computed) -> None:
    for company in ("zeros", "no assets"):
        assert computed.rows[company][score.code] is None
        assert computed.reasons[company, score.code] == "zero denominator"


def test_only_scores_over_a_zero_are_null(computed: Computed) -> None:
    def null(company: str) -> list[str]:
        return [code for code in CODES if computed.rows[company][code] is None]

    # Grover's is over total assets only; Ohlson's change is over the sizes of both net profits.
    assert null("no debt") == ["altman_z_em", "springate_s", "zmijewski_x", "ohlson_o"]
    assert null("no profits") == ["ohlson_o"]
    assert computed.reasons["no profits", "ohlson_o"] == "zero denominator"


def test_logarithm_of_assets_below_zero_is_null_and_says_so(computed: Computed) -> None:
    assert computed.rows["below zero"]["ohlson_o"] is None
    reason = computed.reasons["below zero", "ohlson_o"]
    assert reason == "logarithm of total_assets not above zero"
    # 0.057 + 1.650 x 20/-1000 + 3.404 x 111/-1000 - 0.016 x 48/-1000
    by_hand = 0.057 - 0.033 - 0.377844 + 0.000768
    assert computed.rows["below zero"]["grover_g"] == pytest.approx(by_hand, abs=1e-9)


def test_losses_of_two_years_by_hand(computed: Computed) -> None:
    # Against the worked company: net profit -15 after -5.
    #   -2.37 x (-15 - 48)/1000 = 0.14931; INTWO 0.285
    #   CHIN (-15 + 5)/(15 + 5) = -0.5: -0.521 x (-0.5 - 1/11) = 0.307863636364
    by_hand = BY_HAND["ohlson_o"] + 0.14931 + 0.285 + 0.307863636364
    assert computed.rows["losses"]["ohlson_o"] == pytest.approx(by_hand, abs=1e-9)


def test_one_loss_is_not_two(computed: Computed) -> None:
    # Net profit -40 after 40: -2.37 x (-40 - 48)/1000 = 0.20856; CHIN (-40 - 40)/80 = -1.
    by_hand = BY_HAND["ohlson_o"] + 0.20856 + 0.521 * (1 + 1 / 11)
    assert computed.rows["one loss"]["ohlson_o"] == pytest.approx(by_hand, abs=1e-9)


def test_owing_more_than_is_owned_by_hand(computed: Computed) -> None:
    # Other liabilities 680 instead of 280, so 1080 are owed of 1000:
    #   6.03 x 400/1000 = 2.412; OENEG -1.72; -1.83 x (121/1080 - 121/680)
    by_hand = BY_HAND["ohlson_o"] + 2.412 - 1.72 - 1.83 * (121 / 1080 - 121 / 680)
    assert computed.rows["owes more"]["ohlson_o"] == pytest.approx(by_hand, abs=1e-9)


def test_same_values_in_rupees(computed: Computed) -> None:
    found = {code: computed.rows["rupees"][code] for code in CODES}
    assert found == pytest.approx(BY_HAND, abs=1e-9)


def test_scores_of_amounts_in_another_unit(tmp_path: Path, items: tuple[Items, Items]) -> None:
    """'Size is ln(total assets in INR crore)': in any other unit it alone would move."""
    times = 250.0
    rows = [
        row
        for end, values in zip((BEFORE, END), items, strict=True)
        for row in year_rows("acme", end, {k: v * times for k, v in values.items()})
    ]
    with loaded(tmp_path / "w.duckdb", write_csv(tmp_path / "s.csv", rows)) as connection:
        (row,) = rows_of(connection, f"FROM ({scores_sql('statements')}) WHERE fiscal_year = 2023")
    expected = BY_HAND | {"ohlson_o": BY_HAND["ohlson_o"] - 0.407 * math.log(times)}
    assert {code: row[code] for code in CODES} == pytest.approx(expected, abs=1e-9)


AMOUNTS = st.one_of(
    st.sampled_from([0.0, -0.0, 5e-324, -1e-300, 1e-12, 1.0, 1e300, -1e300]),
    st.floats(-1e9, 1e9, allow_nan=False),
)
INPUTS = {name for score in SCORES for name in score_inputs(score)}
COLUMNS = sorted({part for name in INPUTS for part in (name, *reported_parts(name))})
# All inputs but up to two of them, so that many rows have a score.
YEAR = st.builds(
    lambda values, gone: values | dict.fromkeys(gone),
    st.fixed_dictionaries(dict.fromkeys(COLUMNS, AMOUNTS)),
    st.sets(st.sampled_from(COLUMNS), max_size=2),
)
SCHEMA = pa.schema(
    [("company_id", "string"), ("fiscal_year", "int64"), *((name, "float64") for name in COLUMNS)]
)


@pytest.fixture(scope="module")
def memory() -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() as connection:
        yield connection


def sign(x: float) -> int:
    return (x > 0) - (x < 0)


def by_python(score: Score, row: dict[str, object]) -> float | None:
    """The value of a score by Python's arithmetic instead of the database's."""
    if any(row[name] is None for name in score_inputs(score)):
        return None
    names = {"__builtins__": {}, "abs": abs, "ln": math.log, "sign": sign}
    total = score.constant
    for term in score.terms:
        under = eval(term.denominator, names, row)
        if not under or ("ln(" in term.numerator and float(str(row["total_assets"])) <= 0):
            return None
        total += term.coefficient * (eval(term.numerator, names, row) / under)
    return total if math.isfinite(total) else None


@settings(max_examples=25)
@given(years=st.lists(YEAR, min_size=1, max_size=9))
def test_never_infinite_and_the_same_in_python(
    years: list[dict[str, float | None]], memory: duckdb.DuckDBPyConnection
) -> None:
    """'NULL where an input is missing, a denominator is zero or the result is not finite'."""
    rows = [{"company_id": "acme", "fiscal_year": n, **year} for n, year in enumerate(years)]
    memory.register("years", pa.Table.from_pylist(rows, schema=SCHEMA))
    reasons = {
        (row["fiscal_year"], row["code"]) for row in rows_of(memory, score_reasons_sql("years"))
    }
    for row in rows_of(memory, scores_sql("years")):
        for score in SCORES:
            found, value = row[score.code], by_python(score, row)
            assert (found is None) == (value is None), score.code
            assert ((row["fiscal_year"], score.code) in reasons) == (found is None)
            if isinstance(found, float) and value is not None:
                assert math.isfinite(found)
                assert math.isclose(found, value, rel_tol=1e-9, abs_tol=1e-9)


def test_every_column_of_the_source_is_kept(computed: Computed) -> None:
    names = list(computed.rows["whole"])
    assert names[-len(CODES) :] == CODES
    assert {item.name for item in ITEMS} | {derived.name for derived in DERIVED} <= set(names)


def test_only_named_functions_may_be_called() -> None:
    known = frozenset({"sales"})
    assert names_in("ln(sales) + abs(sales)", known, FUNCTIONS) == ("sales",)
    for expression in ("exp(sales)", "ln(sales, 2)", "ln()", "ln(x=sales)", "sales.ln(1)", "ln"):
        with pytest.raises(ValueError, match=r"is not plain arithmetic|unknown item"):
            names_in(expression, known, FUNCTIONS)
    with pytest.raises(ValueError, match="Call is not plain arithmetic"):
        names_in("ln(sales)", known)


@pytest.mark.parametrize(
    ("numerator", "why"),
    [
        ("goodwill", "unknown item 'goodwill'"),
        ("exp(sales)", "Call is not plain arithmetic"),
        ("ln(sales - cash)", "a logarithm of anything but one item"),
    ],
)
def test_what_cannot_be_computed_is_refused(numerator: str, why: str) -> None:
    score = SCORES[0]
    term = replace(score.terms[0], numerator=numerator)
    with pytest.raises(ValueError, match=why):
        score_inputs(replace(score, terms=(term,)))
