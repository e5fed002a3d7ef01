"""Metadata in image files: read from and written into the bytes of PNG, JPEG and WebP.

Chunks and segments are spliced, so pixels are never encoded again. Nothing in a file is trusted:
lengths are compared with what is there, what is compressed is inflated up to a bound, and chunks,
texts and their sum are bounded. What a bound leaves out is told in `Metadata.notes`.

Our own parts (record, signature, input files) have a place of their own in each format:

* PNG: the chunks `slRc`, `slSg` and `slIn` (ancillary, private, safe to copy), before `IEND`.
* JPEG: `APP10` segments that begin with `safelight` and NUL, then the four letters of the kind and
  three numbers of 16 bits: which part, which segment of it (from 0), how many segments it has.
* WebP: RIFF chunks with the names of the PNG chunks, behind all others.

Texts for other programs go where they look: PNG `tEXt`, or `iTXt` where Latin-1 does not do, of
the key `parameters`; in JPEG and WebP the EXIF tag `UserComment`, as UTF-16.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from store.errors import StoreError
from store.metadata.exif_texts import (
    EXIF_HEAD,
    add_user_comment,
    make_orientation,
    read_exif_texts,
)
from store.pixels import FILE_LIMIT

Format = Literal["PNG", "JPEG", "WEBP"]
Source = Literal["tEXt", "zTXt", "iTXt", "EXIF", "XMP", "COM"]
Kind = Literal["record", "signature", "input"]

CHUNKS_LIMIT = 50_000
"""Most chunks or segments of a file; one of 64 MiB in pieces of 8 KiB has 8,192."""

FIELDS_LIMIT = 1000
FIELD_LIMIT = 4 * 1024 * 1024
"""Most bytes of one text, once inflated."""

TEXTS_LIMIT = 12 * 1024 * 1024
"""Most bytes of all texts of a file together, once inflated."""

PARTS_LIMIT = 32
PARTS_BYTES = 32 * 1024 * 1024
"""Most bytes of our own parts together."""

PARAMETERS = "parameters"

_PNG = b"\x89PNG\r\n\x1a\n"
_NAMES: dict[Kind, bytes] = {"record": b"slRc", "signature": b"slSg", "input": b"slIn"}
_KINDS: dict[bytes, Kind] = {name: kind for kind, name in _NAMES.items()}
_APP10, _APP1, _APP2, _COM, _SOS, _EOI = 0xEA, 0xE1, 0xE2, 0xFE, 0xDA, 0xD9
_OWN = b"safelight\0"
_OWN_HEAD = struct.Struct(">4sHHH")
_SEGMENT = 65533
"""Most bytes of a JPEG segment behind its length."""

_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MORE_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PNG_PIXELS = frozenset(
    b"IHDR PLTE IDAT IEND tRNS gAMA cHRM sRGB iCCP cICP sBIT bKGD pHYs acTL fcTL fdAT mDCV "
    b"cLLI".split()
)
"""The chunks of a PNG file that say how it looks."""

_WEBP_PIXELS = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_HAS_ALPHA, _HAS_EXIF, _HAS_XMP = 0x10, 0x08, 0x04


class Field(NamedTuple):
    """One text of a file.

    `key`: that of a PNG text, the name of an EXIF tag (`UserComment`, `ImageDescription` …),
    `Comment` for a comment of a JPEG file, `XMP` for a whole packet of XMP.
    """

    source: Source
    key: str
    text: str


class Part(NamedTuple):
    """Something of ours: a `record`, a `signature`, or the file of an `input`."""

    kind: Kind
    data: bytes


class Metadata(NamedTuple):
    """What a file carries: its texts in their order, our own parts, and what was not read.

    `notes` are sentences. Texts may hold anything: they are data from outside.
    """

    format: Format
    fields: tuple[Field, ...] = ()
    parts: tuple[Part, ...] = ()
    notes: tuple[str, ...] = ()


class _Piece(NamedTuple):
    """A chunk or segment: its name, where it begins and ends, and where its content does."""

    name: bytes
    start: int
    inner: int
    inner_end: int
    end: int


def identify_format(data: bytes) -> Format:
    """Which of the formats `data` has by its first bytes. Raises `StoreError` for another one."""
    if data.startswith(_PNG):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "WEBP"
    raise StoreError("This is not a PNG, JPEG or WebP image.")


_Chunk = tuple[bytes, bytes | memoryview]
"""The name and the content of a WebP chunk."""


# Reading


def read_metadata(data: bytes) -> Metadata:
    """The texts and our own parts in an image file.

    A damaged file gives what stands before the damage, and a note. Raises `StoreError` for what is
    no PNG, JPEG or WebP file, or larger than 64 MiB.
    """
    kind = identify_format(data)
    _check_size(len(data))
    reader = _Reader(data)
    {"PNG": reader.read_png, "JPEG": reader.read_jpeg, "WEBP": reader.read_webp}[kind]()
    return Metadata(
        kind, tuple(reader.fields), tuple(reader.parts), tuple(dict.fromkeys(reader.notes))
    )


class _Reader:
    """Goes through one file and keeps what fits into the bounds."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.fields: list[Field] = []
        self.parts: list[Part] = []
        self.notes: list[str] = []
        self._texts_left = TEXTS_LIMIT
        self._parts_left = PARTS_BYTES
        # What is left out was inflated too.
        self._inflated_left = 2 * TEXTS_LIMIT

    def read_png(self) -> None:
        for piece in self._walk(_walk_png(self.data)):
            content = memoryview(self.data)[piece.inner : piece.inner_end]
            if piece.name in (b"tEXt", b"zTXt", b"iTXt"):
                self._take_png_text(piece.name, content)
            elif piece.name == b"eXIf":
                self._take_exif(bytes(content[:FIELD_LIMIT]))
            elif kind := _KINDS.get(piece.name):
                crc = int.from_bytes(self.data[piece.inner_end : piece.end])
                if zlib.crc32(content, zlib.crc32(piece.name)) != crc:
                    self.notes.append(f"The checksum of the chunk {piece.name.decode()} is wrong.")
                self._take_part(kind, [content])

    def read_jpeg(self) -> None:
        exif = b""
        packets: dict[bytes, dict[int, bytes]] = {}
        own: dict[tuple[bytes, int], dict[int, tuple[int, memoryview]]] = {}
        for piece in self._walk(_walk_jpeg(self.data)):
            content = memoryview(self.data)[piece.inner : piece.inner_end]
            marker, head = piece.name[0], bytes(content[: len(_MORE_XMP)])
            if marker == _COM:
                self._keep("COM", "Comment", _decode(self._bound(content)))
            elif marker == _APP1 and head.startswith(EXIF_HEAD):
                exif = exif or bytes(content)
            elif marker == _APP1 and head.startswith(_XMP):
                self._take_xmp(bytes(content[len(_XMP) :]))
            elif marker == _APP1 and head.startswith(_MORE_XMP) and len(content) > 75:
                guid, rest = bytes(content[35:67]), bytes(content[75:])
                offset = int.from_bytes(content[71:75])
                parts = packets.setdefault(guid, {})
                if len(packets) <= 4 and sum(map(len, parts.values())) + len(rest) <= FIELD_LIMIT:
                    parts[offset] = rest
            elif marker == _APP10 and head.startswith(_OWN):
                inner = content[len(_OWN) :]
                if len(inner) >= _OWN_HEAD.size:
                    name, item, index, count = _OWN_HEAD.unpack_from(inner)
                    if name in _KINDS and len(own) < 2 * PARTS_LIMIT:
                        found = own.setdefault((name, item), {})
                        found.setdefault(index, (count, inner[_OWN_HEAD.size :]))
        if exif:
            self._take_exif(exif)
        for parts in packets.values():
            self._take_xmp(b"".join(parts[offset] for offset in sorted(parts)))
        for (name, _), segments in own.items():
            counts = {count for count, _ in segments.values()}
            if counts != {len(segments)} or sorted(segments) != list(range(len(segments))):
                self.notes.append(f"A {_KINDS[name]} of Safelight in it is not complete.")
                continue
            self._take_part(_KINDS[name], [segments[index][1] for index in sorted(segments)])

    def read_webp(self) -> None:
        for piece in self._walk(_walk_webp(self.data)):
            content = memoryview(self.data)[piece.inner : piece.inner_end]
            if piece.name == b"EXIF":
                self._take_exif(bytes(content[:FIELD_LIMIT]))
            elif piece.name == b"XMP ":
                self._take_xmp(bytes(content[:FIELD_LIMIT]))
            elif kind := _KINDS.get(piece.name):
                self._take_part(kind, [content])

    def _walk(self, pieces: Iterator[_Piece]) -> Iterator[_Piece]:
        try:
            yield from pieces
        except StoreError as error:
            self.notes.append(error.message)

    def _take_png_text(self, name: bytes, content: memoryview) -> None:
        head = bytes(content[:400])
        key_end = head.find(b"\0")
        if not 0 < key_end <= 79:
            self.notes.append(f"A {name.decode()} chunk has no key of 1 to 79 bytes.")
            return
        key, rest = _decode(head[:key_end]), content[key_end + 1 :]
        if name == b"tEXt":
            self._keep("tEXt", key, _decode(self._bound(rest)))
        elif name == b"zTXt":
            self._keep("zTXt", key, _decode(self._inflate(rest[1:])))
        else:
            flags = bytes(rest[:2])
            head = bytes(rest[2:1026])
            language_end = head.find(b"\0")
            name_end = head.find(b"\0", language_end + 1)
            if len(flags) < 2 or language_end < 0 or name_end < 0:
                self.notes.append(f"The text {key!r} is damaged.")
                return
            rest = rest[2 + name_end + 1 :]
            raw = self._inflate(rest) if flags[0] else self._bound(rest)
            if key == "XML:com.adobe.xmp":
                self._take_xmp(raw)
            else:
                self._keep("iTXt", key, _decode(raw))

    def _bound(self, content: memoryview) -> bytes:
        if len(content) > min(FIELD_LIMIT, self._texts_left):
            self.notes.append(f"A text of {len(content):,} bytes was left out: it is too long.")
            return b""
        return bytes(content)

    def _inflate(self, content: memoryview) -> bytes:
        limit = min(FIELD_LIMIT, self._texts_left, self._inflated_left)
        stream = zlib.decompressobj()
        try:
            raw = stream.decompress(content[:FIELD_LIMIT], limit + 1)
            self._inflated_left = max(0, self._inflated_left - len(raw))
        except zlib.error:
            self.notes.append("A compressed text is damaged.")
            return b""
        if len(raw) > limit:
            self.notes.append(f"A compressed text was left out: it is longer than {limit:,} bytes.")
            return b""
        return raw

    def _keep(self, source: Source, key: str, text: str) -> None:
        if not text:
            return
        if len(self.fields) >= FIELDS_LIMIT:
            self.notes.append(f"There are more than {FIELDS_LIMIT:,} texts; the first are read.")
            return
        self._texts_left = max(0, self._texts_left - len(text.encode("utf-8", "replace")))
        self.fields.append(Field(source, key, text))

    def _take_exif(self, data: bytes) -> None:
        for key, text in read_exif_texts(data, min(FIELD_LIMIT, self._texts_left)):
            self._keep("EXIF", key, text)

    def _take_xmp(self, packet: bytes) -> None:
        packet = self._bound(memoryview(packet))
        self._keep("XMP", "XMP", packet.decode("utf-8", "replace"))

    def _take_part(self, kind: Kind, slices: Sequence[memoryview]) -> None:
        size = sum(map(len, slices))
        if len(self.parts) >= PARTS_LIMIT or size > self._parts_left:
            self.notes.append(f"A {kind} of Safelight in it is too large, or there are too many.")
            return
        self._parts_left -= size
        self.parts.append(Part(kind, b"".join(slices)))


