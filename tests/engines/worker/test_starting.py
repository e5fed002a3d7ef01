"""Starting a worker for what was queued: before it, and after it was committed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.worker import process
from engines.worker.keeper import Keeper
from engines.worker.process import (
    LOCK_NAME,
    LOG_NAME,
    STARTS,
    STARTUP_NAME,
    WorkerLock,
    engage_worker,
    find_worker,
)
from engines.worker.program import read_serving
from store import queue, turns
from store.database import Database
from store.errors import StoreError
from tests.factories import make_request


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path) as opened:
        yield opened


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The workers that were started, each of which ends at once."""
    started: list[Path] = []

    def spawn(directory: Path) -> subprocess.Popen[bytes]:
        started.append(directory)
        return subprocess.Popen([sys.executable, "-S", "-c", "raise SystemExit(1)"])

    monkeypatch.setattr(process, "_spawn", spawn)
    return started


@pytest.mark.parametrize("name", [STARTUP_NAME, LOCK_NAME, LOG_NAME])
def test_a_file_that_cannot_be_opened_is_named_before_anything_is_queued(
    database: Database, name: str
) -> None:
    path = database.directory / name
    path.mkdir()
    with (
        pytest.raises(StoreError, match="is not a file, so it is not touched") as caught,
        engage_worker(database, ["builtin"]) as wanted,
    ):
        queue.enqueue(database, [make_request()], wanted=wanted)
    assert str(path) in caught.value.message
    assert queue.list_jobs(database) == []


def test_what_a_worker_says_on_its_way_down_stands_in_its_log(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho said plainly\necho said of a fault >&2\nexit 1\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(program))
    with pytest.raises(StoreError, match="did not start"):
        process.ensure_worker(database.directory)
    log = (database.directory / LOG_NAME).read_text()
    assert "said plainly" in log
    assert "said of a fault" in log


def test_who_waits_for_the_history_does_not_stand_in_line_for_the_start(tmp_path: Path) -> None:
    with (
        Database.open(tmp_path) as holder,
        Database.open(tmp_path, busy_seconds=0.1) as other,
        process.hold_startup_lock(tmp_path),
        holder.write(),
        pytest.raises(StoreError, match="history") as caught,
        engage_worker(other, ["builtin"]),
    ):
        pytest.fail("nothing can be queued")
    assert STARTUP_NAME not in caught.value.message


def test_a_worker_that_does_not_come_up_is_told_and_what_was_queued_stays(
    database: Database, starts: list[Path]
) -> None:
    told: list[str] = []
    with engage_worker(database, ["builtin"], told.append) as wanted:
        (job,) = queue.enqueue(database, [make_request()], wanted=wanted)
    assert len(starts) == STARTS
    (text,) = told
    assert "The worker did not start." in text
    assert str(database.directory / LOG_NAME) in text
    assert queue.list_jobs(database) == [job]


def test_a_worker_that_does_not_come_up_is_not_started_every_time_somebody_looks(
    database: Database, starts: list[Path]
) -> None:
    keeper = Keeper(database.directory, database)
    keeper.look()
    assert (starts, keeper.trouble) == ([], "")
    queue.enqueue(database, [make_request()], wanted=read_serving(database.directory))
    for _ in range(20):
        keeper.look()
    assert len(starts) == STARTS
    assert "The worker did not start." in keeper.trouble


def test_what_a_worker_waits_for_is_seen_by_who_looks(database: Database) -> None:
    lock = WorkerLock(database.directory)
    assert lock.acquire(read_serving(database.directory))
    size = (database.directory / LOCK_NAME).stat().st_size
    keeper = Keeper(database.directory, database)
    for trouble in ("The disk is full.", "é\0\U0001f600" * 5000, ""):
        lock.note(trouble)
        keeper.look()
        assert keeper.trouble == find_worker(database.directory).trouble
        assert trouble.startswith(keeper.trouble)
        assert bool(keeper.trouble) == bool(trouble)
        # On a full disk there is room for what is there, and for nothing else.
        assert (database.directory / LOCK_NAME).stat().st_size == size
    lock.release()
    assert not find_worker(database.directory).is_running


def test_a_paused_queue_needs_no_worker_until_it_is_resumed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Path] = []
    monkeypatch.setattr("engines.worker.keeper.ensure_worker", started.append)
    queue.enqueue(database, [make_request()])
    turns.pause_queue(database)
    keeper = Keeper(database.directory, database)
    keeper.look()
    assert started == []
    turns.resume_queue(database)
    keeper.look()
    assert started == [database.directory]
