"""Connections to a database file, its journal mode, what is found in it, its errors in words.

The file is only ever opened through SQLite: opening and closing it in any other way would
drop the locks that this process holds on it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from store.errors import HistoryDamaged, HistoryUnavailable, StoreError
from store.folder import HISTORY_ENDINGS

if TYPE_CHECKING:
    from sqlmodel import Session

APPLICATION_ID = 0x53464C54
"""`SFLT`, in the header of each of our files (`PRAGMA application_id`)."""

FILE_NAME = "history.sqlite3"


class Found(NamedTuple):
    """What a file is before anything is done to it; version 0 is an empty file."""

    version: int
    min_reader_version: int


def connect(
    path: Path, *, is_read_only: bool = False, is_immutable: bool = False, seconds: float = 5.0
) -> sqlite3.Connection:
    """A connection without transactions of its own; the file must exist.

    `seconds` is how long a statement waits for a lock. Usable from any one thread at a time.
    Text that is not UTF-8 any more is read with replacement characters, so that one damaged
    row does not hide the others.
    """
    for ending in HISTORY_ENDINGS:
        file = path.with_name(f"{path.name}{ending}")
        with contextlib.suppress(OSError):
            if not stat.S_ISREG(file.stat().st_mode):
                # SQLite would wait for who writes into a pipe.
                raise StoreError(f"{file} is not a file, so it is not touched.", "Move it away.")
    mode = "ro" if is_read_only else "rw"
    uri = f"{path.absolute().as_uri()}?mode={mode}{'&immutable=1' if is_immutable else ''}"
    connection = sqlite3.connect(
        uri, uri=True, timeout=seconds, isolation_level=None, check_same_thread=False
    )
    connection.text_factory = partial(str, encoding="utf-8", errors="replace")
    return connection


def inspect(connection: sqlite3.Connection, path: Path) -> Found:
    """What the file is. Raises `StoreError` when it is not ours, damaged or cannot be read."""
    try:
        # One look: another program may be making the history at this moment.
        connection.execute("BEGIN")
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if not tables and version == 0 and application in (0, APPLICATION_ID):
            return Found(0, 0)
        if application != APPLICATION_ID or "meta" not in tables:
            raise StoreError(
                f"{path} is a database, but not one of Safelight.",
                "Move it away or choose another folder with SAFELIGHT_HOME.",
            )
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        version = max(version, int(meta["schema_version"]))
        return Found(version, int(meta["min_reader_version"]))
    except (KeyError, ValueError, TypeError):
        raise StoreError(
            f"The history {path} does not say which version it has.",
            "It is damaged: put a backup in its place.",
        ) from None
    except sqlite3.Error as error:
        raise explain(error, path) from error
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def primary_code(error: BaseException) -> int:
    """SQLite's result code without its details, 0 when there is none."""
    return int(getattr(error, "sqlite_errorcode", None) or 0) & 0xFF


def is_busy(error: BaseException) -> bool:
    """Whether somebody else holds the lock, so that trying again helps."""
    return primary_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


_EXPLANATIONS = {
    sqlite3.SQLITE_BUSY: (
        "The history {path} is busy: another program holds it.",
        "Try again; close other programs that have it open.",
    ),
    sqlite3.SQLITE_FULL: ("The disk of {path} is full.", "Free some space, then try again."),
    sqlite3.SQLITE_READONLY: (
        "The history {path} cannot be written.",
        "Check who owns its folder and whether the disk is mounted read-only.",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "The history {path} cannot be opened.",
        "Check that its folder exists and that you may read and write there.",
    ),
    sqlite3.SQLITE_NOTADB: (
        "{path} is not a database.",
        "Move it away or put a backup in its place.",
    ),
    sqlite3.SQLITE_CORRUPT: (
        "The history {path} is damaged.",
        "Keep the file, and put a backup in its place.",
    ),
    sqlite3.SQLITE_IOERR: (
        "Reading or writing {path} failed.",
        "Check the disk and its free space, then try again.",
    ),
    sqlite3.SQLITE_NOMEM: (
        "There was too little memory for the history {path}.",
        "Close other programs, then try again.",
    ),
    sqlite3.SQLITE_PROTOCOL: (
        "The history {path} is busy: its lock could not be had.",
        "Try again; close other programs that have it open.",
    ),
}

