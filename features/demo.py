"""The demo universe: simulated companies whose statements tie and whose failures follow from them.

Each company is a small model of a firm. Shocks to demand, margin and the economy drive its accounts
forward year by year; what it can neither pay nor borrow piles up as unpaid dues; a hazard over the
closing statement decides whether it is admitted to the insolvency process. More companies are
simulated than asked for: the first that fail, and the first survivors that are large and profitable
enough for an index, are kept. The outcome never feeds back into the statements before it.

Missing values depend on the detail of a company's (simulated) source and on the age of the year, by
one mechanism for all classes, at about the coverage of healthy companies. Real collections see
failed companies less well, which leaks the label into the pattern of gaps; that is left out.

The constants are tuned until class medians meet the aggregate figures of `demo_quantiles.json`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.items import ITEMS

Array = NDArray[Any]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Sector:
    """An industry: its weight in the simulated economy and what is typical of its companies."""

    name: str
    weight: float
    margin: float  # operating profit / sales
    debt: float  # borrowings / total assets
    turnover: float  # sales / total assets
    inventory: float  # inventories / yearly sales
    cyclical: float  # 1: moves with the economy as the average company does


SECTORS: Final = (
    Sector("Capital Goods", 13, 0.13, 0.24, 0.85, 0.17, 1.1),
    Sector("Healthcare", 11, 0.19, 0.18, 0.80, 0.18, 0.4),
    Sector("Chemicals", 10, 0.16, 0.22, 0.95, 0.16, 0.9),
    Sector("Automobile and Auto Components", 8, 0.13, 0.23, 1.15, 0.12, 1.2),
    Sector("Consumer Services", 7, 0.15, 0.25, 0.85, 0.08, 1.0),
    Sector("Consumer Durables", 6, 0.12, 0.20, 1.15, 0.20, 1.0),
    Sector("Fast Moving Consumer Goods", 8, 0.14, 0.20, 1.20, 0.17, 0.3),
    Sector("Information Technology", 8, 0.19, 0.10, 1.00, 0.02, 0.6),
    Sector("Services", 5, 0.15, 0.28, 0.80, 0.03, 1.0),
    Sector("Construction", 8, 0.12, 0.38, 0.55, 0.16, 1.4),
    Sector("Metals & Mining", 8, 0.14, 0.38, 0.70, 0.20, 1.5),
    Sector("Textiles", 9, 0.11, 0.38, 0.85, 0.26, 1.1),
    Sector("Power", 6, 0.26, 0.42, 0.35, 0.05, 0.6),
    Sector("Realty", 5, 0.20, 0.34, 0.28, 0.70, 1.5),
    Sector("Telecommunication", 3, 0.19, 0.36, 0.50, 0.03, 0.7),
    Sector("Construction Materials", 4, 0.16, 0.28, 0.75, 0.11, 1.2),
    Sector("Media Entertainment & Publication", 3, 0.16, 0.24, 0.65, 0.08, 1.0),
    Sector("Oil Gas & Consumable Fuels", 3, 0.14, 0.28, 1.00, 0.10, 0.9),
)

# The book of a company: positions whose sums tie, and the state of its business.
CURRENT: Final = ("cash", "quick_investments", "inventories", "receivables", "other_current")
ASSETS: Final = (*CURRENT, "investments", "other_fixed", "works", "fixed_assets")
SHORT: Final = ("short_debt", "payables", "dues")
DEBTS: Final = (*SHORT, "long_debt", "other_long")
STATE: Final = ("sales_rate", "stress", "drift")
WRITTEN_OFF: Final = ("inventories", "receivables", "other_current", "fixed_assets")

COLUMNS: Final = tuple(item.name for item in ITEMS)
LAST_YEAR: Final = 2024
BURN_IN: Final = 2
TREND: Final = 6.3  # growth of the economy in per cent
# The Insolvency Code's cases start in 2017; new ones were suspended for a year of the pandemic.
ADMISSIONS: Final = (np.datetime64("2017-01-01"), np.datetime64("2024-12-31"))
SUSPENDED: Final = (np.datetime64("2020-03-25"), np.datetime64("2021-03-24"))
FAILING: Final = 118 / 428  # share of failing companies, as in the reference paper


@dataclass(frozen=True)
class DemoUniverse:
    """Simulated companies: one row a company, a filed year (INR crore), an event, a macro year."""

    companies: pd.DataFrame
    statements: pd.DataFrame
    events: pd.DataFrame
    macro: pd.DataFrame


@dataclass(frozen=True)
class _Run:
    """Candidates: arrays (company) of what stays, arrays (year, company) of what passes."""

    fixed: Arrays
    yearly: Arrays


def demo_universe(
    companies: int = 428, failing: int | None = None, seed: int = 0, years: int = 10
) -> DemoUniverse:
    """Simulate companies, of which `failing` (118 of 428 by default) are admitted to insolvency.

    Raises:
        ValueError: a count is out of range.
    """
    n_failing = round(companies * FAILING) if failing is None else failing
    _check(companies, n_failing, years)
    macro, seeds = _economy(seed, years)
    return _universe(macro, companies, n_failing, seeds.spawn(1)[0], 1, len(str(companies)))


def demo_chunks(
    companies: int, seed: int = 0, years: int = 10, chunk: int = 5_000
) -> Iterator[DemoUniverse]:
    """Simulate any number of companies in bounded memory, a chunk at a time.

    Ids are unique across chunks and all chunks share one macro path. A single chunk is the same as
    `demo_universe` of that size.

    Raises:
        ValueError: a count is out of range.
    """
    _check(companies, 0, years)
    if chunk < 1:
        raise ValueError("chunk must be at least 1")
    macro, seeds = _economy(seed, years)
    for start in range(0, companies, chunk):
        stop = min(start + chunk, companies)
        # Rounded over all companies so far, so that small chunks add up to the same share.
        failing = round(stop * FAILING) - round(start * FAILING)
        child = seeds.spawn(1)[0]
        yield _universe(macro, stop - start, failing, child, start + 1, len(str(companies)))


def _check(companies: int, failing: int, years: int) -> None:
    if companies < 1 or not 0 <= failing <= companies:
        raise ValueError("companies must be at least 1, failing between 0 and companies")
    if not 4 <= years <= 30:
        raise ValueError("years must be between 4 and 30")


def _economy(seed: int, years: int) -> tuple[pd.DataFrame, np.random.SeedSequence]:
    """The common economy, in per cent: series that return to their mean, and one recession."""
    own, rest = np.random.SeedSequence(seed).spawn(2)
    rng = np.random.default_rng(own)
    year = np.arange(LAST_YEAR - years - BURN_IN, LAST_YEAR + 1)
    path = rng.normal(size=(4, len(year)))
    for t in range(1, len(year)):
        path[:, t] += 0.5 * path[:, t - 1]
    slump = np.arange(len(year)) == len(year) - 1 - rng.integers(3, min(9, len(year)))
    columns = {
        "inflation": (5.2 + 1.2 * path[0]).clip(0.5),
        "unemployment": (5.6 + 0.5 * path[1] + 2.0 * slump).clip(2.5),
        "real_interest": 4.8 + 1.5 * path[2],
        "gdp_growth": TREND + 1.2 * path[3] - 8.0 * slump,
    }
    return pd.DataFrame({"year": year, **{k: v.round(2) for k, v in columns.items()}}), rest


def _expit(x: Array) -> Array:
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -50, 50))))


def _total(book: Arrays, names: tuple[str, ...]) -> Array:
    return np.asarray(sum(book[name] for name in names))


# --- the firm: traits, opening book, one year, hazard -------------------------------------------


def _traits(n: int, rng: np.random.Generator) -> Arrays:
    """Draw what stays with a company: its industry, quality, policies and financing."""
    weight = np.array([s.weight for s in SECTORS])
    sector = rng.choice(len(SECTORS), size=n, p=weight / weight.sum())

    def typical(name: str) -> Array:
        return np.array([getattr(s, name) for s in SECTORS])[sector]

    quality, taste = rng.normal(size=(2, n))
    odds = np.log(typical("debt") / (1 - typical("debt")))
    debt = _expit(odds - 0.55 * quality + 0.75 * taste)
    sales = typical("turnover") * np.exp(0.10 - 0.9 * (debt - 0.25))
    return {
        "sector": sector, "debt": debt, "assets": np.exp(rng.normal(7.0, 1.3, n)),
        "margin": typical("margin") + 0.03 * quality + rng.normal(0.01, 0.03, n),
        "turnover": sales * np.exp(rng.normal(0, 0.42, n)),
        "inventory": typical("inventory") * np.exp(rng.normal(0, 0.5, n)),
        "receivables": 0.17 * np.exp(rng.normal(0, 0.5, n)),
        "payables": 0.16 * np.exp(rng.normal(0, 0.45, n)),
        "cyclical": typical("cyclical") * np.exp(rng.normal(0, 0.2, n)),
        "growth": rng.normal(0.10, 0.05, n) + 0.015 * quality,
        "rigid": rng.uniform(0.036, 0.132, n),  # margin lost to idle capacity
        "interest": rng.normal(0.085, 0.012, n) + 0.04 * debt,
        "depreciation": rng.uniform(0.06, 0.12, n),
        "cash": 0.055 * np.exp(rng.normal(0, 0.8, n) + 0.3 * quality),
        "payout": rng.beta(1.4, 3.6, n) * (rng.random(n) < 0.85),
        "minority": np.where(rng.random(n) < 0.4, rng.uniform(0, 0.1, n), 0.0),
        "credit": rng.uniform(0.50, 0.85, n),  # debt / assets at which lenders stop
        "capital": 0.011 * np.exp(rng.normal(0, 0.9, n) + 2.4 * debt),
        "tax": rng.normal(0.26, 0.04, n).clip(0.1),
        "staff": rng.uniform(0.04, 0.16, n), "overhead": rng.uniform(0.06, 0.22, n),
        "traded": rng.beta(0.4, 1.6, n), "direct": rng.beta(1.0, 5.0, n),
        "joined": rng.random(n) < 0.5,
    }  # fmt: skip


def _opening(traits: Arrays) -> Arrays:
    """Open the books at the company's own policies; the burn-in years then work in the shocks."""
    size, sales = traits["assets"], traits["assets"] * traits["turnover"]
    debt, zero = traits["debt"] * size, np.zeros_like(size)
    book = {
        "cash": traits["cash"] * sales, "quick_investments": 0.03 * size,
        "inventories": np.minimum(traits["inventory"] * sales, 0.5 * size),
        "receivables": np.minimum(traits["receivables"] * sales, 0.3 * size),
        "other_current": 0.125 * size, "investments": 0.08 * size, "other_fixed": 0.06 * size,
        "works": 0.04 * size, "long_debt": 0.55 * debt, "short_debt": 0.45 * debt,
        "payables": np.minimum(traits["payables"] * sales, 0.3 * size), "dues": 0.11 * size,
        "other_long": 0.05 * size, "fixed_assets": zero,
        "sales_rate": sales, "stress": zero, "drift": zero,
    }  # fmt: skip
    plant = np.maximum(size - _total(book, ASSETS), 0.1 * size)
    owned = _total(book, ASSETS) + plant - _total(book, DEBTS)
    lack = np.maximum(0.12 * size - owned, 0)  # no company opens without capital
    book["fixed_assets"], owned = plant + lack, owned + lack
    book["minority"] = traits["minority"] * owned
    book["capital"] = np.minimum(traits["capital"] * size, 0.6 * owned)
    book["reserves"] = owned - book["minority"] - book["capital"]
    return book