def _decode(raw: bytes) -> str:
    """UTF-8 where it is that, which many programs write where Latin-1 is due; else Latin-1."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


# Walking


def _walk_png(data: bytes) -> Iterator[_Piece]:
    """The chunks up to `IEND`. Raises `StoreError` where they end before."""
    place = len(_PNG)
    for _ in range(CHUNKS_LIMIT):
        if place + 12 > len(data):
            raise StoreError("The image file ends too early.")
        length = int.from_bytes(data[place : place + 4])
        name, end = data[place + 4 : place + 8], place + 12 + length
        if end > len(data):
            raise StoreError("A chunk of the image file is longer than the file.")
        yield _Piece(name, place, place + 8, end - 4, end)
        if name == b"IEND":
            return
        place = end
    raise StoreError(f"The image file has more than {CHUNKS_LIMIT:,} chunks.")


def _walk_jpeg(data: bytes) -> Iterator[_Piece]:
    """The segments, named by the second byte of their markers, that of `SOS` with its pixels."""
    place = 2
    for _ in range(CHUNKS_LIMIT):
        while data[place : place + 2] == b"\xff\xff":
            place += 1
        if place + 2 > len(data) or data[place] != 0xFF:
            raise StoreError("The image file is damaged or ends too early.")
        marker = data[place + 1]
        if marker == _EOI:
            yield _Piece(bytes((marker,)), place, place + 2, place + 2, place + 2)
            return
        length = int.from_bytes(data[place + 2 : place + 4])
        inner_end = place + 2 + length
        if length < 2 or inner_end > len(data):
            raise StoreError("A segment of the image file is longer than the file.")
        end = _skip_pixels(data, inner_end) if marker == _SOS else inner_end
        yield _Piece(bytes((marker,)), place, place + 4, inner_end, end)
        place = end
    raise StoreError(f"The image file has more than {CHUNKS_LIMIT:,} segments.")


def _skip_pixels(data: bytes, place: int) -> int:
    """Where the entropy-coded data end: at the next marker that is no restart."""
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        if data[place + 1] not in (0x00, *range(0xD0, 0xD8)):
            return place
        place += 2
    raise StoreError("The image file ends too early.")


def _walk_webp(data: bytes) -> Iterator[_Piece]:
    size = int.from_bytes(data[4:8], "little") + 8
    if size > len(data):
        raise StoreError("The image file ends too early.")
    place = 12
    for _ in range(CHUNKS_LIMIT):
        if place + 8 > size:
            return
        length = int.from_bytes(data[place + 4 : place + 8], "little")
        inner_end = place + 8 + length
        if inner_end > size:
            raise StoreError("A chunk of the image file is longer than the file.")
        end = min(inner_end + length % 2, size)
        yield _Piece(data[place : place + 4], place, place + 8, inner_end, end)
        place = end
    raise StoreError(f"The image file has more than {CHUNKS_LIMIT:,} chunks.")


def _list_chunks(data: bytes) -> list[_Chunk]:
    view = memoryview(data)
    return [(piece.name, view[piece.inner : piece.inner_end]) for piece in _walk_webp(data)]


def _check_size(size: int) -> None:
    if size > FILE_LIMIT:
        raise StoreError(f"The image file has {size:,} bytes, more than {FILE_LIMIT:,}.")


# Writing


def write_metadata(data: bytes, parts: Sequence[Part], parameters: str | None = None) -> bytes:
    """The image file with our own parts, in place of those that it has, and `parameters`.

    All else in the file is kept; a text of the key `parameters`, or a `UserComment`, that is in it
    already is kept too, and `parameters` left out. In JPEG it is left out too where it is longer
    than a segment. Raises `StoreError` for a damaged file, and for parts that are too large.
    """
    kind = identify_format(data)
    total = sum(len(part.data) for part in parts)
    if len(parts) > PARTS_LIMIT or total > PARTS_BYTES:
        raise StoreError(
            f"The record and its files have {total:,} bytes, more than {PARTS_BYTES:,}.",
            "Leave the input files out.",
        )
    write = {"PNG": _write_png, "JPEG": _write_jpeg, "WEBP": _write_webp}[kind]
    written = write(data, parts, parameters)
    _check_size(len(written))
    return written


def _write_png(data: bytes, parts: Sequence[Part], parameters: str | None) -> bytes:
    view = memoryview(data)
    kept: list[bytes | memoryview] = [_PNG]
    keys = set()
    pieces = list(_walk_png(data))
    for piece in pieces[:-1]:
        if piece.name in _KINDS:
            continue
        if piece.name in (b"tEXt", b"zTXt", b"iTXt"):
            keys.add(data[piece.inner : piece.inner + 80].split(b"\0")[0])
        kept.append(view[piece.start : piece.end])
    if parameters is not None and PARAMETERS.encode() not in keys:
        kept.append(_make_png_text(PARAMETERS, parameters))
    kept += [make_png_chunk(_NAMES[part.kind], part.data) for part in parts]
    kept.append(view[pieces[-1].start :])
    return b"".join(kept)


def _make_png_text(key: str, text: str) -> bytes:
    head = key.encode() + b"\0"
    try:
        return make_png_chunk(b"tEXt", head + text.encode("latin-1"))
    except UnicodeEncodeError:
        return make_png_chunk(b"iTXt", head + b"\0\0\0\0" + text.encode("utf-8", "replace"))


def make_png_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file: length, name, content, CRC-32."""
    crc = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


