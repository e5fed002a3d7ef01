"""Starting and finding the worker of a data directory.

Whether one runs is decided by a lock that the kernel frees when its process ends, never
by a process id or a clock. A second lock is held while somebody starts a worker or a worker
decides to leave, so that no job is queued between its last look and its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engines.installed import find_installed
from engines.keys import KEYS_FOLDER
from store.errors import StoreError
from store.folder import find_config_file

LOCK_NAME = "worker.lock"
STARTUP_NAME = "startup.lock"
LOG_NAME = "worker.log"
CONFIGURATION = "configuration"
"""Stands among the variables for where the configuration file is."""

START_SECONDS = 20.0
LEAVE_SECONDS = 60.0


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a worker holds the lock (`is_running`), and its process id."""

    is_running: bool
    process_id: int | None = None


def _open_lock(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


@contextlib.contextmanager
def hold_startup_lock(directory: Path) -> Iterator[None]:
    """Wait for and hold the lock under which workers start and leave."""
    descriptor = _open_lock(directory / STARTUP_NAME)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
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
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        yield False
    else:
        yield True
    finally:
        os.close(descriptor)


class WorkerLock:
    """The lock that makes a process the worker of `directory`; held until the process ends."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / LOCK_NAME
        self._descriptor: int | None = None

    def acquire(self, seconds: float = 2.0) -> bool:
        """Take the lock and note who holds it. False when another worker has it.

        Somebody who merely looks holds the lock for an instant, so it is tried for
        `seconds`.
        """
        descriptor = _open_lock(self._path)
        deadline = time.monotonic() + seconds
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    os.close(descriptor)
                    return False
                time.sleep(0.02)
        salt = secrets.token_hex(8)
        note = {"pid": os.getpid(), "salt": salt, "variables": fingerprint_variables(salt)}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(note).encode(), 0)
        self._descriptor = descriptor
        return True

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


def fingerprint_variables(salt: str, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A salted digest of each environment variable that the settings of an engine come from.

    Also of where the configuration is. It tells a client whether the running worker speaks for
    the same account; nothing can be read back from it.
    """
    specs = find_installed().specs.values()
    values = {name: environ.get(name, "") for spec in specs for name in spec.variables}
    values[CONFIGURATION] = str(find_config_file(environ))
    return {
        name: hashlib.sha256(f"{salt}\0{value}".encode()).hexdigest()[:16]
        for name, value in values.items()
    }


def fingerprint_files(environ: Mapping[str, str] = os.environ) -> str:
    """A digest of the configuration file, and of when keys were kept beside it."""
    path = find_config_file(environ)
    digest = hashlib.sha256()
    with contextlib.suppress(OSError):
        digest.update(path.read_bytes())
    keys = path.parent / KEYS_FOLDER
    with contextlib.suppress(OSError):
        for one in (keys, *sorted(keys.iterdir())):
            state = one.stat()
            digest.update(f"\0{one.name} {state.st_mtime_ns} {state.st_size}".encode())
    return digest.hexdigest()


def _read_note(directory: Path) -> dict[str, Any]:
    try:
        note = json.loads((directory / LOCK_NAME).read_text() or "{}")
    except (OSError, ValueError):
        return {}
    return note if isinstance(note, dict) else {}


def find_worker(directory: Path) -> WorkerStatus:
    """Whether a worker runs for `directory`. Makes nothing."""
    try:
        descriptor = os.open(directory / LOCK_NAME, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return WorkerStatus(is_running=False)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return WorkerStatus(is_running=True, process_id=_read_note(directory).get("pid"))
    finally:
        os.close(descriptor)
    return WorkerStatus(is_running=False)


def ensure_worker(directory: Path) -> WorkerStatus:
    """Start the worker of `directory` unless one runs; returns once it holds its lock.

    Raises `StoreError` when none comes up; its log says why.
    """
    with hold_startup_lock(directory):
        return _start(directory)


@contextlib.contextmanager
def engage_worker(directory: Path, variables: Iterable[str] = ()) -> Iterator[None]:
    """Have what is queued within the block run by a worker that has our settings.

    `variables`: the environment variables that the engines of these jobs read. A worker that was
    started with others is asked to leave *before* the block, so that it cannot take the jobs; one
    is started after it. Changes of the configuration file a worker follows by itself. Raises
    `StoreError` when none comes up; its log says why.
    """
    with contextlib.ExitStack() as stack:
        is_held = False
        # Whoever may not write here hears that better from what is tried in the block.
        with contextlib.suppress(OSError):
            stack.enter_context(hold_startup_lock(directory))
            is_held = True
        if not is_held:
            yield
            return
        status = find_worker(directory)
        if status.is_running and not _speaks_for(directory, variables):
            _ask_to_leave(directory, status)
        yield
        _start(directory)


def _start(directory: Path) -> WorkerStatus:
    """Start a worker unless one runs; the startup lock is held."""
    status = find_worker(directory)
    if status.is_running:
        return status
    process = _spawn(directory)
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        status = find_worker(directory)
        if status.is_running and status.process_id is not None:
            return status
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise StoreError("The worker did not start.", f"Its log says why: {directory / LOG_NAME}")


def _speaks_for(directory: Path, variables: Iterable[str]) -> bool:
    """Whether the running worker has the same of these environment variables as this process."""
    wanted = tuple(variables)
    if not wanted:
        return True
    note = _read_note(directory)
    salt, has = note.get("salt"), note.get("variables")
    if not isinstance(salt, str) or not isinstance(has, dict):
        return False
    own = fingerprint_variables(salt)
    return all(has.get(name) == own.get(name) for name in (*wanted, CONFIGURATION))


def _ask_to_leave(directory: Path, status: WorkerStatus) -> None:
    if status.process_id is None:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(status.process_id, signal.SIGTERM)
    deadline = time.monotonic() + LEAVE_SECONDS
    while find_worker(directory).is_running and time.monotonic() < deadline:
        time.sleep(0.05)


def _spawn(directory: Path) -> subprocess.Popen[bytes]:
    log = os.open(
        directory / LOG_NAME, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600
    )
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
