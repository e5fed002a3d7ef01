"""Thumbnails as cells, made in a thread and kept while they are of use."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable

from store.errors import SafelightError
from tui.darkroom import Darkroom
from tui.terminal.cells import Row, draw_cells, fit_cells
from tui.terminal.detect import Colours

_KEPT = 400


class Thumbnails:
    """Drawn thumbnails by image number. Nothing is drawn twice for one size and colour depth."""

    def __init__(self, darkroom: Darkroom) -> None:
        self._darkroom = darkroom
        self._drawn: OrderedDict[int, list[Row]] = OrderedDict()
        self._drawn_for: tuple[int, int, Colours, bool] | None = None

    def get(self, number: int) -> list[Row] | None:
        """The rows of the thumbnail, None while it is not drawn."""
        return self._drawn.get(number)

    async def draw(
        self, numbers: Iterable[int], columns: int, rows: int, colours: Colours, has_blocks: bool
    ) -> bool:
        """Draw those that are missing, each within `columns` x `rows` cells.

        True when something was drawn. A thumbnail that is missing or damaged is left out:
        the image's own record says more about it.
        """
        wanted = (columns, rows, colours, has_blocks)
        if wanted != self._drawn_for:
            self._drawn.clear()
            self._drawn_for = wanted
        missing = [number for number in numbers if number not in self._drawn]
        if not missing or columns < 1 or rows < 1:
            return False
        found = await self._darkroom.get_thumbnails(missing)
        drawn = await asyncio.to_thread(_draw_all, found, columns, rows, colours, has_blocks)
        if self._drawn_for != wanted:
            return False
        self._drawn |= drawn
        while len(self._drawn) > _KEPT:
            self._drawn.popitem(last=False)
        return bool(drawn)


def _draw_all(
    found: dict[int, bytes], columns: int, rows: int, colours: Colours, has_blocks: bool
) -> dict[int, list[Row]]:
    from store.pixels import open_image

    drawn = {}
    for number, data in found.items():
        try:
            image = open_image(data)
        except SafelightError:
            continue
        size = fit_cells(image.width, image.height, columns, rows)
        drawn[number] = draw_cells(image, *size, colours, has_blocks=has_blocks)
    return drawn
