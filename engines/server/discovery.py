"""What clients ask about a gRPC server itself: whether it is well, and what it answers.

The services `grpc.health.v1.Health` and `grpc.reflection.v1.ServerReflection` (the same as
`v1alpha`), so that a probe, or a client like grpcurl, needs no description of the protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Any

from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection, reflection_pb2

from engines.quiet_grpc import grpc
from engines.server.access import HEALTH
from engines.stability.protocol import generation

REFLECTION = ("grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection")
"""Two names of one service: messages and bytes are the same."""

REFLECTION_SECONDS = 60.0
"""How long a client may go on asking what there is."""

WATCHERS = 8
"""How many clients may watch the health at once."""

Behaviour = Callable[[Any, Any], Awaitable[None]]


class Discovery:
    """Answers for a server with `services`, by their full names; each is well until `stop`."""

    def __init__(self, services: Collection[str]) -> None:
        self._services = frozenset(("", *services))
        names = (*services, HEALTH, REFLECTION[-1])
        self._reflection = reflection.aio.ReflectionServicer(names, pool=_Pools())
        self._watchers = 0
        self._is_ending = asyncio.Event()

    def stop(self) -> None:
        """Tell those who watch that the server ends, and let them go."""
        self._is_ending.set()

    def list_handlers(self, guard: Callable[[Behaviour], Any]) -> tuple[Any, ...]:
        """For gRPC's server. `guard` makes a behaviour one that asks for the key first."""
        check = grpc.unary_unary_rpc_method_handler(
            self._check,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch,
            health_pb2.HealthCheckRequest.FromString,
            health_pb2.HealthCheckResponse.SerializeToString,
        )
        reflect = grpc.stream_stream_rpc_method_handler(
            guard(self._reflect),
            reflection_pb2.ServerReflectionRequest.FromString,
            reflection_pb2.ServerReflectionResponse.SerializeToString,
        )
        return (
            grpc.method_handlers_generic_handler(HEALTH, {"Check": check, "Watch": watch}),
            *(
                grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": reflect})
                for name in REFLECTION
            ),
        )

    async def _check(self, request: Any, context: Any) -> Any:
        if request.service not in self._services:
            await context.abort(grpc.StatusCode.NOT_FOUND, "This service is not answered here.")
        return self._tell(request.service)

    async def _watch(self, request: Any, context: Any) -> None:
        if self._watchers >= WATCHERS:
            await context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED, f"{WATCHERS} clients watch already: use Check."
            )
        self._watchers += 1
        try:
            await context.write(self._tell(request.service))
            await self._is_ending.wait()
            await context.write(self._tell(request.service))
        finally:
            self._watchers -= 1

    def _tell(self, service: str) -> Any:
        status = health_pb2.HealthCheckResponse
        if service not in self._services:
            return status(status=status.SERVICE_UNKNOWN)
        return status(status=status.NOT_SERVING if self._is_ending.is_set() else status.SERVING)

    async def _reflect(self, requests: Any, context: Any) -> None:
        answers = self._reflection.ServerReflectionInfo(requests, context)
        try:
            async with asyncio.timeout(REFLECTION_SECONDS):
                await _write_all(answers, context)
        except TimeoutError:
            await context.abort(
                grpc.StatusCode.DEADLINE_EXCEEDED,
                f"Reflection is answered for {REFLECTION_SECONDS:g} seconds at a time.",
            )


async def _write_all(answers: AsyncIterator[Any], context: Any) -> None:
    async with contextlib.aclosing(answers) as found:  # type: ignore[type-var]
        async for answer in found:
            await context.write(answer)


class _Pools:
    """The descriptors of the protocol and of the services here, which may be in two pools."""

    def __init__(self) -> None:
        messages = (generation.Request, health_pb2.HealthCheckRequest)
        self._pools = tuple(message.DESCRIPTOR.file.pool for message in messages)

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def find(*arguments: Any) -> Any:
            for pool in self._pools:
                with contextlib.suppress(KeyError):
                    return getattr(pool, name)(*arguments)
            raise KeyError(*arguments)

        return find
