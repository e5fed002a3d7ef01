"""System calls of another process on the files of one folder: seen, and refused where a plan says.

Linux lets a process give its system calls to another one to decide (seccomp with user
notification, https://docs.kernel.org/userspace-api/seccomp_filter.html). So what SQLite, written
in C, asks for is refused as well as what Python does, and no other tool is needed for it.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import platform
import select
import struct
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

_NUMBERS = {
    "x86_64": {
        "read": 0, "write": 1, "open": 2, "pread64": 17, "pwrite64": 18, "fcntl": 72,
        "flock": 73, "fsync": 74, "fdatasync": 75, "ftruncate": 77, "getdents64": 217,
        "rename": 82, "mkdir": 83, "link": 86, "unlink": 87, "chmod": 90, "openat": 257,
        "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264, "statx": 332,
    },
    "aarch64": {
        "read": 63, "write": 64, "pread64": 67, "pwrite64": 68, "fcntl": 25, "flock": 32,
        "fsync": 82, "fdatasync": 83, "ftruncate": 46, "getdents64": 61, "mkdirat": 34,
        "unlinkat": 35, "linkat": 37, "renameat": 38, "fchmodat": 53, "openat": 56,
        "newfstatat": 79, "statx": 291,
    },
}  # fmt: skip
_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_SECCOMP = {"x86_64": 317, "aarch64": 277}
CALLS = _NUMBERS.get(platform.machine(), {})

_BY_PATH = ("open", "rename", "mkdir", "link", "unlink", "chmod")
"""Their first argument is a path; that of others with a path is the folder it is relative to."""

_BY_DESCRIPTOR = (
    *("read", "write", "pread64", "pwrite64", "fcntl", "flock", "fsync", "fdatasync"),
    *("ftruncate", "getdents64"),
)
_WRITING = ("write", "pwrite64", "ftruncate", "rename", "mkdir", "link", "unlink", "chmod")
_LOCKS = (6, 7, 37, 38)
"""`F_SETLK`, `F_SETLKW` and those of open file descriptions."""

LOCKED = errno.EAGAIN
_RECEIVE, _SEND = 0xC0502100, 0xC0182101
_NOTICE = struct.Struct("=QIIiIQ6Q")
_ANSWER = struct.Struct("=QqiI")
_CONTINUE = 1


class Call(NamedTuple):
    """A system call: its name, the file it is about below the folder, and what of it matters."""

    name: str
    file: str
    is_writing: bool = False
    is_making: bool = False

    def list_errors(self) -> list[int]:
        """The errors that a disk, a file system or another program can answer it with."""
        name = self.name.removesuffix("at")
        if self.name in ("fcntl", "flock"):
            return [LOCKED]
        found = [errno.EIO]
        if name == "open":
            found += [errno.EMFILE, errno.EACCES]
        if name in ("newfstat", "statx", "mkdir", "rename", "link", "unlink", "chmod"):
            found.append(errno.EACCES)
        if self.is_writing:
            found.append(errno.EROFS)
        if self.is_making or self.name in ("write", "pwrite64", "fsync", "fdatasync"):
            found.append(errno.ENOSPC)
        return found


class Plan(NamedTuple):
    """Which calls are refused: from number `first` (0 is the first) on, with `error`.

    That one only, or with `seconds` every call that can give this error in that time.
    """

    first: int
    error: int
    seconds: float = 0.0


def explain_absence() -> str:
    """Why this cannot be done here; "" when it can."""
    if not CALLS:
        return f"the numbers of system calls on {platform.machine()} are not known here"
    receiving, sending = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            install()
        except OSError as error:
            os.write(sending, str(error.strerror).encode())
        os._exit(0)
    os.close(sending)
    os.waitpid(process, 0)
    with os.fdopen(receiving, "rb") as file:
        return file.read().decode()


class _Instruction(ctypes.Structure):
    _fields_ = (
        ("code", ctypes.c_uint16),
        ("yes", ctypes.c_uint8),
        ("no", ctypes.c_uint8),
        ("value", ctypes.c_uint32),
    )


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction)))


def install() -> int:
    """From now on this process asks before each of `CALLS`; the descriptor of who is asked.

    For the life of the process. Raises `OSError`.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    numbers = list(CALLS.values())
    rows = [(0x20, 0, 0, 4), (0x15, 0, len(numbers) + 1, _ARCHITECTURES[platform.machine()])]
    rows.append((0x20, 0, 0, 0))
    rows += [
        (0x15, len(numbers) - place, 0, number) for place, number in enumerate(numbers)
    ]  # to the last line: ask
    rows += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x7FC00000)]
    program = (_Instruction * len(rows))(*(_Instruction(*row) for row in rows))
    if libc.prctl(38, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    given = _Program(len(rows), program)
    descriptor = libc.syscall(_SECCOMP[platform.machine()], 1, 8, ctypes.byref(given))
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(descriptor)


class Attendance(NamedTuple):
    """The calls of a process on the files of a folder, in their order.

    `processor`: the share of a processor that it took while calls were refused, 0 for none.
    """

    calls: list[Call]
    processor: float


def attend(listener: int, process: int, folder: Path, plan: Plan | None) -> Attendance:
    """Answer `process` until it has ended; `folder` is the one whose files may fail."""
    names = {number: name for name, number in CALLS.items()}
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    calls: list[Call] = []
    until = None
    began, taken, share = 0.0, 0.0, 0.0
    while True:
        ((_, event),) = poll.poll()
        if not event & select.POLLIN:
            return Attendance(calls, share)
        notice = bytearray(_NOTICE.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, notice)
        except OSError:
            continue  # It was killed meanwhile.
        identity, task, _, number, _, _, *arguments = _NOTICE.unpack(notice)
        call = _read_call(names[number], task, arguments, str(folder))
        error = 0
        if call is not None:
            calls.append(call)
            place = len(calls) - 1
            now = time.monotonic()
            if plan is not None and place == plan.first:
                error, until = plan.error, now + plan.seconds
                began, taken = now, _read_processor(process)
            elif plan is not None and until is not None and now < until:
                error = plan.error if plan.error in call.list_errors() else 0
                share = (_read_processor(process) - taken) / (now - began)
        answer = bytearray(_ANSWER.pack(identity, 0, -error, 0 if error else _CONTINUE))
        try:
            fcntl.ioctl(listener, _SEND, answer)
        except OSError:
            continue


def _read_processor(process: int) -> float:
    """The seconds of a processor that a process has taken so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_call(name: str, task: int, arguments: Collection[int], folder: str) -> Call | None:
    """What a call is about, None for a file in another place."""
    first, second, third, *_ = arguments
    try:
        if name in _BY_DESCRIPTOR:
            place = str(Path(f"/proc/{task}/fd/{first}").readlink())
        else:
            place = _read_text(task, first if name in _BY_PATH else second)
    except OSError:
        return None
    if not place.startswith(f"{folder}/") and place != folder:
        return None
    if name == "fcntl" and (second not in _LOCKS or _is_unlocking(task, third)):
        return None
    base = name.removesuffix("at")
    flags = {"open": second, "openat": third}.get(name, 0)
    is_making = base in ("mkdir", "link") or bool(flags & os.O_CREAT)
    is_writing = base in _WRITING or is_making or bool(flags & (os.O_WRONLY | os.O_RDWR))
    return Call(name, place.removeprefix(folder).lstrip("/"), is_writing, is_making)


def _is_unlocking(task: int, address: int) -> bool:
    """Whether a lock is given back, which nobody stands in the way of."""
    with (
        contextlib.suppress(OSError),
        Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory,
    ):
        memory.seek(address)
        return int.from_bytes(memory.read(2), sys.byteorder) == fcntl.F_UNLCK
    return False


def _read_text(task: int, address: int) -> str:
    with Path(f"/proc/{task}/mem").open("rb", buffering=0) as memory:
        memory.seek(address)
        return memory.read(1024).partition(b"\0")[0].decode(errors="replace")
