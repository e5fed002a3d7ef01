"""The image files, named by their digest, and the spool of answers that came from a wire."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import struct
import time
import zlib
from pathlib import Path

from store.errors import FileUnavailable, StoreError
from store.folder import FOLDERS, make_private_folder, open_private, read_plain, sync
from store.known_secrets import conceal_bytes

_SHA256 = re.compile(r"[0-9a-f]{64}")
_JOB_ID = re.compile(r"[0-9a-f]{32}")
_SUFFIX = re.compile(r"\.?([a-z0-9]{1,8})")
_HEAD = struct.Struct(">II")
"""Before each spooled answer: its length and its CRC-32."""

SPOOL_LIMIT = 128 * 1024 * 1024
"""Bytes of a spool that are read again: more than the answers of one job may have."""

_SUFFIXES = {"image/png": ".png", "image/jpeg": ".jpg", "image/webp": ".webp"}

LEFTOVER_SECONDS = 24 * 60 * 60.0

READ_AGAIN_SECONDS = (0.02, 0.1, 0.3)
"""How long to wait before a file that could not be read is read again."""

_PASSING = (errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN, errno.EINTR)


class Vault:
    """Image files in `images/ab/cdef….png` below `directory`; they are never changed.

    A file that `put` has returned survives a power cut. All errors are `StoreError`; what the
    system refused is `FileUnavailable`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._images, self._spool = (directory / name for name in FOLDERS)

    def path(self, sha256: str, suffix: str) -> Path:
        """Where the file of this digest lies or would lie."""
        # A damaged record may hold anything.
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise StoreError(f"{sha256!r} is not the digest of a file.")
        match = _SUFFIX.fullmatch(suffix)
        if match is None:
            raise StoreError(f"{suffix!r} is not the ending of an image file.")
        return self._images / sha256[:2] / f"{sha256[2:]}.{match[1]}"

    def put(self, data: bytes, suffix: str) -> str:
        """Store `data` and return its SHA-256, once it is on disk.

        An equal file that exists is kept; one that was damaged is replaced.
        """
        sha256 = hashlib.sha256(data).hexdigest()
        path = self.path(sha256, suffix)
        try:
            _make_directory(path.parent, self.directory)
            if _holds(path, data):
                sync(path)
            else:
                _replace(path, data)
            # The name is lasting only when its folder is.
            sync(path.parent)
        except OSError as error:
            raise _explain("store", path, error) from error
        return sha256

    def ensure(self, data: bytes, suffix: str) -> None:
        """Store `data` again where its file was removed after `put`.

        Call it in the transaction that stores the row: files are removed in one, too.
        """
        path = self.path(hashlib.sha256(data).hexdigest(), suffix)
        try:
            is_there = path.is_file()
        except OSError as error:
            raise _explain("store", path, error) from error
        if not is_there:
            self.put(data, suffix)

    def get(self, sha256: str, suffix: str) -> bytes:
        """The bytes of this digest, checked. The error names a missing or changed file."""
        path = self.path(sha256, suffix)
        try:
            data = _read(path)
        except FileNotFoundError:
            raise StoreError(
                f"The image file {path} is missing.",
                "Put it back from a backup, or make the image again.",
            ) from None
        except IsADirectoryError:
            raise _refuse(path) from None
        except OSError as error:
            raise _explain("read", path, error) from error
        if (found := hashlib.sha256(data).hexdigest()) != sha256:
            raise StoreError(
                f"The image file {path} was changed: its digest is {found}, not {sha256}.",
                "Put it back from a backup, or make the image again.",
            )
        return data

    def locate(self, sha256: str) -> Path | None:
        """The file of this digest, whatever its ending. Raises `StoreError` for no digest."""
        for suffix in _SUFFIXES.values():
            path = self.path(sha256, suffix)
            try:
                if path.is_file():
                    return path
            except OSError as error:
                raise _explain("read", path, error) from error
        return None

    def remove_leftovers(self, older_than: float = LEFTOVER_SECONDS) -> int:
        """Remove unfinished files older than this many seconds; how many there were."""
        count = 0
        for path in self._images.glob("*/.new-*"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > older_than:
                    path.unlink()
                    count += 1
        return count

    def list_spools(self) -> list[str]:
        """The ids of the jobs that have answers in the spool; not of those that were put aside."""
        try:
            names = [path.stem for path in self._spool.glob("*.spool")]
        except OSError as error:
            raise _explain("read", self._spool, error) from error
        return [name for name in names if _JOB_ID.fullmatch(name)]

    def spool(self, job_id: str, data: bytes) -> None:
        """Append one raw answer of a job; it is on disk when this returns.

        A secret in it is masked: answers that cannot be read stay there.
        """
        data = conceal_bytes(data)
        path = self._spool_path(job_id)
        try:
            _make_directory(path.parent, self.directory)
            is_new = not path.exists()
            descriptor = open_private(path, os.O_CREAT | os.O_RDWR)
            try:
                # What a crash left half-written would hide the answers behind it.
                end = _find_end(descriptor)
                os.ftruncate(descriptor, end)
                os.lseek(descriptor, end, os.SEEK_SET)
                _write_all(descriptor, _HEAD.pack(len(data), zlib.crc32(data)) + data)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            if is_new:
                sync(path.parent)
        except OSError as error:
            raise _explain("store", path, error) from error

    def read_spool(self, job_id: str) -> list[bytes]:
        """The answers that arrived whole, in their order; empty when there are none.

        Only the first `SPOOL_LIMIT` bytes are read.
        """
        path = self._spool_path(job_id)
        try:
            return _split(_read(path, SPOOL_LIMIT))
        except FileNotFoundError:
            return []
        except IsADirectoryError:
            raise _refuse(path) from None
        except OSError as error:
            raise _explain("read", path, error) from error

    def clear_spool(self, job_id: str) -> None:
        """Forget the answers of a job."""
        path = self._spool_path(job_id)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise _explain("remove", path, error) from error

    def put_spool_aside(self, job_id: str) -> Path | None:
        """Rename the answers of a job, so that it may run again and nothing is lost."""
        path = self._spool_path(job_id)
        try:
            if not path.exists():
                return None
            number = 1
            while (aside := path.with_suffix(f".{number}")).exists():
                number += 1
            path.rename(aside)
            sync(path.parent)
        except OSError as error:
            raise _explain("rename", path, error) from error
        return aside

    def _spool_path(self, job_id: str) -> Path:
        if not _JOB_ID.fullmatch(job_id):
            raise StoreError(f"{job_id!r} is not the id of a job.")
        return self._spool / f"{job_id}.spool"


def suffix_of(mime: str) -> str:
    """The ending of a file of this media type."""
    return _SUFFIXES.get(mime, ".bin")


def _refuse(path: Path) -> StoreError:
    """What is no file does not pass by itself, so nobody is to wait for it."""
    return StoreError(f"{path} is not a file.", "Move it away.")


def _explain(verb: str, path: Path, error: OSError) -> FileUnavailable:
    return FileUnavailable(
        f"Cannot {verb} {path}: {error.strerror or error}.",
        "Check the free space of the disk and that you may write there.",
    )


def _make_directory(path: Path, root: Path) -> None:
    """Make `path` and what is missing above it, below `root`, lasting and private.

    Not `root` itself: what was taken away is not to come again with nothing else in it.
    """
    if not root.is_dir():
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(root))
    make_private_folder(path)


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.stat().st_size == len(data) and path.read_bytes() == data
    except FileNotFoundError:
        return False


