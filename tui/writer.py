"""Drafts on their way to the disk, one thread behind the fingers."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from store.errors import StoreError
from store.records import Draft

if TYPE_CHECKING:
    from store.database import Database

CLOSE_SECONDS = 5.0


class DraftWriter:
    """Writes the newest draft of each session; what it overtakes is skipped.

    `write` returns at once, because a durable commit takes longer than a keystroke may.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[str, Draft] = {}
        self._condition = threading.Condition()
        self._is_closing = False
        self.error: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="draft writer", daemon=True)
        self._thread.start()

    def write(self, name: str, draft: Draft) -> None:
        """Hand over the draft of session `name`."""
        with self._condition:
            self._pending[name] = draft
            self._condition.notify()

    def close(self) -> None:
        """Write what is pending, then end; waits at most five seconds."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        from store import sessions

        while True:
            with self._condition:
                while not self._pending and not self._is_closing:
                    self._condition.wait()
                if not self._pending:
                    return
                drafts, self._pending = self._pending, {}
            for name, draft in drafts.items():
                try:
                    sessions.save_draft(self._database, name, draft)
                    self.error = None
                except StoreError as error:
                    self.error = error
                    logging.getLogger(__name__).warning("draft not saved: %s", error)
