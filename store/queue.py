"""The queue of jobs: put in, taken out by the one worker, ended. Nothing is lost in between.

What happens when a worker starts is in `store.recovery`, what it hands in in `store.results`;
both are reachable from here.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from store.database import Database
from store.epochs import check_epoch, hold
from store.errors import StoreError
from store.inputs import check_inputs
from store.records import Job, JobState, Purpose, Relation
from store.recovery import list_spooled, start_epoch
from store.request import Request
from store.results import finish, finish_comparison
from store.rows import load_requests, store_request
from store.tables import ImageRow, JobRow
from store.values import find_row, to_jobs

__all__ = [
    "claim",
    "count_active",
    "enqueue",
    "enqueue_comparison",
    "fail",
    "finish",
    "finish_comparison",
    "get_job",
    "is_cancel_requested",
    "list_jobs",
    "list_spooled",
    "read_wire",
    "record_wire",
    "release",
    "request_cancel",
    "retry",
    "start_epoch",
]


def enqueue(
    db: Database,
    requests: Sequence[Request],
    *,
    purpose: Purpose = Purpose.GENERATE,
    session: str | None = None,
    parent_id: str | None = None,
    relation: Relation | None = None,
) -> list[Job]:
    """Put one job a request into the queue, all or none, in their order.

    `parent_id` is the image that they came from, `relation` how. Raises `NotFound` when
    there is no such image, `RequestError` when a file that one starts from is not kept.
    """
    with db.write() as write:
        if parent_id is not None:
            parent_id = find_row(write, ImageRow, parent_id).id
        rows = []
        for request in requests:
            check_inputs(write, request)
            row = JobRow(
                id=uuid.uuid4().hex,
                request_digest=store_request(write, request),
                purpose=purpose.value,
                state=JobState.WAITING.value,
                created_at=time.time(),
                session=session,
                parent_id=parent_id,
                relation=relation.value if relation else None,
            )
            write.add(row)
            # One after the other: the number is the place in the queue.
            write.flush()
            rows.append(row)
        return to_jobs(write, rows, {})


def enqueue_comparison(db: Database, image_id: str, purpose: Purpose) -> Job:
    """Put in a job that makes a past image again, to compare (and to keep, for REGENERATE).

    Raises `NotFound`, or `StoreError` when the stored request is damaged: what would be
    made is then not what was recorded.
    """
    with db.write() as write:
        image = find_row(write, ImageRow, image_id)
        request, is_damaged = load_requests(write, [image.request_digest])[image.request_digest]
        if is_damaged:
            raise StoreError(
                f"The record of the image {image.id[:8]} is damaged, so it cannot be made again.",
                "Its record shows which fields differ.",
            )
        row = JobRow(
            id=uuid.uuid4().hex,
            request_digest=store_request(write, request),
            purpose=purpose.value,
            state=JobState.WAITING.value,
            created_at=time.time(),
            session=image.session,
            parent_id=image.id,
        )
        write.add(row)
        write.flush()
        return to_jobs(write, [row], {})[0]


def claim(db: Database, epoch: int) -> Job | None:
    """Take the oldest waiting job to run it, None when there is none.

    Raises `StoreError` when a later worker has started.
    """
    with db.write() as write:
        check_epoch(write, epoch)
        oldest = (
            select(col(JobRow.number))
            .where(col(JobRow.state) == JobState.WAITING.value)
            .order_by(col(JobRow.number))
            .limit(1)
            .scalar_subquery()
        )
        row = write.scalars(
            update(JobRow)
            .where(col(JobRow.number) == oldest)
            .values(
                state=JobState.RUNNING.value,
                epoch=epoch,
                attempts=JobRow.attempts + 1,
                started_at=time.time(),
            )
            .returning(JobRow)
        ).first()
        return to_jobs(write, [row], {})[0] if row else None


def record_wire(db: Database, job_id: str, message: bytes) -> None:
    """Keep the exact bytes that are about to be sent for a running job."""
    values = {"wire": message, "wire_sha256": hashlib.sha256(message).hexdigest()}
    with db.write() as write:
        if not _update(write, job_id, values, col(JobRow.state) == JobState.RUNNING.value):
            raise StoreError(f"The job {job_id} is not running, so nothing may be sent for it.")


def read_wire(db: Database, job_id: str) -> bytes | None:
    """The bytes that were recorded before they were sent, None for an engine without a wire."""
    with db.read() as read:
        return find_row(read, JobRow, job_id).wire


def request_cancel(db: Database, job_id: str) -> Job:
    """Cancel a waiting job at once, ask the worker to end a running one.

    A job that has ended stays as it is.
    """
    with db.write() as write:
        row = find_row(write, JobRow, job_id)
        if row.state == JobState.WAITING.value:
            row.state = JobState.CANCELLED.value
            row.finished_at = time.time()
        elif row.state == JobState.RUNNING.value:
            row.cancel_requested = True
        write.add(row)
        write.flush()
        return to_jobs(write, [row], db.live.read([row.id]))[0]


def is_cancel_requested(db: Database, job_id: str) -> bool:
    """Whether somebody asked for the end of this job, or it is no longer running at all."""
    with db.read() as read:
        statement = select(JobRow.cancel_requested, JobRow.state)
        found = read.exec(statement.where(col(JobRow.id) == job_id)).first()
        return found is None or bool(found[0]) or found[1] != JobState.RUNNING.value


def fail(
    db: Database,
    job_id: str,
    epoch: int,
    kind: str,
    error: str,
    *,
    state: JobState = JobState.FAILED,
    warning: str | None = None,
) -> Job:
    """End a running job without an image; `state` may also be cancelled, unknown, set aside.

    `warning`: what the engine said before it failed.

    Answers that were spooled stay on disk. Raises `StoreError` when it is no longer ours.
    """
    if state is JobState.DONE or not state.is_final:
        raise ValueError(f"a job cannot fail into the state {state}")
    with db.write() as write:
        row = hold(write, job_id, epoch)
        row.state = state.value
        row.error_kind = kind
        row.error = error
        row.warning = warning
        row.finished_at = time.time()
        write.add(row)
        write.flush()
        job = to_jobs(write, [row], {})[0]
    db.live.remove(job_id)
    return job


def release(db: Database, job_id: str, epoch: int) -> Job:
    """Put a running job back in its place, because the worker leaves in good order.

    Only for an engine that costs nothing. It does not count as an attempt.
    """
    with db.write() as write:
        row = hold(write, job_id, epoch)
        row.state = JobState.CANCELLED.value if row.cancel_requested else JobState.WAITING.value
        row.attempts = max(0, row.attempts - 1)
        row.started_at = None
        write.add(row)
        write.flush()
        job = to_jobs(write, [row], {})[0]
    db.live.remove(job_id)
    return job


def retry(db: Database, job_id: str) -> Job:
    """Let a job that ended without an image run again, with the same id and seed.

    For a paid engine it may be charged again: ask first. Answers of the last run are put
    aside, not thrown away. Raises `StoreError` for a job that is done or has not ended.
    """
    again = (JobState.FAILED, JobState.CANCELLED, JobState.UNKNOWN, JobState.SET_ASIDE)
    with db.write() as write:
        row = find_row(write, JobRow, job_id)
        if row.state not in [state.value for state in again]:
            raise StoreError(
                f"The job {row.id[:8]} is {row.state}, so it cannot be tried again.",
                "Only a job that ended without an image can.",
            )
        db.vault.put_spool_aside(row.id)
        row.state = JobState.WAITING.value
        row.attempts = 0
        row.cancel_requested = False
        row.error_kind = row.error = row.warning = None
        row.started_at = row.finished_at = None
        write.add(row)
        write.flush()
        return to_jobs(write, [row], {})[0]


def get_job(db: Database, reference: str) -> Job:
    """The job whose id begins with `reference` (`@1` is the newest), with its progress.

    Raises `NotFound`.
    """
    with db.read() as read:
        row = find_row(read, JobRow, reference)
        return to_jobs(read, [row], db.live.read([row.id]))[0]


def list_jobs(
    db: Database, *, states: Collection[JobState] | None = None, limit: int = 100
) -> list[Job]:
    """Up to `limit` jobs, newest first, in any of `states`; with progress of running ones."""
    statement = select(JobRow).order_by(col(JobRow.number).desc()).limit(limit)
    if states is not None:
        statement = statement.where(col(JobRow.state).in_([state.value for state in states]))
    with db.read() as read:
        rows = read.exec(statement).all()
        running = [row.id for row in rows if row.state == JobState.RUNNING.value]
        return to_jobs(read, rows, db.live.read(running))


def count_active(db: Database) -> int:
    """How many jobs are waiting or running."""
    active = [state.value for state in JobState if not state.is_final]
    statement = select(func.count()).select_from(JobRow).where(col(JobRow.state).in_(active))
    with db.read() as read:
        return read.exec(statement).one()


def _update(write: Session, job_id: str, values: dict[str, Any], *conditions: Any) -> bool:
    statement = update(JobRow).where(col(JobRow.id) == job_id, *conditions).values(**values)
    return bool(write.connection().execute(statement).rowcount)
