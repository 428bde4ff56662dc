"""Soft vote and stacking: by hand, and without any leak from test rows or from a fold to itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from test_models_panel import made_up_panel

from models.ensembles import LEAST, SHRINK, best_members, soft_vote, stack
from models.protocols import protocol_named
from models.search import Plan, search
from warehouse.errors import InputError


@dataclass(frozen=True)
class Made:
    """A cell of made-up probabilities."""

    name: str
    learner: str
    cv: tuple[np.ndarray, ...]
    test: np.ndarray
    error: str = ""


def noisy(name: str, noise: float, y_folds, y_test, seed: int) -> Made:
    """Probabilities that lean to the truth, the less the more noise there is."""
    random = np.random.default_rng(seed)

    def lean(y: np.ndarray) -> np.ndarray:
        values = np.exp(2 * np.eye(3)[y] + noise * random.normal(size=(len(y), 3)))
        return values / values.sum(axis=1, keepdims=True)

    learner = name.split("/")[0]
    return Made(name, learner, tuple(lean(y) for y in y_folds), lean(y_test))


@pytest.fixture(scope="module")
def truths() -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    random = np.random.default_rng(0)
    folds = tuple(random.choice(3, 200, p=[0.15, 0.25, 0.6]) for _ in range(3))
    return folds, random.choice(3, 300, p=[0.15, 0.25, 0.6])


@pytest.fixture(scope="module")
def cells(truths) -> list[Made]:
    y, test = truths
    made = [("a/all", 1.5), ("a/rf", 1.0), ("b/all", 2.5), ("b/rf", 3.0), ("c/all", 9.0)]
    return [noisy(name, noise, y, test, seed) for seed, (name, noise) in enumerate(made)]


def macro_f1(y: np.ndarray, proba: np.ndarray) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(y, proba.argmax(axis=1), average="macro"))


def test_the_best_selector_of_each_learner_votes(cells, truths) -> None:
    assert [cell.name for cell in best_members(cells, truths[0])] == ["a/rf", "b/all", "c/all"]
    twins = [cells[0], replace(cells[0], name="a/twin"), cells[2]]
    assert [cell.name for cell in best_members(twins, truths[0])] == ["a/all", "b/all"]


def test_a_soft_vote_by_hand() -> None:
    y = (np.array([0, 1]),)
    one = Made("a/all", "a", (np.array([[0.9, 0.1], [0.4, 0.6]]),), np.array([[0.2, 0.8]]))
    two = Made("b/all", "b", (np.array([[0.5, 0.5], [0.0, 1.0]]),), np.array([[0.6, 0.4]]))
    vote = soft_vote([one, two], y)
    np.testing.assert_allclose(vote.cv[0], [[0.7, 0.3], [0.2, 0.8]])
    np.testing.assert_allclose(vote.test, [[0.4, 0.6]])
    assert vote.members == ("a/all", "b/all")


def expected(X: np.ndarray, y: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The stack's regression written out: weights one over the root of the class's count."""
    weight = 1 / np.sqrt(np.array([(y == code).sum() for code in y]))
    model = LogisticRegression(C=SHRINK, max_iter=1000)
    return model.fit(X, y, sample_weight=weight / weight.mean()).predict_proba(wanted)


def logs(parts: list[np.ndarray]) -> np.ndarray:
    return np.log(np.maximum(np.hstack(parts), LEAST))


@pytest.mark.parametrize("by_time", [False, True])
def test_a_fold_is_stacked_by_the_other_folds(cells, truths, by_time: bool) -> None:
    y, _ = truths
    members = best_members(cells, y)
    found = stack(cells, y, by_time=by_time)
    folds = [logs([m.cv[at] for m in members]) for at in range(3)]
    used = {0: [1, 2], 1: [0, 2], 2: [0, 1]} if not by_time else {1: [0], 2: [0, 1]}
    for at, others in used.items():
        X, codes = np.vstack([folds[i] for i in others]), np.concatenate([y[i] for i in others])
        np.testing.assert_allclose(found.cv[at], expected(X, codes, folds[at]), atol=1e-6)
    if by_time:
        np.testing.assert_allclose(found.cv[0], soft_vote(cells, y).cv[0])
    test = logs([m.test for m in members])
    np.testing.assert_allclose(
        found.test, expected(np.vstack(folds), np.concatenate(y), test), atol=1e-6
    )


