"""Series: images that are made one after the other until a moment, when no other job waits.

A series is a list of requests that take turns, with other seeds in each round. The worker takes the
next one as a job of its own, so there is never more than one job of all series, and everything that
holds for jobs holds for it. Several series take turns. One whose jobs make nothing pauses.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import msgspec
from sqlalchemy import func, update
from sqlmodel import Session, col, select

from store import queue
from store.concealment import check_prompts
from store.damage import mend
from store.database import Database
from store.errors import RequestError, StoreError, Unavailable
from store.inputs import check_inputs
from store.limits import following_seed
from store.mapping import PLACEHOLDER, find_background, to_word
from store.records import (
    Job,
    JobState,
    Relation,
    RunState,
    Series,
    SeriesRequest,
    Serving,
)
from store.request import Request
from store.serving import ask, list_unserved
from store.stored_json import BROKEN_JSON
from store.tables import JobRow, SeriesRequestRow, SeriesRow
from store.turns import is_paused

FAILURES = 3
"""After so many jobs in a row that made nothing a series pauses: the next would not either."""

_OPEN = (RunState.RUNNING, RunState.PAUSED)


def begin_series(
    db: Database,
    requests: Sequence[SeriesRequest],
    until: float,
    *,
    session: str | None = None,
    wanted: Serving | None = None,
) -> Series:
    """A series of these requests until a moment (seconds of 1970), all or nothing.

    `wanted`: what its jobs are to be run with, as for `queue.enqueue`. Raises `RequestError` as
    that does, and where there is no request.
    """
    if not requests:
        raise RequestError("prompts", None, "There is nothing to make.")
    for each in requests:
        check_prompts(each.request)
    row = SeriesRow(
        id=uuid.uuid4().hex,
        state=RunState.RUNNING.value,
        until=until,
        created_at=time.time(),
        session=session,
    )
    with db.write() as write:
        write.add(row)
        write.flush()
        for position, each in enumerate(requests):
            check_inputs(db, write, each.request)
            write.add(
                SeriesRequestRow(
                    series_number=row.number or 0,
                    position=position,
                    json_text=each.request.to_json().decode(),
                    engine=each.request.engine,
                    stride=each.stride,
                    parent_id=each.parent_id,
                    relation=each.relation.value if each.relation else None,
                    profile=each.profile,
                )
            )
        ask(write, wanted, {each.request.engine for each in requests})
        write.flush()
        return _to_series(write, row)


def list_series(db: Database, limit: int = 50) -> list[Series]:
    """Up to `limit` series, newest first."""
    statement = select(SeriesRow).order_by(col(SeriesRow.number).desc()).limit(limit)
    with db.read() as read:
        return [_to_series(read, row) for row in read.exec(statement).all()]


def get_series(db: Database, reference: str) -> Series:
    """The series whose id begins with `reference` (`@1` is the newest). Raises `NotFound`."""
    with db.read() as read:
        return _to_series(read, _find(read, reference))


def pause_series(db: Database, reference: str) -> Series:
    """Begin no further image of a series until it is resumed; the one that is made is ended."""
    return _change(db, reference, RunState.PAUSED, (RunState.RUNNING,), "paused")


def resume_series(db: Database, reference: str, *, wanted: Serving | None = None) -> Series:
    """Go on with a paused series. `wanted`: as for `begin_series`."""
    with db.write() as write:
        number = _find(write, reference).number or 0
        engines = select(SeriesRequestRow.engine).distinct()
        own = col(SeriesRequestRow.series_number) == number
        ask(write, wanted, write.exec(engines.where(own)).all())
    return _change(db, reference, RunState.RUNNING, (RunState.PAUSED,), "resumed")


def cancel_series(db: Database, reference: str) -> Series:
    """End a series; the image that is made now is stopped too. What was made is kept."""
    series = _change(db, reference, RunState.CANCELLED, _OPEN, "cancelled")
    with db.read() as read:
        job_id = _find(read, series.id).job_id
    if job_id is not None:
        queue.request_cancel(db, job_id)
    return series


def cancel_all_series(db: Database) -> int:
    """End all series; of how many. The image that is made now is not stopped."""
    with db.write() as write:
        statement = (
            update(SeriesRow)
            .where(col(SeriesRow.state).in_([state.value for state in _OPEN]))
            .values(state=RunState.CANCELLED.value, finished_at=time.time())
        )
        return write.connection().execute(statement).rowcount


def is_any_open(db: Database) -> bool:
    """Whether a series has something for a worker to do; none has while the queue is paused."""
    running = col(SeriesRow.state) == RunState.RUNNING.value
    with db.read() as read:
        if is_paused(read):
            return False
        return read.exec(select(SeriesRow.number).where(running).limit(1)).first() is not None


# For the worker


def take_next(
    db: Database, fencing_token: int, serving: Serving | None = None, now: float | None = None
) -> Job | None:
    """The next image of the series that waited longest, as a job that runs under this token.

    None when none goes on, a job of a person waits, or the queue is paused. A series whose moment
    has come is ended here, one whose jobs make nothing paused. Raises `Superseded`.
    """
    now = time.time() if now is None else now
    if not is_any_open(db):
        return None
    with db.write() as write:
        queue.check_fencing_token(write, fencing_token)
        if is_paused(write) or queue.is_any_waiting(write):
            return None
        unserved = list_unserved(write, serving)
        running = select(SeriesRow).where(col(SeriesRow.state) == RunState.RUNNING.value)
        order = func.coalesce(col(SeriesRow.taken_at), 0.0)
        for row in write.exec(running.order_by(order, col(SeriesRow.number))).all():
            if not _goes_on(write, row, now):
                continue
            try:
                wanted = _choose(write, row)
                if wanted.request.engine in unserved:
                    continue
                job = queue.start_making(db, write, wanted, row.session, fencing_token, serving)
            except Unavailable:
                raise  # No fault of the series.
            except (StoreError, RequestError) as error:
                _pause(write, row, str(error))
                continue
            row.taken += 1
            row.taken_at = now
            row.job_id = job.id
            write.add(row)
            return job
    return None


def _goes_on(write: Session, row: SeriesRow, now: float) -> bool:
    """Whether a running series is to make another image; else it is ended or paused."""
    if row.until <= now:
        row.state = RunState.DONE.value
        row.finished_at = now
        write.add(row)
        return False
    last = write.exec(select(JobRow).where(col(JobRow.id) == row.job_id)).first()
    if last is None or last.state == JobState.DONE.value:
        row.failures = 0
    elif last.state != JobState.CANCELLED.value:
        row.failures += 1
        if row.failures >= FAILURES:
            _pause(write, row, last.error or "its jobs make nothing.")
            return False
    return True


def _pause(write: Session, row: SeriesRow, error: str) -> None:
    row.state = RunState.PAUSED.value
    row.error = error
    write.add(row)


def _choose(session: Session, row: SeriesRow) -> SeriesRequest:
    """The request whose turn it is, with its seed of this round. Raises `StoreError`."""
    count = _count_requests(session, row.number or 0)
    turn, place = divmod(row.taken, max(1, count))
    stored = session.get(SeriesRequestRow, (row.number, place))
    try:
        if stored is None:
            raise ValueError("missing")
        request = Request.from_json(stored.json_text.encode())
    except (*BROKEN_JSON, ValueError) as error:
        raise StoreError(
            f"The request {place + 1} of the series {row.id[:8]} is damaged ({error}).",
            "Cancel the series and begin it again.",
        ) from None
    own = request.parameters
    seed = following_seed(own.seed, turn * stored.stride)
    return SeriesRequest(
        request=msgspec.structs.replace(
            request, parameters=msgspec.structs.replace(own, seed=seed)
        ),
        stride=stored.stride,
        parent_id=stored.parent_id,
        relation=to_word(Relation, stored.relation, Relation.EDIT) if stored.relation else None,
        profile=stored.profile,
    )


# Rows


def _change(
    db: Database, reference: str, state: RunState, before: Sequence[RunState], word: str
) -> Series:
    with db.write() as write:
        row = _find(write, reference)
        if row.state not in [each.value for each in before]:
            raise StoreError(
                f"The series {row.id[:8]} is {row.state}, so it cannot be {word}.",
                f"Only one that is {' or '.join(before)} can.",
            )
        row.state = state.value
        row.finished_at = time.time() if state.is_final else None
        row.failures = 0
        row.error = None
        write.add(row)
        write.flush()
        return _to_series(write, row)


def _count_requests(session: Session, number: int) -> int:
    own = col(SeriesRequestRow.series_number) == number
    return session.exec(select(func.count()).select_from(SeriesRequestRow).where(own)).one()


def _to_series(session: Session, stored: SeriesRow) -> Series:
    row = mend(stored)[0]
    number = row.number or 0
    first = session.get(SeriesRequestRow, (number, 0))
    request = PLACEHOLDER
    if first is not None:
        try:
            request = Request.from_json(first.json_text.encode())
        except (*BROKEN_JSON, ValueError):
            pass  # It is said when its turn comes.
    return Series(
        number=number,
        id=row.id,
        state=to_word(RunState, row.state, RunState.CANCELLED),
        until=row.until,
        created_at=row.created_at,
        finished_at=row.finished_at,
        requests=_count_requests(session, number),
        first=request,
        taken=row.taken,
        error=row.error or "",
    )


def _find(session: Session, reference: str) -> SeriesRow:
    return find_background(session, SeriesRow, reference, "series", "series")
