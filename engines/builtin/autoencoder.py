"""The autoencoder in numpy: images to latents and back, and latents to small previews."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.builtin.elementary import Floats, fold, gather_squares
from engines.builtin.pixels import from_bytes, to_bytes
from engines.builtin.quantized import Convolution, Convolutions, FineProduct, Product
from engines.builtin.weights import Weights

_PAIRS = ("enc.fine", "enc.coarse.0", "enc.coarse.1")


class Encoder:
    """8-bit RGB images to latents in the scale of the denoiser."""

    def __init__(self, weights: Weights) -> None:
        a = weights.arrays
        self._down = FineProduct(a["enc.down.w"], a["enc.down.b"])
        self._leave = FineProduct(a["enc.leave.w"], a["enc.leave.b"])
        self._mean, self._deviation = a["latent.mean"], a["latent.deviation"]
        names = ("enc.enter", *(f"{pair}.{part}" for pair in _PAIRS for part in "ab"))
        self._convolutions = Convolutions(weights, names)

    def encode(self, image: NDArray[np.uint8]) -> Floats:
        """(8 h, 8 w, 3) to (h, w, channels)."""
        x = self._convolutions.apply("enc.enter", gather_squares(from_bytes(image), 4))
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


_PARTS = ("coarse", "fine")
_BLOCKS = [f"dec.{part}.{k}.{side}" for part in _PARTS for k in range(2) for side in "ab"]


class Decoder:
    """Latents (h, w, channels) in the scale of the denoiser to 8-bit RGB images."""

    def __init__(self, weights: Weights) -> None:
        a = weights.arrays
        self._convolutions = {
            name: Convolution(a[f"{name}.w"], a[f"{name}.b"])
            for name in ("dec.enter", *_BLOCKS, "dec.leave")
        }
        self._up = Product(a["dec.up.w"], a["dec.up.b"], is_positive=True)
        self._preview = FineProduct(a["preview.w"], a["preview.b"])
        self._deviation, self._mean = a["latent.deviation"], a["latent.mean"]

    def decode(self, latent: Floats) -> NDArray[np.uint8]:
        """(h, w, channels) to (8 h, 8 w, 3)."""
        x = self._convolutions["dec.enter"](latent * self._deviation + self._mean)
        for part in _PARTS:
            for k in range(2):
                hidden = self._refine(f"dec.{part}.{k}.a", x)
                x += self._refine(f"dec.{part}.{k}.b", hidden)
            if part == "coarse":
                h, w, c = x.shape
                x = fold(self._up(np.maximum(x, 0).reshape(h * w, c)), h, w)
        x = self._refine("dec.leave", x)
        h, w, c = x.shape
        return to_bytes(fold(x.reshape(h * w, c), h, w, side=4))

    def _refine(self, name: str, x: Floats) -> Floats:
        return self._convolutions[name](np.maximum(x, 0), is_positive=True)

    def preview(self, latent: Floats) -> NDArray[np.uint8]:
        """(h, w, channels) to a coarse image (2 h, 2 w, 3): one linear map, far from exact."""
        h, w, c = latent.shape
        return to_bytes(fold(self._preview(latent.reshape(h * w, c)), h, w))
