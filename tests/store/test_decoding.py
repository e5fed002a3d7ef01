"""What comes in as an image is decoded as it looks, and what is changed or lost is told."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from store import decoding
from store.decoding import WIRE_FORMATS, decode_input, measure_upright, open_upright
from store.errors import StoreError
from store.pixels import open_image
from tests.photographs import (
    ADOBE,
    P3,
    SIZE,
    draw,
    encode,
    make_cmyk_profile,
    make_exif,
    make_exif_bomb,
    make_grey_profile,
    make_photograph,
    make_rgb_profile,
    make_turned_by_xmp,
    turn,
)

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ORIENTATIONS = range(1, 9)


def read(data: bytes) -> NDArray[np.int16]:
    """The RGB values of a file, exactly as it is stored."""
    return np.asarray(open_image(data).convert("RGB"), np.int16)


def measure(data: bytes, image: Image.Image) -> int:
    """How far the values of a file are from those of `image` at most."""
    found = read(data)
    wanted = np.asarray(image.convert("RGB"), np.int16)
    assert found.shape == wanted.shape
    return int(np.abs(found - wanted).max())


def make_alpha() -> Image.Image:
    """An alpha channel whose upper half is transparent."""
    alpha = Image.new("L", SIZE, 255)
    alpha.paste(0, (0, 0, SIZE[0], SIZE[1] // 2))
    return alpha


def make_transparent() -> Image.Image:
    image = draw()
    image.putalpha(make_alpha())
    return image


def animate(kind: str) -> bytes:
    return encode(draw(), kind, save_all=True, append_images=[draw().rotate(180)])


# How it is turned


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_a_photograph_is_taken_upright(kind: str, orientation: int) -> None:
    data = make_photograph(orientation, kind)
    found = decode_input(data)
    assert (found.width, found.height) == SIZE
    assert open_image(found.data).size == SIZE
    # Little of it may come from the loss of JPEG and AVIF; a wrong corner is 100 away.
    assert measure(found.data, draw()) <= (0 if kind in ("PNG", "WEBP", "TIFF") else 60)
    told = f"was turned upright (EXIF orientation {orientation})." in " ".join(found.notes)
    # Pillow has turned a TIFF file before anybody can ask how.
    assert told == (orientation != 1 and kind != "TIFF")
    is_plain = orientation == 1 and kind in ("JPEG", "PNG", "WEBP")
    assert (found.data == data) == is_plain
    if kind in ("JPEG", "PNG", "WEBP"):
        assert open_upright(data).size == SIZE
        assert measure_upright(data, open_image(data).size) == SIZE


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_an_orientation_in_xmp_data_counts(kind: str, orientation: int) -> None:
    data = make_turned_by_xmp(orientation, kind)
    found = decode_input(data)
    assert (found.width, found.height) == SIZE
    assert measure_upright(data, open_image(data).size) == SIZE
    assert (found.data == data) == (orientation == 1)


@pytest.mark.parametrize("orientation", [0, 9, 600])
def test_an_orientation_that_does_not_exist_is_none(orientation: int) -> None:
    data = encode(draw(), exif=make_exif(orientation))
    assert decode_input(data).data == data


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0no such data",
        b"Exif\0\0MM\0*\0\0\0\x08\0\x05\x01\x12",
        make_exif_bomb(),
    ],
    ids=["junk", "cut off", "bomb"],
)
def test_damaged_exif_data_are_told_and_have_no_effect(exif: bytes) -> None:
    found = decode_input(encode(draw(), exif=exif))
    assert found.notes == (
        "The EXIF data of the initial image are damaged: it is taken as it is stored.",
    )
    assert measure(found.data, draw()) == 0
    assert open_upright(encode(draw(), exif=exif)).size == SIZE


# Its colours


def convert(image: Image.Image, colours: Any, gamma: float) -> Image.Image:
    """The image in sRGB by the textbook: to light, to X, Y, Z, to the light of sRGB, to values."""
    srgb = np.array([(0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708)])
    srgb = np.vstack([srgb, (0.14307, 0.06061, 0.7141)])
    light = (np.asarray(image, np.float64) / 255) ** gamma @ np.array(colours)
    light = np.clip(light @ np.linalg.inv(srgb), 0, 1)
    values = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray((255 * values).round().astype(np.uint8))


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
@pytest.mark.parametrize(
    ("name", "colours", "gamma"),
    [("Display P3", P3, 2.2), ("Adobe RGB (1998)", ADOBE, 563 / 256)],
)
def test_the_colours_of_a_profile_are_converted(
    kind: str, name: str, colours: Any, gamma: float
) -> None:
    profile = make_rgb_profile(name, colours, gamma)
    found = decode_input(encode(draw(), kind, icc_profile=profile))
    assert found.notes == (f"The colours of the initial image were converted from {name} to sRGB.",)
    assert measure(found.data, convert(draw(), colours, gamma)) <= 3
    assert "icc_profile" not in open_image(found.data).info


def test_a_photograph_of_a_phone_is_turned_and_converted() -> None:
    profile = make_rgb_profile("Display P3", P3, 2.2)
    found = decode_input(make_photograph(6, "PNG", icc_profile=profile))
    assert len(found.notes) == 2
    assert measure(found.data, convert(draw(), P3, 2.2)) <= 3


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_profile_that_is_srgb_changes_nothing(kind: str, mode: str) -> None:
    data = encode(draw().convert(mode), kind, icc_profile=SRGB)
    found = decode_input(data)
    assert (found.data, found.notes) == (data, ())


@pytest.mark.parametrize(
    ("mode", "profile", "said"),
    [
        ("RGB", SRGB[:200], "is damaged"),
        ("RGB", b"no profile", "is damaged"),
        ("RGB", make_cmyk_profile("Inks"), "is for CMYK, its pixels are RGB"),
        ("RGB", make_grey_profile("Grey", 1.8), "is for GRAY, its pixels are RGB"),
        ("L", make_cmyk_profile("Inks"), "is for CMYK, its pixels are grey"),
    ],
    # A profile holds the second in which it was made.
    ids=["cut off", "none at all", "CMYK", "grey", "CMYK on grey"],
)
def test_a_profile_that_cannot_be_used_is_told(mode: str, profile: bytes, said: str) -> None:
    found = decode_input(encode(draw().convert(mode), icc_profile=profile))
    assert found.notes == (
        f"The colour profile of the initial image {said}: its colours are taken as they are.",
    )
    assert measure(found.data, draw().convert(mode)) == 0


def test_a_profile_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("store.colours.PROFILE_LIMIT", 100)
    (note,) = decode_input(encode(draw(), icc_profile=SRGB)).notes
    assert "is larger than is read" in note


def test_what_a_profile_calls_itself_is_safe_to_show() -> None:
    profile = make_rgb_profile("Eve\x1b[2J\n" + "x" * 200, P3, 1.0)
    (note,) = decode_input(encode(draw(), icc_profile=profile)).notes
    assert note.isprintable()
    assert len(note) < 160


def test_grey_with_a_profile_is_converted() -> None:
    grey = Image.new("L", SIZE, 128)
    found = decode_input(encode(grey, icc_profile=make_grey_profile("Linear", 1.0)))
    assert "from Linear to sRGB" in found.notes[0]
    assert measure(found.data, Image.new("L", SIZE, 188)) <= 1


def test_inks_are_converted_by_their_profile_and_nearly_without_one() -> None:
    inks = Image.new("CMYK", SIZE, (255, 0, 0, 0))
    profile = make_cmyk_profile("Inks")
    found = decode_input(encode(inks, "JPEG", icc_profile=profile, quality=98))
    assert "from Inks to sRGB" in found.notes[0]
    red, green, blue = read(found.data)[3, 3]
    assert blue > green > red  # the profile says dark blue, without it cyan is green and blue
    assert green < 130
    bare = decode_input(encode(inks, "JPEG", quality=98))
    assert "CMYK without a colour profile" in bare.notes[0]
    assert measure(bare.data, Image.new("RGB", SIZE, (0, 255, 255))) <= 3


def test_colours_that_are_told_by_numbers_alone_are_told() -> None:
    data = encode(draw())
    place = data.index(b"IDAT") - 4
    for chunk, said in (
        (b"cICP" + bytes((12, 16, 0, 1)), "(cICP) that are not read"),
        (b"gAMA" + struct.pack(">I", 100_000), "gamma of its own (1)"),
        (b"cICP" + bytes((1, 13, 0, 1)), ""),
        (b"gAMA" + struct.pack(">I", 45_455), ""),
    ):
        body = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
        changed = data[:place] + body + data[place:]
        found = decode_input(changed)
        assert said in " ".join(found.notes)
        assert bool(found.notes) == bool(said)
        assert found.data == changed


# Its depth, its transparency, what is beside it


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_a_plain_file_stays_what_it_is(mode: str) -> None:
    data = encode(draw().convert(mode))
    found = decode_input(data)
    assert (found.data, found.mime, found.notes) == (data, "image/png", ())
    opaque = draw()
    opaque.putalpha(255)
    assert decode_input(encode(opaque)).data == encode(opaque)


def write_deep_png(image: Image.Image) -> bytes:
    """A PNG of 16 bits a channel, which Pillow does not write in colour."""
    values = np.asarray(image, np.uint16) * 257
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", *image.size, 16, 2, 0, 0, 0)
    out = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + name + body
        out += struct.pack(">I", zlib.crc32(name + body))
    return out


@pytest.mark.parametrize("kind", ["grey PNG", "grey TIFF", "PNG"])
def test_the_lower_half_of_16_bits_is_told_to_be_lost(kind: str) -> None:
    grey = draw().convert("L")
    deep = Image.fromarray(np.asarray(grey, np.uint16) * 257)
    files = {
        "grey PNG": (encode(deep), grey),
        "grey TIFF": (encode(deep, "TIFF"), grey),
        "PNG": (write_deep_png(draw()), draw()),
    }
    data, wanted = files[kind]
    found = decode_input(data)
    assert found.notes[0] == "The initial image has 16 bits a channel; 8 are taken."
    assert measure(found.data, wanted) == 0


@pytest.mark.parametrize("value", [0.5, 70_000])
def test_32_bits_a_channel_are_refused(value: float) -> None:
    data = encode(Image.new("F" if value < 1 else "I", SIZE, value), "TIFF")
    with pytest.raises(StoreError, match="32 bits a channel"):
        decode_input(data)


def make_palette() -> bytes:
    palette = draw().quantize(8)
    return encode(palette, transparency=palette.getpixel((0, 0)))


@pytest.mark.parametrize(
    ("data", "corner"),
    [
        (encode(make_transparent()), (255, 255, 255)),
        (encode(make_transparent(), "WEBP"), (255, 255, 255)),
        (encode(make_transparent().convert("LA")), (255, 255, 255)),
        (make_palette(), (255, 255, 255)),
        (encode(draw(), transparency=(200, 40, 40)), (255, 255, 255)),
    ],
    ids=["PNG", "WebP", "grey", "palette", "one colour"],
)
def test_what_is_transparent_is_laid_over_white(data: bytes, corner: Any) -> None:
    found = decode_input(data)
    assert "The initial image is transparent in places; it is laid over white." in found.notes
    image = open_image(found.data)
    assert image.mode == "RGB"
    assert image.getpixel((3, 3)) == corner
    assert image.getpixel((3, 90)) != corner


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "AVIF", "TIFF"])
def test_only_the_first_of_more_frames_is_taken(kind: str) -> None:
    found = decode_input(animate(kind))
    what = "page" if kind == "TIFF" else "frame"
    assert f"The initial image has more than one {what}; the first is taken." in found.notes
    assert measure(found.data, draw()) <= (60 if kind == "AVIF" else 3)
    assert (found.mime, open_image(found.data).format) == ("image/png", "PNG")
    assert getattr(open_image(found.data), "n_frames", 1) == 1


@pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF", "AVIF"])
def test_other_kinds_of_files_are_kept_as_png(kind: str) -> None:
    found = decode_input(encode(draw(), kind))
    assert found.notes == (f"The initial image came as {kind} and is kept as PNG.",)
    assert found.mime == "image/png"
    with pytest.raises(StoreError, match="not a readable PNG, JPEG or WebP image"):
        decode_input(encode(draw(), kind), formats=WIRE_FORMATS)


def test_further_images_in_a_photograph_are_told() -> None:
    found = decode_input(encode(draw(), "MPO", save_all=True, append_images=[draw()]))
    assert "holds further images" in found.notes[0]
    assert found.mime == "image/png"
    xmp = b'<rdf:Description hdrgm:Version="1.0"/>'
    data = encode(draw(), "JPEG", xmp=xmp)
    found = decode_input(data)
    assert found.notes == (
        "The initial image has a gain map for bright screens, which is not read.",
    )
    assert found.data == data


# What is refused


def declare(width: int, height: int) -> bytes:
    """A PNG that says that it is so large, and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head))
    return b"\x89PNG\r\n\x1a\n" + chunk + b"\0\0\0\4IDAT" + bytes(8)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a readable PNG, JPEG, WebP, GIF, BMP, TIFF or AVIF image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "not a readable PNG"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not a readable PNG"),
        (encode(draw())[:-60], "not a readable PNG"),
        (make_photograph()[:-300], "not a readable PNG"),
        (encode(draw(), "TIFF", compression="tiff_lzw")[:-60], "TIFF|not a readable PNG"),
        (declare(9000, 9000), "9000 x 9000 pixels, too many"),
        (declare(30_000, 30_000), "exceeds limit"),
        (b"MM\0*\0\0\0\x08" + make_exif_bomb()[14:], "hold more than the file"),
        (b"\0\0\0\x18ftypheic" + bytes(40), "HEIC photograph"),
    ],
    ids=[
        "nothing", "PostScript", "SVG", "cut PNG", "cut JPEG", "cut TIFF", "large", "larger",
        "TIFF bomb", "HEIC",
    ],
)  # fmt: skip
def test_what_is_no_image_or_too_large_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(StoreError, match=said):
        decode_input(data)


