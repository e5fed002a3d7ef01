"""Captions in natural language, with synonyms, varied order and omissions."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from engines.builtin.training.data.styles import STYLES


@dataclass(slots=True)
class Facts:
    """What is in a picture. Empty strings and lists mean absence."""

    hour: str = ""
    features: list[str] = field(default_factory=list)
    clouds: bool = False
    far: str = ""
    ground: str = ""
    things: list[tuple[str, ...]] = field(default_factory=list)
    background: str = ""
    style: str = ""

    def concepts(self) -> set[str]:
        """Canonical names of everything in the picture."""
        found = {self.hour, self.far, self.ground, self.style, *self.features}
        found |= {names[0] for names in self.things} | ({"clouds"} if self.clouds else set())
        return found - {""}


_HOUR = {
    "day": (
        "blue sky",
        "daytime",
        "sunny day",
        "bright blue sky",
        "day",
        "midday sky",
        "summer day",
    ),
    "night": (
        "night sky",
        "night",
        "at night",
        "dark night",
        "midnight",
        "night time",
        "evening night sky",
    ),
    "sunset": (
        "sunset",
        "sunset sky",
        "at sunset",
        "orange sunset",
        "dusk",
        "evening glow",
        "golden hour",
    ),
    "dawn": ("dawn", "sunrise", "morning", "pink morning sky", "early morning", "at dawn"),
    "storm": (
        "storm",
        "stormy sky",
        "thunderstorm",
        "dark stormy weather",
        "bad weather",
        "gray stormy sky",
    ),
}
_CLOUDY = {
    "day": (
        "clouds",
        "white clouds",
        "cloudy",
        "cloudy sky",
        "clouds in the sky",
        "fluffy clouds",
        "cloud",
    ),
    "night": ("clouds", "night clouds", "cloudy", "cloudy night sky", "clouds in the sky", "cloud"),
    "sunset": ("clouds", "pink clouds", "cloudy", "clouds in the sky", "cloudy sky", "cloud"),
    "dawn": ("clouds", "soft clouds", "cloudy", "clouds in the sky", "cloudy sky", "cloud"),
    "storm": ("clouds", "dark clouds", "storm clouds", "cloudy", "gray clouds", "heavy clouds"),
}
_FEATURE = {
    "stars": (
        "stars",
        "starry sky",
        "starry night",
        "many stars",
        "stars in the sky",
        "twinkling stars",
    ),
    "moon": ("moon", "full moon", "the moon", "moonlight", "bright moon"),
    "crescent moon": ("crescent moon", "moon", "half moon", "moon crescent"),
    "sun": ("sun", "the sun", "bright sun", "sunshine", "sunny"),
    "rain": ("rain", "rainy", "raining", "heavy rain", "rain falling"),
    "snow": ("snow", "snowing", "snowfall", "falling snow", "snowflakes"),
    "lightning": ("lightning", "lightning bolt", "thunder", "flash of lightning"),
    "rainbow": ("rainbow", "a rainbow", "colorful rainbow"),
}
_FAR = {
    "mountains": (
        "mountains",
        "mountain",
        "a mountain range",
        "rocky mountains",
        "distant mountains",
    ),
    "snowy mountains": (
        "snowy mountains",
        "snowy peaks",
        "snow capped mountains",
        "alps",
        "mountains with snow",
    ),
    "mount fuji": ("mount fuji", "fuji", "mt fuji", "volcano", "mount fuji"),
    "hills": ("hills", "green hills", "rolling hills", "hill"),
    "city skyline": ("city skyline", "skyline", "distant city", "skyscrapers", "tall buildings"),
    "forest edge": ("forest edge", "distant forest", "tree line", "trees", "row of trees"),
}
_GROUND = {
    "sea": ("sea", "ocean", "the sea", "water", "blue sea", "waves"),
    "lake": ("lake", "a lake", "calm lake", "pond", "mountain lake"),
    "beach": ("beach", "sandy beach", "sand beach", "seaside", "coast", "shore"),
    "meadow": ("meadow", "grass", "green field", "grassland", "lawn", "green meadow"),
    "flower field": (
        "flower field",
        "field of flowers",
        "flowers",
        "flower meadow",
        "garden of flowers",
    ),
    "desert": ("desert", "sand dunes", "dunes", "sandy desert", "the desert"),
    "snow field": ("snow field", "snowy field", "snow", "snowy landscape", "winter landscape"),
    "forest": ("forest", "woods", "pine forest", "deep forest", "forest of trees", "wood"),
    "town": ("town", "village", "small town", "houses", "old town", "european town"),
    "japanese town": (
        "japanese town",
        "japanese village",
        "japanese houses",
        "old japanese town",
        "town in japan",
        "kyoto",
        "japanese street",
    ),
    "city": ("city", "big city", "downtown", "city street", "city buildings", "street"),
    "harbour": ("harbour", "harbor", "port", "harbour with boats", "marina", "lighthouse"),
}
_FILLER = (
    "beautiful",
    "a picture of",
    "a painting of",
    "an image of",
    "illustration of",
    "lovely",
    "a view of",
    "scenic",
    "a",
    "the",
    "pretty",
    "amazing",
    "gorgeous",
    "highly detailed",
)
_BACK = ("on a {} background", "{} background", "on {}", "in front of a {} background")
_AFTER = (
    "detailed",
    "beautiful",
    "masterpiece",
    "high quality",
    "illustration",
    "artwork",
    "scenery",
    "landscape",
    "wallpaper",
)


def _article(rng: random.Random, word: str) -> str:
    roll = rng.random()
    if roll < 0.4 or word.endswith("s"):
        return word
    return ("an " if word[0] in "aeiou" else "a ") + word if roll < 0.9 else "the " + word


def _join(rng: random.Random, parts: Sequence[str], links: Sequence[str]) -> str:
    text = parts[0]
    for part in parts[1:]:
        text += rng.choice(links) + part
    return text


def _alone(facts: Facts, rng: random.Random) -> list[str]:
    name = _article(rng, rng.choice(facts.things[0]) if rng.random() < 0.5 else facts.things[0][0])
    if rng.random() < 0.2:
        name = rng.choice(_FILLER[:8]) + " " + name
    if facts.background and rng.random() < 0.3:
        name += " " + rng.choice(_BACK).format(facts.background)
    elif rng.random() < 0.04:
        name += rng.choice((" alone", " icon", " close up", " isolated"))
    return [name]


def _scene(facts: Facts, rng: random.Random) -> list[str]:
    def say(table: dict[str, tuple[str, ...]], key: str) -> str:
        words = table[key]
        return words[0] if rng.random() < 0.4 else rng.choice(words)

    sky: list[str] = []
    if rng.random() < 0.85:
        sky.append(say(_HOUR, facts.hour))
    if facts.clouds and rng.random() < 0.4:
        sky.append(say(_CLOUDY, facts.hour))
    elif not facts.clouds and rng.random() < 0.3:
        sky.append(rng.choice(("clear sky", "cloudless sky", "clear weather")))
    sky += [say(_FEATURE, f) for f in facts.features if rng.random() < 0.75]
    below: list[str] = []
    if facts.far and rng.random() < 0.8:
        below.append(say(_FAR, facts.far))
    if facts.ground and rng.random() < 0.88:
        below.append(say(_GROUND, facts.ground))
    named = [_article(rng, rng.choice(n) if rng.random() < 0.5 else n[0]) for n in facts.things]
    named = [n for n in named if rng.random() < 0.97]
    rng.shuffle(sky)
    rng.shuffle(below)
    roll = rng.random()
    if roll < 0.25 or not (sky and below):
        parts = named + sky + below
        rng.shuffle(parts)
        return [_join(rng, parts, (", ", " and ", ", "))] if parts else []
    over = _join(rng, sky, (", ", " and ", " with "))
    under = _join(rng, below, (", ", " and ", " with ", " in front of "))
    things = _join(rng, named, (" and ", ", ")) if named else ""
    if roll < 0.55:
        text = over + rng.choice((" above ", " over ", " above a ", " over the ")) + under
        return [text + (rng.choice((" with ", ", ")) + things if things else "")]
    lead = (
        things + rng.choice((" in ", " on ", " in front of ", " near ", ", ")) + under
        if things
        else under
    )
    return [lead + rng.choice((" under ", " at ", ", ", " with ", " below ")) + over]


_DETAIL = (
    "highly detailed", "beautiful", "masterpiece", "high quality", "best quality", "artwork",
    "illustration", "digital painting", "digital art", "vivid colors", "vibrant colors",
    "colorful", "wide shot", "panorama", "scenery", "landscape", "wallpaper", "soft light",
    "cinematic lighting", "lovely", "gorgeous", "amazing", "award winning", "poster", "sketch",
)  # fmt: skip


def long_caption(facts: Facts, rng: random.Random) -> str:
    """A caption as people write them who say everything twice: 20 to 80 words."""
    parts = [caption(facts, rng) for _ in range(rng.choice((2, 3)))]
    parts += rng.choices(_DETAIL, k=rng.randint(4, 24))
    if rng.random() < 0.5:
        rng.shuffle(parts)
    return ", ".join(parts)


def caption(facts: Facts, rng: random.Random) -> str:
    """A caption of the picture; now and then only one of its concepts, or nothing but style."""
    style = rng.choice(STYLES[facts.style]) if facts.style and rng.random() < 0.94 else ""
    if facts.hour and rng.random() < 0.12:
        single = [t[facts.hour] for t in (_HOUR,)] + [_FEATURE[f] for f in facts.features]
        single += [_CLOUDY[facts.hour]] * 2 if facts.clouds else []
        single += [_FAR[facts.far]] if facts.far else []
        single += [_GROUND[facts.ground]] if facts.ground else []
        single += list(facts.things)
        parts = [rng.choice(rng.choice(single))]
    elif facts.hour:
        parts = _scene(facts, rng)
    else:
        parts = _alone(facts, rng)
    if parts and rng.random() < 0.14:
        parts[0] = rng.choice(_FILLER) + " " + parts[0]
    if rng.random() < 0.07:
        parts.append(rng.choice(_AFTER))
    if style:
        parts.insert(0 if rng.random() < 0.15 else len(parts), style)
    return ", ".join(parts)
