"""The queue of jobs."""

from __future__ import annotations

import threading

import pytest

from store import history, queue
from store.database import Database
from store.errors import NotFound, StoreError
from store.records import (
    JobState,
    Relation,
)
from store.vault import Vault
from tests.factories import make_request, make_result
from tests.store.helpers import claim, make_images, start


def test_jobs_run_in_the_order_in_which_they_came(db: Database) -> None:
    requests = [make_request("one", seed=seed) for seed in (3, 1, 2)]
    queue.enqueue(db, requests)
    [last] = queue.enqueue(db, [make_request("two")], session="evening")
    epoch = start(db)
    jobs = [claim(db, epoch) for _ in range(4)]
    assert [job.request for job in jobs] == [*requests, make_request("two")]
    assert jobs[-1].id == last.id
    assert jobs[-1].session == "evening"
    assert {job.state for job in jobs} == {JobState.RUNNING}
    assert {job.attempts for job in jobs} == {1}
    assert queue.claim(db, epoch) is None


def test_all_requests_are_put_in_or_none(db: Database) -> None:
    with pytest.raises(NotFound):
        queue.enqueue(db, [make_request("one"), make_request("two")], parent_id="abcdef")
    assert queue.list_jobs(db) == []


def test_a_job_is_given_to_one_thread_only(db: Database) -> None:
    queue.enqueue(db, [make_request(seed=seed) for seed in range(1, 21)])
    epoch = start(db)
    taken: list[str] = []

    def work() -> None:
        while job := queue.claim(db, epoch):
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
    epoch = start(db)
    job = claim(db, epoch)
    db.vault.spool(job.id, b"answer")
    result = make_result("olive", warning="cut off")
    image = queue.finish(db, job, epoch, result)
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
    epoch = start(db)
    job = claim(db, epoch)

    def fail(*_: object) -> str:
        raise StoreError("The disk is full.")

    with monkeypatch.context() as patch:
        patch.setattr(Vault, "put", fail)
        with pytest.raises(StoreError, match="full"):
            queue.finish(db, job, epoch, make_result())
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
    queue.finish(db, job, epoch, make_result())
    assert order == ["file", "row"]


def test_the_spool_is_cleared_only_after_the_row(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue.enqueue(db, [make_request()])
    epoch = start(db)
    job = claim(db, epoch)
    states: list[JobState] = []
    clear = Vault.clear_spool

    def look(vault: Vault, job_id: str) -> None:
        states.append(queue.get_job(db, job_id).state)
        clear(vault, job_id)

    monkeypatch.setattr(Vault, "clear_spool", look)
    queue.finish(db, job, epoch, make_result())
    assert states == [JobState.DONE]


def test_cancelling(db: Database) -> None:
    waiting, running = queue.enqueue(db, [make_request(seed=1), make_request(seed=2)])[::-1]
    epoch = start(db)
    assert claim(db, epoch).id == running.id
    assert queue.count_active(db) == 2
    assert queue.request_cancel(db, waiting.id[:10]).state is JobState.CANCELLED
    assert not queue.is_cancel_requested(db, running.id)
    assert queue.request_cancel(db, running.id).cancel_requested
    assert queue.is_cancel_requested(db, running.id)
    assert queue.claim(db, epoch) is None
    failed = queue.fail(db, running.id, epoch, "cancelled", "Cancelled.", state=JobState.CANCELLED)
    assert failed.state is JobState.CANCELLED
    assert queue.request_cancel(db, running.id).state is JobState.CANCELLED
    assert queue.count_active(db) == 0
    with pytest.raises(NotFound):
        queue.request_cancel(db, "ffff")


def test_a_job_that_is_no_longer_running_should_stop(db: Database) -> None:
    [job] = queue.enqueue(db, [make_request()])
    epoch = start(db)
    claim(db, epoch)
    start(db)
    assert queue.is_cancel_requested(db, job.id)


def test_a_failure_says_why_and_can_be_tried_again(db: Database) -> None:
    queue.enqueue(db, [make_request()])
    epoch = start(db)
    job = claim(db, epoch)
    db.vault.spool(job.id, b"half an answer")
    with pytest.raises(StoreError, match="running, so it cannot"):
        queue.retry(db, job.id)
    failed = queue.fail(db, job.id, epoch, "unreachable", "No route.", state=JobState.UNKNOWN)
    assert (failed.state, failed.error_kind, failed.error) == (
        "unknown",
        "unreachable",
        "No route.",
    )
    assert queue.claim(db, epoch) is None
    again = queue.retry(db, job.id)
    assert (again.id, again.request.parameters.seed) == (job.id, job.request.parameters.seed)
    assert (again.state, again.attempts, again.error) == (JobState.WAITING, 0, None)
    assert db.vault.read_spool(job.id) == []
    assert list(db.directory.glob(f"spool/{job.id}.1"))
    queue.finish(db, claim(db, epoch), epoch, make_result())
    with pytest.raises(StoreError, match="done, so it cannot"):
        queue.retry(db, job.id)


@pytest.mark.parametrize("state", [JobState.DONE, JobState.WAITING, JobState.RUNNING])
def test_a_failure_is_an_end_without_an_image(db: Database, state: JobState) -> None:
    queue.enqueue(db, [make_request()])
    epoch = start(db)
    job = claim(db, epoch)
    with pytest.raises(ValueError, match="cannot fail into"):
        queue.fail(db, job.id, epoch, "internal", "?", state=state)


def test_a_worker_that_leaves_in_good_order_gives_its_job_back(db: Database) -> None:
    queue.enqueue(db, [make_request(seed=1), make_request(seed=2)])
    epoch = start(db)
    job = claim(db, epoch)
    released = queue.release(db, job.id, epoch)
    assert (released.state, released.attempts) == (JobState.WAITING, 0)
    assert claim(db, epoch).id == job.id
    queue.request_cancel(db, job.id)
    assert queue.release(db, job.id, epoch).state is JobState.CANCELLED


def test_the_message_is_kept_to_the_byte_before_it_is_sent(db: Database) -> None:
    [waiting] = queue.enqueue(db, [make_request(engine="stability")])
    with pytest.raises(StoreError, match="not running"):
        queue.record_wire(db, waiting.id, b"too early")
    epoch = start(db)
    job = claim(db, epoch)
    assert queue.read_wire(db, job.id) is None
    message = bytes(range(256))
    queue.record_wire(db, job.id, message)
    assert queue.read_wire(db, job.id) == message
    assert queue.get_job(db, job.id).wire_sha256 is not None


def test_lists_can_be_narrowed_and_are_newest_first(db: Database) -> None:
    jobs = queue.enqueue(db, [make_request(seed=seed) for seed in range(1, 6)])
    epoch = start(db)
    queue.fail(db, claim(db, epoch).id, epoch, "internal", "x")
    claim(db, epoch)
    assert [job.id for job in queue.list_jobs(db)] == [job.id for job in jobs[::-1]]
    assert [job.id for job in queue.list_jobs(db, limit=2)] == [jobs[4].id, jobs[3].id]
    active = queue.list_jobs(db, states=[JobState.RUNNING, JobState.FAILED])
    assert [job.id for job in active] == [jobs[1].id, jobs[0].id]
    assert queue.get_job(db, "@1").id == jobs[4].id
