"""JSON nested without an end, in any column: everything can still be listed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from store import history, inputs, integrity, lineage, queue, sessions
from store.database import Database
from store.errors import SafelightError
from store.inputs import store_input
from store.records import Draft, DraftPrompt, Purpose
from store.request import InitialImage, Variation
from tests.factories import make_plain, make_request
from tests.store.helpers import make_images

DEPTH = 100_000
DEEP = ("[" * DEPTH, '{"a":' * DEPTH, '{"format":1,"parameters":{"seed":1,"a":' + "[" * DEPTH)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with Database.open(tmp_path_factory.mktemp("filled") / "data") as db:
        sha256 = store_input(db, make_plain("red", (64, 64))).sha256
        start = InitialImage(sha256=sha256, start_schedule=0.6, end_schedule=0.0)
        sky = make_request(
            "sky", seed=3, initial_image=start, variation=Variation(seed=4, strength=0.2)
        )
        [image, _] = make_images(db, [sky, make_request("town", seed=5)], session="main")
        queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
        sessions.save_draft(db, "main", Draft(prompts=(DraftPrompt(text="fog"),)))
        yield db


def list_json_columns(path: Path) -> list[tuple[str, str]]:
    """The tables and columns in which JSON stands."""
    found = []
    with closing(sqlite3.connect(path)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in tables.fetchall():
            columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
            for column in (row[1] for row in columns):
                like = f"CAST({column} AS TEXT) LIKE '{{%' OR CAST({column} AS TEXT) LIKE '[%'"
                if connection.execute(f"SELECT 1 FROM {table} WHERE {like}").fetchone():
                    found.append((table, column))
    return found


def read_everything(db: Database) -> tuple[int, int, int]:
    """How many images, jobs and sessions are listed; all that is known of them is read."""
    images = history.list_images(db)
    for image in images:
        integrity.check_record(db, image)
        history.explain_reference(db, image.id, image)
        history.get_environment(db, image.environment_digest)
        history.list_verifications(db, image.id)
        lineage.read_tree(db, image.id, depth=2, breadth=2)
        for sha256 in image.request.parameters.inputs:
            inputs.get_input(db, sha256)
        inputs.list_notes(db, image.request)
    integrity.check_database(db)
    history.list_images(db, search="sky")
    return len(images), len(queue.list_jobs(db)), len(sessions.list_sessions(db))


def test_one_deep_row_hides_nothing(filled: Database) -> None:
    columns = list_json_columns(filled.path)
    assert {("request", "json"), ("image", "meta"), ("session", "draft")} <= set(columns)
    whole = read_everything(filled)
    with closing(sqlite3.connect(filled.path)) as connection:
        for table, column in columns:
            before = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
            for deep in DEEP:
                connection.execute(f"UPDATE {table} SET {column} = ?", (deep,))
                connection.commit()
                assert read_everything(filled) == whole, f"{table}.{column}: {deep[:10]}"
            for place, value in before:
                change = f"UPDATE {table} SET {column} = ? WHERE rowid = ?"
                connection.execute(change, (value, place))
            connection.commit()
    assert integrity.check_database(filled) == []


def test_a_worker_takes_jobs_beside_a_deep_row(filled: Database) -> None:
    for table, column in list_json_columns(filled.path):
        with closing(sqlite3.connect(filled.path)) as connection:
            copy = connection.execute(f"SELECT rowid, {column} FROM {table}").fetchall()
            connection.execute(f"UPDATE {table} SET {column} = ?", (DEEP[0],))
            connection.commit()
        try:
            token = queue.recover(filled, paid_engines=())
            while queue.claim(filled, token) is not None:
                pass
            queue.enqueue(filled, [make_request("again", seed=9)])
        except SafelightError:
            pass  # told in words
        with closing(sqlite3.connect(filled.path)) as connection:
            for place, value in copy:
                connection.execute(
                    f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, place)
                )
            connection.commit()
