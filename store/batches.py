"""Some at a time: what is taken apart so that nobody waits long, or a statement stays short."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

TOGETHER = 500
"""How many numbers or ids stand in one query at most."""

_Item = TypeVar("_Item")


def divide(items: Iterable[_Item], size: int = TOGETHER) -> Iterator[list[_Item]]:
    """`items` in their order, `size` at a time, the last time fewer; only those are held."""
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some
