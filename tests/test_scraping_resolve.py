"""Companies, matches and events out of loaded tables, and the decisions of a person."""

from __future__ import annotations

import csv
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from itertools import product
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest
from conftest import rows_of, write_csv

from features.labels import LabelRule, labels_sql
from scraping.identifiers import isin_of
from scraping.resolve import Resolved, resolve
from scraping.review import COLUMNS, read_review, write_review
from warehouse import store
from warehouse.errors import InputError
from warehouse.importers import import_files

CIRP = "Public Announcement of Corporate Insolvency Resolution Process"
LIQUIDATION = "Public Announcement of Liquidation Process"
VOLUNTARY = "Public Announcement of Voluntary Liquidation Process"
Rows = list[dict[str, object]]


@dataclass(frozen=True)
class Load:
    """One document as it is loaded: rows of one or several tables."""

    name: str
    at: str
    tables: Mapping[str, Rows]
    source: str = "a_source"


def load(connection: duckdb.DuckDBPyConnection, *loads: Load) -> None:
    """Enter documents in this order, each with the next snapshot_id."""
    for document in loads:
        number = connection.execute(
            "INSERT INTO snapshot (sha256, kind, name, bytes, rows, source, fetched_at)"
            " VALUES (?, 'x', ?, 1, 1, ?, ?) RETURNING snapshot_id",
            ["sha of " + document.name, document.name, document.source, document.at],
        ).fetchall()[0][0]
        for table, rows in document.tables.items():
            columns = dict.fromkeys(name for row in rows for name in row)
            entered = [
                {
                    **columns,
                    **row,
                    "source": document.source,
                    "snapshot_id": number,
                    "row_number": at,
                }
                for at, row in enumerate(rows, 1)
            ]
            connection.register("incoming", pa.Table.from_pylist(entered))
            connection.execute(f"INSERT INTO {table} BY NAME FROM incoming")
            connection.unregister("incoming")


@contextmanager
def warehouse(*loads: Load) -> Iterator[duckdb.DuckDBPyConnection]:
    """A warehouse in memory that holds these documents, not resolved."""
    with store.in_memory() as connection:
        load(connection, *loads)
        yield connection


def run(connection: duckdb.DuckDBPyConnection, review: Path | None = None) -> Resolved:
    with store.transaction(connection):
        return resolve(connection, review)


def isin(number: int, kind: str = "01", country: str = "INE") -> str:
    """A made-up ISIN of the issuer of this number."""
    stem = f"{country}{number:03d}Z{kind}01"
    for digit in "0123456789":
        try:
            return isin_of(stem + digit)
        except ValueError:
            continue
    raise AssertionError(stem)


def issuer(number: int) -> str:
    return f"INE{number:03d}Z"


def nse(number: int, symbol: str, name: str, **columns: object) -> dict[str, object]:
    row: dict[str, object] = {
        "exchange": "NSE",
        "code": symbol,
        "symbol": symbol,
        "isin": isin(number),
        "security_name": name,
        "status": "Active",
        "series": "EQ",
        "listed_on": date(1996, 1, 1),
    }
    return row | columns


def bse(number: int | None, code: str, name: str, **columns: object) -> dict[str, object]:
    row: dict[str, object] = {
        "exchange": "BSE",
        "code": code,
        "symbol": name[:6].upper(),
        "isin": None if number is None else isin(number),
        "security_name": name,
        "issuer_name": name,
        "status": "Active",
    }
    return row | columns


def member(number: int, symbol: str, name: str, industry: str, day: date) -> dict[str, object]:
    return {
        "index_name": "nifty500",
        "list_date": day,
        "security_name": name,
        "industry": industry,
        "symbol": symbol,
        "isin": isin(number),
    }


def changed(kind: str, symbol: str, old: str, new: str, year: int) -> dict[str, object]:
    changed_on = date(year, 6, 1)
    return {"kind": kind, "symbol": symbol, "old": old, "new": new, "changed_on": changed_on}


def registered(cin: str, name: str, status: str) -> dict[str, object]:
    return {"cin": cin, "company_name": name, "listing_status": status}


def said(
    name: str, cin: str | None = None, on: str = "2020-03-10", kind: str = CIRP, **more: object
) -> dict[str, object]:
    """An announcement."""
    return {
        "announcement_type": kind,
        "announced_on": date.fromisoformat(on),
        "debtor_name": name,
        "cin": cin,
    } | more


def order(name: str | None, remarks: str, on: str, court: str = "nclt") -> dict[str, object]:
    return {
        "court": court,
        "ordered_on": date.fromisoformat(on),
        "subject": f"In the matter of {name}",
        "debtor_name": name,
        "remarks": remarks,
    }


def commenced(cin: str, on: str | None) -> dict[str, object]:
    return {
        "cin": cin,
        "commenced_on": on and date.fromisoformat(on),
        "state": "not assigned" if on is None else "LIQUIDATOR",
    }


# The made-up world: a company per rule, then the debtors and what each must come to.

LISTS = (
    Load(
        "equities",
        "2026-01-01",
        {
            "security": [
                nse(1, "ALPHA", "Alpha Forgings Limited"),
                nse(2, "BETA", "Beta Cottons (India) Limited"),
                nse(3, "NEWNAME", "Gammatron Limited"),
                nse(4, "DELTAPAPER", "Delta Papermakers Limited", listed_on=date(2005, 5, 5)),
                nse(5, "EPSILON", "Epsilon Vidyut Limited"),
                nse(6, "ZKS", "ZKS Limited"),
                nse(7, "TWIN", "Twinborn Motors Limited"),
                nse(9, "ETACHEM", "Etacryl Chemicals Limited"),
                nse(10, "THETA", "Thetawave Telecom Limited"),
                nse(11, "IOTA", "Iotaflex Bank"),
                nse(12, "OLDISIN", "Rightly Limited", isin=isin(12, "20")),
                nse(13, "PARTPAID", "Kappaline Sugars Limited", isin=isin(13, country="IN9")),
            ]
        },
    ),
    Load(
        "scrips",
        "2026-01-02",
        {
            "security": [
                bse(1, "500001", "Alpha Forgings Ltd", industry="Castings & Forgings"),
                bse(8, "500008", "Twinborn Motors Ltd", status="Suspended"),
                bse(None, "500020", "Lambdavision Ltd", status="Delisted"),
                bse(
                    21,
                    "500021",
                    "Muscovite Mines Ltd",
                    status="Delisted",
                    listed_on=date(1994, 2, 1),
                ),
                bse(22, "500022", "Nuclear Castings Ltd", industry="Private Sector Bank"),
            ]
        },
    ),
    Load(
        "changes",
        "2026-01-03",
        {
            "identity_change": [
                changed("symbol", "NEWNAME", "OLDNAME", "NEWNAME", 2021),
                changed("name", "NEWNAME", "Gammaray Films Limited", "Gammatron Limited", 2021),
                changed("name", "THETA", "Thetaphone Limited", "Thetawave Telecom Limited", 2001),
            ]
        },
    ),
    Load(
        "register",
        "2026-01-04",
        {
            "registered_company": [
                registered("L27100MH1990PLC000005", "EPSILON VIDYUT LIMITED", "Listed"),
                registered("L27100MH1990PLC000009", "Etacryl Chemicals Limited", "Listed"),
                registered("L27100MH1990PLC000099", "Alpha Forgings Limited", "Unlisted"),
                registered(
                    "U27100MH1990PTC000098", "Beta Cottons (India) Private Limited", "Listed"
                ),
            ]
        },
    ),
    Load(
        "nifty 2019",
        "2026-01-05",
        {
            "constituent": [
                member(1, "ALPHA", "Alpha Forgings Ltd.", "METALS", date(2019, 10, 8)),
                member(3, "OLDNAME", "Gammaray Films Ltd.", "MEDIA", date(2019, 10, 8)),
                member(
                    30, "OMICRON", "Omicron Finlease Ltd.", "FINANCIAL SERVICES", date(2019, 10, 8)
                ),
            ]
        },
    ),
    Load(
        "nifty 2023",
        "2026-01-06",
        {
            "constituent": [
                member(1, "ALPHA", "Alpha Forgings Ltd.", "Capital Goods", date(2023, 8, 15))
            ]
        },
    ),
)

