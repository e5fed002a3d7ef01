"""What is packed comes out whole, or to a limit and with a reason."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Sequence

import pytest

from engines.unpacking import Unpacked, is_packed, show_size, unpack, unpack_message

TEXT = b'{"image": "..."}' * 40
LIMIT = 10_000
RAW = zlib.compressobj(wbits=-15)
BARE = RAW.compress(TEXT) + RAW.flush()


def pack(data: bytes, level: int = 9) -> bytes:
    return gzip.compress(data, level, mtime=0)


@pytest.mark.parametrize(
    ("data", "codings"),
    [
        (TEXT, []),
        (TEXT, ["identity", " "]),
        (pack(TEXT), ["gzip"]),
        (pack(TEXT), ["X-GZIP "]),
        (zlib.compress(TEXT), ["deflate"]),
        (BARE, ["deflate"]),
        (pack(zlib.compress(TEXT)), ["deflate", "gzip"]),
        (pack(pack(pack(TEXT))), ["gzip"] * 3),
    ],
)
def test_what_is_packed_comes_out_whole(data: bytes, codings: Sequence[str]) -> None:
    assert unpack(data, codings, LIMIT) == Unpacked(TEXT)


@pytest.mark.parametrize(
    ("data", "codings", "begins", "words"),
    [
        (pack(bytes(LIMIT + 1)), ["gzip"], bytes(LIMIT), "larger than 10,000 bytes once"),
        (pack(pack(bytes(10**7))), ["gzip", "gzip"], bytes(LIMIT), "larger"),
        (pack(TEXT)[:-4], ["gzip"], TEXT, "ends too early"),
        (pack(pack(TEXT))[:-4], ["gzip", "gzip"], b"", "ends too early"),
        (b"junk", ["gzip"], b"", "cannot be unpacked"),
        (b"\xff" * 99, ["deflate"], b"", "cannot be unpacked"),
        (TEXT, ["br"], b"", "not asked for"),
        (pack(TEXT), ["zstd", "gzip"], b"", "not asked for"),
        (TEXT, ["gzip"] * 4, b"", "packed 4 times"),
    ],
)
def test_what_is_too_much_or_damaged_is_told(
    data: bytes, codings: Sequence[str], begins: bytes, words: str
) -> None:
    found = unpack(data, codings, LIMIT)
    assert found.data == begins
    assert words in found.fault


def test_just_as_much_as_is_allowed_is_whole() -> None:
    assert unpack(pack(bytes(LIMIT)), ["gzip"], LIMIT) == Unpacked(bytes(LIMIT))


def test_a_message_is_unpacked_whichever_way_it_is_packed() -> None:
    for level in (1, 6, 9):
        for packed in (pack(TEXT, level), zlib.compress(TEXT, level)):
            assert is_packed(packed)
            assert unpack_message(packed, LIMIT) == Unpacked(TEXT)
    for plain in (b"", b"x", b"\x0a\x03a-1", b"\x78"):
        assert not is_packed(plain)
        assert unpack_message(plain, LIMIT) == Unpacked(plain)
    assert "larger" in unpack_message(pack(bytes(LIMIT + 1)), LIMIT).fault


def test_a_limit_is_told_in_its_unit() -> None:
    sizes = (96 * 1024**2, 64 * 1024, 1000)
    assert [show_size(size) for size in sizes] == ["96 MiB", "64 KiB", "1,000 bytes"]
