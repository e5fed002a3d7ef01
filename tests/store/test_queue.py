"""The life of a job: queued, claimed, ended, compared, and recovered when its worker is gone."""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from sqlmodel import Session

from store import history, queue
from store.database import Database
from store.errors import (
    FileUnavailable,
    HistoryUnavailable,
    NotFound,
    StoreError,
    Superseded,
)
from store.records import Comparison, Image, Job, JobState, Purpose, Relation, Verdict
from store.vault import Vault
from tests.factories import make_request, make_result
from tests.store.helpers import claim, execute, make_images, start


def test_jobs_run_in_the_order_in_which_they_came(db: Database) -> None:
    requests = [make_request("one", seed=seed) for seed in (3, 1, 2)]
    queue.enqueue(db, requests)
    [last] = queue.enqueue(db, [make_request("two")], session="evening")
    token = start(db)
    jobs = [claim(db, token) for _ in range(4)]
    assert [job.request for job in jobs] == [*requests, make_request("two")]
    assert jobs[-1].id == last.id
    assert jobs[-1].session == "evening"
    assert {job.state for job in jobs} == {JobState.RUNNING}
    assert {job.attempts for job in jobs} == {1}
    assert queue.claim(db, token) is None


def test_all_requests_are_put_in_or_none(db: Database) -> None:
    with pytest.raises(NotFound):
        queue.enqueue(db, [make_request("one"), make_request("two")], parent_id="abcdef")
    assert queue.list_jobs(db) == []


def test_a_job_is_given_to_one_thread_only(db: Database) -> None:
    queue.enqueue(db, [make_request(seed=seed) for seed in range(1, 21)])
    token = start(db)
    taken: list[str] = []

    def work() -> None:
        while job := queue.claim(db, token):
            taken.append(job.id)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 20
    assert len(set(taken)) == 20


def test_a_finished_job_has_an_image_with_everything(db: Database) -> None:
    [parent] = make_images(db, [make_request("before")])
    queue.enqueue(
        db,
        [make_request("after")],
        session="evening",
        parent_id=parent.id[:8],
        relation=Relation.EDIT,
    )
    token = start(db)
    job = claim(db, token)
    db.vault.spool(job.id, b"answer")
    result = make_result("olive", warning="cut off")
    image = queue.finish(db, job, token, result)
    record = history.get_image(db, image.id)
    for name in ("mime", "seed", "width", "height", "pixels_sha256", "finish_reason", "warning"):
        assert getattr(record, name) == getattr(result, name), name
    assert (record.seconds, record.stages, record.meta) == (1.5, result.stages, result.meta)
    assert record.environment == result.environment
    assert record.request == make_request("after")
    assert (record.session, record.parent_id, record.relation) == ("evening", parent.id, "edit")
    assert record.path.read_bytes() == history.read_image(db, record) == result.data
    assert record.file_bytes == len(result.data)
    assert history.get_thumbnails(db, [record.number, 999]) == {record.number: result.thumbnail}
    done = queue.get_job(db, job.id)
    assert (done.state, done.image_id, done.warning) == (JobState.DONE, image.id, "cut off")
    assert done.finished_at is not None
    assert db.vault.read_spool(job.id) == []


def test_nothing_is_recorded_for_a_job_that_another_worker_has(db: Database) -> None:
    queue.enqueue(db, [make_request()])
    first = start(db)
    job = claim(db, first)
    second = start(db)
    again = claim(db, second)
    assert again.id == job.id
    with pytest.raises(StoreError, match="no longer"):
        queue.finish(db, job, first, make_result())
    with pytest.raises(StoreError, match="no longer"):
        queue.fail(db, job.id, first, "internal", "too late")
    with pytest.raises(StoreError, match="taken over"):
        queue.claim(db, first)
    assert history.list_images(db) == []
    assert queue.finish(db, again, second, make_result()).job_id == job.id
    with pytest.raises(StoreError, match="no longer"):
        queue.finish(db, again, second, make_result("red"))
    assert len(history.list_images(db)) == 1


