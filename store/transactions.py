"""One transaction over the tables, and the connections that transactions share."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar, cast

from store.errors import HistoryUnavailable
from store.expressions import Column, adapt
from store.rows import SESSION, AnyRow, Row
from store.statements import Reading, Select, Update, select, write_insert

T = TypeVar("T")

IDLE_CONNECTIONS = 4
CONNECTIONS = 16
CONNECTION_SECONDS = 30.0
"""How long one waits while all connections are in use."""


class Result(Generic[T]):
    """What a statement gave, all of it."""

    def __init__(self, found: list[T]) -> None:
        self._found = found

    def __iter__(self) -> Iterator[T]:
        return iter(self._found)

    def all(self) -> list[T]:
        """All, in their order."""
        return self._found

    def first(self) -> T | None:
        """The first, None where there is none."""
        return self._found[0] if self._found else None

    def one(self) -> T:
        """The only one. Raises `LookupError` where there are more or none."""
        if len(self._found) != 1:
            raise LookupError(f"one was expected, not {len(self._found)}")
        return self._found[0]


class Session:
    """Rows within one transaction. It belongs to one thread.

    A row that was added, or read and then changed, is written with the next statement or with
    `flush`. A row is one object, however often it is read.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.sqlite: sqlite3.Connection = connection
        self._new: list[Row] = []
        self._known: dict[tuple[type[Row], tuple[Any, ...]], tuple[Row, dict[str, Any]]] = {}
        self._is_over = False

    def exec(self, statement: Select[T]) -> Result[T]:
        """Read what the statement wants, behind what is still to be written."""
        self.flush()
        sql, values = statement.write()
        readings = statement.readings
        found = []
        for stored in self.sqlite.execute(sql, values).fetchall():
            place, parts = 0, []
            for reading in readings:
                end = place + len(reading.parts)
                parts.append(self._read(reading, stored[place:end]))
                place = end
            found.append(parts[0] if len(parts) == 1 else tuple(parts))
        return Result(cast("list[T]", found))

    def get(self, row: type[AnyRow], key: Any) -> AnyRow | None:
        """The row of this primary key (a tuple where it has several columns), or None."""
        keys = key if isinstance(key, tuple) else (key,)
        known = self._known.get((row, keys))
        if known is not None:
            return cast(AnyRow, known[0])
        pairs = zip(row.keys, keys, strict=True)
        return self.exec(select(row).where(*(column == value for column, value in pairs))).first()

    def get_one(self, row: type[AnyRow], key: Any) -> AnyRow:
        """As `get`. Raises `LookupError` where there is none."""
        found = self.get(row, key)
        if found is None:
            raise LookupError(f"there is no {row.table} {key}")
        return found

    def forget(self, row: Row) -> None:
        """Read it anew where it is wanted again, as an object of its own."""
        self._known.pop((type(row), row.identity), None)

    def execute(self, statement: Update) -> int:
        """Change rows in the table; how many there were."""
        self.flush()
        return self.sqlite.execute(*statement.write()).rowcount

    def add(self, row: Row) -> None:
        """Write a new row, or what was changed of one that was read."""
        if SESSION not in row.__dict__ and row not in self._new:
            self._new.append(row)

    def merge(self, row: Row) -> None:
        """Write a row in the place of that with its key, or as a new one."""
        there = self.get(type(row), row.identity)
        if there is None:
            self.add(row)
            return
        for name in row.columns:
            if name in row.__dict__:
                setattr(there, name, row.__dict__[name])

    def delete(self, row: Row) -> None:
        """Remove a row that was read."""
        self.flush()
        where = " AND ".join(f'"{column.name}" = ?' for column in row.keys)
        self.sqlite.execute(f'DELETE FROM "{row.table}" WHERE {where}', row.identity)
        self._known.pop((type(row), row.identity), None)

    def flush(self) -> None:
        """Write what was added and changed."""
        new, self._new = self._new, []
        for row in new:
            done = self.sqlite.execute(*write_insert(row))
            if row.identity == (None,):
                row.__dict__[row.keys[0].attribute] = done.lastrowid
            self._know(row)
        for row, before in self._known.values():
            changed = [
                column
                for name, column in row.columns.items()
                if name in row.__dict__ and row.__dict__[name] != before.get(name)
            ]
            if changed:
                self._write_changes(row, changed)
                before.update(row.__dict__)

    def close(self) -> None:
        """Read nothing more: what a row has not by now it will not have."""
        self._is_over = True

    def load_column(self, row: Row, column: Column[Any]) -> Any:
        """The value of a column of a row that was read without it."""
        if self._is_over:
            raise AttributeError(f"{column.attribute} was not read while it could be")
        pairs = zip(row.keys, row.identity, strict=True)
        value = self.exec(select(column).where(*(key == value for key, value in pairs))).first()
        if (known := self._known.get((type(row), row.identity))) is not None:
            known[1][column.attribute] = value
        return value

    def _read(self, reading: Reading, stored: Sequence[Any]) -> Any:
        if reading.row is None:
            return stored[0]
        values = dict(zip(reading.names, stored, strict=True))
        for name in reading.truths:
            if values[name] in (0, 1):
                values[name] = bool(values[name])
        key = tuple(values[column.attribute] for column in reading.row.keys)
        if None in key:
            return None  # of an outer join
        known = self._known.get((reading.row, key))
        if known is not None:
            return known[0]
        row = object.__new__(reading.row)
        row.__dict__ |= values
        self._know(row)
        return row

    def _know(self, row: Row) -> None:
        row.__dict__[SESSION] = self
        self._known[type(row), row.identity] = (row, dict(row.__dict__))

    def _write_changes(self, row: Row, changed: Sequence[Column[Any]]) -> None:
        sets = ", ".join(f'"{column.name}" = ?' for column in changed)
        where = " AND ".join(f'"{column.name}" = ?' for column in row.keys)
        values = [adapt(row.__dict__[column.attribute]) for column in changed]
        sql = f'UPDATE "{row.table}" SET {sets} WHERE {where}'
        self.sqlite.execute(sql, (*values, *row.identity))


class Pool:
    """Connections to one history, kept for the next transaction. Safe to share between threads."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._generation = 0

    @contextlib.contextmanager
    def borrow(self) -> Iterator[sqlite3.Connection]:
        """A connection outside of any transaction; what the block leaves open is undone.

        Raises `HistoryUnavailable` where none becomes free in time.
        """
        if not self._free.acquire(timeout=CONNECTION_SECONDS):
            raise HistoryUnavailable(
                "The history is busy: too many things happen at once.", "Try again."
            )
        try:
            with self._lock:
                generation = self._generation
                connection = self._idle.pop() if self._idle else None
            connection = connection or self._connect()
            try:
                yield connection
            finally:
                self._give_back(connection, generation)
        finally:
            self._free.release()

    def dispose(self) -> None:
        """Close all connections, those in use when they come back."""
        with self._lock:
            idle, self._idle = self._idle, []
            self._generation += 1
        for connection in idle:
            connection.close()

    def _give_back(self, connection: sqlite3.Connection, generation: int) -> None:
        try:
            connection.rollback()
        except sqlite3.Error:
            connection.close()
            return
        with self._lock:
            is_kept = generation == self._generation and len(self._idle) < IDLE_CONNECTIONS
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()
