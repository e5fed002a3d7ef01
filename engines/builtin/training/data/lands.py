"""Far land and ground: mountains, hills, water, fields, forests, towns."""

from __future__ import annotations

import math

from engines.builtin.training.data.paint import Canvas, Color, gradient, jitter, mix

FARS = ("mountains", "snowy mountains", "mount fuji", "hills", "city skyline", "forest edge")


def ridge(
    canvas: Canvas, base: float, low: float, high: float, step: float
) -> list[tuple[float, float]]:
    """Points of a jagged ridge from left to right; heights above ``base`` in final pixels."""
    points, x, up = [], -step * canvas.rng.random(), True
    while x < canvas.width + step:
        points.append(
            (x, base - canvas.rng.uniform(*((high * 0.75, high) if up else (low, low * 1.6))))
        )
        x, up = x + step * canvas.rng.uniform(0.7, 1.2), not up
    return points


def far(canvas: Canvas, kind: str, base: float, haze: Color) -> None:
    """Far land standing on the line ``base``, bluish with distance (``haze`` is the air)."""
    painter = {
        "mountains": _mountains,
        "snowy mountains": _snowy,
        "mount fuji": _fuji,
        "hills": _hills,
        "city skyline": _skyline,
        "forest edge": _forest_edge,
    }[kind]
    painter(canvas, base, haze)


def _mountains(canvas: Canvas, base: float, haze: Color, snow: bool = False) -> None:
    rng = canvas.rng
    for depth, (low, high, step) in enumerate(((16, 40, 30), (8, 26, 24))):
        rock = canvas.lit(jitter(rng, ((104, 112, 146), (78, 84, 112))[depth], 10))
        rock = mix(rock, haze, 0.28 - 0.2 * depth)
        points = ridge(canvas, base, low, high, step)
        canvas.polygon([(-40, base + 2), *points, (canvas.width + 40, base + 2)], rock)
        for (x0, y0), (x1, y1), (x2, y2) in zip(points, points[1:], points[2:], strict=False):
            if y1 > y0 or y1 > y2:
                continue
            canvas.polygon(((x1, y1), (x2, y2), (x1 + 2, base)), mix(rock, (20, 24, 40), 0.22))
            if snow:
                _cap(canvas, (x0, y0), (x1, y1), (x2, y2), 0.46)


def _cap(
    canvas: Canvas,
    left: tuple[float, float],
    peak: tuple[float, float],
    right: tuple[float, float],
    share: float,
) -> None:
    """Snow on a peak: bright on the left, blue in the shade, with a ragged lower edge."""
    (x0, y0), (x1, y1), (x2, y2) = left, peak, right
    la = (x1 + (x0 - x1) * share, y1 + (y0 - y1) * share)
    ra = (x1 + (x2 - x1) * share, y1 + (y2 - y1) * share)
    low = max(la[1], ra[1])
    teeth = [(x1 + (ra[0] - x1) * k, low + (2.5 if i % 2 else -2)) for i, k in enumerate((0.5, 0))]
    white, blue = canvas.lit((250, 252, 255)), canvas.lit((196, 210, 234))
    canvas.polygon(
        (peak, ra, teeth[0], (x1, low + 3), (x1 + (la[0] - x1) * 0.5, low - 2), la), white
    )
    canvas.polygon((peak, ra, teeth[0], (x1, low + 3)), blue)


def _snowy(canvas: Canvas, base: float, haze: Color) -> None:
    _mountains(canvas, base, haze, snow=True)


def _fuji(canvas: Canvas, base: float, haze: Color) -> None:
    rng = canvas.rng
    x, high = canvas.width * rng.uniform(0.3, 0.7), rng.uniform(36, 48)
    half, crater = high * rng.uniform(1.25, 1.5), rng.uniform(4, 6)
    rock = mix(canvas.lit(jitter(rng, (86, 98, 142), 8)), haze, 0.16)

    def side(sign: int) -> list[tuple[float, float]]:
        # The flank of a volcano is concave: steep at the crater, flat at the foot.
        return [
            (x + sign * (crater + (half - crater) * k), base - high * (1 - k) ** 1.5)
            for k in (0, 0.12, 0.26, 0.42, 0.62, 0.82, 1)
        ]

    left, right = side(-1), side(1)
    canvas.polygon([*reversed(left), *right], rock)
    white = canvas.lit((250, 252, 255))
    edge = [
        (left[3][0] + (right[3][0] - left[3][0]) * k, left[3][1] + (5 if i % 2 else -2))
        for i, k in enumerate((0.2, 0.4, 0.6, 0.8))
    ]
    canvas.polygon([*left[3::-1], *right[:4], *reversed(edge)], white)


