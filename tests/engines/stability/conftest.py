"""Requests, settings and servers for the tests of this engine."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from engines.base import Event, Progressed, Run
from engines.secret import Secret
from engines.settings import StabilitySettings
from engines.stability.engine import StabilityEngine
from store.request import Request
from tests.engines.stability.painter import MODEL, Painter
from tests.engines.stability.server import Server

Serve = Callable[..., Awaitable[Server]]


@pytest.fixture
async def serve() -> AsyncGenerator[Serve, None]:
    """Start a server; `engine` is a `Painter` unless one is given."""
    servers: list[Server] = []

    async def start(*arguments: Any, engine: Painter | None = None, **options: Any) -> Server:
        server = Server(engine or Painter(), *arguments, **options)
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with key.pem and cert.pem for localhost, made by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
    command += " -keyout key.pem -out cert.pem -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost,IP:127.0.0.1"
    try:
        subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return folder


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
