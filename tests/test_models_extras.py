"""Rows beside the learners: asked for by name, ranked with them, never saved, never leaking."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score
from test_models_panel import made_up

from models.artifact import load
from models.cell import Cell
from models.evaluate import RunResult, make_plan, run
from models.extras import ENSEMBLES, NO_SELECTOR, TITLES, extra_cells
from models.learners import DEFAULT_LEARNERS, LEARNERS
from models.outputs import write_run
from models.outsiders import OUTSIDERS
from models.panel import Panel, panel_from_frame
from models.protocols import Folds, Split, protocol_named
from models.rivals import RIVALS
from models.search import Search, search
from warehouse.errors import InputError

# Grover's G in the middle of its zones: with it the classes are known.
PERFECT = {"bankrupt": -1.0, "distressed": -0.005, "healthy": 1.0}
NAMES = ("majority", "prior", "grover", "soft-vote", "stack")


def scored(noise: float = 0.0) -> Panel:
    """A made-up panel with a column of Grover's G that tells the classes, but for noise."""
    frame = made_up(40)
    score = frame["label"].map(PERFECT)
    own = np.random.default_rng(1).normal(0, noise, len(frame)) if noise else 0.0
    return panel_from_frame(frame.assign(grover_g=score + own))


def parts(panel: Panel, protocol: str = "company") -> tuple[Split, Folds]:
    rules = protocol_named(protocol)
    split = rules.split(panel, 0)
    return split, rules.folds(panel, split.train, 3, 0)


@pytest.fixture(scope="module")
def result() -> RunResult:
    """Two learners, of which the tree is as good as an outsider and the ensembles: faultless."""
    names = ("tree", "xgboost", *NAMES)
    return run(scored(), make_plan("company", names, ("all",), seed=0))


# ---- names


def test_names_of_groups() -> None:
    rivals = tuple(rival.name for rival in RIVALS)
    plan = make_plan("company", ("default",), ("all",))
    assert (plan.learners, plan.extras) == (DEFAULT_LEARNERS, ())
    plan = make_plan("company", ("lr", "rivals"), ("all",))
    assert (plan.learners, plan.extras) == (("lr", *rivals), tuple(TITLES))
    plan = make_plan("company", ("default", "rivals"), ("all",))
    assert plan.learners == (*DEFAULT_LEARNERS, *rivals)


def test_names_keep_their_order_and_are_taken_once() -> None:
    plan = make_plan("company", ("stack", "lr", "majority", "stack", "lr"), ("all",))
    assert (plan.learners, plan.extras) == (("lr",), ("stack", "majority"))


def test_rows_beside_learners_need_a_learner() -> None:
    with pytest.raises(InputError, match="majority,stack: name one learner or more besides"):
        make_plan("company", ("majority", "stack"), ("all",))


@pytest.mark.parametrize("name", ["nope", "Stack", ""])
def test_an_unknown_name_is_refused(name: str) -> None:
    with pytest.raises(InputError, match=f"unknown learner {name!r}"):
        make_plan("company", ("lr", name), ("all",))


def test_no_name_means_two_things() -> None:
    names = [*(one.name for one in LEARNERS), *(one.name for one in OUTSIDERS), *ENSEMBLES]
    assert len(set(names)) == len(names)
    assert not {"default", "rivals"} & set(names)
    assert set(TITLES) == set(names) - {one.name for one in LEARNERS}


# ---- in the leaderboard


def test_rows_are_ranked_with_the_learners_by_the_folds(result: RunResult) -> None:
    board = result.leaderboard
    assert set(board["learner"]) == {"tree", "xgboost", *NAMES}
    assert board["cv_macro_f1"].is_monotonic_decreasing
    beside = board[board["selector"] == NO_SELECTOR]
    assert set(beside["learner"]) == set(NAMES)
    assert set(beside["params"]) == {"{}"}
    assert result.failed == ()
    # That of the largest class by scikit-learn, on the same folds.
    panel, (split, folds) = result.panel, parts(result.panel)
    largest = [np.bincount(panel.y[fit]).argmax() for fit, _ in folds]
    figures = [
        f1_score(panel.y[score], np.full(len(score), most), average="macro")
        for (_, score), most in zip(folds, largest, strict=True)
    ]
    row = board.set_index("learner").loc["majority"]
    assert row["cv_macro_f1"] == pytest.approx(np.mean(figures))
    most = np.bincount(panel.y[split.train]).argmax()
    assert row["accuracy"] == pytest.approx((panel.y[split.test] == most).mean())


def test_every_row_has_its_probabilities_and_its_comparison(result: RunResult) -> None:
    said = result.test_predictions
    counts = said.groupby(["learner", "selector"]).size()
    assert set(counts) == {len(result.split.test)}
    assert set(result.assessment.comparison["name"]) == {
        f"{learner}/{selector}" for learner, selector in counts.index
    }
    assert set(result.confusion) == set(result.assessment.comparison["name"])


def test_what_ranks_first_without_being_a_learner_is_not_saved(
    result: RunResult, tmp_path: Path
) -> None:
    """Four tell the classes without fault, and of equals the first in the alphabet is first."""
    board = result.leaderboard
    assert list(board["learner"][:4]) == ["grover", "soft-vote", "stack", "tree"]
    assert set(board["cv_macro_f1"][:4]) == {1.0}
    assert result.best.learner == "tree"
    (tmp_path / "run").mkdir()
    facts: dict[str, Any] = {"command": "", "label_rule": "made up", "macro": {}}
    write_run(tmp_path / "run", result, facts)
    model = load(tmp_path / "run" / "model")
    assert model.manifest["learner"] == "tree"
    mine = board[board["learner"] == "tree"].iloc[0]
    assert model.manifest["metrics"]["fit_seconds"] == mine["fit_seconds"]
    proba = model.predict_proba(result.panel.X).to_numpy()[result.split.test]
    np.testing.assert_allclose(proba, result.best.test, atol=1e-9)
    assert "soft-vote,none," in (tmp_path / "run" / "leaderboard.csv").read_text(encoding="utf-8")


