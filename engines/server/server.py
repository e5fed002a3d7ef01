"""A server of the Stability protocol: how it begins and ends, and hands calls to the services.

Where it listens, TLS, access keys, signals.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import signal
import socket
import ssl
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Self

import msgspec

from engines.base import Engine, EngineError, Failure
from engines.keys import Secret, check_key, read_key_file
from engines.quiet_grpc import grpc
from engines.remote import Target, find_target
from engines.server.access import find_key_problem
from engines.server.discovery import Discovery
from engines.server.grpc_web import Gateway
from engines.server.listener import CONNECTIONS, Listener, make_folder
from engines.server.service import QUEUE_LENGTH, DashboardService, GenerationService
from engines.stability.protocol import MESSAGE_LIMIT, Message, dashboard, listing

RECEIVE_LIMIT = 24 * 1024 * 1024
"""Bytes of a request: an initial image of 1024x1024 and its mask, even without compression."""

OTHER_CALLS = 32
"""Calls that may be open besides the requests in work and in the queue."""

SERVICES = {
    "gooseai.GenerationService": ("Generate", "ChainGenerate"),
    "gooseai.EnginesService": ("ListEngines",),
    "gooseai.DashboardService": ("GetMe", "GetOrganization"),
}
"""The methods of each service that is answered."""

REQUESTS = {
    "ListEngines": listing.ListEnginesRequest,
    "GetMe": dashboard.EmptyRequest,
    "GetOrganization": dashboard.GetOrganizationRequest,
}
"""The requests of the methods with one answer. Those of the others, which answer with streams,
stay bytes, so that what cannot be read is refused in our words.
"""

Behaviour = Callable[[Any, Any], Awaitable[Any]]
"""Answers a request (a message, or its bytes) with the help of gRPC's context."""


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
        self._discovery = Discovery(SERVICES)
        self._server: Any = None

    async def start(self) -> None:
        """Listen; `address` has the port then. Raises `EngineError` when it cannot."""
        self._server = grpc.aio.server(
            options=self.list_options(),
            maximum_concurrent_rpcs=self._service.queue + 1 + OTHER_CALLS,
        )
        self._server.add_generic_rpc_handlers(self._list_handlers())
        self.address = listen(self._server, self.address, self._credentials)
        await self._server.start()

    async def stop(self, seconds: float | None = None) -> None:
        """Take no more calls; give those in work `seconds` (None: no time), then end them."""
        self._discovery.stop()
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
            # gRPC unpacks a message before it measures it, and before the key is looked at: a
            # megabyte would become a thousand. What is compressed is refused; images are already.
            ("grpc.compression_enabled_algorithms_bitset", 1),
            # A client that is gone without a word is noticed, and its place becomes free.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 15_000),
            ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        )

    async def check_key(self, context: Any) -> None:
        """End a call that does not send the key."""
        if problem := find_key_problem(self._key, context.invocation_metadata()):
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, problem)

    def _guard(self, behaviour: Behaviour) -> Behaviour:
        async def answer(request: Any, context: Any) -> Any:
            await self.check_key(context)
            return await behaviour(request, context)

        return answer

    def _list_handlers(self) -> tuple[Any, ...]:
        behaviours = list_behaviours(self._service)
        own = tuple(
            grpc.method_handlers_generic_handler(
                service, {name: self._handle(behaviours[name], name) for name in methods}
            )
            for service, methods in SERVICES.items()
        )
        return own + self._discovery.list_handlers(self._guard)

    def _handle(self, behaviour: Behaviour, name: str) -> Any:
        guarded, request = self._guard(behaviour), REQUESTS.get(name)
        if request is None:
            return grpc.unary_stream_rpc_method_handler(guarded)
        return grpc.unary_unary_rpc_method_handler(guarded, request.FromString, _serialize)


def list_behaviours(generation: GenerationService) -> dict[str, Behaviour]:
    """What answers each method of `SERVICES`."""
    account = DashboardService()
    return {
        "Generate": generation.generate,
        "ChainGenerate": generation.refuse_chain,
        "ListEngines": generation.list_engines,
        "GetMe": account.get_me,
        "GetOrganization": account.get_organization,
    }


