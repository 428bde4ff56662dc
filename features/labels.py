"""Labels from insolvency events: three classes for a year, and whether the company fails within N.

Events are those of the view `event`: usable, dated and known by `as_of`. Two admissions of a
company within 90 days of each other are one, of the first date; an admission that a withdrawal
follows before any other admission is withdrawn.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

from warehouse.errors import InputError

CLASSES = ("bankrupt", "distressed", "healthy")
INDEX = "nifty500"
HORIZONS: tuple[int, ...] = (1, 2, 3)

Value = str | int | date | None


@dataclass(frozen=True)
class Choice:
    """One value of an option and what the rule says with it."""

    value: Value
    says: str


@dataclass(frozen=True)
class Option:
    """One thing that a label rule decides.

    Attributes:
        name: the field of `LabelRule`.
        decides: what it decides, in one line, for `--help` and the docs.
        default: the value that makes the paper's rule.
        choices: values, each with its sentence.
        joint: what joins the sentence to that of the option before, in `LabelRule.words`.
        other: sentence of any other value of the type of `example`, which stands for `{}`;
            empty where there is none.
        example: such a value, for the docs.
    """

    name: str
    decides: str
    default: Value
    choices: tuple[Choice, ...]
    joint: str = "; "
    other: str = ""
    example: Value = None

    @property
    def values(self) -> tuple[Value, ...]:
        """Every value that has a sentence of its own; of the others, the default and an example."""
        listed = tuple(choice.value for choice in self.choices)
        others = (self.default, self.example) if self.other else ()
        return (*listed, *(value for value in others if value not in listed))

    def says(self, value: Value) -> str:
        """The rule's sentence for this value.

        Raises:
            InputError: the option cannot have this value.
        """
        for choice in self.choices:
            if choice.value == value and type(choice.value) is type(value):
                return choice.says
        below_one = isinstance(value, int) and value < 1
        if self.other and type(value) is type(self.example) and not below_one:
            return self.other.format(value)
        raise InputError(f"label rule: {self.name}: expected {self.expected}, got {value!r}")

    @property
    def expected(self) -> str:
        """The values that it can have, in words."""
        listed = [str(choice.value).lower() for choice in self.choices]
        kind = {date: "a date", int: "a whole number from 1"}.get(type(self.example))
        return " or ".join([*listed, kind] if self.other and kind else listed)


# The sentences, one after another, are the rule: `LabelRule.words`.
OPTIONS: tuple[Option, ...] = (
    Option(
        "window",
        "How many years before t are bankrupt as well.",
        2,
        (
            Choice(0, "bankrupt: fiscal year t"),
            Choice(1, "bankrupt: fiscal years t-1 to t"),
            Choice(2, "bankrupt: fiscal years t-2 to t"),
            Choice(3, "bankrupt: fiscal years t-3 to t"),
        ),
    ),
    Option(
        "year",
        "Whether t is the calendar or the fiscal year of the admission.",
        "calendar",
        (
            Choice("calendar", "t the calendar year"),
            Choice("fiscal", "t the fiscal year (April to March)"),
        ),
        joint=", ",
    ),
    Option(
        "admissions",
        "Which admissions make a year t.",
        "first",
        (
            Choice("first", "of the first admission not withdrawn"),
            Choice("each", "of each admission not withdrawn"),
        ),
        joint=" ",
    ),
    Option(
        "restructured_years",
        "How many fiscal years a restructuring lasts: events carry no end date.",
        3,
        (),
        other="distressed: years under a restructuring (its fiscal year and on, {} in all)",
        example=1,
    ),
    Option(
        "distress",
        "What makes the other years of a failing company, and years of index members, distressed.",
        "paper",
        (
            Choice("paper", "the other years of a company so admitted"),
            Choice(
                "rule",
                "the years after the admission of a company so admitted (its other years are"
                " healthy), and any year with net worth below zero, or with interest cover below"
                " one in it and in the year before",
            ),
        ),
        joint=", and ",
    ),
    Option(
        "withdrawn",
        "What a withdrawn admission makes of its year and the window before it.",
        "ignored",
        (
            Choice("ignored", "a withdrawn admission labels nothing"),
            Choice(
                "distressed",
                "the year of a withdrawn admission and the window before it are distressed",
            ),
        ),
    ),
    Option(
        "resolution",
        "What becomes of a failing company after an approved resolution plan.",
        "distressed",
        (
            Choice("distressed", "years after a resolution plan are as any after the admission"),
            Choice(
                "recovers",
                "after an approved resolution plan two fiscal years are distressed and later ones"
                " healthy, until another admission or a liquidation",
            ),
        ),
    ),
    Option(
        "healthy_as_of",
        "Which list of the index healthy companies are on: the last on or before a date, or any.",
        None,
        (Choice(None, "healthy: Nifty 500 members (any list)"),),
        other="healthy: Nifty 500 members (the list as of {})",
        example=date(2021, 12, 31),
    ),
    Option(
        "members",
        "Which years of an index member count.",
        "any",
        (
            Choice("any", "without any recorded event"),
            Choice(
                "year",
                "without any recorded event, in years for which the list in force names them"
                " (years before the first list take the first)",
            ),
        ),
        joint=" ",
    ),
)


@dataclass(frozen=True)
class LabelRule:
    """How years are labelled; the defaults are the paper's rule. See `OPTIONS` and docs/labels.md.

    Attributes:
        year: t is the "calendar" year of an admission, or the April-to-March "fiscal" year.
        window: fiscal years t - `window` to t are bankrupt; 0 to 3.
        distress: "paper": every other year of a failing company is distressed. "rule": its years
            after the admission, and any year that its own accounts call distressed.
        admissions: t is of the "first" admission that was not withdrawn, or of "each".
        withdrawn: a withdrawn admission is "ignored", or makes its year and the window before it
            "distressed"; its company is healthy in neither case.
        resolution: years after a plan stay "distressed", or the company "recovers".
        restructured_years: a restructuring makes the fiscal year of its date, and the years after
            it up to this count in all, distressed: events carry no end date, and two years is the
            usual moratorium.
        healthy_as_of: take index members of the last list on or before this date, or of any list.
        members: "any" year of an index member is healthy, or only a "year" for which the list in
            force names it.

    Raises:
        InputError: an option cannot have this value.
    """

    year: Literal["calendar", "fiscal"] = "calendar"
    window: int = 2
    restructured_years: int = 3
    healthy_as_of: date | None = None
    distress: Literal["paper", "rule"] = "paper"
    admissions: Literal["first", "each"] = "first"
    withdrawn: Literal["ignored", "distressed"] = "ignored"
    resolution: Literal["distressed", "recovers"] = "distressed"
    members: Literal["any", "year"] = "any"

    def __post_init__(self) -> None:
        self.words()

    def words(self) -> str:
        """The rule in one line, for model cards and reports."""
        said = "".join(o.joint + o.says(getattr(self, o.name)) for o in OPTIONS)
        return said.removeprefix(OPTIONS[0].joint)


@dataclass(frozen=True)
class Reason:
    """Why a row has its label: a condition and the date from which it is known, as SQL."""

    name: str
    label: str
    when: str
    known_from: str


# The first that holds makes the label. No row of a failing company is known before its admission,
# unless a restructuring or a withdrawal tells it: but for those the company is not in the data.
REASONS: tuple[Reason, ...] = (
    Reason("window of an admission", "bankrupt", "window_of IS NOT NULL", "window_of"),
    Reason("other year of a failing company", "distressed", "failing", "admitted_on"),
    Reason("restructuring", "distressed", "restructured_on IS NOT NULL", "restructured_on"),
    Reason(
        "window of a withdrawn admission", "distressed", "withdrawn_on IS NOT NULL", "withdrawn_on"
    ),
    Reason(
        "net worth below zero", "distressed", "negative_worth",
        "greatest(available_from, admitted_on)",
    ),
    Reason(
        "interest cover below one twice", "distressed", "low_cover",
        "greatest(available_from, admitted_on)",
    ),
    Reason("after a resolution plan", "healthy", "approved_on IS NOT NULL", "approved_on"),
    Reason("before the admission", "healthy", "admitted_on IS NOT NULL", "admitted_on"),
    Reason("index member", "healthy", "true", "CAST(NULL AS DATE)"),
)  # fmt: skip


def labels_sql(source: str, rule: LabelRule) -> str:
    """Query with one row per labelled row of `source`.

    `source` has company_id, fiscal_year, fiscal_year_end; with distress "rule" also
    shareholders_funds, ebit, finance_costs, prev_ebit, prev_finance_costs; and with that or
    members "year" available_from.

    Columns: company_id, fiscal_year, label, label_known_from (the date of the event that made the
    label, or from which the accounts that made it were available; NULL for healthy index members),
    post_event (the year ended after the first admission), label_reason (a name of `REASONS`),
    rule_met (whether the accounts meet the rule of distress; NULL where they cannot tell, and
    with distress "paper"), member_list (the list that names an index member, with members "year":
    after the year was available where there was no list yet; NULL for others).
    """
    return f"""
