"""How commands print: full tables in a log, fitted ones on a terminal."""

from __future__ import annotations

from rich.console import Console

LOG_WIDTH = 140


def console(*, stderr: bool = False) -> Console:
    """A console that fits a terminal and is wide enough for any table elsewhere."""
    width = None if Console(stderr=stderr).is_terminal else LOG_WIDTH
    # Names come from outside: nothing in them is markup.
    return Console(stderr=stderr, width=width, markup=False, emoji=False, highlight=False)
