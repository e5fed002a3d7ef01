"""What the hosted service's models ask beyond ranges and sizes, known before anything is sent."""

from __future__ import annotations

import msgspec

from store.errors import RequestError
from store.request import Request

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
