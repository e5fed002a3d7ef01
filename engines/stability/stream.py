"""The stream of one call: how it is begun, its answers as bytes, and what stands at its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import grpc.aio

from engines.remote import Target
from engines.secret import Secret
from engines.stability.connection import make_metadata
from engines.stability.errors import explain_status
from engines.stability.exchange import Spooler
from engines.stability.outcomes import Call, clean_text, explain_closing, explain_silence
from engines.stability.previews import ASK, cancel
from engines.stability.protocol import WARNING_HEADER, generation_grpc

_WARNINGS_LIMIT = 10


class _RawChannel:
    """A channel whose stubs take and give bytes.

    So the request that is sent is the one that was stored, and an answer that cannot be
    decoded is not lost.
    """

    def __init__(self, channel: Any) -> None:
        self._channel = channel

    def unary_stream(self, method: str, **_: Any) -> Any:
        return self._channel.unary_stream(method)


def start_call(channel: Any, message: bytes, call: Call, end: float, key: Secret | None) -> Any:
    """Send `message` on `channel`; `end` is the time of the loop by which all must be done."""
    stub = generation_grpc.GenerationServiceStub(_RawChannel(channel))
    return stub.Generate(
        message,
        timeout=max(0.0, end - asyncio.get_running_loop().time()),
        metadata=list_metadata(call.target, key),
        wait_for_ready=False,
    )


def list_metadata(target: Target, key: Secret | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call. The hosted service is not asked what it does not know."""
    return make_metadata(target, key) + (() if target.is_hosted else ASK)


async def read_answer(
    stream: Any, call: Call, spooler: Spooler, find_limit: Callable[[], float], end: float
) -> bytes | None:
    """The next answer, None after the last; the one before is on disk then.

    Raises `EngineError` after as many seconds as the one before has `find_limit` say.
    """
    reading = asyncio.ensure_future(stream.read())
    limit = left = 0.0
    try:
        await spooler.finish()
        limit, left = find_limit(), end - asyncio.get_running_loop().time()
        async with asyncio.timeout(min(limit, left)):
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
