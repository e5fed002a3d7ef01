"""Image files for the tests of metadata: of each format, and malformed ones."""

from __future__ import annotations

import io
import random
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from store.metadata.containers import Metadata, make_png_chunk

FORMATS: dict[str, dict[str, Any]] = {
    "PNG": {"format": "PNG"},
    "JPEG": {"format": "JPEG", "quality": 95},
    "JPEG, progressive": {"format": "JPEG", "progressive": True},
    "WebP, lossless": {"format": "WEBP", "lossless": True},
    "WebP": {"format": "WEBP", "quality": 80},
}


def make_file(name: str = "PNG", **more: Any) -> bytes:
    """A small image of colours in a format, `more` for Pillow."""
    image = Pillow.linear_gradient("L").resize((48, 32)).convert("RGB")
    image.putpixel((3, 3), (200, 10, 10))
    image.save(file := io.BytesIO(), **FORMATS[name] | more)
    return file.getvalue()


STATUS = Path("/proc/self/status")


def measure_peak() -> int:
    """The most bytes that this process had in memory, where the system tells (`STATUS`).

    Unlike `ru_maxrss` it does not count what the process was that started this one.
    """
    lines = STATUS.read_text().splitlines()
    (line,) = (line for line in lines if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def read_pixels(data: bytes) -> bytes:
    """The decoded pixels of a file."""
    with Pillow.open(io.BytesIO(data)) as image:
        return image.tobytes()


def make_malformed(count: int) -> Iterator[tuple[str, bytes]]:
    """`count` files with something wrong, with a word for what: bombs, lies, cuts, noise."""
    chance = random.Random(20)
    packer = zlib.compressobj(1)
    bomb = b"".join([*(packer.compress(bytes(1 << 20)) for _ in range(100)), packer.flush()])
    huge = zlib.compress(b"x" * (5 * 1024 * 1024), 1)
    png = make_file()
    head, tail = png[:33], png[33:]
    jpeg, webp = make_file("JPEG"), make_file("WebP")
    # One after the other, as some are large.
    yield "zTXt bomb", head + make_png_chunk(b"zTXt", b"parameters\0\0" + bomb) + tail
    yield "iTXt bomb", head + make_png_chunk(b"iTXt", b"prompt\0\1\0\0\0" + bomb) + tail
    yield "many bombs", head + make_png_chunk(b"zTXt", b"a\0\0" + huge) * 300 + tail
    yield "many texts", head + make_png_chunk(b"tEXt", b"a\0b") * 50_000 + tail
    yield "many chunks", head + make_png_chunk(b"abCd", b"") * 60_000 + tail
    yield "many records", head + make_png_chunk(b"slRc", b"{}") * 5000 + tail
    yield "large text", head + make_png_chunk(b"tEXt", b"a\0" + b"b" * 20_000_000) + tail
    yield "large record", head + make_png_chunk(b"slRc", b"[" * 20_000_000) + tail
    yield "large inputs", head + make_png_chunk(b"slIn", bytes(9_000_000)) * 3 + tail
    yield "lying length", head + struct.pack(">I", 0x7FFFFFFF) + b"tEXt" + b"a\0b" + tail
    yield "negative length", head + b"\xff\xff\xff\xfftEXt" + tail
    yield "no end", png[:-12]
    yield "no key", head + make_png_chunk(b"tEXt", b"no key at all" * 20) + tail
    yield "empty text", head + make_png_chunk(b"tEXt", b"") + make_png_chunk(b"iTXt", b"") + tail
    yield "no stream", head + make_png_chunk(b"zTXt", b"a\0\0nothing") + tail
    yield "deep record", head + make_png_chunk(b"slRc", b'{"a":' * 100_000) + tail
    yield "only a head", png[:8]
    yield "APP1 that lies", jpeg[:2] + b"\xff\xe1\xff\xffExif\0\0" + jpeg[2:]
    yield "APP1 of no length", jpeg[:2] + b"\xff\xe1\0\0" + jpeg[2:]
    yield "own segments that lie", jpeg[:2] + _make_lies() + jpeg[2:]
    yield "endless fill", jpeg[:2] + b"\xff" * 1_000_000
    yield "many comments", jpeg[:2] + b"\xff\xfe\0\x03a" * 60_000 + jpeg[2:]
    yield "no end of pixels", jpeg[:-2]
    yield "RIFF that lies", webp[:4] + b"\xff\xff\xff\xff" + webp[8:]
    yield "chunk that lies", webp[:16] + b"\xff\xff\xff\x7f" + webp[20:]
    yield "empty RIFF", b"RIFF\x04\0\0\0WEBP"
    yield "EXIF that points at itself", _wrap_exif(webp, _make_loop())
    yield "EXIF that points everywhere", _wrap_exif(webp, _make_wide())
    sources = [make_file(name) for name in FORMATS]
    sources.append(_wrap_exif(webp, _make_wide()))
    for number in range(count - 28):
        data = bytearray(chance.choice(sources))
        match number % 3:
            case 0:
                for _ in range(chance.randint(1, 40)):
                    data[chance.randrange(len(data))] = chance.randrange(256)
                yield f"changed {number}", bytes(data)
            case 1:
                yield f"cut {number}", bytes(data[: chance.randrange(12, len(data))])
            case _:
                place, length = chance.randrange(len(data)), chance.randint(1, 60)
                data[place : place + length] = chance.randbytes(chance.randint(0, 90))
                yield f"spliced {number}", bytes(data)


def _make_lies() -> bytes:
    content = b"safelight\0slRc\0\0\0\0\xff\xff{}"
    return (b"\xff\xea" + struct.pack(">H", len(content) + 2) + content) * 3


def _wrap_exif(webp: bytes, exif: bytes) -> bytes:
    body = webp[12:] + b"EXIF" + struct.pack("<I", len(exif)) + exif + b"\0" * (len(exif) % 2)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _make_loop() -> bytes:
    """A directory whose exposure directory is itself."""
    return b"MM\0*\0\0\0\x08" + struct.pack(">HHHIII", 1, 0x8769, 4, 1, 8, 8)


def _make_wide() -> bytes:
    """A thousand texts that are each the whole file."""
    entry = struct.pack(">HHII", 0x010E, 2, 3_000_000, 8)
    data = b"MM\0*" + struct.pack(">I", 8) + struct.pack(">H", 1000) + entry * 1000 + b"\0" * 4
    return data + b"a" * 3_100_000


def find_text(metadata: Metadata, key: str) -> str | None:
    """The last text of this key, as other readers take it."""
    return next((field.text for field in reversed(metadata.fields) if field.key == key), None)
