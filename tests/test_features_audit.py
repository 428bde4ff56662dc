"""The leak audit: planted leaks are caught, a clean panel is not warned of, figures by hand."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from features import audit_figures
from features.audit import PROBES, Audit, Probe, audit, audit_table, judged
from features.audit_result import LARGE_AUC, LARGE_GAIN, Figures, Finding, Gain, lines
from features.intervals import interval
from warehouse.console import console
from warehouse.errors import InputError

FEATURES = ("X1", "X2", "X3", "X63")
YEARS = 4
COLUMN = {"year": "fiscal_year", "source": "source", "size": "total_assets", "macro": "X63"}
Change = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def panel(companies: int = 90, classes: tuple[str, ...] = ("bad", "good")) -> pd.DataFrame:
    """Companies with a label each; X1 of a year tells it in part, nothing else does."""
    random = np.random.default_rng(7)
    rows = companies * YEARS
    number = np.repeat(np.arange(companies), YEARS)
    year = np.tile(np.arange(2015, 2015 + YEARS), companies)
    frame = pd.DataFrame({name: random.normal(size=rows) for name in FEATURES[:3]})
    frame["X1"] += 1.5 * (number % len(classes))
    frame = frame.mask(random.random(frame.shape) < 0.1)
    return frame.assign(
        X63=np.sin(year),
        company_id=[f"c{n}" for n in number],
        fiscal_year=year,
        label=[classes[n % len(classes)] for n in number],
        source=random.choice(["a", "b"], rows),
        total_assets=np.exp(random.normal(5, 2, rows)),
    )


def bad(frame: pd.DataFrame) -> pd.Series[bool]:
    return frame["label"] == "bad"


def leak_missing(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    gone = random.random(len(frame)) < np.where(bad(frame), 0.8, 0.2)
    return frame.assign(X2=frame["X2"].mask(gone))


def leak_year(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    early = bad(frame) & (random.random(len(frame)) < 0.7)
    return frame.assign(fiscal_year=frame["fiscal_year"] - 4 * early)


def leak_macro(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    late = leak_year(frame, random)
    return late.assign(X63=np.sqrt(late["fiscal_year"]))


def leak_source(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    odd = bad(frame) ^ (random.random(len(frame)) < 0.2)
    return frame.assign(source=np.where(odd, "top level only", frame["source"]))


def leak_size(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return frame.assign(total_assets=frame["total_assets"] / np.where(bad(frame), 20, 1))


def leak_company(frame: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """Features that name the company and nothing else."""
    number = frame["company_id"].str[1:].astype(int)
    value = pd.DataFrame(random.normal(size=(number.max() + 1, 3)), columns=list(FEATURES[:3]))
    return frame.assign(**{name: value[name].to_numpy()[number] for name in value})


LEAKS: tuple[tuple[Change, set[str]], ...] = (
    (leak_missing, {"missing"}),
    (leak_year, {"year"}),
    (leak_macro, {"year", "macro"}),
    (leak_source, {"source"}),
    (leak_size, {"size"}),
    (leak_company, {"split"}),
)


def large(found: Audit) -> set[str]:
    return {row.probe for row in found.rows if row.large}


def by_name(found: Audit, name: str) -> Finding:
    return next(row for row in found.rows if row.probe == name)


@cache
def planted(plant: Change) -> Audit:
    return audit(plant(panel(), np.random.default_rng(0)), FEATURES)


@pytest.fixture(scope="module")
def clean() -> Audit:
    return audit(panel(), FEATURES)


@pytest.mark.parametrize(("plant", "caught"), LEAKS, ids=[plant.__name__ for plant, _ in LEAKS])
def test_a_planted_leak_is_caught_and_no_other(plant: Change, caught: set[str]) -> None:
    found = planted(plant)
    assert large(found) == caught
    assert len(found.warnings) == len(caught)
    for name in caught:
        subject = next(probe.subject for probe in PROBES if probe.name == name)
        assert [line for line in found.warnings if line.startswith(subject)]


def test_every_probe_has_a_planted_leak() -> None:
    assert {probe.name for probe in PROBES} == set().union(*(caught for _, caught in LEAKS))


def test_a_company_that_is_recognised_gains_by_random_rows_only() -> None:
    found = by_name(planted(leak_company), "split")
    assert found.figures is not None
    assert found.by_row is not None
    # 45 companies of each class and one value a company: the AUC of chance has a deviation of 0.06.
    assert found.figures.auc == pytest.approx(0.5, abs=0.18)
    assert found.by_row.auc is not None
    assert found.by_row.auc > 0.9


def test_a_clean_panel_gives_no_warning(clean: Audit) -> None:
    assert clean.warnings == ()
    assert not large(clean)
    assert not [row for row in clean.rows if row.reason]
    assert (clean.rows_used, clean.rows_total, clean.companies) == (360, 360, 90)
    assert (clean.classes, clean.majority) == (2, 0.5)


def test_what_truly_tells_the_classes_apart_is_seen_and_not_warned_of(clean: Audit) -> None:
    found = by_name(clean, "split").figures
    assert found is not None
    assert found.auc_low is not None
    assert found.auc_low > LARGE_AUC


def test_permuted_labels_are_told_by_nothing() -> None:
    frame = panel(classes=("a", "b", "c"))
    frame["label"] = np.random.default_rng(1).permutation(frame["label"])
    found = audit(frame, FEATURES)
    shown = [f for row in found.rows for f in (row.figures, row.by_row) if f is not None]
    assert len(shown) == len(PROBES) + 1
    assert [f.auc for f in shown] == pytest.approx([0.5] * len(shown), abs=0.08)
    # The intervals leave out how fits vary, some 0.02 here: 60 permutations gave 83 to 90 %.
    assert all(f.auc_low - 0.02 < 0.5 < f.auc_high + 0.02 for f in shown)
    assert found.warnings == ()


def test_the_same_panel_and_seed_give_the_same_audit_in_any_order(clean: Audit) -> None:
    frame = panel().sample(frac=1, random_state=3)
    assert audit(frame, FEATURES) == clean
    assert audit(frame, FEATURES, seed=1) != clean


def test_labels_may_be_flags_or_numbers(clean: Audit) -> None:
    frame = panel()
    assert audit(frame.assign(label=~bad(frame)), FEATURES) == clean
    coded = panel(12).assign(label=(~bad(panel(12))).astype(float))
    assert audit(coded, FEATURES) == audit(panel(12), FEATURES)


def test_rows_without_a_label_are_left_out_and_counted(clean: Audit) -> None:
    more = panel().head(3).assign(label=None, company_id="unlabelled")
    nameless = panel().head(2).assign(company_id=None)
    found = audit(pd.concat([panel(), more, nameless]), FEATURES)
    assert found.rows == clean.rows
    assert (found.rows_used, found.rows_total) == (360, 365)
    assert found.notes[:-1] == (
        "3 rows without a label are left out",
        "2 rows without a company are left out",
    )


def test_a_large_panel_is_audited_on_whole_companies() -> None:
    found = audit(panel(), FEATURES, most_rows=162)
    assert (found.rows_used, found.companies, found.rows_total) == (160, 40, 360)
    assert found.notes[0] == "160 of 360 rows audited: whole companies drawn at random"


def test_a_label_that_is_constant_within_companies_is_named() -> None:
    """A label of the company is told apart from one of the year; one row says neither."""
    alone = panel().head(1).assign(company_id="alone")
    constant = audit(pd.concat([panel(), alone]), FEATURES).notes[-1]
    assert constant.startswith("the label is the same in all years of 90 of 90 companies: it tells")
    frame = panel()
    other = frame["label"].map({"bad": "good", "good": "bad"})
    late = (frame["fiscal_year"] == 2018) & (frame["company_id"].str[1:].astype(int) < 60)
    mixed = frame.assign(label=frame["label"].where(~late, other))
    assert audit(mixed, FEATURES).notes[-1] == (
        "the label is the same in all years of 30 of 90 companies"
    )
    assert "the label is" not in " ".join(audit(panel(), FEATURES, group=None).notes)


def reasons(frame: pd.DataFrame, **names: str | None) -> dict[str, str]:
    features = [name for name in FEATURES if name in frame.columns]
    return {row.probe: row.reason for row in audit(frame, features, **names).rows}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_a_probe_that_cannot_be_run_says_why(probe: Probe) -> None:
    frame = panel(12)
    if probe.name == "missing":
        found = reasons(frame.fillna(0.0))
        expected = "the same in every row"
    elif probe.name == "split":
        found = reasons(frame, group=None)
        expected = "no column for the company"
    else:
        column = COLUMN[probe.name]
        found = reasons(frame.drop(columns=column))
        expected = "none of X63 to X66 is a feature" if column == "X63" else f"no column {column!r}"
    assert found == {p.name: expected if p is probe else "" for p in PROBES}


@pytest.mark.parametrize("probe", PROBES, ids=lambda probe: probe.name)
def test_every_probe_says_where_nothing_varies(probe: Probe) -> None:
    frame = panel(12)
    constant = FEATURES if probe.name in ("missing", "split") else (COLUMN[probe.name],)
    same = "the same in every row"
    assert reasons(frame.assign(**dict.fromkeys(constant, 1.0)))[probe.name] == same


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: f[~bad(f) | f["company_id"].isin(["c0", "c2"])], "a class with 2 companies"),
        (lambda f: f[bad(f)], "one class only"),
        (lambda f: f.assign(label=None), "no row with a label"),
        (lambda f: f.head(0), "no row with a label"),
    ],
)
def test_no_probe_is_run_on_too_little(change: Change, reason: str) -> None:
    found = audit(change(panel(12)), FEATURES)  # type: ignore[call-arg]
    assert all(row.reason.startswith(reason) and row.figures is None for row in found.rows)
    assert len(found.rows) == len(PROBES)
    assert found.warnings == ()


def test_a_panel_without_companies_is_parted_by_rows() -> None:
    found = audit(panel(12).drop(columns="company_id"), FEATURES)
    assert found.companies is None
    assert "no column for the company: rows are parted and drawn one by one" in found.notes
    assert by_name(found, "size").figures is not None


def test_odd_values_are_taken_or_refused_without_a_warning_of_numpy() -> None:
    frame = panel(12)
    odd = frame.assign(
        fiscal_year=pd.to_datetime(frame["fiscal_year"].astype(str) + "-03-31"),
        total_assets=frame["total_assets"].where(frame.index % 3 > 0, -1.0),
        source=[None if n % 7 == 0 else f"file {n}" for n in range(len(frame))],
        X2=frame["X2"].where(frame.index % 5 > 0, np.inf),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = audit(odd, FEATURES)
    assert not [row for row in found.rows if row.reason]
    assert by_name(found, "year") == by_name(audit(frame, FEATURES), "year")
    text = reasons(frame.assign(fiscal_year="FY15", total_assets="1,000"))
    assert text["year"] == "column 'fiscal_year' holds more than numbers"
    assert text["size"] == "column 'total_assets' holds more than numbers"


@pytest.mark.parametrize(
    ("change", "features", "message"),
    [
        (lambda f: f.drop(columns="label"), FEATURES, "no label column 'label'"),
        (lambda f: f, ("X1", "X99"), "no feature column 'X99'"),
        (lambda f: f, ("X1", "source"), "'source' does not hold numbers"),
    ],
)
def test_bad_input_is_refused_in_one_line(
    change: Callable[[pd.DataFrame], pd.DataFrame], features: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message) as refused:
        audit(change(panel(10)), features)
    assert "\n" not in str(refused.value)


def test_an_audit_survives_json(clean: Audit) -> None:
    assert Audit.from_dict(json.loads(json.dumps(clean.to_json()))) == clean
    few = audit(panel(4), FEATURES)
    assert Audit.from_dict(json.loads(json.dumps(few.to_json()))) == few


@pytest.mark.parametrize(
    "damage",
    [
        {"rows": 1},
        {"rows": [{}]},
        {"rows": ["text"]},
        {"warnings": "text"},
        {"warnings": [1]},
        {"majority": "half"},
        {"rows_used": 1.5},
        {"companies": "many"},
    ],
)
def test_what_is_no_audit_is_refused_in_one_line(clean: Audit, damage: dict[str, object]) -> None:
    with pytest.raises(InputError, match="not a leak audit: ") as refused:
        Audit.from_dict(clean.to_json() | damage)
    assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=f"no '{next(iter(damage))}'"):
        Audit.from_dict({k: v for k, v in clean.to_json().items() if k not in damage})


def figures(auc_low: float | None) -> Figures:
    return Figures(0.7, auc_low, 0.8, 0.5, 0.5)


@pytest.mark.parametrize(
    ("low", "expected"), [(None, False), (LARGE_AUC, False), (LARGE_AUC + 0.001, True)]
)
def test_an_auc_is_large_by_its_lower_end(low: float | None, expected: bool) -> None:
    assert judged(Finding("size", "Size", figures=figures(low))).large is expected


@pytest.mark.parametrize(
    ("gain", "expected"),
    [
        (Gain(LARGE_GAIN, 0.01, 0.1, 0.1, 0.01, 0.2), False),
        (Gain(LARGE_GAIN + 0.001, 0.01, 0.1, 0.1, 0.01, 0.2), True),
        (Gain(0.2, -0.01, 0.4, 0.1, 0.01, 0.2), False),
        (Gain(0.2, 0.01, 0.4, 0.1, -0.01, 0.2), False),
        (Gain(None, None, None, None, None, None), False),
    ],
)
def test_a_gain_is_large_where_its_intervals_are_above_zero_too(gain: Gain, expected: bool) -> None:
    found = Finding("split", "All", figures=figures(0.9), by_row=figures(0.9), gain=gain)
    assert judged(found).large is expected


def test_the_table_has_every_probe_and_what_guessing_gives(clean: Audit) -> None:
    screen = console(file=None)
    with screen.capture() as captured:
        screen.print(audit_table(replace(clean, majority=0.8, classes=3)))
    text = captured.get()
    assert all(row.title in text for row in clean.rows)
    # Always naming a class of 80 %: F1 of it 2 * 0.8 / 1.8, of the two others 0.
    assert lines(replace(clean, majority=0.8, classes=3))[0].macro_f1 == "0.296"
    with screen.capture() as captured:
        screen.print(audit_table(audit(panel(4), FEATURES)))
    assert captured.get().count("not run: a class with 2 companies") == len(PROBES)


def predicted(scores: list[float], fold: list[int]) -> audit_figures.Predicted:
    said = np.array(scores)
    return audit_figures.Predicted(np.column_stack([1 - said, said]), np.array(fold))


def test_pairs_are_compared_within_a_fold_by_hand() -> None:
    # Fold 0: one pair, won. Fold 1: the member ties with one of the others and loses to one.
    found = predicted([0.9, 0.1, 0.2, 0.3, 0.2], [0, 0, 1, 1, 1])
    y = np.array([1, 0, 1, 0, 0])
    auc = audit_figures.roc_auc(y, found, np.array([[1, 1, 1, 1, 1], [2, 1, 0, 1, 1]], dtype=float))
    assert auc.tolist() == [1.5 / 3, 1.0]
    assert np.isnan(audit_figures.roc_auc(y, found, np.array([[0.0, 1, 0, 1, 1]]))).all()


@st.composite
def weighted(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truths of three classes, probabilities with ties, whole weights that leave no class out."""
    rows = draw(st.integers(3, 25))
    y = [0, 1, 2, *draw(st.lists(st.integers(0, 2), min_size=rows - 3, max_size=rows - 3))]
    cells = st.tuples(*[st.integers(1, 4)] * 3)
    proba = np.array(draw(st.lists(cells, min_size=rows, max_size=rows)), dtype=float)
    extra = draw(st.lists(st.integers(0, 3), min_size=rows - 3, max_size=rows - 3))
    return np.array(y), proba / proba.sum(axis=1, keepdims=True), np.array([1, 1, 1, *extra], float)