LISTED = "L27100MH1990PLC0{:05d}"
UNLISTED = "U27100MH1990PLC0{:05d}"
ALPHA = LISTED.format(70001)
WORDS = {"c": "certain", "p": "probable", "a": "ambiguous", "": ""}

# Debtor, CIN, company, certain, probable or ambiguous, how; nothing where nothing may be found.
TABLE = """
ALPHA FORGINGS LTD. | L27100MH1990PLC070001 | INE001Z | c | name and listed CIN
Beta Cottons India Limited | | INE002Z | p | name, no CIN
Beta Cottons (India) Pvt. Ltd. | | | |
Beta Cottons (India) LLP | | | |
Mr. Beta Cottons | | | |
Gammaray Films Limited | L27100MH1990PLC070003 | INE003Z | c | name and listed CIN
Delta Papermakers Ltd | L27100MH2010PLC070004 | INE004Z | a | name, but registered after the listing
Something Else Limited | L27100MH1990PLC000005 | INE005Z | c | CIN
Other Private Limited | L27100MH1990PLC000005 | INE005Z | a | CIN, but a private company's name
Epsilon Vidyut Limited | L27100MH1990PLC000077 | INE005Z | a | name, but not the company's CIN
Epsilon Vidyuth Ltd | U27109MH1990PLC000005 | INE005Z | p | number of registration and similar name
Renamed Since Ltd | U27108MH1990PLC000009 | INE009Z | a | number of registration, another name
Etacryl Chemicals Limited | U27109MH1990PLC000009 | INE009Z | p | name and number of registration
ZKX Limited | | | |
ZKS Limited | L27100MH1990PLC070006 | INE006Z | c | name and listed CIN
Twinborn Motors Limited | L27100MH1990PLC070007 | INE007Z INE008Z | a | name of 2 companies
Thetaphone Limited | L27100MH1990PLC070010 | INE010Z | a | name that the company had given up
Iotaflex Bank | | INE011Z | a | name without legal form, no CIN
Rightly Limited | L27100MH1990PLC070012 | | |
Kappaline Sugars Limited | L27100MH1990PLC070013 | INE013Z | c | name and listed CIN
Lambdavision Limited | U27100MH1990PLC070020 | BSE500020 | a | name, but unlisted CIN
Muscovite Mines Limited | U27100MH1990PLC070021 | INE021Z | p | name, unlisted CIN, company delisted
Nuclear Castings Limited | U27100MH1990PLC070022 | INE022Z | a | name, but unlisted CIN
Nuclear Casting Limited | | INE022Z | a | similar name
Omicron Finlease Limited | L27100MH1990PLC070030 | INE030Z | c | name and listed CIN
Alpha Infra Limited | L27100MH1990PLC070031 | | |
Alpha Forgings International (India) Limited | L27100MH1990PLC070032 | | |
… | | | |
"""
CASES = [
    (name, cin, company.split(), WORDS[certainty], how)
    for name, cin, company, certainty, how in (
        [cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()
    )
]

DEBTORS = (
    Load(
        "export",
        "2026-01-07",
        {"announcement": [said(name, cin or None) for name, cin, *_ in CASES]},
    ),
)


@pytest.fixture(scope="module")
def world() -> Iterator[duckdb.DuckDBPyConnection]:
    """The world, resolved."""
    with warehouse(*LISTS, *DEBTORS) as connection:
        run(connection)
        yield connection


@pytest.mark.parametrize(
    ("debtor", "cin", "companies", "certainty", "how"), CASES, ids=[f"{c[0]} {c[1]}" for c in CASES]
)
def test_each_rule(
    world: duckdb.DuckDBPyConnection,
    debtor: str,
    cin: str,
    companies: list[str],
    certainty: str,
    how: str,
) -> None:
    found = world.execute(
        "SELECT company_id, certainty, how, decision FROM debtor_match"
        " WHERE debtor_name = ? AND cin = ? ORDER BY company_id",
        [debtor, cin],
    ).fetchall()
    assert found == [(company, certainty, how, None) for company in companies]


def test_only_certain_and_probable_label_a_company(world: duckdb.DuckDBPyConnection) -> None:
    labelled = world.execute(
        "SELECT company_id FROM insolvency_event WHERE company_id IS NOT NULL ORDER BY ALL"
    ).fetchall()
    # All are announced on one day: what is told of one company is one event.
    accepted = {found[0] for _, _, found, c, _ in CASES if c in ("certain", "probable")}
    assert [company for (company,) in labelled] == sorted(accepted)
    others = world.execute("SELECT count(*) FROM insolvency_event WHERE company_id IS NULL")
    assert others.fetchall()[0][0] > 10


def test_scores(world: duckdb.DuckDBPyConnection) -> None:
    scores = dict(world.execute("SELECT debtor_name, score FROM debtor_match").fetchall())
    assert scores["ZKS Limited"] == 100
    # "casting nuclear" and "castings nuclear": 15 of 15 and of 16 characters; the words that tell
    # them apart are the same two.
    assert scores["Nuclear Casting Limited"] == round(100 * 30 / 31, 1)


def test_companies_of_the_lists(world: duckdb.DuckDBPyConnection) -> None:
    companies = {row["company_id"]: row for row in rows_of(world, "FROM company")}
    alpha = companies[issuer(1)]
    assert alpha["company_name"] == "Alpha Forgings Limited"
    assert (alpha["nse_symbol"], alpha["isin"], alpha["cin"]) == ("ALPHA", isin(1), None)
    assert (alpha["sector"], alpha["is_financial"], alpha["in_nifty500"]) == (
        "Capital Goods",
        False,
        True,
    )
    omicron = companies[issuer(30)]
    assert (omicron["company_name"], omicron["nse_symbol"]) == ("Omicron Finlease Ltd.", "OMICRON")
    assert (omicron["is_financial"], omicron["in_nifty500"]) == (True, True)
    assert companies[issuer(22)]["is_financial"] is True  # by BSE's industry
    beta = companies[issuer(2)]
    assert (beta["sector"], beta["is_financial"], beta["in_nifty500"]) == (None, None, False)
    assert companies[issuer(5)]["cin"] == "L27100MH1990PLC000005"
    assert companies["BSE500020"]["isin"] is None
    assert companies[issuer(13)]["isin"] == isin(13, country="IN9")
    assert issuer(12) not in companies
    assert len(companies) == 16


def test_aliases_of_a_renamed_company(world: duckdb.DuckDBPyConnection) -> None:
    found = world.execute(
        "SELECT kind, alias FROM alias WHERE company_id = ? ORDER BY ALL", [issuer(3)]
    ).fetchall()
    assert found == [
        ("company_name", "Gammatron Limited"),
        ("former_name", "Gammaray Films Limited"),
        ("former_name", "Gammaray Films Ltd."),
        ("former_symbol", "OLDNAME"),
        ("isin", isin(3)),
        ("nse_symbol", "NEWNAME"),
    ]
    assert ("bse_code", "500001") in world.execute(
        "SELECT kind, alias FROM alias WHERE company_id = ?", [issuer(1)]
    ).fetchall()


def test_members_of_the_index(world: duckdb.DuckDBPyConnection) -> None:
    found = world.execute(
        "SELECT company_id, index_name, list_date FROM index_member ORDER BY ALL"
    ).fetchall()
    assert found == [
        (issuer(1), "nifty500", date(2019, 10, 8)),
        (issuer(1), "nifty500", date(2023, 8, 15)),
        (issuer(3), "nifty500", date(2019, 10, 8)),
        (issuer(30), "nifty500", date(2019, 10, 8)),
    ]


# A pure function of the tables.

RESULTS = ("company", "alias", "index_member", "debtor_match", "insolvency_event")


def results(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[object, ...]]]:
    """Every row of what `resolve` writes, with documents told by name instead of number."""
    found = {}
    for table in RESULTS:
        rows = connection.execute(
            f"SELECT t.* EXCLUDE (snapshot_id), s.name FROM {table} t JOIN snapshot s"
            " USING (snapshot_id)"
            if table != "debtor_match"
            else f"FROM {table}"
        ).fetchall()
        found[table] = sorted(rows, key=repr)
    return found


