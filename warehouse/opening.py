"""Open the DuckDB file: wait for another process that holds it, and say in one line what is wrong.

DuckDB lets one process write a file, or any number read it. The lock is the system's: it ends with
the process, so a lock is never stale. What a killed process leaves is a write-ahead log (`.wal`),
which DuckDB replays when the file is opened next, in memory if it is opened for reading.
"""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import duckdb
import tenacity

from warehouse.errors import InputError, printable

Config = Mapping[str, str | bool | int | float | list[str]]

IN_MEMORY = ":memory:"
WAIT_VARIABLE = "BANKRUPTCY_WAIT_SECONDS"
WAIT_SECONDS = 30.0
MOST_WAIT_SECONDS = 86_400.0

# A new DuckDB file: three headers of 4,096 bytes. A shorter one holds no row.
_HEADERS = 3 * 4096
_MAGIC = slice(8, 12)


class HeldError(InputError):
    """Another process holds the warehouse; `pid` is the number of one that does, if known."""

    def __init__(self, target: str, pid: int | None = None, waited: float = 0) -> None:
        super().__init__(
            f"{target}: another process holds this warehouse{_named(pid)}"
            f"{f' after {waited:g} s' if waited else ''}; wait for it or stop it, or set"
            f" {WAIT_VARIABLE} to wait longer"
        )
        self.pid = pid


@dataclass(frozen=True)
class Fault:
    """What DuckDB says (a regular expression), and what a person is told; {target} is the file."""

    said: str
    told: str


# The first whose text DuckDB's message holds.
FAULTS: tuple[Fault, ...] = (
    Fault(
        r"with a different configuration than existing|held in current process|already open in",
        "{target}: this process has the warehouse open already, for other use (reading or writing);"
        " close that connection first",
    ),
    Fault(
        r"locks are not supported",
        "{target}: the file system cannot lock files, and without a lock two processes may ruin the"
        " warehouse; put it on a local disk",
    ),
    Fault(
        r"No space left|not enough space|quota exceeded|File too large",
        "{target}: the disk is full or a limit on file sizes is reached; the warehouse keeps what"
        " it held: free some space and run this again",
    ),
    Fault(
        r"WAL file",
        "{target}.wal: the log that a stopped process left cannot be read, or is that of another"
        " file; restore a copy of both, or move the .wal away to lose what only it holds",
    ),
    Fault(
        r"Permission denied|Read-only file system|Operation not permitted",
        "{target}: no permission to open it; give this user the right to read and write the file"
        " and its folder",
    ),
    Fault(
        r"database does not exist",
        "{target}: no warehouse here; make one with: python -m warehouse init",
    ),
)


def seconds_to_wait() -> float:
    """How long to wait for a held warehouse: `BANKRUPTCY_WAIT_SECONDS`, else 30; 0 is not at all.

    Raises:
        InputError: not a number of seconds from 0 to 86,400 (a day).
    """
    given = os.environ.get(WAIT_VARIABLE) or str(WAIT_SECONDS)
    try:
        seconds = float(given)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MOST_WAIT_SECONDS:
        raise InputError(
            f"{WAIT_VARIABLE}: expected seconds from 0 to {MOST_WAIT_SECONDS:,.0f},"
            f" got {given[:80]!r}"
        )
    return seconds


