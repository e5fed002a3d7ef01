"""Clients of a fleet, and the process in which it runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec
import pytest

from engines.base import Event, Produced, Run, Warned
from engines.builtin.engine import BuiltinEngine
from engines.builtin.models import MODEL
from engines.stability.messages import build_message, serialize
from engines.stability.protocol import Message, generation
from store.pixels import digest_pixels, open_image
from store.request import Request
from tests.engines.server.fleet.witness import Witness
from tests.factories import make_hosted_request
from tests.journeys.program import Program
from tests.waiting import SECONDS, wait_for, wait_until

KEY = "sesame"


MARK = "SAFELIGHT_TEST_MARK"


ROOT = Path(__file__).parents[4]


PROGRAM = [sys.executable, "-m", "tests.engines.server.fleet.fleet_program"]


COMMAND = [sys.executable, "-m", "tui", "serve", "--port", "0", "--fleet", "2"]


class Running:
    """A fleet; `mark` is in the environment of all of its processes."""

    def __init__(self, process: subprocess.Popen[str], mark: str, line: str) -> None:
        self.process = process
        self.address = line.rpartition(" ")[2].strip()
        self._mark = f"{MARK}={mark}".encode()

    def list_processes(self) -> list[str]:
        """The command lines of those that are alive."""
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if self._mark in (folder / "environ").read_bytes().split(b"\0"):
                    found.append((folder / "cmdline").read_bytes().decode())
        return found

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Its exit status after the signal, and what was logged."""
        if number == signal.SIGINT:
            os.killpg(self.process.pid, number)  # as a terminal does
        else:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, errors


@contextlib.contextmanager
def running(command: list[str], folder: Path, **environ: str) -> Iterator[Running]:
    """A fleet until the block ends; its home and its temporary files are in `folder`."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**Program(folder).environ, "TMPDIR": "/tmp", MARK: mark, **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    fleet = Running(process, mark, line)
    try:
        assert line.startswith("serving builtin"), process.communicate()
        yield fleet
    finally:
        process.kill()
        process.communicate()
        wait_until(lambda: not fleet.list_processes(), "the end of all processes")


class Call:
    """A call of Generate by a plain stub."""

    def __init__(self, channel: Any, message: Message, *, key: str | None = None) -> None:
        self.answers: list[Message] = []
        method = channel.unary_stream(
            "/gooseai.GenerationService/Generate",
            response_deserializer=generation.Answer.FromString,
        )
        metadata = () if key is None else (("authorization", f"Bearer {key}"),)
        self.stream = method(serialize(message), metadata=metadata)

    async def run(self) -> list[Message]:
        """The answers that have an image."""
        async for answer in self.stream:
            self.answers.append(answer)
        return [answer for answer in self.answers if answer.artifacts]

    async def fail(self) -> tuple[Any, str]:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.run()
        return caught.value.code(), str(caught.value.details())


async def ask(channel: Any, method: str, message: Message, answer: Any) -> Any:
    call = channel.unary_unary(f"/gooseai.{method}", response_deserializer=answer.FromString)
    return await call(message.SerializeToString())


def ask_for(run: str, *, samples: int = 1, **changes: Any) -> Message:
    message = build_message(make_hosted_request(MODEL, **{"steps": 4, **changes}), Run(id=run))
    message.image.samples = samples
    return message


async def list_own_events(request: Request, run: Run) -> list[Event]:
    """What one engine makes of `request` in this process."""
    engine = BuiltinEngine()
    own = msgspec.structs.replace(request, engine="builtin")
    events = [event async for event in engine.generate(own, run)]
    await engine.close()
    return events


async def draw(request: Request) -> str:
    """The pixels that one engine makes of `request` in this process."""
    return digest_produced(await list_own_events(request, Run(id="run-1")))


def digest_produced(events: list[Event]) -> str:
    produced = events[-1]
    assert isinstance(produced, Produced)
    return digest_pixels(open_image(produced.data or b""))


def list_warnings(events: list[Event]) -> set[str]:
    return {event.text for event in events if isinstance(event, Warned)}


def digest(answer: Message) -> str:
    return digest_pixels(open_image(answer.artifacts[0].binary))


def name_run() -> str:
    return f"run-{uuid.uuid4().hex[:8]}"


async def begin(witness: Witness, channel: Any, **changes: Any) -> tuple[str, Call, Any]:
    """A call that is held after the first step of its image: its run, itself, its end."""
    run = name_run()
    call = Call(channel, ask_for(run, **changes))
    work = asyncio.create_task(call.run())
    await wait_for(lambda: witness.list_lines(run), f"the start of {run}")
    return run, call, work
