"""Initial images, masks and the other parameters of form 2 of a request."""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 2

COLUMNS = (
    "format INTEGER NOT NULL DEFAULT 1",
    "initial_image VARCHAR",
    "mask VARCHAR",
    "variation VARCHAR",
    "guidance VARCHAR",
    "weight_method VARCHAR",
    "adapter VARCHAR",
    "fine_tunes VARCHAR",
    "content_credentials VARCHAR",
    "upscale VARCHAR",
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add the columns and the table of input files."""
    for column in COLUMNS:
        connection.execute(f"ALTER TABLE request ADD COLUMN {column}")
    connection.execute(
        """
        CREATE TABLE input (
            sha256 VARCHAR NOT NULL PRIMARY KEY,
            mime VARCHAR NOT NULL,
            width INTEGER NOT NULL,
            height INTEGER NOT NULL,
            file_bytes INTEGER NOT NULL,
            created_at FLOAT NOT NULL
        )
        """
    )
