"""One parameter: label, value, and what it accepts or what is wrong with it."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.content import Content

from tui.compose.editors import ValueInput
from tui.compose.fields import Context, Field
from tui.terminal.detect import get_display
from tui.terminal.glyphs import UNICODE
from tui.text import shorten_middle, show_safely
from tui.widgets.cell import Cell

VALUE_CHARACTERS = 32
LABEL_WIDTH, VALUE_WIDTH = 11, 16
NARROW_WIDTH = 12
"""What a value has in two columns of a terminal of 80."""


class ParameterRow(Horizontal):
    """One field: label, value, and what it accepts or what is wrong with it.

    One cell shows it all; only a field that is typed into has parts.
    """

    def __init__(self, field: Field) -> None:
        super().__init__(id=f"field-{field.name}")
        self.field = field
        self._glyphs = UNICODE
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
        self, context: Context | None, *, is_current: bool, has_hint: bool, has_focus: bool
    ) -> None:
        """Show the field's value in `context`, dots while there is none."""
        self._has_hint = has_hint
        self._glyphs = get_display(self.app).glyphs
        marker = self._glyphs.cursor if is_current else " "
        self._label = Content.assemble(
            (marker, "$role-focus" if has_focus else "$role-line"),
            (f" {self.field.label}".ljust(LABEL_WIDTH), "$role-quiet"),
        )
        if context is None:
            self._value = Content.styled(self._glyphs.ellipsis, "$role-quiet")
        else:
            self._value = self._show_value(context)
            self._shown_hint = self._show_hint(context)
        self._refresh_line()

    def _show_value(self, context: Context) -> Content:
        field = self.field
        value = show_safely(field.show(context))
        if field.name == "size":
            value = value.replace("x", f" {self._glyphs.times} ")
        elif field.is_file:
            value = shorten_middle(value, VALUE_WIDTH, self._glyphs.ellipsis)
        elif field.name == "model" and not self._has_hint:
            # Models differ at their end: a version, a revision.
            value = shorten_middle(value, NARROW_WIDTH, self._glyphs.ellipsis)
        is_locked = field.name == "seed" and context.draft.seed_locked
        return Content.assemble((value, "bold" if is_locked else ""))

    def _show_hint(self, context: Context) -> str:
        hint = self.field.range(context)
        is_default = self.field.name != "images" and self.field.is_default(context.draft)
        return f"{hint} {self._glyphs.dot} default" if is_default else hint

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
