"""gRPC-Web: how browsers, and clients made for them, speak to a gRPC server.

A call is one HTTP/1.1 request. Its body is one message behind five bytes; the answer's body is
any number of messages and, behind a flag, the lines that end a call in gRPC (`grpc-status` …).
With `application/grpc-web-text` both are base64. What is asked goes on to a gRPC server; a
connection is for one request.

A page in a browser may call only when its origin was allowed by name: pages of strangers run on
this machine too, and can reach 127.0.0.1. Clients that are no browser send no origin.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
import re
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote

import h11

from engines.keys import Secret
from engines.quiet_grpc import grpc
from engines.server.access import KEYLESS, find_key_problem, find_service
from engines.server.service import WEB_HEADER, WRITE_SECONDS
from engines.stability.protocol import MESSAGE_LIMIT, WARNING_HEADER

HEAD_LIMIT = 16 * 1024
"""Bytes of a request's first line and headers."""

HEAD_SECONDS = 10.0
BODY_SECONDS = 120.0

CALLS = 16
"""Calls at once; each may hold one message in memory."""

_TYPE = "application/grpc-web"
_KNOWN_TYPES = re.compile(r"application/grpc-web(-text)?(\+proto)?")
_PATH = re.compile(r"/[\w.]{1,200}/\w{1,100}", re.ASCII)
_NAME = re.compile(r"[a-z0-9_.-]{1,100}")
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])", re.ASCII)
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}

_OF_HTTP = frozenset(
    (
        *("accept", "accept-charset", "accept-encoding", "accept-language", "cache-control"),
        *("connection", "content-length", "content-type", "cookie", "dnt", "expect", "forwarded"),
        *("host", "keep-alive", "origin", "pragma", "priority", "proxy-authorization", "referer"),
        *("te", "trailer", "transfer-encoding", "upgrade", "user-agent", "via"),
        *("x-grpc-web", "x-user-agent", WEB_HEADER),
    )
)
"""Headers that are not for the call."""

_PREFIX = 5
_TRAILERS = 0x80

Code = grpc.StatusCode
_CODES = {
    400: Code.FAILED_PRECONDITION,
    403: Code.PERMISSION_DENIED,
    404: Code.UNIMPLEMENTED,
    405: Code.UNIMPLEMENTED,
    408: Code.DEADLINE_EXCEEDED,
    415: Code.INVALID_ARGUMENT,
    431: Code.RESOURCE_EXHAUSTED,
}
Headers = list[tuple[str, str]]


