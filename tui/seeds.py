"""Seeds as people give them: a number, or `@-1` for the seed of the image before."""

from __future__ import annotations

import re

import msgspec

from store.errors import NotFound, RequestError
from store.limits import SEED_MAXIMUM, SEED_MINIMUM, check_seed, parse_whole
from tui.darkroom import Darkroom

_RELATIVE = re.compile(r"@[-\u2212]?([0-9]{1,9})")
_HINT = "@-1 is the seed of the newest image, @-2 that of the one before it."


class RelativeSeed(msgspec.Struct, frozen=True):
    """The seed of a past image, counted back: 1 is the newest. What is recorded is its number."""

    places: int


def parse_seed(field: str, name: str, text: str) -> int | RelativeSeed:
    """The seed in `text`: 1 to 4294967294, or `@-N` (`@N` says the same).

    `name` is what the person calls it. Raises `RequestError` of `field`.
    """
    plain = text.strip()
    if not plain.startswith("@"):
        return check_seed(parse_whole(field, name, text, SEED_MINIMUM, SEED_MAXIMUM), field)
    found = _RELATIVE.fullmatch(plain)
    if found is None or not (places := int(found[1])):
        raise RequestError(field, text, f"{name} {plain[:24]!r} is not a seed.", _HINT)
    return RelativeSeed(places)


def read_seed(field: str, name: str, text: str | None) -> int | RelativeSeed | None:
    """As `parse_seed`; None where no seed was given."""
    return None if text is None else parse_seed(field, name, text)


async def find_seed(darkroom: Darkroom, field: str, seed: int | RelativeSeed | None) -> int | None:
    """The number that `seed` stands for now. Raises `RequestError` of `field`."""
    if not isinstance(seed, RelativeSeed):
        return seed
    try:
        return (await darkroom.get_image(f"@{seed.places}")).seed
    except NotFound:
        raise RequestError(
            field,
            f"@-{seed.places}",
            f"There is no image @-{seed.places} whose seed could be taken.",
            _HINT if seed.places > 1 else "Give a number: the history is empty.",
        ) from None
