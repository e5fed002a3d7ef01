"""Images that left the trash when it was emptied, and files that are to go.

The indexes find what refers to a row that is to be removed, and what else uses a file.
"""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 8

_STATEMENTS = (
    "ALTER TABLE annotation ADD COLUMN emptied_at FLOAT",
    """
    CREATE TABLE removal (
        file_sha256 VARCHAR NOT NULL PRIMARY KEY,
        mime VARCHAR NOT NULL
    )
    """,
    "CREATE INDEX ix_image_file_sha256 ON image (file_sha256)",
    "CREATE INDEX ix_job_request_digest ON job (request_digest)",
    "CREATE INDEX ix_verification_job_id ON verification (job_id) WHERE job_id IS NOT NULL",
    "CREATE INDEX ix_verification_regenerated_id ON verification (regenerated_id)"
    " WHERE regenerated_id IS NOT NULL",
    "CREATE INDEX ix_thinned_verification_number ON thinned (verification_number)",
    "CREATE INDEX ix_verification_run_image_job_id ON verification_run_image (job_id)"
    " WHERE job_id IS NOT NULL",
    "CREATE INDEX ix_verification_run_image_verification_number"
    " ON verification_run_image (verification_number) WHERE verification_number IS NOT NULL",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add the column, the table and the indexes."""
    for statement in _STATEMENTS:
        connection.execute(statement)
