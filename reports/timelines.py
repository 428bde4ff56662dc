"""Worked examples of the label rule: made-up companies, labelled under every option and drawn."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from html import escape as xml

import duckdb
import pyarrow as pa

from features.labels import (
    CLASSES,
    HORIZONS,
    OPTIONS,
    REASONS,
    LabelRule,
    Option,
    Value,
    horizons_sql,
    labels_sql,
)
from reports.grid import Column, escape, markdown_table
from reports.style import LIGHT, class_colours
from warehouse import formats, importers, store

YEARS = range(2012, 2026)
NO_LABEL = "–"


@dataclass(frozen=True)
class Example:
    """A made-up company whose years end in March.

    Attributes:
        name: its name.
        story: what befalls it, in a line.
        events: type and date of each event.
        lists: the lists of the index that name it.
        low_cover: years with interest cover below one.
        negative_worth: years with net worth below zero.
    """

    name: str
    story: str
    events: tuple[tuple[str, date], ...] = ()
    lists: tuple[date, ...] = ()
    low_cover: tuple[int, ...] = ()
    negative_worth: tuple[int, ...] = ()

    @property
    def file(self) -> str:
        """Name of its picture."""
        return f"labels_{self.name.lower().replace(' ', '_')}.svg"


EXAMPLES: tuple[Example, ...] = (
    Example(
        "Aruna Castings",
        "Admitted; a resolution plan is approved and the accounts look healthy; admitted again.",
        (
            ("cirp_admission", date(2017, 8, 14)),
            ("resolution_approved", date(2019, 2, 20)),
            ("cirp_admission", date(2024, 5, 20)),
        ),
        low_cover=(2013, 2014, 2016, 2017, 2018),
        negative_worth=(2017, 2018, 2019),
    ),
    Example(
        "Banyan Textiles",
        "Restructured; an admission that is withdrawn; admitted again.",
        (
            ("restructuring", date(2013, 9, 10)),
            ("cirp_admission", date(2018, 11, 20)),
            ("withdrawn", date(2019, 3, 5)),
            ("cirp_admission", date(2021, 6, 15)),
        ),
        low_cover=(2017, 2018, 2020, 2021),
        negative_worth=(2021, 2022),
    ),
    Example(
        "Coral Foods",
        "A member of the index, off its list from 2021, with a spell of losses and no event.",
        lists=(date(2015, 9, 30), date(2018, 9, 28)),
        low_cover=(2017, 2018),
        negative_worth=(2019, 2020),
    ),
    Example(
        "Deodar Papers",
        "A member of the index, restructured; an admission that is withdrawn; nothing since.",
        (
            ("restructuring", date(2014, 2, 12)),
            ("cirp_admission", date(2019, 10, 10)),
            ("withdrawn", date(2021, 2, 14)),
        ),
        lists=(date(2015, 9, 30), date(2018, 9, 28), date(2021, 9, 30)),
    ),
)
LISTS = tuple(sorted({day for example in EXAMPLES for day in example.lists}))
EVENT_WORDS = {
    "cirp_admission": "admitted",
    "resolution_approved": "plan approved",
    "restructuring": "restructured",
    "withdrawn": "withdrawn",
}


@dataclass(frozen=True)
class Variant:
    """A label rule and how it differs from the paper's."""

    name: str
    rule: LabelRule


def _variant(*changes: tuple[str, Value]) -> Variant:
    name = ", ".join(f"{option} = {value}" for option, value in changes)
    return Variant(name, replace(LabelRule(), **dict(changes)))  # type: ignore[arg-type]


def _single(option: Option) -> Iterator[Variant]:
    for value in option.values:
        if value != option.default:
            yield _variant((option.name, value))


# Options that only show beside another one.
_TOGETHER: tuple[tuple[tuple[str, Value], ...], ...] = (
    (("admissions", "each"), ("resolution", "recovers")),
    (("distress", "rule"), ("resolution", "recovers")),
    (("distress", "rule"), ("withdrawn", "distressed")),
    (("distress", "rule"), ("members", "year")),
)
VARIANTS: tuple[Variant, ...] = (
    Variant("the paper's rule", LabelRule()),
    *(variant for option in OPTIONS for variant in _single(option)),
    *(_variant(*changes) for changes in _TOGETHER),
)


