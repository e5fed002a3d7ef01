from __future__ import annotations

from pathlib import Path

import pytest

from store.sqlite import ROLLBACK, WAL, choose_journal_mode, find_file_system


@pytest.mark.parametrize(
    "version",
    [(3, 51, 3), (3, 51, 9), (3, 50, 7), (3, 50, 9), (3, 44, 6), (3, 53, 0), (3, 54, 1), (4, 0, 0)],
)
def test_wal_where_the_defect_is_cured_and_the_disk_is_local(
    version: tuple[int, int, int],
) -> None:
    assert choose_journal_mode(version, "ext4") == WAL
    assert WAL == ("wal", "FULL")


@pytest.mark.parametrize(
    "version",
    [(3, 7, 0), (3, 40, 1), (3, 44, 5), (3, 45, 0), (3, 50, 6), (3, 51, 2), (3, 52, 0)],
)
def test_no_wal_where_a_commit_could_be_lost(version: tuple[int, int, int]) -> None:
    assert choose_journal_mode(version, "ext4") == ROLLBACK
    assert ROLLBACK == ("truncate", "EXTRA")


@pytest.mark.parametrize(
    "file_system", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs", "ceph", "new one", None]
)
def test_no_wal_on_a_disk_that_may_be_shared(file_system: str | None) -> None:
    assert choose_journal_mode((3, 54, 1), file_system) == ROLLBACK


TABLE = r"""
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:30 / /home rw shared:2 master:1 - nfs4 server:/home rw
31 30 8:2 / /home/ann/My\040Pictures rw - xfs /dev/sdb rw
32 22 0:31 / /homework rw - tmpfs tmpfs rw
40 22 8:3 / /disk rw - ext4 /dev/sdc rw
41 40 0:40 / /disk rw - cifs //server/disk rw
"""


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("/var/lib", "ext4"),
        ("/home/ann/.local", "nfs4"),
        ("/home/ann/My Pictures/data", "xfs"),
        ("/homework/x", "tmpfs"),
        ("/disk/x", "cifs"),
    ],
)
def test_the_file_system_is_that_of_the_nearest_mount(place: str, expected: str) -> None:
    assert find_file_system(Path(place), TABLE) == expected


def test_an_unreadable_mount_table_says_nothing() -> None:
    assert find_file_system(Path("/x"), "garbage\n - \n1 2\n") is None
