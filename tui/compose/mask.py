"""Painting a mask over the initial image."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import BindingType
from textual.containers import Vertical
from textual.content import Content

from store.errors import SafelightError
from tui.acting import ActingScreen
from tui.actions import CONTEXTS, Situation, make_bindings
from tui.compose.mask_canvas import Brush, MaskCanvas
from tui.compose.mask_grid import MaskGrid
from tui.terminal.glyphs import Glyphs
from tui.widgets.key_line import KeyLine

Take = Callable[[bytes], Awaitable[None]]
"""Takes the mask as a PNG; raises `SafelightError`."""

_STEPS = {"left": (-1, 0), "right": (1, 0), "up": (0, -1), "down": (0, 1)}
_LEAPS = {"h": "left", "l": "right", "k": "up", "j": "down"}


class MaskScreen(ActingScreen):
    """A brush over the picture in `data`; what is painted is made anew.

    `canvas` holds what was painted before. `take` gets the mask when it is accepted.
    """

    CSS = """
    MaskScreen {
        layout: vertical;
        #mask-frame { height: 1fr; border: round $border; padding: 0 1; }
        #mask-keys { height: 1; }
    }
    """
    BINDINGS: ClassVar[list[BindingType]] = make_bindings("mask")
    ACTION_CONTEXTS: ClassVar[tuple[str, ...]] = ("mask",)

    def __init__(self, data: bytes, canvas: MaskCanvas, glyphs: Glyphs, take: Take) -> None:
        super().__init__()
        self._canvas = canvas
        self._glyphs = glyphs
        self._take = take
        self._brush = Brush()
        self._holds: bool | None = None
        self._is_taking = False
        self._grid = MaskGrid(data, canvas, self._brush, id="mask-grid")
        self._frame = Vertical(self._grid, id="mask-frame")
        self._keys = KeyLine(glyphs, id="mask-keys")

    def compose(self) -> ComposeResult:
        """The picture and the keys."""
        yield self._frame
        yield self._keys

    def on_mount(self) -> None:
        """The brush is in the middle."""
        self._frame.border_title = Content("mask")
        self._grid.focus()
        self._show()

    def _show(self) -> None:
        share = self._canvas.share
        held = {None: "", False: f" {self._glyphs.dot} the brush paints as it moves"}
        held[True] = f" {self._glyphs.dot} the brush erases as it moves"
        self._frame.border_subtitle = Content(
            f"brush {self._brush.size} {self._glyphs.dot} {share:.0%} is made anew"
            f"{held[self._holds]}"
        )
        self._grid.refresh()
        self._keys.show(("mask",), self.get_situation(), is_typing=False)

    def get_situation(self) -> Situation:
        """What can be done now."""
        return Situation(has_undo=self._canvas.has_undo)

    async def perform(self, action_id: str, key: str) -> None:
        """Do what the action says."""
        match action_id:
            case "mask.move":
                self._move(*_STEPS[key])
            case "mask.leap":
                right, down = _STEPS[_LEAPS.get(key, key.removeprefix("shift+"))]
                self._move(right * 2 * self._brush.size, down * self._brush.size)
            case "mask.paint":
                self._paint(is_erasing=self._is_on_painted())
            case "mask.hold":
                self._hold()
            case "mask.size":
                self._brush.grow(-1 if key == "minus" else 1)
            case "mask.invert":
                self._canvas.invert()
            case "mask.undo":
                self._canvas.undo()
            case "mask.accept":
                await self._accept()
                return
            case "mask.leave":
                self.dismiss(None)
                return
            case "mask.help":
                await self._open_help()
        self._show()

    @property
    def _cells(self) -> tuple[int, int, int, int]:
        return self._brush.find_cells(self._canvas.columns, self._canvas.rows)

    def _is_on_painted(self) -> bool:
        left, top, right, bottom = self._cells
        return self._canvas.is_painted((left + right - 1) // 2, (top + bottom - 1) // 2)

    def _paint(self, *, is_erasing: bool) -> None:
        self._canvas.paint(self._cells, is_erasing=is_erasing)

    def _move(self, right: int, down: int) -> None:
        self._brush.move(right, down, self._canvas.columns, self._canvas.rows)
        if self._holds is not None:
            self._paint(is_erasing=self._holds)

    def _hold(self) -> None:
        if self._holds is not None:
            self._holds = None
            return
        self._holds = self._is_on_painted()
        self._paint(is_erasing=self._holds)

    @on(MaskGrid.Dragged)
    def _drag(self, event: MaskGrid.Dragged) -> None:
        event.stop()
        grid = (self._canvas.columns, self._canvas.rows)
        self._brush.put(event.column + 0.5, event.row + 0.5, *grid)
        if event.is_begin:
            self._is_dragged_to_erase = self._canvas.is_painted(event.column, event.row)
        self._paint(is_erasing=self._is_dragged_to_erase)
        self._show()

    _is_dragged_to_erase = False

    async def _accept(self) -> None:
        if not self._canvas.share:
            self.say("Nothing is painted, so nothing would be made anew: space paints.")
            return
        if self._is_taking:
            return
        self._is_taking = True
        try:
            await self._take(self._canvas.to_png())
        except SafelightError as error:
            self.say(str(error))
        else:
            self.dismiss(None)
        finally:
            self._is_taking = False

    async def _open_help(self) -> None:
        from tui.help_dialog import HelpScreen

        contexts = {"mask": CONTEXTS["mask"]}
        await self.app.push_screen(HelpScreen(contexts, self.get_situation(), self._glyphs))
