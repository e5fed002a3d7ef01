"""Starting, finding and ending the process that runs jobs, and the locks that decide it."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engines.worker import process
from engines.worker.process import (
    LOCK_NAME,
    LOG_NAME,
    STARTUP_NAME,
    TURN_NAME,
    WorkerLock,
    engage_worker,
    ensure_worker,
    find_worker,
    fingerprint_files,
    hold_startup_lock,
    name_serving,
    try_startup_lock,
)
from store import queue
from store.database import Database
from store.errors import FileUnavailable, StoreError
from store.folder import find_config_file
from store.records import JobState, Serving
from tests.factories import make_request
from tests.waiting import wait_until

OWN, OTHER = Serving(program="own"), Serving(program="other")


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    """A history whose workers, if any were started, are ended after the test."""
    folder = tmp_path / "data"
    Database.open(folder).close()
    yield folder

    def end() -> bool:
        """A second one may wait for its turn, where the first had not said yet what it runs."""
        found = find_worker(folder)
        if found.process_id:
            with contextlib.suppress(ProcessLookupError):
                os.kill(found.process_id, signal.SIGKILL)
        return not found.is_running and not find_worker(folder, TURN_NAME).is_running

    wait_until(end, "the end of all workers")


def read_group(process: int) -> tuple[int, int]:
    """Process group and session."""
    return os.getpgid(process), os.getsid(process)


def test_a_worker_lives_on_its_own_and_leaves_in_good_order(directory: Path) -> None:
    with Database.open(directory) as database:
        started = ensure_worker(directory)
        process = started.process_id
        assert started.is_running
        assert process is not None
        assert ensure_worker(directory) == started == find_worker(directory)
        # The terminal's Ctrl+C and its hang-up go to the group and the session of the terminal.
        assert read_group(process) == (process, process)
        assert read_group(process) != read_group(os.getpid())
        assert Path(f"/proc/{process}/cwd").resolve() == Path("/")
        for name in (LOCK_NAME, LOG_NAME):
            assert stat.S_IMODE((directory / name).stat().st_mode) == 0o600
        os.kill(process, signal.SIGTERM)
        wait_until(lambda: not find_worker(directory).is_running, "its end")
        assert os.waitpid(process, 0)[1] == 0
        assert queue.list_jobs(database) == []


def test_whoever_queues_holds_the_lock_until_a_worker_is_there(directory: Path) -> None:
    with Database.open(directory) as database:
        with engage_worker(database, ["builtin"]) as wanted:
            with try_startup_lock(directory) as is_held:
                assert not is_held, "a worker that leaves now would not see the job"
            [job] = queue.enqueue(database, [make_request()], wanted=wanted)
            queue.request_cancel(database, job.id)
        assert find_worker(directory).is_running
        with try_startup_lock(directory) as is_held:
            assert is_held
        first = find_worker(directory).process_id
        with engage_worker(database, ["builtin"]):
            pass
        assert find_worker(directory).process_id == first, "one that is fit is kept"


def test_a_worker_that_does_not_come_up_is_an_error_that_names_the_log(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    with pytest.raises(StoreError, match="did not start") as caught:
        ensure_worker(directory)
    assert str(directory / LOG_NAME) in caught.value.hint
    assert not find_worker(directory).is_running


def test_one_at_a_time_holds_the_lock_and_says_who_it_is(tmp_path: Path) -> None:
    first, second = WorkerLock(tmp_path), WorkerLock(tmp_path)
    assert not find_worker(tmp_path).is_running
    assert list(tmp_path.iterdir()) == [], "looking makes nothing"
    assert first.acquire(OWN, 0)
    assert not second.acquire(OWN, 0)
    assert not second.acquire(OWN, 0.05)
    found = find_worker(tmp_path)
    assert (found.is_running, found.process_id) == (True, os.getpid())
    assert not find_worker(tmp_path, TURN_NAME).is_running
    assert second.is_held_by_like(OWN)
    assert not second.is_held_by_like(OTHER)
    first.release()
    first.release()
    assert not find_worker(tmp_path).is_running
    assert not second.is_held_by_like(OWN)
    assert second.acquire(OTHER, 0)
    assert first.is_held_by_like(OTHER)
    second.release()


def test_a_longer_note_leaves_nothing_behind_a_shorter_one(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("x" * 1000)
    lock = WorkerLock(tmp_path)
    assert lock.acquire(OWN, 0)
    assert find_worker(tmp_path).process_id == os.getpid()
    lock.release()
    assert (tmp_path / LOCK_NAME).read_text() == ""


@pytest.mark.parametrize(
    "note", ["", "[", "[]", "7", "[" * 4000, '{"pid": -1}', '{"pid": "1"}', '{"pid": true}']
)
def test_a_holder_whose_note_cannot_be_read_still_holds_it(tmp_path: Path, note: str) -> None:
    lock = WorkerLock(tmp_path)
    assert lock.acquire(OWN, 0)
    (tmp_path / LOCK_NAME).write_text(note)
    found = find_worker(tmp_path)
    assert (found.is_running, found.process_id) == (True, None)
    assert not WorkerLock(tmp_path).is_held_by_like(OWN)
    lock.release()


def test_a_lock_whose_file_was_taken_away_is_none(tmp_path: Path) -> None:
    lock = WorkerLock(tmp_path)
    assert not lock.is_in_place()
    assert lock.acquire(OWN, 0)
    assert lock.is_in_place()
    (tmp_path / LOCK_NAME).rename(tmp_path / "elsewhere")
    assert not lock.is_in_place()
    (tmp_path / LOCK_NAME).write_text("another file of that name")
    assert not lock.is_in_place()
    lock.release()
    assert not lock.is_in_place()


def test_the_lock_for_starting_is_one(tmp_path: Path) -> None:
    with hold_startup_lock(tmp_path), try_startup_lock(tmp_path) as is_held:
        assert not is_held
    with try_startup_lock(tmp_path) as is_held, try_startup_lock(tmp_path) as again:
        assert (is_held, again) == (True, False)


def test_what_serves_alike_has_one_name() -> None:
    one = Serving(program="p", settings={"a": "1", "b": "2"})
    assert name_serving(one) == name_serving(Serving(program="p", settings={"b": "2", "a": "1"}))
    others = [
        Serving(program="q", settings=one.settings),
        Serving(program="p", settings={"a": "1"}),
        Serving(program="p", settings={"a": "1", "b": "3"}),
    ]
    assert len({name_serving(each) for each in (one, *others)}) == 4


def test_each_change_of_the_configuration_and_of_the_keys_is_noticed(home: Path) -> None:
    file = find_config_file()
    seen = [fingerprint_files()]

    def note() -> None:
        seen.append(fingerprint_files())

    file.parent.mkdir(parents=True)
    file.write_text("[worker]\n")
    note()
    file.write_text("[budget]\n")
    note()
    keys = file.parent / "keys"
    keys.mkdir()
    note()
    (keys / "stability").write_text("a")
    note()
    os.utime(keys / "stability", (1, 1))
    note()
    os.utime(keys, (1, 1))
    note()
    assert len(set(seen)) == len(seen)
    assert fingerprint_files() == seen[-1]


def test_a_job_that_waits_is_run_by_the_worker_that_is_started_for_it(directory: Path) -> None:
    with Database.open(directory) as database:
        with engage_worker(database, ["lost"]) as wanted:
            [job] = queue.enqueue(database, [make_request(engine="lost")], wanted=wanted)
        wait_until(lambda: queue.get_job(database, job.id).state.is_final, "its end")
        found = queue.get_job(database, job.id)
        assert (found.state, found.error_kind) == (JobState.FAILED, "unknown_engine")


def test_a_start_that_is_held_for_long_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a program that was stopped, say: nobody waits for it without end."""
    monkeypatch.setattr(process, "STARTUP_SECONDS", 0.05)
    with (
        hold_startup_lock(tmp_path),
        pytest.raises(FileUnavailable, match=f"holds {tmp_path / STARTUP_NAME}"),
        hold_startup_lock(tmp_path),
    ):
        pass
    with hold_startup_lock(tmp_path):
        pass
