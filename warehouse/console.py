"""How commands print: full tables in a log, fitted ones on a terminal."""

from __future__ import annotations

from typing import IO

import click
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


def year_range(context: click.Context, option: click.Parameter, value: str) -> tuple[int, int]:
    """Callback of an option that takes years: YYYY-YYYY or YYYY."""
    first, dash, last = value.partition("-")
    if not first.isdecimal() or (dash and not last.isdecimal()):
        raise click.BadParameter(f"expected YYYY-YYYY or YYYY, got {value!r}")
    years = (int(first), int(last if dash else first))
    if years[0] > years[1]:
        raise click.BadParameter(f"the first year is after the last in {value!r}")
    return years
