"""One image in the terminal: in cells, in real pixels (kitty, sixel), or in words.

Nothing is asked of the terminal, not even by the package that draws sixels.
"""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.app import App
from textual.filter import ANSIToTruecolor, LineFilter
from textual.geometry import Size
from textual.strip import Strip
from textual.widget import Widget

from store.errors import SafelightError
from tui.terminal.cells import Row, draw_cells, fit_cells
from tui.terminal.detect import Colours, Display, ImageProtocol, get_display
from tui.terminal.filter import ControlFilter
from tui.terminal.kitty import (
    count_images,
    list_diacritics,
    make_png,
    place_image,
    remove_image,
    send_image,
)
from tui.terminal.writer import is_behind
from tui.text import show_safely
from tui.work import start_work

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL.Image import Image as PillowImage

_PIXELS_AT_MOST = 2048
_importing = threading.Lock()


def get_image_protocol(app: App[Any]) -> ImageProtocol:
    """How `app` shows images."""
    return get_display(app).image_protocol


def get_colours(app: App[Any]) -> Colours:
    """How many colours `app` sends."""
    return get_display(app).colours


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
        self._sent: _Sent | None = None

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
        self.app.app_resume_signal.subscribe(self, self._send_again)
        self._start_drawing()

    def on_unmount(self) -> None:
        """Leave nothing in the terminal."""
        self._replace_sent(None)

    def on_resize(self, event: events.Resize) -> None:
        """Draw again for the new size."""
        self._strips.clear()
        self._start_drawing()

    def draw_again(self) -> None:
        """Draw as the terminal is to show images now."""
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
        display = get_display(self.app)
        protocol = display.image_protocol
        wanted = (data, size, display)
        if wanted == self._drawn_for:
            return
        try:
            if data is None or protocol == "none":
                await self._replace_child(None)
                self._replace_sent(None)
                self._rows = []
            elif protocol == "kitty":
                sent, rows = await asyncio.to_thread(_prepare_kitty, data, size, display)
                await self._replace_child(None)
                self._replace_sent(sent)
                self._rows = rows
            elif protocol == "cells":
                rows = await asyncio.to_thread(_draw_data, data, size, display)
                await self._replace_child(None)
                self._replace_sent(None)
                self._rows = rows
            else:
                self._rows = []
                self._replace_sent(None)
                await self._replace_child(await _make_sixel_widget(data, size))
        except SafelightError as error:
            self._rows, self._fault = [], show_safely(str(error))
        self._drawn_for = wanted
        self._strips.clear()
        self.refresh()

    def _replace_sent(self, sent: _Sent | None) -> None:
        """Send an image in the place of the last one, which the terminal forgets."""
        before, self._sent = self._sent, sent
        self._write("" if sent is None else sent.messages)
        self._write("" if before is None else before.removal)

    def _send_again(self, _: object = None) -> None:
        """The program was stopped, and another may have cleared the terminal."""
        if self._sent is not None:
            self._write(self._sent.messages)

    def _write(self, data: str) -> None:
        driver = self.app._driver
        # A terminal that is behind gets it when it has caught up.
        if data and driver is not None and not is_behind(driver):
            driver.write(data)

    async def _replace_child(self, child: Widget | None) -> None:
        if self._child is not None:
            await self._child.remove()
        self._child = child
        if child is not None:
            await self.mount(child)

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Without the filter that turns palette colours into others: they are chosen here."""
        filters = super().get_line_filters()
        if self._sent is not None:
            # Its characters belong to nobody, and the number of the image is their colour.
            return [
                kept for kept in filters if not isinstance(kept, ControlFilter | ANSIToTruecolor)
            ]
        if not self._rows or get_display(self.app).colours == "truecolor":
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
        length = sum([segment.cell_length for segment in line])
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


def _draw_data(data: bytes, size: Size, display: Display) -> list[Row]:
    image = open_for_display(data)
    columns, rows = fit_cells(image.width, image.height, size.width, size.height)
    return draw_cells(image, columns, rows, display.colours, has_blocks=display.has_unicode)


class _Sent(NamedTuple):
    """An image that the terminal holds: what sends it, and what makes the terminal forget it."""

    messages: str
    removal: str


def _prepare_kitty(data: bytes, size: Size, display: Display) -> tuple[_Sent, list[Row]]:
    image = open_for_display(data)
    most = len(list_diacritics())
    columns, rows = fit_cells(
        image.width, image.height, min(size.width, most), min(size.height, most)
    )
    number = next(count_images())
    png = make_png(image, columns, rows, display.cell, display.image_bytes)
    wrap = display.is_wrapped
    sent = _Sent(
        send_image(png, number, columns, rows, is_wrapped=wrap),
        remove_image(number, is_wrapped=wrap),
    )
    return sent, place_image(number, columns, rows)


def open_for_display(data: bytes) -> PillowImage:
    """The decoded image, as it looks; call it in a thread.

    Raises `StoreError` when it cannot be shown.
    """
    from store.decoding import open_upright

    return open_upright(data)


# Real pixels


async def _make_sixel_widget(data: bytes, size: Size) -> Widget:
    """A widget that shows the image in `data` within `size` cells.

    Raises `StoreError` when the image cannot be decoded.
    """
    make, image = await asyncio.to_thread(_prepare_sixel, data)
    columns, rows = fit_cells(image.width, image.height, size.width, size.height)
    widget: Widget = make(image)
    widget.styles.width, widget.styles.height = columns, rows
    return widget


def _prepare_sixel(data: bytes) -> tuple[Any, PillowImage]:
    image = open_for_display(data).convert("RGB")
    image.thumbnail((_PIXELS_AT_MOST, _PIXELS_AT_MOST))
    with _importing:
        return _load_sixel_class(), image


@cache
def _load_sixel_class() -> Any:
    """textual-image's widget, imported without asking the terminal anything.

    The package asks at import, in the middle of the person's typing, and waits 0.1 s for an
    answer. It does so only when standard output is a terminal, so another one stands there
    meanwhile. The size of a cell comes from the kernel instead.
    """
    real = sys.__stdout__
    sys.__stdout__ = io.TextIOWrapper(io.BytesIO())  # type: ignore[misc]
    try:
        from textual_image._terminal import CellSize, get_cell_size
        from textual_image.widget import SixelImage
    finally:
        sys.__stdout__ = real  # type: ignore[misc]
    get_cell_size._result = CellSize(*_read_cell_size())  # type: ignore[attr-defined]
    return _make_sixel_class(SixelImage)


def _read_cell_size() -> tuple[int, int]:
    """Width and height of a cell in pixels, 10 x 20 when the kernel does not know."""
    import fcntl
    import struct
    import termios

    try:
        answer = fcntl.ioctl(1, termios.TIOCGWINSZ, b"\0" * 8)
    except OSError:
        return 10, 20
    rows, columns, width, height = struct.unpack("HHHH", answer)
    if not (rows and columns and width and height):
        return 10, 20
    return max(1, width // columns), max(1, height // rows)


def _make_sixel_class(sixel_image: Any) -> Any:
    """A sixel widget whose data pass the gate for control characters.

    The data travel as text between two cursor moves, and the gate would make them visible.
    Nothing in them comes from a prompt.
    """
    from textual_image.widget.sixel import _ImageSixelImpl, _NoopRenderable

    class SixelData(_ImageSixelImpl):
        def get_line_filters(self) -> Any:
            return [
                kept for kept in super().get_line_filters() if not isinstance(kept, ControlFilter)
            ]

    class SixelPicture(sixel_image, Renderable=_NoopRenderable):  # type: ignore[misc, call-arg]
        def compose(self) -> Any:
            yield SixelData(self.image, self._sixel_options)

    return SixelPicture
