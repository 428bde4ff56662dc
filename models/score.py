"""`python -m models.score`: a company's probabilities year by year, and the reasons."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from datetime import date, datetime
from io import StringIO
from pathlib import Path
from typing import Literal

import click
import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from models import artifact
from models.answer import as_json
from models.artifact import Model
from models.explain import feature_name, risk_class, risk_words
from models.scoring import Ask, Scored, ScoredCompany, ScoredYear, score, score_file, titled
from warehouse import store
from warehouse.console import console
from warehouse.errors import InputError, exits_with_2, printable
from warehouse.exports import csv_safe
from warehouse.files import write_whole

MOST_CODES = 62  # listed for one reason: all ratios, and no more of what is made of them
MOST_NEEDS = 5

EPILOG = """\b
Examples:
  python -m models.score statements.csv
  python -m models.score "Company Ltd.xlsx" --model data/runs/2026-01-31T120000Z/model
  python -m models.score folder-of-filings/ --format csv --out scores.csv
  python -m models.score --company TATASTEEL --format json --out tatasteel.json
  python -m models.score --all --since 2026-11-01 --format text

\b
Exit codes: 0 done, 1 done but some companies or files were refused (named), 2 wrong use or bad
input.
"""


@click.command(epilog=EPILOG)
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--company", help="Company of the warehouse: its id, symbol, ISIN, CIN or name.")
@click.option(
    "--all",
    "every",
    is_flag=True,
    help="Every company of the warehouse with figures that are new since --since: what changed.",
)
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="YYYY-MM-DD",
    help="First day of what is new, for --all.",
)
@click.option("--db", type=click.Path(path_type=Path), help="Warehouse of --company and --all.")
@click.option("--model", "folder", type=click.Path(path_type=Path), help="[the newest run's]")
@click.option(
    "--compare/--no-compare",
    default=True,
    show_default=True,
    help="Show what the run's other saved models say beside the best.",
)
@click.option(
    "--explain",
    type=click.Choice(["all", "latest", "none"]),
    default="all",
    show_default=True,
    help="Years with reasons, similar companies and what would have to change.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "html", "text"]),
    default="table",
    show_default=True,
    help="text is for --all: a few lines for a mail or a chat.",
)
@click.option("--out", type=click.Path(path_type=Path), help="File to write instead of printing.")
@exits_with_2
@click.pass_obj
def main(
    lean: bool | None,
    file: Path | None,
    company: str | None,
    every: bool,
    since: datetime | None,
    db: Path | None,
    folder: Path | None,
    compare: bool,
    explain: Literal["all", "latest", "none"],
    form: str,
    out: Path | None,
) -> None:
    """Score a file or a folder of files, or companies of the warehouse.

    FILE is told by its content: statements as CSV, Parquet or JSON, a Screener workbook, an XBRL
    filing, a saved moneycontrol page; a folder may hold any number of these.
    """
    if (file is not None) + (company is not None) + every != 1:
        raise InputError("name a FILE, a --company or --all, and only one of them")
    if file is not None and db is not None:
        raise InputError("--db is the warehouse of --company and --all; a FILE needs none")
    if every != (since is not None):
        raise InputError("--all and --since DATE go together")
    folder = folder or newest_model()
    model = artifact.load(folder, lean=lean is True)
    if since is not None:
        _watch(model, db, since.date(), form, out)
        return
    if form not in FORMATS:
        raise InputError(f"--format {form} is for --all; one of {', '.join(FORMATS)}")
    others = artifact.load_others(folder, lean=lean is True) if compare else ()
    ask = Ask(explain, others=others)
    if file is not None:
        scored = score_file(file, model, ask)
    else:
        with store.connect(db, read_only=True) as connection:
            scored = score(connection, model, company, ask)
    for line in (*scored.notices, *scored.refused):
        print(f"note: {printable(line)}", file=sys.stderr)
    _write(FORMATS[form](scored, model), out)
    if scored.refused:
        raise SystemExit(1)


def _watch(model: Model, db: Path | None, since: date, form: str, out: Path | None) -> None:
    """What is new since a day, and what it changed."""
    watch = importlib.import_module("models.watch")  # not needed to score a file
    if form not in watch.FORMATS:
        raise InputError(f"--all: --format is one of {', '.join(watch.FORMATS)}")
    with store.connect(db, read_only=True) as connection:
        found = watch.watch(connection, model, since)
    _write(watch.FORMATS[form](found), out)
    if found.faulty:
        raise SystemExit(1)


def newest_model() -> Path:
    """Model folder of the newest training run.

    Raises:
        InputError: nothing was trained yet.
    """
    runs = store.data_dir() / "runs"
    found = artifact.newest(runs)
    if found is None:
        raise InputError(
            f"no trained model under {runs}; train one with: python -m models.train,"
            " or name one with --model"
        )
    return found


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
    """Tables for a terminal: years by classes, then what is to be said of the latest year."""
    parts: list[Table | Text] = []
    for company in scored.companies:
        parts += [_years_table(company, model), *_latest(company, model)]
    return Group(*parts)


def _years_table(company: ScoredCompany, model: Model) -> Table:
    mark = "SIMULATED model · " if model.manifest["simulated"] else ""
    title = titled(company.company_name, company.company_id, company.sector)
    view = Table(title=Text(printable(mark + title)), title_justify="left")
    view.add_column("year end", no_wrap=True)
    for name in model.classes:
        view.add_column(name, justify="right", no_wrap=True)
    view.add_column("label", no_wrap=True)
    sets, several = model.sets is not None, any(year.opinions for year in company.years)
    for heading, shown in (("not ruled out", sets), ("models agree", several)):
        if shown:
            view.add_column(heading)
    view.add_column("Z''", justify="right", no_wrap=True)
    view.add_column("rests on")
    for year in company.years:
        cells = [f"{100 * year.probabilities[name]:.1f} %" for name in model.classes]
        more = [", ".join(year.prediction_set or ()) or "none"] if sets else []
        more += [_agreement(year)] if several else []
        view.add_row(
            year.fiscal_year_end, *cells, year.prediction, *more, _altman(year), _rests_on(year)
        )
    view.caption = caption(model)
    view.caption_justify = "left"
    return view


def caption(model: Model) -> str:
    """What the probabilities and labels of a table are, and the classical score beside them."""
    sets = ""
    if model.sets is not None:
        sets = f" Not ruled out: classes that {100 * model.sets.coverage:.0f} % sets hold."
    kind = "calibrated" if model.calibration else "not calibrated"
    return (
        f"Probabilities: {kind}. Label: by the model that counts classes alike, so it warns before"
        f" bankruptcy is the likeliest.{sets} Z'': Altman's score for emerging markets."
    )


def _agreement(year: ScoredYear) -> str:
    same = round((year.agreement or 0) * len(year.opinions))
    return f"{same} of {len(year.opinions)}"


def _altman(year: ScoredYear) -> str:
    score = year.scores[0]
    return "-" if score.value is None else f"{score.value:z.2f} {score.zone}"


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


def _latest(company: ScoredCompany, model: Model) -> list[Table | Text]:
    """The latest year: reasons, models, what would change it, whom it is like, what is missing."""
    year = company.years[-1]
    parts: list[Table | Text] = []
    if year.explanation:
        parts.append(_reasons_table(year, model))
    if year.opinions:
        parts.append(_opinions_table(year, model))
    lines = [*_compared(year, model), *_gap_lines(year)]
    return [*parts, Text("\n".join([*lines, ""]))]


def _reasons_table(year: ScoredYear, model: Model) -> Table:
    view = Table(
        "", "ratio", title=f"Largest reasons, {year.fiscal_year_end}", title_justify="left"
    )
    for heading in ("value", "median", "points"):
        view.add_column(heading, justify="right", no_wrap=True)
    view.add_column(risk_words(model))
    for reason in year.reasons:
        value = "missing" if reason.value is None else f"{reason.value:z,.3f}"
        median = "-" if reason.median is None else f"{reason.median:z,.3f}"
        way = "raises" if reason.contribution > 0 else "lowers"
        cells = (value, median, f"{100 * reason.contribution:+z.1f}", f"{way}: {reason.standing()}")
        view.add_row(reason.feature, reason.name, *cells)
    view.caption = reasons_caption(year, model)
    view.caption_justify = "left"
    return view


def reasons_caption(year: ScoredYear, model: Model) -> str:
    """Whose medians stand in the table of reasons, and what the points sum to."""
    whose = next((reason.sector for reason in year.reasons if reason.sector), None)
    why = year.explanation
    total = ""
    if why:
        total = (
            f"; points sum from {100 * why.base:.1f} % of the average company, with"
            f" {100 * why.rest:+z.1f} of all other ratios, to {100 * why.probability:.1f} %"
        )
    return f"Medians: {whose or 'all training companies'}{total}"


def _opinions_table(year: ScoredYear, model: Model) -> Table:
    title = f"Several models, {year.fiscal_year_end}"
    view = Table("model", title=title, title_justify="left")
    for name in model.classes:
        view.add_column(name, justify="right", no_wrap=True)
    view.add_column("label", no_wrap=True)
    for opinion in year.opinions:
        cells = [f"{100 * opinion.probabilities[name]:.1f} %" for name in model.classes]
        view.add_row(opinion.model, *cells, opinion.prediction)
    return view


def _compared(year: ScoredYear, model: Model) -> list[str]:
    """What would have to change, how far outside the year lies, and whom it is like."""
    lines = []
    if year.counterfactual:
        lines.append(f"What would change it: {year.counterfactual.words()}")
    elif year.explanation and year.prediction == model.classes[risk_class(model)] and model.history:
        lines.append("What would change it: no plausible change of up to three ratios")
    lines += [outside_words(year)] if year.outside else []
    risk = model.classes[risk_class(model)]
    if year.neighbours:
        lines.append("Most like it among training companies:")
    lines += [
        f"  {printable(one.company_name)} {one.fiscal_year or ''}: {one.label}; {one.fate(risk)}"
        for one in year.neighbours
    ]
    return lines


def outside_words(year: ScoredYear) -> str:
    """How far the year lies outside what the model has seen."""
    outside = year.outside
    if outside is None:
        return ""
    beyond = ", ".join(outside.beyond[:5]) + (", …" if len(outside.beyond) > 5 else "")
    more = f"; beyond their 1 to 99 %: {beyond}" if beyond else ""
    return (
        f"Unlike what the model has seen: more than {outside.percentile:.0f} % of training"
        f" company-years{more}"
    )


def _gap_lines(year: ScoredYear) -> list[str]:
    """What was missing, by reason, and what would help."""
    by_reason: dict[str, list[str]] = {}
    for gap in year.missing:
        by_reason.setdefault(gap.reason, []).append(gap.feature)
    lines = [f"  {reason}: {_listed(codes)}" for reason, codes in by_reason.items()]
    if not lines:
        return ["Nothing was missing."]
    head = f"Not computed for {year.fiscal_year_end}; training medians stand in:"
    needs = ", ".join(f"{need.item} ({len(need.features)})" for need in year.needs[:MOST_NEEDS])
    return [head, *lines, *([f"Would fill most: {needs}"] if needs else [])]


def _listed(codes: list[str]) -> str:
    more = len(codes) - MOST_CODES
    return ", ".join(codes[:MOST_CODES]) + (f" and {more} more" if more > 0 else "")


def as_frame(scored: Scored, model: Model) -> pd.DataFrame:
    """One row per company and year, reasons in words."""
    risk = model.classes[risk_class(model)]
    return pd.DataFrame(
        [
            {
                "company_id": company.company_id,
                "company_name": company.company_name,
                "fiscal_year_end": year.fiscal_year_end,
                **{f"proba_{name}": year.probabilities[name] for name in model.classes},
                "prediction": year.prediction,
                "prediction_set": "|".join(year.prediction_set or ()),
                "agreement": year.agreement,
                "outside_percentile": year.outside and year.outside.percentile,
                **{score.code: score.value for score in year.scores},
                "ratios": year.ratios,
                "few_ratios": year.few_ratios,
                "missing": " ".join(gap.feature for gap in year.missing),
                "proxies": " ".join(year.proxies),
                "failed_checks": year.failed_checks,
                "needs": " ".join(need.item for need in year.needs),
                "reasons": " | ".join(reason.words() for reason in year.reasons),
                "counterfactual": year.counterfactual.words() if year.counterfactual else "",
                "neighbours": " | ".join(
                    f"{one.company_name} {one.fiscal_year or ''}: {one.label}; {one.fate(risk)}"
                    for one in year.neighbours
                ),
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
    import jinja2  # for this format alone

    template = Path(__file__).with_name("score.html.jinja").read_text(encoding="utf-8")
    page = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=True)
    return page.from_string(template).render(
        scored=scored,
        model=model,
        feature_name=feature_name,
        risk=risk_words(model),
        risk_name=model.classes[risk_class(model)],
        caption=caption,
        reasons_caption=reasons_caption,
        outside_words=outside_words,
    )


FORMATS: dict[str, Callable[[Scored, Model], str | Group]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "html": as_html,
}

if __name__ == "__main__":
    main(obj=True)  # lean: this process does nothing but score
