"""Which journal mode is safe here: by the linked SQLite and the file system."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

LOCAL_FILE_SYSTEMS = frozenset(
    {
        "apfs",
        "bcachefs",
        "btrfs",
        "ext2",
        "ext3",
        "ext4",
        "f2fs",
        "jfs",
        "overlay",
        "ramfs",
        "reiserfs",
        "tmpfs",
        "xfs",
        "zfs",
    }
)
"""File systems whose shared memory and locks belong to one host. All others count as remote."""

_OCTAL = re.compile(r"\\([0-7]{3})")


class JournalMode(NamedTuple):
    """The values of `PRAGMA journal_mode` and `PRAGMA synchronous`."""

    mode: str
    synchronous: str


WAL = JournalMode("wal", "FULL")
ROLLBACK = JournalMode("truncate", "EXTRA")


def choose_journal_mode(version: tuple[int, int, int], file_system: str | None) -> JournalMode:
    """WAL with FULL where that loses nothing, else TRUNCATE with EXTRA.

    SQLite 3.7.0 to 3.51.2 can lose a committed transaction in WAL mode with two or more
    connections (https://sqlite.org/wal.html#walresetbug); 3.44.6 and 3.50.7 carry the cure,
    3.52.0 was withdrawn. WAL needs memory shared by one host, so a local disk.
    `file_system` None: not known, which counts as remote.
    """
    is_cured = (
        (3, 44, 6) <= version < (3, 45)
        or (3, 50, 7) <= version < (3, 51)
        or (3, 51, 3) <= version < (3, 52)
        or version >= (3, 53)
    )
    return WAL if is_cured and file_system in LOCAL_FILE_SYSTEMS else ROLLBACK


def find_file_system(directory: Path, mount_table: str | None = None) -> str | None:
    """The type of file system that holds `directory`, None where there is no mount table.

    `mount_table`: the text of `/proc/self/mountinfo`, read when None.
    """
    if mount_table is None:
        try:
            mount_table = Path("/proc/self/mountinfo").read_text("utf-8", "surrogateescape")
        except OSError:
            return None
    place = Path(os.path.realpath(directory))
    best: tuple[int, str] | None = None
    for line in mount_table.splitlines():
        head, separator, tail = line.partition(" - ")
        fields = head.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))
        # A later mount on the same point covers the earlier one, hence ">=".
        if place.is_relative_to(point) and (best is None or len(point.parts) >= best[0]):
            best = (len(point.parts), tail.split(" ")[0])
    return best[1] if best else None