@dataclass(frozen=True)
class Row:
    """One line of a company's picture: a letter per fiscal year."""

    name: str
    letters: str


@dataclass(frozen=True)
class Labelled:
    """A company with its labels under each variant, and whether it fails within N years."""

    example: Example
    labels: tuple[Row, ...]
    horizons: tuple[Row, ...]


def body() -> str:
    """Markdown of docs/labels.md, without its title."""
    parts = [_INTRODUCTION, _options(), _columns(), _horizons(), _EXAMPLES]
    return "\n\n".join([*parts, *(_company(found) for found in labelled())])


def pictures() -> dict[str, str]:
    """The pictures of docs/labels.md: file name and SVG."""
    return {found.example.file: _picture(found) for found in labelled()}


@cache
def labelled() -> tuple[Labelled, ...]:
    """The examples, labelled by the program's own queries in a warehouse in memory."""
    with store.in_memory() as connection:
        _load(connection)
        by_rule = {v.name: _letters(connection, _labels_query(v.rule)) for v in VARIANTS}
        horizons = {
            f"fails within {n} year{'s' * (n > 1)}": _letters(connection, _horizon_query(n))
            for n in HORIZONS
        }
    return tuple(Labelled(e, _rows(by_rule, e), _rows(horizons, e)) for e in EXAMPLES)


Letters = dict[tuple[str, int], str]


def _rows(found: dict[str, Letters], example: Example) -> tuple[Row, ...]:
    return tuple(
        Row(name, "".join(letters.get((example.name, y), NO_LABEL) for y in YEARS))
        for name, letters in found.items()
    )


def _load(connection: duckdb.DuckDBPyConnection) -> None:
    tables = (
        (formats.COMPANIES, [_company_row(e) for e in EXAMPLES]),
        (formats.EVENTS, [row for e in EXAMPLES for row in _event_rows(e)]),
        (formats.STATEMENTS, [row for e in EXAMPLES for row in _statement_rows(e)]),
    )
    for kind, rows in tables:
        importers.import_table(connection, kind, pa.Table.from_pylist(rows), f"{kind.kind}.csv")
    connection.execute("CREATE TEMP TABLE example AS FROM statements")


def _company_row(e: Example) -> dict[str, object]:
    lists = ";".join(day.isoformat() for day in e.lists)
    return {"company_id": e.name, "company_name": e.name, "in_nifty500": lists or "false"}


def _event_rows(e: Example) -> list[dict[str, object]]:
    return [
        {"company_id": e.name, "event_type": kind, "event_date": day.isoformat()}
        for kind, day in e.events
    ]


def _statement_rows(e: Example) -> Iterator[dict[str, object]]:
    """Finance costs of 10 a year, and a result before tax of 20, or -5 where cover is low."""
    for year in YEARS:
        items = {
            "shareholders_funds": -40 if year in e.negative_worth else 100,
            "finance_costs": 10,
            "profit_before_tax": -5 if year in e.low_cover else 20,
        }
        for item, value in items.items():
            end = f"{year}-03-31"
            yield {"company_id": e.name, "fiscal_year_end": end, "item": item, "value": value}


def _labels_query(rule: LabelRule) -> str:
    return f"SELECT company_id, fiscal_year, upper(label[1]) FROM ({labels_sql('example', rule)})"


def _horizon_query(years: int) -> str:
    return f"""SELECT company_id, fiscal_year, CASE WHEN already_admitted THEN 'A'
        WHEN fails_within_{years}y THEN 'Y' WHEN NOT fails_within_{years}y THEN 'N' ELSE '?' END
    FROM ({horizons_sql("example")})"""


def _letters(connection: duckdb.DuckDBPyConnection, query: str) -> Letters:
    return {(c, int(y)): letter for c, y, letter in connection.execute(query).fetchall()}


# The page.

