"""The hosts that are asked, and how politely."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

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
        InputError: the setting is no http or https address.
    """
    setting = f"SCRAPING_BASE_URL_{host.name}"
    base = (os.environ.get(setting) or host.base_url).rstrip("/")
    parts = urlsplit(base)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(f"{setting}: expected an address like {host.base_url}, got {base!r}")
    return base


def is_loopback(url: str) -> bool:
    """Whether the address is on this machine: a replica, which needs no sparing."""
    return urlsplit(url).hostname in LOOPBACK


def address(host: Host, path: str) -> tuple[Host, str]:
    """Host and URL of `path`: below the host's base, or absolute on any of the known hosts.

    A document may name another document by its public address; that one is fetched from wherever
    its host is pointed at, and an address of an unknown host is refused.

    Raises:
        FetchError: the address is not of a known host.
    """
    if path.startswith("/") and not path.startswith("//"):
        return host, base_url(host) + path
    for known in HOSTS:
        for base in (base_url(known), known.base_url):
            if path.startswith(base + "/"):
                return known, base_url(known) + path[len(base) :]
    raise FetchError(f"{path}: not a path, nor an address of a known host; refused")
