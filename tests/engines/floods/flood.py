"""What one answer that is too much is, and the state in which a job with it must end."""

from __future__ import annotations

import contextlib
import io
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from functools import cache

import msgspec
from PIL import Image

from engines.base import Failure

MEBIBYTE = 1024 * 1024

Pour = Callable[[], Iterator[bytes]]


class Listener:
    """A port of this machine, `address`, that has each connection answered in a thread."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._answer = answer
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Take no further connection."""
        self._socket.close()

    def _listen(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                threading.Thread(target=self._answer, args=(connection,), daemon=True).start()


class Flood(msgspec.Struct, frozen=True, kw_only=True):
    """One answer: `pour` gives its parts, without end where the answer has none.

    `kinds`: the failure that a job ends with, several where it depends on how fast the machine
    is; none for an image. `keeps`: what is kept, `image`, `spool` (as it came) or nothing.
    `words`: of the failure, or of the warning beside the image. `is_slow`: it lasts until the
    deadline, however fast the machine is. `is_packed`: gRPC packs each message.
    """

    name: str
    pour: Pour
    kinds: tuple[Failure, ...] = ()
    keeps: str = ""
    words: str = ""
    is_slow: bool = False
    is_packed: bool = False


def repeat(part: bytes, begin: bytes = b"", *, size: int = 64 * 1024) -> Pour:
    """`begin`, then `part` without end, many of it at a time."""

    def pour() -> Iterator[bytes]:
        yield begin
        many = part * max(1, size // len(part))
        while True:
            yield many

    return pour


def later(make: Callable[[], bytes]) -> Pour:
    """One part, which is made when it is poured out."""

    def pour() -> Iterator[bytes]:
        yield make()

    return pour


@cache
def make_image(kind: str = "PNG", side: int = 64) -> bytes:
    """The file of a plain image."""
    file = io.BytesIO()
    Image.new("RGB", (side, side), "navy").save(file, kind)
    return file.getvalue()


def make_large_image() -> bytes:
    """A PNG of as many pixels as are opened at all, in a few hundred kilobytes."""
    file = io.BytesIO()
    Image.new("RGB", (8192, 8192), "navy").save(file, "PNG", compress_level=1)
    return file.getvalue()


def make_animation(side: int = 8192) -> bytes:
    """A WebP of 90 bytes with a canvas of `side` squared and one small frame."""
    still = io.BytesIO()
    Image.new("RGB", (16, 16)).save(still, "WEBP", lossless=True)
    frame = bytes(6) + struct.pack("<I", 15)[:3] * 2 + b"\x01\0\0\0" + still.getvalue()[12:]
    sides = struct.pack("<I", side - 1)[:3] * 2
    chunks = b"VP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + sides
    chunks += b"ANIM" + struct.pack("<I", 6) + bytes(6)
    chunks += b"ANMF" + struct.pack("<I", len(frame)) + frame + bytes(len(frame) % 2)
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks
