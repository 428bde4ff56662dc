"""Scores for the page: of a company of the warehouse, or of a file that a user dropped on it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pandas as pd

from features.ratios import RATIOS
from models import artifact
from models.artifact import Model
from models.explain import feature_name, risk_class
from models.scoring import Ask, Scored, ScoredCompany, ScoredYear, files_warehouse, score
from reports import style
from reports.app_data import MOST_YEARS, History, companies_in, history
from warehouse.errors import InputError, printable

UPLOADED = "uploaded"
MOST_COMPANIES = 200
LONGEST_NAME = 60
MOST_NAMED = 8


@dataclass(frozen=True)
class Shown:
    """What a file holds: histories and scores of the same companies, and lines to read."""

    histories: tuple[History, ...]
    scored: Scored

    def score_of(self, company_id: str) -> ScoredCompany | None:
        """The scores of a company; None for one that was refused."""
        return next((c for c in self.scored.companies if c.company_id == company_id), None)


def newest_model(runs: Path) -> Path | None:
    """Model folder of the newest run that has one; None where nothing was trained."""
    return artifact.newest(runs)


def load_models(folder: Path) -> tuple[Model, tuple[Model, ...]]:
    """A saved model and those kept beside it, all checked; see `models.artifact.load`."""
    return artifact.load(folder), artifact.load_others(folder)


def scored_company(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    company_id: str,
    others: tuple[Model, ...] = (),
) -> tuple[ScoredCompany | None, tuple[str, ...]]:
    """The scores of a company of the warehouse and lines to read; None where it has none."""
    try:
        answer = score(connection, model, company_id, Ask(others=others))
    except InputError as error:
        return None, (str(error),)
    return next(iter(answer.companies), None), (*answer.notices, *answer.refused)


def score_bytes(
    content: bytes, name: str, model: Model, most_mb: int, others: tuple[Model, ...] = ()
) -> Shown:
    """Score a file that came over the network.

    It is written under a fixed name into a folder of its own, which only this user can read and
    which is gone when this returns. Its own name is shown in messages and used for nothing else.

    Raises:
        InputError: too large, of no known format, or bad; one line that calls it by its name.
    """
    said = style.short(printable(name), LONGEST_NAME)
    if len(content) > most_mb * 2**20:
        raise InputError(f"{said}: larger than the {most_mb} MB that are read here")
    with TemporaryDirectory(prefix="reports-upload-") as folder:
        path = Path(folder) / UPLOADED
        path.write_bytes(content)
        try:
            return _score_file(path, model, others)
        except InputError as error:
            raise InputError(str(error).replace(str(path), said)) from None


def _score_file(path: Path, model: Model, others: tuple[Model, ...]) -> Shown:
    """The one place that says how a file is scored.

    Every year is explained of a file of one company, the latest of each of several.
    """
    with files_warehouse(path) as (connection, refused, notices):
        ids = companies_in(connection)
        if len(ids) > MOST_COMPANIES:
            raise InputError(
                f"{path}: holds {len(ids):,} companies; up to {MOST_COMPANIES} are scored here,"
                " more by python -m models.score"
            )
        ask = Ask(explain="all" if len(ids) == 1 else "latest", others=others)
        answer = score(connection, model, None, ask)
        histories = tuple(history(connection, company) for company in ids)
    said = Scored(answer.companies, (*refused, *answer.refused), (*notices, *answer.notices))
    return Shown(histories, said)


def last_years(company: ScoredCompany) -> tuple[ScoredYear, ...]:
    """The last ten scored years, oldest first."""
    return company.years[-MOST_YEARS:]


def probability_note(model: Model) -> str:
    """What kind of probabilities are shown."""
    if model.calibration is not None:
        return (
            "Probabilities are calibrated to how frequent the classes are. The prediction is by the"
            " model as it was trained, with all classes equally frequent, so that it warns before"
            " bankruptcy is the likeliest of all."
        )
    return (
        "Probabilities are as the model gives them, which lifts the rare classes: compare companies"
        " by them, do not read them as default rates."
    )


def probabilities(company: ScoredCompany, classes: Iterable[str]) -> pd.DataFrame:
    """Of each of the last ten years and class the probability, for a chart."""
    return pd.DataFrame(
        [
            (pd.Timestamp(year.fiscal_year_end), name, year.probabilities[name])
            for year in last_years(company)
            for name in classes
        ],
        columns=["fiscal_year_end", "class", "probability"],
    )


def years_table(
    company: ScoredCompany | None, past: History, classes: tuple[str, ...]
) -> pd.DataFrame:
    """One row a year, the newest first: label, prediction, probabilities, and what they rest on."""
    said = {} if company is None else {year.fiscal_year: year for year in company.years}
    labels = dict(zip(past.labels["fiscal_year"], past.labels["label"], strict=True))
    rows = []
    for row in past.ratios.iloc[::-1].to_dict("records"):
        year = said.get(int(row["fiscal_year"]))
        cells: dict[str, Any] = {"Year end": pd.Timestamp(row["fiscal_year_end"]).date()}
        if not past.labels.empty:
            cells["Label"] = labels.get(row["fiscal_year"], "–")
        if company is not None:
            cells |= _said(year, classes)
        cells |= {"Ratios of 62": len(RATIOS) - int(row["n_missing"])}
        cells |= {"Basis": row["basis"], "Source": row["source"]}
        rows.append(cells)
    return pd.DataFrame(rows)


def _said(year: ScoredYear | None, classes: tuple[str, ...]) -> dict[str, Any]:
    if year is None:
        return {"Prediction": "–"} | dict.fromkeys(classes)
    cells: dict[str, Any] = {"Prediction": year.prediction}
    cells |= {name: 100 * year.probabilities[name] for name in classes}
    if year.prediction_set is not None:
        cells["Not ruled out"] = ", ".join(year.prediction_set) or "none fits"
    cells["Failed checks"] = year.failed_checks
    return cells


def reason_lines(year: ScoredYear) -> list[str]:
    """The largest reasons as sentences, and what they add up to."""
    why = year.explanation
    if why is None:
        return []
    rest = f"all other features together: {100 * why.rest:+z.1f} points"
    total = f"{100 * why.base:.1f} % for the average company, {100 * why.probability:.1f} % here"
    return [*(reason.words() for reason in why.reasons), rest, total]


def context_lines(year: ScoredYear) -> list[str]:
    """How far the year is from what the model knows, what would change it, what it would need."""
    lines = []
    if year.outside is not None:
        far = f"Further from its nearest companies than {year.outside.percentile:.0f} % of"
        lines.append(f"{far} the training years are from theirs.")
        if year.outside.beyond:
            named = ", ".join(feature_name(code) for code in year.outside.beyond[:MOST_NAMED])
            lines.append(f"Beyond nearly all of what the model has seen: {named}.")
    if year.counterfactual is not None:
        lines.append(f"What the model answers to: {year.counterfactual.words()}.")
    if year.needs:
        most = ", ".join(need.item.replace("_", " ") for need in year.needs[:MOST_NAMED])
        lines.append(f"Items that would let more be computed: {most}.")
    if year.proxies:
        lines.append(f"Estimated from broader lines: {', '.join(year.proxies).replace('_', ' ')}.")
    return lines


def neighbours_table(year: ScoredYear, model: Model) -> pd.DataFrame:
    """The nearest companies that the model has learnt from, and what became of them."""
    risk = model.classes[risk_class(model)]
    rows = [
        (one.company_name, one.fiscal_year, one.label, one.fate(risk), one.distance)
        for one in year.neighbours
    ]
    return pd.DataFrame(rows, columns=["Company", "Year", "Class", "Fate", "Distance"])


def scores_table(year: ScoredYear) -> pd.DataFrame:
    """Published scores of the year and what their authors call such a company."""
    rows = [(one.title, one.value, one.zone or "–", one.reason or "") for one in year.scores]
    return pd.DataFrame(rows, columns=["Score", "Value", "Zone", "Why there is none"])


def opinions_table(year: ScoredYear) -> pd.DataFrame:
    """What each model says of the year; probabilities in per cent."""
    rows = [
        {"Model": one.model, "Prediction": one.prediction}
        | {name: 100 * chance for name, chance in one.probabilities.items()}
        for one in year.opinions
    ]
    return pd.DataFrame(rows)


def missing_table(year: ScoredYear) -> pd.DataFrame:
    """What could not be computed, by reason: the most frequent first."""
    by_reason: dict[str, list[str]] = {}
    for gap in year.missing:
        by_reason.setdefault(gap.reason, []).append(f"{gap.feature} {feature_name(gap.feature)}")
    rows = [(why, len(names), ", ".join(names)) for why, names in by_reason.items()]
    rows.sort(key=lambda row: -row[1])
    return pd.DataFrame(rows, columns=["Why", "Features", "Which"])


def strip(company: ScoredCompany, past: History, classes: tuple[str, ...]) -> pd.DataFrame:
    """Of each of the last ten years its label, if any, and the prediction, for a chart."""
    ends = dict(zip(past.ratios["fiscal_year"], past.ratios["fiscal_year_end"], strict=True))
    labels = [
        (pd.Timestamp(ends[year]), "label", label)
        for year, label in zip(past.labels["fiscal_year"], past.labels["label"], strict=True)
        if year in ends and label in classes
    ]
    said = [
        (pd.Timestamp(year.fiscal_year_end), "prediction", year.prediction)
        for year in last_years(company)
    ]
    return pd.DataFrame(labels + said, columns=["fiscal_year_end", "row", "class"])
