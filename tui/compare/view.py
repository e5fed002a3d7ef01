"""What differs, in lines that scroll: only what differs, and one quiet line for the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tui.compare.lines import LABEL, Line, Role
from tui.keys import bind_move
from tui.widgets.text_lines import hang
from tui.work import start_work

STYLES: dict[Role, str] = {
    "": "",
    "quiet": "$role-quiet",
    "removed": "$role-negative",
    "added": "bold $role-focus",
    "proven": "$role-proven",
}
LEAST_WIDTH = 20


class DifferenceView(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Shows lines, wrapped below what they say. Left and right are the screen's."""

    BINDING_GROUP_TITLE = "on what differs"
    BINDINGS: ClassVar[list[BindingType]] = [
        bind_move("up,k", "scroll_up", "differences.up", "Scroll up by a line"),
        bind_move("down,j", "scroll_down", "differences.down", "Scroll down by a line"),
        bind_move("pageup", "page_up", "differences.page_up", "Scroll up by a page"),
        bind_move("pagedown", "page_down", "differences.page_down", "Scroll down by a page"),
        bind_move("home,g", "scroll_home", "differences.top", "Scroll to the beginning"),
        bind_move("end,G", "scroll_end", "differences.end", "Scroll to the end"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._text = Static(markup=False)
        self._lines: Sequence[Line] = ()
        self._drawn: tuple[Sequence[Line], int] | None = None

    def compose(self) -> ComposeResult:
        """The text."""
        yield self._text

    @property
    def text(self) -> str:
        """What is shown, a line an entry."""
        return "\n".join(f"{line.label:<{LABEL}}{line.text}" for line in self._lines)

    def show_lines(self, lines: Sequence[Line]) -> None:
        """Show these lines from now on."""
        self._lines = lines
        self._draw()

    def on_resize(self, event: events.Resize) -> None:
        """Lines end elsewhere."""
        self._draw()

    def _draw(self) -> None:
        if self.is_attached and self._drawn != (self._lines, self._width):
            start_work(self, self._lay_out, "lines", is_exclusive=True)

    @property
    def _width(self) -> int:
        return max(LEAST_WIDTH, self.scrollable_content_region.width)

    async def _lay_out(self) -> None:
        """Wrap the lines in a thread: prompts may be long."""
        lines, width = self._lines, self._width
        laid = await asyncio.to_thread(_lay_all, lines, width)
        self._drawn = (lines, width)
        self._text.update(laid)
        # A scrollbar that came with them takes a column.
        self.call_after_refresh(self._draw)


def _lay_all(lines: Sequence[Line], width: int) -> Content:
    return Content("\n").join([piece for line in lines for piece in _lay(line, width)])


def _lay(line: Line, width: int) -> list[Content]:
    parts = [(text, STYLES[role]) for text, role in line.parts]
    indent = LABEL + (line.indent if width > 2 * (LABEL + line.indent) else 0)
    return hang(Content.assemble((f"{line.label:<{LABEL}}", "$role-quiet"), *parts), width, indent)
