"""The one exception a user is meant to read."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

P = ParamSpec("P")


class InputError(Exception):
    """Bad input: one line that says which file, which row, what was expected and what came."""

    def __init__(self, message: str) -> None:
        super().__init__(printable(" ".join(message.split())))


class UnnamedError(InputError):
    """A document that does not say whose it is."""


def printable(text: str) -> str:
    """Text from outside without what a terminal would obey: control characters are spelt out."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def exits_with_2(command: Callable[P, None]) -> Callable[P, None]:
    """Turn an `InputError` of a command into one line on stderr and exit code 2."""

    @wraps(command)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except InputError as error:
            print(f"error: {error}", file=sys.stderr)
            raise SystemExit(2) from None
        except OSError as error:  # a path too long, a disk full, a folder that may not be read
            print(f"error: {printable(' '.join(str(error).split()))}", file=sys.stderr)
            raise SystemExit(2) from None

    return guarded
