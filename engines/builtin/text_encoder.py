"""Words to text tokens: the text encoder."""

from __future__ import annotations

import numpy as np

from engines.builtin.elementary import Floats, relu2, rms, softmax
from engines.builtin.quantized import FineProduct, multiply
from engines.builtin.vocabulary import Tokenization, Vocabulary
from engines.builtin.weights import Weights


class TextEncoder:
    """Reads prompts and encodes them; constant over the steps of an image."""

    def __init__(self, weights: Weights) -> None:
        a = weights.arrays
        self._vectors, self._places = a["text.vectors"], a["text.places"]
        self._enter = FineProduct(a["text.enter.w"], a["text.enter.b"])
        self._blocks = [
            (
                FineProduct(a[f"text.{k}.qkv"]),
                FineProduct(a[f"text.{k}.out"]),
                FineProduct(a[f"text.{k}.up.w"], a[f"text.{k}.up.b"]),
                FineProduct(a[f"text.{k}.down.w"], a[f"text.{k}.down.b"]),
            )
            for k in range(weights.manifest.sizes["text_layers"])
        ]
        self._vocabulary = Vocabulary(weights.words, weights.manifest.sizes["length"])

    def read(self, text: str, suffix: str = "") -> Tokenization:
        """The words of `text`, then of `suffix`; see `Vocabulary.read`."""
        return self._vocabulary.read(text, suffix)

    def encode(self, ids: tuple[int, ...]) -> Floats:
        """Token numbers to (tokens, width) text tokens."""
        count, heads = len(ids), 4
        x = self._enter(self._vectors[list(ids)])
        x += self._places[:count]
        size = x.shape[1] // heads
        for mix, out, up, down in self._blocks:
            q, key, v = mix(rms(x)).reshape(count, 3, heads, size).transpose(1, 2, 0, 3)
            scores = multiply(q * np.float32(size**-0.5), key.transpose(0, 2, 1))
            sums = softmax(scores, np.empty_like(scores), np.empty(scores.shape, np.int32))
            mixed = multiply(scores, v) / sums
            x += out(mixed.transpose(1, 0, 2).reshape(count, -1))
            x += down(relu2(up(rms(x))))
        return rms(x)
