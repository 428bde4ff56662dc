"""How commands print: full tables in a log, fitted ones on a terminal."""

from __future__ import annotations

from rich.console import Console

LOG_WIDTH = 140


def console(*, stderr: bool = False) -> Console:
    """A console that fits a terminal and is wide enough for any table elsewhere."""
    plain = Console(stderr=stderr)
    return plain if plain.is_terminal else Console(stderr=stderr, width=LOG_WIDTH)
