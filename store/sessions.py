"""Named sessions and their drafts, kept to the character, one thread behind the fingers."""

from __future__ import annotations

import contextlib
import itertools
import logging
import threading
import time
from typing import Any

import msgspec
from sqlalchemy import func
from sqlmodel import Session as Transaction
from sqlmodel import col, select

from store.damage import mend
from store.database import Database
from store.draft_json import decode_draft, encode_draft
from store.errors import NotFound, StoreError
from store.limits import SESSION_NAME_LIMIT
from store.mapping import as_text
from store.preferences import ARCHIVED_SESSIONS, find_preference, keep_preference
from store.records import Draft, Session
from store.stored_json import BROKEN_JSON
from store.tables import SessionRow

CLOSE_SECONDS = 5.0


def load_session(db: Database, name: str) -> Session:
    """The session of this name, made with an empty draft when there is none.

    It is then the one used last. In a history that cannot be written it is only read.
    """
    if db.is_read_only:
        with db.read() as read:
            row = _find(read, name)
            if row is None:
                _check_name(name)
            return _to_session(row) if row else Session(name=name, draft=Draft(), updated_at=0.0)
    with db.write() as write:
        row = _find(write, name) or _make(name, encode_draft(Draft(), ""))
        row.used = _next_use(write)
        write.add(row)
        return _to_session(row)


class OpenElsewhere(StoreError):
    """Another darkroom writes to the same session, so a draft was not written over its own."""


def save_draft(db: Database, name: str, draft: Draft, known: Draft | None = None) -> None:
    """Keep what is in the editor of this session; it is on disk when this returns.

    `known`: what stood there when it was last read or written here. Raises `OpenElsewhere` where it
    is something else by now, and is not `draft` either; where the cursor is does not count.
    """
    with db.write() as write:
        row = _find(write, name)
        if row is None and known not in (None, _NOBODYS):
            raise OpenElsewhere(f"The session {name} has another name since, or is gone.")
        row = row or _make(name, "")
        if known is not None and row.number is not None:
            # As it will be read again: half characters are repaired on the way.
            now = _put_aside_place(decode_draft(encode_draft(draft, "")))
            there = _put_aside_place(_decode(row))
            if there not in (now, _put_aside_place(known)):
                raise OpenElsewhere(f"The session {name} is open elsewhere too.")
        row.draft = encode_draft(draft, row.draft)
        row.used = _next_use(write)
        row.updated_at = time.time()
        write.add(row)


def list_sessions(db: Database) -> list[Session]:
    """All sessions, the one used last first, and those that are archived behind the others."""
    with db.read() as read:
        archived = _find_archived(read)
        rows = read.exec(select(SessionRow).order_by(*_newest_first())).all()
        found = [_to_session(row) for row in rows]
    marked = [
        msgspec.structs.replace(session, is_archived=session.name in archived) for session in found
    ]
    return sorted(marked, key=lambda session: session.is_archived)


def last_session_name(db: Database) -> str | None:
    """The name of the session used last that is not archived, None when there is none."""
    with db.read() as read:
        archived = _find_archived(read)
        statement = select(SessionRow.name).order_by(*_newest_first())
        for name in read.exec(statement):
            if (text := as_text(name)) not in archived:
                return text
    return None


def make_session(db: Database, name: str, draft: Draft) -> Session:
    """A new session with a draft to begin with. Raises `StoreError` for a name that is taken."""
    with db.write() as write:
        _check_free(write, name)
        row = _make(name, encode_draft(draft, ""))
        row.used = _next_use(write)
        write.add(row)
        return _to_session(row)


def rename_session(db: Database, name: str, new: str) -> None:
    """Give a session another name; its images keep in their records the one that it had then.

    Raises `NotFound`, and `StoreError` for a name that is taken or none.
    """
    _check_name(new)
    with db.write() as write:
        if (row := _find(write, name)) is None:
            raise NotFound(f"There is no session {name!r}.")
        if new != name:
            _check_free(write, new)
            row.name = new
            write.add(row)
        if name in (archived := _find_archived(write)):
            _keep_archived(write, archived - {name} | {new})


def archive_session(db: Database, name: str, is_archived: bool) -> None:
    """Put a session behind the others, or back among them. Nothing of it is removed.

    Raises `NotFound`.
    """
    with db.write() as write:
        if _find(write, name) is None:
            raise NotFound(f"There is no session {name!r}.")
        archived = _find_archived(write)
        _keep_archived(write, archived | {name} if is_archived else archived - {name})


def _find_archived(transaction: Transaction) -> frozenset[str]:
    text = find_preference(transaction, ARCHIVED_SESSIONS)
    try:
        return frozenset(msgspec.json.decode(text or "[]", type=list[str]))
    except BROKEN_JSON:
        return frozenset()


def _keep_archived(transaction: Transaction, names: frozenset[str]) -> None:
    text = msgspec.json.encode(sorted(names)).decode()
    keep_preference(transaction, ARCHIVED_SESSIONS, text)


