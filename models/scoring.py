"""Score companies: the same views and ratios as the panel, then the model, then its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import duckdb
import numpy as np
import pandas as pd

from features import arrays
from features.dataset import (
    Features,
    feature_names,
    features_sql,
    materialise,
    null_reasons_sql,
    years_sql,
)
from features.macro import MACRO
from features.ratios import RATIOS
from features.scores import SCORES, Zone, zone
from models.artifact import Model
from models.counterfactual import Counterfactual, counterfactual
from models.explain import Explanation, Reason, explain, risk_class
from models.history import Neighbour, Outside
from models.panel import (
    LEVELS,
    RELATIVE,
    SECTOR_KEY,
    YEAR_KEY,
    Floats,
    sector_columns,
)
from warehouse import importers, store
from warehouse.errors import InputError

FEW_RATIOS = 15  # as the panel's own least: below, a row is scored on little but medians
MOST_FILES = 10_000  # of a folder
LACKING = "missing "  # how the reason of a gap begins that an item would fill


@dataclass(frozen=True)
class Ask:
    """What to say of a company beyond its probabilities.

    Attributes:
        explain: years with reasons, neighbours and what would have to change: all of them, the
            latest of each company, or none.
        reasons: how many at most.
        neighbours: how many at most.
        others: models whose answers stand beside the first's.
    """

    explain: Literal["all", "latest", "none"] = "all"
    reasons: int = 5
    neighbours: int = 3
    others: tuple[Model, ...] = ()


@dataclass(frozen=True)
class Missing:
    """A feature that could not be computed, and why."""

    feature: str
    reason: str


@dataclass(frozen=True)
class Need:
    """An item that is missing.

    Attributes:
        item: its canonical name.
        features: codes of those that cannot be computed without it.
    """

    item: str
    features: tuple[str, ...]


@dataclass(frozen=True)
class ClassicalScore:
    """A published score.

    Attributes:
        code: its column of the panel.
        title: its name.
        value: None where an item is missing.
        zone: what its author calls such a company.
        reason: why there is none.
    """

    code: str
    title: str
    value: float | None
    zone: Zone | None
    reason: str | None


@dataclass(frozen=True)
class Opinion:
    """What one of several models says of a year.

    Attributes:
        model: learner and selection.
        probabilities: per class, calibrated where the model is.
        prediction: the class of its highest probability as given.
    """

    model: str
    probabilities: dict[str, float]
    prediction: str


@dataclass(frozen=True)
class ScoredYear:
    """One fiscal year of a company: probability per class and what it rests on.

    Attributes:
        probabilities: per class, calibrated where the model is.
        as_given: by the model itself, which has learnt from classes made equally frequent.
        prediction: the class of the highest probability as given: classes count alike, as on the
            leaderboard, so that it warns before bankruptcy is the likeliest of all.
        prediction_set: classes that cannot be ruled out at the model's stated coverage, which may
            be none; None for a model without prediction sets.
        outside: how far the year lies outside what the model has seen; None for a model that
            keeps no training rows.
        scores: published scores of the same year.
        missing: features that could not be computed; training medians stand in.
        needs: items that would let them be computed, the most useful first.
        proxies: items that were estimated from broader lines.
        explanation, neighbours, counterfactual: None and empty where not asked for; the last is
            None too where the year is not of the risk class or nothing plausible takes it out.
        opinions: of this model and the others asked, this one first; empty without others.
        ratios: how many of the 62 could be computed.
    """

    fiscal_year: int
    fiscal_year_end: str
    basis: str
    probabilities: dict[str, float]
    as_given: dict[str, float]
    prediction: str
    prediction_set: tuple[str, ...] | None
    outside: Outside | None
    scores: tuple[ClassicalScore, ...]
    missing: tuple[Missing, ...]
    needs: tuple[Need, ...]
    proxies: tuple[str, ...]
    failed_checks: int
    ratios: int
    explanation: Explanation | None
    neighbours: tuple[Neighbour, ...]
    counterfactual: Counterfactual | None
    opinions: tuple[Opinion, ...]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The largest, largest first."""
        return self.explanation.reasons if self.explanation else ()

    @property
    def few_ratios(self) -> bool:
        """Whether so few that the training medians decide more than the company does."""
        return self.ratios < FEW_RATIOS

    @property
    def agreement(self) -> float | None:
        """Share of the models that predict what the first does; None of one model."""
        if not self.opinions:
            return None
        same = [opinion.prediction == self.prediction for opinion in self.opinions]
        return sum(same) / len(same)


@dataclass(frozen=True)
class ScoredCompany:
    """All scored years of a company, oldest first."""

    company_id: str
    company_name: str
    sector: str | None
    years: tuple[ScoredYear, ...]


