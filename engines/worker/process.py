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
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from engines.config_file import read_own_file
from engines.keys import KEYS_FOLDER, SettingsError
from engines.worker.program import read_serving
from store.errors import FileUnavailable, StoreError
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
STARTUP_SECONDS = 30.0
"""How long the start of a worker may be held by somebody else."""

STARTS = 2
"""How often a worker is started that ends at once: whatever ended the first one may have passed."""

NOTE_BYTES = 4096
TROUBLE_LENGTH = 600
"""Most characters that are noted of a trouble: escaped in JSON, they must fit in the note."""

ALREADY_RUNNING = 3
"""Exit status when another worker has the data directory, or waits to have it."""


log = logging.getLogger("safelight.worker")


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker holds the lock (`is_running`), and its process id.

    `trouble`: what it waits for before it can go on, "" for nothing.
    """

    is_running: bool
    process_id: int | None = None
    trouble: str = ""


def _open_file(path: Path, flags: int) -> int:
    """A descriptor of a file of the worker, made where it is missing.

    Raises `FileUnavailable`, and `StoreError` for what somebody else put in its place.
    """
    try:
        return open_private(path, flags | os.O_CREAT)
    except OSError as error:
        raise FileUnavailable(
            f"{path} cannot be opened: {error.strerror or error}.",
            "It must be a file that you may write, on a disk with free space; "
            "it can be removed while no worker runs.",
        ) from error


def _open_lock(path: Path) -> int:
    return _open_file(path, os.O_RDWR)


def _open_log(path: Path) -> int:
    return _open_file(path, os.O_WRONLY | os.O_APPEND)


def _check_files(directory: Path) -> None:
    """Raise `StoreError` where a worker could not be started, before anything is queued."""
    for name in (LOCK_NAME, TURN_NAME):
        os.close(_open_lock(directory / name))
    os.close(_open_log(directory / LOG_NAME))


def list_faults(directory: Path) -> list[str]:
    """What is wrong with the files of the worker that are there, a text each. Makes nothing."""
    faults = []
    for name in (LOCK_NAME, STARTUP_NAME, TURN_NAME, LOG_NAME):
        path = directory / name
        if os.path.lexists(path):
            try:
                os.close(_open_lock(path))
            except StoreError as error:
                faults.append(str(error))
    return faults


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


def _lock_within(descriptor: int, directory: Path, seconds: float) -> bool:
    """Lock an open file in `directory` for oneself; False where another one holds it so long."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            _lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, directory)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        else:
            return True


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
    """Wait for and hold the lock under which workers start and leave.

    Raises `FileUnavailable` where another program holds it for long: it may be stopped.
    """
    path = directory / STARTUP_NAME
    descriptor = _open_lock(path)
    try:
        if not _lock_within(descriptor, directory, STARTUP_SECONDS):
            raise FileUnavailable(
                f"Another program holds {path} and does not go on.",
                "A Safelight may be stopped (fg lets it go on) or wait for the same history; "
                "end it, then try again.",
            )
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
        self._serving = ""

    def acquire(self, serving: Serving, seconds: float = 2.0) -> bool:
        """Take the lock and note who holds it. False when another worker has it.

        Somebody who merely looks holds the lock for an instant, so it is tried for
        `seconds`. `serving`: what the holder runs jobs with.
        """
        descriptor = _open_lock(self._path)
        if not _lock_within(descriptor, self._path.parent, seconds):
            os.close(descriptor)
            return False
        self._descriptor = descriptor
        self._serving = name_serving(serving)
        self.note("")
        return True

    def note(self, trouble: str) -> None:
        """Let whoever looks know who holds the lock, and what it waits for ("": nothing).

        Always of one length: on a full disk there is no room for more.
        """
        if self._descriptor is None:
            return
        note = {"pid": os.getpid(), "serving": self._serving, "trouble": trouble[:TROUBLE_LENGTH]}
        with contextlib.suppress(OSError):
            data = json.dumps(note, ensure_ascii=False).encode("utf-8", "replace")
            os.pwrite(self._descriptor, data.ljust(NOTE_BYTES), 0)

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
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError:
            return True  # It cannot be seen now, which says nothing.

    def release(self) -> None:
        """Let go of the lock."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
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
            note = json.loads(os.pread(descriptor, NOTE_BYTES, 0) or b"{}")
        except (OSError, ValueError, RecursionError):
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
    number = note.get("pid")
    # 0 and below are groups of processes, and whoever is asked to leave gets a signal.
    is_process = type(number) is int and number > 0
    return WorkerStatus(
        is_running=True,
        process_id=number if is_process else None,
        trouble=str(note.get("trouble") or ""),
    )


def ensure_worker(directory: Path) -> WorkerStatus:
    """Start the worker of `directory` unless one runs; returns once it holds its lock.

    Raises `StoreError` when none comes up; its log says why.
    """
    with hold_startup_lock(directory):
        status = find_worker(directory)
        return status if status.is_running else _start(directory)


@contextlib.contextmanager
def engage_worker(
    database: Database, engines: Collection[str], tell: Callable[[str], object] = log.warning
) -> Iterator[Serving | None]:
    """Have what is queued within the block run by a worker of our program and settings, or newer.

    Gives what is to be said to the queue, which fences off a worker that may not run jobs of
    `engines` for us. Such a one ends the job that it runs; ours is there at once and waits for
    that. Changes of the configuration file a worker follows by itself. Raises `StoreError` before
    the block where none could be started. When none comes up after it, that is told and no error:
    what the block has queued is queued.
    """
    directory = database.directory
    if database.is_read_only:
        # Whoever may not write here hears that better from what is tried in the block.
        yield None
        return
    # All who wait for a history that somebody holds wait here, side by side, and not one behind
    # the other for the lock.
    with database.write():
        pass
    with hold_startup_lock(directory):
        _check_files(directory)
        wanted = read_serving(directory)
        yield wanted
        try:
            _replace_unfit(database, wanted, engines)
        except StoreError as error:
            tell(str(error))


def _replace_unfit(database: Database, wanted: Serving, engines: Collection[str]) -> None:
    """Start a worker where none runs that may run jobs of `engines` for who wants `wanted`."""
    from store.serving import is_served

    directory = database.directory
    if find_worker(directory).is_running and is_served(database, wanted, engines):
        return
    _start(directory)


def _start(directory: Path) -> WorkerStatus:
    """Start a worker, which has its lock or waits for it when this returns.

    The startup lock is held.
    """
    deadline = time.monotonic() + START_SECONDS
    for _ in range(STARTS):
        process = _spawn(directory)
        while time.monotonic() < deadline:
            for name in (LOCK_NAME, TURN_NAME):
                status = find_worker(directory, name)
                # On a full disk it has its lock and could not note that.
                if status.is_running and status.process_id in (process.pid, None):
                    return find_worker(directory)
            if process.poll() == ALREADY_RUNNING:
                return find_worker(directory)
            if process.poll() is not None:
                break
            time.sleep(0.02)
    raise StoreError("The worker did not start.", f"Its log says why: {directory / LOG_NAME}")


def _spawn(directory: Path) -> subprocess.Popen[bytes]:
    output = _open_log(directory / LOG_NAME)
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "engines.worker", "--directory", str(directory)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            umask=0o077,
        )
    except OSError as error:
        raise FileUnavailable(
            f"The worker could not be started: {error.strerror or error}.",
            "Close other programs, then try again.",
        ) from error
    finally:
        os.close(output)
