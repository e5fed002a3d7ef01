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

from tui.actions import make_bindings
from tui.compose import fields
from tui.compose.editors import ValueInput
from tui.compose.parameter_row import ParameterRow
from tui.terminal.glyphs import Glyphs
from tui.widgets.cell import Cell
from tui.widgets.picture import Picture

LEFT_ROWS = 5
"""Fields in the left column where there are two."""


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
        self._rows = {name: ParameterRow(name, glyphs) for name in fields.ALL_FIELDS}
        self._current = fields.FIELDS[0]
        self._seen: fields.Context | None = None
        self._note = Cell(id="parameter-note")
        self._picture = Picture(id="origin-picture")

    def compose(self) -> ComposeResult:
        """The rows, and a line for the chosen one's range where they stand in two columns."""
        rows = self._rows
        base = [rows[name] for name in fields.FIELDS]
        with Container(id="columns", classes="pair"):
            yield Vertical(*base[:LEFT_ROWS], classes="column")
            yield Vertical(*base[LEFT_ROWS:], classes="column")
        with Horizontal(id="origin"):
            with Container(classes="pair"):
                yield Vertical(rows["from"], rows["start"], rows["end"], classes="column")
                yield Vertical(rows["mask"], rows["replaces"], rows["area"], classes="column")
            yield self._picture
        with Container(classes="pair"):
            yield Vertical(rows["vary"], classes="column")
            yield Vertical(rows["strength"], classes="column")
        yield self._note

    def show_origin(self, data: bytes | None) -> None:
        """Show the initial image, small, where there is room."""
        self._picture.show_image(data)

    def show(self, context: fields.Context | None, current: str) -> None:
        """Show the values in `context` with the cursor on the field `current`."""
        has_moved = current != self._current
        self._current, self._seen = current, context
        self._arrange()
        if has_moved:
            self._rows[current].scroll_visible(animate=False)
        self._refresh_rows()

    def _arrange(self) -> None:
        """Only the rows that the draft has, and room for them."""
        shown = fields.FIELDS if self._seen is None else fields.list_fields(self._seen.draft)
        for name, row in self._rows.items():
            row.display = name in shown
        self.set_class("from" in shown, "-image")
        self.set_class("area" in shown, "-masked")
        self.set_class("vary" in shown, "-varied")

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
