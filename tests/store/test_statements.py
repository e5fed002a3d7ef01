"""Statements and rows: what is asked in Python is what SQLite is asked."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from store import transactions
from store.errors import HistoryUnavailable
from store.expressions import col, func, or_, text
from store.rows import Field, Row
from store.statements import exists, select, update
from store.transactions import Pool, Session


class ShelfRow(Row):
    """Where plates stand."""

    table = "shelf"

    name: str = Field(primary_key=True)
    is_dark: bool = False


class PlateRow(Row):
    """A photographic plate."""

    table = "plate"
    is_numbered = True

    number: int | None = Field(default=None, primary_key=True)
    title: str
    shelf: str | None = None
    grade: int | None = None
    emulsion: bytes | None = Field(default=None, is_deferred=True)


SCHEMA = """
    CREATE TABLE shelf (name TEXT PRIMARY KEY, is_dark BOOLEAN NOT NULL);
    CREATE TABLE plate (number INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL,
        shelf TEXT, grade INTEGER, emulsion BLOB);
"""


@pytest.fixture
def session() -> Iterator[Session]:
    with contextlib.closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        connection.executescript(SCHEMA)
        connection.execute("BEGIN")
        opened = Session(connection)
        opened.add(ShelfRow(name="north", is_dark=True))
        opened.add(ShelfRow(name="south"))
        for title, shelf, grade in (
            ("barn", "north", 3),
            ("boat", "north", None),
            ("gate", "south", 1),
            ("lost", None, 2),
        ):
            opened.add(PlateRow(title=title, shelf=shelf, grade=grade, emulsion=title.encode()))
        opened.flush()
        yield opened


def titles(session: Session, *conditions: object) -> list[str]:
    number = col(PlateRow.number)
    return session.exec(select(PlateRow.title).where(*conditions).order_by(number)).all()


def test_conditions_say_what_they_say_in_python(session: Session) -> None:
    grade, title, shelf = col(PlateRow.grade), col(PlateRow.title), col(PlateRow.shelf)
    assert titles(session, grade > 1, title != "lost") == ["barn"]
    assert titles(session, or_(grade <= 1, grade.is_(None))) == ["boat", "gate"]
    assert titles(session, shelf == None) == ["lost"]  # noqa: E711
    assert titles(session, shelf != None, grade.is_not(None)) == ["barn", "gate"]  # noqa: E711
    assert titles(session, title.in_(["gate", "barn"])) == ["barn", "gate"]
    assert titles(session, title.in_([])) == []
    assert titles(session, ~title.in_(["gate", "barn"])) == ["boat", "lost"]
    assert titles(session, title.startswith("b"), grade + 1 >= 4) == ["barn"]
    assert titles(session, text("length(title) = :size AND grade < :size", size=4)) == [
        *("barn", "gate", "lost")
    ]


def test_a_value_is_never_part_of_the_statement(session: Session) -> None:
    hostile = "x' OR 1 = 1 --"
    assert titles(session, col(PlateRow.title) == hostile) == []
    session.add(PlateRow(title=hostile))
    assert titles(session, col(PlateRow.title) == hostile) == [hostile]


def test_tables_are_joined_and_counted(session: Session) -> None:
    own = col(ShelfRow.name) == col(PlateRow.shelf)
    joined = select(PlateRow.title, ShelfRow).outerjoin(ShelfRow, own)
    found = session.exec(joined.order_by(col(PlateRow.number))).all()
    assert [(title, shelf and shelf.is_dark) for title, shelf in found] == [
        *(("barn", True), ("boat", True), ("gate", False), ("lost", None))
    ]
    dark = select(PlateRow.title).join(ShelfRow, own).where(col(ShelfRow.is_dark))
    assert session.exec(dark.order_by(col(PlateRow.title).desc())).all() == ["boat", "barn"]
    # Tables that are only spoken of are there as well.
    assert session.exec(select(func.count()).where(own)).one() == 3
    grouped = select(PlateRow.shelf, func.count(), func.max(PlateRow.grade))
    grouped = grouped.group_by(col(PlateRow.shelf)).order_by(func.count().desc())
    assert session.exec(grouped.limit(1)).first() == ("north", 2, 3)
    some = select(PlateRow.number).limit(3).offset(2)
    assert session.exec(select(func.count()).select_from(some.subquery())).one() == 2
    shelves = select(PlateRow.shelf).where(col(PlateRow.shelf).is_not(None)).distinct()
    assert sorted(session.exec(shelves).all(), key=str) == ["north", "south"]
    assert titles(session, col(PlateRow.shelf).in_(shelves.where(own).subquery())) == [
        *("barn", "boat", "gate")
    ]


def test_what_exists_may_speak_of_the_statement_around_it(session: Session) -> None:
    full = exists(PlateRow, col(PlateRow.shelf) == col(ShelfRow.name), col(PlateRow.grade) > 2)
    assert session.exec(select(ShelfRow.name).where(full)).all() == ["north"]
    assert session.exec(select(ShelfRow.name).where(~full)).all() == ["south"]


def test_a_row_that_was_changed_is_written_and_only_what_changed(session: Session) -> None:
    row = session.get_one(PlateRow, 1)
    assert session.exec(select(PlateRow).where(col(PlateRow.title) == "barn")).one() is row
    session.sqlite.execute("UPDATE plate SET grade = 5 WHERE number = 1")
    row.title = "red barn"
    assert titles(session, col(PlateRow.grade) == 5) == ["red barn"]
    session.forget(row)
    assert session.get_one(PlateRow, 1).grade == 5


def test_rows_are_put_in_place_of_others_and_removed(session: Session) -> None:
    session.merge(ShelfRow(name="south", is_dark=True))
    session.merge(ShelfRow(name="east"))
    shelves = session.exec(select(ShelfRow).order_by(col(ShelfRow.name))).all()
    assert [(row.name, row.is_dark) for row in shelves] == [
        *(("east", False), ("north", True), ("south", True))
    ]
    session.delete(shelves[0])
    assert session.get(ShelfRow, "east") is None
    with pytest.raises(LookupError):
        session.get_one(ShelfRow, "east")
    changed = update(PlateRow).where(col(PlateRow.grade) > 1)
    assert session.execute(changed.values(grade=col(PlateRow.grade) + 1)) == 2
    assert titles(session, col(PlateRow.grade) == 4) == ["barn"]


def test_a_large_column_is_read_where_somebody_asks_for_it(session: Session) -> None:
    for row in list(session.exec(select(PlateRow)).all()):
        session.forget(row)
    row = session.get_one(PlateRow, 2)
    assert "emulsion" not in row.__dict__
    assert row.emulsion == b"boat"
    for each in list(session.exec(select(PlateRow)).all()):
        session.forget(each)
    [short] = session.exec(select(PlateRow).leave_out(PlateRow.title).limit(1)).all()
    late = session.get_one(PlateRow, 3)
    assert short.title == "barn"
    session.close()
    with pytest.raises(AttributeError, match="emulsion"):
        _ = late.emulsion


def test_a_misspelt_attribute_is_an_error(session: Session) -> None:
    with pytest.raises(TypeError, match="ShelfRow has no nam"):
        ShelfRow(nam="x")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="neither true nor false"):
        assert col(PlateRow.grade) > 1


def test_connections_are_kept_and_what_was_left_open_is_undone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[sqlite3.Connection] = []

    def connect() -> sqlite3.Connection:
        path = tmp_path / "plates.sqlite3"
        made.append(sqlite3.connect(path, isolation_level=None, check_same_thread=False))
        return made[-1]

    pool = Pool(connect)
    with pool.borrow() as first:
        first.executescript(SCHEMA)
        first.execute("BEGIN IMMEDIATE")
        first.execute("INSERT INTO shelf VALUES ('north', 1)")
    with pool.borrow() as again:
        assert again is first
        assert again.execute("SELECT * FROM shelf").fetchall() == []
        pool.dispose()
    # It was made before: it is not used any more.
    with pool.borrow() as other:
        assert other is not first
    with pytest.raises(sqlite3.ProgrammingError):
        first.execute("SELECT 1")
    with contextlib.ExitStack() as stack:
        for _ in range(transactions.CONNECTIONS):
            stack.enter_context(pool.borrow())
        monkeypatch.setattr(transactions, "CONNECTION_SECONDS", 0.01)
        with pytest.raises(HistoryUnavailable, match="busy"), pool.borrow():
            pass
    with pool.borrow() as free:
        assert free.execute("SELECT 1").fetchone() == (1,)
    assert len(made) == transactions.CONNECTIONS + 1
    pool.dispose()
