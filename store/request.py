"""What decides an image: prompt, prompt stack, parameters, request.

All four are immutable values. They check themselves when they are made, so a value that
exists is valid; what a particular engine accepts beyond that is in its capabilities.

A request has one canonical form in JSON (UTF-8, sorted keys, no spaces, every field
present), and the SHA-256 of that form is its digest, by which it is known everywhere.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Self

import msgspec

from store.errors import RequestError
from store.fields import (
    PROMPT_LIMIT,
    STEPS_MAXIMUM,
    check_cfg_scale,
    check_name,
    check_seed,
    check_side,
    check_text,
    check_weight,
    check_whole,
)

REQUEST_FORMAT = 1
"""Number of the canonical form. A new form gets a new number; old ones stay readable."""

_WEIGHT_SUFFIX = re.compile(r"^(?P<text>.*)::(?P<weight>[^:]*)$", re.DOTALL)


class Prompt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A text and a weight; may be switched off.

    `weight` is in [-10, 10], above 0 asks for the text, below 0 avoids it, 0 leaves it out.
    A switched-off prompt stays in the stack and has no effect. Raises `RequestError`.
    """

    text: str
    weight: float = 1.0
    enabled: bool = True

    def __post_init__(self) -> None:
        check_text(self.text)
        msgspec.structs.force_setattr(self, "weight", check_weight(self.weight))

    @property
    def is_active(self) -> bool:
        """Whether it has an effect: switched on and not of weight 0."""
        return self.enabled and self.weight != 0

    @classmethod
    def parse(cls, argument: str) -> Self:
        """The prompt that `TEXT` or `TEXT::WEIGHT` stands for, as on the command line.

        Only what follows the last `::` is a weight. Raises `RequestError` when that is no
        number, because a mistyped weight must not silently become part of the text.
        """
        match = _WEIGHT_SUFFIX.match(argument)
        if match is None:
            return cls(text=argument)
        try:
            weight = float(match["weight"])
        except ValueError:
            raise RequestError(
                "weight",
                match["weight"],
                f"The weight {match['weight']!r} after '::' is not a number.",
                "Write for example 'clouds::-1'.",
            ) from None
        return cls(text=match["text"], weight=weight)


class PromptStack(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The ordered prompts of one request: 1 to 64, one of them active with a weight above 0."""

    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "prompts", tuple(self.prompts))
        if not self.prompts:
            raise RequestError("prompts", (), "The prompt stack is empty.", "Add a prompt.")
        if len(self.prompts) > PROMPT_LIMIT:
            raise RequestError(
                "prompts",
                len(self.prompts),
                f"The stack has {len(self.prompts)} prompts, more than {PROMPT_LIMIT}.",
                "Remove some.",
            )
        if not any(prompt.is_active and prompt.weight > 0 for prompt in self.prompts):
            raise RequestError(
                "prompts",
                [prompt.weight for prompt in self.prompts],
                "No prompt that is switched on has a weight above 0.",
                "Add a prompt that says what to draw; negative ones only say what to avoid.",
            )

    @property
    def active(self) -> tuple[Prompt, ...]:
        """The prompts that have an effect, in their order."""
        return tuple(prompt for prompt in self.prompts if prompt.is_active)


class Parameters(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything besides the prompts that decides the pixels. None has a default here.

    `seed`: 1 to 4294967294. `steps`: 1 to 500. `cfg_scale`: 0 to 35. `sampler`: the API's
    name (`k_dpmpp_2m`, `ddim` …). `width`, `height`: pixels, multiples of 32 from 128 to 4096.
    `style_preset`: the API's name or None. Raises `RequestError`.
    """

    seed: int
    steps: int
    cfg_scale: float
    sampler: str
    width: int
    height: int
    style_preset: str | None

    def __post_init__(self) -> None:
        check_seed(self.seed)
        check_whole("steps", self.steps, 1, STEPS_MAXIMUM)
        cfg_scale = check_cfg_scale(self.cfg_scale)
        msgspec.structs.force_setattr(self, "cfg_scale", cfg_scale)
        check_name("parameters.sampler", self.sampler)
        for side in ("width", "height"):
            check_side(side, getattr(self, side))
        if self.style_preset is not None:
            check_name("parameters.style_preset", self.style_preset)


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompt stack, parameters and engine: complete, immutable, known by its digest.

    `engine` names the engine (`builtin`, `stability`), `model` what it runs
    (`stable-diffusion-xl-1024-v1-0`). One request stands for one image.
    """

    format: int = REQUEST_FORMAT
    engine: str
    model: str
    stack: PromptStack
    parameters: Parameters

    def __post_init__(self) -> None:
        if self.format != REQUEST_FORMAT:
            raise RequestError(
                "format",
                self.format,
                f"This request has the form {self.format}; this program knows {REQUEST_FORMAT}.",
                "Update Safelight to read it.",
            )
        check_name("engine", self.engine)
        check_name("model", self.model)

    def to_json(self) -> bytes:
        """The canonical form: UTF-8 JSON, sorted keys, no spaces, every field."""
        return msgspec.json.encode(self, order="sorted")

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """The request in `data`. Raises `RequestError` when a field is missing, unknown or bad."""
        try:
            return msgspec.json.decode(data, type=cls)
        except msgspec.ValidationError as error:
            if isinstance(error.__cause__, RequestError):
                raise error.__cause__ from None
            raise RequestError("request", None, f"Not a request: {error}.") from None
        except msgspec.DecodeError as error:
            raise RequestError("request", None, f"Not JSON: {error}.") from None

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical form, 64 hexadecimal digits."""
        return hashlib.sha256(self.to_json()).hexdigest()


def list_differences(one: Any, other: Any, prefix: str = "") -> list[tuple[str, Any, Any]]:
    """The fields in which two values of this module differ: (dotted name, one's, other's)."""
    left, right = msgspec.to_builtins(one), msgspec.to_builtins(other)
    return list(_walk(left, right, prefix))


def _walk(left: Any, right: Any, name: str) -> list[tuple[str, Any, Any]]:
    if isinstance(left, dict) and isinstance(right, dict):
        keys = sorted(left.keys() | right.keys())
        pairs = [(f"{name}.{key}".lstrip("."), left.get(key), right.get(key)) for key in keys]
    elif isinstance(left, list) and isinstance(right, list):
        length = max(len(left), len(right))
        pad_left = left + [None] * (length - len(left))
        pad_right = right + [None] * (length - len(right))
        pairs = [(f"{name}.{i + 1}", pad_left[i], pad_right[i]) for i in range(length)]
    else:
        return [] if left == right and type(left) is type(right) else [(name, left, right)]
    return [row for key, a, b in pairs for row in _walk(a, b, key)]
