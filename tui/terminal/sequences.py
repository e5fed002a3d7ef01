"""What a terminal sends, cut into its parts: text, control characters, sequences, pastes.

Bytes come in any order and are cut anywhere. The grammar is that of ECMA-48 with what terminals
have added to it: mouse reports of three raw bytes, the function keys of the Linux console,
bracketed pastes. What no terminal would send is passed over, and nothing that was begun waits
for its end longer than a moment: after any bytes the next key is a key again.
"""

from __future__ import annotations

import codecs
import re
from typing import Literal, NamedTuple

Kind = Literal["text", "control", "sequence", "paste"]

ESCAPE = 0x1B
PASTE_START, PASTE_END = b"\x1b[200~", b"\x1b[201~"

ESCAPE_SECONDS = 0.1
"""How long an ESC may be followed by the rest of a sequence; then it is the key."""

SEQUENCE_SECONDS = 0.5
"""How long a sequence that was begun may wait for its next bytes: halves cross a slow line."""

STRING_SECONDS = 3.0
"""How long a report of the terminal that is a string may take as a whole."""

PASTE_SECONDS = 1.0
"""How long a paste may wait for its next bytes; its end may never come."""

PASTE_BYTES = 1 << 16
"""A longer paste is handed on in pieces of this size."""

SEQUENCE_BYTES = 128
"""No key, mouse or mode report is longer."""

_CONTROLS = re.compile(rb"[\x00-\x1f\x7f]")
_CSI = re.compile(rb"\x1b\[[ -?]*")
"""Looser than the grammar: some terminals report a mouse at places below 0."""
_CONSOLE = re.compile(rb"\x1b\[\[")
_SS3 = re.compile(rb"\x1bO[0-9;]*")
_STRING_STARTS = frozenset(b"]P_^X")
_BEGINNINGS = _STRING_STARTS | frozenset(b"[O\\")
"""What makes a sequence of an ESC, so that the two may be of one that was cut."""

_STRING_END = re.compile(rb"[\x00-\x07\x0e-\x1f\x7f]")
"""BEL, ESC, and what no such string holds: all but what moves or ends a line."""


class Part(NamedTuple):
    """One part. `text` is decoded; a control or sequence stands in it as it came.

    A part of kind `text` has no control character, a `control` is one of C0 or DEL. A
    `sequence` begins with ESC and is whole by its grammar; that somebody knows it is not said.
    """

    kind: Kind
    text: str


def choose_encoding(name: str | None) -> str:
    """How text from a terminal is encoded, where standard input says `name`.

    That must hold ASCII as it is, as all encodings of locales do; otherwise it is UTF-8.
    """
    try:
        info = codecs.lookup(name or "utf-8")
        plain = bytes(range(128))
        is_stateless = info.incrementaldecoder is not None and not info.name.startswith(
            ("utf", "iso2022", "hz", "ascii")
        )
        if is_stateless and plain.decode(info.name) == plain.decode("ascii"):
            return info.name
    except (LookupError, UnicodeError):
        pass
    return "utf-8"


