"""A glance at a history that is not opened, which takes long: for the first paint, and for a shell.

It goes to SQLite without what the rest of the store needs, changes nothing, and promises nothing:
where anything is unusual there is no glance, and whoever opens the history says why.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import Any

from store.draft_json import decode_draft
from store.errors import StoreError
from store.records import Draft, Session
from store.sqlite import FILE_NAME, connect

BUSY_SECONDS = 0.05

NEWEST = 500
"""So many of the newest images, jobs or sessions are looked at."""

_NAMED = "SELECT name, draft, updated_at FROM session WHERE name = ?"
_NEWEST = """
    SELECT name, draft, updated_at FROM session WHERE name NOT IN (
        SELECT each.value FROM meta, json_each(meta.value) AS each
        WHERE meta.key = 'preference archived sessions'
    )
    ORDER BY typeof(used) <> 'integer', used DESC LIMIT 1
"""


def glance_at_session(
    directory: Path, name: str | None, otherwise: str, version: int
) -> Session | None:
    """The session of this name, None for the one used last, as it is stored in `directory`.

    It is empty where there is none of this name, and named `otherwise` where there is none at all.
    None where there is no history of this `version` of the schema that can be read at once.
    """
    path = directory.expanduser().absolute() / FILE_NAME
    try:
        if not path.is_file():
            return None
        with contextlib.closing(connect(path, is_read_only=True, seconds=BUSY_SECONDS)) as found:
            if found.execute("PRAGMA user_version").fetchone() != (version,):
                return None
            row = found.execute(*((_NEWEST,) if name is None else (_NAMED, (name,)))).fetchone()
    except (OSError, sqlite3.Error, StoreError):
        return None
    if row is None:
        return Session(name=name or otherwise, draft=Draft(), updated_at=0.0)
    stored_name, draft, updated_at = row
    is_sound = isinstance(stored_name, str) and isinstance(draft, str)
    if not (is_sound and isinstance(updated_at, int | float)):
        return None
    return Session(name=stored_name, draft=decode_draft(draft), updated_at=float(updated_at))


def list_image_names(directory: Path) -> list[tuple[str, str]]:
    """Id and seed of the newest images."""
    rows = _read(directory, "SELECT id, seed FROM image ORDER BY number DESC LIMIT ?")
    return [(str(name), str(seed)) for name, seed in rows]


def list_session_names(directory: Path) -> list[str]:
    """The names of the sessions, the one used last first."""
    rows = _read(directory, "SELECT name FROM session ORDER BY used DESC LIMIT ?")
    return [str(name) for (name,) in rows]


def list_job_names(directory: Path) -> list[tuple[str, str]]:
    """Id and state of the newest jobs."""
    rows = _read(directory, "SELECT id, state FROM job ORDER BY number DESC LIMIT ?")
    return [(str(name), str(state)) for name, state in rows]


def _read(directory: Path, statement: str) -> list[tuple[Any, ...]]:
    """Rows of the history in `directory`; none where they cannot be read at once."""
    path = directory.expanduser().absolute() / FILE_NAME
    try:
        if not path.is_file():
            return []
        with contextlib.closing(connect(path, is_read_only=True, seconds=BUSY_SECONDS)) as found:
            return list(found.execute(statement, (NEWEST,)))
    except (OSError, sqlite3.Error, StoreError):
        return []
