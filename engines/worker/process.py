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
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec

from engines.settings import (
    HOST_VARIABLE,
    KEY_VARIABLE,
    REST_HOST_VARIABLE,
    find_own_key_file,
)
from store.errors import StoreError
from store.folder import find_config_file

LOCK_NAME = "worker.lock"
STARTUP_NAME = "startup.lock"
LOG_NAME = "worker.log"
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
        note = {"pid": os.getpid(), "salt": salt, "surroundings": fingerprint_surroundings(salt)}
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


def fingerprint_surroundings(salt: str, environ: Mapping[str, str] = os.environ) -> str:
    """A salted digest of what a worker reads once: hosts, keys and the configuration file.

    It tells a client whether the running worker speaks for the same account; nothing can
    be read back from it.
    """
    config = find_config_file(environ)
    version = []
    for path in (config, find_own_key_file(None, config).parent):
        try:
            state = path.stat()
            version.append(f"{state.st_mtime_ns} {state.st_size}")
        except OSError:
            version.append("")
    variables = [
        environ.get(name, "") for name in (HOST_VARIABLE, REST_HOST_VARIABLE, KEY_VARIABLE)
    ]
    parts = "\0".join([salt, *variables, str(config), *version])
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


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


def ensure_worker(directory: Path, *, is_remote: bool = False) -> WorkerStatus:
    """Start the worker of `directory` unless one runs; returns once it holds its lock.

    With `is_remote` (a job will use a service) a worker that was started with another host,
    key or configuration is asked to leave, and a new one takes its place. Raises
    `StoreError` when none comes up; its log says why.
    """
    with hold_startup_lock(directory):
        status = find_worker(directory)
        if is_remote and status.is_running and not _speaks_for(directory):
            _ask_to_leave(directory, status)
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


def _speaks_for(directory: Path) -> bool:
    note = _read_note(directory)
    salt = note.get("salt")
    return isinstance(salt, str) and note.get("surroundings") == fingerprint_surroundings(salt)


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
