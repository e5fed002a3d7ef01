"""What comes in as an image is decoded here, and nowhere else: as it looks.

Initial images, masks and images to make larger come as photographs do: stored sideways with an
EXIF orientation, in the colours of a camera or a screen, with 16 bits a channel, transparent, as
the first of many frames. Each engine and each service would make something else of that. So a
file is brought into one plain form before it is kept: upright, sRGB, 8 bits a channel, opaque, one
frame, as PNG. That file is the input, and its digest is what a request names; the bytes are the
record because the way to them is not: another Pillow or Little CMS may round otherwise.

A PNG, JPEG or WebP file that is plain already keeps its bytes and its digest. What is changed or
lost is told in sentences. Files that were kept before are never decoded again here: their requests
stay what they were.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from typing import Literal

import msgspec
from PIL import Image as Pillow
from PIL.Image import Image

from store.colours import ProfileError, convert_to_srgb, is_srgb
from store.errors import StoreError
from store.exif import check_directories, may_be_turned, read_orientation, turn
from store.limits import INPUT_KINDS
from store.pixels import FILE_LIMIT, FORMATS, open_image, reading
from store.tiff import decode_tiff

Role = Literal["initial image", "mask", "image to make larger", "image"]
"""What an image is to a request, as sentences name it; `image` where that is not known yet."""

WIRE_FORMATS = FORMATS
"""What a client may send. The readers of further formats are kept from strangers."""

INPUT_FORMATS = (*FORMATS, "GIF", "BMP", "TIFF", "AVIF")
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"mif1", b"msf1")
_BITS_PER_SAMPLE = 258
_DNG_VERSION = 50706
_PLAIN_MODES = ("1", "L", "LA", "P", "RGB", "RGBA")
_VISIBLE, _DARK, _LIGHT, _NEARLY_ALL = 128, 32, 224, 0.98


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """The file of an image that a request starts from: digest, media type, size in pixels.

    `notes`: what was changed or lost when it came in, a sentence each.
    """

    sha256: str
    mime: str
    width: int
    height: int
    notes: tuple[str, ...] = ()


class DecodedInput(Input, frozen=True, kw_only=True):
    """An image that came in, with the file `data` to be kept."""

    data: bytes


def decode_input(
    data: bytes,
    role: Role = "initial image",
    *,
    replaces: str = "black",
    formats: tuple[str, ...] = INPUT_FORMATS,
) -> DecodedInput:
    """The image file `data` in its plain form; `data` itself where it is plain.

    `replaces`: the colour of a mask where the image is made anew. `formats`: Pillow's names of
    what is read. Raises `StoreError` for what is no such image, is damaged or too large, and for a
    mask that can be understood in two ways.
    """
    file = _read(data, role, formats)
    alpha, image = _split_transparency(file.image)
    if alpha is not None and alpha.getextrema()[0] == 255:
        alpha = None
    image = file.drop_profile(image) if role == "mask" else file.convert_colours(image)
    if file.is_plain and alpha is None:
        return _make_input(data, Pillow.MIME[file.format], file.image.size, file.notes)
    if role == "mask":
        image = image.convert("L")
    if alpha is not None and role == "mask":
        image = _read_holes(image, alpha, replaces, file.notes)
    elif alpha is not None:
        file.notes.append(f"The {role} is transparent in places; it is laid over white.")
        image = lay_over_white(image, alpha)
    if file.format not in FORMATS:
        file.notes.append(f"The {role} came as {file.format} and is kept as PNG.")
    return _make_input(_encode(image, role), "image/png", image.size, file.notes)


def lay_over_white(image: Image, alpha: Image) -> Image:
    """The RGB image, white shining through where `alpha` is below 255."""
    over = image.convert("RGB")
    over.putalpha(alpha)
    return Pillow.alpha_composite(Pillow.new("RGBA", over.size, "white"), over).convert("RGB")


def open_upright(data: bytes) -> Image:
    """The decoded image in `data` (PNG, JPEG or WebP) as it looks, with 8 bits a channel.

    For images that are kept already, in whatever form. Raises `StoreError`.
    """
    image = open_image(data)
    orientation, _ = read_orientation(image)
    return to_eight_bits(turn(image, orientation))


def measure_upright(data: bytes, size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of the kept image in `data` as it looks.

    `size` is how it is stored; a file without an orientation is not decoded. Raises `StoreError`.
    """
    return open_upright(data).size if may_be_turned(data) else size


def to_eight_bits(image: Image) -> Image:
    """`image`, where it has 16 bits a channel with the upper part of each value."""
    if not image.mode.startswith(("I", "F")):
        return image
    import numpy as np

    values = np.asarray(image, np.float64) / 257
    return Pillow.fromarray(values.clip(0, 255).astype(np.uint8))


