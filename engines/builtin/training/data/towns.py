"""Built ground: a town, a Japanese town, a big city, a harbour."""

from __future__ import annotations

from engines.builtin.training.data.lands import flat, sea
from engines.builtin.training.data.paint import Canvas, Color, jitter, mix

_WARM: Color = (255, 214, 112)


def _window(canvas: Canvas, x: float, y: float, w: float, h: float, share: float = 0.75) -> None:
    """One window: glowing by chance at night, glass by day."""
    if canvas.night:
        lit = canvas.rng.random() < share
        canvas.rect(x, y, x + w, y + h, _WARM if lit else (30, 30, 48))
    else:
        canvas.rect(x, y, x + w, y + h, canvas.lit((176, 212, 236)))


def town(canvas: Canvas, top: float) -> None:
    """Rows of gabled houses in bright colours, sometimes with a church tower."""
    rng = canvas.rng
    flat(canvas, top, canvas.lit((112, 130, 92)), canvas.lit((96, 104, 84)))
    for row in range(2):
        foot = top + (canvas.height - top) * (0.34 + 0.54 * row)
        scale = 1.1 + 0.4 * row
        x = rng.uniform(-8, 0)
        spire = rng.randrange(5) if row == 0 and rng.random() < 0.5 else -1
        index = 0
        while x < canvas.width:
            wide, high = rng.uniform(15, 20) * scale, rng.uniform(9, 13) * scale
            wall = canvas.lit(
                jitter(
                    rng,
                    rng.choice(
                        ((236, 214, 180), (232, 186, 150), (214, 222, 226), (240, 226, 150))
                    ),
                    8,
                )
            )
            roof = canvas.covered(
                canvas.lit(
                    jitter(rng, rng.choice(((188, 78, 60), (160, 70, 60), (150, 92, 64))), 8)
                )
            )
            canvas.rect(x, foot - high, x + wide, foot, wall)
            peak = foot - high - 7 * scale
            canvas.polygon(
                ((x - 1, foot - high), (x + wide / 2, peak), (x + wide + 1, foot - high)), roof
            )
            size = 3.2 * scale
            for k in (0.2, 0.62):
                _window(canvas, x + wide * k, foot - high * 0.72, size, size)
            if index == spire:
                cx = x + wide / 2
                canvas.rect(cx - 3, peak - 12, cx + 3, foot - high, wall)
                canvas.polygon(((cx - 4, peak - 12), (cx, peak - 25), (cx + 4, peak - 12)), roof)
                _window(canvas, cx - 1, peak - 9, 2, 4)
            x += wide + rng.uniform(0, 2)
            index += 1


def _eaves(canvas: Canvas, x: float, y: float, half: float, high: float, color: Color) -> None:
    """A Japanese roof: curved, its corners turned up."""
    color = canvas.covered(color)
    canvas.polygon(
        (
            (x - half - 3, y - high * 0.5),
            (x - half * 0.72, y - high * 0.42),
            (x - half * 0.5, y - high),
            (x + half * 0.5, y - high),
            (x + half * 0.72, y - high * 0.42),
            (x + half + 3, y - high * 0.5),
            (x + half, y),
            (x - half, y),
        ),
        color,
    )
    canvas.rect(x - half, y - 0.8, x + half, y + 0.4, mix(color, (0, 0, 0), 0.35))


def _machiya(canvas: Canvas, x: float, foot: float, wide: float, high: float) -> None:
    """A Japanese house: cream panels in a dark frame under a grey-blue tiled roof."""
    rng = canvas.rng
    wall = canvas.lit(
        jitter(rng, rng.choice(((230, 214, 184), (206, 176, 138), (190, 150, 112))), 6)
    )
    beam = canvas.lit((92, 60, 42))
    roof = canvas.lit(jitter(rng, rng.choice(((74, 86, 116), (62, 78, 96), (86, 80, 100))), 8))
    if canvas.night:
        roof = mix(roof, (96, 110, 170), 0.4)
    canvas.rect(x - wide / 2, foot - high, x + wide / 2, foot, wall)
    panes = 3
    for k in range(panes):
        px = x - wide / 2 + wide * (k + 0.18) / panes
        _window(canvas, px, foot - high * 0.78, wide * 0.64 / panes, high * 0.56, 0.7)
        canvas.rect(px - 1.2, foot - high, px - 0.2, foot, beam)
    canvas.rect(x - wide / 2, foot - 1, x + wide / 2, foot, beam)
    _eaves(canvas, x, foot - high, wide / 2 + 1.5, high * 0.8, roof)


