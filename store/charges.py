"""What paid images cost, or may have cost: written before anything is sent."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.sql.expression import SelectOfScalar

from store.tables import ChargeRow

if TYPE_CHECKING:
    from store.database import Database


def count_charges(db: Database, job_id: str) -> int:
    """How often it was noted that the job is about to be sent."""
    with db.read() as read:
        return read.exec(_count(job_id)).one()


def add_charge(db: Database, job_id: str, price: float, place: int | None = None) -> None:
    """Note that the job is about to be sent and may cost `price` credits.

    As its charge number `place` (from 1): one that is there is not added again, where a disk failed
    just after the commit. None: behind all that are there.
    """
    with db.write() as write:
        if place is None or write.exec(_count(job_id)).one() < place:
            write.add(ChargeRow(job_id=job_id, credits=price, created_at=time.time()))


def _count(job_id: str) -> SelectOfScalar[int]:
    return select(func.count()).select_from(ChargeRow).where(col(ChargeRow.job_id) == job_id)


def drop_charge(db: Database, job_id: str) -> None:
    """Take the job's newest charge back: the service took nothing for it."""
    statement = select(ChargeRow).where(col(ChargeRow.job_id) == job_id)
    with db.write() as write:
        row = write.exec(statement.order_by(col(ChargeRow.number).desc()).limit(1)).first()
        if row is not None:
            row.credits = 0.0
            write.add(row)


def sum_charges(db: Database, since: float) -> float:
    """The credits of everything that was sent since (seconds of 1970)."""
    statement = select(func.sum(ChargeRow.credits)).where(col(ChargeRow.created_at) >= since)
    with db.read() as read:
        return float(read.exec(statement).one() or 0.0)
