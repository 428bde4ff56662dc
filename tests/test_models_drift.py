"""Drift: PSI worked by hand, what never counts as drift, and what always must."""

from __future__ import annotations

import json
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.drift import FEW_ROWS, drift, psi, reference_of

TEN = {"deciles": [float(n) for n in range(1, 10)], "missing": 0.25}
"""Ten bins of a tenth: up to 1, to 2 ... to 9, above."""


def _one(reference: dict[str, object], values: list[float]):  # type: ignore[no-untyped-def]
    return drift({"X1": reference}, pd.DataFrame({"X1": values})).features[0]


def _rows(counts: list[int]) -> list[float]:
    """So many values in each of the ten bins of `TEN`."""
    return [place + 0.5 for place, count in enumerate(counts) for _ in range(count)]


@pytest.mark.parametrize(
    ("counts", "expected", "verdict"),
    [
        ([20] * 10, 0.0, "none"),
        # 0.15 and 0.05 of two tenths: 0.05 ln 1.5 - 0.05 ln 0.5 = 0.0202733 + 0.0346574.
        ([30, 10, *[20] * 8], 0.0549306, "none"),
        # The same four times: 0.2197225.
        ([30, 10, 30, 10, 30, 10, 30, 10, 20, 20], 0.2197225, "some"),
        # Half the rows in one bin, a tenth in the next, a twentieth in each of the eight others:
        # 0.4 ln 5 + 8 * 0.05 ln 2 = 0.6437752 + 0.2772589.
        ([100, 20, *[10] * 8], 0.9210340, "large"),
    ],
)
def test_psi_by_hand(counts: list[int], expected: float, verdict: str) -> None:
    one = _one(TEN, _rows(counts))
    assert one.psi == pytest.approx(expected, abs=1e-6)
    assert (one.verdict, one.rows) == (verdict, 200)


def test_an_empty_bin_counts_as_half_a_row() -> None:
    """0.2 and 0 of two tenths in 200 rows: 0.1 ln 2 + (0.1 - 0.0025) ln 40."""
    expected = 0.1 * math.log(2) + 0.0975 * math.log(40)
    assert _one(TEN, _rows([40, 0, *[20] * 8])).psi == pytest.approx(expected)
    assert psi(np.array([1.0, 0.0]), np.array([0.5, 0.5]), 0.5) == pytest.approx(0.5 * math.log(2))


def test_distance_by_hand() -> None:
    """0.3, 0.4, 0.45 of the rows up to the first three deciles, of 0.1, 0.2, 0.3: 0.2 apart."""
    one = _one(TEN, _rows([60, 20, 10, 10, *[20, 20, 20, 20, 10, 10]]))
    assert one.ks == pytest.approx(0.2)
    # Of one feature, chance explains up to sqrt(ln(2 / 0.01) / 400) = 0.1151.
    assert one.beyond_chance
    assert not _one(TEN, _rows([42, 20, 20, 20, 20, 20, 20, 20, 18, 0])).beyond_chance


def test_few_rows_are_not_told_but_for_what_is_beyond_chance() -> None:
    some = drift({"X1": TEN}, pd.DataFrame({"X1": _rows([2] * 10)}))
    assert (some.features[0].verdict, some.features[0].psi) == ("too few rows to tell", None)
    assert some.words() == "too few rows to tell (20; 200 are needed)"
    # All of 20 in one bin: 0.9 apart, where chance explains sqrt(ln(200) / 40) = 0.364.
    all_low = drift({"X1": TEN}, pd.DataFrame({"X1": [0.5] * 20}))
    assert all_low.words().endswith("but beyond chance: X1 KS 0.90")
    assert drift({"X1": TEN}, pd.DataFrame({"X1": []})).words().startswith("too few rows")