def test_both_do_better_than_the_worst_and_the_stack_learns_whom_to_trust(cells, truths) -> None:
    y, test = truths
    vote, stacked = soft_vote(cells, y), stack(cells, y)
    alone = [macro_f1(test, cell.test) for cell in best_members(cells, y)]
    assert macro_f1(test, vote.test) > min(alone) + 0.1
    assert macro_f1(test, stacked.test) > min(alone) + 0.1
    for ensemble in (vote, stacked):
        for proba in (*ensemble.cv, ensemble.test):
            np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_own_labels_of_a_fold_and_test_probabilities_change_nothing(cells, truths) -> None:
    y, _ = truths
    others = (np.roll(y[0], 1), *y[1:])
    fixed = [cells[1], cells[2], cells[4]]  # the choice of members is by labels of all folds
    before, after = stack(fixed, y), stack(fixed, others)
    np.testing.assert_array_equal(before.cv[0], after.cv[0])
    assert not np.allclose(before.cv[1], after.cv[1])
    blind = [replace(cell, test=np.full_like(cell.test, 1 / 3)) for cell in cells]
    assert stack(blind, y).members == stack(cells, y).members
    for one, other in zip(stack(blind, y).cv, stack(cells, y).cv, strict=True):
        np.testing.assert_array_equal(one, other)


def test_noise_is_not_made_into_skill() -> None:
    """Members that know nothing stay at chance on folds: their own labels would show."""
    random = np.random.default_rng(0)
    y = tuple(random.choice(2, 100) for _ in range(4))
    made = [
        Made(name, name, tuple(random.dirichlet([1, 1], 100) for _ in y), random.random((9, 2)))
        for name in "abcdefgh"
    ]
    found = stack(made, y)
    right = np.concatenate(
        [p.argmax(axis=1) == codes for p, codes in zip(found.cv, y, strict=True)]
    )
    assert right.mean() == pytest.approx(0.5, abs=0.08)  # standard error .025


def test_a_class_that_no_other_fold_has_gets_no_probability(cells, truths) -> None:
    y = (np.where(truths[0][0] == 0, 1, truths[0][0]), *truths[0][1:])
    rare = (truths[0][0], *(np.where(codes == 0, 1, codes) for codes in truths[0][1:]))
    assert (stack(cells, rare).cv[0][:, 0] == 0).all()
    assert (stack(cells, y).cv[0][:, 0] > 0).all()
    ones = (np.array([0, 1, 2, 1]), np.array([1, 1]))
    tiny = [
        Made(n, n, (np.full((4, 3), 1 / 3), np.full((2, 3), 1 / 3)), np.full((1, 3), 1 / 3))
        for n in "ab"
    ]
    assert stack(tiny, ones).cv[0].tolist() == [[0, 1, 0]] * 4


def test_what_cannot_be_joined_is_refused(cells, truths) -> None:
    y, _ = truths
    with pytest.raises(InputError, match="needs tuning folds; use --grid quick or full"):
        soft_vote(cells, ())
    with pytest.raises(InputError, match="two learners or more, and 1 could be fitted"):
        soft_vote([cells[0], replace(cells[2], error="broken")], y)
    single = [replace(cell, cv=cell.cv[:1]) for cell in cells]
    with pytest.raises(InputError, match="two tuning folds or more"):
        stack(single, y[:1])


def test_cells_of_a_search_can_be_joined() -> None:
    panel = made_up_panel()
    protocol = protocol_named("company")
    split = protocol.split(panel, 0)
    plan = Plan(protocol, ("lr", "knn"), ("all", "correlation"), "quick", 0)
    found = search(panel, split, plan)
    y = tuple(panel.y[rows] for rows in found.folds)
    for ensemble in (soft_vote(found.cells, y), stack(found.cells, y)):
        assert [p.shape for p in ensemble.cv] == [(len(codes), 3) for codes in y]
        assert ensemble.test.shape == (len(split.test), 3)
        assert macro_f1(panel.y[split.test], ensemble.test) > 0.4
