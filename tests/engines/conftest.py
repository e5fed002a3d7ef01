"""A history, the engines, servers of the Stability protocol, and certificates."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from engines.builtin.models import CAPABILITIES
from engines.registry import EngineRegistry
from engines.settings import Settings
from store.database import Database
from store.records import EnvironmentRecord
from tests.engines.hosted import Serve
from tests.engines.painter import Painter
from tests.engines.stability.server import Server
from tests.factories import make_request


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database.open(tmp_path / "data") as opened:
        yield opened


@pytest.fixture(scope="module")
def registry() -> EngineRegistry:
    return EngineRegistry(Settings())


@pytest.fixture(scope="module")
def here(registry: EngineRegistry) -> EnvironmentRecord:
    """What would decide the pixels of an image that the embedded engine made now."""
    return registry.describe_environment(make_request(model=CAPABILITIES.default_model))


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
