"""What the page shows of the data: checks, gaps, sources, and what the scrapers did."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

import duckdb
import pandas as pd

from features.dataset import materialise, null_reasons_sql
from features.ratios import RATIOS, ratios_sql
from warehouse import store

MOST_RUNS = 200
MOST_QUARANTINED = 500
LONGEST_CONTENT = 200

HOLDINGS: tuple[tuple[str, str], ...] = (
    ("Companies", "SELECT count(*) FROM company"),
    (
        "Company-years",
        "SELECT count(*) FROM (SELECT DISTINCT company_id, fiscal_year_end FROM statement_line)",
    ),
    ("Reported figures", "SELECT count(*) FROM statement_line"),
    ("Insolvency events", "SELECT count(*) FROM event WHERE usable AND company_id IS NOT NULL"),
)


@dataclass(frozen=True)
class Gaps:
    """Why ratios are missing, over all company-years of a warehouse.

    Attributes:
        reasons: Why, Cells, Share (per cent of all ratios of all years).
        ratios: Ratio, Name, Computed (per cent of the years), Most frequent reason.
        years: company-years.
    """

    reasons: pd.DataFrame
    ratios: pd.DataFrame
    years: int


def holdings(connection: duckdb.DuckDBPyConnection) -> tuple[tuple[str, int], ...]:
    """How much there is: name and count."""
    rows = ((name, store.one_row(connection, sql)) for name, sql in HOLDINGS)
    return tuple((name, 0 if row is None else int(row[0])) for name, row in rows)


def pass_rates(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Every data check run now, written nowhere: what it asserts and how many years pass.

    Columns: Check, Severity, Asserts, Judged, Failed, Passed (per cent; NaN where none was judged).
    """
    rows = [
        (one.check.name, one.check.severity, one.check.asserts, one.judged, one.failed)
        for one in store.count_checks(connection)
    ]
    table = pd.DataFrame(rows, columns=["Check", "Severity", "Asserts", "Judged", "Failed"])
    passed = 100 * (1 - table["Failed"] / table["Judged"].where(table["Judged"] > 0))
    return table.assign(Passed=passed)


def gaps(connection: duckdb.DuckDBPyConnection) -> Gaps:
    """Why ratios could not be computed, over all years of all companies."""
    counts: Counter[tuple[str, str]] = Counter()
    years = 0
    for _ in store.parts(connection):
        materialise(connection)
        row = store.one_row(connection, "SELECT count(*) FROM yearly")
        years += int(row[0]) if row else 0
        found = connection.execute(
            f"SELECT code, reason, count(*) FROM ({null_reasons_sql()}) GROUP BY ALL"
        ).fetchall()
        for code, reason, rows in found:
            counts[code, reason] += rows
    return Gaps(_by_reason(counts, years), _by_ratio(counts, years), years)


def _by_reason(counts: Counter[tuple[str, str]], years: int) -> pd.DataFrame:
    reasons: Counter[str] = Counter()
    for (_, reason), n in counts.items():
        reasons[reason] += n
    cells = max(1, years * len(RATIOS))
    rows = [(reason, n, 100 * n / cells) for reason, n in reasons.most_common()]
    return pd.DataFrame(rows, columns=["Why", "Cells", "Share"])


def _by_ratio(counts: Counter[tuple[str, str]], years: int) -> pd.DataFrame:
    rows = []
    for ratio in RATIOS:
        own = Counter({why: n for (code, why), n in counts.items() if code == ratio.code})
        share = 100 * (1 - own.total() / years) if years else float("nan")
        most = own.most_common(1)
        rows.append((ratio.code, ratio.name, share, most[0][0] if most else ""))
    return pd.DataFrame(rows, columns=["Ratio", "Name", "Computed", "Most frequent reason"])


