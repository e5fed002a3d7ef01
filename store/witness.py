"""What is remembered beside a history of how far it was, so that an older or other file is noticed.

The note lies in the data folder and may be lost at any time. It is written when what it tells of
is on disk, and read before the history is, so it is never ahead of it.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import time
from pathlib import Path

import msgspec

from store.errors import StoreError
from store.folder import FOLDERS, create_file, open_private
from store.sqlite import connect, inspect

NAME = "history.witness"
COPIES_KEPT = 20
_SIZE_LIMIT = 1 << 16
_IDENTITY = "identity"
"""The key in `meta` of a random word that each history has for itself, and its copies too."""


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """What was known of a history when it was last used.

    `identity`: its random word. `given`: by table the highest number that was ever given in it.
    `copies`: where copies of it were put.
    """

    identity: str
    given: dict[str, int] = {}
    copies: tuple[str, ...] = ()


def read_witness(directory: Path) -> Witness | None:
    """The note in `directory`, None where there is none that can be read."""
    try:
        descriptor = open_private(directory / NAME, os.O_RDONLY)
        with os.fdopen(descriptor, "rb") as file:
            return msgspec.json.decode(file.read(_SIZE_LIMIT), type=Witness)
    except (OSError, StoreError, msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def note_history(
    directory: Path,
    connection: sqlite3.Connection,
    *,
    copy: Path | None = None,
    is_accepted: bool = False,
) -> None:
    """Remember how far this history is, and where a copy of it was put. Never raises.

    One that was put in the place of another while that was in use is remembered only when it
    `is_accepted`.
    """
    with contextlib.suppress(OSError, sqlite3.Error, UnicodeError):
        before = read_witness(directory)
        copies = list(before.copies) if before else []
        if copy is not None:
            copies = [*(each for each in copies if each != str(copy)), str(copy)]
        identity, given = _read_state(connection)
        if (
            before
            and not is_accepted
            and (before.identity != identity or _list_lost(before, given))
        ):
            identity, given = before.identity, before.given
        now = Witness(identity=identity, given=given, copies=tuple(copies[-COPIES_KEPT:]))
        if identity and now != before:
            _write(directory / NAME, msgspec.json.encode(now))


def name_history(connection: sqlite3.Connection) -> None:
    """Give the history its random word where it has none."""
    if not _read_state(connection)[0]:
        values = (_IDENTITY, secrets.token_hex())
        connection.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", values)


def check_there(directory: Path, path: Path) -> None:
    """Raise `StoreError` where the history is gone or empty, and images of it are there."""
    if not _has_images(directory):
        return
    raise StoreError(
        f"The history {path} is {'empty' if path.exists() else 'gone'}, but there are image files "
        f"in {directory / FOLDERS[0]}. {_name_copy(directory, path)}",
        f"Put a copy in its place and remove {directory / NAME}; to begin anew instead, move the "
        "folder of the images away.",
    )


def find_change(
    directory: Path, path: Path, connection: sqlite3.Connection, witness: Witness
) -> str:
    """What is wrong where the history at `path` is not the one that was here last, else empty.

    `witness` was read before.
    """
    try:
        identity, given = _read_state(connection)
    except sqlite3.Error:
        return ""
    if identity != witness.identity:
        what = "is another one than the one that was here"
    elif missing := _list_lost(witness, given):
        lost = ", ".join(f"{count:,} {table}" for table, count in sorted(missing.items()))
        what = f"is older than the one that was here: it lacks the newest rows ({lost})"
    else:
        return ""
    return (
        f"The history {path} {what}, so nothing is written to it. "
        f"{_name_copy(directory, path)} If this one is meant, remove {directory / NAME}."
    )


def _read_state(connection: sqlite3.Connection) -> tuple[str, dict[str, int]]:
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (_IDENTITY,)).fetchone()
    given = connection.execute(
        "SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer'"
    ).fetchall()
    return str(row[0]) if row else "", {str(name): number for name, number in given}


def _list_lost(witness: Witness, given: dict[str, int]) -> dict[str, int]:
    """How many rows of which table the witness knew and were never given here."""
    lost = {table: number - given.get(table, 0) for table, number in witness.given.items()}
    return {table: count for table, count in lost.items() if count > 0}


def _has_images(directory: Path) -> bool:
    for each in (directory / FOLDERS[0]).glob("*/*"):
        if each.is_file() and not each.name.startswith("."):
            return True
    return False


def _name_copy(directory: Path, path: Path) -> str:
    """A sentence that names the newest copy of the history that can be found."""
    witness = read_witness(directory)
    known = [Path(text) for text in witness.copies] if witness else []
    found: list[tuple[float, Path]] = []
    for each in {*known, *directory.glob("*.sqlite3")}:
        with contextlib.suppress(OSError, sqlite3.Error, StoreError, ValueError):
            if each != path and each.is_file():
                with contextlib.closing(connect(each, is_read_only=True)) as connection:
                    if inspect(connection, each).version:
                        found.append((each.stat().st_mtime, each))
    if not found:
        return "No copy of it is known here."
    moment, newest = max(found)
    day = time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))
    return f"The newest copy is {newest} (of {day})."


def _write(path: Path, data: bytes) -> None:
    """Replace the file; an older one, as a power cut leaves, tells less and nothing wrong."""
    new = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.new")
    create_file(new)
    try:
        new.write_bytes(data)
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