class Fault(Exception):
    """A request that is no call: it gets the HTTP `status` and a line of text."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Refusal(Exception):
    """A call that ends with a status before the server hears of it."""

    def __init__(self, code: Any, text: str) -> None:
        super().__init__(text)
        self.code = code


class Gateway:
    """Hands calls on to the gRPC server at `address`.

    `origins`: those of pages that may call (`https://host:port`), `*` for all. `key`: what
    clients must send; whoever does not send it is refused before the message is read. `limit`:
    the bytes of a message.
    """

    def __init__(
        self, address: str, *, limit: int, origins: Sequence[str] = (), key: Secret | None = None
    ) -> None:
        self._address = address
        self._origins = frozenset(origins)
        self._key = key
        self._limit = limit
        self._channel: Any = None
        self._calls = 0

    async def answer(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> None:
        """Answer the request that begins with `data`; the connection is the caller's to close."""
        exchange = _Exchange(reader, writer, data)
        headers: Headers = []
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                request = await exchange.read_head()
            headers = self._allow(request)
            if request.method == b"OPTIONS":
                await exchange.respond(204, headers + _list_preflight(request))
            else:
                await self._call(request, exchange, headers)
        except h11.RemoteProtocolError:
            await exchange.refuse(400, headers, "This is no HTTP request that is understood here.")
        except Fault as fault:
            await exchange.refuse(fault.status, headers, str(fault))
        except TimeoutError:
            await exchange.refuse(408, headers, "The request did not come in time.")

    async def close(self) -> None:
        """End the calls that are left."""
        if self._channel is not None:
            await self._channel.close()
            self._channel = None

    def _allow(self, request: Any) -> Headers:
        """The headers that let the page which asks read the answer. Raises `Fault`."""
        origin = _find_header(request, "origin")
        if origin is None:
            return []
        if origin not in self._origins and "*" not in self._origins:
            raise Fault(
                403, "Pages of this origin may not call this server: give it as --web-origin."
            )
        exposed = f"grpc-status, grpc-message, {WARNING_HEADER}"
        return [
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", exposed),
            ("vary", "origin"),
        ]

    async def _call(self, request: Any, exchange: _Exchange, headers: Headers) -> None:
        path = request.target.decode("ascii", "replace").partition("?")[0]
        is_text = _check_request(request, path)
        kind = f"{_TYPE}{'-text' if is_text else ''}+proto"
        headers = [*headers, ("content-type", kind), ("cache-control", "no-store")]
        if self._calls >= CALLS:
            refused = Refusal(Code.RESOURCE_EXHAUSTED, "Too many calls at once. Try again later.")
            await exchange.end_call(headers, is_text, refused.code, str(refused))
            return
        self._calls += 1
        try:
            metadata = _read_metadata(request)
            if find_service(path) not in KEYLESS and (
                problem := find_key_problem(self._key, metadata)
            ):
                raise Refusal(Code.UNAUTHENTICATED, problem)
            seconds = _read_timeout(request)
            async with asyncio.timeout(BODY_SECONDS):
                message = await self._read_message(exchange, is_text)
            call = self._open(path)(message, metadata=metadata, timeout=seconds)
            del message
            await exchange.relay(call, headers, is_text)
        except Refusal as refusal:
            await exchange.end_call(headers, is_text, refusal.code, str(refusal))
        finally:
            self._calls -= 1

    async def _read_message(self, exchange: _Exchange, is_text: bool) -> bytes:
        most = self._limit + _PREFIX
        body = bytearray()
        async for part in exchange.read_body():
            body += part
            if len(body) > (most * 3 // 2 + 8 if is_text else most):
                raise self._refuse_size()
        data = _decode_text(body) if is_text else body
        if len(data) > most:
            raise self._refuse_size()
        if len(data) < _PREFIX or len(data) - _PREFIX != int.from_bytes(data[1:_PREFIX], "big"):
            raise Refusal(Code.INVALID_ARGUMENT, "The body is not one message of gRPC-Web.")
        if data[0] != 0:
            raise Refusal(Code.UNIMPLEMENTED, "A message that is compressed is not understood.")
        return bytes(memoryview(data)[_PREFIX:])

    def _refuse_size(self) -> Refusal:
        return Refusal(Code.RESOURCE_EXHAUSTED, f"A message has at most {self._limit:,} bytes.")

    def _open(self, path: str) -> Any:
        if self._channel is None:
            self._channel = grpc.aio.insecure_channel(
                self._address,
                options=(
                    ("grpc.max_send_message_length", MESSAGE_LIMIT),
                    ("grpc.max_receive_message_length", MESSAGE_LIMIT),
                    ("grpc.enable_http_proxy", 0),
                    ("grpc.enable_retries", 0),
                ),
            )
        return self._channel.unary_stream(path)


class _Exchange:
    """One request and its answer, over HTTP/1.1."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, data: bytes
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_LIMIT)
        self._http.receive_data(data)
        self._has_body = True

    async def read_head(self) -> Any:
        """The request without its body."""
        event = await self._read()
        if not isinstance(event, h11.Request):
            raise Fault(400, "There is no request.")
        self._has_body = event.method != b"HEAD"
        if sum(len(name) + len(value) for name, value in event.headers) > HEAD_LIMIT:
            raise Fault(431, f"The headers of a request have at most {HEAD_LIMIT:,} bytes.")
        return event

    async def read_body(self) -> AsyncIterator[bytes]:
        """The parts of the body as they come."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        while isinstance(event := await self._read(), h11.Data):
            yield bytes(event.data)

    async def relay(self, call: Any, headers: Headers, is_text: bool) -> None:
        """Send what the gRPC `call` answers; a client that leaves gives the call up."""
        gone = asyncio.ensure_future(self._reader.read(1))
        reading = None
        try:
            await self._begin(200, headers)
            while True:
                reading = asyncio.ensure_future(call.read())
                await asyncio.wait({gone, reading}, return_when=asyncio.FIRST_COMPLETED)
                if not reading.done() and not gone.result():
                    return
                try:
                    data = await reading
                except grpc.aio.AioRpcError:
                    break
                if data is grpc.aio.EOF:
                    break
                await self._send_frame(0, data, is_text)
            lines = _list_trailers(
                await call.code(), await call.details(), await call.trailing_metadata()
            )
            await self._end_frames(lines, is_text)
        finally:
            call.cancel()
            for task in (gone, reading):
                if task is not None:
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError, grpc.aio.AioRpcError, OSError):
                        await task

    async def end_call(self, headers: Headers, is_text: bool, code: Any, text: str) -> None:
        """Answer with a status alone."""
        await self._begin(200, headers)
        await self._end_frames(_list_trailers(code, text, ()), is_text)

    async def respond(self, status: int, headers: Headers, text: str = "") -> None:
        """Answer with no message."""
        body = f"{text}\n".encode() if text else b""
        length = [] if status == 204 else [("content-length", str(len(body)))]
        await self._begin(status, [*headers, *length])
        if body and self._has_body:
            await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def refuse(self, status: int, headers: Headers, text: str) -> None:
        """Answer with a line of text, when there is no answer yet."""
        if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            await self.respond(status, [*headers, *describe_refusal(status, text)], text)

    async def _begin(self, status: int, headers: Headers) -> None:
        fields = [*headers, ("connection", "close"), ("x-content-type-options", "nosniff")]
        await self._send(h11.Response(status_code=status, headers=fields))

    async def _send_frame(self, flag: int, data: bytes, is_text: bool) -> None:
        frame = bytes((flag,)) + len(data).to_bytes(4, "big") + data
        await self._send(h11.Data(data=base64.b64encode(frame) if is_text else frame))

    async def _end_frames(self, lines: bytes, is_text: bool) -> None:
        await self._send_frame(_TRAILERS, lines, is_text)
        await self._send(h11.EndOfMessage())

    async def _send(self, event: Any) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            async with asyncio.timeout(WRITE_SECONDS):
                await self._writer.drain()

    async def _read(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(65536))
        return event


