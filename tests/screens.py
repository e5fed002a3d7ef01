"""What stands on a screen: of a program in a terminal, and of an app in this process.

A `Terminal` is a pseudo-terminal whose screen is emulated by pyte; `read_screen` asks the app.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pyte

from tests.waiting import SECONDS, wait_for, wait_until

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

ENVIRONMENT = {
    "TERM": "xterm-256color",
    "COLORTERM": "truecolor",
    "LANG": "C.UTF-8",
    "TEXTUAL_ANIMATIONS": "none",
}


class Terminal:
    """A program running in a terminal of its own.

    `raw` holds every byte that the program sent; `screen` what a person would see; `read_at`
    when the last bytes came (`time.perf_counter`), before they were emulated.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        columns: int = 80,
        rows: int = 24,
        environ: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self.screen)
        self.raw = bytearray()
        self._text = (-1, "")
        self.read_at = 0.0
        self.status: int | None = None
        base = {k: v for k, v in os.environ.items() if k in ("PATH", "PYTHONPATH", "HOME")}
        child_environ = {**base, **ENVIRONMENT, **(environ or {})}
        self.process_id, self._master = pty.fork()
        if self.process_id == 0:
            try:
                if cwd is not None:
                    os.chdir(cwd)
                os.execvpe(argv[0], list(argv), child_environ)
            finally:
                os._exit(127)
        size = struct.pack("HHHH", rows, columns, rows * 20, columns * 10)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)

    @property
    def text(self) -> str:
        """The screen's lines."""
        # Asked again and again while one waits; it changes only with what the program sends.
        count, text = self._text
        if count != len(self.raw):
            lines = (self.screen.buffer[row] for row in range(self.screen.lines))
            columns = range(self.screen.columns)
            text = "\n".join("".join(line[n].data for n in columns).rstrip() for line in lines)
            self._text = (len(self.raw), text)
        return text

    def send(self, text: str | bytes) -> None:
        """Type `text`, or send bytes that are none."""
        os.write(self._master, text.encode() if isinstance(text, str) else text)

    def read(self, seconds: float) -> None:
        """Take what the program sends for at most `seconds`; returns after the first bytes."""
        if self._master < 0:
            time.sleep(seconds)
        elif not self._take(seconds):
            time.sleep(0.01)

    def _take(self, seconds: float) -> bool:
        """Take what comes within `seconds`; False where nothing will come any more."""
        if not select.select([self._master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._master, 65536)
        except OSError as error:
            if error.errno != errno.EIO:
                raise
            return False
        self.read_at = time.perf_counter()
        self.raw += data
        self._stream.feed(data)
        return bool(data)

    def wait_until(
        self, condition: Callable[[], object], seconds: float = SECONDS, what: str = "the condition"
    ) -> None:
        """Read until `condition` holds. Fails with the screen after `seconds`."""
        try:
            wait_until(condition, what, seconds, sleep=self.read)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen:\n{self.text}") from None

    def wait_for_text(self, text: str, seconds: float = SECONDS) -> None:
        """Read until `text` stands on the screen."""
        self.wait_until(lambda: text in self.text, seconds, repr(text))

    def wait_for_silence(self, seconds: float = 0.3, limit: float = SECONDS) -> None:
        """Read until nothing came for `seconds`."""
        deadline = time.monotonic() + limit
        quiet_since, length = time.monotonic(), len(self.raw)
        while time.monotonic() - quiet_since < seconds and time.monotonic() < deadline:
            self.read(0.02)
            if len(self.raw) != length:
                quiet_since, length = time.monotonic(), len(self.raw)

    def hang_up(self) -> None:
        """Close the terminal, as a dropped link does."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the program."""
        os.kill(self.process_id, number)

    def wait_for_end(self, seconds: float = SECONDS) -> int:
        """Wait until the program has ended; its exit status, or minus the signal."""
        self.wait_until(self.has_ended, seconds, "the end of the program")
        assert self.status is not None
        # What it said last may lie there unread.
        while self._master >= 0 and select.select([self._master], [], [], 0)[0] and self._take(0):
            pass
        return self.status

    def has_ended(self) -> bool:
        """Whether the program has ended."""
        if self.status is None:
            found, status = os.waitpid(self.process_id, os.WNOHANG)
            if found:
                self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def is_echoing(self) -> bool:
        """Whether the terminal is back in the mode that a shell expects."""
        modes = termios.tcgetattr(self._master)
        return bool(modes[3] & termios.ECHO and modes[3] & termios.ICANON)

    def restore_modes(self) -> None:
        """Put the terminal into the mode that a shell expects."""
        modes = termios.tcgetattr(self._master)
        modes[3] |= termios.ECHO | termios.ICANON | termios.ISIG
        termios.tcsetattr(self._master, termios.TCSANOW, modes)

    def close(self) -> None:
        """End the program, if it still runs, and let go of the terminal."""
        if not self.has_ended():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process_id, signal.SIGKILL)
            self.wait_for_end()
        self.hang_up()


@contextlib.contextmanager
def open_terminal(
    argv: Sequence[str],
    *,
    columns: int = 80,
    rows: int = 24,
    environ: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
) -> Iterator[Terminal]:
    """`argv` in a terminal of its own, ended afterwards whatever happens."""
    terminal = Terminal(argv, columns=columns, rows=rows, environ=environ, cwd=cwd)
    try:
        yield terminal
    finally:
        terminal.close()


def read_screen(app: App[Any]) -> str:
    """What stands on the screen of an app under test, as lines of text."""
    width, height = app.size
    strips = app.screen._compositor.render_strips(app.size)
    return "\n".join(strip.crop(0, width).text.rstrip() for strip in strips[:height])


def join_lines(shown: str) -> str:
    """What stands on the screen without its frames, so that a sentence may be wrapped."""
    return " ".join(shown.replace("│", " ").split())


async def wait_in_app(
    pilot: Pilot[Any],
    condition: Callable[[], object],
    what: str,
    seconds: float = SECONDS,
) -> None:
    """Let the app handle its messages until `condition` holds. Fails with its screen."""

    async def work(pause: float) -> None:
        await pilot.pause()
        await asyncio.sleep(pause)

    try:
        await wait_for(condition, what, seconds, sleep=work)
    except AssertionError as error:
        raise AssertionError(f"{error}; the screen:\n{read_screen(pilot.app)}") from None
