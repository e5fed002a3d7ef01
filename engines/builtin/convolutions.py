"""What the encoder and the upscaler are made of: named convolutions and residual pairs of them."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from engines.builtin.elementary import Floats
from engines.builtin.layers import Convolution
from engines.builtin.weights import Weights


class Convolutions:
    """The 3x3 convolutions of a network by their names in the weights, made once."""

    def __init__(self, weights: Weights, names: Iterable[str]) -> None:
        a = weights.arrays
        self._made = {name: Convolution(a[f"{name}.w"], a[f"{name}.b"]) for name in names}

    def apply(self, name: str, x: Floats, *, is_positive: bool = False) -> Floats:
        """(h, w, inputs) to (h, w, outputs); `is_positive`: no input is below 0."""
        return self._made[name](x, is_positive=is_positive)

    def refine(self, name: str, x: Floats) -> Floats:
        """The residual pair `NAME.a`, `NAME.b`: ReLU before each, the sum in the end."""
        hidden = self.apply(f"{name}.a", np.maximum(x, 0), is_positive=True)
        out = self.apply(f"{name}.b", np.maximum(hidden, 0, out=hidden), is_positive=True)
        out += x
        return out


def gather_squares(x: Floats, side: int) -> Floats:
    """(side h, side w, c) to (h, w, side side c): squares of places, row by row."""
    h, w, c = x.shape[0] // side, x.shape[1] // side, x.shape[2]
    return x.reshape(h, side, w, side, c).transpose(0, 2, 1, 3, 4).reshape(h, w, side * side * c)


def from_bytes(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> Floats:
    """0..255 to [-1, 1]."""
    x: Floats = picture.astype(np.float32)
    x /= np.float32(127.5)
    x -= np.float32(1)
    return x