_INTRODUCTION = f"""A year of a company is `bankrupt`, `distressed` or `healthy`, or it has no label
and is not in the panel. The rule is put together from the options below. The paper's rule, which
is the default, says:

{"".join(f"- {clause};{chr(10)}" for clause in LabelRule().words().split("; "))[:-2]}.

What holds whatever the options:

- An event counts if it is usable, dated, and matched to a company. With `as_of` set, nothing that
  happened after that day is used: an admission that is withdrawn later still counts.
- Admissions of a company within 90 days of each other are one, of the first date: two sources may
  date one admission some days apart.
- An admission is withdrawn if a withdrawal follows it before any other admission does.
- Petitions, liquidations and resolution plans alone label nothing, but a company with any recorded
  event, usable or not, is not healthy.
- The fiscal year of a date is the one from April to March that contains it, named by the year in
  which it ends. A restructuring always counts so."""


def _table(head: str, rows: Iterable[tuple[str, ...]]) -> str:
    columns = tuple(Column(name) for name in head.split("|"))
    return markdown_table(columns, tuple(rows))


def _options() -> str:
    rows = (
        (f"`{o.name}`", f"`{str(value).lower()}`", escape(o.says(value)), _told(o, value))
        for o in OPTIONS
        for value in o.values
    )
    decides = "\n".join(f"- `{o.name}`: {escape(o.decides)}" for o in OPTIONS)
    return f"""## Options

Each is an option of `python -m features`: see [commands.md](commands.md).

{decides}

{_table("option|value|the rule then says|", rows)}

With "distress = rule", net worth is shareholders' funds and interest cover is earnings before
interest and tax over finance costs, which must be above zero in both years; the year before must
end where this one begins. A year whose accounts do not tell does not meet the rule; such years can
be counted by `rule_met` of `features.labels.labels_sql`, which is NULL for them. Which companies
and years are labelled at all is the same with both values of `distress`.

A fiscal year comes after a plan if it ends after its date: of those the third and later ones are
healthy with "resolution = recovers", unless another reason below makes them distressed. A company
that is only flagged as a member of the index, without the date of a list, counts as a member in all
its years."""


def _told(option: Option, value: Value) -> str:
    if value == option.default:
        return "default"
    listed = any(choice.value == value for choice in option.choices)
    return "" if listed else f"can be {option.expected}"


def _columns() -> str:
    known = {
        "window_of": "the date of the admission",
        "admitted_on": "the date of the first admission",
        "restructured_on": "the date of the restructuring",
        "withdrawn_on": "the date of the withdrawal",
        "greatest(available_from, admitted_on)": "the later of the day from which the accounts were"
        " available and the company's first admission",
        "approved_on": "the date of the plan",
        "CAST(NULL AS DATE)": "empty",
    }
    rows = ((escape(r.name), f"`{r.label}`", known[r.known_from]) for r in REASONS)
    return f"""## Why a year has its label, and from when that is known

The first of these that holds makes the label; the panel's `label_known_from` is the date in the
last column. A year of a failing company is not known before the company's admission even where its
own accounts make the label: but for the admission it would not be in the data.

{_table("label_reason|label|label_known_from", rows)}

`post_event` says that the year ended after the first admission that was not withdrawn. With
"members = year", `member_list` is the date of the list that names the company; it lies after the
year's `available_from` where there was no list yet, so that such years can be counted."""


def _horizons() -> str:
    return """## Whether a company fails within 1, 2 or 3 years

For forecasting, each row also has `fails_within_1y`, `fails_within_2y` and `fails_within_3y`. They
do not depend on the options.

| value | when | `fails_within_Ny_known_from` |
|---|---|---|
| true (Y) | an admission that was not withdrawn falls after `available_from` and on or before N years after it | the date of the admission |
| false (N) | none does, and events are known up to that day: up to `as_of` where it is set, else up to the latest event of any company | N years after `available_from`, or the date of a later withdrawal |
| empty (A), "already admitted" | an admission that was not withdrawn stands on or before `available_from`, and no resolution plan was approved since (a liquidation after the plan undoes it) | empty |
| empty (?), "not yet observed" | else | empty |

A withdrawal that comes after the horizon's end makes the answer false, but not before its own date:
until then the admission counted, and a data set made with `as_of` before it says true. So a row
whose answer is known from a date on or before a day says the same in the data set as of that day.
Deodar Papers below is such a case: whether it fails within a year of its accounts to March 2019 is
settled not on 2020-05-30, when that year is over, but on 2021-02-14, when its admission is withdrawn."""  # noqa: E501