def _read(path: Path, limit: int = -1) -> bytes:
    """The first `limit` bytes of a file, all of them below 0.

    It is read again where what hinders may pass: a finding must not come of it.
    """
    for seconds in READ_AGAIN_SECONDS:
        try:
            return read_plain(path, limit)
        except OSError as error:
            if error.errno not in _PASSING:
                raise
        time.sleep(seconds)
    return read_plain(path, limit)


def _replace(path: Path, data: bytes) -> None:
    temporary = path.with_name(f".new-{os.getpid()}-{secrets.token_hex(8)}")
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW
    descriptor = os.open(temporary, flags, 0o600)
    try:
        try:
            _write_all(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _find_end(descriptor: int) -> int:
    """Where the last whole answer in a spool ends; a part of it is in memory at a time."""
    size = os.fstat(descriptor).st_size
    end = 0
    while end + _HEAD.size <= size:
        length, checksum = _HEAD.unpack(os.pread(descriptor, _HEAD.size, end))
        place, last = end + _HEAD.size, end + _HEAD.size + length
        found = 0
        while place < last and (part := os.pread(descriptor, min(1 << 20, last - place), place)):
            found = zlib.crc32(part, found)
            place += len(part)
        if place < last or found != checksum:
            break
        end = last
    return end


def _split(raw: bytes) -> list[bytes]:
    """The whole answers in a spool."""
    answers: list[bytes] = []
    end = 0
    while end + _HEAD.size <= len(raw):
        length, checksum = _HEAD.unpack_from(raw, end)
        answer = raw[end + _HEAD.size : end + _HEAD.size + length]
        if len(answer) != length or zlib.crc32(answer) != checksum:
            break
        answers.append(answer)
        end += _HEAD.size + length
    return answers
