"""Requests wait for their turn, none that was accepted is lost, and giving up frees the engine."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncGenerator
from typing import Any

import grpc
import grpc.aio
import pytest

from engines.base import Event, Failure, Run
from engines.server.server import ServerSettings
from engines.server.server import serve as serve_engine
from engines.stability.protocol import generation
from store.request import Request
from tests.engines.hosted import Serve, collect, make_engine
from tests.engines.painter import Painter
from tests.engines.server.plain_client import generate, make_message
from tests.engines.stability.server import Server
from tests.factories import make_hosted_request

Code = grpc.StatusCode


class Careful(Painter):
    """A painter that knows how many images it makes at once."""

    def __init__(self) -> None:
        super().__init__(is_held=True)
        self.now = self.most = self.made = 0
        self.begun = asyncio.Event()

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        self.now += 1
        self.most = max(self.most, self.now)
        self.begun.set()
        try:
            async for event in super().generate(request, run):
                yield event
            self.made += 1
        finally:
            self.now -= 1


async def test_a_full_queue_refuses_and_no_accepted_request_is_lost(serve: Serve) -> None:
    painter = Careful()
    server = await serve(engine=painter, queue=2)
    message = make_message(width=128, height=128)
    calls = [asyncio.create_task(generate(server, message)) for _ in range(5)]
    refused, _ = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
    while len(refused) < 2:
        more, _ = await asyncio.wait(set(calls) - refused, return_when=asyncio.FIRST_COMPLETED)
        refused |= more
    for task in refused:
        error = task.exception()
        assert isinstance(error, grpc.aio.AioRpcError)
        assert error.code() is Code.RESOURCE_EXHAUSTED
    failure = await _fail_to_make(server)
    assert failure.kind is Failure.RATE_LIMITED
    assert not failure.may_be_charged
    painter.go_on.set()
    answers = [await task for task in calls if task not in refused]
    assert [len(answer) for answer in answers] == [1, 1, 1]
    assert (painter.most, painter.made) == (1, 3)
    assert len(await generate(server, message)) == 1


async def _fail_to_make(server: Server) -> Any:
    from engines.base import EngineError

    with pytest.raises(EngineError) as caught:
        await collect(make_engine(server.host), make_hosted_request())
    return caught.value


async def test_giving_up_stops_the_engine_and_the_next_one_gets_its_turn(serve: Serve) -> None:
    painter = Careful()
    server = await serve(engine=painter)
    message = make_message(width=128, height=128)
    first = asyncio.create_task(generate(server, message))
    await painter.begun.wait()
    second = asyncio.create_task(generate(server, message))
    first.cancel()
    await painter.was_stopped.wait()
    painter.go_on.set()
    assert len(await second) == 1
    assert (painter.most, painter.made) == (1, 1)


async def test_a_client_hears_something_while_it_waits(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engines.server.service.KEEPALIVE_SECONDS", 0.01)
    painter = Painter(is_held=True)
    server = await serve(engine=painter)
    async with grpc.aio.insecure_channel(server.host) as channel:
        stream = channel.unary_stream(
            "/gooseai.GenerationService/Generate",
            response_deserializer=generation.Answer.FromString,
        )(make_message().SerializeToString())
        empty = 0
        async for answer in stream:
            assert answer.request_id == "request 1"
            empty += not answer.artifacts
            if empty == 5:
                painter.go_on.set()
        assert answer.artifacts


async def test_a_second_signal_ends_what_is_in_work(caplog: pytest.LogCaptureFixture) -> None:
    painter, address = Painter(is_held=True), asyncio.Queue[str]()
    work = asyncio.create_task(serve_engine(painter, ServerSettings(port=0), address.put_nowait))
    async with grpc.aio.insecure_channel(await address.get()) as channel:
        stream = channel.unary_stream("/gooseai.GenerationService/Generate")(
            make_message().SerializeToString()
        )
        await stream.read()
        os.kill(os.getpid(), signal.SIGTERM)
        while "once more" not in caplog.text:
            await asyncio.sleep(0)
        assert not work.done()
        os.kill(os.getpid(), signal.SIGINT)
        await work
        assert await stream.code() is Code.UNAVAILABLE
    assert painter.was_stopped.is_set()
