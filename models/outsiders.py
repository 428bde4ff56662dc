"""Rows of the leaderboard that are no learner on chosen columns: the table `OUTSIDERS`.

Class shares, the published scores of distress with their published cut-offs, and Cox's model of the
time to admission. Each is fitted on the training rows alone and gives probabilities of the test
rows, so that it can be measured as any cell. All are off by default.

How a score becomes probabilities: the zones of its author are put to the classes (distress:
bankrupt or fails; grey: distressed; safe: healthy or survives), and the odds of two neighbouring
classes are exp(slope x (score - cut-off)), the slope fitted on training rows by maximum likelihood
and never against the author's direction. So the class of highest probability is the one that the
published cut-offs name, whatever the slope, and areas and losses judge the score itself. Where
there are two classes, or a score has no grey zone, the two cut-offs fall together (a grey zone is
parted in its middle), and "distressed" is never predicted.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from features.labels import HORIZONS
from features.ratios import RATIOS
from features.scores import SCORES, Score
from models.panel import FOCUS, Floats, Ints, Panel
from models.pipeline import prepare
from models.protocols import Split
from warehouse.errors import InputError

Days = NDArray[np.datetime64]
Mask = NDArray[np.bool_]

SAFE = ("healthy", "survives")
BETWEEN = "distressed"
TAIL = 0.01  # of training rows at either end, beyond which a score is pulled back
LEAST_SLOPE = 1e-3  # over the score's spread: a published direction is never reversed
RIDGE = 10.0  # of Cox's scaled weights: a normal prior of standard deviation 0.32
YEAR = 365.25  # days
PARTS = 3
SURVIVAL = "statsmodels.duration.hazard_regression"


@dataclass(frozen=True)
class Outsider:
    """One row that is no learner.

    Attributes:
        needs: what the panel must hold, in words.
        predict: panel, split and seed to test rows x classes; InputError where the panel lacks it.
    """

    name: str
    title: str
    needs: str
    predict: Callable[[Panel, Split, int], Floats] = field(repr=False)


def outsider_named(name: str) -> Outsider:
    """Return the outsider of that name; raise InputError with the names there are."""
    for outsider in OUTSIDERS:
        if outsider.name == name:
            return outsider
    raise InputError(f"unknown outsider {name!r}; one of {', '.join(o.name for o in OUTSIDERS)}")


# ---- class shares


def _shares(panel: Panel, split: Split) -> Floats:
    counts = np.bincount(panel.y[split.train], minlength=len(panel.classes))
    return np.asarray(counts / counts.sum())


def _majority(panel: Panel, split: Split, seed: int) -> Floats:
    """The training shares for every row: the largest class is predicted."""
    return np.tile(_shares(panel, split), (len(split.test), 1))


def _prior(panel: Panel, split: Split, seed: int) -> Floats:
    """A class drawn by the training shares; half the probability is on it, half on the shares."""
    shares = _shares(panel, split)
    drawn = np.random.default_rng(seed).choice(len(shares), len(split.test), p=shares)
    return np.asarray((shares + np.eye(len(shares))[drawn]) / 2)


# ---- published scores


@dataclass(frozen=True)
class Zones:
    """Class codes from the unsafe to the safe end, and the cut-off between each two of them."""

    codes: tuple[int, ...]
    cuts: tuple[float, ...]


def zones(score: Score, classes: tuple[str, ...]) -> Zones:
    """Put the zones of a score to these classes; cut-offs are of the score turned safer above.

    Raises:
        InputError: the classes are not those of a failure.
    """
    failing = [name for name in FOCUS if name in classes]
    safe = [name for name in SAFE if name in classes]
    between = [name for name in classes if name == BETWEEN]
    if len(failing) != 1 or len(safe) != 1 or len(classes) != 2 + len(between):
        raise InputError(
            f"{score.code} knows the classes bankrupt or fails, distressed, healthy or survives;"
            f" the panel's are {', '.join(classes)}"
        )
    turned = _turn(score)
    low, high = turned * score.distress, turned * score.safe
    codes = tuple(classes.index(name) for name in (*failing, *between, *safe))
    return Zones(codes, (low, high) if between else ((low + high) / 2,))


def _turn(score: Score) -> float:
    return 1.0 if score.safer == "above" else -1.0


def _score(panel: Panel, split: Split, seed: int, *, code: str) -> Floats:
    """Probabilities by a published score; rows without it take the median of training rows."""
    score = next(one for one in SCORES if one.code == code)
    placed = zones(score, panel.classes)
    values = _turn(score) * score_values(panel, score)
    known = values[split.train]
    known = known[~np.isnan(known)]
    if len(known) == 0:
        raise InputError(f"{panel.source}: no training row has {code}")
    low, high = np.quantile(known, [TAIL, 1 - TAIL])
    values = np.where(np.isnan(values), np.median(known), values)
    values = np.clip(values, min(low, placed.cuts[0]), max(high, placed.cuts[-1]))
    slopes = fit_slopes(values[split.train], panel.y[split.train], placed)
    return zone_probabilities(values[split.test], placed, slopes)


def zone_probabilities(values: Floats, placed: Zones, slopes: Floats) -> Floats:
    """Rows x classes: neighbouring classes have odds exp(slope x (value - cut-off))."""
    proba = np.empty((len(values), len(placed.codes)))
    proba[:, list(placed.codes)] = softmax(_utilities(values, placed, slopes), axis=1)
    return proba


def _utilities(values: Floats, placed: Zones, slopes: Floats) -> Floats:
    steps = slopes * (values[:, None] - np.array(placed.cuts))
    return np.hstack([np.zeros((len(values), 1)), np.cumsum(steps, axis=1)])


def fit_slopes(values: Floats, y: Ints, placed: Zones) -> Floats:
    """One slope a cut-off, of the highest likelihood of these rows among those not below zero."""
    spread = float(np.std(values)) or 1.0
    order = np.argsort(placed.codes)[y]  # place of each row's class from the unsafe end

    def loss(scaled: Floats) -> float:
        logs = log_softmax(_utilities(values, placed, scaled / spread), axis=1)
        return -float(logs[np.arange(len(y)), order].mean())

    start = np.ones(len(placed.cuts))
    bounds = [(LEAST_SLOPE, None)] * len(placed.cuts)
    found = minimize(loss, start, method="L-BFGS-B", bounds=bounds)
    return np.asarray(found.x / spread, dtype=np.float64)


def score_values(panel: Panel, score: Score) -> Floats:
    """The score of every row: its own column, else exactly from the ratios where these suffice.

    Raises:
        InputError: the panel has neither, or the score cannot be had from ratios.
    """
    if score.code in panel.X.columns:
        return panel.X[score.code].to_numpy(dtype=np.float64)
    if not {ratio.code for ratio in RATIOS} <= set(panel.X.columns):
        ratios = f" or the ratios {RATIOS[0].code} to {RATIOS[-1].code}"
        raise InputError(
            f"{panel.source}: needs the column {score.code!r}"
            f"{ratios if score.code in FROM_RATIOS else ''}; make the panel with --features all"
        )
    if score.code not in FROM_RATIOS:
        raise InputError(
            f"{panel.source}: needs the column {score.code!r}, which the ratios cannot give;"
            " make the panel with --features all"
        )
    return FROM_RATIOS[score.code](panel.X)


def _ebit(X: pd.DataFrame) -> Floats:
    """EBIT over assets: X33 is EBIT over assets less current liabilities, X52 these over assets."""
    return np.asarray(X["X33"] * (1 - X["X52"]), dtype=np.float64)


def _springate(X: pd.DataFrame) -> Floats:
    return np.asarray(1.03 * X["X14"] + 3.07 * _ebit(X) + 0.66 * X["X36"] + 0.4 * X["X15"])


def _zmijewski(X: pd.DataFrame) -> Floats:
    return np.asarray(-4.336 - 4.513 * X["X12"] + 5.679 * X["X26"] + 0.004 * X["X1"])


def _grover(X: pd.DataFrame) -> Floats:
    return np.asarray(0.057 + 1.650 * X["X14"] + 3.404 * _ebit(X) - 0.016 * X["X12"])


# Altman's retained earnings are in no ratio (the minority interest is in every one of equity), nor
# are Ohlson's size and last year's profit.
FROM_RATIOS: dict[str, Callable[[pd.DataFrame], Floats]] = {
    "springate_s": _springate,
    "zmijewski_x": _zmijewski,
    "grover_g": _grover,
}


# ---- Cox's proportional hazards


@dataclass(frozen=True)
class Lifetimes:
    """Of each row: days under observation from its start, and whether admission ended them.

    A row with no days (none observed, or admitted before its start) teaches nothing.
    """

    days: Floats
    admitted: Mask


def lifetimes(panel: Panel, until: date | None) -> Lifetimes:
    """Days from `available_from` (else the year end) to admission, or to the end of observation.

    They are read from the labels `fails_within_Ny` and the days these are known from: an
    observation ends after the longest horizon that is known. A panel without them may have a
    column `event_date`, the company's admission; then observation ends with the last of these.

    Args:
        panel: its `details` hold these columns.
        until: nothing that happened later is used; None where all may be.

    Raises:
        InputError: the panel has no such columns.
    """
    started = _started(panel)
    ended, admitted = _horizons(panel, started) if _has_horizons(panel) else _dated(panel, started)
    if until is not None:
        day = np.datetime64(until)
        admitted &= ended <= day
        ended = np.minimum(ended, day)
    days = (ended - started) / np.timedelta64(1, "D")
    seen = np.asarray(~np.isnan(days) & (days > 0))
    return Lifetimes(np.where(seen, days, 0.0), seen & admitted)


def _started(panel: Panel) -> Days:
    for name in ("available_from", "fiscal_year_end"):
        if name in panel.details:
            return _days(panel.details[name])
    raise InputError(f"{panel.source}: needs the column 'available_from' or 'fiscal_year_end'")


def _days(column: pd.Series[Any]) -> Days:
    return pd.to_datetime(column).to_numpy(dtype="datetime64[D]")


def _has_horizons(panel: Panel) -> bool:
    names = (f"fails_within_{years}y" for years in HORIZONS)
    return all({name, f"{name}_known_from"} <= set(panel.details.columns) for name in names)


def _horizons(panel: Panel, started: Days) -> tuple[Days, Mask]:
    """The end of each row's observation by its horizons, and whether it was an admission."""
    ended = np.full(len(started), np.datetime64("NaT"), dtype="datetime64[D]")
    admitted = np.zeros(len(started), dtype=np.bool_)
    for years in HORIZONS:  # rising
        name = f"fails_within_{years}y"
        said = panel.details[name].astype("string").str.strip().str.casefold()
        fails = said.isin(["true", "1", "1.0", "fails"]).to_numpy(dtype=np.bool_) & ~admitted
        survives = said.isin(["false", "0", "0.0", "survives"]).to_numpy(dtype=np.bool_)
        known = _days(panel.details[f"{name}_known_from"])
        ended = np.where(fails, known, ended)
        ended = np.where(survives, _after(started, years), ended)
        admitted |= fails
    return ended, admitted


