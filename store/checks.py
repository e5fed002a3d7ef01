"""Whether the database and its image files are whole."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from store.connection import explain
from store.errors import StoreError
from store.fulltext import check_index, list_missing_triggers
from store.values import suffix_of

if TYPE_CHECKING:
    from store.database import Database


def check(database: Database) -> list[str]:
    """What is wrong, one sentence each; empty when all is well. Changes nothing."""
    findings: list[str] = []
    with database.raw() as connection:
        try:
            findings += _check_pages(connection)
            findings += _check_references(connection)
            findings += [
                f"The search index is not kept in step: the trigger {name} is missing or changed."
                for name in list_missing_triggers(connection)
            ]
            if not database.is_read_only:
                findings += _check_index(connection)
            findings += _check_files(database, connection)
        except sqlite3.Error as error:
            findings.append(str(explain(error, database.path)))
    return findings


def _check_pages(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA quick_check").fetchall()
    return [f"The database is damaged: {row[0]}." for row in rows if row[0] != "ok"]


def _check_references(connection: sqlite3.Connection) -> list[str]:
    rows = connection.execute("PRAGMA foreign_key_check").fetchall()
    return [
        f"A row of the table {table} (row {row}) refers to a row of {parent} that is missing."
        for table, row, parent, _ in rows
    ]


def _check_index(connection: sqlite3.Connection) -> list[str]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        check_index(connection)
    except sqlite3.DatabaseError as error:
        return [f"The search index does not fit the images: {error}."]
    finally:
        connection.execute("ROLLBACK")
    return []


def _check_files(database: Database, connection: sqlite3.Connection) -> list[str]:
    findings: list[str] = []
    for image_id, sha256, mime in connection.execute(
        "SELECT id, file_sha256, mime FROM image ORDER BY number"
    ):
        try:
            path = database.vault.path(sha256, suffix_of(mime))
        except StoreError as error:
            findings.append(f"The record of the image {image_id} names no file: {error}")
            continue
        if not path.is_file():
            findings.append(f"The file of the image {image_id} is missing: {path}.")
    return findings
