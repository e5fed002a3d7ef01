"""Runs of verifications: many past images, each made again when no job of a person waits.

A run is a list of images in a fixed order. The worker takes the next one as a job of its own, so
there is never more than one job of all runs, and everything that holds for jobs holds for it. Of
several runs the newest goes first: a short one need not wait for all that a long one has left.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from store import queue
from store.batches import divide
from store.damage import mend
from store.database import Database
from store.errors import StoreError
from store.mapping import (
    as_text,
    find_background,
    store_verification,
    to_verification,
    to_word,
)
from store.records import Comparison, Job, JobState, RunResult, RunState, Serving, VerificationRun
from store.seals import seal_verification
from store.serving import ask, list_unserved
from store.sqlite import unwrap
from store.tables import (
    ImageRow,
    JobRow,
    RequestRow,
    VerificationRow,
    VerificationRunImageRow,
    VerificationRunRow,
)
from store.turns import is_paused

CHUNK = 20_000
"""How many images of a new run are written in one transaction."""

_OPEN = tuple(state for state in RunState if not state.is_final)


class NextImage(msgspec.Struct, frozen=True, kw_only=True):
    """The image of a run that is to be verified next."""

    run_number: int
    position: int
    image_number: int
    image_id: str


def choose_sample(numbers: Sequence[int], count: int, seed: int) -> list[int]:
    """`count` of these images, in their order; the same ones wherever numbers and seed are."""

    def rank(number: int) -> bytes:
        return hashlib.sha256(f"{seed} {number}".encode()).digest()

    chosen = set(sorted(numbers, key=rank)[:count])
    return [number for number in numbers if number in chosen]


def begin_run(
    db: Database, search: str, numbers: Sequence[int], *, wanted: Serving | None = None
) -> VerificationRun:
    """A run over the images with these numbers, in their order.

    `search` says what chose them, `wanted` what their jobs are to be run with, as for
    `queue.enqueue`. Raises `StoreError` where there is no image.
    """
    if not numbers:
        raise StoreError("There is no image to verify.")
    run = VerificationRunRow(
        id=uuid.uuid4().hex,
        search=search,
        state=RunState.PREPARING.value,
        created_at=time.time(),
    )
    with db.write() as write:
        write.add(run)
        write.flush()
        number = run.number or 0
    position = 0
    for chunk in divide(numbers, CHUNK):
        rows = [(number, place, image) for place, image in enumerate(chunk, position + 1)]
        with db.write() as write:
            unwrap(write).executemany(
                "INSERT INTO verification_run_image (run_number, position, image_number)"
                " VALUES (?, ?, ?)",
                rows,
            )
        position += len(rows)
    with db.write() as write:
        ask(write, wanted, _list_engines(write, number))
        # Whoever has given it up meanwhile is right.
        _set_state(write, number, RunState.RUNNING, [RunState.PREPARING])
        return _to_run(write, _find(write, run.id))


def _list_engines(session: Session, run_number: int) -> list[str]:
    """The engines of all images of a run."""
    digests = (
        select(ImageRow.request_digest)
        .join(
            VerificationRunImageRow,
            col(VerificationRunImageRow.image_number) == col(ImageRow.number),
        )
        .where(col(VerificationRunImageRow.run_number) == run_number)
    )
    engines = select(RequestRow.engine).where(col(RequestRow.digest).in_(digests)).distinct()
    return list(session.exec(engines).all())


def list_runs(db: Database, limit: int = 50) -> list[VerificationRun]:
    """Up to `limit` runs, newest first."""
    statement = select(VerificationRunRow).order_by(col(VerificationRunRow.number).desc())
    with db.read() as read:
        return [_to_run(read, row) for row in read.exec(statement.limit(limit))]


def get_run(db: Database, reference: str) -> VerificationRun:
    """The run whose id begins with `reference` (`@1` is the newest). Raises `NotFound`."""
    with db.read() as read:
        return _to_run(read, _find(read, reference))


def pause_run(db: Database, reference: str) -> VerificationRun:
    """Take no further image of a run until it is resumed; the one that is made is ended."""
    return _change(db, reference, RunState.PAUSED, (RunState.RUNNING,), "paused")


def resume_run(db: Database, reference: str, *, wanted: Serving | None = None) -> VerificationRun:
    """Go on with a paused run. `wanted`: as for `begin_run`."""
    with db.write() as write:
        ask(write, wanted, _list_engines(write, _find(write, reference).number or 0))
    return _change(db, reference, RunState.RUNNING, (RunState.PAUSED,), "resumed")


def cancel_run(db: Database, reference: str) -> VerificationRun:
    """End a run; the image that is made now is stopped too. What was found is kept."""
    run = _change(db, reference, RunState.CANCELLED, _OPEN, "cancelled")
    with db.read() as read:
        job_id = _find_current_job(read, run.number)
    if job_id is not None:
        queue.request_cancel(db, job_id)
    return run


def cancel_open_runs(db: Database) -> int:
    """End all runs; of how many. The image that is made now is not stopped."""
    total = 0
    with db.write() as write:
        states = [state.value for state in _OPEN]
        open_runs = select(VerificationRunRow.number).where(
            col(VerificationRunRow.state).in_(states)
        )
        for number in write.exec(open_runs).all():
            total += _set_state(write, number or 0, RunState.CANCELLED, _OPEN)
    return total


def _change(
    db: Database, reference: str, state: RunState, before: Sequence[RunState], word: str
) -> VerificationRun:
    with db.write() as write:
        row = _find(write, reference)
        if not _set_state(write, row.number or 0, state, before):
            raise StoreError(
                f"The run {row.id[:8]} is {row.state}, so it cannot be {word}.",
                f"Only one that is {' or '.join(before)} can.",
            )
        write.expire(row)
        return _to_run(write, _find(write, reference))


def _set_state(write: Session, number: int, state: RunState, before: Sequence[RunState]) -> bool:
    """Whether the run was in one of the states `before`; it is in `state` then."""
    statement = (
        update(VerificationRunRow)
        .where(
            col(VerificationRunRow.number) == number,
            col(VerificationRunRow.state).in_([each.value for each in before]),
        )
        .values(state=state.value, finished_at=time.time() if state.is_final else None)
    )
    return bool(write.connection().execute(statement).rowcount)


def is_pending(db: Database) -> bool:
    """Whether a run has something for a worker to do; none has while the queue is paused."""
    statement = select(VerificationRunRow.number).limit(1)
    with db.read() as read:
        if is_paused(read):
            return False
        running = col(VerificationRunRow.state) == RunState.RUNNING.value
        return read.exec(statement.where(running)).first() is not None


# For the worker


def find_next(db: Database, serving: Serving | None = None) -> NextImage | None:
    """The image that is to be verified next, of the newest run that goes on; none while the queue
    is paused.

    Images of engines that `serving` may not run are left to another worker. A run of which none is
    left is ended here.
    """
    running = select(VerificationRunRow).where(
        col(VerificationRunRow.state) == RunState.RUNNING.value
    )
    ended = []
    found = None
    with db.read() as read:
        if is_paused(read):
            return None
        unserved = list_unserved(read, serving)
        for run in read.exec(running.order_by(col(VerificationRunRow.number).desc())):
            number = run.number or 0
            total, taken = _count_images(read, number)
            if taken == total:
                ended.append(number)
                continue
            row = read.get_one(VerificationRunImageRow, (number, taken + 1))
            image = read.get_one(ImageRow, row.image_number)
            request = read.get(RequestRow, image.request_digest)
            if request is not None and request.engine in unserved:
                continue
            found = NextImage(
                run_number=number,
                position=row.position,
                image_number=row.image_number,
                image_id=image.id,
            )
            break
    for number in ended:
        with db.write() as write:
            if _find_current_job(write, number) is None:
                _set_state(write, number, RunState.DONE, [RunState.RUNNING])
    return found


def claim_next(
    db: Database, image: NextImage, fencing_token: int, serving: Serving | None = None
) -> Job | None:
    """The job that verifies `image`, running under this token.

    None when a job of a person waits now, or the run does not go on. Raises `Superseded` as
    `queue.claim` does, and `StoreError` where the record is damaged.
    """
    with db.write() as write:
        queue.check_fencing_token(write, fencing_token)
        if (row := _take(write, image)) is None:
            return None
        job = queue.start_verification(write, image.image_id, fencing_token, serving)
        row.job_id = job.id
        write.add(row)
        return job


def add_verdict(db: Database, image: NextImage, fencing_token: int, comparison: Comparison) -> bool:
    """Store what was found without making `image` again.

    False when a job of a person waits now, or the run does not go on. Raises `Superseded`.
    """
    with db.write() as write:
        queue.check_fencing_token(write, fencing_token)
        row = _take(write, image)
        if row is None:
            return False
        verification = store_verification(write, image.image_id, comparison)
        seal_verification(write, verification.number or 0)
        row.verification_number = verification.number
        write.add(row)
        return True


def _take(write: Session, image: NextImage) -> VerificationRunImageRow | None:
    """The row of `image` in its run, while that goes on, nobody has taken it and no job waits."""
    if is_paused(write) or queue.is_any_waiting(write):
        return None
    run = write.get(VerificationRunRow, image.run_number)
    row = write.get(VerificationRunImageRow, (image.run_number, image.position))
    if run is None or run.state != RunState.RUNNING.value or row is None or _is_taken(row):
        return None
    return row


# What was found


def list_results(
    db: Database, run_number: int, *, after: int = 0, limit: int = 200
) -> list[RunResult]:
    """Up to `limit` images of a run in their order, from the position behind `after` on."""
    statement = (
        select(VerificationRunImageRow, ImageRow, JobRow, VerificationRow)
        .join(ImageRow, col(ImageRow.number) == col(VerificationRunImageRow.image_number))
        .outerjoin(JobRow, col(JobRow.id) == col(VerificationRunImageRow.job_id))
        .outerjoin(VerificationRow, col(VerificationRow.number) == _verification_number())
        .where(
            col(VerificationRunImageRow.run_number) == run_number,
            col(VerificationRunImageRow.position) > after,
        )
        .order_by(col(VerificationRunImageRow.position))
        .limit(limit)
    )
    with db.read() as read:
        return [
            RunResult(
                position=mend(row)[0].position,
                image_number=row.image_number,
                image_id=as_text(image.id),
                pixels_sha256=as_text(image.pixels_sha256),
                state=to_word(JobState, job.state, JobState.SET_ASIDE) if job else None,
                error=mend(job)[0].error if job else None,
                verification=to_verification(verification) if verification else None,
            )
            for row, image, job, verification in read.exec(statement)
        ]


def count_verdicts(db: Database, run_number: int, *, after: int, until: int) -> dict[str, int]:
    """How many images between two positions (`after` left out) have which verdict.

    `not verified`: those whose job ended without one.
    """
    statement = (
        select(VerificationRow.verdict, func.count())
        .select_from(VerificationRunImageRow)
        .outerjoin(JobRow, col(JobRow.id) == col(VerificationRunImageRow.job_id))
        .outerjoin(VerificationRow, col(VerificationRow.number) == _verification_number())
        .where(
            col(VerificationRunImageRow.run_number) == run_number,
            col(VerificationRunImageRow.position) > after,
            col(VerificationRunImageRow.position) <= until,
        )
        .group_by(col(VerificationRow.verdict))
    )
    with db.read() as read:
        return {verdict or NOT_VERIFIED: count for verdict, count in read.exec(statement)}


NOT_VERIFIED = "not verified"


def _verification_number() -> Any:
    """Of the verdict on an image of a run: its job's, or its own where no job was needed."""
    return func.coalesce(VerificationRunImageRow.verification_number, JobRow.verification_number)


