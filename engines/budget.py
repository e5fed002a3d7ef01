"""The day's budget: what paid images have cost today, and whether one more fits in."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING

from engines.base import EngineError, Failure
from engines.cost import estimate_cost, show_credits
from store import charges, queue
from store.records import JobState
from store.request import Request

if TYPE_CHECKING:
    from engines.settings import Settings
    from store.database import Database


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
        f"This would cost about {show_credits(new)} credits. Paid images of today have cost "
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
