"""The history on disk: opening it, transactions, copies, checks.

SQLite is driven with transactions of our own: `BEGIN` for readers, `BEGIN IMMEDIATE` for
writers. The driver's own handling loses updates silently, and a reader that turns into a
writer fails at once without waiting.
"""

from __future__ import annotations

import contextlib
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from store import migrations, witness
from store.errors import HistoryUnavailable, StoreError
from store.folder import prepare_folder
from store.progress import ProgressFile
from store.search_index import LEAST_SQLITE, add_function
from store.sqlite import (
    FILE_NAME,
    UNLOCK_FAULTS,
    WAL,
    Found,
    JournalMode,
    choose_journal_mode,
    connect,
    explain,
    find_file_system,
    inspect,
    is_busy,
    primary_code,
)
from store.vault import Vault

T = TypeVar("T")

BUSY_SECONDS = 15.0
"""How long a transaction waits for others before it gives up."""

STATEMENT_SECONDS = 0.25
"""How long one statement waits inside SQLite; the rest of the waiting is done here."""

LONG_SECONDS = 1.0
"""After this time of waiting for others there is more of a pause between two tries."""

_OPENING = threading.Lock()
"""Two openings in one process must not meet: making the file drops this process's locks on it."""


class _Occupied(threading.local):
    """How many transactions this thread is in."""

    depth = 0


class HistoryFile(NamedTuple):
    """The file of a history that can be used, and how."""

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
            add_function(connection)
            if not self.is_read_only:
                connection.execute(f"PRAGMA journal_mode = {self.journal.mode}").fetchone()
                connection.execute(f"PRAGMA synchronous = {self.journal.synchronous}")
        except BaseException:
            connection.close()
            raise
        return connection


