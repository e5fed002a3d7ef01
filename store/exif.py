"""EXIF data: how an image is turned, read by Pillow within bounds that it does not set itself.

EXIF data are a TIFF directory. One of 65,535 entries may point 65,535 times at the whole file, and
Pillow would copy all of it, in part as soon as a file is opened. So what the entries of a file
point at together is looked at before.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL.Image import Image, Transpose

from store.errors import StoreError

ORIENTATION = 0x0112
PAGES_LIMIT = 1000
ENTRIES_LIMIT = 100_000

_TURNS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}
"""What turns an image upright, by the value of the EXIF tag `Orientation` (1: it is)."""

_MARKS = (b"Exif", b"eXIf", b"EXIF", b"Orientation", b"Raw profile type")
_TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 16: 8}
"""Bytes of a value by the number of its type in a directory."""

_TOO_MUCH = "The directories of the image file hold more than the file."


def may_be_turned(data: bytes) -> bool:
    """Whether the image file may say how it is turned; what says so has one of a few marks."""
    return any(mark in data for mark in _MARKS)


def turn(image: Image, orientation: int) -> Image:
    """`image`, stored with this EXIF orientation, upright."""
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def read_orientation(image: Image) -> tuple[int, bool]:
    """The EXIF orientation of a loaded image, 1 where it has none, and whether it is damaged.

    Pillow finds it in EXIF and XMP data.
    """
    is_whole = True
    try:
        if data := _find_exif(image):
            is_whole = check_directories(data).is_whole
        value = image.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001 (Pillow's reader of EXIF data raises whatever it meets)
        return 1, True
    if isinstance(value, int) and 1 <= value <= 8:
        return value, False
    return 1, value is None and not is_whole


def _find_exif(image: Image) -> bytes:
    found = image.info.get("exif")
    if found is None and (text := image.info.get("Raw profile type exif")):
        found = bytes.fromhex("".join(str(text).split("\n")[3:]))
    return _strip(found) if isinstance(found, bytes) else b""


def _strip(data: bytes) -> bytes:
    """EXIF data from the head of their directories on."""
    return re.sub(rb"^(Exif\0\0){1,2}", b"", data)


class Directories(NamedTuple):
    """What was seen of the directories of a TIFF file or of EXIF data."""

    total: int
    is_whole: bool


def check_directories(data: bytes) -> Directories:
    """How many directories there are, and whether none is cut off.

    Raises `StoreError` where they point at more than twice the data, or are too many.
    """
    order = "<" if data[:2] == b"II" else ">"
    is_big = data[2:3] == b"+"  # as Pillow tells it
    head, count = (order + "Q", order + "Q") if is_big else (order + "I", order + "H")
    entry = struct.Struct(order + ("HHQ8x" if is_big else "HHI4x"))
    seen: set[int] = set()
    pointed = entries = 0
    try:
        (place,) = struct.unpack_from(head, data, 8 if is_big else 4)
        while place and place not in seen and place < len(data):
            seen.add(place)
            (own,) = struct.unpack_from(count, data, place)
            place += struct.calcsize(count)
            for _ in range(own):
                _, kind, values = entry.unpack_from(data, place)
                place += entry.size
                entries += 1
                pointed += values * _TYPE_SIZES.get(kind, 1)
                if pointed > 2 * len(data) + 65536 or entries > ENTRIES_LIMIT:
                    raise StoreError(_TOO_MUCH)
            if len(seen) > PAGES_LIMIT:
                raise StoreError(_TOO_MUCH)
            (place,) = struct.unpack_from(head, data, place)
    except struct.error:
        return Directories(len(seen), False)  # what is cut off is for its reader to tell
    return Directories(len(seen), bool(seen))


def check_jpeg(data: bytes) -> None:
    """Raise `StoreError` for a JPEG file whose EXIF data or index of images hold too much.

    Pillow reads both as soon as it opens the file.
    """
    exif = b""
    for marker, segment in _list_segments(data):
        if marker == 0xE1 and segment.startswith(b"Exif\0\0"):
            exif += segment[6:] if exif else segment  # so Pillow joins them
        elif marker == 0xE2 and segment.startswith(b"MPF\0"):
            check_directories(segment[4:])
    if exif:
        check_directories(_strip(exif))


def _list_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The segments of a JPEG file before its pixels, each with its marker's second byte."""
    place = 2 if data.startswith(b"\xff\xd8") else len(data)
    while place + 4 <= len(data):
        if data[place] != 0xFF or data[place + 1] == 0xFF:
            place += 1
        elif data[place + 1] == 0xDA:
            return
        elif data[place + 1] in (0x00, 0x01, *range(0xD0, 0xDA)):
            place += 2
        else:
            length = int.from_bytes(data[place + 2 : place + 4])
            yield data[place + 1], data[place + 4 : place + 2 + length]
            place += 2 + max(2, length)
