"""The fields that text is typed into."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import App
from textual.binding import BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input, TextArea
from textual.widgets.input import Selection

from tui.actions import BY_ID

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_PICTURES |= {0x7F: "\u2421"} | dict.fromkeys(range(0x80, 0xA0), "\ufffd")


def clean_paste(text: str) -> str:
    """Pasted text as it may stand in a prompt: its control characters as visible pictures."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_PICTURES)


SENDING_KEYS = BY_ID["generate"].keys
"""Keys that accept what is typed and send the draft off."""


class LateKeys:
    """Keys that reached a field after the one that closes it; they are for what comes next."""

    def __init__(self) -> None:
        self._keys: list[events.Key] = []
        self._is_leaving = False

    def begin(self, event: events.Key) -> None:
        """Keep keys from now on; `event` closes the field, and may go on to send the draft.

        It must not overtake the characters before it, so no key that sends is handled
        before the field has seen it.
        """
        event.stop()
        event.prevent_default()
        self._is_leaving = True
        if event.key in SENDING_KEYS:
            self._keys.append(event)

    def take(self, event: events.Key) -> bool:
        """Keep the key; False while the field is still open."""
        if self._is_leaving:
            event.stop()
            event.prevent_default()
            self._keys.append(event)
        return self._is_leaving

    def give_back(self, app: App[Any], *, is_open: bool = False) -> None:
        """Press the kept keys again, once the field is closed.

        Where it stays open (`is_open`) because its value is wrong, nothing is sent.
        """
        keys, self._keys, self._is_leaving = self._keys, [], False
        for key in keys:
            if is_open and key.key in SENDING_KEYS:
                break
            app.post_message(events.Key(key.key, key.character))


def _draw_blank(crop: Region) -> list[Strip]:
    return [Strip.blank(crop.width) for _ in range(crop.height)]


class PromptEditor(TextArea):
    """A prompt's text, edited where it stands; `enter` accepts, `esc` leaves, both keep it.

    Text from position `kept` on is shown as what falls off after the token limit, words at the
    places `unknown` as those that the model does not know.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"prompt-editor--unknown"}

    BINDINGS: ClassVar[list[BindingType]] = []

    @dataclass
    class Left(Message):
        """Typing ended, by `enter` (`is_accepted`) or by `esc`."""

        editor: PromptEditor
        is_accepted: bool

        @property
        def control(self) -> PromptEditor:
            """The editor."""
            return self.editor

    def __init__(self, text: str, placeholder: str) -> None:
        super().__init__(
            text, soft_wrap=True, show_line_numbers=False, compact=True, highlight_cursor_line=False
        )
        self.placeholder = placeholder
        self.cursor_blink = False
        self.match_cursor_bracket = False
        self.kept: int | None = None
        self.unknown: Sequence[tuple[int, int]] = ()
        self.late_keys = LateKeys()
        self.set_class(not text, "-empty")

    def show_marks(self, kept: int | None, unknown: Sequence[tuple[int, int]]) -> None:
        """Show what follows the first `kept` characters as dropped, and unknown words."""
        if (kept, unknown) != (self.kept, self.unknown):
            self.kept, self.unknown = kept, unknown
            self._line_cache.clear()
            self.refresh()

    @property
    def cursor_place(self) -> int:
        """Characters before the cursor."""
        line, column = self.cursor_location
        return self._count_before(line) + column

    def _count_before(self, line: int) -> int:
        return sum(len(self.document.get_line(each)) + 1 for each in range(line))

    def get_line(self, line_index: int) -> Text:
        """The line with its control characters made visible and its marks."""
        text = Text(self.document.get_line(line_index).translate(_PICTURES), end="", no_wrap=True)
        if self.kept is None and not self.unknown:
            return text
        first = self._count_before(line_index)
        style = self.get_component_rich_style("prompt-editor--unknown", partial=True)
        for start, end in self.unknown:
            if start < first + len(text) and end > first:
                text.stylize(style, max(0, start - first), end - first)
        if self.kept is not None and (border := max(0, self.kept - first)) < len(text):
            text.stylize(Style(strike=True, dim=True), border)
        return text

    def _on_text_area_changed(self) -> None:
        self.set_class(not self.text, "-empty")

    async def _on_key(self, event: events.Key) -> None:
        if self.late_keys.take(event):
            return
        if event.key in ("enter", "escape", *SENDING_KEYS):
            self.late_keys.begin(event)
            self.post_message(self.Left(self, event.key != "escape"))
            return
        await super()._on_key(event)

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        await super()._on_paste(events.Paste(clean_paste(event.text)))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Blank once it was taken away: then its styles are gone before it leaves the screen."""
        return super().render_lines(crop) if self.is_attached else _draw_blank(crop)

    def put_cursor(self, line: int, column: int) -> None:
        """Put the cursor there, or as near as the text goes."""
        line = min(max(line, 0), self.document.line_count - 1)
        self.move_cursor((line, min(max(column, 0), len(self.document.get_line(line)))))


class ValueInput(Input):
    """A value typed where it stands; `enter` asks to accept it, `esc` to restore the old one."""

    @dataclass
    class Entered(Message):
        """`enter` was pressed."""

        field: ValueInput

        @property
        def control(self) -> ValueInput:
            """The field."""
            return self.field

    @dataclass
    class Left(Message):
        """Typing ended without accepting."""

        field: ValueInput

        @property
        def control(self) -> ValueInput:
            """The field."""
            return self.field

    def __init__(self, value: str, *, limit: int) -> None:
        super().__init__(value, compact=True, select_on_focus=False, max_length=limit)
        self.cursor_blink = False
        self.cursor_position = len(value)
        self.late_keys = LateKeys()

    def mark(self) -> None:
        """Select the value, so that what is typed replaces it and an arrow key keeps it."""
        self.selection = Selection(0, len(self.value))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Blank once it was taken away: then its styles are gone before it leaves the screen."""
        return super().render_lines(crop) if self.is_attached else _draw_blank(crop)

    async def _on_key(self, event: events.Key) -> None:
        if self.late_keys.take(event):
            return
        if event.key in ("enter", "escape", *SENDING_KEYS):
            self.late_keys.begin(event)
            message = self.Left if event.key == "escape" else self.Entered
            self.post_message(message(self))
            return
        await super()._on_key(event)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        line = clean_paste(event.text).strip().split("\n")[0]
        self.insert_text_at_cursor(line)
