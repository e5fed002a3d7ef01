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
from store import history, queue
from store.database import Database
from store.records import Job
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

    def run(
        self, *arguments: str, status: int | None = 0, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; the exit status must be `status`, unless that is None.

        It reads `given` from standard input.
        """
        # Modules of another place cannot be loaded before it is known.
        run = self.run_cold if "PYTHONPATH" in self.environ else self.run_warm
        done = run(*arguments, given=given)
        said = f"{arguments}: {done.returncode}\n{done.stderr}"
        assert status is None or done.returncode == status, said
        return done

    def run_warm(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a process that has its modules loaded."""
        with contextlib.ExitStack() as files:
            source, output, errors = (
                files.enter_context(tempfile.TemporaryFile()) for _ in range(3)
            )
            source.write(given.encode())
            source.seek(0)
            streams = (source, output, errors)
            status = get_warm_process().run(arguments, self.environ, self.home, streams, SECONDS)
            output.seek(0)
            errors.seek(0)
            said = (output.read().decode(), errors.read().decode())
        return subprocess.CompletedProcess(arguments, status, *said)

    def run_cold(
        self, *arguments: str, given: str = "", wrapper: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end in a fresh process, behind the words of `wrapper`."""
        return subprocess.run(
            [*wrapper, sys.executable, "-m", "tui", *arguments],
            env=self.environ,
            cwd=self.home,
            input=given,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def run_shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """What `sh` does with `line` on its standard input, to its end; `safelight` is a command.

        It must succeed.
        """
        places = self.home / "commands"
        places.mkdir(exist_ok=True)
        command = places / "safelight"
        command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tui "$@"\n')
        command.chmod(0o755)
        environ = {**self.environ, "PATH": f"{places}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(
            ["sh"],
            env=environ,
            cwd=self.home,
            input=line,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{line[:2000]}\n{done.stderr}"
        return done

    def run_json(self, *arguments: str, status: int = 0) -> Any:
        """Run a command with `--json` and decode what it prints: one document, nothing else."""
        return json.loads(self.run(*arguments, "--json", status=status).stdout)

    def list_jobs(self) -> list[Job]:
        """The jobs, newest first, as they stand in the history: for waiting.

        To start a command for each look would keep the processor from what is waited for.
        """
        with Database.open(self.directory) as database:
            return queue.list_jobs(database)

    def count_images(self) -> int:
        """How many images there are, looked up like `list_jobs`."""
        with Database.open(self.directory) as database:
            return len(history.list_image_numbers(database))

    def kill_worker(self) -> None:
        """`kill -9` the worker of this home."""
        status = find_worker(self.directory)
        if status.process_id is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(status.process_id, signal.SIGKILL)
        wait_until(lambda: not find_worker(self.directory).is_running, "the worker's end")

    end_worker = kill_worker