# Reading


class _File:
    """A decoded file: the upright image with 8 bits a channel, and what was found beside it.

    `is_plain` ends where its bytes cannot stay what they are.
    """

    def __init__(self, image: Image, kind: str, role: Role, profile: bytes) -> None:
        self.image = image
        self.format = kind
        self.role = role
        self.profile = profile
        self.notes: list[str] = []
        self.is_plain = kind in FORMATS and image.mode in _PLAIN_MODES

    def change(self, note: str) -> None:
        """Tell what its bytes cannot show."""
        self.notes.append(note)
        self.is_plain = False

    def drop_profile(self, image: Image) -> Image:
        """`image`, RGB or grey, whose values are no colours, whatever a profile says."""
        if self.profile and not is_srgb(self.profile, image.mode):
            self.change(f"The colour profile of the {self.role} has no effect on it.")
        return _make_rgb(image)

    def convert_colours(self, image: Image) -> Image:
        """`image`, which has no transparency, in sRGB: RGB or grey."""
        if not self.profile:
            if image.mode == "CMYK":
                self.change(
                    f"The {self.role} is CMYK without a colour profile: its colours are only near."
                )
            return _make_rgb(image)
        try:
            converted = convert_to_srgb(image, self.profile)
        except ProfileError as error:
            self.change(
                f"The colour profile of the {self.role} {error}: its colours are taken as they are."
            )
            return _make_rgb(image)
        if converted is None:
            return _make_rgb(image)
        changed, name = converted
        self.change(f"The colours of the {self.role} were converted from {name} to sRGB.")
        return changed


def _read(data: bytes, role: Role, formats: tuple[str, ...]) -> _File:
    _refuse_heic(data)
    Pillow.init()
    known = tuple(name for name in formats if name in Pillow.OPEN)
    kinds = "PNG, JPEG or WebP" if formats == FORMATS else INPUT_KINDS
    pages = check_directories(data).total if data[:2] in (b"II", b"MM") else 1
    with reading(data, known, kinds) as image:
        kind = "JPEG" if image.format == "MPO" else str(image.format)
        has_more = pages > 1 or (kind != "TIFF" and _count_frames(image) > 1)
        depth = _find_depth(image, data)
        if kind == "TIFF":
            _refuse_raw(image)
            image = decode_tiff(data)
        image.load()
        orientation, is_damaged = read_orientation(image)
        if image.mode.startswith("F") or _is_wide(image):
            raise StoreError(
                f"The {role} has 32 bits a channel, whose range nothing tells.",
                "Save it with 8 or 16 bits a channel.",
            )
        profile = image.info.get("icc_profile") or b""
        plain = to_eight_bits(turn(image, orientation))
        file = _File(plain, kind, role, profile if isinstance(profile, bytes) else b"")
        if orientation != 1:
            file.change(f"The {role} was turned upright (EXIF orientation {orientation}).")
        if is_damaged:
            file.change(f"The EXIF data of the {role} are damaged: it is taken as it is stored.")
        if depth > 8:
            file.change(f"The {role} has {depth} bits a channel; 8 are taken.")
        if image.format == "MPO":
            file.change(
                f"The {role} holds further images, such as a gain map for bright screens or a "
                "preview; the first is taken."
            )
        elif any(b"hdrgm:" in content for _, content in getattr(image, "applist", ())):
            file.notes.append(f"The {role} has a gain map for bright screens, which is not read.")
        elif has_more:
            parts = "page" if kind == "TIFF" else "frame"
            file.change(f"The {role} has more than one {parts}; the first is taken.")
        if kind == "PNG":
            _note_unread_colours(file, image, data)
    return file


def _refuse_raw(image: Image) -> None:
    if _DNG_VERSION in getattr(image, "tag_v2", {}):
        raise StoreError(
            "This is a raw photograph (DNG), of which only a preview could be read.",
            "Develop it with a photo program and save it as TIFF, PNG or JPEG.",
        )


def _is_wide(image: Image) -> bool:
    """Whether it has values beyond 16 bits."""
    if image.mode != "I":
        return False
    highest = image.getextrema()[1]
    return not isinstance(highest, int | float) or highest > 65535


def _refuse_heic(data: bytes) -> None:
    if data[4:8] == b"ftyp" and data[8:12] in _HEIC and b"avif" not in data[12:64]:
        raise StoreError(
            "This is a HEIC photograph, which is not read here.",
            "Save or share it as JPEG; cameras call that the most compatible format.",
        )