def add_segments(*segments: tuple[int, bytes]) -> bytes:
    """A JPEG with further segments behind its head."""
    data, body = encode(draw(), "JPEG"), b""
    for marker, segment in segments:
        body += bytes((0xFF, marker)) + struct.pack(">H", len(segment) + 2) + segment
    return data[:2] + body + data[2:]


def list_entries(count: int, said: int | None = None) -> bytes:
    """The directory of a TIFF file whose entries point at 60,000 bytes each."""
    entries = b"".join(struct.pack(">HHII", tag, 7, 60_000, 8) for tag in range(count))
    return b"MM\0*\0\0\0\x08" + struct.pack(">H", said or count) + entries


def test_what_a_jpeg_points_at_is_bounded_before_it_is_opened() -> None:
    """EXIF data in one and in more segments, cut off too, and the index of further images."""
    bomb = make_exif_bomb()
    parts = [b"Exif\0\0" + bomb[6:][at : at + 60_000] for at in range(0, len(bomb), 60_000)]
    for data in (
        add_segments((0xE1, b"Exif\0\0" + list_entries(5000))),
        add_segments((0xE1, b"Exif\0\0" + list_entries(5000, 65_535))),
        add_segments(*((0xE1, part) for part in parts)),
        add_segments((0xE2, b"MPF\0" + list_entries(5000))),
    ):
        with pytest.raises(StoreError, match="hold more than the file"):
            decode_input(data)
        with pytest.raises(StoreError, match="hold more than the file"):
            open_image(data)
    small = add_segments((0xE1, b"Exif\0\0" + list_entries(1) + bytes(4)))
    assert decode_input(small).data == small