def _write_jpeg(data: bytes, parts: Sequence[Part], parameters: str | None) -> bytes:
    """`APP0` stays first; ours come behind the segments that stand before the pixels' tables."""
    view = memoryview(data)
    heads: list[bytes | memoryview] = []
    rest: list[memoryview] = []
    exif: int | None = None
    tail = len(data)
    for piece in _walk_jpeg(data):
        marker, whole = piece.name[0], view[piece.start : piece.end]
        if marker == _APP10 and data.startswith(_OWN, piece.inner):
            continue
        if marker == _APP1 and exif is None and data.startswith(EXIF_HEAD, piece.inner):
            exif = len(heads) if not rest else None
        if not rest and 0xE0 <= marker <= 0xEF:
            heads.append(whole)
        else:
            rest.append(whole)
        tail = piece.end
    if parameters is not None:
        old = bytes(heads[exif][4:]) if exif is not None else b""
        made = add_user_comment(old, parameters)
        if made is not None and len(made) <= _SEGMENT:
            segment = _make_segment(_APP1, made)
            if exif is None:
                heads.append(segment)
            else:
                heads[exif] = segment
    heads += [segment for item, part in enumerate(parts) for segment in _cut(part, item)]
    return b"".join([data[:2], *heads, *rest, view[tail:]])


