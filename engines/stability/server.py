"""A server of the Stability protocol: where it listens, who may call, how it begins and ends."""

from __future__ import annotations

import asyncio
import hmac
import os
import signal
import socket
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec

from engines.base import Engine, EngineError, Failure
from engines.secret import Secret
from engines.stability.account_wire import dashboard, listing
from engines.stability.connection import MESSAGE_LIMIT, Target, find_target, silence_grpc
from engines.stability.services import QUEUE_LENGTH, DashboardService, GenerationService
from engines.stability.wire import Message

HOST = "127.0.0.1"
PORT = 50051
RECEIVE_LIMIT = 24 * 1024 * 1024
"""Bytes of a request. Initial images are refused, but by name and not for their size."""

OTHER_CALLS = 16
"""Calls that may be open besides the requests in work and in the queue."""

END_SECONDS = 10.0
"""How long images in work may take to be finished when the server ends."""

_Behaviour = Callable[[Any, Any], Awaitable[Any]]


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve.

    `host`: an address of this machine or `unix:/path`; `port`: 0 for a free one. `names`:
    further engine ids that the engine answers for. `queue`: how many requests may wait.
    `certificate` and `private_key`: PEM files that turn TLS on. `key`: what clients must send.
    """

    host: str = HOST
    port: int = PORT
    names: tuple[str, ...] = ()
    queue: int = QUEUE_LENGTH
    certificate: Path | None = None
    private_key: Path | None = None
    key: Secret | None = None


class StabilityServer:
    """Listens at `address` and hands each call to `service`, or to nobody without the key."""

    def __init__(
        self,
        service: GenerationService,
        address: str,
        *,
        key: Secret | None = None,
        credentials: Any = None,
    ) -> None:
        self.address = address
        self._service = service
        self._key = key
        self._credentials = credentials
        self._server: Any = None

    async def start(self) -> None:
        """Listen; `address` has the port then. Raises `EngineError` when it cannot."""
        silence_grpc()
        self._server = grpc.aio.server(
            options=self.list_options(),
            maximum_concurrent_rpcs=self._service.queue + 1 + OTHER_CALLS,
        )
        self._server.add_generic_rpc_handlers(self._list_handlers())
        try:
            if self._credentials is None:
                port = self._server.add_insecure_port(self.address)
            else:
                port = self._server.add_secure_port(self.address, self._credentials)
        except RuntimeError:
            port = 0
        if port == 0:
            raise EngineError(
                Failure.UNREACHABLE,
                f"The server cannot listen at {self.address}.",
                "Perhaps another program does, or this machine has no such address.",
            )
        await self._server.start()
        if self.address.startswith("unix:"):
            _make_private(self.address)
        else:
            self.address = f"{self.address.rpartition(':')[0]}:{port}"

    async def stop(self, seconds: float | None = None) -> None:
        """Take no more calls; give those in work `seconds` (None: no time), then end them."""
        await self._server.stop(seconds)

    async def wait(self) -> None:
        """Return when the server was stopped."""
        await self._server.wait_for_termination()

    def list_options(self) -> tuple[tuple[str, int], ...]:
        """gRPC's settings."""
        return (
            # Otherwise a second server would get half of the requests, without an error.
            ("grpc.so_reuseport", 0),
            ("grpc.max_send_message_length", MESSAGE_LIMIT),
            ("grpc.max_receive_message_length", RECEIVE_LIMIT),
            # A client that is gone without a word is noticed, and its place becomes free.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 15_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        )

    async def check_key(self, context: Any) -> None:
        """End a call that does not send the key."""
        if self._key is None:
            return
        sent = dict(context.invocation_metadata()).get("authorization", "")
        data = sent if isinstance(sent, bytes) else sent.encode()
        if not hmac.compare_digest(data, f"Bearer {self._key.reveal()}".encode()):
            why = "is not the right one" if data else "is missing"
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"The access key {why}.")

    def _guard(self, behaviour: _Behaviour) -> _Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            await self.check_key(context)
            return await behaviour(request, context)

        return answer

    def _list_handlers(self) -> tuple[Any, ...]:
        account, generation = DashboardService(), self._service
        stream = grpc.unary_stream_rpc_method_handler
        services = {
            # Requests stay bytes, so that what cannot be read is refused in our words.
            "GenerationService": {
                "Generate": stream(self._guard(generation.generate)),
                "ChainGenerate": stream(self._guard(generation.refuse_chain)),
            },
            "EnginesService": {
                "ListEngines": self._handle(generation.list_engines, listing.ListEnginesRequest),
            },
            "DashboardService": {
                "GetMe": self._handle(account.get_me, dashboard.EmptyRequest),
                "GetOrganization": self._handle(
                    account.get_organization, dashboard.GetOrganizationRequest
                ),
            },
        }
        return tuple(
            grpc.method_handlers_generic_handler(f"gooseai.{name}", methods)
            for name, methods in services.items()
        )

    def _handle(self, behaviour: _Behaviour, request: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            self._guard(behaviour), request.FromString, _serialize
        )


