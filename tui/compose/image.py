"""The image, and under it how it is being made or how it was made."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from tui.widgets.cell import Cell
from tui.widgets.picture import Picture


class ImagePanel(Vertical, can_focus=True):
    """A picture above a few lines of text."""

    def __init__(self, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self.border_title = Content("image")
        self._line = Cell(id="image-line")
        self._picture = Picture(id="picture")
        self._line.display = False

    def compose(self) -> ComposeResult:
        """The picture and the line."""
        yield self._picture
        yield self._line

    def show_image(self, data: bytes | None, caption: str = "") -> None:
        """Show the image in `data`, or nothing but the caption."""
        self._picture.show_image(data, caption=caption)

    def say(self, content: Content) -> None:
        """Show `content` under the picture."""
        self._line.put(content, resizes=True)
        self._line.display = bool(content)

    @property
    def said(self) -> str:
        """The text under the picture."""
        return self._line.shown.plain
