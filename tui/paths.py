"""Paths of image files as they are typed: what they mean, how they go on, what they hold."""

from __future__ import annotations

import itertools
import os
import shlex
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

from store.errors import StoreError

_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".avif", ".mpo")
_ENTRIES_READ = 5000
_QUOTES = "'\""
_DROPPED_LIMIT = 32_768
DROPPED_FILES = 100
"""Most files that are taken from one drop."""


def parse_path(text: str) -> Path:
    """The path in `text`; `~` is the home folder, quotes round a dropped path are left out.

    Raises `StoreError` when there is none.
    """
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in _QUOTES:
        text = text[1:-1]
    if not text:
        raise StoreError("No path was given.", "Type one; tab completes it.")
    try:
        return Path(text).expanduser()
    except RuntimeError:
        raise StoreError(f"There is no home folder {text.partition('/')[0]!r}.") from None


def show_path(path: Path) -> str:
    """The path as a person writes it: `~` for the home folder."""
    home = os.environ.get("HOME", "")
    text = str(path)
    is_within = len(home) > 1 and text.startswith(home + os.sep)
    return f"~{text[len(home) :]}" if is_within else text


def parse_dropped(text: str) -> list[Path]:
    """The image files that a terminal pastes where files were dropped on it; [] for other text.

    Each is an absolute path, one a line or several in one: plain, in quotes, with backslashes
    before spaces, or a `file://` address. No file is looked at.
    """
    if len(text) > _DROPPED_LIMIT or "\0" in text:
        return []
    found: list[Path] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        names = _split_dropped(line)
        if not names or not all(_is_dropped(name) for name in names):
            return []
        found += [Path(name).expanduser() for name in names]
    return found if len(found) <= DROPPED_FILES else []


def _split_dropped(line: str) -> list[str]:
    """The paths in a line; the line itself where it is one with plain spaces."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = []
    names = [_read_address(word) for word in words]
    return names if names and all(_is_dropped(name) for name in names) else [_read_address(line)]


def _read_address(word: str) -> str:
    """The path of a `file://` address of this machine, else the word itself."""
    for head in ("file://localhost/", "file:///"):
        if word.lower().startswith(head):
            return "/" + unquote(word[len(head) :])
    return word


def _is_dropped(name: str) -> bool:
    is_absolute = name.startswith(("/", "~/"))
    return is_absolute and name.lower().endswith(_SUFFIXES) and name.isprintable()


def list_files(paths: Iterable[Path]) -> list[Path]:
    """Those of `paths` that are files."""
    found = []
    for path in paths:
        try:
            if path.is_file():
                found.append(path)
        except (OSError, ValueError):
            continue
    return found


def read_image_file(path: Path) -> bytes:
    """The bytes of the file. Raises `StoreError` when it is none or larger than an image may be."""
    from store.pixels import FILE_LIMIT

    try:
        if path.is_dir():
            raise StoreError(
                f"{path.name or path} is not a file: it is a folder.", "Go on to a file in it."
            )
        # A device or a pipe might never end.
        if path.exists() and not path.is_file():
            raise StoreError(f"{path.name} is no plain file.")
        with path.open("rb") as file:
            data = file.read(FILE_LIMIT + 1)
    except FileNotFoundError:
        raise StoreError(f"There is no file {path.name!r} there.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise StoreError(f"{path.name} cannot be read: {reason}.") from None
    if not data:
        raise StoreError(f"{path.name} is empty.")
    return data


def complete_path(text: str) -> str | None:
    """`text` with the name that it begins continued: the first folder or image file by name.

    None when nothing begins so. Names with control characters are left out.
    """
    if text == "~":
        return "~/"
    head, slash, start = text.rpartition("/")
    try:
        folder = Path(f"{head}{slash}" or ".").expanduser()
        with os.scandir(folder) as entries:
            names = [
                f"{entry.name}/" if entry.is_dir() else entry.name
                for entry in itertools.islice(entries, _ENTRIES_READ)
                if entry.name.startswith(start) and _is_offered(entry, start)
            ]
    except (OSError, RuntimeError, ValueError):
        return None
    return f"{head}{slash}{min(names)}" if names else None


def _is_offered(entry: os.DirEntry[str], start: str) -> bool:
    if not entry.name.isprintable() or (entry.name.startswith(".") and not start.startswith(".")):
        return False
    return entry.is_dir() or entry.name.lower().endswith(_SUFFIXES)
