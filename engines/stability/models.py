"""What the Stability API accepts over gRPC, what it takes for it, and how it is set up.

Readable without gRPC.

The numbers are those of the documentation of the hosted service; where its pages differ
the wider range is used, because the server has the last word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec

from engines.capabilities import Capabilities, Sizes, Span
from engines.remote import HostedSection, HostedSettings, Text
from store.errors import RequestError
from store.request import Request

ENGINE = "stability"

HOSTED = "grpc.stability.ai:443"


class StabilitySection(HostedSection, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[stability] and each of [hosts.NAME], as written; see `StabilitySettings`."""

    key_hint: ClassVar[str] = (
        "Put it into a file of its own (mode 0600) and name that as key_file in the section "
        "[{place}], or set STABILITY_KEY."
    )

    host: Text = HOSTED
    key_command: Annotated[tuple[str, ...], msgspec.Meta(min_length=1)] | None = None
    key_file: Text | None = None
    keyring: bool = False
    tls: bool | None = None
    model: str | None = None
    models: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()
    free: bool | None = None


class StabilitySettings(HostedSettings, frozen=True, kw_only=True):
    """The engine `stability`.

    `host`: `host:port` or `unix:/path`. `tls`: on or off, None for the rule (off for this machine,
    else on). `models`: the names to offer, the default first; empty for those of the hosted
    service. `upscale_models`: likewise those that make an image larger. `is_free`: whether images
    cost nothing there, None for the rule (free on this machine).
    """

    host: str = HOSTED
    tls: bool | None = None
    models: tuple[str, ...] = ()
    upscale_models: tuple[str, ...] = ()
    is_free: bool | None = None


SIDE_MULTIPLE = 64
SDXL_PREFIX = "stable-diffusion-xl"

GUIDED_SAMPLERS = ("ddim", "k_euler_ancestral", "k_dpm_2_ancestral", "k_dpmpp_2s_ancestral")
"""The samplers that CLIP guidance works with, as its documentation lists them."""

GUIDANCE_WHY_NOT = (
    "CLIP guidance does not repeat: the same request with the same seed gives another image "
    "each time."
)


class Upscaler(msgspec.Struct, frozen=True, kw_only=True):
    """An upscaling model of the hosted service: pixels in all that it takes and makes.

    `has_diffusion`: it uses prompts, seed, steps and cfg scale.
    """

    pixels_in: int
    pixels_out: int
    has_diffusion: bool
    steps_high: int = 500


UPSCALER_RULES = {
    "esrgan-v1-x2plus": Upscaler(pixels_in=1_048_576, pixels_out=4_194_304, has_diffusion=False),
    "stable-diffusion-x4-latent-upscaler": Upscaler(
        pixels_in=393_216, pixels_out=6_291_456, has_diffusion=True, steps_high=50
    ),
}
"""The hosted service's upscaling models, the SDK's default first."""


def has_diffusion(model: str) -> bool:
    """Whether the upscaling `model` uses prompts, seed, steps and cfg scale.

    A model that is not the hosted service's is told them; it decides.
    """
    return model not in UPSCALER_RULES or UPSCALER_RULES[model].has_diffusion


def describe_losses(request: Request) -> tuple[str, ...]:
    """What a person should know before `request` is run: what does not repeat or is not read."""
    found = []
    if request.parameters.guidance is not None:
        found.append(GUIDANCE_WHY_NOT)
    is_upscale = request.parameters.upscale is not None
    if is_upscale and request.stack.active and not has_diffusion(request.model):
        found.append(f"{request.model} reads no prompts; they are not sent.")
    return tuple(found)


def check_rules(request: Request) -> None:
    """Raise `RequestError` for what the service would refuse; no file is looked at."""
    parameters = request.parameters
    if parameters.guidance is not None:
        _check_guidance(request)
    if parameters.upscale is None:
        return
    _check_upscale(request)
    rule = UPSCALER_RULES.get(request.model)
    if rule is None:
        return
    _check_pixels("size", request.model, (parameters.width, parameters.height), rule.pixels_out)
    if rule.has_diffusion and parameters.steps > rule.steps_high:
        raise RequestError(
            "parameters.steps",
            parameters.steps,
            f"{request.model} takes at most {rule.steps_high} steps.",
        )


