"""What the page shows of companies: queries on an open warehouse, read only, into plain values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd

from features.dataset import SIMULATED, PanelRule, materialise
from features.labels import LabelRule, labels_sql
from features.ratios import RATIOS, ratios_sql
from warehouse import store
from warehouse.errors import InputError

MOST_FOUND = 50
MOST_WORDS = 8
LONGEST_SEARCH = 100
ALIKE = 0.85  # Jaro-Winkler similarity from which a misspelt name is offered
MOST_YEARS = PanelRule().most_years
FEW_PEERS = 5  # companies: of fewer a median says little
ALL_SECTORS = ""
# Liquidity, debt, what it earns, and what it earns in cash.
FIRST_RATIOS = ("X1", "X13", "X12", "X35")
RATIO_NAMES = {ratio.code: ratio.name for ratio in RATIOS}


@dataclass(frozen=True)
class Company:
    """Who a company is; texts are as they were loaded, None where nothing was."""

    company_id: str
    name: str
    symbol: str | None = None
    isin: str | None = None
    cin: str | None = None
    sector: str | None = None
    years: int = 0

    @property
    def title(self) -> str:
        """Name and symbol, or the id where there is no name."""
        return self.name if self.symbol is None else f"{self.name} · {self.symbol}"


@dataclass(frozen=True)
class History:
    """What a warehouse says of a company, oldest year first.

    Attributes:
        company: who it is.
        ratios: fiscal_year, fiscal_year_end, basis, months, source, n_missing and X1 to X62; the
            last ten years.
        labels: fiscal_year, label, label_reason; years that the label rule labels.
        events: event_date, event_type, source, confidence, usable.
        simulated: whether any of its years is made up.
    """

    company: Company
    ratios: pd.DataFrame
    labels: pd.DataFrame
    events: pd.DataFrame
    simulated: bool


Stamp = tuple[str, float, int]


def stamp(path: Path) -> Stamp:
    """What tells a file from a later one of that name: a key for what was read from it.

    Of a warehouse the log beside it counts too: it holds what is not in the file yet.
    """
    log = path.with_name(f"{path.name}.wal")
    facts = [each.stat() for each in (path, log) if each.exists()]
    return (str(path), max((f.st_mtime for f in facts), default=0.0), sum(f.st_size for f in facts))


def size(connection: duckdb.DuckDBPyConnection) -> tuple[int, bool]:
    """Companies of a warehouse, and whether any of its figures is made up."""
    row = store.one_row(
        connection,
        "SELECT (SELECT count(*) FROM company),"
        f" EXISTS (FROM statement_line WHERE source = '{SIMULATED}')",
    )
    return (0, False) if row is None else (int(row[0]), bool(row[1]))


_KNOWN = """
SELECT company_id, company_name, nse_symbol, isin, cin, sector,
    lower(coalesce(company_name, company_id)) AS said,
    (SELECT min(CASE WHEN lower(alias) = $text THEN 0 ELSE 1 END) FROM alias a
     WHERE a.company_id = c.company_id AND contains(lower(a.alias), $text)) AS by_alias
FROM company c
"""
_FOUND = """
SELECT company_id, company_name, nse_symbol, isin, cin, sector,
    CASE WHEN lower(company_id) = $text OR by_alias = 0
            OR $text IN (lower(nse_symbol), lower(isin), lower(cin)) THEN 0
        WHEN starts_with(said, $text) THEN 1 ELSE 2 END AS place
FROM ({known})
WHERE $text = '' OR by_alias IS NOT NULL OR contains(lower(company_id), $text)
    OR ({words})
    OR contains(lower(concat_ws(' ', nse_symbol, isin, cin)), $text)
