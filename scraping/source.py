"""What a source is: a declaration, a `crawl` that fetches and a pure `parse`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from warehouse.errors import InputError

Row = dict[str, object]
Kind = Literal["html", "json", "csv", "xml", "text"]
ONCE = "fetched once for ever"  # a key of Snapshot.about


class ParseError(InputError):
    """A document is not what its source is known to publish: says what was expected, what came."""


class FetchError(InputError):
    """A document could not be fetched: says which one and why."""


@dataclass(frozen=True)
class Host:
    """A web host: its base address, and how politely it is asked.

    Attributes:
        name: `SCRAPING_BASE_URL_<name>` in the environment points it elsewhere.
        seconds: least time between two requests.
        warm_up: path that is fetched once per session for its cookies, where the site needs that.
        headers: what its interface asks for, beside our own User-Agent.
    """

    name: str
    base_url: str
    seconds: float
    warm_up: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Expect:
    """What a crawl must bring: fewer rows than `min_rows` is a failure of the source.

    `unique` are the columns that name a row: a later row of the same key is a change of it.
    `whole`: a crawl of stage 1 brings the whole list, so that half of the last one's rows are the
    least too; false where later crawls read the newest part only.
    """

    min_rows: int
    unique: tuple[str, ...]
    whole: bool = True


@dataclass(frozen=True)
class Source:
    """One publication of one site.

    Attributes:
        name: also its module in `scraping.sources`.
        publisher: who answers for the data.
        host: name of its host in `scraping.hosts`.
        url: the publication, for a person.
        terms: what the publisher says about reuse, and what is known of access.
        cadence_days: with `--due`, how old the last complete crawl may be.
        stage: sources of a stage run at once; a stage may use what the ones before it loaded.
        table: the warehouse table of its rows.
        columns: their name of a field -> ours. Others, but for `ignored`, are a changed format.
        ignored: their fields that are known and not kept.
        expect: what a crawl must bring.
        standing: "seen" where the format was read in a real file, else "reported".
        wants: query of what to ask for, run before the crawl; columns become `fetch.wanted`. With
            a column company_id it follows `--companies`.
    """

    name: str
    publisher: str
    host: str
    url: str
    terms: str
    cadence_days: int
    stage: Literal[1, 2, 3]
    table: str
    columns: Mapping[str, str]
    ignored: tuple[str, ...]
    expect: Expect
    standing: Literal["seen", "reported"]
    wants: str = ""


@dataclass(frozen=True)
class Snapshot:
    """A document as it came: bytes after content decoding, and where and when from.

    `about` says what was asked for (a company's ISIN, a basis), so that `parse` needs no more.
    """

    source: str
    url: str
    fetched_at: datetime
    status: int
    headers: Mapping[str, str]
    sha256: str
    about: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Bad:
    """A row that was not understood: its number in the document, why, and what it held."""

    row_number: int
    reason: str
    content: str


@dataclass(frozen=True)
class Parsed:
    """A document's rows in our columns, the rows that are quarantined, and lines to be read."""

    rows: list[Row]
    bad: list[Bad] = field(default_factory=list)
    notices: tuple[str, ...] = ()
