"""The way to the server: its address, the rule for TLS, the key, the channel.

Whether TLS is used never depends on a port. A key travels over TLS, or in the clear to this
machine only; anything else is refused.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import msgspec

from engines.base import EngineError, Failure
from engines.secret import Secret

CONNECT_SECONDS = 15.0
MESSAGE_LIMIT = 64 * 1024 * 1024
METADATA_LIMIT = 64 * 1024
"""Bytes of headers, and with them of the words beside a status: some servers send a traceback."""

OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_metadata_size", METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", METADATA_LIMIT),
    # A connection of one's own for each image: a stale one would fail after the request was
    # handed over, and then nobody could say whether it had been paid for.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.enable_retries", 0),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 15_000),
    ("grpc.http2.ping_timeout_ms", 15_000),
    # `max_pings_without_data` keeps its default of 2: servers end a connection that pings
    # more often while they compute in silence.
)

_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_.-]{1,253}(?<![-.])\.?")
_EXAMPLES = "Write it as grpc.stability.ai:443, localhost:50051 or unix:/run/server.sock."


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where the server is: `address` as gRPC wants it.

    `is_local`: this machine, by a loopback address or a Unix socket. `is_hosted`: the paid
    service itself, which takes nothing without a key.
    """

    address: str
    is_local: bool
    is_tls: bool
    is_hosted: bool


def find_target(host: str, tls: bool | None = None) -> Target:
    """The server that `host` (`host:port`, `host`, `unix:/path`) names.

    `tls` None: off for this machine, else on. A port may be left out only with TLS (443).
    Raises `EngineError` (UNREACHABLE) for text that is no address.
    """
    if host.startswith("unix:"):
        return _find_socket(host, tls)
    name, port = _split(host)
    is_local = _is_loopback(name)
    is_tls = not is_local if tls is None else tls
    if port is None:
        if not is_tls:
            raise _refuse_address(host, "it has no port")
        port = 443
    shown = f"[{name}]" if ":" in name else name
    return Target(
        address=f"{shown}:{port}",
        is_local=is_local,
        is_tls=is_tls,
        is_hosted=f".{name.lower().rstrip('.')}".endswith(".stability.ai"),
    )


def check_key_travels_safely(target: Target, key: Secret | None) -> None:
    """Raise `EngineError` (INSECURE) when `key` would cross a network unencrypted."""
    if key is not None and not target.is_tls and not target.is_local:
        raise EngineError(
            Failure.INSECURE,
            f"Your key would travel unencrypted to {target.address}; nothing was sent.",
            "Remove `tls = false`, or unset STABILITY_KEY if that server needs no key.",
        )


def open_channel(
    target: Target,
    key: Secret | None,
    certificates: Path | None = None,
    seconds: float = CONNECT_SECONDS,
) -> Any:
    """A new channel to `target` for the running loop; it connects when it is used.

    `seconds`: how long its caller waits for that. gRPC goes on for a second more, with a
    connection that is open until then, even when the channel is closed before.

    Over TLS the key is attached by gRPC's call credentials, which refuse to send it without
    encryption. Otherwise it is `make_metadata` that carries it. Raises `EngineError`.
    """
    check_key_travels_safely(target, key)
    silence_grpc()
    options = (*OPTIONS, ("grpc.min_reconnect_backoff_ms", int((seconds + 1) * 1000)))
    if not target.is_tls:
        # A proxy would carry the plain text off this machine.
        local = (*options, ("grpc.enable_http_proxy", 0))
        return grpc.aio.insecure_channel(target.address, options=local)
    credentials = grpc.ssl_channel_credentials(_read_certificates(certificates))
    if key is not None:
        call_credentials = grpc.metadata_call_credentials(_Bearer(key), name="bearer")
        credentials = grpc.composite_channel_credentials(credentials, call_credentials)
    return grpc.aio.secure_channel(target.address, credentials, options=options)


def make_metadata(target: Target, key: Secret | None) -> tuple[tuple[str, str], ...]:
    """The headers of one call; they hold the key only where it may go in the clear."""
    check_key_travels_safely(target, key)
    if key is None or target.is_tls:
        return ()
    return (("authorization", _Header(f"Bearer {key.reveal()}")),)


def silence_grpc() -> None:
    """Keep gRPC from writing to the terminal: a trace would show headers with the key.

    gRPC reads both variables when the first channel or server of the process is made.
    """
    os.environ.pop("GRPC_TRACE", None)
    os.environ["GRPC_VERBOSITY"] = "NONE"


class _Bearer:
    """What gRPC asks for the key at each call, in a thread of its own."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def __call__(self, context: Any, callback: Callable[[Any, Exception | None], None]) -> None:
        callback((("authorization", _Header(f"Bearer {self._key.reveal()}")),), None)


class _Header(str):
    """A header that a traceback with variables does not show."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Header(…)"


def _read_certificates(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineError(
            Failure.UNREACHABLE,
            f"The certificates in {path} cannot be read: {error.strerror or error}.",
            "Correct `certificates` in the section [stability] of config.toml.",
        ) from None


def _find_socket(host: str, tls: bool | None) -> Target:
    path = host.removeprefix("unix:")
    path = path.removeprefix("//") if path.startswith("///") else path
    if not path.startswith("/") or path.startswith("//") or not path.isprintable():
        raise _refuse_address(host, "a socket needs an absolute path")
    return Target(address=f"unix:{path}", is_local=True, is_tls=bool(tls), is_hosted=False)


def _split(host: str) -> tuple[str, int | None]:
    if "://" in host:
        raise _refuse_address(host, "it starts like a web address")
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        if not _is_address(name) or (rest and not rest.startswith(":")):
            raise _refuse_address(host, "the brackets hold no IPv6 address")
        port_text = rest[1:] if rest else None
    elif host.count(":") > 1:
        raise _refuse_address(host, "an IPv6 address belongs in brackets")
    else:
        name, colon, after = host.partition(":")
        port_text = after if colon else None
        if not _HOST_NAME.fullmatch(name):
            raise _refuse_address(host, "it is not a host name")
    if port_text is None:
        return name, None
    if not re.fullmatch(r"[0-9]{1,5}", port_text) or not 1 <= int(port_text) <= 65535:
        raise _refuse_address(host, "the port is not a number from 1 to 65535")
    return name, int(port_text)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_loopback(name: str) -> bool:
    if _is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name.lower() == "localhost"


def _refuse_address(host: str, why: str) -> EngineError:
    text = f"The host {host!r} is not an address of a server: {why}."
    return EngineError(Failure.UNREACHABLE, text, _EXAMPLES)
