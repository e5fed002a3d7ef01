"""A private sshd on loopback, a line to it that can be slow or fall silent, and who is behind it.

It runs as the user who runs the tests, with keys of its own, and lets in that user alone. As on
Debian a client may set LANG and LC_*: COLORTERM does not come through. Home and data folder of who
logs in are those of a test.
"""

from __future__ import annotations

import contextlib
import getpass
import heapq
import os
import selectors
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.screens import Terminal, open_terminal
from tests.waiting import wait_until

SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
TMUX = shutil.which("tmux")
PRIVILEGE_FOLDER = Path("/run/sshd")
"""Where an sshd that root starts locks up what talks to strangers; Debian's service makes it."""

CHUNK_BYTES = 1 << 16
_MARK = "TMUX_TMPDIR"


def explain_absence() -> str:
    """Why nobody can log in on this machine, "" where it can be done."""
    programs = {"sshd": SSHD, "tmux": TMUX, **{n: shutil.which(n) for n in ("ssh", "ssh-keygen")}}
    if missing := [name for name, path in programs.items() if path is None]:
        return f"{', '.join(missing)} not installed"
    if not Path("/proc/self/environ").exists():
        return "what runs is looked up in /proc"
    return ""


class Line:
    """A way to a port on loopback that takes `seconds` in each direction, or falls silent.

    `target` is where it leads to, `port` where it begins.
    """

    def __init__(self, target: int, seconds: float = 0.0) -> None:
        self._target = target
        self._seconds = seconds
        self._is_silent = threading.Event()
        self._end = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run, name="line", daemon=True)
        self._thread.start()

    def fall_silent(self) -> None:
        """Let nothing through any more, and tell nobody."""
        self._is_silent.set()

    def close(self) -> None:
        """Cut it: both ends are told."""
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        far: dict[socket.socket, socket.socket] = {}
        order, under_way = 0, list[tuple[float, int, socket.socket, bytes]]()
        with selectors.DefaultSelector() as selector, self._listener:
            selector.register(self._listener, selectors.EVENT_READ)
            while not self._end.is_set():
                soonest = under_way[0][0] - time.monotonic() if under_way else 0.02
                for key, _ in selector.select(max(0.0, min(soonest, 0.02))):
                    found = key.fileobj
                    assert isinstance(found, socket.socket)
                    if self._is_silent.is_set():
                        # What is sent now is lost; the kernel says that it came.
                        selector.unregister(found)
                    elif found is self._listener:
                        near = self._listener.accept()[0]
                        other = socket.create_connection(("127.0.0.1", self._target))
                        for one, two in ((near, other), (other, near)):
                            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                            far[one] = two
                            selector.register(one, selectors.EVENT_READ)
                    else:
                        data = _receive(found)
                        if not data:
                            selector.unregister(found)
                        order += 1
                        due = time.monotonic() + self._seconds
                        heapq.heappush(under_way, (due, order, far[found], data))
                while under_way and under_way[0][0] <= time.monotonic():
                    _, _, end, data = heapq.heappop(under_way)
                    if not self._is_silent.is_set():
                        _send(end, data)
            for end in far:
                end.close()


def _receive(end: socket.socket) -> bytes:
    try:
        return end.recv(CHUNK_BYTES)
    except OSError:
        return b""


def _send(end: socket.socket, data: bytes) -> None:
    """Send `data`; nothing is the end of what is sent."""
    with contextlib.suppress(OSError):
        if data:
            end.sendall(data)
        else:
            end.shutdown(socket.SHUT_WR)


