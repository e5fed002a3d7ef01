"""Statements over the tables: what to read, and what to change at once."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from typing import Any, Generic, Self, TypeVar, overload

from store.expressions import Column, Expression, adapt, and_, bind
from store.rows import AnyRow, Row

T = TypeVar("T")


class Reading:
    """One thing that a statement gives: a row of a class, or the value of an expression.

    `names` are the attributes of a row, `truths` those that are True or False.
    """

    def __init__(self, wanted: type[Row] | Expression[Any], left_out: Iterable[str] = ()) -> None:
        self.row: type[Row] | None = None
        self.names: list[str] = []
        self.truths: list[str] = []
        if isinstance(wanted, Expression):
            self.parts: Sequence[Expression[Any]] = (wanted,)
            return
        self.row = wanted
        columns = [
            column
            for name, column in wanted.columns.items()
            if name not in left_out and not column.is_deferred
        ]
        self.parts = columns
        self.names = [column.attribute for column in columns]
        self.truths = [column.attribute for column in columns if column.kind is bool]


class Select(Generic[T]):
    """A SELECT that gives `T`s. Each method returns another one; none is changed."""

    def __init__(self, *wanted: Any) -> None:
        self._wanted = wanted
        self._conditions: tuple[Expression[bool], ...] = ()
        self._joins: tuple[tuple[str, str, Expression[bool]], ...] = ()
        self._from: tuple[str, tuple[Any, ...]] | None = None
        self._order: tuple[Expression[Any], ...] = ()
        self._group: tuple[Expression[Any], ...] = ()
        self._limit: int | None = None
        self._offset = 0
        self._is_distinct = False
        self._left_out: tuple[str, ...] = ()

    def where(self, *conditions: Any) -> Self:
        """Only what fits all these, too."""
        return self._with(_conditions=(*self._conditions, *conditions))

    def join(self, row: type[Row], on: Any) -> Self:
        """With the rows of `row` for which `on` holds."""
        return self._with(_joins=(*self._joins, ("JOIN", row.table, on)))

    def outerjoin(self, row: type[Row], on: Any) -> Self:
        """With the rows of `row` for which `on` holds, or None where there are none."""
        return self._with(_joins=(*self._joins, ("LEFT JOIN", row.table, on)))

    def select_from(self, source: type[Row] | Expression[Any]) -> Self:
        """Begin with this table, or with what a statement gives."""
        if isinstance(source, Expression):
            return self._with(_from=(source.text, source.values))
        return self._with(_from=(f'"{source.table}"', ()))

    def order_by(self, *order: Any) -> Self:
        """In this order, behind that which was given before."""
        return self._with(_order=(*self._order, *order))

    def group_by(self, *group: Any) -> Self:
        """One for each of these."""
        return self._with(_group=group)

    def limit(self, count: int | None) -> Self:
        """At most so many, None for all."""
        return self._with(_limit=count)

    def offset(self, count: int) -> Self:
        """Without the first so many."""
        return self._with(_offset=count)

    def distinct(self) -> Self:
        """Each only once."""
        return self._with(_is_distinct=True)

    def leave_out(self, *columns: Any) -> Self:
        """Rows without these columns, which are read only where they are asked for."""
        return self._with(_left_out=tuple(column.attribute for column in columns))

    def subquery(self) -> Expression[Any]:
        """The statement in brackets, as a table, a value or a list of values."""
        sql, values = self.write()
        return Expression(f"({sql})", values)

    @property
    def readings(self) -> list[Reading]:
        """What each of its results is made of."""
        return [Reading(each, self._left_out) for each in self._wanted]

    def write(self) -> tuple[str, tuple[Any, ...]]:
        """The SQL, and the values of its places."""
        parts = [part for reading in self.readings for part in reading.parts]
        sql = ["SELECT DISTINCT" if self._is_distinct else "SELECT"]
        sql.append(", ".join(part.text for part in parts))
        values = [value for part in parts for value in part.values]
        if source := self._write_source(parts):
            sql += ["FROM", source]
            values += self._from[1] if self._from else ()
        for word, table, on in self._joins:
            sql.append(f'{word} "{table}" ON {on.text}')
            values += on.values
        if self._conditions:
            together = and_(*self._conditions)
            sql += ["WHERE", together.text]
            values += together.values
        for word, listed in (("GROUP BY", self._group), ("ORDER BY", self._order)):
            if listed:
                sql.append(f"{word} {', '.join(part.text for part in listed)}")
                values += [value for part in listed for value in part.values]
        if self._limit is not None or self._offset:
            sql.append("LIMIT ? OFFSET ?")
            values += (-1 if self._limit is None else self._limit, self._offset)
        return " ".join(sql), tuple(values)

    def _write_source(self, parts: Iterable[Expression[Any]]) -> str:
        """The tables that are spoken of and not joined."""
        own = [self._from[0]] if self._from else []
        spoken = [
            f'"{table}"' for part in (*parts, *self._conditions) for table in sorted(part.tables)
        ]
        joined = {f'"{table}"' for _, table, _ in self._joins}
        return ", ".join(dict.fromkeys(each for each in (*own, *spoken) if each not in joined))

    def _with(self, **changed: Any) -> Self:
        other = copy.copy(self)
        other.__dict__ |= changed
        return other


class Update:
    """An UPDATE of rows as they are in the table; rows that were read do not notice."""

    def __init__(self, row: type[Row]) -> None:
        self.row = row
        self._conditions: tuple[Any, ...] = ()
        self._changes: dict[str, Any] = {}

    def where(self, *conditions: Any) -> Self:
        """Only rows that fit all these, too."""
        other = copy.copy(self)
        other._conditions = (*self._conditions, *conditions)
        return other

    def values(self, **changes: Any) -> Self:
        """With these values, or expressions, by attribute."""
        other = copy.copy(self)
        other._changes = {**self._changes, **changes}
        return other

    def write(self) -> tuple[str, tuple[Any, ...]]:
        """The SQL, and the values of its places."""
        changes = [(self.row.columns[name], bind(value)) for name, value in self._changes.items()]
        together = and_(*self._conditions)
        sets = ", ".join(f'"{column.name}" = {value.text}' for column, value in changes)
        values = [each for _, value in changes for each in value.values]
        sql = f'UPDATE "{self.row.table}" SET {sets} WHERE {together.text}'
        return sql, (*values, *together.values)


def write_insert(row: Row) -> tuple[str, tuple[Any, ...]]:
    """The INSERT of a new row, and its values; without a number that SQLite is to give."""
    there: list[tuple[Column[Any], Any]] = [
        (column, row.__dict__[name])
        for name, column in row.columns.items()
        if name in row.__dict__ and not (row.declared[name].primary_key and row.identity == (None,))
    ]
    names = ", ".join(f'"{column.name}"' for column, _ in there)
    marks = ", ".join("?" * len(there))
    sql = f'INSERT INTO "{row.table}" ({names}) VALUES ({marks})'
    return sql, tuple(adapt(value) for _, value in there)


@overload
def select(wanted: type[AnyRow], /) -> Select[AnyRow]: ...
@overload
def select(wanted: Expression[T], /) -> Select[T]: ...
@overload
def select(wanted: T, /) -> Select[T]: ...
@overload
def select(first: Any, second: Any, /, *more: Any) -> Select[Any]: ...
def select(*wanted: Any) -> Select[Any]:
    """A SELECT of rows or values; of several things it gives tuples."""
    return Select(*wanted)


def exists(row: type[Row], *conditions: Any) -> Expression[bool]:
    """Whether a row of `row` fits; conditions may speak of the tables of the statement around."""
    together = and_(*conditions)
    return Expression(
        f'EXISTS (SELECT 1 FROM "{row.table}" WHERE {together.text})',
        together.values,
        together.tables - {row.table},
    )


update = Update