# Rows


def _find(session: Session, reference: str) -> VerificationRunRow:
    return find_background(session, VerificationRunRow, reference, "run", "runs")


def _to_run(session: Session, row: VerificationRunRow) -> VerificationRun:
    row = mend(row)[0]
    number = row.number or 0
    state = to_word(RunState, row.state, RunState.CANCELLED)
    total, taken = _count_images(session, number)
    job = _find_job(session, number, taken)
    # What was interrupted by the end of its run is as what is still to come.
    is_interrupted = (
        state is RunState.CANCELLED and job is not None and job.state is JobState.CANCELLED
    )
    has_had_its_turn = job is None or (job.state.is_final and not is_interrupted)
    return VerificationRun(
        number=number,
        id=row.id,
        search=row.search,
        state=state,
        created_at=row.created_at,
        finished_at=row.finished_at,
        total=total,
        done=taken if has_had_its_turn else taken - 1,
    )


def _is_taken(row: VerificationRunImageRow) -> bool:
    return row.job_id is not None or row.verification_number is not None


def _count_images(session: Session, number: int) -> tuple[int, int]:
    """How many images a run has, which is its highest position, and how many were taken.

    They are taken in their order, so halving finds the first that nobody has taken with twenty
    looks among a million.
    """
    connection = unwrap(session)
    # A damaged position may be a word.
    last = (
        "SELECT position FROM verification_run_image"
        " WHERE run_number = ? AND typeof(position) = 'integer' ORDER BY position DESC LIMIT 1"
    )
    found = connection.execute(last, (number,)).fetchone()
    total: int = found[0] if found else 0
    low, high = 1, total + 1
    taken = total
    while low < high:
        middle = (low + high) // 2
        row = connection.execute(_FROM, (number, middle)).fetchone()
        if row is None:
            high = middle
        elif row[1]:
            low = row[0] + 1
        else:
            high, taken = middle, row[0] - 1
    return total, taken


_FROM = (
    "SELECT position, job_id IS NOT NULL OR verification_number IS NOT NULL"
    " FROM verification_run_image WHERE run_number = ? AND position >= ?"
    " ORDER BY position LIMIT 1"
)
"""The image of a run at a position, or the next one that there is, and whether it was taken."""


class _RunJob(NamedTuple):
    """The job that an image of a run was taken with."""

    id: str
    state: JobState


def _find_job(session: Session, number: int, position: int) -> _RunJob | None:
    """The job of the image at a position; None where none was needed, or it is gone."""
    row = session.get(VerificationRunImageRow, (number, position))
    if row is None or row.job_id is None:
        return None
    state = session.exec(select(JobRow.state).where(col(JobRow.id) == row.job_id)).first()
    if state is None:
        return None
    return _RunJob(row.job_id, to_word(JobState, state, JobState.SET_ASIDE))


def _find_current_job(session: Session, number: int) -> str | None:
    """The job of a run that has not ended, None when there is none."""
    _, taken = _count_images(session, number)
    job = _find_job(session, number, taken)
    return None if job is None or job.state.is_final else job.id
