"""Where one fiscal year ends and the next begins: the numbers of views, checks and `plain.py`."""

from __future__ import annotations

FILING_DAYS = 60  # after the year end, when nobody says on which day figures were filed
GAP_DAYS = 20  # at most, between the end of a period and the beginning of the next
WHOLE_MONTHS = 9  # at least, of a period that is taken before a later one of the same year
BANK_FIXED_ASSETS = 0.05  # of total assets: below that, and
BANK_DEBT = 1  # with more times the equity, a company is laid out as a bank
