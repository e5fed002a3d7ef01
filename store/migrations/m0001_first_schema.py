"""The first schema."""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 1

STATEMENTS = (
    """
    CREATE TABLE meta (
        key VARCHAR NOT NULL PRIMARY KEY,
        value VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE migration (
        number INTEGER NOT NULL PRIMARY KEY,
        name VARCHAR NOT NULL,
        applied_at FLOAT NOT NULL
    )
    """,
    """
    CREATE TABLE request (
        digest VARCHAR NOT NULL PRIMARY KEY,
        json VARCHAR NOT NULL,
        engine VARCHAR NOT NULL,
        model VARCHAR NOT NULL,
        seed INTEGER NOT NULL,
        steps INTEGER NOT NULL,
        cfg_scale FLOAT NOT NULL,
        sampler VARCHAR NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        style_preset VARCHAR
    )
    """,
    """
    CREATE TABLE prompt (
        request_digest VARCHAR NOT NULL REFERENCES request (digest),
        position INTEGER NOT NULL,
        text VARCHAR NOT NULL,
        weight FLOAT NOT NULL,
        enabled BOOLEAN NOT NULL,
        PRIMARY KEY (request_digest, position)
    )
    """,
    """
    CREATE TABLE environment (
        digest VARCHAR NOT NULL PRIMARY KEY,
        json VARCHAR NOT NULL
    )
    """,
    """
    CREATE TABLE job (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id VARCHAR NOT NULL UNIQUE,
        request_digest VARCHAR NOT NULL REFERENCES request (digest),
        purpose VARCHAR NOT NULL,
        state VARCHAR NOT NULL,
        created_at FLOAT NOT NULL,
        started_at FLOAT,
        finished_at FLOAT,
        epoch INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        cancel_requested BOOLEAN NOT NULL,
        session VARCHAR,
        parent_id VARCHAR,
        relation VARCHAR,
        wire BLOB,
        wire_sha256 VARCHAR,
        error_kind VARCHAR,
        error VARCHAR,
        warning VARCHAR,
        image_id VARCHAR,
        verification_number INTEGER
    )
    """,
    "CREATE INDEX ix_job_state ON job (state)",
    """
    CREATE TABLE image (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        id VARCHAR NOT NULL UNIQUE,
        job_id VARCHAR NOT NULL REFERENCES job (id),
        request_digest VARCHAR NOT NULL REFERENCES request (digest),
        environment_digest VARCHAR NOT NULL REFERENCES environment (digest),
        parent_id VARCHAR REFERENCES image (id),
        relation VARCHAR,
        purpose VARCHAR NOT NULL,
        session VARCHAR,
        seed INTEGER NOT NULL,
        width INTEGER NOT NULL,
        height INTEGER NOT NULL,
        mime VARCHAR NOT NULL,
        pixels_sha256 VARCHAR NOT NULL,
        file_sha256 VARCHAR NOT NULL,
        file_bytes INTEGER NOT NULL,
        finish_reason VARCHAR NOT NULL,
        warning VARCHAR,
        seconds FLOAT NOT NULL,
        created_at FLOAT NOT NULL,
        meta VARCHAR NOT NULL,
        prompt_text VARCHAR NOT NULL
    )
    """,
    "CREATE INDEX ix_image_job_id ON image (job_id)",
    "CREATE INDEX ix_image_request_digest ON image (request_digest)",
    "CREATE INDEX ix_image_parent_id ON image (parent_id)",
    "CREATE INDEX ix_image_session ON image (session)",
    """
    CREATE TABLE stage (
        image_number INTEGER NOT NULL REFERENCES image (number),
        position INTEGER NOT NULL,
        name VARCHAR NOT NULL,
        step INTEGER NOT NULL,
        sha256 VARCHAR NOT NULL,
        PRIMARY KEY (image_number, position)
    )
    """,
    """
    CREATE TABLE thumbnail (
        image_number INTEGER NOT NULL PRIMARY KEY REFERENCES image (number),
        data BLOB NOT NULL
    )
    """,
    """
    CREATE TABLE verification (
        number INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
        image_id VARCHAR NOT NULL REFERENCES image (id),
        job_id VARCHAR REFERENCES job (id),
        verdict VARCHAR NOT NULL,
        pixels_sha256_then VARCHAR NOT NULL,
        pixels_sha256_now VARCHAR,
        first_difference VARCHAR,
        detail VARCHAR NOT NULL,
        psnr_db FLOAT,
        regenerated_id VARCHAR REFERENCES image (id),
        environment_digest VARCHAR REFERENCES environment (digest),
        created_at FLOAT NOT NULL
    )
    """,
    "CREATE INDEX ix_verification_image_id ON verification (image_id)",
    """
    CREATE TABLE session (
        number INTEGER NOT NULL PRIMARY KEY,
        name VARCHAR NOT NULL UNIQUE,
        draft VARCHAR NOT NULL,
        used INTEGER NOT NULL,
        updated_at FLOAT NOT NULL
    )
    """,
    "INSERT INTO meta VALUES ('epoch', '0')",
    """
    CREATE VIRTUAL TABLE image_text USING fts5 (
        prompt_text, content = 'image', content_rowid = 'number',
        tokenize = 'unicode61 remove_diacritics 2', prefix = '2 3'
    )
    """,
)


def migrate(connection: sqlite3.Connection) -> None:
    """Make all tables of an empty database."""
    for statement in STATEMENTS:
        connection.execute(statement)
