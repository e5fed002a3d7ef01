"""What the model is asked in its evaluation: prompts worded as no training caption is.

The captions of the training data come from a grammar. These prompts come from another one,
with words in it that the captions never use; `find_seen` looks each of them up, as the model
reads it, among the captions that the training data holds.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engines.builtin.training.data.labels import OBJECTS, SCENES
from engines.builtin.training.data.lands import FARS
from engines.builtin.training.data.skies import HOURS
from engines.builtin.training.data.things import things

WORDS: dict[str, tuple[str, ...]] = {
    "day": ("blue sky", "midday sky"), "night": ("night sky", "night"),
    "sunset": ("sunset", "orange sunset"), "dawn": ("dawn", "pink morning sky"),
    "storm": ("storm", "stormy sky"), "clouds": ("clouds", "fluffy clouds"),
    "stars": ("stars", "many stars"), "moon": ("moon", "full moon"), "sun": ("sun", "bright sun"),
    "rain": ("rain", "heavy rain"), "snow": ("snowfall", "falling snow"),
    "lightning": ("lightning", "flash of lightning"), "rainbow": ("rainbow", "colorful rainbow"),
    "mountains": ("mountains", "rocky mountains"),
    "snowy mountains": ("snowy mountains", "snowy peaks"),
    "mount fuji": ("mount fuji", "fuji"), "hills": ("hills", "green hills"),
    "city skyline": ("city skyline", "skyline"), "forest edge": ("tree line", "distant forest"),
    "sea": ("sea", "ocean"), "lake": ("lake", "calm lake"), "beach": ("beach", "sandy beach"),
    "meadow": ("meadow", "grassland"), "flower field": ("flower field", "field of flowers"),
    "desert": ("desert", "sand dunes"), "snow field": ("snow field", "snowy landscape"),
    "forest": ("forest", "pine forest"), "town": ("town", "village"),
    "japanese town": ("japanese town", "japanese houses"), "city": ("city", "downtown"),
    "harbour": ("harbour", "port"),
}  # fmt: skip

_AT = {
    "night": ("stars", "moon", "snow"), "day": ("sun", "rainbow", "snow"), "sunset": ("sun",),
    "dawn": ("sun",), "storm": ("rain", "lightning"),
}  # fmt: skip
_OPEN = ("sea", "lake", "beach", "meadow", "flower field", "desert", "snow field")
_GROUNDS = (*_OPEN, "forest", "town", "japanese town", "city", "harbour")
_ALLOWED = {"storm": ("clouds",), "harbour": ("sea",), "beach": ("sea",)}
"""What a concept brings along, so that its presence is neither asked nor a mistake."""

_ALONE = ("one big {}", "lone {} in the middle", "drawing of one large {}")
_WITHIN = (
    "one {thing} standing in the {ground} during {hour}",
    "{hour} behind a {thing}, {ground} around",
    "some {ground} and one {thing}, {hour} far above",
)


@dataclass(frozen=True, slots=True)
class Question:
    """A prompt, the concepts that it names, and those that may come along with them."""

    text: str
    asked: frozenset[str]
    allowed: frozenset[str]
    kind: str
    """``scene``, ``object alone`` or ``object in a scene``."""


def _question(text: str, asked: Iterable[str], kind: str) -> Question:
    named = frozenset(asked)
    allowed = frozenset(a for c in named for a in _ALLOWED.get(c, ()))
    return Question(text, named, allowed - named, kind)


def _join(parts: list[str]) -> str:
    return " and ".join(parts)


def _scene(rng: random.Random, wanted: str, form: int) -> Question:
    """A prompt of three to five concepts, `wanted` among them, that can be together."""
    hours = [h for h in HOURS if wanted == h or wanted in _AT[h]] or list(HOURS)
    hour = rng.choice(hours)
    marks = [f for f in _AT[hour] if f == wanted]
    if not marks and rng.random() < 0.6:
        marks.append(rng.choice(_AT[hour]))
    if wanted == "clouds" or (hour != "storm" and rng.random() < 0.3):
        marks.append("clouds")
    low = "sun" in marks and hour != "day"
    ground = wanted if wanted in _GROUNDS else rng.choice(_OPEN if wanted in FARS else _GROUNDS)
    far = wanted if wanted in FARS else ""
    if not far and not low and ground in _OPEN and rng.random() < 0.5:
        far = rng.choice(FARS)
    if far and low:
        marks.remove("sun")  # It would be behind the land.
    asked = [hour, *marks, ground, *([far] if far else [])]
    word = {c: rng.choice(WORDS[c]) for c in asked}
    sky, mark = word[hour], _join([word[m] for m in marks])
    with_mark = f"{sky} with {mark}" if mark else sky
    text = (
        f"wide view over {word[ground]}, {with_mark}" + (f", {word[far]} behind" if far else ""),
        f"quiet {word[ground]}" + (f" beside {word[far]}" if far else "") + f" during {with_mark}",
        f"{_join([m for m in (mark, sky) if m])}, large {word[ground]}"
        + (f", {word[far]} on the horizon" if far else ""),
    )[form % 3]
    return _question(text, asked, "scene")


def _object(rng: random.Random, name: str, form: int) -> Question:
    """A prompt of one object, by turns alone and somewhere it may be."""
    if form % 2 == 0:
        return _question(_ALONE[form // 2 % len(_ALONE)].format(name), [name], "object alone")
    place = next(t.place for t in things() if t.name == name)
    land = tuple(g for g in _GROUNDS if g not in ("sea", "lake", "harbour"))
    ground = rng.choice({"water": ("sea", "lake"), "ground": land}.get(place, _GROUNDS))
    hour = rng.choice(("day", "night", "sunset", "dawn"))
    text = _WITHIN[form // 2 % len(_WITHIN)].format(
        thing=name, ground=rng.choice(WORDS[ground]), hour=rng.choice(WORDS[hour])
    )
    return _question(text, [name, ground, hour], "object in a scene")


def make_questions(rounds: int) -> list[Question]:
    """`rounds` prompts for each concept, always the same ones."""
    rng = random.Random("questions-1")
    return [
        make(rng, name, k)
        for make, names in ((_scene, SCENES), (_object, OBJECTS))
        for name in names
        for k in range(rounds)
    ]


def find_seen(
    texts: Iterable[str], read: Callable[[str], tuple[int, ...]], latents: Path
) -> tuple[set[str], int]:
    """Which texts the training data holds as a caption, and how many captions it holds.

    `read` turns a text into the model's token numbers; `latents` is the folder of shards.
    """
    wanted = {read(text): text for text in texts}
    seen: set[str] = set()
    count = 0
    for path in sorted(latents.glob("*.npz")):
        with np.load(path) as shard:
            ids = shard["ids"].reshape(-1, shard["ids"].shape[-1])
        count += len(ids)
        lengths = (ids >= 0).sum(1)
        for row, length in zip(ids.tolist(), lengths.tolist(), strict=True):
            key = tuple(row[:length])
            if key in wanted:
                seen.add(wanted[key])
    return seen, count
