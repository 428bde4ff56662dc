"""`python -m models.score`: a company's probabilities year by year, and the reasons."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from io import StringIO
from pathlib import Path
from typing import Any

import click
import jinja2
import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from models import artifact
from models.artifact import Model
from models.explain import feature_name, risk_class, risk_words, unit
from models.scoring import SCHEMA, Scored, ScoredCompany, ScoredYear, file_warehouse, score
from warehouse import store
from warehouse.console import console
from warehouse.errors import InputError, exits_with_2, printable
from warehouse.exports import csv_safe
from warehouse.files import write_whole

MOST_CODES = 62  # listed for one reason: all ratios, and no more of what is made of them

EPILOG = """\b
Examples:
  python -m models.score statements.csv
  python -m models.score "Company Ltd.xlsx" --model data/runs/2026-01-31T120000Z/model
  python -m models.score --company TATASTEEL --format json --out tatasteel.json

\b
Exit codes: 0 done, 1 done but some companies were refused (named), 2 wrong use or bad input.
"""


@click.command(epilog=EPILOG)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--company", help="Company of the warehouse: its id, symbol, ISIN, CIN or name.")
@click.option("--db", type=click.Path(path_type=Path), help="Warehouse of --company.")
@click.option("--model", "folder", type=click.Path(path_type=Path), help="[the newest run's]")
@click.option(
    "--format", "form", type=click.Choice(["table", "json", "csv", "html"]), default="table",
    show_default=True,
)  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path), help="File to write instead of printing.")
@exits_with_2
def main(
    file: Path | None,
    company: str | None,
    db: Path | None,
    folder: Path | None,
    form: str,
    out: Path | None,
) -> None:
    """Score a statements file, a Screener workbook or a company of the warehouse."""
    if (file is None) == (company is None):
        raise InputError("name a FILE or a --company, and not both")
    if file is not None and db is not None:
        raise InputError("--db is the warehouse of --company; a FILE needs none")
    model = artifact.load(folder or newest_model())
    if file is not None:
        with file_warehouse(file) as (connection, said):
            scored = score(connection, model)
    else:
        with store.connect(db, read_only=True) as connection:
            scored, said = score(connection, model, company), ()
    for line in (*said, *scored.notices, *scored.refused):
        print(f"note: {printable(line)}", file=sys.stderr)
    _write(FORMATS[form](scored, model), out)
    if scored.refused:
        raise SystemExit(1)


def newest_model() -> Path:
    """Model folder of the newest training run.

    Raises:
        InputError: nothing was trained yet.
    """
    runs = store.data_dir() / "runs"
    # A hidden folder is a run that has not ended.
    found = sorted(runs.glob("[!.]*/model/model.json")) if runs.is_dir() else []
    if not found:
        raise InputError(
            f"no trained model under {runs}; train one with: python -m models.train,"
            " or name one with --model"
        )
    return max(found, key=lambda path: path.stat().st_mtime).parent


def _write(text: str | Group, out: Path | None) -> None:
    """Print, or write the file whole or not at all."""
    if out is None:
        console().print(text) if isinstance(text, Group) else print(text)
        return
    write_whole(out, lambda draft: draft.write_text(_plain(text) + "\n", encoding="utf-8"))


def _plain(text: str | Group) -> str:
    """Tables as text of the width of a log, whatever the terminal is."""
    if isinstance(text, str):
        return text
    page = StringIO()
    console(file=page).print(text)
    return "\n".join(line.rstrip() for line in page.getvalue().splitlines())


def as_table(scored: Scored, model: Model) -> Group:
    """Tables for a terminal: years by classes, then the reasons for the latest year."""
    parts: list[Table | Text] = []
    for company in scored.companies:
        parts += [_years_table(company, model), _reasons_table(company, model), _gaps(company)]
    return Group(*parts)


def _years_table(company: ScoredCompany, model: Model) -> Table:
    sector = f", {company.sector}" if company.sector else ""
    mark = "SIMULATED model · " if model.manifest["simulated"] else ""
    title = printable(f"{mark}{company.company_name} ({company.company_id}{sector})")
    view = Table(title=Text(title), title_justify="left")
    view.add_column("year end", no_wrap=True)
    for name in model.classes:
        view.add_column(name, justify="right", no_wrap=True)
    view.add_column("prediction", no_wrap=True)
    view.add_column("rests on")
    for year in company.years:
        cells = [f"{year.probabilities[name]:.3f}" for name in model.classes]
        view.add_row(year.fiscal_year_end, *cells, year.prediction, _rests_on(year))
    return view


def _rests_on(year: ScoredYear) -> str:
    """Ratios computed, and what speaks against them."""
    few = " (few)" if year.few_ratios else ""
    words = [f"{year.ratios} of 62 ratios{few}"]
    for count, thing in (
        (len(year.proxies), "estimated item"),
        (year.failed_checks, "failed check"),
    ):
        words += [f"{count} {thing}{'' if count == 1 else 's'}"] if count else []
    return ", ".join(words)


def _reasons_table(company: ScoredCompany, model: Model) -> Table:
    latest = company.years[-1]
    view = Table(
        "", "ratio", title=f"Largest reasons, {latest.fiscal_year_end}", title_justify="left"
    )
    for heading in ("value", "median", "SHAP"):
        view.add_column(heading, justify="right", no_wrap=True)
    view.add_column(risk_words(model))
    for reason in latest.reasons:
        value = "missing" if reason.value is None else f"{reason.value:,.3f}"
        median = "-" if reason.median is None else f"{reason.median:,.3f}"
        way = "raises" if reason.contribution > 0 else "lowers"
        cells = (value, median, f"{reason.contribution:+.3f}", way)
        view.add_row(reason.feature, reason.name, *cells)
    view.caption = _caption(latest, model)
    view.caption_justify = "left"
    return view


def _caption(year: ScoredYear, model: Model) -> str:
    """Whose medians stand in the table of reasons, and what the SHAP values are."""
    whose = next((reason.sector for reason in year.reasons if reason.sector), None)
    return f"Medians: {whose or 'all training companies'}; SHAP values in {unit(model)}"


def _gaps(company: ScoredCompany) -> Text:
    """What was missing in the latest year, by reason."""
    by_reason: dict[str, list[str]] = {}
    for gap in company.years[-1].missing:
        by_reason.setdefault(gap.reason, []).append(gap.feature)
    lines = [f"  {reason}: {_listed(codes)}" for reason, codes in by_reason.items()]
    if not lines:
        return Text("Nothing was missing.\n")
    head = f"Not computed for {company.years[-1].fiscal_year_end}; training medians stand in:"
    return Text("\n".join([head, *lines]) + "\n")


def _listed(codes: list[str]) -> str:
    more = len(codes) - MOST_CODES
    return ", ".join(codes[:MOST_CODES]) + (f" and {more} more" if more > 0 else "")


def as_json(scored: Scored, model: Model) -> str:
    """The answer as JSON; `schema` names its version."""
    facts = ("learner", "selector", "simulated", "label_rule", "data_hash", "seed")
    answer = {
        "schema": SCHEMA,
        "model": {name: model.manifest[name] for name in facts},
        "classes": list(model.classes),
        "risk_class": model.classes[risk_class(model)],
        "contribution_unit": unit(model),
        "companies": [_company_facts(company) for company in scored.companies],
        "refused": list(scored.refused),
        "notices": list(scored.notices),
    }
    return json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False)


def _company_facts(company: ScoredCompany) -> dict[str, Any]:
    facts = asdict(company)
    for year, given in zip(company.years, facts["years"], strict=True):
        given["few_ratios"] = year.few_ratios
        for gap in given["missing"]:
            gap["name"] = feature_name(gap["feature"])
        for reason, said in zip(year.reasons, given["reasons"], strict=True):
            said["words"] = reason.words()
    return facts


def as_frame(scored: Scored, model: Model) -> pd.DataFrame:
    """One row per company and year, reasons in words."""
    return pd.DataFrame(
        [
            {
                "company_id": company.company_id,
                "company_name": company.company_name,
                "fiscal_year_end": year.fiscal_year_end,
                **{f"proba_{name}": year.probabilities[name] for name in model.classes},
                "prediction": year.prediction,
                "ratios": year.ratios,
                "few_ratios": year.few_ratios,
                "missing": " ".join(gap.feature for gap in year.missing),
                "proxies": " ".join(year.proxies),
                "failed_checks": year.failed_checks,
                "reasons": "; ".join(reason.words() for reason in year.reasons),
                "model_simulated": model.manifest["simulated"],
            }
            for company in scored.companies
            for year in company.years
        ]
    )


def as_csv(scored: Scored, model: Model) -> str:
    """One row per company and year; no cell can start a spreadsheet formula."""
    return csv_safe(as_frame(scored, model)).to_csv(index=False, lineterminator="\n").rstrip("\n")


def as_html(scored: Scored, model: Model) -> str:
    """One self-contained page."""
    template = Path(__file__).with_name("score.html.jinja").read_text(encoding="utf-8")
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    return page.from_string(template).render(
        scored=scored,
        model=model,
        feature_name=feature_name,
        risk=risk_words(model),
        caption=_caption,
    )


FORMATS: dict[str, Callable[[Scored, Model], str | Group]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}

if __name__ == "__main__":
    main()
