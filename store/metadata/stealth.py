"""Text that is hidden in the lowest bits of an image's transparency, as NovelAI and others do.

It survives where the texts of a file are taken out. The bits go down the columns, from the left:
15 letters that say what follows, its length in bits, 32 bits, and it, compressed by gzip or not.
"""

from __future__ import annotations

import zlib

from PIL.Image import Image, Transpose

BYTES_LIMIT = 1024 * 1024
TEXT_LIMIT = 4 * 1024 * 1024
_PLAIN, _COMPRESSED = b"stealth_pnginfo", b"stealth_pngcomp"
_HEAD_BITS = 8 * len(_PLAIN) + 32
_LOWEST = [value & 1 for value in range(256)]
_DIGITS = bytes.maketrans(b"\0\1", b"01")


def read_stealth(image: Image) -> str | None:
    """The text that is hidden in a decoded image, None where there is none."""
    if image.mode not in ("RGBA", "LA") or image.width * image.height < _HEAD_BITS:
        return None
    head = _read_bits(image, 0, _HEAD_BITS)
    magic, length = head[: len(_PLAIN)], int.from_bytes(head[len(_PLAIN) :])
    if magic not in (_PLAIN, _COMPRESSED) or length % 8 or length > 8 * BYTES_LIMIT:
        return None
    if _HEAD_BITS + length > image.width * image.height or not length:
        return None
    data = _read_bits(image, _HEAD_BITS, length)
    if magic == _COMPRESSED:
        stream = zlib.decompressobj(wbits=31)
        try:
            data = stream.decompress(data, TEXT_LIMIT)
        except zlib.error:
            return None
    return data.decode("utf-8", "replace")


def _read_bits(image: Image, start: int, count: int) -> bytes:
    """Bits of the transparency as bytes; only the columns that they are in are looked at."""
    first, last = start // image.height, (start + count - 1) // image.height
    columns = image.crop((first, 0, last + 1, image.height)).getchannel("A")
    lowest = columns.transpose(Transpose.TRANSPOSE).point(_LOWEST).tobytes()
    begin = start - first * image.height
    digits = lowest[begin : begin + count].translate(_DIGITS)
    return int(digits, 2).to_bytes((count + 7) // 8)
