"""The report on a data set: what it holds, how far to trust it, what would flatter a model.

`python -m reports --data DIR` writes `data_report.md`, `data_report.html` and `figures/`. Every
figure is counted from the warehouse at that moment; no company is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

from features import dataset
from features.audit import Audit, audit
from features.audit_result import HEADINGS, audit_notes, lines
from features.dataset import PanelRule
from features.labels import CLASSES, HORIZONS, OPTIONS, LabelRule, labels_sql
from features.matching import Matching
from features.ratios import RATIOS
from reports import style
from reports.grid import Cell, Column, Grid, escape, markdown
from reports.page import Shown, drawn, template, write
from reports.style import Theme
from warehouse import store
from warehouse.errors import InputError

WIDEST_GAPS = 15
_KEYS = ["company_id", "fiscal_year"]


@dataclass(frozen=True)
class Facts:
    """What the sections are written from: the panel, and what was counted on the way."""

    connection: duckdb.DuckDBPyConnection
    rule: PanelRule
    name: str
    checks: list[store.CheckResult]
    panel: pd.DataFrame
    reasons: pd.DataFrame
    matching: Matching | None
    unmatched: str
    audit: Audit

    @property
    def simulated(self) -> bool:
        """Whether any company is made up."""
        return bool(self.panel["simulated"].any())

    @property
    def failed(self) -> str:
        """How many checks of severity error found a row that fails, of how many."""
        errors = [r for r in self.checks if r.check.severity == "error"]
        return f"{sum(1 for r in errors if r.failed)} of {len(errors)}"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query on the warehouse."""
        return [tuple(row) for row in self.connection.execute(sql).fetchall()]


@dataclass(frozen=True)
class Section:
    """A heading, what to read in it, its table, and its picture."""

    title: str
    says: Callable[[Facts], str] = field(repr=False)
    grid: Callable[[Facts], Grid | None] = field(repr=False)
    draw: Callable[[Facts, Theme], Figure] | None = field(default=None, repr=False)


def _grid(head: str, rows: Iterable[Sequence[object]], notes: Sequence[str] = ()) -> Grid:
    """A table; a heading that ends in `#` is of figures."""
    columns = tuple(Column(name.rstrip("#"), name.endswith("#")) for name in head.split("|"))
    return Grid(columns, tuple(tuple(Cell(_shown(c)) for c in row) for row in rows), tuple(notes))


def _shown(value: object) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if isinstance(value, int | np.integer):
        return f"{int(value):,}"
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def _per_cent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.2f} %" if whole else "–"


def _holdings(facts: Facts) -> Grid:
    queries = (
        ("companies", "SELECT count(*) FROM company"),
        ("of them banks, NBFCs and insurers",
         "SELECT count(*) FROM company_kind('statements') WHERE is_financial"),
        ("reported cells", "SELECT count(*) FROM statement_line"),
        ("company-years", "SELECT count(*) FROM statements"),
        ("first and last fiscal year",
         "SELECT min(fiscal_year) || ' to ' || max(fiscal_year) FROM statements"),
        ("companies whose years are consolidated",
         "SELECT count(DISTINCT company_id) FROM statements WHERE basis = 'consolidated'"),
        ("insolvency events", "SELECT count(*) FROM insolvency_event"),
        ("of them usable, with a date and a company",
         "SELECT count(*) FROM event WHERE usable AND event_date IS NOT NULL"
         " AND company_id IS NOT NULL"),
        ("index lists", "SELECT count(DISTINCT list_date) FROM index_member"),
    )  # fmt: skip
    rows = [(name, facts.rows(sql)[0][0]) for name, sql in queries]
    rows += [
        ("panel rows", len(facts.panel)),
        ("panel companies", facts.panel["company_id"].nunique()),
    ]
    return _grid("|count#", rows)


def _by_source(facts: Facts) -> Grid:
    rows = facts.rows(
        "SELECT source, count(*), count(DISTINCT company_id), min(year(fiscal_year_end)),"
        " max(year(fiscal_year_end)), count(*) FILTER (WHERE note = 'proxy'),"
        " count(filed_at) FROM statement_line GROUP BY source ORDER BY count(*) DESC, source"
    )
    return _grid(
        "source|cells#|companies#|first year#|last year#|estimates#|with a filing date#",
        [(source, cells, n, str(a), str(b), proxies, dated)
         for source, cells, n, a, b, proxies, dated in rows],
    )  # fmt: skip