def check_initial_size(size: tuple[int, int]) -> None:
    """Raise `RequestError` for an initial image that the hosted service cannot start from."""
    if any(side % SIDE_MULTIPLE for side in size):
        width, height = (max(SIDE_MULTIPLE, side - side % SIDE_MULTIPLE) for side in size)
        raise RequestError(
            "parameters.initial_image",
            size,
            f"The initial image has {size[0]}x{size[1]} pixels; the Stability API takes only "
            f"sides that are multiples of {SIDE_MULTIPLE}.",
            f"Crop or resize it, for example to {width}x{height}.",
        )


def check_mask_size(mask: tuple[int, int], initial: tuple[int, int]) -> None:
    """Raise `RequestError` for a mask of another size than the initial image."""
    if mask != initial:
        raise RequestError(
            "parameters.mask",
            mask,
            f"The mask has {mask[0]}x{mask[1]} pixels, the initial image "
            f"{initial[0]}x{initial[1]}.",
            "Give a mask of the same size.",
        )


def check_upscale_input(model: str, size: tuple[int, int]) -> None:
    """Raise `RequestError` for an image that is too large for `model` to make larger."""
    if model in UPSCALER_RULES:
        _check_pixels("upscale", model, size, UPSCALER_RULES[model].pixels_in)


def _check_guidance(request: Request) -> None:
    parameters = request.parameters
    if request.model.startswith(SDXL_PREFIX):
        raise RequestError(
            "parameters.guidance",
            request.model,
            f"CLIP guidance does not work with {request.model}.",
            "Leave it out, or choose another model.",
        )
    if parameters.upscale is None and parameters.sampler not in GUIDED_SAMPLERS:
        raise RequestError(
            "parameters.guidance",
            parameters.sampler,
            f"CLIP guidance does not work with the sampler {parameters.sampler}.",
            f"Choose one of {', '.join(GUIDED_SAMPLERS)}, or leave the guidance out.",
        )


def _check_upscale(request: Request) -> None:
    """An upscale starts from one image; what draws another one has no place in it."""
    parameters = request.parameters
    names = ["initial_image", "mask", "variation", "adapter"]
    if not has_diffusion(request.model):
        names += ["style_preset", "guidance", "fine_tunes", "content_credentials"]
    for name in names:
        if getattr(parameters, name):
            raise RequestError(
                f"parameters.{name}",
                msgspec.to_builtins(getattr(parameters, name)),
                f"{request.model} has no {name.replace('_', ' ')} when it makes an image larger.",
                "Leave it out.",
            )


def _check_pixels(name: str, model: str, size: tuple[int, int], limit: int) -> None:
    if size[0] * size[1] > limit:
        what = "makes" if name == "size" else "takes"
        raise RequestError(
            f"parameters.{name}",
            size,
            f"{model} {what} at most {limit:,} pixels; {size[0]}x{size[1]} are "
            f"{size[0] * size[1]:,}.",
            "Ask for a smaller size." if name == "size" else "Start from a smaller image.",
        )


SAMPLERS = (
    "ddim",
    "ddpm",
    "k_euler",
    "k_euler_ancestral",
    "k_heun",
    "k_dpm_2",
    "k_dpm_2_ancestral",
    "k_lms",
    "k_dpmpp_2s_ancestral",
    "k_dpmpp_2m",
    "k_dpmpp_sde",
)
"""The samplers of the protocol, by the API's names, each at the index of its number there."""

STYLE_PRESETS = (
    "3d-model",
    "analog-film",
    "anime",
    "cinematic",
    "comic-book",
    "digital-art",
    "enhance",
    "fantasy-art",
    "isometric",
    "line-art",
    "low-poly",
    "modeling-compound",
    "neon-punk",
    "origami",
    "photographic",
    "pixel-art",
    "tile-texture",
)

_SDXL_ONLY = (
    (1024, 1024),
    (1152, 896),
    (1216, 832),
    (1344, 768),
    (1536, 640),
    (896, 1152),
    (832, 1216),
    (768, 1344),
    (640, 1536),
)
_SDXL = Sizes(default=(1024, 1024), suggested=_SDXL_ONLY, native=_SDXL_ONLY, only=_SDXL_ONLY)

_V1_6 = Sizes(
    default=(512, 512),
    suggested=((512, 512), (640, 512), (768, 512), (896, 512), (512, 768), (512, 896), (768, 768)),
    native=((512, 512),),
    low=320,
    high=1536,
    pixels_high=1536 * 1536,
)
_512 = Sizes(
    default=(512, 512),
    suggested=((512, 512), (640, 512), (768, 512), (896, 512), (512, 768), (512, 896)),
    native=((512, 512),),
    high=8192,
    pixels_low=512 * 512,
    pixels_high=1024 * 1024,
)
_768 = Sizes(
    default=(768, 768),
    suggested=((768, 768), (896, 768), (1024, 768), (768, 1024)),
    native=((768, 768),),
    high=8192,
    pixels_low=768 * 768,
    pixels_high=1024 * 1024,
)

