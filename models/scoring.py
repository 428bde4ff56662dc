"""Score companies: the same views and ratios as the panel, then the model, then its reasons."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Literal

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

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
from models.artifact import Model, Prepared
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
from warehouse import formats, importers, store
from warehouse.errors import InputError, UnnamedError
from warehouse.plain import plain_years

FEW_RATIOS = 15  # as the panel's own least: below, a row is scored on little but medians
UNNAMED = "unnamed"  # company of a document that names none
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


def titled(name: str, company_id: str, sector: str | None = None) -> str:
    """A company's name with its id, where that is another, and its sector, where it is known."""
    more = [text for text in (company_id if company_id != name else "", sector) if text]
    return f"{name} ({', '.join(more)})" if more else name


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
            time of making one for a file that needs one. Not for a folder.

    Raises:
        InputError: not such a file, or no company of it can be scored.
    """
    ask = ask or Ask()
    if path.is_dir():
        with folder_warehouse(path) as (connection, refused, notices):
            found = score(connection, model, None, ask)
        return Scored(found.companies, (*refused, *found.refused), (*notices, *found.notices))
    incoming = _statements(path)
    years = plain_years(incoming.table) if level_of(model) == LEVELS[0] else None
    if years is not None:
        found = _score_rows(model, *with_ratios(years), NO_MACRO, ask)
    else:
        with _file_warehouse(incoming, desk) as connection:
            found = score(connection, model, None, ask)
    return Scored(found.companies, found.refused, (*incoming.notices, *found.notices))


def _no_year(incoming: importers.Incoming) -> str:
    """That a file has nothing to score, and what it has."""
    table = incoming.table
    notes = set(table.column("note").to_pylist()) if "note" in table.column_names else set()
    why = "interim figures, of no whole fiscal year" if notes == {"interim"} else "no figures"
    said = f" ({'; '.join(incoming.notices)})" if incoming.notices else ""
    return f"{incoming.path}: nothing to score: {why}{said}"


Notes = tuple[str, ...]


@contextmanager
def files_warehouse(path: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Notes, Notes]]:
    """A file or a folder in a warehouse in memory, checked; what of it was refused; notices."""
    if path.is_dir():
        with folder_warehouse(path) as found:
            yield found
        return
    incoming = _statements(path)
    with _file_warehouse(incoming) as connection:
        yield connection, (), incoming.notices


@contextmanager
def folder_warehouse(folder: Path) -> Iterator[tuple[duckdb.DuckDBPyConnection, Notes, Notes]]:
    """As `files_warehouse`, of a folder."""
    with store.in_memory() as connection:
        refused, notices = _import_folder(connection, folder)
        store.run_checks(connection)
        yield connection, refused, notices


@contextmanager
def _file_warehouse(
    incoming: importers.Incoming, desk: duckdb.DuckDBPyConnection | None = None
) -> Iterator[duckdb.DuckDBPyConnection]:
    with store.in_memory() if desk is None else store.undone(desk) as connection:
        importers.import_incoming(connection, incoming)
        if not store.one_row(connection, "SELECT 1 FROM statements LIMIT 1"):
            raise InputError(_no_year(incoming))
        store.run_checks(connection)
        yield connection


def _statements(path: Path) -> importers.Incoming:
    try:
        incoming = importers.read(path)
    except UnnamedError:  # whose it is says nothing about the score
        incoming = importers.read(path, UNNAMED)
    if incoming.format is not formats.STATEMENTS:
        raise InputError(
            f"{path}: holds {incoming.format.kind}; expected statements, a Screener workbook, an"
            " XBRL filing or a saved moneycontrol page"
        )
    return incoming


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
    level = level_of(model)
    wanted = None if company is None else _company_id(connection, company)
    with store.one_company(connection, wanted) if wanted else nullcontext():
        materialise(connection)
    rows, tell_gaps = rows_of(connection, level)
    if rows.empty:
        raise InputError(_nothing(company))
    return _score_rows(model, rows, tell_gaps, macro_of(connection), ask or Ask())


def _score_rows(
    model: Model, rows: pd.DataFrame, tell_gaps: TellGaps, macro: Macro, ask: Ask
) -> Scored:
    """Score rows with their features."""
    refused: tuple[str, ...] = ()
    financial, empty = rows["is_financial"].to_numpy(dtype=bool), ~some_ratio(rows)
    if (financial | empty).any():
        refused = (*_refused(rows[financial]), *_without_ratios(rows[empty & ~financial]))
        rows = rows[~financial & ~empty].reset_index(drop=True)
    if rows.empty:
        raise InputError("; ".join(refused))
    rows, notices = completed(rows, macro, model)
    years = _years(model, rows, tell_gaps(), ask)
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
TellGaps = Callable[[], Gaps]
Macro = dict[tuple[str, int], float | None]
NO_MACRO: Macro = {}
_NO_VALUES = (None,) * len(MACRO)


def rows_of(
    connection: duckdb.DuckDBPyConnection, level: Features
) -> tuple[pd.DataFrame, TellGaps]:
    """Company-years with their features, and what tells why features of them are missing.

    X1 to X62 alone, and the published scores, are worked out here (`features.arrays`): DuckDB
    takes longer to plan the panel's query than everything else together.
    """
    order = "ORDER BY company_id, fiscal_year"
    if level == LEVELS[0]:
        return with_ratios(connection.execute(f"FROM ({years_sql()}) {order}").fetch_df())
    rows = connection.execute(f"FROM ({features_sql(features=level)}) {order}").fetch_df()
    columns = arrays.item_columns(rows)
    scores = arrays.scores(columns, len(rows))

    def tell_gaps() -> Gaps:
        gaps = _gaps_of(rows, arrays.score_gaps(scores, columns))
        told = connection.execute(null_reasons_sql(level)).fetchall()
        return gaps | {(company, int(year), code): reason for company, year, code, reason in told}

    return pd.concat([rows, scores[[n for n in scores if n not in rows]]], axis=1), tell_gaps


def with_ratios(years: pd.DataFrame) -> tuple[pd.DataFrame, TellGaps]:
    """Company-years with X1 to X62 and the published scores, and what tells why some lack."""
    columns = arrays.item_columns(years)
    ratios, scores = arrays.ratios(columns, len(years)), arrays.scores(columns, len(years))
    missing = ratios.isna().sum(axis=1).rename("n_missing")

    def tell_gaps() -> Gaps:
        found = (*arrays.ratio_gaps(ratios, columns), *arrays.score_gaps(scores, columns))
        return _gaps_of(years, found)

    return pd.concat([years, ratios, scores, missing], axis=1), tell_gaps


def _gaps_of(years: pd.DataFrame, found: Iterable[arrays.Gap]) -> Gaps:
    company, year = years["company_id"].tolist(), years["fiscal_year"].tolist()
    return {(company[gap.row], year[gap.row], gap.code): gap.reason for gap in found}


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


FINANCIAL = (
    "a bank, NBFC or insurer: its statements have no current assets or inventories, and the model"
    " has learnt from none"
)


def _refused(banks: pd.DataFrame) -> tuple[str, ...]:
    """Banks, NBFCs and insurers: what a model of other companies says of them means nothing."""
    named = banks["company_id"].drop_duplicates()
    return tuple(f"{name}: {FINANCIAL}; not scored" for name in named)


def some_ratio(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """Rows of which a ratio can be computed."""
    return rows["n_missing"].to_numpy(dtype=np.int64) < len(RATIOS)


def _without_ratios(empty: pd.DataFrame) -> tuple[str, ...]:
    """Years of which a model knows nothing: medians of other companies would decide."""
    told = zip(empty["company_id"].tolist(), empty["fiscal_year"].tolist(), strict=True)
    return tuple(
        f"{company}, fiscal year {year}: none of the {len(RATIOS)} ratios can be computed;"
        " not scored"
        for company, year in told
    )


def macro_of(connection: duckdb.DuckDBPyConnection) -> Macro:
    """The macro values of a warehouse by series and calendar year."""
    found = connection.execute("SELECT series, year, value FROM known_macro").fetchall()
    return {(series, year): value for series, year, value in found}


def completed(rows: pd.DataFrame, own: Macro, model: Model) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Rows with their macro values and the keys of sector and year; what is lacking of the former.

    Macro values are those of the year, else those that the model was trained with.
    """
    years = rows["fiscal_year"].tolist()
    known = {year: model.manifest["macro"].get(str(year)) or _NO_VALUES for year in years}
    columns: dict[str, Floats] = {}
    lacking: set[int] = set()
    for place, series in enumerate(MACRO):
        found = [own.get((series.series, year - 1), known[year][place]) for year in years]
        columns[series.code] = np.array(found, dtype=np.float64)  # NaN for None
        if series.code in model.features:
            gaps = np.isnan(columns[series.code])
            lacking |= {year for year, gap in zip(years, gaps, strict=True) if gap}
    columns |= sector_columns(rows["sector"], years)
    table = pd.DataFrame(np.column_stack(list(columns.values())), rows.index, list(columns))
    whole = pd.concat([rows.drop(columns=list(columns), errors="ignore"), table], axis=1)
    if not lacking:
        return whole, ()
    said = ", ".join(map(str, sorted(lacking)))
    return whole, (f"macro values missing for {said}: the training median stands in for them",)


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
    prepared = model.prepared(rows)
    given = model.given(prepared.columns)
    told = model.told(given)
    sets = None if model.sets is None else model.sets.sets(told)
    opinions = _opinions(model, ask.others, rows, given, told)
    missing = _gaps(model, prepared, rows, gaps)
    known = _scores(rows, gaps)
    closer = _closer(model, rows, prepared, given, ask)
    names = np.array(model.classes, dtype=object)
    facts = zip(*(rows[name].tolist() for name in ROW_FACTS), strict=True)
    return [
        ScoredYear(
            int(year),
            str(pd.Timestamp(end).date()),
            str(basis),
            _by_class(model, told[at]),
            _by_class(model, given[at]),
            str(names[given[at].argmax()]),
            None if sets is None else tuple(str(name) for name in names[sets[at]]),
            closer[at].outside,
            known[at],
            missing[at],
            _needs(missing[at]),
            tuple(proxies.split(", ")) if isinstance(proxies, str) else (),
            int(failed),
            len(RATIOS) - int(n_missing),
            closer[at].explanation,
            closer[at].neighbours,
            closer[at].counterfactual,
            opinions[at],
        )
        for at, (year, end, basis, proxies, failed, n_missing) in enumerate(facts)
    ]


