"""The few operations that the networks are made of, in numpy, exact on every machine.

Pictures and latents are (height, width, channels); matrices are (inputs, outputs).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from engines.builtin.elementary import Floats, exp_in_place
from engines.builtin.quantized import TINY, BoundError, count_levels, fit_columns

EPSILON = np.float32(1e-6)
CONVOLUTION_LEVELS = 1023


class Room:
    """Arrays that are made once and written again and again; each starts as zeros."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[str, tuple[int, ...]], NDArray[Any]] = {}

    def take(self, name: str, *shape: int) -> Floats:
        """The array of this name and shape."""
        found = self._arrays.get((name, shape))
        if found is None:
            found = self._arrays[name, shape] = np.zeros(shape, np.float32)
        return found


def relu2(x: Floats) -> Floats:
    """Squared ReLU, in place."""
    np.maximum(x, 0, out=x)
    np.multiply(x, x, out=x)
    return x


def inverse_rms(x: Floats) -> Floats:
    """One over the root mean square along the last axis, which is kept with length 1."""
    return invert_mean(np.add.reduce(x * x, axis=-1, keepdims=True), x.shape[-1])


def invert_mean(sums: Floats, count: int, wanted: float = 1.0) -> Floats:
    """`wanted` over the root of the mean of `count` squares with these sums, in place."""
    sums *= np.float32(1 / count)
    sums += EPSILON
    np.sqrt(sums, out=sums)
    return np.divide(np.float32(wanted), sums, out=sums)


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
    """A 3x3 convolution with zero padding, exact: a product for each row of places.

    What a convolution reads is rounded with one factor for each line of a picture. `spread`
    multiplies each place and its two neighbours in the line with the weights of three lines;
    `gather` adds what reaches a line from the one above, itself and the one below.
    """

    def __init__(self, weight: Floats, bias: Floats) -> None:
        self.inputs, self.outputs = weight.shape[0] // 9, weight.shape[1]
        square = weight.reshape(3, 3 * self.inputs, self.outputs)
        flat = square.transpose(1, 0, 2).reshape(3 * self.inputs, 3 * self.outputs)
        numbers, self._scale = fit_columns(flat, CONVOLUTION_LEVELS, groups=3)
        self._numbers = np.ascontiguousarray(numbers)
        self.bias = bias
        self._signed = count_levels(numbers, is_positive=False)
        self._positive = count_levels(numbers, is_positive=True)
        if self._positive < CONVOLUTION_LEVELS:
            raise BoundError(f"A convolution has {self._positive} levels.")

    def spread(self, x: Floats, out: Floats, room: Room, *, is_positive: bool = True) -> None:
        """(b, h, w, inputs), which is overwritten, to (b, h, w, 3, outputs)."""
        b, h, w, c = x.shape
        levels = np.float32(self._positive if is_positive else self._signed)
        lines = x.reshape(b, h, w * c)
        if is_positive:
            peak = lines.max(axis=-1, keepdims=True)
        else:
            peak = np.abs(lines).max(axis=-1, keepdims=True)
        np.maximum(peak, TINY, out=peak)
        lines *= levels / peak
        padded = room.take("padded", b, h, w + 2, c)
        np.rint(x, out=padded[:, :, 1:-1])
        near = as_strided(padded, (b, h, w, 3 * c), padded.strides)
        columns = room.take("columns", b, h, w, 3 * c)
        np.copyto(columns, near)
        wide = room.take("wide", b * h * w, 3 * self.outputs)
        np.matmul(columns.reshape(b * h * w, 3 * c), self._numbers, out=wide)
        peak /= levels
        np.multiply(wide.reshape(b, h, w, 3, self.outputs), peak[:, :, :, None, None], out=out)

    def gather(self, lines: Floats, out: Floats, bias: Floats | None = None) -> Floats:
        """What `spread` gave for h + 2 lines, (b, h + 2, w, 3, outputs), to (b, h, w, outputs)."""
        h = lines.shape[1] - 2
        np.add(lines[:, :h, :, 0], lines[:, 1 : h + 1, :, 1], out=out)
        out += lines[:, 2:, :, 2]
        out *= self._scale
        out += self.bias if bias is None else bias
        return out

    def __call__(
        self, x: Floats, extra: Floats | None = None, *, is_positive: bool = False
    ) -> Floats:
        """(h, w, inputs) to (h, w, outputs); `extra` is a second bias of this call.

        `is_positive`: nothing in `x` is below 0, which leaves twice as many levels.
        """
        h, w, _ = x.shape
        lines = np.zeros((1, h + 2, w, 3, self.outputs), np.float32)
        self.spread(x[None].copy(), lines[:, 1:-1], Room(), is_positive=is_positive)
        bias = self.bias if extra is None else self.bias + extra
        return self.gather(lines, np.empty((1, h, w, self.outputs), np.float32), bias).reshape(
            h, w, -1
        )


def unfold(x: Floats) -> Floats:
    """(..., 2h, 2w, c) to (..., h w, 4 c): each token holds a square of four places."""
    *batch, h, w, c = x.shape
    split = x.reshape(*batch, h // 2, 2, w // 2, 2, c).swapaxes(-4, -3)
    return split.reshape(*batch, h * w // 4, 4 * c)


def fold(x: Floats, h: int, w: int, side: int = 2) -> Floats:
    """The way back: (..., h w, side side c) to (..., side h, side w, c)."""
    *batch, _, wide = x.shape
    split = x.reshape(*batch, h, w, side, side, wide // side**2).swapaxes(-4, -3)
    return split.reshape(*batch, side * h, side * w, wide // side**2)