def _class_table(facts: Facts) -> Grid:
    counts = pd.crosstab(facts.panel["fiscal_year"], facts.panel["label"])
    counts = counts.reindex(columns=list(CLASSES), fill_value=0)
    rows = [(str(year), *(int(n) for n in row), int(row.sum())) for year, row in counts.iterrows()]
    rows.append(("all", *(int(counts[c].sum()) for c in CLASSES), len(facts.panel)))
    companies = facts.panel.groupby("label")["company_id"].nunique()
    rows.append(
        ("companies", *(int(companies.get(c, 0)) for c in CLASSES),
         facts.panel["company_id"].nunique())
    )  # fmt: skip
    return _grid("fiscal year|" + "|".join(f"{c}#" for c in CLASSES) + "|rows#", rows)


def _draw_classes(facts: Facts, theme: Theme) -> Figure:
    counts = pd.crosstab(facts.panel["fiscal_year"], facts.panel["label"])
    figure = style.canvas(3.6)
    axes = figure.subplots()
    colours, bottom = style.class_colours(CLASSES, theme), np.zeros(len(counts))
    for name in CLASSES:
        values = counts.get(name, pd.Series(0, index=counts.index)).to_numpy(dtype=float)
        axes.bar(counts.index, values, bottom=bottom, color=colours[name], label=name, width=0.8)
        bottom += values
    style.only_grid(axes, "y")
    axes.legend(ncols=3, loc="upper left")
    axes.set_ylim(0, bottom.max() * 1.18)
    share = (facts.panel["label"] == "bankrupt").mean()
    under = f"{len(facts.panel):,} rows, {100 * share:.1f} % of them bankrupt"
    style.dress(figure, "Rows per fiscal year and class", under, facts.name, facts.simulated, theme)
    return figure


def _check_table(facts: Facts) -> Grid:
    return _grid(
        "check|severity|asserts|judged#|failed#|pass rate#",
        [(r.check.name, r.check.severity, r.check.asserts, r.judged, r.failed,
          _per_cent(r.judged - r.failed, r.judged)) for r in facts.checks],
    )  # fmt: skip


def _disagreements(facts: Facts) -> Grid | None:
    rows = facts.rows(
        "SELECT source, other_source, count(*), count(*) FILTER (WHERE abs(relative) <= 0.01),"
        " count(*) FILTER (WHERE factor IS NULL AND abs(relative) > 0.01),"
        " count(factor), array_to_string(list_sort(list(DISTINCT factor::BIGINT)), ', ')"
        " FROM disagreement GROUP BY source, other_source"
        " ORDER BY count(*) DESC, source, other_source"
    )
    if not rows:
        return None
    head = "source|other source|cells that differ#|by up to 1 %#|by more#|by a factor#|factors"
    return _grid(head, rows)


def _says_disagreements(facts: Facts) -> str:
    shared = facts.rows(
        "SELECT count(*) FROM (SELECT company_id, fiscal_year_end, basis, item FROM ranked_cell"
        " GROUP BY ALL HAVING min(source) <> max(source))"
    )[0][0]
    corrected = facts.rows("SELECT count(*) FROM ranked_cell WHERE corrected")[0][0]
    known = facts.rows("SELECT count(*) FROM correction")[0][0]
    return (
        f"Cells that two sources or more tell: {shared:,}. Pairs that differ by more than rounding"
        f" are kept in the table disagreement, with a mistake of scale named where one explains"
        f" them. Known errors of sources (corrections): {known:,}; figures that still were wrong"
        f" and were replaced: {corrected:,}."
    )


def _coverage(facts: Facts) -> pd.DataFrame:
    """Share of rows that have a value: ratios down, classes across, in per cent."""
    codes = [r.code for r in RATIOS]
    shares = 100 * facts.panel[codes].notna().groupby(facts.panel["label"]).mean().T
    return shares.reindex(columns=[c for c in CLASSES if c in shares])


