"""Series: images that are made one after the other until a moment."""

from __future__ import annotations

import time

import msgspec
import pytest

from store import queue, series, turns
from store.database import Database
from store.errors import NotFound, RequestError, StoreError, Superseded
from store.records import Job, JobState, RunState, SeriesRequest, Serving
from store.watch import read_fingerprint
from tests.factories import make_request, make_result
from tests.store.helpers import execute, start

SOON = 3600.0


def begin(db: Database, *names: str, stride: int = 1, until: float | None = None) -> str:
    """The id of a new series with a request a name, whose seeds are 10, 20 …"""
    requests = [
        SeriesRequest(request=make_request(name, seed=10 * place), stride=stride)
        for place, name in enumerate(names, start=1)
    ]
    moment = time.time() + SOON if until is None else until
    return series.begin_series(db, requests, moment, session="night").id


def make_next(db: Database, token: int) -> str:
    """What the worker takes next and makes, as `prompt seed`; "" for nothing."""
    job = series.take_next(db, token)
    if job is None:
        return ""
    queue.finish(db, job, token, make_result(seed=job.request.parameters.seed))
    return describe(job)


def describe(job: Job) -> str:
    return f"{job.request.stack.prompts[0].text} {job.request.parameters.seed}"


def test_its_requests_take_turns_with_other_seeds_in_each_round(db: Database) -> None:
    begin(db, "a", "b", stride=2)
    token = start(db)
    made = [make_next(db, token) for _ in range(5)]
    assert made == ["a 10", "b 20", "a 12", "b 22", "a 14"]
    (found,) = series.list_series(db)
    assert (found.taken, found.requests, found.state) == (5, 2, RunState.RUNNING)
    assert found.first == make_request("a", seed=10)
    newest = queue.list_jobs(db, limit=1)[0]
    assert (newest.state, newest.session) == (JobState.DONE, "night")


def test_several_take_turns(db: Database) -> None:
    begin(db, "a")
    begin(db, "b")
    token = start(db)
    assert [make_next(db, token) for _ in range(4)] == ["a 10", "b 10", "a 11", "b 11"]


def test_it_comes_when_no_job_of_a_person_waits_and_the_queue_goes_on(db: Database) -> None:
    begin(db, "a")
    token = start(db)
    queue.enqueue(db, [make_request("mine")])
    assert series.take_next(db, token) is None
    queue.request_cancel_of_all(db)
    turns.pause_queue(db)
    assert series.take_next(db, token) is None
    assert not series.is_any_open(db)
    turns.resume_queue(db)
    assert series.is_any_open(db)
    assert make_next(db, token) == "a 10"


def test_it_ends_when_its_moment_has_come(db: Database) -> None:
    identity = begin(db, "a", until=100.0)
    token = start(db)
    assert series.take_next(db, token, now=99.0) is not None
    assert series.take_next(db, token, now=100.0) is None
    found = series.get_series(db, identity[:8])
    assert (found.state, found.finished_at) == (RunState.DONE, 100.0)
    assert not series.is_any_open(db)


def test_it_is_paused_resumed_and_cancelled(db: Database) -> None:
    identity = begin(db, "a")
    token = start(db)
    assert series.pause_series(db, "@1").state is RunState.PAUSED
    assert series.take_next(db, token) is None
    with pytest.raises(StoreError, match="paused, so it cannot be paused"):
        series.pause_series(db, identity)
    assert series.resume_series(db, identity).state is RunState.RUNNING
    job = series.take_next(db, token)
    assert job is not None
    assert series.cancel_series(db, identity).state is RunState.CANCELLED
    assert queue.is_cancel_requested(db, job.id)
    assert series.take_next(db, token) is None
    begin(db, "b")
    begin(db, "c")
    assert series.cancel_all_series(db) == 2


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.UNKNOWN, JobState.SET_ASIDE])
def test_one_whose_jobs_make_nothing_pauses_and_says_why(db: Database, state: JobState) -> None:
    identity = begin(db, "a")
    token = start(db)
    for _ in range(series.FAILURES):
        job = series.take_next(db, token)
        assert job is not None
        queue.fail(db, job.id, token, "unreachable", "Cannot reach it.", state=state)
    assert series.take_next(db, token) is None
    found = series.get_series(db, identity)
    assert (found.state, found.error) == (RunState.PAUSED, "Cannot reach it.")
    # Resumed, it has as many tries again.
    assert series.resume_series(db, identity).error == ""
    assert series.take_next(db, token) is not None


def test_a_single_failure_or_a_cancelled_job_pauses_nothing(db: Database) -> None:
    identity = begin(db, "a")
    token = start(db)
    for place in range(2 * series.FAILURES):
        job = series.take_next(db, token)
        assert job is not None
        if place % 3 == 2:
            queue.finish(db, job, token, make_result())
        else:
            state = JobState.CANCELLED if place > 2 else JobState.FAILED
            queue.fail(db, job.id, token, "unreachable", "Cannot reach it.", state=state)
    assert series.get_series(db, identity).state is RunState.RUNNING


def test_one_that_is_damaged_pauses_and_the_others_go_on(db: Database) -> None:
    damaged = begin(db, "a")
    begin(db, "b")
    execute(db.directory, "UPDATE series_request SET json = '{' WHERE series_number = 1")
    token = start(db)
    assert make_next(db, token) == "b 10"
    found = series.get_series(db, damaged)
    assert found.state is RunState.PAUSED
    assert "is damaged" in found.error


def test_a_file_that_is_gone_or_a_secret_is_told_before(db: Database) -> None:
    with pytest.raises(RequestError):
        series.begin_series(db, [], time.time() + SOON)
    assert series.list_series(db) == []
    for reference in ("abcdef", "@1", "x y", ""):
        with pytest.raises(NotFound):
            series.get_series(db, reference)


def test_a_worker_takes_only_what_it_may_run(db: Database) -> None:
    ours = Serving(program="p", settings={"builtin": "ours"})
    theirs = msgspec.structs.replace(ours, settings={"builtin": "theirs"})
    request = make_request("a", engine="builtin")
    wanted = [SeriesRequest(request=request)]
    series.begin_series(db, wanted, time.time() + SOON, wanted=theirs)
    token = queue.recover(db, paid_engines=(), serving=ours)
    assert series.take_next(db, token, ours) is None
    token = queue.recover(db, paid_engines=(), serving=theirs)
    old = token
    assert series.take_next(db, token, theirs) is not None
    queue.recover(db, paid_engines=(), serving=theirs)
    with pytest.raises(Superseded):
        series.take_next(db, old, theirs)


def test_whoever_watches_sees_that_one_began_or_is_paused(db: Database) -> None:
    seen = [read_fingerprint(db)]
    identity = begin(db, "a")
    seen.append(read_fingerprint(db))
    series.pause_series(db, identity)
    seen.append(read_fingerprint(db))
    assert len(set(seen)) == 3
