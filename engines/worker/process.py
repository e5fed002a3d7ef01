"""Starting and finding the worker of a data directory.

Whether one runs is decided by a lock that the kernel frees when its process ends, never
by a process id or a clock. A second lock is held while somebody starts a worker or a worker
decides to leave, so that no job is queued between its last look and its end. A third one is held by
the worker that waits until another one, which may not run what was queued, has ended its job.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engines.config_file import read_own_file
from engines.keys import KEYS_FOLDER, SettingsError
from engines.worker.program import read_serving
from store.errors import StoreError
from store.folder import find_config_file, open_private
from store.records import Serving
from store.sqlite import NO_LOCKS

if TYPE_CHECKING:
    from store.database import Database

LOCK_NAME = "worker.lock"
STARTUP_NAME = "startup.lock"
TURN_NAME = "turn.lock"
LOG_NAME = "worker.log"
START_SECONDS = 20.0
ALREADY_RUNNING = 3
"""Exit status when another worker has the data directory, or waits to have it."""


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker holds the lock (`is_running`), and its process id."""

    is_running: bool
    process_id: int | None = None


def _open_lock(path: Path) -> int:
    return open_private(path, os.O_RDWR | os.O_CREAT)


def _lock(descriptor: int, how: int, directory: Path) -> None:
    """Lock an open file in `directory`. Raises `BlockingIOError` where another one holds it and is
    not waited for, `StoreError` where the file system cannot lock.
    """
    try:
        fcntl.flock(descriptor, how)
    except BlockingIOError:
        raise
    except OSError as error:
        message, hint = NO_LOCKS
        raise StoreError(
            f"{message.format(path=directory)} ({error.strerror or error})", hint
        ) from None


def check_locks(directory: Path) -> None:
    """Raise `StoreError` where the file system of the folder cannot lock. Makes nothing."""
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return  # why it cannot be opened is said where it is used
    try:
        with contextlib.suppress(BlockingIOError):
            _lock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB, directory)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def hold_startup_lock(directory: Path) -> Iterator[None]:
    """Wait for and hold the lock under which workers start and leave."""
    descriptor = _open_lock(directory / STARTUP_NAME)
    try:
        _lock(descriptor, fcntl.LOCK_EX, directory)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def try_startup_lock(directory: Path) -> Iterator[bool]:
    """The same without waiting; False while another process holds it.

    For the worker: whoever holds the lock may be waiting for it to leave.
    """
    descriptor = _open_lock(directory / STARTUP_NAME)
    try:
        _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, directory)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


class WorkerLock:
    """The lock that makes a process the worker of `directory`; held until the process ends."""

    def __init__(self, directory: Path, name: str = LOCK_NAME) -> None:
        self._path = directory / name
        self._descriptor: int | None = None

    def acquire(self, serving: Serving, seconds: float = 2.0) -> bool:
        """Take the lock and note who holds it. False when another worker has it.

        Somebody who merely looks holds the lock for an instant, so it is tried for
        `seconds`. `serving`: what the holder runs jobs with.
        """
        descriptor = _open_lock(self._path)
        deadline = time.monotonic() + seconds
        while True:
            try:
                _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, self._path.parent)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    return False
                time.sleep(0.02)
        note = {"pid": os.getpid(), "serving": name_serving(serving)}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        self._descriptor = descriptor
        return True

    def is_held_by_like(self, serving: Serving) -> bool:
        """Whether another process holds it that runs jobs with the same."""
        found = _find_holder(self._path)
        return found is not None and found.get("serving") == name_serving(serving)

    def is_in_place(self) -> bool:
        """Whether the locked file is still the one in the folder, so that others see the lock."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.fstat(self._descriptor), self._path.stat())
        except FileNotFoundError:
            return False

    def release(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def name_serving(serving: Serving) -> str:
    """A short name of what a process runs jobs with, equal where that is."""
    return hashlib.sha256(msgspec.json.encode(serving, order="sorted")).hexdigest()[:32]


def fingerprint_files(environ: Mapping[str, str] = os.environ) -> str:
    """A digest of the configuration file, and of when keys were kept beside it."""
    path = find_config_file(environ)
    digest = hashlib.sha256()
    with contextlib.suppress(SettingsError):
        digest.update(read_own_file(path) or b"")
    keys = path.parent / KEYS_FOLDER
    with contextlib.suppress(OSError):
        for one in (keys, *sorted(keys.iterdir())):
            state = one.stat()
            digest.update(f"\0{one.name} {state.st_mtime_ns} {state.st_size}".encode())
    return digest.hexdigest()


def _find_holder(path: Path) -> dict[str, Any] | None:
    """What the holder of a lock has noted, None where nobody holds it. Makes nothing."""
    try:
        descriptor = open_private(path, os.O_RDONLY)
    except (OSError, StoreError):
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        try:
            note = json.loads(path.read_text() or "{}")
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}
    except OSError:
        return None  # where nothing can be locked nobody holds a lock
    finally:
        os.close(descriptor)
    return None


def find_worker(directory: Path, name: str = LOCK_NAME) -> WorkerStatus:
    """Whether a worker runs for `directory`; under `TURN_NAME` whether one waits. Makes nothing."""
    note = _find_holder(directory / name)
    if note is None:
        return WorkerStatus(is_running=False)
    return WorkerStatus(is_running=True, process_id=note.get("pid"))


def ensure_worker(directory: Path) -> WorkerStatus:
    """Start the worker of `directory` unless one runs; returns once it holds its lock.

    Raises `StoreError` when none comes up; its log says why.
    """
    with hold_startup_lock(directory):
        status = find_worker(directory)
        return status if status.is_running else _start(directory)


@contextlib.contextmanager
def engage_worker(database: Database, engines: Collection[str]) -> Iterator[Serving | None]:
    """Have what is queued within the block run by a worker of our program and settings, or newer.

    Gives what is to be said to the queue, which fences off a worker that may not run jobs of
    `engines` for us. Such a one ends the job that it runs; ours is there at once and waits for
    that. Changes of the configuration file a worker follows by itself. Raises `StoreError` before
    the block when one of its files is something else, and after it when none comes up; its log
    says why.
    """
    directory = database.directory
    from store.serving import is_served

    with contextlib.ExitStack() as stack:
        is_held = False
        # Whoever may not write here hears that better from what is tried in the block.
        with contextlib.suppress(OSError):
            stack.enter_context(hold_startup_lock(directory))
            is_held = True
        if not is_held:
            yield None
            return
        _refuse_planted(directory)
        wanted = read_serving(directory)
        yield wanted
        if not find_worker(directory).is_running or not is_served(database, wanted, engines):
            _start(directory)


def _refuse_planted(directory: Path) -> None:
    """Raise `StoreError` where a worker could not come up, as something else has its names."""
    for name in (LOCK_NAME, TURN_NAME, LOG_NAME):
        with contextlib.suppress(OSError):
            os.close(open_private(directory / name, os.O_RDONLY))


def _start(directory: Path) -> WorkerStatus:
    """Start a worker, which has its lock or waits for it when this returns.

    The startup lock is held.
    """
    process = _spawn(directory)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        for name in (LOCK_NAME, TURN_NAME):
            status = find_worker(directory, name)
            if status.is_running and status.process_id == process.pid:
                return find_worker(directory)
        if process.poll() == ALREADY_RUNNING:
            return find_worker(directory)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise StoreError("The worker did not start.", f"Its log says why: {directory / LOG_NAME}")


def _spawn(directory: Path) -> subprocess.Popen[bytes]:
    log = open_private(directory / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "engines.worker", "--directory", str(directory)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
        )
    finally:
        os.close(log)
