"""Real statements: the panel agrees with one that was computed independently."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import loaded

from features.dataset import PanelRule, panel
from features.labels import LabelRule
from features.ratios import RATIOS
from warehouse import store

CODES = [ratio.code for ratio in RATIOS]
RULE = PanelRule(label=LabelRule(healthy_as_of=date(2023, 9, 29)), years=(2010, 2024))


@pytest.fixture(scope="module")
def both(
    shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Our panel and the independent one, row by row the same company and year."""
    india = shared / "data/india"
    files = [india / name for name in ("companies.csv", "events.csv", "statements.parquet")]
    files.append(shared / "data/macro_india.csv")
    with loaded(tmp_path_factory.mktemp("real") / "w.duckdb", *files) as connection:
        store.run_checks(connection)
        ours = panel(connection, RULE).to_pandas()
    theirs = pd.read_parquet(india / "panel_dev.parquet")
    keys = ["company_id", "fiscal_year"]
    shared_keys = ours[keys].merge(theirs[keys])
    # Rows that only one has would be rows that the comparison does not see.
    assert len(shared_keys) >= 0.999 * max(len(ours), len(theirs))
    ours, theirs = (shared_keys.merge(frame, validate="1:1") for frame in (ours, theirs))
    return ours, theirs


def test_it_is_a_panel_of_thousands_of_rows(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, _ = both
    assert len(ours) > 3000
    assert set(ours["label"]) == {"bankrupt", "distressed", "healthy"}
    assert not ours["simulated"].any()


def test_ratios_agree(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, theirs = (frame[CODES].to_numpy(float) for frame in both)
    known = ~np.isnan(ours) & ~np.isnan(theirs)
    agree = np.isclose(ours[known], theirs[known], rtol=1e-9, atol=1e-9)
    assert known.sum() > 100_000
    assert agree.mean() >= 0.999


def test_missing_ratios_agree(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, theirs = (frame[CODES].isna().to_numpy() for frame in both)
    assert (ours == theirs).mean() >= 0.999


def test_labels_agree(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, theirs = both
    assert (ours["label"] == theirs["label"]).all()
    assert (ours["post_event"] == theirs["post_event"]).all()


def test_macro_values_agree(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, theirs = both
    # X64 of the other panel is unemployment of the same year.
    for code in ("X63", "X65", "X66"):
        known = ours[code].notna() & theirs[code].notna()
        assert known.mean() > 0.5, code
        np.testing.assert_allclose(ours[code][known], theirs[code][known], rtol=1e-9)


def test_no_ratio_is_infinite(both: tuple[pd.DataFrame, pd.DataFrame]) -> None:
    ours, _ = both
    assert not np.isinf(ours[CODES].to_numpy(float)).any()


def test_nothing_is_available_before_the_year_ended(
    both: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    ours, _ = both
    ends, available = (
        pd.to_datetime(ours["fiscal_year_end"]),
        pd.to_datetime(ours["available_from"]),
    )
    assert (available > ends).all()