def open_database(
    target: str, *, read_only: bool, config: Config, wait: float
) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file, waiting while another process holds it; says once that it waits.

    Args:
        target: path of the file, or `:memory:`.
        read_only: open for reading beside other readers.
        config: settings of DuckDB; one process opens a file with the same settings everywhere.
        wait: seconds to wait for another process; 0 is not at all.

    Raises:
        HeldError: another process still held the file when the time was over.
        InputError: no database, a damaged one, one this process has open otherwise, no permission.
    """
    patient = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(HeldError),
        stop=tenacity.stop_before_delay(wait),
        # Asked often at first, then each second or so; scattered, for two not to ask in step.
        wait=tenacity.wait_random_exponential(multiplier=0.1, min=0.05, max=1),
        before_sleep=lambda state: _say_waiting(state, target, wait),
        reraise=True,
    )
    try:
        return patient(_open, target, read_only, config)
    except HeldError as error:
        raise HeldError(target, error.pid, wait) from None


def _open(target: str, read_only: bool, config: Config) -> duckdb.DuckDBPyConnection:
    """One attempt."""
    before = _file_number(target)
    try:
        connection = duckdb.connect(target, read_only=read_only, config=dict(config))
    except duckdb.Error as error:
        fault = opening_fault(target, error)
        if before is None and not isinstance(fault, HeldError):
            _discard_unfinished(target)
        raise fault from None
    now = _file_number(target)
    if target != IN_MEMORY and (now is None or before not in (None, now)):
        # Deleted or replaced between opening and locking: rows written to it would be lost.
        connection.close()
        raise HeldError(target)
    return connection


def _file_number(target: str) -> tuple[int, int] | None:
    """What tells a file from another of the same name; None for one that is not there."""
    try:
        facts = Path(target).stat()
    except OSError:
        return None
    return facts.st_dev, facts.st_ino


def opening_fault(target: str, error: duckdb.Error) -> InputError:
    """What a person is told of an error that `duckdb.connect` raised for this file."""
    text = _words(str(error))
    pid = _holder(text)
    if _is_held(text) and pid != os.getpid():
        return HeldError(target, pid)
    told = _told(target, text)
    if told is not None:
        return InputError(told)
    if _is_unfinished(target):
        return _unfinished_fault(target)
    if isinstance(error, duckdb.IOException):
        return InputError(
            f"{target}: expected a DuckDB database file, got something else or a damaged file;"
            " restore a copy, or name another file with --db"
        )
    return InputError(f"{target}: cannot be opened: {_first_line(text)}")


def use_fault(target: str, error: duckdb.Error) -> InputError:
    """What a person is told of a database that failed while it was read or written."""
    told = _told(target, _words(str(error)))
    if told is not None:
        return InputError(told)
    return InputError(
        f"{target}: the database failed ({_first_line(str(error))}); is the file damaged?"
        " restore a copy, or name another file with --db"
    )


def _is_held(text: str) -> bool:
    """Whether DuckDB's message says that another process holds the file."""
    # Said by Linux and macOS, then by Windows, the last in the language of its user.
    words = r"Conflicting lock is held|already open in|being used by another process"
    return re.search(words, text) is not None


def _holder(text: str) -> int | None:
    """Number of the process that DuckDB's message names; None where it names none."""
    found = re.search(r"\(PID (\d+)\)", text)
    # 0: the holder let go while DuckDB looked for it, or runs in another container.
    return int(found[1]) or None if found else None


def _words(text: str) -> str:
    """A message without the paths in it, whose words say nothing about the fault."""
    return re.sub(r'"[^"]*"', "", text)


def _told(target: str, text: str) -> str | None:
    found = (fault.told for fault in FAULTS if re.search(fault.said, text, re.IGNORECASE))
    told = next(found, None)
    return None if told is None else told.format(target=target)


def _is_unfinished(target: str) -> bool:
    """Whether a file is the beginning of a new database, whose making was cut short."""
    path = Path(target)
    if not path.is_file() or path.stat().st_size >= _HEADERS:
        return False
    start = path.read_bytes()[: _MAGIC.stop]
    return start == b"" or start[_MAGIC] == b"DUCK"


def _discard_unfinished(target: str) -> None:
    """Delete the beginning of a database that this process could not finish: the disk was full."""
    with suppress(OSError):
        if _is_unfinished(target):
            Path(target).unlink()


def _unfinished_fault(target: str) -> InputError:
    time.sleep(0.2)  # Another process may be making it at this moment.
    if not _is_unfinished(target):
        return HeldError(target)
    return InputError(
        f"{target}: expected a DuckDB database file, got one that was never finished and holds"
        " nothing; delete it"
    )


def _first_line(text: str) -> str:
    return (text.splitlines() or ["unknown fault"])[0][:200]


def _say_waiting(state: tenacity.RetryCallState, target: str, wait: float) -> None:
    if state.attempt_number > 1 or state.outcome is None:
        return
    error = state.outcome.exception()
    who = _named(error.pid if isinstance(error, HeldError) else None)
    print(
        printable(f"another process{who} holds {target}; waiting up to {wait:g} s"),
        file=sys.stderr,
        flush=True,
    )


def _named(pid: int | None) -> str:
    return f" (PID {pid})" if pid else ""
