"""Words to text tokens: the text encoder."""

from __future__ import annotations

import numpy as np

from engines.builtin.layers import relu2, rms, softmax
from engines.builtin.precise import Floats
from engines.builtin.vocabulary import Reading, Vocabulary
from engines.builtin.weights import Weights


class TextEncoder:
    """Reads prompts and encodes them; constant over the steps of an image."""

    def __init__(self, weights: Weights) -> None:
        self._a = weights.arrays
        self._layers = weights.manifest.sizes["text_layers"]
        self._vocabulary = Vocabulary(weights.words, weights.manifest.sizes["length"])

    def read(self, text: str, suffix: str = "") -> Reading:
        """The words of `text`, then of `suffix`; see `Vocabulary.read`."""
        return self._vocabulary.read(text, suffix)

    def encode(self, ids: tuple[int, ...]) -> Floats:
        """Token numbers to (tokens, width) text tokens."""
        a, count, heads = self._a, len(ids), 4
        x = a["text.vectors"][list(ids)] @ a["text.enter.w"]
        x += a["text.enter.b"]
        x += a["text.places"][:count]
        size = x.shape[1] // heads
        for k in range(self._layers):
            qkv = rms(x) @ a[f"text.{k}.qkv"]
            q, key, v = np.ascontiguousarray(
                qkv.reshape(count, 3, heads, size).transpose(1, 2, 0, 3)
            )
            scores = (q * np.float32(size**-0.5)) @ key.transpose(0, 2, 1)
            sums = softmax(scores, np.empty_like(scores), np.empty(scores.shape, np.int32))
            mixed = (scores @ v) / sums
            x += mixed.transpose(1, 0, 2).reshape(count, -1) @ a[f"text.{k}.out"]
            hidden = rms(x) @ a[f"text.{k}.up.w"]
            hidden += a[f"text.{k}.up.b"]
            x += relu2(hidden) @ a[f"text.{k}.down.w"]
            x += a[f"text.{k}.down.b"]
        return rms(x)
