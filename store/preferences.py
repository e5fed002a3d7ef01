"""What a history remembers of the people who use it: small texts by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.tables import MetaRow

if TYPE_CHECKING:
    from store.database import Database

EXPORT_FOLDER = "export folder"
"""The folder that images were saved to last."""

ARCHIVED_SESSIONS = "archived sessions"
"""The names of the sessions that are archived, a list in JSON."""

_PREFIX = "preference "


def read_preference(db: Database, name: str) -> str | None:
    """The text of this name, None where there is none yet."""
    with db.read() as read:
        row = read.get(MetaRow, _PREFIX + name)
        return None if row is None else row.value


def write_preference(db: Database, name: str, value: str) -> None:
    """Remember a text. Raises `StoreError` where the history cannot be written."""
    with db.write() as write:
        write.merge(MetaRow(key=_PREFIX + name, value=value))
