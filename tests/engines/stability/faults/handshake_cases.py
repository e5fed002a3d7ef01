"""Whoever listens there, but does not speak HTTP/2 as a gRPC server does."""

from __future__ import annotations

from engines.base import Failure
from tests.engines.stability.faults import frames
from tests.engines.stability.faults.answers import HEAD, IMAGE, KEEPALIVE
from tests.engines.stability.faults.cases import (
    FAILED,
    IDLE,
    LOST,
    MADE,
    SILENT,
    UNKNOWN,
    UNREACHABLE,
    Case,
    Ends,
)
from tests.engines.stability.faults.frames import END_HEADERS, frame, settings
from tests.engines.stability.faults.peer import Ending, Script

_GREETINGS = {
    "nothing": b"",
    "a web page": b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1/\r\n\r\n",
    "an SSH server": b"SSH-2.0-OpenSSH_9.6\r\n",
    "a mail server": b"220 mail ESMTP\r\n",
    "a TLS alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "zeros": bytes(256),
    "ones": b"\xff" * 256,
    "its own preface": frames.PREFACE,
    "half a frame": settings()[:5],
    "a header before its settings": HEAD,
    "settings of a stream": frame(frames.SETTINGS, stream=3),
    "settings of 5 bytes": frame(frames.SETTINGS, bytes(5)),
    "a window of 4 GiB": settings(x4=2**32 - 1),
    "frames of 1 byte": settings(x5=1),
    "a goodbye": settings() + frames.goaway(0, last=0),
}
_DEADLINE = Ends(kind=Failure.DEADLINE, words="Nothing was sent")
CONNECT = 0.3


def _list_strangers() -> list[Case]:
    cases = []
    for name, greeting in _GREETINGS.items():
        for ending in (Ending.CLOSE, Ending.RESET):
            cases.append(
                Case(
                    name=f"{name} greets, then the connection {ending}",
                    script=Script(greeting=greeting, ending=ending, awaits_request=False),
                    ends=LOST if ending is Ending.RESET else UNREACHABLE,
                    # Settings that are in order make a connection, until the goodbye is read.
                    or_ends=UNKNOWN if name == "a goodbye" else None,
                )
            )
    cases += [
        Case(
            name=f"{name} greets, and then silence",
            script=Script(greeting=_GREETINGS[name], awaits_request=False),
            ends=_DEADLINE,
            options={"deadline_seconds": CONNECT},
        )
        for name in ("nothing", "half a frame")
    ]
    return cases


_AFTER_REQUEST = {
    "a frame longer than agreed": frame(frames.DATA, bytes(20000), stream=1),
    "data before the headers": KEEPALIVE,
    "data of no stream": frame(frames.DATA, b"x", stream=0),
    "a pushed stream": frame(frames.PUSH_PROMISE, b"\0\0\0\2", flags=END_HEADERS, stream=1),
    "headers that cannot be unpacked": frame(
        frames.HEADERS, b"\xff\xff\xff\xff\xff", flags=END_HEADERS, stream=1
    ),
    "a continuation of nothing": frame(frames.CONTINUATION, b"", stream=1),
    "headers of an unknown index": frame(frames.HEADERS, b"\xfe", flags=END_HEADERS, stream=1),
    "a ping of 7 bytes": frame(frames.PING, bytes(7)),
    "a window that grows by nothing": HEAD + frame(frames.WINDOW_UPDATE, bytes(4), stream=1),
    "a reset of 3 bytes": frame(frames.RST_STREAM, bytes(3), stream=1),
    "a web page": b"HTTP/1.1 500 Internal Server Error\r\n\r\n",
    "more than the client lets it send": HEAD + frames.data(frames.prefix(bytes(9_000_000))),
}


_BLAMED = ("a web page", "more than the client lets it send")
"""What gRPC does not take for a lost connection."""


def _list_violations() -> list[Case]:
    return [
        Case(
            name=f"{name} answers the request",
            script=Script(steps=(data,), ending=Ending.CLOSE),
            ends=FAILED if name in _BLAMED else UNKNOWN,
            # Whether what it read or the closed connection is seen first is up to gRPC.
            or_ends=UNKNOWN if name in _BLAMED else None,
        )
        for name, data in _AFTER_REQUEST.items()
    ]


def _list_harmless() -> list[Case]:
    whole = HEAD + KEEPALIVE + IMAGE + frames.trailers()
    odd = {
        "frames of an unknown kind": frame(0xBE, b"what is this", stream=1) + whole,
        "frames of another stream": frame(frames.RST_STREAM, bytes(4), stream=7) + whole,
        "a flood of pings": frame(frames.PING, bytes(8)) * 500 + whole,
        "a flood of settings": settings() * 50 + whole,
        "empty frames": HEAD + frame(frames.DATA, stream=1) * 100 + whole[len(HEAD) :],
        "frames of one byte": HEAD + frames.data(frames.prefix(b""), size=1) + whole[len(HEAD) :],
    }
    return [
        Case(name=f"{name} are let pass", script=Script(steps=(data,)), ends=MADE)
        for name, data in odd.items()
    ]


def _list_closed_windows() -> list[Case]:
    return [
        Case(
            name=f"the server {name}",
            script=Script(greeting=greeting),
            ends=SILENT,
            options={"idle_seconds": IDLE},
        )
        for name, greeting in (
            ("takes no stream", settings(x3=0)),
            ("takes no byte of the request", settings(x4=0)),
        )
    ]


CASES = [*_list_strangers(), *_list_violations(), *_list_harmless(), *_list_closed_windows()]
