"""The sixty concepts of the evaluation, and which of them a generated picture holds.

A picture's labels come from the generator's own facts, so they are exact; where the picture
itself cannot tell (far land behind tower blocks, colours in a line drawing), a label is unknown
and counts nowhere.
"""

from __future__ import annotations

from engines.builtin.training.data.captions import Facts
from engines.builtin.training.data.lands import FARS
from engines.builtin.training.data.skies import HOURS

SKY = ("clouds", "stars", "moon", "sun", "rain", "snow", "lightning", "rainbow")
GROUNDS = (
    "sea", "lake", "beach", "meadow", "flower field", "desert", "snow field", "forest", "town",
    "japanese town", "city", "harbour",
)  # fmt: skip
SCENES = (*HOURS, *SKY, *FARS, *GROUNDS)
OBJECTS = (
    "cat", "dog", "horse", "cow", "elephant", "lion", "panda", "rabbit", "fox", "owl", "penguin",
    "turtle", "butterfly", "whale", "rose", "cactus", "palm tree", "car", "bus", "bicycle",
    "airplane", "rocket", "castle", "tent", "snowman", "apple", "pizza", "guitar", "umbrella",
)  # fmt: skip
CONCEPTS = (*SCENES, *OBJECTS)
"""31 of scenes, then 29 objects; the objects were chosen before any result was seen."""

_COLOURLESS = ("line-art", "neon-punk")
_COARSE = ("line-art", "pixel-art", "low-poly")
_FINE = ("stars", "rain", "snow", "lightning")
_HIDING = ("city", "forest")
_WATERSIDE = {"harbour": ("sea",), "beach": ("sea",)}


def find_unknown(facts: Facts) -> set[str]:
    """The concepts that a picture with these facts may hold or not, whatever it shows."""
    unknown = set(_WATERSIDE.get(facts.ground, ()))
    if facts.ground in _HIDING and facts.far:
        unknown.add(facts.far)
    if "sun" in facts.features and facts.hour != "day" and (facts.far or facts.ground in _HIDING):
        unknown.add("sun")  # It may have gone down behind the land.
    if facts.style in _COLOURLESS:
        unknown |= set(HOURS)
    if facts.style in _COARSE:
        unknown |= set(_FINE)
    return unknown


def label(facts: Facts, extra: tuple[str, ...] = ()) -> tuple[list[float], list[float]]:
    """Presence (0 or 1) and knowledge (1 known, 0 not) of each of `CONCEPTS`.

    `extra` names things that were added to the picture after it was made.
    """
    held = facts.concepts() | set(extra)
    if "crescent moon" in held:
        held.add("moon")
    unknown = find_unknown(facts)
    return (
        [float(name in held) for name in CONCEPTS],
        [float(name not in unknown) for name in CONCEPTS],
    )
