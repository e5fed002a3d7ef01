"""A row in which something is no number or word any more: shown, marked, named, in nobody's way."""

from __future__ import annotations

import datetime
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from store import charges, history, integrity, lineage, queue, sessions, verification_runs, watch
from store.annotations import apply_mark
from store.damage import TABLES, list_kinds
from store.database import Database
from store.records import Comparison, Mark, Verdict
from tests.factories import make_request
from tests.store.helpers import claim, execute, make_images, start

VALUES = ["word", b"\xff\x00", 1e18, float("-inf"), 2**62, "", None]
SEARCHES = ("seed:1", "steps:2..", "since:yesterday", "rating:3", "boat", "is:favourite")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history with something in each table."""
    directory = tmp_path_factory.mktemp("whole") / "data"
    with Database.open(directory) as db:
        images = make_images(db, [make_request(f"boat {n}", seed=n) for n in (1, 2, 3)], "main")
        history.add_verification(db, images[2].id, Comparison(verdict=Verdict.DIFFERENT))
        numbers = [image.number for image in images]
        apply_mark(db, numbers, Mark(rating=3, note="a note", is_favourite=True, add=("sea",)))
        for name in ("main", "other"):
            sessions.load_session(db, name)
        token = start(db)
        queue.enqueue(db, [make_request("lost", seed=8), make_request("waiting", seed=9)])
        job = claim(db, token)
        queue.record_wire(db, job.id, b"message")
        charges.add_charge(db, job.id, 1.0)
        queue.fail(db, job.id, token, "kind", "error")
        verification_runs.begin_run(db, "boat", numbers)
    return directory


def damage(directory: Path, table: str, column: str, value: object) -> bool:
    """Write `value` into the newest row, as another program could; False where SQLite refuses."""
    with closing(sqlite3.connect(directory / "history.sqlite3")) as connection:
        try:
            connection.execute(
                f'UPDATE "{table}" SET "{column}" = ?'
                f' WHERE rowid = (SELECT max(rowid) FROM "{table}")',
                (value,),
            )
        except sqlite3.Error:
            return False
        connection.commit()
        return True


def list_looks(db: Database) -> Iterator[Callable[[], Any]]:
    """Everything that a person or a program looks at."""
    yield lambda: history.list_images(db)
    yield lambda: [history.list_images(db, search=search) for search in SEARCHES]
    yield lambda: [history.check_image(db, f"@{place}") for place in (1, 2, 3)]
    yield lambda: [integrity.check_record(db, image) for image in history.list_images(db)]
    yield lambda: [history.list_verifications(db, image.id) for image in history.list_images(db)]
    yield lambda: queue.list_jobs(db)
    yield lambda: sessions.list_sessions(db)
    yield lambda: [sessions.load_session(db, each.name) for each in sessions.list_sessions(db)]
    yield lambda: [
        verification_runs.list_results(db, run.number) for run in verification_runs.list_runs(db)
    ]
    yield lambda: lineage.read_tree(db, "@1", depth=3, breadth=3)
    yield lambda: lineage.find_ancestors(db, "@1")
    yield lambda: watch.read_fingerprint(db)
    yield lambda: charges.sum_charges(db, 0.0)
    yield lambda: queue.claim(db, start(db))
    yield lambda: queue.enqueue(db, [make_request("another")])


def check_kinds(value: object) -> None:
    """See to it that `value` is what its own type says, and that each time can be shown."""
    if isinstance(value, list | tuple):
        for each in value:
            check_kinds(each)
    elif isinstance(value, msgspec.Struct):
        plain = msgspec.to_builtins(value, enc_hook=str)
        msgspec.convert(plain, type(value), dec_hook=lambda _, text: Path(text))
        for name in value.__struct_fields__:
            inner = getattr(value, name)
            if name.endswith("_at") and inner is not None:
                datetime.datetime.fromtimestamp(inner)
            check_kinds(inner)


def look_at_all(directory: Path) -> list[str]:
    """What the doctor says, before a look at everything."""
    with Database.open(directory) as db:
        findings = integrity.check_database(db)
        for look in list_looks(db):
            check_kinds(look())
        assert len(history.list_images(db)) == 3, "a bad row hides no good one"
        assert {each.name for each in sessions.list_sessions(db)} >= {"main"}
        return findings


@pytest.mark.parametrize("table", [str(table.__tablename__) for table in TABLES])
@pytest.mark.parametrize("value", ["word", 1e18])
@pytest.mark.samples(10)
def test_a_row_of_nonsense_is_in_nobodys_way(
    whole: Path, tmp_path: Path, table: str, value: object
) -> None:
    shutil.copytree(whole, tmp_path / "data")
    [kinds] = [list_kinds(each) for each in TABLES if each.__tablename__ == table]
    for kind in kinds.values():
        # What no longer leads to another row is another kind of damage; and whatever says when an
        # image was put into the trash, it lies there.
        if not kind.name.endswith(("id", "digest", "number", "position", "trashed_at")):
            damage(tmp_path / "data", table, kind.name, value)
    look_at_all(tmp_path / "data")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(VALUES[:2], marks=pytest.mark.exhaustive, id="words"),
        pytest.param(VALUES[2:], marks=pytest.mark.campaign, id="numbers and nothing"),
    ],
)
@pytest.mark.parametrize("table", [str(table.__tablename__) for table in TABLES])
def test_each_column_may_hold_anything(
    whole: Path, tmp_path: Path, table: str, values: list[object]
) -> None:
    [kinds] = [list_kinds(each) for each in TABLES if each.__tablename__ == table]
    for kind in kinds.values():
        for value in values if kind.name != "trashed_at" else ():
            shutil.rmtree(tmp_path / "data", ignore_errors=True)
            shutil.copytree(whole, tmp_path / "data")
            if damage(tmp_path / "data", table, kind.name, value):
                look_at_all(tmp_path / "data")


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("image", "created_at", "yesterday"),
        ("image", "created_at", 1e18),
        ("image", "seed", "abc"),
        ("image", "width", b"12"),
        ("job", "created_at", "word"),
        ("job", "finished_at", float("inf")),
        ("session", "name", b"\xff"),
        ("session", "draft", "word"),
        ("session", "used", "word"),
        ("annotation", "rating", "five"),
        ("stage", "step", "x"),
        ("verification_run", "created_at", -1.0),
        ("charge", "credits", "much"),
        ("request", "json", "{"),
        ("job", "state", "asleep"),
    ],
)
@pytest.mark.samples(5)
def test_the_doctor_names_a_damaged_row(
    whole: Path, tmp_path: Path, table: str, column: str, value: object
) -> None:
    shutil.copytree(whole, tmp_path / "data")
    with Database.open(tmp_path / "data") as db:
        assert integrity.check_database(db) == []
    assert damage(tmp_path / "data", table, column, value)
    said = "\n".join(look_at_all(tmp_path / "data"))
    assert "damaged" in said
    assert (column if column in ("created_at", "seed") else table) in said


def test_a_damaged_image_or_job_is_marked_and_nothing_of_it_is_written_over(
    whole: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "data"
    shutil.copytree(whole, directory)
    damage(directory, "image", "created_at", "yesterday")
    damage(directory, "job", "attempts", "many")
    with Database.open(directory) as db:
        assert [image.is_damaged for image in history.list_images(db)] == [True, False, False]
        assert [job.is_damaged for job in queue.list_jobs(db)][:2] == [True, False]
        queue.request_cancel(db, queue.list_jobs(db)[0].id)
    assert execute(directory, "SELECT created_at FROM image ORDER BY number DESC LIMIT 1") == [
        ("yesterday",)
    ]
    assert execute(directory, "SELECT attempts FROM job ORDER BY number DESC LIMIT 1") == [
        ("many",)
    ]


def test_a_session_whose_name_is_damaged_still_opens_with_its_draft(
    whole: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "data"
    shutil.copytree(whole, directory)
    for name in (b"\xff", "\x1b[31m"):
        damage(directory, "session", "name", name)
        draft = '{"prompts": [{"text": "kept"}]}'
        execute(directory, "UPDATE session SET draft = ?, used = 99 WHERE name = ?", draft, name)
        with Database.open(directory) as db:
            last = sessions.last_session_name(db)
            assert last is not None
            assert sessions.load_session(db, last).draft.prompts[0].text == "kept"
            assert len(sessions.list_sessions(db)) == 2
