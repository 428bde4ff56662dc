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
from typing import Final

import numpy as np
import pandas as pd

from features.demo_files import (
    ADMISSIONS,
    SUSPENDED,
    companies_file,
    events_file,
    statements_file,
)
from features.demo_firm import (
    LAST_YEAR,
    TREND,
    Array,
    Arrays,
    Run,
    hazard_of,
    opening,
    step,
    traits_of,
)

BURN_IN: Final = 2
FAILING: Final = 118 / 428  # share of failing companies, as in the reference paper


@dataclass(frozen=True)
class DemoUniverse:
    """Simulated companies: one row a company, a filed year (INR crore), an event, a macro year."""

    companies: pd.DataFrame
    statements: pd.DataFrame
    events: pd.DataFrame
    macro: pd.DataFrame


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


def _simulate(n: int, macro: pd.DataFrame, rng: np.random.Generator) -> Run:
    """Run candidates through burn-in and observed years; those that the hazard strikes fail."""
    years = macro["year"].to_numpy()[1:]
    growth = macro["gdp_growth"].to_numpy()[:-1]  # a fiscal year is mostly the calendar year before
    ends, months = _calendar(n, years, rng)
    traits = traits_of(n, rng)
    book = opening(traits)
    admitted = np.full(n, np.datetime64("NaT", "D"))
    seen: list[Arrays] = []
    for t, percent in enumerate(growth):
        moratorium = admitted <= ends[t]
        closing, run = step(book, traits, percent - TREND, months[t] / 12, moratorium, rng)
        run |= {f"opening_{name}": book[name] for name in ("cash", "inventories")}
        book = closing
        strike = _admission(ends[t], hazard_of(book, run, percent), rng)
        admitted = np.where(np.isnat(admitted), strike, admitted)
        if t >= BURN_IN:
            seen.append(run | book | {"end": ends[t], "months": months[t]})
    yearly = {name: np.stack([year[name] for year in seen]) for name in seen[0]}
    yearly["filed"] = _filed(yearly["end"], admitted, rng)
    return Run(traits | {"admitted": admitted, "indexed": _indexed(yearly)}, yearly)


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
    table = companies_file(run, ids, rng)
    return DemoUniverse(
        table, statements_file(run, ids, rng), events_file(run, table, rng), macro.copy()
    )


def _pick(run: Run, at: Array) -> Run:
    fixed = {name: values[at] for name, values in run.fixed.items()}
    return Run(fixed, {name: values[:, at] for name, values in run.yearly.items()})


def _join(runs: list[Run]) -> Run:
    return Run(
        {name: np.concatenate([r.fixed[name] for r in runs]) for name in runs[0].fixed},
        {name: np.concatenate([r.yearly[name] for r in runs], axis=1) for name in runs[0].yearly},
    )


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
