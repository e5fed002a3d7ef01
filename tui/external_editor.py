"""The person's own editor, `$VISUAL` or `$EDITOR`, for a text of the screen."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
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
        with app.suspend(), unblock_signals():
            done = subprocess.run([*words, str(path)], check=False)
    except SuspendNotSupported:
        raise RequestError("editor", words[0], "No editor can be started here.") from None
    except OSError as error:
        said = f"{words[0]} did not start: {error.strerror or error}."
        raise RequestError("editor", words[0], said) from None
    finally:
        app.refresh(layout=True)
    if done.returncode:
        said = f"{words[0]} ended with status {done.returncode}: nothing was changed."
        raise RequestError("editor", words[0], said)


def edit_text(app: App[Any], text: str, name: str) -> str:
    """`text` as the person leaves it in the editor, in a file that ends in `name`.

    The file is private, and gone when it was read. Raises `RequestError`, and then says where the
    text is if it could not be read.
    """
    folder = Path(tempfile.mkdtemp(prefix="safelight-"))
    path = folder / name
    path.write_text(text + "\n", "utf-8")
    is_read = False
    try:
        edit_file(app, path)
        edited = _read(path)
        is_read = True
        return edited
    finally:
        if is_read or not path.exists() or path.read_bytes() == f"{text}\n".encode():
            shutil.rmtree(folder, ignore_errors=True)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(TEXT_BYTES + 1)
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
