"""Files on disk: their hash, and writing them whole or not at all."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from warehouse.errors import InputError


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def unpacked_bytes(path: Path) -> int:
    """Bytes that a zip says its parts unpack to; `zipfile.BadZipFile` where it is none."""
    with zipfile.ZipFile(path) as packed:
        return sum(part.file_size for part in packed.infolist())


def make_folder(folder: Path) -> None:
    """Make a folder for output; raise an `InputError` where that cannot be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made: {error.strerror}") from None


def write_whole(out: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a draft beside `out` and put it in its place: no reader meets half a file.

    Raises:
        InputError: the file cannot be written there; what stood there stays.
    """
    make_folder(out.parent)
    draft = out.parent / f"{out.name}.part"
    try:
        write(draft)
        draft.replace(out)
    except OSError as error:
        raise InputError(f"{out}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
