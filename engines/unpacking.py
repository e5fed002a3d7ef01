"""Unpacking what a service has packed, with an end to it: a few KB may stand for gigabytes."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import msgspec

LAYERS_LIMIT = 3
"""How often one answer may be packed: once is usual, a proxy may pack it once more."""

_GZIP, _ZLIB, _RAW = 31, 15, -15
"""What zlib calls the three formats (`wbits`); `deflate` is one of the latter two."""

_FORMATS = {"gzip": (_GZIP,), "x-gzip": (_GZIP,), "deflate": (_ZLIB, _RAW)}


class Unpacked(msgspec.Struct, frozen=True):
    """What came out, at most as many bytes as were allowed.

    `fault` says why that is not the whole answer, as the end of a sentence about it; empty when
    it is the whole.
    """

    data: bytes
    fault: str = ""


def unpack(data: bytes, codings: Sequence[str], limit: int) -> Unpacked:
    """`data` without the layers that `codings` name, the outermost last (RFC 9110, 8.4).

    No layer may be larger than `limit` bytes. Blocks, so call it in a thread.
    """
    names = [name for one in codings if (name := one.strip().lower()) not in ("", "identity")]
    if len(names) > LAYERS_LIMIT:
        return Unpacked(b"", f"is packed {len(names)} times, one within the other")
    for left, name in enumerate(reversed(names), start=1 - len(names)):
        if name not in _FORMATS:
            return Unpacked(b"", "is packed in a way that was not asked for")
        layer = _unpack_once(data, _FORMATS[name], limit)
        if layer.fault:
            # What came out of an outer layer is still packed.
            return layer if left == 0 else Unpacked(b"", layer.fault)
        data = layer.data
    return Unpacked(data)


def is_packed(data: bytes) -> bool:
    """Whether a protobuf message in `data` is packed, with gzip or zlib.

    No message can begin with gzip's mark, and none of the protocol has the field that zlib's is.
    """
    return _find_format(data) is not None


def unpack_message(data: bytes, limit: int) -> Unpacked:
    """The protobuf message in `data`, which may be packed once."""
    form = _find_format(data)
    return Unpacked(data) if form is None else _unpack_once(data, (form,), limit)


def _find_format(data: bytes) -> int | None:
    if data[:2] == b"\x1f\x8b":
        return _GZIP
    is_zlib = data[:1] == b"\x78" and int.from_bytes(data[:2], "big") % 31 == 0
    return _ZLIB if is_zlib and len(data) > 1 else None


def _unpack_once(data: bytes, formats: Sequence[int], limit: int) -> Unpacked:
    for form in formats:
        unpacker = zlib.decompressobj(form)
        try:
            found = unpacker.decompress(data, limit + 1)
        except zlib.error:
            continue
        if len(found) > limit:
            text = f"is larger than {show_size(limit)} once it is unpacked"
            return Unpacked(found[:limit], text)
        return Unpacked(found, "" if unpacker.eof else "is packed, and ends too early")
    return Unpacked(b"", "is said to be packed, and cannot be unpacked")


def show_size(count: int) -> str:
    """A limit of so many bytes, as it is told."""
    for unit, name in ((1024**2, "MiB"), (1024, "KiB")):
        if count >= unit and count % unit == 0:
            return f"{count // unit} {name}"
    return f"{count:,} bytes"
