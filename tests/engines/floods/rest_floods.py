"""Answers over HTTP that are too much, and the service that gives them."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import re
import socket
import time
import zlib
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

from engines.base import Failure
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

BAD = (Failure.BAD_ANSWER,)
UNKNOWN = (Failure.OUTCOME_UNKNOWN,)
STATUS = b"HTTP/1.1 200 OK\r\n"
JSON = STATUS + b"Content-Type: application/json\r\n"
CHUNKED = JSON + b"Transfer-Encoding: chunked\r\n\r\n"


def encode(image: bytes, **more: object) -> bytes:
    """The body of a good answer with `image`."""
    text = base64.b64encode(image).decode()
    return json.dumps({"image": text, "finish_reason": "SUCCESS", "seed": 7, **more}).encode()


def frame(body: bytes, *headers: bytes, head: bytes = JSON) -> bytes:
    """A whole answer."""
    lines = b"".join(one + b"\r\n" for one in headers)
    return head + lines + b"Content-Length: %d\r\n\r\n" % len(body) + body


@cache
def zeros(*, form: int = 31) -> bytes:
    """200 MiB of zeros, packed."""
    packer = zlib.compressobj(9, wbits=form)
    return b"".join(packer.compress(bytes(MEBIBYTE)) for _ in range(200)) + packer.flush()


def _open(more: bytes = b"") -> bytes:
    """The body of a good answer, before its last brace."""
    return encode(make_image())[:-1] + more


def _pack(name: str, coding: bytes, body: Callable[[], bytes], words: str) -> Flood:
    def make() -> bytes:
        return frame(body(), b"Content-Encoding: " + coding)

    return Flood(name=name, pour=later(make), kinds=BAD, keeps="spool", words=words)


def _list_packed() -> list[Flood]:
    large, other = "larger than 96 MiB once it is unpacked", "not asked for"

    def pack_twice() -> bytes:
        packed = gzip.compress(gzip.compress(encode(make_image())))
        return frame(packed, b"Content-Encoding: gzip, gzip")

    def pack_long() -> bytes:
        packed = gzip.compress(_open(b', "more": "') + b"a" * (300 * MEBIBYTE))
        return frame(packed, b"Content-Encoding: gzip")

    return [
        Flood(name="an image packed twice", pour=later(pack_twice), keeps="image"),
        _pack("zeros packed once", b"gzip", zeros, large),
        _pack("zeros packed twice", b"gzip, gzip", lambda: gzip.compress(zeros()), large),
        _pack(
            "zeros packed three times",
            b"gzip, gzip, gzip",
            lambda: gzip.compress(gzip.compress(zeros())),
            large,
        ),
        _pack("zeros packed with zlib", b"deflate", partial(zeros, form=15), large),
        _pack("brotli", b"br", lambda: b"\x5b\xff\xff\xff\x00" * 99, other),
        _pack("zstd", b"zstd", lambda: b"\x28\xb5\x2f\xfd\xa4" * 99, other),
        _pack("gzip in brotli", b"gzip, br", lambda: b"\x5b\xff" * 99, other),
        _pack(
            "packed 9,000 times", b"gzip," * 8999 + b"gzip", lambda: b"junk", "packed 9000 times"
        ),
        _pack("junk said to be packed", b"gzip", lambda: b"junk" * 999, "cannot be unpacked"),
        Flood(
            name="an image before 300 MiB of one letter, packed",
            pour=later(pack_long),
            keeps="image",
            words="it is whole",
        ),
    ]


def _list_json() -> list[Flood]:
    def refuse(name: str, make: Callable[[], bytes], words: str) -> Flood:
        pour = later(lambda: frame(make()))
        return Flood(name=name, pour=pour, kinds=BAD, keeps="spool", words=words)

    def accept(name: str, make: Callable[[], bytes], words: str = "") -> Flood:
        return Flood(name=name, pour=later(lambda: frame(make())), keeps="image", words=words)

    def list_nothing(field: bytes) -> bytes:
        return b'{"%b": [' % field + b"[]," * 20_000_000 + b"[]]}"

    failed = b"HTTP/1.1 500 Oh\r\n"
    deep = later(lambda: frame(b'{"a":' * 10_000, head=failed))
    internal = (Failure.INTERNAL,)
    return [
        refuse("JSON 1,000 deep", lambda: b"[" * 1000, "cannot be read"),
        refuse("JSON 100,000 deep", lambda: b'{"a":' * 100_000, "cannot be read"),
        accept(
            "an image beside JSON 100,000 deep",
            lambda: _open(b', "x":' + b"[" * 100_000),
            "could not be read",
        ),
        refuse("20 million empty lists", partial(list_nothing, b"x"), "without an image"),
        refuse("20 million empty errors", partial(list_nothing, b"errors"), "without an image"),
        refuse(
            "a number of 60 million digits",
            lambda: b'{"seed":' + b"9" * 60_000_000 + b"}",
            "without an image",
        ),
        accept("a text of 60 MB", lambda: _open(b', "id": "' + b"a" * 60_000_000 + b'"}')),
        accept(
            "a text of 60 MB of escapes",
            lambda: _open(b', "id": "' + rb"\u0007" * 10_000_000 + b'"}'),
        ),
        Flood(name="a failure with JSON 10,000 deep", pour=deep, kinds=internal, words="HTTP 500"),
        Flood(
            name="a failure in pieces without end",
            pour=repeat(b"1\r\na\r\n", failed + b"Transfer-Encoding: chunked\r\n\r\n"),
            kinds=internal,
            words="HTTP 500",
        ),
        Flood(
            name="a failure whose words never end",
            pour=repeat(b"a", failed + b"\r\n"),
            kinds=internal,
            words="HTTP 500",
        ),
    ]


def _begin(pour: Pour, begin: Callable[[], bytes]) -> Pour:
    def whole() -> Iterator[bytes]:
        yield begin()
        yield from pour()

    return whole


def _drip() -> Iterator[bytes]:
    while True:
        time.sleep(0.5)
        yield b"a"


def _list_endless() -> list[Flood]:
    body = JSON + b"\r\n"
    image_open = partial(_open, b', "more": "')

    def refuse(name: str, pour: Pour, words: str = "", **more: Any) -> Flood:
        kinds = BAD if words else UNKNOWN
        return Flood(name=name, pour=pour, kinds=kinds, words=words, **more)

    def accept(name: str, pour: Pour, **more: Any) -> Flood:
        return Flood(name=name, pour=pour, keeps="image", words="it is whole", **more)

    def chunk_image() -> bytes:
        begin = image_open()
        return CHUNKED + b"%x\r\n%b\r\n" % (len(begin), begin)

    def open_body() -> bytes:
        return body + image_open()

    extended = b"1;" + b"x" * 9000 + b"\r\na\r\n"
    packed = JSON + b"Content-Encoding: gzip\r\n\r\n"
    around = "far too small"
    return [
        refuse("a status line without end", repeat(b"a", b"HTTP/1.1 200 ")),
        refuse("a header without end", repeat(b"a", STATUS + b"X-A: ")),
        refuse("headers without end", repeat(b"X-A: a\r\n", STATUS)),
        refuse("answers of 100 without end", repeat(b"HTTP/1.1 100 Wait\r\n\r\n"), "begins"),
        refuse("a body without end", repeat(b"a", body), "96 MiB"),
        refuse("a packed body without end", repeat(b"a", packed), "96 MiB"),
        refuse("chunks of one byte without end", repeat(b"1\r\na\r\n", CHUNKED), around),
        refuse("chunks with long extensions", repeat(extended, CHUNKED), around),
        refuse("trailers without end", repeat(b"X-A: a\r\n", CHUNKED + b"0\r\n")),
        accept(
            "an image, then one letter without end",
            _begin(repeat(b"a"), lambda: body + image_open()),
        ),
        accept("an image, then chunks of one byte", _begin(repeat(b"1\r\na\r\n"), chunk_image)),
        accept(
            "a bare image, then zeros without end",
            _begin(repeat(b"\0"), lambda: body + make_image()),
        ),
        refuse("a header in drops", _begin(_drip, lambda: STATUS + b"X-A: "), is_slow=True),
        accept(
            "an image, then a letter in drops",
            _begin(_drip, lambda: body + image_open()),
            is_slow=True,
        ),
    ]


def _list_images() -> list[Flood]:
    def answer(make: Callable[[], bytes]) -> Pour:
        return later(lambda: frame(encode(make())))

    def weigh(mebibytes: int) -> bytes:
        return make_image() + bytes(mebibytes * MEBIBYTE)

    return [
        Flood(name="64 megapixels", pour=answer(make_large_image), keeps="image"),
        Flood(
            name="an animation of 64 megapixels in 90 bytes",
            pour=answer(make_animation),
            kinds=(Failure.INTERNAL,),
            keeps="spool",
            words="not enough memory",
        ),
        Flood(name="a file of 63 MiB", pour=answer(partial(weigh, 63)), keeps="image"),
        Flood(name="a file of 70 MiB", pour=answer(partial(weigh, 70)), kinds=BAD, keeps="spool"),
    ]


def list_floods() -> list[Flood]:
    """All of them."""
    return [*_list_packed(), *_list_json(), *_list_endless(), *_list_images()]


class RestService:
    """Pours `flood` out to each POST, and a good answer while there is none."""

    def __init__(self) -> None:
        self.flood: Flood | None = None
        self._listener = Listener(self._answer)
        self.host = f"http://{self._listener.address}"

    def close(self) -> None:
        """Take no further connection."""
        self._listener.close()

    def _answer(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, ValueError):
            _read_post(connection)
            pour = self.flood.pour if self.flood else later(lambda: frame(encode(make_image())))
            for part in pour():
                connection.sendall(part)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)


def _read_post(connection: socket.socket) -> None:
    data = b""
    while b"\r\n\r\n" not in data and (part := connection.recv(65536)):
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    match = re.search(rb"(?i)content-length: *(\d+)", head)
    left = int(match[1]) - len(body) if match else 0
    while left > 0 and (part := connection.recv(65536)):
        left -= len(part)