ROW_FACTS = ("fiscal_year", "fiscal_year_end", "basis", "proxies", "failed_checks", "n_missing")


@dataclass(frozen=True)
class _Closer:
    """What is said of a year beside the training rows; as in `ScoredYear`."""

    outside: Outside | None
    explanation: Explanation | None = None
    neighbours: tuple[Neighbour, ...] = ()
    counterfactual: Counterfactual | None = None


def _by_class(model: Model, proba: Floats) -> dict[str, float]:
    return dict(zip(model.classes, proba.tolist(), strict=True))


def _opinions(
    model: Model, others: Sequence[Model], rows: pd.DataFrame, given: Floats, told: Floats
) -> list[tuple[Opinion, ...]]:
    """What each model says of each row, the first model first."""
    if not others:
        return [()] * len(rows)
    parts = [(model, given, told)]
    for other in others:
        if other.classes != model.classes:
            raise InputError(f"{other.name}: of other classes than {model.name}")
        proba = other.given(other.columns(rows))
        parts.append((other, proba, other.told(proba)))
    return [
        tuple(
            Opinion(one.name, _by_class(one, told[at]), one.classes[int(given[at].argmax())])
            for one, given, told in parts
        )
        for at in range(len(rows))
    ]


def _closer(
    model: Model, rows: pd.DataFrame, prepared: Prepared, given: Floats, ask: Ask
) -> list[_Closer]:
    """How far outside each row lies; of those asked about, reasons, neighbours, what would help."""
    asked = _asked(rows["company_id"], ask)
    sectors = [None if pd.isna(name) else str(name) for name in rows["sector"].iloc[asked]]
    part = Prepared(prepared.values[asked], prepared.absent[asked], prepared.columns[asked])
    told = explain(model, part, sectors, ask.reasons) if asked else []
    why = dict(zip(asked, told, strict=True))
    return [
        _Closer(None, why.get(at))
        if apart is None
        else _beside(model, prepared, given, at, apart, why.get(at), ask)
        for at, apart in enumerate(_apart(model, rows["company_id"], prepared))
    ]


