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

from rich.segment import Segment

from tui.terminal.detect import Colours
from tui.terminal.palette import (
    ASCII_SHADES,
    BLOCK_SHADES,
    Row,
    find_nearest,
    join_cells,
    join_shades,
    load_mixtures,
    load_palette,
    map_colours,
    measure_mixtures,
)

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

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
    if colours == "16":
        return _draw_sixteen(columns, cells, inside / area, outside / rest)
    best = ((inside**2).sum(1) / area + (outside**2).sum(1) / rest).argmax(1)
    every = np.arange(len(best))
    ink = map_colours(inside[every, :, best] / area[best, None], colours)
    paper = map_colours(outside[every, :, best] / rest[best, None], colours)
    return join_cells(columns, [glyphs[index] for index in best], ink, paper)


def _draw_sixteen(columns: int, cells: Any, inks: Any, papers: Any) -> list[Row]:
    """Each cell as a block of two of the sixteen colours, or as a shade that mixes two.

    `cells` (count, 3, 64); `inks`, `papers` (count, 3, blocks): the colours that each block
    would like to have. Mixing gives a few hundred colours in the place of sixteen; colours
    far from each other are mixed only where it is worth the grain.
    """
    import numpy as np

    glyphs, masks = _load_blocks()
    palette, _ = load_palette("16")
    shades, mixed, grain = load_mixtures(BLOCK_SHADES)
    area = masks.sum(1)
    ink, ink_error = find_nearest(inks.transpose(0, 2, 1), palette)
    paper, paper_error = find_nearest(papers.transpose(0, 2, 1), palette)
    total = (cells**2).sum((1, 2))[:, None]
    spread = total - (inks**2).sum(1) * area - (papers**2).sum(1) * (_SAMPLES**2 - area)
    block_error = spread + ink_error * area + paper_error * (_SAMPLES**2 - area)
    mean = cells.mean(2)
    far = measure_mixtures(mean, mixed, grain)
    shade_error = far * _SAMPLES**2 + total - (mean**2).sum(1)[:, None] * _SAMPLES**2
    block, shade = block_error.argmin(1), shade_error.argmin(1)
    every = np.arange(len(cells))
    is_shade = shade_error[every, shade] <= block_error[every, block]
    chosen = [
        shades[shade[at]]
        if is_shade[at]
        else (glyphs[block[at]], int(ink[at, block[at]]), int(paper[at, block[at]]))
        for at in every
    ]
    return join_shades(columns, chosen)


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
    if colours == "16":
        shades, mixed, grain = load_mixtures(ASCII_SHADES)
        best = measure_mixtures(pixels, mixed, grain).argmin(1)
        return join_shades(columns, [shades[index] for index in best])
    paper = map_colours(pixels, colours)
    return join_cells(columns, [" "] * len(paper), paper, paper)


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
