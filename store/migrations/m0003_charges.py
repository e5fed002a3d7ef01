"""What paid images cost, and the host profile that a job was asked for."""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 2


def migrate(connection: sqlite3.Connection) -> None:
    """Add the column and the table of charges."""
    connection.execute("ALTER TABLE job ADD COLUMN profile VARCHAR")
    connection.execute(
        """
        CREATE TABLE charge (
            number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
            job_id VARCHAR NOT NULL REFERENCES job (id),
            credits FLOAT NOT NULL,
            created_at FLOAT NOT NULL
        )
        """
    )
    connection.execute("CREATE INDEX ix_charge_created_at ON charge (created_at)")
