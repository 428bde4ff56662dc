"""The check digit of an ISIN (ISO 6166)."""

from __future__ import annotations


def check_digit_holds(isin: str) -> bool:
    """Whether the last digit of an ISIN, given in capitals, is the one that the others give."""
    digits = "".join(str(int(character, 36)) for character in isin)
    doubled = (int(digit) * (1 + at % 2) for at, digit in enumerate(reversed(digits)))
    return sum(value // 10 + value % 10 for value in doubled) % 10 == 0
