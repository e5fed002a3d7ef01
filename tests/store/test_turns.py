"""Whose turn it is: priorities, jobs that are moved, and a queue that is paused."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import queue, turns, verification_runs
from store.database import Database
from store.errors import NotFound, RequestError, StoreError, Superseded
from store.migrations import MIGRATIONS
from store.records import JobState, Serving, Turn
from store.watch import read_fingerprint
from tests.factories import make_request
from tests.store.helpers import claim, execute, make_images, start

URGENT, LATE = Turn(priority=5), Turn(priority=-1)


def put(db: Database, *names: str, turn: Turn = queue.USUAL_TURN) -> list[str]:
    """The ids of new jobs, one a name."""
    return [job.id for job in queue.enqueue(db, [make_request(name) for name in names], turn=turn)]


def read_order(db: Database) -> str:
    """The names of what waits, what comes next first."""
    return " ".join(job.request.stack.prompts[0].text for job in queue.list_queue(db))


def test_the_order_that_is_shown_is_the_one_in_which_jobs_are_taken(db: Database) -> None:
    put(db, "c", "d")
    put(db, "z", turn=LATE)
    put(db, "b", turn=URGENT)
    put(db, "a1", "a2", turn=Turn(is_next=True))
    put(db, "e")
    put(db, "b2", turn=URGENT)
    shown = queue.list_queue(db)
    assert read_order(db) == "a1 a2 b b2 c d e z"
    assert [job.place for job in shown] == [1, 2, 3, 4, 5, 6, 7, 8]
    token = start(db)
    assert [claim(db, token).id for _ in shown] == [job.id for job in shown]
    # What runs has no place any more.
    assert {job.place for job in queue.list_queue(db)} == {None}


def test_jobs_are_moved_to_the_front_to_the_end_and_before_another(db: Database) -> None:
    a, b, c, d = put(db, "a", "b", "c", "d")
    assert turns.move_first(db, [d, c[:8]]) == [d, c]
    assert read_order(db) == "d c a b"
    turns.move_last(db, [d])
    assert read_order(db) == "c a b d"
    # What was moved behind all stays before what comes later.
    put(db, "e")
    assert read_order(db) == "c a b d e"
    turns.move_before(db, [b, c], d)
    assert read_order(db) == "a b c d e"
    assert turns.shift(db, a, 1)
    assert read_order(db) == "b a c d e"
    assert turns.shift(db, d, -1)
    assert read_order(db) == "b a d c e"
    assert not turns.shift(db, b, -1)
    assert turns.shift(db, b, 10)
    assert read_order(db) == "a d c e b"
    assert not turns.shift(db, b, 1)


@pytest.mark.exhaustive
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_any_moves_do_to_the_queue_what_they_do_to_a_list(
    tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    chance = random.Random(seed)
    with Database.open(tmp_path_factory.mktemp("turns") / "data") as db:
        order = put(db, *"abcdef")
        for _ in range(12):
            chosen = chance.sample(order, chance.randint(1, 3))
            rest = [job_id for job_id in order if job_id not in chosen]
            match chance.randrange(4):
                case 0:
                    turns.move_first(db, chosen)
                    order = chosen + rest
                case 1:
                    turns.move_last(db, chosen)
                    order = rest + chosen
                case 2:
                    anchor = chance.choice(rest)
                    turns.move_before(db, chosen, anchor)
                    place = rest.index(anchor)
                    order = rest[:place] + chosen + rest[place:]
                case _:
                    places = chance.randint(-4, 4)
                    place = order.index(chosen[0])
                    turns.shift(db, chosen[0], places)
                    order.insert(max(0, min(len(order) - 1, place + places)), order.pop(place))
            if chance.random() < 0.3:
                order += put(db, "later")
            assert [job.id for job in queue.list_queue(db)] == order


def test_only_what_waits_is_moved(db: Database) -> None:
    first, second = put(db, "a", "b")
    claim(db, start(db))
    with pytest.raises(StoreError, match="is running, so it has no place") as told:
        turns.move_first(db, [second, first])
    assert "safelight retry" in told.value.hint
    with pytest.raises(NotFound):
        turns.move_last(db, ["abcdef"])
    with pytest.raises(RequestError, match="before itself"):
        turns.move_before(db, [second], second)
    assert turns.move_first(db, [second]) == [second]


def test_a_job_that_is_tried_again_has_the_place_of_its_number(db: Database) -> None:
    first, _ = put(db, "a", "b")
    turns.move_last(db, [first])
    queue.request_cancel(db, first)
    queue.retry(db, first)
    assert read_order(db) == "a b"


def test_whoever_watches_sees_another_order_and_a_pause(db: Database) -> None:
    first, _ = put(db, "a", "b")
    seen = [read_fingerprint(db)]
    turns.move_last(db, [first])
    seen.append(read_fingerprint(db))
    turns.pause_queue(db)
    seen.append(read_fingerprint(db))
    assert len(set(seen)) == 3
    assert read_fingerprint(db) == seen[-1]


def test_a_paused_queue_gives_no_job_until_it_is_resumed(db: Database) -> None:
    put(db, "a", "b")
    token = start(db)
    running = claim(db, token)
    assert turns.pause_queue(db)
    assert not turns.pause_queue(db)
    assert turns.is_queue_paused(db)
    assert queue.claim(db, token) is None
    # What runs is not held up; what waits says why it does.
    assert [job.is_paused for job in queue.list_queue(db)] == [False, True]
    assert queue.get_job(db, running.id).state is JobState.RUNNING
    (late,) = put(db, "c")
    assert queue.get_job(db, late).is_paused
    assert turns.resume_queue(db)
    assert not turns.resume_queue(db)
    assert claim(db, token).request == make_request("b")


def test_a_paused_queue_holds_up_runs_of_verifications(db: Database) -> None:
    images = make_images(db, [make_request("a")])
    verification_runs.begin_run(db, "all", [image.number for image in images])
    found = verification_runs.find_next(db)
    assert found is not None
    assert verification_runs.is_pending(db)
    turns.pause_queue(db)
    token = start(db)
    assert verification_runs.claim_next(db, found, token) is None
    assert verification_runs.find_next(db) is None
    assert not verification_runs.is_pending(db)
    turns.resume_queue(db)
    assert verification_runs.claim_next(db, found, token) is not None


def test_a_worker_of_an_older_program_is_not_left_to_take_more(db: Database) -> None:
    """It knows nothing of pauses."""
    put(db, "a")
    token = queue.recover(db, paid_engines=(), serving=Serving(program="old", settings={}))
    turns.pause_queue(db, wanted=Serving(program="new", settings={}))
    with pytest.raises(Superseded):
        queue.claim(db, token)


def explain(directory: Path, statement: str) -> str:
    """How SQLite goes about a statement."""
    return " / ".join(str(row[3]) for row in execute(directory, f"EXPLAIN QUERY PLAN {statement}"))


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT number FROM job WHERE state = 'waiting' ORDER BY rank, number LIMIT 1",
        "SELECT min(rank) FROM job WHERE state = 'waiting'",
        "SELECT max(rank) FROM job WHERE state = 'waiting' AND rank < 7",
        "SELECT count(*) FROM job WHERE state = 'waiting'",
    ],
)
def test_the_next_job_is_found_by_the_index_alone(directory: Path, statement: str) -> None:
    """However many wait: nothing is sorted, and no other row looked at."""
    with Database.open(directory):
        plan = explain(directory, statement)
    assert "USING COVERING INDEX ix_job_state" in plan
    assert "TEMP B-TREE" not in plan
    assert "SCAN" not in plan


def test_what_waits_keeps_its_place_when_ranks_come(directory: Path) -> None:
    with Database.open(directory) as db:
        done, *waiting = put(db, "a", "b", "c")
        queue.request_cancel(db, done)
    undo(directory)
    with Database.open(directory) as db:
        assert read_order(db) == "b c"
        turns.move_first(db, [waiting[1]])
        assert read_order(db) == "c b"
        put(db, "d")
        assert read_order(db) == "c b d"


def undo(directory: Path) -> None:
    """The history as the program before ranks had left it."""
    before = next(each.number for each in MIGRATIONS if each.name == "ranks") - 1
    statements: Sequence[str] = (
        "DROP TABLE series_request",
        "DROP TABLE series",
        "DROP INDEX ix_job_state",
        "DROP INDEX ix_job_finished_at",
        "ALTER TABLE job DROP COLUMN rank",
        "CREATE INDEX ix_job_state ON job (state)",
        f"DELETE FROM migration WHERE number > {before}",
        f"UPDATE meta SET value = '{before}' WHERE key = 'schema_version'",
        f"PRAGMA user_version = {before}",
    )
    for statement in statements:
        execute(directory, statement)


@pytest.mark.exhaustive
def test_many_are_cancelled_and_followed_at_once(db: Database) -> None:
    ids = put(db, *(f"n{number}" for number in range(1100)))
    token = start(db)
    running = claim(db, token)
    jobs = [queue.get_job(db, ids[0]), *queue.list_jobs(db, limit=1099)]
    assert queue.request_cancels(db, ids[:600]) == 600
    now = {job.id: job for job in queue.follow(db, jobs)}
    assert now[running.id].cancel_requested
    assert {now[job_id].state for job_id in ids[1:600]} == {JobState.CANCELLED}
    assert {now[job_id].state for job_id in ids[600:]} == {JobState.WAITING}
    assert queue.request_cancel_of_all(db) == 501
    assert [job.id for job in queue.list_queue(db)] == [running.id]
    assert queue.request_cancels(db, ids[1:]) == 0