NEWER = (
    Load(
        "equities, later",
        "2026-02-01",
        {
            "security": [
                nse(2, "BETANEW", "Betaweave Limited"),
                nse(40, "ALPHA", "Newcomer Limited"),  # a symbol that was another's
            ]
        },
    ),
    Load(
        "export, later",
        "2026-02-02",
        {
            "announcement": [
                said("ALPHA FORGINGS LTD.", ALPHA, pdf_url="https://x/1.pdf"),
                said("Lambdavision Limited", None),
                said("Omicron Finlease Limited", None, "2021-01-01"),
            ],
            "process": [commenced(LISTED.format(70030), "2020-03-01")],
            "insolvency_order": [
                order("Omicron Finlease Limited", "Approval of Resolution Plan", "2020-12-01"),
                order("Beta Cottons India Ltd", "CIRP Withdrawn", "2020-04-01"),
            ],
        },
    ),
)


@pytest.mark.slow
def test_the_order_of_loads_does_not_count() -> None:
    loads = [*LISTS, *DEBTORS, *NEWER]
    with warehouse(*loads) as connection:
        run(connection)
        expected = results(connection)
    assert all(len(rows) > 3 for rows in expected.values())
    for seed in range(3):
        shuffled = random.Random(seed).sample(loads, len(loads))
        assert shuffled != loads
        with warehouse(*shuffled) as connection:
            run(connection)
            assert results(connection) == expected


@pytest.mark.slow
def test_a_second_run_and_runs_between_loads_change_nothing() -> None:
    with warehouse(*LISTS, *DEBTORS, *NEWER) as connection:
        first = run(connection)
        expected = results(connection)
        assert run(connection) == first
        assert results(connection) == expected
    with store.in_memory() as connection:
        for documents in (DEBTORS, LISTS[:1], NEWER[:1], LISTS[1:], NEWER[1:]):
            load(connection, *documents)
            run(connection)
        assert results(connection) == expected


def test_what_is_newest_counts() -> None:
    with warehouse(*LISTS, *NEWER) as connection:
        run(connection)
        symbols = dict(connection.execute("SELECT company_id, nse_symbol FROM company").fetchall())
        # BETA is a symbol of the same ISIN before BETANEW; ALPHA was taken over by another company.
        assert symbols[issuer(2)] == "BETANEW"
        assert symbols[issuer(40)] == "ALPHA"
        assert symbols[issuer(1)] is None
        kinds = connection.execute(
            "SELECT kind, alias FROM alias WHERE company_id = ? AND kind LIKE '%name' OR"
            " kind LIKE '%symbol' AND company_id = ? ORDER BY ALL",
            [issuer(2), issuer(2)],
        ).fetchall()
        assert kinds == [
            ("company_name", "Betaweave Limited"),
            ("former_name", "Beta Cottons (India) Limited"),
            ("former_symbol", "BETA"),
            ("nse_symbol", "BETANEW"),
        ]


def test_a_company_renamed_twice_keeps_all_its_symbols() -> None:
    changes = [
        changed("symbol", "SECOND", "FIRST", "SECOND", 2015),
        changed("symbol", "THIRD", "SECOND", "THIRD", 2021),
    ]
    with warehouse(
        Load("list", "2026-01-02", {"security": [nse(1, "THIRD", "Thrice Limited")]}),
        Load("changes", "2026-01-03", {"identity_change": changes}),
    ) as connection:
        run(connection)
        found = connection.execute(
            "SELECT kind, alias FROM alias WHERE kind LIKE '%symbol' ORDER BY ALL"
        ).fetchall()
    assert found == [
        ("former_symbol", "FIRST"),
        ("former_symbol", "SECOND"),
        ("nse_symbol", "THIRD"),
    ]


def test_an_empty_warehouse() -> None:
    with warehouse() as connection:
        assert run(connection) == Resolved(0, 0, 0, 0, 0, ())


# Debtors that are printed in several ways.


def matched(connection: duckdb.DuckDBPyConnection) -> dict[tuple[str, str], tuple[str, str]]:
    return {
        (name, cin): (company, certainty)
        for name, cin, company, certainty in connection.execute(
            "SELECT debtor_name, cin, company_id, certainty FROM debtor_match ORDER BY ALL"
        ).fetchall()
    }


def test_a_debtor_without_cin_is_judged_by_the_cin_of_its_namesake() -> None:
    lambda_ = said("LAMBDAVISION LTD", None, "2020-03-10", pdf_url="https://x/1.pdf")
    exported = said("Lambdavision Limited", UNLISTED.format(70020))
    with warehouse(
        *LISTS, Load("listing", "2026-01-08", {"announcement": [lambda_]})
    ) as connection:
        run(connection)
        assert matched(connection) == {("LAMBDAVISION LTD", ""): ("BSE500020", "probable")}
        load(connection, Load("export", "2026-01-09", {"announcement": [exported]}))
        run(connection)
        assert set(matched(connection).values()) == {("BSE500020", "ambiguous")}
        assert len(matched(connection)) == 2


