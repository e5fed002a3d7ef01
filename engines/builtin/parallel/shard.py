"""A shard of the denoiser's work on a batch: half of the heads, hidden units and lines.

Two shards run beside each other (`Barrier`); each yields where it needs the other's part. All
products are of whole numbers within the bounds of `quantized.py`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from engines.builtin.denoiser import (
    HEAD_LENGTH,
    MOST_TOKENS,
    SHARE_LEVELS,
    VALUE_LEVELS,
    read_texts,
)
from engines.builtin.elementary import Floats, fold, invert_mean, power_of_two, unfold
from engines.builtin.parallel.group import Work
from engines.builtin.quantized import LIMIT, TINY, BoundError, Convolution, Room

if TYPE_CHECKING:
    from engines.builtin.denoiser import Denoiser, Modulation


def list_shared(net: Denoiser, count: int, size: tuple[int, int]) -> dict[str, tuple[int, ...]]:
    """Shapes of the arrays that both shards read and write, for `count` prompts.

    `noisy` is what they begin with and `denoised` what they make. The lines of a convolution have
    one more at each end, which stays 0.
    """
    (h, w), d, wide = size, net.width, net.conv_in.outputs
    tokens, c = (count, h * w // 4, d), net.conv_out.outputs
    return {
        "noisy": (h, w, c),
        "denoised": (count, h, w, c),
        "tokens": tokens,
        **{f"part {s} {k}": tokens for s in range(2) for k in range(2)},
        "enter": (1, h + 2, w, 3, wide),
        "active": (1, h + 2, w, 3, wide),
        "odd": (count, h + 2, w, 3, wide),
        "even": (count, h + 2, w, 3, wide),
        "leave": (count, h + 2, w, 3, c),
    }


class Shard:
    """One shard, with the arrays that it writes, for the prompts of one image."""

    def __init__(
        self,
        shard: int,
        net: Denoiser,
        shared: Mapping[str, Floats],
        size: tuple[int, int],
        texts: Sequence[Floats],
    ) -> None:
        """`size`: height and width of the latent; `texts`: what the prompts say.

        `shared`: arrays as `list_shared` has them, the same ones for both shards.
        """
        b, (h, w), lengths = len(texts), size, [len(text) for text in texts]
        n, d, heads, hidden = h * w // 4, net.width, net.heads // 2, net.hidden // 2
        total, each = n + max(lengths), d // net.heads
        if total > MOST_TOKENS:
            raise BoundError(f"{total} tokens are too many for exact attention.")
        self._shard, self._net, self._shared, self._shape = shard, net, shared, (b, h, w)
        self._texts = [read_texts(product, texts, net.heads)[shard] for product in net.texts]
        self._ends = [n + length for length in lengths]
        self._lines = slice(shard * h // 2, (shard + 1) * h // 2)
        self._tokens = slice(shard * n // 2, (shard + 1) * n // 2)
        self._room = Room()
        take = self._room.take
        self._x, self._spare = take("x", b, n // 2, d), take("spare", b, n, d)
        self._all = shared["tokens"]
        self._both = take("both", b, n, 2, heads, each)
        self._value, self._mixed, self._other = (
            take(name, b, n, heads, each) for name in ("value", "mixed", "other")
        )
        self._scores = tuple(take(f"scores {k}", b, heads, n, total) for k in range(3))
        self._deep = take("deep", b, n, hidden)
        self._parts = [[shared[f"part {s} {k}"] for k in range(2)] for s in range(2)]

    def predict(self, mod: Modulation) -> Work:
        """Write its lines of the denoised latents, from the shared `noisy` to `denoised`."""
        net, room, (b, h, w) = self._net, self._room, self._shape
        z, out = self._shared["noisy"], self._shared["denoised"]
        rows, width, c = h // 2, net.conv_in.outputs, z.shape[-1]
        fine, hidden = room.take("fine", b, rows, w, width), room.take("hidden", b, rows, w, width)
        entered, active = (room.take(name, 1, rows, w, width) for name in ("entered", "active"))
        # Until the text comes in, the prompts share their work.
        noisy = room.take("noisy", 1, rows, w, c)
        noisy[0] = z[self._lines]
        lines = self._spread("enter", net.conv_in, noisy, is_positive=False)
        yield
        net.conv_in.gather(lines, entered)
        first, second = net.fine["fine_in"]
        lines = self._spread("active", first, np.maximum(entered, 0, out=active))
        yield
        first.gather(lines, active, np.zeros(1, np.float32))
        np.add(active, mod.fine["fine_in"], out=hidden)
        lines = self._spread("odd", second, np.maximum(hidden, 0, out=hidden))
        yield
        second.gather(lines, fine)
        fine += entered
        x = self._x
        place = net.places[f"place.{h // 2}x{w // 2}"][self._tokens]
        np.add(net.patch(unfold(fine)), place, out=x)
        parts = [[part[:, self._tokens] for part in parts] for parts in self._parts]
        step = self._spare[:, self._tokens]
        for k in range(net.layers):
            self._round_tokens(k, mod)
            yield
            self._apply_layer(k, mod)
            yield
            np.add(parts[0][k % 2], parts[1][k % 2], out=step)
            step *= mod.gate[k]
            x += step
        y = x * invert_mean(np.add.reduce(x * x, -1, keepdims=True), net.width)
        y *= mod.last_scale
        y += mod.last_shift
        fine += fold(net.unpatch(y), rows // 2, w // 2)
        for name in ("fine_out.0", "fine_out.1"):
            first, second = net.fine[name]
            lines = self._spread("even", first, np.maximum(fine, 0, out=hidden))
            yield
            first.gather(lines, hidden, mod.fine[name])
            lines = self._spread("odd", second, np.maximum(hidden, 0, out=hidden))
            yield
            fine += second.gather(lines, hidden)
        lines = self._spread("leave", net.conv_out, np.maximum(fine, 0, out=fine))
        yield
        out[:, self._lines] = net.conv_out.gather(lines, room.take("denoised", b, rows, w, c))

    def _spread(
        self, name: str, convolution: Convolution, x: Floats, *, is_positive: bool = True
    ) -> Floats:
        """Spread own lines into what both shards share; gives what own lines will gather."""
        start, stop = self._lines.start, self._lines.stop
        lines = self._shared[name]
        convolution.spread(x, lines[:, start + 1 : stop + 1], self._room, is_positive=is_positive)
        return lines[:, start : stop + 2]

    def _round_tokens(self, k: int, mod: Modulation) -> None:
        """Whole numbers of own tokens for a layer, into what both shards share."""
        x, token = self._x, self._all[:, self._tokens]
        np.multiply(x, x, out=token)
        inverse = invert_mean(np.add.reduce(token, -1, keepdims=True), x.shape[-1])
        np.multiply(x, inverse, out=token)
        token *= mod.scale[k]
        token += mod.shift[k]
        np.rint(token, out=token)

    def _apply_layer(self, k: int, mod: Modulation) -> None:
        """Attention beside an MLP: this shard's part of what the layer adds."""
        token, p = self._spare, self._net.parts[k][self._shard]
        b, n, d = token.shape
        flat = self._all.reshape(b * n, d)
        np.matmul(flat, p.heads, out=self._both.reshape(b * n, d))
        np.matmul(flat, p.values, out=self._value.reshape(b * n, d // 2))
        deep = np.matmul(flat, p.deep, out=self._deep.reshape(b * n, -1))
        mixed, mixed_scale = self._attend(k, mod)
        part = self._parts[self._shard][k % 2]
        np.matmul(mixed.reshape(b * n, d // 2), p.leave_mixed, out=part.reshape(b * n, d))
        part *= mixed_scale

        np.maximum(deep, 0, out=deep)
        np.multiply(deep, deep, out=deep)
        prompts = deep.reshape(b, -1)
        peak = prompts.max(-1, keepdims=True)
        np.maximum(peak, TINY, out=peak)
        prompts *= np.float32(p.deep_levels) / peak
        np.rint(deep, out=deep)
        np.matmul(deep, p.leave_deep, out=token.reshape(b * n, d))
        undo = mod.undo[k] * np.float32(p.deep_scale)
        undo *= undo
        token *= undo * (peak / np.float32(p.deep_levels)).reshape(b, 1, 1)
        part += token

    def _attend(self, k: int, mod: Modulation) -> tuple[Floats, Floats]:
        """Whole numbers of the mixed values (batch, tokens, heads, size), and their factors."""
        both, p, text = self._both, self._net.parts[k][self._shard], self._texts[k]
        b, n, _, heads, size = both.shape
        square = np.multiply(both, both, out=self._spare.reshape(both.shape))
        both *= invert_mean(np.add.reduce(square, -1, keepdims=True), size, HEAD_LENGTH / size**0.5)
        np.rint(both, out=both)
        queries, keys = both[:, :, 0].transpose(0, 2, 1, 3), both[:, :, 1].transpose(0, 2, 3, 1)
        scores, scratch, spare = self._scores
        np.matmul(queries, keys, out=scores[:, :, :, :n])
        np.matmul(queries, text.keys, out=scores[:, :, :, n:])
        scores *= p.sharp
        power_of_two(scores, scratch, spare)
        # Each over its own tokens, for rounding depends on their number; behind them the values
        # are 0.
        sums = np.empty((b, heads, n, 1), np.float32)
        for prompt, end, into in zip(scores, self._ends, sums, strict=True):
            np.add.reduce(prompt[:, :, :end], -1, keepdims=True, out=into)
        scores *= np.divide(np.float32(SHARE_LEVELS), sums, out=sums)
        np.rint(scores, out=scores)

        value, mixed, other = self._value, self._mixed, self._other
        prompts = value.reshape(b, -1)
        peak = np.abs(prompts, out=mixed.reshape(b, -1)).max(-1, keepdims=True)
        np.maximum(peak, TINY, out=peak)
        prompts *= np.float32(VALUE_LEVELS) / peak
        np.rint(value, out=value)
        np.matmul(scores[:, :, :, :n], value.transpose(0, 2, 1, 3), out=mixed.transpose(0, 2, 1, 3))
        np.matmul(scores[:, :, :, n:], text.values, out=other.transpose(0, 2, 1, 3))
        # Both in the unit of the larger values, so that none is above the levels.
        peak *= (mod.undo[k] * np.float32(p.value_scale)).reshape(b, 1)
        largest = np.maximum(peak, text.peaks)
        unit = np.float32((p.mixed_levels - 1) / LIMIT) / largest
        mixed.reshape(b, -1)[:] *= peak * unit
        other.reshape(b, -1)[:] *= text.peaks * unit
        mixed += other
        np.rint(mixed, out=mixed)
        back = np.float32(LIMIT / (float(VALUE_LEVELS) * SHARE_LEVELS * (p.mixed_levels - 1)))
        return mixed, (largest * back).reshape(b, 1, 1)
