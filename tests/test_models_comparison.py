"""The paired test against scikit-learn's F1, an independent bootstrap and worked examples."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from models import comparison
from models.comparison import compare, holm
from warehouse.errors import InputError

CLASSES = ("bankrupt", "distressed", "healthy")


def models(rows: int = 300, size: int = 3, seed: int = 0):
    """Truth, and models that know it the better the higher their number."""
    random = np.random.default_rng(seed)
    y = random.choice(
        size, rows, p=np.array([0.2, 0.3, 0.5])[-size:] / sum([0.2, 0.3, 0.5][-size:])
    )
    noise = random.random((rows, size))
    found = {}
    for strength in (0.6, 0.0, 0.5, 1.0):
        raw = 0.7 * noise + 0.3 * random.random((rows, size)) + strength * np.eye(size)[y]
        found[f"s{strength}"] = raw / raw.sum(axis=1, keepdims=True)
    return y, found


def macro(y, proba) -> float:
    return f1_score(y, proba.argmax(axis=1), average="macro")


@pytest.mark.parametrize("size", [2, 3])
def test_differences_are_those_of_scikit_learn(size: int) -> None:
    y, probas = models(size=size)
    table = compare(y, probas, CLASSES[-size:], None, 0, "s0.5")
    assert list(table["name"]) == list(probas)
    expected = [macro(y, proba) - macro(y, probas["s0.5"]) for proba in probas.values()]
    assert list(table["difference"]) == pytest.approx(expected, abs=1e-12)
    inside = (table["low"] <= table["difference"]) & (table["difference"] <= table["high"])
    assert inside.all()


def test_verdicts() -> None:
    y, probas = models()
    table = compare(y, {**probas, "twin": probas["s0.6"].copy()}, CLASSES, None, 0, "s0.6")
    found = table.set_index("name")
    assert dict(found["verdict"]) == {
        "s0.6": "tied",
        "s0.0": "behind",
        "s0.5": "behind",
        "s1.0": "ahead",
        "twin": "tied",
    }
    twin = found.loc["twin"]
    assert (twin["difference"], twin["low"], twin["high"], twin["p"], twin["p_holm"]) == (
        *(0, 0, 0),
        *(1, 1),
    )
    # No draw of 10,000 has the guessing model in front; four models are compared.
    assert found.loc["s0.0", "p"] == pytest.approx(2 / 10_001)
    assert found.loc["s0.0", "p_holm"] == pytest.approx(4 * 2 / 10_001)
    assert (found["p_holm"] >= found["p"]).all()


@pytest.mark.slow
def test_interval_is_that_of_a_bootstrap_written_otherwise() -> None:
    y, probas = models(rows=200)
    groups = np.array([f"c{i // 4}" for i in range(200)])
    row = compare(y, probas, CLASSES, groups, 0, "s0.6").set_index("name").loc["s0.5"]
    random = np.random.default_rng(7)
    members = [np.flatnonzero(groups == name) for name in np.unique(groups)]
    gaps = []
    for _ in range(400):
        rows = np.concatenate([members[i] for i in random.integers(0, 50, 50)])
        gaps.append(macro(y[rows], probas["s0.5"][rows]) - macro(y[rows], probas["s0.6"][rows]))
    low, high = np.quantile(gaps, [0.025, 0.975])
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=0.012)
    assert high - low > 0.05
    share = 2 * min(np.mean(np.array(gaps) <= 0), np.mean(np.array(gaps) >= 0))
    assert row["p"] == pytest.approx(share, abs=0.05)


def test_equal_models_are_seldom_called_different(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forty pairs of models that err by the same chance: p below 5 % about twice."""
    monkeypatch.setattr(comparison, "DRAWS", 1000)
    random = np.random.default_rng(3)
    found = []
    for _ in range(40):
        y = random.integers(0, 2, 100)
        right = random.random((2, 100)) < 0.7
        probas = {
            str(at): np.eye(2)[np.where(hit, y, 1 - y)].astype(float)
            for at, hit in enumerate(right)
        }
        found.append(compare(y, probas, ("a", "b"), None, 0, "0")["p"][1])
    assert np.mean(np.array(found) < 0.05) <= 0.15
    assert 0.3 < np.mean(found) < 0.7


def test_rows_of_one_company_are_not_independent() -> None:
    """Ten copies of each row: by rows the difference seems sure, by company it is not."""
    y, probas = models(rows=40, seed=5)
    many = {name: np.repeat(proba, 10, axis=0) for name, proba in probas.items()}
    truth, groups = np.repeat(y, 10), np.repeat([f"c{i}" for i in range(40)], 10)
    by_row = compare(truth, many, CLASSES, None, 0, "s0.6").set_index("name")
    by_company = compare(truth, many, CLASSES, groups, 0, "s0.6").set_index("name")
    once = compare(y, probas, CLASSES, None, 0, "s0.6").set_index("name")
    width = by_company["high"] - by_company["low"]
    assert (width[1:] > 2 * (by_row["high"] - by_row["low"])[1:]).all()
    assert width.to_numpy() == pytest.approx((once["high"] - once["low"]).to_numpy(), abs=0.02)


def test_seed_and_order_of_rows() -> None:
    y, probas = models()
    groups = np.array([f"c{i % 60:02d}" for i in range(300)])
    order = np.random.default_rng(1).permutation(300)
    mixed = {name: proba[order] for name, proba in probas.items()}
    first = compare(y, probas, CLASSES, groups, 4, "s0.6")
    assert first.equals(compare(y[order], mixed, CLASSES, groups[order], 4, "s0.6"))
    assert not first.equals(compare(y, probas, CLASSES, groups, 5, "s0.6"))


def test_one_model_and_classes_that_do_not_occur() -> None:
    proba = np.full((4, 3), 1 / 3)
    table = compare(np.array([2, 2, 2, 2]), {"a": proba}, CLASSES, None, 0, "a")
    assert table.to_dict("records") == [
        {"name": "a", "difference": 0, "low": 0, "high": 0, "p": 1, "p_holm": 1, "verdict": "tied"}
    ]


def test_holm_by_hand() -> None:
    # In order .005 x 4, .01 x 3, .03 x 2, .04 x 1, and none below the one before.
    assert holm(np.array([0.01, 0.04, 0.03, 0.005])) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm(np.array([0.6, 0.7])) == pytest.approx([1.0, 1.0])
    assert len(holm(np.array([]))) == 0


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_lies_between_none_and_bonferroni(p: list[float]) -> None:
    found, given_ = holm(np.array(p)), np.array(p)
    assert (found >= given_ - 1e-12).all()
    assert (found <= np.minimum(given_ * len(p), 1) + 1e-12).all()
    order = np.argsort(given_)
    assert (np.diff(found[order]) >= 0).all()
    assert found.min() == pytest.approx(min(1.0, given_.min() * len(p)))


def test_models_that_do_not_fit_are_refused() -> None:
    y, probas = models()
    with pytest.raises(InputError, match="no model 'x' to compare with; there are"):
        compare(y, probas, CLASSES, None, 0, "x")
    with pytest.raises(InputError, match="300 companies"):
        compare(y, probas, CLASSES, np.array(["a"]), 0, "s0.6")
    with pytest.raises(InputError, match="expected 2 classes, got 3"):
        compare(y, probas, CLASSES[:2], None, 0, "s0.6")
    with pytest.raises(InputError, match="300 class codes"):
        compare(y[:-1], probas, CLASSES, None, 0, "s0.6")