def _operate(
    book: Arrays, traits: Arrays, boom: float, span: Array, rng: np.random.Generator
) -> Arrays:
    """A year's business: sales and costs under demand shocks and a squeeze by lenders."""
    n, assets = len(span), _total(book, ASSETS)
    squeeze = _expit(14 * (_total(book, DEBTS) / assets - 0.88))
    chance = 0.062 * np.sqrt(traits["cyclical"]) * np.exp(-0.1 * boom) * span
    shock = (rng.random(n) < chance) * (0.5 + rng.exponential(1.2, n))
    stress = book["stress"] * 0.80**span + shock
    drift = 0.6 * book["drift"] + rng.normal(0, 0.022, n)
    growth = traits["growth"] + 0.012 * traits["cyclical"] * boom + rng.normal(0, 0.09, n)
    growth = growth - 0.19 * stress - 0.15 * squeeze
    rate = book["sales_rate"] * np.exp(np.clip(growth, -1.2, 0.5) * span)
    working = assets - _total(book, ("cash", "quick_investments", "investments"))
    idle = np.clip(1.2 * traits["turnover"] * working / rate - 1, 0, 12)
    margin = traits["margin"] + drift + 0.004 * traits["cyclical"] * boom - 0.045 * stress
    margin = np.clip(margin - traits["rigid"] * idle, -4.0, 0.6)
    return {
        "squeeze": squeeze, "stress": stress, "drift": drift, "growth": growth,
        "sales_rate": rate, "sales": rate * span, "costs": rate * span * (1 - margin),
    }  # fmt: skip


