"""A mask while it is painted: which part of an image is made anew. Knows no widget."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

_PAINTED, _KEPT = 0, 255
_HALF = 128
_UNDO_KEPT = 30

Rectangle = tuple[int, int, int, int]
"""Left, top, right, bottom in cells; right and bottom are not in it."""


class MaskCanvas:
    """A mask of `width` x `height` pixels, seen and painted through a grid of cells.

    Black is painted: made anew. The grid may change at any time; what was painted stays.
    """

    def __init__(self, width: int, height: int, data: bytes | None = None) -> None:
        """Begin with nothing painted, or with the mask in `data` (of any size).

        Raises `StoreError` when that is no image.
        """
        from PIL import Image

        from store.decoding import open_upright

        self._image: PillowImage = Image.new("L", (width, height), _KEPT)
        if data is not None:
            self._image = open_upright(data).convert("L").resize((width, height))
        self._undo: list[PillowImage] = []
        self._grid: list[list[bool]] = []
        self.columns, self.rows = 1, 1
        self.set_grid(1, 1)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self._image.size

    def set_grid(self, columns: int, rows: int) -> None:
        """See it through `columns` x `rows` cells from now on; no more of them than pixels."""
        self.columns = max(1, min(columns, self.size[0]))
        self.rows = max(1, min(rows, self.size[1]))
        self._look()

    def _look(self) -> None:
        from PIL import Image

        small = self._image.resize((self.columns, self.rows), Image.Resampling.BOX)
        cells = [value < _HALF for value in small.tobytes()]
        width = self.columns
        self._grid = [cells[row * width : (row + 1) * width] for row in range(self.rows)]

    def is_painted(self, column: int, row: int) -> bool:
        """Whether most of the cell is painted."""
        return self._grid[row][column]

    @property
    def share(self) -> float:
        """How much is painted, 0 to 1."""
        return self._image.histogram()[_PAINTED] / (self.size[0] * self.size[1])

    @property
    def has_undo(self) -> bool:
        """Whether a stroke can be taken back."""
        return bool(self._undo)

    def paint(self, cells: Rectangle, *, is_erasing: bool = False) -> None:
        """Paint the cells, or erase them."""
        left, top, right, bottom = cells
        width, height = self.size
        pixels = (
            round(left * width / self.columns),
            round(top * height / self.rows),
            round(right * width / self.columns),
            round(bottom * height / self.rows),
        )
        before = self._image.copy()
        self._image.paste(_KEPT if is_erasing else _PAINTED, pixels)
        self._note(before)

    def invert(self) -> None:
        """Paint what is not painted and erase what is."""
        before = self._image
        self._image = before.point(lambda value: _KEPT - value)
        self._note(before)

    def _note(self, before: PillowImage) -> None:
        if before.tobytes() != self._image.tobytes():
            self._undo = [*self._undo, before][-_UNDO_KEPT:]
            self._look()

    def undo(self) -> None:
        """Take back the last stroke."""
        if self._undo:
            self._image = self._undo.pop()
            self._look()

    def to_png(self) -> bytes:
        """The mask as a PNG in grey; what is black is made anew."""
        buffer = io.BytesIO()
        self._image.save(buffer, "PNG")
        return buffer.getvalue()


class Brush:
    """A rectangle of cells that looks square: `size` rows and twice as many columns."""

    LARGEST = 12

    def __init__(self) -> None:
        self.size = 2
        self._x, self._y = 0.5, 0.5

    def find_cells(self, columns: int, rows: int) -> Rectangle:
        """The cells under it in a grid, all of them inside."""
        width, height = min(2 * self.size, columns), min(self.size, rows)
        left = min(max(round(self._x * columns - width / 2), 0), columns - width)
        top = min(max(round(self._y * rows - height / 2), 0), rows - height)
        return left, top, left + width, top + height

    def move(self, right: int, down: int, columns: int, rows: int) -> None:
        """Move by cells, as far as the grid goes."""
        left, top, end, bottom = self.find_cells(columns, rows)
        self.put((left + end) / 2 + right, (top + bottom) / 2 + down, columns, rows)

    def put(self, column: float, row: float, columns: int, rows: int) -> None:
        """Put its middle there, or as near as it stays inside."""
        self._x, self._y = column / columns, row / rows
        left, top, end, bottom = self.find_cells(columns, rows)
        self._x, self._y = (left + end) / 2 / columns, (top + bottom) / 2 / rows

    def grow(self, steps: int) -> None:
        """Make it larger or smaller."""
        self.size = min(max(self.size + steps, 1), self.LARGEST)
