"""The data folder: where it and the configuration are, made, owned, private.

Nothing is made by asking where they are.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

import platformdirs

from store.errors import FileUnavailable, StoreError

HOME_VARIABLE = "SAFELIGHT_HOME"

FOLDERS = ("images", "spool")
"""The folders in the data folder: the image files, and answers that are not yet stored."""


HISTORY_ENDINGS = ("", "-wal", "-shm", "-journal")
"""What SQLite appends to the name of a file for what lies beside it."""


def find_data_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the database and the images.

    `$SAFELIGHT_HOME/data` when that variable is set, else the platform's user data folder.
    Raises `StoreError` where neither is known.
    """
    if home := environ.get(HOME_VARIABLE):
        return _expand(home) / "data"
    _check_home("XDG_DATA_HOME")
    return Path(platformdirs.user_data_dir("safelight", appauthor=False))


def find_config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """`config.toml` in `$SAFELIGHT_HOME` or in the platform's user configuration folder.

    Raises `StoreError` where neither is known.
    """
    if home := environ.get(HOME_VARIABLE):
        return _expand(home) / "config.toml"
    _check_home("XDG_CONFIG_HOME")
    return Path(platformdirs.user_config_dir("safelight", appauthor=False)) / "config.toml"


def _expand(home: str) -> Path:
    try:
        return Path(home).expanduser().absolute()
    except (RuntimeError, OSError):
        # A user whom nobody knows, or a relative one where the working folder is gone.
        raise StoreError(
            f"{HOME_VARIABLE} is {home!r}, which names no folder here.", "Give the whole path."
        ) from None


def _check_home(variable: str) -> None:
    """Raise `StoreError` where the folder that `variable` names, or the home folder, is none.

    Else things would be made in the root folder, in a folder of the name `~`, or where one is.
    """
    way_out = f"Set HOME to your home folder, or {HOME_VARIABLE} to a folder for Safelight."
    if place := os.environ.get(variable, "").strip():
        if not Path(place).is_absolute():
            raise StoreError(
                f"{variable} is {place!r}, which is no whole path.",
                f"Correct it, or set {HOME_VARIABLE} to a folder for Safelight.",
            )
        return
    if (home := os.environ.get("HOME")) is not None and not Path(home).is_absolute():
        what = f"{home!r}, which is no whole path" if home else "empty"
        raise StoreError(f"The variable HOME is {what}.", way_out)
    try:
        found = Path.home()
    except RuntimeError:
        raise StoreError(
            "The variable HOME is not set, and you have no known home.", way_out
        ) from None
    if not found.is_dir():
        raise StoreError(f"The home folder {found} does not exist.", way_out)


def prepare_folder(directory: Path, file_name: str, *, create: bool) -> str:
    """See to it that `directory` and the file `file_name` in it are there, ours and private.

    Why they cannot be written, empty when they can. Raises `StoreError` when the folder cannot be
    used, belongs to somebody else or holds links of somebody else, or the file is missing and
    `create` is False.
    """
    path = directory / file_name
    try:
        if create:
            make_private_folder(directory)
        _check_owner(directory)
        _refuse_planted(directory, file_name)
        has_file = path.exists()
        blocked = _find_blocked(directory, path)
        if not has_file:
            _refuse_missing(directory, create, not blocked)
            create_file(path)
        if not blocked:
            _make_private(directory, path)
    except OSError as error:
        where = "" if error.filename in (None, str(directory)) else f"{error.filename}: "
        raise FileUnavailable(
            f"The data folder {directory} cannot be used: {where}{error.strerror or error}.",
            f"Choose another one with {HOME_VARIABLE}.",
        ) from error
    if blocked is None:
        return ""
    return f"{blocked} cannot be written: check its owner and its disk. {spell_chown(directory)}"


