"""Pictures as cells: proportions, colours, and how close they come."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image
from rich.color import ColorType

from tui.terminal.cells import Row, draw_cells, fit_cells

SHADES = {"░": 0.25, "▒": 0.5, "+": 0.15, "#": 0.3}
"""How much of a cell each covers."""


def make_image(width: int = 64, height: int = 64) -> Image.Image:
    """A dark green hill below a blue sky with a bright disc."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    pixels = np.zeros((height, width, 3), np.float32)
    pixels[..., 2] = 90 + 120 * y / height
    pixels[y > height * (0.6 + 0.1 * np.sin(x / 9))] = (20, 60, 24)
    pixels[(x - width / 3) ** 2 + (y - height / 4) ** 2 < (height / 8) ** 2] = (250, 240, 200)
    return Image.fromarray(pixels.astype(np.uint8))


def replay(rows: Sequence[Row], columns: int) -> np.ndarray:
    """The pixels that a terminal shows, 8 x 8 a cell."""
    canvas = np.zeros((len(rows) * 8, columns * 8, 3), np.uint8)
    for top, row in enumerate(rows):
        left = 0
        for segment in row:
            style = segment.style
            assert style is not None
            assert style.bgcolor is not None
            paper = style.bgcolor.get_truecolor()
            ink = style.color.get_truecolor() if style.color else paper
            for glyph in segment.text:
                if glyph in SHADES:
                    # From where one sits it is one colour.
                    part = SHADES[glyph]
                    cell = np.round(part * np.array(ink) + (1 - part) * np.array(paper))
                else:
                    mask = get_mask(glyph)[..., None]
                    cell = np.where(mask, np.array(ink), np.array(paper))
                canvas[top * 8 : top * 8 + 8, left * 8 : left * 8 + 8] = cell
                left += 1
        assert left == columns
    return canvas


def get_mask(glyph: str) -> np.ndarray:
    mask = np.zeros((8, 8), bool)
    code = ord(glyph)
    if 0x2581 <= code <= 0x2587:
        mask[8 - (code - 0x2580) :] = True
    elif 0x2589 <= code <= 0x258F:
        mask[:, : 0x2590 - code] = True
    else:
        quarters = {" ": "", "▘": "0", "▝": "1", "▖": "2", "▗": "3", "▚": "03"}[glyph]
        for quarter in map(int, quarters):
            down, right = 4 * (quarter // 2), 4 * (quarter % 2)
            mask[down : down + 4, right : right + 4] = True
    return mask


def measure(image: Image.Image, shown: np.ndarray) -> float:
    """Likeness in dB to the image at the size in which it is shown."""
    size = (shown.shape[1], shown.shape[0])
    wanted = np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float64)
    return float(10 * np.log10(255**2 / ((wanted - shown) ** 2).mean()))


@pytest.mark.parametrize(
    ("image", "region", "cells"),
    [
        ((128, 128), (50, 30), (50, 25)),
        ((128, 128), (100, 20), (40, 20)),
        ((256, 128), (40, 40), (40, 10)),
        ((128, 512), (40, 16), (8, 16)),
        ((4096, 64), (40, 10), (40, 1)),
        ((64, 4096), (10, 3), (1, 3)),
    ],
)
def test_the_proportions_are_kept_within_the_region(
    image: tuple[int, int], region: tuple[int, int], cells: tuple[int, int]
) -> None:
    assert fit_cells(*image, *region) == cells


def test_cells_come_closer_than_half_blocks() -> None:
    image = make_image()
    ours = measure(image, replay(draw_cells(image, 40, 20), 40))
    halves = image.resize((40, 40), Image.Resampling.LANCZOS).resize((320, 320), 0)
    theirs = measure(image, np.asarray(halves.resize((320, 160), Image.Resampling.BOX)))
    assert ours > theirs + 1.5
    assert ours > 24