def _after(started: Days, years: int) -> Days:
    later = pd.DatetimeIndex(started) + pd.DateOffset(years=years)
    return np.asarray(later.to_numpy(dtype="datetime64[D]"))


def _dated(panel: Panel, started: Days) -> tuple[Days, Mask]:
    if "event_date" not in panel.details or panel.details["event_date"].isna().all():
        raise InputError(
            f"{panel.source}: needs the columns fails_within_1y to fails_within_{HORIZONS[-1]}y"
            " with the days they are known from, or event_date: dates of admission are not in it"
        )
    events = _days(panel.details["event_date"])
    admitted = ~np.isnat(events)
    return np.where(admitted, events, events[admitted].max()), admitted


def known_until(panel: Panel, split: Split) -> date | None:
    """The last day of the training years where all of them come before the test years.

    That is so under `--protocol time`: what happened later may not be used. Else None.
    """
    if panel.times is None:
        return None
    last = int(panel.times[split.train].max())
    return date(last, 12, 31) if last < int(panel.times[split.test].min()) else None


@dataclass(frozen=True)
class Cox:
    """Weights of the scaled columns, and the baseline's hazard summed up to each day."""

    weights: Floats
    days: Floats
    hazard: Floats

    def summed(self, days: float) -> float:
        """The baseline's cumulative hazard up to and with that day."""
        return float(np.append(0.0, self.hazard)[np.searchsorted(self.days, days, side="right")])


