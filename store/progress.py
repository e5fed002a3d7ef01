"""Progress of running jobs, in a file of its own that may be lost at any time.

A preview at each step would wear the history and wake every reader with a flush to disk;
here nothing is flushed, and a damaged or deleted file is made anew.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

import msgspec

from store.concealment import conceal_preview
from store.folder import create_file
from store.sqlite import connect, is_busy

FILE_NAME = "live.sqlite3"

_SCHEMA = """
CREATE TABLE IF NOT EXISTS progress (
    job_id TEXT PRIMARY KEY,
    step INTEGER NOT NULL,
    steps INTEGER NOT NULL,
    seconds_left REAL,
    preview BLOB
) WITHOUT ROWID
"""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a job is: step `step` of `steps`, the seconds left, a small PNG."""

    step: int
    steps: int
    seconds_left: float | None
    preview: bytes | None


class ProgressFile:
    """The newest progress of each running job below `directory`.

    No method raises for a file that cannot be used: progress is then simply not there.
    Safe to call from any thread.
    """

    def __init__(self, directory: Path, *, is_read_only: bool = False) -> None:
        self._path = directory / FILE_NAME
        self._is_read_only = is_read_only
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode: int | None = None
        self._openings = 0
        self._last_version = 0

    def write(
        self,
        job_id: str,
        step: int,
        steps: int,
        seconds_left: float | None = None,
        preview: bytes | None = None,
    ) -> None:
        """Replace the progress of a job. Without a `preview` the last one stays."""
        preview = conceal_preview(preview)
        self._change(
            "INSERT INTO progress VALUES (?, ?, ?, ?, ?) ON CONFLICT (job_id) DO UPDATE SET"
            " step = excluded.step, steps = excluded.steps, seconds_left = excluded.seconds_left,"
            " preview = coalesce(excluded.preview, preview)",
            (job_id, step, steps, seconds_left, preview),
        )

    def remove(self, job_id: str) -> None:
        """Forget a job."""
        self._change("DELETE FROM progress WHERE job_id = ?", (job_id,))

    def clear(self) -> None:
        """Forget all jobs."""
        self._change("DELETE FROM progress", ())

    def read(self, job_ids: Collection[str]) -> dict[str, Progress]:
        """The progress of those of `job_ids` that have any."""
        found: dict[str, Progress] = {}
        if not job_ids:
            return found
        marks = ", ".join("?" * len(job_ids))
        with self._lock, self._guard():
            if connection := self._open():
                rows = connection.execute(
                    "SELECT job_id, step, steps, seconds_left, preview FROM progress"
                    f" WHERE job_id IN ({marks})",
                    tuple(job_ids),
                ).fetchall()
                for job_id, step, steps, seconds_left, preview in rows:
                    values = (step, steps, seconds_left, preview)
                    # A file that may be lost may also hold nonsense: that is no progress.
                    with contextlib.suppress(msgspec.ValidationError):
                        found[job_id] = msgspec.convert(
                            dict(zip(Progress.__struct_fields__, values, strict=True)),
                            Progress,
                            builtin_types=(bytes,),
                        )
        return found

    def data_version(self) -> int:
        """A number that is another one after each change by somebody else."""
        with self._lock, self._guard():
            if connection := self._open():
                version = connection.execute("PRAGMA data_version").fetchone()[0]
                self._last_version = (self._openings << 32) + version
        return self._last_version

    def close(self) -> None:
        """Let go of the file."""
        with self._lock:
            self._drop()

    def _change(self, statement: str, values: tuple[object, ...]) -> None:
        if self._is_read_only:
            return
        with self._lock, self._guard():
            if connection := self._open():
                connection.execute(statement, values)

    @contextlib.contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            self._drop()
            is_damaged = getattr(error, "sqlite_errorcode", 0) & 0xFF in (
                sqlite3.SQLITE_CORRUPT,
                sqlite3.SQLITE_NOTADB,
                sqlite3.SQLITE_ERROR,
            )
            if is_damaged and not is_busy(error) and not self._is_read_only:
                with contextlib.suppress(OSError):
                    self._path.unlink(missing_ok=True)
                    # A journal left behind would be rolled back into the next file.
                    self._path.with_name(f"{FILE_NAME}-journal").unlink(missing_ok=True)
        except OSError:
            self._drop()

    def _open(self) -> sqlite3.Connection | None:
        """The connection, anew when the file was deleted or replaced under it."""
        try:
            inode: int | None = self._path.stat().st_ino
        except FileNotFoundError:
            inode = None
        if self._connection is not None and inode is not None and inode == self._inode:
            return self._connection
        self._drop()
        if inode is None:
            if self._is_read_only:
                return None
            create_file(self._path)
            inode = self._path.stat().st_ino
        connection = connect(self._path, is_read_only=self._is_read_only, seconds=0.5)
        # Kept before the first statement, so that a failure closes it too.
        self._connection, self._inode = connection, inode
        self._openings += 1
        if not self._is_read_only:
            connection.execute("PRAGMA journal_mode = TRUNCATE").fetchone()
            connection.execute("PRAGMA synchronous = OFF")
            connection.execute(_SCHEMA)
        return connection

    def _drop(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection, self._inode = None, None
