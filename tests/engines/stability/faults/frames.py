"""HTTP/2 frames and gRPC messages, written by hand so that each byte of them can be wrong."""

from __future__ import annotations

import struct

from engines.stability.protocol import Message

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PUSH_PROMISE = 0, 1, 3, 4, 5
PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 6, 7, 8, 9

END_STREAM, END_HEADERS, ACK = 1, 4, 1
HEAD_SIZE = 9
FRAME_SIZE = 16384
"""The longest payload that everybody takes."""

ERRORS = (
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
)
"""HTTP/2's error codes by number (RFC 9113, section 7)."""


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One frame (RFC 9113, section 4.1)."""
    head = len(payload).to_bytes(3, "big") + bytes((kind, flags)) + stream.to_bytes(4, "big")
    return head + payload


def settings(**values: int) -> bytes:
    """A SETTINGS frame; `values` are like `x3=0`: the setting's number and its value."""
    pairs = (struct.pack(">HI", int(name[1:]), value) for name, value in values.items())
    return frame(SETTINGS, b"".join(pairs))


def headers(fields: dict[str, str | bytes], *, ends: bool = False) -> bytes:
    """A HEADERS frame of stream 1 and what continues it, nothing packed (RFC 7541, 6.2.2)."""
    block = b""
    for name, value in fields.items():
        data = value if isinstance(value, bytes) else value.encode()
        block += b"\x00" + _string(name.encode()) + _string(data)
    pieces = [block[n : n + FRAME_SIZE] for n in range(0, len(block), FRAME_SIZE)]
    kinds = [HEADERS] + [CONTINUATION] * (len(pieces) - 1)
    flags = [END_STREAM if ends else 0] + [0] * (len(pieces) - 1)
    flags[-1] |= END_HEADERS
    parts = zip(kinds, pieces, flags, strict=True)
    return b"".join(frame(kind, piece, flags=flag, stream=1) for kind, piece, flag in parts)


def response(**extra: str) -> bytes:
    """The headers that begin a gRPC answer; `extra` has `_` for `-` in its names."""
    more = {name.replace("_", "-"): value for name, value in extra.items()}
    return headers({":status": "200", "content-type": "application/grpc", **more})


def trailers(status: str | int = 0, text: str | None = None) -> bytes:
    """The headers that end a gRPC answer with a status."""
    fields: dict[str, str | bytes] = {"grpc-status": str(status)}
    if text is not None:
        fields["grpc-message"] = text
    return headers(fields, ends=True)


def refusal(status: str | int, text: str | None = None) -> bytes:
    """A gRPC answer that is nothing but its status."""
    fields: dict[str, str | bytes] = {":status": "200", "content-type": "application/grpc"}
    fields["grpc-status"] = str(status)
    if text is not None:
        fields["grpc-message"] = text
    return headers(fields, ends=True)


def data(payload: bytes, *, ends: bool = False, size: int = FRAME_SIZE) -> bytes:
    """DATA frames of stream 1 with at most `size` bytes each."""
    pieces = [payload[n : n + size] for n in range(0, len(payload), size)] or [b""]
    last = len(pieces) - 1
    return b"".join(
        frame(DATA, piece, flags=END_STREAM if ends and n == last else 0, stream=1)
        for n, piece in enumerate(pieces)
    )


def prefix(payload: bytes, *, flag: int = 0, length: int | None = None) -> bytes:
    """A gRPC message: its flag (1: compressed), its length, itself."""
    return struct.pack(">BI", flag, len(payload) if length is None else length) + payload


def message(answer: Message | bytes, *, size: int = FRAME_SIZE) -> bytes:
    """DATA frames of at most `size` bytes with one answer."""
    payload = answer if isinstance(answer, bytes) else answer.SerializeToString()
    return data(prefix(payload), size=size)


def reset(code: int) -> bytes:
    """RST_STREAM for stream 1."""
    return frame(RST_STREAM, struct.pack(">I", code), stream=1)


def goaway(code: int, last: int = 1, text: bytes = b"") -> bytes:
    """GOAWAY: no stream after `last` is answered."""
    return frame(GOAWAY, struct.pack(">II", last, code) + text)


def _string(value: bytes) -> bytes:
    if len(value) < 127:
        return bytes((len(value),)) + value
    rest, length = len(value) - 127, b"\x7f"
    while rest >= 128:
        length += bytes((rest % 128 + 128,))
        rest //= 128
    return length + bytes((rest,)) + value
