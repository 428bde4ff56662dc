"""Prediction sets: thresholds by hand, coverage on simulated rows and companies."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.conformal import ConformalSets, coverage_table
from warehouse.errors import InputError

CLASSES = ("bankrupt", "healthy")


def two(first) -> np.ndarray:
    first = np.asarray(first, dtype=float)
    return np.column_stack([first, 1 - first])


def test_thresholds_by_hand() -> None:
    own = [0.05, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95]
    proba = np.vstack([two(own), two([0.1, 0.3])])
    y = np.array([0] * 9 + [1] * 2)
    # (9 + 1) x 0.9 = 9: the lowest of nine; x 0.75 = 7.5, so the 8th of them from the top.
    assert ConformalSets.fit(proba, y, 0.9).thresholds == (0.05, 0.0)
    assert ConformalSets.fit(proba, y, 0.75).thresholds[0] == 0.2
    # Two rows of the other, 0.9 and 0.7: (2 + 1) x 0.6 = 1.8, so the 2nd.
    assert ConformalSets.fit(proba, y, 0.6).thresholds[1] == pytest.approx(0.7)


def test_each_company_has_one_vote() -> None:
    # Company a has 4 rows, b, c and d one each, of class 0. Votes in fifths, from the top:
    # b .9 (1), a .8 (1.25), a .7 (1.5), c .6 (2.5), a .5 (2.75), a .4 (3), d .3 (4).
    proba = two([0.8, 0.7, 0.5, 0.4, 0.9, 0.6, 0.3])
    groups = np.array(["a", "a", "a", "a", "b", "c", "d"])
    y = np.zeros(7, dtype=int)
    for coverage, expected in ((0.2, 0.9), (0.25, 0.8), (0.5, 0.6), (0.6, 0.4), (0.8, 0.3)):
        fitted = ConformalSets.fit(proba, y, coverage, groups)
        assert fitted.thresholds[0] == pytest.approx(expected), coverage
        assert fitted.counts == (4, 0)
    assert ConformalSets.fit(proba, y, 0.81, groups).thresholds[0] == 0.0


def test_too_few_rows_put_the_class_in_every_set_and_it_is_said() -> None:
    y = np.array([0] * 8 + [1] * 9)
    fitted = ConformalSets.fit(two(np.linspace(0.3, 0.9, 17)), y, 0.9)
    assert fitted.thresholds[0] == 0.0
    assert fitted.thresholds[1] > 0
    assert fitted.sets(two([0.0, 1.0])).tolist() == [[True, True], [True, False]]
    (said,) = fitted.notices(CLASSES)
    assert "'bankrupt' is in every prediction set" in said
    assert "90% needs 9 companies" in said
    assert said.endswith("here are 8")


def test_coverage_holds_in_each_class_of_exchangeable_rows() -> None:
    """Split conformal covers (k / (n + 1)) on average: 400 fits, within four standard errors."""
    random = np.random.default_rng(0)
    hits = np.zeros((400, 2))
    for trial in hits:
        y = np.repeat([0, 1], [40, 200])
        proba = two(random.beta(np.where(y == 0, 2.0, 1.0), np.where(y == 0, 3.0, 5.0)))
        fitted = ConformalSets.fit(proba, y, 0.8)
        for code, (a, b) in enumerate(((2.0, 3.0), (1.0, 5.0))):
            trial[code] = fitted.sets(two(random.beta(a, b, 500)))[:, code].mean()
    expected = np.array([33 / 41, 161 / 201])  # of 41 places 33, of 201 places 161
    error = hits.std(axis=0) / 20
    assert (np.abs(hits.mean(axis=0) - expected) < 4 * error).all()
    assert (error < 0.005).all()


def companies(random, count: int):
    """Companies of 1 row, or of 20 that do well: a class of one code."""
    sizes = np.where(random.random(count) < 0.5, 1, 20)
    groups = np.repeat(np.arange(count), sizes)
    level = random.normal(np.where(sizes == 20, 2.0, 0.0), 1.0)[groups]
    return two(1 / (1 + np.exp(-level - 0.3 * random.normal(size=len(groups))))), groups


def test_coverage_holds_for_companies_where_rows_of_one_are_alike() -> None:
    random = np.random.default_rng(1)
    covered = {"by company": [], "by row": []}
    for _ in range(200):
        proba, groups = companies(random, 49)
        unseen, owners = companies(random, 100)
        y = np.zeros(len(proba), dtype=int)
        for name, of in (("by company", groups.astype(str)), ("by row", None)):
            sets = ConformalSets.fit(proba, y, 0.9, of).sets(unseen)
            covered[name].append(pd.Series(sets[:, 0]).groupby(owners).mean().mean())
    assert 0.895 < np.mean(covered["by company"]) < 0.93
    assert np.mean(covered["by row"]) < 0.87


@settings(max_examples=60)
@given(
    st.integers(2, 6), st.integers(1, 60), st.integers(1, 20), st.integers(0, 10**6), st.booleans()
)
def test_sets_grow_with_coverage_and_order_does_not_matter(
    size: int, rows: int, owners: int, seed: int, grouped: bool
) -> None:
    random = np.random.default_rng(seed)
    proba, y = random.dirichlet(np.ones(size), rows).round(1), random.integers(0, size, rows)
    proba[:, -1] = 1 - proba[:, :-1].sum(axis=1)
    proba = np.abs(proba) / np.abs(proba).sum(axis=1, keepdims=True)
    groups = random.integers(0, owners, rows).astype(str) if grouped else None
    before = np.zeros((rows, size), dtype=bool)
    for coverage in (0.01, 0.3, 0.5, 0.8, 0.9, 0.99):
        fitted = ConformalSets.fit(proba, y, coverage, groups)
        sets = fitted.sets(proba)
        assert (before <= sets).all()
        before = sets
        order = random.permutation(rows)
        mixed = None if groups is None else groups[order]
        again = ConformalSets.fit(proba[order], y[order], coverage, mixed)
        assert again.thresholds == pytest.approx(fitted.thresholds)
        assert ConformalSets.from_json(json.loads(json.dumps(fitted.to_json()))) == fitted
        if grouped:
            continue
        for code in range(size):  # on the rows it is fitted on at least the share is covered
            own = y == code
            assert sets[own, code].sum() >= min(own.sum(), coverage * own.sum()) - 1e-9


def test_coverage_table_by_hand() -> None:
    y = np.array([0, 0, 0, 1, 1, 1])
    sets = np.array([[1, 0], [1, 1], [0, 1], [0, 0], [0, 1], [1, 1]], dtype=bool)
    table = coverage_table(y, sets, CLASSES).set_index("class")
    assert list(table.index) == ["bankrupt", "healthy", "all"]
    assert list(table["rows"]) == list(table["companies"]) == [3, 3, 6]
    assert list(table["covered"]) == pytest.approx([2 / 3] * 3)
    assert list(table["set_size"]) == pytest.approx([4 / 3, 1, 7 / 6])
    assert list(table["empty"]) == pytest.approx([0, 1 / 3, 1 / 6])
    assert list(table["singletons"]) == pytest.approx([2 / 3, 1 / 3, 1 / 2])
    # Wilson, 4 of 6, worked by hand: centre (4 + 1.92073) / (6 + 3.84146).
    assert table.loc["all", ["low", "high"]].mean() == pytest.approx(0.601612, abs=1e-5)
    grouped = coverage_table(y, sets, CLASSES, np.array(["a", "a", "b", "c", "c", "c"]))
    assert list(grouped["companies"]) == [2, 1, 3]
    # a is covered in both rows, b in none, c in two of three.
    assert list(grouped["by_company"]) == pytest.approx([1 / 2, 2 / 3, 5 / 9])
    assert tuple(grouped.loc[0, ["low", "high"]]) == (0.0, 1.0)
    assert tuple(grouped.loc[1, ["low", "high"]]) == pytest.approx((2 / 3, 2 / 3))


def test_a_class_that_does_not_occur_has_no_share() -> None:
    table = coverage_table(np.array([0, 0]), np.ones((2, 2), dtype=bool), CLASSES)
    assert table["rows"][1] == 0
    assert table.loc[1, ["covered", "low", "high", "set_size"]].isna().all()


GOOD = {"coverage": 0.9, "thresholds": [0.1, 0.5], "counts": [20, 200]}


@pytest.mark.parametrize(
    "change",
    [
        {"coverage": 0},
        {"coverage": 1},
        {"coverage": "0.9"},
        {"coverage": True},
        {"coverage": float("nan")},
        {"thresholds": [0.1]},
        {"thresholds": [0.1, -0.5]},
        {"thresholds": [0.1, 1.5]},
        {"thresholds": [0.1, None]},
        {"thresholds": [0.1] * 51},
        {"counts": [20]},
        {"counts": [20, -1]},
        {"counts": [20, 0.5]},
        {"more": 1},
    ],
    ids=str,
)
def test_nonsense_is_refused(change: dict[str, object]) -> None:
    assert ConformalSets.from_json(GOOD).thresholds == (0.1, 0.5)
    with pytest.raises(InputError, match="prediction sets"):
        ConformalSets.from_json({**GOOD, **change})


def test_rows_that_do_not_fit_are_refused() -> None:
    proba, y = two([0.5, 0.6]), np.array([0, 1])
    for coverage in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(InputError, match="coverage between 0 and 1"):
            ConformalSets.fit(proba, y, coverage)
    with pytest.raises(InputError, match="2 companies, one per row, got 1"):
        ConformalSets.fit(proba, y, 0.9, np.array(["a"]))
    with pytest.raises(InputError, match="sets of 2 classes"):
        ConformalSets.from_json(GOOD).sets(np.full((1, 3), 1 / 3))
    with pytest.raises(InputError, match="sets of 3 classes"):
        coverage_table(y, np.ones((2, 2), dtype=bool), ("a", "b", "c"))
