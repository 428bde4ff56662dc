"""The routes of the replica's nine sites; all companies are made up.

A route is one entry of `ROUTES`: a site, a pattern of paths, and the function that renders them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from replica_base import Ask, Reply, Sites, refused, whole_page
from replica_cases import COURTS
from replica_exchanges import (
    detailed_result,
    equities,
    from_bse,
    index_list,
    integrated,
    name_changes,
    results,
    scrips,
    symbol_changes,
    xbrl_file,
)
from replica_ibbi import announcements, inner_process, moved, orders
from replica_moneycontrol import earnings, statement_page, suggestions
from replica_open import OGD_RESOURCE, indicator, register
from replica_statements import STATEMENTS

SITES: Final = {  # name of the host in SCRAPING_BASE_URL_<name> -> prefix of its paths
    "IBBI": "ibbi",
    "NSE": "nse",
    "NSE_ARCHIVES": "nse-archives",
    "BSE": "bse",
    "BSE_API": "bse-api",
    "MONEYCONTROL": "moneycontrol",
    "MONEYCONTROL_API": "moneycontrol-api",
    "WORLDBANK": "worldbank",
    "OGD": "ogd",
}

LARGE: Final = 32 * 1024  # bytes of a document that is rendered anew each time, to spare memory


def answer(sites: Sites, ask: Ask) -> Reply:
    """The site's answer; documents that are not large are kept until the world changes."""
    if ask.site == "bse-api" and ask.path != "/robots.txt" and not from_bse(ask.headers):
        return refused(403, "Access Denied")
    key = (sites.world.version, ask.site, ask.path, tuple(sorted(ask.query.items())), ask.stuck)
    kept = sites.kept.get(key)
    if kept is not None:
        return kept
    reply = _rendered(sites, ask)
    if len(reply.body) < LARGE:
        sites.kept[key] = reply
    return reply


def _rendered(sites: Sites, ask: Ask) -> Reply:
    for site, pattern, function in ROUTES:
        found = re.fullmatch(pattern, ask.path) if site in (ask.site, "*") else None
        if found:
            return function(sites, ask, *found.groups())
    return refused(404, "Not Found")


def _robots(_: Sites, ask: Ask) -> Reply:
    if ask.site == "ibbi":
        return refused(404, "Not Found")
    return Reply(b"User-agent: *\nDisallow: /private/\n", "text/plain")


COOKIES: Final = {
    "nse": ("nsit", "nseappid", "bm_sv"),
    "moneycontrol": ("mcsession",),
    "ibbi": ("csrfToken",),
}


def _home(_: Sites, ask: Ask) -> Reply:
    """A home page: it sets the cookies that `warm` looks for."""
    names = COOKIES.get(ask.site, ("visit",))
    set_cookies = tuple(
        ("Set-Cookie", f"{name}=replica-{ask.site}; Path=/{ask.site}; HttpOnly") for name in names
    )
    return Reply(whole_page(f"Replica of {ask.site}", "<p>Home</p>"), headers=set_cookies)


def warm(ask: Ask) -> bool:
    """Whether the request carries the cookie of its site's home page."""
    name = COOKIES.get(ask.site, ("visit",))[0]
    return f"{name}=replica-{ask.site}" in ask.headers.get("Cookie", "")


_ANY_STATEMENT: Final = "|".join(STATEMENTS)
_MC_PATH: Final = rf"/financials/([^/]+)/(consolidated-)?({_ANY_STATEMENT})VI/(\w+)(?:/(\d+))?"
_NSE_LISTS: Final = "/content/equities"

ROUTES: Final[tuple[tuple[str, str, Callable[..., Reply]], ...]] = (
    ("*", "/robots.txt", _robots),
    ("*", "/?", _home),
    ("ibbi", "/public-announcement", announcements),
    ("ibbi", "/en/public-announcement", moved),
    ("ibbi", "/claims/inner-process/([^/]+)", inner_process),
    ("ibbi", f"/orders/({'|'.join(COURTS)})", orders),
    ("nse", "/api/corporates-financial-results", results),
    ("nse", "/api/integrated-filing-results", integrated),
    ("nse-archives", "/content/indices/ind_nifty500list.csv", index_list),
    ("nse-archives", f"{_NSE_LISTS}/EQUITY_L.csv", equities),
    ("nse-archives", f"{_NSE_LISTS}/symbolchange.csv", symbol_changes),
    ("nse-archives", f"{_NSE_LISTS}/namechange.csv", name_changes),
    ("nse-archives", r"/corporate/xbrl/(\w+\.xml)", xbrl_file),
    ("bse-api", "/BseIndiaAPI/api/ListofScripData/w", scrips),
    ("bse-api", "/BseIndiaAPI/api/Corp_detailedResult_Transpose_ng/w", detailed_result),
    ("moneycontrol", "/mccode/common/autosuggestion_solr.php", suggestions),
    ("moneycontrol", _MC_PATH, statement_page),
    ("moneycontrol-api", f"/mcapi/v1/quarterly-earning/({_ANY_STATEMENT})", earnings),
    ("worldbank", r"/v2/country/(?:IND|IN)/indicator/([\w.]+)", indicator),
    ("ogd", f"/resource/{OGD_RESOURCE}", register),
)
