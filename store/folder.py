"""The data folder: made, owned, private, and what of the history in it can be used."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from pathlib import Path
from typing import NamedTuple

from store import migrations
from store.connection import (
    FILE_NAME,
    Found,
    connect,
    create_file,
    explain,
    inspect,
    is_busy,
    primary_code,
    sync,
)
from store.errors import StoreError
from store.journal import WAL, JournalMode, choose_journal_mode, find_file_system


class Folder(NamedTuple):
    """A data folder with a history that can be used, and how."""

    directory: Path
    path: Path
    journal: JournalMode
    is_read_only: bool
    is_immutable: bool
    why_read_only: str
    warnings: tuple[str, ...]

    def connect(self, seconds: float) -> sqlite3.Connection:
        """A new connection, set up; `seconds` is how long it waits for locks."""
        connection = connect(
            self.path,
            is_read_only=self.is_read_only,
            is_immutable=self.is_immutable,
            seconds=seconds,
        )
        try:
            connection.execute("PRAGMA foreign_keys = ON")
            if not self.is_read_only:
                connection.execute(f"PRAGMA journal_mode = {self.journal.mode}").fetchone()
                connection.execute(f"PRAGMA synchronous = {self.journal.synchronous}")
        except BaseException:
            connection.close()
            raise
        return connection


def open_folder(directory: Path, create: bool, seconds: float) -> Folder:
    """The history in `directory`, made or brought up to date where needed.

    Raises `StoreError` for all that `Database.open` names.
    """
    directory = directory.expanduser().absolute()
    path = directory / FILE_NAME
    try:
        if create:
            _make(directory)
        _check_owner(directory)
        has_file = path.exists()
        can_write = os.access(directory, os.W_OK) and (not has_file or os.access(path, os.W_OK))
        if not has_file:
            _refuse_missing(directory, create, can_write)
            create_file(path)
        elif can_write:
            _make_private(directory, path)
    except OSError as error:
        raise StoreError(
            f"The data folder {directory} cannot be used: {error.strerror or error}.",
            "Choose another one with SAFELIGHT_HOME.",
        ) from error
    return _open_file(directory, path, can_write, seconds)


def _make(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        sync(directory.parent)


def _check_owner(directory: Path) -> None:
    try:
        facts = directory.stat()
    except FileNotFoundError:
        raise StoreError(
            f"There is no history in {directory}.", "Make an image first, or name another folder."
        ) from None
    if not directory.is_dir():
        raise StoreError(f"{directory} is not a folder.", "Choose another one with SAFELIGHT_HOME.")
    if hasattr(os, "geteuid") and facts.st_uid != os.geteuid():
        raise StoreError(
            f"The data folder {directory} belongs to somebody else.",
            "Run as its owner, or choose another folder with SAFELIGHT_HOME.",
        )


def _refuse_missing(directory: Path, create: bool, can_write: bool) -> None:
    if not create:
        raise StoreError(
            f"There is no history in {directory}.", "Make an image first, or name another folder."
        )
    if not can_write:
        raise StoreError(
            f"The data folder {directory} cannot be written, and no history is in it to read.",
            "Make it writable, or choose another one with SAFELIGHT_HOME.",
        )


def _make_private(directory: Path, path: Path) -> None:
    for place in (directory, path):
        if place.stat().st_mode & 0o077:
            place.chmod(place.stat().st_mode & 0o700)


def _open_file(directory: Path, path: Path, can_write: bool, seconds: float) -> Folder:
    # Looked at read-only first: a history that is too new must stay as it is to the byte.
    is_immutable = False
    try:
        found = _look(path, is_read_only=True)
    except StoreError as error:
        code = primary_code(error.__cause__) if error.__cause__ else 0
        if code not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            raise
        # A journal of a crashed program can only be undone by writing; on a disk where
        # nobody writes, the index that WAL shares is not needed.
        is_immutable = not can_write and not _has_journal(path)
        if not can_write and not is_immutable:
            raise StoreError(
                f"The history {path} was left open by a program that crashed, "
                "and cannot be repaired because it cannot be written.",
                "Make its folder writable once.",
            ) from error
        found = _look(path, is_read_only=not can_write, is_immutable=is_immutable)
    why = "" if can_write else f"{directory} cannot be written: check its owner and its disk."
    if found.version > migrations.VERSION:
        if found.min_reader_version > migrations.VERSION:
            raise StoreError(
                f"The history {path} was made by a newer Safelight "
                f"(its form is {found.version}, this program knows {migrations.VERSION}).",
                "Update Safelight; nothing was changed.",
            )
        why = "A newer Safelight made it; update Safelight to write to it."
    elif found.version < migrations.VERSION and not can_write:
        raise StoreError(
            f"The history {path} has an older form and cannot be brought up to date, "
            "because it cannot be written.",
            "Make its folder writable.",
        )
    if why:
        journal = JournalMode("read-only", "FULL")
        return Folder(directory, path, journal, True, is_immutable, why, ())
    journal, warnings = _prepare(directory, path, seconds)
    return Folder(directory, path, journal, False, False, "", warnings)


def _look(path: Path, *, is_read_only: bool, is_immutable: bool = False) -> Found:
    try:
        connection = connect(path, is_read_only=is_read_only, is_immutable=is_immutable)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    with contextlib.closing(connection):
        return inspect(connection, path)


def _has_journal(path: Path) -> bool:
    journals = (path.with_name(path.name + ending) for ending in ("-wal", "-journal"))
    return any(journal.exists() and journal.stat().st_size for journal in journals)


def _prepare(directory: Path, path: Path, seconds: float) -> tuple[JournalMode, tuple[str, ...]]:
    """Set the journal mode by rule and bring the schema up to date."""
    rule = choose_journal_mode(sqlite3.sqlite_version_info[:3], find_file_system(directory))
    try:
        with contextlib.closing(connect(path, seconds=seconds)) as connection:
            journal = _set_journal(connection, rule, seconds)
            connection.execute(f"PRAGMA synchronous = {journal.synchronous}")
            migrations.migrate(connection, path)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    if journal == rule:
        return journal, ()
    return journal, (
        f"The history uses the journal mode {journal.mode}, but {rule.mode} is the safe one here "
        f"(SQLite {sqlite3.sqlite_version}): close all other programs that use it and start again.",
    )


def _set_journal(connection: sqlite3.Connection, rule: JournalMode, seconds: float) -> JournalMode:
    """The mode that is in use afterwards: a file in WAL mode can only leave it when alone."""
    current = connection.execute("PRAGMA journal_mode").fetchone()[0]
    if (current == "wal") != (rule.mode == "wal"):
        connection.execute("PRAGMA busy_timeout = 200")
        try:
            connection.execute(f"PRAGMA journal_mode = {rule.mode}").fetchone()
        except sqlite3.OperationalError as error:
            if not is_busy(error):
                raise
        current = connection.execute("PRAGMA journal_mode").fetchone()[0]
        connection.execute(f"PRAGMA busy_timeout = {int(seconds * 1000)}")
    if (current == "wal") == (rule.mode == "wal"):
        connection.execute(f"PRAGMA journal_mode = {rule.mode}").fetchone()
        return rule
    return WAL if current == "wal" else JournalMode("truncate", "EXTRA")
