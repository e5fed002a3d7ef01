"""What a class of rows is: its annotations are the columns of its table."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple, TypeVar, dataclass_transform

from store.expressions import Column

_KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (str, int, float, bool, bytes)}
_REQUIRED = object()


class Index(NamedTuple):
    """An index of more than one plain column: its name, on what, and for which rows."""

    name: str
    on: str
    where: str = ""


class Declared(NamedTuple):
    """What is declared of a column beside its type."""

    default: Any
    primary_key: bool
    unique: bool
    has_index: bool
    foreign_key: str
    name: str
    is_deferred: bool


def Field(
    *,
    default: Any = _REQUIRED,
    primary_key: bool = False,
    unique: bool = False,
    index: bool = False,
    foreign_key: str = "",
    name: str = "",
    is_deferred: bool = False,
) -> Any:
    """A column that has more than a type; see `Row`.

    `foreign_key` is `table.column`. `is_deferred`: it is read only where it is asked for.
    """
    return Declared(default, primary_key, unique, index, foreign_key, name, is_deferred)


@dataclass_transform(eq_default=False, kw_only_default=True, field_specifiers=(Field,))
class Row:
    """A row of the table `table`. Values are in `__dict__`, as far as they were read.

    A subclass names its table and annotates its columns, `| None` for those that may be NULL.
    `is_numbered`: SQLite gives the numbers, none twice. The schema itself is made by migrations.
    """

    table: ClassVar[str]
    is_numbered: ClassVar[bool] = False
    indexes: ClassVar[tuple[Index, ...]] = ()
    columns: ClassVar[dict[str, Column[Any]]]
    declared: ClassVar[dict[str, Declared]]
    keys: ClassVar[tuple[Column[Any], ...]]

    def __init_subclass__(cls) -> None:
        cls.columns, cls.declared = {}, {}
        for attribute, annotation in cls.__annotations__.items():
            if "ClassVar" in annotation:
                continue
            given = cls.__dict__.get(attribute, _REQUIRED)
            if not isinstance(given, Declared):
                given = Declared(given, False, False, False, "", "", False)
            kind, _, rest = annotation.partition(" | ")
            column: Column[Any] = Column(
                cls.table,
                attribute,
                _KINDS[kind],
                name=given.name or attribute,
                is_nullable=rest == "None" and not given.primary_key,
                is_deferred=given.is_deferred,
            )
            setattr(cls, attribute, column)
            cls.columns[attribute] = column
            cls.declared[attribute] = given
        cls.keys = tuple(
            column for name, column in cls.columns.items() if cls.declared[name].primary_key
        )

    def __init__(self, **values: Any) -> None:
        own = self.__dict__
        for name, declared in self.declared.items():
            if name in values:
                own[name] = values.pop(name)
            elif declared.default is not _REQUIRED:
                own[name] = declared.default
        if values:
            raise TypeError(f"{type(self).__name__} has no {', '.join(values)}")

    def load_column(self, column: Column[Any]) -> Any:
        """The value of a column that was not read with the others; read now, where that can be."""
        session = self.__dict__.get(SESSION)
        if session is None:
            raise AttributeError(f"{column.attribute} of this {type(self).__name__} was not read")
        value = self.__dict__[column.attribute] = session.load_column(self, column)
        return value

    @property
    def identity(self) -> tuple[Any, ...]:
        """The values of its primary key."""
        return tuple(self.__dict__.get(column.attribute) for column in self.keys)


SESSION = "(session)"
"""Where a row that was read keeps what read it."""

AnyRow = TypeVar("AnyRow", bound=Row)