def _cut(part: Part, item: int) -> list[bytes]:
    """A part as segments."""
    room = _SEGMENT - len(_OWN) - _OWN_HEAD.size
    count = max(1, -(-len(part.data) // room))
    return [
        _make_segment(
            _APP10,
            _OWN
            + _OWN_HEAD.pack(_NAMES[part.kind], item, index, count)
            + part.data[index * room : (index + 1) * room],
        )
        for index in range(count)
    ]


def _make_segment(marker: int, content: bytes) -> bytes:
    return bytes((0xFF, marker)) + struct.pack(">H", len(content) + 2) + content


def _write_webp(data: bytes, parts: Sequence[Part], parameters: str | None) -> bytes:
    chunks = [chunk for chunk in _list_chunks(data) if chunk[0] not in _KINDS]
    names = [name for name, _ in chunks]
    if parameters is not None:
        place = names.index(b"EXIF") if b"EXIF" in names else None
        made = add_user_comment(bytes(chunks[place][1]) if place is not None else b"", parameters)
        if made is not None and place is not None:
            chunks[place] = (b"EXIF", made[len(EXIF_HEAD) :])
        elif made is not None:
            place = names.index(b"XMP ") if b"XMP " in names else len(chunks)
            chunks.insert(place, (b"EXIF", made[len(EXIF_HEAD) :]))
    chunks += [(_NAMES[part.kind], part.data) for part in parts]
    return _join_webp(chunks)


def _join_webp(chunks: list[_Chunk]) -> bytes:
    """The file of these chunks, in the extended form that may hold more than pixels."""
    flags = 0
    names = {name for name, _ in chunks}
    for name, flag in ((b"EXIF", _HAS_EXIF), (b"XMP ", _HAS_XMP)):
        flags |= flag if name in names else 0
    if b"VP8X" in names:
        chunks = [
            (name, bytes((content[0] & ~(_HAS_EXIF | _HAS_XMP) | flags,)) + bytes(content[1:]))
            if name == b"VP8X" and content
            else (name, content)
            for name, content in chunks
        ]
    elif names - {b"VP8 ", b"VP8L"}:
        chunks = [(b"VP8X", _describe_webp(chunks[0], flags)), *chunks]
    size = 4 + sum(8 + len(content) + len(content) % 2 for _, content in chunks)
    pieces: list[bytes | memoryview] = [b"RIFF" + struct.pack("<I", size) + b"WEBP"]
    for name, content in chunks:
        pieces += [name + struct.pack("<I", len(content)), content, b"\0" * (len(content) % 2)]
    return b"".join(pieces)


def _describe_webp(chunk: _Chunk, flags: int) -> bytes:
    """What a `VP8X` chunk says of the pixels in a chunk."""
    name, content = chunk
    if name == b"VP8L" and len(content) >= 5 and content[0] == 0x2F:
        bits = int.from_bytes(content[1:5], "little")
        width, height = bits & 0x3FFF, bits >> 14 & 0x3FFF  # each less one
        flags |= _HAS_ALPHA if bits >> 28 & 1 else 0
    elif name == b"VP8 " and len(content) >= 10 and content[3:6] == b"\x9d\x01\x2a":
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 6))
        width, height = width - 1, height - 1
    else:
        raise StoreError("The pixels of the WebP file are damaged.")
    if width < 0 or height < 0:
        raise StoreError("The WebP file has no pixels.")
    return bytes((flags, 0, 0, 0)) + width.to_bytes(3, "little") + height.to_bytes(3, "little")


