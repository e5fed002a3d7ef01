from __future__ import annotations

import errno
import hashlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from store import vault as vaults
from store.errors import FileUnavailable, StoreError
from store.folder import read_plain
from store.vault import Vault

JOB = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def vault(directory: Path) -> Vault:
    directory.mkdir()
    return Vault(directory)


def test_files_are_named_by_their_digest_and_come_back(vault: Vault) -> None:
    data = b"bytes of an image"
    sha256 = vault.put(data, ".png")
    assert sha256 == hashlib.sha256(data).hexdigest()
    path = vault.path(sha256, "png")
    assert path == vault.directory / "images" / sha256[:2] / f"{sha256[2:]}.png"
    assert path.read_bytes() == data
    assert vault.get(sha256, ".png") == data


def test_an_equal_file_is_kept_and_a_damaged_one_replaced(vault: Vault) -> None:
    sha256 = vault.put(b"the same", ".png")
    path = vault.path(sha256, ".png")
    first = path.stat()
    vault.put(b"the same", ".png")
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)
    path.write_bytes(b"the some")
    vault.put(b"the same", ".png")
    assert path.read_bytes() == b"the same"
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_missing_or_changed_file_is_named(vault: Vault) -> None:
    sha256 = vault.put(b"precious", ".png")
    path = vault.path(sha256, ".png")
    path.write_bytes(b"worthless")
    with pytest.raises(StoreError, match="was changed") as changed:
        vault.get(sha256, ".png")
    path.unlink()
    with pytest.raises(StoreError, match="is missing") as missing:
        vault.get(sha256, ".png")
    for caught in (changed, missing):
        assert str(path) in caught.value.message


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 64 + "\n"])
def test_nothing_but_a_digest_names_a_file(vault: Vault, name: str) -> None:
    with pytest.raises(StoreError, match="not the digest"):
        vault.path(name, ".png")
    with pytest.raises(StoreError, match="not the ending"):
        vault.path("a" * 64, "./../x")
    with pytest.raises(StoreError, match="not the id"):
        vault.read_spool(name)


