"""Answers over gRPC that are too much, and the two servers that give them."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc

from engines.base import Failure
from engines.stability.protocol import generation
from tests.engines.floods.flood import (
    MEBIBYTE,
    Flood,
    Listener,
    Pour,
    later,
    make_animation,
    make_image,
    make_large_image,
    repeat,
)
from tests.engines.stability.faults import frames
from tests.engines.stability.faults.answers import answer, artifact, text

BAD = (Failure.BAD_ANSWER,)
UNKNOWN = (Failure.OUTCOME_UNKNOWN,)
LOST = (Failure.OUTCOME_UNKNOWN, Failure.INTERNAL, Failure.BAD_ANSWER)
WHOLE = "it is whole"


def _image(data: bytes | None = None) -> bytes:
    """A message with an image."""
    whole = answer(artifact(make_image() if data is None else data), request_id="")
    return bytes(whole.SerializeToString())


def _weigh(mebibytes: int) -> bytes:
    return _image(make_image() + bytes(mebibytes * MEBIBYTE))


def _fields(number: int, count: int) -> bytes:
    """So many empty messages of the field `number`."""
    return bytes((number << 3 | 2, 0)) * count


_ARTIFACTS = generation.Answer.DESCRIPTOR.fields_by_name["artifacts"].number


def _nest(inner: bytes) -> bytes:
    """An answer with one artifact whose tokens are `inner`."""
    for number in (7, _ARTIFACTS):
        size, length = b"", len(inner)
        while length > 127:
            size += bytes((length & 127 | 128,))
            length >>= 7
        inner = bytes((number << 3 | 2,)) + size + bytes((length,)) + inner
    return inner


def _then(*first: Callable[[], bytes], more: Pour | None = None) -> Pour:
    """These messages, then `more`."""

    def pour() -> Iterator[bytes]:
        for make in first:
            yield make()
        if more is not None:
            yield from more()

    return pour


def _forever(make: Callable[[], bytes], seconds: float = 0.0) -> Pour:
    def pour() -> Iterator[bytes]:
        message = make()
        while True:
            yield message
            if seconds:
                time.sleep(seconds)

    return pour


def _keepalive() -> bytes:
    return bytes(answer().SerializeToString())


def _say() -> bytes:
    return bytes(answer(text("busy", generation.STOP)).SerializeToString())


def _say_long() -> bytes:
    whole = answer(artifact(make_image()), answer_id="a" * 60_000_000, request_id="")
    return bytes(whole.SerializeToString())


def list_message_floods() -> list[Flood]:
    """Those that a server makes of whole messages."""

    def refuse(name: str, pour: Pour, words: str, keeps: str = "spool", **more: Any) -> Flood:
        return Flood(name=name, pour=pour, kinds=BAD, keeps=keeps, words=words, **more)

    def accept(name: str, pour: Pour, words: str = WHOLE, **more: Any) -> Flood:
        return Flood(name=name, pour=pour, keeps="image", words=words, **more)

    junk, parts = lambda: _image(b"x" * 20 * MEBIBYTE), "more than 10,000 parts"
    return [
        accept("images of 20 MiB without end", _forever(lambda: _weigh(20))),
        accept("small images without end", _forever(_image)),
        accept("an image, then keepalives in drops", _then(_image, more=_forever(_keepalive, 0.5))),
        accept("an image, then keepalives without end", _then(_image, more=_forever(_keepalive))),
        accept("damaged images, then a whole one", _then(*[junk] * 3, _image), "4 images"),
        refuse("damaged images without end", _forever(junk), "cannot be used as the image"),
        refuse("texts without end", _forever(_say), "more than 100 parts"),
        Flood(
            name="keepalives without end",
            pour=_forever(_keepalive),
            kinds=(*BAD, *UNKNOWN),  # the deadline may come first
        ),
        Flood(
            name="keepalives in drops",
            pour=_forever(_keepalive, 0.5),
            kinds=UNKNOWN,
            words="in time",
            is_slow=True,
        ),
        refuse("30 million empty artifacts", _then(lambda: _fields(_ARTIFACTS, 30_000_000)), parts),
        refuse("30 million empty tokens", _then(lambda: _nest(_fields(1, 30_000_000))), parts),
        refuse("30 million unknown fields", _then(lambda: _fields(99 % 16, 30_000_000)), parts),
        accept("an image of 63 MiB", _then(lambda: _weigh(63)), ""),
        refuse("an image of 70 MiB", _then(lambda: _weigh(70)), "larger than 64 MiB", keeps=""),
        accept("64 megapixels", _then(lambda: _image(make_large_image())), ""),
        Flood(
            name="an animation of 64 megapixels",
            pour=_then(lambda: _image(make_animation())),
            kinds=(Failure.INTERNAL,),
            keeps="spool",
            words="not enough memory",
        ),
        accept("an image, packed", _then(_image), "", is_packed=True),
        refuse(
            "100 MiB of zeros, packed",
            _then(lambda: _weigh(100)),
            "cannot be read",
            is_packed=True,
        ),
        accept(
            "an image, then zeros packed without end",
            _then(_image, more=_forever(lambda: _weigh(60))),
            is_packed=True,
        ),
        accept(
            "a text of 60 MB beside the image",
            _then(
                lambda: bytes(
                    answer(
                        artifact(make_image()), answer_id="a" * 60_000_000, request_id=""
                    ).SerializeToString()
                )
            ),
            "",
        ),
    ]


def list_frame_floods() -> list[Flood]:
    """Those that are written frame by frame."""
    head = frames.response()
    empty = frames.frame(frames.DATA, stream=1)
    ping = frames.frame(frames.PING, bytes(8))
    begin = frames.frame(frames.HEADERS, b"\x00\x01x\x7f\xff\xff\xff\x07", stream=1)
    more = frames.frame(frames.CONTINUATION, b"a" * 9000, stream=1)
    window = frames.frame(frames.WINDOW_UPDATE, b"\0\0\0\1")
    drops = frames.data(frames.prefix(b"", length=60 * MEBIBYTE))
    many = {f"x_{number}": "a" * 4000 for number in range(200)}

    def lose(name: str, pour: Pour, **more: Any) -> Flood:
        return Flood(name=name, pour=pour, kinds=LOST, **more)

    return [
        lose("headers without end", repeat(more, begin)),
        lose("many large headers", later(lambda: frames.response(**many))),
        lose("a trailer of 1 MiB", later(lambda: head + frames.trailers(13, "x" * MEBIBYTE))),
        lose("pings without end", repeat(ping, head), is_slow=True),
        lose("settings without end", repeat(frames.settings(x4=65535), head), is_slow=True),
        lose("empty frames without end", repeat(empty, head), is_slow=True),
        lose("windows without end", repeat(window, head), is_slow=True),
        lose(
            "a message that comes byte by byte",
            repeat(frames.data(b"a"), head + drops),
            is_slow=True,
        ),
    ]


class MessageServer:
    """A server of gRPC that pours `flood` out to each call, and a good answer without one."""

    def __init__(self) -> None:
        self.flood: Flood | None = None
        self._server = grpc.server(
            futures.ThreadPoolExecutor(4),
            handlers=[self],
            options=[("grpc.max_send_message_length", -1), ("grpc.so_reuseport", 0)],
        )
        self.host = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def close(self) -> None:
        """End it, and what is still being poured."""
        self._server.stop(0)

    def service(self, details: Any) -> Any:
        """What gRPC asks for the handler of a call."""
        return grpc.unary_stream_rpc_method_handler(self._generate)

    def _generate(self, request: bytes, context: Any) -> Iterator[bytes]:
        flood = self.flood
        if flood is None:
            yield _image()
            return
        if flood.is_packed:
            context.set_compression(grpc.Compression.Gzip)
        for message in flood.pour():
            if not context.is_active():
                return
            yield message


class FrameServer:
    """Writes the frames of `flood` to whoever has sent a request."""

    def __init__(self) -> None:
        self.flood: Flood | None = None
        self._listener = Listener(self._answer)
        self.host = self._listener.address

    def close(self) -> None:
        """Take no further connection."""
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            connection.sendall(frames.settings())
            file = connection.makefile("rb")
            file.read(len(frames.PREFACE))
            while not _is_request_over(file, connection):
                pass
            threading.Thread(target=_drain, args=(file,), daemon=True).start()
            for part in self.flood.pour() if self.flood else ():
                connection.sendall(part)
            file.read()


def _is_request_over(file: Any, connection: socket.socket) -> bool:
    head = file.read(frames.HEAD_SIZE)
    if len(head) < frames.HEAD_SIZE:
        raise OSError
    payload = file.read(int.from_bytes(head[:3], "big"))
    kind, flags = head[3], head[4]
    if kind in (frames.SETTINGS, frames.PING) and not flags & frames.ACK:
        connection.sendall(
            frames.frame(kind, payload if kind == frames.PING else b"", flags=frames.ACK)
        )
    return bool(kind == frames.DATA and flags & frames.END_STREAM)


def _drain(file: Any) -> None:
    with contextlib.suppress(OSError, ValueError):
        while file.read(65536):
            pass
