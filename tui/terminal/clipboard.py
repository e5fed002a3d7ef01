"""The clipboard of the terminal, which may be at the far end of a link: OSC 52, through tmux too.

Facts: xterm's control sequences (OSC 52); tmux (`set-clipboard external`, its default, takes no
OSC 52 of a program, but `load-buffer -w` hands a text on); screen passes on what stands in a DCS
string, in pieces of at most 768 bytes.
"""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from store.errors import StoreError
from tui.terminal.detect import find_multiplexer, is_text_terminal
from tui.terminal.passthrough import wrap_for

SEQUENCE_BYTES = 74_994
"""The most that common terminals take in one OSC 52."""

TMUX_SECONDS = 2.0
COPY_NAME = "copied.txt"


def write_copy(text: str, environ: Mapping[str, str]) -> str:
    """What asks the terminal to take `text` into its clipboard; "" where it would show it."""
    data = b"\x1b]52;c;" + base64.standard_b64encode(text.encode("utf-8", "replace")) + b"\x07"
    if is_text_terminal(environ) or len(data) > SEQUENCE_BYTES:
        return ""
    return wrap_for(find_multiplexer(environ), data).decode("ascii")


def hand_to_tmux(text: str, environ: Mapping[str, str]) -> bool:
    """Give `text` to the tmux that this runs in, and by it to its terminal; whether it took it."""
    program = shutil.which("tmux", path=environ.get("PATH"))
    if program is None or not environ.get("TMUX"):
        return False
    try:
        done = subprocess.run(
            [program, "load-buffer", "-w", "-"],
            env={name: environ[name] for name in ("TMUX", "PATH") if name in environ},
            input=text.encode("utf-8", "replace"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=TMUX_SECONDS,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def keep_copy(text: str, directory: Path) -> Path:
    """Write `text` into a private file of the data folder, and return its path.

    For a terminal that has no clipboard, or lets no program write to it: nobody is told which.
    Raises `StoreError`.
    """
    path = directory / COPY_NAME
    new = path.with_suffix(f".{os.getpid()}.new")
    try:
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace") + b"\n")
        new.replace(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from None
    return path