# ---- what cannot be made


def test_what_the_panel_cannot_feed_is_a_named_failed_row() -> None:
    names = ("lr", "ohlson", "grover", "cox", "majority", "soft-vote")
    result = run(panel_from_frame(made_up(40)), make_plan("company", names, ("all",), seed=0))
    assert set(result.leaderboard["learner"]) == {"lr", "majority"}
    assert [line.split(":")[0] for line in result.failed] == [
        "ohlson/none", "grover/none", "cox/none", "soft-vote/none"
    ]  # fmt: skip
    reasons = dict(line.split(": ", 1) for line in result.failed)
    assert "needs the column 'ohlson_o'" in reasons["ohlson/none"]
    assert "needs the column 'grover_g' or the ratios" in reasons["grover/none"]
    assert (
        reasons["soft-vote/none"] == "an ensemble needs two learners or more, and 1 could be fitted"
    )


def test_without_folds_outsiders_stand_and_ensembles_fail() -> None:
    names = ("lr", "knn", "majority", "soft-vote", "stack")
    plan = make_plan("company", names, ("all",), "paper", seed=0)
    result = run(panel_from_frame(made_up(40)), plan)
    assert set(result.leaderboard["learner"]) == {"lr", "knn", "majority"}
    assert [line.split(":")[0] for line in result.failed] == ["soft-vote/none", "stack/none"]
    assert all("an ensemble needs tuning folds" in line for line in result.failed)


def test_a_fault_of_one_row_does_not_take_the_others_with_it() -> None:
    """Cells of two folds where there are three; and probabilities of a learner that are none."""
    panel = scored(0.5)
    split, folds = parts(panel)
    found = learners(panel, split)
    short = [replace(cell, cv=cell.cv[:2]) for cell in found.cells]
    broken, fine = extra_cells(("stack", "majority"), panel, split, folds, short, 0, False)
    assert broken.error.startswith("ValueError: ")
    assert fine.error == ""
    odd = [replace(cell, test=np.full(cell.test.shape, np.nan)) for cell in found.cells]
    (broken,) = extra_cells(("soft-vote",), panel, split, folds, odd, 0, False)
    assert broken.error == "it gives probabilities that are not numbers"


# ---- no leak


def learners(panel: Panel, split: Split, protocol: str = "company") -> Search:
    return search(panel, split, make_plan(protocol, ("lr", "knn"), ("all",), seed=0))


def made(panel: Panel, split: Split, folds: Folds, found: Search) -> list[Cell]:
    return extra_cells(NAMES, panel, split, folds, found.cells, 0, False)


def test_no_label_of_a_test_row_is_read() -> None:
    panel = scored(0.5)
    split, folds = parts(panel)
    found = learners(panel, split)
    y, details = panel.y.copy(), panel.details.copy()
    y[split.test] = 1 - (y[split.test] > 0)
    details["label"] = details["label"].mask(np.isin(np.arange(len(y)), split.test))
    blind = replace(panel, y=y, details=details)
    for before, after in zip(
        made(panel, split, folds, found), made(blind, split, folds, found), strict=True
    ):
        assert (before.error, after.error) == ("", "")
        np.testing.assert_array_equal(after.test, before.test)
        for one, other in zip(before.cv, after.cv, strict=True):
            np.testing.assert_array_equal(other, one)


def test_labels_of_a_scored_fold_change_nothing_there() -> None:
    """Those of the first fold's scored rows: each row's own probabilities are made without them.

    A soft vote and a stack see the cells of the search alone, which have been fitted before.
    """
    panel = scored(0.5)
    split, folds = parts(panel)
    found = learners(panel, split)
    y = panel.y.copy()
    y[folds[0][1]] = 1 - (y[folds[0][1]] > 0)
    blind = replace(panel, y=y)
    for before, after in zip(
        made(panel, split, folds, found), made(blind, split, folds, found), strict=True
    ):
        np.testing.assert_array_equal(after.cv[0], before.cv[0])
        if before.learner in ("majority", "grover", "stack"):  # which do learn from other rows
            assert not np.array_equal(after.test, before.test)


# ---- by time


def first_fold(result: RunResult) -> pd.Series[Any]:
    rows = result.results
    rows = rows[(rows["fold"] == "cv0") & (rows["metric"] == "log_loss")]
    return rows.set_index("learner")["value"]


def test_by_time_the_stack_learns_from_earlier_folds_alone() -> None:
    """So there is nothing to learn from for the first fold, and it is that of the soft vote."""
    panel, names = scored(0.5), ("lr", "knn", "soft-vote", "stack")
    by_time = run(panel, make_plan("time", names, ("all",), seed=0))
    assert by_time.failed == ()
    assert (by_time.results["fold"] == "cv1").any()
    assert first_fold(by_time)["stack"] == pytest.approx(first_fold(by_time)["soft-vote"])
    by_company = run(panel, make_plan("company", names, ("all",), seed=0))
    assert first_fold(by_company)["stack"] != pytest.approx(first_fold(by_company)["soft-vote"])
