"""Names of files that images are written to, by a pattern, safe on every file system.

A pattern is a text with fields in braces (`{date} {seed}`); `{n:4}` fills a number up with zeros.
What a field brings in may be anything, so it is made a harmless part of a name.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping
from datetime import datetime

from store.errors import RequestError
from store.limits import suggest
from store.records import Image

DEFAULT_PATTERN = "{seed}"
PATTERN_LIMIT = 200
NAME_BYTES = 200
"""Most bytes of a name without its ending: file systems take 255, with ending and number."""

FIELD_BYTES = 100

_FIELD = re.compile(r"\{([^{}:]*)(?::([^{}]*))?\}")
_DIGITS_LIMIT = 12
_HARMFUL = frozenset('<>:"/\\|?*')
_RESERVED = frozenset(
    ["con", "prn", "aux", "nul", *(f"{name}{n}" for name in ("com", "lpt") for n in range(1, 10))]
)
"""Names that Windows takes for devices, whatever their ending."""

_FIELDS: Mapping[str, Callable[[Image], object]] = {
    "seed": lambda image: image.seed,
    "date": lambda image: datetime.fromtimestamp(image.created_at).strftime("%Y-%m-%d"),
    "time": lambda image: datetime.fromtimestamp(image.created_at).strftime("%H-%M-%S"),
    "session": lambda image: image.session or "",
    "id": lambda image: image.id[:8],
    "prompt": lambda image: _find_prompt(image),
    "model": lambda image: image.request.model,
    "engine": lambda image: image.request.engine,
    "sampler": lambda image: image.request.parameters.sampler,
    "steps": lambda image: image.request.parameters.steps,
    "cfg": lambda image: f"{image.request.parameters.cfg_scale:g}",
    "width": lambda image: image.width,
    "height": lambda image: image.height,
}
"""What a field stands for; `n`, the place in what is written, is beside them."""

FIELD_NAMES = (*_FIELDS, "n")


def check_pattern(pattern: str) -> str:
    """`pattern` itself, else `RequestError`: an unknown field, a separator, nothing at all."""

    def refuse(message: str, hint: str) -> RequestError:
        return RequestError("name", pattern, message, hint)

    if not pattern.strip() or len(pattern) > PATTERN_LIMIT:
        raise refuse(
            f"A pattern for names has 1 to {PATTERN_LIMIT} characters.", "For example {date}-{seed}"
        )
    rest = _FIELD.sub("", pattern)
    if "/" in rest or "\\" in rest:
        raise refuse("A pattern names files, not folders.", "Give the folder with -o.")
    if "{" in rest or "}" in rest:
        raise refuse("A brace in the pattern has no partner.", "Fields look like {seed}.")
    for name, digits in _FIELD.findall(pattern):
        if name not in FIELD_NAMES:
            raise refuse(f"There is no field {{{name}}}.", suggest(name, FIELD_NAMES))
        if digits and not (digits.isascii() and digits.isdigit() and int(digits) <= _DIGITS_LIMIT):
            raise refuse(
                f"{{{name}:{digits}}} does not say how many digits.",
                f"Give 1 to {_DIGITS_LIMIT}, as in {{n:4}}.",
            )
    return pattern


def make_name(pattern: str, image: Image, place: int) -> str:
    """The name, without an ending, of `image`, the `place`th of those that are written."""

    def fill(found: re.Match[str]) -> str:
        name, digits = found[1], found[2]
        value = str(place) if name == "n" else str(_FIELDS[name](image))
        value = cut(value, FIELD_BYTES)
        return value.zfill(int(digits)) if digits and value.isdigit() else value

    return make_harmless(_FIELD.sub(fill, pattern))


def make_harmless(text: str) -> str:
    """`text` as the name of a file without an ending: one part of a path, visible, not hidden."""
    plain = "".join(
        "_" if sign in _HARMFUL else sign if _is_visible(sign) else " "
        for sign in unicodedata.normalize("NFC", text)
    )
    plain = cut(" ".join(plain.split()), NAME_BYTES).strip(" .")
    if plain.startswith("-"):
        plain = f"_{plain[1:]}"  # programs would take it for an option
    if plain.partition(".")[0].strip().lower() in _RESERVED:
        plain = f"_{plain}"
    return plain or "image"


def _is_visible(sign: str) -> bool:
    return unicodedata.category(sign) not in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def cut(text: str, size: int) -> str:
    """The beginning of `text` that has at most `size` bytes in UTF-8."""
    return text.encode("utf-8", "ignore")[:size].decode("utf-8", "ignore")


def _find_prompt(image: Image) -> str:
    prompts = image.request.stack.active or image.request.stack.prompts
    return prompts[0].text if prompts else ""