def _hills(canvas: Canvas, base: float, haze: Color) -> None:
    rng = canvas.rng
    for depth in range(2):
        green = mix(
            canvas.covered(canvas.lit(jitter(rng, ((112, 160, 96), (86, 140, 74))[depth], 8))),
            haze,
            0.22 - 0.16 * depth,
        )
        for _ in range(3):
            r = rng.uniform(30, 52)
            x = rng.uniform(0, canvas.width)
            canvas.ellipse(x, base + 4, r * 1.3, rng.uniform(12, 24) - depth * 5, green)


def _skyline(canvas: Canvas, base: float, haze: Color) -> None:
    rng, x = canvas.rng, -2.0
    while x < canvas.width:
        wide, high = rng.uniform(8, 15), rng.uniform(16, 44)
        wall = mix(
            canvas.lit(
                jitter(rng, rng.choice(((96, 108, 130), (120, 116, 126), (84, 100, 112))), 10)
            ),
            haze,
            0.2,
        )
        canvas.rect(x, base - high, x + wide, base + 1, wall)
        if rng.random() < 0.2:
            canvas.rect(x + wide / 2 - 0.5, base - high - 7, x + wide / 2 + 0.5, base - high, wall)
        _panes(canvas, x + 1.5, base - high + 2, x + wide - 1, base - 2, wall)
        x += wide + rng.uniform(-1, 1.5)


def _panes(canvas: Canvas, x0: float, y0: float, x1: float, y1: float, wall: Color) -> None:
    """A grid of windows: lit by chance at night, bluish glass by day."""
    rng = canvas.rng
    y = y0
    while y < y1 - 1.5:
        x = x0
        while x < x1 - 1:
            if canvas.night:
                color: Color = (255, 218, 120) if rng.random() < 0.5 else mix(wall, (0, 0, 0), 0.3)
            else:
                color = mix(wall, (214, 232, 246), 0.5)
            canvas.rect(x, y, x + 1.5, y + 2, color)
            x += 3
        y += 4


def pine(canvas: Canvas, x: float, foot: float, high: float, green: Color) -> None:
    """A fir of three triangles on a short trunk."""
    canvas.rect(
        x - high * 0.05, foot - high * 0.16, x + high * 0.05, foot, canvas.lit((84, 58, 40))
    )
    dark = mix(green, (0, 20, 10), 0.3)
    green = canvas.covered(green, 0.6)
    for k in range(3):
        top, half = foot - high * (1 - 0.26 * k), high * (0.18 + 0.07 * k)
        low = top + high * 0.38
        canvas.polygon(((x, top), (x - half, low), (x + half, low)), green)
        canvas.polygon(((x, top), (x + half, low), (x, low)), dark)


def _forest_edge(canvas: Canvas, base: float, haze: Color) -> None:
    rng, x = canvas.rng, 0.0
    while x < canvas.width + 4:
        green = mix(canvas.lit(jitter(rng, (44, 96, 62), 10)), haze, 0.12)
        pine(canvas, x, base + 2, rng.uniform(16, 28), green)
        x += rng.uniform(4, 7)


def flat(canvas: Canvas, top: float, far_color: Color, near_color: Color) -> None:
    """Land from ``top`` to the lower edge, a gradient from far to near."""
    far_color, near_color = canvas.covered(far_color), canvas.covered(near_color)
    water(canvas, top, far_color, near_color)


def water(canvas: Canvas, top: float, far_color: Color, near_color: Color) -> None:
    """The same where snow does not lie."""
    size = (canvas.width * canvas.scale, math.ceil((canvas.height - top) * canvas.scale) + 1)
    canvas.lay(gradient(size, (far_color, near_color)), top)


def sea(canvas: Canvas, top: float, sky_low: Color, lake: bool = False) -> None:
    """Open water with light strokes; a lake is calmer and greener, with a near shore."""
    rng = canvas.rng
    deep = canvas.lit(jitter(rng, (58, 142, 160) if lake else (24, 98, 176), 10))
    water(canvas, top, mix(deep, sky_low, 0.42 if lake else 0.3), mix(deep, (4, 20, 50), 0.22))
    glint = mix(deep, (255, 255, 255) if not canvas.night else (170, 190, 240), 0.4)
    for _ in range(round((canvas.height - top) * (0.3 if lake else 0.62))):
        y = top + 2 + (canvas.height - top - 3) * rng.random() ** 1.3
        long = 3 + (y - top) * rng.uniform(0.1, 0.24)
        x = rng.uniform(-4, canvas.width)
        canvas.line(((x, y), (x + long, y)), glint, 0.7)
    if lake:
        shore = canvas.covered(canvas.lit(jitter(rng, (92, 134, 70), 8)))
        canvas.ellipse(
            canvas.width * rng.uniform(0.2, 0.8), canvas.height + 8, canvas.width * 0.9, 18, shore
        )