def test_a_row_never_comes_before_its_file(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)

    def fail(*_: object) -> str:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "put", fail)
        with pytest.raises(StoreError, match="full"):
            queue.finish(db, job, token, make_result())
    assert history.list_images(db) == []
    assert queue.get_job(db, job.id).state is JobState.RUNNING

    order: list[str] = []
    real_put, real_write = Vault.put, Database.write

    def put(vault: Vault, data: bytes, suffix: str) -> str:
        sha256 = real_put(vault, data, suffix)
        order.append("file")
        return sha256

    def write(database: Database) -> object:
        order.append("row")
        return real_write(database)

    monkeypatch.setattr(Vault, "put", put)
    monkeypatch.setattr(Database, "write", write)
    queue.finish(db, job, token, make_result())
    assert order == ["file", "row"]


def test_the_spool_is_cleared_only_after_the_row(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)
    states: list[JobState] = []
    clear = Vault.clear_spool

    def look(vault: Vault, job_id: str) -> None:
        states.append(queue.get_job(db, job_id).state)
        clear(vault, job_id)

    monkeypatch.setattr(Vault, "clear_spool", look)
    queue.finish(db, job, token, make_result())
    assert states == [JobState.DONE]


def test_cancelling(db: Database) -> None:
    waiting, running = queue.enqueue(db, [make_request(seed=1), make_request(seed=2)])[::-1]
    token = start(db)
    assert claim(db, token).id == running.id
    assert queue.count_active(db) == 2
    assert queue.request_cancel(db, waiting.id[:10]).state is JobState.CANCELLED
    assert not queue.is_cancel_requested(db, running.id)
    assert queue.request_cancel(db, running.id).cancel_requested
    assert queue.is_cancel_requested(db, running.id)
    assert queue.claim(db, token) is None
    failed = queue.fail(db, running.id, token, "cancelled", "Cancelled.", state=JobState.CANCELLED)
    assert failed.state is JobState.CANCELLED
    assert queue.request_cancel(db, running.id).state is JobState.CANCELLED
    assert queue.count_active(db) == 0
    with pytest.raises(NotFound):
        queue.request_cancel(db, "ffff")


def test_a_job_that_is_no_longer_running_should_stop(db: Database) -> None:
    [job] = queue.enqueue(db, [make_request()])
    token = start(db)
    claim(db, token)
    start(db)
    assert queue.is_cancel_requested(db, job.id)


def test_a_failure_says_why_and_can_be_tried_again(db: Database) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)
    db.vault.spool(job.id, b"half an answer")
    with pytest.raises(StoreError, match="running, so it cannot"):
        queue.retry(db, job.id)
    failed = queue.fail(db, job.id, token, "unreachable", "No route.", state=JobState.UNKNOWN)
    assert (failed.state, failed.error_kind, failed.error) == (
        "unknown",
        "unreachable",
        "No route.",
    )
    assert queue.claim(db, token) is None
    again = queue.retry(db, job.id)
    assert (again.id, again.request.parameters.seed) == (job.id, job.request.parameters.seed)
    assert (again.state, again.attempts, again.error) == (JobState.WAITING, 0, None)
    assert db.vault.read_spool(job.id) == []
    assert list(db.directory.glob(f"spool/{job.id}.1"))
    queue.finish(db, claim(db, token), token, make_result())
    with pytest.raises(StoreError, match="done, so it cannot"):
        queue.retry(db, job.id)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.WAITING, JobState.RUNNING])
def test_a_failure_is_an_end_without_an_image(db: Database, state: JobState) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)
    with pytest.raises(ValueError, match="cannot fail into"):
        queue.fail(db, job.id, token, "internal", "?", state=state)


def test_a_worker_that_leaves_in_good_order_gives_its_job_back(db: Database) -> None:
    queue.enqueue(db, [make_request(seed=1), make_request(seed=2)])
    token = start(db)
    job = claim(db, token)
    released = queue.release(db, job.id, token)
    assert (released.state, released.attempts) == (JobState.WAITING, 0)
    assert claim(db, token).id == job.id
    queue.request_cancel(db, job.id)
    assert queue.release(db, job.id, token).state is JobState.CANCELLED


