"""The denoiser in numpy: predicts the clean latent from a noisy one, the time and the text.

All prompts of an image are one batch. Every product is exact (`exact.py`) and every row has
factors of its own, so no result depends on what else is in the batch, on how its work is
split (`halves.py`), or on the machine. What does not change over the steps (keys and values of
the text, what depends on the time alone) is made once an image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.builtin.elementary import Floats
from engines.builtin.half_weights import make_half_layer
from engines.builtin.layers import Convolution, relu2
from engines.builtin.quantized import FineProduct, Product, find_reach, round_columns
from engines.builtin.weights import Weights

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
            halves = [make_half_layer(s, self.heads, enter, leave, sharp) for s in range(2)]
            self.parts.append(halves)
            numbers = [m for half in halves for m in (half.heads, half.values, half.deep)]
            # Rounding makes a row of tokens longer by half its dimension's root at most.
            self._reach[k] = min(map(find_reach, numbers)) * 0.999 - self.width**0.5 / 2

    def embed_time(self, t: float) -> Floats:
        """The part of the condition that every prompt of a step shares; t in 0 (noise) to 1."""
        knots = np.arange(self._knots, dtype=np.float64)
        hats = np.maximum(0, 1 - np.abs(t * (self._knots - 1) - knots)).astype(np.float32)
        return self._time_out(relu2(self._time_in(hats)))

    def condition(self, pool: Floats, times: Sequence[float]) -> Floats:
        """What prompts and times (0 noise, 1 clean) do to the layers: (times, batch, values)."""
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
