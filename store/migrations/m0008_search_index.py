"""An index for searching by more than the beginnings of words.

It follows from the other tables, so it is made at the end of all changes (`rebuild` in
`store.search_index`); here only what it replaces goes away.
"""

from __future__ import annotations

import sqlite3

MIN_READER_VERSION = 8

_TRIGGERS = ("image_text_insert", "image_text_delete", "image_text_update")


def migrate(connection: sqlite3.Connection) -> None:
    """Remove the index of the beginnings of words."""
    for name in _TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    connection.execute("DROP TABLE IF EXISTS image_text")
