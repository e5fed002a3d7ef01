"""The worker's life: it leaves, is cancelled, meets faults, and nothing is lost or paid twice."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from engines.base import EngineError, Failure, Produced
from engines.registry import EngineRegistry
from engines.settings import Settings, WorkerSettings
from engines.worker.job import JobExecution
from engines.worker.process import (
    ALREADY_RUNNING,
    LOCK_NAME,
    TURN_NAME,
    WorkerLock,
    find_worker,
    hold_startup_lock,
    try_startup_lock,
)
from engines.worker.program import read_serving
from engines.worker.worker import Worker
from store import charges, history, queue, series, turns
from store.database import Database
from store.errors import StoreError
from store.records import FinishReason, Job, JobState, SeriesRequest, Serving
from store.vault import Vault
from tests.engines.worker.scripted import IMAGE, PRICE, Scripted, make_settings, use
from tests.factories import SEED, make_hosted_request, make_quick_request
from tests.store.helpers import execute
from tests.waiting import wait_for

PAID = ("stability",)
WITHHELD = Produced(data=None, mime="", seed=SEED, finish_reason=FinishReason.FILTER)
REFUSED = EngineError(Failure.INVALID_REQUEST, "No such size.")
UNKNOWN = EngineError(Failure.OUTCOME_UNKNOWN, "No answer came.", may_be_charged=True)


def ask(directory: Path, number: int = 1, **changes: object) -> list[Job]:
    with Database.open(directory) as database:
        requests = [make_hosted_request(seed=SEED + place) for place in range(number)]
        return queue.enqueue(database, requests, **changes)  # type: ignore[arg-type]


def look(directory: Path, job: Job) -> Job:
    with Database.open(directory) as database:
        return queue.get_job(database, job.id)


def leave_running(directory: Path, *answers: bytes) -> Job:
    """A job that a worker had in hand when it was killed, with what had come for it."""
    [job] = ask(directory)
    with Database.open(directory) as database:
        assert queue.claim(database, queue.recover(database, paid_engines=PAID)) is not None
        queue.record_wire(database, job.id, b"asked for")
        charges.add_charge(database, job.id, PRICE)
        for answer in answers:
            database.vault.spool(job.id, answer)
    return job


def sum_charges(directory: Path) -> float:
    with Database.open(directory) as database:
        return charges.sum_charges(database, 0.0)


# Leaving


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_leaving_waits_for_a_paid_image_that_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    engine = use(monkeypatch, Scripted(is_held=True))
    first, second = ask(tmp_path, 2)
    worker = asyncio.create_task(Worker(tmp_path, make_settings).run())
    await asyncio.wait_for(engine.began.wait(), 30)
    os.kill(os.getpid(), number)
    await asyncio.sleep(0)
    for _ in range(20):
        await asyncio.sleep(0)  # the handler runs, and what it may have cancelled ends
    assert not engine.was_stopped.is_set()
    engine.go_on.set()
    assert await asyncio.wait_for(worker, 30) == 0
    assert look(tmp_path, first).state is JobState.DONE
    assert look(tmp_path, second).state is JobState.WAITING, "it leaves after what it had begun"
    assert engine.calls == 1
    assert sum_charges(tmp_path) == PRICE


async def test_leaving_puts_a_free_job_back_unharmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted(is_held=True, is_free=True))
    with Database.open(tmp_path) as database:
        [job] = queue.enqueue(database, [make_quick_request()])
    worker = asyncio.create_task(Worker(tmp_path, make_settings).run())
    await asyncio.wait_for(engine.began.wait(), 30)
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(worker, 30) == 0
    assert engine.was_stopped.is_set()
    after = look(tmp_path, job)
    assert (after.state, after.attempts, after.error) == (JobState.WAITING, 0, None)
    assert after.started_at is None


async def test_leaving_while_the_price_is_noted_takes_it_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted())
    [job] = ask(tmp_path)
    is_noting, goes_on = threading.Event(), threading.Event()
    add = charges.add_charge

    def add_slowly(*given: Any) -> None:
        is_noting.set()
        assert goes_on.wait(30)
        add(*given)

    monkeypatch.setattr(charges, "add_charge", add_slowly)
    worker = Worker(tmp_path, make_settings)
    running = asyncio.create_task(worker.run())
    await wait_for(is_noting.is_set, "the price to be noted")
    worker._leave()
    goes_on.set()
    assert await asyncio.wait_for(running, 30) == 0
    assert look(tmp_path, job).state is JobState.WAITING
    assert engine.calls == 0
    assert sum_charges(tmp_path) == 0, "nothing was sent"


# Cancelling


async def run_job(
    directory: Path, engine: Scripted, at: asyncio.Event, *, goes_on: bool = True
) -> Job:
    """A job that is cancelled when the engine is `at` some point, after the worker's part of it.

    Unless the engine `goes_on` then, only the cancelling ends it.
    """
    with Database.open(directory) as database:
        request = make_quick_request() if engine.is_free else make_hosted_request(seed=SEED)
        [job] = queue.enqueue(database, [request])
        token = queue.recover(database, paid_engines=PAID)
        claimed = queue.claim(database, token)
        assert claimed is not None
        registry = EngineRegistry(make_settings())
        work = asyncio.create_task(JobExecution(database, registry, claimed, token).run())
        await asyncio.wait_for(at.wait(), 30)
        queue.request_cancel(database, job.id)
        for _ in range(50):
            await asyncio.sleep(0)  # who watches for it looks at every turn here
        if goes_on:
            engine.go_on.set()
        await asyncio.wait_for(work, 30)
        return queue.get_job(database, job.id)


async def test_a_cancel_after_the_image_came_does_not_throw_it_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.worker.job.CANCEL_SECONDS", 0)
    engine = use(monkeypatch, Scripted(holds_end=True))
    job = await run_job(tmp_path, engine, engine.given)
    assert job.state is JobState.DONE
    with Database.open(tmp_path) as database:
        [image] = history.list_images(database)
        assert history.read_image(database, image) == IMAGE.data


@pytest.mark.parametrize(("is_free", "said"), [(False, True), (True, False)])
async def test_a_cancel_before_it_ends_the_work_and_says_whether_it_may_have_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_free: bool, said: bool
) -> None:
    monkeypatch.setattr("engines.worker.job.CANCEL_SECONDS", 0)
    engine = use(monkeypatch, Scripted(is_held=True, is_free=is_free))
    job = await run_job(tmp_path, engine, engine.began, goes_on=False)
    assert engine.was_stopped.is_set()
    assert (job.state, job.error_kind) == (JobState.CANCELLED, Failure.CANCELLED)
    assert ("may have charged" in (job.error or "")) is said


# Faults


async def test_a_fault_of_an_engine_ends_its_job_and_not_the_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted(ZeroDivisionError("a slip")))
    first, second = ask(tmp_path, 2)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    assert engine.calls == 2
    for job in (first, second):
        after = look(tmp_path, job)
        assert (after.state, after.error_kind) == (JobState.FAILED, Failure.INTERNAL)
        assert "ZeroDivisionError" in (after.error or "")
        assert after.finished_at is not None


async def test_a_job_whose_profile_is_gone_fails_in_words_and_the_next_one_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Scripted())
    [gone] = ask(tmp_path, profile="lost")
    [next_] = ask(tmp_path)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    after = look(tmp_path, gone)
    assert (after.state, after.error_kind) == (JobState.FAILED, Failure.INVALID_REQUEST)
    assert "lost" in (after.error or "")
    assert look(tmp_path, next_).state is JobState.DONE


@pytest.mark.parametrize(
    ("event", "state", "kind", "credits"),
    [
        (REFUSED, JobState.FAILED, Failure.INVALID_REQUEST, 0.0),
        (UNKNOWN, JobState.UNKNOWN, Failure.OUTCOME_UNKNOWN, PRICE),
        (WITHHELD, JobState.FAILED, Failure.FILTERED, 0.0),
        (ZeroDivisionError(), JobState.FAILED, Failure.INTERNAL, PRICE),
        (IMAGE, JobState.DONE, None, PRICE),
    ],
    ids=["refused", "unknown", "withheld", "a fault", "made"],
)
async def test_only_what_the_service_may_have_taken_counts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    event: Produced | BaseException,
    state: JobState,
    kind: Failure | None,
    credits: float,  # noqa: A002
) -> None:
    use(monkeypatch, Scripted(event))
    [job] = ask(tmp_path)
    await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30)
    after = look(tmp_path, job)
    assert (after.state, after.error_kind) == (state, kind)
    assert sum_charges(tmp_path) == credits


async def test_what_is_sent_and_what_it_may_cost_is_recorded_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted(is_held=True))
    [job] = ask(tmp_path)
    worker = asyncio.create_task(Worker(tmp_path, make_settings).run())
    await asyncio.wait_for(engine.began.wait(), 30)
    with Database.open(tmp_path) as database:
        assert queue.read_wire(database, job.id) == b"asked for"
        assert charges.sum_charges(database, 0.0) == PRICE
    engine.go_on.set()
    assert await asyncio.wait_for(worker, 30) == 0
    assert look(tmp_path, job).wire_sha256 == hashlib.sha256(b"asked for").hexdigest()


async def test_what_the_engine_does_not_take_is_neither_sent_nor_charged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted())
    with Database.open(tmp_path) as database:
        [job] = queue.enqueue(database, [make_hosted_request(seed=SEED, sampler="painted")])
    await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30)
    after = look(tmp_path, job)
    assert (after.state, after.error_kind) == (JobState.FAILED, Failure.INVALID_REQUEST)
    assert "painted" in (after.error or "")
    assert engine.calls == 0
    assert after.wire_sha256 is None
    assert sum_charges(tmp_path) == 0


async def test_what_was_withheld_leaves_room_for_another_in_the_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted(REFUSED))
    jobs = ask(tmp_path, 3)
    await asyncio.wait_for(Worker(tmp_path, lambda: make_settings(limit=PRICE)).run(), 30)
    assert engine.calls == 3
    assert {look(tmp_path, job).error_kind for job in jobs} == {Failure.INVALID_REQUEST}
    engine.events = (IMAGE,)
    made, beyond = ask(tmp_path, 2)
    await asyncio.wait_for(Worker(tmp_path, lambda: make_settings(limit=PRICE)).run(), 30)
    assert look(tmp_path, made).state is JobState.DONE
    assert look(tmp_path, beyond).error_kind == Failure.OVER_BUDGET
    assert engine.calls == 4, "nothing was sent for the one beyond the limit"


# After a crash


async def test_after_a_crash_a_whole_answer_becomes_the_image_and_nothing_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted(answers=[IMAGE]))
    job = leave_running(tmp_path, b"the answer")
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    after = look(tmp_path, job)
    assert (after.state, engine.calls) == (JobState.DONE, 0)
    with Database.open(tmp_path) as database:
        assert history.list_images(database)[0].job_id == job.id
        assert database.vault.read_spool(job.id) == []
    assert sum_charges(tmp_path) == PRICE


@pytest.mark.parametrize(
    "answers",
    [[], [EngineError(Failure.BAD_ANSWER, "Half of it.")], [StoreError("It cannot be read.")]],
    ids=["without a result", "unreadable", "not stored"],
)
async def test_half_an_answer_is_unknown_so_that_retry_asks_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answers: list[BaseException]
) -> None:
    engine = use(monkeypatch, Scripted(answers=answers))
    job = leave_running(tmp_path, b"half an ans")
    [next_] = ask(tmp_path)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    after = look(tmp_path, job)
    assert (after.state, after.error_kind) == (JobState.UNKNOWN, Failure.OUTCOME_UNKNOWN)
    assert "may have been charged" in (after.error or "")
    assert look(tmp_path, next_).state is JobState.DONE, "the others go on"
    assert engine.calls == 1
    with Database.open(tmp_path) as database:
        assert database.vault.read_spool(job.id) == [b"half an ans"]
    assert sum_charges(tmp_path) == 2 * PRICE


async def test_a_spooled_refusal_takes_its_charge_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Scripted(answers=[WITHHELD]))
    job = leave_running(tmp_path, b"withheld")
    await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30)
    after = look(tmp_path, job)
    assert (after.state, after.error_kind) == (JobState.FAILED, Failure.FILTERED)
    assert sum_charges(tmp_path) == 0


async def test_a_spool_that_cannot_be_read_ends_no_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Scripted())
    job = leave_running(tmp_path, b"an answer")
    [next_] = ask(tmp_path)
    [spool] = tmp_path.glob("spool/*.spool")
    spool.unlink()
    spool.mkdir()
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    after = look(tmp_path, job)
    assert (after.state, after.error_kind) == (JobState.UNKNOWN, Failure.OUTCOME_UNKNOWN)
    assert look(tmp_path, next_).state is JobState.DONE


# Waiting


async def test_a_job_that_comes_while_the_worker_waits_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Scripted())
    patient = msgspec.structs.replace(make_settings(), worker=WorkerSettings(idle_minutes=5))
    worker = asyncio.create_task(Worker(tmp_path, lambda: patient).run())
    with Database.open(tmp_path) as database:
        await wait_for(lambda: execute(tmp_path, "SELECT value FROM meta WHERE key = 'epoch'"))
        for _ in range(3):
            [job] = queue.enqueue(database, [make_hosted_request(seed=SEED)])
            await wait_for(lambda: queue.get_job(database, job.id).state.is_final)  # noqa: B023
            assert queue.get_job(database, job.id).state is JobState.DONE
    assert not worker.done()
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(worker, 30) == 0


async def test_a_job_that_comes_as_the_worker_is_about_to_leave_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looked, found nothing, and its time is over: who queues holds the startup lock first."""
    use(monkeypatch, Scripted())
    jobs: list[Job] = []

    def queue_first(directory: Path) -> object:
        if not jobs:
            jobs.extend(ask(directory))
        return try_startup_lock(directory)

    monkeypatch.setattr("engines.worker.worker.try_startup_lock", queue_first)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    assert look(tmp_path, jobs[0]).state is JobState.DONE


