"""The answer of a score as data: what `--format json` and the service give, one versioned schema.

docs/score.schema.json is generated from these classes. A field that is added keeps the version; one
that goes, or means something else, raises it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any

from models.artifact import Model
from models.counterfactual import Counterfactual
from models.explain import Reason, feature_name, risk_class, risk_words
from models.history import Neighbour, Outside
from models.scoring import (
    ClassicalScore,
    Missing,
    Need,
    Opinion,
    Scored,
    ScoredCompany,
    ScoredYear,
)

SCHEMA = "insolvency-radar/score/2"


@dataclass(frozen=True)
class ModelFacts:
    """The model that answers.

    Attributes:
        learner: name of its learner.
        selector: name of the selection of its features.
        simulated: whether it was trained on simulated companies.
        calibrated: whether `probabilities` are, else they are `as_given`.
        coverage: of prediction sets, None without them.
        label_rule: what the classes mean.
        data_hash: of the panel that it was trained on.
        seed: of the training run.
    """

    learner: str
    selector: str
    simulated: bool
    calibrated: bool
    coverage: float | None
    label_rule: str
    data_hash: str
    seed: int


@dataclass(frozen=True)
class AnswerMissing(Missing):
    """A feature that could not be computed.

    Attributes:
        feature: its code.
        reason: why.
        name: its name in words.
    """

    name: str


@dataclass(frozen=True)
class AnswerReason(Reason):
    """A feature's share in the probability of the risk class.

    Attributes:
        text: the same as a sentence.
    """

    text: str


@dataclass(frozen=True)
class AnswerNeighbour(Neighbour):
    """A training company-year that looks like the one asked about.

    Attributes:
        fate_text: what became of the company, in words.
    """

    fate_text: str


@dataclass(frozen=True)
class AnswerCounterfactual(Counterfactual):
    """What would have to change to leave the risk class.

    Attributes:
        text: the same as a sentence.
    """

    text: str


@dataclass(frozen=True)
class AnswerExplanation:
    """The probability of the risk class taken apart.

    Attributes:
        base: probability of the average training company.
        reasons: the largest shares, largest first.
        rest: sum of all other shares; with `base` and those of the reasons it is the probability.
    """

    base: float
    reasons: tuple[AnswerReason, ...]
    rest: float


@dataclass(frozen=True)
class AnswerYear:
    """What is said of a fiscal year.

    Attributes:
        fiscal_year: calendar year of its end.
        fiscal_year_end: its last day.
        basis: consolidated, standalone or unstated accounts.
        agreement: share of the models asked that predict the same; null of one model.
        few_ratios: whether the training medians decide more than the company does.
        failed_checks: data checks that failed for the year.
        explanation: null where the year was not asked for.
        neighbours: nearest training companies; empty where the year was not asked for.
        counterfactual: null where the year was not asked for, is not of the risk class, or nothing
            plausible takes it out.
    """

    fiscal_year: int
    fiscal_year_end: str
    basis: str
    probabilities: dict[str, float]
    as_given: dict[str, float]
    prediction: str
    prediction_set: tuple[str, ...] | None
    agreement: float | None
    opinions: tuple[Opinion, ...]
    outside: Outside | None
    ratios: int
    few_ratios: bool
    missing: tuple[AnswerMissing, ...]
    needs: tuple[Need, ...]
    proxies: tuple[str, ...]
    failed_checks: int
    scores: tuple[ClassicalScore, ...]
    explanation: AnswerExplanation | None
    neighbours: tuple[AnswerNeighbour, ...]
    counterfactual: AnswerCounterfactual | None


@dataclass(frozen=True)
class AnswerCompany:
    """A company.

    Attributes:
        company_id: its id.
        company_name: its name, or its id.
        sector: as the companies file has it.
        years: oldest first.
    """

    company_id: str
    company_name: str
    sector: str | None
    years: tuple[AnswerYear, ...]


@dataclass(frozen=True)
class Answer:
    """The whole answer.

    Attributes:
        schema: `insolvency-radar/score/2`.
        model: by which.
        classes: in the order of tables.
        risk_class: the class whose probability is explained.
        risk: that probability in words.
        companies: those scored.
        refused: a line for each company or file that was not, with the reason.
        notices: lines that a user should read.
    """

    schema: str
    model: ModelFacts
    classes: tuple[str, ...]
    risk_class: str
    risk: str
    companies: tuple[AnswerCompany, ...]
    refused: tuple[str, ...]
    notices: tuple[str, ...]


def answer(scored: Scored, model: Model) -> Answer:
    """What was found, as data."""
    manifest = model.manifest
    facts = ModelFacts(
        manifest["learner"],
        manifest["selector"],
        manifest["simulated"],
        model.calibration is not None,
        None if model.sets is None else model.sets.coverage,
        manifest["label_rule"],
        manifest["data_hash"],
        manifest["seed"],
    )
    risk = model.classes[risk_class(model)]
    return Answer(
        SCHEMA,
        facts,
        model.classes,
        risk,
        risk_words(model),
        tuple(_company(company, risk) for company in scored.companies),
        scored.refused,
        scored.notices,
    )


def _company(company: ScoredCompany, risk: str) -> AnswerCompany:
    years = tuple(_year(year, risk) for year in company.years)
    return AnswerCompany(company.company_id, company.company_name, company.sector, years)


def _plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, their values as they are."""
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _year(year: ScoredYear, risk: str) -> AnswerYear:
    why, change = year.explanation, year.counterfactual
    made: dict[str, Any] = {
        "agreement": year.agreement,
        "few_ratios": year.few_ratios,
        "missing": tuple(
            AnswerMissing(**_plain(gap), name=feature_name(gap.feature)) for gap in year.missing
        ),
        "explanation": why
        and AnswerExplanation(
            why.base,
            tuple(AnswerReason(**_plain(one), text=one.words()) for one in why.reasons),
            why.rest,
        ),
        "neighbours": tuple(
            AnswerNeighbour(**_plain(one), fate_text=one.fate(risk)) for one in year.neighbours
        ),
        "counterfactual": change and AnswerCounterfactual(**_plain(change), text=change.words()),
    }
    return AnswerYear(**{**_plain(year), **made})


def as_json(scored: Scored, model: Model) -> str:
    """The answer as JSON."""
    told = asdict(answer(scored, model))
    return json.dumps(told, indent=1, ensure_ascii=False, allow_nan=False)
