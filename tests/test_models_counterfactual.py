"""What would have to change: the smallest plausible change of ratios, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.artifact import Model, load
from models.counterfactual import counterfactual
from models.evaluate import make_plan, run
from models.panel import Floats, panel_from_frame
from models.saving import save

NAMES = ["X1", "X2", "X63"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Of two ratios and a macro value; classes differ in all three."""
    random = np.random.default_rng(0)
    kind = np.repeat([0, 1, 2], 60)
    values = random.normal(size=(180, 3)) + kind[:, None]
    frame = pd.DataFrame(values, columns=NAMES)
    frame["company_id"] = [f"c{n // 3}" for n in range(180)]
    frame["label"] = np.array(["bankrupt", "distressed", "healthy"])[kind]
    folder = tmp_path_factory.mktemp("model") / "model"
    save(folder, run(panel_from_frame(frame), make_plan("paper", ("lr",), ("all",), "paper")), {})
    return load(folder)


@dataclass(frozen=True)
class Rule:
    """Bankrupt unless so many of the columns are above a limit; for prepared rows."""

    limit: float
    columns: tuple[int, ...]

    def predict_proba(self, X: Floats) -> Any:
        above = (X[:, list(self.columns)] > self.limit).mean(axis=1)
        return np.column_stack([1.2 - above, np.zeros(len(X)), above])


def asked(model: Model, prepared: list[float]) -> tuple[Floats, Floats]:
    row = np.array(prepared)
    return row, model.unscaled(row)


def test_the_smallest_move_that_leaves_the_class_is_told(model: Model) -> None:
    """Two ratios would do; the one that passes fewer training rows is taken."""

    class Either(Rule):
        def predict_proba(self, X: Floats) -> Any:
            out = (X[:, 0] > 0.4) | (X[:, 1] > 0.1)
            return np.column_stack([~out * 0.9, np.full(len(X), 0.05), out * 0.9])

    plain = replace(model, learner=Either(0, ()), calibration=None)
    row, values = asked(plain, [-1.5, -1.5, -1.5])
    found = counterfactual(plain, row, values)
    assert found is not None
    (change,) = found.changes
    assert (change.feature, change.now) == ("X2", pytest.approx(values[1]))
    at = (change.then - values[1]) / (
        plain.unscaled(np.array([0, 1.0, 0]))[1] - plain.unscaled(np.zeros(3))[1]
    )
    assert row[1] + at > 0.1
    assert (found.prediction, found.probability) == ("healthy", pytest.approx(0.0))
    assert "quick ratio" in found.words()
    assert "instead of" in found.words()


def test_several_move_where_one_is_not_enough(model: Model) -> None:
    plain = replace(model, learner=Rule(0.1, (0, 1)), calibration=None)
    found = counterfactual(plain, *asked(plain, [-1.5, -1.5, -1.5]))
    assert found is not None
    assert {change.feature for change in found.changes} == {"X1", "X2"}


def test_what_cannot_move_does_not(model: Model) -> None:
    """Only a macro value would do, or values that no other company has: there is no answer."""
    for rule in (Rule(0.0, (2,)), Rule(50.0, (0, 1))):
        plain = replace(model, learner=rule, calibration=None)
        assert counterfactual(plain, *asked(plain, [-1.5, -1.5, -1.5])) is None


def test_a_missing_ratio_does_not_move(model: Model) -> None:
    plain = replace(model, learner=Rule(0.0, (0,)), calibration=None)
    row, values = asked(plain, [-1.5, -1.5, -1.5])
    assert counterfactual(plain, row, values) is not None
    assert counterfactual(plain, row, np.array([np.nan, values[1], values[2]])) is None


def test_values_stay_among_those_of_other_companies(model: Model, tmp_path: Path) -> None:
    assert model.history is not None
    others = model.history.rows["class_code"] != 0
    seen = model.history.values[others.to_numpy()]
    found = 0
    for row, values, code in zip(
        model.history.prepared,
        model.history.values.to_numpy(),
        model.history.rows["class_code"],
        strict=True,
    ):
        said = counterfactual(model, row, values) if code == 0 else None
        if said is None:
            continue
        found += 1
        for change in said.changes:
            own = seen[change.feature]
            middle = (own.quantile(0.1) - 1e-9, own.quantile(0.9) + 1e-9)
            assert middle[0] <= change.then <= middle[1]
            assert change.feature != "X63"
    assert found > 10


def test_a_panel_of_others_may_move_all_its_features(model: Model) -> None:
    named = ("a", "b", "c")
    plain = replace(model, learner=Rule(0.0, (2,)), calibration=None, selected=named)
    found = counterfactual(plain, *asked(plain, [-1.5, -1.5, -1.5]))
    assert found is not None
    assert [change.feature for change in found.changes] == ["c"]
