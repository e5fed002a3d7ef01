"""What a watching screen compares: whether jobs, images, verdicts, marks … are others now."""

from __future__ import annotations

import msgspec
from sqlalchemy import func
from sqlmodel import col, select

from store.database import Database
from store.records import JobState
from store.tables import (
    MARKS_KEY,
    PAUSED_KEY,
    ImageRow,
    JobRow,
    MetaRow,
    SeriesRow,
    VerificationRow,
    VerificationRunRow,
)

RUNS = 50
"""How many runs of verifications and series, the newest ones, are looked at."""


class Fingerprint(msgspec.Struct, frozen=True):
    """Equal as long as no job, image, verdict, mark or run is another, no image thinned.

    Nor the order of what waits, nor whether the queue is paused.

    Drafts do not count: they are written with each key and shown by nobody else.
    """

    jobs: int
    images: int
    verifications: int
    marks: str
    unfinished: tuple[tuple[int, str, bool, int], ...]
    is_paused: bool
    runs: tuple[tuple[int, str], ...]
    series: tuple[tuple[int, str], ...]


def read_fingerprint(db: Database) -> Fingerprint:
    """The state of the queue and the history now; a few short queries."""
    active = [state.value for state in JobState if not state.is_final]
    unfinished = select(JobRow.number, JobRow.state, JobRow.cancel_requested, JobRow.rank)
    marks = select(MetaRow.value).where(col(MetaRow.key) == MARKS_KEY)
    with db.read() as read:
        return Fingerprint(
            jobs=read.exec(select(func.max(JobRow.number))).one() or 0,
            images=read.exec(select(func.max(ImageRow.number))).one() or 0,
            verifications=read.exec(select(func.max(VerificationRow.number))).one() or 0,
            marks=read.exec(marks).first() or "",
            unfinished=tuple(
                (number or 0, state, bool(is_cancelling), rank if isinstance(rank, int) else 0)
                for number, state, is_cancelling, rank in read.exec(
                    unfinished.where(col(JobRow.state).in_(active))
                )
            ),
            is_paused=read.get(MetaRow, PAUSED_KEY) is not None,
            runs=tuple(
                (number or 0, state)
                for number, state in read.exec(
                    select(VerificationRunRow.number, VerificationRunRow.state)
                    .order_by(col(VerificationRunRow.number).desc())
                    .limit(RUNS)
                )
            ),
            series=tuple(
                (number or 0, state)
                for number, state in read.exec(
                    select(SeriesRow.number, SeriesRow.state)
                    .order_by(col(SeriesRow.number).desc())
                    .limit(RUNS)
                )
            ),
        )
