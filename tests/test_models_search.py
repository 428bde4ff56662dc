"""The whole run: same seed, same board; a failed cell is named; the board refuses holes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from test_models_panel import made_up, made_up_panel

import models.search
from models.evaluate import make_plan, run
from models.leaderboard import leaderboard, leaderboard_columns
from models.panel import panel_from_frame
from warehouse.errors import InputError

TIMED = ["fit_seconds", "ms_per_company"]
PUBLISHED = [
    *("rank", "learner", "selector", "protocol", "n_features", "accuracy", "precision", "recall"),
    *("f1", "macro_f1", "balanced_accuracy", "mcc", "roc_auc_ovr", "pr_auc_bankrupt"),
    *("recall_bankrupt", "recall_distressed", "recall_healthy", "precision_bankrupt"),
    *("precision_distressed", "precision_healthy", "log_loss", "brier", "ece", "fit_seconds"),
    *("params", "macro_f1_low", "macro_f1_high", "ms_per_company", "resampling"),
]


def quick(jobs: int = 1, protocol: str = "company", grid: str = "quick"):
    learners = ("lr", "lightgbm", "knn")
    return run(
        made_up_panel(), make_plan(protocol, learners, ("all", "rf"), grid, seed=3, jobs=jobs)
    )


@pytest.mark.slow
def test_same_seed_gives_the_same_board_whatever_the_jobs() -> None:
    one, again, two = quick(), quick(), quick(jobs=2)
    for other in (again, two):
        pd.testing.assert_frame_equal(
            one.leaderboard.drop(columns=TIMED), other.leaderboard.drop(columns=TIMED)
        )
        keep = ~one.results["metric"].isin(TIMED)
        pd.testing.assert_frame_equal(one.results[keep], other.results[keep])
        pd.testing.assert_frame_equal(one.test_predictions, other.test_predictions)
        pd.testing.assert_frame_equal(one.importance, other.importance)


def test_a_run_holds_all_that_reports_need() -> None:
    result = quick()
    assert result.leaderboard.columns.tolist() == [*PUBLISHED, "cv_macro_f1"]
    assert result.leaderboard["rank"].tolist() == list(range(1, 7))
    assert result.leaderboard["cv_macro_f1"].is_monotonic_decreasing
    assert sorted(result.results["fold"].unique()) == ["cv0", "cv1", "cv2", "test"]
    assert len(result.confusion) == 6
    for counts in result.confusion.values():
        assert np.sum(counts) == len(result.split.test)
    assert len(result.test_predictions) == 6 * len(result.split.test)
    assert list(result.kept) == ["all", "rf", "intersection"]
    assert result.importance["learner"].unique().tolist() == ["lightgbm"]
    assert result.importance["share"].sum() == pytest.approx(1)
    best = result.predictions[["proba_bankrupt", "proba_distressed", "proba_healthy"]].to_numpy()
    values = result.panel.X.to_numpy()[result.split.test]
    np.testing.assert_allclose(result.pipeline.predict_proba(values), best, atol=1e-9)
    assert result.failed == ()


@pytest.mark.parametrize("protocol", ["paper", "time"])
def test_other_protocols_run_too(protocol: str) -> None:
    result = run(made_up_panel(), make_plan(protocol, ("lr",), ("all",), "quick", seed=0))
    assert result.leaderboard["protocol"].tolist() == [protocol]
    assert result.notices


@pytest.mark.parametrize("grid", ["paper", "full"])
def test_other_grids_run_too(grid: str) -> None:
    result = run(made_up_panel(), make_plan("company", ("lr", "knn"), ("all",), grid, seed=0))
    folds = {"paper": 1, "full": 6}[grid]
    assert result.results["fold"].nunique() == folds


def test_selectors_that_keep_the_same_columns_share_a_result() -> None:
    result = run(made_up_panel(), make_plan("company", ("lr",), ("all", "kbest"), "quick", seed=0))
    board = result.leaderboard.drop(columns=["rank", "selector"])
    pd.testing.assert_series_equal(board.iloc[0], board.iloc[1], check_names=False)


def test_a_failed_cell_is_named_and_the_others_finish(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models.search._cell

    def broken(learner, selector, *rest):
        if learner.name == "knn" and selector == "rf":
            raise ValueError("out of\nneighbours")
        return whole(learner, selector, *rest)

    monkeypatch.setattr(models.search, "_cell", broken)
    result = quick()
    assert result.failed == ("knn/rf: ValueError: out of neighbours",)
    assert len(result.leaderboard) == 5


def test_a_failed_selection_names_its_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = models.search.fold_data

    def broken(prepared, selector, seed):
        if selector == "rf":
            raise ValueError("no forest")
        return whole(prepared, selector, seed)

    monkeypatch.setattr(models.search, "fold_data", broken)
    result = run(made_up_panel(), make_plan("company", ("lr", "knn"), ("all", "rf"), "paper"))
    assert result.failed == ("lr/rf: ValueError: no forest", "knn/rf: ValueError: no forest")
    assert list(result.kept) == ["all", "intersection"]


def test_nothing_fitted_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args):
        raise ValueError("no")

    monkeypatch.setattr(models.search, "_cell", broken)
    with pytest.raises(InputError, match="lr/all: ValueError: no"):
        quick()


def long_results() -> pd.DataFrame:
    names = leaderboard_columns(("bankrupt", "healthy"))
    metrics = [n for n in names if n not in ("rank", "learner", "selector", "protocol", "params")]
    rows = [
        (learner, "all", "company", "test", metric, value, 0.1, 0.9)
        for learner, value in (("b", 0.5), ("a", 0.5), ("c", 0.7))
        for metric in metrics
        if metric not in ("macro_f1_low", "macro_f1_high", "resampling")
    ]
    columns = ["learner", "selector", "protocol", "fold", "metric", "value", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


PARAMS = {(name, "all"): ("{}", "smote") for name in "abc"}


def test_leaderboard_ranks_and_breaks_ties_by_name() -> None:
    board = leaderboard(long_results(), PARAMS, ("bankrupt", "healthy"))
    assert board["learner"].tolist() == ["c", "a", "b"]
    assert board["macro_f1_low"].tolist() == [0.1] * 3


def test_leaderboard_ranks_by_the_tuning_folds_where_there_are_any() -> None:
    """What is best on the test rows must not decide: they judge what was chosen without them."""
    rows = long_results()
    folds = [
        (name, "all", "company", fold, "macro_f1", value, np.nan, np.nan)
        for name, values in (("a", (0.1, 0.2)), ("b", (0.5, 0.7)), ("c", (0.4, 0.5)))
        for fold, value in zip(("cv0", "cv1"), values, strict=True)
    ]
    rows = pd.concat([rows, pd.DataFrame(folds, columns=rows.columns)])
    board = leaderboard(rows, PARAMS, ("bankrupt", "healthy"))
    assert board["learner"].tolist() == ["b", "c", "a"]
    np.testing.assert_allclose(board["cv_macro_f1"], [0.6, 0.45, 0.15])
    assert board["macro_f1"].idxmax() == 1


def test_leaderboard_refuses_holes_nan_and_duplicates() -> None:
    rows, classes = long_results(), ("bankrupt", "healthy")
    with pytest.raises(InputError, match="mcc of a/all is missing"):
        leaderboard(
            rows.drop(rows[(rows.learner == "a") & (rows.metric == "mcc")].index), PARAMS, classes
        )
    with pytest.raises(InputError, match="ece of c/all is missing"):
        leaderboard(
            rows.assign(value=rows["value"].mask((rows.learner == "c") & (rows.metric == "ece"))),
            PARAMS,
            classes,
        )
    with pytest.raises(InputError, match="n_features of b/all is given more than once"):
        leaderboard(pd.concat([rows, rows.head(1)]), PARAMS, classes)
    with pytest.raises(InputError, match="d/all"):
        leaderboard(rows, {**PARAMS, ("d", "all"): ("{}", "smote")}, classes)


@pytest.mark.parametrize("protocol", ["company", "time", "paper"])
def test_no_row_is_fitted_on_and_scored(protocol: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, seen = models.search.prepare, []

    def watched(panel, fit, stop, score):
        seen.append((fit, stop, score))
        return whole(panel, fit, stop, score)

    monkeypatch.setattr(models.search, "prepare", watched)
    frame = made_up()
    frame["label_known_from"] = pd.to_datetime(frame["fiscal_year"].astype(str) + "-06-30")
    late = frame["company_id"].isin(["c001", "c004", "c007", "c010"])
    frame.loc[late, "label_known_from"] = pd.Timestamp("2015-06-30")
    panel = panel_from_frame(frame)
    result = run(panel, make_plan(protocol, ("lr",), ("all",), "quick"))
    train, test = result.split.train, result.split.test
    assert seen[-1][0] is train
    assert len(seen[-1][1]) == 0
    assert (seen[-1][2] == test).all()
    assert len(seen) > 1
    for fit, stop, score in seen[:-1]:
        rows = np.concatenate([fit, stop, score])
        assert len(rows) == len(set(rows))
        assert set(rows) <= set(train)
        assert min(len(fit), len(score)) > 0
        assert len(stop) > 0 or protocol == "time"  # one year cannot be parted
        if protocol == "company":
            sides = [set(panel.groups[part]) for part in (fit, stop, score)]
            assert sum(map(len, sides)) == len(set.union(*sides))
        if protocol == "time":
            past = np.concatenate([fit, stop])
            assert panel.times[past].max() < panel.times[score].min()
            year = int(panel.times[score].min()) - 1
            assert (panel.known_from[past] <= np.datetime64(f"{year}-12-31")).all()