def _pagoda(canvas: Canvas, x: float, foot: float, tiers: int) -> None:
    """A tower of shrinking tiers with a spire."""
    red, roof = canvas.lit((206, 66, 50)), canvas.lit((70, 82, 110))
    y, half = foot, 14.0
    for _ in range(tiers):
        canvas.rect(x - half * 0.6, y - 10, x + half * 0.6, y, red)
        _window(canvas, x - half * 0.36, y - 6.5, half * 0.28, 5, 0.95)
        _window(canvas, x + half * 0.08, y - 6.5, half * 0.28, 5, 0.95)
        _eaves(canvas, x, y - 8, half, 7, roof)
        y -= 13
        half *= 0.86
    canvas.rect(x - 0.7, y - 9, x + 0.7, y + 1, canvas.lit((226, 184, 84)))


def torii(canvas: Canvas, x: float, foot: float, size: float) -> None:
    """A vermilion gate, ``size`` final pixels high."""
    red = canvas.lit((224, 66, 44))
    half = size * 0.46
    for sign in (-1, 1):
        canvas.rect(
            x + sign * half * 0.72 - size * 0.05,
            foot - size * 0.9,
            x + sign * half * 0.72 + size * 0.05,
            foot,
            red,
        )
    canvas.rect(x - half, foot - size * 0.72, x + half, foot - size * 0.63, red)
    top = foot - size
    canvas.polygon(
        (
            (x - half * 1.25, top - 1),
            (x + half * 1.25, top - 1),
            (x + half * 1.1, top + size * 0.12),
            (x - half * 1.1, top + size * 0.12),
        ),
        red,
    )


def japanese_town(canvas: Canvas, top: float) -> None:
    """Rows of tiled houses, usually with a pagoda, a torii, lanterns or cherry trees."""
    rng = canvas.rng
    flat(canvas, top, canvas.lit((96, 104, 100)), canvas.lit((104, 98, 92)))
    tower = rng.uniform(0.14, 0.86) * canvas.width if rng.random() < 0.65 else None
    for row in range(2):
        foot = top + (canvas.height - top) * (0.36 + 0.52 * row)
        scale = 1.12 + 0.4 * row
        if row == 1 and tower is not None:
            _pagoda(canvas, tower, foot - (canvas.height - top) * 0.36, rng.choice((3, 4)))
        x = rng.uniform(-6, 10)
        while x < canvas.width + 12:
            wide = rng.uniform(22, 28) * scale
            if rng.random() < 0.12:
                _cherry(canvas, x, foot, 14 * scale)
                x += 15 * scale
                continue
            _machiya(canvas, x, foot, wide, rng.uniform(8.5, 10) * scale)
            if rng.random() < 0.4:
                lamp_x = x - wide / 2 - 1.5
                glow = (255, 90, 60) if canvas.night else canvas.lit((216, 60, 48))
                canvas.ellipse(lamp_x, foot - 6 * scale, 2.1, 2.7, glow)
            x += wide + rng.uniform(4, 7)
    if rng.random() < 0.2:
        torii(canvas, rng.uniform(20, canvas.width - 20), canvas.height - 1, rng.uniform(26, 32))


def _cherry(canvas: Canvas, x: float, foot: float, size: float) -> None:
    """A cherry tree in blossom."""
    rng = canvas.rng
    canvas.rect(x - 1, foot - size * 0.6, x + 1, foot, canvas.lit((96, 66, 54)))
    pink = canvas.covered(canvas.lit((246, 170, 196)), 0.6)
    for dx, dy in ((-0.35, 0.75), (0.35, 0.8), (0, 1.05), (0, 0.7)):
        canvas.ellipse(
            x + dx * size, foot - dy * size, size * 0.38, size * 0.34, jitter(rng, pink, 10)
        )


