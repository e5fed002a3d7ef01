"""The way to a gRPC server: the key and the channel. The address is in `target`."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from engines.base import EngineError, Failure
from engines.remote import Target, check_key_travels_safely
from engines.secret import Secret

CONNECT_SECONDS = 15.0
MESSAGE_LIMIT = 64 * 1024 * 1024
_LIST_ENGINES = "/gooseai.EnginesService/ListEngines"
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


async def await_connection(channel: Any) -> bool:
    """Whether `channel` got its connection; no call is made for it."""
    state = channel.get_state(try_to_connect=True)
    if state is grpc.ChannelConnectivity.IDLE:
        await channel.wait_for_state_change(state)
        state = channel.get_state()
    while state is grpc.ChannelConnectivity.CONNECTING:
        await channel.wait_for_state_change(state)
        state = channel.get_state()
    # Idle once more: a server that lets go of each connection. gRPC would try on without rest.
    return bool(state is grpc.ChannelConnectivity.READY)


async def find_reason(channel: Any) -> str:
    """Why there is no connection. gRPC tells it only to a call: this one costs nothing."""
    try:
        await channel.unary_unary(_LIST_ENGINES)(b"", timeout=2, wait_for_ready=False)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return str(error.details() or "")
    return ""