def test_a_raw_photograph_is_refused() -> None:
    tags = Image.Exif()
    tags[50706] = b"\1\4\0\0"
    with pytest.raises(StoreError, match="raw photograph"):
        decode_input(encode(draw(), "TIFF", exif=tags))


def test_a_file_has_a_limit_before_it_is_decoded_and_after(monkeypatch: pytest.MonkeyPatch) -> None:
    data = make_photograph()
    monkeypatch.setattr(decoding, "FILE_LIMIT", 100)
    with pytest.raises(StoreError, match=r"As PNG the initial image has [\d,]+ bytes"):
        decode_input(data)
    monkeypatch.setattr("store.pixels.FILE_LIMIT", 100)
    with pytest.raises(StoreError, match="more than 100"):
        decode_input(data)


# Masks


def make_holes(image: Image.Image) -> bytes:
    """`image` with a hole in its upper half."""
    image = image.convert("RGBA")
    image.putalpha(make_alpha())
    return encode(image)


def paint(**strokes: tuple[int, int, int, int]) -> bytes:
    """Black and white rectangles on a transparent ground."""
    image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
    for colour, box in strokes.items():
        image.paste((0, 0, 0, 255) if colour == "black" else (255, 255, 255, 255), box)
    return encode(image)


UPPER, LOWER = (0, 0, 64, 48), (0, 48, 64, 96)


