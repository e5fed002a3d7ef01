"""The prompt stack: a row a prompt, a cursor, and at most one open field."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from textual import events, on
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, TextArea

from engines.tokens import TokenCount
from store.records import DraftPrompt
from tui.actions import make_bindings
from tui.compose.editors import PromptEditor, ValueInput
from tui.compose.prompt_row import Counter, PromptRow, Reader
from tui.terminal.glyphs import Glyphs


class Count(Protocol):
    """Counts the tokens of a text against a limit."""

    def __call__(self, text: str, limit: int = ...) -> TokenCount:
        """The count."""
        ...


class PromptStack(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Shows the prompts and tells what is typed; it changes nothing by itself."""

    BINDINGS: ClassVar[list[BindingType]] = make_bindings("prompts")

    @dataclass
    class TextTyped(Message):
        """The text of the prompt at `row` is now `text`; the cursor is where it says."""

        row: int
        text: str

    @dataclass
    class CursorMoved(Message):
        """The cursor in the open text is at `line` and `column`."""

        line: int
        column: int

    @dataclass
    class TextLeft(Message):
        """The text at `row` was closed by the person."""

        row: int
        is_accepted: bool

    @dataclass
    class WeightTyped(Message):
        """The half-typed weight at `row` is now `text`."""

        row: int
        text: str

    @dataclass
    class WeightEntered(Message):
        """`enter` was pressed on the weight `text` at `row`."""

        row: int
        text: str

    @dataclass
    class WeightLeft(Message):
        """The weight at `row` was left without accepting."""

        row: int

    @dataclass
    class RowChosen(Message):
        """The row was clicked."""

        row: int

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = Content("prompts")
        self._glyphs = glyphs
        self._prompts: tuple[DraftPrompt, ...] = ()
        self._row = 0
        self._full = 2.0
        self._limit: int | None = None
        self._count: Count | None = None
        self._counter: Counter | None = None
        self._reader: Reader | None = None
        self._lock = asyncio.Lock()

    @property
    def rows(self) -> list[PromptRow]:
        """The rows in their order."""
        return list(self.query_children(PromptRow))

    @property
    def open_row(self) -> PromptRow | None:
        """The row with an open field."""
        for row in self.rows:
            if row.editor is not None or row.weight_input is not None:
                return row
        return None

    async def show(
        self,
        prompts: Sequence[DraftPrompt],
        row: int,
        full: float,
        limit: int | None,
        reader: Reader | None = None,
    ) -> None:
        """Show `prompts` with the cursor on `row`.

        `full` is the weight of a full bar, `limit` the tokens that a prompt may have. `reader`
        tells which words the model reads, None while nobody knows.
        """
        async with self._lock:
            self._reader = reader
            self._prompts, self._row, self._full = tuple(prompts), row, full
            if limit != self._limit:
                self._limit = limit
                self._renew_counter()
            rows = self.rows
            if len(rows) > len(prompts):
                await self.remove_children(rows[len(prompts) :])
            elif len(rows) < len(prompts):
                await self.mount_all(PromptRow(self._glyphs) for _ in prompts[len(rows) :])
            self._refresh_rows()

    def set_counting(self, count: Count) -> None:
        """Count tokens of a text against a limit with `count` from now on."""
        self._count = count
        self._renew_counter()

    def _renew_counter(self) -> None:
        if self._count is None or self._limit is None:
            self._counter = None
        else:
            self._counter = functools.partial(self._count, limit=self._limit)

    def _refresh_rows(self) -> None:
        rows = self.rows
        for index, (row, prompt) in enumerate(zip(rows, self._prompts, strict=False)):
            row.show(
                prompt,
                index,
                is_current=index == self._row,
                full=self._full,
                counter=self._counter,
                reader=self._reader,
            )
        if self._row < len(rows):
            rows[self._row].scroll_visible(animate=False)

    # Typing

    async def open_text(self, row: int, cursor: tuple[int, int] | None = None) -> None:
        """Type in the text at `row`, at `cursor` (line, column) or at its end."""
        editor = await self.rows[row].open_text()
        if cursor is None:
            editor.move_cursor(editor.document.end)
        else:
            editor.put_cursor(*cursor)
        self.screen.set_focus(editor)

    async def open_weight(self, row: int, text: str, *, is_old: bool = False) -> None:
        """Type the weight at `row`, beginning with `text`; an old value is marked."""
        field = await self.rows[row].open_weight(text)
        if is_old:
            field.mark()
        self.screen.set_focus(field)

    async def close_fields(self, *, take_focus: bool) -> None:
        """Close whatever is open."""
        closed = [field for row in self.rows for field in await row.close()]
        if take_focus:
            self.screen.set_focus(self)
        for field in closed:
            field.late_keys.give_back(self.app)

    def explain(self, row: int, text: str) -> None:
        """Say at `row` what is wrong with it."""
        self.rows[row].explain(text)
        field = self.rows[row].weight_input
        if text and field is not None:
            field.late_keys.give_back(self.app, is_open=True)

    def _find_row(self, field: TextArea | Input) -> int | None:
        for index, row in enumerate(self.rows):
            if field in (row.editor, row.weight_input):
                return index
        return None

    def on_click(self, event: events.Click) -> None:
        """Choose the row that was clicked."""
        for index, row in enumerate(self.rows):
            if event.widget is not None and row in event.widget.ancestors_with_self:
                self.post_message(self.RowChosen(index))

    @on(TextArea.Changed)
    def _report_text(self, event: TextArea.Changed) -> None:
        event.stop()
        if (row := self._find_row(event.text_area)) is not None:
            self.post_message(self.TextTyped(row, event.text_area.text))

    @on(TextArea.SelectionChanged)
    def _report_cursor(self, event: TextArea.SelectionChanged) -> None:
        event.stop()
        if self._find_row(event.text_area) is not None:
            self.post_message(self.CursorMoved(*event.selection.end))

    @on(PromptEditor.Left)
    def _report_text_left(self, event: PromptEditor.Left) -> None:
        event.stop()
        if (row := self._find_row(event.editor)) is not None:
            self.post_message(self.TextLeft(row, event.is_accepted))

    @on(Input.Changed)
    def _report_weight(self, event: Input.Changed) -> None:
        event.stop()
        if (row := self._find_row(event.input)) is not None:
            self.rows[row].explain("")
            self.post_message(self.WeightTyped(row, event.value))

    @on(ValueInput.Entered)
    def _report_weight_entered(self, event: ValueInput.Entered) -> None:
        event.stop()
        if (row := self._find_row(event.field)) is not None:
            self.post_message(self.WeightEntered(row, event.field.value))

    @on(ValueInput.Left)
    def _report_weight_left(self, event: ValueInput.Left) -> None:
        event.stop()
        if (row := self._find_row(event.field)) is not None:
            self.post_message(self.WeightLeft(row))
