"""What half of a layer multiplies with: its share of the weights, and the texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.builtin.elementary import Floats
from engines.builtin.layers import invert_mean
from engines.builtin.quantized import LIMIT, TINY, BoundError, Product, count_levels, fit_length

HEAD_LENGTH = 4088
"""Euclidean length of the whole numbers of a query or key: 4088 and rounding, squared, < 2^24."""

SHARE_LEVELS = 16384
"""What the shares of a row of attention add up to, but for rounding."""

MOST_TOKENS = 512
"""Image and text tokens that attention reads at most."""

VALUE_LEVELS = LIMIT // (SHARE_LEVELS + MOST_TOKENS // 2 + 1)
ENTER_LENGTH = 2500.0
"""Euclidean length of the longest column of a layer's first product."""

LOG2_E = 1.4426950408889634


@dataclass(frozen=True, slots=True)
class HalfLayer:
    """The whole numbers of half a layer, and how they become values again."""

    heads: Floats
    values: Floats
    deep: Floats
    value_scale: float
    deep_scale: float
    sharp: Floats
    leave_mixed: Floats
    leave_deep: Floats
    mixed_levels: int
    deep_levels: int


def make_half_layer(
    half: int, heads: int, enter: Floats, leave: Floats, sharp: Floats
) -> HalfLayer:
    """Cut one half out of a layer. `leave` holds whole numbers, `enter` weights."""
    d, hidden = enter.shape[0], leave.shape[0] - leave.shape[1]
    own, size = d // 2, d // heads

    def cut(start: int, count: int) -> Floats:
        return enter[:, start + half * count : start + (half + 1) * count]

    pieces = [
        fit_length(cut(group * d, own)[:, at : at + size], ENTER_LENGTH)[0]
        for group in range(2)
        for at in range(0, own, size)
    ]
    values, value_scale = fit_length(cut(2 * d, own), ENTER_LENGTH)
    deep, deep_scale = fit_length(cut(3 * d, hidden // 2), ENTER_LENGTH)
    leave_mixed = leave[half * own : (half + 1) * own]
    leave_deep = leave[d + half * hidden // 2 : d + (half + 1) * hidden // 2]
    scaled = sharp.reshape(2, heads // 2, 1, 1)[half] * np.float32(LOG2_E * size / HEAD_LENGTH**2)
    if float(scaled.max()) * HEAD_LENGTH**2 > 120:
        raise BoundError("A head is too sharp for float32.")
    return HalfLayer(
        heads=np.ascontiguousarray(np.concatenate(pieces, axis=1)),
        values=np.ascontiguousarray(values),
        deep=np.ascontiguousarray(deep),
        value_scale=value_scale,
        deep_scale=deep_scale,
        sharp=scaled,
        leave_mixed=np.ascontiguousarray(leave_mixed),
        leave_deep=np.ascontiguousarray(leave_deep),
        mixed_levels=count_levels(leave_mixed, is_positive=False),
        deep_levels=count_levels(leave_deep, is_positive=True),
    )


@dataclass(frozen=True, slots=True)
class LayerTexts:
    """The texts of a batch as half of a layer's heads read them, constant over the steps.

    Whole numbers: `keys` (batch, heads, size, tokens), `values` (batch, heads, tokens, size); the
    largest value of each prompt is `peaks` (batch, 1).
    """

    keys: Floats
    values: Floats
    peaks: Floats


def read_texts(product: Product, texts: Sequence[Floats], heads: int) -> list[LayerTexts]:
    """Both halves' for one layer; `texts`: (tokens, text width) for each prompt."""
    made = product(np.concatenate(texts))
    made = made.reshape(len(made), 2, 2, heads // 2, -1).transpose(2, 1, 3, 0, 4)
    size = made.shape[-1]
    sums = np.add.reduce(np.square(made[:, 0]), -1, keepdims=True)
    found = np.rint(made[:, 0] * invert_mean(sums, size, HEAD_LENGTH / size**0.5))
    lengths = [len(text) for text in texts]
    shape = (2, len(texts), heads // 2, max(lengths), size)
    keys, values = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    start = 0
    for k, count in enumerate(lengths):
        keys[:, k, :, :count] = found[:, :, start : start + count]
        values[:, k, :, :count] = made[:, 1, :, start : start + count]
        start += count
    peaks = np.maximum(np.abs(values).reshape(2, len(texts), -1).max(-1, keepdims=True), TINY)
    values *= (np.float32(VALUE_LEVELS) / peaks)[:, :, :, None, None]
    np.rint(values, out=values)
    keys = np.ascontiguousarray(keys.swapaxes(-1, -2))
    return [LayerTexts(keys[k], values[k], peaks[k]) for k in range(2)]