def _write_off(book: Arrays, squeeze: Array, rng: np.random.Generator) -> Arrays:
    """What a squeezed company admits to have lost of its assets; no cash moves."""
    bad = squeeze * rng.beta(0.5, 2.2, len(squeeze))
    plant = rng.random(len(squeeze)) < 0.3
    shares = (0.35 * bad, 0.35 * bad, 0.25 * bad, 0.4 * bad * plant)
    lost = zip(WRITTEN_OFF, shares, strict=True)
    return {f"lost_{name}": share * book[name] for name, share in lost}


def _earn(
    book: Arrays, traits: Arrays, run: Arrays, span: Array, moratorium: Array,
    rng: np.random.Generator,
) -> Arrays:  # fmt: skip
    """From the year's business to its profit and dividend: wear, interest, write-offs, tax."""
    n, squeeze = len(span), run["squeeze"]
    wear = traits["depreciation"] * book["fixed_assets"] * span
    charged = (1 - 0.6 * moratorium) * (1 - 0.35 * squeeze)  # bad loans stop bearing interest
    interest = traits["interest"] * (book["short_debt"] + book["long_debt"]) * span * charged
    interest = interest + 0.003 * run["sales"]
    lost = _write_off(book, squeeze, rng)
    gain = np.where(rng.random(n) < 0.12, rng.normal(0, 0.01, n), 0.0) * run["sales"]
    exceptional = gain - _total(lost, tuple(lost))
    other = 0.05 * _total(book, ("cash", "quick_investments", "investments")) * span
    other = other + 0.012 * run["sales"] * rng.exponential(1.0, n)
    before = run["sales"] + other - run["costs"] - wear - interest + exceptional
    credit = 0.12 * rng.random(n) * before  # part of a loss comes back as deferred tax
    tax = np.where(before > 0, traits["tax"] * before, credit)
    pays = (squeeze < 0.3) & (rng.random(n) < 0.93)
    dividend = np.where(pays, traits["payout"] * (before - tax).clip(0), 0.0)
    return {
        "wear": wear, "interest": interest, "other_income": other, "exceptional": exceptional,
        "tax": tax, "net": before - tax, "dividend": dividend, **lost,
    }  # fmt: skip