def test_a_name_under_several_cins_is_as_doubtful_as_the_worst() -> None:
    rows = [
        said("Alpha Forgings Limited", LISTED.format(70001)),
        said("Alpha Forgings Limited", UNLISTED.format(70002), "2022-01-01"),
        said("ALPHA FORGINGS LIMITED"),
    ]
    with warehouse(*LISTS, Load("export", "2026-01-09", {"announcement": rows})) as connection:
        run(connection)
        assert matched(connection) == {
            ("Alpha Forgings Limited", LISTED.format(70001)): (issuer(1), "certain"),
            ("Alpha Forgings Limited", UNLISTED.format(70002)): (issuer(1), "ambiguous"),
            ("ALPHA FORGINGS LIMITED", ""): (issuer(1), "ambiguous"),
        }


def test_spellings_under_one_cin() -> None:
    cin, two = LISTED.format(70001), LISTED.format(70002)
    rows = [
        said("Alpha Forgings Limited", cin),
        said("Alpha Forging Limited", cin),  # a spelling
        said("Alpha Foundry Holdings Limited", cin),  # a slip of a person's, or another name
        said("Beta Cottons (India) Limited", two),
        said("Gammatron Limited", two),
    ]
    with warehouse(*LISTS, Load("export", "2026-01-09", {"announcement": rows})) as connection:
        run(connection)
        found = matched(connection)
        assert found["Alpha Forgings Limited", cin] == (issuer(1), "certain")
        assert found["Alpha Forging Limited", cin] == (issuer(1), "certain")
        assert found["Alpha Foundry Holdings Limited", cin] == (issuer(1), "ambiguous")
        certainties = connection.execute(
            "SELECT DISTINCT certainty, how FROM debtor_match WHERE cin = ?", [two]
        ).fetchall()
        assert certainties == [("ambiguous", "CIN printed with names of 2 companies")]


# Companies of a user's files.


def user_warehouse(tmp_path: Path, companies: Rows) -> list[Path]:
    return [write_csv(tmp_path / "companies.csv", companies)]


@pytest.mark.parametrize(
    "identifier",
    [{"isin": isin(3)}, {"nse_symbol": "NEWNAME"}, {"nse_symbol": "OLDNAME"}, {}],
    ids=["isin", "symbol", "former symbol", "name"],
)
def test_a_users_company_keeps_its_id(tmp_path: Path, identifier: dict[str, object]) -> None:
    files = user_warehouse(
        tmp_path,
        [{"company_id": "mine", "company_name": "Gammatron Ltd", "sector": "X", **identifier}],
    )
    with warehouse(*LISTS, *DEBTORS) as connection:
        run(connection)
        import_files(connection, files)
        resolved = run(connection)
        companies = connection.execute(
            "SELECT company_id, company_name, sector FROM company WHERE company_id IN ('mine', ?)",
            [issuer(3)],
        ).fetchall()
        assert companies == [("mine", "Gammatron Ltd", "X")]
        assert matched(connection)["Gammaray Films Limited", LISTED.format(70003)][0] == "mine"
        assert connection.execute(
            "SELECT company_id FROM index_member WHERE list_date = '2019-10-08' ORDER BY ALL"
        ).fetchall() == [(issuer(1),), (issuer(30),), ("mine",)]
        by_name = [line for line in resolved.notices if "by their name alone (mine)" in line]
        assert len(by_name) == (0 if identifier else 1)


@pytest.mark.parametrize(
    "columns",
    [
        {"isin": isin(900)},
        {"nse_symbol": "NEWNAME", "isin": isin(900)},
        {"nse_symbol": "OTHER"},
        {"company_name": "Gammatron Private Limited"},
    ],
    ids=["other ISIN", "symbol but other ISIN", "other symbol", "private"],
)
def test_a_users_company_that_is_another(tmp_path: Path, columns: dict[str, object]) -> None:
    row = {"company_id": "mine", "company_name": "Gammatron Ltd", **columns}
    with warehouse(*LISTS) as connection:
        import_files(connection, user_warehouse(tmp_path, [row]))
        run(connection)
        found = connection.execute("SELECT count(*) FROM company WHERE company_id = ?", [issuer(3)])
        assert found.fetchall() == [(1,)]


def test_two_companies_of_a_user_with_one_isin(tmp_path: Path) -> None:
    rows: Rows = [
        {"company_id": name, "company_name": "Gammatron", "isin": isin(3)} for name in ("zz", "aa")
    ]
    with warehouse(*LISTS) as connection:
        import_files(connection, user_warehouse(tmp_path, rows))
        resolved = run(connection)
        assert "Gammatron Limited is named 2 times in your files: aa is taken, not zz" in (
            resolved.notices
        )
        kinds = connection.execute(
            "SELECT company_id FROM alias WHERE kind = 'nse_symbol' AND alias = 'NEWNAME'"
        ).fetchall()
        assert kinds == [("aa",)]


def test_a_statements_file_is_completed_and_takes_scraped_statements_over(tmp_path: Path) -> None:
    mine: Rows = [
        {
            "company_id": "mine",
            "fiscal_year_end": "2019-03-31",
            "item": "sales",
            "value": 1,
            "nse_symbol": "ALPHA",
        },
        {"company_id": "other", "fiscal_year_end": "2019-03-31", "item": "sales", "value": 1},
    ]
    scraped: Rows = [
        {
            "company_id": issuer(1),
            "fiscal_year_end": date(2020, 3, 31),
            "basis": "unstated",
            "item": "sales",
            "value": 2.0,
            "unit": "INR",
            "months": 12,
            "note": "reported",
        }
    ]
    files = [write_csv(tmp_path / "statements.csv", mine)]
    with warehouse(*LISTS) as connection:
        run(connection)
        load(connection, Load("accounts", "2026-03-01", {"statement_line": scraped}))
        import_files(connection, files)
        for _ in range(2):
            run(connection)
            assert connection.execute(
                "SELECT company_id, company_name, nse_symbol, isin, sector, is_financial,"
                " in_nifty500 FROM company WHERE company_id IN ('mine', 'other', ?) ORDER BY 1",
                [issuer(1)],
            ).fetchall() == [
                ("mine", "Alpha Forgings Limited", "ALPHA", isin(1), "Capital Goods", False, True),
                ("other", None, None, None, None, None, None),
            ]
            assert connection.execute(
                "SELECT company_id, value FROM statement_line ORDER BY ALL"
            ).fetchall() == [("mine", 1.0), ("mine", 2.0), ("other", 1.0)]


def test_an_unlisted_company_of_a_user_is_matched_too(tmp_path: Path) -> None:
    rows: Rows = [
        {"company_id": "old", "company_name": "Oldcorp Ltd (formerly Evenolder Ltd)"},
        {"company_id": "cin", "company_name": "X", "cin": "L27100MH1990PLC012345"},
    ]
    debtors = [
        said("Oldcorp Limited", LISTED.format(1)),
        said("Evenolder Limited", LISTED.format(2)),
        said("Whatever Limited", "L27100MH1990PLC012345"),
    ]
    with warehouse(Load("export", "2026-01-07", {"announcement": debtors})) as connection:
        import_files(connection, user_warehouse(tmp_path, rows))
        run(connection)
        assert {name: found for (name, _), found in matched(connection).items()} == {
            "Oldcorp Limited": ("old", "certain"),
            "Evenolder Limited": ("old", "certain"),
            "Whatever Limited": ("cin", "certain"),
        }


