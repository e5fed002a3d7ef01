"""A TCP proxy before a server that behaves, which lets a connection die after N bytes."""

from __future__ import annotations

import asyncio
import contextlib

import msgspec

from tests.engines.stability.faults.peer import Ending, reset_on_close


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxy does to a connection once `place` bytes have passed it one way.

    `is_request`: counted on the way to the server, else on the way back. KEEP: the rest is
    swallowed in silence. `place` None: never.
    """

    place: int | None = None
    is_request: bool = False
    ending: Ending = Ending.KEEP


class Proxy:
    """Stands at `host` before the server at `target`; `passed` bytes came back through it."""

    def __init__(self, target: str) -> None:
        self._target, _, port = target.rpartition(":")
        self._port = int(port)
        self.cut = Cut()
        self.passed = 0
        self.host = ""
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen at a free port of this machine."""
        self._server = await asyncio.start_server(self._connect, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """End all."""
        assert self._server is not None
        self._server.close()
        for task in tuple(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        cut, self.passed = self.cut, 0
        there, back = await asyncio.open_connection(self._target, self._port)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                async with asyncio.TaskGroup() as both:
                    both.create_task(self._pass(reader, back, cut, is_request=True))
                    await self._pass(there, writer, cut, is_request=False)
        except* (ConnectionError, _Ended):
            if cut.ending is Ending.RESET:
                reset_on_close(writer)
        finally:
            self._connections.discard(task)
            back.transport.abort()
            writer.transport.abort()

    async def _pass(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cut: Cut,
        *,
        is_request: bool,
    ) -> None:
        left = cut.place if cut.is_request is is_request else None
        while data := await reader.read(1 << 16):
            part = data if left is None else data[:left]
            writer.write(part)
            await writer.drain()
            if not is_request:
                self.passed += len(part)
            if left is not None:
                left -= len(part)
                if left == 0 and cut.ending is not Ending.KEEP:
                    raise _Ended
        raise _Ended


class _Ended(Exception):
    """One side has ended."""
