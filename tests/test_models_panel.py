"""Panels: what is a feature, and one clear line for each bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from features.columns import COLUMNS
from models.panel import Panel, panel_from_frame, read_panel
from models.protocols import protocol_named
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


# What the notes of the panel call metadata, beside the table of its columns.
NEVER = (
    *("fails_within_1y", "fails_within_2y", "fails_within_3y", "fails_within_5y", "label_reason"),
    *("total_assets", "state", "industry", "member_list", "cin_reason", "in_nifty500", "rule_met"),
    *("n_missing", "n_negative_denominators", "failed_checks", "proxies", "n_proxy", "post_event"),
    *("months", "basis", "source", "simulated", "whole_crores", "is_financial"),
)
DATES = (
    *("label_known_from", "available_from", "fiscal_year_end", "prev_fiscal_year_end"),
    *("fails_within_1y_known_from", "fails_within_2y_known_from", "fails_within_9y_known_from"),
)


def beside(frame: pd.DataFrame) -> dict[str, object]:
    """Every column that is no feature, as numbers that would make one."""
    table = [column for column in COLUMNS if column.role != "feature"]
    numbers = [*NEVER, *(column.name for column in table if column.type != "date")]
    dates = [*DATES, *(column.name for column in table if column.type == "date")]
    random = np.random.default_rng(0)
    made: dict[str, object] = {n: random.integers(0, 2, len(frame)) for n in numbers}
    made |= dict.fromkeys(dates, pd.Timestamp("2015-06-30"))
    return {name: values for name, values in made.items() if name not in frame}


def test_no_label_no_date_and_no_count_is_a_feature() -> None:
    frame = made_up(20)
    more = beside(frame)
    assert {column.name for column in COLUMNS if column.role != "feature"} <= {*more, *frame}
    panel = panel_from_frame(frame.assign(**more))
    assert panel.features == panel_from_frame(frame).features
    assert set(panel.details.columns) == {*more, "company_id", "fiscal_year", "sector", "label"}
    # As a label of its own, none of the others becomes a feature either.
    other = panel_from_frame(frame.assign(**more), "fails_within_2y")
    assert other.features == panel.features


def test_every_feature_of_the_table_is_one() -> None:
    frame = made_up(20)
    names = [column.name for column in COLUMNS if column.role == "feature"]
    values = np.random.default_rng(0).normal(size=(len(frame), len(names)))
    panel = panel_from_frame(pd.concat([frame, pd.DataFrame(values, columns=names)], axis=1))
    assert set(names) < set(panel.features)


def test_the_size_of_an_outside_panel_is_left_out_and_said() -> None:
    frame = made_up(20).assign(total_assets=7.0)
    said = "columns left out (a size by which companies are matched): total_assets"
    assert panel_from_frame(frame).notices == (said,)
    assert panel_from_frame(frame.assign(X1=frame["r0"])).notices == ()


def horizon_frame() -> pd.DataFrame:
    """As our panels have it: true, false, and nothing where nobody knows."""
    frame = made_up(40)
    fails = (frame["label"] == "bankrupt").astype(object)
    fails[frame["fiscal_year"] == 2017] = None
    frame["fails_within_2y"] = fails
    ends = pd.to_datetime(frame["fiscal_year"].astype(str) + "-03-31")
    known = (ends + pd.DateOffset(years=2)).mask(frame["fails_within_2y"].isna())
    frame["fails_within_2y_known_from"] = known
    return frame.assign(label_known_from=pd.Timestamp("2016-01-01"))


SAID = {
    "as it is": lambda x: x,
    "text": lambda x: None if x is None else str(x),
    "capitals": lambda x: None if x is None else str(x).upper(),
    "numbers": lambda x: None if x is None else int(x),
    "fractions": lambda x: np.nan if x is None else float(x),
    "classes": lambda x: None if x is None else ("fails" if x else "survives"),
}


@pytest.mark.parametrize("form", SAID)
def test_rows_whose_horizon_is_not_over_are_left_out_and_counted(form: str) -> None:
    frame = horizon_frame()
    given = frame.assign(fails_within_2y=frame["fails_within_2y"].map(SAID[form]))
    panel = panel_from_frame(given, "fails_within_2y")
    known = (frame["fiscal_year"] != 2017).to_numpy()
    assert panel.classes == ("fails", "survives")
    assert panel.focus == 0
    assert len(panel.y) == len(panel.X) == len(panel.keys) == known.sum() == 200
    assert (panel.y == (frame["label"] != "bankrupt")[known]).all()
    assert panel.times.tolist() == frame["fiscal_year"][known].tolist()
    np.testing.assert_array_equal(panel.X["r0"], frame["r0"][known])
    said = "40 of 240 rows have no 'fails_within_2y' (not yet observed, or already admitted)"
    assert panel.notices == (f"{said} and are left out",)


def test_horizon_of_a_csv_file(tmp_path: Path) -> None:
    horizon_frame().to_csv(tmp_path / "p.csv", index=False)
    panel = read_panel(tmp_path / "p.csv", "fails_within_2y")
    assert len(panel.y) == 200
    assert panel.classes == ("fails", "survives")
    whole = panel_from_frame(horizon_frame(), "fails_within_2y")
    assert (panel.y == whole.y).all()
    assert (panel.known_from == whole.known_from).all()


def test_a_flag_of_any_name_may_lack_rows_and_keeps_its_words() -> None:
    frame = horizon_frame().rename(columns={"fails_within_2y": "defaulted"})
    panel = panel_from_frame(frame, "defaulted")
    assert panel.classes == ("False", "True")
    assert panel.notices == ("40 of 240 rows have no 'defaulted' and are left out",)


def test_the_date_is_that_of_the_label_asked_for() -> None:
    """The date of `label` says nothing of a label beside it."""
    frame = horizon_frame()
    own = frame["fails_within_2y_known_from"].dropna().to_numpy(dtype="datetime64[D]")
    assert (panel_from_frame(frame, "fails_within_2y").known_from == own).all()
    assert set(panel_from_frame(frame).known_from) == {np.datetime64("2016-01-01")}
    without = frame.drop(columns="fails_within_2y_known_from")
    assert panel_from_frame(without, "fails_within_2y").known_from is None
    # A panel of one label, whatever its name, has one date.
    only = without.drop(columns="label")
    found = panel_from_frame(only, "fails_within_2y").known_from
    assert set(found) == {np.datetime64("2016-01-01")}


def test_by_time_only_labels_known_by_the_cut_are_trained_on() -> None:
    """A year that ends in March 2014 is known to have survived two years in March 2016."""
    panel = panel_from_frame(horizon_frame(), "fails_within_2y")
    split = protocol_named("time").split(panel, 0, 2015)
    assert sorted(set(panel.times[split.train])) == [2012, 2013]
    assert sorted(set(panel.times[split.test])) == [2016]


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
    "no label at all": (lambda f: f.assign(label=None), "no row has a 'label'"),
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


def test_a_horizon_is_true_or_false_and_nothing_else() -> None:
    frame = horizon_frame()
    frame.loc[3, "fails_within_2y"] = "maybe"
    said = "data row 4, column 'fails_within_2y': expected true or false, got 'maybe'"
    with pytest.raises(InputError, match=said):
        panel_from_frame(frame, "fails_within_2y")
    with pytest.raises(InputError, match="no row has a 'fails_within_2y'"):
        panel_from_frame(frame.assign(fails_within_2y=None), "fails_within_2y")
    with pytest.raises(InputError, match=r"only one class \('survives'\)"):
        panel_from_frame(frame.assign(fails_within_2y=False), "fails_within_2y")


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
