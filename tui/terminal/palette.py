"""From pixels to the colours that a terminal has: palettes, mixtures, rows of segments."""

from __future__ import annotations

from functools import cache
from typing import Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from tui.terminal.detect import Colours

Row = list[Segment]
Shade = tuple[str, int, int]
"""A glyph, and the numbers of its ink and its paper among the sixteen colours."""

_GRAIN = 0.3
"""How much the grain of a mixture of two colours counts against it."""

BLOCK_SHADES = (("░", 0.25), ("▒", 0.5))
ASCII_SHADES = (("+", 0.15), ("#", 0.3))
"""Glyphs that mix two colours, and how much of a cell each covers."""

_ANSI_16 = (
    (0, 0, 0),
    (205, 0, 0),
    (0, 205, 0),
    (205, 205, 0),
    (0, 0, 238),
    (205, 0, 205),
    (0, 205, 205),
    (229, 229, 229),
    (127, 127, 127),
    (255, 0, 0),
    (0, 255, 0),
    (255, 255, 0),
    (92, 92, 255),
    (255, 0, 255),
    (0, 255, 255),
    (255, 255, 255),
)
"""The sixteen colours as xterm shows them; a terminal's own palette may differ."""


def map_colours(colours: Any, depth: Colours) -> list[Color]:
    """Rich colours for the rows of `colours` (count, 3), values 0 to 255."""
    import numpy as np

    if depth == "truecolor":
        # To even values: nobody sees it, and one cell in six is equal to its neighbour more.
        rounded = np.clip(np.round(colours / 2) * 2, 0, 254).astype(np.uint8)
        return [Color.from_rgb(*map(int, row)) for row in rounded]
    palette, first = load_palette(depth)
    nearest, _ = find_nearest(colours, palette)
    return [get_color(first + int(index)) for index in nearest]


def find_nearest(colours: Any, palette: Any) -> tuple[Any, Any]:
    """Index of the nearest of `palette` (count, 3) for `colours` (…, 3), and how far squared."""
    square = (colours**2).sum(-1)[..., None]
    distances = square - 2 * colours @ palette.T + (palette**2).sum(1)
    return distances.argmin(-1), distances.min(-1)


@cache
def load_palette(depth: Colours) -> tuple[Any, int]:
    """The palette (count, 3) and the number of its first colour.

    Of 256 the lowest sixteen are left out: each terminal has its own.
    """
    import numpy as np

    if depth == "16":
        return np.array(_ANSI_16, np.float32), 0
    steps = (0, 95, 135, 175, 215, 255)
    cube = [(red, green, blue) for red in steps for green in steps for blue in steps]
    greys = [(8 + 10 * level,) * 3 for level in range(24)]
    return np.array(cube + greys, np.float32), 16


@cache
def get_color(number: int) -> Color:
    """The terminal's colour with this number, 0 to 255."""
    return Color.from_ansi(number)


def measure_mixtures(colours: Any, mixed: Any, grain: Any) -> Any:
    """How far each of `colours` (count, 3) is from each mixture, grain included."""
    return ((colours[:, None] - mixed[None]) ** 2).sum(2) + grain


@cache
def load_mixtures(shares: tuple[tuple[str, float], ...]) -> tuple[list[Shade], Any, Any]:
    """Shades, the colour that each looks like, and its grain.

    `shares`: glyphs and how much of a cell each covers.
    """
    import numpy as np

    palette, _ = load_palette("16")
    shades: list[Shade] = [(" ", number, number) for number in range(16)]
    amounts = [1.0] * 16
    for glyph, amount in shares:
        pairs = [(one, other) for one in range(16) for other in range(16) if one != other]
        shades += [(glyph, ink, paper) for ink, paper in pairs if amount < 0.5 or ink < paper]
        amounts += [amount] * (len(shades) - len(amounts))
    ink, paper = palette[[shade[1] for shade in shades]], palette[[shade[2] for shade in shades]]
    share = np.array(amounts, np.float32)
    mixed = ink * share[:, None] + paper * (1 - share[:, None])
    grain = _GRAIN * share * (1 - share) * ((ink - paper) ** 2).sum(1)
    return shades, mixed, grain


def join_shades(columns: int, shades: list[Shade]) -> list[Row]:
    """Rows of segments from shades, row by row."""
    return join_cells(
        columns,
        [glyph for glyph, _, _ in shades],
        [get_color(number) for _, number, _ in shades],
        [get_color(number) for _, _, number in shades],
    )


def join_cells(columns: int, glyphs: list[str], ink: list[Color], paper: list[Color]) -> list[Row]:
    """Rows of segments, neighbours of one style joined."""
    lines: list[Row] = []
    for start in range(0, len(glyphs), columns):
        row: Row = []
        for index in range(start, start + columns):
            glyph = " " if ink[index] == paper[index] else glyphs[index]
            style = row[-1].style if row else None
            if (
                style is not None
                and style.bgcolor == paper[index]
                and (glyph == " " or style.color == ink[index])
            ):
                row[-1] = Segment(row[-1].text + glyph, style)
            else:
                row.append(Segment(glyph, Style.from_color(ink[index], paper[index])))
        lines.append(row)
    return lines
