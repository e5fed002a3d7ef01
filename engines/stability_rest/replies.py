"""An answer on its way: counted as it is received, unpacked with an end, kept as far as it came.

One answer is one job's. Beyond a limit it is given up, and what had come until then is looked at
all the same: an image that is whole in it may have been paid for.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from engines.base import EngineError, Failure
from engines.remote import KEPT, Call, explain_excess
from engines.unpacking import show_size, unpack

ANSWER_LIMIT = 96 * 1024 * 1024
"""Most bytes of an answer, packed or unpacked: an image of 64 MiB in base64, and the rest."""

HEAD_LIMIT = 1024 * 1024
"""Most bytes before the body: the status line, the headers, and whole answers of 1xx."""

OVERHEAD_LIMIT = 256 * 1024
"""Most bytes around those of a body that says the length of each of its chunks. Beside it there
may be an eighth of what has come of the body."""

REFUSAL_LIMIT = 64 * 1024
"""Most bytes of what a refusal says: its status is what counts."""

_CONNECTED = (".connect_tcp.complete", ".start_tls.complete")
"""How the names end that httpcore gives to the moments when there is a stream to read from."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer of the service: its HTTP status, its body, and how the body is packed.

    `failure`: why the body is not whole, None when it is.
    """

    status: int
    body: bytes
    codings: tuple[str, ...] = ()
    failure: EngineError | None = None

    def unpack(self, call: Call) -> Reply:
        """The same with its body unpacked, as far as that can be done. Blocks."""
        if not self.codings:
            return self
        limit = ANSWER_LIMIT if self.status == httpx.codes.OK else REFUSAL_LIMIT
        found = unpack(self.body, self.codings, limit)
        failure = self.failure
        if found.fault and failure is None:
            failure = EngineError(
                Failure.BAD_ANSWER,
                f"The answer of {call.host} {found.fault}. {KEPT}",
                "It may have been charged. Check that the host is one of the REST service.",
                may_be_charged=True,
            )
        return Reply(status=self.status, body=found.data, failure=failure)


class Arrival:
    """One answer as it arrives. `reply` says what there is of it so far."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._received = 0
        self._most = HEAD_LIMIT
        self._excess = f"has more than {show_size(HEAD_LIMIT)} before it begins"
        self._status = 0
        self._codings: tuple[str, ...] = ()
        self._body = bytearray()

    @property
    def is_image(self) -> bool:
        """Whether the service says that it made one."""
        return self._status == httpx.codes.OK

    def watch(self, name: str, info: dict[str, Any]) -> None:
        """Count what is read from a connection that httpcore reports as made.

        What comes with a body is counted only here: a body of one byte may bring as much around
        it as the sender likes.
        """
        stream = info.get("return_value")
        if name.endswith(_CONNECTED) and stream is not None:
            stream.read = self._count(stream.read)

    def _count(self, read: Callable[..., Any]) -> Callable[..., Any]:
        async def count(*arguments: Any, **options: Any) -> bytes:
            data: bytes = await read(*arguments, **options)
            self._received += len(data)
            if self._received > self._most:
                raise explain_excess(self._call.host, self._excess)
            return data

        return count

    async def take(self, response: httpx.Response) -> None:
        """Read the body. Raises `EngineError` (BAD_ANSWER) for an image that is too large.

        What a refusal says is cut off after some length, or where the connection ends.
        """
        self._status = response.status_code
        named = response.headers.get("content-encoding", "")
        self._codings = tuple(one for one in named.split(",") if one.strip()) if named else ()
        limit = ANSWER_LIMIT if self.is_image else REFUSAL_LIMIT
        self._most = self._received + OVERHEAD_LIMIT
        self._excess = "comes in pieces that are far too small"
        try:
            async for chunk in response.aiter_raw():
                room = limit - len(self._body)
                self._body += chunk[:room]
                self._most += len(chunk) * 9 // 8
                if len(chunk) > room:
                    if self.is_image:
                        raise explain_excess(self._call.host, f"is larger than {show_size(limit)}")
                    break
        except (httpx.TransportError, EngineError):
            if self.is_image:
                raise

    def reply(self, failure: EngineError | None = None) -> Reply:
        """What has arrived; `failure`: why that is not all."""
        body = bytes(self._body)
        return Reply(status=self._status, body=body, codings=self._codings, failure=failure)