def look(mask: bytes) -> tuple[Any, Any]:
    """The values of a mask in its upper and its lower half."""
    image = open_image(mask)
    assert image.mode == "L"
    return image.getpixel((5, 5)), image.getpixel((5, 90))


@pytest.mark.parametrize(
    ("data", "replaces", "values", "said"),
    [
        (make_holes(draw()), "black", (0, 255), "they are made anew, what is opaque stays"),
        (make_holes(Image.new("L", SIZE, 255)), "black", (0, 255), "they are made anew"),
        (paint(white=UPPER), "black", (255, 0), "they are made anew"),
        (paint(white=UPPER), "white", (255, 0), "they count as black, which stays"),
        (paint(white=(0, 0, 64, 20), black=(0, 20, 64, 40)), "black", (255, 255), "count as white"),
    ],
    ids=["photograph", "white", "strokes", "strokes that are replaced", "two colours"],
)
def test_the_holes_of_a_mask_are_understood(
    data: bytes, replaces: str, values: tuple[int, int], said: str
) -> None:
    found = decode_input(data, "mask", replaces=replaces)
    assert said in found.notes[0]
    assert look(found.data) == values


def test_a_mask_that_can_be_read_in_two_ways_is_refused() -> None:
    with pytest.raises(StoreError, match="does not tell which of both is made anew"):
        decode_input(paint(black=UPPER), "mask")


