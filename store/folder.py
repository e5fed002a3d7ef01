"""The data folder: where it and the configuration are, made, owned, private.

Nothing is made by asking where they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from store.errors import FileUnavailable, StoreError

HOME_VARIABLE = "SAFELIGHT_HOME"


def find_data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the database and the images.

    `$SAFELIGHT_HOME/data` when that variable is set, else the platform's user data folder.
    """
    if home := environ.get(HOME_VARIABLE):
        return Path(home).expanduser().absolute() / "data"
    return Path(platformdirs.user_data_dir("safelight", appauthor=False))


def find_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`config.toml` in `$SAFELIGHT_HOME` or in the platform's user configuration folder."""
    if home := environ.get(HOME_VARIABLE):
        return Path(home).expanduser().absolute() / "config.toml"
    return Path(platformdirs.user_config_dir("safelight", appauthor=False)) / "config.toml"


def prepare_folder(directory: Path, file_name: str, *, create: bool) -> bool:
    """See to it that `directory` and the file `file_name` in it are there, ours and private.

    Whether both can be written. Raises `StoreError` when the folder cannot be used, belongs to
    somebody else, or the file is missing and `create` is False.
    """
    path = directory / file_name
    try:
        if create:
            _make(directory)
        _check_owner(directory)
        has_file = path.exists()
        can_write = os.access(directory, os.W_OK) and (not has_file or os.access(path, os.W_OK))
        if not has_file:
            _refuse_missing(directory, create, can_write)
            create_file(path)
        elif can_write:
            _make_private(directory, path)
    except OSError as error:
        raise FileUnavailable(
            f"The data folder {directory} cannot be used: {error.strerror or error}.",
            "Choose another one with SAFELIGHT_HOME.",
        ) from error
    return can_write


def create_file(path: Path) -> None:
    """Make an empty file that only its owner can read, whatever the umask; SQLite fills it.

    SQLite gives its journals the same mode. An existing file is left alone.
    """
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        return
    sync(path.parent)


def sync(path: Path) -> None:
    """Return when a file, or the names in a folder, are on disk. Not for the progress file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(directory: Path) -> None:
    if not directory.exists():
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        directory.chmod(0o700)
        sync(directory.parent)


def _check_owner(directory: Path) -> None:
    try:
        facts = directory.stat()
    except FileNotFoundError:
        raise StoreError(
            f"There is no history in {directory}.", "Make an image first, or name another folder."
        ) from None
    if not directory.is_dir():
        raise StoreError(f"{directory} is not a folder.", "Choose another one with SAFELIGHT_HOME.")
    if hasattr(os, "geteuid") and facts.st_uid != os.geteuid():
        raise StoreError(
            f"The data folder {directory} belongs to somebody else.",
            "Run as its owner, or choose another folder with SAFELIGHT_HOME.",
        )


def _refuse_missing(directory: Path, create: bool, can_write: bool) -> None:
    if not create:
        raise StoreError(
            f"There is no history in {directory}.", "Make an image first, or name another folder."
        )
    if not can_write:
        raise StoreError(
            f"The data folder {directory} cannot be written, and no history is in it to read.",
            "Make it writable, or choose another one with SAFELIGHT_HOME.",
        )


def _make_private(directory: Path, path: Path) -> None:
    for place in (directory, path):
        if place.stat().st_mode & 0o077:
            place.chmod(place.stat().st_mode & 0o700)
