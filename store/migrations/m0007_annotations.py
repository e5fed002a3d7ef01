"""What people say about images, and what was done with their files.

Ratings, favourites, notes, tags and the trash; images whose pixels were dropped; runs of
verifications; where imported images came from.
"""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 5

_STATEMENTS = (
    """
    CREATE TABLE annotation (
        image_number INTEGER NOT NULL PRIMARY KEY REFERENCES image (number),
        rating INTEGER,
        is_favourite BOOLEAN NOT NULL,
        note VARCHAR,
        trashed_at FLOAT
    )
    """,
    "CREATE INDEX ix_annotation_rating ON annotation (rating) WHERE rating IS NOT NULL",
    "CREATE INDEX ix_annotation_is_favourite ON annotation (is_favourite) WHERE is_favourite",
    "CREATE INDEX ix_annotation_trashed_at ON annotation (trashed_at) WHERE trashed_at IS NOT NULL",
    """
    CREATE TABLE tag (
        name VARCHAR NOT NULL,
        image_number INTEGER NOT NULL REFERENCES image (number),
        PRIMARY KEY (name, image_number)
    )
    """,
    "CREATE INDEX ix_tag_image_number ON tag (image_number)",
    """
    CREATE TABLE thinned (
        image_number INTEGER NOT NULL PRIMARY KEY REFERENCES image (number),
        verification_number INTEGER NOT NULL REFERENCES verification (number),
        thinned_at FLOAT NOT NULL
    )
    """,
    """
    CREATE TABLE verification_run (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id VARCHAR NOT NULL UNIQUE,
        search VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        created_at FLOAT NOT NULL,
        finished_at FLOAT
    )
    """,
    """
    CREATE TABLE verification_run_image (
        run_number INTEGER NOT NULL REFERENCES verification_run (number),
        position INTEGER NOT NULL,
        image_number INTEGER NOT NULL REFERENCES image (number),
        job_id VARCHAR REFERENCES job (id),
        verification_number INTEGER REFERENCES verification (number),
        PRIMARY KEY (run_number, position)
    )
    """,
    "CREATE INDEX ix_verification_run_image_image_number ON verification_run_image (image_number)",
    """
    CREATE TABLE imported (
        image_number INTEGER NOT NULL PRIMARY KEY REFERENCES image (number),
        dialect VARCHAR NOT NULL,
        grade VARCHAR NOT NULL,
        text VARCHAR NOT NULL,
        unread VARCHAR NOT NULL,
        file_name VARCHAR NOT NULL,
        signer VARCHAR
    )
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables and what finds their rows."""
    for statement in _STATEMENTS:
        connection.execute(statement)
