"""What a server tells of itself, when that is too much or junk."""

from __future__ import annotations

import gzip
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
import pytest

from engines.base import EngineError, Failure
from engines.stability.account import list_server_engines
from engines.stability.models import StabilitySettings
from engines.stability.parts import PARTS_LIMIT
from engines.stability.protocol import listing

FEW = listing.Engines(engine=[listing.EngineInfo(id=f"model-{n}", ready=True) for n in range(9)])


class Answering(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Answers each call with the bytes `data`."""

    def __init__(self) -> None:
        self.data = b""

    def service(self, details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(self._answer)

    async def _answer(self, request: bytes, context: Any) -> bytes:
        return self.data


@pytest.fixture
async def answering() -> AsyncGenerator[tuple[Answering, StabilitySettings], None]:
    handler = Answering()
    server = grpc.aio.server(handlers=[handler])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield handler, StabilitySettings(host=f"127.0.0.1:{port}")
    await server.stop(0)


async def test_engines_are_listed_packed_or_not(
    answering: tuple[Answering, StabilitySettings],
) -> None:
    handler, settings = answering
    for data in (FEW.SerializeToString(), gzip.compress(FEW.SerializeToString())):
        handler.data = data
        found = await list_server_engines(settings)
        assert [engine.id for engine in found] == [f"model-{n}" for n in range(9)]


@pytest.mark.parametrize("data", [b"\xff\xff", b"\x0a\x00" * (PARTS_LIMIT + 1)])
async def test_a_list_without_end_and_junk_are_refused_in_words(
    answering: tuple[Answering, StabilitySettings], data: bytes
) -> None:
    handler, settings = answering
    handler.data = data
    with pytest.raises(EngineError, match="cannot be read") as caught:
        await list_server_engines(settings)
    assert caught.value.kind is Failure.BAD_ANSWER
    assert caught.value.hint
