"""The person's own editor, `$VISUAL` or `$EDITOR`, for a text of the screen."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from store.errors import RequestError
from tui.terminal.hangup import unblock_signals

VARIABLES = ("VISUAL", "EDITOR")
USUAL = ("nano", "vim", "vi", "emacs")
TEXT_BYTES = 256 * 1024
"""The most that is read back."""


def find_editor(environ: Mapping[str, str]) -> list[str]:
    """The words of the command: by `$VISUAL`, `$EDITOR`, else a usual one that is installed.

    Raises `RequestError`.
    """
    for name in VARIABLES:
        if not (said := environ.get(name, "").strip()):
            continue
        try:
            words = shlex.split(said)
        except ValueError:
            raise RequestError(
                "editor", said, f"${name} is no command: {said!r}.", "Close its quotes."
            ) from None
        if shutil.which(words[0], path=environ.get("PATH")) is None:
            raise RequestError(
                "editor", said, f"${name} is {said!r}, which is not installed.", "Set another one."
            )
        return words
    for name in USUAL:
        if shutil.which(name, path=environ.get("PATH")) is not None:
            return [name]
    raise RequestError(
        "editor", None, "There is no editor.", "Set $EDITOR to the one that you use."
    )


def edit_file(app: App[Any], path: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Hand the terminal to the editor with the file `path`, until it ends.

    Raises `RequestError` where it does not start or fails.
    """
    words = find_editor(environ)
    try:
        with app.suspend(), unblock_signals(), _leave_interrupts():
            done = subprocess.run([*words, str(path)], check=False)
    except SuspendNotSupported:
        raise RequestError("editor", words[0], "No editor can be started here.") from None
    except OSError as error:
        said = f"{words[0]} did not start: {error.strerror or error}."
        raise RequestError("editor", words[0], said) from None
    finally:
        app.refresh(layout=True)
    if done.returncode:
        number = done.returncode
        how = f"by signal {-number}" if number < 0 else f"with status {number}"
        said = f"{words[0]} ended {how}: nothing was changed."
        raise RequestError("editor", words[0], said)


@contextlib.contextmanager
def _leave_interrupts() -> Iterator[None]:
    """ctrl+c is the editor's while it has the terminal; it begins with the usual way of ending."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def edit_text(app: App[Any], text: str, name: str) -> str:
    """`text` as the person leaves it in the editor, in a file that ends in `name`.

    The file is private, and gone when it was read. Raises `RequestError`, and then says where the
    text is if it could not be read.
    """
    written = f"{text}\n".encode("utf-8", "replace")
    try:
        folder = Path(tempfile.mkdtemp(prefix="safelight-"))
        path = folder / name
        path.write_bytes(written)
    except OSError as error:
        said = f"No file for the editor can be written: {error.strerror or error}."
        raise RequestError("editor", None, said, "Set TMPDIR to a folder with room.") from None
    is_done = False
    try:
        edit_file(app, path)
        edited = _read(path)
        is_done = True
        return edited
    finally:
        if is_done or _is_unchanged(path, written):
            shutil.rmtree(folder, ignore_errors=True)


def _is_unchanged(path: Path, written: bytes) -> bool:
    """Whether nothing of a person's stands in the file, which may be gone or no file any more."""
    try:
        return _read_bytes(path) == written
    except OSError:
        return not path.is_file()


def _read_bytes(path: Path) -> bytes:
    # Not blocking: what the editor left may be a FIFO.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file any more")
        return file.read(TEXT_BYTES + 1)


def _read(path: Path) -> str:
    try:
        data = _read_bytes(path)
    except OSError as error:
        said = f"What was edited cannot be read: {error.strerror or error}."
        raise RequestError("editor", str(path), said) from None
    if len(data) > TEXT_BYTES:
        said = f"It has more than {TEXT_BYTES:,} bytes; it is kept in {path}."
        raise RequestError("editor", str(path), said)
    try:
        return data.decode("utf-8-sig").rstrip("\n")
    except UnicodeDecodeError as error:
        said = f"It is not UTF-8 text (byte {error.start}); it is kept in {path}."
        raise RequestError("editor", str(path), said) from None
