"""Output to a terminal that may be slow, stand still or be gone: the program never waits for it."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from queue import Queue
from typing import IO

from textual.driver import Driver
from textual.drivers._writer_thread import WriterThread

BEHIND_CHARACTERS = 1 << 16
"""So much may wait behind what is being sent; with more the terminal is behind."""

WAITING_CHARACTERS = 1 << 20
"""Beyond it nothing is kept for a terminal that does not read."""


def is_behind(driver: Driver | None) -> bool:
    """Whether `driver` has a terminal that does not take what it is sent."""
    find = getattr(driver, "find_behind", None)
    return find is not None and bool(find())


class Output(WriterThread):
    """Writes what it is given in its order, in a thread; who gives it goes on at once.

    Textual's own writer lets the program wait once thirty pieces are waiting: with a stalled line
    nothing would be typed, shown or noticed any more. `on_caught_up` is called, in this thread,
    when the terminal has taken all after it was behind.
    """

    def __init__(self, file: IO[str], on_caught_up: Callable[[], None]) -> None:
        super().__init__(file)
        self._queue = Queue()
        self._on_caught_up = on_caught_up
        self._lock = threading.Lock()
        self._waiting = 0
        self._is_behind = False
        self._is_gone = False

    def write(self, text: str) -> None:
        """Hand over `text`; it is dropped where far too much waits, or nobody is there."""
        with self._lock:
            if self._is_gone or self._waiting > WAITING_CHARACTERS:
                return
            self._waiting += len(text)
        self._queue.put(text)

    def find_behind(self) -> bool:
        """Whether the terminal is behind, and so stays until it has taken all that waits."""
        with self._lock:
            self._is_behind |= self._waiting > BEHIND_CHARACTERS
            return self._is_behind

    def run(self) -> None:
        """Write until `stop` is called."""
        while (text := self._queue.get()) is not None:
            with self._lock:
                self._waiting -= len(text)
            try:
                self._file.write(text)
                if self._queue.empty():
                    self._file.flush()
                    self._look_around()
            except (OSError, ValueError):
                # Its end was closed. The program hears of that in other ways.
                self._is_gone = True
        with contextlib.suppress(OSError, ValueError):
            self._file.flush()

    def _look_around(self) -> None:
        with self._lock:
            has_caught_up = self._is_behind and not self._waiting
            self._is_behind = self._is_behind and not has_caught_up
        if has_caught_up:
            self._on_caught_up()
