"""The parameters: a row a field, with what the engine accepts beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from tui import fields
from tui.actions import make_bindings
from tui.glyphs import Glyphs
from tui.text import show_safely
from tui.widgets.cell import Cell
from tui.widgets.fields import ValueInput

VALUE_CHARACTERS = 32
LABEL_WIDTH, VALUE_WIDTH = 10, 16
LEFT_ROWS = 5
"""Fields in the left column where there are two."""


class ParameterRow(Horizontal):
    """One field: label, value, and what it accepts or what is wrong with it.

    One cell shows it all; only a field that is typed into has parts.
    """

    def __init__(self, field: str, glyphs: Glyphs) -> None:
        super().__init__(id=f"field-{field}")
        self.field = field
        self._glyphs = glyphs
        self.input: ValueInput | None = None
        self._line = Cell(classes="field-line")
        self._hint = Cell(classes="field-hint")
        self._label = Content("")
        self._value = Content("")
        self._explanation = ""
        self._shown_hint = ""
        self._has_hint = True

    def compose(self) -> ComposeResult:
        """The line; the hint beside an open field comes with it."""
        yield self._line

    def show(
        self, context: fields.Context | None, *, is_current: bool, has_hint: bool, has_focus: bool
    ) -> None:
        """Show the field's value in `context`, dots while there is none."""
        self._has_hint = has_hint
        marker = self._glyphs.cursor if is_current else " "
        self._label = Content.assemble(
            (marker, "$role-focus" if has_focus else "$role-line"),
            (f" {self.field}".ljust(LABEL_WIDTH), "$role-quiet"),
        )
        if context is None:
            self._value = Content.styled(self._glyphs.ellipsis, "$role-quiet")
        else:
            value = show_safely(fields.show_value(self.field, context))
            if self.field == "size":
                value = value.replace("x", f" {self._glyphs.times} ")
            is_locked = self.field == "seed" and context.draft.seed_locked
            self._value = Content.assemble((value, "bold" if is_locked else ""))
            is_default = fields.is_default(self.field, context.draft) and self.field != "images"
            hint = fields.show_range(self.field, context)
            self._shown_hint = f"{hint} {self._glyphs.dot} default" if is_default else hint
        self._refresh_line()

    def _refresh_line(self) -> None:
        if self.input is not None:
            self._line.put(self._label)
            self._hint.put(self.note, resizes=True)
            return
        parts = [self._label, self._value]
        if self._has_hint or self._explanation:
            space = max(1, VALUE_WIDTH + 1 - self._value.cell_length)
            parts += [Content(" " * space), self.note]
        self._line.put(Content.assemble(*parts), resizes=bool(self._explanation))

    @property
    def note(self) -> Content:
        """What stands beside the field: its range, or what is wrong with what was typed."""
        if self._explanation:
            return Content.assemble(
                (f"{self._glyphs.warning} ", "bold $role-negative"), show_safely(self._explanation)
            )
        return Content.styled(show_safely(self._shown_hint), "$role-quiet")

    @property
    def has_explanation(self) -> bool:
        """Whether something is wrong with the field."""
        return bool(self._explanation)

    def explain(self, text: str) -> None:
        """Say beside the field what is wrong with it; "" shows its range again."""
        self._explanation = text
        self.set_class(bool(text), "-wrong")
        self._refresh_line()

    async def open(self, text: str) -> ValueInput:
        """Put an input with `text` in the value's place and return it."""
        if self.input is None:
            self.input = ValueInput(text, limit=VALUE_CHARACTERS)
            self.add_class("-open")
            await self.mount(self.input, self._hint)
            self._refresh_line()
        return self.input

    async def close(self) -> None:
        """Take the input away and show the value again."""
        if self.input is not None:
            await self.remove_children([self.input, self._hint])
            self._hint = Cell(classes="field-hint")
        self.input = None
        self.remove_class("-open")
        self.explain("")