class Splitter:
    """Cuts the bytes of one terminal into parts.

    `encoding` is that of its text; what is not in it becomes U+FFFD. Times are in seconds, of
    any clock that does not go back.
    """

    def __init__(self, encoding: str = "utf-8") -> None:
        self._make_decoder = codecs.getincrementaldecoder(encoding)
        self._pending = b""
        self._paste: codecs.IncrementalDecoder | None = None
        self._is_in_string = False
        self._began_at = 0.0
        self._came_at = 0.0

    @property
    def is_idle(self) -> bool:
        """Whether nothing is begun that waits for more."""
        return not self._pending and self._paste is None and not self._is_in_string

    def feed(self, data: bytes, now: float) -> list[Part]:
        """The parts that are whole with `data`, which came at `now`.

        What waited too long is not ended here: `data` may have lain there for a while.
        """
        parts: list[Part] = []
        if self._is_in_string and now - self._began_at >= STRING_SECONDS:
            self._is_in_string, self._pending = False, b""
        if self.is_idle:
            self._began_at = now
        self._came_at = now
        is_plain = self._paste is None and not self._is_in_string
        if is_plain and self._pending == b"\x1b" and data and data[0] not in _BEGINNINGS:
            # A terminal sends alt with its key in one piece: these were pressed one by one.
            self._pending = b""
            parts.append(Part("control", "\x1b"))
        self._cut(self._pending + data, parts, now)
        return parts

    def end_overdue(self, now: float) -> list[Part]:
        """End what has waited too long for the rest; the parts that it is all the same.

        For when nothing has come up to `now`.
        """
        parts: list[Part] = []
        waited = now - self._came_at
        if self._paste is not None:
            if waited >= PASTE_SECONDS:
                self._hand_on_paste(self._paste, self._pending, parts, is_end=True)
                self._pending = b""
        elif self._is_in_string:
            if waited >= SEQUENCE_SECONDS or now - self._began_at >= STRING_SECONDS:
                self._is_in_string, self._pending = False, b""
        elif self._pending and waited >= self._find_patience():
            pending, self._pending = self._pending, b""
            self._give_up(pending, parts)
        return parts

    def _find_patience(self) -> float:
        """Seconds for which what is pending may wait: less where it may be a key by itself."""
        is_begun = self._pending.startswith((b"\x1b[", b"\x1bO"))
        return SEQUENCE_SECONDS if is_begun else ESCAPE_SECONDS

    def _give_up(self, pending: bytes, parts: list[Part]) -> None:
        """What `pending` is, now that no more comes."""
        if pending == b"\x1b":
            parts.append(Part("control", "\x1b"))
        elif pending[0] != ESCAPE:
            self._add_text(pending, parts)
        elif pending[-1:] == b"$" or (len(pending) == 2 and pending[1] in _STRING_STARTS):
            # Some terminals end a key with shift in a sign that ends nothing; alt+P is a key.
            parts.append(Part("sequence", pending.decode("ascii")))

    # Cutting

    def _cut(self, data: bytes, parts: list[Part], now: float) -> None:
        at = 0
        self._pending = b""
        while at < len(data):
            before = at
            if self._paste is not None:
                at = self._cut_paste(self._paste, data, at, parts)
            elif self._is_in_string:
                at = self._skip_string(data, at)
            elif data[at] == ESCAPE:
                at = self._cut_sequence(data, at, parts)
            else:
                at = self._cut_text(data, at, parts)
            if at < 0:
                self._pending = data[before:]
                return
            if self._paste is None and not self._is_in_string:
                self._began_at = now

    def _cut_text(self, data: bytes, at: int, parts: list[Part]) -> int:
        found = _CONTROLS.search(data, at)
        end = len(data) if found is None else found.start()
        if end == at:
            parts.append(Part("control", chr(data[at])))
            return at + 1
        if found is not None:
            self._add_text(data[at:end], parts)
            return end
        # The last character may be cut.
        decoder = self._make_decoder("replace")
        text = decoder.decode(data[at:])
        kept = len(decoder.getstate()[0])
        if text:
            parts.append(Part("text", text))
        self._pending = data[end - kept :] if kept else b""
        return end

    def _add_text(self, data: bytes, parts: list[Part]) -> None:
        if text := self._make_decoder("replace").decode(data, final=True):
            parts.append(Part("text", text))

    def _cut_sequence(self, data: bytes, at: int, parts: list[Part]) -> int:
        """Where the sequence at `at` ends; below 0 where it is not whole."""
        if at + 1 == len(data):
            return -1
        kind = data[at + 1]
        if kind == ESCAPE:
            parts.append(Part("control", "\x1b"))
            return at + 1
        if kind == ord("["):
            return self._cut_csi(data, at, parts)
        if kind == ord("O"):
            return self._cut_ended(data, at, _SS3, parts)
        if kind in _STRING_STARTS:
            if at + 2 == len(data):
                return -1
            self._is_in_string = True
            return at + 2
        if kind < 0x80:
            parts.append(Part("sequence", f"\x1b{chr(kind)}"))
            return at + 2
        return self._cut_alt(data, at, parts)

    def _cut_csi(self, data: bytes, at: int, parts: list[Part]) -> int:
        if data.startswith(PASTE_START, at):
            self._paste = self._make_decoder("replace")
            return at + len(PASTE_START)
        if data.startswith(b"\x1b[M", at):
            # A mouse report of the oldest kind: three bytes that are no control characters.
            for place in range(at + 3, at + 6):
                if place == len(data):
                    return -1
                if data[place] < 0x20:
                    return place
            return at + 6
        if data.startswith(b"\x1b[[", at):
            return self._cut_ended(data, at, _CONSOLE, parts)
        return self._cut_ended(data, at, _CSI, parts)

    def _cut_ended(self, data: bytes, at: int, start: re.Pattern[bytes], parts: list[Part]) -> int:
        """A sequence that begins as `start` and ends with a sign from `@` to `~`.

        One that is broken off is passed over, without the byte that breaks it.
        """
        begun = start.match(data, at)
        end = len(data) if begun is None else begun.end()
        if end - at > SEQUENCE_BYTES:
            return end
        if end == len(data):
            return -1
        if not 0x40 <= data[end] <= 0x7E:
            return end
        parts.append(Part("sequence", data[at : end + 1].decode("ascii")))
        return end + 1

    def _cut_alt(self, data: bytes, at: int, parts: list[Part]) -> int:
        """ESC before a character that is not ASCII: that key with alt."""
        decoder = self._make_decoder("replace")
        for end in range(at + 2, len(data) + 1):
            if text := decoder.decode(data[end - 1 : end]):
                parts.append(Part("sequence", f"\x1b{text[0]}"))
                if len(text) > 1:
                    # A byte that is no character, and the next one, which says so.
                    return end - 1
                return end
        return -1

    def _skip_string(self, data: bytes, at: int) -> int:
        """After the string that is being sent, or after `data`: nobody asked for one."""
        found = _STRING_END.search(data, at)
        if found is None:
            return len(data)
        end = found.start()
        if data[end] == ESCAPE and end + 1 == len(data):
            return -1 if end == at else self._wait_at(data, end)
        self._is_in_string = False
        if data[end] == 0x07:
            return end + 1
        return end + 2 if data.startswith(b"\x1b\\", end) else end

    def _wait_at(self, data: bytes, end: int) -> int:
        self._pending = data[end:]
        return len(data)

    def _cut_paste(
        self, decoder: codecs.IncrementalDecoder, data: bytes, at: int, parts: list[Part]
    ) -> int:
        """After the paste, or after `data` but for what may be the beginning of its end."""
        end = data.find(PASTE_END, at)
        if end >= 0:
            self._hand_on_paste(decoder, data[at:end], parts, is_end=True)
            return end + len(PASTE_END)
        if len(data) - at < PASTE_BYTES:
            return -1
        kept = next(n for n in range(len(PASTE_END) - 1, -1, -1) if data.endswith(PASTE_END[:n]))
        end = len(data) - kept
        self._hand_on_paste(decoder, data[at:end], parts, is_end=False)
        return self._wait_at(data, end)

    def _hand_on_paste(
        self, decoder: codecs.IncrementalDecoder, data: bytes, parts: list[Part], *, is_end: bool
    ) -> None:
        parts.append(Part("paste", decoder.decode(data, final=is_end)))
        if is_end:
            self._paste = None
