"""The way to a gRPC server: the key, the channel, and the stream of one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engines.keys import Secret
from engines.memory import read_resident
from engines.quiet_grpc import grpc
from engines.remote import (
    CONNECT_SECONDS,
    Call,
    HeaderText,
    Spooler,
    Target,
    check_key_travels_safely,
    clean_text,
    explain_certificates,
    explain_closing,
    explain_excess,
    explain_silence,
)
from engines.stability.answers import ASK, cancel
from engines.stability.errors import explain_status
from engines.stability.models import ENGINE
from engines.stability.protocol import MESSAGE_LIMIT, METADATA_LIMIT, WARNING_HEADER
from engines.unpacking import show_size

_GENERATE = "/gooseai.GenerationService/Generate"
_LIST_ENGINES = "/gooseai.EnginesService/ListEngines"

OPTIONS = (
    ("grpc.max_send_message_length", MESSAGE_LIMIT),
    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
    ("grpc.max_metadata_size", METADATA_LIMIT),
    ("grpc.absolute_max_metadata_size", METADATA_LIMIT),
    # gRPC unpacks a message whole before it looks how large it is: a megabyte may be a gigabyte.
    ("grpc.per_message_decompression", 0),
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
    return (("authorization", HeaderText(f"Bearer {key.reveal()}")),)


class _Bearer:
    """What gRPC asks for the key at each call, in a thread of its own."""

    def __init__(self, key: Secret) -> None:
        self._key = key

    def __call__(self, context: Any, callback: Callable[[Any, Exception | None], None]) -> None:
        callback((("authorization", HeaderText(f"Bearer {self._key.reveal()}")),), None)


def _read_certificates(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        raise explain_certificates(path, error, ENGINE) from None


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


_WARNINGS_LIMIT = 10


def start_call(channel: Any, message: bytes, call: Call, end: float, key: Secret | None) -> Any:
    """Send `message` on `channel`; `end` is the time of the loop by which all must be done.

    Bytes are sent and come: the request is the one that was stored, and an answer that cannot be
    decoded is not lost.
    """
    return channel.unary_stream(_GENERATE)(
        message,
        timeout=max(0.0, end - asyncio.get_running_loop().time()),
        metadata=list_metadata(call.target, key),
        wait_for_ready=False,
    )


def list_metadata(target: Target, key: Secret | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call. The hosted service is not asked what it does not know."""
    return make_metadata(target, key) + (() if target.is_hosted else ASK)


WAITING_LIMIT = 3 * MESSAGE_LIMIT
"""Bytes by which the memory may grow while one message is awaited; gRPC holds it twice."""

_LOOK_SECONDS = 0.25


async def read_answer(
    stream: Any, call: Call, spooler: Spooler, find_limits: Callable[[], tuple[float, float]]
) -> bytes | None:
    """The next answer, None after the last; the one before is on disk and read then.

    Raises `EngineError` after as many seconds of silence, and at the time of the loop, that
    `find_limits` says once the one before is read.
    """
    reading = asyncio.ensure_future(stream.read())
    limit = left = 0.0
    try:
        await spooler.finish()
        limit, end = find_limits()
        left = end - asyncio.get_running_loop().time()
        await _await_message(reading, min(limit, left), call)
        data = await reading
    except TimeoutError:
        silence = f"said nothing for {limit:g} seconds"
        raise explain_silence(call, silence if limit < left else "did not finish in time") from None
    except KeyError:
        # So does gRPC end a call whose status has a number that it knows no name for.
        text = await stream.details()
        raise explain_status(grpc.StatusCode.UNKNOWN, text, call) from None
    except asyncio.CancelledError:
        if _is_being_cancelled():
            raise
        raise explain_closing() from None
    finally:
        await cancel(reading)
        del reading  # else a failure of it and this frame would keep each other
    return None if data is grpc.aio.EOF else bytes(data)


async def _await_message(reading: asyncio.Future[Any], seconds: float, call: Call) -> None:
    """Return when `reading` is over. Raises `TimeoutError`, `EngineError` for too much memory.

    gRPC reads ahead of what it can make of it: frames that hold nothing of a message are never
    shown to us, and an endless stream of them takes hundreds of megabytes.
    """
    loop = asyncio.get_running_loop()
    end, before = loop.time() + seconds, read_resident()
    while not reading.done():
        left = end - loop.time()
        if left <= 0:
            raise TimeoutError
        await asyncio.wait({reading}, timeout=min(left, _LOOK_SECONDS))
        if not reading.done() and read_resident() - before > WAITING_LIMIT:
            size = show_size(WAITING_LIMIT)
            raise explain_excess(call.host, f"takes {size} of memory before it can be read")


def _is_being_cancelled() -> bool:
    # Not in the frame above: a task that it names and that holds its failure would stay.
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def list_warnings(trailers: Any) -> list[str]:
    """What the server's engine warned of; other servers than ours send nothing of the kind."""
    found = [
        value
        for name, value in trailers or ()
        if name == WARNING_HEADER and isinstance(value, bytes)
    ]
    return [clean_text(value.decode("utf-8", "replace")) for value in found[:_WARNINGS_LIMIT]]
