"""What an image costs, estimated before it is sent. Pure; 1 credit is 0.01 US dollar.

The figures are those that the hosted service showed its users in 2023 (its pricing page and its
documentation of upscalers) and, for the REST service, its reference of 2025. The service may
charge otherwise: nothing in its protocol tells a price.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from engines.base import EngineError
from engines.remote import find_target, find_web_target
from store.request import Request

if TYPE_CHECKING:
    from engines.settings import Settings

_FIXED = {
    "stable-diffusion-xl-1024-v1-0": 0.2,
    "esrgan-v1-x2plus": 0.2,
    "stable-image-core": 3.0,
    "stable-image-ultra": 8.0,
    "sd3.5-large": 6.5,
    "sd3.5-large-turbo": 4.0,
    "sd3.5-medium": 3.5,
    "sd3.5-flash": 2.5,
}
_BY_PIXELS = (
    "stable-diffusion-v1-6",
    "stable-diffusion-512-v2-1",
    "stable-diffusion-768-v2-1",
)
_LATENT_UPSCALER = "stable-diffusion-x4-latent-upscaler"
_SMALLEST = 512 * 512


def estimate_credits(request: Request) -> float | None:
    """What the hosted service takes for `request`, in credits; None when no price is known.

    By the service's formulas: models of Stable Diffusion 1 and 2 by pixels and steps (below
    512x512, where the formula makes no sense, as 512x512), SDXL 0.9 by steps, SDXL 1.0 about
    0.2; upscalers 0.2 (ESRGAN), 8 or, from more than 512x512 pixels, 12 (latent).
    """
    parameters, model = request.parameters, request.model
    pixels, steps = parameters.width * parameters.height, parameters.steps
    if model == _LATENT_UPSCALER:
        return 12.0 if pixels > _SMALLEST * 4 * 4 else 8.0
    if model in _BY_PIXELS:
        return (max(pixels, _SMALLEST) - 169_527) * steps / 30 * 2.16e-8 * 100
    if model == "stable-diffusion-xl-1024-v0-9":
        known = {30: 1.6, 50: 2.0}
        return known.get(steps, 100 * (0.0122 + 0.000127 * steps + 0.000000623 * steps**2))
    return _FIXED.get(model)


def estimate_cost(request: Request, settings: Settings) -> float | None:
    """The credits that `request` may cost with these settings; 0 where images are free.

    A price in the section [budget] wins over the list; None when neither knows it.
    """
    if request.engine == "builtin":
        return 0.0
    if request.engine == "stability":
        stability = settings.stability
        is_free = stability.is_free
        if _is_this_machine(stability.host, stability.tls) if is_free is None else is_free:
            return 0.0
    elif request.engine == "stability-rest" and _is_this_machine(settings.stability_rest.host):
        return 0.0
    price = settings.budget.prices.get(request.model)
    return estimate_credits(request) if price is None else float(price)


def describe_cost(price: float | None) -> str:
    """`about 0.2 credits`, or that it is not known."""
    if price is None:
        return "an unknown number of credits"
    shown = show_credits(price)
    return f"about {shown} {'credit' if shown == '1' else 'credits'}"


def show_credits(number: float) -> str:
    """A number of credits with at most two digits after the point."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _is_this_machine(host: str, tls: bool | None = None) -> bool:
    try:
        target = find_web_target(host) if "://" in host else find_target(host, tls)
    except EngineError:
        return False
    return target.is_local
