"""One image in the terminal."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any, ClassVar, cast

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import App
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from store.errors import SafelightError
from tui.terminal.cells import draw_cells, fit_cells
from tui.terminal.detect import Colours, ImageProtocol, choose_image_protocol, has_unicode
from tui.terminal.palette import Row
from tui.text import show_safely
from tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as PillowImage

_COLOURS: dict[str | None, Colours] = {"truecolor": "truecolor", "256": "256", "standard": "16"}


def get_image_protocol(app: App[Any]) -> ImageProtocol:
    """The protocol that the app has settled on (`image_protocol`), or the terminal's."""
    settled = getattr(app, "image_protocol", None)
    return cast(ImageProtocol, settled) if settled else choose_image_protocol(os.environ)


def get_colours(app: App[Any]) -> Colours:
    """How many colours the app sends."""
    return "none" if app.no_color else _COLOURS.get(app.console.color_system, "none")


class Picture(Widget):
    """An image, as large as the region allows in its own proportions, centred.

    It is decoded and drawn in a thread and drawn again only when the image or the size
    changes; until then the last one stays. Without an image, or where the terminal shows
    none, the caption stands in the middle.
    """

    DEFAULT_CSS = """
    Picture {
        align: center middle;
        & > .picture--caption { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"picture--caption"}

    def __init__(
        self,
        *,
        id: str | None = None,  # noqa: A002
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._data: bytes | None = None
        self._caption = ""
        self._fault = ""
        self._rows: list[Row] = []
        self._strips: dict[tuple[int, int, int, Style], Strip] = {}
        self._drawn_for: tuple[object, ...] | None = None
        self._child: Widget | None = None

    def show_image(self, data: bytes | None, *, caption: str = "") -> None:
        """Show the image in `data` (PNG, JPEG or WebP), or none.

        `caption` says in words what it shows; it stands in for the image where none is
        drawn. Returns at once; a damaged image is explained in its place.
        """
        if (data, caption) == (self._data, self._caption):
            return
        self._data, self._caption, self._fault = data, show_safely(caption, lines=True), ""
        if data is None:
            self._rows, self._drawn_for = [], None
        if not self._rows:
            # A caption is new at once; a picture stays until the next one is drawn, and is
            # not sent twice.
            self._strips.clear()
            self.refresh()
        self._start_drawing()

    @property
    def has_image(self) -> bool:
        """Whether a picture is drawn now."""
        return bool(self._rows) or self._child is not None

    def get_content_width(self, container: Size, viewport: Size) -> int:
        """All that there is."""
        return container.width

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """All that there is."""
        return container.height

    def on_mount(self) -> None:
        """Draw what was given before there was a place for it."""
        self._start_drawing()

    def on_resize(self, event: events.Resize) -> None:
        """Draw again for the new size."""
        self._strips.clear()
        self._start_drawing()

    def notify_style_update(self) -> None:
        """The theme changed: the caption's colours too."""
        super().notify_style_update()
        self._strips.clear()
        self.refresh()

    def _start_drawing(self) -> None:
        if self.is_mounted and self.content_size.area and (self._data is not None or self._child):
            start_work(self, self._draw, "picture", is_exclusive=True)

    async def _draw(self) -> None:
        data, size = self._data, self.content_size
        protocol, colours = get_image_protocol(self.app), get_colours(self.app)
        wanted = (data, size, protocol, colours)
        if wanted == self._drawn_for:
            return
        try:
            if data is None or protocol == "none":
                await self._replace_child(None)
                self._rows = []
            elif protocol == "cells":
                has_blocks = has_unicode(os.environ)
                rows = await asyncio.to_thread(_draw_data, data, size, colours, has_blocks)
                await self._replace_child(None)
                self._rows = rows
            else:
                from tui.widgets.pixels import make_pixel_widget

                self._rows = []
                await self._replace_child(await make_pixel_widget(protocol, data, size))
        except SafelightError as error:
            self._rows, self._fault = [], show_safely(str(error))
        self._drawn_for = wanted
        self._strips.clear()
        self.refresh()

    async def _replace_child(self, child: Widget | None) -> None:
        if self._child is not None:
            await self._child.remove()
        self._child = child
        if child is not None:
            await self.mount(child)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the filter that turns palette colours into others: they are chosen here."""
        filters = super().get_line_filters()
        if not self._rows or get_colours(self.app) == "truecolor":
            return filters
        return [kept for kept in filters if not isinstance(kept, ANSIToTruecolor)]

    def render_line(self, y: int) -> Strip:
        """One line: a row of the picture in the middle of empty space, or the caption's."""
        width, height = self.content_size
        style = self.rich_style
        key = (y, width, height, style)
        if (strip := self._strips.get(key)) is None:
            self._strips[key] = strip = self._make_strip(y, width, height, style)
        return strip

    def _make_strip(self, y: int, width: int, height: int, style: Style) -> Strip:
        if not self._rows:
            return self._render_caption(y, width, height)
        row = y - (height - len(self._rows)) // 2
        if not 0 <= row < len(self._rows):
            return Strip.blank(width, style)
        line = self._rows[row]
        length = sum(len(segment.text) for segment in line)
        left = (width - length) // 2
        drawn = [Segment(text, own or style) for text, own, _ in line]
        return Strip(
            [Segment(" " * left, style), *drawn, Segment(" " * (width - left - length), style)],
            width,
        )

    def _render_caption(self, y: int, width: int, height: int) -> Strip:
        if self._child is not None or not (text := self._fault or self._caption):
            return Strip.blank(width, self.rich_style)
        from rich.text import Text

        lines = Text(text).wrap(self.app.console, max(1, width))
        index = y - (height - len(lines)) // 2
        style = self.get_component_rich_style("picture--caption")
        if not 0 <= index < len(lines):
            return Strip.blank(width, self.rich_style)
        line = lines[index].plain.rstrip()
        return (
            Strip([Segment(line, style)]).text_align(width, "center").apply_style(self.rich_style)
        )


def _draw_data(data: bytes, size: Size, colours: Colours, has_blocks: bool) -> list[Row]:
    image = open_for_display(data)
    columns, rows = fit_cells(image.width, image.height, size.width, size.height)
    return draw_cells(image, columns, rows, colours, has_blocks=has_blocks)


def open_for_display(data: bytes) -> PillowImage:
    """The decoded image. Raises `StoreError` when it cannot be shown. Call it in a thread."""
    from store.pixels import open_image

    return open_image(data)