def test_the_message_is_kept_to_the_byte_before_it_is_sent(db: Database) -> None:
    [waiting] = queue.enqueue(db, [make_request(engine="stability")])
    with pytest.raises(StoreError, match="not running"):
        queue.record_wire(db, waiting.id, b"too early")
    token = start(db)
    job = claim(db, token)
    assert queue.read_wire(db, job.id) is None
    message = bytes(range(256))
    queue.record_wire(db, job.id, message)
    assert queue.read_wire(db, job.id) == message
    assert queue.get_job(db, job.id).wire_sha256 is not None


def test_lists_can_be_narrowed_and_are_newest_first(db: Database) -> None:
    jobs = queue.enqueue(db, [make_request(seed=seed) for seed in range(1, 6)])
    token = start(db)
    queue.fail(db, claim(db, token).id, token, "internal", "x")
    claim(db, token)
    assert [job.id for job in queue.list_jobs(db)] == [job.id for job in jobs[::-1]]
    assert [job.id for job in queue.list_jobs(db, limit=2)] == [jobs[4].id, jobs[3].id]
    active = queue.list_jobs(db, states=[JobState.RUNNING, JobState.FAILED])
    assert [job.id for job in active] == [jobs[1].id, jobs[0].id]
    assert queue.get_job(db, "@1").id == jobs[4].id


def compare(db: Database, purpose: Purpose, image: Image, **facts: object) -> Job:
    job = queue.enqueue_comparison(db, image.id[:12], purpose)
    token = start(db)
    assert claim(db, token).id == job.id
    comparison = Comparison(
        verdict=Verdict.IDENTICAL, pixels_sha256_now=image.pixels_sha256, detail="All equal."
    )
    queue.finish_comparison(db, job, token, comparison, result=make_result(seconds=2.0))
    return queue.get_job(db, job.id)


def test_a_regenerated_image_is_a_child_and_the_original_stays(db: Database) -> None:
    [image] = make_images(db, [make_request()], session="evening")
    job = compare(db, Purpose.REGENERATE, image)
    [verification] = history.list_verifications(db, image.id)
    assert job.state is JobState.DONE
    assert job.verification_number == verification.number
    assert job.image_id == verification.regenerated_id
    child = history.get_image(db, "@1")
    assert child.id == verification.regenerated_id
    assert (child.parent_id, child.purpose, child.session) == (image.id, "regenerate", "evening")
    assert child.request == image.request
    original = history.get_image(db, image.id)
    assert original.verdict is Verdict.IDENTICAL
    assert verification.environment_digest == image.environment_digest
    assert (verification.pixels_sha256_then, verification.pixels_sha256_now) == (
        image.pixels_sha256,
        image.pixels_sha256,
    )


