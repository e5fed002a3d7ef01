"""Which images a search selects, as SQL: their numbers in order, a part at a time.

A search that few images fit is answered from an index; one that many fit by walking through the
images in the wanted order, where enough of them come at once. Which of the two it is, is found out
by counting what the index says, only as far as matters.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Sequence
from typing import NamedTuple

from store.search import (
    EVERYTHING,
    NEWEST_FIRST,
    VERDICTS,
    Clue,
    Condition,
    Name,
    Reference,
    Search,
    Size,
    Sort,
    SortKey,
    Span,
    State,
    Weighted,
    Words,
    fold,
)
from store.search_index import PART, PARTS, TABLE, TITLE, VOCABULARY

CHUNK = 20_000
"""Numbers that are read in one go: some milliseconds, so that nobody waits for a reader."""

_FEW = 10_000
"""As many rows of an index are read and put in order at once rather than walking."""

_FEW_TEXTS = 2_000
"""The same for rows that may hold a text, which are in order anyway."""

_MOST_PARTS = 60
"""Parts that are asked of the index; the text itself is compared afterwards."""

_SAMPLE = 20_000
"""Newest images that are looked through for a text of one or two characters."""

_MOST_BEGINNINGS = 300
"""Parts that may begin with a text of one or two characters, to be asked of the index."""

_MOST_MATCHES = 500
"""Names that may fit one condition."""

_MOST_NAMES = 5_000
"""Different names (of sessions, say) that are looked through for a part of a name."""


class Place(NamedTuple):
    """Where a list was read to: the image's number, and what it is sorted by."""

    number: int
    key: int | str | None = None


class Chunk(NamedTuple):
    """Numbers that follow each other in a list. `end`: where to go on, None behind the last."""

    numbers: array[int]
    end: Place | None


class Sql(NamedTuple):
    """A piece of SQL with the values for its question marks."""

    text: str
    values: tuple[object, ...] = ()


class _Rule(NamedTuple):
    """One condition. `test` is true of rows of the table `found`.

    `source` selects all numbers that fit, from an index; None where there is none. `parts` are
    those of its text that the full-text index knows. `bound` limits the numbers beside the test.
    """

    test: Sql
    source: Sql | None = None
    parts: tuple[str, ...] = ()
    bound: Sql | None = None


_NOT_TRASHED = _Rule(Sql("NOT found.is_trashed"))

_NUMBER = "found.number"


class _Order(NamedTuple):
    """What a list is sorted by, which way round, and the `name` of the index that has it so."""

    column: str
    is_descending: bool
    name: str = ""


_SORTED = {
    SortKey.DATE: _Order(_NUMBER, True),
    SortKey.RATING: _Order("found.rating", True, f"ix_{TABLE}_rating"),
    SortKey.SEED: _Order("found.seed", False, f"ix_{TABLE}_seed"),
    SortKey.PROMPT: _Order(TITLE.format("found.text"), False, f"ix_{TABLE}_title"),
}


