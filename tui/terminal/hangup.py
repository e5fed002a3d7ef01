"""A sure end when the terminal goes away, whatever the app is stuck in."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from textual.app import App

HANGUP_SIGNALS = (signal.SIGHUP, signal.SIGTERM)
"""The signals that end the app: the terminal is gone, or somebody asks."""

HANGUP_SECONDS = 0.8
"""How long a clean end may take before the process is ended hard."""


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
