"""How the server of an engine begins and ends: where it listens, TLS, keys, signals."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import ssl
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import grpc
import msgspec

from engines.base import Engine, EngineError, Failure
from engines.keys import check_key, read_key_file
from engines.remote import Target, find_target
from engines.secret import Secret
from engines.server.server import StabilityServer
from engines.server.service import QUEUE_LENGTH, GenerationService
from engines.stability.connection import silence_grpc

KEY_VARIABLE = "SAFELIGHT_SERVE_KEY"

HOST = "127.0.0.1"
PORT = 50051

END_SECONDS = 30.0
"""How long images in work may take to be finished when the server ends."""

BUSY = "Ending when the images in work are finished; once more ends them too."

_log = logging.getLogger("safelight.serve")


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

    After the signal no call is taken; images in work have 30 seconds to be finished, and a
    second signal ends them at once. Raises `EngineError`, for a damaged model too.
    """
    silence_grpc()
    target = find_listening_target(settings)
    credentials = read_credentials(settings)
    await asyncio.to_thread(engine.environment)
    free_socket(target)
    service = GenerationService(engine, names=settings.names, queue=settings.queue)
    server = StabilityServer(service, target.address, key=settings.key, credentials=credentials)
    with Ending() as ending:
        await server.start()
        try:
            announce(server.address)
            await ending.is_asked.wait()
        finally:
            if service.is_busy:
                _log.warning(BUSY)
            patient = asyncio.ensure_future(server.stop(END_SECONDS))
            await ending.hurry(patient)
            if not patient.done():
                await server.stop()
            await patient
            await engine.close()


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
    """What TLS needs, None without it. Raises `EngineError` for files that are not usable."""
    if settings.certificate is None and settings.private_key is None:
        return None
    if settings.certificate is None or settings.private_key is None:
        raise EngineError(
            Failure.INSECURE,
            "TLS needs a certificate and its private key.",
            "Give both: --certificate FILE --private-key FILE.",
        )
    key, certificate = (_read(path) for path in (settings.private_key, settings.certificate))
    if settings.private_key.stat().st_mode & 0o007:
        raise EngineError(
            Failure.INSECURE,
            f"Everybody may read the private key {settings.private_key}.",
            f"Run: chmod 600 {settings.private_key}",
        )
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(settings.certificate, settings.private_key, password="")
    except (ssl.SSLError, ValueError) as error:
        raise EngineError(
            Failure.INSECURE,
            f"{settings.certificate} and {settings.private_key} are not a certificate and its "
            f"private key: {getattr(error, 'reason', None) or error}.",
            "Both are PEM files; the key has no passphrase.",
        ) from None
    return grpc.ssl_server_credentials([(key, certificate)])


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