# Taking away


def list_without_parts(data: bytes) -> Iterator[bytes]:
    """The file without our own parts, then also without the text that was written with them.

    One of them is the file that `write_metadata` was given, where it had no EXIF data. Empty for a
    damaged file.
    """
    try:
        if identify_format(data) == "WEBP":
            chunks = [chunk for chunk in _list_chunks(data) if chunk[0] not in _KINDS]
            yield _join_webp(chunks)
            chunks = [chunk for chunk in chunks if chunk[0] != b"EXIF"]
            yield _join_webp(chunks)
            yield _join_webp(_simplify_webp(chunks))
            return
        is_png = data.startswith(_PNG)
        pieces = list(_walk_png(data) if is_png else _walk_jpeg(data))
    except StoreError:
        return
    own = [
        piece.name in _KINDS
        if is_png
        else piece.name[0] == _APP10 and data.startswith(_OWN, piece.inner)
        for piece in pieces
    ]
    kept = [piece for piece, is_own in zip(pieces, own, strict=True) if not is_own]
    yield _join_pieces(data, kept)
    if True in own and (place := own.index(True)) > 0:
        # The text was written directly before them.
        text = kept[place - 1]
        starts = (PARAMETERS.encode() + b"\0",) if is_png else (EXIF_HEAD,)
        if data.startswith(starts, text.inner):
            yield _join_pieces(data, [piece for piece in kept if piece is not text])


