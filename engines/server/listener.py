"""Where clients arrive: one port for gRPC, for gRPC-Web, and for those who took the wrong way.

The first bytes of a connection say what it is. TLS is ended here. gRPC goes on, byte by byte, to
the server of the services, which listens on a socket that is this user's alone; gRPC-Web goes to
the gateway. gRPC's own port could do neither: a client without TLS at a port with it, or the other
way round, would wait there without a word on either side.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import socket
import ssl
import tempfile
from typing import Any

from engines.base import EngineError, Failure
from engines.quiet_grpc import grpc
from engines.server.grpc_web import Gateway, describe_refusal
from engines.server.service import WRITE_SECONDS

FIRST_SECONDS = 10.0
"""How long a client may take for its first bytes, and for its part of TLS."""

END_SECONDS = 5.0
"""How long the last bytes may take to be taken when a connection ends."""

LINGER_SECONDS = 2.0
LOG_SECONDS = 60.0
"""How long nothing more is said of one kind of mistake."""

CONNECTIONS = 256
"""Connections at once, besides one for each request that may wait."""

_CHUNK = 64 * 1024
_PAUSE_SECONDS = 0.1
_FOLDER_LIMIT = 70
_TLS = b"\x16"
_HTTP2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_METHODS = (b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"DELE", b"PATC")

# TLS: an alert, fatal, "protocol version".
_ALERT = b"\x15\x03\x01\x00\x02\x02\x46"

TLS_HERE = (
    "This port speaks TLS: use a channel with TLS (https:// for gRPC-Web) and trust the server's "
    "certificate. stability-sdk uses TLS where the host ends in 443."
)

_log = logging.getLogger("safelight.serve")


class Listener:
    """Listens at `address` (`host:port`) before a gRPC server and a gateway.

    `inner` is the socket of the gRPC server (`unix:/path`). `tls` None: clients speak without.
    `connections`: how many at once; more are hung up.
    """

    def __init__(
        self,
        address: str,
        inner: str,
        gateway: Gateway,
        *,
        tls: ssl.SSLContext | None = None,
        connections: int = CONNECTIONS,
    ) -> None:
        self.address = address
        self._inner = inner
        self._gateway = gateway
        self._tls = tls
        self._connections = connections
        self._log = _Log()
        self._stray: _Stray | None = None if tls is None else _Stray(f"{inner}-stray")
        self._accepting: list[asyncio.Task[None]] = []
        self._open: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen; `address` has the port then. Raises `EngineError` when it cannot."""
        if self._stray is not None:
            await self._stray.start()
        doors, self.address = _open_doors(self.address)
        self._accepting = [asyncio.create_task(self._accept(door)) for door in doors]

    def stop(self) -> None:
        """Let nobody in any more."""
        for task in self._accepting:
            task.cancel()

    async def close(self) -> None:
        """End what is open, when what is on its way was taken, or a few seconds later."""
        self.stop()
        await asyncio.gather(*self._accepting, return_exceptions=True)
        if self._open:
            await asyncio.wait(self._open, timeout=END_SECONDS)
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        await self._gateway.close()
        if self._stray is not None:
            await self._stray.stop()

    async def _accept(self, door: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with door:
            while True:
                try:
                    client, _ = await loop.sock_accept(door)
                except OSError as error:
                    self._log.note("accept", f"A connection was not taken: {error.strerror}.")
                    await asyncio.sleep(_PAUSE_SECONDS)  # too many open files, most likely
                    continue
                if len(self._open) >= self._connections:
                    client.close()
                    text = f"There are {self._connections} connections: no more now."
                    self._log.note("many", text)
                    continue
                task = asyncio.create_task(self._take(client))
                self._open.add(task)
                task.add_done_callback(self._open.discard)

    async def _take(self, client: socket.socket) -> None:
        with client:
            try:
                async with asyncio.timeout(FIRST_SECONDS):
                    first = await _peek(client)
                if first == _TLS and self._tls is None:
                    await self._refuse_tls(client)
                elif first:
                    await self._serve(client, is_tls=first == _TLS)
            except (OSError, EOFError):
                pass  # it left, took too long, or does not trust the certificate
            except Exception:  # noqa: BLE001 (logged; the client is hung up)
                _log.exception("A connection failed.")

    async def _serve(self, client: socket.socket, *, is_tls: bool) -> None:
        async with asyncio.timeout(FIRST_SECONDS):
            reader, writer = await _open_streams(client, self._tls if is_tls else None)
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                start = await reader.readexactly(4)
            if is_tls or self._tls is None:
                await self._hand_on(reader, writer, start)
            else:
                await self._refuse_plain(reader, writer, start)
            async with asyncio.timeout(END_SECONDS):
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        finally:
            writer.transport.abort()

    async def _hand_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes
    ) -> None:
        if _HTTP2.startswith(start):
            await _join(reader, writer, start, self._inner)
        elif start in _METHODS:
            await self._gateway.answer(reader, writer, start)
            await _linger(reader, writer)

    async def _refuse_tls(self, client: socket.socket) -> None:
        """End a client that begins with TLS where there is none."""
        self._log.note(
            "tls",
            f"A client at {client.getpeername()[0]} speaks TLS, and this server has none: give "
            "--certificate and --private-key, or set the client to a plain channel "
            "(stability-sdk: a host that does not end in 443).",
        )
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(END_SECONDS):
            await loop.sock_recv(client, _CHUNK)  # what is unread would reset the connection
            await loop.sock_sendall(client, _ALERT)
            client.shutdown(socket.SHUT_WR)
            await loop.sock_recv(client, _CHUNK)

    async def _refuse_plain(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes
    ) -> None:
        """Tell a client without TLS, in its own protocol, that it wants some."""
        peer = _name_peer(writer)
        self._log.note(
            "plain",
            f"A client at {peer} speaks without TLS: set it to TLS (stability-sdk does so only "
            "where the host ends in 443).",
        )
        if start in _METHODS:
            headers = "".join(
                f"{name}: {text}\r\n" for name, text in describe_refusal(400, TLS_HERE)
            )
            writer.write(
                f"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n{headers}"
                f"content-length: {len(TLS_HERE) + 1}\r\n\r\n{TLS_HERE}\n".encode()
            )
            await _linger(reader, writer)
        elif _HTTP2.startswith(start) and self._stray is not None:
            if _is_near(peer):
                await _join(reader, writer, start, self._stray.address)
            else:
                # Welcomed, it would send its key and its prompts for everybody to read.
                writer.write(_make_goaway(TLS_HERE))