def test_a_scrip_that_gets_an_isin_is_one_company() -> None:
    before = Load("scrips", "2026-01-01", {"security": [bse(None, "500050", "Xylotex Ltd")]})
    after = Load("scrips, later", "2026-02-01", {"security": [bse(50, "500050", "Xylotex Ltd")]})
    with warehouse(before) as connection:
        run(connection)
        assert connection.execute("SELECT company_id FROM company").fetchall() == [("BSE500050",)]
        load(connection, after)
        run(connection)
        assert connection.execute("SELECT company_id FROM company").fetchall() == [(issuer(50),)]


def test_codes_of_moneycontrol() -> None:
    codes: Rows = [
        {"code": "AF", "slug": "x/alpha/AF", "security_name": "Alpha", "isin": isin(1)},
        {"code": "LV", "slug": "x/lambda/LV", "security_name": "Lambda", "bse_code": "500020"},
        {"code": "NN", "slug": "x/new/NN", "security_name": "New", "symbol": "NEWNAME"},
        {
            "code": "ZZ",
            "slug": "x/z/ZZ",
            "security_name": "Beta",
            "isin": isin(900),
            "symbol": "BETA",
        },
    ]
    with warehouse(*LISTS, Load("codes", "2026-01-09", {"moneycontrol_code": codes})) as connection:
        run(connection)
        assert connection.execute(
            "SELECT alias, company_id FROM alias WHERE kind = 'moneycontrol_code' ORDER BY ALL"
        ).fetchall() == [("AF", issuer(1)), ("LV", "BSE500020"), ("NN", issuer(3))]


# Events.


def events(
    *announcements: dict[str, object],
    process: Sequence[dict[str, object]] = (),
    orders: Sequence[dict[str, object]] = (),
) -> Rows:
    """Events of the made-up company Alpha Forgings, or of nobody, by date."""
    given: dict[str, Sequence[dict[str, object]]] = {
        "announcement": announcements,
        "process": process,
        "insolvency_order": orders,
    }
    tables = {name: list(rows) for name, rows in given.items() if rows}
    with warehouse(
        LISTS[0], Load("ibbi", "2026-01-07", tables, "ibbi_announcements")
    ) as connection:
        run(connection)
        return rows_of(
            connection,
            "SELECT company_name, event_type, CAST(event_date AS VARCHAR) AS event_date,"
            " confidence, usable, company_id, cin, source FROM insolvency_event"
            " ORDER BY insolvency_event.event_date, event_type",
        )


def short(found: Rows, *columns: str) -> list[tuple[object, ...]]:
    return [tuple(row[c] for c in (columns or ("event_type", "event_date"))) for row in found]


def test_an_admission_is_dated_by_the_process_page() -> None:
    found = events(
        said("Alpha Forgings Ltd", ALPHA, "2020-03-10"),
        process=[
            commenced(ALPHA, "2020-03-02"),
            commenced(ALPHA, "2018-01-01"),
            commenced(ALPHA, "2020-03-11"),
            commenced(LISTED.format(2), "2020-03-09"),
        ],
        orders=[order("Alpha Forgings Ltd", "Admission - Final Order", "2020-03-03")],
    )
    assert found == [
        {
            "company_name": "Alpha Forgings Ltd",
            "event_type": "cirp_admission",
            "event_date": "2020-03-02",
            "confidence": "exact",
            "usable": True,
            "company_id": issuer(1),
            "cin": ALPHA,
            "source": "ibbi_announcements",
        }
    ]


def each(cases: Sequence[dict[str, object]], *rows: dict[str, object]) -> dict[str, Rows]:
    """Events by name of debtors that are announced on 2020-03-10, with one order on each."""
    names = [f"Debtor {chr(65 + at)} Limited" for at in range(len(cases))]
    found = events(
        *(said(name, LISTED.format(at)) for at, name in enumerate(names)),
        *rows,
        orders=[order(name, **case) for name, case in zip(names, cases, strict=True)],  # type: ignore[arg-type]
        process=[commenced(LISTED.format(0), None)],
    )
    return {name: [row for row in found if row["company_name"] == name] for name in names}


def test_else_by_an_order_of_admission_else_by_the_announcement() -> None:
    cases = (
        ("2020-03-03", "ADMITTED", "2020-03-03", "order"),
        ("2019-12-11", "Admission - Final order", "2019-12-11", "order"),  # 90 days before
        ("2019-12-10", "Admission - Final Order", "2020-03-10", "announced"),
        ("2020-03-11", "Admission - Final Order", "2020-03-10", "announced"),
        ("2020-03-03", "Admission - Interim Order", "2020-03-10", "announced"),
    )
    found = each([{"remarks": remarks, "on": on} for on, remarks, _, _ in cases])
    assert [short(rows, "event_date", "confidence") for rows in found.values()] == [
        [(day, confidence)] for _, _, day, confidence in cases
    ]


def test_a_commencement_of_long_ago_is_of_another_process() -> None:
    cins = {before: LISTED.format(before) for before in (0, 90, 91, 400)}
    days = {before: date(2020, 3, 10) - timedelta(days=before) for before in cins}
    found = events(
        *(said("Nobody Limited", cin, professional=cin) for cin in cins.values()),
        process=[commenced(cins[before], day.isoformat()) for before, day in days.items()],
    )
    assert {row["cin"]: row["event_date"] for row in found} == {
        cins[0]: "2020-03-10",
        cins[90]: days[90].isoformat(),
        cins[91]: "2020-03-10",
        cins[400]: "2020-03-10",
    }


def test_export_and_listing_are_one_announcement_and_the_one_with_the_cin_counts() -> None:
    found = events(
        said("ALPHA FORGINGS LIMITED", None, pdf_url="https://x/1.pdf"),
        said("Alpha Forgings Ltd", ALPHA),
        said("ALPHA FORGINGS LIMITED", None, pdf_url="https://x/2.pdf"),
    )
    assert short(found, "event_type", "event_date", "cin") == [
        ("cirp_admission", "2020-03-10", ALPHA)
    ]


def test_an_announcement_that_is_repeated_and_one_of_another_process() -> None:
    found = events(
        said("Alpha Forgings Ltd", ALPHA, "2017-04-17"),
        said("Alpha Forgings Ltd", ALPHA, "2017-05-20", professional="another"),
        said("Alpha Forgings Ltd", ALPHA, "2018-05-15"),
        said("Alpha Forgings Ltd", ALPHA, "2019-01-01", LIQUIDATION),
        said("Alpha Forgings Ltd", ALPHA, "2019-01-09", LIQUIDATION),
    )
    assert short(found) == [
        ("cirp_admission", "2017-04-17"),
        ("cirp_admission", "2018-05-15"),
        ("liquidation", "2019-01-01"),
    ]


def test_an_announcement_that_was_corrected_counts_as_last_told() -> None:
    first = Load("a", "2026-01-07", {"announcement": [said("Alpha Forgings Ltd", ALPHA)]})
    wrong = LISTED.format(70099)
    then = Load("b", "2026-02-07", {"announcement": [said("Alpha Forgings Ltd", wrong)]})
    for order_of in ((first, then), (then, first)):
        with warehouse(LISTS[0], *order_of) as connection:
            run(connection)
            found = connection.execute("SELECT cin FROM insolvency_event").fetchall()
            assert found == [(wrong,)]