def listen(server: Any, address: str, credentials: Any) -> str:
    """Bind the gRPC `server` to `address`, with TLS when there are `credentials`.

    Returns the address with the port that was bound; a socket is its owner's alone. Raises
    `EngineError`.
    """
    try:
        if credentials is None:
            port = server.add_insecure_port(address)
        else:
            port = server.add_secure_port(address, credentials)
    except RuntimeError:
        port = 0
    if port == 0:
        raise EngineError(
            Failure.UNREACHABLE,
            f"The server cannot listen at {address}.",
            "Perhaps another program does, or this machine has no such address.",
        )
    if not address.startswith("unix:"):
        return f"{address.rpartition(':')[0]}:{port}"
    Path(address.removeprefix("unix:")).chmod(0o600)
    return address


def _serialize(message: Message) -> bytes:
    data: bytes = message.SerializeToString()
    return data


KEY_VARIABLE = "SAFELIGHT_SERVE_KEY"

HOST = "127.0.0.1"
PORT = 50051
TLS_PORT = 50443
"""With TLS: stability-sdk uses it, and sends its key, only where the host ends in 443."""

END_SECONDS = 30.0
"""How long images in work may take to be finished when the server ends."""

_ORIGIN = re.compile(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?")

BUSY = "Ending when the images in work are finished; once more ends them too."

_log = logging.getLogger("safelight.serve")


class ServerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How to serve.

    `host`: an address of this machine or `unix:/path`; `port`: 0 for a free one, None for the
    usual one. `names`: further engine ids that the engine answers for. `queue`: how many requests
    may wait. `certificate` and `private_key`: PEM files that turn TLS on. `key`: what clients must
    send. `origins`: those of web pages that may call, `*` for all.
    """

    host: str = HOST
    port: int | None = None
    names: tuple[str, ...] = ()
    queue: int = QUEUE_LENGTH
    certificate: Path | None = None
    private_key: Path | None = None
    key: Secret | None = None
    origins: tuple[str, ...] = ()


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
    port = settings.port
    if port is None:
        port = TLS_PORT if is_tls else PORT
    target = find_target(f"{name}:{port or 1}")
    address = f"{target.address.rpartition(':')[0]}:{port}"
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

    After the signal no call is taken; images in work have 30 seconds to be finished, and a
    second signal ends them at once. Raises `EngineError`, for a damaged model too.
    """
    target = find_listening_target(settings)
    check_origins(settings)
    credentials = read_credentials(settings)
    await asyncio.to_thread(engine.environment)
    free_socket(target)
    service = GenerationService(engine, names=settings.names, queue=settings.queue)
    with Ending() as ending, make_folder() as folder:
        if target.address.startswith("unix:"):
            server = StabilityServer(
                service, target.address, key=settings.key, credentials=credentials
            )
            listener = None
        else:
            server = StabilityServer(service, f"unix:{folder}/grpc", key=settings.key)
            listener = make_listener(target, server.address, settings)
        await server.start()
        try:
            if listener is not None:
                await listener.start()
            announce(server.address if listener is None else listener.address)
            await ending.is_asked.wait()
        finally:
            if listener is not None:
                listener.stop()
            if service.is_busy:
                _log.warning(BUSY)
            patient = asyncio.ensure_future(server.stop(END_SECONDS))
            await ending.hurry(patient)
            if not patient.done():
                await server.stop()
            await patient
            if listener is not None:
                await listener.close()
            await engine.close()


def make_listener(target: Target, inner: str, settings: ServerSettings) -> Listener:
    """What listens at `target` before a server of services that listens at the socket `inner`."""
    gateway = Gateway(inner, limit=RECEIVE_LIMIT, origins=settings.origins, key=settings.key)
    return Listener(
        target.address,
        inner,
        gateway,
        tls=read_tls(settings),
        connections=settings.queue + CONNECTIONS,
    )


def check_origins(settings: ServerSettings, *, has_web: bool = True) -> None:
    """Raise `EngineError` for what is no origin of a web page, and where there is no gRPC-Web.

    `has_web`: whether the server answers it at a port; at a socket none does.
    """
    for origin in settings.origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise EngineError(
                Failure.INSECURE,
                f"{origin!r} is not the origin of a web page.",
                "Write it as a browser does: https://example.org or http://localhost:8080, or *.",
            )
    if settings.origins and (settings.host.startswith("unix:") or not has_web):
        where = "at a socket" if has_web else "by the fleet of a cluster"
        raise EngineError(
            Failure.UNREACHABLE,
            f"gRPC-Web is not answered {where}, so no web page can call.",
            "Leave --web-origin out.",
        )


def find_key(path: Path | None) -> Secret | None:
    """The key that clients must send: in the private file `path`, or in the environment.

    None when there is neither. Raises `SettingsError` for what can be no key.
    """
    if path is not None:
        return read_key_file(path)
    if os.environ.get(KEY_VARIABLE):
        return check_key(Secret(os.environ[KEY_VARIABLE].strip()), f"The variable {KEY_VARIABLE}")
    return None


class Ending:
    """The signals that end a server, while the `with` block runs in an event loop.

    `is_asked` is set by the first SIGTERM or SIGINT, `is_hurried` by the second.
    """

    def __init__(self) -> None:
        self.is_asked = asyncio.Event()
        self.is_hurried = asyncio.Event()

    def __enter__(self) -> Self:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().remove_signal_handler(number)

    async def hurry(self, work: asyncio.Future[None]) -> None:
        """Return when `work` is done, or at the second signal."""
        hurried: asyncio.Future[Any] = asyncio.ensure_future(self.is_hurried.wait())
        await asyncio.wait({work, hurried}, return_when=asyncio.FIRST_COMPLETED)
        hurried.cancel()

    def _note(self) -> None:
        (self.is_hurried if self.is_asked.is_set() else self.is_asked).set()


def read_credentials(settings: ServerSettings) -> Any:
    """What gRPC needs for TLS, None without it. Raises `EngineError` for unusable files."""
    files = _find_files(settings)
    if files is None:
        return None
    _make_context(*files)
    certificate, key = (_read(path) for path in files)
    return grpc.ssl_server_credentials([(key, certificate)])


def read_tls(settings: ServerSettings) -> ssl.SSLContext | None:
    """TLS for a listener, None without it. Raises `EngineError` for files that are not usable.

    Clients of gRPC offer HTTP/2 alone; a browser, which offers both, is to come with HTTP/1.1.
    """
    files = _find_files(settings)
    if files is None:
        return None
    context = _make_context(*files)
    context.set_alpn_protocols(["http/1.1", "h2"])
    return context


def _find_files(settings: ServerSettings) -> tuple[Path, Path] | None:
    """The certificate and the private key."""
    if settings.certificate is None and settings.private_key is None:
        return None
    if settings.certificate is None or settings.private_key is None:
        raise EngineError(
            Failure.INSECURE,
            "TLS needs a certificate and its private key.",
            "Give both: --certificate FILE --private-key FILE.",
        )
    return settings.certificate, settings.private_key


def _make_context(certificate: Path, private_key: Path) -> ssl.SSLContext:
    for path in (private_key, certificate):
        _read(path)
    if private_key.stat().st_mode & 0o007:
        raise EngineError(
            Failure.INSECURE,
            f"Everybody may read the private key {private_key}.",
            f"Run: chmod 600 {private_key}",
        )
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, private_key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise EngineError(
            Failure.INSECURE,
            f"{certificate} and {private_key} are not a certificate and its "
            f"private key: {getattr(error, 'reason', None) or error}.",
            "Both are PEM files; the key has no passphrase.",
        ) from None
    return context


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineError(
            Failure.INSECURE, f"{path} cannot be read: {error.strerror or error}."
        ) from None


def free_socket(target: Target) -> None:
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