_EXAMPLES = f"""## Worked examples

Four made-up companies with accounts to March of {YEARS[0]} to {YEARS[-1]}, each available 60 days
after the year end. The lists of the index are of {", ".join(str(day) for day in LISTS)}; the latest
event of any company is of {max(day for e in EXAMPLES for _, day in e.events)}. The letters are made
by the program's own queries; {", ".join(f"{c[0].upper()} is {c}" for c in CLASSES)} and {NO_LABEL}
is a year without label. Cells that differ from the paper's rule have a dark frame."""


def _company(found: Labelled) -> str:
    e = found.example
    events = "; ".join(f"{EVENT_WORDS[kind]} {day}" for kind, day in e.events) or "none"
    facts = (
        ("events", events),
        ("named by the lists of", ", ".join(str(day) for day in e.lists) or "none"),
        ("interest cover below one", ", ".join(map(str, e.low_cover)) or "no year"),
        ("net worth below zero", ", ".join(map(str, e.negative_worth)) or "no year"),
    )
    told = "\n".join(f"- {name}: {text}" for name, text in facts)
    rows = ((escape(row.name), *row.letters) for row in (*found.labels, *found.horizons))
    return f"""### {e.name}

{e.story}

{told}

![Labels of {e.name} under each variant of the rule: the table below as a picture]({e.file})

{_table("|".join(["rule", *map(str, YEARS)]), rows)}"""


# The pictures: a column per fiscal year, in which dates stand where they fall.

CELL, ROW, LEFT, TOP = 42, 24, 284, 66
WIDTH = LEFT + CELL * len(YEARS) + 16
_CLASS = class_colours(CLASSES, LIGHT)
_FILL = {
    **{name[0].upper(): (colour, "#000000") for name, colour in _CLASS.items()},
    "H": (_CLASS["healthy"], "#ffffff"),
    NO_LABEL: (LIGHT.paper, LIGHT.quiet),
    "Y": (LIGHT.ink, "#ffffff"),
    "N": (LIGHT.rule, LIGHT.ink),
    "A": (LIGHT.quiet, "#ffffff"),
    "?": (LIGHT.paper, LIGHT.ink),
}
_LIST = (LIGHT.quiet, "2 3")
_LEGEND = (
    ("B", "bankrupt"), ("D", "distressed"), ("H", "healthy"), (NO_LABEL, "no label"),
    ("Y", "fails"), ("N", "does not"), ("A", "already admitted"), ("?", "not yet observed"),
)  # fmt: skip


@dataclass
class _Sheet:
    """SVG elements, one a line."""

    parts: list[str] = field(default_factory=list)

    def text(self, x: float, y: float, said: str, cls: str = "", **more: str) -> None:
        extra = "".join(f' {name.replace("_", "-")}="{value}"' for name, value in more.items())
        named = f' class="{cls}"' if cls else ""
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}"{named}{extra}>{xml(said)}</text>')

    def box(self, x: float, y: float, letter: str, framed: bool = False) -> None:
        fill, ink = _FILL[letter]
        edge = ("#000000", 2) if framed else (LIGHT.rule, 1)
        self.parts.append(
            f'<rect x="{x + 1.5:.1f}" y="{y + 1.5:.1f}" width="{CELL - 3}" height="{ROW - 3}"'
            f' rx="3" fill="{fill}" stroke="{edge[0]}" stroke-width="{edge[1]}"/>'
        )
        self.text(x + CELL / 2, y + ROW / 2 + 4.5, letter, "letter", style=f"fill:{ink}")

    def line(self, x: float, top: float, bottom: float, colour: str, dash: str) -> None:
        self.parts.append(
            f'<line x1="{x:.1f}" y1="{top:.1f}" x2="{x:.1f}" y2="{bottom:.1f}"'
            f' stroke="{colour}" stroke-dasharray="{dash}"/>'
        )


def _at(day: date) -> float:
    """Where a day falls: the column of a fiscal year goes from 1 April to 31 March."""
    return LEFT + CELL * (day - date(YEARS[0] - 1, 4, 1)).days / 365.25


