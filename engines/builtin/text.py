"""Prompts to text tokens: words, vocabulary, the text encoder."""

from __future__ import annotations

import re

import msgspec
import numpy as np

from engines.builtin.exact import FineProduct, multiply
from engines.builtin.layers import relu2, rms, softmax
from engines.builtin.precise import Floats
from engines.builtin.weights import Weights

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SILENT_TEXT = (
    "a an the and or of in on at to for by from with without is are was be it its this that "
    "these those as very my your his her their our some i you he she we they"
)
_SILENT = frozenset(_SILENT_TEXT.split())
"""Function words that are never reported: leaving them out loses nothing."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as the model reads it: token numbers, words it does not know, words too many."""

    ids: tuple[int, ...]
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


def split_words(text: str) -> list[str]:
    """The words of a text in lower case: letters and digits, with an apostrophe inside."""
    return _WORD.findall(text.lower())


def _stem(word: str) -> str:
    return re.split("['’]", word)[0]


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
        self._index = {word: k for k, word in enumerate(weights.words) if word}
        self._length = weights.manifest.sizes["length"]

    def _find(self, word: str) -> int | None:
        """The number of a word; an unknown plural or genitive counts as its singular."""
        stem = _stem(word)
        for form in (word, stem, stem.removesuffix("s"), stem.removesuffix("es")):
            if form in self._index:
                return self._index[form]
        return None

    def read(self, text: str, suffix: str = "") -> Reading:
        """The words of `text`, then of `suffix`, which always finds room.

        Words beyond the length that the encoder was trained on are ignored.
        """
        numbers = [(word, self._find(word)) for word in split_words(text)]
        tail = [n for n in map(self._find, split_words(suffix)) if n is not None]
        known = [(word, n) for word, n in numbers if n is not None]
        room = self._length - 1 - len(tail)
        return Reading(
            ids=(0, *(n for _, n in known[:room]), *tail),
            unknown=tuple(
                dict.fromkeys(w for w, n in numbers if n is None and _stem(w) not in _SILENT)
            ),
            ignored=tuple(word for word, _ in known[room:]),
        )

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