def test_a_mask_without_holes_stays_what_it_is() -> None:
    mask = Image.new("L", SIZE, 255)
    mask.paste(0, UPPER)
    assert decode_input(encode(mask), "mask").data == encode(mask)
    clear = mask.convert("RGBA")
    clear.putalpha(128)
    found = decode_input(encode(clear), "mask")
    assert look(found.data) == (0, 255)
    assert "equally transparent" in found.notes[0]


def test_the_profile_of_a_mask_has_no_effect() -> None:
    mask = Image.new("L", SIZE, 128)
    found = decode_input(encode(mask, icc_profile=make_grey_profile("Linear", 1.0)), "mask")
    assert look(found.data) == (128, 128)
    assert found.notes == ("The colour profile of the mask has no effect on it.",)


def test_a_mask_is_turned_with_its_photograph() -> None:
    mask = Image.new("L", SIZE, 255)
    mask.paste(0, UPPER)
    found = decode_input(encode(turn(mask, 6), exif=make_exif(6)), "mask")
    assert (found.width, found.height) == SIZE
    assert look(found.data) == (0, 255)


# All of them


FILES: dict[str, Callable[[], bytes]] = {
    "phone": lambda: make_photograph(8, icc_profile=make_rgb_profile("P3", P3, 2.2)),
    "inks": lambda: encode(draw().convert("CMYK"), "JPEG"),
    "transparent": lambda: encode(make_transparent()),
    "animated": lambda: animate("GIF"),
    "deep": lambda: encode(Image.new("I;16", SIZE, 40_000)),
    "inverted TIFF": lambda: encode(draw(), "TIFF", compression="tiff_lzw"),
    "grey": lambda: encode(draw().convert("LA")),
}


@pytest.mark.parametrize("name", FILES)
def test_what_was_decoded_is_plain(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    data = FILES[name]()
    first = decode_input(data)
    assert first == decode_input(data)
    again = decode_input(first.data)
    assert (again.data, again.notes) == (first.data, ())
    image = Image.open(io.BytesIO(first.data))
    assert image.mode in ("L", "RGB", "LA")
    assert not {"exif", "icc_profile", "xmp"} & image.info.keys()
    assert capfd.readouterr() == ("", "")


def test_a_damaged_tiff_file_is_refused_quietly(capfd: pytest.CaptureFixture[str]) -> None:
    """libtiff itself would write to the terminal."""
    data = bytearray(encode(draw(), "TIFF", compression="tiff_lzw"))
    data[40:60] = b"\xff" * 20
    with pytest.raises(StoreError, match="TIFF file is damaged"):
        decode_input(bytes(data))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"])
def test_compressed_tiff_files_are_read(compression: str) -> None:
    found = decode_input(encode(draw(), "TIFF", compression=compression))
    assert measure(found.data, draw()) <= (60 if compression == "jpeg" else 0)
    if compression != "jpeg":
        palette = encode(draw().quantize(8), "TIFF", compression=compression)
        assert measure(decode_input(palette).data, draw()) <= 3


def test_text_in_a_file_stays_at_home() -> None:
    info = PngInfo()
    info.add_text("Comment", "my address")
    data = encode(turn(draw(), 6), pnginfo=info, exif=make_exif(6))
    assert b"my address" not in decode_input(data).data