def test_missing_shares_are_compared() -> None:
    """100 of 300 are missing, a quarter in training: 8 points; of 400, 200 are: 25 points."""
    values = _rows([20] * 10)
    frame = pd.DataFrame({"X1": [*values, *[np.nan] * 100]})
    found = drift({"X1": TEN}, frame)
    assert found.features[0].missing == pytest.approx(1 / 3)
    assert (found.gaps, found.words()) == ((), "none shifted")
    found = drift({"X1": TEN}, pd.DataFrame({"X1": [*values, *[np.nan] * 200]}))
    assert found.gaps[0].missing_training == 0.25
    assert found.words() == "none shifted; 1 missing more or less often"


def test_a_constant_feature_works_both_ways() -> None:
    kept = reference_of(pd.DataFrame({"X1": [5.0] * 50}))["X1"]
    assert kept["deciles"] == [5.0] * 9
    assert _one(kept, [5.0] * 300).psi == 0
    for other in (4.0, 6.0):
        assert _one(kept, [other] * 300).verdict == "large"


def test_a_feature_that_is_mostly_zero_and_falls_below_is_seen() -> None:
    kept = reference_of(pd.DataFrame({"X1": [0.0] * 60 + [float(n) for n in range(1, 41)]}))["X1"]
    now = [-1.0] * 180 + [float(n) for n in range(1, 41)] * 3
    assert _one(kept, now).verdict == "large"


def test_a_feature_that_training_never_saw_has_no_verdict() -> None:
    kept = reference_of(pd.DataFrame({"X1": [np.nan] * 9}))["X1"]
    assert (kept["deciles"], kept["missing"]) == ([], 1.0)
    assert _one(kept, [1.0] * 300).verdict == "no training values"
    # And one that is there no more has no value to compare.
    gone = _one(TEN, [np.nan] * 300)
    assert (gone.verdict, gone.missing) == ("too few rows to tell", 1.0)


def test_only_features_that_both_have_are_compared() -> None:
    frame = pd.DataFrame({"X1": [1.0] * 3, "other": [1.0] * 3})
    assert [one.feature for one in drift({"X1": TEN, "X2": TEN}, frame).features] == ["X1"]


# Few distinct values, so that there are ties; some are missing.
VALUES = st.lists(
    st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6)), min_size=1
)


@settings(max_examples=60)
@given(VALUES)
def test_the_training_rows_themselves_have_not_drifted(values: list[float | None]) -> None:
    X = pd.DataFrame({"X1": np.array(values * FEW_ROWS, dtype=np.float64)})
    kept = json.loads(json.dumps(reference_of(X), allow_nan=False))
    (one,) = drift(kept, X).features
    assert one.psi in (0, None)
    assert one.ks in (None, pytest.approx(0, abs=1e-9))
    assert one.missing == one.missing_training
    assert not one.shifted


@settings(max_examples=20)
@given(VALUES, st.randoms(use_true_random=False))
def test_the_order_of_rows_says_nothing(values: list[float | None], random: object) -> None:
    training = pd.DataFrame({"X1": np.arange(100.0)})
    rows = np.array(values * 40, dtype=np.float64)
    mixed = np.array(random.sample(list(rows), len(rows)))  # type: ignore[attr-defined]
    one, other = (drift(reference_of(training), pd.DataFrame({"X1": r})) for r in (rows, mixed))
    assert one == other


@pytest.mark.parametrize("seed", range(3))
def test_the_shifted_feature_is_named_and_no_other(seed: int) -> None:
    random = np.random.default_rng(seed)
    names = [f"X{n}" for n in range(1, 13)]
    reference = reference_of(pd.DataFrame(random.normal(size=(3000, 12)), columns=names))
    now = pd.DataFrame(random.normal(size=(1000, 12)), columns=names)
    assert drift(reference, now).shifted == ()
    now["X7"] += 1
    found = drift(reference, now)
    assert [one.feature for one in found.shifted] == ["X7"]
    assert found.features[0].verdict == "large"
    assert found.words().startswith("1 of 12 features shifted (X7 ")
    # Fewer rows say it too, though not by PSI.
    few = drift(reference, now.head(150))
    assert [one.feature for one in few.shifted] == ["X7"]