def _adjust(book: Arrays, traits: Arrays, run: Arrays, rng: np.random.Generator) -> Arrays:
    """Move working capital and plant towards what the level of business asks for."""
    n, tight, trust = len(run["sales"]), run["squeeze"], 1 - run["squeeze"]
    left = book | {name: book[name] - run[f"lost_{name}"] for name in WRITTEN_OFF}
    wish = {
        "inventories": traits["inventory"] * run["sales_rate"],
        "receivables": traits["receivables"] * run["sales_rate"] * (1 + 0.8 * tight),
        "payables": traits["payables"] * run["sales_rate"] * (1 + tight),
    }
    new: Arrays = {}
    for name, goal in wish.items():
        pace = np.where(goal > left[name], 0.75, 0.18)  # stocks and claims are slow to melt
        new[name] = left[name] + pace * (goal * np.exp(rng.normal(0, 0.13, n)) - left[name])
    grow = np.clip(run["growth"], -0.05, 0.5) * trust
    for name in ("other_current", "other_fixed", "other_long", "dues"):
        new[name] = left[name] * np.exp(grow + rng.normal(0, 0.08, n))
    spend = run["wear"] * (0.1 + 0.9 * trust) + book["fixed_assets"] * grow.clip(0)
    spend = spend * np.exp(rng.normal(-0.05, 0.35, n))
    unused = traits["debt"] * _total(book, ASSETS) - book["short_debt"] - book["long_debt"]
    run["spend"] = spend + 0.2 * trust * unused.clip(0)  # who may borrow more builds more
    finished = 0.7 * (book["works"] + 0.5 * run["spend"]) * trust
    new["works"] = book["works"] + 0.5 * run["spend"] - finished
    new["fixed_assets"] = left["fixed_assets"] - run["wear"] + 0.5 * run["spend"] + finished
    return new


def _collect(book: Arrays, new: Arrays, run: Arrays) -> Array:
    """Operating cash flow: profit without what is no cash or no operation, less what is tied up."""
    held, owed = (*WRITTEN_OFF[:3], "other_fixed"), ("payables", "dues", "other_long")
    tied = _total(new, held) - _total(book, held) - _total(new, owed) + _total(book, owed)
    # A write-off lowers both profit and the position; only that of plant is not in `tied`.
    earned = run["net"] + run["wear"] + run["interest"] - run["other_income"]
    return np.asarray(earned + run["lost_fixed_assets"] - tied)


def _finance(book: Arrays, new: Arrays, traits: Arrays, run: Arrays) -> None:
    """Close the cash gap into `new`: own money, then lenders, and unpaid dues where both end."""
    operating = _collect(book, new, run)
    cash = book["cash"] + operating - run["spend"] + run["other_income"]
    cash = cash - run["interest"] - run["dividend"]
    assets, debt = _total(book, ASSETS), book["short_debt"] + book["long_debt"]
    want = traits["cash"] * np.maximum(run["sales_rate"], 0.4 * assets) * (1 - 0.6 * run["squeeze"])
    sold = np.clip(want - cash, 0, book["quick_investments"])
    gap = want - cash - sold
    room = (traits["credit"] * assets - debt).clip(0) * (1 - run["squeeze"])
    drawn = np.clip(gap, 0, room)
    unpaid = (gap - drawn - 0.6 * want).clip(0)
    repaid = np.minimum(0.8 * (-gap).clip(0), (debt - 0.95 * traits["debt"] * assets).clip(0))
    spare = (-gap).clip(0) - repaid
    share = book["long_debt"] / np.maximum(debt, 1e-9)
    long_left = book["long_debt"] - repaid * share
    called = 0.25 * run["squeeze"] * long_left  # a breach makes long-term debt due
    new["long_debt"] = long_left + 0.5 * drawn - called
    new["short_debt"] = book["short_debt"] - repaid * (1 - share) + 0.5 * drawn + called
    new["dues"] = new["dues"] + unpaid
    new["quick_investments"] = book["quick_investments"] - sold + 0.25 * spare
    new["investments"] = book["investments"] + 0.5 * spare
    new["cash"] = cash + sold + drawn + unpaid - repaid - 0.75 * spare
    run["operating"] = operating + unpaid
    run["investing"] = run["other_income"] + sold - 0.75 * spare - run["spend"]


