"""Matrix products with the same bits on every machine: sums of whole numbers.

A float32 product of whole numbers is exact as long as no partial sum passes 2^24, whatever
the kernel, the order of its sums, fused operations, threads or the other rows of the batch. So
weights are whole numbers with one factor a column, and what they multiply is rounded to whole
numbers with one factor a row, as many levels as the bound leaves. Everything around a product
is one IEEE 754 operation an element.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from engines.builtin.elementary import Floats
from engines.builtin.weights import Weights

LIMIT = 2**24
"""Whole numbers up to this one, and sums of them, are exact in float32."""

FINE_LIMIT = 2**53
"""The same for float64."""

PRODUCT_LEVELS = 2047
"""For weights that are rounded here: they get what this many levels leave."""

TINY = np.float32(1e-20)
"""Stands for the peak of a row of zeros."""

Doubles = NDArray[np.float64]


def add_up(x: Doubles) -> Doubles:
    """Sums of the columns, in an order of their own: row by row."""
    sums: Doubles = x[0].copy()
    for row in x[1:]:
        sums += row
    return sums


class BoundError(ValueError):
    """Weights whose product could not be exact with enough levels."""


def round_columns(weight: Floats, levels: int) -> tuple[Floats, Floats]:
    """Whole numbers up to `levels` and the factor of each column; int8 weights come back as is."""
    scale = np.abs(weight).max(axis=0)
    np.maximum(scale, TINY, out=scale)
    scale /= np.float32(levels)
    return np.rint(weight / scale), scale


def fit_columns(weight: Floats, levels: int, groups: int = 1) -> tuple[Floats, Floats]:
    """Whole numbers as fine as a product with numbers from 0 to `levels` allows in each column.

    Columns that follow each other in `groups` groups share the factors, one for each place.
    """
    wide = weight.astype(np.float64)
    side = np.maximum(add_up(np.maximum(wide, 0)), add_up(np.maximum(-wide, 0)))
    room = LIMIT / levels - len(weight) / 2 - 1
    shared = side.reshape(groups, -1).max(0)
    scale = np.maximum(shared / room, TINY).astype(np.float32)
    return np.rint(weight / np.tile(scale, groups)), scale


def fit_length(weight: Floats, length: float) -> tuple[Floats, float]:
    """Whole numbers whose longest column has about that Euclidean length, and their one factor."""
    wide = weight.astype(np.float64)
    longest = float(np.sqrt(add_up(wide * wide).max()))
    scale = float(np.float32(max(longest, 1e-20) / length))
    return np.rint(weight / np.float32(scale)), scale


def count_levels(numbers: Floats, *, is_positive: bool, limit: int = LIMIT) -> int:
    """The largest whole number that every element of a row may be beside `numbers`.

    `is_positive`: the row has none below 0. Raises `BoundError` where fewer than 128 are left.
    """
    wide = numbers.astype(np.float64)
    if not np.array_equal(wide, np.rint(wide)):
        raise BoundError("A weight is not a whole number.")
    plus, minus = np.maximum(wide, 0).sum(0), np.maximum(-wide, 0).sum(0)
    largest = float((np.maximum(plus, minus) if is_positive else plus + minus).max())
    levels = int(limit // max(largest, 1.0))
    if levels < 128:
        raise BoundError(f"Column sums of {largest:.0f} leave {levels} levels; 128 are needed.")
    return levels


def find_reach(numbers: Floats) -> float:
    """The Euclidean length that a row of whole numbers may have (Cauchy-Schwarz)."""
    wide = numbers.astype(np.float64)
    return float(LIMIT / np.sqrt(np.square(wide).sum(0).max()))


class Product:
    """A float32 product with rounded weights, exact."""

    def __init__(
        self, weight: Floats, bias: Floats | None = None, *, is_positive: bool = False
    ) -> None:
        """`is_positive`: what it multiplies is never below 0, which leaves twice the levels."""
        self._numbers, self._scale = fit_columns(weight, PRODUCT_LEVELS)
        self._levels = count_levels(self._numbers, is_positive=is_positive)
        self._bias = bias

    def __call__(self, x: Floats) -> Floats:
        """(..., inputs) to (..., outputs); each row is rounded with a factor of its own."""
        peak = np.maximum(np.abs(x).max(axis=-1, keepdims=True), TINY)
        rounded = np.rint(x * (np.float32(self._levels) / peak))
        out = np.matmul(rounded.reshape(-1, x.shape[-1]), self._numbers)
        out = out.reshape(*x.shape[:-1], -1)
        out *= peak / np.float32(self._levels)
        out *= self._scale
        if self._bias is not None:
            out += self._bias
        return np.asarray(out)


class FineProduct:
    """The same in float64, with rounding as fine as float32; for what is small or rare."""

    def __init__(self, weight: Floats, bias: Floats | None = None) -> None:
        numbers, self._scale = round_columns(weight, 2**15 - 1)
        levels = count_levels(numbers, is_positive=False, limit=FINE_LIMIT)
        self._levels = min(levels, 2**24)
        self._numbers = numbers.astype(np.float64)
        self._bias = bias

    def __call__(self, x: Floats) -> Floats:
        """(..., inputs) to (..., outputs)."""
        rounded, scale = _round_lines(x, -1, self._levels)
        out = (np.matmul(rounded, self._numbers) * (scale * self._scale)).astype(np.float32)
        if self._bias is not None:
            out += self._bias
        return np.asarray(out)


def _round_lines(x: Floats, axis: int, levels: int) -> tuple[Doubles, Doubles]:
    """Whole numbers up to `levels`, and the factor of each line along `axis`."""
    wide = x.astype(np.float64)
    scale = np.maximum(np.abs(wide).max(axis=axis, keepdims=True), TINY) / levels
    return np.rint(wide / scale), scale


def multiply(x: Floats, y: Floats) -> Floats:
    """Matrices (..., n, k) and (..., k, m), k at most 4096, rounded finely and multiplied."""
    if x.shape[-1] > 4096:
        raise BoundError(f"Rows of {x.shape[-1]} are too long.")
    one, one_scale = _round_lines(x, -1, 2**20)
    two, two_scale = _round_lines(y, -2, 2**20)
    return np.asarray(np.matmul(one, two) * (one_scale * two_scale), np.float32)


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


class Convolution:
    """A 3x3 convolution with zero padding, exact: a product for each row of places.

    What a convolution reads is rounded with one factor for each line of a image. `spread`
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
