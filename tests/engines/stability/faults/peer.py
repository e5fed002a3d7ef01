"""A server that plays a script, byte by byte, to whoever connects."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import struct
from enum import StrEnum

import msgspec

from tests.engines.stability.faults.frames import (
    ACK,
    DATA,
    END_STREAM,
    HEAD_SIZE,
    PING,
    PREFACE,
    SETTINGS,
    frame,
    settings,
)
from tests.waiting import wait_for


class Ending(StrEnum):
    """What happens to the TCP connection after the last step."""

    KEEP = "stays open"
    CLOSE = "is closed"
    RESET = "is reset"


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """What a peer does: it sends `greeting`, awaits the request, then takes `steps` in turn.

    A step is bytes to be sent, or how many answers the client must have read before the next
    step: what is in flight when a connection is reset may be lost.
    """

    steps: tuple[bytes | int, ...] = ()
    ending: Ending = Ending.KEEP
    greeting: bytes = settings()
    awaits_request: bool = True


class Peer:
    """Plays `script` to each connection at `host`; `received` is all that came, in order."""

    def __init__(self) -> None:
        self.script = Script()
        self.received = b""
        self.spooled: list[bytes] = []
        self.read = 0
        self.host = ""
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Condition()

    async def start(self) -> None:
        """Listen at a free port of this machine."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """End all."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def begin(self, script: Script) -> None:
        """Play `script` from now on, with nothing received yet."""
        self.script, self.received, self.spooled, self.read = script, b"", [], 0

    def spool(self, data: bytes) -> None:
        """What a client calls with each answer before it decodes it."""
        self.spooled.append(data)

    def count_read(self) -> None:
        """What a client calls when it has an answer and asks for the next."""
        self.read += 1

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            # A client that leaves, or the end of the peer itself, is no fault of the script.
            with contextlib.suppress(
                ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError
            ):
                await self._play(reader, writer, self.script)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _play(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, script: Script
    ) -> None:
        writer.write(script.greeting)
        if script.awaits_request:
            await self._read_request(reader, writer)
        for step in script.steps:
            if isinstance(step, int):
                await wait_for(functools.partial(self._has_read, step))
            else:
                writer.write(step)
                await writer.drain()
        if script.ending is Ending.RESET:
            reset_on_close(writer)
        elif script.ending is Ending.CLOSE:
            writer.write_eof()
            await self._read_on(reader)
        else:
            await self._read_on(reader)

    def _has_read(self, count: int) -> bool:
        return self.read >= count

    async def _read_on(self, reader: asyncio.StreamReader) -> None:
        while got := await reader.read(1 << 16):
            self.received += got

    async def _read_request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Return when the whole request is there; settings and pings are acknowledged."""
        self.received += await reader.readexactly(len(PREFACE))
        while True:
            head = await reader.readexactly(HEAD_SIZE)
            payload = await reader.readexactly(int.from_bytes(head[:3], "big"))
            self.received += head + payload
            kind, flags = head[3], head[4]
            if kind == DATA and flags & END_STREAM:
                return
            if kind in (SETTINGS, PING) and not flags & ACK:
                writer.write(frame(kind, payload if kind == PING else b"", flags=ACK))


def reset_on_close(writer: asyncio.StreamWriter) -> None:
    """Let the end of this connection be a reset (RST) instead of an orderly one (FIN)."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