class DraftWriter:
    """Writes the newest draft of each session; what it overtakes is skipped.

    `write` returns at once, because a durable commit takes longer than a keystroke may. Where
    another darkroom writes to the same session, the draft goes on in a session of its own.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._pending: dict[str, Draft] = {}
        self._known: dict[str, Draft] = {}
        self._moved: dict[str, str] = {}
        self._condition = threading.Condition()
        self._is_closing = False
        self.error: StoreError | None = None
        self._thread = threading.Thread(target=self._run, name="draft writer", daemon=True)
        self._thread.start()

    def load(self, name: str) -> Session:
        """The session of this name, as `load_session`; what is there now may be written over."""
        session = load_session(self._database, name)
        with self._condition:
            self._known[name] = session.draft
            self._moved.pop(name, None)
        return session

    def expect(self, name: str, draft: Draft) -> None:
        """Take `draft` for what is in the session of this name, and what it may write over.

        It was read before the session was loaded, and something else is there since.
        """
        with self._condition:
            self._known[name] = draft

    def find_place(self, name: str) -> str:
        """The session that drafts of `name` are written to: another one where that is open
        elsewhere too."""
        return self._moved.get(name, name)

    def write(self, name: str, draft: Draft) -> None:
        """Hand over the draft of session `name`."""
        with self._condition:
            self._pending[name] = draft
            self._condition.notify()

    def close(self) -> None:
        """Write what is pending, then end; waits at most five seconds."""
        with self._condition:
            self._is_closing = True
            self._condition.notify()
        self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        while True:
            with self._condition:
                while not self._pending and not self._is_closing:
                    self._condition.wait()
                if not self._pending:
                    return
                drafts, self._pending = self._pending, {}
            for name, draft in drafts.items():
                try:
                    self._write(name, draft)
                    self.error = None
                except StoreError as error:
                    self.error = error
                    logging.getLogger(__name__).warning("draft not saved: %s", error)

    def _write(self, name: str, draft: Draft) -> None:
        place = self.find_place(name)
        with self._condition:
            known = self._known.get(place)
        if known is None:
            save_draft(self._database, place, draft)
            return
        try:
            save_draft(self._database, place, draft, known)
        except OpenElsewhere:
            if _put_aside_place(draft) == _put_aside_place(known):
                return  # nothing was changed here
            place = self._move(name, draft)
        with self._condition:
            self._known[place] = decode_draft(encode_draft(draft, ""))

    def _move(self, name: str, draft: Draft) -> str:
        """Put a draft into a session that nobody has yet, where those after it go too."""
        for number in itertools.count(2):
            place = f"{name[: SESSION_NAME_LIMIT - 10]} {number}"
            with contextlib.suppress(OpenElsewhere):
                save_draft(self._database, place, draft, known=_NOBODYS)
                break
        self._moved[name] = place
        return place


_NOBODYS = Draft(engine="")
"""A draft that is in no session."""


def _put_aside_place(draft: Draft) -> Draft:
    return msgspec.structs.replace(draft, place={})


def _check_name(name: str) -> None:
    if not name.strip() or len(name) > SESSION_NAME_LIMIT or not name.isprintable():
        raise StoreError(
            f"{name!r} cannot be the name of a session.",
            f"Give 1 to {SESSION_NAME_LIMIT} printable characters.",
        )


def _check_free(transaction: Transaction, name: str) -> None:
    if _find(transaction, name) is not None:
        raise StoreError(f"There is a session {name!r} already.", "Give another name.")


def _make(name: str, draft: str) -> SessionRow:
    _check_name(name)
    return SessionRow(name=name, draft=draft, used=0, updated_at=time.time())


def _find(transaction: Transaction, name: str) -> SessionRow | None:
    """The row of the session that is shown by this name: a damaged one by what is left of it."""
    stored = col(SessionRow.name)
    row = transaction.exec(select(SessionRow).where(stored == name)).first()
    if row is not None:
        return row
    damaged = transaction.exec(select(SessionRow).where(func.typeof(stored) != "text")).all()
    return next((row for row in damaged if as_text(row.name) == name), None)


def _newest_first() -> tuple[Any, Any]:
    """The one used last first; those behind that do not say when, as a word is above numbers."""
    used = col(SessionRow.used)
    return func.typeof(used) != "integer", used.desc()


def _next_use(transaction: Transaction) -> int:
    used = col(SessionRow.used)
    # A word is more than any number to SQLite, and nothing can come after the highest one.
    is_number = func.typeof(used) == "integer"
    highest = select(func.max(used)).where(is_number, used < 2**62)
    return (transaction.exec(highest).first() or 0) + 1


def _to_session(row: SessionRow) -> Session:
    row = mend(row)[0]
    return Session(name=row.name, draft=_decode(row), updated_at=row.updated_at)


def _decode(row: SessionRow) -> Draft:
    return decode_draft(as_text(row.draft))
