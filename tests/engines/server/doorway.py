"""A server of the protocol behind a listener, as `safelight serve` has it."""

from __future__ import annotations

import contextlib
import ssl
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from engines.keys import Secret
from engines.server.grpc_web import Gateway
from engines.server.listener import Listener
from engines.server.server import RECEIVE_LIMIT, ServerSettings, read_tls
from tests.engines.painter import Painter
from tests.engines.stability.server import Server

ROOT_METHOD = "/gooseai.EnginesService/ListEngines"


@contextlib.asynccontextmanager
async def listening(
    engine: Painter | None = None,
    *,
    token: str | None = None,
    certificate: Path | None = None,
    origins: tuple[str, ...] = (),
    address: str = "127.0.0.1:0",
    connections: int = 256,
    limit: int = RECEIVE_LIMIT,
    **options: Any,
) -> AsyncGenerator[tuple[Listener, Server], None]:
    """Serve until the block ends. `certificate`: the folder of one, for TLS."""
    settings = ServerSettings(
        certificate=certificate and certificate / "cert.pem",
        private_key=certificate and certificate / "key.pem",
    )
    key = None if token is None else Secret(token)
    with tempfile.TemporaryDirectory() as folder:
        inner = f"unix:{folder}/grpc"
        server = Server(engine or Painter(), token=token, address=inner, **options)
        gateway = Gateway(inner, limit=limit, origins=origins, key=key)
        listener = Listener(
            address, inner, gateway, tls=read_tls(settings), connections=connections
        )
        await server.start()
        await listener.start()
        try:
            yield listener, server
        finally:
            listener.stop()
            await server.stop()
            await listener.close()


def open_secure(address: str, certificate: Path) -> Any:
    """A channel with TLS that trusts the certificate in the folder."""
    authority = (certificate / "cert.pem").read_bytes()
    return grpc.aio.secure_channel(address, grpc.ssl_channel_credentials(authority))


def make_context(certificate: Path) -> ssl.SSLContext:
    """TLS of a client that trusts the certificate in the folder."""
    return ssl.create_default_context(cafile=str(certificate / "cert.pem"))
