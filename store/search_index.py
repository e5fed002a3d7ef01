"""What images are searched and sorted by: one narrow row an image, and the parts of its prompts.

All of it follows from other tables. Triggers keep it in step, whoever writes; it can be made anew
from the rows at any time. `text` is all prompts of the image, folded (`store.search.fold`), one a
line. The full-text index holds its parts of three characters, so that words are found inside
words; it names rows that may hold a word, and `text` says which do.
"""

from __future__ import annotations

import sqlite3

from store.search import fold

TABLE = "image_search"
PARTS = "image_text"
VOCABULARY = "image_text_parts"
PART = 3
"""Characters of a part. What is shorter begins one, as each text ends with two lines more."""

LEAST_SQLITE = (3, 34, 0)
"""The first that knows parts of three characters (`tokenize = trigram`)."""

TITLE = "substr({}, 1, 40)"
"""The beginning of the first prompt, by which a list can be sorted; of the column of the texts."""

_COLUMNS = {
    "number": "INTEGER NOT NULL PRIMARY KEY",
    "seed": "INTEGER NOT NULL",
    "created_at": "FLOAT NOT NULL",
    "session": "VARCHAR",
    "engine": "VARCHAR",
    "model": "VARCHAR",
    "sampler": "VARCHAR",
    "style_preset": "VARCHAR",
    "steps": "INTEGER",
    "cfg_scale": "FLOAT",
    "width": "INTEGER",
    "height": "INTEGER",
    "rating": "INTEGER NOT NULL",
    "verdict": "VARCHAR",
    "is_trashed": "BOOLEAN NOT NULL",
    "text": "VARCHAR NOT NULL",
}
"""`rating` is -1 for none. `verdict` is the newest of the image."""

_INDEXES = {
    "seed": "(seed)",
    "created_at": "(created_at)",
    "session": "(session)",
    "engine": "(engine)",
    "model": "(model)",
    "sampler": "(sampler)",
    "style_preset": "(style_preset) WHERE style_preset IS NOT NULL",
    "steps": "(steps)",
    "cfg_scale": "(cfg_scale)",
    "width": "(width, height)",
    "height": "(height)",
    "rating": "(rating)",
    "verdict": "(verdict) WHERE verdict IS NOT NULL",
    "is_trashed": "(number) WHERE is_trashed",
    "title": f"({TITLE.format('text')})",
}

_OF_REQUEST = ("engine", "model", "sampler", "style_preset", "steps", "cfg_scale")

_NEWEST_VERDICT = (
    "(SELECT verdict FROM verification WHERE image_id = image.id ORDER BY number DESC LIMIT 1)"
)


def _select(text: str) -> str:
    """What the rows should be; `text` is the expression for the folded prompts."""
    facts = {
        "number": "image.number",
        "seed": "image.seed",
        "created_at": "image.created_at",
        "session": "image.session",
        **{name: f"request.{name}" for name in _OF_REQUEST},
        "width": "image.width",
        "height": "image.height",
        "rating": "coalesce(annotation.rating, -1)",
        "verdict": _NEWEST_VERDICT,
        "is_trashed": "annotation.trashed_at IS NOT NULL",
        "text": text,
    }
    return (
        f"SELECT {', '.join(f'{facts[name]} AS {name}' for name in _COLUMNS)} FROM image"
        " LEFT JOIN request ON request.digest = image.request_digest"
        " LEFT JOIN annotation ON annotation.image_number = image.number"
    )


_TABLE = f"CREATE TABLE {TABLE} ({', '.join(f'{name} {kind}' for name, kind in _COLUMNS.items())})"
_PARTS = (
    f"CREATE VIRTUAL TABLE {PARTS} USING fts5 (text, content = '{TABLE}',"
    " content_rowid = 'number', tokenize = 'trigram', detail = none, columnsize = 0)"
)

_VOCABULARY = f"CREATE VIRTUAL TABLE {VOCABULARY} USING fts5vocab ({PARTS}, 'row')"

_END = "char(10, 10)"
_FOLDED = f"fold(image.prompt_text) || {_END}"
_ADD = (
    f"INSERT INTO {TABLE} {_select(f'lower(image.prompt_text) || {_END}')}"
    " WHERE image.number = new.number;"
)
_REMOVE = f"DELETE FROM {TABLE} WHERE number = old.number;"
_ADD_PARTS = f"INSERT INTO {PARTS} (rowid, text) VALUES (new.number, new.text);"
_REMOVE_PARTS = (
    f"INSERT INTO {PARTS} ({PARTS}, rowid, text) VALUES ('delete', old.number, old.text);"
)


def _set_verdict(row: str) -> str:
    return (
        f"UPDATE {TABLE} SET verdict = (SELECT verdict FROM verification"
        f" WHERE image_id = {row}.image_id ORDER BY number DESC LIMIT 1)"
        f" WHERE number = (SELECT number FROM image WHERE id = {row}.image_id);"
    )


_SET_REQUEST = (
    f"UPDATE {TABLE} SET {', '.join(f'{name} = new.{name}' for name in _OF_REQUEST)}"
    " WHERE number IN (SELECT number FROM image WHERE request_digest = new.digest);"
)
_ANNOTATE = (
    f"UPDATE {TABLE} SET rating = coalesce(new.rating, -1),"
    " is_trashed = new.trashed_at IS NOT NULL WHERE number = new.image_number;"
)
_FORGET_ANNOTATION = (
    f"UPDATE {TABLE} SET rating = -1, is_trashed = 0 WHERE number = old.image_number;"
)

