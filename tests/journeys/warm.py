"""A process that has the command line's modules loaded and forks for each command.

Most of the second that a short command takes goes to loading its modules. A fork of a process
that has loaded them runs the same `python -m tui` to its end: with the arguments, environment,
folder, standard streams, signals and exit of a process of its own.
"""

from __future__ import annotations

import atexit
import functools
import gc
import importlib
import json
import os
import pkgutil
import runpy
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import tui.cli

ROOT = Path(__file__).parents[2]
THREADED = {"grpc", "numpy", "ray", "textual"}
"""They start threads, or read the environment, when they are loaded: not before the fork."""


class WarmProcess:
    """Runs commands one after another, each in a fork of one process."""

    def __init__(self) -> None:
        self._line, far = socket.socketpair()
        with far:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.journeys.warm", str(far.fileno())],
                cwd=ROOT,
                pass_fds=(far.fileno(),),
                start_new_session=True,
            )
        self._answers = self._line.makefile("rb")
        self._lock = threading.Lock()

    def run(
        self,
        arguments: Sequence[str],
        environ: Mapping[str, str],
        folder: Path,
        streams: Sequence[IO[bytes]],
        seconds: float,
    ) -> int:
        """The exit status of the command; minus the signal that ended it.

        Raises `TimeoutError` after `seconds`; then the command is ended too.
        """
        told = {"arguments": list(arguments), "environ": dict(environ), "folder": str(folder)}
        data = json.dumps(told).encode()
        with self._lock:
            head = len(data).to_bytes(8, "big")
            socket.send_fds(self._line, [head], [stream.fileno() for stream in streams])
            self._line.sendall(data)
            process_id = int(self._answers.readline())
            late = threading.Timer(seconds, os.kill, (process_id, signal.SIGKILL))
            late.start()
            status = int(self._answers.readline())
            in_time = late.is_alive()
            late.cancel()
        if status == -signal.SIGKILL and not in_time:
            raise TimeoutError(f"{arguments} took longer than {seconds:g} s")
        return status

    def close(self) -> None:
        """End the process."""
        self._answers.close()
        self._line.close()
        self.process.wait()


@functools.cache
def get_warm_process() -> WarmProcess:
    """The one of this process; it ends when this process does."""
    process = WarmProcess()
    atexit.register(process.close)
    return process


def main() -> None:
    """Fork for each command that comes over the socket; leave when it is closed."""
    for module in pkgutil.iter_modules(tui.cli.__path__):
        importlib.import_module(f"tui.cli.{module.name}")
    assert not THREADED & sys.modules.keys()
    assert threading.active_count() == 1
    gc.freeze()

    line = socket.socket(fileno=int(sys.argv[1]))
    while True:
        head, descriptors, _, _ = socket.recv_fds(line, 8, 3)
        if not head:
            return
        told = json.loads(_read(line, int.from_bytes(head, "big")))
        process_id = os.fork()
        if process_id == 0:
            line.close()
            break
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(b"%d\n" % process_id)
        _, status = os.waitpid(process_id, 0)
        line.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(told["folder"])
    os.environ.clear()
    os.environ.update(told["environ"])
    sys.path[0] = told["folder"]
    # For packages beside this program; another copy of it would come too late.
    sys.path[1:1] = filter(None, told["environ"].get("PYTHONPATH", "").split(os.pathsep))
    sys.argv[1:] = told["arguments"]
    runpy.run_module("tui", run_name="__main__", alter_sys=True)


def _read(line: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += line.recv(count - len(data))
    return data


if __name__ == "__main__":
    main()