def describe_refusal(status: int, text: str) -> Headers:
    """The headers of an answer of HTTP that is `text`; clients of gRPC-Web read them alone."""
    return [
        ("content-type", "text/plain; charset=utf-8"),
        ("grpc-status", str(_CODES.get(status, Code.UNKNOWN).value[0])),
        ("grpc-message", _encode_message(text)),
    ]


def _find_header(request: Any, name: str) -> str | None:
    wanted = name.encode()
    for found, value in request.headers:
        if found == wanted:
            return str(value.decode("latin-1"))
    return None


def _list_preflight(request: Any) -> Headers:
    """What a page may send, as its browser asks before it lets the page do so."""
    if _find_header(request, "origin") is None:
        raise Fault(405, "A call is a POST.")
    asked = (_find_header(request, "access-control-request-headers") or "").lower()
    names = [name for part in asked.split(",") if _NAME.fullmatch(name := part.strip())]
    headers = [
        ("access-control-allow-methods", "POST"),
        ("access-control-allow-headers", ", ".join(names)),
        ("access-control-max-age", "600"),
    ]
    if _find_header(request, "access-control-request-private-network") == "true":
        headers.append(("access-control-allow-private-network", "true"))
    return headers


def _check_request(request: Any, path: str) -> bool:
    """Whether the call is in base64. Raises `Fault` for what is no call."""
    if not _PATH.fullmatch(path):
        raise Fault(
            404,
            "Here is the Stability protocol, as gRPC and gRPC-Web: /gooseai.GenerationService/"
            "Generate and others. The REST API is not served.",
        )
    if request.method != b"POST":
        raise Fault(405, "A call is a POST.")
    kind = (_find_header(request, "content-type") or "").partition(";")[0].strip().lower()
    match = _KNOWN_TYPES.fullmatch(kind)
    if match is None:
        raise Fault(415, f"A call has the content type {_TYPE}+proto or {_TYPE}-text+proto.")
    return match[1] is not None


def _read_metadata(request: Any) -> tuple[tuple[str, str | bytes], ...]:
    """What the headers say to the call. Raises `Refusal` for a value that gRPC cannot carry."""
    found: list[tuple[str, str | bytes]] = [(WEB_HEADER, "1")]
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("ascii"), raw_value.decode("latin-1")
        if name in _OF_HTTP or name.startswith(("sec-", "grpc-", "access-control-")):
            continue
        try:
            if not _NAME.fullmatch(name) or not (value.isascii() and value.isprintable()):
                raise ValueError
            found.append(
                (name, base64.b64decode(value + "=" * (-len(value) % 4), validate=True))
                if name.endswith("-bin")
                else (name, value)
            )
        except ValueError:
            raise Refusal(
                Code.INVALID_ARGUMENT, f"The header {name[:100]!r} is no metadata of gRPC."
            ) from None
    return tuple(found)


def _read_timeout(request: Any) -> float | None:
    text = _find_header(request, "grpc-timeout")
    if text is None:
        return None
    match = _TIMEOUT.fullmatch(text)
    if match is None:
        raise Refusal(Code.INVALID_ARGUMENT, "The header grpc-timeout is like 30S or 500m.")
    # gRPC takes no time that is beyond its clock.
    return min(int(match[1]) * _UNITS[match[2]], 86400.0)


def _decode_text(body: bytearray) -> bytes:
    """The bytes in base64 text, which may be several texts in a row, each with its padding."""
    try:
        if b"=" not in body[:-2]:
            return base64.b64decode(body, validate=True)
        ended = re.sub(rb"(={1,2})(?=[^=])", rb"\1 ", body)
        return b"".join(base64.b64decode(part, validate=True) for part in ended.split(b" "))
    except binascii.Error:
        raise Refusal(Code.INVALID_ARGUMENT, "The body is not base64.") from None


def _list_trailers(code: Any, text: str | None, metadata: Any) -> bytes:
    """The lines that end a call."""
    lines = [f"grpc-status: {code.value[0]}"]
    if text:
        lines.append(f"grpc-message: {_encode_message(text)}")
    for name, value in metadata or ():
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode().rstrip("=")
        lines.append(f"{name}: {value}")
    return "".join(f"{line}\r\n" for line in lines).encode("ascii", "replace")


def _encode_message(text: str) -> str:
    """`text` percent-encoded, as gRPC has it: what is printable stays."""
    return quote(text, safe="".join(chr(c) for c in range(0x20, 0x7F) if chr(c) != "%"))