class Database:
    """One open history. Safe to share between threads; a session belongs to one thread.

    `directory` holds everything, `vault` the image files, `progress` that of running jobs.
    `journal_mode` is what is in use (`wal` or `truncate`), `warnings` what a person should
    know about this place. With `is_read_only` every `write` is refused.
    """

    def __init__(self, file: HistoryFile, busy_seconds: float) -> None:
        self.directory = file.directory
        self.path = file.path
        self.is_read_only = file.is_read_only
        self.journal_mode = file.journal.mode
        self.warnings = file.warnings
        self.vault = Vault(file.directory)
        self.progress = ProgressFile(file.directory, is_read_only=file.is_read_only)
        self._file = file
        self._busy_seconds = busy_seconds
        self._watch_lock = threading.Lock()
        self._watching: sqlite3.Connection | None = None
        self._last_version = 0
        self._occupied = _Occupied()
        self._engine = create_engine(
            "sqlite://", creator=self._connect, poolclass=QueuePool, pool_size=4, max_overflow=12
        )
        event.listen(self._engine, "begin", self._begin)
        self._writer = self._engine.execution_options(is_writer=True)

    @classmethod
    def open(
        cls, directory: Path, *, create: bool = True, busy_seconds: float = BUSY_SECONDS
    ) -> Self:
        """Open the history in `directory`, made and brought up to date where needed.

        A history that cannot be written, or that a newer program made in a form that this
        one can read, is opened read-only. Raises `StoreError` when there is none and
        `create` is False, when it belongs to somebody else, is too new, damaged, or no
        history of this program; nothing is changed then.
        """
        with _OPENING:
            return cls(_open_history(directory, create, busy_seconds), busy_seconds)

    @contextlib.contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one unchanging state and cannot write. Keep it short."""
        with (
            self._occupy(),
            self._translate(),
            Session(self._engine, expire_on_commit=False) as session,
        ):
            yield session

    @contextlib.contextmanager
    def write(self) -> Iterator[Session]:
        """The only way to write: one transaction, committed when the block ends well.

        It waits for other writers for some seconds, at its beginning and at its end. Keep
        it short and never let it span a call over a network.
        """
        if self.is_read_only:
            raise HistoryUnavailable(
                f"The history {self.path} is open for reading only.", self._file.why_read_only
            )
        if self._occupied.depth:
            # It would wait for itself until the time is over.
            raise RuntimeError("a transaction cannot write inside another one")
        with (
            self._occupy(),
            self._translate(),
            Session(self._writer, expire_on_commit=False) as session,
        ):
            # Taken at once: what the block reads must not be older than what it writes.
            connection = session.connection()
            yield session
            session.flush()
            self._commit(_dbapi(connection))
            session.commit()

    def data_version(self) -> int:
        """A number that is another one after each commit, by any connection to the file.

        Costs microseconds; safe from any thread. While the file is busy it stays the same.
        """
        with self._watch_lock:
            try:
                if self._watching is None:
                    self._watching = self._connect(seconds=0.05)
                row = self._watching.execute("PRAGMA data_version").fetchone()
                self._last_version = int(row[0])
            except sqlite3.Error as error:
                if not is_busy(error):
                    raise explain(error, self.path) from error
            return self._last_version

    def back_up(self, path: Path) -> None:
        """Write a consistent, checked copy of the database (not the images) to a new file.

        Others may go on writing. Raises `StoreError` when it exists or cannot be written.
        """
        with self.raw() as connection:
            migrations.copy(connection, path)
            if not self.is_read_only:
                witness.note_history(self.directory, connection, copy=path.absolute())

    @contextlib.contextmanager
    def raw(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, outside any transaction, for what SQL alone can do."""
        try:
            connection = self._connect()
        except sqlite3.Error as error:
            raise explain(error, self.path) from error
        with contextlib.closing(connection):
            yield connection

    def close(self) -> None:
        """Close all connections."""
        if not self.is_read_only:
            with (
                contextlib.suppress(sqlite3.Error),
                contextlib.closing(self._file.connect(0.05)) as own,
            ):
                witness.note_history(self.directory, own)
        self._engine.dispose()
        self.progress.close()
        with self._watch_lock:
            if self._watching is not None:
                self._watching.close()
                self._watching = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _connect(self, seconds: float | None = None) -> sqlite3.Connection:
        if seconds is not None:
            return self._file.connect(seconds)
        wait = min(self._busy_seconds, STATEMENT_SECONDS)
        return self._wait(lambda: self._file.connect(wait))

    def _begin(self, connection: Connection) -> None:
        """What SQLAlchemy calls where a transaction begins."""
        dbapi = _dbapi(connection)
        is_writer = connection.get_execution_options().get("is_writer", False)
        dbapi.execute(f"PRAGMA query_only = {0 if is_writer else 1}")
        if is_writer:
            self._wait(lambda: dbapi.execute("BEGIN IMMEDIATE"))
        else:
            dbapi.execute("BEGIN")
            # The lock is taken here, where waiting for it is ours: SQLite's own waiting
            # sleeps so long between its tries that busy writers starve a reader.
            self._wait(lambda: dbapi.execute("SELECT 1 FROM meta").fetchone())

    def _wait(self, action: Callable[[], T]) -> T:
        """The result of `action`, done again while others hold the lock, until the time is over.

        SQLite leaves the transaction as it is when it says busy, also at its end. Who holds it for
        seconds is no other writer of ours: then it is asked less often.
        """
        began = time.monotonic()
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                waited = time.monotonic() - began
                if not is_busy(error) or waited >= self._busy_seconds:
                    raise
                longest = 0.02 if waited < LONG_SECONDS else 0.5
                time.sleep(random.uniform(longest / 10, longest))

    def _commit(self, connection: sqlite3.Connection) -> None:
        """Commit, and raise only where nothing was committed for sure, or where nobody knows."""
        try:
            self._wait(connection.commit)
        except sqlite3.OperationalError as error:
            # To let go of the lock is the last that SQLite does: what it wrote is committed.
            if error.sqlite_errorcode not in UNLOCK_FAULTS or connection.in_transaction:
                raise
            self._renew(error)

    @contextlib.contextmanager
    def _occupy(self) -> Iterator[None]:
        self._occupied.depth += 1
        try:
            yield
        finally:
            self._occupied.depth -= 1

    @contextlib.contextmanager
    def _translate(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            self._renew(error)
            raise explain(error, self.path) from error
        except PoolTimeout as error:
            raise HistoryUnavailable(
                f"The history {self.path} is busy: too many things happen at once.", "Try again."
            ) from error
        except DBAPIError as error:
            self._renew(error.orig or error)
            raise explain(error.orig or error, self.path) from error

    def _renew(self, error: BaseException) -> None:
        """Have new connections after a fault: one opened on a disk that was read-only stays so."""
        if not is_busy(error):
            self._engine.dispose()


def find_form(directory: Path) -> int | None:
    """The number of the form of the history in `directory`, None without one. Changes nothing.

    `migrations.VERSION` is this program's. Raises `StoreError` where it cannot be read.
    """
    path = directory.expanduser().absolute() / FILE_NAME
    try:
        if not path.exists():
            witness.check_there(path.parent, path)
            return None
    except OSError as error:
        raise StoreError(
            f"The data folder {directory} cannot be used: {error.strerror or error}.",
            "Choose another one with SAFELIGHT_HOME.",
        ) from error
    version = _look(path, is_read_only=True).version
    if version == 0:
        witness.check_there(path.parent, path)
    return version


def _dbapi(connection: Connection) -> Any:
    return connection.connection.dbapi_connection


def _open_history(directory: Path, create: bool, seconds: float) -> HistoryFile:
    """The history in `directory`, made or brought up to date where needed.

    Raises `StoreError` for all that `Database.open` names.
    """
    if sqlite3.sqlite_version_info < LEAST_SQLITE:
        least = ".".join(map(str, LEAST_SQLITE[:2]))
        raise StoreError(
            f"The SQLite of this Python is {sqlite3.sqlite_version}, older than {least}.",
            "Use another Python: those from python.org, conda or uv bring a newer one.",
        )
    directory = directory.expanduser().absolute()
    path = directory / FILE_NAME
    if create and directory.is_dir() and not path.exists():
        witness.check_there(directory, path)
    why = prepare_folder(directory, FILE_NAME, create=create)
    return _open_file(directory, path, why, seconds)


def _open_file(directory: Path, path: Path, why: str, seconds: float) -> HistoryFile:
    """`why`: why it cannot be written, empty when it can."""
    can_write = not why
    noted = witness.read_witness(directory)
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
    warnings: tuple[str, ...] = ()
    if found.version > migrations.VERSION:
        if found.min_reader_version > migrations.VERSION:
            raise StoreError(
                f"The history {path} was made by a newer Safelight "
                f"(its form is {found.version}, this program knows {migrations.VERSION}).",
                "Update Safelight; nothing was changed.",
            )
        why = "A newer Safelight made it; update Safelight to write to it."
    elif found.version == 0 and can_write:
        witness.check_there(directory, path)
    elif change := _find_change(directory, path, noted, is_immutable=is_immutable):
        if found.version < migrations.VERSION:
            raise StoreError(change)
        why = change
        warnings = (change,)
    elif found.version < migrations.VERSION and not can_write:
        raise StoreError(
            f"The history {path} has an older form and cannot be brought up to date, "
            "because it cannot be written.",
            "Make its folder writable.",
        )
    if why:
        journal = JournalMode("read-only", "FULL")
        return HistoryFile(directory, path, journal, True, is_immutable, why, warnings)
    journal, warnings = _prepare(directory, path, seconds)
    return HistoryFile(directory, path, journal, False, False, "", warnings)


def _find_change(
    directory: Path, path: Path, noted: witness.Witness | None, *, is_immutable: bool
) -> str:
    """What `witness.find_change` says of the file at `path`."""
    if noted is None:
        return ""
    try:
        connection = connect(path, is_read_only=True, is_immutable=is_immutable)
    except sqlite3.Error as error:
        raise explain(error, path) from error
    with contextlib.closing(connection):
        return witness.find_change(directory, path, connection, noted)


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
            witness.name_history(connection)
            witness.note_history(directory, connection, is_accepted=True)
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
