"""The noise of one image: of its seed, or blended with that of a variation seed.

`linear-variance-1`: with a of the seed, b of the variation seed and w the strength, the noise is

    ((1 - w) a + w b) / sqrt((1 - w)^2 + w^2)

which keeps its variance 1. Every draw of an image is blended, also those between steps, so that
strength 0 is the seed's image and 1 that of the variation seed. It takes the place of a
spherical blend, whose arc cosine and sines differ between machines.
"""

from __future__ import annotations

import math

import numpy as np

from engines.builtin.elementary import Floats
from engines.builtin.noise import Stream, draw_noise
from store.parameters import Variation

VARIATION = "linear-variance-1"


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
