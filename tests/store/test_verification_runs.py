"""Runs of verifications: one image after the other, behind the jobs of people."""

from __future__ import annotations

import pytest

from store import history, queue
from store import verification_runs as runs
from store.database import Database
from store.errors import NotFound, StoreError, Superseded
from store.records import Comparison, Image, Job, JobState, Purpose, RunState, Verdict
from tests.factories import make_request, make_result
from tests.store.helpers import claim, make_images, start

SAME = Comparison(verdict=Verdict.IDENTICAL, detail="All equal.")


@pytest.fixture
def images(db: Database) -> list[Image]:
    return make_images(db, [make_request(seed=seed) for seed in range(1, 6)])


def begin(db: Database, images: list[Image], search: str = "all") -> str:
    return runs.begin_run(db, search, [image.number for image in images]).id


def take(db: Database, token: int) -> Job | None:
    image = runs.find_next(db)
    return None if image is None else runs.claim_next(db, image, token)


def verify_next(db: Database, token: int, comparison: Comparison = SAME) -> str:
    job = take(db, token)
    assert job is not None
    assert job.parent_id is not None
    queue.finish_comparison(db, job, token, comparison, result=make_result())
    return job.parent_id


def test_a_run_goes_through_its_images_in_their_order(db: Database, images: list[Image]) -> None:
    run_id = begin(db, images[::-1], "night")
    token = start(db)
    assert queue.list_jobs(db, states=[JobState.WAITING]) == []  # never all jobs at once
    assert [verify_next(db, token) for _ in images] == [image.id for image in images[::-1]]
    run = runs.get_run(db, run_id)
    assert run.state is RunState.RUNNING
    assert (run.done, run.total, run.search) == (5, 5, "night")
    assert runs.find_next(db) is None
    # A list of jobs need not be flooded by them.
    assert all(job.is_background for job in queue.list_jobs(db, limit=5))
    assert len(queue.list_jobs(db, has_runs=False)) == 5
    assert {job.purpose for job in queue.list_jobs(db, has_runs=False)} == {Purpose.GENERATE}
    ended = runs.get_run(db, "@1")
    assert ended.state is RunState.DONE
    assert ended.finished_at is not None
    assert not runs.is_pending(db)
    results = runs.list_results(db, run.number)
    assert [result.image_id for result in results] == [image.id for image in images[::-1]]
    assert {result.verification.verdict for result in results if result.verification} == {
        Verdict.IDENTICAL
    }
    assert runs.list_results(db, run.number, after=3, limit=1) == results[3:4]
    assert runs.count_verdicts(db, run.number, after=0, until=5) == {"identical": 5}


def test_a_job_of_a_person_goes_first(db: Database, images: list[Image]) -> None:
    begin(db, images)
    token = start(db)
    [mine] = queue.enqueue(db, [make_request("mine")])
    assert take(db, token) is None
    assert claim(db, token).id == mine.id
    # While it runs nothing else does; once it has ended, the run goes on.
    queue.finish(db, queue.get_job(db, mine.id), token, make_result())
    assert verify_next(db, token) == images[0].id


def test_a_job_that_comes_between_looking_and_taking_goes_first(
    db: Database, images: list[Image]
) -> None:
    begin(db, images)
    token = start(db)
    found = runs.find_next(db)
    assert found is not None
    queue.enqueue(db, [make_request("mine")])
    assert runs.claim_next(db, found, token) is None
    assert not runs.add_verdict(db, found, token, SAME)


def test_pause_resume_and_cancel(db: Database, images: list[Image]) -> None:
    run_id = begin(db, images)
    token = start(db)
    verify_next(db, token)
    found = runs.find_next(db)
    assert found is not None
    assert runs.pause_run(db, run_id[:8]).state is RunState.PAUSED
    assert runs.claim_next(db, found, token) is None
    assert runs.find_next(db) is None
    assert not runs.is_pending(db)
    with pytest.raises(StoreError, match="paused, so it cannot be paused"):
        runs.pause_run(db, run_id)
    assert runs.resume_run(db, run_id).state is RunState.RUNNING
    job = take(db, token)
    assert job is not None
    assert job.parent_id == images[1].id
    assert runs.get_run(db, run_id).done == 1  # the one that is made has not had its turn
    assert runs.cancel_run(db, run_id).state is RunState.CANCELLED
    assert queue.is_cancel_requested(db, job.id)
    assert runs.find_next(db) is None
    with pytest.raises(StoreError, match="Only one that is paused can"):
        runs.resume_run(db, run_id)
    # Interrupted, it is as what is still to come; what it was is told by its job.
    queue.fail(db, job.id, token, "cancelled", "Cancelled.", state=JobState.CANCELLED)
    run = runs.get_run(db, run_id)
    assert (run.done, run.total) == (1, 5)
    assert runs.count_verdicts(db, run.number, after=0, until=run.done) == {"identical": 1}


