"""Smaller indexes of the images: a quarter of a digest finds a file, and no index holds nulls.

Sessions are found by the search index since there is one.
"""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 8

_STATEMENTS = (
    "DROP INDEX IF EXISTS ix_image_session",
    "DROP INDEX IF EXISTS ix_image_parent_id",
    "CREATE INDEX ix_image_parent_id ON image (parent_id) WHERE parent_id IS NOT NULL",
    "DROP INDEX IF EXISTS ix_image_file_sha256",
    "CREATE INDEX ix_image_file_sha256 ON image (substr(file_sha256, 1, 16))",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Make the indexes anew."""
    for statement in _STATEMENTS:
        connection.execute(statement)
