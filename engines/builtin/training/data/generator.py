"""The data generator: captioned pictures, each made from nothing but its number.

``python -m engines.builtin.training.data.generator --sprites DIR --sheet FILE`` writes a contact
sheet to look at.
"""

from __future__ import annotations

import argparse
import random
from pathlib import Path
from typing import Literal

from PIL import Image, ImageDraw

from engines.builtin.training.data import lands, skies, towns
from engines.builtin.training.data.captions import Facts, caption
from engines.builtin.training.data.paint import Canvas, mix
from engines.builtin.training.data.styles import STYLES, apply_style
from engines.builtin.training.data.things import Sprites, pick, things

Kind = Literal["alone", "cloudy", "clear"]
"""One thing alone, or a scene with or without clouds."""

ALONE_SHARE = 0.3
THING_SHARE = 0.62
"""How many scenes have things in them."""
STYLE_SHARE = 0.3
GROUNDS = {
    "sea": 12, "lake": 8, "beach": 9, "meadow": 9, "flower field": 6, "desert": 8,
    "snow field": 8, "forest": 10, "town": 9, "japanese town": 17, "city": 7, "harbour": 6,
}  # fmt: skip
BACKGROUNDS = {
    "white": (255, 255, 255), "gray": (176, 178, 182), "black": (24, 24, 28),
    "red": (226, 96, 92), "orange": (246, 172, 96), "yellow": (252, 226, 124),
    "green": (148, 208, 138), "blue": (132, 184, 240), "purple": (184, 150, 226),
    "pink": (250, 176, 200), "beige": (236, 220, 194), "turquoise": (146, 220, 212),
}  # fmt: skip
_BUILT = ("town", "japanese town", "city", "harbour")
_WATERY = ("sea", "lake", "harbour", "beach")


