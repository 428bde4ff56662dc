"""What new filings changed: every company with figures that became known since a day, then and now.

When a figure became known depends on what the warehouse can tell:

- A warehouse that held statements before that day knows when each arrived: the day on which its
  document was fetched or its file loaded, and not before it was filed. What a company's score was
  is then what this warehouse could have said on the day before.
- One that was filled since then knows only when figures were published: the day of filing, else 60
  days after the year end, as in `warehouse.store.known_on`. Else all would be new.

Macro values and corrections are today's on both sides: what changed is the company's own figures.
Only figures of the companies with news are read, a part of them at a time, into a warehouse in
memory that takes the same views, so a watch costs what is new and not what is there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Literal

import duckdb
import pandas as pd
from rich.console import Group
from rich.table import Table
from rich.text import Text

from features.dataset import Features, materialise
from features.macro import MACRO
from features.ratios import RATIOS
from models.artifact import Model
from models.drift import Drift, drift
from models.explain import risk_class
from models.scoring import (
    FEW_RATIOS,
    FINANCIAL,
    completed,
    level_of,
    macro_of,
    rows_of,
    simulated_notice,
    some_ratio,
    titled,
)
from warehouse import store
from warehouse.errors import printable
from warehouse.exports import csv_safe
from warehouse.periods import FILING_DAYS

SCHEMA = "insolvency-radar/watch/1"
MOST = 10  # companies of a text
LONGEST = 60  # characters of a name in a text
SEVERITY = {"distressed": 1}  # of a label; that of the risk class is 2, of any other 0
KnownBy = Literal["arrival", "publication"]

_ARRIVED = "CAST(coalesce(n.fetched_at, n.loaded_at) AS DATE)"
_FILED = f"s.fiscal_year_end + {FILING_DAYS}"
_PUBLISHED = f"coalesce(s.filed_at, greatest(s.restated_on, {_FILED}))"
_KNOWN: dict[KnownBy, str] = {
    "arrival": f"greatest({_ARRIVED}, s.filed_at)",
    "publication": _PUBLISHED,
}
_CELLS = """
FROM statement_line s JOIN snapshot n USING (snapshot_id)
WHERE s.value IS NOT NULL AND s.note <> 'interim'
    AND (getvariable('first_company') IS NULL OR s.company_id >= getvariable('first_company'))
    AND (getvariable('next_company') IS NULL OR s.company_id < getvariable('next_company'))"""
_COPIED = ("company", "user_correction")  # tables of which a part's companies are copied


@dataclass(frozen=True)
class Standing:
    """What a model says of a company's newest fiscal year.

    Attributes:
        fiscal_year_end: of that year, as YYYY-MM-DD.
        risk: probability of the risk class, calibrated where the model is.
        prediction: the class of the highest probability as given, as `models.scoring` has it.
        ratios: how many of the 62 could be computed.
    """

    fiscal_year_end: str
    risk: float
    prediction: str
    ratios: int

    @property
    def few_ratios(self) -> bool:
        """Whether training medians decide more than the company does."""
        return self.ratios < FEW_RATIOS


@dataclass(frozen=True)
class Watch:
    """A company with new figures: `figures` of them, and what is said of it before and now."""

    company_id: str
    company_name: str
    sector: str | None
    figures: int
    before: Standing | None
    now: Standing
    step: int
    """By how much the label is more severe than before; below 0 it is less."""

    @property
    def rise(self) -> float:
        """Change of the risk; NaN of a new company."""
        return float("nan") if self.before is None else self.now.risk - self.before.risk

    @property
    def way(self) -> Literal["toward", "away", "same", "new"]:
        """Whether it moved toward the risk class: by its label, else by its probability."""
        if self.before is None:
            return "new"
        moved = self.step or round(self.rise, 6)
        return "toward" if moved > 0 else "away" if moved < 0 else "same"


@dataclass(frozen=True)
class NotScored:
    """A company with new figures of which nothing can be said, and why."""

    company_id: str
    company_name: str
    reason: str


@dataclass(frozen=True)
class Watched:
    """What is new since a day, and what it changed.

    Attributes:
        since: first day of what is new.
        known_by: whether figures count as known from when they arrived or were published.
        model: learner and selector.
        simulated: whether the model was trained on simulated companies.
        risk_class: whose probability is the risk.
        companies: of the warehouse, with statements.
        arrived: companies with figures that arrived since then.
        published: companies with figures that were published since then.
        changes: companies that had a score, those that moved toward the risk class first.
        new: companies that had none, the highest risk first.
        refused: companies that could not be scored.
        drift: of the newest years that were scored against training; None where the model keeps
            nothing to compare with.
        notices: lines that a user should read.
    """

    since: date
    known_by: KnownBy
    model: str
    simulated: bool
    risk_class: str
    companies: int
    arrived: int
    published: int
    changes: tuple[Watch, ...]
    new: tuple[Watch, ...]
    refused: tuple[NotScored, ...]
    drift: Drift | None
    notices: tuple[str, ...]

    @property
    def toward(self) -> tuple[Watch, ...]:
        """Companies that moved toward the risk class, the most alarming first."""
        return tuple(one for one in self.changes if one.way == "toward")

    @property
    def entered(self) -> tuple[Watch, ...]:
        """Companies that are now said to be of the risk class and were not before."""
        return tuple(
            one for one in self.toward if one.step > 0 and one.now.prediction == self.risk_class
        )

    @property
    def faulty(self) -> tuple[NotScored, ...]:
        """Companies not scored for want of a fiscal year: banks and the like never are."""
        return tuple(one for one in self.refused if one.reason != FINANCIAL)


def watch(
    connection: duckdb.DuckDBPyConnection,
    model: Model,
    since: date,
    known_by: KnownBy | None = None,
    size: int | None = None,
) -> Watched:
    """Score every company with figures that became known on a day or later, and as it was before.

    Args:
        connection: an open warehouse, which may be read-only; nothing in it changes.
        model: to score by.
        since: first day of what is new.
        known_by: what makes a figure known; None for what the warehouse can tell (see above).
        size: companies that are held in memory at a time; None for `store.PART`.

    Raises:
        InputError: the model takes what statements do not give.
    """
    level = level_of(model)
    known_by = known_by or _what_it_knows(connection, since)
    counts = _counted(connection, since)
    scorer = _Scorer(model, level)
    seen: list[Watch | NotScored] = []
    with store.in_memory() as desk, closing(store.parts(connection, size)) as parts:  # type: ignore[type-var]
        _copy(connection, desk, "macro", "SELECT * FROM macro")
        for _ in parts:
            seen += _part(connection, desk, scorer, since, known_by)
    return _watched(model, since, known_by, counts, seen, scorer)


def _what_it_knows(connection: duckdb.DuckDBPyConnection, since: date) -> KnownBy:
    row = store.one_row(connection, f"SELECT bool_or({_ARRIVED} < ?) {_CELLS}", [since])
    return "arrival" if row and row[0] else "publication"


def _counted(connection: duckdb.DuckDBPyConnection, since: date) -> tuple[int, int, int]:
    """Companies with statements; those with figures that arrived since, and that were published."""
    row = store.one_row(
        connection,
        "SELECT count(DISTINCT s.company_id),"
        f" count(DISTINCT s.company_id) FILTER (WHERE {_ARRIVED} >= ?),"
        f" count(DISTINCT s.company_id) FILTER (WHERE {_PUBLISHED} >= ?) {_CELLS}",
        [since, since],
    )
    return (0, 0, 0) if row is None else (int(row[0]), int(row[1]), int(row[2]))


def _part(
    connection: duckdb.DuckDBPyConnection,
    desk: duckdb.DuckDBPyConnection,
    scorer: _Scorer,
    since: date,
    known_by: KnownBy,
) -> Iterator[Watch | NotScored]:
    """What is to be said of the companies with news of one part."""
    known = _KNOWN[known_by]
    found = connection.execute(
        f"SELECT s.company_id, count(*) {_CELLS} AND {known} >= $since GROUP BY ALL ORDER BY ALL",
        {"since": since},
    ).fetchall()
    if not found:
        return
    ids = [company for company, _ in found]
    _copy_companies(connection, desk, ids)
    cells = "SELECT s.* FROM statement_line s JOIN snapshot n USING (snapshot_id)"
    wanted = f"{cells} WHERE s.company_id IN (SELECT unnest($ids))"
    _copy(connection, desk, "statement_line", wanted, ids=ids)
    rows, financial = scorer.newest(desk, keep=True)
    now = scorer.standings(rows)
    earlier = f"{wanted} AND {known} < $since"
    _copy(connection, desk, "statement_line", earlier, ids=ids, since=since)
    before = scorer.standings(scorer.newest(desk, keep=False)[0])
    names = dict(desk.execute("SELECT company_id, company_name FROM company").fetchall())
    sectors = dict(desk.execute("SELECT company_id, sector FROM company").fetchall())
    for company, figures in found:
        name = str(names.get(company) or company)
        if company not in now:
            yield NotScored(company, name, FINANCIAL if company in financial else NO_YEAR)
            continue
        then = before.get(company)
        step = 0 if then is None else scorer.severity(now[company]) - scorer.severity(then)
        sector = sectors.get(company)
        yield Watch(company, name, sector, int(figures), then, now[company], step)


NO_YEAR = "its figures make no fiscal year with a ratio"


def _copy_companies(
    connection: duckdb.DuckDBPyConnection, desk: duckdb.DuckDBPyConnection, ids: list[str]
) -> None:
    for table in _COPIED:
        query = f"SELECT * FROM {table} WHERE company_id IN (SELECT unnest($ids))"
        _copy(connection, desk, table, query, ids=ids)


def _copy(
    connection: duckdb.DuckDBPyConnection,
    desk: duckdb.DuckDBPyConnection,
    table: str,
    query: str,
    **parameters: object,
) -> None:
    """Replace a table of the warehouse in memory by rows of the warehouse."""
    rows = connection.sql(query, params=parameters or None).to_arrow_table()
    desk.register("incoming", rows)
    desk.execute(f"DELETE FROM {table}; INSERT INTO {table} BY NAME FROM incoming")
    desk.unregister("incoming")


class _Scorer:
    """Scores the newest year of each company of a warehouse; keeps what drift is measured by."""

    def __init__(self, model: Model, level: Features) -> None:
        self.model, self.level = model, level
        self.risk = risk_class(model)
        self.inputs: list[pd.DataFrame] = []
        self.notices: dict[str, None] = {}

    def newest(
        self, desk: duckdb.DuckDBPyConnection, *, keep: bool
    ) -> tuple[pd.DataFrame, set[str]]:
        """The newest year of each company that is not financial, ready to score; and the others.

        `keep` the values that the model takes, to measure drift by, and the notices.
        """
        materialise(desk)
        if not store.one_row(desk, "SELECT 1 FROM yearly LIMIT 1"):
            return pd.DataFrame(), set()
        rows, _ = rows_of(desk, self.level)
        financial = rows["is_financial"].astype(bool)
        others = {str(name) for name in rows.loc[financial, "company_id"]}
        rows = (
            rows[~financial & some_ratio(rows)]
            .groupby("company_id", sort=False)
            .tail(1)
            .reset_index(drop=True)
        )
        if rows.empty:
            return rows, others
        rows, notices = completed(rows, macro_of(desk), self.model)
        if keep:
            self.notices |= dict.fromkeys(notices)
            self.inputs.append(self.model.values(rows)[list(self.model.selected)])
        return rows, others

    def standings(self, rows: pd.DataFrame) -> dict[str, Standing]:
        """What the model says of each row, by company."""
        if rows.empty:
            return {}
        given = self.model.given(self.model.columns(rows))
        risks = self.model.told(given)[:, self.risk]
        labels = [self.model.classes[place] for place in given.argmax(axis=1)]
        ends = pd.to_datetime(rows["fiscal_year_end"]).dt.strftime("%Y-%m-%d")
        ratios = len(RATIOS) - rows["n_missing"].astype(int)
        told_of = zip(ends, risks.tolist(), labels, ratios.tolist(), strict=True)
        return {
            str(company): Standing(*said)
            for company, said in zip(rows["company_id"], told_of, strict=True)
        }

    def severity(self, standing: Standing) -> int:
        """How near a label is to the risk class."""
        if standing.prediction == self.model.classes[self.risk]:
            return 2
        return SEVERITY.get(standing.prediction, 0)

    def drift(self) -> Drift | None:
        """Of what was kept. Macro values are those of the year, not of a company: left out."""
        reference = self.model.manifest.get("reference")
        if not reference or not self.inputs:
            return None
        frame = pd.concat(self.inputs, ignore_index=True)
        return drift(reference, frame.drop(columns=[m.code for m in MACRO], errors="ignore"))


def _watched(
    model: Model,
    since: date,
    known_by: KnownBy,
    counts: tuple[int, int, int],
    seen: list[Watch | NotScored],
    scorer: _Scorer,
) -> Watched:
    scored = [one for one in seen if isinstance(one, Watch)]
    changes = sorted(
        (one for one in scored if one.before is not None),
        key=lambda one: (-one.step, -one.rise, one.company_id),
    )
    new = sorted(
        (one for one in scored if one.before is None),
        key=lambda one: (-one.now.risk, one.company_id),
    )
    return Watched(
        since,
        known_by,
        model.name,
        bool(model.manifest["simulated"]),
        model.classes[scorer.risk],
        *counts,
        tuple(changes),
        tuple(new),
        tuple(one for one in seen if isinstance(one, NotScored)),
        scorer.drift(),
        (*scorer.notices, *simulated_notice(model)),
    )


def headline(watched: Watched) -> str:
    """All in one line: how many companies have news, how many moved, what else to know."""
    risk, said = watched.risk_class, len(watched.changes)
    total = said + len(watched.new) + len(watched.refused)
    first = f"{'SIMULATED model. ' if watched.simulated else ''}Since {watched.since}: "
    if not total:
        old = f" ({watched.arrived:,} arrived, published before)" if watched.arrived else ""
        return f"{first}no company of {watched.companies:,} has new figures{old}."
    moved = f"{len(watched.toward):,} of {said:,} that had a score moved toward {risk}"
    entered = f", {len(watched.entered):,} into it" if watched.toward else ""
    parts = [f"{_count(total)} with new figures"]
    parts += [moved + entered] if said else []
    parts += [f"{len(watched.new):,} new"] if watched.new else []
    parts += [f"{len(watched.refused):,} not scored"] if watched.refused else []
    line = f"{first}{'; '.join(parts)}."
    return line if watched.drift is None else f"{line} Inputs: {watched.drift.words(3)}."


def _count(number: int) -> str:
    return f"{number:,} compan{'y' if number == 1 else 'ies'}"


def as_text(watched: Watched, most: int = MOST) -> str:
    """A few lines for a mail or a chat: all in the first, then the companies that matter most.

    Those that moved toward the risk class, then new ones that are said to be of it; `most` at most.
    """
    risky = [one for one in watched.new if one.now.prediction == watched.risk_class]
    named = [*watched.toward, *risky]
    lines = [f"- {_sentence(one, watched.risk_class)}" for one in named[:most]]
    if len(named) > most:
        lines.append(f"- and {len(named) - most:,} more")
    return "\n".join([headline(watched), *lines])


def _sentence(one: Watch, risk: str) -> str:
    now, before = one.now, one.before
    few = f", of {now.ratios} of {len(RATIOS)} ratios only" if now.few_ratios else ""
    name = titled(_inert(one.company_name), _inert(one.company_id))
    if before is None:
        return f"{name}: new, {risk} {now.risk:.0%}, {now.prediction}; {now.fiscal_year_end}{few}"
    label = now.prediction
    if before.prediction != now.prediction:
        label = f"{before.prediction} to {now.prediction}"
    change = f"{risk} {before.risk:.0%} to {now.risk:.0%}"
    return f"{name}: {change}, {label}; {_years(before, now)}{few}"


def _years(before: Standing, now: Standing) -> str:
    if before.fiscal_year_end == now.fiscal_year_end:
        return f"{now.fiscal_year_end} restated or completed"
    return f"{before.fiscal_year_end} to {now.fiscal_year_end}"


def _inert(name: str) -> str:
    """A name that neither calls anyone in a chat nor is markup of a mail, on one line."""
    plain = "".join("_" if c in "<>@`*[]|" else c for c in printable(" ".join(name.split())))
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"


def as_json(watched: Watched) -> str:
    """All of it; `schema` names its version."""
    answer: dict[str, Any] = {"schema": SCHEMA, "headline": headline(watched), **asdict(watched)}
    answer["since"] = watched.since.isoformat()
    for group, said in (("changes", watched.changes), ("new", watched.new)):
        for one, given in zip(said, answer[group], strict=True):
            given |= {"way": one.way, "rise": None if one.before is None else one.rise}
    if watched.drift is not None:
        answer["drift"]["words"] = watched.drift.words()
    return json.dumps(answer, indent=1, ensure_ascii=False, allow_nan=False)


def as_frame(watched: Watched) -> pd.DataFrame:
    """One row per company with news, in the order of the answer."""
    columns = [
        *("way", "company_id", "company_name", "sector", "figures", "rise", "reason"),
        *(f"{name}_{at}" for at in ("before", "now") for name in Standing.__dataclass_fields__),
        "model_simulated",
    ]
    rows = [
        {
            "way": one.way, "company_id": one.company_id, "company_name": one.company_name,
            "sector": one.sector, "figures": one.figures, "rise": one.rise,
            **_cells(one.before, "before"), **_cells(one.now, "now"),
        }
        for one in (*watched.changes, *watched.new)
    ]  # fmt: skip
    rows += [{"way": "not scored", **asdict(one)} for one in watched.refused]
    whole = dict.fromkeys(("figures", "ratios_before", "ratios_now"), "Int64")
    frame = pd.DataFrame(rows, columns=columns).astype(whole)
    return frame.assign(model_simulated=watched.simulated)


def _cells(standing: Standing | None, when: str) -> dict[str, object]:
    return {} if standing is None else {f"{k}_{when}": v for k, v in asdict(standing).items()}


def as_csv(watched: Watched) -> str:
    """One row per company with news; no cell can start a spreadsheet formula."""
    return csv_safe(as_frame(watched)).to_csv(index=False, lineterminator="\n").rstrip("\n")


def as_table(watched: Watched) -> Group:
    """Tables for a terminal: changes, new companies, what was not scored, drift."""
    parts: list[Table | Text] = [Text(headline(watched) + "\n")]
    for title, said in (("Companies that had a score", watched.changes), ("New", watched.new)):
        if said:
            parts.append(_table(title, said, watched.risk_class))
    if watched.refused:
        lines = [f"  {printable(one.company_id)}: {one.reason}" for one in watched.refused]
        parts.append(Text("\n".join(["Not scored:", *lines]) + "\n"))
    shifted = () if watched.drift is None else watched.drift.features
    if any(one.shifted for one in shifted) or (watched.drift and watched.drift.gaps):
        parts.append(_drift_table(watched.drift))
    parts += [Text(line) for line in (_how_known(watched), *watched.notices)]
    return Group(*parts)


def _how_known(watched: Watched) -> str:
    how = {
        "arrival": "when they arrived in the warehouse",
        "publication": "when they were published, as the warehouse was filled since",
    }[watched.known_by]
    return (
        f"Figures count as known from {how}. Of {_count(watched.companies)},"
        f" {watched.arrived:,} had figures arrive since then, {watched.published:,} had figures"
        " published."
    )


def _table(title: str, said: tuple[Watch, ...], risk: str) -> Table:
    view = Table("company", "year", title=title, title_justify="left")
    for heading in (f"{risk} before", "now", "change"):
        view.add_column(heading, justify="right", no_wrap=True)
    view.add_column("said before")
    view.add_column("now")
    for one in said:
        before, few = one.before, " (few ratios)" if one.now.few_ratios else ""
        view.add_row(
            titled(printable(one.company_name), printable(one.company_id)),
            one.now.fiscal_year_end,
            *("-", f"{one.now.risk:.3f}", "new", "-")
            if before is None
            else (
                f"{before.risk:.3f}",
                f"{one.now.risk:.3f}",
                f"{one.rise:+z.3f}",
                before.prediction,
            ),
            one.now.prediction + few,
        )
    return view


def _drift_table(found: Drift | None) -> Table:
    """Features that shifted or are missing more or less often."""
    view = Table("feature", "verdict", title="Inputs against training", title_justify="left")
    for heading in ("rows", "PSI", "KS", "missing", "in training"):
        view.add_column(heading, justify="right")
    for one in found.features if found else ():
        if one.shifted or (found and one in found.gaps):
            view.add_row(
                one.feature,
                one.verdict,
                f"{one.rows:,}",
                "-" if one.psi is None else f"{one.psi:.2f}",
                "-" if one.ks is None else f"{one.ks:.2f}",
                f"{one.missing:.0%}",
                f"{one.missing_training:.0%}",
            )
    return view


FORMATS: dict[str, Callable[[Watched], str | Group]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
    "text": as_text,
}
