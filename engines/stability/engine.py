"""The engine `stability`: one request out, one image back, over gRPC.

The generated stub of `stability-sdk` is used on `grpc.aio` with messages of our own; its
client class is not. Nothing is ever sent twice: what failed after sending may be paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import grpc
import grpc.aio

from engines.base import Capabilities, EngineError, Event, Failure, Run, Warned
from engines.secret import Secret
from engines.settings import StabilitySettings
from engines.stability.answer import Answers
from engines.stability.capabilities import ENGINE, make_capabilities
from engines.stability.connection import make_metadata, open_channel
from engines.stability.exchange import put_aside, read_key
from engines.stability.failures import explain_status, explain_unreachable
from engines.stability.message import build_message, serialize
from engines.stability.outcomes import (
    Call,
    clean_text,
    explain_closing,
    explain_no_connection,
    explain_silence,
)
from engines.stability.target import Target, check_key_travels_safely, find_target
from engines.stability.wire import WARNING_HEADER, generation_grpc
from store.errors import RequestError
from store.records import EnvironmentRecord
from store.request import Request

CONNECT_SECONDS = 15.0
TAIL_SECONDS = 10.0
"""How long the end of the stream is awaited once the image is there."""

_PACKAGES = ("stability-sdk", "grpcio", "protobuf")
_WARNINGS_LIMIT = 10
_LIST_ENGINES = "/gooseai.EnginesService/ListEngines"


class StabilityEngine:
    """Makes images on the server that `settings` name. Connects only while it makes one."""

    def __init__(self, settings: StabilitySettings) -> None:
        self._settings = settings
        self._capabilities = make_capabilities(settings.models)
        self._calls: set[Any] = set()

    @property
    def capabilities(self) -> Capabilities:
        """What it accepts; cheap."""
        return self._capabilities

    def environment(self) -> EnvironmentRecord:
        """Where the images are made and with which software; never the key.

        The model is in each request. Raises `EngineError` when the host is no address.
        """
        target = find_target(self._settings.host, self._settings.tls)
        versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
        return EnvironmentRecord(
            values={
                "engine": ENGINE,
                "host": target.address,
                "tls": "on" if target.is_tls else "off",
                **versions,
            }
        )

    def wire_message(self, request: Request, run: Run) -> bytes:
        """The exact message that `generate` will send. Raises `RequestError`."""
        return serialize(build_message(request, run.id))

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """Make the image of `request`: warnings, then the image. Raises `EngineError`.

        Cancelling the task that iterates cancels the call on the server at once.
        """
        message = self._prepare(request, run)
        target = find_target(self._settings.host, self._settings.tls)
        check_key_travels_safely(target, self._settings.key)
        has_key = await read_key(self._settings.key, target)
        warnings: list[str] = []
        answers = Answers(request, run.id)
        end = asyncio.get_running_loop().time() + self._settings.deadline_seconds
        async with self._connect(target) as channel:
            call = Call(target=target, model=request.model, has_key=has_key)
            await self._receive(channel, message, call, end, run.spool, answers, warnings)
        try:
            events = await asyncio.to_thread(answers.list_events)
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
        found = Answers(request)
        for data in answers:
            found.add(data)
        try:
            return found.list_events()
        except EngineError:
            return []

    async def close(self) -> None:
        """Cancel what is still being made."""
        for call in tuple(self._calls):
            call.cancel()

    def _prepare(self, request: Request, run: Run) -> bytes:
        try:
            self._capabilities.check(request)
            return self.wire_message(request, run)
        except RequestError as error:
            raise EngineError(Failure.INVALID_REQUEST, error.message, error.hint) from None

    @contextlib.asynccontextmanager
    async def _connect(self, target: Target) -> AsyncGenerator[Any, None]:
        """A channel that is connected, so that a failure before it means: nothing was sent."""
        limit = min(CONNECT_SECONDS, self._settings.deadline_seconds)
        channel = open_channel(target, self._settings.key, self._settings.certificates)
        try:
            try:
                async with asyncio.timeout(limit):
                    is_connected = await _await_connection(channel)
            except TimeoutError:
                raise explain_no_connection(target, limit) from None
            if not is_connected:
                raise explain_unreachable(target, await _find_reason(channel))
            yield channel
        finally:
            await channel.close()  # cancels what still runs, on the server too

    async def _receive(
        self,
        channel: Any,
        message: bytes,
        call: Call,
        end: float,
        spool: Callable[[bytes], None],
        answers: Answers,
        warnings: list[str],
    ) -> None:
        """Send `message` and add each answer to `answers`, spooled first, until `end`.

        A failure after the image or the filter's refusal has arrived becomes a warning.
        """
        stream = _start_call(channel, message, call, end, self._settings.key)
        self._calls.add(stream)
        try:
            while True:
                limit = TAIL_SECONDS if answers.has_result else self._settings.idle_seconds
                data = await _read(stream, call, limit, end)
                if data is None:
                    warnings += await _list_warnings(stream)
                    return
                put_aside(spool, data, warnings)
                answers.add(data)
        except grpc.aio.AioRpcError as error:
            failure = explain_status(error.code(), error.details(), call)
        except EngineError as error:
            failure = error
        finally:
            self._calls.discard(stream)
        if not answers.has_result:
            raise failure from None
        warnings.append(f"The answer arrived, but then the call failed. {failure.message}")


class _RawChannel:
    """A channel whose stubs take and give bytes.

    So the request that is sent is the one that was stored, and an answer that cannot be
    decoded is not lost.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def unary_stream(self, method: str, **_: Any) -> Any:
        return self._channel.unary_stream(method)


