"""Texts in many scripts, made by rule: the same ones on every machine and with every Python."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import TypeVar

from engines.builtin.weights import FOLDER

_Choice = TypeVar("_Choice")

SCRIPTS = (
    (0x61, 0x7A),  # Latin
    (0x41, 0x5A),  # capitals
    (0xE0, 0xF6),  # with accents
    (0x430, 0x44F),  # Cyrillic
    (0x3B1, 0x3C9),  # Greek
    (0x5D0, 0x5EA),  # Hebrew
    (0x627, 0x64A),  # Arabic
    (0x905, 0x94D),  # Devanagari, with its signs
    (0xE01, 0xE4C),  # Thai, with its signs
    (0xAC00, 0xD7A3),  # Hangul
    (0x3042, 0x3093),  # Hiragana
    (0x30A1, 0x30F4),  # Katakana
    (0x4E00, 0x9FA5),  # Han
    (0x30, 0x39),  # digits
    (0x660, 0x669),  # other digits
    (0x1F300, 0x1F5FF),  # pictures
    (0x2190, 0x21FF),  # arrows
)
MARKS = ",.!?;:-_()[]{}<>/\\|@#$%^&*+=~'\"`"
SPACES = (" ",) * 20 + (", ",) * 8 + ("  ", "\n", "\t", " - ", "", "'s ", "'ll ", "n't ", "...")


class Dice:
    """Numbers that follow from `name`."""

    def __init__(self, name: str) -> None:
        self._name, self._count, self._left = name, 0, b""

    def throw(self, sides: int) -> int:
        """A number from 0 to `sides` - 1."""
        if len(self._left) < 4:
            self._left = hashlib.sha256(f"{self._name} {self._count}".encode()).digest()
            self._count += 1
        number, self._left = int.from_bytes(self._left[:4], "big"), self._left[4:]
        return number % sides

    def choose(self, among: Sequence[_Choice]) -> _Choice:
        """One of them."""
        return among[self.throw(len(among))]


def make_texts(count: int, name: str) -> Iterator[str]:
    """`count` texts; another `name` makes others. A third has words of one script alone."""
    words = (FOLDER / "vocabulary.txt").read_text("utf-8").split()
    for number in range(count):
        dice = Dice(f"{name} {number}")
        own = dice.choose(SCRIPTS) if dice.throw(3) == 0 else None
        parts = []
        for _ in range(1 + dice.throw(40)):
            parts.append(_make_word(dice, words, own) + dice.choose(SPACES))
        yield "".join(parts)


def _make_word(dice: Dice, words: Sequence[str], own: tuple[int, int] | None) -> str:
    kind = dice.throw(12)
    if own is None and kind < 7:
        word = dice.choose(words)
        return word.capitalize() if kind == 0 else word.upper() if kind == 1 else word
    if kind == 11:
        return "".join(dice.choose(MARKS) for _ in range(1 + dice.throw(4)))
    first, last = own or dice.choose(SCRIPTS)
    return "".join(chr(first + dice.throw(last - first + 1)) for _ in range(1 + dice.throw(9)))