def _apart(model: Model, companies: pd.Series[str], prepared: Prepared) -> Iterator[Floats | None]:
    """Distances of each row to the training rows; None of a model that keeps none."""
    for company, own in groupby(enumerate(companies.tolist()), key=itemgetter(1)):
        at = [place for place, _ in own]
        if model.history is None:
            yield from [None] * len(at)
        else:
            yield from model.history.distances(prepared.columns[at], company)


def _beside(
    model: Model,
    prepared: Prepared,
    given: Floats,
    at: int,
    apart: Floats,
    why: Explanation | None,
    ask: Ask,
) -> _Closer:
    """A row beside the training rows."""
    assert model.history is not None  # noqa: S101 - there are distances
    own, (low, high) = prepared.values[at], model.limits()
    beyond = [model.selected[place] for place in np.flatnonzero((own < low) | (own > high))]
    outside = Outside(model.history.percentile(apart), tuple(beyond))
    if why is None:
        return _Closer(outside)
    near = tuple(model.history.nearest(apart, model.classes, ask.neighbours))
    risky = int(given[at].argmax()) == risk_class(model)
    way = counterfactual(model, prepared.columns[at], own) if risky else None
    return _Closer(outside, why, near, way)


def _asked(companies: pd.Series[str], ask: Ask) -> list[int]:
    """Positions of the rows to explain; rows of a company stand together, oldest first."""
    if ask.explain == "latest":
        latest = np.flatnonzero(~companies.duplicated(keep="last").to_numpy())
        return [int(at) for at in latest]
    return list(range(len(companies))) if ask.explain == "all" else []


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


def _gaps(
    model: Model, prepared: Prepared, rows: pd.DataFrame, reasons: Gaps
) -> list[tuple[Missing, ...]]:
    """Of each row the features that are missing, and why."""
    years = zip(rows["company_id"].tolist(), rows["fiscal_year"].tolist(), strict=True)
    names = np.array(model.features, dtype=object)
    return [
        tuple(Missing(name, _reason(reasons, company, year, name)) for name in names[gap])
        for (company, year), gap in zip(years, prepared.absent, strict=True)
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