class Selection:
    """The images that one search selects, in one order. Made for one connection, and short-lived.

    `numbers` are all that can be selected at all, where given.
    """

    def __init__(
        self,
        connection: sqlite3.Connection,
        search: Search = EVERYTHING,
        sort: Sort = NEWEST_FIRST,
        *,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._connection = connection
        self.sort = search.sort or sort
        rules = [] if search.wants_trashed else [_NOT_TRASHED]
        for term in search.terms:
            rule = _make_rule(connection, term.condition)
            if term.is_excluded:
                rule = _Rule(Sql(f"({rule.test.text}) IS NOT TRUE", rule.test.values))
            rules.append(rule)
        if numbers is not None:
            marks = ", ".join("?" * len(numbers))
            test = Sql(f"found.number IN ({marks})", tuple(numbers))
            source = Sql(f"SELECT number FROM {TABLE} WHERE number IN ({marks})", tuple(numbers))
            rules.append(_Rule(test, source))
        self._rules = rules
        self._parts = tuple(dict.fromkeys(part for rule in rules for part in rule.parts))[
            :_MOST_PARTS
        ]
        self._source = self._choose_source()

    def _choose_source(self) -> Sql | None:
        """The index that gives the fewest numbers, None where all give many."""
        best, fewest = None, _FEW + 1
        for rule in self._rules:
            if rule.source is not None and fewest:
                count = self._count(rule.source, fewest)
                if count < fewest:
                    best, fewest = rule.source, count
        if self._parts and fewest:
            source = _select_parts(self._parts)
            if self._count(source, most := min(_FEW_TEXTS, fewest)) < most:
                return source
        return best

    def _count(self, source: Sql, most: int) -> int:
        """How many numbers `source` gives, at most one more than `most`."""
        statement = f"SELECT count(*) FROM ({source.text} LIMIT ?)"
        row = self._connection.execute(statement, (*source.values, most + 1)).fetchone()
        return int(row[0])

    # What is selected

    def read(
        self, after: Place | None = None, limit: int = CHUNK, *, from_end: bool = False
    ) -> Chunk:
        """The next numbers behind `after`; with `from_end` the list is read from its other end."""
        column = _SORTED[self.sort.key].column
        is_descending = _SORTED[self.sort.key].is_descending
        if self.sort.is_reversed != from_end:
            is_descending = not is_descending
        direction, sign = ("DESC", "<") if is_descending else ("ASC", ">")
        is_by_date = self.sort.key is SortKey.DATE
        begin = None
        if is_by_date:
            what, order = _NUMBER, f"{_NUMBER} {direction}"
            if after is not None:
                begin = Sql(f"{_NUMBER} {sign} ?", (after.number,))
        else:
            what, order = f"{_NUMBER}, {column}", f"{column} {direction}, {_NUMBER} {direction}"
            if after is not None:
                begin = Sql(f"({column}, {_NUMBER}) {sign} (?, ?)", (after.key, after.number))
        statement = self._select(what, begin, f"ORDER BY {order} LIMIT ?", is_walk=is_by_date)
        cursor = self._connection.execute(statement.text, (*statement.values, limit))
        numbers: array[int] = array("q")
        last: tuple[int, ...] = ()
        while rows := cursor.fetchmany(4096):
            numbers.extend([row[0] for row in rows])
            last = rows[-1]
        return Chunk(numbers, Place(*last) if len(numbers) == limit else None)

    def find_place(self, number: int) -> Place | None:
        """Where the image with this number stands, None when there is none."""
        if self.sort.key is SortKey.DATE:
            return Place(number)
        column = _SORTED[self.sort.key].column
        statement = f"SELECT number, {column} FROM {TABLE} AS found WHERE number = ?"
        row = self._connection.execute(statement, (number,)).fetchone()
        return Place(*row) if row else None

    def _select(self, what: str, begin: Sql | None, ending: str, *, is_walk: bool) -> Sql:
        """`SELECT what … ending` over the images that are selected and fit `begin`."""
        conditions = [rule.test for rule in self._rules]
        bounds = [rule.bound for rule in self._rules if rule.bound is not None]
        first: tuple[object, ...] = ()
        if self._source is not None:
            # Read whole and put in order: it is small.
            source, first = self._source
            table = f"({source}) AS few CROSS JOIN {TABLE} AS found ON found.number = few.number"
            conditions += [begin] if begin else []
        elif self._parts and is_walk:
            table = f"{PARTS} CROSS JOIN {TABLE} AS found ON found.number = {PARTS}.rowid"
            match = Sql(f"{PARTS} MATCH ?", (_write_match(self._parts),))
            # It is read in its own order, from where it is to begin, only by its own name.
            limits = [*bounds, *([begin] if begin else [])]
            limits = [
                Sql(each.text.replace(_NUMBER, f"{PARTS}.rowid"), each.values) for each in limits
            ]
            ending = ending.replace(_NUMBER, f"{PARTS}.rowid")
            conditions = [match, *limits, *conditions]
        else:
            # Another index would give them in another order.
            index = "NOT INDEXED" if is_walk else f"INDEXED BY {_SORTED[self.sort.key].name}"
            table = f"{TABLE} AS found {index}"
            conditions += [*bounds, *([begin] if begin else [])]
        where = " AND ".join(f"({each.text})" for each in conditions) or "TRUE"
        values = [value for each in conditions for value in each.values]
        return Sql(f"SELECT {what} FROM {table} WHERE {where} {ending}", (*first, *values))


# Rules


def _make_rule(connection: sqlite3.Connection, condition: Condition) -> _Rule:
    match condition:
        case Words():
            return _find_words(connection, condition.text)
        case Clue():
            return _find_clue(condition)
        case Span():
            return _find_span(connection, condition)
        case Name():
            return _find_name(connection, condition)
        case Size():
            sides = (condition.width, condition.height)
            return _compare("width = ? AND {0}height = ?", sides)
        case Reference():
            return _find_reference(connection, condition)
        case State():
            return _find_state(condition)
        case Weighted():
            return _find_weighted(condition)


def _compare(comparison: str, values: tuple[object, ...] = (), bound: Sql | None = None) -> _Rule:
    """A rule about a column that has an index."""
    source = Sql(f"SELECT number FROM {TABLE} WHERE {comparison.format('')}", values)
    return _Rule(Sql("found." + comparison.format("found."), values), source, bound=bound)


def _find_words(connection: sqlite3.Connection, text: str) -> _Rule:
    test = Sql("instr(found.text, ?) > 0", (text,))
    return _Rule(test, _find_rare(connection, text), _split(text))


def _find_rare(connection: sqlite3.Connection, text: str) -> Sql | None:
    """What holds a text shorter than a part, if that is in few images; one in many needs none."""
    if len(text) >= PART or "\0" in text:
        return None
    statement = (
        f"SELECT count(*) FROM (SELECT 1 FROM {TABLE} WHERE instr(text, ?) > 0 AND number >"
        f" (SELECT max(number) FROM {TABLE}) - ? LIMIT ?)"
    )
    often = _SAMPLE // 100
    if connection.execute(statement, (text, _SAMPLE, often)).fetchone()[0] == often:
        return None
    rows = connection.execute(
        f"SELECT term FROM {VOCABULARY} WHERE term >= ? AND term < ? LIMIT ?",
        (text, text + "\U0010ffff", _MOST_BEGINNINGS + 1),
    ).fetchall()
    if len(rows) > _MOST_BEGINNINGS:
        return None
    match = " OR ".join(_write_match((part,)) for (part,) in rows)
    return Sql(f"SELECT rowid AS number FROM {PARTS} WHERE {PARTS} MATCH ?", (match or '""',))


def _split(text: str) -> tuple[str, ...]:
    """The parts of `text` that the full-text index knows."""
    parts = (text[place : place + PART] for place in range(len(text) - PART + 1))
    # In a query the index reads nothing behind a NUL.
    return tuple(dict.fromkeys(part for part in parts if "\0" not in part))


def _write_match(parts: Sequence[str]) -> str:
    quoted = (part.replace('"', '""') for part in parts)
    return " ".join(f'"{part}"' for part in quoted)


def _select_parts(parts: Sequence[str]) -> Sql:
    return Sql(f"SELECT rowid AS number FROM {PARTS} WHERE {PARTS} MATCH ?", (_write_match(parts),))


def _select_ids(beginning: str) -> Sql:
    return Sql("SELECT number FROM image WHERE id >= ? AND id < ?", (beginning, beginning + "g"))


def _find_clue(clue: Clue) -> _Rule:
    tests = [Sql("instr(found.text, ?) > 0", (clue.text,))]
    sources: list[Sql] = []
    if clue.seed is not None:
        tests.append(Sql("found.seed = ?", (clue.seed,)))
        sources.append(Sql(f"SELECT number FROM {TABLE} WHERE seed = ?", (clue.seed,)))
    if clue.id is not None:
        ids = _select_ids(clue.id)
        tests.append(Sql(f"{_NUMBER} IN ({ids.text})", ids.values))
        sources.append(ids)
    test = Sql(
        " OR ".join(each.text for each in tests),
        tuple(value for each in tests for value in each.values),
    )
    parts = _split(clue.text)
    if not parts:
        return _Rule(test)
    sources.append(_select_parts(parts))
    # Each is cut where it is too much to be the source; then the whole is too much too.
    union = " UNION ".join(f"SELECT number FROM ({each.text} LIMIT {_FEW + 1})" for each in sources)
    return _Rule(test, Sql(union, tuple(value for each in sources for value in each.values)))


_COLUMNS = {"cfg": "cfg_scale", "style": "style_preset"}


def _write_span(column: str, span: Span) -> Sql:
    bounds, values = [], []
    if span.low is not None and span.low == span.high:
        return Sql(f"{column} = ?", (span.low,))
    if span.low is not None:
        bounds.append(f"{column} {'>' if span.is_above else '>='} ?")
        values.append(span.low)
    if span.high is not None:
        bounds.append(f"{column} {'<' if span.is_below else '<='} ?")
        values.append(span.high)
    if span.key == "rating":
        bounds.append(f"{column} >= 0")
    return Sql(" AND ".join(bounds), tuple(values))


def _find_span(connection: sqlite3.Connection, span: Span) -> _Rule:
    column = _COLUMNS.get(span.key, span.key)
    source, test = _write_span(column, span), _write_span(f"found.{column}", span)
    bound = None
    if span.key == "created_at" and _has_many_beyond(connection, span):
        # Numbers grow with time, mostly: those beyond need not be looked at.
        extreme, sign = ("min", ">=") if span.low is not None else ("max", "<=")
        bound = Sql(
            # Else it would look for the first that fits, from one end of the table.
            f"{_NUMBER} {sign} (SELECT {extreme}(number) FROM {TABLE}"
            f" INDEXED BY ix_{TABLE}_created_at WHERE {source.text})",
            source.values,
        )
    select = Sql(f"SELECT number FROM {TABLE} WHERE {source.text}", source.values)
    return _Rule(test, select, bound=bound)


def _has_many_beyond(connection: sqlite3.Connection, span: Span) -> bool:
    """Whether so many images are outside that it would take long to walk over them."""
    sign = "<" if span.low is not None else ">="
    beyond = Sql(
        f"SELECT 1 FROM {TABLE} WHERE created_at {sign} ?",
        (span.high if span.low is None else span.low,),
    )
    statement = f"SELECT count(*) FROM ({beyond.text} LIMIT {_SAMPLE + 1})"
    return int(connection.execute(statement, beyond.values).fetchone()[0]) > _SAMPLE


def _find_name(connection: sqlite3.Connection, name: Name) -> _Rule:
    column = _COLUMNS.get(name.key, name.key)
    names = [name.text] if name.is_exact else _list_fitting(connection, name)
    marks = ", ".join("?" * len(names))
    values = tuple(names)
    if name.key == "tag":
        test = f"EXISTS (SELECT 1 FROM tag WHERE name IN ({marks}) AND image_number = {_NUMBER})"
        source = f"SELECT DISTINCT image_number AS number FROM tag WHERE name IN ({marks})"
        return _Rule(Sql(test, values), Sql(source, values))
    return _compare(f"{column} IN ({marks})", values)


def _list_fitting(connection: sqlite3.Connection, wanted: Name) -> list[str]:
    """The names that are the wanted one, else those that hold it, whatever their case."""
    folded = fold(wanted.text)
    names = [(name, fold(name)) for name in list_key_names(connection, wanted.key)]
    for fits in (
        [name for name, _ in names if name == wanted.text],
        [name for name, plain in names if plain == folded],
        [name for name, plain in names if folded in plain],
    ):
        if fits:
            return fits[:_MOST_MATCHES]
    return []


def list_key_names(connection: sqlite3.Connection, key: str) -> list[str]:
    """The names that a key (`engine`, `tag` …) can be given here, in their order."""
    table, column = ("tag", "name") if key == "tag" else (TABLE, _COLUMNS.get(key, key))
    # From one to the next in the index, however many images have each.
    rows = connection.execute(
        f"WITH RECURSIVE each (name) AS (SELECT min({column}) FROM {table} UNION ALL"
        f" SELECT (SELECT min({column}) FROM {table} WHERE {column} > each.name)"
        f" FROM each WHERE each.name IS NOT NULL LIMIT {_MOST_NAMES})"
        " SELECT name FROM each WHERE name IS NOT NULL"
    )
    return [str(row[0]) for row in rows]


def _find_reference(connection: sqlite3.Connection, reference: Reference) -> _Rule:
    if reference.key == "id":
        ids = _select_ids(reference.text)
        return _Rule(Sql(f"{_NUMBER} IN ({ids.text})", ids.values), ids)
    beginning = reference.text
    if beginning.startswith("@"):
        row = connection.execute(
            f"SELECT image.id FROM {TABLE} JOIN image USING (number) WHERE NOT is_trashed"
            f" ORDER BY {TABLE}.number DESC LIMIT 1 OFFSET ?",
            (int(beginning[1:]) - 1,),
        ).fetchone()
        beginning = row[0] if row else "-"
    children = Sql(
        "SELECT number FROM image WHERE parent_id >= ? AND parent_id < ?",
        (beginning, beginning + "g"),
    )
    return _Rule(Sql(f"{_NUMBER} IN ({children.text})", children.values), children)


def _find_state(state: State) -> _Rule:
    match state.key, state.word:
        case "verdict", word:
            verdict = VERDICTS[word]
            if verdict is None:
                return _Rule(Sql("found.verdict IS NULL"))
            return _compare("verdict = ?", (verdict.value,))
        case "is", "trashed":
            # Of what was emptied only records are left, which no list shows.
            left = (
                "NOT EXISTS (SELECT 1 FROM annotation"
                " WHERE image_number = {0}number AND emptied_at IS NOT NULL)"
            )
            source = f"SELECT number FROM {TABLE} WHERE is_trashed AND {left.format(f'{TABLE}.')}"
            return _Rule(Sql(f"found.is_trashed AND {left.format('found.')}"), Sql(source))
        case "has", "rating":
            return _compare("rating >= 0")
        case "is", "favourite":
            return _find_row_of("annotation", "is_favourite")
        case "has", "note":
            return _find_row_of("annotation", "note <> ''")
        case "has", "tag":
            return _find_row_of("tag", "TRUE")
        case _, word:
            return _find_row_of(word, "TRUE")


def _find_row_of(table: str, condition: str) -> _Rule:
    """Images that have a row in another table."""
    test = f"EXISTS (SELECT 1 FROM {table} WHERE image_number = {_NUMBER} AND {condition})"
    source = f"SELECT DISTINCT image_number AS number FROM {table} WHERE {condition}"
    return _Rule(Sql(test), Sql(source))


def _find_weighted(weighted: Weighted) -> _Rule:
    span = _write_span("prompt.weight", weighted.span)
    text = weighted.text
    # Most texts need no folding but that of SQLite itself, which is faster.
    test = (
        "EXISTS (SELECT 1 FROM image JOIN prompt USING (request_digest)"
        f" WHERE image.number = {_NUMBER} AND {span.text}"
        " AND (instr(lower(prompt.text), ?) > 0 OR instr(fold(prompt.text), ?) > 0))"
    )
    whole = Sql(f"instr(found.text, ?) > 0 AND {test}", (text, *span.values, text, text))
    return _Rule(whole, parts=_split(text))