def _choose(rng: random.Random, weights: dict[str, float] | dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _alone(
    size: tuple[int, int], sprites: Sprites, rng: random.Random, detail: int
) -> tuple[Image.Image, Facts]:
    """One thing, large, on a plain colour."""
    thing = rng.choice(things())
    name = "white" if rng.random() < 0.35 else rng.choice(list(BACKGROUNDS))
    color = BACKGROUNDS[name]
    image = Image.new("RGB", (size[0] * detail, size[1] * detail), color)
    side = rng.choice((88, 96, 104))
    x = (size[0] - side) // 2 + rng.randint(-5, 5)
    y = (size[1] - side) // 2 + rng.randint(-5, 5)
    if rng.random() < 0.3:
        shade = mix(color, (0, 0, 0), 0.14)
        box = (x + side * 0.12, y + side * 0.9, x + side * 0.88, y + side * 1.04)
        ImageDraw.Draw(image).ellipse([v * detail for v in box], fill=shade)
    sprite = sprites.sized(thing, side * detail)
    image.paste(sprite, (x * detail, y * detail), sprite)
    return image, Facts(things=[thing.words], background=name)


def _features(rng: random.Random, hour: str) -> list[str]:
    """What else is in the sky at that hour."""
    chance = {
        "night": (
            ("stars", 0.75),
            (rng.choice(("moon", "moon", "crescent moon")), 0.42),
            ("snow", 0.12),
        ),
        "day": (("sun", 0.38), ("rainbow", 0.05), ("snow", 0.12)),
        "sunset": (("sun", 0.6),),
        "dawn": (("sun", 0.45),),
        "storm": (("rain", 0.62), ("lightning", 0.35)),
    }[hour]
    found = [name for name, p in chance if rng.random() < p]
    return [name for name in found if "snow" not in found or name not in ("sun", "rainbow")]


def _sky(canvas: Canvas, facts: Facts, horizon: float) -> tuple[int, int, int]:
    """Paint sky, lights and clouds; give the colour just above the horizon."""
    rng = canvas.rng
    stops = skies.sky(canvas, facts.hour, horizon)
    if "stars" in facts.features:
        skies.stars(canvas, horizon, round(rng.randint(28, 60) * canvas.width / 128))
    if "moon" in facts.features or "crescent moon" in facts.features:
        skies.moon(canvas, horizon, mix(stops[0], stops[1], 0.4), "crescent moon" in facts.features)
    if "sun" in facts.features:
        skies.sun(canvas, facts.hour, horizon, stops[-1 if facts.hour != "day" else 1])
    if "rainbow" in facts.features:
        skies.rainbow(canvas, horizon)
    if facts.clouds:
        count = rng.randint(2, 4) + (canvas.width > 128)
        skies.clouds(canvas, facts.hour, horizon, count)
    if "lightning" in facts.features:
        skies.lightning(canvas, horizon)
    return stops[-1]


def _ground(canvas: Canvas, kind: str, top: float, air: tuple[int, int, int]) -> None:
    if kind in ("sea", "lake"):
        lands.sea(canvas, top, air, lake=kind == "lake")
    elif kind == "beach":
        lands.beach(canvas, top, air)
    elif kind in ("meadow", "flower field"):
        lands.meadow(canvas, top, flowers=kind == "flower field")
    elif kind == "harbour":
        towns.harbour(canvas, top, air)
    else:
        {
            "desert": lands.desert,
            "snow field": lands.snowfield,
            "forest": lands.forest,
            "town": towns.town,
            "japanese town": towns.japanese_town,
            "city": towns.city,
        }[kind](canvas, top)


def _place(canvas: Canvas, facts: Facts, sprites: Sprites, horizon: float) -> None:
    """Put one or two things into the scene, where such things are."""
    rng = canvas.rng
    count = 1 if rng.random() < 0.82 else 2
    watery = facts.ground in ("sea", "lake", "harbour")
    for slot in range(count):
        thing = pick(
            rng, rng.choice(("water", "water", "sky") if watery else ("ground",) * 5 + ("sky",))
        )
        side = rng.choice((56, 64, 72)) if count == 1 else rng.choice((44, 52))
        low = thing.place != "sky"
        span = canvas.width / count
        x = round(slot * span + rng.uniform(0, max(0.0, span - side)))
        if low:
            y = round(
                rng.uniform(
                    max(horizon - side * 0.4, canvas.height - side - 22), canvas.height - side - 3
                )
            )
        else:
            y = round(rng.uniform(4, max(5.0, horizon - side * 0.8)))
        sprite = sprites.sized(thing, side * canvas.scale)
        if rng.random() < 0.5 and thing.family in ("animals", "vehicles"):
            sprite = sprite.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        paper = sprite.convert("RGB").point(
            [round(v * (0.45 + 0.55 * k)) for k in canvas.lamp for v in range(256)]
        )
        if low and not watery:
            foot = (x + side / 2, y + side * 0.96)
            canvas.ellipse(
                *foot, side * 0.36, side * 0.06, mix((20, 24, 30), facts_tone(canvas), 0.6)
            )
        canvas.image.paste(paper, (x * canvas.scale, y * canvas.scale), sprite)
        facts.things.append(thing.words)


def facts_tone(canvas: Canvas) -> tuple[int, int, int]:
    """A middle tone of the light, for contact shadows."""
    return canvas.lit((140, 140, 130))


def _plan(rng: random.Random) -> Facts:
    """What will be in a scene, apart from its things."""
    facts = Facts(hour=_choose(rng, skies.HOURS))
    facts.features = _features(rng, facts.hour)
    facts.clouds = rng.random() < skies.CLOUDINESS[facts.hour]
    facts.ground = _choose(rng, GROUNDS)
    built = facts.ground in _BUILT
    if rng.random() < (0.4 if built else 0.62):
        facts.far = rng.choice(lands.FARS)
        if facts.ground in ("city", "forest") and facts.far in ("city skyline", "forest edge"):
            facts.far = "mountains"
        if facts.ground == "japanese town" and rng.random() < 0.4:
            facts.far = "mount fuji"
    return facts


def _scene(
    size: tuple[int, int], sprites: Sprites, rng: random.Random, detail: int
) -> tuple[Image.Image, Facts]:
    facts = _plan(rng)
    built = facts.ground in _BUILT
    canvas = Canvas(
        *size, rng, skies.LAMPS[facts.hour], facts.hour == "night", "snow" in facts.features, detail
    )
    low = 0.5 if built else 0.54
    horizon = size[1] * rng.uniform(low, low + 0.1)
    air = _sky(canvas, facts, horizon)
    if facts.far:
        lands.far(canvas, facts.far, horizon + 1, air)
    _ground(canvas, facts.ground, horizon, air)
    if rng.random() < THING_SHARE:
        _place(canvas, facts, sprites, horizon)
    if "rain" in facts.features:
        skies.rain(canvas)
    if "snow" in facts.features:
        skies.snow(canvas)
    return canvas.finish(), facts


def _draw(index: int, size: tuple[int, int], seed: int) -> random.Random:
    return random.Random(f"{seed}:{index}:{size[0]}x{size[1]}")


def tell_kind(index: int, size: tuple[int, int], seed: int) -> Kind:
    """What kind of picture number ``index`` is; nothing is drawn."""
    rng = _draw(index, size, seed)
    if rng.random() < ALONE_SHARE:
        return "alone"
    return "cloudy" if _plan(rng).clouds else "clear"


def make(
    index: int,
    sprites: Sprites,
    size: tuple[int, int] = (128, 128),
    seed: int = 1,
    detail: int = 1,
) -> tuple[Image.Image, str, Facts]:
    """Picture number ``index``: the RGB image of ``size``, its caption and its facts.

    With ``detail`` 2 it is the same picture at twice the size; what a style draws by the pixel is
    then only enlarged.
    """
    rng = _draw(index, size, seed)
    image, facts = (_alone if rng.random() < ALONE_SHARE else _scene)(size, sprites, rng, detail)
    if rng.random() < STYLE_SHARE:
        facts.style = "anime" if rng.random() < 0.22 else rng.choice(list(STYLES))
        image = apply_style(image.reduce(detail), facts.style, rng)
        if detail > 1:
            blocky = facts.style == "pixel-art"
            kind = Image.Resampling.NEAREST if blocky else Image.Resampling.LANCZOS
            image = image.resize((size[0] * detail, size[1] * detail), kind)
    return image, caption(facts, rng), facts


def sheet(images: list[Image.Image], columns: int) -> Image.Image:
    """A contact sheet with 4 px between the pictures."""
    w = max(i.width for i in images) + 4
    h = max(i.height for i in images) + 4
    rows = -(-len(images) // columns)
    out = Image.new("RGB", (columns * w, rows * h))
    for k, image in enumerate(images):
        out.paste(image, (k % columns * w, k // columns * h))
    return out


def main() -> None:
    """Command line: a contact sheet of the data, with the captions on standard output."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sprites", type=Path, required=True, help="unpacked emoji package")
    parser.add_argument("--sheet", type=Path, required=True, help="PNG file to write")
    parser.add_argument("--count", type=int, default=96)
    parser.add_argument("--columns", type=int, default=12)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    sprites = Sprites(args.sprites)
    made = [make(i, sprites, (args.width, args.height), args.seed) for i in range(args.count)]
    sheet([image for image, _, _ in made], args.columns).save(args.sheet)
    for _, text, _ in made:
        print(text)


if __name__ == "__main__":
    main()