def test_few_colours_are_chosen_nearest_to_the_picture() -> None:
    image = make_image()
    rows = draw_cells(image, 40, 20, "256")
    styles = [segment.style for row in rows for segment in row if segment.style]
    colours = [colour for style in styles for colour in (style.color, style.bgcolor) if colour]
    assert {colour.type for colour in colours} == {ColorType.EIGHT_BIT}
    assert all(colour.number is not None and colour.number >= 16 for colour in colours)
    assert measure(image, replay(rows, 40)) > 23


def test_the_colours_of_a_sky_are_mixed_where_the_palette_lacks_them() -> None:
    image = Image.linear_gradient("L").resize((64, 64))
    sky = Image.merge("RGB", [image.point(lambda n, k=k: 60 + n // k) for k in (4, 3, 2)])
    palette = Image.new("P", (1, 1))
    steps = (0, 95, 135, 175, 215, 255)
    cube = [
        level for red in steps for green in steps for blue in steps for level in (red, green, blue)
    ]
    palette.putpalette(cube + [level for n in range(24) for level in (8 + 10 * n,) * 3])
    nearest = sky.resize((320, 160)).quantize(palette=palette, dither=Image.Dither.NONE)
    mixed = measure(sky, replay(draw_cells(sky, 40, 20, "256"), 40))
    assert mixed > measure(sky, np.asarray(nearest.convert("RGB"))) + 3


def test_sixteen_colours_are_the_terminals_own() -> None:
    rows = draw_cells(make_image(), 40, 20, "16")
    colours = [
        colour
        for row in rows
        for segment in row
        if segment.style
        for colour in (segment.style.color, segment.style.bgcolor)
        if colour
    ]
    assert {colour.type for colour in colours} == {ColorType.STANDARD}
    assert len({colour.number for colour in colours}) > 3


@pytest.mark.parametrize("has_blocks", [True, False])
def test_without_colours_light_and_dark_are_told_apart_by_signs(has_blocks: bool) -> None:
    rows = draw_cells(make_image(), 40, 20, "none", has_blocks=has_blocks)
    text = ["".join(segment.text for segment in row) for row in rows]
    assert all(segment.style is None for row in rows for segment in row)
    assert {len(line) for line in text} == {40}
    signs = " ▘▝▖▗▀▌▞▚▐▄▛▜▙▟█" if has_blocks else " .:-=+*#%@"
    disc = signs.index(text[5][13])
    hill = [signs.index(sign) for sign in text[-1]]
    assert disc > 3 + sum(hill) / len(hill)
    assert has_blocks or all(line.isascii() for line in text)


def test_without_block_elements_only_ascii_is_used() -> None:
    rows = draw_cells(make_image(), 40, 20, "truecolor", has_blocks=False)
    assert {segment.text.strip() for row in rows for segment in row} == {""}
    assert measure(make_image(), replay(rows, 40)) > 18


def test_sixteen_colours_without_block_elements_are_mixed_by_ascii_signs() -> None:
    rows = draw_cells(make_image(), 40, 20, "16", has_blocks=False)
    text = "".join(segment.text for row in rows for segment in row)
    assert text.isascii()
    assert set(text) > {" "}


def test_a_flat_picture_takes_one_segment_a_row() -> None:
    rows = draw_cells(Image.new("RGB", (8, 8), (10, 20, 30)), 40, 20)
    assert [len(row) for row in rows] == [1] * 20


@pytest.mark.parametrize("mode", ["RGBA", "LA", "L", "P", "1", "I;16"])
def test_every_mode_of_image_can_be_shown(mode: str) -> None:
    image = make_image(16, 16).convert("L")
    converted = (
        image.convert("I").convert("I;16") if mode == "I;16" else make_image(16, 16).convert(mode)
    )
    buffer = io.BytesIO()
    converted.save(buffer, "PNG")
    assert len(draw_cells(Image.open(buffer), 8, 4)) == 4
