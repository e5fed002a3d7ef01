"""Brushes of the data generator: colours, gradients and soft shapes.

Pictures are drawn at twice their size and reduced at the end, which smooths edges.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from PIL import Image, ImageDraw

Color = tuple[int, int, int]
SMOOTHING = 2
"""How many times larger than the picture it is drawn."""


def mix(a: Color, b: Color, share: float) -> Color:
    """The colour that lies ``share`` (0 to 1) of the way from ``a`` to ``b``."""
    return (
        round(a[0] + (b[0] - a[0]) * share),
        round(a[1] + (b[1] - a[1]) * share),
        round(a[2] + (b[2] - a[2]) * share),
    )


def light(color: Color, lamp: tuple[float, float, float]) -> Color:
    """The colour under a light: each channel multiplied and clipped to 0..255."""
    r, g, b = (min(255, max(0, round(c * k))) for c, k in zip(color, lamp, strict=True))
    return (r, g, b)


def jitter(rng: random.Random, color: Color, spread: int = 10) -> Color:
    """The colour moved by up to ``spread`` steps in brightness and a third of that in hue."""
    shift = rng.randint(-spread, spread)
    third = max(1, spread // 3)
    r, g, b = (min(255, max(0, c + shift + rng.randint(-third, third))) for c in color)
    return (r, g, b)


def gradient(size: tuple[int, int], stops: Sequence[Color]) -> Image.Image:
    """A vertical gradient through ``stops`` from top to bottom."""
    strip = Image.new("RGB", (1, len(stops)))
    strip.putdata(list(stops))
    # The outer half texel of a resize is flat; a box between texel centres has no flat ends.
    return strip.resize(size, Image.Resampling.BILINEAR, box=(0, 0.5, 1, len(stops) - 0.5))


@dataclass(slots=True)
class Canvas:
    """A picture being drawn. ``width`` and ``height`` are in units of final pixels."""

    width: int
    height: int
    rng: random.Random
    lamp: tuple[float, float, float] = (1.0, 1.0, 1.0)
    night: bool = False
    snowy: bool = False
    """Snow is falling, and lies where it can."""
    detail: int = 1
    """Pixels of the finished picture to a unit."""
    scale: int = field(init=False)
    """Pixels of the picture being drawn to a unit."""
    image: Image.Image = field(init=False)
    draw: ImageDraw.ImageDraw = field(init=False)

    def __post_init__(self) -> None:
        self.scale = SMOOTHING * self.detail
        self.image = Image.new("RGB", (self.width * self.scale, self.height * self.scale))
        self.draw = ImageDraw.Draw(self.image)

    def lit(self, color: Color) -> Color:
        """The colour as it looks under this picture's light."""
        return light(color, self.lamp)

    def covered(self, color: Color, share: float = 0.85) -> Color:
        """The colour of a surface that faces the sky: under snow where it falls."""
        if not self.snowy:
            return color
        # Snow shines even at night, or a town would vanish in it.
        snow = mix(self.lit((244, 248, 255)), (232, 238, 252), 0.45)
        return mix(color, snow, share)

    def polygon(self, points: Sequence[tuple[float, float]], color: Color) -> None:
        """A filled polygon; points in final pixels."""
        self.draw.polygon([(x * self.scale, y * self.scale) for x, y in points], fill=color)

    def rect(self, x0: float, y0: float, x1: float, y1: float, color: Color) -> None:
        """A filled rectangle; an empty one is skipped."""
        if x1 > x0 and y1 > y0:
            self.draw.rectangle(
                (x0 * self.scale, y0 * self.scale, x1 * self.scale - 1, y1 * self.scale - 1),
                fill=color,
            )

    def ellipse(self, x: float, y: float, rx: float, ry: float, color: Color) -> None:
        """A filled ellipse around (x, y)."""
        self.draw.ellipse(
            (
                (x - rx) * self.scale,
                (y - ry) * self.scale,
                (x + rx) * self.scale,
                (y + ry) * self.scale,
            ),
            fill=color,
        )

    def line(self, points: Sequence[tuple[float, float]], color: Color, width: float = 1) -> None:
        """A line through ``points``."""
        scaled = [(x * self.scale, y * self.scale) for x, y in points]
        self.draw.line(scaled, fill=color, width=max(1, round(width * self.scale)))

    def lay(self, patch: Image.Image, top: float) -> None:
        """Paste an opaque patch, its left upper corner at (0, top)."""
        self.image.paste(patch, (0, round(top * self.scale)))

    def finish(self) -> Image.Image:
        """The picture at its final size."""
        return self.image.reduce(SMOOTHING)
