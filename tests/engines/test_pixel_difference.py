"""How far two images are apart."""

from __future__ import annotations

import math
import random

import numpy as np
import pytest
from PIL import Image

from engines.pixel_difference import (
    PixelDifference,
    amplify,
    draw_difference,
    measure_difference,
    shrink_to_largest,
)

GREY = Image.new("RGB", (4, 4), (100, 100, 100))


def paint(seed: int, size: tuple[int, int] = (16, 8), bands: int = 3) -> Image.Image:
    data = random.Random(seed).randbytes(size[0] * size[1] * bands)
    return Image.frombytes("RGBA" if bands == 4 else "RGB", size, data)


def test_a_known_error() -> None:
    measured = measure_difference(GREY, Image.new("RGB", (4, 4), (110, 110, 110)))
    assert measured == PixelDifference(
        mean=10, maximum=10, share=1, psnr_db=round(20 * math.log10(255 / 10), 2)
    )
    assert not measured.is_equal


def test_equal_images_and_other_sizes() -> None:
    same = measure_difference(GREY, GREY.copy())
    assert same == PixelDifference(mean=0, maximum=0, share=0, psnr_db=None)
    assert same.is_equal
    assert measure_difference(GREY, Image.new("RGB", (8, 4))) is None
    with pytest.raises(ValueError, match="sizes differ"):
        draw_difference(GREY, Image.new("RGB", (8, 4)))


def test_one_pixel_of_many() -> None:
    other = GREY.copy()
    other.putpixel((3, 2), (100, 107, 98))
    measured = measure_difference(GREY, other)
    assert measured is not None
    assert (measured.mean, measured.maximum, measured.share) == (9 / 48, 7, 1 / 16)
    assert measured.psnr_db == round(10 * math.log10(255**2 * 48 / (49 + 4)), 2)
    drawn = draw_difference(GREY, other)
    assert drawn.getpixel((3, 2)) == (0, 7, 2)
    assert drawn.getbbox() == (3, 2, 4, 3)
    assert amplify(drawn, 8).getpixel((3, 2)) == (0, 56, 16)
    assert amplify(drawn, 64).getpixel((3, 2)) == (0, 255, 128)


def test_a_pixel_that_differs_is_seen_however_small_the_image_is_shown() -> None:
    large = Image.new("RGB", (1000, 301))
    large.putpixel((999, 300), (0, 9, 0))
    small = shrink_to_largest(large, 100)
    assert small.size == (100, 31)
    assert small.getpixel((99, 30)) == (0, 9, 0)
    assert small.getbbox() == (99, 30, 100, 31)
    assert shrink_to_largest(GREY, 100) is GREY


def test_numbers_agree_with_plain_arithmetic() -> None:
    one, other = paint(1), paint(2)
    measured = measure_difference(one, other)
    assert measured is not None
    apart = np.abs(np.asarray(one, np.int64) - np.asarray(other, np.int64))
    assert measured.mean == pytest.approx(apart.mean())
    assert measured.maximum == apart.max()
    assert measured.share == (apart.max(2) > 0).mean()
    assert measured.psnr_db == round(10 * math.log10(255**2 / (apart**2).mean()), 2)
    assert measure_difference(other, one) == measured


def test_opacity_counts_where_an_image_has_it() -> None:
    opaque = paint(3, bands=4)
    opaque.putalpha(255)
    clear = opaque.copy()
    clear.putpixel((0, 0), (*opaque.getpixel((0, 0))[:3], 215))  # type: ignore[index]
    measured = measure_difference(opaque, clear)
    assert measured is not None
    assert (measured.maximum, measured.share) == (40, 1 / 128)
    assert draw_difference(opaque, clear).getpixel((0, 0)) == (40, 40, 40)
    assert measure_difference(opaque, opaque.convert("RGB")) == measure_difference(opaque, opaque)
