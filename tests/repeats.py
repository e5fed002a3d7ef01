"""Many slow values of a test: the default run takes a few, `-m exhaustive` more of them.

Where even those are an hour, the rest is left to `-m campaign`, which nothing runs by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest


def keep(values: Iterable[Any], is_kept: Callable[[Any], object]) -> list[Any]:
    """`values` for `parametrize`, those that are not kept marked as `exhaustive`.

    A value of several parameters is a tuple, and a single one that is a tuple stands in another.
    """
    return [each if is_kept(each) else mark(each) for each in values]


def mark(value: Any) -> Any:
    """`value` for `parametrize`, left out of the default run."""
    values = value if isinstance(value, tuple) else (value,)
    return pytest.param(*values, marks=pytest.mark.exhaustive)


def list_left_out(count: int, kept: int) -> list[int]:
    """The places below `count` that are left when `kept` are taken, as evenly as can be.

    What the mark `samples` does: each value is in the exhaustive run, a few are in the default one.
    """
    taken = {place * count // kept for place in range(kept)}
    return [place for place in range(count) if place not in taken]


def draw(count: int, exhaustive: int) -> list[Any]:
    """The numbers below `count` for `parametrize`, each of which is a seed.

    0 is in the default run, those up to `exhaustive` in the exhaustive one, the rest is a campaign.
    """
    rest = [pytest.param(seed, marks=pytest.mark.campaign) for seed in range(exhaustive + 1, count)]
    return [0, *map(mark, range(1, exhaustive + 1)), *rest]
