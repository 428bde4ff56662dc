"""Score companies: the same views and ratios as the panel, then the model, then its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from features.dataset import (
    Features,
    feature_names,
    features_sql,
    materialise,
    null_reasons_sql,
)
from features.macro import MACRO
from features.ratios import RATIOS
from models.artifact import Model
from models.explain import Reason, reasons
from models.panel import (
    LEVELS,
    RELATIVE,
    SECTOR_KEY,
    YEAR_KEY,
    sector_columns,
)
from warehouse import importers, store
from warehouse.errors import InputError

SCHEMA = "insolvency-radar/score/1"
FEW_RATIOS = 15  # as the panel's own least: below, a row is scored on little but medians


@dataclass(frozen=True)
class Missing:
    """A feature that could not be computed, and why."""

    feature: str
    reason: str


@dataclass(frozen=True)
class ScoredYear:
    """One fiscal year of a company: probability per class and what it rests on."""

    fiscal_year: int
    fiscal_year_end: str
    basis: str
    probabilities: dict[str, float]
    prediction: str
    missing: tuple[Missing, ...]
    proxies: tuple[str, ...]
    failed_checks: int
    reasons: tuple[Reason, ...]
    ratios: int
    """How many of the 62 could be computed."""

    @property
    def few_ratios(self) -> bool:
        """Whether so few that the training medians decide more than the company does."""
        return self.ratios < FEW_RATIOS


@dataclass(frozen=True)
class ScoredCompany:
    """All scored years of a company, oldest first."""

    company_id: str
    company_name: str
    sector: str | None
    years: tuple[ScoredYear, ...]


@dataclass(frozen=True)
class Scored:
    """The answer: companies, those refused with the reason, and lines a user should read."""

    companies: tuple[ScoredCompany, ...]
    refused: tuple[str, ...]
    notices: tuple[str, ...]


@contextmanager
def file_warehouse(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, tuple[str, ...]]]:
    """A statements file or workbook in a warehouse in memory, checked; and its notices."""
    with store.in_memory() as connection:
        imported = importers.import_files(connection, [path])
        if imported[0].kind != "statements":
            raise InputError(
                f"{path}: holds {imported[0].kind}; expected statements or a Screener workbook"
            )
        store.run_checks(connection)
        yield connection, imported[0].notices


def score(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    company: str | None = None,
    most_reasons: int = 5,
) -> Scored:
    """Score every company of a warehouse, or one.

    Raises:
        InputError: the model needs other features, no such company, or no company can be scored.
    """
    level = _level(model)
    wanted = None if company is None else _company_id(connection, company)
    with store.one_company(connection, wanted) if wanted else nullcontext():
        materialise(connection)
    rows = _rows(connection, level)
    refused = _refused(rows)
    rows = rows[~rows["is_financial"].astype(bool)].reset_index(drop=True)
    if rows.empty:
        raise InputError("; ".join(refused) or _nothing(company))
    notices = _fill_macro(rows, model)
    rows = rows.assign(**sector_columns(rows["sector"], rows["fiscal_year"]))
    proba = model.predict_proba(rows)
    sectors = [None if pd.isna(sector) else str(sector) for sector in rows["sector"]]
    why = reasons(model, rows, sectors, most_reasons) if most_reasons else [[] for _ in sectors]
    gaps = _gaps(model.values(rows).isna(), rows, _missing(connection, rows, level))
    years = [_year(rows.iloc[i], proba.iloc[i], why[i], gaps[i]) for i in range(len(rows))]
    notices += _sectorless(rows, model) + _simulated(model)
    return Scored(_companies(rows, years), refused, notices)


def _level(model: Model) -> Features:
    """The smallest set of features that holds all that the model takes.

    Raises:
        InputError: the model takes what statements do not give.
    """
    wanted = set(model.inputs) - {SECTOR_KEY, YEAR_KEY}
    for level in LEVELS:
        if wanted <= set(feature_names(level)):
            return level
    known = set(feature_names(LEVELS[-1]))
    other = [name for name in model.inputs if name in wanted - known]
    raise InputError(
        f"the model was trained on columns that statements do not give ({', '.join(other[:3])}"
        f"{', ...' if len(other) > 3 else ''}); name a model trained on X1 to X66 with --model"
    )


def _rows(connection: duckdb.DuckDBPyConnection, level: Features) -> pd.DataFrame:
    query = f"{features_sql(features=level)} ORDER BY r.company_id, r.fiscal_year"
    return connection.execute(query).fetch_df()


def _company_id(connection: duckdb.DuckDBPyConnection, name: str) -> str:
    """The company of that id, else symbol, ISIN, CIN or exact name; never a guess among several."""
    found = connection.execute(
        "SELECT DISTINCT company_id FROM (SELECT company_id, 1 AS rank FROM company"
        " WHERE company_id = $name UNION ALL SELECT company_id, 2 FROM alias"
        " WHERE upper(alias) = upper($name)) QUALIFY rank = min(rank) OVER ()",
        {"name": name},
    ).fetchall()
    if len(found) > 1:
        ids = ", ".join(sorted(row[0] for row in found)[:5])
        raise InputError(f"{name!r} names {len(found)} companies ({ids}); give a company_id")
    if not found:
        raise InputError(_nothing(name))
    return str(found[0][0])


def _nothing(company: str | None) -> str:
    if company is None:
        return "no company with statements found"
    return f"no company {company!r} with statements; give its company_id, symbol, ISIN or CIN"


def _refused(rows: pd.DataFrame) -> tuple[str, ...]:
    """Banks, NBFCs and insurers: what a model of other companies says of them means nothing."""
    named = rows[rows["is_financial"].astype(bool)].drop_duplicates("company_id")
    return tuple(
        f"{row.company_id}: a bank, NBFC or insurer: its statements have no current assets or"
        " inventories, and the model has learnt from none; not scored"
        for row in named.itertuples()
    )


def _fill_macro(rows: pd.DataFrame, model: Model) -> tuple[str, ...]:
    """Give each year the macro values that the model was trained with; say which it lacks."""
    lacking: set[int] = set()
    for place, series in enumerate(MACRO):
        known = {int(y): values[place] for y, values in model.manifest["macro"].items()}
        given = rows["fiscal_year"].map(known).astype("float64")
        rows[series.code] = rows[series.code].fillna(given)
        if series.code in model.features:
            lacking |= set(rows.loc[rows[series.code].isna(), "fiscal_year"])
    if not lacking:
        return ()
    years = ", ".join(map(str, sorted(lacking)))
    return (f"macro values missing for {years}: the training median stands in for them",)


def _sectorless(rows: pd.DataFrame, model: Model) -> tuple[str, ...]:
    """Say whose ratios are compared with all sectors, where the model compares with the own one."""
    if SECTOR_KEY not in model.inputs:
        return ()
    named = rows.loc[rows[SECTOR_KEY].isna(), "company_id"].drop_duplicates()
    if named.empty:
        return ()
    listed = ", ".join(named[:5]) + (", …" if len(named) > 5 else "")
    return (f"no sector is known of {listed}: compared with the medians of all sectors",)


def _simulated(model: Model) -> tuple[str, ...]:
    if not model.manifest["simulated"]:
        return ()
    return (
        "the model was trained on SIMULATED companies: it shows how the program works and says"
        " nothing about a real company; train on real data before you use it",
    )


def _missing(
    connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, level: Features
) -> dict[tuple[str, int, str], str]:
    """Why features are missing, by company, year and code."""
    found = connection.execute(
        f"SELECT * FROM ({null_reasons_sql(level)}) WHERE company_id IN (SELECT unnest($ids))",
        {"ids": sorted(set(rows["company_id"]))},
    ).fetchall()
    return {(company, int(year), code): reason for company, year, code, reason in found}


def _gaps(
    absent: pd.DataFrame, rows: pd.DataFrame, reasons: dict[tuple[str, int, str], str]
) -> list[tuple[Missing, ...]]:
    """Of each row the features that are missing, and why."""
    years = zip(rows["company_id"], rows["fiscal_year"], strict=True)
    names = np.array(absent.columns, dtype=object)
    return [
        tuple(Missing(name, _reason(reasons, str(company), int(year), name)) for name in names[gap])
        for (company, year), gap in zip(years, absent.to_numpy(), strict=True)
    ]


def _reason(reasons: dict[tuple[str, int, str], str], company: str, year: int, feature: str) -> str:
    found = reasons.get((company, year, feature.removesuffix(RELATIVE)))
    if found is not None:
        return found
    if feature.endswith(RELATIVE):
        return "no median of the sector or the year"
    return "no macro value"


def _year(
    row: pd.Series[Any], proba: pd.Series[float], why: list[Reason], missing: tuple[Missing, ...]
) -> ScoredYear:
    return ScoredYear(
        int(row["fiscal_year"]),
        str(pd.Timestamp(row["fiscal_year_end"]).date()),
        str(row["basis"]),
        {str(name): float(value) for name, value in proba.items()},
        str(proba.idxmax()),
        missing,
        tuple(row["proxies"].split(", ")) if isinstance(row["proxies"], str) else (),
        int(row["failed_checks"]),
        tuple(why),
        len(RATIOS) - int(row["n_missing"]),
    )


def _companies(rows: pd.DataFrame, years: list[ScoredYear]) -> tuple[ScoredCompany, ...]:
    companies = []
    for company, group in rows.groupby("company_id", sort=False):
        first = group.iloc[0]
        name, sector = first["company_name"], first["sector"]
        companies.append(
            ScoredCompany(
                str(company),
                str(company) if pd.isna(name) else str(name),
                None if pd.isna(sector) else str(sector),
                tuple(years[int(i)] for i in group.index),
            )
        )
    return tuple(companies)
