"""A glimpse of a history, read without opening it: for a shell that completes a line.

Nothing is made, locked, migrated or waited for; what cannot be read at once is not there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from store.sqlite import FILE_NAME

NEWEST = 500
"""So many of the newest images are looked at."""

_WAIT_SECONDS = 0.2


def list_image_names(directory: Path) -> list[tuple[str, str]]:
    """Id and seed of the newest images."""
    statement = "SELECT id, seed FROM image ORDER BY number DESC LIMIT ?"
    return [(str(name), str(seed)) for name, seed in _read(directory, statement, NEWEST)]


def list_session_names(directory: Path) -> list[str]:
    """The names of the sessions, the one used last first."""
    statement = "SELECT name FROM session ORDER BY used DESC LIMIT ?"
    return [str(name) for (name,) in _read(directory, statement, NEWEST)]


def list_job_names(directory: Path) -> list[tuple[str, str]]:
    """Id and state of the newest jobs."""
    statement = "SELECT id, state FROM job ORDER BY number DESC LIMIT ?"
    return [(str(name), str(state)) for name, state in _read(directory, statement, NEWEST)]


def _read(directory: Path, statement: str, limit: int) -> Iterator[tuple[object, ...]]:
    path = directory / FILE_NAME
    try:
        address = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(address, uri=True, timeout=_WAIT_SECONDS)) as connection:
            yield from connection.execute(statement, (limit,)).fetchall()
    except (sqlite3.Error, OSError, ValueError):
        return
