"""Who may end a job: the worker of the newest epoch, while the job is running in it.

A worker counts the epoch up at its start, so one that was thought dead cannot end a job twice.
"""

from __future__ import annotations

from sqlmodel import Session, col, select

from store.errors import StoreError
from store.records import JobState
from store.tables import JobRow, MetaRow


def hold(write: Session, job_id: str, epoch: int) -> JobRow:
    """The row of a job that is running in `epoch`, else `StoreError`."""
    row = write.exec(select(JobRow).where(col(JobRow.id) == job_id)).first()
    if row is None or row.state != JobState.RUNNING.value or row.epoch != epoch:
        state = row.state if row else "unknown"
        raise StoreError(
            f"The job {job_id} is no longer this worker's (it is {state}): "
            "what it made is not recorded."
        )
    return row


def read_epoch(session: Session) -> int:
    """The number of the newest worker's epoch, 0 before the first."""
    row = session.get(MetaRow, "epoch")
    return int(row.value) if row else 0


def check_epoch(session: Session, epoch: int) -> None:
    """Raise `StoreError` when a later worker has started."""
    if (newest := read_epoch(session)) != epoch:
        raise StoreError(
            f"Another worker has taken over (its epoch is {newest}, this one's {epoch})."
        )
