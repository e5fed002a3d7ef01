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
from textual.widgets import Input, Static

from tui import fields
from tui.actions import make_bindings
from tui.glyphs import Glyphs
from tui.text import show_safely
from tui.widgets.fields import ValueInput

VALUE_CHARACTERS = 32
LEFT_ROWS = 5
"""Fields in the left column where there are two."""


class ParameterRow(Horizontal):
    """One field: label, value, and what it accepts or what is wrong with it."""

    def __init__(self, field: str, glyphs: Glyphs) -> None:
        super().__init__(id=f"field-{field}")
        self.field = field
        self._glyphs = glyphs
        self.input: ValueInput | None = None
        self._label = Static(classes="field-label", markup=False)
        self._value = Static(classes="field-value", markup=False)
        self._hint = Static(classes="field-hint", markup=False)
        self._explanation = ""
        self._shown_hint = ""

    def compose(self) -> ComposeResult:
        """Label, value, hint."""
        yield self._label
        yield self._value
        yield self._hint

    def show(self, context: fields.Context | None, *, is_current: bool) -> None:
        """Show the field's value in `context`, dashes while there is none."""
        self.set_class(is_current, "-current")
        marker = self._glyphs.cursor if is_current else " "
        self._label.update(Content.assemble(marker, (f" {self.field}", "$role-quiet")))
        if context is None:
            self._value.update(Content.styled(self._glyphs.ellipsis, "$role-quiet"))
            return
        value = show_safely(fields.show_value(self.field, context))
        if self.field == "size":
            value = value.replace("x", f" {self._glyphs.times} ")
        is_default = fields.is_default(self.field, context.draft) and self.field != "images"
        is_locked = self.field == "seed" and context.draft.seed_locked
        self._value.update(Content.assemble((value, "bold" if is_locked else "")))
        hint = fields.show_range(self.field, context)
        self._shown_hint = f"{hint} {self._glyphs.dot} default" if is_default else hint
        self._refresh_hint()

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
        self._refresh_hint()

    def _refresh_hint(self) -> None:
        self._hint.update(self.note)

    async def open(self, text: str) -> ValueInput:
        """Put an input with `text` in the value's place and return it."""
        if self.input is None:
            self.input = ValueInput(text, limit=VALUE_CHARACTERS)
            self._value.display = False
            await self.mount(self.input, before=self._hint)
        return self.input

    async def close(self) -> None:
        """Take the input away and show the value again."""
        if self.input is not None:
            await self.input.remove()
        self.input = None
        self._value.display = True
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
        self._note = Static(id="parameter-note", markup=False)

    def compose(self) -> ComposeResult:
        """The rows, and a line for the chosen one's range where they stand in two columns."""
        rows = list(self._rows.values())
        with Container(id="columns"):
            yield Vertical(*rows[:LEFT_ROWS], classes="column")
            yield Vertical(*rows[LEFT_ROWS:], classes="column")
        yield self._note

    def show(self, context: fields.Context | None, current: str) -> None:
        """Show the values in `context` with the cursor on the field `current`."""
        self._current = current
        for name, row in self._rows.items():
            row.show(context, is_current=name == current)
        self._rows[current].scroll_visible(animate=False)
        self._refresh_note()

    @property
    def open_field(self) -> str | None:
        """The field that is being typed into."""
        return next((name for name, row in self._rows.items() if row.input is not None), None)

    async def open(self, field: str, text: str) -> None:
        """Type into `field`, beginning with `text`."""
        self.screen.set_focus(await self._rows[field].open(text))

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
            row.input.late_keys.give_back(self.app)

    def _refresh_note(self) -> None:
        wrong = [row for row in self._rows.values() if row.has_explanation]
        row = wrong[0] if wrong else self._rows[self._current]
        self._note.update(row.note)

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
