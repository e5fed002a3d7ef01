"""Whose turn it is: the order of what waits, and whether anything is taken at all.

Jobs are taken in the order of their rank, lower ones first, and of their number where ranks are
equal. Without a wish a rank is the number, so the first to come is the first to be made. A priority
is a step of the rank that no number reaches; moving a job changes ranks and nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, update
from sqlmodel import Session, col, select

from store.errors import RequestError, StoreError
from store.mapping import find_row
from store.records import JobState, Serving, Turn
from store.serving import ask
from store.tables import PAUSED_KEY, JobRow, MetaRow

if TYPE_CHECKING:
    from store.database import Database

PRIORITY_STEP = 10**12
"""What a priority is in ranks: more jobs than that no history has."""


class _Waiting(NamedTuple):
    """A job that waits, as far as its place needs it."""

    number: int
    rank: int


# Whether anything is taken


def is_paused(session: Session) -> bool:
    """Whether the queue is paused: what runs is ended, what waits is not begun."""
    return session.get(MetaRow, PAUSED_KEY) is not None


def is_queue_paused(db: Database) -> bool:
    """Whether the queue is paused, for whoever looks at it."""
    with db.read() as read:
        return is_paused(read)


def pause_queue(db: Database, *, wanted: Serving | None = None) -> bool:
    """Take no further job until the queue is resumed; False where it was paused already.

    `wanted`: what the asking program runs jobs with; a worker of an older one, which would not
    know of this, ends its job and leaves.
    """
    with db.write() as write:
        was_paused = is_paused(write)
        ask(write, wanted, ())
        if not was_paused:
            write.add(MetaRow(key=PAUSED_KEY, value=str(time.time())))
        return not was_paused


def resume_queue(db: Database) -> bool:
    """Go on with what waits; False where the queue was not paused. A worker may be needed."""
    with db.write() as write:
        row = write.get(MetaRow, PAUSED_KEY)
        if row is None:
            return False
        write.delete(row)
        return True


# In which order


def rank_jobs(write: Session, rows: Sequence[JobRow], turn: Turn) -> None:
    """Give waiting jobs that were just added, which have their numbers, their places."""
    waiting = col(JobRow.state) == JobState.WAITING.value
    rank = col(JobRow.rank)
    if turn.is_next:
        first = write.exec(select(func.min(rank)).where(waiting)).one()
        if first is not None:
            for offset, row in enumerate(rows):
                row.rank = first - len(rows) + offset
                write.add(row)
            return
    band = -turn.priority * PRIORITY_STEP
    behind = rank < band + PRIORITY_STEP // 2
    # What was moved behind all others stays before what comes later.
    last = write.exec(select(func.max(rank)).where(waiting, behind)).one()
    for row in rows:
        usual = (row.number or 0) + band
        row.rank = last = usual if last is None else max(usual, last + 1)
        write.add(row)


def move_first(db: Database, references: Sequence[str]) -> list[str]:
    """Let these jobs come next, in this order; their ids. Raises `StoreError` for one that runs."""
    with db.write() as write:
        return _move(write, references, 0)


def move_last(db: Database, references: Sequence[str]) -> list[str]:
    """Let these jobs come behind all that wait, in this order; their ids."""
    with db.write() as write:
        return _move(write, references, None)


def move_before(db: Database, references: Sequence[str], anchor: str) -> list[str]:
    """Let these jobs come just before another one that waits, in this order; their ids."""
    with db.write() as write:
        place = _find_waiting(write, anchor).number
        moved = {_find_waiting(write, reference).number for reference in references}
        if place in moved:
            raise RequestError("before", anchor, "A job cannot come before itself.")
        others = [each.number for each in _list_waiting(write) if each.number not in moved]
        return _move(write, references, others.index(place or 0))


def shift(db: Database, reference: str, places: int) -> bool:
    """Let a job come later by so many places, below 0 earlier; False where it is at that end."""
    with db.write() as write:
        row = _find_waiting(write, reference)
        order = [each.number for each in _list_waiting(write)]
        before = order.index(row.number or 0)
        after = min(max(before + places, 0), len(order) - 1)
        if after != before:
            _move(write, [row.id], after)
        return after != before


def _move(write: Session, references: Sequence[str], place: int | None) -> list[str]:
    """Put jobs at a place among the others that wait, behind all where it is None; their ids."""
    rows = [_find_waiting(write, reference) for reference in references]
    moved = list(dict.fromkeys(row.number or 0 for row in rows))
    others = [each for each in _list_waiting(write) if each.number not in moved]
    place = len(others) if place is None else place
    ways = (_push_down(others, moved, place), _push_up(others, moved, place))
    for number, rank in min((way for way in ways if way), key=len).items():
        own = col(JobRow.number) == number
        write.connection().execute(update(JobRow).where(own).values(rank=rank))
    return [row.id for row in rows]


def _push_down(others: list[_Waiting], moved: list[int], place: int) -> dict[int, int]:
    """The ranks that change where moved jobs take those just before the next one, which is there.

    Who has those makes room towards the front.
    """
    if place == len(others):
        return {}
    rank = others[place].rank
    changed = {}
    for number in reversed(moved):
        rank -= 1
        changed[number] = rank
    for each in reversed(others[:place]):
        if each.rank < rank:
            break
        rank -= 1
        changed[each.number] = rank
    return changed


def _push_up(others: list[_Waiting], moved: list[int], place: int) -> dict[int, int]:
    """The same behind the one before, towards the end; behind nothing where none is before."""
    if place == 0 and others:
        return {}
    rank = others[place - 1].rank if others else 0
    changed = {}
    for number in moved:
        rank += 1
        changed[number] = rank
    for each in others[place:]:
        if each.rank > rank:
            break
        rank += 1
        changed[each.number] = rank
    return changed


def _list_waiting(session: Session) -> list[_Waiting]:
    """All that waits, what comes next first."""
    statement = (
        select(JobRow.number, JobRow.rank)
        .where(col(JobRow.state) == JobState.WAITING.value)
        .order_by(col(JobRow.rank), col(JobRow.number))
    )
    return [
        # A damaged rank may be a word.
        _Waiting(number or 0, rank if isinstance(rank, int) else 0)
        for number, rank in session.exec(statement)
    ]


def _find_waiting(session: Session, reference: str) -> JobRow:
    """The row of a job that waits. Raises `NotFound`, and `StoreError` for one that does not."""
    row = find_row(session, JobRow, reference)
    if row.state != JobState.WAITING.value:
        state = row.state.replace("_", " ")
        raise StoreError(
            f"The job {row.id[:8]} is {state}, so it has no place in the queue.",
            "Only one that waits can be moved; 'safelight retry' lets one wait again.",
        )
    return row
