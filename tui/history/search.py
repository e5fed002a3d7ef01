"""The field in which the history is searched, what is said below it, and the orders of the list."""

from __future__ import annotations

import re
from typing import ClassVar

from rich.cells import cell_len
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.suggester import Suggester
from textual.widgets import Input

from store.errors import SafelightError
from store.search import KEYS, SearchError, Sort, SortKey
from tui.darkroom import Darkroom
from tui.terminal.detect import get_display
from tui.text import mark_controls, show_safely
from tui.widgets.cell import Cell

_SENTENCE_END = re.compile(r"(?<=[.?]) ")
_LAST_TERM = re.compile(r'(?:^|\s)-?(?:([^\W\d]\w*):("?)([^"]*)|([^\W\d]\w+))$')
_NAMED = ("engine", "model", "sampler", "style", "session", "tag")
"""Keys whose values are names that are in this history."""

_ORDERS = {
    SortKey.DATE: ("newest first", "oldest first"),
    SortKey.RATING: ("best rated first", "best rated last"),
    SortKey.SEED: ("lowest seed first", "highest seed first"),
    SortKey.PROMPT: ("prompts from A", "prompts from Z"),
}


def describe_sort(sort: Sort) -> str:
    """What an order is called."""
    return _ORDERS[sort.key][sort.is_reversed]


def next_sort(sort: Sort) -> Sort:
    """The order after this one, the last being followed by the first."""
    keys = list(SortKey)
    return Sort(keys[(keys.index(sort.key) + 1) % len(keys)])


class TermSuggester(Suggester):
    """Completes the term that is being typed: its key, or a value that there is."""

    def __init__(self, darkroom: Darkroom) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._darkroom = darkroom

    async def get_suggestion(self, value: str) -> str | None:
        """`value` with the rest of its last term, None where nothing fits."""
        match = _LAST_TERM.search(value)
        if match is None:
            return None
        key, quote, begin, word = match.groups()
        if word is not None:
            found = (f"{name}:" for name in KEYS if name.startswith(word.lower()))
            return self._complete(value, word, next(found, None))
        if not begin or key.lower() not in KEYS:
            return None
        names = KEYS[key.lower()].words or await self._list_names(key.lower())
        if not quote:
            names = tuple(name for name in names if not re.search(r"\s", name))
        found = (name for name in names if name.lower().startswith(begin.lower()))
        completed = self._complete(value, begin, next(found, None))
        return completed and completed + quote

    def _complete(self, value: str, begin: str, whole: str | None) -> str | None:
        # What is there stays as it was typed, so that the rest can be shown behind it.
        return value + whole[len(begin) :] if whole and len(whole) > len(begin) else None

    async def _list_names(self, key: str) -> tuple[str, ...]:
        if key not in _NAMED:
            return ()
        try:
            return tuple(await self._darkroom.list_search_names(key))
        except SafelightError:
            return ()


class SearchField(Input):
    """The search, which is made as it is typed."""

    BINDING_GROUP_TITLE = "while typing"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "submit",
            "list",
            tooltip="Go to the list of what was found",
            id="search.enter",
            system=True,
        ),
    ]

    def __init__(self, darkroom: Darkroom, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(
            placeholder="words of a prompt, seed:7, is:favourite, since:monday",
            suggester=TermSuggester(darkroom),
            id=id,
        )

    @property
    def hidden_cells(self) -> int:
        """Columns of the text that are out of sight to the left."""
        return self.scroll_offset.x


class SearchHint(Cell):
    """One line below the field: what is wrong, at its place, or what can be typed."""

    def show(self, field: SearchField, error: SearchError | None) -> None:
        """Say what is to be said of what stands in `field`."""
        if error is None:
            self.set_class(False, "-wrong")
            self.put(self._advise(field.value[: field.cursor_position]))
            return
        self.set_class(True, "-wrong")
        self.put(self._point(field, error))

    def _point(self, field: SearchField, error: SearchError) -> Content:
        text = mark_controls(field.value)
        start = cell_len(text[: error.start]) - field.hidden_cells
        length = max(1, cell_len(text[error.start : error.end]))
        if start < 0:
            start, length = 0, max(1, length + start)
        width = self.size.width - 2
        said = show_safely(error.message)
        for sentence in _SENTENCE_END.split(show_safely(error.hint)):
            # What has no room is left out whole: half an advice is none.
            if sentence and start + length + 2 + cell_len(f"{said} {sentence}") <= width:
                said = f"{said} {sentence}"
        mark = "^" * length
        if start + length + 1 + cell_len(said) <= width or start + length < width // 3:
            return Content(f"{' ' * start}{mark} {said}")
        if cell_len(said) + 1 <= start:
            # The place is far to the right: the words stand before it.
            return Content(f"{said:<{start}}{mark}")
        arrow = "↑" if get_display(self.app).has_unicode else "^"
        return Content(f"{arrow} {show_safely(error.text_at)}: {said}" if error.text_at else said)

    def _advise(self, text: str) -> Content:
        match = _LAST_TERM.search(text)
        if match and match[1] and (key := KEYS.get(match[1].lower())):
            words = f": {', '.join(key.words)}" if 0 < len(key.words) < 8 else ""
            return Content(f"{key.example}   {key.sentence}{words}")
        return Content('"a text"  -not  ' + "  ".join(f"{name}:" for name in KEYS))
