"""Skies by hour and weather: gradient, stars, moon, sun, clouds, rain, snow."""

from __future__ import annotations

import math

from engines.builtin.training.data.paint import Canvas, Color, gradient, jitter, mix

CLOUDINESS: dict[str, float] = {
    "day": 0.68, "night": 0.74, "sunset": 0.8, "dawn": 0.78, "storm": 0.9,
}  # fmt: skip
"""How often there are clouds at that hour."""

HOURS: dict[str, float] = {"day": 0.34, "night": 0.30, "sunset": 0.18, "dawn": 0.09, "storm": 0.09}

_SKIES: dict[str, tuple[tuple[Color, ...], ...]] = {
    "day": (
        ((52, 118, 214), (104, 168, 238), (178, 216, 250)),
        ((30, 110, 220), (90, 170, 245), (200, 232, 252)),
        ((70, 150, 220), (130, 195, 240), (206, 236, 248)),
    ),
    "night": (
        ((4, 6, 28), (14, 20, 62), (34, 44, 100)),
        ((10, 6, 36), (30, 18, 72), (64, 42, 108)),
        ((2, 10, 26), (8, 30, 60), (22, 62, 96)),
    ),
    "sunset": (
        ((62, 42, 112), (196, 76, 104), (250, 150, 76), (255, 206, 120)),
        ((96, 40, 96), (226, 92, 66), (255, 176, 80), (255, 214, 130)),
        ((40, 36, 90), (140, 60, 110), (236, 110, 80), (255, 170, 90)),
    ),
    "dawn": (
        ((112, 142, 204), (196, 178, 216), (250, 206, 200), (255, 232, 206)),
        ((130, 150, 210), (236, 190, 208), (255, 220, 190), (255, 240, 214)),
    ),
    "storm": (
        ((42, 48, 58), (74, 82, 94), (112, 120, 128)),
        ((52, 54, 62), (84, 88, 92), (124, 126, 124)),
    ),
}

LAMPS: dict[str, tuple[float, float, float]] = {
    "day": (1.0, 1.0, 1.0),
    "night": (0.46, 0.48, 0.68),
    "sunset": (0.88, 0.66, 0.60),
    "dawn": (0.96, 0.88, 0.90),
    "storm": (0.58, 0.61, 0.66),
}

_CLOUDS: dict[str, tuple[Color, Color]] = {
    "day": ((255, 255, 255), (206, 222, 240)),
    "night": ((128, 138, 178), (84, 92, 138)),
    "sunset": ((255, 190, 168), (222, 122, 122)),
    "dawn": ((255, 244, 244), (238, 200, 212)),
    "storm": ((98, 104, 114), (64, 70, 80)),
}


def sky(canvas: Canvas, hour: str, horizon: float) -> tuple[Color, ...]:
    """Paint the sky down to ``horizon`` (final pixels) and give its colours from the top."""
    stops = tuple(jitter(canvas.rng, c, 8) for c in canvas.rng.choice(_SKIES[hour]))
    if canvas.snowy:
        stops = tuple(mix(c, canvas.lit((206, 216, 228)), 0.45) for c in stops)
    canvas.lay(
        gradient((canvas.width * canvas.scale, math.ceil(horizon * canvas.scale) + 2), stops), 0
    )
    return stops


def stars(canvas: Canvas, horizon: float, count: int) -> None:
    """Scatter ``count`` stars over the sky, a few of them big enough to be seen as crosses."""
    rng = canvas.rng
    for _ in range(count):
        x, y = rng.uniform(1, canvas.width - 1), rng.uniform(1, horizon * 0.92)
        glow = rng.randint(200, 255)
        color = (glow, glow, rng.choice((glow, 255, 210)))
        if rng.random() < 0.22:
            arm = rng.uniform(1.6, 2.6)
            canvas.line(((x - arm, y), (x + arm, y)), color, 0.6)
            canvas.line(((x, y - arm), (x, y + arm)), color, 0.6)
            canvas.ellipse(x, y, 0.9, 0.9, (255, 255, 255))
        else:
            radius = rng.uniform(0.6, 1.1)
            canvas.ellipse(x, y, radius, radius, color)