WITH {_rows(source)}, {_EVENTS}, {_years_sql(rule)}, {_healthy_sql(rule)},
judged AS ({_judged_sql(rule)})
SELECT company_id, fiscal_year,
    {_first_reason("label", quoted=True)} AS label,
    {_first_reason("known_from")} AS label_known_from,
    post_event,
    {_first_reason("name", quoted=True)} AS label_reason,
    rule_met, member_list
FROM judged
"""


def _first_reason(field: str, quoted: bool = False) -> str:
    values = [(r.when, str(getattr(r, field))) for r in REASONS]
    cases = (f"WHEN {when} THEN " + (f"'{x}'" if quoted else x) for when, x in values)
    return f"CASE {' '.join(cases)} END"


def _rows(source: str) -> str:
    """The rows to label, under a name of ours: no name of a table can be mistaken for a query's."""
    return f"label_row AS NOT MATERIALIZED (FROM {source})"


_EVENTS = """known AS MATERIALIZED (
    SELECT DISTINCT company_id, event_type, event_date FROM event
    WHERE usable AND company_id IS NOT NULL AND event_date IS NOT NULL
), dated AS (
    SELECT company_id, event_type, event_date,
        lead(event_type) OVER along AS next_type, lead(event_date) OVER along AS next_date
    FROM (
        FROM known WHERE event_type IN ('cirp_admission', 'withdrawn')
        -- Two sources may date one admission some days apart: it counts once, from the first.
        QUALIFY NOT coalesce(event_type = 'cirp_admission' AND event_date - lag(event_date) OVER (
            PARTITION BY company_id, event_type ORDER BY event_date) <= 90, false)
    )
    WINDOW along AS (PARTITION BY company_id ORDER BY event_date, event_type)
), counted AS (
    SELECT company_id, event_date FROM dated
    WHERE event_type = 'cirp_admission' AND next_type IS DISTINCT FROM 'withdrawn'
), taken_back AS (
    SELECT company_id, event_date, next_date AS withdrawn_on FROM dated
    WHERE event_type = 'cirp_admission' AND next_type = 'withdrawn'
), first_admission AS (
    SELECT company_id, min(event_date) AS event_date FROM counted GROUP BY company_id
), turn AS (
    -- One row per day on which a company entered its process (again) or left it by a plan: from
    -- its first admission on, and of plans in a row the first.
    SELECT company_id, event_date, event_type = 'resolution_approved' AS approved
    FROM (
        SELECT c.company_id, c.event_date, c.event_type
        FROM (
            SELECT company_id, event_date, 'cirp_admission' AS event_type FROM counted
            UNION ALL
            SELECT company_id, event_date, event_type FROM known
            WHERE event_type IN ('liquidation', 'resolution_approved')
        ) c JOIN first_admission f ON f.company_id = c.company_id AND c.event_date >= f.event_date
        -- On one day a plan follows the admission, and a liquidation the plan.
        QUALIFY row_number() OVER (PARTITION BY c.company_id, c.event_date
            ORDER BY c.event_type = 'liquidation' DESC, c.event_type DESC) = 1
    )
    QUALIFY NOT coalesce(approved
        AND lag(approved) OVER (PARTITION BY company_id ORDER BY event_date), false)
)"""


