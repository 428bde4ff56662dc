"""Which point meets which fold, and who wins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.racing import KEEPS, Point, Race, Try, keeps_of, race
from models.search import FOLDS

Scores = Callable[[int, int], tuple[float, float]]


def points(count: int) -> list[Point]:
    return [Point({"number": number}) for number in range(count)]


def raced(count: int, folds: int, keeps: tuple[int, ...], scores: Scores):
    """The race where `scores` gives macro-F1 and log loss of a point's number on a fold."""
    met: list[tuple[int, int]] = []

    def attempt(point: Point, fold: int) -> Try:
        met.append((point.params["number"], fold))
        return Try(np.full((1, 2), fold), None, *scores(*met[-1]))

    return race(points(count), folds, keeps, attempt), met


def numbers(found: Race) -> list[int]:
    return [point.params["number"] for point in found.shortlist]


def test_eight_points_race_over_five_folds() -> None:
    """By hand: the order 5, 2, 7 after the first fold turns into 7, 2 and then 2."""
    first = {5: 0.59, 2: 0.58, 7: 0.57}
    later = {(5, 1): 0.51, (2, 1): 0.56, (7, 1): 0.58, (2, 2): 0.59, (7, 2): 0.52}

    def scores(number: int, fold: int) -> tuple[float, float]:
        return (first.get(number, 0.51) if fold == 0 else later.get((number, fold), 0.5)), 1.0

    found, met = raced(8, 5, (3, 2, 1), scores)
    assert met == [
        *((number, 0) for number in range(8)),
        *((5, 1), (2, 1), (7, 1)),
        *((7, 2), (2, 2)),
        *((2, 3), (2, 4)),
    ]  # fmt: skip
    assert found.winner.params == {"number": 2}
    assert numbers(found) == [7, 2], "the two that were left together"
    assert [one.macro_f1 for one in found.tries] == [0.58, 0.56, 0.59, 0.5, 0.5]
    assert [one.proba[0, 0] for one in found.tries] == [0, 1, 2, 3, 4]


def test_equal_f1_is_settled_by_log_loss_and_then_by_the_table() -> None:
    losses = {0: 0.7, 1: 0.5, 2: 0.5}
    found, _ = raced(3, 2, (1,), lambda number, fold: (0.6, losses[number]))
    assert found.winner.params == {"number": 1}
    found, _ = raced(3, 2, (), lambda number, fold: (0.6, 0.5))
    assert found.winner.params == {"number": 0}


def test_without_folds_the_first_point_wins_untried() -> None:
    found, met = raced(3, 0, (3, 2, 1), lambda number, fold: (float(number), 0.0))
    assert (found.winner.params, found.tries, met) == ({"number": 0}, (), [])
    assert numbers(found) == [0, 1, 2]


def test_all_points_run_all_folds_where_nothing_is_dropped() -> None:
    found, met = raced(3, 2, (), lambda number, fold: (number / 50, 0.0))
    assert len(met) == 6
    assert found.winner.params == {"number": 2}
    assert numbers(found) == [2, 1]


def test_learners_without_rounds_are_cut_later() -> None:
    assert keeps_of("full", rounds=True, listed=False) == (3, 2, 1)
    assert keeps_of("full", rounds=True, listed=True) == keeps_of("quick", True, False) == (1,)
    assert keeps_of("full", rounds=False, listed=False) == (None, 4, 2)
    assert keeps_of("full", rounds=False, listed=True) == keeps_of("quick", False, True) == ()


def test_a_point_far_behind_is_dropped_and_one_less_so_is_not() -> None:
    """By hand: after the second fold point 1 is 0.11 behind on average, point 2 still 0.09."""
    first, second = {0: 0.6, 1: 0.53, 2: 0.6}, {0: 0.6, 1: 0.45, 2: 0.42}
    found, met = raced(3, 3, (), lambda number, fold: ((first, second, second)[fold][number], 1.0))
    assert met == [(0, 0), (1, 0), (2, 0), (0, 1), (2, 1), (1, 1), (0, 2), (2, 2)]
    assert found.winner.params == {"number": 0}


@pytest.mark.parametrize("grid", KEEPS)
def test_every_grid_ends_with_one_point(grid: str) -> None:
    """Folds that all points would run are left out of the table by mistake, not by intent."""
    keeps = KEEPS[grid]
    assert list(keeps) == sorted(keeps, reverse=True)
    assert len(keeps) <= FOLDS[grid]
    assert FOLDS[grid] == 0 or keeps[-1] == 1


@st.composite
def races(draw: st.DrawFn) -> tuple[int, int, tuple[int, ...]]:
    keeps = draw(st.lists(st.integers(1, 9), max_size=6))
    return draw(st.integers(1, 9)), draw(st.integers(0, 6)), tuple(sorted(keeps, reverse=True))


@given(races(), st.data())
def test_where_folds_agree_the_best_point_wins(
    shape: tuple[int, int, tuple[int, ...]], data: st.DataObject
) -> None:
    count, folds, keeps = shape
    order = data.draw(st.permutations(range(count)))  # of each point, how good it is

    found, met = raced(count, folds, keeps, lambda number, fold: (order[number] / 9, float(fold)))
    if folds:
        assert order[found.winner.params["number"]] == count - 1
    assert len(met) == len(set(met)) <= count * folds


@given(races(), st.data())
def test_the_winner_has_a_try_on_every_fold_and_the_rest_is_no_secret(
    shape: tuple[int, int, tuple[int, ...]], data: st.DataObject
) -> None:
    count, folds, keeps = shape
    table = data.draw(
        st.lists(
            st.tuples(st.sampled_from([0.5, 0.55, 0.6]), st.sampled_from([0.2, 0.4])),
            min_size=count * folds,
            max_size=count * folds,
        )
    )
    found, met = raced(count, folds, keeps, lambda number, fold: table[number * folds + fold])
    winner = found.winner.params["number"]
    assert [one.macro_f1 for one in found.tries] == [
        table[winner * folds + fold][0] for fold in range(folds)
    ]
    per_fold = [sum(at == fold for _, at in met) for fold in range(folds)]
    assert per_fold == [
        min(count, *keeps[:fold]) if fold and keeps else count for fold in range(folds)
    ]
    assert winner in numbers(found)