def _make_private(address: str) -> None:
    Path(address.removeprefix("unix:")).chmod(0o600)


def _serialize(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data


def find_listening_target(settings: ServerSettings) -> Target:
    """Where the server will listen. Raises `EngineError` for what is no address, and for an
    address that other machines can reach unless there is TLS and an access key.
    """
    host, is_tls = settings.host, settings.certificate is not None
    if host.startswith("unix:"):
        return find_target(host, is_tls)
    if host.count(":") == 1:
        raise EngineError(
            Failure.UNREACHABLE, f"The host {host!r} has a port in it.", "Give it as --port."
        )
    name = f"[{host}]" if ":" in host and not host.startswith("[") else host
    target = find_target(f"{name}:{settings.port or 1}")
    address = f"{target.address.rpartition(':')[0]}:{settings.port}"
    if not target.is_local and not (is_tls and settings.key is not None):
        raise EngineError(
            Failure.INSECURE,
            f"Other machines can reach {address}: without TLS and an access key anyone could "
            "use it, and read what is sent.",
            "Give --certificate, --private-key and a key, or listen on 127.0.0.1 and let people "
            "come through SSH (ssh -L).",
        )
    return msgspec.structs.replace(target, address=address, is_tls=is_tls)


async def serve(engine: Engine, settings: ServerSettings, announce: Callable[[str], None]) -> None:
    """Serve `engine` until SIGTERM or SIGINT; `announce` gets the address when it listens.

    After the signal no call is taken; images in work have 10 seconds to be finished, and a
    second signal ends them at once. Raises `EngineError`, for a damaged model too.
    """
    target = find_listening_target(settings)
    credentials = _read_credentials(settings)
    await asyncio.to_thread(engine.environment)
    _free_socket(target)
    service = GenerationService(engine, names=settings.names, queue=settings.queue)
    server = StabilityServer(service, target.address, key=settings.key, credentials=credentials)
    loop, is_ended, is_hurried = asyncio.get_running_loop(), asyncio.Event(), asyncio.Event()

    def end() -> None:
        (is_hurried if is_ended.is_set() else is_ended).set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await server.start()
    try:
        announce(server.address)
        await is_ended.wait()
    finally:
        patient = asyncio.ensure_future(server.stop(END_SECONDS))
        hurried = asyncio.ensure_future(is_hurried.wait())
        await asyncio.wait({patient, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()
        if not patient.done():
            await server.stop()
        await patient
        await engine.close()


def _read_credentials(settings: ServerSettings) -> Any:
    if settings.certificate is None and settings.private_key is None:
        return None
    if settings.certificate is None or settings.private_key is None:
        raise EngineError(
            Failure.INSECURE,
            "TLS needs a certificate and its private key.",
            "Give both: --certificate FILE --private-key FILE.",
        )
    key, certificate = (_read_pem(path) for path in (settings.private_key, settings.certificate))
    if settings.private_key.stat().st_mode & 0o007:
        raise EngineError(
            Failure.INSECURE,
            f"Everybody may read the private key {settings.private_key}.",
            f"Run: chmod 600 {settings.private_key}",
        )
    return grpc.ssl_server_credentials([(key, certificate)])


def _read_pem(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise EngineError(
            Failure.INSECURE, f"{path} cannot be read: {error.strerror or error}."
        ) from None
    if b"-----BEGIN" not in data:
        raise EngineError(Failure.INSECURE, f"{path} is not a file in PEM form.")
    return data


def _free_socket(target: Target) -> None:
    """Remove a socket that a server left behind; gRPC would take one in use as well."""
    path = Path(target.address.removeprefix("unix:"))
    if not target.address.startswith("unix:") or not os.path.lexists(path):
        return
    text = ""
    if not stat.S_ISSOCK(path.lstat().st_mode):
        text = f"{path} exists and is not a socket."
    else:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
                text = f"Another server listens at {path}."
            except ConnectionRefusedError:
                path.unlink()
            except OSError as error:
                text = f"{path} cannot be used: {error.strerror or error}."
    if text:
        raise EngineError(Failure.UNREACHABLE, text, "Choose another path.")