def _step(
    book: Arrays, traits: Arrays, boom: float, span: Array, moratorium: Array,
    rng: np.random.Generator,
) -> tuple[Arrays, Arrays]:  # fmt: skip
    """One fiscal year of `span` years: the closing book and the flows that lead to it."""
    run = _operate(book, traits, boom, span, rng)
    run |= _earn(book, traits, run, span, moratorium, rng)
    new = _adjust(book, traits, run, rng)
    _finance(book, new, traits, run)
    new["capital"] = book["capital"]
    new["minority"] = book["minority"] + traits["minority"] * run["net"]
    new["reserves"] = book["reserves"] + (1 - traits["minority"]) * run["net"] - run["dividend"]
    return new | {name: run[name] for name in STATE}, run


def failure_hazard(
    leverage: Array, cover: Array, liquidity: Array, margin: Array, growth: float
) -> Array:
    """Chance that a closing statement leads to an admission: it sees the statement and no label.

    Args:
        leverage: liabilities / assets.
        cover: profit before interest and tax / interest.
        liquidity: cash / current liabilities.
        margin: operating profit / sales.
        growth: growth of the economy in per cent.
    """
    score = -3.3 + 6.0 * (np.clip(leverage, 0, 1.5) - 0.8) - 1.3 * np.tanh(cover / 2 - 0.5)
    score = (
        score - 0.35 * np.log(np.maximum(liquidity, 1e-3) / 0.1) - 1.5 * np.clip(margin, -1, 0.4)
    )
    return _expit(score - 0.08 * (growth - TREND))


def _hazard(book: Arrays, run: Arrays, growth: float) -> Array:
    profit = run["sales"] + run["other_income"] - run["costs"] - run["wear"]
    leverage = _total(book, DEBTS) / _total(book, ASSETS)
    liquidity = book["cash"] / _total(book, SHORT)
    margin = 1 - run["costs"] / run["sales"]
    return failure_hazard(leverage, profit / run["interest"], liquidity, margin, growth)


# --- many firms over the years, and the choice among them ---------------------------------------


def _calendar(n: int, years: Array, rng: np.random.Generator) -> tuple[Array, Array]:
    """Year ends and months: mostly March, some June or December; a few move and so are odd."""
    usual = rng.choice([3, 6, 12], size=n, p=[0.93, 0.03, 0.04])
    moves = rng.random(n) < np.select([usual == 3, usual == 6], [0.02, 0.40], 0.0)
    late = np.arange(len(years))[:, None] >= rng.integers(BURN_IN + 1, len(years), size=n)
    month = np.where(moves & late, 9 - usual, usual)  # March and June change places
    months = 12 + np.diff(month, axis=0, prepend=month[:1])
    following = ((years[:, None] - 1970) * 12 + month).astype("datetime64[M]")
    return following.astype("datetime64[D]") - np.timedelta64(1, "D"), months


def _admission(end: Array, hazard: Array, rng: np.random.Generator) -> Array:
    """A date 3 to 15 months after the year end where the hazard strikes and courts admit."""
    n = len(hazard)
    date = end + rng.integers(91, 456, size=n).astype("timedelta64[D]")
    admits = (date >= ADMISSIONS[0]) & (date <= ADMISSIONS[1])
    admits &= (date < SUSPENDED[0]) | (date > SUSPENDED[1])
    return np.where(admits & (rng.random(n) < hazard), date, np.datetime64("NaT", "D"))


def _simulate(n: int, macro: pd.DataFrame, rng: np.random.Generator) -> _Run:
    """Run candidates through burn-in and observed years; those that the hazard strikes fail."""
    years = macro["year"].to_numpy()[1:]
    growth = macro["gdp_growth"].to_numpy()[:-1]  # a fiscal year is mostly the calendar year before
    ends, months = _calendar(n, years, rng)
    traits = _traits(n, rng)
    book = _opening(traits)
    admitted = np.full(n, np.datetime64("NaT", "D"))
    seen: list[Arrays] = []
    for t, percent in enumerate(growth):
        moratorium = admitted <= ends[t]
        closing, run = _step(book, traits, percent - TREND, months[t] / 12, moratorium, rng)
        run |= {f"opening_{name}": book[name] for name in ("cash", "inventories")}
        book = closing
        strike = _admission(ends[t], _hazard(book, run, percent), rng)
        admitted = np.where(np.isnat(admitted), strike, admitted)
        if t >= BURN_IN:
            seen.append(run | book | {"end": ends[t], "months": months[t]})
    yearly = {name: np.stack([year[name] for year in seen]) for name in seen[0]}
    yearly["filed"] = _filed(yearly["end"], admitted, rng)
    return _Run(traits | {"admitted": admitted, "indexed": _indexed(yearly)}, yearly)


