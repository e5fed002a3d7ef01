"""What each field of a request accepts, as functions that return the value or say why not.

Limits that hold for every engine; an engine's capabilities narrow them.
"""

from __future__ import annotations

import difflib
import math
import re
import secrets
from collections.abc import Iterable
from typing import TypeVar

from store.errors import RequestError

SEED_MINIMUM = 1
SEED_MAXIMUM = 4_294_967_294
"""Seeds that every surface of the API takes literally: 0 asks for a random one there."""

WEIGHT_MINIMUM = -10.0
WEIGHT_MAXIMUM = 10.0
TEXT_LIMIT = 10_000
"""Longest prompt in characters."""

PROMPT_LIMIT = 64
SESSION_NAME_LIMIT = 100
"""Most prompts in one stack."""

STEPS_MAXIMUM = 500
CFG_SCALE_MAXIMUM = 35.0
SIZE_MINIMUM = 128
SIZE_MAXIMUM = 4096
SIZE_MULTIPLE = 32
UPSCALED_MAXIMUM = 8192
"""Longest side of an image that is made larger, in pixels."""

INPUT_KINDS = "PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF"
"""The kinds of image files that a request may start from, as they are told."""

IMPORTED_KINDS = "PNG, JPEG or WebP"
"""The kinds of image files whose metadata are read."""

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,3})?"
)
_WHOLE = re.compile(r"[+-]?[0-9]{1,400}")
_NUMBER_SHOWN = 24
"""Most characters of a typed number that an error repeats."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]*")
_MODEL = re.compile(_NAME.pattern + r"(@[1-9][0-9]{0,8})?")


Choice = TypeVar("Choice", bound=str)


def name_field(field: str) -> str:
    """What a person calls the field of this dotted name."""
    return field.removeprefix("parameters.").replace("_", " ").replace(".", " ")


def draw_seed() -> int:
    """A random seed, 1 to 4294967294, from the operating system's generator."""
    return SEED_MINIMUM + secrets.randbelow(SEED_MAXIMUM - SEED_MINIMUM + 1)


def following_seed(seed: int, offset: int) -> int:
    """The seed `offset` places after `seed`; after the highest comes 1 again, never 0."""
    return SEED_MINIMUM + (seed - SEED_MINIMUM + offset) % (SEED_MAXIMUM - SEED_MINIMUM + 1)


def check_seed(seed: object, field: str = "parameters.seed") -> int:
    """`seed` itself when it is a whole number from 1 to 4294967294, else `RequestError`."""
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise RequestError(field, seed, f"The seed {seed!r} is not a whole number.")
    if not SEED_MINIMUM <= seed <= SEED_MAXIMUM:
        why = " (0 would ask the other side for a random one)" if seed == 0 else ""
        raise RequestError(
            field,
            seed,
            f"The seed {seed} is out of range{why}.",
            f"Give a whole number from {SEED_MINIMUM} to {SEED_MAXIMUM}, or none to draw one.",
        )
    return seed


def check_weight(weight: float, field: str = "weight") -> float:
    """`weight` as a float when it is in [-10, 10], else `RequestError`. -0.0 becomes 0.0."""
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not math.isfinite(weight):
        raise RequestError(field, weight, f"The weight {weight!r} is not a number.")
    if not WEIGHT_MINIMUM <= weight <= WEIGHT_MAXIMUM:
        raise RequestError(
            field,
            weight,
            f"The weight {weight:g} is out of range.",
            f"Give a number from {WEIGHT_MINIMUM:g} to {WEIGHT_MAXIMUM:g}; "
            "below 0 means: avoid this.",
        )
    return float(weight) + 0.0


def check_text(text: object, field: str = "text") -> str:
    """`text` itself when it can be a prompt, else `RequestError`.

    A prompt has 1 to 10,000 characters, not only white space, and no control characters
    but new line and tab.
    """
    if not isinstance(text, str):
        raise RequestError(field, text, "A prompt is a text.")
    if not text.strip():
        raise RequestError(field, text, "The prompt is empty.", "Type a text or remove it.")
    if len(text) > TEXT_LIMIT:
        raise RequestError(
            field,
            text,
            f"The prompt has {len(text):,} characters, more than {TEXT_LIMIT:,}.",
            "Shorten it: engines read about 77 tokens and drop the rest.",
        )
    if found := _CONTROL.search(text):
        if found.group() >= "\ud800":
            raise RequestError(
                field,
                text,
                f"{_describe_broken(ord(found.group()))} at position {found.start() + 1} of the "
                "prompt is no text in UTF-8.",
                "Give the text in UTF-8.",
            )
        raise RequestError(
            field,
            text,
            f"The prompt holds the control character U+{ord(found.group()):04X} "
            f"at position {found.start() + 1}.",
            "Remove it.",
        )
    return text


def _describe_broken(code: int) -> str:
    """Half a character, or a byte that Python could not decode and keeps as one."""
    return f"The byte 0x{code - 0xDC00:02X}" if 0xDC80 <= code <= 0xDCFF else "Half a character"


