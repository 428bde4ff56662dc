"""Training rows kept with a model: who is near, what became of them, how far off a row lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_models_panel import made_up

from models.artifact import load
from models.evaluate import make_plan, run
from models.history import (
    COLUMNS,
    MOST_ROWS,
    History,
    Neighbour,
    make_history,
    read_history,
    write_history,
)
from models.panel import panel_from_frame
from models.saving import save
from warehouse.errors import InputError

CLASSES = ("bankrupt", "distressed", "healthy")


def small() -> pd.DataFrame:
    """Three companies on a line; the second fails in 2013."""
    return pd.DataFrame(
        {
            "company_id": ["a", "a", "b", "b", "c"],
            "company_name": ["Alpha", "Alpha", "Beta", "Beta", None],
            "fiscal_year": [2012, 2013, 2012, 2013, 2012],
            "label": ["healthy", "healthy", "distressed", "bankrupt", "healthy"],
            "x": [0.0, 1.0, 4.0, 6.0, 9.0],
            "z": [0.0] * 5,
        }
    )


def history(frame: pd.DataFrame) -> History:
    panel = panel_from_frame(frame)
    prepared = panel.X.to_numpy()
    rows = make_history(panel, np.arange(len(frame)), prepared, seed=0)
    return History(rows, panel.X, prepared)


def test_rows_say_what_became_of_the_company() -> None:
    rows = history(small()).rows
    assert list(rows.columns) == [*COLUMNS, "x", "z"]
    assert rows["name"].tolist() == ["Alpha", "Alpha", "Beta", "Beta", "c"]
    assert rows["last_failed"].isna().tolist() == [True, True, False, False, True]
    assert set(rows["last_failed"].dropna()) == {2013}
    assert rows["last_year"].tolist() == [2013, 2013, 2013, 2013, 2012]


def test_distance_is_the_root_mean_square_over_features_to_rows_of_others() -> None:
    """Of two features only one differs, so each distance is the difference over the root of 2."""
    found = history(small())
    away = found.distances(np.array([[5.0, 0.0]]), "b")[0]
    assert np.isinf(away[2:4]).all()
    np.testing.assert_allclose(away[[0, 1, 4]] * np.sqrt(2), [5, 4, 4])
    # The row of a company is compared with all rows of the others, fewer than five here.
    means = np.array([(4 + 6 + 9) / 3, (3 + 5 + 8) / 3, (4 + 3 + 5) / 3, (6 + 5 + 3) / 3, 6.5])
    means[4] = (9 + 8 + 5 + 3) / 4
    np.testing.assert_allclose(found.rows["apart"] * np.sqrt(2), means)


def test_neighbours_are_companies_by_their_nearest_rows() -> None:
    found = history(small())
    away = found.distances(np.array([[5.5, 0.0]]), "new")[0]
    first, second, third = found.nearest(away, CLASSES, 9)
    assert (first.company_id, first.fiscal_year, first.label) == ("b", 2013, "bankrupt")
    assert (second.company_name, third.company_name) == ("c", "Alpha")
    assert third.fiscal_year == 2013
    assert first.fate("bankrupt") == "bankrupt in 2013"
    assert third.fate("bankrupt") == "never bankrupt up to 2013"
    assert found.nearest(away, CLASSES, 1) == [first]


def test_fate_without_years() -> None:
    bare = Neighbour("a", "a", None, "healthy", None, None, 1.0)
    assert bare.fate("fails") == "never fails"


def test_percentile_is_the_share_that_lies_nearer() -> None:
    found = history(small())
    near = found.percentile(found.distances(np.array([[4.5, 0.0]]), "new")[0])
    far = found.percentile(found.distances(np.array([[100.0, 0.0]]), "new")[0])
    assert 0 <= near < far == 100


def test_panel_without_companies_and_years() -> None:
    frame = small()[["x", "z", "label"]]
    rows = history(frame).rows
    assert rows["company"].tolist() == [f"row {n}" for n in range(1, 6)]
    assert rows[["year", "last_failed", "last_year"]].isna().all().all()


def test_of_many_rows_the_failing_ones_are_kept_first(monkeypatch: pytest.MonkeyPatch) -> None:
    most = 2_000
    monkeypatch.setattr("models.history.MOST_ROWS", most)
    count = most + 300
    frame = pd.DataFrame(
        {
            "company_id": [f"c{n // 5}" for n in range(count)],
            "label": ["bankrupt" if n % 50 == 0 else "healthy" for n in range(count)],
            "x": np.arange(count, dtype=float),
        }
    )
    panel = panel_from_frame(frame)
    prepared = np.zeros((count, 1))
    rows = make_history(panel, np.arange(count), prepared, seed=0)
    assert len(rows) == most
    assert (rows["class_code"] == 0).sum() == (frame["label"] == "bankrupt").sum()
    again = make_history(panel, np.arange(count), prepared, seed=0)
    pd.testing.assert_frame_equal(rows, again)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("model") / "model"
    panel = panel_from_frame(made_up(30))
    save(made, run(panel, make_plan("company", ("lr",), ("correlation",), "paper")), {})
    return made


def test_a_saved_model_brings_its_training_rows_and_no_others(folder: Path) -> None:
    model = load(folder)
    assert model.history is not None
    assert model.history.prepared.shape == (len(model.history.rows), len(model.selected))
    assert len(model.history.rows) == model.manifest["rows"]["train"]
    companies = set(model.history.rows["company"])
    assert 0 < len(companies) < 30


def test_prepared_values_go_back_to_what_they_were(folder: Path) -> None:
    model = load(folder)
    assert model.history is not None
    low, high = model.limits()
    for prepared, values in zip(
        model.history.prepared, model.history.values.to_numpy(), strict=True
    ):
        inside = (values >= low) & (values <= high)
        np.testing.assert_allclose(model.unscaled(prepared)[inside], values[inside], atol=1e-12)


def damaged(rows: pd.DataFrame, path: Path, how: str) -> None:
    match how:
        case "text":
            path.write_bytes(b"PAR1 and nothing else")
        case "columns":
            write_history(rows.drop(columns="apart"), path)
        case "kind":
            write_history(rows.assign(apart="far"), path)
        case "class":
            write_history(rows.assign(class_code=7), path)
        case "many":
            many = pa.table({"company": pa.array(["a"] * (MOST_ROWS + 1))})
            pq.write_table(many, path)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("text", "not readable"),
        ("columns", "not those of the model"),
        ("kind", "not a number"),
        ("class", "a class that the model does not know"),
        ("many", "more rows than any model keeps"),
    ],
)
def test_a_damaged_history_is_refused(how: str, words: str, tmp_path: Path) -> None:
    rows = history(small()).rows
    damaged(rows, tmp_path / "h.parquet", how)
    with pytest.raises(InputError, match=words):
        read_history(tmp_path / "h.parquet", ("x", "z"), 3)
