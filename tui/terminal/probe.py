"""Asking the terminal what it can show, while the program is still being loaded.

The questions are sent first and the answers read when all is imported, so that over most links
nobody waits for them. What was typed meanwhile is kept for the screen. Answers that come later are
no keys to the driver, which also shows them here.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import subprocess
import termios
import time
import tty
from collections.abc import Mapping
from typing import Any, Self

from tui.terminal.answers import CLEANING, QUESTIONS, Answers, read_answers
from tui.terminal.detect import Tmux, find_multiplexer, is_text_terminal

WAIT_SECONDS = 0.1
"""How long the answers are waited for when everything else is there."""

INPUT_BYTES = 1 << 16
"""More is not read before the screen is there; it stays in the terminal's line."""

TMUX_SECONDS = 0.5
_TMUX_FACTS = "#{allow-passthrough}\t#{client_termfeatures}\t#{client_termname}"


class Opening:
    """What a terminal sent before there was a screen, and what is still to come of its answers.

    `typed`: what are no answers, for the driver to read first. `data`: all that came. `asked`: what
    is still to be answered.
    """

    def __init__(self, typed: bytes = b"", data: bytes = b"", asked: tuple[str, ...] = ()) -> None:
        self.typed = typed
        self._data = data
        self._asked = asked

    def listen(self, data: bytes) -> Answers | None:
        """The answers, once `data` is the last of them; None before and ever after."""
        if not self._asked:
            return None
        self._data += data
        answers, _ = read_answers(self._data, self._asked)
        if answers.is_whole or len(self._data) > INPUT_BYTES:
            self._data, self._asked = b"", ()
        return answers if answers.is_whole else None


class Probe:
    """Questions to a terminal whose answers are still to come.

    `descriptor` is that of the terminal. Made, it has asked, if that `is_wanted`. Until it is
    finished, which it is at the latest when its block ends, nothing that is typed is shown.
    """

    def __init__(
        self, descriptor: int, environ: Mapping[str, str], *, is_wanted: bool = True
    ) -> None:
        self._descriptor = descriptor
        self.tmux = find_tmux(environ) if is_wanted and environ.get("TMUX") else None
        questions = list_questions(environ) if is_wanted else {}
        self._asked = tuple(questions)
        self._attributes: list[Any] | None = None
        if not questions:
            return
        try:
            self._attributes = termios.tcgetattr(descriptor)
            tty.setcbreak(descriptor, termios.TCSANOW)
            os.write(descriptor, b"".join(questions.values()) + CLEANING)
        except (OSError, termios.error):
            self._asked = ()

    def finish(self, seconds: float = WAIT_SECONDS) -> tuple[Answers, Opening]:
        """What has been answered by now or within `seconds`, and what came beside it."""
        data = b""
        try:
            if self._asked:
                data = self._read(time.monotonic() + seconds)
        finally:
            self._restore()
        answers, typed = read_answers(data, self._asked)
        return answers, Opening(typed, data, self._asked if not answers.is_whole else ())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._restore()

    def _restore(self) -> None:
        if self._attributes is not None:
            with contextlib.suppress(termios.error):
                termios.tcsetattr(self._descriptor, termios.TCSANOW, self._attributes)
            self._attributes = None

    def _read(self, deadline: float) -> bytes:
        data = b""
        while len(data) < INPUT_BYTES and not read_answers(data)[0].is_whole:
            left = max(0.0, deadline - time.monotonic())
            try:
                if not select.select([self._descriptor], [], [], left)[0]:
                    break
                new = os.read(self._descriptor, INPUT_BYTES - len(data))
            except OSError:
                break
            if not new:
                break
            data += new
        return data


def list_questions(environ: Mapping[str, str]) -> dict[str, bytes]:
    """What this terminal may be asked, by name; none where it might show the questions."""
    if is_text_terminal(environ):
        return {}
    questions = dict(QUESTIONS)
    multiplexer = find_multiplexer(environ)
    if multiplexer:
        # They would tell of themselves: tmux keeps any colour, whatever its terminal has, and
        # screen shows strings of this kind in lines of its own.
        del questions["kitty graphics"], questions["colours"]
    if environ.get("TERM_PROGRAM") == "Apple_Terminal":
        questions.pop("kitty graphics", None)
    return questions


def find_tmux(environ: Mapping[str, str]) -> Tmux | None:
    """What the tmux of `environ` says of itself, None where it cannot be asked."""
    if (program := shutil.which("tmux", path=environ.get("PATH"))) is None:
        return None
    pane = ["-t", environ["TMUX_PANE"]] if environ.get("TMUX_PANE") else []
    try:
        done = subprocess.run(
            [program, "display-message", *pane, "-p", _TMUX_FACTS],
            env={name: environ[name] for name in ("TMUX", "PATH") if name in environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TMUX_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    facts = done.stdout[:4096].decode("utf-8", "replace").rstrip("\n").split("\t")
    if len(facts) != 3:
        return None
    passthrough, features, term = facts
    return Tmux(
        has_passthrough=passthrough in ("on", "all"), features=tuple(features.split(",")), term=term
    )
