"""The engine `stability-rest`: one request out, one image back, over HTTP (v2beta).

Nothing is ever sent twice: what failed after sending may be paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator, Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import msgspec

from engines.base import EngineError, Event, Failure, Produced, Run, Warned
from engines.capabilities import Capabilities
from engines.keys import Secret
from engines.remote import (
    CONNECT_SECONDS,
    Call,
    HeaderBytes,
    Target,
    check_key_travels_safely,
    explain_certificates,
    explain_closing,
    explain_no_connection,
    explain_silence,
    find_web_target,
    put_aside,
    read_key,
)
from engines.stability_rest.answers import (
    LOCKED_SECONDS,
    explain_rate,
    explain_status,
    explain_transport,
    read_events,
)
from engines.stability_rest.messages import FormMessage, build_message, find_version
from engines.stability_rest.models import (
    CAPABILITIES,
    ENGINE,
    StabilityRestSettings,
    describe_losses,
)
from engines.stability_rest.replies import Arrival, Reply
from store.errors import RequestError, StoreError
from store.pixels import is_whole
from store.records import EnvironmentRecord
from store.request import Request

_REMEDY = "Write the host with https://"


def check_key(target: Target, key: Secret | None) -> None:
    """Raise `EngineError` (INSECURE) when `key` would cross a network unencrypted."""
    check_key_travels_safely(target, key, _REMEDY)


def open_client(
    target: Target, certificates: Path | None, connect_seconds: float, idle_seconds: float
) -> httpx.AsyncClient:
    """A client for one call to `target`; it connects when it is used. Raises `EngineError`.

    It follows no redirect and sends nothing twice. A proxy is used beyond this machine only.
    """
    try:
        return httpx.AsyncClient(
            verify=_make_context(target, certificates),
            trust_env=not target.is_local,
            timeout=httpx.Timeout(idle_seconds, connect=connect_seconds),
        )
    except (ImportError, ValueError) as error:
        raise EngineError(
            Failure.UNREACHABLE,
            f"The proxy that the environment names cannot be used ({type(error).__name__}).",
            "Correct HTTPS_PROXY or ALL_PROXY, or unset them.",
        ) from None


def build_post(
    target: Target, message: FormMessage, key: Secret | None, trace: Any
) -> httpx.Request:
    """`message` with the address of `target` and the key; `trace` is told how far it came."""
    check_key(target, key)
    headers = [(name.encode(), value.encode()) for name, value in message.headers]
    if key is not None:
        headers.append((b"authorization", HeaderBytes(f"Bearer {key.reveal()}".encode("ascii"))))
    scheme = "https" if target.is_tls else "http"
    return httpx.Request(
        "POST",
        f"{scheme}://{target.address}{message.path}",
        headers=headers,
        content=message.body,
        extensions={"trace": trace},
    )


def _make_context(target: Target, path: Path | None) -> ssl.SSLContext | bool:
    if not target.is_tls:
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # unused, so no authority is read for it
    if path is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(path))
    except OSError as error:  # ssl.SSLError is one: a file without certificates
        raise explain_certificates(path, error, ENGINE) from None


_BODY_STARTED = "http11.send_request_body.started"


class StabilityRestEngine:
    """Makes images on the service that `settings` name. Connects only while it makes one."""

    def __init__(self, settings: StabilityRestSettings) -> None:
        self._settings = settings
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._locked_until = 0.0

    @property
    def capabilities(self) -> Capabilities:
        """What it accepts; cheap."""
        return CAPABILITIES

    def environment(self) -> EnvironmentRecord:
        """Where the images are made and with which software; never the key.

        The model is in each request. Raises `EngineError` when the host is no address.
        """
        target = find_web_target(self._settings.host)
        return EnvironmentRecord(
            values={
                "engine": ENGINE,
                "host": target.address,
                "tls": "on" if target.is_tls else "off",
                "httpx": find_version("httpx"),
                "sampler and steps": "decided by the server",
            }
        )

    def wire_message(self, request: Request, run: Run) -> bytes:
        """The message that `generate` will send, but for the headers that name host and key.

        The service knows no id of a request, so that of `run` is not in it. Raises `RequestError`
        and `StoreError`.
        """
        return build_message(request, run.read_input).to_bytes()

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """Make the image of `request`: warnings, then the image. Raises `EngineError`.

        Cancelling the task that iterates ends the connection at once.
        """
        message = self._prepare(request, run)
        target = find_web_target(self._settings.host)
        check_key(target, self._settings.key)
        has_key = await read_key(self._settings.key, target)
        call = Call(target=target, model=request.model, has_key=has_key, was_sent=False)
        self._check_lock(call)
        for text in describe_losses(request):
            yield Warned(text)
        reply = await self._exchange(message, call)
        try:
            if reply.status != httpx.codes.OK:
                raise self._explain(await asyncio.to_thread(reply.unpack, call), call)
            warnings: list[str] = []
            events = await asyncio.to_thread(_read, request, reply, call, run.spool, warnings)
        except EngineError as error:
            if error.kind is Failure.FILTERED:
                yield Warned(error.message)
            raise
        for text in warnings:
            yield Warned(text)
        for event in events:
            yield event

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        """The events in answers that were spooled before a crash; empty without an image."""
        for data in answers:
            try:
                events = read_events(request, data)
            except EngineError:
                continue
            if any(isinstance(event, Produced) and is_whole(event.data or b"") for event in events):
                return [*map(Warned, describe_losses(request)), *events]
        return []

    async def close(self) -> None:
        """Cancel what is still being made."""
        for task in tuple(self._tasks):
            task.cancel()

    def _prepare(self, request: Request, run: Run) -> FormMessage:
        try:
            CAPABILITIES.check(request)
            return build_message(request, run.read_input)
        except (RequestError, StoreError) as error:
            raise EngineError(Failure.INVALID_REQUEST, error.message, error.hint) from None

    def _check_lock(self, call: Call) -> None:
        """Raise `EngineError` while the service refuses everything: asking would prolong it."""
        left = self._locked_until - asyncio.get_running_loop().time()
        if left > 0:
            raise explain_rate(call, max(1.0, left), " Nothing was sent.")

    def _explain(self, reply: Reply, call: Call) -> EngineError:
        error = explain_status(reply.status, reply.body, call)
        if error.kind is Failure.RATE_LIMITED:
            self._locked_until = asyncio.get_running_loop().time() + LOCKED_SECONDS
        return error

    async def _exchange(self, message: FormMessage, call: Call) -> Reply:
        """Send `message` and wait for the answer, in a task that `close` can cancel."""
        exchange = asyncio.create_task(self._send(message, call))
        self._tasks.add(exchange)
        try:
            return await exchange
        except asyncio.CancelledError as error:
            # Without the frames within the client: their variables hold the header.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise error.with_traceback(None) from None
            raise explain_closing() from None
        finally:
            self._tasks.discard(exchange)

    async def _send(self, message: FormMessage, call: Call) -> Reply:
        """Send `message`; what came of the answer, with the failure if that is not all.

        Raises `EngineError` when nothing came of an image.
        """
        was_sent = False
        arrival = Arrival(call)

        async def trace(name: str, info: dict[str, Any]) -> None:
            nonlocal was_sent
            # A proxy is asked with a CONNECT first, which has no body worth the name.
            is_post = getattr(info.get("request"), "method", b"") == b"POST"
            was_sent |= name == _BODY_STARTED and is_post
            arrival.watch(name, info)

        def say() -> Call:
            return msgspec.structs.replace(call, was_sent=was_sent)

        settings = self._settings
        connect_seconds = min(CONNECT_SECONDS, settings.deadline_seconds)
        client = open_client(
            call.target, settings.certificates, connect_seconds, settings.idle_seconds
        )
        try:
            async with asyncio.timeout(settings.deadline_seconds), client:
                post = build_post(call.target, message, settings.key, trace)
                async with contextlib.aclosing(await client.send(post, stream=True)) as response:
                    await arrival.take(response)
            return arrival.reply()
        except EngineError as error:
            failure = error
        except TimeoutError:
            if not was_sent:
                raise explain_no_connection(call.target, settings.deadline_seconds) from None
            failure = explain_silence(say(), "did not finish in time")
        except httpx.TransportError as error:
            failure = explain_transport(error, say(), connect_seconds, settings.idle_seconds)
        except httpx.HTTPError as error:  # a body that its own header does not describe
            failure = EngineError(
                Failure.BAD_ANSWER,
                f"The answer of {call.host} cannot be read ({type(error).__name__}).",
                "It may have been charged. Check that the host is one of the REST service.",
                may_be_charged=True,
            )
        if not arrival.is_image:
            raise failure.with_traceback(None) from None
        return arrival.reply(failure.with_traceback(None))


def _read(
    request: Request,
    reply: Reply,
    call: Call,
    spool: Callable[[bytes], None],
    warnings: list[str],
) -> list[Event]:
    """The events of an answer that says it holds an image, which is put aside first. Blocks.

    An answer that is not whole is put aside only for what can still be read of it. Raises
    `EngineError`.
    """
    opened = reply.unpack(call)
    failure = opened.failure
    if reply.failure is None:
        # As it came where it cannot be unpacked: somebody else may be able to.
        put_aside(spool, opened.body if failure is None else reply.body, warnings)
        return read_events(request, opened.body, failure)
    events = read_events(request, opened.body, failure)
    *_, produced = events
    assert isinstance(produced, Produced)
    # A bare image is kept without what came behind it: after a crash that would count as its own.
    is_bare = produced.data is not None and opened.body.startswith(produced.data)
    put_aside(spool, (is_bare and produced.data) or opened.body, warnings)
    return events