def beach(canvas: Canvas, top: float, sky_low: Color) -> None:
    """A strip of sea, surf, then sand."""
    rng = canvas.rng
    sea(canvas, top, sky_low)
    edge = top + (canvas.height - top) * rng.uniform(0.3, 0.42)
    sand = canvas.lit(jitter(rng, (236, 208, 150), 8))
    flat(canvas, edge, mix(sand, (120, 90, 60), 0.15), sand)
    canvas.rect(0, edge - 1, canvas.width, edge + 1.2, canvas.lit((248, 252, 255)))


def meadow(canvas: Canvas, top: float, flowers: bool) -> None:
    """Grass with blades; with flowers as dots of one or two colours."""
    rng = canvas.rng
    green = canvas.lit(jitter(rng, (104, 176, 72), 12))
    flat(canvas, top, mix(green, (230, 240, 170), 0.18), mix(green, (10, 60, 20), 0.3))
    dark = mix(green, (0, 60, 10), 0.35)
    for _ in range(34):
        x, y = rng.uniform(0, canvas.width), rng.uniform(top + 4, canvas.height)
        canvas.line(((x, y), (x + rng.uniform(-1.5, 1.5), y - 3.5)), dark, 0.7)
    if flowers:
        palette = rng.sample(
            ((240, 80, 90), (250, 210, 70), (250, 250, 250), (200, 110, 220), (250, 140, 180)), 2
        )
        for _ in range(56):
            y = top + 3 + (canvas.height - top - 4) * rng.random()
            r = 0.9 + 1.5 * (y - top) / (canvas.height - top)
            canvas.ellipse(rng.uniform(0, canvas.width), y, r, r, canvas.lit(rng.choice(palette)))


def desert(canvas: Canvas, top: float) -> None:
    """Dunes: crossing waves of sand, the lee side in shade."""
    rng = canvas.rng
    sand = canvas.lit(jitter(rng, (226, 178, 104), 10))
    flat(canvas, top, mix(sand, (250, 226, 180), 0.25), sand)
    for k in range(3):
        y = top + (canvas.height - top) * (0.1 + 0.3 * k)
        x, half = rng.uniform(0, canvas.width), rng.uniform(50, 80)
        crest = (x, y - rng.uniform(5, 10))
        tone = mix(sand, (255, 232, 180), 0.16 - 0.08 * k)
        canvas.polygon(((x - half, y + 12), crest, (x + half, y + 14)), tone)
        canvas.polygon(
            (crest, (x + half, y + 14), (x + half * 0.15, y + 14)), mix(tone, (110, 64, 30), 0.3)
        )


def snowfield(canvas: Canvas, top: float) -> None:
    """Snow on the ground in soft mounds."""
    rng = canvas.rng
    white = canvas.lit(jitter(rng, (240, 245, 252), 5))
    flat(canvas, top, mix(white, (180, 200, 228), 0.3), white)
    for _ in range(3):
        x, y = rng.uniform(0, canvas.width), rng.uniform(top + 10, canvas.height)
        canvas.ellipse(
            x, y + 14, rng.uniform(34, 60), 14, mix(white, canvas.lit((255, 255, 255)), 0.6)
        )


def forest(canvas: Canvas, top: float) -> None:
    """Rows of firs, each nearer row larger."""
    rng = canvas.rng
    green = canvas.lit((40, 92, 56))
    flat(canvas, top, mix(green, (0, 0, 0), 0.1), mix(green, (0, 16, 6), 0.4))
    for row in range(3):
        foot = top + (canvas.height - top) * (0.26 + 0.33 * row)
        x = rng.uniform(-6, 0)
        while x < canvas.width + 6:
            shade = canvas.lit(jitter(rng, ((66, 122, 82), (50, 108, 66), (38, 92, 52))[row], 9))
            pine(canvas, x, foot + rng.uniform(-2, 2), rng.uniform(26, 34) + 6 * row, shade)
            x += rng.uniform(9, 13) + 3 * row
