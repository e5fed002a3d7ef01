"""The picture with the mask over it, cell by cell, and the brush."""

from __future__ import annotations

import asyncio
import os
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from store.errors import SafelightError
from tui.compose.mask_canvas import Brush, MaskCanvas
from tui.terminal.cells import Row, draw_cells, fit_cells
from tui.terminal.detect import Colours, has_unicode
from tui.widgets.picture import get_colours, get_image_protocol, open_for_display
from tui.work import start_work


class MaskGrid(Widget, can_focus=True):
    """Shows what is painted as a pattern, so that it is told from any picture without colour."""

    DEFAULT_CSS = """
    MaskGrid {
        height: 1fr;
        & > .mask--painted { color: $foreground; background: $background; }
        & > .mask--brush { color: $role-on-focus; background: $role-focus; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"mask--painted", "mask--brush"}

    class Dragged(Message):
        """The mouse was pressed, or moved while pressed, on a cell."""

        def __init__(self, column: int, row: int, *, is_begin: bool) -> None:
            super().__init__()
            self.column, self.row, self.is_begin = column, row, is_begin

    def __init__(self, data: bytes, canvas: MaskCanvas, brush: Brush, *, id: str) -> None:  # noqa: A002
        super().__init__(id=id)
        self._data = data
        self._canvas = canvas
        self._brush = brush
        self._rows: list[list[Segment]] = []
        self._has_unicode = has_unicode(os.environ)

    def on_resize(self) -> None:
        """Other cells; the picture is drawn for them in a thread."""
        columns, rows = fit_cells(*self._canvas.size, self.size.width, self.size.height)
        self._canvas.set_grid(columns, rows)
        self._rows = []
        self.refresh()
        start_work(self, self._draw, "picture", is_exclusive=True)

    async def _draw(self) -> None:
        grid, colours = (self._canvas.columns, self._canvas.rows), get_colours(self.app)
        if get_image_protocol(self.app) == "none":
            return
        try:
            rows = await asyncio.to_thread(_draw_data, self._data, grid, colours, self._has_unicode)
        except SafelightError:
            return  # The mask is painted all the same; the image's own place says what is wrong.
        if grid == (self._canvas.columns, self._canvas.rows):
            self._rows = [_split(row) for row in rows]
            self.refresh()

    @property
    def _corner(self) -> tuple[int, int]:
        return (
            (self.size.width - self._canvas.columns) // 2,
            (self.size.height - self._canvas.rows) // 2,
        )

    def render_line(self, y: int) -> Strip:
        """One line of cells in the middle of empty space."""
        canvas, style = self._canvas, self.rich_style
        left, top = self._corner
        row = y - top
        if not 0 <= row < canvas.rows:
            return Strip.blank(self.size.width, style)
        cells = [Segment(" " * left, style)]
        cells += [self._draw_cell(column, row) for column in range(canvas.columns)]
        return Strip(cells).adjust_cell_length(self.size.width, style)

    def _draw_cell(self, column: int, row: int) -> Segment:
        left, top, right, bottom = self._brush.find_cells(self._canvas.columns, self._canvas.rows)
        is_painted = self._canvas.is_painted(column, row)
        sign = ("░" if self._has_unicode else "#") if is_painted else " "
        if left <= column < right and top <= row < bottom:
            return Segment(sign, self.get_component_rich_style("mask--brush", partial=False))
        if is_painted:
            return Segment(sign, self.get_component_rich_style("mask--painted", partial=False))
        if row < len(self._rows) and column < len(self._rows[row]):
            return self._rows[row][column]
        return Segment("·" if self._has_unicode else ".", self.rich_style)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin a stroke where the mouse is."""
        self.capture_mouse()
        self._report(event, is_begin=True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Go on with the stroke."""
        if event.button and self.app.mouse_captured is self:
            self._report(event, is_begin=False)

    def on_mouse_up(self) -> None:
        """The stroke is over."""
        self.release_mouse()

    def _report(self, event: events.MouseEvent, *, is_begin: bool) -> None:
        left, top = self._corner
        column, row = event.x - left, event.y - top
        if 0 <= column < self._canvas.columns and 0 <= row < self._canvas.rows:
            self.post_message(self.Dragged(column, row, is_begin=is_begin))


def _draw_data(data: bytes, grid: tuple[int, int], colours: Colours, has_blocks: bool) -> list[Row]:
    return draw_cells(open_for_display(data), *grid, colours, has_blocks=has_blocks)


def _split(row: Row) -> list[Segment]:
    """A segment a cell."""
    return [Segment(sign, style or Style()) for text, style, _ in row for sign in text]
