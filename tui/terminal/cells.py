"""Pictures as coloured characters.

Each terminal cell gets the block element and the two colours that come closest to the 8 x 8
samples under it, by least squares over all block elements: about 5 dB better than the usual
half blocks at the same number of bytes. Colours are mapped to what the terminal has before
Rich sees them, because Rich's own mapping turns dark greens bright.

numpy and Pillow are imported when the first picture is made, never at import.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from rich.color import Color
from rich.segment import Segment
from rich.style import Style

from tui.terminal.detect import Colours

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

Row = list[Segment]
_Shade = tuple[str, int, int]
"""A glyph, and the numbers of its ink and its paper among the colours of the terminal."""

_GRAIN = 0.3
"""How much the grain of a mixture of two colours counts against it."""

_Shares = tuple[tuple[str, float], ...]

_BLOCK_SHADES = (("░", 0.25), ("▒", 0.5))
_ASCII_SHADES = (("+", 0.15), ("#", 0.3))
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

_CUBE_STEPS = (0, 95, 135, 175, 215, 255)
"""What the levels of the 6 x 6 x 6 cube among 256 colours are; 24 greys follow it, from 8 by 10."""

_SAMPLES = 8
"""Samples a side of one cell: block elements divide a cell in eighths."""

_RAMP = " .:-=+*#%@"
_QUADRANTS = " ▘▝▀▖▌▞▛▗▚▐▜▄▙▟█"


def fit_cells(width: int, height: int, columns: int, rows: int) -> tuple[int, int]:
    """The largest (columns, rows) within the region that keep the picture's proportions.

    `width` and `height` are pixels; a cell is taken to be twice as high as wide. At least
    one cell each.
    """
    scale = min(columns / width, 2 * rows / height)
    return (
        max(1, min(columns, round(width * scale))),
        max(1, min(rows, round(height * scale / 2))),
    )


def draw_cells(
    image: PillowImage,
    columns: int,
    rows: int,
    colours: Colours = "truecolor",
    *,
    has_blocks: bool = True,
) -> list[Row]:
    """`image` as `rows` rows of segments, each `columns` cells wide; it is stretched to fit.

    Without `has_blocks` only ASCII is used: coloured spaces, or a ramp of signs without
    colours. Takes some milliseconds: call it in a thread.
    """
    image = _flatten(image)
    if colours == "none":
        return _draw_shades(image, columns, rows, has_blocks)
    if not has_blocks:
        return _draw_spaces(image, columns, rows, colours)
    return _draw_blocks(image, columns, rows, colours)


def _flatten(image: PillowImage) -> PillowImage:
    """Without transparency: what is transparent is shown as dark as the room."""
    from PIL import Image

    if "A" in image.getbands() or "transparency" in image.info:
        image = image.convert("RGBA")
        ground = Image.new("RGBA", image.size, (20, 17, 15, 255))
        image = Image.alpha_composite(ground, image)
    return image.convert("RGB")


def _draw_blocks(image: PillowImage, columns: int, rows: int, colours: Colours) -> list[Row]:
    import numpy as np

    glyphs, masks = _load_blocks()
    small = _resize(image, columns, rows, _SAMPLES)
    cells = np.asarray(small, np.float32).reshape(rows, _SAMPLES, columns, _SAMPLES, 3)
    cells = cells.transpose(0, 2, 4, 1, 3).reshape(rows * columns, 3, _SAMPLES**2)
    inside = cells @ masks.T
    outside = cells.sum(2, keepdims=True) - inside
    area = masks.sum(1)
    rest = _SAMPLES**2 - area
    if colours in ("16", "256"):
        return _draw_palette(columns, cells, inside / area, outside / rest, colours)
    best = ((inside**2).sum(1) / area + (outside**2).sum(1) / rest).argmax(1)
    every = np.arange(len(best))
    ink = _map_colours(inside[every, :, best] / area[best, None])
    paper = _map_colours(outside[every, :, best] / rest[best, None])
    return _join_cells(columns, [glyphs[index] for index in best], ink, paper)


def _draw_palette(columns: int, cells: Any, inks: Any, papers: Any, colours: Colours) -> list[Row]:
    """Each cell as a block of two colours of a palette, or as a shade that mixes two.

    `cells` (count, 3, 64); `inks`, `papers` (count, 3, blocks): the colours that each block
    would like to have. Mixing gives many colours in the place of few; those far from each other
    are mixed only where it is worth the grain.
    """
    import numpy as np

    glyphs, masks = _load_blocks()
    area = masks.sum(1)
    find = _find_in_256 if colours == "256" else _find_in_16
    ink, ink_error = find(inks.transpose(0, 2, 1))
    paper, paper_error = find(papers.transpose(0, 2, 1))
    total = (cells**2).sum((1, 2))[:, None]
    spread = total - (inks**2).sum(1) * area - (papers**2).sum(1) * (_SAMPLES**2 - area)
    block_error = spread + ink_error * area + paper_error * (_SAMPLES**2 - area)
    mean = cells.mean(2)
    mix = _mix_256 if colours == "256" else _mix_16
    shades, far = mix(mean, _BLOCK_SHADES)
    shade_error = far * _SAMPLES**2 + total[:, 0] - (mean**2).sum(1) * _SAMPLES**2
    block = block_error.argmin(1)
    every = np.arange(len(cells))
    is_shade = shade_error <= block_error[every, block]
    chosen = [
        shades[at]
        if is_shade[at]
        else (glyphs[block[at]], int(ink[at, block[at]]), int(paper[at, block[at]]))
        for at in every
    ]
    return _join_shades(columns, chosen)


@cache
def _load_blocks() -> tuple[str, Any]:
    """Block elements and their masks (count, 64), each covering 1 to 63 of the samples.

    A block and its complement differ only by exchanging the colours, so one of each pair
    is enough.
    """
    import numpy as np

    half = _SAMPLES // 2
    masks: dict[str, Any] = {}
    for eighths in range(1, _SAMPLES):
        lower, left = np.zeros((2, _SAMPLES, _SAMPLES), np.float32)
        lower[_SAMPLES - eighths :] = 1
        left[:, :eighths] = 1
        masks[chr(0x2580 + eighths)] = lower
        masks[chr(0x2590 - eighths)] = left
    for glyph, quarters in {"▘": (0,), "▝": (1,), "▖": (2,), "▗": (3,), "▚": (0, 3)}.items():
        mask = np.zeros((2, half, 2, half), np.float32)
        for quarter in quarters:
            mask[quarter // 2, :, quarter % 2] = 1
        masks[glyph] = mask.reshape(_SAMPLES, _SAMPLES)
    return "".join(masks), np.stack([mask.ravel() for mask in masks.values()])


def _draw_spaces(image: PillowImage, columns: int, rows: int, colours: Colours) -> list[Row]:
    import numpy as np

    pixels = np.asarray(_resize(image, columns, rows, 1), np.float32).reshape(-1, 3)
    if colours in ("16", "256"):
        mix = _mix_256 if colours == "256" else _mix_16
        return _join_shades(columns, mix(pixels, _ASCII_SHADES)[0])
    paper = _map_colours(pixels)
    return _join_cells(columns, [" "] * len(paper), paper, paper)


def _draw_shades(image: PillowImage, columns: int, rows: int, has_blocks: bool) -> list[Row]:
    import numpy as np
    from PIL import ImageOps

    grey = ImageOps.autocontrast(image.convert("L"), cutoff=1)
    if not has_blocks:
        levels = np.asarray(_resize(grey, columns, rows, 1), np.int32) * len(_RAMP) // 256
        return [[Segment("".join(_RAMP[level] for level in row))] for row in levels]
    dots = np.asarray(_resize(grey, columns, rows, 2).convert("1"), np.int32)
    quarters = dots.reshape(rows, 2, columns, 2).transpose(0, 2, 1, 3).reshape(rows, columns, 4)
    indices = quarters @ np.array([1, 2, 4, 8])
    return [[Segment("".join(_QUADRANTS[index] for index in row))] for row in indices]


def _resize(image: PillowImage, columns: int, rows: int, samples: int) -> PillowImage:
    """Scaled to `samples` each way a cell. Lanczos: smooth where a small picture grows."""
    from PIL import Image

    size = (columns * samples, rows * samples)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


# From pixels to the colours that the terminal has


def _map_colours(colours: Any) -> list[Color]:
    """Rich colours for the rows of `colours` (count, 3), values 0 to 255."""
    import numpy as np

    # To even values: nobody sees it, and one cell in six is equal to its neighbour more.
    rounded = np.clip(np.round(colours / 2) * 2, 0, 254).astype(np.uint8)
    return [Color.from_rgb(*map(int, row)) for row in rounded]


def _find_in_16(colours: Any) -> tuple[Any, Any]:
    """Number of the nearest of the sixteen for `colours` (…, 3), and how far squared."""
    import numpy as np

    palette = np.array(_ANSI_16, np.float32)
    square = (colours**2).sum(-1)[..., None]
    distances = square - 2 * colours @ palette.T + (palette**2).sum(1)
    return distances.argmin(-1), distances.min(-1)


def _find_in_256(colours: Any) -> tuple[Any, Any]:
    """Number of the nearest of 256 for `colours` (…, 3), and how far squared.

    It is one of the cube or one of the greys. The lowest sixteen are left out: each terminal has
    its own.
    """
    import numpy as np

    steps = np.array(_CUBE_STEPS, np.float32)
    place = np.abs(colours[..., None] - steps).argmin(-1)
    grey = np.clip(np.round((colours.mean(-1) - 8) / 10), 0, 23).astype(np.int64)
    far = ((steps[place] - colours) ** 2).sum(-1)
    grey_far = ((8 + 10 * grey[..., None] - colours) ** 2).sum(-1)
    number = 16 + 36 * place[..., 0] + 6 * place[..., 1] + place[..., 2]
    return np.where(grey_far < far, 232 + grey, number), np.minimum(far, grey_far)


@cache
def _get_color(number: int) -> Color:
    """The terminal's colour with this number, 0 to 255."""
    return Color.from_ansi(number)