def test_an_image_that_was_made_in_time_counts_in_a_cancelled_run(
    db: Database, images: list[Image]
) -> None:
    run_id = begin(db, images)
    token = start(db)
    job = take(db, token)
    assert job is not None
    runs.cancel_run(db, run_id)
    queue.finish_comparison(db, job, token, SAME, result=None)
    assert runs.get_run(db, run_id).done == 1


def test_a_job_that_a_person_cancelled_has_had_its_turn(db: Database, images: list[Image]) -> None:
    run_id = begin(db, images)
    token = start(db)
    job = take(db, token)
    assert job is not None
    queue.fail(db, job.id, token, "cancelled", "Cancelled.", state=JobState.CANCELLED)
    assert runs.get_run(db, run_id).done == 1
    assert take(db, token) is not None


def test_the_newest_run_goes_first_and_the_other_one_after_it(
    db: Database, images: list[Image]
) -> None:
    begin(db, images[:3], "long")
    token = start(db)
    assert verify_next(db, token) == images[0].id
    begin(db, images[4:], "short")
    taken = [verify_next(db, token) for _ in range(3)]
    assert taken == [images[4].id, images[1].id, images[2].id]
    assert take(db, token) is None
    assert [run.state for run in runs.list_runs(db)] == [RunState.DONE, RunState.DONE]
    assert [run.search for run in runs.list_runs(db)] == ["short", "long"]


def test_a_run_survives_its_worker(db: Database, images: list[Image]) -> None:
    run_id = begin(db, images[:2])
    first = start(db)
    job = take(db, first)
    assert job is not None
    again = start(db)
    with pytest.raises(Superseded):
        take(db, first)
    # What it was at is a job like any other.
    orphan = claim(db, again)
    assert (orphan.id, orphan.purpose) == (job.id, Purpose.VERIFY)
    queue.finish_comparison(db, orphan, again, SAME, result=None)
    assert verify_next(db, again) == images[1].id
    assert runs.find_next(db) is None
    assert runs.get_run(db, run_id).state is RunState.DONE


def test_a_job_that_fails_does_not_hold_up_its_run(db: Database, images: list[Image]) -> None:
    run_id = begin(db, images[:2])
    token = start(db)
    job = take(db, token)
    assert job is not None
    queue.fail(db, job.id, token, "internal", "It broke.")
    verify_next(db, token)
    run = runs.get_run(db, run_id)
    first, second = runs.list_results(db, run.number)
    assert (first.state, first.error, first.verification) == (JobState.FAILED, "It broke.", None)
    assert second.verification is not None
    counted = runs.count_verdicts(db, run.number, after=0, until=2)
    assert counted == {"not verified": 1, "identical": 1}


def test_a_verdict_that_needs_no_job(db: Database, images: list[Image]) -> None:
    run_id = begin(db, images[:1])
    token = start(db)
    found = runs.find_next(db)
    assert found is not None
    changed = Comparison(verdict=Verdict.DIFFERENT, first_difference="width")
    assert runs.add_verdict(db, found, token, changed)
    assert not runs.add_verdict(db, found, token, changed)  # once
    [result] = runs.list_results(db, runs.get_run(db, run_id).number)
    assert result.state is None
    assert result.verification == history.list_verifications(db, images[0].id)[0]


def test_nothing_to_verify_and_no_such_run(db: Database) -> None:
    with pytest.raises(StoreError, match="no image"):
        runs.begin_run(db, "nothing", [])
    for reference in ("@1", "abcd", "run 1"):
        with pytest.raises(NotFound):
            runs.get_run(db, reference)


def test_a_sample_is_the_same_for_the_same_seed() -> None:
    numbers = list(range(1000, 0, -1))
    chosen = runs.choose_sample(numbers, 20, 7)
    assert len(set(chosen)) == 20
    assert chosen == sorted(chosen, reverse=True)
    assert chosen == runs.choose_sample(numbers, 20, 7)
    assert chosen != runs.choose_sample(numbers, 20, 8)
    assert runs.choose_sample(numbers[:3], 20, 7) == numbers[:3]
