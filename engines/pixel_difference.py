"""How far two images are apart, pixel by pixel: in numbers, and as an image of the difference.

All of it is about 8 bits a channel: red, green and blue, and how opaque a pixel is where one of the
two images says so. Images of different sizes are not compared: scaling one would make differences.
"""

from __future__ import annotations

import functools
import math

import msgspec
from PIL import Image, ImageChops

LEVELS = 256
PEAK = LEVELS - 1


class PixelDifference(msgspec.Struct, frozen=True, kw_only=True):
    """The difference of two images of one size.

    `mean` and `maximum` are absolute differences of single channels, 0 to 255. `share` is that of
    the pixels which differ in any channel, 0 to 1. `psnr_db` is the peak signal-to-noise ratio in
    dB, None where every pixel is equal.
    """

    mean: float
    maximum: int
    share: float
    psnr_db: float | None

    @property
    def is_equal(self) -> bool:
        """Whether every pixel is the same."""
        return self.maximum == 0


def measure_difference(then: Image.Image, now: Image.Image) -> PixelDifference | None:
    """How far `now` is from `then`; None when their sizes differ."""
    if then.size != now.size:
        return None
    difference = _subtract(then, now)
    # One count for each level of each channel: exact, and small for any size.
    counts = difference.histogram()
    values = len(difference.getbands()) * then.width * then.height
    total, squares, maximum = 0, 0, 0
    for place, count in enumerate(counts):
        if count:
            level = place % LEVELS
            total += level * count
            squares += level * level * count
            maximum = max(maximum, level)
    differing = then.width * then.height - _take_largest(difference).histogram()[0]
    return PixelDifference(
        mean=total / values,
        maximum=maximum,
        share=differing / (then.width * then.height),
        psnr_db=round(10 * math.log10(PEAK**2 * values / squares), 2) if squares else None,
    )


def draw_difference(then: Image.Image, now: Image.Image) -> Image.Image:
    """The absolute difference of each channel as an RGB image: black is equal.

    Where only the opacity differs, the pixel is as grey as that differs. Both images have the same
    size, else `ValueError`.
    """
    if then.size != now.size:
        raise ValueError(f"the sizes differ: {then.size} and {now.size}")
    difference = _subtract(then, now)
    if difference.mode == "RGBA":
        grey = difference.getchannel("A")
        difference = ImageChops.lighter(
            difference.convert("RGB"), Image.merge("RGB", (grey, grey, grey))
        )
    return difference


def amplify(difference: Image.Image, times: int) -> Image.Image:
    """`difference` (RGB) that many times as bright; what would be brighter than white is white."""
    return difference.point([min(PEAK, level * times) for level in range(LEVELS)] * 3)


def shrink_to_largest(difference: Image.Image, side: int) -> Image.Image:
    """`difference` (RGB) in at most `side` pixels a side, each the largest of what it stands for.

    So a single pixel that differs is not lost among equal ones.
    """
    import numpy as np

    block = -(-max(difference.size) // side)
    if block == 1:
        return difference
    width, height = (-(-length // block) for length in difference.size)
    padded = Image.new("RGB", (width * block, height * block))
    padded.paste(difference)
    cells = np.asarray(padded).reshape(height, block, width, block, 3)
    return Image.fromarray(cells.max((1, 3)))


def _subtract(then: Image.Image, now: Image.Image) -> Image.Image:
    """The absolute difference of each channel; RGBA where one of the two is not opaque all over."""
    mode = "RGBA" if then.has_transparency_data or now.has_transparency_data else "RGB"
    return ImageChops.difference(then.convert(mode), now.convert(mode))


def _take_largest(difference: Image.Image) -> Image.Image:
    """The largest difference of all channels of each pixel, in one channel."""
    return functools.reduce(ImageChops.lighter, difference.split())
