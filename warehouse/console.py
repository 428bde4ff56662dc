"""How commands print: full tables in a log, fitted ones on a terminal."""

from __future__ import annotations

from typing import IO

from rich.console import Console

LOG_WIDTH = 140


def console(*, stderr: bool = False, file: IO[str] | None = None) -> Console:
    """A console that fits a terminal; elsewhere, as in `file`, wide enough for any table."""
    fitted = file is None and Console(stderr=stderr).is_terminal
    width = None if fitted else LOG_WIDTH
    # Names come from outside: nothing in them is markup.
    return Console(
        stderr=stderr, file=file, width=width, markup=False, emoji=False, highlight=False
    )