TRIGGERS = {
    "image_search_insert": f"AFTER INSERT ON image BEGIN {_ADD} END",
    "image_search_delete": f"AFTER DELETE ON image BEGIN {_REMOVE} END",
    "image_search_update": (
        "AFTER UPDATE OF number, id, request_digest, session, seed, width, height, created_at,"
        f" prompt_text ON image BEGIN {_REMOVE} {_ADD} END"
    ),
    "image_search_request": (
        f"AFTER UPDATE OF {', '.join(_OF_REQUEST)} ON request BEGIN {_SET_REQUEST} END"
    ),
    "image_search_verified": (f"AFTER INSERT ON verification BEGIN {_set_verdict('new')} END"),
    "image_search_reverified": (
        "AFTER UPDATE OF number, image_id, verdict ON verification"
        f" BEGIN {_set_verdict('old')} {_set_verdict('new')} END"
    ),
    "image_search_unverified": (f"AFTER DELETE ON verification BEGIN {_set_verdict('old')} END"),
    "image_search_annotated": f"AFTER INSERT ON annotation BEGIN {_ANNOTATE} END",
    "image_search_reannotated": (
        f"AFTER UPDATE OF rating, trashed_at ON annotation BEGIN {_ANNOTATE} END"
    ),
    "image_search_unannotated": f"AFTER DELETE ON annotation BEGIN {_FORGET_ANNOTATION} END",
    "image_text_insert": f"AFTER INSERT ON {TABLE} BEGIN {_ADD_PARTS} END",
    "image_text_delete": f"AFTER DELETE ON {TABLE} BEGIN {_REMOVE_PARTS} END",
    "image_text_update": (
        f"AFTER UPDATE OF number, text ON {TABLE} BEGIN {_REMOVE_PARTS} {_ADD_PARTS} END"
    ),
}
"""What keeps the index in step, by name."""


def add_function(connection: sqlite3.Connection) -> None:
    """Let `fold` be used in the SQL of this connection. No trigger and no table needs it."""
    connection.create_function("fold", 1, _fold_stored, deterministic=True)


def _fold_stored(stored: object) -> str:
    if isinstance(stored, bytes):
        return fold(stored.decode("utf-8", "replace"))
    return "" if stored is None else fold(str(stored))


def fold_text(connection: sqlite3.Connection, number: int, prompt_text: str) -> None:
    """Fold the text of a new image as the triggers cannot: they only know the letters of ASCII."""
    if not prompt_text.isascii():
        connection.execute(
            f"UPDATE {TABLE} SET text = ? || {_END} WHERE number = ?", (fold(prompt_text), number)
        )


def rebuild(connection: sqlite3.Connection) -> None:
    """Make the whole index anew from the rows, within the transaction that is open.

    The changes of the schema end with this: rebuilding a table drops its triggers without a word,
    and searches would then miss rows.
    """
    add_function(connection)
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")
    for table in (VOCABULARY, PARTS):
        connection.execute(f"DROP TABLE IF EXISTS {table}")
    connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    connection.execute(_TABLE)
    connection.execute(f"INSERT INTO {TABLE} {_select(_FOLDED)} ORDER BY image.number")
    for name, columns in _INDEXES.items():
        connection.execute(_write_index(name, columns))
    connection.execute(_PARTS)
    connection.execute(_VOCABULARY)
    connection.execute(f"INSERT INTO {PARTS} ({PARTS}) VALUES ('rebuild')")
    for name, body in TRIGGERS.items():
        connection.execute(_write_trigger(name, body))


def list_faults(connection: sqlite3.Connection) -> list[str]:
    """What is wrong with the index, one sentence each. Only whoever may write sees all of it."""
    rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    found = dict(rows.fetchall())
    wanted = {TABLE: _TABLE, PARTS: _PARTS, VOCABULARY: _VOCABULARY}
    if any(found.get(name) != sql for name, sql in wanted.items()):
        return ["The search index is missing or not as it should be."]
    faults = [
        f"The search index is not kept in step: the trigger {name} is missing or changed."
        for name, body in TRIGGERS.items()
        if found.get(name) != _write_trigger(name, body)
    ]
    faults += [
        f"A part of the search index is missing: {name}."
        for name, columns in _INDEXES.items()
        if found.get(_name_index(name)) != _write_index(name, columns)
    ]
    return faults + _compare_rows(connection)


def _compare_rows(connection: sqlite3.Connection) -> list[str]:
    add_function(connection)
    differs = " OR ".join(f"found.{name} IS NOT wanted.{name}" for name in _COLUMNS)
    statement = (
        f"SELECT count(*) FROM ({_select(_FOLDED)}) AS wanted"
        f" LEFT JOIN {TABLE} AS found ON found.number = wanted.number WHERE {differs}"
    )
    stale = connection.execute(statement).fetchone()[0]
    surplus = connection.execute(
        f"SELECT count(*) FROM {TABLE}"
        " WHERE NOT EXISTS (SELECT 1 FROM image WHERE image.number = image_search.number)"
    ).fetchone()[0]
    if stale or surplus:
        count = stale + surplus
        return [f"The search index does not fit {count:,} image{'s' if count != 1 else ''}."]
    return []


def check_parts(connection: sqlite3.Connection) -> None:
    """Raise `sqlite3.DatabaseError` when the parts do not fit the texts. Needs to write."""
    connection.execute(f"INSERT INTO {PARTS} ({PARTS}, rank) VALUES ('integrity-check', 1)")


def _name_index(name: str) -> str:
    return f"ix_{TABLE}_{name}"


def _write_index(name: str, columns: str) -> str:
    return f"CREATE INDEX {_name_index(name)} ON {TABLE} {columns}"


def _write_trigger(name: str, body: str) -> str:
    return f"CREATE TRIGGER {name} {body}"
