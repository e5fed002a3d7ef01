"""Decoded pixels: opening images from outside safely, and their digest."""

from __future__ import annotations

import contextlib
import hashlib
import io
import struct
import zlib
from collections.abc import Iterator

# Where the reader of a format is not there, Pillow loads those of all formats that there are.
import PIL.WebPImagePlugin  # noqa: F401
from PIL import Image, UnidentifiedImageError

from store.errors import StoreError
from store.exif import check_jpeg

FORMATS = ("PNG", "JPEG", "WEBP")
"""The formats of images that engines make. What comes in may be of more: `store.decoding`.

Others are never opened: Pillow would start Ghostscript for some.
"""

FILE_LIMIT = 64 * 1024 * 1024
PIXEL_LIMIT = 64 * 1024 * 1024
_PIXELS_AT_ONCE = 1024 * 1024


def open_image(data: bytes) -> Image.Image:
    """The decoded image in `data` (PNG, JPEG or WebP; at most 64 MiB and 64 megapixels).

    Raises `StoreError` when it is none, is damaged, or is larger.
    """
    with reading(data) as image:
        image.load()
    return image


def identify_image(data: bytes) -> tuple[str, tuple[int, int]]:
    """The format (one of `FORMATS`) and the width and height that the head of `data` says.

    The rest is not looked at. Raises `StoreError` as `open_image` does.
    """
    with reading(data) as image:
        # Pillow calls a JPEG with further images in it MPO.
        return image.format if image.format in FORMATS else "JPEG", image.size


def is_whole(data: bytes) -> bool:
    """Whether `data` is an image that can be decoded to its end."""
    try:
        open_image(data)
    except StoreError:
        return False
    return True


_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    LookupError,
    TypeError,
    ArithmeticError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)
"""What Pillow's readers raise for files that are damaged on purpose or by accident."""


@contextlib.contextmanager
def reading(
    data: bytes, formats: tuple[str, ...] = FORMATS, kinds: str = "PNG, JPEG or WebP"
) -> Iterator[Image.Image]:
    """The image in `data`, of one of Pillow's `formats`, not decoded yet.

    What fails with it in the block is told as a `StoreError`, with `kinds` for the formats.
    """
    if len(data) > FILE_LIMIT:
        raise StoreError(f"The image file has {len(data):,} bytes, more than {FILE_LIMIT:,}.")
    check_jpeg(data)
    try:
        image = Image.open(io.BytesIO(data), formats=formats)
        if image.width * image.height > PIXEL_LIMIT:
            raise StoreError(
                f"The image has {image.width} x {image.height} pixels, too many to open."
            )
        yield image
    except UnidentifiedImageError:
        raise StoreError(f"This is not a readable {kinds} image.") from None
    except Image.DecompressionBombWarning as error:
        raise StoreError(f"The image is too large to open: {error}.") from None
    except _DAMAGED as error:
        raise StoreError(f"This is not a readable {kinds} image: {error}.") from None


def digest_pixels(image: Image.Image) -> str:
    """SHA-256 over mode, size and decoded pixels, never over the file."""
    digest = hashlib.sha256(f"{image.mode} {image.width} {image.height}\n".encode())
    rows = max(1, _PIXELS_AT_ONCE // image.width)
    for top in range(0, image.height, rows):
        # A copy of the whole of a large image would be as large once more.
        strip = image.crop((0, top, image.width, min(top + rows, image.height)))
        digest.update(strip.tobytes())
    return digest.hexdigest()


def make_thumbnail(image: Image.Image, side: int = 96) -> bytes:
    """A small lossy WebP of `image`, its longer side at most `side` pixels."""
    if image.width * image.height > _PIXELS_AT_ONCE * 4 and image.mode in ("RGB", "RGBA", "L"):
        # So no copy is as large as the image.
        image = image.reduce(max(1, min(image.size) // (4 * side)))
    small = image.convert("RGB")
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=80)
    return buffer.getvalue()
