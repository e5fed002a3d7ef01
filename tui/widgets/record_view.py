"""The whole record of one image, as text that scrolls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from store.records import Image, Job, Verification
from tui.actions import make_bindings
from tui.record import describe_record


class RecordView(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Shows what `describe_record` says, its lines as long as there is room."""

    DEFAULT_CSS = """
    RecordView {
        padding: 0 1;
        scrollbar-size-vertical: 1;
        & > Static { height: auto; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = make_bindings("record")

    def __init__(self, *, id: str | None = None, has_unicode: bool = True) -> None:  # noqa: A002
        super().__init__(id=id)
        self._has_unicode = has_unicode
        self._facts: tuple[Image, Sequence[Verification], Sequence[Job]] | None = None
        self._text = Content("")

    def compose(self) -> ComposeResult:
        """One text."""
        yield Static(id="record-text", markup=False)

    @property
    def text(self) -> str:
        """What is shown."""
        return self._text.plain

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
        text = Content("")
        if self._facts:
            width = self.scrollable_content_region.width or 60
            text = describe_record(*self._facts, width=width, has_unicode=self._has_unicode)
        if text != self._text:
            self._text = text
            self.query_one("#record-text", Static).update(text)

    def on_resize(self, event: events.Resize) -> None:
        """Lines end elsewhere."""
        self._write()

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
