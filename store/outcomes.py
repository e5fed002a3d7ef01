"""What became of the jobs that ended since a moment: for whoever comes back in the morning."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import case, func
from sqlmodel import col, select

from store.charges import sum_charges
from store.mapping import to_jobs
from store.records import Job, JobState
from store.tables import JobRow, VerificationRow

if TYPE_CHECKING:
    from store.database import Database

_FAILED = (JobState.FAILED, JobState.UNKNOWN, JobState.SET_ASIDE)


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs ended: with an image that is kept, with a verdict alone, and without either.

    `failed`: also those whose outcome is unknown, or that were set aside.
    """

    made: int = 0
    verified: int = 0
    failed: int = 0
    cancelled: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """All of that, and why, since a moment (seconds of 1970).

    `seconds`: how long jobs ran, from their last start to their end. `credits`: what was sent cost
    or may have cost. `reasons`: how many failed by which kind of error; `verdicts`: how many
    verifications found what, those that needed no job too. `failures`: the last that failed, newest
    first. `newest`: the last images, newest first, by their ids.
    """

    since: float
    ended: Ended
    seconds: float
    credits: float
    reasons: dict[str, int]
    verdicts: dict[str, int]
    failures: tuple[Job, ...]
    newest: tuple[str, ...]


def count_ended(db: Database, since: float) -> Ended:
    """How many jobs ended since a moment (seconds of 1970), and how; a look into an index."""
    state = col(JobRow.state)
    done = state == JobState.DONE.value
    statement = select(
        _count(done & col(JobRow.image_id).is_not(None)),
        _count(done & col(JobRow.image_id).is_(None)),
        _count(state.in_([each.value for each in _FAILED])),
        _count(state == JobState.CANCELLED.value),
    ).where(col(JobRow.finished_at) >= since)
    with db.read() as read:
        made, verified, failed, cancelled = read.exec(statement).one()
    return Ended(made=made, verified=verified, failed=failed, cancelled=cancelled)


def read_outcome(db: Database, since: float, *, failures: int = 5, images: int = 0) -> Outcome:
    """What became of the jobs that ended since a moment, with the last of them."""
    has_ended = col(JobRow.finished_at) >= since
    failed = col(JobRow.state).in_([each.value for each in _FAILED])
    kinds = select(JobRow.error_kind, func.count()).where(has_ended, failed)
    last = select(JobRow).where(has_ended, failed).order_by(col(JobRow.finished_at).desc())
    found = select(VerificationRow.verdict, func.count()).where(
        col(VerificationRow.created_at) >= since
    )
    # A damaged moment may be a word, which is no number of seconds.
    ran = func.total(col(JobRow.finished_at) - col(JobRow.started_at))
    made = select(JobRow.image_id).where(has_ended, col(JobRow.image_id).is_not(None))
    with db.read() as read:
        seconds = float(read.exec(select(ran).where(has_ended)).one() or 0.0)
        reasons = read.exec(kinds.group_by(col(JobRow.error_kind))).all()
        verdicts = read.exec(found.group_by(col(VerificationRow.verdict))).all()
        jobs = to_jobs(read, read.exec(last.limit(failures)).all(), {})
        newest = read.exec(made.order_by(col(JobRow.finished_at).desc()).limit(images)).all()
    return Outcome(
        since=since,
        ended=count_ended(db, since),
        seconds=max(0.0, seconds),
        credits=sum_charges(db, since),
        reasons={kind or "unknown": count for kind, count in reasons},
        verdicts=dict(verdicts),
        failures=tuple(jobs),
        newest=tuple(image_id for image_id in newest if image_id),
    )


def _count(condition: Any) -> Any:
    """How many rows fit."""
    return func.coalesce(func.sum(case((condition, 1), else_=0)), 0)
