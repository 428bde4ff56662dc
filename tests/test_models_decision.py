"""Thresholds and costs by hand, and against the least expected cost there can be."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.decision import cost_table, decide, threshold
from warehouse.errors import InputError

# Probability of bankruptcy, and who went bankrupt.
SAID = np.array([0.9, 0.6, 0.3, 0.2, 0.1, 0.02])
PROBA = np.column_stack([SAID, 0.5 * (1 - SAID), 0.5 * (1 - SAID)])
Y = np.array([0, 1, 0, 2, 1, 2])


def test_cost_table_by_hand() -> None:
    table = cost_table(Y, PROBA, 0, ratios=(1, 4, 50)).set_index("ratio")
    assert list(table["threshold"]) == [1 / 2, 1 / 5, 1 / 51]
    assert list(table["flagged"]) == [2, 4, 6]
    assert list(table["caught"]) == [1, 2, 2]
    assert list(table["missed"]) == [1, 0, 0]
    assert list(table["false_alarms"]) == [1, 2, 4]
    assert list(table["cost_per_row"]) == pytest.approx([2 / 6, 2 / 6, 4 / 6])
    assert list(table["cost_flag_all"]) == pytest.approx([4 / 6] * 3)
    assert list(table["cost_flag_none"]) == pytest.approx([2 / 6, 8 / 6, 100 / 6])
    # 2/6 against none (2/6); 2/6 against all (4/6); 4/6 against all (4/6).
    assert list(table["saving"]) == pytest.approx([0, 0.5, 0], abs=1e-12)


def test_the_default_ratios_and_order() -> None:
    table = cost_table(Y, PROBA, 0)
    assert list(table["ratio"]) == [1, 5, 10, 20, 50]
    assert table["flagged"].is_monotonic_increasing


def test_nothing_to_save_is_not_a_share() -> None:
    table = cost_table(np.array([1, 2]), PROBA[:2], 0, ratios=(5,))
    assert math.isnan(table["saving"][0])
    assert table["cost_per_row"][0] == 1.0  # both flagged, both false alarms
    assert table["cost_flag_none"][0] == 0.0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30), st.floats(0.01, 1000))
def test_no_decision_has_a_lower_expected_cost(said: list[float], ratio: float) -> None:
    p = np.array(said)
    flagged = decide(np.column_stack([1 - p, p]), 1, ratio)
    cost = np.where(flagged, 1 - p, p * ratio)
    assert cost == pytest.approx(np.minimum(1 - p, p * ratio), abs=1e-9)


@pytest.mark.parametrize("ratio", [0, -1, float("nan"), float("inf")])
def test_a_ratio_that_is_none_is_refused(ratio: float) -> None:
    with pytest.raises(InputError, match="cost ratio above 0"):
        threshold(ratio)


def test_rows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InputError, match="class code 0 to 2, got 3"):
        decide(PROBA, 3, 1)
    with pytest.raises(InputError, match="6 class codes"):
        cost_table(Y[:2], PROBA, 0)
    assert decide(PROBA[:0], 0, 1).shape == (0,)
