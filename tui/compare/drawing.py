"""What the compare screen draws of two images: the wipe, and the difference.

Both are drawn from images of at most `SIDE` pixels a side, which is more than a terminal shows.
"""

from __future__ import annotations

import io

import msgspec
from PIL import Image, ImageDraw

from engines.pixel_difference import PEAK, amplify, draw_difference, shrink_to_largest
from tui.compare.pair import ImagePair, open_loaded

SIDE = 1024
AMPLIFICATIONS = (1, 2, 4, 8, 16, 32, 64)
_LINE = ((255, 255, 255), (0, 0, 0))
"""The divider: a light and a dark line, so that it is seen on any image."""


class PairPixels(msgspec.Struct, frozen=True):
    """Two images of one size, made small, and their difference (its largest values kept)."""

    one: Image.Image
    other: Image.Image
    difference: Image.Image


def read_pixels(pair: ImagePair) -> PairPixels | None:
    """The pixels of both; None where the sizes differ or a file cannot be read. For a thread."""
    one, other = open_loaded(pair.one), open_loaded(pair.other)
    if one is None or other is None or one.size != other.size:
        return None
    difference = shrink_to_largest(draw_difference(one, other), SIDE)
    return PairPixels(_shrink(one), _shrink(other), difference)


def _shrink(image: Image.Image) -> Image.Image:
    small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    return small


def choose_amplification(largest: int) -> int:
    """The largest amplification that shows a difference of `largest` without clipping it."""
    fitting = [times for times in AMPLIFICATIONS if largest * times <= PEAK]
    return fitting[-1] if fitting and largest else 1


def draw_wipe(pixels: PairPixels, share: float) -> bytes:
    """The first image left of `share` (0 to 1) of the width, the second one right of it: a PNG."""
    image = pixels.other.copy()
    width, height = image.size
    at = round(width * share)
    image.paste(pixels.one.crop((0, 0, at, height)), (0, 0))
    if 0 < at < width:
        thickness = max(1, width // 200)
        draw = ImageDraw.Draw(image)
        for place, colour in enumerate(_LINE):
            left = at + (place - 1) * thickness
            draw.rectangle((left, 0, left + thickness - 1, height), fill=colour)
    return _encode(image)


def draw_amplified(pixels: PairPixels, times: int) -> bytes:
    """The difference, `times` as bright: a PNG."""
    return _encode(amplify(pixels.difference, times))


def _encode(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
