"""Score companies: the same views and ratios as the panel, then the model, then its reasons."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd

from features.dataset import features_sql, materialise
from features.macro import MACRO
from features.ratios import RATIOS, reasons_sql
from models.artifact import Model
from models.explain import Reason, reasons
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
    _require_known_features(model)
    materialise(connection)
    rows = _rows(connection, company)
    refused = _refused(rows)
    rows = rows[~rows["is_financial"].astype(bool)].reset_index(drop=True)
    if rows.empty:
        raise InputError("; ".join(refused) or _nothing(company))
    notices = _fill_macro(rows, model)
    proba = model.predict_proba(rows)
    sectors = [None if pd.isna(sector) else str(sector) for sector in rows["sector"]]
    why = reasons(model, rows, sectors, most_reasons) if most_reasons else [[] for _ in sectors]
    missing = _missing(connection, rows)
    years = [
        _year(rows.iloc[i], proba.iloc[i], why[i], missing, model.features)
        for i in range(len(rows))
    ]
    return Scored(_companies(rows, years), refused, notices + _simulated(model))


def _require_known_features(model: Model) -> None:
    known = {r.code for r in RATIOS} | {m.code for m in MACRO}
    other = [name for name in model.features if name not in known]
    if other:
        raise InputError(
            f"the model was trained on columns that statements do not give ({', '.join(other[:3])}"
            f"{', ...' if len(other) > 3 else ''}); name a model trained on X1 to X66 with --model"
        )


def _rows(connection: duckdb.DuckDBPyConnection, company: str | None) -> pd.DataFrame:
    wanted = company
    if company is not None:
        wanted = _company_id(connection, company)
    query = f"{features_sql()} WHERE $company IS NULL OR r.company_id = $company"
    order = " ORDER BY r.company_id, r.fiscal_year"
    return connection.execute(query + order, {"company": wanted}).fetch_df()


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


def _simulated(model: Model) -> tuple[str, ...]:
    if not model.manifest["simulated"]:
        return ()
    return (
        "the model was trained on SIMULATED companies: it shows how the program works and says"
        " nothing about a real company; train on real data before you use it",
    )


def _missing(
    connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame
) -> dict[tuple[str, int, str], str]:
    companies = sorted(set(rows["company_id"]))
    found = connection.execute(
        f"SELECT * FROM ({reasons_sql('yearly')}) WHERE company_id IN (SELECT unnest($ids))",
        {"ids": companies},
    ).fetchall()
    return {(company, int(year), code): reason for company, year, code, reason in found}


def _year(
    row: pd.Series[Any],
    proba: pd.Series[float],
    why: list[Reason],
    missing: dict[tuple[str, int, str], str],
    features: tuple[str, ...],
) -> ScoredYear:
    company, year = str(row["company_id"]), int(row["fiscal_year"])
    absent = tuple(
        Missing(name, missing.get((company, year, name), "no macro value"))
        for name in features
        if pd.isna(row[name])
    )
    return ScoredYear(
        year,
        str(pd.Timestamp(row["fiscal_year_end"]).date()),
        str(row["basis"]),
        {str(name): float(value) for name, value in proba.items()},
        str(proba.idxmax()),
        absent,
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