@settings(max_examples=20)
@given(weighted())
def test_figures_are_those_of_scikit_learn(case: tuple[np.ndarray, ...]) -> None:
    """Each figure is written once, for a batch of weightings."""
    y, proba, weights = case
    found = audit_figures.Predicted(proba, np.zeros(len(y), dtype=np.int64))
    both = np.vstack([np.ones(len(y)), weights])
    auc = [
        np.mean([metrics.roc_auc_score(y == c, proba[:, c], sample_weight=w) for c in range(3)])
        for w in both
    ]
    assert audit_figures.roc_auc(y, found, both) == pytest.approx(auc)
    said = [metrics.balanced_accuracy_score(y, found.said, sample_weight=w) for w in both]
    assert audit_figures.balanced_accuracy(y, found, both) == pytest.approx(said)
    f1 = [
        metrics.f1_score(
            y[w > 0], found.said[w > 0], average="macro", sample_weight=w[w > 0], zero_division=0
        )
        for w in both
    ]
    assert audit_figures.macro_f1(y, found, both) == pytest.approx(f1)


def test_the_interval_covers_a_half_for_random_scores_about_as_often_as_it_says() -> None:
    """Its 95 % interval comes from drawing companies anew."""
    random = np.random.default_rng(0)
    companies = np.repeat(np.arange(60), 4)
    y = np.repeat(np.arange(60) % 2, 4)
    covered = 0
    for seed in range(60):
        score = np.repeat(random.random(60), 4) + 0.01 * random.random(240)
        found = predicted(score.tolist(), [0] * 240)
        weights = audit_figures.draws(companies, seed)
        low, high = interval(audit_figures.roc_auc(y, found, weights))
        covered += low <= 0.5 <= high
    assert 51 <= covered <= 60