def test_a_verification_keeps_no_image(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    job = compare(db, Purpose.VERIFY, image)
    assert job.image_id is None
    assert len(history.list_images(db)) == 1
    [verification] = history.list_verifications(db, image.id)
    assert verification.regenerated_id is None


def test_a_comparison_is_fenced_too(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    job = queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
    token = start(db)
    claim(db, token)
    start(db)
    with pytest.raises(StoreError, match="no longer"):
        queue.finish_comparison(db, job, token, Comparison(verdict=Verdict.IDENTICAL), result=None)
    assert history.list_verifications(db, image.id) == []


def test_a_damaged_record_is_not_made_again(db: Database) -> None:
    [image] = make_images(db, [make_request()])
    execute(db.directory, "UPDATE request SET json = replace(json, '8.0', '9.0')")
    with pytest.raises(StoreError, match="damaged"):
        queue.enqueue_comparison(db, image.id, Purpose.VERIFY)


PAID = ("stability", "stability-rest")


def claim_one(db: Database, engine: str) -> tuple[Job, int]:
    """A job of this engine that a worker had in hand when it ended."""
    queue.enqueue(db, [make_request(engine=engine)])
    token = queue.recover(db, paid_engines=PAID)
    job = queue.claim(db, token)
    assert job is not None
    return job, token


def test_fencing_tokens_count_up_in_the_history_itself(db: Database) -> None:
    tokens = [queue.recover(db, paid_engines=PAID) for _ in range(3)]
    assert tokens == [1, 2, 3]


def test_free_work_goes_back_to_its_place(db: Database) -> None:
    job, _ = claim_one(db, "builtin")
    queue.enqueue(db, [make_request("later")])
    token = queue.recover(db, paid_engines=PAID)
    assert queue.get_job(db, job.id).state is JobState.WAITING
    again = queue.claim(db, token)
    assert again is not None
    assert (again.id, again.attempts) == (job.id, 2)


def test_paid_work_is_never_sent_again_by_itself(db: Database) -> None:
    job, _ = claim_one(db, "stability")
    queue.record_wire(db, job.id, b"sent")
    token = queue.recover(db, paid_engines=PAID)
    found = queue.get_job(db, job.id)
    assert found.state is JobState.UNKNOWN
    assert found.error is not None
    assert "charged" in found.error
    assert found.finished_at is not None
    assert queue.claim(db, token) is None
    assert queue.list_spooled(db, token) == []
    # A cancelled one may have been charged as well.
    queue.retry(db, job.id)
    assert queue.claim(db, token) is not None
    queue.request_cancel(db, job.id)
    queue.recover(db, paid_engines=PAID)
    assert queue.get_job(db, job.id).state is JobState.UNKNOWN


def test_a_paid_answer_in_the_spool_can_still_become_an_image(db: Database) -> None:
    job, first = claim_one(db, "stability")
    db.vault.spool(job.id, b"answer")
    token = queue.recover(db, paid_engines=PAID)
    assert queue.claim(db, token) is None
    [spooled] = queue.list_spooled(db, token)
    assert spooled.id == job.id
    assert db.vault.read_spool(job.id) == [b"answer"]
    with pytest.raises(StoreError, match="no longer"):
        queue.finish(db, job, first, make_result())
    image = queue.finish(db, spooled, token, make_result())
    assert queue.get_job(db, job.id).image_id == image.id
    assert queue.list_spooled(db, token) == []


@pytest.mark.parametrize("engine", ["builtin", "stability"])
def test_a_job_that_ended_its_worker_twice_is_set_aside(db: Database, engine: str) -> None:
    job, _ = claim_one(db, engine)
    db.vault.spool(job.id, b"answer that ends the worker")
    token = queue.recover(db, paid_engines=PAID)
    queue.claim(db, token)
    token = queue.recover(db, paid_engines=PAID)
    found = queue.get_job(db, job.id)
    assert found.state is JobState.SET_ASIDE
    assert found.error is not None
    assert "2 times" in found.error
    assert queue.claim(db, token) is None
    # Nothing is thrown away, and a person can still let it run.
    assert db.vault.read_spool(job.id) == [b"answer that ends the worker"]
    assert queue.retry(db, job.id).state is JobState.WAITING
    assert queue.claim(db, token) is not None


def test_what_was_to_be_cancelled_is_not_run_again(db: Database) -> None:
    job, _ = claim_one(db, "builtin")
    queue.request_cancel(db, job.id)
    token = queue.recover(db, paid_engines=PAID)
    assert queue.get_job(db, job.id).state is JobState.CANCELLED
    assert queue.claim(db, token) is None


def test_what_has_ended_or_waits_is_left_alone(db: Database) -> None:
    done, token = claim_one(db, "stability")
    queue.finish(db, done, token, make_result())
    [waiting] = queue.enqueue(db, [make_request(engine="stability")])
    db.progress.write("a" * 32, 1, 2)
    queue.recover(db, paid_engines=PAID)
    assert queue.get_job(db, done.id).state is JobState.DONE
    assert queue.get_job(db, waiting.id).state is JobState.WAITING
    assert db.progress.read(["a" * 32]) == {}


def test_recovery_is_all_or_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    free, paid = queue.enqueue(db, [make_request(), make_request(engine="stability")])
    token = queue.recover(db, paid_engines=PAID)
    for _ in range(2):
        queue.claim(db, token)

    def stumble(_: str) -> list[bytes]:
        raise MemoryError("Reading the spool failed.")

    with monkeypatch.context() as patch:
        patch.setattr(db.vault, "read_spool", stumble)
        with pytest.raises(MemoryError, match="spool"):
            queue.recover(db, paid_engines=PAID)
    for job in (free, paid):
        assert queue.get_job(db, job.id).state is JobState.RUNNING
    assert queue.recover(db, paid_engines=PAID) == token + 1
    assert queue.get_job(db, free.id).state is JobState.WAITING
    assert queue.get_job(db, paid.id).state is JobState.UNKNOWN


def test_what_was_sent_is_read_by_nobody_who_only_lists(db: Database) -> None:
    size = 1 << 20
    token = start(db)
    queue.enqueue(db, [make_request(seed=number) for number in range(1, 13)])
    for number in range(10):
        job = claim(db, token)
        queue.record_wire(db, job.id, bytes([number]) * size)
    queue.list_jobs(db)  # what is kept from the first time on is no matter here
    tracemalloc.start()
    try:
        jobs = queue.list_jobs(db)
        assert queue.get_job(db, jobs[-1].id).wire_sha256
        queue.request_cancel(db, jobs[-1].id)
        claim(db, token)
        queue.recover(db, paid_engines=())
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()
    assert len(jobs) == 12
    assert queue.read_wire(db, jobs[-1].id) == bytes(size)


@pytest.mark.parametrize("end", [JobState.CANCELLED, JobState.FAILED, JobState.UNKNOWN])
def test_a_job_that_was_cancelled_while_it_ran_can_be_tried_again(
    db: Database, end: JobState
) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)
    queue.request_cancel(db, job.id)
    queue.fail(db, job.id, token, "cancelled", "Cancelled.", state=end, warning="late")
    again = queue.retry(db, job.id)
    assert not again.cancel_requested
    assert (again.error_kind, again.error, again.warning) == (None, None, None)
    assert (again.started_at, again.finished_at) == (None, None)
    assert claim(db, token).id == job.id
    assert not queue.is_cancel_requested(db, job.id), "it is not cancelled once more"
    queue.finish(db, job, token, make_result())


def test_a_comparison_goes_to_the_host_that_it_was_asked_for(db: Database) -> None:
    [image] = make_images(db, [make_request(engine="stability")])
    job = queue.enqueue_comparison(db, image.id, Purpose.VERIFY, profile="mine")
    assert (job.profile, job.parent_id) == ("mine", image.id)
    assert claim(db, start(db)).profile == "mine"
    assert queue.enqueue_comparison(db, image.id, Purpose.REGENERATE).profile is None
    [asked] = queue.enqueue(db, [make_request()], profile="mine")
    assert queue.get_job(db, asked.id).profile == "mine"


def test_times_tell_the_life_of_a_job(db: Database) -> None:
    before = time.time()
    [job] = queue.enqueue(db, [make_request()])
    assert before <= job.created_at <= time.time()
    assert (job.started_at, job.finished_at) == (None, None)
    token = start(db)
    running = claim(db, token)
    assert running.started_at is not None
    assert job.created_at <= running.started_at <= time.time()
    cancelled = queue.fail(db, job.id, token, "internal", "A slip.")
    assert cancelled.finished_at is not None
    assert running.started_at <= cancelled.finished_at <= time.time()
    [waiting] = queue.enqueue(db, [make_request()])
    ended = queue.request_cancel(db, waiting.id)
    assert (ended.started_at, ended.finished_at is None) == (None, False)


def test_an_end_takes_the_progress_with_it(db: Database) -> None:
    queue.enqueue(db, [make_request(seed=seed) for seed in (1, 2, 3)])
    token = start(db)
    for way in ("finish", "fail", "release"):
        job = claim(db, token)
        db.progress.write(job.id, 3, 10)
        assert queue.get_job(db, job.id).step == 3
        assert [each.step for each in queue.list_jobs(db) if each.id == job.id] == [3]
        if way == "finish":
            queue.finish(db, job, token, make_result())
        elif way == "fail":
            queue.fail(db, job.id, token, "internal", "A slip.")
        else:
            queue.release(db, job.id, token)
        assert db.progress.read([job.id]) == {}


def test_a_job_that_runs_though_its_worker_runs_none_is_taken_again(db: Database) -> None:
    """As after a commit that was there, and of which the disk said that it had failed."""
    queue.enqueue(db, [make_request()])
    token = start(db)
    assert queue.reclaim(db, token, ()) is None
    job = claim(db, token)
    assert queue.reclaim(db, token - 1, ()) is None
    again = queue.reclaim(db, token, ())
    assert again is not None
    assert (again.id, again.state, again.attempts) == (job.id, JobState.RUNNING, 2)
    while queue.reclaim(db, token, ()) is not None:
        pass
    assert queue.get_job(db, job.id).state is JobState.SET_ASIDE


def test_a_worker_that_was_replaced_takes_nothing_again(db: Database) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    claim(db, token)
    execute(db.directory, "UPDATE meta SET value = value + 1 WHERE key = 'epoch'")
    with pytest.raises(Superseded):
        queue.reclaim(db, token, ())


@pytest.mark.parametrize(
    ("is_sent", "state"), [(False, JobState.RUNNING), (True, JobState.UNKNOWN)]
)
def test_what_may_have_been_sent_is_not_taken_again(
    db: Database, is_sent: bool, state: JobState
) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)
    if is_sent:
        queue.record_wire(db, job.id, b"message")
    queue.reclaim(db, token, {"builtin"})
    assert queue.get_job(db, job.id).state is state