class Recorder:
    """What reaches the disk, in its order, by way of the calls that decide it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.calls: list[tuple[str, str]] = []
        self._names: dict[int, str] = {}
        real_open, real_fsync, real_write = os.open, os.fsync, os.write
        real_rename, real_mkdir = Path.rename, Path.mkdir

        def note(call: str, path: object) -> None:
            name = str(Path(str(path)).relative_to(root))
            self.calls.append((call, "temporary" if ".new-" in name else name))

        def fake_open(path: Any, flags: int, mode: int = 0o777, **options: Any) -> int:
            descriptor = real_open(path, flags, mode, **options)
            self._names[descriptor] = str(path)
            if flags & os.O_CREAT:
                note("create exclusively" if flags & os.O_EXCL else "create", path)
            return descriptor

        def fake_fsync(descriptor: int) -> None:
            real_fsync(descriptor)
            note("fsync", self._names[descriptor])

        def fake_write(descriptor: int, data: Any) -> int:
            note("write", self._names[descriptor])
            return real_write(descriptor, data)

        def fake_rename(path: Path, target: Path) -> Path:
            note("rename to", target)
            return real_rename(path, target)

        def fake_mkdir(path: Path, *arguments: Any, **options: Any) -> None:
            note("mkdir", path)
            real_mkdir(path, *arguments, **options)

        monkeypatch.setattr(os, "open", fake_open)
        monkeypatch.setattr(os, "fsync", fake_fsync)
        monkeypatch.setattr(os, "write", fake_write)
        monkeypatch.setattr(Path, "rename", fake_rename)
        monkeypatch.setattr(Path, "mkdir", fake_mkdir)


def test_each_step_is_on_disk_before_the_next(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = b"an image"
    sha256 = hashlib.sha256(data).hexdigest()
    folder = f"images/{sha256[:2]}"
    recorder = Recorder(monkeypatch, vault.directory)
    vault.put(data, ".png")
    assert recorder.calls == [
        ("mkdir", "images"),
        ("fsync", "."),
        ("mkdir", folder),
        ("fsync", "images"),
        ("create exclusively", "temporary"),
        ("write", "temporary"),
        ("fsync", "temporary"),
        ("rename to", f"{folder}/{sha256[2:]}.png"),
        ("fsync", folder),
    ]
    recorder.calls.clear()
    vault.put(data, ".png")
    assert recorder.calls == [("fsync", f"{folder}/{sha256[2:]}.png"), ("fsync", folder)]


def test_a_full_disk_leaves_no_half_file(vault: Vault, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", fail)
        with pytest.raises(StoreError, match="No space left") as caught:
            vault.put(b"an image", ".png")
    assert "free space" in caught.value.hint
    assert [path for path in vault.directory.rglob("*") if path.is_file()] == []


def test_only_old_unfinished_files_are_removed(vault: Vault) -> None:
    sha256 = vault.put(b"an image", ".png")
    folder = vault.path(sha256, ".png").parent
    old, new = folder / ".new-1-a", folder / ".new-2-b"
    for path in (old, new):
        path.write_bytes(b"half")
    long_ago = time.time() - 100_000
    os.utime(old, (long_ago, long_ago))
    os.utime(vault.path(sha256, ".png"), (long_ago, long_ago))
    assert vault.remove_leftovers() == 1
    assert not old.exists()
    assert new.exists()
    assert vault.get(sha256, ".png") == b"an image"


def test_spooled_answers_come_back_in_order(vault: Vault) -> None:
    answers = [b"first", b"", b"\x00" * 5000, b"last"]
    assert vault.read_spool(JOB) == []
    for answer in answers:
        vault.spool(JOB, answer)
    assert Vault(vault.directory).read_spool(JOB) == answers
    vault.clear_spool(JOB)
    vault.clear_spool(JOB)
    assert vault.read_spool(JOB) == []


def test_many_answers_leave_no_file_open(vault: Vault) -> None:
    vault.spool(JOB, b"first")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(100):
        vault.spool(JOB, b"answer")
        vault.read_spool(JOB)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_a_spooled_answer_is_on_disk_when_the_call_returns(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"spool/{JOB}.spool"
    recorder = Recorder(monkeypatch, vault.directory)
    vault.spool(JOB, b"answer")
    assert recorder.calls == [
        ("mkdir", "spool"),
        ("fsync", "."),
        ("create", name),
        ("write", name),
        ("fsync", name),
        ("fsync", "spool"),
    ]


@pytest.mark.parametrize("kept", range(1, 8 + 11))
def test_a_torn_answer_is_ignored_and_does_not_hide_the_next(vault: Vault, kept: int) -> None:
    vault.spool(JOB, b"whole")
    path = next(vault.directory.glob("spool/*"))
    size = path.stat().st_size
    vault.spool(JOB, b"torn answer")
    os.truncate(path, size + kept)
    assert vault.read_spool(JOB) == [b"whole"]
    vault.spool(JOB, b"next")
    assert vault.read_spool(JOB) == [b"whole", b"next"]


def test_an_answer_that_was_changed_on_the_disk_does_not_hide_the_next(vault: Vault) -> None:
    vault.spool(JOB, b"whole")
    path = next(vault.directory.glob("spool/*"))
    vault.spool(JOB, b"changed")
    path.write_bytes(path.read_bytes()[:-1] + b"D")
    vault.spool(JOB, b"next")
    assert vault.read_spool(JOB) == [b"whole", b"next"]


def test_an_answer_of_which_only_the_length_reached_the_disk_is_ignored(vault: Vault) -> None:
    vault.spool(JOB, b"whole")
    path = next(vault.directory.glob("spool/*"))
    size = path.stat().st_size
    vault.spool(JOB, b"torn answer")
    data = bytearray(path.read_bytes())
    data[size + 8 :] = bytes(len(data) - size - 8)
    path.write_bytes(data)
    assert vault.read_spool(JOB) == [b"whole"]


def test_of_a_spool_that_grew_without_end_only_the_beginning_is_read(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    for answer in (b"a" * 400, b"b" * 400, b"c" * 400):
        vault.spool(JOB, answer)
    monkeypatch.setattr("store.vault.SPOOL_LIMIT", 1000)
    assert vault.read_spool(JOB) == [b"a" * 400, b"b" * 400]


def test_a_long_spool_is_checked_in_parts(vault: Vault) -> None:
    large = bytes(range(256)) * 8192
    for answer in (large, b"next", large):
        vault.spool(JOB, answer)
    assert vault.read_spool(JOB) == [large, b"next", large]


def test_answers_put_aside_are_not_lost(vault: Vault) -> None:
    assert vault.put_spool_aside(JOB) is None
    kept = []
    for answer in (b"first run", b"second run"):
        vault.spool(JOB, answer)
        aside = vault.put_spool_aside(JOB)
        assert aside is not None
        kept.append(aside)
    assert vault.read_spool(JOB) == []
    assert [b"first run" in kept[0].read_bytes(), b"second run" in kept[1].read_bytes()] == [
        True,
        True,
    ]


def test_answers_that_are_put_aside_have_their_new_name_on_disk(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault.spool(JOB, b"answer")
    recorder = Recorder(monkeypatch, vault.directory)
    vault.put_spool_aside(JOB)
    assert recorder.calls == [("rename to", f"spool/{JOB}.1"), ("fsync", "spool")]


def test_a_folder_that_another_process_makes_at_the_same_moment_is_used(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both looked and found none: the one that comes second stores its image all the same."""
    make = Path.mkdir

    def make_second(path: Path, *arguments: Any, **options: Any) -> None:
        make(path, 0o700)
        make(path, *arguments, **options)

    monkeypatch.setattr(Path, "mkdir", make_second)
    sha256 = vault.put(b"an image", ".png")
    assert vault.get(sha256, ".png") == b"an image"
    vault.spool(JOB, b"an answer")
    assert vault.read_spool(JOB) == [b"an answer"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_a_file_is_found_by_its_digest_whatever_its_ending(vault: Vault, suffix: str) -> None:
    sha256 = vault.put(b"an image", suffix)
    assert vault.locate(sha256) == vault.path(sha256, suffix)
    assert vault.locate("0" * 64) is None


def test_a_file_that_was_removed_meanwhile_is_stored_again(vault: Vault) -> None:
    sha256 = vault.put(b"an image", ".png")
    path = vault.path(sha256, ".png")
    before = path.stat()
    vault.ensure(b"an image", ".png")
    assert os.path.samestat(path.stat(), before), "what is there is left alone"
    path.unlink()
    vault.ensure(b"an image", ".png")
    assert vault.get(sha256, ".png") == b"an image"


def test_a_writer_that_takes_a_part_at_a_time_gets_all(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:3]))
    sha256 = vault.put(b"an image", ".png")
    vault.spool(JOB, b"an answer")
    assert vault.get(sha256, ".png") == b"an image"
    assert vault.read_spool(JOB) == [b"an answer"]


