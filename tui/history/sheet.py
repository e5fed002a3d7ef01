"""A contact sheet: how many thumbnails fit, and the lines of one of them."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from rich.segment import Segment
from rich.style import Style

from store.records import Image
from tui.marks import write_signs
from tui.terminal.cells import Row
from tui.text import show_words
from tui.widgets.text_lines import fit_text
from tui.words import find_certainty, mark_verdict

_WIDTHS = (24, 20, 16, 12, 8)
"""How wide a thumbnail may be; it is half as high in rows, so about square."""

_HEAD, _SIGNS = 3, 4
"""Cells of pointer, mark and verdict, and of what a person said."""

_LEAST_SHOWN = 6
"""Rather smaller thumbnails than fewer at once."""


class SheetSize(NamedTuple):
    """How many `columns` of thumbnails, each within `width` x `height` cells.

    `pitch`: cells from the beginning of one to that of the next.
    """

    columns: int
    width: int
    height: int
    pitch: int

    @property
    def tile_height(self) -> int:
        """Rows of one image: its thumbnail and the line below."""
        return self.height + 1


def fit_sheet(width: int, height: int, smaller: int = 0) -> SheetSize:
    """The largest thumbnails of which some fit at once into `width` x `height` cells.

    `smaller`: so many sizes below that, as far as there are any.
    """
    sizes = [
        SheetSize(columns, wide, wide // 2, (width + 1) // columns)
        for wide in _WIDTHS
        if (columns := (width + 1) // (wide + 1))
    ]
    fitting = [
        size for size in sizes if size.columns * (height // size.tile_height) >= _LEAST_SHOWN
    ]
    if fitting:
        return fitting[min(smaller, len(fitting) - 1)]
    wide = max(1, min(_WIDTHS[-1], width))
    columns = max(1, (width + 1) // (wide + 1))
    high = max(1, min(wide // 2, height - 1))
    return SheetSize(columns, wide, high, (width + 1) // columns)


class TileFacts(NamedTuple):
    """What one place of the sheet shows. `thumbnail` is empty where none can be drawn."""

    image: Image
    thumbnail: list[Row]
    is_chosen: bool
    is_marked: bool
    has_unicode: bool


class TileStyles(NamedTuple):
    """The styles of one place: around the thumbnail, of the line below, the mark, the verdict."""

    base: Style
    caption: Style
    mark: Style
    verdict: Style


def draw_tile(facts: TileFacts, styles: TileStyles, size: SheetSize, part: int) -> list[Segment]:
    """Line `part` of an image: rows of its thumbnail, or of its words; below what is said of it."""
    if part >= size.height:
        return _draw_caption(facts, styles, size.width)
    if facts.thumbnail:
        return _draw_thumbnail(facts.thumbnail, styles.base, size, part)
    words = textwrap.wrap(show_words(facts.image), size.width)[: size.height]
    text = words[part] if part < len(words) else ""
    return [Segment(fit_text(text, size.width), styles.base)]


def _draw_thumbnail(thumbnail: list[Row], base: Style, size: SheetSize, part: int) -> list[Segment]:
    """In the middle of its place."""
    row = part - (size.height - len(thumbnail)) // 2
    line = thumbnail[row] if 0 <= row < len(thumbnail) else []
    cells = [Segment(text, own or base) for text, own, _ in line]
    room = size.width - sum(segment.cell_length for segment in cells)
    before = room // 2
    return [Segment(" " * before, base), *cells, Segment(" " * (room - before), base)]


def _draw_caption(facts: TileFacts, styles: TileStyles, width: int) -> list[Segment]:
    pointer, marked = ("›", "●") if facts.has_unicode else (">", "x")
    verdict = mark_verdict(find_certainty(facts.image).verdict, has_unicode=facts.has_unicode)
    signs = write_signs(facts.image, has_unicode=facts.has_unicode)
    room = width - _HEAD
    rest = f"{signs} {facts.image.id[:4]}" if room >= _SIGNS + 5 else signs[: max(0, room)]
    return [
        Segment(pointer if facts.is_chosen else " ", styles.caption),
        Segment(marked if facts.is_marked else " ", styles.mark),
        Segment(verdict, styles.verdict),
        Segment(fit_text(rest, room), styles.caption),
    ]
