"""The memory of the worker: what one job took goes back to the system after it."""

from __future__ import annotations

import ctypes
import gc
from typing import Any

_ARENA_MAX = -8
"""glibc's number for it (`malloc.h`)."""

_ARENAS = 2


def _find_c() -> Any:
    try:
        return ctypes.CDLL(None)
    except OSError:
        return None


def bound_arenas() -> None:
    """Let all threads allocate from few places; each would keep what was freed in it.

    Does nothing where the C library is not glibc.
    """
    mallopt = getattr(_find_c(), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _ARENAS)


def give_back() -> None:
    """Give back what is freed, that too which only a failure and its own frames still hold."""
    gc.collect()
    trim = getattr(_find_c(), "malloc_trim", None)
    if trim is not None:
        trim(0)
