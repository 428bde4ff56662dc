"""Panels: what is a feature, and one clear line for each bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from models.panel import Panel, panel_from_frame, read_panel
from warehouse.errors import InputError


def made_up(companies: int = 60, years: int = 6, classes: int = 3, seed: int = 0) -> pd.DataFrame:
    """Companies whose class and features persist over years, as real ones do."""
    random = np.random.default_rng(seed)
    kind = random.choice(classes, companies, p=[0.2, 0.25, 0.55] if classes == 3 else None)
    names = np.array(["bankrupt", "distressed", "healthy"])[-classes:]
    rows = np.repeat(np.arange(companies), years)
    own = random.normal(size=(companies, 6))[rows]
    noise = random.normal(size=(len(rows), 6))
    values = 0.7 * own + 0.7 * noise + 0.9 * kind[rows][:, None] * [1, 0.8, 0.4, 0, 0, 0]
    frame = pd.DataFrame(values, columns=[f"r{i}" for i in range(6)])
    frame["copy"] = frame["r0"] * 2 + 0.01 * random.normal(size=len(rows))
    frame = frame.mask(random.random(frame.shape) < 0.05)
    frame.insert(0, "company_id", [f"c{i:03d}" for i in rows])
    frame.insert(1, "fiscal_year", np.tile(np.arange(2012, 2012 + years), companies))
    frame["sector"] = np.array(["steel", "power"])[rows % 2]
    frame["label"] = names[kind[rows]]
    return frame


def made_up_panel(companies: int = 60, classes: int = 3, seed: int = 0) -> Panel:
    return panel_from_frame(made_up(companies, classes=classes, seed=seed))


def test_features_are_numeric_columns_that_are_not_keys() -> None:
    frame = made_up().assign(post_event=False, n_missing=3, flag=True, note="x")
    panel = panel_from_frame(frame)
    assert panel.features == ("r0", "r1", "r2", "r3", "r4", "r5", "copy")
    assert panel.classes == ("bankrupt", "distressed", "healthy")
    assert panel.notices == ("columns left out (not numeric): flag, note",)
    assert panel.keys.columns.tolist() == ["company_id", "fiscal_year", "sector"]
    assert not panel.simulated


def test_every_numeric_column_is_a_feature_beside_the_ratios_too() -> None:
    frame = made_up(20)
    random = np.random.default_rng(0)
    ratios = {f"X{i}": random.normal(size=len(frame)) for i in range(1, 96)}
    panel = panel_from_frame(pd.concat([frame, pd.DataFrame(ratios)], axis=1))
    assert set(ratios) < set(panel.features)
    assert "r0" in panel.features


def test_numbers_written_as_text_are_numbers_and_other_text_is_left_out() -> None:
    frame = made_up(20)
    frame["written"] = frame["r0"].map(lambda x: None if pd.isna(x) else f" {x} ")
    frame["remark"] = "see page 12"
    frame["empty"] = np.nan
    panel = panel_from_frame(frame)
    np.testing.assert_allclose(panel.X["written"], panel.X["r0"])
    assert panel.notices == (
        "columns left out (not numeric): remark",
        "features without any value: empty",
    )


def test_ids_and_classes_are_the_same_with_spaces_around_them() -> None:
    frame = made_up(20)
    odd = frame.index % 2 == 1
    spaced = frame.assign(
        company_id=frame["company_id"].where(odd, frame["company_id"] + " "),
        label=frame["label"].where(odd, " " + frame["label"]),
    )
    one, two = panel_from_frame(frame), panel_from_frame(spaced)
    assert one.classes == two.classes
    assert (one.groups == two.groups).all()


def test_classes_called_none_or_na_are_classes(tmp_path: Path) -> None:
    frame = made_up(20).replace({"label": {"bankrupt": "NA", "distressed": "None"}})
    frame.to_csv(tmp_path / "p.csv", index=False)
    assert read_panel(tmp_path / "p.csv").classes == ("healthy", "NA", "None")


def test_integer_labels_and_simulated_mark() -> None:
    frame = made_up(20).assign(simulated=True)
    frame["label"] = (frame["label"] == "bankrupt").astype(float)
    panel = panel_from_frame(frame)
    assert panel.classes == ("0", "1")
    assert panel.simulated


def test_csv_and_parquet_agree(tmp_path: Path) -> None:
    made_up().to_csv(tmp_path / "p.csv", index=False)
    made_up().to_parquet(tmp_path / "p.parquet")
    one, two = read_panel(tmp_path / "p.csv"), read_panel(tmp_path / "p.parquet")
    np.testing.assert_allclose(one.X.to_numpy(), two.X.to_numpy())
    assert one.data_hash != two.data_hash
    assert (one.y == two.y).all()


BAD = {
    "label missing": (lambda f: f.rename(columns={"label": "lable"}), "nearest: lable"),
    "one class": (lambda f: f.assign(label="healthy"), "only one class"),
    "no label": (lambda f: f.assign(label=f["label"].mask(f.index == 4)), "first is data row 5"),
    "infinite": (
        lambda f: f.assign(r3=f["r3"].mask(f.index == 2, np.inf)),
        "data row 3, column 'r3': inf",
    ),
    "overflow": (lambda f: f.assign(r3=f["r3"].mask(f.index == 2, 1e300)), "data row 3"),
    "text in a number": (
        lambda f: f.assign(r3=f["r3"].astype(object).mask(f.index == 2, "abc")),
        "data row 3, column 'r3': expected a number, got 'abc'",
    ),
    "twice the same year": (
        lambda f: f.assign(fiscal_year=f["fiscal_year"].mask(f.index == 1, 2012)),
        "data row 2: company c000 has another row for 2012",
    ),
    "all alike": (
        lambda f: f[["company_id", "fiscal_year", "label"]].assign(a=1.0, b=np.nan),
        "nothing to learn from",
    ),
    "a class each": (lambda f: f.assign(label=[f"l{i}" for i in f.index]), "is --label the right"),
    "far year": (lambda f: f.assign(fiscal_year=22010), "is not a year"),
    "date as a number": (lambda f: f.assign(label_known_from=20300101), "expected YYYY-MM-DD"),
    "no feature": (lambda f: f[["company_id", "fiscal_year", "label"]], "no numeric feature"),
    "no company": (
        lambda f: f.assign(company_id=f["company_id"].mask(f.index == 0)),
        "'company_id' is empty in data row 1",
    ),
    "bad date": (lambda f: f.assign(label_known_from="soon"), "is not a date"),
    "no rows": (lambda f: f.iloc[:0], "no rows"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_frames_give_one_line(case: str) -> None:
    change, message = BAD[case]
    with pytest.raises(InputError, match=message) as caught:
        panel_from_frame(change(made_up(20)))
    assert "\n" not in str(caught.value)


FILES = {
    "absent": (None, "no such file"),
    "empty": (b"", "empty"),
    "blank": (b"\n\n", "Empty CSV"),
    "binary": (b"\xff\xfe\x00\x01 nonsense", "expected UTF-8"),
    "torn parquet": (b"PAR1 and no more", "damaged Parquet"),
    "ragged": (b"a,label\n1,x\n1,2,3,4\n", "row 3: expected 2 columns, got 4"),
    "duplicate": (b"a,a,label\n1,2,x\n3,4,y\n", "'a' appears 2 times"),
}


@pytest.mark.parametrize("case", FILES)
def test_bad_files_give_one_line(case: str, tmp_path: Path) -> None:
    content, message = FILES[case]
    path = tmp_path / "panel.csv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_panel(path)
    assert "\n" not in str(caught.value)
