"""Splits: nobody on both sides, nothing from the future, refusal where it cannot be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_models_panel import made_up, made_up_panel

from models.panel import panel_from_frame
from models.protocols import PROTOCOLS, assert_no_overlap, early_stop_split, protocol_named
from warehouse.errors import InputError


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=lambda p: p.name)
def test_every_protocol_parts_rows(protocol) -> None:
    panel = made_up_panel()
    split = protocol.split(panel, seed=3)
    again = protocol.split(panel, seed=3)
    assert (split.train == again.train).all()
    assert 0.15 < len(split.test) / len(panel.y) < 0.4
    assert set(np.concatenate([split.train, split.test])) == set(range(len(panel.y)))
    for fit, score in protocol.folds(panel, split.train, 3, seed=3):
        keep, stop = early_stop_split(panel, fit, 3, protocol)
        assert not set(keep) & set(stop)
        assert set(keep) | set(stop) == set(fit)
        one_year = protocol.name == "time" and len(set(panel.times[fit])) == 1
        assert len(stop) == 0 if one_year else 0.08 < len(stop) / len(fit) <= 0.5
        assert not (set(fit) | set(stop)) & set(score)
        assert not set(score) & set(split.test)


def test_company_is_never_on_both_sides() -> None:
    panel, protocol = made_up_panel(), protocol_named("company")
    split = protocol.split(panel, 0)
    for fit, score in [(split.train, split.test), *protocol.folds(panel, split.train, 3, 0)]:
        keep, stop = early_stop_split(panel, fit, 0, protocol)
        for one, other in ((fit, score), (keep, stop), (stop, score)):
            assert not set(panel.groups[one]) & set(panel.groups[other])


def test_planted_company_on_both_sides_is_refused() -> None:
    panel = made_up_panel()
    split = protocol_named("company").split(panel, 0)
    leaked = np.append(split.train[1:], [])
    moved = np.append(split.test, split.train[0]).astype(np.int64)
    with pytest.raises(InputError, match="is on both sides"):
        assert_no_overlap(panel, leaked.astype(np.int64), moved, "company")
    with pytest.raises(InputError, match="a row is on both"):
        assert_no_overlap(panel, split.train, moved, "paper")


def test_a_protocol_that_leaks_is_refused_by_its_own_split() -> None:
    leaky = replace(protocol_named("company"), parts=protocol_named("paper").parts)
    with pytest.raises(InputError, match="is on both sides"):
        leaky.split(made_up_panel(), 0)


def test_time_trains_on_the_past_only() -> None:
    panel, protocol = made_up_panel(), protocol_named("time")
    split = protocol.split(panel, 0)
    assert panel.times[split.train].max() == 2015
    assert panel.times[split.test].min() == 2016
    for fit, score in protocol.folds(panel, split.train, 3, 0):
        assert panel.times[fit].max() < panel.times[score].min()
    assert protocol.split(panel, 0, cut=2013).train.size < split.train.size


def test_time_drops_labels_that_were_not_known_at_the_cut() -> None:
    frame = made_up()
    frame["label_known_from"] = "2014-06-30"
    frame.loc[frame["label"] == "bankrupt", "label_known_from"] = "2016-01-01"
    frame.loc[frame["company_id"] < "c030", "label_known_from"] = None
    panel = panel_from_frame(frame)
    split = protocol_named("time").split(panel, 0)
    late = (panel.known_from > np.datetime64("2015-12-31")) & (panel.times <= 2015)
    assert late.sum() > 0
    assert not set(np.flatnonzero(late)) & set(split.train)
    assert f"{late.sum()} training rows dropped" in split.notices[0]


def test_random_rows_say_that_they_flatter() -> None:
    assert "flatter" in protocol_named("paper").split(made_up_panel(), 0).notices[0]


def test_refusals_say_what_to_do() -> None:
    panel = made_up_panel()
    with pytest.raises(InputError, match="--group COL, or use --protocol paper"):
        protocol_named("company").split(replace(panel, groups=None), 0)
    with pytest.raises(InputError, match="--time COL"):
        protocol_named("time").split(replace(panel, times=None), 0)
    with pytest.raises(InputError, match="fewer than the 4 folds"):
        protocol_named("company").split(made_up_panel(3), 0)
    with pytest.raises(InputError, match="too few for 5 folds"):
        protocol_named("paper").folds(panel, np.arange(6), 5, 0)
    with pytest.raises(InputError, match="no rows on one side"):
        protocol_named("time").split(panel, 0, cut=1990)
    with pytest.raises(InputError, match="unknown protocol"):
        protocol_named("magic")


def test_a_class_of_one_company_is_refused() -> None:
    frame = made_up()
    frame["label"] = np.where(frame["company_id"] == "c000", "bankrupt", "healthy")
    with pytest.raises(InputError, match="class 'bankrupt' has no row"):
        protocol_named("company").split(panel_from_frame(frame), 0)


def test_time_drops_rows_that_were_not_filed_at_the_cut() -> None:
    frame = made_up(30).assign(label_known_from=pd.NaT)
    filed = pd.to_datetime(frame["fiscal_year"].astype(str) + "-05-30")
    late = (frame["company_id"] == "c003") & (frame["fiscal_year"] == 2014)
    panel = panel_from_frame(frame.assign(available_from=filed.mask(late, "2030-01-01")))
    split = protocol_named("time").split(panel, 0, 2015)
    assert len(split.train) == 30 * 4 - 1
    assert not late.to_numpy()[split.train].any()
    assert "1 training rows dropped" in split.notices[0]


def test_time_says_what_the_panel_does_not_tell() -> None:
    notices = protocol_named("time").split(panel_from_frame(made_up(30)), 0, 2015).notices
    assert any("no column label_known_from" in line for line in notices)
