"""What a worker finds when it starts: jobs whose worker is gone.

The one worker holds a lock for its life, so at its start each running job is an orphan. No
clock and no time limit takes part.
"""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlmodel import col, select

from store.database import Database
from store.epochs import read_epoch
from store.records import Job, JobState
from store.tables import JobRow, MetaRow, RequestRow
from store.values import to_jobs

ATTEMPTS = 2
"""A job that ended its worker this often is set aside."""


def start_epoch(db: Database, *, paid_engines: Collection[str]) -> int:
    """Begin the epoch of a new worker and return its number. Only while holding its lock.

    A running job of a free engine goes back to its place in the queue (or is cancelled, when
    that was asked for). One of a paid engine becomes unknown, because it may have been
    charged; with answers in its spool it stays running in the new epoch, for `list_spooled`.
    A job that ended its worker twice is set aside.
    """
    with db.write() as write:
        epoch = read_epoch(write) + 1
        write.merge(MetaRow(key="epoch", value=str(epoch)))
        orphans = write.exec(
            select(JobRow, RequestRow.engine)
            .join(RequestRow, col(RequestRow.digest) == col(JobRow.request_digest))
            .where(col(JobRow.state) == JobState.RUNNING.value)
        ).all()
        for row, engine in orphans:
            is_paid = engine in paid_engines
            _recover(row, is_paid, is_paid and bool(db.vault.read_spool(row.id)), epoch)
            write.add(row)
    db.live.clear()
    db.vault.remove_leftovers()
    return epoch


def list_spooled(db: Database, epoch: int) -> list[Job]:
    """The jobs that are running in `epoch` with answers in their spool, oldest first.

    To be recovered from those answers before the first job is claimed.
    """
    with db.read() as read:
        rows = read.exec(
            select(JobRow)
            .where(col(JobRow.state) == JobState.RUNNING.value, col(JobRow.epoch) == epoch)
            .order_by(col(JobRow.number))
        ).all()
        return to_jobs(read, [row for row in rows if db.vault.read_spool(row.id)], {})


def _recover(row: JobRow, is_paid: bool, has_answers: bool, epoch: int) -> None:
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
        row.epoch = epoch
        row.attempts += 1
        return
    elif row.cancel_requested:
        row.state = JobState.CANCELLED.value
    else:
        row.state = JobState.WAITING.value
        row.started_at = None
        return
    row.finished_at = time.time()