def moon(canvas: Canvas, horizon: float, sky_color: Color, crescent: bool) -> None:
    """A full moon with seas and a soft ring, or a crescent."""
    rng = canvas.rng
    radius = rng.uniform(8, 13)
    x = rng.uniform(radius + 4, canvas.width - radius - 4)
    y = rng.uniform(radius + 4, max(radius + 6, horizon * 0.5))
    face: Color = rng.choice(((250, 246, 224), (255, 240, 190), (236, 240, 250)))
    canvas.ellipse(x, y, radius + 4, radius + 4, mix(sky_color, face, 0.14))
    canvas.ellipse(x, y, radius, radius, face)
    if crescent:
        canvas.ellipse(x + radius * 0.5, y - radius * 0.2, radius * 0.92, radius * 0.92, sky_color)
    else:
        shade = mix(face, (150, 150, 150), 0.32)
        for dx, dy, r in ((-0.35, -0.2, 0.24), (0.3, 0.3, 0.3), (0.2, -0.45, 0.15)):
            canvas.ellipse(x + dx * radius, y + dy * radius, r * radius, r * radius, shade)


def sun(canvas: Canvas, hour: str, horizon: float, sky_color: Color) -> None:
    """The sun: high and yellow by day, low and large towards evening and morning."""
    rng = canvas.rng
    low = hour != "day"
    radius = rng.uniform(11, 17) if low else rng.uniform(8, 12)
    x = rng.uniform(radius + 4, canvas.width - radius - 4)
    top = radius + 4
    y = rng.uniform(horizon * 0.62, horizon * 0.98) if low else rng.uniform(top, horizon * 0.45)
    face: Color = {"day": (255, 226, 84), "sunset": (255, 216, 110), "dawn": (255, 214, 150)}[hour]
    for step in (3, 2, 1):
        ring = radius + step * 2.6
        canvas.ellipse(x, y, ring, ring, mix(sky_color, face, 0.42 - 0.11 * step))
    canvas.ellipse(x, y, radius, radius, face)


def clouds(canvas: Canvas, hour: str, horizon: float, count: int) -> None:
    """Big heaps with a flat base, shaded below; colours follow the hour."""
    rng = canvas.rng
    bright, shade = (jitter(rng, c, 8) for c in _CLOUDS[hour])
    slots = list(range(count))
    rng.shuffle(slots)
    for slot in slots:
        wide = rng.uniform(30, 58)
        tall = wide * rng.uniform(0.24, 0.36)
        x = (slot + rng.uniform(0.15, 0.85)) * canvas.width / count
        y = rng.uniform(tall + 3, max(tall + 6, horizon * 0.72))
        puffs = [
            (x + wide * (k - 0.5) * 0.72, rng.uniform(0.6, 1.0)) for k in (0.0, 0.33, 0.66, 1.0)
        ]
        for color, drop, shrink in ((shade, 0.0, 1.0), (bright, -tall * 0.2, 0.9)):
            base = y + drop
            for px, size in puffs:
                r = tall * 0.62 * size * shrink
                canvas.ellipse(px, base - r * 0.8, r * 1.25, r, color)
            half = wide * 0.5 * shrink
            canvas.ellipse(x, base - tall * 0.16, half, tall * 0.3, color)


def rain(canvas: Canvas) -> None:
    """Slanting streaks over the whole picture."""
    rng = canvas.rng
    for _ in range(canvas.width * canvas.height // 170):
        x, y, long = rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), rng.uniform(5, 9)
        canvas.line(((x, y), (x - long * 0.35, y + long)), (186, 204, 226), 0.7)


def snow(canvas: Canvas) -> None:
    """Falling flakes over the whole picture."""
    rng = canvas.rng
    for _ in range(canvas.width * canvas.height // 200):
        r = rng.uniform(0.9, 1.9)
        canvas.ellipse(
            rng.uniform(0, canvas.width), rng.uniform(0, canvas.height), r, r, (250,) * 3
        )


def lightning(canvas: Canvas, horizon: float) -> None:
    """One bright bolt from the upper sky to the horizon."""
    rng = canvas.rng
    x, y = rng.uniform(20, canvas.width - 20), 0.0
    points = [(x, y)]
    while y < horizon:
        x, y = x + rng.uniform(-9, 9), y + rng.uniform(7, 13)
        points.append((x, min(y, horizon)))
    canvas.line(points, (255, 250, 170), 2.2)


def rainbow(canvas: Canvas, horizon: float) -> None:
    """Six bands in an arc that stands on the horizon."""
    rng = canvas.rng
    x, r = canvas.width * rng.uniform(0.35, 0.65), horizon * rng.uniform(0.75, 0.95)
    bands = ((228, 84, 84), (240, 150, 70), (244, 220, 90), (96, 190, 110), (84, 140, 220))
    for k, color in enumerate((*bands, (140, 96, 200))):
        rad = r - k * 2.2
        box = (
            (x - rad) * canvas.scale,
            (horizon - rad) * canvas.scale,
            (x + rad) * canvas.scale,
            (horizon + rad) * canvas.scale,
        )
        canvas.draw.arc(box, 180, 360, fill=color, width=round(2.4 * canvas.scale))
