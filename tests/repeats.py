"""Many slow values of a test: the default run takes a few, `-m exhaustive` the rest."""

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