def _picture(found: Labelled) -> str:
    sheet, e = _Sheet(), found.example
    marks = [(day, f"{EVENT_WORDS[kind]} {day}", True) for kind, day in e.events]
    marks += [(day, f"{'on' if day in e.lists else 'not on'} list {day}", False) for day in LISTS]
    marks = sorted(m for m in marks if m[2] or e.lists)
    head = TOP + 15 * len(marks) + 8
    labels = head + 2 * ROW + 4
    horizons = labels + ROW * len(found.labels) + 14
    bottom = horizons + ROW * len(found.horizons)
    sheet.text(16, 28, e.name, "title")
    sheet.text(16, 48, e.story, "quiet")
    heights = [TOP + 15 * place + 10 for place in range(len(marks))]
    for y, (day, _, event) in zip(heights, marks, strict=True):
        sheet.line(_at(day), y - 9, bottom, *((LIGHT.warn, "none") if event else _LIST))
    for y, (day, said, event) in zip(heights, marks, strict=True):
        _mark(sheet, day, said, y, event)
    _head(sheet, e, head)
    _block(sheet, found.labels, labels, found.labels[0].letters)
    _block(sheet, found.horizons, horizons, "")
    return _svg(sheet, e, _legend(sheet, bottom + 14))


def _mark(sheet: _Sheet, day: date, said: str, y: float, event: bool) -> None:
    """What happened on a day, beside its line: on the side where there is room."""
    before = _at(day) > LEFT + 0.6 * (WIDTH - LEFT)
    style = {"text_anchor": "end"} if before else {}
    sheet.text(_at(day) + (-5 if before else 5), y, said, "event" if event else "list", **style)


def _head(sheet: _Sheet, e: Example, y: float) -> None:
    sheet.text(LEFT - 10, y + 16, "fiscal year to March", "name")
    sheet.text(LEFT - 10, y + ROW + 16, "accounts: c cover < 1, w net worth < 0", "name")
    for place, year in enumerate(YEARS):
        middle = LEFT + CELL * (place + 0.5)
        sheet.text(middle, y + 16, str(year), "year")
        told = "c" * (year in e.low_cover) + "w" * (year in e.negative_worth)
        sheet.text(middle, y + ROW + 16, " ".join(told), "year")


def _block(sheet: _Sheet, rows: tuple[Row, ...], y: float, paper: str) -> None:
    for place, row in enumerate(rows):
        top = y + ROW * place
        sheet.text(LEFT - 10, top + 16.5, row.name, "name")
        for column, letter in enumerate(row.letters):
            framed = bool(paper) and letter != paper[column]
            sheet.box(LEFT + CELL * column, top, letter, framed)


def _legend(sheet: _Sheet, y: float) -> float:
    """Two lines of letters and what they mean; gives the height of the picture."""
    for place, (letter, said) in enumerate(_LEGEND):
        x = 16 + 170 * (place % 4)
        top = y + (ROW + 2) * (place // 4)
        sheet.box(x, top, letter)
        sheet.text(x + CELL + 5, top + 16.5, said)
    sheet.text(16, y + 2 * ROW + 22, "A dark frame: not as under the paper's rule.")
    return y + 3 * ROW + 12


def _svg(sheet: _Sheet, e: Example, height: float) -> str:
    style = (
        f"text{{font:12px system-ui,'DejaVu Sans',sans-serif;fill:{LIGHT.ink}}}"
        ".title{font-size:17px;font-weight:700}"
        f".quiet{{fill:{LIGHT.quiet}}}.event{{fill:{LIGHT.warn};font-weight:600}}"
        f".list{{fill:{LIGHT.quiet}}}.name{{text-anchor:end}}.year{{text-anchor:middle}}"
        f".event,.list,.year{{paint-order:stroke;stroke:{LIGHT.paper};stroke-width:4px}}"
        ".letter{text-anchor:middle;font-weight:700}"
    )
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}"'
        f' width="{WIDTH}" height="{height:.0f}" role="img" aria-labelledby="t">',
        f'<title id="t">Labels of {xml(e.name)} (made up) under each variant of the rule</title>',
        f"<style>{style}</style>",
        f'<rect width="{WIDTH}" height="{height:.0f}" rx="8" fill="{LIGHT.paper}"/>',
        *sheet.parts,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"
