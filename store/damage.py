"""Rows that were damaged: what in them is no value of its column's kind any more.

SQLite keeps a word in a column of numbers, and bytes in one of words. Such a row is shown like the
others, marked, with a stand-in for what cannot be read, and is never written back by that.
"""

from __future__ import annotations

import functools
import math
import sqlite3
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeVar

from sqlalchemy import Boolean, Float, Integer, LargeBinary
from sqlalchemy import inspect as inspect_mapper
from sqlmodel import SQLModel

from store.tables import (
    AnnotationRow,
    ChargeRow,
    EnvironmentRow,
    ImageRow,
    ImportedRow,
    InputRow,
    JobRow,
    PromptRow,
    RequestRow,
    SeriesRequestRow,
    SeriesRow,
    SessionRow,
    StageRow,
    TagRow,
    ThinnedRow,
    ThumbnailRow,
    VerificationRow,
    VerificationRunImageRow,
    VerificationRunRow,
)

TABLES: tuple[type[SQLModel], ...] = (
    RequestRow,
    PromptRow,
    InputRow,
    EnvironmentRow,
    JobRow,
    ChargeRow,
    ImageRow,
    StageRow,
    ThumbnailRow,
    VerificationRow,
    AnnotationRow,
    TagRow,
    ThinnedRow,
    VerificationRunRow,
    VerificationRunImageRow,
    SeriesRow,
    SeriesRequestRow,
    ImportedRow,
    SessionRow,
)
"""What `list_damaged` looks at: all that a person may come to see."""

LAST_MOMENT = 253_402_300_799.0
"""The end of the year 9999 in seconds since 1970, after which no calendar goes on."""

_LEAST = {"width": 1, "height": 1, "file_bytes": 0, "attempts": 0, "seconds": 0, "credits": 0}
_MOST = {"rating": 5}

_Row = TypeVar("_Row", bound=SQLModel)


class Kind(NamedTuple):
    """What a column may hold: values of `types`, between `least` and `most` where it is a number.

    `name`: of the column in the table. `otherwise` stands in for what is none of it.
    """

    name: str
    types: tuple[type, ...]
    otherwise: Any
    least: float
    most: float

    def fits(self, value: Any) -> bool:
        """Whether `value` is what the column may hold."""
        if not isinstance(value, self.types):
            return value is None and self.otherwise is None
        if isinstance(value, int | float):
            return math.isfinite(value) and self.least <= value <= self.most
        return True


@functools.cache
def list_kinds(table: type[SQLModel]) -> dict[str, Kind]:
    """The kinds of the columns of `table`, by attribute."""
    kinds = {}
    for attribute in inspect_mapper(table).column_attrs:
        [column] = attribute.columns
        is_time = column.name.endswith("_at")
        types, stand_in = _find_types(column.type)
        least, most = (0.0, LAST_MOMENT) if is_time else (-(2.0**63), 2.0**63)
        kinds[attribute.key] = Kind(
            name=column.name,
            types=types,
            otherwise=None if column.nullable else _LEAST.get(column.name, stand_in),
            least=_LEAST.get(column.name, least),
            most=_MOST.get(column.name, most),
        )
    return kinds


def _find_types(kind: Any) -> tuple[tuple[type, ...], Any]:
    """The Python types of a column's values, and what stands in for another one."""
    match kind:
        case Boolean():
            return (bool, int), False
        case Integer():
            return (int,), 0
        case Float():
            return (int, float), 0.0
        case LargeBinary():
            return (bytes,), b""
        case _:
            return (str,), ""


def mend(row: _Row) -> tuple[_Row, tuple[str, ...]]:
    """`row` as it can be shown, and the names of its columns that were damaged.

    It is `row` itself while nothing is; else a copy that belongs to no session, so that nothing of
    it is written. Columns that were not loaded are not looked at.
    """
    kinds = list_kinds(type(row))
    loaded = row.__dict__
    damaged = [
        name for name, kind in kinds.items() if name in loaded and not kind.fits(loaded[name])
    ]
    if not damaged:
        return row, ()
    values = {name: loaded[name] for name in kinds if name in loaded}
    for name in damaged:
        values[name] = _replace(kinds[name], values[name])
    return type(row)(**values), tuple(kinds[name].name for name in damaged)


def _replace(kind: Kind, value: Any) -> Any:
    if str not in kind.types or value is None:
        return kind.otherwise
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def list_damaged(connection: sqlite3.Connection) -> Iterator[str]:
    """The rows of which something is no value of its column's kind, one sentence each."""
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    for table in TABLES:
        name: str = table.__tablename__  # type: ignore[assignment]
        if name not in there:
            continue
        conditions = {kind.name: _write_condition(kind) for kind in list_kinds(table).values()}
        rows = connection.execute(
            f'SELECT rowid, {", ".join(conditions.values())} FROM "{name}"'
            f" WHERE {' OR '.join(conditions.values())}"
        )
        for rowid, *found in rows:
            columns = [column for column, is_bad in zip(conditions, found, strict=True) if is_bad]
            yield (
                f"The row {rowid} of the table {name} is damaged: "
                f"{', '.join(columns)} cannot be what was written."
            )


def _write_condition(kind: Kind) -> str:
    """SQL that is 1 for a value that the column may not hold."""
    column = f'"{kind.name}"'
    names = {int: "integer", float: "real", str: "text", bytes: "blob", bool: "integer"}
    types = ", ".join(sorted({f"'{names[each]}'" for each in kind.types}))
    wrong = f"typeof({column}) NOT IN ({types})"
    if kind.types[0] not in (str, bytes):
        # Infinity is beyond all of these, and what is no number is NULL in SQLite.
        wrong = f"({wrong} OR {column} NOT BETWEEN {kind.least!r} AND {kind.most!r})"
    return f"({column} IS NOT NULL AND {wrong})" if kind.otherwise is None else f"({wrong})"
