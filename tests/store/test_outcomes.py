"""What became of the jobs that ended since a moment."""

from __future__ import annotations

import time
from pathlib import Path

from store import charges, history, outcomes, queue
from store.database import Database
from store.outcomes import Ended
from store.records import Comparison, JobState, Purpose, Verdict
from tests.factories import make_request, make_result
from tests.store.helpers import claim, execute, make_images, start


def test_the_jobs_that_ended_since_are_counted_with_their_reasons(db: Database) -> None:
    make_images(db, [make_request("early")])
    since = time.time()
    execute(db.directory, "UPDATE job SET finished_at = ?", since - 60)
    image, other = make_images(db, [make_request("a"), make_request("b")])
    queue.enqueue_comparison(db, image.id, Purpose.VERIFY)
    queue.enqueue(db, [make_request(name) for name in ("c", "d", "e", "f", "g")])
    token = start(db)
    verifying = claim(db, token)
    verdict = Comparison(verdict=Verdict.IDENTICAL)
    queue.finish_comparison(db, verifying, token, verdict, result=None)
    queue.fail(db, claim(db, token).id, token, "unreachable", "Cannot reach it.")
    newest = queue.fail(db, claim(db, token).id, token, "over_budget", "Too dear.")
    unknown = claim(db, token)
    queue.fail(db, unknown.id, token, "unreachable", "Gone.", state=JobState.UNKNOWN)
    charges.add_charge(db, unknown.id, 1.5)
    queue.request_cancel(db, queue.list_queue(db)[0].id)
    execute(db.directory, "UPDATE job SET finished_at = finished_at + 9 WHERE id = ?", newest.id)
    history.add_verification(db, other.id, Comparison(verdict=Verdict.CANNOT_RUN))

    found = outcomes.read_outcome(db, since, failures=2, images=1)
    assert found.ended == Ended(made=2, verified=1, failed=3, cancelled=1)
    assert outcomes.count_ended(db, since) == found.ended
    assert found.reasons == {"unreachable": 2, "over_budget": 1}
    assert found.verdicts == {"identical": 1, "cannot run": 1}
    assert [job.id for job in found.failures] == [newest.id, unknown.id]
    assert found.newest == (other.id,)
    assert found.credits == 1.5
    assert 9 <= found.seconds < 60
    everything = outcomes.count_ended(db, since - 3600)
    assert everything.made == 3
    assert outcomes.count_ended(db, time.time() + 3600) == Ended()


def test_what_runs_and_waits_has_not_ended(db: Database) -> None:
    queue.enqueue(db, [make_request("a"), make_request("b")])
    token = start(db)
    job = claim(db, token)
    assert outcomes.count_ended(db, 0) == Ended()
    queue.finish(db, job, token, make_result())
    assert outcomes.count_ended(db, 0) == Ended(made=1)
    queue.recover(db, paid_engines=())
    assert outcomes.count_ended(db, 0) == Ended(made=1)


def test_it_is_a_look_into_an_index(directory: Path) -> None:
    """However many jobs there are: it is asked each time that the darkroom opens."""
    with Database.open(directory):
        pass
    statement = "SELECT count(*) FROM job WHERE finished_at >= 7"
    (plan,) = execute(directory, f"EXPLAIN QUERY PLAN {statement}")
    assert "INDEX ix_job_finished_at (finished_at>?)" in plan[3]