def _mix_16(colours: Any, shares: _Shares) -> tuple[list[_Shade], Any]:
    """The best shade for each of `colours` (count, 3), and how far it is, grain included."""
    import numpy as np

    shades, mixed, grain = _load_mixtures(shares)
    far = ((colours[:, None] - mixed[None]) ** 2).sum(2) + grain
    best = far.argmin(1)
    return [shades[index] for index in best], far[np.arange(len(best)), best]


def _mix_256(colours: Any, shares: _Shares) -> tuple[list[_Shade], Any]:
    """The same of 256: the corners of the cube around each colour, and the greys beside it."""
    import numpy as np

    steps = np.array(_CUBE_STEPS, np.float32)
    low = np.clip(np.searchsorted(steps, colours, side="right") - 1, 0, len(steps) - 2)
    corners = np.array([[n >> 2 & 1, n >> 1 & 1, n & 1] for n in range(8)])
    places = low[:, None] + corners[None]
    grey = np.clip(np.floor((colours.mean(1) - 8) / 10), 0, 22).astype(np.int64)
    greys = grey[:, None] + np.array([0, 1])
    numbers = np.concatenate((16 + places @ np.array([36, 6, 1]), 232 + greys), 1)
    near = np.concatenate(
        (steps[places], np.repeat((8 + 10 * greys)[..., None], 3, 2)), 1, dtype=np.float32
    )
    one, other, share, glyphs = _list_pairs(near.shape[1], shares)
    mixed = near[:, one] * share[:, None] + near[:, other] * (1 - share[:, None])
    grain = _GRAIN * share * (1 - share) * ((near[:, one] - near[:, other]) ** 2).sum(2)
    far = ((colours[:, None] - mixed) ** 2).sum(2) + grain
    best = far.argmin(1)
    every = np.arange(len(best))
    inks, papers = numbers[every, one[best]], numbers[every, other[best]]
    chosen = [
        (glyphs[at], int(ink), int(paper))
        for at, ink, paper in zip(best, inks, papers, strict=True)
    ]
    return chosen, far[every, best]


