"""The hosts that are asked, and how politely."""

from __future__ import annotations

import os
from urllib.parse import unquote, urlsplit

from scraping.parse import quoted
from scraping.source import FetchError, Host
from warehouse.errors import InputError

_BROWSER_NEEDS = {"Accept": "*/*", "Accept-Language": "en-IN,en;q=0.8"}

# Seconds between requests: users of NSE report refusals at 0.6 and none at 6; for the others no
# limit is published, and a slow crawl costs nothing.
HOSTS: tuple[Host, ...] = (
    Host("IBBI", "https://ibbi.gov.in", 2.0),
    Host("NSE", "https://www.nseindia.com", 6.0, warm_up="/", headers=_BROWSER_NEEDS),
    Host("NSE_ARCHIVES", "https://nsearchives.nseindia.com", 3.0, headers=_BROWSER_NEEDS),
    Host("BSE", "https://www.bseindia.com", 3.0),
    Host(
        "BSE_API",
        "https://api.bseindia.com",
        3.0,
        headers={"Referer": "https://www.bseindia.com/", "Origin": "https://www.bseindia.com"},
    ),
    Host("MONEYCONTROL", "https://www.moneycontrol.com", 3.0),
    Host("MONEYCONTROL_API", "https://api.moneycontrol.com", 3.0),
    Host("WORLDBANK", "https://api.worldbank.org", 1.0),
    Host("OGD", "https://api.data.gov.in", 4.0),
)
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def host_named(name: str) -> Host:
    """The host of that name.

    Raises:
        FetchError: there is none.
    """
    for host in HOSTS:
        if host.name == name:
            return host
    raise FetchError(f"unknown host {name!r}; known: {', '.join(h.name for h in HOSTS)}")


def base_url(host: Host) -> str:
    """Where the host is asked: its own address, or `SCRAPING_BASE_URL_<name>`.

    Raises:
        InputError: the setting is no http or https address of a host and, it may be, a path.
    """
    setting = f"SCRAPING_BASE_URL_{host.name}"
    base = (os.environ.get(setting) or host.base_url).rstrip("/")
    if not _is_base(base):
        raise InputError(f"{setting}: expected an address like {host.base_url}, got {quoted(base)}")
    return base


def _is_base(base: str) -> bool:
    try:
        parts = urlsplit(base)
        port = parts.port
    except ValueError:
        return False
    return (
        parts.scheme in ("http", "https")
        and bool(parts.hostname)
        and port != 0
        and not (parts.query or parts.fragment or "@" in parts.netloc)
        and _is_plain(base)
    )


def _is_plain(address: str) -> bool:
    """Whether an address has nothing that one reader of it may take for another thing."""
    return address.isprintable() and address == address.strip() and "\\" not in address


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine: a replica, which needs no sparing."""
    return urlsplit(url).hostname in LOOPBACK


def address(host: Host, path: str) -> tuple[Host, str]:
    """Host and URL of `path`: below the host's base, or absolute on any of the known hosts.

    A document may name another document by its public address; that one is fetched from wherever
    its host is pointed at, and an address of an unknown host is refused. What stands behind a `#`
    is no part of a request and is left out.

    Raises:
        FetchError: the address is not of a known host, or not plain: it has control characters,
            backslashes, or `..` for a folder.
    """
    asked = path.partition("#")[0]
    folders = unquote(asked.partition("?")[0]).replace("\\", "/").split("/")
    if not _is_plain(asked) or ".." in folders:
        raise FetchError(f"{quoted(path)}: not a plain address; refused")
    if asked.startswith("/") and not asked.startswith("//"):
        return host, base_url(host) + asked
    bases = [(base, known) for known in HOSTS for base in (base_url(known), known.base_url)]
    bases.sort(key=lambda each: (len(each[0]), each[1] == host), reverse=True)
    for base, known in bases:
        if asked.startswith(base + "/"):
            return known, base_url(known) + asked[len(base) :]
    raise FetchError(f"{quoted(path)}: not a path, nor an address of a known host; refused")
