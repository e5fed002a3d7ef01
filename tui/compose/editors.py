"""The fields that text is typed into: a prompt's text, and a value in one line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Input, TextArea
from textual.widgets.input import Selection

from tui.paths import parse_dropped
from tui.text import clean_paste, mark_controls

TYPING_BINDINGS: list[BindingType] = [
    Binding("enter", "accept", "accept", tooltip="Accept what was typed", id="typing.accept"),
    Binding(
        "escape",
        "leave",
        "leave",
        tooltip="Leave typing: a text stays as typed, a number becomes what it was",
        id="typing.leave",
    ),
]
TYPING_TITLE = "while typing"


class Accepted(Message):
    """What was typed shall count."""


class OtherWanted(Message):
    """An earlier text is wanted in the place of the typed one: `places` older, below 0 newer."""

    def __init__(self, places: int) -> None:
        super().__init__()
        self.places = places


class Left(Message):
    """Typing ended without accepting: a text stays as it was typed, a number as it was."""


class Dropped(Message):
    """What was pasted while typing may be the paths of files that were dropped."""

    def __init__(self, editor: PromptEditor, text: str) -> None:
        super().__init__()
        self.editor, self.text = editor, text


def _draw_blank(crop: Region) -> list[Strip]:
    return [Strip.blank(crop.width) for _ in range(crop.height)]


class PromptEditor(TextArea):
    """A prompt's text, edited where it stands.

    Text from position `kept` on is shown as what falls off after the token limit, words at the
    places `unknown` as those that the model does not know.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"prompt-editor--unknown"}
    BINDINGS: ClassVar[list[BindingType]] = TYPING_BINDINGS
    BINDING_GROUP_TITLE = TYPING_TITLE
    LEADING: ClassVar[tuple[str, ...]] = ("typing.accept", "typing.leave")

    def __init__(self, text: str, placeholder: str) -> None:
        super().__init__(
            text, soft_wrap=True, show_line_numbers=False, compact=True, highlight_cursor_line=False
        )
        self.placeholder = placeholder
        self.cursor_blink = False
        self.match_cursor_bracket = False
        self.kept: int | None = None
        self.unknown: Sequence[tuple[int, int]] = ()
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
        text = Text(mark_controls(self.document.get_line(line_index)), end="", no_wrap=True)
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
        # Neither ends up in the text, whatever they are bound to.
        if event.key in ("enter", "escape"):
            event.prevent_default()

    async def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        if parse_dropped(event.text):
            event.stop()
            self.post_message(Dropped(self, event.text))
        else:
            await self.insert_pasted(event.text)

    async def insert_pasted(self, text: str) -> None:
        """Put pasted text in where the cursor is."""
        await super()._on_paste(events.Paste(clean_paste(text)))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Blank once it was taken away: then its styles are gone before it leaves the screen."""
        return super().render_lines(crop) if self.is_attached else _draw_blank(crop)

    def put_cursor(self, line: int, column: int) -> None:
        """Put the cursor there, or as near as the text goes."""
        line = min(max(line, 0), self.document.line_count - 1)
        self.move_cursor((line, min(max(column, 0), len(self.document.get_line(line)))))

    def action_cursor_up(self, select: bool = False) -> None:
        """A line up, from the first one to an earlier text, as in a shell."""
        if select or not self.navigator.is_first_wrapped_line(self.cursor_location):
            super().action_cursor_up(select)
        else:
            self.post_message(OtherWanted(1))

    def action_cursor_down(self, select: bool = False) -> None:
        """A line down, from the last one back to later texts."""
        if select or not self.navigator.is_last_wrapped_line(self.cursor_location):
            super().action_cursor_down(select)
        else:
            self.post_message(OtherWanted(-1))

    def put_text(self, text: str) -> None:
        """Another text in the place of this one; the cursor at its end."""
        self.replace(text, (0, 0), self.document.end, maintain_selection_offset=False)
        self.move_cursor(self.document.end)

    def action_accept(self) -> None:
        """Tell that it shall count."""
        self.post_message(Accepted())

    def action_leave(self) -> None:
        """Tell that typing ended."""
        self.post_message(Left())


class ValueInput(Input):
    """A value typed where it stands, of at most `limit` characters."""

    BINDINGS: ClassVar[list[BindingType]] = TYPING_BINDINGS
    BINDING_GROUP_TITLE = TYPING_TITLE
    LEADING: ClassVar[tuple[str, ...]] = ("typing.accept", "typing.leave")

    def __init__(self, value: str, *, limit: int) -> None:
        super().__init__(value, compact=True, select_on_focus=False, max_length=limit)
        self.cursor_blink = False
        self.cursor_position = len(value)

    def mark(self) -> None:
        """Select the value, so that what is typed replaces it and an arrow key keeps it."""
        self.selection = Selection(0, len(self.value))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Blank once it was taken away: then its styles are gone before it leaves the screen."""
        return super().render_lines(crop) if self.is_attached else _draw_blank(crop)

    def _on_paste(self, event: events.Paste) -> None:
        event.prevent_default()
        event.stop()
        line = clean_paste(event.text).strip("\n").partition("\n")[0]
        self.replace(line, *sorted(self.selection))

    def action_accept(self) -> None:
        """Tell that it shall count."""
        self.post_message(Accepted())

    def action_leave(self) -> None:
        """Tell that typing ended."""
        self.post_message(Left())
