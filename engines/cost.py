"""What an image costs, estimated before it is sent, and the day's budget.

1 credit is 0.01 US dollar. Engines know their prices; settings may know better.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engines.base import EngineError, Failure
from engines.installed import find_installed
from store import charges, queue
from store.records import JobState
from store.request import Request

if TYPE_CHECKING:
    from engines.settings import Settings
    from store.database import Database


def estimate_cost(request: Request, settings: Settings) -> float | None:
    """The credits that `request` may cost with these settings; 0 where images are free.

    A price in the section [budget] wins over the engine's list; None when neither knows it.
    """
    spec = find_installed().find_spec(request.engine)
    price = None if spec is None else spec.estimate_cost(request, settings.of(spec))
    if price == 0:
        return 0.0
    own = settings.budget.prices.get(request.model)
    return price if own is None else float(own)


def describe_cost(price: float | None) -> str:
    """`about 0.2 credits`, or that it is not known."""
    if price is None:
        return "an unknown number of credits"
    shown = show_credits(price)
    return f"about {shown} {'credit' if shown == '1' else 'credits'}"


def show_credits(number: float) -> str:
    """A number of credits with at most two digits after the point."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


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
