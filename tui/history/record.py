"""The whole record of one image, as text that scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import Visual

from store.records import Image, Job, Verification
from tui.actions import make_bindings
from tui.history.record_text import describe_record


class RecordView(ScrollView, can_focus=True, inherit_bindings=False):
    """Shows what `describe_record` says, its lines as long as there is room.

    It draws its own lines, so that another record, or one more step of a verification, lays
    nothing out anew and sends only the lines in sight.
    """

    DEFAULT_CSS = """
    RecordView {
        overflow-x: hidden;
        overflow-y: auto;
        padding: 0 1;
        scrollbar-size-vertical: 1;
        scrollbar-gutter: stable;
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = make_bindings("record")

    def __init__(self, *, id: str | None = None, has_unicode: bool = True) -> None:  # noqa: A002
        super().__init__(id=id)
        self._has_unicode = has_unicode
        self._facts: tuple[Image, Sequence[Verification], Sequence[Job]] | None = None
        self._lines: list[Content] = []
        self._width = 0

    @property
    def text(self) -> str:
        """What is shown."""
        return "\n".join(line.plain for line in self._lines)

    def show_record(
        self, image: Image | None, verifications: Sequence[Verification], jobs: Sequence[Job]
    ) -> None:
        """Show the record of `image`, or nothing. Another image is shown from its beginning."""
        before = self._facts[0].id if self._facts else None
        self._facts = (image, verifications, jobs) if image else None
        if image is None or image.id != before:
            self.scroll_home(animate=False)
        self._write()

    def _write(self) -> None:
        lines: list[Content] = []
        if self._facts:
            self._width = self.scrollable_content_region.width or 60
            lines = describe_record(*self._facts, width=self._width, has_unicode=self._has_unicode)
        before, self._lines = self._lines, lines
        if len(lines) != len(before):
            self.virtual_size = Size(self.scrollable_content_region.width, len(lines))
        for place in range(max(len(lines), len(before))):
            if place >= min(len(lines), len(before)) or lines[place] != before[place]:
                self.refresh_line(place)

    def notify_style_update(self) -> None:
        """Other colours."""
        super().notify_style_update()
        self.refresh()

    def on_resize(self, event: events.Resize) -> None:
        """Lines end elsewhere."""
        self._write()

    def render_line(self, y: int) -> Strip:
        """One line of the record."""
        width = self.scrollable_content_region.width
        if self._facts and width != self._width:
            # A line that is longer than the room would lose its end.
            self.call_later(self._write)
        place = y + self.scroll_offset.y
        if place >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        strips = Visual.to_strips(self, self._lines[place], width, 1, self.visual_style, pad=True)
        return strips[0] if strips else Strip.blank(width, self.rich_style)

    def scroll_by_key(self, key: str) -> None:
        """Scroll as the key says."""
        page = max(1, self.size.height - 1)
        rows = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -page, "pagedown": page}
        if key in rows:
            self.scroll_relative(y=rows[key], animate=False)
        elif key in ("home", "g"):
            self.scroll_home(animate=False)
        else:
            self.scroll_end(animate=False)
