"""The few operations that the networks are made of, in numpy, exact on every machine.

Pictures and latents are (height, width, channels); matrices are (inputs, outputs).
"""

from __future__ import annotations

import numpy as np

from engines.builtin.precise import Floats, exp_in_place

EPSILON = np.float32(1e-6)


def relu2(x: Floats) -> Floats:
    """Squared ReLU, in place."""
    np.maximum(x, 0, out=x)
    np.multiply(x, x, out=x)
    return x


def inverse_rms(x: Floats) -> Floats:
    """One over the root mean square along the last axis, which is kept with length 1."""
    mean = np.add.reduce(x * x, axis=-1, keepdims=True)
    mean *= np.float32(1 / x.shape[-1])
    mean += EPSILON
    np.sqrt(mean, out=mean)
    return np.reciprocal(mean, out=mean)


def rms(x: Floats) -> Floats:
    """`x` divided by its root mean square along the last axis."""
    return x * inverse_rms(x)


def softmax(
    scores: Floats, scratch: Floats, whole: np.ndarray[tuple[int, ...], np.dtype[np.int32]]
) -> Floats:
    """Softmax without its division, in place; gives the sums along the last axis, kept."""
    scores -= scores.max(axis=-1, keepdims=True)
    exp_in_place(scores, scratch, whole)
    return np.asarray(np.add.reduce(scores, axis=-1, keepdims=True))


class Convolution:
    """A 3x3 convolution with zero padding, as one product over gathered neighbours."""

    def __init__(self, weight: Floats, bias: Floats) -> None:
        self.weight = weight
        self.bias = bias
        self._inputs = weight.shape[0] // 9

    def __call__(self, x: Floats, extra: Floats | None = None) -> Floats:
        """(h, w, inputs) to (h, w, outputs); `extra` is a second bias of this call."""
        h, w, c = x.shape
        padded = np.zeros((h + 2, w + 2, c), np.float32)
        padded[1:-1, 1:-1] = x
        columns = np.empty((h, w, 9, c), np.float32)
        for place in range(9):
            top, left = divmod(place, 3)
            columns[:, :, place] = padded[top : top + h, left : left + w]
        out = columns.reshape(h * w, 9 * c) @ self.weight
        out += self.bias if extra is None else self.bias + extra
        return out.reshape(h, w, -1)


def unfold(x: Floats) -> Floats:
    """(2h, 2w, c) to (h w, 4 c): each token holds a square of four places, row by row."""
    h, w, c = x.shape
    split = x.reshape(h // 2, 2, w // 2, 2, c).transpose(0, 2, 1, 3, 4)
    return split.reshape(h * w // 4, 4 * c)


def fold(x: Floats, h: int, w: int, side: int = 2) -> Floats:
    """The way back: (h w, side side c) to (side h, side w, c)."""
    split = x.reshape(h, w, side, side, -1).transpose(0, 2, 1, 3, 4)
    return split.reshape(side * h, side * w, -1)
