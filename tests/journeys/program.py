"""The program as a process of its own, as a person runs it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from engines.worker.process import find_worker
from tests.journeys.warm import get_warm_process
from tests.waiting import SECONDS, wait_until


class Program:
    """Runs `safelight` commands on one home."""

    def __init__(self, home: Path, **environ: str) -> None:
        self.home = home
        self.directory = home / "safelight" / "data"
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith("STABILITY_")},
            "HOME": str(home),
            "SAFELIGHT_HOME": str(home / "safelight"),
            **environ,
        }

    def run(self, *arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; the exit status must be `status`."""
        # Modules of another place cannot be loaded before it is known.
        run = self.run_cold if "PYTHONPATH" in self.environ else self.run_warm
        done = run(*arguments)
        assert done.returncode == status, f"{arguments}: {done.returncode}\n{done.stderr}"
        return done

    def run_warm(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process that has its modules loaded."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            with Path(os.devnull).open("rb") as nothing:
                streams = (nothing, output, errors)
                status = get_warm_process().run(
                    arguments, self.environ, self.home, streams, SECONDS
                )
            said = []
            for stream in (output, errors):
                stream.seek(0)
                said.append(stream.read().decode())
        return subprocess.CompletedProcess(arguments, status, *said)

    def run_cold(
        self, *arguments: str, wrapper: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a fresh process, behind the words of `wrapper`."""
        return subprocess.run(
            [*wrapper, sys.executable, "-m", "tui", *arguments],
            env=self.environ,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def run_json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command with `--json` and decode what it prints: one document, nothing else."""
        return json.loads(self.run(*arguments, "--json", status=status).stdout)

    def kill_worker(self) -> None:
        """`kill -9` the worker of this home."""
        status = find_worker(self.directory)
        if status.process_id is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.process_id, signal.SIGKILL)
        wait_until(lambda: not find_worker(self.directory).is_running, "the worker's end")

    end_worker = kill_worker
