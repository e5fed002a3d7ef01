"""What was changed or lost when an image came in that requests start from."""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 2


def migrate(connection: sqlite3.Connection) -> None:
    """Add the column."""
    connection.execute("ALTER TABLE input ADD COLUMN notes VARCHAR")
