"""The programs that queue and run jobs, and which one a job asks for.

From here on requests may name the revision of a model, which a program of before takes for damage.
"""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 5


def migrate(connection: sqlite3.Connection) -> None:
    """Add the table and the column."""
    connection.execute(
        """
        CREATE TABLE program (
            number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            digest VARCHAR NOT NULL UNIQUE,
            created_at FLOAT NOT NULL
        )
        """
    )
    connection.execute("ALTER TABLE job ADD COLUMN program INTEGER")
