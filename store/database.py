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
from typing import Any, Self, TypeVar

from sqlalchemy import create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import QueuePool
from sqlmodel import Session

from store import migrations
from store.checks import check
from store.connection import explain, is_busy
from store.errors import StoreError
from store.folder import Folder, open_folder
from store.live import LiveProgress
from store.vault import Vault

T = TypeVar("T")

BUSY_SECONDS = 15.0
"""How long a transaction waits for others before it gives up."""

STATEMENT_SECONDS = 0.25
"""How long one statement waits inside SQLite; the rest of the waiting is done here."""

_OPENING = threading.Lock()
"""Two openings in one process must not meet: making the file drops this process's locks on it."""


class _Occupied(threading.local):
    """How many transactions this thread is in."""

    depth = 0


class Database:
    """One open history. Safe to share between threads; a session belongs to one thread.

    `directory` holds everything, `vault` the image files, `live` the progress of jobs.
    `journal_mode` is what is in use (`wal` or `truncate`), `warnings` what a person should
    know about this place. With `is_read_only` every `write` is refused.
    """

    def __init__(self, folder: Folder, busy_seconds: float) -> None:
        self.directory = folder.directory
        self.path = folder.path
        self.is_read_only = folder.is_read_only
        self.journal_mode = folder.journal.mode
        self.warnings = folder.warnings
        self.vault = Vault(folder.directory)
        self.live = LiveProgress(folder.directory, is_read_only=folder.is_read_only)
        self._folder = folder
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
            return cls(open_folder(directory, create, busy_seconds), busy_seconds)

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
            raise StoreError(
                f"The history {self.path} is open for reading only.", self._folder.why_read_only
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
            self._wait(_dbapi(connection).commit)
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

    def check(self) -> list[str]:
        """What is wrong with the database and its image files, one sentence each."""
        return [*self.warnings, *check(self)]

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
        self._engine.dispose()
        self.live.close()
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
            return self._folder.connect(seconds)
        wait = min(self._busy_seconds, STATEMENT_SECONDS)
        return self._wait(lambda: self._folder.connect(wait))

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

        SQLite leaves the transaction as it is when it says busy, also at its end.
        """
        deadline = time.monotonic() + self._busy_seconds
        while True:
            try:
                return action()
            except sqlite3.OperationalError as error:
                if not is_busy(error) or time.monotonic() >= deadline:
                    raise
                time.sleep(random.uniform(0.002, 0.02))

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
            raise explain(error, self.path) from error
        except PoolTimeout as error:
            raise StoreError(
                f"The history {self.path} is busy: too many things happen at once.", "Try again."
            ) from error
        except DBAPIError as error:
            raise explain(error.orig or error, self.path) from error


def _dbapi(connection: Connection) -> Any:
    return connection.connection.dbapi_connection