def check_place(directory: Path) -> None:
    """Raise `StoreError` where `directory` is not there and could not be made."""
    if directory.is_dir():
        return
    above = next(each for each in directory.parents if os.path.lexists(each))
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        what = "may not be written" if above.is_dir() else "is no folder"
        raise StoreError(
            f"The data folder {directory} cannot be made: {above} {what}.",
            f"Choose another one with {HOME_VARIABLE}.",
        )


def spell_chown(directory: Path) -> str:
    """What to do about files that a command run with sudo has left behind."""
    name = shlex.quote(str(directory))
    return f"After a command run with sudo: sudo chown -R {os.geteuid()} {name}"


def make_private_folder(directory: Path) -> None:
    """Make `directory` and what is missing above it, lasting and for its owner only.

    The umask says less here than privacy does. A folder that exists is left as it is.
    """
    if directory.is_dir():
        return
    if directory.parent != directory:
        make_private_folder(directory.parent)
    try:
        directory.mkdir(mode=0o700)
    except FileExistsError:
        if not directory.is_dir():
            raise
        return
    if directory.stat().st_mode & 0o777 != 0o700:
        directory.chmod(0o700)
    sync(directory.parent)


def open_private(path: Path, flags: int) -> int:
    """A descriptor of a file of ours, made where it is missing (with `os.O_CREAT`).

    A link that somebody planted in its place is not followed. Raises `StoreError` for a link, for
    what is no file and for a file of another user or with a second name, `OSError` for the rest.
    """
    safe = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    what = ""
    try:
        descriptor = os.open(path, flags | safe, 0o600)
    except OSError as error:
        if path.is_symlink():
            what = "is a link to another file"
        elif error.errno in (errno.EISDIR, errno.ENXIO):
            what = "is not a file"
        else:
            raise
    else:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            what = "is not a file"
        elif facts.st_uid != os.geteuid():
            what = "belongs to another user"
        elif facts.st_nlink > 1:
            what = "is another file too, by a hard link"
        else:
            return descriptor
        os.close(descriptor)
    raise StoreError(
        f"{path} {what}, so it is not touched.", "Remove it, or move it away; it is made anew."
    )


def read_plain(path: Path, limit: int = -1) -> bytes:
    """The first `limit` bytes of a file, all of them below 0.

    Raises `IsADirectoryError` for all that is no file: a pipe would be waited for without end.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise IsADirectoryError(errno.EISDIR, "It is not a file", str(path))
        return file.read(limit)


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
            f"Run as its owner, or choose another one with {HOME_VARIABLE}. "
            + spell_chown(directory),
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


def _refuse_planted(directory: Path, file_name: str) -> None:
    """Raise `StoreError` for links that somebody else put where files and folders of ours lie."""
    names = [f"{file_name}{ending}" for ending in HISTORY_ENDINGS]
    for name in (*names, *FOLDERS):
        path = directory / name
        with contextlib.suppress(FileNotFoundError):
            facts = path.lstat()
            if stat.S_ISLNK(facts.st_mode) and facts.st_uid not in (os.geteuid(), 0):
                raise StoreError(
                    f"{path} is a link that another user put there, so it is not followed.",
                    "Remove it.",
                )


def _find_blocked(directory: Path, path: Path) -> Path | None:
    """The first of the folders and files there that cannot be written, None when all can."""
    folders = [directory, *(directory / name for name in FOLDERS)]
    # Where it is no folder the history can still be read; who stores an image hears of it.
    with (
        contextlib.suppress(FileNotFoundError, NotADirectoryError),
        os.scandir(directory / FOLDERS[0]) as entries,
    ):
        folders += [Path(each.path) for each in entries if each.is_dir()]
    files = [path.with_name(f"{path.name}{ending}") for ending in HISTORY_ENDINGS]
    for each in (*folders, *files):
        if not os.access(each, os.W_OK) and each.exists():
            return each
    return None


def _make_private(directory: Path, path: Path) -> None:
    for place in (directory, path):
        if place.stat().st_mode & 0o077:
            place.chmod(place.stat().st_mode & 0o700)
