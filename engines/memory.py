"""The memory of this process: how much it is, and that it goes back to the system."""

from __future__ import annotations

import ctypes
import gc
import os
import traceback
from pathlib import Path
from typing import Any

_ARENA_MAX = -8
"""glibc's number for it (`malloc.h`)."""

_ARENAS = 2

_SELDOM = (10_000, 10, 20)
"""Allocations before the young are looked through; how often that, and the next, before more is."""


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


def collect_seldom() -> None:
    """Look for circular garbage ten times less often, and never in what is there by now.

    A screen makes tens of thousands of small objects each time it is drawn, and hardly a circle.
    To look through all that a process holds takes a tenth of a second, in which no key is heard.
    """
    gc.freeze()
    gc.set_threshold(*_SELDOM)


def give_back() -> None:
    """Give back what is freed, that too which only a failure and its own frames still hold."""
    gc.collect()
    trim = getattr(_find_c(), "malloc_trim", None)
    if trim is not None:
        trim(0)


def forget_frames(error: BaseException) -> None:
    """Let go of what the frames hold that `error`, and what led to it, came through.

    They would hold it as long as anybody has the error, and in a circle with it even longer.
    """
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        traceback.clear_frames(found.__traceback__)
        found = found.__cause__ or found.__context__


def read_resident() -> int:
    """Bytes of memory that this process has now; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
