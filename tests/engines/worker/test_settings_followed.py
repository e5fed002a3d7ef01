"""A resident worker never runs a job by older settings than those of whoever queued it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from engines.worker.process import find_worker
from engines.worker.worker import Worker
from store import queue
from store.database import Database
from store.records import Job, JobState
from tests.engines.painter import MODEL
from tests.factories import make_hosted_request

RULES = '[stability]\nhost = "127.0.0.1:1"\nfree = false\nmodels = ["{model}"]\n[budget]\n'


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAFELIGHT_HOME", str(tmp_path))
    for name in ("STABILITY_HOST", "STABILITY_KEY", "SAFELIGHT_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def write(home: Path, limit: str) -> None:
    text = RULES.format(model=MODEL) + f'credits_per_day = {limit}\nprices = {{"{MODEL}" = 2}}\n'
    (home / "config.toml").write_text(text)


@pytest.fixture
async def resident(home: Path) -> AsyncGenerator[Database, None]:
    """A worker that is there already and has read a limit of 1 credit a day."""
    write(home, "1")
    database = Database.open(home)
    worker = asyncio.create_task(Worker(home).run())
    await asyncio.sleep(0.3)
    assert not worker.done()
    yield database
    if not worker.done():
        os.kill(os.getpid(), signal.SIGTERM)  # its handler is in this loop
    assert await asyncio.wait_for(worker, 10) == 0
    database.close()


async def await_end(database: Database, job: Job) -> Job:
    async with asyncio.timeout(20):
        while not (found := queue.get_job(database, job.id)).state.is_final:
            await asyncio.sleep(0.02)
    return found


def ask(database: Database) -> Job:
    """Queue a job in front of the worker, as if it looked before its client looks at it."""
    (job,) = queue.enqueue(database, [make_hosted_request()])
    return job


async def test_a_job_is_judged_by_the_file_as_it_stood_when_it_was_queued(
    home: Path, resident: Database
) -> None:
    first = await await_end(resident, ask(resident))
    assert first.error_kind == "over_budget"
    write(home, "9")
    second = await await_end(resident, ask(resident))
    assert second.error_kind == "unreachable", "it was let through, and nobody listens there"
    write(home, "1")  # a file of the same size, perhaps in the same tick of the clock
    third = await await_end(resident, ask(resident))
    assert third.error_kind == "over_budget"


async def test_a_file_that_cannot_be_read_fails_no_job(home: Path, resident: Database) -> None:
    (home / "config.toml").write_text("[budget\n")
    job = ask(resident)
    async with asyncio.timeout(10):
        while find_worker(home).is_running:
            await asyncio.sleep(0.05)
    assert queue.get_job(resident, job.id).state is JobState.WAITING
