"""Health and reflection, asked over the wire as probes and generic clients do."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf import descriptor_pool, json_format, message_factory
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

from engines.server import discovery
from engines.server.server import SERVICES
from tests.engines.hosted import Serve
from tests.engines.painter import MODEL
from tests.waiting import wait_for

Code = grpc.StatusCode
Status = health_pb2.HealthCheckResponse


class Credentials(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):  # type: ignore[misc]
    """Sends the key with each call."""

    def _add(self, continuation: Any, details: Any, request: Any) -> Any:
        metadata = (("authorization", "Bearer sesame"),)
        return continuation(details._replace(metadata=metadata), request)

    intercept_unary_unary = intercept_stream_stream = _add


def use_reflection(host: str) -> Any:
    """What a client without any description of the protocol finds, and gets by it."""
    with grpc.insecure_channel(host) as plain:
        channel = grpc.intercept_channel(plain, Credentials())
        database = ProtoReflectionDescriptorDatabase(channel)
        services = set(database.get_services())
        pool = descriptor_pool.DescriptorPool(database)
        for service in services:
            assert pool.FindServiceByName(service).methods
        method = pool.FindMethodByName("gooseai.EnginesService.ListEngines")
        read = message_factory.GetMessageClass(method.output_type).FromString
        call = channel.unary_unary(
            "/gooseai.EnginesService/ListEngines", response_deserializer=read
        )
        fields = pool.FindMessageTypeByName("gooseai.Request").fields_by_name
        assert "engine_id" in fields
        return services, json_format.MessageToDict(call(b""))


async def test_a_client_that_knows_nothing_finds_what_it_needs(serve: Serve) -> None:
    server = await serve(token="sesame")
    services, engines = await asyncio.to_thread(use_reflection, server.host)
    assert {*SERVICES, "grpc.health.v1.Health"} < services
    assert [engine["id"] for engine in engines["engine"]] == [MODEL]


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
async def test_reflection_asks_for_the_key_and_ends_by_itself(
    serve: Serve, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await serve(token="sesame")
    path = f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo"
    async with grpc.aio.insecure_channel(server.host) as channel:
        assert await channel.stream_stream(path)().code() is Code.UNAUTHENTICATED
        monkeypatch.setattr(discovery, "REFLECTION_SECONDS", 0.05)
        call = channel.stream_stream(path)(metadata=(("authorization", "Bearer sesame"),))
        await call.write(b"\x3a\x00")  # list_services
        assert b"gooseai.GenerationService" in await call.read()
        assert await call.code() is Code.DEADLINE_EXCEEDED


def check(channel: Any, service: str) -> Any:
    return channel.unary_unary(
        "/grpc.health.v1.Health/Check", response_deserializer=Status.FromString
    )(health_pb2.HealthCheckRequest(service=service).SerializeToString())


def watch(channel: Any, service: str = "") -> Any:
    return channel.unary_stream(
        "/grpc.health.v1.Health/Watch", response_deserializer=Status.FromString
    )(health_pb2.HealthCheckRequest(service=service).SerializeToString())


async def test_health_is_told_without_a_key(serve: Serve) -> None:
    server = await serve(token="sesame")
    async with grpc.aio.insecure_channel(server.host) as channel:
        for service in ("", *SERVICES):
            assert (await check(channel, service)).status == Status.SERVING
        assert await check(channel, "gooseai.Nothing").code() is Code.NOT_FOUND
        unknown = watch(channel, "gooseai.Nothing")
        assert (await unknown.read()).status == Status.SERVICE_UNKNOWN
        unknown.cancel()


async def test_who_watches_is_told_of_the_end_and_holds_nothing_up(serve: Serve) -> None:
    server = await serve()
    async with grpc.aio.insecure_channel(server.host) as channel:
        watching = [watch(channel) for _ in range(discovery.WATCHERS)]
        for call in watching:
            assert (await call.read()).status == Status.SERVING
        assert await watch(channel).code() is Code.RESOURCE_EXHAUSTED
        watching.pop().cancel()

        async def is_taken() -> bool:
            call = watch(channel)
            answer = await call.read() if await _is_alive(call) else None
            call.cancel()
            return answer is not None

        async with asyncio.timeout(20):
            while not await is_taken():
                pass
        async with asyncio.timeout(20):
            await server.stop(15)
        for call in watching:
            assert (await call.read()).status == Status.NOT_SERVING
            assert await call.code() is Code.OK
    await wait_for(lambda: not server._discovery._watchers)


async def _is_alive(call: Any) -> bool:
    """Whether a watching call was taken."""
    try:
        await call.initial_metadata()
    except grpc.aio.AioRpcError:
        return False
    return not call.done()