def _count_frames(image: Image) -> int:
    """How many frames there are, or 2 for some more."""
    if image.format == "GIF":  # To count them would read them all.
        return 2 if getattr(image, "is_animated", False) else 1
    frames = getattr(image, "n_frames", 1)
    return frames if isinstance(frames, int) else 1


def _find_depth(image: Image, data: bytes) -> int:
    """Bits a channel of the file, which Pillow may have made 8 of."""
    if image.format == "PNG":
        return data[24]
    if image.format == "TIFF":
        bits = getattr(image, "tag_v2", {}).get(_BITS_PER_SAMPLE, (8,))
        values = bits if isinstance(bits, tuple) else (bits,)
        return max((bit for bit in values if isinstance(bit, int)), default=8)
    if image.format == "AVIF" and (place := data.find(b"pixi", 0, 4096)) > 0:
        return max(data[place + 9 : place + 9 + data[place + 8]], default=8)
    return 8


def _split_transparency(image: Image) -> tuple[Image | None, Image]:
    """The alpha channel, None without one, and the image without it."""
    if not image.has_transparency_data:
        return None, image
    full = image.convert("RGBA")
    is_grey = image.mode in ("1", "L", "LA", "La")
    rest = image.convert("L") if is_grey else full.convert("RGB")
    rest.info.pop("transparency", None)
    return full.getchannel("A"), rest


def _note_unread_colours(file: _File, image: Image, data: bytes) -> None:
    """Tell of colours that a PNG describes in ways that Pillow does not read."""
    if file.profile or file.role == "mask":
        return
    place = data.find(b"cICP", 0, max(0, data.find(b"IDAT")))
    if place > 0 and tuple(data[place + 4 : place + 6]) != (1, 13):
        file.notes.append(
            f"The {file.role} describes its colours by numbers (cICP) that are not read: they are "
            "taken as they are."
        )
        return
    gamma = image.info.get("gamma")
    if isinstance(gamma, float) and "srgb" not in image.info and abs(gamma - 0.45455) > 0.02:
        file.notes.append(
            f"The {file.role} has a gamma of its own ({gamma:.3g}) and no colour profile: its "
            "colours are taken as they are."
        )


def _make_rgb(image: Image) -> Image:
    return image if image.mode in ("1", "L", "RGB") else image.convert("RGB")


# Masks


def _read_holes(image: Image, alpha: Image, replaces: str, notes: list[str]) -> Image:
    """The mask that a grey image and its alpha channel stand for.

    Other tools write a mask as holes in an image: what is transparent is made anew. But a mask may
    also be painted in black and white, or in white alone, on a transparent ground. Raises
    `StoreError` where it can be either.
    """
    low, high = alpha.getextrema()
    if low == high:
        notes.append("The mask is equally transparent everywhere: its colours are taken.")
        return image
    dark, light = _measure_shades(image, alpha)
    if replaces == "white":
        notes.append("The mask is transparent in places; they count as black, which stays.")
        return Pillow.composite(image, Pillow.new("L", image.size, 0), alpha)
    if dark and light and dark + light >= _NEARLY_ALL:
        notes.append("The mask is transparent in places; they count as white, which stays.")
        return Pillow.composite(image, Pillow.new("L", image.size, 255), alpha)
    if dark >= _NEARLY_ALL:
        raise StoreError(
            "The mask is black where it is not transparent, so it does not tell which of both is "
            "made anew.",
            "Save it without transparency: black is made anew, white stays.",
        )
    notes.append("The mask is transparent in places: they are made anew, what is opaque stays.")
    return alpha


def _measure_shades(image: Image, alpha: Image) -> tuple[float, float]:
    """How much of what can be seen is black, and how much white, 0 to 1."""
    visible = alpha.point(lambda value: 255 if value >= _VISIBLE else 0)
    counts = image.histogram(visible)
    total = sum(counts) or 1
    return sum(counts[:_DARK]) / total, sum(counts[_LIGHT:]) / total


# Writing


def _encode(image: Image, role: Role) -> bytes:
    bare = Pillow.frombytes(image.mode, image.size, image.tobytes())  # pixels alone, no metadata
    file = io.BytesIO()
    bare.save(file, "PNG", compress_level=4)
    if file.tell() > FILE_LIMIT:
        raise StoreError(
            f"As PNG the {role} has {file.tell():,} bytes, more than {FILE_LIMIT:,}.",
            "Make it smaller.",
        )
    return file.getvalue()


def _make_input(
    data: bytes, mime: str, size: tuple[int, int], notes: Sequence[str]
) -> DecodedInput:
    return DecodedInput(
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        mime=mime,
        width=size[0],
        height=size[1],
        notes=tuple(notes),
    )