def fit_cox(X: Floats, lived: Lifetimes, ridge: float = RIDGE) -> Cox:
    """Fit Cox's model by Efron's partial likelihood less half the ridge times squared weights.

    Several years of one company are several rows, each with a time of its own; that leaves the
    weights consistent, and only their standard errors, which are not used, would be too small.

    Raises:
        InputError: statsmodels is not installed, or no row was admitted.
    """
    rows = lived.days > 0
    X, days, admitted = X[rows], lived.days[rows], lived.admitted[rows]
    if not admitted.any():
        raise InputError("no training row has an admission after its start within what is known")
    model = _survival().PHReg(days, X, status=admitted.astype(np.int64), ties="efron")
    found = minimize(
        lambda w: (0.5 * ridge * w @ w - model.loglike(w), ridge * w - model.score(w)),
        np.zeros(X.shape[1]),
        jac=True,
        method="L-BFGS-B",
        options={"ftol": 1e-8, "gtol": 1e-3, "maxiter": 200},
    )
    return Cox(found.x, *_breslow(days, admitted, np.exp(X @ found.x)))


def _survival() -> Any:
    try:
        return importlib.import_module(SURVIVAL)
    except ImportError:
        raise InputError(
            "cox needs statsmodels; install it with: pip install .[survival]"
        ) from None


