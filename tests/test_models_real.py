"""Public sets, where the checkout has a `shared` folder beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.evaluate import make_plan, run
from models.panel import read_panel
from warehouse.errors import InputError

DATA = Path(__file__).parents[2] / "shared" / "data"

pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="no shared/data beside the repository")


@pytest.mark.slow
def test_financial_distress_by_company() -> None:
    panel = read_panel(DATA / "benchmarks" / "financial_distress.parquet")
    assert panel.X.shape == (3657, 82)
    result = run(panel, make_plan("company", ("lightgbm",), ("all",), "quick"))
    best = result.leaderboard.iloc[0]
    # Published by random rows: macro-F1 .64-.68, AUC .87-.89; by company it is a little lower.
    assert 0.57 < best["macro_f1"] < 0.72
    assert best["roc_auc_ovr"] > 0.83


@pytest.mark.slow
def test_indian_panel_is_near_its_baseline() -> None:
    panel = read_panel(DATA / "india" / "panel_common_dev.parquet")
    assert not {"n_missing", "odd_length_year", "post_event"} & set(panel.features)
    company = run(panel, make_plan("company", ("lightgbm",), ("all",), "quick")).leaderboard.iloc[0]
    assert 0.55 < company["macro_f1"] < 0.8
    assert company["roc_auc_ovr"] > 0.85


@pytest.mark.slow
def test_a_set_without_companies_says_so() -> None:
    panel = read_panel(DATA / "benchmarks" / "polish_1year.parquet")
    with pytest.raises(InputError, match="use --protocol paper"):
        run(panel, make_plan("company", ("lr",), ("all",)))
    assert (
        run(panel, make_plan("paper", ("lightgbm",), ("all",))).leaderboard["roc_auc_ovr"][0] > 0.9
    )