def parse_whole(field: str, name: str, text: str, low: float, high: float) -> int:
    """The whole number in `text`, which may be out of the range that the error names.

    `name` is what the person calls it. Raises `RequestError` of `field`.
    """
    if not _WHOLE.fullmatch(plain := _write_plainly(text)):
        raise _refuse_number(field, name, text, "a whole number", low, high)
    return int(plain)


def parse_number(field: str, name: str, text: str, low: float, high: float) -> float:
    """The number in `text`, never -0.0; a comma is as good as a point.

    It may be out of the range that the error names. `name` is what the person calls it. Raises
    `RequestError` of `field`.
    """
    plain = _write_plainly(text).replace(",", ".")
    if not _DECIMAL.fullmatch(plain) or not math.isfinite(number := float(plain)):
        raise _refuse_number(field, name, text, "a number", low, high)
    return number + 0.0


def check_range(field: str, name: str, number: float, low: float, high: float) -> None:
    """Raise `RequestError` of `field` unless `number` is from `low` to `high`."""
    if not low <= number <= high:
        shown = f"{number:.10g}" if isinstance(number, float) else _shorten(str(number))
        raise RequestError(
            field, number, f"{name} {shown} is out of range.", f"Give {low:.10g} to {high:.10g}."
        )


def _write_plainly(text: str) -> str:
    """A minus sign is as good as a hyphen."""
    return text.strip().replace("\u2212", "-")


def _refuse_number(
    field: str, name: str, text: str, kind: str, low: float, high: float
) -> RequestError:
    return RequestError(
        field,
        text,
        f"{name} {_shorten(text)!r} is not {kind}.",
        f"Give {kind} from {low:.10g} to {high:.10g}.",
    )


def _shorten(text: str) -> str:
    return text if len(text) <= _NUMBER_SHOWN else f"{text[:_NUMBER_SHOWN]}…"


def suggest(value: str, known: Iterable[str], nearest: str | None = None) -> str:
    """What to do about `value`, which is none of `known`: the nearest of them, and all.

    `nearest`: the one that is meant, where somebody knows better than by the letters.
    """
    names = tuple(known)
    near = difflib.get_close_matches(value.lower(), names, n=1) if len(value) <= 100 else []
    meant = nearest or next(iter(near), None)
    listed = f"Known: {', '.join(names) or 'none'}."
    return f"{listed} Did you mean {meant!r}?" if meant in names else listed


def check_whole(name: str, value: object, low: int, high: int) -> int:
    """`value` itself when it is a whole number from `low` to `high`, else `RequestError`."""
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise RequestError(
            f"parameters.{name}",
            value,
            f"{name} {value!r} is not a whole number from {low} to {high}.",
        )
    return value


def check_cfg_scale(value: float) -> float:
    """`value` as a float when it is in [0, 35], else `RequestError`."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not 0 <= value <= CFG_SCALE_MAXIMUM:
        raise RequestError(
            "parameters.cfg_scale",
            value,
            f"cfg scale {value!r} is not a number from 0 to {CFG_SCALE_MAXIMUM:g}.",
        )
    return float(value) + 0.0


def check_side(name: str, value: object) -> int:
    """`value` itself when it is a multiple of 32 from 128 to 4096, else `RequestError`."""
    check_whole(name, value, SIZE_MINIMUM, SIZE_MAXIMUM)
    assert isinstance(value, int)
    if value % SIZE_MULTIPLE:
        raise RequestError(
            f"parameters.{name}",
            value,
            f"{name} {value} is not a multiple of {SIZE_MULTIPLE}.",
            "Most engines want multiples of 64.",
        )
    return value


def check_name(field: str, value: object) -> str:
    """`value` itself when it is a name in lower case, else `RequestError`."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise RequestError(field, value, f"{field.rpartition('.')[2]} {value!r} is not a name.")
    return value


def check_model(field: str, value: object) -> str:
    """`value` itself when it is a name, maybe with a revision (`NAME@3`), else `RequestError`."""
    if not isinstance(value, str) or not _MODEL.fullmatch(value):
        raise RequestError(
            field, value, f"{field.rpartition('.')[2]} {value!r} is not the name of a model."
        )
    return value


def check_share(field: str, value: object) -> float:
    """`value` as a float when it is in [0, 1], else `RequestError`. -0.0 becomes 0.0."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not 0 <= value <= 1:  # type: ignore[operator]
        name = name_field(field)
        raise RequestError(field, value, f"The {name} {value!r} is not a number from 0 to 1.")
    return float(value) + 0.0  # type: ignore[arg-type]


def check_sha256(field: str, value: object) -> str:
    """`value` itself when it is a SHA-256 in hexadecimal, else `RequestError`."""
    if not isinstance(value, str) or not _SHA256.fullmatch(value):
        raise RequestError(field, value, f"{value!r} is not the digest of a file.")
    return value


def check_choice(field: str, value: object, known: tuple[Choice, ...]) -> Choice:
    """`value` itself when it is one of `known`, else `RequestError`."""
    if value not in known:
        name = name_field(field)
        raise RequestError(field, value, f"Unknown {name} {value!r}.", suggest(str(value), known))
    return known[known.index(value)]


def check_optional_text(field: str, value: object, *, required: bool = False) -> str | None:
    """`value` itself when it is None (unless `required`) or a text as a prompt has it."""
    return None if value is None and not required else check_text(value, field)
