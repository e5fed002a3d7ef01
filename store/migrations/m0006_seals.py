"""Seals over the rows of images, verifications and input files.

What is there is sealed as it is: a change that was made before cannot be told any more.
"""

from __future__ import annotations

import sqlite3

from store.seals import seal_all

MIN_READER_VERSION = 5


def migrate(connection: sqlite3.Connection) -> None:
    """Add the columns, what finds the rows that belong together, and the seals."""
    for table in ("image", "verification", "input"):
        connection.execute(f"ALTER TABLE {table} ADD COLUMN seal BLOB")
    connection.execute("CREATE INDEX ix_charge_job_id ON charge (job_id)")
    connection.execute(
        "CREATE INDEX ix_job_parent_id ON job (parent_id) WHERE verification_number IS NOT NULL"
    )
    seal_all(connection)
    # A worker that was started before knows no seals: it takes no further job.
    connection.execute(
        "UPDATE meta SET value = CAST(CAST(value AS INTEGER) + 1 AS TEXT)"
        " WHERE key = 'epoch' AND value <> '0'"
    )
