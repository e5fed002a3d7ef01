"""Waiting for a condition: one way, for plain tests and for coroutines.

Both look often at first and then every `LONGEST` seconds, so that what comes at once costs
no time and what comes late costs no processor.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator

SECONDS = 60.0
"""How long a condition may take to come true: much longer than on a busy machine."""

SHORTEST, LONGEST = 0.001, 0.02


def wait_until(
    is_reached: Callable[[], object],
    what: str = "the condition",
    seconds: float = SECONDS,
    *,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Return when `is_reached()` is true; fail with `what` after `seconds`.

    `sleep` lets a number of seconds pass, or fewer where something happened meanwhile.
    """
    pauses = _pace(what, seconds)
    while not is_reached():
        sleep(next(pauses))


async def wait_for(
    is_reached: Callable[[], object],
    what: str = "the condition",
    seconds: float = SECONDS,
    *,
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
) -> None:
    """Let other coroutines work until `is_reached()` is true; fail with `what` after `seconds`."""
    pauses = _pace(what, seconds)
    while not is_reached():
        await sleep(next(pauses))


def _pace(what: str, seconds: float) -> Iterator[float]:
    """How long to sleep before each further look."""
    deadline, pause = time.monotonic() + seconds, SHORTEST
    while time.monotonic() < deadline:
        yield pause
        pause = min(2 * pause, LONGEST)
    raise AssertionError(f"waited {seconds:g} s in vain for: {what}")
