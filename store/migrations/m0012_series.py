"""Series: images that are made one after the other until a moment."""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 8

_STATEMENTS = (
    """
    CREATE TABLE series (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id VARCHAR NOT NULL UNIQUE,
        state VARCHAR NOT NULL,
        until FLOAT NOT NULL,
        created_at FLOAT NOT NULL,
        finished_at FLOAT,
        taken INTEGER NOT NULL,
        taken_at FLOAT,
        failures INTEGER NOT NULL,
        job_id VARCHAR,
        session VARCHAR,
        error VARCHAR
    )
    """,
    """
    CREATE TABLE series_request (
        series_number INTEGER NOT NULL,
        position INTEGER NOT NULL,
        json VARCHAR NOT NULL,
        engine VARCHAR NOT NULL,
        stride INTEGER NOT NULL,
        parent_id VARCHAR,
        relation VARCHAR,
        profile VARCHAR,
        PRIMARY KEY (series_number, position),
        FOREIGN KEY(series_number) REFERENCES series (number)
    )
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Add the tables."""
    for statement in _STATEMENTS:
        connection.execute(statement)
