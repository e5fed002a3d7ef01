"""The queue of jobs: put in, taken out by the one worker, ended. Nothing is lost in between.

The one worker holds a lock for its life, so when it starts each running job is an orphan; no
clock and no time limit takes part. It takes a fencing token, one higher than the last worker's,
and only the worker with the newest token may claim and end jobs: one that was thought dead
cannot end a job twice. Which of them may run a job is in `serving.py`.

The order of storing keeps promises through a power cut: first the file and the names that lead
to it, then the row and the end of its job in one transaction, then the word that it is saved.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
import uuid
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import exists, func, or_, update
from sqlmodel import Session, col, select

from store.batches import divide
from store.concealment import (
    check_prompts,
    conceal_comparison,
    conceal_environment,
    conceal_result,
)
from store.database import Database
from store.errors import NotFound, StoreError, Superseded, Unavailable
from store.inputs import check_inputs
from store.known_secrets import conceal
from store.mapping import (
    find_row,
    join_prompts,
    load_requests,
    store_environment,
    store_image,
    store_request,
    store_verification,
    to_images,
    to_jobs,
    to_verification,
)
from store.records import (
    Comparison,
    EnvironmentRecord,
    Image,
    Job,
    JobState,
    Purpose,
    Relation,
    Result,
    SeriesRequest,
    Serving,
    Turn,
    Verification,
)
from store.request import Request
from store.seals import seal_image, seal_verification
from store.serving import (
    ask,
    find_number,
    has_taken_over,
    list_conditions,
    read_token,
    take_over,
)
from store.sqlite import is_busy
from store.tables import (
    ImageRow,
    JobRow,
    RequestRow,
    ThinnedRow,
    VerificationRow,
    VerificationRunImageRow,
)
from store.thinning import restore_file
from store.turns import is_paused, rank_jobs
from store.vault import suffix_of

LOOK_AGAIN_SECONDS = (0.1, 0.5, 2.0)
"""How long to wait before it is looked again whether what was queued is there."""

USUAL_TURN = Turn()

ATTEMPTS = 2
"""A job that ended its worker this often is set aside."""


def recover(db: Database, *, paid_engines: Collection[str], serving: Serving | None = None) -> int:
    """Put right what the last worker left, and return the new worker's fencing token.

    Only while holding the worker's lock. `serving`: what this worker runs jobs with.

    A running job of a free engine goes back to its place in the queue (or is cancelled, when
    that was asked for). One of a paid engine becomes unknown, because it may have been
    charged; with answers in its spool it stays running under the new token, for `list_spooled`.
    A job that ended its worker twice is set aside.
    """
    with db.write() as write:
        if serving is not None and not has_taken_over(write):
            _seal_what_was_not(write)
        fencing_token = take_over(write, serving)
        orphans = write.exec(
            select(JobRow, RequestRow.engine)
            .join(RequestRow, col(RequestRow.digest) == col(JobRow.request_digest))
            .where(col(JobRow.state) == JobState.RUNNING.value)
        ).all()
        for row, engine in orphans:
            is_paid = engine in paid_engines
            _recover(row, is_paid, is_paid and _has_answers(db, row.id), fencing_token)
            write.add(row)
    db.progress.clear()
    with contextlib.suppress(OSError):
        db.vault.remove_leftovers()
    _remove_spools(db)
    return fencing_token


def _remove_spools(db: Database) -> None:
    """Remove the answers of jobs that are done, which could not be removed at their end."""
    with contextlib.suppress(OSError, Unavailable):
        ids = db.vault.list_spools()
        with db.read() as read:
            done = select(JobRow.id).where(
                col(JobRow.id).in_(ids[:1000]), col(JobRow.state) == JobState.DONE.value
            )
            for job_id in read.exec(done).all() if ids else ():
                db.vault.clear_spool(job_id)


def list_spooled(db: Database, fencing_token: int) -> list[Job]:
    """The jobs that are running under this token with answers in their spool, oldest first.

    To be recovered from those answers before the first job is claimed.
    """
    with db.read() as read:
        rows = read.exec(
            select(JobRow)
            .where(col(JobRow.state) == JobState.RUNNING.value, col(JobRow.epoch) == fencing_token)
            .order_by(col(JobRow.number))
        ).all()
        return to_jobs(read, [row for row in rows if _has_answers(db, row.id)], {})


def enqueue(
    db: Database,
    requests: Sequence[Request],
    *,
    purpose: Purpose = Purpose.GENERATE,
    session: str | None = None,
    parent_id: str | None = None,
    relation: Relation | None = None,
    profile: str | None = None,
    wanted: Serving | None = None,
    turn: Turn = USUAL_TURN,
) -> list[Job]:
    """Put one job a request into the queue, all or none, in their order.

    `parent_id` is the image that they came from, `relation` how, `profile` the host to ask,
    `wanted` what they are to be run with, or something newer (None: by any worker), `turn` where
    they come.
    Raises `NotFound` when there is no such image, `RequestError` when a file that one starts
    from is not kept, or a known secret stands in a prompt.
    """
    for request in requests:
        check_prompts(request)
    with _put_in(db) as (write, jobs):
        if parent_id is not None:
            parent_id = find_row(write, ImageRow, parent_id).id
        rows = []
        program = ask(write, wanted, [request.engine for request in requests])
        for request in requests:
            check_inputs(db, write, request)
            row = JobRow(
                id=uuid.uuid4().hex,
                request_digest=store_request(write, request),
                purpose=purpose.value,
                state=JobState.WAITING.value,
                created_at=time.time(),
                session=session,
                parent_id=parent_id,
                relation=relation.value if relation else None,
                profile=profile,
                program=program,
            )
            write.add(row)
            # One after the other: in the order of their numbers they are made.
            write.flush()
            rows.append(row)
        rank_jobs(write, rows, turn)
        write.flush()
        jobs += to_jobs(write, rows, {})
    return jobs


@contextlib.contextmanager
def _put_in(db: Database) -> Iterator[tuple[Session, list[Job]]]:
    """A transaction, and the list for the jobs that it queues.

    An error of the disk just after the commit is none: what is queued is never called not queued.
    """
    jobs: list[Job] = []
    try:
        with db.write() as write:
            yield write, jobs
    except StoreError as error:
        # What only waited in vain was not committed.
        if not jobs or (error.__cause__ is not None and is_busy(error.__cause__)):
            raise
        is_queued = _are_queued(db, jobs)
        if is_queued is None:
            names = ", ".join(job.id[:8] for job in jobs)
            raise StoreError(
                f"{error.message} Whether it was queued cannot be seen now; it would be {names}.",
                "`safelight jobs` tells as soon as the history can be read.",
            ) from error
        if not is_queued:
            raise


def _are_queued(db: Database, jobs: Sequence[Job]) -> bool | None:
    """Whether these jobs are there; None where that could not be read for some seconds."""
    wanted = col(JobRow.id).in_([job.id for job in jobs])
    for pause in (*LOOK_AGAIN_SECONDS, 0.0):
        try:
            with db.read() as read:
                return read.exec(select(func.count()).where(wanted)).one() == len(jobs)
        except StoreError:
            time.sleep(pause)
    return None


def enqueue_comparison(
    db: Database,
    image_id: str,
    purpose: Purpose,
    *,
    profile: str | None = None,
    wanted: Serving | None = None,
) -> Job:
    """Put in a job that makes a past image again, to compare (and to keep, for REGENERATE).

    `wanted`: as for `enqueue`.
    Raises `NotFound`, or `StoreError` when the stored request is damaged: what would be
    made is then not what was recorded.
    """
    with _put_in(db) as (write, jobs):
        row = _make_comparison(write, image_id, purpose)
        row.profile = profile
        engine = select(RequestRow.engine).where(col(RequestRow.digest) == row.request_digest)
        row.program = ask(write, wanted, [write.exec(engine).one()])
        write.add(row)
        write.flush()
        rank_jobs(write, [row], USUAL_TURN)
        write.flush()
        jobs += to_jobs(write, [row], {})
    return jobs[0]


def _make_comparison(write: Session, image_id: str, purpose: Purpose) -> JobRow:
    """A waiting job that makes an image again, not added yet. Raises `NotFound`, `StoreError`."""
    image = find_row(write, ImageRow, image_id)
    if purpose is Purpose.RESTORE and write.get(ThinnedRow, image.number) is None:
        raise StoreError(f"The image {image.id[:8]} has its pixels: there is nothing to restore.")
    request, is_damaged = load_requests(write, [image.request_digest])[image.request_digest]
    if is_damaged:
        raise StoreError(
            f"The record of the image {image.id[:8]} is damaged, so it cannot be made again.",
            "Its record shows which fields differ.",
        )
    return JobRow(
        id=uuid.uuid4().hex,
        request_digest=store_request(write, request),
        purpose=purpose.value,
        state=JobState.WAITING.value,
        created_at=time.time(),
        session=image.session,
        parent_id=image.id,
    )


def claim(db: Database, fencing_token: int, serving: Serving | None = None) -> Job | None:
    """Take the next waiting job that `serving` may run (None: any), None when there is none.

    None too while the queue is paused.
    Raises `Superseded` when a later worker has started, or who queued a job wants another one.
    """
    with db.write() as write:
        check_fencing_token(write, fencing_token)
        if is_paused(write):
            return None
        following = (
            select(col(JobRow.number))
            .where(col(JobRow.state) == JobState.WAITING.value, *list_conditions(write, serving))
            .order_by(col(JobRow.rank), col(JobRow.number))
            .limit(1)
            .scalar_subquery()
        )
        row = write.scalars(
            update(JobRow)
            .where(col(JobRow.number) == following)
            .values(
                state=JobState.RUNNING.value,
                epoch=fencing_token,
                attempts=JobRow.attempts + 1,
                started_at=time.time(),
            )
            .returning(JobRow)
        ).first()
        return to_jobs(write, [row], {})[0] if row else None


def reclaim(db: Database, fencing_token: int, paid_engines: Collection[str]) -> Job | None:
    """The job that runs under this token though its worker runs none, None when there is none.

    A disk that fails just after a commit hides it from who made it. One that may have been sent to
    a paid engine becomes unknown; one that was lost so too often is set aside. Raises `Superseded`.
    """
    running = (
        select(JobRow, RequestRow.engine)
        .join(RequestRow, col(RequestRow.digest) == col(JobRow.request_digest))
        .where(col(JobRow.state) == JobState.RUNNING.value, col(JobRow.epoch) == fencing_token)
        .order_by(col(JobRow.number))
    )
    with db.read() as read:
        if read.exec(running.limit(1)).first() is None:
            return None
    with db.write() as write:
        check_fencing_token(write, fencing_token)
        for row, engine in write.exec(running).all():
            is_paid = engine in paid_engines and row.wire_sha256 is not None
            if not is_paid and row.attempts <= ATTEMPTS:
                row.attempts += 1
                write.add(row)
                write.flush()
                return to_jobs(write, [row], {})[0]
            _recover(row, is_paid, False, fencing_token)
            write.add(row)
    return None


def is_any_waiting(session: Session) -> bool:
    """Whether any job waits, for whomever."""
    waiting = select(JobRow.number).where(col(JobRow.state) == JobState.WAITING.value)
    return session.exec(waiting.limit(1)).first() is not None


def start_verification(
    write: Session, image_id: str, fencing_token: int, serving: Serving | None = None
) -> Job:
    """A job that verifies an image, running at once under this token.

    It asks for nothing but the program in `serving`. Raises as `enqueue_comparison`.
    """
    row = _make_comparison(write, image_id, Purpose.VERIFY)
    row.program = None if serving is None else find_number(write, serving.program)
    row.state = JobState.RUNNING.value
    row.epoch = fencing_token
    row.attempts = 1
    row.started_at = time.time()
    write.add(row)
    write.flush()
    # Where it comes again should its worker die.
    rank_jobs(write, [row], USUAL_TURN)
    write.flush()
    return to_jobs(write, [row], {})[0]


def start_making(
    db: Database,
    write: Session,
    wanted: SeriesRequest,
    session: str | None,
    fencing_token: int,
    serving: Serving | None = None,
) -> Job:
    """A job that makes an image of a series, running at once under this token.

    Raises `RequestError` where a file that it starts from is not kept any more.
    """
    check_inputs(db, write, wanted.request)
    parent = select(ImageRow.id).where(col(ImageRow.id) == wanted.parent_id)
    has_parent = wanted.parent_id is not None and write.exec(parent).first() is not None
    row = JobRow(
        id=uuid.uuid4().hex,
        request_digest=store_request(write, wanted.request),
        purpose=Purpose.GENERATE.value,
        state=JobState.RUNNING.value,
        created_at=time.time(),
        started_at=time.time(),
        epoch=fencing_token,
        attempts=1,
        session=session,
        parent_id=wanted.parent_id if has_parent else None,
        relation=wanted.relation.value if has_parent and wanted.relation else None,
        profile=wanted.profile,
        program=None if serving is None else find_number(write, serving.program),
    )
    write.add(row)
    write.flush()
    rank_jobs(write, [row], USUAL_TURN)
    write.flush()
    return to_jobs(write, [row], {})[0]


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


def finish(db: Database, job: Job, fencing_token: int, result: Result) -> Image:
    """Store the image that a job made and end the job; on disk when this returns.

    Raises `StoreError` when the job is no longer this worker's; nothing is recorded then.
    """
    result = conceal_result(result)
    sha256 = db.vault.put(result.data, suffix_of(result.mime))
    with db.write() as write:
        row = _hold(write, job.id, fencing_token)
        db.vault.ensure(result.data, suffix_of(result.mime))
        image = _store_image(write, job, row, result, sha256)
        _end(write, row, result.warning)
        seal_image(write, image.number or 0)
        stored = to_images(db.vault, write, [image])[0]
    _forget(db, job)
    return stored


def finish_comparison(
    db: Database,
    job: Job,
    fencing_token: int,
    comparison: Comparison,
    *,
    result: Result | None,
    environment: EnvironmentRecord | None = None,
    warning: str | None = None,
) -> Verification:
    """Store what a comparison found and end its job.

    `result` is what is to be kept of what was made, as the job's purpose wants: for REGENERATE as
    a child of the original; for RESTORE as its file, which is then the recorded one. `environment`
    is what it was made with, `warning` what the engine said meanwhile. Raises `StoreError` when
    the job is no longer this worker's.
    """
    result = None if result is None else conceal_result(result)
    comparison = conceal_comparison(comparison)
    warning = None if warning is None else conceal(warning)
    sha256 = db.vault.put(result.data, suffix_of(result.mime)) if result is not None else ""
    with db.write() as write:
        row = _hold(write, job.id, fencing_token)
        if row.parent_id is None:
            raise StoreError(f"The job {job.id} compares nothing: it has no parent image.")
        child = None
        if result is not None and job.purpose is Purpose.REGENERATE:
            db.vault.ensure(result.data, suffix_of(result.mime))
            child = _store_image(write, job, row, result, sha256)
        elif result is not None:
            restore_file(db, write, find_row(write, ImageRow, row.parent_id), result.data)
        around = environment or (result.environment if result is not None else None)
        verification = store_verification(
            write,
            row.parent_id,
            comparison,
            job_id=row.id,
            regenerated_id=child.id if child else None,
            environment_digest=(
                store_environment(write, conceal_environment(around)) if around else None
            ),
        )
        row.verification_number = verification.number
        _end(write, row, warning or (result.warning if result else None))
        if child is not None:
            seal_image(write, child.number or 0)
        seal_verification(write, verification.number or 0)
        stored = to_verification(verification)
    _forget(db, job)
    return stored


def fail(
    db: Database,
    job_id: str,
    fencing_token: int,
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
        row = _hold(write, job_id, fencing_token)
        row.state = state.value
        row.error_kind = kind
        row.error = conceal(error)
        row.warning = None if warning is None else conceal(warning)
        row.finished_at = time.time()
        write.add(row)
        write.flush()
        job = to_jobs(write, [row], {})[0]
    db.progress.remove(job_id)
    return job


def release(db: Database, job_id: str, fencing_token: int) -> Job:
    """Put a running job back in its place, because the worker leaves in good order.

    Only for an engine that costs nothing. It does not count as an attempt.
    """
    with db.write() as write:
        row = _hold(write, job_id, fencing_token)
        row.state = JobState.CANCELLED.value if row.cancel_requested else JobState.WAITING.value
        row.attempts = max(0, row.attempts - 1)
        row.started_at = None
        write.add(row)
        write.flush()
        job = to_jobs(write, [row], {})[0]
    db.progress.remove(job_id)
    return job


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
        return to_jobs(write, [row], db.progress.read([row.id]))[0]


def request_cancels(db: Database, job_ids: Sequence[str]) -> int:
    """As `request_cancel`, for many jobs at once; how many of them had not ended."""
    found = 0
    with db.write() as write:
        for some in divide(job_ids):
            found += _cancel(write, col(JobRow.id).in_(some))
    return found


def _cancel(write: Session, *conditions: Any) -> int:
    """Cancel what waits of the jobs that fit, ask for the end of what runs; of how many."""
    ended = {"state": JobState.CANCELLED.value, "finished_at": time.time()}
    connection = write.connection()
    total = 0
    for state, values in (
        (JobState.WAITING, ended),
        (JobState.RUNNING, {"cancel_requested": True}),
    ):
        fit = col(JobRow.state) == state.value
        total += connection.execute(
            update(JobRow).where(fit, *conditions).values(**values)
        ).rowcount
    return total


def request_cancel_of_all(db: Database) -> int:
    """As `request_cancel`, for all jobs; how many of them had not ended."""
    with db.write() as write:
        return _cancel(write)


def is_cancel_requested(db: Database, job_id: str) -> bool:
    """Whether somebody asked for the end of this job, or it is no longer running at all."""
    with db.read() as read:
        statement = select(JobRow.cancel_requested, JobRow.state)
        found = read.exec(statement.where(col(JobRow.id) == job_id)).first()
        return found is None or bool(found[0]) or found[1] != JobState.RUNNING.value


def retry(db: Database, job_id: str, *, wanted: Serving | None = None) -> Job:
    """Let a job that ended without an image run again, with the same id and seed.

    `wanted`: as for `enqueue`.
    For a paid engine it may be charged again: ask first. Answers of the last run are put
    aside, not thrown away. Raises `StoreError` for a job that is done or has not ended, or that
    compares with an image that was removed.
    """
    again = (JobState.FAILED, JobState.CANCELLED, JobState.UNKNOWN, JobState.SET_ASIDE)
    with db.write() as write:
        row = find_row(write, JobRow, job_id)
        if row.state not in [state.value for state in again]:
            raise StoreError(
                f"The job {row.id[:8]} is {row.state}, so it cannot be tried again.",
                "Only a job that ended without an image can.",
            )
        _check_parent(write, row)
        db.vault.put_spool_aside(row.id)
        row.state = JobState.WAITING.value
        row.attempts = 0
        row.cancel_requested = False
        row.error_kind = row.error = row.warning = None
        row.started_at = row.finished_at = None
        engine = write.exec(
            select(RequestRow.engine).where(col(RequestRow.digest) == row.request_digest)
        ).first()
        row.program = ask(write, wanted, [engine] if engine else [])
        row.rank = row.number
        write.add(row)
        write.flush()
        return to_jobs(write, [row], {})[0]


def get_job(db: Database, reference: str) -> Job:
    """The job whose id begins with `reference` (`@1` is the newest), with its progress.

    Raises `NotFound`.
    """
    with db.read() as read:
        row = find_row(read, JobRow, reference)
        return to_jobs(read, [row], db.progress.read([row.id]))[0]


def follow(db: Database, jobs: Sequence[Job]) -> list[Job]:
    """The same jobs as they are now, in their order.

    What has ended is not read again, and of what waits only whether it still does. Raises
    `NotFound` where one is gone.
    """
    now = {job.id: job for job in jobs}
    waiting = JobState.WAITING
    with db.read() as read:
        for some in divide([job for job in jobs if not job.state.is_final]):
            ids = [job.id for job in some]
            states = select(JobRow.id, JobRow.state).where(col(JobRow.id).in_(ids))
            found = dict(read.exec(states).all())
            changed = [
                job.id
                for job in some
                if not (job.state is waiting and found.get(job.id) == waiting.value)
            ]
            rows = read.exec(select(JobRow).where(col(JobRow.id).in_(changed))).all()
            running = [row.id for row in rows if row.state == JobState.RUNNING.value]
            now |= {job.id: job for job in to_jobs(read, rows, db.progress.read(running))}
            if gone := next((job_id for job_id in ids if job_id not in found), None):
                raise NotFound(f"There is no job {gone[:8]}.", "'jobs' lists them.")
    return [now[job.id] for job in jobs]


def list_jobs(
    db: Database,
    *,
    states: Collection[JobState] | None = None,
    limit: int = 100,
    has_runs: bool = True,
) -> list[Job]:
    """Up to `limit` jobs, newest first, in any of `states`; with progress of running ones.

    `has_runs`: also those of runs of verifications that have ended.
    """
    statement = select(JobRow).order_by(col(JobRow.number).desc()).limit(limit)
    if states is not None:
        statement = statement.where(col(JobRow.state).in_([state.value for state in states]))
    if not has_runs:
        active = [state.value for state in JobState if not state.is_final]
        of_run = exists().where(col(VerificationRunImageRow.job_id) == col(JobRow.id))
        statement = statement.where(or_(col(JobRow.state).in_(active), ~of_run))
    with db.read() as read:
        rows = read.exec(statement).all()
        running = [row.id for row in rows if row.state == JobState.RUNNING.value]
        return to_jobs(read, rows, db.progress.read(running))


def list_queue(db: Database, limit: int = 100) -> list[Job]:
    """Up to `limit` jobs that have not ended: what runs, then what waits, the next one first.

    With the progress of what runs, and the place of what waits.
    """
    running = select(JobRow).where(col(JobRow.state) == JobState.RUNNING.value)
    waiting = select(JobRow).where(col(JobRow.state) == JobState.WAITING.value)
    following = waiting.order_by(col(JobRow.rank), col(JobRow.number))
    with db.read() as read:
        rows = [*read.exec(running.order_by(col(JobRow.number)).limit(limit))]
        progress = db.progress.read([row.id for row in rows])
        count = len(rows)
        rows += read.exec(following.limit(limit - count)) if limit > count else []
        jobs = to_jobs(read, rows, progress)
    return jobs[:count] + [
        msgspec.structs.replace(job, place=place) for place, job in enumerate(jobs[count:], start=1)
    ]


def count_active(db: Database) -> int:
    """How many jobs are waiting or running."""
    active = [state.value for state in JobState if not state.is_final]
    statement = select(func.count()).select_from(JobRow).where(col(JobRow.state).in_(active))
    with db.read() as read:
        return read.exec(statement).one()


def _check_parent(write: Session, row: JobRow) -> None:
    """See to it that the image is there that the job came from; a new image needs none."""
    wanted = select(ImageRow.number).where(col(ImageRow.id) == row.parent_id)
    if row.parent_id is None or write.exec(wanted).first() is not None:
        return
    if row.purpose != Purpose.GENERATE.value:
        raise StoreError(
            f"The image {row.parent_id[:8]} that the job {row.id[:8]} compares with was removed."
        )
    row.parent_id = row.relation = None


def _seal_what_was_not(write: Session) -> None:
    """Seal what the last worker of a version without seals stored after the history had them.

    It ended the job that it ran. Only for the first worker that says what it is: later on a row
    without a seal is one whose seal was taken away.
    """
    images = write.exec(select(ImageRow.number).where(col(ImageRow.seal).is_(None))).all()
    for number in images:
        seal_image(write, number or 0)
    verdicts = select(VerificationRow.number).where(col(VerificationRow.seal).is_(None))
    for number in write.exec(verdicts).all():
        seal_verification(write, number or 0)


def _has_answers(db: Database, job_id: str) -> bool:
    """Whether answers of a service were kept for this job; one that cannot be read may be one."""
    try:
        return bool(db.vault.read_spool(job_id))
    except StoreError:
        return True


def _recover(row: JobRow, is_paid: bool, has_answers: bool, fencing_token: int) -> None:
    if is_paid and not has_answers:
        row.state = JobState.UNKNOWN.value
        row.error_kind = "outcome_unknown"
        row.error = (
            "The worker ended after this was handed to a paid service and before an answer was "
            "stored. It may have been charged. Trying again uses the same id and seed."
        )
    elif row.attempts >= ATTEMPTS:
        row.state = JobState.SET_ASIDE.value
        row.error_kind = "set_aside"
        row.error = f"The worker ended {row.attempts} times while it ran this job."
        if has_answers:
            row.error += " The answers of the service are kept in the spool folder."
    elif has_answers:
        # Reading them is an attempt too: they may be what ended the worker.
        row.epoch = fencing_token
        row.attempts += 1
        return
    elif row.cancel_requested:
        row.state = JobState.CANCELLED.value
    else:
        row.state = JobState.WAITING.value
        row.started_at = None
        return
    row.finished_at = time.time()


def _hold(write: Session, job_id: str, fencing_token: int) -> JobRow:
    """The row of a job that is running under this token, else `StoreError`."""
    row = write.exec(select(JobRow).where(col(JobRow.id) == job_id)).first()
    if row is None or row.state != JobState.RUNNING.value or row.epoch != fencing_token:
        state = row.state if row else "unknown"
        raise StoreError(
            f"The job {job_id} is no longer this worker's (it is {state}): "
            "what it made is not recorded."
        )
    return row


def check_fencing_token(session: Session, fencing_token: int) -> None:
    """Raise `Superseded` when a later worker has started or this one is fenced off."""
    if (newest := read_token(session)) != fencing_token:
        raise Superseded(
            f"Another worker has taken over (its fencing token is {newest}, "
            f"this one's {fencing_token})."
        )


def _store_image(
    write: Session, job: Job, row: JobRow, result: Result, file_sha256: str
) -> ImageRow:
    image = ImageRow(
        id=uuid.uuid4().hex,
        job_id=row.id,
        request_digest=row.request_digest,
        environment_digest=store_environment(write, result.environment),
        parent_id=row.parent_id,
        relation=row.relation,
        purpose=row.purpose,
        session=row.session,
        seed=result.seed,
        width=result.width,
        height=result.height,
        mime=result.mime,
        pixels_sha256=result.pixels_sha256,
        file_sha256=file_sha256,
        file_bytes=len(result.data),
        finish_reason=result.finish_reason.value,
        warning=result.warning,
        seconds=result.seconds,
        created_at=time.time(),
        meta=msgspec.json.encode(result.meta, order="sorted").decode(),
        prompt_text=join_prompts(job.request),
    )
    store_image(write, image, result.stages, result.thumbnail)
    row.image_id = image.id
    return image


def _end(write: Session, row: JobRow, warning: str | None) -> None:
    row.state = JobState.DONE.value
    row.warning = warning
    row.finished_at = time.time()
    write.add(row)
    write.flush()


def _forget(db: Database, job: Job) -> None:
    """After the commit only: until then the spool is all there is.

    What cannot be removed now goes when the next worker comes: the job has ended all the same.
    """
    with contextlib.suppress(StoreError):
        db.vault.clear_spool(job.id)
    db.progress.remove(job.id)


def _update(write: Session, job_id: str, values: dict[str, Any], *conditions: Any) -> bool:
    statement = update(JobRow).where(col(JobRow.id) == job_id, *conditions).values(**values)
    return bool(write.connection().execute(statement).rowcount)
