"""The decoder in numpy: latents to pictures, and to small previews."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.builtin.elementary import Floats
from engines.builtin.layers import Convolution, fold
from engines.builtin.quantized import FineProduct, Product
from engines.builtin.weights import Weights

_PARTS = ("coarse", "fine")
_BLOCKS = [f"dec.{part}.{k}.{side}" for part in _PARTS for k in range(2) for side in "ab"]


class Decoder:
    """Latents (h, w, channels) in the scale of the denoiser to 8-bit RGB pictures."""

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
        """(h, w, channels) to a coarse picture (2 h, 2 w, 3): one linear map, far from exact."""
        h, w, c = latent.shape
        return to_bytes(fold(self._preview(latent.reshape(h * w, c)), h, w))


def to_bytes(x: Floats) -> NDArray[np.uint8]:
    """[-1, 1] to 0..255, rounded half to even."""
    scaled = (x + np.float32(1)) * np.float32(127.5)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