def test_voluntary_liquidation_is_kept_and_unusable() -> None:
    found = events(said("Alpha Forgings Ltd", ALPHA, kind=VOLUNTARY))
    assert short(found, "event_type", "usable") == [("voluntary_liquidation", False)]


def test_an_unknown_type_and_unknown_remarks_are_no_event() -> None:
    found = events(
        said("Alpha Forgings Ltd", ALPHA, kind="Public Announcement of Something New"),
        orders=[
            order("Alpha Forgings Ltd", remarks, "2020-05-05")
            for remarks in ("Others", "Dismissed", "Rejected", "Extension of CIRP Period")
        ],
    )
    assert found == []


def test_remarks_of_a_withdrawal() -> None:
    remarks = (
        "CIRP Withdrawn",
        "CIRP-WITHDRAWN",
        "CIPR-WITHDRAWN",  # so printed
        "WITHDRAWN",
        "12A-withdrawn",
        "Closure-12A / appeal/ review or settlement",
        "Withdrawal under section 12 A",
        "Admission order set aside",
    )
    found = each([{"remarks": text, "on": "2020-06-01"} for text in remarks])
    for rows in found.values():
        assert short(rows, "event_type", "event_date", "usable") == [
            ("cirp_admission", "2020-03-10", True),
            ("withdrawn", "2020-06-01", True),
        ]


def test_remarks_of_no_withdrawal() -> None:
    remarks = (
        "Dismissed as withdrawn",
        "Rejected - 12A",
        "WITHDRAWAL OF APPLICATION IN PG CASE",
        "12 AB",
        "Others",
        "Extension of CIRP Period",
    )
    found = each([{"remarks": text, "on": "2020-06-01"} for text in remarks])
    for rows in found.values():
        assert short(rows) == [("cirp_admission", "2020-03-10")]


def test_a_petition_withdrawn_after_the_plan_is_not_the_process() -> None:
    found = events(
        said("Alpha Forgings Ltd", ALPHA, "2018-03-10"),
        orders=[
            order("Alpha Forgings Ltd", "Approval of Resolution Plan", "2019-06-01"),
            order("Alpha Forgings Ltd", "WITHDRAWN", "2021-06-01"),
        ],
    )
    assert short(found, "event_type", "usable") == [
        ("cirp_admission", True),
        ("resolution_approved", True),
        ("withdrawn", False),
    ]


def test_a_process_that_was_settled_before_it_was_announced() -> None:
    found = events(
        said("Alpha Forgings Ltd", ALPHA, "2020-03-10"),
        orders=[order("Alpha Forgings Ltd", "CIRP Withdrawn", "2020-03-05")],
    )
    assert short(found, "event_type", "event_date", "usable") == [
        ("cirp_admission", "2020-03-05", True),
        ("withdrawn", "2020-03-05", True),
    ]


def test_a_second_process_soon_after_the_first_was_withdrawn() -> None:
    found = events(
        said("Alpha Forgings Ltd", ALPHA, "2020-01-10"),
        said("Alpha Forgings Ltd", ALPHA, "2020-03-10"),
        orders=[order("Alpha Forgings Ltd", "CIRP Withdrawn", "2020-03-05")],
    )
    assert short(found, "event_type", "event_date", "usable") == [
        ("cirp_admission", "2020-01-10", True),
        ("withdrawn", "2020-03-05", True),
        ("cirp_admission", "2020-03-10", True),
    ]


def test_only_orders_on_announced_companies_are_asked_about() -> None:
    orders = [
        order("Alpha Forging Limited", "CIRP Withdrawn", "2020-05-05"),
        order("Beta Coton (India) Limited", "CIRP Withdrawn", "2020-05-05"),
    ]
    tables: dict[str, Rows] = {
        "announcement": [said("Alpha Forgings Limited", ALPHA)],
        "insolvency_order": orders,
    }
    with warehouse(LISTS[0], Load("ibbi", "2026-01-07", tables)) as connection:
        run(connection)
        assert matched(connection) == {
            ("Alpha Forgings Limited", ALPHA): (issuer(1), "certain"),
            ("Alpha Forging Limited", ""): (issuer(1), "ambiguous"),
        }


def test_an_order_on_a_debtor_that_was_never_announced_labels_nothing() -> None:
    found = events(
        orders=[order("Alpha Forgings Ltd", "Approval of Resolution Plan", "2019-06-01")]
    )
    assert short(found, "event_type", "company_id") == [("resolution_approved", None)]


