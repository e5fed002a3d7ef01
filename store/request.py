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
    check_name,
    check_text,
    check_weight,
)
from store.parameters import Parameters as Parameters

REQUEST_FORMAT = 2
"""Number of the canonical form. A new form gets a new number; old ones stay readable.

Form 1 knew only prompts, seed, steps, cfg scale, sampler, size and style preset. A request of
form 1 keeps its form and so its digest; it cannot hold anything that came later.
"""

_FIRST_FORM = ("seed", "steps", "cfg_scale", "sampler", "width", "height", "style_preset")

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
    """The ordered prompts of one request, at most 64."""

    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "prompts", tuple(self.prompts))
        if len(self.prompts) > PROMPT_LIMIT:
            raise RequestError(
                "prompts",
                len(self.prompts),
                f"The stack has {len(self.prompts)} prompts, more than {PROMPT_LIMIT}.",
                "Remove some.",
            )

    def check_drawable(self) -> None:
        """Raise `RequestError` unless a prompt is active with a weight above 0."""
        if not self.prompts:
            raise RequestError("prompts", (), "The prompt stack is empty.", "Add a prompt.")
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


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Prompt stack, parameters and engine: complete, immutable, known by its digest.

    `engine` names the engine (`builtin`, `stability`), `model` what it runs
    (`stable-diffusion-xl-1024-v1-0`). One request stands for one image. The stack needs a prompt
    with a weight above 0, except where an image is only made larger.
    """

    format: int = REQUEST_FORMAT
    engine: str
    model: str
    stack: PromptStack
    parameters: Parameters

    def __post_init__(self) -> None:
        if not 1 <= self.format <= REQUEST_FORMAT:
            raise RequestError(
                "format",
                self.format,
                f"This request has the form {self.format}; this program knows 1 to "
                f"{REQUEST_FORMAT}.",
                "Update Safelight to read it.",
            )
        if self.format == 1 and self.parameters.has_extras:
            raise RequestError(
                "format", 1, "A request of form 1 cannot hold these parameters.", "Use form 2."
            )
        check_name("engine", self.engine)
        check_name("model", self.model)
        if self.parameters.upscale is None:
            self.stack.check_drawable()

    def to_json(self) -> bytes:
        """The canonical form: UTF-8 JSON, sorted keys, no spaces, every field."""
        if self.format > 1:
            return msgspec.json.encode(self, order="sorted")
        values = msgspec.to_builtins(self)
        known = values["parameters"]
        values["parameters"] = {name: known[name] for name in _FIRST_FORM}
        return msgspec.json.encode(values, order="sorted")

    @classmethod
    def from_json(cls, data: bytes | str) -> Self:
        """The request in `data`. Raises `RequestError` when a field is missing, unknown or bad."""
        try:
            values = msgspec.json.decode(data)
            if isinstance(values, dict) and values.get("format") != 1:
                _check_complete(values)
            return msgspec.convert(values, type=cls)
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


def _check_complete(values: dict[str, Any]) -> None:
    """A stored request leaves nothing out, also where the type has a default."""
    parameters = values.get("parameters")
    if not isinstance(parameters, dict):
        return
    for name in Parameters.__struct_fields__:
        if name not in parameters:
            raise RequestError(
                f"parameters.{name}", None, f"Not a request: the field {name} is missing."
            )


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
