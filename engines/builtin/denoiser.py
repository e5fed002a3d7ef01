"""The denoiser in numpy: predicts the denoised latent from a noisy one, the time and the text.

All prompts of an image are one batch. Every product is exact (`quantized.py`) and every row has
factors of its own, so no result depends on what else is in the batch, on how its work is
split (`parallel/shard.py`), or on the machine. What does not change over the steps (keys and
values of the text, what depends on the time alone) is made once an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.builtin.elementary import Floats, invert_mean, relu2
from engines.builtin.quantized import (
    LIMIT,
    TINY,
    BoundError,
    Convolution,
    FineProduct,
    Product,
    count_levels,
    find_reach,
    fit_length,
    round_columns,
)
from engines.builtin.weights import Weights

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
class LayerShard:
    """The whole numbers of a layer's shard, and how they become values again."""

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


def make_layer_shard(
    shard: int, heads: int, enter: Floats, leave: Floats, sharp: Floats
) -> LayerShard:
    """Cut one shard out of a layer. `leave` holds whole numbers, `enter` weights."""
    d, hidden = enter.shape[0], leave.shape[0] - leave.shape[1]
    own, size = d // 2, d // heads

    def cut(start: int, count: int) -> Floats:
        return enter[:, start + shard * count : start + (shard + 1) * count]

    pieces = [
        fit_length(cut(group * d, own)[:, at : at + size], ENTER_LENGTH)[0]
        for group in range(2)
        for at in range(0, own, size)
    ]
    values, value_scale = fit_length(cut(2 * d, own), ENTER_LENGTH)
    deep, deep_scale = fit_length(cut(3 * d, hidden // 2), ENTER_LENGTH)
    leave_mixed = leave[shard * own : (shard + 1) * own]
    leave_deep = leave[d + shard * hidden // 2 : d + (shard + 1) * hidden // 2]
    scaled = sharp.reshape(2, heads // 2, 1, 1)[shard] * np.float32(LOG2_E * size / HEAD_LENGTH**2)
    if float(scaled.max()) * HEAD_LENGTH**2 > 120:
        raise BoundError("A head is too sharp for float32.")
    return LayerShard(
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
    """The texts of a batch as one shard of a layer's heads reads them, constant over the steps.

    Whole numbers: `keys` (batch, heads, size, tokens), `values` (batch, heads, tokens, size); the
    largest value of each prompt is `peaks` (batch, 1).
    """

    keys: Floats
    values: Floats
    peaks: Floats


def read_texts(product: Product, texts: Sequence[Floats], heads: int) -> list[LayerTexts]:
    """Both shards' for one layer; `texts`: (tokens, text width) for each prompt."""
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


FINE = ("fine_in", "fine_out.0", "fine_out.1")


@dataclass(frozen=True, slots=True)
class Modulation:
    """What time and text do in one step.

    `scale` and `shift` make the whole numbers of a layer's tokens and `undo` is their factor;
    `gate` has the factors of the layer's last product in it: (layers, batch, 1, width or 1).
    `last_scale` and `last_shift` (batch, 1, width) are for the tokens behind the layers, `fine`
    (batch, 1, 1, width) for the convolutions.
    """

    scale: Floats
    shift: Floats
    gate: Floats
    undo: Floats
    last_scale: Floats
    last_shift: Floats
    fine: dict[str, Floats]


class Denoiser:
    """The network of one set of weights."""

    def __init__(self, weights: Weights) -> None:
        a, sizes = weights.arrays, weights.manifest.sizes
        self.width, self.hidden = sizes["width"], sizes["hidden"]
        self.layers, self.heads = sizes["layers"], sizes["heads"]
        self._knots = sizes["knots"]
        self.pool = FineProduct(a["pool.w"], a["pool.b"])
        self._time_in = FineProduct(a["time_in.w"], a["time_in.b"])
        self._time_out = FineProduct(a["time_out.w"], a["time_out.b"])
        self._modulate = FineProduct(
            np.concatenate([a["modulate.w"], *(a[f"{n}.shift.w"] for n in FINE)], axis=1),
            np.concatenate([a["modulate.b"], *(a[f"{n}.shift.b"] for n in FINE)]),
        )
        self.conv_in = Convolution(a["conv_in.w"], a["conv_in.b"])
        self.conv_out = Convolution(a["conv_out.w"], a["conv_out.b"])
        self.fine = {
            name: (
                Convolution(a[f"{name}.a.w"], a[f"{name}.a.b"]),
                Convolution(a[f"{name}.b.w"], a[f"{name}.b.b"]),
            )
            for name in FINE
        }
        self.patch = Product(a["patch.w"], a["patch.b"])
        self.unpatch = Product(a["unpatch.w"], a["unpatch.b"])
        self.places = {name: a[name] for name in a if name.startswith("place.")}
        self.texts = [Product(a[f"layer.{k}.text"]) for k in range(self.layers)]
        self._table = np.stack([a[f"layer.{k}.table"] for k in range(self.layers)])
        self._reach = np.empty((self.layers, 1, 1, 1), np.float32)
        self._leave_scale = np.empty((self.layers, 1, 1, self.width), np.float32)
        self.parts = []
        for k in range(self.layers):
            leave, self._leave_scale[k] = round_columns(a[f"layer.{k}.leave"], 127)
            enter, sharp = a[f"layer.{k}.enter"], a[f"layer.{k}.sharp"]
            shards = [make_layer_shard(s, self.heads, enter, leave, sharp) for s in range(2)]
            self.parts.append(shards)
            numbers = [m for shard in shards for m in (shard.heads, shard.values, shard.deep)]
            # Rounding makes a row of tokens longer by half its dimension's root at most.
            self._reach[k] = min(map(find_reach, numbers)) * 0.999 - self.width**0.5 / 2

    def embed_time(self, t: float) -> Floats:
        """The part of the condition that every prompt of a step shares; t in 0 (noise) to 1."""
        knots = np.arange(self._knots, dtype=np.float64)
        hats = np.maximum(0, 1 - np.abs(t * (self._knots - 1) - knots)).astype(np.float32)
        return self._time_out(relu2(self._time_in(hats)))

    def condition(self, pool: Floats, times: Sequence[float]) -> Floats:
        """What prompts and times (0 noise, 1 denoised) do to the layers: (times, batch, values)."""
        embedded = np.stack([self.embed_time(t) for t in times])
        return self._modulate(relu2(embedded[:, None] + pool))

    def modulate(self, made: Floats) -> Modulation:
        """The same for one time, (batch, values), as the layers take it."""
        d, wide = self.width, self.conv_in.outputs
        mod = made[:, : 3 * d].reshape(-1, 3, d)
        scale, shift, gate = (mod + self._table[:, None]).transpose(2, 0, 1, 3)[:, :, :, None]
        scale += np.float32(1)
        gate += np.float32(1)
        gate *= self._leave_scale
        # The length of tokens of root mean square 1 behind scale and shift, at most.
        longest = np.abs(scale).max(-1, keepdims=True)
        longest *= np.float32(d**0.5)
        longest += np.sqrt(np.add.reduce(shift * shift, -1, keepdims=True))
        longest *= np.float32(1.001)
        factor = self._reach / longest
        scale *= factor
        shift *= factor
        fine = made[:, 3 * d :].reshape(-1, len(FINE), 1, 1, wide)
        return Modulation(
            scale,
            shift,
            gate,
            np.reciprocal(factor),
            1 + mod[:, :1],
            mod[:, 1:2],
            {name: fine[:, k] + self.fine[name][0].bias for k, name in enumerate(FINE)},
        )
