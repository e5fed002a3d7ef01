"""What this program runs jobs with: digests of its code and of where its settings come from."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import secrets
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from engines.base import NoSettings
from engines.builtin.weights import GROUP as WEIGHTS
from engines.installed import GROUP as ENGINES
from engines.installed import find_installed, read_entry_points
from store.errors import StoreError
from store.folder import create_file, find_config_file, read_plain
from store.migrations import VERSION
from store.records import Serving

SALT_NAME = "settings.salt"
"""Beside the database, which is copied and shown around without it."""

SALT_LIMIT = 4096
"""Bytes of it that are read."""

_ROOT = Path(__file__).parents[2]
_FLOORS = ("engines", "store")
_UNUSED = "training"


def read_serving(directory: Path, environ: Mapping[str, str] = os.environ) -> Serving:
    """What a worker that is started now, from this program, would run jobs with.

    The code is read from the disk each time: what is installed meanwhile is another program.
    Raises `StoreError`.
    """
    return Serving(program=digest_program(), settings=digest_settings(directory, environ))


def digest_program(root: Path = _ROOT) -> str:
    """SHA-256 over the code of a worker, its version, its schema, its Python and its packages."""
    digest = hashlib.sha256()
    try:
        own = version("safelight")
    except PackageNotFoundError:
        own = "not installed as a package"
    points = [
        f"{point.name} {point.value} {point.dist.name if point.dist else ''} "
        f"{point.dist.version if point.dist else ''}"
        for group in (ENGINES, WEIGHTS)
        for point in read_entry_points(group)
    ]
    for fact in (own, str(VERSION), sys.version, sys.prefix, *sorted(points)):
        digest.update(f"{fact}\0".encode())
    for floor in _FLOORS:
        for folder, names, files in os.walk(root / floor):
            names[:] = sorted(name for name in names if name not in (_UNUSED, "__pycache__"))
            for name in sorted(files):
                if name.endswith(".py"):
                    path = Path(folder, name)
                    with contextlib.suppress(OSError):
                        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def digest_settings(directory: Path, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """For each engine with settings a keyed digest of where they come from.

    That is the variables that it reads and the place of the configuration file, whose changes a
    worker follows by itself. Its key lies in a file of its own in `directory`, so nothing can be
    found out from a copy of the database. Raises `StoreError`.
    """
    salt = _read_salt(directory)
    place = str(find_config_file(environ))
    found = {}
    for spec in find_installed().specs.values():
        if spec.variables or spec.section is not NoSettings:
            values = [place, *(f"{name}={environ.get(name, '')}" for name in spec.variables)]
            text = "\0".join(values).encode("utf-8", "surrogateescape")
            found[spec.name] = hmac.new(salt, text, hashlib.sha256).hexdigest()
    return found


def _read_salt(directory: Path) -> bytes:
    path = directory / SALT_NAME
    try:
        with contextlib.suppress(FileNotFoundError):
            return read_plain(path, SALT_LIMIT)
        new = path.with_name(f".{SALT_NAME}.{os.getpid()}.{secrets.token_hex(4)}.new")
        create_file(new)
        try:
            new.write_bytes(secrets.token_bytes(32))
            with contextlib.suppress(FileExistsError):
                os.link(new, path)
        finally:
            new.unlink(missing_ok=True)
        return read_plain(path, SALT_LIMIT)
    except IsADirectoryError:
        raise StoreError(f"{path} is not a file.", "Remove it; it is made anew.") from None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be used: {error.strerror or error}.",
            "Make the data folder writable for yourself.",
        ) from None