class ParameterList(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Shows the parameters and tells what is typed; it changes nothing by itself."""

    BINDINGS: ClassVar[list[BindingType]] = make_bindings("parameters")

    @dataclass
    class ValueTyped(Message):
        """The half-typed value of `field` is now `text`."""

        field: str
        text: str

    @dataclass
    class ValueEntered(Message):
        """`enter` was pressed on `text` in `field`."""

        field: str
        text: str

    @dataclass
    class ValueLeft(Message):
        """`field` was left without accepting."""

        field: str

    @dataclass
    class FieldChosen(Message):
        """`field` was clicked."""

        field: str

    def __init__(self, glyphs: Glyphs, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = Content("parameters")
        self._rows = {name: ParameterRow(name, glyphs) for name in fields.FIELDS}
        self._current = fields.FIELDS[0]
        self._seen: fields.Context | None = None
        self._note = Cell(id="parameter-note")

    def compose(self) -> ComposeResult:
        """The rows, and a line for the chosen one's range where they stand in two columns."""
        rows = list(self._rows.values())
        with Container(id="columns"):
            yield Vertical(*rows[:LEFT_ROWS], classes="column")
            yield Vertical(*rows[LEFT_ROWS:], classes="column")
        yield self._note

    def show(self, context: fields.Context | None, current: str) -> None:
        """Show the values in `context` with the cursor on the field `current`."""
        if current != self._current:
            self._rows[current].scroll_visible(animate=False)
        self._current, self._seen = current, context
        self._refresh_rows()

    def _refresh_rows(self) -> None:
        has_focus = self.has_focus or self.has_focus_within
        has_hint = not self.is_narrow
        for name, row in self._rows.items():
            row.show(
                self._seen,
                is_current=name == self._current,
                has_hint=has_hint,
                has_focus=has_focus,
            )
        self._refresh_note()

    @property
    def is_narrow(self) -> bool:
        """Whether the fields stand in two columns, the chosen one's range below."""
        return self._note.display

    def on_resize(self) -> None:
        """The fields may stand in two columns now."""
        self._refresh_rows()

    def on_focus(self) -> None:
        """The cursor is brighter."""
        self._refresh_rows()

    def on_blur(self) -> None:
        """The cursor is quieter."""
        self._refresh_rows()

    @property
    def open_field(self) -> str | None:
        """The field that is being typed into."""
        return next((name for name, row in self._rows.items() if row.input is not None), None)

    async def open(self, field: str, text: str, *, is_old: bool = False) -> None:
        """Type into `field`, beginning with `text`; an old value is marked."""
        opened = await self._rows[field].open(text)
        if is_old:
            opened.mark()
        self.screen.set_focus(opened)

    async def close_fields(self, *, take_focus: bool) -> None:
        """Close whatever is open."""
        closed = []
        for row in self._rows.values():
            if row.input is not None:
                closed.append(row.input)
                await row.close()
        self._refresh_note()
        if take_focus:
            self.screen.set_focus(self)
        for field in closed:
            field.late_keys.give_back(self.app)

    def explain(self, field: str, text: str) -> None:
        """Say at `field` what is wrong with it."""
        row = self._rows[field]
        row.explain(text)
        self._refresh_note()
        if text and row.input is not None:
            row.input.late_keys.give_back(self.app, is_open=True)

    def _refresh_note(self) -> None:
        wrong = [row for row in self._rows.values() if row.has_explanation]
        row = wrong[0] if wrong else self._rows[self._current]
        self._note.put(row.note, resizes=True)

    def _find_field(self, field: Input) -> str | None:
        return next((name for name, row in self._rows.items() if row.input is field), None)

    def on_click(self, event: events.Click) -> None:
        """Choose the field that was clicked."""
        for name, row in self._rows.items():
            if event.widget is not None and row in event.widget.ancestors_with_self:
                self.post_message(self.FieldChosen(name))

    @on(Input.Changed)
    def _report_value(self, event: Input.Changed) -> None:
        event.stop()
        if (name := self._find_field(event.input)) is not None:
            self.explain(name, "")
            self.post_message(self.ValueTyped(name, event.value))

    @on(ValueInput.Entered)
    def _report_entered(self, event: ValueInput.Entered) -> None:
        event.stop()
        if (name := self._find_field(event.field)) is not None:
            self.post_message(self.ValueEntered(name, event.field.value))

    @on(ValueInput.Left)
    def _report_left(self, event: ValueInput.Left) -> None:
        event.stop()
        if (name := self._find_field(event.field)) is not None:
            self.post_message(self.ValueLeft(name))