def _fiscal_year(column: str) -> str:
    return f"year({column} + INTERVAL 9 MONTH)"


def _in_window(column: str, rule: LabelRule) -> str:
    t = f"year({column})" if rule.year == "calendar" else _fiscal_year(column)
    return f"s.fiscal_year BETWEEN {t} - {rule.window} AND {t}"


def _years_sql(rule: LabelRule) -> str:
    """Queries with one row per company and year that events label."""
    bearing = "first_admission" if rule.admissions == "first" else "counted"
    since = _fiscal_year("e.event_date")
    return f"""in_window AS (
    SELECT s.company_id, s.fiscal_year, min(e.event_date) AS window_of
    FROM label_row s JOIN {bearing} e USING (company_id)
    WHERE {_in_window("e.event_date", rule)}
    GROUP BY s.company_id, s.fiscal_year
), restructured AS (
    SELECT s.company_id, s.fiscal_year, min(e.event_date) AS restructured_on
    FROM label_row s JOIN known e USING (company_id)
    WHERE e.event_type = 'restructuring'
        AND s.fiscal_year BETWEEN {since} AND {since} + {rule.restructured_years} - 1
    GROUP BY s.company_id, s.fiscal_year
), withdrawn AS (
    SELECT s.company_id, s.fiscal_year, min(e.withdrawn_on) AS withdrawn_on
    FROM label_row s JOIN taken_back e USING (company_id)
    WHERE {rule.withdrawn == "distressed"} AND {_in_window("e.event_date", rule)}
    GROUP BY s.company_id, s.fiscal_year
), recovered AS (
    -- The year ended after a plan, and so did the two years before it.
    SELECT s.company_id, s.fiscal_year, max(t.event_date) AS approved_on
    FROM label_row s JOIN turn t
        ON t.company_id = s.company_id AND t.event_date < s.fiscal_year_end
    WHERE {rule.resolution == "recovers"}
    GROUP BY s.company_id, s.fiscal_year, s.fiscal_year_end
    HAVING arg_max(t.approved, t.event_date)
        AND max(t.event_date) < s.fiscal_year_end - INTERVAL 2 YEAR
)"""


