"""The order of what waits, so that it can be changed.

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
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add the column, fill it where it means something, make the index anew."""
    for statement in _STATEMENTS:
        connection.execute(statement)
