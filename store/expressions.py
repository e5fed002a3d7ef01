"""What stands between the words of an SQL statement: columns, comparisons, functions.

An expression is text with a place for each value, so a value is never part of the text. It knows
which tables it speaks of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Generic, TypeVar, cast

T = TypeVar("T")

_NAMED = re.compile(r":(\w+)")


class Expression(Generic[T]):
    """A piece of SQL whose value is a `T`: its text, the values of its places, its tables."""

    def __init__(self, text: str, values: Iterable[Any] = (), tables: Iterable[str] = ()) -> None:
        self.text = text
        self.values = tuple(values)
        self.tables = frozenset(tables)

    __hash__ = object.__hash__

    def __eq__(self, other: object) -> Expression[bool]:  # type: ignore[override]
        return self.is_(None) if other is None else self._join("=", other)

    def __ne__(self, other: object) -> Expression[bool]:  # type: ignore[override]
        return self.is_not(None) if other is None else self._join("<>", other)

    def __lt__(self, other: object) -> Expression[bool]:
        return self._join("<", other)

    def __le__(self, other: object) -> Expression[bool]:
        return self._join("<=", other)

    def __gt__(self, other: object) -> Expression[bool]:
        return self._join(">", other)

    def __ge__(self, other: object) -> Expression[bool]:
        return self._join(">=", other)

    def __add__(self, other: object) -> Expression[T]:
        return self._join("+", other)

    def __invert__(self) -> Expression[bool]:
        return Expression(f"NOT ({self.text})", self.values, self.tables)

    def __bool__(self) -> bool:
        # Whether it holds is for SQLite to say; `a == b` between columns is no answer here.
        raise TypeError("an SQL expression is neither true nor false")

    def is_(self, other: object) -> Expression[bool]:
        """Whether it is `other`, also where both are NULL."""
        return self._join("IS", other)

    def is_not(self, other: object) -> Expression[bool]:
        """Whether it is not `other`, also where one is NULL."""
        return self._join("IS NOT", other)

    def in_(self, wanted: Iterable[Any] | Expression[Any]) -> Expression[bool]:
        """Whether it is one of the values, or of those that a statement selects."""
        if isinstance(wanted, Expression):
            return self._join("IN", wanted)
        values = tuple(map(adapt, wanted))
        marks = ", ".join("?" * len(values))
        return Expression(f"{self.text} IN ({marks})", (*self.values, *values), self.tables)

    def startswith(self, text: str) -> Expression[bool]:
        """Whether its text begins with `text`, in which `%` and `_` stand for anything."""
        return Expression(f"{self.text} LIKE ? || '%'", (*self.values, text), self.tables)

    def desc(self) -> Expression[T]:
        """An order from the largest down."""
        return Expression(f"{self.text} DESC", self.values, self.tables)

    def _join(self, word: str, other: object) -> Expression[Any]:
        right = bind(other)
        return Expression(
            f"{self.text} {word} {right.text}",
            (*self.values, *right.values),
            self.tables | right.tables,
        )


class Column(Expression[T]):
    """A column of a table, read off the annotation of an attribute of a row's class.

    `kind` is the type of its values, `attribute` the name in Python, `name` that in the table. It
    is what the class gives for the attribute; an object has the value in its `__dict__`.
    """

    def __init__(
        self,
        table: str,
        attribute: str,
        kind: type[Any],
        *,
        name: str,
        is_nullable: bool,
        is_deferred: bool,
    ) -> None:
        super().__init__(f'"{table}"."{name}"', (), (table,))
        self.table = table
        self.attribute = attribute
        self.kind = kind
        self.name = name
        self.is_nullable = is_nullable
        self.is_deferred = is_deferred

    __hash__ = object.__hash__

    def __get__(self, row: Any, owner: type[Any]) -> Any:
        return self if row is None else row.load_column(self)


def col(value: T) -> Column[T]:
    """An attribute of a row's class as the column that it is; types say it is a value."""
    return cast("Column[T]", value)


def adapt(value: Any) -> Any:
    """A value as SQLite takes it."""
    return value.value if isinstance(value, Enum) else value


def bind(value: object) -> Expression[Any]:
    """`value` as an expression: itself, or a place for it."""
    return value if isinstance(value, Expression) else Expression("?", (adapt(value),))


def or_(*conditions: Expression[bool]) -> Expression[bool]:
    """Whether one of these holds."""
    return _gather(conditions, " OR ")


def and_(*conditions: Expression[bool]) -> Expression[bool]:
    """Whether all of these hold."""
    return _gather(conditions, " AND ")


def _gather(conditions: Iterable[Expression[bool]], word: str) -> Expression[bool]:
    parts = tuple(conditions)
    return Expression(
        f"({word.join(f'({part.text})' for part in parts)})",
        (value for part in parts for value in part.values),
        (table for part in parts for table in part.tables),
    )


def text(sql: str, **values: Any) -> Expression[Any]:
    """SQL as it stands, with `:name` for values."""
    names = _NAMED.findall(sql)
    return Expression(_NAMED.sub("?", sql), (adapt(values[name]) for name in names))


class Functions:
    """The functions of SQLite, by name: `func.max(column)`."""

    def count(self) -> Expression[int]:
        """How many rows there are."""
        return Expression("count(*)")

    def __getattr__(self, name: str) -> Callable[..., Expression[Any]]:
        def call(*arguments: object) -> Expression[Any]:
            parts = [bind(argument) for argument in arguments]
            given = ", ".join(part.text for part in parts)
            return Expression(
                f"{name}({given})",
                (value for part in parts for value in part.values),
                (table for part in parts for table in part.tables),
            )

        return call


func = Functions()
