"""What the Stability API accepts over REST (v2beta), and what of a request it does not get.

The service has no sampler, no steps, no width and height: it takes an aspect ratio, and each ratio
has one size a model. A prompt stack is mapped into its one prompt and one negative prompt.
Pure; needs no HTTP client.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

import msgspec

from engines.capabilities import LEFT_TO_SERVER, Capabilities, Sizes, Span, leave_to_server
from engines.remote import HostedSection, HostedSettings, Text
from engines.stability.models import ENGINE as STABILITY
from engines.stability.models import STYLE_PRESETS, StabilitySection
from store.errors import RequestError
from store.request import Prompt, Request

ENGINE = "stability-rest"
KEY_PLACE = STABILITY
"""The section whose key is this engine's too."""

REST_HOSTED = "https://api.stability.ai"


class StabilityRestSection(HostedSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[stability-rest], as written."""

    key_hint: ClassVar[str] = StabilitySection.key_hint.format(place=KEY_PLACE)

    host: Text = REST_HOSTED


class StabilityRestSettings(HostedSettings, frozen=True, kw_only=True):
    """The engine `stability-rest`.

    `host`: `https://host`, or `http://host:port` for this machine. `key`: that of the engine
    `stability`.
    """

    host: str = REST_HOSTED


CORE = "stable-image-core"
ULTRA = "stable-image-ultra"
FAST = ("sd3.5-large-turbo", "sd3.5-flash")
"""The models that are made for cfg scale 1."""

PATHS = {
    CORE: "core",
    ULTRA: "ultra",
    "sd3.5-large": "sd3",
    "sd3.5-large-turbo": "sd3",
    "sd3.5-medium": "sd3",
    "sd3.5-flash": "sd3",
}
"""The end of the address of each model, the default model first."""

WEIGHTED = (CORE, ULTRA)
"""The models whose documentation has `(text:weight)` in a prompt, weights from 0 to 1."""

TEXT_LIMIT = 10_000
"""Most characters of the prompt, and of the negative prompt."""

SIDE_LOW = 64
SIDE_HIGH = {ULTRA: 16_384}
"""Smallest and, where one is documented, largest side of an initial image, in pixels."""

MESSAGE_LIMIT = 10 * 1024 * 1024
"""Most bytes of a request with an image for Stable Diffusion 3.5."""

_WIDE = {
    "1:1": (1024, 1024),
    "5:4": (1088, 896),
    "3:2": (1216, 832),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
}
_WIDE_CORE = {
    "1:1": (1536, 1536),
    "5:4": (1632, 1344),
    "3:2": (1824, 1248),
    "16:9": (2016, 1152),
    "21:9": (2304, 960),
}


def _add_tall(wide: dict[str, tuple[int, int]]) -> dict[str, tuple[int, int]]:
    tall = {
        ":".join(reversed(ratio.split(":"))): (height, width)
        for ratio, (width, height) in wide.items()
        if width != height
    }
    return wide | tall


_RATIOS, _RATIOS_CORE = _add_tall(_WIDE), _add_tall(_WIDE_CORE)

RATIOS = {model: _RATIOS_CORE if model == CORE else _RATIOS for model in PATHS}
"""The aspect ratios of each model and the size (width, height) in pixels that each gives."""


def find_ratio(model: str, width: int, height: int) -> str:
    """The aspect ratio by which `model` makes this size. Raises `KeyError` without one."""
    return {size: ratio for ratio, size in RATIOS[model].items()}[width, height]


def _list_sizes(model: str) -> Sizes:
    sizes = tuple(RATIOS[model].values())
    return Sizes(default=sizes[0], suggested=sizes, native=sizes, only=sizes)


def _make_span(default: float) -> Span:
    return Span(low=1, high=10, step=0.5, default=default)


_CFG_SCALES = {
    model: leave_to_server(0) if model in WEIGHTED else _make_span(1 if model in FAST else 4)
    for model in PATHS
}

CAPABILITIES = Capabilities(
    engine=ENGINE,
    title="Stability API (REST)",
    models=tuple(PATHS),
    samplers=(LEFT_TO_SERVER,),
    default_sampler=LEFT_TO_SERVER,
    style_presets=STYLE_PRESETS,
    steps=leave_to_server(1),
    cfg_scale=_CFG_SCALES[CORE],
    cfg_scale_by_model=_CFG_SCALES,
    sizes=_list_sizes(CORE),
    sizes_by_model={model: _list_sizes(model) for model in PATHS},
    weights=(-1.0, 1.0),
    token_limit=None,
    takes_by_model={model: ("initial_image",) for model in PATHS if model != CORE},
    is_deterministic=False,
    why_not=(
        "The Stability API does not promise the same pixels for the same request: the service "
        "decides sampler and steps itself, and may change its models without saying when."
    ),
    is_paid=True,
)


_JOINT = ", "
_SYNTAX = re.compile(r"[():]")
_DIGITS = 4
"""Decimals of a weight within the text."""


class Mapping(msgspec.Struct, frozen=True, kw_only=True):
    """The texts that are sent, the negative one None without any; what is lost, in sentences."""

    prompt: str
    negative_prompt: str | None
    losses: tuple[str, ...]


def describe_losses(request: Request) -> tuple[str, ...]:
    """What of `request` the service does not get, a sentence each; empty for nothing.

    Raises `RequestError` for a prompt stack that cannot be sent at all.
    """
    return (*map_stack(request).losses, *_describe_start(request))


def _describe_start(request: Request) -> list[str]:
    """What is lost beside an initial image."""
    initial, losses = request.parameters.initial_image, []
    if initial is None:
        return []
    if initial.end_schedule > 0:
        losses.append(
            f"The end schedule {initial.end_schedule:g} is not sent: the service always runs the "
            "schedule to its end."
        )
    if PATHS[request.model] == "sd3":
        losses.append(
            f"The size {request.parameters.width}x{request.parameters.height} is not sent: "
            f"{request.model} takes the proportions of the initial image."
        )
    return losses


def map_stack(request: Request) -> Mapping:
    """The texts for the prompts of `request`; those without an effect are left out.

    Prompts of weight above 0 are joined into the prompt, those below 0 into the negative
    prompt. Raises `RequestError` when a text gets too long or a weight is too close to 0.
    """
    wanted = [prompt for prompt in request.stack.active if prompt.weight > 0]
    avoided = [prompt for prompt in request.stack.active if prompt.weight < 0]
    losses: list[str] = []
    if request.model in WEIGHTED:
        texts = _weigh(wanted, losses)
    else:
        texts = [prompt.text for prompt in wanted]
        if any(prompt.weight != 1 for prompt in wanted):
            losses.append(
                f"{_name_weights(wanted)} not sent: {request.model} takes one prompt "
                "without weights."
            )
    if len(wanted) > 1:
        losses.append(f"The {len(wanted)} prompts are sent as one text, joined by commas.")
    losses += _describe_avoided(avoided, request)
    negative = _JOINT.join(prompt.text for prompt in avoided)
    return Mapping(
        prompt=_check_length(_JOINT.join(texts), "prompts"),
        negative_prompt=_check_length(negative, "prompts to avoid") if avoided else None,
        losses=tuple(losses),
    )


def _weigh(prompts: Sequence[Prompt], losses: list[str]) -> list[str]:
    """The texts with their weights in the service's syntax, brought into its 0 to 1."""
    scale = max(1.0, *(prompt.weight for prompt in prompts))
    sent = [round(prompt.weight / scale, _DIGITS) for prompt in prompts]
    if not all(sent):
        raise RequestError(
            "prompts",
            prompts[sent.index(0)].weight,
            f"The weight {prompts[sent.index(0)].weight:g} is too close to 0 to be sent.",
            "Raise it, or switch the prompt off.",
        )
    is_literal = [
        weight != 1 and _SYNTAX.search(prompt.text) is not None
        for prompt, weight in zip(prompts, sent, strict=True)
    ]
    weights = [1.0 if literal else w for w, literal in zip(sent, is_literal, strict=True)]
    if weights != [prompt.weight for prompt in prompts]:
        sent_as = _join([_show(weight) for weight in weights])
        losses.append(f"{_name_weights(prompts)} sent as {sent_as}: the service takes 0 to 1.")
    if any(is_literal):
        losses.append(
            "A prompt that holds a parenthesis or a colon is sent without its weight, "
            "because the service writes weights with them."
        )
    return [
        prompt.text if weight == 1 else f"({prompt.text}:{_show(weight)})"
        for prompt, weight in zip(prompts, weights, strict=True)
    ]


def _describe_avoided(avoided: Sequence[Prompt], request: Request) -> list[str]:
    losses = []
    if any(prompt.weight != -1 for prompt in avoided):
        losses.append(
            f"{_name_weights(avoided, ' to avoid')} not sent: the service has one negative "
            "prompt without a weight."
        )
    if len(avoided) > 1:
        losses.append(
            f"The {len(avoided)} prompts to avoid are sent as one text, joined by commas."
        )
    if avoided and request.model in FAST and request.parameters.cfg_scale == 1:
        losses.append(f"At cfg scale 1 {request.model} may not heed what is to be avoided.")
    return losses


def _name_weights(prompts: Sequence[Prompt], kind: str = "") -> str:
    """`The weights -0.5 and -2 of the prompts to avoid are`."""
    weights = _join([f"{prompt.weight:g}" for prompt in prompts])
    if len(prompts) == 1:
        return f"The weight {weights} of the prompt{kind} is"
    return f"The weights {weights} of the prompts{kind} are"


def _join(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _show(weight: float) -> str:
    """The weight without an exponent, as it stands in a prompt."""
    return f"{weight:.{_DIGITS}f}".rstrip("0").rstrip(".")


def _check_length(text: str, what: str) -> str:
    if len(text) > TEXT_LIMIT:
        raise RequestError(
            "prompts",
            len(text),
            f"The {what} have {len(text):,} characters together; the service takes {TEXT_LIMIT:,}.",
            "Shorten them or switch some off.",
        )
    return text


PRICES = {
    CORE: 3.0,
    ULTRA: 8.0,
    "sd3.5-large": 6.5,
    "sd3.5-large-turbo": 4.0,
    "sd3.5-medium": 3.5,
    "sd3.5-flash": 2.5,
}
"""Credits an image, by the service's reference of 2025; it may charge otherwise."""