def coverage_by_year(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Of each fiscal year the companies, and the mean share of the 62 ratios, in per cent."""
    totals: dict[int, tuple[int, float]] = {}
    for _ in store.parts(connection):
        materialise(connection)
        found = connection.execute(
            f"SELECT fiscal_year, count(*), sum(1 - n_missing / {len(RATIOS)})"
            f" FROM ({ratios_sql('yearly')}) GROUP BY fiscal_year"
        ).fetchall()
        for year, companies, shares in found:
            before = totals.get(int(year), (0, 0.0))
            totals[int(year)] = (before[0] + companies, before[1] + float(shares))
    rows = [(year, n, 100 * total / n) for year, (n, total) in sorted(totals.items())]
    return pd.DataFrame(rows, columns=["Fiscal year", "Companies", "Ratios computed"])


def sources(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Figures, companies and years of each source."""
    return connection.execute(
        "SELECT source AS Source, count(*) AS Figures, count(DISTINCT company_id) AS Companies,"
        ' min(year(fiscal_year_end)) AS "First year", max(year(fiscal_year_end)) AS "Last year",'
        " count(*) FILTER (WHERE note = 'proxy') AS Estimates,"
        ' count(filed_at) AS "With a filing date"'
        " FROM statement_line GROUP BY source ORDER BY Figures DESC, Source"
    ).fetch_df()


def disagreements(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Pairs of sources that differed by more than rounding when the checks last ran."""
    return connection.execute(
        'SELECT source AS Source, other_source AS "Other source", count(*) AS "Cells that differ",'
        ' count(*) FILTER (WHERE abs(relative) <= 0.01) AS "By up to 1 %",'
        ' count(factor) AS "By a factor of scale"'
        " FROM disagreement GROUP BY ALL ORDER BY 3 DESC, 1, 2"
    ).fetch_df()


@dataclass(frozen=True)
class RunLine:
    """One run of a command that changed the warehouse."""

    started: pd.Timestamp
    seconds: float
    command: str
    outcomes: tuple[dict[str, Any], ...]
    notices: tuple[str, ...]

    @property
    def state(self) -> str:
        """Done, or how many sources failed."""
        bad = [o for o in self.outcomes if o.get("state") in ("failed", "partial")]
        return f"{len(bad)} of {len(self.outcomes)} not whole" if bad else "done"


def runs(connection: duckdb.DuckDBPyConnection) -> tuple[RunLine, ...]:
    """The latest runs, newest first."""
    found = connection.execute(
        "SELECT started_at, epoch(finished_at) - epoch(started_at), command, summary FROM run"
        " ORDER BY started_at DESC LIMIT ?",
        [MOST_RUNS],
    ).fetchall()
    return tuple(
        RunLine(pd.Timestamp(at), float(seconds), str(command), *_summary(str(text)))
        for at, seconds, command, text in found
    )


def _summary(text: str) -> tuple[tuple[dict[str, Any], ...], tuple[str, ...]]:
    """Files of an import or sources of a scrape, and lines to read."""
    try:
        value = json.loads(text)
    except ValueError:
        return (), (text[:LONGEST_CONTENT],)
    if isinstance(value, list):
        return tuple(one for one in value if isinstance(one, dict)), ()
    if not isinstance(value, dict):
        return (), ()
    told = tuple(one for one in value.get("sources", []) if isinstance(one, dict))
    return told, tuple(str(line) for line in value.get("notices", []))


def runs_table(lines: tuple[RunLine, ...]) -> pd.DataFrame:
    """One row a run, newest first."""
    rows = [
        (line.started, line.command, line.state, len(line.outcomes), _rows(line), line.seconds)
        for line in lines
    ]
    names = ["Started", "Command", "State", "Sources or files", "Rows", "Seconds"]
    return pd.DataFrame(rows, columns=names)


def _rows(line: RunLine) -> int:
    return sum(int(one["rows"]) for one in line.outcomes if isinstance(one.get("rows"), int))


_SHOWN = (
    ("source", "Source"), ("file", "File"), ("state", "State"), ("rows", "Rows"), ("new", "New"),
    ("changed", "Changed"), ("quarantined", "Quarantined"), ("snapshots", "Fetched"),
    ("reused", "Not fetched again"), ("failed_documents", "Failed documents"),
    ("failed_checks", "Failed checks"), ("seconds", "Seconds"), ("messages", "Messages"),
)  # fmt: skip


def outcomes_table(line: RunLine) -> pd.DataFrame:
    """One row a source or file of a run; columns that none of them has are left out."""
    names = {key for one in line.outcomes for key in one}
    shown = [(key, title) for key, title in _SHOWN if key in names]
    return pd.DataFrame(
        [[_cell(one.get(key)) for key, _ in shown] for one in line.outcomes],
        columns=[title for _, title in shown],
    )


def _cell(value: object) -> object:
    return "; ".join(str(part) for part in value) if isinstance(value, list) else value


def crawls(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Of each source its crawls, the last of them, and what that gave."""
    return connection.execute(
        'SELECT source AS Source, count(*) AS Crawls, max(crawl) AS "Last crawl",'
        ' arg_max(rows, crawl) AS "Rows of the last",'
        ' make_timestamp(max(loaded_until)) AS "Loaded until (UTC)"'
        " FROM crawl GROUP BY source ORDER BY source"
    ).fetch_df()


def quarantine(connection: duckdb.DuckDBPyConnection) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows that were not loaded: counts by source and reason, and the latest of them."""
    counts = connection.execute(
        "SELECT source AS Source, reason AS Reason, count(*) AS Rows FROM quarantine"
        " GROUP BY ALL ORDER BY Rows DESC, Source, Reason LIMIT ?",
        [MOST_QUARANTINED],
    ).fetch_df()
    rows = connection.execute(
        "SELECT q.source AS Source, q.reason AS Reason, s.name AS Document,"
        ' row_number AS "Row", left(content, ?) AS Content'
        " FROM quarantine q LEFT JOIN snapshot s USING (snapshot_id)"
        " ORDER BY snapshot_id DESC, row_number LIMIT ?",
        [LONGEST_CONTENT, MOST_QUARANTINED],
    ).fetch_df()
    return counts, rows