class LoginServer:
    """An sshd that is running on `port`; who logs in has the home and the variables of `environ`.

    `folder` is for its keys, its log and the sockets of tmux. `alive_seconds`: how often a client
    that says nothing is asked whether it is there; it is given up after three times. As by default,
    it never is at 0.
    """

    def __init__(self, folder: Path, environ: Mapping[str, str], alive_seconds: int = 0) -> None:
        self.folder = folder
        self._log = folder / "log"
        # By which is known, too, what was started behind a login.
        self._environ = {**environ, _MARK: str(folder)}
        self.port = _find_port()
        for name in ("host", "user"):
            key = [*("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f"), str(folder / name)]
            subprocess.run(key, check=True, stdin=subprocess.DEVNULL)
        known = (folder / "host.pub").read_text()
        (folder / "known_hosts").write_text(f"[127.0.0.1]:{self.port} {known}")
        settings = " ".join(f'"{name}={value}"' for name, value in self._environ.items())
        (folder / "sshd_config").write_text(
            f"""Port {self.port}
ListenAddress 127.0.0.1
HostKey {folder / "host"}
AuthorizedKeysFile {folder / "user.pub"}
AllowUsers {getpass.getuser()}
PermitRootLogin prohibit-password
PasswordAuthentication no
KbdInteractiveAuthentication no
StrictModes no
UsePAM no
PidFile none
PrintMotd no
PrintLastLog no
ClientAliveInterval {alive_seconds}
ClientAliveCountMax 1
AcceptEnv LANG LC_*
SetEnv {settings}
"""
        )
        if os.geteuid() == 0:
            PRIVILEGE_FOLDER.mkdir(mode=0o755, exist_ok=True)
        assert SSHD is not None
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [SSHD, "-D", "-e", "-f", str(folder / "sshd_config")],
                env={"PATH": os.environ.get("PATH", os.defpath)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        wait_until(self._is_listening, "the sshd")

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        return "Server listening" in self._log.read_text()

    @contextlib.contextmanager
    def log_in(
        self, command: str, *, columns: int = 80, rows: int = 24, port: int | None = None
    ) -> Iterator[Terminal]:
        """A terminal in which the ssh client runs `command` over there.

        `port` is that of a line to it.
        """
        options = {
            "UserKnownHostsFile": self.folder / "known_hosts",
            "HostKeyAlias": f"[127.0.0.1]:{self.port}",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "EscapeChar": "none",
            "SendEnv": "LANG",
            "LogLevel": "ERROR",
        }
        argv = ["ssh", "-F", "none", "-tt", "-i", str(self.folder / "user")]
        for name, value in options.items():
            argv += ["-o", f"{name}={value}"]
        argv += ["-p", str(port or self.port), f"{getpass.getuser()}@127.0.0.1", command]
        environ = {"HOME": str(self.folder)}
        with open_terminal(argv, columns=columns, rows=rows, environ=environ) as terminal:
            yield terminal

    def run_tmux(self, *arguments: str) -> str:
        """What a command of tmux prints over there, without a login."""
        assert TMUX is not None
        environ = {"PATH": os.environ.get("PATH", os.defpath), **self._environ}
        done = subprocess.run(
            [TMUX, *arguments],
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def list_processes(self) -> dict[int, str]:
        """What was started behind a login and runs, by process id, and how it was called."""
        wanted = f"{_MARK}={self.folder}".encode()
        found = {}
        for place in Path("/proc").iterdir():
            if place.name.isdigit():
                with contextlib.suppress(OSError):
                    if wanted in (place / "environ").read_bytes().split(b"\0"):
                        words = (place / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                        found[int(place.name)] = b" ".join(words).decode(errors="replace")
        return found

    def list_darkrooms(self) -> list[int]:
        """The processes that show a darkroom to somebody."""
        found = self.list_processes().items()
        return [process_id for process_id, called in found if called.endswith("-m tui")]

    def close(self) -> None:
        """End it, and all that was started behind a login."""
        self._process.terminate()
        self._process.wait()
        for process_id in self.list_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process_id, signal.SIGKILL)


def _find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def serve_logins(
    folder: Path, environ: Mapping[str, str], alive_seconds: int = 0
) -> Iterator[LoginServer]:
    """An sshd for as long as the block runs; afterwards nothing of it is left."""
    folder.mkdir()
    server = LoginServer(folder, environ, alive_seconds)
    try:
        yield server
    finally:
        server.close()


def write_command(home: Path) -> Path:
    """Make `safelight` a command, in the folder that is returned."""
    folder = home / "commands"
    folder.mkdir(exist_ok=True)
    command = folder / "safelight"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m tui "$@"\n')
    command.chmod(0o755)
    return folder


def read_processor_seconds(process_id: int) -> float:
    """How long the process has used a processor so far; 0 where it has ended."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
