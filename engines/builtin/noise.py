"""Gaussian noise by name, seed and place: the same bits everywhere, no state kept.

`philox-1`: numpy's Philox 4x64-10 generator, keyed by (seed, stream) and counted from
(0, 0, step, 0); its raw 64-bit words give uniform numbers (k + 0.5) / 2^53, and P. J. Acklam's
rational approximation of the inverse normal distribution (relative error 1.2e-9) turns these
into Gaussian ones, in float64 with exactly defined operations only.

`linear-variance-1`: with a of the seed, b of the variation seed and w the strength, the noise is

    ((1 - w) a + w b) / sqrt((1 - w)^2 + w^2)

which keeps its variance 1. Every draw of an image is blended, also those between steps, so that
strength 0 is the seed's image and 1 that of the variation seed. It takes the place of a
spherical blend, whose arc cosine and sines differ between machines.
"""

from __future__ import annotations

import math
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from engines.builtin.elementary import Floats, log_of_unit
from store.request import Variation

_A = (-39.69683028665376, 220.9460984245205, -275.9285104469687,
      138.3577518672690, -30.66479806614716, 2.506628277459239)  # fmt: skip
_B = (-54.47609879822406, 161.5858368580409, -155.6989798598866,
      66.80131188771972, -13.28068155288572, 1.0)  # fmt: skip
_C = (-0.007784894002430293, -0.3223964580411365, -2.400758277161838,
      -2.549732539343734, 4.374664141464968, 2.938163982698783)  # fmt: skip
_D = (0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1.0)
_LOW = 0.02425


class Stream(IntEnum):
    """What the noise is for; streams of one seed are independent."""

    INITIAL = 0
    SAMPLER = 1
    AREA = 2
    """What lies in the part of an initial image that is made anew."""


def _poly(terms: tuple[float, ...], x: NDArray[np.float64]) -> NDArray[np.float64]:
    value = np.full_like(x, terms[0])
    for term in terms[1:]:
        value *= x
        value += term
    return value


def invert_normal(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """The numbers below which a standard Gaussian one lies with probability `p` (0 < p < 1)."""
    q = p - 0.5
    r = q * q
    central = _poly(_A, r) * q / _poly(_B, r)
    tail_p = np.minimum(p, 1 - p)
    t = np.sqrt(-2 * log_of_unit(np.minimum(tail_p, _LOW)))
    tail = _poly(_C, t) / _poly(_D, t)
    return np.where(tail_p < _LOW, np.where(q < 0, tail, -tail), central)


def draw_noise(seed: int, stream: Stream, step: int, shape: tuple[int, ...]) -> Floats:
    """Standard Gaussian noise in float32, the same for the same four arguments."""
    bits = np.random.Philox(key=[seed, int(stream)], counter=[0, 0, step, 0])
    raw = bits.random_raw(int(np.prod(shape)))
    uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
    return invert_normal(uniform).astype(np.float32).reshape(shape)


class Draws:
    """Standard Gaussian noise for an image; the same arguments give the same bits."""

    def __init__(self, seed: int, variation: Variation | None = None) -> None:
        self._seed = seed
        self._variation = variation

    def draw(self, stream: Stream, step: int, shape: tuple[int, ...]) -> Floats:
        """Noise in float32, of variance 1 whatever the strength is."""
        noise = draw_noise(self._seed, stream, step, shape)
        if self._variation is None:
            return noise
        other = draw_noise(self._variation.seed, stream, step, shape)
        w = self._variation.strength
        length = math.sqrt((1 - w) * (1 - w) + w * w)
        blended: Floats = np.float32((1 - w) / length) * noise + np.float32(w / length) * other
        return blended
