"""The secrets that this process has read, and texts without them.

Services repeat the key that they were sent. What leaves the program (rows, the spool, logs, the
terminal) is asked here first. A secret is found in each form that is met: as it is, behind
`Bearer`, in a `Basic` header (base64, at any place in it), percent-encoded, escaped as in JSON,
HTML or a Python text, and in hexadecimal digits; each also where lines break inside it, as in MIME.

A secret that may well be a word of ours (short, or only letters) would tear other texts apart. Such
a one is taken only out of what a service says, and only where it stands alone.
"""

from __future__ import annotations

import base64
import bisect
import functools
import re
from collections.abc import Callable, Iterator
from typing import AnyStr, Generic, NamedTuple

CONCEALED = "[key]"
"""What stands where a secret was."""

_SHORTEST = 3
_STRONG_LENGTH = 8
_LONG_WORD = 16
_KNOWN_LIMIT = 64

_SPELLING = re.compile(r"[%\\=&]")
"""What each spelling of a character begins with that is not the character itself."""

_BREAK = re.compile(
    r"[\r\n=\\](?:(?<=[\r\n])|(?<==)[\r\n]|(?<=\\)\\{0,6}[rn]|(?<==)\\{1,7}[rn])[ \t]*"
)
"""The end of a line, as it is, as a soft one of quoted-printable, or escaped as in JSON.

It begins with a class, which is looked for many times faster than a choice of ways.
"""

_BREAK_BYTES = re.compile(_BREAK.pattern.encode())

_SPELLED_LENGTH = 200
"""So many characters of a secret are looked for in any spelling; all that stands behind is its."""

_REST = r"[^\s\"'<>,;]*"

_ENTITIES = {"&": ("amp",), "<": ("lt",), ">": ("gt",), '"': ("quot",), "'": ("apos",)}
"""The names of characters in HTML and XML."""

_SPELLED_BYTES = 16 * 1024 * 1024
"""More bytes than these are an image, and looked through for the usual forms alone."""

_SPELLED_LINES_BYTES = 256 * 1024
"""The same, for a secret with the end of a line in it."""


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
        spelled = "".join(
            map(_spell, re.findall(r"\\*[^\\]|\\+", self._text[:_SPELLED_LENGTH], re.DOTALL))
        )
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
        for pattern in self._list_patterns(text, alone=alone):
            text = pattern.sub(CONCEALED, text)
        joined = _Joined(text, _BREAK)
        for pattern in self._list_patterns(joined.text, alone=alone) if joined.is_broken else ():
            for begin, end in reversed(joined.list_places(pattern)):
                text = text[:begin] + CONCEALED + text[end:]
            joined = _Joined(text, _BREAK)
        return text

    def mask(self, data: bytes) -> bytes:
        """`data` with as many asterisks in its place, so that what is around stays where it is."""
        for pattern in self._list_byte_patterns(data, _SPELLED_BYTES):
            data = pattern.sub(_make_asterisks, data)
        if len(data) > _SPELLED_BYTES:
            return data
        joined = _Joined(data, _BREAK_BYTES)
        patterns = self._list_byte_patterns(joined.text, _SPELLED_LINES_BYTES)
        for pattern in patterns if joined.is_broken else ():
            for begin, end in joined.list_places(pattern):
                data = data[:begin] + b"*" * (end - begin) + data[end:]
        return data

    def _list_patterns(self, text: str, *, alone: bool) -> Iterator[re.Pattern[str]]:
        # What may find something in `text`.
        lower = text.lower()
        if any(form in lower for form in self._folded) or _SPELLING.search(text):
            yield self._patterns.alone if alone else self._patterns.spelled
        if self._folded[1] in lower or any(core in text for core in self._cores):
            yield self._patterns.coded

    def _list_byte_patterns(self, data: bytes, spelled: int) -> Iterator[re.Pattern[bytes]]:
        # Of at most `spelled` bytes, any spelling is looked for.
        lower = data.lower()
        folded = [_encode(form) in lower for form in self._folded]
        if folded[0] or len(data) <= spelled:
            yield self._patterns.spelled_bytes
        if folded[1] or any(core.encode() in data for core in self._cores):
            yield self._patterns.coded_bytes


class _Joined(Generic[AnyStr]):
    """A text with its lines joined, and where in it each part of that stood."""

    def __init__(self, text: AnyStr, breaks: re.Pattern[AnyStr]) -> None:
        parts: list[AnyStr] = []
        self._begins: list[int] = []
        self._removed: list[int] = []
        end = removed = 0
        for found in breaks.finditer(text):
            parts.append(text[end : found.start()])
            end = found.end()
            removed += end - found.start()
            self._begins.append(end - removed)
            self._removed.append(removed)
        self.is_broken = bool(parts)
        parts.append(text[end:])
        self.text: AnyStr = text[:0].join(parts)

    def list_places(self, pattern: re.Pattern[AnyStr]) -> list[tuple[int, int]]:
        """Where `pattern` is found, as begin and end in the text with its breaks."""
        return [
            (self._place(found.start()), self._place(found.end() - 1) + 1)
            for found in pattern.finditer(self.text)
        ]

    def _place(self, place: int) -> int:
        parts = bisect.bisect_right(self._begins, place)
        return place + (self._removed[parts - 1] if parts else 0)


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


def _spell(signs: str) -> str:
    """A pattern for a character and the backslashes before it, in any spelling.

    Each way begins with a character, and none with a class: so the places where one may begin are
    found many times faster. A backslash may be one of the secret or one that escapes the next: the
    first way to divide a row of them is kept, or each row would multiply the ways of those before.
    """
    sign = signs[-1]
    if count := len(signs) - (sign != "\\"):
        behind = _spell_sign(sign) if sign != "\\" else ""
        return f"(?>{_spell_sign(chr(92), count)}{behind})"
    return _spell_sign(sign)


def _spell_sign(sign: str, count: int = 1) -> str:
    number = ord(sign)
    digits = "".join(f"[{digit}{digit.upper()}]" for digit in f"{number:02x}")
    escaped = rf"(?:u00{digits}|x{digits}|{number:03o})"
    ways: tuple[str, ...] = (
        rf"%(?:25){{0,3}}{digits}",
        rf"&#(?:[xX]0{{0,6}}{digits}|0{{0,6}}{number});",
        rf"={digits}",
    )
    if sign == "\\":
        return rf"(?:\\{escaped}|\\|{'|'.join(ways)}){{{count},{count * 8 + 7}}}"
    letters = [re.escape(each) for each in sorted({sign.lower(), sign.upper()})]
    ways = (
        rf"\\{{1,8}}{escaped}",
        *ways,
        *(f"&{name};" for name in _ENTITIES.get(sign, ())),
        *(rf"\\{{1,8}}{each}" for each in letters),
        *letters,
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