ORDER BY place, said, company_id LIMIT {most}
"""
_ALIKE = """
SELECT company_id, company_name, nse_symbol, isin, cin, sector, 3 AS place
FROM ({known}) WHERE jaro_winkler_similarity(said, $text) >= {alike}
ORDER BY jaro_winkler_similarity(said, $text) DESC, company_id LIMIT 10
"""


def search(connection: duckdb.DuckDBPyConnection, text: str) -> tuple[Company, ...]:
    """Companies whose name, symbol, ISIN, CIN or id holds the text, the best match first.

    All companies by name for an empty text; at most 50. Where none holds it, those whose name is
    spelt much like it.
    """
    text = " ".join(text.lower().split())[:LONGEST_SEARCH]
    parts = text.split()[:MOST_WORDS]
    words = " AND ".join(f"contains(said, $word_{n})" for n in range(len(parts))) or "false"
    given: dict[str, str] = {"text": text, **{f"word_{n}": w for n, w in enumerate(parts)}}
    sql = _FOUND.format(known=_KNOWN, words=words, most=MOST_FOUND)
    found = connection.execute(sql, given).fetchall()
    if not found and text:
        sql = _ALIKE.format(known=_KNOWN, alike=ALIKE)
        found = connection.execute(sql, {"text": text}).fetchall()
    return _companies(connection, found)


def _companies(
    connection: duckdb.DuckDBPyConnection, found: Sequence[tuple[object, ...]]
) -> tuple[Company, ...]:
    ids = [row[0] for row in found]
    counted = connection.execute(
        "SELECT company_id, count(DISTINCT fiscal_year_end) FROM statement_line"
        " WHERE company_id IN (SELECT unnest($ids)) GROUP BY company_id",
        {"ids": ids},
    ).fetchall()
    years = dict(counted)
    return tuple(_company(row, int(years.get(row[0], 0))) for row in found)


def _company(row: Sequence[object], years: int) -> Company:
    key, name, symbol, isin, cin, sector = row[:6]
    codes = _text(symbol), _text(isin), _text(cin), _text(sector)
    return Company(str(key), str(name or key), *codes, years)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def companies_in(connection: duckdb.DuckDBPyConnection) -> tuple[str, ...]:
    """Ids of the companies that have statements, in order."""
    found = connection.execute(
        "SELECT DISTINCT company_id FROM statement_line ORDER BY company_id"
    ).fetchall()
    return tuple(str(row[0]) for row in found)


_COLUMNS = ("fiscal_year", "fiscal_year_end", "basis", "months", "source", "n_missing")


def history(connection: duckdb.DuckDBPyConnection, company_id: str) -> History:
    """What the warehouse says of a company.

    Raises:
        InputError: there is no such company.
    """
    found = connection.execute(
        "SELECT company_id, company_name, nse_symbol, isin, cin, sector FROM company"
        " WHERE company_id = ?",
        [company_id],
    ).fetchall()
    if not found:
        raise InputError(f"no company {company_id!r} in the warehouse")
    with store.one_company(connection, company_id):
        materialise(connection)
        ratios = _ratios(connection)
        labels = connection.execute(
            f"SELECT fiscal_year, label, label_reason FROM ({labels_sql('yearly', LabelRule())})"
            " WHERE label IS NOT NULL ORDER BY fiscal_year"
        ).fetch_df()
    events = connection.execute(
        "SELECT event_date, event_type, source, confidence, usable FROM event"
        " WHERE company_id = ? ORDER BY event_date NULLS LAST, event_type",
        [company_id],
    ).fetch_df()
    simulated = bool((ratios["source"] == SIMULATED).any())
    return History(_companies(connection, found)[0], ratios, labels, events, simulated)


def _ratios(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """The last ten years of the table `yearly`, with their ratios."""
    codes = ", ".join(ratio.code for ratio in RATIOS)
    return connection.execute(
        f"FROM (SELECT {', '.join(_COLUMNS)}, {codes} FROM ({ratios_sql('yearly')})"
        f" ORDER BY fiscal_year DESC LIMIT {MOST_YEARS}) ORDER BY fiscal_year"
    ).fetch_df()


_QUARTILES = f"""
SELECT coalesce(of_sector, '{ALL_SECTORS}') AS sector, fiscal_year, code, count(*) AS companies,
    quantile_cont(value, 0.25) AS low, quantile_cont(value, 0.5) AS median,
    quantile_cont(value, 0.75) AS high