def test_what_is_stored_is_for_nobody_else(vault: Vault) -> None:
    before = os.umask(0)
    try:
        path = vault.path(vault.put(b"an image", ".png"), ".png")
        vault.spool(JOB, b"an answer")
    finally:
        os.umask(before)
    [spool] = vault.directory.glob("spool/*")
    assert [each.stat().st_mode & 0o777 for each in (path, spool)] == [0o600, 0o600]
    for folder in (path.parent, path.parent.parent, spool.parent):
        assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("number", [errno.EIO, errno.EMFILE])
def test_a_fault_that_passes_is_no_finding(
    vault: Vault, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    sha256 = vault.put(b"precious", ".png")
    read, failing = read_plain, [True, True]

    def stumble(path: Path, limit: int) -> bytes:
        if failing:
            failing.pop()
            raise OSError(number, os.strerror(number))
        return read(path, limit)

    monkeypatch.setattr(vaults, "read_plain", stumble)
    assert vault.get(sha256, ".png") == b"precious"
    failing += [True] * 10
    with pytest.raises(FileUnavailable, match=os.strerror(number)):
        vault.get(sha256, ".png")


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_pipe_or_a_folder_in_place_of_an_image_is_told_at_once(
    vault: Vault, make: Callable[[Path], None]
) -> None:
    sha256 = vault.put(b"precious", ".png")
    path = vault.path(sha256, ".png")
    path.unlink()
    make(path)
    with pytest.raises(StoreError, match="is not a file") as caught:
        vault.get(sha256, ".png")
    assert not isinstance(caught.value, FileUnavailable), "nobody is to wait for it"
    vault.spool(JOB, b"answer")
    spool = vault.directory / "spool" / f"{JOB}.spool"
    spool.unlink()
    make(spool)
    with pytest.raises(StoreError, match="is not a file"):
        vault.read_spool(JOB)


def test_a_data_folder_that_was_taken_away_does_not_come_again(vault: Vault) -> None:
    vault.directory.rmdir()
    with pytest.raises(FileUnavailable, match="No such file"):
        vault.put(b"bytes of an image", ".png")
    with pytest.raises(FileUnavailable, match="No such file"):
        vault.spool(JOB, b"answer")
    assert not vault.directory.exists()


def test_a_file_that_cannot_be_looked_for_is_said_so(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, *_: str) -> bool:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    for name in ("is_file", "exists", "glob"):
        monkeypatch.setattr(Path, name, refuse)
    for look in (
        lambda: vault.ensure(b"bytes of an image", ".png"),
        lambda: vault.locate("0" * 64),
        lambda: vault.put_spool_aside(JOB),
        vault.list_spools,
    ):
        with pytest.raises(FileUnavailable, match="Permission denied"):
            look()
