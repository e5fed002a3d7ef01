"""A glance at a session before the history is open, which takes long: for the first paint.

It goes to SQLite without what the rest of the store needs, changes nothing, and promises nothing:
where anything is unusual there is no glance, and whoever opens the history says why.
"""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

from store.draft_json import decode_draft
from store.errors import StoreError
from store.records import Draft, Session
from store.sqlite import FILE_NAME, connect

BUSY_SECONDS = 0.05

_NAMED = "SELECT name, draft, updated_at FROM session WHERE name = ?"
_NEWEST = """
    SELECT name, draft, updated_at FROM session
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
