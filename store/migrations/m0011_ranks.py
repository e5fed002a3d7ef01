"""The order of what waits, so that it can be changed, and when jobs ended, so that it is found.

What waits now keeps its place: it has that of its number. The state's index serves the order too.
"""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 8

_STATEMENTS = (
    "ALTER TABLE job ADD COLUMN rank INTEGER",
    "UPDATE job SET rank = number WHERE state IN ('waiting', 'running')",
    "DROP INDEX IF EXISTS ix_job_state",
    "CREATE INDEX ix_job_state ON job (state, rank)",
    "CREATE INDEX ix_job_finished_at ON job (finished_at) WHERE finished_at IS NOT NULL",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add the column, fill it where it means something, make the indexes."""
    for statement in _STATEMENTS:
        connection.execute(statement)
