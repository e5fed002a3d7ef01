"""Pictures in real pixels, for terminals that have kitty or sixel graphics."""

from __future__ import annotations

import asyncio
import io
import sys
import threading
from functools import cache
from typing import TYPE_CHECKING, Any

from textual.geometry import Size
from textual.widget import Widget

from tui.terminal.cells import fit_cells
from tui.terminal.detect import ImageProtocol

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_importing = threading.Lock()
_PIXELS_AT_MOST = 2048


async def make_pixel_widget(protocol: ImageProtocol, data: bytes, size: Size) -> Widget:
    """A widget that shows the image in `data` within `size` cells.

    Raises `StoreError` when the image cannot be decoded.
    """
    make, image = await asyncio.to_thread(_prepare, protocol, data)
    columns, rows = fit_cells(image.width, image.height, size.width, size.height)
    widget: Widget = make(image)
    widget.styles.width, widget.styles.height = columns, rows
    return widget


def _prepare(protocol: ImageProtocol, data: bytes) -> tuple[Any, PillowImage]:
    from store.pixels import open_image

    image = open_image(data).convert("RGB")
    image.thumbnail((_PIXELS_AT_MOST, _PIXELS_AT_MOST))
    with _importing:
        return _load_widget_class(protocol), image


@cache
def _load_widget_class(protocol: ImageProtocol) -> Any:
    """textual-image's widget, imported without asking the terminal anything.

    The package asks at import, in the middle of the person's typing, and waits 0.1 s for an
    answer. It does so only when standard output is a terminal, so another one stands there
    meanwhile. The size of a cell comes from the kernel instead.
    """
    real = sys.__stdout__
    sys.__stdout__ = io.TextIOWrapper(io.BytesIO())  # type: ignore[misc]
    try:
        from textual_image._terminal import CellSize, get_cell_size
        from textual_image.widget import SixelImage, TGPImage
    finally:
        sys.__stdout__ = real  # type: ignore[misc]
    get_cell_size._result = CellSize(*_read_cell_size())  # type: ignore[attr-defined]
    return TGPImage if protocol == "kitty" else _make_sixel_class(SixelImage)


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

    from tui.terminal.filter import ControlFilter

    class SixelData(_ImageSixelImpl):
        def get_line_filters(self) -> Any:
            return [
                kept for kept in super().get_line_filters() if not isinstance(kept, ControlFilter)
            ]

    class SixelPicture(sixel_image, Renderable=_NoopRenderable):  # type: ignore[misc, call-arg]
        def compose(self) -> Any:
            yield SixelData(self.image, self._sixel_options)

    return SixelPicture