def labels(connection: duckdb.DuckDBPyConnection, years: range) -> dict[int, str]:
    """Labels of Alpha's fiscal years."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE years AS SELECT '{issuer(1)}' AS company_id,"
        f" CAST(unnest(range({years.start}, {years.stop})) AS INTEGER) AS fiscal_year,"
        " make_date(fiscal_year, 3, 31) AS fiscal_year_end"
    )
    query = "SELECT fiscal_year, label FROM (" + labels_sql("years", LabelRule()) + ") ORDER BY 1"
    return dict(connection.execute(query).fetchall())


def test_labels_of_a_withdrawn_and_a_later_admission() -> None:
    first = said("Alpha Forgings Ltd", ALPHA, "2018-03-10")
    settled = order("Alpha Forgings Ltd", "CIRP Withdrawn", "2018-03-08")
    tables: dict[str, Rows] = {"announcement": [first], "insolvency_order": [settled]}
    with warehouse(LISTS[0], Load("ibbi", "2026-01-07", tables)) as connection:
        run(connection)
        assert labels(connection, range(2016, 2022)) == {}
        again = said("Alpha Forgings Ltd", ALPHA, "2020-09-10")
        load(connection, Load("ibbi, later", "2026-02-07", {"announcement": [again]}))
        run(connection)
        assert labels(connection, range(2016, 2022)) == {
            2016: "distressed",
            2017: "distressed",
            2018: "bankrupt",
            2019: "bankrupt",
            2020: "bankrupt",
            2021: "distressed",
        }


def test_events_of_a_user_stay(tmp_path: Path) -> None:
    row = {"company_id": "", "company_name": "Mine", "event_type": "withdrawn", "event_date": ""}
    with warehouse(*LISTS, *DEBTORS) as connection:
        import_files(connection, [write_csv(tmp_path / "events.csv", [row])])
        run(connection)
        kept = connection.execute("SELECT count(*) FROM insolvency_event WHERE company_name='Mine'")
        assert kept.fetchall() == [(1,)]


# Decisions of a person.

DOUBTFUL = (
    said("Lambdavision Limited", UNLISTED.format(70020)),
    said("LAMBDAVISION LTD", None, "2021-01-01", pdf_url="https://x/1.pdf"),
    said("=Nuclear(Casting) Ltd", None),
    said("+1 Iotaflex Bank", None),
    said("Twinborn Motors Limited", LISTED.format(70007)),
    said("Alpha Forgings Limited", ALPHA),
)


@pytest.fixture
def doubtful() -> Iterator[duckdb.DuckDBPyConnection]:
    rows = {"announcement": list(DOUBTFUL)}
    more = bse(60, "500060", "+1 Iotaflex Bank Ltd")
    lists = Load("more scrips", "2026-01-02", {"security": [more]})
    with warehouse(*LISTS, lists, Load("export", "2026-01-07", rows)) as connection:
        yield connection


def review_rows(review: Path) -> Rows:
    with review.open(encoding="utf-8", newline="") as file:
        return [dict(row) for row in csv.DictReader(file)]


def decide(review: Path, **decisions: str) -> None:
    """Fill in the column decision by company_id."""
    rows = review_rows(review)
    for row in rows:
        row["decision"] = decisions.get(str(row["company_id"]), row["decision"])
    write_csv(review, rows)


def test_doubts_are_listed_once_and_no_spreadsheet_runs_them(
    doubtful: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    review = tmp_path / "review" / "matches.csv"
    run(doubtful, review)
    write_review(doubtful, review)
    assert [tuple(row.values())[:4] for row in review_rows(review)] == [
        ("'+1 Iotaflex Bank", "", issuer(60), "'+1 Iotaflex Bank Ltd"),
        ("'=Nuclear(Casting) Ltd", "", issuer(22), "Nuclear Castings Ltd"),
        ("Lambdavision Limited", UNLISTED.format(70020), "BSE500020", "Lambdavision Ltd"),
        ("Twinborn Motors Limited", LISTED.format(70007), issuer(7), "Twinborn Motors Limited"),
        ("Twinborn Motors Limited", LISTED.format(70007), issuer(8), "Twinborn Motors Ltd"),
    ]
    assert tuple(review_rows(review)[0]) == COLUMNS
    assert [row.cells["debtor_name"] for row in read_review(review)][:2] == [
        "+1 Iotaflex Bank",
        "=Nuclear(Casting) Ltd",
    ]


def test_a_decision_is_kept_and_obeyed(doubtful: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    review = tmp_path / "matches.csv"
    run(doubtful, review)
    write_review(doubtful, review)
    decide(review, **{issuer(60): "yes", issuer(7): "YES", issuer(22): "no", "BSE500020": "yes"})
    resolved = run(doubtful, review)
    accepted = dict(
        doubtful.execute(
            "SELECT company_name, company_id FROM insolvency_event WHERE company_id IS NOT NULL"
        ).fetchall()
    )
    assert accepted == {
        "+1 Iotaflex Bank": issuer(60),
        "Twinborn Motors Limited": issuer(7),
        "Lambdavision Limited": "BSE500020",
        "LAMBDAVISION LTD": "BSE500020",
        "Alpha Forgings Limited": issuer(1),
    }
    assert resolved.ambiguous == 5
    assert doubtful.execute(
        "SELECT company_id, certainty, decision FROM debtor_match WHERE cin = ?",
        [LISTED.format(70007)],
    ).fetchall() == [(issuer(7), "ambiguous", "yes")]
    write_review(doubtful, review)
    assert [(row["company_id"], row["decision"]) for row in review_rows(review)] == [
        (issuer(60), "yes"),
        (issuer(22), "no"),
        ("BSE500020", "yes"),
        (issuer(7), "YES"),
    ]


def test_a_file_that_would_not_change_is_not_written(
    doubtful: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    review = tmp_path / "matches.csv"
    run(doubtful, review)
    write_review(doubtful, review)
    decide(review, **{issuer(60): "no"})
    run(doubtful, review)
    write_review(doubtful, review)
    before = review.stat()
    time.sleep(0.01)
    run(doubtful, review)
    write_review(doubtful, review)
    assert (review.stat().st_mtime_ns, review.stat().st_ino) == (before.st_mtime_ns, before.st_ino)
    assert list(tmp_path.iterdir()) == [review]


def test_no_doubts_no_file(tmp_path: Path) -> None:
    with warehouse(*LISTS) as connection:
        run(connection, tmp_path / "matches.csv")
        write_review(connection, tmp_path / "matches.csv")
    assert list(tmp_path.iterdir()) == []


def test_decided_rows_and_notes_outlive_their_debtor(
    doubtful: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    review = tmp_path / "matches.csv"
    old: Rows = [
        {**dict.fromkeys(COLUMNS, ""), "debtor_name": name, "company_id": "gone", **more}
        for name, more in (
            ("Undecided Limited", {}),
            ("Noted Limited", {"note": "=ask the professional"}),
            ("Refused Limited", {"decision": "no", "score": "91.0", "how": "similar name"}),
            ("Accepted Limited", {"decision": "yes"}),
        )
    ]
    write_csv(review, old)
    resolved = run(doubtful, review)
    assert [line for line in resolved.notices if line.startswith("decision on")] == [
        "decision on 'Accepted Limited': no company 'gone' in the warehouse; not used"
    ]
    write_review(doubtful, review)
    names = [row["debtor_name"] for row in review_rows(review)]
    assert "Undecided Limited" not in names
    assert {"Noted Limited", "Refused Limited", "Accepted Limited"} < set(names)
    notes = {row["debtor_name"]: row["note"] for row in review_rows(review)}
    assert notes["Noted Limited"] == "'=ask the professional"
    refused = [row for row in review_rows(review) if row["debtor_name"] == "Refused Limited"]
    assert (refused[0]["score"], refused[0]["how"]) == ("91.0", "similar name")


def test_a_decision_of_ones_own_and_against_what_is_certain(
    doubtful: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    review = tmp_path / "matches.csv"
    row = dict.fromkeys(COLUMNS, "")
    own = row | {"debtor_name": "ALPHA FORGINGS LTD", "cin": ALPHA, "decision": "yes"}
    write_csv(review, [own | {"company_id": issuer(9)}])
    run(doubtful, review)
    query = "SELECT company_id, certainty, decision FROM debtor_match WHERE cin = ?"
    assert doubtful.execute(query, [ALPHA]).fetchall() == [(issuer(9), "ambiguous", "yes")]
    write_csv(review, [own | {"company_id": issuer(1), "decision": "no"}])
    run(doubtful, review)
    assert doubtful.execute(query, [ALPHA]).fetchall() == [(issuer(1), "certain", "no")]
    labelled = "SELECT count(*) FROM insolvency_event WHERE company_id IS NOT NULL"
    assert doubtful.execute(labelled).fetchall() == [(0,)]


HEADER = ",".join(COLUMNS)
BAD_FILES = {
    "": "the file is empty",
    "debtor,company\n": "row 1: expected the columns debtor_name, cin,",
    HEADER + ",more\n": "row 1: expected the columns",
    HEADER + "\nX Limited,,c,C,90,how,maybe,\n": "row 2, column decision: expected yes, no or",
    HEADER + "\n\nX Limited,,c,C,90,how,1,\n": "row 3, column decision",
    HEADER + "\nX Limited,,c,C,90,how\n": "row 2: expected 8 columns, got 6",
    HEADER + "\nX Limited,,,C,90,how,yes,\n": "row 2, column company_id: expected one",
    HEADER + "\n ,,c,C,90,how,yes,\n": "row 2, column debtor_name: expected one",
    HEADER + "\nX Limited,L123,c,C,90,how,yes,\n": "row 2, column cin: expected a CIN",
    HEADER + "\nX Limited,,c,C,,,yes,\nX LTD.,,d,D,,,Yes,\n": "row 3: yes for 'd', but row 2",
    HEADER
    + "\nX Limited,,c,C,,,no,\nX LTD.,,c,D,,,yes,\n": "row 3: yes for 'c', but row 2 says no",
    HEADER + '\n"X Limited,,c,C,,,no,\n': "not readable as CSV",
}


def test_bad_files_of_decisions(tmp_path: Path) -> None:
    review = tmp_path / "matches.csv"
    with warehouse() as connection:
        uses: tuple[Callable[[duckdb.DuckDBPyConnection, Path], object], ...] = (run, write_review)
        for (content, expected), use in product(BAD_FILES.items(), uses):
            review.write_text(content, encoding="utf-8")
            with pytest.raises(InputError) as caught:
                use(connection, review)
            assert str(caught.value).startswith(str(review))
            assert expected in str(caught.value)
            assert review.read_text(encoding="utf-8") == content


def test_a_file_saved_by_a_spreadsheet(tmp_path: Path) -> None:
    review = tmp_path / "matches.csv"
    text = HEADER + "\r\nX Limited,,c,C,90.0,similar name, Yes ,\r\n\r\n"
    review.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert [(row.answer, row.company_id) for row in read_review(review)] == [("yes", "c")]
    review.write_bytes(text.encode("utf-16"))
    with pytest.raises(InputError, match="expected UTF-8 text"):
        read_review(review)


# Real names.


@dataclass(frozen=True)
class Real:
    """What came of real debtors' names among real companies."""

    rows: Rows
    true_symbol: Mapping[str, str]
    listed: frozenset[str]
    exported: frozenset[str]
    resolved: Resolved = field(repr=False)