def _healthy_sql(rule: LabelRule) -> str:
    """`healthy`: index members without any event; `in_force`: the list of each available_from."""
    members = f"""(
        SELECT company_id, {"list_date" if rule.members == "year" else "CAST(NULL AS DATE)"}
            AS member_list
        FROM ({_members_sql(rule)})
    )"""
    healthy = f"healthy AS (SELECT DISTINCT * FROM {members} ANTI JOIN event USING (company_id))"
    if rule.members == "any":
        return healthy
    return f"""{healthy}, list AS (
    SELECT DISTINCT list_date FROM member WHERE index_name = '{INDEX}'
), in_force AS (
    SELECT available_from, coalesce(l.list_date, (SELECT min(list_date) FROM list)) AS list_date
    FROM (SELECT DISTINCT available_from FROM label_row) a
    ASOF LEFT JOIN list l ON a.available_from >= l.list_date
)"""


def _members_sql(rule: LabelRule) -> str:
    """Members of the index and the lists that name them: NULL for a company only flagged."""
    listed = f"SELECT company_id, list_date FROM member WHERE index_name = '{INDEX}'"
    if rule.healthy_as_of is not None:
        return f"""{listed} AND company_id IN (
            SELECT company_id FROM member WHERE index_name = '{INDEX}' AND list_date = (
                SELECT max(list_date) FROM member
                WHERE index_name = '{INDEX}' AND list_date <= DATE '{rule.healthy_as_of}'))"""
    if rule.members == "any":  # a later companies file may say that a company is no member
        listed += " AND company_id IN (SELECT company_id FROM company WHERE in_nifty500)"
    # A company whose lists are all of after `as_of` was no member then.
    return f"""{listed}
        UNION ALL
        SELECT company_id, NULL FROM company WHERE in_nifty500 AND company_id NOT IN (
            SELECT company_id FROM index_member WHERE index_name = '{INDEX}')"""


# NULL where an item that decides is missing; without finance costs there is no cover to fall short.
_LOW_COVER = (
    "s.finance_costs > 0 AND s.prev_finance_costs > 0"
    " AND s.ebit < s.finance_costs AND s.prev_ebit < s.prev_finance_costs"
)


def _judged_sql(rule: LabelRule) -> str:
    """One row per labelled row of the source, with all that the reasons ask for."""
    by_rule = rule.distress == "rule"
    worth, cover = ("s.shareholders_funds < 0", _LOW_COVER) if by_rule else ("false", "false")
    met = f"({worth}) OR ({cover})" if by_rule else "CAST(NULL AS BOOLEAN)"
    after = "s.fiscal_year_end > a.event_date"
    on = "ON {0}.company_id = s.company_id AND {0}.fiscal_year = s.fiscal_year"
    known_from = "s.available_from" if by_rule else "CAST(NULL AS DATE)"
    by_year = rule.members == "year"
    list_join = "LEFT JOIN in_force f ON f.available_from = s.available_from" if by_year else ""
    listed = "AND (h.member_list = f.list_date OR h.member_list IS NULL)" if by_year else ""
    return f"""
    SELECT s.company_id, s.fiscal_year, {known_from} AS available_from,
        a.event_date AS admitted_on, w.window_of, r.restructured_on, b.withdrawn_on, p.approved_on,
        coalesce({after if by_rule else "a.event_date IS NOT NULL"}, false)
            AND p.approved_on IS NULL AS failing,
        {worth} AS negative_worth, {cover} AS low_cover, {met} AS rule_met,
        coalesce({after}, false) AS post_event, h.member_list
    FROM label_row s
    LEFT JOIN first_admission a ON a.company_id = s.company_id
    LEFT JOIN in_window w {on.format("w")}
    LEFT JOIN restructured r {on.format("r")}
    LEFT JOIN withdrawn b {on.format("b")}
    LEFT JOIN recovered p {on.format("p")}
    {list_join}
    LEFT JOIN healthy h ON h.company_id = s.company_id {listed}
    WHERE coalesce(a.event_date, r.restructured_on, b.withdrawn_on) IS NOT NULL
        OR h.company_id IS NOT NULL
"""


