"""The decoder in numpy: latents to pictures, and to small previews."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from engines.builtin.exact import FineProduct, Product
from engines.builtin.layers import Convolution, Room, fold
from engines.builtin.precise import Floats
from engines.builtin.team import Half, Team
from engines.builtin.weights import Weights

Work = Generator[None, None, Floats]

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

    def decode(self, latent: Floats, team: Team | None = None) -> NDArray[np.uint8]:
        """(h, w, channels) to (8 h, 8 w, 3), on the threads of `team`. h is even."""
        h, w, _ = latent.shape
        out = np.empty((8 * h, 8 * w, 3), np.uint8)
        shared = Room()
        one, two = (self._decode_half(half, latent, shared, out) for half in range(2))
        (team or Team(1)).run([(one, two)])
        return out

    def _decode_half(self, half: int, latent: Floats, shared: Room, out: NDArray[np.uint8]) -> Half:
        """The upper or lower half of the lines."""
        room, rows = Room(), len(latent) // 2

        def convolve(name: str, x: Floats, is_positive: bool = True) -> Work:
            convolution, (h, w, _) = self._convolutions[name], x.shape
            lines = shared.take(name, 1, 2 * h + 2, w, 3, convolution.outputs)
            own = lines[:, half * h : (half + 1) * h + 2]
            convolution.spread(x[None], own[:, 1:-1], room, is_positive=is_positive)
            yield
            made = np.empty((1, h, w, convolution.outputs), np.float32)
            return convolution.gather(own, made).reshape(h, w, -1)

        x = latent[half * rows : (half + 1) * rows] * self._deviation + self._mean
        x = yield from convolve("dec.enter", x, is_positive=False)
        for part in _PARTS:
            for k in range(2):
                hidden = yield from convolve(f"dec.{part}.{k}.a", np.maximum(x, 0))
                np.maximum(hidden, 0, out=hidden)
                x += yield from convolve(f"dec.{part}.{k}.b", hidden)
            if part == "coarse":
                h, w, c = x.shape
                x = fold(self._up(np.maximum(x, 0).reshape(h * w, c)), h, w)
        np.maximum(x, 0, out=x)
        x = yield from convolve("dec.leave", x)
        h, w, c = x.shape
        out[half * 4 * h : (half + 1) * 4 * h] = to_bytes(fold(x.reshape(h * w, c), h, w, side=4))

    def preview(self, latent: Floats) -> NDArray[np.uint8]:
        """(h, w, channels) to a coarse picture (2 h, 2 w, 3): one linear map, far from exact."""
        h, w, c = latent.shape
        return to_bytes(fold(self._preview(latent.reshape(h * w, c)), h, w))


def to_bytes(x: Floats) -> NDArray[np.uint8]:
    """[-1, 1] to 0..255, rounded half to even."""
    scaled = (x + np.float32(1)) * np.float32(127.5)
    return np.asarray(np.rint(np.clip(scaled, 0, 255)), np.uint8)
