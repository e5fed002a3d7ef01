from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from store import queue
from store.database import Database
from store.progress import ProgressFile
from store.records import JobState
from tests.factories import make_request, make_result

JOB = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def live(directory: Path) -> ProgressFile:
    directory.mkdir()
    return ProgressFile(directory)


def test_progress_reaches_other_readers(live: ProgressFile, directory: Path) -> None:
    reader = ProgressFile(directory)
    live.write(JOB, 1, 20, 9.5, b"preview 1")
    before = reader.data_version()
    live.write(JOB, 2, 20, 9.0)
    assert reader.data_version() != before
    progress = reader.read([JOB, "f" * 32])[JOB]
    assert (progress.step, progress.steps, progress.seconds_left) == (2, 20, 9.0)
    assert progress.preview == b"preview 1"
    live.remove(JOB)
    assert reader.read([JOB]) == {}
    assert reader.read([]) == {}
    live.close()
    reader.close()


def test_the_file_may_be_deleted_at_any_time(live: ProgressFile, directory: Path) -> None:
    reader = ProgressFile(directory)
    live.write(JOB, 1, 20)
    assert reader.read([JOB])[JOB].step == 1
    (directory / "live.sqlite3").unlink()
    assert reader.read([JOB]) == {}
    live.write(JOB, 2, 20)
    assert reader.read([JOB])[JOB].step == 2
    assert live.read([JOB])[JOB].step == 2


@pytest.mark.parametrize("damage", [b"no database at all " * 300, b"\xff" * 8192])
def test_a_damaged_file_is_made_anew(directory: Path, damage: bytes) -> None:
    directory.mkdir()
    (directory / "live.sqlite3").write_bytes(damage)
    live = ProgressFile(directory)
    assert live.read([JOB]) == {}
    live.write(JOB, 3, 20)
    live.write(JOB, 4, 20)
    assert live.read([JOB])[JOB].step == 4


def test_a_file_of_another_form_is_made_anew(live: ProgressFile, directory: Path) -> None:
    with closing(sqlite3.connect(directory / "live.sqlite3")) as connection:
        connection.execute("CREATE TABLE progress (other)")
    live.write(JOB, 1, 20)
    live.write(JOB, 2, 20)
    assert live.read([JOB])[JOB].step == 2


def test_progress_never_raises(tmp_path: Path) -> None:
    live = ProgressFile(tmp_path / "not there")
    live.write(JOB, 1, 20)
    assert live.read([JOB]) == {}
    assert live.data_version() == 0


def test_jobs_show_their_progress_until_they_end(db: Database) -> None:
    queue.enqueue(db, [make_request(steps=30)])
    token = queue.recover(db, paid_engines=())
    job = queue.claim(db, token)
    assert job is not None
    assert (queue.get_job(db, job.id).step, queue.get_job(db, job.id).steps) == (0, 30)
    db.progress.write(job.id, 12, 30, 4.5, b"png")
    for seen in (queue.get_job(db, job.id), queue.list_jobs(db)[0]):
        assert (seen.step, seen.steps, seen.seconds_left, seen.preview) == (12, 30, 4.5, b"png")
    queue.finish(db, job, token, make_result())
    done = queue.get_job(db, job.id)
    assert (done.state, done.preview, done.seconds_left) == (JobState.DONE, None, None)


@pytest.mark.parametrize(
    ("column", "value"),
    [("step", "x"), ("steps", b"\xff"), ("seconds_left", "soon"), ("preview", "no picture")],
)
def test_nonsense_in_the_file_is_no_progress(db: Database, column: str, value: object) -> None:
    for job_id in (JOB, "b" * 32):
        db.progress.write(job_id, 1, 2, 3.0, b"preview")
    with closing(sqlite3.connect(db.directory / "live.sqlite3")) as connection:
        connection.execute(f"UPDATE progress SET {column} = ? WHERE job_id = ?", (value, JOB))
        connection.commit()
    found = db.progress.read([JOB, "b" * 32])
    assert list(found) == ["b" * 32]
    assert found["b" * 32].preview == b"preview"
