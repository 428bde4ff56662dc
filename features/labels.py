"""Three-way labels from insolvency events: bankrupt, distressed, healthy."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Literal

CLASSES = ("bankrupt", "distressed", "healthy")


@dataclass(frozen=True)
class LabelRule:
    """How years are labelled.

    t is the year of a company's first admission to the resolution process that was not withdrawn.
    Admissions of a company within 90 days of each other are one, of the first date.
    Fiscal years t - `window` to t are bankrupt and every other year of that company is distressed.

    Attributes:
        year: t is the "calendar" year of the admission, or the April-to-March "fiscal" year.
        window: years before t that are bankrupt as well.
        restructured_years: a restructuring makes the fiscal year of its date, and the years after
            it up to this count in all, distressed: events carry no end date, and two years is the
            usual moratorium.
        healthy_as_of: take index members of the last list on or before this date, or of any list.
    """

    year: Literal["calendar", "fiscal"] = "calendar"
    window: int = 2
    restructured_years: int = 3
    healthy_as_of: date | None = None

    def words(self) -> str:
        """The rule in one line, for model cards and reports."""
        members = f"the list as of {self.healthy_as_of}" if self.healthy_as_of else "any list"
        return (
            f"bankrupt: fiscal years t-{self.window} to t, t the {self.year} year of the first"
            " admission not withdrawn; distressed: the company's other years and years under a"
            f" restructuring; healthy: Nifty 500 members ({members}) without any recorded event"
        )


def _year_of(column: str, rule: LabelRule) -> str:
    if rule.year == "calendar":
        return f"year({column})"
    return f"year({column} + INTERVAL 9 MONTH)"


def labels_sql(source: str, rule: LabelRule) -> str:
    """Query with one row per labelled row of `source`.

    Columns: company_id, fiscal_year, label, label_known_from (the date of the event that made the
    label; NULL for healthy), post_event (the year ended after the admission).
    """
    t = _year_of("admission.event_date", rule)
    return f"""
WITH dated AS (
    SELECT company_id, event_type, event_date,
        lead(event_type) OVER (
            PARTITION BY company_id ORDER BY event_date, event_type) AS next_type
    FROM (
        SELECT DISTINCT company_id, event_type, event_date FROM event
        WHERE usable AND company_id IS NOT NULL AND event_date IS NOT NULL
            AND event_type IN ('cirp_admission', 'withdrawn')
        -- Two sources may date one admission some days apart: it counts once, from the first.
        QUALIFY NOT coalesce(event_type = 'cirp_admission' AND event_date - lag(event_date) OVER (
            PARTITION BY company_id, event_type ORDER BY event_date) <= 90, false)
    )
), admission AS (
    SELECT company_id, min(event_date) AS event_date
    FROM dated
    WHERE event_type = 'cirp_admission' AND next_type IS DISTINCT FROM 'withdrawn'
    GROUP BY company_id
), restructured AS (
    SELECT s.company_id, s.fiscal_year, min(e.event_date) AS event_date
    FROM event e JOIN {source} s USING (company_id)
    WHERE e.usable AND e.event_type = 'restructuring' AND s.fiscal_year
        BETWEEN {_year_of("e.event_date", LabelRule(year="fiscal"))}
        AND {_year_of("e.event_date", LabelRule(year="fiscal"))} + {rule.restructured_years} - 1
    GROUP BY s.company_id, s.fiscal_year
), healthy AS (
    {_healthy_sql(rule)}
    EXCEPT SELECT company_id FROM event WHERE company_id IS NOT NULL
)
SELECT s.company_id, s.fiscal_year,
    CASE
        WHEN s.fiscal_year BETWEEN {t} - {rule.window} AND {t} THEN 'bankrupt'
        WHEN admission.event_date IS NOT NULL OR r.event_date IS NOT NULL THEN 'distressed'
        ELSE 'healthy'
    END AS label,
    coalesce(admission.event_date, r.event_date) AS label_known_from,
    coalesce(s.fiscal_year_end > admission.event_date, false) AS post_event
FROM {source} s
LEFT JOIN admission USING (company_id)
LEFT JOIN restructured r ON r.company_id = s.company_id AND r.fiscal_year = s.fiscal_year
LEFT JOIN healthy h ON h.company_id = s.company_id
WHERE admission.event_date IS NOT NULL OR r.event_date IS NOT NULL OR h.company_id IS NOT NULL
"""


def _healthy_sql(rule: LabelRule) -> str:
    if rule.healthy_as_of is None:
        return "SELECT company_id FROM company WHERE in_nifty500"
    return (
        "SELECT company_id FROM index_member WHERE index_name = 'nifty500' AND list_date ="
        " (SELECT max(list_date) FROM index_member"
        f" WHERE index_name = 'nifty500' AND list_date <= DATE '{rule.healthy_as_of}')"
    )
