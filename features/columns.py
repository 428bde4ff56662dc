"""Every column of the panel: what it is, its unit, and whether a model may learn from it."""

from __future__ import annotations

from features.labels import CLASSES, HORIZONS, REASONS
from features.macro import MACRO
from features.ratios import RATIOS
from features.scores import SCORES
from features.trends import TRENDS
from warehouse.dictionary import CRORE, Column
from warehouse.formats import BASES


def _key() -> tuple[Column, ...]:
    return (
        Column(
            "company_id", "string", "our name of the company: its NSE symbol where it has one",
            role="key",
        ),
        Column("company_name", "string", "name", role="metadata"),
        Column(
            "fiscal_year", "integer", "calendar year in which the fiscal year ends", role="key"
        ),
        Column("fiscal_year_end", "date", "its last day", role="metadata", required=True),
        Column(
            "available_from", "date",
            "day from which the row may be used: the latest filing of what it rests on, the year"
            " before included; 60 days after the year end where none is known",
            role="metadata", required=True,
        ),
    )  # fmt: skip


def _labels() -> tuple[Column, ...]:
    return (
        Column(
            "label", "string", "class of the year: labels.md", role="label", required=True,
            choices=CLASSES,
        ),
        Column(
            "label_known_from", "date", "day from which the label is known; missing where it rests"
            " on no event", role="metadata",
        ),
        Column(
            "label_reason", "string", "what made the label", role="metadata", required=True,
            choices=tuple(reason.name for reason in REASONS),
        ),
        Column(
            "post_event", "boolean", "whether the year ended after the company's first admission",
            role="metadata", required=True,
        ),
        *(column for years in HORIZONS for column in _horizon(years)),
        Column(
            "member_list", "date", "list of the index that makes the year healthy; missing unless"
            " the rule asks for the list in force", role="metadata",
        ),
    )  # fmt: skip


def _horizon(years: int) -> tuple[Column, ...]:
    name = f"fails_within_{years}y"
    within = f"{years} year" + "s" * (years > 1)
    return (
        Column(
            name, "boolean", f"whether the company is admitted within {within} after"
            " available_from; missing where it was before, or where that is not yet observed",
            role="label",
        ),
        Column(
            f"{name}_known_from", "date", "day from which that is known; missing where it is not",
            role="metadata",
        ),
    )  # fmt: skip


def _company() -> tuple[Column, ...]:
    return (
        Column("sector", "string", "industry of the list that names the company", role="metadata"),
        Column(
            "state", "string", "state of the registered office, from the CIN", role="metadata"
        ),
        Column("industry", "string", "broad industry, from the CIN", role="metadata"),
    )  # fmt: skip


def _statement() -> tuple[Column, ...]:
    return (
        Column(
            "basis", "string", "whether the accounts are the group's or the company's alone",
            role="metadata", required=True, choices=BASES,
        ),
        Column(
            "source", "string", "where most of the year's items were taken from", role="metadata",
            required=True,
        ),
        Column("months", "integer", "length of the period", "months", "metadata", True),
        Column("total_assets", "number", "total of the assets side", CRORE, "metadata"),
        Column(
            "proxies", "string", "items of the year that are estimates; missing if none is",
            role="metadata",
        ),
        Column(
            "failed_checks", "integer", "data checks of severity error that the year fails",
            role="metadata", required=True,
        ),
        Column(
            "simulated", "boolean", "whether the company is made up", role="metadata",
            required=True,
        ),
    )  # fmt: skip


def _features() -> tuple[Column, ...]:
    return (
        *(
            Column(r.code, "number", f"{r.name}: {r.printed}", "ratio", "feature")
            for r in RATIOS
        ),
        *(Column(m.code, "number", m.name, "per cent", "feature") for m in MACRO),
        *(
            Column(f"{r.code}_{t.suffix}", "number", f"{r.name}: {t.title}", "ratio", "feature")
            for r in RATIOS
            for t in TRENDS
        ),
        *(
            Column(s.code, "number", f"{s.title}: scores.md", "score", "feature")
            for s in SCORES
        ),
        Column(
            "company_age", "number", "fiscal year less the year of incorporation, from the CIN",
            "years", "feature",
        ),
    )  # fmt: skip


def _counts() -> tuple[Column, ...]:
    return (
        Column(
            "n_missing", "integer", f"ratios of {RATIOS[0].code} to {RATIOS[-1].code} that are"
            " missing", role="metadata", required=True,
        ),
        Column(
            "n_negative_denominators", "integer", "ratios with a negative denominator",
            role="metadata", required=True,
        ),
    )  # fmt: skip


# All columns that any panel has, in order; a panel has those that its rule asks for.
COLUMNS: tuple[Column, ...] = (
    *_key(), *_labels(), *_company(), *_statement(), *_features(), *_counts(),
)  # fmt: skip

_names = [column.name for column in COLUMNS]
if len(_names) != len(set(_names)):
    raise ValueError("a column of the panel is described twice")
