"""Image files as cameras, phones and other tools write them, all of one picture.

The picture is 64 pixels wide and 96 high; each corner has a colour of its own.
"""

from __future__ import annotations

import io
import struct
from typing import Any

from PIL import Image, ImageDraw
from PIL.Image import Transpose
from PIL.PngImagePlugin import PngInfo

SIZE = (64, 96)
CORNERS = ((200, 40, 40), (40, 180, 60), (40, 60, 200), (220, 200, 60))
"""Upper left, upper right, lower left, lower right."""

_STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}
"""How a camera that says this orientation has stored the picture."""


def draw(size: tuple[int, int] = SIZE) -> Image.Image:
    """The picture as it looks."""
    draw = ImageDraw.Draw(image := Image.new("RGB", size, (128, 128, 128)))
    width, height = size[0] // 2, size[1] // 2
    for place, colour in enumerate(CORNERS):
        left, top = place % 2 * width, place // 2 * height
        draw.rectangle((left, top, left + width - 1, top + height - 1), fill=colour)
    return image


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    """The file of `image`; WebP without loss."""
    if kind == "WEBP":
        options = {"lossless": True, "exact": True} | options
    if kind == "AVIF":
        options = {"quality": 98, "subsampling": "4:4:4"} | options
    image.save(file := io.BytesIO(), kind, **options)
    return file.getvalue()


def turn(image: Image.Image, orientation: int) -> Image.Image:
    """`image` as it is stored with this orientation."""
    how = _STORED[orientation]
    return image if how is None else image.transpose(how)


def make_exif(orientation: int) -> Image.Exif:
    """EXIF data that say how the camera was held."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def make_photograph(
    orientation: int = 6, kind: str = "JPEG", size: tuple[int, int] = SIZE, **options: Any
) -> bytes:
    """The picture as a camera stores it that was held so."""
    if kind == "JPEG":
        options = {"quality": 98, "subsampling": 0} | options
    stored = turn(draw(size), orientation)
    return encode(stored, kind, exif=make_exif(orientation), **options)


def make_xmp(orientation: int) -> bytes:
    """XMP data that say how the camera was held."""
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF><rdf:Description '
        f'tiff:Orientation="{orientation}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def make_turned_by_xmp(orientation: int, kind: str) -> bytes:
    """The picture with its orientation in XMP data alone."""
    stored, xmp = turn(draw(), orientation), make_xmp(orientation)
    if kind != "PNG":
        return encode(stored, kind, xmp=xmp)
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return encode(stored, pnginfo=info)


def make_exif_bomb() -> bytes:
    """EXIF data of 780 kB whose entries point at 4 GB together."""
    entries = b"".join(struct.pack(">HHII", tag, 7, 60_000, 8) for tag in range(65_000))
    return b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 65_000) + entries + bytes(4)


# Colour profiles

P3 = ((0.51512, 0.2412, -0.00105), (0.29198, 0.69225, 0.04189), (0.1571, 0.06657, 0.78407))
"""X, Y, Z of red, green and blue of Display P3, for white D50."""

ADOBE = ((0.60974, 0.31111, 0.01947), (0.20528, 0.62567, 0.06087), (0.14919, 0.06322, 0.74457))
"""The same of Adobe RGB (1998)."""


def make_rgb_profile(name: str, colours: tuple[tuple[float, ...], ...], gamma: float) -> bytes:
    """A profile of three colours and one gamma."""
    tags = {
        f"{letter}XYZ".encode(): _write_xyz(colour)
        for letter, colour in zip("rgb", colours, strict=True)
    }
    tags |= {f"{letter}TRC".encode(): _write_gamma(gamma) for letter in "rgb"}
    return _write_profile(name, b"RGB ", b"XYZ ", tags)


def make_grey_profile(name: str, gamma: float) -> bytes:
    """A profile of grey with a gamma."""
    return _write_profile(name, b"GRAY", b"XYZ ", {b"kTRC": _write_gamma(gamma)})


def make_cmyk_profile(name: str) -> bytes:
    """A profile of inks: cyan alone is dark blue, the others leave the paper white."""
    identity = bytes(range(256))
    table = b"".join(
        bytes((80, 128, 60)) if place & 8 else bytes((255, 128, 128)) for place in range(16)
    )
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + identity * 4 + table + identity * 3
    return _write_profile(name, b"CMYK", b"Lab ", {b"A2B0": lut}, kind=b"prtr")


def _write_xyz(values: tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in values))


def _write_gamma(gamma: float) -> bytes:
    return b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))


def _write_profile(
    name: str, space: bytes, between: bytes, tags: dict[bytes, bytes], kind: bytes = b"mntr"
) -> bytes:
    text = name.encode("ascii") + b"\0"
    said = b"desc" + bytes(4) + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": said, b"wtpt": _write_xyz((0.9642, 1.0, 0.8249))} | tags
    start, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for tag, data in tags.items():
        table += tag + struct.pack(">II", start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I", start + len(body)) + bytes(4) + struct.pack(">I", 0x02400000)
    head += kind + space + between + bytes(12) + b"acsp" + bytes(28)
    head += struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">I", len(tags)) + table + body
