"""The terminal, read and written so that nothing it sends or suffers ends the program.

Textual's driver, with another reader of its input: bytes of any kind become text, a known key,
or are passed over. After a stop the whole screen is drawn again, and what was left is entered
once.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import time
import tty
from collections.abc import Sequence
from typing import Any

from textual import constants, events
from textual._xterm_parser import XTermParser
from textual.app import App
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import (
    KITTY_DISAMBIGUATE_ESCAPE_CODES,
    KITTY_REPORT_ALL_KEYS,
    KITTY_REPORT_ASSOCIATED_TEXT,
    LinuxDriver,
)
from textual.message import Message
from textual.messages import InBandWindowResize

from tui.bursts import Burst, Input
from tui.terminal.answers import Answers
from tui.terminal.carried import carry_styles
from tui.terminal.encoding import open_output
from tui.terminal.notices import BRING_TITLE_BACK, KEEP_TITLE
from tui.terminal.probe import Opening
from tui.terminal.sequences import Part, Splitter, choose_encoding
from tui.terminal.writer import Output

READ_BYTES = 1 << 14
BURST_BYTES = 1 << 16
"""A longer burst is handed on in pieces."""

LOOK_SECONDS = 0.1
"""How often the end of the program is looked for while nothing comes."""

TOGETHER_SECONDS = 0.02
"""What follows a text so soon came together with it."""

GONE_SECONDS = 2.0
"""A terminal that has been at its end for so long is gone."""

FURTHEST_CELL = 9999
"""No terminal has a mouse beyond that column or row."""

KEYBOARD_MODE = (
    KITTY_DISAMBIGUATE_ESCAPE_CODES | KITTY_REPORT_ALL_KEYS | KITTY_REPORT_ASSOCIATED_TEXT
)
"""What Textual asks of a terminal with the kitty keyboard protocol."""


class TerminalAnswered(Message):
    """The terminal has said what it can show, later than it was waited for."""

    def __init__(self, answers: Answers) -> None:
        super().__init__()
        self.answers = answers


class Keyboard:
    """What the parts of a terminal's input are to Textual.

    `translate` gives none for what Textual does not know, and for what it cannot bear: numbers
    that are no character or no size, half characters, answers to what nobody asked.
    """

    def __init__(self) -> None:
        self._text = XTermParser()
        self._mouse = (0.0, 0.0)

    def translate(self, part: Part) -> Sequence[Message]:
        """The events that `part` is."""
        if part.kind == "paste":
            return [events.Paste(part.text.replace("\x00", ""))]
        if part.text == "\x1b":
            return [events.Key("escape", "\x1b")]
        try:
            found = self._read(part)
        except (ArithmeticError, LookupError, TypeError, ValueError):
            # Textual counts on what terminals send being well formed.
            return []
        return [each for each in found if _is_wanted(each)]

    def _read(self, part: Part) -> list[Message]:
        if part.kind != "sequence":
            return list(self._text.feed(part.text))
        parser = XTermParser()
        parser.last_x, parser.last_y = self._mouse
        is_shorter = bool(list(parser.feed(part.text[:-1])))
        found = [] if is_shorter else list(parser.feed(part.text[-1]))
        self._mouse = (parser.last_x, parser.last_y)
        if found or is_shorter or len(part.text) > 2:
            return found
        # A key with alt, or ESC and right after it a key that has no other meaning with it.
        return [_add_alt(each) for each in self._text.feed(part.text[1])]


def _add_alt(event: Message) -> Message:
    if isinstance(event, events.Key) and len(event.key) == 1:
        shift = "shift+" if event.key.isupper() else ""
        return events.Key(f"alt+{shift}{event.key.lower()}", event.character)
    return event


def _is_wanted(event: Message) -> bool:
    if isinstance(event, events.Key):
        sign = event.character or ""
        return event.key != "<ignore>" and not any(
            0x80 <= ord(each) < 0xA0 or 0xD800 <= ord(each) < 0xE000 for each in sign
        )
    if isinstance(event, events.MouseEvent):
        return event.screen_x <= FURTHEST_CELL and event.screen_y <= FURTHEST_CELL
    return not isinstance(event, events.Resize | events.CursorPosition | InBandWindowResize)


class TerminalDriver(LinuxDriver):
    """Reads a terminal and writes to it, on Linux and macOS."""

    def __init__(
        self,
        app: App[Any],
        *,
        debug: bool = False,
        mouse: bool = True,
        size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(app, debug=debug, mouse=mouse, size=size)
        if self._file is not None:
            self._file = open_output(self._file)
        self._is_stopped = False
        self._opening: Opening = getattr(app, "terminal_opening", None) or Opening()

    # Output

    @property
    def _writer_thread(self) -> WriterThread | None:
        return self._output

    @_writer_thread.setter
    def _writer_thread(self, thread: WriterThread | None) -> None:
        """Textual makes one that the program may have to wait for."""
        file = None if thread is None else self._file
        self._output = None if file is None else Output(file, self._catch_up)

    def find_behind(self) -> bool:
        """Whether the terminal does not take what it is sent, so that a frame is to be left out.

        All is drawn again as soon as it has taken what waits.
        """
        return self._output is not None and self._output.find_behind()

    def _catch_up(self) -> None:
        # The loop may be at its end.
        with contextlib.suppress(RuntimeError):
            self.send_message(self.SignalResume())

    def start_application_mode(self) -> None:
        """Take the terminal, its title too."""
        super().start_application_mode()  # type: ignore[no-untyped-call]
        self.write(KEEP_TITLE)

    def stop_application_mode(self) -> None:
        """Give the terminal back, with the title that it had."""
        self.write(BRING_TITLE_BACK)
        super().stop_application_mode()

    def write(self, data: str) -> None:
        """Send `data`, with styles carried from run to run."""
        super().write(carry_styles(data))

    # Input

    def run_input_thread(self) -> None:
        """Read until the program ends, and hand on what is understood."""
        splitter = Splitter(choose_encoding(sys.__stdin__.encoding if sys.__stdin__ else None))
        keyboard = Keyboard()
        gone_since = 0.0
        if self._opening.typed:
            self._take(self._opening.typed, splitter, keyboard)
        while not self.exit_event.is_set():
            now = time.monotonic()
            is_ready, data = self._read(LOOK_SECONDS)
            if data:
                gone_since = 0.0
                if answers := self._opening.listen(self._take(data, splitter, keyboard)):
                    self.send_message(TerminalAnswered(answers))
            elif is_ready:
                gone_since = gone_since or now
                if now - gone_since >= GONE_SECONDS:
                    self._app.call_later(self._app.exit, None, 128 + signal.SIGHUP)
                    return
                self.exit_event.wait(LOOK_SECONDS)
            else:
                parts = splitter.end_overdue(time.monotonic())
                self._hand_on(parts, keyboard, is_whole=True)

    def _read(self, seconds: float) -> tuple[bool, bytes]:
        """Whether there was something to read within `seconds`, and what; b"" is the end."""
        try:
            if not select.select([self.fileno], [], [], seconds)[0]:
                return False, b""
            return True, os.read(self.fileno, READ_BYTES)
        except BlockingIOError:
            return False, b""
        except OSError:
            return True, b""

    def _take(self, data: bytes, splitter: Splitter, keyboard: Keyboard) -> bytes:
        """Hand on `data`, and what follows it so soon that it came together with it; all of it."""
        parts = splitter.feed(data, time.monotonic())
        taken = data
        while len(taken) < BURST_BYTES and _has_text(parts) and not self.exit_event.is_set():
            _, data = self._read(TOGETHER_SECONDS)
            if not data:
                break
            parts += splitter.feed(data, time.monotonic())
            taken += data
        self._hand_on(parts, keyboard, is_whole=len(taken) < BURST_BYTES)
        return taken

    def _hand_on(self, parts: Sequence[Part], keyboard: Keyboard, *, is_whole: bool) -> None:
        pressed: list[Input] = []
        for part in parts:
            for event in keyboard.translate(part):
                if isinstance(event, events.Key | events.Paste):
                    pressed.append(event)
                else:
                    self.process_message(event)
        if len(pressed) > 1 and _has_text(parts):
            self.process_message(Burst(pressed, is_whole))
        else:
            for event in pressed:
                self.process_message(event)

    # Stopped, and going on

    # A signal may come while this thread holds the lock of what it would have to write to.

    def _sigtstp_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop)

    def _sigcont_application(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._go_on)

    def _stop(self) -> None:
        """Leave the terminal to the shell and stop this process."""
        if self._auto_restart and self._is_writing:
            self.suspend_application_mode()
            self._is_stopped = True
        os.kill(os.getpid(), signal.SIGSTOP)

    def _go_on(self) -> None:
        """Take the terminal again, from where the shell or whoever it was left it."""
        if not self._auto_restart:
            return
        if not self._is_in_foreground():
            # What runs behind a shell must not draw over it.
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._is_stopped:
            self._is_stopped = False
            self.resume_application_mode()
            self.send_message(self.SignalResume())
        elif self._is_writing:
            self._enter_again()
            self.send_message(self.SignalResume())

    @property
    def _is_writing(self) -> bool:
        return self._writer_thread is not None and self._writer_thread.is_alive()

    def _is_in_foreground(self) -> bool:
        try:
            return os.tcgetpgrp(self.fileno) == os.getpgrp()
        except OSError:
            return True

    def _enter_again(self) -> None:
        """Set the modes again that a stop without a warning may have cost.

        Nothing is started twice, and no keyboard mode laid over the one that is left at the end.
        """
        with contextlib.suppress(termios.error):
            attributes = termios.tcgetattr(self.fileno)
            attributes[tty.LFLAG] = self._patch_lflag(attributes[tty.LFLAG])
            attributes[tty.IFLAG] = self._patch_iflag(attributes[tty.IFLAG])
            termios.tcsetattr(self.fileno, termios.TCSANOW, attributes)
        self.write("\x1b[?1049h\x1b[?25l\x1b[?1004h")
        if not constants.DISABLE_KITTY_KEY:
            self.write(f"\x1b[={KEYBOARD_MODE}u")
        self._enable_bracketed_paste()
        self._disable_line_wrap()
        self._enable_mouse_support()


def _has_text(parts: Sequence[Part]) -> bool:
    return any(part.kind in ("text", "paste") for part in parts)
