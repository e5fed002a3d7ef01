"""A job is run by the program and the settings of who queued it, or by newer ones."""

from __future__ import annotations

import pytest

from store import history, queue
from store.database import Database
from store.errors import StoreError, Superseded
from store.integrity import check_record
from store.records import JobState, Purpose, Serving
from store.serving import count_waiting, is_served, list_others
from tests.factories import make_request, make_result
from tests.store.helpers import execute, make_images

OLD = Serving(program="old", settings={"stability": "old key"})
NEW = Serving(program="new", settings={"stability": "old key"})
OTHER = Serving(program="old", settings={"stability": "new key"})
HOSTED = make_request(engine="stability")


def begin(db: Database, serving: Serving | None) -> int:
    return queue.recover(db, paid_engines=["stability"], serving=serving)


@pytest.fixture
def met(db: Database) -> Database:
    """A history that has met the old program and then the new one, with no job left."""
    for serving in (OLD, NEW):
        [job] = queue.enqueue(db, [make_request()], wanted=serving)
        queue.request_cancel(db, job.id)
    return db


@pytest.mark.parametrize("wanted", [NEW, OTHER], ids=["another program", "other settings"])
def test_a_worker_that_is_not_fit_never_takes_the_job(met: Database, wanted: Serving) -> None:
    token = begin(met, OLD)
    assert is_served(met, OLD, ["stability"])
    [job] = queue.enqueue(met, [HOSTED], wanted=wanted)
    assert not is_served(met, wanted, ["stability"])
    with pytest.raises(Superseded):
        queue.claim(met, token, OLD)
    # Nor does one of its kind that is started afterwards.
    assert queue.claim(met, begin(met, OLD), OLD) is None
    assert count_waiting(met, OLD) == (0, 1)
    assert count_waiting(met, wanted) == (1, 0)
    assert list_others(met, OLD) == {job.id}
    assert list_others(met, wanted) == set()
    taken = queue.claim(met, begin(met, wanted), wanted)
    assert taken is not None
    assert taken.id == job.id


def test_the_job_that_it_runs_ends_undisturbed(met: Database) -> None:
    token = begin(met, OLD)
    queue.enqueue(met, [make_request("first")], wanted=OLD)
    running = queue.claim(met, token, OLD)
    assert running is not None
    queue.enqueue(met, [make_request("second")], wanted=NEW)
    assert queue.finish(met, running, token, make_result()).job_id == running.id
    with pytest.raises(Superseded):
        queue.claim(met, token, OLD)


def test_a_newer_program_runs_what_an_older_one_queued(met: Database) -> None:
    token = begin(met, NEW)
    [job] = queue.enqueue(met, [make_request()], wanted=OLD)
    assert is_served(met, OLD, ["builtin"]), "it stays"
    taken = queue.claim(met, token, NEW)
    assert taken is not None
    assert taken.id == job.id


def test_settings_that_a_job_does_not_read_replace_nobody(met: Database) -> None:
    token = begin(met, OLD)
    [job] = queue.enqueue(met, [make_request()], wanted=OTHER)
    taken = queue.claim(met, token, OLD)
    assert taken is not None
    assert taken.id == job.id


def test_the_settings_asked_for_last_are_those_of_all_that_waits(met: Database) -> None:
    """Two terminals with other keys take turns: every job is run, none is passed to and fro."""
    asked = [OLD, OTHER, OLD, OTHER]
    jobs = [queue.enqueue(met, [HOSTED], wanted=serving)[0] for serving in asked]
    assert queue.claim(met, begin(met, OLD), OLD) is None
    token = begin(met, OTHER)
    for job in jobs:
        taken = queue.claim(met, token, OTHER)
        assert taken is not None
        assert taken.id == job.id
        queue.finish(met, taken, token, make_result())
    assert queue.claim(met, token, OTHER) is None
    assert count_waiting(met, OTHER) == count_waiting(met, OLD) == (0, 0)


def test_what_it_may_run_is_not_held_up_by_what_it_may_not(met: Database) -> None:
    queue.enqueue(met, [HOSTED], wanted=OTHER)
    [free] = queue.enqueue(met, [make_request()], wanted=OLD)
    token = begin(met, OLD)
    taken = queue.claim(met, token, OLD)
    assert taken is not None
    assert taken.id == free.id
    assert count_waiting(met, OLD) == (0, 1)


def test_comparing_and_trying_again_are_queueing_too(met: Database) -> None:
    [image] = make_images(met, [make_request()])
    for purpose in (Purpose.VERIFY, Purpose.REGENERATE):
        token = begin(met, OLD)
        job = queue.enqueue_comparison(met, image.id, purpose, wanted=NEW)
        with pytest.raises(Superseded):
            queue.claim(met, token, OLD)
        queue.request_cancel(met, job.id)
    token = begin(met, OLD)
    assert queue.retry(met, job.id, wanted=NEW).state is JobState.WAITING
    with pytest.raises(Superseded):
        queue.claim(met, token, OLD)
    queue.request_cancel(met, job.id)
    queue.retry(met, job.id, wanted=OLD)
    assert queue.claim(met, begin(met, OLD), OLD) is not None, "asked for by the older one"


def test_a_worker_that_does_not_say_what_it_is_is_fenced_off(met: Database) -> None:
    """One of a version that knew nothing of this: it looks at its token only."""
    token = begin(met, None)
    queue.enqueue(met, [make_request()], wanted=NEW)
    with pytest.raises(StoreError, match="taken over"):
        queue.claim(met, token)


def test_jobs_of_a_version_that_wrote_no_program_are_anybodys(met: Database) -> None:
    [job] = queue.enqueue(met, [make_request()], wanted=NEW)
    execute(met.directory, "UPDATE job SET program = NULL")
    taken = queue.claim(met, begin(met, OLD), OLD)
    assert taken is not None
    assert taken.id == job.id


def test_a_note_of_the_worker_that_cannot_be_read_is_nobodys(met: Database) -> None:
    begin(met, NEW)
    execute(met.directory, "UPDATE meta SET value = '{' WHERE key = 'worker'")
    assert not is_served(met, NEW, [])
    queue.enqueue(met, [make_request()], wanted=NEW)
    assert queue.claim(met, begin(met, NEW), NEW) is not None


def test_nothing_is_asked_for_by_jobs_that_are_not_put_in(met: Database) -> None:
    token = begin(met, OLD)
    with pytest.raises(StoreError):
        queue.enqueue(met, [HOSTED], parent_id="abcdef", wanted=OTHER)
    assert queue.claim(met, token, OLD) is None
    assert is_served(met, OLD, ["stability"])


def test_what_the_last_worker_without_seals_stored_is_sealed_once(db: Database) -> None:
    """It was running a job while a newer program brought the seals to the history."""
    [image] = make_images(db, [make_request()])
    execute(db.directory, "UPDATE image SET seal = NULL")
    assert check_record(db, history.get_image(db, image.id)) != []
    begin(db, NEW)
    assert check_record(db, history.get_image(db, image.id)) == []
    execute(db.directory, "UPDATE image SET seal = NULL")
    begin(db, NEW)
    assert check_record(db, history.get_image(db, image.id)) != []