def _start_call(channel: Any, message: bytes, call: Call, end: float, key: Secret | None) -> Any:
    stub = generation_grpc.GenerationServiceStub(_RawChannel(channel))
    return stub.Generate(
        message,
        timeout=max(0.0, end - asyncio.get_running_loop().time()),
        metadata=make_metadata(call.target, key),
        wait_for_ready=False,
    )


async def _read(stream: Any, call: Call, limit: float, end: float) -> bytes | None:
    """The next answer, None after the last. Raises `EngineError` after `limit` seconds."""
    left = end - asyncio.get_running_loop().time()
    try:
        async with asyncio.timeout(min(limit, left)):
            data = await stream.read()
    except TimeoutError:
        silence = f"said nothing for {limit:g} seconds"
        raise explain_silence(call, silence if limit < left else "did not finish in time") from None
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise explain_closing() from None
    return None if data is grpc.aio.EOF else bytes(data)


async def _list_warnings(stream: Any) -> list[str]:
    """What the server's engine warned of; other servers than ours send nothing of the kind."""
    pairs = await stream.trailing_metadata() or ()
    found = [value for name, value in pairs if name == WARNING_HEADER and isinstance(value, bytes)]
    return [clean_text(value.decode("utf-8", "replace")) for value in found[:_WARNINGS_LIMIT]]


async def _await_connection(channel: Any) -> bool:
    """Whether `channel` got its connection; no call is made for it."""
    connectivity = grpc.ChannelConnectivity
    state = channel.get_state(try_to_connect=True)
    while state is not connectivity.READY:
        if state in (connectivity.TRANSIENT_FAILURE, connectivity.SHUTDOWN):
            return False
        await channel.wait_for_state_change(state)
        state = channel.get_state(try_to_connect=True)
    return True


async def _find_reason(channel: Any) -> str:
    """Why there is no connection. gRPC tells it only to a call: this one costs nothing."""
    try:
        await channel.unary_unary(_LIST_ENGINES)(b"", timeout=2, wait_for_ready=False)
    except grpc.aio.AioRpcError as error:
        if error.code() is grpc.StatusCode.UNAVAILABLE:
            return str(error.details() or "")
    return ""
