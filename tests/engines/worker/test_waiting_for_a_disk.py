"""What stands in a worker's way is waited for, told once, and costs nobody a job or an image."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.base import Failure
from engines.registry import EngineRegistry
from engines.settings import Settings, WorkerSettings
from engines.worker import job as job_module
from engines.worker import patience
from engines.worker.process import find_worker
from engines.worker.worker import Worker
from store import history, queue
from store.database import Database
from store.inputs import store_input
from store.records import Job, JobState
from store.request import InitialImage
from tests.engines.painter import Painter
from tests.factories import make_hosted_request, make_plain
from tests.waiting import wait_for

SETTINGS = Settings(worker=WorkerSettings(idle_minutes=0))


@pytest.fixture(autouse=True)
def painter(monkeypatch: pytest.MonkeyPatch) -> Painter:
    """The engine of all jobs; and a worker waits less than in earnest."""
    engine = Painter(takes=("initial_image",))
    monkeypatch.setattr(EngineRegistry, "get_engine", lambda _, __: engine)
    monkeypatch.setattr(EngineRegistry, "pin", lambda _, request, *__: request)
    monkeypatch.setattr(EngineRegistry, "estimate_cost", lambda _, __: 0.0)
    monkeypatch.setattr(patience, "FIRST_SECONDS", 0.01)
    monkeypatch.setattr(patience, "LONGEST_SECONDS", 0.05)
    opening: Any = Database.open
    monkeypatch.setitem(opening.__func__.__kwdefaults__, "busy_seconds", 0.05)
    return engine


@contextlib.contextmanager
def held(directory: Path) -> Iterator[None]:
    """As long as the block lasts another program holds the history, and nobody else may read."""
    holder = sqlite3.connect(directory / "history.sqlite3", isolation_level=None, timeout=30)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        holder.execute("ROLLBACK")
        holder.close()


@contextlib.asynccontextmanager
async def at_work(directory: Path) -> AsyncIterator[asyncio.Task[int]]:
    """A worker in this process, which must have ended well when the block does."""
    worker = asyncio.create_task(Worker(directory, lambda: SETTINGS).run())
    yield worker
    async with asyncio.timeout(30):
        assert await worker == 0


def put_in(directory: Path, **changes: Any) -> Job:
    with Database.open(directory) as database:
        (job,) = queue.enqueue(database, [make_hosted_request(engine="builtin", **changes)])
        return job


def find(directory: Path, job: Job) -> Job:
    with Database.open(directory, busy_seconds=15) as database:
        return queue.get_job(database, job.id)


async def await_trouble(directory: Path, words: str) -> None:
    await wait_for(lambda: words in find_worker(directory).trouble, f"{words} to be told")


def count_told(caplog: pytest.LogCaptureFixture, words: str) -> int:
    """How often it was told that `words` are waited for."""
    told = [each for each in caplog.messages if "waiting, and trying again" in each]
    return sum(words in each for each in told)


async def test_a_history_that_is_held_while_a_worker_starts_costs_no_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = put_in(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        with held(tmp_path):
            await stack.enter_async_context(at_work(tmp_path))
            await await_trouble(tmp_path, "busy")
            # Later somebody may be in the way again: who looks here, for one.
            assert count_told(caplog, "busy") == 1
        await wait_for(lambda: find(tmp_path, job).state.is_final, "the job's end")
    assert find(tmp_path, job).state is JobState.DONE


async def test_the_end_of_a_job_waits_for_who_holds_the_history(
    tmp_path: Path,
    painter: Painter,
    caplog: pytest.LogCaptureFixture,
) -> None:
    painter._is_held = True
    job = put_in(tmp_path)
    caplog.set_level(logging.INFO)
    async with at_work(tmp_path):
        await wait_for(lambda: find(tmp_path, job).state is JobState.RUNNING, "its start")
        with held(tmp_path):
            painter.go_on.set()
            await await_trouble(tmp_path, "busy")
            assert count_told(caplog, "busy") == 1
        await wait_for(lambda: find(tmp_path, job).state.is_final, "the job's end")
        await wait_for(lambda: not find_worker(tmp_path).trouble, "the word that it is over")
    assert find(tmp_path, job).state is JobState.DONE
    assert "going on" in caplog.messages


async def test_the_watch_for_cancelling_outlives_a_history_that_is_held(
    tmp_path: Path, painter: Painter
) -> None:
    painter._is_held = True
    job = put_in(tmp_path)
    async with at_work(tmp_path):
        await wait_for(lambda: find(tmp_path, job).state is JobState.RUNNING, "its start")
        with held(tmp_path):
            # Longer than it looks and waits together.
            await asyncio.sleep(3 * job_module.CANCEL_SECONDS)
        with Database.open(tmp_path, busy_seconds=15) as database:
            queue.request_cancel(database, job.id)
        await wait_for(painter.was_stopped.is_set, "the engine's stop")
    assert find(tmp_path, job).state is JobState.CANCELLED


@contextlib.contextmanager
def no_place_for_images(directory: Path) -> Iterator[None]:
    """Nothing can be stored below `images`, which is a file while the block lasts."""
    (directory / "images").write_text("in the way")
    yield
    (directory / "images").unlink(missing_ok=True)


async def test_a_finished_image_is_kept_until_it_can_be_stored(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job = put_in(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        with no_place_for_images(tmp_path):
            await stack.enter_async_context(at_work(tmp_path))
            await await_trouble(tmp_path, "Cannot store")
            assert find(tmp_path, job).state is JobState.RUNNING
        await wait_for(lambda: find(tmp_path, job).state.is_final, "the job's end")
    ended = find(tmp_path, job)
    assert (ended.state, ended.attempts) == (JobState.DONE, 1)
    assert count_told(caplog, "Cannot store") == 1
    with Database.open(tmp_path) as database:
        (image,) = history.list_images(database)
        assert history.read_image(database, image)


async def test_a_job_whose_image_cannot_be_stored_can_be_cancelled(tmp_path: Path) -> None:
    job = put_in(tmp_path)
    async with contextlib.AsyncExitStack() as stack:
        with no_place_for_images(tmp_path):
            await stack.enter_async_context(at_work(tmp_path))
            await await_trouble(tmp_path, "Cannot store")
            with Database.open(tmp_path) as database:
                queue.request_cancel(database, job.id)
            await wait_for(lambda: find(tmp_path, job).state.is_final, "the job's end")
    assert find(tmp_path, job).state is JobState.CANCELLED


async def test_who_is_told_to_leave_meanwhile_leaves_the_job_to_the_next(tmp_path: Path) -> None:
    job = put_in(tmp_path)
    with no_place_for_images(tmp_path):
        async with at_work(tmp_path):
            await await_trouble(tmp_path, "Cannot store")
            os.kill(os.getpid(), signal.SIGTERM)  # its handler is in this loop
        assert not find_worker(tmp_path).is_running
    async with at_work(tmp_path):
        pass
    assert find(tmp_path, job).state is JobState.DONE


async def test_a_folder_that_was_taken_away_is_waited_for_by_nobody(tmp_path: Path) -> None:
    directory = tmp_path / "data"
    put_in(directory)
    with no_place_for_images(directory):
        async with at_work(directory):
            await await_trouble(directory, "Cannot store")
            directory.rename(tmp_path / "moved")
    assert not directory.exists()


async def test_an_input_that_cannot_be_read_fails_its_job_in_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(job_module, "TRIES", 3)
    with Database.open(tmp_path) as database:
        kept = store_input(database, make_plain())
        path = database.vault.locate(kept.sha256)
        assert path is not None
        path.unlink()
        path.mkdir()
    start = InitialImage(sha256=kept.sha256, start_schedule=1.0, end_schedule=0.01)
    job = put_in(tmp_path, initial_image=start)
    async with at_work(tmp_path):
        await wait_for(lambda: find(tmp_path, job).state.is_final, "the job's end")
    ended = find(tmp_path, job)
    assert (ended.state, ended.error_kind) == (JobState.FAILED, Failure.STORAGE)
    assert f"{path} is not a file" in (ended.error or "")
