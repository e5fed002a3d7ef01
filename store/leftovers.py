"""Image files that nothing needs any more: how many rows need one, and the end of the others.

A file goes after the rows that needed it, in a transaction that sees that no other row does.
Whoever stores such a row does so before or after that, and looks then whether the file is still
there (`Vault.ensure`).
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from store.errors import StoreError
from store.folder import sync
from store.vault import Vault, suffix_of

OF_FILE = (
    "substr(image.file_sha256, 1, 16) = substr(:sha256, 1, 16) AND +image.file_sha256 = :sha256"
)
"""True of images of the file `:sha256`, by index.

Without the plus SQLite puts the digest in the place of the column, and the index is not used.
"""

_USERS = f"""
    SELECT (
        SELECT count(*) FROM image WHERE {OF_FILE}
        AND NOT EXISTS (SELECT 1 FROM thinned WHERE image_number = image.number)
        AND NOT EXISTS (SELECT 1 FROM annotation
            WHERE image_number = image.number AND emptied_at IS NOT NULL)
    ) + (SELECT count(*) FROM input WHERE sha256 = :sha256)
"""


def count_users(connection: sqlite3.Connection, sha256: str) -> int:
    """How many images and inputs need the file of this digest. One that was thinned needs none."""
    (count,) = connection.execute(_USERS, {"sha256": sha256}).fetchone()
    return int(count)


def find_file(vault: Vault, sha256: str, mime: str) -> Path | None:
    """Where the file of this digest is, None where there is none."""
    try:
        path = vault.path(sha256, suffix_of(mime))
        return path if path.is_file() else vault.locate(sha256)
    except (StoreError, TypeError):
        return None


def remove_files(
    vault: Vault, connection: sqlite3.Connection, named: Iterable[tuple[str, str]]
) -> tuple[int, int]:
    """Remove those of these files (digest, MIME type) that nothing needs: how many, bytes.

    Within the transaction for writing of `connection`. Raises `StoreError`; what was removed before
    stays so.
    """
    files = freed = 0
    folders = set()
    for sha256, mime in named:
        path = find_file(vault, sha256, mime)
        if path is None or count_users(connection, sha256):
            continue
        freed += _unlink(path)
        files += 1
        folders.add(path.parent)
    for folder in folders:
        with contextlib.suppress(OSError):
            sync(folder)
    return files, freed


def _unlink(path: Path) -> int:
    """Remove this file; how many bytes it had."""
    try:
        size = path.stat().st_size
        path.unlink()
    except OSError as error:
        raise StoreError(
            f"Cannot remove {path}: {error.strerror or error}.",
            "Check that you may write there, then do the same again.",
        ) from error
    return size