def _join_pieces(data: bytes, pieces: Sequence[_Piece]) -> bytes:
    """The pieces behind the first bytes of the file, and what stands behind its end."""
    view = memoryview(data)
    head = view[: len(_PNG) if data.startswith(_PNG) else 2]
    return b"".join(
        [head, *(view[piece.start : piece.end] for piece in pieces), view[pieces[-1].end :]]
    )


def _simplify_webp(chunks: list[_Chunk]) -> list[_Chunk]:
    """Without `VP8X` where it says no more than the pixels do."""
    is_simple = len(chunks) == 2 and chunks[0][0] == b"VP8X" and chunks[1][0] in (b"VP8 ", b"VP8L")
    return chunks[1:] if is_simple else chunks


def strip_metadata(data: bytes, orientation: int = 1) -> bytes:
    """The image file with nothing but what says how it looks: pixels and colours.

    `orientation`: what its EXIF data say, which a file that is stored turned keeps and nothing
    else. What stands behind the end of the image goes too. Raises `StoreError` for damaged files.
    """
    kind = identify_format(data)
    turned = make_orientation(orientation) if orientation != 1 else b""
    view = memoryview(data)
    if kind == "PNG":
        pieces: list[bytes | memoryview] = [
            view[piece.start : piece.end] for piece in _walk_png(data) if piece.name in _PNG_PIXELS
        ]
        if turned:
            pieces.insert(1, make_png_chunk(b"eXIf", turned))
        return b"".join([_PNG, *pieces])
    if kind == "JPEG":
        return _strip_jpeg(data, turned)
    chunks = [chunk for chunk in _list_chunks(data) if chunk[0] in _WEBP_PIXELS]
    chunks = _simplify_webp(chunks)
    if turned:
        chunks.append((b"EXIF", turned))
    return _join_webp(chunks)


def _strip_jpeg(data: bytes, turned: bytes) -> bytes:
    pieces: list[bytes | memoryview] = [data[:2]]
    if turned:
        pieces.append(_make_segment(_APP1, EXIF_HEAD + turned))
    for piece in _walk_jpeg(data):
        marker = piece.name[0]
        heads = {0xE0: b"JFIF\0", _APP2: b"ICC_PROFILE\0", 0xEE: b"Adobe"}
        if marker == _COM or (
            0xE0 <= marker <= 0xEF
            and (marker not in heads or not data.startswith(heads[marker], piece.inner))
        ):
            continue
        pieces.append(memoryview(data)[piece.start : piece.end])
    return b"".join(pieces)
