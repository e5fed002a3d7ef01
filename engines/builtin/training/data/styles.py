"""Style presets as picture transforms, at the final size."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache

import numpy as np
from PIL import Image, ImageChops, ImageDraw, ImageEnhance, ImageFilter, ImageOps

STYLES: dict[str, tuple[str, ...]] = {
    "anime": ("anime style", "anime", "in anime style", "cel shaded anime", "manga anime style"),
    "pixel-art": ("pixel art", "pixel-art", "as pixel art", "8 bit pixel art"),
    "line-art": ("line art", "line-art", "black and white line drawing", "ink line art"),
    "neon-punk": ("neon punk", "neonpunk style", "neon-punk", "glowing neon"),
    "comic-book": ("comic book", "comic book style", "comic-book", "comic"),
    "low-poly": ("low poly", "low-poly", "low poly style", "polygonal low poly"),
    "analog-film": ("analog film", "analog film photo", "vintage film", "old faded analog film"),
    "photographic": ("photographic", "photograph", "soft photo", "photorealistic photograph"),
}


def _edges(image: Image.Image, gain: float) -> Image.Image:
    """Edge strength as a grey picture, 255 on the strongest edges."""
    data = np.asarray(image, np.int16)
    right = np.abs(np.diff(data, axis=1, append=data[:, -1:])).max(axis=2)
    down = np.abs(np.diff(data, axis=0, append=data[-1:])).max(axis=2)
    strength = np.clip((np.maximum(right, down) - 14) * gain, 0, 255)
    return Image.fromarray(strength.astype(np.uint8))


def _anime(image: Image.Image, rng: random.Random) -> Image.Image:
    flat = ImageEnhance.Color(image).enhance(1.7)
    flat = ImageEnhance.Contrast(flat).enhance(1.12)
    ink = Image.new("RGB", image.size, (38, 22, 54))
    # A median first, so that stars and flakes are no outlines of themselves.
    mask = _edges(flat.filter(ImageFilter.MedianFilter(3)), 4.0).point(
        lambda v: 200 if v > 120 else 0
    )
    return Image.composite(ink, flat, mask)


def _pixel_art(image: Image.Image, rng: random.Random) -> Image.Image:
    w, h = image.size
    small = ImageEnhance.Color(image).enhance(1.25).resize((w // 4, h // 4), Image.Resampling.BOX)
    few = small.quantize(20, dither=Image.Dither.NONE).convert("RGB")
    return few.resize((w, h), Image.Resampling.NEAREST)


def _line_art(image: Image.Image, rng: random.Random) -> Image.Image:
    lines = ImageOps.invert(_edges(image, 3.6).point(lambda v: 0 if v < 50 else v))
    return lines.convert("RGB")


def _neon(image: Image.Image, rng: random.Random) -> Image.Image:
    edge = _edges(image, 3.0)
    glow = ImageChops.lighter(
        edge, edge.filter(ImageFilter.GaussianBlur(2.2)).point(lambda v: min(255, v * 2))
    )
    w, h = image.size
    pair = ((255, 40, 200), (40, 220, 255))
    strip = Image.new("RGB", (2, 1))
    strip.putdata(list(pair))
    lamp = strip.resize((w, h), Image.Resampling.BILINEAR)
    base = ImageEnhance.Brightness(
        ImageOps.colorize(image.convert("L"), (10, 4, 30), (110, 40, 170))
    ).enhance(0.6)
    return ImageChops.screen(base, ImageChops.multiply(lamp, glow.convert("RGB")))


@lru_cache(maxsize=4)
def _dots(size: tuple[int, int]) -> Image.Image:
    """A half-tone screen: dark dots every 4 pixels."""
    y, x = np.mgrid[: size[1], : size[0]]
    ring = ((x + 2 * (y // 4 % 2)) % 4 - 1.5) ** 2 + (y % 4 - 1.5) ** 2
    return Image.fromarray(np.where(ring < 1.6, 70, 0).astype(np.uint8))


def _comic(image: Image.Image, rng: random.Random) -> Image.Image:
    flat = ImageOps.posterize(ImageEnhance.Color(image).enhance(1.8), 2)
    flat = ImageEnhance.Brightness(flat).enhance(1.3)
    dark = image.convert("L").point(lambda v: 255 if v < 130 else 0)
    screen = ImageChops.multiply(_dots(image.size), dark)
    flat = Image.composite(Image.new("RGB", image.size, (20, 20, 30)), flat, screen)
    ink = _edges(image, 5.0).filter(ImageFilter.MaxFilter(3)).point(lambda v: 255 if v > 150 else 0)
    return Image.composite(Image.new("RGB", image.size, (8, 8, 12)), flat, ink)


def _low_poly(image: Image.Image, rng: random.Random) -> Image.Image:
    w, h = image.size
    step = 10
    source = np.asarray(image.filter(ImageFilter.BoxBlur(2)))
    out = ImageEnhance.Color(image).enhance(1.2)
    draw = ImageDraw.Draw(out)
    cols, rows = w // step + 2, h // step + 2

    def knot(i: int, j: int) -> tuple[float, float]:
        border = i in (0, cols - 1) or j in (0, rows - 1)
        shake = 0.0 if border else step * 0.34
        return i * step + rng.uniform(-shake, shake), j * step + rng.uniform(-shake, shake)

    grid = [[knot(i, j) for i in range(cols)] for j in range(rows)]
    for j in range(rows - 1):
        for i in range(cols - 1):
            a, b, c, d = grid[j][i], grid[j][i + 1], grid[j + 1][i], grid[j + 1][i + 1]
            for tri, tone in (((a, b, c), 1.05), ((b, d, c), 0.95)):
                x = min(w - 1, max(0, int(sum(p[0] for p in tri) / 3)))
                y = min(h - 1, max(0, int(sum(p[1] for p in tri) / 3)))
                r, g, b_ = (min(255, int(v * tone)) for v in source[y, x])
                draw.polygon(tri, fill=(r, g, b_))
    return out


@lru_cache(maxsize=4)
def _vignette(size: tuple[int, int]) -> Image.Image:
    """A grey picture, white in the middle and darker to the corners."""
    y, x = np.mgrid[-1 : 1 : size[1] * 1j, -1 : 1 : size[0] * 1j]
    return Image.fromarray((255 * np.clip(1.08 - 0.3 * (x**2 + y**2), 0, 1)).astype(np.uint8))


def _film(image: Image.Image, rng: random.Random) -> Image.Image:
    faded = ImageEnhance.Color(image).enhance(0.55)
    data = np.asarray(faded, np.float32) / 255
    tone = data * np.array((0.84, 0.76, 0.62), np.float32) + np.array(
        (0.14, 0.10, 0.08), np.float32
    )
    warm = Image.fromarray((np.clip(tone, 0, 1) * 255).astype(np.uint8))
    dark = _vignette(image.size).point(lambda v: max(0, v - (255 - v)))
    return ImageChops.multiply(warm, Image.merge("RGB", (dark, dark, dark)))


def _photo(image: Image.Image, rng: random.Random) -> Image.Image:
    soft = ImageEnhance.Color(image).enhance(0.82).filter(ImageFilter.GaussianBlur(1.1))
    soft = ImageEnhance.Contrast(soft).enhance(1.08)
    edge = _vignette(image.size)
    return ImageChops.multiply(soft, Image.merge("RGB", (edge, edge, edge)))


_TRANSFORMS: dict[str, Callable[[Image.Image, random.Random], Image.Image]] = {
    "anime": _anime,
    "pixel-art": _pixel_art,
    "line-art": _line_art,
    "neon-punk": _neon,
    "comic-book": _comic,
    "low-poly": _low_poly,
    "analog-film": _film,
    "photographic": _photo,
}


def apply_style(image: Image.Image, style: str, rng: random.Random) -> Image.Image:
    """The RGB picture in one of ``STYLES``."""
    return _TRANSFORMS[style](image, rng)
