"""What the worker takes of runs of verifications, and what it judges without a job."""

from __future__ import annotations

import pytest

from engines.worker.runs import take_next
from store import history, queue, verification_runs
from store.database import Database
from store.errors import Superseded
from store.records import Verdict
from tests.factories import make_request
from tests.store.helpers import execute, make_images, start


def test_records_that_were_changed_are_judged_at_once(database: Database) -> None:
    images = make_images(database, [make_request(seed=seed) for seed in (7, 8, 9)])
    run = verification_runs.begin_run(database, "all", [image.number for image in images])
    execute(database.directory, "UPDATE image SET width = 9 WHERE number = 1")
    execute(database.directory, "UPDATE request SET json = '{' WHERE seed = 8")
    token = start(database)
    job = take_next(database, token, None)
    assert job is not None
    assert job.parent_id == images[2].id
    first, second, third = verification_runs.list_results(database, run.number)
    assert first.verification is not None
    assert first.verification.first_difference == "width"
    assert second.verification is not None
    assert second.verification.verdict is Verdict.DIFFERENT
    assert third.verification is None
    assert history.list_verifications(database, images[1].id) == [second.verification]
    # One at a time: while that job runs there is nothing to take.
    assert take_next(database, token, None) is None
    assert verification_runs.get_run(database, run.id).done == 2


def test_nothing_is_judged_while_a_job_of_a_person_waits(database: Database) -> None:
    [image] = make_images(database, [make_request(seed=7)])
    run = verification_runs.begin_run(database, "all", [image.number])
    execute(database.directory, "UPDATE image SET width = 9")
    token = start(database)
    queue.enqueue(database, [make_request("mine")])
    assert take_next(database, token, None) is None
    assert verification_runs.get_run(database, run.id).done == 0
    start(database)
    with pytest.raises(Superseded):
        queue.claim(database, token)
