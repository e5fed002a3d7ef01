r"""Emphasis in prompts as A1111 and its kin write it, and when it is as prompts of their own.

`(text)` weighs 1.1 times as much, `[text]` 1.1 times less, `(text:1.3)` 1.3 times; they may be
nested, and a backslash makes a bracket a plain one. `a AND b :0.6` are prompts of their own with
weights. `BREAK` begins another block of signs, `[from:to:when]` and `[a|b]` change the prompt
while the image is made; `<lora:name:0.8>` is no prompt at all.

A weight here belongs to a whole prompt. So emphasis is taken apart where it stands round whole
parts between commas; inside a part it is left as it is written.
"""

from __future__ import annotations

import itertools
import re
from typing import NamedTuple

DEPTH_LIMIT = 32
LENGTH_LIMIT = 20_000

_TOKEN = re.compile(
    r"\\[()\[\]\\]|[()\[\]]|:\s{0,20}[+-]?[.0-9]{1,400}\s{0,20}\)|[^\\()\[\]:]+|.", re.S
)
_AND = re.compile(r"\bAND\b")
_AND_WEIGHT = re.compile(r":\s{0,20}([+-]?(?:[0-9]{1,10}\.?[0-9]{0,400}|\.[0-9]{1,400}))\s*\Z")
_BREAK = re.compile(r"\bBREAK\b")
_NETWORK = re.compile(r"<([a-zA-Z]{2,20}):([^<>:]{1,200})((?::[^<>:]{0,50}){0,4})>")
_MARKS = re.compile(r"[()\[\]\\]")


class Part(NamedTuple):
    """A text and its weight."""

    text: str
    weight: float


class Networks(NamedTuple):
    """A prompt without what names extra networks, and those: kind and what is said of them."""

    text: str
    found: tuple[tuple[str, str], ...]


def take_out_networks(text: str) -> Networks:
    """`<lora:name:0.8>` and the like out of `text`."""
    if "<" not in text:
        return Networks(text, ())
    found = tuple((match[1].lower(), match[2] + match[3]) for match in _NETWORK.finditer(text))
    if not found:
        return Networks(text, ())
    plain = re.sub(r"[ \t]{1,9},", ",", _NETWORK.sub("", text))
    return Networks(re.sub(r",(?:[ \t]{0,9},)+", ",", plain).strip().strip(",").strip(), found)


def split_and(text: str) -> list[Part]:
    """The prompts that `AND` joins, with their weights; one where there is none."""
    found = []
    for part in _AND.split(text):
        weight = _AND_WEIGHT.search(part) if "AND" in text else None
        own = part[: weight.start()] if weight else part
        found.append(Part(own.strip(), float(weight[1]) if weight else 1.0))
    return [part for part in found if part.text] if len(found) > 1 else [Part(text, 1.0)]


def read_emphasis(text: str, *, is_a1111: bool = True) -> tuple[list[Part], str]:
    """The parts of `text` with their weights, or it as a whole with why it is not taken apart.

    The reason is "" where nothing is lost. Elsewhere than in A1111 square brackets and `BREAK` are
    plain text.
    """
    if is_a1111 and _BREAK.search(text):
        return [Part(text, 1.0)], "BREAK stands in it"
    if not _MARKS.search(text):
        return [Part(text, 1.0)], ""
    if len(text) > LENGTH_LIMIT:
        return [Part(text, 1.0)], "it is too long"
    parts, reason = _Reader(has_squares=is_a1111).read(text)
    if reason:
        return [Part(text, 1.0)], reason
    for before, after in itertools.pairwise(parts):
        if before.text.rstrip(" \t")[-1:] not in (",", "\n") and (
            after.text.lstrip(" \t")[:1] not in (",", "\n")
        ):
            return [Part(text, 1.0)], "emphasis stands inside a phrase"
    if len(parts) == 1:
        return parts, ""
    trimmed = [Part(part.text.strip().strip(",").strip(), part.weight) for part in parts]
    return [part for part in trimmed if part.text], ""


class _Reader:
    """Reads one text: a stack of open brackets, each with what is in it so far."""

    def __init__(self, *, has_squares: bool) -> None:
        self._has_squares = has_squares
        self._open: list[tuple[str, list[Part]]] = [("", [])]

    def read(self, text: str) -> tuple[list[Part], str]:
        for match in _TOKEN.finditer(text):
            sign = match[0]
            if sign[0] == "\\" and len(sign) == 2:
                self._add(sign[1])
            elif sign in ("[", "]") and not self._has_squares:
                self._add(sign)
            elif sign in ("(", "["):
                if len(self._open) > DEPTH_LIMIT:
                    return [], "brackets are nested too deep"
                self._open.append((sign, []))
            elif sign == ")" or (sign[0] == ":" and sign[-1] == ")"):
                if self._open[-1][0] != "(":
                    return [], "its brackets do not match"
                weight = 1.1 if sign == ")" else _read_weight(sign[1:-1])
                if weight is None:
                    return [], "a weight in it is no number"
                self._close(weight)
            elif sign == "]":
                if self._open[-1][0] != "[":
                    return [], "its brackets do not match"
                inner = "".join(part.text for part in self._open[-1][1])
                if ":" in inner or "|" in inner:
                    return [], "it changes while the image is made"
                self._close(1 / 1.1)
            else:
                self._add(sign)
        if len(self._open) > 1:
            return [], "its brackets do not match"
        return _join(self._open[0][1]), ""

    def _add(self, text: str) -> None:
        self._open[-1][1].append(Part(text, 1.0))

    def _close(self, weight: float) -> None:
        _, inner = self._open.pop()
        outer = self._open[-1][1]
        outer += [Part(part.text, part.weight * weight) for part in _join(inner)]


def _read_weight(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _join(parts: list[Part]) -> list[Part]:
    joined: list[tuple[list[str], float]] = []
    for part in parts:
        if joined and joined[-1][1] == part.weight:
            joined[-1][0].append(part.text)
        else:
            joined.append(([part.text], part.weight))
    return [Part("".join(texts), weight) for texts, weight in joined]
