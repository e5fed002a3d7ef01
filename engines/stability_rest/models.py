"""What the Stability API accepts over REST (v2beta). Readable without an HTTP client.

The service has no sampler, no steps, no width and height: it takes an aspect ratio, and each
ratio has one size a model.
"""

from __future__ import annotations

from engines.capabilities import LEFT_TO_SERVER, Capabilities, Span, leave_to_server
from engines.sizes import Sizes
from engines.stability.models import STYLE_PRESETS

ENGINE = "stability-rest"

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
