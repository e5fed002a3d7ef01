"""What Ray Serve's gRPC ingress calls: the services of the protocol, before a fleet of engines."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Sequence
from typing import Any

import msgspec

from engines.base import EngineError, Event, Failure, Run
from engines.capabilities import Capabilities
from engines.quiet_grpc import grpc
from engines.server.fleet.replica import Failed, write_log
from engines.server.server import REQUESTS, list_behaviours
from engines.server.service import GenerationService
from engines.stability.protocol import Message
from store.errors import StoreError
from store.records import EnvironmentRecord
from store.request import Request

ATTEMPTS = 2
"""How often a request is begun when the replica that works at it is lost."""


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is served: see `GenerationService`. `size`: the number of replicas."""

    capabilities: Capabilities
    environment: EnvironmentRecord
    names: tuple[str, ...]
    queue: int
    size: int


class FleetEngine:
    """The engines of a fleet as one. `replicas`: Ray Serve's handle for them."""

    def __init__(self, settings: FleetSettings, replicas: Any) -> None:
        self._settings = settings
        self._replicas: Any = replicas.options(stream=True)

    @property
    def capabilities(self) -> Capabilities:
        """What each of the engines accepts."""
        return self._settings.capabilities

    def environment(self) -> EnvironmentRecord:
        """The one that all replicas have."""
        return self._settings.environment

    def wire_message(self, request: Request, run: Run) -> bytes | None:
        """None: what travels is Ray's."""
        return None

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """What the next free replica yields. Closing this stops its work within a step.

        A replica that is lost costs nothing: another one makes the same pixels.
        """
        from ray.exceptions import RayActorError

        try:
            files = {sha256: run.read_input(sha256) for sha256 in request.parameters.inputs}
        except StoreError as error:
            raise EngineError(Failure.INVALID_REQUEST, error.message, error.hint) from None
        for attempt in range(1, ATTEMPTS + 1):
            events = self._replicas.generate.remote(request, run.id, files)
            try:
                async for event in events:
                    if isinstance(event, Failed):
                        raise EngineError(event.kind, event.message, event.hint)
                    yield event
                return
            except RayActorError:
                if attempt == ATTEMPTS:
                    raise EngineError(
                        Failure.INTERNAL, f"{attempt} engines of the fleet ended at this request."
                    ) from None
            finally:
                events.cancel()

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        """Nothing: no answer is ever spooled."""
        return []

    async def close(self) -> None:
        """Let go of the replicas; they end with Ray Serve."""
        self._replicas = None


class Ingress:
    """The ingress of the fleet; its methods with capitals are those of the protocol.

    Requests come as bytes and are answered with bytes: Ray need not know the messages.
    """

    def __init__(self, settings: FleetSettings, replicas: Any) -> None:
        write_log()
        self._generation = GenerationService(
            FleetEngine(settings, replicas),
            names=settings.names,
            queue=settings.queue,
            places=settings.size,
        )
        self._behaviours = list_behaviours(self._generation)

    async def Generate(self, data: bytes, grpc_context: Any) -> AsyncGenerator[Message, None]:
        """Keepalives and images as they come."""
        async with contextlib.aclosing(self._stream("Generate", data, grpc_context)) as answers:
            async for answer in answers:
                yield answer

    async def ChainGenerate(self, data: bytes, grpc_context: Any) -> AsyncGenerator[Message, None]:
        """A refusal."""
        async with contextlib.aclosing(
            self._stream("ChainGenerate", data, grpc_context)
        ) as answers:
            async for answer in answers:
                yield answer

    async def ListEngines(self, data: bytes, grpc_context: Any) -> Message:
        """The engine ids that clients may ask for."""
        return await self._answer("ListEngines", data, grpc_context)

    async def GetMe(self, data: bytes, grpc_context: Any) -> Message:
        """The one user."""
        return await self._answer("GetMe", data, grpc_context)

    async def GetOrganization(self, data: bytes, grpc_context: Any) -> Message:
        """The one organization."""
        return await self._answer("GetOrganization", data, grpc_context)

    async def is_busy(self) -> bool:
        """Whether requests are in work."""
        return self._generation.is_busy

    async def _answer(self, name: str, data: bytes, grpc_context: Any) -> Message:
        request = REQUESTS[name].FromString(data)
        return await self._behaviours[name](request, _Context(grpc_context))

    async def _stream(
        self, name: str, data: bytes, grpc_context: Any
    ) -> AsyncGenerator[Message, None]:
        context = _Context(grpc_context)
        work = asyncio.create_task(context.run(self._behaviours[name](data, context)))
        try:
            while (answer := await context.answers.get()) is not None:
                yield _Answer(answer)
            await work
        finally:
            work.cancel()
            await asyncio.wait({work})


class _Answer:
    """A message that is serialised already."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def SerializeToString(self) -> bytes:
        return self._data


class _Aborted(Exception):
    """A call that was ended with a status."""


class _Context:
    """What the services need of gRPC's context, in front of the one that Ray has."""

    def __init__(self, context: Any) -> None:
        self._context = context
        self.answers: asyncio.Queue[bytes | None] = asyncio.Queue()

    def invocation_metadata(self) -> Sequence[tuple[str, str | bytes]]:
        found: Sequence[tuple[str, str | bytes]] = self._context.invocation_metadata()
        return found

    def set_trailing_metadata(self, pairs: Sequence[tuple[str, bytes]]) -> None:
        self._context.set_trailing_metadata(list(pairs))

    async def write(self, data: bytes) -> None:
        self.answers.put_nowait(data)

    async def abort(self, code: grpc.StatusCode, text: str) -> None:
        self._context.set_code(code)
        self._context.set_details(text)
        raise _Aborted(text)

    async def run(self, behaviour: Any) -> None:
        """Await `behaviour`; `answers` end with a None then."""
        try:
            await behaviour
        finally:
            self.answers.put_nowait(None)