_KINDS = {sqlite3.SQLITE_NOTADB: StoreError, sqlite3.SQLITE_CORRUPT: HistoryDamaged}
"""No waiting makes a database of another file. SQLite calls damaged what a disk could not read."""


NO_LOCKS = (
    "The file system of {path} cannot lock files, so two programs could undo each other's work.",
    "Put the data folder on a disk of this machine, with SAFELIGHT_HOME.",
)
"""What is said, and what to do, where a file system cannot lock."""

UNLOCK_FAULTS = (sqlite3.SQLITE_IOERR_UNLOCK, sqlite3.SQLITE_IOERR_RDLOCK)
"""What SQLite says at a commit when it cannot let go of the lock, wholly or but for reading."""

_LOCK_FAULTS = (
    *UNLOCK_FAULTS,
    sqlite3.SQLITE_IOERR_LOCK,
    sqlite3.SQLITE_IOERR_CHECKRESERVEDLOCK,
)


def explain(error: BaseException, path: Path) -> StoreError:
    """`error` of SQLite as one that a person can act on; `HistoryUnavailable` where it may pass."""
    code = primary_code(error)
    if getattr(error, "sqlite_errorcode", 0) in _LOCK_FAULTS:
        # A history that is open had its locks a moment ago.
        message, hint = NO_LOCKS
        return HistoryUnavailable(message.format(path=path), hint)
    if code == sqlite3.SQLITE_LOCKED:
        code = sqlite3.SQLITE_BUSY
    if code in _EXPLANATIONS:
        message, hint = _EXPLANATIONS[code]
        return _KINDS.get(code, HistoryUnavailable)(message.format(path=path), hint)
    return StoreError(f"The history {path} cannot be used: {error}.")


LOCAL_FILE_SYSTEMS = frozenset(
    {
        "apfs",
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "overlay",
        "ramfs",
        "reiserfs",
        "tmpfs",
        "xfs",
        "zfs",
    }
)
"""File systems whose shared memory and locks belong to one host. All others count as remote."""

_OCTAL = re.compile(r"\\([0-7]{3})")


class JournalMode(NamedTuple):
    """The values of `PRAGMA journal_mode` and `PRAGMA synchronous`."""

    mode: str
    synchronous: str


WAL = JournalMode("wal", "FULL")
ROLLBACK = JournalMode("truncate", "EXTRA")


def choose_journal_mode(version: tuple[int, int, int], file_system: str | None) -> JournalMode:
    """WAL with FULL where that loses nothing, else TRUNCATE with EXTRA.

    SQLite 3.7.0 to 3.51.2 can lose a committed transaction in WAL mode with two or more
    connections (https://sqlite.org/wal.html#walresetbug); 3.44.6 and 3.50.7 carry the cure,
    3.52.0 was withdrawn. WAL needs memory shared by one host, so a local disk.
    `file_system` None: not known, which counts as remote.
    """
    is_cured = (
        (3, 44, 6) <= version < (3, 45)
        or (3, 50, 7) <= version < (3, 51)
        or (3, 51, 3) <= version < (3, 52)
        or version >= (3, 53)
    )
    return WAL if is_cured and file_system in LOCAL_FILE_SYSTEMS else ROLLBACK


def find_file_system(directory: Path, mount_table: str | None = None) -> str | None:
    """The type of file system that holds `directory`, None where there is no mount table.

    `mount_table`: the text of `/proc/self/mountinfo`, read when None.
    """
    if mount_table is None:
        try:
            mount_table = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return None
    place = Path(os.path.realpath(directory))
    best: tuple[int, str] | None = None
    for line in mount_table.splitlines():
        head, separator, tail = line.partition(" - ")
        fields = head.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # A later mount on the same point covers the earlier one, hence ">=".
        if place.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = (len(point.parts), tail.split(" ")[0])
    return best[1] if best else None


def unwrap(session: Session) -> sqlite3.Connection:
    """The connection to SQLite under a session, within its transaction."""
    connection: Any = session.connection().connection.dbapi_connection
    assert isinstance(connection, sqlite3.Connection)
    return connection
