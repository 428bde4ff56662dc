"""Learners of the related work: in the pipeline, saved without pickle, and against known fits."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import skops.io
from scipy.stats import norm
from sklearn.base import clone
from test_models_panel import made_up_panel
from test_models_pipeline import small

from models.artifact import TRUSTED
from models.learner import Learner
from models.learners import LEARNERS
from models.metrics import measure_all
from models.pipeline import build_pipeline
from models.protocols import protocol_named
from models.rivals import RIVALS, Probit, SoftmaxLinearSVC

# L. C. Spector and M. Mazzeo (1980), Probit analysis and economic education: grade point average,
# test score, taught by the new method (PSI), grade improved. Printed in W. H. Greene, Econometric
# Analysis (5th edition, table F21.1), whose table 21.1 has the probit's estimates.
GPA = (
    *(2.66, 2.89, 3.28, 2.92, 4.00, 2.86, 2.76, 2.87, 3.03, 3.92, 2.63, 3.32, 3.57, 3.26, 3.53),
    *(2.74, 2.75, 2.83, 3.12, 3.16, 2.06, 3.62, 2.89, 3.51, 3.54, 2.83, 3.39, 2.67, 3.65, 4.00),
    *(3.10, 2.39),
)
TUCE = (
    *(20, 22, 24, 12, 21, 17, 17, 21, 25, 29, 20, 23, 23, 25, 26, 19, 25, 19, 23, 25, 22, 28, 14),
    *(26, 24, 27, 17, 24, 21, 23, 21, 19),
)
PSI = (0,) * 18 + (1,) * 14
IMPROVED = (5, 10, 14, 20, 22, 25, 26, 27, 29, 30, 32)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("learner", RIVALS, ids=lambda e: e.name)
def test_a_rival_learns_in_the_pipeline_and_is_saved_without_pickle(
    learner: Learner, classes: int, tmp_path: Path
) -> None:
    panel = made_up_panel(classes=classes)
    split = protocol_named("company").split(panel, 0)
    pipeline = build_pipeline(learner, small(learner), "all", 0, "cpu")
    values = panel.X.to_numpy()
    pipeline.fit(values[split.train], panel.y[split.train])
    proba = pipeline.predict_proba(values[split.test])
    assert proba.shape == (len(split.test), classes)
    np.testing.assert_allclose(proba.sum(axis=1), 1)
    learned = pipeline.predict_proba(values[split.train])
    figures = measure_all(panel.y[split.train], learned, panel.classes, panel.focus)
    assert figures["roc_auc_ovr"] > 0.75

    prepared = pipeline[:-2].transform(values[split.test])
    model = pipeline.named_steps["learn"]
    skops.io.dump(model, tmp_path / "learner.skops")
    trusted = set(TRUSTED)
    assert set(skops.io.get_untrusted_types(file=tmp_path / "learner.skops")) <= trusted
    loaded = skops.io.load(tmp_path / "learner.skops", trusted=sorted(trusted))
    np.testing.assert_array_equal(loaded.predict_proba(prepared), model.predict_proba(prepared))


@pytest.mark.parametrize("learner", RIVALS, ids=lambda e: e.name)
def test_every_point_of_a_rival_can_be_built_and_printed(learner: Learner) -> None:
    assert not learner.default
    assert learner.name not in {other.name for other in LEARNERS if other.default}
    assert 6 <= len(learner.full) <= 8
    assert len(learner.quick) == 2
    for grid in ("paper", "quick", "full"):
        points = learner.points(grid)
        assert len({json.dumps(point, allow_nan=False) for point in points}) == len(points)
        for point in points:
            clone(learner.build(point, 0, "cpu"))


def spector() -> tuple[np.ndarray, np.ndarray]:
    X = np.column_stack([GPA, TUCE, PSI]).astype(float)
    y = np.zeros(32, dtype=np.int64)
    y[np.array(IMPROVED) - 1] = 1
    return X, y


def test_probit_is_that_of_the_textbook() -> None:
    X, y = spector()
    model = Probit().fit(X, y)
    assert model.intercept_[0] == pytest.approx(-7.452, abs=5e-4)
    assert model.coef_[0] == pytest.approx([1.626, 0.052, 1.426], abs=5e-4)
    proba = model.predict_proba(X)
    assert np.log(proba[np.arange(32), y]).sum() == pytest.approx(-12.8188, abs=5e-5)
    np.testing.assert_allclose(proba[:, 1], norm.cdf(X @ model.coef_[0] + model.intercept_[0]))


def test_probit_of_three_classes_is_each_against_the_rest() -> None:
    random = np.random.default_rng(0)
    X = random.normal(size=(300, 2))
    y = (X[:, 0] + 0.7 * random.normal(size=300) > 0).astype(int) * 2
    y[X[:, 1] + 0.7 * random.normal(size=300) > 1] = 1
    model = Probit().fit(X, y)
    alone = np.column_stack(
        [Probit().fit(X, y == code).predict_proba(X)[:, 1] for code in range(3)]
    )
    expected = alone / alone.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(model.predict_proba(X), expected, atol=1e-5)
    assert (model.predict(X) == expected.argmax(axis=1)).mean() > 0.99


def test_probit_stays_finite_where_classes_stand_apart_and_far_out() -> None:
    X = np.array([[-1.0], [-0.5], [0.5], [1.0]])
    y = np.array([0, 0, 1, 1])
    apart = Probit().fit(X, y).predict_proba(np.array([[-1e4], [1e4]]))
    np.testing.assert_allclose(apart, [[1, 0], [0, 1]], atol=1e-12)
    gentle, strong = (float(Probit(ridge=r).fit(X, y).coef_[0, 0]) for r in (0.01, 1.0))
    assert 0 < strong < gentle < 10


def test_linear_machine_ranks_by_its_margins() -> None:
    X, y = spector()
    model = SoftmaxLinearSVC(C=1.0).fit(X, y)
    margins = model.svc_.decision_function(X)
    np.testing.assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-margins)))
    assert (model.predict(X) == (margins > 0)).all()