class _Stray:
    """A gRPC server that ends each call with the word that it came without TLS."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._server: Any = None

    async def start(self) -> None:
        self._server = grpc.aio.server(maximum_concurrent_rpcs=CONNECTIONS)
        self._server.add_generic_rpc_handlers((_Refusing(),))
        self._server.add_insecure_port(self.address)
        await self._server.start()

    async def stop(self) -> None:
        await self._server.stop(None)


class _Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]  # gRPC has no types
    """Answers every method alike, before a message is read."""

    def service(self, call: Any) -> Any:
        """What answers `call`."""

        async def abort(requests: Any, context: Any) -> None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, TLS_HERE)

        return grpc.stream_stream_rpc_method_handler(abort)


class _Log:
    """Says one thing of a kind, and nothing more of it for a while: strangers make the lines."""

    def __init__(self) -> None:
        self._said: dict[str, float] = {}

    def note(self, kind: str, text: str) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._said.get(kind, -LOG_SECONDS) >= LOG_SECONDS:
            self._said[kind] = now
            _log.warning("%s", text)


def make_folder() -> tempfile.TemporaryDirectory[str]:
    """A folder of this user alone for the sockets behind a listener, whose paths must be short."""
    is_short = len(tempfile.gettempdir()) <= _FOLDER_LIMIT
    return tempfile.TemporaryDirectory(prefix="safelight-", dir=None if is_short else "/tmp")  # noqa: S108


def _open_doors(address: str) -> tuple[list[socket.socket], str]:
    """Sockets that listen at `address`, and the address with the port that was bound."""
    host, _, text = address.rpartition(":")
    port = int(text)
    doors: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(
            host.strip("[]"), port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        for family, _, _, _, where in dict.fromkeys(found):
            door = socket.socket(family)
            doors.append(door)
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                door.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, len(found) > 1)
            door.bind((where[0], port, *where[2:]))
            port = door.getsockname()[1]
            door.listen(128)
            door.setblocking(False)
    except OSError:
        for door in doors:
            door.close()
        raise EngineError(
            Failure.UNREACHABLE,
            f"The server cannot listen at {address}.",
            "Perhaps another program does, or this machine has no such address.",
        ) from None
    return doors, f"{host}:{port}"


async def _peek(client: socket.socket) -> bytes:
    """The first byte that `client` sends, which stays unread; b"" when it leaves."""
    loop = asyncio.get_running_loop()
    is_ready = asyncio.Event()
    loop.add_reader(client, is_ready.set)
    try:
        await is_ready.wait()
        return client.recv(1, socket.MSG_PEEK)
    finally:
        loop.remove_reader(client)


async def _open_streams(
    client: socket.socket, tls: ssl.SSLContext | None
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Streams on `client`, when TLS has begun where it is asked for."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(_CHUNK, loop)
    protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
    transport, _ = await loop.connect_accepted_socket(
        lambda: protocol,
        client.dup(),
        ssl=tls,
        ssl_handshake_timeout=FIRST_SECONDS if tls else None,
    )
    return reader, asyncio.StreamWriter(transport, protocol, reader, loop)


async def _join(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, start: bytes, inner: str
) -> None:
    """Carry bytes between a client and the socket `inner` until one of them ends.

    What the server behind has said still goes to the client, also where it listens no more: so
    its socket has no transport, with which a failed write would throw away what is unread.
    """
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_UNIX) as server:
        server.setblocking(False)
        await loop.sock_connect(server, inner.removeprefix("unix:"))
        up = asyncio.create_task(_send(reader, server, start))
        down = asyncio.create_task(_receive(server, writer))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
            if not down.done():
                with contextlib.suppress(OSError):
                    server.shutdown(socket.SHUT_WR)
                await asyncio.wait({down}, timeout=END_SECONDS)
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)


async def _send(reader: asyncio.StreamReader, server: socket.socket, start: bytes) -> None:
    loop = asyncio.get_running_loop()
    data = start
    while data:
        async with asyncio.timeout(WRITE_SECONDS):
            await loop.sock_sendall(server, data)
        data = await reader.read(_CHUNK)


async def _receive(server: socket.socket, writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while data := await loop.sock_recv(server, _CHUNK):
        writer.write(data)
        async with asyncio.timeout(WRITE_SECONDS):
            await writer.drain()


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read what comes after the answer for a moment: unread, it would reset the connection."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
            while await reader.read(_CHUNK):
                pass


def _make_goaway(text: str) -> bytes:
    """A frame of HTTP/2 that ends a connection for "inadequate security", with `text`."""
    data = text.encode()
    payload = bytes(4) + (0xC).to_bytes(4, "big") + data
    return len(payload).to_bytes(3, "big") + b"\x07\x00" + bytes(4) + payload


def _is_near(peer: str) -> bool:
    """Whether what is sent to `peer`, an address, stays on this machine."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _name_peer(writer: asyncio.StreamWriter) -> str:
    found = writer.get_extra_info("peername")
    return str(found[0]) if found else "an address that has left"
