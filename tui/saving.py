"""Writing images into folders: whole or not at all, and never over another file."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Literal

from store.errors import RequestError
from store.folder import make_private_folder
from store.metadata.choices import MadeFile
from store.records import Image
from tui.file_names import DEFAULT_PATTERN, make_name

Sidecar = Literal["txt", "json"]
SIDECARS: tuple[Sidecar, ...] = ("txt", "json")
NUMBER_LIMIT = 10_000


def save_image(folder: Path, image: Image, made: MadeFile) -> Path:
    """Write an image by its seed into a folder, which is made if need be; the path of the file.

    Raises `RequestError`.
    """
    make_folder(folder)
    return write_files(folder, make_name(DEFAULT_PATTERN, image, 1), made, ())


def write_files(folder: Path, name: str, made: MadeFile, sidecars: tuple[Sidecar, ...]) -> Path:
    """Write the image and what goes beside it, as `name` with endings; the path of the image.

    Where one of the names is taken, all get `-2`, `-3` … Beside a signed record in JSON lies its
    signature. Nothing is left when it fails: `RequestError`, which names the folder.
    """
    contents = {made.suffix: made.data}
    for sidecar in sidecars:
        if sidecar == "txt":
            contents[".txt"] = made.parameters.encode("utf-8", "replace") + b"\n"
        elif made.record is not None:
            contents[".json"] = made.record
            if made.signature is not None:
                contents[".json.sig"] = made.signature.encode()
    try:
        written = _write(folder, name, contents)
    except OSError as error:
        raise _explain(folder, error) from None
    return written[made.suffix].absolute()


@contextlib.contextmanager
def open_new(path: Path) -> Iterator[BinaryIO]:
    """A file that gets its name, which must be free, when the block ends well; else it is gone.

    Raises `RequestError`.
    """
    temporary = path.parent / _make_temporary_name()
    try:
        if os.path.lexists(path):
            raise FileExistsError(None, "", str(path))
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            _link(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise _explain(path.parent, error) from None


def make_folder(folder: Path) -> None:
    """Make the folder that images are written to, for its owner only. Raises `RequestError`."""
    try:
        make_private_folder(folder)
    except FileExistsError:
        raise RequestError(
            "output", str(folder), f"{folder} is no folder.", "Give another one."
        ) from None
    except OSError as error:
        raise _explain(folder, error) from None


def _explain(folder: Path, error: OSError) -> RequestError:
    if isinstance(error, FileExistsError) and (error.filename2 or error.filename):
        path = str(error.filename2 or error.filename)
        return RequestError("output", path, f"{path} is there already.", "Give another name.")
    return RequestError(
        "output",
        str(folder),
        f"Cannot write into {folder}: {error.strerror or error}.",
        "Check its free space and that you may write there, or give another folder.",
    )


def _write(folder: Path, name: str, contents: Mapping[str, bytes]) -> dict[str, Path]:
    """Every content under its ending, all of one name. Raises `OSError`."""
    temporary: dict[str, Path] = {}
    try:
        for suffix, data in contents.items():
            path = folder / _make_temporary_name()
            _write_new(path, data)
            temporary[suffix] = path
        for number in range(1, NUMBER_LIMIT + 1):
            stem = name if number == 1 else f"{name}-{number}"
            paths = {suffix: folder / f"{stem}{suffix}" for suffix in contents}
            if any(os.path.lexists(path) for path in paths.values()):
                continue
            if _place(temporary, paths):
                return paths
        raise FileExistsError(None, f"it has {NUMBER_LIMIT:,} files of the name {name}", None)
    finally:
        for path in temporary.values():
            path.unlink(missing_ok=True)


def _make_temporary_name() -> str:
    return f".safelight-{secrets.token_hex(8)}"


def _write_new(path: Path, data: bytes) -> None:
    """A file of a name that is free, on disk when this returns, else gone. Raises `OSError`."""
    with path.open("xb") as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            path.unlink(missing_ok=True)
            raise


def _place(temporary: Mapping[str, Path], paths: Mapping[str, Path]) -> bool:
    """Give all files their names; False, with none of them there, when one of these is taken."""
    placed: list[Path] = []
    try:
        for suffix, path in paths.items():
            _link(temporary[suffix], path)
            placed.append(path)
    except BaseException as error:
        for path in placed:
            path.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            return False
        raise
    return True


def _link(source: Path, target: Path) -> None:
    """Give a written file its name, which nobody else may have meanwhile."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # Some file systems know no second name of a file.
        _write_new(target, source.read_bytes())