@cache
def _list_pairs(count: int, shares: _Shares) -> tuple[Any, Any, Any, str]:
    """All mixtures of two of `count` colours: both, how much of the first, and the glyphs."""
    import numpy as np

    pairs = [(one, one, 1.0, " ") for one in range(count)]
    for glyph, share in shares:
        pairs += [
            (one, other, share, glyph)
            for one in range(count)
            for other in range(count)
            if one != other and (share < 0.5 or one < other)
        ]
    ones, others, amounts, glyphs = zip(*pairs, strict=True)
    return np.array(ones), np.array(others), np.array(amounts, np.float32), "".join(glyphs)


@cache
def _load_mixtures(shares: _Shares) -> tuple[list[_Shade], Any, Any]:
    """Shades, the colour that each looks like, and its grain.

    `shares`: glyphs and how much of a cell each covers.
    """
    import numpy as np

    palette = np.array(_ANSI_16, np.float32)
    shades: list[_Shade] = [(" ", number, number) for number in range(16)]
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


def _join_shades(columns: int, shades: list[_Shade]) -> list[Row]:
    """Rows of segments from shades, row by row."""
    return _join_cells(
        columns,
        [glyph for glyph, _, _ in shades],
        [_get_color(number) for _, number, _ in shades],
        [_get_color(number) for _, _, number in shades],
    )


def _join_cells(columns: int, glyphs: list[str], ink: list[Color], paper: list[Color]) -> list[Row]:
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