FROM (UNPIVOT peer_row ON {{codes}} INTO NAME code VALUE value)
GROUP BY GROUPING SETS ((of_sector, fiscal_year, code), (fiscal_year, code))
HAVING grouping(of_sector) = 1 OR of_sector IS NOT NULL
ORDER BY 1, 2, 3
"""


def peers(connection: duckdb.DuckDBPyConnection) -> pd.DataFrame:
    """Quartiles of each ratio by sector and fiscal year; banks, NBFCs and insurers left out.

    Columns: sector ("" for all of them), fiscal_year, code, companies, low, median, high.
    """
    codes = ", ".join(ratio.code for ratio in RATIOS)
    rows = f"""
SELECT c.sector AS of_sector, r.fiscal_year, {codes}
FROM ({ratios_sql("yearly")}) r
JOIN company c USING (company_id)
JOIN company_kind('yearly') k USING (company_id)
WHERE NOT k.is_financial"""
    connection.execute("DROP TABLE IF EXISTS peer_row")
    for part, _ in enumerate(store.parts(connection)):
        materialise(connection)
        into = "INSERT INTO peer_row" if part else "CREATE TEMP TABLE peer_row AS"
        connection.execute(f"{into} {rows}")
    found = connection.execute(_QUARTILES.format(codes=codes)).fetch_df()
    connection.execute("DROP TABLE peer_row")
    return found


def against_sector(
    ratios: pd.DataFrame, quartiles: pd.DataFrame, sector: str | None, code: str
) -> pd.DataFrame:
    """One ratio of a company by year beside its sector's quartiles.

    Columns: fiscal_year, fiscal_year_end, value, low, median, high, companies. Quartiles of fewer
    than five companies are left out. Of a company whose sector is not known, those of all sectors.
    """
    wanted = sector if sector is not None and (quartiles["sector"] == sector).any() else ALL_SECTORS
    theirs = quartiles[(quartiles["sector"] == wanted) & (quartiles["code"] == code)]
    own = ratios[["fiscal_year", "fiscal_year_end", code]].rename(columns={code: "value"})
    both = own.merge(theirs.drop(columns=["sector", "code"]), how="left", on="fiscal_year")
    few = ~(both["companies"] >= FEW_PEERS)
    both.loc[few, ["low", "median", "high"]] = np.nan
    both["companies"] = both["companies"].fillna(0).astype(int)
    order = ["fiscal_year", "fiscal_year_end", "value", "low", "median", "high", "companies"]
    return both[order]


def compared_with(quartiles: pd.DataFrame, sector: str | None) -> str:
    """Whose median a company is compared with, in words."""
    known = sector is not None and bool((quartiles["sector"] == sector).any())
    return f"sector {sector}" if known else "all sectors, for its own is not known"


def ratio_table(frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Ratios beside their sector as one table, the newest year first."""
    both = pd.concat(frames).sort_values(["ratio", "fiscal_year"], ascending=[True, False])
    names = {
        "ratio": "Ratio", "fiscal_year": "Fiscal year", "value": "Company", "low": "Lower quartile",
        "median": "Median", "high": "Upper quartile", "companies": "Companies",
    }  # fmt: skip
    return both[list(names)].rename(columns=names)


def events_table(events: pd.DataFrame) -> pd.DataFrame:
    """Insolvency events as a table: days without a time, headings in words."""
    days = pd.to_datetime(events["event_date"]).dt.date
    kinds = events["event_type"].astype(str).str.replace("_", " ")
    table = events.assign(event_date=days, event_type=kinds)
    names = {
        "event_date": "Date", "event_type": "Event", "source": "Source",
        "confidence": "Confidence", "usable": "Counts for labels",
    }  # fmt: skip
    return table[list(names)].rename(columns=names)