@dataclass(frozen=True)
class Scored:
    """The answer: companies, what was refused with the reason, and lines a user should read."""

    companies: tuple[ScoredCompany, ...]
    refused: tuple[str, ...]
    notices: tuple[str, ...]


def score_file(
    path: Path,
    model: Model,
    ask: Ask | None = None,
    desk: duckdb.DuckDBPyConnection | None = None,
) -> Scored:
    """Score every company of a file, told by its content, or of a folder of files.

    Args:
        path: statements as CSV, Parquet or JSON, a Screener workbook, an XBRL filing, a saved
            moneycontrol page; or a folder of such files.
        model: to score by.
        ask: what to say beyond probabilities.
        desk: an empty warehouse in memory (`store.in_memory`), which is left empty; it saves the
            time of making one. Not for a folder.

    Raises:
        InputError: not such a file, or no company of it can be scored.
    """
    with files_warehouse(path, desk) as (connection, refused, notices):
        found = score(connection, model, None, ask)
    return Scored(found.companies, (*refused, *found.refused), (*notices, *found.notices))


@contextmanager
def files_warehouse(
    path: Path, desk: duckdb.DuckDBPyConnection | None = None
) -> Iterator[tuple[duckdb.DuckDBPyConnection, tuple[str, ...], tuple[str, ...]]]:
    """A file or a folder in a warehouse in memory, checked; what of it was refused; notices."""
    made = store.in_memory() if desk is None or path.is_dir() else store.undone(desk)
    with made as connection:
        if path.is_dir():
            refused, notices = _import_folder(connection, path)
        else:
            refused, notices = (), _import_one(connection, path)
        store.run_checks(connection)
        yield connection, refused, notices


def _import_one(connection: duckdb.DuckDBPyConnection, path: Path) -> tuple[str, ...]:
    imported = importers.import_files(connection, [path])[0]
    if imported.kind != "statements":
        raise InputError(
            f"{path}: holds {imported.kind}; expected statements, a Screener workbook, an XBRL"
            " filing or a saved moneycontrol page"
        )
    return imported.notices


