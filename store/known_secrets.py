"""The secrets that this process has read, and texts without them.

Services repeat the key that they were sent. What leaves the program (rows, the spool, logs, the
terminal) is asked here first. A secret is found in each form that is met: as it is, behind
`Bearer`, in a `Basic` header (base64, at any place in it), percent-encoded, escaped as in JSON,
HTML or a Python text, and in hexadecimal digits.

A secret that may well be a word of ours (short, or only letters) would tear other texts apart. Such
a one is taken only out of what a service says, and only where it stands alone.
"""

from __future__ import annotations

import base64
import functools
import re
from collections.abc import Callable
from typing import NamedTuple

CONCEALED = "[key]"
"""What stands where a secret was."""

_SHORTEST = 3
_STRONG_LENGTH = 8
_LONG_WORD = 16
_KNOWN_LIMIT = 64

_SPELLING = re.compile(r"[%\\=&]")
"""What each spelling of a character begins with that is not the character itself."""

_SPELLED_LENGTH = 200
"""So many characters of a secret are looked for in any spelling; all that stands behind is its."""

_REST = r"[^\s\"'<>,;]*"

_ENTITIES = {"&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",)}
"""The names of characters in HTML and XML."""

_SPELLED_BYTES = 16 * 1024 * 1024
"""More bytes than these are an image, and looked through for the usual forms alone."""


class _Patterns(NamedTuple):
    """How a secret is found: in any spelling, in base64 or hexadecimal digits, and as a word."""

    spelled: re.Pattern[str]
    spelled_bytes: re.Pattern[bytes]
    coded: re.Pattern[str]
    coded_bytes: re.Pattern[bytes]
    alone: re.Pattern[str]


class _KnownSecret:
    """One secret and its forms. Shows nothing of itself."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.is_strong = len(text) >= _LONG_WORD or (
            len(text) >= _STRONG_LENGTH and not text.isalpha()
        )
        self._folded = (text.lower(), _encode(text).hex())
        self._cores = tuple(_list_base64_cores(text)) if self.is_strong else ()

    @functools.cached_property
    def _patterns(self) -> _Patterns:
        # Few programs ever need them, and to make them takes as long as a short command.
        spelled = "".join(map(_spell, self._text[:_SPELLED_LENGTH]))
        if rest := self._text[_SPELLED_LENGTH:]:
            spelled += f"(?:{re.escape(rest)}|{_REST})"
        coded = "|".join(
            (
                f"(?i:{self._folded[1]})",
                *(
                    f"[A-Za-z0-9+/_-]{{0,2}}{re.escape(core)}[A-Za-z0-9+/_-]{{0,3}}={{0,2}}"
                    for core in self._cores
                ),
            )
        )
        return _Patterns(
            re.compile(spelled),
            re.compile(_encode(spelled)),
            re.compile(coded),
            re.compile(_encode(coded)),
            re.compile(f"(?<![A-Za-z0-9]){spelled}(?![A-Za-z0-9])"),
        )

    def is_text(self, text: str) -> bool:
        """Whether it is this one."""
        return self._text == text

    def take_out(self, text: str, *, alone: bool = False) -> str:
        """`text` without it; `alone`: only where it is no part of a word."""
        lower = text.lower()
        if any(form in lower for form in self._folded) or _SPELLING.search(text):
            patterns = self._patterns
            text = (patterns.alone if alone else patterns.spelled).sub(CONCEALED, text)
        if self._folded[1] in lower or any(core in text for core in self._cores):
            text = self._patterns.coded.sub(CONCEALED, text)
        return text

    def mask(self, data: bytes) -> bytes:
        """`data` with as many asterisks in its place, so that what is around stays where it is."""
        lower = data.lower()
        folded = [_encode(form) in lower for form in self._folded]
        if folded[0] or len(data) <= _SPELLED_BYTES:
            data = self._patterns.spelled_bytes.sub(_make_asterisks, data)
        if folded[1] or any(core.encode() in data for core in self._cores):
            data = self._patterns.coded_bytes.sub(_make_asterisks, data)
        return data


_known: list[_KnownSecret] = []


def remember_secret(text: str) -> None:
    """Take `text` out of everything from now on. What is too short to be a secret is not kept."""
    if len(text) < _SHORTEST or any(known.is_text(text) for known in _known):
        return
    _known.append(_KnownSecret(text))
    del _known[:-_KNOWN_LIMIT]


def has_secrets() -> bool:
    """Whether any secret is known."""
    return bool(_known)


def conceal(text: str, *, is_of_service: bool = False) -> str:
    """`text` without any secret. `is_of_service`: also without those that may be a word."""
    for known in _known:
        if known.is_strong or is_of_service:
            text = known.take_out(text, alone=not known.is_strong)
    return text


def conceal_bytes(data: bytes) -> bytes:
    """`data` of the same length, with asterisks where a secret stood. For a thread when large."""
    for known in _known:
        if known.is_strong:
            data = known.mask(data)
    return data


def _encode(text: str) -> bytes:
    # What is no key holds anything, halves of characters too; it is told elsewhere.
    return text.encode("utf-8", "surrogatepass")


def _make_asterisks(found: re.Match[bytes]) -> bytes:
    return b"*" * len(found[0])


def _spell(sign: str) -> str:
    """A pattern for the character `sign` in any spelling.

    Each way begins with a character, and none with a class: so the places where one may begin are
    found many times faster.
    """
    number = ord(sign)
    digits = "".join(f"[{digit}{digit.upper()}]" for digit in f"{number:02x}")
    ways = (
        rf"\\\\{{0,7}}(?:u00{digits}|x{digits}|{number:03o})",
        rf"%(?:25){{0,3}}{digits}",
        rf"&#(?:[xX]0{{0,6}}{digits}|0{{0,6}}{number});",
        rf"={digits}",
        *(f"&{name};" for name in _ENTITIES.get(sign, ())),
        *(rf"\\\\{{0,7}}{re.escape(each)}" for each in sorted({sign.lower(), sign.upper()})),
        *(re.escape(each) for each in sorted({sign.lower(), sign.upper()})),
    )
    return f"(?:{'|'.join(ways)})"


def _list_base64_cores(text: str) -> list[str]:
    """What base64 of anything with `text` in it holds, wherever `text` begins: both alphabets."""
    size = len(_encode(text))
    encoders: tuple[Callable[[bytes], bytes], ...] = (base64.b64encode, base64.urlsafe_b64encode)
    cores: dict[str, None] = {}
    for before in range(3):
        # Without the characters that are also made of what stands before or behind.
        begin, end = -(-before * 8 // 6), (before + size) * 8 // 6
        for encode in encoders:
            cores[encode(b"\0" * before + _encode(text))[begin:end].decode()] = None
    return list(cores)
