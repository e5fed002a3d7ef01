"""The words that the embedded model knows. Reading them loads neither numpy nor the networks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

import msgspec

from engines.base import TokenizedPrompt
from engines.builtin.models import STYLE_WORDS
from engines.builtin.weights import read_checked, read_manifest

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)?")
_SILENT_TEXT = (
    "a an the and or of in on at to for by from with without is are was be it its this that "
    "these those as very my your his her their our some i you he she we they"
)
_SILENT = frozenset(_SILENT_TEXT.split())
"""Function words that are never reported: leaving them out loses nothing."""


class Tokenization(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt as the model reads it: token numbers, words it does not know, words too many."""

    ids: tuple[int, ...]
    unknown: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()


class Word(msgspec.Struct, frozen=True):
    """A word (letters and digits, with an apostrophe inside) in lower case, and where it stands.

    `number` is None when it is unknown.
    """

    text: str
    start: int
    end: int
    number: int | None

    @property
    def is_missed(self) -> bool:
        """Whether leaving it out loses something."""
        return self.number is None and _stem(self.text) not in _SILENT


def _stem(word: str) -> str:
    return re.split("['’]", word)[0]


class Vocabulary:
    """Words by their numbers, and how many of them a prompt may have (`length` with the first)."""

    def __init__(self, words: Sequence[str], length: int) -> None:
        self._index = {word: k for k, word in enumerate(words) if word}
        self._length = length

    def find(self, word: str) -> int | None:
        """The number of a word; an unknown plural or genitive counts as its singular."""
        stem = _stem(word)
        for form in (word, stem, stem.removesuffix("s"), stem.removesuffix("es")):
            if form in self._index:
                return self._index[form]
        return None

    def find_words(self, text: str) -> list[Word]:
        """The words of `text` in their order."""
        # A letter may have more than one in lower case: places are those of the text itself.
        places = [place for place, sign in enumerate(text) for _ in sign.lower()]
        return [
            Word(match[0], places[match.start()], places[match.end() - 1] + 1, self.find(match[0]))
            for match in _WORD.finditer(text.lower())
        ]

    def read(self, text: str, suffix: str = "") -> Tokenization:
        """The words of `text`, then of `suffix`, which always finds room.

        Words beyond the length that the encoder was trained on are ignored.
        """
        words = self.find_words(text)
        tail = self._find_known(suffix)
        known = [word for word in words if word.number is not None]
        room = self._length - 1 - len(tail)
        return Tokenization(
            ids=(0, *(word.number for word in known[:room] if word.number is not None), *tail),
            unknown=tuple(dict.fromkeys(word.text for word in words if word.is_missed)),
            ignored=tuple(word.text for word in known[room:]),
        )

    def _find_known(self, text: str) -> list[int]:
        return [word.number for word in self.find_words(text) if word.number is not None]

    def read_places(self, text: str, suffix: str = "") -> TokenizedPrompt:
        """Where the words stand that `read` reports."""
        words = self.find_words(text)
        known = [word for word in words if word.number is not None]
        room = self._length - 1 - len(self._find_known(suffix))
        is_over = len(known) > room
        return TokenizedPrompt(
            unknown=tuple((word.start, word.end) for word in words if word.is_missed),
            kept=(known[room - 1].end if room > 0 else 0) if is_over else None,
        )


@cache
def load_vocabulary() -> Vocabulary:
    """The vocabulary in the package, checked. Raises `EngineError` when it is damaged."""
    manifest = read_manifest()
    words = read_checked(manifest, "vocabulary.txt").decode().split("\n")
    return Vocabulary(words, manifest.sizes["length"])


def tokenize(text: str, style_preset: str | None = None) -> TokenizedPrompt:
    """What the embedded model reads of `text`; the words of a style preset need room too."""
    return load_vocabulary().read_places(text, STYLE_WORDS.get(style_preset or "", ""))