def test_no_company_is_in_two_folds_and_every_fold_has_every_class() -> None:
    y = np.repeat(np.arange(60) % 3, 4)
    companies = np.repeat(np.arange(60), 4)
    fold = audit_figures.company_folds(y, companies, 0)
    pairs = set(zip(companies.tolist(), fold.tolist(), strict=True))
    assert len(pairs) == 60
    assert len(set(zip(y.tolist(), fold.tolist(), strict=True))) == 9


@pytest.mark.slow
def test_the_real_panel_is_near_its_independent_figures(shared: Path) -> None:
    frame = pd.read_parquet(shared / "data" / "india" / "panel_dev.parquet")
    features = [name for name in frame.columns if name[0] == "X"]
    found = audit(frame, features)
    # Published with the panel, rows "b by company" of its README: AUC, macro-F1.
    for name, auc, macro_f1 in (
        ("missing", 0.826, 0.502),
        ("year", 0.637, 0.449),
        ("source", 0.682, 0.493),
        ("split", 0.949, 0.684),
    ):
        row = by_name(found, name).figures
        assert row is not None
        assert row.auc == pytest.approx(auc, abs=0.035), name
        assert row.macro_f1 == pytest.approx(macro_f1, abs=0.035), name
    assert {"missing", "split"} <= large(found)
    assert by_name(found, "size").reason == "no column 'total_assets'"
