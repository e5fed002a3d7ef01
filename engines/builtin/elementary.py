"""Element-wise functions with the same bits on every machine.

System libraries differ in the last bit of exp, log and powers. These use only IEEE 754 basic
operations, one ufunc each, so nothing can be fused or reordered. `scalars.py` has single numbers.

Images and latents are (height, width, channels); matrices are (inputs, outputs).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_LOG2_E = np.float32(1.44269504)
_LN2_HIGH = np.float32(0.693359375)
_LN2_LOW = np.float32(-2.12194440e-4)
_TERMS = tuple(np.float32(1.0 / k) for k in (720.0, 120.0, 24.0, 6.0, 2.0, 1.0, 1.0))


def exp_in_place(x: Floats, scratch: Floats, whole: NDArray[np.int32]) -> None:
    """Replace `x` (at most 0) by its exponential, within 3e-7 relative.

    `scratch` and `whole` have the shape of `x` and are overwritten. exp x = 2^k exp r with
    r = x - k ln 2, |r| <= 0.35, by a polynomial of degree 6.
    """
    np.maximum(x, np.float32(-80), out=x)
    np.multiply(x, _LOG2_E, out=scratch)
    np.rint(scratch, out=scratch)
    np.copyto(whole, scratch, casting="unsafe")
    rest = x
    rest -= scratch * _LN2_HIGH
    scratch *= _LN2_LOW
    rest -= scratch
    np.multiply(rest, _TERMS[0], out=scratch)
    for term in _TERMS[1:-1]:
        scratch += term
        scratch *= rest
    scratch += _TERMS[-1]
    whole += 127
    whole <<= 23
    np.multiply(scratch, whole.view(np.float32), out=x)


_POWERS = tuple(np.float32(c) for c in (0.05517162, 0.24261112, 0.69326099, 0.99992807))
_TO_WHOLE = np.float32(1.5 * 2**23)
"""Added to a small number, leaves it rounded to a whole one in the last bits of the sum."""


def power_of_two(x: Floats, scratch: Floats, spare: Floats) -> None:
    """Replace `x` (within 120 of 0) by 2 to its power, within 8e-5 relative.

    `scratch` and `spare` have the shape of `x` and are overwritten. 2^x = 2^k 2^r with whole k
    and |r| <= 0.5, by a polynomial of degree 3.
    """
    np.add(x, _TO_WHOLE, out=scratch)
    np.subtract(scratch, _TO_WHOLE, out=spare)
    x -= spare
    whole = scratch.view(np.int32)
    np.left_shift(whole, 23, out=whole)
    np.multiply(x, _POWERS[0], out=spare)
    for term in _POWERS[1:-1]:
        spare += term
        spare *= x
    spare += _POWERS[-1]
    np.add(spare.view(np.int32), whole, out=x.view(np.int32))


def log_of_unit(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Natural logarithm of numbers in (0, 1], within 1e-14."""
    mantissa, exponent = np.frexp(x)
    low = mantissa < 0.7071067811865476
    mantissa = np.where(low, mantissa * 2, mantissa)
    exponent = exponent - low
    s = (mantissa - 1) / (mantissa + 1)
    square = s * s
    series = np.zeros_like(s)
    for odd in range(21, 0, -2):
        series = series * square + 1.0 / odd
    return np.asarray(exponent * 0.6931471805599453 + 2 * s * series)


EPSILON = np.float32(1e-6)


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


def gather_squares(x: Floats, side: int) -> Floats:
    """(side h, side w, c) to (h, w, side side c): squares of places, row by row."""
    h, w, c = x.shape[0] // side, x.shape[1] // side, x.shape[2]
    return x.reshape(h, side, w, side, c).transpose(0, 2, 1, 3, 4).reshape(h, w, side * side * c)
