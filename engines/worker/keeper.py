"""Seeing to it that a worker runs while jobs are left, for whoever watches a history."""

from __future__ import annotations

import time
from pathlib import Path

from engines.worker.process import ensure_worker, find_worker
from engines.worker.program import read_serving
from store import queue, series
from store.database import Database
from store.errors import StoreError
from store.records import JobState
from store.serving import count_waiting
from store.turns import is_queue_paused
from store.verification_runs import is_pending

LONGEST_SECONDS = 60.0
"""A worker that does not come up is started again after twice the time, up to this."""


class Keeper:
    """Replaces a worker that died with jobs left; a process after another, but not every second.

    `trouble` says why nothing goes on, in words for a person: what the worker waits for, or why
    there is none; "" when there is nothing to say.
    """

    def __init__(self, directory: Path, database: Database) -> None:
        self.trouble = ""
        self._directory = directory
        self._database = database
        self._seconds = 0.0
        self._next = 0.0

    def look(self) -> None:
        """Start a worker where one is missing. For a thread; to be called about once a second."""
        found = find_worker(self._directory)
        if found.is_running:
            self.trouble, self._seconds, self._next = found.trouble, 0.0, 0.0
            return
        if self._database.is_read_only or time.monotonic() < self._next:
            return
        try:
            if self._is_needed():
                ensure_worker(self._directory)
            self.trouble, self._seconds = "", 0.0
        except StoreError as error:
            self.trouble = str(error)
            self._seconds = min(2 * self._seconds or 1.0, LONGEST_SECONDS)
            self._next = time.monotonic() + self._seconds

    def _is_needed(self) -> bool:
        """What waits for another program or other settings is left to those who have them.

        While the queue is paused nobody is needed for what waits.
        """
        database = self._database
        has_more = is_pending(database) or series.is_any_open(database)
        return has_more or (
            queue.count_active(database) > 0
            and (
                bool(queue.list_jobs(database, states=[JobState.RUNNING], limit=1))
                or (
                    not is_queue_paused(database)
                    and count_waiting(database, read_serving(self._directory))[0] > 0
                )
            )
        )
