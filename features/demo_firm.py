"""The simulated firm: what stays with it, its opening book, one year, and its hazard of failing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

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

LAST_YEAR: Final = 2024
TREND: Final = 6.3  # growth of the economy in per cent


@dataclass(frozen=True)
class Run:
    """Candidates: arrays (company) of what stays, arrays (year, company) of what passes."""

    fixed: Arrays
    yearly: Arrays


def expit(x: Array) -> Array:
    """The logistic function, safe from overflow."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(x, -50, 50))))


def total(book: Arrays, names: tuple[str, ...]) -> Array:
    """Sum of some lines of a book."""
    return np.asarray(sum(book[name] for name in names))


def traits_of(n: int, rng: np.random.Generator) -> Arrays:
    """Draw what stays with a company: its industry, quality, policies and financing."""
    weight = np.array([s.weight for s in SECTORS])
    sector = rng.choice(len(SECTORS), size=n, p=weight / weight.sum())

    def typical(name: str) -> Array:
        return np.array([getattr(s, name) for s in SECTORS])[sector]

    quality, taste = rng.normal(size=(2, n))
    odds = np.log(typical("debt") / (1 - typical("debt")))
    debt = expit(odds - 0.55 * quality + 0.75 * taste)
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


def opening(traits: Arrays) -> Arrays:
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
    plant = np.maximum(size - total(book, ASSETS), 0.1 * size)
    owned = total(book, ASSETS) + plant - total(book, DEBTS)
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
    n, assets = len(span), total(book, ASSETS)
    squeeze = expit(14 * (total(book, DEBTS) / assets - 0.88))
    chance = 0.062 * np.sqrt(traits["cyclical"]) * np.exp(-0.1 * boom) * span
    shock = (rng.random(n) < chance) * (0.5 + rng.exponential(1.2, n))
    stress = book["stress"] * 0.80**span + shock
    drift = 0.6 * book["drift"] + rng.normal(0, 0.022, n)
    growth = traits["growth"] + 0.012 * traits["cyclical"] * boom + rng.normal(0, 0.09, n)
    growth = growth - 0.19 * stress - 0.15 * squeeze
    rate = book["sales_rate"] * np.exp(np.clip(growth, -1.2, 0.5) * span)
    working = assets - total(book, ("cash", "quick_investments", "investments"))
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
    exceptional = gain - total(lost, tuple(lost))
    other = 0.05 * total(book, ("cash", "quick_investments", "investments")) * span
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
    unused = traits["debt"] * total(book, ASSETS) - book["short_debt"] - book["long_debt"]
    run["spend"] = spend + 0.2 * trust * unused.clip(0)  # who may borrow more builds more
    finished = 0.7 * (book["works"] + 0.5 * run["spend"]) * trust
    new["works"] = book["works"] + 0.5 * run["spend"] - finished
    new["fixed_assets"] = left["fixed_assets"] - run["wear"] + 0.5 * run["spend"] + finished
    return new


def _collect(book: Arrays, new: Arrays, run: Arrays) -> Array:
    """Operating cash flow: profit without what is no cash or no operation, less what is tied up."""
    held, owed = (*WRITTEN_OFF[:3], "other_fixed"), ("payables", "dues", "other_long")
    tied = total(new, held) - total(book, held) - total(new, owed) + total(book, owed)
    # A write-off lowers both profit and the position; only that of plant is not in `tied`.
    earned = run["net"] + run["wear"] + run["interest"] - run["other_income"]
    return np.asarray(earned + run["lost_fixed_assets"] - tied)


def _finance(book: Arrays, new: Arrays, traits: Arrays, run: Arrays) -> None:
    """Close the cash gap into `new`: own money, then lenders, and unpaid dues where both end."""
    operating = _collect(book, new, run)
    cash = book["cash"] + operating - run["spend"] + run["other_income"]
    cash = cash - run["interest"] - run["dividend"]
    assets, debt = total(book, ASSETS), book["short_debt"] + book["long_debt"]
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


def step(
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
    return expit(score - 0.08 * (growth - TREND))


def hazard_of(book: Arrays, run: Arrays, growth: float) -> Array:
    """Probability of failing after the year that closed with this book."""
    profit = run["sales"] + run["other_income"] - run["costs"] - run["wear"]
    leverage = total(book, DEBTS) / total(book, ASSETS)
    liquidity = book["cash"] / total(book, SHORT)
    margin = 1 - run["costs"] / run["sales"]
    return failure_hazard(leverage, profit / run["interest"], liquidity, margin, growth)