def equities(path: Path) -> Load:
    with path.open(encoding="utf-8") as file:
        rows: Rows = [
            {
                "exchange": "NSE",
                "code": row["SYMBOL"],
                "symbol": row["SYMBOL"],
                "isin": row["ISIN NUMBER"],
                "security_name": row["NAME OF COMPANY"],
                "status": "Active",
                "listed_on": None,
            }
            for row in csv.DictReader(file, skipinitialspace=True)
        ]
    return Load("EQUITY_L", "2025-11-01", {"security": rows})


def members(path: Path) -> Load:
    with path.open(encoding="utf-8") as file:
        rows: Rows = [
            {
                "index_name": "nifty500",
                "list_date": date.fromisoformat(path.stem[-10:]),
                "security_name": row["Company Name"],
                "industry": row["Industry"],
                "symbol": row["Symbol"],
                "isin": row["ISIN Code"],
            }
            for row in csv.DictReader(file)
        ]
    return Load(path.stem, path.stem[-10:], {"constituent": rows})


@pytest.fixture(scope="module")
def real(shared: Path) -> Real:
    listings = shared / "fixtures/listings"
    with (shared / "data/india/events.csv").open(encoding="utf-8") as file:
        truth = {row["company_name"]: row["nse_symbol"] for row in csv.DictReader(file)}
    with (shared / "fixtures/ibbi/export_rows.csv").open(encoding="utf-8") as file:
        exported = [
            said(
                row["corporate_debtor"],
                row["cin"] if len(row["cin"]) == 21 else None,
                row["date_iso"],
                row["announcement_type"],
            )
            for row in csv.DictReader(file)
        ]
    loads = [
        equities(listings / "EQUITY_L_2025-11.csv"),
        *(members(path) for path in sorted(listings.glob("ind_nifty500list_*.csv"))),
        Load("truth", "2026-01-01", {"announcement": [said(name) for name in truth]}),
        Load("export", "2026-01-02", {"announcement": exported}),
    ]
    with warehouse(*loads) as connection:
        resolved = run(connection)
        rows = rows_of(
            connection,
            "SELECT m.debtor_name, m.cin, m.certainty, c.nse_symbol FROM debtor_match m"
            " JOIN company c USING (company_id) ORDER BY ALL",
        )
        listed = connection.execute("SELECT alias FROM alias WHERE kind LIKE '%_symbol'").fetchall()
    return Real(
        rows,
        truth,
        frozenset(symbol for (symbol,) in listed),
        frozenset(str(row["debtor_name"]) for row in exported),
        resolved,
    )


# The true symbol of the list is a former one, or is missing there: the company is the same.
SAME_COMPANY = {
    "Andhra Cements Limited": "ACL",
    "Dewan Housing Finance Corporation Limited": "PIRAMALFIN",
    "Visa Steel Ltd": "VISASTEEL",
    "Ab Infrabuild Limited": "ABINFRA",
    "Raj Oil Mills Limited": "ROML",
}
# Names that the list cut short, misspelled or has from before a change no list tells of.
NOT_FOUND = {
    "MBL Infrastructures Limited",
    "Ruchi Soya Industries Limited",
    "Consolidated Construction Cons.",
    "Titagarh Rail System Limited",
    "Sri Adhikari Brothers Televisi.",
    "Ansal Properties & Infrastruct.",
}


def test_real_debtors_are_matched_to_their_company_or_to_none(real: Real) -> None:
    accepted = {
        str(row["debtor_name"]): row["nse_symbol"]
        for row in real.rows
        if row["certainty"] != "ambiguous" and row["debtor_name"] in real.true_symbol
    }
    wrong = {
        name: symbol
        for name, symbol in accepted.items()
        if symbol not in (real.true_symbol[name], SAME_COMPANY.get(name))
    }
    assert wrong == {}  # precision 1.0
    findable = {name for name, symbol in real.true_symbol.items() if symbol in real.listed}
    assert len(findable) > 75
    assert findable - set(accepted) == NOT_FOUND
    assert len(findable & set(accepted)) / len(findable) > 0.9  # recall


def test_real_doubts_are_few_and_right(real: Real) -> None:
    doubts = [
        (row["debtor_name"], row["nse_symbol"])
        for row in real.rows
        if row["certainty"] == "ambiguous"
    ]
    assert doubts == [("Titagarh Rail System Limited", "TITAGARH")]


def test_rows_of_the_real_export_match_no_company_but_their_own(real: Real) -> None:
    found = {
        (row["debtor_name"], row["nse_symbol"], row["certainty"])
        for row in real.rows
        if row["debtor_name"] in real.exported
    }
    assert found == {
        ("FUTURE RETAIL LIMITED", "FRETAIL", "certain"),
        ("RELIANCE HOME FINANCE LIMITED", "RHFL", "certain"),
        ("Reliance Capital Limited", "RELCAPITAL", "certain"),
    }
    assert len(real.exported) > 90


@pytest.mark.slow
def test_many_debtors_among_many_companies_take_seconds() -> None:
    made = random.Random(7)
    words = ["".join(made.choices("aeioklmnprstv", k=6)) for _ in range(3000)]
    names = [" ".join(made.sample(words, 3)) + " Limited" for _ in range(3000)]
    listed = [
        bse(None, f"{500000 + at}", name) for at, name in enumerate(dict.fromkeys(names[:2000]))
    ]
    debtors = [said(name.replace("a", "e", 1)) for name in names]
    loads = (
        Load("scrips", "2026-01-01", {"security": listed}),
        Load("export", "2026-01-02", {"announcement": debtors}),
    )
    with warehouse(*loads) as connection:
        began = time.monotonic()
        resolved = run(connection)
        assert time.monotonic() - began < 20
    assert resolved.probable + resolved.ambiguous > 1500
    assert resolved.events == len({str(row["debtor_name"]) for row in debtors})