def horizons_sql(source: str) -> str:
    """Query with one row per row of `source`: whether the company fails within N years.

    `source` has company_id, fiscal_year, available_from. For each N of `HORIZONS`:
    fails_within_Ny is true if an admission that was not withdrawn falls after available_from and
    on or before N years after it; false if none does and events are known up to that day; else
    NULL: "not yet observed". All are NULL where the company is `already_admitted`: an admission
    stands on or before available_from, and no plan since (a liquidation after a plan undoes it).

    fails_within_Ny_known_from is the admission's date if true, the end of the horizon if false;
    where an admission before that end was withdrawn after it, the date of the withdrawal: until
    then the answer was another.

    Events are known up to `as_of` where that is set, else to the latest event of any company.
    """
    answers = ",\n    ".join(_answer_sql(years) for years in HORIZONS)
    ends = ", ".join(
        f"CAST(s.available_from + INTERVAL {n} YEAR AS DATE) AS end_{n}" for n in HORIZONS
    )
    undone = ", ".join(
        f"max(e.withdrawn_on) FILTER (WHERE e.event_date <= s.available_from + INTERVAL {n} YEAR)"
        f" AS withdrawn_{n}"
        for n in HORIZONS
    )
    key = "s.company_id, s.fiscal_year"
    return f"""
WITH {_rows(source)}, {_EVENTS}, horizon AS (
    SELECT {key}, {ends}, coalesce(CAST(getvariable('as_of') AS DATE),
        (SELECT max(event_date) FROM event)) AS observed_until
    FROM label_row s
), ahead AS (
    SELECT {key}, min(e.event_date) AS admitted_on
    FROM label_row s JOIN counted e USING (company_id)
    WHERE e.event_date > s.available_from GROUP BY {key}
), stands AS (
    SELECT {key} FROM label_row s JOIN turn e USING (company_id)
    WHERE e.event_date <= s.available_from
    GROUP BY {key} HAVING NOT arg_max(e.approved, e.event_date)
), undone AS (
    SELECT {key}, {undone} FROM label_row s JOIN taken_back e USING (company_id) GROUP BY {key}
)
SELECT company_id, fiscal_year, stands.company_id IS NOT NULL AS already_admitted,
    {answers}
FROM horizon
LEFT JOIN ahead USING (company_id, fiscal_year)
LEFT JOIN stands USING (company_id, fiscal_year)
LEFT JOIN undone USING (company_id, fiscal_year)
"""


def _answer_sql(years: int) -> str:
    fails, ended = f"admitted_on <= end_{years}", f"end_{years} <= observed_until"
    case = "CASE WHEN stands.company_id IS NOT NULL THEN NULL"
    return (
        f"{case} WHEN {fails} THEN true WHEN {ended} THEN false END AS fails_within_{years}y,\n"
        f"    {case} WHEN {fails} THEN admitted_on WHEN {ended}"
        f" THEN greatest(end_{years}, withdrawn_{years}) END AS fails_within_{years}y_known_from"
    )


def horizon_reasons_sql(source: str) -> str:
    """Query with one row per NULL of `horizons_sql`: company_id, fiscal_year, code, reason."""
    each = "\nUNION ALL\n".join(
        f"SELECT company_id, fiscal_year, 'fails_within_{years}y' AS code,"
        " CASE WHEN already_admitted THEN 'already admitted' ELSE 'not yet observed' END AS reason"
        f" FROM horizon_label WHERE fails_within_{years}y IS NULL"
        for years in HORIZONS
    )
    return f"WITH horizon_label AS ({horizons_sql(source)})\n{each}"