def city(canvas: Canvas, top: float) -> None:
    """Near tower blocks along a street with a dashed line."""
    rng = canvas.rng
    street = top + (canvas.height - top) * 0.68
    canvas.rect(0, top, canvas.width, street, canvas.lit((92, 96, 110)))
    x = rng.uniform(-8, 0)
    while x < canvas.width:
        wide, high = rng.uniform(15, 24), rng.uniform(30, 74)
        wall = canvas.lit(
            jitter(
                rng,
                rng.choice(((128, 136, 156), (166, 150, 140), (98, 116, 136), (150, 110, 96))),
                8,
            )
        )
        canvas.rect(x, street - high, x + wide, street, wall)
        canvas.rect(x, street - high, x + wide, street - high + 2.5, canvas.covered(wall))
        y = street - high + 3
        while y < street - 5:
            wx = x + 2.4
            while wx < x + wide - 3:
                _window(canvas, wx, y, 2.4, 3.2, 0.6)
                wx += 4.6
            y += 6
        x += wide + rng.uniform(0, 1.5)
    canvas.rect(0, street, canvas.width, street + 4, canvas.lit((150, 150, 152)))
    flat(canvas, street + 4, canvas.lit((74, 76, 84)), canvas.lit((58, 60, 68)))
    x = rng.uniform(-8, 0)
    middle = (street + 4 + canvas.height) / 2
    while x < canvas.width:
        canvas.rect(x, middle - 0.8, x + 9, middle + 0.8, canvas.lit((236, 220, 140)))
        x += 16


def harbour(canvas: Canvas, top: float, sky_low: Color) -> None:
    """Water with moored boats, a wooden pier and a lighthouse at its end."""
    rng = canvas.rng
    sea(canvas, top, sky_low)
    side = rng.choice((-1, 1))
    lighthouse(canvas, canvas.width * (0.5 + side * rng.uniform(0.3, 0.4)), top + 10)
    for k in range(rng.randint(2, 3)):
        x, y = canvas.width * (0.2 + 0.28 * k) + rng.uniform(-6, 6), top + rng.uniform(14, 26)
        hull = canvas.lit(
            rng.choice(((190, 60, 50), (240, 240, 240), (40, 80, 140), (226, 170, 60)))
        )
        canvas.polygon(((x - 10, y - 4), (x + 10, y - 4), (x + 7, y + 1.5), (x - 7, y + 1.5)), hull)
        canvas.rect(x - 0.5, y - 22, x + 0.5, y - 4, canvas.lit((110, 84, 60)))
        sail = canvas.lit((250, 246, 236))
        canvas.polygon(((x + 1, y - 21), (x + 8, y - 6), (x + 1, y - 6)), sail)
        canvas.polygon(
            ((x - 1, y - 18), (x - 6, y - 6), (x - 1, y - 6)), mix(sail, (150, 150, 170), 0.3)
        )
    wood = canvas.covered(canvas.lit((150, 108, 70)))
    y = canvas.height - rng.uniform(12, 16)
    canvas.rect(0, y, canvas.width, canvas.height, wood)
    for k in range(0, canvas.width, 8):
        canvas.rect(k, y, k + 0.8, canvas.height, mix(wood, (30, 16, 8), 0.4))


def lighthouse(canvas: Canvas, x: float, foot: float) -> None:
    """A white tower with red bands on a rock."""
    canvas.ellipse(x, foot + 3, 13, 5, canvas.lit((96, 92, 90)))
    high = canvas.rng.uniform(32, 42)
    for k in range(5):
        a, b = k / 5, (k + 1) / 5
        wa, wb = 5 - 1.8 * a, 5 - 1.8 * b
        color = canvas.lit((214, 60, 50) if k % 2 else (248, 248, 244))
        canvas.polygon(
            (
                (x - wa, foot - high * a),
                (x + wa, foot - high * a),
                (x + wb, foot - high * b),
                (x - wb, foot - high * b),
            ),
            color,
        )
    canvas.rect(x - 2.5, foot - high - 5, x + 2.5, foot - high, _WARM)
    canvas.polygon(
        ((x - 3.5, foot - high - 5), (x, foot - high - 10), (x + 3.5, foot - high - 5)),
        canvas.lit((180, 44, 40)),
    )
