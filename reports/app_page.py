"""The page that `python -m reports.app` serves: what is asked for and shown, in Streamlit.

Streamlit runs this file from its top for every visitor and every click. What is shown is made by
the plain functions of `app_data`, `app_scoring`, `app_quality`, `app_board` and `app_charts`.
Every text from outside goes through `plain`: Streamlit takes most texts for Markdown.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import duckdb
import pandas as pd
import streamlit as st

from models.artifact import Model
from models.scoring import ScoredCompany, ScoredYear
from reports import app_board, app_charts, app_data, app_quality, app_scoring
from reports.app_charts import Drawing
from reports.app_data import RATIO_NAMES, Company, History, Stamp
from reports.app_quality import Gaps, RunLine
from reports.app_settings import Settings
from reports.folder import Run, read_run
from reports.grid import escape
from reports.tables import page_board
from warehouse import store
from warehouse.errors import InputError

JOINER = "\N{WORD JOINER}"
WAIT = 3.0  # seconds for a warehouse that is being written
NAME = "insolvency-radar"
SIMULATED_DATA = "**SIMULATED companies.** Nothing shown here says anything about a real company."
SIMULATED_MODEL = (
    "**SIMULATED model.** It has learnt from made-up companies: its scores show how the program"
    " works and say nothing about a real company."
)
NO_MODEL = "No trained model yet, so nothing is scored. Train one with `python -m models.train`."
FORMATS = (
    "A statements file (CSV, Parquet, JSON), a screener.in workbook, an XBRL filing of NSE or BSE,"
    " or a saved moneycontrol page. What it is, is told by its content."
)


def plain(text: object) -> str:
    """A text from outside as Markdown that shows it as it stands: no link, image or directive.

    An address is made a link even where its marks are escaped; an invisible mark that joins words
    keeps it from being one.
    """
    shown = escape(text).replace("_", "\\_").replace("#", "\\#")
    for mark in ("://", "www.", "@"):
        shown = shown.replace(mark, f"{mark[:-1]}{JOINER}{mark[-1]}")
    return shown.replace(":", "\\:")


@contextmanager
def _opened(db: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with store.connect(db, read_only=True, wait=WAIT) as connection:
        yield connection


# Answers are kept by the file that they came from and its time, and made anew when it changes.


@st.cache_data(max_entries=4, show_spinner=False)
def _size(at: Stamp) -> tuple[int, bool]:
    with _opened(Path(at[0])) as connection:
        return app_data.size(connection)


@st.cache_data(max_entries=200, show_spinner=False)
def _found(at: Stamp, text: str) -> tuple[Company, ...]:
    with _opened(Path(at[0])) as connection:
        return app_data.search(connection, text)


@st.cache_resource(max_entries=100, show_spinner=False)
def _history(at: Stamp, company_id: str) -> History:
    with _opened(Path(at[0])) as connection:
        return app_data.history(connection, company_id)


@st.cache_data(max_entries=2, show_spinner="Comparing all companies of the warehouse …")
def _peers(at: Stamp) -> pd.DataFrame:
    with _opened(Path(at[0])) as connection:
        return app_data.peers(connection)


@st.cache_resource(max_entries=2, show_spinner="Loading the model …")
def _loaded(at: Stamp) -> tuple[Model, tuple[Model, ...]]:
    return app_scoring.load_models(Path(at[0]).parent)


@st.cache_resource(max_entries=100, show_spinner="Scoring …")
def _scored(
    at: Stamp, model_at: Stamp, company_id: str
) -> tuple[ScoredCompany | None, tuple[str, ...]]:
    model, others = _loaded(model_at)
    with _opened(Path(at[0])) as connection:
        return app_scoring.scored_company(connection, model, company_id, others)


@st.cache_resource(max_entries=4, show_spinner="Reading the run …")
def _run(at: Stamp) -> Run:
    return read_run(Path(at[0]).parent)


@st.cache_data(max_entries=2, show_spinner="Running the data checks …")
def _pass_rates(at: Stamp) -> pd.DataFrame:
    with _opened(Path(at[0])) as connection:
        return app_quality.pass_rates(connection)


@st.cache_resource(max_entries=2, show_spinner="Counting what is missing …")
def _gaps(at: Stamp) -> tuple[Gaps, pd.DataFrame]:
    with _opened(Path(at[0])) as connection:
        return app_quality.gaps(connection), app_quality.coverage_by_year(connection)


@st.cache_resource(max_entries=2, show_spinner=False)
def _facts(at: Stamp) -> tuple[tuple[tuple[str, int], ...], pd.DataFrame, pd.DataFrame]:
    with _opened(Path(at[0])) as connection:
        return (
            app_quality.holdings(connection),
            app_quality.sources(connection),
            app_quality.disagreements(connection),
        )


@st.cache_resource(max_entries=2, show_spinner=False)
def _runs(
    at: Stamp,
) -> tuple[tuple[RunLine, ...], pd.DataFrame, tuple[pd.DataFrame, pd.DataFrame]]:
    with _opened(Path(at[0])) as connection:
        return (
            app_quality.runs(connection),
            app_quality.crawls(connection),
            app_quality.quarantine(connection),
        )


def _model_at(settings: Settings) -> Stamp | None:
    folder = settings.model or app_scoring.newest_model(settings.runs)
    return None if folder is None else app_data.stamp(folder / "model.json")


def _models(settings: Settings) -> tuple[Model, tuple[Model, ...]] | None:
    """The model that scores and those beside it; None, and why is said, where there is none."""
    at = _model_at(settings)
    if at is None:
        st.info(NO_MODEL)
        return None
    try:
        return _loaded(at)
    except InputError as error:
        st.error(plain(error))
        return None


# What is drawn.


def _table(frame: pd.DataFrame, title: str, **formats: str) -> None:
    """A table that sorts, searches and can be saved; no index, cells are never Markdown."""
    config = {name: st.column_config.NumberColumn(format=form) for name, form in formats.items()}
    st.dataframe(frame, hide_index=True, width="stretch", column_config=config, alt=title)


def _chart(chart: Drawing, says: str) -> None:
    st.altair_chart(chart, width="stretch", alt=says)


def _notes(lines: Iterable[str]) -> None:
    for line in lines:
        if "SIMULATED" not in line:  # the banner has said it
            st.info(plain(line))


def _company_page(settings: Settings) -> None:
    at = app_data.stamp(settings.db)
    count, _ = _size(at)
    text = st.text_input(
        "Company",
        key="q",
        bind="query-params",
        max_chars=app_data.LONGEST_SEARCH,
        placeholder="Name, symbol, ISIN, CIN or id",
        help=f"{count:,} companies. Press Enter to search.",
    )
    found = _found(at, text or "")
    if not found:
        st.info(f"No company found for {plain(text)}.")
        return
    more = f"the first {len(found)}" if len(found) == app_data.MOST_FOUND else f"{len(found):,}"
    chosen = st.selectbox(
        f"Found: {more} of {count:,}",
        found,
        index=0 if text else None,
        format_func=lambda company: company.title,
        placeholder="Choose a company",
    )
    if chosen is not None:
        _warehouse_company(settings, at, chosen.company_id)


def _warehouse_company(settings: Settings, at: Stamp, company_id: str) -> None:
    past, models, model_at = _history(at, company_id), _models(settings), _model_at(settings)
    if models is None or model_at is None:
        _show(past, None, None, _peers(at), "company")
        return
    company, lines = _scored(at, model_at, company_id)
    _notes(lines)
    _show(past, company, models[0], _peers(at), "company")


def _show(
    past: History,
    company: ScoredCompany | None,
    model: Model | None,
    quartiles: pd.DataFrame,
    key: str,
) -> None:
    """A company: who it is, its scores, its years, its ratios, the reasons."""
    _identity(past)
    if past.ratios.empty:
        st.info("There are no statements of this company.")
    elif company is not None and model is not None:
        _probabilities(past, company, model)
    classes = () if model is None else model.classes
    if not past.ratios.empty:
        st.subheader("Year by year", anchor=False)
        table = app_scoring.years_table(company, past, classes)
        _table(table, "Year by year", **dict.fromkeys(classes, "%.1f %%"))
    if not past.events.empty:
        st.subheader("Insolvency events", anchor=False)
        _table(app_data.events_table(past.events), "Insolvency events")
    if not past.ratios.empty:
        _ratios(past, quartiles, key)
    if company is not None and model is not None:
        _reasons(company, model, key)


def _identity(past: History) -> None:
    who = past.company
    st.header(plain(who.name), anchor=False)
    facts = [("id", who.company_id), ("symbol", who.symbol), ("ISIN", who.isin), ("CIN", who.cin)]
    facts.append(("sector", who.sector))
    line = " · ".join(f"{name} {value}" for name, value in facts if value)
    st.caption(plain(line + (" · SIMULATED" if past.simulated else "")))


def _probabilities(past: History, company: ScoredCompany, model: Model) -> None:
    years = app_scoring.last_years(company)
    latest = years[-1]
    st.markdown(
        f"Year to {latest.fiscal_year_end}: the model says **{plain(latest.prediction)}**."
        + (" It rests on few ratios, so on training medians mostly." if latest.few_ratios else "")
    )
    with st.container(horizontal=True):
        for name in model.classes:
            st.metric(plain(name), f"{latest.probabilities[name]:.0%}", width=100)
    frame = app_scoring.probabilities(company, model.classes)
    says = f"Probability per class, {years[0].fiscal_year} to {latest.fiscal_year}"
    st.subheader("Probability of each class", anchor=False)
    _chart(app_charts.probability_chart(frame, past.events, model.classes), says)
    strip = app_scoring.strip(company, past, model.classes)
    squares = app_charts.strip_chart(strip, past.events, model.classes)
    _chart(squares, "Label and prediction per year")
    st.caption(app_scoring.probability_note(model))


def _ratios(past: History, quartiles: pd.DataFrame, key: str) -> None:
    st.subheader("Ratios against the sector", anchor=False)
    sector = past.company.sector
    st.caption(
        "Line: the company. Dashes: the median of"
        f" {plain(app_data.compared_with(quartiles, sector))}; shaded: the middle half of them."
    )
    chosen = st.multiselect(
        "Ratios",
        list(RATIO_NAMES),
        default=list(app_data.FIRST_RATIOS),
        format_func=lambda code: f"{code} {RATIO_NAMES[code]}",
        max_selections=12,
        key=f"{key}-ratios",
    )
    left, right = st.columns(2)
    tables = []
    for place, code in enumerate(chosen):
        frame = app_data.against_sector(past.ratios, quartiles, sector, code)
        title = f"{code} {RATIO_NAMES[code]}"
        with right if place % 2 else left:
            if frame["value"].notna().any():
                says = f"{title}: the company against its sector, by year"
                _chart(app_charts.ratio_chart(frame, title), says)
            else:
                st.info(f"{title}: could not be computed in any year.")
        tables.append(frame.assign(ratio=title))
    if tables:
        with st.expander("The same as a table"):
            _table(app_data.ratio_table(tables), "Ratios against the sector")


def _reasons(company: ScoredCompany, model: Model, key: str) -> None:
    st.subheader("Reasons", anchor=False)
    years = app_scoring.last_years(company)[::-1]
    year = st.selectbox(
        "Year", years, format_func=lambda one: one.fiscal_year_end, key=f"{key}-year"
    )
    lines = app_scoring.reason_lines(year)
    if lines:
        st.markdown("\n".join(f"- {plain(line)}" for line in lines))
    else:
        st.caption("Of a file with several companies the latest year of each is explained.")
    for line in app_scoring.context_lines(year):
        st.markdown(plain(line))
    _compared(year, model)
    st.subheader("Missing", anchor=False)
    missing = app_scoring.missing_table(year)
    if missing.empty:
        st.caption("Nothing was missing.")
        return
    st.caption("Training medians stand in for what could not be computed.")
    _table(missing, "What could not be computed, and why")


def _compared(year: ScoredYear, model: Model) -> None:
    """The year beside other companies, published scores and other models, where there are such."""
    if year.neighbours:
        st.subheader("Nearest companies in the training data", anchor=False)
        near = app_scoring.neighbours_table(year, model)
        _table(near, "Nearest companies in the training data", Year="%d", Distance="%.2f")
    if year.opinions:
        st.subheader("Other models", anchor=False)
        st.caption(f"{year.agreement:.0%} of the models predict {plain(year.prediction)}.")
        formats = dict.fromkeys(model.classes, "%.1f %%")
        _table(app_scoring.opinions_table(year), "What each model says", **formats)
    if year.scores:
        st.subheader("Published scores", anchor=False)
        _table(app_scoring.scores_table(year), "Published scores", Value="%.2f")


def _score_page(settings: Settings) -> None:
    models = _models(settings)
    if models is None:
        return
    model, others = models
    file = st.file_uploader("File", max_upload_size=settings.upload_mb, help=FORMATS)
    st.caption(
        f"{FORMATS} Up to {settings.upload_mb} MB; it is deleted once it is scored, and nothing of"
        " it enters the warehouse."
    )
    if file is None:
        st.session_state.pop("scored", None)
        return
    key = (file.file_id, model.manifest["sha256"])
    if st.session_state.get("scored", (None,))[0] != key:
        st.session_state.pop("scored", None)
        with st.spinner("Scoring …"):
            given = (file.getvalue(), file.name, model, settings.upload_mb, others)
            shown = app_scoring.score_bytes(*given)
        st.session_state["scored"] = (key, shown)
    _answer(settings, st.session_state["scored"][1], model)


def _answer(settings: Settings, shown: app_scoring.Shown, model: Model) -> None:
    _notes((*shown.scored.notices, *shown.scored.refused))
    past = shown.histories[0]
    if len(shown.histories) > 1:
        past = st.selectbox(
            f"Company ({len(shown.histories)} in the file)",
            shown.histories,
            format_func=lambda one: one.company.title,
        )
    quartiles = _peers(app_data.stamp(settings.db))
    _show(past, shown.score_of(past.company.company_id), model, quartiles, "file")


def _board_page(settings: Settings) -> None:
    folders = app_board.run_folders(settings.runs)
    if not folders:
        st.info("No training run yet. Make one with `python -m models.train`.")
        return
    folder = st.selectbox("Run", folders, format_func=app_board.run_title)
    run = _run(app_data.stamp(folder / "run.json"))
    if run.simulated and not _made_up(settings):
        st.warning(SIMULATED_DATA)
    grid = page_board(run)
    board = app_board.frame_of(grid)
    st.caption("Press a heading to sort; the tools above the table search and save it.")
    _table(board, "Leaderboard", **app_board.formats(board))
    for note in grid.notes:
        st.caption(plain(note))
    st.header("Macro-F1 with 95 % intervals", anchor=False)
    _chart(app_charts.interval_chart(app_board.intervals(run)), "Macro-F1 of the first models")
    notices = [str(line) for line in run.facts["notices"]]
    if notices:
        st.header("Notices", anchor=False)
        for line in notices:
            st.warning(plain(line))
    report = folder / "report.html"
    if report.is_file():
        st.download_button(
            "Whole report", report.read_bytes(), f"report-{folder.name}.html", "text/html"
        )


def _quality_page(settings: Settings) -> None:
    at = app_data.stamp(settings.db)
    held, sources, differ = _facts(at)
    with st.container(horizontal=True):
        for name, count in held:
            st.metric(name, f"{count:,}", width=150)
    st.header("Data checks", anchor=False)
    st.caption(
        "Per cent of the company-years that each check could judge. A year that fails is kept and"
        " flagged; checks of severity warning have innocent causes too."
    )
    _table(_pass_rates(at), "Data checks", Passed="%.2f %%")
    missing, by_year = _gaps(at)
    st.header("Why ratios are missing", anchor=False)
    _table(missing.reasons, "Why ratios are missing", Share="%.2f %%")
    st.header("Ratios computed, by fiscal year", anchor=False)
    if not by_year.empty:
        _chart(app_charts.coverage_chart(by_year), "Share of ratios computed by fiscal year")
    with st.expander("Every ratio"):
        _table(missing.ratios, "Coverage of every ratio", Computed="%.1f %%")
    st.header("Sources", anchor=False)
    _table(sources, "Sources")
    st.header("Sources that disagree", anchor=False)
    if differ.empty:
        st.caption("No two sources told the same figure differently when the checks last ran.")
    else:
        _table(differ, "Sources that disagree")


def _runs_page(settings: Settings) -> None:
    lines, crawls, (counts, rows) = _runs(app_data.stamp(settings.db))
    if not lines and crawls.empty:
        st.info(
            "Nothing was imported or scraped into this warehouse by a command: see"
            " `python -m scraping --list`."
        )
        return
    if lines:
        st.header("Runs", anchor=False)
        _table(app_quality.runs_table(lines), "Runs", Seconds="%.1f")
        _one_run(lines)
    if not crawls.empty:
        st.header("Sources crawled", anchor=False)
        _table(crawls, "Sources crawled")
    st.header("Quarantine", anchor=False)
    if counts.empty:
        st.caption("No row of a source was refused.")
        return
    _table(counts, "Refused rows by reason")
    with st.expander("The latest rows"):
        _table(rows, "The latest refused rows")


def _one_run(lines: tuple[RunLine, ...]) -> None:
    line = st.selectbox("Run", lines, format_func=lambda one: f"{one.started:%Y-%m-%d %H:%M}")
    for notice in line.notices:
        st.warning(plain(notice))
    _table(app_quality.outcomes_table(line), "What became of each source or file")


# Title, address, what it shows.
PAGES: tuple[tuple[str, str, Callable[[Settings], None]], ...] = (
    ("Find a company", "", _company_page),
    ("Score a file", "score", _score_page),
    ("Leaderboard", "leaderboard", _board_page),
    ("Data quality", "quality", _quality_page),
    ("Scrape runs", "runs", _runs_page),
)


def _made_up(settings: Settings) -> bool:
    return settings.demo or _size(app_data.stamp(settings.db))[1]


def _banner(settings: Settings) -> None:
    """Say SIMULATED on every page where the companies or the model are."""
    said = [SIMULATED_DATA] if _made_up(settings) else []
    at = _model_at(settings)
    with suppress(InputError):  # a model that cannot be read is said where it is needed
        if at is not None and _loaded(at)[0].manifest["simulated"]:
            said.append(SIMULATED_MODEL)
    if said:
        st.warning("\n\n".join(said))


def _draw(settings: Settings, title: str, page: Callable[[Settings], None]) -> None:
    st.title(title, anchor=False)
    try:
        _banner(settings)
        page(settings)
    except InputError as error:
        st.error(plain(error))


def main(settings: Settings) -> None:
    """Draw the page that the visitor is on."""
    st.set_page_config(page_title=NAME, layout="wide")
    pages = [
        st.Page(
            partial(_draw, settings, title, page),
            title=title,
            url_path=address,
            default=not address,
        )
        for title, address, page in PAGES
    ]
    chosen = st.navigation(pages, position="hidden")
    # Streamlit's own links stand in a drawer on a phone, which stays open over the page.
    with st.container(horizontal=True, gap="small"):
        for page in pages:
            st.page_link(page, width="content")
    chosen.run()


if __name__ == "__main__":
    # Streamlit puts this file's folder on the path; its modules have no names of their own there.
    here = str(Path(__file__).resolve().parent)
    sys.path[:] = [entry for entry in sys.path if entry != here]
    main(Settings.from_argument(sys.argv[1]))