def test_answers_that_could_not_be_removed_go_with_the_next_worker(db: Database) -> None:
    queue.enqueue(db, [make_request(seed=seed) for seed in (1, 2)])
    token = start(db)
    done, failed = claim(db, token), claim(db, token)
    queue.finish(db, done, token, make_result())
    queue.fail(db, failed.id, token, "internal", "no")
    for job in (done, failed):
        db.vault.spool(job.id, b"answer")
    start(db)
    assert db.vault.list_spools() == [failed.id]


def test_an_image_is_stored_though_its_answers_cannot_be_removed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(db, [make_request()])
    token = start(db)
    job = claim(db, token)

    def refuse(vault: Vault, job_id: str) -> None:
        raise FileUnavailable("the disk is read-only")

    monkeypatch.setattr(Vault, "clear_spool", refuse)
    image = queue.finish(db, job, token, make_result())
    assert queue.get_job(db, job.id).image_id == image.id


@pytest.mark.parametrize("is_committed", [True, False])
def test_what_is_queued_is_never_called_not_queued(
    db: Database, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    """A disk can fail after the commit: then SQLite says that it failed, and it is there."""
    write = Database.write

    @contextlib.contextmanager
    def write_and_fail(database: Database) -> Iterator[Session]:
        with write(database) as session:
            yield session
            if not is_committed:
                raise HistoryUnavailable("Reading or writing failed.")
        raise HistoryUnavailable("Reading or writing failed.")

    monkeypatch.setattr(Database, "write", write_and_fail)
    if is_committed:
        queued = queue.enqueue(db, [make_request(seed=seed) for seed in (1, 2)])
        assert [job.id for job in queued] == [job.id for job in queue.list_jobs(db)[::-1]]
    else:
        with pytest.raises(HistoryUnavailable):
            queue.enqueue(db, [make_request()])
        assert queue.list_jobs(db) == []


def test_where_nobody_can_see_whether_it_was_queued_that_is_said(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, read = Database.write, Database.read

    @contextlib.contextmanager
    def write_and_fail(database: Database) -> Iterator[Session]:
        with write(database) as session:
            yield session
        raise HistoryUnavailable("Reading or writing failed.")

    @contextlib.contextmanager
    def refuse(_: Database) -> Iterator[Session]:
        raise StoreError("It cannot be read.")
        yield

    monkeypatch.setattr(queue, "LOOK_AGAIN_SECONDS", (0.0,))
    monkeypatch.setattr(Database, "write", write_and_fail)
    monkeypatch.setattr(Database, "read", refuse)
    with pytest.raises(StoreError) as caught:
        queue.enqueue(db, [make_request()])
    monkeypatch.setattr(Database, "read", read)
    (job,) = queue.list_jobs(db)
    assert caught.value.message == (
        f"Reading or writing failed. Whether it was queued cannot be seen now; "
        f"it would be {job.id[:8]}."
    )
    assert "safelight jobs" in caught.value.hint