_SERVED = Sizes(
    default=(512, 512),
    suggested=((512, 512), (768, 512), (512, 768), (1024, 1024), (256, 256), (128, 128)),
    high=4096,
    pixels_high=4096 * 4096,
)
"""For a model that only the server knows: what a request may hold; the server decides."""

SIZES = {
    "stable-diffusion-xl-1024-v1-0": _SDXL,
    "stable-diffusion-v1-6": _V1_6,
    "stable-diffusion-512-v2-1": _512,
    "stable-diffusion-768-v2-1": _768,
    "stable-diffusion-xl-1024-v0-9": _SDXL,
}
"""The sizes of each model that is known to the hosted service, the default model first."""

WHY_NOT = (
    "The Stability API does not promise the same pixels for the same request: "
    "the service may change its models or hardware and does not say when."
)

TAKES = (
    "initial_image",
    "mask",
    "guidance",
    "weight_method",
    "adapter",
    "fine_tunes",
    "content_credentials",
    "upscale",
)
"""The optional parameters that the protocol can express."""


class StabilityCapabilities(Capabilities, frozen=True, kw_only=True):
    """Capabilities with the rules of the hosted service's models."""

    def check(self, request: Request) -> None:
        """Raise `RequestError` for the first field that the service does not accept."""
        super().check(request)
        check_rules(request)


def make_capabilities(
    models: Sequence[str] = (), upscale_models: Sequence[str] = ()
) -> StabilityCapabilities:
    """The engine's capabilities, offering `models` instead of the hosted service's own.

    Likewise `upscale_models`.

    A name that is not in `SIZES` is allowed: a server of one's own names its models as it
    likes, and checks sizes itself.
    """
    names = tuple(models) or tuple(SIZES)
    return StabilityCapabilities(
        engine=ENGINE,
        title="Stability API (gRPC)",
        models=names,
        samplers=SAMPLERS,
        default_sampler="k_dpmpp_2m",
        style_presets=STYLE_PRESETS,
        steps=Span(low=10, high=150, step=1, default=30),
        cfg_scale=Span(low=0, high=35, step=0.5, default=7),
        sizes=SIZES.get(names[0], _SERVED),
        sizes_by_model={name: SIZES.get(name, _SERVED) for name in names},
        takes=TAKES,
        upscale_models=tuple(upscale_models) or tuple(UPSCALER_RULES),
        is_deterministic=False,
        why_not=WHY_NOT,
        is_paid=True,
    )


_BY_PIXELS = (
    "stable-diffusion-v1-6",
    "stable-diffusion-512-v2-1",
    "stable-diffusion-768-v2-1",
)
_LATENT_UPSCALER = "stable-diffusion-x4-latent-upscaler"
_SMALLEST = 512 * 512


def estimate_credits(request: Request) -> float | None:
    """What the hosted service takes for `request`, in credits; None when no price is known.

    The figures are those that it showed its users in 2023 (its pricing page and its documentation
    of upscalers); it may charge otherwise, as nothing in its protocol tells a price. Models of
    Stable Diffusion 1 and 2 by pixels and steps (below 512x512, where the formula makes no sense,
    as 512x512), SDXL 0.9 by steps, SDXL 1.0 about 0.2; upscalers 0.2 (ESRGAN), 8 or, from more
    than 512x512 pixels, 12 (latent).
    """
    parameters, model = request.parameters, request.model
    pixels, steps = parameters.width * parameters.height, parameters.steps
    if model in ("stable-diffusion-xl-1024-v1-0", "esrgan-v1-x2plus"):
        return 0.2
    if model == _LATENT_UPSCALER:
        return 12.0 if pixels > _SMALLEST * 4 * 4 else 8.0
    if model in _BY_PIXELS:
        return (max(pixels, _SMALLEST) - 169_527) * steps / 30 * 2.16e-8 * 100
    if model == "stable-diffusion-xl-1024-v0-9":
        known = {30: 1.6, 50: 2.0}
        return known.get(steps, 100 * (0.0122 + 0.000127 * steps + 0.000000623 * steps**2))
    return None
