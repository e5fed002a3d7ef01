"""Numbered, append-only changes of the schema.

A change that was released is never edited. All that are to be made run in one transaction with
their records and the search index, so a database is always at one version, whole.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from store.errors import StoreError
from store.folder import create_file, sync
from store.migrations import (
    m0001_first_schema,
    m0002_initial_images,
    m0003_charges,
    m0004_input_notes,
    m0005_programs,
    m0006_seals,
    m0007_annotations,
    m0008_search_index,
    m0009_emptied_trash,
    m0010_smaller_indexes,
    m0011_ranks,
    m0012_series,
)
from store.search_index import rebuild
from store.sqlite import APPLICATION_ID, explain


class Migration(NamedTuple):
    """One change. A program that knows only `min_reader_version` can still read the result.

    `keeps_rows`: it adds tables, columns and indexes, or changes what can be made anew from the
    rows, and changes nothing of a row but what it added. Then no copy is made before it and no
    reference is checked after it, which takes as much room again and minutes with a million images.
    `keeps_search`: it changes nothing that the search index follows from, and rebuilds no table, so
    its triggers are left.
    """

    number: int
    name: str
    min_reader_version: int
    apply: Callable[[sqlite3.Connection], None]
    keeps_rows: bool = False
    keeps_search: bool = False


MIGRATIONS = (
    Migration(1, "first schema", m0001_first_schema.MIN_READER_VERSION, m0001_first_schema.migrate),
    Migration(
        2,
        "initial images",
        m0002_initial_images.MIN_READER_VERSION,
        m0002_initial_images.migrate,
    ),
    Migration(3, "charges", m0003_charges.MIN_READER_VERSION, m0003_charges.migrate),
    Migration(4, "input notes", m0004_input_notes.MIN_READER_VERSION, m0004_input_notes.migrate),
    Migration(5, "programs", m0005_programs.MIN_READER_VERSION, m0005_programs.migrate),
    Migration(6, "seals", m0006_seals.MIN_READER_VERSION, m0006_seals.migrate),
    Migration(
        7,
        "annotations",
        m0007_annotations.MIN_READER_VERSION,
        m0007_annotations.migrate,
        keeps_rows=True,
    ),
    Migration(
        8,
        "search index",
        m0008_search_index.MIN_READER_VERSION,
        m0008_search_index.migrate,
        keeps_rows=True,
    ),
    Migration(
        9,
        "emptied trash",
        m0009_emptied_trash.MIN_READER_VERSION,
        m0009_emptied_trash.migrate,
        keeps_rows=True,
    ),
    Migration(
        10,
        "smaller indexes",
        m0010_smaller_indexes.MIN_READER_VERSION,
        m0010_smaller_indexes.migrate,
        keeps_rows=True,
        keeps_search=True,
    ),
    Migration(
        11,
        "ranks",
        m0011_ranks.MIN_READER_VERSION,
        m0011_ranks.migrate,
        keeps_rows=True,
        keeps_search=True,
    ),
    Migration(
        12,
        "series",
        m0012_series.MIN_READER_VERSION,
        m0012_series.migrate,
        keeps_rows=True,
        keeps_search=True,
    ),
)

_CACHE = -200_000
"""Memory for pages while the schema is changed, in the form of `PRAGMA cache_size`: 200 MB."""

_INDEXED_FROM = 8
"""The first form of a history that has the search index of `store.search_index`."""

VERSION = MIGRATIONS[-1].number
"""The schema that this program reads and writes."""


def migrate(
    connection: sqlite3.Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS
) -> None:
    """Bring the database at `path` up to date, after a copy when it holds anything.

    Safe when several programs do it at once. Raises `StoreError` and changes nothing more
    when a change fails.
    """
    try:
        version = _read_version(connection)
        later = [migration for migration in migrations if migration.number > version]
        if not later:
            return
        if version and not all(migration.keeps_rows for migration in later):
            copy(connection, _name_copy(path, later[0].number))
        _apply(connection, later)
    except sqlite3.Error as error:
        raise explain(error, path) from error


def copy(connection: sqlite3.Connection, target: Path) -> None:
    """Write a consistent, checked copy of the database to `target`, which must not exist.

    Other programs may write meanwhile. Raises `StoreError`.
    """
    if target.exists():
        raise StoreError(f"{target} exists already.", "Choose another name.")
    temporary = target.with_name(f".{target.name}.new")
    try:
        temporary.unlink(missing_ok=True)
        create_file(temporary)
        # As bytes: a name that is not UTF-8 could not be handed over as a text.
        connection.execute("VACUUM INTO CAST(? AS TEXT)", (os.fsencode(temporary),))
        with_copy = sqlite3.connect(temporary)
        try:
            found = with_copy.execute("PRAGMA integrity_check").fetchone()[0]
        finally:
            with_copy.close()
        if found != "ok":
            raise StoreError(f"The copy {temporary} is damaged: {found}.")
        sync(temporary)
        temporary.rename(target)
        sync(target.parent)
    except sqlite3.Error as error:
        raise explain(error, target) from error
    except OSError as error:
        raise StoreError(
            f"Cannot write the copy {target}: {error.strerror or error}.",
            "Choose a folder that exists, where you may write, with enough space.",
        ) from error


def _apply(connection: sqlite3.Connection, migrations: Sequence[Migration]) -> None:
    cache = connection.execute("PRAGMA cache_size").fetchone()[0]
    connection.execute(f"PRAGMA cache_size = {_CACHE}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another program may have done it while this one waited for the lock.
        version = _read_version(connection)
        later = [migration for migration in migrations if migration.number > version]
        for migration in later:
            migration.apply(connection)
            _record(connection, migration)
            if not migration.keeps_rows:
                _check_references(connection, migration)
        is_kept = all(migration.keeps_search for migration in later)
        if later and later[-1].number >= _INDEXED_FROM and not is_kept:
            rebuild(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    finally:
        connection.execute(f"PRAGMA cache_size = {cache}")


def _check_references(connection: sqlite3.Connection, migration: Migration) -> None:
    if broken := connection.execute("PRAGMA foreign_key_check").fetchall():
        raise StoreError(
            f"The change {migration.number} ({migration.name}) of the history "
            f"would leave {len(broken)} rows without what they refer to.",
            "The history is as it was. Please report this.",
        )


def _record(connection: sqlite3.Connection, migration: Migration) -> None:
    number = int(migration.number)
    connection.execute(
        "INSERT INTO migration VALUES (?, ?, ?)", (number, migration.name, time.time())
    )
    connection.executemany(
        "INSERT OR REPLACE INTO meta VALUES (?, ?)",
        [
            ("schema_version", str(number)),
            ("min_reader_version", str(migration.min_reader_version)),
        ],
    )
    connection.execute(f"PRAGMA user_version = {number}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _read_version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _name_copy(path: Path, number: int) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return path.with_name(f"{path.stem}-before-{number:04}-{stamp}{path.suffix}")
