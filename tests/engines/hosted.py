"""Requests, engines and their events for the tests of hosted engines and of the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from engines.base import Event, Progressed, Run
from engines.keys import Secret
from engines.stability.engine import StabilityEngine
from engines.stability.models import StabilitySettings
from store.request import Request
from tests.engines.painter import MODEL
from tests.engines.stability.server import Server

Serve = Callable[..., Awaitable[Server]]


def make_engine(host: str, key: str | None = None, **options: Any) -> StabilityEngine:
    options.setdefault("models", (MODEL,))
    secret = None if key is None else Secret(key)
    return StabilityEngine(StabilitySettings(host=host, key=secret, **options))


async def collect(engine: StabilityEngine, request: Request, run: Run | None = None) -> list[Event]:
    """The events of one image, without how far it is: that depends on who is faster."""
    events = [event async for event in engine.generate(request, run or Run(id="run-1"))]
    return [event for event in events if not isinstance(event, Progressed)]


@contextlib.asynccontextmanager
async def speak(greeting: bytes) -> AsyncGenerator[str, None]:
    """The address of something that reads a line, says `greeting` and hangs up."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
