"""What an image costs, estimated before it is sent. Pure; 1 credit is 0.01 US dollar.

The figures are those that the hosted service showed its users in 2023 (its pricing page and its
documentation of upscalers) and, for the REST service, its reference of 2025. The service may
charge otherwise: nothing in its protocol tells a price.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engines.base import EngineError, Failure
from engines.remote import find_target, find_web_target
from store import charges, queue
from store.records import JobState
from store.request import Request

if TYPE_CHECKING:
    from engines.settings import Settings
    from store.database import Database


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


def spent_today(db: Database) -> float:
    """The credits of all that was sent since midnight here, in credits.

    What failed or whose outcome is unknown counts unless the service is known to have taken
    nothing for it.
    """
    midnight = datetime.datetime.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return charges.sum_charges(db, midnight.timestamp())


def check_budget(
    db: Database, requests: Sequence[Request], settings: Settings, *, is_queued: bool = False
) -> None:
    """Raise `EngineError` (OVER_BUDGET) when `requests` would cost more than the day allows.

    Jobs that wait count too, unless `is_queued`: then `requests` are one of them, and its turn
    has come.
    """
    limit = settings.budget.credits_per_day
    if limit is None:
        return
    prices = [_price(request, settings) for request in requests]
    new = sum(prices)
    if not new:
        return
    spent, waiting = spent_today(db), 0.0
    if not is_queued:
        jobs = queue.list_jobs(db, states=(JobState.WAITING,), limit=10_000)
        for job in jobs:
            if settings.profile != job.profile and job.profile not in settings.profiles:
                continue
            waiting += estimate_cost(job.request, settings.for_profile(job.profile)) or 0.0
    # Prices are sums of decimal fractions: the last bit must not decide.
    if spent + waiting + new <= limit + 1e-6:
        return
    also = f", and {show_credits(waiting)} more for jobs that wait" if waiting else ""
    raise EngineError(
        Failure.OVER_BUDGET,
        f"This would cost {describe_cost(new)}. Paid images of today have cost "
        f"{show_credits(spent)}{also}; the limit is {show_credits(limit)} a day.",
        "Raise credits_per_day in the section [budget] of config.toml, or wait until tomorrow.",
    )


def _price(request: Request, settings: Settings) -> float:
    price = estimate_cost(request, settings)
    if price is None:
        raise EngineError(
            Failure.OVER_BUDGET,
            f"There is a limit of credits a day, and the price of {request.model} is not known.",
            f'Say it in config.toml: "{request.model}" = CREDITS in the section '
            "[budget.prices], or remove credits_per_day.",
        )
    return price
