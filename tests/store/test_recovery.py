from __future__ import annotations

import pytest

from store import queue
from store.database import Database
from store.errors import StoreError
from store.records import Job, JobState
from tests.factories import make_request, make_result

PAID = ("stability", "stability-rest")


def claim_one(db: Database, engine: str) -> tuple[Job, int]:
    """A job of this engine that a worker had in hand when it ended."""
    queue.enqueue(db, [make_request(engine=engine)])
    epoch = queue.start_epoch(db, paid_engines=PAID)
    job = queue.claim(db, epoch)
    assert job is not None
    return job, epoch


def test_epochs_count_up_in_the_history_itself(db: Database) -> None:
    epochs = [queue.start_epoch(db, paid_engines=PAID) for _ in range(3)]
    assert epochs == [1, 2, 3]


def test_free_work_goes_back_to_its_place(db: Database) -> None:
    job, _ = claim_one(db, "builtin")
    queue.enqueue(db, [make_request("later")])
    epoch = queue.start_epoch(db, paid_engines=PAID)
    assert queue.get_job(db, job.id).state is JobState.WAITING
    again = queue.claim(db, epoch)
    assert again is not None
    assert (again.id, again.attempts) == (job.id, 2)


def test_paid_work_is_never_sent_again_by_itself(db: Database) -> None:
    job, _ = claim_one(db, "stability")
    queue.record_wire(db, job.id, b"sent")
    epoch = queue.start_epoch(db, paid_engines=PAID)
    found = queue.get_job(db, job.id)
    assert found.state is JobState.UNKNOWN
    assert found.error is not None
    assert "charged" in found.error
    assert found.finished_at is not None
    assert queue.claim(db, epoch) is None
    assert queue.list_spooled(db, epoch) == []
    # A cancelled one may have been charged as well.
    queue.retry(db, job.id)
    assert queue.claim(db, epoch) is not None
    queue.request_cancel(db, job.id)
    queue.start_epoch(db, paid_engines=PAID)
    assert queue.get_job(db, job.id).state is JobState.UNKNOWN


def test_a_paid_answer_in_the_spool_can_still_become_an_image(db: Database) -> None:
    job, first = claim_one(db, "stability")
    db.vault.spool(job.id, b"answer")
    epoch = queue.start_epoch(db, paid_engines=PAID)
    assert queue.claim(db, epoch) is None
    [spooled] = queue.list_spooled(db, epoch)
    assert spooled.id == job.id
    assert db.vault.read_spool(job.id) == [b"answer"]
    with pytest.raises(StoreError, match="no longer"):
        queue.finish(db, job, first, make_result())
    image = queue.finish(db, spooled, epoch, make_result())
    assert queue.get_job(db, job.id).image_id == image.id
    assert queue.list_spooled(db, epoch) == []


@pytest.mark.parametrize("engine", ["builtin", "stability"])
def test_a_job_that_ended_its_worker_twice_is_set_aside(db: Database, engine: str) -> None:
    job, _ = claim_one(db, engine)
    db.vault.spool(job.id, b"answer that ends the worker")
    epoch = queue.start_epoch(db, paid_engines=PAID)
    queue.claim(db, epoch)
    epoch = queue.start_epoch(db, paid_engines=PAID)
    found = queue.get_job(db, job.id)
    assert found.state is JobState.SET_ASIDE
    assert found.error is not None
    assert "2 times" in found.error
    assert queue.claim(db, epoch) is None
    # Nothing is thrown away, and a person can still let it run.
    assert db.vault.read_spool(job.id) == [b"answer that ends the worker"]
    assert queue.retry(db, job.id).state is JobState.WAITING
    assert queue.claim(db, epoch) is not None


def test_what_was_to_be_cancelled_is_not_run_again(db: Database) -> None:
    job, _ = claim_one(db, "builtin")
    queue.request_cancel(db, job.id)
    epoch = queue.start_epoch(db, paid_engines=PAID)
    assert queue.get_job(db, job.id).state is JobState.CANCELLED
    assert queue.claim(db, epoch) is None


def test_what_has_ended_or_waits_is_left_alone(db: Database) -> None:
    done, epoch = claim_one(db, "stability")
    queue.finish(db, done, epoch, make_result())
    [waiting] = queue.enqueue(db, [make_request(engine="stability")])
    db.live.write("a" * 32, 1, 2)
    queue.start_epoch(db, paid_engines=PAID)
    assert queue.get_job(db, done.id).state is JobState.DONE
    assert queue.get_job(db, waiting.id).state is JobState.WAITING
    assert db.live.read(["a" * 32]) == {}


def test_recovery_is_all_or_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    free, paid = queue.enqueue(db, [make_request(), make_request(engine="stability")])
    epoch = queue.start_epoch(db, paid_engines=PAID)
    for _ in range(2):
        queue.claim(db, epoch)

    def stumble(_: str) -> list[bytes]:
        raise StoreError("Reading the spool failed.")

    with monkeypatch.context() as patch:
        patch.setattr(db.vault, "read_spool", stumble)
        with pytest.raises(StoreError, match="spool"):
            queue.start_epoch(db, paid_engines=PAID)
    for job in (free, paid):
        assert queue.get_job(db, job.id).state is JobState.RUNNING
    assert queue.start_epoch(db, paid_engines=PAID) == epoch + 1
    assert queue.get_job(db, free.id).state is JobState.WAITING
    assert queue.get_job(db, paid.id).state is JobState.UNKNOWN
