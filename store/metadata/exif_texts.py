"""EXIF texts: read from and written into the directories of a TIFF file, which EXIF data are.

Only the first directory and the one for exposure are looked at; values are sliced within bounds.
To add a text, the changed directories are appended, so that whatever else points into the data
still points at the same.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from store.exif import ORIENTATION

ENTRIES_LIMIT = 1000
EXIF_HEAD = b"Exif\0\0"
"""What stands before EXIF data in a JPEG file."""

_EXIF_DIRECTORY = 0x8769
_USER_COMMENT = 0x9286
_TEXTS = {
    0x010D: "DocumentName",
    0x010E: "ImageDescription",
    0x010F: "Make",
    0x0110: "Model",
    0x0131: "Software",
    0x013B: "Artist",
    0x8298: "Copyright",
    0x927C: "MakerNote",
    _USER_COMMENT: "UserComment",
    0x9C9B: "XPTitle",
    0x9C9C: "XPComment",
    0x9C9D: "XPAuthor",
    0x9C9E: "XPKeywords",
    0x9C9F: "XPSubject",
}
"""The tags that hold texts."""

_SIZES = {1: 1, 2: 1, 6: 1, 7: 1}
"""Bytes of a value by its type, for the types that texts have."""


class _Entry(NamedTuple):
    tag: int
    kind: int
    length: int
    value: bytes
    """The four bytes of the entry: the value itself, or where it is."""


class _Directories(NamedTuple):
    order: str
    data: bytes
    first: int
    main: list[_Entry]
    exif: list[_Entry]
    following: int
    """Where the next directory behind the first is, 0 for none."""


def read_exif_texts(data: bytes, limit: int) -> list[tuple[str, str]]:
    """The names of tags and their texts in EXIF data, with or without the head of JPEG's.

    `limit`: most bytes of a text. What is damaged is left out.
    """
    directories = _read_directories(data)
    if directories is None:
        return []
    found: list[tuple[str, str]] = []
    left = limit
    for entry in (*directories.main, *directories.exif):
        if (name := _TEXTS.get(entry.tag)) is None:
            continue
        raw = _read_value(directories, entry, left)
        left -= len(raw)
        if text := _decode(name, raw, directories.order):
            found.append((name, text))
    return found


def _read_directories(data: bytes) -> _Directories | None:
    while data.startswith(EXIF_HEAD):
        data = data[len(EXIF_HEAD) :]
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])
    if order is None or len(data) < 8:
        return None
    (first,) = struct.unpack_from(order + "I", data, 4)
    found = _read_directory(data, order, first)
    if found is None:
        return None
    main, following = found
    exif: list[_Entry] = []
    for entry in main:
        if entry.tag == _EXIF_DIRECTORY and entry.kind in (4, 13):
            (place,) = struct.unpack(order + "I", entry.value)
            exif = (_read_directory(data, order, place) or ([], 0))[0]
    return _Directories(order, data, first, main, exif, following)


def _read_directory(data: bytes, order: str, place: int) -> tuple[list[_Entry], int] | None:
    if not 8 <= place <= len(data) - 2:
        return None
    (count,) = struct.unpack_from(order + "H", data, place)
    end = place + 2 + 12 * count
    if count > ENTRIES_LIMIT or end > len(data):
        return None
    entry = struct.Struct(order + "HHI4s")
    entries = [_Entry(*entry.unpack_from(data, place + 2 + 12 * index)) for index in range(count)]
    following = struct.unpack_from(order + "I", data, end)[0] if end + 4 <= len(data) else 0
    return entries, following


def _read_value(directories: _Directories, entry: _Entry, limit: int) -> bytes:
    """The bytes of a value, empty for one of another type, out of the data or of the limit."""
    size = _SIZES.get(entry.kind, 0) * entry.length
    if size <= 4:
        return entry.value[:size]
    (place,) = struct.unpack(directories.order + "I", entry.value)
    is_there = size <= limit and place + size <= len(directories.data)
    return directories.data[place : place + size] if is_there else b""


def _decode(name: str, raw: bytes, order: str) -> str:
    if name.startswith("XP"):
        return raw.decode("utf-16-le", "replace").rstrip("\0")
    if name == "UserComment":
        head, rest = raw[:8], raw[8:]
        if head == b"UNICODE\0":
            return _decode_utf16(rest, order).rstrip("\0")
        if head in (b"ASCII\0\0\0", b"\0" * 8):
            raw = rest
    text = raw.rstrip(b"\0")
    try:
        return text.decode()
    except UnicodeDecodeError:
        # Cameras write all kinds of bytes into their notes.
        return "" if name == "MakerNote" else text.decode("latin-1")


def _decode_utf16(raw: bytes, order: str) -> str:
    """UTF-16 of whichever order of bytes; programs write either in files of either."""
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", "replace")
    sample = raw[:2000]
    big, little = sample[0::2].count(0), sample[1::2].count(0)
    is_big = big > little if big != little else order == ">"
    return raw.decode("utf-16-be" if is_big else "utf-16-le", "replace")


def add_user_comment(data: bytes, text: str) -> bytes | None:
    """EXIF data (empty for none) with `text` as their user comment, and the head of JPEG's.

    None where they have one already, or are damaged: they are then to be left as they are.
    """
    comment = b"UNICODE\0" + text.encode("utf-16-be", "replace")
    if not data:
        exposure = struct.pack(
            ">HHHI4sI", 1, _USER_COMMENT, 7, len(comment), struct.pack(">I", 44), 0
        )
        head = struct.pack(">HHHIII", 1, _EXIF_DIRECTORY, 4, 1, 26, 0)
        return EXIF_HEAD + b"MM\0*" + struct.pack(">I", 8) + head + exposure + comment
    directories = _read_directories(data)
    if directories is None or any(
        entry.tag == _USER_COMMENT for entry in (*directories.main, *directories.exif)
    ):
        return None
    order = directories.order
    body: bytes = directories.data + b"\0" * (len(directories.data) % 2)
    place = len(body)
    body += comment + b"\0" * (len(comment) % 2)
    added = [*directories.exif]
    added.append(_Entry(_USER_COMMENT, 7, len(comment), struct.pack(order + "I", place)))
    exif_place = len(body)
    body += _pack_directory(order, added, 0)
    main = [entry for entry in directories.main if entry.tag != _EXIF_DIRECTORY]
    main.append(_Entry(_EXIF_DIRECTORY, 4, 1, struct.pack(order + "I", exif_place)))
    main_place = len(body)
    body += _pack_directory(order, main, directories.following)
    return EXIF_HEAD + body[:4] + struct.pack(order + "I", main_place) + body[8:]


def _pack_directory(order: str, entries: list[_Entry], following: int) -> bytes:
    packed = [struct.pack(order + "HHI4s", *entry) for entry in sorted(entries)]
    return (
        struct.pack(order + "H", len(packed))
        + b"".join(packed)
        + struct.pack(order + "I", following)
    )


def make_orientation(orientation: int) -> bytes:
    """EXIF data, without the head of JPEG's, that hold nothing but how an image is turned."""
    entry = struct.pack(">HHIHH", ORIENTATION, 3, 1, orientation, 0)
    return b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
