"""One engine of the fleet: a replica of Ray Serve, in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable

import msgspec

from engines.base import BESIDE_BITS, EQUAL_BITS, Engine, EngineError, Event, Failure, Produced, Run
from engines.log_lines import start_log
from engines.server.service import NODE_KEY
from engines.stability.messages import Files, SentFiles
from store.records import EnvironmentRecord
from store.request import Request

MakeEngine = Callable[[], Engine]


class Failed(msgspec.Struct, frozen=True):
    """Why a replica made no image; an exception would not survive the way through Ray."""

    kind: Failure
    message: str
    hint: str


class Replica:
    """Makes the images of one engine, one at a time, where Ray has put it.

    It does not start where the engine would make other pixels than where the fleet was
    started: what decides the pixels in `environment` must be found here too.
    """

    def __init__(self, make_engine: MakeEngine, environment: EnvironmentRecord) -> None:
        from ray import serve

        write_log()
        self._engine = make_engine()
        self._name = serve.get_replica_context().replica_id.unique_id
        self._turn = asyncio.Lock()
        check_environment(environment, self._engine.environment())

    async def generate(
        self, request: Request, run_id: str, files: Files
    ) -> AsyncGenerator[Event | Failed, None]:
        """What the engine yields. `files`: the images that `request` starts from."""
        run = Run(id=run_id, inputs=SentFiles(files))
        # Ray gives the place of a cancelled request away before its last step has ended.
        async with (
            self._turn,
            contextlib.aclosing(self._engine.generate(request, run)) as events,
        ):
            try:
                async for event in events:
                    if isinstance(event, Produced):
                        yield msgspec.structs.replace(
                            event, meta={**event.meta, NODE_KEY: self._name}
                        )
                    else:
                        yield event
            except EngineError as error:
                yield Failed(error.kind, error.message, error.hint)


def check_environment(expected: EnvironmentRecord, found: EnvironmentRecord) -> None:
    """Raise `EngineError` when the engine would make other pixels here.

    Kernels and machine may differ where the engine promises equal bits in both environments.
    """
    promises = {record.values.get(EQUAL_BITS) for record in (expected, found)}
    # A promise that only one of them gives is itself a difference, and says why.
    beside = BESIDE_BITS if "yes" in promises else ()
    for name in dict.fromkeys((*expected.values, *found.values)):
        if name in beside:
            continue
        here, there = found.values.get(name), expected.values.get(name)
        if here != there:
            raise EngineError(
                Failure.WRONG_PROCESS,
                f"A node of the fleet would make other pixels: its {name} is {here}, and "
                f"{there} where the fleet was started.",
                "Install the same versions on every node.",
            )


def write_log() -> None:
    """Let what the program logs in this process go where Ray looks for it."""
    start_log("safelight: %(message)s")
