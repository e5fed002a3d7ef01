"""Between the app and the terminal: no raw control characters out, a sure end on hang-up."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from tui.terminal.detect import (
    ImageProtocol,
    choose_image_protocol,
    describe_terminal,
    has_unicode,
    prepare_environment,
)

if TYPE_CHECKING:
    from textual.app import App

__all__ = [
    "ControlFilter",
    "ImageProtocol",
    "choose_image_protocol",
    "describe_terminal",
    "has_unicode",
    "prepare_environment",
    "unblock_signals",
    "watch_hangup",
]

HANGUP_SIGNALS = (signal.SIGHUP, signal.SIGTERM)
"""The signals that end the app: the terminal is gone, or somebody asks."""

HANGUP_SECONDS = 2.0
"""How long a clean end may take before the process is ended hard."""

_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)}
_PICTURES[0x7F] = "\u2421"
_PICTURES |= dict.fromkeys(range(0x80, 0xA0), "\ufffd")
_QUESTION_MARKS = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "?")


class ControlFilter(LineFilter):
    """The last gate before the terminal: control characters leave as visible pictures.

    C0, DEL and C1 in text become one visible character each (`?` without `has_pictures`).
    Control characters measure no cell, their pictures one, so a line is cut back to the
    length that it had and never runs into what stands beside it.
    """

    def __init__(self, has_pictures: bool = True) -> None:
        super().__init__()
        self._pictures = _PICTURES if has_pictures else _QUESTION_MARKS

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """`segments` without control characters; the same list where there are none."""
        if not any(_is_unsafe(segment) for segment in segments):
            return segments
        length = sum(cell_len(text) for text, _, control in segments if not control)
        made = [
            Segment(segment.text.translate(self._pictures), segment.style)
            if _is_unsafe(segment)
            else segment
            for segment in segments
        ]
        return Segment.adjust_line_length(made, length, pad=False)


def _is_unsafe(segment: Segment) -> bool:
    text = segment.text
    if segment.control or text.isprintable():
        return False
    return any(code < 0x20 or 0x7F <= code < 0xA0 for code in map(ord, text))


def watch_hangup(app: App[Any], seconds: float = HANGUP_SECONDS) -> None:
    """End `app` when the terminal goes away or on SIGTERM; call it before `app.run`.

    Both signals are blocked in this thread, and so in every later one, and taken by a thread
    of their own: a handler would have to wait for a main thread that may be stuck writing to
    a dead terminal. That thread asks the app to exit with 128 + signal and ends the process
    itself after `seconds`. Nothing is saved here: what must live is written when it is made.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, HANGUP_SIGNALS)
    attributes = _read_terminal_attributes()
    thread = threading.Thread(
        target=_await_hangup, args=(app, seconds, attributes), name="hang-up", daemon=True
    )
    thread.start()


def _await_hangup(app: App[Any], seconds: float, attributes: list[Any] | None) -> None:
    code = 128 + int(signal.sigwait(HANGUP_SIGNALS))
    if app.is_running:
        app.call_later(app.exit, None, code)
        time.sleep(seconds)
    _write_terminal_attributes(attributes)
    os._exit(code)


def _read_terminal_attributes() -> list[Any] | None:
    import termios

    try:
        return termios.tcgetattr(sys.__stdin__.fileno()) if sys.__stdin__ else None
    except (termios.error, ValueError, OSError):
        return None


def _write_terminal_attributes(attributes: list[Any] | None) -> None:
    """Leave raw mode, so that the shell echoes again; writing more could block for ever."""
    import termios

    if attributes is not None and sys.__stdin__:
        with contextlib.suppress(termios.error, ValueError, OSError):
            termios.tcsetattr(sys.__stdin__.fileno(), termios.TCSANOW, attributes)


@contextlib.contextmanager
def unblock_signals() -> Iterator[None]:
    """Start child processes inside this: they inherit the mask, and must die on hang-up."""
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, HANGUP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
