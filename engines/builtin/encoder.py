"""The encoder in numpy: pictures to latents, the way back from the decoder."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.builtin.convolutions import Convolutions, from_bytes, gather_squares
from engines.builtin.elementary import Floats
from engines.builtin.quantized import FineProduct
from engines.builtin.weights import Weights

_PAIRS = ("enc.fine", "enc.coarse.0", "enc.coarse.1")


class Encoder:
    """8-bit RGB pictures to latents in the scale of the denoiser."""

    def __init__(self, weights: Weights) -> None:
        a = weights.arrays
        self._down = FineProduct(a["enc.down.w"], a["enc.down.b"])
        self._leave = FineProduct(a["enc.leave.w"], a["enc.leave.b"])
        self._mean, self._deviation = a["latent.mean"], a["latent.deviation"]
        names = ("enc.enter", *(f"{pair}.{part}" for pair in _PAIRS for part in "ab"))
        self._convolutions = Convolutions(weights, names)

    def encode(self, picture: NDArray[np.uint8]) -> Floats:
        """(8 h, 8 w, 3) to (h, w, channels)."""
        x = self._convolutions.apply("enc.enter", gather_squares(from_bytes(picture), 4))
        x = self._convolutions.refine("enc.fine", x)
        x = self._down(gather_squares(x, 2))
        for pair in _PAIRS[1:]:
            x = self._convolutions.refine(pair, x)
        z = self._leave(np.maximum(x, 0))
        # The training squeezes latents into (-3, 3) in this way.
        z /= np.sqrt(z * z / np.float32(9) + np.float32(1))
        z -= self._mean
        z /= self._deviation
        return z
