"""The engine `stability`: one request out, one image back, over gRPC.

The protocol's messages travel as bytes over `grpc.aio`. Nothing is ever sent twice: what failed
after sending may be paid for.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.metadata
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any

import msgspec

from engines.base import EngineError, Event, Failure, Produced, Run, Warned
from engines.capabilities import Capabilities
from engines.quiet_grpc import grpc
from engines.remote import (
    CONNECT_SECONDS,
    Call,
    Spooler,
    Target,
    check_key_travels_safely,
    describe_late,
    explain_no_connection,
    find_target,
    read_key,
)
from engines.stability.allowance import Allowance
from engines.stability.answers import Answers, Newest, cancel, is_keepalive, read_progress
from engines.stability.connection import (
    await_connection,
    find_reason,
    list_warnings,
    open_channel,
    read_answer,
    start_call,
)
from engines.stability.descriptors import SOURCE
from engines.stability.errors import explain_status, explain_unreachable
from engines.stability.messages import Outgoing, build_message, prepare_message, serialize
from engines.stability.models import ENGINE, StabilitySettings, make_capabilities
from engines.stability.parts import unpack_answer
from engines.unpacking import is_packed
from store.errors import RequestError, StoreError
from store.records import EnvironmentRecord, FinishReason
from store.request import Request

TAIL_SECONDS = 10.0
"""How long the end of the stream is awaited once the image is there."""

_PACKAGES = ("grpcio", "protobuf")


class StabilityEngine:
    """Makes images on the server that `settings` name. Connects only while it makes one."""

    def __init__(self, settings: StabilitySettings) -> None:
        self._settings = settings
        self._capabilities = make_capabilities(settings.models, settings.upscale_models)
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
        protocol, version = SOURCE
        versions = {name: importlib.metadata.version(name) for name in _PACKAGES}
        return EnvironmentRecord(
            values={
                "engine": ENGINE,
                "host": target.address,
                "tls": "on" if target.is_tls else "off",
                protocol: version,
                **versions,
            }
        )

    def wire_message(self, request: Request, run: Run) -> bytes:
        """The exact message that `generate` will send. Raises `RequestError`."""
        return serialize(build_message(request, run))

    async def generate(self, request: Request, run: Run) -> AsyncGenerator[Event, None]:
        """Make the image of `request`: warnings, then the image. Raises `EngineError`.

        What is known before it is sent comes first. A server of ours is asked how far the image
        is. Cancelling the task that iterates cancels the call on the server at once.
        """
        outgoing = self._prepare(request, run)
        for text in outgoing.notes:
            yield Warned(text)
        target = find_target(self._settings.host, self._settings.tls)
        check_key_travels_safely(target, self._settings.key)
        has_key = await read_key(self._settings.key, target)
        warnings: list[str] = []
        answers = Answers(request, run.id)
        progress = Newest()
        call = Call(target=target, model=request.model, has_key=has_key)
        message = serialize(outgoing.message)
        work = asyncio.ensure_future(
            self._exchange(message, call, run.spool, answers, warnings, progress)
        )
        try:
            async with contextlib.aclosing(progress.follow(work)) as steps:
                async for step in steps:
                    if step is not None:
                        yield step
            failure = await work
        finally:
            await cancel(work)
        events: list[Event] = []
        if failure is None:
            try:
                events = answers.list_events()
            except EngineError as error:
                failure = error
        for text in warnings:
            yield Warned(text)
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # else it and this frame would keep each other
        for event in events:
            yield _add_digests(event, outgoing.digests)

    def recover(self, request: Request, answers: Sequence[bytes]) -> list[Event]:
        """The events in answers that were spooled before a crash.

        An image that the filter withheld is a `Produced` without bytes; without an image and
        without the filter's word there are none.
        """
        found = Answers(request)
        for data in answers:
            found.add(data)
        try:
            events = found.list_events()
        except EngineError as error:
            if error.kind is not Failure.FILTERED:
                return []
            seed, reason = request.parameters.seed, FinishReason.FILTER
            withheld = Produced(data=None, mime="", seed=seed, finish_reason=reason)
            return [Warned(error.message), withheld]
        return events if found.has_whole_image() else []

    async def close(self) -> None:
        """Cancel what is still being made."""
        for call in tuple(self._calls):
            call.cancel()

    def _prepare(self, request: Request, run: Run) -> Outgoing:
        try:
            self._capabilities.check(request)
            return prepare_message(request, run)
        except (RequestError, StoreError) as error:
            raise EngineError(Failure.INVALID_REQUEST, error.message, error.hint) from None

    @contextlib.asynccontextmanager
    async def _connect(self, target: Target) -> AsyncGenerator[Any, None]:
        """A channel that is connected, so that a failure before it means: nothing was sent."""
        limit = min(CONNECT_SECONDS, self._settings.deadline_seconds)
        channel = open_channel(target, self._settings.key, self._settings.certificates, limit)
        try:
            try:
                async with asyncio.timeout(limit):
                    is_connected = await await_connection(channel)
            except TimeoutError:
                raise explain_no_connection(target, limit) from None
            if not is_connected:
                raise explain_unreachable(target, await find_reason(channel))
            yield channel
        finally:
            await channel.close()  # cancels what still runs, on the server too

    async def _exchange(
        self,
        message: bytes,
        call: Call,
        spool: Callable[[bytes], None],
        answers: Answers,
        warnings: list[str],
        progress: Newest,
    ) -> EngineError | None:
        """Send `message` over a connection of its own; see `_receive`.

        A failure is returned, as an exception on its way holds the frames that hold the
        channel, and gRPC closes the connection only when the channel is forgotten.
        """
        end = asyncio.get_running_loop().time() + self._settings.deadline_seconds
        try:
            async with self._connect(call.target) as channel:
                return await self._receive(
                    channel, message, call, end, spool, answers, warnings, progress
                )
        except EngineError as error:
            return _detach(error)

    async def _receive(
        self,
        channel: Any,
        message: bytes,
        call: Call,
        end: float,
        spool: Callable[[bytes], None],
        answers: Answers,
        warnings: list[str],
        progress: Newest,
    ) -> EngineError | None:
        """Send `message` and add each answer to `answers`, spooled first, until `end`.

        Keepalives are neither spooled nor added, as they hold nothing; they are counted.
        A failure after the image or the filter's refusal has arrived becomes a warning.
        """
        stream = start_call(channel, message, call, end, self._settings.key)
        self._calls.add(stream)
        spooler = Spooler(spool, answers, warnings)
        allowance = Allowance(call.host)
        find_limits = self._watch_time(answers, end)
        try:
            while True:
                data = await read_answer(stream, call, spooler, find_limits)
                if data is None:
                    warnings += list_warnings(await stream.trailing_metadata())
                    return None
                data = await asyncio.to_thread(unpack_answer, data) if is_packed(data) else data
                if (step := read_progress(data)) is not None:
                    allowance.take_news(len(data))
                    progress.put(step)
                elif is_keepalive(data):
                    allowance.take_news(len(data))
                else:
                    allowance.take_answer(len(data))
                    spooler.begin(data)
        except grpc.aio.AioRpcError as error:
            warnings += list_warnings(error.trailing_metadata())
            failure = explain_status(error.code(), error.details(), call)
        except EngineError as error:
            failure = _detach(error)
        finally:
            self._calls.discard(stream)
            await spooler.finish()
        if not answers.has_result:
            return failure
        is_whole = await asyncio.to_thread(answers.has_whole_image)
        warnings.append(describe_late(failure, has_image=is_whole))
        return None

    def _watch_time(self, answers: Answers, end: float) -> Callable[[], tuple[float, float]]:
        """What gives the seconds of silence after which to go, and the time at which to go anyway.

        Once the image is there, all that follows has `TAIL_SECONDS` together.
        """
        ends = [end]

        def find_limits() -> tuple[float, float]:
            if not answers.has_result:
                return self._settings.idle_seconds, end
            if len(ends) == 1:
                ends.append(min(end, asyncio.get_running_loop().time() + TAIL_SECONDS))
            return TAIL_SECONDS, ends[-1]

        return find_limits


def _detach(error: EngineError) -> EngineError:
    """`error` without the frames that it came through."""
    error.__context__ = None
    return error.with_traceback(None)


def _add_digests(event: Event, digests: dict[str, str]) -> Event:
    """`event` with the digests of the images that were sent, if it is the result."""
    if not isinstance(event, Produced) or not digests:
        return event
    return msgspec.structs.replace(event, meta=event.meta | digests)