def _coverage_table(facts: Facts) -> Grid:
    shares = _coverage(facts)
    gaps = (shares.max(axis=1) - shares.min(axis=1)).sort_values(ascending=False, kind="stable")
    names = {r.code: r.name for r in RATIOS}
    rows = [
        (code, names[code], *(f"{x:.0f} %" for x in shares.loc[code]), f"{gaps[code]:.0f}")
        for code in map(str, gaps.head(WIDEST_GAPS).index)
    ]
    rows.append(("all 62", "mean", *(f"{x:.0f} %" for x in shares.mean()), ""))
    head = "ratio|name|" + "|".join(f"{c}#" for c in shares.columns) + "|gap in points#"
    return _grid(head, rows)


def _coverage_by_year(facts: Facts) -> Grid:
    codes = [r.code for r in RATIOS]
    have = facts.panel[codes].notna().mean(axis=1)
    shares = 100 * have.groupby([facts.panel["fiscal_year"], facts.panel["label"]]).mean().unstack()
    shares = shares.reindex(columns=list(CLASSES))
    rows = [
        (str(year), *("–" if x != x else f"{x:.0f} %" for x in row))
        for year, row in zip(shares.index, shares.to_numpy(), strict=True)
    ]
    return _grid("fiscal year|" + "|".join(f"{c}#" for c in CLASSES), rows)


def _draw_coverage(facts: Facts, theme: Theme) -> Figure:
    shares = _coverage(facts)
    figure = style.canvas(8.6)
    axes = figure.subplots()
    colours = style.class_colours(CLASSES, theme)
    places = np.arange(len(shares))
    low, high = shares.min(axis=1).to_numpy(), shares.max(axis=1).to_numpy()
    axes.hlines(places, low, high, color=theme.rule, linewidth=3)
    for name, mark in zip(shares.columns, "osD", strict=False):
        axes.plot(shares[name], places, mark, color=colours[str(name)], label=name, markersize=4)
    axes.set_yticks(places, list(shares.index), fontsize=7)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlabel("rows that have a value, per cent")
    style.only_grid(axes, "x")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    style.dress(figure, "Coverage of each ratio by class", "A gap between classes tells a model the"
                " class without a figure", facts.name, facts.simulated, theme)  # fmt: skip
    return figure


def _reason_table(facts: Facts) -> Grid:
    found = facts.reasons.groupby("reason").agg(cells=("rows", "sum"), ratios=("code", "nunique"))
    found = found.sort_values(["cells", "reason"], ascending=[False, True]).head(12)
    cells = len(facts.panel) * len(RATIOS)
    return _grid(
        "why a ratio is NULL|ratios#|cells#|of all cells#",
        [(reason, int(row["ratios"]), int(row["cells"]), _per_cent(row["cells"], cells))
         for reason, row in found.iterrows()],
    )  # fmt: skip


def _periods(facts: Facts) -> Grid:
    rows = facts.rows(
        "SELECT months || ' months', count(*), count(DISTINCT company_id),"
        " count(*) FILTER (WHERE prev_fiscal_year_end IS NULL),"
        " count(DISTINCT month(fiscal_year_end)) FROM statements"
        " GROUP BY months ORDER BY count(*) DESC, months"
    )
    return _grid(
        "period|years#|companies#|no period ends where it begins#|months it ends in#", rows
    )


def _variants(facts: Facts) -> Grid:
    """Rows per class under each option of the label rule, one changed at a time."""
    rules = [("the paper's rule", LabelRule())]
    for option in OPTIONS:
        rules += [
            (f"{option.name} = {value}", replace(LabelRule(), **cast(Any, {option.name: value})))
            for value in option.values
            if value != option.default and (value is not None)
        ]
    rows = []
    with store.known_on(facts.connection, facts.rule.as_of, facts.rule.vintage):
        keys = pa.Table.from_pandas(
            facts.panel[["company_id", "fiscal_year"]], preserve_index=False
        )
        dataset.materialise(facts.connection)
        facts.connection.register("panel_keys", keys)
        for name, rule in rules:
            counts = Counter(dict(facts.rows(
                f"SELECT label, count(*) FROM ({labels_sql('yearly', rule)})"
                " SEMI JOIN panel_keys USING (company_id, fiscal_year) GROUP BY label"
            )))  # fmt: skip
            rows.append((name, *(counts[c] for c in CLASSES), counts.total()))
        facts.connection.unregister("panel_keys")
    return _grid("rule|" + "|".join(f"{c}#" for c in CLASSES) + "|rows#", rows)