async def test_a_worker_does_not_leave_while_somebody_starts_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use(monkeypatch, Scripted())
    Database.open(tmp_path).close()
    with hold_startup_lock(tmp_path):
        worker = asyncio.create_task(Worker(tmp_path, make_settings).run())
        await wait_for(lambda: find_worker(tmp_path).is_running)
        [job] = ask(tmp_path)
        await wait_for(lambda: look(tmp_path, job).state is JobState.DONE)
        assert find_worker(tmp_path).is_running
    assert await asyncio.wait_for(worker, 30) == 0
    assert not find_worker(tmp_path).is_running


async def test_an_answer_that_cannot_be_stored_after_a_crash_stays_in_the_spool(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The spool is what a paid image is until it is stored."""
    use(monkeypatch, Scripted(answers=[IMAGE]))
    job = leave_running(tmp_path, b"the answer")
    with monkeypatch.context() as patch:
        patch.setattr(Vault, "put", lambda *_: (_ for _ in ()).throw(StoreError("Full.")))
        await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30)
    with Database.open(tmp_path) as database:
        assert database.vault.read_spool(job.id) == [b"the answer"]
    assert look(tmp_path, job).state is JobState.UNKNOWN


# Several workers


def patient() -> Settings:
    """Those of a worker that stays for some minutes without a job."""
    return msgspec.structs.replace(make_settings(), worker=WorkerSettings(idle_minutes=5))


async def leave(worker: asyncio.Task[int]) -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    assert await asyncio.wait_for(worker, 30) == 0


@pytest.mark.parametrize("name", [LOCK_NAME, TURN_NAME])
async def test_a_second_worker_of_a_kind_leaves_at_once(tmp_path: Path, name: str) -> None:
    Database.open(tmp_path).close()
    locks = [WorkerLock(tmp_path, each) for each in {LOCK_NAME, name}]
    for lock in locks:
        assert lock.acquire(read_serving(tmp_path), 0)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == ALREADY_RUNNING
    for lock in locks:
        lock.release()
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0


async def test_a_worker_waits_for_the_end_of_one_that_may_not_run_what_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.worker.worker.LOOKING_SECONDS", 0.0)
    engine = use(monkeypatch, Scripted())
    older = WorkerLock(tmp_path)
    with Database.open(tmp_path) as database:
        assert older.acquire(Serving(program="older"), 0)
        wanted = read_serving(tmp_path)
        [job] = queue.enqueue(database, [make_hosted_request(seed=SEED)], wanted=wanted)
        worker = asyncio.create_task(Worker(tmp_path, make_settings).run())
        await wait_for(lambda: find_worker(tmp_path, TURN_NAME).is_running, "its turn")
        for _ in range(5):
            await asyncio.sleep(0.02)
        assert not worker.done(), "it is wanted, so it waits"
        assert engine.calls == 0
        older.release()
        assert await asyncio.wait_for(worker, 30) == 0
        assert queue.get_job(database, job.id).state is JobState.DONE
    assert not find_worker(tmp_path, TURN_NAME).is_running


async def test_a_worker_that_nobody_wants_does_not_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.worker.worker.LOOKING_SECONDS", 0.05)
    Database.open(tmp_path).close()
    older = WorkerLock(tmp_path)
    assert older.acquire(Serving(program="older"), 0)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == ALREADY_RUNNING
    assert not find_worker(tmp_path, TURN_NAME).is_running
    older.release()


async def test_a_worker_that_was_overtaken_claims_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = use(monkeypatch, Scripted(is_held=True))
    first, second = ask(tmp_path, 2)
    worker = asyncio.create_task(Worker(tmp_path, patient).run())
    await asyncio.wait_for(engine.began.wait(), 30)
    execute(tmp_path, "UPDATE meta SET value = CAST(value + 1 AS TEXT) WHERE key = 'epoch'")
    changed = execute(tmp_path, "SELECT count(*) FROM meta WHERE key = 'epoch'")
    assert changed == [(1,)]
    engine.go_on.set()
    assert await asyncio.wait_for(worker, 30) == 0
    assert look(tmp_path, second).state is JobState.WAITING
    assert engine.calls == 1
    assert look(tmp_path, first).state.is_final


async def test_a_worker_whose_folder_was_taken_away_leaves(tmp_path: Path) -> None:
    worker = asyncio.create_task(Worker(tmp_path, patient).run())
    await wait_for(lambda: find_worker(tmp_path).is_running)
    (tmp_path / LOCK_NAME).unlink()
    assert await asyncio.wait_for(worker, 30) == 0


async def test_a_worker_stays_as_long_as_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle one looks at the clock: a minute of the settings is a minute."""
    use(monkeypatch, Scripted())
    minutes = msgspec.structs.replace(make_settings(), worker=WorkerSettings(idle_minutes=2))
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr("engines.worker.worker.time", SimpleNamespace(monotonic=lambda: clock.now))
    [job] = ask(tmp_path)
    worker = asyncio.create_task(Worker(tmp_path, lambda: minutes).run())
    await wait_for(lambda: look(tmp_path, job).state is JobState.DONE)
    clock.now = 119.0
    [next_] = ask(tmp_path)
    await wait_for(lambda: look(tmp_path, next_).state is JobState.DONE)
    clock.now = 238.0  # it was busy a moment ago, as far as the clock goes
    [last] = ask(tmp_path)
    await wait_for(lambda: look(tmp_path, last).state is JobState.DONE)
    assert not worker.done()
    async with asyncio.timeout(30):
        while not worker.done():
            clock.now += 121.0  # whenever it looked at the clock last
            await asyncio.sleep(0.01)
    assert await worker == 0


async def test_a_worker_leaves_a_paused_queue_and_takes_it_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs when it is paused is ended; what waits is there for the next worker."""
    first, second = ask(tmp_path, 2)
    engine = use(monkeypatch, Scripted(is_held=True))
    worker = asyncio.create_task(Worker(tmp_path, make_settings).run())
    await engine.began.wait()
    with Database.open(tmp_path) as database:
        turns.pause_queue(database)
    engine.go_on.set()
    assert await asyncio.wait_for(worker, 30) == 0
    assert look(tmp_path, first).state is JobState.DONE
    assert look(tmp_path, second).state is JobState.WAITING
    with Database.open(tmp_path) as database:
        turns.resume_queue(database)
    assert await asyncio.wait_for(Worker(tmp_path, make_settings).run(), 30) == 0
    assert look(tmp_path, second).state is JobState.DONE


async def test_a_worker_goes_on_with_a_series_until_it_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looks at it: the worker stays for it, lets jobs of people go before, and leaves."""
    wanted = [SeriesRequest(request=make_hosted_request(seed=SEED))]
    with Database.open(tmp_path) as database:
        identity = series.begin_series(database, wanted, time.time() + 3600).id
    engine = use(monkeypatch, Scripted())
    worker = asyncio.create_task(Worker(tmp_path, make_settings).run())

    async def see(calls: int) -> None:
        while engine.calls < calls:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(see(3), 30)
    (mine,) = ask(tmp_path)
    await asyncio.wait_for(see(6), 30)
    assert look(tmp_path, mine).state is JobState.DONE
    with Database.open(tmp_path) as database:
        series.cancel_series(database, identity)
    assert await asyncio.wait_for(worker, 30) == 0
    with Database.open(tmp_path) as database:
        images = history.list_images(database)
        assert series.get_series(database, identity).taken + 1 >= len(images) >= 5
        made = sorted(image.request.parameters.seed for image in images if image.job_id != mine.id)
    assert made == list(range(SEED, SEED + len(made)))
