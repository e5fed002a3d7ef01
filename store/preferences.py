"""What a history remembers of the people who use it: small texts by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.tables import MetaRow

if TYPE_CHECKING:
    from sqlmodel import Session as Transaction

    from store.database import Database

EXPORT_FOLDER = "export folder"
"""The folder that images were saved to last."""

ARCHIVED_SESSIONS = "archived sessions"
"""The names of the sessions that are archived, a list in JSON."""

_PREFIX = "preference "


def read_preference(db: Database, name: str) -> str | None:
    """The text of this name, None where there is none yet."""
    with db.read() as read:
        return find_preference(read, name)


def write_preference(db: Database, name: str, value: str) -> None:
    """Remember a text. Raises `StoreError` where the history cannot be written."""
    with db.write() as write:
        keep_preference(write, name, value)


def find_preference(transaction: Transaction, name: str) -> str | None:
    """As `read_preference`, in a transaction that reads more."""
    row = transaction.get(MetaRow, _PREFIX + name)
    return None if row is None else row.value


def keep_preference(transaction: Transaction, name: str, value: str) -> None:
    """As `write_preference`, in a transaction that changes more."""
    transaction.merge(MetaRow(key=_PREFIX + name, value=value))
