"""The full-text index over the prompts of each image."""

from __future__ import annotations

import re
import sqlite3

TABLE = "image_text"

_REMOVE = (
    f"INSERT INTO {TABLE} ({TABLE}, rowid, prompt_text)"
    " VALUES ('delete', old.number, old.prompt_text);"
)
_ADD = f"INSERT INTO {TABLE} (rowid, prompt_text) VALUES (new.number, new.prompt_text);"

TRIGGERS = {
    "image_text_insert": f"AFTER INSERT ON image BEGIN {_ADD} END",
    "image_text_delete": f"AFTER DELETE ON image BEGIN {_REMOVE} END",
    "image_text_update": (
        f"AFTER UPDATE OF number, prompt_text ON image BEGIN {_REMOVE} {_ADD} END"
    ),
}
"""What keeps the index in step, by name."""


def create_triggers(connection: sqlite3.Connection) -> None:
    """Make the triggers anew and the index from the rows. Each migration ends with this.

    Rebuilding a table drops its triggers without a word, and searches then miss rows.
    """
    for name, body in TRIGGERS.items():
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
        connection.execute(_write_trigger(name, body))
    connection.execute(f"INSERT INTO {TABLE} ({TABLE}) VALUES ('rebuild')")
    check_index(connection)


def check_index(connection: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` when the index does not fit the rows. Needs to write."""
    connection.execute(f"INSERT INTO {TABLE} ({TABLE}, rank) VALUES ('integrity-check', 1)")


def list_missing_triggers(connection: sqlite3.Connection) -> list[str]:
    """The names of triggers that are gone or not as they should be."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'")
    found = dict(rows.fetchall())
    return [
        name for name, body in TRIGGERS.items() if found.get(name) != _write_trigger(name, body)
    ]


def _write_trigger(name: str, body: str) -> str:
    return f"CREATE TRIGGER {name} {body}"


_IDEOGRAPHIC = re.compile(
    r"[\u2e80-\ua4cf\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_UNSAFE = re.compile(r"[\x00\ud800-\udfff]")


def parse_search(text: str) -> tuple[str, list[str]]:
    """What a person typed, as an FTS5 query and as parts to be found literally.

    Each word is searched by its beginning, all must occur. No text is a syntax error: words
    are quoted. Words without a letter or digit, and those in scripts without spaces, cannot
    be found by beginnings of words, so they are literal parts.
    """
    phrases: list[str] = []
    literals: list[str] = []
    for word in _UNSAFE.sub(" ", text).split():
        if any(character.isalnum() for character in word) and not _IDEOGRAPHIC.search(word):
            quoted = word.replace('"', '""')
            phrases.append(f'"{quoted}"*')
        else:
            literals.append(word)
    return " ".join(phrases), literals
