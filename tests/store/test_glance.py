"""What is seen of a session before the history is open."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from store import sessions
from store.database import Database
from store.glance import glance_at_session
from store.migrations import VERSION
from store.records import Draft, DraftPrompt, Session
from tests.store.helpers import execute, run_python

HARBOUR = Draft(prompts=(DraftPrompt(text="a harbour"),))


def glance(directory: Path, name: str | None = None, version: int = VERSION) -> Session | None:
    return glance_at_session(directory, name, "main", version)


def test_it_is_the_session_that_opening_gives(directory: Path) -> None:
    with Database.open(directory) as db:
        assert glance(directory) == Session(name="main", draft=Draft(), updated_at=0.0)
        sessions.save_draft(db, "evening", HARBOUR)
        sessions.save_draft(db, "morning", Draft())
        for name in ("evening", "morning", None):
            seen = glance(directory, name)
            wanted = name or sessions.last_session_name(db) or ""
            assert seen == sessions.load_session(db, wanted)
        unknown = glance(directory, "nowhere")
        assert unknown == Session(name="nowhere", draft=Draft(), updated_at=0.0)
    # Also when nobody has it open.
    assert glance(directory, "evening") == seen_of(directory, "evening")


def seen_of(directory: Path, name: str) -> Session:
    with Database.open(directory) as db:
        return next(each for each in sessions.list_sessions(db) if each.name == name)


def test_nothing_is_made_and_nothing_is_waited_for(directory: Path) -> None:
    assert glance(directory) is None
    assert not directory.exists()
    with Database.open(directory) as db:
        sessions.save_draft(db, "main", HARBOUR)
        assert glance(directory, version=VERSION + 1) is None
    with closing(sqlite3.connect(directory / "history.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert glance(directory) is None


@pytest.mark.parametrize("column", ["draft", "updated_at"])
def test_a_damaged_session_is_left_to_who_opens_it(directory: Path, column: str) -> None:
    with Database.open(directory) as db:
        sessions.save_draft(db, "main", HARBOUR)
    execute(directory, f"UPDATE session SET {column} = x'ff00'")
    assert glance(directory) is None
    (directory / "history.sqlite3").write_bytes(b"no database at all" * 100)
    assert glance(directory) is None


def test_it_needs_nothing_that_takes_long_to_load() -> None:
    loaded = run_python(
        """
        import sys
        import store.glance, store.migrations
        print(sorted({"sqlmodel", "sqlalchemy", "pydantic", "numpy", "PIL"} & set(sys.modules)))
        """
    )
    assert loaded == "[]"


def test_an_archived_session_is_not_the_one_that_is_glanced_at(db: Database) -> None:
    for name in ("one", "two"):
        sessions.save_draft(db, name, Draft(prompts=(DraftPrompt(text=name),)))
    sessions.archive_session(db, "two", True)
    assert glance(db.directory) == sessions.load_session(db, "one")