def _import_folder(
    connection: duckdb.DuckDBPyConnection, folder: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Each file on its own, so that a bad one takes no other with it; tables before documents."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    if not 0 < len(files) <= MOST_FILES:
        raise InputError(f"{folder}: {len(files):,} files; expected 1 to {MOST_FILES:,}")
    refused, notices = list[str](), list[str]()
    for path in sorted(files, key=_is_document):
        try:
            imported = importers.import_files(connection, [path])[0]
        except InputError as error:
            refused.append(str(error))
        else:
            notices += [f"{path.name}: {line}" for line in imported.notices]
    if len(refused) == len(files):
        raise InputError(f"{folder}: no file could be read; the first: {refused[0]}")
    return tuple(refused), tuple(notices)


def _is_document(path: Path) -> bool:
    try:
        return importers.document_reader(path) is not None
    except InputError:  # said when it is imported
        return False


def score(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    company: str | None = None,
    ask: Ask | None = None,
) -> Scored:
    """Score every company of a warehouse, or one.

    Raises:
        InputError: the model needs other features, no such company, or no company can be scored.
    """
    ask = ask or Ask()
    level = level_of(model)
    wanted = None if company is None else _company_id(connection, company)
    with store.one_company(connection, wanted) if wanted else nullcontext():
        materialise(connection)
    rows, gaps = rows_of(connection, level)
    refused = _refused(rows)
    there = ~rows["is_financial"].astype(bool).to_numpy()
    if not there.any():
        raise InputError("; ".join(refused) or _nothing(company))
    rows = rows[there].reset_index(drop=True)
    notices = fill_macro(connection, rows, model)
    rows = rows.assign(**sector_columns(rows["sector"], rows["fiscal_year"]))
    years = _years(model, rows, gaps, ask)
    notices += _sectorless(rows, model) + simulated_notice(model)
    return Scored(_companies(rows, years), refused, notices)


def level_of(model: Model) -> Features:
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


Gaps = dict[tuple[str, int, str], str]


def rows_of(connection: duckdb.DuckDBPyConnection, level: Features) -> tuple[pd.DataFrame, Gaps]:
    """Company-years with their features, and why features of them are missing.

    X1 to X62 alone, and the published scores, are worked out here (`features.arrays`): DuckDB
    takes longer to plan the panel's query than everything else together.
    """
    order = "ORDER BY company_id, fiscal_year"
    query = years_sql() if level == LEVELS[0] else features_sql(features=level)
    rows = connection.execute(f"FROM ({query}) {order}").fetch_df()
    columns = arrays.item_columns(rows)
    made = {"scores": arrays.scores(columns, len(rows))}
    found = list(arrays.score_gaps(made["scores"], columns))
    if level == LEVELS[0]:
        made["ratios"] = arrays.ratios(columns, len(rows))
        found += arrays.ratio_gaps(made["ratios"], columns)
        made["count"] = pd.DataFrame({"n_missing": made["ratios"].isna().sum(axis=1)})
    new = [part[[n for n in part if n not in rows]] for part in made.values()]
    company, year = rows["company_id"].tolist(), rows["fiscal_year"].tolist()
    gaps = {(company[gap.row], year[gap.row], gap.code): gap.reason for gap in found}
    if level != LEVELS[0]:
        told = connection.execute(null_reasons_sql(level)).fetchall()
        gaps |= {(company, int(year), code): reason for company, year, code, reason in told}
    return pd.concat([rows, *new], axis=1), gaps


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


def fill_macro(
    connection: duckdb.DuckDBPyConnection, rows: pd.DataFrame, model: Model
) -> tuple[str, ...]:
    """Give each year its macro values, else those the model was trained with; say what it lacks."""
    found = connection.execute("SELECT series, year, value FROM known_macro").fetchall()
    own = {(series, year): value for series, year, value in found}
    lacking: set[int] = set()
    for place, series in enumerate(MACRO):
        known = {int(y): values[place] for y, values in model.manifest["macro"].items()}
        values = [
            own.get((series.series, year - 1), known.get(year)) for year in rows["fiscal_year"]
        ]
        rows[series.code] = pd.Series(values, rows.index, dtype="float64")
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


def simulated_notice(model: Model) -> tuple[str, ...]:
    """Say that a model has learnt from simulated companies, if it has."""
    if not model.manifest["simulated"]:
        return ()
    return (
        "the model was trained on SIMULATED companies: it shows how the program works and says"
        " nothing about a real company; train on real data before you use it",
    )


def _years(model: Model, rows: pd.DataFrame, gaps: Gaps, ask: Ask) -> list[ScoredYear]:
    """All that is said of each row."""
    given = model.predict_proba(rows)
    told = model.calibrated(given)
    told = given if told is None else told
    sets = None if model.sets is None else model.sets.sets(told.to_numpy())
    opinions = _opinions(model, ask.others, rows, given, told)
    prepared, values = model.columns(rows), model.values(rows)
    missing = _gaps(values.isna(), rows, gaps)
    known = _scores(rows, gaps)
    distances = _Distances(model, prepared, rows["company_id"].tolist())
    closer = _closer(model, rows, prepared, values, distances, ask)
    names = np.array(model.classes, dtype=object)
    return [
        ScoredYear(
            int(row.fiscal_year),
            str(pd.Timestamp(row.fiscal_year_end).date()),
            str(row.basis),
            _by_class(told, at),
            _by_class(given, at),
            str(names[given.to_numpy()[at].argmax()]),
            None if sets is None else tuple(str(name) for name in names[sets[at]]),
            distances.outside(at, values),
            known[at],
            missing[at],
            _needs(missing[at]),
            tuple(row.proxies.split(", ")) if isinstance(row.proxies, str) else (),
            int(row.failed_checks),
            len(RATIOS) - int(row.n_missing),
            *closer.get(at, (None, (), None)),
            opinions[at],
        )
        for at, row in enumerate(_facts(rows))
    ]


def _facts(rows: pd.DataFrame) -> Iterator[Any]:
    return rows[list(ROW_FACTS)].itertuples(index=False)


ROW_FACTS = ("fiscal_year", "fiscal_year_end", "basis", "proxies", "failed_checks", "n_missing")
Closer = tuple[Explanation | None, tuple[Neighbour, ...], Counterfactual | None]


def _by_class(proba: pd.DataFrame, at: int) -> dict[str, float]:
    return dict(zip(map(str, proba.columns), proba.to_numpy()[at].tolist(), strict=True))


def _opinions(
    model: Model,
    others: Sequence[Model],
    rows: pd.DataFrame,
    given: pd.DataFrame,
    told: pd.DataFrame,
) -> list[tuple[Opinion, ...]]:
    """What each model says of each row, the first model first."""
    if not others:
        return [()] * len(rows)
    parts = [(model, given, told)]
    for other in others:
        if other.classes != model.classes:
            raise InputError(f"{other.name}: of other classes than {model.name}")
        proba = other.predict_proba(rows)
        corrected = other.calibrated(proba)
        parts.append((other, proba, proba if corrected is None else corrected))
    return [
        tuple(
            Opinion(one.name, _by_class(told, at), one.classes[int(given.to_numpy()[at].argmax())])
            for one, given, told in parts
        )
        for at in range(len(rows))
    ]


class _Distances:
    """Distances of rows to the training rows; none of a model that keeps no training rows."""

    def __init__(self, model: Model, prepared: Floats, companies: list[str]) -> None:
        self.model, self.prepared, self.companies = model, prepared, companies

    def of(self, at: int) -> Floats | None:
        """Of one row."""
        if self.model.history is None:
            return None
        found = self.model.history.distances(self.prepared[at : at + 1], self.companies[at])
        return np.asarray(found[0])

    def outside(self, at: int, values: pd.DataFrame) -> Outside | None:
        """How far a row lies outside what the model has seen."""
        distances, history = self.of(at), self.model.history
        if distances is None or history is None:
            return None
        low, high = self.model.limits()
        own = values[list(self.model.selected)].to_numpy()[at]
        beyond = np.array(self.model.selected, dtype=object)[(own < low) | (own > high)]
        return Outside(history.percentile(distances), tuple(str(name) for name in beyond))


def _closer(
    model: Model,
    rows: pd.DataFrame,
    prepared: Floats,
    values: pd.DataFrame,
    distances: _Distances,
    ask: Ask,
) -> dict[int, Closer]:
    """Reasons, neighbours and what would have to change, of the rows that are asked about."""
    at = _asked(rows["company_id"], ask)
    if not len(at):
        return {}
    asked = rows.iloc[at]
    sectors = [None if pd.isna(sector) else str(sector) for sector in asked["sector"]]
    why = explain(model, asked, sectors, ask.reasons)
    selected = values[list(model.selected)].to_numpy()
    return {
        row: (why[n], *_compared(model, prepared[row], selected[row], distances.of(row), ask))
        for n, row in enumerate(at.tolist())
    }


def _asked(companies: pd.Series[str], ask: Ask) -> Any:
    """Positions of the rows to explain; rows of a company stand together, oldest first."""
    if ask.explain == "latest":
        return np.flatnonzero(~companies.duplicated(keep="last").to_numpy())
    return np.arange(len(companies) if ask.explain == "all" else 0)


def _compared(
    model: Model, prepared: Floats, values: Floats, distances: Floats | None, ask: Ask
) -> tuple[tuple[Neighbour, ...], Counterfactual | None]:
    if model.history is None or distances is None:
        return (), None
    near = model.history.nearest(distances, model.classes, ask.neighbours)
    proba = np.asarray(model.learner.predict_proba(prepared[None, :]))
    risky = int(proba.argmax()) == risk_class(model)
    return tuple(near), counterfactual(model, prepared, values) if risky else None


def _scores(rows: pd.DataFrame, gaps: Gaps) -> list[tuple[ClassicalScore, ...]]:
    """The published scores of each row."""
    keys = list(zip(rows["company_id"], rows["fiscal_year"], strict=True))
    values = {score.code: rows[score.code].tolist() for score in SCORES}
    return [
        tuple(
            ClassicalScore(score.code, score.title, None, None, gaps.get((*key, score.code)))
            if np.isnan(value := values[score.code][at])
            else ClassicalScore(score.code, score.title, value, zone(score, value), None)
            for score in SCORES
        )
        for at, key in enumerate(keys)
    ]


def _needs(missing: Iterable[Missing]) -> tuple[Need, ...]:
    """The items that gaps are for want of, the one that would fill most first."""
    found: dict[str, list[str]] = {}
    for gap in missing:
        if gap.reason.startswith(LACKING):
            found.setdefault(gap.reason.removeprefix(LACKING), []).append(gap.feature)
    order = sorted(found, key=lambda item: (-len(found[item]), item))
    return tuple(Need(item, tuple(found[item])) for item in order)


def _gaps(absent: pd.DataFrame, rows: pd.DataFrame, reasons: Gaps) -> list[tuple[Missing, ...]]:
    """Of each row the features that are missing, and why."""
    years = zip(rows["company_id"], rows["fiscal_year"], strict=True)
    names = np.array(absent.columns, dtype=object)
    return [
        tuple(Missing(name, _reason(reasons, str(company), int(year), name)) for name in names[gap])
        for (company, year), gap in zip(years, absent.to_numpy(), strict=True)
    ]


def _reason(reasons: Gaps, company: str, year: int, feature: str) -> str:
    found = reasons.get((company, year, feature.removesuffix(RELATIVE)))
    if found is not None:
        return found
    if feature.endswith(RELATIVE):
        return "no median of the sector or the year"
    return "no macro value"


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
