"""Healthy controls for failing companies: chosen by fiscal year, sector and size, never by outcome.

Each failing company is given up to k healthy companies that stood beside it in its reference year,
as near in size as can be for all together: features/assignment.py says in which order it is chosen.
No two failing companies share a control. Matching is a way to draw a sample: it looks at no ratio,
and k sets the share of failing companies, so that probabilities learnt from a matched panel are
those of the sample (King & Zeng 2001, "Logistic regression in rare events data", Political
Analysis 9(2)).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from features.assignment import Floats, Group, Ints, assign
from warehouse.errors import InputError

MATCHED_ON = "matched on"
OUTCOME_LIKE = "outcome-like"  # shown, never matched on
# What the balance table shows beside the share of each sector.
BALANCED: tuple[tuple[str, str, str], ...] = (
    ("log total assets", "size", MATCHED_ON),
    ("fiscal year", "fiscal_year", MATCHED_ON),
    ("X12 return on assets", "X12", OUTCOME_LIKE),
    ("X13 debt to assets", "X13", OUTCOME_LIKE),
    ("X1 current ratio", "X1", OUTCOME_LIKE),
)
WHEN = ("before", "after")
CODES = tuple(column for _, column, role in BALANCED if role == OUTCOME_LIKE)
NEEDED = ("company_id", "fiscal_year", "label", "post_event", "sector", "total_assets", *CODES)

NO_YEAR = "no year with total assets"
NO_CANDIDATE_OF_SECTOR = "no healthy company of its sector and year"
NO_CANDIDATE_OF_YEAR = "no healthy company of its year"
ALL_TAKEN = "all candidates taken"
TOO_FEW = "fewer candidates than controls wanted"
OTHERS_TAKEN = "its other candidates taken"


@dataclass(frozen=True, eq=False)
class Matching:
    """Which healthy companies stand beside which failing ones, and how alike they are.

    Attributes:
        k: controls wanted for each failing company.
        failing: companies with a year labelled bankrupt.
        sector_unknown: failing companies without a sector in their reference year, whose
            candidates are of any sector.
        pairs: one row per pair: failing_id, control_id, fiscal_year (the reference year), sector
            (NULL where the failing company's is unknown), rank (1 is the nearest in size),
            log_difference (log total assets of the control less that of the failing company).
        unmatched: one row per failing company with fewer than k controls: company_id, controls,
            reason.
        balance: one row per variable: variable, role, failing_mean, healthy_mean_before,
            smd_before, healthy_mean_after, smd_after; see `standardised_difference`.
    """

    k: int
    failing: int
    sector_unknown: int
    pairs: pd.DataFrame
    unmatched: pd.DataFrame
    balance: pd.DataFrame

    @property
    def controls(self) -> frozenset[str]:
        """The ids of the healthy companies that were chosen."""
        return frozenset(self.pairs["control_id"])

    def words(self) -> str:
        """The matching in one line, for reports and model cards."""
        parts = [
            f"{len(self.pairs):,} healthy companies matched to"
            f" {self.pairs['failing_id'].nunique():,} of {self.failing:,} failing ones by fiscal"
            f" year, sector and log total assets, each used once, up to {self.k:,} for each"
        ]
        ratio = np.exp(self.pairs["log_difference"].abs())
        parts.append(
            f"sizes differ {ratio.median():.2f}-fold at the median, {ratio.max():.1f} at most"
        )
        if len(self.unmatched):
            parts.append(f"{len(self.unmatched):,} have fewer ({_counted(self.unmatched)})")
        if self.sector_unknown:
            parts.append(f"{self.sector_unknown:,} of unknown sector matched by year and size only")
        before, after = (_number(self.balance[f"smd_{when}"].iloc[0]) for when in WHEN)
        parts.append(
            f"standardised mean difference of log total assets {before} before, {after} after"
        )
        return "; ".join(parts)


def _counted(unmatched: pd.DataFrame) -> str:
    counts = unmatched["reason"].value_counts().sort_index()
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items())


def _number(value: float) -> str:
    return "undefined" if np.isnan(value) else f"{value:.2f}"


def match(panel: pd.DataFrame, k: int) -> Matching:
    """Choose up to k healthy controls for each failing company of a panel.

    A failing company has a year labelled bankrupt. Its reference year is its last bankrupt year
    that is not post_event and has total assets above 0 or, without one, its last other such year.
    Candidates are companies whose rows are all healthy, with total assets above 0 in that year and
    the failing company's sector; of any sector where the failing company's is unknown.

    Args:
        panel: one row per company and year, in any order, with at least the columns `NEEDED`;
            total_assets in INR crore.
        k: controls wanted for each failing company, 1 or more.

    Raises:
        InputError: a column is missing or wrong, k is below 1, a company and year stand twice, no
            company is failing, none is healthy, or not one pair can be made.
    """
    if k < 1:
        raise InputError(
            f"matching: {k} controls for each failing company; expected 1 or more (leave matching"
            " out to keep every healthy company)"
        )
    rows = _checked(panel)
    failing, healthy = _failing(rows), rows[rows["company_id"].isin(_healthy_ids(rows))]
    _someone(failing, healthy)
    healthy = healthy[healthy["size"].notna()]
    groups = _groups(failing, healthy)
    pairs = _pairs(failing, healthy, assign(groups, k))
    unmatched = _unmatched(failing, groups, pairs, k)
    if pairs.empty:
        raise InputError(
            f"matching: not one of {len(failing):,} failing companies can be given a control"
            f" ({_counted(unmatched)})"
        )
    known = failing[failing["size"].notna()]
    return Matching(
        k, len(failing), int(known["sector"].isna().sum()),
        pairs, unmatched, _balance(known, healthy, pairs),
    )  # fmt: skip


def apply(panel: pd.DataFrame, matching: Matching) -> pd.DataFrame:
    """The panel without the healthy companies that were not chosen; every other row stays.

    A company with healthy rows and others was no candidate, so its rows stay as well.
    """
    return panel[~panel["company_id"].isin(_healthy_ids(panel) - matching.controls)]


def standardised_difference(failing: Floats, healthy: Floats, share: bool = False) -> float:
    """Standardised mean difference: (mean of failing - mean of healthy) / pooled deviation.

    The pooled deviation is sqrt((variance of failing + variance of healthy) / 2), with sample
    variances or, for shares, p (1 - p): Austin (2009), "Balance diagnostics for comparing the
    distribution of baseline covariates between treatment groups in propensity-score matched
    samples", Statistics in Medicine 28(25); Austin (2011), "An introduction to propensity score
    methods", Multivariate Behavioral Research 46(3), who takes less than 0.1 for negligible.
    Missing values are left out. NaN where undefined: nothing on one side, or no spread on both.
    """
    failing, healthy = failing[np.isfinite(failing)], healthy[np.isfinite(healthy)]
    lost = 0 if share else 1
    if min(len(failing), len(healthy)) <= lost:
        return float("nan")
    pooled = np.sqrt((failing.var(ddof=lost) + healthy.var(ddof=lost)) / 2)
    return float((failing.mean() - healthy.mean()) / pooled) if pooled > 0 else float("nan")


# --- the rows that take part -------------------------------------------------------------------


def _checked(panel: pd.DataFrame) -> pd.DataFrame:
    """The needed columns in order of company and year, with `size`: log total assets or NaN."""
    missing = [name for name in NEEDED if name not in panel.columns]
    if missing:
        raise InputError(
            f"matching: the panel has no column {', '.join(missing)}; make a panel that has with:"
            " python -m features"
        )
    rows = panel[list(NEEDED)].sort_values(["company_id", "fiscal_year"], ignore_index=True)
    for name in ("company_id", "fiscal_year", "label", "post_event"):
        if rows[name].isna().any():
            raise InputError(f"matching: {rows[name].isna().sum():,} rows of the panel lack {name}")
    if not rows["post_event"].isin([True, False]).all():
        raise InputError("matching: post_event of the panel is not true or false in every row")
    for name in ("fiscal_year", "total_assets", *CODES):
        if not pd.api.types.is_numeric_dtype(rows[name]):
            raise InputError(
                f"matching: {name} of the panel is {rows[name].dtype}; expected numbers"
            )
    twice = rows[rows.duplicated(["company_id", "fiscal_year"])]
    if len(twice):
        company, year = twice.iloc[0][["company_id", "fiscal_year"]]
        raise InputError(
            f"matching: the panel has several rows of company {company} and fiscal year {year};"
            " expected one"
        )
    assets = rows["total_assets"].to_numpy(dtype=float, na_value=np.nan)
    usable = np.isfinite(assets) & (assets > 0)
    rows["size"] = np.log(assets, out=np.full(len(rows), np.nan), where=usable)
    return rows


def _healthy_ids(panel: pd.DataFrame) -> set[str]:
    """Companies whose rows are all healthy."""
    other = panel["label"] != "healthy"
    return set(panel["company_id"]) - set(panel.loc[other, "company_id"])


def _failing(rows: pd.DataFrame) -> pd.DataFrame:
    """One row per failing company, in order of company_id: its reference year, or NULLs."""
    bankrupt = rows["label"] == "bankrupt"
    ids = pd.DataFrame({"company_id": rows.loc[bankrupt, "company_id"].unique()})
    usable = rows[~rows["post_event"].astype(bool) & rows["size"].notna()]
    last = (
        usable.assign(bankrupt=bankrupt)
        .sort_values(["company_id", "bankrupt", "fiscal_year"])
        .drop_duplicates("company_id", keep="last")
    )
    return ids.merge(last, how="left", on="company_id")


def _someone(failing: pd.DataFrame, healthy: pd.DataFrame) -> None:
    if failing.empty:
        raise InputError(
            "matching: no company of the panel has a year labelled bankrupt; import an events file"
            " with cirp_admission, or leave matching out"
        )
    if healthy.empty:
        raise InputError(
            "matching: no company of the panel is healthy in all its years; import a companies"
            " file with in_nifty500, or leave matching out"
        )


# --- who may be paired with whom ---------------------------------------------------------------


def _groups(failing: pd.DataFrame, healthy: pd.DataFrame) -> list[Group]:
    """Failing companies and their candidates, by year and sector, where there are any."""
    position, _ = pd.factorize(healthy["company_id"])  # healthy stands in order of company_id
    healthy = healthy.assign(position=position)
    parts = []
    for year, some in failing[failing["size"].notna()].groupby("fiscal_year"):
        beside = healthy[healthy["fiscal_year"] == year]
        parts.append((some[some["sector"].isna()], beside))
        parts += [(of, beside[beside["sector"] == name]) for name, of in some.groupby("sector")]
    return [
        Group(
            f.index.to_numpy(), h["position"].to_numpy(), f["size"].to_numpy(), h["size"].to_numpy()
        )
        for f, h in parts
        if len(f) and len(h)
    ]


# --- what is handed back -----------------------------------------------------------------------


def _pairs(
    failing: pd.DataFrame, healthy: pd.DataFrame, assigned: tuple[Ints, Ints]
) -> pd.DataFrame:
    chosen = failing.iloc[assigned[0]].reset_index(drop=True)
    control = pd.Series(healthy["company_id"].unique()[assigned[1]], name="control_id")
    pairs = chosen.assign(control_id=control).merge(
        healthy[["company_id", "fiscal_year", "size"]],
        left_on=["control_id", "fiscal_year"], right_on=["company_id", "fiscal_year"],
        suffixes=("", "_control"),
    )  # fmt: skip
    pairs["log_difference"] = pairs["size_control"] - pairs["size"]
    pairs["nearness"] = pairs["log_difference"].abs()
    pairs = pairs.sort_values(["company_id", "nearness", "control_id"], ignore_index=True)
    pairs["rank"] = pairs.groupby("company_id").cumcount() + 1
    pairs = pairs.astype({"fiscal_year": "int64"}).rename(columns={"company_id": "failing_id"})
    return pairs[["failing_id", "control_id", "fiscal_year", "sector", "rank", "log_difference"]]


def _unmatched(
    failing: pd.DataFrame, groups: list[Group], pairs: pd.DataFrame, k: int
) -> pd.DataFrame:
    candidates = np.zeros(len(failing), dtype=np.int64)
    for group in groups:
        candidates[group.failing] = len(group.healthy)
    ids = failing["company_id"]
    controls = ids.map(pairs["failing_id"].value_counts()).fillna(0).astype("int64")
    reason = np.select(
        [
            failing["size"].isna(),
            (candidates == 0) & failing["sector"].isna(),
            candidates == 0,
            controls == 0,
            controls == candidates,
        ],
        [NO_YEAR, NO_CANDIDATE_OF_YEAR, NO_CANDIDATE_OF_SECTOR, ALL_TAKEN, TOO_FEW],
        OTHERS_TAKEN,
    )
    table = pd.DataFrame({"company_id": ids, "controls": controls, "reason": reason})
    return table[controls < k].reset_index(drop=True)


def _balance(failing: pd.DataFrame, healthy: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """Means and standardised differences before matching and after.

    Failing: every failing company in its reference year. Before: all rows of healthy companies of
    a year that is someone's reference year. After: the controls in the year of their pair.
    """
    before = healthy[healthy["fiscal_year"].isin(failing["fiscal_year"])]
    chosen = pairs[["control_id", "fiscal_year", "sector"]].set_axis(
        ["company_id", "fiscal_year", "pair_sector"], axis=1
    )
    sides = [failing, before, healthy.merge(chosen, on=["company_id", "fiscal_year"])]
    rows = [
        _compared(name, role, [side[column].to_numpy(float, na_value=np.nan) for side in sides])
        for name, column, role in BALANCED
    ]
    return pd.DataFrame([*rows, *_sectors(sides)])


def _sectors(sides: list[pd.DataFrame]) -> Iterator[dict[str, Any]]:
    """Share of each sector of a failing company, and of the others; missing ones are left out.

    A control that was matched without a sector tells nothing of how well sectors were matched, so
    the shares after are of the other controls.
    """
    failing, before, after = sides
    known = [
        failing["sector"].dropna(),
        before["sector"].dropna(),
        after.loc[after["pair_sector"].notna(), "sector"],
    ]
    names = sorted(known[0].unique())
    for name in names:
        yield _share(f"sector: {name}", [side == name for side in known])
    if names and not known[1].isin(names).all():
        yield _share("sector: another", [~side.isin(names) for side in known])
    unknown = [side["sector"].isna() for side in sides]
    if any(side.any() for side in unknown):
        yield _share("sector not known", unknown)


def _share(variable: str, sides: list[pd.Series[bool]]) -> dict[str, Any]:
    arrays = [np.asarray(side, dtype=np.float64) for side in sides]
    return _compared(variable, MATCHED_ON, arrays, share=True)


def _compared(
    variable: str, role: str, sides: list[Floats], share: bool = False
) -> dict[str, Any]:  # fmt: skip
    failing, before, after = sides
    return {
        "variable": variable,
        "role": role,
        "failing_mean": _mean(failing),
        "healthy_mean_before": _mean(before),
        "smd_before": standardised_difference(failing, before, share),
        "healthy_mean_after": _mean(after),
        "smd_after": standardised_difference(failing, after, share),
    }


def _mean(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")