def _horizons(facts: Facts) -> Grid:
    rows = []
    for years in HORIZONS:
        values = facts.panel[f"fails_within_{years}y"]
        known = values.dropna().astype(bool)
        rows.append((f"{years} y", int(known.sum()), int((~known).sum()), int(values.isna().sum()),
                     _per_cent(known.sum(), len(known))))  # fmt: skip
    return _grid("admitted within|fails#|survives#|not known#|share that fails#", rows)


def _balance(facts: Facts) -> Grid | None:
    if facts.matching is None:
        return None
    frame = facts.matching.balance
    head = "|".join(
        str(name).replace("_", " ") + ("" if frame[name].dtype == object or
                                       str(frame[name].dtype).startswith("str") else "#")
        for name in frame.columns
    )  # fmt: skip
    reasons = facts.matching.unmatched.groupby("reason").size()
    notes = [f"{n:,} failing companies: {reason}" for reason, n in reasons.items()]
    return _grid(head, frame.itertuples(index=False, name=None), notes)


def _says_balance(facts: Facts) -> str:
    if facts.matching is None:
        return f"No controls could be matched: {facts.unmatched}."
    return (
        f"{facts.matching.words()}. A standardised mean difference is the difference of means in"
        " standard deviations; beyond 0.1 the groups are commonly called unlike (Austin 2009). What"
        " remains after matching is what a model can read without any sign of distress."
    )


def _audit_table(facts: Facts) -> Grid:
    rows = [
        (line.title, f"{line.auc} ({line.span})" if line.span else line.auc,
         line.balanced_accuracy, line.macro_f1, line.remark)
        for line in lines(facts.audit)
    ]  # fmt: skip
    last = len(HEADINGS) - 1
    head = "|".join(f"{name}#" if 0 < n < last else name for n, name in enumerate(HEADINGS))
    return _grid(head, rows, audit_notes(facts.audit))


def _says_audit(facts: Facts) -> str:
    if all(row.figures is None for row in facts.audit.rows):
        return f"No probe could be run: {facts.audit.rows[0].reason}."
    if not facts.audit.warnings:
        return "Nothing that is no account tells the classes apart to speak of."
    return "Warnings: " + " ".join(f"{warning}." for warning in facts.audit.warnings)


def _says(text: str) -> Callable[[Facts], str]:
    return lambda facts: text


SECTIONS: tuple[Section, ...] = (
    Section(
        "What it holds",
        _says("The warehouse, and the panel that is built from it by the rule above."),
        _holdings,
    ),
    Section(
        "Sources",
        _says(
            "Cells of each source. An estimate is a figure that its source worked out from others;"
            " without a filing date a figure counts as known 60 days after the year end."
        ),
        _by_source,
    ),
    Section(
        "Rows per year and class",
        _says(
            "A year that holds rows of one class tells that class to whatever sees the year or"
            " something that stands for it, as macro values do."
        ),
        _class_table,
        _draw_classes,
    ),
    Section(
        "Data checks",
        _says(
            "Sums may differ by 1 % or by rounding. A row that fails is kept and flagged in the"
            " panel's column failed_checks; checks of severity warning have innocent causes too."
        ),
        _check_table,
    ),
    Section("Sources that disagree", _says_disagreements, _disagreements),
    Section(
        "Periods",
        _says(
            "Flows of odd periods stay as reported unless the panel is built with --flows annual."
            " Where no period ends where one begins, what needs the year before is NULL."
        ),
        _periods,
    ),
    Section(
        "Coverage by class",
        _says(f"The {WIDEST_GAPS} ratios that the classes differ in most."),
        _coverage_table,
        _draw_coverage,
    ),
    Section(
        "Coverage by year and class",
        _says("Mean share of the 62 ratios that have a value."),
        _coverage_by_year,
    ),
    Section("Why values are missing", _says("The most frequent reasons."), _reason_table),
    Section(
        "Labels under other rules",
        _says("Rows of this panel per class, with one option of the rule changed at a time."),
        _variants,
    ),
    Section(
        "Forecast horizons",
        _says(
            "Whether a company is admitted within so many years of the day on which the row was"
            " available. Not known: the horizon is not over, or the company was admitted before."
        ),
        _horizons,
    ),
    Section("Failing companies and their controls", _says_balance, _balance),
    Section("Leak audit", _says_audit, _audit_table),
)


