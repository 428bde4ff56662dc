"""Ways to part rows into training, test and tuning folds: the table `PROTOCOLS`."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold, train_test_split

from models.panel import Ints, Panel
from warehouse.errors import InputError

TEST_SHARE = 0.25
STOP_SHARE = 0.15
STOP_PARTS = 7  # one part in seven is 14 %, the nearest that whole companies allow


@dataclass(frozen=True)
class Split:
    """Row numbers of the training and the test side, and what was left out of either."""

    train: Ints
    test: Ints
    notices: tuple[str, ...] = ()


Folds = list[tuple[Ints, Ints]]


@dataclass(frozen=True)
class Protocol:
    """One honest (or, for `paper`, literal) way to judge a model."""

    name: str
    title: str
    description: str
    needs: tuple[str, ...]
    parts: Callable[[Panel, int, int | None], Split] = field(repr=False)
    tuning: Callable[[Panel, Ints, int, int], Folds] = field(repr=False)
    stopping: Callable[[Panel, Ints, int], tuple[Ints, Ints]] = field(repr=False)

    def split(self, panel: Panel, seed: int, cut: int | None = None) -> Split:
        """Part the panel into training and test rows; raise InputError where it cannot be."""
        _require(panel, self)
        split = self.parts(panel, seed, cut)
        _refuse_missing_class(panel, split.train, "training")
        _refuse_missing_class(panel, split.test, "test")
        assert_no_overlap(panel, split.train, split.test, self.name)
        return split

    def folds(self, panel: Panel, train: Ints, k: int, seed: int) -> Folds:
        """Part the training rows into (fit, score) pairs; raise InputError where it cannot be."""
        if len(train) < 2 * k:
            raise InputError(f"{len(train)} training rows are too few for {k} folds")
        folds = self.tuning(panel, train, k, seed)
        for fit, score in folds:
            _refuse_missing_class(panel, fit, "a tuning fold's")
            assert_no_overlap(panel, fit, score, self.name)
        return folds


def protocol_named(name: str) -> Protocol:
    """Return the protocol of that name; raise InputError with the names there are."""
    for protocol in PROTOCOLS:
        if protocol.name == name:
            return protocol
    raise InputError(f"unknown protocol {name!r}; one of {', '.join(p.name for p in PROTOCOLS)}")


def assert_no_overlap(panel: Panel, train: Ints, test: Ints, protocol: str) -> None:
    """Raise InputError if a row, or under `company` a company, is on both sides."""
    if len(np.intersect1d(train, test)):
        raise InputError("a row is on both the training and the test side")
    if protocol != "company" or panel.groups is None:
        return
    both = np.intersect1d(panel.groups[train], panel.groups[test])
    if len(both):
        raise InputError(
            f"company {both[0]!r} is on both sides of the split ({len(both)} in all);"
            " --protocol company forbids it"
        )


def early_stop_split(panel: Panel, fit: Ints, seed: int, protocol: Protocol) -> tuple[Ints, Ints]:
    """Set about 15 % of the fit rows aside for early stopping: neither trained on nor scored.

    Return (rows to train on, rows to stop by); the second is empty where no such slice leaves
    every class with two rows to train on.
    """
    try:
        keep, stop = protocol.stopping(panel, fit, seed)
    except ValueError:
        return fit, fit[:0]
    counts = np.bincount(panel.y[keep], minlength=len(panel.classes))
    if len(stop) == 0 or counts.min() < 2:
        return fit, fit[:0]
    assert_no_overlap(panel, keep, stop, protocol.name)
    return keep, stop


def _require(panel: Panel, protocol: Protocol) -> None:
    if "group" in protocol.needs and panel.groups is None:
        raise InputError(
            f"{panel.source}: --protocol {protocol.name} needs a company column; name it with"
            " --group COL, or use --protocol paper (random rows)"
        )
    if "time" in protocol.needs and panel.times is None:
        raise InputError(
            f"{panel.source}: --protocol {protocol.name} needs a column of whole years; name it"
            " with --time COL"
        )


def _refuse_missing_class(panel: Panel, rows: Ints, side: str) -> None:
    counts = np.bincount(panel.y[rows], minlength=len(panel.classes))
    if counts.min() == 0:
        name = panel.classes[int(counts.argmin())]
        raise InputError(
            f"class {name!r} has no row on {side} side of the split: too few rows, companies or"
            " years of it; use another --protocol, --seed or more data"
        )


def _paper_split(panel: Panel, seed: int, cut: int | None) -> Split:
    rarest = np.bincount(panel.y).min()
    if rarest < 2:
        raise InputError(f"{panel.source}: a class has {rarest} row; a split needs two or more")
    rows = np.arange(len(panel.y))
    train, test = train_test_split(
        rows, test_size=TEST_SHARE, stratify=panel.y, random_state=seed, shuffle=True
    )
    return Split(np.sort(train), np.sort(test), _shared_companies(panel, train, test))


def _shared_companies(panel: Panel, train: Ints, test: Ints) -> tuple[str, ...]:
    if panel.groups is None:
        return ("no column for the company: an evaluation by company is impossible",)
    share = float(np.isin(panel.groups[test], panel.groups[train]).mean())
    return (
        f"random rows: {share:.0%} of the test rows are of a company that is also in training,"
        " so the figures flatter",
    )


def _random_folds(panel: Panel, train: Ints, k: int, seed: int) -> Folds:
    _refuse_rare(panel, train, k)
    parts = StratifiedKFold(k, shuffle=True, random_state=seed).split(train, panel.y[train])
    return [(train[fit], train[score]) for fit, score in parts]


def _refuse_rare(panel: Panel, train: Ints, k: int) -> None:
    counts = np.bincount(panel.y[train], minlength=len(panel.classes))
    if counts.min() < k:
        name = panel.classes[int(counts.argmin())]
        raise InputError(
            f"class {name!r} has {counts.min()} training rows, fewer than the {k} tuning folds;"
            " use --grid paper, which does not tune"
        )


def _random_stop(panel: Panel, fit: Ints, seed: int) -> tuple[Ints, Ints]:
    keep, stop = train_test_split(
        fit, test_size=STOP_SHARE, stratify=panel.y[fit], random_state=seed
    )
    return np.sort(keep), np.sort(stop)


def _company_split(panel: Panel, seed: int, cut: int | None) -> Split:
    train, test = _company_folds(panel, np.arange(len(panel.y)), round(1 / TEST_SHARE), seed)[0]
    return Split(train, test)


def _company_folds(panel: Panel, train: Ints, k: int, seed: int) -> Folds:
    assert panel.groups is not None  # noqa: S101  -- `_require` has refused it before
    groups = panel.groups[train]
    found = len(np.unique(groups))
    if found < k:
        raise InputError(f"{found} companies are fewer than the {k} folds; add data or companies")
    parts = StratifiedGroupKFold(k, shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its warning on rare classes: checked fold by fold instead
        try:
            pairs = list(parts.split(train, panel.y[train], groups))
        except ValueError as error:
            raise InputError(f"no split into {k} folds by company: {error}") from None
    return [(train[fit], train[score]) for fit, score in pairs]


def _company_stop(panel: Panel, fit: Ints, seed: int) -> tuple[Ints, Ints]:
    assert panel.groups is not None  # noqa: S101
    if len(np.unique(panel.groups[fit])) < STOP_PARTS:
        return fit, fit[:0]
    return _company_folds(panel, fit, STOP_PARTS, seed)[0]


def _time_split(panel: Panel, seed: int, cut: int | None) -> Split:
    assert panel.times is not None  # noqa: S101
    years = panel.times
    if cut is None:
        cut = _default_cut(panel)
    train, test = np.flatnonzero(years <= cut), np.flatnonzero(years > cut)
    if len(train) == 0 or len(test) == 0:
        raise InputError(f"no rows on one side of the cut {cut}; years are {_span(years)}")
    known, dropped = _known_by(panel, train, cut)
    notice = f"cut {cut}: training years {_span(years[known])}, test years {_span(years[test])}"
    late = f"; {dropped} training rows dropped, not filed or their label not known by {cut}-12-31"
    return Split(known, test, (notice + (late if dropped else ""), *_not_said(panel)))


def _not_said(panel: Panel) -> tuple[str, ...]:
    """What the panel does not tell of the time at which its rows could be known."""
    if panel.known_from is None:
        return (
            "no column label_known_from: labels made by events after the cut are in training,"
            " so the figures flatter",
        )
    if not np.isnat(panel.known_from).any():
        return ()  # every label has its day, as those of a horizon do
    return (
        "companies count as healthy by what is known today: those that failed after the cut are"
        " left out of training instead of standing among the healthy",
    )


def _span(years: Ints) -> str:
    return f"{years.min()}–{years.max()}" if len(years) else "none"


def _default_cut(panel: Panel) -> int:
    """Return the latest year after which at least a quarter of the rows lie."""
    assert panel.times is not None  # noqa: S101
    for year in np.unique(panel.times)[::-1]:
        if float((panel.times > year).mean()) >= TEST_SHARE:
            return int(year)
    raise InputError(f"{panel.source}: one year only; --protocol time needs two or more")


def _known_by(panel: Panel, rows: Ints, year: int) -> tuple[Ints, int]:
    """Return the rows filed and labelled by the end of that year, and how many were not."""
    late = np.zeros(len(rows), dtype=bool)
    for dates in (panel.known_from, panel.available_from):
        if dates is not None:
            late |= dates[rows] > np.datetime64(f"{year:04d}-12-31")
    return rows[~late], int(late.sum())


def _time_folds(panel: Panel, train: Ints, k: int, seed: int) -> Folds:
    """Expanding window: each block of years is scored by a fit on the years before it."""
    assert panel.times is not None  # noqa: S101
    years = np.unique(panel.times[train])
    blocks = np.array_split(years, min(k + 1, len(years)))
    folds: Folds = []
    for block in blocks[1:]:
        last = int(block.min()) - 1
        fit, _ = _known_by(panel, train[panel.times[train] <= last], last)
        score = train[np.isin(panel.times[train], block)]
        if np.bincount(panel.y[fit], minlength=len(panel.classes)).min() >= 2:
            folds.append((fit, score))
    if not folds:
        raise InputError(
            f"no expanding-window fold within {_span(years)} has every class to train on;"
            " use --grid paper, which does not tune"
        )
    return folds


def _time_stop(panel: Panel, fit: Ints, seed: int) -> tuple[Ints, Ints]:
    assert panel.times is not None  # noqa: S101
    years = panel.times[fit]
    for year in np.unique(years)[::-1]:
        if float((years > year).mean()) >= STOP_SHARE:
            return fit[years <= year], fit[years > year]
    return fit, fit[:0]


PROTOCOLS: tuple[Protocol, ...] = (
    Protocol(
        "paper",
        "Random rows",
        "Stratified random rows, 75/25, as in the paper: years of one company may be on both sides",
        (),
        _paper_split,
        _random_folds,
        _random_stop,
    ),
    Protocol(
        "company",
        "By company",
        "No company on both sides, neither in the test split nor in the tuning folds",
        ("group",),
        _company_split,
        _company_folds,
        _company_stop,
    ),
    Protocol(
        "time",
        "By time",
        "Train on years up to a cut, on rows filed and labels known by then; test after it",
        ("time",),
        _time_split,
        _time_folds,
        _time_stop,
    ),
)
