"""The mask editor: a brush over the initial image; what is painted is made anew."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import Screen
from textual.strip import Strip
from textual.widget import Widget

from store.errors import SafelightError
from tui.compose.mask_canvas import Brush, MaskCanvas
from tui.keys import Reasoned, Said
from tui.terminal.cells import Row, draw_cells, fit_cells
from tui.terminal.detect import Display, get_display
from tui.widgets.key_line import KeyLine
from tui.widgets.picture import open_for_display
from tui.work import start_work

Take = Callable[[bytes], Awaitable[None]]
"""Takes the mask as a PNG; raises `SafelightError`."""

NO_UNDO = "There is nothing to undo."
NOT_PAINTED = "Nothing is painted, so nothing would be made anew: space paints."

_MOVE = Binding.Group("move")
_LEAP = Binding.Group("by its size")
_SIZE = Binding.Group("brush")
_DIRECTIONS = {"left": ("h", -1, 0), "down": ("j", 0, 1), "up": ("k", 0, -1), "right": ("l", 1, 0)}


def _list_moves() -> list[BindingType]:
    """The brush by a cell, then by its own size."""
    moves: list[BindingType] = [
        Binding(
            way,
            f"move({right}, {down})",
            way,
            tooltip=f"Move the brush by a cell: {way}",
            id=f"mask.{way}",
            group=_MOVE,
            system=True,
        )
        for way, (_, right, down) in _DIRECTIONS.items()
    ]
    leaps: list[BindingType] = [
        Binding(
            f"{letter},shift+{way}",
            f"leap({right}, {down})",
            f"far {way}",
            tooltip=f"Move the brush by its own size: {way}",
            id=f"mask.far_{way}",
            key_display=letter,
            group=_LEAP,
            system=True,
        )
        for way, (letter, right, down) in _DIRECTIONS.items()
    ]
    return [*moves, *leaps]


class MaskGrid(Reasoned, Widget, can_focus=True):
    """The image with the mask over it, cell by cell, and the brush.

    What is painted is shown as a pattern, so that it is told from any image without colour.
    `holding` says what moving the brush does to the cells under it: False paints, True erases,
    None leaves them.
    """

    BINDING_GROUP_TITLE = "while painting a mask"
    BINDINGS: ClassVar[list[BindingType]] = [
        *_list_moves(),
        Binding(
            "space",
            "paint",
            "paint",
            tooltip="Paint under the brush, or erase what is painted",
            id="mask.paint",
        ),
        Binding(
            "plus,equals_sign",
            "grow(1)",
            "larger",
            tooltip="Make the brush larger",
            id="mask.larger",
            key_display="+",
            group=_SIZE,
        ),
        Binding(
            "minus",
            "grow(-1)",
            "smaller",
            tooltip="Make the brush smaller",
            id="mask.smaller",
            group=_SIZE,
        ),
        Binding(
            "p",
            "hold",
            "hold",
            tooltip="Hold the brush down: moving it paints or erases",
            id="mask.hold",
        ),
        Binding(
            "i",
            "invert",
            "invert",
            tooltip="Invert: paint what is not painted, erase what is",
            id="mask.invert",
        ),
        Binding("u", "undo", "undo", tooltip="Take back the last stroke", id="mask.undo"),
    ]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"mask--painted", "mask--brush"}

    class Changed(Message):
        """The mask or the brush is another one."""

    def __init__(self, data: bytes, canvas: MaskCanvas, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.canvas = canvas
        self.brush = Brush()
        self.holding: bool | None = None
        self._data = data
        self._rows: list[list[Segment]] = []
        self._is_dragged_to_erase = False

    def _tell(self) -> None:
        self.refresh()
        self.refresh_bindings()
        self.post_message(self.Changed())

    # The image

    def on_resize(self) -> None:
        """Other cells; the image is drawn for them in a thread."""
        columns, rows = fit_cells(*self.canvas.size, self.size.width, self.size.height)
        self.canvas.set_grid(columns, rows)
        self._rows = []
        self.refresh()
        start_work(self, self._draw, "image", is_exclusive=True)

    async def _draw(self) -> None:
        grid, display = (self.canvas.columns, self.canvas.rows), get_display(self.app)
        if display.image_protocol == "none":
            return
        try:
            rows = await asyncio.to_thread(_draw_data, self._data, grid, display)
        except SafelightError:
            return  # The mask is painted all the same; the image's own place says what is wrong.
        if grid == (self.canvas.columns, self.canvas.rows):
            self._rows = [_split(row) for row in rows]
            self.refresh()

    @property
    def _corner(self) -> tuple[int, int]:
        return (
            (self.size.width - self.canvas.columns) // 2,
            (self.size.height - self.canvas.rows) // 2,
        )

    def render_line(self, y: int) -> Strip:
        """One line of cells in the middle of empty space."""
        canvas, style = self.canvas, self.rich_style
        left, top = self._corner
        row = y - top
        if not 0 <= row < canvas.rows:
            return Strip.blank(self.size.width, style)
        cells = [Segment(" " * left, style)]
        cells += [self._draw_cell(column, row) for column in range(canvas.columns)]
        return Strip(cells).adjust_cell_length(self.size.width, style)

    def _draw_cell(self, column: int, row: int) -> Segment:
        left, top, right, bottom = self._cells
        is_painted = self.canvas.is_painted(column, row)
        has_unicode = get_display(self.app).has_unicode
        sign = ("░" if has_unicode else "#") if is_painted else " "
        if left <= column < right and top <= row < bottom:
            return Segment(sign, self.get_component_rich_style("mask--brush", partial=False))
        if is_painted:
            return Segment(sign, self.get_component_rich_style("mask--painted", partial=False))
        if row < len(self._rows) and column < len(self._rows[row]):
            return self._rows[row][column]
        return Segment("·" if has_unicode else ".", self.rich_style)

    # The brush

    @property
    def _cells(self) -> tuple[int, int, int, int]:
        return self.brush.find_cells(self.canvas.columns, self.canvas.rows)

    def _is_on_painted(self) -> bool:
        left, top, right, bottom = self._cells
        return self.canvas.is_painted((left + right - 1) // 2, (top + bottom - 1) // 2)

    def _paint(self, *, is_erasing: bool) -> None:
        self.canvas.paint(self._cells, is_erasing=is_erasing)
        self._tell()

    def why_not(self, action: str) -> str:
        """Why nothing can be taken back."""
        return NO_UNDO if action == "undo" and not self.canvas.has_undo else ""

    def action_move(self, right: int, down: int) -> None:
        """Move the brush by cells; held down, it paints or erases."""
        self.brush.move(right, down, self.canvas.columns, self.canvas.rows)
        if self.holding is None:
            self._tell()
        else:
            self._paint(is_erasing=self.holding)

    def action_leap(self, right: int, down: int) -> None:
        """Move the brush by its own size."""
        self.action_move(right * 2 * self.brush.size, down * self.brush.size)

    def action_paint(self) -> None:
        """Paint under the brush, or erase what is painted there."""
        self._paint(is_erasing=self._is_on_painted())

    def action_hold(self) -> None:
        """Hold the brush down, or lift it."""
        if self.holding is None:
            self.holding = self._is_on_painted()
            self._paint(is_erasing=self.holding)
        else:
            self.holding = None
            self._tell()

    def action_grow(self, steps: int) -> None:
        """Make the brush larger or smaller."""
        self.brush.grow(steps)
        self._tell()

    def action_invert(self) -> None:
        """Paint what is not painted and erase what is."""
        self.canvas.invert()
        self._tell()

    def action_undo(self) -> None:
        """Take back the last stroke."""
        self.canvas.undo()
        self._tell()

    # The mouse

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Begin a stroke where the mouse is."""
        self.capture_mouse()
        self._drag(event, is_begin=True)

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Go on with the stroke."""
        if event.button and self.app.mouse_captured is self:
            self._drag(event, is_begin=False)

    def on_mouse_up(self) -> None:
        """The stroke is over."""
        self.release_mouse()

    def _drag(self, event: events.MouseEvent, *, is_begin: bool) -> None:
        left, top = self._corner
        column, row = event.x - left, event.y - top
        columns, rows = self.canvas.columns, self.canvas.rows
        if not (0 <= column < columns and 0 <= row < rows):
            return
        self.brush.put(column + 0.5, row + 0.5, columns, rows)
        if is_begin:
            self._is_dragged_to_erase = self.canvas.is_painted(column, row)
        self._paint(is_erasing=self._is_dragged_to_erase)


class MaskScreen(Reasoned, Screen[None]):
    """Painting a mask over the image in `data`.

    `canvas` holds what was painted before. `take` gets the mask when it is accepted. `keymap`
    holds keys by binding id.
    """

    CSS_PATH = "mask.tcss"
    BINDING_GROUP_TITLE = "while painting a mask"
    LEADING: ClassVar[tuple[str, ...]] = (
        "mask.left",
        "mask.paint",
        "mask.accept",
        "mask.leave",
        "mask.larger",
        "help",
        "mask.hold",
        "mask.invert",
        "mask.undo",
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "enter",
            "accept",
            "take it",
            tooltip="Take the mask: what is painted is made anew",
            id="mask.accept",
        ),
        Binding("escape,q", "leave", "leave", tooltip="Leave the mask as it was", id="mask.leave"),
    ]

    def __init__(
        self,
        data: bytes,
        canvas: MaskCanvas,
        take: Take,
        keymap: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__()
        self._canvas = canvas
        self._take = take
        self._is_taking = False
        self._grid = MaskGrid(data, canvas, id="mask-grid")
        self._frame = Vertical(self._grid, id="mask-frame")
        self._keys = KeyLine(keymap)

    def compose(self) -> ComposeResult:
        """The image and the keys."""
        yield self._frame
        yield self._keys

    def on_mount(self) -> None:
        """The brush is in the middle."""
        self._frame.border_title = Content("mask")
        self._grid.focus()
        self._show()

    @on(MaskGrid.Changed)
    def _show(self) -> None:
        dot = get_display(self.app).glyphs.dot
        parts = [f"brush {self._grid.brush.size}", f"{self._canvas.share:.0%} is made anew"]
        if self._grid.holding is not None:
            does = "erases" if self._grid.holding else "paints"
            parts.append(f"the brush {does} as it moves")
        self._frame.border_subtitle = Content(f" {dot} ".join(parts))

    def why_not(self, action: str) -> str:
        """Why the mask cannot be taken."""
        return NOT_PAINTED if action == "accept" and not self._canvas.share else ""

    async def action_accept(self) -> None:
        """Hand the mask over, and leave when it is accepted."""
        if self._is_taking:
            return
        self._is_taking = True
        try:
            await self._take(self._canvas.to_png())
        except SafelightError as error:
            self.post_message(Said(str(error)))
        else:
            self.dismiss(None)
        finally:
            self._is_taking = False

    def action_leave(self) -> None:
        """Leave the mask as it was."""
        self.dismiss(None)


def _draw_data(data: bytes, grid: tuple[int, int], display: Display) -> list[Row]:
    image = open_for_display(data)
    return draw_cells(image, *grid, display.colours, has_blocks=display.has_unicode)


def _split(row: Row) -> list[Segment]:
    """A segment a cell."""
    return [Segment(sign, style or Style()) for text, style, _ in row for sign in text]
