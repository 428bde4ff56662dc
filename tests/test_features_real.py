"""Real statements: the panel agrees with one that was computed independently."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import loaded

from features.dataset import PanelRule, panel
from features.labels import CLASSES, LabelRule
from features.ratios import RATIOS
from warehouse import store

CODES = [ratio.code for ratio in RATIOS]
RULE = PanelRule(label=LabelRule(healthy_as_of=date(2023, 9, 29)), years=(2010, 2024))


KEYS = ["company_id", "fiscal_year"]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(
    shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Our panel and the independent one, each with every row that it has."""
    india = shared / "data/india"
    files = [india / name for name in ("companies.csv", "events.csv", "statements.parquet")]
    files.append(shared / "data/macro_india.csv")
    with loaded(tmp_path_factory.mktemp("real") / "w.duckdb", *files) as connection:
        store.run_checks(connection)
        ours = panel(connection, RULE).to_pandas()
    return ours, pd.read_parquet(india / "panel_dev.parquet")


@pytest.fixture(scope="module")
def both(whole: tuple[pd.DataFrame, pd.DataFrame]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Our panel and the independent one, row by row the same company and year."""
    ours, theirs = whole
    shared_keys = ours[KEYS].merge(theirs[KEYS])
    # Rows that only one has would be rows that the comparison does not see.
    assert len(shared_keys) >= 0.999 * max(len(ours), len(theirs))
    ours, theirs = (shared_keys.merge(frame, validate="1:1") for frame in (ours, theirs))
    return ours, theirs


@pytest.fixture(scope="module")
def ends(shared: Path) -> pd.DataFrame:
    """One row per company, basis and year end as the file has them.

    With `lines`, and of its calendar year: `ends`, how many there are, the `latest` of them and the
    lines of the `fullest`.
    """
    key = ["company_id", "basis", "fiscal_year_end"]
    lines = pq.read_table(
        shared / "data/india/statements.parquet", columns=[*key, "months", "value"]
    )
    counted = lines.group_by(key).aggregate([("months", "max"), ("value", "count")])
    found = counted.to_pandas().rename(columns={"months_max": "months", "value_count": "lines"})
    found = found[found["lines"] > 0]
    found["fiscal_year"] = [end.year for end in found["fiscal_year_end"]]
    same_year = found.groupby([*KEYS, "basis"])
    return found.assign(
        ends=same_year["lines"].transform("size"),
        latest=same_year["fiscal_year_end"].transform("max"),
        fullest=same_year["lines"].transform("max"),
    )


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


def test_missing_ratios_agree(both: tuple[pd.DataFrame, pd.DataFrame], ends: pd.DataFrame) -> None:
    """Of two year ends in a calendar year the other panel took the later, however empty."""
    told = both[0][[*KEYS, "basis", "fiscal_year_end"]].merge(ends, how="left", validate="1:1")
    same = (told["fiscal_year_end"] == told["latest"]).to_numpy()
    assert 0.99 < same.mean() < 1
    ours, theirs = (frame.loc[same, CODES].isna().to_numpy() for frame in both)
    assert (ours == theirs).mean() >= 0.9998


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


def _per_year(panel: pd.DataFrame) -> pd.DataFrame:
    """Rows per fiscal year (down) and class (across)."""
    return pd.crosstab(panel["fiscal_year"], panel["label"])


def _told_per_year(readme: str) -> pd.DataFrame:
    """Rows per fiscal year and class of the whole data set: the first such table of its README."""
    table = readme.partition(
        "| fiscal_year | bankrupt | distressed | healthy |\n|---|---|---|---|\n"
    )
    rows = [line.strip("| ").split(" | ") for line in table[2].partition("\n\n")[0].splitlines()]
    frame = pd.DataFrame(rows, columns=["fiscal_year", *CLASSES]).astype(int)
    return frame.set_index("fiscal_year")


def test_class_counts_of_each_year_are_those_of_the_independent_panel(
    shared: Path, whole: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    ours, theirs = whole
    found = ours.merge(theirs[KEYS], how="outer", indicator=True)
    assert not (found["_merge"] == "right_only").any()
    alone = found[found["_merge"] == "left_only"]
    # The other panel leaves out shells: companies before a business was put into them.
    assert len(alone) <= 3
    assert set(alone["company_id"]) <= _shells(shared)
    counts = _per_year(found[found["_merge"] == "both"]), _per_year(theirs)
    assert counts[0].to_dict() == counts[1].to_dict()


def _shells(shared: Path) -> set[str]:
    """Companies that had less than a tenth of a crore (a million rupees) of assets in a year."""
    lines = pd.read_parquet(
        shared / "data/india/statements.parquet", columns=["company_id", "item", "value"]
    )
    assets = lines[(lines["item"] == "total_assets") & (lines["value"] < 0.1)]
    return set(assets["company_id"])


def test_class_counts_of_each_year_fit_in_those_that_the_readme_tells(
    shared: Path, whole: tuple[pd.DataFrame, pd.DataFrame]
) -> None:
    """Its counts are of all companies; about a fifth of them is kept apart."""
    told = _told_per_year((shared / "data/india/README.md").read_text(encoding="utf-8"))
    ours = _per_year(whole[0])
    assert list(told.index) == list(ours.index) == list(range(2010, 2025))
    assert (ours <= told).all(axis=None)
    # No row is bankrupt before 2015: the first admissions are of 2017.
    assert (ours.loc[:2014, "bankrupt"] == told.loc[:2014, "bankrupt"]).all()
    assert (ours.loc[:2014, "bankrupt"] == 0).all()
    assert (ours.loc[2015:, "bankrupt"] > 0).all()
    kept = ours.sum() / told.sum()
    assert ((kept > 0.7) & (kept < 0.9)).all(), kept


def test_the_companies_that_changed_their_year_end_have_the_fuller_of_two_years(
    both: tuple[pd.DataFrame, pd.DataFrame],
) -> None:
    """Their years to December told some totals only, beside whole accounts to March."""
    ours, theirs = (frame.set_index(KEYS) for frame in both)
    march = {"acc": (2023, 2024), "ambujacem": (2023, 2024), "nestleind": (2024,)}
    for key in [(company, year) for company, years in march.items() for year in years]:
        assert ours.loc[key, "fiscal_year_end"] == date(key[1], 3, 31)
        # 47 of 62 are NULL in the panel that took the later year end.
        assert (ours.loc[key, "n_missing"] <= 3, theirs.loc[key, "n_missing"]) == (True, 47)
        assert not np.isnan(ours.loc[key, "X2"])


def test_of_two_year_ends_in_a_calendar_year_the_later_is_taken_unless_it_is_half_empty(
    whole: tuple[pd.DataFrame, pd.DataFrame], ends: pd.DataFrame
) -> None:
    """'Of two year ends in one calendar year the later one, unless it ends a period of under nine
    months or has less than half the lines of the other.'
    """
    several = ends[ends["ends"] > 1]
    good = several[(several["months"] >= 9) & (2 * several["lines"] >= several["fullest"])]
    wanted = good.groupby([*KEYS, "basis", "latest"], as_index=False)["fiscal_year_end"].max()
    taken = whole[0][[*KEYS, "basis", "fiscal_year_end"]].merge(
        wanted, on=[*KEYS, "basis"], suffixes=("", "_wanted"), validate="1:1"
    )
    assert len(taken) > 20
    assert (taken["fiscal_year_end"] == taken["fiscal_year_end_wanted"]).all()
    # Both halves of the sentence are met: of some the later is taken, of others the fuller.
    assert set(taken["fiscal_year_end"] == taken["latest"]) == {True, False}