def gather(connection: duckdb.DuckDBPyConnection, rule: PanelRule, name: str, seed: int) -> Facts:
    """Build the panel, run the checks, match and audit.

    Raises:
        InputError: no row can be labelled.
    """
    checks = store.run_checks(connection)
    batches = list(dataset.batches(connection, rule, with_reasons=True))
    table = pa.concat_tables([batch.table for batch in batches])
    matching, unmatched = None, ""
    try:
        kept, matching = dataset.matched(table, replace(rule, matched=rule.matched or 3))
        table = kept if rule.matched else table
    except InputError as error:
        unmatched = str(error)
    panel = table.to_pandas()
    reasons = pa.concat_tables([batch.reasons for batch in batches]).to_pandas()
    found = audit(panel, dataset.feature_names(rule.features), seed=seed)
    return Facts(connection, rule, name, checks, panel, reasons, matching, unmatched, found)


def write_data_report(
    connection: duckdb.DuckDBPyConnection,
    out: Path,
    rule: PanelRule,
    name: str,
    command: str,
    seed: int = 0,
) -> None:
    """Write `data_report.md`, `data_report.html` and `figures/` into a folder.

    Args:
        connection: an open warehouse that may be written to: the data checks run first.
        out: the folder.
        rule: how the panel is built.
        name: what the data are called in the report.
        command: how the report was made.
        seed: of the audit's folds.

    Raises:
        InputError: no row can be labelled, or the folder cannot be written to.
    """
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: a folder was expected, this is a file")
    facts = gather(connection, rule, name, seed)
    head = [f"Data: {name}.", f"Rule: {rule.words()}.", f"Made by: {command}"]
    text, shown = [], []
    for number, section in enumerate(SECTIONS):
        said, grid = section.says(facts), section.grid(facts)
        picture = _picture(section, facts, out / "figures", number)
        text.append(_markdown(section, said, grid, picture is not None, number))
        shown.append((section.title, said, grid, picture))
    banner = "**SIMULATED companies: these figures say nothing about any real company.**\n\n"
    lead = (banner if facts.simulated else "") + "\n\n".join(escape(line) for line in head)
    whole = f"# Report on a data set\n\n{lead}\n\n" + "\n".join(text)
    write(out / "data_report.md", whole.encode())
    write(out / "data_report.html", _page(facts, head, shown).encode())


def _file(number: int, section: Section) -> str:
    return f"{number + 1:02}_{section.title.lower().replace(' ', '_')}"


def _markdown(section: Section, said: str, grid: Grid | None, drawn: bool, number: int) -> str:
    picture = f"![{section.title}](figures/{_file(number, section)}.png)\n\n" if drawn else ""
    table = markdown(grid) if grid is not None else ""
    return f"## {section.title}\n\n{escape(said)}\n\n{picture}{table}\n"


def _picture(section: Section, facts: Facts, folder: Path, number: int) -> Shown | None:
    """Write the section's picture; None where it has none."""
    draw = section.draw
    if draw is None:
        return None
    path = folder / f"{_file(number, section)}.png"
    return drawn(section.title, lambda theme: draw(facts, theme), path)


def _page(facts: Facts, head: list[str], sections: list[Any]) -> str:
    return template("data.html.jinja").render(
        facts=facts,
        head=head,
        sections=sections,
        light=list(style.class_colours(CLASSES, style.LIGHT).values()),
        dark=list(style.class_colours(CLASSES, style.DARK).values()),
    )