def _breslow(days: Floats, admitted: Mask, risk: Floats) -> tuple[Floats, Floats]:
    """Breslow's estimate: at each day with admissions, these over the risk still observed."""
    at, counts = np.unique(days[admitted], return_counts=True)
    order = np.argsort(days)
    left = np.append(np.cumsum(risk[order][::-1])[::-1], 0.0)
    still = left[np.searchsorted(days[order], at, side="left")]
    return at, np.cumsum(counts / still)


def _cox(panel: Panel, split: Split, seed: int) -> Floats:
    """Cox's model; probabilities of a horizon are its own, of other classes by its risk.

    With the label fails_within_Ny (two classes, fails and survives) the probability is
    1 - exp(-H(N years)). For other classes the log of the risk is put to classes by a multinomial
    logistic regression on training rows, whose risks are of fits on other companies.
    """
    lived = lifetimes(panel, known_until(panel, split))
    scaled = prepare(panel, split.train, split.train[:0], split.test)
    train, test = scaled.fit[0], scaled.score[0]
    own = Lifetimes(lived.days[split.train], lived.admitted[split.train])
    fitted = fit_cox(train, own)
    years = _horizon_of(panel)
    if years is not None:
        summed = fitted.summed(years * YEAR) * np.exp(test @ fitted.weights)
        fails = 1 - np.exp(-summed)
        return np.column_stack([fails, 1 - fails])
    risks = _risks(train, own, _companies(panel, split.train))
    known = ~np.isnan(risks)
    mapped = LogisticRegression(C=np.inf).fit(risks[known, None], panel.y[split.train][known])
    return _all_classes(mapped, (test @ fitted.weights)[:, None], len(panel.classes))


def _all_classes(mapped: Any, X: Floats, classes: int) -> Floats:
    proba = np.zeros((len(X), classes))
    proba[:, mapped.classes_] = mapped.predict_proba(X)
    return proba


def _horizon_of(panel: Panel) -> int | None:
    """Years of the horizon that the panel's classes are of, or None for other classes."""
    if panel.classes != ("fails", "survives"):
        return None
    truth = panel.y == 0
    for years in HORIZONS:
        column = panel.details.get(f"fails_within_{years}y")
        if column is None or column.isna().any():
            continue
        said = column.astype("string").str.strip().str.casefold()
        if (said.isin(["true", "1", "1.0", "fails"]).to_numpy(dtype=np.bool_) == truth).all():
            return years
    return None


def _companies(panel: Panel, rows: Ints) -> NDArray[Any]:
    return rows if panel.groups is None else panel.groups[rows]


def _risks(X: Floats, lived: Lifetimes, companies: NDArray[Any]) -> Floats:
    """Log risk of each row by a fit on other companies; NaN in a part without one."""
    risks = np.full(len(X), np.nan)
    if len(np.unique(companies)) < PARTS:
        raise InputError(f"{PARTS} companies or more are needed to put risks to classes")
    for fit, score in GroupKFold(PARTS).split(X, groups=companies):
        part = replace(lived, days=lived.days[fit], admitted=lived.admitted[fit])
        if part.admitted.any():
            risks[score] = X[score] @ fit_cox(X[fit], part).weights
    return risks


def _score_row(name: str, code: str) -> Outsider:
    score = next(one for one in SCORES if one.code == code)
    ratios = f", or {RATIOS[0].code} to {RATIOS[-1].code}" if code in FROM_RATIOS else ""
    return Outsider(name, score.title, f"column {code}{ratios}", partial(_score, code=code))


OUTSIDERS: tuple[Outsider, ...] = (
    Outsider("majority", "Largest class, by training shares", "nothing", _majority),
    Outsider("prior", "A class drawn by training shares", "nothing", _prior),
    _score_row("z2-emerging", "altman_z_em"),
    _score_row("springate", "springate_s"),
    _score_row("zmijewski", "zmijewski_x"),
    _score_row("grover", "grover_g"),
    _score_row("ohlson", "ohlson_o"),
    Outsider(
        "cox",
        "Cox proportional hazards on the time to admission",
        "columns fails_within_1y to fails_within_3y with their known_from, or event_date",
        _cox,
    ),
)
