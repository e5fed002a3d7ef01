"""What people said of images, kept: ratings, favourites, tags, notes, the trash.

All functions take images by number, any number of them, and change some in each transaction, so
that nobody else waits long.
"""

from __future__ import annotations

import sqlite3
import time
from array import array
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import msgspec

from store.batches import divide
from store.database import Database
from store.errors import StoreError
from store.marks import TAGS_LIMIT, fold_tag, read_mark
from store.records import Mark, Marked
from store.sqlite import unwrap
from store.tables import MARKS_KEY

CHUNK = 2000
"""Images that one transaction changes."""

_UNSET = msgspec.UNSET


def list_tags(db: Database, begin: str = "", limit: int = 1000) -> list[tuple[str, int]]:
    """Tags that begin with `begin`, and of how many images each is, the most used first.

    Images in the trash do not count.
    """
    wanted = fold_tag(begin).lstrip()
    # A range, as a pattern would not use the key, and might hold signs of its own.
    span = (wanted, wanted + chr(0x10FFFF))
    with db.read() as read:
        rows = unwrap(read).execute(_TAGS, (*span, *span, limit)).fetchall()
    return [(str(name), count) for name, count in rows]


_TAGS = """
    SELECT name, sum(number) AS images FROM (
        SELECT name, count(*) AS number FROM tag WHERE name >= ? AND name < ? GROUP BY name
        UNION ALL
        SELECT name, -count(*) FROM annotation
        CROSS JOIN tag ON tag.image_number = annotation.image_number
        WHERE annotation.trashed_at IS NOT NULL AND name >= ? AND name < ? GROUP BY name
    ) GROUP BY name HAVING images > 0 ORDER BY images DESC, name LIMIT ?
"""
"""All in the order of the key, less what lies in the trash, which is little: a scan of a million
tags takes a tenth of a second, looking each of their images up ten times that."""


def apply_mark(db: Database, numbers: Iterable[int], mark: Mark) -> Marked:
    """Say `mark` of the images with these numbers; numbers that no image has say nothing.

    Nothing is said of one whose pixels were removed with the trash.

    The numbers may come from a generator: 2,000 are held at a time. Each transaction is
    whole; where a later one fails, what was done stays done. Raises `RequestError` for what cannot
    be said, `StoreError` when it cannot be written.
    """
    mark = read_mark(mark)
    moment = time.time()
    found = changed = 0
    before: dict[Mark, array[int]] = defaultdict(lambda: array("q"))
    for chunk in divide(numbers, CHUNK):
        with db.write() as write:
            connection = unwrap(write)
            there = _find(connection, chunk)
            found += len(there)
            touched = _change(connection, there, mark, moment, before)
            touched |= _retag(connection, there, mark, before)
            changed += len(touched)
            if touched:
                count_marks(connection)
    return Marked(found=found, changed=changed, before=tuple(before.items()))


def undo_marks(db: Database, marked: Marked) -> int:
    """Put back what a mark changed; of how many images."""
    touched: set[int] = set()
    for mark, numbers in reversed(marked.before):
        apply_mark(db, numbers, mark)
        touched.update(numbers)
    return len(touched)


def count_marks(connection: sqlite3.Connection) -> None:
    """Tell those who watch that something else is said of images, or their files are dropped."""
    connection.execute(
        "INSERT INTO meta VALUES (?, '1')"
        " ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
        (MARKS_KEY,),
    )


def _find(connection: sqlite3.Connection, numbers: list[int]) -> list[int]:
    """Those of `numbers` that are images which can be marked, each once."""
    marks = ", ".join("?" * len(numbers))
    rows = connection.execute(
        f"SELECT number FROM image WHERE number IN ({marks}) AND NOT EXISTS (SELECT 1"
        " FROM annotation WHERE image_number = number AND emptied_at IS NOT NULL)",
        numbers,
    )
    return [number for (number,) in rows]


_FIELDS = ("rating", "is_favourite", "note", "trashed_at")


def _change(
    connection: sqlite3.Connection,
    numbers: list[int],
    mark: Mark,
    moment: float,
    before: dict[Mark, array[int]],
) -> set[int]:
    """Set rating, favourite, note and trash; the numbers of the images that this changed."""
    wanted: dict[str, Any] = {
        name: getattr(mark, name)
        for name in ("rating", "is_favourite", "note")
        if getattr(mark, name) is not _UNSET
    }
    if not wanted and mark.is_trashed is _UNSET:
        return set()
    marks = ", ".join("?" * len(numbers))
    rows = connection.execute(
        f"SELECT image_number, {', '.join(_FIELDS)} FROM annotation"
        f" WHERE image_number IN ({marks})",
        numbers,
    )
    known = {row[0]: dict(zip(_FIELDS, row[1:], strict=True)) for row in rows}
    nothing = {"rating": None, "is_favourite": 0, "note": None, "trashed_at": None}
    written = []
    for number in numbers:
        old = known.get(number, nothing)
        new = old | wanted
        if mark.is_trashed is not _UNSET:
            kept = old["trashed_at"] if old["trashed_at"] is not None else moment
            new["trashed_at"] = kept if mark.is_trashed else None
        if new == old:
            continue
        written.append((number, *(new[name] for name in _FIELDS)))
        undo: dict[str, Any] = {
            name: bool(old[name]) if name == "is_favourite" else old[name]
            for name in wanted
            if new[name] != old[name]
        }
        if new["trashed_at"] != old["trashed_at"]:
            undo["is_trashed"] = old["trashed_at"] is not None
        before[Mark(**undo)].append(number)
    connection.executemany(
        f"INSERT INTO annotation (image_number, {', '.join(_FIELDS)}) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (image_number) DO UPDATE SET "
        + ", ".join(f"{name} = excluded.{name}" for name in _FIELDS),
        written,
    )
    return {row[0] for row in written}


def _retag(
    connection: sqlite3.Connection,
    numbers: list[int],
    mark: Mark,
    before: dict[Mark, array[int]],
) -> set[int]:
    """Add and remove tags; the numbers of the images that this changed."""
    touched: set[int] = set()
    if not mark.add and not mark.remove:
        return touched
    marks = ", ".join("?" * len(numbers))
    has: dict[int, set[str]] = defaultdict(set)
    for number, name in connection.execute(
        f"SELECT image_number, name FROM tag WHERE image_number IN ({marks})", numbers
    ):
        has[number].add(name)
    for number in numbers:
        added = tuple(tag for tag in mark.add if tag not in has[number])
        removed = tuple(tag for tag in mark.remove if tag in has[number])
        if not added and not removed:
            continue
        if len(has[number]) + len(added) - len(removed) > TAGS_LIMIT:
            raise StoreError(
                f"An image has {TAGS_LIMIT} tags at most.", "Remove some from it first."
            )
        connection.executemany(
            "INSERT INTO tag (name, image_number) VALUES (?, ?)", [(tag, number) for tag in added]
        )
        connection.executemany(
            "DELETE FROM tag WHERE name = ? AND image_number = ?",
            [(tag, number) for tag in removed],
        )
        before[Mark(add=removed, remove=added)].append(number)
        touched.add(number)
    return touched
