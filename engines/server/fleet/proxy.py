"""Ray Serve's gRPC proxy, made to listen as this program promises.

Ray's own listens on every address of the machine, without TLS and for everybody. Here it
listens at one address, with TLS and an access key where they are asked for. That takes a place
inside Ray that may change with its version; when it does, the proxy does not start.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import msgspec

from engines.keys import Secret
from engines.quiet_grpc import grpc
from engines.server.access import HEALTH, find_key_problem
from engines.server.discovery import REFLECTION, Discovery
from engines.server.server import (
    REQUESTS,
    SERVICES,
    ServerSettings,
    find_key,
    find_listening_target,
    free_socket,
    listen,
    read_credentials,
)

VARIABLE = "SAFELIGHT_FLEET"
"""Tells the processes of the fleet how the proxy listens: `Listening` as JSON."""

SETUP = f"{__name__}.prepare_process"
SERVICER = f"{__name__}.add_services"

_MARK = "safelight_address"


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """How the proxy listens: `ServerSettings` without a secret in it.

    The files are absolute paths. `has_key`: clients must send the key, which is in `key_file`
    or in the environment.
    """

    host: str
    port: int
    certificate: str | None = None
    private_key: str | None = None
    has_key: bool = False
    key_file: str | None = None

    def make_settings(self) -> ServerSettings:
        """The settings with the key. Raises `SettingsError` for one that cannot be read."""
        key = find_key(_find_path(self.key_file)) if self.has_key else None
        if self.has_key and key is None:
            raise RuntimeError("The access key is not to be found in this process.")
        return ServerSettings(
            host=self.host,
            port=self.port,
            certificate=_find_path(self.certificate),
            private_key=_find_path(self.private_key),
            key=key,
        )


def prepare_process() -> None:
    """Be called by Ray in each new process of the fleet."""
    import ray.serve._private.default_impl as seam

    seam.add_grpc_address = _listen


class _Server:
    """Ray's gRPC server, in the process that has it."""

    server: Any = None
    discovery: Discovery
    loop: asyncio.AbstractEventLoop
    end: Future[None] | None = None


def add_services(servicer: object, server: Any) -> None:
    """Be called by Ray's proxy to learn what its gRPC `server` answers."""
    if not hasattr(server, _MARK):
        raise RuntimeError("This version of Ray Serve would listen on every address.")
    # Ray forgets what became of a cancelled call, and asyncio would tell of each.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    _Server.server, _Server.loop = server, asyncio.get_running_loop()
    key = _read_settings().key
    _Server.discovery = Discovery(SERVICES)
    for name in (HEALTH, *REFLECTION):
        server.add_passthrough_service(name)  # else Ray would hand these calls to the replicas
    for handler in _Server.discovery.list_handlers(_protect(key)):
        server.add_generic_rpc_handlers((handler,))
    for service, methods in SERVICES.items():
        server.add_generic_rpc_handlers((_Guard(service, methods, key),))


def stop(proxy: object, seconds: float) -> bool:
    """Let Ray's `proxy` take no more calls, and give those in work `seconds`.

    To be called in the proxy's process until it returns True: all answers are delivered.
    """
    if _Server.end is None:
        _Server.end = asyncio.run_coroutine_threadsafe(_stop(seconds), _Server.loop)
    return _Server.end.done()


async def _stop(seconds: float) -> None:
    _Server.discovery.stop()
    await _Server.server.stop(seconds)


def _protect(key: Secret | None) -> Callable[[Any], Any]:
    """Makes a behaviour one that asks for the key first."""

    def protect(behaviour: Any) -> Any:
        async def answer(request: Any, context: Any) -> None:
            if problem := find_key_problem(key, context.invocation_metadata()):
                await context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)
            await behaviour(request, context)

        return answer

    return protect


def _listen(server: Any, address: str) -> None:
    settings = _read_settings()
    target = find_listening_target(settings)
    free_socket(target)
    setattr(server, _MARK, listen(server, target.address, read_credentials(settings)))


def _find_path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _read_settings() -> ServerSettings:
    return msgspec.json.decode(os.environ[VARIABLE], type=Listening).make_settings()


class _Guard(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC has no types
    """The methods of one service, for those who send the key.

    Ray puts its own behaviour into `_method_handlers`, and reads their names there.
    """

    def __init__(self, service: str, methods: tuple[str, ...], key: Secret | None) -> None:
        self._key = key
        self._method_handlers = {
            f"/{service}/{name}": (
                grpc.unary_unary_rpc_method_handler(None)
                if name in REQUESTS
                else grpc.unary_stream_rpc_method_handler(None)
            )
            for name in methods
        }

    def service(self, call: Any) -> Any:
        """What answers `call`."""
        handler = self._method_handlers.get(call.method)
        if handler is None:
            return None
        if problem := find_key_problem(self._key, call.invocation_metadata):
            return _refuse(problem)
        if not handler.response_streaming:
            return handler
        return handler._replace(unary_stream=_relay(handler.unary_stream))


def _relay(behaviour: Any) -> Any:
    """Ray's `behaviour` of a stream, so that it hears of every call that is given up.

    By itself it does not when that happens while an answer is on its way to the client.
    """

    async def answer(request: bytes, context: Any) -> None:
        answers: asyncio.Queue[bytes | None] = asyncio.Queue()

        async def fetch() -> None:
            try:
                async for data in behaviour(request, context):
                    answers.put_nowait(data)
            finally:
                answers.put_nowait(None)

        work = asyncio.create_task(fetch())
        try:
            while (data := await answers.get()) is not None:
                await context.write(data)
            await work
        except grpc.aio.InternalError:
            return  # the client has left during the write
        finally:
            work.cancel()
            await asyncio.wait({work})

    return answer


def _refuse(problem: str) -> Any:
    async def abort(data: bytes, context: Any) -> None:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)

    # A client that expects one answer takes a stream that ends with a status as well.
    return grpc.unary_stream_rpc_method_handler(abort)
