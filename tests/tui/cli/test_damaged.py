"""What the commands say of a history in which rows were damaged."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shutil
import sqlite3
from pathlib import Path

import pytest

from engines.worker.process import engage_worker
from store import queue
from store.database import Database
from store.errors import StoreError
from store.folder import find_data_directory
from store.sqlite import explain
from tests.factories import make_request
from tests.store.helpers import execute, make_images
from tests.tui.cli.invoking import invoke


@pytest.mark.parametrize(
    ("column", "value"),
    [("created_at", "yesterday"), ("created_at", 1e18), ("seed", "abc"), ("width", "wide")],
)
def test_a_damaged_image_is_listed_and_marked_and_the_others_are_as_they_were(
    column: str, value: object
) -> None:
    with Database.open(find_data_directory()) as database:
        images = make_images(database, [make_request("a boat"), make_request("a castle")])
    execute(find_data_directory(), f"UPDATE image SET {column} = ? WHERE number = 1", value)
    done = invoke(["history"])
    assert done.exit_code == 0, done.exception
    newest, oldest = done.stdout.splitlines()
    assert "a castle" in newest
    assert "(damaged)" not in newest
    assert "(damaged) a boat" in oldest
    listed = json.loads(invoke(["history", "--json"]).stdout)["images"]
    assert [image["is_damaged"] for image in listed] == [False, True]
    assert invoke(["show", images[0].id]).exit_code == 0
    doctor = invoke(["doctor"])
    assert doctor.exit_code == 1
    assert f"The row 1 of the table image is damaged: {column}" in doctor.stderr


def test_a_damaged_job_is_listed_and_marked() -> None:
    with Database.open(find_data_directory()) as database:
        make_images(database, [make_request("a boat"), make_request("a castle")])
    execute(find_data_directory(), "UPDATE job SET created_at = 'x' WHERE number = 1")
    newest, oldest = invoke(["jobs"]).stdout.splitlines()
    assert "(damaged)" not in newest
    assert "(damaged)" in oldest
    jobs = json.loads(invoke(["jobs", "--json"]).stdout)["jobs"]
    assert [job["is_damaged"] for job in jobs] == [False, True]
    # `session` has no seal either.
    execute(find_data_directory(), "INSERT INTO session VALUES (1, 'a', '{}', 1, 'word')")
    assert "a" in invoke(["sessions"]).stdout


def test_where_nothing_can_be_locked_nothing_is_queued(
    monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    Database.open(find_data_directory()).close()

    def refuse(descriptor: int, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with Database.open(find_data_directory()) as database:
        with (
            pytest.raises(StoreError, match="cannot lock files") as caught,
            engage_worker(database, ["builtin"]),
        ):
            queue.enqueue(database, [make_request()])
        assert "SAFELIGHT_HOME" in caught.value.hint
        assert queue.list_jobs(database) == []
    doctor = invoke(["doctor"])
    assert doctor.exit_code == 1
    assert f"file system of {find_data_directory()} cannot lock files" in doctor.stderr
    assert invoke(["jobs"]).exit_code == 0


def test_a_lock_that_fails_inside_the_database_is_told_as_that() -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_LOCK
    assert "cannot lock files" in explain(error, Path("/data/history.sqlite3")).message


def test_a_history_that_is_gone_is_told_by_every_command_and_the_doctor() -> None:
    with Database.open(find_data_directory()) as database:
        make_images(database, [make_request("a boat")])
    (find_data_directory() / "history.sqlite3").unlink()
    for words, status in (("history", 2), ("generate x --no-wait", 2), ("doctor", 1)):
        done = invoke(words.split())
        assert done.exit_code == status
        assert "history.sqlite3 is gone, but there are image files in" in done.stderr


def test_an_older_copy_is_told_where_it_is_read(tmp_path: Path) -> None:
    with Database.open(find_data_directory()) as database:
        make_images(database, [make_request("a boat")])
        database.back_up(tmp_path / "copy.sqlite3")
        make_images(database, [make_request("a castle")])
    shutil.copy(tmp_path / "copy.sqlite3", find_data_directory() / "history.sqlite3")
    done = invoke(["history"])
    assert done.exit_code == 0
    assert "a boat" in done.stdout
    assert "is older than the one that was here" in done.stderr
    done = invoke(["generate", "x", "--no-wait"])
    assert done.exit_code == 2
    assert "is older than the one that was here" in done.stderr
    assert "is older than the one that was here" in invoke(["doctor"]).stderr


@pytest.mark.parametrize("name", ["worker.lock", "startup.lock", "turn.lock", "worker.log"])
def test_what_stands_in_the_way_of_a_worker_is_told_by_the_doctor(name: str) -> None:
    with Database.open(find_data_directory()):
        pass
    path = find_data_directory() / name
    path.unlink(missing_ok=True)
    path.mkdir()
    doctor = invoke(["doctor"])
    assert doctor.exit_code == 1
    assert f"problem: {path} is not a file" in doctor.stderr