def _filed(end: Array, admitted: Array, rng: np.random.Generator) -> Array:
    """Which years were filed: from the listing on, until some time around an admission."""
    years, n = end.shape
    listed = np.where(rng.random(n) < 0.80, 0, rng.integers(1, years - 1, n))
    after = rng.geometric(0.40, n) - 1  # years filed out of the resolution process
    order = np.arange(years)[:, None]
    return np.asarray((order >= listed) & ((end >= admitted).cumsum(axis=0) <= after))


def _indexed(yearly: Arrays) -> Array:
    """Index membership in the end: a market value made of profit and net worth is large enough."""
    profit = yearly["net"][-3:].mean(axis=0)
    worth = yearly["capital"][-1] + yearly["reserves"][-1]
    return np.asarray(8 * profit.clip(0) + 0.7 * worth > 450)


def _universe(
    macro: pd.DataFrame, companies: int, failing: int, seed: np.random.SeedSequence,
    first: int, width: int,
) -> DemoUniverse:  # fmt: skip
    """Simulate batches until both kinds are there, then write their accounts."""
    rng = np.random.default_rng(seed)
    wanted, found = {True: failing, False: companies - failing}, []
    while any(wanted.values()):
        run = _simulate(200 + int(1.6 * sum(wanted.values())), macro, rng)
        fails = ~np.isnat(run.fixed["admitted"])
        known = (run.yearly["filed"] & (run.yearly["end"] < run.fixed["admitted"])).sum(axis=0) >= 2
        for kind, fit in ((True, fails & known), (False, ~fails & run.fixed["indexed"])):
            chosen = np.flatnonzero(fit)[: wanted[kind]]
            found.append(_pick(run, chosen))
            wanted[kind] -= len(chosen)
    run = _pick(_join(found), rng.permutation(companies))  # so that ids do not tell the outcome
    ids = np.array([f"{i:0{max(width, 4)}d}" for i in range(first, first + companies)])
    table = _companies(run, ids, rng)
    return DemoUniverse(table, _statements(run, ids, rng), _events(run, table, rng), macro.copy())


def _pick(run: _Run, at: Array) -> _Run:
    fixed = {name: values[at] for name, values in run.fixed.items()}
    return _Run(fixed, {name: values[:, at] for name, values in run.yearly.items()})


def _join(runs: list[_Run]) -> _Run:
    return _Run(
        {name: np.concatenate([r.fixed[name] for r in runs]) for name in runs[0].fixed},
        {name: np.concatenate([r.yearly[name] for r in runs], axis=1) for name in runs[0].yearly},
    )


# --- their files --------------------------------------------------------------------------------


def _companies(run: _Run, ids: Array, rng: np.random.Generator) -> pd.DataFrame:
    stems = ("Aravex", "Belkora", "Chandrix", "Devanta", "Indrava", "Kaveron", "Lakmira", "Suryom")
    kinds = ("Industries", "Enterprises", "Works", "Corporation", "Ventures", "Projects", "Global")
    parts = zip(rng.choice(stems, len(ids)), rng.choice(kinds, len(ids)), ids, strict=True)
    return pd.DataFrame(
        {
            "company_id": [f"demo-{i}" for i in ids],
            "company_name": [f"{a} {b} {i} Limited (simulated)" for a, b, i in parts],
            "nse_symbol": [f"DEMO{i}" for i in ids],
            "sector": np.array([s.name for s in SECTORS], dtype=object)[run.fixed["sector"]],
            "is_financial": False,
            "in_nifty500": np.isnat(run.fixed["admitted"]),
        }
    )


