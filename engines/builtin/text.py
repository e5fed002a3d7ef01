"""Prompts to text tokens: words, vocabulary, the text encoder."""

from __future__ import annotations

import re

import msgspec
import numpy as np

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
        self._a = weights.arrays
        self._index = {word: k for k, word in enumerate(weights.words) if word}
        self._layers = weights.manifest.sizes["text_layers"]
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
