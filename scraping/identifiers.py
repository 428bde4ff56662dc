"""Identifiers of securities and companies, checked: ISIN (ISO 6166) and CIN."""

from __future__ import annotations

import re

from scraping.parse import clean, quoted
from warehouse.cin import PATTERN
from warehouse.isin import check_digit_holds

_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_CIN = re.compile(PATTERN)


def isin_of(text: str | None) -> str:
    """An ISIN in capitals, its check digit verified.

    Raises:
        ValueError: it is none.
    """
    isin = clean(text or "").upper()
    if not _ISIN.fullmatch(isin):
        raise ValueError(f"expected an ISIN, got {quoted(text)}")
    if not check_digit_holds(isin):
        raise ValueError(f"expected an ISIN, got {quoted(text)}: its check digit is wrong")
    return isin


def issuer_of(isin: str) -> str:
    """What the ISINs of one issuer have in common: country, kind and number of the issuer.

    The rest changes when shares are split or capital is reduced.
    """
    return isin[:7]


def cin_of(text: str | None) -> str:
    """A company identification number of the Indian register, in capitals.

    Raises:
        ValueError: it is none; numbers of partnerships and foreign companies are not.
    """
    cin = clean(text or "").upper()
    if not _CIN.fullmatch(cin):
        raise ValueError(f"expected a CIN such as L12345MH1994PLC012345, got {quoted(text)}")
    return cin


def cin_or_blank(text: str | None) -> str:
    """The same, or "" where it is none."""
    try:
        return cin_of(text)
    except ValueError:
        return ""
