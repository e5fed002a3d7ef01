"""The decoder in numpy: latents to pictures, and to small previews."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engines.builtin.layers import Convolution, fold
from engines.builtin.precise import Floats
from engines.builtin.weights import Weights


class Decoder:
    """Latents (h, w, channels) in the scale of the denoiser to 8-bit RGB pictures."""

    def __init__(self, weights: Weights) -> None:
        self._a = weights.arrays

    def _conv(self, name: str, x: Floats) -> Floats:
        return Convolution(self._a[f"{name}.w"], self._a[f"{name}.b"])(x)

    def _block(self, name: str, x: Floats) -> Floats:
        hidden = self._conv(f"{name}.a", np.maximum(x, 0))
        out = self._conv(f"{name}.b", np.maximum(hidden, 0, out=hidden))
        out += x
        return out

    def decode(self, latent: Floats) -> NDArray[np.uint8]:
        """(h, w, channels) to (8 h, 8 w, 3)."""
        a, (h, w, _) = self._a, latent.shape
        x = self._conv("dec.enter", latent * a["latent.deviation"] + a["latent.mean"])
        for k in range(2):
            x = self._block(f"dec.coarse.{k}", x)
        x = np.maximum(x, 0).reshape(h * w, -1) @ a["dec.up.w"]
        x += a["dec.up.b"]
        x = fold(x, h, w)
        for k in range(2):
            x = self._block(f"dec.fine.{k}", x)
        x = self._conv("dec.leave", np.maximum(x, 0))
        x = fold(x.reshape(4 * h * w, -1), 2 * h, 2 * w, side=4)
        return to_bytes(x)

    def preview(self, latent: Floats) -> NDArray[np.uint8]:
        """(h, w, channels) to a coarse picture (2 h, 2 w, 3): one linear map, far from exact."""
        h, w, c = latent.shape
        x = latent.reshape(h * w, c) @ self._a["preview.w"]
        x += self._a["preview.b"]
        return to_bytes(fold(x, h, w))


def to_bytes(x: Floats) -> NDArray[np.uint8]:
    """[-1, 1] to 0..255, rounded half to even."""
    scaled = (x + np.float32(1)) * np.float32(127.5)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
