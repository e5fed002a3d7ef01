"""The embedded model under observation: what it does is written into a folder, and it can be held.

For processes that a test cannot reach otherwise: `SAFELIGHT_WITNESS` names the folder.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from pathlib import Path

from engines.base import Event, Progressed, Run
from engines.builtin.engine import BuiltinEngine
from store.request import Request

VARIABLE = "SAFELIGHT_WITNESS"


class Witness:
    """The test's side: lines that engines wrote, and the word to go on."""

    def __init__(self, folder: Path) -> None:
        self._log = folder / "log"
        self._hold = folder / "hold"
        self._log.touch()

    def hold(self) -> None:
        """Let engines wait after their first step."""
        self._hold.touch()

    def go_on(self) -> None:
        """Let them wait no more."""
        self._hold.unlink()

    def list_lines(self, run: str) -> list[str]:
        """What engines wrote about `run`: `PID step N`, `PID stopped`, `PID done`."""
        words = [line.split(" ", 2) for line in self._log.read_text().splitlines()]
        return [f"{pid} {what}" for pid, name, what in words if name == run]


class WitnessedEngine(BuiltinEngine):
    """An engine that a `Witness` observes."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = Path(os.environ[VARIABLE])

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        try:
            async for event in super().generate(request, run):
                if isinstance(event, Progressed):
                    self._write(run, f"step {event.step}")
                    while (self._folder / "hold").exists():
                        await asyncio.sleep(0.01)
                yield event
        except (asyncio.CancelledError, GeneratorExit):
            self._write(run, "stopped")
            raise
        self._write(run, "done")

    def _write(self, run: Run, what: str) -> None:
        with (self._folder / "log").open("a") as file:
            file.write(f"{os.getpid()} {run.id} {what}\n")
