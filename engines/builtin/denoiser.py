"""The denoiser in numpy: predicts the clean latent from a noisy one, the time and the text.

Every prompt is computed alone (batch 1), so that no result depends on what else is asked.
What does not change over the steps (keys and values of the text) is made once an image.
"""

from __future__ import annotations

import numpy as np

from engines.builtin.layers import Convolution, fold, inverse_rms, relu2, rms, softmax, unfold
from engines.builtin.precise import Floats
from engines.builtin.weights import Weights


class PromptState:
    """A prompt during one image: its text's keys and values, and room for the image's own."""

    def __init__(self, denoiser: Denoiser, text: Floats, tokens: int) -> None:
        width, heads = denoiser.width, denoiser.heads
        size, total = width // heads, tokens + len(text)
        self.pool = np.add.reduce(text, axis=0) * np.float32(1 / len(text)) @ denoiser.a["pool.w"]
        self.pool += denoiser.a["pool.b"]
        self.keys = np.empty((denoiser.layers, heads, total, size), np.float32)
        self.values = np.empty_like(self.keys)
        for k in range(denoiser.layers):
            both = (text @ denoiser.a[f"layer.{k}.text"]).reshape(-1, 2, heads, size)
            self.keys[k, :, tokens:] = rms(both[:, 0].transpose(1, 0, 2))
            self.values[k, :, tokens:] = both[:, 1].transpose(1, 0, 2)
        self.scores = np.empty((heads, tokens, total), np.float32)
        self.scratch = np.empty_like(self.scores)
        self.whole = np.empty(self.scores.shape, np.int32)
        self.inner = np.empty((tokens, 3 * width + denoiser.hidden), np.float32)
        self.wide = np.empty((tokens, width + denoiser.hidden), np.float32)
        self.token = np.empty((tokens, width), np.float32)


class Denoiser:
    """The network of one set of weights."""

    def __init__(self, weights: Weights) -> None:
        self.a = weights.arrays
        sizes = weights.manifest.sizes
        self.width, self.hidden = sizes["width"], sizes["hidden"]
        self.layers, self.heads = sizes["layers"], sizes["heads"]
        self._knots = sizes["knots"]
        a = self.a
        self._conv_in = Convolution(a["conv_in.w"], a["conv_in.b"])
        self._conv_out = Convolution(a["conv_out.w"], a["conv_out.b"])
        self._fine = {
            name: (
                Convolution(a[f"{name}.a.w"], a[f"{name}.a.b"]),
                Convolution(a[f"{name}.b.w"], a[f"{name}.b.b"]),
            )
            for name in ("fine_in", "fine_out.0", "fine_out.1")
        }

    def embed_time(self, t: float) -> Floats:
        """The part of the condition that every prompt of a step shares; t in 0 (noise) to 1."""
        knots = np.arange(self._knots, dtype=np.float64)
        hats = np.maximum(0, 1 - np.abs(t * (self._knots - 1) - knots)).astype(np.float32)
        hidden = relu2(hats @ self.a["time_in.w"] + self.a["time_in.b"])
        return np.asarray(hidden @ self.a["time_out.w"] + self.a["time_out.b"])

    def _refine(self, name: str, x: Floats, condition: Floats) -> Floats:
        first, second = self._fine[name]
        shift = condition @ self.a[f"{name}.shift.w"] + self.a[f"{name}.shift.b"]
        hidden = first(np.maximum(x, 0), shift)
        out = second(np.maximum(hidden, 0, out=hidden))
        out += x
        return out

    def predict(self, z: Floats, time: Floats, prompt: PromptState) -> Floats:
        """(h, w, channels) noisy latent to the clean one, for one prompt."""
        a, (h, w, _) = self.a, z.shape
        condition = relu2(time + prompt.pool)
        fine = self._refine("fine_in", self._conv_in(z), condition)
        x = unfold(fine) @ a["patch.w"]
        x += a["patch.b"]
        x += a[f"place.{h // 2}x{w // 2}"]
        mod = (condition @ a["modulate.w"] + a["modulate.b"]).reshape(3, -1)
        for k in range(self.layers):
            self._apply_layer(k, x, mod, prompt)
        token = np.multiply(x, inverse_rms(x), out=prompt.token)
        token *= 1 + mod[0]
        token += mod[1]
        y = token @ a["unpatch.w"]
        y += a["unpatch.b"]
        y = fold(y, h // 2, w // 2)
        y += fine
        for name in ("fine_out.0", "fine_out.1"):
            y = self._refine(name, y, condition)
        return self._conv_out(np.maximum(y, 0, out=y))

    def _apply_layer(self, k: int, x: Floats, mod: Floats, p: PromptState) -> None:
        """Attention beside an MLP, added to `x` in place."""
        a, d, heads = self.a, self.width, self.heads
        n, size = x.shape[0], d // heads
        scale, shift, gate = mod + a[f"layer.{k}.table"]
        token = np.multiply(x, inverse_rms(x), out=p.token)
        token *= 1 + scale
        token += shift
        inner = np.matmul(token, a[f"layer.{k}.enter"], out=p.inner)
        q, key, value = inner[:, : 3 * d].reshape(n, 3, heads, size).transpose(1, 2, 0, 3)
        q = q * (inverse_rms(q) * a[f"layer.{k}.sharp"])
        p.keys[k, :, :n] = rms(key)
        p.values[k, :, :n] = value
        np.matmul(q, p.keys[k].transpose(0, 2, 1), out=p.scores)
        sums = softmax(p.scores, p.scratch, p.whole)
        mixed = p.scores @ p.values[k]
        mixed /= sums
        p.wide[:, :d].reshape(n, heads, size)[:] = mixed.transpose(1, 0, 2)
        np.maximum(inner[:, 3 * d :], 0, out=p.wide[:, d:])
        p.wide[:, d:] *= p.wide[:, d:]
        out = np.matmul(p.wide, a[f"layer.{k}.leave"], out=p.token)
        out *= 1 + gate
        x += out
