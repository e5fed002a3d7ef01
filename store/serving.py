"""Who may run which job: never an older program, never other settings than the newest asked for.

All of it is decided inside the transactions that queue and claim. Programs are in the order in
which this history first met them, so no clock and no version number takes part: a job is run by the
program that queued it or by one that came later. The settings of an engine are those of whoever
queued a job for it last. A worker that is not fit for a new job is fenced off in the transaction
that queues it: the job that it runs ends as it would, and it claims no other.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from sqlalchemy import func, or_
from sqlmodel import Session, col, select

from store.records import JobState, Serving
from store.stored_json import BROKEN_JSON
from store.tables import JobRow, MetaRow, ProgramRow, RequestRow

if TYPE_CHECKING:
    from store.database import Database

_EPOCH = "epoch"
_WORKER = "worker"
_SETTINGS = "settings of "


class _Newest(msgspec.Struct, frozen=True, kw_only=True):
    """The newest worker: its fencing token and what it runs jobs with."""

    token: int
    serving: Serving


def read_token(session: Session) -> int:
    """The newest worker's fencing token, 0 before the first."""
    row = session.get(MetaRow, _EPOCH)
    return int(row.value) if row else 0


def take_over(write: Session, serving: Serving | None) -> int:
    """Make the asking process the worker, and return its fencing token."""
    token = read_token(write) + 1
    write.merge(MetaRow(key=_EPOCH, value=str(token)))
    if serving is not None:
        _register(write, serving.program)
        note = msgspec.json.encode(_Newest(token=token, serving=serving)).decode()
        write.merge(MetaRow(key=_WORKER, value=note))
    return token


def has_taken_over(session: Session) -> bool:
    """Whether a worker that says what it runs jobs with was ever there."""
    return session.get(MetaRow, _WORKER) is not None


def ask(write: Session, wanted: Serving | None, engines: Iterable[str]) -> int | None:
    """What goes with jobs of `engines` that are queued in this transaction: their program's number.

    Fences off a worker that is not fit for them.
    """
    if wanted is None:
        return None
    number = _register(write, wanted.program)
    names = sorted(set(engines) & wanted.settings.keys())
    for engine in names:
        write.merge(MetaRow(key=_SETTINGS + engine, value=wanted.settings[engine]))
    write.flush()
    token = read_token(write)
    if token and not _is_fit(write, wanted, names):
        write.merge(MetaRow(key=_EPOCH, value=str(token + 1)))
        write.flush()
    return number


def _is_fit(session: Session, wanted: Serving, engines: Iterable[str]) -> bool:
    """Whether the newest worker may run jobs of `engines` for who wants `wanted`."""
    row = session.get(MetaRow, _WORKER)
    try:
        newest = msgspec.json.decode(row.value, type=_Newest) if row else None
    except BROKEN_JSON:
        newest = None
    # A worker of a program that does not write down what it is has only taken the token.
    if newest is None or newest.token != read_token(session):
        return False
    own = find_number(session, newest.serving.program)
    if own < find_number(session, wanted.program):
        return False
    names = set(engines) & wanted.settings.keys()
    return all(newest.serving.settings.get(name) == wanted.settings[name] for name in names)


def list_conditions(session: Session, serving: Serving | None) -> list[Any]:
    """What a waiting job must be for `serving` to run it; all of them where it is None."""
    if serving is None:
        return []
    number = find_number(session, serving.program)
    conditions = [or_(col(JobRow.program).is_(None), col(JobRow.program) <= number)]
    if others := list_unserved(session, serving):
        theirs = select(RequestRow.digest).where(col(RequestRow.engine).in_(others))
        conditions.append(col(JobRow.request_digest).not_in(theirs))
    return conditions


def list_unserved(session: Session, serving: Serving | None) -> list[str]:
    """The engines whose jobs ask for other settings than those of `serving`; None has any."""
    if serving is None:
        return []
    asked = session.exec(select(MetaRow).where(col(MetaRow.key).startswith(_SETTINGS))).all()
    return [
        engine
        for row in asked
        if serving.settings.get(engine := row.key.removeprefix(_SETTINGS)) != row.value
    ]


def is_served(db: Database, wanted: Serving, engines: Iterable[str]) -> bool:
    """Whether the newest worker may run jobs of `engines` for who wants `wanted`."""
    with db.read() as read:
        return _is_fit(read, wanted, engines)


def count_waiting(db: Database, serving: Serving) -> tuple[int, int]:
    """How many jobs wait that `serving` may run, and how many that are for others."""
    waiting = select(func.count()).select_from(JobRow)
    waiting = waiting.where(col(JobRow.state) == JobState.WAITING.value)
    with db.read() as read:
        fit = read.exec(waiting.where(*list_conditions(read, serving))).one()
        return fit, read.exec(waiting).one() - fit


def list_others(db: Database, serving: Serving) -> set[str]:
    """The ids of the jobs that wait and that `serving` may not run."""
    waiting = select(JobRow.id).where(col(JobRow.state) == JobState.WAITING.value)
    with db.read() as read:
        fit = read.exec(waiting.where(*list_conditions(read, serving))).all()
        return set(read.exec(waiting).all()).difference(fit)


def _register(write: Session, digest: str) -> int:
    """The number of a program, a new one where it was never met."""
    row = write.exec(select(ProgramRow).where(col(ProgramRow.digest) == digest)).first()
    if row is None:
        row = ProgramRow(digest=digest, created_at=time.time())
        write.add(row)
        write.flush()
    assert row.number is not None
    return row.number


def find_number(session: Session, digest: str) -> int:
    """The number of a program; the next one where it was never met."""
    found = session.exec(select(ProgramRow.number).where(col(ProgramRow.digest) == digest)).first()
    if found is not None:
        return found
    return (session.exec(select(func.max(ProgramRow.number))).one() or 0) + 1
