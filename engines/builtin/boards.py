"""Memory that processes share: arrays by name, at the same places for each of them."""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Mapping

import numpy as np

from engines.builtin.elementary import Floats

ALIGNMENT = 64
"""Bytes; no two arrays share a line of a processor's cache."""


class BoardError(ValueError):
    """Arrays that are too large for the memory that is shared."""


def make_memory(size: int) -> int:
    """A descriptor of `size` bytes of 0 in memory, which no other process finds by a name."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("safelight", os.MFD_CLOEXEC)
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, size)
    return descriptor


def lay_out(
    shapes: Mapping[str, tuple[int, ...]], memory: mmap.mmap | None = None
) -> dict[str, Floats]:
    """Arrays of these shapes, one behind the other in `memory`, or in memory of this process.

    Memory of this process is 0 at first. Raises `BoardError` where they do not fit.
    """
    places, end = {}, 0
    for name, shape in shapes.items():
        places[name] = end
        end += -(-4 * math.prod(shape) // ALIGNMENT) * ALIGNMENT
    if memory is not None and end > len(memory):
        raise BoardError(f"{end} bytes do not fit into {len(memory)}.")
    whole = np.zeros(end // 4, np.float32) if memory is None else np.frombuffer(memory, np.float32)
    return {
        name: whole[place // 4 : place // 4 + math.prod(shapes[name])].reshape(shapes[name])
        for name, place in places.items()
    }