def _events(run: _Run, companies: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Admissions, and for some of them how the process ended by the last simulated day."""
    at = np.flatnonzero(~np.isnat(run.fixed["admitted"]))
    date = run.fixed["admitted"][at]
    outcome = rng.choice(["liquidation", "resolution_approved", ""], len(at), p=[0.4, 0.35, 0.25])
    ended = date + rng.integers(270, 900, len(at)).astype("timedelta64[D]")
    over = (outcome != "") & (ended <= ADMISSIONS[1])
    rows = companies.iloc[np.concatenate([at, at[over]])]
    return pd.DataFrame(
        {
            "company_id": rows["company_id"].to_numpy(),
            "event_type": np.concatenate([np.full(len(at), "cirp_admission"), outcome[over]]),
            "event_date": np.concatenate([date, ended[over]]).astype("datetime64[s]"),
            "source": "simulated",
            "usable": True,
            "company_name": rows["company_name"].to_numpy(),
            "confidence": "A",  # the exact day, by construction
        }
    ).sort_values(["event_date", "company_id"], ignore_index=True)


def _statements(run: _Run, ids: Array, rng: np.random.Generator) -> pd.DataFrame:
    """The filed years as one row each, with gaps."""
    filed, end = run.yearly["filed"].T, run.yearly["end"].T
    joined = run.fixed["joined"] | (run.fixed["minority"] > 0)
    lag = rng.integers(30, 75, end.shape) + (60 * run.yearly["squeeze"].T).astype(int)
    count = filed.sum(axis=1)
    frame: dict[str, Array] = {
        "company_id": np.repeat([f"demo-{i}" for i in ids], count),
        "fiscal_year_end": end[filed].astype("datetime64[s]"),
        "basis": np.repeat(np.where(joined, "consolidated", "standalone"), count),
        "months": run.yearly["months"].T[filed],
        "filed_at": (end + lag.astype("timedelta64[D]"))[filed].astype("datetime64[s]"),
    }
    items, gaps = _items(run), _gaps(end, joined, rng)
    for name in ("purchases_of_stock", "operating_and_direct_expenses"):
        # A source without the line shows it within materials, so that the expenses still add up.
        items["cost_of_materials"] += np.where(gaps[name], items[name].T, 0.0).T
    for name in COLUMNS:
        frame[name] = np.where(gaps[name], np.nan, items[name].T.round(2))[filed]
    return pd.DataFrame(frame)


# What a source with totals only still shows, and what one without detail does not show.
TOTALS: Final = (
    "shareholders_funds", "minority_interest", "non_current_liabilities", "current_liabilities",
    "equity_and_liabilities", "current_assets", "total_assets", "net_profit",
)  # fmt: skip
CASH_FLOWS: Final = (
    "operating_cash_flow", "investing_cash_flow", "financing_cash_flow", "net_cash_flow",
)  # fmt: skip
DETAIL: Final = (
    "current_investments", "inventories", "trade_receivables", "cash", "trade_payables",
    "other_current_liabilities", "capital_work_in_progress", "cost_of_materials",
    "purchases_of_stock", "operating_and_direct_expenses", "changes_in_inventories",
    "employee_benefits", "other_expenses",
)  # fmt: skip
PATCHY: Final = {  # share of companies whose source lacks the item in all years
    "current_investments": 0.18, "inventories": 0.04, "purchases_of_stock": 0.25,
    "operating_and_direct_expenses": 0.08, "capital_work_in_progress": 0.04, "dividends": 0.02,
}  # fmt: skip


def _gaps(end: Array, joined: Array, rng: np.random.Generator) -> Arrays:
    """What the source does not show: by its detail and the age of the year, never by the class."""
    age = LAST_YEAR - (end.astype("datetime64[Y]").astype(int) + 1970)
    rank = rng.random((len(end), 1))  # a poor source stays poor, and worse the further back
    totals, shallow = rank < 0.03 + 0.012 * age, rank < 0.035 + 0.014 * age
    gaps: Arrays = dict.fromkeys(COLUMNS, totals)
    gaps |= dict.fromkeys(TOTALS, np.zeros_like(totals))
    gaps |= dict.fromkeys(DETAIL, totals | shallow)
    for name, share in PATCHY.items():
        gaps[name] = gaps[name] | (rng.random((len(end), 1)) < share)
    gaps["minority_interest"] = np.broadcast_to(~joined[:, None], end.shape)
    unseen = rng.random(end.shape) < 0.015 * (age - 3).clip(0)
    return gaps | dict.fromkeys(CASH_FLOWS, unseen)


EXPENSES: Final = (
    "cost_of_materials", "purchases_of_stock", "operating_and_direct_expenses",
    "changes_in_inventories", "employee_benefits", "finance_costs", "depreciation",
    "other_expenses",
)  # fmt: skip
SHORT_ITEMS: Final = ("short_term_borrowings", "trade_payables", "other_current_liabilities")
QUICK_ITEMS: Final = ("cash", "current_investments", "inventories", "trade_receivables")


def _items(run: _Run) -> Arrays:
    """Items in INR crore: parts are rounded first and then added, so that every sum holds.

    Other current assets and other long-term liabilities are in their totals only; other non-current
    assets are no item, and take up the roundings.
    """
    y = run.yearly
    item = {name: values.round(2) for name, values in (_costs(run) | _positions(y)).items()}
    item["net_sales"] = item["sales"]
    item["revenue"] = item["sales"] + item["other_income"]
    item["total_expenses"] = _total(item, EXPENSES)
    item["profit_before_tax"] = item["revenue"] - item["total_expenses"] + item["exceptional_items"]
    item["net_profit"] = item["profit_before_tax"] - item["tax"]
    outside = (run.fixed["minority"] * item["net_profit"]).round(2)
    item["minority_interest"] = _carry(y["minority"], outside)
    retained = item["net_profit"] - outside - item["dividends"]
    item["reserves_and_surplus"] = _carry(y["reserves"], retained)
    item["shareholders_funds"] = item["equity_share_capital"] + item["reserves_and_surplus"]
    item["current_liabilities"] = _total(item, SHORT_ITEMS)
    item["non_current_liabilities"] = item["long_term_borrowings"] + y["other_long"].round(2)
    item["current_assets"] = _total(item, QUICK_ITEMS) + y["other_current"].round(2)
    item["equity_and_liabilities"] = _total(item, TOTALS[:4])
    item["total_assets"] = item["equity_and_liabilities"]
    item["net_cash_flow"] = item["cash"] - y["opening_cash"].round(2)
    item["financing_cash_flow"] = 2 * item["net_cash_flow"] - _total(
        item, ("net_cash_flow", "operating_cash_flow", "investing_cash_flow")
    )
    return {name: item[name] for name in COLUMNS}


def _carry(level: Array, change: Array) -> Array:
    """A balance carried forward from its first year by rounded changes."""
    return np.asarray(np.vstack([level[:1].round(2), change[1:]]).cumsum(axis=0))


def _costs(run: _Run) -> Arrays:
    """Split the operating costs: staff, overhead, and goods with the change of finished stocks."""
    y, own = run.yearly, run.fixed
    cap = 0.6 * y["costs"] / (y["sales"] * (own["staff"] + own["overhead"]))
    staff, overhead = (own[k] * y["sales"] * cap.clip(max=1) for k in ("staff", "overhead"))
    goods = y["costs"] - staff - overhead
    risen = y["inventories"] + y["lost_inventories"] - y["opening_inventories"]
    change = np.clip(-0.5 * risen, -0.5 * goods, 0.5 * goods)
    direct = own["direct"] * (goods - change)
    bought = goods - change - direct
    return {
        "cost_of_materials": bought * (1 - own["traded"]),
        "purchases_of_stock": bought * own["traded"],
        "operating_and_direct_expenses": direct, "changes_in_inventories": change,
        "employee_benefits": staff, "other_expenses": overhead,
    }  # fmt: skip


def _positions(y: Arrays) -> Arrays:
    return {
        "sales": y["sales"], "other_income": y["other_income"], "finance_costs": y["interest"],
        "depreciation": y["wear"], "exceptional_items": y["exceptional"], "tax": y["tax"],
        "dividends": y["dividend"], "equity_share_capital": y["capital"],
        "long_term_borrowings": y["long_debt"], "short_term_borrowings": y["short_debt"],
        "trade_payables": y["payables"], "other_current_liabilities": y["dues"],
        "fixed_assets": y["fixed_assets"], "capital_work_in_progress": y["works"],
        "non_current_investments": y["investments"], "cash": y["cash"],
        "current_investments": y["quick_investments"], "inventories": y["inventories"],
        "trade_receivables": y["receivables"], "operating_cash_flow": y["operating"],
        "investing_cash_flow": y["investing"],
    }  # fmt: skip


def to_long(statements: pd.DataFrame) -> pa.Table:
    """The long statements file: one row per known item and none for a missing one."""
    values = statements[list(COLUMNS)].to_numpy(dtype=float)
    row, column = np.nonzero(~np.isnan(values))
    keys = pa.Table.from_pandas(
        statements.drop(columns=list(COLUMNS)), preserve_index=False
    ).replace_schema_metadata()
    for at, name in enumerate(keys.column_names):
        if name in ("fiscal_year_end", "filed_at"):
            keys = keys.set_column(at, name, keys[name].cast(pa.date32()))
    table = keys.take(pa.array(row))
    added = {
        "item": pa.array(COLUMNS).take(pa.array(column)),
        "value": pa.array(values[row, column]),
        "unit": pa.repeat("INR crore", len(row)),
        "source": pa.repeat("simulated", len(row)),
    }
    for name, cells in added.items():
        table = table.append_column(name, cells)
    return table


def quantile_gaps(panel: pd.DataFrame) -> pd.DataFrame:
    """Compare a panel (label, X1 to X62) with the target quantiles of its classes.

    Returns label, feature, q, target, simulated and gap: their difference in interquartile ranges
    of the target.
    """
    text = resources.files("features").joinpath("demo_quantiles.json").read_text(encoding="utf-8")
    targets, rows = json.loads(text), []
    levels = [int(level.removeprefix("q")) / 100 for level in targets["levels"]]
    for label, features in targets["quantiles"].items():
        got = panel.loc[panel["label"] == label, list(features)].quantile(levels)
        for feature, wanted in features.items():
            spread = (wanted[3] - wanted[1]) or np.nan
            for q, target in zip(levels, wanted, strict=True):
                value = got.at[q, feature]
                rows.append((label, feature, q, target, value, (value - target) / spread))
    return pd.DataFrame(rows, columns=["label", "feature", "q", "target", "simulated", "gap"])
